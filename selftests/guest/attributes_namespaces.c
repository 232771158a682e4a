// SPDX-License-Identifier: GPL-2.0
/* In which worlds a process lives. */
#include "harness.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>

static void need_namespace(int flag)
{
	pid_t pid = DO(fork());
	int status;

	if (!pid)
		_exit(unshare(flag) ? errno : 0);
	EQUAL(waitpid(pid, &status, 0), pid);
	if (status)
		skip("unshare: %s", strerror(WEXITSTATUS(status)));
}

/* Number one of its own, as it sees itself; here it has another number. */
static void pid_namespace(void)
{
	int ends[2], back[2], status;
	pid_t child;
	char byte;

	need_namespace(CLONE_NEWPID);
	DO(pipe(ends));
	DO(pipe(back));
	away();
	DO(unshare(CLONE_NEWPID));
	child = DO(fork());
	if (!child) {
		pid_t grandchild;

		if (read(ends[0], &byte, 1) != 1)
			_exit(1);
		if (getpid() != 1 || getppid() != 0 || gettid() != 1)
			_exit(2);
		grandchild = fork();
		if (!grandchild)
			_exit(getpid() == 2 && getppid() == 1 ? 7 : 8);
		if (grandchild != 2 || waitpid(2, &status, 0) != 2 || WEXITSTATUS(status) != 7)
			_exit(3);
		if (kill(child + 1000000, 0) == 0 || errno != ESRCH)
			_exit(4);
		if (write(back[1], "x", 1) != 1 || read(ends[0], &byte, 1) != 1)
			_exit(5);
		_exit(6);
	}
	away_pid(child);
	EQUAL(write(ends[1], "x", 1), 1);
	EQUAL(read(back[0], &byte, 1), 1);
	CHECK(child != 1);
	away_pid(child);
	EQUAL(write(ends[1], "x", 1), 1);
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(WEXITSTATUS(status), 6);
}

/* The end of number one takes the others along. */
static void pid_namespace_ends(void)
{
	int ends[2], status;
	pid_t child;
	char byte;

	need_namespace(CLONE_NEWPID);
	DO(pipe(ends));
	DO(unshare(CLONE_NEWPID));
	child = DO(fork());
	if (!child) {
		if (!fork())
			for (;;)
				pause();
		for (;;)
			compute_checked(1000);
	}
	away_pid(child);
	DO(close(ends[1]));
	DO(kill(child, SIGKILL));
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(status, SIGKILL);
	EQUAL(read(ends[0], &byte, 1), 0);	/* the other had it open, too */
}

static void mount_namespace(void)
{
	char path[] = "/tmp/st-mount-XXXXXX", file[40];
	int old;

	need_namespace(CLONE_NEWNS);
	CHECK(mkdtemp(path));
	old = DO(open("/proc/self/ns/mnt", O_RDONLY));
	snprintf(file, sizeof(file), "%s/inside", path);
	away();
	DO(unshare(CLONE_NEWNS));
	DO(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	DO(mount("radium-test", path, "tmpfs", MS_NOEXEC, "size=64k"));
	write_text(file, "inside");
	CHECK(strstr(read_text("/proc/self/mounts"), "radium-test /tmp/st-mount"));
	home();
	CHECK(!strcmp(read_text(file), "inside"));
	away();
	DO(mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, "size=64k"));
	EQUAL(open(file, O_WRONLY), -1);
	EQUAL(errno, EROFS);
	DO(setns(old, CLONE_NEWNS));
	EQUAL(access(file, F_OK), -1);
	EQUAL(errno, ENOENT);
	CHECK(!strstr(read_text("/proc/self/mounts"), "radium-test"));
}

/* Nobody outside, all-powerful inside, and only over what is inside. */
static void user_namespace(void)
{
	need_root();
	need_namespace(CLONE_NEWUSER);
	DO(setresgid(4000, 4000, 4000));
	DO(setresuid(4001, 4001, 4001));
	DO(prctl(PR_SET_DUMPABLE, 1));		/* else its files in /proc are root's */
	away();
	if (unshare(CLONE_NEWUSER | CLONE_NEWUTS))
		skip("unshare: %s", strerror(errno));
	EQUAL(getuid(), 65534);
	write_text("/proc/self/setgroups", "deny");
	write_text("/proc/self/uid_map", "0 4001 1");
	write_text("/proc/self/gid_map", "0 4000 1");
	EQUAL(getuid(), 0);
	EQUAL(getgid(), 0);
	DO(sethostname("inside", 6));
	home();
	EQUAL(getuid(), 0);
	away();
	EQUAL(chown("/tmp", 0, 0), -1);
	EQUAL(errno, EPERM);
	EQUAL(mount("none", "/tmp", "tmpfs", 0, NULL), -1);
	EQUAL(errno, EPERM);
}

static void network_and_names(void)
{
	struct utsname names;
	int old;

	need_namespace(CLONE_NEWNET);
	old = DO(open("/proc/self/ns/uts", O_RDONLY));
	away();
	DO(unshare(CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC));
	DO(sethostname("elsewhere", 9));
	DO(uname(&names));
	CHECK(!strcmp(names.nodename, "elsewhere"));
	CHECK(!strstr(read_text("/proc/self/net/dev"), "eth"));
	home();
	DO(uname(&names));
	CHECK(!strcmp(names.nodename, "elsewhere"));
	CHECK(!strstr(read_text("/proc/self/net/dev"), "eth"));
	away();
	DO(setns(old, CLONE_NEWUTS));
	DO(uname(&names));
	CHECK(strcmp(names.nodename, "elsewhere"));
}

/* Its own root directory. */
static void another_root(void)
{
	char path[] = "/tmp/st-root-XXXXXX", where_am_i[100];
	int outside;

	need_root();
	CHECK(mkdtemp(path));
	outside = DO(open("/", O_PATH | O_DIRECTORY));
	away();
	DO(chdir(path));
	write_text("file", "inner");
	DO(chroot("."));
	CHECK(!strcmp(read_text("/file"), "inner"));
	CHECK(!strcmp(read_text("/../../file"), "inner"));
	CHECK(getcwd(where_am_i, sizeof(where_am_i)) && !strcmp(where_am_i, "/"));
	EQUAL(access("/proc/self", F_OK), -1);
	home();
	CHECK(!strcmp(read_text("/file"), "inner"));
	away();
	DO(fchdir(outside));
	DO(access("proc/self", F_OK));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(pid_namespace), CASE(pid_namespace_ends), CASE(mount_namespace),
		CASE(user_namespace), CASE(network_and_names), CASE(another_root),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/* Who a process may be, and what it may do: users, groups, capabilities. */
#include "attributes.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

static void three_user_ids(void)
{
	uid_t real, effective, saved;

	need_root();
	away();
	DO(setresuid(1000, 2000, 3000));
	home();
	DO(getresuid(&real, &effective, &saved));
	CHECK(real == 1000 && effective == 2000 && saved == 3000);
	away();
	EQUAL(geteuid(), 2000);
	EQUAL(setuid(0), -1);
	EQUAL(errno, EPERM);
	DO(seteuid(3000));
	EQUAL(geteuid(), 3000);
	DO(setreuid(-1, 1000));
	EQUAL(geteuid(), 1000);
	EQUAL(kill(1, 0), -1);
	EQUAL(errno, EPERM);
}

/* Which files may be opened, and to whom those belong that are made. */
static void files_of_a_user(void)
{
	char path[] = "/tmp/st-user-XXXXXX";
	struct stat about;

	need_root();
	CHECK(mkdtemp(path));
	DO(chdir(path));
	DO(chmod(".", 01777));
	write_text("secret", "x");
	DO(chmod("secret", 0640));
	DO(chown("secret", 0, 4321));
	away();
	setfsgid(4000);
	setfsuid(4001);
	EQUAL(setfsuid(-1), 4001);
	EQUAL(open("secret", O_RDONLY), -1);
	EQUAL(errno, EACCES);
	DO(close(DO(open("own", O_CREAT | O_WRONLY, 0600))));
	setfsuid(0);
	home();
	DO(stat("own", &about));
	EQUAL(about.st_uid, 4001);
	EQUAL(about.st_gid, 4000);
	away();
	/* A group that one is a member of opens it. */
	DO(setgroups(2, (gid_t[]){ 77, 4321 }));
	DO(setresgid(4000, 4000, 4000));
	DO(setresuid(4001, 4001, 4001));
	EQUAL(getgroups(0, NULL), 2);
	DO(open("secret", O_RDONLY));
	EQUAL(open("secret", O_RDWR), -1);
	EQUAL(errno, EACCES);
	EQUAL(setgroups(0, NULL), -1);
	EQUAL(errno, EPERM);
}

static struct __user_cap_data_struct capabilities[2];
static struct __user_cap_header_struct cap_header = { .version = _LINUX_CAPABILITY_VERSION_3 };

static void drop(int capability)
{
	DO(syscall(SYS_capget, &cap_header, capabilities));
	capabilities[capability / 32].effective &= ~(1u << capability % 32);
	DO(syscall(SYS_capset, &cap_header, capabilities));
}

static void single_capabilities(void)
{
	char path[] = "/tmp/st-cap-XXXXXX";

	need_root();
	DO(close(DO(mkstemp(path))));
	DO(chmod(path, 0));
	away();
	DO(close(DO(open(path, O_RDWR))));
	drop(CAP_DAC_OVERRIDE);
	EQUAL(open(path, O_RDWR), -1);
	EQUAL(errno, EACCES);
	DO(close(DO(open(path, O_RDONLY))));	/* CAP_DAC_READ_SEARCH */
	home();
	EQUAL(open(path, O_RDWR), -1);
	away();
	capabilities[0].effective |= 1u << CAP_DAC_OVERRIDE;
	DO(syscall(SYS_capset, &cap_header, capabilities));
	DO(close(DO(open(path, O_RDWR))));
	DO(chown(path, 5, 5));
	drop(CAP_CHOWN);
	EQUAL(chown(path, 6, 6), -1);
	EQUAL(errno, EPERM);
	/* What is dropped from the bounding set and the permitted one is gone. */
	DO(prctl(PR_CAPBSET_DROP, CAP_SYS_TIME));
	EQUAL(prctl(PR_CAPBSET_READ, CAP_SYS_TIME), 0);
	capabilities[0].permitted &= ~(1u << CAP_CHOWN);
	DO(syscall(SYS_capset, &cap_header, capabilities));
	capabilities[0].permitted |= 1u << CAP_CHOWN;
	EQUAL(syscall(SYS_capset, &cap_header, capabilities), -1);
	EQUAL(errno, EPERM);
	unlink(path);
}

/* Kept over a change of the user, and given on to what is executed. */
static void kept_capabilities(void)
{
	need_root();
	away();
	DO(prctl(PR_SET_KEEPCAPS, 1));
	DO(setresuid(4001, 4001, 4001));
	DO(syscall(SYS_capget, &cap_header, capabilities));
	EQUAL(capabilities[0].effective, 0);
	CHECK(capabilities[0].permitted & 1 << CAP_NET_RAW);
	capabilities[0].effective = capabilities[0].inheritable = 1 << CAP_NET_RAW;
	DO(syscall(SYS_capset, &cap_header, capabilities));
	DO(socket(AF_INET, SOCK_RAW, 1));
	DO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0));
	home();
	EQUAL(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_RAW, 0, 0), 1);
	away();
	EQUAL(system("grep -q 'CapEff:.*0002000$' /proc/self/status"), 0);
}

/* The owner's rights for whoever executes it, unless he has given that up. */
static void set_user_id_program(void)
{
	char command[100];

	need_root();
	EQUAL(system("d=$(mktemp -d /tmp/st-suid-XXXXXX) && chmod 755 $d && cp /usr/bin/id $d/id && "
		     "chown 77:78 $d/id && chmod 6755 $d/id && ln -sfn $d /tmp/st-suid"), 0);
	snprintf(command, sizeof(command), "/tmp/st-suid/id -u");
	DO(setresgid(4000, 4000, 4000));
	DO(setresuid(4001, 4001, 4001));
	away();
	if (atoi(output(command)) != 77)
		skip("/tmp is mounted nosuid");
	EQUAL(atoi(output("/tmp/st-suid/id -g")), 78);
	EQUAL(atoi(output("/tmp/st-suid/id -ru")), 4001);
	EQUAL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
	DO(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	EQUAL(atoi(output(command)), 4001);
	home();
	EQUAL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	EQUAL(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), -1);
	EQUAL(errno, EINVAL);
}

/* ---- capabilities of files ---- */

/*
 * What this program is when it is executed from a file with capabilities: for each byte it
 * tries what takes CAP_NET_RAW, and says the error.
 */
static int ask_for_raw_sockets(void)
{
	int file, error;
	char byte;

	while (read(0, &byte, 1) == 1) {
		file = socket(AF_INET, SOCK_RAW, 1);
		error = file < 0 ? errno : 0;
		if (file >= 0)
			close(file);
		if (write(1, &error, sizeof(error)) != sizeof(error))
			return 1;
	}
	return 0;
}

/* It, by a user who may do nothing else, who is away when he executes it. */
static pid_t execute(const char *program, bool no_new_privileges, int *ask, int *tell)
{
	int to[2], from[2];
	pid_t child;

	DO(pipe2(to, O_CLOEXEC));
	DO(pipe2(from, O_CLOEXEC));
	child = DO(fork());
	if (!child) {
		if (no_new_privileges)
			DO(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		DO(setgroups(0, NULL));
		DO(setresgid(4000, 4000, 4000));
		DO(setresuid(4001, 4001, 4001));
		away();
		EQUAL(socket(AF_INET, SOCK_RAW, 1), -1);
		EQUAL(errno, EPERM);
		DO(dup2(to[0], 0));
		DO(dup2(from[1], 1));
		execl(program, program, "--raw-sockets", NULL);
		fail(__FILE__, __LINE__, "%s: %s", program, strerror(errno));
	}
	close(to[0]);
	close(from[1]);
	*ask = to[1];
	*tell = from[0];
	return child;
}

static int error_at(int ask, int tell)
{
	int error;

	EQUAL(write(ask, "?", 1), 1);
	EQUAL(read(tell, &error, sizeof(error)), sizeof(error));
	return error;
}

/* As the kernel has them: with a root of a user namespace to whom they are limited, or not. */
static void set_capability(const char *program, bool for_root, uid_t root)
{
	struct vfs_ns_cap_data data = {
		.magic_etc = (for_root ? VFS_CAP_REVISION_3 : VFS_CAP_REVISION_2) |
			     VFS_CAP_FLAGS_EFFECTIVE,
		.data[0].permitted = 1 << CAP_NET_RAW, .rootid = root,
	};

	if (setxattr(program, "security.capability", &data,
		     for_root ? XATTR_CAPS_SZ_3 : XATTR_CAPS_SZ_2, 0))
		skip("security.capability: %s", strerror(errno));
}

/* A process that executes it, away, gains them, and has them wherever it is sent. */
static void program_with_capabilities(void)
{
	static const struct {
		bool for_root, no_new_privileges;
		uid_t root;
		int error;
	} ways[] = {
		{ false, false, 0, 0 }, { true, false, 0, 0 },
		/* Of another user namespace; and who has given that up. */
		{ true, false, 1000, EPERM }, { false, true, 0, EPERM },
	};
	char directory[] = "/tmp/st-caps-XXXXXX", command[100];
	int ask, tell, error;
	pid_t child;

	need_root();
	CHECK(mkdtemp(directory));
	snprintf(command, sizeof(command), "cp /proc/%d/exe %s/raw", getpid(), directory);
	DO(chmod(directory, 0755));
	EQUAL(system(command), 0);
	DO(chdir(directory));
	DO(chmod("raw", 0755));
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		set_capability("raw", ways[i].for_root, ways[i].root);
		child = execute("./raw", ways[i].no_new_privileges, &ask, &tell);
		error = error_at(ask, tell);
		if (!i && error)
			skip("/tmp is mounted nosuid");
		EQUAL(error, ways[i].error);
		/* Who asks may trace anybody. */
		away_pid(child);
		EQUAL(error_at(ask, tell), ways[i].error);
		home_pid(child);
		EQUAL(error_at(ask, tell), ways[i].error);
		away_pid(child);
		EQUAL(error_at(ask, tell), ways[i].error);
		close(ask);
		reap(child);
		close(tell);
	}
	unlink("raw");
	rmdir(directory);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(three_user_ids), CASE(files_of_a_user), CASE(single_capabilities),
		CASE(kept_capabilities), CASE(set_user_id_program),
		CASE(program_with_capabilities),
		{ 0 }
	};

	if (argc == 2 && !strcmp(argv[1], "--raw-sockets"))
		return ask_for_raw_sockets();
	return harness_main(argc, argv, cases);
}

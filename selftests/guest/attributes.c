// SPDX-License-Identifier: GPL-2.0
/* What a process is: who it may be, what it may do, in which worlds it lives, how it ends. */
#include "caught.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/ioprio.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/fsuid.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

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

/* The first line that a program, run away, prints. */
static const char *output(const char *command)
{
	static char line[200];
	FILE *pipe = popen(command, "r");

	line[0] = 0;
	CHECK(pipe && fgets(line, sizeof(line), pipe));
	line[strcspn(line, "\n")] = 0;
	EQUAL(pclose(pipe), 0);
	away();
	return line;
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

static char group_path[64];

/* A control group of this case's own, version 2. */
static const char *control_group(const char *file)
{
	static char path[128];

	if (!group_path[0]) {
		snprintf(group_path, sizeof(group_path), "/sys/fs/cgroup/radium-st-%d", getpid());
		if (access("/sys/fs/cgroup/cgroup.procs", W_OK))
			skip("no cgroup2");
		if (mkdir(group_path, 0755) && errno != EEXIST)
			skip("cgroup2: %s", strerror(errno));
	}
	snprintf(path, sizeof(path), "%s/%s", group_path, file);
	return path;
}

static void into_group(pid_t pid)
{
	char text[20];

	snprintf(text, sizeof(text), "%d\n", pid);
	write_text(control_group("cgroup.procs"), text);
}

static uint64_t peek(pid_t pid, volatile uint64_t *word)
{
	uint64_t value = 0;
	struct { void *base; size_t length; } here = { &value, 8 }, there = { (void *)word, 8 };

	EQUAL(syscall(SYS_process_vm_readv, pid, &here, 1, &there, 1, 0), 8);
	return value;
}

/* Frozen, a process that is away computes nothing; thawed, it goes on. */
static void frozen_group(void)
{
	volatile uint64_t *word = map_pages(1, PROT_READ | PROT_WRITE);
	uint64_t end, before;
	pid_t child;

	control_group("");
	child = DO(fork());
	if (!child)
		for (;;)
			++*word;
	into_group(child);
	away_pid(child);
	for (int round = 0; round < 2; round++) {
		write_text(control_group("cgroup.freeze"), "1\n");
		end = now_ns() + 8000000000ull;
		while (!strstr(read_text(control_group("cgroup.events")), "frozen 1") &&
		       now_ns() < end)
			sleep_ms(10);
		CHECK(strstr(read_text(control_group("cgroup.events")), "frozen 1"));
		before = peek(child, word);
		sleep_ms(200);
		EQUAL(peek(child, word), before);
		write_text(control_group("cgroup.freeze"), "0\n");
		end = now_ns() + 8000000000ull;
		while (peek(child, word) == before && now_ns() < end)
			sleep_ms(10);
		CHECK(peek(child, word) > before);
		away_pid(child);
	}
	/* A frozen one can be killed. */
	write_text(control_group("cgroup.freeze"), "1\n");
	DO(kill(child, SIGKILL));
	EQUAL(waitpid(child, NULL, 0), child);
	rmdir(group_path);
}

/* Who is frozen in the midst of a call stays where it is, whoever wants to move it. */
static void frozen_in_a_call(void)
{
	volatile uint64_t *word = map_pages(1, PROT_READ | PROT_WRITE);
	uint64_t end, before;
	pid_t child;

	control_group("");
	child = DO(fork());
	if (!child)
		for (;;) {
			sleep_ms(20);
			for (int i = 0; i < 1000; i++)
				++*word;
		}
	into_group(child);
	end = now_ns() + 8000000000ull;
	while (!peek(child, word) && now_ns() < end)
		sleep_ms(10);
	write_text(control_group("cgroup.freeze"), "1\n");
	while (!strstr(read_text(control_group("cgroup.events")), "frozen 1") && now_ns() < end)
		sleep_ms(10);
	CHECK(strstr(read_text(control_group("cgroup.events")), "frozen 1"));
	for (int round = 0; round < 3; round++) {
		before = peek(child, word);
		during("%d: a", child);
		during_end();
		sleep_ms(200);
		EQUAL(peek(child, word), before);
		CHECK(strstr(read_text(control_group("cgroup.events")), "frozen 1"));
	}
	write_text(control_group("cgroup.freeze"), "0\n");
	end = now_ns() + 8000000000ull;
	while (peek(child, word) == before && now_ns() < end)
		sleep_ms(10);
	CHECK(peek(child, word) > before);
	away_pid(child);
	DO(kill(child, SIGKILL));
	EQUAL(waitpid(child, NULL, 0), child);
	rmdir(group_path);
}

/* All of a group are killed, wherever they are. */
static void killed_group(void)
{
	pid_t children[2];
	int status;

	control_group("");
	if (access(control_group("cgroup.kill"), W_OK))
		skip("no cgroup.kill");
	for (int i = 0; i < 2; i++) {
		children[i] = DO(fork());
		if (!children[i])
			for (;;)
				compute_checked(1000);
		into_group(children[i]);
		if (i)
			away_pid(children[i]);
	}
	away();
	write_text(control_group("cgroup.kill"), "1\n");
	for (int i = 0; i < 2; i++) {
		EQUAL(waitpid(children[i], &status, 0), children[i]);
		EQUAL(status, SIGKILL);
	}
	rmdir(group_path);
}

/* As many processes as the group may have, and its name as the process sees it. */
static void number_of_processes(void)
{
	char name[80];
	pid_t child, one;

	control_group("");
	if (!strstr(read_text("/sys/fs/cgroup/cgroup.controllers"), "pids"))
		skip("no pids controller");
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+pids\n");
	write_text(control_group("pids.max"), "2\n");
	child = DO(fork());
	if (!child) {
		away();
		into_group(getpid());
		snprintf(name, sizeof(name), "0::%s\n", group_path + strlen("/sys/fs/cgroup"));
		CHECK(!strcmp(read_text("/proc/self/cgroup"), name));
		one = DO(fork());
		if (!one)
			for (;;)
				pause();
		away();
		EQUAL(fork(), -1);
		EQUAL(errno, EAGAIN);
		EQUAL(atoi(read_text(control_group("pids.current"))), 2);
		home();
		EQUAL(fork(), -1);
		EQUAL(errno, EAGAIN);
		DO(kill(one, SIGKILL));
		EQUAL(waitpid(one, NULL, 0), one);
		_exit(0);
	}
	reap(child);
	rmdir(group_path);
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "-pids\n");
}

static void scheduling(void)
{
	struct sched_param parameters = { .sched_priority = 7 };
	struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t priority;
		 uint64_t runtime, deadline, period; } more = { 0 };
	struct timespec slice;

	if (getpriority(PRIO_PROCESS, 0))
		skip("not as nice as usual");
	away();
	errno = 0;
	EQUAL(nice(3), 3);
	EQUAL(getpriority(PRIO_PROCESS, 0), 3);
	DO(setpriority(PRIO_PGRP, 0, 4));
	home();
	EQUAL(getpriority(PRIO_PROCESS, getpid()), 4);
	away();
	EQUAL(setpriority(PRIO_PROCESS, 0, 3), 0);
	EQUAL(sched_getscheduler(0), SCHED_OTHER);
	DO(sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ 0 }));
	EQUAL(sched_getscheduler(0), SCHED_BATCH);
	EQUAL(sched_setscheduler(0, SCHED_BATCH, &parameters), -1);
	EQUAL(errno, EINVAL);
	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &parameters))
		skip("SCHED_RR: %s", strerror(errno));
	home();
	EQUAL(sched_getscheduler(0), SCHED_RR | SCHED_RESET_ON_FORK);
	away();
	DO(sched_getparam(0, &parameters));
	EQUAL(parameters.sched_priority, 7);
	DO(sched_rr_get_interval(0, &slice));
	CHECK(slice.tv_nsec > 0 || slice.tv_sec > 0);
	DO(syscall(SYS_sched_getattr, 0, &more, sizeof(more), 0));
	EQUAL(more.policy, SCHED_RR);
	EQUAL(more.priority, 7);
	more = (typeof(more)){ .size = sizeof(more), .policy = SCHED_OTHER, .nice = 9 };
	DO(syscall(SYS_sched_setattr, 0, &more, 0));
	EQUAL(getpriority(PRIO_PROCESS, 0), 9);
	DO(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6)));
	EQUAL(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0), IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6));
	compute_ms(20);
}

static void affinity(void)
{
	cpu_set_t all, one, seen;
	unsigned int cpu;

	DO(sched_getaffinity(0, sizeof(all), &all));
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	away();
	DO(sched_setaffinity(0, sizeof(one), &one));
	DO(sched_getaffinity(0, sizeof(seen), &seen));
	CHECK(CPU_EQUAL(&seen, &one));
	DO(syscall(SYS_getcpu, &cpu, NULL, NULL));
	EQUAL(cpu, 0);
	compute_ms(20);
	home();
	DO(sched_getaffinity(0, sizeof(seen), &seen));
	CHECK(CPU_EQUAL(&seen, &one));
	away();
	CPU_ZERO(&one);
	EQUAL(sched_setaffinity(0, sizeof(one), &one), -1);
	EQUAL(errno, EINVAL);
	DO(sched_setaffinity(0, sizeof(all), &all));
}

/* A filter that answers this call so, and allows all others. */
static void install(unsigned int call, unsigned int action)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, code };

	DO(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
		skip("seccomp: %s", strerror(errno));
}

static void filtered_calls(void)
{
	int status;
	pid_t child;

	handle(SIGSYS);
	away();
	install(SYS_getpgid, SECCOMP_RET_ERRNO | 77);
	EQUAL(getpgid(0), -1);
	EQUAL(errno, 77);
	away();
	EQUAL(getpgid(0), -1);
	EQUAL(errno, 77);
	CHECK(getsid(0) > 0);
	install(SYS_getsid, SECCOMP_RET_TRAP | 5);
	EQUAL(syscall(SYS_getsid, 0), SYS_getsid);	/* what was in the register */
	EQUAL(caught, SIGSYS);
	EQUAL(caught_info.si_code, 1);	/* SYS_SECCOMP */
	EQUAL(caught_info.si_syscall, SYS_getsid);
	EQUAL(caught_info.si_errno, 5);
	EQUAL(caught_info.si_arch, AUDIT_ARCH_X86_64);
	EQUAL(prctl(PR_GET_SECCOMP), 2);
	home();
	EQUAL(getpgid(0), -1);
	EQUAL(errno, 77);
	child = DO(fork());
	if (!child) {
		away();
		install(SYS_umask, SECCOMP_RET_KILL_PROCESS);
		umask(0);
		_exit(1);
	}
	EQUAL(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

/* Nothing but read, write, exit and the return from a handler. */
static void strict_mode(void)
{
	int status, ends[2];
	pid_t child;
	char byte;

	DO(pipe(ends));
	for (int bad = 0; bad < 2; bad++) {
		child = DO(fork());
		if (!child) {
			away();
			if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
				syscall(SYS_exit, 99);
			if (write(ends[1], "x", 1) != 1)
				syscall(SYS_exit, 1);
			/* Without a clock: strict mode takes rdtsc away, too. */
			for (volatile int i = 0; i < 3000000; i++)
				;
			if (bad)
				syscall(SYS_getpid);
			syscall(SYS_exit, 33);
		}
		EQUAL(waitpid(child, &status, 0), child);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 99)
			skip("no strict mode");
		EQUAL(status, bad ? SIGKILL : 33 << 8);
		EQUAL(read(ends[0], &byte, 1), 1);
	}
}

static void sessions_and_groups(void)
{
	pid_t child, group;
	int ends[2];

	DO(pipe(ends));
	away();
	child = DO(fork());
	if (!child) {
		away();
		EQUAL(getpgrp(), getpgid(getppid()));
		DO(setpgid(0, 0));
		EQUAL(setpgid(0, 1), -1);
		EQUAL(errno, EPERM);
		EQUAL(setsid(), -1);		/* it leads a group */
		EQUAL(errno, EPERM);
		handle(SIGUSR1);
		EQUAL(write(ends[1], "x", 1), 1);
		while (!caught)
			;
		EQUAL(caught_info.si_pid, getppid());
		EQUAL(caught_info.si_code, SI_USER);
		_exit(0);
	}
	away();
	EQUAL(read(ends[0], &group, 1), 1);
	EQUAL(getpgid(child), child);
	EQUAL(kill(-child, SIGUSR1), 0);
	reap(child);
	EQUAL(kill(-child, 0), -1);
	EQUAL(errno, ESRCH);
	group = DO(fork());
	if (!group) {
		EQUAL(setsid(), getpid());
		EQUAL(getpgrp(), getpid());
		_exit(0);
	}
	reap(group);
}

/* A parent's end is told by a signal, to a child that is away. */
static void death_of_parent(void)
{
	int ends[2], status, which = 0;
	pid_t parent;
	char byte = 0;

	DO(pipe(ends));
	parent = DO(fork());
	if (!parent) {
		pid_t child = DO(fork());

		if (!child) {
			pid_t old_parent = getppid();

			handle(SIGRTMIN + 2);
			away();
			DO(prctl(PR_SET_PDEATHSIG, SIGRTMIN + 2));
			DO(prctl(PR_GET_PDEATHSIG, &which));
			EQUAL(which, SIGRTMIN + 2);
			EQUAL(write(ends[1], "r", 1), 1);
			while (!caught)
				;
			EQUAL(caught_info.si_pid, old_parent);
			CHECK(getppid() != old_parent);
			EQUAL(write(ends[1], "d", 1), 1);
			_exit(0);
		}
		for (;;)
			pause();
	}
	EQUAL(read(ends[0], &byte, 1), 1);
	EQUAL(byte, 'r');
	sleep_ms(50);
	DO(kill(parent, SIGKILL));
	EQUAL(waitpid(parent, &status, 0), parent);
	EQUAL(read(ends[0], &byte, 1), 1);
	EQUAL(byte, 'd');
}

static void personality_and_dump(void)
{
	char path[40];
	struct stat about;

	away();
	EQUAL(personality(0xffffffff), 0);
	EQUAL(personality(ADDR_NO_RANDOMIZE | UNAME26), 0);
	home();
	EQUAL(personality(0xffffffff), ADDR_NO_RANDOMIZE | UNAME26);
	away();
	CHECK(!strncmp(output("uname -r"), "2.6.", 4));
	EQUAL(personality(0), ADDR_NO_RANDOMIZE | UNAME26);
	EQUAL(prctl(PR_GET_DUMPABLE), 1);
	DO(prctl(PR_SET_DUMPABLE, 0));
	EQUAL(prctl(PR_GET_DUMPABLE), 0);
	EQUAL(prctl(PR_SET_DUMPABLE, 2), -1);
	EQUAL(errno, EINVAL);
	snprintf(path, sizeof(path), "/proc/%d/maps", getpid());
	DO(stat(path, &about));
	EQUAL(about.st_uid, 0);
	home();
	EQUAL(prctl(PR_GET_DUMPABLE), 0);
	DO(prctl(PR_SET_DUMPABLE, 1));
}

static void small_attributes(void)
{
	char name[16];

	away();
	EQUAL(umask(0123), 022);
	DO(prctl(PR_SET_TIMERSLACK, 123456));
	DO(prctl(PR_SET_NAME, "another name"));
	DO(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS));
	DO(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	DO(prctl(PR_SET_CHILD_SUBREAPER, 1));
	home();
	EQUAL(umask(022), 0123);
	EQUAL(prctl(PR_GET_TIMERSLACK), 123456);
	DO(prctl(PR_GET_NAME, name));
	CHECK(!strcmp(name, "another name"));
	EQUAL(prctl(PR_GET_SECUREBITS), SECBIT_KEEP_CAPS);
	EQUAL(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
	away();
	DO(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
	EQUAL(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 0);
	EQUAL(prctl(99999), -1);
	EQUAL(errno, EINVAL);
}

/* Ports are the home's; an instruction that uses one is allowed there only. */
static void port_permissions(void)
{
	if (ioperm(0x80, 1, 1))
		skip("ioperm: %s", strerror(errno));
	away();
	for (int i = 0; i < 3; i++) {
		outb(i, 0x80);		/* a port for the numbers of tests */
		away();
	}
	DO(ioperm(0x80, 1, 0));
	away();
	EQUAL(iopl(4), -1);
	EQUAL(errno, EINVAL);
}

/* It is forbidden at home and stays there, or it is forbidden away and comes home. */
enum { STAYS, IS_ASKED_AWAY, FORBIDS_AWAY, WAYS };

static void forbid_and_use(int way, int ready, int go)
{
	int mode = 0;
	char byte;

	if (way == FORBIDS_AWAY)
		away();
	DO(prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
	DO(prctl(PR_GET_TSC, &mode));
	EQUAL(mode, PR_TSC_SIGSEGV);
	EQUAL(write(ready, "x", 1), 1);
	EQUAL(read(go, &byte, 1), 1);
	asm volatile("rdtsc" : : : "eax", "edx");
	_exit(0);
}

/* Reading the time stamp counter is a fault when the process has said so. */
static void forbidden_instruction(void)
{
	int ready[2], go[2], status;

	DO(pipe(ready));
	DO(pipe(go));
	for (int way = 0; way < WAYS; way++) {
		pid_t child = DO(fork());
		char byte;

		if (!child)
			forbid_and_use(way, ready[1], go[0]);
		EQUAL(read(ready[0], &byte, 1), 1);
		if (way == IS_ASKED_AWAY)
			away_refused(child, "INSTRUCTIONS");
		EQUAL(write(go[1], "x", 1), 1);
		EQUAL(waitpid(child, &status, 0), child);
		if (way == STAYS && !status)
			skip("this machine does not forbid it");
		EQUAL(status & 0x7f, SIGSEGV);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(three_user_ids), CASE(files_of_a_user), CASE(single_capabilities),
		CASE(kept_capabilities), CASE(set_user_id_program), CASE(pid_namespace),
		CASE(pid_namespace_ends), CASE(mount_namespace), CASE(user_namespace),
		CASE(network_and_names), CASE(another_root), CASE(frozen_group),
		CASE(frozen_in_a_call), CASE(killed_group),
		CASE(number_of_processes), CASE(scheduling), CASE(affinity), CASE(filtered_calls),
		CASE(strict_mode), CASE(sessions_and_groups), CASE(death_of_parent),
		CASE(personality_and_dump), CASE(small_attributes), CASE(port_permissions),
		CASE(forbidden_instruction),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

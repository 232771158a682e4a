// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that the C library does not make, because a newer one does more, or that few
 * programs make: each does away what it is for.
 */
#include "caught.h"
#include "fault.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/futex.h>
#include <linux/kcmp.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/membarrier.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <utime.h>

#define RW (PROT_READ | PROT_WRITE)

static void old_files(void)
{
	struct { unsigned long inode, offset; unsigned short length; char name[]; } *entry;
	char list[512];
	struct stat about;
	struct statfs system;
	int file;

	own_directory();
	away();
	file = DO(syscall(SYS_creat, "file", 0640));
	EQUAL(write(file, "0123456789", 10), 10);
	DO(syscall(SYS_fstat, file, &about));
	EQUAL(about.st_size, 10);
	DO(syscall(SYS_fsync, file));
	DO(close(file));
	DO(syscall(SYS_truncate, "file", 4));
	DO(syscall(SYS_stat, "file", &about));
	EQUAL(about.st_size, 4);
	DO(syscall(SYS_link, "file", "hard"));
	DO(syscall(SYS_symlink, "file", "soft"));
	DO(syscall(SYS_lstat, "soft", &about));
	CHECK(S_ISLNK(about.st_mode));
	DO(syscall(SYS_lchown, "soft", 3, 4));
	DO(syscall(SYS_lstat, "soft", &about));
	EQUAL(about.st_gid, 4);
	DO(syscall(SYS_mkdir, "directory", 0700));
	DO(syscall(SYS_renameat, AT_FDCWD, "hard", AT_FDCWD, "directory/hard"));
	DO(syscall(SYS_mknod, "node", S_IFIFO | 0600, 0));
	DO(syscall(SYS_stat, "node", &about));
	CHECK(S_ISFIFO(about.st_mode));
	DO(syscall(SYS_fchmodat, AT_FDCWD, "file", 0600));
	DO(syscall(SYS_fchownat, AT_FDCWD, "file", 5, 6, 0));
	DO(syscall(SYS_faccessat, AT_FDCWD, "directory/hard", F_OK));
	home();
	DO(stat("directory/hard", &about));
	CHECK(about.st_uid == 5 && about.st_gid == 6 && (about.st_mode & 07777) == 0600);
	away();
	file = DO(syscall(SYS_open, "directory", O_RDONLY | O_DIRECTORY));
	CHECK(DO(syscall(SYS_getdents, file, list, sizeof(list))) > 0);
	entry = (void *)list;
	CHECK(entry->length > 18 && (entry->name[0] == '.' || !strcmp(entry->name, "hard")));
	EQUAL(syscall(SYS_getdents, file, list, sizeof(list)), 0);
	DO(syscall(SYS_fstatfs, file, &system));
	CHECK(system.f_bsize > 0);
}

static void old_times(void)
{
	struct utimbuf both = { 1000, 2000 };
	struct timeval precise[2] = { { 3000, 4 }, { 5000, 6 } }, now;
	struct timespec sleep = { 0, 20000000 }, rest;
	struct stat about;
	uint64_t start;
	time_t seconds;

	own_directory();
	write_text("file", "x");
	away();
	DO(syscall(SYS_utime, "file", &both));
	DO(stat("file", &about));
	EQUAL(about.st_mtime, 2000);
	DO(syscall(SYS_utimes, "file", precise));
	DO(stat("file", &about));
	EQUAL(about.st_mtim.tv_nsec, 6000);
	precise[1].tv_sec = 7000;
	DO(syscall(SYS_futimesat, AT_FDCWD, "file", precise));
	home();
	DO(stat("file", &about));
	EQUAL(about.st_mtime, 7000);
	EQUAL(about.st_atime, 3000);
	away();
	start = now_ns();
	DO(syscall(SYS_nanosleep, &sleep, &rest));
	CHECK(now_ns() - start >= 20000000);
	seconds = DO(syscall(SYS_time, NULL));
	DO(syscall(SYS_gettimeofday, &now, NULL));
	CHECK(now.tv_sec >= seconds && now.tv_sec <= seconds + 5);
}

static void old_descriptors(void)
{
	struct timeval none = { 0, 0 };
	struct iovec part;
	char byte = 0;
	int ends[2], fd;
	uint64_t value;
	sigset_t set;
	fd_set ready;

	sigemptyset(&set);
	away();
	DO(syscall(SYS_pipe, ends));
	EQUAL(write(ends[1], "p", 1), 1);
	FD_ZERO(&ready);
	FD_SET(ends[0], &ready);
	EQUAL(syscall(SYS_select, ends[0] + 1, &ready, NULL, NULL, &none), 1);
	part = (struct iovec){ &byte, 1 };
	EQUAL(syscall(SYS_readv, ends[0], &part, 1), 1);
	EQUAL(byte, 'p');
	fd = DO(syscall(SYS_eventfd, 3));
	EQUAL(read(fd, &value, 8), 8);
	EQUAL(value, 3);
	EQUAL(syscall(SYS_dup3, fd, 60, O_CLOEXEC), 60);
	EQUAL(fcntl(60, F_GETFD), FD_CLOEXEC);
	DO(syscall(SYS_epoll_create, 1));
	DO(syscall(SYS_inotify_init));
	DO(syscall(SYS_signalfd, -1, &set, 8));
}

static void old_limits_and_ids(void)
{
	gid_t real, effective, saved;
	struct rlimit limit = { 77, 88 };
	struct sysinfo about;

	away();
	DO(syscall(SYS_setrlimit, RLIMIT_NOFILE, &limit));
	limit.rlim_cur = 0;
	DO(syscall(SYS_getrlimit, RLIMIT_NOFILE, &limit));
	EQUAL(limit.rlim_cur, 77);
	DO(syscall(SYS_sysinfo, &about));
	CHECK(about.totalram > about.freeram && about.procs > 1);
	if (!geteuid()) {
		DO(syscall(SYS_setregid, 10, 20));
		DO(syscall(SYS_getresgid, &real, &effective, &saved));
		CHECK(real == 10 && effective == 20 && saved == 20);
		DO(syscall(SYS_getresuid, &real, &effective, &saved));
		EQUAL(effective, 0);
	}
}

static void system_v(void)
{
	struct { long type; char text[8]; } message = { 4, "text" };
	struct sembuf up = { 1, 3, 0 }, wait = { 1, -4, IPC_NOWAIT };
	struct timespec soon = { 0, 10000000 };
	struct msqid_ds about;
	int queue, set;

	away();
	queue = DO(msgget(IPC_PRIVATE, 0600));
	DO(msgsnd(queue, &message, 5, 0));
	DO(msgctl(queue, IPC_STAT, &about));
	EQUAL(about.msg_qnum, 1);
	EQUAL(about.msg_lspid, getpid());
	EQUAL(msgrcv(queue, &message, 8, 3, IPC_NOWAIT), -1);
	EQUAL(errno, ENOMSG);
	EQUAL(msgrcv(queue, &message, 2, 4, 0), -1);
	EQUAL(errno, E2BIG);
	EQUAL(msgrcv(queue, &message, 8, 0, 0), 5);
	DO(msgctl(queue, IPC_RMID, NULL));
	set = DO(semget(IPC_PRIVATE, 2, 0600));
	DO(semctl(set, 1, SETVAL, 0));
	DO(syscall(SYS_semop, set, &up, 1l));
	EQUAL(semctl(set, 1, GETVAL), 3);
	EQUAL(semctl(set, 1, GETPID), getpid());
	EQUAL(semop(set, &wait, 1), -1);
	EQUAL(errno, EAGAIN);
	wait.sem_flg = 0;
	EQUAL(semtimedop(set, &wait, 1, &soon), -1);
	EQUAL(errno, EAGAIN);
	home();
	EQUAL(semctl(set, 1, GETVAL), 3);
	away();
	DO(semctl(set, 0, IPC_RMID));
	EQUAL(shmget(0x7a7a7a, 4096, 0), -1);
	EQUAL(errno, ENOENT);
}

/* They only tell something, each in its own way. */
static void reports(void)
{
	struct sockaddr_un address;
	socklen_t length = sizeof(address);
	struct timex time = { .modes = 0 };
	struct ustat { int blocks; unsigned long inodes; char names[12]; } system;
	struct stat about;
	size_t size = 0;
	void *list = NULL;
	int pair[2];

	DO(stat("/tmp", &about));
	away();
	CHECK(DO(syscall(SYS_adjtimex, &time)) >= 0);
	CHECK(time.tick >= 9000 && time.tick <= 11000);
	time.tick = 0;
	CHECK(DO(syscall(SYS_clock_adjtime, CLOCK_REALTIME, &time)) >= 0);
	CHECK(time.tick >= 9000 && time.tick <= 11000);
	DO(syscall(SYS_get_robust_list, 0, &list, &size));
	CHECK(list && size == 24);
	EQUAL(syscall(SYS_restart_syscall), -1);
	EQUAL(errno, EINTR);
	if (syscall(SYS_ustat, about.st_dev, &system))
		CHECK(errno == EINVAL || errno == ENOSYS);
	if (syscall(SYS_syslog, 10, NULL, 0) < 0)
		CHECK(errno == EPERM || errno == ENOSYS);
	EQUAL(syscall(SYS_sched_get_priority_max, SCHED_FIFO), 99);
	EQUAL(syscall(SYS_sched_get_priority_min, SCHED_OTHER), 0);
	DO(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair));
	DO(syscall(SYS_getsockname, pair[0], &address, &length));
	EQUAL(length, sizeof(address.sun_family));
	EQUAL(address.sun_family, AF_UNIX);
}

/* What a semaphore's operations were is undone when their process ends, away. */
static void undone_at_the_end(void)
{
	struct sembuf up = { 0, 5, SEM_UNDO };
	int set = DO(semget(IPC_PRIVATE, 1, 0600));
	pid_t child;

	DO(semctl(set, 0, SETVAL, 1));
	child = DO(fork());
	if (!child) {
		away();
		DO(semop(set, &up, 1));
		EQUAL(semctl(set, 0, GETVAL), 6);
		_exit(0);
	}
	reap(child);
	EQUAL(semctl(set, 0, GETVAL), 1);
	DO(semctl(set, 0, IPC_RMID));
}

static void extended_attributes(void)
{
	char value[16], list[64];
	int file;

	own_directory();
	write_text("file", "x");
	DO(symlink("file", "soft"));
	away();
	if (setxattr("file", "trusted.one", "1", 1, 0))
		skip("setxattr: %s", strerror(errno));
	DO(lsetxattr("soft", "trusted.two", "22", 2, 0));
	EQUAL(lgetxattr("soft", "trusted.two", value, 16), 2);
	EQUAL(lgetxattr("soft", "trusted.one", value, 16), -1);
	EQUAL(errno, ENODATA);
	CHECK(listxattr("file", list, sizeof(list)) >= 12);
	CHECK(llistxattr("soft", list, sizeof(list)) >= 12);
	home();
	EQUAL(getxattr("soft", "trusted.one", value, 16), 1);
	away();
	DO(lremovexattr("soft", "trusted.two"));
	EQUAL(lgetxattr("soft", "trusted.two", value, 16), -1);
	file = DO(open("file", O_RDWR));
	DO(fremovexattr(file, "trusted.one"));
	EQUAL(getxattr("file", "trusted.one", value, 16), -1);
	DO(syscall(SYS_sync_file_range, file, 0l, 0l, 0));
	EQUAL(readahead(file, 0, 100), 0);
}

static void resolved_paths(void)
{
	struct open_how how = { .flags = O_RDONLY, .resolve = RESOLVE_NO_SYMLINKS };

	own_directory();
	write_text("file", "x");
	DO(symlink("file", "soft"));
	away();
	DO(syscall(SYS_openat2, AT_FDCWD, "file", &how, sizeof(how)));
	EQUAL(syscall(SYS_openat2, AT_FDCWD, "soft", &how, sizeof(how)), -1);
	EQUAL(errno, ELOOP);
	how.resolve = RESOLVE_BENEATH;
	EQUAL(syscall(SYS_openat2, AT_FDCWD, "../..", &how, sizeof(how)), -1);
	EQUAL(errno, EXDEV);
	how.mode = 0600;
	EQUAL(syscall(SYS_openat2, AT_FDCWD, "file", &how, sizeof(how)), -1);
	EQUAL(errno, EINVAL);
}

static void mounts_by_descriptor(void)
{
	struct mount_attr attributes = { .attr_set = MOUNT_ATTR_RDONLY };
	int context, mount, tree;

	own_directory();
	DO(mkdir("one", 0700));
	DO(mkdir("two", 0700));
	if (unshare(CLONE_NEWNS))
		skip("unshare: %s", strerror(errno));
	DO(system("mount --make-rprivate /"));
	away();
	context = DO(syscall(SYS_fsopen, "tmpfs", 0));
	EQUAL(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "no-such-option", "x", 0), -1);
	EQUAL(errno, EINVAL);
	DO(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "size", "64k", 0));
	DO(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	mount = DO(syscall(SYS_fsmount, context, 0, 0));
	DO(syscall(SYS_move_mount, mount, "", AT_FDCWD, "one", MOVE_MOUNT_F_EMPTY_PATH));
	write_text("one/file", "mounted");
	tree = DO(syscall(SYS_open_tree, AT_FDCWD, "one", OPEN_TREE_CLONE));
	DO(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)));
	DO(syscall(SYS_move_mount, tree, "", AT_FDCWD, "two", MOVE_MOUNT_F_EMPTY_PATH));
	home();
	CHECK(!strcmp(read_text("two/file"), "mounted"));
	away();
	EQUAL(open("two/file", O_WRONLY), -1);
	EQUAL(errno, EROFS);
	context = DO(syscall(SYS_fspick, AT_FDCWD, "one", 0));
	DO(syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, "ro", NULL, 0));
	DO(close(context));
	DO(close(tree));
	DO(syscall(SYS_umount2, "two", 0));
	EQUAL(access("two/file", F_OK), -1);
	EQUAL(errno, ENOENT);
}

/* A process that shuts itself in. */
static void landlock(void)
{
	struct landlock_ruleset_attr rules = { .handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE };
	struct landlock_path_beneath_attr below = { .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE };
	int set;

	away();
	set = syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
	if (set < 0)
		skip("landlock: %s", strerror(errno));
	below.parent_fd = DO(open("/usr", O_PATH | O_DIRECTORY));
	DO(syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &below, 0));
	DO(syscall(SYS_landlock_restrict_self, set, 0));
	DO(close(DO(open("/usr/bin/env", O_RDONLY))));
	EQUAL(open("/etc/passwd", O_RDONLY), -1);
	EQUAL(errno, EACCES);
	home();
	EQUAL(open("/etc/passwd", O_RDONLY), -1);
	EQUAL(errno, EACCES);
}

static void keys(void)
{
	char text[16] = "";
	int ring, key;

	away();
	ring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
	if (ring < 0)
		skip("keyctl: %s", strerror(errno));
	key = DO(syscall(SYS_add_key, "user", "radium", "secret", 6, KEY_SPEC_SESSION_KEYRING));
	EQUAL(syscall(SYS_request_key, "user", "radium", NULL, 0), key);
	EQUAL(syscall(SYS_request_key, "user", "another", NULL, 0), -1);
	EQUAL(errno, ENOKEY);
	home();
	EQUAL(syscall(SYS_keyctl, KEYCTL_READ, key, text, sizeof(text)), 6);
	CHECK(!memcmp(text, "secret", 6));
	away();
	DO(syscall(SYS_keyctl, KEYCTL_REVOKE, key));
	EQUAL(syscall(SYS_keyctl, KEYCTL_READ, key, text, sizeof(text)), -1);
	EQUAL(errno, EKEYREVOKED);
}

static void maps_of_bpf(void)
{
	union bpf_attr attributes = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4,
				      .value_size = 8, .max_entries = 4 };
	uint64_t value = 0x1234, seen = 0;
	uint32_t key = 3;
	int map;

	away();
	map = syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes));
	if (map < 0)
		skip("bpf: %s", strerror(errno));
	memset(&attributes, 0, sizeof(attributes));
	attributes.map_fd = map;
	attributes.key = (uintptr_t)&key;
	attributes.value = (uintptr_t)&value;
	DO(syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attributes, sizeof(attributes)));
	attributes.value = (uintptr_t)&seen;
	attributes.flags = 0;
	DO(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attributes, sizeof(attributes)));
	EQUAL(seen, 0x1234);
	key = 4;
	EQUAL(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attributes, sizeof(attributes)), -1);
	EQUAL(errno, ENOENT);
}

/* Of its own calls and page faults; what it computes away is not counted. */
static void performance_counter(void)
{
	struct perf_event_attr event = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(event),
					 .config = PERF_COUNT_SW_TASK_CLOCK, .disabled = 1 };
	const struct perf_event_mmap_page *page;
	uint64_t first, second;
	int fd;

	away();
	fd = syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
	if (fd < 0)
		skip("perf_event_open: %s", strerror(errno));
	DO(ioctl(fd, PERF_EVENT_IOC_ENABLE, 0));
	page = DO(mmap(NULL, 2 * 4096, RW, MAP_SHARED, fd, 0));
	EQUAL(page->data_size, 4096);
	home();
	compute_ms(20);
	EQUAL(read(fd, &first, 8), 8);
	compute_ms(20);
	EQUAL(read(fd, &second, 8), 8);
	CHECK(first > 0 && second > first);
	away();
	DO(ioctl(fd, PERF_EVENT_IOC_DISABLE, 0));
	EQUAL(read(fd, &first, 8), 8);
	EQUAL(read(fd, &second, 8), 8);
	EQUAL(first, second);
}

static void compared_processes(void)
{
	int file, copy, other;
	pid_t child;

	file = DO(open("/dev/null", O_RDONLY));
	away();
	copy = DO(dup(file));
	other = DO(open("/dev/null", O_RDONLY));
	EQUAL(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, file, copy), 0);
	CHECK(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, file, other) > 0);
	child = DO(fork());
	if (!child)
		for (;;)
			pause();
	away();
	EQUAL(syscall(SYS_kcmp, getpid(), child, KCMP_FILE, file, file), 0);
	CHECK(syscall(SYS_kcmp, getpid(), child, KCMP_VM, 0, 0) > 0);
	DO(kill(child, SIGKILL));
}

static void barriers(void)
{
	long commands;

	away();
	commands = DO(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0));
	CHECK(commands & MEMBARRIER_CMD_GLOBAL);
	DO(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
	EQUAL(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), -1);
	EQUAL(errno, EPERM);
	DO(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
	home();
	DO(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
	away();
	DO(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
}

static void wake(void *word)
{
	__atomic_store_n((uint32_t *)word, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void many_futexes(void)
{
	uint32_t *words = DO(mmap(NULL, 4096, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	struct futex_waitv wait[2] = {
		{ .uaddr = (uintptr_t)&words[0], .flags = FUTEX_32 },
		{ .uaddr = (uintptr_t)&words[1], .flags = FUTEX_32 },
	};
	struct timespec until;
	pid_t helper;
	long result;

	away();
	DO(clock_gettime(CLOCK_MONOTONIC, &until));
	result = syscall(SYS_futex_waitv, wait, 2, 0, &until, CLOCK_MONOTONIC);
	if (result < 0 && errno == ENOSYS)
		skip("no futex_waitv");
	EQUAL(result, -1);
	EQUAL(errno, ETIMEDOUT);
	until.tv_sec += 8;
	helper = later(200, wake, &words[1]);
	during("40 A 40 H 40 A");
	result = syscall(SYS_futex_waitv, wait, 2, 0, &until, CLOCK_MONOTONIC);
	/* One that starts anew after the change finds it. */
	if (result < 0)
		EQUAL(errno, EAGAIN);
	else
		EQUAL(result, 1);
	during_end();
	reap(helper);
	EQUAL(words[1], 1);
}

static void signals_to_a_thread(void)
{
	siginfo_t info = { .si_signo = SIGUSR2, .si_code = SI_QUEUE };

	handle(SIGUSR1);
	handle(SIGUSR2);
	away();
	DO(syscall(SYS_tkill, gettid(), SIGUSR1));
	EQUAL(caught, SIGUSR1);
	EQUAL(caught_info.si_code, SI_TKILL);
	away();
	info.si_value.sival_int = 99;
	info.si_pid = getpid();
	DO(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR2, &info));
	EQUAL(caught, SIGUSR2);
	EQUAL(caught_info.si_value.sival_int, 99);
	EQUAL(syscall(SYS_tgkill, getpid() + 1, gettid(), SIGUSR1), -1);
	EQUAL(errno, ESRCH);
}

/* Who traces is away, and writes into the other's memory. */
static void tracer_is_away(void)
{
	char *memory = map_pages(2, RW), text[] = "written";
	struct iovec here = { text, 7 }, there = { memory + 4093, 7 };
	struct user_regs_struct registers;
	int status, ends[2];
	char path[40];
	pid_t child;

	DO(pipe(ends));
	child = DO(fork());
	if (!child) {
		char byte;

		if (read(ends[0], &byte, 1) != 1)
			_exit(1);
		_exit(memcmp(memory + 4093, "written", 7) ? 2 : 42);
	}
	/* It is in its read(). */
	snprintf(path, sizeof(path), "/proc/%d/syscall", child);
	for (int i = 0; i < 300 && strncmp(read_text(path), "0 ", 2); i++)
		sleep_ms(10);
	away();
	EQUAL(process_vm_writev(child, &here, 1, &there, 1, 0), 7);
	DO(ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXIT));
	DO(ptrace(PTRACE_INTERRUPT, child, 0, 0));
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(status >> 16, PTRACE_EVENT_STOP);
	away();
	DO(ptrace(PTRACE_GETREGS, child, 0, &registers));
	EQUAL(registers.orig_rax, SYS_read);
	EQUAL(ptrace(PTRACE_PEEKDATA, child, memory, 0), 0);
	DO(ptrace(PTRACE_SYSCALL, child, 0, 0));
	EQUAL(write(ends[1], "x", 1), 1);
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(WSTOPSIG(status), SIGTRAP | 0x80);
	DO(ptrace(PTRACE_CONT, child, 0, 0));
	EQUAL(waitpid(child, &status, 0), child);
	if (status >> 8 != (SIGTRAP | PTRACE_EVENT_EXIT << 8)) {
		EQUAL(WSTOPSIG(status), SIGTRAP | 0x80);
		DO(ptrace(PTRACE_CONT, child, 0, 0));
		EQUAL(waitpid(child, &status, 0), child);
	}
	EQUAL(status >> 8, SIGTRAP | PTRACE_EVENT_EXIT << 8);
	DO(ptrace(PTRACE_CONT, child, 0, 0));
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(WEXITSTATUS(status), 42);
}

static void program_by_descriptor(void)
{
	char *const arguments[] = { "sh", "-c", "exit 24", NULL };
	char *const none[] = { NULL };
	int file, status;
	pid_t child;

	file = DO(open("/bin/sh", O_PATH | O_CLOEXEC));
	child = DO(fork());
	if (!child) {
		away();
		syscall(SYS_execveat, file, "", arguments, none, AT_EMPTY_PATH);
		_exit(1);
	}
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(WEXITSTATUS(status), 24);
	away();
	EQUAL(syscall(SYS_execveat, file, "", arguments, none, 0), -1);
	EQUAL(errno, ENOENT);
}

/* Made away, and used there from the beginning; another fills the pages. */
static void faults_of_another(void)
{
	char *memory = map_pages(2, RW), *page = map_pages(1, RW);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .range = { (uintptr_t)memory, 8192 },
					 .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffd_msg message;
	pid_t server;
	int fd;

	memset(page, 'u', 4096);
	away();
	fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0)
		skip("userfaultfd: %s", strerror(errno));
	DO(ioctl(fd, UFFDIO_API, &api));
	DO(ioctl(fd, UFFDIO_REGISTER, &range));
	server = DO(fork());
	if (!server) {
		struct uffdio_copy copy = { .src = (uintptr_t)page, .len = 4096 };

		EQUAL(read(fd, &message, sizeof(message)), sizeof(message));
		copy.dst = message.arg.pagefault.address & ~4095ul;
		DO(ioctl(fd, UFFDIO_COPY, &copy));
		_exit(0);
	}
	away();
	EQUAL(memory[4096 + 17], 'u');
	reap(server);
}

/* Pages that have been written away are protected then; each write asks the other. */
static void protection_of_another(void)
{
	char *memory = map_pages(4, RW);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .range = { (uintptr_t)memory, 4 * 4096 },
					 .mode = UFFDIO_REGISTER_MODE_WP };
	struct uffdio_writeprotect protect = { .range = range.range,
					       .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	struct uffd_msg message;
	pid_t server;
	int fd;

	away();
	memset(memory, 'a', 4 * 4096);
	fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0)
		skip("userfaultfd: %s", strerror(errno));
	DO(ioctl(fd, UFFDIO_API, &api));
	if (!(api.features & UFFD_FEATURE_PAGEFAULT_FLAG_WP) || ioctl(fd, UFFDIO_REGISTER, &range))
		skip("no write protection");
	memory[4096] = 'b';
	DO(ioctl(fd, UFFDIO_WRITEPROTECT, &protect));
	server = DO(fork());
	if (!server) {
		EQUAL(read(fd, &message, sizeof(message)), sizeof(message));
		EQUAL(message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP, UFFD_PAGEFAULT_FLAG_WP);
		EQUAL(message.arg.pagefault.address & ~4095ull, (uintptr_t)memory + 2 * 4096);
		protect.range.start = (uintptr_t)memory + 2 * 4096;
		protect.range.len = 4096;
		protect.mode = 0;
		DO(ioctl(fd, UFFDIO_WRITEPROTECT, &protect));
		_exit(0);
	}
	away();
	CHECK(memory[0] == 'a' && memory[4096] == 'b');
	memory[2 * 4096] = 'c';
	reap(server);
	EQUAL(memory[2 * 4096], 'c');
}

static void keys_of_protection(void)
{
	char *memory = map_pages(1, RW);
	int key;

	away();
	EQUAL(syscall(SYS_pkey_mprotect, memory, 4096, PROT_READ, -1), 0);
	EQUAL(faults_on(memory, true), SEGV_ACCERR);
	away();
	EQUAL(syscall(SYS_pkey_mprotect, memory, 4096, RW, 14), -1);
	EQUAL(errno, EINVAL);
	EQUAL(syscall(SYS_pkey_free, 14), -1);
	EQUAL(errno, EINVAL);
	key = syscall(SYS_pkey_alloc, 0, 0);
	if (key < 0) {
		CHECK(errno == ENOSPC || errno == ENOSYS || errno == EINVAL);	/* no such keys */
		return;
	}
	DO(syscall(SYS_pkey_mprotect, memory, 4096, RW, key));
	memory[0] = 'k';
	EQUAL(memory[0], 'k');
	DO(syscall(SYS_pkey_free, key));
}

/* The memory of a killed process is taken before it has gone. */
static void reaped_memory(void)
{
	char *memory = map_pages(64, RW);
	int fd, status;
	pid_t child = DO(fork());

	if (!child) {
		away();
		memset(memory, 1, 64 * 4096);
		for (;;)
			compute_checked(1000);
	}
	away();
	fd = DO(syscall(SYS_pidfd_open, child, 0));
	EQUAL(syscall(SYS_process_mrelease, fd, 0), -1);
	EQUAL(errno, EINVAL);		/* it is not dying */
	sleep_ms(200);
	DO(kill(child, SIGKILL));
	if (syscall(SYS_process_mrelease, fd, 0))
		EQUAL(errno, ESRCH);
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(status, SIGKILL);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(old_files), CASE(old_times), CASE(old_descriptors), CASE(old_limits_and_ids),
		CASE(system_v), CASE(reports), CASE(undone_at_the_end), CASE(extended_attributes),
		CASE(resolved_paths), CASE(mounts_by_descriptor), CASE(landlock), CASE(keys),
		CASE(maps_of_bpf), CASE(performance_counter), CASE(compared_processes),
		CASE(barriers), CASE(many_futexes), CASE(signals_to_a_thread), CASE(tracer_is_away),
		CASE(program_by_descriptor), CASE(faults_of_another),
		CASE(protection_of_another), CASE(keys_of_protection),
		CASE(reaped_memory),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

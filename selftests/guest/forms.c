// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that the C library does not make, because a newer one does more, or that few
 * programs make: each does away what it is for.
 */
#include "harness.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <utime.h>

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
	CHECK(now_ns() - start >= 20000000 - NODES_APART_NS);
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

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(old_files), CASE(old_times), CASE(old_descriptors), CASE(old_limits_and_ids),
		CASE(system_v), CASE(reports), CASE(undone_at_the_end),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

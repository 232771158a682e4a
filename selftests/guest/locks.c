// SPDX-License-Identifier: GPL-2.0
/* Locks and leases of files: held away, waited for away, lost and broken as at home. */
#include "caught.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>

static char path[32];

static int lock_file(void)
{
	strcpy(path, "/tmp/st-locks-XXXXXX");
	return DO(mkstemp(path));
}

static int again(void)
{
	return DO(open(path, O_RDWR));
}

/* A process that does one thing, says so, and ends when it is told to. */
static int told[2], tells[2];

static pid_t helper(void (*function)(void))
{
	pid_t pid;
	char byte;

	DO(pipe(told));
	DO(pipe(tells));
	pid = DO(fork());
	if (!pid) {
		close(told[1]);
		function();
		if (write(tells[1], "r", 1) != 1 || read(told[0], &byte, 1) < 0)
			_exit(1);
		_exit(0);
	}
	close(told[0]);
	EQUAL(read(tells[0], &byte, 1), 1);
	return pid;
}

static void dismiss(pid_t pid)
{
	close(told[1]);
	reap(pid);
}

static void hold_flock(void)
{
	DO(flock(again(), LOCK_EX));
}

static void whole_file_locks(void)
{
	int file = lock_file(), other = again();
	pid_t pid;

	away();
	DO(flock(file, LOCK_SH));
	DO(flock(other, LOCK_SH));
	EQUAL(flock(file, LOCK_EX | LOCK_NB), -1);
	EQUAL(errno, EWOULDBLOCK);
	DO(flock(other, LOCK_UN));
	DO(flock(file, LOCK_EX | LOCK_NB));
	home();
	EQUAL(flock(other, LOCK_SH | LOCK_NB), -1);
	away();
	/* It belongs to the open file: a copy of the descriptor keeps it. */
	other = DO(dup(file));
	DO(close(file));
	EQUAL(flock(again(), LOCK_EX | LOCK_NB), -1);
	DO(close(other));
	pid = helper(hold_flock);
	away();
	EQUAL(flock(again(), LOCK_EX | LOCK_NB), -1);
	DO(kill(pid, SIGKILL));
	DO(flock(again(), LOCK_EX));
	unlink(path);
}

static int record(int file, int command, int type, off_t start, off_t length)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };

	return fcntl(file, command, &lock);
}

/* As another process sees them: the owner is known by its number. */
static void look_at_records(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 100 };
	int file = again();

	DO(fcntl(file, F_GETLK, &lock));
	EQUAL(lock.l_type, F_WRLCK);
	EQUAL(lock.l_pid, getppid());
	EQUAL(lock.l_start, 10);
	EQUAL(lock.l_len, 5);
	EQUAL(record(file, F_SETLK, F_RDLCK, 12, 1), -1);
	EQUAL(errno, EAGAIN);
	DO(record(file, F_SETLK, F_RDLCK, 20, 10));
}

static void record_locks(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0 };
	int file = lock_file();
	pid_t pid;

	away();
	DO(record(file, F_SETLK, F_WRLCK, 10, 10));
	DO(record(file, F_SETLK, F_UNLCK, 15, 5));	/* only a half stays */
	pid = helper(look_at_records);
	away();
	lock.l_start = 16;
	DO(fcntl(file, F_GETLK, &lock));
	EQUAL(lock.l_pid, pid);
	EQUAL(lock.l_type, F_RDLCK);
	EQUAL(lock.l_start, 20);
	DO(record(file, F_SETLK, F_RDLCK, 25, 1));
	EQUAL(record(file, F_SETLK, F_WRLCK, 25, 1), -1);
	dismiss(pid);
	DO(record(file, F_SETLK, F_WRLCK, 25, 1));
	unlink(path);
}

static void take_all_records(void)
{
	DO(record(again(), F_SETLK, F_WRLCK, 0, 0));
}

/* Closing any descriptor of the file drops a process' locks, this one's too. */
static void records_end_with_close(void)
{
	int file = lock_file();
	pid_t pid;

	away();
	DO(record(file, F_SETLK, F_WRLCK, 0, 0));
	DO(close(again()));
	pid = helper(take_all_records);
	EQUAL(record(file, F_SETLK, F_WRLCK, 0, 1), -1);
	DO(kill(pid, SIGKILL));
	DO(record(file, F_SETLKW, F_WRLCK, 0, 1));
	unlink(path);
}

/* Those of an open file, not of a process: one may exclude oneself. */
static void open_file_locks(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 3, .l_len = 1 };
	int file = lock_file(), other = again();
	pid_t pid;

	away();
	DO(fcntl(file, F_OFD_SETLK, &lock));
	EQUAL(fcntl(other, F_OFD_SETLK, &lock), -1);
	EQUAL(errno, EAGAIN);
	DO(fcntl(other, F_OFD_GETLK, &lock));
	EQUAL(lock.l_type, F_WRLCK);
	EQUAL(lock.l_pid, -1);
	lock.l_pid = 0;
	DO(close(again()));		/* not lost */
	EQUAL(fcntl(other, F_OFD_SETLK, &lock), -1);
	pid = DO(fork());
	if (!pid) {
		sleep_ms(300);
		lock.l_type = F_UNLCK;
		DO(fcntl(file, F_OFD_SETLK, &lock));
		_exit(0);
	}
	away();
	during("40 A 40 H 40 A");
	DO(fcntl(other, F_OFD_SETLKW, &lock));
	during_end();
	reap(pid);
	unlink(path);
}

static void hold_a_while(void)
{
	int file = again();

	DO(lockf(file, F_LOCK, 10));
	if (!fork()) {
		sleep_ms(2000);
		_exit(0);	/* a child has none of it */
	}
}

static void lockf_waits(void)
{
	int file = lock_file();
	pid_t pid = helper(hold_a_while);

	away();
	EQUAL(lockf(file, F_TEST, 10), -1);
	CHECK(errno == EACCES || errno == EAGAIN);
	EQUAL(lockf(file, F_TLOCK, 10), -1);
	DO(lseek(file, 10, SEEK_SET));
	DO(lockf(file, F_TLOCK, 10));
	DO(lseek(file, 0, SEEK_SET));
	EQUAL(write(told[1], "x", 1), 1);
	DO(lockf(file, F_LOCK, 10));
	DO(lockf(file, F_ULOCK, 0));
	reap(pid);
	unlink(path);
}

/* Each holds what the other wants: whoever comes second is told. */
static void deadlock_is_seen(void)
{
	int file = lock_file();
	char byte, path_of_call[40];
	pid_t pid;

	away();
	DO(record(file, F_SETLK, F_WRLCK, 0, 1));
	DO(pipe(told));
	pid = DO(fork());
	if (!pid) {
		DO(record(file, F_SETLK, F_WRLCK, 1, 1));
		EQUAL(write(told[1], "x", 1), 1);
		DO(record(file, F_SETLKW, F_WRLCK, 0, 1));
		_exit(0);
	}
	EQUAL(read(told[0], &byte, 1), 1);
	away();
	/* It has come first: it is in its fcntl(). */
	snprintf(path_of_call, sizeof(path_of_call), "/proc/%d/syscall", pid);
	for (int i = 0; i < 3000 && strncmp(read_text(path_of_call), "72 ", 3); i++)
		sleep_ms(10);
	EQUAL(record(file, F_SETLKW, F_WRLCK, 1, 1), -1);
	EQUAL(errno, EDEADLK);
	DO(record(file, F_SETLK, F_UNLCK, 0, 1));
	reap(pid);
	unlink(path);
}

/* The wait is ended by a signal, and only by that. */
static void wait_is_interrupted(void)
{
	int file = lock_file();
	pid_t pid = helper(take_all_records);

	handle(SIGUSR1);
	away();
	/* On a slow machine the first may come before it waits. */
	during("50 A 50 H 50 A 100 k 10 2000 k 10");
	EQUAL(record(file, F_SETLKW, F_WRLCK, 0, 1), -1);
	EQUAL(errno, EINTR);
	EQUAL(caught, SIGUSR1);
	during_end();
	dismiss(pid);
	unlink(path);
}

/* /proc/locks names the owner as everybody knows it. */
static void locks_are_listed(void)
{
	char expected[64], *line;
	int file = lock_file();

	away();
	DO(record(file, F_SETLK, F_WRLCK, 1000, 17));
	snprintf(expected, sizeof(expected), "POSIX  ADVISORY  WRITE %d ", getpid());
	line = strstr(read_text("/proc/locks"), expected);
	CHECK(line && strstr(line, " 1000 1016\n"));
	unlink(path);
}

static void open_for_writing(void *unused)
{
	(void)unused;
	DO(open(path, O_RDWR));
}

/* Another opens the file: it waits until who has the lease, away, gives it up. */
static void lease_is_broken(void)
{
	int file = lock_file();
	pid_t pid;

	handle(SIGRTMIN + 5);
	away();
	DO(fcntl(file, F_SETSIG, SIGRTMIN + 5));
	DO(close(file));
	file = DO(open(path, O_RDONLY));
	DO(fcntl(file, F_SETSIG, SIGRTMIN + 5));
	if (fcntl(file, F_SETLEASE, F_RDLCK))
		skip("F_SETLEASE: %s", strerror(errno));
	EQUAL(fcntl(file, F_GETLEASE), F_RDLCK);
	pid = later(50, open_for_writing, NULL);
	await_signal(SIGRTMIN + 5);
	EQUAL(caught_info.si_fd, file);
	away();
	EQUAL(waitpid(pid, NULL, WNOHANG), 0);
	EQUAL(fcntl(file, F_GETLEASE), F_UNLCK);	/* what it is to become */
	DO(fcntl(file, F_SETLEASE, F_UNLCK));
	reap(pid);
	unlink(path);
}

/* One for writing is broken by who only reads, and may be made one for reading. */
static void write_lease(void)
{
	int file = lock_file(), ends[2];
	char byte;
	pid_t pid;

	DO(close(file));
	file = DO(open(path, O_RDONLY));
	if (fcntl(file, F_SETLEASE, F_WRLCK))
		skip("F_SETLEASE: %s", strerror(errno));
	DO(fcntl(file, F_SETLEASE, F_UNLCK));
	handle(SIGRTMIN + 6);
	DO(pipe(ends));
	away();
	DO(fcntl(file, F_SETSIG, SIGRTMIN + 6));
	DO(fcntl(file, F_SETLEASE, F_WRLCK));
	EQUAL(fcntl(file, F_GETLEASE), F_WRLCK);
	pid = DO(fork());
	if (!pid) {
		/* Away, too; without waiting, and then with. */
		away();
		EQUAL(open(path, O_RDONLY | O_NONBLOCK), -1);
		EQUAL(errno, EWOULDBLOCK);
		EQUAL(write(ends[1], "t", 1), 1);
		DO(open(path, O_RDONLY));
		EQUAL(write(ends[1], "o", 1), 1);
		_exit(0);
	}
	away();
	while (read(ends[0], &byte, 1) != 1)
		EQUAL(errno, EINTR);
	EQUAL(byte, 't');
	EQUAL(caught, SIGRTMIN + 6);
	EQUAL(caught_info.si_fd, file);
	EQUAL(fcntl(file, F_GETLEASE), F_RDLCK);	/* what it is to become */
	home();
	DO(close(DO(dup(file))));			/* keeps it */
	EQUAL(fcntl(file, F_GETLEASE), F_RDLCK);
	away();
	DO(fcntl(file, F_SETLEASE, F_RDLCK));
	EQUAL(read(ends[0], &byte, 1), 1);
	EQUAL(byte, 'o');
	reap(pid);
	EQUAL(fcntl(file, F_GETLEASE), F_RDLCK);
	unlink(path);
}

static void keep_lease(void)
{
	signal(SIGIO, SIG_IGN);
	DO(fcntl(again(), F_SETLEASE, F_WRLCK));
}

/* Whoever opens the file away waits for as long as the lease may be broken, and no longer. */
static void lease_is_taken(void)
{
	static const char setting[] = "/proc/sys/fs/lease-break-time";
	char was[20];
	int file = lock_file(), taken = -1;
	pid_t pid;

	snprintf(was, sizeof(was), "%.18s", read_text(setting));
	if (access(setting, W_OK))
		skip("no %s", setting);
	DO(close(file));
	pid = helper(keep_lease);
	write_text(setting, "2\n");
	away();
	taken = open(path, O_RDWR);
	write_text(setting, was);
	CHECK(taken >= 0);
	dismiss(pid);
	unlink(path);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(whole_file_locks), CASE(record_locks), CASE(records_end_with_close),
		CASE(open_file_locks), CASE(lockf_waits), CASE(deadlock_is_seen),
		CASE(wait_is_interrupted), CASE(locks_are_listed), CASE(lease_is_broken),
		CASE(write_lease), CASE(lease_is_taken),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

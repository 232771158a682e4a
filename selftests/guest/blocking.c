// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that block while their thread is moved away, and home again: they end
 * as they would have, with the same value, and never with an EINTR.
 */
#include "filter.h"
#include "harness.h"
#include "blocking.h"

#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

static int ends[2];

static void write_x(void *fd)
{
	if (write(*(int *)fd, "x", 1) != 1)
		_exit(1);
}

static void nothing(void *unused)
{
	(void)unused;
}

/* A pipe into which a byte comes after EVENT_MS. */
static pid_t pipe_later(void)
{
	DO(pipe(ends));
	return event(write_x, &ends[1]);
}

static void read_pipe(void)
{
	pid_t helper = pipe_later();
	char byte = 0;

	during(MOVES_AT_ONCE);
	EQUAL(read(ends[0], &byte, 1), 1);
	EQUAL(byte, 'x');
	during_end();
	reap(helper);
}

static void read_end_of_file(void)
{
	pid_t helper;
	char byte;

	DO(pipe(ends));
	helper = event(nothing, NULL);	/* holds the writer until then */
	close(ends[1]);
	during(MOVES_AT_ONCE);
	EQUAL(read(ends[0], &byte, 1), 0);
	during_end();
	reap(helper);
}

/* A write that the pipe cannot hold is not cut short. */
static void drain(void *unused)
{
	static char buffer[4096];
	size_t left = 1 << 20;
	ssize_t got;

	(void)unused;
	while (left && (got = read(ends[0], buffer, sizeof(buffer))) > 0)
		left -= got;
	_exit(left != 0);
}

static void write_full_pipe(void)
{
	char *data = malloc(1 << 20);
	pid_t helper;

	fill(data, 1 << 20, 1);
	DO(pipe(ends));
	helper = event(drain, NULL);
	during(MOVES);
	EQUAL(write(ends[1], data, 1 << 20), 1 << 20);
	gone_in_the_end();
	reap(helper);
}

static void poll_event(void)
{
	pid_t helper = pipe_later();
	struct pollfd wanted = { .fd = ends[0], .events = POLLIN };

	during(MOVES_AT_ONCE);
	EQUAL(poll(&wanted, 1, 60000), 1);
	EQUAL(wanted.revents, POLLIN);
	during_end();
	reap(helper);
}

/* A filter is shown no call that the program has not made: restart_syscall() would be one. */
static void poll_with_a_filter(void)
{
	struct timespec rest = { 0, SHORT_MS * 1000000l };
	pid_t helper = pipe_later();
	struct pollfd wanted = { .fd = ends[0], .events = POLLIN };

	if (filter_install(SYS_restart_syscall, SECCOMP_RET_KILL_PROCESS, 0))
		skip("seccomp: %s", strerror(errno));
	during(MOVES);
	EQUAL(poll(&wanted, 1, 60000), 1);
	EQUAL(wanted.revents, POLLIN);
	during_end();
	reap(helper);
	during(MOVES);
	EQUAL(nanosleep(&rest, NULL), 0);
	during_end();
}

static void poll_timeout(void)
{
	uint64_t start = now_ns();

	blocked(MOVES_AT_ONCE);
	EQUAL(poll(NULL, 0, SHORT_MS), 0);
	CHECK(now_ns() - start >= SHORT_MS * 1000000ull);
	during_end();
}

static void ppoll_timeout(void)
{
	struct timespec limit = { 0, SHORT_MS * 1000000l };
	uint64_t start = now_ns();
	sigset_t none;

	sigemptyset(&none);
	blocked(MOVES_AT_ONCE);
	EQUAL(ppoll(NULL, 0, &limit, &none), 0);
	CHECK(now_ns() - start >= SHORT_MS * 1000000ull);
	during_end();
}

static void select_event(void)
{
	pid_t helper = pipe_later();
	struct timeval limit = { 60, 0 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	during(MOVES_AT_ONCE);
	EQUAL(select(ends[0] + 1, &set, NULL, NULL, &limit), 1);
	CHECK(FD_ISSET(ends[0], &set));
	CHECK(limit.tv_sec < 60);
	during_end();
	reap(helper);
}

static void nanosleep_full(void)
{
	struct timespec time = { 0, SHORT_MS * 1000000l }, rest;
	uint64_t start = now_ns();

	blocked(MOVES_AT_ONCE);
	/* What is in rest afterwards is undefined: a stop and continue writes it too. */
	EQUAL(nanosleep(&time, &rest), 0);
	CHECK(now_ns() - start >= SHORT_MS * 1000000ull);
	during_end();
}

static void sleep_until(void)
{
	struct timespec until;
	uint64_t end = now_ns() + SHORT_MS * 1000000ull;

	until.tv_sec = end / 1000000000;
	until.tv_nsec = end % 1000000000;
	blocked(MOVES_AT_ONCE);
	EQUAL(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL), 0);
	CHECK(now_ns() + NODES_APART_NS >= end);
	during_end();
}

static int futex(uint32_t *word, int operation, uint32_t value, struct timespec *limit)
{
	return syscall(SYS_futex, word, operation, value, limit, NULL, 0);
}

static void futex_timeout(void)
{
	struct timespec limit = { 0, SHORT_MS * 1000000l };
	uint64_t start = now_ns();
	uint32_t word = 5;

	blocked(MOVES_AT_ONCE);
	EQUAL(futex(&word, FUTEX_WAIT_PRIVATE, 5, &limit), -1);
	EQUAL(errno, ETIMEDOUT);
	CHECK(now_ns() - start >= SHORT_MS * 1000000ull);
	during_end();
}

static void wake(void *word)
{
	__atomic_store_n((uint32_t *)word, 1, __ATOMIC_SEQ_CST);
	futex(word, FUTEX_WAKE, 1, NULL);
}

static void futex_wake(void)
{
	uint32_t *word = DO(mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pid_t helper = event(wake, word);
	struct timespec limit = { 60, 0 };
	int result;

	during(MOVES_AT_ONCE);
	result = futex(word, FUTEX_WAIT, 0, &limit);
	/* A wait that starts anew after the change finds it. */
	CHECK(result == 0 || errno == EAGAIN);
	EQUAL(*word, 1);
	during_end();
	reap(helper);
}

static void wait4_exit(void)
{
	pid_t child = event(nothing, NULL);
	int status = -1;

	during(MOVES_AT_ONCE);
	EQUAL(wait4(child, &status, 0, NULL), child);
	EQUAL(status, 0);
	during_end();
}

static void waitid_exit(void)
{
	pid_t child = event(nothing, NULL);
	siginfo_t info = { 0 };

	during(MOVES_AT_ONCE);
	EQUAL(waitid(P_PID, child, &info, WEXITED), 0);
	EQUAL(info.si_pid, child);
	EQUAL(info.si_code, CLD_EXITED);
	during_end();
}

static void epoll_event(void)
{
	pid_t helper = pipe_later();
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = 42 };
	int epoll = DO(epoll_create1(0));

	DO(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
	event.data.u32 = 0;
	during(MOVES);
	EQUAL(epoll_wait(epoll, &event, 1, 60000), 1);
	EQUAL(event.data.u32, 42);
	gone_in_the_end();
	reap(helper);
}

/* A move that could not be made yet is not made once the thread has been called home again. */
static void wish_is_withdrawn(void)
{
	int epoll = DO(epoll_create1(0)), answer[2];
	struct epoll_event event = { .events = EPOLLIN };
	pid_t child;
	char byte;

	DO(pipe(ends));
	DO(pipe(answer));
	DO(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
	child = DO(fork());
	if (!child) {
		DO(epoll_wait(epoll, &event, 1, -1));
		/* Time to go out, with calls on whose way it would. */
		for (int i = 0; i < 200; i++)
			sleep_ms(5);
		EQUAL(write(answer[1], "r", 1), 1);
		pause();
	}
	while (!sleeps_in(child, SYS_epoll_wait))
		sleep_ms(1);
	during("%d: a h", child);
	during_end();
	CHECK(sleeps_in(child, SYS_epoll_wait));
	EQUAL(write(ends[1], "g", 1), 1);
	EQUAL(read(answer[0], &byte, 1), 1);
	EQUAL(where_is(child, child), 0);
	DO(kill(child, SIGKILL));
	EQUAL(waitpid(child, NULL, 0), child);
}

static void epoll_timeout(void)
{
	uint64_t start = now_ns();
	struct epoll_event event;

	blocked(MOVES);
	EQUAL(epoll_wait(DO(epoll_create1(0)), &event, 1, SHORT_MS), 0);
	CHECK(now_ns() - start >= SHORT_MS * 1000000ull);
	gone_in_the_end();
}

static void block_usr1(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGUSR1);
	DO(sigprocmask(SIG_BLOCK, set, NULL));
}

static void sigtimedwait_timeout(void)
{
	struct timespec limit = { 0, SHORT_MS * 1000000l };
	sigset_t set;

	block_usr1(&set);
	blocked(MOVES);
	EQUAL(sigtimedwait(&set, NULL, &limit), -1);
	EQUAL(errno, EAGAIN);
	gone_in_the_end();
}

static void sigwaitinfo_signal(void)
{
	siginfo_t info;
	sigset_t set;

	block_usr1(&set);
	blocked(MOVES " 100 k 10");
	EQUAL(sigwaitinfo(&set, &info), SIGUSR1);
	EQUAL(info.si_pid, getppid());
	gone_in_the_end();
}

static void signalfd_wait(void)
{
	struct signalfd_siginfo info;
	sigset_t set;
	int fd;

	block_usr1(&set);
	fd = DO(signalfd(-1, &set, 0));
	blocked(MOVES_AT_ONCE " 100 k 10");
	EQUAL(read(fd, &info, sizeof(info)), sizeof(info));
	EQUAL(info.ssi_signo, SIGUSR1);
	during_end();
}

/* ---- what a move shows of a call ---- */

/*
 * As soon as the caller sleeps in a call it is moved; then the function is executed. The caller
 * asks the harness nothing before it has reaped the child that does this.
 */
static pid_t when_moved_in(long nr, void (*function)(void *), void *argument)
{
	pid_t pid;

	warm_up();
	pid = DO(fork());
	if (pid)
		return pid;
	while (!sleeps_in(getppid(), nr))
		sleep_ms(10);
	during("%d:A", getppid());
	during_end();
	function(argument);
	_exit(0);
}

/* A time limit that is not written to does not tell what is left of it: EINTR instead. */
static void limit_cannot_be_written(void)
{
	struct timeval *limit = map_pages(1, PROT_READ | PROT_WRITE);
	struct timespec sticky = { 60, 0 };
	struct pollfd wanted;
	fd_set set;
	pid_t helper;
	int result;

	limit->tv_sec = 60;
	DO(mprotect(limit, 4096, PROT_READ));
	DO(pipe(ends));
	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	helper = when_moved_in(SYS_select, write_x, &ends[1]);
	result = syscall(SYS_select, ends[0] + 1, &set, NULL, NULL, limit) == 1 ? 1 : -errno;
	reap(helper);
	EQUAL(result, moving() ? -EINTR : 1);

	DO(pipe(ends));
	wanted = (struct pollfd){ .fd = ends[0], .events = POLLIN };
	DO(personality(STICKY_TIMEOUTS));
	helper = when_moved_in(SYS_ppoll, write_x, &ends[1]);
	result = syscall(SYS_ppoll, &wanted, 1, &sticky, NULL, 0) == 1 ? 1 : -errno;
	reap(helper);
	EQUAL(result, moving() ? -EINTR : 1);
	EQUAL(sticky.tv_sec, 60);
}

/* The parts of a readv() are reads of their own: those that were filled are told. */
static void parts_of_a_read(void)
{
	char path[] = "/tmp/st-parts-XXXXXX";
	int file = DO(mkstemp(path)), told = DO(inotify_init());
	struct inotify_event event[2] = { };
	struct iovec parts[2] = { { &event[0], sizeof(*event) }, { &event[1], sizeof(*event) } };
	ssize_t got;
	pid_t helper;

	DO(inotify_add_watch(told, path, IN_MODIFY));
	helper = when_moved_in(SYS_readv, write_x, &file);
	EQUAL(write(file, "x", 1), 1);
	got = readv(told, parts, 2);
	reap(helper);
	EQUAL(got, moving() ? sizeof(*event) : 2 * sizeof(*event));
	EQUAL(event[0].mask, IN_MODIFY);
	EQUAL(event[1].mask, moving() ? 0 : IN_MODIFY);
	unlink(path);
}

/* What is behind the caller in a queue, and tells when it is woken. */
static void wait_behind(uint32_t *word, int order)
{
	while (!sleeps_in(getppid(), SYS_futex))
		sleep_ms(10);
	if (futex(word, FUTEX_WAIT, 0, NULL) || write(order, "2", 1) != 1)
		_exit(1);
	_exit(0);
}

/* Wakes one and, when that has told who it is, the other. Ends with what came first. */
static void wake_both(uint32_t *word, pid_t other, int order)
{
	char first, second;

	while (!sleeps_in(getppid(), SYS_futex) || !sleeps_in(other, SYS_futex))
		sleep_ms(10);
	during("%d:A", getppid());
	during_end();
	while (!sleeps_in(getppid(), SYS_futex))
		sleep_ms(10);
	if (futex(word, FUTEX_WAKE, 1, NULL) != 1 || read(order, &first, 1) != 1 ||
	    futex(word, FUTEX_WAKE, 1, NULL) != 1 || read(order, &second, 1) != 1)
		_exit(1);
	_exit(first);
}

/* A waiter that is moved waits anew, behind those that have come after it. */
static void place_in_the_queue(void)
{
	uint32_t *word = DO(mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pid_t other, waker;
	int order[2], status;

	DO(pipe(order));
	warm_up();
	other = DO(fork());
	if (!other)
		wait_behind(word, order[1]);
	waker = DO(fork());
	if (!waker)
		wake_both(word, other, order[0]);
	EQUAL(futex(word, FUTEX_WAIT, 0, NULL), 0);
	EQUAL(write(order[1], "1", 1), 1);
	EQUAL(waitpid(waker, &status, 0), waker);
	CHECK(WIFEXITED(status));
	EQUAL(WEXITSTATUS(status), moving() ? '2' : '1');
	reap(other);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(read_pipe), CASE(read_end_of_file), CASE(write_full_pipe), CASE(poll_event),
		CASE(poll_with_a_filter), CASE(poll_timeout), CASE(ppoll_timeout), CASE(select_event),
		CASE(nanosleep_full),
		CASE(sleep_until), CASE(futex_timeout), CASE(futex_wake), CASE(wait4_exit),
		CASE(waitid_exit), CASE(epoll_event), CASE(epoll_timeout), CASE(wish_is_withdrawn),
		CASE(sigtimedwait_timeout), CASE(sigwaitinfo_signal), CASE(signalfd_wait),
		CASE(limit_cannot_be_written), CASE(parts_of_a_read), CASE(place_in_the_queue),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

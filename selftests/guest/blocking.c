// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that block while their thread is moved away, and home again: they end
 * as they would have, with the same value, and never with an EINTR.
 */
#include "harness.h"
#include "blocking.h"

#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
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

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(read_pipe), CASE(read_end_of_file), CASE(write_full_pipe), CASE(poll_event),
		CASE(poll_timeout), CASE(ppoll_timeout), CASE(select_event), CASE(nanosleep_full),
		CASE(sleep_until), CASE(futex_timeout), CASE(futex_wake), CASE(wait4_exit),
		CASE(waitid_exit), CASE(epoll_event), CASE(epoll_timeout),
		CASE(sigtimedwait_timeout), CASE(sigwaitinfo_signal), CASE(signalfd_wait),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/* Calls that wait, and whose data travels: for files, interrupted, and moved meanwhile. */
#include "inline.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

/* ---- for files ---- */

static void polled(void)
{
	struct pollfd fds[3];
	int ends[2];

	DO(pipe(ends));
	away();
	fds[0] = (struct pollfd){ ends[0], POLLIN, 0x1234 };
	fds[1] = (struct pollfd){ ends[1], POLLOUT, 0x1234 };
	fds[2] = (struct pollfd){ -1, POLLIN, 0x1234 };
	EQUAL(poll(fds, 3, 0), 1);
	CHECK(fds[0].revents == 0 && fds[1].revents == POLLOUT && fds[2].revents == 0);
	CHECK(fds[0].fd == ends[0] && fds[0].events == POLLIN && fds[2].fd == -1);
	EQUAL(write(ends[1], "x", 1), 1);
	EQUAL(poll(fds, 1, -1), 1);
	EQUAL(fds[0].revents, POLLIN);
	EQUAL(ppoll(fds, 3, &(struct timespec){ 5, 0 }, &(sigset_t){ }), 2);
	EQUAL(poll(NULL, 0, 10), 0);
	EQUAL(syscall(SYS_poll, fds, 1u << 30, 0), -1);
	EQUAL(errno, EINVAL);
}

static void selected(void)
{
	struct { fd_set set; char behind[64]; } r, w;
	struct timeval limit = { 3, 0 };
	int ends[2];

	DO(pipe(ends));
	away();
	memset(&r, 0, sizeof(r));
	memset(&w, 0, sizeof(w));
	memset(r.behind, 0x55, sizeof(r.behind));
	FD_SET(ends[0], &r.set);
	FD_SET(ends[1], &w.set);
	EQUAL(select(ends[1] + 1, &r.set, &w.set, NULL, &limit), 1);
	CHECK(!FD_ISSET(ends[0], &r.set) && FD_ISSET(ends[1], &w.set));
	CHECK(untouched(r.behind, sizeof(r.behind), 0, 0, 0x55));
	EQUAL(write(ends[1], "x", 1), 1);
	FD_SET(ends[0], &r.set);
	EQUAL(syscall(SYS_select, 1024, &r.set, NULL, NULL, &limit), 1);
	CHECK(FD_ISSET(ends[0], &r.set));
	limit = (struct timeval){ 0, 20000 };
	FD_ZERO(&r.set);
	EQUAL(syscall(SYS_select, 0, NULL, NULL, NULL, &limit), 0);
	CHECK(!limit.tv_sec && !limit.tv_usec);
}

/* One set in two places: what the call writes last is what is there. */
static void one_set_for_two(void)
{
	struct timeval limit = { 3, 0 };
	int ends[2];
	fd_set set;

	DO(pipe(ends));
	away();
	for (int round = 0; round < 2; round++) {
		FD_ZERO(&set);
		FD_SET(ends[1], &set);
		EQUAL(syscall(SYS_select, ends[1] + 1, &set, &set, NULL, &limit), 1);
		CHECK(FD_ISSET(ends[1], &set));
		EQUAL(syscall(SYS_select, ends[1] + 1, NULL, &set, &set, &limit), 1);
		CHECK(!FD_ISSET(ends[1], &set));
	}
}

static void epolled(void)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = 0x123456789abcdefull }, got[1024];
	int set = DO(epoll_create1(0)), ends[2];

	DO(pipe(ends));
	away();
	DO(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &e));
	e = (struct epoll_event){ .events = EPOLLOUT, .data.u64 = 7 };
	DO(epoll_ctl(set, EPOLL_CTL_ADD, ends[1], &e));
	memset(got, 0x55, sizeof(got));
	EQUAL(epoll_wait(set, got, 1024, -1), 1);
	CHECK(got[0].data.u64 == 7 && got[0].events == EPOLLOUT);
	CHECK(untouched((char *)got, sizeof(got), 0, sizeof(*got), 0x55));
	EQUAL(write(ends[1], "x", 1), 1);
	EQUAL(epoll_wait(set, got, 2, 0), 2);
	CHECK(got[0].data.u64 + got[1].data.u64 == 0x123456789abcdefull + 7);
	DO(epoll_ctl(set, EPOLL_CTL_DEL, ends[0], NULL));
	DO(epoll_ctl(set, EPOLL_CTL_DEL, ends[1], (void *)8));
	EQUAL(epoll_wait(set, got, 2, 5), 0);
	EQUAL(syscall(SYS_epoll_wait, set, got, 1 << 30, 5), -1);
	EQUAL(errno, EINVAL);
}

/* What the functions of ROUND_TRIPS() work with: a pipe with a byte in it, or without. */
static int waited_for[2], event_set, ready;

static void wait_in_each_way(void)
{
	struct pollfd fd = { .fd = waited_for[0], .events = POLLIN };
	struct timespec limit = { 0, 1000 };
	struct timeval old_limit = { 0, 1 };
	struct epoll_event e;
	sigset_t mask = { };
	fd_set set;

	EQUAL(poll(&fd, 1, ready ? -1 : 1), ready);
	EQUAL(ppoll(&fd, 1, &limit, &mask), ready);
	EQUAL(fd.revents, ready ? POLLIN : 0);
	FD_ZERO(&set);
	FD_SET(waited_for[0], &set);
	EQUAL(syscall(SYS_select, waited_for[0] + 1, &set, NULL, NULL, &old_limit), ready);
	EQUAL(!!FD_ISSET(waited_for[0], &set), ready);
	FD_SET(waited_for[0], &set);
	EQUAL(pselect(waited_for[0] + 1, &set, NULL, NULL, &limit, &mask), ready);
	EQUAL(!!FD_ISSET(waited_for[0], &set), ready);
	EQUAL(epoll_wait(event_set, &e, 1, ready ? -1 : 1), ready);
	EQUAL(epoll_pwait(event_set, &e, 1, ready ? -1 : 1, &mask), ready);
	EQUAL(epoll_pwait2(event_set, &e, 1, &limit, &mask), ready);
}

static void waits_take_a_round_trip(void)
{
	struct epoll_event e = { .events = EPOLLIN };

	DO(pipe(waited_for));
	away();
	event_set = DO(epoll_create1(0));
	DO(epoll_ctl(event_set, EPOLL_CTL_ADD, waited_for[0], &e));
	ROUND_TRIPS(wait_in_each_way, 7, 7);
	EQUAL(write(waited_for[1], "x", 1), 1);
	ready = 1;
	ROUND_TRIPS(wait_in_each_way, 7, 7);
}

/* ---- interrupted ---- */

static volatile int caught;
static int handled[2];	/* a pipe into which the handler writes, if there is one */

static void handler(int number)
{
	(void)number;
	caught++;
	if (handled[1] && write(handled[1], "h", 1) != 1)
		_exit(1);
}

static void catch(int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags }, old;

	memset(&old, 0x55, sizeof(old));
	DO(sigaction(SIGUSR1, &action, NULL));
	DO(sigaction(SIGUSR1, NULL, &old));
	CHECK(old.sa_handler == handler && (old.sa_flags & SA_RESTART) == flags);
	caught = 0;
}

static void write_x(void *fd)
{
	if (write(*(int *)fd, "x", 1) != 1)
		_exit(1);
}

static void signal_and_write(void *fd)
{
	char byte;

	signal_parent(NULL);
	if (read(handled[0], &byte, 1) != 1)
		_exit(1);
	write_x(fd);
}

static void read_interrupted(void)
{
	int ends[2];
	pid_t helper;

	DO(pipe(ends));
	away_with_buffers();
	catch(0);
	helper = when_in(SYS_read, signal_parent, NULL);
	EQUAL(read(ends[0], in, 100), -1);
	EQUAL(errno, EINTR);
	EQUAL(caught, 1);
	EQUAL(in[0], 0x55);
	reap(helper);
}

/* The handler runs, the call goes on, and the data comes where it belongs. */
static void read_restarted(void)
{
	int ends[2];
	pid_t helper;

	DO(pipe(ends));
	DO(pipe(handled));
	away_with_buffers();
	catch(SA_RESTART);
	helper = when_in(SYS_read, signal_and_write, &ends[1]);
	EQUAL(read(ends[0], in, 100), 1);
	EQUAL(caught, 1);
	CHECK(in[0] == 'x' && in[1] == 0x55);
	reap(helper);
}

static void read_moved(void)
{
	int ends[2];
	pid_t helper;

	DO(pipe(ends));
	away_with_buffers();
	helper = later(900, write_x, &ends[1]);
	during("100 H 100 A 100 H 60 A");
	EQUAL(read(ends[0], in + 4090, 100), 1);
	CHECK(in[4090] == 'x' && untouched(in, sizeof(in), 4090, 1, 0x55));
	during_end();
	reap(helper);
}

/* The restart of poll() remembers where its array is. */
static void poll_moved(void)
{
	struct pollfd fd = { .events = POLLIN };
	uint64_t start;
	int ends[2];
	pid_t helper;

	DO(pipe(ends));
	away();
	fd.fd = ends[0];
	helper = later(900, write_x, &ends[1]);
	during("100 H 100 A 100 H 60 A");
	EQUAL(poll(&fd, 1, 60000), 1);
	EQUAL(fd.revents, POLLIN);
	during_end();
	reap(helper);
	EQUAL(read(ends[0], in, 1), 1);
	start = now_ns();
	fd.revents = 0x77;
	during("100 H 100 A 100 H 60 A");
	EQUAL(poll(&fd, 1, 800), 0);
	EQUAL(fd.revents, 0);
	CHECK(now_ns() - start >= 800000000 - NODES_APART_NS);
	during_end();
}

static void poll_interrupted(void)
{
	struct pollfd fd = { .events = POLLIN, .revents = 0x77 };
	int ends[2];
	pid_t helper;

	DO(pipe(ends));
	away();
	fd.fd = ends[0];
	catch(0);
	helper = when_in(SYS_poll, signal_parent, NULL);
	EQUAL(poll(&fd, 1, 60000), -1);
	EQUAL(errno, EINTR);
	EQUAL(caught, 1);
	reap(helper);
}

static void sleep_interrupted(void)
{
	struct timespec left = { 0x55, 0x55 };
	pid_t helper;

	away();
	catch(0);
	helper = when_in(SYS_clock_nanosleep, signal_parent, NULL);
	EQUAL(nanosleep(&(struct timespec){ 90, 0 }, &left), -1);
	EQUAL(errno, EINTR);
	CHECK(left.tv_sec >= 15 && left.tv_sec < 90);
	reap(helper);
	left = (struct timespec){ 0x55, 0x55 };
	during("100 H 100 A 100 H");
	EQUAL(nanosleep(&(struct timespec){ 0, 800000000 }, &left), 0);
	during_end();
}

static const struct test_case cases[] = {
	CASE(polled), CASE(selected), CASE(one_set_for_two), CASE(epolled),
	CASE(waits_take_a_round_trip), CASE(read_interrupted), CASE(read_restarted),
	CASE(read_moved), CASE(poll_moved), CASE(poll_interrupted), CASE(sleep_interrupted),
	{ }
};

int main(int argc, char **argv)
{
	return harness_main(argc, argv, cases);
}

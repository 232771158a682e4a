// SPDX-License-Identifier: GPL-2.0
/*
 * Clocks that are asked for by calls which are answered where the thread is: the same as the
 * vdso tells, and stored wherever the program wants them.
 */
#include "harness.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

enum {
	ROUNDS	= 200,	/* of a loop whose calls would be counted at home */
	FEW	= 20,	/* those with which the harness is asked */
	RW	= PROT_READ | PROT_WRITE,
	/* Home's own clock and what the vdso tells of it there, at most. */
	SKEW_NS	= 500000000,
};

static const clockid_t clocks[] = {
	CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME,
	CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
};

enum { CLOCKS = sizeof(clocks) / sizeof(*clocks) };

static int64_t ns(const struct timespec *time)
{
	return time->tv_sec * 1000000000ll + time->tv_nsec;
}

static int64_t by_call(clockid_t clock)
{
	struct timespec now;

	DO(syscall(SYS_clock_gettime, clock, &now));
	CHECK(now.tv_nsec >= 0 && now.tv_nsec < 1000000000);
	return ns(&now);
}

static int64_t by_vdso(clockid_t clock)
{
	struct timespec now;

	DO(clock_gettime(clock, &now));
	return ns(&now);
}

/* Where the vdso cannot read it, it makes calls, which are home's. */
static void need_counter(void)
{
	const char *source = read_text("/sys/devices/system/clocksource/clocksource0/"
				       "current_clocksource");

	if (moving() && strncmp(source, "tsc", 3))
		skip("clock source: %s", source);
}

static int my_calls(void)
{
	return calls_of(getpid(), gettid());
}

static void ask_all(void)
{
	struct timespec resolution;
	struct timeval now;

	for (int i = 0; i < CLOCKS; i++) {
		CHECK(by_call(clocks[i]) > 0);
		DO(syscall(SYS_clock_getres, clocks[i], &resolution));
		CHECK(!resolution.tv_sec && resolution.tv_nsec > 0);
	}
	DO(syscall(SYS_clock_getres, CLOCK_MONOTONIC, NULL));
	DO(syscall(SYS_gettimeofday, &now, NULL));
	CHECK(syscall(SYS_time, NULL) > 0);
}

static void clocks_take_no_call(void)
{
	struct timespec time;
	int calls, pages;

	need_counter();
	away();
	ask_all();
	calls = my_calls();
	pages = pages_of(getpid());
	for (int i = 0; i < ROUNDS; i++)
		ask_all();
	pages = pages_of(getpid()) - pages;
	calls = my_calls() - calls;
	CHECK(calls <= FEW);
	CHECK(pages <= 4);
	/* Time of processors, clocks of nobody: home's, and counted. */
	calls = my_calls();
	for (int i = 0; i < ROUNDS; i++) {
		DO(syscall(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &time));
		EQUAL(syscall(SYS_clock_gettime, 77, &time), -1);
		EQUAL(errno, EINVAL);
	}
	calls = my_calls() - calls;
	CHECK(calls >= (moving() ? 2 * ROUNDS : 0));
}

/* Whichever way it is asked for, it never goes back. */
static void never_behind_the_vdso(void)
{
	uint64_t end = now_ns() + 1500000000;
	int64_t last[CLOCKS] = { 0 }, now;
	struct timeval day;
	time_t seconds;

	away();
	while (now_ns() < end) {
		for (int i = 0; i < CLOCKS; i++)
			for (int way = 0; way < 3; way++) {
				now = way == 1 ? by_call(clocks[i]) : by_vdso(clocks[i]);
				if (now < last[i])
					fail(__FILE__, __LINE__, "clock %d, way %d: %lld ns back",
					     clocks[i], way, (long long)(last[i] - now));
				last[i] = now;
			}
		DO(syscall(SYS_gettimeofday, &day, NULL));
		now = day.tv_sec * 1000000000ll + day.tv_usec * 1000ll;
		CHECK(now >= last[0] - last[0] % 1000);
		CHECK(by_vdso(CLOCK_REALTIME) >= now);
		seconds = time(NULL);
		now = syscall(SYS_time, NULL);
		/* (The kernel itself writes to the page first.) */
		CHECK(now >= seconds || !moving());
		CHECK(time(NULL) >= now);
	}
}

/* In one process of a time namespace, whose clocks are its own. */
static void in_a_time_namespace(void)
{
	const int64_t mono = 300000000000000, boot = 400000000000000;
	int64_t before = by_call(CLOCK_MONOTONIC), up = by_call(CLOCK_BOOTTIME);
	pid_t child;

	if (unshare(CLONE_NEWTIME))
		skip("unshare: %s", strerror(errno));
	write_text("/proc/self/timens_offsets", "monotonic 300000 0\nboottime 400000 0\n");
	child = DO(fork());
	if (!child) {
		away();
		CHECK(by_call(CLOCK_MONOTONIC) >= before + mono);
		CHECK(by_call(CLOCK_MONOTONIC_COARSE) >= before + mono - 1000000000);
		CHECK(by_call(CLOCK_MONOTONIC) < before + mono + 100000000000);
		CHECK(by_call(CLOCK_BOOTTIME) >= up + boot);
		CHECK(by_call(CLOCK_BOOTTIME) >= by_vdso(CLOCK_MONOTONIC));
		never_behind_the_vdso();
		_exit(0);
	}
	CHECK(by_call(CLOCK_MONOTONIC) < before + mono);
	reap(child);
}

/* Who sets the date sees that it has been set. */
static void own_date(void)
{
	const int64_t ahead = 3000000000000;
	int64_t now = by_call(CLOCK_REALTIME);
	struct timespec date;

	if (!moving())
		skip("it would be this machine's");
	need_counter();
	away();
	date = (struct timespec){ .tv_sec = (now + ahead) / 1000000000 };
	DO(clock_settime(CLOCK_REALTIME, &date));
	now = by_call(CLOCK_REALTIME) - now;
	date.tv_sec -= ahead / 1000000000;
	DO(clock_settime(CLOCK_REALTIME, &date));
	note("%lld s later", (long long)now / 1000000000);
	CHECK(now >= ahead - 1000000000 && now < 2 * ahead);
	CHECK(by_call(CLOCK_REALTIME) < ns(&date) + ahead / 2);
	CHECK(by_vdso(CLOCK_REALTIME) < ns(&date) + ahead / 2);
	CHECK(syscall(SYS_time, NULL) < date.tv_sec + ahead / 2000000000);
}

/* ---- where the result goes ---- */

/* Each call that stores something, asked to store it there. */
static void is_refused_at(void *place)
{
	for (int i = 0; i < CLOCKS; i++) {
		EQUAL(syscall(SYS_clock_gettime, clocks[i], place), -1);
		EQUAL(errno, EFAULT);
	}
	EQUAL(syscall(SYS_gettimeofday, place ?: (void *)8, NULL), -1);
	EQUAL(errno, EFAULT);
	EQUAL(syscall(SYS_time, place ?: (void *)8), -1);
	EQUAL(errno, EFAULT);
	EQUAL(syscall(SYS_clock_getres, CLOCK_REALTIME, place ?: (void *)8), -1);
	EQUAL(errno, EFAULT);
}

static void wrong_places(void)
{
	char *memory = pages_with_a_hole(PROT_READ), *none = map_pages(1, PROT_NONE);
	char *hole = memory + 2 * page_size();
	char was = memory[page_size()];

	for (int round = 0; round < 2; round++) {
		is_refused_at(NULL);
		is_refused_at((void *)8);
		is_refused_at((void *)0xffff800000000000);
		is_refused_at((void *)0x8000000000000000);
		is_refused_at((void *)-8);
		is_refused_at(hole);
		is_refused_at(none);
		/* Read here before it is to be written to. */
		EQUAL(*(volatile char *)(memory + page_size()), was);
		is_refused_at(memory + page_size());
		CHECK(untouched(memory, 2 * page_size(), 0, 0, was));
		away();
	}
}

/* A result that is stored in part: what it is depends on nobody's luck, the error does. */
static void beyond_the_end(void)
{
	char *end = map_pages(2, RW) + page_size();

	DO(munmap(end, page_size()));
	for (int round = 0; round < 2; round++) {
		EQUAL(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, end - 8), -1);
		EQUAL(errno, EFAULT);
		EQUAL(syscall(SYS_gettimeofday, end - 8, NULL), -1);
		EQUAL(errno, EFAULT);
		DO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, end - 16));
		EQUAL(syscall(SYS_time, end - 8), *(time_t *)(end - 8));
		away();
	}
}

/* Stored at a place in a page that has this all over; and again. */
static void stored_at(char *memory, size_t bytes, size_t at, char was)
{
	struct timespec now;
	int64_t before = by_vdso(CLOCK_MONOTONIC_RAW);

	DO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC_RAW, memory + at));
	memcpy(&now, memory + at, sizeof(now));
	CHECK(ns(&now) >= before - SKEW_NS);
	CHECK(ns(&now) <= by_vdso(CLOCK_MONOTONIC_RAW) + SKEW_NS);
	CHECK(untouched(memory, bytes, at, sizeof(now), was));
	DO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC_RAW, memory + at));
	CHECK(memcmp(&now, memory + at, sizeof(now)));
}

static void into_untouched_pages(void)
{
	char *one = map_pages(1, RW), *two = map_pages(2, RW);

	need_counter();
	away();
	stored_at(one, page_size(), 0, 0);
	stored_at(two, 2 * page_size(), page_size() - 8, 0);
	home();
	CHECK(*(uint64_t *)one);
	CHECK(untouched(one, page_size(), 0, 16, 0));
}

/* What home has written to before. */
static void into_a_page_of_homes(void)
{
	char *memory = map_pages(2, RW);
	int calls;

	need_counter();
	memset(memory, 0x55, 2 * page_size());
	away();
	stored_at(memory, 2 * page_size(), page_size() - 8, 0x55);
	calls = my_calls();
	for (int i = 0; i < ROUNDS; i++)
		DO(syscall(SYS_clock_gettime, CLOCK_BOOTTIME, memory + page_size() - 8));
	calls = my_calls() - calls;
	CHECK(calls <= FEW);
	home();
	CHECK(untouched(memory, 2 * page_size(), page_size() - 8, 16, 0x55));
}

/* Which a child has, too, and keeps as it was. */
static void into_a_page_that_is_shared_by_fork(void)
{
	char *memory = map_pages(1, RW), byte;
	int ends[2];
	pid_t child;

	need_counter();
	memset(memory, 0x55, page_size());
	DO(pipe(ends));
	child = DO(fork());
	if (!child) {
		if (read(ends[0], &byte, 1) != 1)
			_exit(1);
		_exit(!untouched(memory, page_size(), 0, 0, 0x55));
	}
	away();
	stored_at(memory, page_size(), 800, 0x55);
	EQUAL(write(ends[1], "x", 1), 1);
	reap(child);
}

static void into_shared_memory(void)
{
	char *memory = mmap(NULL, page_size(), RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	time_t seconds;

	CHECK(memory != MAP_FAILED);
	away();
	for (int i = 0; i < 3; i++)
		stored_at(memory, page_size(), 64, 0);
	seconds = syscall(SYS_time, memory + 64);
	EQUAL(seconds, *(time_t *)(memory + 64));
}

/* Below the stack as it is, where it may grow to. */
static void into_a_stack_that_grows(void)
{
	struct rlimit limit;
	char *place;

	DO(getrlimit(RLIMIT_STACK, &limit));
	if (limit.rlim_cur < 4 << 20)
		skip("a small stack");
	away();
	place = (char *)__builtin_frame_address(0) - (2 << 20);
	place -= (uintptr_t)place % 16;
	DO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, place));
	CHECK(ns((struct timespec *)place) > 0);
}

/* Pages that come and go while they are written to. */
static void while_moving(void)
{
	char *memory = map_pages(4, RW);
	uint64_t end = now_ns() + 800000000;
	struct timespec now;
	size_t at;

	memset(memory, 0x55, 4 * page_size());
	during("5 A 30 H 5 A 40 H 10 A 20 H 5 A");
	for (unsigned int i = 0; now_ns() < end; i++) {
		at = (i % 3 + 1) * page_size() - 8;
		DO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, memory + at));
		memcpy(&now, memory + at, sizeof(now));
		CHECK(ns(&now) > 0 && now.tv_nsec < 1000000000);
		if (i % 8 == 0)
			DO(madvise(memory, page_size(), MADV_DONTNEED));
	}
	during_end();
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(clocks_take_no_call), CASE(never_behind_the_vdso), CASE(in_a_time_namespace),
		CASE(own_date),
		CASE(wrong_places), CASE(beyond_the_end), CASE(into_untouched_pages),
		CASE(into_a_page_of_homes), CASE(into_a_page_that_is_shared_by_fork),
		CASE(into_shared_memory), CASE(into_a_stack_that_grows), CASE(while_moving),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

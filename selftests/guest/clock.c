// SPDX-License-Identifier: GPL-2.0
/*
 * Time goes on: no clock steps back, none jumps by more than a move takes, and
 * the library's clock, the kernel's and home's agree.
 */
#include "harness.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

enum {
	ROUNDS		= 12,
	/* The other node's clock is known to within a round trip, and drifts. */
	SKEW_NS		= 50000000,
	/* The date of the other node, by this much; it has been booted later, too. */
	AHEAD_S		= 1000,
};

/* Between two looks, with a move between them, the first perhaps; a wrong clock is further off. */
#define STEP_NS	10000000000ll

static int64_t read_clock(clockid_t clock, bool by_system_call)
{
	struct timespec now;

	if (by_system_call)
		DO(syscall(SYS_clock_gettime, clock, &now));
	else
		DO(clock_gettime(clock, &now));
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/*
 * Reads all the time while it is moved, and looks for steps back; a call may be @skew ns
 * behind the page.
 */
static void never_back(clockid_t clock, int64_t skew)
{
	for (int round = 0; round < ROUNDS / 2; round++) {
		int64_t last = read_clock(clock, false), now;
		uint64_t end = now_ns() + 100000000;

		during(round % 2 ? "20 A" : "20 H");
		do {
			now = read_clock(clock, false);
			if (now < last)
				fail(__FILE__, __LINE__, "%lld ns back", (long long)(last - now));
			last = now;
			now = read_clock(clock, true);
			if (now + skew < last)
				fail(__FILE__, __LINE__, "call %lld ns behind", (long long)(last - now));
		} while (now_ns() < end);
		during_end();
	}
}

static void monotonic(void)
{
	never_back(CLOCK_MONOTONIC, 10000000);
}

static void realtime(void)
{
	never_back(CLOCK_REALTIME, 10000000);
}

static void boottime(void)
{
	never_back(CLOCK_BOOTTIME, 10000000);
}

static void monotonic_raw(void)
{
	never_back(CLOCK_MONOTONIC_RAW, 10000000);
}

static void coarse(void)
{
	never_back(CLOCK_MONOTONIC_COARSE, 0);
	never_back(CLOCK_REALTIME_COARSE, 0);
}

static void process_time(void)
{
	never_back(CLOCK_PROCESS_CPUTIME_ID, 0);
}

/* A process at home says what time it is there. */
static int64_t tell_time(void *clock)
{
	return read_clock(*(clockid_t *)clock, true);
}

/* Home's answer lies between what is read before and after. */
static void agrees_with_home(clockid_t clock)
{
	struct partner teller;

	partner_start(&teller, tell_time, &clock);
	for (int round = 0; round < ROUNDS; round++) {
		int64_t before, there, after;

		if (round % 4 == 1)
			away();
		if (round % 4 == 3)
			home();
		before = read_clock(clock, false);
		there = partner_ask(&teller);
		after = read_clock(clock, false);
		if (there < before - SKEW_NS || there > after + SKEW_NS)
			fail(__FILE__, __LINE__, "home %lld ns before, %lld after, node %d",
			     (long long)(before - there), (long long)(there - after), where());
	}
	partner_end(&teller);
}

static void monotonic_is_homes(void)
{
	agrees_with_home(CLOCK_MONOTONIC);
}

static void realtime_is_homes(void)
{
	agrees_with_home(CLOCK_REALTIME);
}

static void boottime_is_homes(void)
{
	agrees_with_home(CLOCK_BOOTTIME);
}

/*
 * Reads all the time while it is moved. Where two reads in succession are far apart, so much
 * time has passed, by the move or because others had the processor: home, which is asked after
 * the second, is not behind it. A jump ahead right after the move would be gone later.
 */
static void gaps_are_homes(void)
{
	clockid_t clock = CLOCK_MONOTONIC;
	struct partner teller;
	int64_t longest = 0;
	int asked = 0;

	partner_start(&teller, tell_time, &clock);
	for (int round = 0; round < ROUNDS; round++) {
		int64_t last = read_clock(clock, false), end = last + 150000000, now, there;

		during(round % 2 ? "20 H" : "20 A");
		do {
			now = read_clock(clock, false);
			if (now - last > longest)
				longest = now - last;
			/* One that is not longer has no jump in it that could be told from an error. */
			if (now - last > SKEW_NS) {
				there = partner_ask(&teller);
				if (now > there + SKEW_NS)
					fail(__FILE__, __LINE__, "a gap of %lld ns, %lld ahead of home",
					     (long long)(now - last), (long long)(now - there));
				asked++;
				/* The question took its time, too. */
				now = read_clock(clock, false);
			}
			last = now;
		} while (now < end);
		during_end();
	}
	partner_end(&teller);
	note("longest gap %lld us, home was asked %d times", (long long)longest / 1000, asked);
}

/*
 * Stays for as long as it takes two clocks to drift apart, if they do: each follows home's, and
 * never steps back on its way.
 */
static void long_stay(void)
{
	static clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME };
	enum { CLOCKS = 3, STAY_MS = 10000, LOOK_MS = 200 };
	struct partner tellers[CLOCKS];
	int64_t last[CLOCKS], now;
	uint64_t end;

	for (int i = 0; i < CLOCKS; i++)
		partner_start(&tellers[i], tell_time, &clocks[i]);
	away();
	for (int i = 0; i < CLOCKS; i++)
		last[i] = read_clock(clocks[i], false);
	for (int look = 0; look < STAY_MS / LOOK_MS; look++) {
		end = now_ns() + LOOK_MS * 1000000ull;
		do {
			for (int i = 0; i < CLOCKS; i++) {
				now = read_clock(clocks[i], false);
				if (now < last[i])
					fail(__FILE__, __LINE__, "clock %d: %lld ns back", i,
					     (long long)(last[i] - now));
				last[i] = now;
			}
		} while (now_ns() < end);
		for (int i = 0; i < CLOCKS; i++) {
			int64_t there = partner_ask(&tellers[i]), after = read_clock(clocks[i], false);

			if (there < last[i] - SKEW_NS || there > after + SKEW_NS)
				fail(__FILE__, __LINE__, "clock %d, after %d ms: home %lld ns before, %lld "
				     "after", i, look * LOOK_MS, (long long)(last[i] - there),
				     (long long)(there - after));
		}
	}
	EQUAL(where() != 0, moving());
	/* Those that were made later have the ends of the others' pipes, too. */
	for (int i = CLOCKS; i--; )
		partner_end(&tellers[i]);
}

/* time() and gettimeofday() go other ways through the vdso. */
static void time_and_timeofday(void)
{
	for (int round = 0; round < ROUNDS; round++) {
		int64_t real, after, seconds;
		struct timeval tv;

		if (round % 2)
			home();
		else
			away();
		real = read_clock(CLOCK_REALTIME, true);
		seconds = time(NULL);
		DO(gettimeofday(&tv, NULL));
		after = read_clock(CLOCK_REALTIME, true);
		CHECK(seconds >= real / 1000000000 - 1 && seconds <= after / 1000000000 + 1);
		CHECK(tv.tv_sec >= real / 1000000000 - 1 && tv.tv_sec <= after / 1000000000 + 1);
	}
}

/*
 * All functions of the vdso, so that nearly every move finds the thread in the
 * middle of one: what it has read of one node's data must not be used with the
 * other's.
 */
static void read_while_moving(void)
{
	enum { CLOCKS = 7 };
	static const clockid_t clocks[CLOCKS] = {
		CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_TAI, CLOCK_MONOTONIC,
		CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME,
	};
	struct timespec resolution, expected;
	int64_t last[CLOCKS], now, day;
	struct timeval tv;
	uint64_t end;
	int moves = 0;

	away();		/* the first move takes long */
	home();
	DO(clock_getres(CLOCK_MONOTONIC, &expected));
	for (int i = 0; i < CLOCKS; i++)
		last[i] = read_clock(clocks[i], false);
	day = last[0];
	for (int round = 0; round < ROUNDS; round++) {
		during("3 a 5 h 2 a 8 h 4 a 3 h 7 a 6 h");
		end = now_ns() + 100000000;
		do {
			for (int i = 0; i < CLOCKS; i++) {
				now = read_clock(clocks[i], false);
				/* Coarse clocks may be a tick behind after a move. */
				if (now + SKEW_NS < last[i] || now > last[i] + STEP_NS)
					fail(__FILE__, __LINE__, "clock %d: %lld, then %lld", clocks[i],
					     (long long)last[i], (long long)now);
				last[i] = now;
			}
			DO(gettimeofday(&tv, NULL));
			now = tv.tv_sec * 1000000000ll + tv.tv_usec * 1000ll;
			if (now + SKEW_NS < day || now > day + STEP_NS)
				fail(__FILE__, __LINE__, "gettimeofday: %lld, then %lld",
				     (long long)day, (long long)now);
			day = now;
			now = time(NULL);
			CHECK(now >= day / 1000000000 - 1 && now <= (day + STEP_NS) / 1000000000);
			DO(clock_getres(CLOCK_MONOTONIC, &resolution));
			EQUAL(resolution.tv_nsec, expected.tv_nsec);
		} while (now_ns() < end);
		moves += during_end();
	}
	CHECK(moves >= ROUNDS || !moving());
}

/* Does the clock go on where it was, by a time that one move can take? */
static bool goes_on(clockid_t clock, bool by_system_call, int64_t *last)
{
	int64_t now = read_clock(clock, by_system_call);
	bool good = now >= *last - SKEW_NS && now < *last + STEP_NS;

	*last = now;
	return good;
}

/* Ends with 0 if no clock has jumped. */
static void watch_clocks(int64_t mono, int64_t boot)
{
	uint64_t end = now_ns() + 1500000000ull * slower();

	do {
		if (!goes_on(CLOCK_MONOTONIC, false, &mono) || !goes_on(CLOCK_BOOTTIME, false, &boot) ||
		    !goes_on(CLOCK_MONOTONIC, true, &mono))
			_exit(1);
	} while (now_ns() < end);
	_exit(0);
}

/* The clocks of a time namespace stay its own. */
static void time_namespace(void)
{
	const int64_t mono = 100000000000000, boot = 200000000000000;
	int moves = 0;
	pid_t child;

	if (unshare(CLONE_NEWTIME))
		skip("unshare: %s", strerror(errno));
	write_text("/proc/self/timens_offsets", "monotonic 100000 0\nboottime 200000 0\n");
	child = DO(fork());
	if (!child)
		watch_clocks(read_clock(CLOCK_MONOTONIC, true), read_clock(CLOCK_BOOTTIME, true));
	CHECK(read_clock(CLOCK_MONOTONIC, true) < mono && read_clock(CLOCK_BOOTTIME, true) < boot);
	for (int round = 0; round < ROUNDS; round++) {
		during("%d: 3 a 5 h 2 a 40 h 4 a 3 h 7 a", child);
		moves += during_end();
	}
	CHECK(moves || !moving());
	reap(child);
}

/* Joins the time namespace behind a descriptor while it is away. */
static void join_namespace(int file, int64_t least)
{
	away();
	if (read_clock(CLOCK_MONOTONIC, false) >= least)
		_exit(1);
	if (setns(file, CLONE_NEWTIME))
		_exit(2);
	for (int round = 0; round < 3; round++) {
		int64_t before = read_clock(CLOCK_MONOTONIC, true);
		int64_t now = read_clock(CLOCK_MONOTONIC, false);

		if (before < least || now < before - SKEW_NS || now > before + STEP_NS)
			_exit(3 + round);
		away();
	}
	_exit(0);
}

static void namespace_is_joined(void)
{
	const int64_t ahead = 100000000000000;
	pid_t maker, joiner;
	int ends[2], file;
	char path[40], byte;

	DO(pipe(ends));
	maker = DO(fork());
	if (!maker) {
		if (unshare(CLONE_NEWTIME))
			_exit(1);
		write_text("/proc/self/timens_offsets", "monotonic 100000 0\n");
		EQUAL(write(ends[1], "r", 1), 1);
		for (;;)
			pause();
	}
	DO(close(ends[1]));
	if (read(ends[0], &byte, 1) != 1)
		skip("it cannot be made");
	snprintf(path, sizeof(path), "/proc/%d/ns/time_for_children", maker);
	file = DO(open(path, O_RDONLY));
	joiner = DO(fork());
	if (!joiner)
		join_namespace(file, ahead);
	reap(joiner);
	DO(kill(maker, SIGKILL));
}

/* A sleep that is measured by the other node's clock. */
static void intervals(void)
{
	away();
	for (int i = 0; i < 5; i++) {
		int64_t start = read_clock(CLOCK_MONOTONIC, false), took;

		sleep_ms(100);
		took = read_clock(CLOCK_MONOTONIC, false) - start;
		CHECK(took >= 100000000 - SKEW_NS / 10 && took < STEP_NS);
	}
}

/* The page of old programs: what they call there is not a system call, and not home's. */
static void old_page_is_the_nodes(void)
{
	time_t (*old_time)(time_t *) = (void *)0xffffffffff600400;
	int64_t apart;

	if (!strstr(read_text("/proc/self/maps"), "[vsyscall]"))
		skip("this kernel does not have it");
	CHECK(llabs(old_time(NULL) - read_clock(CLOCK_REALTIME, true) / 1000000000) <= 2);
	away();
	apart = llabs(old_time(NULL) - read_clock(CLOCK_REALTIME, true) / 1000000000);
	note("%lld s", (long long)apart);
	CHECK(moving() ? apart > AHEAD_S / 2 : apart <= 2);
}

static int64_t read_counter(void)
{
	uint32_t low, high;

	asm volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (int64_t)high << 32 | low;
}

/* The time stamp counter does not go on as the clock does. */
static void counter_is_the_nodes(void)
{
	int64_t clock, counter, time, ticks;
	double rate;

	clock = read_clock(CLOCK_MONOTONIC, true);
	counter = read_counter();
	sleep_ms(300);
	time = read_clock(CLOCK_MONOTONIC, true) - clock;
	ticks = read_counter() - counter;
	CHECK(ticks > 0);
	rate = (double)ticks / time;
	away();
	time = read_clock(CLOCK_MONOTONIC, true) - clock;
	ticks = read_counter() - counter;
	note("%.3f s by the clock, %.3f s by the counter", time / 1e9, ticks / rate / 1e9);
	CHECK(moving() ? llabs((int64_t)(ticks / rate) - time) > 2000000000 :
			 llabs((int64_t)(ticks / rate) - time) < 500000000);
}

static void file_times_fit(void)
{
	char path[] = "/tmp/st-clock-XXXXXX";
	int64_t before, after;
	int file = DO(mkstemp(path));
	FILE *pipe;
	char text[100] = "", command[100];

	unlink(path);
	snprintf(path, sizeof(path), "/tmp/st-clk-%d", getpid());
	close(file);
	away();
	before = read_clock(CLOCK_REALTIME, false);
	write_text(path, "x");
	after = read_clock(CLOCK_REALTIME, false);
	home();
	snprintf(command, sizeof(command), "date -r %s +%%s%%N", path);
	pipe = popen(command, "r");
	CHECK(pipe && fgets(text, sizeof(text), pipe));
	pclose(pipe);
	unlink(path);
	/* File times are a tick coarse. */
	CHECK(atoll(text) >= before - SKEW_NS && atoll(text) <= after + SKEW_NS);
}

/*
 * The clocks that files are dated by are not behind when a call has told them, nor does a
 * call tell less: home's tick and the node's are not at the same moments.
 */
static void coarse_after_call(void)
{
	static const clockid_t clocks[] = { CLOCK_MONOTONIC_COARSE, CLOCK_REALTIME_COARSE };
	uint64_t end = now_ns() + 2500000000;
	int64_t call, page;
	time_t second;

	away();
	for (unsigned int i = 0; now_ns() < end; i++) {
		clockid_t clock = clocks[i % 2];

		call = read_clock(clock, true);
		page = read_clock(clock, false);
		if (page < call)
			fail(__FILE__, __LINE__, "clock %d: page %lld ns behind", clock,
			     (long long)(call - page));
		call = read_clock(clock, true);
		if (call < page)
			fail(__FILE__, __LINE__, "clock %d: call %lld ns behind", clock,
			     (long long)(page - call));
		second = syscall(SYS_time, NULL);
		CHECK(time(NULL) >= second);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(monotonic), CASE(realtime), CASE(boottime), CASE(monotonic_raw), CASE(coarse),
		CASE(coarse_after_call),
		CASE(process_time), CASE(monotonic_is_homes), CASE(realtime_is_homes),
		CASE(boottime_is_homes), CASE(gaps_are_homes), { "long_stay", long_stay, 60 },
		CASE(time_and_timeofday), CASE(read_while_moving),
		CASE(time_namespace), CASE(namespace_is_joined), CASE(intervals), CASE(file_times_fit),
		CASE(old_page_is_the_nodes), CASE(counter_is_the_nodes),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/* Timers of all kinds, and the clocks of processor time, of a process that is away. */
#include "accounts.h"

#include <fcntl.h>
#include <linux/acct.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

static volatile sig_atomic_t count, value, overruns, by_thread;
static timer_t timer;

enum { MS = 1000000 };

static void tick(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	count++;
	value = info->si_value.sival_int;
	overruns = info->si_overrun;
	by_thread = gettid();
}

static void handle(int number)
{
	struct sigaction action = { .sa_sigaction = tick, .sa_flags = SA_SIGINFO | SA_RESTART };

	count = 0;
	DO(sigaction(number, &action, NULL));
}

static void await(int wanted)
{
	uint64_t end = now_ns() + 60000000000ull;

	while (count < wanted && now_ns() < end)
		;
	CHECK(count >= wanted);
}

static struct itimerspec after_ms(long first, long interval)
{
	return (struct itimerspec){ { 0, interval * 1000000 }, { 0, first * 1000000 } };
}

/* Nobody is told; it can be asked. */
static void asked_only(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	struct itimerspec set = after_ms(500, 300), left;

	away();
	DO(timer_create(CLOCK_MONOTONIC, &event, &timer));
	DO(timer_settime(timer, 0, &set, NULL));
	DO(timer_gettime(timer, &left));
	CHECK(left.it_value.tv_nsec > 0 && left.it_value.tv_nsec <= 500000000);
	EQUAL(left.it_interval.tv_nsec, 300000000);
	home();
	sleep_ms(510);
	DO(timer_gettime(timer, &left));
	CHECK(left.it_value.tv_nsec > 0 && left.it_value.tv_nsec <= 300000000);
	away();
	DO(timer_delete(timer));
	EQUAL(timer_gettime(timer, &left), -1);
	EQUAL(errno, EINVAL);
}

static void absolute_and_old_value(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN,
				  .sigev_value.sival_int = 4711 };
	struct itimerspec set = { .it_value.tv_sec = 1000000 }, old;
	struct timespec now;

	handle(SIGRTMIN);
	away();
	DO(timer_create(CLOCK_REALTIME, &event, &timer));
	DO(timer_settime(timer, 0, &set, NULL));
	DO(clock_gettime(CLOCK_REALTIME, &now));
	set.it_value = (struct timespec){ now.tv_sec - 5, 0 };	/* past */
	DO(timer_settime(timer, TIMER_ABSTIME, &set, &old));
	CHECK(old.it_value.tv_sec >= 999990);
	await(1);
	EQUAL(count, 1);
	EQUAL(value, 4711);
}

/* Ticks that come while the signal is blocked are counted. */
static void overruns_are_counted(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	struct itimerspec set = after_ms(5, 5), none = { 0 };
	sigset_t signals;

	handle(SIGRTMIN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGRTMIN);
	away();
	DO(sigprocmask(SIG_BLOCK, &signals, NULL));
	DO(timer_create(CLOCK_MONOTONIC, &event, &timer));
	DO(timer_settime(timer, 0, &set, NULL));
	compute_ms(100);
	DO(timer_settime(timer, 0, &none, NULL));
	EQUAL(count, 0);
	DO(sigprocmask(SIG_UNBLOCK, &signals, NULL));
	CHECK(count <= 1);	/* disarming may have taken it back */
	away();
	set = after_ms(5, 5);
	count = 0;
	DO(sigprocmask(SIG_BLOCK, &signals, NULL));
	DO(timer_settime(timer, 0, &set, NULL));
	compute_ms(100);
	DO(sigprocmask(SIG_UNBLOCK, &signals, NULL));
	await(1);
	CHECK(overruns >= 10 || count > 1);
	away();
	CHECK(DO(timer_getoverrun(timer)) >= 0);
	DO(timer_delete(timer));
}

/* To one thread of several, and no other. */
static void *thread_waits(void *word)
{
	__atomic_store_n((pid_t *)word, gettid(), __ATOMIC_SEQ_CST);
	await(2);
	return NULL;
}

static void to_one_thread(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN };
	struct itimerspec set = after_ms(20, 20);
	pid_t tid = 0;
	pthread_t thread;

	handle(SIGRTMIN);
	away();
	EQUAL(pthread_create(&thread, NULL, thread_waits, &tid), 0);
	while (!__atomic_load_n(&tid, __ATOMIC_SEQ_CST))
		sleep_ms(5);
	event._sigev_un._tid = tid;
	DO(timer_create(CLOCK_MONOTONIC, &event, &timer));
	away();
	DO(timer_settime(timer, 0, &set, NULL));
	EQUAL(pthread_join(thread, NULL), 0);
	EQUAL(by_thread, tid);
}

static void expired(union sigval with)
{
	*(int *)with.sival_ptr = 1;
}

/* A thread of the C library's calls the function. */
static void by_a_new_thread(void)
{
	volatile int called = 0;
	struct sigevent event = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = expired,
				  .sigev_value.sival_ptr = (void *)&called };
	struct itimerspec set = after_ms(30, 0);
	uint64_t end;

	away();
	DO(timer_create(CLOCK_MONOTONIC, &event, &timer));
	DO(timer_settime(timer, 0, &set, NULL));
	end = now_ns() + 60000000000ull;
	while (!called && now_ns() < end)
		sleep_ms(1);
	EQUAL(called, 1);
	DO(timer_delete(timer));
}

static void interval_timer(void)
{
	struct itimerval every = { { 0, 15000 }, { 0, 15000 } }, left;

	handle(SIGALRM);
	away();
	DO(setitimer(ITIMER_REAL, &every, NULL));
	await(4);
	home();
	DO(getitimer(ITIMER_REAL, &left));
	EQUAL(left.it_interval.tv_usec, 15000);
	count = 0;
	await(2);
	away();
	every = (struct itimerval){ 0 };
	DO(setitimer(ITIMER_REAL, &every, &left));
	EQUAL(left.it_interval.tv_usec, 15000);
	count = 0;
	compute_ms(50);
	EQUAL(count, 0);
	EQUAL(alarm(100), 0);
	sleep_ms(5);
	CHECK(alarm(0) >= 90);
}

/* They follow the processor time of the process; looked at while it is at home. */
static void processor_timers(void)
{
	const int which[] = { ITIMER_VIRTUAL, ITIMER_PROF }, number[] = { SIGVTALRM, SIGPROF };
	struct itimerval once = { { 0 }, { 0, 100000 } }, left;

	for (int i = 0; i < 2; i++) {
		uint64_t end = now_ns() + 60000000000ull;

		handle(number[i]);
		away();
		DO(setitimer(which[i], &once, NULL));
		DO(getitimer(which[i], &left));
		CHECK(left.it_value.tv_usec > 0 && left.it_value.tv_sec == 0);
		while (!count && now_ns() < end) {
			compute_ms(50);
			if (moving())
				home();
			compute_ms(20);
		}
		EQUAL(count, 1);
		DO(getitimer(which[i], &left));
		EQUAL(left.it_value.tv_usec, 0);
	}
}

static int64_t used_us(int who)
{
	struct rusage usage;

	DO(getrusage(who, &usage));
	return usage.ru_utime.tv_sec * 1000000ll + usage.ru_utime.tv_usec;
}

/* All accounts of its own processor time grow by what it has computed away, and no more. */
static void own_time_grows(void)
{
	enum { TRIES = 5 };
	struct accounts before, after;
	int tries = 0;

	away();
	do {
		CHECK(tries++ < TRIES);
		getppid();		/* tells */
		look_at_accounts(&before);
		compute_for(600);
		getppid();
		look_at_accounts(&after);
	} while (!accounts_are_right(&before, &after, after.begin - before.end));
}

/*
 * What a thread computes away is its own, too: it gets somewhere if it waits for its own clock, and
 * no clock of processor time goes back, wherever it is looked at.
 */
static void time_is_the_threads(void)
{
	int64_t thread = read_clock(CLOCK_THREAD_CPUTIME_ID), usage, begun, now;
	int64_t process = read_clock(CLOCK_PROCESS_CPUTIME_ID);
	struct rusage used;
	char path[60];
	long user, system;

	for (int round = 0; round < 3; round++) {
		away();
		DO(getrusage(RUSAGE_THREAD, &used));
		usage = rusage_ns(&used);
		begun = thread;
		do {
			compute_ms(20);
			now = read_clock(CLOCK_THREAD_CPUTIME_ID);
			CHECK(now >= thread);
			thread = now;
			now = read_clock(CLOCK_PROCESS_CPUTIME_ID);
			CHECK(now >= process && now >= thread);
			process = now;
		} while (thread - begun < 300 * MS);
		EQUAL(!where(), !moving());
		DO(getrusage(RUSAGE_THREAD, &used));
		CHECK(rusage_ns(&used) - usage > 200 * MS);
		home();
		now = read_clock(CLOCK_THREAD_CPUTIME_ID);
		CHECK(now >= thread);
		thread = now;
	}
	/* Nothing twice: there is no other thread. */
	process = read_clock(CLOCK_PROCESS_CPUTIME_ID);
	CHECK(process < thread + 50 * MS);
	snprintf(path, sizeof(path), "self/task/%d", gettid());
	ticks_of(path, &user, &system);
	CHECK((user + system) * (int64_t)TICK_NS > 600 * MS);
}

/* A number of struct acct: 13 bits, and 3 of an exponent of 8; hundredths of a second. */
static int64_t account_ns(comp_t number)
{
	return ((int64_t)(number & 0x1fff) << (number >> 13) * 3) * 10 * MS;
}

/* The record that accounting makes of a process has what it has used elsewhere. */
static void accounted(void)
{
	char path[] = "/tmp/acct-XXXXXX";
	int file = DO(mkstemp(path)), status;
	struct acct_v3 record;
	pid_t pid, ended;
	int64_t used, accounted;
	struct rusage usage;

	if (acct(path)) {
		unlink(path);
		skip("acct: %s", strerror(errno));
	}
	pid = fork();
	if (!pid) {
		away();
		while (read_clock(CLOCK_PROCESS_CPUTIME_ID) < 1000 * MS)
			compute_ms(50);
		_exit(0);
	}
	ended = wait4(pid, &status, 0, &usage);
	acct(NULL);
	unlink(path);
	EQUAL(ended, pid);
	EQUAL(status, 0);
	do
		EQUAL(read(file, &record, sizeof(record)), sizeof(record));
	while ((pid_t)record.ac_pid != pid);
	used = rusage_ns(&usage);
	accounted = account_ns(record.ac_utime) + account_ns(record.ac_stime);
	note("used %lld ms, accounted %lld", (long long)used / MS, (long long)accounted / MS);
	CHECK(used > 500 * MS);
	CHECK(accounted > used / 2);
}

/* In ticks, of another. */
static long user_ticks(pid_t pid)
{
	long user, system;

	stat_ticks(pid, &user, &system);
	return user;
}

/* As its parent sees them: while it computes, and when it has ended. */
static void time_of_a_child(void)
{
	int64_t before, now, most, children = used_us(RUSAGE_CHILDREN);
	uint64_t begin = now_ns(), end;
	struct rusage usage;
	clockid_t clock;
	struct tms all;
	int status;
	pid_t child;

	child = DO(fork());
	if (!child)
		for (;;) {
			compute_checked(20);
			getppid();
		}
	away_pid(child);
	EQUAL(clock_getcpuclockid(child, &clock), 0);
	before = read_clock(clock);
	/* A part of it is the system's. */
	end = now_ns() + 60000000000ull;
	do {
		sleep_ms(50);
		now = read_clock(clock);
	} while ((now - before < 150000000 || user_ticks(child) < 10) && now_ns() < end);
	CHECK(now - before >= 150000000);
	CHECK(user_ticks(child) >= 10);
	DO(kill(child, SIGKILL));
	EQUAL(wait4(child, &status, 0, &usage), child);
	CHECK(usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec >= 100000);
	CHECK(used_us(RUSAGE_CHILDREN) - children >= 100000);
	/* All that was told, and no more than there has been. */
	most = now_ns() - begin;
	CHECK(rusage_ns(&usage) >= now - before - TICK_NS);
	CHECK(rusage_ns(&usage) <= most + most / 10 + TICK_NS);
	times(&all);
	CHECK(all.tms_cutime >= 10);
	EQUAL(clock_getcpuclockid(child, &clock), ESRCH);
}

/*
 * What has been computed away counts for timers that were set before: they are over when the
 * thread comes home, not after as much more.
 */
static void time_away_counts_for_timers(void)
{
	struct itimerval set = { { 0 }, { 0, 300000 } }, left;
	int64_t over;

	handle(SIGPROF);
	away();
	DO(setitimer(ITIMER_PROF, &set, NULL));
	/* Its own count, of ticks: getrusage() goes on while the host does not run the machine. */
	do {
		compute_ms(100);
		DO(getitimer(ITIMER_PROF, &left));
	} while (left.it_value.tv_usec > 20000);
	over = used_us(RUSAGE_SELF);
	home();
	while (!count && used_us(RUSAGE_SELF) - over < 200000)
		compute_ms(10);
	EQUAL(count, 1);
	CHECK(read_clock(CLOCK_PROCESS_CPUTIME_ID) >= 200000000);
}

/* A timer on a processor clock; the thread is at home when it is to be told. */
static void timer_on_processor_time(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	struct itimerspec set = after_ms(100, 0);
	uint64_t end;

	handle(SIGRTMIN);
	away();
	DO(timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer));
	DO(timer_settime(timer, 0, &set, NULL));
	end = now_ns() + 60000000000ull;
	while (!count && now_ns() < end) {
		compute_ms(50);
		if (moving())
			home();
		compute_ms(20);
	}
	EQUAL(count, 1);
}

/* A sleep on the clock of another's processor time. */
static void sleep_on_processor_time(void)
{
	struct timespec length = { 0, 50000000 };
	int64_t before;
	clockid_t clock;
	pid_t child;

	child = DO(fork());
	if (!child)
		for (;;)
			compute_checked(20);
	EQUAL(clock_getcpuclockid(child, &clock), 0);
	before = read_clock(clock);
	away();
	EQUAL(clock_nanosleep(clock, 0, &length, NULL), 0);
	CHECK(read_clock(clock) - before >= 50000000);
	DO(kill(child, SIGKILL));
	EQUAL(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &length, NULL), EINVAL);
}

/* Clocks and how fine they are, by the call; and clocks that are not there. */
static void clocks_by_call(void)
{
	struct timespec resolution, real, tai;

	away();
	EQUAL(syscall(SYS_clock_getres, CLOCK_REALTIME, &resolution), 0);
	EQUAL(resolution.tv_nsec, 1);
	EQUAL(syscall(SYS_clock_getres, CLOCK_MONOTONIC_COARSE, &resolution), 0);
	CHECK(resolution.tv_nsec >= 1000000);
	EQUAL(syscall(SYS_clock_gettime, 77, &real), -1);
	EQUAL(errno, EINVAL);
	DO(syscall(SYS_clock_gettime, CLOCK_REALTIME, &real));
	DO(syscall(SYS_clock_gettime, CLOCK_TAI, &tai));
	CHECK(tai.tv_sec >= real.tv_sec && tai.tv_sec <= real.tv_sec + 60);
	EQUAL(clock_settime(CLOCK_MONOTONIC, &real), -1);
	EQUAL(errno, EINVAL);
}

/* Those that wake a machine that sleeps may be had by few, and not where there is no such clock. */
static const struct {
	clockid_t clock;
	bool wakes;
} clocks[] = {
	{ CLOCK_REALTIME, false }, { CLOCK_MONOTONIC, false }, { CLOCK_BOOTTIME, false },
	{ CLOCK_TAI, false }, { CLOCK_REALTIME_ALARM, true }, { CLOCK_BOOTTIME_ALARM, true },
};

enum { CLOCKS = sizeof(clocks) / sizeof(*clocks) };

/* From now, and at a time; each tells of itself, and no sooner than it was asked to. */
static void on_all_clocks(void)
{
	struct timespec patience = { 60, 0 };
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	DO(sigprocmask(SIG_BLOCK, &set, NULL));
	for (int i = 0; i < CLOCKS; i++) {
		struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1,
					  .sigev_value.sival_int = 100 + i };
		struct itimerspec at = after_ms(20, 0);
		int64_t begin;

		away();
		if (timer_create(clocks[i].clock, &event, &timer)) {
			CHECK(clocks[i].wakes && (errno == EPERM || errno == EOPNOTSUPP));
			continue;
		}
		begin = now_ns();
		DO(timer_settime(timer, 0, &at, NULL));
		EQUAL(sigtimedwait(&set, &info, &patience), SIGRTMIN + 1);
		EQUAL(info.si_value.sival_int, 100 + i);
		EQUAL(info.si_code, SI_TIMER);
		/* The vdso's clock is a moment off, see clock/monotonic_is_homes. */
		CHECK(now_ns() - begin >= 10000000);
		DO(clock_gettime(clocks[i].wakes ? CLOCK_REALTIME : clocks[i].clock, &at.it_value));
		if (clocks[i].clock == CLOCK_BOOTTIME_ALARM)
			DO(clock_gettime(CLOCK_BOOTTIME, &at.it_value));
		at.it_value.tv_nsec += 30000000;
		at.it_value.tv_sec += at.it_value.tv_nsec / 1000000000;
		at.it_value.tv_nsec %= 1000000000;
		DO(timer_settime(timer, TIMER_ABSTIME, &at, NULL));
		home();
		EQUAL(sigtimedwait(&set, &info, &patience), SIGRTMIN + 1);
		EQUAL(info.si_value.sival_int, 100 + i);
		DO(timer_delete(timer));
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(asked_only), CASE(absolute_and_old_value), CASE(overruns_are_counted),
		CASE(to_one_thread), CASE(by_a_new_thread), CASE(interval_timer),
		CASE(processor_timers), CASE(own_time_grows), CASE(time_is_the_threads),
		CASE(accounted), CASE(time_of_a_child),
		CASE(timer_on_processor_time), CASE(time_away_counts_for_timers),
		CASE(sleep_on_processor_time), CASE(clocks_by_call), CASE(on_all_clocks),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

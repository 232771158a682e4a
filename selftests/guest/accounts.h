/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The accounts of a process' processor time, which all say the same, and are held against the
 * time that a thread has computed: what is counted twice, or half of which is missing, shows.
 */
#ifndef _RADIUM_SELFTEST_ACCOUNTS_H
#define _RADIUM_SELFTEST_ACCOUNTS_H

#include "harness.h"

#include <sys/resource.h>
#include <sys/times.h>

static inline int64_t read_clock(clockid_t clock)
{
	struct timespec now;

	DO(clock_gettime(clock, &now));
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* In user mode and in the kernel. */
static inline int64_t rusage_ns(const struct rusage *usage)
{
	return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000000ll +
	       (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1000ll;
}

/* Fields 14 and 15 of /proc/PID/stat, in ticks, of a process ("PID") or a thread ("PID/task/TID"). */
static inline void ticks_of(const char *whose, long *user, long *system)
{
	char path[80], *text;

	snprintf(path, sizeof(path), "/proc/%s/stat", whose);
	text = strrchr(read_text(path), ')');
	CHECK(text);
	EQUAL(sscanf(text, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", user, system),
	      2);
}

static inline void stat_ticks(pid_t pid, long *user, long *system)
{
	char whose[20];

	snprintf(whose, sizeof(whose), "%d", pid);
	ticks_of(whose, user, system);
}

enum account { CLOCK, RUSAGE, TIMES, STAT, ACCOUNTS };

static const char *const account_names[] = { "the clock", "getrusage", "times", "/proc/PID/stat" };

enum { TICK_NS = 10000000 };	/* USER_HZ is 100 */

/* What has been used up to now, by each account in ns; and when it was looked at. */
struct accounts {
	uint64_t begin, end;
	int64_t used[ACCOUNTS];
	int64_t thread;		/* CLOCK_THREAD_CPUTIME_ID */
};

static inline void look_at_accounts(struct accounts *accounts)
{
	long user, system;
	struct rusage usage;
	struct tms ticks;

	accounts->begin = now_ns();
	accounts->thread = read_clock(CLOCK_THREAD_CPUTIME_ID);
	accounts->used[CLOCK] = read_clock(CLOCK_PROCESS_CPUTIME_ID);
	DO(getrusage(RUSAGE_SELF, &usage));
	accounts->used[RUSAGE] = rusage_ns(&usage);
	DO(times(&ticks));
	accounts->used[TIMES] = (ticks.tms_utime + ticks.tms_stime) * (int64_t)TICK_NS;
	stat_ticks(getpid(), &user, &system);
	accounts->used[STAT] = (user + system) * (int64_t)TICK_NS;
	accounts->end = now_ns();
}

/*
 * Between the two looks one thread has done nothing else than compute, for so many ns. It has
 * not used more than there was, by any account. It has used almost all of that; or, unmoved, on
 * a machine with others, what its own clock says. False: it has not, or there was much else to
 * do for the machine, and nothing can be said.
 */
static inline bool accounts_are_right(const struct accounts *before, const struct accounts *after,
				      int64_t computed)
{
	const int64_t most = after->end - before->begin;
	const int64_t least = moving() ? computed : after->thread - before->thread;
	const int64_t slack = 3 * TICK_NS;	/* two roundings, and the looks themselves */
	bool enough = !moving() || most < computed + computed / 2;

	for (int i = 0; i < ACCOUNTS; i++) {
		int64_t used = after->used[i] - before->used[i];

		note("%s: %lld ms, of %lld to %lld", account_names[i], (long long)used / 1000000,
		     (long long)least / 1000000, (long long)most / 1000000);
		if (used > most + most / 10 + slack)
			fail(__FILE__, __LINE__, "%s says %lld ms where there were %lld",
			     account_names[i], (long long)used / 1000000,
			     (long long)most / 1000000);
		if (!moving() && used > least + least / 10 + slack)
			fail(__FILE__, __LINE__, "%s says %lld ms, the thread %lld",
			     account_names[i], (long long)used / 1000000,
			     (long long)least / 1000000);
		enough &= used >= least - least / 4 - slack;
	}
	return enough;
}

/* So much of a processor's time; away that cannot be asked for, and nobody else is there. */
static inline void compute_for(unsigned int ms)
{
	int64_t end = read_clock(CLOCK_THREAD_CPUTIME_ID) + ms * 1000000ll;

	do
		compute_ms(moving() ? ms : 20);
	while (!moving() && read_clock(CLOCK_THREAD_CPUTIME_ID) < end);
}

#endif

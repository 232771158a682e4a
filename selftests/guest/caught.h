/* SPDX-License-Identifier: GPL-2.0 */
/* The last signal that a case has caught, and what was told with it. */
#ifndef _RADIUM_SELFTEST_CAUGHT_H
#define _RADIUM_SELFTEST_CAUGHT_H

#include "harness.h"

#include <signal.h>

static volatile sig_atomic_t caught;	/* its number, 0: none since handle() */
static volatile siginfo_t caught_info;

static void catch(int number, siginfo_t *info, void *context)
{
	(void)context;
	caught_info = *info;
	caught = number;
}

static inline void handle(int number)
{
	struct sigaction action = { .sa_sigaction = catch, .sa_flags = SA_SIGINFO };

	caught = 0;
	DO(sigaction(number, &action, NULL));
}

/* Without a system call, in which it would be noticed anyway. */
static inline void await_signal(int number)
{
	uint64_t end = now_ns() + 60000000000ull;

	while (caught != number && now_ns() < end)
		;
	EQUAL(caught, number);
}

#endif

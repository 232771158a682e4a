/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of blocked calls share. */
#ifndef _RADIUM_SELFTEST_BLOCKING_H
#define _RADIUM_SELFTEST_BLOCKING_H

/* When blocked calls are moved, and how long what they wait for takes. */
#define MOVES_AT_ONCE "60 A 60 H 60 A 30"
/* For calls that are left alone: they go when they have ended, see gone_in_the_end(). */
#define MOVES "60 a 60 h 60 a 30"
enum { EVENT_MS = 900, SHORT_MS = 800 };

/* The first move makes the replica and takes longer than the calls block. */
static inline void warm_up(void)
{
	away();
	home();
}

static inline pid_t event(void (*function)(void *), void *argument)
{
	warm_up();
	return later(EVENT_MS, function, argument);
}

/* What asked it away last in its call has got it, when that has ended or a moment later. */
static inline void gone_in_the_end(void)
{
	during_end();
	for (int i = 0; i < 2000 && moving() && !where(); i++)
		sleep_ms(10);
	EQUAL(where() != 0, moving());
}

#define blocked(steps) do { warm_up(); during(steps); } while (0)

#endif

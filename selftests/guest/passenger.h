/* SPDX-License-Identifier: GPL-2.0 */
/* Processes to be moved while they do this and that, and what becomes of them. */
#ifndef _RADIUM_SELFTEST_PASSENGER_H
#define _RADIUM_SELFTEST_PASSENGER_H

#include <stdint.h>
#include <sys/types.h>
#include "../../uapi/linux/radium.h"

enum {
	PASSENGER_KINDS	= 5,
	PASSENGER_LIVES	= 7,	/* its exit status after SIGTERM */
	/* A state of its thread; AWAY with a recall under way is one of its own. */
	PHASE_RECALLED	= RADIUM_THREAD_STATE_COUNT,
	PHASES
};

/* Touches memory and makes system calls, so that it is met in all of these. Never returns. */
void passenger(unsigned int kind) __attribute__((noreturn));
/* Phase of its thread; HOME where nobody knows it. */
unsigned int passenger_phase(int device, pid_t pid);
/* Prints how many have been met in each phase. */
void passenger_print_phases(const unsigned int met[PHASES]);
/* CLOCK_MONOTONIC in microseconds. */
uint64_t now_us(void);

#endif

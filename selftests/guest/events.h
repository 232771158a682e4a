/* SPDX-License-Identifier: GPL-2.0 */
/* How often processes went and came home, and why, by what the module tells. */
#ifndef _RADIUM_SELFTEST_EVENTS_H
#define _RADIUM_SELFTEST_EVENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "../../uapi/linux/radium.h"

struct events {
	uint64_t away, home[RADIUM_R_COUNT];
	uint64_t refused[RADIUM_R_COUNT];	/* went nowhere, after it was asked to */
	uint64_t lost;				/* of anybody's: the reader was too slow */
};

/* Begins to listen; false and errno if that fails. */
bool events_open(void);
/* From now on those of this process count, under this name. */
void events_of(pid_t pid, const char *comm);
/* The same for every process, under the name that it has when it goes or has come home. */
void events_of_all(void);
/* Counts those that have happened. To be called often: the module keeps some hundreds. */
void events_take(void);
/* A program's name as a JSON string. */
void events_print_name(const char *comm);
/* The same as members of a JSON object, with the system calls that threads came home for. */
void events_print(void);

#endif

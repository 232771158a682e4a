/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes of which one is chosen, at random, to be moved: some, and what descends from them.
 */
#ifndef _RADIUM_SELFTEST_FAMILY_H
#define _RADIUM_SELFTEST_FAMILY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "../../uapi/linux/radium.h"

enum { FAMILY_MOST = 64 };	/* processes considered */

struct candidate {
	pid_t pid;
	char comm[RADIUM_NAME_SIZE], state;
};

/* The choices that follow depend on it alone. */
void family_seed(uint64_t seed);
uint64_t family_random(void);
/* Evenly between nothing and twice the mean: short stays are the interesting ones. */
unsigned int family_pause_us(unsigned int mean_ms);

/* Processes of these names, with commas between them, are the ones that are meant; all if empty. */
void family_name(const char *names);
bool family_is_named(const char *comm);

int family_children(pid_t pid, pid_t *list, int room);
/* Fills in name and state of a process; false if it is gone. */
bool family_look(struct candidate *process);
/*
 * One of these or of their descendants: in seven of eight cases one that is named, if there
 * is one, and of these in seven of eight one that computes.
 */
struct candidate family_choose(const pid_t *roots, unsigned int count);
/* Of these and their descendants those that are named; how many. */
unsigned int family_named(const pid_t *roots, unsigned int count, pid_t list[FAMILY_MOST]);
/* One of them that has this name; false if there is none. */
bool family_find(const pid_t *roots, unsigned int count, const char *name,
		 struct candidate *found);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process whose threads are placed on several nodes, and moved about among them while
 * they work. Its parent does it, and never moves; nor does the main thread.
 */
#ifndef _RADIUM_SELFTEST_ROAM_H
#define _RADIUM_SELFTEST_ROAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "ns.h"

enum { ROAM_NODES = 8, ROAM_THREADS = 16 };

struct roam {
	unsigned int node[ROAM_NODES], nodes;	/* none: nothing is moved */
	unsigned int mean_ms;			/* between moves; 0: placed once */
	unsigned int limit_s;			/* without a sign of life */
	unsigned int slow;			/* times what the stock kernel takes */
	uint64_t seed;
};

/*
 * -n NODE,NODE... -m MEAN_MS -s SEED -t FACTOR (of the limits), for getopt() and then one by
 * one; false if it is another, or not like that.
 */
#define ROAM_OPTIONS "n:m:s:t:"
bool roam_option(struct roam *roam, int letter, const char *text);

/*
 * Runs a function in a process of its own, whose exit status is what it gives, and
 * moves its threads; 0 if it gave 0 and nothing went wrong. So it does where moves are done far
 * more seldom than wanted, or nobody has been on one of the nodes.
 */
int roam_run(const struct roam *roam, int (*program)(void *), void *argument);

/*
 * For the main thread of that process: these threads may be moved from now on, and are
 * where they belong when it returns; this memory is read from outside now and then.
 */
void roam_begin(const pid_t *tids, unsigned int count, const void *memory, size_t bytes);
/* A sign of life. */
void roam_alive(void);
/* Prints what Radium has counted of the process. */
void roam_report(void);

uint64_t roam_random(uint64_t *state);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Threads of a case, which are placed on nodes one by one. What only one of them
 * writes lies in pages of its own: sharing a page is what some cases are about, and
 * costs the others time.
 */
#ifndef _RADIUM_SELFTEST_CREW_H
#define _RADIUM_SELFTEST_CREW_H

#include "harness.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#define ALONE __attribute__((aligned(4096)))

/* Where threads are spread over: home and two others. */
enum { PLACES = 3 };
extern const unsigned int places[PLACES];

struct hand {
	void *(*work)(struct hand *hand);
	void *argument;
	pthread_t thread;
	pid_t tid;
	unsigned int number;
	void *result;			/* after crew_join() */
	sem_t ready ALONE, go ALONE, done ALONE;
} ALONE;

/* Threads that have begun, at home, and wait for crew_go(). */
void crew_start(struct hand *hands, unsigned int count, void *(*work)(struct hand *),
		void *argument);
void crew_place(struct hand *hand, unsigned int node);
/* One after the other on places[first], places[first + 1], ... */
void crew_spread(struct hand *hands, unsigned int count, unsigned int first);
void crew_go(struct hand *hands, unsigned int count);
void crew_join(struct hand *hands, unsigned int count);
/* Waits until all sleep in a futex. */
void crew_asleep(struct hand *hands, unsigned int count);
/* Waits for a semaphore, whatever signals come. */
void down(sem_t *semaphore);
/* So many moves of threads that are chosen at random; they may end meanwhile. */
void crew_stir(struct hand *hands, unsigned int count, unsigned int moves);

/* A child that spreads threads over the nodes; its parent looks at how it ends. */
pid_t child_with(void (*run)(void));
/* With this status; whether core was dumped is not the point. */
void ends_with(pid_t pid, int expected);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* How often a litmus test has had which outcome. */
#ifndef _RADIUM_SELFTEST_TALLY_H
#define _RADIUM_SELFTEST_TALLY_H

#include "shapes.h"

/* Of how accesses are made. */
enum tally_variant { TALLY_PLAIN, TALLY_LOCKED, TALLY_FUTEX, TALLY_VARIANTS };

struct tally {
	const struct shape *shape;
	uint8_t classes[2][SHAPE_OUTCOMES];	/* without and with locks */
	unsigned int count[TALLY_VARIANTS][SHAPE_OUTCOMES];
	unsigned int stale;			/* values that no outcome can contain */
	unsigned int rounds;
	unsigned int mixed, raced;		/* with more than one outcome, than two */
	unsigned int overlaps;			/* outcomes that no order of threads gives */
	unsigned int different;			/* outcomes of this round */
	uint8_t seen[SHAPE_OUTCOMES];		/* those, each */
};

extern const char *const tally_variants[TALLY_VARIANTS];

void tally_begin(struct tally *tally, const struct shape *shape);
/* False if this outcome is forbidden. */
bool tally_add(struct tally *tally, enum tally_variant variant, unsigned int key);
/* The end of a round. */
void tally_round(struct tally *tally);
/*
 * Have the threads raced? Rounds with one outcome for all are none. Outcomes that no order of
 * threads gives show it; with four threads, of which two have to be in the middle for that, so do
 * rounds with three outcomes: threads have overtaken others twice.
 */
bool tally_overlapped(const struct tally *tally);
/* Prints the histogram; false if there was a forbidden outcome, or if threads that had to
 * overlap hardly did. */
bool tally_report(const struct tally *tally, double seconds, bool must_overlap);
/* Does the model say of a shape what every book says? */
bool tally_known(const struct shape *shape);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Litmus shapes: a few threads with a few accesses each to a few variables, all zero
 * before; and which of their outcomes x86-TSO allows.
 */
#ifndef _RADIUM_SELFTEST_SHAPES_H
#define _RADIUM_SELFTEST_SHAPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SHAPE_THREADS	= 4,
	SHAPE_OPS	= 2,		/* of one thread */
	SHAPE_VARIABLES	= 3,		/* x, y, z */
	SHAPE_READS	= 4,		/* of all threads */
	SHAPE_ANY	= -1,
	/* Two bits for what each read gave, and for what each variable is in the end. */
	SHAPE_OUTCOMES	= 1 << 2 * (SHAPE_READS + SHAPE_VARIABLES),
};

enum shape_access { SHAPE_NONE, SHAPE_READ, SHAPE_WRITE };

struct shape_op {
	enum shape_access access;
	unsigned int variable, value;	/* of a write: what, 1 to 3 */
};

struct shape_outcome {
	int read[SHAPE_READS];		/* in the order of the threads and their accesses */
	int last[SHAPE_VARIABLES];
};

struct shape {
	const char *name;
	struct shape_op op[SHAPE_THREADS][SHAPE_OPS];
	struct shape_outcome critical;	/* the one that the shape is about */
	bool relaxed;			/* x86-TSO allows it, without locks and fences */
};

/* How an outcome comes about. Each is worse than the one before. */
enum shape_class {
	SHAPE_SERIAL,			/* thread after thread */
	SHAPE_INTERLEAVED,		/* access after access: the threads have overlapped */
	SHAPE_RELAXED,			/* stores wait in store buffers */
	SHAPE_FORBIDDEN,
	SHAPE_CLASSES
};

extern const struct shape shapes[];	/* ends with one that has no name */
extern const char *const shape_class_names[SHAPE_CLASSES];

unsigned int shape_threads(const struct shape *shape);
unsigned int shape_key(const struct shape_outcome *outcome);
struct shape_outcome shape_outcome(unsigned int key);
bool shape_is_critical(const struct shape *shape, unsigned int key);

/*
 * Class of every outcome, by trying all that a machine with store buffers may do; locked:
 * each write reaches memory before its thread's next access.
 */
void shape_classify(const struct shape *shape, bool locked, uint8_t classes[SHAPE_OUTCOMES]);

#endif

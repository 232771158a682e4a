// SPDX-License-Identifier: GPL-2.0
#include "shapes.h"

#include <string.h>

enum { X, Y, Z };

#define R(variable)		{ SHAPE_READ, variable, 0 }
#define W(variable, value)	{ SHAPE_WRITE, variable, value }
#define ANY			SHAPE_ANY
#define NO_READ			{ 0, 0, 0, 0 }

/* Reads that a shape does not have count as 0, and so do variables. */
const struct shape shapes[] = {
	{ "SB",   { { W(X, 1), R(Y) }, { W(Y, 1), R(X) } },
	  { { 0, 0, 0, 0 }, { ANY, ANY, ANY } }, true },
	{ "MP",   { { W(X, 1), W(Y, 1) }, { R(Y), R(X) } },
	  { { 1, 0, 0, 0 }, { ANY, ANY, ANY } }, false },
	{ "LB",   { { R(X), W(Y, 1) }, { R(Y), W(X, 1) } },
	  { { 1, 1, 0, 0 }, { ANY, ANY, ANY } }, false },
	{ "S",    { { W(X, 2), W(Y, 1) }, { R(Y), W(X, 1) } },
	  { { 1, 0, 0, 0 }, { 2, ANY, ANY } }, false },
	{ "R",    { { W(X, 1), W(Y, 1) }, { W(Y, 2), R(X) } },
	  { { 0, 0, 0, 0 }, { ANY, 2, ANY } }, true },
	{ "2+2W", { { W(X, 1), W(Y, 2) }, { W(Y, 1), W(X, 2) } },
	  { NO_READ, { 1, 1, ANY } }, false },
	{ "WRC",  { { W(X, 1) }, { R(X), W(Y, 1) }, { R(Y), R(X) } },
	  { { 1, 1, 0, 0 }, { ANY, ANY, ANY } }, false },
	{ "IRIW", { { W(X, 1) }, { W(Y, 1) }, { R(X), R(Y) }, { R(Y), R(X) } },
	  { { 1, 0, 1, 0 }, { ANY, ANY, ANY } }, false },
	{ "CoRR", { { W(X, 1) }, { R(X), R(X) } },
	  { { 1, 0, 0, 0 }, { ANY, ANY, ANY } }, false },
	/* With somebody who takes the variable between the two. */
	{ "CoWW", { { W(X, 1), W(X, 2) }, { R(X) } },
	  { { ANY, 0, 0, 0 }, { 1, ANY, ANY } }, false },
	{ "ISA2", { { W(X, 1), W(Y, 1) }, { R(Y), W(Z, 1) }, { R(Z), R(X) } },
	  { { 1, 1, 0, 0 }, { ANY, ANY, ANY } }, false },
	{ 0 }
};

const char *const shape_class_names[SHAPE_CLASSES] = {
	"serial", "interleaved", "relaxed", "FORBIDDEN"
};

unsigned int shape_threads(const struct shape *shape)
{
	unsigned int count = 0;

	while (count < SHAPE_THREADS && shape->op[count][0].access)
		count++;
	return count;
}

unsigned int shape_key(const struct shape_outcome *outcome)
{
	unsigned int key = 0;

	for (int i = SHAPE_VARIABLES - 1; i >= 0; i--)
		key = key << 2 | outcome->last[i];
	for (int i = SHAPE_READS - 1; i >= 0; i--)
		key = key << 2 | outcome->read[i];
	return key;
}

struct shape_outcome shape_outcome(unsigned int key)
{
	struct shape_outcome outcome;

	for (int i = 0; i < SHAPE_READS; i++, key >>= 2)
		outcome.read[i] = key & 3;
	for (int i = 0; i < SHAPE_VARIABLES; i++, key >>= 2)
		outcome.last[i] = key & 3;
	return outcome;
}

bool shape_is_critical(const struct shape *shape, unsigned int key)
{
	struct shape_outcome outcome = shape_outcome(key);
	const struct shape_outcome *critical = &shape->critical;

	for (int i = 0; i < SHAPE_READS; i++)
		if (critical->read[i] != SHAPE_ANY && critical->read[i] != outcome.read[i])
			return false;
	for (int i = 0; i < SHAPE_VARIABLES; i++)
		if (critical->last[i] != SHAPE_ANY && critical->last[i] != outcome.last[i])
			return false;
	return true;
}

/* A machine: memory, and for each thread where it is, and its store buffer, oldest first. */
struct machine {
	struct shape_outcome now;
	unsigned int next[SHAPE_THREADS];
	unsigned int buffered[SHAPE_THREADS];
	struct shape_op buffer[SHAPE_THREADS][SHAPE_OPS];
};

struct search {
	const struct shape *shape;
	uint8_t *classes;
	enum shape_class class;		/* what the machine may do */
	bool locked;
};

static bool at_end(const struct search *search, const struct machine *machine, unsigned int thread)
{
	return machine->next[thread] == SHAPE_OPS ||
	       !search->shape->op[thread][machine->next[thread]].access;
}

/* Where a read's value goes. */
static unsigned int read_number(const struct shape *shape, unsigned int thread, unsigned int op)
{
	unsigned int number = 0;

	for (unsigned int t = 0; t <= thread; t++)
		for (unsigned int i = 0; i < (t == thread ? op : SHAPE_OPS); i++)
			number += shape->op[t][i].access == SHAPE_READ;
	return number;
}

static void drain(struct machine *machine, unsigned int thread)
{
	struct shape_op oldest = machine->buffer[thread][0];

	machine->now.last[oldest.variable] = oldest.value;
	machine->buffered[thread]--;
	memmove(&machine->buffer[thread][0], &machine->buffer[thread][1],
		machine->buffered[thread] * sizeof(oldest));
}

/* A thread's next access; a read sees the thread's own writes first. */
static void step(const struct search *search, struct machine *machine, unsigned int thread)
{
	unsigned int number = machine->next[thread]++;
	const struct shape_op *op = &search->shape->op[thread][number];

	if (op->access == SHAPE_WRITE) {
		machine->buffer[thread][machine->buffered[thread]++] = *op;
		if (search->class < SHAPE_RELAXED || search->locked)
			drain(machine, thread);
	} else {
		unsigned int value = machine->now.last[op->variable];

		for (unsigned int i = 0; i < machine->buffered[thread]; i++)
			if (machine->buffer[thread][i].variable == op->variable)
				value = machine->buffer[thread][i].value;
		machine->now.read[read_number(search->shape, thread, number)] = value;
	}
}

static void explore(const struct search *search, const struct machine *machine)
{
	struct machine after;
	bool end = true;

	for (unsigned int thread = 0; thread < SHAPE_THREADS; thread++) {
		if (machine->buffered[thread]) {
			end = false;
			after = *machine;
			drain(&after, thread);
			explore(search, &after);
		}
		if (!at_end(search, machine, thread)) {
			end = false;
			after = *machine;
			do
				step(search, &after, thread);
			while (search->class == SHAPE_SERIAL && !at_end(search, &after, thread));
			explore(search, &after);
		}
	}
	if (end) {
		uint8_t *class = &search->classes[shape_key(&machine->now)];

		if (*class > search->class)
			*class = search->class;
	}
}

void shape_classify(const struct shape *shape, bool locked, uint8_t classes[SHAPE_OUTCOMES])
{
	struct search search = { .shape = shape, .classes = classes, .locked = locked };
	struct machine machine = { 0 };

	memset(classes, SHAPE_FORBIDDEN, SHAPE_OUTCOMES);
	for (search.class = SHAPE_SERIAL; search.class < SHAPE_FORBIDDEN; search.class++)
		explore(&search, &machine);
}

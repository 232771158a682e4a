// SPDX-License-Identifier: GPL-2.0
#include "tally.h"

#include <stdio.h>
#include <string.h>

/* More than one in so many; usual are one in two, and one in twenty to two thousand. */
enum { MIXED_OF = 20, OVERLAPS_OF = 20000 };

const char *const tally_variants[TALLY_VARIANTS] = { "plain", "locked", "futex" };

void tally_begin(struct tally *tally, const struct shape *shape)
{
	memset(tally, 0, sizeof(*tally));
	tally->shape = shape;
	for (unsigned int locked = 0; locked < 2; locked++)
		shape_classify(shape, locked, tally->classes[locked]);
}

bool tally_add(struct tally *tally, enum tally_variant variant, unsigned int key)
{
	enum shape_class class = tally->classes[variant == TALLY_LOCKED][key];

	tally->count[variant][key]++;
	tally->overlaps += class != SHAPE_SERIAL;
	tally->different += !tally->seen[key];
	tally->seen[key] = true;
	return class != SHAPE_FORBIDDEN;
}

void tally_round(struct tally *tally)
{
	tally->rounds++;
	tally->mixed += tally->different > 1;
	tally->raced += tally->different > 2;
	tally->different = 0;
	memset(tally->seen, 0, sizeof(tally->seen));
}

bool tally_overlapped(const struct tally *tally)
{
	unsigned int runs = 0;

	for (unsigned int v = 0; v < TALLY_VARIANTS; v++)
		for (unsigned int key = 0; key < SHAPE_OUTCOMES; key++)
			runs += tally->count[v][key];
	if (tally->mixed * MIXED_OF <= tally->rounds)
		return false;
	return tally->overlaps > runs / OVERLAPS_OF ||
	       (shape_threads(tally->shape) == SHAPE_THREADS &&
		tally->raced * MIXED_OF > tally->rounds);
}

static char letter(int value)
{
	return value == SHAPE_ANY ? '-' : '0' + value;
}

static bool has(const struct shape *shape, unsigned int variable)
{
	for (unsigned int t = 0; t < SHAPE_THREADS; t++)
		for (unsigned int i = 0; i < SHAPE_OPS; i++)
			if (shape->op[t][i].access && shape->op[t][i].variable == variable)
				return true;
	return false;
}

/* What each read gave, and what the variables are in the end, - for anything. */
static void print_outcome(const struct shape *shape, const struct shape_outcome *outcome)
{
	unsigned int reads = 0, at = 0;
	char text[80];

	for (unsigned int t = 0; t < SHAPE_THREADS; t++)
		for (unsigned int i = 0; i < SHAPE_OPS; i++)
			if (shape->op[t][i].access == SHAPE_READ)
				at += sprintf(text + at, "P%u:%c=%c ", t, "xyz"[shape->op[t][i].variable],
					      letter(outcome->read[reads++]));
	at += sprintf(text + at, "|");
	for (unsigned int v = 0; v < SHAPE_VARIABLES; v++)
		if (has(shape, v))
			at += sprintf(text + at, " %c=%c", "xyz"[v], letter(outcome->last[v]));
	printf("  %-38s", text);
}

bool tally_report(const struct tally *tally, double seconds, bool must_overlap)
{
	const struct shape *shape = tally->shape;
	unsigned int sums[SHAPE_CLASSES] = { 0 }, runs = 0;
	bool critical_seen = false;

	printf("  %-38s", "");
	for (unsigned int v = 0; v < TALLY_VARIANTS; v++)
		printf(" %8s", tally_variants[v]);
	putchar('\n');
	for (unsigned int key = 0; key < SHAPE_OUTCOMES; key++) {
		struct shape_outcome outcome = shape_outcome(key);
		enum shape_class worst = SHAPE_SERIAL;
		bool critical = shape_is_critical(shape, key), seen = false;

		for (unsigned int v = 0; v < TALLY_VARIANTS; v++) {
			enum shape_class class = tally->classes[v == TALLY_LOCKED][key];

			if (!tally->count[v][key])
				continue;
			seen = true;
			sums[class] += tally->count[v][key];
			runs += tally->count[v][key];
			if (class > worst)
				worst = class;
		}
		if (!seen)
			continue;
		critical_seen |= critical;
		print_outcome(shape, &outcome);
		for (unsigned int v = 0; v < TALLY_VARIANTS; v++)
			printf(" %8u", tally->count[v][key]);
		printf("  %s\n", shape_class_names[worst]);
	}
	/* The one that the shape is about is named though there is none. */
	if (!critical_seen) {
		print_outcome(shape, &shape->critical);
		printf(" %8u %8u %8u  %s\n", 0, 0, 0, shape_class_names[shape->relaxed ?
		       SHAPE_RELAXED : SHAPE_FORBIDDEN]);
	}
	printf("%s: %u runs in %.1f s, %.0f a second:", shape->name, runs, seconds, runs / seconds);
	for (unsigned int class = 0; class < SHAPE_CLASSES; class++)
		printf(" %u %s,", sums[class], shape_class_names[class]);
	printf(" %u of a wrong round; %u of %u rounds mixed, %u raced, %u runs overlapped\n",
	       tally->stale, tally->mixed, tally->rounds, tally->raced, tally->overlaps);
	if (must_overlap && !tally_overlapped(tally)) {
		puts("the threads hardly overlapped: nothing is shown");
		return false;
	}
	return !sums[SHAPE_FORBIDDEN] && !tally->stale;
}

bool tally_known(const struct shape *shape)
{
	static uint8_t classes[2][SHAPE_OUTCOMES];
	enum shape_class best[2] = { SHAPE_FORBIDDEN, SHAPE_FORBIDDEN };
	bool interleaved = false;

	for (unsigned int locked = 0; locked < 2; locked++) {
		shape_classify(shape, locked, classes[locked]);
		for (unsigned int key = 0; key < SHAPE_OUTCOMES; key++) {
			interleaved |= classes[locked][key] == SHAPE_INTERLEAVED;
			if (shape_is_critical(shape, key) && classes[locked][key] < best[locked])
				best[locked] = classes[locked][key];
		}
	}
	printf("%s: %s, locked %s\n", shape->name, shape_class_names[best[0]],
	       shape_class_names[best[1]]);
	return best[0] == (shape->relaxed ? SHAPE_RELAXED : SHAPE_FORBIDDEN) &&
	       best[1] == SHAPE_FORBIDDEN && interleaved;
}

/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of a process' attributes share. */
#ifndef _RADIUM_SELFTEST_ATTRIBUTES_H
#define _RADIUM_SELFTEST_ATTRIBUTES_H

#include "harness.h"

/* The first line that a program, run away, prints. */
static inline const char *output(const char *command)
{
	static char line[200];
	FILE *pipe = popen(command, "r");

	line[0] = 0;
	CHECK(pipe && fgets(line, sizeof(line), pipe));
	line[strcspn(line, "\n")] = 0;
	EQUAL(pclose(pipe), 0);
	away();
	return line;
}

#endif

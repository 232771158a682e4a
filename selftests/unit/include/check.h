/* SPDX-License-Identifier: GPL-2.0 */
/* TAP for the user-space tests of the module's pure parts. */
#ifndef _RADIUM_UNIT_CHECK_H
#define _RADIUM_UNIT_CHECK_H

#include <stdbool.h>
#include <stdio.h>

static int check_count, check_failures;

/* One result. */
#define TEST(name, condition) do {						\
	bool good_ = (condition);						\
	printf("%sok %d - %s\n", good_ ? "" : "not ", ++check_count, name);	\
	check_failures += !good_;						\
} while (0)

static inline int test_end(void)
{
	printf("1..%d\n", check_count);
	return check_failures || !check_count;
}

#endif

// SPDX-License-Identifier: GPL-2.0
/* How long a node is silent, whatever the order in which the clock and its last word are read. */
#include "check.h"

#include <limits.h>
#include "silence.h"

int main(void)
{
	TEST("silence is the time since the last word", rad_silence(100, 60) == 40);
	TEST("a word of this tick is no silence", !rad_silence(100, 100));
	TEST("a word after the look at the clock is no silence", !rad_silence(100, 101));
	TEST("jiffies overflow", rad_silence(5, ULONG_MAX - 4) == 10 && !rad_silence(ULONG_MAX, 0));
	return test_end();
}

// SPDX-License-Identifier: GPL-2.0
/* Which addresses a process' layout is changing at, with many changes under way. */
#include "check.h"

#include <string.h>
#include "gate.h"

enum { PAGE = 4096 };

static struct rad_gate gate;

static bool shut(unsigned long page)
{
	return rad_gate_is_shut(&gate, page * PAGE, PAGE);
}

static void begin(unsigned long first, unsigned long behind)
{
	rad_gate_shut(&gate, first * PAGE, behind * PAGE);
}

static void end(unsigned long first, unsigned long behind)
{
	rad_gate_open(&gate, first * PAGE, behind * PAGE);
}

static bool is_as_new(void)
{
	static const struct rad_gate fresh;

	return !memcmp(&gate, &fresh, sizeof(gate));
}

/* More changes than there are ranges, of one page each, two pages apart. */
static void many(void)
{
	unsigned long i, last = 3 * RAD_GATE_RANGES;
	bool right = true;

	for (i = 0; i < last; i++)
		begin(100 + 2 * i, 101 + 2 * i);
	for (i = 0; i < last; i++)
		right &= shut(100 + 2 * i);
	TEST("every page of many changes is shut", right);
	TEST("a page between two that have ranges is not", !shut(101));
	TEST("nor one below all, or above", !shut(99) && !shut(100 + 2 * last));
	for (i = 0; i < last; i += 2)
		end(100 + 2 * i, 101 + 2 * i);
	for (right = true, i = 1; i < last; i += 2)
		right &= shut(100 + 2 * i);
	TEST("those that go on are shut when half of them are over", right);
	for (i = last; i-- > 1;)
		if (i % 2)
			end(100 + 2 * i, 101 + 2 * i);
	TEST("it is as new when the last is over", is_as_new());
}

/* One range, and one of the rest that is the same. */
static void twins(void)
{
	unsigned long i;

	begin(7, 9);
	for (i = 1; i < RAD_GATE_RANGES; i++)
		begin(100, 101);
	begin(7, 9);
	end(7, 9);
	TEST("the same change twice, one over: shut", shut(7) && shut(8));
	end(7, 9);
	TEST("both over: open", !shut(7) && !shut(8));
	for (i = 1; i < RAD_GATE_RANGES; i++)
		end(100, 101);
	TEST("and as new", is_as_new());
}

int main(void)
{
	TEST("open in the beginning", !shut(0) && !shut(1UL << 30));
	begin(10, 12);
	TEST("shut where it changes", shut(10) && shut(11));
	TEST("not beside it", !shut(9) && !shut(12));
	begin(1000, 1001);
	TEST("nor between two changes", !shut(500) && shut(1000));
	end(10, 12);
	begin(10, 12);
	end(1000, 1001);
	TEST("one begins again before the other is over: what was between them stays open",
	     !shut(500) && shut(10) && !shut(1000));
	end(10, 12);
	TEST("open when all is over", !shut(10) && is_as_new());
	rad_gate_shut(&gate, 20 * PAGE + 100, 20 * PAGE + 104);
	TEST("a change in the middle of a page is of the page", shut(20) && !shut(19) && !shut(21));
	rad_gate_open(&gate, 20 * PAGE + 100, 20 * PAGE + 104);
	twins();
	many();
	return test_end();
}

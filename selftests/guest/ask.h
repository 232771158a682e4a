/* SPDX-License-Identifier: GPL-2.0 */
/* Between a case and the harness; fixed sizes, one pipe each way. */
#ifndef _RADIUM_SELFTEST_ASK_H
#define _RADIUM_SELFTEST_ASK_H

#include <stdbool.h>
#include <sys/types.h>

enum ask_kind {
	ASK_MOVE, ASK_THREAD, ASK_TRY, ASK_ALL, ASK_WHERE, ASK_THREAD_WHERE, ASK_FAULTS, ASK_CALLS,
	ASK_FORWARDED, ASK_UPGRADED, ASK_PAGES, ASK_INLINE, ASK_MESSAGES,
	ASK_RETURNS, ASK_DURING, ASK_DURING_END, ASK_NOTE, ASK_CLOCK,
	TELL_PASSED, TELL_FAILED, TELL_SKIPPED,
};

struct ask {
	enum ask_kind kind;
	pid_t pid;
	char text[500];
};

struct answer {
	int value;
	char text[200];
};

void case_main(int asks, int answers, bool moved, void (*run)(void)) __attribute__((noreturn));

#endif

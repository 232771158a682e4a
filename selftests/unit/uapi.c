// SPDX-License-Identifier: GPL-2.0
/* The interface of /dev/radium keeps its layout: no holes, no collisions. */
#include "check.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
#include "linux/radium.h"
#pragma GCC diagnostic pop

#include <stddef.h>
#include <string.h>

static const unsigned long calls[] = {
	RADIUM_IOC_HELLO, RADIUM_IOC_NODE_JOIN, RADIUM_IOC_NODE_LEAVE, RADIUM_IOC_NODE_DRAIN,
	RADIUM_IOC_NODE_LIST, RADIUM_IOC_MIGRATE, RADIUM_IOC_RECALL, RADIUM_IOC_PROCESS_LIST,
	RADIUM_IOC_THREAD_LIST, RADIUM_IOC_REPLICA, RADIUM_IOC_PAGE_LIST,
	RADIUM_IOC_SPREAD, RADIUM_IOC_PAGE_COUNT_LIST,
};

static const struct {
	const char *name, *what, *todo;
} reasons[] = {
#define ROW(name, what, todo) { #name, what, todo },
	RADIUM_REASONS(ROW)
#undef ROW
};

static bool numbers_differ(void)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		for (size_t j = 0; j < i; j++)
			if (_IOC_NR(calls[i]) == _IOC_NR(calls[j]))
				return false;
	return true;
}

/* The module looks at number, device and direction, and at no size. */
static bool are_of_this_device(void)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (_IOC_TYPE(calls[i]) != RADIUM_IOC_MAGIC || !(_IOC_DIR(calls[i]) & _IOC_WRITE) ||
		    !_IOC_SIZE(calls[i]))
			return false;
	return true;
}

static bool reasons_differ(void)
{
	for (size_t i = 1; i < RADIUM_R_COUNT; i++)
		for (size_t j = 0; j < i; j++)
			if (!strcmp(reasons[i].what, reasons[j].what))
				return false;
	return true;
}

static bool reasons_are_short_lines(void)
{
	for (size_t i = 1; i < RADIUM_R_COUNT; i++)
		if (!*reasons[i].what || strlen(reasons[i].what) > 100 || strchr(reasons[i].what, '\n') ||
		    strchr(reasons[i].todo, '\n'))
			return false;
	return true;
}

int main(void)
{
	struct radium_thread_info thread;

	TEST("call numbers differ", numbers_differ());
	TEST("calls are of this device, with an argument", are_of_this_device());
	TEST("every reason has a counter", RADIUM_R_COUNT <=
	     sizeof(thread.returns_by_reason) / sizeof(thread.returns_by_reason[0]));
	TEST("there are 64 counters for ever", RADIUM_REASON_MAX == 64);
	TEST("no reason means no reason", RADIUM_R_NONE == 0);
	TEST("reasons differ in words", reasons_differ());
	TEST("reasons are one short line each", reasons_are_short_lines());
	/* Version 1, for ever: what a program was compiled with stays right. */
	TEST("struct radium_hello", sizeof(struct radium_hello) == 32);
	TEST("struct radium_move", sizeof(struct radium_move) == 56);
	TEST("struct radium_spread", sizeof(struct radium_spread) == 16);
	TEST("struct radium_list", sizeof(struct radium_list) == 32);
	TEST("struct radium_event", sizeof(struct radium_event) == 32);
	/* This one grows at its end. */
	TEST("struct radium_thread_info", offsetof(struct radium_thread_info, faults) == 760);
	TEST("struct radium_process_info",
	     offsetof(struct radium_process_info, pages_forwarded) == 624 &&
	     offsetof(struct radium_process_info, pages_upgraded) == 632 &&
	     offsetof(struct radium_process_info, spread) == 640 &&
	     offsetof(struct radium_process_info, syscalls_inline) == 648);
	TEST("struct radium_page_info", sizeof(struct radium_page_info) == 56);
	TEST("values of reasons", RADIUM_R_TIMEOUT == 12 && RADIUM_R_DISTRIBUTED == 24);
	return test_end();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: how many pages of a process each node has.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/bitops.h>
#include <linux/sched.h>
#include "homemem.h"
#include "node.h"
#include "process.h"

enum { AT_ONCE = 1024 };	/* entries that are looked at under the directory's lock */

static void count_page(const struct rad_page *page, struct radium_page_count *counts)
{
	u64 copies;

	if (page->state == RAD_PAGE_AWAY || page->state == RAD_PAGE_RECALLING ||
	    page->state == RAD_PAGE_SHARING) {
		struct radium_page_count *owner = &counts[rad_node_id(page->node) - 1];

		owner->owned++;
		owner->asked += page->state != RAD_PAGE_AWAY;
	}
	for (copies = page->copies; copies; copies &= copies - 1)
		counts[__ffs64(copies)].copied++;
}

/**
 * rad_homemem_count() - how many pages of a process each node has
 * @process: whose
 * @counts: RADIUM_NODE_MAX of them, zero; the first is that of node 1. Their @node is left alone
 *
 * Pages that change while others are counted may be counted twice, or not at all.
 *
 * Context: process context; sleeps.
 */
void rad_homemem_count(struct rad_process *process, struct radium_page_count *counts)
{
	XA_STATE(xas, &process->mem.pages, 0);
	struct rad_page *page;
	u32 seen = 0;

	xas_lock(&xas);
	xas_for_each(&xas, page, ULONG_MAX) {
		count_page(page, counts);
		if (++seen % AT_ONCE)
			continue;
		xas_pause(&xas);
		xas_unlock(&xas);
		cond_resched();
		xas_lock(&xas);
	}
	xas_unlock(&xas);
}

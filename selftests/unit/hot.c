// SPDX-License-Identifier: GPL-2.0
/* The table of the pages that are fought for: what comes in, what stays, what it counts. */
#include "check.h"

#include <stddef.h>
#include "hot.h"

enum { HOT = 3, COLD = 4000, ROUNDS = 10000 };

static struct rad_hot table;

static void move(u64 index, u64 from, u32 tid, u32 node)
{
	const struct rad_hot_move one = { .index = index, .from = from, .tid = tid, .node = node };

	rad_hot_add(&table, &one);
}

static const struct rad_hot_page *find(u64 index)
{
	const struct rad_hot_page *page = rad_hot_slot(&table, index);

	return page->count && page->index == index ? page : NULL;
}

static bool is_empty(void)
{
	for (size_t i = 0; i < RAD_HOT_PAGES; i++)
		if (table.pages[i].count)
			return false;
	return true;
}

static void clear(void)
{
	memset(&table, 0, sizeof(table));
}

static bool cold_pages_cost_nothing(void)
{
	clear();
	for (u64 i = 0; i < COLD; i++)
		move(i, 0, 7, 2);
	return is_empty();
}

/* From the first time that somebody took it each way counts. */
static bool journeys_count(void)
{
	const struct rad_hot_page *page;

	clear();
	move(5, 0, 12, 2);
	move(5, 1 << 1, 11, 1);
	for (int i = 0; i < 10; i++) {
		move(5, 0, 12, 2);
		move(5, 1 << 1, 11, 1);
	}
	page = find(5);
	return page && rad_hot_moves(page) == 21 && page->nodes == 3 && !find(0);
}

static bool last_threads_are_known(void)
{
	const struct rad_hot_page *page;

	clear();
	for (u32 tid = 1; tid <= 6; tid++)
		move(9, 1, tid, 2);
	move(9, 1, 4, 2);
	move(9, 1, 4, 1);	/* where its system calls are done */
	move(9, 1, 0, 3);	/* not known */
	page = find(9);
	return page && page->tids[0] == 4 && page->tid_nodes[0] == 1 &&
	       page->tids[1] == 4 && page->tid_nodes[1] == 2 &&
	       page->tids[2] == 6 && page->tids[3] == 5 && page->nodes == 7;
}

static bool same_thread_is_named_once(void)
{
	const struct rad_hot_page *page;

	clear();
	for (int i = 0; i < 100; i++) {
		move(9, 1, 21, 2);
		move(9, 2, 22, 1);
	}
	page = find(9);
	return page && page->tids[0] == 22 && page->tids[1] == 21 && !page->tids[2];
}

/* A few pages make most of the moves, and thousands of others the rest. */
static bool hot_pages_stay(void)
{
	const struct rad_hot_page *page;
	u64 true_moves = 0;

	clear();
	for (u64 i = 0; i < ROUNDS; i++) {
		move(COLD + i, 2, 1, 1);
		move(i % HOT, 2, 1, 1);
	}
	for (u64 i = 0; i < HOT; i++) {
		true_moves = ROUNDS / HOT + (i < ROUNDS % HOT);
		page = find(i);
		if (!page || rad_hot_moves(page) > true_moves || page->count < true_moves)
			return false;
		for (size_t other = 0; other < RAD_HOT_PAGES; other++)
			if (table.pages[other].index >= HOT &&
			    rad_hot_moves(&table.pages[other]) >= rad_hot_moves(page))
				return false;
	}
	return true;
}

/* The counts add up to all moves: none is lost, none is invented. */
static bool counts_add_up(void)
{
	u64 sum = 0;

	clear();
	for (u64 i = 0; i < ROUNDS; i++)
		move(i * i % 997, 2, 1, 1);
	for (size_t i = 0; i < RAD_HOT_PAGES; i++)
		sum += table.pages[i].count;
	return sum == ROUNDS;
}

/* Page 0 and node 64 are as good as others. */
static bool edges(void)
{
	const struct rad_hot_page *page;

	clear();
	move(0, 1ULL << 63, 4194304, 1);
	move(0, 0, 4194303, 64);
	page = find(0);
	return page && rad_hot_moves(page) == 2 && page->nodes == (1ULL << 63 | 1) &&
	       page->tids[0] == 4194303 && page->tid_nodes[0] == 64 && page->tids[1] == 4194304;
}

int main(void)
{
	TEST("a page that nobody takes from anybody does not come in", cold_pages_cost_nothing());
	TEST("a page that is in counts each way", journeys_count());
	TEST("the last threads are known, the last one first", last_threads_are_known());
	TEST("a thread at a node is named once", same_thread_is_named_once());
	TEST("hot pages stay among many others, and before them", hot_pages_stay());
	TEST("the counts add up to the moves", counts_add_up());
	TEST("first page, last node", edges());
	return test_end();
}

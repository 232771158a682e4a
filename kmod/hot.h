/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: the pages of a process that are fought for, and by whom.
 *
 * A page comes into the table when somebody takes it from somebody else; from then on each
 * journey counts. What is fetched once costs a look. The table is that of "space saving"
 * (Metwally, Agrawal, El Abbadi): when it is full, a new page replaces the one with the
 * least count and begins with that count. So a page that makes more than one in
 * RAD_HOT_PAGES of all moves is in it, however many pages there are.
 */
#ifndef _RADIUM_HOT_H
#define _RADIUM_HOT_H

#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/types.h>
#include "../uapi/linux/radium.h"

enum { RAD_HOT_PAGES = 64 };

/**
 * struct rad_hot_move - a page goes from some nodes to another
 * @index: page number
 * @from: bit i: it was taken from node i+1; 0: only home had it
 * @tid: thread that wants it, in the initial PID namespace; 0: not known
 * @node: where it goes
 */
struct rad_hot_move {
	u64 index;
	u64 from;
	u32 tid;
	u32 node;
};

/**
 * struct rad_hot_page - a slot of the table
 * @index: page number
 * @count: an upper bound of its moves; 0: the slot is free
 * @inherited: the part of it that others may have made
 * @nodes: bit i: node i+1 had it
 * @tids: threads for which it moved, and where they were; the last one
 *	first, tid 0 ends
 * @tid_nodes: see @tids
 */
struct rad_hot_page {
	u64 index;
	u64 count;
	u64 inherited;
	u64 nodes;
	u32 tids[RADIUM_PAGE_THREADS];
	u8 tid_nodes[RADIUM_PAGE_THREADS];
};

/**
 * struct rad_hot - the table of one process
 * @lock: innermost
 * @pages: in no order
 */
struct rad_hot {
	spinlock_t lock;
	struct rad_hot_page pages[RAD_HOT_PAGES];
};

/* Moves that were seen since the page came into the table: a lower bound. */
static inline u64 rad_hot_moves(const struct rad_hot_page *page)
{
	return page->count - page->inherited;
}

/* The slot of a page, or else the one that it may have: free, or of the least count. */
static inline struct rad_hot_page *rad_hot_slot(struct rad_hot *hot, u64 index)
{
	struct rad_hot_page *page, *least = hot->pages;

	for (page = hot->pages; page < hot->pages + RAD_HOT_PAGES; page++) {
		/* They are taken in order, and never left. */
		if (!page->count || page->index == index)
			return page;
		if (page->count < least->count)
			least = page;
	}
	return least;
}

/* A thread comes first; it, or else the last, leaves its place. */
static inline void rad_hot_page_note(struct rad_hot_page *page, u32 tid, u32 node)
{
	int i = 0;

	while (i < RADIUM_PAGE_THREADS - 1 && page->tids[i] &&
	       (page->tids[i] != tid || page->tid_nodes[i] != node))
		i++;
	memmove(page->tids + 1, page->tids, i * sizeof(*page->tids));
	memmove(page->tid_nodes + 1, page->tid_nodes, i * sizeof(*page->tid_nodes));
	page->tids[0] = tid;
	page->tid_nodes[0] = node;
}

/**
 * rad_hot_add() - one move more
 * @hot: its lock is held
 * @move: is forgotten if nobody had to give the page up, and nobody had before
 */
static inline void rad_hot_add(struct rad_hot *hot, const struct rad_hot_move *move)
{
	struct rad_hot_page *page = rad_hot_slot(hot, move->index);
	u64 least = page->count;

	/* This node is leaving. */
	if (!move->node)
		return;
	if (!least || page->index != move->index) {
		if (!move->from)
			return;
		memset(page, 0, sizeof(*page));
		page->index = move->index;
		page->count = page->inherited = least;
	}
	page->count++;
	page->nodes |= move->from | 1ULL << (move->node - 1);
	if (move->tid)
		rad_hot_page_note(page, move->tid, move->node);
}

struct rad_hot *rad_hot_create(void);
void rad_hot_destroy(struct rad_hot *hot);
void rad_hot_count(struct rad_hot *hot, const struct rad_hot_move *move);
int rad_hot_list(struct rad_hot *hot, struct radium_page_info *infos, u32 room, u32 *total);

#endif /* _RADIUM_HOT_H */

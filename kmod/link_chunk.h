/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: what the pool of landing pages consists of.
 *
 * A chunk is made, and given up, by link_chunk.c; which of its pages are given out is a matter of
 * link_pool.c, whose lock all of it is under that changes, but for what is expected in a page.
 */
#ifndef _RADIUM_LINK_CHUNK_H
#define _RADIUM_LINK_CHUNK_H

#include <linux/list.h>
#include <linux/scatterlist.h>
#include "link_internal.h"

enum { RAD_CHUNK_NUMBERS = RAD_TOKENS / RAD_CHUNK_PAGES };

/*
 * struct rad_slot - one landing page
 * @entry: in chunk->free, or in pool.lent
 * @call: that is answered by writing to it; under the lock of the numbers
 */
struct rad_slot {
	struct list_head entry;
	struct rad_call *call;
	struct page *page;
	struct rad_chunk *chunk;
};

/*
 * struct rad_chunk - pages registered together
 * @entry: in pool.usable, in pool.full if no page of it can be given out, in pool.empty if nobody has
 *	one; after @dead in none
 * @number: the tokens of its pages begin with number * RAD_CHUNK_PAGES; RAD_CHUNK_NUMBERS: none
 * @used: pages that somebody has
 * @withheld: pages that nobody has and that are not given out: a peer may write to them yet
 * @holding: in pool.holding, if there are such
 * @until: jiffies: whoever writes to them at all has done so by then, as a rule
 * @dead: the registration is gone; freed with the last page
 * @spoiled: a peer has taken the key away; nobody is told of it any more
 */
struct rad_chunk {
	struct list_head entry;
	struct list_head free;
	u32 number;
	u32 used;
	u32 withheld;
	struct list_head holding;
	unsigned long until;
	bool dead;
	bool spoiled;
	u32 rkey;
	u64 iova;
	struct ib_mr *mr;
	struct rad_hca *dev;
	struct scatterlist sg[RAD_CHUNK_PAGES];
	struct rad_slot slots[RAD_CHUNK_PAGES];
};

struct rad_chunk *rad_chunk_create(gfp_t gfp, int *err);
void rad_chunk_unregister(struct rad_chunk *chunk);
void rad_chunk_free(struct rad_chunk *chunk);
void rad_chunk_describe(struct rad_slot *slot, struct rad_landing *landing);

/* link_pool.c */
bool rad_pool_is_open(void);

#endif /* _RADIUM_LINK_CHUNK_H */

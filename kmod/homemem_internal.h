/* SPDX-License-Identifier: GPL-2.0 */
/* Radium: what the files homemem*.c share; see homemem.h. */
#ifndef _RADIUM_HOMEMEM_INTERNAL_H
#define _RADIUM_HOMEMEM_INTERNAL_H

#include "node.h"
#include "process.h"

/* The turn of an address. */
static inline struct rad_turn *rad_turn_of(struct rad_homemem *mem, unsigned long address)
{
	return &mem->turns[(address >> PAGE_SHIFT) % RAD_TURNS];
}

extern struct xarray rad_held;
extern struct workqueue_struct *rad_finalize_wq;

/* The directory that an entry is in. */
static inline struct rad_homemem *rad_page_mem(struct rad_page *page)
{
	return &page->process->mem;
}

static inline enum rad_page_state rad_page_state(struct rad_page *page)
{
	return READ_ONCE(page->state);
}

/* What somebody wants to do with a page at home, or have done. */
enum rad_page_use {
	RAD_USE_READ,	/* others may go on reading */
	RAD_USE_WRITE,	/* nobody else may have it */
};

/* homemem.c */
void rad_page_put(struct rad_page *page);
void rad_page_set_state(struct rad_page *page, enum rad_page_state to);
void rad_page_give_back(struct rad_page *page);
void rad_page_forget_copy(struct rad_page *page, u64 bit);
void rad_homemem_limit(struct rad_process *process);

/* May other nodes read the page, while home has it mapped? The directory's lock is held. */
static inline bool rad_page_is_read_elsewhere(const struct rad_page *page)
{
	switch (page->state) {
	case RAD_PAGE_COPIED:
	case RAD_PAGE_REVOKING:
		return true;
	case RAD_PAGE_RETURNED:
	case RAD_PAGE_FINALIZING:
		return page->copies || page->revokes;
	default:
		return false;
	}
}

/* Who has the page besides home, or has not given it back yet? Bit i: node i+1. */
static inline u64 rad_page_holders(struct rad_page *page)
{
	u64 nodes;

	spin_lock(&rad_page_mem(page)->pages.xa_lock);
	nodes = page->copies;
	if (page->node)
		nodes |= BIT_ULL(rad_node_id(page->node) - 1);
	spin_unlock(&rad_page_mem(page)->pages.xa_lock);
	return nodes;
}

/* homemem_revoke.c */
void rad_page_protect(struct rad_page *page);
bool rad_page_revoke(struct rad_page *page, enum rad_page_use use, bool may_allocate);
int rad_page_bring_home(struct rad_page *page, enum rad_page_use use);
void rad_page_surrender(struct rad_page *page);
int rad_reserve_create(struct rad_homemem *mem);
void rad_reserve_destroy(struct rad_homemem *mem);

#endif /* _RADIUM_HOMEMEM_INTERNAL_H */

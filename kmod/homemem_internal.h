/* SPDX-License-Identifier: GPL-2.0 */
/* Radium: what the files homemem*.c share; see homemem.h. */
#ifndef _RADIUM_HOMEMEM_INTERNAL_H
#define _RADIUM_HOMEMEM_INTERNAL_H

#include "link.h"
#include "node.h"
#include "process.h"
#include "wire.h"

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

/* Where those sleep who wait for a change of the entry: woken at each of its states, and others' */
static inline wait_queue_head_t *rad_page_wait(struct rad_page *page)
{
	return &rad_turn_of(rad_page_mem(page), page->address)->wait;
}

/* Is the layout changing there? Decided under the directory's lock; without it a guess. */
static inline bool rad_homemem_changes(const struct rad_homemem *mem, unsigned long address)
{
	return rad_gate_is_shut(&mem->gate, address, PAGE_SIZE);
}

static inline enum rad_page_state rad_page_state(struct rad_page *page)
{
	return READ_ONCE(page->state);
}

enum { RAD_LOOK_AT = 1024 };	/* entries before others may have the directory's lock */

/*
 * Who looks at every entry, of which there may be millions, lets others have the directory's lock
 * now and then. @i: entries that he has looked at.
 */
static inline void rad_homemem_breathe(struct rad_homemem *mem, unsigned long i, bool may_sleep)
{
	if (i % RAD_LOOK_AT)
		return;
	spin_unlock(&mem->pages.xa_lock);
	if (may_sleep)
		cond_resched();
	spin_lock(&mem->pages.xa_lock);
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

/* May other nodes read the page, while home has it mapped? The directory's lock is held. */
static inline bool rad_page_is_read_elsewhere(const struct rad_page *page)
{
	switch (page->state) {
	case RAD_PAGE_TAKING:
		/* For its last reader, see rad_reader_upgrade(): it is through with mmap_lock. */
		return page->copies || page->revokes;
	case RAD_PAGE_COPIED:
	case RAD_PAGE_REVOKING:
		return true;
	case RAD_PAGE_RETURNED:
	case RAD_PAGE_FINALIZING:
		return page->copies || page->revokes || page->granting;
	default:
		return false;
	}
}

/* Have others a copy that they were not asked to drop? The directory's lock is held. */
static inline bool rad_page_is_copied(const struct rad_page *page)
{
	return page->copies && (page->state == RAD_PAGE_COPIED || page->state == RAD_PAGE_TAKING ||
				page->state == RAD_PAGE_RETURNED ||
				page->state == RAD_PAGE_FINALIZING);
}

/* Who has the page besides home, or has not given it back yet? Bit i: node i+1. */
static inline u64 rad_page_holders(struct rad_page *page)
{
	u64 nodes;

	spin_lock(&rad_page_mem(page)->pages.xa_lock);
	nodes = page->copies;
	if (page->node)
		nodes |= rad_node_bit(page->node);
	spin_unlock(&rad_page_mem(page)->pages.xa_lock);
	return nodes;
}

/**
 * struct rad_take - one PAGE_GET
 * @process: whose page
 * @turn: of its address; NULL: others have it by now
 * @to: who asks
 * @page: its entry, TAKING
 * @address: as asked
 * @access: see @address
 * @thread: that waits for it, 0: none, it is fetched ahead
 * @held: @to reads the page, and says so
 * @data: what to send; holds a reference
 * @prot: enum rad_page_access that the mapping permits
 * @again: the layout changed meanwhile, or the page is pinned
 * @tries: to take it
 * @touch: the thread has to touch it at home first, see rad_defer_touch()
 * @touched: it has
 * @from: bit i: node i+1 had to give it up
 * @gate_until: jiffies until which it waits for the end of layout changes, all together; 0: has not
 * @granted: it is on its way
 * @bytes: that travel with the grant
 */
struct rad_take {
	struct rad_process *process;
	struct rad_turn *turn;
	struct rad_node *to;
	struct rad_page *page;
	unsigned long address;
	u32 access;
	u32 thread;
	bool held;
	struct page *data;
	u32 prot;
	bool again;
	u32 tries;
	bool touch;
	bool touched;
	u64 from;
	unsigned long gate_until;
	bool granted;
	u32 bytes;
};

/* homemem_fault.c */
bool rad_pte_is_migrating(pte_t pte);

/* homemem_lost.c */
pmd_t *rad_find_pmd(struct mm_struct *mm, unsigned long address);
void rad_pte_spoil(struct mm_struct *mm, pmd_t *pmd, unsigned long address, struct page *frame);
void rad_page_spoil(struct rad_page *page);

/* homemem_change.c */
void rad_page_note_file(struct rad_page *page, struct file *file);

/* homemem_trim.c */
void rad_homemem_limit(struct rad_process *process);

/* homemem_take.c */
u32 rad_take_prot(struct vm_area_struct *vma);
u32 rad_take_check(struct vm_area_struct *vma, u32 access);
struct file *rad_take_unwatched(struct vm_area_struct *vma);
u32 rad_take_watch(struct file *file);
struct rad_page *rad_take_begin(struct rad_take *t, struct rad_page **busy);
u32 rad_take_page(struct rad_take *t);
u32 rad_take_copy(struct rad_take *t, struct vm_area_struct *vma);
u32 rad_take_hold(struct rad_take *t, struct vm_area_struct *vma, struct page *frame);
void rad_take_end(struct rad_take *t);

/* homemem_get.c */
struct rad_out *rad_grant_msg(void);
void rad_grant_fill(struct rad_out *msg, struct rad_take *t, u32 prot, const struct rad_in *in);
void rad_grant_refuse(const struct rad_in *in, u32 reason, u32 flags);
void rad_get_serve(const struct rad_in *in, bool touched);

/* homemem_defer.c */
void rad_defer_touch(struct rad_take *t, const struct rad_in *in);
void rad_defer_work(struct work_struct *work);

/* homemem_readers.c */
bool rad_reader_join(struct rad_take *t, struct rad_page *page, const struct rad_in *in);
bool rad_reader_upgrade(struct rad_take *t, struct rad_page *page, const struct rad_in *in);

/**
 * struct rad_revoke - one page asked back
 * @call: the request
 * @page: holds a reference
 * @done: makes of the answer what it means for the entry; RAD_BACK_NONE, and not
 *	@answered: the session has ended. Under the directory's lock.
 * @landing: where the owner writes the page (only when its data is wanted)
 * @list: in the reserve
 * @reserved: belongs to the reserve
 * @quick: counted in its process', and in those of all
 * @node: id of whom it was sent to
 * @doomed: id of the node with which the page was lost, for which the process has to die
 */
struct rad_revoke {
	struct rad_call call;
	struct rad_page *page;
	void (*done)(struct rad_revoke *revoke, u32 flags, bool answered);
	struct rad_landing landing;
	struct list_head list;
	bool reserved;
	bool quick;
	u32 node;
	u32 doomed;
};

/* For who gets none: until the reserve is looked at again. */
enum { RAD_RESERVE_RETRY_JIFFIES = 1 };

/* homemem_revoke.c */
struct rad_revoke *rad_revoke_alloc(struct rad_homemem *mem, bool data, bool may_allocate);
void rad_revoke_free(struct rad_homemem *mem, struct rad_revoke *revoke);
struct rad_out *rad_revoke_msg(struct rad_page *page, struct rad_revoke *revoke, u32 flags,
			       gfp_t gfp);
void rad_revoke_send(struct rad_node *node, struct rad_revoke *revoke, struct rad_out *msg);
u32 rad_revokes_of(const struct rad_node *node);
void rad_revoke_cancelled(const struct rad_revoke *revoke);
void rad_revoke_land(struct rad_revoke *revoke);
void rad_page_returned(struct rad_page *page);
void rad_page_protect(struct rad_page *page);
bool rad_page_revoke(struct rad_page *page, enum rad_page_use use, bool may_allocate);
void rad_page_leave_to(struct rad_page *page, u64 reader);
int rad_page_bring_home(struct rad_page *page, enum rad_page_use use);
int rad_reserve_create(struct rad_homemem *mem);
void rad_reserve_destroy(struct rad_homemem *mem);

/**
 * struct rad_forward - a page on its way from its owner to another node
 * @page: the entry; holds a reference
 * @to: that node; who made this has a reference
 * @call: id of its request
 * @use: READ: the owner and home read on
 * @writes: @to asked for it to write to it
 * @revoke: what the owner was asked, and may answer
 * @msg: its message, until it is sent
 * @wait: who made this waits here, lest every change of another page wake him
 * @begun: the owner was asked
 * @early: it has arrived, and the owner was about to be asked
 * @sent: READ: the owner says that he has sent it
 * @unsure: the owner does not know whether @to has it, or has died
 * @unsent: he has not sent it, and will not: he lives, and could not
 * @asking: @to was asked, and then perhaps the owner again
 * @missing: @to does not have it
 * @over: nobody but who made this uses it any more
 * @arrived: @to has the page
 *
 * The flags are under the directory's lock.
 */
struct rad_forward {
	struct rad_page *page;
	struct rad_node *to;
	u64 call;
	enum rad_page_use use;
	bool writes;
	struct rad_revoke *revoke;
	struct rad_out *msg;
	wait_queue_head_t wait;
	bool begun;
	bool early;
	bool sent;
	bool unsure;
	bool unsent;
	bool asking;
	bool missing;
	bool over;
	bool arrived;
};

/* homemem_forward.c */
bool rad_forward_create(struct rad_forward *forward, struct rad_page *page, struct rad_node *to,
			const struct rad_in *in, enum rad_page_use use);
bool rad_forward_begin(struct rad_forward *forward, u32 prot);
bool rad_forward_end(struct rad_forward *forward);
void rad_forward_destroy(struct rad_forward *forward);
bool rad_forward_drop(struct rad_page *page);
void rad_forward_node_dead(struct rad_page *page, struct rad_node *node);

#endif /* _RADIUM_HOMEMEM_INTERNAL_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* Radium: what the files window*.c share; see window.h. */
#ifndef _RADIUM_WINDOW_INTERNAL_H
#define _RADIUM_WINDOW_INTERNAL_H

#include <linux/hrtimer.h>
#include <linux/refcount.h>
#include <linux/workqueue.h>
#include "window.h"
#include "wire.h"

/* User addresses with 4-level tables; what lies above is home's business. */
enum { WINDOW_BITS = 47 };
#define WINDOW_START	0x10000UL
#define WINDOW_END	((1UL << WINDOW_BITS) - PAGE_SIZE)

/*
 * FETCHING	a request is on its way
 * PRESENT	the landing page holds the content and may be mapped
 * UPGRADING	the same, and a request to write to it is on its way; FETCHING, if home
 *		revokes it meanwhile
 * SENT		on its way to another node, which may not get it: kept until it has
 * REFUSED	home said why not, and the array has it no longer; the faulting threads take note
 */
enum rad_wpage_state { PAGE_FETCHING, PAGE_PRESENT, PAGE_UPGRADING, PAGE_SENT, PAGE_REFUSED };

/**
 * struct rad_late_revoke - a revocation that waits until the page has been used
 * @home: who wants it, with a reference; NULL: nobody
 * @call: to answer
 * @body: what it says
 * @timer: queues @work
 * @work: revokes and answers
 */
struct rad_late_revoke {
	struct rad_node *home;
	u64 call;
	struct rad_wire_page_revoke body;
	struct hrtimer timer;
	struct work_struct work;
};

/**
 * struct rad_wpage - a page of the window
 * @ref: the array has one, its request in flight one, a late revocation one
 * @replica: holds a reference while the request is in flight, or a revocation is late
 * @index: page number
 * @state: under the page's lock of the window, like all that follows
 * @reason: why it was refused
 * @prot: enum rad_page_access that it may be mapped with
 * @dirty: it may differ from home's copy: it has been mapped writable
 * @awaited: a fault waits for it and has not mapped it yet
 * @waiting: faults that sleep until it comes
 * @since: it came then (ktime)
 * @until: it stays until then (ktime), see stay.h
 * @late: who wants it by now
 * @landing: where the content is
 * @exposed: somebody may still write there
 * @kept: FETCHING: one that was SENT and is in nobody's way, or NULL; holds the array's
 *	reference to it
 * @call: the request
 */
struct rad_wpage {
	refcount_t ref;
	struct rad_replica *replica;
	unsigned long index;
	enum rad_wpage_state state;
	u32 reason;
	u32 prot;
	bool dirty;
	bool awaited;
	u32 waiting;
	u64 since;
	u64 until;
	struct rad_late_revoke late;
	struct rad_landing landing;
	bool exposed;
	struct rad_wpage *kept;
	struct rad_call call;
};

/* Does somebody wait for home's answer? Also without the page's lock. */
static inline bool rad_wpage_is_asked_for(const struct rad_wpage *page)
{
	enum rad_wpage_state state = READ_ONCE(page->state);

	return state == PAGE_FETCHING || state == PAGE_UPGRADING;
}

/* May the replica use it, for what its prot says? The page's lock is held. */
static inline bool rad_wpage_is_here(const struct rad_wpage *page)
{
	return page->state == PAGE_PRESENT || page->state == PAGE_UPGRADING;
}

static inline struct mutex *rad_window_lock(struct rad_window *window, unsigned long index)
{
	return &window->locks[index % RAD_WINDOW_LOCKS];
}

/* Where those sleep who wait for this page. */
static inline wait_queue_head_t *rad_window_wait(struct rad_window *window, unsigned long index)
{
	return &window->waits[index % RAD_WINDOW_LOCKS];
}

/* window.c */
void rad_wpage_put(struct rad_wpage *page);
void rad_wpage_drop(struct rad_window *window, struct rad_wpage *page);
void rad_window_unmap(struct rad_window *window, unsigned long index);
void rad_wpage_refuse(struct rad_window *window, struct rad_wpage *page, u32 reason);

/* window_forward.c */
bool rad_wpage_forward(struct rad_wpage *content, struct rad_node *home, u64 call,
		       const struct rad_wire_page_revoke *body, struct rad_out *back);
struct rad_wpage *rad_wpage_take_back(struct rad_window *window, struct rad_wpage *page);
bool rad_wpage_may_tell_later(const struct rad_window *window, const struct rad_wpage *page);
void rad_wpage_arrived(struct rad_node *home, u64 process, unsigned long index, u64 call,
		       bool later);
bool rad_wpage_cancel(struct rad_window *window, struct rad_wpage **page,
		      const struct rad_wire_page_revoke *body);

/* window_revoke.c */
void rad_late_init(struct rad_wpage *page);
void rad_wpage_stay(struct rad_wpage *page, u64 ns);
int rad_late_create(void);
void rad_late_destroy(void);

#endif /* _RADIUM_WINDOW_INTERNAL_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: home takes pages back, or the right to write to them: at once, or, if a fault
 * has just fetched the page, when that has had its use of it (stay.h).
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/ktime.h>
#include <linux/sched/mm.h>
#include <linux/xarray.h>
#include "node.h"
#include "replica.h"
#include "window_internal.h"
#include "wire_check.h"

enum { CONTENDED_NS = 10 * 1000 * 1000 };	/* a page that is here for less is contended */

static struct workqueue_struct *late_wq;

/* A page is taken away; its lock is held. Had it just come, others will want it again. */
static void note_loss(struct rad_window *window, const struct rad_wpage *page)
{
	unsigned long *contended = &window->contended[page->index % RAD_WINDOW_LOCKS];

	if (ktime_get_ns() - page->since < CONTENDED_NS)
		*contended = page->index;
	else if (*contended == page->index)
		*contended = 0;
}

/*
 * Takes a page away from the replica, or only the right to write to it; its lock is held.
 * Returns what to answer; @content: the page, with a reference, if home's copy differs, or
 * another node is to have it.
 */
static u32 revoke(struct rad_window *window, struct rad_wpage *page, u32 how,
		  struct rad_wpage **content)
{
	u32 flags = RAD_BACK_CLEAN;

	if (page && how & RAD_REVOKE_SENT) {
		page = rad_wpage_take_back(window, page);
		*content = page;
		return page ? RAD_BACK_DATA : RAD_BACK_NONE;
	}
	if (!page || !rad_wpage_is_here(page))
		return RAD_BACK_NONE;
	if (page->state == PAGE_UPGRADING) {
		/* Only a copy is dropped: the page comes with the ownership then. */
		rad_window_unmap(window, page->index);
		page->state = PAGE_FETCHING;
		return flags;
	}
	if (page->dirty)
		flags = RAD_BACK_DATA;
	if (page->dirty || how & RAD_REVOKE_FORWARD) {
		refcount_inc(&page->ref);
		*content = page;
	}
	if (how & RAD_REVOKE_KEEP) {
		if (page->dirty)
			rad_window_unmap(window, page->index);
		page->prot &= ~RAD_ACCESS_WRITE;
		page->dirty = false;
		return flags;
	}
	note_loss(window, page);
	if (how & RAD_REVOKE_FORWARD) {
		rad_window_unmap(window, page->index);
		page->state = PAGE_SENT;
	} else {
		rad_wpage_drop(window, page);
	}
	return flags;
}

static void sent(void *arg, bool delivered)
{
	rad_wpage_put(arg);
}

/* Consumes @msg and the reference to @content. */
static void answer(struct rad_node *home, u64 call, struct rad_out *msg,
		   const struct rad_wire_page_revoke *body, u32 flags, struct rad_wpage *content)
{
	struct rad_wire_page_back *back = msg->body;
	u32 how = le32_to_cpu(body->flags);

	if (!(how & RAD_REVOKE_DATA))
		/* A copy: whatever has become of it, it is no more. */
		flags = RAD_BACK_CLEAN;
	if (content && how & RAD_REVOKE_FORWARD) {
		bool forwarded = rad_wpage_forward(content, home, call, body, msg);

		if (forwarded && !(how & RAD_REVOKE_KEEP)) {
			/* Home hears from who gets it; from us only if he may not have. */
			rad_wpage_put(content);
			return;
		}
		if (forwarded)
			flags |= RAD_BACK_SENT;
		else if (!(how & RAD_REVOKE_KEEP))
			flags = 0;	/* home asks for it, or for another way */
	}
	back->flags = cpu_to_le32(flags);
	if (content && !(flags & RAD_BACK_DATA)) {
		rad_wpage_put(content);
	} else if (content) {
		rad_msg_set_page(msg, content->landing.page, &body->landing);
		/* The page is written again if the link has to repeat: keep it until acknowledged. */
		rad_msg_on_sent(msg, sent, content);
	}
	rad_answer_to(home, call, msg);
}

static struct rad_out *back_msg(void)
{
	return rad_msg_alloc(RAD_MSG_PAGE_BACK, sizeof(struct rad_wire_page_back),
			     GFP_KERNEL | __GFP_NOFAIL);
}

/* ---------------------------------------------------------------- later */

static enum hrtimer_restart late_timer(struct hrtimer *timer)
{
	struct rad_wpage *page = container_of(timer, struct rad_wpage, late.timer);

	queue_work(late_wq, &page->late.work);
	return HRTIMER_NORESTART;
}

static void revoke_late(struct rad_wpage *page)
{
	struct rad_late_revoke *late = &page->late;
	struct rad_replica *replica = page->replica;
	struct rad_window *window = &replica->window;
	struct mutex *lock = rad_window_lock(window, page->index);
	u32 how = le32_to_cpu(late->body.flags);
	struct rad_wpage *content = NULL;
	struct rad_wire_page_revoke body;
	struct rad_out *msg = back_msg();
	struct rad_node *home;
	u32 flags;
	u64 call;

	mutex_lock(lock);
	if (ktime_get_ns() < page->until) {
		/* Mapped between the timer and here. */
		hrtimer_start(&late->timer, ns_to_ktime(page->until), HRTIMER_MODE_ABS);
		mutex_unlock(lock);
		rad_msg_free(msg);
		return;
	}
	/* From here on home may ask for it again. */
	home = late->home;
	call = late->call;
	body = late->body;
	late->home = NULL;
	/* A write to a page that is read elsewhere, too, drops it: nothing to revoke. */
	flags = revoke(window, xa_load(&window->pages, page->index) == page ? page : NULL, how,
		       &content);
	mutex_unlock(lock);
	answer(home, call, msg, &body, flags, content);
	rad_node_put(home);
	rad_wpage_put(page);
	rad_replica_put(replica);
}

/* Home waits for it as for any other answer: nothing here may wait for reclaim, see link_rx.c. */
static void late_work(struct work_struct *work)
{
	unsigned int reclaim = memalloc_noreclaim_save();

	revoke_late(container_of(work, struct rad_wpage, late.work));
	memalloc_noreclaim_restore(reclaim);
}

/* rad_late_init() - nobody wants the page yet */
void rad_late_init(struct rad_wpage *page)
{
	hrtimer_init(&page->late.timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	page->late.timer.function = late_timer;
	INIT_WORK(&page->late.work, late_work);
}

/**
 * rad_wpage_stay() - the page is not revoked for a while
 * @page: its lock is held
 * @ns: from now on; replaces what was said before
 */
void rad_wpage_stay(struct rad_wpage *page, u64 ns)
{
	page->until = ktime_get_ns() + ns;
	/* Once it has fired its work looks at the time itself. */
	if (page->late.home && hrtimer_try_to_cancel(&page->late.timer) == 1)
		hrtimer_start(&page->late.timer, ns_to_ktime(page->until), HRTIMER_MODE_ABS);
}

/* The page's lock is held, and nobody else wants it: home asks once. */
static void postpone(struct rad_wpage *page, const struct rad_in *in)
{
	struct rad_late_revoke *late = &page->late;

	late->home = rad_node_get(in->from);
	late->call = in->call;
	memcpy(&late->body, in->body, sizeof(late->body));
	refcount_inc(&page->ref);
	rad_replica_get(page->replica);
	hrtimer_start(&late->timer, ns_to_ktime(page->until), HRTIMER_MODE_ABS);
}

/**
 * rad_window_on_revoke() - PAGE_REVOKE: home takes a page back
 * @in: the message
 *
 * Context: the link's receive context: takes the page's lock and page-table locks,
 * no mmap_lock. It succeeds while a fault on the page is pending: that fault asks
 * again.
 */
void rad_window_on_revoke(struct rad_in *in)
{
	const struct rad_wire_page_revoke *body = in->body;
	unsigned long index = le64_to_cpu(body->address) >> PAGE_SHIFT;
	u32 how = le32_to_cpu(body->flags);
	struct rad_wpage *page, *content = NULL;
	u32 flags = RAD_BACK_NONE;
	struct rad_replica *replica;
	struct rad_out *msg;

	if (!rad_wire_check_page_revoke(body, WINDOW_END)) {
		rad_node_protocol_error(in->from, "PAGE_REVOKE: bad range");
		return;
	}
	msg = back_msg();
	replica = rad_replica_find(in->from, le64_to_cpu(body->process));
	if (replica) {
		mutex_lock(rad_window_lock(&replica->window, index));
		page = xa_load(&replica->window.pages, index);
		if (page && how & RAD_REVOKE_CANCEL &&
		    rad_wpage_cancel(&replica->window, &page, body)) {
			/* NONE would say that it may have been here, and is lost. */
			flags = RAD_BACK_CLEAN;
		} else if (page && page->state == PAGE_PRESENT && !page->late.home &&
		    ktime_get_ns() < page->until) {
			postpone(page, in);
			rad_msg_free(msg);
			msg = NULL;
		} else {
			flags = revoke(&replica->window, page, how, &content);
		}
		mutex_unlock(rad_window_lock(&replica->window, index));
	}
	if (msg)
		answer(in->from, in->call, msg, body, flags, content);
	rad_replica_put(replica);
}

int rad_late_create(void)
{
	late_wq = alloc_workqueue("radium_revoke", WQ_UNBOUND | WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
	return late_wq ? 0 : -ENOMEM;
}

/* rad_late_destroy() - there is no replica any more */
void rad_late_destroy(void)
{
	destroy_workqueue(late_wq);
}

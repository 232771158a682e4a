// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: the directory of one process: its entries, from the first to the last.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/migrate.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>
#include "homemem_internal.h"
#include "ksym.h"
#include "node.h"

enum { RECALL_WINDOW = 32 };	/* pages asked back at a time */

/* Held pages of all processes by page frame: whoever meets the entry finds it. */
DEFINE_XARRAY(rad_held);

/*
 * Frames that have come home can be reclaimed only when they are finalized: not after
 * those who ask for more, and not later for lack of memory.
 */
struct workqueue_struct *rad_finalize_wq;

/* Of RETURNED entries: who repairs them finds them at once, however many others there are. */
#define RETURNED	XA_MARK_0

/* rad_page_put() - lets go of an entry */
void rad_page_put(struct rad_page *page)
{
	if (!refcount_dec_and_test(&page->ref))
		return;
	if (page->node)
		rad_node_put(page->node);
	rad_process_put(page->process);
	kfree_rcu(page, rcu);
}

/* The one place where an entry changes its state. */
void rad_page_set_state(struct rad_page *page, enum rad_page_state to)
{
	struct rad_homemem *mem = rad_page_mem(page);
	enum rad_page_state from = page->state;

	lockdep_assert_held(&mem->pages.xa_lock);
	WARN_ONCE(!rad_page_may_enter(to, from), "radium: page state %d to %d", from, to);
	mem->away += (to == RAD_PAGE_AWAY) - (from == RAD_PAGE_AWAY) +
		     (to == RAD_PAGE_RECALLING) - (from == RAD_PAGE_RECALLING) +
		     (to == RAD_PAGE_SHARING) - (from == RAD_PAGE_SHARING) +
		     (to == RAD_PAGE_LOST) - (from == RAD_PAGE_LOST);
	mem->copied += (to == RAD_PAGE_COPIED) - (from == RAD_PAGE_COPIED);
	WRITE_ONCE(page->state, to);
	if (to == RAD_PAGE_RETURNED)
		__xa_set_mark(&mem->pages, page->address >> PAGE_SHIFT, RETURNED);
	else if (from == RAD_PAGE_RETURNED)
		__xa_clear_mark(&mem->pages, page->address >> PAGE_SHIFT, RETURNED);
	if (to != RAD_PAGE_RECALLING && to != RAD_PAGE_SHARING)
		page->asked = NULL;
	if (to == RAD_PAGE_AWAY)
		list_add_tail(&page->order, &mem->order);
	else if (from == RAD_PAGE_AWAY)
		list_del_init(&page->order);
	if (to == RAD_PAGE_GONE) {
		__xa_erase(&mem->pages, page->address >> PAGE_SHIFT);
		/* The directory's reference; the caller has one of his own. */
		refcount_dec(&page->ref);
	}
	wake_up_all(rad_page_wait(page));
	if (mem->dead && to == RAD_PAGE_GONE && xa_empty(&mem->pages))
		wake_up_all(&mem->wait);
}

/*
 * Gives the frame back to the kernel: the page table entries return by a walk
 * over the reverse map, so that a fork child or a moved mapping is repaired too.
 * The entry is FINALIZING and the caller's.
 *
 * Context: sleeps (anon_vma lock); may hold mmap_lock for reading.
 */
void rad_page_give_back(struct rad_page *page)
{
	struct rad_homemem *mem = rad_page_mem(page);
	unsigned long src = migrate_pfn(page_to_pfn(page->frame)) | MIGRATE_PFN_MIGRATE;
	struct rad_node *node;
	unsigned long dst = 0;

	if (page->lost)
		rad_page_spoil(page);
	/* Not found by frame any more before the frame can be somebody else's. */
	xa_erase(&rad_held, page_to_pfn(page->frame));
	migrate_device_finalize(&src, &dst, 1);
	/* Off this CPU's list of pages to be put on theirs: who takes it out next would ask all CPUs. */
	rad_ksym.lru_add_drain();
	if (atomic_dec_and_test(&page->anon_vma->refcount))
		rad_ksym.put_anon_vma(page->anon_vma);

	spin_lock(&mem->pages.xa_lock);
	page->frame = NULL;
	node = page->node;
	page->node = NULL;
	/* Others may read on, or were asked meanwhile not to. */
	rad_page_set_state(page, page->revokes ? RAD_PAGE_REVOKING :
				 page->copies || page->granting ? RAD_PAGE_COPIED :
								  RAD_PAGE_GONE);
	spin_unlock(&mem->pages.xa_lock);
	if (node)
		rad_node_put(node);
}

/* Finalizes whatever is RETURNED. */
static void finalize_work(struct work_struct *work)
{
	struct rad_homemem *mem = container_of(work, struct rad_homemem, finalize);
	struct rad_page *page;
	unsigned long index = 0;

	spin_lock(&mem->pages.xa_lock);
	for (;;) {
		page = xa_find(&mem->pages, &index, ULONG_MAX, RETURNED);
		if (!page)
			break;
		index++;
		rad_page_set_state(page, RAD_PAGE_FINALIZING);
		refcount_inc(&page->ref);
		spin_unlock(&mem->pages.xa_lock);
		rad_page_give_back(page);
		rad_page_put(page);
		cond_resched();
		spin_lock(&mem->pages.xa_lock);
	}
	spin_unlock(&mem->pages.xa_lock);
}

/* ------------------------------------------------------- everything home */

/* Who takes a page may wait for longer than who wants it home. */
static int await_taker(struct rad_page *page, long timeout)
{
	long left = wait_event_killable_timeout(*rad_page_wait(page),
						rad_page_state(page) != RAD_PAGE_TAKING, timeout);

	if (left < 0)
		return -EINTR;
	return left ? 0 : -ETIMEDOUT;
}

/**
 * rad_homemem_recall_all() - bring every page home, have every copy dropped
 * @process: whose
 * @timeout: jiffies; looked at after each page, which is waited for until its owner has answered
 *	or died
 *
 * Context: process context; killable.
 * Return: 0, -ETIMEDOUT, -EHOSTDOWN (a page is lost), -EINTR.
 */
int rad_homemem_recall_all(struct rad_process *process, unsigned long timeout)
{
	struct rad_homemem *mem = &process->mem;
	unsigned long deadline = jiffies + timeout, index, ahead;
	struct rad_page *page;
	int err, begun;

	for (;;) {
		/* Ask for a window of pages, then wait for the first. */
		index = 0;
		spin_lock(&mem->pages.xa_lock);
		page = xa_find(&mem->pages, &index, ULONG_MAX, XA_PRESENT);
		if (!page) {
			spin_unlock(&mem->pages.xa_lock);
			return 0;
		}
		ahead = index;
		for (begun = 0; begun < RECALL_WINDOW && page; begun++) {
			refcount_inc(&page->ref);
			spin_unlock(&mem->pages.xa_lock);
			if (!rad_page_in_motion(rad_page_state(page)) && rad_page_state(page) != RAD_PAGE_LOST)
				rad_page_revoke(page, RAD_USE_WRITE, true);
			rad_page_put(page);
			ahead++;
			spin_lock(&mem->pages.xa_lock);
			page = xa_find(&mem->pages, &ahead, ULONG_MAX, XA_PRESENT);
		}
		page = xa_find(&mem->pages, &index, ULONG_MAX, XA_PRESENT);
		if (page)
			refcount_inc(&page->ref);
		spin_unlock(&mem->pages.xa_lock);
		if (!page)
			continue;
		err = await_taker(page, max_t(long, deadline - jiffies, 1)) ?:
		      rad_page_bring_home(page, RAD_USE_WRITE);
		rad_page_put(page);
		if (err)
			return err;
		if (time_after(jiffies, deadline))
			return -ETIMEDOUT;
	}
}

/*
 * A node has dropped its copy by itself, or died. The directory's lock is held, and the
 * caller does not touch the entry afterwards unless he has a reference.
 */
void rad_page_forget_copy(struct rad_page *page, u64 bit)
{
	page->copies &= ~bit;
	if (page->state != RAD_PAGE_COPIED || page->copies || page->granting)
		return;
	refcount_inc(&page->ref);
	rad_page_set_state(page, RAD_PAGE_GONE);
	rad_page_put(page);
}

/**
 * rad_homemem_node_dead() - a node died
 * @process: whose pages
 * @node: the node
 *
 * What it gets while we look on, behind us, whoever gives it looks at: rad_take_end(), forward().
 *
 * Context: process, sleeps.
 * Return: whether it owned a page.
 */
bool rad_homemem_node_dead(struct rad_process *process, struct rad_node *node)
{
	u64 bit = rad_node_bit(node);
	struct rad_homemem *mem = &process->mem;
	unsigned long index = 0, i = 0;
	struct rad_page *page;
	bool lost = false;

	spin_lock(&mem->pages.xa_lock);
	while ((page = xa_find(&mem->pages, &index, ULONG_MAX, XA_PRESENT))) {
		index++;
		if (page->state == RAD_PAGE_LOST && page->node == node)
			lost = true;
		if (page->state == RAD_PAGE_AWAY && page->node == node) {
			rad_page_set_state(page, RAD_PAGE_LOST);
			lost = true;
		}
		rad_forward_node_dead(page, node);
		/* Who was asked to drop it answers through his call. */
		rad_page_forget_copy(page, bit);
		rad_homemem_breathe(mem, ++i, true);
	}
	spin_unlock(&mem->pages.xa_lock);
	return lost;
}

/* Lets go of every entry without asking anybody: the process is not distributed any more. */
static bool abandon(struct rad_homemem *mem)
{
	unsigned long index = 0, i = 0;
	struct rad_page *page;
	bool left = false;

	spin_lock(&mem->pages.xa_lock);
	while ((page = xa_find(&mem->pages, &index, ULONG_MAX, XA_PRESENT))) {
		index++;
		left = true;
		rad_homemem_breathe(mem, ++i, true);
		page = xa_load(&mem->pages, index - 1);
		if (!page || !rad_forward_drop(page))
			continue;
		switch (page->state) {
		case RAD_PAGE_LOST:
			page->lost = true;
			fallthrough;
		case RAD_PAGE_AWAY:
		case RAD_PAGE_RECALLING:
		case RAD_PAGE_SHARING:
			rad_page_set_state(page, RAD_PAGE_RETURNED);
			break;
		case RAD_PAGE_COPIED:
			refcount_inc(&page->ref);
			rad_page_set_state(page, RAD_PAGE_GONE);
			rad_page_put(page);
			break;
		default:
			break;
		}
	}
	spin_unlock(&mem->pages.xa_lock);
	return left;
}

/**
 * rad_homemem_end_if_empty() - give no page any more if nobody elsewhere has one
 * @process: no thread of it is elsewhere, or goes there; it retires if so
 *
 * A page that is being taken, ahead or for a thread that has come home since, stays: what its taker
 * gives nobody would ask to come back, and the replica that gets it ends.
 *
 * Return: whether nobody has one.
 */
bool rad_homemem_end_if_empty(struct rad_process *process)
{
	struct rad_homemem *mem = &process->mem;

	spin_lock(&mem->pages.xa_lock);
	mem->over |= !mem->away && !mem->copied;
	spin_unlock(&mem->pages.xa_lock);
	return mem->over;
}

/* rad_homemem_die() - the address space is being released; see notifier.c */
void rad_homemem_die(struct rad_process *process)
{
	spin_lock(&process->mem.pages.xa_lock);
	process->mem.over = true;
	process->mem.dead = true;
	spin_unlock(&process->mem.pages.xa_lock);
	wake_up_all(&process->mem.wait);
}

/**
 * rad_homemem_destroy() - give every frame back
 * @process: retiring: no page is taken out any more
 *
 * What is still away is given up: the address space is dead, or everything is
 * home. The wait ends: takers end by themselves, and answers come or their peer
 * is declared dead.
 */
void rad_homemem_destroy(struct rad_process *process)
{
	struct rad_homemem *mem = &process->mem;

	rad_homemem_die(process);
	while (abandon(mem)) {
		finalize_work(&mem->finalize);
		wait_event_timeout(mem->wait, xa_empty(&mem->pages), HZ / 10);
	}
	cancel_work_sync(&mem->finalize);
	rad_reserve_destroy(mem);
}

/**
 * rad_homemem_create() - an empty directory
 * @process: whose
 *
 * Return: 0 or -ENOMEM.
 */
int rad_homemem_create(struct rad_process *process)
{
	struct rad_homemem *mem = &process->mem;
	int i;

	xa_init(&mem->pages);
	init_waitqueue_head(&mem->wait);
	for (i = 0; i < RAD_TURNS; i++) {
		mutex_init(&mem->turns[i].mutex);
		init_waitqueue_head(&mem->turns[i].wait);
	}
	mutex_init(&mem->faulting);
	INIT_WORK(&mem->finalize, finalize_work);
	INIT_LIST_HEAD(&mem->deferred);
	INIT_WORK(&mem->deferred_work, rad_defer_work);
	INIT_LIST_HEAD(&mem->reserve);
	INIT_LIST_HEAD(&mem->order);
	if (!rad_reserve_create(mem))
		return 0;
	rad_homemem_destroy(process);
	return -ENOMEM;
}

int rad_homemem_init(void)
{
	rad_finalize_wq = alloc_workqueue("radium_finalize",
					  WQ_UNBOUND | WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
	return rad_finalize_wq ? 0 : -ENOMEM;
}

void rad_homemem_uninit(void)
{
	rad_reserves_uninit();
	destroy_workqueue(rad_finalize_wq);
}

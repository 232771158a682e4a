// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: pages are asked back. A revocation is a call whose answer needs no lock of
 * the mm and allocates nothing.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/highmem.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include "homemem_internal.h"
#include "link.h"
#include "node.h"
#include "wire_check.h"

/* Revocations that have not been answered, of all processes, by node. */
static atomic_t under_way[RADIUM_NODE_MAX];

/* rad_revoke_cancelled() - nobody waits for its answer any more */
void rad_revoke_cancelled(const struct rad_revoke *revoke)
{
	atomic_dec(&under_way[revoke->node - 1]);
}

/* rad_revokes_of() - how many revocations has a node to answer? */
u32 rad_revokes_of(const struct rad_node *node)
{
	return atomic_read(&under_way[rad_node_id(node) - 1]);
}

/* One holder of a copy less to wait for; the caller has a reference. */
static void copy_dropped(struct rad_page *page)
{
	struct rad_homemem *mem = rad_page_mem(page);

	lockdep_assert_held(&mem->pages.xa_lock);
	if (--page->revokes)
		return;
	if (page->state == RAD_PAGE_REVOKING)
		rad_page_set_state(page, page->copies ? RAD_PAGE_COPIED : RAD_PAGE_GONE);
	else
		wake_up_all(rad_page_wait(page));
}

/* Whether it was dropped or its holder has died: the copy is no more. */
static void copy_done(struct rad_revoke *revoke, u32 flags, bool answered)
{
	copy_dropped(revoke->page);
}

/*
 * rad_revoke_land() - the content that came with an answer is that of the frame, which is
 * ours in RECALLING and SHARING only
 */
void rad_revoke_land(struct rad_revoke *revoke)
{
	struct rad_page *page = revoke->page;

	copy_highpage(page->frame, revoke->landing.page);
	set_page_dirty(page->frame);
	atomic64_inc(&page->process->stats.pages_received);
}

/* rad_page_returned() - its frame is current: its page tables can be repaired */
void rad_page_returned(struct rad_page *page)
{
	struct rad_homemem *mem = rad_page_mem(page);

	rad_page_set_state(page, RAD_PAGE_RETURNED);
	/* Not after the directory has died: its end does it, and frees the work. */
	if (!mem->dead)
		queue_work(rad_finalize_wq, &mem->finalize);
}

static void owner_done(struct rad_revoke *revoke, u32 flags, bool answered)
{
	struct rad_page *page = revoke->page;
	u32 node;

	if (page->asked != revoke)
		return;
	node = rad_node_id(page->node);
	if (flags & RAD_BACK_NONE) {
		rad_page_set_state(page, RAD_PAGE_LOST);
		/*
		 * Either it says so, then it was killed there, or it has died, and
		 * rad_homemem_node_dead() may have looked at the page before.
		 */
		revoke->doomed = node;
		return;
	}
	if (flags & RAD_BACK_DATA)
		rad_revoke_land(revoke);
	if (page->state == RAD_PAGE_SHARING)
		page->copies |= BIT_ULL(node - 1);
	rad_page_returned(page);
}

/*
 * The answer to a revocation, or the end of the session. Runs in the link's
 * receive context: takes no mmap_lock, allocates nothing, waits for nothing.
 */
static void revoke_done(struct rad_call *call)
{
	struct rad_revoke *revoke = container_of(call, struct rad_revoke, call);
	const struct rad_wire_page_back *back = call->answer;
	struct rad_page *page = revoke->page;
	struct rad_process *process = page->process;
	struct rad_homemem *mem = &process->mem;
	bool answered = !call->status && call->len >= sizeof(*back);
	u32 doomed;

	atomic_dec(&under_way[revoke->node - 1]);

	spin_lock(&mem->pages.xa_lock);
	revoke->done(revoke, answered ? le32_to_cpu(back->flags) : RAD_BACK_NONE, answered);
	doomed = mem->dead ? 0 : revoke->doomed;
	spin_unlock(&mem->pages.xa_lock);
	if (doomed)
		rad_process_kill(process, doomed, RADIUM_R_NODE_LOST);
	rad_revoke_free(mem, revoke);
	rad_page_put(page);
	rad_process_put(process);
}

/**
 * rad_revoke_msg() - the message of a revocation
 * @page: which page
 * @revoke: with a landing place if the content is wanted
 * @flags: enum rad_revoke_flags
 * @gfp: how to allocate
 * Return: the message or NULL.
 */
struct rad_out *rad_revoke_msg(struct rad_page *page, struct rad_revoke *revoke, u32 flags,
			       gfp_t gfp)
{
	struct rad_wire_page_revoke *body;
	struct rad_out *msg;

	msg = rad_msg_alloc(RAD_MSG_PAGE_REVOKE, sizeof(*body), gfp);
	if (!msg)
		return NULL;
	body = msg->body;
	body->process = cpu_to_le64(page->process->id);
	body->address = cpu_to_le64(page->address);
	body->flags = cpu_to_le32(flags);
	if (flags & RAD_REVOKE_DATA)
		rad_landing_name(&revoke->landing, &body->landing);
	return msg;
}

/**
 * rad_revoke_send() - ask one node for one page, or to drop its copy
 * @node: whom
 * @revoke: its page and done are set, the entry says what is going on; consumed, and so is
 *	a reference to the page that the caller has taken for it
 * @msg: consumed
 */
void rad_revoke_send(struct rad_node *node, struct rad_revoke *revoke, struct rad_out *msg)
{
	const struct rad_wire_page_revoke *body = msg->body;
	u32 how = le32_to_cpu(body->flags);

	rad_process_get(revoke->page->process);
	revoke->node = rad_node_id(node);
	atomic_inc(&under_way[revoke->node - 1]);
	revoke->call = (struct rad_call){
		.notify = revoke_done,
		/* Else it waits for who gets the page. */
		.at_once = !(how & RAD_REVOKE_FORWARD) || how & RAD_REVOKE_KEEP,
	};
	if (rad_call_send(node, &revoke->call, msg)) {
		revoke->call.status = -EHOSTDOWN;
		revoke_done(&revoke->call);
	}
}

/*
 * Drops the copies on the nodes of a mask, one message each. They are counted in revokes,
 * with one more for us, so that it does not end while we are sending. The notifier may wait for
 * that, with locks that reclaim takes (khugepaged, an anon_vma's): so no reclaim here.
 */
static void revoke_copies(struct rad_page *page, u64 copies, bool may_allocate)
{
	struct rad_homemem *mem = rad_page_mem(page);
	gfp_t gfp = may_allocate ? GFP_KERNEL : GFP_ATOMIC | __GFP_NOWARN;
	unsigned int reclaim = memalloc_noreclaim_save();

	for (; copies; copies &= copies - 1) {
		struct rad_node *node = rad_node_get_up(__ffs64(copies) + 1);
		struct rad_revoke *revoke = NULL;
		struct rad_out *msg = NULL;

		/*
		 * A node that is not up has no copies any more. Nor has any when the process is
		 * distributed no longer; and then nothing comes back to the reserve.
		 */
		while (node && !READ_ONCE(mem->dead) && !(revoke && msg)) {
			revoke = revoke ?: rad_revoke_alloc(mem, false, may_allocate);
			msg = msg ?: rad_revoke_msg(page, revoke, 0, gfp);
			if (!revoke)
				wait_event_timeout(mem->wait, !list_empty(&mem->reserve), 1);
			else if (!msg)
				schedule_timeout_uninterruptible(1);
		}
		if (revoke && msg) {
			refcount_inc(&page->ref);
			revoke->page = page;
			revoke->done = copy_done;
			rad_revoke_send(node, revoke, msg);
		} else {
			rad_msg_free(msg);
			rad_revoke_free(mem, revoke);
			spin_lock(&mem->pages.xa_lock);
			copy_dropped(page);
			spin_unlock(&mem->pages.xa_lock);
		}
		if (node)
			rad_node_put(node);
	}
	memalloc_noreclaim_restore(reclaim);
	spin_lock(&mem->pages.xa_lock);
	copy_dropped(page);
	spin_unlock(&mem->pages.xa_lock);
}

/*
 * Nobody but the nodes of @keep may have a copy any more, nor get one. The directory's lock
 * is held; takes it off.
 */
static void drop_copies(struct rad_page *page, u64 keep, bool may_allocate)
	__releases(&rad_page_mem(page)->pages.xa_lock)
{
	u64 copies = page->copies & ~keep;

	if (page->state == RAD_PAGE_COPIED)
		rad_page_set_state(page, RAD_PAGE_REVOKING);
	page->copies &= keep;
	page->revokes += hweight64(copies) + 1;
	spin_unlock(&rad_page_mem(page)->pages.xa_lock);
	revoke_copies(page, copies, may_allocate);
}

/* Called with the lock of the page table. */
static int protect_entry(pte_t *pte, unsigned long address, void *arg)
{
	struct rad_page *page = arg;
	swp_entry_t entry;
	pte_t new;

	if (pte_none(*pte) || pte_present(*pte))
		return 0;
	entry = pte_to_swp_entry(*pte);
	if (!is_migration_entry(entry) || page_to_pfn(page->frame) != swp_offset_pfn(entry))
		return 0;
	page->read_only = true;
	if (!is_writable_migration_entry(entry))
		return 0;
	/* The offset carries more than the frame: young and dirty. */
	new = swp_entry_to_pte(make_readable_exclusive_migration_entry(swp_offset(entry)));
	if (pte_swp_soft_dirty(*pte))
		new = pte_swp_mksoft_dirty(new);
	set_pte_at(page->process->mm, address, pte, new);
	return 0;
}

/**
 * rad_page_protect() - have a page that comes home be mapped read-only
 * @page: AWAY, or not any more
 *
 * Only then its owner may go on reading: whoever writes to it at home reaches our
 * do_wp_page.
 *
 * Context: mmap_lock of the process is held for reading: no layout change, which would
 * recall the page, comes between.
 */
void rad_page_protect(struct rad_page *page)
{
	struct rad_homemem *mem = rad_page_mem(page);
	bool away;

	spin_lock(&mem->pages.xa_lock);
	away = page->state == RAD_PAGE_AWAY && !page->read_only;
	spin_unlock(&mem->pages.xa_lock);
	if (away)
		apply_to_existing_page_range(page->process->mm, page->address, PAGE_SIZE,
					     protect_entry, page);
}

/* Whoever writes to the page when it is home faults, and what was written before is not told. */
static void forget_write(struct rad_page *page)
{
	struct mm_struct *mm = page->process->mm;
	pmd_t *pmd = rad_find_pmd(mm, page->address);
	swp_entry_t entry;
	spinlock_t *ptl;
	pte_t *pte, new;
	pgoff_t offset;

	if (!pmd)
		return;
	pte = pte_offset_map_lock(mm, pmd, page->address, &ptl);
	entry = pte_to_swp_entry(*pte);
	if (rad_pte_is_migrating(*pte) && page_to_pfn(page->frame) == swp_offset_pfn(entry)) {
		page->read_only = true;
		/* The frame is dirty, if the page is: a dirty entry comes back as that of a written one. */
		offset = swp_offset(entry) & ~SWP_MIG_DIRTY;
		new = swp_entry_to_pte(is_readable_migration_entry(entry) ?
				       make_readable_migration_entry(offset) :
				       make_readable_exclusive_migration_entry(offset));
		if (pte_swp_uffd_wp(*pte))
			new = pte_swp_mkuffd_wp(new);
		set_pte_at(mm, page->address, pte, new);
	}
	pte_unmap_unlock(pte, ptl);
}

/**
 * rad_homemem_forget_writes() - clear_refs begins to look for what is written from now on
 * @process: whose memory
 *
 * It goes through the page tables then, and takes the right to write out of entries of present pages
 * only: not out of that of one which is held, or still on its way back to its place.
 *
 * Context: mmap_lock is held for writing: nobody begins to take a page.
 */
void rad_homemem_forget_writes(struct rad_process *process)
{
	struct rad_homemem *mem = &process->mem;
	unsigned long index = 0, i = 0;
	struct rad_page *page;

	spin_lock(&mem->pages.xa_lock);
	while ((page = xa_find(&mem->pages, &index, ULONG_MAX, XA_PRESENT))) {
		refcount_inc(&page->ref);
		spin_unlock(&mem->pages.xa_lock);
		if (page->frame)
			forget_write(page);
		rad_page_put(page);
		spin_lock(&mem->pages.xa_lock);
		index++;
		rad_homemem_breathe(mem, ++i, true);
	}
	spin_unlock(&mem->pages.xa_lock);
}

/**
 * rad_page_revoke() - begin to take away the rights that others have to a page
 * @page: the caller has a reference
 * @use: what they must make possible
 * @may_allocate: false for the notifier: nothing that would wait for memory
 *
 * An owner may go on reading only what rad_page_protect() was called for.
 * What is on its way already is left alone, and so is a page that is being granted:
 * look again when that is over.
 *
 * Return: false if nothing could be allocated; the state is unchanged then.
 */
bool rad_page_revoke(struct rad_page *page, enum rad_page_use use, bool may_allocate)
{
	struct rad_homemem *mem = rad_page_mem(page);
	gfp_t gfp = may_allocate ? GFP_KERNEL : GFP_ATOMIC | __GFP_NOWARN;
	struct rad_revoke *revoke;
	struct rad_node *node;
	struct rad_out *msg;

	spin_lock(&mem->pages.xa_lock);
	if (use == RAD_USE_WRITE && rad_page_is_copied(page) && !page->granting) {
		drop_copies(page, 0, may_allocate);
		return true;
	}
	if (page->state != RAD_PAGE_AWAY) {
		spin_unlock(&mem->pages.xa_lock);
		return true;
	}
	spin_unlock(&mem->pages.xa_lock);

	revoke = rad_revoke_alloc(mem, true, may_allocate);
	if (!revoke)
		return false;
	/* One of the reserve is sent at once: the notifier has nothing else, see above. */
	if (revoke->reserved)
		gfp = GFP_ATOMIC | __GFP_NOWARN;
	/* The flags are filled in when it is known how the page would come back. */
	msg = rad_revoke_msg(page, revoke, RAD_REVOKE_DATA, gfp);
	if (!msg) {
		rad_revoke_free(mem, revoke);
		return false;
	}
	spin_lock(&mem->pages.xa_lock);
	if (page->state != RAD_PAGE_AWAY) {
		spin_unlock(&mem->pages.xa_lock);
		rad_msg_free(msg);
		rad_revoke_free(mem, revoke);
		return true;
	}
	if (!page->read_only)
		use = RAD_USE_WRITE;
	if (use == RAD_USE_READ) {
		struct rad_wire_page_revoke *body = msg->body;

		body->flags |= cpu_to_le32(RAD_REVOKE_KEEP);
	}
	rad_page_set_state(page, use == RAD_USE_READ ? RAD_PAGE_SHARING : RAD_PAGE_RECALLING);
	node = rad_node_get(page->node);
	refcount_inc(&page->ref);
	revoke->page = page;
	revoke->done = owner_done;
	page->asked = revoke;
	spin_unlock(&mem->pages.xa_lock);
	atomic64_inc(&page->process->stats.recalls);
	rad_revoke_send(node, revoke, msg);
	rad_node_put(node);
	return true;
}

/**
 * rad_page_leave_to() - have all copies of a page dropped but one
 * @page: COPIED, or not any more; the caller has a reference
 * @reader: bit i: node i+1 keeps its copy, if it has one
 *
 * Context: sleeps until the others have answered, or died; without mmap_lock.
 */
void rad_page_leave_to(struct rad_page *page, u64 reader)
{
	struct rad_homemem *mem = rad_page_mem(page);

	wait_event(*rad_page_wait(page), !READ_ONCE(page->granting));
	spin_lock(&mem->pages.xa_lock);
	if (page->state == RAD_PAGE_COPIED && page->copies & reader && page->copies & ~reader &&
	    !page->granting)
		drop_copies(page, reader, true);
	else
		spin_unlock(&mem->pages.xa_lock);
	wait_event(*rad_page_wait(page), rad_page_state(page) != RAD_PAGE_REVOKING);
}

static int bring_home(struct rad_page *page, enum rad_page_use use)
{
	struct rad_homemem *mem = rad_page_mem(page);
	wait_queue_head_t *wait = rad_page_wait(page);
	int err;

	for (;;) {
		enum rad_page_state state = rad_page_state(page);

		switch (state) {
		case RAD_PAGE_GONE:
			return 0;
		case RAD_PAGE_LOST:
			return -EHOSTDOWN;
		case RAD_PAGE_COPIED:
			if (use == RAD_USE_READ)
				return 0;
			if (wait_event_killable(*wait, !READ_ONCE(page->granting)))
				return -EINTR;
			fallthrough;
		case RAD_PAGE_AWAY:
			/* Others of the process may have the reserve, and each answer brings one back. */
			if (!rad_page_revoke(page, use, true) &&
			    wait_event_killable_timeout(*wait, rad_page_state(page) != state,
							RAD_RESERVE_RETRY_JIFFIES) < 0)
				return -EINTR;
			break;
		case RAD_PAGE_RETURNED:
			spin_lock(&mem->pages.xa_lock);
			if (page->state != RAD_PAGE_RETURNED) {
				spin_unlock(&mem->pages.xa_lock);
				break;
			}
			rad_page_set_state(page, RAD_PAGE_FINALIZING);
			spin_unlock(&mem->pages.xa_lock);
			rad_page_give_back(page);
			break;
		default:
			err = wait_event_killable(*wait, rad_page_state(page) != state);
			if (err)
				return -EINTR;
		}
	}
}

/**
 * rad_page_bring_home() - have a page at home, with its page tables repaired
 * @page: the caller has a reference
 * @use: for what
 *
 * Ends when the page may be used so at home (and may be gone again by now), its owner
 * has died, or current is killed.
 *
 * Context: sleeps; may hold mmap_lock for reading: what ends the wait needs no
 * lock of the mm.
 * Return: 0, -EHOSTDOWN (the page is lost), -EINTR (killed).
 */
int rad_page_bring_home(struct rad_page *page, enum rad_page_use use)
{
	struct rad_homemem *mem = rad_page_mem(page);
	int err;

	/* It does not go from node to node meanwhile. */
	spin_lock(&mem->pages.xa_lock);
	page->wanted++;
	spin_unlock(&mem->pages.xa_lock);
	err = bring_home(page, use);
	spin_lock(&mem->pages.xa_lock);
	page->wanted--;
	spin_unlock(&mem->pages.xa_lock);
	return err;
}

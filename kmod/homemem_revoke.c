// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: pages are asked back. A revocation is a call whose answer needs no lock of
 * the mm and allocates nothing.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/highmem.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include "homemem_internal.h"
#include "link.h"
#include "node.h"
#include "wire_check.h"

enum {
	RESERVED_REVOKES	= 8,	/* a process' revocations set aside for when there is no memory */
	RETRY_JIFFIES		= 1,	/* until the reserve is looked at again */
};

/**
 * struct revoke - one page asked back
 * @call: the request
 * @page: holds a reference
 * @landing: where the owner writes the page (only when its data is wanted)
 * @list: in the reserve
 * @reserved: belongs to the reserve
 * @copy: of a read-only copy
 */
struct revoke {
	struct rad_call call;
	struct rad_page *page;
	struct rad_landing landing;
	struct list_head list;
	bool reserved;
	bool copy;
};

static struct revoke *revoke_alloc(struct rad_homemem *mem, bool copy, bool may_allocate)
{
	struct revoke *revoke;

	if (may_allocate) {
		revoke = kzalloc(sizeof(*revoke), GFP_KERNEL);
		if (revoke && (copy || !rad_landing_get(&revoke->landing, GFP_KERNEL))) {
			revoke->copy = copy;
			return revoke;
		}
		/* Pages come home one by one also when visitors have all of the pool. */
		kfree(revoke);
	}
	spin_lock(&mem->pages.xa_lock);
	revoke = list_first_entry_or_null(&mem->reserve, struct revoke, list);
	if (revoke) {
		list_del(&revoke->list);
		revoke->copy = copy;
	}
	spin_unlock(&mem->pages.xa_lock);
	return revoke;
}

static void revoke_free(struct rad_homemem *mem, struct revoke *revoke)
{
	if (revoke->reserved) {
		spin_lock(&mem->pages.xa_lock);
		if (!mem->dead) {
			list_add(&revoke->list, &mem->reserve);
			spin_unlock(&mem->pages.xa_lock);
			wake_up_all(&mem->wait);
			return;
		}
		spin_unlock(&mem->pages.xa_lock);
	}
	if (revoke->landing.page)
		rad_landing_put(&revoke->landing);
	kfree(revoke);
}

/* One holder of a copy less to wait for; the caller has a reference. */
static void copy_dropped(struct rad_page *page)
{
	struct rad_homemem *mem = rad_page_mem(page);

	lockdep_assert_held(&mem->pages.xa_lock);
	if (--page->revokes)
		return;
	if (page->state == RAD_PAGE_REVOKING)
		rad_page_set_state(page, RAD_PAGE_GONE);
	else
		wake_up_all(&mem->wait);
}

/*
 * The answer to a revocation, or the end of the session. Runs in the link's
 * receive context: takes no mmap_lock, allocates nothing, waits for nothing.
 */
static void revoke_done(struct rad_call *call)
{
	struct revoke *revoke = container_of(call, struct revoke, call);
	const struct rad_wire_page_back *back = call->answer;
	struct rad_page *page = revoke->page;
	struct rad_process *process = page->process;
	struct rad_homemem *mem = &process->mem;
	bool answered = !call->status && call->len >= sizeof(*back);
	u32 flags = answered ? le32_to_cpu(back->flags) : RAD_BACK_NONE;
	bool lost = false;
	u32 node = 0;

	spin_lock(&mem->pages.xa_lock);
	if (revoke->copy) {
		/* Whether it was dropped or its holder has died: the copy is no more. */
		copy_dropped(page);
	} else if (page->state == RAD_PAGE_RECALLING || page->state == RAD_PAGE_SHARING) {
		/* The frame is ours only in these states: copy before anybody can give it back. */
		if (flags & RAD_BACK_DATA) {
			copy_highpage(page->frame, revoke->landing.page);
			set_page_dirty(page->frame);
			atomic64_inc(&process->stats.pages_received);
		}
		lost = flags & RAD_BACK_NONE;
		node = rad_node_id(page->node);
		if (page->state == RAD_PAGE_SHARING && !lost)
			page->copies = BIT_ULL(node - 1);
		rad_page_set_state(page, lost ? RAD_PAGE_LOST : RAD_PAGE_RETURNED);
		/* Not after the directory has died: its end does it, and frees the work. */
		if (!lost && !mem->dead)
			queue_work(rad_finalize_wq, &mem->finalize);
	}
	lost &= !mem->dead;
	spin_unlock(&mem->pages.xa_lock);
	/* An owner that does not have the page any more was killed there. */
	if (lost && answered)
		rad_process_kill(process, node, RADIUM_R_NODE_LOST);
	revoke_free(mem, revoke);
	rad_page_put(page);
	rad_process_put(process);
}

/* Asks one node for one page, or to drop its copy. */
static void revoke_send(struct rad_page *page, struct rad_node *node, struct revoke *revoke,
			struct rad_out *msg, enum rad_page_use use)
{
	struct rad_wire_page_revoke *body = msg->body;

	refcount_inc(&page->ref);
	rad_process_get(page->process);
	revoke->page = page;
	revoke->call = (struct rad_call){ .notify = revoke_done };
	body->process = cpu_to_le64(page->process->id);
	body->address = cpu_to_le64(page->address);
	body->count = cpu_to_le32(1);
	body->epoch = cpu_to_le32(page->epoch);
	if (!revoke->copy) {
		body->flags = cpu_to_le32(RAD_REVOKE_DATA |
					  (use == RAD_USE_READ ? RAD_REVOKE_KEEP : 0));
		body->landing.addr = cpu_to_le64(revoke->landing.addr);
		body->landing.rkey = cpu_to_le32(revoke->landing.rkey);
	}
	if (rad_call_send(node, &revoke->call, msg)) {
		revoke->call.status = -EHOSTDOWN;
		revoke_done(&revoke->call);
	}
}

/*
 * Drops the copies on the nodes of a mask, one message each. They are counted in revokes,
 * with one more for us, so that it does not end while we are sending.
 */
static void revoke_copies(struct rad_page *page, u64 copies, bool may_allocate)
{
	struct rad_homemem *mem = rad_page_mem(page);
	gfp_t gfp = may_allocate ? GFP_KERNEL : GFP_ATOMIC | __GFP_NOWARN;

	for (; copies; copies &= copies - 1) {
		struct rad_node *node = rad_node_get_up(__ffs64(copies) + 1);
		struct revoke *revoke = NULL;
		struct rad_out *msg = NULL;

		/* A node that is not up has no copies any more. */
		while (node && !(revoke && msg)) {
			revoke = revoke ?: revoke_alloc(mem, true, may_allocate);
			msg = msg ?: rad_msg_alloc(RAD_MSG_PAGE_REVOKE,
						   sizeof(struct rad_wire_page_revoke), gfp);
			if (!revoke || !msg)
				wait_event_timeout(mem->wait, !list_empty(&mem->reserve), 1);
		}
		if (node) {
			revoke_send(page, node, revoke, msg, RAD_USE_WRITE);
			rad_node_put(node);
			continue;
		}
		spin_lock(&mem->pages.xa_lock);
		copy_dropped(page);
		spin_unlock(&mem->pages.xa_lock);
	}
	spin_lock(&mem->pages.xa_lock);
	copy_dropped(page);
	spin_unlock(&mem->pages.xa_lock);
}

/* Nobody may have a copy any more, nor get one. The directory's lock is held; takes it off. */
static void drop_copies(struct rad_page *page, bool may_allocate)
	__releases(&rad_page_mem(page)->pages.xa_lock)
{
	u64 copies = page->copies;

	if (page->state == RAD_PAGE_COPIED)
		rad_page_set_state(page, RAD_PAGE_REVOKING);
	page->copies = 0;
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

/**
 * rad_page_revoke() - begin to take away the rights that others have to a page
 * @page: the caller has a reference
 * @use: what they must make possible
 * @may_allocate: false for the notifier
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
	struct revoke *revoke;
	struct rad_node *node;
	struct rad_out *msg;

	spin_lock(&mem->pages.xa_lock);
	if (use == RAD_USE_WRITE && page->copies && !page->granting &&
	    (page->state == RAD_PAGE_COPIED || page->state == RAD_PAGE_RETURNED ||
	     page->state == RAD_PAGE_FINALIZING)) {
		drop_copies(page, may_allocate);
		return true;
	}
	if (page->state != RAD_PAGE_AWAY) {
		spin_unlock(&mem->pages.xa_lock);
		return true;
	}
	spin_unlock(&mem->pages.xa_lock);

	revoke = revoke_alloc(mem, false, may_allocate);
	if (!revoke)
		return false;
	msg = rad_msg_alloc(RAD_MSG_PAGE_REVOKE, sizeof(struct rad_wire_page_revoke), gfp);
	if (!msg) {
		revoke_free(mem, revoke);
		return false;
	}
	spin_lock(&mem->pages.xa_lock);
	if (page->state != RAD_PAGE_AWAY) {
		spin_unlock(&mem->pages.xa_lock);
		rad_msg_free(msg);
		revoke_free(mem, revoke);
		return true;
	}
	if (!page->read_only)
		use = RAD_USE_WRITE;
	rad_page_set_state(page, use == RAD_USE_READ ? RAD_PAGE_SHARING : RAD_PAGE_RECALLING);
	node = rad_node_get(page->node);
	spin_unlock(&mem->pages.xa_lock);
	atomic64_inc(&page->process->stats.recalls);
	revoke_send(page, node, revoke, msg, use);
	rad_node_put(node);
	return true;
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
			if (wait_event_killable(mem->wait, !READ_ONCE(page->granting)))
				return -EINTR;
			fallthrough;
		case RAD_PAGE_AWAY:
			/* One comes back to the reserve with each answer. */
			if (!rad_page_revoke(page, use, true) &&
			    wait_event_killable_timeout(mem->wait, rad_page_state(page) != state,
							RETRY_JIFFIES) < 0)
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
			err = wait_event_killable(mem->wait, rad_page_state(page) != state);
			if (err)
				return -EINTR;
		}
	}
}

/* Gives back the frame of a lost page, as it was when it left. */
void rad_page_surrender(struct rad_page *page)
{
	struct rad_homemem *mem = rad_page_mem(page);

	spin_lock(&mem->pages.xa_lock);
	if (page->state == RAD_PAGE_LOST)
		rad_page_set_state(page, RAD_PAGE_RETURNED);
	spin_unlock(&mem->pages.xa_lock);
	rad_page_bring_home(page, RAD_USE_READ);
}

/* rad_reserve_destroy() - those in flight free themselves, since the directory is dead */
void rad_reserve_destroy(struct rad_homemem *mem)
{
	struct revoke *revoke, *next;
	LIST_HEAD(reserve);

	spin_lock(&mem->pages.xa_lock);
	list_splice_init(&mem->reserve, &reserve);
	spin_unlock(&mem->pages.xa_lock);
	list_for_each_entry_safe(revoke, next, &reserve, list) {
		rad_landing_put(&revoke->landing);
		kfree(revoke);
	}
}

/* rad_reserve_create() - revocations for contexts that must not allocate; 0 or -ENOMEM */
int rad_reserve_create(struct rad_homemem *mem)
{
	int i;

	for (i = 0; i < RESERVED_REVOKES; i++) {
		struct revoke *revoke = kzalloc(sizeof(*revoke), GFP_KERNEL);

		if (!revoke || rad_landing_get(&revoke->landing, GFP_KERNEL)) {
			kfree(revoke);
			return -ENOMEM;
		}
		revoke->reserved = true;
		list_add(&revoke->list, &mem->reserve);
	}
	return 0;
}

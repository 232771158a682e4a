// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: pages are asked back. A revocation is a call whose answer needs no lock of
 * the mm and allocates nothing.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/highmem.h>
#include <linux/slab.h>
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
 */
struct revoke {
	struct rad_call call;
	struct rad_page *page;
	struct rad_landing landing;
	struct list_head list;
	bool reserved;
};

static struct revoke *revoke_alloc(struct rad_homemem *mem, bool data, bool may_allocate)
{
	struct revoke *revoke;

	if (may_allocate) {
		revoke = kzalloc(sizeof(*revoke), GFP_KERNEL);
		if (revoke && (!data || !rad_landing_get(&revoke->landing, GFP_KERNEL)))
			return revoke;
		/* Pages come home one by one also when visitors have all of the pool. */
		kfree(revoke);
	}
	spin_lock(&mem->pages.xa_lock);
	revoke = list_first_entry_or_null(&mem->reserve, struct revoke, list);
	if (revoke)
		list_del(&revoke->list);
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
	switch (page->state) {
	case RAD_PAGE_RECALLING:
		/* The frame is ours only in this state: copy before anybody can give it back. */
		if (flags & RAD_BACK_DATA) {
			copy_highpage(page->frame, revoke->landing.page);
			set_page_dirty(page->frame);
			atomic64_inc(&process->stats.pages_received);
		}
		lost = flags & RAD_BACK_NONE;
		node = rad_node_id(page->node);
		rad_page_set_state(page, lost ? RAD_PAGE_LOST : RAD_PAGE_RETURNED);
		/* Not after the directory has died: its end does it, and frees the work. */
		if (!lost && !mem->dead)
			queue_work(rad_finalize_wq, &mem->finalize);
		break;
	case RAD_PAGE_REVOKING:
		/* Whether it was dropped or its holder has died: the copy is no more. */
		if (!--page->revokes)
			rad_page_set_state(page, RAD_PAGE_GONE);
		break;
	default:
		break;
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

/* Asks one node for one page. The caller made the state RECALLING or REVOKING. */
static void revoke_send(struct rad_page *page, struct rad_node *node, struct revoke *revoke,
			struct rad_out *msg, bool data)
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
	if (data) {
		body->flags = cpu_to_le32(RAD_REVOKE_DATA);
		body->landing.addr = cpu_to_le64(revoke->landing.addr);
		body->landing.rkey = cpu_to_le32(revoke->landing.rkey);
	}
	if (rad_call_send(node, &revoke->call, msg)) {
		revoke->call.status = -EHOSTDOWN;
		revoke_done(&revoke->call);
	}
}

/* Drops the copies on the nodes of a mask, one message each. The state is REVOKING. */
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
			revoke = revoke ?: revoke_alloc(mem, false, may_allocate);
			msg = msg ?: rad_msg_alloc(RAD_MSG_PAGE_REVOKE,
						   sizeof(struct rad_wire_page_revoke), gfp);
			if (!revoke || !msg)
				wait_event_timeout(mem->wait, !list_empty(&mem->reserve), 1);
		}
		if (node) {
			revoke_send(page, node, revoke, msg, false);
			rad_node_put(node);
			continue;
		}
		spin_lock(&mem->pages.xa_lock);
		page->revokes--;
		spin_unlock(&mem->pages.xa_lock);
	}
	spin_lock(&mem->pages.xa_lock);
	if (!--page->revokes && page->state == RAD_PAGE_REVOKING)
		rad_page_set_state(page, RAD_PAGE_GONE);
	spin_unlock(&mem->pages.xa_lock);
}

/*
 * Begins to bring one page home or to have its copies dropped. Returns false if
 * nothing could be allocated; the state is unchanged then.
 */
bool rad_page_revoke(struct rad_page *page, bool may_allocate)
{
	struct rad_homemem *mem = rad_page_mem(page);
	gfp_t gfp = may_allocate ? GFP_KERNEL : GFP_ATOMIC | __GFP_NOWARN;
	struct revoke *revoke;
	struct rad_node *node;
	struct rad_out *msg;
	u64 copies;

	spin_lock(&mem->pages.xa_lock);
	if (page->state == RAD_PAGE_COPIED) {
		rad_page_set_state(page, RAD_PAGE_REVOKING);
		copies = page->copies;
		/* One more for ourselves, so that it does not end while we are sending. */
		page->revokes = hweight64(copies) + 1;
		spin_unlock(&mem->pages.xa_lock);
		revoke_copies(page, copies, may_allocate);
		return true;
	}
	if (page->state != RAD_PAGE_AWAY) {
		spin_unlock(&mem->pages.xa_lock);
		return true;
	}
	spin_unlock(&mem->pages.xa_lock);

	revoke = revoke_alloc(mem, true, may_allocate);
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
	rad_page_set_state(page, RAD_PAGE_RECALLING);
	node = rad_node_get(page->node);
	spin_unlock(&mem->pages.xa_lock);
	atomic64_inc(&page->process->stats.recalls);
	revoke_send(page, node, revoke, msg, true);
	rad_node_put(node);
	return true;
}

/*
 * Brings a page home and repairs the page tables. The caller has a reference.
 * Ends when the page is home, its owner has died, or current is killed.
 *
 * Context: sleeps; may hold mmap_lock for reading: what ends the wait needs no
 * lock of the mm.
 * Return: 0, -EHOSTDOWN (the page is lost), -EINTR (killed).
 */
int rad_page_bring_home(struct rad_page *page)
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
		case RAD_PAGE_AWAY:
		case RAD_PAGE_COPIED:
			/* One comes back to the reserve with each answer. */
			if (!rad_page_revoke(page, true) &&
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
			return 0;
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
	rad_page_bring_home(page);
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

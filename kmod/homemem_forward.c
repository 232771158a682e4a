// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: a page goes straight from its owner to the node that asks for it, and home
 * waits until it has arrived there: a revocation that home sends could overtake the
 * page, which travels over a link of its own.
 *
 *	home    to owner	PAGE_REVOKE, with FORWARD
 *	owner   to node		PAGE_FORWARD, the page
 *	node    to home		PAGE_ARRIVED
 *	owner   to home		PAGE_BACK: with KEEP at once, with the page; without, PASSED
 *				when the node has received it
 *
 * If the owner dies, or cannot say what has become of the page, or a copy is long on its
 * way, the node is asked, and does not wait for it any more (CANCEL).
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/slab.h>
#include "homemem_internal.h"
#include "wire_check.h"

/* A copy that was sent has this long to arrive before the node is asked. */
enum { ARRIVAL_JIFFIES = HZ };

static u64 bit_of(struct rad_node *node)
{
	return BIT_ULL(rad_node_id(node) - 1);
}

/* The directory's lock is held; from here on only who made @forward uses it. */
static void over(struct rad_forward *forward, bool arrived)
{
	struct rad_page *page = forward->page;

	page->forward = NULL;
	forward->arrived = arrived;
	forward->over = true;
	if (forward->use == RAD_USE_READ) {
		page->granting--;
		/* The last of the others may have died meanwhile. */
		rad_page_forget_copy(page, 0);
	}
	wake_up_all(&rad_page_mem(page)->wait);
}

static void unsure(struct rad_forward *forward)
{
	forward->unsure = true;
	wake_up_all(&rad_page_mem(forward->page)->wait);
}

/* ------------------------------------------------------------- answers */

/* The owner has given up ownership. */
static void owned_done(struct rad_revoke *revoke, u32 flags, bool answered)
{
	struct rad_page *page = revoke->page;
	struct rad_forward *forward = page->forward;

	/* It has arrived, or the directory has died. */
	if (page->asked != revoke)
		return;
	if (flags & RAD_BACK_PASSED) {
		forward->passed = true;
		wake_up_all(&rad_page_mem(page)->wait);
		return;
	}
	if (!answered) {
		unsure(forward);
		return;
	}
	if (flags & RAD_BACK_NONE) {
		revoke->doomed = rad_node_id(page->node);
		rad_page_set_state(page, RAD_PAGE_LOST);
		over(forward, false);
		return;
	}
	if (flags & RAD_BACK_DATA)
		rad_revoke_land(revoke);
	if (flags & RAD_BACK_SENT) {
		forward->content = true;
		unsure(forward);
		return;
	}
	rad_page_returned(page);
	over(forward, false);
}

/* The owner reads on, and home does. */
static void shared_done(struct rad_revoke *revoke, u32 flags, bool answered)
{
	struct rad_page *page = revoke->page;
	struct rad_forward *forward = page->forward;

	if (page->asked != revoke)
		return;
	if (flags & RAD_BACK_NONE) {
		if (answered)
			revoke->doomed = rad_node_id(page->node);
		rad_page_set_state(page, RAD_PAGE_LOST);
	} else {
		if (flags & RAD_BACK_DATA)
			rad_revoke_land(revoke);
		page->copies |= bit_of(page->node);
		rad_page_returned(page);
	}
	if (!forward || forward->asking)
		return;
	if (!answered)
		unsure(forward);
	else if (!(flags & RAD_BACK_SENT))
		over(forward, false);
	else
		forward->passed = true;
}

/* What the node says that was to get ownership. */
static void asked_done(struct rad_revoke *revoke, u32 flags, bool answered)
{
	struct rad_page *page = revoke->page;
	struct rad_forward *forward = page->forward;

	if (page->asked != revoke)
		return;
	if (flags & RAD_BACK_DATA)
		rad_revoke_land(revoke);
	if (flags & RAD_BACK_DATA || (answered && forward->content)) {
		rad_page_returned(page);
	} else {
		revoke->doomed = rad_node_id(answered ? page->node : forward->to);
		rad_page_set_state(page, RAD_PAGE_LOST);
	}
	over(forward, false);
}

/* What the node says that was to become a reader: it is none. */
static void reader_done(struct rad_revoke *revoke, u32 flags, bool answered)
{
	struct rad_forward *forward = revoke->page->forward;

	if (forward)
		over(forward, false);
}

/**
 * rad_homemem_page_arrived() - PAGE_ARRIVED: a page has come from its former owner
 * @in: the message
 *
 * Context: the link's receive context.
 */
void rad_homemem_page_arrived(struct rad_in *in)
{
	const struct rad_wire_page_arrived *body = in->body;
	struct rad_node *former = NULL;
	struct rad_forward *forward;
	struct rad_process *process;
	struct rad_page *page;

	process = rad_process_find_id(le64_to_cpu(body->process));
	if (!process)
		return;
	spin_lock(&process->mem.pages.xa_lock);
	page = xa_load(&process->mem.pages, le64_to_cpu(body->address) >> PAGE_SHIFT);
	forward = page ? page->forward : NULL;
	/* Who has been asked says in his answer whether it came. */
	if (forward && forward->to == in->from && forward->call == le64_to_cpu(body->call) &&
	    !forward->asking) {
		if (forward->use == RAD_USE_READ) {
			page->copies |= bit_of(forward->to);
		} else {
			former = page->node;
			page->node = rad_node_get(forward->to);
			page->written = forward->writes;
			rad_page_set_state(page, RAD_PAGE_AWAY);
		}
		over(forward, true);
	}
	spin_unlock(&process->mem.pages.xa_lock);
	if (former)
		rad_node_put(former);
	rad_process_put(process);
}

/* rad_forward_drop() - the directory has died; its lock is held */
void rad_forward_drop(struct rad_page *page)
{
	if (page->forward)
		over(page->forward, false);
}

/* rad_forward_node_dead() - a node has died: who waits for it looks again */
void rad_forward_node_dead(struct rad_page *page, struct rad_node *node)
{
	if (page->forward && page->forward->to == node)
		wake_up_all(&rad_page_mem(page)->wait);
}

/* ------------------------------------------------------------- who makes it */

/**
 * rad_forward_create() - prepare for a page to be sent on
 * @forward: to be filled in
 * @page: AWAY; the caller has a reference
 * @to: who asks for it; the caller has a reference
 * @in: its request
 * @use: WRITE: to write to it
 *
 * Who wants to read a page that its owner has written gets ownership, too: he may be about
 * to write to it, and if not, the next one who reads shares it with him. That is one
 * message with a page for each change of hands; to share it takes two, and a third one to
 * whoever writes to it then.
 *
 * Everything is allocated here: later others wait for us, perhaps with locks that
 * memory reclaim needs.
 *
 * Context: process, sleeps.
 * Return: false: it cannot be sent on.
 */
bool rad_forward_create(struct rad_forward *forward, struct rad_page *page, struct rad_node *to,
			const struct rad_in *in, enum rad_page_use use)
{
	const struct rad_wire_page_get *get = in->body;
	bool owned = use == RAD_USE_WRITE || READ_ONCE(page->written);
	struct rad_wire_page_revoke *body;

	*forward = (struct rad_forward){
		.page = page, .to = to, .call = in->call,
		.use = owned ? RAD_USE_WRITE : RAD_USE_READ, .writes = use == RAD_USE_WRITE,
	};
	if (le32_to_cpu(get->landing.token) >= RAD_TOKENS || rad_page_state(page) != RAD_PAGE_AWAY)
		return false;
	refcount_inc(&page->ref);
	forward->owner = rad_revoke_alloc(rad_page_mem(page), true, true);
	forward->ask = rad_revoke_alloc(rad_page_mem(page), owned, true);
	if (forward->owner)
		forward->owner_msg = rad_revoke_msg(page, forward->owner, RAD_REVOKE_DATA |
						    RAD_REVOKE_FORWARD |
						    (owned ? 0 : RAD_REVOKE_KEEP), GFP_KERNEL);
	if (forward->ask)
		forward->ask_msg = rad_revoke_msg(page, forward->ask, RAD_REVOKE_CANCEL |
						  (owned ? RAD_REVOKE_DATA : 0), GFP_KERNEL);
	/*
	 * The reserve is for those who send at once: we are going to wait for mmap_lock, whose
	 * holder may be the notifier, which has nothing else.
	 */
	if (!forward->owner_msg || !forward->ask_msg || forward->owner->reserved ||
	    forward->ask->reserved) {
		rad_forward_destroy(forward);
		return false;
	}
	body = forward->owner_msg->body;
	body->next = cpu_to_le32(rad_node_id(to));
	body->incarnation = cpu_to_le64(rad_node_incarnation_of(to));
	body->forward = get->landing;
	body = forward->ask_msg->body;
	body->call = cpu_to_le64(in->call);
	return true;
}

/* rad_forward_destroy() - after rad_forward_create() */
void rad_forward_destroy(struct rad_forward *forward)
{
	struct rad_homemem *mem = rad_page_mem(forward->page);

	rad_msg_free(forward->owner_msg);
	rad_msg_free(forward->ask_msg);
	rad_revoke_free(mem, forward->owner);
	rad_revoke_free(mem, forward->ask);
	rad_page_put(forward->page);
}

/* Both belong to the link from here on. */
static void send(struct rad_node *node, struct rad_revoke **revoke, struct rad_out **msg)
{
	struct rad_revoke *sent = *revoke;
	struct rad_out *out = *msg;

	*revoke = NULL;
	*msg = NULL;
	rad_revoke_send(node, sent, out);
}

/**
 * rad_forward_begin() - ask the owner to send the page on
 * @forward: created
 * @prot: enum rad_page_access that the page may be mapped with
 *
 * Context: mmap_lock is held for reading, since @prot was found; does not sleep.
 * Return: false: the page cannot be sent on any more.
 */
bool rad_forward_begin(struct rad_forward *forward, u32 prot)
{
	struct rad_wire_page_revoke *body = forward->owner_msg->body;
	bool owned = forward->use == RAD_USE_WRITE;
	struct rad_page *page = forward->page;
	struct rad_homemem *mem = rad_page_mem(page);
	struct rad_node *owner;

	body->prot = cpu_to_le32(owned ? prot : prot & ~RAD_ACCESS_WRITE);
	spin_lock(&mem->pages.xa_lock);
	/* If somebody at home waits for it, too, it comes home. */
	if (page->state != RAD_PAGE_AWAY || page->node == forward->to || page->wanted ||
	    rad_node_is_dead(forward->to) || mem->invalidating || mem->dead ||
	    (!owned && !page->read_only)) {
		spin_unlock(&mem->pages.xa_lock);
		return false;
	}
	owner = rad_node_get(page->node);
	rad_page_set_state(page, owned ? RAD_PAGE_RECALLING : RAD_PAGE_SHARING);
	page->granting += !owned;
	page->forward = forward;
	page->asked = forward->owner;
	refcount_inc(&page->ref);
	forward->owner->page = page;
	forward->owner->done = owned ? owned_done : shared_done;
	spin_unlock(&mem->pages.xa_lock);
	atomic64_inc(&page->process->stats.recalls);
	send(owner, &forward->owner, &forward->owner_msg);
	rad_node_put(owner);
	return true;
}

/* Asks the node that was to get the page, unless it is over by now. */
static void ask(struct rad_forward *forward)
{
	struct rad_page *page = forward->page;
	struct rad_homemem *mem = rad_page_mem(page);

	spin_lock(&mem->pages.xa_lock);
	if (forward->over) {
		spin_unlock(&mem->pages.xa_lock);
		return;
	}
	forward->asking = true;
	refcount_inc(&page->ref);
	forward->ask->page = page;
	forward->ask->done = reader_done;
	if (forward->use == RAD_USE_WRITE) {
		forward->ask->done = asked_done;
		page->asked = forward->ask;
	}
	spin_unlock(&mem->pages.xa_lock);
	send(forward->to, &forward->ask, &forward->ask_msg);
}

/* Is there nothing to wait for but what only the node knows? */
static bool is_settled(struct rad_forward *forward)
{
	return READ_ONCE(forward->over) || READ_ONCE(forward->unsure) ||
	       rad_node_is_dead(forward->to);
}

/**
 * rad_forward_end() - wait until it is known what has become of the page
 * @forward: begun
 *
 * Context: a worker; sleeps until a node answers or has died.
 * Return: whether the request has been answered, or is not waited for any more.
 */
bool rad_forward_end(struct rad_forward *forward)
{
	struct rad_homemem *mem = rad_page_mem(forward->page);
	bool answered;

	/* The page is with its owner until he says otherwise. */
	wait_event(mem->wait, READ_ONCE(forward->over) || READ_ONCE(forward->unsure) ||
		   READ_ONCE(forward->passed));
	/* What was received arrives; what was only sent may not. */
	if (forward->use == RAD_USE_WRITE)
		wait_event(mem->wait, is_settled(forward));
	else
		wait_event_timeout(mem->wait, is_settled(forward), ARRIVAL_JIFFIES);
	ask(forward);
	wait_event(mem->wait, READ_ONCE(forward->over));
	/* Whoever said so is through with it. */
	spin_lock(&mem->pages.xa_lock);
	answered = forward->arrived || forward->asking;
	spin_unlock(&mem->pages.xa_lock);
	return answered;
}

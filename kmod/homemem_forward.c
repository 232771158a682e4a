// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: a page goes straight from its owner to the node that asks for it, and home
 * waits until it has arrived there: a revocation that home sends could overtake the
 * page, which travels over a link of its own.
 *
 *	home    to owner	PAGE_REVOKE, with FORWARD
 *	owner   to node		PAGE_FORWARD, the page
 *	node    to home		PAGE_ARRIVED: that is the answer
 *
 * The owner keeps what he has sent until the link says that the node has received it. If
 * he does not hear so he says that to home (PAGE_BACK with SENT), and so he does if he could not
 * send it (without a flag). Then, or when one of them
 * has died, home asks the node, which does not wait for it any more (CANCEL), and, if it says
 * that it does not have it, the owner for what he keeps (SENT).
 *
 * What is to be read only the owner sends to home, too, and answers at once (KEEP).
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/slab.h>
#include "homemem_internal.h"
#include "wire_check.h"

enum { ARRIVAL_JIFFIES = HZ };	/* a copy that was sent has this long until the node is asked */

/*
 * Nobody waits for the owner's answer any more. Who has had it is through with the
 * directory's lock, which is held, before it is freed; so it is there.
 */
static void forget_owner(struct rad_forward *forward)
{
	struct rad_revoke *revoke = forward->revoke;
	struct rad_page *page = forward->page;

	forward->revoke = NULL;
	if (!revoke || !rad_call_cancel(&revoke->call))
		return;
	rad_revoke_cancelled(revoke);
	/* Not the last ones: who made @forward has the page. */
	rad_process_put(page->process);
	rad_page_put(page);
	kfree(revoke);
}

/* The directory's lock is held; from here on only who made @forward uses it. */
static void over(struct rad_forward *forward, bool arrived)
{
	struct rad_page *page = forward->page;

	if (forward->use == RAD_USE_WRITE)
		forget_owner(forward);
	page->forward = NULL;
	forward->arrived = arrived;
	forward->over = true;
	if (forward->use == RAD_USE_READ) {
		page->granting--;
		/* The last of the others may have died meanwhile. */
		rad_page_forget_copy(page, 0);
	}
	wake_up_all(&forward->wait);
	/* Who else wants the page, or to revoke it. */
	wake_up_all(rad_page_wait(page));
}

static void unsure(struct rad_forward *forward)
{
	forward->unsure = true;
	wake_up_all(&forward->wait);
}

/* ------------------------------------------------------------- answers */

/* The owner has sent it, in vain perhaps; or he has died. */
static void owned_done(struct rad_revoke *revoke, u32 flags, bool answered)
{
	struct rad_page *page = revoke->page;
	struct rad_forward *forward = page->forward;

	/* It has arrived, or the directory has died. */
	if (!forward || forward->revoke != revoke)
		return;
	forward->revoke = NULL;
	if (flags & RAD_BACK_NONE && answered) {
		revoke->doomed = rad_node_id(page->node);
		rad_page_set_state(page, RAD_PAGE_LOST);
		over(forward, false);
		return;
	}
	/* What was sent may be on its way yet, whatever has become of the queue that it was in. */
	forward->unsent = answered && !(flags & RAD_BACK_SENT);
	unsure(forward);
}

/* The owner reads on, and home does. */
static void shared_done(struct rad_revoke *revoke, u32 flags, bool answered)
{
	struct rad_page *page = revoke->page;
	struct rad_forward *forward = page->forward;

	if (page->asked != revoke)
		return;
	if (flags & RAD_BACK_NONE) {
		/* As in owner_done(). */
		revoke->doomed = rad_node_id(page->node);
		rad_page_set_state(page, RAD_PAGE_LOST);
	} else {
		if (flags & RAD_BACK_DATA)
			rad_revoke_land(revoke);
		page->copies |= rad_node_bit(page->node);
		rad_page_returned(page);
	}
	if (!forward || forward->asking)
		return;
	if (!answered)
		unsure(forward);
	else if (!(flags & RAD_BACK_SENT))
		over(forward, false);
	else
		forward->sent = true;
	wake_up_all(&forward->wait);
}

/* What the node says that was to get ownership, or the owner then, from whom it comes home. */
static void asked_done(struct rad_revoke *revoke, u32 flags, bool answered)
{
	struct rad_page *page = revoke->page;
	struct rad_forward *forward = page->forward;

	if (page->asked != revoke)
		return;
	if (flags & RAD_BACK_DATA) {
		rad_revoke_land(revoke);
		rad_page_returned(page);
		over(forward, false);
	} else if (!forward->missing && answered && flags & RAD_BACK_CLEAN) {
		/* What has arrived differs from home's frame, and is never clean. */
		forward->missing = true;
		wake_up_all(&forward->wait);
	} else {
		/*
		 * A node that has died, or whose replica was killed, may have had it, and written
		 * to it: what the owner keeps is old.
		 */
		revoke->doomed = rad_node_id(forward->missing ? page->node : forward->to);
		rad_page_set_state(page, RAD_PAGE_LOST);
		over(forward, false);
	}
}

/* What the node says that was to become a reader: it is none. */
static void reader_done(struct rad_revoke *revoke, u32 flags, bool answered)
{
	struct rad_forward *forward = revoke->page->forward;

	if (forward)
		over(forward, false);
}

/* Returns the former owner, to be put without the directory's lock, which is held; or NULL. */
static struct rad_node *arrive(struct rad_forward *forward)
{
	struct rad_page *page = forward->page;
	struct rad_node *former = NULL;

	if (forward->use == RAD_USE_READ) {
		/* Its death may have been written down before: it was early. */
		if (!rad_node_is_dead(forward->to))
			page->copies |= rad_node_bit(forward->to);
	} else {
		former = page->node;
		page->node = rad_node_get(forward->to);
		page->written = forward->writes;
		rad_page_set_state(page, RAD_PAGE_AWAY);
	}
	over(forward, true);
	return former;
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
		/* The call to the owner cannot be cancelled yet: rad_forward_begin() goes on. */
		if (forward->begun)
			former = arrive(forward);
		else
			forward->early = true;
	}
	spin_unlock(&process->mem.pages.xa_lock);
	if (former)
		rad_node_put(former);
	rad_process_put(process);
}

/*
 * rad_forward_drop() - the directory has died; its lock is held. Returns false if the owner is
 * being asked just now.
 */
bool rad_forward_drop(struct rad_page *page)
{
	if (page->forward && !page->forward->begun)
		return false;
	if (page->forward)
		over(page->forward, false);
	return true;
}

/* rad_forward_node_dead() - a node has died: who waits for it looks again */
void rad_forward_node_dead(struct rad_page *page, struct rad_node *node)
{
	if (page->forward && page->forward->to == node)
		wake_up_all(&page->forward->wait);
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
 * What is needed if all goes well is allocated here: later others wait for us, perhaps with
 * locks that memory reclaim needs.
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
	init_waitqueue_head(&forward->wait);
	if (le32_to_cpu(get->landing.token) >= RAD_TOKENS || rad_page_state(page) != RAD_PAGE_AWAY)
		return false;
	refcount_inc(&page->ref);
	forward->revoke = rad_revoke_alloc(rad_page_mem(page), !owned, true);
	if (forward->revoke)
		forward->msg = rad_revoke_msg(page, forward->revoke, RAD_REVOKE_DATA |
					      RAD_REVOKE_FORWARD | (owned ? 0 : RAD_REVOKE_KEEP),
					      GFP_KERNEL);
	/*
	 * The reserve is for those who send at once: we are going to wait for mmap_lock, whose
	 * holder may be the notifier, which has nothing else.
	 */
	if (!forward->msg || forward->revoke->reserved) {
		rad_revoke_free(rad_page_mem(page), forward->revoke);
		forward->revoke = NULL;
		rad_forward_destroy(forward);
		return false;
	}
	body = forward->msg->body;
	body->next = cpu_to_le32(rad_node_id(to));
	body->incarnation = cpu_to_le64(rad_node_incarnation_of(to));
	body->forward = get->landing;
	return true;
}

/* rad_forward_destroy() - after rad_forward_create() */
void rad_forward_destroy(struct rad_forward *forward)
{
	/* Not sent. */
	if (forward->msg)
		rad_revoke_free(rad_page_mem(forward->page), forward->revoke);
	rad_msg_free(forward->msg);
	rad_page_put(forward->page);
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
	struct rad_wire_page_revoke *body = forward->msg->body;
	struct rad_revoke *revoke = forward->revoke;
	bool owned = forward->use == RAD_USE_WRITE;
	struct rad_page *page = forward->page;
	struct rad_homemem *mem = rad_page_mem(page);
	struct rad_out *msg = forward->msg;
	struct rad_node *owner, *former = NULL;

	body->prot = cpu_to_le32(owned ? prot : prot & ~RAD_ACCESS_WRITE);
	spin_lock(&mem->pages.xa_lock);
	/* If somebody at home waits for it, too, it comes home. */
	if (page->state != RAD_PAGE_AWAY || page->node == forward->to || page->wanted ||
	    rad_node_is_dead(forward->to) || rad_homemem_changes(mem, page->address) || mem->dead ||
	    (!owned && !page->read_only)) {
		spin_unlock(&mem->pages.xa_lock);
		return false;
	}
	owner = rad_node_get(page->node);
	rad_page_set_state(page, owned ? RAD_PAGE_RECALLING : RAD_PAGE_SHARING);
	page->granting += !owned;
	page->forward = forward;
	page->asked = revoke;
	refcount_inc(&page->ref);
	revoke->page = page;
	revoke->done = owned ? owned_done : shared_done;
	/* Both belong to the link from here on. */
	forward->msg = NULL;
	spin_unlock(&mem->pages.xa_lock);
	atomic64_inc(&page->process->stats.recalls);
	rad_revoke_send(owner, revoke, msg);
	rad_node_put(owner);
	/* What was not sent could not be cancelled. */
	spin_lock(&mem->pages.xa_lock);
	forward->begun = true;
	if (forward->early && !forward->over)
		former = arrive(forward);
	spin_unlock(&mem->pages.xa_lock);
	if (former)
		rad_node_put(former);
	return true;
}

/*
 * Asks the node for the page (CANCEL), or the owner (SENT), unless it is over by now. Others
 * wait for us meanwhile, perhaps with locks that memory reclaim needs: as the notifier does we
 * take what there is, or from the reserve, send at once, and one comes back with each answer.
 */
static void ask(struct rad_forward *forward, u32 how)
{
	bool owned = forward->use == RAD_USE_WRITE;
	struct rad_page *page = forward->page;
	struct rad_homemem *mem = rad_page_mem(page);
	struct rad_wire_page_revoke *body;
	struct rad_revoke *revoke = NULL;
	struct rad_out *msg = NULL;
	struct rad_node *whom;

	while (!READ_ONCE(forward->over) && !(revoke && msg)) {
		revoke = revoke ?: rad_revoke_alloc(mem, owned, false);
		if (revoke)
			msg = rad_revoke_msg(page, revoke, how | (owned ? RAD_REVOKE_DATA : 0),
					     GFP_ATOMIC | __GFP_NOWARN);
		if (!msg)
			wait_event_timeout(forward->wait, READ_ONCE(forward->over),
					   RAD_RESERVE_RETRY_JIFFIES);
	}
	spin_lock(&mem->pages.xa_lock);
	if (forward->over) {
		spin_unlock(&mem->pages.xa_lock);
		rad_msg_free(msg);
		rad_revoke_free(mem, revoke);
		return;
	}
	forward->asking = true;
	/* He is the owner until it has arrived. */
	whom = rad_node_get(how == RAD_REVOKE_SENT ? page->node : forward->to);
	refcount_inc(&page->ref);
	revoke->page = page;
	revoke->done = reader_done;
	if (owned) {
		revoke->done = asked_done;
		page->asked = revoke;
	}
	spin_unlock(&mem->pages.xa_lock);
	body = msg->body;
	body->call = cpu_to_le64(forward->call);
	rad_revoke_send(whom, revoke, msg);
	rad_node_put(whom);
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

	/*
	 * What was received arrives; what was only sent may not. Who is to have it may never say that
	 * it has come, to its owner or to us: it is asked then, and has to answer that.
	 */
	wait_event_timeout(forward->wait, is_settled(forward) || READ_ONCE(forward->sent),
			   msecs_to_jiffies(rad_node_answer_ms()));
	if (!is_settled(forward))
		wait_event_timeout(forward->wait, is_settled(forward), ARRIVAL_JIFFIES);
	ask(forward, RAD_REVOKE_CANCEL | (READ_ONCE(forward->unsent) ? RAD_REVOKE_UNSENT : 0));
	wait_event(forward->wait, READ_ONCE(forward->over) || READ_ONCE(forward->missing));
	ask(forward, RAD_REVOKE_SENT);
	wait_event(forward->wait, READ_ONCE(forward->over));
	/* Whoever said so is through with it. If the directory has died nobody was asked what became of it. */
	spin_lock(&mem->pages.xa_lock);
	answered = forward->arrived || forward->asking || mem->dead;
	spin_unlock(&mem->pages.xa_lock);
	return answered;
}

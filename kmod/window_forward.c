// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: a page goes straight from its owner to the node that asked home for it; both
 * ends of that. What home does meanwhile is in homemem_forward.c.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/sched.h>
#include <linux/slab.h>
#include "node.h"
#include "replica.h"
#include "window_internal.h"

/* ------------------------------------------------------ who has it */

/**
 * struct passing - a page on its way to another node
 * @content: the page, with references to it and to its replica; SENT with ownership
 * @home: who asked for that, with a reference
 * @next: that node, with a reference
 * @call: to answer
 * @back: the answer, should the page not get there; NULL: to be read only, home has had it
 */
struct passing {
	struct rad_wpage *content;
	struct rad_node *home;
	struct rad_node *next;
	u64 call;
	struct rad_out *back;
};

/**
 * rad_wpage_take_back() - a page that was sent on is not kept any more
 * @window: whose; the page's lock is held
 * @page: what is at its index: the page, or the one that is fetched in its place
 *
 * Return: the page, with the reference that the array had; or NULL.
 */
struct rad_wpage *rad_wpage_take_back(struct rad_window *window, struct rad_wpage *page)
{
	struct rad_wpage *kept = page->kept;

	if (page->state != PAGE_SENT) {
		page->kept = NULL;
		return kept;
	}
	xa_erase(&window->pages, page->index);
	return page;
}

/* Only here the page exists until somebody has received it, unless others read it. */
static void passed(void *arg, bool delivered)
{
	struct passing *passing = arg;
	struct rad_wpage *content = passing->content, *page, *kept = NULL;
	struct rad_replica *replica = content->replica;
	struct rad_window *window = &replica->window;
	struct mutex *lock = rad_window_lock(window, content->index);

	if (!delivered && !rad_node_is_dead(passing->next))
		rad_node_forward_failed(passing->home, passing->next);
	if (!passing->back) {
		/* Whether it has arrived home hears from @next; if not, in time, it asks. */
	} else if (delivered) {
		/* Home may have asked for it again, and something else be kept by now. */
		mutex_lock(lock);
		page = xa_load(&window->pages, content->index);
		if (page && (page == content || page->kept == content))
			kept = rad_wpage_take_back(window, page);
		mutex_unlock(lock);
		rad_msg_free(passing->back);
	} else {
		rad_answer_to(passing->home, passing->call, passing->back);
	}
	rad_wpage_put(kept);
	rad_wpage_put(content);
	rad_replica_put(replica);
	rad_node_put(passing->home);
	rad_node_put(passing->next);
	kfree(passing);
}

/* @msg: NULL, or the answer to @call if it is not delivered. */
static struct passing *pass(struct rad_wpage *content, struct rad_node *home,
			    struct rad_node *next, u64 call, struct rad_out *msg)
{
	struct rad_wire_page_back *back = msg ? msg->body : NULL;
	struct passing *passing;

	/* Without reclaim: see link_rx.c, dispatch(). */
	while (!(passing = kmalloc(sizeof(*passing), GFP_KERNEL | __GFP_NOWARN)))
		schedule_timeout_uninterruptible(1);
	refcount_inc(&content->ref);
	rad_replica_get(content->replica);
	*passing = (struct passing){
		.content = content,
		.home = rad_node_get(home),
		.next = rad_node_get(next),
		.call = call,
		.back = msg,
	};
	if (back)
		back->flags = cpu_to_le32(RAD_BACK_SENT);
	return passing;
}

/**
 * rad_wpage_forward() - send a page on
 * @content: the page, SENT, or to be read only; the caller has a reference
 * @home: who asked for that
 * @call: of home; to be answered, unless KEEP is asked for, if the page may not have got there
 * @body: the PAGE_REVOKE, with FORWARD
 * @back: that answer: kept if the page has been sent, unless KEEP is asked for
 *
 * Context: process; must not wait for a message.
 * Return: whether it has been sent.
 */
bool rad_wpage_forward(struct rad_wpage *content, struct rad_node *home, u64 call,
		       const struct rad_wire_page_revoke *body, struct rad_out *back)
{
	struct rad_node *next = rad_node_get_up(le32_to_cpu(body->next));
	struct rad_wire_page_grant *grant;
	struct rad_out *msg;
	bool keep;

	if (next && (rad_node_incarnation_of(next) != le64_to_cpu(body->incarnation) ||
		     !rad_node_may_forward(home, next))) {
		rad_node_put(next);
		next = NULL;
	}
	if (!next)
		return false;
	msg = rad_msg_alloc(RAD_MSG_PAGE_FORWARD, sizeof(*grant), GFP_KERNEL | __GFP_NOFAIL);
	grant = msg->body;
	grant->flags = cpu_to_le32(RAD_GRANT_DATA);
	grant->prot = body->prot;
	rad_msg_set_page(msg, content->landing.page, &body->forward);
	keep = le32_to_cpu(body->flags) & RAD_REVOKE_KEEP;
	rad_msg_on_sent(msg, passed, pass(content, home, next, call, keep ? NULL : back));
	rad_answer_to(next, le32_to_cpu(body->forward.token), msg);
	rad_node_put(next);
	return true;
}

/* ------------------------------------------------------ who gets it */

/**
 * rad_wpage_may_tell_later() - may home hear a little later that a page has come?
 * @window: whose
 * @page: it has come from its owner; its lock is held
 *
 * Until then home lets nobody else have it. A page that is here to be read is asked for
 * again by whoever writes to it, here or elsewhere; one that did not stay the last time
 * others want, too. Nobody is known to want any other.
 */
bool rad_wpage_may_tell_later(const struct rad_window *window, const struct rad_wpage *page)
{
	return page->dirty && window->contended[page->index % RAD_WINDOW_LOCKS] != page->index;
}

/**
 * rad_wpage_arrived() - tell home that a page has come from its owner
 * @home: whom
 * @process: home's number of the process
 * @index: page number
 * @call: of the request that it answers
 * @later: see rad_wpage_may_tell_later()
 *
 * Before that home waits: a revocation could overtake the page.
 *
 * Context: process; must not wait for a message.
 */
void rad_wpage_arrived(struct rad_node *home, u64 process, unsigned long index, u64 call,
		       bool later)
{
	struct rad_out *msg = rad_msg_alloc(RAD_MSG_PAGE_ARRIVED,
					    sizeof(struct rad_wire_page_arrived),
					    GFP_KERNEL | __GFP_NOFAIL);
	struct rad_wire_page_arrived *body = msg->body;

	body->process = cpu_to_le64(process);
	body->address = cpu_to_le64(index << PAGE_SHIFT);
	body->call = cpu_to_le64(call);
	if (later)
		rad_msg_send_later(home, msg);
	else
		rad_msg_send(home, msg);
}

/**
 * rad_wpage_cancel() - home wants a page back that was to come from its owner
 * @window: whose
 * @page: the page, its lock is held; it is dropped meanwhile if need be
 * @body: what home says
 *
 * If it has not come it is not waited for any more.
 *
 * Context: home's receive context.
 * Return: true: that request never gets it. Else @page becomes what is there, to be revoked like
 * any other; or NULL.
 */
bool rad_wpage_cancel(struct rad_window *window, struct rad_wpage **page,
		      const struct rad_wire_page_revoke *body)
{
	struct rad_wpage *asked = *page;
	unsigned long index = asked->index;
	struct mutex *lock = rad_window_lock(window, index);

	if (asked->state != PAGE_FETCHING || asked->call.id != le64_to_cpu(body->call))
		return false;
	if (rad_call_cancel(&asked->call)) {
		struct rad_replica *replica = asked->replica;

		asked->exposed = !(le32_to_cpu(body->flags) & RAD_REVOKE_UNSENT);
		rad_wpage_refuse(window, asked, RADIUM_R_NONE);
		rad_wpage_put(asked);	/* the request's */
		wake_up_all(rad_window_wait(window, index));
		rad_replica_put(replica);
		return true;
	}
	/* It has come, and its session's thread waits for our lock, for nothing else. */
	refcount_inc(&asked->ref);
	mutex_unlock(lock);
	wait_event(*rad_window_wait(window, index), READ_ONCE(asked->state) != PAGE_FETCHING);
	mutex_lock(lock);
	rad_wpage_put(asked);
	*page = xa_load(&window->pages, index);
	return false;
}

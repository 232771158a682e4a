// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: calls, that is, requests that are answered.
 *
 * A call is named by a number that the session never uses twice, so that an
 * answer which comes too late finds nothing. Whoever removes it from the table,
 * under node->lock, is the one who ends it: the answer, the end of the session,
 * or the waiter who gives up.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/sched/signal.h>
#include "link_internal.h"
#include "wire_check.h"

static struct hlist_head *call_bucket(struct rad_node *node, u64 id)
{
	return &node->calls[id % RAD_CALL_BUCKETS];
}

/* The call whose id ends in these bits: there is one at most. */
static struct rad_call *call_find_low(struct rad_node *node, u32 low)
{
	struct rad_call *call;

	hlist_for_each_entry(call, call_bucket(node, low), entry)
		if (rad_wire_fold_call(call->id) == low)
			return call;
	return NULL;
}

/**
 * rad_call_add - make a call findable
 * @node: session
 * @call: gets its number
 *
 * Context: node->lock is held.
 */
void rad_call_add(struct rad_node *node, struct rad_call *call)
{
	do {
		call->id = ++node->next_call;
	} while (call_find_low(node, rad_wire_fold_call(call->id)));
	call->pending = true;
	call->since = node->beat.lived;
	hlist_add_head(&call->entry, call_bucket(node, call->id));
	if (call->landing)
		rad_landing_expect(call->landing, call);
}

static struct rad_call *call_find(struct rad_node *node, u64 id)
{
	struct rad_call *call;

	hlist_for_each_entry(call, call_bucket(node, id), entry)
		if (call->id == id)
			return call;
	return NULL;
}

/**
 * rad_call_expand - the whole id of a call
 * @node: session
 * @low: low bits of it, from rad_wire_fold_call()
 *
 * Context: node->lock is held.
 * Return: the id; if no call is pending that it could be, a number of none.
 */
u64 rad_call_expand(struct rad_node *node, u32 low)
{
	struct rad_call *call = call_find_low(node, low);

	return call ? call->id : low | 1u << RAD_FOLD_CALL_BITS;
}

static void call_remove(struct rad_call *call)
{
	hlist_del_init(&call->entry);
	call->pending = false;
	if (call->landing)
		rad_landing_expect(call->landing, NULL);
}

/* The one end of a call that was not given up: it belongs to its maker again. */
static void call_complete(struct rad_call *call, int status)
{
	struct rad_node *node = call->to;

	call->status = status;
	if (!call->notify) {
		complete(&call->done);	/* rad_call_wait() drops the reference */
		return;
	}
	call->notify(call);
	rad_node_put(node);
}

static void call_take_answer(struct rad_call *call, const struct rad_in *in)
{
	call->answer = in->body;
	call->answered_by = in->type;
	call->len = in->len;
	if (call->buf)
		memcpy(call->buf, in->body, min(call->size, in->len));
	call_complete(call, 0);
}

/**
 * rad_call_answer - an answer has come
 * @node: session
 * @in: the answer; to a call that was given up it is dropped
 *
 * Context: the polling thread.
 */
void rad_call_answer(struct rad_node *node, const struct rad_in *in)
{
	struct rad_stream *stream;
	struct rad_call *call;
	bool wrong = false;
	LIST_HEAD(acked);

	spin_lock_bh(&node->lock);
	call = call_find(node, in->call);
	if (call) {
		wrong = call->answer_type != in->type;
		if (!wrong)
			call_remove(call);
		/*
		 * Who answers it has received it, and what was sent before. An answer with a page does
		 * not say so, and until something does the pages that were sent are held, so that they
		 * cannot be taken out for another node.
		 */
		stream = &node->streams[call->class];
		if (!wrong && call->seq > stream->acked && call->seq <= stream->posted)
			rad_stream_acked(stream, call->seq, &acked);
		if (!list_empty(&acked) && node->conn)
			rad_link_reap(node, node->conn);
	}
	spin_unlock_bh(&node->lock);
	rad_link_finish(node, &acked, true);
	if (wrong)
		rad_node_protocol_error(node, "answers with the wrong type");
	if (!call || wrong)
		return;
	call_take_answer(call, in);
}

/**
 * rad_call_forwarded - PAGE_FORWARD: a call has been answered by another node
 * @in: the answer; to a call that was given up it is dropped
 *
 * Context: the polling thread of the node that answers, not of the one that was asked.
 */
void rad_call_forwarded(const struct rad_in *in)
{
	const struct rad_wire_page_grant *grant = in->body;
	struct rad_node *asked, *now = NULL;
	struct rad_call *call;

	if (grant->reason || !(le32_to_cpu(grant->flags) & RAD_GRANT_DATA)) {
		rad_node_protocol_error(in->from, "PAGE_FORWARD: without a page");
		return;
	}
	if (!rad_landing_expected(in->call, &asked))
		return;
	/* What is expected is pending, and stays so while the lock of its session is held. */
	spin_lock_bh(&asked->lock);
	call = rad_landing_expected(in->call, &now);
	if (call && now == asked)
		call_remove(call);
	else
		call = NULL;
	spin_unlock_bh(&asked->lock);
	if (call)
		call_take_answer(call, in);
	if (now)
		rad_node_put(now);
	rad_node_put(asked);
}

/**
 * rad_call_overdue - is there a call that should have been answered?
 * @node: session
 * @lived: ms in which the peer was there (beat.lived) after which one at_once should have been;
 *	RAD_ANSWER_LATEST times that if it goes on receiving what came before
 *
 * Context: node->lock is held.
 */
bool rad_call_overdue(struct rad_node *node, u64 lived)
{
	struct rad_call *call;
	u64 since;
	u32 i;

	lockdep_assert_held(&node->lock);
	for (i = 0; i < RAD_CALL_BUCKETS; i++)
		hlist_for_each_entry(call, &node->calls[i], entry) {
			since = call->since;
			if (call->seq > node->streams[call->class].acked)
				since = max(since, node->beat.acked_at);
			if (call->at_once &&
			    (node->beat.lived - since >= lived ||
			     node->beat.lived - call->since >= RAD_ANSWER_LATEST * lived))
				return true;
		}
	return false;
}

/**
 * rad_call_fail_all - the session has ended, its queue pair is gone
 * @node: the session, not alive: no call can be added
 *
 * Context: process.
 */
void rad_call_fail_all(struct rad_node *node)
{
	struct hlist_node *next;
	struct rad_call *call;
	HLIST_HEAD(failed);
	u32 i;

	spin_lock_bh(&node->lock);
	for (i = 0; i < RAD_CALL_BUCKETS; i++)
		hlist_for_each_entry_safe(call, next, &node->calls[i], entry) {
			call_remove(call);
			hlist_add_head(&call->entry, &failed);
		}
	spin_unlock_bh(&node->lock);
	hlist_for_each_entry_safe(call, next, &failed, entry)
		call_complete(call, -EHOSTDOWN);
}

/**
 * rad_call_send - send a request that is to be answered
 * @to: session
 * @call: belongs to the link until notify has been called or rad_call_wait()
 *	has returned
 * @out: the request, of a type that has an answer; consumed whatever is returned
 *
 * Context: as rad_msg_send(). The answer may have come before this returns.
 * Return: 0; or, and then @call is not in use and notify is not called,
 * -EHOSTDOWN, -ENOBUFS as rad_msg_send().
 */
int rad_call_send(struct rad_node *to, struct rad_call *call, struct rad_out *out)
{
	struct rad_msg *msg = rad_msg_of(out);
	int err;

	if (WARN_ON_ONCE(!rad_wire_answer_of(msg->type))) {
		rad_link_refuse(msg);
		return -EINVAL;
	}
	call->to = rad_node_get(to);
	call->status = -EINPROGRESS;
	call->answer = NULL;
	call->len = 0;
	call->answer_type = rad_wire_answer_of(msg->type);
	init_completion(&call->done);
	err = rad_link_send(to, msg, call);
	if (err)
		rad_node_put(to);
	return err;
}

static bool call_give_up(struct rad_call *call)
{
	struct rad_node *node = call->to;
	bool pending;

	spin_lock_bh(&node->lock);
	pending = call->pending;
	if (pending)
		call_remove(call);
	spin_unlock_bh(&node->lock);
	return pending;
}

/**
 * rad_call_cancel - give a call up that has a notify function
 * @call: has not ended, or is kept by the caller until it has
 *
 * An answer that comes later is dropped.
 *
 * Context: any.
 * Return: true: notify is not called; false: its end is under way, notify has been or
 * will be called.
 */
bool rad_call_cancel(struct rad_call *call)
{
	struct rad_node *node = call->to;
	bool pending = call_give_up(call);

	if (pending)
		rad_node_put(node);
	return pending;
}

/**
 * rad_call_wait - wait for the answer to a call without notify function
 * @call: after this has returned the link knows nothing of it any more
 * @timeout: jiffies, at most MAX_SCHEDULE_TIMEOUT
 *
 * An answer that comes after the call was given up is dropped.
 *
 * Context: process, sleeps, killable.
 * Return: 0; -EHOSTDOWN: the session has ended, the peer can no longer write to a
 * landing place; -ETIMEDOUT or -EINTR (fatal signal): given up.
 */
int rad_call_wait(struct rad_call *call, unsigned long timeout)
{
	int err = 0;
	long left;

	left = wait_for_completion_killable_timeout(&call->done, timeout);
	if (left <= 0) {
		if (call_give_up(call))
			err = left ? -EINTR : -ETIMEDOUT;
		else	/* it is between call_remove() and complete() */
			wait_for_completion(&call->done);
	}
	rad_node_put(call->to);
	return err ?: call->status;
}

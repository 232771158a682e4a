// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: messages on their way out: streams, acknowledgements.
 *
 * What a stream has credit for is posted by link_post.c.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/bitmap.h>
#include <linux/mm.h>
#include "link_internal.h"

enum { LATER_MAX_NS = 2 * 1000 * 1000 };	/* for a message that may wait */

/* ---- acknowledgements ---- */

static u64 untold(const struct rad_stream *stream)
{
	return max(stream->received - stream->told_received,
		   stream->released - stream->told_released);
}

/**
 * rad_link_send_ack - send an ACK
 * @node: session
 *
 * Context: node->lock is held.
 * Return: false if it has to be tried again later.
 */
bool rad_link_send_ack(struct rad_node *node)
{
	struct rad_conn *conn = node->conn;

	if (!conn || conn->broken)
		return true;
	if (conn->ack_msg->posted)
		rad_link_reap(node, conn);
	return !conn->broken && !conn->ack_msg->posted &&
	       rad_link_post_control(node, conn, conn->ack_msg) != -EAGAIN;
}

/**
 * rad_link_ack_soon - something has been received, or a buffer given back
 * @node: session
 *
 * Acknowledgements ride on the messages that go the other way anyhow; half a
 * window without one, or RAD_ACK_DELAY_MS, makes a message of its own.
 *
 * Context: node->lock is held.
 */
void rad_link_ack_soon(struct rad_node *node)
{
	u64 most = max(untold(&node->streams[RAD_CLASS_REQUEST]),
		       untold(&node->streams[RAD_CLASS_ANSWER]));

	lockdep_assert_held(&node->lock);
	if (most >= RAD_WINDOW / 2 && rad_link_send_ack(node))
		return;
	if (most && !timer_pending(&node->ack_timer) && node->alive)
		mod_timer(&node->ack_timer, jiffies + msecs_to_jiffies(RAD_ACK_DELAY_MS));
}

/**
 * rad_link_push_soon - what could not be posted for want of memory is to be tried again
 * @node: session
 *
 * Context: node->lock is held.
 */
void rad_link_push_soon(struct rad_node *node)
{
	lockdep_assert_held(&node->lock);
	if (node->alive)
		mod_timer(&node->ack_timer, jiffies + 1);
}

static void ack_timer(struct timer_list *timer)
{
	struct rad_node *node = from_timer(node, timer, ack_timer);

	spin_lock(&node->lock);
	if (node->alive)
		rad_link_push(node);
	if (node->alive && (untold(&node->streams[RAD_CLASS_REQUEST]) ||
			    untold(&node->streams[RAD_CLASS_ANSWER])) &&
	    !rad_link_send_ack(node))
		mod_timer(timer, jiffies + msecs_to_jiffies(RAD_ACK_DELAY_MS));
	spin_unlock(&node->lock);
}

/* The message gets its place in its stream; node->lock is held. */
static void enqueue(struct rad_node *node, struct rad_msg *msg)
{
	struct rad_stream *stream = &node->streams[rad_msg_class_of(msg->type)];

	msg->seq = ++stream->last;
	list_add_tail(&msg->entry, &stream->queue);
	stream->queued++;
	if (!stream->next)
		stream->next = msg;
}

/* What may wait waits no longer; node->lock is held. */
static void enqueue_later(struct rad_node *node)
{
	struct rad_msg *msg, *next;

	list_for_each_entry_safe(msg, next, &node->later, entry) {
		list_del(&msg->entry);
		enqueue(node, msg);
	}
}

static enum hrtimer_restart later_timer(struct hrtimer *timer)
{
	struct rad_node *node = container_of(timer, struct rad_node, later_timer);

	spin_lock(&node->lock);
	if (node->alive) {
		enqueue_later(node);
		rad_link_push(node);
	}
	spin_unlock(&node->lock);
	return HRTIMER_NORESTART;
}

/**
 * rad_link_init_streams - for a new session
 * @node: the session
 */
void rad_link_init_streams(struct rad_node *node)
{
	u32 class;

	for (class = 0; class < RAD_CLASS_COUNT; class++) {
		INIT_LIST_HEAD(&node->streams[class].queue);
		node->streams[class].limit = RAD_WINDOW;
	}
	timer_setup(&node->ack_timer, ack_timer, 0);
	INIT_LIST_HEAD(&node->later);
	hrtimer_init(&node->later_timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_SOFT);
	node->later_timer.function = later_timer;
}

/**
 * rad_stream_acked - take messages off a stream that the peer has received
 * @stream: the stream
 * @ack: last sequence number received
 * @list: where to; rad_link_finish() does the rest
 *
 * Context: node->lock is held.
 */
void rad_stream_acked(struct rad_stream *stream, u64 ack, struct list_head *list)
{
	struct rad_msg *msg, *next;

	list_for_each_entry_safe(msg, next, &stream->queue, entry) {
		if (msg->seq > ack)
			break;
		if (stream->next == msg)
			stream->next = list_is_last(&msg->entry, &stream->queue) ?
				       NULL : list_next_entry(msg, entry);
		list_move_tail(&msg->entry, list);
		stream->queued--;
	}
	stream->acked = max(stream->acked, ack);
}

/*
 * Whoever is told that a page has got there may use it for something else: not while the send queue
 * reads it, see slot_put() in link_pool.c. The callers have reaped: most often it has let go of it.
 */
static void let_go_of_pages(struct rad_node *node, struct list_head *list)
{
	struct rad_msg *msg;

	spin_lock_bh(&node->lock);
	list_for_each_entry(msg, list, entry)
		if (msg->page && !msg->posted) {
			put_page(msg->page);
			msg->page = NULL;
		}
	spin_unlock_bh(&node->lock);
}

/**
 * rad_link_finish - the streams are through with some messages
 * @node: session
 * @list: the messages
 * @delivered: for their sent functions
 *
 * Context: process, no locks held but node->polling.
 */
void rad_link_finish(struct rad_node *node, struct list_head *list, bool delivered)
{
	struct rad_msg *msg, *next;

	if (list_empty(list))
		return;
	let_go_of_pages(node, list);
	list_for_each_entry(msg, list, entry)
		if (msg->sent)
			msg->sent(msg->sent_arg, delivered && !msg->astray);
	spin_lock_bh(&node->lock);
	list_for_each_entry_safe(msg, next, list, entry) {
		msg->acked = true;
		if (!msg->posted)
			rad_msg_destroy(msg);
	}
	spin_unlock_bh(&node->lock);
}

/* ---- streams ---- */

/* A message that was not taken. */
void rad_link_refuse(struct rad_msg *msg)
{
	if (msg->sent)
		msg->sent(msg->sent_arg, false);
	rad_msg_destroy(msg);
}

/**
 * rad_link_send - queue a message, and post it if there is credit
 * @to: session
 * @msg: the message; consumed
 * @call: NULL, or the call that it begins
 *
 * Context and return: as rad_msg_send().
 */
int rad_link_send(struct rad_node *to, struct rad_msg *msg, struct rad_call *call)
{
	struct rad_stream *stream = &to->streams[rad_msg_class_of(msg->type)];
	int err = 0;

	spin_lock_bh(&to->lock);
	if (!to->alive) {
		err = -EHOSTDOWN;
	} else if (stream->queued >= RAD_QUEUE_MAX) {
		err = -ENOBUFS;
	} else {
		if (call) {
			rad_call_add(to, call);
			msg->call = call->id;
		}
		/* What waits is about other pages than the one that is asked for. */
		if (msg->type != RAD_MSG_PAGE_GET)
			enqueue_later(to);
		enqueue(to, msg);
		if (call) {
			call->class = rad_msg_class_of(msg->type);
			call->seq = msg->seq;
		}
		rad_link_push(to);
	}
	spin_unlock_bh(&to->lock);
	if (err)
		rad_link_refuse(msg);
	/* Callers rely on it that nothing is lost but with the session. */
	if (err == -ENOBUFS)
		rad_node_end(to, RADIUM_R_NO_MEMORY);
	return err;
}

/**
 * rad_msg_send - send a message
 * @to: session
 * @out: the message; consumed whatever is returned
 *
 * Context: process, may be under spin locks; interrupts on. Does not sleep.
 * Return: 0: it will arrive exactly once unless the session ends; -EHOSTDOWN: the
 * session has ended; -ENOBUFS: RAD_QUEUE_MAX messages of its class are waiting already,
 * and the session ends for that (RADIUM_R_NO_MEMORY).
 */
int rad_msg_send(struct rad_node *to, struct rad_out *out)
{
	return rad_link_send(to, rad_msg_of(out), NULL);
}

/**
 * rad_msg_send_later - send a message that nobody waits for yet, as far as we know
 * @to: session
 * @out: the message, of class ANSWER; consumed whatever is returned
 *
 * To send and to receive it would cost both sides time that they need for what is asked
 * for now. It goes with the next message that is not a PAGE_GET, or after a round trip:
 * then whoever has asked at once waits for an answer, and so does, most often, who was
 * asked.
 *
 * Context: process, may be under spin locks; interrupts on. Does not sleep.
 * Return: 0: it will arrive exactly once unless the session ends; -EHOSTDOWN: the session
 * has ended.
 */
int rad_msg_send_later(struct rad_node *to, struct rad_out *out)
{
	struct rad_msg *msg = rad_msg_of(out);
	bool alive;

	spin_lock_bh(&to->lock);
	alive = to->alive;
	if (alive) {
		u64 ns = min_t(u64, to->beat.best_rtt, LATER_MAX_NS);

		if (list_empty(&to->later))
			hrtimer_start(&to->later_timer, ns_to_ktime(ns), HRTIMER_MODE_REL_SOFT);
		list_add_tail(&msg->entry, &to->later);
	}
	spin_unlock_bh(&to->lock);
	if (!alive)
		rad_link_refuse(msg);
	return alive ? 0 : -EHOSTDOWN;
}

/**
 * rad_answer - answer a request
 * @request: what the handler was given
 * @out: the answer; consumed whatever is returned
 *
 * Context and return: as rad_msg_send().
 */
int rad_answer(const struct rad_in *request, struct rad_out *out)
{
	return rad_answer_to(request->from, request->call, out);
}

/**
 * rad_answer_to - answer a request after its handler has returned
 * @to: who asked; the caller has its own reference
 * @call: id that the request came with
 * @out: the answer; consumed whatever is returned
 *
 * Context and return: as rad_msg_send().
 */
int rad_answer_to(struct rad_node *to, u64 call, struct rad_out *out)
{
	rad_msg_of(out)->call = call;
	return rad_link_send(to, rad_msg_of(out), NULL);
}

/**
 * rad_link_drop - drop all messages that are not acknowledged
 * @node: session that has ended, and has no connection any more
 *
 * Context: process.
 */
void rad_link_drop(struct rad_node *node)
{
	LIST_HEAD(dropped);
	u32 class;

	spin_lock_bh(&node->lock);
	for (class = 0; class < RAD_CLASS_COUNT; class++) {
		node->streams[class].next = NULL;
		node->streams[class].queued = 0;
		list_splice_tail_init(&node->streams[class].queue, &dropped);
	}
	list_splice_tail_init(&node->later, &dropped);
	spin_unlock_bh(&node->lock);
	rad_link_finish(node, &dropped, false);
}

/* ---- pages for other nodes ---- */

/**
 * rad_node_forward_failed - a page did not get to the place where it was to be written
 * @home: who has asked for that
 * @next: node that the place was to be on, and whose session goes on
 *
 * Pages that @home wants to be sent there are not sent any more, so that neither of the two can
 * cost us one connection after the other: what we own goes by way of @home.
 *
 * Context: any.
 */
void rad_node_forward_failed(struct rad_node *home, struct rad_node *next)
{
	if (!test_and_set_bit(next->id - 1, home->no_forward))
		pr_warn("node %u or node %u breaks the protocol: no landing place on node %u where it said\n",
			home->id, next->id, next->id);
}

/* rad_node_may_forward - has that not happened in this session of @home? */
bool rad_node_may_forward(const struct rad_node *home, const struct rad_node *next)
{
	return !test_bit(next->id - 1, home->no_forward);
}

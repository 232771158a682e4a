// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: sessions, that is, streams of messages and calls.
 *
 * Contexts. A handler runs in one of the session's receive threads (link_rx.c):
 *	class ANSWER		in the polling thread, one after the other in the
 *				order of arrival; must not wait for a message, nor
 *				for a lock whose holder may. Notify functions of
 *				calls and sent functions run here, too.
 *	REQUEST, ORDERED	one after the other in the order of arrival, in a
 *				thread that nobody else waits for
 *	REQUEST, WORKER		each by itself: in a receive thread while two others
 *				are free, else on a work queue. It may sleep long,
 *				and holds one of the peer's RAD_WINDOW credits until
 *				it returns: RAD_WINDOW sleepers stop the requests of
 *				that peer, never the answers.
 * There is no order between the two classes.
 *
 * Sending never waits: what lacks a credit or a connection stays in its stream's
 * queue. All functions that send may be called in process context, under spin
 * locks, with interrupts on.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "link_internal.h"
#include "wire_check.h"

enum rad_msg_class rad_msg_class_of(u32 type)
{
	return rad_wire_kind(type)->class;
}

enum rad_msg_context rad_msg_context_of(u32 type)
{
	return rad_wire_kind(type)->context;
}

static const char *check_acks(struct rad_node *node, const struct rad_wire_header *h)
{
	u32 class;

	for (class = 0; class < RAD_CLASS_COUNT; class++) {
		const char *what = rad_wire_check_ack(h, class, node->streams[class].posted);

		if (what)
			return what;
	}
	return NULL;
}

static void take_acks(struct rad_node *node, const struct rad_wire_header *h,
		      struct list_head *acked)
{
	u32 class;

	for (class = 0; class < RAD_CLASS_COUNT; class++) {
		struct rad_stream *stream = &node->streams[class];
		u64 ack = le64_to_cpu(h->ack[class]);

		stream->limit = max(stream->limit, le64_to_cpu(h->credit[class]));
		if (ack > stream->acked)
			rad_stream_acked(stream, ack, acked);
	}
}

/* Returns whether the message is new; sets @what if it breaks the protocol. */
static bool take_seq(struct rad_node *node, const struct rad_wire_header *h,
		     const char **what)
{
	struct rad_stream *stream = &node->streams[h->class];
	u64 seq = le64_to_cpu(h->seq);

	if (seq <= stream->received)
		return false;		/* sent again after a loss */
	*what = rad_wire_check_seq(seq, stream->received, stream->told_released);
	if (!*what)
		stream->received = seq;
	return !*what;
}

/*
 * The first message of a connection has told what the peer has received: the rest is sent
 * again. Its AUTH does not tell exactly: it may have received more after that, over the former
 * connection. A page that is written twice would undo what was written to it meanwhile.
 */
static void resume(struct rad_node *node, struct rad_conn *conn)
{
	u32 class;

	if (!conn->resuming)
		return;
	conn->resuming = false;
	for (class = 0; class < RAD_CLASS_COUNT; class++) {
		struct rad_stream *stream = &node->streams[class];

		stream->next = list_first_entry_or_null(&stream->queue, struct rad_msg, entry);
	}
}

/* Acks and sequence number under one lock. Returns whether there is a message to handle. */
static bool take_header(struct rad_node *node, struct rad_conn *conn,
			const struct rad_wire_header *h, const struct ib_wc *wc, const char **what)
{
	LIST_HEAD(acked);
	bool fresh = false;

	spin_lock_bh(&node->lock);
	*what = check_acks(node, h);
	if (!*what) {
		take_acks(node, h, &acked);
		/* Immediate data says nothing of what the peer has received. */
		if (!(wc->wc_flags & IB_WC_WITH_IMM))
			resume(node, conn);
		if (!list_empty(&acked))
			rad_link_reap(node, conn);
		if (h->seq)
			fresh = take_seq(node, h, what);
		rad_link_push(node);
	}
	node->messages_received++;
	node->bytes_received += wc->byte_len;
	spin_unlock_bh(&node->lock);
	rad_link_finish(node, &acked, true);
	return fresh;
}

static void repost(struct rad_node *node, struct rad_conn *conn, struct rad_buf *buf)
{
	lockdep_assert_held(&node->lock);
	if (node->conn == conn && !conn->broken && rad_conn_repost(conn, buf))
		rad_link_broke(conn, RADIUM_R_UNREACHABLE);
}

/* Makes the message of a write's immediate data. Returns its length, 0 if it cannot be one. */
static u32 unfold(struct rad_node *node, struct rad_wire_header *h, const struct ib_wc *wc)
{
	u32 fold = be32_to_cpu(wc->ex.imm_data), class;
	u64 received;

	/* A message may have immediate data, too, but it has written no page. */
	if (wc->opcode != IB_WC_RECV_RDMA_WITH_IMM || wc->byte_len != PAGE_SIZE)
		return 0;
	spin_lock_bh(&node->lock);
	received = node->streams[RAD_CLASS_ANSWER].received;
	h->session = cpu_to_le64(node->session);
	h->call = cpu_to_le64(rad_wire_fold_type(fold) == RAD_FOLD_FORWARD ?
			      rad_wire_fold_call(fold) :
			      rad_call_expand(node, rad_wire_fold_call(fold)));
	for (class = 0; class < RAD_CLASS_COUNT; class++) {
		h->ack[class] = cpu_to_le64(node->streams[class].acked);
		h->credit[class] = cpu_to_le64(node->streams[class].limit);
	}
	spin_unlock_bh(&node->lock);
	return rad_wire_unfold(fold, h, received);
}

/**
 * rad_link_receive - take a completion of the receive queue
 * @node: session
 * @conn: its connection
 * @wc: the completion
 *
 * Context: the polling thread, node->polling is held.
 * Return: a message to be handled, with a reference to @conn in it, or NULL.
 */
struct rad_buf *rad_link_receive(struct rad_node *node, struct rad_conn *conn,
				 const struct ib_wc *wc)
{
	struct rad_buf *buf = container_of(wc->wr_cqe, struct rad_buf, cqe);
	struct rad_wire_header *h = buf->data;
	u32 len = wc->byte_len;
	const char *what;
	bool fresh;

	if (wc->status != IB_WC_SUCCESS) {
		rad_conn_close(conn, RADIUM_R_UNREACHABLE);
		return NULL;
	}
	ib_dma_sync_single_for_cpu(conn->dev->ibdev, buf->dma, RAD_MESSAGE_MAX,
				   DMA_FROM_DEVICE);
	if (wc->wc_flags & IB_WC_WITH_IMM)
		len = unfold(node, h, wc);
	what = rad_wire_check_header(h, len, node->session);
	/* Nobody is asked to take a region's key from it, and it may have been others' landing pages. */
	if (wc->wc_flags & IB_WC_WITH_INVALIDATE) {
		rad_pool_spoil(wc->ex.invalidate_rkey);
		what = "takes a key away";
	}
	if (what)
		goto wrong;
	WRITE_ONCE(node->beat.heard, jiffies);
	fresh = take_header(node, conn, h, wc, &what);
	if (what)
		goto wrong;
	if (fresh) {
		rad_conn_get(conn);
		return buf;
	}
	if (h->type == RAD_MSG_HEARTBEAT)
		rad_beat_receive(node, (const void *)(h + 1));
	spin_lock_bh(&node->lock);
	repost(node, conn, buf);
	spin_unlock_bh(&node->lock);
	return NULL;
wrong:
	rad_node_protocol_error(node, what);
	return NULL;
}

/**
 * rad_link_release - the handler of a message is through
 * @node: session
 * @buf: the message; gives its buffer back and the peer its credit
 *
 * Context: process.
 */
void rad_link_release(struct rad_node *node, struct rad_buf *buf)
{
	const struct rad_wire_header *h = buf->data;
	struct rad_conn *conn = buf->conn;
	u8 class = h->class;

	spin_lock_bh(&node->lock);
	node->streams[class].released++;
	repost(node, conn, buf);
	rad_link_ack_soon(node);
	spin_unlock_bh(&node->lock);
	rad_conn_put(conn);
}

/**
 * rad_link_handle - run the handler of a message
 * @node: session
 * @buf: the message
 *
 * Context: what the type's row in RAD_MESSAGES says. A message of a session
 * that has ended meanwhile is dropped.
 */
void rad_link_handle(struct rad_node *node, struct rad_buf *buf)
{
	const struct rad_wire_header *h = buf->data;
	struct rad_in in = {
		.from = node,
		.type = h->type,
		.len = le32_to_cpu(h->len),
		.call = le64_to_cpu(h->call),
		.body = h + 1,
	};

	/* The former owner of a page has got rid of it: its link has our acknowledgement. */
	if (!READ_ONCE(node->alive) && in.type != RAD_MSG_PAGE_FORWARD)
		return;
	if (rad_wire_is_answer(in.type))
		rad_call_answer(node, &in);
	else if (in.type == RAD_MSG_PAGE_FORWARD)
		rad_call_forwarded(&in);
	else if (rad_handlers[in.type])
		rad_handlers[in.type](&in);
	else
		rad_node_protocol_error(node, "sends what nobody handles");
}

/* ---- sessions ---- */

/**
 * rad_link_create - begin a session
 * @peer: with whom; the session takes a reference
 * @id: its node id
 * @session: id of the session
 * @incarnation: of the peer
 *
 * Context: process.
 * Return: the session with one reference, or NULL.
 */
struct rad_node *rad_link_create(struct rad_peer *peer, u32 id, u64 session,
				 u64 incarnation)
{
	struct rad_node *node = kzalloc(sizeof(*node), GFP_KERNEL);

	if (!node)
		return NULL;
	kref_init(&node->ref);
	node->peer = peer;
	node->id = id;
	node->session = session;
	node->incarnation = incarnation;
	node->alive = true;
	spin_lock_init(&node->lock);
	mutex_init(&node->polling);
	rad_link_init_streams(node);
	rad_beat_init(node);
	if (rad_rx_start(node)) {
		kfree(node);
		return NULL;
	}
	rad_peer_get(peer);
	return node;
}

/**
 * rad_link_free - the last reference to a session is gone
 * @ref: of the session; its threads have ended long ago
 */
void rad_link_free(struct kref *ref)
{
	struct rad_node *node = container_of(ref, struct rad_node, ref);

	rad_peer_put(node->peer);
	kfree(node);
}

/* What the peer has received at least, by its AUTH; see resume(). */
static int take_received(struct rad_node *node, const struct rad_wire_auth *auth,
			 struct list_head *acked)
{
	u32 class;

	for (class = 0; class < RAD_CLASS_COUNT; class++) {
		struct rad_stream *stream = &node->streams[class];
		u64 received = le64_to_cpu(auth->received[class]);

		if (!rad_wire_check_received(received, stream->posted))
			return -EPROTO;
		rad_stream_acked(stream, received, acked);
	}
	return 0;
}

/**
 * rad_link_attach - go on with a session over a new connection
 * @node: session, not connected: a former connection has been closed
 * @conn: authenticated connection
 * @resumed: the session is older than the connection: what the peer has not received is
 *	sent again. Otherwise the numbers in its AUTH are of a session that is no more.
 *
 * Context: process.
 * Return: 0; -ENOTCONN: @conn has been closed meanwhile; -EPROTO: the peer's
 * numbers are impossible.
 */
int rad_link_attach(struct rad_node *node, struct rad_conn *conn, bool resumed)
{
	LIST_HEAD(acked);
	int err;

	mutex_lock(&conn->mutex);
	err = -ENOTCONN;
	if (test_bit(RAD_CONN_CLOSING, &conn->flags))
		goto out;
	mutex_lock(&node->polling);
	spin_lock_bh(&node->lock);
	err = resumed ? take_received(node, &conn->theirs, &acked) : 0;
	if (!err) {
		conn->resuming = resumed;
		conn->node = rad_node_get(node);
		node->conn = conn;
		rad_link_send_ack(node);
		rad_link_push(node);
	}
	spin_unlock_bh(&node->lock);
	mutex_unlock(&node->polling);
	rad_link_finish(node, &acked, true);
out:
	mutex_unlock(&conn->mutex);
	if (!err)
		rad_rx_kick(node);
	return err;
}

/**
 * rad_link_detach - nobody uses the connection from here on
 * @node: session it is attached to
 * @conn: the connection, before its queue pair is destroyed
 *
 * Context: process; waits for a handler of class ANSWER.
 */
void rad_link_detach(struct rad_node *node, struct rad_conn *conn)
{
	mutex_lock(&node->polling);
	spin_lock_bh(&node->lock);
	if (node->conn == conn) {
		rad_link_reap(node, conn);	/* for the error that has broken it */
		node->conn = NULL;
	}
	spin_unlock_bh(&node->lock);
	mutex_unlock(&node->polling);
}

/**
 * rad_link_stop - end a session
 * @node: the session; nothing of it is left in use afterwards but handlers that
 *	are still running, and references
 *
 * 1. Not alive: no message, no call and no timer can begin.
 * 2. The connection is closed: its queue pair is destroyed, so the peer can
 *    write nowhere any more, nothing arrives, no send is under way.
 * 3. Timers are gone: none is started when not alive.
 * 4. So nobody else uses queue and calls: messages are dropped, calls fail.
 * 5. Receive threads end when their handlers return; the memory stays until then.
 *
 * Context: process, bounded by closing a connection; in the peer's work item.
 */
void rad_link_stop(struct rad_node *node)
{
	spin_lock_bh(&node->lock);
	WRITE_ONCE(node->alive, false);
	spin_unlock_bh(&node->lock);
	if (node->last_conn) {
		rad_conn_close_sync(node->last_conn, node->end_reason);
		rad_conn_put(node->last_conn);
		node->last_conn = NULL;
	}
	del_timer_sync(&node->ack_timer);
	hrtimer_cancel(&node->later_timer);
	rad_beat_stop(node);
	rad_link_drop(node);
	rad_call_fail_all(node);
	rad_rx_stop(node);
}

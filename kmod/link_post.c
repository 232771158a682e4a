// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: the send queue of a connection: work requests, and their completions.
 *
 * A message has two owners: its stream (link_send.c), until the peer has
 * acknowledged it, and the send queue, while a work request may still read it: a
 * retransmission may, even after the acknowledgement. It is freed when both are
 * through with it. Completions are not waited for: they are taken off the queue
 * when there is something else to do, at the latest with the next heartbeat.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/mm.h>
#include "link_internal.h"
#include "wire_check.h"

/* Bytes that travel. */
static size_t msg_length(const struct rad_msg *msg)
{
	return msg->page ? PAGE_SIZE : sizeof(msg->header) + msg->len;
}

static void msg_unmap(struct rad_conn *conn, struct rad_msg *msg)
{
	struct ib_device *ibdev = conn->dev->ibdev;

	if (msg->page)
		ib_dma_unmap_page(ibdev, msg->dma, PAGE_SIZE, DMA_TO_DEVICE);
	else
		ib_dma_unmap_single(ibdev, msg->dma, msg_length(msg), DMA_TO_DEVICE);
}

/*
 * The page does not go, its number in the stream has to: the message becomes the answer to a call
 * that there is not, which is dropped.
 */
static void leave_out_page(struct rad_msg *msg)
{
	put_page(msg->page);
	msg->page = NULL;
	msg->type = RAD_MSG_PAGE_GRANT;
	msg->call = RAD_CALL_NONE;
	memset(msg->out.body, 0, msg->len);
}

/* The send queue is through with the message: node->lock is held. */
static void msg_done(struct rad_conn *conn, struct rad_post *post, bool ok)
{
	struct rad_msg *msg = container_of(post, struct rad_msg, post);

	msg_unmap(conn, msg);
	msg->posted = false;
	if (msg->acked)
		rad_msg_destroy(msg);
	else if (msg->astray && msg->page)
		leave_out_page(msg);
}

/* ---- the send queue ---- */

static void fill_header(struct rad_node *node, struct rad_msg *msg)
{
	struct rad_wire_header *h = &msg->header;
	u32 class;

	h->type = msg->type;
	h->class = rad_msg_class_of(msg->type);
	h->reserved = 0;
	h->len = cpu_to_le32(msg->len);
	h->seq = cpu_to_le64(msg->seq);
	h->call = cpu_to_le64(msg->call);
	if (!node)
		return;
	h->session = cpu_to_le64(node->session);
	for (class = 0; class < RAD_CLASS_COUNT; class++) {
		h->ack[class] = cpu_to_le64(node->streams[class].received);
		h->credit[class] = cpu_to_le64(node->streams[class].released + RAD_WINDOW);
	}
}

/* The header goes as it has been filled just now. */
static void note_told(struct rad_node *node)
{
	struct rad_stream *stream;

	for (stream = node->streams; stream < node->streams + RAD_CLASS_COUNT; stream++) {
		stream->told_received = stream->received;
		stream->told_released = stream->released;
	}
}

static int msg_map(struct rad_conn *conn, struct rad_msg *msg)
{
	struct ib_device *ibdev = conn->dev->ibdev;

	if (msg->page)
		msg->dma = ib_dma_map_page(ibdev, msg->page, 0, PAGE_SIZE, DMA_TO_DEVICE);
	else
		msg->dma = ib_dma_map_single(ibdev, &msg->header, msg_length(msg), DMA_TO_DEVICE);
	return ib_dma_mapping_error(ibdev, msg->dma) ? -ENOMEM : 0;
}

/* Send the message, or write its page with the message folded into the immediate data. */
static int msg_post(struct rad_conn *conn, struct rad_msg *msg)
{
	struct ib_sge sge = {
		.addr = msg->dma,
		.length = msg_length(msg),
		.lkey = conn->dev->pd->local_dma_lkey,
	};
	struct ib_rdma_wr write = {
		.wr = {
			.wr_cqe = &msg->post.cqe,
			.sg_list = &sge,
			.num_sge = 1,
			.opcode = IB_WR_SEND,
			.send_flags = IB_SEND_SIGNALED,
		},
	};

	if (msg->page) {
		write.wr.opcode = IB_WR_RDMA_WRITE_WITH_IMM;
		write.wr.ex.imm_data = cpu_to_be32(rad_wire_fold(msg->type, msg->out.body,
								 msg->call, msg->seq));
		write.remote_addr = msg->landing_addr;
		write.rkey = msg->landing_rkey;
	}
	return ib_post_send(conn->qp, &write.wr, NULL);
}

/**
 * rad_link_broke - a connection has failed
 * @conn: the connection; nothing is posted any more
 * @reason: why
 *
 * Context: node->lock is held, or the connection is not attached.
 */
void rad_link_broke(struct rad_conn *conn, u32 reason)
{
	conn->broken = true;
	rad_conn_close(conn, reason);
}

/*
 * Where there is no room for the mapping now, -EAGAIN: nothing has happened, and with a session it
 * is tried again. After a failure to post the connection is closed, and the message stays on @posted,
 * with its mapping, until the queue pair is gone.
 */
static int post(struct rad_node *node, struct rad_conn *conn, struct rad_msg *msg)
{
	int err;

	if (WARN_ON_ONCE(msg->posted))
		return -EBUSY;
	if (msg_map(conn, msg)) {
		if (node)
			rad_link_push_soon(node);
		return -EAGAIN;
	}
	if (node && !msg->page)
		note_told(node);
	msg->posted = true;
	msg->post.done = msg_done;
	conn->send_room--;
	list_add_tail(&msg->post.entry, &conn->posted);
	if (node) {
		node->messages_sent++;
		node->bytes_sent += msg_length(msg);
	}
	err = msg_post(conn, msg);
	if (err)
		rad_link_broke(conn, RADIUM_R_UNREACHABLE);
	return err;
}

/**
 * rad_link_post_control - send a message outside the streams
 * @node: session, NULL before @conn is attached to one
 * @conn: connection
 * @msg: one of the connection's own, not posted
 *
 * Context: node->lock is held, or the connection is not attached yet.
 * Return: 0; -EAGAIN: there is no room now, nor for a mapping; another negative errno: the
 * connection is being closed.
 */
int rad_link_post_control(struct rad_node *node, struct rad_conn *conn,
			  struct rad_msg *msg)
{
	if (conn->broken || conn->registration || !conn->send_room)
		return -EAGAIN;
	fill_header(node, msg);
	return post(node, conn, msg);
}

/* A page that its home has us write to another node. */
static struct rad_msg *forward_of(struct rad_post *post)
{
	struct rad_msg *msg = container_of(post, struct rad_msg, post);

	return post->done == msg_done && msg->type == RAD_MSG_PAGE_FORWARD ? msg : NULL;
}

/*
 * A completion with an error: everything after it was flushed. Where a PAGE_FORWARD goes home has
 * said, who has it from the node: one of the two has said what is not so, and which of them is not
 * known here. So neither loses its session; the page counts as not sent, and that costs no more
 * than the connection, see rad_node_forward_failed().
 */
static void send_failed(struct rad_node *node, struct rad_conn *conn, struct rad_post *post,
			enum ib_wc_status status)
{
	struct rad_msg *forward = forward_of(post);

	conn->flushed = true;
	rad_link_broke(conn, RADIUM_R_UNREACHABLE);
	if (status != IB_WC_REM_ACCESS_ERR && status != IB_WC_REM_INV_REQ_ERR)
		return;
	if (forward)
		forward->astray = true;
	else
		rad_node_protocol_error(node, "no landing place where it said");
}

/**
 * rad_link_reap - take completions off the send queue
 * @node: session
 * @conn: its connection
 *
 * Context: node->lock is held.
 */
void rad_link_reap(struct rad_node *node, struct rad_conn *conn)
{
	struct ib_wc wc;

	lockdep_assert_held(&node->lock);
	while (!conn->flushed && ib_poll_cq(conn->send_cq, 1, &wc) > 0) {
		struct rad_post *done = container_of(wc.wr_cqe, struct rad_post, cqe);

		if (wc.status != IB_WC_SUCCESS) {
			send_failed(node, conn, done, wc.status);
			return;
		}
		list_del(&done->entry);
		conn->send_room++;
		done->done(conn, done, true);
	}
}

/* Is there so much room in the send queue? If not, have its next completion wake us. */
static bool send_room(struct rad_node *node, struct rad_conn *conn, u32 room)
{
	do {
		rad_link_reap(node, conn);
		conn->starved = conn->send_room < room;
		if (!conn->starved)
			return !conn->broken;
	} while (ib_req_notify_cq(conn->send_cq, IB_CQ_NEXT_COMP |
				  IB_CQ_REPORT_MISSED_EVENTS) > 0 && !conn->broken);
	return false;
}

static bool post_next(struct rad_node *node, struct rad_stream *stream)
{
	struct rad_conn *conn = node->conn;
	struct rad_msg *msg = stream->next;

	if (!msg || !conn || conn->broken || conn->resuming || msg->seq > stream->limit)
		return false;
	if (conn->send_room < RAD_SEND_DEPTH / 2 &&
	    !send_room(node, conn, RAD_CONTROL_BUFFERS + 1))
		return false;
	if (!msg->page)
		fill_header(node, msg);
	if (post(node, conn, msg))
		return false;
	stream->posted = max(stream->posted, msg->seq);
	stream->next = list_is_last(&msg->entry, &stream->queue) ?
		       NULL : list_next_entry(msg, entry);
	return true;
}

/* A memory registration; under node->lock until it is done. */
struct registration {
	struct rad_post post;
	struct ib_reg_wr *wr;
	struct completion done;
	bool posted;
	bool ok;
};

static void registration_done(struct rad_conn *conn, struct rad_post *post, bool ok)
{
	struct registration *reg = container_of(post, struct registration, post);

	reg->ok = ok;
	/* Nobody's messages wait until who registers has got a CPU: he may have none for long. */
	if (conn->registration == reg)
		conn->registration = NULL;
	complete(&reg->done);
}

/*
 * A queue pair whose peer does not acknowledge in time begins anew with what is not acknowledged,
 * and rxe then executes the registrations behind that a second time: the region is in use, so that
 * fails, and nothing that is behind it is ever sent. So a registration is posted when the queue is
 * empty, and nothing else before it is done.
 */
static void post_registration(struct rad_node *node, struct rad_conn *conn)
{
	struct registration *reg = conn->registration;

	if (!send_room(node, conn, RAD_SEND_DEPTH) || reg->posted || conn->broken)
		return;
	reg->posted = true;
	reg->post.done = registration_done;
	conn->send_room--;
	list_add_tail(&reg->post.entry, &conn->posted);
	if (ib_post_send(conn->qp, &reg->wr->wr, NULL))
		rad_link_broke(conn, RADIUM_R_UNREACHABLE);
	else
		send_room(node, conn, RAD_SEND_DEPTH);
}

/**
 * rad_link_push - post whatever has credit and room, answers first
 * @node: session
 *
 * Context: node->lock is held.
 */
void rad_link_push(struct rad_node *node)
{
	lockdep_assert_held(&node->lock);
	if (node->conn && node->conn->registration)
		post_registration(node, node->conn);
	if (node->conn && node->conn->registration)
		return;
	while (post_next(node, &node->streams[RAD_CLASS_ANSWER]))
		;
	while (post_next(node, &node->streams[RAD_CLASS_REQUEST]))
		;
}

static void unpost(struct rad_conn *conn)
{
	struct rad_post *item, *next;

	list_for_each_entry_safe(item, next, &conn->posted, entry) {
		list_del(&item->entry);
		item->done(conn, item, false);
	}
}

/**
 * rad_link_unpost - take back what the queue pair had
 * @node: session; NULL: the connection was never attached
 * @conn: the connection, after its queue pair was destroyed
 *
 * Context: process.
 */
void rad_link_unpost(struct rad_node *node, struct rad_conn *conn)
{
	if (!node) {
		unpost(conn);
		return;
	}
	spin_lock_bh(&node->lock);
	unpost(conn);
	spin_unlock_bh(&node->lock);
}

/**
 * rad_link_register - register memory through a session's queue pair
 * @node: any session that is connected
 * @wr: IB_WR_REG_MR
 *
 * What the session has to send waits meanwhile, for one round trip as a rule.
 *
 * Context: process, sleeps until the queue is empty, or has not become shorter for RAD_REGISTER_MS,
 * or not empty for RAD_REGISTER_MAX_MS, and then for that long and the closing of a connection. One
 * at a time.
 * Return: 0, or -EIO: the region must be given up.
 */
int rad_link_register(struct rad_node *node, struct ib_reg_wr *wr)
{
	struct registration reg = { .wr = wr };
	struct rad_conn *conn;
	unsigned long last = jiffies + msecs_to_jiffies(RAD_REGISTER_MAX_MS), end = last;
	bool waits, late;
	u32 room = U32_MAX;

	init_completion(&reg.done);
	wr->wr.wr_cqe = &reg.post.cqe;
	wr->wr.send_flags = IB_SEND_SIGNALED;
	spin_lock_bh(&node->lock);
	conn = node->conn;
	waits = conn && !conn->broken && !WARN_ON_ONCE(conn->registration);
	if (waits) {
		rad_conn_get(conn);
		conn->registration = &reg;
		rad_link_push(node);
	}
	spin_unlock_bh(&node->lock);
	if (!waits)
		return -EIO;
	while (!wait_for_completion_timeout(&reg.done, 1)) {
		spin_lock_bh(&node->lock);
		if (node->conn == conn)
			rad_link_push(node);
		/* As long as the queue gets shorter it has time, and then for itself. */
		if (conn->send_room != room) {
			room = conn->send_room;
			end = jiffies + msecs_to_jiffies(RAD_REGISTER_MS);
		}
		/* A peer that takes what is sent one by one does not keep all others waiting. */
		late = (time_after(jiffies, end) || time_after(jiffies, last)) &&
		       !completion_done(&reg.done);
		waits = reg.posted || (node->conn == conn && !conn->broken && !late);
		if (!waits) {
			/* It is on our stack, and not posted from now on. */
			conn->registration = NULL;
			if (node->conn == conn)
				rad_link_push(node);
		}
		spin_unlock_bh(&node->lock);
		if (!waits)
			break;
		if (late) {
			/* Closing ends it: rad_link_unpost(). */
			rad_conn_close(conn, RADIUM_R_TIMEOUT);
			wait_for_completion(&reg.done);
			break;
		}
	}
	/* Who has completed it looks at it until he gives the lock back. */
	spin_lock_bh(&node->lock);
	spin_unlock_bh(&node->lock);
	rad_conn_put(conn);
	return reg.ok ? 0 : -EIO;
}

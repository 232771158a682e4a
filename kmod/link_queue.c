// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: what a connection sends and receives with: queue pair, completion
 * queues, receive buffers, and the messages that are always there.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/slab.h>
#include "link_internal.h"

/**
 * rad_conn_repost - give a buffer to the receive queue
 * @conn: connection with a queue pair
 * @buf: one of its buffers
 *
 * Context: any; the queue pair exists.
 * Return: 0 or a negative errno.
 */
int rad_conn_repost(struct rad_conn *conn, struct rad_buf *buf)
{
	struct ib_sge sge = {
		.addr = buf->dma,
		.length = RAD_MESSAGE_MAX,
		.lkey = conn->dev->pd->local_dma_lkey,
	};
	struct ib_recv_wr wr = {
		.wr_cqe = &buf->cqe,
		.sg_list = &sge,
		.num_sge = 1,
	};

	ib_dma_sync_single_for_device(conn->dev->ibdev, buf->dma, RAD_MESSAGE_MAX,
				      DMA_FROM_DEVICE);
	return ib_post_recv(conn->qp, &wr, NULL);
}

static int make_bufs(struct rad_conn *conn)
{
	u32 i;

	conn->bufs = kvcalloc(RAD_RECV_DEPTH, sizeof(*conn->bufs), GFP_KERNEL);
	if (!conn->bufs)
		return -ENOMEM;
	for (i = 0; i < RAD_RECV_DEPTH; i++) {
		struct rad_buf *buf = &conn->bufs[i];

		buf->conn = conn;
		INIT_WORK(&buf->work, rad_rx_work);
		buf->data = kmalloc(RAD_MESSAGE_MAX, GFP_KERNEL);
		if (!buf->data)
			return -ENOMEM;
	}
	return 0;
}

static struct rad_msg *make_msg(u32 type, size_t len)
{
	struct rad_out *out = rad_msg_alloc(type, len, GFP_KERNEL);

	return out ? rad_msg_of(out) : NULL;
}

static int make_messages(struct rad_conn *conn)
{
	conn->auth_msg = make_msg(RAD_MSG_AUTH, sizeof(struct rad_wire_auth));
	conn->ack_msg = make_msg(RAD_MSG_ACK, sizeof(struct rad_wire_ack));
	conn->beat_msg = make_msg(RAD_MSG_HEARTBEAT, sizeof(struct rad_wire_heartbeat));
	return conn->auth_msg && conn->ack_msg && conn->beat_msg ? 0 : -ENOMEM;
}

static int post_bufs(struct rad_conn *conn)
{
	struct ib_device *ibdev = conn->dev->ibdev;
	u32 i;

	for (i = 0; i < RAD_RECV_DEPTH; i++) {
		struct rad_buf *buf = &conn->bufs[i];
		u64 dma = ib_dma_map_single(ibdev, buf->data, RAD_MESSAGE_MAX,
					    DMA_FROM_DEVICE);
		int err;

		if (ib_dma_mapping_error(ibdev, dma))
			return -ENOMEM;
		buf->dma = dma;
		err = rad_conn_repost(conn, buf);
		if (err)
			return err;
	}
	return 0;
}

static void unmap_bufs(struct rad_conn *conn)
{
	u32 i;

	for (i = 0; conn->bufs && i < RAD_RECV_DEPTH; i++)
		if (conn->bufs[i].dma)
			ib_dma_unmap_single(conn->dev->ibdev, conn->bufs[i].dma,
					    RAD_MESSAGE_MAX, DMA_FROM_DEVICE);
}

static void completion(struct ib_cq *cq, void *context)
{
	struct rad_conn *conn = context;
	struct rad_node *node = READ_ONCE(conn->node);

	if (node)
		rad_rx_kick(node);
	else if (test_bit(RAD_CONN_LIVE, &conn->flags))
		queue_work(rad_wq, &conn->auth_work);
}

static void queue_event(struct ib_event *event, void *context)
{
	struct rad_conn *conn = context;

	if (event->event == IB_EVENT_COMM_EST) {
		rdma_notify(conn->id, event->event);
		return;
	}
	/* Before, nobody may close it; what happens then its flushed receives tell. */
	if (!conn->dialer && !test_bit(RAD_CONN_LIVE, &conn->flags))
		return;
	if (event->event == IB_EVENT_QP_FATAL ||
	    event->event == IB_EVENT_QP_ACCESS_ERR ||
	    event->event == IB_EVENT_QP_REQ_ERR ||
	    event->event == IB_EVENT_DEVICE_FATAL)
		rad_conn_close(conn, RADIUM_R_UNREACHABLE);
}

/* The interrupts of the connections are spread over the device's. */
static struct ib_cq *make_cq(struct rad_conn *conn, u32 depth)
{
	static atomic_t next;
	struct ib_cq_init_attr attr = {
		.cqe = depth,
		.comp_vector = (u32)atomic_inc_return(&next) %
			       max(conn->dev->ibdev->num_comp_vectors, 1),
	};

	return ib_create_cq(conn->dev->ibdev, completion, NULL, conn, &attr);
}

/*
 * What rdma_cm knows of the way to the peer. It would let the peer write to our memory at
 * once, and hence has no queue pair from us.
 */
static int enter(struct rad_conn *conn, enum ib_qp_state state)
{
	struct ib_qp_attr attr = { .qp_state = state };
	struct ib_port_attr port;
	int mask, err;

	err = rdma_init_qp_attr(conn->id, &attr, &mask);
	if (err)
		return err;
	/* Small messages would get there: the node would be up, and no page would come. */
	if (mask & IB_QP_PATH_MTU && !ib_query_port(conn->id->device, conn->id->port_num, &port) &&
	    attr.path_mtu > port.active_mtu) {
		pr_warn_ratelimited("%pISc has a larger MTU than this node\n", &conn->from);
		return -EINVAL;
	}
	attr.qp_access_flags = 0;
	/* Of what is never used, and what the peer has said. */
	attr.max_rd_atomic = 1;
	attr.max_dest_rd_atomic = 1;
	return ib_modify_qp(conn->qp, &attr, mask);
}

/**
 * rad_queues_connect - send and receive; the peer cannot write to our memory yet
 * @conn: connection that rdma_cm knows the peer's queue pair of
 *
 * Context: process.
 * Return: 0 or a negative errno.
 */
int rad_queues_connect(struct rad_conn *conn)
{
	/* INIT once more: what it was entered with is not what the way needs. */
	return enter(conn, IB_QPS_INIT) ?: enter(conn, IB_QPS_RTR) ?: enter(conn, IB_QPS_RTS);
}

/**
 * rad_queues_trust - from now on the peer can write to what it is told a key of
 * @conn: connection whose AUTH has been checked
 *
 * In time: it writes only to what we have told it a key of, in a message of a session, or
 * somebody else for us, and then only when we have answered its heartbeats in one.
 *
 * Context: process.
 * Return: 0 or a negative errno.
 */
int rad_queues_trust(struct rad_conn *conn)
{
	struct ib_qp_attr attr = { .qp_access_flags = IB_ACCESS_REMOTE_WRITE };

	return ib_modify_qp(conn->qp, &attr, IB_QP_ACCESS_FLAGS);
}

static int make_queue_pair(struct rad_conn *conn)
{
	struct ib_qp_init_attr attr = {
		.event_handler = queue_event,
		.qp_context = conn,
		.send_cq = conn->send_cq,
		.recv_cq = conn->recv_cq,
		.cap = {
			.max_send_wr = RAD_SEND_DEPTH,
			.max_recv_wr = RAD_RECV_DEPTH,
			.max_send_sge = 1,
			.max_recv_sge = 1,
		},
		.sq_sig_type = IB_SIGNAL_REQ_WR,
		.qp_type = IB_QPT_RC,
		.port_num = conn->id->port_num,
	};
	struct ib_qp *qp = ib_create_qp(conn->dev->pd, &attr);

	if (IS_ERR(qp))
		return PTR_ERR(qp);
	conn->qp = qp;
	return enter(conn, IB_QPS_INIT);
}

/**
 * rad_queues_create - buffers, completion queues and queue pair of a connection
 * @conn: connection with an id that has a device
 *
 * Context: process.
 * Return: 0 or a negative errno; what was made till then rad_queues_destroy() undoes.
 */
int rad_queues_create(struct rad_conn *conn)
{
	struct ib_cq *cq;
	int err;

	conn->dev = rad_hca_get(conn->id->device);
	if (!conn->dev)
		return -ENODEV;
	err = make_messages(conn) ?: make_bufs(conn);
	if (err)
		return err;
	cq = make_cq(conn, RAD_RECV_DEPTH + 1);
	if (IS_ERR(cq))
		return PTR_ERR(cq);
	conn->recv_cq = cq;
	cq = make_cq(conn, RAD_SEND_DEPTH + 1);
	if (IS_ERR(cq))
		return PTR_ERR(cq);
	conn->send_cq = cq;
	err = make_queue_pair(conn) ?: post_bufs(conn);
	if (err)
		return err;
	conn->send_room = RAD_SEND_DEPTH;
	return ib_req_notify_cq(conn->recv_cq, IB_CQ_NEXT_COMP);
}

/**
 * rad_queues_stop - neither send nor receive any more
 * @conn: detached connection with a queue pair
 *
 * rxe waits for what is on its way when it destroys a queue pair that still sends and
 * receives, for ever if the other side does not answer.
 *
 * Context: process, sleeps.
 */
void rad_queues_stop(struct rad_conn *conn)
{
	struct ib_qp_attr attr = { .qp_state = IB_QPS_ERR };

	ib_modify_qp(conn->qp, &attr, IB_QP_STATE);
}

/* What a peer has sent, a stranger perhaps, that nobody has looked at may have taken keys away. */
static void spoil_taken_keys(struct rad_conn *conn)
{
	struct ib_wc wc;

	while (ib_poll_cq(conn->recv_cq, 1, &wc) > 0)
		if (wc.status == IB_WC_SUCCESS && wc.wc_flags & IB_WC_WITH_INVALIDATE)
			rad_pool_spoil(wc.ex.invalidate_rkey);
}

/**
 * rad_queues_destroy - undo rad_queues_create(); steps 3 to 5 of closing (link_conn.c)
 * @conn: detached connection
 *
 * Context: process, sleeps.
 */
void rad_queues_destroy(struct rad_conn *conn)
{
	/* Some drivers take what is left of a queue pair along, others look at it then. */
	if (conn->recv_cq)
		spoil_taken_keys(conn);
	if (conn->qp)
		ib_destroy_qp(conn->qp);
	clear_bit(RAD_CONN_LIVE, &conn->flags);
	cancel_work_sync(&conn->auth_work);
	/* rxe frees a completion queue without looking after its tasklet. */
	synchronize_rcu();
	if (conn->recv_cq)
		ib_destroy_cq(conn->recv_cq);
	if (conn->send_cq)
		ib_destroy_cq(conn->send_cq);
	/* Queued meanwhile it does nothing but see CLOSING. */
	cancel_work_sync(&conn->auth_work);
	rad_link_unpost(conn->node, conn);
	if (!conn->dev)
		return;
	unmap_bufs(conn);
	rad_hca_put(conn->dev);
	conn->dev = NULL;
}

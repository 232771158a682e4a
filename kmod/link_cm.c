// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: connections: rdma_cm, queue pairs, the handshake.
 *
 *	connecting side			accepting side
 *	resolve address and route
 *	connect(hello)		->	magic, version, id right? else reject(reason)
 *				<-	accept(hello)
 *	AUTH			->	MAC and build right? else refused
 *				<-	AUTH
 *	rad_peer_offer()		rad_peer_offer()
 *
 * Until a peer's AUTH has been checked one work item polls, for that message
 * alone; then the receive threads of the session do.
 *
 * Whatever goes wrong with a connection at any time ends in rad_conn_close(),
 * whose work item is the only place where a connection that was once published
 * is taken apart:
 * 1. CLOSING is set: events of rdma_cm do nothing any more, once they have passed
 *    conn->mutex; nothing is attached any more.
 * 2. Detached: no receive thread polls, nobody posts.
 * 3. The queue pair is destroyed: the device neither reads nor writes for it.
 * 4. The completion queues are destroyed: no completion handler runs; the work
 *    item that polled for AUTH has ended.
 * 5. So what was posted is ours again: unmapped, and freed or kept for replay.
 * 6. The id is destroyed: no event handler runs.
 * 7. Whoever waits for @closed goes on; buffers that handlers still read stay
 *    until the last of them returns.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/random.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <net/net_namespace.h>
#include <rdma/ib_cm.h>
#include "link_internal.h"
#include "wire_check.h"

enum {
	MAX_UNAUTHENTICATED	= 32,	/* accepted connections in the handshake */
	LISTEN_BACKLOG		= 64,
};

static struct rdma_cm_id *listener;	/* by listen and unlisten, never concurrently */

/* All published connections; @conns_open: more may be. */
static DEFINE_SPINLOCK(conns_lock);
static LIST_HEAD(conns);
static bool conns_open;
static DECLARE_WAIT_QUEUE_HEAD(conns_gone);

/* ---- memory and queues of a connection ---- */

static void conn_release(struct kref *ref)
{
	struct rad_conn *conn = container_of(ref, struct rad_conn, ref);
	u32 i;

	if (conn->bufs)
		for (i = 0; i < RAD_RECV_DEPTH; i++)
			kfree(conn->bufs[i].data);
	kvfree(conn->bufs);
	kfree(conn->auth_msg);
	kfree(conn->ack_msg);
	kfree(conn->beat_msg);
	if (conn->node)
		rad_node_put(conn->node);
	if (conn->dialer)
		rad_peer_put(conn->dialer);
	kfree(conn);
}

struct rad_conn *rad_conn_get(struct rad_conn *conn)
{
	kref_get(&conn->ref);
	return conn;
}

void rad_conn_put(struct rad_conn *conn)
{
	kref_put(&conn->ref, conn_release);
}

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

	if (event->event == IB_EVENT_COMM_EST)
		rdma_notify(conn->id, event->event);
	else if (event->event == IB_EVENT_QP_FATAL ||
		 event->event == IB_EVENT_QP_ACCESS_ERR ||
		 event->event == IB_EVENT_QP_REQ_ERR ||
		 event->event == IB_EVENT_DEVICE_FATAL)
		rad_conn_close(conn, RADIUM_R_UNREACHABLE);
}

static struct ib_cq *make_cq(struct rad_conn *conn, u32 depth)
{
	struct ib_cq_init_attr attr = { .cqe = depth };

	return ib_create_cq(conn->dev->ibdev, completion, NULL, conn, &attr);
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
	};
	int err = rdma_create_qp(conn->id, conn->dev->pd, &attr);

	if (err)
		return err;
	conn->qp = conn->id->qp;
	return 0;
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

	conn->dev = rad_dev_get(conn->id->device);
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
 * rad_queues_destroy - undo rad_queues_create(); steps 3 to 5 of closing
 * @conn: detached connection
 *
 * Context: process, sleeps.
 */
void rad_queues_destroy(struct rad_conn *conn)
{
	if (conn->qp)
		rdma_destroy_qp(conn->id);
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
	rad_dev_put(conn->dev);
	conn->dev = NULL;
}

/* ---- publishing and closing ---- */

static void close_work(struct work_struct *work)
{
	struct rad_conn *conn = container_of(work, struct rad_conn, close_work);
	struct rad_node *node;

	cancel_delayed_work_sync(&conn->deadline);
	mutex_lock(&conn->mutex);
	node = conn->node;
	mutex_unlock(&conn->mutex);
	if (node)
		rad_link_detach(node, conn);
	if (conn->qp)
		rdma_disconnect(conn->id);
	rad_queues_destroy(conn);
	rdma_destroy_id(conn->id);
	/* The last event handler may have queued it. */
	cancel_work_sync(&conn->auth_work);
	/* Neither event handler nor auth_work is left that could start it anew. */
	cancel_delayed_work_sync(&conn->deadline);
	rad_peer_closed(conn);
	complete_all(&conn->closed);
	spin_lock(&conns_lock);
	list_del(&conn->entry);
	if (list_empty(&conns))
		wake_up_all(&conns_gone);
	spin_unlock(&conns_lock);
	rad_conn_put(conn);
}

/**
 * rad_conn_close - close a connection, some time soon
 * @conn: a published connection
 * @reason: why; the first one counts
 *
 * Context: any.
 */
void rad_conn_close(struct rad_conn *conn, u32 reason)
{
	if (test_and_set_bit(RAD_CONN_CLOSING, &conn->flags))
		return;
	conn->reason = reason;
	queue_work(rad_conn_wq, &conn->close_work);
}

/**
 * rad_conn_close_sync - close a connection and wait until it is closed
 * @conn: a published connection; the caller has a reference
 * @reason: why
 *
 * Context: process, not in a handler of rdma_cm. Bounded by the device's and
 * rdma_cm's own bounds.
 */
void rad_conn_close_sync(struct rad_conn *conn, u32 reason)
{
	rad_conn_close(conn, reason);
	wait_for_completion(&conn->closed);
}

/**
 * rad_conn_allow - from now on connections may begin
 *
 * Until rad_conn_close_all(). Context: process.
 */
void rad_conn_allow(void)
{
	spin_lock(&conns_lock);
	conns_open = true;
	spin_unlock(&conns_lock);
}

/**
 * rad_conn_close_all - close every connection, and let no new one begin
 *
 * Until rad_conn_allow(). Context: process, sleeps.
 */
void rad_conn_close_all(void)
{
	struct rad_conn *conn;

	spin_lock(&conns_lock);
	conns_open = false;
	list_for_each_entry(conn, &conns, entry)
		rad_conn_close(conn, RADIUM_R_UNREACHABLE);
	spin_unlock(&conns_lock);
	wait_event(conns_gone, list_empty_careful(&conns));
	/* The last one woke us under the lock. */
	spin_lock(&conns_lock);
	spin_unlock(&conns_lock);
}

static u32 count_unauthenticated(void)
{
	struct rad_conn *conn;
	u32 n = 0;

	lockdep_assert_held(&conns_lock);
	list_for_each_entry(conn, &conns, entry)
		n += !conn->dialer && !conn->authed;
	return n;
}

static void deadline(struct work_struct *work)
{
	struct rad_conn *conn = container_of(to_delayed_work(work), struct rad_conn,
					     deadline);

	if (conn->refusal || !conn->authed)
		rad_conn_close(conn, conn->refusal ?: RADIUM_R_UNREACHABLE);
}

/**
 * rad_conn_publish - let others find a connection, and close it
 * @conn: the connection; the caller's reference becomes that of being open
 *
 * Context: process.
 * Return: false: no connection may begin now, or too many are in the handshake; the
 * reference is the caller's still.
 */
bool rad_conn_publish(struct rad_conn *conn)
{
	bool open;

	spin_lock(&conns_lock);
	open = conns_open && (conn->dialer || count_unauthenticated() < MAX_UNAUTHENTICATED);
	if (open)
		list_add(&conn->entry, &conns);
	spin_unlock(&conns_lock);
	if (open)
		queue_delayed_work(rad_wq, &conn->deadline,
				   msecs_to_jiffies(RAD_CONNECT_MS));
	return open;
}

/* ---- the handshake ---- */

/**
 * rad_hello_make - what this node says when it connects or accepts
 * @hello: where to
 */
void rad_hello_make(struct rad_wire_hello *hello)
{
	hello->magic = cpu_to_le32(RAD_WIRE_MAGIC);
	hello->version = cpu_to_le16(RAD_WIRE_VERSION);
	hello->node = cpu_to_le16(rad_node_self());
	get_random_bytes(hello->nonce, sizeof(hello->nonce));
}

/**
 * rad_hello_check - what is wrong with a hello?
 * @data: private data, which rdma_cm has padded
 * @len: its length
 *
 * Return: enum radium_reason, RADIUM_R_NONE: nothing.
 */
u32 rad_hello_check(const void *data, u8 len)
{
	return rad_wire_check_hello(data, len, rad_node_self());
}

/* Not now, but when the other side has had time to come to the same conclusion. */
static void refuse(struct rad_conn *conn, u32 reason)
{
	conn->refusal = reason;
	mod_delayed_work(rad_wq, &conn->deadline, msecs_to_jiffies(RAD_REFUSE_MS));
}

/**
 * rad_handshake_send_auth - send AUTH, unless that has been done
 * @conn: connection whose both hellos are known
 *
 * Context: process, under conn->mutex.
 */
void rad_handshake_send_auth(struct rad_conn *conn)
{
	struct rad_wire_auth *auth = conn->auth_msg->out.body;
	enum rad_auth_role role = conn->dialer ? RAD_AUTH_CONNECTING : RAD_AUTH_ACCEPTING;

	lockdep_assert_held(&conn->mutex);
	if (test_and_set_bit(RAD_CONN_AUTH_SENT, &conn->flags) ||
	    test_bit(RAD_CONN_CLOSING, &conn->flags))
		return;
	rad_auth_build(auth->build);
	auth->incarnation = cpu_to_le64(rad_node_incarnation());
	rad_peer_resume(conn, auth);
	if (rad_auth_mac(auth->mac, role, &conn->connecting, &conn->accepting, auth)) {
		rad_conn_close(conn, RADIUM_R_WRONG_KEY);
		return;
	}
	conn->ours = *auth;
	rad_link_post_control(NULL, conn, conn->auth_msg);
}

static u32 check_auth(struct rad_conn *conn, const struct rad_buf *buf, u32 len)
{
	const struct rad_wire_header *h = buf->data;
	const struct rad_wire_auth *auth = (const void *)(h + 1);

	if (!rad_wire_check_auth(h, len))
		return RADIUM_R_PROTOCOL;
	conn->theirs = *auth;
	return rad_auth_check(conn->dialer ? RAD_AUTH_ACCEPTING : RAD_AUTH_CONNECTING,
			      &conn->connecting, &conn->accepting, &conn->theirs);
}

static void take_auth(struct rad_conn *conn, const struct ib_wc *wc)
{
	struct rad_buf *buf = container_of(wc->wr_cqe, struct rad_buf, cqe);
	u32 reason;

	if (wc->status != IB_WC_SUCCESS) {
		rad_conn_close(conn, conn->refusal ?: RADIUM_R_UNREACHABLE);
		return;
	}
	mutex_lock(&conn->mutex);
	if (test_bit(RAD_CONN_CLOSING, &conn->flags) || conn->refusal) {
		mutex_unlock(&conn->mutex);
		return;
	}
	ib_dma_sync_single_for_cpu(conn->dev->ibdev, buf->dma, RAD_MESSAGE_MAX,
				   DMA_FROM_DEVICE);
	reason = check_auth(conn, buf, wc->byte_len);
	if (!reason && rad_conn_repost(conn, buf))
		reason = RADIUM_R_UNREACHABLE;
	rad_handshake_send_auth(conn);
	conn->authed = !reason;
	mutex_unlock(&conn->mutex);
	if (!reason)
		reason = rad_peer_offer(conn);
	if (reason)
		refuse(conn, reason);
}

/**
 * rad_handshake_work - the connection's auth_work: look whether AUTH has come
 * @work: it
 */
void rad_handshake_work(struct work_struct *work)
{
	struct rad_conn *conn = container_of(work, struct rad_conn, auth_work);
	struct ib_wc wc;

	if (conn->authed || test_bit(RAD_CONN_CLOSING, &conn->flags))
		return;
	do {
		if (ib_poll_cq(conn->recv_cq, 1, &wc) > 0) {
			take_auth(conn, &wc);
			return;
		}
	} while (ib_req_notify_cq(conn->recv_cq, IB_CQ_NEXT_COMP |
				  IB_CQ_REPORT_MISSED_EVENTS) > 0);
}

/**
 * rad_conn_alloc - make a connection that nobody knows yet
 *
 * Return: the connection, with a reference, or NULL.
 */
struct rad_conn *rad_conn_alloc(void)
{
	struct rad_conn *conn = kzalloc(sizeof(*conn), GFP_KERNEL);

	if (!conn)
		return NULL;
	kref_init(&conn->ref);
	mutex_init(&conn->mutex);
	INIT_LIST_HEAD(&conn->posted);
	INIT_WORK(&conn->auth_work, rad_handshake_work);
	INIT_WORK(&conn->close_work, close_work);
	INIT_DELAYED_WORK(&conn->deadline, deadline);
	init_completion(&conn->closed);
	return conn;
}

static struct rdma_conn_param conn_param(const struct rad_wire_hello *hello)
{
	return (struct rdma_conn_param) {
		.private_data = hello,
		.private_data_len = sizeof(*hello),
		.responder_resources = 1,
		.initiator_depth = 1,
		.retry_count = RAD_RETRY_COUNT,
		.rnr_retry_count = RAD_RNR_FOR_EVER,
	};
}

/* ---- the accepting side ---- */

static int reject(struct rdma_cm_id *id, u32 reason)
{
	struct rad_wire_reject data = {
		.magic = cpu_to_le32(RAD_WIRE_MAGIC),
		.version = cpu_to_le16(RAD_WIRE_VERSION),
		.node = cpu_to_le16(rad_node_self()),
		.reason = cpu_to_le32(reason),
	};

	rdma_reject(id, &data, sizeof(data), IB_CM_REJ_CONSUMER_DEFINED);
	return -ECONNREFUSED;
}

static int accept_conn(struct rad_conn *conn)
{
	struct rdma_conn_param param;
	int err;

	err = rad_queues_create(conn);
	if (err)
		return err;
	rdma_set_ack_timeout(conn->id, RAD_ACK_TIMEOUT);
	rad_hello_make(&conn->accepting);
	param = conn_param(&conn->accepting);
	return rdma_accept(conn->id, &param);
}

/*
 * A new id, which rdma_cm destroys if this fails. Until rad_conn_publish() nobody
 * else knows the connection: its completions are ignored, so LIVE comes last and
 * what they missed is made up for.
 */
static int connect_request(struct rdma_cm_id *id, struct rdma_cm_event *event)
{
	const struct sockaddr *from = (struct sockaddr *)&id->route.addr.dst_addr;
	const struct rad_wire_hello *hello = event->param.conn.private_data;
	u32 reason = rad_hello_check(hello, event->param.conn.private_data_len);
	struct rad_conn *conn;
	int err;

	if (!reason && !rad_peer_admit(le16_to_cpu(hello->node), from))
		return reject(id, RADIUM_R_NONE);
	if (reason) {
		rad_peer_refused(from, reason);
		return reject(id, reason);
	}
	conn = rad_conn_alloc();
	if (!conn)
		return reject(id, RADIUM_R_NO_MEMORY);
	conn->connecting = *hello;
	conn->peer_id = le16_to_cpu(hello->node);
	memcpy(&conn->from, &id->route.addr.dst_addr, sizeof(conn->from));
	conn->id = id;
	id->context = conn;
	err = accept_conn(conn);
	if (!err && rad_conn_publish(conn)) {
		set_bit(RAD_CONN_LIVE, &conn->flags);
		queue_work(rad_wq, &conn->auth_work);
		return 0;
	}
	rad_queues_destroy(conn);
	rad_conn_put(conn);
	return err ?: reject(id, RADIUM_R_NONE);
}

/* ---- the connecting side ---- */

static int addr_resolved(struct rad_conn *conn)
{
	return rad_queues_create(conn) ?: rdma_resolve_route(conn->id, RAD_CONNECT_MS);
}

static int route_resolved(struct rad_conn *conn)
{
	struct rdma_conn_param param;

	rdma_set_ack_timeout(conn->id, RAD_ACK_TIMEOUT);
	rad_hello_make(&conn->connecting);
	param = conn_param(&conn->connecting);
	return rdma_connect_locked(conn->id, &param);
}

static void rejected(struct rad_conn *conn, struct rdma_cm_event *event)
{
	const struct rad_wire_reject *data;
	u32 reason = RADIUM_R_UNREACHABLE;
	u8 len;

	data = rdma_consumer_reject_data(conn->id, event, &len);
	if (data && len >= sizeof(*data) && le32_to_cpu(data->magic) == RAD_WIRE_MAGIC)
		reason = rad_wire_reason(data->reason);
	rad_conn_close(conn, reason);
}

static void established(struct rad_conn *conn, struct rdma_cm_event *event)
{
	const struct rad_wire_hello *hello = event->param.conn.private_data;
	u32 reason;

	if (conn->dialer) {
		reason = rad_hello_check(hello, event->param.conn.private_data_len);
		if (reason) {
			rad_conn_close(conn, reason);
			return;
		}
		conn->accepting = *hello;
		conn->peer_id = le16_to_cpu(hello->node);
		/*
		 * The other side's AUTH may be here already. Only now can it be checked:
		 * before, its hello was not known, and the keys would seem to differ.
		 */
		if (!test_bit(RAD_CONN_CLOSING, &conn->flags)) {
			set_bit(RAD_CONN_LIVE, &conn->flags);
			queue_work(rad_wq, &conn->auth_work);
		}
	}
	rad_handshake_send_auth(conn);
}

static void conn_event(struct rad_conn *conn, struct rdma_cm_event *event)
{
	int err = 0;

	switch (event->event) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
		err = addr_resolved(conn);
		break;
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		err = route_resolved(conn);
		break;
	case RDMA_CM_EVENT_ESTABLISHED:
		established(conn, event);
		break;
	case RDMA_CM_EVENT_REJECTED:
		rejected(conn, event);
		break;
	case RDMA_CM_EVENT_TIMEWAIT_EXIT:
		break;
	default:
		err = -ECONNRESET;
	}
	if (err)
		rad_conn_close(conn, conn->refusal ?: RADIUM_R_UNREACHABLE);
}

static int cm_event(struct rdma_cm_id *id, struct rdma_cm_event *event)
{
	struct rad_conn *conn = id->context;

	if (event->event == RDMA_CM_EVENT_CONNECT_REQUEST)
		return connect_request(id, event);
	if (!conn)
		return 0;	/* the listener; removal of the device is ib_client's */
	mutex_lock(&conn->mutex);
	if (!test_bit(RAD_CONN_CLOSING, &conn->flags))
		conn_event(conn, event);
	mutex_unlock(&conn->mutex);
	return 0;
}

static void without_port(struct sockaddr_storage *addr)
{
	if (addr->ss_family == AF_INET6)
		((struct sockaddr_in6 *)addr)->sin6_port = 0;
	else
		((struct sockaddr_in *)addr)->sin_port = 0;
}

/**
 * rad_conn_dial - begin to connect to a peer
 * @peer: the peer; what comes of it is told to rad_peer_offer() and rad_peer_closed()
 *
 * Context: process.
 * Return: 0; or a negative errno, and then neither of the two is called.
 */
int rad_conn_dial(struct rad_peer *peer)
{
	struct rad_conn *conn = rad_conn_alloc();
	struct sockaddr_storage from;
	struct rdma_cm_id *id;
	int err;

	if (!conn)
		return -ENOMEM;
	id = rdma_create_id(&init_net, cm_event, conn, RDMA_PS_TCP, IB_QPT_RC);
	if (IS_ERR(id)) {
		rad_conn_put(conn);
		return PTR_ERR(id);
	}
	conn->id = id;
	rad_peer_get(peer);
	conn->dialer = peer;
	memcpy(&conn->from, rad_peer_addr(peer), sizeof(conn->from));
	if (!rad_conn_publish(conn)) {
		rdma_destroy_id(id);
		rad_conn_put(conn);
		return -ENODEV;
	}
	rad_conn_get(conn);
	memcpy(&from, rad_node_addr(), sizeof(from));
	without_port(&from);
	mutex_lock(&conn->mutex);
	err = test_bit(RAD_CONN_CLOSING, &conn->flags) ? 0 :
	      rdma_resolve_addr(id, (struct sockaddr *)&from,
				(struct sockaddr *)rad_peer_addr(peer), RAD_CONNECT_MS);
	mutex_unlock(&conn->mutex);
	if (err)
		rad_conn_close(conn, RADIUM_R_UNREACHABLE);
	rad_conn_put(conn);
	return 0;
}

/* ---- listening ---- */

/**
 * rad_cm_listen - accept connections, and open the device
 * @addr: local address with port; determines the device
 *
 * Context: process.
 * Return: 0; -ENODEV: no RDMA device has this address; or a negative errno.
 */
int rad_cm_listen(const struct sockaddr *addr)
{
	struct rdma_cm_id *id;
	int err;

	id = rdma_create_id(&init_net, cm_event, NULL, RDMA_PS_TCP, IB_QPT_RC);
	if (IS_ERR(id))
		return PTR_ERR(id);
	err = rdma_set_reuseaddr(id, 1) ?: rdma_bind_addr(id, (struct sockaddr *)addr);
	if (!err && !id->device)
		err = -ENODEV;
	if (!err)
		err = rad_dev_open(id->device);
	if (err)
		goto destroy;
	rad_conn_allow();
	err = rdma_listen(id, LISTEN_BACKLOG);
	if (err)
		goto close;
	listener = id;
	return 0;
close:
	rad_conn_close_all();
	rad_dev_close();
destroy:
	rdma_destroy_id(id);
	return err;
}

/**
 * rad_cm_unlisten - close everything that rad_cm_listen() has made possible
 *
 * 1. The listener is gone: no connection is accepted any more.
 * 2. All connections are closed, and none is dialed any more.
 * 3. So nothing uses the device: the pool and the protection domain go.
 *
 * Context: process.
 */
void rad_cm_unlisten(void)
{
	if (!listener)
		return;
	rdma_destroy_id(listener);
	listener = NULL;
	rad_conn_close_all();
	rad_dev_close();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: rdma_cm: its events, dialing and accepting, the listener.
 *
 * What the two sides tell each other is in link_handshake.c.
 */

#include <net/net_namespace.h>
#include <rdma/ib_cm.h>
#include "link_internal.h"
#include "wire_check.h"

enum {
	LISTEN_BACKLOG		= 64,
};

static struct rdma_cm_id *listener;	/* by listen and unlisten, never concurrently */

static struct rdma_conn_param conn_param(const struct rad_conn *conn,
					 const struct rad_wire_hello *hello)
{
	return (struct rdma_conn_param) {
		.private_data = hello,
		.private_data_len = sizeof(*hello),
		.responder_resources = 1,
		.initiator_depth = 1,
		.retry_count = RAD_RETRY_COUNT,
		.rnr_retry_count = RAD_RNR_FOR_EVER,
		.qp_num = conn->qp->qp_num,
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
	err = rad_queues_connect(conn);
	if (err)
		return err;
	param = conn_param(conn, &conn->accepting);
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
	bool known = rad_peer_is_known(from);
	struct rad_conn *conn;
	int err;

	if (!reason && rad_peer_is_another(le16_to_cpu(hello->node), from))
		reason = RADIUM_R_SAME_ID;
	if (!reason && !rad_peer_admit(le16_to_cpu(hello->node), from))
		return reject(id, RADIUM_R_NONE);
	if (reason) {
		rad_peer_refused(from, reason);
		return reject(id, reason);
	}
	/* Looked at once more when it is published, but to make one costs a stranger nothing. */
	if (!rad_conn_has_room(from, known))
		return reject(id, RADIUM_R_NONE);
	conn = rad_conn_alloc();
	if (!conn)
		return reject(id, RADIUM_R_NO_MEMORY);
	conn->connecting = *hello;
	conn->peer_id = le16_to_cpu(hello->node);
	conn->known = known;
	conn->limit_ms = RAD_ACCEPT_MS;
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
	param = conn_param(conn, &conn->connecting);
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
		if (!reason && rad_peer_is_another(le16_to_cpu(hello->node),
						   (struct sockaddr *)&conn->from))
			reason = RADIUM_R_SAME_ID;
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

static int connect_response(struct rad_conn *conn, struct rdma_cm_event *event)
{
	int err = rad_queues_connect(conn) ?: rdma_accept(conn->id, NULL);

	if (!err)
		established(conn, event);
	return err;
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
	case RDMA_CM_EVENT_CONNECT_RESPONSE:
		err = connect_response(conn, event);
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
	if (!conn) {
		/* The listener. Otherwise our ib_client was told first, and there is none any more. */
		if (event->event == RDMA_CM_EVENT_DEVICE_REMOVAL)
			rad_node_dev_going();
		return 0;
	}
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
 * @ms: time that the handshake may take
 *
 * Context: process.
 * Return: 0; or a negative errno, and then neither of the two is called.
 */
int rad_conn_dial(struct rad_peer *peer, u32 ms)
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
	conn->limit_ms = ms;
	rad_peer_copy_addr(peer, &conn->from);
	/* Once it is published it may be closed at any time. */
	rad_conn_get(conn);
	if (!rad_conn_publish(conn)) {
		rdma_destroy_id(id);
		rad_conn_put(conn);
		rad_conn_put(conn);
		return -ENODEV;
	}
	memcpy(&from, rad_node_addr(), sizeof(from));
	without_port(&from);
	mutex_lock(&conn->mutex);
	err = test_bit(RAD_CONN_CLOSING, &conn->flags) ? 0 :
	      rdma_resolve_addr(id, (struct sockaddr *)&from,
				(struct sockaddr *)&conn->from, RAD_CONNECT_MS);
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
		err = rad_hca_open(id->device, id->port_num);
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
	rad_hca_close();
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
	rad_hca_close();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: the handshake: what two nodes have to say before they believe each other.
 *
 *	connecting side			accepting side
 *	resolve address and route
 *	connect(hello)		->	magic, version, id right? else reject(reason)
 *				<-	accept(hello)
 *	AUTH			<->	AUTH
 *	MAC and build right? else refused
 *	rad_peer_offer()		rad_peer_offer()
 *
 * Until a peer's AUTH has been checked one work item polls, for that message
 * alone; then the receive threads of the session do.
 */

#include <linux/random.h>
#include <net/ipv6.h>
#include "link_internal.h"
#include "wire_check.h"

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

static void put_address(u8 to[16], const struct sockaddr_storage *addr)
{
	struct in6_addr in6 = ((const struct sockaddr_in6 *)addr)->sin6_addr;

	if (addr->ss_family == AF_INET)
		ipv6_addr_set_v4mapped(((const struct sockaddr_in *)addr)->sin_addr.s_addr, &in6);
	memcpy(to, &in6, sizeof(in6));
}

static struct rad_auth_ends ends_of(const struct rad_conn *conn)
{
	const struct rdma_addr *addr = &conn->id->route.addr;
	struct rad_auth_ends ends;

	put_address(conn->dialer ? ends.connecting : ends.accepting, &addr->src_addr);
	put_address(conn->dialer ? ends.accepting : ends.connecting, &addr->dst_addr);
	return ends;
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
	const struct rad_auth_ends ends = ends_of(conn);

	lockdep_assert_held(&conn->mutex);
	if (test_and_set_bit(RAD_CONN_AUTH_SENT, &conn->flags) ||
	    test_bit(RAD_CONN_CLOSING, &conn->flags))
		return;
	rad_auth_build(auth->build);
	auth->incarnation = cpu_to_le64(rad_node_incarnation());
	rad_peer_resume(conn, auth);
	conn->ours = *auth;
	if (rad_auth_hide(role, &conn->connecting, &conn->accepting, &ends, auth) ||
	    rad_auth_mac(auth->mac, role, &conn->connecting, &conn->accepting, &ends, auth)) {
		rad_conn_close(conn, RADIUM_R_WRONG_KEY);
		return;
	}
	/* Nobody would try again. */
	if (rad_link_post_control(NULL, conn, conn->auth_msg))
		rad_conn_close(conn, RADIUM_R_NO_MEMORY);
}

static u32 check_auth(struct rad_conn *conn, const struct rad_buf *buf, u32 len)
{
	const struct rad_wire_header *h = buf->data;
	const struct rad_wire_auth *auth = (const void *)(h + 1);
	enum rad_auth_role role = conn->dialer ? RAD_AUTH_ACCEPTING : RAD_AUTH_CONNECTING;
	const struct rad_auth_ends ends = ends_of(conn);
	u32 reason;

	if (!rad_wire_check_auth(h, len))
		return RADIUM_R_PROTOCOL;
	conn->theirs = *auth;
	reason = rad_auth_check(role, &conn->connecting, &conn->accepting, &ends, &conn->theirs);
	if (!reason && rad_auth_hide(role, &conn->connecting, &conn->accepting, &ends,
				     &conn->theirs))
		reason = RADIUM_R_WRONG_KEY;
	return reason;
}

static void take_auth(struct rad_conn *conn, const struct ib_wc *wc)
{
	struct rad_buf *buf = container_of(wc->wr_cqe, struct rad_buf, cqe);
	u32 reason;

	if (wc->status == IB_WC_SUCCESS && wc->wc_flags & IB_WC_WITH_INVALIDATE)
		rad_pool_spoil(wc->ex.invalidate_rkey);
	if (wc->status != IB_WC_SUCCESS || wc->wc_flags & IB_WC_WITH_INVALIDATE) {
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
	if (!reason && (rad_conn_repost(conn, buf) || rad_queues_trust(conn)))
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
	/* Also when it has been refused: what comes then may take a key away. */
	do {
		while (ib_poll_cq(conn->recv_cq, 1, &wc) > 0) {
			take_auth(conn, &wc);
			if (conn->authed || test_bit(RAD_CONN_CLOSING, &conn->flags))
				return;
		}
	} while (ib_req_notify_cq(conn->recv_cq, IB_CQ_NEXT_COMP |
				  IB_CQ_REPORT_MISSED_EVENTS) > 0);
}

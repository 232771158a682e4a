// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: how sessions with a peer begin, go on over a new connection, and end.
 *
 * An authenticated connection is offered to its peer, whose work item takes it: for
 * a new session, or for the one that both sides say they would go on with. What a
 * session is made of is in link.c.
 */
#define pr_fmt(fmt) "radium: " fmt

#include "link_peer.h"

/* ---- what connections ask ---- */

static struct rad_node *get_session(u32 id)
{
	struct rad_node *node = NULL;
	struct rad_peer *peer;

	spin_lock(&rad_peers_lock);
	peer = rad_peer_find_id(id);
	if (peer && peer->node)
		node = rad_node_get(peer->node);
	spin_unlock(&rad_peers_lock);
	return node;
}

/**
 * rad_peer_resume - which session would we go on with?
 * @conn: connection in the handshake
 * @auth: session and received are filled in
 *
 * Context: process.
 */
void rad_peer_resume(struct rad_conn *conn, struct rad_wire_auth *auth)
{
	struct rad_node *node = get_session(conn->peer_id);
	u32 class;

	if (!node)
		return;
	spin_lock_bh(&node->lock);
	if (node->alive && !node->end_reason) {
		auth->session = cpu_to_le64(node->session);
		for (class = 0; class < RAD_CLASS_COUNT; class++)
			auth->received[class] = cpu_to_le64(node->streams[class].received);
	}
	spin_unlock_bh(&node->lock);
	rad_node_put(node);
}

/*
 * The peer that an authenticated connection belongs to. An address that turns
 * out to be that of a node we know otherwise is merged into it: *@merged is then
 * the row to be dropped.
 */
static struct rad_peer *find_owner(struct rad_conn *conn, struct rad_peer *fresh,
				   struct rad_peer **merged)
{
	const struct sockaddr *from = (struct sockaddr *)&conn->from;
	struct rad_peer *known = rad_peer_find_id(conn->peer_id);
	struct rad_peer *row = conn->dialer ?: rad_peer_find_addr(from);

	if (row && list_empty(&row->entry))
		row = NULL;
	if (row && row->id && row->id != conn->peer_id && row->node)
		row = NULL;		/* the address has changed hands: not yet */
	if (!known && !row)
		return rad_peer_insert(fresh) ? fresh : NULL;
	if (!known) {
		row->id = conn->peer_id;
		return row;
	}
	if (row && row != known && !row->node) {
		known->addr = row->addr;
		known->dial |= row->dial;
		rad_peer_remove(row);
		*merged = row;
	}
	return known;
}

/**
 * rad_peer_offer - an authenticated connection
 * @conn: the connection
 *
 * Context: process.
 * Return: RADIUM_R_NONE: it will be used or closed; otherwise why not.
 */
u32 rad_peer_offer(struct rad_conn *conn)
{
	struct rad_peer *fresh = rad_peer_alloc((struct sockaddr *)&conn->from, GFP_KERNEL);
	struct rad_peer *peer = NULL, *merged = NULL;
	struct rad_conn *old = NULL;

	spin_lock(&rad_peers_lock);
	if (conn->dialer)
		conn->dialer->dialing = false;
	if (fresh && rad_peers_joined) {
		fresh->id = conn->peer_id;
		peer = find_owner(conn, fresh, &merged);
	}
	if (peer) {
		rad_peer_get(peer);
		old = peer->offered;
		peer->offered = rad_conn_get(conn);
	}
	spin_unlock(&rad_peers_lock);
	if (!fresh)
		return RADIUM_R_NO_MEMORY;
	if (peer != fresh)
		rad_peer_put(fresh);
	if (merged) {
		if (cancel_delayed_work(&merged->dial_work))
			rad_peer_put(merged);
		rad_peer_put(merged);
	}
	if (old) {
		rad_conn_close(old, RADIUM_R_NONE);
		rad_conn_put(old);
	}
	if (!peer)
		return RADIUM_R_UNREACHABLE;
	rad_peer_kick(peer);
	rad_peer_put(peer);
	return RADIUM_R_NONE;
}

/* ---- begin and end ---- */

/**
 * rad_node_end - a session has to end
 * @node: the session
 * @reason: why; the first one counts
 *
 * Context: any.
 */
void rad_node_end(struct rad_node *node, u32 reason)
{
	cmpxchg(&node->end_reason, 0, reason);
	rad_peer_kick(node->peer);
}

/**
 * rad_node_protocol_error - a peer has sent what no honest peer sends
 * @node: the session, which ends: see rad_process_node_dead()
 * @what: what it did, for the log
 *
 * Context: any.
 */
void rad_node_protocol_error(struct rad_node *node, const char *what)
{
	pr_warn_ratelimited("node %u breaks the protocol: %s\n", node->id, what);
	rad_node_end(node, RADIUM_R_PROTOCOL);
}

static void add_counters(struct rad_peer *peer, const struct rad_node *node)
{
	peer->bytes_sent += node->bytes_sent;
	peer->bytes_received += node->bytes_received;
	peer->messages_sent += node->messages_sent;
	peer->messages_received += node->messages_received;
}

/**
 * rad_session_end - end a session that has an end_reason
 * @peer: whose
 * @node: the session
 *
 * Context: the peer's work.
 */
void rad_session_end(struct rad_peer *peer, struct rad_node *node)
{
	u32 reason = node->end_reason;

	rad_link_stop(node);
	spin_lock(&rad_peers_lock);
	peer->node = NULL;
	peer->announced = false;
	add_counters(peer, node);
	spin_unlock(&rad_peers_lock);
	rad_peer_set_state(peer, RADIUM_NODE_DEAD, reason);
	rad_process_node_dead(node);
	rad_node_put(node);
	rad_peer_dial_in(peer, reason == RADIUM_R_PROTOCOL ? RAD_BACKOFF_MAX_MS :
							     RAD_BACKOFF_MIN_MS);
}

/* Where its session comes from; the port stays: it is the one that we connect to. */
static void set_host(struct rad_peer *peer, const struct sockaddr_storage *from)
{
	struct sockaddr_in6 *addr = (struct sockaddr_in6 *)&peer->addr;
	__be16 port = addr->sin6_port;		/* of both families in one place */

	lockdep_assert_held(&rad_peers_lock);
	BUILD_BUG_ON(offsetof(struct sockaddr_in, sin_port) !=
		     offsetof(struct sockaddr_in6, sin6_port));
	peer->addr = *from;
	addr->sin6_port = port;
}

static struct rad_node *begin_session(struct rad_peer *peer, struct rad_conn *conn)
{
	u64 session = rad_auth_session(&conn->connecting, &conn->accepting);
	struct rad_node *node;
	bool gone;

	/* Without a number there is none: the hash could not be made. */
	if (!session)
		return NULL;
	node = rad_link_create(peer, conn->peer_id, session,
			       le64_to_cpu(conn->theirs.incarnation));
	if (!node)
		return NULL;
	spin_lock(&rad_peers_lock);
	peer->node = node;
	/* Another row is the node's meanwhile, or we leave: then rad_peer_leave() may not know this one. */
	gone = list_empty(&peer->entry);
	/* Not before: until the old session has ended who has its address is the node. */
	if (!rad_same_host(&peer->addr, (const struct sockaddr *)&conn->from))
		set_host(peer, &conn->from);
	spin_unlock(&rad_peers_lock);
	if (gone)
		rad_node_end(node, RADIUM_R_ASKED);
	return node;
}

/* Both sides decide alike: from what each has told the other in its AUTH. */
static bool is_resumed(const struct rad_node *node, const struct rad_conn *conn)
{
	return conn->ours.session && conn->ours.session == conn->theirs.session &&
	       le64_to_cpu(conn->theirs.incarnation) == node->incarnation;
}

/*
 * A message that breaks every connection it is sent over must not be sent again
 * for ever: the session ends if it was resumed too often without any progress.
 */
static bool in_vain(struct rad_node *node)
{
	u64 progress = 0;
	bool idle = true;
	u32 class;

	spin_lock_bh(&node->lock);
	for (class = 0; class < RAD_CLASS_COUNT; class++) {
		progress += node->streams[class].acked + node->streams[class].received;
		idle &= list_empty(&node->streams[class].queue);
	}
	node->vain = progress == node->progress && !idle ? node->vain + 1 : 0;
	node->progress = progress;
	spin_unlock_bh(&node->lock);
	return node->vain > RAD_VAIN_MAX;
}

static int attach(struct rad_peer *peer, struct rad_node *node, struct rad_conn *conn,
		  bool resumed)
{
	int err;

	if (in_vain(node)) {
		rad_node_protocol_error(node, "breaks each connection");
		return -EPROTO;
	}
	if (node->last_conn) {
		rad_conn_close_sync(node->last_conn, RADIUM_R_NONE);
		rad_conn_put(node->last_conn);
	}
	node->last_conn = rad_conn_get(conn);
	err = rad_link_attach(node, conn, resumed);
	if (err == -EPROTO)
		rad_node_protocol_error(node, "cannot have received that");
	/* Without a connection, too: if none ever comes, silence ends the session. */
	rad_beat_start(node);
	if (err)
		return err;
	spin_lock(&rad_peers_lock);
	peer->backoff_ms = RAD_BACKOFF_MIN_MS;
	peer->attempts = 0;
	spin_unlock(&rad_peers_lock);
	return 0;
}

/**
 * rad_session_take_offer - use an authenticated connection, or close it
 * @peer: whose
 * @conn: the connection
 *
 * What we told the peer must still be so; a session of its own is then begun or resumed.
 *
 * Context: the peer's work.
 */
void rad_session_take_offer(struct rad_peer *peer, struct rad_conn *conn)
{
	struct rad_node *node = peer->node;
	bool resumed;

	if (le64_to_cpu(conn->ours.session) != (node ? node->session : 0))
		goto close;
	resumed = node && is_resumed(node, conn);
	if (node && !resumed) {
		rad_node_end(node, RADIUM_R_NODE_LOST);
		rad_session_end(peer, node);
	}
	if (!resumed)
		node = begin_session(peer, conn);
	if (!node || attach(peer, node, conn, resumed))
		goto close;
	spin_lock(&rad_peers_lock);
	peer->reconnects += resumed;
	spin_unlock(&rad_peers_lock);
	return;
close:
	rad_conn_close(conn, RADIUM_R_NONE);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: peers, the table of nodes: whom to connect to, and the states.
 *
 * One peer for each other node, made by join for an address, or by the first
 * connection for an id. All that happens to a peer happens in its work item:
 * sessions begin and end there, states change there (but for refusals).
 *
 * Who connects: of two nodes the one with the higher id does, if it knows the
 * other's address; a connection that the other one tries is rejected with reason
 * NONE and answered by one of its own. So a pair never has two connections that
 * both sides began, whatever the order of their joins; and the rule needs no
 * more than what is known when a connection request arrives.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <net/ipv6.h>
#include "link_peer.h"
#include "states.h"

DEFINE_SPINLOCK(rad_peers_lock);
static LIST_HEAD(peers);
static u32 peer_count;
bool rad_peers_joined;

#define STATE_TEXT(name, text) [RADIUM_NODE_##name] = text,
static const char *const state_texts[] = { RADIUM_NODE_STATES(STATE_TEXT) };
#undef STATE_TEXT
#define REASON_TEXT(name, what, todo) [RADIUM_R_##name] = what,
static const char *const reason_texts[] = { RADIUM_REASONS(REASON_TEXT) };
#undef REASON_TEXT

/* ---- states ---- */

/* The event that tells of a state; LOST: none does. */
static const u8 state_events[RADIUM_NODE_STATE_COUNT] = {
	[RADIUM_NODE_SELF]	 = RADIUM_EVENT_LOST,
	[RADIUM_NODE_CONNECTING] = RADIUM_EVENT_LOST,
	[RADIUM_NODE_UP]	 = RADIUM_EVENT_NODE_UP,
	[RADIUM_NODE_SUSPECT]	 = RADIUM_EVENT_NODE_SUSPECT,
	[RADIUM_NODE_DEAD]	 = RADIUM_EVENT_NODE_DEAD,
	[RADIUM_NODE_REFUSED]	 = RADIUM_EVENT_NODE_REFUSED,
};

/**
 * rad_peer_set_state - the one way from state to state
 * @peer: the peer
 * @to: the new state
 * @reason: why
 *
 * Coming up and dying begin a new epoch; healing from SUSPECT does not.
 *
 * Context: process.
 * Return: whether it changed: then the log and the event have told of it.
 */
bool rad_peer_set_state(struct rad_peer *peer, u32 to, u32 reason)
{
	u32 from, id;

	spin_lock(&rad_peers_lock);
	from = peer->state;
	id = peer->id;
	if (from == to || !rad_node_may_enter(to, from)) {
		if (from == to)
			peer->reason = reason;
		spin_unlock(&rad_peers_lock);
		return false;
	}
	peer->state = to;
	peer->reason = reason;
	peer->epoch += to == RADIUM_NODE_DEAD ||
		       (to == RADIUM_NODE_UP && from != RADIUM_NODE_SUSPECT);
	spin_unlock(&rad_peers_lock);
	pr_info("node %u (%pISc) is %s%s%s\n", id, &peer->addr, state_texts[to],
		reason ? ": " : "", reason_texts[reason]);
	if (state_events[to] != RADIUM_EVENT_LOST)
		rad_event_post(state_events[to], id, 0, 0, reason);
	return true;
}

/* ---- the table ---- */

static void peer_release(struct kref *ref)
{
	kfree(container_of(ref, struct rad_peer, ref));
}

void rad_peer_get(struct rad_peer *peer)
{
	kref_get(&peer->ref);
}

void rad_peer_put(struct rad_peer *peer)
{
	kref_put(&peer->ref, peer_release);
}

const struct sockaddr *rad_peer_addr(const struct rad_peer *peer)
{
	return (const struct sockaddr *)&peer->addr;
}

/**
 * rad_peer_kick - look after a peer
 * @peer: the peer
 *
 * Context: any.
 */
void rad_peer_kick(struct rad_peer *peer)
{
	rad_peer_get(peer);
	if (!queue_work(rad_wq, &peer->work))
		rad_peer_put(peer);
}

/**
 * rad_peer_dial_in_locked - connect, if the peer is to be dialed at all
 * @peer: the peer
 * @ms: when
 *
 * Not for a peer that has left the table: its leaving has cancelled the work.
 *
 * Context: any, under rad_peers_lock.
 */
void rad_peer_dial_in_locked(struct rad_peer *peer, u32 ms)
{
	lockdep_assert_held(&rad_peers_lock);
	if (list_empty(&peer->entry) || !peer->dial)
		return;
	rad_peer_get(peer);
	if (mod_delayed_work(rad_wq, &peer->dial_work, msecs_to_jiffies(ms)))
		rad_peer_put(peer);
}

/**
 * rad_peer_dial_in - connect, if the peer is to be dialed at all
 * @peer: the peer
 * @ms: when
 *
 * Context: process.
 */
void rad_peer_dial_in(struct rad_peer *peer, u32 ms)
{
	spin_lock(&rad_peers_lock);
	rad_peer_dial_in_locked(peer, ms);
	spin_unlock(&rad_peers_lock);
}

/**
 * rad_same_host - do two addresses differ in their ports at most?
 * @a: one
 * @b: the other
 */
bool rad_same_host(const struct sockaddr_storage *a, const struct sockaddr *b)
{
	if (a->ss_family != b->sa_family)
		return false;
	if (b->sa_family == AF_INET6)
		return ipv6_addr_equal(&((struct sockaddr_in6 *)a)->sin6_addr,
				       &((struct sockaddr_in6 *)b)->sin6_addr);
	return ((struct sockaddr_in *)a)->sin_addr.s_addr ==
	       ((struct sockaddr_in *)b)->sin_addr.s_addr;
}

/**
 * rad_peer_find_id - the row of a node
 * @id: the node's id
 *
 * Context: any, under rad_peers_lock; the row is valid as long as that is held.
 */
struct rad_peer *rad_peer_find_id(u32 id)
{
	struct rad_peer *peer;

	lockdep_assert_held(&rad_peers_lock);
	list_for_each_entry(peer, &peers, entry)
		if (peer->id == id)
			return peer;
	return NULL;
}

/**
 * rad_peer_find_addr - the row of an address
 * @addr: the address; its port does not count
 *
 * Context: any, under rad_peers_lock; the row is valid as long as that is held.
 */
struct rad_peer *rad_peer_find_addr(const struct sockaddr *addr)
{
	struct rad_peer *peer;

	lockdep_assert_held(&rad_peers_lock);
	list_for_each_entry(peer, &peers, entry)
		if (rad_same_host(&peer->addr, addr))
			return peer;
	return NULL;
}

static void peer_work(struct work_struct *work);

/**
 * rad_peer_alloc - make a peer that is not in the table yet
 * @addr: where it is
 * @gfp: how to allocate
 *
 * Return: the peer, with a reference, or NULL.
 */
struct rad_peer *rad_peer_alloc(const struct sockaddr *addr, gfp_t gfp)
{
	struct rad_peer *peer = kzalloc(sizeof(*peer), gfp);

	if (!peer)
		return NULL;
	kref_init(&peer->ref);
	INIT_WORK(&peer->work, peer_work);
	INIT_DELAYED_WORK(&peer->dial_work, rad_peer_dial_work);
	peer->state = RADIUM_NODE_CONNECTING;
	peer->backoff_ms = RAD_BACKOFF_MIN_MS;
	memcpy(&peer->addr, addr, addr->sa_family == AF_INET6 ?
	       sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
	return peer;
}

/**
 * rad_peer_insert - a new row
 * @peer: the peer; the caller's reference becomes the table's
 *
 * Context: any, under rad_peers_lock.
 * Return: whether there was room.
 */
bool rad_peer_insert(struct rad_peer *peer)
{
	lockdep_assert_held(&rad_peers_lock);
	if (peer_count >= RADIUM_NODE_MAX)
		return false;
	list_add_tail(&peer->entry, &peers);
	peer_count++;
	return true;
}

/**
 * rad_peer_remove - a row less
 * @peer: a peer in the table; the table's reference becomes the caller's
 *
 * Context: any, under rad_peers_lock.
 */
void rad_peer_remove(struct rad_peer *peer)
{
	lockdep_assert_held(&rad_peers_lock);
	list_del_init(&peer->entry);
	peer_count--;
}

/* ---- dialing ---- */

/**
 * rad_peer_dial_work - the peer's dial_work: try to connect
 * @work: it
 */
void rad_peer_dial_work(struct work_struct *work)
{
	struct rad_peer *peer = container_of(to_delayed_work(work), struct rad_peer,
					     dial_work);
	bool want;

	spin_lock(&rad_peers_lock);
	want = rad_peers_joined && peer->dial && !peer->dialing && !peer->offered &&
	       !list_empty(&peer->entry) && !rad_peer_is_connected(peer);
	peer->dialing |= want;
	spin_unlock(&rad_peers_lock);
	if (want && rad_conn_dial(peer)) {
		spin_lock(&rad_peers_lock);
		peer->dialing = false;
		spin_unlock(&rad_peers_lock);
		rad_peer_dial_in(peer, RAD_BACKOFF_MAX_MS);
	}
	rad_peer_put(peer);
}

/* How long until the next attempt: short while a session waits to be resumed. */
static u32 next_backoff(struct rad_peer *peer)
{
	u32 ms = peer->backoff_ms;

	lockdep_assert_held(&rad_peers_lock);
	peer->backoff_ms = min_t(u32, 2 * ms, RAD_BACKOFF_MAX_MS);
	return peer->node ? RAD_BACKOFF_MIN_MS : ms;
}

/**
 * rad_peer_show_failure - a connection could not be made; show it, if it is news
 * @peer: to whom
 * @reason: why
 *
 * Context: process.
 */
void rad_peer_show_failure(struct rad_peer *peer, u32 reason)
{
	u32 state;

	if (rad_is_refusal(reason)) {
		rad_peer_set_state(peer, RADIUM_NODE_REFUSED, reason);
		return;
	}
	spin_lock(&rad_peers_lock);
	state = peer->state;
	if (state == RADIUM_NODE_CONNECTING)
		peer->reason = reason;
	spin_unlock(&rad_peers_lock);
	if (state == RADIUM_NODE_REFUSED && reason)
		rad_peer_set_state(peer, RADIUM_NODE_CONNECTING, reason);
}

/* A stranger tries again and again: some lines in ten minutes will do. */
static DEFINE_RATELIMIT_STATE(strangers, 600 * HZ, 5);

/**
 * rad_peer_refused - a connection from an address was refused
 * @addr: where from
 * @reason: why
 *
 * Context: process.
 */
void rad_peer_refused(const struct sockaddr *addr, u32 reason)
{
	struct rad_peer *peer;

	spin_lock(&rad_peers_lock);
	peer = rad_peer_find_addr(addr);
	if (peer)
		rad_peer_get(peer);
	spin_unlock(&rad_peers_lock);
	if (!peer) {
		if (__ratelimit(&strangers))
			pr_warn("refused %pISc: %s\n", addr, reason_texts[reason]);
		return;
	}
	rad_peer_show_failure(peer, reason);
	rad_peer_put(peer);
}

/**
 * rad_peer_closed - a connection has been closed
 * @conn: the connection; its id is gone
 *
 * Context: process.
 */
void rad_peer_closed(struct rad_conn *conn)
{
	struct rad_peer *peer = conn->dialer;

	if (conn->node) {
		rad_peer_dial_in(conn->node->peer, 0);
		rad_peer_kick(conn->node->peer);
	} else if (peer) {
		rad_peer_show_failure(peer, conn->reason);
		spin_lock(&rad_peers_lock);
		if (!conn->authed)
			peer->dialing = false;
		rad_peer_dial_in_locked(peer, next_backoff(peer));
		spin_unlock(&rad_peers_lock);
	} else if (rad_is_refusal(conn->reason)) {
		rad_peer_refused((struct sockaddr *)&conn->from, conn->reason);
	}
}

/* ---- what connections ask ---- */

/**
 * rad_peer_admit - may this node connect to us?
 * @id: what it calls itself; not proven
 * @addr: where it is
 *
 * Context: process.
 * Return: false: no, we connect to it.
 */
bool rad_peer_admit(u32 id, const struct sockaddr *addr)
{
	struct rad_peer *peer;

	if (rad_node_self() < id)
		return true;
	spin_lock(&rad_peers_lock);
	peer = rad_peer_find_addr(addr) ?: rad_peer_find_id(id);
	if (peer && !peer->dial)
		peer = NULL;
	if (peer) {
		/* It is there: if an attempt is under way, the next one comes soon. */
		peer->backoff_ms = RAD_BACKOFF_MIN_MS;
		rad_peer_dial_in_locked(peer, 0);
	}
	spin_unlock(&rad_peers_lock);
	return !peer;
}

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

	if (!fresh)
		return RADIUM_R_NO_MEMORY;
	fresh->id = conn->peer_id;
	spin_lock(&rad_peers_lock);
	if (conn->dialer)
		conn->dialer->dialing = false;
	if (rad_peers_joined)
		peer = find_owner(conn, fresh, &merged);
	if (peer) {
		rad_peer_get(peer);
		old = peer->offered;
		peer->offered = rad_conn_get(conn);
	}
	spin_unlock(&rad_peers_lock);
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

/* ---- sessions ---- */

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

static struct rad_node *begin_session(struct rad_peer *peer, struct rad_conn *conn)
{
	u64 session = rad_auth_session(&conn->connecting, &conn->accepting);
	struct rad_node *node;

	node = rad_link_create(peer, conn->peer_id, session,
			       le64_to_cpu(conn->theirs.incarnation));
	if (!node)
		return NULL;
	spin_lock(&rad_peers_lock);
	peer->node = node;
	spin_unlock(&rad_peers_lock);
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
	if (err)
		return err;
	rad_beat_start(node);
	spin_lock(&rad_peers_lock);
	peer->backoff_ms = RAD_BACKOFF_MIN_MS;
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

static void update_state(struct rad_peer *peer, struct rad_node *node)
{
	bool silent = READ_ONCE(node->beat.silent);

	if (!rad_beat_synced(node))
		return;
	rad_peer_set_state(peer, silent ? RADIUM_NODE_SUSPECT : RADIUM_NODE_UP,
			   silent ? RADIUM_R_KEEPALIVE : RADIUM_R_NONE);
	if (peer->announced || silent)
		return;
	spin_lock(&rad_peers_lock);
	peer->announced = true;
	spin_unlock(&rad_peers_lock);
	rad_process_node_up(node);
}

static void peer_work(struct work_struct *work)
{
	struct rad_peer *peer = container_of(work, struct rad_peer, work);
	struct rad_conn *offered;

	spin_lock(&rad_peers_lock);
	offered = peer->offered;
	peer->offered = NULL;
	spin_unlock(&rad_peers_lock);
	if (peer->node && READ_ONCE(peer->node->end_reason))
		rad_session_end(peer, peer->node);
	if (offered) {
		rad_session_take_offer(peer, offered);
		rad_conn_put(offered);
	}
	if (peer->node)
		update_state(peer, peer->node);
	rad_peer_put(peer);
}

/* ---- finding ---- */

/**
 * rad_node_get_up - find a node that can be used
 * @id: its id
 *
 * A suspect node counts: nothing that it holds is lost yet, and messages to it
 * wait until it is heard of again or declared dead.
 *
 * Context: process.
 * Return: the node, up or suspect, with a reference for the caller; or NULL.
 */
struct rad_node *rad_node_get_up(u32 id)
{
	struct rad_node *node = NULL;
	struct rad_peer *peer;

	spin_lock(&rad_peers_lock);
	peer = rad_peer_find_id(id);
	if (peer && peer->announced && peer->node && !rad_node_is_dead(peer->node))
		node = rad_node_get(peer->node);
	spin_unlock(&rad_peers_lock);
	return node;
}

/**
 * rad_node_get_any - a session that is connected, to register memory through
 *
 * Return: the session with a reference, or NULL.
 */
struct rad_node *rad_node_get_any(void)
{
	struct rad_node *node = NULL;
	struct rad_peer *peer;

	spin_lock(&rad_peers_lock);
	list_for_each_entry(peer, &peers, entry)
		if (rad_peer_is_connected(peer) && !rad_node_is_dead(peer->node)) {
			node = rad_node_get(peer->node);
			break;
		}
	spin_unlock(&rad_peers_lock);
	return node;
}

/**
 * rad_node_any_alive - is there a session, be it connected or not?
 */
bool rad_node_any_alive(void)
{
	struct rad_peer *peer;
	bool alive = false;

	spin_lock(&rad_peers_lock);
	list_for_each_entry(peer, &peers, entry)
		alive |= peer->node && !rad_node_is_dead(peer->node);
	spin_unlock(&rad_peers_lock);
	return alive;
}

static void fill_session(struct radium_node_info *info, struct rad_node *node)
{
	spin_lock_bh(&node->lock);
	info->load = node->beat.load;
	info->cpus = node->beat.cpus;
	info->rtt = node->beat.rtt;
	info->clock_offset = -node->beat.offset.mono;
	info->bytes_sent += node->bytes_sent;
	info->bytes_received += node->bytes_received;
	info->messages_sent += node->messages_sent;
	info->messages_received += node->messages_received;
	spin_unlock_bh(&node->lock);
}

static void fill_peer(struct radium_node_info *info, struct rad_peer *peer)
{
	lockdep_assert_held(&rad_peers_lock);
	info->id = peer->id;
	info->state = peer->state;
	info->reason = peer->reason;
	info->epoch = peer->epoch;
	info->reconnects = peer->reconnects;
	info->bytes_sent = peer->bytes_sent;
	info->bytes_received = peer->bytes_received;
	info->messages_sent = peer->messages_sent;
	info->messages_received = peer->messages_received;
	snprintf(info->addr, sizeof(info->addr), "%pISc", &peer->addr);
	if (peer->node)
		fill_session(info, peer->node);
}

/**
 * rad_peer_list - all peers
 * @infos: where to
 * @room: entries of @infos
 *
 * Context: process.
 * Return: how many peers there are.
 */
u32 rad_peer_list(struct radium_node_info *infos, u32 room)
{
	struct rad_peer *peer;
	u32 n = 0, count;

	spin_lock(&rad_peers_lock);
	list_for_each_entry(peer, &peers, entry)
		if (n < room)
			fill_peer(&infos[n++], peer);
	count = peer_count;
	spin_unlock(&rad_peers_lock);
	return count;
}

/* ---- join and leave ---- */

/**
 * rad_peer_add - a node is to be connected to
 * @addr: its address, with port
 *
 * Context: process, during join.
 * Return: 0, also if it is known already; or -ENOMEM.
 */
int rad_peer_add(const struct sockaddr *addr)
{
	struct rad_peer *peer = rad_peer_alloc(addr, GFP_KERNEL);
	bool added;

	if (!peer)
		return -ENOMEM;
	peer->dial = true;
	spin_lock(&rad_peers_lock);
	added = !rad_peer_find_addr(addr) && rad_peer_insert(peer);
	spin_unlock(&rad_peers_lock);
	if (!added)
		rad_peer_put(peer);
	return 0;
}

/**
 * rad_peers_start - connect to all, take offers
 *
 * Context: process.
 */
void rad_peers_start(void)
{
	struct rad_peer *peer;

	spin_lock(&rad_peers_lock);
	rad_peers_joined = true;
	list_for_each_entry(peer, &peers, entry)
		rad_peer_dial_in_locked(peer, 0);
	spin_unlock(&rad_peers_lock);
}

static struct rad_peer *take_peer(void)
{
	struct rad_peer *peer;

	spin_lock(&rad_peers_lock);
	peer = list_first_entry_or_null(&peers, struct rad_peer, entry);
	if (peer)
		rad_peer_remove(peer);
	spin_unlock(&rad_peers_lock);
	return peer;
}

static void drop_offer(struct rad_peer *peer)
{
	struct rad_conn *offered;

	spin_lock(&rad_peers_lock);
	offered = peer->offered;
	peer->offered = NULL;
	spin_unlock(&rad_peers_lock);
	if (!offered)
		return;
	rad_conn_close(offered, RADIUM_R_NONE);
	rad_conn_put(offered);
}

/**
 * rad_peer_leave - end the session with a peer
 * @peer: the peer, out of the table; the reference that was the table's is put
 *
 * Its session ends in its work item, as always. None begins any more: no offer
 * is taken since we have left, and after the first flush none is being used.
 *
 * Context: process.
 */
void rad_peer_leave(struct rad_peer *peer)
{
	struct rad_node *node;

	if (cancel_delayed_work_sync(&peer->dial_work))
		rad_peer_put(peer);
	drop_offer(peer);
	flush_work(&peer->work);
	spin_lock(&rad_peers_lock);
	node = peer->node ? rad_node_get(peer->node) : NULL;
	spin_unlock(&rad_peers_lock);
	if (node) {
		rad_beat_leave(node);
		rad_node_end(node, RADIUM_R_ASKED);
		flush_work(&peer->work);
		rad_node_put(node);
	}
	rad_peer_put(peer);
}

/**
 * rad_peers_stop - end all sessions, empty the table
 *
 * Context: process.
 */
void rad_peers_stop(void)
{
	struct rad_peer *peer;

	spin_lock(&rad_peers_lock);
	rad_peers_joined = false;
	spin_unlock(&rad_peers_lock);
	while ((peer = take_peer()))
		rad_peer_leave(peer);
}

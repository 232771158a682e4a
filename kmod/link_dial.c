// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: who connects to whom, and when.
 *
 * Of two nodes the one with the higher id does, if it knows the other's address; a
 * connection that the other one tries is rejected with reason NONE and answered by
 * one of its own. So a pair never has two connections that both sides began,
 * whatever the order of their joins; and the rule needs no more than what is known
 * when a connection request arrives.
 */

#include "link_peer.h"

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

/*
 * How long an attempt may take. Where a request is lost, rdma_cm repeats it after six seconds only: the
 * next attempt is to come soon. Where machines are so slow that the handshake takes longer each one
 * would be as vain as the one before: so every third one has more time.
 */
static u32 attempt_ms(const struct rad_peer *peer)
{
	lockdep_assert_held(&rad_peers_lock);
	if (peer->attempts % RAD_CONNECT_QUICK != RAD_CONNECT_QUICK - 1)
		return RAD_CONNECT_MS;
	return peer->attempts < RAD_CONNECT_QUICK ? 2 * RAD_CONNECT_MS : 4 * RAD_CONNECT_MS;
}

/**
 * rad_peer_dial_work - the peer's dial_work: try to connect
 * @work: it
 */
void rad_peer_dial_work(struct work_struct *work)
{
	struct rad_peer *peer = container_of(to_delayed_work(work), struct rad_peer,
					     dial_work);
	bool want;
	u32 ms;

	spin_lock(&rad_peers_lock);
	ms = attempt_ms(peer);
	want = rad_peers_joined && peer->dial && !peer->dialing && !peer->offered &&
	       !peer->taking && !list_empty(&peer->entry) && !rad_peer_is_connected(peer);
	peer->dialing |= want;
	spin_unlock(&rad_peers_lock);
	if (want && rad_conn_dial(peer, ms)) {
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
 * rad_peer_closed - a connection has been closed
 * @conn: the connection; its id is gone
 *
 * Context: process.
 */
void rad_peer_closed(struct rad_conn *conn)
{
	struct rad_peer *peer = conn->dialer;

	if (conn->node) {
		/* Whoever ends a session dials when it is time. */
		if (!READ_ONCE(conn->node->end_reason))
			rad_peer_dial_in(conn->node->peer, 0);
		rad_peer_kick(conn->node->peer);
	} else if (peer) {
		rad_peer_show_failure(peer, conn->reason);
		spin_lock(&rad_peers_lock);
		if (!conn->authed) {
			peer->dialing = false;
			peer->attempts++;
		}
		rad_peer_dial_in_locked(peer, next_backoff(peer));
		spin_unlock(&rad_peers_lock);
	} else if (rad_is_refusal(conn->reason)) {
		rad_peer_refused((struct sockaddr *)&conn->from, conn->reason);
	}
}

/**
 * rad_peer_is_another - is this id that of another machine, which is there?
 * @id: what it calls itself; not proven
 * @addr: where it is
 *
 * A node that comes back with another address is one, until we have not heard of it for
 * suspect_ms.
 *
 * Context: process.
 */
bool rad_peer_is_another(u32 id, const struct sockaddr *addr)
{
	struct rad_peer *peer;
	bool another;

	spin_lock(&rad_peers_lock);
	peer = rad_peer_find_id(id);
	another = peer && peer->node && !rad_node_is_dead(peer->node) &&
		  !READ_ONCE(peer->node->end_reason) && !READ_ONCE(peer->node->beat.silent) &&
		  !rad_same_host(&peer->addr, addr);
	spin_unlock(&rad_peers_lock);
	return another;
}

/**
 * rad_peer_admit - may this node connect to us?
 * @id: what it calls itself; not proven
 * @addr: where it is
 *
 * One that comes back with another address may, once its session has ended: where it was
 * there is nobody to connect to.
 *
 * Context: process.
 * Return: false: no, we connect to it.
 */
bool rad_peer_admit(u32 id, const struct sockaddr *addr)
{
	struct rad_peer *peer, *known;

	if (rad_node_self() < id)
		return true;
	spin_lock(&rad_peers_lock);
	known = rad_peer_find_id(id);
	peer = rad_peer_find_addr(addr) ?: known && known->node ? known : NULL;
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

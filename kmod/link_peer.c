// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: one peer: another node as this one sees it, its states and its end.
 *
 * All that happens to a peer happens in its work item: sessions begin and end
 * there (link_session.c), states change there (but for refusals).
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/ratelimit.h>
#include <linux/slab.h>
#include "link_peer.h"
#include "states.h"

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
	struct sockaddr_storage addr;
	u32 from, id;

	spin_lock(&rad_peers_lock);
	from = peer->state;
	id = peer->id;
	memcpy(&addr, &peer->addr, sizeof(peer->addr));
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
	pr_info("node %u (%pISc) is %s%s%s\n", id, &addr, state_texts[to],
		reason ? ": " : "", reason_texts[reason]);
	if (state_events[to] != RADIUM_EVENT_LOST)
		rad_event_post(state_events[to], id, 0, 0, reason);
	return true;
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

/* ---- references ---- */

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

/* rad_peer_copy_addr - where a peer is, as far as is known now; any context but under rad_peers_lock */
void rad_peer_copy_addr(const struct rad_peer *peer, struct sockaddr_storage *to)
{
	BUILD_BUG_ON(sizeof(peer->addr) > sizeof(*to));
	spin_lock(&rad_peers_lock);
	memcpy(to, &peer->addr, sizeof(peer->addr));
	spin_unlock(&rad_peers_lock);
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

/* ---- what happens to it ---- */

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
}

/* An attempt to connect that was due meanwhile has not been made. */
static void offer_is_taken(struct rad_peer *peer)
{
	spin_lock(&rad_peers_lock);
	peer->taking = false;
	if (!rad_peer_is_connected(peer) && !delayed_work_pending(&peer->dial_work))
		rad_peer_dial_in_locked(peer, RAD_BACKOFF_MIN_MS);
	spin_unlock(&rad_peers_lock);
}

static void peer_work(struct work_struct *work)
{
	struct rad_peer *peer = container_of(work, struct rad_peer, work);
	struct rad_conn *offered;

	spin_lock(&rad_peers_lock);
	offered = peer->offered;
	peer->offered = NULL;
	peer->taking = offered;
	spin_unlock(&rad_peers_lock);
	if (peer->node && READ_ONCE(peer->node->end_reason))
		rad_session_end(peer, peer->node);
	if (offered) {
		rad_session_take_offer(peer, offered);
		rad_conn_put(offered);
		offer_is_taken(peer);
	}
	if (peer->node)
		update_state(peer, peer->node);
	rad_peer_put(peer);
}

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

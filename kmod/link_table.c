// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: the table of nodes, which has a row, a peer, for each other node.
 *
 * A row is made by join for an address, or by the first connection for an id; all
 * are there until leave. Here they are found, be it a peer or its session, listed,
 * and started and stopped together.
 */

#include <net/ipv6.h>
#include "link_peer.h"

DEFINE_SPINLOCK(rad_peers_lock);
static LIST_HEAD(peers);
static u32 peer_count;
bool rad_peers_joined;

/* ---- rows ---- */

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

/**
 * rad_peer_is_known - is a peer at an address, or has one been there last?
 * @addr: the address; its port does not count
 *
 * Context: process.
 */
bool rad_peer_is_known(const struct sockaddr *addr)
{
	bool known;

	spin_lock(&rad_peers_lock);
	known = rad_peer_find_addr(addr);
	spin_unlock(&rad_peers_lock);
	return known;
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

/* ---- finding ---- */

/**
 * rad_node_known - which nodes are there, up or not?
 *
 * Context: process, also under spin locks and RCU.
 * Return: bit i: node i+1, this one among them.
 */
u64 rad_node_known(void)
{
	u32 self = rad_node_self();
	struct rad_peer *peer;
	u64 ids = self ? BIT_ULL(self - 1) : 0;

	spin_lock(&rad_peers_lock);
	list_for_each_entry(peer, &peers, entry)
		if (peer->id)
			ids |= BIT_ULL(peer->id - 1);
	spin_unlock(&rad_peers_lock);
	return ids;
}

/**
 * rad_node_get_up - find a node that can be used
 * @id: its id
 *
 * A suspect node counts: nothing that it holds is lost yet, and messages to it
 * wait until it is heard of again or declared dead.
 *
 * Context: process, also under spin locks.
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
 * @but: rather another one; or NULL
 *
 * The one that was heard of last: the connection of another may be failing.
 *
 * Return: the session with a reference, or NULL.
 */
struct rad_node *rad_node_get_any(const struct rad_node *but)
{
	struct rad_node *node = NULL;
	struct rad_peer *peer;

	spin_lock(&rad_peers_lock);
	list_for_each_entry(peer, &peers, entry)
		if (rad_peer_is_connected(peer) && !rad_node_is_dead(peer->node) &&
		    (!node || node == but ||
		     (peer->node != but && time_after(READ_ONCE(peer->node->beat.heard),
						      READ_ONCE(node->beat.heard)))))
			node = peer->node;
	if (node)
		rad_node_get(node);
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

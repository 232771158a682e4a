/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: what link_peer.c, link_table.c, link_dial.c and link_session.c share:
 * peers, which are the rows of the table of nodes.
 */
#ifndef _RADIUM_LINK_PEER_H
#define _RADIUM_LINK_PEER_H

#include "link_internal.h"

/*
 * struct rad_peer - a row of the table
 * @work: everything that happens; holds a reference while queued, as @dial_work
 * @id: 0 until known
 * @dial: we know its address, and try
 * @dialing: a connection attempt is under way
 * @node: session; changed by @work only
 * @announced: @node has been up, and rad_node_get_up() finds it; changed by @work only
 * @offered: authenticated connection for @work, with a reference
 * Under rad_peers_lock unless said otherwise.
 */
struct rad_peer {
	struct kref ref;
	struct list_head entry;
	struct work_struct work;
	struct delayed_work dial_work;
	struct sockaddr_storage addr;
	u32 id;
	bool dial;
	bool dialing;
	u32 backoff_ms;
	u32 attempts;		/* to connect, one after the other, that came to nothing */
	u32 state;
	u32 reason;
	u32 epoch;
	struct rad_node *node;
	bool announced;
	struct rad_conn *offered;
	bool taking;		/* it is being taken: no other connection is wanted meanwhile */
	u64 reconnects;
	u64 bytes_sent;		/* of former sessions, as the next three */
	u64 bytes_received;
	u64 messages_sent;
	u64 messages_received;
};

extern spinlock_t rad_peers_lock;
extern bool rad_peers_joined;	/* under rad_peers_lock */

static inline bool rad_peer_is_connected(const struct rad_peer *peer)
{
	return peer->node && READ_ONCE(peer->node->conn);
}

static inline bool rad_is_refusal(u32 reason)
{
	return reason == RADIUM_R_WIRE_VERSION || reason == RADIUM_R_KERNEL_BUILD ||
	       reason == RADIUM_R_WRONG_KEY || reason == RADIUM_R_SAME_ID ||
	       reason == RADIUM_R_PROTOCOL;
}

/* link_table.c */
struct rad_peer *rad_peer_find_id(u32 id);
struct rad_peer *rad_peer_find_addr(const struct sockaddr *addr);
bool rad_peer_insert(struct rad_peer *peer);
void rad_peer_remove(struct rad_peer *peer);

/* link_peer.c */
struct rad_peer *rad_peer_alloc(const struct sockaddr *addr, gfp_t gfp);
bool rad_peer_set_state(struct rad_peer *peer, u32 to, u32 reason);
void rad_peer_show_failure(struct rad_peer *peer, u32 reason);
void rad_peer_leave(struct rad_peer *peer);

/* link_dial.c */
void rad_peer_dial_in(struct rad_peer *peer, u32 ms);
void rad_peer_dial_in_locked(struct rad_peer *peer, u32 ms);
void rad_peer_dial_work(struct work_struct *work);

/* link_session.c */
void rad_session_take_offer(struct rad_peer *peer, struct rad_conn *conn);
void rad_session_end(struct rad_peer *peer, struct rad_node *node);

#endif /* _RADIUM_LINK_PEER_H */

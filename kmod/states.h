/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: which state may follow which, as data; nothing else, so that it can be
 * looked at in user space (selftests/unit/states.c) and printed
 * (Documentation/states.sh puts the tables into protocol.rst).
 *
 * Each machine has
 *	..._FIRST	X(state, when): the state of a new one
 *	..._MOVES	X(state, entered from, when); an empty text: as the row above
 * and one function that asks the table. The states of threads and nodes are part
 * of the interface (uapi/linux/radium.h).
 */
#ifndef _RADIUM_STATES_H
#define _RADIUM_STATES_H

#include <linux/types.h>
#include "../uapi/linux/radium.h"

/* ---- thread, at home (thread.c) ---- */

#define RAD_THREAD_FIRST(X)	X(HOME, "first asked to move")

#define RAD_THREAD_MOVES(X)							\
	X(HOME,		FREEZING,	"refused, or failed before the commit")	\
	X(HOME,		PREPARING,	"")					\
	X(HOME,		RETURNING,	"registers loaded")			\
	X(FREEZING,	HOME,		"it goes out; not kept: PREPARING follows under the same lock") \
	X(PREPARING,	FREEZING,	"PREPARE sent")				\
	X(AWAY,		PREPARING,	"PREPARED: the commit")			\
	X(RETURNING,	AWAY,		"RETURN taken by the deputy")		\
	X(GONE,		HOME,		"the task exits")			\
	X(GONE,		FREEZING,	"")					\
	X(GONE,		PREPARING,	"")					\
	X(GONE,		AWAY,		"")					\
	X(GONE,		RETURNING,	"")

static inline bool rad_thread_may_enter(enum radium_thread_state to,
					enum radium_thread_state from)
{
#define ROW(to, from, when) [RADIUM_THREAD_##to][RADIUM_THREAD_##from] = true,
	static const bool may[RADIUM_THREAD_STATE_COUNT][RADIUM_THREAD_STATE_COUNT] = {
		RAD_THREAD_MOVES(ROW)
	};
#undef ROW

	return may[to][from];
}

/* ---- visitor, there (visitor.c) ---- */

#define RAD_VISITOR_STATES(X)							\
	X(PARKED,	"has no thread; its task sleeps and may be given one")	\
	X(PREPARED,	"holds a thread's registers, waits for the commit")	\
	X(RUNNING,	"is the thread")					\
	X(DEAD,		"its task is gone")

enum rad_visitor_state {
#define STATE(name, what) RAD_VISITOR_##name,
	RAD_VISITOR_STATES(STATE)
#undef STATE
	RAD_VISITOR_STATE_COUNT
};

#define RAD_VISITOR_FIRST(X)	X(PARKED, "born; its task sleeps")

#define RAD_VISITOR_MOVES(X)							\
	X(PARKED,	PREPARED,	"ABORT; registers that cannot be loaded") \
	X(PARKED,	RUNNING,	"RETURN sent, or ABORT")		\
	X(PREPARED,	PARKED,		"PREPARE, before the registers are loaded") \
	X(RUNNING,	PREPARED,	"COMMIT")				\
	X(DEAD,		PARKED,		"its task is gone")			\
	X(DEAD,		PREPARED,	"")					\
	X(DEAD,		RUNNING,	"")

static inline bool rad_visitor_may_enter(enum rad_visitor_state to, enum rad_visitor_state from)
{
#define ROW(to, from, when) [RAD_VISITOR_##to][RAD_VISITOR_##from] = true,
	static const bool may[RAD_VISITOR_STATE_COUNT][RAD_VISITOR_STATE_COUNT] = {
		RAD_VISITOR_MOVES(ROW)
	};
#undef ROW

	return may[to][from];
}

/* ---- page, at home (homemem.c) ---- */

#define RAD_PAGE_STATES(X)							\
	X(TAKING,	"a worker prepares the grant; published before the page is unmapped") \
	X(AWAY,		"one node owns it")					\
	X(RECALLING,	"that node was asked to give it back")			\
	X(SHARING,	"that node was asked for the content, and goes on reading") \
	X(RETURNED,	"the frame is current, the page tables are not yet repaired") \
	X(FINALIZING,	"somebody repairs them")				\
	X(COPIED,	"nodes hold read-only copies")				\
	X(REVOKING,	"they were asked to drop them")				\
	X(LOST,		"the owner died with the page")				\
	X(GONE,		"no longer in the directory")

enum rad_page_state {
#define STATE(name, what) RAD_PAGE_##name,
	RAD_PAGE_STATES(STATE)
#undef STATE
	RAD_PAGE_STATE_COUNT
};

#define RAD_PAGE_FIRST(X)	X(TAKING, "PAGE_GET; published before anything is unmapped")

#define RAD_PAGE_MOVES(X)							\
	X(AWAY,		TAKING,		"granted with ownership")		\
	X(AWAY,		RECALLING,	"PAGE_ARRIVED: its owner has sent it on")	\
	X(RECALLING,	AWAY,		"PAGE_REVOKE sent")			\
	X(RETURNED,	RECALLING,	"PAGE_BACK: the frame is current; or given up") \
	X(SHARING,	AWAY,		"PAGE_REVOKE sent, with KEEP")		\
	X(RETURNED,	SHARING,	"PAGE_BACK: the frame is current; or given up") \
	X(RETURNED,	TAKING,		"taken, but not granted")		\
	X(RETURNED,	AWAY,		"given up: the address space is dead")	\
	X(RETURNED,	LOST,		"")					\
	X(TAKING,	COPIED,		"its only reader wants to write to it")	\
	X(FINALIZING,	RETURNED,	"somebody repairs the page tables")	\
	X(COPIED,	TAKING,		"granted as a copy")			\
	X(COPIED,	FINALIZING,	"home again, and read elsewhere")	\
	X(COPIED,	REVOKING,	"the one who wants to write is left")	\
	X(REVOKING,	FINALIZING,	"home again, and the readers were asked meanwhile") \
	X(REVOKING,	COPIED,		"PAGE_REVOKE sent to each holder, or to all but one who wants to write") \
	X(REVOKING,	TAKING,		"not granted, and its reader was asked meanwhile") \
	X(LOST,		AWAY,		"the owner died, or does not have it: SIGBUS for who asks, SIGKILL") \
	X(LOST,		RECALLING,	"")					\
	X(LOST,		SHARING,	"")					\
	X(GONE,		FINALIZING,	"leaves the directory: home again")	\
	X(GONE,		TAKING,		"leaves it: not granted, nothing was held") \
	X(GONE,		REVOKING,	"leaves it: the last copy was dropped")	\
	X(GONE,		COPIED,		"leaves it: the last holder died, or given up")

static inline bool rad_page_may_enter(enum rad_page_state to, enum rad_page_state from)
{
#define ROW(to, from, when) [RAD_PAGE_##to][RAD_PAGE_##from] = true,
	static const bool may[RAD_PAGE_STATE_COUNT][RAD_PAGE_STATE_COUNT] = {
		RAD_PAGE_MOVES(ROW)
	};
#undef ROW

	return may[to][from];
}

/* Somebody works on it, and it ends by itself or with the death of the peer. */
static inline bool rad_page_in_motion(enum rad_page_state state)
{
	return state == RAD_PAGE_TAKING || state == RAD_PAGE_RECALLING ||
	       state == RAD_PAGE_SHARING || state == RAD_PAGE_FINALIZING ||
	       state == RAD_PAGE_REVOKING;
}

/* ---- node, as each other node sees it (link_peer.c) ---- */

#define RAD_NODE_FIRST(X)	X(CONNECTING, "named at join, or the first connection of an id")

#define RAD_NODE_MOVES(X)							\
	X(CONNECTING,	REFUSED,	"a refusal was followed by another failure") \
	X(UP,		CONNECTING,	"authenticated, clocks compared")	\
	X(UP,		DEAD,		"")					\
	X(UP,		REFUSED,	"")					\
	X(UP,		SUSPECT,	"heard of again")			\
	X(SUSPECT,	UP,		"``suspect_ms`` of silence")		\
	X(DEAD,		UP,		"the session has ended")		\
	X(DEAD,		SUSPECT,	"")					\
	X(DEAD,		CONNECTING,	"")					\
	X(DEAD,		REFUSED,	"")					\
	X(REFUSED,	CONNECTING,	"one side refuses the other")		\
	X(REFUSED,	DEAD,		"")

static inline bool rad_node_may_enter(enum radium_node_state to, enum radium_node_state from)
{
#define ROW(to, from, when) [RADIUM_NODE_##to][RADIUM_NODE_##from] = true,
	static const bool may[RADIUM_NODE_STATE_COUNT][RADIUM_NODE_STATE_COUNT] = {
		RAD_NODE_MOVES(ROW)
	};
#undef ROW

	return may[to][from];
}

#endif /* _RADIUM_STATES_H */

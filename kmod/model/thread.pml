/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: one thread that is moved several times: its deputy at home, two nodes with
 * visitors, messages that are late, the death of a node, a kill at home or there.
 *
 * Parts, each by a macro: DEATH, KILL.
 */
#include "tables.h"	/* RAD_THREAD_MOVES, RAD_VISITOR_MOVES: from kmod/states.h */

#define N	2	/* nodes but home */
#define SLOTS	2	/* visitors of a node */
#define V	4	/* N * SLOTS */
#ifndef STAYS
#define STAYS	3	/* it leaves so many times */
#endif

#define NAME(name, what)	name,
mtype = { RADIUM_THREAD_STATES(NAME) NONE }
mtype = { RAD_VISITOR_STATES(NAME) NOBODY }
mtype = { PREPARE, COMMIT, ABORT }	/* home to node, class REQUEST */
mtype = { RETURN, VISITOR_GONE }		/* node to home, class REQUEST */
mtype = { NIL, YES, NOT }			/* PREPARED, class ANSWER */

/* Home. */
mtype st = NONE
byte stay, node
bool image		/* RETURN came */
bool lost		/* the node died, or the visitor was killed */
bool killed		/* SIGKILL at home */

/* There: a visitor has slot node * SLOTS + 0 or 1. */
mtype visitor[V] = PARKED
byte visitor_stay[V]
bool loading[V], discard[V]

/* Links. PREPARE is handled by workers, the rest in order. */
chan request[N] = [5] of { mtype, byte }
chan reply[N] = [4] of { mtype, byte }
mtype answer[STAYS + 1] = NIL
bool down[N]

/* ---- the tables ---- */

c_decl {
	static const char *name_of[256];
	static char rows[256][256];	/* 1: in the table; 2: taken in this run */

	static int row(int to, int from)
	{
		if (rows[to][from] == 1) {
			printf("row %s %s\n", name_of[to], name_of[from]);
			rows[to][from] = 2;
		}
		return rows[to][from];
	}
}

mtype to = NONE, from = NONE
#define FIRST(state, when)	state
#define ROW(to_, from_, when)						\
	to = to_; from = from_;						\
	c_code {							\
		name_of[now.to] = #to_;					\
		name_of[now.from] = #from_;				\
		rows[now.to][now.from] = 1;				\
	};

inline set_state(next)
{
	to = next
	c_code [row(now.to, now.st)] { ; }
	st = to
	to = NONE
}

inline set_visitor(v, next)
{
	to = next
	from = visitor[v]
	c_code [row(now.to, now.from)] { ; }
	visitor[v] = to
	to = NONE
	from = NONE
}

/* ---- what has to hold ---- */

/* Also where a node is cut off: what it has still runs. */
#define running		((st == HOME) + (visitor[0] == RUNNING) + (visitor[1] == RUNNING) + \
			 (visitor[2] == RUNNING) + (visitor[3] == RUNNING))

/* ---- home ---- */

inline tell(what)
{
	if
	:: !down[node] -> request[node]!what(stay)
	:: else
	fi
}

proctype deputy()
{
	st = RAD_THREAD_FIRST(FIRST)
end:	atomic {
		if
		:: killed -> set_state(GONE); goto gone
		:: !killed && stay < STAYS && !down[0] -> node = 0
		:: !killed && stay < STAYS && !down[1] -> node = 1
		fi
		/* Both under one lock. */
		set_state(FREEZING)
		set_state(PREPARING)
		stay++
		image = false
		lost = false
		tell(PREPARE)
	}
	atomic {
		if
		:: answer[stay] == YES
		:: answer[stay] == NOT -> set_state(HOME); goto end
		:: down[node] -> set_state(HOME); goto end
		/* 15 s, or killed. */
		:: goto give_up
#ifdef BUG_COMMIT_EARLY
		:: true
#endif
		fi
	}
	/* The commit. */
	atomic {
		set_state(AWAY)
		lost = down[node]
	}
	atomic { tell(COMMIT) }
	do
	:: atomic { image -> image = false; set_state(RETURNING); break }
	:: atomic { !image && (lost || killed) ->
		killed = true
		if
		:: !lost -> tell(ABORT)
		:: else
		fi
		set_state(GONE)
		goto gone }
	od
	atomic { set_state(HOME); goto end }
give_up:
	atomic {
		tell(ABORT)
		set_state(HOME)
		goto end
	}
gone:	skip
}

#define is_about(n)	(st == AWAY && node == n && stay == s)

inline returned(n)
{
	image = image || is_about(n)
	s = 0
}

inline died(n)
{
	lost = lost || (is_about(n) && !image)
	s = 0
}

/* The poller, in order for each node. */
proctype poller()
{
	byte s

end:	do
	:: atomic { reply[0]?RETURN(s) -> returned(0) }
	:: atomic { reply[1]?RETURN(s) -> returned(1) }
	:: atomic { reply[0]?VISITOR_GONE(s) -> died(0) }
	:: atomic { reply[1]?VISITOR_GONE(s) -> died(1) }
	od
}

/* ---- there ---- */

inline send(d, what, s)
{
	if
	:: !down[d] -> reply[d]!what(s)
	:: else
	fi
}

/* One PREPARE. They are handled in any order, and late. */
#define is_free(v)	((visitor[v] == PARKED || visitor[v] == PREPARED) && !loading[v])
#ifdef BUG_OLD_STAY
#define is_outdated(s)	false
#else
#define is_outdated(s)	(visitor_stay[SLOTS * d] >= s || visitor_stay[SLOTS * d + 1] >= s)
#endif

proctype worker(byte d, s)
{
	byte v

	atomic {
		if
		:: is_outdated(s) -> goto refused
		:: !is_outdated(s) && is_free(SLOTS * d) -> v = SLOTS * d
		:: !is_outdated(s) && is_free(SLOTS * d + 1) -> v = SLOTS * d + 1
		:: else -> goto refused
		fi
		if
		:: visitor[v] == PARKED -> set_visitor(v, PREPARED)
		:: else
		fi
		visitor_stay[v] = s
		loading[v] = true
		discard[v] = false
	}
	atomic {
		loading[v] = false
		if
		:: visitor[v] == PREPARED -> answer[s] = (down[d] -> NIL : YES); goto done
		:: visitor[v] == PREPARED -> set_visitor(v, PARKED)	/* bad registers */
		:: else
		fi
	}
refused:
	atomic { answer[s] = (down[d] -> NIL : NOT) }
done:	skip
}

#define is_addressed(v)	(visitor_stay[v] == s && (visitor[v] == PREPARED || visitor[v] == RUNNING))

/* The visitor that a message is about. */
inline find()
{
	if
	:: is_addressed(SLOTS * d) -> v = SLOTS * d
	:: !is_addressed(SLOTS * d) && is_addressed(SLOTS * d + 1) -> v = SLOTS * d + 1
	:: else -> v = V
	fi
}

/* The task of a visitor: the thread comes home when it likes, or is asked to; or is forgotten. */
inline go(v)
{
#ifdef BUG_RETURN_EARLY
	send(d, RETURN, visitor_stay[v])
	if
	:: !discard[v] -> goto end
	:: else
	fi
#endif
	set_visitor(v, PARKED)
#ifndef BUG_RETURN_EARLY
	if
	:: discard[v] -> discard[v] = false
	:: else -> send(d, RETURN, visitor_stay[v])
	fi
#endif
}

proctype there(byte d)
{
	byte s, v

end:	do
	:: atomic { request[d]?PREPARE(s) -> run worker(d, s); s = 0 }
	:: atomic { request[d]?COMMIT(s) ->
		find()
		if
		:: v < V && visitor[v] == PREPARED -> set_visitor(v, RUNNING)
		:: else -> send(d, VISITOR_GONE, s)
		fi
		s = 0; v = 0 }
	:: atomic { request[d]?ABORT(s) ->
		find()
		if
		:: v < V && visitor[v] == RUNNING -> discard[v] = true
		:: v < V && visitor[v] == PREPARED -> set_visitor(v, PARKED)
		:: else
		fi
		s = 0; v = 0 }
	:: atomic { visitor[SLOTS * d] == RUNNING -> go(SLOTS * d) }
	:: atomic { visitor[SLOTS * d + 1] == RUNNING -> go(SLOTS * d + 1) }
	od
}

/* ---- ends ---- */

#ifdef DEATH
proctype death()
{
	if
	:: true -> goto alive
	:: atomic { true ->
		down[1] = true
		do
		:: request[1]?_, _
		:: reply[1]?_, _
		:: empty(request[1]) && empty(reply[1]) -> break
		od
	   }
	fi
	atomic {
		lost = lost || (st == AWAY && node == 1 && !image)
	}
	/* A node that is cut off finds out by itself, some time. */
alive:	skip
}
#endif

#ifdef KILL
/* At home; or the replica at node 0, which may be made anew. */
proctype kill()
{
	byte v

	if
	:: true
	:: killed = true
	:: do
	   :: atomic { v < SLOTS ->
		if
		:: visitor[v] == RUNNING -> send(0, VISITOR_GONE, visitor_stay[v])
		:: else
		fi
		set_visitor(v, DEAD)
		discard[v] = false
		v++ }
	   :: v == SLOTS -> break
	   od
	   do
	   :: atomic { v > 0 && !loading[v - 1] ->
		v--
		visitor[v] = RAD_VISITOR_FIRST(FIRST)
		visitor_stay[v] = 0 }
	   :: v == 0 -> break
	   od
	fi
}
#endif

/* Without a death or a kill no thread is lost. */
#if defined(DEATH) || defined(KILL)
#define may_be_gone	(st == GONE && killed)
#else
#define may_be_gone	false
#endif

/* Blocked for as long as everything is right, so that it adds no states. */
proctype monitor()
{
end:	do
	:: atomic { running > 1 -> assert(false) }
	:: atomic { timeout ->
		assert(st == HOME || may_be_gone)
		break }
	od
}

init
{
	atomic {
		RAD_THREAD_MOVES(ROW)
		RAD_VISITOR_MOVES(ROW)
		to = NONE
		from = NONE
#ifdef DEATH
		run death()
#endif
#ifdef KILL
		run kill()
#endif
		run deputy()
		run poller()
		run there(0)
		run there(1)
		run monitor()
	}
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: one page of a distributed process: its entry at home, the nodes that ask
 * for it, a thread at home, a layout change, the death of a node, the end of the
 * process. Documentation/model.rst says what is left out and how it is run.
 *
 * Parts, each by a macro: HOME, LAYOUT, KINDS, DEATH, KILL, EXIT, FORWARD, SEVER, UPGRADE; for
 * the check of progress LIVE.
 */
#include "tables.h"	/* RAD_PAGE_STATES, RAD_PAGE_MOVES: from kmod/states.h */

#define N	2	/* nodes but home */
#define NOBODY	N

#define NAME(name, what)	name,
mtype = { RAD_PAGE_STATES(NAME) NONE }		/* NONE: not in the directory */
mtype = { NO, READ, WRITE, HELD }		/* rights; what is asked for; HELD: to write, by a reader */
mtype = { OWNED, COPY, YOURS, AGAIN, REVOKE, KEEP, PASS, SHARE, CANCEL, BRING }	/* home to node, class ANSWER */
mtype = { NIL, DATA, CLEAN, MISSING, ENDED, ARRIVED }	/* PAGE_BACK; ENDED: the session has */

/* ---- what is there ---- */

/* The entry. */
mtype st = NONE
byte owner = NOBODY
bool copies[N]		/* holders of a read-only copy */
bool due[N]		/* a revocation that is not answered */
bool granting		/* decided, on its way into the stream */
bool stale		/* the layout changed while it was being taken */
bool held		/* TAKING: it has been unmapped, its frame is held */
mtype to = NONE		/* of set_state() */

#ifdef FORWARD
/*
 * The owner sends the page straight to who asks, over a link of their own. Home waits
 * until it has arrived: a revocation could overtake it otherwise.
 */
byte next = NOBODY	/* who gets it */
bool shared		/* ... to read; so do the owner and home; it is granting meanwhile */
bool unsure		/* only he knows whether it came */
bool asking		/* he has been asked */
bool missing		/* he does not have it: the owner has been asked for what he keeps */
mtype handed = NIL	/* how it ended; ARRIVED: the request is over */
mtype link[N] = NIL	/* to node n: OWNED, COPY */
bool fresh_link[N]
bool open[N]		/* the request that is to be answered so is under way */
bool got[N]		/* PAGE_ARRIVED on its way home */
bool passing[N]		/* has sent ownership, does not know whether it was received */
bool kept[N]		/* the page, until it does */
bool fresh_sent[N]
bool unsent[N]		/* that it does not know is on its way home */
bool old[N]		/* ... of an earlier transaction: an answer has a call that it belongs to */
bool sent_too[N]	/* with back[n] */
bool severed		/* the nodes have no session with each other */
#define is_forwarding	(next != NOBODY)
#define has_got(n)	got[n]
#else
#define has_got(n)	false
#define is_forwarding	false
#endif

/* Who waits for the entry that he has seen: another at the same address is not his. */
bool seen_home, seen_worker

/* The address space at home. */
mtype pte = WRITE	/* what the page tables permit */
bool read_only		/* of a mapping that may not be written */
bool gate		/* a layout change is under way: nothing is taken */
byte readers		/* mmap_lock */
bool writer		/* holds it, or waits for it: new readers wait behind him */
bool rmap		/* locks of the reverse map, held by who changes the layout */
bool killed, dead	/* SIGKILL; the address space is released */
byte users		/* tasks at home that use the address space */
bool quiet		/* nobody begins anything any more: who waits now waits for ever */

/* A node. */
mtype right[N] = NO
bool dirty[N]
bool asked[N]		/* a fetch is under way */
bool down[N]		/* its session has ended */
bool ended[N]		/* the replica was killed there */
mtype late[N] = NIL	/* a revocation that waits until the page has had its use */

/* Links. Each of these streams keeps its order, and no other. */
mtype get[N] = NO			/* PAGE_GET */
chan stream[N] = [3] of { mtype }	/* PAGE_GRANT, PAGE_REVOKE */
mtype back[N] = NIL			/* PAGE_BACK */

/*
 * Does what is in a place equal the last write? No more has to be known about
 * content: the one question is whether a read gives the last write.
 */
bool fresh_home = true
bool fresh[N], fresh_grant[N], fresh_back[N]

/* ---- the table ---- */

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

#define STATE(name, what)	to = name; c_code { name_of[now.to] = #name; };
#define ROW(to_, from_, when)	to = to_; st = from_; c_code { rows[now.to][now.st] = 1; };
#define FIRST(state, when)	state

/* What every transition of an entry goes through. */
inline set_state(state)
{
	to = state
	c_code [row(now.to, now.st)] { ; }
	st = to
	to = NONE
}

/* Nobody owns it any more. */
inline come_back(state)
{
	set_state(state)
	owner = NOBODY
}

inline leave()
{
	assert(!due[0] && !due[1])
	set_state(GONE)
	st = NONE
	copies[0] = false
	copies[1] = false
	seen_home = false
	seen_worker = false
}

/* ---- content ---- */

inline written_nowhere_else()
{
	fresh_grant[0] = false
	fresh_grant[1] = false
	fresh_back[0] = false
	fresh_back[1] = false
#ifdef FORWARD
	fresh_link[0] = false
	fresh_link[1] = false
	fresh_sent[0] = false
	fresh_sent[1] = false
#endif
}

inline write_at_home()
{
	written_nowhere_else()
	fresh[0] = false
	fresh[1] = false
	fresh_home = true
}

inline write_at(n)
{
	written_nowhere_else()
	fresh[1 - n] = false
	fresh_home = false
	fresh[n] = true
	dirty[n] = true
}

#ifdef FORWARD
#define on_link	(fresh_link[0] || fresh_link[1] || fresh_sent[0] || fresh_sent[1])
#else
#define on_link	false
#endif
/* Whether a write at home would change anything: if not, it is not a step. */
#define fresh_elsewhere	(fresh[0] || fresh[1] || fresh_grant[0] || fresh_grant[1] || \
			 fresh_back[0] || fresh_back[1] || on_link)

/*
 * One writer or many readers, of those who count: not a node that home has no session
 * with, and nobody when the address space is dead. And who may read reads the last write.
 */
#define counts(n)	(!down[n] && !ended[n] && !dead)
#define right_of(n, r)	(counts(n) && right[n] == r)
#define one_writer							\
	((!right_of(0, WRITE) || (pte == NO && !right_of(1, READ) && !right_of(1, WRITE))) && \
	 (!right_of(1, WRITE) || (pte == NO && !right_of(0, READ) && !right_of(0, WRITE))) && \
	 (!(right_of(0, READ) || right_of(1, READ)) || pte != WRITE || dead))
#define reads_last_write						\
	((pte == NO || dead || fresh_home) &&				\
	 (!counts(0) || right[0] == NO || fresh[0]) &&			\
	 (!counts(1) || right[1] == NO || fresh[1]))

/* ---- what is done under the lock of the directory ---- */

#define any_due		(due[0] || due[1])
#define any_copy	(copies[0] || copies[1])

#ifdef FORWARD
/* Nobody but who has begun it has to do with it any more. */
inline over(how)
{
	next = NOBODY
	unsure = false
	asking = false
	missing = false
	handed = how
	if
	:: shared ->
		shared = false
		granting = false
		if
		:: st == COPIED && !any_copy -> leave()
		:: else
		fi
	:: else
	fi
}

inline has_arrived(n)
{
	if
	/* Who was asked says in his answer whether it came. */
	:: next == n && !asking && shared -> copies[n] = true; over(ARRIVED)
	:: next == n && !asking && !shared -> owner = n; set_state(AWAY); over(ARRIVED)
	:: else
	fi
}

/* The owner has sent it, in vain perhaps. */
inline was_unsent(n)
{
	if
	:: !old[n] && st == RECALLING && is_forwarding && owner == n && !asking -> unsure = true
	:: else
	fi
	old[n] = false
}

/* He does not have it: what the owner has sent he keeps until he knows that it was received. */
inline bring_back()
{
	missing = true
	if
	:: down[owner] -> come_back(LOST); over(ARRIVED)
	:: else -> due[owner] = true; stream[owner]!BRING
	fi
}

/* The owner was asked to give ownership to another; or that one, whether he has it. */
inline answered_forward(n, what, fresh_)
{
	if
	:: asking && !missing && n == next ->
		if
		:: what == DATA -> fresh_home = fresh_; come_back(RETURNED); over(ARRIVED)
#ifdef BUG_OLD_CONTENT
		:: else -> bring_back()
#elif defined(BUG_OLD_REPLICA)
		:: what == ENDED -> come_back(LOST); over(ARRIVED)
		:: what != ENDED && what != DATA -> bring_back()
#else
		:: what == CLEAN -> bring_back()
		/* It may have had it, and written to it. */
		:: else -> come_back(LOST); over(ARRIVED)
#endif
		fi
	:: missing && n == owner ->
		if
		:: what == DATA -> fresh_home = fresh_; come_back(RETURNED)
		:: else -> come_back(LOST)
		fi
		over(ARRIVED)
	:: !asking && n == owner ->
		if
		:: what == ENDED -> unsure = true
		:: what == MISSING -> come_back(LOST); over(ENDED)
		:: else -> assert(false)
		fi
	:: else
	fi
}
#endif

/* The answer to a revocation, or the end of the session instead. */
inline answered(n, what, fresh_)
{
	due[n] = false
	if
#ifdef FORWARD
	:: shared && asking && n == next -> over(ARRIVED)
	:: !(shared && asking && n == next) && st == RECALLING && is_forwarding ->
		answered_forward(n, what, fresh_)
	:: !(shared && asking && n == next) && (st == RECALLING && !is_forwarding || st == SHARING) ->
#else
	:: st == RECALLING || st == SHARING ->
#endif
		if
		:: what == MISSING || what == ENDED ->
			come_back(LOST)
		:: else ->
			if
			:: what == DATA -> fresh_home = fresh_
			:: else
			fi
			if
			:: st == SHARING -> copies[n] = true
			:: else
			fi
			come_back(RETURNED)
		fi
#ifdef FORWARD
		if
		:: shared && !asking && what == ENDED -> unsure = true
		:: shared && !asking && what != ENDED && !sent_too[n] -> over(ENDED)
		:: else
		fi
#endif
	:: st == REVOKING ->
		copies[n] = false
		if
		:: !any_due && !any_copy -> leave()
		:: !any_due && any_copy -> set_state(COPIED)
		:: else
		fi
	:: else ->
		copies[n] = false
	fi
#ifdef FORWARD
	sent_too[n] = false
#endif
}

inline ask(n, how)
{
	due[n] = true
	if
	:: !down[n] -> stream[n]!how
	:: else -> due[n] = false; come_back(LOST)
	fi
}

/* The holders of copies are asked to drop them; what becomes of the entry is the caller's. */
inline ask_holders()
{
	if
	:: copies[0] -> copies[0] = false; due[0] = true
	:: else
	fi
	if
	:: copies[1] -> copies[1] = false; due[1] = true
	:: else
	fi
	if
	:: due[0] && down[0] -> due[0] = false
	:: due[0] && !down[0] -> stream[0]!REVOKE
	:: else
	fi
	if
	:: due[1] && down[1] -> due[1] = false
	:: due[1] && !down[1] -> stream[1]!REVOKE
	:: else
	fi
}

/* Begins to bring the page home, as far as an access needs it. */
inline recall(access)
{
	if
	:: st == AWAY && access == READ ->
		set_state(SHARING)
		ask(owner, KEEP)
	:: st == AWAY && access == WRITE ->
		set_state(RECALLING)
		ask(owner, REVOKE)
	:: st == COPIED && !granting ->
		set_state(REVOKING)
		ask_holders()
#ifdef BUG_GRANT_EARLY
		due[0] = false
		due[1] = false
#endif
		if
		:: !any_due -> leave()
		:: else
		fi
	:: else
	fi
}

/* Nothing changes by itself any more. */
#define in_motion	(st == TAKING || st == RECALLING || st == SHARING || st == RETURNED || \
			 st == FINALIZING || st == REVOKING)
#define settled	(st == AWAY || st == LOST || (st == COPIED && !granting))

/* ---- home: a worker ---- */

inline reply(n, what)
{
	if
	:: !down[n] -> stream[n]!what
	:: else
	fi
}

inline send_grant(what)
{
	sent = !down[n]
	if
	:: sent -> fresh_grant[n] = fresh_home; stream[n]!what
	:: else
	fi
}

#if defined(LIVE) && !defined(BUG_NO_TURN)
byte last
#define in_turn(n)	(last != n || get[1 - n] == NO)
#else
#define in_turn(n)	true
#endif

/* Serves one request at a time: the turn of the page. */
proctype worker()
{
	byte n
	mtype want
	bool sent
	bool keeps	/* who asks reads the page, and says so */

end:	atomic {
		if
		:: get[0] != NO && in_turn(0) -> n = 0
		:: get[1] != NO && in_turn(1) -> n = 1
		fi
		want = get[n]
		get[n] = NO
		/* Who asks has no copy any more, unless he says so. */
		if
		:: want == HELD -> keeps = true; want = WRITE
		:: else -> copies[n] = false
		fi
		if
		:: st == COPIED && !any_copy -> leave()
		:: else
		fi
	}
look:	atomic {
#ifdef UPGRADE
		keeps = keeps && (copies[n] || (st == SHARING && owner == n))
		if
		:: keeps && !dead && st == COPIED && copies[1 - n] && !granting ->
			/* The others drop theirs. */
			set_state(REVOKING)
			copies[1 - n] = false
			due[1 - n] = !down[1 - n]
			if
			:: due[1 - n] -> stream[1 - n]!REVOKE
			:: else -> set_state(COPIED)
			fi
			goto others
		:: keeps && !dead && st == COPIED && !copies[1 - n] -> goto upgrade
		:: keeps && !dead && st != COPIED -> goto others
		:: else
		fi
#endif
		if
		:: dead || st == LOST -> reply(n, AGAIN); goto done
		:: !dead && st == NONE && gate -> goto closed
		:: !dead && st == NONE && !gate -> st = RAD_PAGE_FIRST(FIRST)
		:: st == COPIED && want == READ && gate -> goto closed
		:: st == COPIED && want == READ && !gate -> seen_worker = true; goto add
#ifdef FORWARD
		:: st == AWAY && !gate && !writer ->
			assert(owner != n)
			next = n
			handed = NIL
			open[n] = true
			if
			/* Who reads what its owner has written may become the owner, too. */
			:: true ->
				set_state(RECALLING)
				if
				:: down[owner] -> unsure = true
				:: else -> old[owner] = passing[owner] || unsent[owner]; stream[owner]!PASS
				fi
			:: want == READ ->
				shared = true
				granting = true
				set_state(SHARING)
				ask(owner, SHARE)
				if
				:: st == LOST -> unsure = true
				:: else
				fi
			fi
			goto sent_on
#endif
		:: in_motion || st == AWAY || (st == COPIED && want == WRITE) ->
			assert(st != AWAY || owner != n)
			recall(want)
			seen_worker = st != NONE
			goto wait
		fi
	}
	/* The page as the mapping has it now; or it cannot be taken. */
	atomic {
		if
		:: !writer && !read_only && pte != NO -> held = true; pte = NO
		:: !writer && read_only && want == READ
		:: !writer -> goto not_taken
		fi
	}
	/* Decided, and published, before it is in the stream: a layout change waits from now on. */
	atomic {
		if
		:: stale -> goto not_taken
		:: else -> granting = true; send_grant((held -> OWNED : COPY))
		fi
	}
	atomic {
		granting = false
		if
		:: sent && held -> owner = n; set_state(AWAY)
		:: !sent && held -> come_back(RETURNED)
		:: sent && !held && !down[n] -> copies[n] = true; set_state(COPIED)
		:: else -> leave()
		fi
		held = false
		stale = false
		if
		/* Its death may have been dealt with before. */
		:: st == AWAY && down[n] -> set_state(RECALLING); come_back(LOST)
		:: else
		fi
		goto done
	}
not_taken:
	atomic {
		reply(n, AGAIN)
		if
		:: held -> held = false; come_back(RETURNED)
		:: else -> leave()
		fi
		stale = false
		goto done
	}
#ifdef UPGRADE
	/* What is on its way to become what he reads. */
others:	atomic { settled || !copies[n]; goto look }
	/*
	 * Taken under its last reader. mmap_lock is held, and the page found, before the entry
	 * says so: whoever wants to write to it at home waits for us.
	 */
upgrade:
	atomic { !writer; readers++ }
	atomic {
		if
		:: st == COPIED && copies[n] && !copies[1 - n] && !granting && !gate && !dead && !read_only ->
			stale = false
			set_state(TAKING)
		:: else -> readers--; keeps = false; goto look
		fi
	}
	atomic {
		if
		:: !rmap && pte != NO -> held = true; pte = NO
		:: true				/* pinned, say */
		fi
	}
	atomic {
		if
		:: held && !stale && copies[n] ->
			granting = true
			copies[n] = false
			reply(n, YOURS)
			sent = !down[n]
		:: else -> keeps = false
		fi
	}
	atomic {
		granting = false
		if
		:: sent && held -> owner = n; set_state(AWAY)
		:: !sent && held -> come_back(RETURNED)
		:: !held && any_due -> set_state(REVOKING)
		:: !held && !any_due && any_copy -> set_state(COPIED)
		:: else -> leave()
		fi
		held = false
		stale = false
		readers--
		if
		/* Its death may have been dealt with before. */
		:: st == AWAY && down[n] -> set_state(RECALLING); come_back(LOST)
		:: else
		fi
		if
		:: keeps -> goto done
		:: else -> sent = false; goto look
		fi
	}
#endif
	/* Ends: who repairs, who answers and who dies need nothing of us. */
wait:	atomic {
		!seen_worker || settled
		seen_worker = false
		goto look
	}
#ifdef FORWARD
sent_on:
	atomic {
		if
#ifdef BUG_FORWARD_EARLY
		:: !shared && handed == NIL -> owner = n; set_state(AWAY); over(ARRIVED)
#endif
		:: handed == ENDED -> handed = NIL; goto look
		:: handed == ARRIVED ->
			handed = NIL
			if
			/* Its death may have been dealt with before. */
			:: st == AWAY && down[n] -> set_state(RECALLING); come_back(LOST)
			:: else -> copies[n] = copies[n] && !down[n]
			fi
			if
			:: st == COPIED && !any_copy -> leave()
			:: else
			fi
			goto done
		/* Or a copy takes too long, after the owner has said that it was sent. */
		:: handed == NIL && !asking && (unsure || down[n] || (shared && st != SHARING)) ->
			asking = true
			if
			:: down[n] -> answered(n, ENDED, false)
			:: else -> due[n] = !shared; stream[n]!CANCEL
			fi
			goto sent_on
		fi
	}
#endif
closed:	atomic {
		if
		:: !gate || dead -> goto look
		:: gate -> reply(n, AGAIN); goto done	/* waited for long */
		fi
	}
	/*
	 * One more reader. The page is found, which needs mmap_lock, before it is said
	 * that a grant is on its way, which a layout change waits for.
	 */
add:
#ifdef BUG_GRANTING_EARLY
	granting = true
#endif
	!writer
	atomic {
		if
		:: seen_worker && st == COPIED && !gate -> granting = true; send_grant(COPY)
		:: else ->
#ifdef BUG_GRANTING_EARLY
			granting = false
#endif
			seen_worker = false; goto look
		fi
	}
	atomic {
		assert(st == COPIED)
		granting = false
		if
		:: sent && !down[n] -> copies[n] = true
		:: else
		fi
		if
		:: !any_copy -> leave()
		:: else
		fi
	}
done:	atomic {
#if defined(LIVE) && !defined(BUG_NO_TURN)
		last = n
#endif
		n = 0; want = 0; sent = false; keeps = false; seen_worker = false; goto end
	}
}

/* ---- home: the poller, and who repairs the page tables ---- */

proctype poller()
{
end:	do
	/* PAGE_ARRIVED was sent first, in the same stream. */
	:: atomic { back[0] != NIL && !has_got(0) -> answered(0, back[0], fresh_back[0]); back[0] = NIL; fresh_back[0] = false }
	:: atomic { back[1] != NIL && !has_got(1) -> answered(1, back[1], fresh_back[1]); back[1] = NIL; fresh_back[1] = false }
#ifdef FORWARD
	:: atomic { got[0] -> got[0] = false; has_arrived(0) }
	:: atomic { got[1] -> got[1] = false; has_arrived(1) }
	:: atomic { unsent[0] -> unsent[0] = false; was_unsent(0) }
	:: atomic { unsent[1] -> unsent[1] = false; was_unsent(1) }
#endif
	od
}

/* The work, or whoever waits for the page: who does it is all the same. */
proctype repairer()
{
	bool read_on
end:	do
	:: atomic { st == RETURNED -> set_state(FINALIZING); read_on = any_copy || any_due || granting }
	   /* Needs the locks of the reverse map. */
	   atomic {
		!rmap
		if
		:: pte == NO -> pte = (read_on || read_only -> READ : WRITE)
		:: else
		fi
	   }
	   atomic {
		read_on = false
		if
		:: any_due -> set_state(REVOKING)
		:: !any_due && (any_copy || granting) -> set_state(COPIED)
		:: else -> leave()
		fi
	   }
	od
}

/* ---- home: a thread ---- */

#ifdef HOME
#ifdef BUG_WAIT_TAKING
#define is_native	(st == NONE)
#elif defined(BUG_UPGRADE_NATIVE)
#define is_native	(st == NONE || st == TAKING)
#else
/* What is taken under its last reader is not. */
#define is_native	(st == NONE || (st == TAKING && !any_copy && !any_due))
#endif
#define may(want)	(pte == WRITE || (pte == READ && want == READ))

proctype home()
{
	mtype want
	bool locked

end:	do
	:: atomic { !killed && pte == WRITE && (!fresh_home || fresh_elsewhere) -> write_at_home() }
	:: atomic { !killed && !quiet && pte == NO -> want = READ; goto fault }
	:: atomic { !killed && !quiet && pte != WRITE && !read_only -> want = WRITE; goto fault }
	:: atomic { killed -> users--; goto gone }
	od
fault:	atomic { !writer; readers++; locked = true; goto look }
look:	atomic {
		if
		:: killed || may(want) || st == LOST || (want == WRITE && read_only) -> goto out
		/* Mapped, and nobody else has it: the kernel's own business. */
		:: want == WRITE && pte == READ && !read_only && is_native ->
#ifdef BUG_LATE_LOOK
			goto later
#endif
			pte = WRITE; goto out
#ifdef BUG_WRITE_COPIED
		:: st == COPIED && want == WRITE -> pte = WRITE; goto out
#endif
		:: else
		fi
		assert(st != NONE)
		recall(want)
		seen_home = st != NONE
		if
		:: locked -> readers--; locked = false	/* RETRY */
		:: true					/* waits with the lock */
		fi
	}
	atomic {
		!seen_home || settled || killed
		if
		:: seen_home && !killed -> seen_home = false; goto look
		:: else -> seen_home = false
		fi
	}
#ifdef BUG_LATE_LOOK
	/* The entry was looked at, the page table entry is compared, but not under one lock. */
later:	skip
	atomic {
		if
		:: pte == READ -> pte = WRITE
		:: else -> goto look
		fi
	}
#endif
out:	atomic {
		if
		:: locked -> readers--; locked = false
		:: else
		fi
		want = 0
		goto end
	}
gone:	skip
}
#endif

/* ---- home: the layout changes ---- */

#ifdef LAYOUT
#define has_to_wait	(st == RECALLING || st == SHARING || st == REVOKING || granting || any_due)
#ifdef BUG_SKIP_RETURNED
#define is_elsewhere	(st == AWAY || st == COPIED)
#elif defined(BUG_UPGRADE_STALE)
#define is_elsewhere	(st == AWAY || (any_copy && st != TAKING))
#else
#define is_elsewhere	(st == AWAY || any_copy)
#endif

proctype layout()
{
	bool exclusive

	/* With mmap_lock for writing, or only with locks of the reverse map. */
end:	atomic {
		if
		:: !killed && !quiet -> writer = true; exclusive = true
		:: !killed && !quiet
		:: killed -> users--; goto gone
		fi
	}
	atomic { !exclusive || readers == 0; gate = true; rmap = true }
again:	atomic {
		if
		:: st == TAKING ->
			stale = true
#ifndef BUG_UPGRADE_STALE
			if
			:: !granting -> ask_holders()
			:: else
			fi
#endif
		:: st == AWAY || (st == COPIED && !granting) -> recall(WRITE)
#ifndef BUG_SKIP_RETURNED
		/* Never waits for the repair, which needs what we hold. */
		:: (st == RETURNED || st == FINALIZING) && !granting -> ask_holders()
#endif
		:: else
		fi
	}
	atomic {
		!has_to_wait
		if
		:: is_elsewhere -> goto again
		:: else
		fi
	}
	/* Another page is there now; its mapping may have another kind. */
	atomic {
		assert(!right_of(0, READ) && !right_of(0, WRITE))
		assert(!right_of(1, READ) && !right_of(1, WRITE))
		write_at_home()
#ifdef KINDS
		if
		:: read_only = true
		:: read_only = false
		fi
#endif
		if
		:: st != LOST -> pte = (read_only -> READ : WRITE)
		:: else
		fi
	}
	atomic {
		gate = false
		rmap = false
		if
		:: exclusive -> writer = false; exclusive = false
		:: else
		fi
#ifdef LIVE
		goto gone	/* without end they could starve a request */
#endif
		goto end
	}
gone:	skip
}
#endif

/* ---- a node ---- */

#ifdef BUG_OVERTAKE
#define FROM	??	/* wherever it stands */
#else
#define FROM	?
#endif

/* The adapter may have read the frame only now. */
inline take_grant(n, what)
{
	if
	:: ended[n]
	:: !ended[n] -> fresh[n] = fresh_grant[n]; right[n] = what
	:: !ended[n] -> fresh[n] = fresh_home; right[n] = what
	fi
#ifdef FORWARD
	kept[n] = false
	fresh_sent[n] = false
#endif
	fresh_grant[n] = false
	asked[n] = false
}

inline give_back(n, remains)
{
	fresh_back[n] = dirty[n] && fresh[n]
	back[n] = (right[n] == NO -> MISSING : (dirty[n] -> DATA : CLEAN))
	right[n] = (right[n] == NO -> NO : remains)
	fresh[n] = (right[n] == NO -> false : fresh[n])
	dirty[n] = false
}

proctype node(byte n)
{
end:	do
	/* A fault; the copy goes before the page is asked for to be written. */
	:: atomic { counts(n) && !quiet && !asked[n] && right[n] == NO ->
		asked[n] = true; get[n] = READ }
#ifdef UPGRADE
	:: atomic { counts(n) && !quiet && !asked[n] && right[n] == READ -> asked[n] = true; get[n] = HELD }
	:: atomic { counts(n) && !quiet && !asked[n] && right[n] == NO -> asked[n] = true; get[n] = WRITE }
#else
	:: atomic { counts(n) && !quiet && !asked[n] && right[n] != WRITE ->
		right[n] = NO; fresh[n] = false; asked[n] = true; get[n] = WRITE }
#endif
	:: atomic { counts(n) && right[n] == WRITE && (!dirty[n] || fresh_home || fresh[1 - n]) -> write_at(n) }

	/* The stream. */
	:: atomic { stream[n]?AGAIN -> asked[n] = false }
	:: atomic { stream[n]?OWNED -> take_grant(n, WRITE) }
	:: atomic { stream[n]?COPY -> take_grant(n, READ) }
#ifdef UPGRADE
	:: atomic { stream[n]?YOURS ->
		assert(ended[n] || right[n] == READ)
		if
		:: right[n] == READ -> right[n] = WRITE
		:: else
		fi
		asked[n] = false }
#endif
#ifdef FORWARD
	:: atomic { stream[n]?PASS ->
		if
		:: right[n] == NO -> give_back(n, NO)
		:: right[n] != NO ->
			old[n] = false
			if
			/* What becomes of an earlier one, which has arrived, concerns nobody. */
			:: severed -> passing[n] = false; unsent[n] = true
			:: else ->
				link[1 - n] = OWNED
				fresh_link[1 - n] = fresh[n]
				passing[n] = true
			fi
			kept[n] = true
			fresh_sent[n] = fresh[n]
			right[n] = NO; dirty[n] = false; fresh[n] = false
		fi }
	:: atomic { stream[n]?BRING ->
		back[n] = (kept[n] -> DATA : MISSING)
		fresh_back[n] = fresh_sent[n]
		kept[n] = false; fresh_sent[n] = false }
	:: atomic { stream[n]?SHARE ->
		if
		:: right[n] == NO || severed
		:: else -> link[1 - n] = COPY; fresh_link[1 - n] = fresh[n]; sent_too[n] = true
		fi
		give_back(n, READ) }
	/* What arrives as an owner's differs from home's frame. */
	:: atomic { link[n] != NIL ->
		if
		:: open[n] ->
			if
			:: !ended[n] && link[n] == OWNED ->
				right[n] = WRITE; dirty[n] = true; fresh[n] = fresh_link[n]
				kept[n] = false; fresh_sent[n] = false
			:: !ended[n] && link[n] == COPY ->
				right[n] = READ; dirty[n] = false; fresh[n] = fresh_link[n]
			:: else
			fi
			asked[n] = false
			open[n] = false
			got[n] = true
		:: else
		fi
		link[n] = NIL; fresh_link[n] = false }
	/* Received; until the sender hears of that the link may fail. */
	:: atomic { passing[n] && link[1 - n] == NIL && !open[1 - n] ->
		passing[n] = false; kept[n] = false; fresh_sent[n] = false; old[n] = false }
	:: atomic { passing[n] && (severed || down[1 - n]) -> passing[n] = false; unsent[n] = true }
	:: atomic { stream[n]?CANCEL ->
		if
		:: open[n] ->
			open[n] = false; asked[n] = false
			link[n] = NIL; fresh_link[n] = false
			if
			:: back[n] = CLEAN		/* it will not come any more */
			:: ended[n] -> back[n] = MISSING	/* nobody knows of a request */
			fi
		:: !open[n] && right[n] != NO -> late[n] = REVOKE
		:: !open[n] -> give_back(n, NO)
		fi }
#endif
	/* Done at once, or, if a fault has just fetched the page, some time later. */
	:: atomic { stream[n] FROM REVOKE ->
		if
		:: right[n] != NO -> late[n] = REVOKE
		:: give_back(n, NO)
		fi }
	:: atomic { stream[n] FROM KEEP ->
		if
		:: right[n] != NO -> late[n] = KEEP
		:: give_back(n, READ)
		fi }
	:: atomic { late[n] == REVOKE -> late[n] = NIL; give_back(n, NO) }
	:: atomic { late[n] == KEEP -> late[n] = NIL; give_back(n, READ) }
	od
}

/* ---- ends ---- */

#ifdef DEATH
/* Of node 1: its session first, then the calls to it, then node_dead(). */
proctype death()
{
	if
	:: true -> goto alive
	:: atomic { true ->
		down[1] = true
		do
		:: stream[1]?_
		:: empty(stream[1]) -> break
		od
		get[1] = NO
		back[1] = NIL
		late[1] = NIL
		right[1] = NO
		asked[1] = false
		dirty[1] = false
		fresh[1] = false
		fresh_grant[1] = false
		fresh_back[1] = false
#ifdef FORWARD
		got[1] = false
		open[1] = false
		link[1] = NIL
		fresh_link[1] = false
		passing[1] = false
		kept[1] = false
		unsent[1] = false
		old[1] = false
		fresh_sent[1] = false
		sent_too[1] = false
		/* What it has sent arrives, or not. */
		if
		:: link[0] = NIL; fresh_link[0] = false
		:: true
		fi
#endif
	   }
	fi
	atomic {
		if
		:: due[1] -> answered(1, ENDED, false)
		:: else
		fi
#ifdef FORWARD
		if
		:: shared && asking && next == 1 -> over(ARRIVED)
		:: st == RECALLING && is_forwarding && owner == 1 && !asking -> unsure = true
		:: else
		fi
#endif
	}
	atomic {
		if
		:: st == AWAY && owner == 1 -> come_back(LOST)
		:: st == COPIED || st == RETURNED || st == FINALIZING || st == TAKING || st == REVOKING ->
			copies[1] = false
			if
			:: st == COPIED && !any_copy && !granting -> leave()
			:: else
			fi
		:: else
		fi
	}
alive:	skip
}
#endif

#ifdef KILL
/* The replica at node 1 is killed, and its window goes with it. */
proctype kill()
{
	if
	:: true
	:: atomic { true -> ended[1] = true; right[1] = NO; dirty[1] = false; fresh[1] = false }
	fi
}
#endif

/* The process ends: killed since a page is lost, or by itself. */
#if defined(DEATH) || defined(KILL) || defined(EXIT)
proctype exit()
{
end:	if
	:: st == LOST
#ifdef EXIT
	:: true
#endif
	fi
	killed = true
	users == 0
	dead = true
	do
#ifdef FORWARD
	:: atomic { is_forwarding -> due[next] = false; over(ENDED) }
#endif
	:: atomic { st == AWAY || st == LOST -> come_back(RETURNED) }
	:: atomic { (st == RECALLING || st == SHARING) && !is_forwarding ->
		/* A late answer finds nobody. */
		due[owner] = false
		come_back(RETURNED) }
	:: atomic { st == COPIED && !granting ->
		copies[0] = false
		copies[1] = false
		leave() }
	:: atomic { st == NONE -> break }
	od
}
#endif

#ifdef SEVER
/* The session of the two nodes ends; each keeps its own with home. */
proctype sever()
{
	if
	:: true
	:: atomic { true ->
		severed = true
		/* What is on its way arrives, or not. */
		if
		:: link[0] = NIL; fresh_link[0] = false
		:: true
		fi
		if
		:: link[1] = NIL; fresh_link[1] = false
		:: true
		fi
	   }
	fi
}
#endif

#ifdef BUG_SURRENDER
/* Who waits without a fault, and is given the frame of the lost page as it was. */
proctype surrender()
{
end:	atomic { st == LOST -> come_back(RETURNED) }
}
#endif

/* ---- what has to hold ---- */

/* Blocked for as long as everything is right, so that it adds no states. */
proctype monitor()
{
end:	do
	:: atomic { !one_writer -> assert(false) }
	:: atomic { !reads_last_write -> assert(false) }
	:: atomic { st == LOST && !down[1] && !ended[1] -> assert(false) }
	:: atomic { timeout -> assert(!asked[0] && !asked[1] && !any_due); break }
	od
}

init
{
	atomic {
		RAD_PAGE_STATES(STATE)
		RAD_PAGE_MOVES(ROW)
		st = NONE
		to = NONE
#ifdef HOME
		users++
		run home()
#endif
#ifdef LAYOUT
		users++
		run layout()
#endif
#ifdef DEATH
		run death()
#endif
#ifdef KILL
		run kill()
#endif
#if defined(DEATH) || defined(KILL) || defined(EXIT)
		run exit()
#endif
#ifdef SEVER
		run sever()
#endif
#ifdef BUG_SURRENDER
		run surrender()
#endif
		run worker()
		run poller()
		run repairer()
		run node(0)
		run node(1)
		run monitor()
	}
#ifndef LIVE
	quiet = true
#endif
}

#ifdef LIVE
/* Every request is answered, given weak fairness. */
ltl answer { [] (asked[0] -> <> !asked[0]) }
#endif

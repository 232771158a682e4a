// SPDX-License-Identifier: GPL-2.0
/* The tables of states: what holds for each of them, and for one in particular. */
#include "check.h"

#include <linux/types.h>
#include <stddef.h>
#include <string.h>
#include "states.h"

enum { MOST_STATES = 16 };

struct machine {
	const char *name;
	size_t states;
	size_t first;
	bool (*may)(size_t to, size_t from);
	bool unused[MOST_STATES];
};

/* One machine: its rows are asked for by number. */
#define MACHINE(noun, type)						\
static bool noun##_may(size_t to, size_t from)				\
{									\
	return rad_##noun##_may_enter((enum type)to, (enum type)from);	\
}
MACHINE(thread, radium_thread_state)
MACHINE(visitor, rad_visitor_state)
MACHINE(page, rad_page_state)
MACHINE(node, radium_node_state)

#define THREAD(name, when) RADIUM_THREAD_##name
#define VISITOR(name, when) RAD_VISITOR_##name
#define PAGE(name, when) RAD_PAGE_##name
#define NODE(name, when) RADIUM_NODE_##name
static const struct machine machines[] = {
	{ "thread", RADIUM_THREAD_STATE_COUNT, RAD_THREAD_FIRST(THREAD), thread_may, { 0 } },
	{ "visitor", RAD_VISITOR_STATE_COUNT, RAD_VISITOR_FIRST(VISITOR), visitor_may, { 0 } },
	{ "page", RAD_PAGE_STATE_COUNT, RAD_PAGE_FIRST(PAGE), page_may, { 0 } },
	/* SELF is how a node lists itself; no peer has it. */
	{ "node", RADIUM_NODE_STATE_COUNT, RAD_NODE_FIRST(NODE), node_may, { [RADIUM_NODE_SELF] = true } },
};

/* States that can be reached from one, itself included. */
static u32 reach(const struct machine *m, size_t from)
{
	u32 seen = 1u << from, before;

	do {
		before = seen;
		for (size_t f = 0; f < m->states; f++)
			for (size_t t = 0; seen >> f & 1 && t < m->states; t++)
				seen |= (u32)m->may(t, f) << t;
	} while (seen != before);
	return seen;
}

static u32 all(const struct machine *m)
{
	u32 states = 0;

	for (size_t s = 0; s < m->states; s++)
		states |= (u32)!m->unused[s] << s;
	return states;
}

static bool is_terminal(const struct machine *m, size_t state)
{
	for (size_t t = 0; t < m->states; t++)
		if (m->may(t, state))
			return false;
	return !m->unused[state];
}

static u32 terminals(const struct machine *m)
{
	u32 states = 0;

	for (size_t s = 0; s < m->states; s++)
		states |= (u32)is_terminal(m, s) << s;
	return states;
}

/* Whatever happens, the end can still be reached. */
static bool ends_from_everywhere(const struct machine *m)
{
	for (size_t s = 0; s < m->states; s++)
		if (!m->unused[s] && !(reach(m, s) & terminals(m)))
			return false;
	return true;
}

static bool none_follows_itself(const struct machine *m)
{
	for (size_t s = 0; s < m->states; s++)
		if (m->may(s, s))
			return false;
	return true;
}

/* A row twice would be a state entered for two reasons that nobody can tell apart. */
static bool rows_differ(void)
{
	static const struct {
		const char *machine;
		const char *to;
		const char *from;
	} rows[] = {
#define ROW(to, from, when) { "thread", #to, #from },
		RAD_THREAD_MOVES(ROW)
#undef ROW
#define ROW(to, from, when) { "visitor", #to, #from },
		RAD_VISITOR_MOVES(ROW)
#undef ROW
#define ROW(to, from, when) { "page", #to, #from },
		RAD_PAGE_MOVES(ROW)
#undef ROW
#define ROW(to, from, when) { "node", #to, #from },
		RAD_NODE_MOVES(ROW)
#undef ROW
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (size_t j = 0; j < i; j++)
			if (!strcmp(rows[i].machine, rows[j].machine) &&
			    !strcmp(rows[i].to, rows[j].to) && !strcmp(rows[i].from, rows[j].from))
				return false;
	return true;
}

/* The only way to AWAY: what was asked, was held ready. */
static bool commit_is_one_assignment(void)
{
	for (size_t from = 0; from < RADIUM_THREAD_STATE_COUNT; from++)
		if (thread_may(RADIUM_THREAD_AWAY, from) != (from == RADIUM_THREAD_PREPARING))
			return false;
	return true;
}

/* A thread that is away comes home only by its registers, or ends. */
static bool away_ends_in_return(void)
{
	for (size_t to = 0; to < RADIUM_THREAD_STATE_COUNT; to++)
		if (thread_may(to, RADIUM_THREAD_AWAY) !=
		    (to == RADIUM_THREAD_RETURNING || to == RADIUM_THREAD_GONE))
			return false;
	return true;
}

/* A held frame is given back to the kernel exactly once, whichever way it came home. */
static bool held_pages_are_finalized(void)
{
	return !page_may(RAD_PAGE_GONE, RAD_PAGE_AWAY) && !page_may(RAD_PAGE_GONE, RAD_PAGE_RECALLING) &&
	       !page_may(RAD_PAGE_GONE, RAD_PAGE_SHARING) && !page_may(RAD_PAGE_COPIED, RAD_PAGE_SHARING) &&
	       !page_may(RAD_PAGE_GONE, RAD_PAGE_RETURNED) && !page_may(RAD_PAGE_GONE, RAD_PAGE_LOST) &&
	       page_may(RAD_PAGE_GONE, RAD_PAGE_FINALIZING);
}

/* Old bytes are never shown for new ones: lost stays lost until the process has ended. */
static bool lost_is_not_owned_again(void)
{
	for (size_t to = 0; to < RAD_PAGE_STATE_COUNT; to++)
		if (page_may(to, RAD_PAGE_LOST) != (to == RAD_PAGE_RETURNED))
			return false;
	return true;
}

/* Only what another node owned can be lost with it: of a copy the original is here. */
static bool only_owned_are_lost(void)
{
	for (size_t from = 0; from < RAD_PAGE_STATE_COUNT; from++)
		if (page_may(RAD_PAGE_LOST, from) !=
		    (from == RAD_PAGE_AWAY || from == RAD_PAGE_RECALLING ||
		     from == RAD_PAGE_SHARING))
			return false;
	return true;
}

/*
 * Somebody works on a page in motion: nobody else begins to take or revoke it. The one who
 * has finalized it, or has taken it under its last reader, may find that its readers were
 * asked meanwhile.
 */
static bool motion_is_left_alone(void)
{
	for (size_t from = 0; from < RAD_PAGE_STATE_COUNT; from++)
		if (rad_page_in_motion(from) &&
		    (page_may(RAD_PAGE_TAKING, from) ||
		     (from != RAD_PAGE_FINALIZING && from != RAD_PAGE_TAKING &&
		      page_may(RAD_PAGE_REVOKING, from)) ||
		     (from != RAD_PAGE_AWAY && page_may(RAD_PAGE_RECALLING, from))))
			return false;
	return true;
}

int main(void)
{
	char text[120];

	for (size_t i = 0; i < sizeof(machines) / sizeof(*machines); i++) {
		const struct machine *m = &machines[i];

		snprintf(text, sizeof(text), "%s: every state can be reached", m->name);
		TEST(text, reach(m, m->first) == all(m));
		snprintf(text, sizeof(text), "%s: no state follows itself", m->name);
		TEST(text, none_follows_itself(m));
		if (m->may == node_may)
			continue;
		snprintf(text, sizeof(text), "%s: there is one end, and it is reached from everywhere",
			 m->name);
		TEST(text, __builtin_popcount(terminals(m)) == 1 && ends_from_everywhere(m));
	}
	TEST("a thread ends in GONE, a visitor in DEAD, a page in GONE",
	     is_terminal(&machines[0], RADIUM_THREAD_GONE) &&
	     is_terminal(&machines[1], RAD_VISITOR_DEAD) && is_terminal(&machines[2], RAD_PAGE_GONE));
	TEST("a node that is dead can come up again", node_may(RADIUM_NODE_UP, RADIUM_NODE_DEAD));
	TEST("no row is there twice", rows_differ());
	TEST("thread: the commit is one assignment", commit_is_one_assignment());
	TEST("thread: what is away returns or ends", away_ends_in_return());
	TEST("page: what was held is finalized", held_pages_are_finalized());
	TEST("page: what is lost is not owned again", lost_is_not_owned_again());
	TEST("page: only what was owned elsewhere is lost", only_owned_are_lost());
	TEST("page: what is in motion is left alone", motion_is_left_alone());
	return test_end();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * More requests for pages are on their way than a node has credit for, all of them wait for
 * the memory's lock, and who has that lock waits for answers of the node that sent them.
 * Answers have credit of their own. Where two nodes do so to each other, see
 * lib/coherence.py.
 */
#include "crew.h"

#include <sys/mman.h>

/*
 * A thread that reads page after page has 16 requests under way and one that it waits for;
 * eight such sequences are followed: 136 requests, and a window is 64.
 */
enum { WALKERS = 8, WALK = 64, CHANGED = 128, SECONDS = 10, KEEPER_NODE = 3 };

static char *changed, *read_on;
static struct hand walkers[WALKERS], keeper;
static struct { volatile bool over; } stop ALONE;

static void look(const char *pages, int from, int to)
{
	for (int i = from; i < to; i++)
		EQUAL(*(volatile uint64_t *)(pages + i * 4096), i + 1);
}

/* They have what will change; then they read on, and what they ask for others have. */
static void *walk(struct hand *hand)
{
	int part = CHANGED / WALKERS, own = hand->number;

	for (; !stop.over; down(&hand->go)) {
		look(changed, own * part, (own + 1) * part);
		DO(sem_post(&hand->done));
		down(&hand->go);
		look(read_on, own * WALK, (own + 1) * WALK);
		DO(sem_post(&hand->done));
	}
	return NULL;
}

/*
 * What it has, a page that is read elsewhere, is not asked for at the gate that a change of
 * the layout shuts, where nobody waits for long: another reader needs the lock at once.
 */
static void *keep(struct hand *hand)
{
	for (; !stop.over; down(&hand->go)) {
		look(changed, 0, CHANGED);
		look(read_on, 0, WALKERS * WALK);
		DO(sem_post(&hand->done));
	}
	return NULL;
}

static void all_done(struct hand *hands, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		down(&hands[i].done);
}

static char *numbered(int pages)
{
	char *memory = map_pages(pages, PROT_READ | PROT_WRITE);

	for (int i = 0; i < pages; i++)
		*(uint64_t *)(memory + i * 4096) = i + 1;
	DO(mprotect(memory, pages * 4096, PROT_READ));
	return memory;
}

/* Another protection: whoever has a copy loses it, and may have it again. */
static uint64_t change(char *memory, int pages, unsigned int round)
{
	uint64_t start = now_ns();

	DO(mprotect(memory, pages * 4096, round % 2 ? PROT_READ : PROT_READ | PROT_EXEC));
	return now_ns() - start;
}

static void place_them(void)
{
	unsigned int node;

	away();
	node = where();
	home();
	crew_start(&keeper, 1, keep, NULL);
	crew_start(walkers, WALKERS, walk, NULL);
	crew_place(&keeper, KEEPER_NODE);
	for (int i = 0; i < WALKERS; i++)
		crew_place(&walkers[i], node);
}

static void answers_have_their_own_credit(void)
{
	uint64_t end, longest = 0, took;
	unsigned int round;

	changed = numbered(CHANGED);
	read_on = numbered(WALKERS * WALK);
	place_them();
	end = now_ns() + SECONDS * 1000000000ull;
	for (round = 0; round < 3 || now_ns() < end; round++) {
		change(read_on, WALKERS * WALK, round);
		crew_go(&keeper, 1);
		all_done(&keeper, 1);
		crew_go(walkers, WALKERS);
		all_done(walkers, WALKERS);
		crew_go(walkers, WALKERS);
		/* Until their sequences are long, or not yet. */
		sleep_ms(round * 37 % 160 * slower());
		took = change(changed, CHANGED, round);
		longest = took > longest ? took : longest;
		all_done(walkers, WALKERS);
	}
	stop.over = true;
	crew_go(&keeper, 1);
	crew_go(walkers, WALKERS);
	crew_join(&keeper, 1);
	crew_join(walkers, WALKERS);
	note("%u changes, %lu ms the longest", round, longest / 1000000);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "answers_have_their_own_credit", answers_have_their_own_credit, 60 },
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

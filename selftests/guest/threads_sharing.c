// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that threads on all nodes read, and that one of them writes to: its node has the
 * content already, and gets the right to it without the page.
 */
#include "crew.h"

#include <sys/mman.h>
#include <sys/wait.h>

#define RW (PROT_READ | PROT_WRITE)

enum { READERS = 3, PAGES = 24, WORDS = 4096 / sizeof(uint64_t), ROUNDS = 6 };

static struct hand crew[READERS];
static volatile uint64_t *words;
static atomic_int step ALONE;
static atomic_int over ALONE;

static void await(int which)
{
	while (atomic_load(&step) < which)
		usleep(1000);
}

static uint64_t read_all(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < PAGES; i++)
		sum += words[WORDS * i];
	return sum;
}

static void write_all(uint64_t value)
{
	for (int i = 0; i < PAGES; i++)
		words[WORDS * i] = value + i;
}

/* Of the numbers value, value + 1, ... */
static uint64_t sum_of(uint64_t value)
{
	return PAGES * value + PAGES * (PAGES - 1) / 2;
}

/* ------------------------------------------------------ one writes */

/* All read, then one writes: each in its turn, home's among them. */
static void *read_and_write(struct hand *hand)
{
	uint64_t wrong = 0;

	for (int round = 0; round < READERS; round++) {
		await(2 * round * READERS + hand->number);
		wrong += read_all() != sum_of(100 * round);
		atomic_fetch_add(&step, 1);
		await(2 * round * READERS + READERS);
		if (round == (int)hand->number)
			write_all(100 * (round + 1));
		atomic_fetch_add(&step, 1);
		await(2 * (round + 1) * READERS);
	}
	wrong += read_all() != sum_of(100 * READERS);
	return (void *)wrong;
}

static void reader_becomes_writer(void)
{
	int before;

	words = map_pages(PAGES, RW);
	write_all(0);
	atomic_store(&step, 0);
	crew_start(crew, READERS, read_and_write, NULL);
	crew_spread(crew, READERS, 0);
	before = upgraded_of(getpid());
	crew_go(crew, READERS);
	crew_join(crew, READERS);
	for (int i = 0; i < READERS; i++)
		EQUAL((uintptr_t)crew[i].result, 0);
	EQUAL(read_all(), sum_of(100 * READERS));
	before = upgraded_of(getpid()) - before;
	note("%d pages of %d were owned without being sent", before, 2 * PAGES);
	/* By the two that are away. Not one that was called home meanwhile. */
	CHECK(!moving() || before >= 3 * PAGES / 2);
}

/* ------------------------------------------------------ all want to write */

static void *read_and_add(struct hand *hand)
{
	uint64_t seen = 0;

	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < PAGES; i++)
			seen |= words[WORDS * i];
		await(round * READERS);
		for (int i = 0; i < PAGES; i++)
			__atomic_fetch_add(&words[WORDS * i], 1 << (8 * hand->number),
					   __ATOMIC_SEQ_CST);
		atomic_fetch_add(&step, 1);
	}
	return (void *)seen;
}

static void readers_write_at_once(void)
{
	words = map_pages(PAGES, RW);
	atomic_store(&step, 0);
	crew_start(crew, READERS, read_and_add, NULL);
	crew_spread(crew, READERS, 0);
	crew_go(crew, READERS);
	crew_join(crew, READERS);
	for (int i = 0; i < PAGES; i++)
		EQUAL(words[WORDS * i], ROUNDS * 0x010101);
}

/* ------------------------------------------------------ while the layout changes */

/* Each thread counts in words of its own, and looks at those of the others: they never go back. */
static void *count_and_watch(struct hand *hand)
{
	static uint64_t seen[READERS][READERS] ALONE;
	uint64_t *last = seen[hand->number], own = 0;

	for (int i = 0; !atomic_load(&over); i++) {
		volatile uint64_t *page = words + WORDS * (i % 4);

		for (int other = 0; other < READERS; other++) {
			/* What is written last is read first. */
			uint64_t now = words[WORDS * 3 + other];

			CHECK(now >= last[other]);
			last[other] = now;
			CHECK(words[other] >= now);
		}
		if (i % 4 == 0)
			own++;
		page[hand->number] = own;
		if (!i)
			DO(sem_post(&hand->done));
	}
	return (void *)own;
}

/* Changes that no access notices: protection, advice, children. */
static void disturb(int which)
{
	int status;
	pid_t pid;

	switch (which % 4) {
	case 0:
		DO(mprotect((void *)words, 4 * 4096, RW | PROT_EXEC));
		break;
	case 1:
		DO(mprotect((void *)words, 4 * 4096, RW));
		break;
	case 2:
		DO(madvise((void *)words, 4 * 4096, MADV_PAGEOUT));
		break;
	case 3:
		pid = DO(fork());
		if (!pid) {
			uint64_t first = words[WORDS * 3 + 1];

			/* Nobody writes to what is ours. */
			usleep(20000);
			_exit(words[WORDS * 3 + 1] != first || words[1] < first);
		}
		EQUAL(waitpid(pid, &status, 0), pid);
		EQUAL(status, 0);
		break;
	}
}

static void upgraded_while_changing(void)
{
	words = map_pages(4, RW);
	atomic_store(&over, 0);
	crew_start(crew, READERS, count_and_watch, NULL);
	crew_spread(crew, READERS, 0);
	crew_go(crew, READERS);
	/* Each has pages to fetch before it counts. */
	for (int i = 0; i < READERS; i++)
		down(&crew[i].done);
	for (int i = 0; i < 24; i++) {
		usleep(20000);
		disturb(i);
	}
	atomic_store(&over, 1);
	crew_join(crew, READERS);
	for (int i = 0; i < READERS; i++) {
		CHECK((uintptr_t)crew[i].result > 0);
		EQUAL(words[i], (uintptr_t)crew[i].result);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(reader_becomes_writer), CASE(readers_write_at_once),
		CASE(upgraded_while_changing),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

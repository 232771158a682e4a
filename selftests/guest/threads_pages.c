// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that threads on several nodes have at once, ask for at once, or take from each
 * other: none of them reads what was there before, or loses what it wrote.
 */
#include "crew.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#define RW (PROT_READ | PROT_WRITE)

enum { WATCHERS = 3, PAGES = 3, BYTES = PAGES * 4096 };

static struct hand crew[WATCHERS];

/*
 * A page that one node has a copy of is asked for by another, while its protection changes
 * together with that of the pages before it. Nobody keeps the old copy.
 */
enum { BEFORE = 8, AFTER = 4, CHANGES = 30 };

/* What all know is passed to them: reading it would make its page travel. */
struct change {
	volatile char *copied;
	int clock;
};

/* A number that is passed on without touching memory. */
static void tell(int clock, off_t number)
{
	EQUAL(DO(lseek(clock, number, SEEK_SET)), number);
}

static void hear(int clock, off_t number)
{
	while (DO(lseek(clock, 0, SEEK_CUR)) < number)
		;
}

/* Times of change i: 3 i + 1 to have copies, + 2 to ask for them, + 3 to look. */
static void *have_copies(struct hand *hand)
{
	struct change change = *(struct change *)hand->argument;
	bool first = hand->number == 0;

	for (int i = 0; i < CHANGES; i++) {
		if (first) {
			hear(change.clock, 3 * i + 1);
			for (int j = 0; j < BEFORE + AFTER; j++)
				(void)change.copied[j * 4096];
			DO(sem_post(&hand->done));
		} else {
			hear(change.clock, 3 * i + 2);
			for (int j = 0; j < AFTER; j++)
				(void)change.copied[(BEFORE + j) * 4096];
		}
		hear(change.clock, 3 * i + 3);
		for (int j = 0; j < AFTER; j++)
			EQUAL(change.copied[(BEFORE + j) * 4096], i + 1);
		DO(sem_post(&hand->done));
	}
	return NULL;
}

static void copied_while_changing(void)
{
	char path[] = "/tmp/st-clock-XXXXXX", *copied;
	struct change change;

	change.clock = DO(mkstemp(path));
	unlink(path);
	/* Nothing behind them that would be fetched ahead. */
	copied = map_pages(BEFORE + AFTER + 32, PROT_NONE);
	DO(mprotect(copied, (BEFORE + AFTER) * 4096, RW));
	change.copied = copied;
	for (int i = 0; i < BEFORE + AFTER; i++)
		copied[i * 4096] = 0;
	/* Two mappings: changed by one call, one after the other. */
	DO(mprotect(copied, BEFORE * 4096, PROT_READ));
	DO(mprotect(copied + BEFORE * 4096, AFTER * 4096, PROT_READ | PROT_EXEC));
	crew_start(crew, 2, have_copies, &change);
	crew_spread(crew, 2, 1);
	crew_go(crew, 2);
	for (int i = 0; i < CHANGES; i++) {
		uint64_t end;

		tell(change.clock, 3 * i + 1);
		down(&crew[0].done);
		tell(change.clock, 3 * i + 2);
		end = now_ns() + i % 10 * 500000;
		while (now_ns() < end)
			;
		DO(mprotect(copied, (BEFORE + AFTER) * 4096, RW));
		for (int j = 0; j < AFTER; j++)
			copied[(BEFORE + j) * 4096] = i + 1;
		DO(mprotect(copied, BEFORE * 4096, PROT_READ));
		DO(mprotect(copied + BEFORE * 4096, AFTER * 4096, PROT_READ | PROT_EXEC));
		tell(change.clock, 3 * i + 3);
		down(&crew[0].done);
		down(&crew[1].done);
	}
	crew_join(crew, 2);
}

/* All of them map, use and unmap at once, as malloc() of a threaded program does. */
static void *map_for_ever(struct hand *hand)
{
	for (int i = 0; i < 15; i++) {
		char *memory = map_pages(PAGES, RW), *other = malloc(200000);

		fill(memory, BYTES, hand->number * 100 + i);
		memset(other, i, 200000);
		DO(mprotect(memory, BYTES, PROT_READ));
		EQUAL(differs(memory, BYTES, hand->number * 100 + i), -1);
		DO(munmap(memory, BYTES));
		EQUAL(other[199999], i);
		free(other);
	}
	return NULL;
}

static void all_change(void)
{
	crew_start(crew, 3, map_for_ever, NULL);
	crew_spread(crew, 3, 0);
	crew_go(crew, 3);
	crew_join(crew, 3);
}

/* What all read, and nobody writes to any more, is everywhere, and travels no longer. */
static void *read_all_the_time(struct hand *hand)
{
	volatile uint64_t *words = hand->argument;
	uint64_t end = now_ns() + 600000000, sum = 0;

	while (now_ns() < end)
		for (int i = 0; i < 100; i++)
			sum |= words[0] + words[512] + words[1024];
	hand->result = (void *)(uintptr_t)sum;
	DO(sem_post(&hand->done));
	down(&hand->go);
	return hand->result;
}

static void read_by_all(void)
{
	volatile uint64_t *words = (volatile uint64_t *)map_pages(PAGES, RW);
	int asked = 0;

	crew_start(crew, WATCHERS, read_all_the_time, (void *)words);
	crew_spread(crew, WATCHERS, 0);
	for (int i = 0; i < PLACES; i++) {
		go(places[i]);
		words[512 * i] = i + 1;
	}
	for (int i = 0; i < WATCHERS; i++)
		asked -= faults_of(getpid(), crew[i].tid);
	crew_go(crew, WATCHERS);
	for (int i = 0; i < WATCHERS; i++)
		down(&crew[i].done);
	for (int i = 0; i < WATCHERS; i++)
		asked += faults_of(getpid(), crew[i].tid);
	/* Three pages each, and what the rest of the loop needs: if one had them at a time, many times that. */
	note("%d pages asked for", asked);
	CHECK(asked < 60);
	for (int i = 0; i < WATCHERS; i++)
		DO(sem_post(&crew[i].go));
	crew_join(crew, WATCHERS);
	for (int i = 0; i < WATCHERS; i++)
		EQUAL((uintptr_t)crew[i].result, 6);
	DO(munmap((void *)words, BYTES));
}

/*
 * What a thread on one node has, one on another wants: the page goes there at once, not by
 * way of home, whether it is to be written or read.
 */
enum { PASSED = 24 };
static atomic_int passed_turn ALONE;

static void await_turn(int turn)
{
	while (atomic_load(&passed_turn) < turn)
		usleep(1000);
}

static void *pass_on(struct hand *hand)
{
	volatile uint64_t *words = hand->argument;
	uint64_t sum = 0;

	/* Each in turn writes to all; then who did not write last reads. */
	for (int round = 0; round < 4; round++) {
		await_turn(2 * round + hand->number);
		for (int i = 0; i < PASSED; i++)
			words[512 * i] = words[512 * i] * 3 + hand->number + i;
		atomic_fetch_add(&passed_turn, 1);
	}
	await_turn(8);
	for (int i = 0; i < PASSED && !hand->number; i++)
		sum += words[512 * i];
	return (void *)sum;
}

static void passed_on(void)
{
	uint64_t *words = (uint64_t *)map_pages(PASSED, RW);
	uint64_t sum = 0;
	int before;

	atomic_store(&passed_turn, 0);
	crew_start(crew, 2, pass_on, words);
	crew_spread(crew, 2, 1);
	before = forwarded_of(getpid());
	crew_go(crew, 2);
	crew_join(crew, 2);
	for (int i = 0; i < PASSED; i++) {
		uint64_t word = 0;

		for (int step = 0; step < 8; step++)
			word = word * 3 + step % 2 + i;
		EQUAL(words[512 * i], word);
		sum += word;
	}
	EQUAL((uintptr_t)crew[0].result, sum);
	before = forwarded_of(getpid()) - before;
	note("%d pages sent from node to node", before);
	/* Eight times all of them; a page that home has, too, or fetches ahead, is not. */
	CHECK(!moving() || before >= 3 * PASSED);
	DO(munmap(words, 4096 * PASSED));
}

/* What may only be written to may be read on x86, on each node, also when it is shared. */
static volatile uint64_t *unreadable;
static pthread_mutex_t asking_returns = PTHREAD_MUTEX_INITIALIZER;

/* Where it is: nobody has to come home for that. */
static void *read_unreadable(struct hand *hand)
{
	uint64_t word;
	int faults;

	(void)hand;
	pthread_mutex_lock(&asking_returns);
	faults = returns("FAULT");
	word = unreadable[0];
	EQUAL(returns("FAULT"), faults);
	pthread_mutex_unlock(&asking_returns);
	return (void *)word;
}

static void write_only_is_shared(void)
{
	unreadable = (volatile uint64_t *)map_pages(1, PROT_WRITE);
	unreadable[0] = 4711;
	crew_start(crew, 2, read_unreadable, NULL);
	crew_spread(crew, 2, 1);
	crew_go(crew, 2);
	crew_join(crew, 2);
	EQUAL((uintptr_t)crew[0].result, 4711);
	EQUAL((uintptr_t)crew[1].result, 4711);
	EQUAL(unreadable[0], 4711);
}

/*
 * A page goes to one node, home takes it back, and another node wants it: before the first has had
 * a reason to say that it received it. It may have it all the same.
 */
enum { PASSES = 40, SILENT_NS = 15000000 };

static volatile uint64_t *passed_word;
static int pass_ends[2];

static void *write_and_be_silent(struct hand *hand)
{
	(void)hand;
	for (int i = 0; i < PASSES; i++) {
		uint64_t until;

		while (passed_word[0] != 3ull * i)
			sched_yield();
		passed_word[0]++;
		/* Neither calls nor pages: nothing that it would say it with. */
		until = now_ns() + SILENT_NS;
		while (now_ns() < until)
			;
	}
	return NULL;
}

static void *write_when_told(struct hand *hand)
{
	uint64_t longest = 0;
	char byte;

	(void)hand;
	for (int i = 0; i < PASSES; i++) {
		uint64_t start;

		EQUAL(read(pass_ends[0], &byte, 1), 1);
		start = now_ns();
		passed_word[0]++;
		start = now_ns() - start;
		longest = start > longest ? start : longest;
	}
	return (void *)longest;
}

static void passed_on_by_home(void)
{
	int kinds;

	DO(pipe(pass_ends));
	passed_word = (volatile uint64_t *)map_pages(1, RW);
	crew_start(crew, 1, write_and_be_silent, NULL);
	crew_start(&crew[1], 1, write_when_told, NULL);
	crew_spread(crew, 2, 1);
	kinds = returns("MEMORY_KIND");
	crew_go(crew, 2);
	for (int i = 0; i < PASSES; i++) {
		while (passed_word[0] != 3ull * i + 1)
			sleep_ms(1);
		passed_word[0]++;
		EQUAL(write(pass_ends[1], "w", 1), 1);
		while (passed_word[0] < 3ull * i + 3)
			sleep_ms(1);
	}
	crew_join(crew, 2);
	note("%ju us at most", (uintmax_t)(uintptr_t)crew[1].result / 1000);
	EQUAL(returns("MEMORY_KIND"), kinds);
}

/* One page that all write to, each its own bytes of it: none is lost. */
static volatile uint8_t *narrow;

static void *write_own_bytes(struct hand *hand)
{
	for (int i = 0; i < 100; i++)
		for (int j = hand->number; j < 64; j += WATCHERS)
			narrow[j]++;
	return NULL;
}

static void one_page_for_all(void)
{
	narrow = map_pages(1, RW);
	crew_start(crew, WATCHERS, write_own_bytes, NULL);
	crew_spread(crew, WATCHERS, 0);
	crew_go(crew, WATCHERS);
	crew_join(crew, WATCHERS);
	for (int i = 0; i < 63; i++)
		EQUAL(narrow[i], 100);
}

/* An access to two pages at once, of which others want one each. */
static volatile char *border;
static atomic_int border_end ALONE;

static void *cross_border(struct hand *hand)
{
	volatile uint64_t *word = (void *)(border + 4096 * (hand->number == 2 ? 2 : 1) - 4);

	for (int i = 0; hand->number ? !border_end : i < 60; i++) {
		if (hand->number)
			border[4096 * hand->number - 8]++;
		else
			(*word)++;
	}
	if (!hand->number)
		border_end = 1;
	return NULL;
}

static void two_pages_at_once(void)
{
	for (int round = 0; round < PLACES; round++) {
		border = map_pages(3, RW);
		border_end = 0;
		crew_start(crew, WATCHERS, cross_border, NULL);
		crew_spread(crew, WATCHERS, round);
		crew_go(crew, WATCHERS);
		crew_join(crew, WATCHERS);
		EQUAL(*(uint64_t *)(border + 4096 - 4), 60);
		DO(munmap((void *)border, BYTES));
	}
}

/*
 * Calls that are answered where the thread is store into one page that another node has each
 * time: what they store is there, and what others have stored stays.
 */
enum { TOLD = 60 };

static void *ask_the_time(struct hand *hand)
{
	struct timespec *mine = (struct timespec *)hand->argument + hand->number, last = { 0 };

	for (int i = 0; i < TOLD; i++) {
		uint64_t before = now_ns();

		EQUAL(memcmp(mine, &last, sizeof(last)), 0);
		DO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, mine));
		/* A clock that waits for home's stands still. */
		CHECK(mine->tv_sec * 1000000000ull + mine->tv_nsec >= before);
		last = *mine;
	}
	EQUAL(memcmp(mine, &last, sizeof(last)), 0);
	return NULL;
}

static void told_into_one_page(void)
{
	struct timespec *page = map_pages(1, RW);

	crew_start(crew, WATCHERS, ask_the_time, page);
	crew_spread(crew, WATCHERS, 0);
	crew_go(crew, WATCHERS);
	crew_join(crew, WATCHERS);
	for (int i = 0; i < WATCHERS; i++)
		CHECK(page[i].tv_sec > 0);
	CHECK(untouched(page, page_size(), 0, WATCHERS * sizeof(*page), 0));
	DO(munmap(page, page_size()));
}

static void *write_unreadable(struct hand *hand)
{
	(void)hand;
	unreadable[0] = 4711;
	return NULL;
}

static void *read_when_told(struct hand *hand)
{
	char byte;

	EQUAL(read(pass_ends[0], &byte, 1), 1);
	return read_unreadable(hand);
}

/* Such a page is copied when home reads what a node has written: then one more reader comes. */
static void write_only_has_readers(void)
{
	unreadable = (volatile uint64_t *)map_pages(1, PROT_WRITE);
	DO(pipe(pass_ends));
	crew_start(crew, 1, write_unreadable, NULL);
	crew_start(&crew[1], 1, read_when_told, NULL);
	crew_spread(crew, 2, 1);
	crew_go(crew, 2);
	while (unreadable[0] != 4711)
		sleep_ms(1);
	EQUAL(write(pass_ends[1], "r", 1), 1);
	crew_join(crew, 2);
	EQUAL((uintptr_t)crew[1].result, 4711);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(copied_while_changing), CASE(all_change), CASE(read_by_all), CASE(passed_on),
		CASE(write_only_is_shared), CASE(write_only_has_readers),
		CASE(passed_on_by_home), CASE(one_page_for_all), CASE(two_pages_at_once),
		CASE(told_into_one_page),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

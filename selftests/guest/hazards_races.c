// SPDX-License-Identifier: GPL-2.0
/* Known ways to lose a page: one process accesses or changes the memory of another that is away. */
#include "harness.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { PAGES = 64, BYTES = PAGES * 4096 };

#define RW (PROT_READ | PROT_WRITE)

/*
 * A process that shares the memory and stays at home changes the layout under one that is
 * away. Pages of three kinds: those that lose and regain their protection, and those that
 * are moved aside and back, keep what was counted in them; those that are dropped show
 * what home has written since. A node that keeps a page that it should not is found out.
 */
enum {
	KEPT = 20, MOVED = 20, DROPPED = 24,	/* PAGES together, in this order */
	CHANGES = 40,				/* of the layout in a round: twice as many */
	LAYOUT_MS = 6500,
};

/* Each side has a copy of its own, lest the page with it goes to and fro. */
struct layout {
	char *pages, *aside;
	volatile uint64_t *round;	/* on a page of its own: this one is done */
	uint64_t *generation;		/* of the dropped pages, 0: nothing written since */
	long *error;			/* of the first call that failed */
	int start;			/* a byte for each round */
};

/* Without the C library: errno, and all else that is a thread's, belongs to the other. */
static long raw_call(long number, long a, long b, long c, long d, long e)
{
	register long r10 asm("r10") = d;
	register long r8 asm("r8") = e;

	asm volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
		     : "rcx", "r11", "memory");
	return number;
}

static long change(const struct layout *layout, int which, uint64_t generation)
{
	long page = (long)layout->pages + which * 4096, aside = (long)layout->aside;
	enum { MOVE = MREMAP_MAYMOVE | MREMAP_FIXED };
	long result;

	if (which < KEPT) {
		result = raw_call(SYS_mprotect, page, 4096, PROT_READ, 0, 0);
		return result ?: raw_call(SYS_mprotect, page, 4096, RW, 0, 0);
	}
	if (which < KEPT + MOVED) {
		result = raw_call(SYS_mremap, page, 4096, 4096, MOVE, aside);
		if (result < 0)
			return result;
		return raw_call(SYS_mremap, aside, 4096, 4096, MOVE, page) - page;
	}
	result = raw_call(SYS_madvise, page, 4096, MADV_DONTNEED, 0, 0);
	/* Every fourth time the next one to touch it is the other. */
	generation = generation % 4 ? generation : 0;
	if (generation)
		((volatile uint64_t *)page)[1] = generation;
	layout->generation[which - KEPT - MOVED] = generation;
	return result;
}

static int change_layout(void *shared)
{
	struct layout layout = *(struct layout *)shared;
	uint64_t generation = 0, pause;
	char byte = 0;

	while (raw_call(SYS_read, layout.start, (long)&byte, 1, 0, 0) == 1 && byte != 'q') {
		for (int i = 0; i < CHANGES; i++) {
			int which = ++generation * 13 % PAGES;
			long error = change(&layout, which, 2 * generation);

			/*
			 * The other asks for the page again by now. The second change comes sooner
			 * or later than the answer, within 3 ms, in the end at any moment of it.
			 */
			pause = now_ns() + generation * 37 % 3000 * 1000;
			while (now_ns() < pause)
				;
			error = error ?: change(&layout, which, 2 * generation + 1);
			if (error)
				*layout.error = error;
		}
		*layout.round += 1;
	}
	return 0;
}

static volatile unsigned int denied;

/* The page is forbidden or elsewhere for a moment: again. */
static void try_again(int number)
{
	(void)number;
	denied++;
}

/* First page that is not as it has to be, or -1. */
static int wrong_page(const struct layout *layout, const uint64_t *counted)
{
	for (int i = 0; i < PAGES; i++) {
		volatile uint64_t *word = (void *)(layout->pages + i * 4096);
		uint64_t count = word[0];

		if (i < KEPT + MOVED ? count != counted[i] :
		    count > counted[i] || word[1] != layout->generation[i - KEPT - MOVED])
			return i;
	}
	return -1;
}

static void check_layout(const struct layout *layout, const uint64_t *counted)
{
	int page = wrong_page(layout, counted);
	volatile uint64_t *word;

	/* A page may have been on its way out when its mapping changed; what is lost stays lost. */
	for (int i = 0; i < 100 && page >= 0; i++) {
		sleep_ms(200);
		page = wrong_page(layout, counted);
	}
	if (page < 0)
		return;
	word = (void *)(layout->pages + page * 4096);
	fail(__FILE__, __LINE__,
	     "round %ld, page %d: %ld of %ld counted, generation %ld of %ld, node %d",
	     (long)*layout->round, page, (long)word[0], (long)counted[page], (long)word[1],
	     page < KEPT + MOVED ? 0 : (long)layout->generation[page - KEPT - MOVED], where());
}

static void layout_races(void)
{
	uint64_t counted[PAGES] = { 0 }, end, rounds = 0, passes = 0;
	struct layout layout, *shared = map_pages(1, RW);
	char *stack = map_pages(8, RW);
	int ends[2];
	pid_t pid;

	layout.pages = map_pages(PAGES, RW);
	layout.aside = map_pages(1, PROT_NONE);
	layout.round = map_pages(1, RW);
	layout.generation = map_pages(1, RW);
	layout.error = (long *)layout.generation + DROPPED;
	memset(layout.pages, 0, BYTES);
	DO(pipe(ends));
	layout.start = ends[0];
	*shared = layout;
	signal(SIGSEGV, try_again);
	pid = DO(clone(change_layout, stack + 8 * 4096, CLONE_VM | SIGCHLD, shared));
	end = now_ns() + LAYOUT_MS * 1000000ull;
	do {
		if (rounds++ % 5 == 0)
			away();
		EQUAL(write(ends[1], "g", 1), 1);
		do {
			for (int i = 0; i < PAGES; i++) {
				uint64_t *word = (void *)(layout.pages + i * 4096);

				/* One instruction: begun anew after a fault, not continued. */
				asm volatile("incq %0" : "+m"(*word));
				counted[i]++;
			}
			passes++;
		} while (*layout.round != rounds);
		check_layout(&layout, counted);
		if (rounds % 5 == 0) {
			home();
			check_layout(&layout, counted);
		}
	} while (now_ns() < end);
	EQUAL(write(ends[1], "q", 1), 1);
	reap(pid);
	EQUAL(*layout.error, 0);
	note("%lu rounds, %lu passes, %u times denied", rounds, passes, denied);
}

/*
 * Another process writes one half of each page and reads it back, by all ways that there
 * are, while this one, away, counts in the other half.
 */
enum { HALF = 2048, HALF_WORDS = HALF / 8, ACCESS_MS = 6000 };

static void access_halves(char *memory, uint64_t *written, int times)
{
	uint64_t half[HALF_WORDS], end = now_ns() + ACCESS_MS * 1000000ull;
	struct iovec here = { half, HALF }, there = { NULL, HALF };
	pid_t pid = getppid();
	char path[40];
	int file;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	file = DO(open(path, O_RDWR));
	for (uint64_t n = 1; now_ns() < end; n++) {
		int page = n * 13 % PAGES;

		there.iov_base = memory + page * 4096 + HALF;
		if (n % 3)
			EQUAL(process_vm_readv(pid, &here, 1, &there, 1, 0), HALF);
		else
			EQUAL(pread(file, half, HALF, (off_t)there.iov_base), HALF);
		for (int i = 0; i < HALF_WORDS; i++)
			EQUAL(half[i], written[page]);
		written[page] = n;
		for (int i = 0; i < HALF_WORDS; i++)
			half[i] = n;
		if (n % 2)
			EQUAL(process_vm_writev(pid, &here, 1, &there, 1, 0), HALF);
		else
			EQUAL(pwrite(file, half, HALF, (off_t)there.iov_base), HALF);
	}
	EQUAL(write(times, written, PAGES * sizeof(*written)), PAGES * sizeof(*written));
}

static void accesses_race(void)
{
	uint64_t written[PAGES] = { 0 }, passes = 0, next_move = now_ns();
	char *memory = map_pages(PAGES, RW);
	volatile uint64_t *ended = map_pages(1, RW);
	int ends[2];
	pid_t child;

	memset(memory, 0, BYTES);
	*ended = 0;
	DO(pipe(ends));
	child = DO(fork());
	if (!child) {
		struct iovec here = { (uint64_t[]){ 1 }, 8 }, there = { (void *)ended, 8 };

		access_halves(memory, written, ends[1]);
		EQUAL(process_vm_writev(getppid(), &here, 1, &there, 1, 0), 8);
		_exit(0);
	}
	for (; !*ended; passes++) {
		if (now_ns() > next_move) {
			if (passes)
				home();
			away();
			next_move = now_ns() + 2000000000ull;
		}
		for (int i = 0; i < PAGES; i++)
			((volatile uint64_t *)(memory + i * 4096))[passes % HALF_WORDS]++;
	}
	EQUAL(read(ends[0], written, sizeof(written)), sizeof(written));
	for (int at_home = 0; at_home < 2; at_home++) {
		for (int i = 0; i < PAGES; i++) {
			uint64_t *word = (void *)(memory + i * 4096);

			for (unsigned int k = 0; k < HALF_WORDS; k++) {
				EQUAL(word[k], passes / HALF_WORDS + (k < passes % HALF_WORDS));
				EQUAL(word[HALF_WORDS + k], written[i]);
			}
		}
		home();
	}
	reap(child);
	note("%lu passes", passes);
}

/*
 * Pages of a process that is killed in the middle of its faults are on their way still, into
 * memory that others may get too early.
 */
enum { CHECKED = 96, VICTIM = 64, VICTIMS = 40 };

static void check_landings(int stop, int ready)
{
	size_t bytes = CHECKED * 4096, half = bytes / 2;
	char *memory = map_pages(CHECKED, RW), *copy = map_pages(CHECKED / 2, RW);
	int file = DO(memfd_create("copy", 0));
	uint64_t seed = 0;
	char byte;

	away();
	EQUAL(write(ready, "r", 1), 1);
	for (; read(stop, &byte, 1) < 0; seed++) {
		/* As many places to land as there are pages, as fast as it can take them. */
		DO(madvise(memory, bytes, MADV_DONTNEED));
		fill(memory, bytes, seed);
		EQUAL(differs(memory, bytes, seed), -1);
		if (seed % 4)
			continue;
		/* Home wants this half: what it was in here is free for the victims. */
		EQUAL(pwrite(file, memory, half, 0), half);
		EQUAL(pread(file, copy, half, 0), half);
		EQUAL(differs(copy, half, seed), -1);
		EQUAL(differs(memory, bytes, seed), -1);
	}
	note("%lu times checked", seed);
	_exit(0);
}

/* Pages in both directions, none of them zero: all of them travel. */
static void be_victim(int ready, int round)
{
	volatile uint64_t *memory = map_pages(VICTIM, RW);
	int file = DO(memfd_create("victim", 0));

	memset((void *)memory, 0xee, VICTIM * 4096);
	EQUAL(write(ready, "r", 1), 1);
	for (;;) {
		for (int i = 0; i < VICTIM; i++) {
			if (round % 2)
				memory[i * 512]++;
			else
				(void)memory[i * 512];
		}
		EQUAL(pwrite(file, (void *)memory, VICTIM * 4096, 0), VICTIM * 4096);
	}
}

static void landing_is_not_reused_early(void)
{
	int stop[2], ready[2], status;
	pid_t checker, victim;
	char byte;

	DO(pipe2(stop, O_NONBLOCK));
	DO(pipe(ready));
	checker = DO(fork());
	if (!checker)
		check_landings(stop[0], ready[1]);
	EQUAL(read(ready[0], &byte, 1), 1);
	for (int round = 0; round < VICTIMS; round++) {
		victim = DO(fork());
		if (!victim)
			be_victim(ready[1], round);
		EQUAL(read(ready[0], &byte, 1), 1);
		away_pid(victim);
		sleep_ms(round * 7 % 40);
		DO(kill(victim, SIGKILL));
		EQUAL(waitpid(victim, &status, 0), victim);
		CHECK(WIFSIGNALED(status));
		EQUAL(waitpid(checker, &status, WNOHANG), 0);
	}
	EQUAL(write(stop[1], "q", 1), 1);
	reap(checker);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(layout_races), CASE(accesses_race),
		{ "landing_is_not_reused_early", landing_is_not_reused_early, 60 },
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

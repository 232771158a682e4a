// SPDX-License-Identifier: GPL-2.0
/*
 * Known ways to lose a page, a wake-up or the machine, each once as a program can
 * meet it. Others are beside their subject: a parked thread that owes a release
 * and fork that leaks (process), the one-page MADV_DONTNEED (memory), out of
 * memory and KSM (pages), stale copies of files (files).
 */
#include "harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { PAGES = 64, BYTES = PAGES * 4096 };

#define RW (PROT_READ | PROT_WRITE)

/* A held page whose anon_vma goes: unmapped, then everything comes home. */
static void unmapped_while_away(void)
{
	for (int round = 0; round < 6; round++) {
		char *memory = map_pages(PAGES, RW), *other = map_pages(PAGES, RW);

		fill(memory, BYTES, round);
		fill(other, BYTES, round + 50);
		away();
		fill(memory, BYTES, round + 100);
		EQUAL(differs(other, BYTES, round + 50), -1);
		DO(munmap(memory, BYTES));
		DO(munmap(other, BYTES / 2));
		if (round % 2)
			home();
		EQUAL(differs(map_pages(PAGES, RW), 0, 0), -1);
		home();
		DO(munmap(other + BYTES / 2, BYTES / 2));
	}
}

static void exited_while_away(void)
{
	for (int round = 0; round < 8; round++) {
		char *memory = map_pages(PAGES, RW);
		pid_t child;

		fill(memory, BYTES, round);
		child = DO(fork());
		if (!child) {
			away();
			if (round % 2)
				fill(memory, BYTES, 1);
			else
				EQUAL(differs(memory, BYTES, round), -1);
			_exit(0);
		}
		reap(child);
		EQUAL(differs(memory, BYTES, round), -1);
		DO(munmap(memory, BYTES));
	}
}

/* The family shares one anon_vma; its root ends while the child's pages are away. */
static void root_of_the_family_ends(void)
{
	int ends[2];
	char byte;
	pid_t parent;

	DO(pipe(ends));
	parent = DO(fork());
	if (!parent) {
		char *memory = map_pages(PAGES, RW);
		pid_t child;

		fill(memory, BYTES, 1);
		away();
		fill(memory, BYTES / 2, 2);
		child = DO(fork());
		if (!child) {
			close(ends[0]);
			away();
			EQUAL(differs(memory, BYTES / 2, 2), -1);
			fill(memory, BYTES, 3);
			sleep_ms(300);		/* the parent is gone by then */
			EQUAL(differs(memory, BYTES, 3), -1);
			home();
			EQUAL(differs(memory, BYTES, 3), -1);
			_exit(write(ends[1], "k", 1) != 1);
		}
		away();
		fill(memory, BYTES, 4);
		_exit(0);
	}
	close(ends[1]);
	reap(parent);
	EQUAL(read(ends[0], &byte, 1), 1);
}

static void exec_while_pages_are_away(void)
{
	for (int round = 0; round < 5; round++) {
		pid_t child = DO(fork());

		if (!child) {
			char *memory = map_pages(PAGES, RW);

			fill(memory, BYTES, 1);
			away();
			fill(memory, BYTES, 2);
			execl("/bin/true", "true", NULL);
			_exit(1);
		}
		reap(child);
	}
}

/* close() of a connection's last descriptor: the other end is told at once. */
static void connection_closes(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);
	int server = DO(socket(AF_INET, SOCK_STREAM, 0)), fd;
	pid_t peer;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	DO(bind(server, (void *)&address, sizeof(address)));
	DO(listen(server, 1));
	DO(getsockname(server, (void *)&address, &length));
	peer = DO(fork());
	if (!peer) {
		char byte;
		int mine = DO(socket(AF_INET, SOCK_STREAM, 0));

		close(server);
		DO(connect(mine, (void *)&address, sizeof(address)));
		_exit(read(mine, &byte, 1) != 0);
	}
	fd = DO(accept(server, NULL, NULL));
	away();
	close(fd);
	compute_ms(300);
	reap(peer);
}

/*
 * A page that is read away and clean at home, made read-only and writable again:
 * a write at home must not leave the copy behind.
 */
static void protection_there_and_back(void)
{
	char *memory = map_pages(1, RW);
	int to[2], from[2];
	pid_t writer;
	char byte;

	DO(pipe(to));
	DO(pipe(from));
	memory[0] = '0';
	writer = DO(fork());
	if (!writer) {
		for (char value = 'a'; value < 'k'; value++) {
			struct iovec here = { &value, 1 }, there = { memory, 1 };

			CHECK(read(to[0], &byte, 1) == 1);
			CHECK(process_vm_writev(getppid(), &here, 1, &there, 1, 0) == 1);
			CHECK(write(from[1], "x", 1) == 1);
		}
		_exit(0);
	}
	memory[1] = 'm';	/* the page is this process' own after the fork */
	for (char value = 'a'; value < 'k'; value++) {
		if (value % 3 == 0)
			away();
		byte = memory[1];
		EQUAL(byte, 'm');
		DO(mprotect(memory, 4096, PROT_READ));
		byte = memory[0];
		DO(mprotect(memory, 4096, RW));
		byte = memory[1];
		EQUAL(write(to[1], "x", 1), 1);
		EQUAL(read(from[0], &byte, 1), 1);
		EQUAL(memory[0], value);
		if (value % 3 == 1)
			home();
	}
	reap(writer);
}

/* SIGKILL finds the visitor in all stages of a page fault. */
static void killed_in_a_fault(void)
{
	int ends[2];

	DO(pipe(ends));
	for (int round = 0; round < 10; round++) {
		uint64_t start;
		pid_t child = DO(fork());
		int status;
		char byte;

		if (!child) {
			volatile char *memory = map_pages(2048, RW);

			memset((char *)memory, 1, 2048 * 4096);
			away();
			CHECK(write(ends[1], "a", 1) == 1);
			for (;;)
				for (int i = 0; i < 2048; i++)
					memory[i * 4096]++;
		}
		EQUAL(read(ends[0], &byte, 1), 1);
		sleep_ms(round * 37);
		start = now_ns();
		DO(kill(child, SIGKILL));
		EQUAL(waitpid(child, &status, 0), child);
		CHECK(WIFSIGNALED(status));
		CHECK(now_ns() - start < 2000000000ull);
	}
}

/* Others give advice on memory that is away. */
static void advice_of_others(void)
{
	char *memory = map_pages(PAGES, RW);
	int file, null[2];
	pid_t child;
	char byte;

	DO(pipe(null));
	child = DO(fork());
	if (!child) {
		away();
		fill(memory, BYTES, 8);
		CHECK(write(null[1], "x", 1) == 1);
		sleep_ms(300);
		EQUAL(differs(memory, BYTES, 8), -1);
		_exit(0);
	}
	EQUAL(read(null[0], &byte, 1), 1);
	file = DO(syscall(SYS_pidfd_open, child, 0));
	struct iovec there = { memory, BYTES };

	DO(syscall(SYS_process_madvise, file, &there, 1, MADV_PAGEOUT, 0));
	DO(syscall(SYS_process_madvise, file, &there, 1, MADV_COLD, 0));
	reap(child);
}

/*
 * A process that shares the memory and stays at home changes the layout under one that is
 * away. Pages of three kinds: those that lose and regain their protection, and those that
 * are moved aside and back, keep what was counted in them; those that are dropped show
 * what home has written since. Whoever keeps a page that he should not is found out.
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

	if (page < 0)
		return;
	/* A page may have been on its way out when its mapping changed; not for long. */
	sleep_ms(200);
	page = wrong_page(layout, counted);
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
 * Hazard C: pages of a process that is killed in the middle of its faults are on their
 * way still, into memory that others may get too early.
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

/*
 * Hazard B, the other half: work that is announced to a task that waits for somebody else
 * is done meanwhile, and the wait goes on. The ring is the kernel's own interface.
 */
struct ring {
	int fd;
	struct io_uring_params params;
	char *queues;
	struct io_uring_sqe *entries;
};

static volatile unsigned int *ring_word(struct ring *ring, unsigned int offset)
{
	return (volatile unsigned int *)(ring->queues + offset);
}

static void ring_open(struct ring *ring)
{
	size_t size;

	memset(ring, 0, sizeof(*ring));
	ring->fd = syscall(SYS_io_uring_setup, 4, &ring->params);
	if (ring->fd < 0)
		skip("io_uring_setup: %s", strerror(errno));
	CHECK(ring->params.features & IORING_FEAT_SINGLE_MMAP);
	size = ring->params.cq_off.cqes + ring->params.cq_entries * sizeof(struct io_uring_cqe);
	ring->queues = DO(mmap(NULL, size, RW, MAP_SHARED | MAP_POPULATE, ring->fd,
			       IORING_OFF_SQ_RING));
	ring->entries = DO(mmap(NULL, ring->params.sq_entries * sizeof(*ring->entries), RW,
				MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES));
}

static void ring_put(struct ring *ring, struct io_uring_sqe entry)
{
	volatile unsigned int *tail = ring_word(ring, ring->params.sq_off.tail);
	unsigned int slot = *tail & *ring_word(ring, ring->params.sq_off.ring_mask);

	ring->entries[slot] = entry;
	ring_word(ring, ring->params.sq_off.array)[slot] = slot;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
}

static void ring_read(struct ring *ring, int file, void *buffer, unsigned int bytes, uint64_t id)
{
	ring_put(ring, (struct io_uring_sqe){
		.opcode = IORING_OP_READ, .fd = file, .addr = (uintptr_t)buffer, .len = bytes,
		.user_data = id,
	});
	EQUAL(syscall(SYS_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0), 1);
}

/* Submits, and waits for one completion. */
static long ring_wait(struct ring *ring, unsigned int submitted)
{
	return syscall(SYS_io_uring_enter, ring->fd, submitted, 1, IORING_ENTER_GETEVENTS, NULL, 0);
}

static unsigned int ring_done(struct ring *ring)
{
	return __atomic_load_n(ring_word(ring, ring->params.cq_off.tail), __ATOMIC_ACQUIRE);
}

static void check_completion(struct ring *ring, uint64_t id, int result)
{
	volatile unsigned int *head = ring_word(ring, ring->params.cq_off.head);
	struct io_uring_cqe *entries = (void *)(ring->queues + ring->params.cq_off.cqes);
	unsigned int mask = *ring_word(ring, ring->params.cq_off.ring_mask);
	struct io_uring_cqe *entry = &entries[*head & mask];

	CHECK(ring_done(ring) != *head);
	EQUAL(entry->user_data, id);
	EQUAL(entry->res, result);
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
}

/* The writer: completes the ring's read, sees that done, and only then wakes the other. */
static void complete_then_wake(struct ring *ring, int asynchronous, int blocking, unsigned int done)
{
	uint64_t end = now_ns() + 5000000000ull;

	sleep_ms(150);
	EQUAL(write(asynchronous, "ring", 4), 4);
	while (ring_done(ring) != done) {
		if (now_ns() > end)
			fail(__FILE__, __LINE__, "%u completions while it waits, not %u",
			     ring_done(ring), done);
		sleep_ms(1);
	}
	sleep_ms(50);
	EQUAL(write(blocking, "woken", 5), 5);
	_exit(0);
}

static void io_uring_completes(void)
{
	char *buffer = map_pages(1, RW), text[8];
	int slow[2], fast[2];
	struct ring ring;

	ring_open(&ring);
	DO(pipe(fast));
	DO(pipe(slow));
	for (unsigned int round = 1; round <= 4; round++) {
		pid_t writer;

		home();
		strcpy(buffer, "none");
		ring_read(&ring, fast[0], buffer + 100, 50, round);
		writer = DO(fork());
		if (!writer)
			complete_then_wake(&ring, fast[1], slow[1], round);
		away();
		/* The buffer is elsewhere, too, when it is wanted. */
		CHECK(!strcmp(buffer, "none"));
		buffer[0] = 'o';
		if (round == 4)
			compute_ms(400);	/* not in a call at all */
		EQUAL(read(slow[0], text, sizeof(text)), 5);
		CHECK(!memcmp(text, "woken", 5));
		CHECK(!strcmp(buffer, "oone"));
		CHECK(!memcmp(buffer + 100, "ring", 4));
		check_completion(&ring, round, 4);
		reap(writer);
	}
}

static void allow_all_calls(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { 1, &allow };

	DO(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	DO(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

/*
 * io_uring_enter() does announced work itself, in the middle of the call: the way out of
 * a thread that makes it at home, as it makes all of them under a filter, has to wait.
 */
static void io_uring_waits(void)
{
	pid_t parent = getppid(), child;
	struct ring ring;

	ring_open(&ring);
	away();
	allow_all_calls();
	for (unsigned int round = 1; round <= 20; round++) {
		ring_put(&ring, (struct io_uring_sqe){ .opcode = IORING_OP_NOP, .user_data = round });
		away();		/* the ring is shared memory: it came home */
		EQUAL(ring_wait(&ring, 1), 1);
		EQUAL(getppid(), parent);
		check_completion(&ring, round, 0);
		child = DO(fork());
		if (!child)
			_exit(0);
		reap(child);
	}
}

static void write_ring(void *file)
{
	if (write(*(int *)file, "ring", 4) != 4)
		_exit(1);
}

/* A wait for a pipe's bytes, which come @ms after it began, while the steps are done. */
static void wait_for_ring(struct ring *ring, uint64_t id, bool begins_away, unsigned int ms,
			  const char *steps)
{
	char *buffer = map_pages(1, RW);
	pid_t parent = getppid(), writer;
	int ends[2];

	DO(pipe(ends));
	ring_read(ring, ends[0], buffer, 100, id);
	writer = later(ms, write_ring, &ends[1]);
	if (begins_away)
		away();
	during("%s", steps);
	EQUAL(ring_wait(ring, 0), 0);
	EQUAL(getppid(), parent);
	during_end();
	check_completion(ring, id, 4);
	CHECK(!memcmp(buffer, "ring", 4));
	reap(writer);
}

/* The same for a thread that is in the call, at home, when it is asked away. */
static void io_uring_wait_is_left_alone(void)
{
	struct ring ring;

	ring_open(&ring);
	away();		/* the first move takes long: not while it waits */
	for (unsigned int round = 1; round <= 4; round++) {
		home();
		wait_for_ring(&ring, round, false, 400, "100 a 10 h 10 a");
	}
}

/* And for one whose deputy is in it: asked home, it comes when the call has ended. */
static void io_uring_wait_is_recalled(void)
{
	struct ring ring;

	ring_open(&ring);
	for (unsigned int round = 1; round <= 4; round++) {
		away();
		wait_for_ring(&ring, round, true, 700, round % 2 ? "200 h" : "200 h 10 a 10 h");
		home();
		EQUAL(where(), 0);
	}
}

/*
 * A page of its own that a process has given to a pipe: as long as the pipe refers to it,
 * what is written to the one is read from the other.
 */
static void spliced_page_is_shared(void)
{
	char *memory = map_pages(4, RW), *copy = map_pages(4, RW);
	size_t bytes = 4 * 4096;
	int ends[2];

	DO(pipe(ends));
	for (int round = 0; round < 4; round++) {
		struct iovec there = { memory, bytes };

		if (round % 2 == 0)
			away();
		fill(memory, bytes, round);
		EQUAL(vmsplice(ends[1], &there, 1, 0), bytes);
		EQUAL(differs(memory, bytes, round), -1);
		fill(memory, bytes, round + 10);
		if (round == 1)
			home();
		EQUAL(read(ends[0], copy, bytes), bytes);
		EQUAL(differs(copy, bytes, round + 10), -1);
		/* Free to leave again. */
		EQUAL(differs(memory, bytes, round + 10), -1);
		fill(memory, bytes, round + 20);
		EQUAL(differs(memory, bytes, round + 20), -1);
		EQUAL(differs(copy, bytes, round + 10), -1);
	}
	if (moving())
		CHECK(returns("MEMORY_KIND") > 0);
}

/* A disk whose transfers take a while, or none. */
static int slow_disk(void)
{
	int file;

	if (access("/dev/nullb0", W_OK) &&
	    system("modprobe null_blk nr_devices=1 gb=1 memory_backed=1 queue_mode=2 irqmode=2 "
		   "completion_nsec=100000000 2>/dev/null"))
		skip("no null_blk");
	file = open("/dev/nullb0", O_RDWR | O_DIRECT);
	if (file < 0)
		skip("/dev/nullb0: %s", strerror(errno));
	return file;
}

static void submit(aio_context_t context, int opcode, int file, void *buffer, size_t bytes)
{
	struct iocb block = {
		.aio_lio_opcode = opcode, .aio_fildes = file, .aio_buf = (uintptr_t)buffer,
		.aio_nbytes = bytes,
	}, *list = &block;

	EQUAL(syscall(SYS_io_submit, context, 1, &list), 1);
}

static void await(aio_context_t context, size_t bytes)
{
	struct io_event event;

	EQUAL(syscall(SYS_io_getevents, context, 1, 1, &event, NULL), 1);
	EQUAL(event.res, bytes);
}

/*
 * The disk writes one half of each page, at its own time, into the frame that it was given
 * when the transfer began; the process, away, counts in the other half meanwhile.
 */
static void disk_and_cpu_share_pages(void)
{
	char *memory = map_pages(9, RW), *source = map_pages(1, RW);
	aio_context_t context = 0;
	int disk = slow_disk();

	if (syscall(SYS_io_setup, 16, &context))
		skip("io_setup: %s", strerror(errno));
	fill(source, 4096, 1);
	EQUAL(pwrite(disk, source, 4096, 0), 4096);
	for (int round = 0; round < 4; round++) {
		volatile uint64_t *before = (void *)memory, *after = (void *)(memory + 2048 + 4096);

		if (round % 2 == 0)
			away();
		memset(memory, round, 9 * 4096);
		before[0] = after[0] = 0;
		/* From the middle of the first page to the middle of the second. */
		submit(context, IOCB_CMD_PREAD, disk, memory + 2048, 4096);
		for (int i = 0; i < 200; i++) {
			before[0]++;
			after[0]++;
		}
		await(context, 4096);
		EQUAL(before[0], 200);
		EQUAL(after[0], 200);
		EQUAL(differs(memory + 2048, 4096, 1), -1);
		/* And out: what goes to the disk is what was there. */
		fill(memory + 4 * 4096, 4096, round + 2);
		submit(context, IOCB_CMD_PWRITE, disk, memory + 4 * 4096, 4096);
		EQUAL(differs(memory + 4 * 4096, 4096, round + 2), -1);
		await(context, 4096);
		if (round % 2)
			home();
		EQUAL(pread(disk, memory + 8 * 4096, 4096, 0), 4096);
		EQUAL(differs(memory + 8 * 4096, 4096, round + 2), -1);
		EQUAL(pwrite(disk, source, 4096, 0), 4096);
	}
	if (moving())
		CHECK(returns("MEMORY_KIND") > 0);
	syscall(SYS_io_destroy, context);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "unmapped_while_away", unmapped_while_away, 40 }, CASE(exited_while_away),
		CASE(root_of_the_family_ends), CASE(exec_while_pages_are_away),
		CASE(connection_closes), CASE(protection_there_and_back),
		{ "killed_in_a_fault", killed_in_a_fault, 60 }, CASE(advice_of_others),
		CASE(layout_races), CASE(accesses_race),
		{ "landing_is_not_reused_early", landing_is_not_reused_early, 60 },
		CASE(io_uring_completes), CASE(io_uring_waits), CASE(io_uring_wait_is_left_alone),
		CASE(io_uring_wait_is_recalled), CASE(spliced_page_is_shared),
		CASE(disk_and_cpu_share_pages),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/* The calls that change an address space, made away, and what they leave in it. */
#include "harness.h"
#include "fault.h"

#include <alloca.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { PAGES = 64, BYTES = PAGES * 4096 };

#define RW (PROT_READ | PROT_WRITE)

/* Written at home and read away, and the other way round. */
static void content_travels(void)
{
	char *memory = map_pages(PAGES, RW);

	fill(memory, BYTES, 1);
	away();
	EQUAL(differs(memory, BYTES, 1), -1);
	fill(memory, BYTES, 2);
	home();
	EQUAL(differs(memory, BYTES, 2), -1);
	fill(memory + BYTES / 2, BYTES / 2, 3);
	away();
	EQUAL(differs(memory, BYTES / 2, 2), -1);
	EQUAL(differs(memory + BYTES / 2, BYTES / 2, 3), -1);
}

static void large_memory_travels(void)
{
	size_t bytes = 8 << 20;
	char *memory = map_pages(bytes / 4096, RW);

	fill(memory, bytes, 5);
	away();
	EQUAL(differs(memory, bytes, 5), -1);
	fill(memory, bytes, 6);
	home();
	EQUAL(differs(memory, bytes, 6), -1);
}

static void untouched_is_zero(void)
{
	char *memory = map_pages(PAGES, RW);

	away();
	for (int i = 0; i < BYTES; i += 509)
		EQUAL(memory[i], 0);
	memory[5 * 4096] = 9;
	home();
	EQUAL(memory[5 * 4096], 9);
	EQUAL(memory[6 * 4096], 0);
}

static void heap_grows_and_shrinks(void)
{
	char *start, *end;

	away();
	start = DO(sbrk(0));
	end = DO(sbrk(BYTES)) + BYTES;
	CHECK(sbrk(0) == end);
	fill(start + 4096, BYTES - 4096, 7);
	home();
	EQUAL(differs(start + 4096, BYTES - 4096, 7), -1);
	away();
	DO(brk(start));
	CHECK(sbrk(0) == start);
	EQUAL(faults_on(start + BYTES / 2, false), SEGV_MAPERR);
	DO(sbrk(BYTES));
	EQUAL(start[BYTES / 2], 0);
}

static void allocator(void)
{
	char *block[200] = { 0 };

	away();
	for (int i = 0; i < 800; i++) {
		int slot = i * 7 % 200;
		size_t size = 16 << (i % 13);

		if (block[slot])
			EQUAL(block[slot][0], slot % 100);
		free(block[slot]);
		block[slot] = malloc(size);
		memset(block[slot], slot % 100, size);
		if (i == 400)
			home();
		if (i == 600)
			away();
	}
}

static void map_and_unmap(void)
{
	char *memory;

	away();
	memory = map_pages(PAGES, RW);
	fill(memory, BYTES, 8);
	DO(munmap(memory + 8 * 4096, 8 * 4096));
	EQUAL(faults_on(memory + 9 * 4096, false), SEGV_MAPERR);
	EQUAL(differs(memory, 8 * 4096, 8), -1);
	home();
	EQUAL(faults_on(memory + 9 * 4096, true), SEGV_MAPERR);
	EQUAL(differs(memory, 8 * 4096, 8), -1);
}

/* What it takes, at best, to unmap pages that are owned where the caller is. */
static uint64_t unmapping_takes(void)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 3; i++) {
		char *memory = map_pages(4 * PAGES, RW);
		uint64_t start;

		fill(memory, 4 * BYTES, i);
		start = now_ns();
		DO(munmap(memory, 4 * BYTES));
		start = now_ns() - start;
		best = start < best ? start : best;
	}
	return best;
}

/* Each of the pages that come home is found at once, whatever else is away. */
static void unmapped_among_many(void)
{
	enum { MANY = 16384 };
	char *others = map_pages(MANY, RW);
	uint64_t few, many;

	away();
	few = unmapping_takes();
	for (long i = 0; i < MANY; i++)
		others[i * 4096] = 1;
	many = unmapping_takes();
	note("%u us; %u us with %u others", (unsigned int)(few / 1000), (unsigned int)(many / 1000),
	     MANY);
	CHECK(many < 3 * few + slower() * 200000000ull);
	EQUAL(others[(MANY - 1) * 4096l], 1);
}

static void fixed_replaces(void)
{
	char *memory = map_pages(PAGES, RW), *again;

	fill(memory, BYTES, 9);
	away();
	EQUAL(differs(memory, BYTES, 9), -1);
	again = DO(mmap(memory + 4096, 4 * 4096, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	CHECK(again == memory + 4096);
	for (int i = 0; i < 4 * 4096; i += 101)
		EQUAL(again[i], 0);
	EQUAL(differs(memory, 4096, 9), -1);
	EQUAL(mmap(memory, 4096, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), MAP_FAILED);
	EQUAL(errno, EEXIST);
}

/* The program's own memory where the kernel had put what the vdso reads. */
static void mapped_over_the_clocks(void)
{
	unsigned long end = 0, begin = find_mapping("[vvar]", &end);
	size_t zeros = 2048, bytes = end - begin - zeros;
	char *memory;

	if (!begin)
		skip("no [vvar]");
	memory = DO(mmap((void *)begin, end - begin, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			 -1, 0));
	/* Where it finds zeros the vdso makes system calls. */
	memory += zeros;
	fill(memory, bytes, 1);
	away();
	EQUAL(differs(memory, bytes, 1), -1);
	fill(memory, bytes, 2);
	EQUAL(differs(memory, bytes, 2), -1);
	home();
	EQUAL(differs(memory, bytes, 2), -1);
	away();
	EQUAL(differs(memory, bytes, 2), -1);
}

/* Below 64 KiB nothing is ever elsewhere: each access is made at home. */
static void lowest_addresses(void)
{
	volatile int *low = mmap((void *)0xf000, 4096, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (low == MAP_FAILED)
		skip("no memory below 64 KiB: %s", strerror(errno));
	for (int round = 1; round <= 3; round++) {
		away();
		low[1] = round;
		EQUAL(low[1], round);
		EQUAL(low[2], 0);
		CHECK(returns("EXCEPTION") >= (moving() ? round : 0));
		away();
		EQUAL(low[1]++, round);
		home();
		EQUAL(low[1], round + 1);
	}
}

static void protection_changes(void)
{
	char *memory = map_pages(PAGES, RW);

	fill(memory, BYTES, 10);
	away();
	memory[0]++;
	memory[0]--;
	DO(mprotect(memory, BYTES, PROT_READ));
	EQUAL(faults_on(memory, true), SEGV_ACCERR);
	EQUAL(differs(memory, BYTES, 10), -1);
	DO(mprotect(memory, BYTES, PROT_NONE));
	EQUAL(faults_on(memory, false), SEGV_ACCERR);
	home();
	EQUAL(faults_on(memory, false), SEGV_ACCERR);
	away();
	DO(mprotect(memory, BYTES, RW));
	EQUAL(differs(memory, BYTES, 10), -1);
	fill(memory, BYTES, 11);
	home();
	EQUAL(differs(memory, BYTES, 11), -1);
}

static void code_is_made(void)
{
	static const unsigned char code[] = { 0x8d, 0x47, 0x01, 0xc3 };	/* lea 1(%rdi),%eax; ret */
	unsigned char *page = map_pages(1, RW);

	away();
	for (int i = 1; i < 20; i++) {
		DO(mprotect(page, 4096, RW));
		memcpy(page, code, sizeof(code));
		page[2] = i;
		DO(mprotect(page, 4096, PROT_READ | PROT_EXEC));
		EQUAL(((int (*)(int))page)(100), 100 + i);
		if (i % 7 == 0)
			home();
		if (i % 7 == 2)
			away();
	}
}

static void remap_grows(void)
{
	char *memory = map_pages(PAGES, RW), *moved;

	fill(memory, BYTES, 12);
	away();
	EQUAL(differs(memory, BYTES / 2, 12), -1);	/* half of it is here */
	moved = DO(mremap(memory, BYTES, 4 * BYTES, MREMAP_MAYMOVE));
	EQUAL(differs(moved, BYTES, 12), -1);
	EQUAL(moved[3 * BYTES], 0);
	fill(moved, BYTES, 13);
	home();
	EQUAL(differs(moved, BYTES, 13), -1);
	away();
	DO(mremap(moved, 4 * BYTES, 4096, 0));
	EQUAL(faults_on(moved + 4096, false), SEGV_MAPERR);
}

static void remap_moves(void)
{
	char *memory = map_pages(PAGES, RW), *place = map_pages(PAGES, RW);

	fill(memory, BYTES, 14);
	fill(place, BYTES, 15);
	away();
	memory[3] ^= 1;
	memory[3] ^= 1;
	EQUAL(differs(place, BYTES, 15), -1);
	CHECK(DO(mremap(memory, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, place)) == place);
	EQUAL(differs(place, BYTES, 14), -1);
	EQUAL(faults_on(memory, false), SEGV_MAPERR);
	home();
	EQUAL(differs(place, BYTES, 14), -1);
}

static void dontneed_gives_zeros(void)
{
	char *memory = map_pages(PAGES, RW);

	fill(memory, BYTES, 16);
	away();
	fill(memory, BYTES, 17);
	DO(madvise(memory, BYTES / 2, MADV_DONTNEED));
	for (int i = 0; i < BYTES / 2; i += 4096)
		EQUAL(memory[i + 1], 0);
	CHECK(differs(memory, BYTES, 17) == 0);
	home();
	for (int i = 0; i < BYTES / 2; i += 4096)
		EQUAL(memory[i + 2], 0);
}

/* One page, which reclaim's notifier looks like. */
static void dontneed_of_one_page(void)
{
	char *memory = map_pages(PAGES, RW);

	for (int i = 0; i < PAGES; i++) {
		memory[i * 4096] = 1;
		if (i % 8 == 0)
			away();
		memory[i * 4096] = 2;
		DO(madvise(memory + i * 4096, 4096, MADV_DONTNEED));
		EQUAL(memory[i * 4096], 0);
		if (i % 8 == 4)
			home();
		EQUAL(memory[i * 4096], 0);
	}
}

static void free_gives_old_or_zeros(void)
{
	char *memory = map_pages(PAGES, RW);

	memset(memory, 5, BYTES);
	away();
	memset(memory, 6, BYTES);
	DO(madvise(memory, BYTES, MADV_FREE));
	for (int i = 0; i < BYTES; i += 1000)
		CHECK(memory[i] == 6 || memory[i] == 0);
	memset(memory, 7, BYTES);
	home();
	for (int i = 0; i < BYTES; i += 1000)
		EQUAL(memory[i], 7);
}

static void pageout_keeps(void)
{
	char *memory = map_pages(PAGES, RW);

	fill(memory, BYTES, 18);
	away();
	fill(memory, BYTES / 2, 19);
	DO(madvise(memory, BYTES, MADV_PAGEOUT));
	EQUAL(differs(memory, BYTES / 2, 19), -1);
	home();
	DO(madvise(memory, BYTES, MADV_PAGEOUT));
	away();
	EQUAL(differs(memory, BYTES / 2, 19), -1);
}

static void other_advice(void)
{
	char *memory = map_pages(PAGES, RW);

	fill(memory, BYTES, 20);
	away();
	DO(madvise(memory, BYTES, MADV_WILLNEED));
	DO(madvise(memory, BYTES, MADV_SEQUENTIAL));
	DO(madvise(memory, BYTES, MADV_HUGEPAGE));
	DO(madvise(memory, BYTES, MADV_COLD));
	DO(madvise(memory, BYTES, MADV_POPULATE_WRITE));
	EQUAL(madvise(memory + 1, BYTES, MADV_COLD), -1);
	EQUAL(errno, EINVAL);
	EQUAL(differs(memory, BYTES, 20), -1);
}

static __attribute__((noinline)) uint64_t deep(int depth)
{
	volatile char local[3000];

	memset((char *)local, depth, sizeof(local));
	if (depth) {
		uint64_t below = deep(depth - 1);

		CHECK(local[77] == (char)depth);
		return below + local[depth];
	}
	return 0;
}

static void stack_grows(void)
{
	uint64_t expected = deep(10);

	away();
	EQUAL(deep(10), expected);
	deep(200);	/* 600 KB that have never been touched */
	home();
	deep(250);
	away();
	deep(300);
}

static void stack_limit_counts(void)
{
	struct rlimit limit = { 256 << 10, 256 << 10 };
	int status;
	pid_t pid = DO(fork());

	if (!pid) {
		DO(setrlimit(RLIMIT_STACK, &limit));
		away();
		deep(1000);
		_exit(0);
	}
	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void locked_memory(void)
{
	char *memory = map_pages(PAGES, RW);
	unsigned char resident[PAGES];

	fill(memory, BYTES, 21);
	away();
	DO(mlock(memory, BYTES));
	EQUAL(differs(memory, BYTES, 21), -1);
	DO(mincore(memory, BYTES, resident));
	for (int i = 0; i < PAGES; i++)
		EQUAL(resident[i] & 1, 1);
	fill(memory, BYTES, 22);
	DO(munlock(memory, BYTES));
	home();
	EQUAL(differs(memory, BYTES, 22), -1);
}

static void address_space_limit(void)
{
	struct rlimit limit;

	away();
	DO(getrlimit(RLIMIT_AS, &limit));
	limit.rlim_cur = 512 << 20;
	DO(setrlimit(RLIMIT_AS, &limit));
	EQUAL(mmap(NULL, 1ul << 30, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), MAP_FAILED);
	EQUAL(errno, ENOMEM);
	home();
	EQUAL(mmap(NULL, 1ul << 30, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), MAP_FAILED);
}

static void hugetlb_pages(void)
{
	static const char count[] = "/proc/sys/vm/nr_hugepages";
	size_t bytes = 2 << 20;
	char was[20], *memory, *ordinary = map_pages(1, RW);
	int problem;

	if (access(count, W_OK))
		skip("no %s", count);
	snprintf(was, sizeof(was), "%.18s", read_text(count));
	if (atoi(was) < 2)
		write_text(count, "2\n");
	memory = mmap(NULL, 2 * bytes, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	problem = errno;
	if (memory == MAP_FAILED) {
		write_text(count, was);
		skip("no huge pages to be had: %s", strerror(problem));
	}
	memset(memory, 1, 4096);
	away();
	for (int i = 0; i < 8; i++) {
		memory[i * 65536] = i + 1;
		memory[bytes + i * 65536] = i + 2;	/* never touched before */
		ordinary[i]++;
	}
	EQUAL(memory[4095], 1);
	away();
	EQUAL(memory[4096], 0);
	home();
	for (int i = 0; i < 8; i++) {
		EQUAL(memory[i * 65536], i + 1);
		EQUAL(memory[bytes + i * 65536], i + 2);
		EQUAL(ordinary[i], 1);
	}
	if (moving())
		CHECK(returns("MEMORY_KIND") > 0);
	DO(munmap(memory, 2 * bytes));
	write_text(count, was);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(content_travels), { "large_memory_travels", large_memory_travels, 60 },
		CASE(untouched_is_zero), CASE(heap_grows_and_shrinks), CASE(allocator),
		CASE(map_and_unmap), { "unmapped_among_many", unmapped_among_many, 180 },
		CASE(fixed_replaces), CASE(mapped_over_the_clocks), CASE(lowest_addresses),
		CASE(protection_changes), CASE(code_is_made),
		CASE(remap_grows), CASE(remap_moves), CASE(dontneed_gives_zeros),
		CASE(dontneed_of_one_page), CASE(free_gives_old_or_zeros), CASE(pageout_keeps),
		CASE(other_advice), CASE(stack_grows), CASE(stack_limit_counts), CASE(locked_memory),
		CASE(address_space_limit), CASE(hugetlb_pages),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

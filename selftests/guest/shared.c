// SPDX-License-Identifier: GPL-2.0
/* Kinds of memory: locked, growing, in disorder, with policies and advice. */
#include "harness.h"
#include "fault.h"

#include <fcntl.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum { PAGES = 16, BYTES = PAGES * 4096 };

#define RW (PROT_READ | PROT_WRITE)

static long status_kb(const char *field)
{
	const char *line = strstr(read_text("/proc/self/status"), field);

	CHECK(line);
	return atol(line + strlen(field));
}

/* What is locked stays, also what comes later; the account of it is right. */
static void locked_for_good(void)
{
	unsigned char resident[PAGES];
	long before;
	char *memory;

	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		skip("mlockall: %s", strerror(errno));
	away();
	before = status_kb("VmLck:");
	memory = map_pages(PAGES, RW);
	EQUAL(status_kb("VmLck:") - before, BYTES / 1024);
	fill(memory, BYTES, 1);
	EQUAL(differs(memory, BYTES, 1), -1);
	DO(mincore(memory, BYTES, resident));
	for (int i = 0; i < PAGES; i++)
		EQUAL(resident[i] & 1, 1);
	EQUAL(madvise(memory, BYTES, MADV_DONTNEED), -1);
	EQUAL(errno, EINVAL);
	home();
	EQUAL(differs(memory, BYTES, 1), -1);
	away();
	DO(munlockall());
	EQUAL(status_kb("VmLck:"), 0);
	DO(syscall(SYS_mlock2, memory, BYTES, MLOCK_ONFAULT));
	EQUAL(status_kb("VmLck:"), BYTES / 1024);
	EQUAL(differs(memory, BYTES, 1), -1);
}

/* A mapping that grows downwards as it is used, to its guard. */
static void grows_down(void)
{
	enum { ROOM = 256, GAP = 256 };		/* pages; the kernel keeps a gap of that size */
	char *place = DO(mmap(NULL, (ROOM + GAP + 64) * 4096, PROT_READ,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	char *top = place + (ROOM + GAP) * 4096, *memory;

	DO(munmap(place + 4096, (ROOM + GAP + 63) * 4096));
	memory = DO(mmap(top, 4096, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN,
			 -1, 0));
	away();
	for (int i = 0; i < 20; i++)
		memory[-i * 4096] = i;
	home();
	for (int i = 0; i < 20; i++)
		EQUAL(memory[-i * 4096], i);
	memory[-20 * 4096] = 20;
	away();
	EQUAL(memory[-20 * 4096], 20);
	memory[-21 * 4096] = 21;
	EQUAL(faults_on(place, true), SEGV_ACCERR);
	EQUAL(faults_on(place + 2 * 4096, true), SEGV_MAPERR);	/* in the gap */
}

static void memory_policies(void)
{
	char *memory = map_pages(PAGES, RW);
	unsigned long nodes = 1, seen = 0;
	void *pages[2] = { memory, memory + 4096 };
	int status[2] = { -1, -1 }, to[2] = { 0, 0 }, mode = -1;

	fill(memory, BYTES, 2);
	away();
	memory[0] ^= 1;
	memory[0] ^= 1;
	if (syscall(SYS_set_mempolicy, MPOL_BIND, &nodes, 8 * sizeof(nodes)))
		skip("set_mempolicy: %s", strerror(errno));
	DO(syscall(SYS_get_mempolicy, &mode, &seen, 8 * sizeof(seen), NULL, 0));
	EQUAL(mode, MPOL_BIND);
	EQUAL(seen, 1);
	DO(syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0));
	DO(syscall(SYS_mbind, memory, BYTES, MPOL_BIND, &nodes, 8 * sizeof(nodes),
		   MPOL_MF_STRICT | MPOL_MF_MOVE));
	home();
	DO(syscall(SYS_get_mempolicy, &mode, &seen, 8 * sizeof(seen), memory, MPOL_F_ADDR));
	EQUAL(mode, MPOL_BIND);
	away();
	EQUAL(differs(memory, BYTES, 2), -1);
	/* Of a page that another node owns it says what it says of one that moves. */
	DO(syscall(SYS_move_pages, 0, 2, pages, NULL, status, 0));
	for (int i = 0; i < 2; i++)
		CHECK(status[i] == 0 || (moving() && status[i] == -ENOENT));
	home();
	EQUAL(differs(memory, BYTES, 2), -1);
	DO(syscall(SYS_move_pages, 0, 2, pages, to, status, MPOL_MF_MOVE));
	EQUAL(status[0], 0);
	EQUAL(status[1], 0);
	away();
	EQUAL(syscall(SYS_migrate_pages, 0, 8 * sizeof(nodes), &nodes, &nodes), 0);
	nodes = 1ul << 60;
	EQUAL(syscall(SYS_mbind, memory, BYTES, MPOL_BIND, &nodes, 8 * sizeof(nodes), 0), -1);
	EQUAL(errno, EINVAL);
	EQUAL(differs(memory, BYTES, 2), -1);
}

/* What a child has of it is decided by advice. */
static void advice_for_children(void)
{
	char *wiped = map_pages(1, RW), *kept = map_pages(1, RW), *absent = map_pages(1, RW);
	pid_t child;

	away();
	*wiped = *kept = *absent = 'x';
	DO(madvise(wiped, 4096, MADV_WIPEONFORK));
	DO(madvise(absent, 4096, MADV_DONTFORK));
	child = DO(fork());
	if (!child) {
		away();
		EQUAL(*wiped, 0);
		EQUAL(*kept, 'x');
		EQUAL(faults_on(absent, false), SEGV_MAPERR);
		_exit(0);
	}
	reap(child);
	EQUAL(*wiped, 'x');
	EQUAL(*absent, 'x');
}

/* A hole in shared memory, made by one that has it mapped. */
static void removed_range(void)
{
	char *memory = DO(mmap(NULL, BYTES, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));

	away();
	memset(memory, 'x', BYTES);
	DO(madvise(memory + 4096, 4096, MADV_REMOVE));
	EQUAL(memory[4096], 0);
	EQUAL(memory[8192], 'x');
	home();
	EQUAL(memory[8191], 0);
	EQUAL(memory[0], 'x');
}

/* Advice about a process that is away, from another that is. */
static void advice_to_another(void)
{
	char *memory = map_pages(PAGES, RW), *copy = map_pages(PAGES, RW);
	struct iovec range = { memory, BYTES }, here = { copy, BYTES };
	int ends[2], fd;
	pid_t child;
	char byte;

	fill(memory, BYTES, 3);
	DO(pipe(ends));
	child = DO(fork());
	if (!child) {
		away();
		fill(memory, BYTES, 4);
		EQUAL(write(ends[1], "x", 1), 1);
		for (;;)
			compute_checked(1000);
	}
	EQUAL(read(ends[0], &byte, 1), 1);
	away();
	fd = DO(syscall(SYS_pidfd_open, child, 0));
	EQUAL(syscall(SYS_process_madvise, fd, &range, 1, MADV_COLD, 0), BYTES);
	EQUAL(syscall(SYS_process_madvise, fd, &range, 1, MADV_PAGEOUT, 0), BYTES);
	EQUAL(syscall(SYS_process_madvise, fd, &range, 1, MADV_DONTNEED, 0), -1);
	EQUAL(errno, EINVAL);
	EQUAL(process_vm_readv(child, &here, 1, &range, 1, 0), BYTES);
	EQUAL(differs(copy, BYTES, 4), -1);
	EQUAL(differs(memory, BYTES, 3), -1);
	DO(kill(child, SIGKILL));
}

/* The pages of a file in another order than the file's. */
static void pages_in_disorder(void)
{
	int file = DO(memfd_create("order", 0));
	char *memory;

	DO(ftruncate(file, 4 * 4096));
	for (int i = 0; i < 4; i++)
		EQUAL(pwrite(file, &(char){ 'a' + i }, 1, i * 4096), 1);
	memory = DO(mmap(NULL, 4 * 4096, RW, MAP_SHARED, file, 0));
	away();
	EQUAL(memory[3 * 4096], 'd');
	DO(remap_file_pages(memory, 4096, 0, 3, 0));
	DO(remap_file_pages(memory + 3 * 4096, 4096, 0, 0, 0));
	EQUAL(memory[0], 'd');
	EQUAL(memory[3 * 4096], 'a');
	EQUAL(memory[4096], 'b');
	memory[0] = 'D';
	home();
	EQUAL(memory[0], 'D');
	EQUAL(pread(file, memory + 4096, 1, 3 * 4096), 1);
	EQUAL(memory[4096], 'D');
}

/* Populated, not reserved, of zeros from the device: the other ways to ask for memory. */
static void other_mappings(void)
{
	unsigned char resident[PAGES];
	char *memory;
	int zero;

	away();
	memory = DO(mmap(NULL, BYTES, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
	DO(mincore(memory, BYTES, resident));
	for (int i = 0; i < PAGES; i++)
		EQUAL(resident[i] & 1, 1);
	EQUAL(memory[BYTES - 1], 0);
	memory = DO(mmap(NULL, 1ul << 36, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	memory[1ul << 35] = 'f';
	EQUAL(memory[(1ul << 35) + 1], 0);
	home();
	EQUAL(memory[1ul << 35], 'f');
	away();
	zero = DO(open("/dev/zero", O_RDWR));
	memory = DO(mmap(NULL, BYTES, RW, MAP_PRIVATE, zero, 0));
	EQUAL(memory[100], 0);
	memory[100] = 'z';
	EQUAL(memory[100], 'z');
	memory = DO(mmap((void *)0x10000, 4096, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			 -1, 0));
	memory[5] = 'l';
	EQUAL(*(char *)0x10005, 'l');
	memory = DO(mmap(NULL, 4096, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
	CHECK((uintptr_t)memory < 1ul << 31);
	memory[0] = '3';
	home();
	EQUAL(memory[0], '3');
	EQUAL(*(char *)0x10005, 'l');
}

/* Moved, with the old place left mapped and empty. */
static void left_behind(void)
{
	char *memory = map_pages(PAGES, RW), *moved;

	fill(memory, BYTES, 5);
	away();
	EQUAL(differs(memory, BYTES, 5), -1);
	moved = mremap(memory, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	if (moved == MAP_FAILED)
		skip("MREMAP_DONTUNMAP: %s", strerror(errno));
	EQUAL(differs(moved, BYTES, 5), -1);
	for (int i = 0; i < PAGES; i++)
		EQUAL(memory[i * 4096], 0);
	memory[0] = 'o';
	home();
	EQUAL(differs(moved, BYTES, 5), -1);
	EQUAL(memory[0], 'o');
}

/*
 * Asked for one huge page in place of small ones, some of which are elsewhere: each attempt
 * calls some of them home, so who asks again, as EAGAIN and EBUSY say, is served in the end.
 */
static void collapsed(void)
{
	enum { HUGE = 2 << 20, COLLAPSE = 25, ATTEMPTS = 100 };
	char *memory = map_pages(2 * HUGE / 4096, RW);
	int attempts = 0;

	memory += HUGE - (uintptr_t)memory % HUGE;
	for (int round = 0; round < 3; round++) {
		if (round != 1)
			away();
		fill(memory, 8 * 4096, round);
		fill(memory + HUGE - 4096, 4096, round);
		while (madvise(memory, HUGE, COLLAPSE)) {
			if (errno == EINVAL)
				skip("no MADV_COLLAPSE");
			CHECK(errno == EAGAIN || errno == EBUSY || errno == ENOMEM);
			CHECK(++attempts < ATTEMPTS);
		}
		EQUAL(differs(memory, 8 * 4096, round), -1);
		EQUAL(differs(memory + HUGE - 4096, 4096, round), -1);
		EQUAL(memory[HUGE / 2], 0);
		home();
		EQUAL(differs(memory, 8 * 4096, round), -1);
	}
	note("%d attempts in vain", attempts);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(locked_for_good), CASE(grows_down), CASE(memory_policies),
		CASE(advice_for_children), CASE(removed_range), CASE(advice_to_another),
		CASE(pages_in_disorder), CASE(other_mappings), CASE(left_behind), CASE(collapsed),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

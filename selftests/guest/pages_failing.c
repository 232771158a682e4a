// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that fails, or is about to, while pages of a process are away: a page of the
 * process (MADV_HWPOISON, MADV_SOFT_OFFLINE), or a frame of this machine, whatever it is
 * used for (/sys/devices/system/memory). A frame that has failed is never used again: each
 * case has a few of them.
 */
#include "caught.h"
#include "fault.h"

#include <fcntl.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define RW (PROT_READ | PROT_WRITE)
#define HARD "/sys/devices/system/memory/hard_offline_page"
#define SOFT "/sys/devices/system/memory/soft_offline_page"

enum { PAGES = 8, BYTES = PAGES * 4096, FAILS = 3, PAGE_BITS = 12 };

static void need_failure(void)
{
	need_root();
	if (access(HARD, W_OK))
		skip("this kernel does not handle memory failure");
}

static char *known(uint64_t seed)
{
	char *memory = map_pages(PAGES, RW);

	/* A huge page would be split; pages.c does that. */
	madvise(memory, BYTES, MADV_NOHUGEPAGE);
	fill(memory, BYTES, seed);
	return memory;
}

/* All but the one that has failed is as it was. */
static void others_are(const char *memory, uint64_t seed)
{
	char *copy = map_pages(PAGES, RW);

	fill(copy, BYTES, seed);
	for (int i = 0; i < PAGES; i++)
		if (i != FAILS)
			EQUAL(memcmp(memory + i * 4096, copy + i * 4096, 4096), 0);
	DO(munmap(copy, BYTES));
}

/* Any access to it is answered so, and told where and how much it is that has failed. */
static void is_poisoned(char *page)
{
	EQUAL(faults_on(page + 17, false), BUS_MCEERR_AR);
	EQUAL(fault_lsb, PAGE_BITS);
	EQUAL(faults_on(page + 4095, true), BUS_MCEERR_AR);
	EQUAL(fault_lsb, PAGE_BITS);
}

/* What comes in its place is a page as any other. */
static void is_replaced(char *page)
{
	DO(madvise(page, 4096, MADV_DONTNEED));
	for (int i = 0; i < 4096; i++)
		EQUAL(page[i], 0);
	fill(page, 4096, 7);
	EQUAL(differs(page, 4096, 7), -1);
}

/* It has been written there, where it fails as well. */
static void owned_page_fails(void)
{
	char *memory, *page;

	need_failure();
	memory = known(1);
	page = memory + FAILS * 4096;
	away();
	fill(memory, BYTES, 2);
	DO(madvise(page, 4096, MADV_HWPOISON));
	is_poisoned(page);
	others_are(memory, 2);
	home();
	is_poisoned(page);
	others_are(memory, 2);
	away();
	is_poisoned(page);
	is_replaced(page);
	home();
	EQUAL(differs(page, 4096, 7), -1);
	others_are(memory, 2);
}

/* What cannot be written is copied: nobody reads the copy on. */
static void copied_page_fails(void)
{
	char *memory, *page;

	need_failure();
	memory = known(3);
	page = memory + FAILS * 4096;
	DO(mprotect(memory, BYTES, PROT_READ));
	away();
	EQUAL(differs(memory, BYTES, 3), -1);
	DO(madvise(page, 4096, MADV_HWPOISON));
	EQUAL(faults_on(page + 17, false), BUS_MCEERR_AR);
	EQUAL(fault_lsb, PAGE_BITS);
	others_are(memory, 3);
	home();
	EQUAL(faults_on(page, false), BUS_MCEERR_AR);
	others_are(memory, 3);
}

/* The page of a file as one that has it mapped finds it then: si_code, or whether it is right. */
static int file_page_after(bool moved, const char *path)
{
	int status, file = DO(open(path, O_RDWR | O_CREAT | O_TRUNC, 0600));
	char *content = known(4), *memory;
	pid_t pid;

	EQUAL(write(file, content, BYTES), BYTES);
	DO(fsync(file));
	close(file);
	file = DO(open(path, O_RDONLY));
	memory = DO(mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE, file, 0));
	pid = DO(fork());
	if (!pid) {
		char *page = memory + FAILS * 4096;
		int code;

		if (moved)
			away();
		EQUAL(differs(memory, BYTES, 4), -1);
		/* What the file system makes of its page is its affair, and what it answers. */
		madvise(page, 4096, MADV_HWPOISON);
		code = faults_on(page, false);
		others_are(memory, 4);
		_exit(code ?: differs(memory, BYTES, 4) < 0 ? 0 : 99);
	}
	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	DO(munmap(memory, BYTES));
	DO(munmap(content, BYTES));
	close(file);
	DO(unlink(path));
	return WEXITSTATUS(status);
}

static void file_page_fails(void)
{
	int at_home, there;

	need_failure();
	at_home = file_page_after(false, "/tmp/st-fails-here");
	there = file_page_after(true, "/tmp/st-fails-there");
	note("its si_code is %d", at_home);
	EQUAL(there, at_home);
	CHECK(there != 99);
}

/* A call that has to read or to fill it says so, or does less. */
static void call_meets_it(void)
{
	char *memory, *page;
	int ends[2];

	need_failure();
	memory = known(5);
	page = memory + FAILS * 4096;
	DO(pipe(ends));
	away();
	fill(memory, BYTES, 6);
	DO(madvise(page, 4096, MADV_HWPOISON));
	EQUAL(write(ends[1], page, 100), -1);
	EQUAL(errno, EFAULT);
	EQUAL(write(ends[1], page - 4096, 2 * 4096), 4096);
	EQUAL(read(ends[0], page, 100), -1);
	EQUAL(errno, EFAULT);
	EQUAL(read(ends[0], memory, 4096), 4096);
	EQUAL(memcmp(memory, page - 4096, 4096), 0);
	is_poisoned(page);
}

/* The frame that a page of the caller, or of another process, lies in; 0: none. */
static uint64_t frame_of(const char *process, const char *page, bool *present)
{
	enum { SWAP_TYPE_BITS = 5 };
	char path[40];
	uint64_t word;
	int file;

	snprintf(path, sizeof(path), "/proc/%s/pagemap", process);
	file = DO(open(path, O_RDONLY));
	EQUAL(pread(file, &word, 8, (uintptr_t)page / 4096 * 8), 8);
	close(file);
	*present = word >> 63;
	/* What is held looks like what is just being migrated: a place of that kind in swap. */
	word &= (1ull << 55) - 1;
	return *present ? word : word >> SWAP_TYPE_BITS;
}

/* 0 or what the kernel says. */
static int frame_fails(const char *how, uint64_t frame)
{
	int file = DO(open(how, O_WRONLY)), error = 0;
	char text[30];

	snprintf(text, sizeof(text), "%#llx", (unsigned long long)frame << PAGE_BITS);
	if (write(file, text, strlen(text)) < 0)
		error = errno;
	close(file);
	return error;
}

/*
 * The frame at home of a page that is elsewhere. The kernel leaves it alone, as that of any
 * page that is being migrated: the page is not in it, and nothing is lost.
 */
static void held_frame_fails(void)
{
	char *memory, *page;
	uint64_t frame;
	bool present;

	need_failure();
	memory = known(8);
	page = memory + FAILS * 4096;
	away();
	fill(memory, BYTES, 9);
	frame = frame_of("self", page, &present);
	CHECK(frame);
	EQUAL(present, !moving());
	if (moving())
		CHECK(frame_fails(SOFT, frame));
	EQUAL(frame_fails(HARD, frame), moving() ? EBUSY : 0);
	if (!moving()) {
		is_poisoned(page);
		return;
	}
	EQUAL(differs(memory, BYTES, 9), -1);
	for (int round = 10; round < 13; round++) {
		home();
		EQUAL(differs(memory, BYTES, round - 1), -1);
		away();
		fill(memory, BYTES, round);
	}
	home();
	EQUAL(differs(memory, BYTES, 12), -1);
}

/* By somebody at home, who reads it first: from then on it is in its frame, and read away. */
static char *in_parent;

static int64_t fail_in_parent(void *unused)
{
	char byte, parent[12];
	struct iovec here = { &byte, 1 }, there = { in_parent, 1 };
	uint64_t frame;
	bool present;

	(void)unused;
	snprintf(parent, sizeof(parent), "%d", getppid());
	EQUAL(process_vm_readv(getppid(), &here, 1, &there, 1, 0), 1);
	frame = frame_of(parent, in_parent, &present);
	return present ? frame_fails(HARD, frame) : -1;
}

/* Away, with memory of which the finder, at home, has a page fail when it is asked. */
static char *away_from(struct partner *finder, uint64_t seed)
{
	char *memory;

	need_failure();
	memory = known(seed);
	in_parent = memory + FAILS * 4096;
	partner_start(finder, fail_in_parent, NULL);
	away();
	return memory;
}

static void others_find_it(void)
{
	struct partner finder;
	char *memory = away_from(&finder, 14);

	fill(memory, BYTES, 15);
	EQUAL(partner_ask(&finder), 0);
	is_poisoned(in_parent);
	others_are(memory, 15);
	home();
	is_poisoned(in_parent);
	partner_end(&finder);
}

/* A thread that wants to know early is told without touching it, wherever it is. */
static void told_early(void)
{
	struct partner finder;
	int64_t answer;
	char *memory = away_from(&finder, 16);

	DO(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0));
	EQUAL(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_EARLY);
	fill(memory, BYTES, 17);
	handle(SIGBUS);
	/* Its own call, */
	DO(madvise(memory, 4096, MADV_HWPOISON));
	await_signal(SIGBUS);
	EQUAL(caught_info.si_code, BUS_MCEERR_AO);
	EQUAL((uintptr_t)caught_info.si_addr, (uintptr_t)memory);
	EQUAL(caught_info.si_addr_lsb, PAGE_BITS);
	/* and somebody else's, while it computes. */
	handle(SIGBUS);
	away();
	EQUAL(write(finder.ask, "?", 1), 1);
	await_signal(SIGBUS);
	EQUAL(read(finder.answer, &answer, sizeof(answer)), sizeof(answer));
	EQUAL(answer, 0);
	EQUAL(caught_info.si_code, BUS_MCEERR_AO);
	EQUAL((uintptr_t)caught_info.si_addr, (uintptr_t)in_parent);
	EQUAL(caught_info.si_addr_lsb, PAGE_BITS);
	home();
	is_poisoned(memory);
	is_poisoned(in_parent);
	partner_end(&finder);
}

/* A signal that nobody handles. */
static void ends_who_touches_it(void)
{
	pid_t pid;
	int status;

	need_failure();
	pid = DO(fork());
	if (!pid) {
		char *memory = known(18);

		away();
		fill(memory, BYTES, 19);
		DO(madvise(memory, 4096, MADV_HWPOISON));
		_exit(*(volatile char *)memory);
	}
	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	EQUAL(WTERMSIG(status), SIGBUS);
}

/*
 * The page gets another frame, and keeps its content. A reference that is just being
 * dropped keeps it for a moment: tried again, as whoever does that for a living would.
 */
static int move_out(char *page)
{
	int tries = 0;

	while (madvise(page, 4096, MADV_SOFT_OFFLINE)) {
		EQUAL(errno, EBUSY);
		CHECK(++tries < 100);
		sleep_ms(20);
	}
	return tries;
}

static void soft_offline(void)
{
	char *memory, *page;
	int tries = 0;

	need_failure();
	memory = known(20);
	page = memory + FAILS * 4096;
	for (int round = 0; round < 4; round++) {
		uint64_t frame;
		bool present;

		if (round == 2)
			DO(mprotect(memory, BYTES, PROT_READ));
		away();
		if (round < 2)
			fill(memory, BYTES, 21 + round);
		EQUAL(differs(memory, BYTES, 21 + (round < 2 ? round : 1)), -1);
		frame = frame_of("self", page, &present);
		tries += move_out(page);
		EQUAL(differs(memory, BYTES, 21 + (round < 2 ? round : 1)), -1);
		CHECK(frame_of("self", page, &present) != frame);
		if (round % 2)
			home();
	}
	note("tried again %d times", tries);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(owned_page_fails), CASE(copied_page_fails), CASE(file_page_fails),
		CASE(call_meets_it), CASE(held_frame_fails), CASE(others_find_it),
		CASE(told_early), CASE(ends_who_touches_it), CASE(soft_offline),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

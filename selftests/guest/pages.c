// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel does to memory by itself, swap, KSM, khugepaged, compaction, NUMA balancing
 * and memory groups, while pages of a process are away. Each case looks at the kernel's
 * counters as well: one that has disturbed nothing shows nothing, and is skipped.
 */
#include "harness.h"

#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define RW (PROT_READ | PROT_WRITE)
#define HUGE (2ul << 20)

enum { ROUNDS = 11, CHUNK = 65536, PATIENCE_MS = 3000 };

/* A value of a "name value" file; that of a file with nothing else for the name "". */
static long field(const char *path, const char *name)
{
	char *found = strstr(read_text(path), name);

	return found ? atol(found + strlen(name)) : -1;
}

static long vmstat(const char *name)
{
	return field("/proc/vmstat", name);
}

/* Whether a value gets above a limit in time. */
static bool exceeds(const char *path, const char *name, long limit)
{
	uint64_t end = now_ns() + PATIENCE_MS * 1000000ull;

	while (field(path, name) <= limit) {
		if (now_ns() > end)
			return false;
		sleep_ms(20);
	}
	return true;
}

static void need(const char *path)
{
	if (access(path, W_OK))
		skip("no %s", path);
}

/* zram as the only swap. Left on: the next case finds it. */
static void swap_on(void)
{
	if (strstr(read_text("/proc/swaps"), "zram"))
		return;
	if (system("modprobe zram num_devices=1 2>/dev/null") || access("/dev/zram0", W_OK))
		skip("no zram");
	write_text("/sys/block/zram0/disksize", "256M\n");
	EQUAL(system("mkswap /dev/zram0 >/dev/null 2>&1"), 0);
	DO(swapon("/dev/zram0", 0));
}

/*
 * Changes the memory in all three places, at home, away, and through the kernel,
 * with something disturbing it in between, and compares it with a shadow.
 */
static void disturbed(char *memory, size_t bytes, void (*disturb)(char *, size_t))
{
	char *shadow = map_pages(bytes / 4096, RW);
	int file = DO(memfd_create("copy", 0));

	/* The only huge pages are to be those of the memory. */
	madvise(shadow, bytes, MADV_NOHUGEPAGE);
	fill(memory, bytes, 1);
	memcpy(shadow, memory, bytes);
	for (int round = 0; round < ROUNDS; round++) {
		size_t at = (round * 7919 * 4096ul) % bytes;

		if (round % 3 == 0)
			away();
		for (size_t i = round % 5 * 4096; i < bytes; i += 5 * 4096) {
			memory[i + round] += round;
			shadow[i + round] += round;
		}
		disturb(memory, bytes);
		EQUAL(pwrite(file, memory + at, bytes - at < CHUNK ? bytes - at : CHUNK, 0) > 0, 1);
		memset(memory + at, round, 4096);
		memset(shadow + at, round, 4096);
		if (round % 3 == 1)
			home();
		if (round % 4 == 3)
			disturb(memory, bytes);
		/* All of it not in each round: it would be a test of bandwidth. */
		if (round % 4 == 2 && memcmp(memory, shadow, bytes)) {
			size_t i = 0;

			while (memory[i] == shadow[i])
				i++;
			fail(__FILE__, __LINE__, "round %d, byte %zx is %x, not %x", round, i,
			     memory[i] & 255, shadow[i] & 255);
		}
	}
}

static void page_out(char *memory, size_t bytes)
{
	DO(madvise(memory, bytes, MADV_PAGEOUT));
}

static void swapped_out(void)
{
	long before;

	swap_on();
	before = vmstat("pswpout ");
	disturbed(map_pages(256, RW), 256 * 4096, page_out);
	CHECK(vmstat("pswpout ") > before);
}

/* Reclaim chooses by itself, under a memory group's limit. */
static void reclaimed(void)
{
	static const char group[] = "/sys/fs/cgroup/st-reclaim";
	char path[100], text[30];
	long before;

	swap_on();
	before = vmstat("pswpout ");
	if (access("/sys/fs/cgroup/cgroup.controllers", R_OK))
		mkdir("/sys/fs/cgroup", 0755), system("mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null");
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory\n");
	mkdir(group, 0755);
	snprintf(path, sizeof(path), "%s/memory.max", group);
	if (access(path, W_OK))
		skip("no memory groups");
	write_text(path, "6M\n");
	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	snprintf(text, sizeof(text), "%d\n", getpid());
	write_text(path, text);
	{
		size_t bytes = 8 << 20;
		char *memory = map_pages(bytes / 4096, RW);

		for (int round = 0; round < 3; round++) {
			fill(memory, bytes, round);
			if (round % 2)
				home();
			else
				away();
			EQUAL(differs(memory, bytes, round), -1);
		}
	}
	home();
	write_text("/sys/fs/cgroup/cgroup.procs", text);
	rmdir(group);
	if (vmstat("pswpout ") <= before)
		skip("nothing was reclaimed");
}

static void wait_a_little(char *memory, size_t bytes)
{
	(void)memory;
	(void)bytes;
	sleep_ms(60);
}

static const char ksm_run[] = "/sys/kernel/mm/ksm/run";

static void ksm_on(void)
{
	need(ksm_run);
	write_text("/sys/kernel/mm/ksm/sleep_millisecs", "5\n");
	write_text("/sys/kernel/mm/ksm/pages_to_scan", "2000\n");
	write_text(ksm_run, "1\n");
}

/* Until all of so many equal pages, but a few, are one; they are this machine's only ones. */
static void await_merging(long pages)
{
	static const char sharing[] = "/sys/kernel/mm/ksm/pages_sharing";

	if (exceeds(sharing, "", pages * 3 / 4))
		return;
	write_text(ksm_run, "0\n");
	skip("KSM has merged %ld of %ld pages", field(sharing, ""), pages);
}

static void ksm_merges(void)
{
	char *memory = map_pages(128, RW);

	ksm_on();
	DO(madvise(memory, 128 * 4096, MADV_MERGEABLE));
	disturbed(memory, 128 * 4096, wait_a_little);
	home();
	for (int round = 0; round < 4; round++) {
		write_text(ksm_run, "2\n");	/* the count begins at 0 */
		memset(memory, 'k', 128 * 4096);
		write_text(ksm_run, "1\n");
		await_merging(128);
		away();
		for (int i = 0; i < 128; i += 3)
			memory[i * 4096 + 5] = i;
		sleep_ms(100);
		for (int i = 0; i < 128; i++)
			EQUAL(memory[i * 4096 + 5], i % 3 ? 'k' : (char)i);
		home();
	}
	write_text(ksm_run, "0\n");
}

/* Unmerging waits in places that know nothing of us. */
static void ksm_unmerges(void)
{
	char *memory = map_pages(64, RW);

	ksm_on();
	DO(madvise(memory, 64 * 4096, MADV_MERGEABLE));
	for (int round = 0; round < 4; round++) {
		write_text(ksm_run, "2\n");
		memset(memory, 'm', 64 * 4096);
		write_text(ksm_run, "1\n");
		await_merging(64);
		away();
		for (int i = 0; i < 64; i += 2)
			memory[i * 4096] = i;
		if (round % 2)
			DO(madvise(memory, 64 * 4096, MADV_UNMERGEABLE));
		else
			write_text(ksm_run, "2\n");
		for (int i = 0; i < 64; i++)
			EQUAL(memory[i * 4096], i % 2 ? 'm' : (char)i);
		DO(madvise(memory, 64 * 4096, MADV_MERGEABLE));
		home();
	}
	write_text(ksm_run, "0\n");
}

static char *huge_pages(size_t count)
{
	char *memory = map_pages((count + 1) * HUGE / 4096, RW);

	madvise(memory, (count + 1) * HUGE, MADV_NOHUGEPAGE);
	memory = (char *)(((uintptr_t)memory + HUGE - 1) & ~(HUGE - 1));
	DO(madvise(memory, count * HUGE, MADV_HUGEPAGE));
	return memory;
}

static const char rollup[] = "/proc/self/smaps_rollup";

/* How many of the process' huge pages are mapped as such. */
static long huge_mapped(void)
{
	return field(rollup, "AnonHugePages:") / (long)(HUGE / 1024);
}

static void need_huge(long count)
{
	if (huge_mapped() < count)
		skip("%ld huge pages, not %ld", huge_mapped(), count);
}

static const char khugepaged[] = "/sys/kernel/mm/transparent_hugepage/khugepaged/";
static const struct {
	const char *name, *value;
} zeal[] = {
	{ "scan_sleep_millisecs", "10\n" }, { "alloc_sleep_millisecs", "10\n" },
	{ "pages_to_scan", "4096\n" }, { "max_ptes_swap", "511\n" },
};
enum { ZEAL = sizeof(zeal) / sizeof(*zeal) };

static char *khugepaged_file(const char *name)
{
	static char path[120];

	snprintf(path, sizeof(path), "%s%s", khugepaged, name);
	return path;
}

/* Two whole scans: the first may have begun before what it is to see. */
static bool scanned(void)
{
	long scans = field(khugepaged_file("full_scans"), "");

	return exceeds(khugepaged_file("full_scans"), "", scans + 1);
}

static void wait_for_scan(char *memory, size_t bytes)
{
	(void)memory;
	(void)bytes;
	scanned();
}

/*
 * It finds some pages of a range away, allocates its huge page, and has to leave the range
 * as it is; once they are home it may have it.
 */
static void collapse_around(char *memory)
{
	for (int round = 0; round < 4; round++) {
		long attempts;

		/* Not in the middle of its work when they leave: it would call them back. */
		write_text(khugepaged_file("scan_sleep_millisecs"), "60000\n");
		sleep_ms(100);
		fill(memory, HUGE, round);
		away();
		for (int i = round; i < 512; i += 32)
			((uint64_t *)memory)[i * 512] += 1;
		write_text(khugepaged_file("scan_sleep_millisecs"), "10\n");
		attempts = vmstat("thp_collapse_alloc ");
		if (!scanned())
			skip("khugepaged does not scan");
		if (moving()) {
			EQUAL(huge_mapped(), 0);
			if (vmstat("thp_collapse_alloc ") == attempts)
				skip("khugepaged does not try");
		}
		for (int i = round; i < 512; i += 32)
			((uint64_t *)memory)[i * 512] -= 1;
		home();
		EQUAL(differs(memory, HUGE, round), -1);
		if (!exceeds(rollup, "AnonHugePages:", 0))
			skip("khugepaged collapses nothing");
		EQUAL(differs(memory, HUGE, round), -1);
	}
}

static void khugepaged_collapses(void)
{
	char was[ZEAL][20], *memory;

	for (int i = 0; i < ZEAL; i++) {
		need(khugepaged_file(zeal[i].name));
		snprintf(was[i], sizeof(was[i]), "%.18s", read_text(khugepaged_file(zeal[i].name)));
		write_text(khugepaged_file(zeal[i].name), zeal[i].value);
	}
	memory = huge_pages(1);
	disturbed(memory, HUGE, wait_for_scan);
	home();
	collapse_around(memory);
	for (int i = 0; i < ZEAL; i++)
		write_text(khugepaged_file(zeal[i].name), was[i]);
}

/* A region that is one huge page when it leaves. */
static void huge_page_travels(void)
{
	char *memory = huge_pages(2);

	fill(memory, 2 * HUGE, 30);
	need_huge(2);
	away();
	EQUAL(differs(memory, 2 * HUGE, 30), -1);
	fill(memory + HUGE, HUGE, 31);
	DO(munmap(memory + HUGE / 2, 4096));
	home();
	EQUAL(differs(memory, HUGE / 2, 30), -1);
	EQUAL(differs(memory + HUGE, HUGE, 31), -1);
}

/* Huge pages that are mapped in parts already: one for its protection, one for a hole. */
static void huge_page_in_parts(void)
{
	char *memory = huge_pages(2);
	long split;

	fill(memory, 2 * HUGE, 32);
	need_huge(2);
	DO(mprotect(memory + 5 * 4096, 4096, PROT_READ));
	DO(munmap(memory + HUGE + HUGE / 2, 4096));
	EQUAL(huge_mapped(), 0);
	split = vmstat("thp_split_page ");
	away();
	EQUAL(differs(memory, HUGE + HUGE / 2, 32), -1);
	/* The first page that has left has split each of them. */
	if (moving())
		CHECK(vmstat("thp_split_page ") >= split + 2);
	DO(mprotect(memory + 5 * 4096, 4096, RW));
	fill(memory, HUGE + HUGE / 2, 33);
	memory[2 * HUGE - 1] = 1;
	home();
	EQUAL(differs(memory, HUGE + HUGE / 2, 33), -1);
	EQUAL(memory[2 * HUGE - 1], 1);
}

static void compact(char *memory, size_t bytes)
{
	(void)memory;
	(void)bytes;
	write_text("/proc/sys/vm/compact_memory", "1\n");
}

/* Something to compact: every second page of what was allocated last is free again. */
static void scatter(void)
{
	size_t pages = 4096;
	char *memory = map_pages(pages, RW);

	DO(madvise(memory, pages * 4096, MADV_NOHUGEPAGE));
	memset(memory, 1, pages * 4096);
	for (size_t i = 0; i < pages; i += 2)
		DO(madvise(memory + i * 4096, 4096, MADV_DONTNEED));
}

static void compacted(void)
{
	long before = vmstat("pgmigrate_success ");

	need("/proc/sys/vm/compact_memory");
	scatter();
	disturbed(map_pages(512, RW), 512 * 4096, compact);
	if (vmstat("pgmigrate_success ") <= before)
		skip("compaction has moved nothing");
}

static void drop(char *memory, size_t bytes)
{
	(void)memory;
	(void)bytes;
	write_text("/proc/sys/vm/drop_caches", "3\n");
}

static void caches_dropped(void)
{
	long before = vmstat("drop_pagecache ");

	disturbed(map_pages(64, RW), 64 * 4096, drop);
	CHECK(vmstat("drop_pagecache ") > before);
}

/*
 * NUMA balancing forbids access to pages, and looks at who faults, which tells the notifier
 * what mprotect() tells it. It scans the memory of who computes; with one user that is on the
 * right node it does nothing, with two it does so even where there is one node only. With
 * several (numa=fake=2 on the kernel's command line) it moves pages as well.
 */
static const char balancing[] = "/proc/sys/kernel/numa_balancing";
static const struct {
	const char *path, *value;
} haste[] = {
	{ "/sys/kernel/debug/sched/numa_balancing/scan_delay_ms", "20\n" },
	{ "/sys/kernel/debug/sched/numa_balancing/scan_period_min_ms", "20\n" },
	{ "/sys/kernel/debug/sched/numa_balancing/scan_period_max_ms", "100\n" },
	{ "/sys/kernel/debug/sched/numa_balancing/scan_size_mb", "64\n" },
	{ balancing, "1\n" },
};
enum { HASTE = sizeof(haste) / sizeof(*haste), LOOKED_AT = 7 };

struct scanned {
	char *memory;
	size_t bytes;
	volatile bool over;
};

/* The other user of the memory, at home: it computes, and looks at a page now and then. */
static int be_scanned(void *argument)
{
	struct scanned *scanned = argument;

	for (size_t i = 0; !scanned->over; i += LOOKED_AT * 4096) {
		uint64_t end = now_ns() + 2000000;

		(void)*(volatile char *)(scanned->memory + i % scanned->bytes);
		while (now_ns() < end && !scanned->over)
			;
	}
	return 0;
}

static void wait_for_balancing(char *memory, size_t bytes)
{
	(void)memory;
	(void)bytes;
	exceeds("/proc/vmstat", "numa_pte_updates ", vmstat("numa_pte_updates "));
}

/* Touched on the other node, if there is one: it is to be moved to where it is used. */
static void put_on_other_node(char *memory, size_t bytes)
{
	unsigned long other = 1 << 1;

	if (access("/sys/devices/system/node/node1", F_OK))
		return;
	DO(syscall(SYS_set_mempolicy, MPOL_BIND, &other, 8 * sizeof(other)));
	memset(memory, 1, bytes);
	DO(syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0));
}

static void be_balanced(void)
{
	struct scanned *scanned = map_pages(1, RW);
	char *stack = map_pages(8, RW);
	pid_t other;

	scanned->bytes = 128 * 4096;
	scanned->memory = map_pages(128, RW);
	put_on_other_node(scanned->memory, scanned->bytes);
	other = DO(clone(be_scanned, stack + 8 * 4096, CLONE_VM | SIGCHLD, scanned));
	disturbed(scanned->memory, scanned->bytes, wait_for_balancing);
	scanned->over = true;
	reap(other);
}

static void numa_balanced(void)
{
	long faults = vmstat("numa_hint_faults "), moved = vmstat("numa_pages_migrated ");
	char was[HASTE][20];
	int status;
	pid_t pid;

	need(balancing);
	for (int i = 0; i < HASTE; i++) {
		snprintf(was[i], sizeof(was[i]), "%.18s", read_text(haste[i].path));
		if (*was[i])
			write_text(haste[i].path, haste[i].value);
	}
	/* Born afterwards: so it is looked at as often. */
	pid = DO(fork());
	if (!pid) {
		be_balanced();
		_exit(0);
	}
	EQUAL(waitpid(pid, &status, 0), pid);
	for (int i = 0; i < HASTE; i++)
		if (*was[i])
			write_text(haste[i].path, was[i]);
	EQUAL(status, 0);
	faults = vmstat("numa_hint_faults ") - faults;
	moved = vmstat("numa_pages_migrated ") - moved;
	note("%ld faults, %ld pages moved from node to node", faults, moved);
	if (faults <= 0)
		skip("NUMA balancing looks at nothing");
}

/* Children come and go while pages are away. */
static void fork_and_check(char *memory, size_t bytes)
{
	pid_t child = DO(fork());

	if (!child) {
		uint64_t sum = 0;

		for (size_t i = 0; i < bytes; i += 64)
			sum += memory[i];
		memset(memory, sum, bytes);
		_exit(0);
	}
	reap(child);
}

static void forked(void)
{
	disturbed(map_pages(128, RW), 128 * 4096, fork_and_check);
}

static void protect(char *memory, size_t bytes)
{
	DO(mprotect(memory, bytes, PROT_READ));
	DO(mprotect(memory + bytes / 2, bytes / 2, RW));
	DO(mprotect(memory, bytes, RW));
}

static void protected(void)
{
	disturbed(map_pages(128, RW), 128 * 4096, protect);
}

/* Out of memory in a group: the kill ends everything, and only that process. */
static void out_of_memory(void)
{
	static const char group[] = "/sys/fs/cgroup/st-oom";
	char path[100], text[30];
	int status;
	pid_t pid;

	if (access("/sys/fs/cgroup/cgroup.controllers", R_OK))
		skip("no cgroup2");
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory\n");
	mkdir(group, 0755);
	snprintf(path, sizeof(path), "%s/memory.swap.max", group);
	if (!access(path, W_OK))
		write_text(path, "0\n");
	snprintf(path, sizeof(path), "%s/memory.max", group);
	if (access(path, W_OK))
		skip("no memory groups");
	write_text(path, "8M\n");
	pid = DO(fork());
	if (!pid) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", group);
		snprintf(text, sizeof(text), "%d\n", getpid());
		write_text(path, text);
		away();
		memset(map_pages(8192, RW), 1, 32 << 20);
		_exit(0);
	}
	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	snprintf(path, sizeof(path), "%s/memory.events", group);
	EQUAL(field(path, "oom_kill "), 1);
	rmdir(group);
}

/* Fills so much memory that the machine has to swap; whoever is killed for it, it is this one. */
static int64_t exhaust(void *unused)
{
	size_t bytes = (field("/proc/meminfo", "MemAvailable:") << 10) + (64ul << 20);
	char *ballast = map_pages(bytes / 4096, RW);

	(void)unused;
	write_text("/proc/self/oom_score_adj", "1000\n");
	/* As quickly as may be. */
	madvise(ballast, bytes, MADV_HUGEPAGE);
	for (size_t i = 0; i < bytes; i += 4096)
		ballast[i] = 1;
	DO(munmap(ballast, bytes));
	return bytes >> 20;
}

/* Reclaim of the whole machine, not of a group, while most of a process' memory is away. */
static void machine_is_short(void)
{
	size_t bytes = 32ul << 20;
	struct partner other;
	long before, back;
	char *memory;

	need_own_machine();
	swap_on();
	before = vmstat("pswpout ");
	partner_start(&other, exhaust, NULL);
	memory = map_pages(bytes / 4096, RW);
	fill(memory, bytes, 1);
	away();
	EQUAL(differs(memory, bytes, 1), -1);
	fill(memory, bytes, 2);
	back = pages_of(getpid());
	note("%d MiB were filled", (int)partner_ask(&other));
	back = pages_of(getpid()) - back;
	CHECK(vmstat("pswpout ") > before);
	CHECK(!moving() || back > 0);
	EQUAL(differs(memory, bytes, 2), -1);
	home();
	EQUAL(differs(memory, bytes, 2), -1);
	partner_end(&other);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "swapped_out", swapped_out, 60 }, { "reclaimed", reclaimed, 60 },
		{ "ksm_merges", ksm_merges, 60 }, { "ksm_unmerges", ksm_unmerges, 60 },
		{ "khugepaged_collapses", khugepaged_collapses, 60 },
		{ "huge_page_travels", huge_page_travels, 60 },
		{ "huge_page_in_parts", huge_page_in_parts, 60 }, { "compacted", compacted, 60 },
		CASE(caches_dropped), { "numa_balanced", numa_balanced, 60 }, { "forked", forked, 60 }, CASE(protected),
		{ "out_of_memory", out_of_memory, 60 }, { "machine_is_short", machine_is_short, 120 },
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

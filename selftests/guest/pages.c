// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel does to memory by itself, swap, KSM, khugepaged, compaction and
 * memory groups, while pages of a process are away.
 */
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>

#define RW (PROT_READ | PROT_WRITE)
#define HUGE (2ul << 20)

enum { ROUNDS = 11, CHUNK = 65536 };


/* A value of a "name value" file. */
static long field(const char *path, const char *name)
{
	char *found = strstr(read_text(path), name);

	return found ? atol(found + strlen(name)) : -1;
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
	char *shadow = malloc(bytes);
	int file = DO(memfd_create("copy", 0));

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
	before = field("/proc/vmstat", "pswpout ");
	disturbed(map_pages(256, RW), 256 * 4096, page_out);
	CHECK(field("/proc/vmstat", "pswpout ") > before);
}

/* Reclaim chooses by itself, under a memory group's limit. */
static void reclaimed(void)
{
	static const char group[] = "/sys/fs/cgroup/st-reclaim";
	char path[100], text[30];

	swap_on();
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
}

static void merged(char *memory, size_t bytes)
{
	/* Every second page like its neighbour, and back: merged and broken again. */
	(void)memory;
	(void)bytes;
	sleep_ms(60);
}

static void ksm_on(void)
{
	need("/sys/kernel/mm/ksm/run");
	write_text("/sys/kernel/mm/ksm/sleep_millisecs", "5\n");
	write_text("/sys/kernel/mm/ksm/pages_to_scan", "2000\n");
	write_text("/sys/kernel/mm/ksm/run", "1\n");
}

static void ksm_merges(void)
{
	char *memory = map_pages(128, RW);

	ksm_on();
	DO(madvise(memory, 128 * 4096, MADV_MERGEABLE));
	disturbed(memory, 128 * 4096, merged);
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 128; i++)
			memset(memory + i * 4096, 'k', 4096);
		sleep_ms(150);
		away();
		for (int i = 0; i < 128; i += 3)
			memory[i * 4096 + 5] = i;
		sleep_ms(100);
		for (int i = 0; i < 128; i++)
			EQUAL(memory[i * 4096 + 5], i % 3 ? 'k' : (char)i);
		home();
	}
	write_text("/sys/kernel/mm/ksm/run", "0\n");
}

/* Hazard F: unmerging waits in places that know nothing of us. */
static void ksm_unmerges(void)
{
	char *memory = map_pages(64, RW);

	ksm_on();
	DO(madvise(memory, 64 * 4096, MADV_MERGEABLE));
	for (int round = 0; round < 4; round++) {
		memset(memory, 'm', 64 * 4096);
		sleep_ms(200);
		away();
		for (int i = 0; i < 64; i += 2)
			memory[i * 4096] = i;
		if (round % 2)
			DO(madvise(memory, 64 * 4096, MADV_UNMERGEABLE));
		else
			write_text("/sys/kernel/mm/ksm/run", "2\n");
		for (int i = 0; i < 64; i++)
			EQUAL(memory[i * 4096], i % 2 ? 'm' : (char)i);
		write_text("/sys/kernel/mm/ksm/run", "1\n");
		DO(madvise(memory, 64 * 4096, MADV_MERGEABLE));
		home();
	}
	write_text("/sys/kernel/mm/ksm/run", "0\n");
}

static char *huge_pages(size_t count)
{
	char *memory = map_pages((count + 1) * HUGE / 4096, RW);

	memory = (char *)(((uintptr_t)memory + HUGE - 1) & ~(HUGE - 1));
	DO(madvise(memory, count * HUGE, MADV_HUGEPAGE));
	return memory;
}

static void wait_a_little(char *memory, size_t bytes)
{
	(void)memory;
	(void)bytes;
	sleep_ms(40);
}

static void khugepaged_collapses(void)
{
	static const char base[] = "/sys/kernel/mm/transparent_hugepage/";
	char path[100], was[20];

	snprintf(path, sizeof(path), "%skhugepaged/scan_sleep_millisecs", base);
	need(path);
	snprintf(was, sizeof(was), "%.18s", read_text(path));
	write_text(path, "10\n");
	snprintf(path, sizeof(path), "%skhugepaged/alloc_sleep_millisecs", base);
	write_text(path, "10\n");
	snprintf(path, sizeof(path), "%skhugepaged/pages_to_scan", base);
	write_text(path, "4096\n");
	disturbed(huge_pages(1), HUGE, wait_a_little);
	snprintf(path, sizeof(path), "%skhugepaged/scan_sleep_millisecs", base);
	write_text(path, was);
}

/* A region that is one huge page when it leaves. */
static void huge_page_travels(void)
{
	char *memory = huge_pages(2);

	fill(memory, 2 * HUGE, 30);
	away();
	EQUAL(differs(memory, 2 * HUGE, 30), -1);
	fill(memory + HUGE, HUGE, 31);
	DO(munmap(memory + HUGE / 2, 4096));
	home();
	EQUAL(differs(memory, HUGE / 2, 30), -1);
	EQUAL(differs(memory + HUGE, HUGE, 31), -1);
}

static void compact(char *memory, size_t bytes)
{
	(void)memory;
	(void)bytes;
	write_text("/proc/sys/vm/compact_memory", "1\n");
}

static void compacted(void)
{
	need("/proc/sys/vm/compact_memory");
	disturbed(map_pages(512, RW), 512 * 4096, compact);
}

static void drop(char *memory, size_t bytes)
{
	(void)memory;
	(void)bytes;
	write_text("/proc/sys/vm/drop_caches", "3\n");
}

static void caches_dropped(void)
{
	disturbed(map_pages(64, RW), 64 * 4096, drop);
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
	rmdir(group);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "swapped_out", swapped_out, 60 }, { "reclaimed", reclaimed, 60 },
		{ "ksm_merges", ksm_merges, 60 }, { "ksm_unmerges", ksm_unmerges, 60 },
		{ "khugepaged_collapses", khugepaged_collapses, 60 },
		{ "huge_page_travels", huge_page_travels, 60 }, { "compacted", compacted, 60 },
		CASE(caches_dropped), { "forked", forked, 60 }, CASE(protected),
		{ "out_of_memory", out_of_memory, 60 },
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Threads of one process on several nodes: fork, a core dump and a stop find all of them,
 * and their memory, at one instant.
 */
#include "crew.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define RW (PROT_READ | PROT_WRITE)

enum { BYTES = 8 * 4096 };

static struct hand crew[4];
static int ends[2];

/* ------------------------------------------------------------------- fork */

/* Two words, in pages of their own, that a thread increments one after the other. */
struct pair {
	volatile uint64_t first ALONE, second ALONE;
};

static struct pair *pairs;
static atomic_int fork_end ALONE;

static void *count_pairs(struct hand *hand)
{
	struct pair *pair = &pairs[hand->number];

	while (!atomic_load_explicit(&fork_end, memory_order_relaxed)) {
		for (int i = 0; i < 1000; i++) {
			pair->first++;
			pair->second++;
		}
	}
	return NULL;
}

static void fork_is_an_instant(void)
{
	pairs = map_pages(3 * sizeof(*pairs) / 4096, RW);
	crew_start(crew, 3, count_pairs, NULL);
	crew_spread(crew, 3, 0);
	crew_go(crew, 3);
	for (int round = 0; round < 2 * PLACES; round++) {
		pid_t pid;

		go(places[round % PLACES]);
		pid = DO(fork());
		if (!pid) {
			uint64_t first[3], second[3];

			if (round >= PLACES)
				go(places[(round + 1) % PLACES]);
			for (int i = 0; i < 3; i++) {
				first[i] = pairs[i].first;
				second[i] = pairs[i].second;
				CHECK(first[i] - second[i] <= 1);
			}
			sleep_ms(30);
			for (int i = 0; i < 3; i++) {
				EQUAL(pairs[i].first, first[i]);
				EQUAL(pairs[i].second, second[i]);
			}
			_exit(0);
		}
		reap(pid);
	}
	fork_end = 1;
	crew_join(crew, 3);
	for (int i = 0; i < 3; i++)
		EQUAL(pairs[i].first, pairs[i].second);
}

static void *fork_and_fill(struct hand *hand)
{
	for (int i = 0; i < 4; i++) {
		char *memory = map_pages(BYTES / 4096, RW);
		pid_t pid;

		fill(memory, BYTES, hand->number * 10 + i);
		pid = DO(fork());
		if (!pid) {
			EQUAL(differs(memory, BYTES, hand->number * 10 + i), -1);
			fill(memory, BYTES, 99);
			_exit(differs(memory, BYTES, 99) == -1 ? 20 + i : 1);
		}
		fill(memory, BYTES, 55);
		ends_with(pid, (20 + i) << 8);
		EQUAL(differs(memory, BYTES, 55), -1);
	}
	return NULL;
}

static void fork_from_everywhere(void)
{
	crew_start(crew, 3, fork_and_fill, NULL);
	crew_spread(crew, 3, 0);
	crew_go(crew, 3);
	crew_join(crew, 3);
}

/* -------------------------------------------------------------- core dump */

static char *dumped;
static __thread uintptr_t own;

static void *fill_and_wait(struct hand *hand)
{
	fill(dumped + hand->number * BYTES, BYTES, 40 + hand->number);
	DO(sem_post(&hand->done));
	if (hand->number == 2)
		for (;;)
			own++;
	for (;;)
		sem_wait(&hand->go);
	return NULL;
}

static void begin_to_wait(void)
{
	crew_start(crew, 4, fill_and_wait, NULL);
	crew_spread(crew, 4, 0);
	crew_go(crew, 4);
	for (int i = 0; i < 4; i++)
		down(&crew[i].done);
	for (int i = 0; i < 4; i++)
		CHECK(write(ends[1], &crew[i].tid, sizeof(pid_t)) == sizeof(pid_t));
}

static void run_to_dump(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	DO(chdir("/tmp"));
	DO(setrlimit(RLIMIT_CORE, &unlimited));
	begin_to_wait();
	go(3);
	abort();
}

static void run_to_wait(void)
{
	begin_to_wait();
	for (;;)
		pause();
}

static pid_t tids[4];

/* A process that fills its memory from all nodes. */
static pid_t start_to_fill(void (*run)(void))
{
	pid_t pid;

	DO(pipe(ends));
	dumped = map_pages(4 * BYTES / 4096, RW);
	pid = child_with(run);
	for (int i = 0; i < 4; i++)
		EQUAL(read(ends[0], &tids[i], sizeof(pid_t)), sizeof(pid_t));
	return pid;
}

/* The dump has the registers of all threads, and what each of them has written. */
static void examine(const char *path)
{
	unsigned int threads = 0, pages = 0;
	int file = DO(open(path, O_RDONLY));
	Elf64_Phdr *segment;
	struct stat details;
	Elf64_Ehdr *header;
	char *image;

	unlink(path);
	DO(fstat(file, &details));
	image = DO(mmap(NULL, details.st_size, PROT_READ, MAP_PRIVATE, file, 0));
	close(file);
	header = (void *)image;
	segment = (void *)(image + header->e_phoff);
	for (int i = 0; i < header->e_phnum; i++, segment++) {
		char *note = image + segment->p_offset, *end = note + segment->p_filesz;

		if (segment->p_type == PT_LOAD && segment->p_vaddr <= (uintptr_t)dumped &&
		    segment->p_vaddr + segment->p_filesz >= (uintptr_t)dumped + 4 * BYTES) {
			char *copy = note + ((uintptr_t)dumped - segment->p_vaddr);

			for (int j = 0; j < 4; j++)
				pages += differs(copy + j * BYTES, BYTES, 40 + j) == -1;
		}
		while (segment->p_type == PT_NOTE && note < end) {
			Elf64_Nhdr *head = (void *)note;
			prstatus_t *content = (void *)(note + sizeof(*head) +
						       ((head->n_namesz + 3) & ~3u));

			if (head->n_type == NT_PRSTATUS)
				for (int j = 0; j < 4; j++)
					if (content->pr_pid == tids[j]) {
						uint64_t sp = content->pr_reg[19];

						/* Where user code runs, on the stack of that thread. */
						CHECK(content->pr_reg[16] > 4096);
						CHECK(sp > 4096);
						threads |= 1 << j;
					}
			note = (char *)content + ((head->n_descsz + 3) & ~3u);
		}
	}
	EQUAL(threads, 15);
	EQUAL(pages, 4);
	DO(munmap(image, details.st_size));
}

static void core_has_every_thread(void)
{
	char path[40] = "/tmp/core";
	int status;
	pid_t pid;

	if (geteuid() || strcmp(read_text("/proc/sys/kernel/core_pattern"), "core\n"))
		skip("core_pattern is another");
	pid = start_to_fill(run_to_dump);
	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && WCOREDUMP(status));
	if (access(path, R_OK))
		snprintf(path, sizeof(path), "/tmp/core.%d", pid);
	examine(path);
}

/* By gdb's script: all are stopped, and then are where they were. */
static void core_of_the_living(void)
{
	char command[100], path[60];
	uint64_t end;
	pid_t pid;

	if (access("/usr/bin/gcore", X_OK))
		skip("no gcore");
	pid = start_to_fill(run_to_wait);
	snprintf(command, sizeof(command), "gcore -o /tmp/st-gcore %d >/dev/null 2>&1 </dev/null", pid);
	snprintf(path, sizeof(path), "/tmp/st-gcore.%d", pid);
	EQUAL(system(command), 0);
	examine(path);
	end = now_ns() + 30000000000ull;
	for (int i = 0; i < 4; i++) {
		unsigned int place = moving() ? places[i % PLACES] : 0;

		while (where_is(pid, tids[i]) != (int)place && now_ns() < end)
			sleep_ms(10);
		EQUAL(where_is(pid, tids[i]), place);
	}
	DO(kill(pid, SIGKILL));
	ends_with(pid, SIGKILL);
}

/* ------------------------------------------------------------------- stop */

static volatile uint64_t *counts;

static void *count_for_ever(struct hand *hand)
{
	for (;;)
		counts[hand->number * 512]++;
	return NULL;
}

static void run_count(void)
{
	crew_start(crew, 3, count_for_ever, NULL);
	crew_spread(crew, 3, 0);
	crew_go(crew, 3);
	CHECK(write(ends[1], "x", 1) == 1);
	for (;;)
		pause();
}

/* Counters of another process, which are in pages that other nodes have. */
static void look_at(pid_t pid, uint64_t *values)
{
	for (int i = 0; i < 3; i++) {
		struct iovec mine = { &values[i], 8 };
		struct iovec theirs = { (void *)&counts[i * 512], 8 };

		EQUAL(process_vm_readv(pid, &mine, 1, &theirs, 1, 0), 8);
	}
}

static void stop_and_continue(void)
{
	uint64_t before[3], after[3];
	int status;
	char byte;
	pid_t pid;

	DO(pipe(ends));
	counts = map_pages(3, RW);
	pid = child_with(run_count);
	EQUAL(read(ends[0], &byte, 1), 1);
	for (int round = 0; round < 4; round++) {
		DO(kill(pid, SIGSTOP));
		EQUAL(waitpid(pid, &status, WUNTRACED), pid);
		CHECK(WIFSTOPPED(status));
		look_at(pid, before);
		sleep_ms(100);
		look_at(pid, after);
		for (int i = 0; i < 3; i++)
			EQUAL(before[i], after[i]);
		DO(kill(pid, SIGCONT));
		EQUAL(waitpid(pid, &status, WCONTINUED), pid);
		for (int i = 0; i < 3; i++)
			for (int wait = 0; wait < 400 && after[i] == before[i]; wait++) {
				sleep_ms(10);
				look_at(pid, after);
			}
		for (int i = 0; i < 3; i++)
			CHECK(after[i] > before[i]);
	}
	DO(kill(pid, SIGKILL));
	ends_with(pid, SIGKILL);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(fork_is_an_instant), CASE(fork_from_everywhere), CASE(core_has_every_thread),
		{ "core_of_the_living", core_of_the_living, 60 },
		CASE(stop_and_continue),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

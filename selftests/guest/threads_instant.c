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
#include <sys/syscall.h>
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

/* A core, as it is in memory. */
static char *core_at(const char *path)
{
	int file = DO(open(path, O_RDONLY));
	struct stat details;
	char *image;

	unlink(path);
	DO(fstat(file, &details));
	image = DO(mmap(NULL, details.st_size, PROT_READ, MAP_PRIVATE, file, 0));
	close(file);
	return image;
}

/* That of a child that has ended with SIGABRT. */
static char *core_of(pid_t pid)
{
	char path[40] = "/tmp/core";
	int status;

	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && WCOREDUMP(status));
	if (access(path, R_OK))
		snprintf(path, sizeof(path), "/tmp/core.%d", pid);
	return core_at(path);
}

static void need_cores(void)
{
	if (geteuid() || strcmp(read_text("/proc/sys/kernel/core_pattern"), "core\n"))
		skip("core_pattern is another");
}

static const Elf64_Phdr *segments_of(const char *image, int *count)
{
	const Elf64_Ehdr *header = (const void *)image;

	*count = header->e_phnum;
	return (const void *)(image + header->e_phoff);
}

/* What the core says of a thread, NULL: nothing. */
static const prstatus_t *status_of(const char *image, pid_t tid)
{
	const Elf64_Phdr *segment;
	int count;

	for (segment = segments_of(image, &count); count--; segment++) {
		const char *note = image + segment->p_offset, *end = note + segment->p_filesz;

		while (segment->p_type == PT_NOTE && note < end) {
			const Elf64_Nhdr *head = (const void *)note;
			const prstatus_t *content = (const void *)(note + sizeof(*head) +
								   ((head->n_namesz + 3) & ~3u));

			if (head->n_type == NT_PRSTATUS && content->pr_pid == tid)
				return content;
			note = (const char *)content + ((head->n_descsz + 3) & ~3u);
		}
	}
	return NULL;
}

/* It has the registers of all threads, and what each of them has written. */
static void examine(const char *image)
{
	const Elf64_Phdr *segment;
	unsigned int pages = 0;
	int count;

	for (segment = segments_of(image, &count); count--; segment++)
		if (segment->p_type == PT_LOAD && segment->p_vaddr <= (uintptr_t)dumped &&
		    segment->p_vaddr + segment->p_filesz >= (uintptr_t)dumped + 4 * BYTES)
			for (int j = 0; j < 4; j++)
				pages += differs(image + segment->p_offset +
						 ((uintptr_t)dumped - segment->p_vaddr) + j * BYTES,
						 BYTES, 40 + j) == -1;
	EQUAL(pages, 4);
	for (int i = 0; i < 4; i++) {
		const prstatus_t *status = status_of(image, tids[i]);

		/* Where user code runs, on the stack of that thread. */
		CHECK(status);
		CHECK(status->pr_reg[16] > 4096);
		CHECK(status->pr_reg[19] > 4096);
	}
}

static void core_has_every_thread(void)
{
	need_cores();
	examine(core_of(start_to_fill(run_to_dump)));
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
	examine(core_at(path));
	end = now_ns() + 90000000000ull;
	for (int i = 0; i < 4; i++) {
		unsigned int place = moving() ? places[i % PLACES] : 0;

		while (where_is(pid, tids[i]) != (int)place && now_ns() < end)
			sleep_ms(10);
		EQUAL(where_is(pid, tids[i]), place);
	}
	DO(kill(pid, SIGKILL));
	ends_with(pid, SIGKILL);
}

enum { CALLERS = 3, CALLS_FROM = 1 << 30, CALLS = 40, R12 = 3 };

static int offsets[CALLERS];

/*
 * Calls that it has made, in a register; each says it to the kernel, as an offset, so that who
 * looks at it touches no page that this thread needs: it would come home for that.
 */
static void *count_calls(struct hand *hand)
{
	register uint64_t count asm("r12") = CALLS_FROM;

	asm volatile("1: incq %0\n\t movq %0, %%rsi\n\t movl %1, %%eax\n\t syscall\n\t jmp 1b"
		     : "+r"(count)
		     : "i"(SYS_lseek), "D"(offsets[hand->number]), "d"(SEEK_SET)
		     : "rax", "rcx", "rsi", "r11", "memory");
	return NULL;
}

static void run_to_dump_calls(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	uint64_t seen[CALLERS];

	DO(chdir("/tmp"));
	DO(setrlimit(RLIMIT_CORE, &unlimited));
	for (int i = 0; i < CALLERS; i++)
		offsets[i] = DO(memfd_create("offset", 0));
	crew_start(crew, CALLERS, count_calls, NULL);
	crew_spread(crew, CALLERS, 1);
	crew_go(crew, CALLERS);
	for (int i = 0; i < CALLERS; i++)
		while ((seen[i] = DO(lseek(offsets[i], 0, SEEK_CUR))) < CALLS_FROM + CALLS)
			sleep_ms(5);
	for (int i = 0; i < CALLERS; i++)
		CHECK(write(ends[1], &crew[i].tid, sizeof(pid_t)) == sizeof(pid_t));
	CHECK(write(ends[1], seen, sizeof(seen)) == sizeof(seen));
	abort();
}

/* Of a thread that makes calls all the time, too, the registers are those of the end. */
static void core_in_the_midst_of_calls(void)
{
	uint64_t seen[CALLERS];
	pid_t pid, callers[CALLERS];
	const char *image;

	need_cores();
	DO(pipe(ends));
	pid = child_with(run_to_dump_calls);
	for (int i = 0; i < CALLERS; i++)
		EQUAL(read(ends[0], &callers[i], sizeof(pid_t)), sizeof(pid_t));
	EQUAL(read(ends[0], seen, sizeof(seen)), sizeof(seen));
	image = core_of(pid);
	for (int i = 0; i < CALLERS; i++) {
		const prstatus_t *status = status_of(image, callers[i]);

		CHECK(status);
		CHECK(status->pr_reg[R12] >= seen[i]);
		CHECK(status->pr_reg[R12] < 2ull * CALLS_FROM);
	}
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
			for (int wait = 0; wait < 3000 && after[i] == before[i]; wait++) {
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
		CASE(core_in_the_midst_of_calls),
		{ "core_of_the_living", core_of_the_living, 60 },
		CASE(stop_and_continue),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

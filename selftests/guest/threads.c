// SPDX-License-Identifier: GPL-2.0
/* Threads of one process on several nodes: how they begin, end, and hear signals. */
#include "crew.h"

#include <elf.h>
#include <fcntl.h>
#include <linux/futex.h>
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

/* ------------------------------------------------------------ begin and end */

static __thread uintptr_t own;

/* Threads that make threads, each on another node. */
static void *chain(void *argument)
{
	uintptr_t depth = (uintptr_t)argument;
	pthread_t next;
	void *result;

	own = depth;
	go(places[depth % PLACES]);
	if (depth < 7) {
		EQUAL(pthread_create(&next, NULL, chain, (void *)(depth + 1)), 0);
		EQUAL(pthread_join(next, &result), 0);
		EQUAL((uintptr_t)result, depth + 1);
	}
	EQUAL(own, depth);
	return argument;
}

static void create_from_anywhere(void)
{
	chain((void *)1);
}

static sem_t finished ALONE;

static void *detached(void *argument)
{
	own = (uintptr_t)argument;
	CHECK(own < 100);
	DO(sem_post(&finished));
	return NULL;
}

static void detached_from_anywhere(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	DO(sem_init(&finished, 0, 0));
	EQUAL(pthread_attr_init(&attributes), 0);
	EQUAL(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED), 0);
	for (int i = 0; i < 12; i++) {
		if (i % 4 == 0)
			go(places[(i / 4 + 1) % PLACES]);
		EQUAL(pthread_create(&thread, &attributes, detached, (void *)(uintptr_t)i), 0);
		if (i % 2) {
			EQUAL(pthread_create(&thread, NULL, detached, (void *)50), 0);
			EQUAL(pthread_detach(thread), 0);
			down(&finished);
		}
		down(&finished);
	}
}

static atomic_int cleaned;

static void clean(void *argument)
{
	(void)argument;
	cleaned++;
}

/* By their numbers: computes, reads, waits on a futex. */
static void *busy(struct hand *hand)
{
	char byte;
	int type;

	pthread_cleanup_push(clean, NULL);
	DO(sem_post(&hand->done));
	if (hand->number % 3 == 0) {
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
		for (;;)
			own++;
	}
	if (hand->number % 3 == 1)
		CHECK(read(ends[0], &byte, 1) == 1);
	for (;;)
		sem_wait(&hand->go);
	pthread_cleanup_pop(0);
	return NULL;
}

static void busy_crew(unsigned int first)
{
	crew_start(crew, 3, busy, NULL);
	crew_spread(crew, 3, first);
	crew_go(crew, 3);
	for (int i = 0; i < 3; i++)
		down(&crew[i].done);
	sleep_ms(50);
}

static void cancel_from_anywhere(void)
{
	DO(pipe(ends));
	for (int round = 0; round < PLACES; round++) {
		go(0);
		busy_crew(round);
		go(places[(round + 1) % PLACES]);
		cleaned = 0;
		for (int i = 0; i < 3; i++)
			EQUAL(pthread_cancel(crew[i].thread), 0);
		crew_join(crew, 3);
		for (int i = 0; i < 3; i++)
			CHECK(crew[i].result == PTHREAD_CANCELED);
		EQUAL(cleaned, 3);
	}
}

static void *compute(struct hand *hand)
{
	atomic_int *end = hand->argument;

	if (hand->number == 0)
		return (void *)77;
	do
		compute_checked(10);
	while (!atomic_load(end));
	return (void *)(uintptr_t)(hand->number + 100);
}

static void one_ends_others_go_on(void)
{
	static atomic_int end ALONE;

	for (int round = 0; round < PLACES; round++) {
		void *result;

		end = 0;
		crew_start(crew, 4, compute, &end);
		crew_spread(crew, 4, round);
		crew_go(crew, 4);
		EQUAL(pthread_join(crew[0].thread, &result), 0);
		EQUAL((uintptr_t)result, 77);
		sleep_ms(30);
		end = 1;
		crew_join(crew + 1, 3);
		for (int i = 1; i < 4; i++)
			EQUAL((uintptr_t)crew[i].result, 100 + i);
	}
}

/* The first thread ends; the others move, fork, and the last one ends the process. */
static void *after_the_leader(struct hand *hand)
{
	char path[40], *state;
	pid_t pid;

	for (;;) {
		static char text[512];
		int file;

		snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", getpid(), getpid());
		file = DO(open(path, O_RDONLY));
		CHECK(read(file, text, sizeof(text) - 1) > 0);
		close(file);
		state = strrchr(text, ')');
		if (state[2] == 'Z')
			break;
		sleep_ms(5);
	}
	for (int i = 0; i < 4; i++) {
		go(places[(hand->number + i) % PLACES]);
		compute_checked(5);
	}
	DO(sem_post(&hand->done));
	if (hand->number)
		return NULL;
	for (int i = 1; i < 3; i++) {
		down(&crew[i].done);
		EQUAL(pthread_join(crew[i].thread, NULL), 0);
	}
	pid = DO(fork());
	if (!pid)
		_exit(12);
	ends_with(pid, 12 << 8);
	go(2);
	exit(41);
}

static void run_without_leader(void)
{
	crew_start(crew, 3, after_the_leader, NULL);
	crew_spread(crew, 3, 1);
	go(3);
	crew_go(crew, 3);
	pthread_exit(NULL);
}

static void leader_ends_first(void)
{
	ends_with(child_with(run_without_leader), 41 << 8);
}

/* What is away is brought home although the thread that the process is named by is no more. */
static void *wait_for_recall(struct hand *hand)
{
	char byte;

	if (hand->number == 0)
		CHECK(write(ends[1], &hand->tid, sizeof(hand->tid)) == sizeof(hand->tid));
	while (!atomic_load((atomic_int *)hand->argument))
		compute_checked(10);
	CHECK(read(ends[0], &byte, 1) == 1);
	return NULL;
}

static void run_to_be_recalled(void)
{
	static atomic_int end ALONE;

	crew_start(crew, 2, wait_for_recall, &end);
	crew_spread(crew, 2, 1);
	crew_go(crew, 2);
	pthread_exit(NULL);
}

static void recall_without_leader(void)
{
	pid_t pid, tid;

	DO(pipe(ends));
	pid = child_with(run_to_be_recalled);
	EQUAL(read(ends[0], &tid, sizeof(tid)), sizeof(tid));
	sleep_ms(200);
	if (moving())
		EQUAL(where_is(pid, tid), 2);
	send_all(pid, 0);
	EQUAL(where_is(pid, tid), 0);
	send_thread(pid, tid, 3);
	if (moving())
		EQUAL(where_is(pid, tid), 3);
	DO(kill(pid, SIGKILL));
	ends_with(pid, SIGKILL);
}

static void *end_all(struct hand *hand)
{
	const char *how = hand->argument;

	sleep_ms(100);
	switch (*how) {
	case 'e':
		_exit(51);
	case 'x':
		execl("/bin/sh", "sh", "-c", "exit $(($1 == $$ ? 52 : 1))", "sh", how + 1, NULL);
		break;
	case 's':
		*(volatile char *)NULL = 1;
		break;
	case 'k':
		kill(getpid(), SIGKILL);
	}
	return NULL;
}

/* A thread ends the process while the others compute, read and wait on three nodes. */
static void ends_from_anywhere(char how, int expected)
{
	DO(pipe(ends));
	for (int i = 0; i < PLACES; i++) {
		pid_t pid = DO(fork());
		char text[20];

		if (!pid) {
			snprintf(text, sizeof(text), "%c%d", how, getpid());
			busy_crew(i + 1);
			crew_start(crew + 3, 1, end_all, text);
			crew_place(crew + 3, places[i]);
			go(places[(i + 2) % PLACES]);
			crew_go(crew + 3, 1);
			compute_ms(100000);
		}
		ends_with(pid, expected);
	}
}

static void exit_group_from_anywhere(void)
{
	ends_from_anywhere('e', 51 << 8);
}

static void exec_from_anywhere(void)
{
	ends_from_anywhere('x', 52 << 8);
}

static void fault_from_anywhere(void)
{
	ends_from_anywhere('s', SIGSEGV);
}

static void kill_from_anywhere(void)
{
	ends_from_anywhere('k', SIGKILL);
}

/* An executed program that goes on moving has the number of its process. */
static void *exec_and_move(struct hand *hand)
{
	(void)hand;
	execl("/bin/sh", "sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 53", NULL);
	return NULL;
}

static void run_exec_and_move(void)
{
	busy_crew(1);
	crew_start(crew + 3, 1, exec_and_move, NULL);
	crew_place(crew + 3, 3);
	crew_go(crew + 3, 1);
	compute_ms(100000);
}

static void exec_then_move(void)
{
	pid_t pid;

	DO(pipe(ends));
	pid = child_with(run_exec_and_move);
	for (int i = 0; i < 200 && strcmp(read_text("/proc/self/comm"), "sh\n"); i++) {
		char path[40];

		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		if (!strcmp(read_text(path), "sh\n"))
			break;
		sleep_ms(20);
	}
	for (int i = 0; i < 4; i++)
		send_thread_if_there(pid, pid, places[(i + 1) % PLACES]);
	ends_with(pid, 53 << 8);
}

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

static void run_to_dump(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	DO(chdir("/tmp"));
	DO(setrlimit(RLIMIT_CORE, &unlimited));
	crew_start(crew, 4, fill_and_wait, NULL);
	crew_spread(crew, 4, 0);
	crew_go(crew, 4);
	for (int i = 0; i < 4; i++)
		down(&crew[i].done);
	for (int i = 0; i < 4; i++)
		CHECK(write(ends[1], &crew[i].tid, sizeof(pid_t)) == sizeof(pid_t));
	go(3);
	abort();
}

static void core_has_every_thread(void)
{
	char path[40] = "/tmp/core", *image;
	unsigned int threads = 0, pages = 0;
	Elf64_Phdr *segment;
	Elf64_Ehdr *header;
	struct stat details;
	int status, file;
	pid_t pid, tids[4];

	if (geteuid() || strcmp(read_text("/proc/sys/kernel/core_pattern"), "core\n"))
		skip("core_pattern is another");
	DO(pipe(ends));
	dumped = map_pages(4 * BYTES / 4096, RW);
	pid = child_with(run_to_dump);
	for (int i = 0; i < 4; i++)
		EQUAL(read(ends[0], &tids[i], sizeof(pid_t)), sizeof(pid_t));
	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && WCOREDUMP(status));
	if (access(path, R_OK))
		snprintf(path, sizeof(path), "/tmp/core.%d", pid);
	file = DO(open(path, O_RDONLY));
	unlink(path);
	DO(fstat(file, &details));
	image = DO(mmap(NULL, details.st_size, PROT_READ, MAP_PRIVATE, file, 0));
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
}

/* ---------------------------------------------------------------- signals */

static __thread struct hand *me;
static atomic_int to_me[4], to_others;

static void heard(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	if (!me || gettid() != me->tid || info->si_pid != getpid())
		to_others++;
	else
		to_me[me->number]++;
}

static atomic_int hear_end ALONE;

static void *hear(struct hand *hand)
{
	char byte;

	me = hand;
	DO(sem_post(&hand->done));
	while (!hear_end) {
		switch (hand->number) {
		case 0:
			compute_checked(5);
			break;
		case 1:
			if (read(ends[0], &byte, 1) != 1)
				EQUAL(errno, EINTR);
			break;
		default:
			if (sem_wait(&hand->go))
				EQUAL(errno, EINTR);
		}
	}
	return NULL;
}

static void catch(int number)
{
	struct sigaction action = { .sa_sigaction = heard, .sa_flags = SA_SIGINFO };

	DO(sigaction(number, &action, NULL));
}

static void wait_for(atomic_int *value, int expected)
{
	uint64_t end = now_ns() + 8000000000;

	while (*value < expected && now_ns() < end)
		sleep_ms(2);
	EQUAL(*value, expected);
}

static void end_hearing(void)
{
	hear_end = 1;
	for (int i = 0; i < 3; i++) {
		CHECK(write(ends[1], "x", 1) == 1);
		DO(sem_post(&crew[i].go));
	}
	crew_join(crew, 3);
}

static void signals_to_a_thread(void)
{
	catch(SIGUSR1);
	DO(pipe(ends));
	for (int round = 0; round < PLACES; round++) {
		hear_end = 0;
		go(0);
		crew_start(crew, 3, hear, NULL);
		crew_spread(crew, 3, round);
		crew_go(crew, 3);
		for (int i = 0; i < 3; i++)
			down(&crew[i].done);
		go(places[round]);
		for (int i = 0; i < 9; i++) {
			if (i % 2)
				EQUAL(pthread_kill(crew[i % 3].thread, SIGUSR1), 0);
			else
				DO(syscall(SYS_tgkill, getpid(), crew[i % 3].tid, SIGUSR1));
			wait_for(&to_me[i % 3], 3 * round + i / 3 + 1);
		}
		end_hearing();
	}
	for (int i = 0; i < 3; i++)
		EQUAL(to_me[i], 9);
	EQUAL(to_others, 0);
}

static void *hear_one(struct hand *hand)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (hand->number == *(unsigned int *)hand->argument)
		EQUAL(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
	return hear(hand);
}

/* Of all threads the one that does not block it hears it. */
static void signals_to_the_process(void)
{
	sigset_t set;

	catch(SIGUSR1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	DO(pipe(ends));
	EQUAL(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	for (unsigned int who = 0; who < 3; who++) {
		hear_end = 0;
		go(0);
		crew_start(crew, 3, hear_one, &who);
		crew_spread(crew, 3, who);
		crew_go(crew, 3);
		for (int i = 0; i < 3; i++)
			down(&crew[i].done);
		for (int i = 0; i < PLACES; i++) {
			go(places[i]);
			DO(kill(getpid(), SIGUSR1));
			wait_for(&to_me[who], i + 1);
		}
		end_hearing();
	}
	for (int i = 0; i < 3; i++)
		EQUAL(to_me[i], 3);
	EQUAL(to_others, 0);
}

static void *check_ids(struct hand *hand)
{
	/* Asked of the kernel, and in a thread that was computing when they changed. */
	while (!hear_end)
		compute_checked(5);
	EQUAL(syscall(SYS_getuid), 65534);
	EQUAL(syscall(SYS_getgid), 65533);
	DO(sem_post(&hand->done));
	return NULL;
}

static void *change_ids(struct hand *hand)
{
	(void)hand;
	DO(setgid(65533));
	DO(setuid(65534));
	hear_end = 1;
	return NULL;
}

static void run_change_ids(void)
{
	crew_start(crew, 3, check_ids, NULL);
	crew_start(crew + 3, 1, change_ids, NULL);
	crew_spread(crew, 3, 0);
	crew_place(crew + 3, 2);
	crew_go(crew, 4);
	go(3);
	crew_join(crew, 4);
	EQUAL(syscall(SYS_getuid), 65534);
}

static void ids_change_in_all(void)
{
	if (geteuid())
		skip("needs root");
	ends_with(child_with(run_change_ids), 0);
}

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

/* ------------------------------------------- data of threads, robust locks */

static pthread_key_t key;
static __thread char own_page[4096] = "as linked";
static atomic_int destroyed;

static void destroy(void *value)
{
	/* By the thread itself, which still has its own. */
	EQUAL((uintptr_t)value, own);
	destroyed++;
}

static void *use_own_data(struct hand *hand)
{
	CHECK(!strcmp(own_page, "as linked"));
	own = hand->number + 7;
	fill(own_page, sizeof(own_page), own);
	EQUAL(pthread_setspecific(key, (void *)own), 0);
	for (int i = 0; i < 4; i++) {
		go(places[(hand->number + i) % PLACES]);
		EQUAL(own, hand->number + 7);
		EQUAL(differs(own_page, sizeof(own_page), own), -1);
		EQUAL((uintptr_t)pthread_getspecific(key), own);
		EQUAL(errno, 0);
	}
	return NULL;
}

static void thread_data(void)
{
	EQUAL(pthread_key_create(&key, destroy), 0);
	crew_start(crew, 4, use_own_data, NULL);
	crew_spread(crew, 4, 0);
	crew_go(crew, 4);
	crew_join(crew, 4);
	EQUAL(destroyed, 4);
	CHECK(!strcmp(own_page, "as linked"));
}

static pthread_mutex_t robust ALONE;

static void *die_with_lock(struct hand *hand)
{
	EQUAL(pthread_mutex_lock(&robust), 0);
	DO(sem_post(&hand->done));
	sleep_ms(100);
	return NULL;
}

static void *inherit_lock(struct hand *hand)
{
	down(&crew[0].done);
	EQUAL(pthread_mutex_lock(&robust), EOWNERDEAD);
	EQUAL(pthread_mutex_consistent(&robust), 0);
	EQUAL(pthread_mutex_unlock(&robust), 0);
	return hand;
}

static void robust_owner_dies(void)
{
	pthread_mutexattr_t attributes;

	EQUAL(pthread_mutexattr_init(&attributes), 0);
	EQUAL(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
	for (int protocol = 0; protocol < 2; protocol++) {
		EQUAL(pthread_mutexattr_setprotocol(&attributes, protocol ? PTHREAD_PRIO_INHERIT :
						    PTHREAD_PRIO_NONE), 0);
		for (int round = 0; round < PLACES; round++) {
			EQUAL(pthread_mutex_init(&robust, &attributes), 0);
			crew_start(crew, 1, die_with_lock, NULL);
			crew_start(crew + 1, 1, inherit_lock, NULL);
			crew_place(crew, places[(round + 1) % PLACES]);
			crew_place(crew + 1, places[(round + 2) % PLACES]);
			crew_go(crew, 2);
			crew_join(crew, 2);
			CHECK(crew[1].result == &crew[1]);
			EQUAL(pthread_mutex_lock(&robust), 0);
			EQUAL(pthread_mutex_unlock(&robust), 0);
		}
	}
}

/* ---------------------------------------------- what went wrong elsewhere */

static void *move_around(struct hand *hand)
{
	static const unsigned int way[] = { 2, 0, 2, 3, 2, 3, 0, 3, 0, 2, 3 };
	uint64_t sum = 0;

	for (unsigned int i = 0; i < sizeof(way) / sizeof(*way); i++) {
		go(way[(i + hand->number) % (sizeof(way) / sizeof(*way))]);
		sum += i;
		compute_checked(2);
	}
	EQUAL(sum, 55);
	return NULL;
}

static void moves_again_and_again(void)
{
	crew_start(crew, 3, move_around, NULL);
	crew_go(crew, 3);
	crew_join(crew, 3);
}

static void *spin_until(struct hand *hand)
{
	while (!atomic_load((atomic_int *)hand->argument))
		compute_checked(5);
	return NULL;
}

/* From node 2 straight to node 3 and back, computing and asleep; then one comes home alone. */
static void node_to_node(void)
{
	static atomic_int end ALONE;
	static const unsigned int way[] = { 2, 3, 2, 3, 2, 3 };

	crew_start(crew, 1, spin_until, &end);
	crew_start(crew + 1, 1, spin_until, &end);
	crew_go(crew, 1);
	for (unsigned int i = 0; i < sizeof(way) / sizeof(*way); i++) {
		for (int j = 0; j < 2; j++) {
			crew_place(&crew[j], way[i]);
			EQUAL(where_is(getpid(), crew[j].tid), moving() ? way[i] : 0);
		}
		if (i % 2)
			sleep_ms(30);
	}
	crew_place(&crew[0], 0);
	EQUAL(where_is(getpid(), crew[0].tid), 0);
	EQUAL(where_is(getpid(), crew[1].tid), moving() ? 3 : 0);
	end = 1;
	crew_go(crew + 1, 1);
	crew_join(crew, 2);
}

static void *end_at_once(struct hand *hand)
{
	return hand;
}

/* Threads that end when they have just been moved, and while they are being moved. */
static void moved_and_ended(void)
{
	for (int i = 0; i < 16; i++) {
		crew_start(crew, 1, end_at_once, NULL);
		if (i % 2) {
			crew_place(crew, places[1 + i / 2 % 2]);
			crew_go(crew, 1);
		} else {
			crew_go(crew, 1);
			send_thread_if_there(getpid(), crew->tid, places[1 + i / 2 % 2]);
		}
		crew_join(crew, 1);
		CHECK(crew->result == crew);
	}
}

static volatile char *shared;

static void *fault_for_ever(struct hand *hand)
{
	for (unsigned int i = hand->number * 31;; i = i * 1103515245 + 12345)
		shared[(i >> 16) % 64 * 4096]++;
	return NULL;
}

static void run_fault(void)
{
	crew_start(crew, 4, fault_for_ever, NULL);
	crew_spread(crew, 4, 0);
	crew_go(crew, 4);
	CHECK(write(ends[1], "x", 1) == 1);
	compute_ms(100000);
}

/* All fight for the same pages when the process is killed. */
static void killed_while_faulting(void)
{
	char byte;

	DO(pipe(ends));
	shared = map_pages(64, RW);
	for (int i = 0; i < 5; i++) {
		pid_t pid = child_with(run_fault);

		EQUAL(read(ends[0], &byte, 1), 1);
		sleep_ms(60 + 30 * i);
		DO(kill(pid, SIGKILL));
		ends_with(pid, SIGKILL);
	}
}

enum { MANY = 128, THOUSAND = 1000 };

static void *count_alone(struct hand *hand)
{
	atomic_int *end = hand->argument;
	uint64_t count = 0;

	DO(sem_post(&hand->done));
	while (!atomic_load_explicit(end, memory_order_relaxed)) {
		count++;
		/* 128 of them share one CPU. */
		sched_yield();
	}
	return (void *)(uintptr_t)(count > 0);
}

static void many_move_together(void)
{
	static atomic_int end ALONE;
	struct hand *many = map_pages(MANY * sizeof(*many) / 4096, RW);

	crew_start(many, MANY, count_alone, &end);
	crew_go(many, MANY);
	for (int i = 0; i < MANY; i++)
		down(&many[i].done);
	send_all(getpid(), 2);
	send_all(getpid(), 3);
	send_all(getpid(), 0);
	send_all(getpid(), 2);
	end = 1;
	crew_join(many, MANY);
	for (int i = 0; i < MANY; i++)
		EQUAL((uintptr_t)many[i].result, 1);
}

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate = PTHREAD_COND_INITIALIZER;
static int gate_open;

static void *wait_at_the_gate(struct hand *hand)
{
	EQUAL(pthread_mutex_lock(&gate_lock), 0);
	DO(sem_post(&hand->done));
	while (!gate_open)
		EQUAL(pthread_cond_wait(&gate, &gate_lock), 0);
	EQUAL(pthread_mutex_unlock(&gate_lock), 0);
	return hand;
}

static void open_the_gate(void)
{
	EQUAL(pthread_mutex_lock(&gate_lock), 0);
	gate_open = 1;
	EQUAL(pthread_cond_broadcast(&gate), 0);
	EQUAL(pthread_mutex_unlock(&gate_lock), 0);
}

/* Asleep in futexes all the way: out, across, home and out again. */
static void moved_while_blocked(void)
{
	crew_start(crew, 4, wait_at_the_gate, NULL);
	crew_go(crew, 4);
	for (int i = 0; i < 4; i++)
		down(&crew[i].done);
	sleep_ms(50);
	for (int round = 0; round < 5; round++)
		for (int i = 0; i < 4; i++)
			crew_place(&crew[i], places[(round + i) % PLACES]);
	go(2);
	open_the_gate();
	crew_join(crew, 4);
	for (int i = 0; i < 4; i++)
		CHECK(crew[i].result == &crew[i]);
}

static void thousand_threads(void)
{
	struct hand *many = map_pages(THOUSAND * sizeof(*many) / 4096, RW);

	crew_start(many, THOUSAND, wait_at_the_gate, NULL);
	crew_go(many, THOUSAND);
	for (int i = 0; i < THOUSAND; i++)
		down(&many[i].done);
	for (int i = 0; i < 24; i++)
		crew_place(&many[i * 41], places[1 + i % 2]);
	for (int i = 0; i < 12; i++)
		crew_place(&many[i * 41], places[(i + 1) % PLACES]);
	open_the_gate();
	crew_join(many, THOUSAND);
	for (int i = 0; i < THOUSAND; i++)
		CHECK(many[i].result == &many[i]);
}

/* As they come: whoever computes, waits for a lock, faults, maps or forks is moved. */
static pthread_mutex_t stirred_lock ALONE = PTHREAD_MUTEX_INITIALIZER;
static volatile unsigned int stirred ALONE;
static atomic_int stir_end ALONE;

static void *work_while_stirred(struct hand *hand)
{
	uintptr_t turns = 0;

	do {
		char *memory = map_pages(4, RW);
		pid_t pid;

		EQUAL(pthread_mutex_lock(&stirred_lock), 0);
		stirred++;
		EQUAL(pthread_mutex_unlock(&stirred_lock), 0);
		fill(memory, 4 * 4096, turns);
		if (turns % 4 == hand->number) {
			pid = DO(fork());
			if (!pid)
				_exit(differs(memory, 4 * 4096, turns) == -1 ? 14 : 1);
			ends_with(pid, 14 << 8);
		}
		EQUAL(differs(memory, 4 * 4096, turns), -1);
		DO(mprotect(memory, 4096, PROT_READ));
		DO(munmap(memory, 4 * 4096));
		turns++;
	} while (!stir_end || turns < 8);
	return (void *)turns;
}

static void moved_at_random(void)
{
	unsigned int sum = 0;

	crew_start(crew, 4, work_while_stirred, NULL);
	crew_go(crew, 4);
	crew_stir(crew, 4, 60);
	stir_end = 1;
	crew_join(crew, 4);
	for (int i = 0; i < 4; i++)
		sum += (uintptr_t)crew[i].result;
	EQUAL(stirred, sum);
}

static void run_stirred(void)
{
	crew_start(crew, 4, work_while_stirred, NULL);
	crew_go(crew, 4);
	crew_stir(crew, 4, 1000000);
}

/* Killed in the midst of all that. Its moves are never answered: nothing is asked after. */
static void killed_at_random(void)
{
	for (int i = 0; i < 8; i++) {
		pid_t pid = child_with(run_stirred);

		sleep_ms(150 + 70 * i);
		DO(kill(pid, SIGKILL));
		ends_with(pid, SIGKILL);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(create_from_anywhere), CASE(detached_from_anywhere),
		CASE(cancel_from_anywhere), CASE(one_ends_others_go_on), CASE(leader_ends_first),
		CASE(recall_without_leader), CASE(exit_group_from_anywhere),
		CASE(exec_from_anywhere), CASE(exec_then_move), CASE(fault_from_anywhere),
		CASE(kill_from_anywhere), CASE(fork_is_an_instant), CASE(fork_from_everywhere),
		CASE(core_has_every_thread), CASE(signals_to_a_thread),
		CASE(signals_to_the_process), CASE(ids_change_in_all), CASE(stop_and_continue),
		CASE(thread_data), CASE(robust_owner_dies), CASE(moves_again_and_again),
		CASE(node_to_node), CASE(moved_and_ended), CASE(killed_while_faulting),
		{ "many_move_together", many_move_together, 70 }, CASE(moved_while_blocked),
		{ "thousand_threads", thousand_threads, 70 }, CASE(moved_at_random),
		CASE(killed_at_random),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

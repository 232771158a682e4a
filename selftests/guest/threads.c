// SPDX-License-Identifier: GPL-2.0
/* Threads of one process on several nodes: how they begin and end, and what is their own. */
#include "crew.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

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

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(create_from_anywhere), CASE(detached_from_anywhere),
		CASE(cancel_from_anywhere), CASE(one_ends_others_go_on), CASE(leader_ends_first),
		CASE(recall_without_leader), CASE(exit_group_from_anywhere),
		CASE(exec_from_anywhere), CASE(fault_from_anywhere), CASE(kill_from_anywhere),
		CASE(exec_then_move), CASE(thread_data), CASE(robust_owner_dies),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

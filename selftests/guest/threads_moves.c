// SPDX-License-Identifier: GPL-2.0
/* Threads of one process on several nodes: moved, many of them, again and again, at any moment. */
#include "crew.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

#define RW (PROT_READ | PROT_WRITE)

static struct hand crew[4];
static int ends[2];

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

/* From node 2 to node 3 by one command, and back, computing and asleep; then one comes home alone. */
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

	while (!atomic_load_explicit(end, memory_order_relaxed)) {
		/* One that is sent on as soon as it has come counts no further. */
		if (!count++)
			DO(sem_post(&hand->done));
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
		CASE(moves_again_and_again), CASE(node_to_node), CASE(moved_and_ended),
		CASE(killed_while_faulting), { "many_move_together", many_move_together, 110 },
		CASE(moved_while_blocked), { "thousand_threads", thousand_threads, 70 },
		CASE(moved_at_random), CASE(killed_at_random),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

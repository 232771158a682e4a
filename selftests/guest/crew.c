// SPDX-License-Identifier: GPL-2.0
#include "crew.h"

#include <sys/wait.h>

const unsigned int places[PLACES] = { 0, 2, 3 };

/* What glibc wants of the stack, and some pages for the case. */
enum { STACK = 64 << 10 };

void down(sem_t *semaphore)
{
	while (sem_wait(semaphore))
		EQUAL(errno, EINTR);
}

static void *begin(void *argument)
{
	struct hand *hand = argument;

	hand->tid = gettid();
	DO(sem_post(&hand->ready));
	down(&hand->go);
	return hand->work(hand);
}

void crew_start(struct hand *hands, unsigned int count, void *(*work)(struct hand *),
		void *argument)
{
	pthread_attr_t attributes;

	EQUAL(pthread_attr_init(&attributes), 0);
	EQUAL(pthread_attr_setstacksize(&attributes, STACK), 0);
	for (unsigned int i = 0; i < count; i++) {
		hands[i].work = work;
		hands[i].argument = argument;
		hands[i].number = i;
		DO(sem_init(&hands[i].ready, 0, 0));
		DO(sem_init(&hands[i].go, 0, 0));
		DO(sem_init(&hands[i].done, 0, 0));
		EQUAL(pthread_create(&hands[i].thread, &attributes, begin, &hands[i]), 0);
	}
	pthread_attr_destroy(&attributes);
	for (unsigned int i = 0; i < count; i++)
		down(&hands[i].ready);
}

void crew_place(struct hand *hand, unsigned int node)
{
	send_thread(getpid(), hand->tid, node);
}

void crew_spread(struct hand *hands, unsigned int count, unsigned int first)
{
	for (unsigned int i = 0; i < count; i++)
		crew_place(&hands[i], places[(first + i) % PLACES]);
}

void crew_go(struct hand *hands, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		DO(sem_post(&hands[i].go));
}

void crew_join(struct hand *hands, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		EQUAL(pthread_join(hands[i].thread, &hands[i].result), 0);
}

/* Their state does not tell: a deputy sleeps also while its thread is on its way to the call. */
void crew_asleep(struct hand *hands, unsigned int count)
{
	uint64_t end = now_ns() + 60000000000 * slower();

	for (unsigned int i = 0; i < count; i++) {
		char path[60];

		snprintf(path, sizeof(path), "/proc/self/task/%d/wchan", hands[i].tid);
		do {
			CHECK(now_ns() < end);
			sleep_ms(5);
		} while (!strstr(read_text(path), "futex"));
	}
}

void crew_stir(struct hand *hands, unsigned int count, unsigned int moves)
{
	uint64_t state = now_ns();

	while (moves--) {
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		send_thread_if_there(getpid(), hands[(state >> 33) % count].tid,
				     places[(state >> 45) % PLACES]);
	}
}

pid_t child_with(void (*run)(void))
{
	pid_t pid = DO(fork());

	if (pid)
		return pid;
	run();
	_exit(0);
}

void ends_with(pid_t pid, int expected)
{
	int status;

	EQUAL(waitpid(pid, &status, 0), pid);
	EQUAL(status & ~0x80, expected);
}

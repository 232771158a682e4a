// SPDX-License-Identifier: GPL-2.0
/*
 * Kills a process with SIGKILL while it is being moved, at random moments and in
 * each phase of a move: it has to be gone, and known to nobody, within two seconds.
 * Says in which state it was met, and fails if a phase was never met.
 *
 *	killer [-s SEED] [-n NODE] [-t FACTOR] ROUNDS
 */
#include "move.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	GONE_MS		= 2000,
	SEEN_MS		= 2000,		/* wait for the phase that a round aims at */
	WINDOW_US	= 60000,
	STAY_US		= 20000,	/* away before the recall, at most */
	PAGES		= 256,
};

/* What a round waits for before its random delay. */
enum aim { START, AWAY, PREPARING, RETURNING, AIMS };

/* What the mover is doing, for the killer to see. */
static volatile bool *recalling;

/* Rounds by the state in which the kill met the thread; AWAY with a recall under way apart. */
static unsigned int met[RADIUM_THREAD_STATE_COUNT], met_recall;

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

/* Touches memory and makes system calls, so that it is met in all of these. */
static void passenger(int kind)
{
	volatile char *pages = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int ends[2];
	char byte;

	if (pipe(ends))
		_exit(1);
	for (unsigned int i = 0;; i++) {
		pages[i * 7 % PAGES * 4096] = i;
		if (kind == 1)
			getppid();
		if (kind == 2 && read(ends[0], &byte, 1) < 0)
			_exit(1);
		if (kind == 3 && i % 64 == 0)
			usleep(1000);
		if (kind == 4 && i % PAGES == 0)
			madvise((void *)pages, PAGES * 4096, MADV_DONTNEED);
	}
}

/* Moves it back and forth until it is gone. */
static void move_until_gone(int device, pid_t pid, unsigned int node)
{
	while (kill(pid, 0) == 0) {
		move_to(device, pid, node, 0, 10000, NULL);
		usleep(random() % STAY_US);
		*recalling = true;
		move_home(device, pid, 0, 10000, NULL);
		*recalling = false;
	}
	_exit(0);
}

static bool known(int device, pid_t pid)
{
	struct radium_thread_info info;

	return move_info(device, pid, &info);
}

/* State of its thread; HOME where nobody knows it. */
static unsigned int state_of(int device, pid_t pid)
{
	struct radium_thread_info info;

	if (!move_info(device, pid, &info) || info.state >= RADIUM_THREAD_STATE_COUNT)
		return RADIUM_THREAD_HOME;
	return info.state;
}

static bool reached(enum aim aim, unsigned int state)
{
	switch (aim) {
	case AWAY:
		return state == RADIUM_THREAD_AWAY && !*recalling;
	case PREPARING:
		return state == RADIUM_THREAD_PREPARING;
	case RETURNING:
		return state == RADIUM_THREAD_RETURNING ||
		       (state == RADIUM_THREAD_AWAY && *recalling);
	default:
		return true;
	}
}

/* Waits for what the round aims at, and then for the delay. */
static void await(int device, pid_t pid, enum aim aim, unsigned int delay, unsigned int factor)
{
	uint64_t limit = now_us() + SEEN_MS * 1000ull * factor;

	while (!reached(aim, state_of(device, pid)) && now_us() < limit)
		usleep(100);
	usleep(delay);
}

/* The state is read directly before the kill: what moves on in between, moves on. */
static void kill_and_count(int device, pid_t pid)
{
	unsigned int state = state_of(device, pid);
	bool recall = *recalling;

	kill(pid, SIGKILL);
	if (state == RADIUM_THREAD_AWAY && recall)
		met_recall++;
	else
		met[state]++;
}

static int report(unsigned int rounds)
{
	static const char *const names[] = {
#define STATE_NAME(name, text) text,
		RADIUM_THREAD_STATES(STATE_NAME)
#undef STATE_NAME
	};
	int status = 0;

	printf("%u killed:", rounds);
	for (unsigned int i = 0; i < RADIUM_THREAD_STATE_COUNT; i++)
		printf(" %u %s,", met[i], names[i]);
	printf(" %u away with a recall under way\n", met_recall);
	if (!met[RADIUM_THREAD_PREPARING] || !met[RADIUM_THREAD_AWAY] ||
	    !(met[RADIUM_THREAD_RETURNING] + met_recall)) {
		puts("a phase of a move was never met");
		status = 1;
	}
	return status;
}

int main(int argc, char **argv)
{
	unsigned int node = 2, seed = 1, rounds, factor = 1;
	int option, device, status;

	while ((option = getopt(argc, argv, "s:n:t:")) != -1) {
		if (option == 's')
			seed = atoi(optarg);
		else if (option == 'n')
			node = atoi(optarg);
		else if (option == 't')
			factor = atoi(optarg);
	}
	if (optind + 1 != argc)
		return 2;
	rounds = atoi(argv[optind]);
	device = move_open();
	if (device < 0) {
		perror(RADIUM_DEVICE);
		return 2;
	}
	recalling = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (recalling == MAP_FAILED)
		return 2;
	srandom(seed);
	for (unsigned int i = 0; i < rounds; i++) {
		/* Two times of three at the very moment, where the round aims at one. */
		unsigned int delay = i % AIMS != START && i / AIMS % 3 ?
				     0 : random() % (WINDOW_US * factor);
		pid_t pid = fork(), mover;
		enum aim aim = i % AIMS;	/* with five kinds: all pairs in 20 rounds */
		uint64_t limit;

		if (!pid)
			passenger(i % 5);
		*recalling = false;
		mover = fork();
		if (!mover)
			move_until_gone(device, pid, node);
		await(device, pid, aim, delay, factor);
		kill_and_count(device, pid);
		limit = now_us() + GONE_MS * 1000ull * factor;
		while (waitpid(pid, &status, WNOHANG) != pid || known(device, pid)) {
			if (now_us() > limit) {
				printf("round %u, kind %u, aim %u, delay %u us: %s after %d ms\n", i, i % 5,
				       aim, delay, known(device, pid) ? "still known" : "still there",
				       GONE_MS * factor);
				kill(mover, SIGKILL);
				return 1;
			}
			usleep(2000);
		}
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
			printf("round %u: ended with %x\n", i, status);
			return 1;
		}
		while (waitpid(mover, NULL, WNOHANG) != mover) {
			if (now_us() > limit) {
				printf("round %u: a move of a dead process does not end\n", i);
				return 1;
			}
			usleep(2000);
		}
	}
	return report(rounds);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Kills a process with SIGKILL at random moments while it is being moved: it has
 * to be gone, and known to nobody, within two seconds.
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

enum { GONE_MS = 2000, WINDOW_US = 60000, PAGES = 256 };

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
		move_home(device, pid, 0, 10000, NULL);
	}
	_exit(0);
}

static bool known(int device, pid_t pid)
{
	struct radium_thread_info info;

	return move_info(device, pid, &info);
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
	srandom(seed);
	for (unsigned int i = 0; i < rounds; i++) {
		unsigned int delay = random() % (WINDOW_US * factor);
		pid_t pid = fork(), mover;
		uint64_t killed, limit;

		if (!pid)
			passenger(i % 5);
		mover = fork();
		if (!mover)
			move_until_gone(device, pid, node);
		usleep(delay);
		kill(pid, SIGKILL);
		killed = now_us();
		limit = killed + GONE_MS * 1000ull * factor;
		while (waitpid(pid, &status, WNOHANG) != pid || known(device, pid)) {
			if (now_us() > limit) {
				printf("round %u, kind %u, killed after %u us: %s after %d ms\n", i, i % 5,
				       delay, known(device, pid) ? "still known" : "still there",
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
	printf("%u killed\n", rounds);
	return 0;
}

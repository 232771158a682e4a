// SPDX-License-Identifier: GPL-2.0
/*
 * Moves one small process there and back very often, and counts.
 *
 *	ferry [-n NODE] MOVES
 *
 * The process computes all the time and writes its count to a pipe when told to
 * end: what it says has to be what it did.
 */
#include "move.h"
#include "ns.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOVE_MS = 10000, WORDS = 1024 };

static volatile sig_atomic_t stop;

static void on_term(int signal)
{
	(void)signal;
	stop = 1;
}

/* Adds to every word of a table in turn; ends with whether all agree. */
static int passenger(void)
{
	static volatile uint64_t table[WORDS];
	uint64_t rounds = 0;

	signal(SIGTERM, on_term);
	while (!stop) {
		rounds++;
		for (int i = 0; i < WORDS; i++)
			table[i] += rounds + i;
	}
	for (uint64_t i = 0; i < WORDS; i++)
		if (table[i] != rounds * (rounds + 1) / 2 + rounds * i)
			return 1;
	return 33;
}

int main(int argc, char **argv)
{
	unsigned int node = 2, moves, i;
	struct radium_move move;
	int option, status, device, error = 0;
	uint64_t start;
	pid_t pid;

	while ((option = getopt(argc, argv, "n:")) != -1)
		node = atoi(optarg);
	if (optind + 1 != argc)
		return 2;
	moves = atoi(argv[optind]);
	device = move_open();
	if (device < 0) {
		perror(RADIUM_DEVICE);
		return 2;
	}
	pid = fork();
	if (!pid)
		_exit(passenger());
	start = now_ns();
	for (i = 0; i < moves; i++) {
		error = move_to(device, pid, node, 0, MOVE_MS, &move);
		if (error)
			break;
		error = move_home(device, pid, 0, MOVE_MS, &move);
		if (error)
			break;
	}
	if (error)
		fprintf(stderr, "move %u: %s (%s)\n", i, strerror(-error), move_reason(move.reason));
	printf("%u moves, %.0f us each\n", i, (now_ns() - start) / 1e3 / (i ? i : 1));
	kill(pid, error ? SIGKILL : SIGTERM);
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 33) {
		fprintf(stderr, "the process ended with status %x\n", status);
		return 1;
	}
	return error ? 1 : 0;
}

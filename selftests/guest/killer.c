// SPDX-License-Identifier: GPL-2.0
/*
 * Kills a process with SIGKILL while it is being moved, at random moments and in
 * each phase of a move: within two seconds (one of ten on a busy host: within eight) it has
 * to be gone, and known to nobody, and the node has no replica any more; the next process
 * moves as if nothing had been. Says in which state it was met, and fails if a phase cannot
 * be met.
 *
 *	killer [-s SEED] [-n NODE] [-t FACTOR] HOST ROUNDS
 *
 * HOST is the node's name in the network, where a lookout answers.
 */
#include "lookout.h"
#include "move.h"
#include "passenger.h"

#include <err.h>
#include <netdb.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	GONE_MS		= 2000,
	STILL_MS	= 8000,		/* on a host that is busy just then: for one of ten */
	RARELY		= 10,
	SEEN_MS		= 20000,	/* wait for the phase that a round aims at */
	ANSWER_S	= 20,		/* wait for the lookout */
	LOOK_US		= 10000,	/* between two questions to it */
	TRIES		= 10,
	WINDOW_US	= 60000,
	STAY_US		= 20000,	/* away before the recall, at most */
};

/* What a round waits for before its random delay. */
enum aim { START, AWAY, PREPARING, RETURNING, AIMS };

enum outcome { MET, MISSED, FAILED };

static int device, lookout;
static unsigned int node = 2, factor = 1;

/* Kills by the phase in which they met the thread. */
static unsigned int met[PHASES];
static uint64_t longest_us;		/* wait for a phase */
static uint64_t slowest_us;		/* until one was gone everywhere */
static unsigned int late;		/* in more than GONE_MS */

/* Moves it back and forth until it is gone. */
static void move_until_gone(pid_t pid)
{
	while (kill(pid, 0) == 0) {
		move_to(device, pid, node, 0, 10000, NULL);
		usleep(random() % STAY_US);
		move_home(device, pid, 0, 10000, NULL);
	}
	_exit(0);
}

static bool is_aimed_at(enum aim aim, unsigned int phase)
{
	switch (aim) {
	case AWAY:
		return phase == RADIUM_THREAD_AWAY;
	case PREPARING:
		return phase == RADIUM_THREAD_PREPARING;
	case RETURNING:
		return phase == RADIUM_THREAD_RETURNING || phase == PHASE_RECALLED;
	default:
		return true;
	}
}

/* Waits for what the round aims at, and gives the phase seen last. */
static bool await(pid_t pid, enum aim aim, unsigned int *phase)
{
	uint64_t start = now_us(), waited = 0;

	while (!is_aimed_at(aim, *phase = passenger_phase(device, pid))) {
		if (waited > SEEN_MS * 1000ull * factor)
			return false;
		usleep(100);
		waited = now_us() - start;
	}
	if (waited > longest_us)
		longest_us = waited;
	return true;
}

static void call_lookout(const char *host)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found;
	struct timeval patience = { .tv_sec = ANSWER_S * factor };
	char port[16];

	snprintf(port, sizeof(port), "%d", LOOKOUT_PORT);
	if (getaddrinfo(host, port, &hints, &found))
		errx(2, "no address of %s", host);
	lookout = socket(found->ai_family, found->ai_socktype, 0);
	if (lookout < 0 ||
	    setsockopt(lookout, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    setsockopt(lookout, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) ||
	    connect(lookout, found->ai_addr, found->ai_addrlen))
		err(2, "lookout on %s", host);
	freeaddrinfo(found);
}

static lookout_answer ask_lookout(void)
{
	lookout_answer answer;

	if (send(lookout, "?", 1, MSG_NOSIGNAL) != 1 ||
	    recv(lookout, &answer, sizeof(answer), MSG_WAITALL) != sizeof(answer))
		err(2, "the lookout does not answer");
	return answer;
}

/*
 * Is the node rid of it in time? What an answer says was so after the question: if that was
 * asked too late, and there is a replica, it has lived too long; however long the network,
 * or the lookout, took.
 */
static bool gone_there(unsigned int i, uint64_t limit)
{
	lookout_answer replicas;
	uint64_t asked;

	for (;;) {
		asked = now_us();
		replicas = ask_lookout();
		if (!replicas)
			return true;
		if (asked > limit) {
			printf("round %u, kind %u, aim %u: %u replicas on node %u after %d ms\n", i,
			       i % PASSENGER_KINDS, i % AIMS, replicas, node, STILL_MS * factor);
			return false;
		}
		usleep(LOOK_US);
	}
}

/* Are the killed process and its mover gone in time, here and there? */
static bool gone(unsigned int i, pid_t pid, pid_t mover)
{
	uint64_t killed = now_us(), limit = killed + STILL_MS * 1000ull * factor;
	uint64_t took;
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (now_us() > limit) {
			printf("round %u, kind %u, aim %u: still there after %d ms\n", i,
			       i % PASSENGER_KINDS, i % AIMS, STILL_MS * factor);
			kill(mover, SIGKILL);
			return false;
		}
		usleep(2000);
	}
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
		printf("round %u: ended with %x\n", i, status);
		return false;
	}
	while (waitpid(mover, NULL, WNOHANG) != mover) {
		if (now_us() > limit) {
			printf("round %u: a move of a dead process does not end\n", i);
			return false;
		}
		usleep(2000);
	}
	while (move_processes(device)) {
		if (now_us() > limit) {
			printf("round %u: still known after %d ms\n", i, STILL_MS * factor);
			return false;
		}
		usleep(2000);
	}
	if (!gone_there(i, limit))
		return false;
	took = now_us() - killed;
	if (took > slowest_us)
		slowest_us = took;
	if (took > GONE_MS * 1000ull * factor)
		late++;
	return true;
}

/* Kills one process. */
static enum outcome make_round(unsigned int i)
{
	enum aim aim = i % AIMS;	/* with five kinds: all pairs in 20 rounds */
	/* Two times of three at the very moment, where the round aims at one. */
	bool exact = aim != START && i / AIMS % 3;
	unsigned int delay = exact ? 0 : random() % (WINDOW_US * factor);
	pid_t pid = fork(), mover;
	unsigned int phase;
	bool seen;

	if (!pid)
		passenger(i % PASSENGER_KINDS);
	mover = fork();
	if (!mover)
		move_until_gone(pid);
	seen = await(pid, aim, &phase);
	if (!exact) {
		usleep(delay);
		phase = passenger_phase(device, pid);
	}
	/* The phase was read directly before: what moves on in between, moves on. */
	kill(pid, SIGKILL);
	met[phase]++;
	if (!gone(i, pid, mover))
		return FAILED;
	if (!seen) {
		/* What has been killed before must not hold it up. */
		printf("round %u, kind %u: aim %u not seen in %u ms\n", i, i % PASSENGER_KINDS, aim,
		       SEEN_MS * factor);
		return FAILED;
	}
	return exact && !is_aimed_at(aim, phase) ? MISSED : MET;
}

/* Makes a round until it meets its phase. */
static bool make_and_meet(unsigned int i)
{
	for (int tries = 0; tries < TRIES; tries++) {
		enum outcome outcome = make_round(i);

		if (outcome != MISSED)
			return outcome == MET;
	}
	printf("round %u, kind %u, aim %u: not met in %d tries\n", i, i % PASSENGER_KINDS, i % AIMS,
	       TRIES);
	return false;
}

static int report(void)
{
	unsigned int kills = 0;

	for (unsigned int i = 0; i < PHASES; i++)
		kills += met[i];
	printf("%u killed:", kills);
	passenger_print_phases(met);
	printf(" longest wait for a phase %u ms, gone everywhere after %u ms at most\n",
	       (unsigned int)(longest_us / 1000), (unsigned int)(slowest_us / 1000));
	if (!met[RADIUM_THREAD_PREPARING] || !met[RADIUM_THREAD_AWAY] ||
	    !(met[RADIUM_THREAD_RETURNING] + met[PHASE_RECALLED])) {
		puts("a phase of a move was never met");
		return 1;
	}
	if (late > kills / RARELY) {
		printf("%u were gone after more than %d ms\n", late, GONE_MS * factor);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned int seed = 1, rounds;
	bool fine = true;
	int option;

	while ((option = getopt(argc, argv, "s:n:t:")) != -1) {
		if (option == 's')
			seed = atoi(optarg);
		else if (option == 'n')
			node = atoi(optarg);
		else if (option == 't')
			factor = atoi(optarg);
	}
	if (optind + 2 != argc)
		return 2;
	rounds = atoi(argv[optind + 1]);
	device = move_open();
	if (device < 0) {
		perror(RADIUM_DEVICE);
		return 2;
	}
	call_lookout(argv[optind]);
	srandom(seed);
	for (unsigned int i = 0; i < rounds && fine; i++)
		fine = make_and_meet(i);
	return report() || !fine;
}

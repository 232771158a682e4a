// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that are moved to a node and back without a pause, until the node is lost: it dies in
 * the midst of moves. Each process has to be one of two things then: ended, by SIGKILL, or at home
 * and alive, where it ends as SIGTERM asks it to. Says which, and in which phase each was met.
 *
 *	tossed [-t SECONDS] NODE PROCESSES
 *
 * Fails if a process is still neither after so many seconds. SIGUSR1 kills them all with SIGKILL,
 * and the time until all have ended, and are known to nobody, is what it says.
 */
#include "move.h"
#include "passenger.h"

#include <err.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	LOOK_US	= 500,
	MOVE_MS	= 10000,	/* one move, at most: what is longer is a failure of it */
	MOST	= 64,
};

struct passage {
	pid_t pid, mover;		/* 0: has ended */
	unsigned int phase;		/* seen last while it lived and was being moved */
	bool asked;			/* has been sent SIGTERM */
};

static struct passage passages[MOST];
static unsigned int count, seconds = 60;
static unsigned int lost[PHASES], live[PHASES];
static int device;
static volatile sig_atomic_t wanted_dead;

static void want_dead(int signal)
{
	(void)signal;
	wanted_dead = 1;
}

/* Until a move fails, as the first one does of which the node is lost. */
static void move_on_and_on(pid_t pid, unsigned int node)
{
	while (!move_to(device, pid, node, 0, MOVE_MS, NULL) &&
	       !move_home(device, pid, 0, MOVE_MS, NULL))
		;
	_exit(0);
}

static void begin(struct passage *p, unsigned int i, unsigned int node)
{
	p->pid = fork();
	if (!p->pid)
		passenger(i % PASSENGER_KINDS);
	p->mover = fork();
	if (!p->mover)
		move_on_and_on(p->pid, node);
	if (p->pid < 0 || p->mover < 0)
		err(2, "fork");
}

/* A child has ended. Returns false if not as it may. */
static bool ended(pid_t pid, int status)
{
	for (struct passage *p = passages; p < passages + count; p++) {
		if (p->mover == pid)
			p->mover = 0;
		if (p->pid != pid)
			continue;
		p->pid = 0;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
			lost[p->phase]++;
		} else if (p->asked && WIFEXITED(status) && WEXITSTATUS(status) == PASSENGER_LIVES) {
			live[p->phase]++;
		} else {
			printf("one that was met in phase %u ended with %x\n", p->phase, status);
			return false;
		}
	}
	return true;
}

/* Who has ended is known to nobody, as is who is at home. */
static bool lives(pid_t pid)
{
	siginfo_t info = { 0 };

	return !waitid(P_PID, pid, &info, WEXITED | WNOWAIT | WNOHANG) && !info.si_pid;
}

/* Are there any left? Those that are not moved any more and are at home are asked to end. */
static bool look(void)
{
	bool any = false;

	for (struct passage *p = passages; p < passages + count; p++) {
		unsigned int phase = p->pid ? passenger_phase(device, p->pid) : 0;

		any |= p->pid || p->mover;
		if (p->mover && p->pid && !wanted_dead && lives(p->pid))
			p->phase = phase;
		else if (!p->mover && p->pid && !p->asked && phase == RADIUM_THREAD_HOME)
			p->asked = !kill(p->pid, SIGTERM);
	}
	return any;
}

static bool until_all_have_ended(uint64_t *killed)
{
	uint64_t limit = 0;
	int status;
	pid_t pid;

	while (look()) {
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
			if (!ended(pid, status))
				return false;
			if (!limit)
				limit = now_us() + seconds * 1000000ull;
		}
		if (wanted_dead && !*killed) {
			*killed = now_us();
			limit = *killed + seconds * 1000000ull;
			for (struct passage *p = passages; p < passages + count; p++)
				if (p->pid)
					kill(p->pid, SIGKILL);
		}
		if (limit && now_us() > limit)
			return false;
		usleep(LOOK_US);
	}
	while (move_processes(device))
		if (now_us() > limit)
			return false;
	return true;
}

int main(int argc, char **argv)
{
	unsigned int left = 0;
	uint64_t killed = 0;
	bool fine;
	int option;

	while ((option = getopt(argc, argv, "t:")) != -1)
		if (option == 't')
			seconds = atoi(optarg);
	if (optind + 2 != argc)
		return 2;
	count = atoi(argv[optind + 1]);
	if (!count || count > MOST)
		return 2;
	device = move_open();
	if (device < 0)
		err(2, RADIUM_DEVICE);
	signal(SIGUSR1, want_dead);
	for (unsigned int i = 0; i < count; i++)
		begin(&passages[i], i, atoi(argv[optind]));
	fine = until_all_have_ended(&killed);
	printf("ended:");
	passenger_print_phases(lost);
	printf(" at home and alive:");
	passenger_print_phases(live);
	printf(" over");
	if (killed)
		printf(" %u ms after SIGKILL", (unsigned int)((now_us() - killed) / 1000));
	putchar('\n');
	for (struct passage *p = passages; p < passages + count; p++) {
		if (!p->pid && !p->mover)
			continue;
		left++;
		printf("not %s after %u s: %d, phase %u, its mover %d\n",
		       p->pid ? "ended" : "moved", seconds, p->pid, p->phase, p->mover);
		if (p->pid)
			kill(p->pid, SIGKILL);
	}
	return left || !fine;
}

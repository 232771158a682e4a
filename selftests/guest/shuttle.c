// SPDX-License-Identifier: GPL-2.0
/*
 * Moves processes that run already, servers for instance, with all their threads away and home
 * again at random moments, until it gets SIGTERM or they have ended. What happened goes to
 * standard output, as JSON.
 *
 *	shuttle [-s SEED] [-i MEAN_MS] [-n NODE] [-c NAME,NAME...] [-l] PID...
 *
 * A process is one of these or descends from one, mostly one of the names. It is told where to
 * go, and nobody waits until it has: a server may be in a call that must not be interrupted,
 * epoll_wait(2) above all. What the module tells says what has become of it. -l leaves the last
 * one away.
 */
#include "events.h"
#include "family.h"
#include "move.h"
#include "ns.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEP_US = 2000, KNOWN = 256 };

static unsigned int node = 2, mean_ms = 300;
static bool leave_away;
static volatile sig_atomic_t told;
static int device;
static pid_t roots[FAMILY_MOST];
static unsigned int root_count;
static char error[200];

/* Calls of a process that home executed for it; a record that is gone begins at 0 again. */
static struct {
	pid_t pid;
	uint64_t last, before;
} calls[KNOWN];

static void stop(int signal)
{
	(void)signal;
	told = 1;
}

static void note_calls(pid_t pid)
{
	struct radium_process_info info;
	unsigned int i = 0;

	while (i < KNOWN - 1 && calls[i].pid && calls[i].pid != pid)
		i++;
	calls[i].pid = pid;
	if (!process_info(device, pid, &info))
		return;
	if (info.syscalls < calls[i].last)
		calls[i].before += calls[i].last;
	calls[i].last = info.syscalls;
}

static bool all_gone(void)
{
	for (unsigned int i = 0; i < root_count; i++) {
		struct candidate root = { .pid = roots[i] };

		if (family_look(&root))
			return false;
	}
	return true;
}

/* Lets them work; false if that was long enough. */
static bool wait_a_while(void)
{
	uint64_t end = now_ns() + family_pause_us(mean_ms) * 1000ull;

	do {
		usleep(STEP_US);
		events_take();
	} while (!told && now_ns() < end);
	return !told && !all_gone();
}

/* No error: it is gone, no thread of it is away, we were told to stop meanwhile. */
static bool explained(int err, unsigned int reason)
{
	return !err || err == -ESRCH || (err == -EINTR && told) || reason == RADIUM_R_NOT_AWAY ||
		reason == RADIUM_R_EXITING || reason == RADIUM_R_SHARED_MM;
}

static bool ask(const struct candidate *who, unsigned int to)
{
	const pid_t pid = who->pid;
	const unsigned int flags = RADIUM_MOVE_NO_WAIT | (to ? RADIUM_MOVE_ALL_THREADS : 0);
	struct radium_move move;
	int err;

	events_of(pid, who->comm);
	note_calls(pid);
	err = to ? move_to(device, pid, to, flags, 0, &move) :
		   move_home(device, pid, flags, 0, &move);
	if (explained(err, move.reason))
		return true;
	snprintf(error, sizeof(error), "%s of %d: %s (%s)", to ? "migrate" : "recall", pid,
		 strerror(-err), move_reason(move.reason));
	return false;
}

static void go_about(void)
{
	struct candidate who;

	do {
		who = family_choose(roots, root_count);
		if (!ask(&who, node))
			return;
		if (!wait_a_while())
			break;
		if (!ask(&who, 0))
			return;
	} while (wait_a_while());
	if (ask(&who, leave_away ? node : 0))
		events_take();
}

static void report(void)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < KNOWN; i++)
		sum += calls[i].before + calls[i].last;
	printf("{\"error\": \"%s\", \"calls\": %llu, ", error, (unsigned long long)sum);
	events_print();
	printf("}\n");
}

int main(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "s:i:n:c:l")) != -1) {
		switch (option) {
		case 's': family_seed(strtoull(optarg, NULL, 10)); break;
		case 'i': mean_ms = atoi(optarg); break;
		case 'n': node = atoi(optarg); break;
		case 'c': family_name(optarg); break;
		case 'l': leave_away = true; break;
		default: return 2;
		}
	}
	for (; optind < argc && root_count < FAMILY_MOST; optind++)
		roots[root_count++] = atoi(argv[optind]);
	if (!root_count)
		return 2;
	device = move_open();
	if (device < 0 || !events_open()) {
		perror(RADIUM_DEVICE);
		return 2;
	}
	signal(SIGTERM, stop);
	go_about();
	report();
	return 0;
}

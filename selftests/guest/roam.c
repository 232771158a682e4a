// SPDX-License-Identifier: GPL-2.0
#include "move.h"
#include "roam.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* A move takes its time: as many times the mean may pass between two, on average. */
enum { PAGE = 4096, SELDOM = 20 };

/* What the process tells its parent when it begins. */
struct begin {
	pid_t tid[ROAM_THREADS];
	unsigned int count;
	const char *memory;
	size_t bytes;
};

/* The process' ends of two pipes. */
static int tells = -1, told = -1;

/* The parent's side. */
struct walk {
	const struct roam *roam;
	struct begin begin;
	pid_t pid;
	int device, hears, answers;
	unsigned int at[ROAM_THREADS];		/* index of its node */
	unsigned int arrivals[ROAM_NODES];	/* at each node, by its index */
	unsigned int moves, reads, refused[RADIUM_R_COUNT];	/* moves: since all were placed */
	uint64_t state, begun, alive;
};

uint64_t roam_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull >> 20;
}

/* Nodes from text like 1,2,3; false if it is not like that. */
static bool take_nodes(struct roam *roam, const char *text)
{
	char *end;

	for (roam->nodes = 0; roam->nodes < ROAM_NODES; text = end + 1) {
		unsigned long node = strtoul(text, &end, 10);

		if (end == text || !node || node > RADIUM_NODE_MAX)
			return false;
		roam->node[roam->nodes++] = node;
		if (!*end)
			return true;
		if (*end != ',')
			return false;
	}
	return false;
}

bool roam_option(struct roam *roam, int letter, const char *text)
{
	switch (letter) {
	case 'n': return take_nodes(roam, text);
	case 'm': roam->mean_ms = atoi(text); return true;
	case 's': roam->seed = atoi(text); return true;
	case 't':
		roam->slow = atoi(text);
		roam->limit_s *= roam->slow;
		return roam->slow;
	default: return false;
	}
}

void roam_begin(const pid_t *tids, unsigned int count, const void *memory, size_t bytes)
{
	struct begin begin = { .count = count, .memory = memory, .bytes = bytes };
	char go;

	memcpy(begin.tid, tids, count * sizeof(*tids));
	if (write(tells, &begin, sizeof(begin)) != sizeof(begin) || read(told, &go, 1) != 1)
		_exit(3);
}

void roam_alive(void)
{
	if (write(tells, "", 1) != 1)
		_exit(3);
}

/* Why the process' threads came home. */
static void report_returns(int device)
{
	struct radium_thread_info info[ROAM_THREADS + 1];
	struct radium_list list = {
		.size = sizeof(list), .entry_size = sizeof(*info), .pid = getpid(),
		.count = ROAM_THREADS + 1, .entries = (uintptr_t)info,
	};
	uint64_t count[RADIUM_R_COUNT] = { 0 };

	if (ioctl(device, RADIUM_IOC_THREAD_LIST, &list))
		list.count = 0;
	for (unsigned int i = 0; i < list.count; i++)
		for (unsigned int reason = 0; reason < RADIUM_R_COUNT; reason++)
			count[reason] += info[i].returns_by_reason[reason];
	for (unsigned int reason = 0; reason < RADIUM_R_COUNT; reason++)
		if (count[reason])
			printf(" %llu %s", (unsigned long long)count[reason], move_reason(reason));
	putchar('\n');
}

void roam_report(void)
{
	struct radium_process_info info;
	int device = move_open();

	if (device < 0)
		return;
	if (process_info(device, getpid(), &info)) {
		printf("%llu moves, %llu page requests, %llu recalls, %llu pages sent, %llu "
		       "received, %llu from node to node, %llu system calls; returns:",
		       (unsigned long long)info.migrations, (unsigned long long)info.faults,
		       (unsigned long long)info.recalls, (unsigned long long)info.pages_sent,
		       (unsigned long long)info.pages_received,
		       (unsigned long long)info.pages_forwarded, (unsigned long long)info.syscalls);
		report_returns(device);
	}
	close(device);
}

/* What is known of every thread, for whoever has to find out why they stand still. */
static void show_threads(const struct walk *walk)
{
	struct radium_thread_info info[ROAM_THREADS + 1];
	struct radium_list list = {
		.size = sizeof(list), .entry_size = sizeof(*info), .pid = walk->pid,
		.count = ROAM_THREADS + 1, .entries = (uintptr_t)info,
	};

	if (ioctl(walk->device, RADIUM_IOC_THREAD_LIST, &list))
		return;
	for (unsigned int i = 0; i < list.count; i++)
		printf("thread %d: state %u, node %u, wanted %u, reason %s %#llx\n", info[i].tid,
		       info[i].state, info[i].node, info[i].wanted, move_reason(info[i].reason),
		       (unsigned long long)info[i].reason_detail);
}

/* Moves one thread, also home: a recall is for all of them. False for what is no matter of
 * bad luck. */
static bool move(struct walk *walk, unsigned int thread, unsigned int index)
{
	unsigned int node = walk->roam->node[index], before = walk->at[thread];
	struct radium_move move = {
		.size = sizeof(move), .pid = walk->pid, .tid = walk->begin.tid[thread],
		.node = node, .timeout_ms = walk->roam->limit_s * 1000 / 3,
	};

	walk->at[thread] = index;
	if (ioctl(walk->device, RADIUM_IOC_MIGRATE, &move) == 0) {
		/* Where it is already, it is told to be as well. */
		walk->moves += index != before;
		walk->arrivals[index]++;
		return true;
	}
	switch (move.reason) {
	case RADIUM_R_ALREADY_THERE:
		walk->arrivals[index]++;
		return true;
	/* It ends, or is in a system call; or its process is asked about another thread. */
	case RADIUM_R_NO_PROCESS:
	case RADIUM_R_NO_THREAD:
	case RADIUM_R_EXITING:
	case RADIUM_R_PENDING:
	case RADIUM_R_BUSY:
		walk->refused[move.reason]++;
		return true;
	default:
		printf("move of thread %d to node %u: errno %d, %s\n", move.tid, node, errno,
		       move_reason(move.reason));
		return false;
	}
}

/* Would all of them be on one node? There they race only with themselves, and fast. */
static bool together(const struct walk *walk, unsigned int thread, unsigned int index)
{
	for (unsigned int i = 0; i < walk->begin.count; i++)
		if (i != thread && walk->at[i] != index)
			return false;
	return walk->begin.count > 1 && walk->roam->nodes > 1;
}

/* One where nobody has been yet; mostly a node with the fewest of them. */
static unsigned int choose(struct walk *walk, unsigned int thread)
{
	unsigned int on[ROAM_NODES] = { 0 }, nodes = walk->roam->nodes, best;

	for (unsigned int i = 0; i < nodes; i++)
		if (!walk->arrivals[i])
			return i;
	for (unsigned int i = 0; i < walk->begin.count; i++)
		on[walk->at[i]]++;
	do
		best = roam_random(&walk->state) % nodes;
	while (together(walk, thread, best));
	if (roam_random(&walk->state) % 4 == 0)
		return best;
	for (unsigned int i = 0; i < nodes; i++)
		if (on[i] < on[best] && i != walk->at[thread])
			best = i;
	return best;
}

/* Reads a page of its memory, which brings it home, or shares it. */
static void touch(struct walk *walk)
{
	uint64_t word;
	size_t page = roam_random(&walk->state) % (walk->begin.bytes / PAGE);
	struct iovec to = { &word, sizeof(word) };
	struct iovec from = { (void *)(walk->begin.memory + page * PAGE), sizeof(word) };

	if (process_vm_readv(walk->pid, &to, 1, &from, 1, 0) == sizeof(word))
		walk->reads++;
}

/* Waits until the process has said something, or for so long; false at its end. */
static bool hear(struct walk *walk, unsigned int ms)
{
	struct pollfd poll_fd = { .fd = walk->hears, .events = POLLIN };
	char signs[64];

	if (poll(&poll_fd, 1, ms) == 0)
		return true;
	walk->alive = now_ns();
	return read(walk->hears, signs, sizeof(signs)) > 0;
}

/* Goes on until the process ends; false if something went wrong. */
static bool walk_about(struct walk *walk)
{
	const struct roam *roam = walk->roam;
	uint64_t next = 0;

	if (read(walk->hears, &walk->begin, sizeof(walk->begin)) != sizeof(walk->begin))
		return false;
	for (unsigned int i = 0; roam->nodes && i < walk->begin.count; i++)
		if (!move(walk, i, (i + walk->state) % roam->nodes))
			return false;
	if (write(walk->answers, "", 1) != 1)
		return false;
	walk->moves = 0;
	walk->begun = walk->alive = now_ns();
	for (;;) {
		uint64_t now = now_ns(), ms = 100;

		if (roam->mean_ms && roam->nodes) {
			if (now >= next) {
				unsigned int thread = roam_random(&walk->state) % walk->begin.count;

				touch(walk);
				if (!move(walk, thread, choose(walk, thread)))
					return false;
				next = now_ns() + roam_random(&walk->state) %
					(2000000ull * roam->mean_ms + 1);
			}
			ms = next > now ? (next - now) / 1000000 + 1 : 0;
		}
		if (!hear(walk, ms))
			return true;
		if (now_ns() - walk->alive > roam->limit_s * 1000000000ull) {
			printf("no sign of life for %u s\n", roam->limit_s);
			show_threads(walk);
			return false;
		}
	}
}

/* Says how often threads were moved, and whether that was often enough. */
static bool report_moves(const struct walk *walk)
{
	const struct roam *roam = walk->roam;
	uint64_t ms = (walk->alive - walk->begun) / 1000000;
	unsigned int least = 1 + ms / (SELDOM * roam->mean_ms * roam->slow);
	bool everywhere = true;

	printf("%u moves asked for and done in %.1f s, %u reads from outside, arrivals:",
	       walk->moves, ms / 1e3, walk->reads);
	for (unsigned int i = 0; i < roam->nodes; i++) {
		printf("%s %u at node %u", i ? "," : "", walk->arrivals[i], roam->node[i]);
		everywhere &= walk->arrivals[i] > 0;
	}
	for (unsigned int i = 0; i < RADIUM_R_COUNT; i++)
		if (walk->refused[i])
			printf(", %u refused: %s", walk->refused[i], move_reason(i));
	putchar('\n');
	if (walk->moves < least)
		printf("that is too seldom: at least %u moves are to be done in that time\n", least);
	if (!everywhere)
		puts("nobody was on one of the nodes");
	return walk->moves >= least && everywhere;
}

static void run_child(int (*program)(void *), void *argument)
{
	int status;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	status = program(argument);
	fflush(stdout);
	_exit(status);
}

int roam_run(const struct roam *roam, int (*program)(void *), void *argument)
{
	struct walk walk = { .roam = roam, .device = -1, .state = roam->seed * 2 + 1 };
	int up[2], down[2], status;
	bool fine;

	if (roam->nodes) {
		walk.device = move_open();
		if (walk.device < 0) {
			perror(RADIUM_DEVICE);
			return 2;
		}
	}
	fflush(stdout);
	if (pipe(up) || pipe(down))
		return 2;
	walk.pid = fork();
	if (!walk.pid) {
		close(up[0]);
		close(down[1]);
		tells = up[1];
		told = down[0];
		run_child(program, argument);
	}
	close(up[1]);
	close(down[0]);
	walk.hears = up[0];
	walk.answers = down[1];
	fine = walk_about(&walk);
	if (!fine)
		kill(walk.pid, SIGKILL);
	waitpid(walk.pid, &status, 0);
	close(up[0]);
	close(down[1]);
	close(walk.device);
	if (roam->nodes && roam->mean_ms)
		fine &= report_moves(&walk);
	if (!WIFEXITED(status))
		printf("the process ended with signal %d\n", WTERMSIG(status));
	fflush(stdout);
	return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : !(fine && !status);
}

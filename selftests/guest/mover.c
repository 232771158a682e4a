// SPDX-License-Identifier: GPL-2.0
/*
 * Runs an unmodified program and moves it, or one of its descendants, away and
 * home again at random moments. The program's output goes to files; what happened
 * goes to standard output, as JSON. It is C, and not radctl in a loop, because
 * under emulation starting a process takes longer than many a program's phases.
 *
 *	mover [-m MOVES] [-s SEED] [-i MEAN_MS] [-n NODE] [-o STEM] [-t SECONDS]
 *	      [-c NAME,NAME...] [-e NAME,NAME...] [-C] [-l] [-w] [-T NODE,NODE... [-A]] CMD ARG...
 *
 * What a program has left running, a server that has detached itself, belongs to it, and is
 * ended when it ends.
 *
 * Only moves and returns of processes of these names count (all without -c): it
 * goes on until there are as many of each as wanted, mostly with such processes,
 * and of them with those that compute; with -C only with such processes. -l then leaves one
 * away.
 *
 * At least one process of each of the names of -e is to go, however short its life: the first is
 * moved as soon as it is seen, and none but these when there are enough moves of others.
 *
 * With -T single threads go to any of the nodes, home among them, and stay there until
 * they are chosen again: a process is spread over all of them. It is left alone when enough
 * have gone, one has come back, and threads of it have been on all of these nodes at once; with
 * -A threads of all processes of those names together, which may have one each.
 *
 * With -w it moves nothing, and tells how often whatever processes there are went out and came
 * home: CMD is one that goes by itself, "radctl run".
 */
#include "events.h"
#include "family.h"
#include "move.h"
#include "ns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	MOVE_MS	= 60000,	/* for one move, and for the end of what is killed */
	COMMS	= 32,		/* different names */
	MUSTS	= 8,		/* names of -e */
	LOOK_MS	= 10,		/* how often one of these is looked for */
	TASKS	= 256,		/* of one process */
};

static unsigned int moves_wanted, node = 2, mean_ms = 50, limit_s = 120;
static const char *stem = "/tmp/moved";
static bool leave_away, named_only, watching, together;
static unsigned int spread[8], spread_count;
static const char *musts[MUSTS];
static unsigned int must_count;
static int device = -1;

static struct {
	unsigned int away, home, home_by_itself, refused[RADIUM_R_COUNT];
	unsigned int named_away, named_returned;
	unsigned int nodes_at_once;		/* on which threads were, home among them */
	uint64_t away_ns_max, home_ns_max;
	char error[200];
} done;

static struct count {
	char comm[RADIUM_NAME_SIZE];
	unsigned int away, returned;
} counts[COMMS];

static uint64_t now_ms(void)
{
	return now_ns() / 1000000;
}

static struct count *count_of(const char *comm)
{
	struct count *count = counts;

	while (count < counts + COMMS - 1 && *count->comm && strcmp(count->comm, comm))
		count++;
	if (!*count->comm)
		snprintf(count->comm, sizeof(count->comm), "%s", comm);
	return count;
}

/* What the moment explains is counted; anything else ends the test. */
static bool refused(int error, const struct radium_move *move, pid_t pid, const char *what)
{
	unsigned int reason = move->reason < RADIUM_R_COUNT ? move->reason : 0;

	done.refused[reason]++;
	switch (reason) {
	case RADIUM_R_NO_PROCESS:
	case RADIUM_R_NO_THREAD:
	case RADIUM_R_EXITING:
	case RADIUM_R_ALREADY_THERE:
	case RADIUM_R_PENDING:
	case RADIUM_R_SHARED_MM:
		return true;
	}
	if (error == -ESRCH)
		return true;
	snprintf(done.error, sizeof(done.error), "%s of %d: %s (%s)", what, pid,
		 strerror(-error), move_reason(reason));
	return false;
}

static bool go_away(const struct candidate *who)
{
	struct radium_move move;
	int error;

	events_of(who->pid, who->comm);
	error = move_to(device, who->pid, node, 0, MOVE_MS, &move);
	/* A move that was pending has happened since: this is the stay that it began. */
	if (error && move.reason == RADIUM_R_ALREADY_THERE)
		error = move.ns = 0;
	if (error)
		return refused(error, &move, who->pid, "migrate");
	done.away++;
	done.named_away += family_is_named(who->comm);
	count_of(who->comm)->away++;
	if (move.ns > done.away_ns_max)
		done.away_ns_max = move.ns;
	return true;
}

static bool come_home(const struct candidate *who)
{
	struct candidate now = *who;
	struct radium_move move;
	int error = move_home(device, who->pid, 0, MOVE_MS, &move);

	if (error && move.reason != RADIUM_R_NOT_AWAY)
		return refused(error, &move, who->pid, "recall");
	if (error && !family_look(&now))
		return true;	/* it ended there */
	done.named_returned += family_is_named(who->comm);
	count_of(who->comm)->returned++;
	if (error) {
		done.home_by_itself++;
		return true;
	}
	done.home++;
	if (move.ns > done.home_ns_max)
		done.home_ns_max = move.ns;
	return true;
}

/* What the program has left to its subreaper, us, is chosen from like the program. */
static unsigned int roots(pid_t root, pid_t *list)
{
	int count = family_children(getpid(), list, FAMILY_MOST);

	if (!count)
		list[count++] = root;
	return count;
}

/* The threads of a process; none if it is gone. */
static int tasks_of(pid_t pid, pid_t list[TASKS])
{
	char path[40];
	int count = 0;
	struct dirent *entry;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	while (tasks && count < TASKS && (entry = readdir(tasks)))
		if (*entry->d_name != '.')
			list[count++] = atoi(entry->d_name);
	if (tasks)
		closedir(tasks);
	return count;
}

/* The nodes on which the threads of a process are, bit 0: home; and where one of them is. */
static uint64_t nodes_of(pid_t pid, pid_t tid, unsigned int *node_of_tid)
{
	struct radium_thread_info *threads;
	int count = move_threads(device, pid, &threads), away = 0;
	pid_t tasks[TASKS];
	uint64_t nodes = 0;

	*node_of_tid = 0;
	for (int i = 0; i < count; i++) {
		if (threads[i].state != RADIUM_THREAD_AWAY)
			continue;
		nodes |= 1ull << threads[i].node;
		away++;
		if (threads[i].tid == tid)
			*node_of_tid = threads[i].node;
	}
	free(threads);
	return tasks_of(pid, tasks) > away ? nodes | 1 : nodes;
}

/* Threads are on so many nodes now: of one process, or of all that are named. */
static void note_nodes(pid_t root)
{
	pid_t list[FAMILY_MOST], named[FAMILY_MOST];
	unsigned int count = family_named(list, roots(root, list), named), here;
	uint64_t nodes = 0;

	for (unsigned int i = 0; i < count; i++) {
		uint64_t own = nodes_of(named[i], 0, &here);
		unsigned int at_once;

		nodes = together ? nodes | own : own;
		at_once = __builtin_popcountll(nodes);
		if (at_once > done.nodes_at_once)
			done.nodes_at_once = at_once;
	}
}

/* Elsewhere than the thread is; every other time where none of its process is, if it can be. */
static unsigned int place_for(pid_t pid, pid_t tid, unsigned int *from)
{
	uint64_t taken = nodes_of(pid, tid, from);
	unsigned int first = family_random() % spread_count, to = 0;
	bool free_one = family_random() % 2;

	for (unsigned int i = 0; i < spread_count; i++) {
		unsigned int place = spread[(first + i) % spread_count];

		if (place == *from)
			continue;
		to = place;
		if (!free_one || !(taken >> place & 1))
			break;
	}
	return to;
}

/* The thread that is chosen is sent to one of the nodes. */
static bool spread_one(pid_t root, const struct candidate *who)
{
	pid_t tasks[TASKS];
	int count = tasks_of(who->pid, tasks);
	pid_t tid = count ? tasks[family_random() % count] : who->pid;
	unsigned int from, to = place_for(who->pid, tid, &from);
	struct radium_move move;
	int error;

	events_of(who->pid, who->comm);
	error = move_thread(device, who->pid, tid, to, MOVE_MS, &move);
	/* It has come home by itself, the last of its process. */
	if (error && !to && move.reason == RADIUM_R_NOT_AWAY) {
		done.home_by_itself++;
		return true;
	}
	if (error)
		return refused(error, &move, who->pid, to ? "migrate" : "recall");
	note_nodes(root);
	if (to) {
		done.away++;
		done.named_away += family_is_named(who->comm);
		count_of(who->comm)->away++;
	} else {
		done.home++;
		done.named_returned += family_is_named(who->comm);
		count_of(who->comm)->returned++;
	}
	if (move.ns > done.away_ns_max)
		done.away_ns_max = move.ns;
	return true;
}

/* Have there been moves enough, and threads on all nodes? */
static bool is_spread(void)
{
	return done.named_away >= moves_wanted && done.named_returned &&
	       done.nodes_at_once >= spread_count;
}

static struct candidate choose(pid_t root)
{
	pid_t list[FAMILY_MOST];

	return family_choose(list, roots(root, list));
}

/* Has one of each of the names gone that have to? */
static bool all_have_gone(void)
{
	for (unsigned int i = 0; i < must_count; i++)
		if (!count_of(musts[i])->away)
			return false;
	return true;
}

/* One that has to go, while none of its name has, if there is one now. */
static bool find_due(pid_t root, struct candidate *who)
{
	pid_t list[FAMILY_MOST];

	for (unsigned int i = 0; i < must_count; i++)
		if (!count_of(musts[i])->away &&
		    family_find(list, roots(root, list), musts[i], who))
			return true;
	return false;
}

static pid_t start(char **command)
{
	char path[300];
	pid_t pid = fork();
	int file;

	if (pid)
		return pid;
	file = open("/dev/null", O_RDONLY);
	dup2(file, 0);
	for (int i = 1; i <= 2; i++) {
		snprintf(path, sizeof(path), "%s.%s", stem, i == 1 ? "out" : "err");
		file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (file < 0 || dup2(file, i) < 0)
			_exit(126);
		close(file);
	}
	execvp(command[0], command);
	perror(command[0]);
	_exit(127);
}

static bool ended(pid_t pid, int *status)
{
	int any;
	pid_t got;

	while ((got = waitpid(-1, &any, WNOHANG)) > 0)
		if (got == pid) {
			*status = any;
			return true;
		}
	return false;
}

/* Sleeps in small steps; true if the program ended meanwhile. */
static bool wait_or_end(pid_t pid, int *status, unsigned int us)
{
	uint64_t end = now_ms() * 1000 + us;

	for (;;) {
		events_take();
		if (ended(pid, status))
			return true;
		if (now_ms() * 1000 >= end)
			return false;
		usleep(us < 2000 ? us : 2000);
	}
}

/* A random pause, which is over when somebody is there who has to go; true as above. */
static bool pause_or_end(pid_t root, int *status)
{
	uint64_t left = family_pause_us(mean_ms), end = now_ns() / 1000 + left, now;
	struct candidate due;

	do {
		bool looking = left > LOOK_MS * 1000 && !all_have_gone();

		if (wait_or_end(root, status, looking ? LOOK_MS * 1000 : left))
			return true;
		now = now_ns() / 1000;
		left = now < end ? end - now : 0;
	} while (left && !find_due(root, &due));
	return false;
}

static bool play(pid_t root, int *status)
{
	uint64_t end = now_ms() + limit_s * 1000ull;

	while (spread_count && !is_spread() && now_ms() < end) {
		struct candidate who;

		if (wait_or_end(root, status, family_pause_us(mean_ms)))
			return true;
		who = choose(root);
		if (!spread_one(root, &who))
			return false;
	}
	while (!spread_count && now_ms() < end) {
		/* Stays that met a process just gone are made up for. */
		bool enough = done.named_away >= moves_wanted && done.named_returned >= moves_wanted;
		bool last = enough && all_have_gone();
		unsigned int before = done.away;
		struct candidate who;

		if (last && (!leave_away || !moves_wanted))
			break;
		if (pause_or_end(root, status))
			return true;
		if (!find_due(root, &who)) {
			if (enough && !last)
				continue;
			who = choose(root);
		}
		if (named_only && !family_is_named(who.comm))
			continue;
		if (!go_away(&who))
			return false;
		if (last && done.away > before)
			break;
		if (done.away == before)
			continue;
		if (pause_or_end(root, status))
			return true;
		if (!come_home(&who))
			return false;
	}
	while (now_ms() < end)
		if (wait_or_end(root, status, 10000))
			return true;
	snprintf(done.error, sizeof(done.error), "not done after %u s", limit_s);
	return false;
}

static void report(int status, uint64_t ms)
{
	const char *comma = "";

	printf("{\"status\": %d, \"ms\": %llu, \"away\": %u, \"home\": %u, \"home_by_itself\": %u, "
	       "\"away_ns_max\": %llu, \"home_ns_max\": %llu, \"error\": \"%s\", \"refused\": {",
	       status, (unsigned long long)ms, done.away, done.home, done.home_by_itself,
	       (unsigned long long)done.away_ns_max, (unsigned long long)done.home_ns_max, done.error);
	for (int i = 0; i < RADIUM_R_COUNT; i++)
		if (done.refused[i]) {
			printf("%s\"%s\": %u", comma, move_reason(i), done.refused[i]);
			comma = ", ";
		}
	fputs("}, \"comms\": {", stdout);
	comma = "";
	for (const struct count *c = counts; c < counts + COMMS && *c->comm; c++) {
		fputs(comma, stdout);
		events_print_name(c->comm);
		printf(": [%u, %u]", c->away, c->returned);
		comma = ", ";
	}
	printf("}, \"named_away\": %u, \"named_returned\": %u, \"nodes_at_once\": %u, ",
	       done.named_away, done.named_returned, done.nodes_at_once);
	events_take();
	events_print();
	printf("}\n");
}

static void kill_tree(pid_t pid)
{
	pid_t list[FAMILY_MOST];
	int count = family_children(pid, list, FAMILY_MOST);

	for (int i = 0; i < count; i++) {
		kill_tree(list[i]);
		kill(list[i], SIGKILL);
	}
}

/*
 * Whatever is left dies with us: what a program leaves behind when it ends, a child that is still
 * busy, would take the time of what runs next. All of it has become our children in the end.
 */
static void end_all(void)
{
	uint64_t end = now_ms() + MOVE_MS;

	do {
		kill_tree(getpid());
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (waitpid(-1, NULL, WNOHANG) < 0)
			return;
		usleep(2000);
	} while (now_ms() < end);
	if (!*done.error)
		snprintf(done.error, sizeof(done.error), "what it left does not end");
}

int main(int argc, char **argv)
{
	int option, status = -1;
	uint64_t begin, end;
	pid_t pid;

	while ((option = getopt(argc, argv, "+m:s:i:n:o:t:c:e:ClwT:A")) != -1) {
		switch (option) {
		case 'm': moves_wanted = atoi(optarg); break;
		case 's': family_seed(strtoull(optarg, NULL, 10)); break;
		case 'i': mean_ms = atoi(optarg); break;
		case 'n': node = atoi(optarg); break;
		case 'o': stem = optarg; break;
		case 't': limit_s = atoi(optarg); break;
		case 'c': family_name(optarg); break;
		case 'e':
			for (char *word = strtok(optarg, ","); word && must_count < MUSTS;
			     word = strtok(NULL, ","))
				musts[must_count++] = word;
			break;
		case 'C': named_only = true; break;
		case 'l': leave_away = true; break;
		case 'w': watching = true; break;
		case 'A': together = true; break;
		case 'T':
			spread[spread_count++] = 0;
			for (char *word = strtok(optarg, ","); word && spread_count < 8;
			     word = strtok(NULL, ","))
				spread[spread_count++] = atoi(word);
			break;
		default: return 2;
		}
	}
	if (optind == argc)
		return 2;
	if (moves_wanted || watching) {
		device = move_open();
		if (device < 0 || !events_open()) {
			perror(RADIUM_DEVICE);
			return 2;
		}
	}
	if (watching)
		events_of_all();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	begin = now_ms();
	pid = start(argv + optind);
	play(pid, &status);
	end = now_ms();
	end_all();
	report(status, end - begin);
	return 0;
}

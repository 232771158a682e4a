// SPDX-License-Identifier: GPL-2.0
/*
 * The harness' own process: starts each case, moves it when it asks, keeps its
 * deadline, and prints TAP. What a case calls is in case.c.
 */
#include "harness.h"
#include "ask.h"
#include "move.h"

#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

enum {
	CASE_SECONDS	= 40,	/* default deadline of a case */
	PATIENCE	= 3,	/* times that: a case that hangs is told from a host that is busy */
	MOVE_TIMEOUT	= 20000,	/* ms, a move that was asked for */
	STEP_TIMEOUT	= 10000,	/* ms, a move of a thread that is blocked, the first perhaps */
	TRY_TIMEOUT	= 400,	/* ms, of one whose call may have to end first */
	KILL_TIMEOUT	= 8000,	/* ms until kill -9 has ended everything */
	SPOILED		= 4,	/* exit status: this machine is of no more use */
};

static int device = -1;
static unsigned int target = 2;
static unsigned int factor = 1;

/* The steps of during(), and how far they have got. */
static struct {
	char text[sizeof(((struct ask *)0)->text)];
	char *next;
	pid_t pid;
	uint64_t due;
	bool asked;	/* somebody waits for the end */
	int moves;	/* out, that it had made before */
	char error[160];
} steps;

static struct {
	enum { RUNNING, PASSED, FAILED, SKIPPED } outcome;
	char text[600];
} verdict;

unsigned int slower(void)
{
	return factor;
}

static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static void conclude(int outcome, const char *format, ...)
{
	va_list args;

	if (verdict.outcome == FAILED)
		return;
	verdict.outcome = outcome;
	va_start(args, format);
	vsnprintf(verdict.text, sizeof(verdict.text), format, args);
	va_end(args);
}

/* Moves a process; an empty string or what went wrong. */
static const char *move_process(char where_to, pid_t pid, unsigned int timeout)
{
	static char text[160];
	struct radium_move result;
	int error;

	if (device < 0)
		return "";
	if (where_to == 'a' || where_to == 'A')
		error = move_to(device, pid, target, 0, timeout * factor, &result);
	else
		error = move_home(device, pid, 0, timeout * factor, &result);
	if (!error || result.reason == RADIUM_R_ALREADY_THERE || result.reason == RADIUM_R_NOT_AWAY)
		return "";
	if (timeout == TRY_TIMEOUT &&
	    (result.reason == RADIUM_R_PENDING || result.reason == RADIUM_R_TIMEOUT ||
	     result.reason == RADIUM_R_NO_PROCESS || result.reason == RADIUM_R_EXITING)) {
		say("# move %c of %d: %s", where_to, pid, move_reason(result.reason));
		return "";
	}
	snprintf(text, sizeof(text), "move %s of %d: %s: %s (%s)",
		 where_to == 'a' || where_to == 'A' ? "away" : "home", pid, strerror(-error),
		 move_reason_text(result.reason), move_reason(result.reason));
	return text;
}

static int node_of(pid_t pid)
{
	struct radium_thread_info info;

	if (device < 0 || !move_info(device, pid, &info) || info.state != RADIUM_THREAD_AWAY)
		return 0;
	return info.node;
}

/* How often its first thread has gone out; 0: nothing is known of it. */
static int moves_of(pid_t pid)
{
	struct radium_thread_info info;

	return device >= 0 && move_info(device, pid, &info) ? (int)info.migrations : 0;
}

static bool is_gone(const struct radium_move *result)
{
	return result->reason == RADIUM_R_NO_PROCESS || result->reason == RADIUM_R_NO_THREAD ||
	       result->reason == RADIUM_R_EXITING;
}

/* One thread to a node, 0: home; an empty string or what went wrong. */
static const char *move_one(const struct ask *ask)
{
	static char text[160];
	struct radium_move result;
	unsigned int node = 0;
	int error, tid = 0;

	if (device < 0 || sscanf(ask->text, "%d %u", &tid, &node) != 2)
		return "";
	error = move_thread(device, ask->pid, tid, node, MOVE_TIMEOUT * factor, &result);
	if (!error || result.reason == RADIUM_R_ALREADY_THERE ||
	    (!node && result.reason == RADIUM_R_NOT_AWAY) ||
	    (ask->kind == ASK_TRY && is_gone(&result)))
		return "";
	snprintf(text, sizeof(text), "move of thread %d of %d to node %u: %s: %s (%s)", tid, ask->pid,
		 node, strerror(-error), move_reason_text(result.reason), move_reason(result.reason));
	return text;
}

/* All threads: told at once, and then waited for; those that are blocked are woken. */
static const char *move_all(const struct ask *ask)
{
	static char text[160];
	struct radium_move result;
	unsigned int node = 0;
	int error;

	if (device < 0 || sscanf(ask->text, "0 %u", &node) != 1)
		return "";
	if (node) {
		error = move_to(device, ask->pid, node,
				RADIUM_MOVE_ALL_THREADS | RADIUM_MOVE_NO_WAIT, 0, &result);
		if (!error)
			error = move_to(device, ask->pid, node, RADIUM_MOVE_ALL_THREADS,
					80000 * factor, &result);
	} else {
		error = move_home(device, ask->pid, 0, 80000 * factor, &result);
		if (result.reason == RADIUM_R_NOT_AWAY)
			error = 0;
	}
	if (!error)
		return "";
	snprintf(text, sizeof(text), "move of all threads of %d to node %u: %s (%s)", ask->pid, node,
		 strerror(-error), move_reason(result.reason));
	return text;
}

/* What the module knows of a thread; false: nothing. */
static bool thread_info(pid_t pid, pid_t tid, struct radium_thread_info *info)
{
	struct radium_thread_info *list;
	bool found = false;
	int count;

	if (device < 0)
		return false;
	count = move_threads(device, pid, &list);
	for (int i = 0; i < count; i++)
		if (list[i].tid == tid) {
			*info = list[i];
			found = true;
		}
	free(list);
	return found;
}

static int node_of_thread(pid_t pid, pid_t tid)
{
	struct radium_thread_info info;

	return thread_info(pid, tid, &info) && info.state == RADIUM_THREAD_AWAY ? info.node : 0;
}

static int calls_of_thread(pid_t pid, pid_t tid)
{
	struct radium_thread_info info;

	return thread_info(pid, tid, &info) ? info.syscalls : 0;
}

static int faults_of_thread(pid_t pid, pid_t tid)
{
	struct radium_thread_info info;

	return thread_info(pid, tid, &info) ? info.faults : 0;
}

/* What the module counts for a process; zeros: it knows nothing of it. */
static struct radium_process_info counts_of(pid_t pid)
{
	struct radium_process_info info;

	if (device < 0 || !process_info(device, pid, &info))
		memset(&info, 0, sizeof(info));
	return info;
}

/* Why the case came home by itself, for those who read the log. */
static void tell_returns(pid_t pid)
{
	struct radium_thread_info info;

	if (device < 0 || !move_info(device, pid, &info))
		return;
	for (int i = 0; i < RADIUM_R_COUNT; i++)
		if (info.returns_by_reason[i] && i != RADIUM_R_ASKED)
			say("# came home %llu times: %s",
			    (unsigned long long)info.returns_by_reason[i], move_reason(i));
}

static int returns_of(pid_t pid, const char *reason)
{
	struct radium_thread_info info;

	if (device >= 0 && move_info(device, pid, &info))
		for (int i = 0; i < RADIUM_R_COUNT; i++)
			if (!strcmp(move_reason(i), reason))
				return info.returns_by_reason[i];
	return 0;
}

static void answer(int pipe, int value, const char *text)
{
	struct answer a = { .value = value };

	snprintf(a.text, sizeof(a.text), "%s", text);
	if (write(pipe, &a, sizeof(a)) < 0)
		conclude(FAILED, "nobody takes an answer");
}

/* Does the steps that are due. */
static void step(int answers)
{
	while (steps.next && now_ns() >= steps.due) {
		char *word = strtok_r(NULL, " ", &steps.next);

		if (!word) {
			steps.next = NULL;
			break;
		}
		if (strchr("ahAH", *word)) {
			const char *error = move_process(*word, steps.pid,
							 *word < 'a' ? STEP_TIMEOUT : TRY_TIMEOUT);

			if (*error && !*steps.error)
				snprintf(steps.error, sizeof(steps.error), "%s", error);
		} else if (*word == 'k') {
			char *number = strtok_r(NULL, " ", &steps.next);

			kill(steps.pid, number ? atoi(number) : 0);
		} else {
			steps.due = now_ns() + strtoul(word, NULL, 10) * 1000000ull;
		}
	}
	if (!steps.next && steps.asked) {
		int moves = moves_of(steps.pid) - steps.moves;

		steps.asked = false;
		answer(answers, *steps.error ? -1 : moves > 0 ? moves : 0, steps.error);
	}
}

static void start_steps(const struct ask *ask)
{
	char *colon;

	memset(&steps, 0, sizeof(steps));
	steps.pid = ask->pid;
	memcpy(steps.text, ask->text, sizeof(steps.text));
	steps.next = steps.text;
	colon = strchr(steps.text, ':');
	if (colon) {
		steps.pid = atoi(steps.text);
		steps.next = colon + 1;
	}
	steps.moves = moves_of(steps.pid);
	steps.due = now_ns();
}

static void serve(int answers, const struct ask *ask)
{
	switch (ask->kind) {
	case ASK_MOVE: {
		const char *error = move_process(ask->text[0], ask->pid, MOVE_TIMEOUT);

		answer(answers, *error ? -1 : 0, error);
		break;
	}
	case ASK_THREAD:
	case ASK_TRY: {
		const char *error = move_one(ask);

		answer(answers, *error ? -1 : 0, error);
		break;
	}
	case ASK_ALL: {
		const char *error = move_all(ask);

		answer(answers, *error ? -1 : 0, error);
		break;
	}
	case ASK_THREAD_WHERE:
		answer(answers, node_of_thread(ask->pid, atoi(ask->text)), "");
		break;
	case ASK_FAULTS:
		answer(answers, faults_of_thread(ask->pid, atoi(ask->text)), "");
		break;
	case ASK_CALLS:
		answer(answers, calls_of_thread(ask->pid, atoi(ask->text)), "");
		break;
	case ASK_FORWARDED:
		answer(answers, counts_of(ask->pid).pages_forwarded, "");
		break;
	case ASK_UPGRADED:
		answer(answers, counts_of(ask->pid).pages_upgraded, "");
		break;
	case ASK_PAGES: {
		struct radium_process_info counts = counts_of(ask->pid);

		answer(answers, counts.pages_sent + counts.pages_received, "");
		break;
	}
	case ASK_INLINE:
		answer(answers, counts_of(ask->pid).syscalls_inline, "");
		break;
	case ASK_WHERE:
		answer(answers, node_of(ask->pid), "");
		break;
	case ASK_MESSAGES:
		answer(answers, device < 0 ? 0 : (int)move_messages(device), "");
		break;
	case ASK_RETURNS:
		answer(answers, returns_of(ask->pid, ask->text), "");
		break;
	case ASK_DURING:
		start_steps(ask);
		answer(answers, 0, "");
		break;
	case ASK_DURING_END:
		steps.asked = true;
		break;
	case ASK_NOTE:
		say("# %s", ask->text);
		break;
	case ASK_CLOCK:
		answer(answers, 0, "");
		break;
	case TELL_PASSED:
		conclude(PASSED, "%s", "");
		tell_returns(ask->pid);
		answer(answers, 0, "");
		break;
	case TELL_FAILED:
		conclude(FAILED, "%s", ask->text);
		tell_returns(ask->pid);
		answer(answers, 0, "");
		break;
	case TELL_SKIPPED:
		conclude(SKIPPED, "%s", ask->text);
		answer(answers, 0, "");
		break;
	}
}

/* Everything that the case left behind dies now; false if something does not. */
static bool sweep(void)
{
	uint64_t end = now_ns() + (uint64_t)KILL_TIMEOUT * factor * 1000000;
	char path[64], *list, *word, *rest;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	for (;;) {
		while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
			;
		list = read_text(path);
		if (!*list)
			return true;
		if (now_ns() > end) {
			conclude(FAILED, "processes %ssurvive kill -9", list);
			verdict.outcome = FAILED;
			return false;
		}
		for (word = strtok_r(list, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
			kill(atoi(word), SIGKILL);
		sleep_ms(10);
	}
}

static int drop(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status, (void)kind, (void)where;
	remove(path);
	return 0;
}

/* What it has left in own_directory(): /tmp is memory, which the cases after it want. */
static void tidy(void)
{
	char pattern[40];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s??????", own_prefix);
	if (glob(pattern, 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		nftw(found.gl_pathv[i], drop, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	globfree(&found);
}

static void watch(int asks, int answers, pid_t pid, uint64_t deadline)
{
	bool ended = false;
	int status;

	while (!ended || verdict.outcome == RUNNING) {
		struct pollfd poll_for = { .fd = asks, .events = POLLIN };
		struct ask ask;

		step(answers);
		if (poll(&poll_for, 1, steps.next ? 2 : 20) > 0 &&
		    poll_for.revents & POLLIN && read(asks, &ask, sizeof(ask)) == sizeof(ask)) {
			ask.text[sizeof(ask.text) - 1] = 0;
			serve(answers, &ask);
			continue;
		}
		if (ended) {	/* and nothing left to read */
			if (WIFSIGNALED(status))
				conclude(FAILED, "killed by signal %d", WTERMSIG(status));
			else
				conclude(FAILED, "ended with %d without a word", WEXITSTATUS(status));
			return;
		}
		if (now_ns() > deadline) {
			conclude(FAILED, "not done in time, node %d", node_of(pid));
			return;
		}
		ended = waitpid(pid, &status, WNOHANG) == pid;
		/* A note may still be on its way: look once more before judging. */
		if (ended && verdict.outcome != RUNNING)
			break;
	}
	/* What it had to do last, away perhaps, is to end. */
	if (verdict.outcome == PASSED && status)
		conclude(FAILED, "ended with status %#x after it had passed", status);
}

static bool run_case(const struct test_case *test, int number)
{
	unsigned int seconds = test->seconds ? test->seconds : CASE_SECONDS;
	int asks[2], answers[2];
	pid_t pid;
	bool clean;

	memset(&steps, 0, sizeof(steps));
	memset(&verdict, 0, sizeof(verdict));
	/* Pipes: of all that blocks, what has to work first. Packets are whole in them. */
	if (pipe2(asks, O_CLOEXEC) || pipe2(answers, O_CLOEXEC)) {
		perror("pipe");
		exit(2);
	}
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(asks[0]);
		close(answers[1]);
		if (device >= 0)
			close(device);
		case_main(asks[1], answers[0], device >= 0, test->run);
	}
	close(asks[1]);
	watch(asks[0], answers[1], pid, now_ns() + (uint64_t)seconds * PATIENCE * factor * 1000000000);
	clean = sweep();
	tidy();
	close(asks[0]);
	close(answers[0]);
	close(answers[1]);
	if (verdict.outcome == FAILED)
		say("# %s: %s", test->name, verdict.text);
	say("%sok %d - %s%s%s", verdict.outcome == FAILED ? "not " : "", number, test->name,
	    verdict.outcome == SKIPPED ? " # SKIP " : "",
	    verdict.outcome == SKIPPED ? verdict.text : "");
	return clean;
}

static bool chosen(const char *name, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

int harness_main(int argc, char **argv, const struct test_case *cases)
{
	int option, count = 0;
	bool failed = false;

	if (argc > 1 && !strcmp(argv[1], "--list")) {
		for (; cases->name; cases++)
			puts(cases->name);
		return 0;
	}
	while ((option = getopt(argc, argv, "t:n:")) != -1) {
		if (option == 't')
			factor = atoi(optarg);
		else if (option == 'n')
			target = atoi(optarg);
		else
			return 2;
	}
	if (optind == argc || (strcmp(argv[optind], "away") && strcmp(argv[optind], "native"))) {
		fprintf(stderr, "usage: %s [-t FACTOR] [-n NODE] native|away [CASE...]\n", argv[0]);
		return 2;
	}
	if (!strcmp(argv[optind], "away")) {
		device = move_open();
		if (device < 0) {
			perror(RADIUM_DEVICE);
			return 2;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	snprintf(own_prefix, sizeof(own_prefix), "/tmp/st-%d-", getpid());
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (; cases->name; cases++) {
		if (!chosen(cases->name, argv + optind + 1))
			continue;
		count++;
		if (!run_case(cases, count)) {
			say("1..%d", count);
			return SPOILED;
		}
		failed |= verdict.outcome == FAILED;
	}
	say("1..%d", count);
	return failed || !count;
}

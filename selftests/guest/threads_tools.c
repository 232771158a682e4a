// SPDX-License-Identifier: GPL-2.0
/*
 * Debuggers meet all threads of a process that are on several nodes, each in its true state,
 * and let them go: each goes out again where it was.
 */
#include "crew.h"
#include "tools.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define RW (PROT_READ | PROT_WRITE)

enum { HANDS = PLACES, WORD = 4096 / sizeof(uint64_t), ASKED_OF = 77000 };
#define PATIENCE_NS 90000000000ull

static struct hand crew[HANDS];
/* One for each thread, in a page of its own, at the same address in process and observer. */
static volatile uint64_t *counts;
static pid_t tids[HANDS];
static int ends[2];

#define VISITED(n)									\
	__attribute__((noinline, noclone, noipa)) static void visited_##n(uint64_t number)	\
	{										\
		asm volatile("nop\n\tnop\n\tnop" : : "r"(number) : "memory");		\
	}
VISITED(0)
VISITED(1)
VISITED(2)

static void (*const visited[HANDS])(uint64_t) = { visited_0, visited_1, visited_2 };

static void *count_in_turns(struct hand *hand)
{
	volatile uint64_t *count = &counts[hand->number * WORD];

	for (;;) {
		visited[hand->number](*count + 1);
		++*count;
	}
	return NULL;
}

/* A call that says which of them it is, now and then. */
static void *ask_in_turns(struct hand *hand)
{
	for (;;) {
		getpgid(ASKED_OF + hand->number);
		counts[hand->number * WORD]++;
		sleep_ms(2);
	}
	return NULL;
}

static void run(void *(*work)(struct hand *))
{
	crew_start(crew, HANDS, work, NULL);
	crew_spread(crew, HANDS, 0);
	for (int i = 0; i < HANDS; i++)
		CHECK(write(ends[1], &crew[i].tid, sizeof(pid_t)) == sizeof(pid_t));
	crew_go(crew, HANDS);
	for (;;)
		pause();
}

static void run_count(void)
{
	run(count_in_turns);
}

static void run_ask(void)
{
	run(ask_in_turns);
}

/* Each of them has gone on, wherever it is. */
static void go_on(pid_t pid)
{
	uint64_t end = now_ns() + PATIENCE_NS;

	for (int i = 0; i < HANDS; i++) {
		uint64_t first = 0, now;
		struct iovec here = { &now, 8 }, there = { (void *)&counts[i * WORD], 8 };

		do {
			EQUAL(process_vm_readv(pid, &here, 1, &there, 1, 0), 8);
			if (!first)
				first = now + 1;	/* not 0 */
			sleep_ms(5);
		} while (now < first + 2 && now_ns() < end);
		CHECK(now >= first + 2);
	}
}

static pid_t begin(void (*function)(void))
{
	pid_t pid;

	DO(pipe(ends));
	counts = map_pages(HANDS, RW);
	pid = child_with(function);
	for (int i = 0; i < HANDS; i++)
		EQUAL(read(ends[0], &tids[i], sizeof(pid_t)), sizeof(pid_t));
	go_on(pid);
	return pid;
}

/* Nobody asks for it. */
static void go_on_where_they_were(pid_t pid)
{
	uint64_t end = now_ns() + PATIENCE_NS;

	for (int i = 0; i < HANDS; i++) {
		int place = moving() ? places[i] : 0;

		while (where_is(pid, tids[i]) != place && now_ns() < end)
			sleep_ms(10);
		EQUAL(where_is(pid, tids[i]), place);
	}
	go_on(pid);
}

static void finish(pid_t pid)
{
	DO(kill(pid, SIGKILL));
	ends_with(pid, SIGKILL);
}

/* A breakpoint for each of them, which finds the others stopped, and what all are doing. */
static void gdb_meets_all(void)
{
	char text[200];
	const char *said;
	pid_t pid;

	need_tool("/usr/bin/gdb");
	pid = begin(run_count);
	said = printed("gdb -nx -batch -p %d -ex 'thread apply all bt' "
		       "-ex 'break *%p' -ex continue -ex 'print $rdi - *(unsigned long *)%p' -ex 'delete 1' "
		       "-ex 'break *%p' -ex continue -ex 'print $rdi - *(unsigned long *)%p' -ex 'delete 2' "
		       "-ex 'break *%p' -ex continue -ex 'print $rdi - *(unsigned long *)%p' -ex 'delete 3' "
		       "-ex 'thread apply all bt' -ex detach 2>&1 </dev/null", pid,
		       visited_0, &counts[0], visited_1, &counts[WORD], visited_2, &counts[2 * WORD]);
	for (int i = 0; i < HANDS; i++) {
		CHECK(has(said, "hit Breakpoint %d, visited_%d ", i + 1, i));
		/* It has not counted yet what it is about to count. */
		CHECK(has(said, "$%d = 1\n", i + 1));
		/* Where it is, before and after. */
		snprintf(text, sizeof(text), "(LWP %d) \"", tids[i]);
		EQUAL(occurrences(said, text), 2);
	}
	EQUAL(occurrences(said, " count_in_turns (hand="), 2 * HANDS);
	EQUAL(occurrences(said, " run_count ("), 2);
	CHECK(has(said, "detached"));
	go_on_where_they_were(pid);
	finish(pid);
}

/* Has strace seen the call of a thread, of which it says the number? */
static bool is_seen(const char *log, int number)
{
	char wanted[40];
	const char *line;

	snprintf(wanted, sizeof(wanted), " getpgid(%d", ASKED_OF + number);
	line = strstr(log, wanted);
	if (!line)
		return false;
	while (line > log && line[-1] != '\n')
		line--;
	EQUAL(atoi(line), tids[number]);
	return true;
}

static void strace_follows_all(void)
{
	char path[] = "/tmp/st-strace-XXXXXX";
	uint64_t end = now_ns() + PATIENCE_NS;
	int status, seen = 0;
	pid_t pid, strace;

	need_tool("/usr/bin/strace");
	DO(close(DO(mkstemp(path))));
	pid = begin(run_ask);
	strace = strace_begins(path, pid, "trace=getpgid");
	while (seen < HANDS && now_ns() < end) {
		sleep_ms(50);
		/* The beginning is enough. */
		seen = 0;
		for (int i = 0; i < HANDS; i++)
			seen += is_seen(read_text(path), i);
	}
	EQUAL(seen, HANDS);
	go_on(pid);
	DO(kill(strace, SIGINT));
	EQUAL(waitpid(strace, &status, 0), strace);
	unlink(path);
	go_on_where_they_were(pid);
	finish(pid);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "gdb_meets_all", gdb_meets_all, 60 },
		{ "strace_follows_all", strace_follows_all, 60 },
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

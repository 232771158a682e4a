// SPDX-License-Identifier: GPL-2.0
/*
 * A page that a thread on node 2 owns is asked for by one on node 3; then another there asks
 * for one that is at home, whose number is the same modulo 64 (RAD_TURNS). Meanwhile node 2 may
 * have stopped: the second thread gets its page all the same.
 *
 *	bystander GO
 *
 * Says "ready" when every thread is in its place, goes on when there is a file GO, says
 * "asked" when home has asked node 2 for the page, "served" when the second thread has its
 * own, and ends when all is well.
 *
 * What happens while node 2 is stopped must not need a page that it has: threads talk by the
 * place in a file, which is a system call without memory, and have all they need on their
 * stacks.
 */
#include "move.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, TURNS = 64, MOVE_MS = 30000, THREADS = 3 };
enum { ASK = 1, BYSTAND, SERVED, END };		/* places in the file */
enum { OWNED = 4711, AT_HOME = 815 };

struct part {
	int clock, device, ready;
	unsigned int node;
	off_t begin, tell;
	volatile uint64_t *word;
	bool write;
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Nothing of this is done with memory at home: it is recalls that main() waits for. */
static void await(int clock, off_t place)
{
	while (lseek(clock, 0, SEEK_CUR) < place)
		sched_yield();
}

/* Looks at its word when it is its time; the owner writes before. */
static void *act(void *argument)
{
	struct part part = *(struct part *)argument;
	uint64_t word = 0;

	if (move_to(part.device, getpid(), part.node, RADIUM_MOVE_SELF, MOVE_MS, NULL))
		fail("move");
	if (part.write)
		*part.word = OWNED;
	/* What it executes from now on it has executed before. */
	await(part.clock, 0);
	if (write(part.ready, "", 1) != 1)
		fail("write");
	await(part.clock, part.begin);
	if (!part.write)
		word = *part.word;
	if (part.tell)
		lseek(part.clock, part.tell, SEEK_SET);
	return (void *)(uintptr_t)word;
}

static void say(const char *what)
{
	if (write(STDOUT_FILENO, what, strlen(what)) != (ssize_t)strlen(what))
		fail("write");
}

static uint64_t recalls(int device)
{
	struct radium_process_info info;

	if (!process_info(device, getpid(), &info)) {
		fprintf(stderr, "the process is not distributed\n");
		exit(1);
	}
	return info.recalls;
}

int main(int argc, char **argv)
{
	char path[] = "/tmp/bystander-XXXXXX", sign;
	int ready[2], clock = mkstemp(path), device = move_open();
	pthread_t thread[THREADS];
	void *word[THREADS];
	char *memory;
	uint64_t before;

	if (argc != 2 || clock < 0 || device < 0 || pipe(ready))
		return 2;
	unlink(path);
	memory = mmap(NULL, (TURNS + 1) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	if (memory == MAP_FAILED)
		fail("mmap");

	struct part base = { .clock = clock, .device = device, .ready = ready[1] };
	struct part parts[THREADS] = { base, base, base };
	volatile uint64_t *near = (void *)memory, *far = (void *)(memory + TURNS * PAGE);

	/* The owner; who wants its page; who wants the other one. */
	parts[0].node = 2, parts[0].word = near, parts[0].write = true, parts[0].begin = END;
	parts[1].node = 3, parts[1].word = near, parts[1].begin = ASK;
	parts[2].node = 3, parts[2].word = far, parts[2].begin = BYSTAND, parts[2].tell = SERVED;
	*far = AT_HOME;
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, act, &parts[i]))
			fail("pthread_create");
	for (int i = 0; i < THREADS; i++)
		if (read(ready[0], &sign, 1) != 1)
			fail("read");
	before = recalls(device);
	say("ready\n");
	while (access(argv[1], F_OK))
		usleep(1000);
	before = recalls(device);
	lseek(clock, ASK, SEEK_SET);
	while (recalls(device) == before)
		usleep(1000);
	say("asked\n");
	lseek(clock, BYSTAND, SEEK_SET);
	while (lseek(clock, 0, SEEK_CUR) < SERVED)
		usleep(1000);
	say("served\n");
	pthread_join(thread[1], &word[1]);
	pthread_join(thread[2], &word[2]);
	lseek(clock, END, SEEK_SET);
	pthread_join(thread[0], &word[0]);
	if ((uintptr_t)word[1] != OWNED || (uintptr_t)word[2] != AT_HOME) {
		fprintf(stderr, "read %lu and %lu\n", (unsigned long)(uintptr_t)word[1],
			(unsigned long)(uintptr_t)word[2]);
		return 1;
	}
	say("done\n");
	return 0;
}

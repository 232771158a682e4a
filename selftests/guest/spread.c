// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that say where they are, for 'radctl run'.
 *
 *	spread FILE COUNT [chain | exec | fork | spawn]
 *
 * The first thread makes COUNT of them, and one more for each SIGUSR1; with "chain" each
 * makes the next, from where it is; with "exec" the last one executes "spread FILE.exec 3".
 * With "fork" they are children, each made while the first thread
 * is at home for a while, because it has touched shared memory. With "spawn" a child does it all, which shares the memory of its parent until it has
 * executed the program. FILE gets a line for each: its number, its thread id, its node, 0: at home. They last
 * until they are killed.
 */
#include "move.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE = 10000, TURN_US = 20000 };	/* who asks where all are gives up before */

static int device, file;
static uintptr_t count;
static const char *program, *path, *how = "";
static volatile char *shared;

/* The node of the calling thread: a wish to be elsewhere is given time. */
static unsigned int here(void)
{
	for (int turn = 0; turn < PATIENCE; turn++) {
		struct radium_thread_info *threads, me = { .state = RADIUM_THREAD_HOME };
		int n = move_threads(device, getpid(), &threads);

		for (int i = 0; i < n; i++)
			if (threads[i].tid == gettid())
				me = threads[i];
		free(threads);
		if (me.state == RADIUM_THREAD_AWAY)
			return me.node;
		if (me.state == RADIUM_THREAD_HOME && !me.wanted)
			return 0;
		usleep(TURN_US);
	}
	return -1;
}

static void say(uintptr_t number)
{
	char line[64];

	sprintf(line, "%u %d %u\n", (unsigned int)number, gettid(), here());
	if (write(file, line, strlen(line)) < 0)
		exit(2);
}

static void make(uintptr_t number);

static void *live(void *argument)
{
	uintptr_t number = (uintptr_t)argument;
	char next[256];

	say(number);
	if (!strcmp(how, "chain") && number < count)
		make(number + 1);
	if (!strcmp(how, "exec") && number == count) {
		snprintf(next, sizeof(next), "%s.exec", path);
		execl(program, program, next, "3", NULL);
		exit(2);
	}
	for (;;)
		pause();
	return NULL;
}

static void make(uintptr_t number)
{
	pthread_t thread;
	pid_t child;

	if (shared) {
		++*shared;
		child = fork();
		if (!child)
			live((void *)number);
		if (child < 0)
			exit(2);
		return;
	}
	if (pthread_create(&thread, NULL, live, (void *)number))
		exit(2);
}

static int spawn(char **argv, char **environment)
{
	char *child[] = { argv[0], argv[1], argv[2], NULL };
	int status;
	pid_t pid;

	return posix_spawn(&pid, program, NULL, NULL, child, environment) ||
	       waitpid(pid, &status, 0) != pid;
}

int main(int argc, char **argv, char **environment)
{
	uintptr_t number;
	sigset_t more;
	int heard;

	if (argc < 3)
		return 2;
	program = argv[0];
	path = argv[1];
	count = strtoul(argv[2], NULL, 10);
	if (argc > 3)
		how = argv[3];
	if (!strcmp(how, "spawn"))
		return spawn(argv, environment);
	if (!strcmp(how, "fork"))
		shared = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	device = move_open();
	file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (device < 0 || file < 0 || shared == MAP_FAILED)
		return 2;
	sigemptyset(&more);
	sigaddset(&more, SIGUSR1);
	sigprocmask(SIG_BLOCK, &more, NULL);
	say(0);
	for (number = 1; number <= (strcmp(how, "chain") ? count : 1); number++)
		make(number);
	for (;;)
		if (!sigwait(&more, &heard))
			make(number++);
}

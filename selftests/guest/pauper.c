// SPDX-License-Identifier: GPL-2.0
/*
 * Asks for one thread of a process after the other to be moved, with so little memory left to its
 * own memory control group that the module's records of them do not fit: it has to be told so, and
 * the process to go on as if nobody had asked. With memory again the same thread is moved.
 *
 *	pauper GROUP NODE
 *
 * GROUP is a directory of cgroup2. Says how many were moved until then.
 */
#include "move.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 300, STACK = 32 << 10, MOVE_MS = 60000, LEFT = 16 << 10 };

struct crowd {
	volatile unsigned int begun;
	pid_t tids[THREADS];
};

static struct crowd *crowd;

static void *wait_for_ever(void *number)
{
	crowd->tids[(long)number] = syscall(SYS_gettid);
	__atomic_fetch_add(&crowd->begun, 1, __ATOMIC_SEQ_CST);
	while (pause())
		;
	return NULL;
}

/* Returns its process id when all of its threads wait, or are about to. */
static pid_t begin_crowd(void)
{
	pthread_attr_t small;
	pthread_t thread;
	pid_t pid;

	crowd = mmap(NULL, sizeof(*crowd), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	if (crowd == MAP_FAILED)
		err(2, "mmap");
	pid = fork();
	if (pid < 0)
		err(2, "fork");
	if (pid) {
		while (crowd->begun < THREADS) {
			if (waitpid(pid, NULL, WNOHANG))
				errx(2, "the process has ended");
			usleep(10000);
		}
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, STACK);
	for (long i = 0; i < THREADS; i++) {
		errno = pthread_create(&thread, &small, wait_for_ever, (void *)i);
		if (errno)
			err(2, "pthread_create");
	}
	for (;;)
		pause();
}

static int group_file(const char *group, const char *name)
{
	char path[200];
	int file;

	snprintf(path, sizeof(path), "%s/%s", group, name);
	file = open(path, O_RDWR | O_CLOEXEC);
	if (file < 0)
		err(2, "%s", path);
	return file;
}

static void put(int file, const char *text)
{
	if (pwrite(file, text, strlen(text), 0) < 0)
		err(2, "%s", text);
}

/* Of what its group has, so many bytes more are left to it. */
static void become_poor(int current, int high, int max)
{
	char text[40] = "";

	/* What has been charged beforehand is given up; nobody is killed for this limit. */
	put(high, "0");
	put(high, "max");
	if (pread(current, text, sizeof(text) - 1, 0) <= 0)
		err(2, "memory.current");
	snprintf(text, sizeof(text), "%ld", atol(text) + LEFT);
	put(max, text);
}

int main(int argc, char **argv)
{
	unsigned int node, moved = 0;
	int device, member, current, high, max, status, error = 0;
	struct radium_move result = { 0 };
	pid_t pid;

	if (argc != 3)
		errx(2, "usage: pauper GROUP NODE");
	node = atoi(argv[2]);
	device = move_open();
	if (device < 0)
		err(2, "/dev/radium");
	pid = begin_crowd();
	member = group_file(argv[1], "cgroup.procs");
	current = group_file(argv[1], "memory.current");
	high = group_file(argv[1], "memory.high");
	max = group_file(argv[1], "memory.max");
	put(member, "0");
	if (mlockall(MCL_CURRENT))
		err(2, "mlockall");
	become_poor(current, high, max);
	while (moved < THREADS) {
		error = move_thread(device, pid, crowd->tids[moved], node, MOVE_MS, &result);
		if (error)
			break;
		moved++;
	}
	put(max, "max");
	status = error != -ENOMEM || result.reason != RADIUM_R_NO_MEMORY;
	printf("%u moved, then: %s, %s\n", moved, strerror(-error), move_reason(result.reason));
	if (waitpid(pid, NULL, WNOHANG)) {
		printf("the process has ended\n");
		return 1;
	}
	if (!status) {
		error = move_thread(device, pid, crowd->tids[moved], node, MOVE_MS, &result);
		if (error) {
			printf("with memory: %s, %s\n", strerror(-error), move_reason(result.reason));
			status = 1;
		}
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return status;
}

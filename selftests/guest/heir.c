// SPDX-License-Identifier: GPL-2.0
/*
 * A process that writes to some pages for ever, and another one that has the same memory and
 * outlives it.
 *
 *	heir FILE
 *
 * FILE gets the numbers of both. When FILE.go is there the heir has KSM look for merged pages,
 * which waits for what is not here without a fault, and reads: FILE.said gets how many pages it
 * could read, and how many gave SIGBUS. Before that it has made a child, which lives on when both have
 * ended: when FILE.then is there it reads, and says so in FILE.child.
 */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Behind them is nothing that would be fetched along with them. */
enum { PAGE = 4096, PAGES = 8, GUARD = 32, STACK = 1 << 16, LOOK_US = 20000 };

static volatile char *region;
static const char *path;
static sigjmp_buf back;

static void on_fault(int number)
{
	(void)number;
	siglongjmp(back, 1);
}

static void say(const char *suffix, int first, int second)
{
	char name[256], line[64];
	int file;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	snprintf(line, sizeof(line), "%d %d\n", first, second);
	file = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (file < 0 || write(file, line, strlen(line)) < 0)
		_exit(2);
	close(file);
}

static void await(const char *suffix)
{
	char name[256];

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	while (access(name, F_OK))
		usleep(LOOK_US);
}

static void read_all(const char *suffix)
{
	volatile int readable = 0, lost = 0, i;

	for (i = 0; i < PAGES; i++) {
		if (sigsetjmp(back, 1)) {
			lost++;
			continue;
		}
		(void)region[i * PAGE];
		readable++;
	}
	say(suffix, readable, lost);
}

static int inherit(void *parent)
{
	pid_t child;

	say("", *(pid_t *)parent, getpid());
	await(".go");
	signal(SIGBUS, on_fault);
	child = fork();
	if (child < 0)
		_exit(3);
	if (!child) {
		await(".then");
		read_all(".child");
		_exit(0);
	}
	if (madvise((void *)region, PAGES * PAGE, MADV_UNMERGEABLE))
		_exit(3);
	read_all(".said");
	_exit(0);
}

/* Touches nothing else of what the heir uses. */
static __attribute__((noinline, noreturn)) void write_for_ever(volatile char *to)
{
	for (char letter = 0;; letter++)
		for (int i = 0; i < PAGES; i++)
			to[i * PAGE] = letter;
}

int main(int argc, char **argv)
{
	pid_t pid = getpid();
	char *stack;

	if (argc != 2)
		return 2;
	path = argv[1];
	region = mmap(NULL, (PAGES + GUARD) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (region == MAP_FAILED || stack == MAP_FAILED ||
	    mprotect((void *)region, PAGES * PAGE, PROT_READ | PROT_WRITE))
		return 2;
	if (madvise((void *)region, PAGES * PAGE, MADV_MERGEABLE))
		return 77;
	if (clone(inherit, stack + STACK, CLONE_VM | SIGCHLD, &pid) < 0)
		return 2;
	write_for_ever(region);
}

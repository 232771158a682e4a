// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that end, one after the other, while their memory is on another node: each writes to
 * pages at home, is moved, writes to them there, and ends in one of the ways below. Fails if one
 * does not end like that, or did not have its pages there; whether they have been given back is
 * for others to see.
 *
 *	emigrants [-n NODE] [-t FACTOR] PAGES COUNT
 */
#include "move.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, MOVE_MS = 20000, ENDED = 33 };

enum way {
	EXITS,		/* there */
	KILLED,		/* from home */
	EXECUTES,	/* another program */
	UNMAPS,		/* the pages, and exits */
	RETURNS,	/* without the pages, and exits */
	WAYS
};

/* A process, and who tells it when to go on, byte by byte. */
struct emigrant {
	enum way way;
	pid_t pid;
	int orders[2], reports[2];
};

static unsigned int node = 2, factor = 1, pages;
static int device;

static bool say(int pipe)
{
	return write(pipe, "", 1) == 1;
}

static bool hear(int pipe)
{
	char byte;

	return read(pipe, &byte, 1) == 1;
}

static bool report_and_wait(const struct emigrant *self)
{
	return say(self->reports[1]) && hear(self->orders[0]);
}

static void emigrate(const struct emigrant *self)
{
	volatile unsigned char *memory = mmap(NULL, (size_t)pages * PAGE, PROT_READ | PROT_WRITE,
					      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	close(self->orders[1]);
	close(self->reports[0]);
	if (memory == MAP_FAILED)
		_exit(1);
	/* Not of zeros, which would not be sent. */
	for (size_t i = 0; i < pages; i++)
		memory[i * PAGE] = i % 251 + 1;
	if (!report_and_wait(self))
		_exit(2);
	/* It has been moved. */
	for (size_t i = 0; i < pages; i++) {
		memory[i * PAGE + 1] = 1;
		if (memory[i * PAGE] != i % 251 + 1)
			_exit(3);
	}
	if (!report_and_wait(self))
		_exit(2);
	if (self->way == EXECUTES)
		execl("/proc/self/exe", "emigrants", NULL);
	if (self->way == UNMAPS && !munmap((void *)memory, (size_t)pages * PAGE))
		_exit(ENDED);
	_exit(self->way == EXECUTES || self->way == UNMAPS ? 4 : ENDED);
}

static bool moved(int error, const struct radium_move *move, const char *what)
{
	if (error)
		printf("%s: %s (%s)\n", what, strerror(-error), move_reason(move->reason));
	return !error;
}

static bool go_away(const struct emigrant *who)
{
	struct radium_move move;

	return moved(move_to(device, who->pid, node, 0, MOVE_MS * factor, &move), &move, "migrate");
}

static bool come_home(const struct emigrant *who)
{
	struct radium_move move;

	return moved(move_home(device, who->pid, 0, MOVE_MS * factor, &move), &move, "recall");
}

/* Of a page or two somebody at home may have had need. */
static bool pages_are_away(const struct emigrant *who)
{
	struct radium_process_info info = { 0 };

	if (process_info(device, who->pid, &info) && info.pages_away >= pages / 2)
		return true;
	printf("%llu of %u pages are away\n", (unsigned long long)info.pages_away, pages);
	return false;
}

/* Until its memory is away. */
static bool send_off(const struct emigrant *who)
{
	return hear(who->reports[0]) && go_away(who) && say(who->orders[1]) &&
	       hear(who->reports[0]) && pages_are_away(who);
}

static bool let_end(const struct emigrant *who)
{
	switch (who->way) {
	case KILLED:
		return !kill(who->pid, SIGKILL);
	case RETURNS:
		return come_home(who) && pages_are_away(who) && say(who->orders[1]);
	default:
		return say(who->orders[1]);
	}
}

static bool ended_so(int status, enum way way)
{
	if (way == KILLED)
		return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	return WIFEXITED(status) && WEXITSTATUS(status) == ENDED;
}

static bool make_one(enum way way)
{
	struct emigrant who = { .way = way };
	bool fine;
	int status;

	if (pipe(who.orders) || pipe(who.reports)) {
		perror("pipe");
		return false;
	}
	who.pid = fork();
	if (who.pid < 0) {
		perror("fork");
		return false;
	}
	if (!who.pid)
		emigrate(&who);
	close(who.orders[0]);
	close(who.reports[1]);
	fine = send_off(&who) && let_end(&who);
	if (!fine)
		kill(who.pid, SIGKILL);
	waitpid(who.pid, &status, 0);
	close(who.orders[1]);
	close(who.reports[0]);
	fine &= ended_so(status, way);
	if (!fine)
		printf("way %d: ended with status %x\n", way, status);
	return fine;
}

int main(int argc, char **argv)
{
	unsigned int count;
	int option;

	/* What one of them executes. */
	if (argc == 1)
		return ENDED;
	while ((option = getopt(argc, argv, "n:t:")) != -1) {
		if (option == 'n')
			node = atoi(optarg);
		else if (option == 't')
			factor = atoi(optarg);
	}
	if (optind + 2 != argc)
		return 2;
	pages = atoi(argv[optind]);
	count = atoi(argv[optind + 1]);
	device = move_open();
	if (device < 0) {
		perror(RADIUM_DEVICE);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IONBF, 0);
	for (unsigned int i = 0; i < count; i++)
		if (!make_one(i % WAYS))
			return 1;
	return 0;
}

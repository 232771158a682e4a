// SPDX-License-Identifier: GPL-2.0
/* Threads on one node, and files that keep them waiting, or that they close for each other. */
#include "crew.h"
#include "fuse.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static unsigned int node_away(void)
{
	unsigned int node;

	away();
	node = where();
	home();
	return node;
}

/* ---- a file whose content does not come ---- */

/* More than a node may have requests at once, and than it may have messages at once. */
enum { READERS = 80, CALLS_MS = 3000, LIMIT_MS = 20000 };

static struct hand readers[READERS];
static volatile uint64_t *content;

static void *read_page(struct hand *hand)
{
	/* Nothing else is fetched with it: each a page of its own, in no order. */
	EQUAL(content[(hand->number * 37 % READERS) * 512], hand->number * 37 % READERS + 1);
	return NULL;
}

/* Somebody else on that node, whose system calls home makes: one after the other, each told. */
static pid_t bystander(int told)
{
	pid_t pid = DO(fork());

	if (!pid) {
		for (;;)
			if (write(told, "c", 1) != 1)
				_exit(1);
	}
	away_pid(pid);
	return pid;
}

/* It goes on for so long, with no gap that anybody would notice. */
static bool goes_on(int told)
{
	uint64_t end = now_ns() + CALLS_MS * 1000000ull * slower();
	struct pollfd ready = { .fd = told, .events = POLLIN };
	char bytes[4096];

	while (now_ns() < end)
		if (poll(&ready, 1, LIMIT_MS * slower()) != 1 || read(told, bytes, sizeof(bytes)) < 1)
			return false;
	return true;
}

/*
 * Not the process itself, whose lock of its memory may be held as long as a page of it is read:
 * looks on as soon as the server has been asked, and then has it answer.
 */
static pid_t watcher(struct fuse_mount *fuse, int told)
{
	pid_t pid = DO(fork());
	bool good;
	char byte;

	if (pid)
		return pid;
	EQUAL(read(fuse->asked, &byte, 1), 1);
	good = goes_on(told);
	fuse_go_on(fuse);
	_exit(!good);
}

/*
 * Each of them has home wait for a page of the file: which is not answered, as long as the file
 * system's server likes. Those are their own waits, not those of everybody on the node.
 */
static void slow_file(void)
{
	struct fuse_mount fuse;
	unsigned int node;
	int told[2], file;
	pid_t other, watching;

	fuse_mount(&fuse, READERS);
	file = DO(open(fuse.file, O_RDONLY));
	content = DO(mmap(NULL, READERS * 4096, PROT_READ, MAP_PRIVATE, file, 0));
	DO(madvise((void *)content, READERS * 4096, MADV_RANDOM));
	DO(pipe(told));
	node = node_away();
	other = bystander(told[1]);
	watching = watcher(&fuse, told[0]);
	crew_start(readers, READERS, read_page, NULL);
	for (int i = 0; i < READERS; i++)
		crew_place(&readers[i], node);
	crew_go(readers, READERS);
	crew_join(readers, READERS);
	reap(watching);
	DO(kill(other, SIGKILL));
	EQUAL(waitpid(other, NULL, 0), other);
	close(file);
	fuse_unmount(&fuse);
}

/* ---- a file that another thread closes ---- */

enum { ROUNDS = 300, BUSY = 2 };

static struct {
	volatile int round, seen;
	int ends[2];
} closing ALONE;

static struct hand closers[2];

static void *close_and_say(struct hand *hand)
{
	(void)hand;
	for (int i = 1; i <= ROUNDS; i++) {
		DO(pipe(closing.ends));
		DO(close(closing.ends[1]));
		closing.round = i;
		while (closing.seen != i)
			sched_yield();
		DO(close(closing.ends[0]));
	}
	return NULL;
}

static void *find_it_closed(struct hand *hand)
{
	(void)hand;
	for (int i = 1; i <= ROUNDS; i++) {
		struct pollfd end;

		while (closing.round != i)
			sched_yield();
		end = (struct pollfd){ .fd = closing.ends[0], .events = POLLIN };
		EQUAL(poll(&end, 1, 0), 1);
		EQUAL(end.revents, POLLHUP);
		closing.seen = i;
	}
	return NULL;
}

/*
 * What close() does it has done when it returns, whoever looks, and however busy home is: the
 * kernel does it on the way back to user mode.
 */
static void closed_when_it_returns(void)
{
	unsigned int node = node_away();
	pid_t busy[BUSY];

	crew_start(closers, 1, close_and_say, NULL);
	crew_start(&closers[1], 1, find_it_closed, NULL);
	for (int i = 0; i < 2; i++)
		crew_place(&closers[i], node);
	for (int i = 0; i < BUSY; i++) {
		busy[i] = DO(fork());
		if (!busy[i])
			for (;;)
				;
	}
	crew_go(closers, 2);
	crew_join(closers, 2);
	for (int i = 0; i < BUSY; i++) {
		DO(kill(busy[i], SIGKILL));
		EQUAL(waitpid(busy[i], NULL, 0), busy[i]);
	}
}

int main(int argc, char **argv)
{
	const struct test_case cases[] = {
		CASE(slow_file), CASE(closed_when_it_returns),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What an ordinary user may do with /dev/radium, and what not; prints what is otherwise.
 *
 *	ordinary PID
 *
 * PID is a process of somebody else that is away. The caller may have all capabilities in a user
 * namespace of its own: they are worth nothing here.
 */
#include "move.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HOME = 1, AWAY = 2, ROOM = 64, PAGE = 4096, WAIT_MS = 60000, SOME_TOKEN = 12345 };

static int failures;

/* error 0: it is allowed. */
static void expect(const char *what, int result, int error)
{
	int found = result < 0 ? errno : 0;

	if (found != error) {
		printf("%s: errno %d instead of %d\n", what, found, error);
		failures++;
	}
}

static void expect_that(const char *what, bool so)
{
	if (!so) {
		printf("not so: %s\n", what);
		failures++;
	}
}

/* The same of the functions of move.h. */
static void expect_move(const char *what, int result, int error)
{
	errno = -result;
	expect(what, result, error);
}

static int list(int device, unsigned long request, pid_t pid, void *entries, size_t size,
		uint32_t *count)
{
	struct radium_list list = { .size = sizeof(list), .entry_size = size, .pid = pid,
				    .count = ROOM, .entries = (uintptr_t)entries };
	int result = ioctl(device, request, &list);

	*count = result ? 0 : list.count;
	return result;
}

static void of_the_cluster(int device, pid_t theirs)
{
	static struct radium_process_info processes[ROOM];
	static struct radium_node_info nodes[ROOM];
	bool seen = false;
	uint32_t count;

	expect("list of nodes", list(device, RADIUM_IOC_NODE_LIST, 0, nodes, sizeof(*nodes), &count), 0);
	expect_that("both nodes are listed", count == 2);
	expect("list of processes", list(device, RADIUM_IOC_PROCESS_LIST, 0, processes,
					 sizeof(*processes), &count), 0);
	for (uint32_t i = 0; i < count; i++)
		seen |= processes[i].pid == theirs;
	expect_that("the others' process is listed", seen);
}

static void of_others(int device, pid_t theirs)
{
	static char room[ROOM * sizeof(struct radium_thread_info)];
	struct radium_move move;
	uint32_t count;

	expect("their threads", list(device, RADIUM_IOC_THREAD_LIST, theirs, room,
				     sizeof(struct radium_thread_info), &count), EPERM);
	expect("their pages", list(device, RADIUM_IOC_PAGE_LIST, theirs, room,
				   sizeof(struct radium_page_info), &count), EPERM);
	expect("counts of their pages", list(device, RADIUM_IOC_PAGE_COUNT_LIST, theirs, room,
					     sizeof(struct radium_page_count), &count), EPERM);
	for (int node = HOME; node <= AWAY; node++) {
		expect_move("move of theirs", move_to(device, theirs, node, 0, WAIT_MS, &move), EPERM);
		expect_that("the move says why", move.reason == RADIUM_R_NOT_PERMITTED);
	}
	expect_move("recall of theirs", move_home(device, theirs, RADIUM_MOVE_ALL_PAGES, WAIT_MS, &move),
		    EPERM);
	expect_that("the recall says why", move.reason == RADIUM_R_NOT_PERMITTED);
}

static void of_administrators(int device)
{
	static struct radium_node_join join = {
		.size = sizeof(join), .id = 1, .addr = "10.77.0.1", .replica = "/bin/true",
	};
	struct radium_node_leave leave = { .size = sizeof(leave), .drain = 1 };
	struct radium_replica replica = { .size = sizeof(replica), .token = SOME_TOKEN };

	expect("join", ioctl(device, RADIUM_IOC_NODE_JOIN, &join), EPERM);
	expect("leave", ioctl(device, RADIUM_IOC_NODE_LEAVE, &leave), EPERM);
	expect("drain", ioctl(device, RADIUM_IOC_NODE_DRAIN, &leave), EPERM);
	expect("replica without a token", ioctl(device, RADIUM_IOC_REPLICA, &replica), ENOENT);
	expect("window without a replica", mmap(NULL, PAGE, PROT_READ, MAP_SHARED, device, 0) ==
	       MAP_FAILED ? -1 : 0, ENODEV);
}

static bool heard(int device, int ms)
{
	struct pollfd events = { .fd = device, .events = POLLIN };

	return poll(&events, 1, ms) == 1 && events.revents == POLLIN;
}

/* The event of the caller's own move is among all users'. */
static bool moved(int device)
{
	struct radium_event event;

	while (heard(device, WAIT_MS))
		if (read(device, &event, sizeof(event)) == sizeof(event) &&
		    event.type == RADIUM_EVENT_MIGRATED && event.pid == getpid())
			return true;
	return false;
}

static void of_its_own(int device)
{
	static struct radium_page_count counts[ROOM];
	struct radium_spread spread = { .size = sizeof(spread), .nodes = 1 << (HOME - 1) };
	struct radium_thread_info info;
	uint32_t count;

	heard(device, 0);		/* from now on it listens */
	expect_move("move of its own", move_to(device, getpid(), AWAY, RADIUM_MOVE_SELF, WAIT_MS,
					       NULL), 0);
	expect_that("its thread is listed, and has moved", move_info(device, getpid(), &info) &&
		    info.wanted == AWAY && info.migrations > 0);
	expect("counts of its pages", list(device, RADIUM_IOC_PAGE_COUNT_LIST, getpid(), counts,
					   sizeof(*counts), &count), 0);
	expect_that("its move is told", moved(device));
	expect_move("move home", move_to(device, getpid(), HOME, RADIUM_MOVE_SELF, WAIT_MS, NULL),
		    0);
	expect("spread", ioctl(device, RADIUM_IOC_SPREAD, &spread), 0);
}

int main(int argc, char **argv)
{
	int device = move_open();
	pid_t theirs = argc == 2 ? atoi(argv[1]) : 0;

	if (device < 0) {
		perror(RADIUM_DEVICE);
		return 1;
	}
	if (theirs <= 0)
		return 2;
	of_the_cluster(device, theirs);
	of_others(device, theirs);
	of_administrators(device);
	of_its_own(device);
	return failures ? 1 : 0;
}

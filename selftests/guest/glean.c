// SPDX-License-Identifier: GPL-2.0
/*
 * Leaves something in memory that travels, or looks for what others have left there.
 *
 *	glean leave HOME NODE	writes to pages on a node, and fetches them home
 *	glean look HOME NODE	how many pages have something in them that this process has never
 *				written, on the node, and when they have come home from there, and
 *				how many of these have nothing in them, not even what it has written
 */
#include "move.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	PAGE = 4096, PAGES = 256, MOVE_MS = 30000, LEFT = 0xa7,
	OWN = 0x11,	/* hostile/peer.patch knows it */
};

static void move(int device, unsigned int node)
{
	int err = move_to(device, getpid(), node, RADIUM_MOVE_SELF, MOVE_MS, NULL);

	if (err) {
		fprintf(stderr, "move to %u: %s\n", node, strerror(-err));
		exit(1);
	}
}

/* Pages with something in them that is neither zero nor this. */
static int look(const unsigned char *memory, unsigned char own)
{
	int found = 0;

	for (int i = 0; i < PAGES; i++) {
		int wrong = 0;

		for (int j = 0; j < PAGE; j++)
			wrong |= memory[i * PAGE + j] && memory[i * PAGE + j] != own;
		found += wrong;
	}
	return found;
}

/* Pages with nothing in them. */
static int empty(const unsigned char *memory)
{
	static const unsigned char nothing[PAGE];
	int found = 0;

	for (int i = 0; i < PAGES; i++)
		found += !memcmp(memory + i * PAGE, nothing, PAGE);
	return found;
}

int main(int argc, char **argv)
{
	unsigned int home = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
	unsigned int node = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	bool leaves = home && !strcmp(argv[1], "leave");
	unsigned char *memory;
	int device, there;

	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	device = move_open();
	if (!home || !node || memory == MAP_FAILED || device < 0)
		return 2;
	move(device, node);
	there = leaves ? 0 : look(memory, 0);
	memset(memory, leaves ? LEFT : OWN, PAGES * PAGE);
	move(device, home);
	if (leaves)
		return look(memory, LEFT);
	printf("%d %d %d\n", there, look(memory, OWN), empty(memory));
	return 0;
}

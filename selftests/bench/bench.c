// SPDX-License-Identifier: GPL-2.0
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int device = -1;

void die(const char *what, int error)
{
	fprintf(stderr, "%s: %s\n", what, strerror(error));
	exit(1);
}

void open_device(void)
{
	device = move_open();
	if (device < 0)
		die(RADIUM_DEVICE, errno);
}

void go(unsigned int node)
{
	int error = move_to(device, getpid(), node, RADIUM_MOVE_SELF, MOVE_MS, NULL);

	if (error)
		die("move", -error);
}

void print_times(const uint64_t *times, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		printf("%llu\n", (unsigned long long)times[i]);
}

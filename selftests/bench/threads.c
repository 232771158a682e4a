// SPDX-License-Identifier: GPL-2.0
/*
 * What threads of one process pay for being on several machines. The thread that began is
 * at home, node 1. Prints one time in ns per line.
 *
 *	threads third COUNT	pages that a thread on node 2 owns, read by one on node 3
 *	threads upgrade COUNT	pages that node 2 and home read, written to by node 2
 */
#include "bench.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static unsigned int count;
static volatile char *pages;
static uint64_t *times;
static pthread_barrier_t barrier;

static void meet(void)
{
	pthread_barrier_wait(&barrier);
}

/* Every page once, in an order that no look-ahead can guess; its own variables are local. */
static void touch(bool write)
{
	for (unsigned int i = 0, at = 0; i < count; i++) {
		uint64_t start;

		at = (at + 7919) % count;
		times[i] = 1;	/* the page of this entry is here when the clock starts */
		start = now_ns();
		if (write)
			pages[at * (size_t)PAGE] = 1;
		else
			(void)pages[at * (size_t)PAGE];
		times[i] = now_ns() - start;
	}
}

static void fill(void)
{
	for (unsigned int i = 0; i < count; i++)
		pages[i * (size_t)PAGE] = i + 1;
}

static void *owner(void *unused)
{
	go(2);
	fill();
	meet();
	meet();
	return unused;
}

static void *third(void *unused)
{
	go(3);
	meet();
	touch(false);
	meet();
	return unused;
}

static void *upgrader(void *unused)
{
	go(2);
	fill();
	meet();
	meet();
	touch(true);
	return unused;
}

static void measure_third(void)
{
	pthread_t a, b;

	pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&a, NULL, owner, NULL) || pthread_create(&b, NULL, third, NULL))
		die("pthread_create", errno);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
}

static void measure_upgrade(void)
{
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&thread, NULL, upgrader, NULL))
		die("pthread_create", errno);
	meet();
	for (unsigned int i = 0; i < count; i++)
		(void)pages[i * (size_t)PAGE];
	meet();
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	count = atoi(argv[2]);
	times = calloc(count, sizeof(*times));
	open_device();
	pages = mmap(NULL, count * (size_t)PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		die("mmap", errno);
	if (!strcmp(argv[1], "third"))
		measure_third();
	else
		measure_upgrade();
	print_times(times, count);
	return 0;
}

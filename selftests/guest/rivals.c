// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that count, each its own word, until they are killed. The words of the first of them,
 * the rivals, are in one page, those of the others have a page each.
 *
 *	rivals FILE [RIVALS [LONERS [checked]]]
 *
 * There are two and two if nothing else is said. FILE gets a line for each thread, rivals first:
 * its number, the address of its word. Checked: each knows what it has counted, and ends the
 * process if its word does not.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 4096, MOST = 16, APART = PAGE / MOST, LOST = 3 };

static struct rival {
	volatile unsigned long *word;
	pid_t tid;
} rivals[MOST];
static pthread_barrier_t known;

static volatile unsigned long *begin(struct rival *rival)
{
	rival->tid = gettid();
	pthread_barrier_wait(&known);
	return rival->word;
}

/* With the same registers each time, as one that gets nowhere: see kmod/stay.h. */
static void *count_up(void *argument)
{
	volatile unsigned long *word = begin(argument);

	for (;;)
		++*word;
	return NULL;
}

static void *count_up_checked(void *argument)
{
	volatile unsigned long *word = begin(argument);

	for (unsigned long counted = 1; ++*word == counted; counted++)
		;
	_exit(LOST);
}

int main(int argc, char **argv)
{
	FILE *file = argc > 1 ? fopen(argv[1], "w") : NULL;
	int count = argc > 2 ? atoi(argv[2]) : 2, loners = argc > 3 ? atoi(argv[3]) : 2;
	void *(*how)(void *) = argc > 4 && !strcmp(argv[4], "checked") ? count_up_checked : count_up;
	int threads = count + loners;
	pthread_t thread;
	char *memory;

	if (!file || count < 1 || loners < 0 || threads > MOST)
		return 2;
	/* Pages of the heap, so that their place has a name. */
	memory = aligned_alloc(PAGE, (1 + loners) * PAGE);
	if (!memory)
		return 2;
	memset(memory, 0, (1 + loners) * PAGE);
	pthread_barrier_init(&known, NULL, threads + 1);
	for (int i = 0; i < threads; i++) {
		char *place = i < count ? memory + i * APART : memory + (1 + i - count) * PAGE;

		rivals[i].word = (volatile unsigned long *)place;
		if (pthread_create(&thread, NULL, how, &rivals[i]))
			return 2;
	}
	pthread_barrier_wait(&known);
	for (int i = 0; i < threads; i++)
		fprintf(file, "%d %lu\n", rivals[i].tid, (unsigned long)rivals[i].word);
	fclose(file);
	for (;;)
		pause();
}

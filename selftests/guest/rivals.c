// SPDX-License-Identifier: GPL-2.0
/*
 * Four threads that count, each its own word, until they are killed. Two of the words are
 * in one page, the others have a page each.
 *
 *	rivals FILE
 *
 * FILE gets a line for each thread: its number, the address of its word.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 4096, RIVALS = 2, LONERS = 2, THREADS = RIVALS + LONERS };

static struct rival {
	volatile unsigned long *word;
	pid_t tid;
} rivals[THREADS];
static pthread_barrier_t known;

static void *count(void *argument)
{
	struct rival *rival = argument;
	volatile unsigned long *word = rival->word;

	rival->tid = gettid();
	pthread_barrier_wait(&known);
	for (;;)
		++*word;
	return NULL;
}

int main(int argc, char **argv)
{
	/* Pages of the heap, so that their place has a name. */
	char *memory = aligned_alloc(PAGE, (1 + LONERS) * PAGE);
	FILE *file = argc > 1 ? fopen(argv[1], "w") : NULL;
	pthread_t thread;

	if (!memory || !file)
		return 2;
	memset(memory, 0, (1 + LONERS) * PAGE);
	pthread_barrier_init(&known, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++) {
		char *place = i < RIVALS ? memory + i * PAGE / RIVALS :
					   memory + (1 + i - RIVALS) * PAGE;

		rivals[i].word = (volatile unsigned long *)place;
		if (pthread_create(&thread, NULL, count, &rivals[i]))
			return 2;
	}
	pthread_barrier_wait(&known);
	for (int i = 0; i < THREADS; i++)
		fprintf(file, "%d %lu\n", rivals[i].tid, (unsigned long)rivals[i].word);
	fclose(file);
	for (;;)
		pause();
}

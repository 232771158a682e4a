// SPDX-License-Identifier: GPL-2.0
/*
 * Threads everywhere add to random bytes of a few shared pages, each under the lock of its
 * page, and read pages without a lock.
 *
 *	sweep [-n NODE,NODE... [-m MEAN_MS]] [-j THREADS] [-d SECONDS] [-s SEED] [-t FACTOR]
 *
 * Half of the pages have a spin lock in them, half a mutex. Each thread keeps a shadow of
 * what it has added, in pages of its own; at the end every byte has to be the sum of the
 * shadows. While they run, whoever holds a page's lock finds the sum of its bytes in the
 * page's total; so does a reader between whose looks at the page's sequence number nothing
 * was written; and neither number is ever seen to go back.
 *
 * With -n the threads are on these nodes, and move about with -m. SIGTERM ends it early, in order.
 */
#include "roam.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 6, BYTES = 3968, ADDED = 8 };

static struct shared {
	uint32_t spin;
	uint32_t sequence;			/* odd while it is written to */
	uint64_t total;				/* of all bytes, not cut to one */
	pthread_mutex_t mutex;
	uint8_t byte[BYTES] __attribute__((aligned(64)));
} __attribute__((aligned(PAGE))) shared[PAGES];

static volatile sig_atomic_t stopped __attribute__((aligned(PAGE)));

/* A thread's own: nobody else looks at it before the thread has ended. */
static struct own {
	unsigned int number;
	uint64_t state;
	uint64_t end_ns;
	bool moved;
	pid_t tid;
	const char *error;
	unsigned int error_page;
	uint64_t seen_total[PAGES];
	uint32_t seen_sequence[PAGES];
	uint64_t changes[2], scans, torn;	/* changes: under a spin lock, a mutex */
	uint8_t shadow[PAGES][BYTES];
} __attribute__((aligned(PAGE))) own[ROAM_THREADS];

static struct {
	struct roam roam;
	unsigned int threads, seconds;
} option = { .threads = 6, .seconds = 10, .roam = { .seed = 1, .limit_s = 60, .slow = 1 } };

static pthread_barrier_t born;

static bool has_mutex(unsigned int page)
{
	return page % 2;
}

/* Looks seldom, and longer each time that it looks in vain: each look may take the page away
 * from its holder. */
static void spin_lock(struct own *me, uint32_t *word)
{
	uint64_t ns = me->moved ? 50000 : 100;

	for (;;) {
		uint32_t expected = 0;
		uint64_t until;

		__asm__ volatile ("lock cmpxchgl %2, %1"
				  : "+a" (expected), "+m" (*word) : "r" (me->number + 1) : "memory");
		if (!expected)
			return;
		until = now_ns() + roam_random(&me->state) % ns;
		while (now_ns() < until)
			sched_yield();
		if (ns < 20000000)
			ns *= 2;
	}
}

/* A plain store is enough: it does not overtake those before it. */
static void spin_unlock(uint32_t *word)
{
	__asm__ volatile ("movl $0, %0" : "=m" (*word) :: "memory");
}

static void lock(struct own *me, unsigned int page)
{
	if (has_mutex(page))
		pthread_mutex_lock(&shared[page].mutex);
	else
		spin_lock(me, &shared[page].spin);
}

static void unlock(unsigned int page)
{
	if (has_mutex(page))
		pthread_mutex_unlock(&shared[page].mutex);
	else
		spin_unlock(&shared[page].spin);
}

static bool wrong(struct own *me, unsigned int page, const char *what)
{
	me->error = what;
	me->error_page = page;
	return false;
}

/* Numbers that only grow. */
static bool grown(struct own *me, unsigned int page, uint64_t total, uint32_t sequence)
{
	if (total < me->seen_total[page])
		return wrong(me, page, "the total has gone back");
	if ((int32_t)(sequence - me->seen_sequence[page]) < 0)
		return wrong(me, page, "the sequence number has gone back");
	me->seen_total[page] = total;
	me->seen_sequence[page] = sequence;
	return true;
}

static uint8_t sum(const uint8_t *bytes)
{
	uint8_t sum = 0;

	for (unsigned int i = 0; i < BYTES; i++)
		sum += __atomic_load_n(&bytes[i], __ATOMIC_RELAXED);
	return sum;
}

static bool change(struct own *me, unsigned int page)
{
	struct shared *at = &shared[page];
	unsigned int count = 1 + roam_random(&me->state) % ADDED;
	bool fine;

	lock(me, page);
	fine = grown(me, page, at->total, at->sequence);
	if (fine && sum(at->byte) != (uint8_t)at->total)
		fine = wrong(me, page, "the bytes are not the total, under the lock");
	if (fine && at->sequence % 2)
		fine = wrong(me, page, "somebody writes, too, under the lock");
	__atomic_store_n(&at->sequence, at->sequence + 1, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_RELEASE);	/* for the compiler only */
	for (unsigned int i = 0; fine && i < count; i++) {
		unsigned int byte = roam_random(&me->state) % BYTES;

		*(volatile uint8_t *)&at->byte[byte] += 1;
		me->shadow[page][byte]++;
	}
	at->total += fine ? count : 0;
	__atomic_store_n(&at->sequence, at->sequence + 1, __ATOMIC_RELEASE);
	me->seen_total[page] = at->total;
	me->seen_sequence[page] = at->sequence;
	unlock(page);
	me->changes[has_mutex(page)]++;
	return fine;
}

static bool scan(struct own *me, unsigned int page)
{
	const struct shared *at = &shared[page];
	uint32_t sequence = __atomic_load_n(&at->sequence, __ATOMIC_ACQUIRE), again;
	uint64_t total = __atomic_load_n(&at->total, __ATOMIC_ACQUIRE);
	uint8_t bytes = sum(at->byte);

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	again = __atomic_load_n(&at->sequence, __ATOMIC_ACQUIRE);
	if (!grown(me, page, total, sequence) || !grown(me, page, total, again))
		return false;
	me->scans++;
	if (sequence % 2 || sequence != again)
		me->torn++;
	else if (bytes != (uint8_t)total)
		return wrong(me, page, "the bytes are not the total, in a page that is not written to");
	return true;
}

static void *run_thread(void *argument)
{
	struct own *me = argument;

	me->tid = gettid();
	pthread_barrier_wait(&born);	/* they are known */
	pthread_barrier_wait(&born);	/* they are in their places */
	while (!me->error && !stopped && now_ns() < me->end_ns) {
		unsigned int page = roam_random(&me->state) % PAGES;

		if (roam_random(&me->state) % 3)
			change(me, page);
		else
			for (unsigned int i = 0; i < PAGES && !me->error; i++)
				scan(me, (page + i) % PAGES);
	}
	return NULL;
}

/* Every byte against the shadows. */
static unsigned int differences(void)
{
	unsigned int count = 0;

	for (unsigned int page = 0; page < PAGES; page++) {
		for (unsigned int byte = 0; byte < BYTES; byte++) {
			uint8_t expected = 0;

			for (unsigned int i = 0; i < option.threads; i++)
				expected += own[i].shadow[page][byte];
			if (shared[page].byte[byte] != expected && count++ < 10)
				printf("page %u, byte %u: %u, not %u\n", page, byte,
				       shared[page].byte[byte], expected);
		}
	}
	return count;
}

static bool report(double seconds)
{
	uint64_t changes[2] = { 0 }, scans = 0, torn = 0, least = UINT64_MAX;
	unsigned int wrong_bytes = differences();
	bool fine = !wrong_bytes;

	for (unsigned int i = 0; i < option.threads; i++) {
		uint64_t mine = own[i].changes[0] + own[i].changes[1];

		changes[0] += own[i].changes[0];
		changes[1] += own[i].changes[1];
		scans += own[i].scans;
		torn += own[i].torn;
		least = mine < least ? mine : least;
		if (own[i].error) {
			printf("thread %u, page %u: %s\n", i, own[i].error_page, own[i].error);
			fine = false;
		}
	}
	printf("%u threads, %.1f s: %llu changes under spin locks, %llu under mutexes, by each "
	       "thread at least %llu; %llu scans, %llu met a writer; %u bytes wrong\n",
	       option.threads, seconds, (unsigned long long)changes[0],
	       (unsigned long long)changes[1], (unsigned long long)least,
	       (unsigned long long)scans, (unsigned long long)torn, wrong_bytes);
	if (!least || scans == torn) {
		puts("a thread has done nothing, or nothing was seen");
		fine = false;
	}
	return fine;
}

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static int run(void *argument)
{
	pthread_t thread[ROAM_THREADS];
	pid_t tids[ROAM_THREADS];
	uint64_t start;

	(void)argument;
	signal(SIGTERM, stop);
	pthread_barrier_init(&born, NULL, option.threads + 1);
	for (unsigned int i = 0; i < PAGES; i++)
		pthread_mutex_init(&shared[i].mutex, NULL);
	for (unsigned int i = 0; i < option.threads; i++) {
		own[i].number = i;
		own[i].moved = option.roam.nodes;
		own[i].state = option.roam.seed * 7919 + i + 1;
		if (pthread_create(&thread[i], NULL, run_thread, &own[i]))
			return 2;
	}
	pthread_barrier_wait(&born);
	for (unsigned int i = 0; i < option.threads; i++)
		tids[i] = own[i].tid;
	roam_begin(tids, option.threads, shared, sizeof(shared));
	start = now_ns();
	for (unsigned int i = 0; i < option.threads; i++)
		own[i].end_ns = start + option.seconds * 1000000000ull;
	pthread_barrier_wait(&born);
	while (!stopped && now_ns() < start + option.seconds * 1000000000ull) {
		usleep(200000);
		roam_alive();
	}
	for (unsigned int i = 0; i < option.threads; i++)
		pthread_join(thread[i], NULL);
	roam_alive();
	roam_report();
	return report((now_ns() - start) / 1e9) ? 0 : 1;
}

int main(int argc, char **argv)
{
	int letter;

	while ((letter = getopt(argc, argv, ROAM_OPTIONS "j:d:")) != -1) {
		switch (letter) {
		case 'j': option.threads = atoi(optarg); break;
		case 'd': option.seconds = atoi(optarg); break;
		default:
			if (!roam_option(&option.roam, letter, optarg))
				return 2;
		}
	}
	if (!option.threads || option.threads > ROAM_THREADS)
		return 2;
	/* Not for who moves the threads. */
	signal(SIGTERM, SIG_IGN);
	return roam_run(&option.roam, run, NULL);
}

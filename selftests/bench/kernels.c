// SPDX-License-Identifier: GPL-2.0
/*
 * Parallel kernels of two threads, which are both at home, on node 1, or one of them on
 * node 2. Each checks its result. Prints the time of each round in ns.
 *
 *	kernels region|ep|half|pipe|stencil NODES ROUNDS
 *
 * Machines have one CPU each, so that the best that a second one can give is half the time.
 * What it costs is what the threads have to tell each other, ten journeys of pages and two
 * futex calls or so for a parallel region or a barrier: how much is computed in between
 * decides the ratio, and is said at each kernel. The move itself is not in the time, what
 * is fetched for the first time is.
 */
#include "bench.h"
#include "nas.h"

#include <errno.h>
#include <math.h>
#include <omp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PADDED __attribute__((aligned(PAGE)))

static unsigned int nodes;

/* The thread that calls goes to node 2, if there are two. */
static void spread(void)
{
	if (nodes > 1)
		go(2);
}

static void spread_team(void)
{
	omp_set_dynamic(0);
	omp_set_num_threads(2);
#pragma omp parallel
	if (omp_get_thread_num() == 1)
		spread();
}

/* What a parallel region with a reduction costs when there is nothing to do in it. */
static void region(void)
{
	int present = 0;

#pragma omp parallel reduction(+ : present)
	present++;
	if (present != 2)
		die("region", EIO);
}

static void ep(void)
{
	if (!nas_ep())
		die("ep", EIO);
}

static void half(void)
{
	if (!nas_ep_half())
		die("half", EIO);
}

static void stay(void)
{
}

/*
 * Producer and consumer: blocks of 32 KiB through a ring of four, with a semaphore for each
 * direction, all in pages of their own. Both make as many draws for each value, 120 million
 * for a block; a block takes 20 journeys of pages and two futex calls.
 */
enum { BLOCK = 8 * PAGE / sizeof(uint64_t), RING = 4, BLOCKS = 16, DRAWS = 30000 };

static struct {
	PADDED uint64_t blocks[RING][BLOCK];
	PADDED sem_t full;
	PADDED sem_t empty;
	PADDED uint64_t sum;
} ring;

static uint64_t stage(uint64_t x)
{
	for (int i = 0; i < DRAWS; i++)
		nas_draw(&x);
	return x;
}

static void *consume(void *unused)
{
	spread();
	for (int i = 0; i < RING; i++)
		sem_post(&ring.empty);
	for (int block = 0;; block++) {
		sem_wait(&ring.full);
		for (unsigned int i = 0; i < BLOCK; i++)
			ring.sum += stage(ring.blocks[block % RING][i]);
		sem_post(&ring.empty);
	}
	return unused;
}

static void wait_until_empty(void)
{
	for (int i = 0; i < RING; i++)
		sem_wait(&ring.empty);
	for (int i = 0; i < RING; i++)
		sem_post(&ring.empty);
}

static void start_consumer(void)
{
	pthread_t thread;

	sem_init(&ring.full, 0, 0);
	sem_init(&ring.empty, 0, 0);
	if (pthread_create(&thread, NULL, consume, NULL))
		die("pthread_create", errno);
	wait_until_empty();
}

static void produce(void)
{
	const uint64_t both = nas_draws(2 * DRAWS);
	static uint64_t expected;
	static int block;

	for (int i = 0; i < BLOCKS; i++, block++) {
		sem_wait(&ring.empty);
		for (uint64_t j = 0; j < BLOCK; j++) {
			ring.blocks[block % RING][j] = stage(block + j);
			expected += (block + j) * both % NAS_MODULUS;
		}
		sem_post(&ring.full);
	}
	wait_until_empty();
	if (ring.sum != expected)
		die("pipe", EIO);
}

/*
 * Stencil: Jacobi's iteration for the Laplace equation on a plate, nine points, one row in
 * each page. Each thread has half of the rows, and touches them first. A sweep ends at a
 * barrier and begins with the neighbour's nearest row: a million and a half of points
 * for a thread, and with the barrier ten journeys of pages and a futex call or two.
 */
enum { COLUMNS = PAGE / sizeof(double), ROWS = 6144, SWEEPS = 8 };

typedef double plate[ROWS + 2][COLUMNS];

static PADDED plate plates[2];

/* A sweep makes this wave smaller, by a known factor, and does not change its shape. */
static double wave(int row, int column)
{
	return sin(M_PI * 2 * row / (ROWS + 1)) * sin(M_PI * column / (COLUMNS - 1));
}

static double factor(void)
{
	double a = cos(M_PI * 2 / (ROWS + 1)), b = cos(M_PI / (COLUMNS - 1));

	return (2 * (a + b) + a * b) / 5;
}

static void fill_plates(void)
{
	spread_team();
#pragma omp parallel for schedule(static)
	for (int row = 1; row <= ROWS; row++)
		for (int column = 1; column < COLUMNS - 1; column++)
			plates[0][row][column] = plates[1][row][column] = wave(row, column);
}

static void sweep(plate to, plate from)
{
#pragma omp for schedule(static)
	for (int row = 1; row <= ROWS; row++) {
		const double *n = from[row - 1], *here = from[row], *s = from[row + 1];

		for (int i = 1; i < COLUMNS - 1; i++)
			to[row][i] = (4 * (n[i] + s[i] + here[i - 1] + here[i + 1]) +
				      n[i - 1] + n[i + 1] + s[i - 1] + s[i + 1]) / 20;
	}
}

static void stencil(void)
{
#pragma omp parallel
	for (int i = 0; i < SWEEPS; i += 2) {
		sweep(plates[1], plates[0]);
		sweep(plates[0], plates[1]);
	}
}

static void check_plates(unsigned int rounds)
{
	double rest = pow(factor(), rounds * SWEEPS);
	bool wrong = false;

#pragma omp parallel for schedule(static) reduction(|| : wrong)
	for (int row = 1; row <= ROWS; row++)
		for (int column = 1; column < COLUMNS - 1; column++)
			wrong |= fabs(plates[0][row][column] - rest * wave(row, column)) > 1e-9;
	if (wrong)
		die("stencil", EIO);
}

static const struct kernel {
	const char *name;
	void (*begin)(void);
	void (*round)(void);
	void (*end)(unsigned int rounds);
} kernels[] = {
	{ "region", spread_team, region, NULL },
	{ "ep", spread_team, ep, NULL },
	{ "half", stay, half, NULL },
	{ "pipe", start_consumer, produce, NULL },
	{ "stencil", fill_plates, stencil, check_plates },
};

int main(int argc, char **argv)
{
	const struct kernel *kernel = kernels;
	unsigned int rounds;

	if (argc != 4)
		return 2;
	while (strcmp(kernel->name, argv[1]))
		if (++kernel == kernels + sizeof(kernels) / sizeof(*kernels))
			return 2;
	nodes = atoi(argv[2]);
	rounds = atoi(argv[3]);
	open_device();
	kernel->begin();
	for (unsigned int i = 0; i < rounds; i++) {
		uint64_t start = now_ns();

		kernel->round();
		printf("%llu\n", (unsigned long long)(now_ns() - start));
	}
	if (kernel->end)
		kernel->end(rounds);
	return 0;
}

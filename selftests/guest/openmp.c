// SPDX-License-Identifier: GPL-2.0
/* Loops, reductions, tasks and locks of OpenMP, whose result does not depend on who did what. */
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 48 };

static double a[N][N], b[N][N], c[N][N];

static uint64_t fibonacci(unsigned int n)
{
	uint64_t x, y;

	if (n < 12)
		return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
#pragma omp task shared(x)
	x = fibonacci(n - 1);
	y = fibonacci(n - 2);
#pragma omp taskwait
	return x + y;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 5;
	uint64_t sum = 0, found = 0, locked = 0;
	omp_lock_t lock;

	omp_set_dynamic(0);
	omp_set_num_threads(4);
	omp_init_lock(&lock);
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++) {
			a[i][j] = i + j;
			b[i][j] = i - j;
		}
	for (int round = 0; round < rounds; round++) {
#pragma omp parallel for schedule(dynamic, 4)
		for (int i = 0; i < N; i++)
			for (int j = 0; j < N; j++) {
				c[i][j] = 0;
				for (int k = 0; k < N; k++)
					c[i][j] += a[i][k] * b[k][j];
			}
#pragma omp parallel for reduction(+:sum)
		for (int i = 0; i < N; i++)
			for (int j = 0; j < N; j++)
				sum += (uint64_t)(int64_t)c[i][j];
#pragma omp parallel
		{
#pragma omp single
			found += fibonacci(17);
#pragma omp barrier
			omp_set_lock(&lock);
			locked++;
			omp_unset_lock(&lock);
#pragma omp atomic
			found += 1;
		}
	}
	omp_destroy_lock(&lock);
	printf("%llu %llu %llu\n", (unsigned long long)sum, (unsigned long long)found,
	       (unsigned long long)locked);
	return 0;
}

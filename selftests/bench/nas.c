// SPDX-License-Identifier: GPL-2.0
#include "nas.h"

#include <math.h>

/* NAS_FACTOR^n: n draws at once. */
uint64_t nas_draws(uint64_t n)
{
	uint64_t power = NAS_FACTOR, product = 1;

	for (; n; n >>= 1, power = power * power % NAS_MODULUS)
		if (n & 1)
			product = product * power % NAS_MODULUS;
	return product;
}

/*
 * EP of the NAS Parallel Benchmarks (Bailey et al., RNR-94-007), class W: 2^25 pairs of
 * random numbers, which give pairs of Gaussian deviates, summed up and counted in square
 * annuli. One parallel region with a reduction at its end; seconds of computing in it.
 */
enum { BATCH = 1 << 16, BATCHES = 1 << 9, SEED = 271828183, ANNULI = 10 };

static void ep_batch(int batch, double *sx, double *sy, double *counts)
{
	uint64_t seed = SEED * nas_draws(2ull * BATCH * batch) % NAS_MODULUS;

	for (int i = 0; i < BATCH; i++) {
		double x = 2.0 * nas_draw(&seed) / NAS_MODULUS - 1;
		double y = 2.0 * nas_draw(&seed) / NAS_MODULUS - 1;
		double t = x * x + y * y;

		if (t > 1)
			continue;
		t = sqrt(-2 * log(t) / t);
		x *= t;
		y *= t;
		counts[(int)fmax(fabs(x), fabs(y))]++;
		*sx += x;
		*sy += y;
	}
}

bool nas_ep(void)
{
	const double sum_x = -2.863319731645753e+3, sum_y = -6.320053679109499e+3;
	double sx = 0, sy = 0, counts[ANNULI] = { 0 }, pairs = 0;

#pragma omp parallel for schedule(static) reduction(+ : sx, sy, counts)
	for (int batch = 0; batch < BATCHES; batch++)
		ep_batch(batch, &sx, &sy, counts);
	for (int i = 0; i < ANNULI; i++)
		pairs += counts[i];
	/* The published sums, within the published tolerance; pi/4 of the pairs are in the circle. */
	return fabs((sx - sum_x) / sum_x) <= 1e-8 && fabs((sy - sum_y) / sum_y) <= 1e-8 &&
	       fabs(pairs / BATCH / BATCHES - M_PI_4) <= 1e-3;
}

/*
 * One thread's half of it, by a process that has no other and stays: what two such, one on
 * each machine, need is what the best of all spreading could give on this host.
 */
bool nas_ep_half(void)
{
	double sx = 0, sy = 0, counts[ANNULI] = { 0 };

	for (int batch = 0; batch < BATCHES / 2; batch++)
		ep_batch(batch, &sx, &sy, counts);
	return counts[0] > 0 && isfinite(sx + sy);
}

/* SPDX-License-Identifier: GPL-2.0 */
/* EP of the NAS Parallel Benchmarks, and their generator. */
#ifndef RADIUM_BENCH_NAS_H
#define RADIUM_BENCH_NAS_H

#include <stdbool.h>
#include <stdint.h>

#define NAS_FACTOR	1220703125ull
#define NAS_MODULUS	(1ull << 46)

/* The generator: x = 5^13 x mod 2^46. */
static inline uint64_t nas_draw(uint64_t *x)
{
	return *x = *x * NAS_FACTOR % NAS_MODULUS;
}

uint64_t nas_draws(uint64_t n);
bool nas_ep(void);
bool nas_ep_half(void);

#endif

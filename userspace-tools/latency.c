// SPDX-License-Identifier: GPL-2.0
/* Percentiles of the kernel's log2 histograms. */
#include "radctl.h"

/* Where bucket @i ends: a measured time was less than this. The last one has no end. */
static uint64_t bucket_end(unsigned int i)
{
	return 2ULL << i;
}

static uint64_t percentile(const __u64 *buckets, uint64_t count, unsigned int percent)
{
	uint64_t rank = count - count * (100 - percent) / 100, seen = 0;
	unsigned int i;

	for (i = 0; i < RADIUM_LATENCY_BUCKETS - 1; i++) {
		seen += buckets[i];
		if (seen >= rank)
			break;
	}
	return bucket_end(i);
}

/**
 * latency_of() - sum up a histogram
 * @latency: out: the number of values, and upper bounds of the percentiles in ns,
 *	the end of the bucket in which each lies; all 0 if the histogram is empty
 */
void latency_of(const __u64 buckets[RADIUM_LATENCY_BUCKETS], struct latency *latency)
{
	*latency = (struct latency) { 0 };
	for (unsigned int i = 0; i < RADIUM_LATENCY_BUCKETS; i++) {
		latency->count += buckets[i];
		if (buckets[i])
			latency->max = bucket_end(i);
	}
	if (!latency->count)
		return;
	latency->p50 = percentile(buckets, latency->count, 50);
	latency->p99 = percentile(buckets, latency->count, 99);
}

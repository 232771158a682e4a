// SPDX-License-Identifier: GPL-2.0
/* Percentiles of histograms whose percentiles are known. */
#include "radctl.h"

static int failed, number;

static void expect(const char *name, const __u64 *buckets, struct latency want)
{
	struct latency got;
	bool ok;

	latency_of(buckets, &got);
	ok = got.count == want.count && got.p50 == want.p50 && got.p99 == want.p99 &&
	     got.max == want.max;
	printf("%sok %d - latency: %s\n", ok ? "" : "not ", ++number, name);
	if (!ok)
		printf("# got count %llu p50 %llu p99 %llu max %llu\n", got.count, got.p50,
		       got.p99, got.max);
	failed |= !ok;
}

int main(void)
{
	const __u64 empty[RADIUM_LATENCY_BUCKETS] = { 0 };
	const __u64 one[RADIUM_LATENCY_BUCKETS] = { [5] = 1 };
	const __u64 zero[RADIUM_LATENCY_BUCKETS] = { [0] = 9 };
	const __u64 hundred[RADIUM_LATENCY_BUCKETS] = { [3] = 50, [4] = 49, [9] = 1 };
	const __u64 tail[RADIUM_LATENCY_BUCKETS] = { [3] = 50, [4] = 48, [9] = 2 };
	const __u64 half[RADIUM_LATENCY_BUCKETS] = { [3] = 49, [4] = 51 };
	const __u64 last[RADIUM_LATENCY_BUCKETS] = { [31] = 3 };

	expect("empty", empty, (struct latency) { 0, 0, 0, 0 });
	expect("one value", one, (struct latency) { 1, 64, 64, 64 });
	expect("bucket 0 ends at 2 ns", zero, (struct latency) { 9, 2, 2, 2 });
	expect("the 99th of 100", hundred, (struct latency) { 100, 16, 32, 1024 });
	expect("two in the tail", tail, (struct latency) { 100, 16, 1024, 1024 });
	expect("the 50th of 100", half, (struct latency) { 100, 32, 32, 32 });
	expect("the last bucket", last, (struct latency) { 3, 1ULL << 32, 1ULL << 32, 1ULL << 32 });
	printf("1..%d\n", number);
	return failed;
}

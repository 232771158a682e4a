// SPDX-License-Identifier: GPL-2.0
/* Integer and floating point arithmetic in AVX2; prints a checksum per round. */
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORDS = 32768 };

static uint32_t table[WORDS] __attribute__((aligned(32)));
static float floats[WORDS] __attribute__((aligned(32)));

__attribute__((target("avx2"))) static uint64_t round_of(int round)
{
	__m256i mix = _mm256_set1_epi32(round * 2654435761u), sum = _mm256_setzero_si256();
	__m256 scale = _mm256_set1_ps(1.0f + round * 0.001f), total = _mm256_setzero_ps();
	uint32_t lanes[8];
	float parts[8];
	uint64_t value = 0;

	for (int i = 0; i < WORDS; i += 8) {
		__m256i v = _mm256_load_si256((__m256i *)(table + i));
		__m256 f = _mm256_load_ps(floats + i);

		v = _mm256_xor_si256(_mm256_mullo_epi32(v, mix), _mm256_srli_epi32(v, 13));
		v = _mm256_shuffle_epi32(_mm256_add_epi32(v, _mm256_set1_epi32(i)), 0x1b);
		sum = _mm256_add_epi32(sum, v);
		f = _mm256_sqrt_ps(_mm256_add_ps(_mm256_mul_ps(f, scale), _mm256_set1_ps(0.5f)));
		total = _mm256_add_ps(total, f);
		_mm256_store_si256((__m256i *)(table + i), v);
		_mm256_store_ps(floats + i, f);
	}
	_mm256_storeu_si256((__m256i *)lanes, sum);
	_mm256_storeu_ps(parts, total);
	for (int i = 0; i < 8; i++)
		value = value * 31 + lanes[i] + (uint64_t)parts[i];
	return value;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 200;

	if (!__builtin_cpu_supports("avx2")) {
		puts("no AVX2 here");
		return 0;
	}
	for (int i = 0; i < WORDS; i++) {
		table[i] = i * 2246822519u;
		floats[i] = i % 1000;
	}
	for (int round = 1; round <= rounds; round++)
		printf("%d %016llx\n", round, (unsigned long long)round_of(round));
	return 0;
}

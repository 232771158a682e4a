/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of calls whose data travels share: what they write, and what they read. */
#ifndef _RADIUM_SELFTEST_INLINE_H
#define _RADIUM_SELFTEST_INLINE_H

#include "harness.h"

#include <sys/mman.h>

#define RW (PROT_READ | PROT_WRITE)

enum { LIMIT = 12288, BYTES = 64 << 10 };

static char out[BYTES] __attribute__((aligned(4096)));
static char in[BYTES] __attribute__((aligned(4096)));

static const size_t sizes[] = {
	0, 1, 2, 7, 100, 4095, 4096, 4097, 8192, LIMIT - 1, LIMIT, LIMIT + 1, 20000, 40000,
};

enum { SIZES = sizeof(sizes) / sizeof(*sizes) };

static inline int scratch(void)
{
	char path[] = "/tmp/st-inline-XXXXXX";
	int file = DO(mkstemp(path));

	unlink(path);
	return file;
}

static inline int file_of(const char *text)
{
	int file = scratch();

	EQUAL(write(file, text, strlen(text)), strlen(text));
	return file;
}

/* Away, with the buffers there. */
static inline void away_with_buffers(void)
{
	away();
	memset(in, 0x55, sizeof(in));
	fill(out, sizeof(out), 1);
}

#endif

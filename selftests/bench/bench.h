/* SPDX-License-Identifier: GPL-2.0 */
/* What the programs that the benchmarks run have in common. */
#ifndef _RADIUM_SELFTEST_BENCH_H
#define _RADIUM_SELFTEST_BENCH_H

#include "../guest/move.h"
#include "../guest/ns.h"

enum { PAGE = 4096, MOVE_MS = 30000 };

/* Of Radium, after open_device(). */
extern int device;

/* Ends the program. */
void die(const char *what, int error) __attribute__((noreturn));
void open_device(void);
/* The thread that calls goes to a node. */
void go(unsigned int node);
/* One time a line. */
void print_times(const uint64_t *times, unsigned int count);

#endif

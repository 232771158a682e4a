/* SPDX-License-Identifier: GPL-2.0 */
/* Between who asks a node over the network how many replicas it has, and who answers there. */
#ifndef _RADIUM_SELFTEST_LOOKOUT_H
#define _RADIUM_SELFTEST_LOOKOUT_H

#include <stdint.h>

/* A byte is a question; the answer is the number of replicas when it came. */
enum { LOOKOUT_PORT = 4488 };

typedef uint32_t lookout_answer;

#endif

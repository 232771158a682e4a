/* SPDX-License-Identifier: GPL-2.0 */
/* Moving processes through /dev/radium, for programs that cannot wait for radctl. */
#ifndef _RADIUM_SELFTEST_MOVE_H
#define _RADIUM_SELFTEST_MOVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "../../uapi/linux/radium.h"

/* Opens the device and shakes hands; -1 and errno if that fails. */
int move_open(void);
/* 0, or a negative errno; the reason and what it took are in *result if given. */
int move_to(int device, pid_t pid, unsigned int node, unsigned int flags,
	    unsigned int timeout_ms, struct radium_move *result);
int move_home(int device, pid_t pid, unsigned int flags, unsigned int timeout_ms,
	      struct radium_move *result);
/* One thread to a node, 0: home. */
int move_thread(int device, pid_t pid, pid_t tid, unsigned int node, unsigned int timeout_ms,
		struct radium_move *result);
/* Threads of a process as the module lists them, of which the caller frees the array; or -1. */
int move_threads(int device, pid_t pid, struct radium_thread_info **list);
/* First thread of a process; false if the process is not distributed. */
bool process_info(int device, pid_t pid, struct radium_process_info *info);
bool move_info(int device, pid_t pid, struct radium_thread_info *info);
/* Distributed processes whose home is here, -1: not known. */
int move_processes(int device);
/* Messages between this node and others, both ways, since it has joined. */
uint64_t move_messages(int device);
const char *move_reason(unsigned int reason);		/* its name */
const char *move_reason_text(unsigned int reason);

#endif

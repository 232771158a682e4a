/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: memory of a distributed process at home that it does not know of. A delegated
 * call finds its data there that has come with it.
 */
#ifndef _RADIUM_SCRATCH_H
#define _RADIUM_SCRATCH_H

#include <linux/types.h>

struct rad_process;

int rad_scratch_get(struct rad_process *process, u32 bytes);
void rad_scratch_put(struct rad_process *process, int slot);
unsigned long rad_scratch_address(struct rad_process *process, int slot);
void rad_scratch_write(struct rad_process *process, int slot, u32 at, const void *from, u32 len);
void rad_scratch_read(struct rad_process *process, int slot, u32 at, void *to, u32 len);
void rad_scratch_end(struct rad_process *process);

#endif /* _RADIUM_SCRATCH_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for the kernel's header of that name: what has a lock is not shared here. */
#ifndef _RADIUM_UNIT_SPINLOCK_H
#define _RADIUM_UNIT_SPINLOCK_H

typedef struct { char unused; } spinlock_t;

#endif

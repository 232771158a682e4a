/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for the kernel's header of that name: unit_wait() is the test's. */
#ifndef _RADIUM_UNIT_WAIT_H
#define _RADIUM_UNIT_WAIT_H

typedef struct { char unused; } wait_queue_head_t;

int unit_wait(void);

#define init_waitqueue_head(wait) ((void)(wait))
#define wake_up_interruptible(wait) ((void)(wait))
#define wait_event_interruptible(wait, condition) ((condition) ? 0 : unit_wait())

#endif

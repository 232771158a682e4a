/* SPDX-License-Identifier: GPL-2.0 */
/* Radium: events for 'radctl monitor'. */
#ifndef _RADIUM_EVENT_H
#define _RADIUM_EVENT_H

#include <linux/poll.h>
#include <linux/types.h>

struct rad_event_reader;

void rad_event_post(u32 type, u32 node, s32 pid, s32 tid, u32 reason);

struct rad_event_reader *rad_event_reader_create(void);
void rad_event_reader_destroy(struct rad_event_reader *reader);
ssize_t rad_event_read(struct rad_event_reader *reader, char __user *buf, size_t len,
		       bool nonblock);
__poll_t rad_event_poll(struct rad_event_reader *reader, struct file *file, poll_table *wait);

#endif /* _RADIUM_EVENT_H */

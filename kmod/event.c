// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "radium: " fmt

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/kfifo.h>
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include "event.h"
#include "../uapi/linux/radium.h"

enum {
	EVENT_ROOM	= 256,	/* events that wait for one reader; a power of 2 */
	READERS_MAX	= 64,	/* of a user: each event is put down for each of them */
};

/**
 * struct rad_event_reader - one open file that has read or polled
 * @list: in readers, under readers_lock
 * @wait: woken for each event
 * @fifo: events not yet read, under readers_lock
 * @lost: events that did not fit, under readers_lock
 * @uid: whose
 */
struct rad_event_reader {
	struct list_head list;
	wait_queue_head_t wait;
	u32 lost;
	kuid_t uid;
	DECLARE_KFIFO(fifo, struct radium_event, EVENT_ROOM);
};

static LIST_HEAD(readers);
static DEFINE_SPINLOCK(readers_lock);

/**
 * rad_event_post() - tell every reader
 * @type: enum radium_event_type
 * @node: node concerned, or 0
 * @pid: thread group, or 0
 * @tid: thread, or 0
 * @reason: enum radium_reason
 *
 * Context: any but hard interrupt; never sleeps. An event that does not fit is
 * counted, and the reader is told with RADIUM_EVENT_LOST.
 */
void rad_event_post(u32 type, u32 node, s32 pid, s32 tid, u32 reason)
{
	struct radium_event event = {
		.time = ktime_get_ns(),
		.type = type,
		.node = node,
		.pid = pid,
		.tid = tid,
		.reason = reason,
	};
	struct rad_event_reader *reader;

	spin_lock_bh(&readers_lock);
	list_for_each_entry(reader, &readers, list) {
		if (!kfifo_put(&reader->fifo, event))
			reader->lost++;
		wake_up_interruptible(&reader->wait);
	}
	spin_unlock_bh(&readers_lock);
}

static bool has_too_many(kuid_t uid)
{
	struct rad_event_reader *reader;
	u32 n = 0;

	lockdep_assert_held(&readers_lock);
	list_for_each_entry(reader, &readers, list)
		n += uid_eq(reader->uid, uid);
	return n >= READERS_MAX;
}

static bool add_reader(struct rad_event_reader *new, bool limited)
{
	bool may;

	spin_lock_bh(&readers_lock);
	may = !limited || !has_too_many(new->uid);
	if (may)
		list_add(&new->list, &readers);
	spin_unlock_bh(&readers_lock);
	return may;
}

/**
 * rad_event_reader_create() - begin to collect events
 * Return: the reader; -ENOMEM, or -EMFILE if current's user has READERS_MAX and may not have more
 * (CAP_SYS_ADMIN).
 */
struct rad_event_reader *rad_event_reader_create(void)
{
	struct rad_event_reader *reader = kvzalloc(sizeof(*reader), GFP_KERNEL_ACCOUNT);

	if (!reader)
		return ERR_PTR(-ENOMEM);
	INIT_KFIFO(reader->fifo);
	init_waitqueue_head(&reader->wait);
	reader->uid = current_uid();
	if (add_reader(reader, true) || (capable(CAP_SYS_ADMIN) && add_reader(reader, false)))
		return reader;
	kvfree(reader);
	return ERR_PTR(-EMFILE);
}

/**
 * rad_event_reader_destroy() - end it; nobody may be in read or poll
 * @reader: may be NULL
 */
void rad_event_reader_destroy(struct rad_event_reader *reader)
{
	if (!reader)
		return;
	spin_lock_bh(&readers_lock);
	list_del(&reader->list);
	spin_unlock_bh(&readers_lock);
	kvfree(reader);
}

static bool take(struct rad_event_reader *reader, struct radium_event *event)
{
	bool got = true;

	spin_lock_bh(&readers_lock);
	if (!kfifo_get(&reader->fifo, event)) {
		got = reader->lost;
		memset(event, 0, sizeof(*event));
		event->time = ktime_get_ns();
		event->type = RADIUM_EVENT_LOST;
		event->count = reader->lost;
		reader->lost = 0;
	}
	spin_unlock_bh(&readers_lock);
	return got;
}

static bool pending(struct rad_event_reader *reader)
{
	return !kfifo_is_empty(&reader->fifo) || READ_ONCE(reader->lost);
}

/**
 * rad_event_read() - read whole events
 * @reader: whose
 * @buf: where to
 * @len: its size
 * @nonblock: do not wait
 *
 * Return: bytes, -EAGAIN, -ERESTARTSYS, -EFAULT, -EINVAL where not one fits.
 */
ssize_t rad_event_read(struct rad_event_reader *reader, char __user *buf, size_t len,
		       bool nonblock)
{
	struct radium_event event;
	ssize_t done = 0;
	int err;

	if (len < sizeof(event))
		return -EINVAL;
	/* Another one may take what we have waited for. */
	while (!done) {
		if (nonblock && !pending(reader))
			return -EAGAIN;
		err = nonblock ? 0 : wait_event_interruptible(reader->wait, pending(reader));
		if (err)
			return err;
		while (len - done >= sizeof(event) && take(reader, &event)) {
			if (copy_to_user(buf + done, &event, sizeof(event)))
				return done ?: -EFAULT;
			done += sizeof(event);
		}
	}
	return done;
}

/* rad_event_poll() - poll for events */
__poll_t rad_event_poll(struct rad_event_reader *reader, struct file *file, poll_table *wait)
{
	poll_wait(file, &reader->wait, wait);
	return pending(reader) ? EPOLLIN | EPOLLRDNORM : 0;
}

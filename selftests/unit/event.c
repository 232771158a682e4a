// SPDX-License-Identifier: GPL-2.0
/* Reading events: two readers of one descriptor, of which one gets what both have seen. */
#include "check.h"

#include <errno.h>
#include <linux/types.h>
#include <linux/spinlock.h>

static void enter(void);

#define DEFINE_SPINLOCK(name) spinlock_t name
#define spin_lock_bh(lock) ((void)(lock), enter())
#define spin_unlock_bh(lock) ((void)(lock))
#define READ_ONCE(value) (value)
#define lockdep_assert_held(lock) ((void)(lock))

bool unit_is_privileged;

#include "../../kmod/event.c"

static struct rad_event_reader *reader;
static bool steal;	/* the next one who takes the lock finds that another was quicker */
static int waits;	/* how often somebody waited; the first time an event comes */

static void enter(void)
{
	struct radium_event event;

	if (steal)
		(void)!kfifo_get(&reader->fifo, &event);
	steal = false;
}

int unit_wait(void)
{
	if (waits++)
		return -EINTR;
	rad_event_post(RADIUM_EVENT_MIGRATED, 2, 1, 1, 0);
	return 0;
}

static ssize_t read_events(u32 posted, bool stolen, size_t room, bool nonblock)
{
	struct radium_event events[4];
	ssize_t got;

	waits = 0;
	reader = rad_event_reader_create();
	for (; posted; posted--)
		rad_event_post(RADIUM_EVENT_RETURNED, 2, 1, 1, 0);
	steal = stolen;
	got = rad_event_read(reader, (char *)events, room * sizeof(events[0]), nonblock);
	rad_event_reader_destroy(reader);
	return got < 0 ? got : got / (ssize_t)sizeof(events[0]);
}

/* How many may read, of more than may. */
static u32 readers_of(bool privileged)
{
	struct rad_event_reader *all[2 * READERS_MAX];
	u32 n, i;

	unit_is_privileged = privileged;
	for (n = 0; n < 2 * READERS_MAX; n++) {
		all[n] = rad_event_reader_create();
		if (IS_ERR(all[n]))
			break;
	}
	for (i = 0; i < n; i++)
		rad_event_reader_destroy(all[i]);
	return n;
}

int main(void)
{
	TEST("an ordinary user has so many readers", readers_of(false) == READERS_MAX);
	TEST("and again, when they are gone", readers_of(false) == READERS_MAX);
	TEST("root any number", readers_of(true) > READERS_MAX);
	TEST("what is there is read at once", read_events(2, false, 4, false) == 2 && !waits);
	TEST("no more than there is room for", read_events(3, false, 2, true) == 2);
	TEST("nothing is there", read_events(0, false, 4, true) == -EAGAIN && !waits);
	TEST("who waits gets the next one", read_events(0, false, 4, false) == 1 && waits == 1);
	TEST("who comes second has not seen the end", read_events(1, true, 4, true) == -EAGAIN);
	TEST("who comes second waits", read_events(1, true, 4, false) == 1 && waits == 1);
	TEST("too small a buffer", read_events(1, false, 0, true) == -EINVAL);
	return test_end();
}

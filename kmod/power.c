// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: this machine goes down, or to sleep.
 *
 * What visits goes home and what is elsewhere comes home while the network still
 * works. What does not come in time is lost with the machine, as if its power had
 * been cut. Systemd stops the network and kills all processes before we hear of it:
 * radium.service leaves before that.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/reboot.h>
#include <linux/suspend.h>
#include "node.h"
#include "power.h"
#include "process.h"
#include "replica.h"

enum { EMPTY_JIFFIES = 5 * HZ };	/* each way */

static int empty(void)
{
	u32 reason = 0;
	int err, e;

	if (!rad_node_joined())
		return 0;
	err = rad_replica_drain(EMPTY_JIFFIES);
	e = rad_process_drain(&reason, EMPTY_JIFFIES);
	if (err || e)
		return err ?: e;
	/* Who asks for it may be away himself: he is not waited for, and comes home when told of this. */
	return rad_process_count() || rad_replica_count() ? -EBUSY : 0;
}

static int reboot(struct notifier_block *block, unsigned long event, void *unused)
{
	rad_node_empty_begin();
	if (empty())
		pr_warn("not everything that was elsewhere came home, or that visited went home\n");
	/* The others need not wait until they believe that we are dead. */
	rad_node_leave();
	rad_node_empty_end();
	return NOTIFY_DONE;
}

/* A machine that sleeps is dead to the others: it must be empty before, and stay so. */
static int sleep(struct notifier_block *block, unsigned long event, void *unused)
{
	static bool prepared;	/* the module may have been loaded meanwhile */
	int err;

	switch (event) {
	case PM_SUSPEND_PREPARE:
	case PM_HIBERNATION_PREPARE:
		rad_node_empty_begin();
		err = empty();
		/* Whoever refuses is not told that it is over. */
		if (err)
			rad_node_empty_end();
		prepared = !err;
		return notifier_from_errno(err);
	case PM_POST_SUSPEND:
	case PM_POST_HIBERNATION:
		if (prepared)
			rad_node_empty_end();
		prepared = false;
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block reboot_block = { .notifier_call = reboot };
static struct notifier_block sleep_block = { .notifier_call = sleep };

int rad_power_init(void)
{
	int err = register_reboot_notifier(&reboot_block);

	if (err)
		return err;
	err = register_pm_notifier(&sleep_block);
	if (err)
		unregister_reboot_notifier(&reboot_block);
	return err;
}

void rad_power_uninit(void)
{
	unregister_pm_notifier(&sleep_block);
	unregister_reboot_notifier(&reboot_block);
}

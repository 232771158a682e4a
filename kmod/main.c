// SPDX-License-Identifier: GPL-2.0
/* Radium: in which order things start and stop, and who handles which message. */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/module.h>
#include "dev.h"
#include "filewatch.h"
#include "hook.h"
#include "homemem.h"
#include "ksym.h"
#include "link.h"
#include "node.h"
#include "power.h"
#include "process.h"
#include "regs.h"
#include "replica.h"
#include "spread.h"
#include "thread.h"
#include "visitor.h"

/* Messages of the link itself never come here. */
const rad_handler_fn rad_handlers[RAD_MSG_COUNT] = {
	[RAD_MSG_PREPARE]	= rad_visitor_on_prepare,
	[RAD_MSG_COMMIT]	= rad_visitor_on_commit,
	[RAD_MSG_ABORT]		= rad_visitor_on_abort,
	[RAD_MSG_RECALL]	= rad_visitor_on_recall,
	[RAD_MSG_SYSCALL_DONE]	= rad_visitor_on_syscall_done,
	[RAD_MSG_PROCESS_GONE]	= rad_replica_on_process_gone,
	[RAD_MSG_SYSCALL]	= rad_deputy_on_syscall,
	[RAD_MSG_RETURN]	= rad_deputy_on_return,
	[RAD_MSG_VISITOR_GONE]	= rad_deputy_on_visitor_gone,
	[RAD_MSG_DRAIN]		= rad_process_on_drain,
	[RAD_MSG_PAGE_GET]	= rad_homemem_page_get,
	[RAD_MSG_PAGE_REVOKE]	= rad_window_on_revoke,
	[RAD_MSG_PAGE_ARRIVED]	= rad_homemem_page_arrived,
};

/* Bottom up; stopped in the opposite order. */
static const struct {
	const char *what;
	int (*start)(void);
	void (*stop)(void);
} subsystems[] = {
	{ "symbols",	rad_ksym_init,		NULL },
	{ "registers",	rad_regs_init,		NULL },
	{ "threads",	rad_thread_init,	rad_thread_uninit },
	{ "spreading",	NULL,			rad_spread_uninit },
	{ "memory",	rad_homemem_init,	rad_homemem_uninit },
	{ "processes",	rad_process_init,	rad_process_uninit },
	{ "shrinker",	rad_trim_init,		rad_trim_uninit },
	{ "recalls",	rad_recall_init,	rad_recall_uninit },
	{ "files",	rad_filewatch_init,	rad_filewatch_uninit },
	{ "windows",	rad_window_init,	rad_window_uninit },
	{ "replicas",	rad_replica_init,	rad_replica_uninit },
	{ "visitors",	rad_visitor_init,	rad_visitor_uninit },
	{ "hooks",	rad_hook_init,		rad_hook_uninit },
	{ "messages",	rad_msg_init,		rad_msg_uninit },
	{ "nodes",	rad_node_init,		rad_node_uninit },
	{ "device",	rad_device_init,		rad_device_uninit },
	{ "power",	rad_power_init,		rad_power_uninit },
};

static void stop(int n)
{
	while (n--)
		if (subsystems[n].stop)
			subsystems[n].stop();
}

static int __init radium_init(void)
{
	int i, err;

	for (i = 0; i < ARRAY_SIZE(subsystems); i++) {
		err = subsystems[i].start ? subsystems[i].start() : 0;
		if (err) {
			pr_err("not loaded: %s (%d)\n", subsystems[i].what, err);
			stop(i);
			return err;
		}
	}
	pr_info("loaded, wire version %d\n", RAD_WIRE_VERSION);
	return 0;
}

static void __exit radium_exit(void)
{
	/*
	 * Every distributed process and every replica holds a reference to the module:
	 * when we get here there is none.
	 */
	stop(ARRAY_SIZE(subsystems));
}

module_init(radium_init);
module_exit(radium_exit);

MODULE_DESCRIPTION("Distributed thread migration");
MODULE_AUTHOR("The Radium developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");

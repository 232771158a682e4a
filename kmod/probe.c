// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "radium: " fmt

#include <linux/tracepoint.h>
#include "probe.h"

static void find(struct tracepoint *tp, void *arg)
{
	struct rad_probe *probe = arg;

	if (!strcmp(tp->name, probe->name))
		probe->tp = tp;
}

/**
 * rad_probe_register() - have a function called at a tracepoint
 * @probe: which
 *
 * Modules cannot name tracepoints that are not exported; they can walk over all.
 *
 * Context: process context, may sleep.
 * Return: 0, -ENOENT after a message where the kernel has no such tracepoint, -ENOMEM.
 */
int rad_probe_register(struct rad_probe *probe)
{
	int err;

	for_each_kernel_tracepoint(find, probe);
	if (!probe->tp) {
		pr_err("this kernel lacks the tracepoint %s\n", probe->name);
		return -ENOENT;
	}
	err = tracepoint_probe_register(probe->tp, probe->function, NULL);
	if (err)
		probe->tp = NULL;
	return err;
}

/**
 * rad_probe_unregister() - the function is not called any more, nowhere
 * @probe: registered or not
 *
 * Context: process context, may sleep.
 */
void rad_probe_unregister(struct rad_probe *probe)
{
	if (!probe->tp)
		return;
	tracepoint_probe_unregister(probe->tp, probe->function, NULL);
	tracepoint_synchronize_unregister();
	probe->tp = NULL;
}

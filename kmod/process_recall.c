// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: threads and pages of processes are called home: this node is drained, or another one.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/mm.h>
#include <linux/slab.h>
#include "link.h"
#include "node.h"
#include "process.h"
#include "process_internal.h"
#include "spread.h"
#include "thread.h"

enum { DRAIN_JIFFIES = 30 * HZ };	/* for what another node asks for */

static struct workqueue_struct *drain_wq;

/* ------------------------------------------------------------- drained nodes */

struct drain {
	struct work_struct work;
	struct rad_process *process;
	u32 from;
};

static void drain_work(struct work_struct *work)
{
	struct drain *drain = container_of(work, struct drain, work);
	struct rad_process *process = drain->process;
	u32 reason;

	rad_thread_recall_process(process, drain->from, &reason, DRAIN_JIFFIES);
	/* Whatever has come of the threads: those that stay are asked for again. */
	rad_homemem_recall_all(process, DRAIN_JIFFIES);
	/* The node is told when the process retires, and who waits for that goes out again. */
	rad_process_retire_if_idle(process);
	spin_lock(&process->lock);
	process->draining &= ~BIT_ULL(drain->from - 1);
	spin_unlock(&process->lock);
	kfree(drain);
	rad_process_put(process);
}

/**
 * rad_process_on_drain() - DRAIN: a node wants to be rid of a process
 * @in: the message; the node says so again while it waits
 *
 * Context: a worker. It does not wait: what the threads come home with needs the
 * credit that this message holds.
 */
void rad_process_on_drain(struct rad_in *in)
{
	const struct rad_wire_process *body = in->body;
	struct rad_process *process = rad_process_find_id(le64_to_cpu(body->process));
	struct drain *drain;
	bool begin;
	u64 node;

	if (!process) {
		/* A replica that was made when the process had just ended. */
		rad_process_tell_gone(in->from, le64_to_cpu(body->process));
		return;
	}
	node = rad_node_bit(in->from);
	spin_lock(&process->lock);
	begin = process->nodes & node && !(process->draining & node);
	if (begin)
		process->draining |= node;
	spin_unlock(&process->lock);
	if (!begin) {
		rad_process_put(process);
		return;
	}
	/* It would get new ones. */
	rad_spread_avoid(rad_node_id(in->from));
	drain = kmalloc(sizeof(*drain), GFP_KERNEL | __GFP_NOFAIL);
	drain->process = process;
	drain->from = rad_node_id(in->from);
	INIT_WORK(&drain->work, drain_work);
	queue_work(drain_wq, &drain->work);
}

/**
 * rad_process_drain() - bring every thread and page of every process home
 * @reason: out: enum radium_reason of the first that did not come
 * @timeout: jiffies, for all together; what retires by then has a second more
 *
 * Context: process context; killable.
 * Return: 0, or the first error; -ENOMEM.
 */
int rad_process_drain(u32 *reason, unsigned long timeout)
{
	unsigned long deadline = jiffies + timeout, left;
	struct rad_process **array;
	int err = 0, e;
	long waited;
	u32 n, i;

	rad_spread_end_all();
	rad_thread_end_wishes();
	array = rad_process_snapshot(&n);
	if (!array) {
		*reason = RADIUM_R_NO_MEMORY;
		return -ENOMEM;
	}
	/* All of them before any is waited for. */
	for (i = 0; i < n; i++)
		rad_thread_recall_process(array[i], 0, reason, 0);
	for (i = 0; i < n; i++) {
		left = max_t(long, deadline - jiffies, 1);
		e = rad_thread_recall_process(array[i], 0, reason, left);
		err = err ?: e;
		left = rad_jiffies_left(deadline);
		/* Too late to wait for the pages, they are called all the same. */
		if (e)
			rad_homemem_trim(array[i], U32_MAX);
		e = rad_homemem_recall_all(array[i], left);
		rad_process_retire_if_idle(array[i]);
		err = err ?: e;
		rad_process_put(array[i]);
	}
	kvfree(array);
	/* Those as well that have retired by themselves: nothing of them is left either. */
	waited = rad_process_await_retired(max_t(long, deadline - jiffies, HZ));
	if (waited <= 0 && !err) {
		err = waited ? -EINTR : -ETIMEDOUT;
		*reason = waited ? RADIUM_R_NONE : RADIUM_R_TIMEOUT;
	}
	return err;
}

int rad_recall_init(void)
{
	drain_wq = alloc_workqueue("radium_drain", WQ_UNBOUND, WQ_UNBOUND_MAX_ACTIVE);
	return drain_wq ? 0 : -ENOMEM;
}

void rad_recall_uninit(void)
{
	destroy_workqueue(drain_wq);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: a part of a distributed process is lost with the node that it was on. What cannot go
 * on without it ends.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "event.h"
#include "node.h"
#include "process.h"
#include "process_internal.h"
#include "replica.h"
#include "thread.h"

/*
 * Has the program got the memory still? One that it has executed since has lost nothing, even if
 * somebody else still holds the memory of its predecessor.
 */
static bool has_memory(const struct rad_process *process)
{
	struct task_struct *leader, *task;
	bool has = false;

	rcu_read_lock();
	leader = pid_task(process->pid, PIDTYPE_TGID);
	if (leader)
		for_each_thread(leader, task)
			has |= READ_ONCE(task->mm) == process->mm;
	rcu_read_unlock();
	return has;
}

/**
 * rad_process_kill() - end a process that cannot go on
 * @process: whose pages or threads are lost
 * @node: the node they were on
 * @reason: enum radium_reason
 *
 * Once; whoever comes later finds that somebody does it, and has perhaps not come to him yet.
 */
void rad_process_kill(struct rad_process *process, u32 node, u32 reason)
{
	bool known, has;

	spin_lock(&process->lock);
	known = process->killed;
	process->killed = true;
	spin_unlock(&process->lock);
	if (known)
		return;
	has = has_memory(process);
	/* First: a console may be slow. */
	if (has)
		kill_pid(process->pid, SIGKILL, 1);
	if (!rad_thread_kill_all(process) && !has) {
		/* Nobody; another one may come with the memory of before. */
		spin_lock(&process->lock);
		process->killed = false;
		spin_unlock(&process->lock);
		return;
	}
	pr_notice("process %d (%s) is killed: a part of it was on node %u, which is lost\n",
		  pid_nr(process->pid), process->comm, node);
	rad_event_post(RADIUM_EVENT_PROCESS_KILLED, node, pid_nr(process->pid), 0, reason);
}

/**
 * rad_process_node_dead() - a node was declared dead
 * @node: its session has ended: no message of it will be handled any more
 *
 * Processes that have a thread or the only copy of a page there end; those that
 * only had clean copies there go on. Visitors whose home it was are killed.
 *
 * Context: process context, once for each death.
 */
void rad_process_node_dead(struct rad_node *node)
{
	struct rad_process **array;
	u32 n, i;

	rad_replica_node_dead(node);
	array = rad_process_snapshot_wait(&n);
	for (i = 0; i < n; i++) {
		bool lost = rad_homemem_node_dead(array[i], node);

		lost |= rad_thread_node_dead(array[i], node);
		spin_lock(&array[i]->lock);
		WRITE_ONCE(array[i]->nodes, array[i]->nodes & ~rad_node_bit(node));
		spin_unlock(&array[i]->lock);
		/* After exec the process is another program, which has lost nothing. */
		if (lost && !READ_ONCE(array[i]->retiring))
			rad_process_kill(array[i], rad_node_id(node), RADIUM_R_NODE_LOST);
		rad_process_put(array[i]);
	}
	kvfree(array);
}

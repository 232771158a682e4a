// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: what is told of distributed processes.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/log2.h>
#include <linux/pid.h>
#include <linux/slab.h>
#include "process.h"
#include "process_internal.h"
#include "spread.h"
#include "thread.h"

static u64 spread(struct rad_process *process)
{
	struct task_struct *task;
	u64 nodes;

	rcu_read_lock();
	task = pid_task(process->pid, PIDTYPE_TGID);
	nodes = task ? rad_spread_nodes(task) : 0;
	rcu_read_unlock();
	return nodes;
}

static void fill(struct rad_process *process, struct radium_process_info *info)
{
	struct rad_process_stats *s = &process->stats;
	int i;

	memset(info, 0, sizeof(*info));
	info->pid = pid_vnr(process->pid);
	info->uid = from_kuid_munged(current_user_ns(), process->uid);
	memcpy(info->comm, process->comm, sizeof(info->comm));
	info->nodes = process->nodes;
	rad_thread_count(process, &info->threads, &info->threads_away);
	info->pages_away = process->mem.away;
	info->pages_copied = process->mem.copied;
	info->faults = atomic64_read(&s->faults);
	info->pages_sent = atomic64_read(&s->pages_sent);
	info->pages_received = atomic64_read(&s->pages_received);
	info->pages_forwarded = atomic64_read(&s->pages_forwarded);
	info->pages_upgraded = atomic64_read(&s->pages_upgraded);
	info->spread = spread(process);
	info->recalls = atomic64_read(&s->recalls);
	info->syscalls = atomic64_read(&s->syscalls);
	info->syscalls_inline = atomic64_read(&s->syscalls_inline);
	info->migrations = atomic64_read(&s->migrations);
	info->returns = atomic64_read(&s->returns);
	for (i = 0; i < RADIUM_LATENCY_BUCKETS; i++) {
		info->fault_latency[i] = atomic64_read(&s->fault_latency[i]);
		info->syscall_latency[i] = atomic64_read(&s->syscall_latency[i]);
	}
}

/**
 * rad_process_list() - describe the processes
 * @infos: room for @room entries
 * @room: entries that fit
 * @total: out: how many there are
 * Return: entries written, or -ENOMEM.
 */
int rad_process_list(struct radium_process_info *infos, u32 room, u32 *total)
{
	struct rad_process **array;
	u32 n, i, written = 0;

	array = rad_process_snapshot(&n);
	if (!array)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		if (written < room)
			fill(array[i], &infos[written++]);
		rad_process_put(array[i]);
	}
	kvfree(array);
	*total = n;
	return written;
}

/* rad_latency_add() - count one duration in a log2 histogram */
void rad_latency_add(atomic64_t *histogram, u64 ns)
{
	int bucket = ns ? min(ilog2(ns), RADIUM_LATENCY_BUCKETS - 1) : 0;

	atomic64_inc(&histogram[bucket]);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: what threads are counted by, and what is told of them.
 */
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "node.h"
#include "process.h"
#include "thread.h"

/* rad_thread_count() - threads of a process that Radium knows, and those that are away */
void rad_thread_count(struct rad_process *process, u32 *n, u32 *away)
{
	struct rad_thread *thread;

	*n = *away = 0;
	spin_lock(&process->lock);
	list_for_each_entry(thread, &process->threads, list) {
		++*n;
		*away += thread->state == RADIUM_THREAD_AWAY;
	}
	spin_unlock(&process->lock);
}

/* rad_thread_count_on() - threads of a process that run on a node */
u32 rad_thread_count_on(struct rad_process *process, u32 node)
{
	struct rad_thread *thread;
	u32 n = 0;

	spin_lock(&process->lock);
	list_for_each_entry(thread, &process->threads, list) {
		spin_lock(&thread->lock);
		n += thread->state == RADIUM_THREAD_AWAY && rad_node_id(thread->node) == node;
		spin_unlock(&thread->lock);
	}
	spin_unlock(&process->lock);
	return n;
}

/* rad_thread_count_wanted() - threads that are away, or will go out */
u32 rad_thread_count_wanted(struct rad_process *process)
{
	struct rad_thread *thread;
	u32 n = 0;

	spin_lock(&process->lock);
	/* Drained, it ends first: who is wanted elsewhere waits for that. */
	list_for_each_entry(thread, &process->threads, list)
		n += (thread->wanted && !process->draining) ||
		     thread->state != RADIUM_THREAD_HOME;
	spin_unlock(&process->lock);
	return n;
}

/**
 * rad_thread_add_fault() - the thread has asked for a page, or waited for one at home
 * @thread: the thread
 * @bytes: bytes that were sent for it
 * @waited: ns; away: that it says it has waited for those before
 */
void rad_thread_add_fault(struct rad_thread *thread, u64 bytes, u64 waited)
{
	spin_lock(&thread->lock);
	thread->faults++;
	thread->bytes += bytes;
	thread->waited += waited;
	spin_unlock(&thread->lock);
}

/*
 * Current as one of the process, with a reference, or NULL: there is no memory, or the process
 * is distributed no longer. Once it has the process its record is not forgotten; before,
 * the end of a former process may do that.
 */
static struct rad_thread *join(struct rad_process *process)
{
	struct rad_thread *thread;

	do {
		thread = rad_thread_find_or_create(current);
		if (!thread)
			return NULL;
		rad_thread_attach(thread, process);
		/* With the process' lock in between: else rad_thread_forget_all() sees the thread. */
		if (!READ_ONCE(thread->forgotten) && !READ_ONCE(process->retiring))
			return thread;
		rad_thread_detach(thread, process);
		rad_thread_forget(thread);
		rad_thread_put(thread);
	} while (!READ_ONCE(process->retiring));
	return NULL;
}

/**
 * rad_thread_add_wait() - current has waited at home for a page of its process
 * @process: the process
 * @waited: ns
 *
 * One that never was elsewhere has no record before it waits for the first time. One that
 * exits gets none: it would not be there for long enough to be seen. Nor has a child that
 * shares the memory: for people it is another process. What is left of a process that retires may
 * keep current waiting while it is one of its successor, perhaps away: that it remains.
 *
 * Context: the task itself, may sleep; may hold mmap_lock for reading.
 */
void rad_thread_add_wait(struct rad_process *process, u64 waited)
{
	struct rad_process *other;
	struct rad_thread *thread;

	if (current->mm != process->mm || task_tgid(current) != process->pid ||
	    current->flags & (PF_EXITING | PF_IO_WORKER))
		return;
	thread = rad_thread_find(current);
	other = thread ? READ_ONCE(thread->process) : NULL;
	if (!other || (other != process && !READ_ONCE(process->retiring))) {
		rad_thread_put(thread);
		thread = join(process);
	}
	if (thread)
		rad_thread_add_fault(thread, 0, waited);
	rad_thread_put(thread);
}

/* rad_thread_calls() - system calls that current has made for a thread that is away */
u64 rad_thread_calls(void)
{
	struct rad_thread *thread = rad_thread_find(current);
	u64 calls = thread ? READ_ONCE(thread->syscalls) : 0;

	rad_thread_put(thread);
	return calls;
}

/* The most used calls first; a selection of the largest RADIUM_SYSCALL_TOP. */
static void fill_syscalls(struct rad_thread *thread, struct radium_thread_info *info)
{
	int slot, nr, i;

	for (slot = 0; slot < RADIUM_SYSCALL_TOP; slot++) {
		info->syscall_nr[slot] = -1;
		for (nr = 0; nr < ARRAY_SIZE(thread->syscall_counts); nr++) {
			u64 n = thread->syscall_counts[nr];

			for (i = 0; i < slot; i++)
				if (info->syscall_nr[i] == nr)
					n = 0;
			if (n > info->syscall_count[slot]) {
				info->syscall_nr[slot] = nr;
				info->syscall_count[slot] = n;
			}
		}
		if (info->syscall_nr[slot] < 0)
			break;
	}
}

static void fill(struct rad_thread *thread, struct radium_thread_info *info)
{
	memset(info, 0, sizeof(*info));
	spin_lock(&thread->lock);
	info->tid = task_pid_vnr(thread->task);
	info->state = thread->state;
	info->node = thread->state == RADIUM_THREAD_AWAY ? rad_node_id(thread->node) :
							   rad_node_self();
	info->wanted = thread->wanted;
	info->reason = thread->reason;
	info->reason_detail = thread->detail;
	info->migrations = thread->migrations;
	info->returns = thread->returns;
	info->syscalls = thread->syscalls;
	BUILD_BUG_ON(RADIUM_R_COUNT > ARRAY_SIZE(info->returns_by_reason));
	memcpy(info->returns_by_reason, thread->returns_by_reason,
	       sizeof(thread->returns_by_reason));
	fill_syscalls(thread, info);
	info->faults = thread->faults;
	info->bytes = thread->bytes;
	info->waited_ns = thread->waited;
	spin_unlock(&thread->lock);
}

/**
 * rad_thread_list() - describe the threads of a process
 * @process: whose
 * @infos: room for @room entries
 * @room: entries that fit
 * @total: out: how many there are
 *
 * Return: entries written, or -ENOMEM.
 */
int rad_thread_list(struct rad_process *process, struct radium_thread_info *infos, u32 room,
		    u32 *total)
{
	struct rad_thread **array;
	u32 n, i, written = 0;

	array = rad_thread_snapshot(process, &n);
	if (!array)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		if (written < room)
			fill(array[i], &infos[written++]);
		rad_thread_put(array[i]);
	}
	kvfree(array);
	*total = n;
	return written;
}

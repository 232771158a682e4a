// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: what happens to the address space of a distributed process at home.
 *
 * Rules (Documentation/contexts.rst has the table):
 * - Always 0 is returned: with a range_end operation any error warns.
 * - Nothing is allocated that could wait: messages are GFP_ATOMIC, revocations and their
 *   landing pages are GFP_NOWAIT, and come from a reserve where there is no memory.
 * - The wait is bounded by the death of the peer, not by signals of current, who
 *   may be an unrelated reclaimer.
 * - Reclaim (PF_MEMALLOC) and kcompactd shut the gate, make stale what is being taken, and call
 *   nothing back: what they unmap keeps its content, and they may hold the lock of a page
 *   that an answer needs, or of a file that others map.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/mmu_notifier.h>
#include <linux/sched.h>
#include "process.h"

static struct rad_process *process_of(struct mmu_notifier *notifier)
{
	return container_of(notifier, struct rad_process, notifier);
}

/*
 * Our own migrate_vma_setup() announces itself with the process as its owner.
 * Neither start nor end of it is news.
 */
static bool is_own(struct rad_process *process, const struct mmu_notifier_range *range)
{
	return range->event == MMU_NOTIFY_MIGRATE && range->owner == process;
}

/*
 * Does the caller hold up others while it waits? Reclaim does, and so does kcompactd, which holds a
 * lock of the file that everybody needs who maps or unmaps it (a library). What it moves stays as it is.
 */
static bool must_not_wait(void)
{
#ifdef CONFIG_COMPACTION
	int node;

	if (current->flags & PF_KTHREAD)
		for_each_online_node(node)
			if (NODE_DATA(node)->kcompactd == current)
				return true;
#endif
	return current->flags & PF_MEMALLOC;
}

static int range_start(struct mmu_notifier *notifier, const struct mmu_notifier_range *range)
{
	struct rad_process *process = process_of(notifier);

	if (is_own(process, range))
		return 0;
	spin_lock(&process->mem.pages.xa_lock);
	rad_gate_shut(&process->mem.gate, range->start, range->end);
	spin_unlock(&process->mem.pages.xa_lock);
	rad_homemem_invalidate(process, range->start, range->end,
			       mmu_notifier_range_blockable(range) && !must_not_wait());
	if (range->event == MMU_NOTIFY_SOFT_DIRTY)
		rad_homemem_forget_writes(process);
	return 0;
}

static void range_end(struct mmu_notifier *notifier, const struct mmu_notifier_range *range)
{
	struct rad_process *process = process_of(notifier);
	struct rad_homemem *mem = &process->mem;

	if (is_own(process, range))
		return;
	spin_lock(&mem->pages.xa_lock);
	rad_gate_open(&mem->gate, range->start, range->end);
	spin_unlock(&mem->pages.xa_lock);
	wake_up_all(&mem->wait);
}

/* The address space dies; never the network here. */
static void release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	struct rad_process *process = process_of(notifier);

	rad_homemem_die(process);
	rad_process_retire(process);
}

static const struct mmu_notifier_ops ops = {
	.release = release,
	.invalidate_range_start = range_start,
	.invalidate_range_end = range_end,
};

/**
 * rad_notifier_register() - watch the address space of current
 * @process: of current
 *
 * Context: may sleep; mmap_lock is held for writing.
 * Return: 0, -ENOMEM, -EINTR.
 */
int rad_notifier_register(struct rad_process *process)
{
	process->notifier.ops = &ops;
	return __mmu_notifier_register(&process->notifier, process->mm);
}

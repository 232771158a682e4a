// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: the device's calls that tell what there is: nodes, processes, threads, pages.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/mm.h>
#include <linux/ptrace.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "dev_internal.h"
#include "hot.h"
#include "ksym.h"
#include "node.h"
#include "process.h"
#include "replica.h"
#include "thread.h"
#include "../uapi/linux/radium.h"

enum {
	LIST_MAX	= 65536,	/* entries in one call */
	ENTRY_MAX	= 4096,		/* bytes of one entry */
};

static int fill_nodes(struct rad_process *process, void *entries, u32 room, u32 *total)
{
	struct radium_node_info *infos = entries;
	int i, n = rad_node_list(infos, room, total);

	for (i = 0; i < n; i++)
		infos[i].visitors = infos[i].state == RADIUM_NODE_SELF ?
			rad_replica_visitor_count() : rad_process_count_on(infos[i].id);
	return n;
}

static int fill_processes(struct rad_process *process, void *entries, u32 room, u32 *total)
{
	return rad_process_list(entries, room, total);
}

static int fill_threads(struct rad_process *process, void *entries, u32 room, u32 *total)
{
	return rad_thread_list(process, entries, room, total);
}

static int fill_pages(struct rad_process *process, void *entries, u32 room, u32 *total)
{
	return rad_hot_list(process->hot, entries, room, total);
}

/* Of all nodes are counted, those that have none left out. */
static int fill_page_counts(struct rad_process *process, void *entries, u32 room, u32 *total)
{
	struct radium_page_count *counts, *out = entries;
	u32 i, n = 0;

	counts = kvcalloc(RADIUM_NODE_MAX, sizeof(*counts), GFP_KERNEL_ACCOUNT);
	if (!counts)
		return -ENOMEM;
	rad_homemem_count(process, counts);
	for (i = 0; i < RADIUM_NODE_MAX; i++) {
		if (!counts[i].owned && !counts[i].copied)
			continue;
		counts[i].node = i + 1;
		if (n < room)
			out[n] = counts[i];
		n++;
	}
	kvfree(counts);
	*total = n;
	return min(n, room);
}

/**
 * struct listing - one kind of list
 * @cmd: the call that asks for it
 * @size: bytes of an entry, as this module knows it
 * @fill: writes up to @room entries, which are zero; @total: out: how many there are. Returns how
 *	many were written, or a negative error
 * @of_process: @fill is given the process that the caller names, and may read; else NULL
 */
struct listing {
	unsigned int cmd;
	size_t size;
	int (*fill)(struct rad_process *process, void *entries, u32 room, u32 *total);
	bool of_process;
};

static const struct listing listings[] = {
	{ RADIUM_IOC_NODE_LIST, sizeof(struct radium_node_info), fill_nodes },
	{ RADIUM_IOC_PROCESS_LIST, sizeof(struct radium_process_info), fill_processes },
	{ RADIUM_IOC_THREAD_LIST, sizeof(struct radium_thread_info), fill_threads, true },
	{ RADIUM_IOC_PAGE_LIST, sizeof(struct radium_page_info), fill_pages, true },
	{ RADIUM_IOC_PAGE_COUNT_LIST, sizeof(struct radium_page_count), fill_page_counts, true },
};

/* What it does, call by call and page by page, is its owner's business. Or an ERR_PTR. */
static struct rad_process *find_readable(s32 pid)
{
	struct task_struct *task = rad_dev_find_process(pid);
	struct rad_process *process = NULL;
	struct mm_struct *mm;

	if (!task)
		return ERR_PTR(-ESRCH);
	if (!rad_ksym.ptrace_may_access(task, PTRACE_MODE_READ_REALCREDS)) {
		put_task_struct(task);
		return ERR_PTR(-EPERM);
	}
	mm = get_task_mm(task);
	put_task_struct(task);
	if (mm) {
		process = rad_process_find_mm(mm);
		mmput(mm);
	}
	return process ?: ERR_PTR(-ENOENT);
}

/* The entries that fit, in a new array; how many, or a negative error. */
static int gather(const struct listing *listing, const struct radium_list *list, void **entries,
		  u32 *total)
{
	struct rad_process *process = listing->of_process ? find_readable(list->pid) : NULL;
	int n = -ENOMEM;

	if (IS_ERR(process))
		return PTR_ERR(process);
	*entries = kvcalloc(list->count, listing->size, GFP_KERNEL_ACCOUNT);
	if (*entries)
		n = listing->fill(process, *entries, list->count, total);
	rad_process_put(process);
	return n;
}

static long list(const struct listing *listing, void __user *arg)
{
	struct radium_list list;
	void *entries = NULL;
	void __user *to;
	u32 total = 0;
	size_t common;
	int i, n, err;

	err = rad_dev_fetch(&list, sizeof(list), offsetofend(struct radium_list, entries), arg);
	if (err)
		return err;
	if (list.reserved || !list.entry_size || list.entry_size > ENTRY_MAX)
		return -EINVAL;
	list.count = min_t(u32, list.count, LIST_MAX);
	n = gather(listing, &list, &entries, &total);
	err = min(n, 0);
	common = min_t(size_t, listing->size, list.entry_size);
	to = u64_to_user_ptr(list.entries);
	for (i = 0; i < n && !err; i++, to += list.entry_size)
		if (copy_to_user(to, entries + i * listing->size, common) ||
		    clear_user(to + common, list.entry_size - common))
			err = -EFAULT;
	kvfree(entries);
	if (err)
		return err;
	list.count = n;
	list.total = total;
	return rad_dev_store(arg, &list, sizeof(list));
}

/**
 * rad_dev_list() - RADIUM_IOC_NODE_LIST and its kin
 * @call: the call, see RAD_DEV_CALL()
 * @arg: its argument, a struct radium_list
 *
 * Return: 0 or a negative error; -ENOTTY: it is none of these calls.
 */
long rad_dev_list(unsigned int call, void __user *arg)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(listings); i++)
		if (RAD_DEV_CALL(listings[i].cmd) == call)
			return list(&listings[i], arg);
	return -ENOTTY;
}

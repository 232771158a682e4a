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

struct entries {
	void *array;
	size_t size;
	int n;
	u32 total;
};

static int list_nodes(const struct radium_list *list, struct entries *e)
{
	struct radium_node_info *infos = kvcalloc(list->count, sizeof(*infos), GFP_KERNEL_ACCOUNT);
	int i, n;

	e->size = sizeof(*infos);
	e->array = infos;
	if (!infos)
		return -ENOMEM;
	n = rad_node_list(infos, list->count, &e->total);
	for (i = 0; i < n; i++)
		infos[i].visitors = infos[i].state == RADIUM_NODE_SELF ?
			rad_replica_visitor_count() : rad_process_count_on(infos[i].id);
	return n;
}

static int list_processes(const struct radium_list *list, struct entries *e)
{
	e->size = sizeof(struct radium_process_info);
	e->array = kvcalloc(list->count, e->size, GFP_KERNEL_ACCOUNT);
	return e->array ? rad_process_list(e->array, list->count, &e->total) : -ENOMEM;
}

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

static int list_threads(const struct radium_list *list, struct entries *e)
{
	struct rad_process *process = find_readable(list->pid);
	int n;

	if (IS_ERR(process))
		return PTR_ERR(process);
	e->size = sizeof(struct radium_thread_info);
	e->array = kvcalloc(list->count, e->size, GFP_KERNEL_ACCOUNT);
	n = e->array ? rad_thread_list(process, e->array, list->count, &e->total) : -ENOMEM;
	rad_process_put(process);
	return n;
}

static int list_pages(const struct radium_list *list, struct entries *e)
{
	struct rad_process *process = find_readable(list->pid);
	int n;

	if (IS_ERR(process))
		return PTR_ERR(process);
	e->size = sizeof(struct radium_page_info);
	e->array = kvcalloc(list->count, e->size, GFP_KERNEL_ACCOUNT);
	n = e->array ? rad_hot_list(process->hot, e->array, list->count, &e->total) : -ENOMEM;
	rad_process_put(process);
	return n;
}

static int list_page_counts(const struct radium_list *list, struct entries *e)
{
	struct rad_process *process = find_readable(list->pid);
	struct radium_page_count *counts;
	int i, n = 0;

	if (IS_ERR(process))
		return PTR_ERR(process);
	counts = kvcalloc(RADIUM_NODE_MAX, sizeof(*counts), GFP_KERNEL_ACCOUNT);
	e->size = sizeof(*counts);
	e->array = counts;
	if (counts)
		rad_homemem_count(process, counts);
	rad_process_put(process);
	if (!counts)
		return -ENOMEM;
	for (i = 0; i < RADIUM_NODE_MAX; i++) {
		if (!counts[i].owned && !counts[i].copied)
			continue;
		counts[n] = counts[i];
		counts[n++].node = i + 1;
	}
	e->total = n;
	return min_t(u32, n, list->count);
}

static long list(void __user *arg, int (*what)(const struct radium_list *, struct entries *))
{
	struct radium_list list;
	struct entries e = { };
	void __user *to;
	size_t common;
	int i, err;

	err = rad_dev_fetch(&list, sizeof(list), sizeof(list), arg);
	if (err)
		return err;
	if (list.reserved || !list.entry_size || list.entry_size > ENTRY_MAX)
		return -EINVAL;
	list.count = min_t(u32, list.count, LIST_MAX);
	e.n = what(&list, &e);
	err = min(e.n, 0);
	common = min_t(size_t, e.size, list.entry_size);
	to = u64_to_user_ptr(list.entries);
	for (i = 0; i < e.n && !err; i++, to += list.entry_size)
		if (copy_to_user(to, e.array + i * e.size, common) ||
		    clear_user(to + common, list.entry_size - common))
			err = -EFAULT;
	kvfree(e.array);
	if (err)
		return err;
	list.count = e.n;
	list.total = e.total;
	return rad_dev_store(arg, &list, sizeof(list));
}

/** rad_dev_list_nodes() - RADIUM_IOC_NODE_LIST */
long rad_dev_list_nodes(void __user *arg)
{
	return list(arg, list_nodes);
}

/** rad_dev_list_processes() - RADIUM_IOC_PROCESS_LIST */
long rad_dev_list_processes(void __user *arg)
{
	return list(arg, list_processes);
}

/** rad_dev_list_threads() - RADIUM_IOC_THREAD_LIST */
long rad_dev_list_threads(void __user *arg)
{
	return list(arg, list_threads);
}

/** rad_dev_list_pages() - RADIUM_IOC_PAGE_LIST */
long rad_dev_list_pages(void __user *arg)
{
	return list(arg, list_pages);
}

/** rad_dev_list_page_counts() - RADIUM_IOC_PAGE_COUNT_LIST */
long rad_dev_list_page_counts(void __user *arg)
{
	return list(arg, list_page_counts);
}

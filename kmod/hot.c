// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "radium: " fmt

#include <linux/mm.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include "hot.h"
#include "modest.h"

/* rad_hot_create() - an empty table, or NULL without memory */
struct rad_hot *rad_hot_create(void)
{
	struct rad_hot *hot = kzalloc(sizeof(*hot), RAD_GFP_MODEST_ACCOUNT);

	if (hot)
		spin_lock_init(&hot->lock);
	return hot;
}

void rad_hot_destroy(struct rad_hot *hot)
{
	kfree(hot);
}

/**
 * rad_hot_count() - a page has moved
 * @hot: the table
 * @move: see rad_hot_add()
 *
 * Context: any process context; allocates nothing.
 */
void rad_hot_count(struct rad_hot *hot, const struct rad_hot_move *move)
{
	spin_lock(&hot->lock);
	rad_hot_add(hot, move);
	spin_unlock(&hot->lock);
}

/* A thread's number for current; 0 if it has none there, or has ended and had another. */
static s32 number_for_current(u32 tid)
{
	struct pid_namespace *ns = task_active_pid_ns(current);
	s32 number;

	if (ns == &init_pid_ns)
		return tid;
	rcu_read_lock();
	number = pid_nr_ns(find_pid_ns(tid, &init_pid_ns), ns);
	rcu_read_unlock();
	return number;
}

static int by_moves(const void *a, const void *b)
{
	u64 x = rad_hot_moves(a), y = rad_hot_moves(b);

	return x < y ? 1 : x > y ? -1 : 0;
}

static void fill(const struct rad_hot_page *page, struct radium_page_info *info)
{
	int i;

	info->address = page->index << PAGE_SHIFT;
	info->moves = rad_hot_moves(page);
	info->nodes = page->nodes;
	for (i = 0; i < RADIUM_PAGE_THREADS && page->tids[i]; i++) {
		info->tids[i] = number_for_current(page->tids[i]);
		info->tid_nodes[i] = page->tid_nodes[i];
	}
}

/**
 * rad_hot_list() - describe the pages of the table, the hottest first
 * @hot: the table
 * @infos: room for @room entries, zeroed
 * @room: entries that fit
 * @total: out: how many there are
 *
 * Return: entries written, or -ENOMEM.
 */
int rad_hot_list(struct rad_hot *hot, struct radium_page_info *infos, u32 room, u32 *total)
{
	struct rad_hot_page *pages = kmalloc(sizeof(hot->pages), GFP_KERNEL_ACCOUNT);
	u32 i, n = 0;

	if (!pages)
		return -ENOMEM;
	spin_lock(&hot->lock);
	memcpy(pages, hot->pages, sizeof(hot->pages));
	spin_unlock(&hot->lock);
	sort(pages, RAD_HOT_PAGES, sizeof(*pages), by_moves, NULL);
	/* What has been counted has moved once at least; free slots are behind. */
	while (n < RAD_HOT_PAGES && rad_hot_moves(&pages[n]))
		n++;
	*total = n;
	n = min(n, room);
	for (i = 0; i < n; i++)
		fill(&pages[i], &infos[i]);
	kfree(pages);
	return n;
}

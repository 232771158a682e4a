// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: pages are called home because home is short of memory: a frame that is held for a page
 * that is away cannot be reclaimed.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/memcontrol.h>
#include <linux/shrinker.h>
#include <linux/workqueue.h>
#include "homemem_internal.h"
#include "process_internal.h"

enum {
	TRIM_PAGES = 32,		/* asked back at a time for lack of memory */
	/*
	 * Of a node, when nobody waits: who does wait for an answer is behind them, and a slow link
	 * has brought them home long before the node is given up for not answering.
	 */
	TRIM_REVOKES = 256,
	TRIM_LOOKS = 64,		/* pages that are passed over because their nodes have that many */
};

/* The page that has been away for longest on a node that can be asked; with a reference, or NULL. */
static struct rad_page *oldest(struct rad_homemem *mem)
{
	struct rad_page *page, *found = NULL;
	u32 looks = 0;

	spin_lock(&mem->pages.xa_lock);
	list_for_each_entry(page, &mem->order, order) {
		if (rad_revokes_of(page->node) < TRIM_REVOKES) {
			found = page;
			refcount_inc(&page->ref);
			break;
		}
		if (++looks == TRIM_LOOKS)
			break;
	}
	spin_unlock(&mem->pages.xa_lock);
	return found;
}

/**
 * rad_homemem_trim() - ask for the pages back that have been away for longest
 * @process: whose
 * @n: how many at most
 *
 * Does not wait for them: they come home, are finalized, and can be reclaimed. Fewer if their node
 * has much to answer already.
 */
void rad_homemem_trim(struct rad_process *process, u32 n)
{
	struct rad_page *page;

	while (n--) {
		page = oldest(&process->mem);
		if (!page)
			return;
		n = rad_page_revoke(page, RAD_USE_WRITE, true) ? n : 0;
		rad_page_put(page);
	}
}

/*
 * A held frame stays charged to the process' memory cgroups and cannot be reclaimed:
 * at most half of the tightest limit is held, lest the process be killed, or slowed down, for
 * lack of memory that the kernel could swap out.
 */
void rad_homemem_limit(struct rad_process *process)
{
#ifdef CONFIG_MEMCG
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(process->mm), *m;
	unsigned long limit = PAGE_COUNTER_MAX;
	u32 away = READ_ONCE(process->mem.away);
	bool above_high = false;

	for (m = memcg; m; m = parent_mem_cgroup(m)) {
		limit = min3(limit, READ_ONCE(m->memory.max), READ_ONCE(m->memory.high));
		above_high |= page_counter_read(&m->memory) > READ_ONCE(m->memory.high);
	}
	/*
	 * What a thread touches for the first time while it is away, or what is swapped in for it, a
	 * kernel thread charges: who is above its high limit for that is not made to reclaim.
	 */
	if (memcg && above_high)
		/* As urgent as what charges it: a receive thread. */
		queue_work(system_highpri_wq, &memcg->high_work);
	if (memcg)
		css_put(&memcg->css);
	if (away > limit / 2)
		rad_homemem_trim(process, min_t(u32, away - limit / 2, TRIM_PAGES));
#endif
}

static atomic_long_t short_of;	/* pages that reclaim has asked for */

static void trim_work(struct work_struct *work)
{
	u64 away = rad_process_pages_away(), back = atomic_long_xchg(&short_of, 0);
	struct rad_process **array;
	u32 n, i;

	array = rad_process_snapshot(&n);
	if (!array)
		return;
	back = min(back, away);
	for (i = 0; i < n; i++) {
		if (back)
			rad_homemem_trim(array[i],
					 DIV_ROUND_UP(back * READ_ONCE(array[i]->mem.away), away));
		rad_process_put(array[i]);
	}
	kvfree(array);
}

static DECLARE_WORK(trim, trim_work);

static unsigned long count_held(struct shrinker *shrinker, struct shrink_control *sc)
{
	return rad_process_pages_away() ?: SHRINK_EMPTY;
}

/*
 * Never waits in reclaim: the pages come home by and by. They have been looked at, though: as
 * many as are asked for are called, and no more.
 */
static unsigned long scan_held(struct shrinker *shrinker, struct shrink_control *sc)
{
	atomic_long_add(sc->nr_to_scan, &short_of);
	queue_work(system_unbound_wq, &trim);
	return 0;
}

static struct shrinker shrinker = {
	.count_objects = count_held,
	.scan_objects = scan_held,
	.seeks = DEFAULT_SEEKS,
};

int rad_trim_init(void)
{
	return register_shrinker(&shrinker, "radium");
}

void rad_trim_uninit(void)
{
	unregister_shrinker(&shrinker);
	cancel_work_sync(&trim);
}

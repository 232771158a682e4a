// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: what a page is asked back with: a record of the call, and a place for the page to land.
 * Some are set aside for those who must not wait for memory.
 */
#include <linux/highmem.h>
#include <linux/slab.h>
#include "homemem_internal.h"
#include "link.h"
#include "modest.h"
#include "process_internal.h"

enum {
	RESERVED_REVOKES = 8,	/* a process' revocations set aside for when there is no memory */
	QUICK_REVOKES = 128,	/* of a process, beside these, under way at once for who must not wait for any */
	ALL_QUICK_REVOKES = 16384, /* of all processes: a session has room for RAD_QUEUE_MAX messages, and then ends */
};

/* Those of all processes. */
static atomic_t all_quick;

static bool begin_quick(struct rad_homemem *mem)
{
	if (atomic_inc_return(&mem->quick) <= QUICK_REVOKES) {
		if (atomic_inc_return(&all_quick) <= ALL_QUICK_REVOKES)
			return true;
		atomic_dec(&all_quick);
	}
	atomic_dec(&mem->quick);
	return false;
}

static void end_quick(struct rad_homemem *mem)
{
	atomic_dec(&all_quick);
	atomic_dec(&mem->quick);
}

/*
 * For who changes the layout, with locks held, of what may be very many pages: as long as there is
 * memory for the asking, many are called home at once, and not one by one by means of the reserve.
 */
static struct rad_revoke *alloc_quickly(struct rad_homemem *mem, bool data)
{
	struct rad_revoke *revoke;

	if (!begin_quick(mem))
		return NULL;
	revoke = kzalloc(sizeof(*revoke), GFP_NOWAIT | __GFP_NOWARN);
	if (revoke && (!data || !rad_landing_get(&revoke->landing, GFP_NOWAIT | __GFP_NOWARN))) {
		revoke->quick = true;
		return revoke;
	}
	kfree(revoke);
	end_quick(mem);
	return NULL;
}

/* From the reserve, with a place that peers can write to: the device may have gone and come again. */
static bool renew_landing(struct rad_revoke *revoke, gfp_t gfp)
{
	struct rad_landing fresh;

	if (!rad_landing_is_dead(&revoke->landing))
		return true;
	if (rad_landing_get(&fresh, gfp))
		return false;
	rad_landing_put(&revoke->landing);
	revoke->landing = fresh;
	return true;
}

/* rad_revoke_alloc() - a revocation, if @data with a place for the page to land; or NULL: not now */
struct rad_revoke *rad_revoke_alloc(struct rad_homemem *mem, bool data, bool may_allocate)
{
	struct rad_revoke *revoke;

	if (!may_allocate) {
		revoke = alloc_quickly(mem, data);
		if (revoke)
			return revoke;
	}
	if (may_allocate) {
		revoke = kzalloc(sizeof(*revoke), RAD_GFP_MODEST);
		if (revoke && (!data || !rad_landing_get(&revoke->landing, RAD_GFP_MODEST)))
			return revoke;
		/* Pages come home one by one also when visitors have all of the pool. */
		kfree(revoke);
	}
	spin_lock(&mem->pages.xa_lock);
	revoke = list_first_entry_or_null(&mem->reserve, struct rad_revoke, list);
	if (revoke)
		list_del(&revoke->list);
	spin_unlock(&mem->pages.xa_lock);
	/* If there is none at once, some are made by now. */
	if (revoke && data && !renew_landing(revoke, GFP_NOWAIT | __GFP_NOWARN)) {
		rad_revoke_free(mem, revoke);
		revoke = NULL;
	}
	/* As rad_landing_get() gives one: what came home last is still there. */
	if (revoke && data)
		clear_highpage(revoke->landing.page);
	return revoke;
}

/* rad_revoke_free() - one that was not sent, or is over; NULL is fine */
void rad_revoke_free(struct rad_homemem *mem, struct rad_revoke *revoke)
{
	if (!revoke)
		return;
	if (revoke->reserved) {
		spin_lock(&mem->pages.xa_lock);
		if (!mem->dead) {
			revoke->doomed = 0;
			list_add(&revoke->list, &mem->reserve);
			spin_unlock(&mem->pages.xa_lock);
			wake_up_all(&mem->wait);
			return;
		}
		spin_unlock(&mem->pages.xa_lock);
	}
	if (revoke->quick)
		end_quick(mem);
	if (revoke->landing.page)
		rad_landing_put(&revoke->landing);
	kfree(revoke);
}

/* One of a process' reserve that no peer can write to any more; taken out of it. */
static struct rad_revoke *take_dead(struct rad_homemem *mem)
{
	struct rad_revoke *revoke, *dead = NULL;

	spin_lock(&mem->pages.xa_lock);
	list_for_each_entry(revoke, &mem->reserve, list)
		if (rad_landing_is_dead(&revoke->landing)) {
			list_del(&revoke->list);
			dead = revoke;
			break;
		}
	spin_unlock(&mem->pages.xa_lock);
	return dead;
}

static void renew_reserve(struct rad_homemem *mem)
{
	struct rad_revoke *revoke;
	bool renewed = true;

	while (renewed && (revoke = take_dead(mem))) {
		renewed = renew_landing(revoke, RAD_GFP_MODEST);
		rad_revoke_free(mem, revoke);
	}
}

static void renew_work(struct work_struct *work)
{
	struct rad_process **array;
	u32 n, i;

	array = rad_process_snapshot_wait(&n);
	for (i = 0; i < n; i++) {
		renew_reserve(&array[i]->mem);
		rad_process_put(array[i]);
	}
	kvfree(array);
}

static DECLARE_WORK(renew, renew_work);

/**
 * rad_reserves_renew() - an RDMA device has come in place of one that went
 *
 * Before visitors fill the pool again: who needs a reserve waits for nobody. What is in use now is renewed
 * when it is needed next.
 *
 * Context: process; does not wait.
 */
void rad_reserves_renew(void)
{
	queue_work(system_unbound_wq, &renew);
}

/* rad_reserves_uninit() - there is no process any more */
void rad_reserves_uninit(void)
{
	cancel_work_sync(&renew);
}

/* rad_reserve_create() - revocations for contexts that must not allocate; 0 or -ENOMEM */
int rad_reserve_create(struct rad_homemem *mem)
{
	int i;

	for (i = 0; i < RESERVED_REVOKES; i++) {
		struct rad_revoke *revoke = kzalloc(sizeof(*revoke), RAD_GFP_MODEST);

		if (!revoke || rad_landing_get(&revoke->landing, RAD_GFP_MODEST)) {
			kfree(revoke);
			return -ENOMEM;
		}
		revoke->reserved = true;
		list_add(&revoke->list, &mem->reserve);
	}
	return 0;
}

/* rad_reserve_destroy() - those in flight free themselves, since the directory is dead */
void rad_reserve_destroy(struct rad_homemem *mem)
{
	struct rad_revoke *revoke, *next;
	LIST_HEAD(reserve);

	spin_lock(&mem->pages.xa_lock);
	list_splice_init(&mem->reserve, &reserve);
	spin_unlock(&mem->pages.xa_lock);
	list_for_each_entry_safe(revoke, next, &reserve, list) {
		rad_landing_put(&revoke->landing);
		kfree(revoke);
	}
}

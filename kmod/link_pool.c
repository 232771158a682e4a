// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: the pages that peers may write to.
 *
 * All peers of the device share the pool: a node that holds the cluster key is
 * trusted with the content of all landing pages, and with nothing
 * else: the pool is the only memory that a remote key exists for. It grows and shrinks by chunks,
 * see link_chunk.c.
 *
 * A landing page is not reused while a peer might still write to it, see
 * rad_landing_put() and rad_landing_put_exposed(), or a send queue read it, see slot_put().
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include "link_chunk.h"
#include "modest.h"

static unsigned int pool_mib = 1024;
module_param(pool_mib, uint, 0644);
MODULE_PARM_DESC(pool_mib, "Most memory that peers may write to, MiB");

enum {
	POOL_LOW	= RAD_CHUNK_PAGES / 2,	/* free pages at which the pool grows */
	POOL_HIGH	= 4 * RAD_CHUNK_PAGES,	/* free pages above which it shrinks */
	LENT_MS		= 20,	/* until a send queue is through with what it has sent */
};

/* @lock: all but what never changes of a chunk, and @growing. */
static struct {
	spinlock_t lock;
	struct list_head usable;
	struct list_head full;
	struct list_head empty;
	struct list_head holding;
	struct list_head lent;
	u32 free;
	u32 total;
	u32 unknown;		/* keys that have been taken away: of what was not in the pool (yet) */
	bool open;
	struct mutex growing;
	struct work_struct work;
	struct delayed_work lent_work;
	struct delayed_work holding_work;
} pool;

/* rad_pool_is_open() - is there a device to register pages with? If not, nobody waits for it. */
bool rad_pool_is_open(void)
{
	return READ_ONCE(pool.open);
}

/* How many pages can be given out? */
static u32 chunk_room(const struct rad_chunk *chunk)
{
	return RAD_CHUNK_PAGES - chunk->used - chunk->withheld;
}

/* Into the list that it belongs to now. */
static void chunk_sort(struct rad_chunk *chunk)
{
	lockdep_assert_held(&pool.lock);
	if (!chunk_room(chunk))
		list_move(&chunk->entry, &pool.full);
	else if (!chunk->used)
		list_move(&chunk->entry, &pool.empty);
	else
		list_move_tail(&chunk->entry, &pool.usable);
}

static bool pool_capped(void)
{
	return pool.total + RAD_CHUNK_PAGES > (u64)READ_ONCE(pool_mib) << (20 - PAGE_SHIFT);
}

/* It is given up when nobody has a page of it, and of the others none is given out. */
static void spoil(struct rad_chunk *chunk)
{
	lockdep_assert_held(&pool.lock);
	WRITE_ONCE(chunk->spoiled, true);
	pool.free -= chunk_room(chunk);
	chunk->withheld = RAD_CHUNK_PAGES - chunk->used;
	chunk->until = jiffies;
	if (list_empty(&chunk->holding))
		list_add(&chunk->holding, &pool.holding);
	chunk_sort(chunk);
	queue_work(rad_worker_wq, &pool.work);
}

/* Add a chunk unless there are @enough free pages by now. */
static int pool_grow(gfp_t gfp, u32 enough)
{
	struct rad_chunk *chunk;
	u32 unknown;
	int err;

	if (mutex_lock_killable(&pool.growing))
		return -EINTR;
	/* Of what is closed nothing is given out, however much is free: it is on its way out. */
	err = -EHOSTDOWN;
	if (!READ_ONCE(pool.open))
		goto out;
	err = 0;
	if (READ_ONCE(pool.free) >= enough)
		goto out;
	err = -ENOMEM;
	if (pool_capped())
		goto out;
	unknown = READ_ONCE(pool.unknown);
	chunk = rad_chunk_create(gfp, &err);
	if (!chunk)
		goto out;
	spin_lock_irq(&pool.lock);
	list_add(&chunk->entry, &pool.empty);
	pool.free += RAD_CHUNK_PAGES;
	pool.total += RAD_CHUNK_PAGES;
	/* One of them may have been its own: it is there since before we have heard of it. */
	if (unknown != pool.unknown) {
		spoil(chunk);
		err = -EAGAIN;
	}
	spin_unlock_irq(&pool.lock);
out:
	mutex_unlock(&pool.growing);
	return err;
}

/* One that nobody has a page of, and that is not wanted; or NULL. */
static struct rad_chunk *find_surplus(void)
{
	struct rad_chunk *chunk;

	lockdep_assert_held(&pool.lock);
	list_for_each_entry(chunk, &pool.holding, holding)
		if (!chunk->used && time_after_eq(jiffies, chunk->until))
			return chunk;
	if (pool.free <= POOL_HIGH)
		return NULL;
	list_for_each_entry(chunk, &pool.empty, entry)
		if (!chunk->withheld)
			return chunk;
	return NULL;
}

/* It is the caller's. */
static struct rad_chunk *pool_take_surplus(void)
{
	struct rad_chunk *chunk;

	spin_lock_irq(&pool.lock);
	chunk = find_surplus();
	if (chunk) {
		list_del(&chunk->entry);
		list_del(&chunk->holding);
		pool.free -= chunk_room(chunk);
		pool.total -= RAD_CHUNK_PAGES;
	}
	spin_unlock_irq(&pool.lock);
	return chunk;
}

static void give_up_surplus(void)
{
	struct rad_chunk *chunk;

	while ((chunk = pool_take_surplus())) {
		rad_chunk_unregister(chunk);
		rad_chunk_free(chunk);
		cond_resched();
	}
}

static void pool_work(struct work_struct *work)
{
	if (READ_ONCE(pool.free) < POOL_LOW && READ_ONCE(pool.open))
		pool_grow(RAD_GFP_AHEAD, POOL_LOW);
	give_up_surplus();
}

/* One of which pages are used already, if there is any: so that others can be given up. */
static struct rad_chunk *chunk_with_room(void)
{
	lockdep_assert_held(&pool.lock);
	if (!pool.open)
		return NULL;
	return list_first_entry_or_null(&pool.usable, struct rad_chunk, entry) ?:
	       list_first_entry_or_null(&pool.empty, struct rad_chunk, entry);
}

static bool pool_get(struct rad_landing *landing)
{
	struct rad_chunk *chunk;
	struct rad_slot *slot;
	unsigned long flags;

	spin_lock_irqsave(&pool.lock, flags);
	chunk = chunk_with_room();
	if (chunk) {
		slot = list_first_entry(&chunk->free, struct rad_slot, entry);
		list_del(&slot->entry);
		chunk->used++;
		list_move(&chunk->entry, chunk_room(chunk) ? &pool.usable : &pool.full);
		pool.free--;
		rad_chunk_describe(slot, landing);
	}
	if (pool.free < POOL_LOW && pool.open)
		queue_work(rad_worker_wq, &pool.work);
	spin_unlock_irqrestore(&pool.lock, flags);
	return chunk;
}

/*
 * Does a message have the page? It lets go of it when the send queue has: a peer that says it has
 * the page while its adapter does not is sent it again, and what is in it then, from whatever process.
 */
static bool is_lent(const struct rad_slot *slot)
{
	return page_ref_count(slot->page) > 1;
}

static void slot_put(struct rad_slot *slot)
{
	struct rad_chunk *chunk = slot->chunk;
	unsigned long flags;
	bool last;

	spin_lock_irqsave(&pool.lock, flags);
	/* Nothing of a dead chunk is given out again, and there is no queue pair when all are dead. */
	if (pool.open && !chunk->dead && is_lent(slot)) {
		if (list_empty(&pool.lent))
			queue_delayed_work(rad_worker_wq, &pool.lent_work,
					   msecs_to_jiffies(LENT_MS));
		list_add_tail(&slot->entry, &pool.lent);
		spin_unlock_irqrestore(&pool.lock, flags);
		return;
	}
	last = !--chunk->used;
	if (chunk->spoiled && !chunk->dead) {
		chunk->withheld++;
		if (last)
			queue_work(rad_worker_wq, &pool.work);
		spin_unlock_irqrestore(&pool.lock, flags);
		return;
	}
	list_add(&slot->entry, &chunk->free);
	if (!chunk->dead) {
		pool.free++;
		if (last || chunk_room(chunk) == 1)
			chunk_sort(chunk);
		if (last && (chunk->withheld || pool.free > POOL_HIGH))
			queue_work(rad_worker_wq, &pool.work);
		last = false;
	}
	spin_unlock_irqrestore(&pool.lock, flags);
	if (last)
		rad_chunk_free(chunk);
}

/**
 * rad_landing_get - a page that peers may write to
 * @landing: filled in
 * @gfp: RAD_GFP_MODEST or the like; without direct reclaim only pages that are
 *	registered already are given out
 *
 * Zeros, until a peer writes there: a peer that says so and does not is not to show whoever gets
 * the page what it was used for before, by other processes perhaps.
 *
 * Context: as @gfp; killable; may sleep until a lost connection has been replaced
 * or its peer declared dead.
 * Return: 0; -ENOMEM: no memory, or pool_mib is reached; -EHOSTDOWN: there is no
 * session, so that nothing can be registered; -EINTR: a fatal signal; or an error of
 * the device.
 */
int rad_landing_get(struct rad_landing *landing, gfp_t gfp)
{
	int err;

	while (!pool_get(landing)) {
		if (!gfpflags_allow_blocking(gfp))
			return -ENOMEM;
		err = pool_grow(gfp, 1);
		if (err && err != -EAGAIN)
			return err;
	}
	clear_highpage(landing->page);
	return 0;
}

/**
 * rad_landing_put - give a landing page back
 * @landing: from rad_landing_get()
 *
 * Only when no peer can write to it any more: the answer to the request that
 * named it has come, without EXPOSED; or the session has ended, and no other node was told of the page.
 *
 * Context: any.
 */
void rad_landing_put(struct rad_landing *landing)
{
	slot_put(landing->slot);
	landing->page = NULL;
	landing->slot = NULL;
}

/* Puts the pages that send queues are through with; @all: there is no send queue any more. */
static void put_lent(bool all)
{
	struct rad_slot *slot, *next;
	LIST_HEAD(due);

	spin_lock_irq(&pool.lock);
	list_for_each_entry_safe(slot, next, &pool.lent, entry)
		if (all || !is_lent(slot))
			list_move_tail(&slot->entry, &due);
	if (!list_empty(&pool.lent))
		queue_delayed_work(rad_worker_wq, &pool.lent_work, msecs_to_jiffies(LENT_MS));
	spin_unlock_irq(&pool.lock);
	list_for_each_entry_safe(slot, next, &due, entry)
		slot_put(slot);
}

static void lent_work(struct work_struct *work)
{
	put_lent(false);
}

/* How long a chunk is kept whose pages nobody has, and somebody may write to. */
static unsigned long hold_jiffies(void)
{
	return msecs_to_jiffies(2 * READ_ONCE(rad_dead_ms) + rad_node_answer_ms());
}

static void holding_work(struct work_struct *work)
{
	give_up_surplus();
	spin_lock_irq(&pool.lock);
	if (!list_empty(&pool.holding))
		queue_delayed_work(rad_worker_wq, &pool.holding_work, hold_jiffies());
	spin_unlock_irq(&pool.lock);
}

/**
 * rad_landing_put_exposed - give a landing page back that a peer may still write to
 * @landing: from rad_landing_get()
 *
 * The node that was asked has passed the request on, or may have, and will not say how that
 * ended. Who was to answer may do so at any time, as long as its session with us lives: so nobody gets
 * the page any more. It is given up with the others of its chunk, when nobody has any of them; not
 * at once, since who writes as he was told to, late, but within the time that silences and answers
 * may take, is to find the place.
 *
 * Context: any.
 */
void rad_landing_put_exposed(struct rad_landing *landing)
{
	struct rad_slot *slot = landing->slot;
	struct rad_chunk *chunk = slot->chunk;
	unsigned long flags;
	bool withhold;

	spin_lock_irqsave(&pool.lock, flags);
	withhold = pool.open && !chunk->dead;
	if (withhold) {
		chunk->used--;
		chunk->withheld++;
		if (list_empty(&chunk->holding))
			list_add(&chunk->holding, &pool.holding);
		chunk->until = jiffies + hold_jiffies();
		if (!chunk->used)
			chunk_sort(chunk);
		queue_delayed_work(rad_worker_wq, &pool.holding_work, hold_jiffies());
	}
	spin_unlock_irqrestore(&pool.lock, flags);
	/* Otherwise nobody can write to it any more. */
	if (!withhold)
		slot_put(slot);
	landing->page = NULL;
	landing->slot = NULL;
}

static struct rad_chunk *find_key(u32 rkey)
{
	struct list_head *const lists[] = { &pool.usable, &pool.empty, &pool.full };
	struct rad_chunk *chunk;
	u32 i;

	lockdep_assert_held(&pool.lock);
	for (i = 0; i < ARRAY_SIZE(lists); i++)
		list_for_each_entry(chunk, lists[i], entry)
			if (chunk->rkey == rkey)
				return chunk;
	return NULL;
}

/**
 * rad_pool_spoil - a peer has taken a key away
 * @rkey: the key, as the completion of what the peer has sent says
 *
 * A message can do that to any key of the machine, with Soft-RoCE that of a stranger, too. Nobody can
 * write to the pages any more: who has been told of one fails, but nobody else is. They are given up
 * when nobody has any of them.
 *
 * Context: any.
 */
void rad_pool_spoil(u32 rkey)
{
	struct rad_chunk *chunk;
	unsigned long flags;

	spin_lock_irqsave(&pool.lock, flags);
	chunk = find_key(rkey);
	if (!chunk)
		pool.unknown++;
	else if (!chunk->spoiled)
		spoil(chunk);
	spin_unlock_irqrestore(&pool.lock, flags);
}

/**
 * rad_landing_is_dead() - can no peer write there any more?
 * @landing: from rad_landing_get()
 *
 * Its device has gone, since then, or its key has been taken away. Its page may be read and written
 * to as before.
 */
bool rad_landing_is_dead(const struct rad_landing *landing)
{
	const struct rad_slot *slot = landing->slot;

	return READ_ONCE(slot->chunk->dead) || READ_ONCE(slot->chunk->spoiled);
}

/* rad_landing_name() - what a peer has to know to write there */
void rad_landing_name(const struct rad_landing *landing, struct rad_wire_landing *wire)
{
	wire->addr = cpu_to_le64(landing->addr);
	wire->rkey = cpu_to_le32(landing->rkey);
	wire->token = cpu_to_le32(landing->token);
}

static struct rad_chunk *pool_take_any(void)
{
	struct rad_chunk *chunk;

	spin_lock_irq(&pool.lock);
	chunk = list_first_entry_or_null(&pool.usable, struct rad_chunk, entry) ?:
		list_first_entry_or_null(&pool.empty, struct rad_chunk, entry) ?:
		list_first_entry_or_null(&pool.full, struct rad_chunk, entry);
	if (chunk) {
		list_del(&chunk->entry);
		list_del(&chunk->holding);
		pool.total -= RAD_CHUNK_PAGES;
		pool.free -= chunk_room(chunk);
		WRITE_ONCE(chunk->dead, true);
		chunk->used++;		/* ours, until chunk_bury() */
	}
	spin_unlock_irq(&pool.lock);
	return chunk;
}

static void chunk_bury(struct rad_chunk *chunk)
{
	bool last;

	rad_chunk_unregister(chunk);
	spin_lock_irq(&pool.lock);
	last = !--chunk->used;
	spin_unlock_irq(&pool.lock);
	if (last)
		rad_chunk_free(chunk);
}

/**
 * rad_pool_open - there is a device to register pages with
 *
 * Context: process.
 */
void rad_pool_open(void)
{
	spin_lock_irq(&pool.lock);
	pool.open = true;
	spin_unlock_irq(&pool.lock);
}

/**
 * rad_pool_close - give all registrations up
 *
 * 1. The pool is closed: no page is given out, growing ends (its registration
 *    fails without a connection), so that no chunk is added after step 3.
 * 2. Pages that are lent are free: no connection is left to read them.
 * 3. All chunks are unregistered. Pages that somebody has stay his.
 * 4. The pool's work is through with the chunks that it took, if pages given back in 2 or 3
 *    have queued it again; there are no others for it.
 *
 * Context: process; all connections are closed, and none can be made.
 */
void rad_pool_close(void)
{
	struct rad_chunk *chunk;

	spin_lock_irq(&pool.lock);
	pool.open = false;
	spin_unlock_irq(&pool.lock);
	mutex_lock(&pool.growing);
	mutex_unlock(&pool.growing);
	cancel_work_sync(&pool.work);
	cancel_delayed_work_sync(&pool.lent_work);
	cancel_delayed_work_sync(&pool.holding_work);
	put_lent(true);
	while ((chunk = pool_take_any()))
		chunk_bury(chunk);
	cancel_work_sync(&pool.work);
}

/**
 * rad_pool_init - at load of the module
 */
void rad_pool_init(void)
{
	spin_lock_init(&pool.lock);
	mutex_init(&pool.growing);
	INIT_LIST_HEAD(&pool.usable);
	INIT_LIST_HEAD(&pool.full);
	INIT_LIST_HEAD(&pool.empty);
	INIT_LIST_HEAD(&pool.holding);
	INIT_LIST_HEAD(&pool.lent);
	INIT_DELAYED_WORK(&pool.lent_work, lent_work);
	INIT_DELAYED_WORK(&pool.holding_work, holding_work);
	INIT_WORK(&pool.work, pool_work);
}

/**
 * rad_pool_uninit - at unload of the module, after leave
 */
void rad_pool_uninit(void)
{
	WARN_ON_ONCE(pool.total);
}

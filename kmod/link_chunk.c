// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: pages that are registered together, for peers to write to, and what is expected in them.
 *
 * Keys come from fast registration, RAD_CHUNK_PAGES pages each; none exists before the first
 * peer has authenticated itself, since registering needs its queue pair.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/xarray.h>
#include "link_chunk.h"

enum {
	REGISTER_TRIES	= 20,
	RETRY_MS	= 50,	/* while a lost connection is being replaced */
};

/* Chunks by number, and what is expected in their pages. Inside a session's lock. */
static DEFINE_XARRAY_FLAGS(numbers, XA_FLAGS_ALLOC | XA_FLAGS_LOCK_BH);

/* rad_chunk_free() - not registered, and nobody has a page of it */
void rad_chunk_free(struct rad_chunk *chunk)
{
	u32 i;

	if (chunk->number < RAD_CHUNK_NUMBERS)
		xa_erase_bh(&numbers, chunk->number);
	for (i = 0; i < RAD_CHUNK_PAGES; i++)
		if (chunk->slots[i].page)
			__free_page(chunk->slots[i].page);
	kvfree(chunk);
}

/* rad_chunk_unregister() - nobody can write to the chunk any more; process context */
void rad_chunk_unregister(struct rad_chunk *chunk)
{
	ib_dereg_mr(chunk->mr);
	ib_dma_unmap_sg(chunk->dev->ibdev, chunk->sg, RAD_CHUNK_PAGES, DMA_FROM_DEVICE);
	rad_hca_put(chunk->dev);
	chunk->mr = NULL;
}

static struct rad_chunk *chunk_alloc(gfp_t gfp)
{
	struct rad_chunk *chunk = kvzalloc(sizeof(*chunk), gfp);
	u32 i;

	if (!chunk)
		return NULL;
	INIT_LIST_HEAD(&chunk->free);
	INIT_LIST_HEAD(&chunk->holding);
	/* Without a number its pages can be answered for by who was asked only. */
	if (xa_alloc_bh(&numbers, &chunk->number, chunk, XA_LIMIT(0, RAD_CHUNK_NUMBERS - 1), gfp))
		chunk->number = RAD_CHUNK_NUMBERS;
	sg_init_table(chunk->sg, RAD_CHUNK_PAGES);
	for (i = 0; i < RAD_CHUNK_PAGES; i++) {
		struct rad_slot *slot = &chunk->slots[i];

		slot->page = alloc_page(gfp | __GFP_ZERO);
		if (!slot->page) {
			rad_chunk_free(chunk);
			return NULL;
		}
		slot->chunk = chunk;
		list_add_tail(&slot->entry, &chunk->free);
		sg_set_page(&chunk->sg[i], slot->page, PAGE_SIZE, 0);
	}
	return chunk;
}

/* @failed: a session that it did not work with, or NULL */
static int chunk_post(struct rad_chunk *chunk, struct rad_node **failed)
{
	struct ib_reg_wr wr = {
		.wr.opcode = IB_WR_REG_MR,
		.mr = chunk->mr,
		.key = chunk->mr->rkey,
		.access = IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE,
	};
	struct rad_node *node = rad_node_get_any(*failed);
	int err;

	if (!node)
		return -EHOSTDOWN;
	err = rad_link_register(node, &wr);
	rad_node_put(*failed);
	*failed = node;
	return err;
}

static int chunk_register_once(struct rad_chunk *chunk, int segments, struct rad_node **failed)
{
	int err;

	chunk->mr = ib_alloc_mr(chunk->dev->pd, IB_MR_TYPE_MEM_REG, RAD_CHUNK_PAGES);
	if (IS_ERR(chunk->mr))
		return PTR_ERR(chunk->mr);
	ib_update_fast_reg_key(chunk->mr, ib_inc_rkey(chunk->mr->rkey));
	err = -EINVAL;
	if (ib_map_mr_sg(chunk->mr, chunk->sg, segments, NULL, PAGE_SIZE) == segments &&
	    chunk->mr->length == RAD_CHUNK_PAGES * PAGE_SIZE) {
		/*
		 * Peers name its pages by addresses that begin here: not by ours, which with
		 * Soft-RoCE are the kernel's, and by none that a stranger could guess. In whole
		 * pages we are free to choose.
		 */
		chunk->mr->iova = get_random_u64() >> (PAGE_SHIFT + 2) << PAGE_SHIFT;
		err = chunk_post(chunk, failed);
	}
	if (err)
		ib_dereg_mr(chunk->mr);
	return err;
}

/*
 * A connection that broke leaves the region's state unknown, and for a while
 * there may be none: as long as a session lives it is worth waiting.
 */
static bool may_retry(int err, u32 *tries)
{
	if (err == -EIO && !--*tries)
		return false;
	if ((err != -EIO && err != -EHOSTDOWN) || !rad_pool_is_open() ||
	    !rad_node_any_alive())
		return false;
	schedule_timeout_killable(msecs_to_jiffies(RETRY_MS));
	return !fatal_signal_pending(current);
}

static int chunk_register(struct rad_chunk *chunk)
{
	struct rad_node *failed = NULL;
	u32 tries = REGISTER_TRIES;
	int err, segments;

	/* Fewer than pages where an IOMMU makes one address range of several: usually one. */
	segments = ib_dma_map_sg(chunk->dev->ibdev, chunk->sg, RAD_CHUNK_PAGES,
				 DMA_FROM_DEVICE);
	if (!segments)
		return -EIO;
	do {
		err = chunk_register_once(chunk, segments, &failed);
	} while (err && may_retry(err, &tries));
	rad_node_put(failed);
	if (!err) {
		chunk->rkey = chunk->mr->rkey;
		chunk->iova = chunk->mr->iova;
	} else {
		ib_dma_unmap_sg(chunk->dev->ibdev, chunk->sg, RAD_CHUNK_PAGES,
				DMA_FROM_DEVICE);
	}
	return err;
}

/**
 * rad_chunk_create() - pages that peers may write to
 * @gfp: for all that it needs
 * @err: out: why not: -EHOSTDOWN: there is no session to register them with; -ENOMEM; -EINTR: a
 *	fatal signal; or an error of the device
 *
 * Context: as @gfp; killable; may sleep until a lost connection has been replaced or its peer
 * declared dead.
 * Return: the chunk, all of its pages free, or NULL.
 */
struct rad_chunk *rad_chunk_create(gfp_t gfp, int *err)
{
	struct rad_hca *dev = rad_hca_current();
	struct rad_chunk *chunk;

	*err = -EHOSTDOWN;
	if (!dev)
		return NULL;
	*err = -ENOMEM;
	chunk = chunk_alloc(gfp);
	if (!chunk)
		goto no_chunk;
	chunk->dev = dev;
	*err = chunk_register(chunk);
	if (!*err)
		return chunk;
	rad_chunk_free(chunk);
no_chunk:
	rad_hca_put(dev);
	return NULL;
}

/* rad_chunk_describe() - the landing page that a slot is */
void rad_chunk_describe(struct rad_slot *slot, struct rad_landing *landing)
{
	const struct rad_chunk *chunk = slot->chunk;
	u32 i = slot - chunk->slots;

	landing->page = slot->page;
	landing->addr = chunk->iova + (u64)i * PAGE_SIZE;
	landing->rkey = chunk->rkey;
	landing->token = RAD_TOKENS;
	if (chunk->number < RAD_CHUNK_NUMBERS)
		landing->token = chunk->number * RAD_CHUNK_PAGES + i;
	landing->slot = slot;
}

/**
 * rad_landing_expect - say which call is answered by writing to a page
 * @landing: the page
 * @call: the call; NULL: none any more
 *
 * Context: the lock of the call's session is held.
 */
void rad_landing_expect(struct rad_landing *landing, struct rad_call *call)
{
	struct rad_slot *slot = landing->slot;

	xa_lock_bh(&numbers);
	slot->call = call;
	xa_unlock_bh(&numbers);
}

/**
 * rad_landing_expected - the call that is answered by writing to a page
 * @token: of the page, from a peer
 * @node: where to put the node that was asked, with a reference
 *
 * Context: process; the call may be gone by now unless that node's lock is held.
 * Return: the call or NULL.
 */
struct rad_call *rad_landing_expected(u32 token, struct rad_node **node)
{
	struct rad_call *call = NULL;
	struct rad_chunk *chunk;

	xa_lock_bh(&numbers);
	chunk = xa_load(&numbers, token / RAD_CHUNK_PAGES);
	if (chunk)
		call = chunk->slots[token % RAD_CHUNK_PAGES].call;
	if (call)
		*node = rad_node_get(call->to);
	xa_unlock_bh(&numbers);
	return call;
}

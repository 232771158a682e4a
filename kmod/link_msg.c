// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: messages to be sent, until they are.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/mempool.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include "link_internal.h"

/*
 * A message is one piece of memory for the device. The page allocator promises up to two
 * pages in a row, and the registers of a CPU with AMX need three: what must be had and is
 * larger than one page is tried for, and else comes out of a reserve. What is taken out of
 * it comes back when it has been acknowledged, or its node is given up.
 */
enum {
#ifndef RAD_MSG_PROMISED	/* a test takes everything from the reserve */
	RAD_MSG_PROMISED	= PAGE_SIZE,
#endif
	IN_RESERVE		= 2,
	LARGEST			= sizeof(struct rad_msg) + sizeof(struct rad_wire_prepare) +
				  RAD_XSTATE_MAX,
};

static mempool_t *reserve;

/* Zeroed. */
static struct rad_msg *allocate(size_t size, gfp_t gfp)
{
	struct rad_msg *msg;

	if (!(gfp & __GFP_NOFAIL))
		return kzalloc(size, gfp);
	if (size <= RAD_MSG_PROMISED) {
		if (!(current->flags & PF_MEMALLOC))
			return kzalloc(size, gfp);
		/* The page allocator would not sleep while others make room, and say so. */
		while (!(msg = kzalloc(size, (gfp & ~__GFP_NOFAIL) | __GFP_NOWARN)))
			schedule_timeout_uninterruptible(1);
		return msg;
	}
	if (WARN_ON_ONCE(size > LARGEST))
		return NULL;
	msg = mempool_alloc(reserve, gfp & ~__GFP_NOFAIL);
	memset(msg, 0, size);
	msg->reserved = true;
	return msg;
}

/* rad_msg_destroy() - stream and send queue are through with it; any context */
void rad_msg_destroy(struct rad_msg *msg)
{
	if (msg->page)
		put_page(msg->page);
	if (msg->reserved)
		mempool_free(msg, reserve);
	else
		kfree(msg);
}

/**
 * rad_msg_alloc - make a message
 * @type: enum rad_msg_type
 * @body_len: bytes of the body, up to RAD_MESSAGE_MAX less the header; with __GFP_NOFAIL
 *	no more than a PREPARE has
 * @gfp: how to allocate
 *
 * Context: any that @gfp allows. With __GFP_NOFAIL it may wait for another message to be
 * acknowledged, at worst until its node is declared dead.
 * Return: the message with a zeroed body, or NULL.
 */
struct rad_out *rad_msg_alloc(u32 type, size_t body_len, gfp_t gfp)
{
	struct rad_msg *msg;

	if (WARN_ON_ONCE(type >= RAD_MSG_COUNT ||
			 body_len > RAD_MESSAGE_MAX - sizeof(msg->header)))
		return NULL;
	msg = allocate(sizeof(*msg) + body_len, gfp);
	if (!msg)
		return NULL;
	msg->out.body = msg + 1;
	msg->type = type;
	msg->len = body_len;
	return &msg->out;
}

/**
 * rad_msg_free - drop a message that was not sent
 * @out: the message, may be NULL
 *
 * Context: any.
 */
void rad_msg_free(struct rad_out *out)
{
	if (out)
		rad_msg_destroy(rad_msg_of(out));
}

/**
 * rad_msg_trim - make a message shorter
 * @out: the message, not yet sent
 * @body_len: bytes of the body, not more than it was made with
 *
 * Context: any.
 */
void rad_msg_trim(struct rad_out *out, size_t body_len)
{
	struct rad_msg *msg = rad_msg_of(out);

	if (!WARN_ON_ONCE(body_len > msg->len))
		msg->len = body_len;
}

/**
 * rad_msg_set_page - have a page written to the peer, and the message be the write's
 *	immediate data
 * @out: PAGE_GRANT or PAGE_BACK, with DATA, or PAGE_FORWARD
 * @page: the page, whose content must not change until the message has been
 *	acknowledged; the link holds a reference until then
 * @landing: where to, as the peer named it. A place that the peer has not
 *	registered costs it the session; with PAGE_FORWARD, see rad_node_forward_failed()
 *
 * Context: any.
 */
void rad_msg_set_page(struct rad_out *out, struct page *page,
		      const struct rad_wire_landing *landing)
{
	struct rad_msg *msg = rad_msg_of(out);

	get_page(page);
	msg->page = page;
	msg->landing_addr = le64_to_cpu(landing->addr);
	msg->landing_rkey = le32_to_cpu(landing->rkey);
}

/**
 * rad_msg_on_sent - call a function when the message has been acknowledged
 * @out: the message
 * @fn: called exactly once after sending, see rad_sent_fn
 * @arg: for @fn
 *
 * Context: any.
 */
void rad_msg_on_sent(struct rad_out *out, rad_sent_fn fn, void *arg)
{
	struct rad_msg *msg = rad_msg_of(out);

	msg->sent = fn;
	msg->sent_arg = arg;
}

int rad_msg_init(void)
{
	BUILD_BUG_ON(sizeof(struct rad_wire_return) > sizeof(struct rad_wire_prepare));
	reserve = mempool_create_kmalloc_pool(IN_RESERVE, LARGEST);
	return reserve ? 0 : -ENOMEM;
}

void rad_msg_uninit(void)
{
	mempool_destroy(reserve);
}

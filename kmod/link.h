/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: messages between nodes.
 *
 * A link is a session of two ordered, exactly-once streams of messages (one for
 * each class of wire.h) to one peer. It outlives queue pairs: after a loss the
 * streams go on where they stopped. It ends when the peer is declared dead, or
 * comes back without its state; then every message not yet acknowledged is
 * dropped, every call completes with -EHOSTDOWN, and rad_process_node_dead() is
 * called once.
 */
#ifndef _RADIUM_LINK_H
#define _RADIUM_LINK_H

#include <linux/completion.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include "wire.h"

struct rad_node;

/*
 * Called once, when the peer's link has received the message (@delivered) or
 * the session has ended: up to 20 ms after the fact, without locks, in the
 * link's receive context or in a work item; must not wait for a message. If
 * sending fails it is called before the function that sends returns.
 */
typedef void (*rad_sent_fn)(void *arg, bool delivered);

/**
 * struct rad_out - a message to be sent
 * @body: the body, zeroed, as long as asked for
 *
 * The rest is private to the link: struct rad_msg of link_internal.h.
 */
struct rad_out {
	void *body;
};

/**
 * struct rad_in - a message received
 * @from: the sender; the reference is the link's, valid during the handler
 * @type: enum rad_msg_type
 * @len: bytes of @body, at least the least length of the type
 * @call: id to answer with rad_answer(), 0 if no answer is wanted
 * @body: the body; gone when the handler returns
 */
struct rad_in {
	struct rad_node *from;
	u32 type;
	u32 len;
	u64 call;
	const void *body;
};

/* Handles a message of one type, in the context that RAD_MESSAGES says. */
typedef void (*rad_handler_fn)(struct rad_in *in);

/*
 * By message type; NULL for the link's own messages and for answers to calls
 * (PREPARED, PAGE_GRANT, PAGE_BACK), which go to their struct rad_call. Defined
 * by the layer above.
 */
extern const rad_handler_fn rad_handlers[RAD_MSG_COUNT];

/* Runs the handlers of context WORKER; flushed before the module goes. */
extern struct workqueue_struct *rad_worker_wq;

/* A page of this node that peers may write to; @slot is private to link_pool.c and link_chunk.c. */
struct rad_landing {
	struct page *page;
	u64 addr;
	u32 rkey;
	u32 token;
	void *slot;
};

/**
 * struct rad_call - a request that is being answered
 * @notify: called once, when the answer has come or the session has ended, in
 *	a receive context, for PAGE_FORWARD that of another session than the one that
 *	was asked: must not sleep on anything that waits for a
 *	message. May free the call. NULL: wait with rad_call_wait().
 * @status: 0, or -EHOSTDOWN
 * @answered_by: type of the answer: PAGE_FORWARD, or the one that belongs to the request
 * @answer: answer's body, valid during @notify, or copied to @buf
 * @len: its length
 * @buf: where to copy the answer (up to @size bytes), may be NULL
 * @size: see @buf
 * @at_once: the peer answers without waiting for anybody: one that lives and does not breaks
 *	the protocol, see rad_call_overdue()
 * @landing: NULL, or the landing place that the request names, so that a node other than
 *	the one that was asked can answer (PAGE_FORWARD). Its maker lets go of it with
 *	rad_landing_put_exposed() unless the call has been answered, without EXPOSED.
 *
 * Set @notify, @buf, @size, @at_once and @landing, zero the rest.
 */
struct rad_call {
	void (*notify)(struct rad_call *call);
	int status;
	u32 answered_by;
	u32 len;
	const void *answer;
	void *buf;
	u32 size;
	bool at_once;
	struct rad_landing *landing;
	/* private: to the link*.c */
	u64 id;
	u64 seq;
	u32 class;
	u64 since;
	u32 answer_type;
	bool pending;
	struct rad_node *to;
	struct hlist_node entry;
	struct completion done;
};

int rad_msg_init(void);
void rad_msg_uninit(void);
struct rad_out *rad_msg_alloc(u32 type, size_t body_len, gfp_t gfp);
void rad_msg_free(struct rad_out *msg);
void rad_msg_trim(struct rad_out *msg, size_t body_len);
void rad_msg_set_page(struct rad_out *msg, struct page *page,
		      const struct rad_wire_landing *landing);
void rad_msg_on_sent(struct rad_out *msg, rad_sent_fn fn, void *arg);
int rad_msg_send(struct rad_node *to, struct rad_out *msg);
int rad_msg_send_later(struct rad_node *to, struct rad_out *msg);
int rad_answer(const struct rad_in *request, struct rad_out *msg);
int rad_answer_to(struct rad_node *to, u64 call, struct rad_out *msg);
int rad_call_send(struct rad_node *to, struct rad_call *call, struct rad_out *msg);
int rad_call_wait(struct rad_call *call, unsigned long timeout);
bool rad_call_cancel(struct rad_call *call);

int rad_landing_get(struct rad_landing *landing, gfp_t gfp);
void rad_landing_put(struct rad_landing *landing);
void rad_landing_put_exposed(struct rad_landing *landing);
bool rad_landing_is_dead(const struct rad_landing *landing);
void rad_landing_name(const struct rad_landing *landing, struct rad_wire_landing *wire);

#endif /* _RADIUM_LINK_H */

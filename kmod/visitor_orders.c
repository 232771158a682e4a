// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: what home wants of a visitor: to be held ready (PREPARE), to run (COMMIT) or not
 * (ABORT), to come back (RECALL).
 */
#define pr_fmt(fmt) "radium: " fmt

#include "link.h"
#include "node.h"
#include "regs.h"
#include "replica.h"
#include "visitor_internal.h"
#include "wire_check.h"

/* Is this the stay that a message is about, still? */
static bool is_stay(const struct rad_visitor *visitor, const struct rad_wire_thread *body)
{
	lockdep_assert_held(&visitor->lock);
	return visitor->thread == le32_to_cpu(body->thread) &&
	       visitor->stay == le32_to_cpu(body->stay);
}

static bool is_free(struct rad_visitor *visitor)
{
	lockdep_assert_held(&visitor->lock);
	return visitor->born && !visitor->loading && visitor->state == RAD_VISITOR_PARKED;
}

/* Has the thread been here, or is it, on a later stay? */
static bool is_outdated(struct rad_replica *replica, u32 thread, u32 stay)
{
	struct rad_visitor *visitor;

	lockdep_assert_held(&replica->lock);
	list_for_each_entry(visitor, &replica->visitors, list)
		if (visitor->thread == thread && (s32)(stay - visitor->stay) <= 0)
			return true;
	return false;
}

/* What an ABORT has left that overtook its PREPARE: of the thread there is only the new stay. */
static void park_left(struct rad_replica *replica, u32 thread)
{
	struct rad_visitor *visitor;

	lockdep_assert_held(&replica->lock);
	list_for_each_entry(visitor, &replica->visitors, list) {
		spin_lock_irq(&visitor->lock);
		if (visitor->state == RAD_VISITOR_PREPARED && visitor->thread == thread)
			rad_visitor_set_state(visitor, RAD_VISITOR_PARKED);
		spin_unlock_irq(&visitor->lock);
	}
}

/*
 * A parked visitor of the replica, reserved for a thread; with a reference. NULL also
 * for a request that home has given up: a later one may have overtaken it.
 */
static struct rad_visitor *reserve(struct rad_replica *replica, u32 thread, u32 stay)
{
	struct rad_visitor *visitor;

	for (;;) {
		spin_lock(&replica->lock);
		if (is_outdated(replica, thread, stay)) {
			spin_unlock(&replica->lock);
			return NULL;
		}
		park_left(replica, thread);
		list_for_each_entry(visitor, &replica->visitors, list) {
			spin_lock_irq(&visitor->lock);
			if (is_free(visitor)) {
				rad_visitor_set_state(visitor, RAD_VISITOR_PREPARED);
				if (visitor->thread != thread)
					visitor->waited = 0;
				visitor->thread = thread;
				visitor->stay = stay;
				visitor->loading = true;
				visitor->clocked = false;
				rad_visitor_reset(visitor);
				kref_get(&visitor->ref);
				spin_unlock_irq(&visitor->lock);
				spin_unlock(&replica->lock);
				return visitor;
			}
			spin_unlock_irq(&visitor->lock);
		}
		spin_unlock(&replica->lock);
		visitor = rad_visitor_create(replica);
		if (!visitor)
			return NULL;
		rad_visitor_put(visitor);
	}
}

/* The registers are there, or not. Returns whether the visitor is still to have them. */
static bool end_loading(struct rad_visitor *visitor, bool loaded)
{
	bool wanted;

	spin_lock_irq(&visitor->lock);
	visitor->loading = false;
	wanted = visitor->state == RAD_VISITOR_PREPARED;
	if (wanted && !loaded)
		rad_visitor_set_state(visitor, RAD_VISITOR_PARKED);
	spin_unlock_irq(&visitor->lock);
	return wanted;
}

static u32 hold_ready(const struct rad_in *in)
{
	const struct rad_wire_prepare *prepare = in->body;
	struct rad_replica *replica;
	struct rad_visitor *visitor;
	u32 reason;
	int err;

	reason = rad_regs_check(&prepare->regs, in->len - offsetof(struct rad_wire_prepare, regs));
	if (!reason && !rad_wire_check_self(&prepare->self))
		reason = RADIUM_R_PROTOCOL;
	if (reason)
		return reason;
	replica = rad_replica_obtain(in);
	if (!replica)
		return RADIUM_R_REPLICA;
	/* Home ends the replica if that was all that it was for. */
	if (rad_node_is_emptying()) {
		rad_replica_put(replica);
		return RADIUM_R_DRAIN;
	}
	visitor = reserve(replica, le32_to_cpu(prepare->thread.thread),
			  le32_to_cpu(prepare->thread.stay));
	if (!visitor) {
		rad_replica_put(replica);
		return RADIUM_R_NO_MEMORY;
	}
	rad_replica_set_clocks(visitor, prepare);
	rad_vvar_has_seen(&replica->window.vvar, le64_to_cpu(prepare->coarse),
			  le64_to_cpu(prepare->real));
	rad_replica_put(replica);
	visitor->self = prepare->self;
	memcpy(visitor->task->comm, prepare->comm, sizeof(visitor->task->comm) - 1);
	err = rad_regs_load(visitor->task, &prepare->regs);
	if (!end_loading(visitor, !err))
		err = -ESRCH;
	if (err)
		reason = err == -ESRCH ? RADIUM_R_EXITING :
			 err == -EINVAL ? RADIUM_R_XSTATE : RADIUM_R_PROTOCOL;
	rad_visitor_put(visitor);
	return reason;
}

/* rad_visitor_on_prepare() - PREPARE: hold a thread ready; a worker */
void rad_visitor_on_prepare(struct rad_in *in)
{
	u32 reason = hold_ready(in);
	struct rad_wire_status *body;
	struct rad_out *msg;

	msg = rad_msg_alloc(RAD_MSG_PREPARED, sizeof(*body), GFP_KERNEL | __GFP_NOFAIL);
	body = msg->body;
	body->reason = cpu_to_le32(reason);
	rad_answer(in, msg);
}

/* A visitor that was killed when it was ready is not there to say so. */
static void tell_gone(const struct rad_in *in)
{
	struct rad_wire_thread *body;
	struct rad_out *msg;

	msg = rad_msg_alloc(RAD_MSG_VISITOR_GONE, sizeof(*body), GFP_KERNEL | __GFP_NOFAIL);
	body = msg->body;
	memcpy(body, in->body, sizeof(*body));
	rad_msg_send(in->from, msg);
}

/* rad_visitor_on_commit() - COMMIT: the visitor is the thread */
void rad_visitor_on_commit(struct rad_in *in)
{
	struct rad_visitor *visitor = rad_visitor_addressed(in);
	bool running = false, early = false;

	if (visitor) {
		spin_lock_irq(&visitor->lock);
		running = visitor->state == RAD_VISITOR_PREPARED && is_stay(visitor, in->body);
		/* Its registers are being written: home was not told that it is ready. */
		early = running && visitor->loading;
		if (running && !early)
			rad_visitor_set_state(visitor, RAD_VISITOR_RUNNING);
		spin_unlock_irq(&visitor->lock);
	}
	if (early)
		rad_node_protocol_error(in->from, "COMMIT: not prepared");
	else if (!running)
		tell_gone(in);
	rad_visitor_put(visitor);
}

/* rad_visitor_on_abort() - ABORT: the thread is not to run, or is dead at home */
void rad_visitor_on_abort(struct rad_in *in)
{
	struct rad_visitor *visitor = rad_visitor_addressed(in);
	bool discard;

	if (!visitor)
		return;
	spin_lock_irq(&visitor->lock);
	discard = visitor->state == RAD_VISITOR_RUNNING && is_stay(visitor, in->body);
	if (discard)
		visitor->discard = true;
	else if (visitor->state == RAD_VISITOR_PREPARED && is_stay(visitor, in->body))
		rad_visitor_set_state(visitor, RAD_VISITOR_PARKED);
	spin_unlock_irq(&visitor->lock);
	if (discard) {
		rad_visitor_enqueue(visitor, TWA_SIGNAL);
		wake_up_all(&visitor->wait);
	}
	rad_visitor_put(visitor);
}

/* rad_visitor_on_recall() - RECALL: home wants the thread back */
void rad_visitor_on_recall(struct rad_in *in)
{
	const struct rad_wire_thread *body = in->body;
	struct rad_visitor *visitor = rad_visitor_addressed(in);
	u32 reason = rad_wire_reason(body->reason);

	if (!visitor)
		return;
	spin_lock_irq(&visitor->lock);
	if (!visitor->leave && is_stay(visitor, in->body)) {
		visitor->leave = reason ?: RADIUM_R_ASKED;
		visitor->detail = 0;
	}
	spin_unlock_irq(&visitor->lock);
	rad_visitor_enqueue(visitor, TWA_SIGNAL);
	rad_visitor_put(visitor);
}

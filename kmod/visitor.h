/* SPDX-License-Identifier: GPL-2.0 */
/* Radium: the task inside a replica that runs one migrated thread. */
#ifndef _RADIUM_VISITOR_H
#define _RADIUM_VISITOR_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/task_work.h>
#include <linux/wait.h>
#include "states.h"
#include "stay.h"
#include "wire.h"
#include "../uapi/linux/radium.h"

struct pt_regs;
struct rad_in;
struct rad_letter;
struct rad_replica;

/* How a replica's tasks sleep: no load of this machine, and they do not keep it from being frozen. */
#define RAD_VISITOR_SLEEP	(TASK_KILLABLE | TASK_NOLOAD | TASK_FREEZABLE)

/**
 * struct rad_visitor - a visitor
 * @ref: the replica's list has one, its task one, queued work one
 * @hash: in the table by task
 * @list: in rad_replica.visitors
 * @birth: in rad_replica.births
 * @replica: holds a reference
 * @task: set by the task itself when it begins; holds a reference
 * @newborn: its task has not parked yet; the task only
 * @born: it has
 * @lock: protects what follows
 * @state: see RAD_VISITOR_MOVES
 * @thread: which thread it is or was
 * @stay: see @thread
 * @loading: its registers are being loaded
 * @clocked: the replica's clocks are such that its thread may look at them
 * @wait: the task sleeps here: parked, or for the result of a system call
 * @self: who its thread is, as home has told last; while it runs the task only
 * @result: of the delegated call
 * @has_result: see @result
 * @expects: it has been sent, and not been answered
 * @letter: its data; NULL: no data ever has been. See struct rad_letter
 * @work: brings the task to us
 * @queued: see @work
 * @leave: why it has to go home, RADIUM_R_NONE: it has not
 * @discard: it is not to go home but to be forgotten
 * @detail: goes with @leave
 * @patience: how its last fault looked; the task only
 * @waited: ns that the thread has waited for pages and home has not been told of;
 *	the task only, while it runs
 * @told: CPU time of the task that home has been told of; the task only
 */
struct rad_visitor {
	struct kref ref;
	struct hlist_node hash;
	struct list_head list;
	struct list_head birth;
	struct rad_replica *replica;
	struct task_struct *task;
	bool newborn;
	bool born;
	spinlock_t lock;
	enum rad_visitor_state state;
	u32 thread;
	u32 stay;
	bool loading;
	bool clocked;
	wait_queue_head_t wait;
	struct rad_wire_self self;
	struct rad_wire_syscall_done result;
	bool has_result;
	bool expects;
	struct rad_letter *letter;
	struct callback_head work;
	unsigned long queued;
	u32 leave;
	bool discard;
	u64 detail;
	struct rad_patience patience;
	u64 waited;
	struct { u64 utime, stime, runtime; } told;
};

/* Somebody at home watches its calls: none is made here. */
static inline bool rad_visitor_is_watched(const struct rad_visitor *visitor)
{
	return le32_to_cpu(visitor->self.flags) & RAD_SELF_WATCHED;
}

int rad_visitor_init(void);
void rad_visitor_uninit(void);

struct rad_visitor *rad_visitor_current(void);
struct rad_visitor *rad_visitor_create(struct rad_replica *replica);
void rad_visitor_put(struct rad_visitor *visitor);
void rad_visitor_block_signals(void);
int rad_visitor_birth(struct rad_visitor *visitor);
void rad_visitor_kill(struct rad_visitor *visitor);
void rad_visitor_end(struct rad_visitor *visitor, bool tell);
void rad_visitor_bury(struct rad_visitor *visitor);
void rad_visitor_syscall(struct rad_visitor *visitor, struct pt_regs *regs);
void rad_visitor_bounce(struct rad_visitor *visitor, u32 reason, u64 detail);

void rad_visitor_on_prepare(struct rad_in *in);
void rad_visitor_on_commit(struct rad_in *in);
void rad_visitor_on_abort(struct rad_in *in);
void rad_visitor_on_recall(struct rad_in *in);
void rad_visitor_on_syscall_done(struct rad_in *in);

#endif /* _RADIUM_VISITOR_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* Radium: shared between the files of the deputy only. */
#ifndef _RADIUM_DEPUTY_INTERNAL_H
#define _RADIUM_DEPUTY_INTERNAL_H

#include <linux/jhash.h>
#include <linux/ptrace.h>
#include <linux/sched/task_stack.h>
#include <linux/task_work.h>
#include "thread.h"

struct rad_out;
struct rad_wire_cputime;
struct rad_wire_self;
struct rad_wire_syscall;

/* deputy.c */
void rad_deputy_enqueue(struct rad_thread *thread, enum task_work_notify_mode notify);
struct rad_out *rad_deputy_msg(struct rad_thread *thread, u32 type, size_t len);
struct rad_out *rad_deputy_try_msg(struct rad_thread *thread, u32 type, size_t len);
void rad_deputy_tell(struct rad_thread *thread, u32 type, u32 reason);

/* deputy_out.c */
bool rad_deputy_go_out(struct rad_thread *thread);
void rad_deputy_describe_self(const struct rad_thread *thread, struct rad_wire_self *self);
void rad_deputy_look_later(struct rad_thread *thread);
void rad_deputy_go_out_later(struct rad_thread *thread);
void rad_deputy_again_work(struct work_struct *work);

/* deputy_home.c */
bool rad_deputy_come_home(struct rad_thread *thread);
void rad_deputy_drop_boomerang(struct rad_thread *thread);
void rad_deputy_settle_time(struct rad_thread *thread);

/* deputy_time.c */
void rad_deputy_account(struct rad_thread *thread, const struct rad_wire_cputime *cputime);
void rad_deputy_give_time(struct rad_thread *thread);
bool rad_deputy_owes_time(const struct rad_thread *thread, const struct rad_wire_syscall *call);

/* deputy_call.c */
void rad_deputy_execute(struct rad_thread *thread);
void rad_deputy_answer(struct rad_thread *thread);
bool rad_deputy_resolve(u64 detail);
void rad_deputy_touch_for_visitor(struct rad_thread *thread);

/* deputy_inline.c */
bool rad_deputy_take_parcel(struct rad_thread *thread, struct rad_wire_syscall *body,
			    const void *data, u32 len);
long rad_deputy_store(struct rad_thread *thread, u64 address);
bool rad_deputy_lend(struct rad_thread *thread, struct pt_regs *regs);
struct rad_out *rad_deputy_collect(struct rad_thread *thread, u64 ax);

/* Of what a thread changes that executes anything: hardly a loop leaves all of it as it is. */
static inline u32 rad_deputy_digest(const struct pt_regs *regs)
{
	u32 seed = jhash_2words(regs->ip, regs->sp, 0);

	/* All but what the kernel has a say in: the number of the call, segments, flags. */
	return jhash(regs, offsetof(struct pt_regs, orig_ax), seed);
}

#endif /* _RADIUM_DEPUTY_INTERNAL_H */

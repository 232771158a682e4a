// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: what the deputy does for its visitor: system calls, and stacks that grow.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/entry-common.h>
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include "deputy_internal.h"
#include "ksym.h"
#include "link.h"
#include "process.h"
#include "syscall.h"
#include "vvar.h"
#include "watch.h"

/* @msg: with data, or NULL */
static void tell_result(struct rad_thread *thread, struct rad_out *msg, u64 ax, u32 flags,
			u32 reason)
{
	struct rad_wire_syscall_done *body;

	if (msg)
		flags |= RAD_SYSCALL_DATA;
	else
		msg = rad_deputy_msg(thread, RAD_MSG_SYSCALL_DONE, sizeof(*body));
	body = msg->body;
	body->thread.reason = cpu_to_le32(reason);
	body->ax = cpu_to_le64(ax);
	body->flags = cpu_to_le32(flags);
	body->real = cpu_to_le64(rad_vvar_real());
	body->coarse = cpu_to_le64(rad_vvar_coarse());
	/*
	 * The next one may come as soon as this is sent. In one step: whoever has begun to watch
	 * finds that it is going to be told, or that it has been told something else.
	 */
	spin_lock(&thread->lock);
	thread->in_syscall = false;
	thread->watched = rad_watch_is_on();
	spin_unlock(&thread->lock);
	rad_deputy_describe_self(thread, &body->self);
	rad_msg_send(thread->node, msg);
}

/* rad_deputy_resolve() - does the kernel resolve the access at home, by growing a stack say? */
bool rad_deputy_resolve(u64 detail)
{
	u8 __maybe_unused byte;

	return !get_user(byte, (u8 __user *)(detail & PAGE_MASK));
}

/**
 * rad_deputy_touch() - have a stack grow, or a page of a file read
 * @process: whose
 * @id: the thread whose visitor waits for the page
 * @from: where it is, as far as its node knows
 * @touch: where, and what then
 *
 * Only a fault of the process itself grows a stack; the deputy is the process. It waits for a file
 * as the thread would: without mmap_lock, and it can be killed.
 *
 * Context: any.
 * Return: whether it is going to be; not if the visitor cannot be waiting for a page, or if there
 * is another address already, for which it has ceased to wait.
 */
bool rad_deputy_touch(struct rad_process *process, u32 id, const struct rad_node *from,
		      struct rad_touch *touch)
{
	struct rad_thread *thread = rad_thread_find_id(process, id);
	bool may;

	if (!thread)
		return false;
	spin_lock(&thread->lock);
	may = thread->state == RADIUM_THREAD_AWAY && thread->node == from && !thread->in_syscall &&
	      !thread->touch;
	if (may)
		thread->touch = touch;
	spin_unlock(&thread->lock);
	wake_up_all(&thread->wait);
	rad_thread_put(thread);
	return may;
}

static void end_touch(struct rad_touch *touch, bool mapped)
{
	touch->mapped = mapped;
	queue_work(rad_worker_wq, &touch->work);
}

static struct rad_touch *claim_touch(struct rad_thread *thread)
{
	struct rad_touch *touch;

	spin_lock(&thread->lock);
	touch = thread->touch;
	thread->touch = NULL;
	spin_unlock(&thread->lock);
	return touch;
}

/* rad_deputy_touch_for_visitor() - the other half of rad_deputy_touch() */
void rad_deputy_touch_for_visitor(struct rad_thread *thread)
{
	struct rad_touch *touch = claim_touch(thread);

	if (touch)
		end_touch(touch, rad_deputy_resolve(touch->address));
}

/* rad_deputy_drop_touch() - the thread is not away any more; may be atomic */
void rad_deputy_drop_touch(struct rad_thread *thread)
{
	struct rad_touch *touch = claim_touch(thread);

	if (touch)
		end_touch(touch, false);
}

/*
 * Memory that can only be executed has a key of its own, and whoever makes the first of it loses his
 * right to that key: in the registers that he has, which are the visitor's.
 */
static bool takes_a_key(const struct rad_wire_syscall *call)
{
	u64 prot = le64_to_cpu(call->args[2]);

	if (!cpu_feature_enabled(X86_FEATURE_OSPKE))
		return false;
	switch (le32_to_cpu(call->nr)) {
	case __NR_mmap:
		return prot == PROT_EXEC;
	case __NR_pkey_mprotect:
		if ((int)le64_to_cpu(call->args[3]) != -1)
			return false;
		fallthrough;
	case __NR_mprotect:
		return (prot & ~(u64)(PROT_GROWSDOWN | PROT_GROWSUP)) == PROT_EXEC;
	default:
		return false;
	}
}

/* Why the thread has to make a call itself, RADIUM_R_NONE: it has not. */
static u32 why_not_here(struct rad_thread *thread, const struct rad_wire_syscall *call)
{
	/*
	 * Seccomp, ptrace, audit and the tracepoints are done by the entry code, which
	 * we do not run.
	 */
	if (rad_watch_is_on())
		return RADIUM_R_WATCHED;
	if (task_sigpending(current))
		return RADIUM_R_SIGNAL;
	if (takes_a_key(call))
		return RADIUM_R_SYSCALL;
	return READ_ONCE(thread->recall);
}

/* Data that a call has brought, and that the visitor could not store itself. */
static void store(struct rad_thread *thread, const struct rad_wire_syscall *call)
{
	u64 ax;

	rad_deputy_account(thread, &call->cputime);
	rad_regs_set_pkru(le32_to_cpu(call->pkru));
	ax = rad_deputy_store(thread, le64_to_cpu(call->args[0]));
	tell_result(thread, NULL, ax, 0, RADIUM_R_NONE);
}

/*
 * What the visitor wants done. Under the lock: whoever has only seen that there is something may
 * see what was there before. Returns whether that is a call, and counts it.
 */
static bool take_call(struct rad_thread *thread, struct rad_wire_syscall *call)
{
	bool stores;
	u32 nr;

	spin_lock(&thread->lock);
	*call = thread->syscall;
	thread->has_syscall = false;
	stores = le32_to_cpu(call->flags) & RAD_SYSCALL_STORE;
	nr = le32_to_cpu(call->nr);
	if (!stores) {
		thread->syscalls++;
		if (nr < ARRAY_SIZE(thread->syscall_counts))
			thread->syscall_counts[nr]++;
	}
	spin_unlock(&thread->lock);
	return !stores;
}

/* Why the thread has to come home after a call, RADIUM_R_NONE: it has not. */
static u32 why_home(struct rad_thread *thread)
{
	u32 recall = READ_ONCE(thread->recall);

	if (recall)
		return recall;
	if (rad_regs_forbid())
		return RADIUM_R_INSTRUCTIONS;
	/* A mask that the call had for its own time is taken back on the way to user mode. */
	return task_sigpending(current) || test_restore_sigmask() ? RADIUM_R_SIGNAL :
								    RADIUM_R_NONE;
}

/* rad_deputy_answer() - the call has been made, and all that belongs to it */
void rad_deputy_answer(struct rad_thread *thread)
{
	struct rad_deputy_result *result = &thread->result;
	u32 flags = 0, why = why_home(thread);

	switch ((long)result->ax) {
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
		flags = RAD_SYSCALL_COME_HOME;
		break;
	default:
		if (why)
			flags = RAD_SYSCALL_COME_HOME;
	}
	thread->recall_sent |= flags & RAD_SYSCALL_COME_HOME;
	result->is_there = false;
	tell_result(thread, result->data, result->ax, flags, why ?: RADIUM_R_SIGNAL);
	result->data = NULL;
	rad_latency_add(thread->process->stats.syscall_latency, ktime_get_ns() - result->start);
}

/* rad_deputy_free_answer() - nobody waits for the result of a call any more; any context */
void rad_deputy_free_answer(struct rad_thread *thread)
{
	rad_msg_free(thread->result.data);
	thread->result.data = NULL;
	thread->result.is_there = false;
}

/* rad_deputy_execute() - the system call that the visitor wants done */
void rad_deputy_execute(struct rad_thread *thread)
{
	struct rad_deputy_result *result = &thread->result;
	struct rad_wire_syscall call;
	u64 start = ktime_get_ns();
	struct pt_regs regs = { };
	bool lent;
	u32 why;
	int nr;

	if (!take_call(thread, &call)) {
		/* Whatever is wanted of the thread: the call is not complete without it. */
		store(thread, &call);
		return;
	}
	nr = le32_to_cpu(call.nr);
	atomic64_inc(&thread->process->stats.syscalls);
	rad_deputy_account(thread, &call.cputime);
	if (rad_deputy_owes_time(thread, &call))
		rad_deputy_settle_time(thread);

	why = why_not_here(thread, &call);
	if (why) {
		thread->recall_sent = true;
		tell_result(thread, NULL, 0, RAD_SYSCALL_EXECUTE, why);
		return;
	}
	thread->has_called = true;
	regs.di = le64_to_cpu(call.args[0]);
	regs.si = le64_to_cpu(call.args[1]);
	regs.dx = le64_to_cpu(call.args[2]);
	regs.r10 = le64_to_cpu(call.args[3]);
	regs.r8 = le64_to_cpu(call.args[4]);
	regs.r9 = le64_to_cpu(call.args[5]);
	regs.orig_ax = nr;
	regs.ax = -ENOSYS;
	regs.cs = __USER_CS;
	regs.ss = __USER_DS;

	rad_vvar_catch_up(le64_to_cpu(call.coarse));
	rad_regs_set_pkru(le32_to_cpu(call.pkru));
	lent = rad_deputy_lend(thread, &regs);
	thread->restart.code = 0;
	WRITE_ONCE(thread->executing, nr);
	/*
	 * in_x32_syscall() looks at the number in the task's own registers, and -1 has
	 * the bit of x32: mmap would choose low addresses, sigaction another frame.
	 */
	current_pt_regs()->orig_ax = nr;
	result->ax = rad_ksym.x64_sys_call(&regs, nr);
	/* The kernel would fill it in on the way to user mode, where it does not go. */
	if (nr == __NR_rseq && !result->ax)
		rad_regs_leave_rseq(&regs);
	current_pt_regs()->orig_ax = -1;
	WRITE_ONCE(thread->executing, -1);
	if (nr == __NR_seccomp)
		rad_watch_after_seccomp(le64_to_cpu(call.args[0]), le64_to_cpu(call.args[1]),
					result->ax);
	result->data = lent ? rad_deputy_collect(thread, result->ax) : NULL;
	result->start = start;
	result->is_there = true;
	/* What a close() has put off is done when it returns: first that, then we are back. */
	if (!task_work_pending(current))
		rad_deputy_answer(thread);
}

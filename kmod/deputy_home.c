// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: a thread comes home.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/entry-common.h>
#include <linux/rseq.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <asm/syscall.h>
#include <asm/trapnr.h>
#include "deputy_internal.h"
#include "event.h"
#include "link.h"
#include "node.h"
#include "process.h"
#include "syscall.h"
#include "vvar.h"

enum { SETTLED_JIFFIES = HZ / 10 };	/* away for so long: the next return is a new matter */

struct nap {
	struct work_struct work;
	struct task_struct *task;
	void (*what)(void *data);
	void *data;
	bool done;
};

static void nap_work(struct work_struct *work)
{
	struct nap *nap = container_of(work, struct nap, work);
	struct task_struct *task = get_task_struct(nap->task);

	nap->what(nap->data);
	/* Once it is seen, @nap is gone. */
	smp_store_release(&nap->done, true);
	wake_up_process(task);
	put_task_struct(task);
}

/*
 * Somebody else does it to current, which sleeps. Asleep already when the work is queued, because
 * the worker comes at once, and would wait for us with a higher priority than ours.
 */
static void while_asleep(void (*what)(void *data), void *data)
{
	struct nap nap = { .task = current, .what = what, .data = data };

	INIT_WORK_ONSTACK(&nap.work, nap_work);
	set_current_state(TASK_UNINTERRUPTIBLE);
	queue_work(system_highpri_wq, &nap.work);
	while (!smp_load_acquire(&nap.done)) {
		schedule();
		set_current_state(TASK_UNINTERRUPTIBLE);
	}
	__set_current_state(TASK_RUNNING);
	destroy_work_on_stack(&nap.work);
}

struct load {
	struct rad_thread *thread;
	const struct rad_wire_regs *image;
	int err;
};

/* The regsets do not write to current. */
static void load_registers(void *data)
{
	struct load *load = data;

	load->err = rad_regs_load(load->thread->task, load->image);
	rad_deputy_give_time(load->thread);
}

static void give_time(void *thread)
{
	rad_deputy_give_time(thread);
}

/* rad_deputy_settle_time() - what current's thread has used elsewhere becomes its own now */
void rad_deputy_settle_time(struct rad_thread *thread)
{
	while_asleep(give_time, thread);
}

static bool is_ignored(int signal)
{
	struct sighand_struct *sighand = rcu_dereference_protected(current->sighand, true);
	bool ignored;

	spin_lock_irq(&sighand->siglock);
	ignored = sighand->action[signal - 1].sa.sa_handler == SIG_IGN;
	spin_unlock_irq(&sighand->siglock);
	return ignored;
}

/*
 * An exception is made again by executing the instruction again. Not so the debug
 * trap of a single step, which comes after the instruction: its signal is sent.
 */
static void repeat_step(u64 detail, struct pt_regs *regs)
{
	kernel_siginfo_t info;

	/* The number is that of the last trap, the signal may be another one's. */
	if (RAD_EXCEPTION_TRAP(detail) != X86_TRAP_DB || RAD_EXCEPTION_SIG(detail) != SIGTRAP)
		return;
	/* The kernel forces it: who does not want it dies of it. */
	if (sigismember(&current->blocked, SIGTRAP) || is_ignored(SIGTRAP)) {
		force_sig(SIGTRAP);
		return;
	}
	clear_siginfo(&info);
	info.si_signo = SIGTRAP;
	info.si_code = RAD_EXCEPTION_CODE(detail);
	info.si_addr = (void __user *)regs->ip;
	current->thread.trap_nr = X86_TRAP_DB;
	current->thread.error_code = 0;
	send_sig_info(SIGTRAP, &info, current);
}

/*
 * The registers stand before a system call: it is executed natively, and on the way
 * out of it our work runs again.
 */
static void execute_here(struct rad_thread *thread)
{
	bool boomerang;

	if (test_syscall_work(SYSCALL_USER_DISPATCH)) {
		/* It uses the prctl itself. */
		rad_deputy_go_out_later(thread);
		return;
	}
	/* In one step: a record that is not wanted elsewhere may be forgotten, see unhash(). */
	spin_lock(&thread->lock);
	boomerang = thread->wanted;
	thread->boomerang = boomerang;
	spin_unlock(&thread->lock);
	if (boomerang)
		set_syscall_work(SYSCALL_USER_DISPATCH);
}

/*
 * rad_deputy_drop_boomerang() - it goes on by itself after all, or leaves in another way
 *
 * Its record may be forgotten before its next call, and the kernel takes a call with this
 * flag that nobody claims for one that the program has forbidden itself.
 */
void rad_deputy_drop_boomerang(struct rad_thread *thread)
{
	if (!thread->boomerang)
		return;
	thread->boomerang = false;
	clear_syscall_work(SYSCALL_USER_DISPATCH);
}

/**
 * rad_deputy_syscall_entry() - a task with the dispatch flag enters a system call
 * @regs: of current
 *
 * Return: whether it was ours, and goes on natively.
 */
bool rad_deputy_syscall_entry(struct pt_regs *regs)
{
	struct rad_thread *thread = rad_thread_find(current);
	bool ours = thread && thread->boomerang;

	if (ours) {
		rad_deputy_drop_boomerang(thread);
		thread->restart.code = 0;
		rad_deputy_enqueue(thread, TWA_RESUME);
	}
	rad_thread_put(thread);
	return ours;
}

/* What the node says of the thread becomes true of current. */
static void load_image(struct rad_thread *thread, const struct rad_image *image)
{
	struct load load = { .thread = thread, .image = &image->is.regs };
	const struct pt_regs *regs = current_pt_regs();

	rad_deputy_account(thread, &image->is.cputime);
	while_asleep(load_registers, &load);
	/* The CPUs are not as alike as they say, or the node lies: that is about this process only. */
	if (load.err) {
		pr_notice("process %d (%s) is killed: its registers on node %u cannot be here\n",
			task_tgid_nr(current), current->comm, rad_node_id(thread->node));
		send_sig(SIGKILL, current, 1);
	}
	rad_vvar_catch_up(le64_to_cpu(image->is.coarse));
	thread->stuck = le32_to_cpu(image->is.thread.reason) == RADIUM_R_ASKED &&
			!thread->has_called &&
			rad_deputy_digest(regs) == thread->digest_out;
}

/* What it has come home for. Returns whether it should go out again at once. */
static bool go_on(struct rad_thread *thread, u32 reason, u64 detail)
{
	bool out;

	switch (reason) {
	case RADIUM_R_SYSCALL:
	case RADIUM_R_WATCHED:
		if (rad_syscall_class(detail) == RAD_SYSCALL_END) {
			spin_lock(&thread->lock);
			thread->wanted = 0;
			spin_unlock(&thread->lock);
		}
		execute_here(thread);
		return false;
	case RADIUM_R_FAULT:
		out = thread->fault != detail && rad_deputy_resolve(detail);
		thread->fault = out ? detail : 0;
		if (!out)
			rad_deputy_go_out_later(thread);
		return out;
	case RADIUM_R_EXCEPTION:
		repeat_step(detail, current_pt_regs());
		rad_deputy_go_out_later(thread);
		return false;
	case RADIUM_R_ASKED:
	case RADIUM_R_DRAIN:
		return thread->wanted;
	default:
		rad_deputy_go_out_later(thread);
		return false;
	}
}

/*
 * The registers are here: the thread is at home again. Returns whether it should
 * go out again at once.
 */
bool rad_deputy_come_home(struct rad_thread *thread)
{
	struct pt_regs *regs = current_pt_regs();
	struct rad_process *process = thread->process;
	struct rad_image *image;
	u32 reason, from, number;
	bool out, stays;
	u64 detail;

	spin_lock(&thread->lock);
	/* Once it is at home it may cease to be distributed at any time. */
	rad_process_get(process);
	image = thread->image;
	thread->image = NULL;
	rad_thread_set_state(thread, RADIUM_THREAD_RETURNING);
	spin_unlock(&thread->lock);

	reason = le32_to_cpu(image->is.thread.reason);
	detail = le64_to_cpu(image->is.detail);
	load_image(thread, image);
	kvfree(image);

	from = rad_node_id(thread->node);
	spin_lock(&thread->lock);
	rad_thread_set_state(thread, RADIUM_THREAD_HOME);
	rad_node_put(thread->node);
	thread->node = NULL;
	thread->reason = reason;
	thread->detail = detail;
	thread->returns++;
	thread->returns_by_reason[reason]++;
	thread->recall = 0;
	thread->recall_sent = false;
	number = thread->asked;
	stays = !thread->wanted;
	spin_unlock(&thread->lock);
	rad_deputy_drop_touch(thread);
	atomic64_inc(&process->stats.returns);
	rad_event_post(RADIUM_EVENT_RETURNED, from, task_tgid_nr(current), thread->id, reason);
	if (time_after(jiffies, thread->out_since + SETTLED_JIFFIES))
		thread->backoff = 0;
	/* The CPU number in the rseq area is written on the way to user mode. */
	rseq_set_notify_resume(current);
	if (stays)
		rad_thread_answer(thread, number, RADIUM_R_NONE);

	out = go_on(thread, reason, detail);
	if (!out && syscall_get_nr(current, regs) != -1)
		rad_regs_have_restarted();
	if (!thread->wanted)
		rad_process_retire_if_idle(process);
	rad_process_put(process);
	return out;
}

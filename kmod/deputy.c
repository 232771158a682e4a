// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: the task at home, in place of its thread.
 *
 * Everything here but the message handlers and the two calls for others
 * (summon, interrupt) runs in the task itself, in task_work, at the boundary to
 * user mode: task_pt_regs() are what the thread would go on with.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/entry-common.h>
#include <linux/ptrace.h>
#include <linux/rseq.h>
#include <linux/sched/coredump.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/syscall.h>
#include <asm/trapnr.h>
#include "event.h"
#include "ksym.h"
#include "link.h"
#include "node.h"
#include "process.h"
#include "regs.h"
#include "syscall.h"
#include "thread.h"
#include "vvar.h"
#include "wire_check.h"

enum {
	PREPARE_JIFFIES		= 15 * HZ,	/* to make a replica on a busy node */
	CORE_JIFFIES		= 5 * HZ,	/* to fetch registers for a core dump */
	TOUCH_JIFFIES		= HZ,		/* for a deputy to touch its stack */
	AGAIN_MIN_JIFFIES	= HZ / 100 ?: 1,
	AGAIN_MAX_JIFFIES	= HZ,
	SETTLED_JIFFIES		= HZ / 10,	/* away for so long: the next return is a new matter */
};

/* ------------------------------------------------------ called by others */

/* Puts our work on the task's list, once. */
static void enqueue(struct rad_thread *thread, enum task_work_notify_mode notify)
{
	if (test_and_set_bit(0, &thread->queued))
		return;
	rad_thread_get(thread);
	if (task_work_add(thread->task, &thread->work, notify)) {
		clear_bit(0, &thread->queued);
		rad_thread_end(thread);
		rad_thread_put(thread);
	}
}

/**
 * rad_deputy_summon() - have the task look at what is wanted of it
 * @thread: the thread
 *
 * Context: any process context.
 */
void rad_deputy_summon(struct rad_thread *thread)
{
	enqueue(thread, TWA_RESUME);
	wake_up_all(&thread->wait);
}

static void nudge(struct callback_head *work)
{
	struct rad_thread *thread = container_of(work, struct rad_thread, nudge);

	clear_bit(0, &thread->nudged);
	rad_thread_put(thread);
}

/**
 * rad_deputy_interrupt() - take the task out of an interruptible wait
 * @thread: summoned
 *
 * The work is queued already: a task that is seen asleep has not left its system
 * call since, so that the number in its registers is that of the call it sleeps
 * in. A call that would return EINTR is left alone.
 *
 * Return: false if the task sleeps in such a call, or uninterruptibly.
 */
bool rad_deputy_interrupt(struct rad_thread *thread)
{
	struct task_struct *task = thread->task;
	unsigned int state = READ_ONCE(task->__state);
	unsigned long args[6] = { };
	int nr = -1, i;

	if (READ_ONCE(thread->state) == RADIUM_THREAD_AWAY) {
		nr = READ_ONCE(thread->executing);
		for (i = 0; i < 6; i++)
			args[i] = le64_to_cpu(thread->syscall.args[i]);
	} else if (test_bit(0, &thread->queued) && try_get_task_stack(task)) {
		nr = syscall_get_nr(task, task_pt_regs(task));
		syscall_get_arguments(task, task_pt_regs(task), args);
		rad_ksym.put_task_stack(task);
	}
	/* Not in a call: it is on its way, or at work for us. */
	if (nr < 0 || !state || READ_ONCE(task->on_cpu))
		return true;
	if (!(state & TASK_INTERRUPTIBLE) || !rad_syscall_is_restarted(task, nr, args))
		return false;
	if (!test_and_set_bit(0, &thread->nudged)) {
		rad_thread_get(thread);
		if (task_work_add(task, &thread->nudge, TWA_SIGNAL)) {
			clear_bit(0, &thread->nudged);
			rad_thread_put(thread);
		}
	}
	return true;
}

/* ------------------------------------------------------------- messages */

static struct rad_out *thread_msg(struct rad_thread *thread, u32 type, size_t len)
{
	struct rad_out *msg = rad_msg_alloc(type, len, GFP_KERNEL | __GFP_NOFAIL);
	struct rad_wire_thread *body = msg->body;

	body->process = cpu_to_le64(thread->process->id);
	body->thread = cpu_to_le32(thread->id);
	body->stay = cpu_to_le32(thread->stay);
	return msg;
}

static void tell(struct rad_thread *thread, u32 type, u32 reason)
{
	struct rad_out *msg = thread_msg(thread, type, sizeof(struct rad_wire_thread));
	struct rad_wire_thread *body = msg->body;

	body->reason = cpu_to_le32(reason);
	rad_msg_send(thread->node, msg);
}

static void tell_result(struct rad_thread *thread, u64 ax, u32 flags, u32 reason)
{
	struct rad_out *msg = thread_msg(thread, RAD_MSG_SYSCALL_DONE,
					 sizeof(struct rad_wire_syscall_done));
	struct rad_wire_syscall_done *body = msg->body;

	body->thread.reason = cpu_to_le32(reason);
	body->ax = cpu_to_le64(ax);
	body->flags = cpu_to_le32(flags);
	rad_msg_send(thread->node, msg);
}

/* The thread that a message is about, if it is away there, on this stay; with a reference. */
static struct rad_thread *addressed(const struct rad_in *in)
{
	const struct rad_wire_thread *body = in->body;
	struct rad_process *process = rad_process_find_id(le64_to_cpu(body->process));
	struct rad_thread *thread;
	bool right;

	if (!process)
		return NULL;
	thread = rad_thread_find_id(process, le32_to_cpu(body->thread));
	rad_process_put(process);
	if (!thread)
		return NULL;
	spin_lock(&thread->lock);
	right = thread->state == RADIUM_THREAD_AWAY && thread->node == in->from &&
		thread->stay == le32_to_cpu(body->stay);
	spin_unlock(&thread->lock);
	if (right)
		return thread;
	rad_thread_put(thread);
	return NULL;
}

/* rad_deputy_on_syscall() - SYSCALL: the visitor wants a call done */
void rad_deputy_on_syscall(struct rad_in *in)
{
	const struct rad_wire_syscall *body = in->body;
	struct rad_thread *thread = addressed(in);

	if (!thread)
		return;
	if (rad_syscall_class(le32_to_cpu(body->nr)) != RAD_SYSCALL_HOME) {
		rad_node_protocol_error(in->from, "SYSCALL: not one for the deputy");
		rad_thread_put(thread);
		return;
	}
	spin_lock(&thread->lock);
	thread->syscall = *body;
	thread->has_syscall = true;
	spin_unlock(&thread->lock);
	wake_up_all(&thread->wait);
	rad_thread_put(thread);
}

/* rad_deputy_on_return() - RETURN: the thread comes home */
void rad_deputy_on_return(struct rad_in *in)
{
	const struct rad_wire_return *body = in->body;
	struct rad_thread *thread;
	void *image;

	if (rad_regs_check(&body->regs, in->len - offsetof(struct rad_wire_return, regs)) ||
	    le32_to_cpu(body->thread.reason) >= RADIUM_R_COUNT) {
		rad_node_protocol_error(in->from, "RETURN: bad registers");
		return;
	}
	thread = addressed(in);
	if (!thread)
		return;
	image = kmalloc(in->len, GFP_KERNEL | __GFP_NOFAIL);
	memcpy(image, body, in->len);
	spin_lock(&thread->lock);
	swap(thread->image, *(struct rad_wire_return **)&image);
	thread->image_len = in->len;
	spin_unlock(&thread->lock);
	kfree(image);
	wake_up_all(&thread->wait);
	rad_thread_put(thread);
}

/* rad_deputy_on_visitor_gone() - VISITOR_GONE: it was killed there */
void rad_deputy_on_visitor_gone(struct rad_in *in)
{
	const struct rad_wire_thread *body = in->body;
	struct rad_thread *thread = addressed(in);

	if (!thread)
		return;
	spin_lock(&thread->lock);
	if (!thread->image)
		thread->lost = rad_wire_reason(body->reason) ?: RADIUM_R_NODE_LOST;
	spin_unlock(&thread->lock);
	wake_up_all(&thread->wait);
	rad_thread_put(thread);
}

/* -------------------------------------------------------------- going out */

static void again_work(struct work_struct *work)
{
	struct rad_thread *thread = container_of(to_delayed_work(work), struct rad_thread, again);

	rad_deputy_summon(thread);
	rad_thread_put(thread);
}

/* What brought it home is done natively now; some time later it goes out again. */
static void go_out_later(struct rad_thread *thread)
{
	if (!READ_ONCE(thread->wanted))
		return;
	thread->backoff = clamp_t(unsigned long, thread->backoff * 2, AGAIN_MIN_JIFFIES,
				  AGAIN_MAX_JIFFIES);
	rad_thread_get(thread);
	if (!schedule_delayed_work(&thread->again, thread->backoff))
		rad_thread_put(thread);
}

static u32 why_not(struct pt_regs *regs)
{
	bool shared;

	if (!user_64bit_mode(regs) || test_thread_flag(TIF_ADDR32))
		return RADIUM_R_COMPAT;
	if (current->ptrace || regs->flags & X86_EFLAGS_TF ||
	    memchr_inv(current->thread.ptrace_bps, 0, sizeof(current->thread.ptrace_bps)))
		return RADIUM_R_TRACED;
	if (current->mm->context.ldt)
		return RADIUM_R_LDT;
	rcu_read_lock();
	shared = current->vfork_done && current->mm == rcu_dereference(current->real_parent)->mm;
	rcu_read_unlock();
	return shared ? RADIUM_R_SHARED_MM : RADIUM_R_NONE;
}

static struct rad_out *prepare_msg(struct rad_thread *thread, struct rad_node *node)
{
	size_t len = sizeof(struct rad_wire_prepare) + rad_regs_xstate_len();
	struct rad_process *process = thread->process;
	struct rad_wire_prepare *body;
	struct rad_out *msg;

	msg = thread_msg(thread, RAD_MSG_PREPARE, len);
	body = msg->body;
	body->uid = cpu_to_le32(from_kuid(&init_user_ns, process->uid));
	body->gid = cpu_to_le32(from_kgid(&init_user_ns, process->gid));
	rad_vvar_describe(body, node);
	get_task_comm(body->comm, current);
	if (rad_regs_save(&body->regs)) {
		rad_msg_free(msg);
		return NULL;
	}
	return msg;
}

/* Sends the registers and waits until the node holds the thread ready. */
static u32 prepare(struct rad_thread *thread)
{
	struct rad_wire_status status = { };
	struct rad_call call = { .buf = &status, .size = sizeof(status) };
	struct rad_out *msg = prepare_msg(thread, thread->node);
	int err;

	if (!msg)
		return RADIUM_R_XSTATE;
	err = rad_call_send(thread->node, &call, msg);
	if (!err)
		err = rad_call_wait(&call, PREPARE_JIFFIES);
	switch (err) {
	case 0:
		return rad_wire_reason(status.reason);
	case -EHOSTDOWN:
		return RADIUM_R_NODE_DOWN;
	case -ETIMEDOUT:
		tell(thread, RAD_MSG_ABORT, RADIUM_R_TIMEOUT);
		return RADIUM_R_TIMEOUT;
	default:
		tell(thread, RAD_MSG_ABORT, RADIUM_R_EXITING);
		return RADIUM_R_EXITING;
	}
}

/* It stays at home. Only a thread that somebody asked to move forgets the wish. */
static void stay_home(struct rad_thread *thread, u32 reason)
{
	bool later = reason == RADIUM_R_TRACED || reason == RADIUM_R_SHARED_MM;

	spin_lock(&thread->lock);
	if (thread->state != RADIUM_THREAD_HOME)
		rad_thread_set_state(thread, RADIUM_THREAD_HOME);
	if (thread->node)
		rad_node_put(thread->node);
	thread->node = NULL;
	thread->reason = reason;
	if (thread->asked != thread->answered || !later)
		thread->wanted = 0;
	later = thread->wanted;
	spin_unlock(&thread->lock);
	rad_event_post(RADIUM_EVENT_REFUSED, 0, task_tgid_nr(current), thread->id, reason);
	rad_thread_answer(thread, reason);
	rseq_set_notify_resume(current);
	if (later)
		go_out_later(thread);
	else if (thread->process)
		rad_process_retire_if_idle(thread->process);
	else
		rad_thread_forget(thread);
}

/* After fork: children of a thread that was started with 'radctl run' follow it. */
static void send_child_after(struct rad_thread *thread, struct pt_regs *regs)
{
	struct radium_move move = { .flags = RADIUM_MOVE_SELF | RADIUM_MOVE_NO_WAIT };
	int called = thread->called;
	struct task_struct *child;

	thread->called = -1;
	if (!thread->follow || (long)regs->ax <= 0)
		return;
	if (called != __NR_fork && called != __NR_vfork && called != __NR_clone &&
	    called != __NR_clone3)
		return;
	rcu_read_lock();
	child = pid_task(find_vpid(regs->ax), PIDTYPE_PID);
	if (child)
		get_task_struct(child);
	rcu_read_unlock();
	if (!child)
		return;
	rad_thread_move(child, &move, thread->wanted);
	put_task_struct(child);
}

/*
 * The thread leaves, if it is wanted elsewhere. Returns whether it is away now.
 */
static bool go_out(struct rad_thread *thread)
{
	struct pt_regs *regs = current_pt_regs();
	struct rad_process *process;
	struct rad_node *node;
	u32 wanted, reason;
	bool changed;

	send_child_after(thread, regs);
	wanted = READ_ONCE(thread->wanted);
	if (!wanted || wanted == rad_node_self()) {
		thread->wanted = 0;
		if (thread->boomerang) {
			thread->boomerang = false;
			clear_syscall_work(SYSCALL_USER_DISPATCH);
		}
		rad_thread_answer(thread, RADIUM_R_NONE);
		if (thread->process)
			rad_process_retire_if_idle(thread->process);
		else
			rad_thread_forget(thread);
		return false;
	}
	if (task_sigpending(current)) {
		/* It is delivered first, natively, and decides about a restart. */
		go_out_later(thread);
		return false;
	}
	thread->restart = rad_regs_restart_syscall(regs);
	if (test_and_clear_restore_sigmask())
		sigprocmask(SIG_SETMASK, &current->saved_sigmask, NULL);
	if (!rad_vvar_may_leave(regs)) {
		go_out_later(thread);
		return false;
	}
	if (thread->stuck) {
		/*
		 * Moved to and fro faster than its pages follow, it would never execute an
		 * instruction: it runs here for a while first.
		 */
		thread->stuck = false;
		thread->backoff = 0;
		go_out_later(thread);
		return false;
	}
	reason = why_not(regs);
	if (reason) {
		stay_home(thread, reason);
		return false;
	}
	node = rad_node_get_up(wanted);
	if (!node) {
		stay_home(thread, RADIUM_R_NODE_DOWN);
		return false;
	}
	process = rad_process_enter();
	if (IS_ERR(process)) {
		rad_node_put(node);
		if (PTR_ERR(process) == -EINTR)
			/* A signal came meanwhile: as above. */
			go_out_later(thread);
		else
			stay_home(thread, RADIUM_R_NO_MEMORY);
		return false;
	}
	rad_thread_attach(thread, process);
	rad_process_note_replica(process, node);
	rad_regs_leave_rseq(regs);

	spin_lock(&thread->lock);
	rad_thread_set_state(thread, RADIUM_THREAD_FREEZING);
	rad_thread_set_state(thread, RADIUM_THREAD_PREPARING);
	thread->node = node;
	thread->stay++;
	thread->recall = 0;
	thread->has_syscall = false;
	thread->lost = 0;
	spin_unlock(&thread->lock);
	thread->recall_sent = false;

	thread->ip_out = regs->ip;
	thread->sp_out = regs->sp;
	thread->cx_out = regs->cx;
	reason = prepare(thread);
	if (reason) {
		rad_process_leave(process);
		rad_process_put(process);
		stay_home(thread, reason);
		return false;
	}
	/* The commit: from here on the visitor is the thread. */
	spin_lock(&thread->lock);
	rad_thread_set_state(thread, RADIUM_THREAD_AWAY);
	thread->out_since = jiffies;
	thread->migrations++;
	/* Somebody wants it elsewhere by now: it has to come back, and answers then. */
	changed = thread->wanted != wanted;
	if (changed)
		thread->recall = RADIUM_R_ASKED;
	if (rad_node_is_dead(node))
		thread->lost = RADIUM_R_NODE_LOST;
	spin_unlock(&thread->lock);
	tell(thread, RAD_MSG_COMMIT, RADIUM_R_NONE);
	atomic64_inc(&process->stats.migrations);
	rad_event_post(RADIUM_EVENT_MIGRATED, wanted, task_tgid_nr(current), thread->id,
		       RADIUM_R_NONE);
	if (!changed)
		rad_thread_answer(thread, RADIUM_R_NONE);
	rad_process_leave(process);
	rad_process_put(process);
	return true;
}

/* ------------------------------------------------------------ coming home */

/*
 * CPU time used away is the process'. It goes where the kernel keeps that of threads
 * that have ended: no scheduler writes there.
 */
static void account(const struct rad_wire_cputime *cputime)
{
	/* Current's own: it stays until current exits. */
	struct sighand_struct *sighand = rcu_dereference_protected(current->sighand, true);
	struct signal_struct *sig = current->signal;

	spin_lock_irq(&sighand->siglock);
	write_seqlock(&sig->stats_lock);
	sig->utime += le64_to_cpu(cputime->utime);
	sig->stime += le64_to_cpu(cputime->stime);
	sig->sum_sched_runtime += le64_to_cpu(cputime->runtime);
	write_sequnlock(&sig->stats_lock);
	spin_unlock_irq(&sighand->siglock);
}

struct load {
	struct work_struct work;
	struct task_struct *task;
	const struct rad_wire_regs *image;
	int err;
	bool done;
};

static void load_work(struct work_struct *work)
{
	struct load *load = container_of(work, struct load, work);
	struct task_struct *task = get_task_struct(load->task);

	load->err = rad_regs_load(task, load->image);
	/* Once it is seen, @load is gone. */
	smp_store_release(&load->done, true);
	wake_up_process(task);
	put_task_struct(task);
}

/*
 * The regsets do not write to current: somebody else does while we sleep. Asleep
 * already when the work is queued, because the worker comes at once, and would wait
 * for us with a higher priority than ours.
 */
static int load_registers(const struct rad_wire_regs *image)
{
	struct load load = { .task = current, .image = image };

	INIT_WORK_ONSTACK(&load.work, load_work);
	set_current_state(TASK_UNINTERRUPTIBLE);
	queue_work(system_highpri_wq, &load.work);
	while (!smp_load_acquire(&load.done)) {
		schedule();
		set_current_state(TASK_UNINTERRUPTIBLE);
	}
	__set_current_state(TASK_RUNNING);
	destroy_work_on_stack(&load.work);
	return load.err;
}

/* Does the kernel resolve the access at home, by growing a stack say? */
static bool touch(u64 detail)
{
	u8 __maybe_unused byte;

	return !get_user(byte, (u8 __user *)(detail & PAGE_MASK));
}

/*
 * An exception is made again by executing the instruction again. Not so the debug
 * trap of a single step, which comes after the instruction: its signal is sent.
 */
static void repeat_step(u64 detail, struct pt_regs *regs)
{
	kernel_siginfo_t info;

	if (RAD_EXCEPTION_TRAP(detail) != X86_TRAP_DB)
		return;
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
	if (!thread->wanted)
		return;
	if (test_syscall_work(SYSCALL_USER_DISPATCH)) {
		/* It uses the prctl itself. */
		go_out_later(thread);
		return;
	}
	thread->boomerang = true;
	set_syscall_work(SYSCALL_USER_DISPATCH);
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
		thread->boomerang = false;
		thread->called = syscall_get_nr(current, regs);
		clear_syscall_work(SYSCALL_USER_DISPATCH);
		enqueue(thread, TWA_RESUME);
	}
	rad_thread_put(thread);
	return ours;
}

/*
 * The registers are here: the thread is at home again. Returns whether it should
 * go out again at once.
 */
static bool come_home(struct rad_thread *thread)
{
	struct pt_regs *regs = current_pt_regs();
	struct rad_process *process = thread->process;
	struct rad_wire_return *image;
	u32 reason, from;
	u64 detail;
	bool out = false;

	spin_lock(&thread->lock);
	image = thread->image;
	thread->image = NULL;
	rad_thread_set_state(thread, RADIUM_THREAD_RETURNING);
	spin_unlock(&thread->lock);

	reason = le32_to_cpu(image->thread.reason);
	detail = le64_to_cpu(image->detail);
	if (load_registers(&image->regs)) {
		rad_node_protocol_error(thread->node, "RETURN: registers that cannot be");
		send_sig(SIGKILL, current, 1);
	}
	account(&image->cputime);
	thread->stuck = reason == RADIUM_R_ASKED && regs->ip == thread->ip_out &&
			regs->sp == thread->sp_out && regs->cx == thread->cx_out;
	kfree(image);

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
	spin_unlock(&thread->lock);
	atomic64_inc(&process->stats.returns);
	rad_event_post(RADIUM_EVENT_RETURNED, from, task_tgid_nr(current), thread->id, reason);
	if (time_after(jiffies, thread->out_since + SETTLED_JIFFIES))
		thread->backoff = 0;
	/* The CPU number in the rseq area is written on the way to user mode. */
	rseq_set_notify_resume(current);
	if (!thread->wanted)
		rad_thread_answer(thread, RADIUM_R_NONE);

	switch (reason) {
	case RADIUM_R_SYSCALL:
	case RADIUM_R_WATCHED:
		if (rad_syscall_class(detail) == RAD_SYSCALL_END)
			thread->wanted = 0;
		execute_here(thread);
		break;
	case RADIUM_R_FAULT:
		out = thread->fault != detail && touch(detail);
		thread->fault = out ? detail : 0;
		if (!out)
			go_out_later(thread);
		break;
	case RADIUM_R_EXCEPTION:
		repeat_step(detail, regs);
		go_out_later(thread);
		break;
	case RADIUM_R_ASKED:
	case RADIUM_R_DRAIN:
		out = thread->wanted;
		break;
	default:
		go_out_later(thread);
	}
	/* A restart code in ax: the kernel's own exit path deals with it. */
	if (!out && syscall_get_nr(current, regs) != -1)
		set_thread_flag(TIF_NOTIFY_SIGNAL);
	if (!thread->wanted)
		rad_process_retire_if_idle(process);
	return out;
}

/* ---------------------------------------------------------------- serving */

/**
 * rad_deputy_touch() - have a stack grow
 * @process: whose
 * @id: the thread that reached below it; its visitor waits for the page
 * @address: where
 *
 * Only a fault of the process itself grows a stack; the deputy is the process.
 *
 * Context: a worker; waits for the deputy, who waits for nothing meanwhile.
 * Return: whether the address is mapped now.
 */
bool rad_deputy_touch(struct rad_process *process, u32 id, unsigned long address)
{
	struct rad_thread *thread = rad_thread_find_id(process, id);
	bool done = false;

	if (!thread)
		return false;
	spin_lock(&thread->lock);
	if (thread->state == RADIUM_THREAD_AWAY && !thread->touch) {
		thread->touch = address;
		thread->touched = false;
		done = true;
	}
	spin_unlock(&thread->lock);
	if (done) {
		wake_up_all(&thread->wait);
		wait_event_timeout(thread->wait, !READ_ONCE(thread->touch), TOUCH_JIFFIES);
		spin_lock(&thread->lock);
		done = !thread->touch && thread->touched;
		thread->touch = 0;
		spin_unlock(&thread->lock);
	}
	rad_thread_put(thread);
	return done;
}

static void touch_for_visitor(struct rad_thread *thread)
{
	bool touched = touch(READ_ONCE(thread->touch));

	spin_lock(&thread->lock);
	thread->touched = touched;
	thread->touch = 0;
	spin_unlock(&thread->lock);
	wake_up_all(&thread->wait);
}

/* Why the thread has to make a call itself, RADIUM_R_NONE: it has not. */
static u32 why_not_here(struct rad_thread *thread)
{
	/*
	 * Seccomp, ptrace, audit and the tracepoints are done by the entry code, which
	 * we do not run.
	 */
	if (READ_ONCE(current_thread_info()->syscall_work) &
	    (SYSCALL_WORK_ENTER | SYSCALL_WORK_EXIT))
		return RADIUM_R_WATCHED;
	if (task_sigpending(current))
		return RADIUM_R_SIGNAL;
	return READ_ONCE(thread->recall);
}

/* Executes what the visitor wants done. */
static void execute(struct rad_thread *thread)
{
	struct rad_wire_syscall call;
	u64 start = ktime_get_ns();
	struct pt_regs regs = { };
	u32 flags = 0, why;
	u64 ax = 0;
	int nr;

	spin_lock(&thread->lock);
	call = thread->syscall;
	thread->has_syscall = false;
	thread->syscalls++;
	nr = le32_to_cpu(call.nr);
	if (nr < ARRAY_SIZE(thread->syscall_counts))
		thread->syscall_counts[nr]++;
	spin_unlock(&thread->lock);
	atomic64_inc(&thread->process->stats.syscalls);
	account(&call.cputime);

	why = why_not_here(thread);
	if (why) {
		thread->recall_sent = true;
		tell_result(thread, 0, RAD_SYSCALL_EXECUTE, why);
		return;
	}
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

	thread->restart.code = 0;
	WRITE_ONCE(thread->executing, nr);
	/*
	 * in_x32_syscall() looks at the number in the task's own registers, and -1 has
	 * the bit of x32: mmap would choose low addresses, sigaction another frame.
	 */
	current_pt_regs()->orig_ax = nr;
	ax = rad_ksym.x64_sys_call(&regs, nr);
	current_pt_regs()->orig_ax = -1;
	WRITE_ONCE(thread->executing, -1);

	switch ((long)ax) {
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
		flags = RAD_SYSCALL_COME_HOME;
		break;
	default:
		if (thread->recall || task_sigpending(current))
			flags = RAD_SYSCALL_COME_HOME;
	}
	thread->recall_sent |= flags & RAD_SYSCALL_COME_HOME;
	tell_result(thread, ax, flags, thread->recall ?: RADIUM_R_SIGNAL);
	rad_latency_add(thread->process->stats.syscall_latency, ktime_get_ns() - start);
}

/* A fatal signal. A core dump wants the registers; nothing else does. */
static void perish(struct rad_thread *thread)
{
	if (current->signal->core_state && !thread->lost) {
		if (!thread->recall_sent)
			tell(thread, RAD_MSG_RECALL, RADIUM_R_SIGNAL);
		wait_event_timeout(thread->wait, READ_ONCE(thread->image) ||
				   READ_ONCE(thread->lost), CORE_JIFFIES);
		if (READ_ONCE(thread->image)) {
			come_home(thread);
			return;
		}
	}
	if (!thread->lost)
		tell(thread, RAD_MSG_ABORT, RADIUM_R_EXITING);
	rad_thread_end(thread);
}

static bool has_work(struct rad_thread *thread)
{
	return READ_ONCE(thread->image) || READ_ONCE(thread->has_syscall) ||
	       READ_ONCE(thread->touch) ||
	       READ_ONCE(thread->lost) || (READ_ONCE(thread->recall) && !thread->recall_sent) ||
	       task_work_pending(current);
}

/*
 * In place of the thread while it is away. Returns whether it is home and should
 * go out again at once.
 */
static bool serve(struct rad_thread *thread)
{
	for (;;) {
		if (READ_ONCE(thread->image))
			return come_home(thread);
		if (READ_ONCE(thread->lost)) {
			rad_process_kill(thread->process, rad_node_id(thread->node), thread->lost);
			perish(thread);
			return false;
		}
		if (fatal_signal_pending(current)) {
			perish(thread);
			return false;
		}
		if (task_work_pending(current)) {
			/*
			 * A delegated close has queued its fput, or somebody else has work
			 * for this task: let it run, before the next call; we come back.
			 */
			enqueue(thread, TWA_NONE);
			return false;
		}
		if (READ_ONCE(thread->touch)) {
			touch_for_visitor(thread);
			continue;
		}
		if (READ_ONCE(thread->has_syscall)) {
			execute(thread);
			continue;
		}
		/* Whatever was announced has been run, or is pending and seen above. */
		clear_thread_flag(TIF_NOTIFY_SIGNAL);
		smp_mb__after_atomic();
		if ((READ_ONCE(thread->recall) || task_sigpending(current)) &&
		    !thread->recall_sent) {
			thread->recall_sent = true;
			tell(thread, RAD_MSG_RECALL, thread->recall ?: RADIUM_R_SIGNAL);
		}
		if (thread->recall_sent)
			wait_event_killable(thread->wait, has_work(thread));
		else
			wait_event_interruptible(thread->wait, has_work(thread));
	}
}

static void act(struct rad_thread *thread)
{
	for (;;) {
		switch (thread->state) {
		case RADIUM_THREAD_HOME:
			if (!go_out(thread)) {
				/* It came home with a restart code and was to go on at once. */
				if (syscall_get_nr(current, current_pt_regs()) != -1)
					set_thread_flag(TIF_NOTIFY_SIGNAL);
				return;
			}
			break;
		case RADIUM_THREAD_AWAY:
			if (!serve(thread))
				return;
			break;
		default:
			return;
		}
	}
}

static void run(struct callback_head *work)
{
	struct rad_thread *thread = container_of(work, struct rad_thread, work);
	bool others = work->next;

	clear_bit(0, &thread->queued);
	/* Pairs with the barrier in test_and_set_bit() of enqueue(). */
	smp_mb__after_atomic();
	if (current->flags & PF_EXITING)
		rad_thread_end(thread);
	else if (others)
		/* They would starve while we sleep: let them run first. */
		enqueue(thread, TWA_NONE);
	else
		act(thread);
	if (thread->state == RADIUM_THREAD_HOME && task_sigpending(current))
		rad_regs_undo_restart(current_pt_regs(), &thread->restart);
	rad_thread_put(thread);
}

/* rad_deputy_init_thread() - the deputy's part of a new thread */
void rad_deputy_init_thread(struct rad_thread *thread)
{
	init_task_work(&thread->work, run);
	init_task_work(&thread->nudge, nudge);
	INIT_DELAYED_WORK(&thread->again, again_work);
	thread->executing = -1;
	thread->called = -1;
}

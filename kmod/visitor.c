// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "radium: " fmt

#include <linux/entry-common.h>
#include <linux/hashtable.h>
#include <linux/ptrace.h>
#include <linux/rculist.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <asm/syscall.h>
#include <asm/trapnr.h>
#include "ksym.h"
#include "link.h"
#include "probe.h"
#include "regs.h"
#include "replica.h"
#include "syscall.h"
#include "visitor_internal.h"

enum { BIRTH_JIFFIES = 10 * HZ };	/* for the task of a new visitor to reach its place */

static DEFINE_HASHTABLE(visitors, 8);
static DEFINE_SPINLOCK(visitors_lock);

/* rad_visitor_set_state() - under its lock */
void rad_visitor_set_state(struct rad_visitor *visitor, enum rad_visitor_state to)
{
	lockdep_assert_held(&visitor->lock);
	WARN_ONCE(!rad_visitor_may_enter(to, visitor->state), "radium: visitor state %d to %d",
		  visitor->state, to);
	WRITE_ONCE(visitor->state, to);
	/* A parked task has no business with the others; its registers are being loaded. */
	if (to == RAD_VISITOR_RUNNING || to == RAD_VISITOR_DEAD)
		wake_up_all(&visitor->wait);
}

static void free_visitor(struct kref *ref)
{
	struct rad_visitor *visitor = container_of(ref, struct rad_visitor, ref);

	if (visitor->task)
		put_task_struct(visitor->task);
	rad_replica_put(visitor->replica);
	rad_visitor_free_letter(visitor);
	kfree(visitor);
}

void rad_visitor_put(struct rad_visitor *visitor)
{
	if (visitor)
		kref_put(&visitor->ref, free_visitor);
}

/**
 * rad_visitor_current() - current, if it is a visitor
 *
 * Return: without a reference: the table's lives as long as its task runs.
 */
struct rad_visitor *rad_visitor_current(void)
{
	struct rad_visitor *visitor;

	rcu_read_lock();
	hash_for_each_possible_rcu(visitors, visitor, hash, (unsigned long)current)
		if (visitor->task == current) {
			rcu_read_unlock();
			return visitor;
		}
	rcu_read_unlock();
	return NULL;
}

/* The birth is complete: registers may be loaded once current sleeps. */
static void grow_up(struct rad_visitor *visitor)
{
	set_user_nice(current, 0);	/* of its manager's haste */
	visitor->newborn = false;
	spin_lock(&visitors_lock);
	hash_add_rcu(visitors, &visitor->hash, (unsigned long)current);
	spin_unlock(&visitors_lock);
	spin_lock_irq(&visitor->lock);
	visitor->born = true;
	spin_unlock_irq(&visitor->lock);
	wake_up_all(&visitor->wait);
}

/* ---------------------------------------------------------------- messages */

/* rad_visitor_address() - what every message about this stay begins with */
void rad_visitor_address(struct rad_visitor *visitor, struct rad_wire_thread *body)
{
	body->process = cpu_to_le64(visitor->replica->process);
	body->thread = cpu_to_le32(visitor->thread);
	body->stay = cpu_to_le32(visitor->stay);
}

static struct rad_out *visitor_msg(struct rad_visitor *visitor, u32 type, size_t len)
{
	struct rad_out *msg = rad_msg_alloc(type, len, GFP_KERNEL | __GFP_NOFAIL);

	rad_visitor_address(visitor, msg->body);
	return msg;
}

/* The visitor that a message of its home is about; with a reference, or NULL. */
struct rad_visitor *rad_visitor_addressed(const struct rad_in *in)
{
	const struct rad_wire_thread *body = in->body;
	struct rad_replica *replica = rad_replica_find(in->from, le64_to_cpu(body->process));
	struct rad_visitor *visitor, *found = NULL;

	if (!replica)
		return NULL;
	spin_lock(&replica->lock);
	list_for_each_entry(visitor, &replica->visitors, list) {
		if (visitor->thread == le32_to_cpu(body->thread) &&
		    visitor->stay == le32_to_cpu(body->stay) &&
		    /* A guess: who needs to know looks again, under its lock. */
		    (READ_ONCE(visitor->state) == RAD_VISITOR_PREPARED ||
		     READ_ONCE(visitor->state) == RAD_VISITOR_RUNNING)) {
			kref_get(&visitor->ref);
			found = visitor;
			break;
		}
	}
	spin_unlock(&replica->lock);
	rad_replica_put(replica);
	return found;
}

/* -------------------------------------------------------- in the visitor's task */

/*
 * Sleeps until a thread is given to it, or the replica dies. The registers have
 * been loaded by then.
 */
static void park(struct rad_visitor *visitor)
{
	___wait_event(visitor->wait, READ_ONCE(visitor->state) == RAD_VISITOR_RUNNING,
		      RAD_VISITOR_SLEEP, 0, 0, schedule());
}

/**
 * rad_visitor_block_signals() - current hears nothing but KILL and STOP
 *
 * sigprocmask() inside the kernel would block these two as well.
 */
void rad_visitor_block_signals(void)
{
	sigset_t mask;

	siginitsetinv(&mask, sigmask(SIGKILL) | sigmask(SIGSTOP));
	sigprocmask(SIG_SETMASK, &mask, NULL);
}

/* Forget signals of the stay that ended; block everything again. */
static void drop_signals(void)
{
	/* Current's own: it stays until current exits. */
	struct sighand_struct *sighand = rcu_dereference_protected(current->sighand, true);
	kernel_siginfo_t info;
	enum pid_type type;
	sigset_t mask;

	rad_visitor_block_signals();
	/* A group is killed once: whoever sleeps killable after this would never hear of it. */
	siginitset(&mask, sigmask(SIGKILL) | sigmask(SIGSTOP));
	spin_lock_irq(&sighand->siglock);
	while (dequeue_signal(current, &mask, &info, &type))
		;
	spin_unlock_irq(&sighand->siglock);
}

/* CPU time since home was last told. */
void rad_visitor_tell_cputime(struct rad_visitor *visitor, struct rad_wire_cputime *cputime)
{
	u64 utime = current->utime, stime = current->stime;
	u64 runtime = current->se.sum_exec_runtime;

	cputime->utime = cpu_to_le64(utime - visitor->told.utime);
	cputime->stime = cpu_to_le64(stime - visitor->told.stime);
	cputime->runtime = cpu_to_le64(runtime - visitor->told.runtime);
	visitor->told.utime = utime;
	visitor->told.stime = stime;
	visitor->told.runtime = runtime;
}

/*
 * int3 and into have been executed when their signals are made; at home they are executed again.
 * Each has two forms: cc and cd 03, ce and cd 04.
 */
static void repeat_trap(u32 reason, u64 detail, struct pt_regs *regs)
{
	u32 trap = RAD_EXCEPTION_TRAP(detail), sig = RAD_EXCEPTION_SIG(detail);
	u8 code[2];

	/* With both: a signal that is not made by a trap leaves the number of the last one. */
	if (reason != RADIUM_R_EXCEPTION || !((trap == X86_TRAP_BP && sig == SIGTRAP) ||
					      (trap == X86_TRAP_OF && sig == SIGSEGV)))
		return;
	if (!copy_from_user(code, (void __user *)regs->ip - sizeof(code), sizeof(code)) &&
	    code[0] == 0xcd && code[1] == trap)
		regs->ip -= 2;
	else if (regs->ip)
		regs->ip--;
}

/*
 * Sends the registers home and parks. Returns when another thread has been given
 * to this task (its registers are in task_pt_regs() then) or it must die.
 */
void rad_visitor_go_home(struct rad_visitor *visitor, u32 reason, u64 detail)
{
	size_t len = sizeof(struct rad_wire_return) + rad_regs_xstate_len();
	struct rad_wire_return *body;
	struct rad_out *msg;

	repeat_trap(reason, detail, current_pt_regs());
	msg = visitor_msg(visitor, RAD_MSG_RETURN, len);
	body = msg->body;
	body->thread.reason = cpu_to_le32(reason);
	body->detail = cpu_to_le64(detail);
	body->coarse = cpu_to_le64(rad_vvar_shown(&visitor->replica->window.vvar));
	rad_visitor_tell_cputime(visitor, &body->cputime);
	rad_regs_save(&body->regs);
	/* Also of an exception that a recall came before. */
	if (reason == RADIUM_R_EXCEPTION || task_sigpending(current))
		drop_signals();

	spin_lock_irq(&visitor->lock);
	rad_visitor_reset(visitor);
	/* Before the message: the thread may be sent here again at once. */
	rad_visitor_set_state(visitor, RAD_VISITOR_PARKED);
	spin_unlock_irq(&visitor->lock);
	rad_msg_send(visitor->replica->home, msg);
	park(visitor);
}

/* rad_visitor_reset() - nothing of a former stay is left; under its lock */
void rad_visitor_reset(struct rad_visitor *visitor)
{
	lockdep_assert_held(&visitor->lock);
	visitor->leave = RADIUM_R_NONE;
	visitor->discard = false;
	visitor->has_result = false;
	WRITE_ONCE(visitor->expects, false);
}

void rad_visitor_forget(struct rad_visitor *visitor)
{
	struct rad_wire_cputime nobodys;

	drop_signals();
	/* The thread is no more: the next one has not used it. */
	rad_visitor_tell_cputime(visitor, &nobodys);
	spin_lock_irq(&visitor->lock);
	rad_visitor_reset(visitor);
	if (visitor->state == RAD_VISITOR_RUNNING)
		rad_visitor_set_state(visitor, RAD_VISITOR_PARKED);
	spin_unlock_irq(&visitor->lock);
	park(visitor);
}

static void run(struct callback_head *work)
{
	struct rad_visitor *visitor = container_of(work, struct rad_visitor, work);
	struct pt_regs *regs = current_pt_regs();
	u32 reason;
	u64 detail;

	clear_bit(0, &visitor->queued);
	/* Pairs with test_and_set_bit() in rad_visitor_enqueue(): what it found queued is seen below. */
	smp_mb__after_atomic();
	clear_thread_flag(TIF_NOTIFY_SIGNAL);
	spin_lock_irq(&visitor->lock);
	reason = visitor->leave;
	detail = visitor->detail;
	spin_unlock_irq(&visitor->lock);
	if (!(current->flags & PF_EXITING) && !fatal_signal_pending(current)) {
		if (visitor->newborn) {
			grow_up(visitor);
			park(visitor);
		} else if (visitor->discard) {
			rad_visitor_forget(visitor);
		} else if (reason && visitor->state == RAD_VISITOR_RUNNING) {
			/* Interrupted between two instructions: nothing to be restarted. */
			regs->orig_ax = -1;
			rad_visitor_go_home(visitor, reason, detail);
		}
	}
	rad_visitor_put(visitor);
}

/**
 * rad_visitor_enqueue() - its task looks what is wanted of it before it is in user mode again
 * @visitor: the visitor
 * @notify: as for task_work_add()
 *
 * Under the lock, so that whoever finds the bit set finds the work on the task's list: a task
 * with a signal relies on it that the work is run before the signal is looked at.
 *
 * Context: any; without the visitor's lock.
 */
void rad_visitor_enqueue(struct rad_visitor *visitor, enum task_work_notify_mode notify)
{
	unsigned long irqs;
	bool gone = false;

	/* The probe of a signal comes with interrupts off. */
	spin_lock_irqsave(&visitor->lock, irqs);
	if (!test_and_set_bit(0, &visitor->queued)) {
		kref_get(&visitor->ref);
		gone = task_work_add(visitor->task, &visitor->work, notify);
		if (gone)
			clear_bit(0, &visitor->queued);
	}
	spin_unlock_irqrestore(&visitor->lock, irqs);
	if (gone)
		rad_visitor_put(visitor);
}

/**
 * rad_visitor_bounce() - current goes home on its way to user mode
 * @visitor: current
 * @reason: enum radium_reason
 * @detail: goes with it
 */
void rad_visitor_bounce(struct rad_visitor *visitor, u32 reason, u64 detail)
{
	unsigned long irqs;

	/* The probe of a signal comes with interrupts off. A trap is more than a recall. */
	spin_lock_irqsave(&visitor->lock, irqs);
	if (!visitor->leave || reason == RADIUM_R_EXCEPTION) {
		visitor->leave = reason;
		visitor->detail = detail;
	}
	spin_unlock_irqrestore(&visitor->lock, irqs);
	rad_visitor_enqueue(visitor, TWA_RESUME);
}

/* Back to before the system call instruction, for it to be executed at home. */
void rad_visitor_rewind(struct pt_regs *regs)
{
	regs->ax = regs->orig_ax;
	regs->ip -= 2;
	regs->orig_ax = -1;
}

/*
 * Made here by current itself. An access that cannot be done here fails with EFAULT
 * (and would fail so at home, or not): then the call is made at home.
 * Returns whether it has been made.
 */
static bool make_own(struct pt_regs *regs, int nr)
{
	long ax;

	if (!rad_syscall_is_own(nr, regs->di))
		return false;
	ax = rad_ksym.x64_sys_call(regs, nr);
	if (ax == -EFAULT)
		return false;
	regs->ax = ax;
	return true;
}

/**
 * rad_visitor_syscall() - a visitor makes a system call
 * @visitor: current
 * @regs: its registers
 *
 * None is left to this node's entry code: who watches calls here has no business with those
 * of a visitor.
 */
void rad_visitor_syscall(struct rad_visitor *visitor, struct pt_regs *regs)
{
	int nr = syscall_get_nr(current, regs);

	/* The 32-bit ways into the kernel number their calls differently: by none of ours. */
	if (in_ia32_syscall() || nr & __X32_SYSCALL_BIT) {
		rad_visitor_rewind(regs);
		rad_visitor_go_home(visitor, RADIUM_R_SYSCALL, nr | __X32_SYSCALL_BIT);
		return;
	}
	switch (rad_syscall_class(nr)) {
	case RAD_SYSCALL_LOCAL:
		if (rad_visitor_answer(visitor, regs, nr))
			return;
		fallthrough;
	case RAD_SYSCALL_HOME:
	case RAD_SYSCALL_INLINE:
		rad_visitor_delegate(visitor, regs, nr);
		return;
	case RAD_SYSCALL_OWN:
		if (!rad_visitor_is_watched(visitor) && make_own(regs, nr))
			return;
		fallthrough;
	default:
		rad_visitor_rewind(regs);
		rad_visitor_go_home(visitor, RADIUM_R_SYSCALL, nr);
	}
}

/* A synchronous signal to a visitor: the instruction is executed again at home. */
static void probe_signal(void *data, int sig, struct kernel_siginfo *info,
			 struct task_struct *task, int group, int result)
{
	struct rad_visitor *visitor;

	if (task != current || sig == SIGKILL || sig == SIGSTOP || info == SEND_SIG_PRIV)
		return;
	if (info == SEND_SIG_NOINFO || info->si_code <= 0)
		return;
	visitor = rad_visitor_current();
	if (visitor)
		rad_visitor_bounce(visitor, RADIUM_R_EXCEPTION,
				   RAD_EXCEPTION(sig, info->si_code, current->thread.trap_nr));
}

/*
 * First thing in the task of a visitor. The registers of its first thread must not
 * be loaded before it has returned from here, because ret_from_fork clears ax
 * behind us: it parks in task_work, on the way to user mode, as it always does.
 */
static int begin(void *arg)
{
	struct rad_visitor *visitor = arg;

	rad_visitor_block_signals();
	set_syscall_work(SYSCALL_USER_DISPATCH);
	visitor->task = get_task_struct(current);
	visitor->newborn = true;
	rad_visitor_enqueue(visitor, TWA_RESUME);
	return 0;
}

/**
 * rad_visitor_birth() - make the task of a visitor
 * @visitor: the visitor
 *
 * Context: the manager of its replica.
 * Return: 0 or a negative error.
 */
int rad_visitor_birth(struct rad_visitor *visitor)
{
	struct kernel_clone_args args = {
		.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			 CLONE_SYSVSEM,
		.fn = begin,
		.fn_arg = visitor,
	};
	pid_t pid;

	kref_get(&visitor->ref);	/* the task's */
	pid = rad_ksym.kernel_clone(&args);
	if (pid > 0)
		return 0;
	rad_visitor_put(visitor);
	return pid;
}

/* ------------------------------------------------------------- in workers */

/**
 * rad_visitor_create() - a new visitor, whose task the manager is asked to make
 * @replica: where
 *
 * Return: with a reference, or NULL.
 */
struct rad_visitor *rad_visitor_create(struct rad_replica *replica)
{
	struct rad_visitor *visitor = kzalloc(sizeof(*visitor), GFP_KERNEL_ACCOUNT);

	if (!visitor)
		return NULL;
	kref_init(&visitor->ref);
	spin_lock_init(&visitor->lock);
	INIT_LIST_HEAD(&visitor->list);
	INIT_LIST_HEAD(&visitor->birth);
	init_waitqueue_head(&visitor->wait);
	init_task_work(&visitor->work, run);
	rad_replica_get(replica);
	visitor->replica = replica;
	spin_lock(&replica->lock);
	if (replica->dying) {
		spin_unlock(&replica->lock);
		rad_visitor_put(visitor);
		return NULL;
	}
	kref_get(&visitor->ref);
	list_add_tail(&visitor->list, &replica->visitors);
	list_add_tail(&visitor->birth, &replica->births);
	spin_unlock(&replica->lock);
	wake_up_all(&replica->wait);
	wait_event_timeout(visitor->wait, READ_ONCE(visitor->born) || READ_ONCE(replica->dying) ||
			   READ_ONCE(visitor->state) == RAD_VISITOR_DEAD, BIRTH_JIFFIES);
	if (READ_ONCE(visitor->born))
		return visitor;
	/* Not given up: born late, it is one more that is parked. */
	rad_visitor_put(visitor);
	return NULL;
}

/* rad_visitor_kill() - it has no task, or loses it */
void rad_visitor_kill(struct rad_visitor *visitor)
{
	struct rad_replica *replica = visitor->replica;
	bool linked;

	spin_lock(&replica->lock);
	linked = !list_empty(&visitor->list);
	list_del_init(&visitor->list);
	list_del_init(&visitor->birth);
	spin_unlock(&replica->lock);
	spin_lock_irq(&visitor->lock);
	if (visitor->state != RAD_VISITOR_DEAD)
		rad_visitor_set_state(visitor, RAD_VISITOR_DEAD);
	spin_unlock_irq(&visitor->lock);
	if (linked)
		rad_visitor_put(visitor);
}

/**
 * rad_visitor_end() - its task is past its last use of memory
 * @visitor: of a dead replica
 * @tell: its home does not know
 */
void rad_visitor_end(struct rad_visitor *visitor, bool tell)
{
	bool running;

	spin_lock(&visitors_lock);
	if (visitor->born && hash_hashed(&visitor->hash))
		hash_del_rcu(&visitor->hash);
	spin_unlock(&visitors_lock);
	/* In one step: a COMMIT comes before it, or finds nobody. */
	spin_lock_irq(&visitor->lock);
	running = visitor->state == RAD_VISITOR_RUNNING;
	if (visitor->state != RAD_VISITOR_DEAD)
		rad_visitor_set_state(visitor, RAD_VISITOR_DEAD);
	spin_unlock_irq(&visitor->lock);
	if (tell && running) {
		struct rad_out *msg = visitor_msg(visitor, RAD_MSG_VISITOR_GONE,
						  sizeof(struct rad_wire_thread));

		rad_msg_send(visitor->replica->home, msg);
	}
}

/**
 * rad_visitor_bury() - forget it
 * @visitor: it has ended, and a grace period of RCU since; the caller has a reference
 */
void rad_visitor_bury(struct rad_visitor *visitor)
{
	kref_get(&visitor->ref);
	rad_visitor_kill(visitor);
	if (visitor->task)
		rad_visitor_put(visitor);
	rad_visitor_put(visitor);
}

/* ---------------------------------------------------------------- lifetime */

static struct rad_probe signal_generate = {
	.name = "signal_generate",
	.function = probe_signal,
};

int rad_visitor_init(void)
{
	return rad_probe_register(&signal_generate);
}

void rad_visitor_uninit(void)
{
	rad_probe_unregister(&signal_generate);
}

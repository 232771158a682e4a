// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: the task at home, in place of its thread.
 *
 * Everything in deputy*.c but the message handlers and the calls for others (summon,
 * interrupt, touch) runs in the task itself, in task_work, at the boundary to user
 * mode: task_pt_regs() are what the thread would go on with.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/ptrace.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <asm/syscall.h>
#include "deputy_internal.h"
#include "ksym.h"
#include "link.h"
#include "node.h"
#include "process.h"
#include "syscall.h"
#include "wire_check.h"

enum {
	CORE_JIFFIES	= 5 * HZ,	/* to fetch registers for a core dump */
	SLACK_NS	= 30 * NSEC_PER_SEC,	/* of processor time, see claim_time() */
};

/* ------------------------------------------------------ called by others */

/*
 * Puts our work on the task's list, once. Under the lock, so that whoever finds the bit set
 * finds the work on the list: the task itself relies on it before it goes on to user mode.
 */
void rad_deputy_enqueue(struct rad_thread *thread, enum task_work_notify_mode notify)
{
	bool gone = false;

	spin_lock(&thread->lock);
	if (!test_and_set_bit(0, &thread->queued)) {
		rad_thread_get(thread);
		gone = task_work_add(thread->task, &thread->work, notify);
		if (gone)
			clear_bit(0, &thread->queued);
	}
	spin_unlock(&thread->lock);
	if (gone) {
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
	rad_deputy_enqueue(thread, TWA_RESUME);
	wake_up_all(&thread->wait);
}

static void nudge(struct callback_head *work)
{
	struct rad_thread *thread = container_of(work, struct rad_thread, nudge);

	clear_bit(0, &thread->nudged);
	rad_thread_put(thread);
}

/*
 * The lock is held, without which the task does not get from one call to the next: neither
 * natively, since the work is queued, nor as a deputy.
 */
static bool interrupt(struct rad_thread *thread)
{
	struct task_struct *task = thread->task;
	unsigned int state = READ_ONCE(task->__state);
	unsigned long args[6] = { };
	bool compat = false;
	int nr = -1, i;

	lockdep_assert_held(&thread->lock);
	if (thread->state == RADIUM_THREAD_AWAY) {
		nr = READ_ONCE(thread->executing);
		for (i = 0; i < 6; i++)
			args[i] = le64_to_cpu(thread->syscall.args[i]);
	} else if (test_bit(0, &thread->queued) && try_get_task_stack(task)) {
		nr = syscall_get_nr(task, task_pt_regs(task));
		syscall_get_arguments(task, task_pt_regs(task), args);
		/* Numbered otherwise: what it is is not known. */
		compat = task_thread_info(task)->status & TS_COMPAT;
		rad_ksym.put_task_stack(task);
	}
	/* Not in a call: it is on its way, or at work for us. */
	if (nr < 0 || !state || READ_ONCE(task->on_cpu))
		return true;
	/* Nor does it come: it dies, and woken it would dump a part of its core only. */
	if (READ_ONCE(task->flags) & (PF_SIGNALED | PF_POSTCOREDUMP | PF_EXITING))
		return true;
	if (!(state & TASK_INTERRUPTIBLE) || compat || !rad_syscall_is_restarted(task, nr, args))
		return false;
	if (!test_and_set_bit(0, &thread->nudged)) {
		rad_thread_get(thread);
		if (task_work_add(task, &thread->nudge, TWA_SIGNAL)) {
			clear_bit(0, &thread->nudged);
			/* Not the last one. */
			rad_thread_put(thread);
		}
	}
	return true;
}

/**
 * rad_deputy_interrupt() - take the task out of an interruptible wait
 * @thread: summoned
 *
 * The work is queued already: a task that is seen asleep has not left its system
 * call since, so that the number in its registers is that of the call it sleeps
 * in. A call that would return EINTR is left alone; so is the next one, because what
 * interrupts this one is there before the task gets there.
 *
 * Return: false if the task sleeps in such a call, or uninterruptibly.
 */
bool rad_deputy_interrupt(struct rad_thread *thread)
{
	bool on_its_way;

	spin_lock(&thread->lock);
	on_its_way = interrupt(thread);
	spin_unlock(&thread->lock);
	return on_its_way;
}

/* ------------------------------------------------------------- messages */

static struct rad_out *address(struct rad_thread *thread, struct rad_out *msg)
{
	struct rad_wire_thread *body = msg->body;

	body->process = cpu_to_le64(thread->process->id);
	body->thread = cpu_to_le32(thread->id);
	body->stay = cpu_to_le32(thread->stay);
	return msg;
}

struct rad_out *rad_deputy_msg(struct rad_thread *thread, u32 type, size_t len)
{
	return address(thread, rad_msg_alloc(type, len, GFP_KERNEL | __GFP_NOFAIL));
}

/* The same for one that is large, and that one can do without: or NULL. */
struct rad_out *rad_deputy_try_msg(struct rad_thread *thread, u32 type, size_t len)
{
	struct rad_out *msg = rad_msg_alloc(type, len,
					    GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN);

	return msg ? address(thread, msg) : NULL;
}

void rad_deputy_tell(struct rad_thread *thread, u32 type, u32 reason)
{
	struct rad_out *msg = rad_deputy_msg(thread, type, sizeof(struct rad_wire_thread));
	struct rad_wire_thread *body = msg->body;

	body->reason = cpu_to_le32(reason);
	rad_msg_send(thread->node, msg);
}

/* Is the thread away there, on this stay? */
static bool is_stay(const struct rad_thread *thread, const struct rad_in *in)
{
	const struct rad_wire_thread *body = in->body;

	lockdep_assert_held(&thread->lock);
	return thread->state == RADIUM_THREAD_AWAY && thread->node == in->from &&
	       thread->stay == le32_to_cpu(body->stay);
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
	right = is_stay(thread, in);
	spin_unlock(&thread->lock);
	if (right)
		return thread;
	rad_thread_put(thread);
	return NULL;
}

/* What is wrong with a message that asks for a call, NULL: nothing. */
static const char *wrong_syscall(const struct rad_in *in)
{
	const struct rad_wire_syscall *body = in->body;

	if (!rad_wire_check_syscall(body, in->len))
		return "SYSCALL: one that cannot be";
	if (!rad_syscall_is_homes(le32_to_cpu(body->nr)))
		return "SYSCALL: not one for the deputy";
	return NULL;
}

/*
 * What is told of processor time is the process' for good, and the kernel divides by sums of it.
 * So a thread cannot have used more in all than there has been time since its record was made.
 * Twice that: clocks differ, ticks find who runs just then, and this machine may have stood still
 * for a while without its clocks or its node having noticed. Returns false for more.
 */
static bool claim_time(struct rad_thread *thread, const struct rad_wire_cputime *cputime)
{
	u64 most = 2 * (ktime_get_boottime_ns() - thread->since) + SLACK_NS;

	lockdep_assert_held(&thread->lock);
	if (!rad_wire_check_cputime(cputime, most - thread->told_ticks,
				    most - thread->told_runtime))
		return false;
	thread->told_ticks += le64_to_cpu(cputime->utime) + le64_to_cpu(cputime->stime);
	thread->told_runtime += le64_to_cpu(cputime->runtime);
	return true;
}

/*
 * The parcel is this message's from here until its call has been answered, and then the
 * next one's. A peer that has sent the thread home has no say in it any more: the thread may
 * be on another node by the time that the parcel is filled, and that node at the parcel.
 * Returns what is wrong; @here: the thread is, still, on the stay that it was found on.
 */
static const char *claim_parcel(struct rad_thread *thread, const struct rad_in *in, bool *here)
{
	const struct rad_wire_syscall *body = in->body;
	const char *wrong = NULL;

	spin_lock(&thread->lock);
	*here = is_stay(thread, in);
	if (*here && thread->image)
		wrong = "SYSCALL: of a thread that has come home";
	else if (*here && thread->in_syscall)
		wrong = "SYSCALL: another has no answer yet";
	else if (*here && !claim_time(thread, &body->cputime))
		wrong = "SYSCALL: processor time that was not";
	else if (*here)
		thread->in_syscall = true;
	spin_unlock(&thread->lock);
	return wrong;
}

/* rad_deputy_on_syscall() - SYSCALL: the visitor wants a call done */
void rad_deputy_on_syscall(struct rad_in *in)
{
	const struct rad_wire_syscall *body = in->body;
	struct rad_thread *thread = addressed(in);
	struct rad_wire_syscall call;
	const char *wrong;
	bool here = true;

	if (!thread)
		return;
	wrong = wrong_syscall(in) ?: claim_parcel(thread, in, &here);
	if (!wrong && here) {
		call = *body;
		if (!rad_deputy_take_parcel(thread, &call, body + 1, in->len - sizeof(*body)))
			wrong = "SYSCALL: data of another call";
	}
	if (wrong)
		rad_node_protocol_error(in->from, wrong);
	if (!wrong && here) {
		spin_lock(&thread->lock);
		thread->syscall = call;
		thread->has_syscall = true;
		spin_unlock(&thread->lock);
		wake_up_all(&thread->wait);
	}
	rad_thread_put(thread);
}

/* A copy of the message. Three pages with AMX, and nobody promises three in a row. */
static struct rad_image *make_image(const struct rad_in *in)
{
	const size_t head = offsetof(struct rad_image, is);
	void *image = kvmalloc(head + in->len, GFP_KERNEL | __GFP_NOFAIL);

	memcpy(image + head, in->body, in->len);
	return image;
}

/*
 * rad_deputy_on_return() - RETURN: the thread comes home
 *
 * Once. By a second one of a peer that lies the thread may be on another node already, and
 * would be here as well.
 */
void rad_deputy_on_return(struct rad_in *in)
{
	const struct rad_wire_return *body = in->body;
	struct rad_thread *thread;
	const char *wrong = NULL;
	struct rad_image *image;
	bool here;

	if (rad_regs_check(&body->regs, in->len - offsetof(struct rad_wire_return, regs)) ||
	    le32_to_cpu(body->thread.reason) >= RADIUM_R_COUNT) {
		rad_node_protocol_error(in->from, "RETURN: bad registers");
		return;
	}
	thread = addressed(in);
	if (!thread)
		return;
	image = make_image(in);
	spin_lock(&thread->lock);
	here = is_stay(thread, in);
	if (here && thread->image)
		wrong = "RETURN: a second one";
	else if (here && !claim_time(thread, &body->cputime))
		wrong = "RETURN: processor time that was not";
	else if (here)
		swap(thread->image, image);
	spin_unlock(&thread->lock);
	kvfree(image);
	if (wrong)
		rad_node_protocol_error(in->from, wrong);
	else
		wake_up_all(&thread->wait);
	rad_thread_put(thread);
}

/* rad_deputy_on_visitor_gone() - VISITOR_GONE: it was killed there */
void rad_deputy_on_visitor_gone(struct rad_in *in)
{
	const struct rad_wire_thread *body = in->body;
	struct rad_thread *thread = addressed(in);
	struct rad_process *process = NULL;
	u32 lost = RADIUM_R_NONE;

	if (!thread)
		return;
	spin_lock(&thread->lock);
	/* Who has sent the thread home has no say in it any more. */
	if (is_stay(thread, in) && !thread->image && thread->process) {
		lost = rad_wire_reason(body->reason) ?: RADIUM_R_NODE_LOST;
		thread->lost = lost;
		process = thread->process;
		rad_process_get(process);
	}
	spin_unlock(&thread->lock);
	wake_up_all(&thread->wait);
	if (lost) {
		/* Here, because the deputy may be in a call that lasts. */
		rad_process_kill(process, rad_node_id(in->from), lost);
		rad_process_put(process);
	}
	rad_thread_put(thread);
}

/* ---------------------------------------------------------------- serving */

/* A fatal signal. A core dump wants the registers; nothing else does. */
static void perish(struct rad_thread *thread)
{
	unsigned long deadline = jiffies + CORE_JIFFIES;
	long left;

	if (thread->result.is_there)
		rad_deputy_answer(thread);
	if (current->signal->core_state && !thread->lost) {
		if (!thread->recall_sent)
			rad_deputy_tell(thread, RAD_MSG_RECALL, RADIUM_R_SIGNAL);
		/*
		 * In a call it does not hear of the recall: it is told to make that at home. By the
		 * clock, because a node that has data to be stored for ever is not to keep us.
		 */
		do {
			if (READ_ONCE(thread->has_syscall))
				rad_deputy_execute(thread);
			left = max_t(long, deadline - jiffies, 0);
			wait_event_timeout(thread->wait, READ_ONCE(thread->image) ||
					   READ_ONCE(thread->lost) ||
					   READ_ONCE(thread->has_syscall), left);
		} while (left && !READ_ONCE(thread->image) && !READ_ONCE(thread->lost));
		if (READ_ONCE(thread->image)) {
			rad_deputy_come_home(thread);
			return;
		}
	}
	if (!thread->lost)
		rad_deputy_tell(thread, RAD_MSG_ABORT, RADIUM_R_EXITING);
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
	u32 recall;

	for (;;) {
		if (READ_ONCE(thread->image)) {
			rad_deputy_free_answer(thread);
			return rad_deputy_come_home(thread);
		}
		if (READ_ONCE(thread->lost)) {
			rad_process_kill(thread->process, rad_node_id(thread->node), thread->lost);
			/*
			 * Whoever kills the process may not have come to us yet, and without
			 * the signal we would go on here with the registers of before.
			 */
			send_sig(SIGKILL, current, 1);
			perish(thread);
			return false;
		}
		if (fatal_signal_pending(current)) {
			perish(thread);
			return false;
		}
		/* What was announced is seen below, and is not to interrupt a call that comes later. */
		clear_thread_flag(TIF_NOTIFY_SIGNAL);
		/* Pairs with task_work_add(): the work is there before the flag is set. */
		smp_mb__after_atomic();
		if (task_work_pending(current)) {
			/*
			 * A delegated close has queued its fput, or somebody else has work
			 * for this task: let it run, before the call returns; we come back.
			 */
			rad_deputy_enqueue(thread, TWA_NONE);
			return false;
		}
		if (thread->result.is_there) {
			rad_deputy_answer(thread);
			continue;
		}
		if (READ_ONCE(thread->touch)) {
			rad_deputy_touch_for_visitor(thread);
			continue;
		}
		if (READ_ONCE(thread->has_syscall)) {
			rad_deputy_execute(thread);
			continue;
		}
		recall = READ_ONCE(thread->recall);
		if ((recall || task_sigpending(current)) && !thread->recall_sent) {
			thread->recall_sent = true;
			rad_deputy_tell(thread, RAD_MSG_RECALL, recall ?: RADIUM_R_SIGNAL);
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
			if (!rad_deputy_go_out(thread)) {
				/* It came home with a restart code and was to go on at once. */
				if (syscall_get_nr(current, current_pt_regs()) != -1)
					rad_regs_have_restarted();
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

/*
 * Some calls run task work in their midst: io_uring_enter() and KVM_RUN. The entry code
 * leaves ENOSYS in ax until the call has returned. A call that there is not returns that.
 */
static bool in_native_call(const struct pt_regs *regs)
{
	return regs->ax == -ENOSYS && regs->orig_ax < NR_syscalls;
}

static void run(struct callback_head *work)
{
	struct rad_thread *thread = container_of(work, struct rad_thread, work);
	bool others = work->next;
	bool dies;

	clear_bit(0, &thread->queued);
	/* Pairs with the barrier in test_and_set_bit() of rad_deputy_enqueue(). */
	smp_mb__after_atomic();
	/* Already before it says that it is exiting do_exit() may run task work (io_uring's). */
	dies = current->flags & (PF_EXITING | PF_POSTCOREDUMP);
	if (dies)
		rad_thread_end(thread);
	else if (thread->executing >= 0)
		/* In a delegated call, after which the deputy looks at everything. */
		;
	else if (in_native_call(current_pt_regs()))
		/* Also if it is wanted nowhere any more: its record goes then. */
		rad_deputy_look_later(thread);
	else if (others)
		/* They would starve while we sleep: let them run first. */
		rad_deputy_enqueue(thread, TWA_NONE);
	else
		act(thread);
	if (thread->state == RADIUM_THREAD_HOME && task_sigpending(current) && !dies)
		rad_regs_undo_restart(current_pt_regs(), &thread->restart);
	rad_thread_put(thread);
}

/* rad_deputy_init_thread() - the deputy's part of a new thread */
void rad_deputy_init_thread(struct rad_thread *thread)
{
	init_task_work(&thread->work, run);
	init_task_work(&thread->nudge, nudge);
	INIT_DELAYED_WORK(&thread->again, rad_deputy_again_work);
	thread->executing = -1;
}

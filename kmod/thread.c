// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "radium: " fmt

#include <linux/cred.h>
#include <linux/module.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "event.h"
#include "node.h"
#include "probe.h"
#include "process.h"
#include "regs.h"
#include "states.h"
#include "thread.h"

enum {
	LOOK_AGAIN_JIFFIES = HZ / 50,	/* how often a blocked task is looked at */
	SNAPSHOT_ROOM = 64,		/* entries that a list may grow by unnoticed */
};

/* The table and the number of its entries are under the lock. */
static DEFINE_HASHTABLE(threads, 8);
static u32 count;
static DEFINE_SPINLOCK(threads_lock);

/**
 * rad_thread_set_state() - the one place where a thread changes its state
 * @thread: its lock is held
 * @to: new state
 */
void rad_thread_set_state(struct rad_thread *thread, enum radium_thread_state to)
{
	lockdep_assert_held(&thread->lock);
	WARN_ONCE(!rad_thread_may_enter(to, thread->state), "radium: thread state %d to %d",
		  thread->state, to);
	thread->state = to;
	wake_up_all(&thread->wait);
}

static void free_thread(struct kref *ref)
{
	struct rad_thread *thread = container_of(ref, struct rad_thread, ref);

	put_task_struct(thread->task);
	put_cred(thread->by);
	rad_process_put(thread->process);
	if (thread->node)
		rad_node_put(thread->node);
	if (thread->image)
		kvfree_rcu(thread->image, rcu);
	rad_deputy_free_parcel(thread);
	kfree(thread);
	module_put(THIS_MODULE);
}

void rad_thread_get(struct rad_thread *thread)
{
	kref_get(&thread->ref);
}

void rad_thread_put(struct rad_thread *thread)
{
	if (thread)
		kref_put(&thread->ref, free_thread);
}

static struct rad_thread *find_locked(struct task_struct *task)
{
	struct rad_thread *thread;

	hash_for_each_possible(threads, thread, hash, (unsigned long)task)
		if (thread->task == task) {
			kref_get(&thread->ref);
			return thread;
		}
	return NULL;
}

/**
 * rad_thread_find() - the thread of a task
 * @task: the task
 *
 * Return: with a reference, or NULL.
 */
struct rad_thread *rad_thread_find(struct task_struct *task)
{
	struct rad_thread *thread;

	spin_lock(&threads_lock);
	thread = find_locked(task);
	spin_unlock(&threads_lock);
	return thread;
}

/**
 * rad_thread_find_or_create() - the thread of a task
 * @task: the task
 *
 * Return: with a reference, or NULL without memory.
 */
struct rad_thread *rad_thread_find_or_create(struct task_struct *task)
{
	struct rad_thread *thread, *new;

	thread = rad_thread_find(task);
	if (thread)
		return thread;
	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return NULL;
	kref_init(&new->ref);
	spin_lock_init(&new->lock);
	init_waitqueue_head(&new->wait);
	INIT_LIST_HEAD(&new->list);
	new->task = get_task_struct(task);
	new->id = task_pid_nr(task);
	rad_deputy_init_thread(new);
	__module_get(THIS_MODULE);

	spin_lock(&threads_lock);
	thread = find_locked(task);
	if (!thread) {
		hash_add(threads, &new->hash, (unsigned long)task);
		count++;
		kref_get(&new->ref);
		thread = new;
		new = NULL;
	}
	spin_unlock(&threads_lock);
	rad_thread_put(new);
	return thread;
}

/*
 * Whoever has found it before sees that it is forgotten, and looks again. Idle is none whose
 * next call has to find it.
 */
static void unhash(struct rad_thread *thread, bool only_if_idle)
{
	bool forget;

	spin_lock(&threads_lock);
	spin_lock(&thread->lock);
	forget = !thread->forgotten &&
		 (!only_if_idle ||
		  (thread->state == RADIUM_THREAD_HOME && !thread->wanted && !thread->process &&
		   thread->asked == thread->answered && !READ_ONCE(thread->boomerang)));
	if (forget) {
		thread->forgotten = true;
		hash_del(&thread->hash);
		count--;
	}
	spin_unlock(&thread->lock);
	spin_unlock(&threads_lock);
	if (forget)
		rad_thread_put(thread);
}

/**
 * rad_thread_forget() - a thread that is at home, and wanted nowhere else
 * @thread: is kept if it has a process, or somebody waits for an answer of it
 */
void rad_thread_forget(struct rad_thread *thread)
{
	unhash(thread, true);
}

/**
 * rad_thread_find_if() - any thread that is so
 * @is: decides, with the thread's lock held
 * @context: goes to @is
 *
 * Return: with a reference, or NULL.
 */
struct rad_thread *rad_thread_find_if(bool (*is)(const struct rad_thread *thread,
						 const void *context),
				      const void *context)
{
	struct rad_thread *thread, *found = NULL;
	int bucket;

	spin_lock(&threads_lock);
	hash_for_each(threads, bucket, thread, hash) {
		spin_lock(&thread->lock);
		if (is(thread, context)) {
			kref_get(&thread->ref);
			found = thread;
		}
		spin_unlock(&thread->lock);
		if (found)
			break;
	}
	spin_unlock(&threads_lock);
	return found;
}

/* rad_thread_find_id() - a thread of a process by its number; with a reference */
struct rad_thread *rad_thread_find_id(struct rad_process *process, u32 id)
{
	struct rad_thread *thread;

	spin_lock(&process->lock);
	list_for_each_entry(thread, &process->threads, list) {
		if (thread->id == id) {
			kref_get(&thread->ref);
			spin_unlock(&process->lock);
			return thread;
		}
	}
	spin_unlock(&process->lock);
	return NULL;
}

/**
 * rad_thread_detach() - the thread belongs to a process no longer
 * @thread: the thread
 * @from: the process, or NULL; nothing is done if it belongs to another by now
 *
 * Because of exec (it has another one now), exit, or because the process is not
 * distributed any more.
 */
void rad_thread_detach(struct rad_thread *thread, struct rad_process *from)
{
	bool was;

	if (!from)
		return;
	/* Both at once: it may be attached to another as soon as it has no process. */
	spin_lock(&from->lock);
	spin_lock(&thread->lock);
	was = thread->process == from;
	if (was) {
		thread->process = NULL;
		list_del_init(&thread->list);
	}
	spin_unlock(&thread->lock);
	spin_unlock(&from->lock);
	if (!was)
		return;
	rad_thread_put(thread);
	rad_process_put(from);
}

/* rad_thread_process() - its process, with a reference, or NULL */
struct rad_process *rad_thread_process(struct rad_thread *thread)
{
	struct rad_process *process;

	spin_lock(&thread->lock);
	process = thread->process;
	if (process)
		rad_process_get(process);
	spin_unlock(&thread->lock);
	return process;
}

/* Whatever process it belongs to. */
static void detach_any(struct rad_thread *thread)
{
	struct rad_process *process = rad_thread_process(thread);

	rad_thread_detach(thread, process);
	rad_process_put(process);
}

/**
 * rad_thread_attach() - it is one of @process from now on
 * @thread: current's; takes a reference
 * @process: takes a reference
 */
void rad_thread_attach(struct rad_thread *thread, struct rad_process *process)
{
	/* Nobody else gives it one. */
	if (READ_ONCE(thread->process) == process)
		return;
	detach_any(thread);
	rad_process_get(process);
	kref_get(&thread->ref);
	spin_lock(&process->lock);
	spin_lock(&thread->lock);
	thread->process = process;
	/* That of the first thread, after another one has called exec. */
	thread->id = task_pid_nr(thread->task);
	list_add_tail(&thread->list, &process->threads);
	spin_unlock(&thread->lock);
	spin_unlock(&process->lock);
}

/**
 * rad_thread_end() - the task exits
 * @thread: the thread
 *
 * Context: the task itself.
 */
void rad_thread_end(struct rad_thread *thread)
{
	u32 number;

	spin_lock(&thread->lock);
	if (thread->state != RADIUM_THREAD_GONE)
		rad_thread_set_state(thread, RADIUM_THREAD_GONE);
	thread->wanted = 0;
	number = thread->asked;
	spin_unlock(&thread->lock);
	rad_thread_answer(thread, number, RADIUM_R_EXITING);
	if (cancel_delayed_work(&thread->again))
		rad_thread_put(thread);
	detach_any(thread);
	unhash(thread, false);
}

static void answer_locked(struct rad_thread *thread, u32 number, u32 reason)
{
	s32 n = number - thread->answered;

	lockdep_assert_held(&thread->lock);
	if (n <= 0)
		return;
	thread->answered = number;
	for (n = min(n, (s32)RAD_THREAD_ANSWERS); n; n--, number--)
		thread->answers[number % RAD_THREAD_ANSWERS] = reason;
}

/**
 * rad_thread_answer() - tell those who asked for a move how it went
 * @thread: the thread
 * @number: of the last request that this is about, as read together with what was wanted:
 *	a later one has an answer of its own
 * @reason: RADIUM_R_NONE if the thread is where it was wanted
 */
void rad_thread_answer(struct rad_thread *thread, u32 number, u32 reason)
{
	spin_lock(&thread->lock);
	answer_locked(thread, number, reason);
	spin_unlock(&thread->lock);
	wake_up_all(&thread->wait);
}

/* Of no request: whoever asked wants nothing but that it is at home now. */
static bool is_answered(struct rad_thread *thread, u32 number)
{
	if (!number)
		return READ_ONCE(thread->state) == RADIUM_THREAD_HOME ||
		       READ_ONCE(thread->state) == RADIUM_THREAD_GONE;
	return (s32)(READ_ONCE(thread->answered) - number) >= 0;
}

/* A thread that waits in an interruptible call comes out if the call allows it. */
static long wait_for_answer(struct rad_thread *thread, u32 number, unsigned long timeout,
			    bool *pending)
{
	unsigned long deadline = jiffies + timeout;
	long left, ret;

	for (;;) {
		left = clamp_t(long, deadline - jiffies, 0, LOOK_AGAIN_JIFFIES);
		ret = wait_event_interruptible_timeout(thread->wait, is_answered(thread, number),
						       left);
		if (ret)
			return ret < 0 ? -EINTR : 0;
		if (thread->task->exit_state || thread->task->flags & PF_EXITING)
			return -ESRCH;
		*pending = !rad_deputy_interrupt(thread);
		if (time_after_eq(jiffies, deadline))
			return -ETIMEDOUT;
	}
}

static int errno_of(u32 reason)
{
	switch (reason) {
	case RADIUM_R_NONE: return 0;
	case RADIUM_R_NO_MEMORY: return -ENOMEM;
	case RADIUM_R_NODE_DOWN:
	case RADIUM_R_NODE_LOST: return -EHOSTDOWN;
	case RADIUM_R_EXITING: return -ESRCH;
	case RADIUM_R_TIMEOUT: return -ETIMEDOUT;
	case RADIUM_R_BUSY: return -EBUSY;
	case RADIUM_R_NOT_PERMITTED: return -EPERM;
	default: return -EOPNOTSUPP;
	}
}

/* Is it on this node (0: home) already, with no intention to leave? */
static bool is_there(struct rad_thread *thread, u32 node)
{
	lockdep_assert_held(&thread->lock);
	if (!node)
		return thread->state == RADIUM_THREAD_HOME;
	return thread->state == RADIUM_THREAD_AWAY && rad_node_id(thread->node) == node &&
	       !thread->recall;
}

/* Somebody wants it on this node (0: home); see @by and @exec of struct rad_thread. */
static void want(struct rad_thread *thread, u32 node, const struct cred *by, u64 exec)
{
	lockdep_assert_held(&thread->lock);
	thread->wanted = node;
	put_cred(thread->by);
	thread->by = get_cred(by);
	thread->exec = exec;
}

/*
 * Has the thread of a task know that it is wanted on a node. Returns the thread, with a
 * reference, and the number of the request; or NULL, and why in @reason.
 */
static struct rad_thread *ask(struct task_struct *task, u32 node, u32 *number, u32 *reason)
{
	struct rad_thread *thread;

again:
	thread = rad_thread_find_or_create(task);
	if (!thread) {
		*reason = RADIUM_R_NO_MEMORY;
		return NULL;
	}
	spin_lock(&thread->lock);
	if (thread->forgotten && thread->state != RADIUM_THREAD_GONE) {
		spin_unlock(&thread->lock);
		rad_thread_put(thread);
		goto again;
	}
	if (thread->state == RADIUM_THREAD_GONE) {
		spin_unlock(&thread->lock);
		*reason = RADIUM_R_EXITING;
		rad_thread_put(thread);
		return NULL;
	}
	/* Who waits for something else will not get it. */
	if (thread->wanted != node)
		answer_locked(thread, thread->asked, RADIUM_R_BUSY);
	want(thread, node, current_cred(), task == current ? READ_ONCE(task->self_exec_id) : 0);
	thread->backoff = 0;
	/* 0 is none. */
	*number = thread->asked = thread->asked + 1 ?: 1;
	/* Whatever it does. */
	if (is_there(thread, node))
		answer_locked(thread, *number, RADIUM_R_NONE);
	if (thread->state == RADIUM_THREAD_AWAY &&
	    (!node || rad_node_id(thread->node) != node))
		thread->recall = RADIUM_R_ASKED;
	spin_unlock(&thread->lock);
	rad_deputy_summon(thread);
	return thread;
}

/* Its outcome; @reason: enum radium_reason, if it is not that somebody interrupted us. */
static int outcome(struct rad_thread *thread, u32 number, unsigned long timeout, u32 *reason)
{
	bool pending = false;
	long ret = wait_for_answer(thread, number, timeout, &pending);

	switch (ret) {
	case 0:
		*reason = RADIUM_R_NONE;
		if (!number)
			return 0;
		spin_lock(&thread->lock);
		/* After so many others it has been overtaken, or done, and is not known any more. */
		*reason = thread->answered - number < RAD_THREAD_ANSWERS ?
			thread->answers[number % RAD_THREAD_ANSWERS] : RADIUM_R_BUSY;
		spin_unlock(&thread->lock);
		return errno_of(*reason);
	case -ESRCH:
		*reason = RADIUM_R_EXITING;
		break;
	case -ETIMEDOUT:
		*reason = pending ? RADIUM_R_PENDING : RADIUM_R_TIMEOUT;
		break;
	default:
		*reason = RADIUM_R_NONE;
	}
	return ret;
}

/**
 * rad_thread_move() - have one thread run on a node
 * @task: whose
 * @move: flags and timeout; @move->reason says why it failed
 * @node: id, or 0 for home
 *
 * Context: process context of whoever asks; interruptible. For RADIUM_MOVE_SELF
 * the move happens on the way out of the call.
 * Return: 0 or a negative error.
 */
int rad_thread_move(struct task_struct *task, struct radium_move *move, u32 node)
{
	struct rad_thread *thread;
	u32 number;
	int err;

	thread = ask(task, node, &number, &move->reason);
	if (!thread)
		return errno_of(move->reason);
	if (task == current || move->flags & RADIUM_MOVE_NO_WAIT) {
		rad_thread_put(thread);
		return 0;
	}
	err = outcome(thread, number, msecs_to_jiffies(move->timeout_ms ?: 30000), &move->reason);
	if (!err) {
		move->threads++;
		move->bytes += rad_regs_xstate_len() +
			       (node ? sizeof(struct rad_wire_prepare) :
				       sizeof(struct rad_wire_return));
	}
	rad_thread_put(thread);
	return err;
}

/**
 * rad_thread_wish() - have current, which is new, run on a node if it can
 * @node: id; 0: at home, after all
 * @by: rights of who wants that
 * @exec: number of the program that wants that of itself
 *
 * As rad_thread_move(), but nobody waits for an answer: what somebody has asked for is
 * left alone, and a refusal that does not last is not the end of it. A refusal is said by
 * the thread's record, for which it becomes one of the distributed process.
 *
 * Context: the task itself, in task_work.
 */
void rad_thread_wish(u32 node, const struct cred *by, u64 exec)
{
	struct rad_thread *thread = NULL;
	struct rad_process *process;
	bool forgotten;

	do {
		rad_thread_put(thread);
		thread = rad_thread_find_or_create(current);
		if (!thread)
			return;
		spin_lock(&thread->lock);
		forgotten = thread->forgotten;
		if (!forgotten && !thread->asked)
			want(thread, node, by, exec);
		spin_unlock(&thread->lock);
	} while (forgotten);
	/* The first thread of a process that was forked may share its parent's memory yet. */
	process = thread_group_leader(current) ? NULL : rad_process_enter_if_any();
	if (process) {
		rad_thread_attach(thread, process);
		rad_process_leave(process);
		rad_process_put(process);
	}
	rad_deputy_summon(thread);
	rad_thread_put(thread);
}

/* rad_thread_is_wanted() - does somebody want this task elsewhere, wherever it is now? */
bool rad_thread_is_wanted(struct task_struct *task)
{
	struct rad_thread *thread = rad_thread_find(task);
	bool wanted = thread && READ_ONCE(thread->wanted);

	rad_thread_put(thread);
	return wanted;
}

/* The threads of a process as they are now, each with a reference. */
static struct rad_thread **snapshot(struct rad_process *process, u32 *n)
{
	struct rad_thread **array, *thread;
	u32 room, i = 0;

	for (room = SNAPSHOT_ROOM;; room = i + SNAPSHOT_ROOM) {
		array = kvcalloc(room, sizeof(*array), GFP_KERNEL);
		if (!array)
			return NULL;
		i = 0;
		spin_lock(&process->lock);
		list_for_each_entry(thread, &process->threads, list)
			i++;
		if (i <= room)
			break;
		spin_unlock(&process->lock);
		kvfree(array);
	}
	i = 0;
	list_for_each_entry(thread, &process->threads, list) {
		kref_get(&thread->ref);
		array[i++] = thread;
	}
	spin_unlock(&process->lock);
	*n = i;
	return array;
}

/* Is it away, or wanted, on a node (0: on any)? */
static bool is_concerned(struct rad_thread *thread, u32 from)
{
	bool is;

	spin_lock(&thread->lock);
	if (!from)
		is = thread->wanted || thread->state != RADIUM_THREAD_HOME;
	else if (thread->wanted)
		/* Who is wanted on another one leaves this one anyway. */
		is = thread->wanted == from;
	else
		is = thread->node && rad_node_id(thread->node) == from;
	spin_unlock(&thread->lock);
	return is;
}

/* Wherever it is, it comes home, and leaves again by itself when it may. NULL: it is at home. */
static struct rad_thread *call_home(struct rad_thread *thread)
{
	bool away;

	spin_lock(&thread->lock);
	away = thread->state == RADIUM_THREAD_AWAY;
	if (away && !thread->recall)
		thread->recall = RADIUM_R_DRAIN;
	spin_unlock(&thread->lock);
	if (!away)
		return NULL;
	rad_thread_get(thread);
	rad_deputy_summon(thread);
	return thread;
}

/*
 * Asks each before any is waited for. Returns how many there are, in @array, each with the
 * number of its request, or 0.
 */
static u32 ask_home(struct rad_thread **array, u32 n, u32 from, u32 *numbers)
{
	u32 i, left = 0, number, reason;

	for (i = 0; i < n; i++) {
		struct rad_thread *thread;

		number = 0;
		thread = is_concerned(array[i], from) ?
			ask(array[i]->task, 0, &number, &reason) : call_home(array[i]);
		rad_thread_put(array[i]);
		if (!thread)
			continue;
		rad_deputy_interrupt(thread);
		array[left] = thread;
		numbers[left++] = number;
	}
	return left;
}

/**
 * rad_thread_recall_process() - bring threads of a process home
 * @process: whose
 * @from: id of the node that is not to have any, 0: every one. Those that are wanted on
 *	others come home, too, and go out again when rad_process_is_draining() lets them
 * @reason: out: enum radium_reason of the first that did not come
 * @timeout: jiffies, for all together; 0: they are asked, and not waited for
 *
 * Return: 0 or the first error.
 */
int rad_thread_recall_process(struct rad_process *process, u32 from, u32 *reason,
			      unsigned long timeout)
{
	unsigned long deadline = jiffies + timeout;
	struct rad_thread **array;
	u32 n, i, why, *numbers;
	int err = 0, e;

	array = snapshot(process, &n);
	if (!array)
		return -ENOMEM;
	numbers = kvcalloc(n + 1, sizeof(*numbers), GFP_KERNEL);
	if (numbers) {
		n = ask_home(array, n, from, numbers);
	} else {
		err = -ENOMEM;
		*reason = RADIUM_R_NO_MEMORY;
	}
	for (i = 0; i < n; i++) {
		if (numbers && timeout) {
			e = outcome(array[i], numbers[i], max_t(long, deadline - jiffies, 0), &why);
			if (!err && e && e != -ESRCH) {
				err = e;
				*reason = why;
			}
		}
		rad_thread_put(array[i]);
	}
	kvfree(numbers);
	kvfree(array);
	return err;
}

/* rad_thread_forget_all() - the process ended, or everything is home */
void rad_thread_forget_all(struct rad_process *process)
{
	struct rad_thread *thread;

	for (;;) {
		spin_lock(&process->lock);
		thread = list_first_entry_or_null(&process->threads, struct rad_thread, list);
		if (thread)
			kref_get(&thread->ref);
		spin_unlock(&process->lock);
		if (!thread)
			return;
		rad_thread_detach(thread, process);
		/* What wants to go out again (after exec) is kept; the rest is forgotten. */
		if (!READ_ONCE(thread->wanted) && cancel_delayed_work_sync(&thread->again))
			rad_thread_put(thread);
		rad_thread_forget(thread);
		rad_thread_put(thread);
	}
}

/* rad_thread_kill_all() - wake every deputy of a process that is being killed */
void rad_thread_kill_all(struct rad_process *process)
{
	struct rad_thread *thread;

	spin_lock(&process->lock);
	list_for_each_entry(thread, &process->threads, list) {
		send_sig(SIGKILL, thread->task, 1);
		wake_up_all(&thread->wait);
	}
	spin_unlock(&process->lock);
}

/**
 * rad_thread_node_dead() - a node died
 * @process: whose threads
 * @node: the node
 *
 * Return: whether a thread was there.
 */
bool rad_thread_node_dead(struct rad_process *process, struct rad_node *node)
{
	struct rad_thread *thread;
	bool lost = false;

	spin_lock(&process->lock);
	list_for_each_entry(thread, &process->threads, list) {
		spin_lock(&thread->lock);
		if (thread->node == node && thread->state == RADIUM_THREAD_AWAY &&
		    !thread->image) {
			thread->lost = RADIUM_R_NODE_LOST;
			lost = true;
		}
		spin_unlock(&thread->lock);
		wake_up_all(&thread->wait);
	}
	spin_unlock(&process->lock);
	return lost;
}

/* A task exits: whether or not anything is queued for it, its record goes. */
static void probe_exit(void *data, struct task_struct *task)
{
	struct rad_thread *thread;

	if (!READ_ONCE(count))
		return;
	thread = rad_thread_find(task);
	if (!thread)
		return;
	rad_thread_end(thread);
	rad_thread_put(thread);
}

static struct rad_probe process_exit = {
	.name = "sched_process_exit",
	.function = probe_exit,
};

int rad_thread_init(void)
{
	return rad_probe_register(&process_exit);
}

void rad_thread_uninit(void)
{
	rad_probe_unregister(&process_exit);
}

void rad_thread_count(struct rad_process *process, u32 *n, u32 *away)
{
	struct rad_thread *thread;

	*n = *away = 0;
	spin_lock(&process->lock);
	list_for_each_entry(thread, &process->threads, list) {
		++*n;
		*away += thread->state == RADIUM_THREAD_AWAY;
	}
	spin_unlock(&process->lock);
}

/* rad_thread_count_on() - threads of a process that run on a node */
u32 rad_thread_count_on(struct rad_process *process, u32 node)
{
	struct rad_thread *thread;
	u32 n = 0;

	spin_lock(&process->lock);
	list_for_each_entry(thread, &process->threads, list) {
		spin_lock(&thread->lock);
		n += thread->state == RADIUM_THREAD_AWAY && rad_node_id(thread->node) == node;
		spin_unlock(&thread->lock);
	}
	spin_unlock(&process->lock);
	return n;
}

/* rad_thread_count_wanted() - threads that are away, or will go out */
u32 rad_thread_count_wanted(struct rad_process *process)
{
	struct rad_thread *thread;
	u32 n = 0;

	spin_lock(&process->lock);
	/* Drained, it ends first: who is wanted elsewhere waits for that. */
	list_for_each_entry(thread, &process->threads, list)
		n += (thread->wanted && !process->draining) ||
		     thread->state != RADIUM_THREAD_HOME;
	spin_unlock(&process->lock);
	return n;
}

/**
 * rad_thread_add_fault() - the thread has asked for a page, or waited for one at home
 * @thread: the thread
 * @bytes: bytes that were sent for it
 * @waited: ns; away: that it says it has waited for those before
 */
void rad_thread_add_fault(struct rad_thread *thread, u64 bytes, u64 waited)
{
	spin_lock(&thread->lock);
	thread->faults++;
	thread->bytes += bytes;
	thread->waited += waited;
	spin_unlock(&thread->lock);
}

/*
 * Current as one of the process, with a reference, or NULL: there is no memory, or the process
 * is distributed no longer. Once it has the process its record is not forgotten; before,
 * the end of a former process may do that.
 */
static struct rad_thread *join(struct rad_process *process)
{
	struct rad_thread *thread;

	do {
		thread = rad_thread_find_or_create(current);
		if (!thread)
			return NULL;
		rad_thread_attach(thread, process);
		/* With the process' lock in between: else rad_thread_forget_all() sees the thread. */
		if (!READ_ONCE(thread->forgotten) && !READ_ONCE(process->retiring))
			return thread;
		rad_thread_detach(thread, process);
		rad_thread_forget(thread);
		rad_thread_put(thread);
	} while (!READ_ONCE(process->retiring));
	return NULL;
}

/**
 * rad_thread_add_wait() - current has waited at home for a page of its process
 * @process: the process
 * @waited: ns
 *
 * One that never was elsewhere has no record before it waits for the first time. One that
 * exits gets none: it would not be there for long enough to be seen. Nor has a child that
 * shares the memory: for people it is another process.
 *
 * Context: the task itself, may sleep; may hold mmap_lock for reading.
 */
void rad_thread_add_wait(struct rad_process *process, u64 waited)
{
	struct rad_thread *thread;

	if (current->mm != process->mm || task_tgid(current) != process->pid ||
	    current->flags & (PF_EXITING | PF_IO_WORKER))
		return;
	thread = rad_thread_find(current);
	if (!thread || READ_ONCE(thread->process) != process) {
		rad_thread_put(thread);
		thread = join(process);
	}
	if (thread)
		rad_thread_add_fault(thread, 0, waited);
	rad_thread_put(thread);
}

/* The most used calls first; a selection of the largest RADIUM_SYSCALL_TOP. */
static void fill_syscalls(struct rad_thread *thread, struct radium_thread_info *info)
{
	int slot, nr, i;

	for (slot = 0; slot < RADIUM_SYSCALL_TOP; slot++) {
		info->syscall_nr[slot] = -1;
		for (nr = 0; nr < ARRAY_SIZE(thread->syscall_counts); nr++) {
			u64 n = thread->syscall_counts[nr];

			for (i = 0; i < slot; i++)
				if (info->syscall_nr[i] == nr)
					n = 0;
			if (n > info->syscall_count[slot]) {
				info->syscall_nr[slot] = nr;
				info->syscall_count[slot] = n;
			}
		}
		if (info->syscall_nr[slot] < 0)
			break;
	}
}

static void fill(struct rad_thread *thread, struct radium_thread_info *info)
{
	memset(info, 0, sizeof(*info));
	spin_lock(&thread->lock);
	info->tid = task_pid_vnr(thread->task);
	info->state = thread->state;
	info->node = thread->state == RADIUM_THREAD_AWAY ? rad_node_id(thread->node) :
							   rad_node_self();
	info->wanted = thread->wanted;
	info->reason = thread->reason;
	info->reason_detail = thread->detail;
	info->migrations = thread->migrations;
	info->returns = thread->returns;
	info->syscalls = thread->syscalls;
	BUILD_BUG_ON(RADIUM_R_COUNT > ARRAY_SIZE(info->returns_by_reason));
	memcpy(info->returns_by_reason, thread->returns_by_reason,
	       sizeof(thread->returns_by_reason));
	fill_syscalls(thread, info);
	info->faults = thread->faults;
	info->bytes = thread->bytes;
	info->waited_ns = thread->waited;
	spin_unlock(&thread->lock);
}

/**
 * rad_thread_list() - describe the threads of a process
 * @process: whose
 * @infos: room for @room entries
 * @room: entries that fit
 * @total: out: how many there are
 *
 * Return: entries written, or -ENOMEM.
 */
int rad_thread_list(struct rad_process *process, struct radium_thread_info *infos, u32 room,
		    u32 *total)
{
	struct rad_thread **array;
	u32 n, i, written = 0;

	array = snapshot(process, &n);
	if (!array)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		if (written < room)
			fill(array[i], &infos[written++]);
		rad_thread_put(array[i]);
	}
	kvfree(array);
	*total = n;
	return written;
}

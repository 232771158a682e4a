// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: who wants a thread where: requests to move, and their outcomes.
 */
#include <linux/cred.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "node.h"
#include "process.h"
#include "regs.h"
#include "thread.h"

enum {
	LOOK_AGAIN_JIFFIES = HZ / 50,	/* how often a blocked task is looked at */
	SNAPSHOT_ROOM = 64,		/* entries that a list may grow by unnoticed */
	TOGETHER_MAX = 16,		/* threads of a process that are on their way at once */
};

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

/* By a signal; or to be moved itself, and then it asks again from where it goes. */
static int interrupted(void)
{
	return task_sigpending(current) ? -EINTR : -ERESTARTNOINTR;
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
			return ret < 0 ? interrupted() : 0;
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

/* Takes it out of the call that it sleeps in, if that allows it. Who is where he is wanted sleeps on. */
static void wake(struct rad_thread *thread, u32 number)
{
	if (!is_answered(thread, number))
		rad_deputy_interrupt(thread);
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

static void count_moved(struct radium_move *move, u32 node)
{
	move->threads++;
	move->bytes += rad_regs_xstate_len() + (node ? sizeof(struct rad_wire_prepare) :
						       sizeof(struct rad_wire_return));
}

/**
 * rad_thread_move() - have one thread run on a node
 * @task: whose
 * @move: flags and timeout; @move->reason says why it failed
 * @node: id, or 0 for home
 *
 * Context: process context of whoever asks; interruptible. Current itself does not wait, as with
 * RADIUM_MOVE_NO_WAIT: it moves on the way out of the call.
 * Return: 0 or a negative error; 0 if nobody waits, and @move->reason is left alone.
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
		/* Whoever waits does so again and again. */
		if (task != current)
			wake(thread, number);
		rad_thread_put(thread);
		return 0;
	}
	err = outcome(thread, number, rad_timeout_jiffies(move->timeout_ms), &move->reason);
	if (!err)
		count_moved(move, node);
	rad_thread_put(thread);
	return err;
}

/* A request of several. @thread: NULL: nobody is to be waited for, @err and @reason say why. */
struct request {
	struct rad_thread *thread;
	u32 number;
	u32 reason;
	int err;
};

static void begin_request(struct request *request, struct task_struct *task,
			  const struct radium_move *move, u32 node)
{
	bool waits = !(move->flags & RADIUM_MOVE_NO_WAIT);

	/* Where nobody waits, one that is at home and wanted nowhere else is left alone. */
	if (!node && !waits && !rad_thread_is_wanted(task))
		return;
	request->thread = ask(task, node, &request->number, &request->reason);
	if (!request->thread) {
		request->err = errno_of(request->reason);
		return;
	}
	/* Not when its turn to be waited for has come: each would have that time to itself. */
	if (task != current)
		wake(request->thread, request->number);
	if (!waits || task == current) {
		rad_thread_put(request->thread);
		request->thread = NULL;
	}
}

/* With its outcome, or that there is none yet. */
static void end_request(struct request *request, struct radium_move *move, u32 node)
{
	if (!request->thread)
		return;
	request->err = outcome(request->thread, request->number, 0, &request->reason);
	if (!request->err)
		count_moved(move, node);
	rad_thread_put(request->thread);
	request->thread = NULL;
}

static bool is_over(const struct request *request)
{
	const struct task_struct *task = request->thread->task;

	return is_answered(request->thread, request->number) || task->exit_state ||
	       task->flags & PF_EXITING;
}

/*
 * Ends those that are over, and looks at the others. Returns the first of these, and how many are
 * on their way: not those that are left alone in the call that they sleep in.
 */
static struct request *look_at(struct request *requests, u32 begun, struct radium_move *move,
			       u32 node, u32 *under_way)
{
	struct request *first = NULL;
	u32 i;

	*under_way = 0;
	for (i = 0; i < begun; i++) {
		struct request *request = &requests[i];

		if (!request->thread)
			continue;
		if (is_over(request)) {
			end_request(request, move, node);
			continue;
		}
		*under_way += rad_deputy_interrupt(request->thread);
		first = first ?: request;
	}
	return first;
}

/**
 * rad_thread_move_all() - have threads of a process run on a node
 * @tasks: whose
 * @n: how many
 * @move: flags, and the time for all of them together; @move->reason is that of the first of them
 *	that was refused
 * @node: id, or 0 for home
 *
 * TOGETHER_MAX at once, besides those that sleep in calls that they are not woken out of: whoever waits
 * for his turn to be made there computes meanwhile. Those whose turn has not come when the time is over
 * are asked all the same.
 *
 * Context, and what it returns: as rad_thread_move(); that a thread has ended is no error.
 */
int rad_thread_move_all(struct task_struct **tasks, u32 n, struct radium_move *move, u32 node)
{
	unsigned long deadline = jiffies + rad_timeout_jiffies(move->timeout_ms);
	struct request *requests = kvcalloc(n, sizeof(*requests), GFP_KERNEL), *first;
	u32 begun = 0, under_way, i;
	int err = 0, broken = 0;
	bool late = false;
	long ret;

	if (!requests) {
		move->reason = RADIUM_R_NO_MEMORY;
		return -ENOMEM;
	}
	for (;;) {
		first = look_at(requests, begun, move, node, &under_way);
		for (; begun < n && (late || under_way < TOGETHER_MAX); begun++) {
			begin_request(&requests[begun], tasks[begun], move, node);
			if (!requests[begun].thread)
				continue;
			under_way++;
			first = first ?: &requests[begun];
		}
		if (!first || late)
			break;
		ret = wait_event_interruptible_timeout(first->thread->wait, is_over(first),
						       LOOK_AGAIN_JIFFIES);
		if (ret < 0)
			broken = interrupted();
		late = broken || time_after_eq(jiffies, deadline);
	}
	for (i = 0; i < n; i++) {
		end_request(&requests[i], move, node);
		if (broken && requests[i].err == -ETIMEDOUT) {
			requests[i].err = broken;
			requests[i].reason = RADIUM_R_NONE;
		}
		/* Rather an answer than to ask all once more: they may have been overtaken. */
		if ((!err || err == -ERESTARTNOINTR) && requests[i].err && requests[i].err != -ESRCH) {
			err = requests[i].err;
			move->reason = requests[i].reason;
		}
	}
	kvfree(requests);
	return err;
}

/**
 * rad_thread_comes_home() - current is away, and asked to come home
 *
 * Before it waits until nothing is away: it would wait for itself.
 *
 * Context: current in a system call.
 * Return: false: it is at home. Else the call is to be restarted, which it is there.
 */
bool rad_thread_comes_home(void)
{
	struct rad_thread *thread = rad_thread_find(current);
	bool away = thread && READ_ONCE(thread->state) == RADIUM_THREAD_AWAY;
	u32 number, reason;

	rad_thread_put(thread);
	if (!away)
		return false;
	thread = ask(current, 0, &number, &reason);
	rad_thread_put(thread);
	return thread;
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
		if (READ_ONCE(thread->forgotten))	/* called off meanwhile */
			rad_thread_detach(thread, process);
		rad_process_leave(process);
		/* Who wanted to retire it meanwhile has found that we are entering. */
		rad_process_retire_if_idle(process);
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

static bool is_wish(const struct rad_thread *thread, const void *unused)
{
	return thread->wanted && !thread->process && thread->state == RADIUM_THREAD_HOME;
}

/**
 * rad_thread_end_wishes() - who has been told to go out, and has not gone, stays
 *
 * Those of a distributed process are not meant: see rad_thread_recall_process().
 *
 * Context: process context; returns early if current is killed.
 */
void rad_thread_end_wishes(void)
{
	struct rad_thread *thread;
	u32 number, reason;

	while (!fatal_signal_pending(current) && (thread = rad_thread_find_if(is_wish, NULL))) {
		rad_thread_put(ask(thread->task, 0, &number, &reason));
		rad_thread_put(thread);
		cond_resched();
	}
}

/* rad_thread_snapshot() - the threads of a process as they are now, each with a reference */
struct rad_thread **rad_thread_snapshot(struct rad_process *process, u32 *n)
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
 * Asks each before any is waited for. Returns how many there are to wait for, in @array, each with
 * the number of its request, or 0. Current is not among them: it comes on its way out of the call.
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
		if (thread->task == current) {
			rad_thread_put(thread);
			continue;
		}
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

	array = rad_thread_snapshot(process, &n);
	if (!array) {
		*reason = RADIUM_R_NO_MEMORY;
		return -ENOMEM;
	}
	numbers = kvcalloc(n + 1, sizeof(*numbers), GFP_KERNEL);
	if (numbers) {
		n = ask_home(array, n, from, numbers);
	} else {
		err = -ENOMEM;
		*reason = RADIUM_R_NO_MEMORY;
	}
	for (i = 0; i < n; i++) {
		if (numbers && timeout) {
			e = outcome(array[i], numbers[i], rad_jiffies_left(deadline), &why);
			/* Not to be begun anew: what has come would not be counted. */
			if (e == -ERESTARTNOINTR)
				e = -EINTR;
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

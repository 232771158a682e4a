// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: the device's calls that move threads. Who may move what is decided here.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/ptrace.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include "dev_internal.h"
#include "ksym.h"
#include "node.h"
#include "process.h"
#include "regs.h"
#include "replica.h"
#include "spread.h"
#include "thread.h"
#include "../uapi/linux/radium.h"

static struct task_struct *find_task(s32 pid)
{
	struct task_struct *task;

	rcu_read_lock();
	task = pid_task(find_vpid(pid), PIDTYPE_PID);
	if (task)
		get_task_struct(task);
	rcu_read_unlock();
	return task;
}

/**
 * rad_dev_find_process() - a task that stands for a process
 * @pid: the process' number in the caller's namespace
 *
 * It outlives its first thread, and then another one has its memory and the rights to it.
 * Return: the task with a reference, or NULL.
 */
struct task_struct *rad_dev_find_process(s32 pid)
{
	struct task_struct *task = find_task(pid), *thread, *live = NULL;

	if (!task || READ_ONCE(task->mm))
		return task;
	rcu_read_lock();
	for_each_thread(task, thread) {
		if (READ_ONCE(thread->mm) && !(READ_ONCE(thread->flags) & PF_EXITING)) {
			live = get_task_struct(thread);
			break;
		}
	}
	rcu_read_unlock();
	if (!live)
		return task;
	put_task_struct(task);
	return live;
}

/* One of the threads of a process, instead of @task, whose reference goes; or NULL. */
static struct task_struct *find_thread(struct task_struct *task, s32 tid)
{
	struct task_struct *thread = find_task(tid);

	if (thread && !same_thread_group(task, thread)) {
		put_task_struct(thread);
		thread = NULL;
	}
	put_task_struct(task);
	return thread;
}

/* Whom a call is about: a process, or one of its threads. NULL: nobody, and the call says why. */
static struct task_struct *find_meant(struct radium_move *move, bool process)
{
	struct task_struct *task = process ? rad_dev_find_process(move->pid) : find_task(move->pid);

	if (!task) {
		move->reason = RADIUM_R_NO_PROCESS;
		return NULL;
	}
	if (!move->tid)
		return task;
	task = find_thread(task, move->tid);
	if (!task)
		move->reason = RADIUM_R_NO_THREAD;
	return task;
}

static bool is_compat(struct task_struct *task)
{
	return test_tsk_thread_flag(task, TIF_ADDR32);
}

/* May the caller move this task at all? RADIUM_R_NONE if so. */
static u32 check_task(struct task_struct *task, u32 node)
{
	if (task->flags & (PF_KTHREAD | PF_IO_WORKER))
		return RADIUM_R_KERNEL_THREAD;
	/* It would take the machine with it when the other node dies. */
	if (is_global_init(task))
		return RADIUM_R_INIT;
	if (task != current &&
	    !rad_ksym.ptrace_may_access(task, PTRACE_MODE_ATTACH_REALCREDS))
		return RADIUM_R_NOT_PERMITTED;
	if (task->flags & PF_EXITING || !task->mm)
		return RADIUM_R_EXITING;
	if (rad_replica_has_task(task))
		return RADIUM_R_IS_REPLICA;
	if (node && is_compat(task))
		return RADIUM_R_COMPAT;
	if (node && task->ptrace)
		return RADIUM_R_TRACED;
	return RADIUM_R_NONE;
}

static int refuse(struct radium_move *move, u32 reason, int err)
{
	move->reason = reason;
	return err;
}

static int errno_of_refusal(u32 reason)
{
	switch (reason) {
	case RADIUM_R_NOT_PERMITTED: return -EPERM;
	case RADIUM_R_EXITING: return -ESRCH;
	case RADIUM_R_TRACED: return -EBUSY;
	default: return -EOPNOTSUPP;
	}
}

/* The threads that a process has now, but for io_uring's, each with a reference; NULL without memory. */
static struct task_struct **threads_of(struct task_struct *task, u32 *n)
{
	u32 room = get_nr_threads(task) + 8;
	struct task_struct *t, **array;

	array = kvcalloc(room, sizeof(*array), GFP_KERNEL);
	if (!array)
		return NULL;
	*n = 0;
	rcu_read_lock();
	for_each_thread(task, t) {
		if (*n == room)
			break;
		if (!(t->flags & PF_IO_WORKER))
			array[(*n)++] = get_task_struct(t);
	}
	rcu_read_unlock();
	return array;
}

/* One thread, or all: the ones that exist now. */
static int move_threads(struct task_struct *task, struct radium_move *move, u32 node)
{
	struct task_struct **array;
	u32 n, i;
	int err;

	if (!(move->flags & RADIUM_MOVE_ALL_THREADS))
		return rad_thread_move(task, move, node);
	array = threads_of(task, &n);
	if (!array)
		return refuse(move, RADIUM_R_NO_MEMORY, -ENOMEM);
	err = rad_thread_move_all(array, n, move, node);
	for (i = 0; i < n; i++)
		put_task_struct(array[i]);
	kvfree(array);
	return err;
}

/* Has a node with this id ever been heard of? One that is down has. */
static bool is_known(u32 id)
{
	return id && id <= RADIUM_NODE_MAX && rad_node_known() & BIT_ULL(id - 1);
}

/* The caller goes to a node, and what it makes from now on goes after it. */
static int lead(struct radium_move *move)
{
	int err;

	if (move->node == rad_node_self()) {
		rad_spread_end(current);
		return move_threads(current, move, 0);
	}
	err = rad_spread_follow(move->node);
	if (err == -EHOSTDOWN)
		return refuse(move, RADIUM_R_NODE_DOWN, err);
	if (err)
		return err;
	err = move_threads(current, move, move->node);
	if (err)
		rad_spread_end(current);
	return err;
}

static int migrate(struct radium_move *move)
{
	struct task_struct *task;
	struct rad_node *node;
	u32 reason;
	int err;

	if (!rad_node_joined())
		return refuse(move, RADIUM_R_NOT_JOINED, -ENOTCONN);
	if (!move->node || move->node > RADIUM_NODE_MAX)
		return refuse(move, RADIUM_R_NO_NODE, -ENOENT);
	if (move->node != rad_node_self()) {
		if (!is_known(move->node))
			return refuse(move, RADIUM_R_NO_NODE, -ENOENT);
		node = rad_node_get_up(move->node);
		if (!node)
			return refuse(move, RADIUM_R_NODE_DOWN, -EHOSTDOWN);
		rad_node_put(node);
	}
	if (move->flags & RADIUM_MOVE_SELF) {
		reason = check_task(current, move->node);
		return reason ? refuse(move, reason, errno_of_refusal(reason)) : lead(move);
	}
	task = find_meant(move, move->flags & RADIUM_MOVE_ALL_THREADS);
	if (!task)
		return -ESRCH;
	reason = check_task(task, move->node);
	if (reason) {
		err = refuse(move, reason, errno_of_refusal(reason));
	} else {
		rad_spread_unfollow(task);
		err = move_threads(task, move,
				   move->node == rad_node_self() ? 0 : move->node);
	}
	put_task_struct(task);
	return err;
}

/* Who has been told to go out, and may not have gone, is told to stay. Returns whether it was. */
static bool withdraw(struct task_struct *task)
{
	struct radium_move move = { .flags = RADIUM_MOVE_NO_WAIT };

	return rad_thread_is_wanted(task) && !rad_thread_move(task, &move, 0);
}

/* The same for all threads of a process. */
static bool withdraw_all(struct task_struct *task)
{
	struct task_struct **array;
	bool any = false;
	u32 n, i;

	array = threads_of(task, &n);
	for (i = 0; array && i < n; i++) {
		any |= withdraw(array[i]);
		put_task_struct(array[i]);
	}
	kvfree(array);
	return any;
}

static int recall(struct radium_move *move)
{
	unsigned long timeout = rad_timeout_jiffies(move->timeout_ms), deadline = jiffies + timeout;
	bool waits = !(move->flags & RADIUM_MOVE_NO_WAIT);
	struct rad_process *process = NULL;
	struct task_struct *task;
	struct mm_struct *mm;
	bool spread = false, wanted = false;
	u32 reason, all, left;
	u64 before;
	int err;

	/* Pages are called for as they come. */
	if (!waits && move->flags & RADIUM_MOVE_ALL_PAGES)
		return -EINVAL;
	task = find_meant(move, true);
	if (!task)
		return -ESRCH;
	reason = check_task(task, 0);
	/* What is called home is not to be followed out by new threads... */
	if (!reason && move->tid)
		rad_spread_unfollow(task);
	else if (!reason)
		spread = rad_spread_end(task);
	mm = reason ? NULL : get_task_mm(task);
	if (mm) {
		process = rad_process_find_mm(mm);
		mmput(mm);
	}
	if (process && !move->tid)
		rad_thread_count(process, &all, &move->threads);
	/* ... nor by those that have been told to go, and have not gone: see place(). */
	if (!reason)
		wanted = move->tid ? withdraw(task) : withdraw_all(task);
	if (reason || !process) {
		put_task_struct(task);
		if (reason)
			return refuse(move, reason, errno_of_refusal(reason));
		return spread || wanted ? 0 : refuse(move, RADIUM_R_NOT_AWAY, -ENOENT);
	}
	before = atomic64_read(&process->stats.pages_received);
	if (move->tid) {
		err = rad_thread_move(task, move, 0);
		if (err == -ERESTARTNOINTR)
			err = -EINTR;
	} else {
		err = rad_thread_recall_process(process, 0, &move->reason, waits ? timeout : 0);
		/* Some have come, be it that others have not. */
		rad_thread_count(process, &all, &left);
		move->threads = waits ? move->threads - min(left, move->threads) : 0;
	}
	put_task_struct(task);
	if (!err && move->flags & RADIUM_MOVE_ALL_PAGES)
		err = rad_homemem_recall_all(process, rad_jiffies_left(deadline));
	if (err == -ETIMEDOUT && !move->reason)
		move->reason = RADIUM_R_TIMEOUT;
	move->pages = atomic64_read(&process->stats.pages_received) - before;
	move->bytes = move->pages * PAGE_SIZE + move->threads *
		      (sizeof(struct rad_wire_return) + rad_regs_xstate_len());
	rad_process_retire_if_idle(process);
	rad_process_put(process);
	return err;
}

/*
 * What is left of the time of a call that is made again: something, so that it looks once more, and
 * less each time, so that it ends however often its caller is moved.
 */
static u32 time_left(u32 timeout_ms, u64 passed_ns)
{
	u64 passed = DIV_ROUND_UP_ULL(passed_ns, NSEC_PER_MSEC);
	u32 all = timeout_ms ?: RAD_TIMEOUT_MS;

	return passed < all ? all - passed : 1;
}

/* @flags: that it knows */
static long move(void __user *arg, u32 flags, int (*how)(struct radium_move *))
{
	u64 start = ktime_get_ns();
	struct radium_move move;
	int err;

	err = rad_dev_fetch(&move, sizeof(move), offsetofend(struct radium_move, timeout_ms), arg);
	if (err)
		return err;
	if (move.flags & ~flags)
		return -EINVAL;
	move.reason = RADIUM_R_NONE;
	move.threads = 0;
	move.pages = 0;
	move.bytes = 0;
	err = how(&move);
	move.ns = ktime_get_ns() - start;
	/* If that cannot be written it fails, rather than to be made again with all of its time. */
	if (err == -ERESTARTNOINTR)
		move.timeout_ms = time_left(move.timeout_ms, move.ns);
	return rad_dev_store(arg, &move, sizeof(move)) ?: err;
}

/** rad_dev_migrate() - RADIUM_IOC_MIGRATE */
long rad_dev_migrate(void __user *arg)
{
	return move(arg, RADIUM_MOVE_ALL_THREADS | RADIUM_MOVE_SELF | RADIUM_MOVE_NO_WAIT, migrate);
}

/** rad_dev_recall() - RADIUM_IOC_RECALL */
long rad_dev_recall(void __user *arg)
{
	return move(arg, RADIUM_MOVE_ALL_THREADS | RADIUM_MOVE_ALL_PAGES | RADIUM_MOVE_NO_WAIT, recall);
}

/* Why none of these nodes can be used. */
static int refuse_nodes(struct radium_spread *spread)
{
	bool known = false;
	u32 id;

	for (id = 1; id <= RADIUM_NODE_MAX && !known; id++)
		known = spread->nodes & BIT_ULL(id - 1) && is_known(id);
	spread->reason = known ? RADIUM_R_NODE_DOWN : RADIUM_R_NO_NODE;
	return known ? -EHOSTDOWN : -ENOENT;
}

static int spread_caller(struct radium_spread *spread)
{
	/* Not SELF: its children go where their own rounds take them. */
	struct radium_move move = { .flags = RADIUM_MOVE_NO_WAIT };
	u32 node;
	int err;

	if (!rad_node_joined()) {
		spread->reason = RADIUM_R_NOT_JOINED;
		return -ENOTCONN;
	}
	spread->reason = check_task(current, rad_node_self());
	if (spread->reason)
		return errno_of_refusal(spread->reason);
	err = rad_spread_begin(spread->nodes, &node);
	if (err == -EHOSTDOWN)
		return refuse_nodes(spread);
	if (err)
		return err;
	err = rad_thread_move(current, &move, node);
	if (err)
		rad_spread_end(current);
	spread->reason = move.reason;
	return err;
}

/** rad_dev_spread() - RADIUM_IOC_SPREAD */
long rad_dev_spread(void __user *arg)
{
	struct radium_spread spread;
	int err;

	err = rad_dev_fetch(&spread, sizeof(spread), offsetofend(struct radium_spread, nodes), arg);
	if (err)
		return err;
	spread.reason = RADIUM_R_NONE;
	err = spread_caller(&spread);
	return rad_dev_store(arg, &spread, sizeof(spread)) ?: err;
}

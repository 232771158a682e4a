// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "radium: " fmt

#include <linux/cred.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "modest.h"
#include "node.h"
#include "probe.h"
#include "process.h"
#include "states.h"
#include "thread.h"

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
	WRITE_ONCE(thread->state, to);
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
	rad_deputy_free_answer(thread);
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

/* rad_thread_any() - is there a thread with a record? Its own task's is always seen by it. */
bool rad_thread_any(void)
{
	return READ_ONCE(count);
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
	new = kzalloc(sizeof(*new), RAD_GFP_MODEST_ACCOUNT);
	if (!new)
		return NULL;
	kref_init(&new->ref);
	spin_lock_init(&new->lock);
	init_waitqueue_head(&new->wait);
	INIT_LIST_HEAD(&new->list);
	new->task = get_task_struct(task);
	new->id = task_pid_nr(task);
	new->since = ktime_get_boottime_ns();
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
 * Context: the task itself, or whoever finds it exiting; may be atomic.
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
	rad_deputy_drop_touch(thread);
	rad_thread_answer(thread, number, RADIUM_R_EXITING);
	if (cancel_delayed_work(&thread->again))
		rad_thread_put(thread);
	detach_any(thread);
	unhash(thread, false);
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
		if (!READ_ONCE(thread->wanted)) {
			if (cancel_delayed_work_sync(&thread->again))
				rad_thread_put(thread);
			/* Wanted again meanwhile, it may have relied on what we have cancelled. */
			if (READ_ONCE(thread->wanted))
				rad_deputy_summon(thread);
		}
		rad_thread_forget(thread);
		rad_thread_put(thread);
	}
}

/**
 * rad_thread_kill_all() - kill, and wake, every thread of a process that is being killed
 * @process: the process
 *
 * But who has executed another program since: he is in the list until he goes out again.
 *
 * Return: whether there was one.
 */
bool rad_thread_kill_all(struct rad_process *process)
{
	struct rad_thread *thread;
	bool any = false;

	spin_lock(&process->lock);
	list_for_each_entry(thread, &process->threads, list) {
		if (READ_ONCE(thread->task->mm) == process->mm) {
			send_sig(SIGKILL, thread->task, 1);
			any = true;
		}
		wake_up_all(&thread->wait);
	}
	spin_unlock(&process->lock);
	return any;
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

	if (!rad_thread_any())
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

// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: new threads of some processes are spread over the nodes ('radctl run --policy
 * spread'), or follow the one that asked for it to a node ('radctl run').
 *
 * A thread is placed when it is made, and told so by work that it does before its first
 * step in user mode. The probes are registered when the first process asks for this, so
 * that a machine where none does has no probe in fork().
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/task_work.h>
#include "node.h"
#include "probe.h"
#include "spread.h"
#include "thread.h"

/**
 * struct mark - a process whose new threads are spread, or follow
 * @hash: in the table by @process
 * @process: the thread group; an address to compare, the mark goes before it
 * @nodes: bit i: node i+1 may be used
 * @next: where the round goes on: 0 is home, else the id of a node
 * @by: rights of who asked for that; holds a reference
 * @exec: number of the program that asked for that
 * @follows: it was not asked to be spread: @nodes is the one that it was asked to go to
 */
struct mark {
	struct hlist_node hash;
	const struct signal_struct *process;
	u64 nodes;
	u32 next;
	const struct cred *by;
	u64 exec;
	bool follows;
};

/**
 * struct placement - what a new thread is told
 * @work: of the new thread
 * @node: where it is to run
 * @by: as in struct mark
 * @exec: likewise
 */
struct placement {
	struct callback_head work;
	u32 node;
	const struct cred *by;
	u64 exec;
};

/* The table, the number of its entries, and what is in them, are under the lock. */
static DEFINE_HASHTABLE(marks, 6);
static u32 count;
static DEFINE_SPINLOCK(marks_lock);

static struct mark *find_locked(const struct signal_struct *process)
{
	struct mark *mark;

	lockdep_assert_held(&marks_lock);
	hash_for_each_possible(marks, mark, hash, (unsigned long)process)
		if (mark->process == process)
			return mark;
	return NULL;
}

static void add_locked(struct mark *mark)
{
	lockdep_assert_held(&marks_lock);
	hash_add(marks, &mark->hash, (unsigned long)mark->process);
	count++;
}

static void remove_locked(struct mark *mark)
{
	lockdep_assert_held(&marks_lock);
	hash_del(&mark->hash);
	count--;
	put_cred(mark->by);
	kfree(mark);
}

/* May a thread be sent there? @place is 0 for home. */
static bool is_usable(const struct mark *mark, u32 place)
{
	u32 self = rad_node_self(), id = place ?: self;
	struct rad_node *node;

	if (!id || !(mark->nodes & BIT_ULL(id - 1)))
		return false;
	if (!place)
		return true;
	node = id == self ? NULL : rad_node_get_up(id);
	if (node)
		rad_node_put(node);
	return node;
}

/* The next place of the round: an id, 0 for home, -ENOENT if there is none now. */
static int next_place(struct mark *mark)
{
	u32 place, i;

	lockdep_assert_held(&marks_lock);
	for (i = 0; i <= RADIUM_NODE_MAX; i++) {
		place = mark->next;
		mark->next = (place + 1) % (RADIUM_NODE_MAX + 1);
		if (is_usable(mark, place))
			return place;
	}
	return -ENOENT;
}

static bool is_marked(const struct signal_struct *process)
{
	bool marked;

	spin_lock(&marks_lock);
	marked = find_locked(process);
	spin_unlock(&marks_lock);
	return marked;
}

static void free_placement(struct placement *placement)
{
	put_cred(placement->by);
	kfree(placement);
	module_put(THIS_MODULE);
}

/* The new thread itself, on its way to user mode for the first time; or it exits. */
static void place(struct callback_head *work)
{
	struct placement *placement = container_of(work, struct placement, work);

	/* Who has been recalled meanwhile stays. */
	if (is_marked(current->signal) && !(current->flags & PF_EXITING)) {
		rad_thread_wish(placement->node, placement->by, placement->exec);
		/*
		 * Whoever recalls takes the mark first and asks every thread then: it asks this
		 * one after the wish, or the mark is gone here.
		 */
		if (!is_marked(current->signal))
			rad_thread_wish(0, placement->by, placement->exec);
	}
	free_placement(placement);
}

/* Without memory, or with the module on its way out, the thread just stays at home. */
static struct placement *make_placement(const struct mark *mark, u32 node)
{
	struct placement *placement = kmalloc(sizeof(*placement), GFP_ATOMIC | __GFP_NOWARN);

	lockdep_assert_held(&marks_lock);
	if (!placement || !try_module_get(THIS_MODULE)) {
		kfree(placement);
		return NULL;
	}
	placement->node = node;
	placement->by = get_cred(mark->by);
	placement->exec = mark->exec;
	init_task_work(&placement->work, place);
	return placement;
}

/* What a marked process forks is marked as well, and begins a round of its own. */
static struct mark *inherit_locked(const struct mark *from, const struct signal_struct *process)
{
	struct mark *mark = kmalloc(sizeof(*mark), GFP_ATOMIC | __GFP_NOWARN);

	if (mark) {
		mark->process = process;
		mark->nodes = from->nodes;
		mark->next = 0;
		mark->by = get_cred(from->by);
		mark->exec = from->exec;
		mark->follows = from->follows;
		add_locked(mark);
	}
	return mark;
}

/* @child is complete, and does not run before we return. Preemption is off. */
static void probe_fork(void *data, struct task_struct *parent, struct task_struct *child)
{
	struct placement *placement = NULL;
	struct mark *mark;
	int where;

	if (!READ_ONCE(count) || child->flags & (PF_KTHREAD | PF_IO_WORKER))
		return;
	spin_lock(&marks_lock);
	mark = find_locked(parent->signal);
	if (mark && child->signal != parent->signal)
		mark = inherit_locked(mark, child->signal);
	if (mark) {
		where = next_place(mark);
		if (where > 0)
			placement = make_placement(mark, where);
	}
	spin_unlock(&marks_lock);
	if (placement && task_work_add(child, &placement->work, TWA_RESUME))
		free_placement(placement);
}

static void probe_exit(void *data, struct task_struct *task)
{
	/* Of threads that end together more than one may be the last. */
	if (READ_ONCE(count) && !atomic_read(&task->signal->live))
		rad_spread_end(task);
}

static struct rad_probe probes[] = {
	{ .name = "sched_process_fork", .function = probe_fork },
	{ .name = "sched_process_exit", .function = probe_exit },
};

/* Once; they stay until the module goes. */
static int watch(void)
{
	static DEFINE_MUTEX(mutex);
	int err = 0, i;

	mutex_lock(&mutex);
	for (i = 0; i < ARRAY_SIZE(probes) && !err; i++)
		if (!probes[i].tp)
			err = rad_probe_register(&probes[i]);
	mutex_unlock(&mutex);
	return err;
}

static int begin(u64 nodes, bool follows, u32 *node)
{
	struct mark *new, *mark;
	int err = watch(), where;

	if (err)
		return err;
	new = kmalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	new->process = current->signal;
	new->nodes = nodes ?: U64_MAX;
	new->next = 0;
	new->by = get_current_cred();
	new->exec = READ_ONCE(current->self_exec_id);
	new->follows = follows;
	spin_lock(&marks_lock);
	where = next_place(new);
	if (where >= 0) {
		mark = find_locked(current->signal);
		if (mark)
			remove_locked(mark);
		add_locked(new);
	}
	spin_unlock(&marks_lock);
	if (where < 0) {
		put_cred(new->by);
		kfree(new);
		return -EHOSTDOWN;
	}
	*node = where;
	return 0;
}

/**
 * rad_spread_begin() - spread the threads that the process of current makes from now on
 * @nodes: bit i: node i+1 may be used; 0: every node, home among them
 * @node: out: where current is to run, the first place of the round; 0: at home
 *
 * A process that is spread already begins anew.
 *
 * Context: process context, may sleep.
 * Return: 0; -EHOSTDOWN: none of @nodes can be used now; -ENOMEM; -ENOENT after a message
 * where the kernel lacks a tracepoint.
 */
int rad_spread_begin(u64 nodes, u32 *node)
{
	return begin(nodes, false, node);
}

/**
 * rad_spread_follow() - what the process of current makes from now on follows it to a node
 * @node: id of another node
 *
 * Wherever the thread is that makes it: one that is at home for a while, and makes a child
 * there, has it sent out as well.
 *
 * Context: process context, may sleep.
 * Return: as rad_spread_begin().
 */
int rad_spread_follow(u32 node)
{
	return begin(BIT_ULL(node - 1), true, &node);
}

/**
 * rad_spread_unfollow() - what this process makes does not follow it any more
 * @task: one of the process
 *
 * A process that is spread goes on so.
 *
 * Context: any but interrupts.
 */
void rad_spread_unfollow(struct task_struct *task)
{
	struct mark *mark;

	spin_lock(&marks_lock);
	mark = find_locked(task->signal);
	if (mark && mark->follows)
		remove_locked(mark);
	spin_unlock(&marks_lock);
}

/**
 * rad_spread_end() - threads that this process makes stay where they are made
 * @task: one of the process
 *
 * Context: any but interrupts.
 * Return: whether it was spread, or followed.
 */
bool rad_spread_end(struct task_struct *task)
{
	struct mark *mark;

	spin_lock(&marks_lock);
	mark = find_locked(task->signal);
	if (mark)
		remove_locked(mark);
	spin_unlock(&marks_lock);
	return mark;
}

/* rad_spread_end_all() - of no process are threads spread any more: this node is drained */
void rad_spread_end_all(void)
{
	struct hlist_node *next;
	struct mark *mark;
	int i;

	spin_lock(&marks_lock);
	hash_for_each_safe(marks, i, next, mark, hash)
		remove_locked(mark);
	spin_unlock(&marks_lock);
}

/**
 * rad_spread_avoid() - no process that is spread now uses this node any more
 * @node: id of one that is being drained
 */
void rad_spread_avoid(u32 node)
{
	struct mark *mark;
	int i;

	spin_lock(&marks_lock);
	hash_for_each(marks, i, mark, hash)
		mark->nodes &= ~BIT_ULL(node - 1);
	spin_unlock(&marks_lock);
}

/**
 * rad_spread_nodes() - over which nodes are the threads spread that a process makes?
 * @task: one of the process
 *
 * Context: any but interrupts.
 * Return: bit i: over node i+1, which is known, and may be down; 0: it is not spread, or
 * follows.
 */
u64 rad_spread_nodes(struct task_struct *task)
{
	struct mark *mark;
	u64 nodes = 0;

	spin_lock(&marks_lock);
	mark = find_locked(task->signal);
	if (mark && !mark->follows)
		nodes = mark->nodes;
	spin_unlock(&marks_lock);
	return nodes & rad_node_known();
}

/* rad_spread_uninit() - at unload; nothing that was told to a thread is on its way any more */
void rad_spread_uninit(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++)
		rad_probe_unregister(&probes[i]);
	rad_spread_end_all();
}

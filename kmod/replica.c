// SPDX-License-Identifier: GPL-2.0

#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "node.h"
#include "replica.h"
#include "visitor.h"

enum { ASK_AGAIN_JIFFIES = 5 * HZ };	/* a home that has processes here, to take them */

static LIST_HEAD(replicas);
static DEFINE_SPINLOCK(replicas_lock);
/* Those that are not freed yet: a dying one lives until its tasks have ended. */
static atomic_t live;
/* Woken when the last is freed. */
static DECLARE_WAIT_QUEUE_HEAD(emptied);
static struct workqueue_struct *free_wq;
/*
 * Processes that ended most recently: a PREPARE that waits for a worker may be
 * older than the message that its process is gone. Under replicas_lock.
 */
static struct { struct rad_node *home; u64 process; } gone[64];
static u32 gone_next;

static void free_work(struct work_struct *work)
{
	struct rad_replica *replica = container_of(work, struct rad_replica, freeing);

	rad_window_destroy(&replica->window);
	if (replica->manager)
		put_task_struct(replica->manager);
	put_pid(replica->helper);
	rad_node_put(replica->home);
	kfree(replica);
	if (atomic_dec_and_test(&live))
		wake_up_all(&emptied);
	/* The module can go then: its exit waits for this function. */
	module_put(THIS_MODULE);
}

/* There may be very many pages, and who lets go last may be who receives, for whom others wait. */
static void free_replica(struct kref *ref)
{
	struct rad_replica *replica = container_of(ref, struct rad_replica, ref);

	INIT_WORK(&replica->freeing, free_work);
	queue_work(free_wq, &replica->freeing);
}

void rad_replica_get(struct rad_replica *replica)
{
	kref_get(&replica->ref);
}

void rad_replica_put(struct rad_replica *replica)
{
	if (replica)
		kref_put(&replica->ref, free_replica);
}

/**
 * rad_replica_find() - the replica of a home's process
 * @home: the home
 * @process: its number of the process
 *
 * Return: with a reference, or NULL.
 */
struct rad_replica *rad_replica_find(struct rad_node *home, u64 process)
{
	struct rad_replica *replica;

	spin_lock(&replicas_lock);
	list_for_each_entry(replica, &replicas, list) {
		if (replica->home == home && replica->process == process) {
			kref_get(&replica->ref);
			spin_unlock(&replicas_lock);
			return replica;
		}
	}
	spin_unlock(&replicas_lock);
	return NULL;
}

/* rad_replica_find_token() - the replica that still waits for its program; with a reference, or NULL */
struct rad_replica *rad_replica_find_token(u64 token)
{
	struct rad_replica *replica;

	spin_lock(&replicas_lock);
	list_for_each_entry(replica, &replicas, list) {
		if (replica->token == token && !replica->manager) {
			kref_get(&replica->ref);
			spin_unlock(&replicas_lock);
			return replica;
		}
	}
	spin_unlock(&replicas_lock);
	return NULL;
}

static void unlist(struct rad_replica *replica)
{
	bool was;

	spin_lock(&replicas_lock);
	was = !list_empty(&replica->list);
	list_del_init(&replica->list);
	spin_unlock(&replicas_lock);
	if (was)
		rad_replica_put(replica);
}

/* Has this process ended? */
static bool is_gone(struct rad_node *home, u64 process)
{
	int i;

	lockdep_assert_held(&replicas_lock);
	for (i = 0; i < ARRAY_SIZE(gone); i++)
		if (gone[i].home == home && gone[i].process == process)
			return true;
	return false;
}

/**
 * rad_replica_new() - a replica that nobody has started a program for
 * @in: PREPARE: whose it is
 *
 * Return: with a reference and in the list, rad_replica_kill() ends it; NULL without memory, or
 * if its process has ended.
 */
struct rad_replica *rad_replica_new(const struct rad_in *in)
{
	const struct rad_wire_prepare *prepare = in->body;
	struct rad_replica *replica = kzalloc(sizeof(*replica), GFP_KERNEL_ACCOUNT);
	bool gone_already;

	if (!replica)
		return NULL;
	kref_init(&replica->ref);
	replica->home = rad_node_get(in->from);
	replica->process = le64_to_cpu(prepare->thread.process);
	replica->token = get_random_u64();
	replica->uid = le32_to_cpu(prepare->uid);
	replica->gid = le32_to_cpu(prepare->gid);
	if (!uid_valid(make_kuid(&init_user_ns, replica->uid)) ||
	    !gid_valid(make_kgid(&init_user_ns, replica->gid))) {
		rad_node_put(replica->home);
		kfree(replica);
		return NULL;
	}
	init_completion(&replica->attached);
	spin_lock_init(&replica->lock);
	mutex_init(&replica->clocks);
	INIT_LIST_HEAD(&replica->visitors);
	INIT_LIST_HEAD(&replica->births);
	init_waitqueue_head(&replica->wait);
	if (rad_window_create(&replica->window, replica->home, prepare)) {
		rad_node_put(replica->home);
		kfree(replica);
		return NULL;
	}
	__module_get(THIS_MODULE);
	atomic_inc(&live);
	kref_get(&replica->ref);
	spin_lock(&replicas_lock);
	list_add_tail(&replica->list, &replicas);
	gone_already = is_gone(replica->home, replica->process);
	spin_unlock(&replicas_lock);
	if (!gone_already)
		return replica;
	rad_replica_kill(replica);
	rad_replica_put(replica);
	return NULL;
}

/**
 * rad_replica_kill() - end a replica and all its visitors
 * @replica: as often as one likes
 *
 * Its memory is freed when the last of its tasks has gone.
 */
void rad_replica_kill(struct rad_replica *replica)
{
	struct task_struct *manager;
	bool was;

	spin_lock(&replica->lock);
	was = replica->dying;
	replica->dying = true;
	manager = replica->manager;
	spin_unlock(&replica->lock);
	if (was)
		return;
	rad_window_die(&replica->window);
	wake_up_all(&replica->wait);
	/* Whoever waits for its program holds up all that want one of this process. */
	complete_all(&replica->attached);
	/* A signal to the manager is one to the whole thread group. */
	if (manager)
		send_sig(SIGKILL, manager, 1);
	else
		/* No program has attached, none will, and none's end buries who is here. */
		rad_replica_kill_births(replica);
	unlist(replica);
}

/* rad_replica_on_process_gone() - PROCESS_GONE: it is not distributed any more */
void rad_replica_on_process_gone(struct rad_in *in)
{
	const struct rad_wire_process *body = in->body;
	u64 process = le64_to_cpu(body->process);
	struct rad_replica *replica;

	spin_lock(&replicas_lock);
	/* Of one that is dead rad_replica_node_dead() may have been here; the next has its address. */
	if (!rad_node_is_dead(in->from)) {
		gone[gone_next].home = in->from;
		gone[gone_next].process = process;
		gone_next = (gone_next + 1) % ARRAY_SIZE(gone);
	}
	spin_unlock(&replicas_lock);
	replica = rad_replica_find(in->from, process);
	if (!replica)
		return;
	rad_replica_kill(replica);
	rad_replica_put(replica);
}

/* rad_replica_node_dead() - kill the visitors whose home died */
void rad_replica_node_dead(struct rad_node *node)
{
	struct rad_replica *replica;
	int i;

	/* Its next life counts its processes anew, and may have the same address here. */
	spin_lock(&replicas_lock);
	for (i = 0; i < ARRAY_SIZE(gone); i++)
		if (gone[i].home == node)
			gone[i].home = NULL;
	spin_unlock(&replicas_lock);
	for (;;) {
		spin_lock(&replicas_lock);
		list_for_each_entry(replica, &replicas, list)
			if (replica->home == node) {
				kref_get(&replica->ref);
				goto found;
			}
		spin_unlock(&replicas_lock);
		return;
found:
		spin_unlock(&replicas_lock);
		rad_replica_kill(replica);
		rad_replica_put(replica);
	}
}

/* rad_replica_count() - replicas on this node, but those that die */
u32 rad_replica_count(void)
{
	struct rad_replica *replica;
	u32 n = 0;

	spin_lock(&replicas_lock);
	list_for_each_entry(replica, &replicas, list)
		n++;
	spin_unlock(&replicas_lock);
	return n;
}

/*
 * Does a thread look at the replica's clocks, or may it as soon as home says so? One that is being
 * prepared and has not come to rad_replica_set_clocks() does not yet.
 */
static bool looks_at_clocks(struct rad_visitor *visitor)
{
	bool looks;

	spin_lock_irq(&visitor->lock);
	looks = visitor->state == RAD_VISITOR_RUNNING ||
		(visitor->state == RAD_VISITOR_PREPARED && visitor->clocked);
	spin_unlock_irq(&visitor->lock);
	return looks;
}

/**
 * rad_replica_set_clocks() - have a replica's clocks follow home's, unless a thread would see a step
 * @visitor: PREPARED for a thread, and home has not been told so
 * @prepare: the clocks
 *
 * Context: process.
 */
void rad_replica_set_clocks(struct rad_visitor *visitor, const struct rad_wire_prepare *prepare)
{
	struct rad_replica *replica = visitor->replica;
	struct rad_visitor *other;
	bool seen = false;

	mutex_lock(&replica->clocks);
	spin_lock(&replica->lock);
	list_for_each_entry(other, &replica->visitors, list)
		seen |= other != visitor && looks_at_clocks(other);
	spin_unlock(&replica->lock);
	if (!seen)
		rad_vvar_set_clocks(&replica->window.vvar, prepare);
	spin_lock_irq(&visitor->lock);
	visitor->clocked = true;
	spin_unlock_irq(&visitor->lock);
	mutex_unlock(&replica->clocks);
}

/* rad_replica_visitor_count() - threads of other nodes that run here now */
u32 rad_replica_visitor_count(void)
{
	struct rad_replica *replica;
	struct rad_visitor *visitor;
	u32 n = 0;

	spin_lock(&replicas_lock);
	list_for_each_entry(replica, &replicas, list) {
		spin_lock(&replica->lock);
		list_for_each_entry(visitor, &replica->visitors, list)
			n += READ_ONCE(visitor->state) == RAD_VISITOR_RUNNING;
		spin_unlock(&replica->lock);
	}
	spin_unlock(&replicas_lock);
	return n;
}

/* rad_replica_has_task() - is this a task of a replica? */
bool rad_replica_has_task(struct task_struct *task)
{
	struct rad_replica *replica;
	bool has = false;

	spin_lock(&replicas_lock);
	list_for_each_entry(replica, &replicas, list)
		if (replica->manager && same_thread_group(replica->manager, task))
			has = true;
	spin_unlock(&replicas_lock);
	return has;
}

/* No message finds it any more, and nobody else kills it: the list's reference goes with it. */
static struct rad_visitor *take_visitor(struct rad_replica *replica, struct list_head *to)
{
	struct rad_visitor *visitor;

	spin_lock(&replica->lock);
	visitor = list_first_entry_or_null(&replica->visitors, struct rad_visitor, list);
	if (visitor)
		list_move_tail(&visitor->list, to);
	spin_unlock(&replica->lock);
	return visitor;
}

/**
 * rad_replica_file_released() - the last task of the replica has let go of its memory
 * @replica: the replica
 *
 * If nobody wanted that (an administrator or the OOM killer here did it), the homes
 * of the threads that ran in it hear of it.
 */
void rad_replica_file_released(struct rad_replica *replica)
{
	bool wanted = READ_ONCE(replica->dying) && !replica->unasked;
	struct rad_visitor *visitor, *next;
	LIST_HEAD(ended);

	rad_replica_kill(replica);
	while ((visitor = take_visitor(replica, &ended)))
		rad_visitor_end(visitor, !wanted);
	/* Once for all: there may be a thousand. */
	synchronize_rcu();
	list_for_each_entry_safe(visitor, next, &ended, list)
		rad_visitor_bury(visitor);
}

/* Asks the home of every replica to take back its threads and pages. */
static void ask_homes(void)
{
	struct rad_wire_process *body;
	struct rad_replica *replica;
	struct rad_out *msg;

	spin_lock(&replicas_lock);
	list_for_each_entry(replica, &replicas, list) {
		msg = rad_msg_alloc(RAD_MSG_DRAIN, sizeof(*body), GFP_ATOMIC);
		if (!msg)
			break;
		body = msg->body;
		body->process = cpu_to_le64(replica->process);
		rad_msg_send(replica->home, msg);
	}
	spin_unlock(&replicas_lock);
}

/**
 * rad_replica_drain() - wait until no process of another node is here
 * @timeout: jiffies; 0: their homes are asked, and not waited for
 *
 * A home that brings everything back tells this node that the process is gone.
 *
 * Return: 0, -ETIMEDOUT, -EINTR.
 */
int rad_replica_drain(unsigned long timeout)
{
	unsigned long deadline = jiffies + timeout;
	long left, ret;

	do {
		/* Again, because a home asks its threads for a limited time only. */
		ask_homes();
		left = max_t(long, deadline - jiffies, 0);
		ret = wait_event_interruptible_timeout(emptied, !atomic_read(&live),
						       min_t(long, left, ASK_AGAIN_JIFFIES));
	} while (!ret && left > ASK_AGAIN_JIFFIES);
	return ret > 0 ? 0 : ret ? -EINTR : -ETIMEDOUT;
}

int rad_replica_init(void)
{
	/* With a rescuer: for want of the memory that is freed there may be no worker. */
	free_wq = alloc_workqueue("radium_replica", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return free_wq ? 0 : -ENOMEM;
}

/* rad_replica_uninit() - none is left: each held a reference to the module */
void rad_replica_uninit(void)
{
	destroy_workqueue(free_wq);
}

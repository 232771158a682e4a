// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "radium: " fmt

#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/sched/coredump.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/umh.h>
#include "dev.h"
#include "node.h"
#include "replica.h"
#include "visitor.h"
#include "../uapi/linux/radium.h"

enum {
	ALONE_JIFFIES		= HZ / 2,	/* until nobody looks at the new program any more */
	ATTACH_JIFFIES		= 10 * HZ,	/* for the program to start on a busy machine */
	ATTACH_LOOK_JIFFIES	= HZ / 10,	/* whether it is still there */
	ASK_AGAIN_JIFFIES	= 5 * HZ,	/* a home that has processes here, to take them */
};

static LIST_HEAD(replicas);
static DEFINE_SPINLOCK(replicas_lock);
/* Those that are not freed yet: a dying one lives until its tasks have ended. */
static atomic_t live;
/* Woken when the last is freed. */
static DECLARE_WAIT_QUEUE_HEAD(emptied);
/*
 * Processes that ended most recently: a PREPARE that waits for a worker may be
 * older than the message that its process is gone. Under replicas_lock.
 */
static struct { struct rad_node *home; u64 process; } gone[64];
static u32 gone_next;
/*
 * struct making - a replica that is being made: its program starts, or hangs. Two threads of one
 * process must not make two; other processes need not wait. On the stack of who makes it.
 */
struct making {
	struct list_head entry;		/* in makings, under replicas_lock */
	struct rad_node *home;
	u64 process;
};

static LIST_HEAD(makings);
static DECLARE_WAIT_QUEUE_HEAD(made);
static atomic_t obtaining[RADIUM_NODE_MAX];	/* by home */
enum { OBTAINING_MAX = RAD_WINDOW * 3 / 4 };	/* more than an honest home has prepared at once */
/* Under kernel_param_lock(). */
static char replica_cgroup[RADIUM_PATH_SIZE];

static int set_cgroup(const char *value, const struct kernel_param *kp)
{
	size_t len = strcspn(value, "\n");

	if (len >= sizeof(replica_cgroup) || (len && *value != '/'))
		return -EINVAL;
	memcpy(replica_cgroup, value, len);
	replica_cgroup[len] = '\0';
	return 0;
}

static int get_cgroup(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", replica_cgroup);
}

static const struct kernel_param_ops cgroup_ops = { .set = set_cgroup, .get = get_cgroup };
module_param_cb(replica_cgroup, &cgroup_ops, NULL, 0644);
MODULE_PARM_DESC(replica_cgroup, "directory of the control group that replicas are put into");

static void free_replica(struct kref *ref)
{
	struct rad_replica *replica = container_of(ref, struct rad_replica, ref);

	rad_window_destroy(&replica->window);
	if (replica->manager)
		put_task_struct(replica->manager);
	put_pid(replica->helper);
	rad_node_put(replica->home);
	kfree(replica);
	if (atomic_dec_and_test(&live))
		wake_up_all(&emptied);
	module_put(THIS_MODULE);
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

static struct rad_replica *find_token(u64 token)
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

/* Runs in the new task before it executes the program. */
static int note_helper(struct subprocess_info *info, struct cred *new)
{
	struct rad_replica *replica = info->data;

	/* Nobody else may show the token, which everybody can read in the command line. */
	replica->helper = get_pid(task_pid(current));
	return 0;
}

/*
 * The program has taken the owner's ids, by system calls that keep the users' counts
 * right. What is left of privilege goes here; it never executes anything again.
 */
static int drop_privilege(struct rad_replica *replica)
{
	struct cred *new;

	if (!uid_eq(current_uid(), make_kuid(&init_user_ns, replica->uid)) ||
	    !gid_eq(current_gid(), make_kgid(&init_user_ns, replica->gid)))
		return -EPERM;
	new = prepare_creds();
	if (!new)
		return -ENOMEM;
	new->cap_inheritable = CAP_EMPTY_SET;
	new->cap_permitted = CAP_EMPTY_SET;
	new->cap_effective = CAP_EMPTY_SET;
	new->cap_ambient = CAP_EMPTY_SET;
	new->cap_bset = CAP_EMPTY_SET;
	return commit_creds(new);
}

static bool helper_is_alive(struct rad_replica *replica)
{
	struct task_struct *task;
	bool alive;

	rcu_read_lock();
	task = pid_task(replica->helper, PIDTYPE_PID);
	alive = task && !(READ_ONCE(task->flags) & PF_EXITING);
	rcu_read_unlock();
	return alive;
}

static int start_program(struct rad_replica *replica)
{
	char token[24], uid[12], gid[12], group[RADIUM_PATH_SIZE + 16] = "";
	char *argv[] = { (char *)rad_node_replica_path(), token, uid, gid, NULL, NULL };
	static char *envp[] = { NULL };
	unsigned long start = jiffies;
	struct subprocess_info *info;
	int err;

	/* The program goes in before it gives up its rights: its threads are made there. */
	kernel_param_lock(THIS_MODULE);
	if (replica_cgroup[0]) {
		snprintf(group, sizeof(group), "%s/cgroup.procs", replica_cgroup);
		argv[4] = group;
	}
	kernel_param_unlock(THIS_MODULE);
	snprintf(token, sizeof(token), "%llu", replica->token);
	snprintf(uid, sizeof(uid), "%u", replica->uid);
	snprintf(gid, sizeof(gid), "%u", replica->gid);
	info = call_usermodehelper_setup(argv[0], argv, envp, GFP_KERNEL, note_helper, NULL,
					 replica);
	if (!info)
		return -ENOMEM;
	err = call_usermodehelper_exec(info, UMH_WAIT_EXEC);
	if (err) {
		pr_err("cannot run %s (%d)\n", argv[0], err);
		return err;
	}
	while (!wait_for_completion_timeout(&replica->attached, ATTACH_LOOK_JIFFIES)) {
		if (helper_is_alive(replica) && time_before(jiffies, start + ATTACH_JIFFIES))
			continue;
		pr_err("%s did not attach%s%s\n", argv[0], *group ? ", or enter " : "", group);
		/* Somebody may have stopped it. */
		kill_pid(replica->helper, SIGKILL, 1);
		return -ETIMEDOUT;
	}
	return READ_ONCE(replica->dying) ? -EIO : 0;
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

static struct rad_replica *create(const struct rad_in *in)
{
	const struct rad_wire_prepare *prepare = in->body;
	struct rad_replica *replica = kzalloc(sizeof(*replica), GFP_KERNEL_ACCOUNT);
	int err;

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
	err = rad_window_create(&replica->window, prepare);
	if (err) {
		rad_node_put(replica->home);
		kfree(replica);
		return NULL;
	}
	__module_get(THIS_MODULE);
	atomic_inc(&live);
	kref_get(&replica->ref);
	spin_lock(&replicas_lock);
	list_add_tail(&replica->list, &replicas);
	err = is_gone(replica->home, replica->process) ? -ESRCH : 0;
	spin_unlock(&replicas_lock);
	err = err ?: start_program(replica);
	if (err || rad_node_is_dead(replica->home)) {
		rad_replica_kill(replica);
		rad_replica_put(replica);
		return NULL;
	}
	return replica;
}

static bool begin_making(struct making *new)
{
	struct making *making;
	bool busy = false;

	spin_lock(&replicas_lock);
	list_for_each_entry(making, &makings, entry)
		busy |= making->home == new->home && making->process == new->process;
	if (!busy)
		list_add(&new->entry, &makings);
	spin_unlock(&replicas_lock);
	return !busy;
}

static void end_making(struct making *making)
{
	spin_lock(&replicas_lock);
	list_del(&making->entry);
	spin_unlock(&replicas_lock);
	wake_up_all(&made);
}

/**
 * rad_replica_obtain() - the replica that a thread is to be prepared in
 * @in: PREPARE
 * Context: a worker; waits for a program to start.
 * Return: with a reference, or NULL.
 */
struct rad_replica *rad_replica_obtain(const struct rad_in *in)
{
	const struct rad_wire_prepare *prepare = in->body;
	u64 process = le64_to_cpu(prepare->thread.process);
	atomic_t *count = &obtaining[rad_node_id(in->from) - 1];
	struct making making = { .home = in->from, .process = process };
	struct rad_replica *replica;

	replica = rad_replica_find(in->from, process);
	if (replica && !READ_ONCE(replica->dying))
		return replica;
	rad_replica_put(replica);
	replica = NULL;
	/* Each has a credit of home's, which needs some for other things. */
	if (atomic_inc_return(count) <= OBTAINING_MAX) {
		wait_event(made, begin_making(&making));
		replica = rad_replica_find(in->from, process);
		if (!replica)
			replica = create(in);
		end_making(&making);
	}
	atomic_dec(count);
	return replica;
}

static struct rad_visitor *next_birth(struct rad_replica *replica)
{
	struct rad_visitor *visitor;

	spin_lock(&replica->lock);
	visitor = list_first_entry_or_null(&replica->births, struct rad_visitor, birth);
	if (visitor) {
		list_del_init(&visitor->birth);
		kref_get(&visitor->ref);
	}
	spin_unlock(&replica->lock);
	return visitor;
}

/* Visitors that are to have a task, and will not: nobody makes it. */
static void kill_births(struct rad_replica *replica)
{
	struct rad_visitor *visitor;

	while ((visitor = next_birth(replica))) {
		rad_visitor_kill(visitor);
		rad_visitor_put(visitor);
	}
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
		kill_births(replica);
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

/* Who reads its /proc/PID/stat, say, has a reference to its memory for a moment. */
static bool has_own_memory(void)
{
	unsigned long end = jiffies + ALONE_JIFFIES;

	while (atomic_read(&current->mm->mm_users) != 1) {
		if (time_after(jiffies, end) || fatal_signal_pending(current))
			return false;
		schedule_timeout_killable(1);
	}
	return true;
}

static int attach(struct rad_replica *replica, struct file *file)
{
	int err;

	if (!has_own_memory())
		return -EPERM;
	spin_lock(&replica->lock);
	if (replica->manager || replica->dying) {
		spin_unlock(&replica->lock);
		return -EBUSY;
	}
	if (replica->helper != task_pid(current) || current->ptrace) {
		spin_unlock(&replica->lock);
		return -EPERM;
	}
	replica->manager = get_task_struct(current);
	spin_unlock(&replica->lock);
	rad_device_set_replica(file, replica);
	err = drop_privilege(replica);
	if (err)
		return err == -EPERM ? -EACCES : err;

	/* The owner on this node has no business in it. */
	set_mask_bits(&current->mm->flags, MMF_DUMPABLE_MASK, SUID_DUMP_DISABLE);
	rad_visitor_block_signals();
	strscpy(current->comm, "radium-replica", sizeof(current->comm));
	return rad_window_map(replica, file);
}

/**
 * rad_replica_run_manager() - what the replica program's call does
 * @file: its descriptor of the device
 * @token: names the replica
 *
 * Context: the program's first and only task. Does not return to user mode: there is
 * no program any more, only the window.
 * Return: a negative error; the task is killed unless nothing was changed yet.
 */
int rad_replica_run_manager(struct file *file, u64 token)
{
	struct rad_replica *replica = find_token(token);
	struct rad_visitor *visitor;
	int err;

	if (!replica)
		return -ENOENT;
	if (!thread_group_empty(current)) {
		rad_replica_put(replica);
		return -EINVAL;
	}
	/* The descriptor keeps the replica: its mapping is the last that goes. */
	err = attach(replica, file);
	if (err == -EPERM || err == -EBUSY) {
		rad_replica_put(replica);
		return err;
	}
	if (err) {
		rad_replica_kill(replica);
		rad_replica_put(replica);
		send_sig(SIGKILL, current, 1);
		return err;
	}
	/*
	 * Behind the visitors that compute here already, on a CPU that is theirs, those to come
	 * would wait for their tasks. They inherit this, and give it back when they are there.
	 */
	set_user_nice(current, MIN_NICE);
	complete_all(&replica->attached);
	while (!READ_ONCE(replica->dying) && !fatal_signal_pending(current)) {
		visitor = next_birth(replica);
		if (visitor) {
			err = rad_visitor_birth(visitor);
			if (err)
				rad_visitor_kill(visitor);
			rad_visitor_put(visitor);
			continue;
		}
		___wait_event(replica->wait,
			      READ_ONCE(replica->dying) || !list_empty(&replica->births),
			      RAD_VISITOR_SLEEP, 0, 0, schedule());
		if (fatal_signal_pending(current))
			break;
	}
	/* Nobody here or at home wanted that: its homes hear of it when it is buried. */
	if (!READ_ONCE(replica->dying))
		replica->unasked = true;
	rad_replica_kill(replica);
	kill_births(replica);
	rad_replica_put(replica);
	send_sig(SIGKILL, current, 1);
	return -EINTR;
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

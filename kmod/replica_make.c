// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "radium: " fmt

#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/umh.h>
#include "node.h"
#include "replica.h"
#include "../uapi/linux/radium.h"

enum {
	ATTACH_JIFFIES		= 10 * HZ,	/* for the program to start on a busy machine */
	ATTACH_LOOK_JIFFIES	= HZ / 10,	/* whether it is still there */
	OBTAINING_MAX		= RAD_WINDOW * 3 / 4, /* more than an honest home prepares at once */
};

/*
 * struct making - a replica that is being made: its program starts, or hangs. Two threads of one
 * process must not make two; other processes need not wait. On the stack of who makes it.
 */
struct making {
	struct list_head entry;		/* in makings, under its lock */
	struct rad_node *home;
	u64 process;
};

static LIST_HEAD(makings);
static DEFINE_SPINLOCK(makings_lock);
static DECLARE_WAIT_QUEUE_HEAD(made);
static atomic_t obtaining[RADIUM_NODE_MAX];	/* by home */
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

/* Runs in the new task before it executes the program. */
static int note_helper(struct subprocess_info *info, struct cred *new)
{
	struct rad_replica *replica = info->data;

	/* Nobody else may show the token, which everybody can read in the command line. */
	replica->helper = get_pid(task_pid(current));
	return 0;
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

static struct rad_replica *create(const struct rad_in *in)
{
	struct rad_replica *replica = rad_replica_new(in);

	if (!replica)
		return NULL;
	if (start_program(replica) || rad_node_is_dead(replica->home)) {
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

	spin_lock(&makings_lock);
	list_for_each_entry(making, &makings, entry)
		busy |= making->home == new->home && making->process == new->process;
	if (!busy)
		list_add(&new->entry, &makings);
	spin_unlock(&makings_lock);
	return !busy;
}

static void end_making(struct making *making)
{
	spin_lock(&makings_lock);
	list_del(&making->entry);
	spin_unlock(&makings_lock);
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
		/* For as long as home waits for the answer: a program that does not start takes that long. */
		if (!wait_event_timeout(made, begin_making(&making),
					msecs_to_jiffies(RAD_PREPARE_MS)))
			goto out;
		replica = rad_replica_find(in->from, process);
		/* Who had to wait may have waited longer than its home has lived. */
		if (!replica && !rad_node_is_dead(in->from))
			replica = create(in);
		end_making(&making);
	}
out:
	atomic_dec(count);
	return replica;
}

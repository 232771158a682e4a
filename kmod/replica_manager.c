// SPDX-License-Identifier: GPL-2.0

#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/sched/coredump.h>
#include <linux/sched/signal.h>
#include "dev.h"
#include "replica.h"
#include "visitor.h"

enum { ALONE_JIFFIES = HZ / 2 };	/* until nobody looks at the new program any more */

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

/* rad_replica_kill_births() - end the visitors that are to have a task, and will not: nobody makes it */
void rad_replica_kill_births(struct rad_replica *replica)
{
	struct rad_visitor *visitor;

	while ((visitor = next_birth(replica))) {
		rad_visitor_kill(visitor);
		rad_visitor_put(visitor);
	}
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
	struct rad_replica *replica = rad_replica_find_token(token);
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
	rad_replica_kill_births(replica);
	rad_replica_put(replica);
	send_sig(SIGKILL, current, 1);
	return -EINTR;
}

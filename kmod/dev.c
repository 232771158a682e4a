// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "radium: " fmt

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/ptrace.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "dev.h"
#include "event.h"
#include "homemem.h"
#include "hot.h"
#include "ksym.h"
#include "node.h"
#include "process.h"
#include "regs.h"
#include "replica.h"
#include "spread.h"
#include "thread.h"
#include "wire.h"
#include "../uapi/linux/radium.h"

enum {
	LIST_MAX	= 65536,	/* entries in one call */
	ENTRY_MAX	= 4096,		/* bytes of one entry */
};

/**
 * struct dev_file - an open descriptor
 * @greeted: RADIUM_IOC_HELLO was the first call
 * @mutex: makes @events once
 * @events: for read and poll, NULL until the first
 * @replica: whose window is mapped through it, NULL for others
 */
struct dev_file {
	bool greeted;
	struct mutex mutex;
	struct rad_event_reader *events;
	struct rad_replica *replica;
};

/** rad_device_set_replica() - the descriptor keeps the replica from now on */
void rad_device_set_replica(struct file *file, struct rad_replica *replica)
{
	struct dev_file *df = file->private_data;

	rad_replica_get(replica);
	df->replica = replica;
}

/* Copies an argument in: its first member says how much of it the caller knows. */
static int fetch(void *to, size_t size, size_t least, const void __user *from)
{
	u32 user_size;

	if (get_user(user_size, (const u32 __user *)from))
		return -EFAULT;
	if (user_size > PAGE_SIZE)
		return -E2BIG;
	if (user_size < least)
		return -EINVAL;
	return copy_struct_from_user(to, size, from, user_size);
}

/* Copies it out again, as much as the caller knows. */
static int store(void __user *to, const void *from, size_t size)
{
	u32 user_size;

	if (get_user(user_size, (const u32 __user *)to))
		return -EFAULT;
	/* Read again: it may be another one now. */
	if (user_size < sizeof(u32))
		return -EINVAL;
	/* The size stays the caller's. */
	if (copy_to_user(to + sizeof(u32), from + sizeof(u32),
			 min_t(size_t, size, user_size) - sizeof(u32)))
		return -EFAULT;
	return 0;
}

static long hello(struct dev_file *df, void __user *arg)
{
	struct radium_hello hello;
	int err;

	err = fetch(&hello, sizeof(hello), offsetofend(struct radium_hello, abi), arg);
	if (err)
		return err;
	if (hello.abi != RADIUM_ABI_VERSION) {
		hello.abi = RADIUM_ABI_VERSION;
		return store(arg, &hello, sizeof(hello)) ?: -EPROTO;
	}
	hello.wire = RAD_WIRE_VERSION;
	hello.node = rad_node_joined() ? rad_node_self() : 0;
	hello.features = 0;
	hello.processes = rad_process_count();
	hello.visitors = rad_replica_visitor_count();
	err = store(arg, &hello, sizeof(hello));
	df->greeted = !err;
	return err;
}

static long join(void __user *arg)
{
	char (*peers)[RADIUM_ADDR_SIZE] = NULL;
	struct radium_node_join *join;
	long err = -ENOMEM;
	u32 i;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	join = kzalloc(sizeof(*join), GFP_KERNEL);
	if (!join)
		return -ENOMEM;
	err = fetch(join, sizeof(*join), sizeof(*join), arg);
	if (err)
		goto out;
	err = -EINVAL;
	if (!join->id || join->id > RADIUM_NODE_MAX || join->port > 65535 ||
	    join->peer_count > RADIUM_NODE_MAX ||
	    strnlen(join->addr, sizeof(join->addr)) == sizeof(join->addr) ||
	    strnlen(join->replica, sizeof(join->replica)) == sizeof(join->replica) ||
	    join->replica[0] != '/')
		goto out;
	if (join->peer_count) {
		peers = memdup_user(u64_to_user_ptr(join->peers),
				    join->peer_count * RADIUM_ADDR_SIZE);
		if (IS_ERR(peers)) {
			err = PTR_ERR(peers);
			peers = NULL;
			goto out;
		}
		for (i = 0; i < join->peer_count; i++)
			if (strnlen(peers[i], RADIUM_ADDR_SIZE) == RADIUM_ADDR_SIZE)
				goto out;
	}
	err = rad_node_join(join, peers);
out:
	kfree(peers);
	kfree_sensitive(join);
	return err;
}

static long leave(void __user *arg, bool drain_only)
{
	struct radium_node_leave leave;
	unsigned long timeout;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	err = fetch(&leave, sizeof(leave), sizeof(u32), arg);
	if (err)
		return err;
	leave.reason = RADIUM_R_NONE;
	timeout = msecs_to_jiffies(leave.timeout_ms ?: 30000);
	if (!rad_node_joined()) {
		leave.reason = RADIUM_R_NOT_JOINED;
		return store(arg, &leave, sizeof(leave)) ?: -ENOTCONN;
	}
	rad_node_empty_begin();
	if (drain_only || leave.drain) {
		err = rad_process_drain(&leave.reason, timeout);
		if (!err)
			err = rad_replica_drain(timeout);
		if (err && !leave.reason)
			leave.reason = RADIUM_R_TIMEOUT;
	}
	if (!err && !drain_only) {
		if (rad_process_count() || rad_replica_count()) {
			leave.reason = RADIUM_R_DISTRIBUTED;
			err = -EBUSY;
		} else {
			err = rad_node_leave();
		}
	}
	rad_node_empty_end();
	return store(arg, &leave, sizeof(leave)) ?: err;
}

/* ---------------------------------------------------------------- moving */

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

/*
 * A task that stands for the process of this number: it outlives its first thread, and
 * then another one has its memory and the rights to it.
 */
static struct task_struct *find_process(s32 pid)
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

/* One thread, or all: the ones that exist now. */
static int move_threads(struct task_struct *task, struct radium_move *move, u32 node)
{
	struct task_struct *t, **array;
	u32 n = 0, room, i;
	int err = 0, e;

	if (!(move->flags & RADIUM_MOVE_ALL_THREADS))
		return rad_thread_move(task, move, node);
	room = get_nr_threads(task) + 8;
	array = kvcalloc(room, sizeof(*array), GFP_KERNEL);
	if (!array)
		return refuse(move, RADIUM_R_NO_MEMORY, -ENOMEM);
	rcu_read_lock();
	for_each_thread(task, t) {
		if (n == room)
			break;
		if (t->flags & PF_IO_WORKER)
			continue;
		array[n++] = get_task_struct(t);
	}
	rcu_read_unlock();
	for (i = 0; i < n; i++) {
		/* Where nobody waits, one that is at home and wanted nowhere else is left alone. */
		if (!node && move->flags & RADIUM_MOVE_NO_WAIT && !rad_thread_is_wanted(array[i]))
			e = 0;
		else
			e = rad_thread_move(array[i], move, node);
		err = err ?: e == -ESRCH ? 0 : e;
		put_task_struct(array[i]);
	}
	kvfree(array);
	return err;
}

/* Has a node with this id ever been heard of? One that is down has. */
static bool is_known(u32 id)
{
	struct radium_node_info *infos = kvcalloc(RADIUM_NODE_MAX + 1, sizeof(*infos), GFP_KERNEL);
	bool known = false;
	u32 total;
	int i, n;

	n = infos ? rad_node_list(infos, RADIUM_NODE_MAX + 1, &total) : 0;
	for (i = 0; i < n; i++)
		known |= infos[i].id == id;
	kvfree(infos);
	return known;
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
	if (move->flags & RADIUM_MOVE_ALL_THREADS)
		task = find_process(move->pid);
	else
		task = find_task(move->pid);
	if (!task)
		return refuse(move, RADIUM_R_NO_PROCESS, -ESRCH);
	if (move->tid) {
		task = find_thread(task, move->tid);
		if (!task)
			return refuse(move, RADIUM_R_NO_THREAD, -ESRCH);
	}
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

static int recall(struct radium_move *move)
{
	unsigned long timeout = msecs_to_jiffies(move->timeout_ms ?: 30000);
	struct radium_move all_home = { .flags = RADIUM_MOVE_ALL_THREADS | RADIUM_MOVE_NO_WAIT };
	struct rad_process *process = NULL;
	struct task_struct *task = find_process(move->pid);
	struct mm_struct *mm;
	bool spread = false;
	u32 reason, all;
	u64 before;
	int err;

	if (!task)
		return refuse(move, RADIUM_R_NO_PROCESS, -ESRCH);
	if (move->tid) {
		task = find_thread(task, move->tid);
		if (!task)
			return refuse(move, RADIUM_R_NO_THREAD, -ESRCH);
	}
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
	if (spread)
		move_threads(task, &all_home, 0);
	if (reason || !process) {
		put_task_struct(task);
		if (reason)
			return refuse(move, reason, errno_of_refusal(reason));
		return spread ? 0 : refuse(move, RADIUM_R_NOT_AWAY, -ENOENT);
	}
	before = atomic64_read(&process->stats.pages_received);
	if (move->tid)
		err = rad_thread_move(task, move, 0);
	else
		err = rad_thread_recall_process(process, 0, &move->reason, timeout);
	put_task_struct(task);
	if (!err && move->flags & RADIUM_MOVE_ALL_PAGES)
		err = rad_homemem_recall_all(process, timeout);
	if (err == -ETIMEDOUT && !move->reason)
		move->reason = RADIUM_R_TIMEOUT;
	move->pages = atomic64_read(&process->stats.pages_received) - before;
	move->bytes = move->pages * PAGE_SIZE + move->threads *
		      (sizeof(struct rad_wire_return) + rad_regs_xstate_len());
	rad_process_retire_if_idle(process);
	rad_process_put(process);
	return err;
}

static long move(void __user *arg, int (*how)(struct radium_move *))
{
	u64 start = ktime_get_ns();
	struct radium_move move;
	int err;

	err = fetch(&move, sizeof(move), offsetofend(struct radium_move, timeout_ms), arg);
	if (err)
		return err;
	if (move.flags & ~(RADIUM_MOVE_ALL_THREADS | RADIUM_MOVE_ALL_PAGES | RADIUM_MOVE_SELF |
			   RADIUM_MOVE_NO_WAIT))
		return -EINVAL;
	move.reason = RADIUM_R_NONE;
	move.threads = 0;
	move.pages = 0;
	move.bytes = 0;
	err = how(&move);
	move.ns = ktime_get_ns() - start;
	return store(arg, &move, sizeof(move)) ?: err;
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

static long spread(void __user *arg)
{
	struct radium_spread spread;
	int err;

	err = fetch(&spread, sizeof(spread), sizeof(spread), arg);
	if (err)
		return err;
	spread.reason = RADIUM_R_NONE;
	err = spread_caller(&spread);
	return store(arg, &spread, sizeof(spread)) ?: err;
}

/* ---------------------------------------------------------------- lists */

struct entries {
	void *array;
	size_t size;
	int n;
	u32 total;
};

static int list_nodes(const struct radium_list *list, struct entries *e)
{
	struct radium_node_info *infos = kvcalloc(list->count, sizeof(*infos), GFP_KERNEL_ACCOUNT);
	int i, n;

	e->size = sizeof(*infos);
	e->array = infos;
	if (!infos)
		return -ENOMEM;
	n = rad_node_list(infos, list->count, &e->total);
	for (i = 0; i < n; i++)
		infos[i].visitors = infos[i].state == RADIUM_NODE_SELF ?
			rad_replica_visitor_count() : rad_process_count_on(infos[i].id);
	return n;
}

static int list_processes(const struct radium_list *list, struct entries *e)
{
	e->size = sizeof(struct radium_process_info);
	e->array = kvcalloc(list->count, e->size, GFP_KERNEL_ACCOUNT);
	return e->array ? rad_process_list(e->array, list->count, &e->total) : -ENOMEM;
}

/* What it does, call by call and page by page, is its owner's business. Or an ERR_PTR. */
static struct rad_process *find_readable(s32 pid)
{
	struct task_struct *task = find_process(pid);
	struct rad_process *process = NULL;
	struct mm_struct *mm;

	if (!task)
		return ERR_PTR(-ESRCH);
	if (!rad_ksym.ptrace_may_access(task, PTRACE_MODE_READ_REALCREDS)) {
		put_task_struct(task);
		return ERR_PTR(-EPERM);
	}
	mm = get_task_mm(task);
	put_task_struct(task);
	if (mm) {
		process = rad_process_find_mm(mm);
		mmput(mm);
	}
	return process ?: ERR_PTR(-ENOENT);
}

static int list_threads(const struct radium_list *list, struct entries *e)
{
	struct rad_process *process = find_readable(list->pid);
	int n;

	if (IS_ERR(process))
		return PTR_ERR(process);
	e->size = sizeof(struct radium_thread_info);
	e->array = kvcalloc(list->count, e->size, GFP_KERNEL_ACCOUNT);
	n = e->array ? rad_thread_list(process, e->array, list->count, &e->total) : -ENOMEM;
	rad_process_put(process);
	return n;
}

static int list_pages(const struct radium_list *list, struct entries *e)
{
	struct rad_process *process = find_readable(list->pid);
	int n;

	if (IS_ERR(process))
		return PTR_ERR(process);
	e->size = sizeof(struct radium_page_info);
	e->array = kvcalloc(list->count, e->size, GFP_KERNEL_ACCOUNT);
	n = e->array ? rad_hot_list(process->hot, e->array, list->count, &e->total) : -ENOMEM;
	rad_process_put(process);
	return n;
}

static long list(void __user *arg, int (*what)(const struct radium_list *, struct entries *))
{
	struct radium_list list;
	struct entries e = { };
	void __user *to;
	size_t common;
	int i, err;

	err = fetch(&list, sizeof(list), sizeof(list), arg);
	if (err)
		return err;
	if (list.reserved || !list.entry_size || list.entry_size > ENTRY_MAX)
		return -EINVAL;
	list.count = min_t(u32, list.count, LIST_MAX);
	e.n = what(&list, &e);
	err = min(e.n, 0);
	common = min_t(size_t, e.size, list.entry_size);
	to = u64_to_user_ptr(list.entries);
	for (i = 0; i < e.n && !err; i++, to += list.entry_size)
		if (copy_to_user(to, e.array + i * e.size, common) ||
		    clear_user(to + common, list.entry_size - common))
			err = -EFAULT;
	kvfree(e.array);
	if (err)
		return err;
	list.count = e.n;
	list.total = e.total;
	return store(arg, &list, sizeof(list));
}

static long run_replica(struct file *file, void __user *arg)
{
	struct radium_replica replica;
	int err;

	err = fetch(&replica, sizeof(replica), sizeof(replica), arg);
	if (err)
		return err;
	if (replica.reserved)
		return -EINVAL;
	return rad_replica_run_manager(file, replica.token);
}

/* ------------------------------------------------------------ the device */

static long dev_ioctl(struct file *file, unsigned int cmd, unsigned long raw)
{
	void __user *arg = (void __user *)raw;
	struct dev_file *df = file->private_data;

	if (cmd == RADIUM_IOC_HELLO)
		return hello(df, arg);
	if (!df->greeted)
		return -EPROTO;
	switch (cmd) {
	case RADIUM_IOC_NODE_JOIN: return join(arg);
	case RADIUM_IOC_NODE_LEAVE: return leave(arg, false);
	case RADIUM_IOC_NODE_DRAIN: return leave(arg, true);
	case RADIUM_IOC_NODE_LIST: return list(arg, list_nodes);
	case RADIUM_IOC_MIGRATE: return move(arg, migrate);
	case RADIUM_IOC_RECALL: return move(arg, recall);
	case RADIUM_IOC_SPREAD: return spread(arg);
	case RADIUM_IOC_PROCESS_LIST: return list(arg, list_processes);
	case RADIUM_IOC_THREAD_LIST: return list(arg, list_threads);
	case RADIUM_IOC_PAGE_LIST: return list(arg, list_pages);
	case RADIUM_IOC_REPLICA: return run_replica(file, arg);
	default: return -ENOTTY;
	}
}

static int dev_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct dev_file *df = file->private_data;

	return df->replica ? rad_window_mmap(df->replica, vma) : -ENODEV;
}

static struct rad_event_reader *reader_of(struct dev_file *df)
{
	mutex_lock(&df->mutex);
	if (!df->events)
		df->events = rad_event_reader_create();
	mutex_unlock(&df->mutex);
	return df->events;
}

static ssize_t dev_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	struct rad_event_reader *reader = reader_of(file->private_data);

	return reader ? rad_event_read(reader, buf, len, file->f_flags & O_NONBLOCK) : -ENOMEM;
}

static __poll_t dev_poll(struct file *file, poll_table *wait)
{
	struct rad_event_reader *reader = reader_of(file->private_data);

	return reader ? rad_event_poll(reader, file, wait) : EPOLLERR;
}

static int dev_open(struct inode *inode, struct file *file)
{
	struct dev_file *df = kzalloc(sizeof(*df), GFP_KERNEL_ACCOUNT);

	if (!df)
		return -ENOMEM;
	mutex_init(&df->mutex);
	file->private_data = df;
	return nonseekable_open(inode, file);
}

static int dev_release(struct inode *inode, struct file *file)
{
	struct dev_file *df = file->private_data;

	if (df->replica) {
		rad_replica_file_released(df->replica);
		rad_replica_put(df->replica);
	}
	rad_event_reader_destroy(df->events);
	kfree(df);
	return 0;
}

static const struct file_operations dev_fops = {
	.owner = THIS_MODULE,
	.open = dev_open,
	.release = dev_release,
	.unlocked_ioctl = dev_ioctl,
	.mmap = dev_mmap,
	.read = dev_read,
	.poll = dev_poll,
	.llseek = no_llseek,
};

/* Open to everybody: each call checks what the caller may do. */
static struct miscdevice dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "radium",
	.fops = &dev_fops,
	.mode = 0666,
};

int rad_device_init(void)
{
	return misc_register(&dev);
}

void rad_device_uninit(void)
{
	misc_deregister(&dev);
}

// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "radium: " fmt

#include <linux/module.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include "event.h"
#include "hot.h"
#include "link.h"
#include "node.h"
#include "process.h"
#include "replica.h"
#include "scratch.h"
#include "spread.h"
#include "thread.h"

enum { DRAIN_JIFFIES = 30 * HZ };	/* for what another node asks for */

/* All processes whose home is here; the list and the ids are under processes_lock. */
static LIST_HEAD(processes);
static DEFINE_SPINLOCK(processes_lock);
static u64 last_id;
static u32 count;

/* Retiring talks to other nodes and waits for page tables. */
static struct workqueue_struct *retire_wq, *drain_wq;
/* Retire works that have not ended; who waits for their end is woken by the last one. */
static atomic_t retirements;
static DECLARE_WAIT_QUEUE_HEAD(retired);

static void free_process(struct kref *ref)
{
	struct rad_process *process = container_of(ref, struct rad_process, ref);

	put_pid(process->pid);
	rad_hot_destroy(process->hot);
	kfree(process);
	module_put(THIS_MODULE);
}

void rad_process_get(struct rad_process *process)
{
	kref_get(&process->ref);
}

void rad_process_put(struct rad_process *process)
{
	if (process)
		kref_put(&process->ref, free_process);
}

static struct rad_process *find_mm_locked(struct mm_struct *mm)
{
	struct rad_process *process;

	list_for_each_entry(process, &processes, list)
		if (process->mm == mm && !process->retiring)
			return process;
	return NULL;
}

/**
 * rad_process_find_mm() - the distributed process with this memory
 * @mm: the memory
 *
 * Return: with a reference, or NULL.
 */
struct rad_process *rad_process_find_mm(struct mm_struct *mm)
{
	struct rad_process *process;

	spin_lock(&processes_lock);
	process = find_mm_locked(mm);
	if (process)
		kref_get(&process->ref);
	spin_unlock(&processes_lock);
	return process;
}

/**
 * rad_process_find_id() - the process with this number
 * @id: the number
 *
 * Return: with a reference, or NULL.
 */
struct rad_process *rad_process_find_id(u64 id)
{
	struct rad_process *process;

	spin_lock(&processes_lock);
	list_for_each_entry(process, &processes, list) {
		if (process->id == id) {
			kref_get(&process->ref);
			spin_unlock(&processes_lock);
			return process;
		}
	}
	spin_unlock(&processes_lock);
	return NULL;
}

static void tell_gone(struct rad_node *node, u64 id)
{
	struct rad_wire_process *body;
	struct rad_out *msg;

	msg = rad_msg_alloc(RAD_MSG_PROCESS_GONE, sizeof(*body), GFP_KERNEL | __GFP_NOFAIL);
	body = msg->body;
	body->process = cpu_to_le64(id);
	rad_msg_send(node, msg);
}

static void tell_nodes(struct rad_process *process)
{
	u32 id;

	for (id = 1; id <= RADIUM_NODE_MAX; id++) {
		struct rad_node *node;

		if (!(process->nodes & BIT_ULL(id - 1)))
			continue;
		node = rad_node_get_up(id);
		if (!node)
			continue;
		tell_gone(node, process->id);
		rad_node_put(node);
	}
}

static void retire_work(struct work_struct *work)
{
	struct rad_process *process = container_of(work, struct rad_process, retire);

	/*
	 * 1. No replica answers for the process any more once it has been told; no
	 *    page goes out, because requests find a retiring process no longer.
	 */
	tell_nodes(process);
	/* 2. Every held page goes back to the kernel, wherever it is mapped now. */
	rad_homemem_destroy(process);
	/* 3. No notifier call is running after this. */
	mmu_notifier_unregister(&process->notifier, process->mm);
	/* 4. Its threads know that it ended. */
	rad_thread_forget_all(process);
	/* 5. It has the memory that it had before; nobody touches that of calls any more. */
	rad_scratch_end(process);

	spin_lock(&processes_lock);
	list_del_init(&process->list);
	count--;
	spin_unlock(&processes_lock);
	rad_event_post(RADIUM_EVENT_PROCESS_GONE, 0, pid_nr(process->pid), 0, RADIUM_R_NONE);
	mmdrop(process->mm);
	rad_process_put(process);
	/* The module can go then: its exit waits for this function. */
	if (atomic_dec_and_test(&retirements))
		wake_up_all(&retired);
}

/* Once for each process. */
static void begin_retirement(struct rad_process *process)
{
	lockdep_assert_held(&processes_lock);
	process->retiring = true;
	atomic_inc(&retirements);
	queue_work(retire_wq, &process->retire);
}

/**
 * rad_process_retire() - the process is distributed no longer
 * @process: as often as one likes
 *
 * Context: any process context, the notifier's release among them; does not wait.
 */
void rad_process_retire(struct rad_process *process)
{
	spin_lock(&processes_lock);
	if (!process->retiring)
		begin_retirement(process);
	spin_unlock(&processes_lock);
}

/**
 * rad_process_retire_if_idle() - end it if everything is home
 * @process: caller has a reference
 *
 * A thread that is about to go out has entered it, see rad_process_enter(): it is
 * seen here, or finds that the process retires and makes another.
 */
void rad_process_retire_if_idle(struct rad_process *process)
{
	bool idle;

	spin_lock(&processes_lock);
	idle = !process->entering && !process->retiring && !rad_thread_count_wanted(process);
	if (idle) {
		spin_lock(&process->mem.pages.xa_lock);
		idle = !process->mem.away && !process->mem.copied;
		spin_unlock(&process->mem.pages.xa_lock);
	}
	if (idle)
		begin_retirement(process);
	spin_unlock(&processes_lock);
}

/* Who may kill the replica on its node may kill the process natively. */
static kuid_t replica_uid(const struct cred *cred)
{
	return uid_eq(cred->uid, cred->suid) ? cred->uid : GLOBAL_ROOT_UID;
}

static int create(struct mm_struct *mm)
{
	struct rad_process *process = kzalloc(sizeof(*process), GFP_KERNEL_ACCOUNT);
	int err = -ENOMEM;

	if (!process)
		return -ENOMEM;
	kref_init(&process->ref);
	spin_lock_init(&process->lock);
	INIT_LIST_HEAD(&process->threads);
	INIT_LIST_HEAD(&process->list);
	INIT_WORK(&process->retire, retire_work);
	process->mm = mm;
	process->uid = replica_uid(current_cred());
	process->gid = current_egid();
	get_task_comm(process->comm, current);
	process->pid = get_task_pid(current, PIDTYPE_TGID);
	__module_get(THIS_MODULE);

	process->hot = rad_hot_create();
	if (!process->hot)
		goto err_put;
	err = rad_homemem_create(process);
	if (err)
		goto err_put;
	mmgrab(mm);
	err = rad_notifier_register(process);
	if (err)
		goto err_mem;

	spin_lock(&processes_lock);
	process->id = ++last_id;
	list_add_tail(&process->list, &processes);
	count++;
	spin_unlock(&processes_lock);
	rad_event_post(RADIUM_EVENT_PROCESS_NEW, 0, pid_nr(process->pid), 0, RADIUM_R_NONE);
	return 0;

err_mem:
	mmdrop(mm);
	rad_homemem_destroy(process);
err_put:
	rad_process_put(process);
	return err;
}

/**
 * rad_process_enter_if_any() - rad_process_enter(), but none is made
 *
 * Context: process context of a user task.
 * Return: with a reference, or NULL: current's process is not distributed.
 */
struct rad_process *rad_process_enter_if_any(void)
{
	struct rad_process *process;

	spin_lock(&processes_lock);
	process = find_mm_locked(current->mm);
	if (process) {
		process->entering++;
		kref_get(&process->ref);
	}
	spin_unlock(&processes_lock);
	return process;
}

/* Two threads of one process must not both create it. */
static DEFINE_MUTEX(create_mutex);

/**
 * rad_process_enter() - the distributed process of current, made if need be
 *
 * It does not retire for being idle until rad_process_leave().
 *
 * Context: process context of a user task, no locks held.
 * Return: with a reference, or an ERR_PTR.
 */
struct rad_process *rad_process_enter(void)
{
	struct rad_process *process = rad_process_enter_if_any();
	int err = 0;

	/* Without the lock, under which another may have to wait for its address space. */
	if (process)
		return process;
	if (mutex_lock_killable(&create_mutex))
		return ERR_PTR(-EINTR);
	while (!(process = rad_process_enter_if_any()) && !err)
		err = create(current->mm);
	mutex_unlock(&create_mutex);
	return process ?: ERR_PTR(err);
}

/**
 * rad_process_leave() - current is away, or stays at home
 * @process: entered; the reference is the caller's still
 */
void rad_process_leave(struct rad_process *process)
{
	spin_lock(&processes_lock);
	process->entering--;
	spin_unlock(&processes_lock);
}

/* rad_process_is_draining() - a node wants to be rid of it: nothing of it goes out meanwhile */
bool rad_process_is_draining(struct rad_process *process)
{
	return READ_ONCE(process->draining);
}

/* rad_process_note_replica() - @node may have a replica of @process from now on */
void rad_process_note_replica(struct rad_process *process, struct rad_node *node)
{
	spin_lock(&process->lock);
	process->nodes |= BIT_ULL(rad_node_id(node) - 1);
	spin_unlock(&process->lock);
}

/*
 * Has the program got the memory still? One that it has executed since has lost nothing, even if
 * somebody else still holds the memory of its predecessor.
 */
static bool has_memory(const struct rad_process *process)
{
	struct task_struct *leader, *task;
	bool has = false;

	rcu_read_lock();
	leader = pid_task(process->pid, PIDTYPE_TGID);
	if (leader)
		for_each_thread(leader, task)
			has |= READ_ONCE(task->mm) == process->mm;
	rcu_read_unlock();
	return has;
}

/**
 * rad_process_kill() - end a process that cannot go on
 * @process: whose pages or threads are lost
 * @node: the node they were on
 * @reason: enum radium_reason
 *
 * Once; whoever comes later finds that somebody does it, and has perhaps not come to him yet.
 */
void rad_process_kill(struct rad_process *process, u32 node, u32 reason)
{
	bool known, has;

	spin_lock(&process->lock);
	known = process->killed;
	process->killed = true;
	spin_unlock(&process->lock);
	if (known)
		return;
	has = has_memory(process);
	/* First: a console may be slow. */
	if (has)
		kill_pid(process->pid, SIGKILL, 1);
	if (!rad_thread_kill_all(process) && !has) {
		/* Nobody; another one may come with the memory of before. */
		spin_lock(&process->lock);
		process->killed = false;
		spin_unlock(&process->lock);
		return;
	}
	pr_notice("process %d (%s) is killed: a part of it was on node %u, which is lost\n",
		  pid_nr(process->pid), process->comm, node);
	rad_event_post(RADIUM_EVENT_PROCESS_KILLED, node, pid_nr(process->pid), 0, reason);
}

/* rad_process_count() - distributed processes whose home is here */
u32 rad_process_count(void)
{
	return READ_ONCE(count);
}

/* rad_process_count_on() - threads whose home is here that run on a node */
u32 rad_process_count_on(u32 node)
{
	struct rad_process *process;
	u32 n = 0;

	spin_lock(&processes_lock);
	list_for_each_entry(process, &processes, list)
		n += rad_thread_count_on(process, node);
	spin_unlock(&processes_lock);
	return n;
}

/* The processes as they are now, each with a reference; the caller frees the array. */
static struct rad_process **snapshot(u32 *n)
{
	struct rad_process **array, *process;
	u32 room, i = 0;

	for (;;) {
		room = READ_ONCE(count) + 8;
		array = kvcalloc(room, sizeof(*array), GFP_KERNEL);
		if (!array)
			return NULL;
		spin_lock(&processes_lock);
		if (count <= room)
			break;
		spin_unlock(&processes_lock);
		kvfree(array);
	}
	list_for_each_entry(process, &processes, list) {
		if (process->retiring)
			continue;
		kref_get(&process->ref);
		array[i++] = process;
	}
	spin_unlock(&processes_lock);
	*n = i;
	return array;
}

static u64 spread(struct rad_process *process)
{
	struct task_struct *task;
	u64 nodes;

	rcu_read_lock();
	task = pid_task(process->pid, PIDTYPE_TGID);
	nodes = task ? rad_spread_nodes(task) : 0;
	rcu_read_unlock();
	return nodes;
}

static void fill(struct rad_process *process, struct radium_process_info *info)
{
	struct rad_process_stats *s = &process->stats;
	int i;

	memset(info, 0, sizeof(*info));
	info->pid = pid_vnr(process->pid);
	info->uid = from_kuid_munged(current_user_ns(), process->uid);
	memcpy(info->comm, process->comm, sizeof(info->comm));
	info->nodes = process->nodes;
	rad_thread_count(process, &info->threads, &info->threads_away);
	info->pages_away = process->mem.away;
	info->pages_copied = process->mem.copied;
	info->faults = atomic64_read(&s->faults);
	info->pages_sent = atomic64_read(&s->pages_sent);
	info->pages_received = atomic64_read(&s->pages_received);
	info->pages_forwarded = atomic64_read(&s->pages_forwarded);
	info->pages_upgraded = atomic64_read(&s->pages_upgraded);
	info->spread = spread(process);
	info->recalls = atomic64_read(&s->recalls);
	info->syscalls = atomic64_read(&s->syscalls);
	info->syscalls_inline = atomic64_read(&s->syscalls_inline);
	info->migrations = atomic64_read(&s->migrations);
	info->returns = atomic64_read(&s->returns);
	for (i = 0; i < RADIUM_LATENCY_BUCKETS; i++) {
		info->fault_latency[i] = atomic64_read(&s->fault_latency[i]);
		info->syscall_latency[i] = atomic64_read(&s->syscall_latency[i]);
	}
}

/**
 * rad_process_list() - describe the processes
 * @infos: room for @room entries
 * @room: entries that fit
 * @total: out: how many there are
 * Return: entries written, or -ENOMEM.
 */
int rad_process_list(struct radium_process_info *infos, u32 room, u32 *total)
{
	struct rad_process **array;
	u32 n, i, written = 0;

	array = snapshot(&n);
	if (!array)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		if (written < room)
			fill(array[i], &infos[written++]);
		rad_process_put(array[i]);
	}
	kvfree(array);
	*total = n;
	return written;
}

struct drain {
	struct work_struct work;
	struct rad_process *process;
	u32 from;
};

static void drain_work(struct work_struct *work)
{
	struct drain *drain = container_of(work, struct drain, work);
	struct rad_process *process = drain->process;
	u32 reason;

	rad_thread_recall_process(process, drain->from, &reason, DRAIN_JIFFIES);
	/* Whatever has come of the threads: those that stay are asked for again. */
	rad_homemem_recall_all(process, DRAIN_JIFFIES);
	/* The node is told when the process retires, and who waits for that goes out again. */
	rad_process_retire_if_idle(process);
	spin_lock(&process->lock);
	process->draining &= ~BIT_ULL(drain->from - 1);
	spin_unlock(&process->lock);
	kfree(drain);
	rad_process_put(process);
}

/**
 * rad_process_on_drain() - DRAIN: a node wants to be rid of a process
 * @in: the message; the node says so again while it waits
 *
 * Context: a worker. It does not wait: what the threads come home with needs the
 * credit that this message holds.
 */
void rad_process_on_drain(struct rad_in *in)
{
	const struct rad_wire_process *body = in->body;
	struct rad_process *process = rad_process_find_id(le64_to_cpu(body->process));
	struct drain *drain;
	bool begin;
	u64 node;

	if (!process) {
		/* A replica that was made when the process had just ended. */
		tell_gone(in->from, le64_to_cpu(body->process));
		return;
	}
	node = BIT_ULL(rad_node_id(in->from) - 1);
	spin_lock(&process->lock);
	begin = process->nodes & node && !(process->draining & node);
	if (begin)
		process->draining |= node;
	spin_unlock(&process->lock);
	if (!begin) {
		rad_process_put(process);
		return;
	}
	/* It would get new ones. */
	rad_spread_avoid(rad_node_id(in->from));
	drain = kmalloc(sizeof(*drain), GFP_KERNEL | __GFP_NOFAIL);
	drain->process = process;
	drain->from = rad_node_id(in->from);
	INIT_WORK(&drain->work, drain_work);
	queue_work(drain_wq, &drain->work);
}

/**
 * rad_process_drain() - bring every thread and page of every process home
 * @reason: out: enum radium_reason of the first that did not come
 * @timeout: jiffies, for all together
 *
 * Context: process context; killable.
 * Return: 0, or the first error; -ENOMEM.
 */
int rad_process_drain(u32 *reason, unsigned long timeout)
{
	unsigned long deadline = jiffies + timeout, left;
	struct rad_process **array;
	int err = 0, e;
	long waited;
	u32 n, i;

	rad_spread_end_all();
	array = snapshot(&n);
	if (!array)
		return -ENOMEM;
	/* All of them before any is waited for. */
	for (i = 0; i < n; i++)
		rad_thread_recall_process(array[i], 0, reason, 0);
	for (i = 0; i < n; i++) {
		left = max_t(long, deadline - jiffies, 1);
		e = rad_thread_recall_process(array[i], 0, reason, left);
		err = err ?: e;
		left = max_t(long, deadline - jiffies, 0);
		/* Too late to wait for the pages, they are called all the same. */
		if (e)
			rad_homemem_trim(array[i], U32_MAX);
		e = rad_homemem_recall_all(array[i], left);
		rad_process_retire_if_idle(array[i]);
		err = err ?: e;
		rad_process_put(array[i]);
	}
	kvfree(array);
	/* Those as well that have retired by themselves: nothing of them is left either. */
	left = max_t(long, deadline - jiffies, HZ);
	waited = wait_event_killable_timeout(retired, !atomic_read(&retirements), left);
	if (waited <= 0 && !err) {
		err = waited ? -EINTR : -ETIMEDOUT;
		*reason = waited ? RADIUM_R_NONE : RADIUM_R_TIMEOUT;
	}
	return err;
}

/**
 * rad_process_file_opened() - drop the copies of pages of a file
 * @inode: is open for writing, so that no new ones are made
 *
 * Context: process context, no locks held; returns when they are gone.
 */
void rad_process_file_opened(struct inode *inode)
{
	struct rad_process **array;
	u32 n, i;

	do
		array = snapshot(&n);
	while (!array);
	for (i = 0; i < n; i++) {
		rad_homemem_drop_file(array[i], inode);
		rad_process_put(array[i]);
	}
	kvfree(array);
}

/* rad_process_node_up() - a node can be used; nothing to do for a process */
void rad_process_node_up(struct rad_node *node)
{
}

/**
 * rad_process_node_dead() - a node was declared dead
 * @node: its session has ended: no message of it will be handled any more
 *
 * Processes that have a thread or the only copy of a page there end; those that
 * only had clean copies there go on. Visitors whose home it was are killed.
 *
 * Context: process context, once for each death.
 */
void rad_process_node_dead(struct rad_node *node)
{
	struct rad_process **array;
	u32 n, i;

	rad_replica_node_dead(node);
	do
		array = snapshot(&n);
	while (!array);
	for (i = 0; i < n; i++) {
		bool lost = rad_homemem_node_dead(array[i], node);

		lost |= rad_thread_node_dead(array[i], node);
		spin_lock(&array[i]->lock);
		array[i]->nodes &= ~BIT_ULL(rad_node_id(node) - 1);
		spin_unlock(&array[i]->lock);
		/* After exec the process is another program, which has lost nothing. */
		if (lost && !READ_ONCE(array[i]->retiring))
			rad_process_kill(array[i], rad_node_id(node), RADIUM_R_NODE_LOST);
		rad_process_put(array[i]);
	}
	kvfree(array);
}

/* --------------------------------------------------- shortage of memory */

static void trim_work(struct work_struct *work)
{
	struct rad_process **array;
	u32 n, i;

	array = snapshot(&n);
	if (!array)
		return;
	for (i = 0; i < n; i++) {
		rad_homemem_trim(array[i], array[i]->mem.away / 8 + 1);
		rad_process_put(array[i]);
	}
	kvfree(array);
}

static DECLARE_WORK(trim, trim_work);

static unsigned long count_held(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct rad_process *process;
	unsigned long held = 0;

	spin_lock(&processes_lock);
	list_for_each_entry(process, &processes, list)
		held += READ_ONCE(process->mem.away);
	spin_unlock(&processes_lock);
	return held ?: SHRINK_EMPTY;
}

/* Never waits in reclaim: the pages come home by and by. */
static unsigned long scan_held(struct shrinker *shrinker, struct shrink_control *sc)
{
	queue_work(system_unbound_wq, &trim);
	return SHRINK_STOP;
}

static struct shrinker shrinker = {
	.count_objects = count_held,
	.scan_objects = scan_held,
	.seeks = DEFAULT_SEEKS,
};

/* rad_latency_add() - count one duration in a log2 histogram */
void rad_latency_add(atomic64_t *histogram, u64 ns)
{
	int bucket = ns ? min(ilog2(ns), RADIUM_LATENCY_BUCKETS - 1) : 0;

	atomic64_inc(&histogram[bucket]);
}

int rad_process_init(void)
{
	int err;

	retire_wq = alloc_workqueue("radium_retire", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!retire_wq)
		return -ENOMEM;
	drain_wq = alloc_workqueue("radium_drain", WQ_UNBOUND, WQ_UNBOUND_MAX_ACTIVE);
	err = drain_wq ? register_shrinker(&shrinker, "radium") : -ENOMEM;
	if (!err)
		return 0;
	if (drain_wq)
		destroy_workqueue(drain_wq);
	destroy_workqueue(retire_wq);
	return err;
}

/* rad_process_uninit() - none is left: each held a reference to the module */
void rad_process_uninit(void)
{
	unregister_shrinker(&shrinker);
	cancel_work_sync(&trim);
	destroy_workqueue(drain_wq);
	destroy_workqueue(retire_wq);
}

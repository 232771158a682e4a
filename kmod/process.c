// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: distributed processes: how they begin, how they are found, and how they end when
 * everything of them is home or their memory is no more.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "event.h"
#include "hot.h"
#include "link.h"
#include "modest.h"
#include "node.h"
#include "process.h"
#include "process_internal.h"
#include "scratch.h"
#include "thread.h"

/* All processes whose home is here; the list and the ids are under processes_lock. */
static LIST_HEAD(processes);
static DEFINE_SPINLOCK(processes_lock);
static u64 last_id;
static u32 count;

/* Retiring talks to other nodes and waits for page tables. */
static struct workqueue_struct *retire_wq;
/* Retire works that have not ended; who waits for their end is woken by the last one. */
static atomic_t retirements;
static DECLARE_WAIT_QUEUE_HEAD(retired);

static void free_process(struct kref *ref)
{
	struct rad_process *process = container_of(ref, struct rad_process, ref);

	put_pid(process->pid);
	rad_hot_destroy(process->hot);
	/* Who has a reference may try whether it has users still. */
	mmdrop(process->mm);
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
 * Return: with a reference, also if it retires; or NULL.
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

/* rad_process_tell_gone() - a node is to end its replica of the process with this number */
void rad_process_tell_gone(struct rad_node *node, u64 id)
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
		rad_process_tell_gone(node, process->id);
		rad_node_put(node);
	}
}

static void retire_work(struct work_struct *work)
{
	struct rad_process *process = container_of(work, struct rad_process, retire);

	/*
	 * 1. No replica answers for the process any more once it has been told; no
	 *    page goes out, because requests for one of a retiring process are refused.
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
	rad_process_put(process);
	/* The module can go then: its exit waits for this function. */
	if (atomic_dec_and_test(&retirements))
		wake_up_all(&retired);
}

/* Once for each process. */
static void begin_retirement(struct rad_process *process)
{
	lockdep_assert_held(&processes_lock);
	WRITE_ONCE(process->retiring, true);
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
	spin_lock(&processes_lock);
	if (!process->entering && !process->retiring && !rad_thread_count_wanted(process) &&
	    rad_homemem_end_if_empty(process))
		begin_retirement(process);
	spin_unlock(&processes_lock);
}

/* Who may kill the replica on its node may kill the process natively. */
static kuid_t replica_uid(const struct cred *cred)
{
	return uid_eq(cred->uid, cred->suid) ? cred->uid : GLOBAL_ROOT_UID;
}

static bool exists(struct mm_struct *mm)
{
	bool found;

	spin_lock(&processes_lock);
	found = find_mm_locked(mm);
	spin_unlock(&processes_lock);
	return found;
}

/*
 * Of two threads that make it one is first, by the lock of their own memory, which strangers
 * do not wait for; the other one has -EEXIST.
 */
static int publish(struct rad_process *process)
{
	struct mm_struct *mm = process->mm;
	int err = mmap_write_lock_killable(mm);

	if (err)
		return err;
	err = exists(mm) ? -EEXIST : rad_notifier_register(process);
	if (!err) {
		spin_lock(&processes_lock);
		process->id = ++last_id;
		list_add_tail(&process->list, &processes);
		count++;
		spin_unlock(&processes_lock);
	}
	mmap_write_unlock(mm);
	return err;
}

static int create(struct mm_struct *mm)
{
	struct rad_process *process = kzalloc(sizeof(*process), RAD_GFP_MODEST_ACCOUNT);
	int err = -ENOMEM;

	if (!process)
		return -ENOMEM;
	kref_init(&process->ref);
	spin_lock_init(&process->lock);
	mutex_init(&process->scratch_mutex);
	INIT_LIST_HEAD(&process->threads);
	INIT_LIST_HEAD(&process->list);
	INIT_WORK(&process->retire, retire_work);
	mmgrab(mm);
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
	err = publish(process);
	if (err)
		goto err_mem;
	/* Others see it, and may retire it: it is not touched any more. */
	rad_event_post(RADIUM_EVENT_PROCESS_NEW, 0, task_tgid_nr(current), 0, RADIUM_R_NONE);
	return 0;

err_mem:
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
	struct rad_process *process;
	int err;

	while (!(process = rad_process_enter_if_any())) {
		err = create(current->mm);
		/* Another one may have made it meanwhile, of what was missing here. */
		if (err && err != -EEXIST)
			return rad_process_enter_if_any() ?: ERR_PTR(err);
	}
	return process;
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
	WRITE_ONCE(process->nodes, process->nodes | rad_node_bit(node));
	spin_unlock(&process->lock);
}

/* rad_process_count() - distributed processes whose home is here, those that retire among them */
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

/* rad_process_pages_away() - held pages: that other nodes own, or that are lost with their owner */
unsigned long rad_process_pages_away(void)
{
	struct rad_process *process;
	unsigned long away = 0;

	spin_lock(&processes_lock);
	list_for_each_entry(process, &processes, list)
		away += READ_ONCE(process->mem.away);
	spin_unlock(&processes_lock);
	return away;
}

/**
 * rad_process_snapshot() - the processes as they are now
 * @n: out: how many
 *
 * Return: an array that the caller frees, each with a reference; or NULL without memory.
 */
struct rad_process **rad_process_snapshot(u32 *n)
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

/**
 * rad_process_snapshot_wait() - the processes as they are now, for who cannot do without
 * @n: out: how many
 *
 * Context: process; waits until there is memory, and leaves its CPU to who frees some.
 * Return: see rad_process_snapshot(), but not NULL.
 */
struct rad_process **rad_process_snapshot_wait(u32 *n)
{
	struct rad_process **array;

	while (!(array = rad_process_snapshot(n)))
		schedule_timeout_uninterruptible(1);
	return array;
}

/**
 * rad_process_await_retired() - wait until what retires has retired
 * @timeout: jiffies
 *
 * Context: process context; killable.
 * Return: as wait_event_killable_timeout().
 */
long rad_process_await_retired(unsigned long timeout)
{
	return wait_event_killable_timeout(retired, !atomic_read(&retirements), timeout);
}

int rad_process_init(void)
{
	retire_wq = alloc_workqueue("radium_retire", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return retire_wq ? 0 : -ENOMEM;
}

/* rad_process_uninit() - none is left: each held a reference to the module */
void rad_process_uninit(void)
{
	destroy_workqueue(retire_wq);
}

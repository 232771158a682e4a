/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: a distributed process, as its home sees it.
 *
 * Its identity is the mm, not the thread group: a vfork child, a CLONE_VM sibling
 * or io_uring may use the memory after the leader is gone. It begins with the
 * first migration of one of its threads and ends when the mm is released, or when
 * every thread and every page is home again.
 */
#ifndef _RADIUM_PROCESS_H
#define _RADIUM_PROCESS_H

#include <linux/jiffies.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include "homemem.h"
#include "../uapi/linux/radium.h"

struct file;
struct inode;
struct rad_hot;
struct rad_in;
struct rad_node;

struct rad_process_stats {
	atomic64_t faults;
	atomic64_t pages_sent;
	atomic64_t pages_received;
	atomic64_t pages_forwarded;
	atomic64_t pages_upgraded;
	atomic64_t recalls;
	atomic64_t syscalls;
	atomic64_t syscalls_inline;
	atomic64_t migrations;
	atomic64_t returns;
	atomic64_t fault_latency[RADIUM_LATENCY_BUCKETS];
	atomic64_t syscall_latency[RADIUM_LATENCY_BUCKETS];
};

/**
 * struct rad_process - a distributed process at home
 * @ref: the list holds one until it has retired, each thread and each entry of @mem one
 * @list: in the list of all
 * @id: never used twice while the module is loaded
 * @mm: its memory; the structure is held (mmgrab), not the address space
 * @notifier: sees every change of the layout
 * @mem: directory of the pages that have been away
 * @hot: which of them are fought for
 * @lock: protects @threads, and writing to @nodes and @draining
 * @threads: struct rad_thread
 * @nodes: bit i: node i+1 has, or may have, a replica
 * @draining: bit i: work is under way that node i+1 has asked for, which wants to be rid of it
 * @pid: the thread group that migrated first, for people
 * @uid: its owner, ids of the initial user namespace
 * @gid: see @uid
 * @comm: its name then
 * @killed: it has been ended because a part of it was lost; under @lock
 * @entering: threads on their way out: it must not retire
 * @retiring: set once; @retire does the rest; both under the lock of the list
 * @retire: see @retiring
 * @scratch_mutex: held by who makes @scratch
 * @scratch: memory for delegated calls: NULL, the file that is mapped, or an ERR_PTR if it
 *	cannot be made; see scratch.c
 * @stats: for people
 */
struct rad_process {
	struct kref ref;
	u64 id;
	struct list_head list;
	struct mm_struct *mm;
	struct mmu_notifier notifier;
	struct rad_homemem mem;
	struct rad_hot *hot;
	spinlock_t lock;
	struct list_head threads;
	u64 nodes;
	u64 draining;
	struct pid *pid;
	kuid_t uid;
	kgid_t gid;
	char comm[RADIUM_NAME_SIZE];
	bool killed;
	u32 entering;
	bool retiring;
	struct work_struct retire;
	struct mutex scratch_mutex;
	struct file *scratch;
	struct rad_process_stats stats;
};

/* process.c */
int rad_process_init(void);
void rad_process_uninit(void);
struct rad_process *rad_process_enter(void);
struct rad_process *rad_process_enter_if_any(void);
void rad_process_leave(struct rad_process *process);
struct rad_process *rad_process_find_mm(struct mm_struct *mm);
struct rad_process *rad_process_find_id(u64 id);
void rad_process_get(struct rad_process *process);
void rad_process_put(struct rad_process *process);
void rad_process_retire(struct rad_process *process);
void rad_process_retire_if_idle(struct rad_process *process);
bool rad_process_is_draining(struct rad_process *process);
void rad_process_note_replica(struct rad_process *process, struct rad_node *node);
u32 rad_process_count(void);
u32 rad_process_count_on(u32 node);

/* process_kill.c */
void rad_process_kill(struct rad_process *process, u32 node, u32 reason);
void rad_process_node_dead(struct rad_node *node);

/* process_recall.c */
int rad_recall_init(void);
void rad_recall_uninit(void);
int rad_process_drain(u32 *reason, unsigned long timeout);
void rad_process_on_drain(struct rad_in *in);

/* process_info.c */
int rad_process_list(struct radium_process_info *infos, u32 room, u32 *total);
void rad_latency_add(atomic64_t *histogram, u64 ns);

enum { RAD_TIMEOUT_MS = 30000 };

/* Of the calls that wait: 0 is the default. */
static inline unsigned long rad_timeout_jiffies(u32 timeout_ms)
{
	return msecs_to_jiffies(timeout_ms ?: RAD_TIMEOUT_MS);
}

/* What is left of such a time for the next wait, if it is over at @deadline; 0 if it is over. */
static inline unsigned long rad_jiffies_left(unsigned long deadline)
{
	return max_t(long, deadline - jiffies, 0);
}

#endif /* _RADIUM_PROCESS_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: the process in which visiting threads of one distributed process run.
 *
 * It is started as an ordinary program, gives up its whole address space for one
 * window, and its first task, the manager, sleeps in the device from then on: it
 * makes the tasks of visitors and never runs user code.
 */
#ifndef _RADIUM_REPLICA_H
#define _RADIUM_REPLICA_H

#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "window.h"
#include "wire.h"

struct file;
struct rad_in;
struct rad_node;
struct rad_visitor;
struct task_struct;

/**
 * struct rad_replica - a replica on this node
 * @ref: the list has one until it dies, its open file one, each visitor one, and so has each page
 *	that is asked for, on its way to another node, or to be revoked late
 * @list: in replicas
 * @home: its home node; holds a reference
 * @process: home's number of the process
 * @token: what the program shows to be taken for this replica
 * @uid: its owner
 * @gid: see @uid
 * @attached: completed when the window stands
 * @helper: the task that executes the program: only it may become the manager
 * @manager: the first task; holds a reference
 * @lock: protects @visitors, @births, @dying
 * @visitors: struct rad_visitor
 * @births: visitors that wait for their task
 * @wait: the manager sleeps here
 * @dying: set once
 * @clocks: when they may be set
 * @unasked: it was killed here, by an administrator or for lack of memory
 * @window: its memory
 * @freeing: frees it, when nobody has a reference any more
 */
struct rad_replica {
	struct kref ref;
	struct list_head list;
	struct rad_node *home;
	u64 process;
	u64 token;
	u32 uid;
	u32 gid;
	struct completion attached;
	struct pid *helper;
	struct task_struct *manager;
	spinlock_t lock;
	struct list_head visitors;
	struct list_head births;
	wait_queue_head_t wait;
	bool dying;
	bool unasked;
	struct mutex clocks;
	struct rad_window window;
	struct work_struct freeing;
};

/* replica.c: what there is */
int rad_replica_init(void);
void rad_replica_uninit(void);
struct rad_replica *rad_replica_new(const struct rad_in *in);
struct rad_replica *rad_replica_find(struct rad_node *home, u64 process);
struct rad_replica *rad_replica_find_token(u64 token);
void rad_replica_get(struct rad_replica *replica);
void rad_replica_put(struct rad_replica *replica);
void rad_replica_kill(struct rad_replica *replica);
void rad_replica_file_released(struct rad_replica *replica);
void rad_replica_on_process_gone(struct rad_in *in);
void rad_replica_node_dead(struct rad_node *node);
u32 rad_replica_visitor_count(void);
void rad_replica_set_clocks(struct rad_visitor *visitor, const struct rad_wire_prepare *prepare);
u32 rad_replica_count(void);
bool rad_replica_has_task(struct task_struct *task);
int rad_replica_drain(unsigned long timeout);

/* replica_make.c: how its program is started */
struct rad_replica *rad_replica_obtain(const struct rad_in *in);

/* replica_manager.c: what becomes of the program */
int rad_replica_run_manager(struct file *file, u64 token);
void rad_replica_kill_births(struct rad_replica *replica);

#endif /* _RADIUM_REPLICA_H */

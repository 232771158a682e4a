/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: one thread of a distributed process, as its home sees it.
 *
 * The task itself (the deputy, while the thread is away) makes every move; others
 * only say what they want and wait for it. Commit is one assignment: the state
 * becomes AWAY. Before it any failure leaves the thread at home; after it the
 * visitor is the thread.
 */
#ifndef _RADIUM_THREAD_H
#define _RADIUM_THREAD_H

#include <linux/hashtable.h>
#include <linux/kref.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/task_work.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "regs.h"
#include "wire.h"
#include "../uapi/linux/radium.h"

struct rad_in;
struct rad_node;
struct rad_parcel;
struct rad_process;

/**
 * struct rad_image - registers that have come home
 * @rcu: the last reference to the thread may go where one must not sleep
 * @is: the message, followed by the xstate
 */
struct rad_image {
	struct rcu_head rcu;
	struct rad_wire_return is;
};

enum { RAD_THREAD_ANSWERS = 8 };

/**
 * struct rad_deputy_result - of a call that has been made, and not been answered yet
 * @is_there: there is one
 * @ax: the result
 * @data: the answer, with what the call has written to memory that was lent to it; or NULL
 * @start: when the call began, ns
 */
struct rad_deputy_result {
	bool is_there;
	u64 ax;
	struct rad_out *data;
	u64 start;
};

/**
 * struct rad_used - processor time, ns
 * @utime: by ticks
 * @stime: by ticks
 * @runtime: by the scheduler
 */
struct rad_used {
	u64 utime;
	u64 stime;
	u64 runtime;
};

/**
 * struct rad_thread - a thread
 * @ref: the table has one, the process' list one, queued work one
 * @hash: in the table by task
 * @list: in rad_process.threads
 * @process: holds a reference; NULL before the first move; changes with exec
 * @task: holds a reference
 * @id: its number in the initial PID namespace
 * @lock: protects what follows, but what is said to be the deputy's or the task's only; inside the
 *	table's lock
 * @forgotten: out of the table by task
 * @state: see RAD_THREAD_MOVES
 * @stay: number of the stay away
 * @node: where it is, or is going to; holds a reference
 * @wanted: node where somebody asked it to be, 0: home
 * @by: rights of who asked for that; holds a reference; NULL: nobody has yet
 * @exec: number of the program that asked so of itself, else 0
 * @asked: requests to move: number of the last, the last that has an outcome
 * @answered: see @asked
 * @answers: the outcomes (enum radium_reason) of the last ones, by number
 * @recall: it is to come home, and why
 * @syscall: what the visitor wants done
 * @has_syscall: see @syscall
 * @in_syscall: it wants something done, and has no answer yet
 * @watched: what its node has been told, or is being told: somebody watches its calls
 * @parcel: what came with @syscall; NULL: no data ever has. See struct rad_parcel
 * @image: registers that have come home, not yet loaded
 * @since: CLOCK_BOOTTIME since when it can have used processor time elsewhere
 * @told_ticks: what its nodes have told of that, see rad_wire_check_cputime()
 * @told_runtime: see @told_ticks
 * @owed: what has been told and is the process', but not the thread's own yet; deputy only, or
 *	whoever it has asked to see to that
 * @lost: the visitor is gone, and why
 * @touch: what the deputy is to touch, so that its stack grows, say; NULL: nothing
 * @wait: the deputy and those who asked wait here
 * @work: brings the task to us, at the boundary to user mode
 * @queued: see @work
 * @nudge: takes the task out of an interruptible wait
 * @nudged: see @nudge
 * @again: goes out again after what brought it home
 * @backoff: jiffies until then; who asks it to move begins anew, under the lock; else deputy only
 * @out_since: when it went out (jiffies)
 * @fault: detail of the last return for a fault; deputy only
 * @restart: call in which it was when it went out; deputy only
 * @digest_out: of its registers when it went out; deputy only
 * @has_called: a call was made for it on this stay; deputy only
 * @stuck: it came back without having executed anything; deputy only
 * @recall_sent: the visitor was asked to come; deputy only
 * @result: of a call that is not quite over; deputy only
 * @executing: delegated system call that the deputy is in, -1: none; written by the deputy only
 * @boomerang: it executes one system call at home and goes out again; written by the task only
 */
struct rad_thread {
	struct kref ref;
	struct hlist_node hash;
	struct list_head list;
	struct rad_process *process;
	struct task_struct *task;
	u32 id;
	spinlock_t lock;
	bool forgotten;
	enum radium_thread_state state;
	u32 stay;
	struct rad_node *node;
	u32 wanted;
	const struct cred *by;
	u64 exec;
	u32 asked;
	u32 answered;
	u32 answers[RAD_THREAD_ANSWERS];
	u32 recall;
	struct rad_wire_syscall syscall;
	bool has_syscall;
	bool in_syscall;
	bool watched;
	struct rad_parcel *parcel;
	struct rad_image *image;
	u64 since;
	u64 told_ticks, told_runtime;
	struct rad_used owed;
	u32 lost;
	struct rad_touch *touch;
	wait_queue_head_t wait;
	struct callback_head work;
	unsigned long queued;
	struct callback_head nudge;
	unsigned long nudged;
	struct delayed_work again;
	unsigned long backoff;
	unsigned long out_since;
	u64 fault;
	struct rad_restart restart;
	u32 digest_out;
	bool has_called;
	bool stuck;
	bool recall_sent;
	struct rad_deputy_result result;
	int executing;
	bool boomerang;
	/* private: statistics, under lock */
	u32 reason;
	u64 detail;
	u64 migrations;
	u64 returns;
	u64 syscalls;
	u64 returns_by_reason[RADIUM_R_COUNT];
	u32 syscall_counts[512];
	u64 faults;
	u64 bytes;
	u64 waited;
};

/* thread.c */
int rad_thread_init(void);
void rad_thread_uninit(void);
bool rad_thread_any(void);
struct rad_thread *rad_thread_find(struct task_struct *task);
struct rad_thread *rad_thread_find_or_create(struct task_struct *task);
struct rad_thread *rad_thread_find_if(bool (*is)(const struct rad_thread *thread,
						 const void *context),
				      const void *context);
struct rad_thread *rad_thread_find_id(struct rad_process *process, u32 id);
void rad_thread_get(struct rad_thread *thread);
void rad_thread_put(struct rad_thread *thread);
void rad_thread_set_state(struct rad_thread *thread, enum radium_thread_state to);
struct rad_process *rad_thread_process(struct rad_thread *thread);
void rad_thread_attach(struct rad_thread *thread, struct rad_process *process);
void rad_thread_detach(struct rad_thread *thread, struct rad_process *from);
void rad_thread_forget(struct rad_thread *thread);
void rad_thread_end(struct rad_thread *thread);
void rad_thread_forget_all(struct rad_process *process);
bool rad_thread_kill_all(struct rad_process *process);
bool rad_thread_node_dead(struct rad_process *process, struct rad_node *node);

/* thread_ask.c */
void rad_thread_answer(struct rad_thread *thread, u32 number, u32 reason);
int rad_thread_move(struct task_struct *task, struct radium_move *move, u32 node);
int rad_thread_move_all(struct task_struct **tasks, u32 n, struct radium_move *move, u32 node);
bool rad_thread_comes_home(void);
bool rad_thread_is_wanted(struct task_struct *task);
void rad_thread_end_wishes(void);
void rad_thread_wish(u32 node, const struct cred *by, u64 exec);
int rad_thread_recall_process(struct rad_process *process, u32 from, u32 *reason,
			      unsigned long timeout);
struct rad_thread **rad_thread_snapshot(struct rad_process *process, u32 *n);

/* thread_info.c */
void rad_thread_count(struct rad_process *process, u32 *threads, u32 *away);
u32 rad_thread_count_on(struct rad_process *process, u32 node);
u32 rad_thread_count_wanted(struct rad_process *process);
void rad_thread_add_fault(struct rad_thread *thread, u64 bytes, u64 waited);
u64 rad_thread_calls(void);
void rad_thread_add_wait(struct rad_process *process, u64 waited);
int rad_thread_list(struct rad_process *process, struct radium_thread_info *infos, u32 room,
		    u32 *total);

/* deputy*.c */
void rad_deputy_summon(struct rad_thread *thread);
bool rad_deputy_interrupt(struct rad_thread *thread);
void rad_deputy_init_thread(struct rad_thread *thread);
bool rad_deputy_syscall_entry(struct pt_regs *regs);
bool rad_deputy_touch(struct rad_process *process, u32 id, const struct rad_node *from,
		      struct rad_touch *touch);
void rad_deputy_drop_touch(struct rad_thread *thread);
void rad_deputy_free_parcel(struct rad_thread *thread);
void rad_deputy_free_answer(struct rad_thread *thread);
void rad_deputy_on_syscall(struct rad_in *in);
void rad_deputy_on_return(struct rad_in *in);
void rad_deputy_on_visitor_gone(struct rad_in *in);

#endif /* _RADIUM_THREAD_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: the processor time that a thread has used elsewhere.
 *
 * Home is told of it with each call and when the thread comes home; what is told has been checked
 * (claim_time()). At once it becomes the process', in the sums that the kernel keeps for threads that
 * have ended, where no scheduler writes. Into what the thread itself has used only the scheduler writes,
 * under a lock that is its own: so that comes later, while the thread sleeps and is off its CPU, when it
 * has come home or asks for it. Then it is taken out of those sums, in one step for whoever adds all up.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/sched/cputime.h>
#include <linux/sched/signal.h>
#include <linux/time.h>
#include <asm/syscall.h>
#include "deputy_internal.h"
#include "regs.h"
#include "wire.h"

enum { OWED_NS = 100 * NSEC_PER_MSEC };	/* not the thread's for longer than this, while it makes calls */

/* rad_deputy_account() - @thread, which is current's, has used so much, and it is the process' now */
void rad_deputy_account(struct rad_thread *thread, const struct rad_wire_cputime *cputime)
{
	/* Current's own: it stays until current exits. */
	struct sighand_struct *sighand = rcu_dereference_protected(current->sighand, true);
	u64 utime = le64_to_cpu(cputime->utime), stime = le64_to_cpu(cputime->stime);
	u64 runtime = le64_to_cpu(cputime->runtime);
	struct signal_struct *sig = current->signal;

	spin_lock_irq(&sighand->siglock);
	write_seqlock(&sig->stats_lock);
	sig->utime += utime;
	sig->stime += stime;
	sig->sum_sched_runtime += runtime;
	write_sequnlock(&sig->stats_lock);
	/*
	 * While a timer or a limit of the process' time is set the kernel counts that apart, and looks
	 * there only. Under siglock, under which a timer begins with what is counted above.
	 */
	account_group_user_time(current, utime);
	account_group_system_time(current, stime);
	account_group_exec_runtime(current, runtime);
	spin_unlock_irq(&sighand->siglock);
	thread->owed.utime += utime;
	thread->owed.stime += stime;
	thread->owed.runtime += runtime;
}

/*
 * What the kernel estimates from what a task has used since it last looked, its use of memory or of
 * NUMA nodes, is about this machine.
 */
static void skip_statistics(struct task_struct *task, const struct rad_used *used)
{
	task->se.prev_sum_exec_runtime += used->runtime;
#ifdef CONFIG_TASK_XACCT
	task->acct_timexpd += used->utime + used->stime;
#endif
#ifdef CONFIG_NUMA_BALANCING
	task->last_sum_exec_runtime += used->runtime;
	if (task->node_stamp)
		task->node_stamp += used->runtime;
#endif
}

/**
 * rad_deputy_give_time() - what the thread has used becomes its own
 * @thread: at home, or its deputy; its task sleeps until we are through, and does not exit
 *
 * Context: process context of somebody else; sleeps.
 */
void rad_deputy_give_time(struct rad_thread *thread)
{
	struct rad_used *owed = &thread->owed;
	struct task_struct *task = thread->task;
	struct sighand_struct *sighand = rcu_dereference_protected(task->sighand, true);
	struct signal_struct *sig = task->signal;
	unsigned long switches, later;
	u64 sum;

	if (!owed->utime && !owed->stime && !owed->runtime)
		return;
	switches = rad_regs_hold_off_cpu(task);
	if (!switches)
		return;
	spin_lock_irq(&sighand->siglock);
	write_seqlock(&sig->stats_lock);
	sig->utime -= owed->utime;
	sig->stime -= owed->stime;
	sig->sum_sched_runtime -= owed->runtime;
	task->utime += owed->utime;
	task->stime += owed->stime;
	sum = READ_ONCE(task->se.sum_exec_runtime) + owed->runtime;
	WRITE_ONCE(task->se.sum_exec_runtime, sum);
	write_sequnlock(&sig->stats_lock);
	spin_unlock_irq(&sighand->siglock);
	skip_statistics(task, owed);
	memset(owed, 0, sizeof(*owed));
	/* A late wake-up of its last wait: the scheduler may have added to what it had read before. */
	while ((later = rad_regs_hold_off_cpu(task)) && later != switches) {
		switches = later;
		if (READ_ONCE(task->se.sum_exec_runtime) < sum)
			WRITE_ONCE(task->se.sum_exec_runtime, sum);
	}
}

/* Is this about the thread's own clock? Those of the process have it already. */
static bool asks_for_own(const struct rad_wire_syscall *call)
{
	/* See CPUCLOCK_PERTHREAD() of posix-timers.h: of clocks below 0, this bit. */
	const int per_thread = 4;
	int first = le64_to_cpu(call->args[0]);

	switch (le32_to_cpu(call->nr)) {
	case __NR_clock_gettime:
		return first == CLOCK_THREAD_CPUTIME_ID || (first < 0 && first & per_thread);
	case __NR_getrusage:
		return first == RUSAGE_THREAD;
	case __NR_timer_settime:
	case __NR_timer_gettime:
		return true;
	default:
		return false;
	}
}

/* rad_deputy_owes_time() - does the deputy have to see to its time before it makes this call? */
bool rad_deputy_owes_time(const struct rad_thread *thread, const struct rad_wire_syscall *call)
{
	const struct rad_used *owed = &thread->owed;

	return owed->runtime > OWED_NS ||
	       ((owed->utime || owed->stime || owed->runtime) && asks_for_own(call));
}

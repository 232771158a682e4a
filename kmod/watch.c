// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: what watches system calls at home.
 *
 * Calls that are answered where the thread is (visitor_local.c) are not seen by anybody at
 * home, so a node answers none of a thread whose calls are watched. Home tells it with PREPARE and
 * SYSCALL_DONE. That is enough for what the thread does itself (seccomp, prctl), for what is
 * there from its beginning (audit), and for what stops it first (ptrace). Two things
 * come from elsewhere:
 *
 *   seccomp() with TSYNC	puts a filter on the caller's siblings, wherever they are
 *   the first tracepoint	of system calls that is switched on, anywhere, on all tasks
 *
 * Who does the one or the other calls home those that do not know. They go out again at once,
 * and know.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/entry-common.h>
#include <linux/sched/signal.h>
#include <linux/seccomp.h>
#include "thread.h"
#include "watch.h"

/* For siblings to come home; one that does not answer for so long is on a node that is lost. */
enum { AWARE_JIFFIES = 30 * HZ };

/* rad_watch_is_on() - does somebody watch current's system calls? */
bool rad_watch_is_on(void)
{
	return READ_ONCE(current_thread_info()->syscall_work) &
	       (SYSCALL_WORK_ENTER | SYSCALL_WORK_EXIT);
}

/*
 * May its node answer calls, because it has been told, or is being told, that nobody watches?
 * Not while the deputy has a call to answer: with the answer it tells what is so then.
 * Not with the registers on their way: nothing is executed there.
 *
 * @of: only threads of its process; NULL: all
 */
static bool is_unaware(const struct rad_thread *thread, const struct task_struct *of)
{
	lockdep_assert_held(&thread->lock);
	return (thread->state == RADIUM_THREAD_PREPARING || thread->state == RADIUM_THREAD_AWAY) &&
	       !thread->watched && !thread->in_syscall && !thread->image &&
	       (!of || thread->task->signal == of->signal);
}

static bool is_unaware_at_large(const struct rad_thread *thread, const void *of)
{
	return is_unaware(thread, of) && !thread->recall;
}

static bool is_unaware_recalled(const struct rad_thread *thread, const void *of)
{
	return is_unaware(thread, of) && thread->recall;
}

static void recall(const struct task_struct *of)
{
	struct rad_thread *thread;

	while ((thread = rad_thread_find_if(is_unaware_at_large, of))) {
		spin_lock(&thread->lock);
		if (is_unaware_at_large(thread, of))
			thread->recall = RADIUM_R_ASKED;
		spin_unlock(&thread->lock);
		rad_deputy_summon(thread);
		rad_thread_put(thread);
	}
}

static bool is_aware(struct rad_thread *thread)
{
	bool aware;

	spin_lock(&thread->lock);
	aware = !is_unaware(thread, NULL);
	spin_unlock(&thread->lock);
	return aware;
}

/* Until those that have been recalled know, or a fatal signal, or for so long. */
static void wait_until_aware(const struct task_struct *of)
{
	long left = AWARE_JIFFIES;
	struct rad_thread *thread;

	while (left > 0 && (thread = rad_thread_find_if(is_unaware_recalled, of))) {
		left = wait_event_killable_timeout(thread->wait, is_aware(thread), left);
		rad_thread_put(thread);
	}
}

/**
 * rad_watch_after_seccomp() - current has called seccomp()
 * @operation: its first argument
 * @flags: its second
 * @result: what it returns
 *
 * Called by the hook on seccomp(), and by the deputy after a delegated one, which passes
 * the hook or not, as the compiler has made the call: twice does no harm.
 *
 * When this returns the filter acts on each call of each sibling, as it does natively when
 * seccomp() returns.
 *
 * Context: process context, no locks; killable. A sibling comes home without any help of
 * current's.
 */
void rad_watch_after_seccomp(u32 operation, u32 flags, long result)
{
	/* With the number of a thread that could not follow it has failed, too: no harm in that. */
	if (operation != SECCOMP_SET_MODE_FILTER || !(flags & SECCOMP_FILTER_FLAG_TSYNC) ||
	    result < 0)
		return;
	recall(current);
	wait_until_aware(current);
}

/**
 * rad_watch_after_tracepoint() - a tracepoint of system calls has been switched on
 *
 * Nobody waits: calls that are answered until a thread has come home are missed.
 *
 * Context: process context; the caller holds the mutex of tracepoints.
 */
void rad_watch_after_tracepoint(void)
{
	recall(NULL);
}

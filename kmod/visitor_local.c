// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: system calls that are answered where the thread is.
 *
 * Who the thread is home has told: with PREPARE, and again with each call that the deputy has
 * made. In between only the thread itself could change it, by a call that is home's:
 * while it makes one it does not ask. exec and what else is done natively at home ends the stay.
 * What others can change (its parent, its session, the map of its user namespace before that is
 * written) is not told, and asked for at home.
 *
 * What time it is the page says that the program's vdso reads.
 *
 * A request to come home that arrives meanwhile is obeyed on the way to user mode, with the
 * answer in the registers: the call has been made.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/time.h>
#include <linux/uaccess.h>
#include <asm/unistd.h>
#include "ksym.h"
#include "replica.h"
#include "visitor_internal.h"

static bool tell_id(struct pt_regs *regs, __le32 id)
{
	u32 value = le32_to_cpu(id);

	if (value == RAD_ID_UNKNOWN)
		return false;
	regs->ax = value;
	return true;
}

/*
 * Stores a result as the call would, with a fault that fetches the page if it is not here. What
 * cannot be written to here is written to at home, or found to be wrong there.
 */
static bool put(struct pt_regs *regs, u64 to, const void *result, size_t len)
{
	if (copy_to_user(u64_to_user_ptr(to), result, len))
		return false;
	regs->ax = 0;
	return true;
}

static bool tell_clock(const struct rad_vvar *vvar, struct pt_regs *regs)
{
	struct __kernel_timespec result;
	struct timespec64 now;

	if (!rad_vvar_read(vvar, regs->di, &now))
		return false;
	result.tv_sec = now.tv_sec;
	result.tv_nsec = now.tv_nsec;
	return put(regs, regs->si, &result, sizeof(result));
}

static bool tell_resolution(const struct rad_vvar *vvar, struct pt_regs *regs)
{
	struct __kernel_timespec result = { };
	long ns;

	if (!rad_vvar_resolution(vvar, regs->di, &ns))
		return false;
	result.tv_nsec = ns;
	if (regs->si)
		return put(regs, regs->si, &result, sizeof(result));
	regs->ax = 0;
	return true;
}

/* Without the time zone, which is home's. */
static bool tell_time_of_day(const struct rad_vvar *vvar, struct pt_regs *regs)
{
	struct __kernel_old_timeval result;
	struct timespec64 now;

	if (regs->si || !regs->di || !rad_vvar_read(vvar, CLOCK_REALTIME, &now))
		return false;
	result.tv_sec = now.tv_sec;
	result.tv_usec = now.tv_nsec / NSEC_PER_USEC;
	return put(regs, regs->di, &result, sizeof(result));
}

static bool tell_seconds(const struct rad_vvar *vvar, struct pt_regs *regs)
{
	__kernel_old_time_t result;
	s64 seconds;

	if (!rad_vvar_seconds(vvar, &seconds))
		return false;
	result = seconds;
	if (regs->di && !put(regs, regs->di, &result, sizeof(result)))
		return false;
	regs->ax = seconds;
	return true;
}

/**
 * rad_visitor_answer() - make a LOCAL call where the thread is
 * @visitor: current
 * @regs: its registers
 * @nr: number of the call
 *
 * Context: the entry of a system call, irqs on, no locks; sleeps in faults of the window.
 * Return: false: it is to be made at home, because somebody watches, or because it cannot be
 * answered here; nothing has been done, but for a part of a result that home writes again.
 */
bool rad_visitor_answer(struct rad_visitor *visitor, struct pt_regs *regs, int nr)
{
	const struct rad_vvar *vvar = &visitor->replica->window.vvar;
	const struct rad_wire_self *self = &visitor->self;

	if (rad_visitor_is_watched(visitor))
		return false;
	switch (nr) {
	case __NR_getpid:
		return tell_id(regs, self->pid);
	case __NR_gettid:
		return tell_id(regs, self->tid);
	case __NR_getuid:
		return tell_id(regs, self->uid);
	case __NR_geteuid:
		return tell_id(regs, self->euid);
	case __NR_getgid:
		return tell_id(regs, self->gid);
	case __NR_getegid:
		return tell_id(regs, self->egid);
	case __NR_clock_gettime:
		return tell_clock(vvar, regs);
	case __NR_clock_getres:
		return tell_resolution(vvar, regs);
	case __NR_gettimeofday:
		return tell_time_of_day(vvar, regs);
	case __NR_time:
		return tell_seconds(vvar, regs);
	case __NR_sched_yield:
		regs->ax = rad_ksym.x64_sys_call(regs, nr);
		return true;
	default:
		return false;
	}
}

// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "radium: " fmt

#include <linux/elf.h>
#include <linux/ptrace.h>
#include <linux/regset.h>
#include <linux/rseq.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/uaccess.h>
#include <asm/fpu/types.h>
#include <asm/syscall.h>
#include <asm/user.h>
#include "ksym.h"
#include "regs.h"
#include "wire_check.h"

/* restart_syscall() as 32-bit calls number it; that of get_nr_restart_syscall() */
enum { NR_RESTART_32 = 0 };

static u64 own_features;
static size_t xstate_len;
/* Of a 64-bit task, whatever code segment a thread happens to be in. */
static const struct user_regset *general, *xstate;

static const struct user_regset *regset(struct task_struct *task, unsigned int note)
{
	const struct user_regset_view *view = task_user_regset_view(task);
	unsigned int i;

	for (i = 0; i < view->n; i++)
		if (view->regsets[i].core_note_type == note)
			return &view->regsets[i];
	return NULL;
}

/**
 * rad_regs_init() - learn what this CPU's image looks like
 *
 * Context: process context of a user task (insmod).
 * Return: 0, -ENODEV without XSAVE or in a 32-bit program, -E2BIG where the image is larger than wire.h
 * allows, -ENOMEM.
 */
int rad_regs_init(void)
{
	struct rad_wire_regs *image;
	size_t len;
	int err;

	BUILD_BUG_ON(sizeof(struct user_regs_struct) != sizeof(image->gregs));
	general = regset(current, NT_PRSTATUS);
	xstate = regset(current, NT_X86_XSTATE);
	/* Those of a 32-bit program that loads the module are others. */
	if (!general || !xstate || general->n * general->size != sizeof(image->gregs))
		return -ENODEV;
	len = xstate->n * xstate->size;
	if (len > RAD_XSTATE_MAX)
		return -E2BIG;
	if (len < RAD_XSTATE_MIN)
		return -ENODEV;
	image = kvzalloc(sizeof(*image) + len, GFP_KERNEL);
	if (!image)
		return -ENOMEM;
	xstate_len = len;
	err = rad_regs_save(image);
	if (!err)
		memcpy(&own_features, (u8 *)(image + 1) + RAD_XSTATE_FEATURES,
		       sizeof(own_features));
	kvfree(image);
	return err;
}

/* rad_regs_xstate_len() - bytes of xstate behind a struct rad_wire_regs */
size_t rad_regs_xstate_len(void)
{
	return xstate_len;
}

/* Is current, outside of a call, where it would make that one again? */
static bool is_before(const struct pt_regs *regs, const struct rad_restart *restart)
{
	return regs->ip == restart->ip && regs->sp == restart->sp && regs->ax == restart->ax;
}

/**
 * rad_regs_restart_syscall() - do the restart that the kernel would do
 * @regs: of current, on its way to user mode
 * @restart: what was done, for rad_regs_undo_restart(); as it was if current is in no call
 *
 * A thread that was taken out of a blocking system call shows an internal restart
 * code in ax. Natively arch_do_signal_or_restart() turns it into a repetition of
 * the call before user mode sees it; the same is done here, because the
 * registers leave before the kernel gets there. If it does not leave then, and comes here
 * again, what was done is what was done the first time.
 */
void rad_regs_restart_syscall(struct pt_regs *regs, struct rad_restart *restart)
{
	int nr = syscall_get_nr(current, regs);

	if (nr == -1) {
		/* Elsewhere by now, in the program's own code: nothing is to be undone. */
		if (!is_before(regs, restart))
			restart->code = 0;
		return;
	}
	restart->nr = nr;
	restart->code = syscall_get_error(current, regs);
	switch (restart->code) {
	case -ERESTARTNOHAND:
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
		regs->ax = regs->orig_ax;
		regs->ip -= 2;
		break;
	case -ERESTART_RESTARTBLOCK:
		regs->ax = current->restart_block.arch_data & TS_COMPAT ? NR_RESTART_32 :
									   __NR_restart_syscall;
		regs->ip -= 2;
		break;
	default:
		restart->code = 0;
	}
	/* As ppoll() and sigsuspend() have it: away it is as outside of the call. */
	restart->masked = test_and_clear_restore_sigmask();
	if (restart->masked) {
		restart->mask = current->blocked;
		sigprocmask(SIG_SETMASK, &current->saved_sigmask, NULL);
	}
	regs->orig_ax = -1;
	restart->ip = regs->ip;
	restart->sp = regs->sp;
	restart->ax = regs->ax;
}

/**
 * rad_regs_undo_restart() - a signal came before the call has been made again
 * @regs: of current, on its way to the delivery of a signal
 * @restart: of the last rad_regs_restart_syscall(); forgotten when it is undone
 *
 * For the program it is in the call all the time: the signal ends it, and the kernel
 * decides about a restart. A thread that has come to the same instruction anew sees
 * what it would see if the signal had come one instruction later.
 */
void rad_regs_undo_restart(struct pt_regs *regs, struct rad_restart *restart)
{
	if (!restart->code || syscall_get_nr(current, regs) != -1 || !is_before(regs, restart))
		return;
	regs->orig_ax = restart->nr;
	regs->ax = restart->code;
	regs->ip += 2;
	restart->code = 0;
	if (restart->masked) {
		current->saved_sigmask = current->blocked;
		sigprocmask(SIG_SETMASK, &restart->mask, NULL);
		set_restore_sigmask();
	}
	/* With that mask there may be no signal any more. */
	rad_regs_have_restarted();
}

/**
 * rad_regs_have_restarted() - the kernel's own exit path is to look at a restart code in ax
 *
 * It does without being told if there is a signal. That one may be the last, and a core that is
 * dumped into a pipe is cut off while current is told to look at anything (pipe_write()).
 */
void rad_regs_have_restarted(void)
{
	if (!task_sigpending(current))
		set_thread_flag(TIF_NOTIFY_SIGNAL);
}

/**
 * rad_regs_leave_rseq() - end current's restartable sequence before it moves
 * @regs: of current
 *
 * Elsewhere the CPU number in the rseq area means nothing. A critical section
 * under way is aborted, as a preemption would do, and while the thread is away
 * the area says "not registered", so that users take their slow path. At home
 * the kernel writes the CPU number again on the next return to user mode.
 */
void rad_regs_leave_rseq(struct pt_regs *regs)
{
	struct rseq __user *area = current->rseq;
	struct rseq_cs cs;
	u64 ptr;
	u32 sig;

	if (!area)
		return;
	if (!get_user(ptr, &area->rseq_cs) && ptr &&
	    !copy_from_user(&cs, u64_to_user_ptr(ptr), sizeof(cs)) &&
	    regs->ip - cs.start_ip < cs.post_commit_offset &&
	    !get_user(sig, (u32 __user *)u64_to_user_ptr(cs.abort_ip - sizeof(u32))) &&
	    sig == current->rseq_sig) {
		regs->ip = cs.abort_ip;
		put_user(0ULL, &area->rseq_cs);
	}
	/* Both words, as rseq_reset_rseq_cpu_id() does: some keep more than a number in the first. */
	put_user(0u, &area->cpu_id_start);
	put_user((u32)RSEQ_CPU_ID_UNINITIALIZED, &area->cpu_id);
}

/* rad_regs_pkru() - current's rights by protection key */
u32 rad_regs_pkru(void)
{
	return cpu_feature_enabled(X86_FEATURE_OSPKE) ? read_pkru() : 0;
}

/* rad_regs_set_pkru() - current accesses user memory with these rights from now on */
void rad_regs_set_pkru(u32 pkru)
{
	if (!cpu_feature_enabled(X86_FEATURE_OSPKE))
		return;
	current->thread.pkru = pkru;
	write_pkru(pkru);
}

/**
 * rad_regs_forbid() - has current forbidden itself RDTSC or CPUID?
 *
 * PR_SET_TSC and ARCH_CPUID are kept in a register of the CPU that the task runs on. No
 * exported function sets it: such a thread stays at home.
 */
bool rad_regs_forbid(void)
{
	return test_thread_flag(TIF_NOTSC) || test_thread_flag(TIF_NOCPUID);
}

/**
 * rad_regs_save() - write current's registers into an image
 * @image: with room for rad_regs_xstate_len() bytes behind it
 *
 * Context: process context of the thread itself.
 * Return: 0 or a negative error of the regset.
 */
int rad_regs_save(struct rad_wire_regs *image)
{
	int err;

	/* The regset takes what was saved when current was last switched out. */
	current->thread.pkru = rad_regs_pkru();
	err = general->regset_get(current, general,
				  (struct membuf){ .p = image->gregs,
						   .left = sizeof(image->gregs) });
	if (err < 0)
		return err;
	err = xstate->regset_get(current, xstate,
				 (struct membuf){ .p = image + 1, .left = xstate_len });
	if (err < 0)
		return err;
	image->xstate_len = cpu_to_le32(xstate_len);
	image->reserved = 0;
	return 0;
}

/**
 * rad_regs_check() - may this image from a peer be loaded here?
 * @image: the image
 * @room: bytes of the message from @image to its end
 *
 * Return: as rad_wire_check_regs().
 */
u32 rad_regs_check(const struct rad_wire_regs *image, size_t room)
{
	return rad_wire_check_regs(image, room, xstate_len, own_features);
}

/**
 * rad_regs_hold_off_cpu() - wait until a task is not on a CPU
 * @task: on its way to sleep, uninterruptibly, until we let it go on
 *
 * The regsets write to memory that the CPU would overwrite when it is switched out.
 *
 * Context: process context of somebody else; sleeps.
 * Return: how often it has been switched out: if that is the same later, it has not been on a CPU
 * in between. 0: it exits.
 */
unsigned long rad_regs_hold_off_cpu(struct task_struct *task)
{
	unsigned long switches;

	while (!(switches = rad_ksym.wait_task_inactive(task, TASK_UNINTERRUPTIBLE | TASK_FROZEN))) {
		if (READ_ONCE(task->flags) & PF_EXITING || task->exit_state)
			return 0;
		/* On its way to sleep: wait_task_inactive() itself looks once a tick. */
		schedule_timeout_uninterruptible(1);
	}
	return switches;
}

/*
 * What user mode can have in a register and a debugger cannot put there. The rest is as a
 * debugger would have it: no kernel selector, no privileged flag, no bad MXCSR.
 */

/* Privilege level 3, and nothing but null without: RPL 0 finds the same segment in user mode. */
static unsigned long user_selector(unsigned long value)
{
	if ((value & SEGMENT_RPL_MASK) == USER_RPL)
		return value;
	return value & ~SEGMENT_RPL_MASK ? value | USER_RPL : 0;
}

/* WRFSBASE takes any canonical address; another one would be a fault of the kernel's. */
static bool is_high_base(u64 base)
{
	return base >= TASK_SIZE_MAX &&
	       __is_canonical_address(base, pgtable_l5_enabled() ? 57 : 48);
}

static int load_general(struct task_struct *task, const void *image)
{
	struct user_regs_struct gregs;
	u64 fs_base, gs_base;
	int err;

	memcpy(&gregs, image, sizeof(gregs));
	gregs.ds = user_selector(gregs.ds);
	gregs.es = user_selector(gregs.es);
	gregs.fs = user_selector(gregs.fs);
	gregs.gs = user_selector(gregs.gs);
	fs_base = gregs.fs_base;
	gs_base = gregs.gs_base;
	/* Without that instruction the kernel takes a high GS base for its own (paranoid_entry). */
	if (!boot_cpu_has(X86_FEATURE_FSGSBASE) && (is_high_base(fs_base) || is_high_base(gs_base)))
		return -EINVAL;
	if (is_high_base(fs_base))
		gregs.fs_base = 0;
	if (is_high_base(gs_base))
		gregs.gs_base = 0;
	err = general->set(task, general, 0, sizeof(gregs), &gregs, NULL);
	if (err)
		return err;
	task->thread.fsbase = fs_base;
	task->thread.gsbase = gs_base;
	/* Programs toggle it to find out whether there is a CPUID instruction. */
	task_pt_regs(task)->flags &= ~X86_EFLAGS_ID;
	task_pt_regs(task)->flags |= gregs.flags & X86_EFLAGS_ID;
	return 0;
}

/**
 * rad_regs_load() - give a task the registers of an image
 * @task: sleeps, or is about to, until the caller wakes it; not current
 * @image: passed rad_regs_check()
 *
 * The ptrace regsets do the work, so that what a peer can ask for is what a debugger can
 * ask for, or what user mode could do itself.
 *
 * Context: process context, may sleep.
 * Return: 0, -ESRCH if the task exits, -EIO or -EINVAL for values that the kernel does
 * not accept.
 */
int rad_regs_load(struct task_struct *task, const struct rad_wire_regs *image)
{
	unsigned long before, after;
	int err;

	/* It goes when the task exits. */
	if (!try_get_task_stack(task))
		return -ESRCH;
	after = rad_regs_hold_off_cpu(task);
	do {
		before = after;
		if (!before) {
			err = -ESRCH;
			break;
		}
		err = load_general(task, image->gregs);
		if (!err)
			err = xstate->set(task, xstate, 0, xstate_len, image + 1, NULL);
		/* A late wake-up of its last wait: it has saved what it had over these. */
		after = rad_regs_hold_off_cpu(task);
	} while (after != before);
	rad_ksym.put_task_stack(task);
	return err;
}

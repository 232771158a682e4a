// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "radium: " fmt

#include <linux/ftrace.h>
#include <linux/module.h>
#include "hook.h"
#include "ksym.h"
#include "watch.h"

#ifdef CONFIG_PREEMPT_RT
#error "not for PREEMPT_RT: probes of tracepoints take spin locks, which sleep there"
#endif

enum { STUCK_JIFFIES = 60 * HZ };

struct rad_hook_original rad_hook_original;

/* Tasks that are inside one of our replacements. */
static atomic_t active;

/*
 * struct hook - a function, and what is entered instead
 * @concerns: is a call with this first argument to be looked at? NULL: each. Whoever has nothing
 *	to do with us does not even come by: he may sleep in the original for as long as he
 *	likes (userfaultfd, a file system that is frozen), and unloading would wait for him.
 *	Called where the function is, with its locks; does not sleep
 */
struct hook {
	const char *name;
	void *replacement;
	void **original;
	bool (*concerns)(unsigned long argument);
	struct ftrace_ops ops;
	unsigned long ip;
	bool registered;
};

static void notrace divert(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			   struct ftrace_regs *fregs)
{
	struct hook *hook = container_of(ops, struct hook, ops);

	/* The replacement calls the original: let that call through. */
	if (within_module(parent_ip, THIS_MODULE))
		return;
	/* 6.2 has ftrace_regs_get_argument(). */
	if (!hook->concerns || hook->concerns(fregs->regs.di))
		ftrace_instruction_pointer_set(fregs, (unsigned long)hook->replacement);
}

static bool concerns_swap(unsigned long vmf)
{
	return rad_homemem_concerns_swap((const struct vm_fault *)vmf);
}

static bool concerns_wp(unsigned long vmf)
{
	return rad_homemem_concerns_wp((const struct vm_fault *)vmf);
}

static bool concerns_migration(unsigned long mm)
{
	return rad_homemem_may_hold();
}

static bool concerns_dispatch(unsigned long regs)
{
	return rad_syscall_concerns_dispatch();
}

/*
 * The entries count who is inside, so that unloading can wait for them: a
 * replacement may sleep for as long as a page is on its way.
 */
static vm_fault_t enter_do_swap_page(struct vm_fault *vmf)
{
	vm_fault_t ret;

	atomic_inc(&active);
	ret = rad_homemem_do_swap_page(vmf);
	atomic_dec(&active);
	return ret;
}

static vm_fault_t enter_do_wp_page(struct vm_fault *vmf)
{
	vm_fault_t ret;

	atomic_inc(&active);
	ret = rad_homemem_do_wp_page(vmf);
	atomic_dec(&active);
	return ret;
}

static void enter_migration_entry_wait(struct mm_struct *mm, pmd_t *pmd, unsigned long address)
{
	atomic_inc(&active);
	rad_homemem_migration_entry_wait(mm, pmd, address);
	atomic_dec(&active);
}

static bool enter_syscall_user_dispatch(struct pt_regs *regs)
{
	bool ret;

	atomic_inc(&active);
	ret = rad_syscall_user_dispatch(regs);
	atomic_dec(&active);
	return ret;
}

/* Its two entries differ in where the arguments are. */
static long enter_seccomp(long (*original)(const struct pt_regs *regs), const struct pt_regs *regs,
			  u32 operation, u32 flags)
{
	long ret;

	atomic_inc(&active);
	ret = original(regs);
	rad_watch_after_seccomp(operation, flags, ret);
	atomic_dec(&active);
	return ret;
}

static long enter___x64_sys_seccomp(const struct pt_regs *regs)
{
	return enter_seccomp(rad_hook_original.__x64_sys_seccomp, regs, regs->di, regs->si);
}

static long enter___ia32_sys_seccomp(const struct pt_regs *regs)
{
	return enter_seccomp(rad_hook_original.__ia32_sys_seccomp, regs, regs->bx, regs->cx);
}

static int enter_syscall_regfunc(void)
{
	int ret;

	atomic_inc(&active);
	ret = rad_hook_original.syscall_regfunc();
	rad_watch_after_tracepoint();
	atomic_dec(&active);
	return ret;
}

#define HOOK(function, which)						\
	{								\
		.name = #function,					\
		.replacement = enter_##function,			\
		.original = (void **)&rad_hook_original.function,	\
		.concerns = which,					\
	}

static struct hook hooks[] = {
	HOOK(do_swap_page, concerns_swap),
	HOOK(do_wp_page, concerns_wp),
	HOOK(migration_entry_wait, concerns_migration),
	HOOK(syscall_user_dispatch, concerns_dispatch),
	HOOK(__x64_sys_seccomp, NULL),
	HOOK(__ia32_sys_seccomp, NULL),
	HOOK(syscall_regfunc, NULL),
};

static int install(struct hook *hook)
{
	int err;

	hook->ip = (unsigned long)rad_ksym_find(hook->name);
	if (!hook->ip)
		return -ENOENT;

	*hook->original = (void *)hook->ip;
	hook->ops.func = divert;
	hook->ops.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT;
	err = ftrace_set_filter_ip(&hook->ops, hook->ip, 0, 0);
	if (err)
		return err;
	err = register_ftrace_function(&hook->ops);
	if (err) {
		ftrace_free_filter(&hook->ops);
		return err;
	}
	hook->registered = true;
	return 0;
}

/**
 * rad_hook_init() - install every hook
 *
 * Context: process context, at load.
 * Return: 0, or the error of the first that failed, after a message: -ENOENT where
 * the kernel lacks the function, -EBUSY where a livepatch holds it, -EPERM or
 * -ENODEV where ftrace is off (kernel.ftrace_enabled).
 */
int rad_hook_init(void)
{
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		err = install(&hooks[i]);
		if (err) {
			pr_err("cannot hook %s (%d): is kernel.ftrace_enabled 1, and is no livepatch of it loaded?\n",
			       hooks[i].name, err);
			rad_hook_uninit();
			return err;
		}
	}
	return 0;
}

/* Where ftrace has given itself up its trampolines stay, and lead to us: so do we, then. */
static void uninstall(struct hook *hook)
{
	int err;

	while ((err = unregister_ftrace_function(&hook->ops))) {
		pr_crit_once("ftrace is broken (%d): the hooks stay, and so does the module; reboot\n", err);
		schedule_timeout_uninterruptible(STUCK_JIFFIES);
	}
	ftrace_free_filter(&hook->ops);
	hook->registered = false;
}

/**
 * rad_hook_uninit() - remove the hooks and wait until nobody is inside
 *
 * No process is distributed any more, so that no replacement sleeps for a page: whoever is
 * still inside leaves by himself, and nobody comes who has never been.
 *
 * Context: process context, may sleep.
 */
void rad_hook_uninit(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		if (hooks[i].registered)
			uninstall(&hooks[i]);
	}
	/*
	 * 1. No new entry: the trampolines are gone once every task has passed a
	 *    voluntary switch (a preempted task may still be on its way to us).
	 */
	synchronize_rcu_tasks();
	/* 2. Those that are inside have been counted by now. */
	while (atomic_read(&active))
		schedule_timeout_uninterruptible(1);
	/* 3. The last of them has left the function's text itself. */
	synchronize_rcu_tasks();
}

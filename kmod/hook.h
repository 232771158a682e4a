/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: kernel functions that are replaced while the module is loaded.
 *
 * A replacement is entered instead of the function, in its context and with its
 * arguments, and may call the original through rad_hook_original.
 */
#ifndef _RADIUM_HOOK_H
#define _RADIUM_HOOK_H

#include <linux/mm.h>

struct pt_regs;

/**
 * struct rad_hook_original - the functions that are hooked
 * @do_swap_page: every fault on a non-present, non-empty page table entry
 * @do_wp_page: every write fault on a present page that is mapped read-only
 * @migration_entry_wait: the waiters that do not come through do_swap_page
 *	(KSM's break_ksm, HMM)
 * @syscall_user_dispatch: first thing in the slow path of a system call, only
 *	for tasks that carry SYSCALL_WORK_SYSCALL_USER_DISPATCH
 * @__x64_sys_seccomp: seccomp(), also through int 0x80; may put a
 *	filter on the caller's siblings
 * @__ia32_sys_seccomp: see @__x64_sys_seccomp
 * @syscall_regfunc: the first tracepoint of system calls is switched on
 */
struct rad_hook_original {
	vm_fault_t (*do_swap_page)(struct vm_fault *vmf);
	vm_fault_t (*do_wp_page)(struct vm_fault *vmf);
	void (*migration_entry_wait)(struct mm_struct *mm, pmd_t *pmd, unsigned long address);
	bool (*syscall_user_dispatch)(struct pt_regs *regs);
	long (*__x64_sys_seccomp)(const struct pt_regs *regs);
	long (*__ia32_sys_seccomp)(const struct pt_regs *regs);
	int (*syscall_regfunc)(void);
};

extern struct rad_hook_original rad_hook_original;

/*
 * The original, entered from a replacement: never by a jump, since it is by the return address
 * that divert() tells it from a call of the kernel's. Whoever traces the replacement's return has
 * put another one in place of that of a jump.
 */
#define rad_hook_call(function, ...)						\
({										\
	typeof(rad_hook_original.function(__VA_ARGS__)) __ret;			\
										\
	__ret = rad_hook_original.function(__VA_ARGS__);			\
	barrier();								\
	__ret;									\
})

/* What of the calls concerns us; asked where ftrace is, so that nothing here may sleep. */
bool rad_homemem_concerns_swap(const struct vm_fault *vmf);
bool rad_homemem_concerns_wp(const struct vm_fault *vmf);
bool rad_homemem_may_hold(void);
bool rad_syscall_concerns_dispatch(void);

/* The replacements, each in the file that it belongs to. */
vm_fault_t rad_homemem_do_swap_page(struct vm_fault *vmf);
vm_fault_t rad_homemem_do_wp_page(struct vm_fault *vmf);
void rad_homemem_migration_entry_wait(struct mm_struct *mm, pmd_t *pmd, unsigned long address);
bool rad_syscall_user_dispatch(struct pt_regs *regs);

int rad_hook_init(void);
void rad_hook_uninit(void);

#endif /* _RADIUM_HOOK_H */

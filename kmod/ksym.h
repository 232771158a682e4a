/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: functions of the kernel that are not exported.
 *
 * Resolved and checked once, at load; a kernel that lacks one is refused with one
 * message that names all that are missing. Nothing else in the module looks a
 * symbol up.
 */
#ifndef _RADIUM_KSYM_H
#define _RADIUM_KSYM_H

#include <linux/mm_types.h>
#include <linux/types.h>

struct anon_vma;
struct folio;
struct iov_iter;
struct kernel_clone_args;
struct kiocb;
struct list_head;
struct page;
struct pt_regs;
struct rmap_walk_control;
struct task_struct;

/**
 * struct rad_ksym - what was resolved
 * @x64_sys_call: system call by number; a delegated call runs through it as the
 *	entry code would run it
 * @kernel_clone: makes the thread of a visitor inside its replica
 * @split_huge_page_to_list: migrate_vma_setup() refuses compound pages
 * @put_anon_vma: gives back the anon_vma of a held page (the last reference
 *	frees it; the inline part of put_anon_vma() calls it)
 * @folio_free_swap: a held page has no place in swap
 * @lru_add_drain: a page that has come home can be taken out again without asking other CPUs
 * @rmap_walk: finds who else has an entry of a page that is lost
 * @memcg_kmem_charge_page: a visitor's page counts for the control group of its replica, as what
 *	alloc_pages() charges does
 * @memcg_kmem_uncharge_page: the same, when the page goes
 * @do_munmap: unmaps under a lock of the memory that is held already
 * @wait_task_inactive: its registers may be loaded when a task sleeps and is off CPU
 * @put_task_stack: gives back a stack that was held against the exit of its task
 * @migration_entry_wait_on_locked: waits for a page that somebody else migrates, from the
 *	moment on at which the lock of the page table is released
 * @ptrace_may_access: who may move a process is who may trace it
 * @tty_read: never called; what a terminal's file has for reading, and no other
 */
struct rad_ksym {
	long (*x64_sys_call)(const struct pt_regs *regs, unsigned int nr);
	pid_t (*kernel_clone)(struct kernel_clone_args *args);
	int (*split_huge_page_to_list)(struct page *page, struct list_head *list);
	void (*put_anon_vma)(struct anon_vma *anon_vma);
	bool (*folio_free_swap)(struct folio *folio);
	void (*lru_add_drain)(void);
	void (*rmap_walk)(struct folio *folio, struct rmap_walk_control *walk);
	int (*memcg_kmem_charge_page)(struct page *page, gfp_t gfp, int order);
	void (*memcg_kmem_uncharge_page)(struct page *page, int order);
	int (*do_munmap)(struct mm_struct *mm, unsigned long start, size_t len,
			 struct list_head *uf);
	unsigned long (*wait_task_inactive)(struct task_struct *task, unsigned int match_state);
	void (*put_task_stack)(struct task_struct *task);
	void (*migration_entry_wait_on_locked)(swp_entry_t entry, pte_t *pte, spinlock_t *ptl);
	bool (*ptrace_may_access)(struct task_struct *task, unsigned int mode);
	ssize_t (*tty_read)(struct kiocb *iocb, struct iov_iter *to);
};

extern struct rad_ksym rad_ksym;

int rad_ksym_init(void);
void *rad_ksym_find(const char *name);

#endif /* _RADIUM_KSYM_H */

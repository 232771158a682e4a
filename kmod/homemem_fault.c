// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: whoever wants at home what another node has waits here: for a held page, and
 * before he writes to one that others read.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include "homemem_internal.h"
#include "hook.h"
#include "hot.h"
#include "ksym.h"
#include "thread.h"

/* The held page in this frame, with a reference, or NULL. */
static struct rad_page *find_held(unsigned long pfn)
{
	struct rad_page *page;

	rcu_read_lock();
	page = xa_load(&rad_held, pfn);
	if (page && !refcount_inc_not_zero(&page->ref))
		page = NULL;
	rcu_read_unlock();
	return page;
}

/* rad_pte_is_migrating() - is it the entry of a page that is held, or that the kernel migrates? */
bool rad_pte_is_migrating(pte_t pte)
{
	return !pte_none(pte) && !pte_present(pte) && is_migration_entry(pte_to_swp_entry(pte));
}

static struct rad_page *held_by_pte(pte_t pte)
{
	return rad_pte_is_migrating(pte) ? find_held(swp_offset_pfn(pte_to_swp_entry(pte))) : NULL;
}

/* Can this memory be that of a distributed process? For most it is said at once that it is not. */
static bool may_be_distributed(struct mm_struct *mm)
{
	return rad_process_count() && mm_has_notifiers(mm);
}

/* The distributed process with this memory, with a reference, or NULL; soon, for others. */
static struct rad_process *process_of(struct mm_struct *mm)
{
	return may_be_distributed(mm) ? rad_process_find_mm(mm) : NULL;
}

/*
 * rad_homemem_may_hold() - may a migration entry be that of a held page, or soon be? Not a look at
 * rad_held: what is being taken is not there yet, and the original would wait for it without a word.
 */
bool rad_homemem_may_hold(void)
{
	return rad_process_count();
}

/* rad_homemem_concerns_swap() - is rad_homemem_do_swap_page() to look at this fault? */
bool rad_homemem_concerns_swap(const struct vm_fault *vmf)
{
	if (rad_pte_is_migrating(vmf->orig_pte))
		return rad_homemem_may_hold();
	return vmf->flags & FAULT_FLAG_WRITE && may_be_distributed(vmf->vma->vm_mm);
}

/*
 * rad_homemem_concerns_wp() - is rad_homemem_do_wp_page() to look at this fault? The lock of the
 * page table is held, under which pages become copies, of processes that are known by then.
 */
bool rad_homemem_concerns_wp(const struct vm_fault *vmf)
{
	return may_be_distributed(vmf->vma->vm_mm);
}

static bool is_distributed(struct mm_struct *mm)
{
	struct rad_process *process = process_of(mm);

	rad_process_put(process);
	return process;
}

/*
 * The page that other nodes may read and that current is about to write to, with a
 * reference, or NULL. Found by its address: fork and mremap have all copies dropped
 * before an entry could be found elsewhere.
 */
static struct rad_page *find_read_elsewhere(struct vm_fault *vmf)
{
	struct rad_process *process;
	struct rad_page *page;

	if (!(vmf->flags & FAULT_FLAG_WRITE))
		return NULL;
	process = process_of(vmf->vma->vm_mm);
	if (!process)
		return NULL;
	spin_lock(&process->mem.pages.xa_lock);
	page = xa_load(&process->mem.pages, vmf->address >> PAGE_SHIFT);
	if (page && rad_page_is_read_elsewhere(page))
		refcount_inc(&page->ref);
	else
		page = NULL;
	spin_unlock(&process->mem.pages.xa_lock);
	rad_process_put(process);
	return page;
}

/* Is current the first to want the page back? The others wait for the same move. */
static bool is_first(const struct rad_page *page)
{
	switch (READ_ONCE(page->state)) {
	case RAD_PAGE_TAKING:
	case RAD_PAGE_AWAY:
	case RAD_PAGE_COPIED:
		return true;
	default:
		return false;
	}
}

/* Brings the page home for current, and has it stay for the access that is made now. */
static int bring_home(struct rad_page *page, enum rad_page_use use)
{
	struct rad_homemem *mem = rad_page_mem(page);
	struct rad_turn *turn = rad_turn_of(mem, page->address);
	struct rad_hot_move move = {
		.index = page->address >> PAGE_SHIFT,
		.from = rad_page_holders(page),
		.tid = task_pid_nr(current),
		.node = rad_node_self(),
	};
	bool first = is_first(page);
	u64 start = ktime_get_ns(), calls;
	int err = rad_page_bring_home(page, use);

	if (err || current->flags & PF_KTHREAD)
		return err;
	rad_thread_add_wait(page->process, ktime_get_ns() - start);
	if (first)
		rad_hot_count(page->process->hot, &move);
	/* A deputy's registers are the same in each call: those with which the thread went out. */
	calls = rad_thread_calls();
	spin_lock(&mem->pages.xa_lock);
	turn->index = page->address >> PAGE_SHIFT;
	turn->until = ktime_get_ns() + rad_stay(&turn->patience, current_pt_regs(), calls);
	spin_unlock(&mem->pages.xa_lock);
	return 0;
}

/*
 * Waits for the page as the kind of fault allows, and lets go of it. The access is made
 * again afterwards.
 */
static vm_fault_t wait_for(struct rad_page *page, struct vm_fault *vmf)
{
	enum rad_page_use use = vmf->flags & FAULT_FLAG_WRITE ? RAD_USE_WRITE : RAD_USE_READ;
	vm_fault_t ret = VM_FAULT_RETRY;
	int err;

	if (use == RAD_USE_READ && page->process->mm == vmf->vma->vm_mm)
		rad_page_protect(page);
	if (rad_page_state(page) == RAD_PAGE_LOST) {
		ret = VM_FAULT_SIGBUS;
	} else if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY)) {
		/* get_user_pages without "locked", fixup_user_fault: wait with the lock. */
		err = bring_home(page, use);
		ret = err == -EHOSTDOWN ? VM_FAULT_SIGBUS : 0;
		/* Killed: not all who come again look at signals, see below. */
		if (err == -EINTR)
			schedule_timeout_uninterruptible(1);
	} else if (!(vmf->flags & FAULT_FLAG_RETRY_NOWAIT)) {
		mmap_read_unlock(vmf->vma->vm_mm);
		/*
		 * khugepaged comes with this flag alone and takes RETRY for a failure: leave
		 * the owner alone. Everybody else really wants the page.
		 */
		if (!(current->flags & PF_KTHREAD && vmf->flags == FAULT_FLAG_ALLOW_RETRY))
			bring_home(page, use);
	}
	rad_page_put(page);
	return ret;
}

/**
 * rad_homemem_do_swap_page() - instead of do_swap_page()
 * @vmf: the fault; mmap_lock is held for reading
 *
 * Every access at home, by the process, by the kernel on its behalf or by another
 * process, that meets a held page comes through here, and waits until the page
 * is home. What is swapped in for writing would be mapped writable at once, without
 * a look whether others read it: it is mapped for reading, and the write faults again.
 *
 * Return: that of do_swap_page(); VM_FAULT_RETRY with mmap_lock released where the
 * caller allows it.
 */
vm_fault_t rad_homemem_do_swap_page(struct vm_fault *vmf)
{
	struct rad_page *page = held_by_pte(vmf->orig_pte);

	if (unlikely(page))
		return wait_for(page, vmf);
	if (vmf->flags & FAULT_FLAG_WRITE && is_distributed(vmf->vma->vm_mm))
		vmf->flags &= ~FAULT_FLAG_WRITE;
	return rad_hook_call(do_swap_page, vmf);
}

/**
 * rad_homemem_do_wp_page() - instead of do_wp_page()
 * @vmf: the fault: a write to a page that is mapped read-only. mmap_lock is held for
 *	reading, the lock of the page table, too.
 *
 * Return: that of do_wp_page(), with the lock of the page table released; otherwise as
 * above.
 */
vm_fault_t rad_homemem_do_wp_page(struct vm_fault *vmf)
	__releases(vmf->ptl)
{
	struct rad_page *page = find_read_elsewhere(vmf);

	if (likely(!page)) {
		__release(vmf->ptl);	/* done by the original */
		return rad_hook_call(do_wp_page, vmf);
	}
	pte_unmap_unlock(vmf->pte, vmf->ptl);
	return wait_for(page, vmf);
}

/**
 * rad_homemem_migration_entry_wait() - instead of migration_entry_wait()
 * @mm: whose page table
 * @pmd: entry of it
 * @address: user address
 *
 * Reached by waiters that do not fault (KSM, HMM), with mmap_lock held for reading;
 * they look again afterwards.
 */
void rad_homemem_migration_entry_wait(struct mm_struct *mm, pmd_t *pmd, unsigned long address)
{
	struct rad_page *page;
	spinlock_t *ptl;
	pte_t *pte, old;
	int err;

	pte = pte_offset_map_lock(mm, pmd, address, &ptl);
	old = *pte;
	page = held_by_pte(old);
	if (!page && rad_pte_is_migrating(old)) {
		/*
		 * Not by the original, which would look again: meanwhile the page could come
		 * home and be taken out once more, and nobody would call it. What is not held
		 * under this lock does not become held before we wait for it.
		 */
		__release(ptl);		/* done by it */
		rad_ksym.migration_entry_wait_on_locked(pte_to_swp_entry(old), pte, ptl);
		return;
	}
	pte_unmap_unlock(pte, ptl);
	if (!page)
		return;
	/*
	 * The caller looks again, and would for ever, with the lock that the exit of the
	 * killed process needs; and without a look at signals, if it is killed itself.
	 */
	err = rad_page_bring_home(page, RAD_USE_READ);
	if (err == -EHOSTDOWN)
		/* Not by pfn_swap_entry_to_page(): it may have been given back, and be unlocked, by now. */
		rad_pte_spoil(mm, pmd, address, pfn_to_page(swp_offset_pfn(pte_to_swp_entry(old))));
	else if (err)
		schedule_timeout_uninterruptible(1);
	rad_page_put(page);
}

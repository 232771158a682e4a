// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: whoever meets a held page at home waits here until it is home.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include "homemem_internal.h"
#include "hook.h"

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

static struct rad_page *held_by_pte(pte_t pte)
{
	swp_entry_t entry;

	if (pte_none(pte) || pte_present(pte))
		return NULL;
	entry = pte_to_swp_entry(pte);
	if (!is_migration_entry(entry))
		return NULL;
	return find_held(swp_offset_pfn(entry));
}

/**
 * rad_homemem_do_swap_page() - instead of do_swap_page()
 * @vmf: the fault; mmap_lock is held for reading (khugepaged: read, exclusive of
 *	nothing)
 *
 * Every access at home, by the process, by the kernel on its behalf or by another
 * process, that meets a held page comes through here, and waits until the page
 * is home.
 *
 * Return: that of do_swap_page(); VM_FAULT_RETRY with mmap_lock released where the
 * caller allows it.
 */
vm_fault_t rad_homemem_do_swap_page(struct vm_fault *vmf)
{
	struct rad_page *page = held_by_pte(vmf->orig_pte);
	struct mm_struct *mm = vmf->vma->vm_mm;
	vm_fault_t ret;
	int err;

	if (likely(!page))
		return rad_hook_original.do_swap_page(vmf);

	if (rad_page_state(page) == RAD_PAGE_LOST) {
		ret = VM_FAULT_SIGBUS;
		goto out;
	}
	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY)) {
		/* get_user_pages without "locked", fixup_user_fault: wait with the lock. */
		err = rad_page_bring_home(page);
		ret = err == -EHOSTDOWN ? VM_FAULT_SIGBUS : 0;
		goto out;
	}
	ret = VM_FAULT_RETRY;
	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		goto out;
	mmap_read_unlock(mm);
	/*
	 * khugepaged comes with this flag alone and takes RETRY for a failure: leave
	 * the owner alone. Everybody else really wants the page.
	 */
	if (!(current->flags & PF_KTHREAD && vmf->flags == FAULT_FLAG_ALLOW_RETRY))
		rad_page_bring_home(page);
out:
	rad_page_put(page);
	return ret;
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
	pte_t *pte;

	pte = pte_offset_map_lock(mm, pmd, address, &ptl);
	page = held_by_pte(*pte);
	pte_unmap_unlock(pte, ptl);
	if (!page) {
		rad_hook_original.migration_entry_wait(mm, pmd, address);
		return;
	}
	/*
	 * The caller looks again, and would for ever, with the lock that the exit of the
	 * killed process needs. Nobody reads the page through here.
	 */
	if (rad_page_bring_home(page) == -EHOSTDOWN)
		rad_page_surrender(page);
	rad_page_put(page);
}

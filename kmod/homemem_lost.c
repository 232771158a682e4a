// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: what has been lost with its owner is not read, not even as what it was before it left.
 *
 * In place of the held entry of a page table comes the one that the kernel leaves for a page that
 * cannot be read from swap: whoever meets that gets SIGBUS, or finds no page, and it counts for no
 * memory. As long as the process is distributed that is done where somebody waits without a fault; a
 * fault asks the directory. When it is so no more it is done everywhere: the memory may have been
 * forked meanwhile, and who was made then lives on.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/mm.h>
#include <linux/rmap.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include "homemem_internal.h"
#include "ksym.h"

/**
 * rad_pte_spoil() - leave nothing to read for a held entry
 * @mm: whose page table
 * @pmd: entry of it
 * @address: user address
 * @frame: the held page
 *
 * Context: a lock that keeps the page table is held; sleeps not. What is there by now is left alone if
 * it is not an entry of this page.
 */
void rad_pte_spoil(struct mm_struct *mm, pmd_t *pmd, unsigned long address, struct page *frame)
{
	spinlock_t *ptl;
	pte_t *pte = pte_offset_map_lock(mm, pmd, address, &ptl), old = *pte;

	if (rad_pte_is_migrating(old) &&
	    swp_offset_pfn(pte_to_swp_entry(old)) == page_to_pfn(frame)) {
		set_pte_at(mm, address, pte, swp_entry_to_pte(make_swapin_error_entry(frame)));
		/* dec_mm_counter() is not for modules: it has a tracepoint. */
		atomic_long_dec(&mm->rss_stat.count[MM_ANONPAGES]);
	}
	pte_unmap_unlock(pte, ptl);
}

/* rad_find_pmd() - as mm_find_pmd(): NULL if there is no page table */
pmd_t *rad_find_pmd(struct mm_struct *mm, unsigned long address)
{
	pgd_t *pgd = pgd_offset(mm, address);
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd, found;

	if (!pgd_present(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, address);
	if (!p4d_present(*p4d))
		return NULL;
	pud = pud_offset(p4d, address);
	if (!pud_present(*pud))
		return NULL;
	pmd = pmd_offset(pud, address);
	found = READ_ONCE(*pmd);
	return pmd_present(found) && !pmd_trans_huge(found) ? pmd : NULL;
}

static bool spoil_one(struct folio *folio, struct vm_area_struct *vma, unsigned long address,
		      void *unused)
{
	pmd_t *pmd = rad_find_pmd(vma->vm_mm, address);

	if (pmd)
		rad_pte_spoil(vma->vm_mm, pmd, address, folio_page(folio, 0));
	return true;
}

/**
 * rad_page_spoil() - leave nothing to read for a lost page, whoever has an entry of it
 * @page: FINALIZING, and the caller's: its frame is locked, and its anon_vma held
 *
 * A fork that is under way copies from a table that the walk comes to before that of the child.
 *
 * Context: sleeps (anon_vma lock).
 */
void rad_page_spoil(struct rad_page *page)
{
	struct rmap_walk_control walk = { .rmap_one = spoil_one };

	rad_ksym.rmap_walk(page_folio(page->frame), &walk);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: pages are taken out: found at home, unmapped, and held.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/hugetlb.h>
#include <linux/magic.h>
#include <linux/migrate.h>
#include <linux/mmu_notifier.h>
#include <linux/pkeys.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>
#include "filewatch.h"
#include "homemem_internal.h"
#include "ksym.h"
#include "node.h"

/* rad_take_prot() - enum rad_page_access; on x86 what may be written or executed may be read */
u32 rad_take_prot(struct vm_area_struct *vma)
{
	return (vma->vm_flags & (VM_READ | VM_WRITE | VM_EXEC) ? RAD_ACCESS_READ : 0) |
	       (vma->vm_flags & VM_WRITE ? RAD_ACCESS_WRITE : 0) |
	       (vma->vm_flags & VM_EXEC ? RAD_ACCESS_EXEC : 0);
}

/*
 * Memory without a name (memfd, SysV): its writers are not counted. Sealed, it has none, and if it
 * cannot be cut off either nothing changes any more.
 */
static bool is_nameless(struct inode *inode)
{
	unsigned int seals;

	if (inode->i_sb->s_magic != TMPFS_MAGIC || !(inode->i_sb->s_flags & SB_KERNMOUNT))
		return false;
	seals = READ_ONCE(SHMEM_I(inode)->seals);
	return !(seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) || !(seals & F_SEAL_SHRINK);
}

/*
 * A copy of a file's page does not see a later write to the file, which the mapping at
 * home does.
 */
static bool is_written(struct file *file)
{
	return inode_is_open_for_write(file_inode(file)) || is_nameless(file_inode(file)) ||
	       mapping_writably_mapped(file->f_mapping) || file->f_mode & FMODE_WRITE;
}

/* rad_take_check() - may pages of this mapping leave home, for this access? RADIUM_R_NONE if so */
u32 rad_take_check(struct vm_area_struct *vma, u32 access)
{
	if (!vma)
		return RADIUM_R_FAULT;
	/* Before the access: to see whether that is resolved a byte is read, of a device a register. */
	if (vma->vm_flags & (VM_IO | VM_PFNMAP))
		return RADIUM_R_MEMORY_KIND;
	/* So is one here: somebody would be asked for the page first, or a huge one be taken. */
	if (userfaultfd_armed(vma))
		return RADIUM_R_USERFAULTFD;
	if (is_vm_hugetlb_page(vma))
		return RADIUM_R_MEMORY_KIND;
	if (access & ~rad_take_prot(vma))
		return RADIUM_R_FAULT;
	/* The window knows no protection keys. */
	if (vma_pkey(vma))
		return RADIUM_R_MEMORY_KIND;
	/* VM_SHARED alone is lost where the file was opened read-only. */
	if (vma->vm_flags & VM_MAYSHARE)
		return RADIUM_R_SHARED_MEMORY;
	if (vma->vm_flags & VM_MIXEDMAP)
		return RADIUM_R_MEMORY_KIND;
	if (vma->vm_flags & VM_WRITE) {
		if (vma->vm_flags & VM_SPECIAL || vma_is_dax(vma))
			return RADIUM_R_MEMORY_KIND;
		return RADIUM_R_NONE;
	}
	if (!vma->vm_file || vma_is_anonymous(vma))
		return RADIUM_R_NONE;
	/* Who writes to a device is not counted. */
	if (!S_ISREG(file_inode(vma->vm_file)->i_mode) || vma->vm_flags & VM_SPECIAL ||
	    is_written(vma->vm_file))
		return RADIUM_R_SHARED_MEMORY;
	return RADIUM_R_NONE;
}

/*
 * Would the page have to be read from its file? That takes as long as whoever has the file
 * likes, and is not for somebody who has mmap_lock and cannot be killed.
 */
static bool is_unread(struct vm_area_struct *vma, unsigned long address)
{
	pgoff_t index = vma->vm_pgoff + ((address - vma->vm_start) >> PAGE_SHIFT);
	struct folio *folio;
	bool unread;

	if (!vma->vm_file || !S_ISREG(file_inode(vma->vm_file)->i_mode))
		return false;
	folio = filemap_get_folio(vma->vm_file->f_mapping, index);
	unread = !folio || !folio_test_uptodate(folio);
	if (folio)
		folio_put(folio);
	return unread;
}

/* Is there a page, be it one that cannot be written to yet? Then no file has to be read. */
static bool is_mapped(struct mm_struct *mm, unsigned long address)
{
	struct page *page;

	if (get_user_pages_remote(mm, address, 1, FOLL_FORCE | FOLL_NOFAULT, &page,
				  NULL, NULL) != 1)
		return false;
	put_page(page);
	return true;
}

static int split_if_huge(struct page *page)
{
	int err;

	if (!PageTransCompound(page))
		return 0;
	/* Not waited for: reclaim may have it, and cannot free it while we hold it. */
	if (!trylock_page(page))
		return -EAGAIN;
	err = rad_ksym.split_huge_page_to_list(page, NULL);
	unlock_page(page);
	return err;
}

/*
 * The page at an address, faulted in if need be, as the process would: one at a time.
 * As many at once as there are requests would be as many at once in reclaim, each with
 * pages that it has isolated: the others find nothing to reclaim, and a process at
 * its limit is killed.
 */
static long find_page(struct rad_take *t, struct vm_area_struct *vma, unsigned int flags,
		      struct page **page)
{
	struct rad_homemem *mem = &t->process->mem;
	struct mm_struct *mm = t->process->mm;
	long n;

	/* Pages may be read that the program may only write to, or execute: rad_take_prot(). */
	if (!(flags & FOLL_WRITE))
		flags |= FOLL_FORCE;
	n = get_user_pages_remote(mm, t->address, 1, flags | FOLL_NOFAULT, page, NULL, NULL);
	if (n != 1 && is_unread(vma, t->address) && !is_mapped(mm, t->address)) {
		/* Touched in vain: gone again. The thread comes home, and has it there. */
		t->touch = !t->touched;
		return -EFAULT;
	}
	if (n != 1) {
		mutex_lock(&mem->faulting);
		n = get_user_pages_remote(mm, t->address, 1, flags, page, NULL, NULL);
		mutex_unlock(&mem->faulting);
	}
	/*
	 * A frame that failed while we held it is mapped still. A process that reads it dies of
	 * that, at home; the kernel would, if it or its adapter did.
	 */
	if (n == 1 && PageHWPoison(*page)) {
		put_page(*page);
		return -EHWPOISON;
	}
	return n;
}

/**
 * rad_take_hold() - make @t->page the holder of a frame
 * @t: its page is TAKING, so that whoever faults meanwhile waits for us and not, for ever,
 *	for the migration entry
 * @vma: of @t->address
 * @frame: that is mapped there, anonymous and this process' alone; the reference is consumed
 *
 * Context: mmap_lock is held for reading; sleeps.
 * Return: RADIUM_R_NONE; or a reason, or @t->again, and nothing is held.
 */
u32 rad_take_hold(struct rad_take *t, struct vm_area_struct *vma, struct page *frame)
{
	unsigned long src = 0, dst = 0, pfn = page_to_pfn(frame);
	struct migrate_vma args = {
		.vma = vma,
		.start = t->address,
		.end = t->address + PAGE_SIZE,
		.src = &src,
		.dst = &dst,
		.pgmap_owner = t->process,
		.flags = MIGRATE_VMA_SELECT_SYSTEM,
	};
	void *old;
	int err;

	old = xa_cmpxchg(&rad_held, pfn, NULL, t->page, GFP_KERNEL);
	put_page(frame);
	if (old) {
		t->again = true;
		return RADIUM_R_NO_MEMORY;
	}

	err = migrate_vma_setup(&args);
	if (err || !(src & MIGRATE_PFN_MIGRATE) || !(src & MIGRATE_PFN_VALID)) {
		if (!err)
			migrate_device_finalize(&src, &dst, 1);
		xa_erase(&rad_held, pfn);
		t->again = true;
		return RADIUM_R_MEMORY_KIND;
	}
	frame = migrate_pfn_to_page(src);
	/* swapoff would wait for the lock of a page that has a place in swap. */
	if (page_to_pfn(frame) == pfn && PageSwapCache(frame))
		rad_ksym.folio_free_swap(page_folio(frame));
	/*
	 * Another page came between the look and the taking, or this one was merged, or it is being
	 * written to its place in swap and keeps that.
	 */
	if (page_to_pfn(frame) != pfn || !PageAnon(frame) || PageKsm(frame) ||
	    (PageSwapCache(frame) && PageWriteback(frame))) {
		migrate_device_finalize(&src, &dst, 1);
		xa_erase(&rad_held, pfn);
		t->again = true;
		return RADIUM_R_MEMORY_KIND;
	}
	t->page->frame = frame;
	/* Stable: the page is locked and mmap_lock is held. */
	t->page->anon_vma = (void *)((unsigned long)frame->mapping & ~PAGE_MAPPING_FLAGS);
	atomic_inc(&t->page->anon_vma->refcount);
	return RADIUM_R_NONE;
}

static u32 take_owner(struct rad_take *t, struct vm_area_struct *vma)
{
	struct page *frame;
	u32 reason;
	long n;
	int err;

	/* For writing, so that the page is anonymous and this process' alone. */
	n = find_page(t, vma, FOLL_WRITE, &frame);
	if (n != 1)
		return n == -ENOMEM ? RADIUM_R_NO_MEMORY : RADIUM_R_FAULT;
	err = split_if_huge(frame);
	if (err || !PageAnon(frame)) {
		put_page(frame);
		t->again = err == -EBUSY || err == -EAGAIN;
		return RADIUM_R_MEMORY_KIND;
	}
	reason = rad_take_hold(t, vma, frame);
	if (reason == RADIUM_R_NONE) {
		t->data = t->page->frame;
		get_page(t->data);
	}
	return reason;
}

/* rad_take_copy() - find the page at @t->address; @t->data gets a reference; mmap_lock is held */
u32 rad_take_copy(struct rad_take *t, struct vm_area_struct *vma)
{
	long n;

	n = find_page(t, vma, 0, &t->data);
	/*
	 * Reclaim unmaps a huge page of a file whole, and what reclaim unmaps stays where it was
	 * copied to; but where no page table is left mprotect() tells nobody what it changes.
	 */
	if (n == 1 && !PageAnon(t->data) && vma->vm_file &&
	    compound_order(compound_head(t->data)) >= HPAGE_PMD_ORDER &&
	    transhuge_vma_suitable(vma, t->address & HPAGE_PMD_MASK)) {
		put_page(t->data);
		t->data = NULL;
		return RADIUM_R_MEMORY_KIND;
	}
	if (n == 1)
		return RADIUM_R_NONE;
	t->data = NULL;
	return n == -ENOMEM ? RADIUM_R_NO_MEMORY : RADIUM_R_FAULT;
}

/*
 * Who has pinned a page while it could be written writes to it without a fault, whatever its
 * mapping permits by now. Such a page is the process' own; one that many map only looks
 * pinned, by the number of its references.
 */
static bool is_pinned(struct page *page)
{
	return PageAnon(page) && !PageKsm(page) &&
	       (PageCompound(page) || PageAnonExclusive(page)) && page_maybe_dma_pinned(page);
}

static u32 take_copy(struct rad_take *t, struct vm_area_struct *vma)
{
	u32 reason = rad_take_copy(t, vma);

	/*
	 * MADV_FREE: what is copied is not to be forgotten by reclaim, which takes no copies back; nor
	 * what waits in a batch to become such. Only a place in swap is as good.
	 */
	if (reason == RADIUM_R_NONE && PageAnon(t->data) &&
	    (!PageSwapBacked(t->data) || !PageSwapCache(t->data)))
		set_page_dirty(t->data);
	if (reason != RADIUM_R_NONE || !is_pinned(t->data))
		return reason;
	put_page(t->data);
	t->data = NULL;
	t->again = true;
	return RADIUM_R_MEMORY_KIND;
}

/* The regular file of which a mapping may show pages that are copied, or NULL. */
static struct file *shown_file(struct vm_area_struct *vma)
{
	if (!vma || !vma->vm_file || vma_is_anonymous(vma) ||
	    vma->vm_flags & (VM_WRITE | VM_MAYSHARE | VM_SPECIAL) ||
	    !S_ISREG(file_inode(vma->vm_file)->i_mode))
		return NULL;
	return vma->vm_file;
}

/**
 * rad_take_unwatched() - a file of which no page may be copied yet
 * @vma: whose page is to be copied; or NULL
 *
 * Whoever opens it for writing has to be heard, see rad_take_watch().
 *
 * Context: mmap_lock is held for reading; does not sleep.
 * Return: the file, with a reference; NULL: there is none, or he is heard.
 */
struct file *rad_take_unwatched(struct vm_area_struct *vma)
{
	struct file *file = shown_file(vma);

	return file && !rad_filewatch_covers(file) ? get_file(file) : NULL;
}

/**
 * rad_take_watch() - hear of who opens a file for writing
 * @file: from rad_take_unwatched(); the reference is consumed
 *
 * Context: sleeps; without mmap_lock, under which everything has to be looked at again then.
 * Return: RADIUM_R_NONE, or why no page of it is copied.
 */
u32 rad_take_watch(struct file *file)
{
	u32 reason = rad_filewatch_add(file) ? RADIUM_R_NO_MEMORY : RADIUM_R_NONE;

	fput(file);
	return reason;
}

/**
 * rad_take_page() - take the page out, or find it to be copied
 * @t: its page is TAKING; gets data and prot, and a frame if it is to be owned
 *
 * Context: sleeps on mmap_lock and on memory.
 * Return: RADIUM_R_NONE or why the access has to be made at home; with @t->again perhaps only
 * for now, with @t->touch only until the thread has touched it.
 */
u32 rad_take_page(struct rad_take *t)
{
	struct mm_struct *mm = t->process->mm;
	struct vm_area_struct *vma;
	struct file *file;
	u32 reason;

	for (;;) {
		if (!mmget_not_zero(mm))
			return RADIUM_R_EXITING;
		/* The second time somebody may wait for us with the lock held. */
		if (!t->tries++) {
			mmap_read_lock(mm);
		} else if (!mmap_read_trylock(mm)) {
			mmput_async(mm);
			t->again = true;
			return RADIUM_R_MEMORY_KIND;
		}
		vma = find_vma(mm, t->address);
		t->touch = vma && vma->vm_start > t->address && vma->vm_flags & VM_GROWSDOWN;
		if (vma && vma->vm_start > t->address)
			vma = NULL;
		rad_page_note_file(t->page, shown_file(vma));
		file = rad_take_unwatched(vma);
		if (!file)
			break;
		mmap_read_unlock(mm);
		mmput_async(mm);
		reason = rad_take_watch(file);
		if (reason)
			return reason;
		/* As if for the first time: everything may be different now. */
		t->tries--;
	}
	reason = rad_take_check(vma, t->access);
	if (reason == RADIUM_R_NONE) {
		t->prot = rad_take_prot(vma);
		reason = vma->vm_flags & VM_WRITE ? take_owner(t, vma) : take_copy(t, vma);
	}
	mmap_read_unlock(mm);
	mmput_async(mm);
	return reason;
}

/* The entry that is there, with a reference, or NULL. */
static struct rad_page *look(struct rad_homemem *mem, unsigned long address)
{
	struct rad_page *page;

	spin_lock(&mem->pages.xa_lock);
	page = xa_load(&mem->pages, address >> PAGE_SHIFT);
	if (page)
		refcount_inc(&page->ref);
	spin_unlock(&mem->pages.xa_lock);
	return page;
}

/**
 * rad_take_begin() - publish that a page is being taken
 * @t: which one, for whom
 * @busy: where to put, with a reference, who is in the way; NULL: nobody is
 *
 * Return: with two references; NULL: @busy is in the way, or a change of the layout, or the end of
 * the process; -ENOMEM.
 */
struct rad_page *rad_take_begin(struct rad_take *t, struct rad_page **busy)
{
	struct rad_process *process = t->process;
	struct rad_homemem *mem = &process->mem;
	struct rad_page *page, *new;
	int err = 0;

	*busy = look(mem, t->address);
	if (*busy)
		return NULL;
	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return ERR_PTR(-ENOMEM);
	refcount_set(&new->ref, 2);
	INIT_LIST_HEAD(&new->order);
	new->address = t->address;
	new->state = RAD_PAGE_TAKING;
	new->taker = current;
	new->process = process;
	rad_process_get(process);

	spin_lock(&mem->pages.xa_lock);
	page = xa_load(&mem->pages, t->address >> PAGE_SHIFT);
	if (page) {
		refcount_inc(&page->ref);
		*busy = page;
		spin_unlock(&mem->pages.xa_lock);
		goto out_free;
	}
	if (rad_homemem_changes(mem, t->address) || mem->dead) {
		spin_unlock(&mem->pages.xa_lock);
		goto out_free;
	}
	err = xa_err(__xa_store(&mem->pages, t->address >> PAGE_SHIFT, new, GFP_ATOMIC));
	spin_unlock(&mem->pages.xa_lock);
	if (!err)
		return new;

out_free:
	rad_process_put(process);
	kfree(new);
	return ERR_PTR(err);
}

/**
 * rad_take_end() - leave TAKING: as owner, as copy, or not at all
 * @t: its page. If granted, the grant is in the stream, before any revocation of it: only
 *	AWAY and COPIED can be revoked. Where it is all over the grant is for a replica that ends, in
 *	which nobody runs: the page is not given.
 *
 * Context: process, without mmap_lock, sleeps.
 */
void rad_take_end(struct rad_take *t)
{
	struct rad_homemem *mem = &t->process->mem;
	struct rad_page *page = t->page;
	bool stale;

	spin_lock(&mem->pages.xa_lock);
	page->taker = NULL;
	page->granting = 0;
	page->written = t->access & RAD_ACCESS_WRITE;
	t->granted &= !mem->over;
	if (t->granted && !page->frame)
		page->copies |= rad_node_bit(t->to);
	if (page->frame)
		rad_page_set_state(page, t->granted ? RAD_PAGE_AWAY : RAD_PAGE_RETURNED);
	else if (page->revokes)
		rad_page_set_state(page, RAD_PAGE_REVOKING);
	else
		rad_page_set_state(page, page->copies ? RAD_PAGE_COPIED : RAD_PAGE_GONE);
	/* It may have become stale, or the node dead, between the decision and now. */
	stale = page->stale;
	spin_unlock(&mem->pages.xa_lock);
	if (rad_page_state(page) == RAD_PAGE_RETURNED)
		rad_page_bring_home(page, RAD_USE_READ);
	while ((stale || rad_node_is_dead(t->to)) && !rad_page_revoke(page, RAD_USE_WRITE, true))
		schedule_timeout_uninterruptible(1);
}

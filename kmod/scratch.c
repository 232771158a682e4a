// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: memory of a distributed process at home that it does not know of.
 *
 * A mapping of pages of the module, of which a thread gets a slot for one call. It is
 * made when it is needed first and goes when the process ends to be distributed.
 *
 * It is no memory like the program's: not swapped, not inherited, not dumped, never taken
 * away. What the kernel may do with the memory of a call while it lasts, pin it say, it may
 * do here. Where it cannot be made there is none, and calls use the program's memory.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include "inline.h"
#include "ksym.h"
#include "process.h"
#include "scratch.h"

enum {
	SLOTS		= 32,
	SLOT_PAGES	= RAD_INLINE_ROOM / PAGE_SIZE,
	PAGES		= SLOTS * SLOT_PAGES,
	STACK_GAP	= SZ_1M,	/* kept free below a stack, unless stack_guard_gap= says otherwise */
};

#define BYTES ((unsigned long)PAGES * PAGE_SIZE)

/**
 * struct scratch - the mapping of one process
 * @start: where it is
 * @changed: the program has unmapped it, moved it or protected it, or a part: it is not
 *	used any more
 * @used: slots
 * @pages: made when they are needed
 *
 * Belongs to the file, which the mapping and the process hold.
 */
struct scratch {
	unsigned long start;
	bool changed;
	DECLARE_BITMAP(used, SLOTS);
	struct page *pages[PAGES];
};

static int release(struct inode *inode, struct file *file)
{
	struct scratch *scratch = file->private_data;
	int i;

	for (i = 0; i < PAGES; i++)
		if (scratch->pages[i])
			put_page(scratch->pages[i]);
	kfree(scratch);
	return 0;
}

static struct page *make_page(struct scratch *scratch, unsigned long index, gfp_t gfp)
{
	struct page *page = READ_ONCE(scratch->pages[index]), *fresh;

	if (page)
		return page;
	fresh = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO | gfp);
	if (!fresh)
		return NULL;
	page = cmpxchg(&scratch->pages[index], NULL, fresh);
	if (!page)
		return fresh;
	__free_page(fresh);
	return page;
}

/* A page that no call has used yet is made, too: for who goes through all of his memory. */
static vm_fault_t fault(struct vm_fault *vmf)
{
	struct scratch *scratch = vmf->vma->vm_private_data;
	struct page *page;

	if (vmf->pgoff >= PAGES)
		return VM_FAULT_SIGBUS;
	page = make_page(scratch, vmf->pgoff,
			 vmf->flags & FAULT_FLAG_USER ? 0 : __GFP_NORETRY | __GFP_NOWARN);
	if (!page)
		return VM_FAULT_OOM;
	get_page(page);
	vmf->page = page;
	return 0;
}

/* Only the program splits it, moves it, or unmaps it while it is in use. */
static void changed(struct vm_area_struct *vma)
{
	struct scratch *scratch = vma->vm_private_data;

	WRITE_ONCE(scratch->changed, true);
}

/* A call would find that it may not write there, to memory that the program never named. */
static int protected(struct vm_area_struct *vma, unsigned long start, unsigned long end,
		     unsigned long flags)
{
	changed(vma);
	return 0;
}

static const struct vm_operations_struct vm_ops = {
	.fault = fault,
	.open = changed,
	.close = changed,
	.mprotect = protected,
};

static int map(struct file *file, struct vm_area_struct *vma)
{
	if (vma->vm_pgoff || vma->vm_end - vma->vm_start != BYTES || !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	/* Shared as well: homemem_take.c does not give it away. */
	vma->vm_flags |= VM_MIXEDMAP | VM_DONTCOPY | VM_DONTDUMP | VM_DONTEXPAND;
	vma->vm_flags &= ~(VM_EXEC | VM_MAYEXEC);
	vma->vm_private_data = file->private_data;
	vma->vm_ops = &vm_ops;
	return 0;
}

static const struct file_operations fops = {
	.owner = THIS_MODULE,
	.mmap = map,
	.release = release,
};

/*
 * Between the highest address that mmap() gives and the lowest that the stack may grow to. The
 * kernel leaves 128 MiB there, or what a larger limit of the stack needs; 0: there is no room.
 */
static unsigned long below_stack(const struct mm_struct *mm)
{
	unsigned long place = mm->mmap_base, stack = rlimit(RLIMIT_STACK);

	/* From the bottom up: it will not come that far. */
	if (place < DEFAULT_MAP_WINDOW / 2)
		place = DEFAULT_MAP_WINDOW - SZ_128M;
	/* Arguments and environment are above that, and count for the stack. */
	if (stack > mm->start_stack || mm->start_stack - stack < place + BYTES + STACK_GAP)
		return 0;
	return place;
}

/* @place: 0: anywhere; otherwise -EEXIST if something is there. */
static unsigned long map_at(struct file *file, unsigned long place)
{
	return vm_mmap(file, place, BYTES, PROT_READ | PROT_WRITE,
		       MAP_SHARED | (place ? MAP_FIXED_NOREPLACE : 0), 0);
}

/*
 * Where nothing else is put: the program's other mappings are where they would be without
 * it. That is above the stack, or, where addresses are not random and the stack ends there,
 * below it, but not where it may grow to; anywhere if the program has something there itself.
 */
static int map_into_current(struct file *file)
{
	struct scratch *scratch = file->private_data;
	unsigned long start = map_at(file, DEFAULT_MAP_WINDOW - BYTES), below;

	if (start == -EEXIST) {
		below = below_stack(current->mm);
		if (!below)
			return -ENOMEM;
		start = map_at(file, below);
	}
	if (start == -EEXIST)
		start = map_at(file, 0);
	if (IS_ERR_VALUE(start))
		return start;
	scratch->start = start;
	return 0;
}

static struct file *make(void)
{
	struct scratch *scratch;
	struct file *file;
	int err;

	/* A program that counts its address space would miss it. */
	if (rlimit(RLIMIT_AS) != RLIM_INFINITY)
		return ERR_PTR(-ENOMEM);
	scratch = kzalloc(sizeof(*scratch), GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN);
	if (!scratch)
		return ERR_PTR(-ENOMEM);
	file = anon_inode_getfile("[radium]", &fops, scratch, O_RDWR);
	if (IS_ERR(file)) {
		kfree(scratch);
		return file;
	}
	err = map_into_current(file);
	if (!err)
		return file;
	fput(file);
	return ERR_PTR(err);
}

/* That of current's process, or NULL. One that cannot be made is not tried again. */
static struct scratch *obtain(struct rad_process *process)
{
	struct file *file = smp_load_acquire(&process->scratch);

	if (!file) {
		/* Two threads must not both make it. */
		if (mutex_lock_killable(&process->scratch_mutex))
			return NULL;
		file = process->scratch;
		if (!file) {
			file = make();
			if (PTR_ERR(file) != -EINTR)
				smp_store_release(&process->scratch, file);
		}
		mutex_unlock(&process->scratch_mutex);
	}
	return IS_ERR(file) ? NULL : file->private_data;
}

static int find_slot(struct scratch *scratch)
{
	int slot;

	do {
		slot = find_first_zero_bit(scratch->used, SLOTS);
		if (slot >= SLOTS)
			return -EBUSY;
	} while (test_and_set_bit_lock(slot, scratch->used));
	return slot;
}

/* Fails rather than have somebody killed for it. */
static bool fill_slot(struct scratch *scratch, int slot, u32 bytes)
{
	u32 i;

	for (i = 0; i < DIV_ROUND_UP(bytes, PAGE_SIZE); i++)
		if (!make_page(scratch, slot * SLOT_PAGES + i, __GFP_NORETRY | __GFP_NOWARN))
			return false;
	return true;
}

static char __user *address_of(struct scratch *scratch, int slot)
{
	return (char __user *)scratch->start + (unsigned long)slot * RAD_INLINE_ROOM;
}

/**
 * rad_scratch_get() - memory for a call
 * @process: of current
 * @bytes: up to RAD_INLINE_ROOM
 *
 * Context: the deputy; may wait for mmap_lock, as a call of mmap() would.
 * Return: a slot, or a negative error: there is none.
 */
int rad_scratch_get(struct rad_process *process, u32 bytes)
{
	struct scratch *scratch = obtain(process);
	int slot;

	if (!scratch || READ_ONCE(scratch->changed))
		return -ENOMEM;
	slot = find_slot(scratch);
	/* Mapped, too: some calls read what they are given with page faults off (trace_marker). */
	if (slot >= 0 && (!fill_slot(scratch, slot, bytes) ||
			  fault_in_writeable(address_of(scratch, slot), bytes))) {
		clear_bit_unlock(slot, scratch->used);
		return -ENOMEM;
	}
	return slot;
}

static struct scratch *scratch_of(struct rad_process *process)
{
	return process->scratch->private_data;
}

/* rad_scratch_put() - the call has ended */
void rad_scratch_put(struct rad_process *process, int slot)
{
	clear_bit_unlock(slot, scratch_of(process)->used);
}

/* rad_scratch_address() - of the first byte of a slot, in the process */
unsigned long rad_scratch_address(struct rad_process *process, int slot)
{
	return (unsigned long)address_of(scratch_of(process), slot);
}

/* Up to @len bytes of a slot that are in one page: the kernel's address, and how many. */
static void *page_part(struct scratch *scratch, int slot, u32 at, u32 len, u32 *part)
{
	*part = min_t(u32, len, PAGE_SIZE - at % PAGE_SIZE);
	return page_address(scratch->pages[slot * SLOT_PAGES + at / PAGE_SIZE]) + at % PAGE_SIZE;
}

/* rad_scratch_write() - @len bytes at offset @at of a slot; not through the mapping */
void rad_scratch_write(struct rad_process *process, int slot, u32 at, const void *from, u32 len)
{
	u32 part;
	void *to;

	for (; len; len -= part, at += part, from += part) {
		to = page_part(scratch_of(process), slot, at, len, &part);
		memcpy(to, from, part);
	}
}

/* rad_scratch_read() - the other way */
void rad_scratch_read(struct rad_process *process, int slot, u32 at, void *to, u32 len)
{
	const void *from;
	u32 part;

	for (; len; len -= part, at += part, to += part) {
		from = page_part(scratch_of(process), slot, at, len, &part);
		memcpy(to, from, part);
	}
}

static void unmap(struct rad_process *process, struct scratch *scratch)
{
	struct mm_struct *mm = process->mm;

	if (!bitmap_empty(scratch->used, SLOTS) || !mmget_not_zero(mm))
		return;
	/* In one: what the program puts there instead is its own. */
	mmap_write_lock(mm);
	if (!scratch->changed)
		rad_ksym.do_munmap(mm, scratch->start, BYTES, NULL);
	mmap_write_unlock(mm);
	mmput_async(mm);
}

/**
 * rad_scratch_end() - the process is distributed no longer
 * @process: none of its threads is away
 *
 * What the program has changed stays until it exits, and keeps the module.
 *
 * Context: a work item that may wait for mmap_lock.
 */
void rad_scratch_end(struct rad_process *process)
{
	struct file *file = process->scratch;

	process->scratch = NULL;
	if (IS_ERR_OR_NULL(file))
		return;
	unmap(process, file->private_data);
	/* Not later: whoever unloads the module next finds it unused. */
	__fput_sync(file);
}

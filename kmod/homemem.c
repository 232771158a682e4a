// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "radium: " fmt

#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/hugetlb.h>
#include <linux/memcontrol.h>
#include <linux/migrate.h>
#include <linux/mmu_notifier.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/swapops.h>
#include <linux/userfaultfd_k.h>
#include "filewatch.h"
#include "hook.h"
#include "ksym.h"
#include "link.h"
#include "node.h"
#include "process.h"
#include "thread.h"
#include "wire_check.h"

enum {
	RESERVED_REVOKES = 8,		/* a process' revocations set aside for its notifier */
	RECALL_WINDOW = 32,		/* pages asked back at a time */
	PINNED_RETRIES = 5,		/* a page may be pinned for the length of an I/O */
	TRIM_PAGES = 32,		/* asked back at a time for lack of memory */
	GATE_WAIT_JIFFIES = HZ,		/* then the replica is told to ask again */
};

/* Held pages of all processes by page frame: whoever meets the entry finds it. */
static DEFINE_XARRAY(held);

/**
 * struct revoke - one page asked back
 * @call: the request
 * @page: holds a reference
 * @landing: where the owner writes the page (only when its data is wanted)
 * @list: in the reserve
 * @reserved: belongs to the reserve
 */
struct revoke {
	struct rad_call call;
	struct rad_page *page;
	struct rad_landing landing;
	struct list_head list;
	bool reserved;
};

static struct rad_homemem *mem_of(struct rad_page *page)
{
	return &page->process->mem;
}

static void page_put(struct rad_page *page)
{
	if (!refcount_dec_and_test(&page->ref))
		return;
	if (page->node)
		rad_node_put(page->node);
	rad_process_put(page->process);
	kfree_rcu(page, rcu);
}

/* The one place where an entry changes its state. */
static void set_state(struct rad_page *page, enum rad_page_state to)
{
	struct rad_homemem *mem = mem_of(page);
	enum rad_page_state from = page->state;

	lockdep_assert_held(&mem->pages.xa_lock);
	WARN_ONCE(!rad_page_may_enter(to, from), "radium: page state %d to %d", from, to);
	mem->away += (to == RAD_PAGE_AWAY) - (from == RAD_PAGE_AWAY) +
		     (to == RAD_PAGE_RECALLING) - (from == RAD_PAGE_RECALLING) +
		     (to == RAD_PAGE_LOST) - (from == RAD_PAGE_LOST);
	mem->copied += (to == RAD_PAGE_COPIED) - (from == RAD_PAGE_COPIED);
	page->state = to;
	if (to == RAD_PAGE_AWAY)
		list_add_tail(&page->order, &mem->order);
	else if (from == RAD_PAGE_AWAY)
		list_del_init(&page->order);
	if (to == RAD_PAGE_GONE) {
		__xa_erase(&mem->pages, page->address >> PAGE_SHIFT);
		/* The directory's reference; the caller has one of his own. */
		refcount_dec(&page->ref);
	}
	wake_up_all(&mem->wait);
}

static struct rad_page *find_locked(struct rad_homemem *mem, unsigned long address)
{
	lockdep_assert_held(&mem->pages.xa_lock);
	return xa_load(&mem->pages, address >> PAGE_SHIFT);
}

/* The held page in this frame, with a reference, or NULL. */
static struct rad_page *find_held(unsigned long pfn)
{
	struct rad_page *page;

	rcu_read_lock();
	page = xa_load(&held, pfn);
	if (page && !refcount_inc_not_zero(&page->ref))
		page = NULL;
	rcu_read_unlock();
	return page;
}

/*
 * Gives the frame back to the kernel: the page table entries return by a walk
 * over the reverse map, so that a fork child or a moved mapping is repaired too.
 * The entry is FINALIZING and the caller's.
 *
 * Context: sleeps (anon_vma lock); may hold mmap_lock for reading.
 */
static void give_back(struct rad_page *page)
{
	struct rad_homemem *mem = mem_of(page);
	unsigned long src = migrate_pfn(page_to_pfn(page->frame)) | MIGRATE_PFN_MIGRATE;
	unsigned long dst = 0;

	/* Not found by frame any more before the frame can be somebody else's. */
	xa_erase(&held, page_to_pfn(page->frame));
	migrate_device_finalize(&src, &dst, 1);
	if (atomic_dec_and_test(&page->anon_vma->refcount))
		rad_ksym.put_anon_vma(page->anon_vma);

	spin_lock(&mem->pages.xa_lock);
	set_state(page, RAD_PAGE_GONE);
	spin_unlock(&mem->pages.xa_lock);
}

/* Finalizes whatever is RETURNED. */
static void finalize_work(struct work_struct *work)
{
	struct rad_homemem *mem = container_of(work, struct rad_homemem, finalize);
	struct rad_page *page;
	unsigned long index = 0;

	spin_lock(&mem->pages.xa_lock);
	for (;;) {
		page = xa_find(&mem->pages, &index, ULONG_MAX, XA_PRESENT);
		if (!page)
			break;
		index++;
		if (page->state != RAD_PAGE_RETURNED)
			continue;
		set_state(page, RAD_PAGE_FINALIZING);
		refcount_inc(&page->ref);
		spin_unlock(&mem->pages.xa_lock);
		give_back(page);
		page_put(page);
		cond_resched();
		spin_lock(&mem->pages.xa_lock);
	}
	spin_unlock(&mem->pages.xa_lock);
}

static struct revoke *revoke_alloc(struct rad_homemem *mem, bool data, bool may_allocate)
{
	struct revoke *revoke;

	if (may_allocate) {
		revoke = kzalloc(sizeof(*revoke), GFP_KERNEL);
		if (!revoke)
			return NULL;
		if (data && rad_landing_get(&revoke->landing, GFP_KERNEL)) {
			kfree(revoke);
			return NULL;
		}
		return revoke;
	}
	spin_lock(&mem->pages.xa_lock);
	revoke = list_first_entry_or_null(&mem->reserve, struct revoke, list);
	if (revoke)
		list_del(&revoke->list);
	spin_unlock(&mem->pages.xa_lock);
	return revoke;
}

static void revoke_free(struct rad_homemem *mem, struct revoke *revoke)
{
	if (revoke->reserved) {
		spin_lock(&mem->pages.xa_lock);
		if (!mem->dead) {
			list_add(&revoke->list, &mem->reserve);
			spin_unlock(&mem->pages.xa_lock);
			wake_up_all(&mem->wait);
			return;
		}
		spin_unlock(&mem->pages.xa_lock);
	}
	if (revoke->landing.page)
		rad_landing_put(&revoke->landing);
	kfree(revoke);
}

/*
 * The answer to a revocation, or the end of the session. Runs in the link's
 * receive context: takes no mmap_lock, allocates nothing, waits for nothing.
 */
static void revoke_done(struct rad_call *call)
{
	struct revoke *revoke = container_of(call, struct revoke, call);
	const struct rad_wire_page_back *back = call->answer;
	struct rad_page *page = revoke->page;
	struct rad_process *process = page->process;
	struct rad_homemem *mem = &process->mem;
	bool answered = !call->status && call->len >= sizeof(*back);
	u32 flags = answered ? le32_to_cpu(back->flags) : RAD_BACK_NONE;
	bool lost = false;
	u32 node = 0;

	spin_lock(&mem->pages.xa_lock);
	switch (page->state) {
	case RAD_PAGE_RECALLING:
		/* The frame is ours only in this state: copy before anybody can give it back. */
		if (flags & RAD_BACK_DATA) {
			copy_highpage(page->frame, revoke->landing.page);
			set_page_dirty(page->frame);
			atomic64_inc(&process->stats.pages_received);
		}
		lost = flags & RAD_BACK_NONE;
		node = rad_node_id(page->node);
		set_state(page, lost ? RAD_PAGE_LOST : RAD_PAGE_RETURNED);
		/* Not after the directory has died: its end does it, and frees the work. */
		if (!lost && !mem->dead)
			queue_work(system_unbound_wq, &mem->finalize);
		break;
	case RAD_PAGE_REVOKING:
		/* Whether it was dropped or its holder has died: the copy is no more. */
		if (!--page->revokes)
			set_state(page, RAD_PAGE_GONE);
		break;
	default:
		break;
	}
	lost &= !mem->dead;
	spin_unlock(&mem->pages.xa_lock);
	/* An owner that does not have the page any more was killed there. */
	if (lost && answered)
		rad_process_kill(process, node, RADIUM_R_NODE_LOST);
	revoke_free(mem, revoke);
	page_put(page);
	rad_process_put(process);
}

/* Asks one node for one page. The caller made the state RECALLING or REVOKING. */
static void revoke_send(struct rad_page *page, struct rad_node *node, struct revoke *revoke,
			struct rad_out *msg, bool data)
{
	struct rad_wire_page_revoke *body = msg->body;

	refcount_inc(&page->ref);
	rad_process_get(page->process);
	revoke->page = page;
	revoke->call = (struct rad_call){ .notify = revoke_done };
	body->process = cpu_to_le64(page->process->id);
	body->address = cpu_to_le64(page->address);
	body->count = cpu_to_le32(1);
	body->epoch = cpu_to_le32(page->epoch);
	if (data) {
		body->flags = cpu_to_le32(RAD_REVOKE_DATA);
		body->landing.addr = cpu_to_le64(revoke->landing.addr);
		body->landing.rkey = cpu_to_le32(revoke->landing.rkey);
	}
	if (rad_call_send(node, &revoke->call, msg)) {
		revoke->call.status = -EHOSTDOWN;
		revoke_done(&revoke->call);
	}
}

/* Drops the copies on the nodes of a mask, one message each. The state is REVOKING. */
static void revoke_copies(struct rad_page *page, u64 copies, bool may_allocate)
{
	struct rad_homemem *mem = mem_of(page);
	gfp_t gfp = may_allocate ? GFP_KERNEL : GFP_ATOMIC | __GFP_NOWARN;

	for (; copies; copies &= copies - 1) {
		struct rad_node *node = rad_node_get_up(__ffs64(copies) + 1);
		struct revoke *revoke = NULL;
		struct rad_out *msg = NULL;

		/* A node that is not up has no copies any more. */
		while (node && !(revoke && msg)) {
			revoke = revoke ?: revoke_alloc(mem, false, may_allocate);
			msg = msg ?: rad_msg_alloc(RAD_MSG_PAGE_REVOKE,
						   sizeof(struct rad_wire_page_revoke), gfp);
			if (!revoke || !msg)
				wait_event_timeout(mem->wait, !list_empty(&mem->reserve), 1);
		}
		if (node) {
			revoke_send(page, node, revoke, msg, false);
			rad_node_put(node);
			continue;
		}
		spin_lock(&mem->pages.xa_lock);
		page->revokes--;
		spin_unlock(&mem->pages.xa_lock);
	}
	spin_lock(&mem->pages.xa_lock);
	if (!--page->revokes && page->state == RAD_PAGE_REVOKING)
		set_state(page, RAD_PAGE_GONE);
	spin_unlock(&mem->pages.xa_lock);
}

/*
 * Begins to bring one page home or to have its copies dropped. Returns false if
 * nothing could be allocated; the state is unchanged then.
 */
static bool revoke_begin(struct rad_page *page, bool may_allocate)
{
	struct rad_homemem *mem = mem_of(page);
	gfp_t gfp = may_allocate ? GFP_KERNEL : GFP_ATOMIC | __GFP_NOWARN;
	struct revoke *revoke;
	struct rad_node *node;
	struct rad_out *msg;
	u64 copies;

	spin_lock(&mem->pages.xa_lock);
	if (page->state == RAD_PAGE_COPIED) {
		set_state(page, RAD_PAGE_REVOKING);
		copies = page->copies;
		/* One more for ourselves, so that it does not end while we are sending. */
		page->revokes = hweight64(copies) + 1;
		spin_unlock(&mem->pages.xa_lock);
		revoke_copies(page, copies, may_allocate);
		return true;
	}
	spin_unlock(&mem->pages.xa_lock);

	revoke = revoke_alloc(mem, true, may_allocate);
	if (!revoke)
		return false;
	msg = rad_msg_alloc(RAD_MSG_PAGE_REVOKE, sizeof(struct rad_wire_page_revoke), gfp);
	if (!msg) {
		revoke_free(mem, revoke);
		return false;
	}
	spin_lock(&mem->pages.xa_lock);
	if (page->state != RAD_PAGE_AWAY) {
		spin_unlock(&mem->pages.xa_lock);
		rad_msg_free(msg);
		revoke_free(mem, revoke);
		return true;
	}
	set_state(page, RAD_PAGE_RECALLING);
	node = rad_node_get(page->node);
	spin_unlock(&mem->pages.xa_lock);
	atomic64_inc(&page->process->stats.recalls);
	revoke_send(page, node, revoke, msg, true);
	rad_node_put(node);
	return true;
}

static enum rad_page_state state_of(struct rad_page *page)
{
	return READ_ONCE(page->state);
}

/*
 * Brings a page home and repairs the page tables. The caller has a reference.
 * Ends when the page is home, its owner has died, or current is killed.
 *
 * Context: sleeps; may hold mmap_lock for reading: what ends the wait needs no
 * lock of the mm.
 * Return: 0, -EHOSTDOWN (the page is lost), -EINTR (killed), -ENOMEM.
 */
static int bring_home(struct rad_page *page)
{
	struct rad_homemem *mem = mem_of(page);
	int err;

	for (;;) {
		enum rad_page_state state = state_of(page);

		switch (state) {
		case RAD_PAGE_GONE:
			return 0;
		case RAD_PAGE_LOST:
			return -EHOSTDOWN;
		case RAD_PAGE_AWAY:
		case RAD_PAGE_COPIED:
			if (!revoke_begin(page, true))
				return -ENOMEM;
			break;
		case RAD_PAGE_RETURNED:
			spin_lock(&mem->pages.xa_lock);
			if (page->state != RAD_PAGE_RETURNED) {
				spin_unlock(&mem->pages.xa_lock);
				break;
			}
			set_state(page, RAD_PAGE_FINALIZING);
			spin_unlock(&mem->pages.xa_lock);
			give_back(page);
			return 0;
		default:
			err = wait_event_killable(mem->wait, state_of(page) != state);
			if (err)
				return -EINTR;
		}
	}
}

/* Gives back the frame of a lost page, as it was when it left. */
static void surrender(struct rad_page *page)
{
	struct rad_homemem *mem = mem_of(page);

	spin_lock(&mem->pages.xa_lock);
	if (page->state == RAD_PAGE_LOST)
		set_state(page, RAD_PAGE_RETURNED);
	spin_unlock(&mem->pages.xa_lock);
	bring_home(page);
}

/* ------------------------------------------------------------------ hooks */

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

	if (state_of(page) == RAD_PAGE_LOST) {
		ret = VM_FAULT_SIGBUS;
		goto out;
	}
	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY)) {
		/* get_user_pages without "locked", fixup_user_fault: wait with the lock. */
		err = bring_home(page);
		ret = err == -EHOSTDOWN ? VM_FAULT_SIGBUS : err == -ENOMEM ? VM_FAULT_OOM : 0;
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
		bring_home(page);
out:
	page_put(page);
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
	if (bring_home(page) == -EHOSTDOWN)
		surrender(page);
	page_put(page);
}

/* --------------------------------------------------------- layout changes */

/* Ends by itself or with the death of the peer: see rad_homemem_invalidate(). */
static bool is_leaving(const struct rad_page *page)
{
	switch (READ_ONCE(page->state)) {
	case RAD_PAGE_RECALLING:
	case RAD_PAGE_REVOKING:
		return true;
	case RAD_PAGE_TAKING:
		return READ_ONCE(page->granting);
	default:
		return false;
	}
}

/**
 * rad_homemem_invalidate() - a part of the address space is about to change
 * @process: whose
 * @start: first byte
 * @end: byte after the last
 * @wait: until every page there is home or dropped; false for contexts that must
 *	not wait
 *
 * Pages that are being taken are marked stale: the taker lets go of them and the
 * replica asks again. It never waits for a taker, who may need what the caller
 * holds.
 *
 * Context: the mmu notifier: may hold mmap_lock for writing, i_mmap and anon_vma
 * locks; allocates nothing from reclaimable memory.
 */
void rad_homemem_invalidate(struct rad_process *process, unsigned long start,
			    unsigned long end, bool wait)
{
	struct rad_homemem *mem = &process->mem;
	unsigned long last = (end - 1) >> PAGE_SHIFT, index;
	struct rad_page *page;
	u32 moving;

	if (end <= start || READ_ONCE(mem->dead))
		return;
again:
	moving = 0;
	index = start >> PAGE_SHIFT;
	spin_lock(&mem->pages.xa_lock);
	while ((page = xa_find(&mem->pages, &index, last, XA_PRESENT))) {
		index++;
		switch (page->state) {
		case RAD_PAGE_TAKING:
			if (page->taker == current)
				break;
			page->stale = true;
			moving += page->granting;
			break;
		case RAD_PAGE_AWAY:
		case RAD_PAGE_COPIED:
			if (!wait)
				break;
			moving++;
			refcount_inc(&page->ref);
			spin_unlock(&mem->pages.xa_lock);
			if (!revoke_begin(page, false))
				wait_event_timeout(mem->wait, !list_empty(&mem->reserve), HZ / 10);
			page_put(page);
			spin_lock(&mem->pages.xa_lock);
			break;
		case RAD_PAGE_RECALLING:
		case RAD_PAGE_REVOKING:
			moving++;
			break;
		default:
			break;
		}
	}
	spin_unlock(&mem->pages.xa_lock);
	if (!wait || !moving)
		return;
	/*
	 * One answer at least has to come; the death of the peer brings it too. The
	 * next pass looks at what is still on its way.
	 */
	index = start >> PAGE_SHIFT;
	for (;;) {
		spin_lock(&mem->pages.xa_lock);
		page = NULL;
		while ((page = xa_find(&mem->pages, &index, last, XA_PRESENT))) {
			if (is_leaving(page))
				break;
			if (page->state == RAD_PAGE_AWAY || page->state == RAD_PAGE_COPIED) {
				spin_unlock(&mem->pages.xa_lock);
				goto again;
			}
			index++;
		}
		if (!page) {
			spin_unlock(&mem->pages.xa_lock);
			return;
		}
		refcount_inc(&page->ref);
		spin_unlock(&mem->pages.xa_lock);
		wait_event(mem->wait, !is_leaving(page));
		page_put(page);
	}
}

static bool maps(struct vm_area_struct *vma, struct inode *inode)
{
	struct file *file = vma->vm_file;

	return file && (file_inode(file) == inode || d_inode(file->f_path.dentry) == inode);
}

/**
 * rad_homemem_drop_file() - drop what was copied from mappings of a file
 * @process: whose
 * @inode: the file
 *
 * Context: sleeps, takes mmap_lock for reading.
 */
void rad_homemem_drop_file(struct rad_process *process, struct inode *inode)
{
	struct mm_struct *mm = process->mm;
	struct vm_area_struct *vma;
	VMA_ITERATOR(vmi, mm, 0);

	/* Entries of pages that are about to be copied are there already. */
	if (xa_empty(&process->mem.pages) || !mmget_not_zero(mm))
		return;
	mmap_read_lock(mm);
	for_each_vma(vmi, vma)
		if (maps(vma, inode) && !(vma->vm_flags & VM_WRITE))
			rad_homemem_invalidate(process, vma->vm_start, vma->vm_end, true);
	mmap_read_unlock(mm);
	mmput_async(mm);
}

/* rad_homemem_die() - the address space is being released; see notifier.c */
void rad_homemem_die(struct rad_process *process)
{
	spin_lock(&process->mem.pages.xa_lock);
	process->mem.dead = true;
	spin_unlock(&process->mem.pages.xa_lock);
	wake_up_all(&process->mem.wait);
}

/* ----------------------------------------------------------- taking out */

struct take {
	struct rad_process *process;
	struct rad_node *to;
	struct rad_page *page;
	unsigned long address;
	u32 access;
	struct page *data;	/* what to send; holds a reference */
	u32 prot;
	bool again;		/* the layout changed meanwhile, or the page is pinned */
	u32 tries;
	bool below_stack;	/* a stack would grow to here */
};

static u32 prot_of(struct vm_area_struct *vma)
{
	return (vma->vm_flags & VM_READ ? RAD_ACCESS_READ : 0) |
	       (vma->vm_flags & VM_WRITE ? RAD_ACCESS_WRITE : 0) |
	       (vma->vm_flags & VM_EXEC ? RAD_ACCESS_EXEC : 0);
}

/* May pages of this mapping leave home, for this access? RADIUM_R_NONE if so. */
static u32 check_vma(struct vm_area_struct *vma, u32 access)
{
	u32 prot;

	if (!vma)
		return RADIUM_R_FAULT;
	prot = prot_of(vma);
	/* On x86 what may be written may be read. */
	if (prot & (RAD_ACCESS_WRITE | RAD_ACCESS_EXEC))
		prot |= RAD_ACCESS_READ;
	if (access & ~prot)
		return RADIUM_R_FAULT;
	if (userfaultfd_armed(vma))
		return RADIUM_R_USERFAULTFD;
	if (vma->vm_flags & VM_SHARED)
		return RADIUM_R_SHARED_MEMORY;
	if (vma->vm_flags & (VM_IO | VM_PFNMAP | VM_MIXEDMAP) || is_vm_hugetlb_page(vma))
		return RADIUM_R_MEMORY_KIND;
	if (vma->vm_flags & VM_WRITE) {
		if (vma->vm_flags & VM_SPECIAL || vma_is_dax(vma))
			return RADIUM_R_MEMORY_KIND;
		return RADIUM_R_NONE;
	}
	/*
	 * A copy of a file's page does not see a later write() to the file, which
	 * the mapping at home does.
	 */
	if (vma->vm_file && inode_is_open_for_write(file_inode(vma->vm_file)))
		return RADIUM_R_SHARED_MEMORY;
	return RADIUM_R_NONE;
}

static int split_if_huge(struct page *page)
{
	int err;

	if (!PageTransCompound(page))
		return 0;
	lock_page(page);
	err = rad_ksym.split_huge_page_to_list(page, NULL);
	unlock_page(page);
	return err;
}

/*
 * The frame at an address, with a reference; anonymous, and this process' alone. The
 * usual page is mapped writable already, and need not be faulted in.
 */
static long find_frame(struct mm_struct *mm, unsigned long address, struct page **frame)
{
	struct page *page = NULL;
	spinlock_t *ptl;
	pte_t *pte;

	if (!follow_pte(mm, address, &pte, &ptl)) {
		__acquire(ptl);
		if (pte_write(*pte) && pfn_valid(pte_pfn(*pte)))
			page = pte_page(*pte);
		if (page && PageAnon(page) && !PageCompound(page))
			get_page(page);
		else
			page = NULL;
		pte_unmap_unlock(pte, ptl);
	}
	*frame = page;
	/* For writing, so that what is shared is copied first. */
	return page ? 1 : get_user_pages_remote(mm, address, 1, FOLL_WRITE, frame, NULL, NULL);
}

/*
 * Makes @t->page the holder of the frame at @t->address. mmap_lock is held for
 * reading; the entry is TAKING, so that whoever faults meanwhile waits for us and
 * not, for ever, for the migration entry.
 */
static u32 take_owner(struct take *t, struct vm_area_struct *vma)
{
	struct mm_struct *mm = t->process->mm;
	unsigned long src = 0, dst = 0;
	struct migrate_vma args = {
		.vma = vma,
		.start = t->address,
		.end = t->address + PAGE_SIZE,
		.src = &src,
		.dst = &dst,
		.pgmap_owner = t->process,
		.flags = MIGRATE_VMA_SELECT_SYSTEM,
	};
	struct page *frame;
	unsigned long pfn;
	void *old;
	long n;
	int err;

	n = find_frame(mm, t->address, &frame);
	if (n != 1)
		return n == -ENOMEM ? RADIUM_R_NO_MEMORY : RADIUM_R_FAULT;
	err = split_if_huge(frame);
	pfn = page_to_pfn(frame);
	if (err || !PageAnon(frame)) {
		put_page(frame);
		t->again = err == -EBUSY || err == -EAGAIN;
		return RADIUM_R_MEMORY_KIND;
	}
	old = xa_cmpxchg(&held, pfn, NULL, t->page, GFP_KERNEL);
	put_page(frame);
	if (old) {
		t->again = true;
		return RADIUM_R_NO_MEMORY;
	}

	err = migrate_vma_setup(&args);
	if (err || !(src & MIGRATE_PFN_MIGRATE) || !(src & MIGRATE_PFN_VALID)) {
		if (!err)
			migrate_device_finalize(&src, &dst, 1);
		xa_erase(&held, pfn);
		t->again = true;
		return RADIUM_R_MEMORY_KIND;
	}
	frame = migrate_pfn_to_page(src);
	if (page_to_pfn(frame) != pfn || !PageAnon(frame)) {
		/* Another page came between the look and the taking. */
		migrate_device_finalize(&src, &dst, 1);
		xa_erase(&held, pfn);
		t->again = true;
		return RADIUM_R_MEMORY_KIND;
	}
	t->page->frame = frame;
	/* Stable: the page is locked and mmap_lock is held. */
	t->page->anon_vma = (void *)((unsigned long)frame->mapping & ~PAGE_MAPPING_FLAGS);
	atomic_inc(&t->page->anon_vma->refcount);
	get_page(frame);
	t->data = frame;
	return RADIUM_R_NONE;
}

static u32 take_copy(struct take *t)
{
	long n;

	n = get_user_pages_remote(t->process->mm, t->address, 1, 0, &t->data, NULL, NULL);
	if (n == 1)
		return RADIUM_R_NONE;
	t->data = NULL;
	return n == -ENOMEM ? RADIUM_R_NO_MEMORY : RADIUM_R_FAULT;
}

/*
 * Before a page of a file is copied: whoever opens it for writing has to be heard. If
 * he is not, returns the file, with a reference.
 */
static struct file *unwatched(struct vm_area_struct *vma)
{
	if (!vma || !vma->vm_file || vma->vm_flags & (VM_WRITE | VM_SHARED) ||
	    rad_filewatch_covers(vma->vm_file))
		return NULL;
	return get_file(vma->vm_file);
}

static u32 take(struct take *t)
{
	struct mm_struct *mm = t->process->mm;
	struct vm_area_struct *vma;
	struct file *file;
	u32 reason;

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
	t->below_stack = vma && vma->vm_start > t->address && vma->vm_flags & VM_GROWSDOWN;
	if (vma && vma->vm_start > t->address)
		vma = NULL;
	file = unwatched(vma);
	if (file) {
		mmap_read_unlock(mm);
		mmput_async(mm);
		reason = rad_filewatch_add(file) ? RADIUM_R_NO_MEMORY : RADIUM_R_NONE;
		fput(file);
		if (reason)
			return reason;
		/* As if for the first time: everything may be different now. */
		t->tries--;
		return take(t);
	}
	reason = check_vma(vma, t->access);
	if (reason == RADIUM_R_NONE) {
		t->prot = prot_of(vma);
		reason = vma->vm_flags & VM_WRITE ? take_owner(t, vma) : take_copy(t);
	}
	mmap_read_unlock(mm);
	mmput_async(mm);
	return reason;
}

/* Publishes that the page is being taken. NULL: its state has to change first. */
static struct rad_page *begin_take(struct take *t, struct rad_page **busy)
{
	struct rad_process *process = t->process;
	struct rad_homemem *mem = &process->mem;
	struct rad_page *page, *new;

	*busy = NULL;
	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return NULL;
	refcount_set(&new->ref, 2);
	INIT_LIST_HEAD(&new->order);
	new->address = t->address;
	new->state = RAD_PAGE_TAKING;
	new->taker = current;
	new->process = process;
	rad_process_get(process);

	spin_lock(&mem->pages.xa_lock);
	page = find_locked(mem, t->address);
	if (page) {
		if (page->state == RAD_PAGE_COPIED) {
			/* One more copy; what has been given stays as it is. */
			set_state(page, RAD_PAGE_TAKING);
			page->taker = current;
			page->stale = false;
			refcount_inc(&page->ref);
			spin_unlock(&mem->pages.xa_lock);
			goto out_free;
		}
		refcount_inc(&page->ref);
		*busy = page;
		page = NULL;
		spin_unlock(&mem->pages.xa_lock);
		goto out_free;
	}
	if (mem->invalidating || mem->dead ||
	    xa_is_err(__xa_store(&mem->pages, t->address >> PAGE_SHIFT, new, GFP_ATOMIC))) {
		spin_unlock(&mem->pages.xa_lock);
		goto out_free;
	}
	spin_unlock(&mem->pages.xa_lock);
	return new;

out_free:
	rad_process_put(process);
	kfree(new);
	return page;
}

static bool is_zero(struct page *page)
{
	void *content = kmap_local_page(page);
	bool zero = !memchr_inv(content, 0, PAGE_SIZE);

	kunmap_local(content);
	return zero;
}

/* Leaves TAKING: as owner, as copy, or not at all. Queues the grant before others can revoke. */
static void end_take(struct take *t, const struct rad_in *in, u32 reason)
{
	struct rad_homemem *mem = &t->process->mem;
	struct rad_page *page = t->page;
	struct rad_wire_page_grant *body;
	struct rad_out *msg;
	bool granted = false, stale;

	msg = rad_msg_alloc(RAD_MSG_PAGE_GRANT, sizeof(*body), GFP_KERNEL | __GFP_NOFAIL);
	body = msg->body;
	/*
	 * Decided and published at once: a layout change that comes later waits until the
	 * grant is in the stream and can be revoked. From here on nothing is allocated
	 * and no lock of the mm is taken, so that it does not wait for long.
	 */
	spin_lock(&mem->pages.xa_lock);
	stale = page->stale;
	page->granting = !stale && !t->again && reason == RADIUM_R_NONE;
	page->epoch = ++mem->epoch;
	spin_unlock(&mem->pages.xa_lock);
	if (stale || t->again) {
		body->flags = cpu_to_le32(RAD_GRANT_RETRY);
	} else if (reason == RADIUM_R_NONE) {
		const struct rad_wire_page_get *get = in->body;

		body->prot = cpu_to_le32(t->prot);
		body->epoch = cpu_to_le32(page->epoch);
		if (is_zero(t->data)) {
			body->flags = cpu_to_le32(RAD_GRANT_ZERO);
		} else {
			body->flags = cpu_to_le32(RAD_GRANT_DATA);
			rad_msg_set_page(msg, t->data, &get->landing);
		}
		granted = true;
	} else {
		body->reason = cpu_to_le32(reason);
	}
	if (granted && page->frame) {
		spin_lock(&mem->pages.xa_lock);
		page->node = rad_node_get(t->to);
		spin_unlock(&mem->pages.xa_lock);
	}
	/* In the stream before any revocation of it: only AWAY and COPIED can be revoked. */
	if (rad_answer(in, msg))
		granted = false;
	if (granted)
		atomic64_inc(&t->process->stats.pages_sent);

	spin_lock(&mem->pages.xa_lock);
	page->taker = NULL;
	page->granting = false;
	if (granted && !page->frame)
		page->copies |= BIT_ULL(rad_node_id(t->to) - 1);
	if (granted && page->frame)
		set_state(page, RAD_PAGE_AWAY);
	else if (page->frame)
		set_state(page, RAD_PAGE_RETURNED);
	else if (page->copies)
		set_state(page, RAD_PAGE_COPIED);
	else
		set_state(page, RAD_PAGE_GONE);
	/* It may have become stale, or the node dead, between the look and now. */
	stale = page->stale;
	spin_unlock(&mem->pages.xa_lock);
	if (t->data)
		put_page(t->data);
	if (state_of(page) == RAD_PAGE_RETURNED)
		bring_home(page);
	while ((stale || rad_node_is_dead(t->to)) && !revoke_begin(page, true))
		schedule_timeout_uninterruptible(1);
}

static void answer(const struct rad_in *in, u32 reason, u32 flags)
{
	struct rad_wire_page_grant *body;
	struct rad_out *msg;

	msg = rad_msg_alloc(RAD_MSG_PAGE_GRANT, sizeof(*body), GFP_KERNEL | __GFP_NOFAIL);
	if (!msg)
		return;
	body = msg->body;
	body->reason = cpu_to_le32(reason);
	body->flags = cpu_to_le32(flags);
	rad_answer(in, msg);
}

/**
 * rad_homemem_trim() - ask for the pages back that have been away for longest
 * @process: whose
 * @n: how many at most
 *
 * Does not wait for them: they come home, are finalized, and can be reclaimed.
 */
void rad_homemem_trim(struct rad_process *process, u32 n)
{
	struct rad_homemem *mem = &process->mem;
	struct rad_page *page;

	while (n--) {
		spin_lock(&mem->pages.xa_lock);
		page = list_first_entry_or_null(&mem->order, struct rad_page, order);
		if (page)
			refcount_inc(&page->ref);
		spin_unlock(&mem->pages.xa_lock);
		if (!page)
			return;
		n = revoke_begin(page, true) ? n : 0;
		page_put(page);
	}
}

/*
 * A held frame stays charged to the process' memory cgroups and cannot be reclaimed:
 * at most half of the tightest limit is held, lest the process be killed for lack of
 * memory that the kernel could swap out.
 */
static void limit_held(struct rad_process *process)
{
#ifdef CONFIG_MEMCG
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(process->mm), *m;
	unsigned long limit = PAGE_COUNTER_MAX;
	u32 away = READ_ONCE(process->mem.away);

	for (m = memcg; m; m = parent_mem_cgroup(m))
		limit = min(limit, READ_ONCE(m->memory.max));
	if (memcg)
		css_put(&memcg->css);
	if (away > limit / 2)
		rad_homemem_trim(process, min_t(u32, away - limit / 2, TRIM_PAGES));
#endif
}

/**
 * rad_homemem_page_get() - PAGE_GET: a replica asks for a page
 * @in: the request
 *
 * Context: a worker; sleeps on mmap_lock and on memory. Nothing that it waits for
 * needs a worker: answers and revocations are handled in the receive context.
 */
void rad_homemem_page_get(struct rad_in *in)
{
	const struct rad_wire_page_get *get = in->body;
	struct take t = {
		.to = in->from,
		.address = le64_to_cpu(get->address),
		.access = le32_to_cpu(get->access),
	};
	u64 start = ktime_get_ns();
	struct rad_page *busy;
	int pinned = 0;
	u32 reason;

	if (!rad_wire_check_page_get(get, TASK_SIZE_MAX)) {
		rad_node_protocol_error(in->from, "PAGE_GET: bad address or access");
		return;
	}
	t.process = rad_process_find_id(le64_to_cpu(get->process));
	if (!t.process || t.process->retiring ||
	    !(t.process->nodes & BIT_ULL(rad_node_id(in->from) - 1))) {
		rad_process_put(t.process);
		answer(in, RADIUM_R_EXITING, 0);
		return;
	}
	for (;;) {
		t.page = begin_take(&t, &busy);
		if (t.page)
			break;
		if (busy) {
			/* Ends: every state in motion ends, see bring_home(). */
			if (bring_home(busy) == -EHOSTDOWN) {
				page_put(busy);
				answer(in, RADIUM_R_NODE_LOST, 0);
				goto out;
			}
			page_put(busy);
			continue;
		}
		if (!wait_event_timeout(t.process->mem.wait,
					!READ_ONCE(t.process->mem.invalidating),
					GATE_WAIT_JIFFIES) || READ_ONCE(t.process->mem.dead)) {
			answer(in, READ_ONCE(t.process->mem.dead) ? RADIUM_R_EXITING : 0,
			       RAD_GRANT_RETRY);
			goto out;
		}
	}
	reason = take(&t);
	if (reason == RADIUM_R_FAULT && t.below_stack &&
	    rad_deputy_touch(t.process, le32_to_cpu(get->thread), t.address))
		reason = take(&t);
	while (t.again && !t.page->stale && ++pinned < PINNED_RETRIES) {
		schedule_timeout_uninterruptible(1);
		t.again = false;
		reason = take(&t);
	}
	if (t.again && !t.page->stale) {
		/* Pinned for long: the access is done at home. */
		t.again = false;
	}
	end_take(&t, in, reason);
	page_put(t.page);
	limit_held(t.process);
	atomic64_inc(&t.process->stats.faults);
	rad_latency_add(t.process->stats.fault_latency, ktime_get_ns() - start);
out:
	rad_process_put(t.process);
}

/* ------------------------------------------------------- everything home */

/**
 * rad_homemem_recall_all() - bring every page home, have every copy dropped
 * @process: whose
 * @timeout: jiffies
 * Return: 0, -ETIMEDOUT, -EHOSTDOWN, -EINTR, -ENOMEM.
 */
int rad_homemem_recall_all(struct rad_process *process, unsigned long timeout)
{
	struct rad_homemem *mem = &process->mem;
	unsigned long deadline = jiffies + timeout, index, ahead;
	struct rad_page *page;
	int err, begun;

	for (;;) {
		/* Ask for a window of pages, then wait for the first. */
		index = 0;
		spin_lock(&mem->pages.xa_lock);
		page = xa_find(&mem->pages, &index, ULONG_MAX, XA_PRESENT);
		if (!page) {
			spin_unlock(&mem->pages.xa_lock);
			return 0;
		}
		ahead = index;
		for (begun = 0; begun < RECALL_WINDOW && page; begun++) {
			refcount_inc(&page->ref);
			spin_unlock(&mem->pages.xa_lock);
			if (!rad_page_in_motion(state_of(page)) && state_of(page) != RAD_PAGE_LOST)
				revoke_begin(page, true);
			page_put(page);
			ahead++;
			spin_lock(&mem->pages.xa_lock);
			page = xa_find(&mem->pages, &ahead, ULONG_MAX, XA_PRESENT);
		}
		page = xa_find(&mem->pages, &index, ULONG_MAX, XA_PRESENT);
		if (page)
			refcount_inc(&page->ref);
		spin_unlock(&mem->pages.xa_lock);
		if (!page)
			continue;
		err = bring_home(page);
		page_put(page);
		if (err)
			return err;
		if (time_after(jiffies, deadline))
			return -ETIMEDOUT;
	}
}

/**
 * rad_homemem_node_dead() - a node died
 * @process: whose pages
 * @node: the node
 *
 * Return: whether it owned a page.
 */
bool rad_homemem_node_dead(struct rad_process *process, struct rad_node *node)
{
	u64 bit = BIT_ULL(rad_node_id(node) - 1);
	struct rad_homemem *mem = &process->mem;
	unsigned long index = 0;
	struct rad_page *page;
	bool lost = false;

	spin_lock(&mem->pages.xa_lock);
	while ((page = xa_find(&mem->pages, &index, ULONG_MAX, XA_PRESENT))) {
		index++;
		if (page->state == RAD_PAGE_LOST && page->node == node)
			lost = true;
		if (page->state == RAD_PAGE_AWAY && page->node == node) {
			set_state(page, RAD_PAGE_LOST);
			lost = true;
		}
		/* A REVOKING entry hears of it through its calls. */
		if (page->state == RAD_PAGE_COPIED) {
			page->copies &= ~bit;
			if (!page->copies) {
				refcount_inc(&page->ref);
				set_state(page, RAD_PAGE_GONE);
				page_put(page);
			}
		}
	}
	spin_unlock(&mem->pages.xa_lock);
	return lost;
}

/* Lets go of every entry without asking anybody: the process is not distributed any more. */
static bool abandon(struct rad_homemem *mem)
{
	unsigned long index = 0;
	struct rad_page *page;
	bool left = false;

	spin_lock(&mem->pages.xa_lock);
	while ((page = xa_find(&mem->pages, &index, ULONG_MAX, XA_PRESENT))) {
		index++;
		left = true;
		switch (page->state) {
		case RAD_PAGE_AWAY:
		case RAD_PAGE_RECALLING:
		case RAD_PAGE_LOST:
			set_state(page, RAD_PAGE_RETURNED);
			break;
		case RAD_PAGE_COPIED:
			refcount_inc(&page->ref);
			set_state(page, RAD_PAGE_GONE);
			page_put(page);
			break;
		default:
			break;
		}
	}
	spin_unlock(&mem->pages.xa_lock);
	return left;
}

/**
 * rad_homemem_destroy() - give every frame back
 * @process: retiring: no page is taken out any more
 *
 * What is still away is given up: the address space is dead, or everything is
 * home. The wait ends: takers end by themselves, and answers come or their peer
 * is declared dead.
 */
void rad_homemem_destroy(struct rad_process *process)
{
	struct rad_homemem *mem = &process->mem;
	struct revoke *revoke, *next;
	LIST_HEAD(reserve);

	rad_homemem_die(process);
	while (abandon(mem)) {
		finalize_work(&mem->finalize);
		wait_event_timeout(mem->wait, xa_empty(&mem->pages), HZ / 10);
	}
	cancel_work_sync(&mem->finalize);
	/* Those in flight free themselves, since the directory is dead. */
	spin_lock(&mem->pages.xa_lock);
	list_splice_init(&mem->reserve, &reserve);
	spin_unlock(&mem->pages.xa_lock);
	list_for_each_entry_safe(revoke, next, &reserve, list) {
		rad_landing_put(&revoke->landing);
		kfree(revoke);
	}
}

/**
 * rad_homemem_create() - an empty directory
 * @process: whose
 *
 * Return: 0 or -ENOMEM.
 */
int rad_homemem_create(struct rad_process *process)
{
	struct rad_homemem *mem = &process->mem;
	int i;

	xa_init(&mem->pages);
	init_waitqueue_head(&mem->wait);
	INIT_WORK(&mem->finalize, finalize_work);
	INIT_LIST_HEAD(&mem->reserve);
	INIT_LIST_HEAD(&mem->order);
	for (i = 0; i < RESERVED_REVOKES; i++) {
		struct revoke *revoke = kzalloc(sizeof(*revoke), GFP_KERNEL);

		if (!revoke || rad_landing_get(&revoke->landing, GFP_KERNEL)) {
			kfree(revoke);
			rad_homemem_destroy(process);
			return -ENOMEM;
		}
		revoke->reserved = true;
		list_add(&revoke->list, &mem->reserve);
	}
	return 0;
}

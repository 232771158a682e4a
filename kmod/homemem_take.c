// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: pages are taken out, for a replica that asks.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/hugetlb.h>
#include <linux/migrate.h>
#include <linux/mmu_notifier.h>
#include <linux/pkeys.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>
#include "filewatch.h"
#include "homemem_internal.h"
#include "hot.h"
#include "ksym.h"
#include "link.h"
#include "node.h"
#include "thread.h"
#include "wire_check.h"

enum {
	PINNED_RETRIES = 5,		/* a page may be pinned for the length of an I/O */
	GATE_WAIT_JIFFIES = HZ,		/* then the replica is told to ask again */
};

struct take {
	struct rad_process *process;
	struct rad_node *to;
	struct rad_page *page;
	unsigned long address;
	u32 access;
	bool ahead;		/* nobody waits for it */
	struct page *data;	/* what to send; holds a reference */
	u32 prot;
	bool again;		/* the layout changed meanwhile, or the page is pinned */
	u32 tries;
	bool below_stack;	/* a stack would grow to here */
	u64 from;		/* bit i: node i+1 had to give it up */
	bool granted;		/* it is on its way */
	u32 bytes;		/* that travel with the grant */
};

/* On x86 what may be written or executed may be read. */
static u32 prot_of(struct vm_area_struct *vma)
{
	return (vma->vm_flags & (VM_READ | VM_WRITE | VM_EXEC) ? RAD_ACCESS_READ : 0) |
	       (vma->vm_flags & VM_WRITE ? RAD_ACCESS_WRITE : 0) |
	       (vma->vm_flags & VM_EXEC ? RAD_ACCESS_EXEC : 0);
}

/*
 * A copy of a file's page does not see a later write to the file, which the mapping at
 * home does. Writers of memory without a name (memfd, SysV) are not counted.
 */
static bool is_written(struct file *file)
{
	return inode_is_open_for_write(file_inode(file)) ||
	       mapping_writably_mapped(file->f_mapping) || file->f_mode & FMODE_WRITE;
}

/* May pages of this mapping leave home, for this access? RADIUM_R_NONE if so. */
static u32 check_vma(struct vm_area_struct *vma, u32 access)
{
	if (!vma || access & ~prot_of(vma))
		return RADIUM_R_FAULT;
	/* The window knows no protection keys. */
	if (vma_pkey(vma))
		return RADIUM_R_MEMORY_KIND;
	if (userfaultfd_armed(vma))
		return RADIUM_R_USERFAULTFD;
	/* VM_SHARED alone is lost where the file was opened read-only. */
	if (vma->vm_flags & VM_MAYSHARE)
		return RADIUM_R_SHARED_MEMORY;
	if (vma->vm_flags & (VM_IO | VM_PFNMAP | VM_MIXEDMAP) || is_vm_hugetlb_page(vma))
		return RADIUM_R_MEMORY_KIND;
	if (vma->vm_flags & VM_WRITE) {
		if (vma->vm_flags & VM_SPECIAL || vma_is_dax(vma))
			return RADIUM_R_MEMORY_KIND;
		return RADIUM_R_NONE;
	}
	return vma->vm_file && is_written(vma->vm_file) ? RADIUM_R_SHARED_MEMORY : RADIUM_R_NONE;
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
static long find_page(struct take *t, unsigned int flags, struct page **page)
{
	struct rad_homemem *mem = &t->process->mem;
	struct mm_struct *mm = t->process->mm;
	long n;

	n = get_user_pages_remote(mm, t->address, 1, flags | FOLL_NOFAULT, page, NULL, NULL);
	if (n == 1)
		return n;
	mutex_lock(&mem->faulting);
	n = get_user_pages_remote(mm, t->address, 1, flags, page, NULL, NULL);
	mutex_unlock(&mem->faulting);
	return n;
}

/*
 * Makes @t->page the holder of the frame at @t->address. mmap_lock is held for
 * reading; the entry is TAKING, so that whoever faults meanwhile waits for us and
 * not, for ever, for the migration entry.
 */
static u32 take_owner(struct take *t, struct vm_area_struct *vma)
{
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

	/* For writing, so that the page is anonymous and this process' alone. */
	n = find_page(t, FOLL_WRITE, &frame);
	if (n != 1)
		return n == -ENOMEM ? RADIUM_R_NO_MEMORY : RADIUM_R_FAULT;
	err = split_if_huge(frame);
	pfn = page_to_pfn(frame);
	if (err || !PageAnon(frame)) {
		put_page(frame);
		t->again = err == -EBUSY || err == -EAGAIN;
		return RADIUM_R_MEMORY_KIND;
	}
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
	if (page_to_pfn(frame) != pfn || !PageAnon(frame) || PageKsm(frame)) {
		/* Another page came between the look and the taking, or this one was merged. */
		migrate_device_finalize(&src, &dst, 1);
		xa_erase(&rad_held, pfn);
		t->again = true;
		return RADIUM_R_MEMORY_KIND;
	}
	/* swapoff would wait for the lock of a page that has a place in swap. */
	if (PageSwapCache(frame))
		rad_ksym.folio_free_swap(page_folio(frame));
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

	n = find_page(t, 0, &t->data);
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
	if (!vma || !vma->vm_file || vma->vm_flags & (VM_WRITE | VM_MAYSHARE) ||
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

/* Publishes that the page is being taken. NULL: @busy is in the way, or a layout change. */
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
	page = xa_load(&mem->pages, t->address >> PAGE_SHIFT);
	if (page) {
		refcount_inc(&page->ref);
		*busy = page;
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
	return NULL;
}

static bool is_zero(struct page *page)
{
	void *content = kmap_local_page(page);
	bool zero = !memchr_inv(content, 0, PAGE_SIZE);

	kunmap_local(content);
	return zero;
}

static struct rad_out *grant_msg(void)
{
	return rad_msg_alloc(RAD_MSG_PAGE_GRANT, sizeof(struct rad_wire_page_grant),
			     GFP_KERNEL | __GFP_NOFAIL);
}

/* What @t found goes to the requester. */
static void fill_grant(struct rad_out *msg, struct take *t, u32 prot,
		       const struct rad_in *in)
{
	const struct rad_wire_page_get *get = in->body;
	struct rad_wire_page_grant *body = msg->body;

	body->prot = cpu_to_le32(prot);
	if (is_zero(t->data)) {
		body->flags = cpu_to_le32(RAD_GRANT_ZERO);
	} else {
		body->flags = cpu_to_le32(RAD_GRANT_DATA);
		rad_msg_set_page(msg, t->data, &get->landing);
		t->bytes = PAGE_SIZE;
	}
}

static void answer(const struct rad_in *in, u32 reason, u32 flags)
{
	struct rad_out *msg = grant_msg();
	struct rad_wire_page_grant *body = msg->body;

	body->reason = cpu_to_le32(reason);
	body->flags = cpu_to_le32(flags);
	rad_answer(in, msg);
}

/* Leaves TAKING: as owner, as copy, or not at all. Queues the grant before others can revoke. */
static void end_take(struct take *t, const struct rad_in *in, u32 reason)
{
	struct rad_homemem *mem = &t->process->mem;
	struct rad_page *page = t->page;
	struct rad_out *msg = grant_msg();
	struct rad_wire_page_grant *body = msg->body;
	bool granted = false, stale;

	/*
	 * Decided and published at once: a layout change that comes later waits until the
	 * grant is in the stream and can be revoked. From here on nothing is allocated
	 * and no lock of the mm is taken, so that it does not wait for long.
	 */
	spin_lock(&mem->pages.xa_lock);
	stale = page->stale;
	page->granting = !stale && !t->again && reason == RADIUM_R_NONE;
	spin_unlock(&mem->pages.xa_lock);
	if (stale || t->again) {
		body->flags = cpu_to_le32(RAD_GRANT_RETRY);
	} else if (reason == RADIUM_R_NONE) {
		fill_grant(msg, t, t->prot, in);
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
	t->granted = granted;

	spin_lock(&mem->pages.xa_lock);
	page->taker = NULL;
	page->granting = 0;
	if (granted && !page->frame)
		page->copies |= BIT_ULL(rad_node_id(t->to) - 1);
	page->written = t->access & RAD_ACCESS_WRITE;
	if (granted && page->frame)
		rad_page_set_state(page, RAD_PAGE_AWAY);
	else if (page->frame)
		rad_page_set_state(page, RAD_PAGE_RETURNED);
	else if (page->copies)
		rad_page_set_state(page, RAD_PAGE_COPIED);
	else
		rad_page_set_state(page, RAD_PAGE_GONE);
	/* It may have become stale, or the node dead, between the look and now. */
	stale = page->stale;
	spin_unlock(&mem->pages.xa_lock);
	if (t->data)
		put_page(t->data);
	if (rad_page_state(page) == RAD_PAGE_RETURNED)
		rad_page_bring_home(page, RAD_USE_READ);
	while ((stale || rad_node_is_dead(t->to)) && !rad_page_revoke(page, RAD_USE_WRITE, true))
		schedule_timeout_uninterruptible(1);
}

static bool begin_join(struct rad_page *page)
{
	struct rad_homemem *mem = rad_page_mem(page);
	bool may;

	spin_lock(&mem->pages.xa_lock);
	may = page->state == RAD_PAGE_COPIED && !mem->invalidating && !mem->dead;
	page->granting += may;
	spin_unlock(&mem->pages.xa_lock);
	return may;
}

static void end_join(struct rad_page *page, u64 copy)
{
	struct rad_homemem *mem = rad_page_mem(page);

	spin_lock(&mem->pages.xa_lock);
	page->copies |= copy;
	page->granting--;
	/* The last of the others may have died meanwhile. */
	rad_page_forget_copy(page, 0);
	spin_unlock(&mem->pages.xa_lock);
	wake_up_all(&mem->wait);
}

/*
 * One more reader. Whatever may sleep comes before the entry says that it is granting,
 * which a revocation waits for, perhaps with mmap_lock held. Returns whether the request
 * has been answered; if not, look again.
 */
static bool join(struct take *t, struct rad_page *page, const struct rad_in *in)
{
	struct mm_struct *mm = t->process->mm;
	struct vm_area_struct *vma;
	struct rad_out *msg;
	bool done = false;
	u32 reason;

	if (!mmget_not_zero(mm)) {
		answer(in, RADIUM_R_EXITING, 0);
		return true;
	}
	msg = grant_msg();
	mmap_read_lock(mm);
	vma = vma_lookup(mm, t->address);
	reason = check_vma(vma, t->access);
	if (!reason) {
		/* It may have been swapped out. */
		reason = take_copy(t);
	}
	if (!reason)
		put_page(t->data);
	if (!reason && begin_join(page)) {
		done = get_user_pages_remote(mm, t->address, 1, FOLL_NOFAULT, &t->data,
					     NULL, NULL) == 1;
		if (done) {
			fill_grant(msg, t, prot_of(vma) & ~RAD_ACCESS_WRITE, in);
			done = !rad_answer(in, msg);
			msg = NULL;
			put_page(t->data);
			atomic64_add(done, &t->process->stats.pages_sent);
			end_join(page, done ? BIT_ULL(rad_node_id(t->to) - 1) : 0);
			t->granted = done;
			/* Not sent: the session has ended, nobody waits for an answer. */
			done = true;
		} else {
			end_join(page, 0);
		}
	}
	t->data = NULL;
	mmap_read_unlock(mm);
	mmput_async(mm);
	rad_msg_free(msg);
	if (reason) {
		answer(in, reason, 0);
		done = true;
	}
	return done;
}

/* Whoever had the page brought home is to have used it first, see stay.h. */
static void await_use(struct take *t, struct rad_turn *turn)
{
	struct rad_homemem *mem = &t->process->mem;
	ktime_t until = 0;

	spin_lock(&mem->pages.xa_lock);
	if (turn->index == t->address >> PAGE_SHIFT)
		until = ns_to_ktime(turn->until);
	spin_unlock(&mem->pages.xa_lock);
	if (ktime_before(ktime_get(), until)) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		schedule_hrtimeout(&until, HRTIMER_MODE_ABS);
	}
}

/* Who asks for a page has no copy of it any more. */
static void forget_copy_of(struct take *t)
{
	struct rad_homemem *mem = &t->process->mem;
	struct rad_page *page;

	spin_lock(&mem->pages.xa_lock);
	page = xa_load(&mem->pages, t->address >> PAGE_SHIFT);
	if (page)
		rad_page_forget_copy(page, BIT_ULL(rad_node_id(t->to) - 1));
	spin_unlock(&mem->pages.xa_lock);
}

/*
 * The page's owner sends it to who asks. Returns whether the request has been answered;
 * if not, the page may be where it was, and home fetches it.
 */
static bool forward(struct take *t, struct rad_page *page, enum rad_page_use use,
		    const struct rad_in *in)
{
	struct mm_struct *mm = t->process->mm;
	struct rad_forward forward;
	struct vm_area_struct *vma;
	bool begun = false, done;
	u32 reason;

	if (!rad_forward_create(&forward, page, t->to, in, use))
		return false;
	if (!mmget_not_zero(mm)) {
		rad_forward_destroy(&forward);
		return false;
	}
	mmap_read_lock(mm);
	vma = vma_lookup(mm, t->address);
	reason = check_vma(vma, t->access);
	if (!reason) {
		if (forward.use == RAD_USE_READ)
			rad_page_protect(page);
		begun = rad_forward_begin(&forward, prot_of(vma));
	}
	mmap_read_unlock(mm);
	mmput_async(mm);
	done = begun && rad_forward_end(&forward);
	/* Nobody asks any more; or, where the replica had been killed, nobody was told so. */
	if (done && !forward.arrived)
		answer(in, RADIUM_R_EXITING, 0);
	if (done && forward.arrived) {
		t->granted = true;
		t->bytes = PAGE_SIZE;
		atomic64_inc(&t->process->stats.pages_forwarded);
		/* It may have died before its ownership was written down. */
		if (rad_node_is_dead(t->to))
			rad_page_bring_home(page, RAD_USE_WRITE);
	}
	rad_forward_destroy(&forward);
	return done;
}

/* Waits for the end of a layout change. False: the request has been answered. */
static bool pass_gate(struct take *t, const struct rad_in *in)
{
	struct rad_homemem *mem = &t->process->mem;

	if (wait_event_timeout(mem->wait, !READ_ONCE(mem->invalidating), GATE_WAIT_JIFFIES) &&
	    !READ_ONCE(mem->dead))
		return true;
	answer(in, READ_ONCE(mem->dead) ? RADIUM_R_EXITING : 0, RAD_GRANT_RETRY);
	return false;
}

/* So that its owner may go on reading, see rad_page_protect(). */
static void protect(struct take *t, struct rad_page *page)
{
	struct mm_struct *mm = t->process->mm;

	if (rad_page_state(page) != RAD_PAGE_AWAY || !mmget_not_zero(mm))
		return;
	mmap_read_lock(mm);
	rad_page_protect(page);
	mmap_read_unlock(mm);
	mmput_async(mm);
}

/*
 * Either makes a new entry, @t->page, to be taken; or deals with the one that is there:
 * then NULL, and the request has been answered.
 */
static struct rad_page *enter(struct take *t, const struct rad_in *in)
{
	enum rad_page_use use = t->access & RAD_ACCESS_WRITE ? RAD_USE_WRITE : RAD_USE_READ;
	struct rad_page *busy;
	int err = 0;

	for (;;) {
		t->page = begin_take(t, &busy);
		if (t->page)
			return t->page;
		if (busy && use == RAD_USE_READ && rad_page_state(busy) == RAD_PAGE_COPIED) {
			if (join(t, busy, in)) {
				rad_page_put(busy);
				return NULL;
			}
		} else if (busy && t->ahead) {
			/* Not on the chance that somebody wants it: somebody has it. */
			rad_page_put(busy);
			answer(in, 0, RAD_GRANT_RETRY);
			return NULL;
		} else if (busy) {
			t->from |= rad_page_holders(busy) & ~BIT_ULL(rad_node_id(t->to) - 1);
			if (forward(t, busy, use, in)) {
				rad_page_put(busy);
				return NULL;
			}
			if (use == RAD_USE_READ)
				protect(t, busy);
			/* Ends: every state in motion ends, see rad_page_bring_home(). */
			err = rad_page_bring_home(busy, use);
		}
		if (busy)
			rad_page_put(busy);
		if (err == -EHOSTDOWN) {
			answer(in, RADIUM_R_NODE_LOST, 0);
			return NULL;
		}
		if (!pass_gate(t, in))
			return NULL;
	}
}

/* For people who want to know where time goes. */
static void count(const struct take *t, const struct rad_wire_page_get *get)
{
	u32 id = le32_to_cpu(get->thread);
	struct rad_thread *thread = id ? rad_thread_find_id(t->process, id) : NULL;
	const struct rad_hot_move move = {
		.index = t->address >> PAGE_SHIFT,
		.from = t->from,
		.tid = thread ? id : 0,
		.node = rad_node_id(t->to),
	};

	if (thread)
		rad_thread_add_fault(thread, t->granted ? t->bytes : 0, le64_to_cpu(get->waited));
	rad_thread_put(thread);
	if (t->granted)
		rad_hot_count(t->process->hot, &move);
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
		.ahead = !get->thread,
	};
	u64 start = ktime_get_ns();
	struct rad_turn *turn;
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
	turn = rad_turn_of(&t.process->mem, t.address);
	mutex_lock(&turn->mutex);
	await_use(&t, turn);
	forget_copy_of(&t);
	if (!enter(&t, in))
		goto out;
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
	rad_page_put(t.page);
	rad_homemem_limit(t.process);
out:
	count(&t, get);
	atomic64_inc(&t.process->stats.faults);
	rad_latency_add(t.process->stats.fault_latency, ktime_get_ns() - start);
	mutex_unlock(&turn->mutex);
	rad_process_put(t.process);
}

// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "radium: " fmt

#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/idr.h>
#include <linux/memcontrol.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include "ksym.h"
#include "modest.h"
#include "node.h"
#include "replica.h"
#include "stay.h"
#include "visitor.h"
#include "window_internal.h"
#include "wire_check.h"

/* File offsets are signed 64 bit: so many windows have one of their own. */
enum { WINDOW_SLOTS = 1 << (63 - WINDOW_BITS - 1) };

enum { AHEAD_MAX = 16 };	/* pages fetched behind one that was asked for */

static DEFINE_IDA(slots);

/* So many pages, as a power of 2, a control group is to have left behind each that is charged. */
enum { HEADROOM_ORDER = 5 };

/*
 * A landing page counts for the control group of current, the replica's, as one that the kernel
 * allocates for a process does. The last ones are left to page tables, for want of which the kernel
 * kills: who finds no room for a page goes home.
 */
static bool wpage_charge(struct rad_wpage *page, gfp_t gfp)
{
	struct page *content = page->landing.page;

	if (!memcg_kmem_enabled())
		return true;
	if (rad_ksym.memcg_kmem_charge_page(content, gfp, HEADROOM_ORDER))
		return false;
	/* The root group's is not counted. */
	if (!PageMemcgKmem(content))
		return true;
	rad_ksym.memcg_kmem_uncharge_page(content, HEADROOM_ORDER);
	return !rad_ksym.memcg_kmem_charge_page(content, gfp, 0);
}

/* rad_wpage_put() - lets go of a page; NULL is fine */
void rad_wpage_put(struct rad_wpage *page)
{
	if (!page || !refcount_dec_and_test(&page->ref))
		return;
	rad_wpage_put(page->kept);
	if (page->landing.page)
		rad_ksym.memcg_kmem_uncharge_page(page->landing.page, 0);
	if (page->landing.page && page->exposed)
		rad_landing_put_exposed(&page->landing);
	else if (page->landing.page)
		rad_landing_put(&page->landing);
	kfree(page);
}

static loff_t offset_of(const struct rad_window *window, unsigned long address)
{
	return ((loff_t)window->slot << WINDOW_BITS) + address;
}

void rad_window_unmap(struct rad_window *window, unsigned long index)
{
	unmap_mapping_range(window->mapping, offset_of(window, index << PAGE_SHIFT), PAGE_SIZE, 1);
}

/* rad_wpage_drop() - the replica has the page no longer; its lock is held */
void rad_wpage_drop(struct rad_window *window, struct rad_wpage *page)
{
	rad_window_unmap(window, page->index);
	xa_erase(&window->pages, page->index);
	rad_wpage_put(page);
}

/* ------------------------------------------------------------------ faults */

/*
 * The lock of a page, for who allocates under it. The link's receive context takes it, too,
 * for which others wait with locks held that reclaim takes (link_rx.c, dispatch()): so no
 * reclaim under it.
 */
static unsigned int lock_page_entry(struct mutex *lock)
{
	mutex_lock(lock);
	return memalloc_noreclaim_save();
}

static void unlock_page_entry(struct mutex *lock, unsigned int reclaim)
{
	memalloc_noreclaim_restore(reclaim);
	mutex_unlock(lock);
}

/*
 * rad_wpage_refuse() - a page that was asked for does not come; its lock is held, and the
 * request's reference stays the caller's. Without a reason whoever faulted asks again.
 */
void rad_wpage_refuse(struct rad_window *window, struct rad_wpage *page, u32 reason)
{
	if (page->state == PAGE_UPGRADING)
		rad_window_unmap(window, page->index);
	page->reason = reason;
	/* Read without the lock. */
	smp_store_release(&page->state, PAGE_REFUSED);
	/* In place of another entry: nothing is allocated. */
	xa_store(&window->pages, page->index, page->kept, GFP_ATOMIC);
	page->kept = NULL;
	refcount_dec(&page->ref);
}

/*
 * PAGE_GRANT, PAGE_FORWARD or the end of the session; in the link's receive context, for
 * PAGE_FORWARD in that of the node that owned the page.
 */
static void granted(struct rad_call *call)
{
	struct rad_wpage *page = container_of(call, struct rad_wpage, call);
	const struct rad_wire_page_grant *grant = call->answer;
	struct rad_replica *replica = page->replica;
	struct rad_window *window = &replica->window;
	bool forwarded = !call->status && call->answered_by == RAD_MSG_PAGE_FORWARD;
	bool arrived = false, later = false;
	u64 id = call->id;	/* once the page is PRESENT it may be the next call's */
	u32 flags, reason;

	mutex_lock(rad_window_lock(window, page->index));
	if (call->status || call->len < sizeof(*grant)) {
		/* Home may have asked another node to write it. */
		page->exposed = true;
		rad_wpage_refuse(window, page, RADIUM_R_NODE_LOST);
	} else {
		bool held = page->state == PAGE_UPGRADING;

		flags = le32_to_cpu(grant->flags);
		reason = rad_wire_reason(grant->reason);
		if (!reason && flags & (held ? RAD_GRANT_HELD : RAD_GRANT_DATA | RAD_GRANT_ZERO)) {
			if (!held && flags & RAD_GRANT_ZERO)
				clear_highpage(page->landing.page);
			rad_wpage_put(page->kept);
			page->kept = NULL;
			page->prot = le32_to_cpu(grant->prot);
			/* Home's frame is older than what its last owner wrote. */
			page->dirty = forwarded && page->prot & RAD_ACCESS_WRITE;
			page->state = PAGE_PRESENT;
			page->since = ktime_get_ns();
			arrived = forwarded;
			later = rad_wpage_may_tell_later(window, page);
			if (page->awaited)
				rad_wpage_stay(page, RAD_STAY_UNUSED_NS);
		} else if (!reason && held) {
			/* Who faulted asks again, and the others read on. */
			page->state = PAGE_PRESENT;
		} else {
			/* The same, where home does not wait for that node any more. */
			page->exposed = flags & RAD_GRANT_EXPOSED;
			rad_wpage_refuse(window, page, reason);
		}
	}
	mutex_unlock(rad_window_lock(window, page->index));
	wake_up_all(rad_window_wait(window, page->index));
	if (arrived)
		rad_wpage_arrived(replica->home, replica->process, page->index, id, later);
	rad_wpage_put(page);
	rad_replica_put(replica);
}

/*
 * A page with a place to land, not yet asked for. Before any lock is taken: growing
 * the pool waits for the link, whose receive context takes the page's lock.
 */
static struct rad_wpage *wpage_alloc(struct rad_replica *replica, unsigned long index, gfp_t gfp)
{
	struct rad_wpage *page = kzalloc(sizeof(*page), gfp | __GFP_ACCOUNT);

	if (!page)
		return NULL;
	refcount_set(&page->ref, 1);
	page->replica = replica;
	page->index = index;
	page->state = PAGE_FETCHING;
	page->call.notify = granted;
	page->call.landing = &page->landing;
	rad_late_init(page);
	if (!rad_landing_get(&page->landing, gfp) && wpage_charge(page, gfp))
		return page;
	rad_wpage_put(page);
	return NULL;
}

/*
 * Asks home for it, or, if it is UPGRADING, to write to it; its lock is held. @visitor: who
 * needs it, or NULL. Returns 0, -ENOMEM, or -EHOSTDOWN.
 */
static int ask(struct rad_wpage *page, u32 access, struct rad_visitor *visitor)
{
	struct rad_replica *replica = page->replica;
	struct rad_wire_page_get *body;
	struct rad_out *msg;
	int err;

	msg = rad_msg_alloc(RAD_MSG_PAGE_GET, sizeof(*body), GFP_KERNEL);
	if (!msg)
		return -ENOMEM;
	body = msg->body;
	body->process = cpu_to_le64(replica->process);
	body->access = cpu_to_le32(access);
	body->address = cpu_to_le64(page->index << PAGE_SHIFT);
	if (visitor) {
		body->thread = cpu_to_le32(visitor->thread);
		body->waited = cpu_to_le64(visitor->waited);
		visitor->waited = 0;
	}
	if (page->state == PAGE_UPGRADING)
		body->flags = cpu_to_le32(RAD_GET_HELD);
	rad_landing_name(&page->landing, &body->landing);
	refcount_inc(&page->ref);
	rad_replica_get(replica);
	err = rad_call_send(replica->home, &page->call, msg);
	if (err) {
		rad_replica_put(replica);
		refcount_dec(&page->ref);
	}
	return err ? -EHOSTDOWN : 0;
}

/* A page that nobody has asked for yet. Returns false without memory. */
static bool request(struct rad_wpage *page, u32 access, struct rad_visitor *visitor)
{
	struct rad_window *window = &page->replica->window;
	void *old = xa_store(&window->pages, page->index, page, GFP_KERNEL);
	int err;

	if (xa_is_err(old))
		return false;
	page->kept = old;
	refcount_inc(&page->ref);
	err = ask(page, access, visitor);
	if (err)
		rad_wpage_refuse(window, page, RADIUM_R_NODE_LOST);
	return err != -ENOMEM;
}

/* A page that is here to be read, and is read on meanwhile. Returns false without memory. */
static bool upgrade(struct rad_wpage *page, struct rad_visitor *visitor)
{
	int err;

	page->state = PAGE_UPGRADING;
	err = ask(page, RAD_ACCESS_WRITE, visitor);
	if (err == -ENOMEM)
		page->state = PAGE_PRESENT;
	else if (err)
		rad_wpage_refuse(&page->replica->window, page, RADIUM_R_NODE_LOST);
	return err != -ENOMEM;
}

/*
 * A fault that continues a sequence fetches the pages behind it, too: as many as
 * twice the last time, up to a limit; one that does not begins one. Nobody waits
 * for these requests; what is not mapped at home is refused and forgotten.
 */
static void fetch_ahead(struct rad_replica *replica, unsigned long index, u32 access)
{
	struct rad_window *window = &replica->window;
	unsigned long ahead = 0, i;
	unsigned int reclaim;
	struct rad_wpage *page;
	struct rad_walk *walk;

	for (walk = window->walks; walk < window->walks + RAD_WINDOW_WALKS; walk++)
		if (READ_ONCE(walk->next) == index)
			break;
	if (walk < window->walks + RAD_WINDOW_WALKS) {
		ahead = clamp_t(unsigned long, 2 * READ_ONCE(walk->ahead), 1, AHEAD_MAX);
	} else {
		walk = &window->walks[READ_ONCE(window->oldest) % RAD_WINDOW_WALKS];
		WRITE_ONCE(window->oldest, (walk - window->walks + 1) % RAD_WINDOW_WALKS);
	}
	WRITE_ONCE(walk->ahead, ahead);
	WRITE_ONCE(walk->next, index + ahead + 1);
	for (i = index + 1; i <= index + ahead && i < WINDOW_END >> PAGE_SHIFT; i++) {
		if (rad_vvar_pfn(&window->vvar, i << PAGE_SHIFT))
			return;
		if (xa_load(&window->pages, i))
			continue;
		page = wpage_alloc(replica, i, RAD_GFP_AHEAD);
		if (!page)
			return;
		reclaim = lock_page_entry(rad_window_lock(window, i));
		if (!xa_load(&window->pages, i))
			request(page, access, NULL);
		unlock_page_entry(rad_window_lock(window, i), reclaim);
		rad_wpage_put(page);
	}
}

static u32 access_of(const struct vm_fault *vmf)
{
	if (vmf->flags & FAULT_FLAG_WRITE)
		return RAD_ACCESS_WRITE;
	return vmf->flags & FAULT_FLAG_INSTRUCTION ? RAD_ACCESS_EXEC : RAD_ACCESS_READ;
}

static bool permits(u32 prot, u32 access)
{
	if (access == RAD_ACCESS_READ)
		return prot;
	return prot & access;
}

/**
 * rad_window_holds() - is a page here, and permits this access?
 * @window: the window
 * @address: in the page
 * @access: one of enum rad_page_access
 *
 * It may not be mapped yet. Home may ask for it at any time.
 */
bool rad_window_holds(struct rad_window *window, u64 address, u32 access)
{
	unsigned long index = address >> PAGE_SHIFT;
	struct rad_wpage *page;
	bool holds;

	mutex_lock(rad_window_lock(window, index));
	page = xa_load(&window->pages, index);
	holds = page && rad_wpage_is_here(page) && permits(page->prot, access);
	mutex_unlock(rad_window_lock(window, index));
	return holds;
}

/* Inserts a page that is here; its lock is held. */
static vm_fault_t insert(struct vm_fault *vmf, struct rad_wpage *page, u32 access)
{
	struct rad_visitor *visitor = rad_visitor_current();
	struct vm_area_struct *vma = vmf->vma;
	unsigned long flags = VM_SHARED;

	/*
	 * Writable only once it is written to: what was not written goes back without
	 * its content. The mapping of a page that is made writable has to go first.
	 */
	if (access == RAD_ACCESS_WRITE && !page->dirty) {
		page->dirty = true;
		rad_window_unmap(&page->replica->window, page->index);
	}
	/* Who waits to write to it has not got anywhere by this. */
	if (page->awaited && page->state == PAGE_PRESENT) {
		page->awaited = false;
		rad_wpage_stay(page, visitor ? rad_stay(&visitor->patience, current_pt_regs(), 0) :
					       RAD_STAY_NS);
	}
	flags |= VM_READ;
	if (page->prot & RAD_ACCESS_EXEC)
		flags |= VM_EXEC;
	if (page->dirty)
		flags |= VM_WRITE;
	return vmf_insert_pfn_prot(vma, vmf->address & PAGE_MASK,
				   page_to_pfn(page->landing.page), vm_get_page_prot(flags));
}

/* The fault cannot be resolved here: the thread goes home, where the kernel decides. */
static vm_fault_t go_home(struct vm_fault *vmf, u32 reason, u32 access)
{
	struct rad_visitor *visitor = rad_visitor_current();

	if (!visitor || !(vmf->flags & FAULT_FLAG_USER))
		return VM_FAULT_SIGBUS;
	rad_visitor_bounce(visitor, reason, (vmf->address & PAGE_MASK) | access);
	return VM_FAULT_NOPAGE;
}

/*
 * A killed or recalled thread leaves the fault the way that its kind of fault allows. One of the
 * kernel's own would only be tried again: for it the access fails, and who makes it
 * has it done at home.
 */
static vm_fault_t leave(struct vm_fault *vmf)
{
	if (current->flags & PF_EXITING || !(vmf->flags & FAULT_FLAG_USER) ||
	    !(vmf->flags & FAULT_FLAG_ALLOW_RETRY))
		return VM_FAULT_SIGBUS;
	if (!(vmf->flags & FAULT_FLAG_RETRY_NOWAIT))
		mmap_read_unlock(vmf->vma->vm_mm);
	return VM_FAULT_RETRY;
}

/*
 * Waits for home's answer, and says in @reason whether it has refused the page. Woken by the grant,
 * the end of the session, a recall, or a fatal signal; an error for the last two.
 */
static int await_answer(struct rad_window *window, const struct rad_wpage *page,
			struct rad_visitor *visitor, u32 *reason)
{
	u64 start = ktime_get_ns();
	int err;

	err = wait_event_interruptible(*rad_window_wait(window, page->index),
				       !rad_wpage_is_asked_for(page));
	if (visitor)
		visitor->waited += ktime_get_ns() - start;
	/* Pairs with the release in rad_wpage_refuse(). */
	*reason = smp_load_acquire(&page->state) == PAGE_REFUSED ? page->reason : RADIUM_R_NONE;
	return err;
}

/*
 * A fault does not sleep any more. If it has @left, and was the last, the page that comes has nobody
 * to stay for: who had a signal or was recalled may want it at home, at once.
 */
static void end_wait(struct rad_window *window, struct rad_wpage *page, bool left)
{
	struct mutex *lock = rad_window_lock(window, page->index);

	mutex_lock(lock);
	if (!--page->waiting && left) {
		page->awaited = false;
		if (page->state == PAGE_PRESENT)
			rad_wpage_stay(page, 0);
	}
	mutex_unlock(lock);
}

static vm_fault_t window_fault(struct vm_fault *vmf)
{
	struct rad_replica *replica = vmf->vma->vm_private_data;
	struct rad_window *window = &replica->window;
	unsigned long index = vmf->address >> PAGE_SHIFT;
	struct rad_visitor *visitor = rad_visitor_current();
	struct mutex *lock = rad_window_lock(window, index);
	u32 access = access_of(vmf);
	struct rad_wpage *page, *new = NULL;
	unsigned int reclaim;
	unsigned long pfn;
	vm_fault_t ret;
	bool here, asked;
	u32 reason;
	int err;

	pfn = rad_vvar_pfn(&window->vvar, vmf->address);
	if (pfn) {
		if (pfn == ULONG_MAX || access != RAD_ACCESS_READ)
			return go_home(vmf, RADIUM_R_FAULT, access);
		return vmf_insert_pfn_prot(vmf->vma, vmf->address & PAGE_MASK, pfn,
					   vm_get_page_prot(VM_READ | VM_SHARED));
	}
	for (;;) {
		if (READ_ONCE(window->dead)) {
			rad_wpage_put(new);
			return leave(vmf);
		}
		reclaim = lock_page_entry(lock);
		page = xa_load(&window->pages, index);
		here = page && rad_wpage_is_here(page);
		if (here && (permits(page->prot, access) || access != RAD_ACCESS_WRITE)) {
			if (permits(page->prot, access))
				ret = insert(vmf, page, access);
			else
				ret = go_home(vmf, RADIUM_R_FAULT, access);
			unlock_page_entry(lock, reclaim);
			rad_wpage_put(new);
			return ret;
		}
		/* What has been sent on is fetched again. */
		if (page && page->state == PAGE_SENT)
			page = NULL;
		/* As is what is to be written to, and would come to where no peer can write any more. */
		if (here && page->state == PAGE_PRESENT && !page->dirty && !page->late.home &&
		    rad_landing_is_dead(&page->landing)) {
			rad_wpage_drop(window, page);
			here = false;
			page = NULL;
		}
		if (!page && !new) {
			unlock_page_entry(lock, reclaim);
			new = wpage_alloc(replica, index, RAD_GFP_MODEST);
			if (!new)
				return go_home(vmf, RADIUM_R_NO_MEMORY, access);
			continue;
		}
		asked = page && rad_wpage_is_asked_for(page);
		if (page) {
			refcount_inc(&page->ref);
		} else {
			page = new;
			new = NULL;
		}
		page->awaited = true;
		page->waiting++;
		/* Others may read it, too: home knows whether it may be written to. */
		if (!asked && !(here ? upgrade(page, visitor) : request(page, access, visitor))) {
			unlock_page_entry(lock, reclaim);
			end_wait(window, page, true);
			rad_wpage_put(page);
			rad_wpage_put(new);
			return go_home(vmf, RADIUM_R_NO_MEMORY, access);
		}
		unlock_page_entry(lock, reclaim);
		if (!asked)
			fetch_ahead(replica, index, access);

		err = await_answer(window, page, visitor, &reason);
		end_wait(window, page, err);
		rad_wpage_put(page);
		if (new && (err || reason)) {
			rad_wpage_put(new);
			new = NULL;
		}
		if (err)
			return leave(vmf);
		if (reason == RADIUM_R_NODE_LOST || reason == RADIUM_R_EXITING) {
			/* The replica is being killed, as a rule at once; or this thread alone is called off. */
			wait_event_interruptible(*rad_window_wait(window, index),
						 READ_ONCE(window->dead));
			return leave(vmf);
		}
		if (reason)
			return go_home(vmf, reason, access);
	}
}

/*
 * A write to a page that is mapped read-only. The caller knows RETRY only together with
 * NOPAGE. To unmap the page and have it fault again would not do: the instruction that
 * writes may be in the same page, and would map it again.
 */
static vm_fault_t window_pfn_mkwrite(struct vm_fault *vmf)
{
	return window_fault(vmf) | VM_FAULT_NOPAGE;
}

static const struct vm_operations_struct window_ops = {
	.fault = window_fault,
	.pfn_mkwrite = window_pfn_mkwrite,
};

/* ---------------------------------------------------------------- lifetime */

/**
 * rad_window_create() - a window, not yet mapped
 * @window: the window
 * @home: there for as long as the window
 * @prepare: of the first thread: where the vvar pages are, and the clocks
 * Return: 0, -ENOMEM, -ENOSPC.
 */
int rad_window_create(struct rad_window *window, const struct rad_node *home,
		      const struct rad_wire_prepare *prepare)
{
	int i, err;

	xa_init(&window->pages);
	for (i = 0; i < RAD_WINDOW_LOCKS; i++) {
		mutex_init(&window->locks[i]);
		init_waitqueue_head(&window->waits[i]);
	}
	window->slot = ida_alloc_max(&slots, WINDOW_SLOTS - 1, GFP_KERNEL);
	if (window->slot < 0)
		return window->slot;
	err = rad_vvar_create(&window->vvar, home, prepare);
	if (err)
		ida_free(&slots, window->slot);
	return err;
}

/* rad_window_destroy() - nobody has it mapped any more */
void rad_window_destroy(struct rad_window *window)
{
	unsigned long index;
	struct rad_wpage *page;

	xa_for_each(&window->pages, index, page) {
		xa_erase(&window->pages, index);
		rad_wpage_put(page);
		cond_resched();
	}
	xa_destroy(&window->pages);
	rad_vvar_destroy(&window->vvar);
	ida_free(&slots, window->slot);
}

/* rad_window_die() - no fault will be answered any more; wakes those that wait */
void rad_window_die(struct rad_window *window)
{
	int i;

	WRITE_ONCE(window->dead, true);
	for (i = 0; i < RAD_WINDOW_LOCKS; i++)
		wake_up_all(&window->waits[i]);
}

/**
 * rad_window_map() - give current's whole address space to the window
 * @replica: of current
 * @file: the device, opened by current; its mmap calls rad_window_mmap()
 * Return: 0 or a negative error; then current has no memory left and must die.
 */
int rad_window_map(struct rad_replica *replica, struct file *file)
{
	struct rad_window *window = &replica->window;
	unsigned long ret;
	int err;

	rad_vvar_start(&window->vvar);
	err = vm_munmap(0, TASK_SIZE_MAX);
	if (err)
		return err;
	window->mapping = file->f_mapping;
	ret = vm_mmap(file, WINDOW_START, WINDOW_END - WINDOW_START, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_FIXED, offset_of(window, WINDOW_START));
	return IS_ERR_VALUE(ret) ? ret : 0;
}

/* rad_window_mmap() - the device's mmap, for a replica's manager only */
int rad_window_mmap(struct rad_replica *replica, struct vm_area_struct *vma)
{
	if (vma->vm_start != WINDOW_START || vma->vm_end != WINDOW_END)
		return -EINVAL;
	vma->vm_flags |= VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY | VM_EXEC;
	vma->vm_private_data = replica;
	vma->vm_ops = &window_ops;
	return 0;
}

int rad_window_init(void)
{
	return rad_late_create();
}

void rad_window_uninit(void)
{
	rad_late_destroy();
	ida_destroy(&slots);
}

// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "radium: " fmt

#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/idr.h>
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "node.h"
#include "replica.h"
#include "visitor.h"
#include "window.h"
#include "wire_check.h"

/* User addresses with 4-level tables; what lies above is home's business. */
enum { WINDOW_BITS = 47 };
#define WINDOW_START	0x10000UL
#define WINDOW_END	((1UL << WINDOW_BITS) - PAGE_SIZE)
/* File offsets are signed 64 bit: so many windows have one of their own. */
enum { WINDOW_SLOTS = 1 << (63 - WINDOW_BITS - 1) };

enum { AHEAD_MAX = 16 };	/* pages fetched behind one that was asked for */

static DEFINE_IDA(slots);

/*
 * FETCHING	a request is on its way
 * PRESENT	the landing page holds the content and may be mapped
 * REFUSED	home said why not; the faulting threads take note and remove it
 */
enum page_state { PAGE_FETCHING, PAGE_PRESENT, PAGE_REFUSED };

/**
 * struct wpage - a page of the window
 * @ref: the array has one, its request in flight one
 * @replica: holds a reference while the request is in flight
 * @index: page number
 * @state: under the page's lock of the window
 * @reason: why it was refused
 * @prot: enum rad_page_access that it may be mapped with
 * @dirty: it may differ from home's copy: it has been mapped writable
 * @landing: where the content is
 * @call: the request
 */
struct wpage {
	refcount_t ref;
	struct rad_replica *replica;
	unsigned long index;
	enum page_state state;
	u32 reason;
	u32 prot;
	bool dirty;
	struct rad_landing landing;
	struct rad_call call;
};

static struct mutex *lock_of(struct rad_window *window, unsigned long index)
{
	return &window->locks[index % RAD_WINDOW_LOCKS];
}

static void wpage_put(struct wpage *page)
{
	if (!refcount_dec_and_test(&page->ref))
		return;
	if (page->landing.page)
		rad_landing_put(&page->landing);
	kfree(page);
}

static loff_t offset_of(const struct rad_window *window, unsigned long address)
{
	return ((loff_t)window->slot << WINDOW_BITS) + address;
}

/* ------------------------------------------------------------------ faults */

/* PAGE_GRANT, or the end of the session; in the link's receive context. */
static void granted(struct rad_call *call)
{
	struct wpage *page = container_of(call, struct wpage, call);
	const struct rad_wire_page_grant *grant = call->answer;
	struct rad_replica *replica = page->replica;
	struct rad_window *window = &replica->window;
	u32 flags;

	mutex_lock(lock_of(window, page->index));
	page->state = PAGE_REFUSED;
	if (call->status || call->len < sizeof(*grant)) {
		page->reason = RADIUM_R_NODE_LOST;
	} else {
		flags = le32_to_cpu(grant->flags);
		page->reason = rad_wire_reason(grant->reason);
		if (!page->reason && flags & (RAD_GRANT_DATA | RAD_GRANT_ZERO)) {
			if (flags & RAD_GRANT_ZERO)
				clear_highpage(page->landing.page);
			page->prot = le32_to_cpu(grant->prot);
			page->state = PAGE_PRESENT;
		}
		/* RETRY: refused without a reason; whoever faulted asks again. */
	}
	if (page->state == PAGE_REFUSED) {
		xa_erase(&window->pages, page->index);
		refcount_dec(&page->ref);
	}
	mutex_unlock(lock_of(window, page->index));
	wake_up_all(&window->wait);
	wpage_put(page);
	rad_replica_put(replica);
}

/*
 * A page with a place to land, not yet asked for. Before any lock is taken: growing
 * the pool waits for the link, whose receive context takes the page's lock.
 */
static struct wpage *wpage_alloc(struct rad_replica *replica, unsigned long index)
{
	struct wpage *page = kzalloc(sizeof(*page), GFP_KERNEL_ACCOUNT);

	if (!page)
		return NULL;
	refcount_set(&page->ref, 1);
	page->replica = replica;
	page->index = index;
	page->state = PAGE_FETCHING;
	page->call.notify = granted;
	if (!rad_landing_get(&page->landing, GFP_KERNEL))
		return page;
	kfree(page);
	return NULL;
}

/* Asks home for it; its lock is held. Returns false without memory. */
static bool request(struct wpage *page, u32 access, u32 thread)
{
	struct rad_replica *replica = page->replica;
	struct rad_wire_page_get *body;
	struct rad_out *msg;

	msg = rad_msg_alloc(RAD_MSG_PAGE_GET, sizeof(*body), GFP_KERNEL);
	if (!msg)
		return false;
	if (xa_is_err(xa_store(&replica->window.pages, page->index, page, GFP_KERNEL))) {
		rad_msg_free(msg);
		return false;
	}
	refcount_add(2, &page->ref);	/* array, request */
	body = msg->body;
	body->process = cpu_to_le64(replica->process);
	body->thread = cpu_to_le32(thread);
	body->access = cpu_to_le32(access);
	body->address = cpu_to_le64(page->index << PAGE_SHIFT);
	body->landing.addr = cpu_to_le64(page->landing.addr);
	body->landing.rkey = cpu_to_le32(page->landing.rkey);
	rad_replica_get(replica);
	if (!rad_call_send(replica->home, &page->call, msg))
		return true;
	rad_replica_put(replica);
	xa_erase(&replica->window.pages, page->index);
	page->state = PAGE_REFUSED;
	page->reason = RADIUM_R_NODE_LOST;
	refcount_set(&page->ref, 1);
	return true;
}

/*
 * A fault that continues a sequence fetches the pages behind it, too: as many as
 * twice the last time, up to a limit; one that does not begins anew. Nobody waits
 * for these requests; what is not mapped at home is refused and forgotten.
 */
static void fetch_ahead(struct rad_replica *replica, unsigned long index, u32 access)
{
	struct rad_window *window = &replica->window;
	unsigned long ahead, i;
	struct wpage *page;

	ahead = index == READ_ONCE(window->next) ?
		clamp_t(unsigned long, 2 * READ_ONCE(window->ahead), 1, AHEAD_MAX) : 0;
	WRITE_ONCE(window->ahead, ahead);
	WRITE_ONCE(window->next, index + ahead + 1);
	for (i = index + 1; i <= index + ahead && i < WINDOW_END >> PAGE_SHIFT; i++) {
		if (rad_vvar_pfn(&window->vvar, i << PAGE_SHIFT))
			return;
		if (xa_load(&window->pages, i))
			continue;
		page = wpage_alloc(replica, i);
		if (!page)
			return;
		mutex_lock(lock_of(window, i));
		if (!xa_load(&window->pages, i))
			request(page, access, 0);
		mutex_unlock(lock_of(window, i));
		wpage_put(page);
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

static void unmap(struct rad_window *window, unsigned long index)
{
	unmap_mapping_range(window->mapping, offset_of(window, index << PAGE_SHIFT), PAGE_SIZE, 1);
}

/* The replica has the page no longer; its lock is held. */
static void drop(struct rad_window *window, struct wpage *page)
{
	unmap(window, page->index);
	xa_erase(&window->pages, page->index);
	wpage_put(page);
}

/* Inserts a present page; its lock is held. */
static vm_fault_t insert(struct vm_fault *vmf, struct wpage *page, u32 access)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long flags = VM_SHARED;

	/*
	 * Writable only once it is written to: what was not written goes back without
	 * its content. The mapping of a page that is made writable has to go first.
	 */
	if (access == RAD_ACCESS_WRITE && !page->dirty) {
		page->dirty = true;
		unmap(&page->replica->window, page->index);
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

/* A killed or recalled thread leaves the fault the way that its kind of fault allows. */
static vm_fault_t leave(struct vm_fault *vmf)
{
	if (current->flags & PF_EXITING || !(vmf->flags & FAULT_FLAG_ALLOW_RETRY))
		return VM_FAULT_SIGBUS;
	if (!(vmf->flags & FAULT_FLAG_RETRY_NOWAIT))
		mmap_read_unlock(vmf->vma->vm_mm);
	return VM_FAULT_RETRY;
}

static vm_fault_t window_fault(struct vm_fault *vmf)
{
	struct rad_replica *replica = vmf->vma->vm_private_data;
	struct rad_window *window = &replica->window;
	unsigned long index = vmf->address >> PAGE_SHIFT;
	struct rad_visitor *visitor = rad_visitor_current();
	struct mutex *lock = lock_of(window, index);
	u32 access = access_of(vmf);
	struct wpage *page, *new = NULL;
	unsigned long pfn;
	vm_fault_t ret;
	bool present;
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
			if (new)
				wpage_put(new);
			return leave(vmf);
		}
		mutex_lock(lock);
		page = xa_load(&window->pages, index);
		present = page && page->state == PAGE_PRESENT;
		if (present && (permits(page->prot, access) || access != RAD_ACCESS_WRITE)) {
			if (permits(page->prot, access))
				ret = insert(vmf, page, access);
			else
				ret = go_home(vmf, RADIUM_R_FAULT, access);
			mutex_unlock(lock);
			if (new)
				wpage_put(new);
			return ret;
		}
		if ((!page || present) && !new) {
			mutex_unlock(lock);
			new = wpage_alloc(replica, index);
			if (!new)
				return go_home(vmf, RADIUM_R_NO_MEMORY, access);
			continue;
		}
		if (page && !present) {
			refcount_inc(&page->ref);
			mutex_unlock(lock);
		} else {
			/* Others may read it, too: home knows whether it may be written to. */
			if (present)
				drop(window, page);
			page = new;
			new = NULL;
			if (!request(page, access, visitor ? visitor->thread : 0)) {
				mutex_unlock(lock);
				wpage_put(page);
				return go_home(vmf, RADIUM_R_NO_MEMORY, access);
			}
			mutex_unlock(lock);
			fetch_ahead(replica, index, access);
		}

		/* Woken by the grant, the end of the session, a recall, or a fatal signal. */
		err = wait_event_interruptible(window->wait,
					       READ_ONCE(page->state) != PAGE_FETCHING);
		reason = READ_ONCE(page->state) == PAGE_REFUSED ? page->reason : RADIUM_R_NONE;
		wpage_put(page);
		if (new && (err || reason)) {
			wpage_put(new);
			new = NULL;
		}
		if (err)
			return leave(vmf);
		if (reason == RADIUM_R_NODE_LOST || reason == RADIUM_R_EXITING) {
			/* The replica is being killed. */
			err = wait_event_killable(window->wait, READ_ONCE(window->dead));
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

/* ------------------------------------------------------------- revocation */

/*
 * Takes one page away from the replica, or only the right to write to it. Returns what to
 * answer; @content: the page that home's copy differs from, with a reference.
 */
static u32 revoke(struct rad_window *window, unsigned long index, bool keep,
		  struct wpage **content)
{
	struct mutex *lock = lock_of(window, index);
	struct wpage *page;
	u32 flags = RAD_BACK_NONE;

	mutex_lock(lock);
	page = xa_load(&window->pages, index);
	if (page && page->state == PAGE_PRESENT) {
		flags = RAD_BACK_CLEAN;
		if (page->dirty) {
			flags = RAD_BACK_DATA;
			refcount_inc(&page->ref);
			*content = page;
		}
		if (!keep) {
			drop(window, page);
		} else {
			if (page->dirty)
				unmap(window, index);
			page->prot &= ~RAD_ACCESS_WRITE;
			page->dirty = false;
		}
	}
	mutex_unlock(lock);
	return flags;
}

static void sent(void *arg, bool delivered)
{
	wpage_put(arg);
}

/**
 * rad_window_on_revoke() - PAGE_REVOKE: home takes pages back
 * @in: the message
 *
 * Context: the link's receive context: takes the page's lock and page-table locks,
 * no mmap_lock. It succeeds while a fault on the page is pending: that fault asks
 * again.
 */
void rad_window_on_revoke(struct rad_in *in)
{
	const struct rad_wire_page_revoke *body = in->body;
	u64 address = le64_to_cpu(body->address);
	bool data = le32_to_cpu(body->flags) & RAD_REVOKE_DATA;
	bool keep = le32_to_cpu(body->flags) & RAD_REVOKE_KEEP;
	struct wpage *content = NULL;
	struct rad_replica *replica;
	struct rad_wire_page_back *back;
	struct rad_out *msg;
	u32 flags = RAD_BACK_NONE;

	if (!rad_wire_check_page_revoke(body, WINDOW_END)) {
		rad_node_protocol_error(in->from, "PAGE_REVOKE: bad range");
		return;
	}
	msg = rad_msg_alloc(RAD_MSG_PAGE_BACK, sizeof(*back), GFP_KERNEL | __GFP_NOFAIL);
	replica = rad_replica_find(in->from, le64_to_cpu(body->process));
	if (replica) {
		flags = revoke(&replica->window, address >> PAGE_SHIFT, keep, &content);
		rad_replica_put(replica);
	}
	if (!data) {
		flags = RAD_BACK_CLEAN;
		if (content)
			wpage_put(content);
		content = NULL;
	}
	back = msg->body;
	back->flags = cpu_to_le32(flags);
	if (content) {
		rad_msg_set_page(msg, content->landing.page, &body->landing);
		/* The page is written again if the link has to repeat: keep it until acknowledged. */
		rad_msg_on_sent(msg, sent, content);
	}
	rad_answer(in, msg);
}

/* ---------------------------------------------------------------- lifetime */

/**
 * rad_window_create() - a window, not yet mapped
 * @window: the window
 * @prepare: of the first thread: where the vvar pages are, and the clocks
 * Return: 0, -ENOMEM, -ENOSPC.
 */
int rad_window_create(struct rad_window *window, const struct rad_wire_prepare *prepare)
{
	int i, err;

	xa_init(&window->pages);
	init_waitqueue_head(&window->wait);
	for (i = 0; i < RAD_WINDOW_LOCKS; i++)
		mutex_init(&window->locks[i]);
	window->slot = ida_alloc_max(&slots, WINDOW_SLOTS - 1, GFP_KERNEL);
	if (window->slot < 0)
		return window->slot;
	err = rad_vvar_create(&window->vvar, prepare);
	if (err)
		ida_free(&slots, window->slot);
	return err;
}

/* rad_window_destroy() - nobody has it mapped any more */
void rad_window_destroy(struct rad_window *window)
{
	unsigned long index;
	struct wpage *page;

	xa_for_each(&window->pages, index, page) {
		xa_erase(&window->pages, index);
		wpage_put(page);
	}
	xa_destroy(&window->pages);
	rad_vvar_destroy(&window->vvar);
	ida_free(&slots, window->slot);
}

/* rad_window_die() - no fault will be answered any more; wakes those that wait */
void rad_window_die(struct rad_window *window)
{
	WRITE_ONCE(window->dead, true);
	wake_up_all(&window->wait);
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
	return 0;
}

void rad_window_uninit(void)
{
	ida_destroy(&slots);
}

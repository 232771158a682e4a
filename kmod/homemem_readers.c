// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: pages that many read: one more reader, and one of them who wants to write.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/mm.h>
#include <linux/sched/mm.h>
#include "homemem_internal.h"

/*
 * The process' memory is locked, for a look at the page's mapping. Gives the answer that is to
 * be filled; NULL: the process ends, and the request has been answered.
 */
static struct rad_out *lock_memory(struct mm_struct *mm, const struct rad_in *in)
{
	struct rad_out *msg;

	if (!mmget_not_zero(mm)) {
		rad_grant_refuse(in, RADIUM_R_EXITING, 0);
		return NULL;
	}
	msg = rad_grant_msg();
	mmap_read_lock(mm);
	return msg;
}

static void unlock_memory(struct mm_struct *mm)
{
	mmap_read_unlock(mm);
	mmput_async(mm);
}

static bool begin_join(struct rad_page *page)
{
	struct rad_homemem *mem = rad_page_mem(page);
	bool may;

	spin_lock(&mem->pages.xa_lock);
	may = page->state == RAD_PAGE_COPIED && !rad_homemem_changes(mem, page->address) && !mem->dead;
	page->granting += may;
	spin_unlock(&mem->pages.xa_lock);
	return may;
}

static void end_join(struct rad_page *page, struct rad_node *to, u64 copy)
{
	struct rad_homemem *mem = rad_page_mem(page);

	spin_lock(&mem->pages.xa_lock);
	/* Its death may have been written down before it was one. */
	if (!copy || !rad_node_is_dead(to))
		page->copies |= copy;
	page->granting--;
	/* The last of the others may have died meanwhile. */
	rad_page_forget_copy(page, 0);
	spin_unlock(&mem->pages.xa_lock);
	wake_up_all(rad_page_wait(page));
}

/*
 * The watch has ended since the page was copied first, and what was copied is being dropped (see
 * filewatch.c). Returns false if there is no other: then the request has been answered.
 */
static bool watch_file(struct file *file, const struct rad_in *in)
{
	u32 reason = rad_take_watch(file);

	if (reason)
		rad_grant_refuse(in, reason, 0);
	return !reason;
}

/**
 * rad_reader_join() - one more reader
 * @t: who asks
 * @page: COPIED, or not any more
 * @in: the request
 *
 * Whatever may sleep comes before the entry says that it is granting, which a revocation
 * waits for, perhaps with mmap_lock held.
 *
 * Context: a worker; sleeps on mmap_lock and on memory.
 * Return: whether the request has been answered; if not, look again.
 */
bool rad_reader_join(struct rad_take *t, struct rad_page *page, const struct rad_in *in)
{
	struct mm_struct *mm = t->process->mm;
	struct vm_area_struct *vma;
	struct rad_out *msg;
	bool done = false;
	struct file *file;
	u32 reason;

	msg = lock_memory(mm, in);
	if (!msg)
		return true;
	vma = vma_lookup(mm, t->address);
	file = rad_take_unwatched(vma);
	if (file) {
		unlock_memory(mm);
		rad_msg_free(msg);
		return !watch_file(file, in);
	}
	reason = rad_take_check(vma, t->access);
	if (!reason) {
		/* It may have been swapped out, or have to be read again. */
		reason = rad_take_copy(t, vma);
	}
	if (!reason)
		put_page(t->data);
	if (!reason && begin_join(page)) {
		/* As find_page() looks, or what that finds is never found here. */
		done = get_user_pages_remote(mm, t->address, 1, FOLL_FORCE | FOLL_NOFAULT,
					     &t->data, NULL, NULL) == 1;
		if (done) {
			rad_grant_fill(msg, t, rad_take_prot(vma) & ~RAD_ACCESS_WRITE, in);
			done = !rad_answer(in, msg);
			msg = NULL;
			put_page(t->data);
			atomic64_add(done, &t->process->stats.pages_sent);
			end_join(page, t->to, done ? rad_node_bit(t->to) : 0);
			t->granted = done;
			/* Not sent: the session has ended, nobody waits for an answer. */
			done = true;
		} else {
			end_join(page, t->to, 0);
		}
	}
	t->data = NULL;
	unlock_memory(mm);
	rad_msg_free(msg);
	if (reason && t->touch)
		rad_defer_touch(t, in);
	else if (reason)
		rad_grant_refuse(in, reason, 0);
	return done || reason;
}

/* ------------------------------------------------------- one who wants to write */

/*
 * Is this frame the process' own, to be written to without another look? GUP for reading
 * does not say. It was when others began to read it; KSM and swap may have come meanwhile.
 */
static bool is_exclusive(struct page *frame)
{
	return !PageCompound(frame) && PageAnon(frame) && !PageKsm(frame) &&
	       PageAnonExclusive(frame);
}

/* From here on the entry is the taker's, as long as nothing happens to the mapping. */
static bool begin_upgrade(struct rad_take *t, struct rad_page *page, u64 reader)
{
	struct rad_homemem *mem = rad_page_mem(page);
	bool may;

	spin_lock(&mem->pages.xa_lock);
	may = page->state == RAD_PAGE_COPIED && page->copies == reader && !page->granting &&
	      !page->wanted && !rad_homemem_changes(mem, page->address) && !mem->dead;
	if (may) {
		page->stale = false;
		page->read_only = false;
		page->taker = current;
		t->page = page;
		rad_page_set_state(page, RAD_PAGE_TAKING);
	}
	spin_unlock(&mem->pages.xa_lock);
	return may;
}

/*
 * Decided and published at once, as any grant, see end_take(). Returns whether the request has
 * been dealt with; consumes @msg.
 */
static bool grant_held(struct rad_take *t, const struct rad_in *in, struct rad_out *msg,
		       u64 reader)
{
	struct rad_homemem *mem = &t->process->mem;
	struct rad_wire_page_grant *body = msg->body;
	struct rad_page *page = t->page;
	bool decided;

	spin_lock(&mem->pages.xa_lock);
	decided = page->frame && !page->stale && page->copies == reader &&
		  !rad_node_is_dead(t->to);
	if (decided) {
		page->granting = 1;
		page->copies = 0;
		page->node = rad_node_get(t->to);
	}
	spin_unlock(&mem->pages.xa_lock);
	if (!decided) {
		rad_msg_free(msg);
		return false;
	}
	body->prot = cpu_to_le32(t->prot);
	body->flags = cpu_to_le32(RAD_GRANT_HELD);
	/* If the session has ended nobody waits for an answer. */
	t->granted = !rad_answer(in, msg);
	atomic64_add(t->granted, &t->process->stats.pages_upgraded);
	return true;
}

/**
 * rad_reader_upgrade() - a reader wants to write to what it reads
 * @t: who asks; @t->held: it has not dropped its copy
 * @page: COPIED, or not any more
 * @in: the request
 *
 * The others drop their copies. Then the page is taken out under the last reader, who keeps
 * his: the entry does not leave the directory, and what is mapped at home is not writable
 * before it is unmapped, so that what he reads is the page when it is his. Whoever wants to
 * write to it at home meanwhile waits for us (rad_page_is_read_elsewhere()); so mmap_lock is
 * taken, and the page found, before the entry says so.
 *
 * Context: a worker; sleeps on mmap_lock, on memory, and until the other readers answer.
 * Return: whether the request has been answered; if not, the page is to be taken as if he
 * did not have it.
 */
bool rad_reader_upgrade(struct rad_take *t, struct rad_page *page, const struct rad_in *in)
{
	u64 reader = rad_node_bit(t->to);
	struct mm_struct *mm = t->process->mm;
	struct vm_area_struct *vma;
	struct rad_out *msg;
	bool taken = false, dealt = false;

	rad_page_leave_to(page, reader);
	msg = lock_memory(mm, in);
	if (!msg)
		return true;
	vma = vma_lookup(mm, t->address);
	/* What the mapping does not permit is said on the way that everybody goes. */
	if (!rad_take_check(vma, t->access) && !rad_take_copy(t, vma)) {
		t->prot = rad_take_prot(vma);
		taken = is_exclusive(t->data) && begin_upgrade(t, page, reader);
		if (taken)
			rad_take_hold(t, vma, t->data);
		else
			put_page(t->data);
		t->data = NULL;
	}
	if (taken)
		dealt = grant_held(t, in, msg, reader);
	else
		rad_msg_free(msg);
	unlock_memory(mm);
	if (taken)
		rad_take_end(t);
	/* One try is enough: the page may be pinned for long. */
	t->page = NULL;
	t->again = false;
	t->touch = false;
	t->held = false;
	return dealt;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: what others have of a part of a process' memory that is about to change, or of a file
 * that is about to be written: they give it up, and whoever changes it waits for that.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/fs.h>
#include "homemem_internal.h"

/* Of entries of whose page copies of a file are made; RETURNED in homemem.c is the other mark. */
#define OF_FILE		XA_MARK_1

/* Ends by itself or with the death of the peer: see rad_homemem_invalidate(). */
static bool is_leaving(const struct rad_page *page)
{
	switch (READ_ONCE(page->state)) {
	case RAD_PAGE_RECALLING:
	case RAD_PAGE_SHARING:
	case RAD_PAGE_REVOKING:
		return true;
	case RAD_PAGE_COPIED:
		return READ_ONCE(page->granting);
	case RAD_PAGE_TAKING:
	case RAD_PAGE_RETURNED:
	case RAD_PAGE_FINALIZING:
		return READ_ONCE(page->revokes) || READ_ONCE(page->granting);
	default:
		return false;
	}
}

/* Has somebody else a right to it, which he was not asked to give up? */
static bool is_held_elsewhere(const struct rad_page *page)
{
	/* What current does to a page that it takes is not news. */
	return page->state == RAD_PAGE_AWAY ||
	       (rad_page_is_copied(page) && page->taker != current);
}

/* For a revocation, of which one comes back with each answer; there is one: for a message, or a place. */
static void await_memory(struct rad_homemem *mem)
{
	if (list_empty(&mem->reserve))
		wait_event_timeout(mem->wait, !list_empty(&mem->reserve), HZ / 10);
	else
		schedule_timeout_uninterruptible(RAD_RESERVE_RETRY_JIFFIES);
}

/*
 * What is about to change: a range of pages; if @inode is set, those of them that are of a file, and
 * were noted to be when the directory had counted @notes. What is copied later has been looked at
 * as the file is now: who waited for that as well might wait for as long as somebody reads it.
 */
struct change {
	unsigned long first, last;
	const struct inode *inode;
	u64 notes;
};

/* The first entry from @index on that it concerns. The directory's lock is held. */
static struct rad_page *find_changed(struct rad_homemem *mem, const struct change *change,
				     unsigned long *index)
{
	struct rad_page *page;
	unsigned long i = 0;

	if (!change->inode)
		return xa_find(&mem->pages, index, change->last, XA_PRESENT);
	while ((page = xa_find(&mem->pages, index, change->last, OF_FILE))) {
		if ((page->inode == change->inode || page->named == change->inode) &&
		    page->noted <= change->notes)
			return page;
		++*index;
		rad_homemem_breathe(mem, ++i, true);
	}
	return NULL;
}

/* Takes from others what they have of it, if @wait. Returns whether something is on its way. */
static bool begin_change(struct rad_homemem *mem, const struct change *change, bool wait)
{
	unsigned long index = change->first, i = 0;
	struct rad_page *page;
	bool moving = false;

	spin_lock(&mem->pages.xa_lock);
	for (; (page = find_changed(mem, change, &index)); index++) {
		if (i++ && !(i % RAD_LOOK_AT)) {
			rad_homemem_breathe(mem, i, wait);
			/* It may be another one's by now, or nobody's. */
			page = find_changed(mem, change, &index);
			if (!page)
				break;
		}
		if (page->state == RAD_PAGE_TAKING) {
			if (page->taker == current)
				continue;
			WRITE_ONCE(page->stale, true);
		}
		moving |= is_leaving(page);
		if (!wait || !is_held_elsewhere(page))
			continue;
		moving = true;
		refcount_inc(&page->ref);
		spin_unlock(&mem->pages.xa_lock);
		if (!rad_page_revoke(page, RAD_USE_WRITE, false))
			await_memory(mem);
		rad_page_put(page);
		spin_lock(&mem->pages.xa_lock);
	}
	spin_unlock(&mem->pages.xa_lock);
	return moving;
}

/*
 * Waits for what is on its way. One answer at least has to come; the death of the peer brings it
 * too. Returns false if others have got something of it meanwhile.
 */
static bool await_change(struct rad_homemem *mem, const struct change *change)
{
	unsigned long index = change->first, i = 0;
	struct rad_page *page;

	for (;;) {
		spin_lock(&mem->pages.xa_lock);
		while ((page = find_changed(mem, change, &index)) && !is_leaving(page)) {
			if (is_held_elsewhere(page)) {
				spin_unlock(&mem->pages.xa_lock);
				return false;
			}
			index++;
			rad_homemem_breathe(mem, ++i, true);
		}
		if (page)
			refcount_inc(&page->ref);
		spin_unlock(&mem->pages.xa_lock);
		if (!page)
			return true;
		wait_event(*rad_page_wait(page), !is_leaving(page));
		rad_page_put(page);
	}
}

static void invalidate(struct rad_homemem *mem, const struct change *change, bool wait)
{
	if (READ_ONCE(mem->dead))
		return;
	while (begin_change(mem, change, wait) && wait && !await_change(mem, change))
		;
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
 * holds; a reader for whom a page is taken (rad_reader_upgrade()) loses it at once.
 *
 * Context: the mmu notifier: may hold mmap_lock for writing, i_mmap and anon_vma
 * locks; allocates nothing from reclaimable memory.
 */
void rad_homemem_invalidate(struct rad_process *process, unsigned long start,
			    unsigned long end, bool wait)
{
	const struct change change = {
		.first = start >> PAGE_SHIFT, .last = (end - 1) >> PAGE_SHIFT,
	};

	if (end > start)
		invalidate(&process->mem, &change, wait);
}

/**
 * rad_page_note_file() - remember of which file an entry's page is copied
 * @page: TAKING
 * @file: of its mapping, NULL: of none
 *
 * Before it is looked at whether the file is watched, and whether somebody has it open for writing:
 * who ends the watch, or opens it, later finds the entry.
 */
void rad_page_note_file(struct rad_page *page, struct file *file)
{
	struct rad_homemem *mem = rad_page_mem(page);
	unsigned long index = page->address >> PAGE_SHIFT;

	if (!file && !page->inode)
		return;
	spin_lock(&mem->pages.xa_lock);
	page->inode = file ? file_inode(file) : NULL;
	page->named = file ? d_inode(file->f_path.dentry) : NULL;
	page->noted = ++mem->notes;
	if (file)
		__xa_set_mark(&mem->pages, index, OF_FILE);
	else
		__xa_clear_mark(&mem->pages, index, OF_FILE);
	spin_unlock(&mem->pages.xa_lock);
}

/**
 * rad_homemem_drop_file() - drop what was copied from mappings of a file
 * @process: whose
 * @inode: the file; compared, not followed
 *
 * Takes no mmap_lock: who has it may wait for anything, and the caller, who may have nothing to do
 * with the process, for him.
 *
 * Context: sleeps until the holders of copies have answered, or died.
 */
void rad_homemem_drop_file(struct rad_process *process, const struct inode *inode)
{
	struct rad_homemem *mem = &process->mem;
	struct change change = { .last = ULONG_MAX, .inode = inode };

	spin_lock(&mem->pages.xa_lock);
	change.notes = mem->notes;
	spin_unlock(&mem->pages.xa_lock);
	invalidate(mem, &change, true);
}

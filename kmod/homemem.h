/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: the memory of a distributed process at home.
 *
 * One entry for each page that has ever been away and is not home again; none
 * for the rest. The state of an entry is enforced by the kernel's own page tables:
 *
 *   AWAY    the home page is a held migration entry: it stands between
 *           migrate_vma_setup() and migrate_device_finalize(); locked, off the LRU,
 *           unmapped everywhere. Whoever touches it reaches our do_swap_page.
 *   COPIED  read-only copies are elsewhere; the mapping here is not writable. Whoever
 *           writes reaches our do_wp_page, from swap, too; the mmu
 *           notifier tells when the mapping or the page changes.
 *
 * Lock order: turn, mmap_lock, faulting, folio lock of a held page, the directory's lock.
 * Nothing is sent and nothing sleeps under the directory's lock.
 */
#ifndef _RADIUM_HOMEMEM_H
#define _RADIUM_HOMEMEM_H

#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include "gate.h"
#include "states.h"
#include "stay.h"

/**
 * struct rad_touch - an address that a thread has to touch at home
 * @address: where
 * @work: goes on then
 * @mapped: whether the address is mapped now; false also if the thread was not there to touch it
 */
struct rad_touch {
	unsigned long address;
	struct work_struct work;
	bool mapped;
};

struct rad_forward;
struct rad_in;
struct rad_node;
struct rad_process;
struct rad_revoke;

/**
 * struct rad_page - one page of a distributed process
 * @ref: the directory has one, each user in flight one
 * @rcu: found by page frame under RCU
 * @process: holds a reference
 * @address: page-aligned user address at which it was taken
 * @state: under the directory's lock
 * @stale: the layout changed while it was being taken; under the directory's lock
 * @granting: grants that are decided and on their way into the stream, or, from the owner,
 *	to the reader; until they are there, revocations wait: their makers need nothing
 *	that the waiter may have
 * @wanted: those who wait for it to come home; under the directory's lock
 * @taker: the task that takes it, while TAKING: its own notifier events are not news
 * @node: the owner (AWAY, RECALLING, SHARING); holds a reference
 * @forward: its way from one node to another, NULL: none; under the directory's lock
 * @asked: what the owner is to answer (RECALLING, SHARING); compared, not followed
 * @written: its owner asked for it to write to it
 * @copies: bit i: node i+1 has a copy and was not asked to drop it
 * @revokes: holders of copies who have not answered yet; under the directory's lock
 * @order: in rad_homemem.order while AWAY
 * @frame: the held home page, NULL for copies
 * @read_only: its entry in the page table comes back read-only
 * @lost: it was LOST when the process ended: its entries are not to come back
 * @inode: the file of whose page copies are made, NULL: of none, and how it was opened
 *	(overlayfs has another inode for that); compared, not followed
 * @named: see @inode
 * @noted: when that was noted, by the count in rad_homemem.notes
 * @anon_vma: of @frame. migrate_device.c keeps no reference, and munmap or exit
 *	would free it under the held page; finalizing would then use it.
 */
struct rad_page {
	refcount_t ref;
	struct rcu_head rcu;
	struct rad_process *process;
	unsigned long address;
	enum rad_page_state state;
	bool stale;
	u32 granting;
	u32 wanted;
	struct task_struct *taker;
	struct rad_node *node;
	struct rad_forward *forward;
	struct rad_revoke *asked;
	bool written;
	u64 copies;
	u32 revokes;
	struct list_head order;
	struct page *frame;
	bool read_only;
	bool lost;
	const struct inode *inode, *named;
	u64 noted;
	struct anon_vma *anon_vma;
};

enum { RAD_TURNS = 64 };

/**
 * struct rad_turn - for the pages whose numbers are alike modulo RAD_TURNS
 * @mutex: one request of another node at a time; who waits and is overtaken is handed it next.
 *	But while a page is on its way from one node to another others have the turn, and wait
 *	if they want that page
 * @index: page that was brought home last for somebody here
 * @until: it stays until then (ktime), see stay.h
 * @patience: of those who have it brought home; the three under the directory's lock
 * @wait: woken at every change of one of the pages' states
 */
struct rad_turn {
	struct mutex mutex;
	wait_queue_head_t wait;
	unsigned long index;
	u64 until;
	struct rad_patience patience;
};

/**
 * struct rad_homemem - directory of one process
 * @pages: entries by page number; its xa_lock protects the entries' states and the
 *	counters as well ("the directory's lock")
 * @wait: woken when a layout change is over, when something comes back to the reserve, and at the end
 * @gate: layout changes under way (between range_start and range_end): what is there is neither
 *	taken out nor copied meanwhile
 * @over: nobody elsewhere has a page, and the process retires: nobody gets one
 * @dead: the address space is gone; nothing goes over the network any more
 * @away: entries whose frame is held while another node owns the page, or is lost with it: AWAY,
 *	RECALLING, SHARING, LOST
 * @copied: entries in this state
 * @notes: how often a file was noted for an entry, see homemem_change.c
 * @order: AWAY entries, the longest away first
 * @turns: by page number
 * @faulting: one page at a time is faulted in to be taken; inside mmap_lock
 * @finalize: repairs page tables of RETURNED entries
 * @deferred: requests that wait to be served, by @deferred_work
 * @n_deferred: see @deferred
 * @deferred_work: see @deferred
 * @deferring: it is under way, or queued
 * @reserve: revocations set aside for the notifier, which must not wait for memory
 * @quick: revocations that it has got without waiting
 */
struct rad_homemem {
	struct xarray pages;
	wait_queue_head_t wait;
	struct rad_gate gate;
	bool over;
	bool dead;
	u32 away;
	u32 copied;
	u64 notes;
	struct list_head order;
	struct rad_turn turns[RAD_TURNS];
	struct mutex faulting;
	struct work_struct finalize;
	struct list_head deferred;
	u32 n_deferred;
	bool deferring;
	struct work_struct deferred_work;
	struct list_head reserve;
	atomic_t quick;
};

int rad_homemem_init(void);
void rad_homemem_uninit(void);
int rad_homemem_create(struct rad_process *process);
void rad_homemem_destroy(struct rad_process *process);

void rad_homemem_page_get(struct rad_in *in);
void rad_homemem_page_arrived(struct rad_in *in);
int rad_trim_init(void);
void rad_trim_uninit(void);
void rad_reserves_renew(void);
void rad_reserves_uninit(void);
void rad_homemem_trim(struct rad_process *process, u32 n);
int rad_homemem_recall_all(struct rad_process *process, unsigned long timeout);
bool rad_homemem_node_dead(struct rad_process *process, struct rad_node *node);
void rad_homemem_forget_writes(struct rad_process *process);
void rad_homemem_invalidate(struct rad_process *process, unsigned long start,
			    unsigned long end, bool wait);
void rad_homemem_drop_file(struct rad_process *process, const struct inode *inode);
bool rad_homemem_end_if_empty(struct rad_process *process);
void rad_homemem_die(struct rad_process *process);
void rad_homemem_count(struct rad_process *process, struct radium_page_count *counts);

int rad_notifier_register(struct rad_process *process);

#endif /* _RADIUM_HOMEMEM_H */

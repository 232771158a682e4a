/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: the memory of a replica: one mapping over the whole user address range.
 *
 * Its pages are the module's own landing pages, inserted with the protection that
 * they have at home and revoked by unmapping. Whether an address is mapped, and
 * how, is home's answer to the fault.
 */
#ifndef _RADIUM_WINDOW_H
#define _RADIUM_WINDOW_H

#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/wait.h>
#include <linux/xarray.h>
#include "link.h"
#include "vvar.h"

struct file;
struct rad_in;
struct rad_replica;
struct rad_wire_prepare;

enum {
	RAD_WINDOW_LOCKS	= 64,
	RAD_WINDOW_WALKS	= 8,	/* sequences that are followed at a time */
};

/**
 * struct rad_walk - faults on one page after the other; a hint, without a lock
 * @next: page whose fault would continue it
 * @ahead: pages fetched ahead last time
 */
struct rad_walk {
	unsigned long next;
	unsigned long ahead;
};

/**
 * struct rad_window - window of one replica
 * @slot: its place in the device's file offsets: unmapping a page of one replica
 *	leaves the others alone
 * @mapping: of the device's file; the file that it is mapped through keeps it
 * @pages: struct rad_wpage by page number
 * @locks: by page number, modulo: orders insertion into the page table and
 *	revocation. Taken with mmap_lock held, or alone.
 * @contended: by page number, modulo, under that lock: a page that was taken away when it
 *	had just come, 0: none. When it comes again others will soon want it again.
 * @waits: by page number, modulo: faults wait here for a grant
 * @walks: by threads, and by one thread through several arrays
 * @oldest: of @walks: given up next; a hint
 * @dead: no fault will be answered any more
 * @vvar: the pages of the clocks
 */
struct rad_window {
	int slot;
	struct address_space *mapping;
	struct xarray pages;
	struct mutex locks[RAD_WINDOW_LOCKS];
	unsigned long contended[RAD_WINDOW_LOCKS];
	wait_queue_head_t waits[RAD_WINDOW_LOCKS];
	struct rad_walk walks[RAD_WINDOW_WALKS];
	unsigned int oldest;
	bool dead;
	struct rad_vvar vvar;
};

int rad_window_init(void);
void rad_window_uninit(void);

int rad_window_create(struct rad_window *window, const struct rad_node *home,
		      const struct rad_wire_prepare *prepare);
void rad_window_destroy(struct rad_window *window);
int rad_window_map(struct rad_replica *replica, struct file *file);
int rad_window_mmap(struct rad_replica *replica, struct vm_area_struct *vma);
bool rad_window_holds(struct rad_window *window, u64 address, u32 access);
void rad_window_die(struct rad_window *window);
void rad_window_on_revoke(struct rad_in *in);

#endif /* _RADIUM_WINDOW_H */

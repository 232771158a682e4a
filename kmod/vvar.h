/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: the clocks that the vdso of a migrated program reads.
 */
#ifndef _RADIUM_VVAR_H
#define _RADIUM_VVAR_H

#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/types.h>
#include <vdso/time.h>

struct page;
struct pt_regs;
struct rad_node;
struct rad_wire_prepare;
struct timespec64;
struct vdso_data;

enum { RAD_VVAR_PAGES = 4 };

/**
 * struct rad_vvar - the vvar pages of one replica
 * @start: where the program's vvar pages begin, 0: it has none
 * @page: stands in for the first of them
 * @pfn: frames of this node's own vvar pages, 0: not there
 * @here: this node's data, NULL until they have been found
 * @updates: from the timekeeper, while @here is known
 * @lock: registration of @updates; several threads arrive at once
 * @writing: the page, and what follows here
 * @home: whose clocks it shows
 * @own: the process' CLOCK_MONOTONIC minus that of @home, ns: its time namespace
 * @followed: this node's CLOCK_MONOTONIC_COARSE when the page was last written, ns; 0: not since
 *	home said what its clocks are
 * @home_mode: how home's vdso reads its clock source: enum vdso_clock_mode
 * @mono: home's clocks minus this node's, as the page shows them, ns
 * @boot: see @mono
 * @raw: see @mono
 * @real: home's CLOCK_REALTIME minus this node's CLOCK_MONOTONIC, ns
 * @seen: the latest of home's CLOCK_MONOTONIC_COARSE that a thread here has seen, ns
 * @shown: that of the page, ns
 */
struct rad_vvar {
	unsigned long start;
	struct page *page;
	unsigned long pfn[RAD_VVAR_PAGES];
	const struct vdso_data *here;
	struct notifier_block updates;
	struct mutex lock;
	raw_spinlock_t writing;
	const struct rad_node *home;
	s64 own, followed;
	s32 home_mode;
	s64 mono, boot, raw, real;
	s64 seen, shown;
};

/* at home */
unsigned long rad_vvar_find(void);
void rad_vvar_describe(struct rad_wire_prepare *prepare, struct rad_node *to, unsigned long start);
bool rad_vvar_may_leave(const struct pt_regs *regs);
s64 rad_vvar_coarse(void);
s64 rad_vvar_real(void);
void rad_vvar_catch_up(s64 coarse);

/* in a replica */
int rad_vvar_create(struct rad_vvar *vvar, const struct rad_node *home,
		    const struct rad_wire_prepare *prepare);
void rad_vvar_destroy(struct rad_vvar *vvar);
void rad_vvar_set_clocks(struct rad_vvar *vvar, const struct rad_wire_prepare *prepare);
void rad_vvar_has_seen(struct rad_vvar *vvar, s64 coarse, s64 real);
s64 rad_vvar_shown(struct rad_vvar *vvar);
bool rad_vvar_read(const struct rad_vvar *vvar, clockid_t clock, struct timespec64 *time);
bool rad_vvar_seconds(const struct rad_vvar *vvar, s64 *seconds);
bool rad_vvar_resolution(const struct rad_vvar *vvar, clockid_t clock, long *ns);
void rad_vvar_start(struct rad_vvar *vvar);
unsigned long rad_vvar_pfn(const struct rad_vvar *vvar, unsigned long address);

#endif /* _RADIUM_VVAR_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: time does not jump when a thread moves.
 *
 * The vdso of the program reads the clocks from vvar pages in front of it. In a
 * replica the first of them is ours, shaped as the kernel shapes it for a process
 * in a time namespace: it names an offset for each clock and sends the reader on
 * to the fourth page, where this node's real data are. Both nodes run the same
 * kernel build, so that the layout is the same.
 *
 * time() ignores the offsets (__cvdso_time_data): it shows this node's seconds.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <asm/vdso.h>
#include <vdso/datapage.h>
#include "window.h"
#include "wire.h"

enum { VDSO_DATA_OFFSET = 128 };	/* of _vdso_data in its page: asm/vvar.h */

static void set_offset(struct vdso_data *data, int clock, s64 ns)
{
	s32 rest;

	data->offset[clock].sec = div_s64_rem(ns, NSEC_PER_SEC, &rest);
	if (rest < 0) {
		data->offset[clock].sec--;
		rest += NSEC_PER_SEC;
	}
	data->offset[clock].nsec = rest;
}

/**
 * rad_vvar_create() - make the page with home's offsets
 * @window: whose
 * @prepare: where the pages are, and the clocks
 *
 * Return: 0 or -ENOMEM.
 */
int rad_vvar_create(struct rad_window *window, const struct rad_wire_prepare *prepare)
{
	window->vvar = le64_to_cpu(prepare->vvar);
	window->clock_page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!window->clock_page)
		return -ENOMEM;
	rad_vvar_set_clocks(window, prepare);
	return 0;
}

/**
 * rad_vvar_set_clocks() - follow home's clocks
 * @window: in which no thread runs: a reader would see half of the change
 * @prepare: the clocks
 */
void rad_vvar_set_clocks(struct rad_window *window, const struct rad_wire_prepare *prepare)
{
	s64 mono = le64_to_cpu(prepare->mono), boot = le64_to_cpu(prepare->boot);
	s64 real = le64_to_cpu(prepare->real);
	/* Raw and adjusted clock drift apart on each machine for itself. */
	s64 raw = mono + le64_to_cpu(prepare->raw) - (ktime_get_raw_ns() - ktime_get_ns());
	struct vdso_data *data;
	int i;

	data = page_address(window->clock_page) + VDSO_DATA_OFFSET;
	for (i = 0; i < CS_BASES; i++) {
		data[i].seq = 1;
		data[i].clock_mode = VDSO_CLOCKMODE_TIMENS;
		set_offset(&data[i], CLOCK_MONOTONIC, mono);
		set_offset(&data[i], CLOCK_MONOTONIC_RAW, raw);
		set_offset(&data[i], CLOCK_MONOTONIC_COARSE, mono);
		set_offset(&data[i], CLOCK_BOOTTIME, boot);
		set_offset(&data[i], CLOCK_REALTIME, real);
		set_offset(&data[i], CLOCK_REALTIME_COARSE, real);
		set_offset(&data[i], CLOCK_TAI, real);
	}
}

/**
 * rad_vvar_find_local() - remember the frames of current's own vvar pages
 * @window: whose
 *
 * Context: the manager, before it gives up its address space.
 */
void rad_vvar_find_local(struct rad_window *window)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	unsigned long start;
	u8 __maybe_unused byte;
	int i;

	if (!mm->context.vdso)
		return;
	start = (unsigned long)mm->context.vdso + mm->context.vdso_image->sym_vvar_start;
	for (i = 0; i < RAD_VVAR_PAGES; i++) {
		unsigned long address = start + i * PAGE_SIZE;

		/* Pages of clock sources that this machine lacks are not there. */
		if (get_user(byte, (u8 __user *)address))
			continue;
		mmap_read_lock(mm);
		vma = vma_lookup(mm, address);
		if (!vma || follow_pfn(vma, address, &window->clock_pfn[i]))
			window->clock_pfn[i] = 0;
		mmap_read_unlock(mm);
	}
}

/**
 * rad_vvar_pfn() - the frame to show at a vvar address
 * @window: whose
 * @address: user address
 *
 * Return: 0 if the address is not one of these, ULONG_MAX if there is none to show.
 */
unsigned long rad_vvar_pfn(const struct rad_window *window, unsigned long address)
{
	unsigned long i;

	if (!window->vvar || address < window->vvar ||
	    address >= window->vvar + RAD_VVAR_PAGES * PAGE_SIZE)
		return 0;
	i = (address - window->vvar) >> PAGE_SHIFT;
	if (i == 0)
		return page_to_pfn(window->clock_page);
	if (i == RAD_VVAR_PAGES - 1)
		return window->clock_pfn[0] ?: ULONG_MAX;
	return window->clock_pfn[i] ?: ULONG_MAX;
}

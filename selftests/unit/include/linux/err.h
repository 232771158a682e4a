/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for the kernel's header of that name. */
#ifndef _RADIUM_UNIT_ERR_H
#define _RADIUM_UNIT_ERR_H

#include <errno.h>
#include <stdbool.h>

static inline void *ERR_PTR(long error)
{
	return (void *)error;
}

static inline long PTR_ERR(const void *ptr)
{
	return (long)ptr;
}

static inline bool IS_ERR(const void *ptr)
{
	return (unsigned long)ptr >= -4095ul;
}

#endif

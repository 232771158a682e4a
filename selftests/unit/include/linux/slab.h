/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for the kernel's header of that name. */
#ifndef _RADIUM_UNIT_SLAB_H
#define _RADIUM_UNIT_SLAB_H

#include <stdlib.h>

#define kvzalloc(size, gfp) calloc(1, size)
#define kvfree(ptr) free(ptr)

#endif

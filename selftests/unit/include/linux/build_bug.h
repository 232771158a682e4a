/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for the kernel's header of that name: C11 has the one that is used. */
#ifndef _RADIUM_UNIT_BUILD_BUG_H
#define _RADIUM_UNIT_BUILD_BUG_H

#include <assert.h>

#endif

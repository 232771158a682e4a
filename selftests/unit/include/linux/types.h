/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for the kernel's header of that name, beside that of user space. */
#ifndef _RADIUM_UNIT_TYPES_H
#define _RADIUM_UNIT_TYPES_H

#include_next <linux/types.h>
#include <stdbool.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s32 s32;
typedef __s64 s64;

#define S32_MAX ((s32)0x7fffffff)

#ifndef __packed
#define __packed __attribute__((packed))
#endif

#endif

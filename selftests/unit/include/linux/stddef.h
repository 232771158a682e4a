/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for the kernel's header of that name. */
#include_next <linux/stddef.h>
#include <stddef.h>

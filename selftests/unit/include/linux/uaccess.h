/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for the kernel's header of that name: there is one address space. */
#ifndef _RADIUM_UNIT_UACCESS_H
#define _RADIUM_UNIT_UACCESS_H

#include <string.h>

#define __user
#define copy_to_user(to, from, size) (memcpy(to, from, size), 0)

#endif

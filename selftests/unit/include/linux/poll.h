/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for the kernel's header of that name. */
#ifndef _RADIUM_UNIT_POLL_H
#define _RADIUM_UNIT_POLL_H

#include <sys/epoll.h>
#include <sys/types.h>
#include <linux/uaccess.h>

typedef unsigned int __poll_t;
typedef struct { char unused; } poll_table;
struct file;

#define poll_wait(file, wait, table) ((void)(file), (void)(wait), (void)(table))

#endif

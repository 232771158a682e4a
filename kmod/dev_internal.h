/* SPDX-License-Identifier: GPL-2.0 */
/* Radium: what the files of the character device share. */
#ifndef _RADIUM_DEV_INTERNAL_H
#define _RADIUM_DEV_INTERNAL_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct task_struct;

/*
 * What a call's number says without the size: number, device and direction. The size is that of the
 * structure that the caller was compiled with, which may be an older or a newer one than ours. The
 * structure says it itself, see rad_dev_fetch().
 */
#define RAD_DEV_CALL(cmd)	((cmd) & ~IOCSIZE_MASK)

int rad_dev_fetch(void *to, size_t size, size_t least, const void __user *from);
int rad_dev_store(void __user *to, const void *from, size_t size);

struct task_struct *rad_dev_find_process(s32 pid);

long rad_dev_migrate(void __user *arg);
long rad_dev_recall(void __user *arg);
long rad_dev_spread(void __user *arg);

long rad_dev_list(unsigned int call, void __user *arg);

#endif /* _RADIUM_DEV_INTERNAL_H */

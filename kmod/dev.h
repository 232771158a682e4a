/* SPDX-License-Identifier: GPL-2.0 */
/* Radium: the character device. */
#ifndef _RADIUM_DEV_H
#define _RADIUM_DEV_H

struct file;
struct rad_replica;

int rad_device_init(void);
void rad_device_uninit(void);
bool rad_device_is_restarted(const struct file *file, unsigned int cmd);
void rad_device_set_replica(struct file *file, struct rad_replica *replica);

#endif /* _RADIUM_DEV_H */

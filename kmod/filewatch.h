/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: files whose pages have been copied to other nodes, and are opened for
 * writing. write() changes the page cache, and with it the mapping at home, without
 * any word to the memory of those who have it mapped.
 */
#ifndef _RADIUM_FILEWATCH_H
#define _RADIUM_FILEWATCH_H

#include <linux/types.h>

struct file;

int rad_filewatch_init(void);
void rad_filewatch_uninit(void);
bool rad_filewatch_covers(struct file *file);
int rad_filewatch_add(struct file *file);

#endif /* _RADIUM_FILEWATCH_H */

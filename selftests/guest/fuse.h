/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file system with one file, whose content comes when it is let go on: served by a child, which
 * stays at home. So do its list of attributes (one: user.x), and the ends of removexattr, of fsync,
 * of a look for data and of one for locks (there are none); but if whoever waits for these is
 * interrupted they end with EINTR. Nobody but root can make one.
 */
#ifndef _RADIUM_SELFTEST_FUSE_H
#define _RADIUM_SELFTEST_FUSE_H

#include "harness.h"

struct fuse_mount {
	pid_t server;
	int asked, go;		/* a byte for each request that waits; one lets all of them go on */
	char file[64];
};

/* Page i of the file begins with the number i + 1. The case is skipped without FUSE. */
void fuse_mount(struct fuse_mount *mount, unsigned int pages);
/* The file system's server answers from now on. */
void fuse_go_on(struct fuse_mount *mount);
void fuse_unmount(struct fuse_mount *mount);
/* Its server ends; for one that is not mounted any more. */
void fuse_end(struct fuse_mount *mount);

#endif

// SPDX-License-Identifier: GPL-2.0
/* Calls about files that few programs make: attributes, paths, mounts, rules. */
#include "harness.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

static void extended_attributes(void)
{
	char value[16], list[64];
	int file;

	own_directory();
	write_text("file", "x");
	DO(symlink("file", "soft"));
	away();
	if (setxattr("file", "trusted.one", "1", 1, 0))
		skip("setxattr: %s", strerror(errno));
	DO(lsetxattr("soft", "trusted.two", "22", 2, 0));
	EQUAL(lgetxattr("soft", "trusted.two", value, 16), 2);
	EQUAL(lgetxattr("soft", "trusted.one", value, 16), -1);
	EQUAL(errno, ENODATA);
	CHECK(listxattr("file", list, sizeof(list)) >= 12);
	CHECK(llistxattr("soft", list, sizeof(list)) >= 12);
	home();
	EQUAL(getxattr("soft", "trusted.one", value, 16), 1);
	away();
	DO(lremovexattr("soft", "trusted.two"));
	EQUAL(lgetxattr("soft", "trusted.two", value, 16), -1);
	file = DO(open("file", O_RDWR));
	DO(fremovexattr(file, "trusted.one"));
	EQUAL(getxattr("file", "trusted.one", value, 16), -1);
	DO(syscall(SYS_sync_file_range, file, 0l, 0l, 0));
	EQUAL(readahead(file, 0, 100), 0);
}

static void resolved_paths(void)
{
	struct open_how how = { .flags = O_RDONLY, .resolve = RESOLVE_NO_SYMLINKS };

	own_directory();
	write_text("file", "x");
	DO(symlink("file", "soft"));
	away();
	DO(syscall(SYS_openat2, AT_FDCWD, "file", &how, sizeof(how)));
	EQUAL(syscall(SYS_openat2, AT_FDCWD, "soft", &how, sizeof(how)), -1);
	EQUAL(errno, ELOOP);
	how.resolve = RESOLVE_BENEATH;
	EQUAL(syscall(SYS_openat2, AT_FDCWD, "../..", &how, sizeof(how)), -1);
	EQUAL(errno, EXDEV);
	how.mode = 0600;
	EQUAL(syscall(SYS_openat2, AT_FDCWD, "file", &how, sizeof(how)), -1);
	EQUAL(errno, EINVAL);
}

static void mounts_by_descriptor(void)
{
	struct mount_attr attributes = { .attr_set = MOUNT_ATTR_RDONLY };
	int context, mount, tree;

	own_directory();
	DO(mkdir("one", 0700));
	DO(mkdir("two", 0700));
	if (unshare(CLONE_NEWNS))
		skip("unshare: %s", strerror(errno));
	DO(system("mount --make-rprivate /"));
	away();
	context = DO(syscall(SYS_fsopen, "tmpfs", 0));
	EQUAL(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "no-such-option", "x", 0), -1);
	EQUAL(errno, EINVAL);
	DO(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "size", "64k", 0));
	DO(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	mount = DO(syscall(SYS_fsmount, context, 0, 0));
	DO(syscall(SYS_move_mount, mount, "", AT_FDCWD, "one", MOVE_MOUNT_F_EMPTY_PATH));
	write_text("one/file", "mounted");
	tree = DO(syscall(SYS_open_tree, AT_FDCWD, "one", OPEN_TREE_CLONE));
	DO(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)));
	DO(syscall(SYS_move_mount, tree, "", AT_FDCWD, "two", MOVE_MOUNT_F_EMPTY_PATH));
	home();
	CHECK(!strcmp(read_text("two/file"), "mounted"));
	away();
	EQUAL(open("two/file", O_WRONLY), -1);
	EQUAL(errno, EROFS);
	context = DO(syscall(SYS_fspick, AT_FDCWD, "one", 0));
	DO(syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, "ro", NULL, 0));
	DO(close(context));
	DO(close(tree));
	DO(syscall(SYS_umount2, "two", 0));
	EQUAL(access("two/file", F_OK), -1);
	EQUAL(errno, ENOENT);
}

/* A process that shuts itself in. */
static void landlock(void)
{
	struct landlock_ruleset_attr rules = { .handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE };
	struct landlock_path_beneath_attr below = { .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE };
	int set;

	away();
	set = syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
	if (set < 0)
		skip("landlock: %s", strerror(errno));
	below.parent_fd = DO(open("/usr", O_PATH | O_DIRECTORY));
	DO(syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &below, 0));
	DO(syscall(SYS_landlock_restrict_self, set, 0));
	DO(close(DO(open("/usr/bin/env", O_RDONLY))));
	EQUAL(open("/etc/passwd", O_RDONLY), -1);
	EQUAL(errno, EACCES);
	home();
	EQUAL(open("/etc/passwd", O_RDONLY), -1);
	EQUAL(errno, EACCES);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(extended_attributes), CASE(resolved_paths), CASE(mounts_by_descriptor),
		CASE(landlock),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's file tree: the host's, read-only over 9p, under an overlay whose writable
 * half is memory, with the usual kernel file systems mounted over it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

static const struct mount_point {
	const char *type, *path, *options;
	bool optional;		/* a kernel without this file system is fine */
} mount_points[] = {
	{ "proc", "/proc", NULL, false },
	{ "sysfs", "/sys", NULL, false },
	{ "devtmpfs", "/dev", NULL, false },
	{ "devpts", "/dev/pts", "mode=620,ptmxmode=666", false },
	{ "tmpfs", "/dev/shm", "mode=1777", false },
	{ "tmpfs", "/run", "mode=755", false },
	{ "tmpfs", "/tmp", "mode=1777", false },
	{ "cgroup2", "/sys/fs/cgroup", NULL, true },
	{ "debugfs", "/sys/kernel/debug", NULL, true },
	{ "tracefs", "/sys/kernel/tracing", NULL, true },
	{ "securityfs", "/sys/kernel/security", NULL, true },
	{ "bpf", "/sys/fs/bpf", NULL, true },
};

static const struct setting {
	const char *path, *value;
} settings[] = {
	{ "/proc/sys/kernel/core_pattern", "core" },
	{ "/proc/sys/kernel/printk", "8" },
	{ "/proc/sys/kernel/sysrq", "1" },
};

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "testbed: %s: %s\n", path, strerror(errno));
	close(fd);
}

/* /modules/order names the files of /modules in the order of their dependencies. */
void modules_load(void)
{
	FILE *order = fopen("/modules/order", "re");
	char name[256], path[300];

	if (!order)
		return;
	while (fgets(name, sizeof(name), order)) {
		int fd;

		name[strcspn(name, "\n")] = '\0';
		snprintf(path, sizeof(path), "/modules/%s", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			die("%s: %s", path, strerror(errno));
		if (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST)
			fprintf(stderr, "testbed: %s: %s\n", name, strerror(errno));
		close(fd);
	}
	fclose(order);
}

static void must_mount(const char *source, const char *path, const char *type,
		       unsigned long flags, const char *options)
{
	mkdir(path, 0755);
	if (mount(source, path, type, flags, options))
		die("mount %s on %s: %s", type, path, strerror(errno));
}

void root_enter(void)
{
	must_mount("root", "/lower", "9p", MS_RDONLY,
		   "trans=virtio,version=9p2000.L,cache=loose,msize=512000");
	must_mount("tmpfs", "/rw", "tmpfs", 0, "mode=755");
	mkdir("/rw/upper", 0755);
	mkdir("/rw/work", 0755);
	must_mount("overlay", "/new", "overlay", 0,
		   "lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work");

	if (chdir("/new") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		die("entering the new root: %s", strerror(errno));

	for (size_t i = 0; i < sizeof(mount_points) / sizeof(*mount_points); i++) {
		const struct mount_point *m = &mount_points[i];

		mkdir(m->path, 0755);
		if (mount(m->type, m->path, m->type, 0, m->options) && !m->optional)
			die("mount %s on %s: %s", m->type, m->path, strerror(errno));
	}
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		write_file(settings[i].path, settings[i].value);
	symlink("/proc/self/fd", "/dev/fd");
	symlink("/proc/self/fd/0", "/dev/stdin");
	symlink("/proc/self/fd/1", "/dev/stdout");
	symlink("/proc/self/fd/2", "/dev/stderr");
}

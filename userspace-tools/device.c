// SPDX-License-Identifier: GPL-2.0
/* The kernel, as radctl reaches it. tests/fake.c is linked in its place by the tests. */
#include "radctl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

int device_open(void)
{
	int fd = open(RADIUM_DEVICE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int device_ioctl(int fd, unsigned long request, void *argument)
{
	return ioctl(fd, request, argument) < 0 ? -errno : 0;
}

const char *device_root(void)
{
	return "";
}

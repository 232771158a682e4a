// SPDX-License-Identifier: GPL-2.0
/* /dev/radium: opening it, shaking hands, reading lists. */
#include "radctl.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/**
 * dev_connect() - open the device and shake hands
 *
 * Return: 0 or -errno; -EPROTO, or -EPROTONOSUPPORT of a module that does not look, if it
 * speaks another ABI (dev->hello.abi says which).
 */
int dev_connect(struct dev *dev)
{
	int error;

	dev->hello = (struct radium_hello) {
		.size = sizeof(dev->hello), .abi = RADIUM_ABI_VERSION
	};
	dev->fd = device_open();
	if (dev->fd < 0)
		return dev->fd;
	error = device_ioctl(dev->fd, RADIUM_IOC_HELLO, &dev->hello);
	if (!error && dev->hello.abi != RADIUM_ABI_VERSION)
		error = -EPROTONOSUPPORT;
	if (error)
		dev_close(dev);
	return error;
}

void dev_close(struct dev *dev)
{
	close(dev->fd);
	dev->fd = -1;
}

/**
 * dev_open() - dev_connect(), and say what is wrong
 * @subject: what the user wants, for the message
 *
 * Return: 0 or EXIT_FAILED.
 */
int dev_open(struct dev *dev, const char *subject)
{
	int error = dev_connect(dev);
	char what[96];

	switch (-error) {
	case 0:
		return 0;
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return fail_text(subject, "not_loaded", "radium is not loaded", LOAD_REMEDY);
	case EACCES:
	case EPERM:
		return fail_text(subject, "not_permitted", RADIUM_DEVICE " may not be opened",
				 "check its mode, or run as root");
	case ENOTTY:
	case EINVAL:
	case EPROTO:
	case EPROTONOSUPPORT:
		snprintf(what, sizeof(what), "the module does not speak this radctl's ABI %d (it answers %u)",
			 RADIUM_ABI_VERSION, dev->hello.abi);
		return fail_text(subject, "abi", what,
				 "install radctl and the module of the same version");
	default:
		return fail_errno(subject, -error, "see the kernel log");
	}
}

/**
 * dev_list() - read a list, of up to 65,536 entries
 * @pid: for lists of one process: threads, pages, counts of pages
 * @error: out: 0 or a positive errno
 *
 * The list may grow between two calls, so the room follows what the kernel says
 * there is, a few times at most; what does not fit then is left out.
 *
 * Return: an array to free(), or NULL with @error set.
 */
void *dev_list(struct dev *dev, unsigned long request, __s32 pid, size_t entry_size,
	       size_t *count, int *error)
{
	enum { FIRST_ROOM = 64, ATTEMPTS = 8, MOST = 1 << 16 };	/* what the module gives at once */
	uint32_t room = FIRST_ROOM;

	for (int attempt = 1; ; attempt++) {
		void *entries = calloc(room, entry_size);
		struct radium_list list = {
			.size = sizeof(list), .entry_size = (uint32_t)entry_size, .pid = pid,
			.count = room, .entries = (uintptr_t)entries,
		};

		*error = entries ? -device_ioctl(dev->fd, request, &list) : ENOMEM;
		if (!*error && list.count > room)
			*error = EPROTO;
		if (*error) {
			free(entries);
			return NULL;
		}
		if (list.total <= room || attempt == ATTEMPTS || room == MOST) {
			*count = list.count;
			return entries;
		}
		free(entries);
		room = list.total > MOST - FIRST_ROOM ? MOST : list.total + FIRST_ROOM;
	}
}

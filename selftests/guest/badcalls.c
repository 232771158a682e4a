// SPDX-License-Identifier: GPL-2.0
/* Calls on /dev/radium that have to be refused, and some that have not; prints what is otherwise. */
#include "move.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int failures;

static void expect(const char *what, int result, int error)
{
	if (result != -1 || errno != error) {
		printf("%s: %d, errno %d instead of %d\n", what, result, errno, error);
		failures++;
	}
}

/* The number that a call has for a program whose structure has another size. */
static unsigned long sized(unsigned long call, size_t size)
{
	return _IOC(_IOC_DIR(call), _IOC_TYPE(call), _IOC_NR(call), size);
}

/* What programs of other versions ask, that were compiled with longer or shorter structures. */
static void other_versions(int fd)
{
	struct radium_node_info info;
	struct { struct radium_list list; __u64 more; } list = { .list = {
		.size = sizeof(list), .count = 1, .entry_size = sizeof(info),
		.entries = (uintptr_t)&info,
	} };
	struct { struct radium_move move; __u64 more; } move = { .move = {
		.size = sizeof(move), .pid = -7, .node = 2,
	} };
	struct radium_hello hello = { .size = 8, .abi = RADIUM_ABI_VERSION };
	unsigned long longer = sized(RADIUM_IOC_NODE_LIST, sizeof(list));

	if (ioctl(fd, longer, &list) || list.list.count != 1) {
		printf("longer list: errno %d, %u entries\n", errno, list.list.count);
		failures++;
	}
	if (ioctl(fd, sized(RADIUM_IOC_HELLO, 8), &hello) || hello.wire) {
		printf("shorter hello: errno %d, wire %u\n", errno, hello.wire);
		failures++;
	}
	expect("longer move", ioctl(fd, sized(RADIUM_IOC_MIGRATE, sizeof(move)), &move), ESRCH);
	move.move.size = offsetof(struct radium_move, reason);
	expect("shorter move", ioctl(fd, sized(RADIUM_IOC_MIGRATE, move.move.size), &move), ESRCH);
	list.more = 1;
	expect("longer list, not zero", ioctl(fd, longer, &list), E2BIG);
	expect("other direction", ioctl(fd, _IOW(RADIUM_IOC_MAGIC, 5, struct radium_move), &move),
	       ENOTTY);
}

int main(void)
{
	struct { struct radium_move move; char rest[64]; } large = { 0 };
	struct radium_hello hello = { .size = sizeof(hello), .abi = RADIUM_ABI_VERSION };
	struct radium_move move = { .size = sizeof(move), .pid = getpid(), .node = 2 };
	struct radium_list list = { .size = sizeof(list), .count = 1, .entry_size = 8 };
	struct radium_spread spread = { .size = sizeof(spread), .nodes = 1ull << 40 };
	int fd = open(RADIUM_DEVICE, O_RDWR);

	if (fd < 0) {
		perror(RADIUM_DEVICE);
		return 1;
	}
	expect("migrate before hello", ioctl(fd, RADIUM_IOC_MIGRATE, &move), EPROTO);
	expect("list before hello", ioctl(fd, RADIUM_IOC_NODE_LIST, &list), EPROTO);
	hello.abi = 1000;
	expect("hello of another abi", ioctl(fd, RADIUM_IOC_HELLO, &hello), EPROTO);
	hello.abi = RADIUM_ABI_VERSION;
	if (ioctl(fd, RADIUM_IOC_HELLO, &hello)) {
		perror("hello");
		return 1;
	}
	expect("spread over a node that nobody knows", ioctl(fd, RADIUM_IOC_SPREAD, &spread), ENOENT);
	spread.size = 8;
	expect("spread of another size", ioctl(fd, RADIUM_IOC_SPREAD, &spread), EINVAL);
	expect("null", ioctl(fd, RADIUM_IOC_MIGRATE, NULL), EFAULT);
	expect("kernel address", ioctl(fd, RADIUM_IOC_MIGRATE, (void *)-4096l), EFAULT);
	expect("unknown call", ioctl(fd, _IO(RADIUM_IOC_MAGIC, 200), &move), ENOTTY);
	expect("other magic", ioctl(fd, _IO('z', 5), &move), ENOTTY);
	move.size = 4;
	expect("size too small", ioctl(fd, RADIUM_IOC_MIGRATE, &move), EINVAL);
	move.size = 1 << 20;
	expect("size enormous", ioctl(fd, RADIUM_IOC_MIGRATE, &move), E2BIG);
	move.size = sizeof(move);
	move.flags = 1u << 31;
	expect("unknown flag", ioctl(fd, RADIUM_IOC_MIGRATE, &move), EINVAL);
	move.flags = 0;
	large.move = move;
	large.move.size = sizeof(large);
	large.rest[9] = 1;
	expect("unknown part not zero", ioctl(fd, RADIUM_IOC_MIGRATE, &large), E2BIG);
	move.pid = -7;
	expect("negative pid", ioctl(fd, RADIUM_IOC_MIGRATE, &move), ESRCH);
	list.entries = 1;
	expect("list to a bad address", ioctl(fd, RADIUM_IOC_NODE_LIST, &list), EFAULT);
	list.pid = getpid();
	expect("pages of a process at home", ioctl(fd, RADIUM_IOC_PAGE_LIST, &list), ENOENT);
	expect("counts of one at home", ioctl(fd, RADIUM_IOC_PAGE_COUNT_LIST, &list), ENOENT);
	list.pid = 4194303;
	expect("counts of no process", ioctl(fd, RADIUM_IOC_PAGE_COUNT_LIST, &list), ESRCH);
	expect("pages of no process", ioctl(fd, RADIUM_IOC_PAGE_LIST, &list), ESRCH);
	list.reserved = 5;
	expect("reserved not zero", ioctl(fd, RADIUM_IOC_NODE_LIST, &list), EINVAL);
	expect("replica with no token", ioctl(fd, RADIUM_IOC_REPLICA,
	       &(struct radium_replica){ .size = sizeof(struct radium_replica), .token = 12345 }), ENOENT);
	other_versions(fd);
	return failures ? 1 : 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * radium-replica - the process that visiting threads run in
 *
 * Started by the kernel module, as root, with the token of the replica that it is to become,
 * the user and the group to be, and perhaps the file of a control group to go into first. It
 * opens the device and makes one call, from which it never comes back: the module takes its
 * whole address space for the window.
 *
 * No C library: there is nothing to initialise, and nothing of it would survive.
 */
#include <asm/fcntl.h>
#include <asm/unistd_64.h>
#include <linux/radium.h>

static long call(long nr, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return ret;
}

static __u64 number(const char *text)
{
	__u64 n = 0;

	while (*text >= '0' && *text <= '9')
		n = n * 10 + (__u64)(*text++ - '0');
	return n;
}

/* What visitors use is charged to the group, or they do not come. */
static int enter(const char *group)
{
	long fd = call(__NR_open, (long)group, O_WRONLY | O_CLOEXEC, 0);

	if (fd < 0 || call(__NR_write, fd, (long)"0", 1) != 1)
		return -1;
	call(__NR_close, fd, 0, 0);
	return 0;
}

static int become(const char *token, const char *uid, const char *gid)
{
	struct radium_hello hello = { .size = sizeof(hello), .abi = RADIUM_ABI_VERSION };
	struct radium_replica replica = { .size = sizeof(replica) };
	long fd;

	replica.token = number(token);
	if (call(__NR_setgroups, 0, 0, 0) ||
	    call(__NR_setresgid, (long)number(gid), (long)number(gid), (long)number(gid)) ||
	    call(__NR_setresuid, (long)number(uid), (long)number(uid), (long)number(uid)))
		return 4;
	fd = call(__NR_open, (long)RADIUM_DEVICE, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		return 1;
	if (call(__NR_ioctl, fd, RADIUM_IOC_HELLO, (long)&hello))
		return 2;
	call(__NR_ioctl, fd, RADIUM_IOC_REPLICA, (long)&replica);
	return 3;
}

/* The kernel starts a program with argc, argv[0], argv[1]... on the stack. */
__attribute__((used)) void start(long *stack)
{
	int status = 2;

	if (stack[0] == 5 && enter((const char *)stack[5]))
		status = 5;
	else if (stack[0] == 4 || stack[0] == 5)
		status = become((const char *)stack[2], (const char *)stack[3],
				(const char *)stack[4]);
	call(__NR_exit_group, status, 0, 0);
}

__asm__(".globl _start\n"
	"_start:\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call start\n");

// SPDX-License-Identifier: GPL-2.0
/*
 * Writes to a page that a userfaultfd protects from writing, whose owner does not answer: sleeps in
 * that fault, in the kernel's do_wp_page(), until it is killed. Says "sleeps" before. It has nothing
 * to do with the module, which must not be kept by it.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register range = {
		.range = { (unsigned long)page, 4096 }, .mode = UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_writeprotect protect = {
		.range = { (unsigned long)page, 4096 }, .mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (page == MAP_FAILED || fd < 0)
		err(1, "userfaultfd");
	*page = 1;
	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range) ||
	    ioctl(fd, UFFDIO_WRITEPROTECT, &protect))
		err(1, "userfaultfd");
	puts("sleeps");
	fflush(stdout);
	*page = 2;
	errx(1, "nobody has answered, and it goes on");
}

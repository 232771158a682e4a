// SPDX-License-Identifier: GPL-2.0
/*
 * Takes memory where it is, and keeps it.
 *
 *	hoard KIBIBYTES
 *
 * The memory begins where a page table does. When there is a file /tmp/hoard.go it writes to all
 * its pages once, in order, and then computes, on pages that it has, without a system call, until
 * SIGTERM; on a slow machine that may come before it has written. Its status is whether the pages
 * are right.
 */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, TABLE = 512 * PAGE };

static volatile sig_atomic_t stop;

static void on_term(int signal)
{
	(void)signal;
	stop = 1;
}

int main(int argc, char **argv)
{
	size_t bytes = argc > 1 ? strtoul(argv[1], NULL, 10) << 10 : 0, pages = bytes / PAGE;
	volatile unsigned char *memory;

	memory = mmap(NULL, bytes + TABLE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 2;
	memory += -(uintptr_t)memory % TABLE;
	memset((void *)memory, 0xee, bytes);
	signal(SIGTERM, on_term);
	while (access("/tmp/hoard.go", F_OK))
		usleep(50000);
	/* One loop for both: what it uses once it has written is what it used before. */
	for (volatile size_t i = 0; !stop || i < pages; i++)
		if (i < pages)
			memory[i * PAGE] = i % 251;
	for (size_t i = 0; i < pages; i++)
		if (memory[i * PAGE] != i % 251 || memory[i * PAGE + 1] != 0xee)
			return 1;
	return 0;
}

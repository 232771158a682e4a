/* SPDX-License-Identifier: GPL-2.0 */
/* Does again and again what can only be done at home: shared or pinned memory, exception or fork. */
#define _GNU_SOURCE
#include <linux/io_uring.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAUSE_MS = 50 };

static sigjmp_buf behind;

/* Does not return: rt_sigreturn() would come home for itself, as often as the exception. */
static void on_exception(int signal)
{
	siglongjmp(behind, signal);
}

/* For as long as the ring lives. */
static int pin(volatile char *page)
{
	struct io_uring_params params = { 0 };
	struct iovec buffer = { .iov_base = (void *)page, .iov_len = 4096 };
	long ring = syscall(SYS_io_uring_setup, 1, &params);

	return ring < 0 || syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &buffer, 1);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_exception };
	volatile char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	volatile char *pinned = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (argc != 2 || shared == MAP_FAILED || pinned == MAP_FAILED || sigaction(SIGILL, &action, NULL))
		return 2;
	if (argv[1][0] == 'p' && pin(pinned))
		return 3;
	for (;;) {
		switch (argv[1][0]) {
		case 's':
			shared[0]++;
			break;
		case 'p':
			pinned[0]++;
			break;
		case 'e':
			if (!sigsetjmp(behind, 1))
				__asm__ volatile("ud2");
			break;
		default:
			if (!fork())
				_exit(0);
			wait(NULL);
		}
		usleep(PAUSE_MS * 1000);
	}
}

// SPDX-License-Identifier: GPL-2.0
/* Calls about memory that few programs make: barriers, futexes, faults that another serves. */
#include "harness.h"
#include "fault.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define RW (PROT_READ | PROT_WRITE)

static void barriers(void)
{
	long commands;

	away();
	commands = DO(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0));
	CHECK(commands & MEMBARRIER_CMD_GLOBAL);
	DO(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
	EQUAL(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), -1);
	EQUAL(errno, EPERM);
	DO(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
	home();
	DO(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
	away();
	DO(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
}

static void wake(void *word)
{
	__atomic_store_n((uint32_t *)word, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void many_futexes(void)
{
	uint32_t *words = DO(mmap(NULL, 4096, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	struct futex_waitv wait[2] = {
		{ .uaddr = (uintptr_t)&words[0], .flags = FUTEX_32 },
		{ .uaddr = (uintptr_t)&words[1], .flags = FUTEX_32 },
	};
	struct timespec until;
	pid_t helper;
	long result;

	away();
	DO(clock_gettime(CLOCK_MONOTONIC, &until));
	result = syscall(SYS_futex_waitv, wait, 2, 0, &until, CLOCK_MONOTONIC);
	if (result < 0 && errno == ENOSYS)
		skip("no futex_waitv");
	EQUAL(result, -1);
	EQUAL(errno, ETIMEDOUT);
	until.tv_sec += 60;
	helper = later(200, wake, &words[1]);
	during("40 A 40 H 40 A");
	result = syscall(SYS_futex_waitv, wait, 2, 0, &until, CLOCK_MONOTONIC);
	/* One that starts anew after the change finds it. */
	if (result < 0)
		EQUAL(errno, EAGAIN);
	else
		EQUAL(result, 1);
	during_end();
	reap(helper);
	EQUAL(words[1], 1);
}

/* Made away, and used there from the beginning; another fills the pages. */
static void faults_of_another(void)
{
	char *memory = map_pages(2, RW), *page = map_pages(1, RW);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .range = { (uintptr_t)memory, 8192 },
					 .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffd_msg message;
	pid_t server;
	int fd;

	memset(page, 'u', 4096);
	away();
	fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0)
		skip("userfaultfd: %s", strerror(errno));
	DO(ioctl(fd, UFFDIO_API, &api));
	DO(ioctl(fd, UFFDIO_REGISTER, &range));
	server = DO(fork());
	if (!server) {
		struct uffdio_copy copy = { .src = (uintptr_t)page, .len = 4096 };

		EQUAL(read(fd, &message, sizeof(message)), sizeof(message));
		copy.dst = message.arg.pagefault.address & ~4095ul;
		DO(ioctl(fd, UFFDIO_COPY, &copy));
		_exit(0);
	}
	away();
	EQUAL(memory[4096 + 17], 'u');
	reap(server);
}

/* Pages that have been written away are protected then; each write asks the other. */
static void protection_of_another(void)
{
	char *memory = map_pages(4, RW);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .range = { (uintptr_t)memory, 4 * 4096 },
					 .mode = UFFDIO_REGISTER_MODE_WP };
	struct uffdio_writeprotect protect = { .range = range.range,
					       .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	struct uffd_msg message;
	pid_t server;
	int fd;

	away();
	memset(memory, 'a', 4 * 4096);
	fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0)
		skip("userfaultfd: %s", strerror(errno));
	DO(ioctl(fd, UFFDIO_API, &api));
	if (!(api.features & UFFD_FEATURE_PAGEFAULT_FLAG_WP) || ioctl(fd, UFFDIO_REGISTER, &range))
		skip("no write protection");
	memory[4096] = 'b';
	DO(ioctl(fd, UFFDIO_WRITEPROTECT, &protect));
	server = DO(fork());
	if (!server) {
		EQUAL(read(fd, &message, sizeof(message)), sizeof(message));
		EQUAL(message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP, UFFD_PAGEFAULT_FLAG_WP);
		EQUAL(message.arg.pagefault.address & ~4095ull, (uintptr_t)memory + 2 * 4096);
		protect.range.start = (uintptr_t)memory + 2 * 4096;
		protect.range.len = 4096;
		protect.mode = 0;
		DO(ioctl(fd, UFFDIO_WRITEPROTECT, &protect));
		_exit(0);
	}
	away();
	CHECK(memory[0] == 'a' && memory[4096] == 'b');
	memory[2 * 4096] = 'c';
	reap(server);
	EQUAL(memory[2 * 4096], 'c');
}

static void keys_of_protection(void)
{
	char *memory = map_pages(1, RW);
	int key;

	away();
	EQUAL(syscall(SYS_pkey_mprotect, memory, 4096, PROT_READ, -1), 0);
	EQUAL(faults_on(memory, true), SEGV_ACCERR);
	away();
	EQUAL(syscall(SYS_pkey_mprotect, memory, 4096, RW, 14), -1);
	EQUAL(errno, EINVAL);
	EQUAL(syscall(SYS_pkey_free, 14), -1);
	EQUAL(errno, EINVAL);
	key = syscall(SYS_pkey_alloc, 0, 0);
	if (key < 0) {
		CHECK(errno == ENOSPC || errno == ENOSYS || errno == EINVAL);	/* no such keys */
		return;
	}
	DO(syscall(SYS_pkey_mprotect, memory, 4096, RW, key));
	memory[0] = 'k';
	EQUAL(memory[0], 'k');
	DO(syscall(SYS_pkey_free, key));
}

/* The memory of a killed process is taken before it has gone. */
static void reaped_memory(void)
{
	char *memory = map_pages(64, RW);
	int fd, status;
	pid_t child = DO(fork());

	if (!child) {
		away();
		memset(memory, 1, 64 * 4096);
		for (;;)
			compute_checked(1000);
	}
	away();
	fd = DO(syscall(SYS_pidfd_open, child, 0));
	EQUAL(syscall(SYS_process_mrelease, fd, 0), -1);
	EQUAL(errno, EINVAL);		/* it is not dying */
	sleep_ms(200);
	DO(kill(child, SIGKILL));
	if (syscall(SYS_process_mrelease, fd, 0))
		EQUAL(errno, ESRCH);
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(status, SIGKILL);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(barriers), CASE(many_futexes), CASE(faults_of_another),
		CASE(protection_of_another), CASE(keys_of_protection), CASE(reaped_memory),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

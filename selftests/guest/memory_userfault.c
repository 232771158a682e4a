// SPDX-License-Identifier: GPL-2.0
/* Memory whose missing pages are filled in by the program, or another one: userfaultfd. */
#include "harness.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { PAGES = 64, BYTES = PAGES * 4096 };

#define RW (PROT_READ | PROT_WRITE)

/* ---- by another process ---- */

/* Fills in the pages of another process that it waits for. */
static void serve_faults(int faults, char *memory)
{
	char *page = map_pages(1, RW);

	for (int left = PAGES / 2; left; left--) {
		struct uffd_msg message;
		struct uffdio_copy copy = { .src = (uintptr_t)page, .len = 4096 };

		EQUAL(read(faults, &message, sizeof(message)), sizeof(message));
		EQUAL(message.event, UFFD_EVENT_PAGEFAULT);
		copy.dst = message.arg.pagefault.address & ~4095ul;
		memset(page, (copy.dst - (uintptr_t)memory) / 4096 + 1, 4096);
		DO(ioctl(faults, UFFDIO_COPY, &copy));
	}
	_exit(0);
}

/* A range whose missing pages are somebody else's affair is used at home. */
static void userfault_range(void)
{
	char *memory = map_pages(PAGES, RW);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { (uintptr_t)memory, BYTES / 2 }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int faults = syscall(SYS_userfaultfd, O_CLOEXEC);
	pid_t server;

	if (faults < 0)
		skip("userfaultfd: %s", strerror(errno));
	DO(ioctl(faults, UFFDIO_API, &api));
	DO(ioctl(faults, UFFDIO_REGISTER, &range));
	server = DO(fork());
	if (!server)
		serve_faults(faults, memory);
	for (int i = 0; i < PAGES / 2; i++) {
		if (i % 8 == 0)
			away();
		if (i % 2)
			memory[i * 4096 + 9]++;
		EQUAL(memory[i * 4096 + 9], i + 1 + i % 2);
		EQUAL(memory[i * 4096 + 8], i + 1);
		memory[BYTES / 2 + i * 4096] = i;	/* not registered */
	}
	reap(server);
	if (moving())
		CHECK(returns("USERFAULTFD") > 0);
	DO(ioctl(faults, UFFDIO_UNREGISTER, &range.range));
	away();
	for (int i = 0; i < PAGES / 2; i++) {
		EQUAL(memory[i * 4096 + 9], i + 1 + i % 2);
		EQUAL(memory[BYTES / 2 + i * 4096], i);
	}
}

/* ---- by a thread of the same process ---- */

static struct {
	char *memory;
	int faults, said[2], stop[2];
	pthread_t thread;
	pid_t tid;
	volatile bool holds;	/* the next fault is to wait until the steps of during() are done */
} server;

static void serve_page(unsigned long address)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct uffdio_copy copy = { .src = (uintptr_t)page, .dst = address & ~4095ul, .len = 4096 };
	struct uffdio_range range = { copy.dst, 4096 };

	memset(page, (copy.dst - (uintptr_t)server.memory) / 4096 + 1, 4096);
	if (!ioctl(server.faults, UFFDIO_COPY, &copy))
		return;
	/* A thread that is moved while it waits asks again. */
	EQUAL(errno, EEXIST);
	DO(ioctl(server.faults, UFFDIO_WAKE, &range));
}

static void *serve(void *unused)
{
	struct pollfd ready[] = { { server.faults, POLLIN, 0 }, { server.stop[0], POLLIN, 0 } };
	struct uffd_msg message;

	(void)unused;
	server.tid = gettid();
	EQUAL(write(server.said[1], "b", 1), 1);
	while (poll(ready, 2, -1) > 0 && !ready[1].revents) {
		if (read(server.faults, &message, sizeof(message)) < 0) {
			EQUAL(errno, EAGAIN);
			continue;
		}
		EQUAL(message.event, UFFD_EVENT_PAGEFAULT);
		if (server.holds)
			during_end();
		server.holds = false;
		serve_page(message.arg.pagefault.address);
	}
	EQUAL(ready[1].revents, POLLIN);
	return NULL;
}

static void start_server(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	char byte;

	server.faults = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (server.faults < 0)
		skip("userfaultfd: %s", strerror(errno));
	server.memory = map_pages(PAGES, RW);
	range.range = (struct uffdio_range){ (uintptr_t)server.memory, BYTES };
	DO(ioctl(server.faults, UFFDIO_API, &api));
	DO(ioctl(server.faults, UFFDIO_REGISTER, &range));
	DO(pipe(server.said));
	DO(pipe(server.stop));
	EQUAL(pthread_create(&server.thread, NULL, serve, NULL), 0);
	EQUAL(read(server.said[0], &byte, 1), 1);
}

static void end_server(void)
{
	EQUAL(write(server.stop[1], "x", 1), 1);
	EQUAL(pthread_join(server.thread, NULL), 0);
	for (int i = 0; i < PAGES; i++)
		EQUAL(server.memory[i * 4096 + 4000], i + 1);
}

/* By an instruction that reads, one that writes, a call that reads, one that writes. */
static void use_page(int i, int way, const int *ends)
{
	char *page = server.memory + i * 4096, byte;

	switch (way) {
	case 0:
		EQUAL(page[9], i + 1);
		break;
	case 1:
		page[9]++;
		EQUAL(page[9], i + 2);
		break;
	case 2:
		EQUAL(write(ends[1], page + 9, 1), 1);
		EQUAL(read(ends[0], &byte, 1), 1);
		EQUAL(byte, i + 1);
		break;
	case 3:
		EQUAL(write(ends[1], "r", 1), 1);
		EQUAL(read(ends[0], page + 9, 1), 1);
		EQUAL(page[9], 'r');
		break;
	}
	EQUAL(page[8], i + 1);
}

/* Wherever the two of them are. */
static void served_by_a_thread(void)
{
	int ends[2];

	DO(pipe(ends));
	start_server();
	for (int i = 0; i < PAGES; i++) {
		if (i % 16 == 0)
			send_thread(getpid(), server.tid, i / 16 % 2 ? 2 : 0);
		if (i % 4 == 0)
			away();
		if (i == PAGES / 2 + 8)
			send_all(getpid(), 2);
		use_page(i, i % 4, ends);
	}
	if (moving())
		CHECK(returns("USERFAULTFD") > 0);
	end_server();
}

/* A thread that waits for a page is asked to move, whether it can or not, and gets the page. */
static void moved_while_it_waits(void)
{
	int ends[2];

	DO(pipe(ends));
	start_server();
	away();			/* the first move takes long */
	for (int i = 0; i < 8; i++) {
		if (i % 4 == 0)
			send_thread(getpid(), server.tid, i ? 2 : 0);
		home();
		server.holds = true;
		during("30 a 30 h 30 a");
		use_page(i, i % 4, ends);
		EQUAL(server.holds, false);
		EQUAL(server.memory[i * 4096 + 8], i + 1);
	}
	for (int i = 8; i < PAGES; i++)
		use_page(i, 0, ends);
	end_server();
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(userfault_range), CASE(served_by_a_thread), CASE(moved_while_it_waits),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

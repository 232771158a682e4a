// SPDX-License-Identifier: GPL-2.0
/*
 * Known ways to lose a page, a wake-up or the machine, each once as a program can
 * meet it: memory and processes that go while pages are away; hazards_races.c has
 * those in which several access the same memory, hazards_io.c those in which the
 * kernel does, on its own account, hazards_files.c files that answer late. Others are beside their subject: a parked thread
 * that owes a release and fork that leaks (process), the one-page MADV_DONTNEED
 * (memory), out of memory and KSM (pages), stale copies of files (files).
 */
#include "harness.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { PAGES = 64, BYTES = PAGES * 4096 };

#define RW (PROT_READ | PROT_WRITE)

/* A held page whose anon_vma goes: unmapped, then everything comes home. */
static void unmapped_while_away(void)
{
	for (int round = 0; round < 6; round++) {
		char *memory = map_pages(PAGES, RW), *other = map_pages(PAGES, RW);

		fill(memory, BYTES, round);
		fill(other, BYTES, round + 50);
		away();
		fill(memory, BYTES, round + 100);
		EQUAL(differs(other, BYTES, round + 50), -1);
		DO(munmap(memory, BYTES));
		DO(munmap(other, BYTES / 2));
		if (round % 2)
			home();
		EQUAL(differs(map_pages(PAGES, RW), 0, 0), -1);
		home();
		DO(munmap(other + BYTES / 2, BYTES / 2));
	}
}

static void exited_while_away(void)
{
	for (int round = 0; round < 8; round++) {
		char *memory = map_pages(PAGES, RW);
		pid_t child;

		fill(memory, BYTES, round);
		child = DO(fork());
		if (!child) {
			away();
			if (round % 2)
				fill(memory, BYTES, 1);
			else
				EQUAL(differs(memory, BYTES, round), -1);
			_exit(0);
		}
		reap(child);
		EQUAL(differs(memory, BYTES, round), -1);
		DO(munmap(memory, BYTES));
	}
}

/* The family shares one anon_vma; its root ends while the child's pages are away. */
static void root_of_the_family_ends(void)
{
	int ends[2];
	char byte;
	pid_t parent;

	DO(pipe(ends));
	parent = DO(fork());
	if (!parent) {
		char *memory = map_pages(PAGES, RW);
		pid_t child;

		fill(memory, BYTES, 1);
		away();
		fill(memory, BYTES / 2, 2);
		child = DO(fork());
		if (!child) {
			close(ends[0]);
			away();
			EQUAL(differs(memory, BYTES / 2, 2), -1);
			fill(memory, BYTES, 3);
			sleep_ms(300);		/* the parent is gone by then */
			EQUAL(differs(memory, BYTES, 3), -1);
			home();
			EQUAL(differs(memory, BYTES, 3), -1);
			_exit(write(ends[1], "k", 1) != 1);
		}
		away();
		fill(memory, BYTES, 4);
		_exit(0);
	}
	close(ends[1]);
	reap(parent);
	EQUAL(read(ends[0], &byte, 1), 1);
}

static void exec_while_pages_are_away(void)
{
	for (int round = 0; round < 5; round++) {
		pid_t child = DO(fork());

		if (!child) {
			char *memory = map_pages(PAGES, RW);

			fill(memory, BYTES, 1);
			away();
			fill(memory, BYTES, 2);
			execl("/bin/true", "true", NULL);
			_exit(1);
		}
		reap(child);
	}
}

/* close() of a connection's last descriptor: the other end is told at once. */
static void connection_closes(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);
	int server = DO(socket(AF_INET, SOCK_STREAM, 0)), fd;
	pid_t peer;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	DO(bind(server, (void *)&address, sizeof(address)));
	DO(listen(server, 1));
	DO(getsockname(server, (void *)&address, &length));
	peer = DO(fork());
	if (!peer) {
		char byte;
		int mine = DO(socket(AF_INET, SOCK_STREAM, 0));

		close(server);
		DO(connect(mine, (void *)&address, sizeof(address)));
		_exit(read(mine, &byte, 1) != 0);
	}
	fd = DO(accept(server, NULL, NULL));
	away();
	close(fd);
	compute_ms(300);
	reap(peer);
}

/* One letter after the other, into the parent's memory. */
static int64_t write_next(void *there)
{
	static char value = 'a';
	struct iovec from = { &value, 1 }, to = { there, 1 };

	EQUAL(process_vm_writev(getppid(), &from, 1, &to, 1, 0), 1);
	return value++;
}

/*
 * A page that is read away and clean at home, made read-only and writable again:
 * a write at home must not leave the copy behind.
 */
static void protection_there_and_back(void)
{
	volatile char *memory = map_pages(1, RW);
	struct partner writer;

	memory[0] = '0';
	partner_start(&writer, write_next, (void *)memory);
	memory[1] = 'm';	/* the page is this process' own after the fork */
	for (char value = 'a'; value < 'k'; value++) {
		if (value % 3 == 0)
			away();
		EQUAL(memory[1], 'm');
		DO(mprotect((void *)memory, 4096, PROT_READ));
		(void)memory[0];
		DO(mprotect((void *)memory, 4096, RW));
		(void)memory[1];
		partner_ask(&writer);
		EQUAL(memory[0], value);
		if (value % 3 == 1)
			home();
	}
	partner_end(&writer);
}

/* SIGKILL finds the visitor in all stages of a page fault. */
static void killed_in_a_fault(void)
{
	int ends[2];

	DO(pipe(ends));
	for (int round = 0; round < 10; round++) {
		uint64_t start;
		pid_t child = DO(fork());
		int status;
		char byte;

		if (!child) {
			volatile char *memory = map_pages(2048, RW);

			memset((char *)memory, 1, 2048 * 4096);
			away();
			CHECK(write(ends[1], "a", 1) == 1);
			for (;;)
				for (int i = 0; i < 2048; i++)
					memory[i * 4096]++;
		}
		EQUAL(read(ends[0], &byte, 1), 1);
		sleep_ms(round * 37);
		start = now_ns();
		DO(kill(child, SIGKILL));
		EQUAL(waitpid(child, &status, 0), child);
		CHECK(WIFSIGNALED(status));
		CHECK(now_ns() - start < slower() * 8000000000ull);
	}
}

/* Others give advice on memory that is away. */
static void advice_of_others(void)
{
	char *memory = map_pages(PAGES, RW);
	int file, null[2];
	pid_t child;
	char byte;

	DO(pipe(null));
	child = DO(fork());
	if (!child) {
		away();
		fill(memory, BYTES, 8);
		CHECK(write(null[1], "x", 1) == 1);
		sleep_ms(300);
		EQUAL(differs(memory, BYTES, 8), -1);
		_exit(0);
	}
	EQUAL(read(null[0], &byte, 1), 1);
	file = DO(syscall(SYS_pidfd_open, child, 0));
	struct iovec there = { memory, BYTES };

	DO(syscall(SYS_process_madvise, file, &there, 1, MADV_PAGEOUT, 0));
	DO(syscall(SYS_process_madvise, file, &there, 1, MADV_COLD, 0));
	reap(child);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "unmapped_while_away", unmapped_while_away, 40 }, CASE(exited_while_away),
		CASE(root_of_the_family_ends), CASE(exec_while_pages_are_away),
		CASE(connection_closes), CASE(protection_there_and_back),
		{ "killed_in_a_fault", killed_in_a_fault, 60 }, CASE(advice_of_others),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

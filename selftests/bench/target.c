// SPDX-License-Identifier: GPL-2.0
/*
 * What the benchmarks measure, from inside the program that is moved. Prints one
 * time in ns per line, or, for "sequential", bytes per second.
 *
 *	target [-n NODE] fetch|null|write|read|sequential|first|again|home|resume COUNT
 *	target syscall|seccomp|fault|cow|fork COUNT	one number: ns of each, at home
 *	target elsewhere COUNT		for CRIU: makes the file ELSEWHERE as its first step
 *					on another node
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GAP_NS = 300000 };

#define ELSEWHERE "/run/elsewhere"

static unsigned int node = 2;
static uint64_t *times;

static char *map(size_t pages)
{
	char *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap", errno);
	for (size_t i = 0; i < pages; i++)
		memory[i * PAGE + i % PAGE] = i + 1;
	return memory;
}

/* Pages in an order that no look-ahead can guess. */
static void fetch(unsigned int count)
{
	volatile char *memory = map(count);
	unsigned int *order = malloc(count * sizeof(*order));

	for (unsigned int i = 0; i < count; i++)
		order[i] = i;
	srandom(1);
	for (unsigned int i = count - 1; i > 0; i--) {
		unsigned int j = random() % (i + 1), swap = order[i];

		order[i] = order[j];
		order[j] = swap;
	}
	go(node);
	for (unsigned int i = 0; i < count; i++) {
		times[i] = 1;	/* the page of this entry is here when the clock starts */
		(void)*(volatile unsigned int *)&order[i];
		uint64_t start = now_ns();

		(void)memory[order[i] * (size_t)PAGE];
		times[i] = now_ns() - start;
	}
}

static void null_call(unsigned int count)
{
	go(node);
	for (unsigned int i = 0; i < count; i++) {
		uint64_t start = now_ns();

		syscall(SYS_getppid);
		times[i] = now_ns() - start;
	}
}

static void pipe_call(unsigned int count, int timed_end)
{
	static char buffer[PAGE] __attribute__((aligned(PAGE)));
	int ends[2];

	if (pipe(ends))
		die("pipe", errno);
	go(node);
	for (unsigned int i = 0; i < count; i++) {
		memset(buffer, i, PAGE);
		for (int end = 1; end >= 0; end--) {
			uint64_t start = now_ns();
			ssize_t got = end ? write(ends[1], buffer, PAGE) : read(ends[0], buffer, PAGE);

			if (got != PAGE)
				die("pipe", errno);
			if (end == timed_end)
				times[i] = now_ns() - start;
		}
	}
}

static void file_call(unsigned int count, int writes)
{
	static char buffer[PAGE] __attribute__((aligned(PAGE)));
	int file = open("/tmp", O_TMPFILE | O_RDWR, 0600);

	if (file == -1 || write(file, buffer, PAGE) != PAGE)
		die("file", errno);
	go(node);
	for (unsigned int i = 0; i < count; i++) {
		uint64_t start;
		ssize_t got;

		memset(buffer, i, PAGE);
		start = now_ns();
		got = writes ? pwrite(file, buffer, PAGE, 0) : pread(file, buffer, PAGE, 0);
		times[i] = now_ns() - start;
		if (got != PAGE)
			die("file", errno);
	}
}

static void sequential(unsigned int megabytes)
{
	size_t pages = (size_t)megabytes << 8;
	volatile char *memory = map(pages);
	uint64_t start, sum = 0, expected = 0;

	for (size_t i = 0; i < pages; i++)
		expected += (char)(i + 1);
	go(node);
	start = now_ns();
	for (size_t i = 0; i < pages; i++)
		sum += memory[i * PAGE + i % PAGE];
	printf("%.0f\n", pages * (double)PAGE * 1e9 / (now_ns() - start));
	if (sum != expected)
		die("what was read", EIO);
}

/* A process that computes, to be moved by this one. */
static pid_t passenger(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork", errno);
	if (!pid)
		for (volatile unsigned long i = 0;; i++)
			;
	usleep(20000);
	return pid;
}

static void moves(const char *what, unsigned int count)
{
	bool first = !strcmp(what, "first"), home = !strcmp(what, "home");
	pid_t pid = 0;

	for (unsigned int i = 0; i < count; i++) {
		uint64_t start, middle;
		int error;

		if (first || !pid)
			pid = passenger();
		if (!first && i == 0) {
			error = move_to(device, pid, node, 0, MOVE_MS, NULL);
			if (!error)
				error = move_home(device, pid, 0, MOVE_MS, NULL);
			if (error)
				die("move", -error);
		}
		/* It has to run between two moves: one that comes back as it went stays for a while. */
		usleep(20000);
		start = now_ns();
		error = move_to(device, pid, node, 0, MOVE_MS, NULL);
		if (error)
			die("move", -error);
		times[i] = now_ns() - start;
		usleep(20000);
		middle = now_ns();
		error = move_home(device, pid, 0, MOVE_MS, NULL);
		if (error)
			die("recall", -error);
		if (home)
			times[i] = now_ns() - middle;
		if (first || i + 1 == count) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
	}
}

/*
 * From the command until the process' own first step there: the end of the longest
 * pause that it sees in its own clock, which goes on exactly.
 */
static void resume(unsigned int megabytes)
{
	int ends[2];
	pid_t pid;

	if (pipe(ends))
		die("pipe", errno);
	pid = fork();
	if (!pid) {
		uint64_t last, longest = 0, end = 0, stop;

		map((size_t)megabytes << 8);
		if (write(ends[1], &end, sizeof(end)) < 0)
			_exit(1);
		last = now_ns();
		stop = last + 20000000000ull;
		while (last < stop) {
			uint64_t now = now_ns();

			if (now - last > longest) {
				longest = now - last;
				end = now;
				if (longest > GAP_NS && now + 5000000000ull < stop)
					stop = now + 5000000000ull;
			}
			last = now;
		}
		_exit(write(ends[1], &end, sizeof(end)) < 0);
	}
	uint64_t end, start;
	int error;

	if (read(ends[0], &end, sizeof(end)) != sizeof(end))
		die("read", errno);
	usleep(100000);
	start = now_ns();
	error = move_to(device, pid, node, 0, MOVE_MS, NULL);
	if (error)
		die("move", -error);
	if (read(ends[0], &end, sizeof(end)) != sizeof(end))
		die("read", errno);
	waitpid(pid, NULL, 0);
	printf("%llu\n", (unsigned long long)(end - start));
}

static void allow_all(void)
{
	struct sock_filter filter[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog program = { 1, filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		die("seccomp", errno);
}

/*
 * Has each of some pages be the shared zero page, as what has only been read is: the next
 * write meets a page that is there, and write-protected. ns that this has taken.
 */
static uint64_t protect(volatile char *memory, size_t pages)
{
	uint64_t start = now_ns();

	if (madvise((void *)memory, pages * PAGE, MADV_DONTNEED))
		die("madvise", errno);
	for (size_t i = 0; i < pages; i++)
		(void)memory[i * PAGE];
	return now_ns() - start;
}

/* Writes to 64 write-protected pages; ns of what does not count. */
static uint64_t copy_on_write(void)
{
	static volatile char *memory;
	uint64_t aside;

	if (!memory)
		memory = map(64);
	aside = protect(memory, 64);
	for (size_t i = 0; i < 64; i++)
		memory[i * PAGE] = 1;
	return aside;
}

/* 64 of what an unrelated process does at home, or one fork; ns of what does not count. */
static uint64_t do_some(const char *what)
{
	if (!strcmp(what, "cow"))
		return copy_on_write();
	if (!strcmp(what, "fault")) {
		munmap(map(64), 64 * PAGE);
	} else if (!strcmp(what, "fork")) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	} else {
		for (int i = 0; i < 64; i++)
			syscall(SYS_getppid);
	}
	return 0;
}

/* ns of one of them, when the first ones have filled whatever is filled at first. */
static void unrelated(const char *what, unsigned int count)
{
	uint64_t start, aside = 0;

	if (!strcmp(what, "seccomp"))
		allow_all();
	for (unsigned int i = 0; i < count / 4; i++)
		do_some(what);
	start = now_ns();
	for (unsigned int i = 0; i < count; i++)
		aside += do_some(what);
	start = now_ns() - start - aside;
	printf("%.1f\n", start / (double)count / (strcmp(what, "fork") ? 64 : 1));
}

static void ask(const char *what)
{
	struct timespec now;

	if (!strcmp(what, "id"))
		syscall(SYS_getpid);
	else
		clock_gettime(CLOCK_MONOTONIC, &now);
}

/* ns of what is answered where the process is: at home, and away. */
static void answered(const char *what, unsigned int count)
{
	uint64_t start;

	for (int away = 0; away < 2; away++) {
		if (away)
			go(node);
		for (unsigned int i = 0; i < count / 4; i++)
			ask(what);
		start = now_ns();
		for (unsigned int i = 0; i < count; i++)
			ask(what);
		start = now_ns() - start;
		printf("%.1f\n", start / (double)count);
	}
}

static void make(const char *path)
{
	if (close(creat(path, 0600)))
		die(path, errno);
}

/*
 * The same process as that of resume(), for a tool that does not take the clock along:
 * what shows that it has moved is the name of the machine.
 */
static void elsewhere(unsigned int megabytes)
{
	struct utsname here, now;

	map((size_t)megabytes << 8);
	if (uname(&here))
		die("uname", errno);
	make("/run/ready");
	do {
		if (uname(&now))
			die("uname", errno);
	} while (!strcmp(now.nodename, here.nodename));
	make(ELSEWHERE);
}

int main(int argc, char **argv)
{
	const char *what;
	unsigned int count;
	int option;

	while ((option = getopt(argc, argv, "n:")) != -1)
		node = atoi(optarg);
	if (optind + 2 != argc)
		return 2;
	what = argv[optind];
	count = atoi(argv[optind + 1]);
	if (!strcmp(what, "elsewhere")) {
		elsewhere(count);
		return 0;
	}
	if (strstr("syscall seccomp fault cow fork", what)) {
		unrelated(what, count);
		return 0;
	}
	times = calloc(count, sizeof(*times));
	open_device();
	if (!strcmp(what, "id") || !strcmp(what, "clock")) {
		answered(what, count);
		return 0;
	}
	if (!strcmp(what, "sequential") || !strcmp(what, "resume")) {
		if (*what == 's')
			sequential(count);
		else
			resume(count);
		return 0;
	}
	if (!strcmp(what, "fetch"))
		fetch(count);
	else if (!strcmp(what, "null"))
		null_call(count);
	else if (!strcmp(what, "write") || !strcmp(what, "read"))
		pipe_call(count, *what == 'w');
	else if (!strcmp(what, "pwrite") || !strcmp(what, "pread"))
		file_call(count, what[1] == 'w');
	else
		moves(what, count);
	print_times(times, count);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/* /proc and /sys: a process that is away reads the truth of the whole process about itself. */
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>

enum { PAGES = 64, BYTES = PAGES * 4096 };

#define RW (PROT_READ | PROT_WRITE)

/* The value behind a name in a file of lines, as a number. */
static long field(const char *path, const char *name)
{
	const char *line = read_text(path);

	while (line && strncmp(line, name, strlen(name))) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	if (!line)
		fail(__FILE__, __LINE__, "%s has no %s", path, name);
	return strtol(line + strlen(name), NULL, 0);
}

static bool line_of(const void *memory, char *rights, unsigned long *start, unsigned long *end)
{
	char *line = read_text("/proc/self/maps");

	for (; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (sscanf(line, "%lx-%lx %4s", start, end, rights) == 3 &&
		    *start <= (uintptr_t)memory && *end > (uintptr_t)memory)
			return true;
	return false;
}

/* Each change of the address space is in maps when the call has returned. */
static void own_maps(void)
{
	char *memory = map_pages(PAGES, RW), rights[5];
	unsigned long start, end;

	away();
	memory[0] = 1;
	CHECK(line_of(memory, rights, &start, &end));
	CHECK(!strcmp(rights, "rw-p"));
	DO(mprotect(memory + 4096, 4096, PROT_READ));
	CHECK(line_of(memory + 4096, rights, &start, &end));
	CHECK(!strcmp(rights, "r--p"));
	EQUAL(start, (uintptr_t)memory + 4096);
	EQUAL(end, (uintptr_t)memory + 8192);
	DO(munmap(memory + 8192, 4096));
	CHECK(!line_of(memory + 8192, rights, &start, &end));
	CHECK(line_of(&start, rights, &start, &end));	/* the stack */
	CHECK(line_of(own_maps, rights, &start, &end) && !strcmp(rights, "r-xp"));
	CHECK(strstr(read_text("/proc/self/maps"), "/procfs"));
	home();
	CHECK(!line_of(memory + 8192, rights, &start, &end));
}

/* How much there is of it, whichever node has it. */
static void own_sizes(void)
{
	long resident, size;
	char *memory;

	away();
	resident = field("/proc/self/status", "VmRSS:");
	size = field("/proc/self/status", "VmSize:");
	memory = map_pages(256, RW);
	for (int i = 0; i < 256; i++)
		memory[i * 4096] = i;
	resident = field("/proc/self/status", "VmRSS:") - resident;
	size = field("/proc/self/status", "VmSize:") - size;
	note("%ld kB more are resident", resident);
	EQUAL(size, 1024);
	CHECK(resident >= 700 && resident < 4096);
	CHECK(field("/proc/self/smaps_rollup", "Rss:") >= 1024);
	CHECK(field("/proc/self/status", "RssAnon:") >= 1024);
	DO(munmap(memory, 256 * 4096));
	resident = field("/proc/self/status", "VmRSS:");
	home();
	CHECK(field("/proc/self/status", "VmRSS:") <= resident + 1024);
}

static void own_status(void)
{
	char text[64];

	DO(prctl(PR_SET_NAME, "proc fs)"));
	away();
	EQUAL(field("/proc/self/status", "Pid:"), getpid());
	EQUAL(field("/proc/self/status", "PPid:"), getppid());
	EQUAL(field("/proc/self/status", "Tgid:"), getpid());
	EQUAL(field("/proc/self/status", "TracerPid:"), 0);
	EQUAL(field("/proc/self/status", "Threads:"), 1);
	EQUAL(field("/proc/self/status", "Umask:"), 022);
	EQUAL(field("/proc/self/status", "Uid:"), getuid());
	CHECK(strstr(read_text("/proc/self/status"), "Name:\tproc fs)\n"));
	CHECK(strstr(read_text("/proc/self/status"), "State:\tR (running)\n"));
	snprintf(text, sizeof(text), "%d (proc fs)) R %d %d %d ", getpid(), getppid(), getpgrp(),
		 getsid(0));
	CHECK(!strncmp(read_text("/proc/self/stat"), text, strlen(text)));
	write_text("/proc/self/comm", "renamed");
	CHECK(strstr(read_text("/proc/self/status"), "Name:\trenamed\n"));
	home();
	CHECK(!strcmp(read_text("/proc/self/comm"), "renamed\n"));
}

/* Signals that are blocked, ignored, caught and pending. */
static void own_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	signal(SIGUSR1, SIG_IGN);
	away();
	DO(sigprocmask(SIG_BLOCK, &set, NULL));
	DO(kill(getpid(), SIGUSR2));
	CHECK(strstr(read_text("/proc/self/status"), "ShdPnd:\t0000000000000800\n"));
	CHECK(strstr(read_text("/proc/self/status"), "SigBlk:\t0000000000000800\n"));
	EQUAL(strtoull(strstr(read_text("/proc/self/status"), "SigIgn:\t") + 8, NULL, 16) &
	      1 << (SIGUSR1 - 1), 1 << (SIGUSR1 - 1));
	home();
	CHECK(strstr(read_text("/proc/self/status"), "SigBlk:\t0000000000000800\n"));
}

static int tasks(void)
{
	DIR *directory = opendir("/proc/self/task");
	struct dirent *entry;
	int count = 0;

	CHECK(directory);
	while ((entry = readdir(directory)))
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

/* A second thread, and what it says of itself. */
struct second {
	int go[2], said[2];
	volatile bool computes;
	pid_t tid;
};

static void *be_second(void *argument)
{
	struct second *second = argument;
	char byte, path[64] = "";

	prctl(PR_SET_NAME, "second");
	second->tid = gettid();
	DO(readlink("/proc/thread-self", path, sizeof(path)));
	CHECK(atoi(strstr(path, "/task/") + 6) == second->tid);
	EQUAL(write(second->said[1], "b", 1), 1);
	EQUAL(read(second->go[0], &byte, 1), 1);
	while (second->computes)
		compute_ms(1);
	EQUAL(write(second->said[1], "c", 1), 1);
	EQUAL(read(second->go[0], &byte, 1), 1);
	return argument;
}

/* A file of a thread of this process. */
static const char *of_thread(pid_t tid, const char *file)
{
	static char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, file);
	return path;
}

/* Both threads are there under their names, the second one in its read() and masked as it is. */
static void two_tasks(pid_t tid)
{
	uint64_t end = now_ns() + slower() * 60000000000ull;
	char text[40];

	EQUAL(tasks(), 2);
	EQUAL(field("/proc/self/status", "Threads:"), 2);
	CHECK(!strcmp(read_text(of_thread(getpid(), "comm")), "procfs\n"));
	CHECK(!strcmp(read_text(of_thread(tid, "comm")), "second\n"));
	EQUAL(field(of_thread(tid, "status"), "Pid:"), tid);
	EQUAL(field(of_thread(tid, "status"), "Tgid:"), getpid());
	EQUAL(field(of_thread(tid, "status"), "Threads:"), 2);
	EQUAL(field(of_thread(tid, "status"), "PPid:"), getppid());
	CHECK(strstr(read_text(of_thread(tid, "status")), "SigBlk:\t0000000000000800\n"));
	CHECK(strstr(read_text(of_thread(getpid(), "status")), "SigBlk:\t0000000000000000\n"));
	CHECK(strstr(read_text(of_thread(getpid(), "status")), "State:\tR (running)\n"));
	while (!strstr(read_text(of_thread(tid, "status")), "State:\tS (sleeping)\n")) {
		CHECK(now_ns() < end);
		sleep_ms(5);
	}
	snprintf(text, sizeof(text), "%d (second) S %d ", tid, getppid());
	CHECK(!strncmp(read_text(of_thread(tid, "stat")), text, strlen(text)));
	EQUAL(access(of_thread(getppid(), "comm"), F_OK), -1);
	EQUAL(errno, ENOENT);
}

/* Each of the two, here, or there, or one here and the other there. */
static void two_tasks_wherever(pid_t tid)
{
	const unsigned int places[][2] = { { 0, 0 }, { 2, 0 }, { 2, 2 }, { 0, 2 } };

	for (int i = 0; i < 4; i++) {
		go(places[i][0]);
		send_thread(getpid(), tid, places[i][1]);
		EQUAL(where_is(getpid(), tid), moving() ? places[i][1] : 0);
		two_tasks(tid);
	}
}

static void own_tasks(void)
{
	struct second second = { .computes = true };
	pthread_t thread;
	char path[64], byte;
	sigset_t set;
	void *result;

	DO(pipe(second.go));
	DO(pipe(second.said));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	away();
	EQUAL(tasks(), 1);
	DO(sigprocmask(SIG_BLOCK, &set, NULL));
	EQUAL(pthread_create(&thread, NULL, be_second, &second), 0);
	DO(sigprocmask(SIG_UNBLOCK, &set, NULL));
	EQUAL(read(second.said[0], &byte, 1), 1);
	two_tasks_wherever(second.tid);
	/* Another name, from outside, while it computes. */
	EQUAL(write(second.go[1], "x", 1), 1);
	write_text(of_thread(second.tid, "comm"), "renamed");
	away();
	CHECK(!strcmp(read_text(of_thread(second.tid, "comm")), "renamed\n"));
	CHECK(!strcmp(read_text("/proc/self/comm"), "procfs\n"));
	write_text(of_thread(second.tid, "comm"), "second");
	second.computes = false;
	EQUAL(read(second.said[0], &byte, 1), 1);
	two_tasks_wherever(second.tid);
	EQUAL(write(second.go[1], "x", 1), 1);
	EQUAL(pthread_join(thread, &result), 0);
	CHECK(result == &second);
	/* It ends after who joins it is told. */
	for (int i = 0; i < 12000 && tasks() != 1; i++)
		sleep_ms(5);
	EQUAL(tasks(), 1);
	DO(readlink("/proc/thread-self", path, sizeof(path)));
	EQUAL(atoi(path), getpid());
}

/* Reads and writes of its own memory by way of a file. */
static void own_memory(void)
{
	char *memory = map_pages(PAGES, RW), *copy = map_pages(PAGES, RW);
	int file;

	away();
	file = DO(open("/proc/self/mem", O_RDWR));
	fill(memory, BYTES, 1);
	EQUAL(pread(file, copy, BYTES, (off_t)memory), BYTES);
	EQUAL(differs(copy, BYTES, 1), -1);
	fill(copy, BYTES, 2);
	EQUAL(pwrite(file, copy, BYTES, (off_t)memory), BYTES);
	EQUAL(differs(memory, BYTES, 2), -1);
	home();
	EQUAL(differs(memory, BYTES, 2), -1);
	away();
	DO(munmap(memory, BYTES));
	EQUAL(pread(file, copy, 1, (off_t)memory), -1);
	EQUAL(errno, EIO);
}

static void own_program(void)
{
	char link[PATH_MAX] = "", self[PATH_MAX], name[64];
	struct stat one, two;
	int file;

	DO(readlink("/proc/self/exe", link, sizeof(link) - 1));
	away();
	memset(self, 0, sizeof(self));
	DO(readlink("/proc/self/exe", self, sizeof(self) - 1));
	CHECK(!strcmp(self, link));
	file = DO(open("/proc/self/exe", O_RDONLY));
	DO(fstat(file, &one));
	DO(stat(link, &two));
	EQUAL(one.st_ino, two.st_ino);
	EQUAL(open("/proc/self/exe", O_WRONLY), -1);
	EQUAL(errno, ETXTBSY);
	DO(chdir("/usr/lib"));
	memset(self, 0, sizeof(self));
	DO(readlink("/proc/self/cwd", self, sizeof(self) - 1));
	CHECK(!strcmp(self, "/usr/lib"));
	CHECK(strstr(read_text("/proc/self/cmdline"), "procfs"));
	snprintf(name, sizeof(name), "/proc/%d/exe", getpid());
	home();
	memset(self, 0, sizeof(self));
	DO(readlink(name, self, sizeof(self) - 1));
	CHECK(!strcmp(self, link));
}

static void own_files(void)
{
	char path[64], target[100] = "";
	int file, again, ends[2];

	away();
	file = DO(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
	DO(lseek(file, 7, SEEK_SET));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	DO(readlink(path, target, sizeof(target) - 1));
	CHECK(!strcmp(target, "/etc/passwd"));
	again = DO(open(path, O_RDONLY));
	EQUAL(lseek(again, 0, SEEK_CUR), 0);		/* a new open file */
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", file);
	EQUAL(field(path, "pos:"), 7);
	EQUAL(field(path, "flags:") & O_CLOEXEC, O_CLOEXEC);
	DO(close(file));
	EQUAL(access(path, F_OK), -1);
	EQUAL(errno, ENOENT);
	DO(pipe(ends));
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[1]);
	again = DO(open(path, O_WRONLY));
	EQUAL(write(again, "q", 1), 1);
	home();
	EQUAL(read(ends[0], target, 1), 1);
	EQUAL(target[0], 'q');
}

static void own_limits(void)
{
	struct rlimit limit = { 123, 456 };
	char *line;

	away();
	DO(setrlimit(RLIMIT_NOFILE, &limit));
	line = strstr(read_text("/proc/self/limits"), "Max open files");
	CHECK(line);
	EQUAL(strtol(line + 14, &line, 10), 123);
	EQUAL(strtol(line, NULL, 10), 456);
	write_text("/proc/self/oom_score_adj", "77");
	write_text("/proc/self/coredump_filter", "0x11");
	home();
	EQUAL(atoi(read_text("/proc/self/oom_score_adj")), 77);
	EQUAL(strtol(read_text("/proc/self/coredump_filter"), NULL, 16), 0x11);
}

/* Where each page is, one by one. */
static void own_pagemap(void)
{
	char *memory = map_pages(4, RW);
	uint64_t entry;
	int file;

	away();
	memory[0] = 1;
	memory[2 * 4096] = 1;
	file = open("/proc/self/pagemap", O_RDONLY);
	if (file < 0)
		skip("pagemap: %s", strerror(errno));
	for (int i = 0; i < 4; i++) {
		EQUAL(pread(file, &entry, 8, ((uintptr_t)memory / 4096 + i) * 8), 8);
		/* Present, or in a place that the kernel treats as swap: not empty. */
		EQUAL(entry >> 62 != 0, i % 2 == 0);
	}
}

/* What has been written since it was asked to remember that. */
static void written_pages(void)
{
	char *memory = map_pages(3, RW);
	uint64_t entry[3];
	int file = open("/proc/self/pagemap", O_RDONLY);

	memset(memory, 'w', 3 * 4096);
	if (file < 0 || pread(file, entry, 8, (uintptr_t)memory / 4096 * 8) != 8 ||
	    !(entry[0] >> 55 & 1))
		skip("it is not remembered");
	away();
	memset(memory, 'x', 3 * 4096);
	for (int round = 0; round < 3; round++) {
		write_text("/proc/self/clear_refs", "4");
		memory[4096 * round]++;
		EQUAL(pread(file, entry, 24, (uintptr_t)memory / 4096 * 8), 24);
		for (int i = 0; i < 3; i++)
			EQUAL(entry[i] >> 55 & 1, i == round);
		if (round == 1)
			home();
		if (!round)
			away();
	}
}

/*
 * What another node has when that is asked for, and what comes home for it, was written before;
 * what is written after it, and nothing else, is told.
 */
static void unwritten_pages(void)
{
	enum { PAGES = 512 };
	static uint64_t entry[PAGES];
	char path[40], *memory = map_pages(PAGES, RW), byte = 'y';
	int to[2], from[2], file;
	struct iovec here = { &byte, 1 }, there = { NULL, 1 };
	off_t at;
	pid_t pid;

	DO(madvise(memory, PAGES * 4096, MADV_NOHUGEPAGE));
	DO(pipe(to));
	DO(pipe(from));
	pid = DO(fork());
	if (!pid) {
		away();
		do {
			for (int i = 0; i < PAGES; i++)
				memory[4096 * i]++;
			EQUAL(write(from[1], "w", 1), 1);
		} while (read(to[0], &byte, 1) == 1 && byte != 'e');
		_exit(0);
	}
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	file = DO(open(path, O_RDONLY));
	at = (uintptr_t)memory / 4096 * 8;
	snprintf(path, sizeof(path), "/proc/%d/clear_refs", pid);
	for (int round = 0; round < 8; round++) {
		EQUAL(read(from[0], &byte, 1), 1);
		EQUAL(pread(file, entry, sizeof(entry), at), sizeof(entry));
		if (!(entry[0] >> 55 & 1))
			skip("it is not remembered");
		write_text(path, "4");
		for (int i = round; i < PAGES; i += 8) {
			there.iov_base = memory + 4096 * i + 1;
			EQUAL(process_vm_writev(pid, &here, 1, &there, 1, 0), 1);
		}
		EQUAL(pread(file, entry, sizeof(entry), at), sizeof(entry));
		for (int i = 0; i < PAGES; i++)
			EQUAL(entry[i] >> 55 & 1, i % 8 == round);
		EQUAL(write(to[1], round < 7 ? "g" : "e", 1), 1);
	}
	reap(pid);
}

static void statistics_of_calls(void)
{
	long characters, calls;
	char data[1000] = "";
	int file;

	if (access("/proc/self/io", R_OK))
		skip("no /proc/self/io");
	file = DO(open("/dev/null", O_WRONLY));
	away();
	characters = field("/proc/self/io", "wchar:");
	calls = field("/proc/self/io", "syscw:");
	for (int i = 0; i < 10; i++)
		EQUAL(write(file, data, sizeof(data)), sizeof(data));
	EQUAL(field("/proc/self/io", "wchar:") - characters, 10000);
	EQUAL(field("/proc/self/io", "syscw:") - calls, 10);
	CHECK(field("/proc/self/status", "voluntary_ctxt_switches:") >= 0);
}

/* Settings of the machine are home's. */
static void settings(void)
{
	struct utsname names;
	char was[32];

	away();
	DO(uname(&names));
	snprintf(was, sizeof(was), "%.30s", read_text("/proc/sys/kernel/osrelease"));
	was[strcspn(was, "\n")] = 0;
	CHECK(!strcmp(was, names.release));
	snprintf(was, sizeof(was), "%.30s", read_text("/proc/sys/net/core/somaxconn"));
	if (access("/proc/sys/net/core/somaxconn", W_OK))
		skip("no writable setting");
	write_text("/proc/sys/net/core/somaxconn", "3000");
	home();
	EQUAL(atoi(read_text("/proc/sys/net/core/somaxconn")), 3000);
	write_text("/proc/sys/net/core/somaxconn", was);
	away();
	EQUAL(atoi(read_text("/proc/sys/net/core/somaxconn")), atoi(was));
	CHECK(access("/sys/kernel", F_OK) == 0);
	CHECK(atoi(read_text("/sys/class/net/lo/mtu")) >= 1500);
}

/* What a parent sees of a child that is away. */
static void of_a_child(void)
{
	char path[64], text[64], *memory = map_pages(PAGES, RW);
	int ends[2], answer[2];
	pid_t child;
	char byte;

	DO(pipe(ends));
	DO(pipe(answer));
	child = DO(fork());
	if (!child) {
		DO(prctl(PR_SET_NAME, "the child"));
		away();
		memset(memory, 'c', BYTES);
		EQUAL(write(answer[1], "x", 1), 1);
		EQUAL(read(ends[0], &byte, 1), 1);
		_exit(0);
	}
	EQUAL(read(answer[0], &byte, 1), 1);
	away();
	snprintf(path, sizeof(path), "/proc/%d/status", child);
	EQUAL(field(path, "PPid:"), getpid());
	CHECK(field(path, "VmRSS:") >= BYTES / 1024);
	for (int i = 0; i < 6000 && !strstr(read_text(path), "State:\tS (sleeping)\n"); i++)
		sleep_ms(10);
	CHECK(strstr(read_text(path), "State:\tS (sleeping)\n"));
	snprintf(path, sizeof(path), "/proc/%d/comm", child);
	CHECK(!strcmp(read_text(path), "the child\n"));
	snprintf(path, sizeof(path), "/proc/%d/wchan", child);
	read_text(path);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", child, ends[0]);
	DO(readlink(path, text, sizeof(text)));
	CHECK(!strncmp(text, "pipe:", 5));
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	EQUAL(atoi(read_text(path)), child);
	EQUAL(write(ends[1], "x", 1), 1);
	reap(child);
	snprintf(path, sizeof(path), "/proc/%d/status", child);
	EQUAL(access(path, F_OK), -1);
	EQUAL(errno, ENOENT);
}

/* The process' own view of where its arguments and environment are. */
static void arguments_are_changed(void)
{
	static char text[4096] __attribute__((aligned(4096)));

	away();
	strcpy(text, "other arguments");
	if (prctl(PR_SET_MM, PR_SET_MM_ARG_START, text, 0, 0))
		skip("PR_SET_MM: %s", strerror(errno));
	DO(prctl(PR_SET_MM, PR_SET_MM_ARG_END, text + 16, 0, 0));
	CHECK(!strncmp(read_text("/proc/self/cmdline"), "other arguments", 15));
	strcpy(text, "changed again..");
	home();
	CHECK(!strncmp(read_text("/proc/self/cmdline"), "changed again..", 15));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(own_maps), CASE(own_sizes), CASE(own_status), CASE(own_signals), CASE(own_tasks),
		CASE(own_memory), CASE(own_program), CASE(own_files), CASE(own_limits),
		CASE(own_pagemap), CASE(written_pages), CASE(unwritten_pages), CASE(statistics_of_calls),
		CASE(settings), CASE(of_a_child),
		CASE(arguments_are_changed),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

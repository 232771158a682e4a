// SPDX-License-Identifier: GPL-2.0
/*
 * Dumps that are given to a program (core_pattern), through a pipe that is full until it reads:
 * they are whole, whoever wants to move the process meanwhile.
 */
#include "harness.h"

#include <elf.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PATTERN "/proc/sys/kernel/core_pattern"

/* What the process has, more than a pipe holds; and the longest pattern. */
enum { BYTES = 2 << 20, PATTERN_MAX = 128, WAIT_MS = 30000 };

/* What the program that is given a dump says of it. */
struct dump {
	uint64_t bytes, expected;
};

/* FIFOs: what the program tells, and a byte that lets it go on. */
static int told, go_on;

/* ---- the program ---- */

/* The end of the last part of the file that the headers name. */
static uint64_t end_of(const char *head, size_t bytes)
{
	const Elf64_Ehdr *header = (const void *)head;
	const Elf64_Phdr *part = (const void *)(head + header->e_phoff);
	uint64_t end = 0;

	if (bytes < sizeof(*header) || memcmp(header->e_ident, ELFMAG, SELFMAG) ||
	    bytes < header->e_phoff + header->e_phnum * sizeof(*part))
		return 0;
	for (int i = 0; i < header->e_phnum; i++)
		if (part[i].p_type == PT_LOAD && part[i].p_offset + part[i].p_filesz > end)
			end = part[i].p_offset + part[i].p_filesz;
	return end;
}

/* In the case's directory; reads nothing before it is told to. */
static int take_dump(const char *directory)
{
	static char head[64 << 10], rest[64 << 10];
	struct pollfd ready = { .events = POLLIN };
	struct dump dump = { };
	ssize_t got;
	int tell;

	if (chdir(directory))
		return 1;
	tell = open("told", O_WRONLY);
	ready.fd = open("go", O_RDWR);
	if (tell < 0 || ready.fd < 0 || write(tell, "b", 1) != 1 || poll(&ready, 1, WAIT_MS) != 1)
		return 1;
	while (dump.bytes < sizeof(head) &&
	       (got = read(0, head + dump.bytes, sizeof(head) - dump.bytes)) > 0)
		dump.bytes += got;
	dump.expected = end_of(head, dump.bytes);
	while ((got = read(0, rest, sizeof(rest))) > 0)
		dump.bytes += got;
	return write(tell, &dump, sizeof(dump)) != sizeof(dump);
}

/* ---- who is dumped ---- */

/* Runs while dumps are given to this program; fails only when they are no more. */
static void with_own_pattern(void (*run)(void))
{
	char old[PATTERN_MAX + 1], new[2 * PATTERN_MAX], self[PATTERN_MAX] = "";
	int status = -1;
	pid_t pid;

	need_root();
	need_own_machine();
	snprintf(old, sizeof(old), "%s", read_text(PATTERN));
	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	snprintf(new, sizeof(new), "|%s dump %s", self, own_directory());
	CHECK(strlen(new) < PATTERN_MAX);
	DO(mkfifo("told", 0600));
	DO(mkfifo("go", 0600));
	told = DO(open("told", O_RDWR));
	go_on = DO(open("go", O_RDWR));
	write_text(PATTERN, new);
	pid = fork();
	if (!pid) {
		run();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	write_text(PATTERN, old);
	EQUAL(status, 0);
}

static void wait_for_program(void)
{
	struct pollfd ready = { .fd = told, .events = POLLIN };
	char byte;

	EQUAL(poll(&ready, 1, WAIT_MS), 1);
	EQUAL(read(told, &byte, 1), 1);
}

/* The program reads: all of it comes. */
static void dump_is_whole(pid_t pid, int number)
{
	struct pollfd ready = { .fd = told, .events = POLLIN };
	struct dump dump;
	int status;

	EQUAL(write(go_on, "g", 1), 1);
	EQUAL(poll(&ready, 1, WAIT_MS), 1);
	EQUAL(read(told, &dump, sizeof(dump)), sizeof(dump));
	note("%llu bytes", (unsigned long long)dump.bytes);
	CHECK(dump.expected > BYTES);
	EQUAL(dump.bytes, dump.expected);
	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	EQUAL(WTERMSIG(status), number);
	CHECK(WCOREDUMP(status));
}

static void have_data(void)
{
	char *data = malloc(BYTES);

	CHECK(data);
	fill(data, BYTES, 1);
}

static void await_call(pid_t pid, long call)
{
	while (!sleeps_in(pid, call))
		sleep_ms(5);
}

/* Asked away in a call, and ended in it there: the dump begins on the way out of that, at home. */
static void ended_in_a_call(void)
{
	int ends[2];
	pid_t pid;
	char byte;

	DO(pipe(ends));
	pid = DO(fork());
	if (!pid) {
		have_data();
		_exit(read(ends[0], &byte, 1) != 1);
	}
	await_call(pid, SYS_read);
	away_pid(pid);
	await_call(pid, SYS_read);
	DO(kill(pid, SIGQUIT));
	wait_for_program();
	sleep_ms(300);
	dump_is_whole(pid, SIGQUIT);
}

static void dumped_out_of_a_call(void)
{
	with_own_pattern(ended_in_a_call);
}

/* Waits for room in the pipe to the program. */
static bool is_dumping(pid_t pid)
{
	char path[60];

	snprintf(path, sizeof(path), "/proc/%d/wchan", pid);
	return strstr(read_text(path), "pipe_write");
}

static void asked_away_while_dumping(void)
{
	pid_t pid = DO(fork());

	if (!pid) {
		have_data();
		abort();
	}
	wait_for_program();
	while (!is_dumping(pid))
		sleep_ms(5);
	during("%d: a 100 a", pid);
	during_end();
	dump_is_whole(pid, SIGABRT);
}

/* Nobody leaves in the midst of a dump, and the dump does not end for it. */
static void dumping_is_not_interrupted(void)
{
	with_own_pattern(asked_away_while_dumping);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(dumped_out_of_a_call), CASE(dumping_is_not_interrupted),
		{ 0 }
	};

	if (argc == 3 && !strcmp(argv[1], "dump"))
		return take_dump(argv[2]);
	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/* Control groups: frozen, killed, counted wherever they are. */
#include "harness.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char group_path[64];

/* A control group of this case's own, version 2. */
static const char *control_group(const char *file)
{
	static char path[128];

	if (!group_path[0]) {
		snprintf(group_path, sizeof(group_path), "/sys/fs/cgroup/radium-st-%d", getpid());
		if (access("/sys/fs/cgroup/cgroup.procs", W_OK))
			skip("no cgroup2");
		if (mkdir(group_path, 0755) && errno != EEXIST)
			skip("cgroup2: %s", strerror(errno));
	}
	snprintf(path, sizeof(path), "%s/%s", group_path, file);
	return path;
}

static void into_group(pid_t pid)
{
	char text[20];

	snprintf(text, sizeof(text), "%d\n", pid);
	write_text(control_group("cgroup.procs"), text);
}

static uint64_t peek(pid_t pid, volatile uint64_t *word)
{
	uint64_t value = 0;
	struct { void *base; size_t length; } here = { &value, 8 }, there = { (void *)word, 8 };

	EQUAL(syscall(SYS_process_vm_readv, pid, &here, 1, &there, 1, 0), 8);
	return value;
}

/* Waits until a word of a process is more than it was. */
static void await_change(pid_t pid, volatile uint64_t *word, uint64_t was)
{
	uint64_t end = now_ns() + 60000000000ull;

	while (peek(pid, word) == was && now_ns() < end)
		sleep_ms(10);
	CHECK(peek(pid, word) > was);
}

static bool is_frozen(void)
{
	return strstr(read_text(control_group("cgroup.events")), "frozen 1");
}

/* The group's processes stand still when this returns. */
static void freeze(void)
{
	uint64_t end = now_ns() + 60000000000ull;

	write_text(control_group("cgroup.freeze"), "1\n");
	while (!is_frozen() && now_ns() < end)
		sleep_ms(10);
	CHECK(is_frozen());
}

/* They go on: what one of them counts is more than before. */
static void thaw(pid_t pid, volatile uint64_t *word)
{
	uint64_t before = peek(pid, word);

	write_text(control_group("cgroup.freeze"), "0\n");
	await_change(pid, word, before);
}

/* Frozen, a process that is away computes nothing; thawed, it goes on. */
static void frozen_group(void)
{
	volatile uint64_t *word = map_pages(1, PROT_READ | PROT_WRITE);
	uint64_t before;
	pid_t child;

	control_group("");
	child = DO(fork());
	if (!child)
		for (;;)
			++*word;
	into_group(child);
	away_pid(child);
	for (int round = 0; round < 2; round++) {
		freeze();
		before = peek(child, word);
		sleep_ms(200);
		EQUAL(peek(child, word), before);
		thaw(child, word);
		away_pid(child);
	}
	/* A frozen one can be killed. */
	write_text(control_group("cgroup.freeze"), "1\n");
	DO(kill(child, SIGKILL));
	EQUAL(waitpid(child, NULL, 0), child);
	rmdir(group_path);
}

/* Who is frozen in the midst of a call stays where it is, whoever wants to move it. */
static void frozen_in_a_call(void)
{
	volatile uint64_t *word = map_pages(1, PROT_READ | PROT_WRITE);
	uint64_t before;
	pid_t child;

	control_group("");
	child = DO(fork());
	if (!child)
		for (;;) {
			sleep_ms(20);
			for (int i = 0; i < 1000; i++)
				++*word;
		}
	into_group(child);
	await_change(child, word, 0);
	freeze();
	for (int round = 0; round < 3; round++) {
		before = peek(child, word);
		during("%d: a", child);
		during_end();
		sleep_ms(200);
		EQUAL(peek(child, word), before);
		CHECK(is_frozen());
	}
	thaw(child, word);
	away_pid(child);
	DO(kill(child, SIGKILL));
	EQUAL(waitpid(child, NULL, 0), child);
	rmdir(group_path);
}

/* All of a group are killed, wherever they are. */
static void killed_group(void)
{
	pid_t children[2];
	int status;

	control_group("");
	if (access(control_group("cgroup.kill"), W_OK))
		skip("no cgroup.kill");
	for (int i = 0; i < 2; i++) {
		children[i] = DO(fork());
		if (!children[i])
			for (;;)
				compute_checked(1000);
		into_group(children[i]);
		if (i)
			away_pid(children[i]);
	}
	away();
	write_text(control_group("cgroup.kill"), "1\n");
	for (int i = 0; i < 2; i++) {
		EQUAL(waitpid(children[i], &status, 0), children[i]);
		EQUAL(status, SIGKILL);
	}
	rmdir(group_path);
}

/* As many processes as the group may have, and its name as the process sees it. */
static void number_of_processes(void)
{
	char name[80];
	pid_t child, one;

	control_group("");
	if (!strstr(read_text("/sys/fs/cgroup/cgroup.controllers"), "pids"))
		skip("no pids controller");
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+pids\n");
	write_text(control_group("pids.max"), "2\n");
	child = DO(fork());
	if (!child) {
		away();
		into_group(getpid());
		snprintf(name, sizeof(name), "0::%s\n", group_path + strlen("/sys/fs/cgroup"));
		CHECK(!strcmp(read_text("/proc/self/cgroup"), name));
		one = DO(fork());
		if (!one)
			for (;;)
				pause();
		away();
		EQUAL(fork(), -1);
		EQUAL(errno, EAGAIN);
		EQUAL(atoi(read_text(control_group("pids.current"))), 2);
		home();
		EQUAL(fork(), -1);
		EQUAL(errno, EAGAIN);
		DO(kill(one, SIGKILL));
		EQUAL(waitpid(one, NULL, 0), one);
		_exit(0);
	}
	reap(child);
	rmdir(group_path);
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "-pids\n");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(frozen_group), CASE(frozen_in_a_call), CASE(killed_group),
		CASE(number_of_processes),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

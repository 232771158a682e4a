// SPDX-License-Identifier: GPL-2.0
/* A process in a container, as tools make them, and in control groups that count its memory. */
#include "harness.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define RW (PROT_READ | PROT_WRITE)

/* The only child of a process, or 0. */
static pid_t child_of(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	return atoi(read_text(path));
}

static void await_file(const char *name)
{
	uint64_t end = now_ns() + 60000000000ull;

	while (access(name, F_OK) && now_ns() < end)
		sleep_ms(10);
	CHECK(!access(name, F_OK));
}

/*
 * The program in it counts until it is told to end, then runs others, and says how the world
 * looks to it: its number, its host's name, who is number one, how many network devices of the
 * machine it has, who it is.
 */
static const char inside[] =
	"hostname inside\n"
	": > begun\n"
	"i=0; until [ -e go ]; do i=$((i+1)); done\n"
	"mount -t tmpfs -o size=64k none /mnt && echo kept > /mnt/file\n"
	"echo $$ $(hostname) $(cat /proc/1/comm) $(grep -c eth /proc/net/dev) $(id -u) "
	"$(cat /mnt/file) > said.new\n"
	"mv said.new said\n"
	"until [ -e end ]; do i=$((i+1)); done\n"
	"exit 44\n";

static void container(const char *options, const char *expected)
{
	char directory[] = "/tmp/st-container-XXXXXX", command[300];
	pid_t tool, shell = 0;
	int status;

	CHECK(mkdtemp(directory));
	DO(chmod(directory, 0755));
	DO(chdir(directory));
	snprintf(command, sizeof(command), "unshare %s -- true 2>/dev/null", options);
	if (system(command))
		skip("unshare %s does not work here", options);
	write_text("inside", inside);
	snprintf(command, sizeof(command), "exec unshare %s -- sh inside", options);
	tool = DO(fork());
	if (!tool) {
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	await_file("begun");
	shell = child_of(tool);
	CHECK(shell > 0);
	away_pid(shell);
	write_text("go", "");
	await_file("said");
	if (strcmp(read_text("said"), expected))
		fail(__FILE__, __LINE__, "'%.100s', not '%s'", read_text("said"), expected);
	CHECK(access("/mnt/file", F_OK));
	/* Programs that it runs begin at home; it goes out again, or is asked to. */
	away_pid(shell);
	write_text("end", "");
	EQUAL(waitpid(tool, &status, 0), tool);
	EQUAL(WEXITSTATUS(status), 44);
}

static void container_of_root(void)
{
	if (geteuid())
		skip("not root");
	container("--mount --uts --ipc --net --pid --cgroup --fork --mount-proc",
		  "1 inside sh 0 0 kept\n");
}

/* Of an ordinary user, who is root in it. */
static void container_of_a_user(void)
{
	if (!geteuid()) {
		DO(setgid(61240));
		DO(setuid(61240));
	}
	container("--user --map-root-user --mount --uts --ipc --net --pid --fork --mount-proc",
		  "1 inside sh 0 0 kept\n");
}

/* ---------------------------------------------------------- control groups */

static char group[64];

static const char *in_group(const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", group, file);
	return path;
}

/* A group of this case's own, with a controller. */
static void make_group(const char *controller)
{
	char wanted[20];

	if (access("/sys/fs/cgroup/cgroup.controllers", R_OK))
		skip("no cgroup2");
	if (!strstr(read_text("/sys/fs/cgroup/cgroup.controllers"), controller))
		skip("no controller %s", controller);
	snprintf(wanted, sizeof(wanted), "+%s\n", controller);
	write_text("/sys/fs/cgroup/cgroup.subtree_control", wanted);
	snprintf(group, sizeof(group), "/sys/fs/cgroup/st-of-%d", getpid());
	if (mkdir(group, 0755))
		skip("cgroup2: %s", strerror(errno));
}

static void enter_group(void)
{
	write_text(in_group("cgroup.procs"), "0\n");
}

/* As the process sees it, the group that it was in is the root. */
static void group_namespace(void)
{
	pid_t child, grandchild;
	int old;

	make_group("pids");
	child = DO(fork());
	if (!child) {
		char before[100];

		enter_group();
		snprintf(before, sizeof(before), "%s", read_text("/proc/self/cgroup"));
		old = DO(open("/proc/self/ns/cgroup", O_RDONLY));
		away();
		CHECK(strstr(before, "/st-of-"));
		DO(unshare(CLONE_NEWCGROUP));
		CHECK(!strcmp(read_text("/proc/self/cgroup"), "0::/\n"));
		home();
		CHECK(!strcmp(read_text("/proc/self/cgroup"), "0::/\n"));
		away();
		grandchild = DO(fork());
		if (!grandchild)
			_exit(strcmp(read_text("/proc/self/cgroup"), "0::/\n") != 0);
		reap(grandchild);
		away();
		DO(setns(old, CLONE_NEWCGROUP));
		CHECK(!strcmp(read_text("/proc/self/cgroup"), before));
		_exit(0);
	}
	reap(child);
	rmdir(group);
}

/* Memory that another node has counts for the group at home: the place for it is kept. */
static void memory_is_charged(void)
{
	enum { MEBIBYTES = 6 };
	int ends[2], go[2];
	long before;
	pid_t child;
	char byte;

	make_group("memory");
	DO(pipe(ends));
	DO(pipe(go));
	child = DO(fork());
	if (!child) {
		char *memory;

		enter_group();
		away();
		EQUAL(write(ends[1], "b", 1), 1);
		EQUAL(read(go[0], &byte, 1), 1);
		memory = map_pages(MEBIBYTES * 256, RW);
		fill(memory, MEBIBYTES << 20, 1);
		EQUAL(write(ends[1], "f", 1), 1);
		EQUAL(read(go[0], &byte, 1), 1);
		EQUAL(differs(memory, MEBIBYTES << 20, 1), -1);
		DO(munmap(memory, MEBIBYTES << 20));
		EQUAL(write(ends[1], "u", 1), 1);
		EQUAL(read(go[0], &byte, 1), 1);
		_exit(0);
	}
	EQUAL(read(ends[0], &byte, 1), 1);
	before = atol(read_text(in_group("memory.current")));
	EQUAL(write(go[1], "x", 1), 1);
	EQUAL(read(ends[0], &byte, 1), 1);
	/* What a processor has put aside for the group is part of it. */
	CHECK(atol(read_text(in_group("memory.current"))) - before > (MEBIBYTES - 1) << 20);
	EQUAL(write(go[1], "x", 1), 1);
	EQUAL(read(ends[0], &byte, 1), 1);
	for (int i = 0; i < 6000 && atol(read_text(in_group("memory.current"))) - before > 3 << 20; i++)
		sleep_ms(10);
	CHECK(atol(read_text(in_group("memory.current"))) - before <= 3 << 20);
	EQUAL(write(go[1], "x", 1), 1);
	reap(child);
	rmdir(group);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "container_of_root", container_of_root, 60 },
		{ "container_of_a_user", container_of_a_user, 60 },
		CASE(group_namespace), CASE(memory_is_charged),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/* Others look at a process that is away, and change it: they meet its true state. */
#include "harness.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

enum { PAGES = 16, BYTES = PAGES * 4096 };

#define RW (PROT_READ | PROT_WRITE)

/* What the observed process and its observer agree on; the same addresses in both. */
static char *memory;
static int to_child[2], from_child[2];

/*
 * Away: fills the memory with the seed, says so, and then for every byte it is
 * sent checks the memory against that seed, or ends at 'q'.
 */
static pid_t observed(uint64_t seed)
{
	pid_t pid;
	char byte;

	memory = map_pages(PAGES, RW);
	fill(memory, BYTES, seed ^ 0xff);
	DO(pipe(to_child));
	DO(pipe(from_child));
	pid = DO(fork());
	if (!pid) {
		away();
		fill(memory, BYTES, seed);
		CHECK(write(from_child[1], "r", 1) == 1);
		while (read(to_child[0], &byte, 1) == 1 && byte != 'q') {
			long wrong = differs(memory, BYTES, byte);

			CHECK(write(from_child[1], &wrong, sizeof(wrong)) == sizeof(wrong));
		}
		_exit(7);
	}
	EQUAL(read(from_child[0], &byte, 1), 1);
	return pid;
}

static long ask_child(char seed)
{
	long wrong = -2;

	EQUAL(write(to_child[1], &seed, 1), 1);
	EQUAL(read(from_child[0], &wrong, sizeof(wrong)), sizeof(wrong));
	return wrong;
}

static void end_child(pid_t pid)
{
	int status;

	EQUAL(write(to_child[1], "q", 1), 1);
	EQUAL(waitpid(pid, &status, 0), pid);
	EQUAL(WEXITSTATUS(status), 7);
}

static void proc_mem(void)
{
	pid_t pid = observed(1);
	char path[40], *copy = malloc(BYTES);
	int file;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	file = DO(open(path, O_RDWR));
	EQUAL(pread(file, copy, BYTES, (off_t)memory), BYTES);
	EQUAL(differs(copy, BYTES, 1), -1);
	fill(copy, BYTES, 2);
	EQUAL(pwrite(file, copy, BYTES, (off_t)memory), BYTES);
	EQUAL(ask_child(2), -1);
	away_pid(pid);
	fill(copy, BYTES, 3);
	EQUAL(pwrite(file, copy, BYTES, (off_t)memory), BYTES);
	EQUAL(ask_child(3), -1);
	end_child(pid);
}

static void process_vm(void)
{
	pid_t pid = observed(4);
	char *copy = malloc(BYTES);
	struct iovec here = { copy, BYTES }, there = { memory, BYTES };

	EQUAL(process_vm_readv(pid, &here, 1, &there, 1, 0), BYTES);
	EQUAL(differs(copy, BYTES, 4), -1);
	fill(copy, BYTES, 5);
	EQUAL(process_vm_writev(pid, &here, 1, &there, 1, 0), BYTES);
	EQUAL(ask_child(5), -1);
	end_child(pid);
}

/* One page written at home and read away, a hundred times. */
static void ping_pong(void)
{
	volatile uint64_t *word;
	struct iovec here, there;
	uint64_t value;
	pid_t pid;

	word = map_pages(1, RW);
	pid = DO(fork());
	if (!pid) {
		away();
		for (uint64_t i = 0; i < 100; i++) {
			while (word[0] != i)
				sleep_ms(1);
			word[1] = i + 1;
		}
		while (word[0] != 1000)
			sleep_ms(1);
		_exit(0);
	}
	for (uint64_t i = 0; i < 100; i++) {
		value = i;
		here = (struct iovec){ &value, 8 };
		there = (struct iovec){ (void *)word, 8 };
		EQUAL(process_vm_writev(pid, &here, 1, &there, 1, 0), 8);
		there.iov_base = (void *)(word + 1);
		do {
			sleep_ms(1);
			EQUAL(process_vm_readv(pid, &here, 1, &there, 1, 0), 8);
		} while (value != i + 1);
	}
	value = 1000;
	there.iov_base = (void *)word;
	EQUAL(process_vm_writev(pid, &here, 1, &there, 1, 0), 8);
	reap(pid);
}

static void ptrace_attach(void)
{
	struct user_regs_struct registers;
	pid_t pid = observed(6);
	int status;

	DO(ptrace(PTRACE_ATTACH, pid, 0, 0));
	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	DO(ptrace(PTRACE_GETREGS, pid, 0, &registers));
	CHECK(registers.rip > 0x1000 && registers.rsp > 0x1000);
	errno = 0;
	EQUAL(ptrace(PTRACE_PEEKDATA, pid, memory + 4096, 0), *(long *)({
		fill(memory, BYTES, 6);
		memory + 4096;
	}));
	EQUAL(errno, 0);
	fill(memory, BYTES, 7);
	for (int i = 0; i < BYTES; i += 8)
		DO(ptrace(PTRACE_POKEDATA, pid, memory + i, *(long *)(memory + i)));
	DO(ptrace(PTRACE_DETACH, pid, 0, 0));
	EQUAL(ask_child(7), -1);
	away_pid(pid);
	EQUAL(ask_child(7), -1);
	end_child(pid);
}

/* Registers of a thread that spins with known ones. */
static void registers_of_a_runner(void)
{
	struct user_regs_struct registers;
	pid_t pid = DO(fork());
	int status;

	if (!pid) {
		asm volatile("mov $0x1234567, %r12\n\t mov $0x7654321, %r13\n1:\t jmp 1b");
		_exit(0);
	}
	away_pid(pid);
	sleep_ms(300);
	DO(ptrace(PTRACE_SEIZE, pid, 0, 0));
	DO(ptrace(PTRACE_INTERRUPT, pid, 0, 0));
	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSTOPPED(status));
	DO(ptrace(PTRACE_GETREGS, pid, 0, &registers));
	EQUAL(registers.r12, 0x1234567);
	EQUAL(registers.r13, 0x7654321);
	registers.r12 = 1;
	DO(ptrace(PTRACE_SETREGS, pid, 0, &registers));
	DO(ptrace(PTRACE_DETACH, pid, 0, 0));
	away_pid(pid);
	DO(ptrace(PTRACE_SEIZE, pid, 0, 0));
	DO(ptrace(PTRACE_INTERRUPT, pid, 0, 0));
	EQUAL(waitpid(pid, &status, 0), pid);
	DO(ptrace(PTRACE_GETREGS, pid, 0, &registers));
	EQUAL(registers.r12, 1);
	kill(pid, SIGKILL);
}

/* A debugger that nobody told about moving. */
static void gdb_batch(void)
{
	char command[300], line[500];
	bool found = false;
	pid_t pid;
	FILE *pipe;

	if (access("/usr/bin/gdb", X_OK))
		skip("no gdb");
	pid = observed(8);
	fill(memory, BYTES, 8);
	snprintf(command, sizeof(command), "gdb -nx -batch -p %d -ex 'x/1gx %p' -ex 'info registers rip' "
		 "2>/dev/null </dev/null", pid, memory + 8192);
	pipe = popen(command, "r");
	while (fgets(line, sizeof(line), pipe)) {
		char expected[40];

		snprintf(expected, sizeof(expected), "0x%016lx", *(unsigned long *)(memory + 8192));
		found |= strstr(line, expected) != NULL;
	}
	pclose(pipe);
	CHECK(found);
	EQUAL(ask_child(8), -1);
	end_child(pid);
}

/* The dump's copy of the memory, found by its program headers. */
static void check_core(const char *path)
{
	int file = DO(open(path, O_RDONLY));
	char *core, *copy = NULL;
	struct stat status;
	Elf64_Ehdr *header;
	Elf64_Phdr *segment;

	DO(fstat(file, &status));
	core = DO(mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE, file, 0));
	header = (void *)core;
	CHECK(!memcmp(header->e_ident, ELFMAG, SELFMAG) && header->e_type == ET_CORE);
	segment = (void *)(core + header->e_phoff);
	for (int i = 0; i < header->e_phnum; i++)
		if (segment[i].p_type == PT_LOAD && segment[i].p_vaddr <= (uintptr_t)memory &&
		    segment[i].p_vaddr + segment[i].p_filesz >= (uintptr_t)memory + BYTES)
			copy = core + segment[i].p_offset + ((uintptr_t)memory - segment[i].p_vaddr);
	CHECK(copy);
	EQUAL(differs(copy, BYTES, 9), -1);
}

static void core_dump(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	char pattern[256], path[300];
	int status;
	pid_t pid;

	snprintf(pattern, sizeof(pattern), "%s", read_text("/proc/sys/kernel/core_pattern"));
	if (geteuid() || strcmp(pattern, "core\n"))
		skip("core_pattern is %s", pattern);
	DO(chdir("/tmp"));
	DO(setrlimit(RLIMIT_CORE, &unlimited));
	pid = observed(9);
	DO(kill(pid, SIGQUIT));
	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
	CHECK(WCOREDUMP(status));
	snprintf(path, sizeof(path), "/tmp/core");
	if (access(path, R_OK))
		snprintf(path, sizeof(path), "/tmp/core.%d", pid);
	check_core(path);
	unlink(path);
}

static void proc_files(void)
{
	pid_t pid = observed(10);
	char path[60], here[40], *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = read_text(path);
	snprintf(here, sizeof(here), "/observe");
	CHECK(strstr(maps, here) && strstr(maps, "[stack]") && strstr(maps, "[vdso]"));
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	CHECK(strstr(read_text(path), "observe"));
	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	CHECK(strstr(read_text(path), "Rss:"));
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	CHECK(strstr(read_text(path), "Threads:\t1\n"));
	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	CHECK(strstr(read_text(path), "="));
	EQUAL(ask_child(10), -1);
	end_child(pid);
}

/* strace attaches, sees the calls by name, and leaves. */
static void strace_attach(void)
{
	char command[200], line[300];
	bool seen = false;
	pid_t pid;
	FILE *pipe;

	if (access("/usr/bin/strace", X_OK))
		skip("no strace");
	pid = DO(fork());
	if (!pid) {
		for (;;) {
			getppid();
			sleep_ms(20);
		}
	}
	away_pid(pid);
	snprintf(command, sizeof(command), "timeout 3 strace -p %d 2>&1", pid);
	pipe = popen(command, "r");
	while (fgets(line, sizeof(line), pipe))
		seen |= strstr(line, "getppid()") != NULL;
	pclose(pipe);
	CHECK(seen);
	CHECK(kill(pid, 0) == 0);
	away_pid(pid);
	kill(pid, SIGKILL);
}

static void traced_is_not_moved(void)
{
	int status;
	pid_t pid = DO(fork());

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		asm volatile("mov $5, %r12\n1:\t jmp 1b");
	}
	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSTOPPED(status));
	DO(ptrace(PTRACE_CONT, pid, 0, 0));
	during("%d: a 100 h", pid);	/* refused, or done: the process goes on */
	sleep_ms(300);
	DO(kill(pid, SIGSTOP));
	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSTOPPED(status));
	kill(pid, SIGKILL);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(proc_mem), CASE(process_vm), CASE(ping_pong), CASE(ptrace_attach),
		CASE(registers_of_a_runner), { "gdb_batch", gdb_batch, 60 }, CASE(core_dump),
		CASE(proc_files), CASE(strace_attach), CASE(traced_is_not_moved),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

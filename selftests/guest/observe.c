// SPDX-License-Identifier: GPL-2.0
/* Others look at a process that is away, and change it: they meet its true state. */
#include "harness.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/procfs.h>
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
/* How far one has come that says nothing: by who looks into it. */
static volatile uint64_t spun __attribute__((aligned(4096)));

static void await_spun(pid_t pid, uint64_t least)
{
	uint64_t value = 0;
	struct iovec here = { &value, 8 }, there = { (void *)&spun, 8 };

	do {
		sleep_ms(5);
		EQUAL(process_vm_readv(pid, &here, 1, &there, 1, 0), 8);
	} while (value < least);
}

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
		asm volatile("mov $0x1234567, %%r12\n\t mov $0x7654321, %%r13\n\t"
			     "movq $1, %0\n1:\t jmp 1b" : "=m"(spun) : : "r12", "r13");
		_exit(0);
	}
	away_pid(pid);
	await_spun(pid, 1);
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

/* A dump, mapped. */
struct core {
	char *image;
	Elf64_Ehdr *header;
	Elf64_Phdr *segments;
};

/* Makes the process dump where it is found, or skips the case. */
static void want_core(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	char pattern[256];

	snprintf(pattern, sizeof(pattern), "%s", read_text("/proc/sys/kernel/core_pattern"));
	if (geteuid() || strcmp(pattern, "core\n"))
		skip("core_pattern is %s", pattern);
	DO(chdir("/tmp"));
	DO(setrlimit(RLIMIT_CORE, &unlimited));
}

/* A dump that was written to this file, which goes. */
static struct core open_core(const char *path)
{
	int file = DO(open(path, O_RDONLY));
	struct stat details;
	struct core core;

	unlink(path);
	DO(fstat(file, &details));
	core.image = DO(mmap(NULL, details.st_size, PROT_READ, MAP_PRIVATE, file, 0));
	close(file);
	core.header = (void *)core.image;
	CHECK(!memcmp(core.header->e_ident, ELFMAG, SELFMAG) && core.header->e_type == ET_CORE);
	core.segments = (void *)(core.image + core.header->e_phoff);
	return core;
}

/* Waits for the process to die of the signal. */
static struct core take_core(pid_t pid, int number)
{
	char path[40] = "/tmp/core";
	int status;

	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == number);
	CHECK(WCOREDUMP(status));
	if (access(path, R_OK))
		snprintf(path, sizeof(path), "/tmp/core.%d", pid);
	return open_core(path);
}

/* The dump's copy of the memory, found by its program headers. */
static void check_core(struct core core, uint64_t seed)
{
	char *copy = NULL;

	for (int i = 0; i < core.header->e_phnum; i++) {
		Elf64_Phdr *segment = &core.segments[i];

		if (segment->p_type == PT_LOAD && segment->p_vaddr <= (uintptr_t)memory &&
		    segment->p_vaddr + segment->p_filesz >= (uintptr_t)memory + BYTES)
			copy = core.image + segment->p_offset + ((uintptr_t)memory - segment->p_vaddr);
	}
	CHECK(copy);
	EQUAL(differs(copy, BYTES, seed), -1);
}

/* The registers of the thread that died: the first note of that kind. */
static struct user_regs_struct core_registers(struct core core)
{
	struct user_regs_struct registers;

	for (int i = 0; i < core.header->e_phnum; i++) {
		char *note = core.image + core.segments[i].p_offset;
		char *end = note + core.segments[i].p_filesz;

		while (core.segments[i].p_type == PT_NOTE && note < end) {
			Elf64_Nhdr *header = (void *)note;
			char *content = note + sizeof(*header) + ((header->n_namesz + 3) & ~3u);

			if (header->n_type == NT_PRSTATUS) {
				memcpy(&registers, content + offsetof(prstatus_t, pr_reg),
				       sizeof(registers));
				return registers;
			}
			note = content + ((header->n_descsz + 3) & ~3u);
		}
	}
	fail(__FILE__, __LINE__, "no NT_PRSTATUS in the dump");
}

static void core_dump(void)
{
	pid_t pid;

	want_core();
	pid = observed(9);
	DO(kill(pid, SIGQUIT));
	check_core(take_core(pid, SIGQUIT), 9);
}

extern const char spin_start[], spin_end[], bad_access[];

/* Knows nothing but two registers, and, away, fills the memory before. */
static void die_with_registers(bool spin)
{
	char byte = 'r';

	away();
	fill(memory, BYTES, 12);
	CHECK(write(from_child[1], &byte, 1) == 1);
	asm volatile("mov $0x1234567, %%r12\n\t mov $0x7654321, %%r13\n\t"
		     "xor %%r14, %%r14\n\t test %1, %1\n\t jz 2f\n"
		     "spin_start:\n1:\t inc %%r14\n\t mov %%r14, %0\n\t jmp 1b\n"
		     "spin_end:\n2:\t mov $8, %%ebx\n"
		     "bad_access:\t movl $1, (%%rbx)"
		     : "=m"(spun) : "r"((int)spin) : "rbx", "r12", "r13", "r14", "memory");
}

/* What it was doing is in the dump, registers as well as memory. */
static void core_dump_of_a_runner(void)
{
	struct user_regs_struct registers;
	struct core core;
	char byte;
	pid_t pid;

	want_core();
	for (int spin = 0; spin < 2; spin++) {
		memory = map_pages(PAGES, RW);
		fill(memory, BYTES, 11);
		DO(pipe(from_child));
		pid = DO(fork());
		if (!pid) {
			die_with_registers(spin);
			_exit(0);
		}
		EQUAL(read(from_child[0], &byte, 1), 1);
		if (spin) {
			away_pid(pid);
			await_spun(pid, 1001);
			DO(kill(pid, SIGQUIT));
		}
		core = take_core(pid, spin ? SIGQUIT : SIGSEGV);
		check_core(core, 12);
		registers = core_registers(core);
		EQUAL(registers.r12, 0x1234567);
		EQUAL(registers.r13, 0x7654321);
		if (spin) {
			CHECK(registers.rip >= (uintptr_t)spin_start &&
			      registers.rip < (uintptr_t)spin_end);
			CHECK(registers.r14 > 1000);
		} else {
			EQUAL(registers.rip, (uintptr_t)bad_access);
			EQUAL(registers.rbx, 8);
		}
	}
}

/* A dump of one that lives on, where it was: by gdb's script. */
static void core_of_the_living(void)
{
	struct user_regs_struct registers;
	char command[100], path[60];
	uint64_t end;
	pid_t pid;

	if (access("/usr/bin/gcore", X_OK))
		skip("no gcore");
	pid = observed(13);
	snprintf(command, sizeof(command), "gcore -o /tmp/st-gcore %d >/dev/null 2>&1 </dev/null", pid);
	snprintf(path, sizeof(path), "/tmp/st-gcore.%d", pid);
	EQUAL(system(command), 0);
	end = now_ns() + 60000000000ull;
	while (moving() && !where_is(pid, pid) && now_ns() < end)
		sleep_ms(10);
	CHECK(!moving() || where_is(pid, pid));
	check_core(open_core(path), 13);
	EQUAL(ask_child(13), -1);
	EQUAL(system(command), 0);
	registers = core_registers(open_core(path));
	CHECK(registers.rip > 0x1000 && registers.rsp > 0x1000);
	end_child(pid);
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
	char line[300], number[20];
	int ends[2], status;
	bool seen = false;
	pid_t pid, strace;
	FILE *pipe;

	if (access("/usr/bin/strace", X_OK))
		skip("no strace");
	DO(pipe2(ends, O_CLOEXEC));
	pid = DO(fork());
	if (!pid) {
		for (;;) {
			getppid();
			sleep_ms(20);
		}
	}
	away_pid(pid);
	strace = DO(fork());
	if (!strace) {
		snprintf(number, sizeof(number), "%d", pid);
		dup2(ends[1], 2);
		execl("/usr/bin/strace", "strace", "-p", number, NULL);
		_exit(127);
	}
	close(ends[1]);
	pipe = fdopen(ends[0], "r");
	while (!seen && fgets(line, sizeof(line), pipe))
		seen = strstr(line, "getppid()") != NULL;
	CHECK(seen);
	DO(kill(strace, SIGINT));
	EQUAL(waitpid(strace, &status, 0), strace);
	fclose(pipe);
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
	away_refused(pid, "TRACED");
	DO(kill(pid, SIGSTOP));
	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSTOPPED(status));
	kill(pid, SIGKILL);
}

/* They outlive the debugger that has set them; taken out, they do not. */
static void breakpoint_is_refused(void)
{
	int status;
	size_t address = offsetof(struct user, u_debugreg[0]);
	size_t control = offsetof(struct user, u_debugreg[7]);
	pid_t pid = DO(fork());

	if (!pid)
		for (;;)
			;
	DO(ptrace(PTRACE_ATTACH, pid, 0, 0));
	EQUAL(waitpid(pid, &status, 0), pid);
	if (ptrace(PTRACE_POKEUSER, pid, address, breakpoint_is_refused))
		skip("no debug registers: %s", strerror(errno));
	DO(ptrace(PTRACE_POKEUSER, pid, control, 1));
	DO(ptrace(PTRACE_DETACH, pid, 0, 0));
	away_refused(pid, "TRACED");
	DO(kill(pid, 0));
	DO(ptrace(PTRACE_ATTACH, pid, 0, 0));
	EQUAL(waitpid(pid, &status, 0), pid);
	DO(ptrace(PTRACE_POKEUSER, pid, control, 0));
	DO(ptrace(PTRACE_DETACH, pid, 0, 0));
	away_pid(pid);
	kill(pid, SIGKILL);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(proc_mem), CASE(process_vm), CASE(ping_pong), CASE(ptrace_attach),
		CASE(registers_of_a_runner), { "gdb_batch", gdb_batch, 60 }, CASE(core_dump),
		CASE(core_dump_of_a_runner), { "core_of_the_living", core_of_the_living, 60 },
		CASE(proc_files), CASE(strace_attach),
		CASE(traced_is_not_moved), CASE(breakpoint_is_refused),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

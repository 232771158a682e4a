// SPDX-License-Identifier: GPL-2.0
/*
 * A fault away gives the signal, code and address that it gives at home. Each
 * case does the same thing in two children, one at home and one away, and
 * compares what their handlers saw; a third and fourth compare the default action.
 */
#include "harness.h"

#include <fcntl.h>
#include <immintrin.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <ucontext.h>

struct seen {
	int number, code;
	uintptr_t address, ip, error, trap;
};

static struct seen seen;
static sigjmp_buf jump;
static char *page, *read_only, *no_access, *beyond, *data_page;

static void on_fault(int number, siginfo_t *info, void *context)
{
	ucontext_t *user = context;

	seen = (struct seen){
		.number = number, .code = info->si_code, .address = (uintptr_t)info->si_addr,
		.ip = user->uc_mcontext.gregs[REG_RIP], .error = user->uc_mcontext.gregs[REG_ERR],
		.trap = user->uc_mcontext.gregs[REG_TRAPNO],
	};
	siglongjmp(jump, 1);
}

static void catch_faults(void)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536 };

	sigaltstack(&stack, NULL);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		sigaction(numbers[i], &action, NULL);
}

/* The child's report, through a pipe. */
static struct seen observe(void (*action)(void), bool moved)
{
	struct seen result = { 0 };
	int ends[2], status;
	pid_t pid;

	DO(pipe(ends));
	pid = DO(fork());
	if (!pid) {
		catch_faults();
		if (moved)
			away();
		if (!sigsetjmp(jump, 1))
			action();
		_exit(write(ends[1], &seen, sizeof(seen)) != sizeof(seen));
	}
	close(ends[1]);
	EQUAL(read(ends[0], &result, sizeof(result)), sizeof(result));
	close(ends[0]);
	EQUAL(waitpid(pid, &status, 0), pid);
	EQUAL(status, 0);
	return result;
}

static int ending(void (*action)(void), bool moved)
{
	pid_t pid = DO(fork());
	int status;

	if (!pid) {
		if (moved)
			away();
		action();
		_exit(0);
	}
	EQUAL(waitpid(pid, &status, 0), pid);
	return status & ~0x80;	/* whether core was dumped is the machine's affair */
}

static void prepare(void)
{
	/* Small enough to be overflown page by page through a network. */
	struct rlimit stack = { 1 << 20, 1 << 20 };
	char path[] = "/tmp/st-fault-XXXXXX";
	int file = DO(mkstemp(path));

	DO(setrlimit(RLIMIT_STACK, &stack));
	unlink(path);
	DO(ftruncate(file, 4096));
	page = map_pages(3, PROT_READ | PROT_WRITE);
	memset(page, 0x90, 4096);
	read_only = map_pages(1, PROT_READ);
	no_access = map_pages(1, PROT_NONE);
	data_page = map_pages(1, PROT_READ | PROT_WRITE);
	memset(data_page, 0xc3, 4096);		/* ret */
	beyond = DO(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0));
	/* A hole behind the first page; last, or one of the others would fill it. */
	DO(munmap(page + 4096, 4096));
}

static void same(void (*action)(void), int number, int code)
{
	struct seen at_home, there;

	prepare();
	at_home = observe(action, false);
	if (!at_home.number)
		skip("this CPU does not raise it");
	there = observe(action, true);
	EQUAL(at_home.number, number);
	EQUAL(at_home.code, code);
	EQUAL(there.number, at_home.number);
	EQUAL(there.code, at_home.code);
	EQUAL(there.address, at_home.address);
	EQUAL(there.ip, at_home.ip);
	EQUAL(there.trap, at_home.trap);
	/* Present or not is no promise of the kernel; write, user and fetch are. */
	EQUAL(there.error & ~1ul, at_home.error & ~1ul);
	EQUAL(ending(action, true), ending(action, false));
}

static __attribute__((noinline)) void jump_to(void *address)
{
	((void (*)(void))address)();
}

#define READ(address) ((void)*(volatile char *)(address))
#define WRITE(address) (*(volatile char *)(address) = 1)

/* name, what it does, signal, code */
#define FAULTS(X)								\
	X(read_unmapped, READ(page + 4096 + 17), SIGSEGV, SEGV_MAPERR)		\
	X(write_unmapped, WRITE(page + 4096 + 18), SIGSEGV, SEGV_MAPERR)	\
	X(execute_unmapped, jump_to(page + 4096), SIGSEGV, SEGV_MAPERR)		\
	X(read_no_access, READ(no_access + 5), SIGSEGV, SEGV_ACCERR)		\
	X(write_no_access, WRITE(no_access + 6), SIGSEGV, SEGV_ACCERR)		\
	X(write_read_only, WRITE(read_only + 7), SIGSEGV, SEGV_ACCERR)		\
	X(write_code, WRITE((uintptr_t)jump_to), SIGSEGV, SEGV_ACCERR)			\
	X(execute_data, jump_to(data_page + 16), SIGSEGV, SEGV_ACCERR)		\
	X(execute_stack, execute_the_stack(), SIGSEGV, SEGV_ACCERR)		\
	X(read_null, READ(NULL), SIGSEGV, SEGV_MAPERR)				\
	X(jump_to_null, jump_to(NULL), SIGSEGV, SEGV_MAPERR)			\
	X(read_non_canonical, READ(0x8000000000000000ul), SIGSEGV, SI_KERNEL)	\
	X(read_kernel, READ(0xffff888000001000ul), SIGSEGV, SEGV_MAPERR)	\
	X(across_the_hole, *(volatile uint64_t *)(page + 4092) = 1, SIGSEGV, SEGV_MAPERR) \
	X(string_into_hole, memset_string(page, 5000), SIGSEGV, SEGV_MAPERR)	\
	X(stack_overflow, overflow(1), SIGSEGV, SEGV_MAPERR)			\
	X(beyond_end_of_file, READ(beyond + 4096 + 3), SIGBUS, BUS_ADRERR)	\
	X(divide_by_zero, divide_integer(), SIGFPE, FPE_INTDIV)			\
	X(divide_sse, divide_float(), SIGFPE, FPE_FLTDIV)			\
	X(divide_x87, divide_long_double(), SIGFPE, FPE_FLTDIV)			\
	X(illegal_instruction, asm volatile("ud2"), SIGILL, ILL_ILLOPN)		\
	X(privileged_instruction, asm volatile("hlt"), SIGSEGV, SI_KERNEL)	\
	X(port_instruction, asm volatile("outb %al, $0x80"), SIGSEGV, SI_KERNEL) \
	X(breakpoint, asm volatile("int3"), SIGTRAP, SI_KERNEL)			\
	X(breakpoint_of_two_bytes, asm volatile(".byte 0xcd, 3"), SIGTRAP, SI_KERNEL) \
	X(overflow_of_two_bytes, asm volatile("int $4"), SIGSEGV, SI_KERNEL)	\
	X(interrupt_without_gate, asm volatile("int $0x2d"), SIGSEGV, SI_KERNEL) \
	X(single_step, trap_flag(), SIGTRAP, TRAP_TRACE)

static void execute_the_stack(void)
{
	static char *aligned;
	char code[64];

	memset(code, 0xc3, sizeof(code));
	aligned = (char *)(((uintptr_t)code + 15) & ~15ul);
	asm volatile("" : : "r"(code) : "memory");
	jump_to(aligned);
}

static void memset_string(char *to, size_t bytes)
{
	asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(0x90) : "memory");
}

static __attribute__((noinline)) int overflow(int depth)
{
	volatile char local[4096];

	local[0] = depth;
	if (depth < 0)
		return 0;
	/* Deep enough for any limit, and never a tail call. */
	return overflow(depth + 1) + local[0];
}

/* In assembly: compilers know what 1 / x can be. */
static void divide_integer(void)
{
	int quotient = 1, rest = 0;

	asm volatile("idivl %2" : "+a"(quotient), "+d"(rest) : "r"(0) : "cc");
}

static void divide_float(void)
{
	volatile double none = 0, one = 1;

	_mm_setcsr(_mm_getcsr() & ~_MM_MASK_DIV_ZERO);
	one = one / none;
}

static void divide_long_double(void)
{
	volatile long double none = 0, one = 1;

	uint16_t control = 0x37b;	/* division by zero is not masked */

	asm volatile("fldcw %0" : : "m"(control));
	_mm_setcsr(0x1f80);
	one = one / none;
	asm volatile("fwait");
}

static void trap_flag(void)
{
	asm volatile("sub $128, %%rsp\n\t pushfq\n\t orq $0x100, (%%rsp)\n\t popfq\n\t nop\n\t nop\n\t"
		     "add $128, %%rsp" : : : "memory", "cc");
}

#define DEFINE(name, action, number, code)	\
static void do_##name(void) { action; }		\
static void name(void) { same(do_##name, number, code); }
FAULTS(DEFINE)

/* A handler that mends the cause: the instruction is done again and goes on. */
static void mend(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	mprotect((void *)((uintptr_t)info->si_addr & ~4095ul), 4096, PROT_READ | PROT_WRITE);
}

static void handler_mends(void)
{
	struct sigaction action = { .sa_sigaction = mend, .sa_flags = SA_SIGINFO };
	char *pages = map_pages(8, PROT_NONE);

	DO(sigaction(SIGSEGV, &action, NULL));
	away();
	for (int i = 0; i < 8; i++)
		pages[i * 4096 + i] = i + 1;
	home();
	for (int i = 0; i < 8; i++)
		EQUAL(pages[i * 4096 + i], i + 1);
}

/* What is forced on a process that blocks it, or ignores it, ends it. */
static void trap_is_forced(void)
{
	for (int ignored = 0; ignored < 2; ignored++) {
		int status;
		pid_t pid = DO(fork());

		if (!pid) {
			sigset_t set;

			sigemptyset(&set);
			sigaddset(&set, SIGTRAP);
			if (ignored)
				signal(SIGTRAP, SIG_IGN);
			else
				DO(sigprocmask(SIG_BLOCK, &set, NULL));
			away();
			trap_flag();
			_exit(7);
		}
		EQUAL(waitpid(pid, &status, 0), pid);
		CHECK(WIFSIGNALED(status));
		EQUAL(WTERMSIG(status), SIGTRAP);
	}
}

static volatile sig_atomic_t traps;
static volatile uintptr_t trapped_at;

static void on_trap(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	traps++;
	trapped_at = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
}

/* The address behind the instructions, the last of which is a breakpoint. */
#define TRAP(code) ({							\
	uintptr_t behind_;						\
	asm volatile("leaq 1f(%%rip), %0\n\t" code "\n1:"		\
		     : "=&r"(behind_) : : "rax", "memory");		\
	behind_;							\
})

/* Both forms, and what looks like the other one; each is executed once, and what follows too. */
static void breakpoints_go_on(void)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	uintptr_t behind;

	DO(sigaction(SIGTRAP, &action, NULL));
	for (int round = 0; round < 3; round++) {
		traps = 0;
		away();
		behind = TRAP("int3");
		EQUAL(trapped_at, behind);
		EQUAL(traps, 1);
		away();
		behind = TRAP(".byte 0xcd, 3");
		EQUAL(trapped_at, behind);
		EQUAL(traps, 2);
		away();
		behind = TRAP("movb $0xcd, %%al\n\t int3");
		EQUAL(trapped_at, behind);
		EQUAL(traps, 3);
		away();
		/* Ends in cd 03, which is not executed as such. */
		behind = TRAP("movw $0x03cd, %%ax\n\t int3");
		EQUAL(trapped_at, behind);
		EQUAL(traps, 4);
		home();
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
#define ROW(name, action, number, code) { #name, name, 0 },
		FAULTS(ROW)
		{ "handler_mends", handler_mends, 0 }, CASE(trap_is_forced),
		{ "breakpoints_go_on", breakpoints_go_on, 0 },
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

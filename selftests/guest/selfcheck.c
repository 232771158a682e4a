// SPDX-License-Identifier: GPL-2.0
/*
 * Checks all the time that what a program holds is what it put there: general
 * registers, x87, SSE and AVX state with their control words, stack, heap, thread
 * local storage, static data, segment bases, identity, rseq, and that clocks
 * never step back. Prints one line per round, the same wherever it runs; ends
 * with 1 and says what was wrong otherwise.
 *
 *	selfcheck ROUNDS
 */
#include <immintrin.h>
#include <linux/rseq.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <asm/prctl.h>

enum {
	HEAP_BLOCKS	= 64,
	SPINS		= 20000,	/* of each register check: long enough to be moved in it */
};

static __thread uint64_t tls_value = 0x1122334455667788;
static __thread char tls_text[64];
static uint64_t data_value = 99;
static uint64_t bss_table[4096];
static const char constant[] = "read-only data";
static int failures;

#define WRONG(...) do { printf("wrong: " __VA_ARGS__); putchar('\n'); failures++; } while (0)

/*
 * Holds known values in ten registers while it spins, then xors them together:
 * a register that was lost at any moment in between shows.
 */
static void general_registers(uint64_t seed)
{
	uint64_t out = 0, flags;

	asm volatile(
		"mov %[s], %%rax\n\t lea 1(%[s]), %%rbx\n\t lea 2(%[s]), %%rdx\n\t"
		"lea 3(%[s]), %%rsi\n\t lea 4(%[s]), %%rdi\n\t lea 5(%[s]), %%r8\n\t"
		"lea 6(%[s]), %%r9\n\t lea 7(%[s]), %%r12\n\t lea 8(%[s]), %%r14\n\t"
		"lea 9(%[s]), %%r15\n\t"
		"mov %[n], %%rcx\n\t std\n\t stc\n"
		"1:\t lea -1(%%rcx), %%rcx\n\t jrcxz 2f\n\t jmp 1b\n"
		"2:\t pushfq\n\t pop %[f]\n\t cld\n\t"
		"rol $3, %%rax\n\t xor %%rbx, %%rax\n\t rol $3, %%rax\n\t xor %%rdx, %%rax\n\t"
		"rol $3, %%rax\n\t xor %%rsi, %%rax\n\t rol $3, %%rax\n\t xor %%rdi, %%rax\n\t"
		"rol $3, %%rax\n\t xor %%r8, %%rax\n\t rol $3, %%rax\n\t xor %%r9, %%rax\n\t"
		"rol $3, %%rax\n\t xor %%r12, %%rax\n\t rol $3, %%rax\n\t xor %%r14, %%rax\n\t"
		"rol $3, %%rax\n\t xor %%r15, %%rax\n\t mov %%rax, %[o]"
		: [o] "=&r"(out), [f] "=&r"(flags) : [s] "r"(seed), [n] "i"(SPINS)
		: "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r12", "r14", "r15",
		  "cc", "memory");
	uint64_t expected = seed;

	for (int i = 1; i <= 9; i++)
		expected = ((expected << 3) | (expected >> 61)) ^ (seed + i);
	if (out != expected)
		WRONG("general registers");
	if ((flags & 0x401) != 0x401)
		WRONG("flags %lx", (unsigned long)flags);
}

__attribute__((target("avx2"))) static void avx_registers(uint32_t seed)
{
	uint32_t in[8 * 8], out[8 * 8];

	for (int i = 0; i < 64; i++)
		in[i] = seed * 2654435761u + i;
	asm volatile(
		"vmovdqu (%[i]), %%ymm0\n\t vmovdqu 32(%[i]), %%ymm3\n\t vmovdqu 64(%[i]), %%ymm5\n\t"
		"vmovdqu 96(%[i]), %%ymm7\n\t vmovdqu 128(%[i]), %%ymm9\n\t vmovdqu 160(%[i]), %%ymm11\n\t"
		"vmovdqu 192(%[i]), %%ymm13\n\t vmovdqu 224(%[i]), %%ymm15\n\t"
		"mov %[n], %%rcx\n"
		"1:\t dec %%rcx\n\t jnz 1b\n\t"
		"vmovdqu %%ymm0, (%[o])\n\t vmovdqu %%ymm3, 32(%[o])\n\t vmovdqu %%ymm5, 64(%[o])\n\t"
		"vmovdqu %%ymm7, 96(%[o])\n\t vmovdqu %%ymm9, 128(%[o])\n\t vmovdqu %%ymm11, 160(%[o])\n\t"
		"vmovdqu %%ymm13, 192(%[o])\n\t vmovdqu %%ymm15, 224(%[o])\n\t vzeroupper"
		: : [i] "r"(in), [o] "r"(out), [n] "i"(SPINS)
		: "rcx", "memory", "cc", "xmm0", "xmm3", "xmm5", "xmm7", "xmm9", "xmm11", "xmm13", "xmm15");
	if (memcmp(in, out, sizeof(in)))
		WRONG("AVX registers");
}

static void sse_registers(double seed)
{
	double out[2], in[2] = { seed, -seed };

	asm volatile(
		"movupd (%[i]), %%xmm2\n\t movupd (%[i]), %%xmm14\n\t mov %[n], %%rcx\n"
		"1:\t dec %%rcx\n\t jnz 1b\n\t"
		"addpd %%xmm14, %%xmm2\n\t movupd %%xmm2, (%[o])"
		: : [i] "r"(in), [o] "r"(out), [n] "i"(SPINS)
		: "rcx", "memory", "cc", "xmm2", "xmm14");
	if (out[0] != 2 * seed || out[1] != -2 * seed)
		WRONG("SSE registers");
}

/* Eight values on the x87 stack with a rounding mode of its own, and MXCSR's. */
static void x87(void)
{
	uint16_t up = 0x0b7f, was, seen;	/* round up, all masked, extended */
	uint32_t mxcsr_was = _mm_getcsr(), mxcsr_up = (mxcsr_was & ~0x6000u) | 0x4000;
	long double sum;

	asm volatile("fnstcw %0" : "=m"(was));
	_mm_setcsr(mxcsr_up);
	asm volatile(
		"fldcw %[up]\n\t fldpi\n\t fld1\n\t fldl2e\n\t fldl2t\n\t fldlg2\n\t fldln2\n\t fld1\n\t fldpi\n\t"
		"mov %[n], %%rcx\n"
		"1:\t dec %%rcx\n\t jnz 1b\n\t"
		"faddp\n\t faddp\n\t faddp\n\t faddp\n\t faddp\n\t faddp\n\t faddp\n\t"
		"fnstcw %[seen]\n\t fldcw %[was]"
		: "=t"(sum), [seen] "=m"(seen) : [up] "m"(up), [was] "m"(was), [n] "i"(SPINS)
		: "rcx", "cc");
	if (seen != up)
		WRONG("x87 control word %x", seen);
	if (sum < 14.0419L || sum > 14.0421L)
		WRONG("x87 sum %.10Lf", sum);
	if ((_mm_getcsr() & ~0x3fu) != (mxcsr_up & ~0x3fu))
		WRONG("MXCSR %x", _mm_getcsr());
	_mm_setcsr(mxcsr_was);
}

static uint64_t stack_walk(int depth, uint64_t seed)
{
	volatile uint64_t local[64];
	uint64_t sum = 0;

	for (int i = 0; i < 64; i++)
		local[i] = seed + i * depth;
	if (depth)
		sum = stack_walk(depth - 1, seed * 3 + 1);
	for (int i = 0; i < 64; i++)
		if (local[i] != seed + (uint64_t)(i * depth))
			WRONG("stack at depth %d", depth);
	return sum + local[63];
}

static void memory(char *heap[HEAP_BLOCKS], int round)
{
	int slot = round % HEAP_BLOCKS;
	size_t size = 100 + (round * 977) % 30000;

	for (int i = 0; i < HEAP_BLOCKS; i++)
		if (heap[i] && (heap[i][0] != (char)i || heap[i][99] != (char)(i + 1)))
			WRONG("heap block %d", i);
	free(heap[slot]);
	heap[slot] = malloc(size);
	memset(heap[slot], slot, size);
	heap[slot][99] = slot + 1;
	for (int i = 0; i < 4096; i++) {
		if (bss_table[i] != (uint64_t)i * (round ? round - 1 : 0))
			WRONG("table at %d", i);
		bss_table[i] = (uint64_t)i * round;
	}
	if (++data_value != 100u + round || strcmp(constant, "read-only data"))
		WRONG("static data");
	if (tls_value != 0x1122334455667788 + (uint64_t)round || atoi(tls_text) != round)
		WRONG("thread local storage");
	tls_value++;
	snprintf(tls_text, sizeof(tls_text), "%d", round + 1);
}

static void clocks(void)
{
	static const clockid_t list[] = { CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME,
		CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_COARSE, CLOCK_REALTIME_COARSE,
		CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID };
	static struct timespec last[sizeof(list) / sizeof(*list)];

	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++) {
		struct timespec now;

		if (clock_gettime(list[i], &now))
			WRONG("clock %zu", i);
		if (now.tv_sec < last[i].tv_sec ||
		    (now.tv_sec == last[i].tv_sec && now.tv_nsec < last[i].tv_nsec))
			WRONG("clock %d steps back from %ld.%09ld to %ld.%09ld", (int)list[i],
			      last[i].tv_sec, last[i].tv_nsec, now.tv_sec, now.tv_nsec);
		last[i] = now;
	}
}

static void identity(void)
{
	static pid_t pid, parent;
	static unsigned long fs;
	unsigned long fs_now = 0, gs_now = 1;
	struct rseq *area = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);

	if (!pid) {
		pid = getpid();
		parent = getppid();
		syscall(SYS_arch_prctl, ARCH_GET_FS, &fs);
	}
	syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_now);
	syscall(SYS_arch_prctl, ARCH_GET_GS, &gs_now);
	if (getpid() != pid || getppid() != parent || syscall(SYS_gettid) != pid)
		WRONG("identity");
	if (fs_now != fs || gs_now != 0 || (unsigned long)__builtin_thread_pointer() != fs)
		WRONG("segment bases %lx %lx", fs_now, gs_now);
	/* At home the kernel keeps it; away it says "not registered", and nothing else. */
	if (__rseq_size && (int)area->cpu_id < 0 &&
	    (int)area->cpu_id != RSEQ_CPU_ID_UNINITIALIZED)
		WRONG("rseq %d", (int)area->cpu_id);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 100;
	bool avx2 = __builtin_cpu_supports("avx2");
	char *heap[HEAP_BLOCKS] = { 0 };

	setvbuf(stdout, NULL, _IOLBF, 0);
	strcpy(tls_text, "0");
	for (int round = 0; round < rounds && !failures; round++) {
		for (int i = 0; i < 3; i++) {
			general_registers(0x0123456789abcdef * (round + 1));
			if (avx2)
				avx_registers(round);
			sse_registers(round + 0.25);
			x87();
			clocks();
		}
		memory(heap, round);
		identity();
		printf("%d %llu\n", round, (unsigned long long)stack_walk(20 + round % 50, round));
	}
	return failures ? 1 : 42;
}

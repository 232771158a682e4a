// SPDX-License-Identifier: GPL-2.0
/*
 * Checks all the time that what a program holds is what it put there: general
 * registers, x87, SSE and AVX state with their control words, stack, heap, thread
 * local storage, static data, the bases of FS and GS, identity, rseq, and that clocks
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
static uint64_t below_gs = 0x6752;	/* what GS points to, which nobody else uses */
static int failures;

#define WRONG(...) do { printf("wrong: " __VA_ARGS__); putchar('\n'); failures++; } while (0)

/* All but the stack pointer and rcx, which counts; in memory that needs no register to be found. */
static uint64_t general_in[14], general_out[14], frame_pointer;

/*
 * Holds known values in the registers while it spins: one that was lost at any moment in between
 * shows. rbp is not the compiler's to give: it is put back by hand.
 */
static void general_registers(uint64_t seed)
{
	uint64_t flags;

	for (int i = 0; i < 14; i++)
		general_in[i] = (seed << i | seed >> (64 - i) % 64) + i;
	asm volatile(
		"mov %%rbp, %[frame]\n\t"
		"mov %[in], %%rax\n\t mov 8+%[in], %%rbx\n\t mov 16+%[in], %%rdx\n\t"
		"mov 24+%[in], %%rsi\n\t mov 32+%[in], %%rdi\n\t mov 40+%[in], %%r8\n\t"
		"mov 48+%[in], %%r9\n\t mov 56+%[in], %%r10\n\t mov 64+%[in], %%r11\n\t"
		"mov 72+%[in], %%r12\n\t mov 80+%[in], %%r13\n\t mov 88+%[in], %%r14\n\t"
		"mov 96+%[in], %%r15\n\t mov 104+%[in], %%rbp\n\t"
		"mov %[n], %%rcx\n\t std\n\t stc\n"
		"1:\t lea -1(%%rcx), %%rcx\n\t jrcxz 2f\n\t jmp 1b\n"
		/* Below what the function may have there without saying so. */
		"2:\t lea -128(%%rsp), %%rsp\n\t pushfq\n\t pop %%rcx\n\t"
		"lea 128(%%rsp), %%rsp\n\t cld\n\t"
		"mov %%rax, %[out]\n\t mov %%rbx, 8+%[out]\n\t mov %%rdx, 16+%[out]\n\t"
		"mov %%rsi, 24+%[out]\n\t mov %%rdi, 32+%[out]\n\t mov %%r8, 40+%[out]\n\t"
		"mov %%r9, 48+%[out]\n\t mov %%r10, 56+%[out]\n\t mov %%r11, 64+%[out]\n\t"
		"mov %%r12, 72+%[out]\n\t mov %%r13, 80+%[out]\n\t mov %%r14, 88+%[out]\n\t"
		"mov %%r15, 96+%[out]\n\t mov %%rbp, 104+%[out]\n\t"
		"mov %[frame], %%rbp"
		: [out] "=m"(general_out), [frame] "=m"(frame_pointer), "=&c"(flags)
		: [in] "m"(general_in), [n] "i"(SPINS)
		: "rax", "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
		  "r15", "cc", "memory");
	if (memcmp(general_in, general_out, sizeof(general_in)))
		WRONG("general registers");
	if ((flags & 0x401) != 0x401)
		WRONG("flags %lx", (unsigned long)flags);
}

__attribute__((target("avx2"))) static void avx_registers(uint32_t seed)
{
	uint32_t in[16 * 8], out[16 * 8];

	for (int i = 0; i < 128; i++)
		in[i] = seed * 2654435761u + i;
	asm volatile(
		"vmovdqu (%[i]), %%ymm0\n\t vmovdqu 32(%[i]), %%ymm1\n\t"
		"vmovdqu 64(%[i]), %%ymm2\n\t vmovdqu 96(%[i]), %%ymm3\n\t"
		"vmovdqu 128(%[i]), %%ymm4\n\t vmovdqu 160(%[i]), %%ymm5\n\t"
		"vmovdqu 192(%[i]), %%ymm6\n\t vmovdqu 224(%[i]), %%ymm7\n\t"
		"vmovdqu 256(%[i]), %%ymm8\n\t vmovdqu 288(%[i]), %%ymm9\n\t"
		"vmovdqu 320(%[i]), %%ymm10\n\t vmovdqu 352(%[i]), %%ymm11\n\t"
		"vmovdqu 384(%[i]), %%ymm12\n\t vmovdqu 416(%[i]), %%ymm13\n\t"
		"vmovdqu 448(%[i]), %%ymm14\n\t vmovdqu 480(%[i]), %%ymm15\n\t"
		"mov %[n], %%rcx\n"
		"1:\t dec %%rcx\n\t jnz 1b\n\t"
		"vmovdqu %%ymm0, (%[o])\n\t vmovdqu %%ymm1, 32(%[o])\n\t"
		"vmovdqu %%ymm2, 64(%[o])\n\t vmovdqu %%ymm3, 96(%[o])\n\t"
		"vmovdqu %%ymm4, 128(%[o])\n\t vmovdqu %%ymm5, 160(%[o])\n\t"
		"vmovdqu %%ymm6, 192(%[o])\n\t vmovdqu %%ymm7, 224(%[o])\n\t"
		"vmovdqu %%ymm8, 256(%[o])\n\t vmovdqu %%ymm9, 288(%[o])\n\t"
		"vmovdqu %%ymm10, 320(%[o])\n\t vmovdqu %%ymm11, 352(%[o])\n\t"
		"vmovdqu %%ymm12, 384(%[o])\n\t vmovdqu %%ymm13, 416(%[o])\n\t"
		"vmovdqu %%ymm14, 448(%[o])\n\t vmovdqu %%ymm15, 480(%[o])\n\t"
		"vzeroupper"
		: : [i] "r"(in), [o] "r"(out), [n] "i"(SPINS)
		: "rcx", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
		  "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
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
	static long double first;
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
	/* To the last of 64 bits. */
	if (!first)
		first = sum;
	if (sum != first)
		WRONG("x87 sum %.20La, not %.20La", sum, first);
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
	uint64_t through_gs;
	struct rseq *area = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);

	if (!pid) {
		pid = getpid();
		parent = getppid();
		syscall(SYS_arch_prctl, ARCH_GET_FS, &fs);
		syscall(SYS_arch_prctl, ARCH_SET_GS, &below_gs);
	}
	syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_now);
	syscall(SYS_arch_prctl, ARCH_GET_GS, &gs_now);
	if (getpid() != pid || getppid() != parent || syscall(SYS_gettid) != pid)
		WRONG("identity");
	if (fs_now != fs || gs_now != (unsigned long)&below_gs ||
	    (unsigned long)__builtin_thread_pointer() != fs)
		WRONG("segment bases %lx %lx", fs_now, gs_now);
	below_gs++;
	asm volatile("movq %%gs:0, %0" : "=r"(through_gs) : "m"(below_gs));
	if (through_gs != below_gs)
		WRONG("memory through GS");
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

// SPDX-License-Identifier: GPL-2.0
/* The base of GS, which the C library leaves to programs, and segments of one's own. */
#include "harness.h"

#include <asm/ldt.h>
#include <asm/prctl.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define RW (PROT_READ | PROT_WRITE)

/* Where GS may point to; each begins with another number. */
static uint64_t places[3][16] = { { 0x1111 }, { 0x2222 }, { 0x3333 } };

static uint64_t through_gs(void)
{
	uint64_t value;

	asm volatile("movq %%gs:0, %0" : "=r"(value));
	return value;
}

static void set_gs(const void *place)
{
	DO(syscall(SYS_arch_prctl, ARCH_SET_GS, place));
}

/* What the kernel says, and what the processor does. */
static void gs_is(const uint64_t *place)
{
	unsigned long base = 0;

	DO(syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
	EQUAL(base, (uintptr_t)place);
	EQUAL(through_gs(), *place);
}

static void move_with_gs(const uint64_t *place)
{
	gs_is(place);
	away();
	gs_is(place);
	home();
	gs_is(place);
	away();
	gs_is(place);
}

static void write_byte(void *end)
{
	EQUAL(write(*(int *)end, "x", 1), 1);
}

static volatile uint64_t seen_by_handler;

static void look_and_change(int number)
{
	(void)number;
	seen_by_handler = through_gs();
	set_gs(places[2]);
}

/* Set before, set away; kept by moves, by calls that block, by calls at home, in handlers. */
static void gs_base(void)
{
	unsigned long fs = 0, fs_now = 1;
	pid_t helper, child;
	int ends[2];
	char byte;

	DO(pipe(ends));
	DO(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs));
	set_gs(places[0]);
	move_with_gs(places[0]);
	set_gs(places[1]);
	gs_is(places[1]);
	home();
	gs_is(places[1]);
	set_gs(places[0]);
	move_with_gs(places[0]);
	/* A call that is blocked while the thread is moved, and one that copies the task. */
	helper = later(300, write_byte, &ends[1]);
	during("60 a 60 h 60 a");
	EQUAL(read(ends[0], &byte, 1), 1);
	during_end();
	reap(helper);
	gs_is(places[0]);
	child = DO(fork());
	if (!child) {
		gs_is(places[0]);
		set_gs(places[1]);
		move_with_gs(places[1]);
		_exit(0);
	}
	reap(child);
	gs_is(places[0]);
	/* It is no part of what a handler returns to: what it sets stays. */
	signal(SIGUSR2, look_and_change);
	away();
	DO(raise(SIGUSR2));
	EQUAL(seen_by_handler, places[0][0]);
	gs_is(places[2]);
	move_with_gs(places[2]);
	DO(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_now));
	EQUAL(fs_now, fs);
}

static void wrong_gs_base(void)
{
	set_gs(places[0]);
	for (int round = 0; round < 2; round++) {
		EQUAL(syscall(SYS_arch_prctl, ARCH_SET_GS, 1ul << 63), -1);
		EQUAL(errno, EPERM);
		EQUAL(syscall(SYS_arch_prctl, ARCH_SET_GS, 1ul << 56), -1);
		EQUAL(errno, EPERM);
		EQUAL(syscall(SYS_arch_prctl, ARCH_GET_GS, 8), -1);
		EQUAL(errno, EFAULT);
		gs_is(places[0]);
		away();
	}
}

static uint64_t read_gs_base(void)
{
	uint64_t base;

	asm volatile("rdgsbase %0" : "=r"(base));
	return base;
}

static void write_gs_base(const void *place)
{
	asm volatile("wrgsbase %0" : : "r"(place) : "memory");
}

/* Without a call: the kernel is not told, and finds it when the thread moves. */
static void gs_base_by_instruction(void)
{
	uint64_t end;

	if (!(getauxval(AT_HWCAP2) & 2))	/* HWCAP2_FSGSBASE */
		skip("this processor, or kernel, does not let programs do that");
	for (int round = 0; round < 6; round++) {
		const uint64_t *place = places[round % 3];

		write_gs_base(place);
		if (round % 2)
			home();
		else
			away();
		EQUAL(read_gs_base(), (uintptr_t)place);
		gs_is(place);
	}
	/* And while it computes, at any moment. */
	during("20 A 30 H 40 A 50 H");
	end = now_ns() + 600000000;
	for (unsigned int i = 0; now_ns() < end; i++) {
		write_gs_base(places[i % 3]);
		EQUAL(through_gs(), places[i % 3][0]);
		EQUAL(read_gs_base(), (uintptr_t)places[i % 3]);
	}
	during_end();
}

/* ---- segments of one's own ---- */

enum { READ, WRITE, READ_DEFAULT, ENTRY = 1, SELECTOR = ENTRY << 3 | 7 };

/* It gives an int, whatever a call gives otherwise. */
static int modify_ldt(int function, void *memory, unsigned long bytes)
{
	int result = syscall(SYS_modify_ldt, function, memory, bytes);

	if (result < 0 && result != -1) {
		errno = -result;
		result = -1;
	}
	return result;
}

static struct user_desc segment_at(const void *base)
{
	return (struct user_desc){ .entry_number = ENTRY, .base_addr = (uintptr_t)base,
				   .limit = 0xfff, .seg_32bit = 1, .useable = 1 };
}

static void need_ldt(void)
{
	struct user_desc empty = { .entry_number = ENTRY, .read_exec_only = 1,
				   .seg_not_present = 1 };
	pid_t pid = DO(fork());
	int status;

	if (!pid)
		_exit(modify_ldt(WRITE, &empty, sizeof(empty)) != 0);
	EQUAL(waitpid(pid, &status, 0), pid);
	if (status)
		skip("this kernel makes none");
}

/* To look at it, and to ask for what is wrong, makes none. */
static void ldt_is_looked_at(void)
{
	struct user_desc wrong = { .entry_number = 8192 };
	char memory[64];

	need_ldt();
	for (int round = 0; round < 2; round++) {
		EQUAL(modify_ldt(READ, memory, sizeof(memory)), 0);
		EQUAL(modify_ldt(READ_DEFAULT, memory, sizeof(memory)), sizeof(memory));
		EQUAL(modify_ldt(WRITE, &wrong, sizeof(wrong)), -1);
		EQUAL(errno, EINVAL);
		EQUAL(modify_ldt(WRITE, &wrong, 3), -1);
		EQUAL(errno, EINVAL);
		EQUAL(modify_ldt(77, memory, sizeof(memory)), -1);
		EQUAL(errno, ENOSYS);
		away();
	}
	home();
	away();
	EQUAL(modify_ldt(READ, memory, sizeof(memory)), 0);
}

static void use_segment(const uint32_t *place)
{
	uint32_t value = 0;
	uint16_t selector = 0;

	asm volatile("movl %%gs:4, %0\n\t movw %%gs, %1" : "=r"(value), "=r"(selector));
	EQUAL(value, place[1]);
	EQUAL(selector, SELECTOR);
}

/* It is made away: the thread comes home with it, works with it, and stays. */
static void ldt_is_made_away(void)
{
	uint32_t *place = DO(mmap(NULL, 4096, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
	struct user_desc segment = segment_at(place);
	int ready[2], go[2];
	pid_t child;
	char byte;

	need_ldt();
	place[1] = 0x5e6;
	DO(pipe(ready));
	DO(pipe(go));
	child = DO(fork());
	if (!child) {
		away();
		place[1]++;
		DO(modify_ldt(WRITE, &segment, sizeof(segment)));
		EQUAL(where(), 0);
		asm volatile("movw %w0, %%gs" : : "r"(SELECTOR));
		use_segment(place);
		for (int i = 0; i < 2; i++) {
			EQUAL(write(ready[1], "r", 1), 1);
			EQUAL(read(go[0], &byte, 1), 1);
			use_segment(place);
			compute_ms(50);
			use_segment(place);
			EQUAL(where(), 0);
		}
		EQUAL(modify_ldt(READ, (char [64]){ 0 }, 64) > 0, 1);
		_exit(0);
	}
	for (int i = 0; i < 2; i++) {
		EQUAL(read(ready[0], &byte, 1), 1);
		away_refused(child, "LDT");
		EQUAL(write(go[1], "g", 1), 1);
	}
	reap(child);
}

/* A process that has made itself a segment stays at home. @make: false if the kernel makes none. */
static void owner_is_refused(bool (*make)(void))
{
	int ready[2];
	pid_t pid;
	char byte;

	DO(pipe(ready));
	pid = DO(fork());
	if (!pid) {
		if (!make())
			_exit(9);
		EQUAL(write(ready[1], "x", 1), 1);
		for (;;)
			;
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		skip("this kernel makes none");
	away_refused(pid, "LDT");
	CHECK(kill(pid, 0) == 0);
	kill(pid, SIGKILL);
}

static bool make_in_ldt(void)
{
	struct user_desc segment = segment_at(NULL);

	return !modify_ldt(WRITE, &segment, sizeof(segment));
}

static void ldt_is_refused(void)
{
	owner_is_refused(make_in_ldt);
}

/* In the table of the CPU: set_thread_area(), which only the gate of 32-bit programs has. */
static bool make_in_gdt(void)
{
	struct user_desc *segment = DO(mmap(NULL, 4096, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
					    -1, 0));
	long ax = 243;

	*segment = (struct user_desc){ .entry_number = -1, .limit = 0xfffff, .seg_32bit = 1,
				       .limit_in_pages = 1 };
	asm volatile("int $0x80" : "+a"(ax) : "b"(segment) : "r8", "r9", "r10", "r11", "memory");
	return !ax;
}

static void own_segment_is_refused(void)
{
	owner_is_refused(make_in_gdt);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(gs_base), CASE(wrong_gs_base), CASE(gs_base_by_instruction),
		CASE(ldt_is_looked_at), CASE(ldt_is_made_away), CASE(ldt_is_refused),
		CASE(own_segment_is_refused),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

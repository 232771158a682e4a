// SPDX-License-Identifier: GPL-2.0
/*
 * Values that user mode can have in a register and a debugger cannot put there. Whoever has them
 * is moved like anybody, and does no harm to others that are away.
 */
#include "harness.h"

#include <signal.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* A process that is away the whole time: the node that it is on is not given up meanwhile. */
static pid_t bystander_starts(void)
{
	pid_t pid = DO(fork());

	if (!pid) {
		for (;;)
			pause();
	}
	away_pid(pid);
	return pid;
}

static void bystander_is_there(pid_t pid, int node)
{
	int status;

	EQUAL(where_is(pid, pid), node);
	EQUAL(waitpid(pid, &status, WNOHANG), 0);
	DO(kill(pid, SIGKILL));
	EQUAL(waitpid(pid, &status, 0), pid);
}

static uint16_t ds(void)
{
	uint16_t value;

	asm volatile("movw %%ds, %0" : "=r"(value));
	return value;
}

static uint16_t es(void)
{
	uint16_t value;

	asm volatile("movw %%es, %0" : "=r"(value));
	return value;
}

static void set_data(uint16_t to_ds, uint16_t to_es)
{
	asm volatile("movw %w0, %%ds\n\t movw %w1, %%es" : : "r"(to_ds), "r"(to_es));
}

/* The same segments; at which privilege they were named is not kept. */
static void data_is(uint16_t in_ds, uint16_t in_es)
{
	EQUAL(ds() & ~3, in_ds & ~3);
	EQUAL(es() & ~3, in_es & ~3);
}

static void data_selectors(void)
{
	enum { USER_DATA = 0x28 };
	static const uint16_t some[] = { USER_DATA, USER_DATA + 1, 1, USER_DATA + 3, 3, 0 };
	const int n = sizeof(some) / sizeof(*some);
	pid_t other = bystander_starts();
	int node = where_is(other, other);

	for (int i = 0; i < n; i++) {
		set_data(some[i], some[(i + 1) % n]);
		data_is(some[i], some[(i + 1) % n]);
		away();
		data_is(some[i], some[(i + 1) % n]);
		set_data(some[(i + 1) % n], some[i]);
		home();
		data_is(some[(i + 1) % n], some[i]);
	}
	bystander_is_there(other, node);
}

static const uint64_t high[] = { 0xffff800000000000, 0xffffffff81000000, 0x7ffffffff000, ~0ul };

/* A call that is made at home, natively, without a look at what the C library keeps by FS. */
static long at_home(void)
{
	long ax = SYS_sigaltstack;

	asm volatile("syscall" : "+a"(ax) : "D"(0), "S"(0) : "rcx", "r11", "memory");
	return ax;
}

static uint64_t fs_after_a_call(uint64_t base, long *result)
{
	uint64_t own, seen;

	asm volatile("rdfsbase %0" : "=r"(own));
	asm volatile("wrfsbase %0" : : "r"(base) : "memory");
	*result = at_home();
	asm volatile("rdfsbase %0" : "=r"(seen));
	asm volatile("wrfsbase %0" : : "r"(own) : "memory");
	return seen;
}

static void high_bases(void)
{
	pid_t other;
	int node;

	if (!(getauxval(AT_HWCAP2) & 2))	/* HWCAP2_FSGSBASE */
		skip("this processor, or kernel, does not let programs do that");
	other = bystander_starts();
	node = where_is(other, other);
	for (size_t i = 0; i < sizeof(high) / sizeof(*high); i++) {
		uint64_t seen;
		long result;

		asm volatile("wrgsbase %0" : : "r"(high[i]));
		away();
		asm volatile("rdgsbase %0" : "=r"(seen));
		CHECK(seen == high[i]);
		CHECK(fs_after_a_call(high[i], &result) == high[i]);
		EQUAL(result, 0);
		home();
		asm volatile("rdgsbase %0" : "=r"(seen));
		CHECK(seen == high[i]);
	}
	bystander_is_there(other, node);
}

enum { ID = 1 << 21 };

static bool has_id(void)
{
	return __builtin_ia32_readeflags_u64() & ID;
}

static void flip_id(void)
{
	__builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() ^ ID);
}

/* The way in which programs find out whether there is CPUID: they are asked back in between. */
static void id_flag(void)
{
	bool was = has_id();

	for (int i = 0; i < 4; i++) {
		flip_id();
		CHECK(has_id() != was);
		if (i % 2)
			home();
		else
			away();
		CHECK(has_id() != was);
		was = !was;
	}
}

int main(int argc, char **argv)
{
	const struct test_case cases[] = {
		CASE(data_selectors), CASE(high_bases), CASE(id_flag),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

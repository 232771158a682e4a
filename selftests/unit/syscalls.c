// SPDX-License-Identifier: GPL-2.0
/* The table of system calls: each call once, each a call of this architecture. */
#include "check.h"

#include <asm/unistd_64.h>
#include <stddef.h>
#include "inline_table.h"
#include "syscall_table.h"

static const struct {
	unsigned int nr, class;
} rows[] = {
#define ROW(call, class, why) { __NR_##call, RAD_SYSCALL_##class },
	RAD_SYSCALLS(ROW)
#undef ROW
};

static const unsigned int not_restarted[] = {
#define NUMBER(call) __NR_##call,
	RAD_SYSCALLS_NOT_RESTARTED(NUMBER)
#undef NUMBER
};

static unsigned int class_of(unsigned int nr)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].nr == nr)
			return rows[i].class;
	return RAD_SYSCALL_HOME;
}

static bool rows_differ(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (size_t j = 0; j < i; j++)
			if (rows[i].nr == rows[j].nr)
				return false;
	return true;
}

static bool not_restarted_are_homes(void)
{
	for (size_t i = 0; i < sizeof(not_restarted) / sizeof(*not_restarted); i++)
		if (class_of(not_restarted[i]) > RAD_SYSCALL_INLINE)
			return false;
	return true;
}

static const unsigned int inline_calls[] = {
#define NUMBER(call, ...) __NR_##call,
	RAD_INLINE_CALLS(NUMBER)
#undef NUMBER
};

static const unsigned int inline_commands[] = {
#define NUMBER(call, ...) __NR_##call,
	RAD_INLINE_COMMANDS(NUMBER)
#undef NUMBER
};

enum {
	CALLS = sizeof(inline_calls) / sizeof(*inline_calls),
	COMMANDS = sizeof(inline_commands) / sizeof(*inline_commands),
};

static bool has_data(unsigned int nr)
{
	for (size_t i = 0; i < CALLS; i++)
		if (inline_calls[i] == nr)
			return true;
	for (size_t i = 0; i < COMMANDS; i++)
		if (inline_commands[i] == nr)
			return true;
	return false;
}

/* The two tables say the same of each call; data of a LOCAL one travels if it goes home. */
static bool inline_have_data(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].class != RAD_SYSCALL_LOCAL &&
		    (rows[i].class == RAD_SYSCALL_INLINE) != has_data(rows[i].nr))
			return false;
	for (size_t i = 0; i < CALLS; i++)
		for (size_t j = 0; j < i; j++)
			if (inline_calls[i] == inline_calls[j])
				return false;
	return true;
}

/* From the first number to the last that this kernel has, but for the gap in them. */
static bool all_have_rows(void)
{
	for (unsigned int nr = 0; nr <= __NR_set_mempolicy_home_node; nr++) {
		bool found = false;

		if (nr > __NR_rseq && nr < __NR_pidfd_send_signal)
			continue;
		for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
			found |= rows[i].nr == nr;
		if (!found)
			return false;
	}
	return true;
}

/* What is a thread's own goes home for anything that is not named. */
static bool own_are_own(void)
{
	static const unsigned int own[] = {
#define NUMBER(call, what) __NR_##call,
		RAD_SYSCALLS_OWN(NUMBER)
#undef NUMBER
	};

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (class_of(own[i]) != RAD_SYSCALL_OWN)
			return false;
	return true;
}

/*
 * Those that visitor_local.c answers. Others may not become LOCAL: what asks for somebody else
 * (getppid), or for what somebody else can change (getpgid), is home's.
 */
static bool local_are_answered(void)
{
	static const unsigned int calls[] = {
		__NR_sched_yield, __NR_getpid, __NR_gettimeofday, __NR_getuid, __NR_getgid,
		__NR_geteuid, __NR_getegid, __NR_gettid, __NR_time, __NR_clock_gettime,
		__NR_clock_getres,
	};
	size_t local = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		local += rows[i].class == RAD_SYSCALL_LOCAL;
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (class_of(calls[i]) != RAD_SYSCALL_LOCAL)
			return false;
	return local == sizeof(calls) / sizeof(*calls);
}

/* Calls that change the task itself can be made nowhere else. */
static bool at_home(void)
{
	static const unsigned int calls[] = {
		__NR_fork, __NR_vfork, __NR_clone, __NR_clone3, __NR_execve, __NR_execveat,
		__NR_rt_sigreturn, __NR_exit, __NR_exit_group, __NR_arch_prctl,
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (class_of(calls[i]) < RAD_SYSCALL_RETURN)
			return false;
	return true;
}

int main(void)
{
	TEST("every call has a row", all_have_rows());
	TEST("every call has one row", rows_differ());
	TEST("calls that are not restarted are executed at home", not_restarted_are_homes());
	TEST("calls that change the task go home", at_home());
	TEST("calls that are partly a thread's own say so", own_are_own());
	TEST("calls that a node answers are those to which it has an answer", local_are_answered());
	TEST("calls whose data travels say so, one row each", inline_have_data());
	TEST("files, processes and memory are home's", class_of(__NR_read) == RAD_SYSCALL_INLINE &&
	     class_of(__NR_kill) == RAD_SYSCALL_HOME && class_of(__NR_mmap) == RAD_SYSCALL_HOME);
	return test_end();
}

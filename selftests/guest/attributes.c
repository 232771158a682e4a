// SPDX-License-Identifier: GPL-2.0
/* What a process is: how it is scheduled, what it is forbidden, whom it belongs to. */
#include "attributes.h"
#include "filter.h"
#include "caught.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/ioprio.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/io.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void scheduling(void)
{
	struct sched_param parameters = { .sched_priority = 7 };
	struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t priority;
		 uint64_t runtime, deadline, period; } more = { 0 };
	struct timespec slice;

	if (getpriority(PRIO_PROCESS, 0))
		skip("not as nice as usual");
	away();
	errno = 0;
	EQUAL(nice(3), 3);
	EQUAL(getpriority(PRIO_PROCESS, 0), 3);
	DO(setpriority(PRIO_PGRP, 0, 4));
	home();
	EQUAL(getpriority(PRIO_PROCESS, getpid()), 4);
	away();
	EQUAL(setpriority(PRIO_PROCESS, 0, 3), 0);
	EQUAL(sched_getscheduler(0), SCHED_OTHER);
	DO(sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ 0 }));
	EQUAL(sched_getscheduler(0), SCHED_BATCH);
	EQUAL(sched_setscheduler(0, SCHED_BATCH, &parameters), -1);
	EQUAL(errno, EINVAL);
	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &parameters))
		skip("SCHED_RR: %s", strerror(errno));
	home();
	EQUAL(sched_getscheduler(0), SCHED_RR | SCHED_RESET_ON_FORK);
	away();
	DO(sched_getparam(0, &parameters));
	EQUAL(parameters.sched_priority, 7);
	DO(sched_rr_get_interval(0, &slice));
	CHECK(slice.tv_nsec > 0 || slice.tv_sec > 0);
	DO(syscall(SYS_sched_getattr, 0, &more, sizeof(more), 0));
	EQUAL(more.policy, SCHED_RR);
	EQUAL(more.priority, 7);
	more = (typeof(more)){ .size = sizeof(more), .policy = SCHED_OTHER, .nice = 9 };
	DO(syscall(SYS_sched_setattr, 0, &more, 0));
	EQUAL(getpriority(PRIO_PROCESS, 0), 9);
	DO(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6)));
	EQUAL(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0), IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6));
	compute_ms(20);
}

static void affinity(void)
{
	cpu_set_t all, one, seen;
	unsigned int cpu;

	DO(sched_getaffinity(0, sizeof(all), &all));
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	away();
	DO(sched_setaffinity(0, sizeof(one), &one));
	DO(sched_getaffinity(0, sizeof(seen), &seen));
	CHECK(CPU_EQUAL(&seen, &one));
	DO(syscall(SYS_getcpu, &cpu, NULL, NULL));
	EQUAL(cpu, 0);
	compute_ms(20);
	home();
	DO(sched_getaffinity(0, sizeof(seen), &seen));
	CHECK(CPU_EQUAL(&seen, &one));
	away();
	CPU_ZERO(&one);
	EQUAL(sched_setaffinity(0, sizeof(one), &one), -1);
	EQUAL(errno, EINVAL);
	DO(sched_setaffinity(0, sizeof(all), &all));
}

/* A filter that answers this call so, and allows all others. */
static void install(unsigned int call, unsigned int action)
{
	if (filter_install(call, action, 0))
		skip("seccomp: %s", strerror(errno));
}

static void filtered_calls(void)
{
	int status;
	pid_t child;

	handle(SIGSYS);
	away();
	install(SYS_getpgid, SECCOMP_RET_ERRNO | 77);
	EQUAL(getpgid(0), -1);
	EQUAL(errno, 77);
	away();
	EQUAL(getpgid(0), -1);
	EQUAL(errno, 77);
	CHECK(getsid(0) > 0);
	install(SYS_getsid, SECCOMP_RET_TRAP | 5);
	EQUAL(syscall(SYS_getsid, 0), SYS_getsid);	/* what was in the register */
	EQUAL(caught, SIGSYS);
	EQUAL(caught_info.si_code, 1);	/* SYS_SECCOMP */
	EQUAL(caught_info.si_syscall, SYS_getsid);
	EQUAL(caught_info.si_errno, 5);
	EQUAL(caught_info.si_arch, AUDIT_ARCH_X86_64);
	EQUAL(prctl(PR_GET_SECCOMP), 2);
	home();
	EQUAL(getpgid(0), -1);
	EQUAL(errno, 77);
	child = DO(fork());
	if (!child) {
		away();
		install(SYS_umask, SECCOMP_RET_KILL_PROCESS);
		umask(0);
		_exit(1);
	}
	EQUAL(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

/* Nothing but read, write, exit and the return from a handler. */
static void strict_mode(void)
{
	int status, ends[2];
	pid_t child;
	char byte;

	DO(pipe(ends));
	for (int bad = 0; bad < 2; bad++) {
		child = DO(fork());
		if (!child) {
			away();
			if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
				syscall(SYS_exit, 99);
			if (write(ends[1], "x", 1) != 1)
				syscall(SYS_exit, 1);
			/* Without a clock: strict mode takes rdtsc away, too. */
			for (volatile int i = 0; i < 3000000; i++)
				;
			if (bad)
				syscall(SYS_getpid);
			syscall(SYS_exit, 33);
		}
		EQUAL(waitpid(child, &status, 0), child);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 99)
			skip("no strict mode");
		EQUAL(status, bad ? SIGKILL : 33 << 8);
		EQUAL(read(ends[0], &byte, 1), 1);
	}
}

static void sessions_and_groups(void)
{
	pid_t child, group;
	int ends[2];

	DO(pipe(ends));
	away();
	child = DO(fork());
	if (!child) {
		away();
		EQUAL(getpgrp(), getpgid(getppid()));
		DO(setpgid(0, 0));
		EQUAL(setpgid(0, 1), -1);
		EQUAL(errno, EPERM);
		EQUAL(setsid(), -1);		/* it leads a group */
		EQUAL(errno, EPERM);
		handle(SIGUSR1);
		EQUAL(write(ends[1], "x", 1), 1);
		while (!caught)
			;
		EQUAL(caught_info.si_pid, getppid());
		EQUAL(caught_info.si_code, SI_USER);
		_exit(0);
	}
	away();
	EQUAL(read(ends[0], &group, 1), 1);
	EQUAL(getpgid(child), child);
	EQUAL(kill(-child, SIGUSR1), 0);
	reap(child);
	EQUAL(kill(-child, 0), -1);
	EQUAL(errno, ESRCH);
	group = DO(fork());
	if (!group) {
		EQUAL(setsid(), getpid());
		EQUAL(getpgrp(), getpid());
		_exit(0);
	}
	reap(group);
}

/* A parent's end is told by a signal, to a child that is away. */
static void death_of_parent(void)
{
	int ends[2], status, which = 0;
	pid_t parent;
	char byte = 0;

	DO(pipe(ends));
	parent = DO(fork());
	if (!parent) {
		pid_t child = DO(fork());

		if (!child) {
			pid_t old_parent = getppid();

			handle(SIGRTMIN + 2);
			away();
			DO(prctl(PR_SET_PDEATHSIG, SIGRTMIN + 2));
			DO(prctl(PR_GET_PDEATHSIG, &which));
			EQUAL(which, SIGRTMIN + 2);
			EQUAL(write(ends[1], "r", 1), 1);
			while (!caught)
				;
			EQUAL(caught_info.si_pid, old_parent);
			CHECK(getppid() != old_parent);
			EQUAL(write(ends[1], "d", 1), 1);
			_exit(0);
		}
		for (;;)
			pause();
	}
	EQUAL(read(ends[0], &byte, 1), 1);
	EQUAL(byte, 'r');
	DO(kill(parent, SIGKILL));
	EQUAL(waitpid(parent, &status, 0), parent);
	EQUAL(read(ends[0], &byte, 1), 1);
	EQUAL(byte, 'd');
}

static void personality_and_dump(void)
{
	char path[40];
	struct stat about;

	away();
	EQUAL(personality(0xffffffff), 0);
	EQUAL(personality(ADDR_NO_RANDOMIZE | UNAME26), 0);
	home();
	EQUAL(personality(0xffffffff), ADDR_NO_RANDOMIZE | UNAME26);
	away();
	CHECK(!strncmp(output("uname -r"), "2.6.", 4));
	EQUAL(personality(0), ADDR_NO_RANDOMIZE | UNAME26);
	EQUAL(prctl(PR_GET_DUMPABLE), 1);
	DO(prctl(PR_SET_DUMPABLE, 0));
	EQUAL(prctl(PR_GET_DUMPABLE), 0);
	EQUAL(prctl(PR_SET_DUMPABLE, 2), -1);
	EQUAL(errno, EINVAL);
	snprintf(path, sizeof(path), "/proc/%d/maps", getpid());
	DO(stat(path, &about));
	EQUAL(about.st_uid, 0);
	home();
	EQUAL(prctl(PR_GET_DUMPABLE), 0);
	DO(prctl(PR_SET_DUMPABLE, 1));
}

static void small_attributes(void)
{
	char name[16];

	away();
	EQUAL(umask(0123), 022);
	DO(prctl(PR_SET_TIMERSLACK, 123456));
	DO(prctl(PR_SET_NAME, "another name"));
	DO(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS));
	DO(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	DO(prctl(PR_SET_CHILD_SUBREAPER, 1));
	home();
	EQUAL(umask(022), 0123);
	EQUAL(prctl(PR_GET_TIMERSLACK), 123456);
	DO(prctl(PR_GET_NAME, name));
	CHECK(!strcmp(name, "another name"));
	EQUAL(prctl(PR_GET_SECUREBITS), SECBIT_KEEP_CAPS);
	EQUAL(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
	away();
	DO(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
	EQUAL(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 0);
	EQUAL(prctl(99999), -1);
	EQUAL(errno, EINVAL);
}

/* Ports are the home's; an instruction that uses one is allowed there only. */
static void port_permissions(void)
{
	if (ioperm(0x80, 1, 1))
		skip("ioperm: %s", strerror(errno));
	away();
	for (int i = 0; i < 3; i++) {
		outb(i, 0x80);		/* a port for the numbers of tests */
		away();
	}
	DO(ioperm(0x80, 1, 0));
	away();
	EQUAL(iopl(4), -1);
	EQUAL(errno, EINVAL);
}

/* It is forbidden at home and stays there, or it is forbidden away and comes home. */
enum { STAYS, IS_ASKED_AWAY, FORBIDS_AWAY, WAYS };

static void forbid_and_use(int way, int ready, int go)
{
	int mode = 0;
	char byte;

	if (way == FORBIDS_AWAY)
		away();
	DO(prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
	DO(prctl(PR_GET_TSC, &mode));
	EQUAL(mode, PR_TSC_SIGSEGV);
	EQUAL(write(ready, "x", 1), 1);
	EQUAL(read(go, &byte, 1), 1);
	asm volatile("rdtsc" : : : "eax", "edx");
	_exit(0);
}

/* Reading the time stamp counter is a fault when the process has said so. */
static void forbidden_instruction(void)
{
	int ready[2], go[2], status;

	DO(pipe(ready));
	DO(pipe(go));
	for (int way = 0; way < WAYS; way++) {
		pid_t child = DO(fork());
		char byte;

		if (!child)
			forbid_and_use(way, ready[1], go[0]);
		EQUAL(read(ready[0], &byte, 1), 1);
		if (way == IS_ASKED_AWAY)
			away_refused(child, "INSTRUCTIONS");
		EQUAL(write(go[1], "x", 1), 1);
		EQUAL(waitpid(child, &status, 0), child);
		if (way == STAYS && !status)
			skip("this machine does not forbid it");
		EQUAL(status & 0x7f, SIGSEGV);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(scheduling), CASE(affinity), CASE(filtered_calls), CASE(strict_mode),
		CASE(sessions_and_groups), CASE(death_of_parent), CASE(personality_and_dump),
		CASE(small_attributes), CASE(port_permissions), CASE(forbidden_instruction),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

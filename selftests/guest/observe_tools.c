// SPDX-License-Identifier: GPL-2.0
/*
 * Tools that know nothing of moves look at a process that computes elsewhere, stop it, step
 * it, and let it go: it goes out again where it was asked to be, by itself.
 */
#include "tools.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#define RW (PROT_READ | PROT_WRITE)

/* What the process works on, at the same address in both. */
static struct subject {
	volatile uint64_t count;	/* of the calls of visited() */
	volatile uint64_t watched;	/* three times that, written after it */
	char *memory;
} *subject;

enum { PAGES = 8, BYTES = PAGES * 4096 };
/* For what takes a moment, on a machine that has others to serve. */
#define PATIENCE_NS 60000000000ull

__attribute__((noinline, noclone, noipa)) static void visited(uint64_t number)
{
	asm volatile("nop\n\tnop\n\tnop" : : "r"(number) : "memory");
}

/* Counts, with a pause now and then: a debugger that looks at each call need not hurry. */
static void work(void)
{
	for (;;) {
		visited(subject->count + 1);
		subject->count++;
		subject->watched = 3 * subject->count;
		if (subject->count % 64 == 0)
			sleep_ms(1);
	}
}

static void make_subject(void)
{
	subject = map_pages(1, RW);
	subject->memory = map_pages(PAGES, RW);
	fill(subject->memory, BYTES, 1);
}

/* A process that does that, away. */
static pid_t begin(void (*function)(void))
{
	pid_t pid;

	make_subject();
	pid = DO(fork());
	if (!pid) {
		function();
		_exit(1);
	}
	away_pid(pid);
	return pid;
}

static uint64_t peek(pid_t pid, const volatile uint64_t *word)
{
	uint64_t value = 0;
	struct iovec here = { &value, 8 }, there = { (void *)word, 8 };

	EQUAL(process_vm_readv(pid, &here, 1, &there, 1, 0), 8);
	return value;
}

static void await_count(pid_t pid, uint64_t more)
{
	uint64_t wanted = peek(pid, &subject->count) + more, end = now_ns() + PATIENCE_NS;

	while (peek(pid, &subject->count) < wanted && now_ns() < end)
		sleep_ms(5);
	CHECK(peek(pid, &subject->count) >= wanted);
}

/* Nobody asks for it: it was asked to be there, and still is. */
static void goes_on_where_it_was(pid_t pid)
{
	uint64_t end = now_ns() + PATIENCE_NS;
	bool is_out = !moving();

	while (!is_out && now_ns() < end) {
		sleep_ms(10);
		is_out = where_is(pid, pid);	/* it may come home for something of its own */
	}
	CHECK(is_out);
	await_count(pid, 3);
}

static void finish(pid_t pid)
{
	int status;

	DO(kill(pid, SIGKILL));
	EQUAL(waitpid(pid, &status, 0), pid);
	EQUAL(status, SIGKILL);
}

/* ------------------------------------------------------------- by ptrace */

/* Stops it, wherever it is. */
static void seize(pid_t pid, long options)
{
	int status;

	DO(ptrace(PTRACE_SEIZE, pid, 0, options));
	DO(ptrace(PTRACE_INTERRUPT, pid, 0, 0));
	EQUAL(waitpid(pid, &status, 0), pid);
	EQUAL(status >> 16, PTRACE_EVENT_STOP);
	if (moving())
		EQUAL(where_is(pid, pid), 0);
}

static void await_trap(pid_t pid)
{
	int status;

	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSTOPPED(status));
	EQUAL(WSTOPSIG(status), SIGTRAP);
}

static long word_at(pid_t pid, const void *address)
{
	long word;

	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, pid, address, 0);
	EQUAL(errno, 0);
	return word;
}

/* Set in the text of a program that runs elsewhere, met, and taken out again. */
static void breakpoint(void)
{
	pid_t pid = begin(work);
	struct user_regs_struct registers;

	await_count(pid, 3);
	for (int round = 0; round < 3; round++) {
		uint64_t last = 0;
		long text;

		seize(pid, 0);
		text = word_at(pid, visited);
		DO(ptrace(PTRACE_POKETEXT, pid, visited, (text & ~0xffl) | 0xcc));
		for (int times = 0; times < 4; times++) {
			DO(ptrace(PTRACE_CONT, pid, 0, 0));
			await_trap(pid);
			DO(ptrace(PTRACE_GETREGS, pid, 0, &registers));
			EQUAL(registers.rip, (uintptr_t)visited + 1);
			EQUAL(registers.rdi, peek(pid, &subject->count) + 1);
			if (last)
				EQUAL(registers.rdi, last + 1);
			last = registers.rdi;
			/* Over it: the instruction that was there, and then the trap again. */
			DO(ptrace(PTRACE_POKETEXT, pid, visited, text));
			registers.rip--;
			DO(ptrace(PTRACE_SETREGS, pid, 0, &registers));
			DO(ptrace(PTRACE_SINGLESTEP, pid, 0, 0));
			await_trap(pid);
			DO(ptrace(PTRACE_GETREGS, pid, 0, &registers));
			CHECK(registers.rip > (uintptr_t)visited &&
			      registers.rip < (uintptr_t)visited + 16);
			if (times < 3)
				DO(ptrace(PTRACE_POKETEXT, pid, visited, (text & ~0xffl) | 0xcc));
		}
		DO(ptrace(PTRACE_DETACH, pid, 0, 0));
		goes_on_where_it_was(pid);
	}
	finish(pid);
}

extern const char step_here[];

static void spin_in_steps(void)
{
	asm volatile("xor %%r12, %%r12\n\t"
		     "step_here:\n1:\t inc %%r12\n\t"
		     "mov %%r12, %0\n\t"
		     "jmp 1b"
		     : "=m"(subject->count) : : "r12", "memory");
}

/* Each step is one instruction, of a loop that was in the midst of it elsewhere. */
static void single_steps(void)
{
	pid_t pid = begin(spin_in_steps);
	struct user_regs_struct before, after;

	await_count(pid, 1000);
	for (int round = 0; round < 2; round++) {
		seize(pid, 0);
		DO(ptrace(PTRACE_GETREGS, pid, 0, &before));
		EQUAL(before.r12 - peek(pid, &subject->count) <= 1, 1);
		for (int i = 0; i < 60; i++) {
			DO(ptrace(PTRACE_SINGLESTEP, pid, 0, 0));
			await_trap(pid);
			DO(ptrace(PTRACE_GETREGS, pid, 0, &after));
			CHECK(after.rip >= (uintptr_t)step_here &&
			      after.rip < (uintptr_t)step_here + 24);
		}
		EQUAL(after.rip, before.rip);	/* three instructions, twenty times */
		EQUAL(after.r12, before.r12 + 20);
		DO(ptrace(PTRACE_DETACH, pid, 0, 0));
		goes_on_where_it_was(pid);
	}
	finish(pid);
}

static void set_register(pid_t pid, int number, uint64_t value)
{
	size_t offset = offsetof(struct user, u_debugreg[number]);

	if (ptrace(PTRACE_POKEUSER, pid, offset, value))
		skip("no debug registers: %s", strerror(errno));
}

/* Whoever writes this word is stopped after it; NULL: nobody is. */
static void set_watchpoint(pid_t pid, const volatile uint64_t *word)
{
	enum { LOCAL_0 = 1, WRITES_0 = 1 << 16, EIGHT_BYTES_0 = 2 << 18 };

	set_register(pid, 0, (uintptr_t)word);
	set_register(pid, 7, word ? LOCAL_0 | WRITES_0 | EIGHT_BYTES_0 : 0);
}

/* Virtual machines need not have them: one that never leaves home tells. */
static void need_watchpoints(void)
{
	pid_t pid;
	int status;

	make_subject();
	pid = DO(fork());
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		subject->watched = 1;
		_exit(0);
	}
	EQUAL(waitpid(pid, &status, 0), pid);
	set_watchpoint(pid, &subject->watched);
	DO(ptrace(PTRACE_CONT, pid, 0, 0));
	EQUAL(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		skip("this machine's debug registers do nothing");
	finish(pid);
}

/* The processor stops it after each write to a word; unset, it may leave again. */
static void watchpoint(void)
{
	pid_t pid;

	need_watchpoints();
	pid = begin(work);
	await_count(pid, 3);
	for (int round = 0; round < 2; round++) {
		uint64_t last = 0;

		seize(pid, 0);
		set_watchpoint(pid, &subject->watched);
		for (int times = 0; times < 4; times++) {
			DO(ptrace(PTRACE_CONT, pid, 0, 0));
			await_trap(pid);
			errno = 0;
			EQUAL(ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, u_debugreg[6]), 0)
			      & 1, 1);
			EQUAL(peek(pid, &subject->watched), 3 * peek(pid, &subject->count));
			if (last)
				EQUAL(peek(pid, &subject->watched), last + 3);
			last = peek(pid, &subject->watched);
		}
		set_watchpoint(pid, NULL);
		DO(ptrace(PTRACE_DETACH, pid, 0, 0));
		goes_on_where_it_was(pid);
	}
	finish(pid);
}

/* One that traces without stopping sees calls of a thread that is at home for it. */
static void stopped_at_calls(void)
{
	pid_t pid = begin(work);
	struct user_regs_struct registers;
	int status;

	await_count(pid, 3);
	seize(pid, PTRACE_O_TRACESYSGOOD);
	for (int i = 0; i < 6; i++) {
		DO(ptrace(PTRACE_SYSCALL, pid, 0, 0));
		EQUAL(waitpid(pid, &status, 0), pid);
		EQUAL(WSTOPSIG(status), SIGTRAP | 0x80);
		DO(ptrace(PTRACE_GETREGS, pid, 0, &registers));
	}
	DO(ptrace(PTRACE_DETACH, pid, 0, 0));
	goes_on_where_it_was(pid);
	finish(pid);
}

/* ------------------------------------------------- by tools of Debian's */

/* Breakpoint, watchpoint (by steps), steps and a change of memory, as somebody types them. */
static void gdb_session(void)
{
	const char *said;
	pid_t pid;

	need_tool("/usr/bin/gdb");
	pid = begin(work);
	await_count(pid, 3);
	said = printed("gdb -nx -batch -p %d -ex 'set can-use-hw-watchpoints 0' "
		       "-ex 'break *%p' -ex continue -ex 'delete 1' -ex 'watch *(unsigned long *)%p' -ex continue -ex 'delete 2' "
		       "-ex 'stepi' -ex 'stepi' -ex 'info registers rip' "
		       "-ex 'set variable *(unsigned long *)%p = 7777777' -ex detach "
		       "2>&1 </dev/null", pid, visited, &subject->watched, &subject->count);
	CHECK(has(said, "Breakpoint 1, "));
	CHECK(has(said, "Old value = "));
	CHECK(has(said, "New value = "));
	CHECK(has(said, "detached"));
	goes_on_where_it_was(pid);
	CHECK(peek(pid, &subject->count) > 7777777);
	EQUAL(peek(pid, &subject->watched) % 3, 0);
	finish(pid);
}

static void fork_and_work(void)
{
	for (uint64_t i = 1;; i++) {
		pid_t child = fork();

		if (!child) {
			getpgid(99999);
			_exit(i % 100);
		}
		if (child < 0 || waitpid(child, NULL, 0) != child)
			_exit(3);
		subject->count++;
	}
}

/* Its children are followed, and it is let go. */
static void strace_follows(void)
{
	char path[] = "/tmp/st-strace-XXXXXX";
	uint64_t end = now_ns() + PATIENCE_NS;
	bool seen = false;
	int status;
	pid_t pid, strace;

	need_tool("/usr/bin/strace");
	DO(close(DO(mkstemp(path))));
	pid = begin(fork_and_work);
	strace = strace_begins(path, pid, "trace=all");
	while (!seen && now_ns() < end) {
		const char *log;

		sleep_ms(50);
		/* Its first lines are enough; a child's begin with its own number. */
		log = strstr(read_text(path), " getpgid(99999)");
		seen = log && strstr(read_text(path), "+++ exited with ");
	}
	CHECK(seen);
	DO(kill(strace, SIGINT));
	EQUAL(waitpid(strace, &status, 0), strace);
	unlink(path);
	goes_on_where_it_was(pid);
	finish(pid);
}

/* They only read: it does not come home for them, and what they read is true. */
static void lists(void)
{
	char path[] = "/tmp/st-listed-XXXXXX";
	int file = DO(mkstemp(path)), node;
	pid_t pid;

	DO(lseek(file, 5, SEEK_SET));
	pid = begin(work);
	unlink(path);
	await_count(pid, 3);
	node = where_is(pid, pid);
	CHECK(has(printed("ps -o pid=,comm=,nlwp= -p %d", pid), "%d observe_tools", pid));
	CHECK(has(printed("TERM=dumb top -b -n 1 -p %d", pid), "%d ", pid));
	CHECK(has(printed("pmap %d", pid), "total"));
	CHECK(has(printed("pwdx %d", pid), "%d: ", pid));
	if (!access("/usr/bin/lsof", X_OK)) {
		const char *said = printed("lsof -w -p %d 2>/dev/null", pid);

		CHECK(has(said, "st-listed-"));
		CHECK(has(said, "/observe_tools"));
	} else {
		note("no lsof");
	}
	EQUAL(where_is(pid, pid), node);
	await_count(pid, 3);
	finish(pid);
}

/* The number that perf gives for an event, which has to be one. */
static double counted(const char *said, const char *event)
{
	const char *name = strstr(said, event), *line = name;
	double value = -1;

	CHECK(name);
	while (line > said && line[-1] != '\n')
		line--;
	if (sscanf(line, "%lf,", &value) != 1)
		fail(__FILE__, __LINE__, "%s is no number: %.60s", event, line);
	return value;
}

/* It counts for as long as it is told to, disturbs nobody, and ends. */
static void perf_attaches(void)
{
	double ms, switches;
	const char *said;
	uint64_t start;
	pid_t pid;

	need_tool("/usr/bin/perf");
	pid = begin(work);
	await_count(pid, 3);
	if (system("perf stat -x, -e task-clock -- true >/dev/null 2>&1"))
		skip("perf counts nothing here");
	start = now_ns();
	said = printed("perf stat -x, -e task-clock,context-switches -p %d -- sleep 1 2>&1", pid);
	ms = counted(said, ",msec,task-clock");
	switches = counted(said, ",,context-switches");
	note("%.2f ms, %.0f switches", ms, switches);
	/* It sleeps most of the time, and who sleeps for it at home has to be woken for that. */
	CHECK(ms > 0 && ms * 1e6 < now_ns() - start);
	CHECK(switches >= 1 && switches < 100000);
	goes_on_where_it_was(pid);
	finish(pid);
}

/* How often perf finds the process at work, who looks a hundred times a second. */
static int samples(pid_t pid, const char *path)
{
	int found;

	printed("perf record -q -e cpu-clock -F 100 -o %s -p %d -- sleep 1 2>&1", path, pid);
	found = occurrences(printed("perf script -i %s -F comm,pid,ip 2>/dev/null", path), "observe_tools");
	if (found)
		CHECK(has(printed("perf report --stdio -i %s --sort comm 2>/dev/null", path),
			  "observe_tools"));
	note("%d samples", found);
	return found;
}

/* Nothing that it computes elsewhere, all that it does at home. */
static void perf_samples(void)
{
	char path[] = "/tmp/st-perf-XXXXXX";
	pid_t pid;

	need_tool("/usr/bin/perf");
	DO(close(DO(mkstemp(path))));
	if (system("perf record -q -e cpu-clock -o /dev/null -- true >/dev/null 2>&1"))
		skip("perf samples nothing here");
	pid = begin(spin_in_steps);
	await_count(pid, 1000);
	CHECK(moving() ? !samples(pid, path) : samples(pid, path));
	await_count(pid, 1000);
	EQUAL(where_is(pid, pid) != 0, moving());
	home_pid(pid);
	CHECK(samples(pid, path));
	away_pid(pid);
	CHECK(moving() ? !samples(pid, path) : samples(pid, path));
	unlink(path);
	finish(pid);
}

/* It may refuse; the process goes on as if nobody had looked, whatever it has put into it. */
static void criu_dumps(void)
{
	char directory[] = "/tmp/st-criu-XXXXXX", command[200];
	int status;
	pid_t pid;

	need_tool("/usr/sbin/criu");
	CHECK(mkdtemp(directory));
	pid = begin(work);
	for (int round = 0; round < 2; round++) {
		await_count(pid, 3);
		snprintf(command, sizeof(command), "criu dump -t %d --leave-running --shell-job -D %s "
			 ">/dev/null 2>&1 </dev/null", pid, directory);
		status = system(command);
		note("criu ended with %d", WEXITSTATUS(status));
		CHECK(WIFEXITED(status));
		goes_on_where_it_was(pid);
	}
	finish(pid);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(breakpoint), CASE(single_steps), CASE(watchpoint), CASE(stopped_at_calls),
		{ "gdb_session", gdb_session, 60 }, { "strace_follows", strace_follows, 60 },
		{ "lists", lists, 60 }, { "perf_attaches", perf_attaches, 60 },
		{ "perf_samples", perf_samples, 60 },
		{ "criu_dumps", criu_dumps, 60 },
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

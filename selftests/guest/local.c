// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that are answered where the thread is: who it is, while it changes and while others
 * change it; and those who watch calls see all of them.
 */
#include "crew.h"
#include "filter.h"

#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

enum {
	ROUNDS	= 200,	/* of a loop whose calls would be counted at home */
	FEW	= 20,	/* those with which the harness is asked */
	WAIT_S	= 60,	/* for another to do something */
};

static const int id_calls[] = {
	SYS_getpid, SYS_gettid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid,
};

enum { IDS = sizeof(id_calls) / sizeof(*id_calls) };

static void ask_ids(long ids[IDS])
{
	for (int i = 0; i < IDS; i++)
		ids[i] = syscall(id_calls[i]);
}

/* Calls that home has made for the caller. */
static int my_calls(void)
{
	return calls_of(getpid(), gettid());
}

/* ---- who it is ---- */

static void ids_take_no_call(void)
{
	long ids[IDS], now[IDS];
	int calls;

	ask_ids(ids);
	EQUAL(ids[0], ids[1]);
	away();
	calls = my_calls();
	for (int i = 0; i < ROUNDS; i++) {
		ask_ids(now);
		CHECK(!memcmp(ids, now, sizeof(ids)));
		EQUAL(sched_yield(), 0);
	}
	calls = my_calls() - calls;
	CHECK(calls <= FEW);
	EQUAL(where() != 0, moving());
	/* What others can change is asked of home; so the calls are counted. */
	calls = my_calls();
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(getppid() > 0);
		CHECK(syscall(SYS_getpgrp) > 0);
	}
	calls = my_calls() - calls;
	CHECK(calls >= (moving() ? 2 * ROUNDS : 0));
}

/* Between two instructions of a thread that makes nothing but such calls. */
static void moved_between_calls(void)
{
	long ids[IDS], now[IDS];

	ask_ids(ids);
	for (int round = 0; round < 4; round++) {
		uint64_t end = now_ns() + 200000000;

		during("3 A 9 H 5 A 12 H 2 A");
		do {
			ask_ids(now);
			CHECK(!memcmp(ids, now, sizeof(ids)));
		} while (now_ns() < end);
		during_end();
	}
}

static volatile sig_atomic_t caught;
static volatile char selector ALONE;	/* of user dispatch */

/* The way back from here is a call, too. */
static void catch(int number, siginfo_t *info, void *context)
{
	(void)context;
	selector = SYSCALL_DISPATCH_FILTER_ALLOW;
	caught = info->si_code == SI_USER ? number : -info->si_syscall;
}

static void handle(int number)
{
	struct sigaction action = { .sa_sigaction = catch, .sa_flags = SA_SIGINFO };

	caught = 0;
	DO(sigaction(number, &action, NULL));
}

static void send_signal(void *pid)
{
	DO(kill(*(pid_t *)pid, SIGUSR1));
}

/* The loop makes no call that comes to home by itself. */
static void signal_breaks_in(void)
{
	pid_t pid = getpid(), sender;
	uint64_t end;

	handle(SIGUSR1);
	away();
	sender = later(100, send_signal, &pid);
	end = now_ns() + WAIT_S * 1000000000ull;
	while (!caught && now_ns() < end)
		EQUAL(syscall(SYS_gettid), pid);
	EQUAL(caught, SIGUSR1);
	reap(sender);
}

static void own_changes(void)
{
	long ids[IDS];
	int calls;

	need_root();
	away();
	DO(setresgid(3001, 3002, 3003));
	EQUAL(syscall(SYS_getgid), 3001);
	EQUAL(syscall(SYS_getegid), 3002);
	DO(setregid(-1, 3003));
	EQUAL(syscall(SYS_getegid), 3003);
	DO(setgid(3004));
	ask_ids(ids);
	CHECK(ids[4] == 3004 && ids[5] == 3004);
	DO(setresuid(4001, 4002, 4003));
	EQUAL(syscall(SYS_getuid), 4001);
	EQUAL(syscall(SYS_geteuid), 4002);
	EQUAL(setuid(0), -1);
	EQUAL(errno, EPERM);
	DO(setreuid(4002, 4003));
	ask_ids(ids);
	CHECK(ids[2] == 4002 && ids[3] == 4003);
	DO(setuid(4002));
	calls = my_calls();
	for (int i = 0; i < ROUNDS; i++) {
		ask_ids(ids);
		CHECK(ids[2] == 4002 && ids[3] == 4002 && ids[4] == 3004 && ids[5] == 3004);
	}
	calls = my_calls() - calls;
	CHECK(calls <= FEW);
	home();
	ask_ids(ids);
	CHECK(ids[2] == 4002 && ids[3] == 4002 && ids[4] == 3004 && ids[5] == 3004);
}

static atomic_int begun ALONE;
static atomic_int result ALONE;

/* Until the C library of another thread has changed this one's ids, by a signal. */
static void *await_change(void *unused)
{
	uint64_t end;

	(void)unused;
	go(2);
	atomic_store(&begun, 1);
	end = now_ns() + WAIT_S * 1000000000ull;
	while (syscall(SYS_getuid) == 0 && now_ns() < end)
		;
	EQUAL(syscall(SYS_getuid), 4321);
	EQUAL(syscall(SYS_geteuid), 4321);
	return NULL;
}

static void await(atomic_int *word)
{
	while (!atomic_load(word))
		sleep_ms(5);
}

static void siblings_changes(void)
{
	pthread_t sibling;

	need_root();
	DO(setuid(0));
	EQUAL(pthread_create(&sibling, NULL, await_change, NULL), 0);
	await(&begun);
	DO(setuid(4321));
	EQUAL(pthread_join(sibling, NULL), 0);
}

/*
 * Before the map of its user namespace is written it is nobody; who writes it is another
 * process, while this one asks again and again.
 */
static void map_is_written(void)
{
	int ends[2], there[2], calls;
	char path[40], byte;
	uint64_t end;
	pid_t child;

	need_root();
	DO(pipe(ends));
	DO(pipe(there));
	child = DO(fork());
	if (!child) {
		away();
		if (unshare(CLONE_NEWUSER))
			_exit(1);
		if (syscall(SYS_getuid) != 65534 || syscall(SYS_getegid) != 65534)
			_exit(2);
		if (write(ends[1], "x", 1) != 1 || read(there[0], &byte, 1) != 1)
			_exit(3);
		end = now_ns() + WAIT_S * 1000000000ull;
		while ((syscall(SYS_getuid) != 77 || syscall(SYS_getegid) != 88) && now_ns() < end)
			;
		_exit(syscall(SYS_getuid) == 77 && syscall(SYS_getegid) == 88 ? 0 : 4);
	}
	EQUAL(read(ends[0], &byte, 1), 1);
	EQUAL(write(there[1], "x", 1), 1);
	/* It is in its loop when so many calls have come home: nothing else tells it the change. */
	calls = calls_of(child, child);
	end = now_ns() + WAIT_S * 1000000000ull;
	while (moving() && calls_of(child, child) < calls + 20 && now_ns() < end)
		sleep_ms(5);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", child);
	write_text(path, "77 0 1");
	snprintf(path, sizeof(path), "/proc/%d/gid_map", child);
	write_text(path, "88 0 1");
	reap(child);
}

/* Number one of its own PID namespace. */
static void pid_namespace(void)
{
	int ends[2], back[2], calls;
	pid_t child;
	char byte;

	need_root();
	DO(pipe(ends));
	DO(pipe(back));
	DO(unshare(CLONE_NEWPID));
	child = DO(fork());
	if (!child) {
		if (read(ends[0], &byte, 1) != 1)
			_exit(1);
		for (int i = 0; i < ROUNDS; i++)
			if (syscall(SYS_getpid) != 1 || syscall(SYS_gettid) != 1)
				_exit(2);
		if (write(back[1], "x", 1) != 1 || read(ends[0], &byte, 1) != 1)
			_exit(3);
		_exit(0);
	}
	away_pid(child);
	calls = calls_of(child, child);
	EQUAL(write(ends[1], "x", 1), 1);
	EQUAL(read(back[0], &byte, 1), 1);
	calls = calls_of(child, child) - calls;
	CHECK(calls <= FEW);
	EQUAL(write(ends[1], "x", 1), 1);
	reap(child);
}

/* Away, or going there: it is who is told at the start. Not through the C library's memory. */
static bool is_itself(pid_t pid, pid_t tid)
{
	for (int i = 0; i < ROUNDS; i++)
		if (syscall(SYS_getpid) != pid || syscall(SYS_gettid) != tid)
			return false;
	return true;
}

static void *new_thread(void *pid)
{
	pid_t self = *(pid_t *)pid, tid = syscall(SYS_gettid);

	CHECK(tid != self);
	EQUAL(syscall(SYS_getpid), self);
	send_thread(self, tid, 2);
	CHECK(is_itself(self, tid));
	return (void *)(long)tid;
}

static void children_have_their_own(void)
{
	pid_t pid = getpid(), child;
	pthread_t thread;
	pid_t told;
	int ends[2];
	void *tid;

	DO(pipe(ends));
	away();
	child = DO(fork());
	if (!child) {
		pid_t own = syscall(SYS_getpid);

		away();
		CHECK(own != pid && is_itself(own, own));
		EQUAL(write(ends[1], &own, sizeof(own)), sizeof(own));
		_exit(0);
	}
	CHECK(is_itself(pid, pid));
	reap(child);
	EQUAL(read(ends[0], &told, sizeof(told)), sizeof(told));
	EQUAL(told, child);
	away();
	child = vfork();
	if (!child)
		_exit(syscall(SYS_getpid) == pid);
	CHECK(child > 0 && is_itself(pid, pid));
	reap(child);
	away();
	EQUAL(pthread_create(&thread, NULL, new_thread, &pid), 0);
	CHECK(is_itself(pid, pid));
	EQUAL(pthread_join(thread, &tid), 0);
	CHECK((pid_t)(long)tid != pid);
}

/* What a thread executes that is not the first: it becomes the first. */
static int executed(const char *number)
{
	uint64_t end = now_ns() + 600000000;
	pid_t pid = atoi(number);

	do {
		if (!is_itself(pid, pid))
			return 1;
	} while (now_ns() < end);
	return 0;
}

/* The harness answers one process at a time. */
static int gone[2];

static void *execute(void *number)
{
	char *arguments[] = { "local", "executed", number, NULL };

	go(2);
	EQUAL(write(gone[1], "g", 1), 1);
	if (syscall(SYS_gettid) != syscall(SYS_getpid))
		execv("/proc/self/exe", arguments);
	_exit(99);
}

static void exec_changes_the_number(void)
{
	pid_t child;
	char byte;

	DO(pipe(gone));
	child = DO(fork());
	if (!child) {
		pthread_t thread;
		char number[20];

		snprintf(number, sizeof(number), "%d", getpid());
		EQUAL(pthread_create(&thread, NULL, execute, number), 0);
		for (;;)
			pause();
	}
	EQUAL(read(gone[0], &byte, 1), 1);
	during("%d: 100 a 60 h 40 a 80 h 50 a", child);
	during_end();
	reap(child);
}

/* ---- who watches ---- */

static struct sock_filter filter[FILTER_STEPS];
static const struct sock_fprog program = { FILTER_STEPS, filter };

static void install(unsigned int call, unsigned int action)
{
	filter_make(filter, call, action);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
		skip("seccomp: %s", strerror(errno));
}

/* Each from now on. Those that the harness makes itself are none of them. */
static void is_filtered(int call, int error)
{
	for (int i = 0; i < 5; i++) {
		errno = 0;
		EQUAL(syscall(call, 0, 0), -1);
		EQUAL(errno, error);
	}
}

/* What is made where the thread is, and changes nothing but its registers. */
static void base_is_filtered(int error)
{
	unsigned long base;

	errno = 0;
	EQUAL(syscall(SYS_arch_prctl, ARCH_GET_FS, &base), -1);
	EQUAL(errno, error);
}

static void filter_from_before(void)
{
	install(SYS_getegid, SECCOMP_RET_ERRNO | 77);
	is_filtered(SYS_getegid, 77);
	install(SYS_arch_prctl, SECCOMP_RET_ERRNO | 76);
	base_is_filtered(76);
	away();
	is_filtered(SYS_getegid, 77);
	base_is_filtered(76);
	EQUAL(syscall(SYS_getpid), getpid());
	EQUAL(returns("WATCHED") > 4, moving());
}

static void filter_while_away(void)
{
	uid_t id = geteuid();

	away();
	EQUAL(syscall(SYS_geteuid), id);
	install(SYS_geteuid, SECCOMP_RET_ERRNO | 78);
	is_filtered(SYS_geteuid, 78);
	filter_make(filter, SYS_clock_gettime, SECCOMP_RET_ERRNO | 79);
	DO(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
	is_filtered(SYS_clock_gettime, 79);
	install(SYS_sched_yield, SECCOMP_RET_ERRNO | 80);
	is_filtered(SYS_sched_yield, 80);
	install(SYS_arch_prctl, SECCOMP_RET_ERRNO | 76);
	base_is_filtered(76);
	handle(SIGSYS);
	install(SYS_gettid, SECCOMP_RET_TRAP);
	syscall(SYS_gettid);
	EQUAL(caught, -SYS_gettid);
	home();
	is_filtered(SYS_geteuid, 78);
}

enum way { BY_SECCOMP, BY_THE_OLD_GATE };

/* seccomp() with TSYNC, by one of two ways into the kernel; 0 or a negative error. */
static long filter_all(enum way way)
{
	struct { uint16_t len; uint32_t filter; } *low;
	long ax = 354;		/* as 32-bit programs number it */

	filter_make(filter, SYS_getgid, SECCOMP_RET_ERRNO | 81);
	if (way == BY_SECCOMP)
		return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
			       &program) ? -errno : 0;
	low = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	CHECK(low != MAP_FAILED);
	memcpy(low + 1, filter, sizeof(filter));
	low->len = 4;
	low->filter = (uint32_t)(uintptr_t)(low + 1);
	asm volatile("int $0x80" : "+a"(ax) : "b"(SECCOMP_SET_MODE_FILTER),
		     "c"(SECCOMP_FILTER_FLAG_TSYNC), "d"(low)
		     : "r8", "r9", "r10", "r11", "memory");
	return ax;
}

static atomic_int filtered ALONE;

/* Once the sibling has its filter, so has this thread. It makes no other calls. */
static void *await_filter(void *id)
{
	uint64_t end;
	long answer;
	int before;

	go(2);
	EQUAL(syscall(SYS_getgid), *(gid_t *)id);
	atomic_store(&begun, 1);
	end = now_ns() + WAIT_S * 1000000000ull;
	do {
		before = atomic_load(&filtered);
		answer = syscall(SYS_getgid);
		if (answer == -1 && errno == 81)
			atomic_store(&result, 1);
		else if (answer != *(gid_t *)id || before)
			atomic_store(&result, 2);
	} while (!atomic_load(&result) && now_ns() < end);
	return NULL;
}

static void filter_a_sibling(enum way way, unsigned int from)
{
	gid_t id = getgid();
	pthread_t sibling;
	long error;

	EQUAL(pthread_create(&sibling, NULL, await_filter, &id), 0);
	await(&begun);
	go(from);
	error = filter_all(way);
	if (error == -ENOSYS)
		skip("no such call");
	EQUAL(error, 0);
	atomic_store(&filtered, 1);
	EQUAL(pthread_join(sibling, NULL), 0);
	EQUAL(atomic_load(&result), 1);
	is_filtered(SYS_getgid, 81);
}

static void filter_of_a_sibling_at_home(void)
{
	filter_a_sibling(BY_SECCOMP, 0);
}

static void filter_of_a_sibling_away(void)
{
	filter_a_sibling(BY_SECCOMP, 2);
}

static void filter_by_the_old_gate(void)
{
	pid_t pid = DO(fork());
	int status;

	if (!pid) {
		long ax = 20;

		asm volatile("int $0x80" : "+a"(ax) : : "r8", "r9", "r10", "r11", "memory");
		_exit(ax != getpid());
	}
	EQUAL(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status) || WEXITSTATUS(status))
		skip("no 32-bit programs");
	filter_a_sibling(BY_THE_OLD_GATE, 0);
}

static void dispatched(void)
{
	selector = SYSCALL_DISPATCH_FILTER_ALLOW;
	handle(SIGSYS);
	away();
	EQUAL(syscall(SYS_getpid), getpid());
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector))
		skip("prctl: %s", strerror(errno));
	EQUAL(syscall(SYS_getpid), getpid());
	for (int i = 0; i < 3; i++) {
		caught = 0;
		selector = SYSCALL_DISPATCH_FILTER_BLOCK;
		syscall(SYS_getpid);
		EQUAL(caught, -SYS_getpid);
	}
	DO(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0));
	away();
	EQUAL(syscall(SYS_getpid), getpid());
}

/* Which of two calls that it makes in turn a tracer sees, of so many stops. */
static void traced(void)
{
	struct user_regs_struct regs;
	int seen = 0, other = SYS_getpid;
	int status, ends[2];
	pid_t child;
	char byte;

	DO(pipe(ends));
	child = DO(fork());
	if (!child) {
		EQUAL(write(ends[1], "", 1), 1);
		for (;;)
			syscall(SYS_getpid);
	}
	/* Or the calls would be seen that fork() makes in a child. */
	EQUAL(read(ends[0], &byte, 1), 1);
	away_pid(child);
	DO(ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_TRACESYSGOOD));
	DO(ptrace(PTRACE_INTERRUPT, child, 0, 0));
	for (int i = 0; i < 20; i++) {
		EQUAL(waitpid(child, &status, __WALL), child);
		CHECK(WIFSTOPPED(status));
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			DO(ptrace(PTRACE_GETREGS, child, 0, &regs));
			seen += regs.orig_rax == SYS_getpid;
			if (regs.orig_rax != SYS_getpid)
				other = regs.orig_rax;
		}
		DO(ptrace(PTRACE_SYSCALL, child, 0, 0));
	}
	EQUAL(other, SYS_getpid);
	CHECK(seen >= 15);
	DO(kill(child, SIGKILL));
	EQUAL(waitpid(child, &status, __WALL), child);
}

#define INSTANCE "/sys/kernel/tracing/instances/radium-st"

/* Whether the log of system calls has this one of the process. */
static bool is_logged(pid_t pid, int call)
{
	char line[300], who[20], what[20];
	FILE *log = fopen(INSTANCE "/trace", "r");
	bool found = false;

	CHECK(log);
	snprintf(who, sizeof(who), "-%d ", pid);
	snprintf(what, sizeof(what), ": NR %d ", call);
	while (!found && fgets(line, sizeof(line), log))
		found = strstr(line, who) && strstr(line, what);
	fclose(log);
	return found;
}

/* Switched on while a thread is away that makes no call but one that is answered there. */
static void tracepoint(void)
{
	char number[20];
	bool seen = false;
	uint64_t end;
	pid_t child;

	need_root();
	if (moving())
		mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	rmdir(INSTANCE);
	if (mkdir(INSTANCE, 0755))
		skip(INSTANCE ": %s", strerror(errno));
	child = DO(fork());
	if (!child)
		for (;;)
			syscall(SYS_getpid);
	away_pid(child);
	snprintf(number, sizeof(number), "%d", child);
	write_text(INSTANCE "/set_event_pid", number);
	write_text(INSTANCE "/events/raw_syscalls/sys_enter/enable", "1");
	for (end = now_ns() + WAIT_S * 1000000000ull; !seen && now_ns() < end; sleep_ms(20))
		seen = is_logged(child, SYS_getpid);
	write_text(INSTANCE "/events/raw_syscalls/sys_enter/enable", "0");
	DO(kill(child, SIGKILL));
	EQUAL(waitpid(child, NULL, 0), child);
	DO(rmdir(INSTANCE));
	CHECK(seen);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(ids_take_no_call), CASE(moved_between_calls), CASE(signal_breaks_in),
		CASE(own_changes), CASE(siblings_changes), CASE(map_is_written),
		CASE(pid_namespace), CASE(children_have_their_own), CASE(exec_changes_the_number),
		CASE(filter_from_before), CASE(filter_while_away),
		CASE(filter_of_a_sibling_at_home), CASE(filter_of_a_sibling_away),
		CASE(filter_by_the_old_gate), CASE(dispatched), CASE(traced), CASE(tracepoint),
		{ 0 }
	};

	if (argc == 3 && !strcmp(argv[1], "executed"))
		return executed(argv[2]);
	return harness_main(argc, argv, cases);
}

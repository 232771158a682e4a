// SPDX-License-Identifier: GPL-2.0
/* fork, exec, wait, exit, and what a process has: all of it made away. */
#include "accounts.h"
#include "fault.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { BYTES = 32 * 4096 };

#define RW (PROT_READ | PROT_WRITE)

extern char **environ;

/* The child has the memory of that instant, and what either writes is its own. */
static void fork_copies(void)
{
	char *memory = map_pages(32, RW);
	int ends[2], go[2];
	pid_t child;
	char byte;

	DO(pipe(ends));
	DO(pipe(go));
	fill(memory, BYTES, 1);
	away();
	fill(memory, BYTES / 2, 2);
	child = DO(fork());
	if (!child) {
		CHECK(read(go[0], &byte, 1) == 1);
		EQUAL(differs(memory, BYTES / 2, 2), -1);
		fill(memory, BYTES, 4);
		CHECK(write(ends[1], "x", 1) == 1);
		CHECK(read(go[0], &byte, 1) == 1);
		EQUAL(differs(memory, BYTES, 4), -1);
		_exit(0);
	}
	away();
	fill(memory, BYTES, 3);		/* not seen by the child */
	EQUAL(write(go[1], "x", 1), 1);
	EQUAL(read(ends[0], &byte, 1), 1);
	EQUAL(differs(memory, BYTES, 3), -1);
	fill(memory, BYTES, 5);
	EQUAL(write(go[1], "x", 1), 1);
	reap(child);
	EQUAL(differs(memory, BYTES, 5), -1);
}

static void fork_many(void)
{
	volatile int *value = map_pages(1, RW);

	for (int i = 0; i < 12; i++) {
		pid_t child;
		int status;

		if (i % 2 == 0)
			away();
		*value = i;
		child = DO(fork());
		if (!child)
			_exit(*value + 100);
		*value = 77;
		EQUAL(waitpid(child, &status, 0), child);
		EQUAL(WEXITSTATUS(status), 100 + i);
	}
}

static void child_moves_too(void)
{
	char *memory = map_pages(32, RW);
	pid_t child;

	fill(memory, BYTES, 6);
	away();
	child = DO(fork());
	if (!child) {
		away();
		EQUAL(differs(memory, BYTES, 6), -1);
		fill(memory, BYTES, 7);
		home();
		EQUAL(differs(memory, BYTES, 7), -1);
		_exit(0);
	}
	reap(child);
	EQUAL(differs(memory, BYTES, 6), -1);
}

static void vfork_and_exec(void)
{
	char *const arguments[] = { "true", NULL };
	pid_t child;

	away();
	child = vfork();
	if (!child) {
		execv("/bin/true", arguments);
		_exit(9);
	}
	CHECK(child > 0);
	reap(child);
	away();
	DO(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ));
	reap(child);
}

static void exec_replaces(void)
{
	pid_t child = DO(fork());
	int status;

	if (!child) {
		away();
		execl("/bin/sh", "sh", "-c", "test $((40 + 2)) = 42 && exit 23", NULL);
		_exit(9);
	}
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(WEXITSTATUS(status), 23);
}

static void exec_fails(void)
{
	away();
	EQUAL(execl("/nonexistent", "x", NULL), -1);
	EQUAL(errno, ENOENT);
	EQUAL(execl("/etc/passwd", "x", NULL), -1);
	EQUAL(errno, EACCES);
}

static void shell_runs(void)
{
	char text[64] = "";
	FILE *pipe;

	away();
	EQUAL(WEXITSTATUS(system("exit 6")), 6);
	away();
	pipe = popen("echo one two | wc -w", "r");
	CHECK(pipe && fgets(text, sizeof(text), pipe));
	EQUAL(atoi(text), 2);
	EQUAL(pclose(pipe), 0);
}

static void exit_codes(void)
{
	for (int i = 0; i < 4; i++) {
		pid_t child = DO(fork());
		int status;

		if (!child) {
			away();
			if (i == 0)
				_exit(0);
			if (i == 1)
				syscall(SYS_exit, 201);
			if (i == 2)
				exit(255);
			kill(getpid(), SIGUSR2);
		}
		EQUAL(waitpid(child, &status, 0), child);
		EQUAL(status, ((int[]){ 0, 201 << 8, 255 << 8, SIGUSR2 })[i]);
	}
}

static volatile int shared_by_threads;

static void *thread_main(void *argument)
{
	shared_by_threads = 5;
	compute_checked(100);
	return argument;
}

static void thread_starts(void)
{
	pthread_t thread;
	void *result;

	away();
	EQUAL(pthread_create(&thread, NULL, thread_main, (void *)0x55), 0);
	EQUAL(pthread_join(thread, &result), 0);
	EQUAL(result, 0x55);
	EQUAL(shared_by_threads, 5);
}

static int clone_child(void *argument)
{
	*(int *)argument = getppid();
	return 44;
}

static void raw_clone(void)
{
	char *stack = map_pages(16, RW);
	int seen = 0, status;
	pid_t child;

	away();
	child = DO(clone(clone_child, stack + 16 * 4096, CLONE_VM | SIGCHLD, &seen));
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(WEXITSTATUS(status), 44);
	EQUAL(seen, getpid());
}

static void identity(void)
{
	pid_t pid = getpid(), parent = getppid(), group = getpgrp(), session = getsid(0);
	char name[17] = "";

	away();
	EQUAL(getpid(), pid);
	EQUAL(syscall(SYS_gettid), pid);
	EQUAL(getppid(), parent);
	EQUAL(getpgrp(), group);
	EQUAL(getsid(0), session);
	DO(setsid());
	EQUAL(getsid(0), pid);
	DO(prctl(PR_SET_NAME, "moved"));
	home();
	DO(prctl(PR_GET_NAME, name));
	CHECK(!strcmp(name, "moved"));
	CHECK(!strcmp(read_text("/proc/self/comm"), "moved\n"));
	EQUAL(getsid(0), pid);
}

static void attributes(void)
{
	char where_am_i[100];
	struct rlimit limit = { 50, 60 };

	away();
	DO(chdir("/usr"));
	EQUAL(umask(027), 022);
	DO(setrlimit(RLIMIT_NOFILE, &limit));
	EQUAL(nice(5), 5);
	DO(setgid(65534));
	DO(setuid(65534));
	home();
	CHECK(getcwd(where_am_i, sizeof(where_am_i)) && !strcmp(where_am_i, "/usr"));
	EQUAL(umask(0), 027);
	EQUAL(getuid(), 65534);
	DO(getrlimit(RLIMIT_NOFILE, &limit));
	EQUAL(limit.rlim_cur, 50);
	EQUAL(getpriority(PRIO_PROCESS, 0), 5);
}

/* What a delegated close() releases is released when it returns. */
static void close_gives_end_of_file(void)
{
	int ends[2];
	pid_t reader;
	char byte;

	DO(pipe(ends));
	reader = DO(fork());
	if (!reader) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
	}
	away();
	close(ends[1]);
	compute_ms(300);	/* without a further call that could let it happen */
	reap(reader);
}

static void close_releases_locks(void)
{
	char path[] = "/tmp/st-close-XXXXXX";
	int file = DO(mkstemp(path)), other = DO(open(path, O_RDWR));

	away();
	for (int i = 0; i < 5; i++) {
		int holder = DO(open(path, O_RDWR));

		DO(flock(holder, LOCK_EX | LOCK_NB));
		EQUAL(flock(other, LOCK_EX | LOCK_NB), -1);
		close(holder);
		DO(flock(other, LOCK_EX | LOCK_NB));
		DO(flock(other, LOCK_UN));
	}
	close(file);
	unlink(path);
}

static void descriptors(void)
{
	int file, copy;

	away();
	file = DO(open("/dev/null", O_RDWR | O_CLOEXEC));
	copy = DO(dup2(file, 77));
	EQUAL(fcntl(copy, F_GETFD), 0);
	EQUAL(fcntl(file, F_GETFD), FD_CLOEXEC);
	close(file);
	EQUAL(fcntl(file, F_GETFD), -1);
	EQUAL(errno, EBADF);
	EQUAL(write(copy, "x", 1), 1);
	DO(close_range(70, 80, 0));
	EQUAL(fcntl(copy, F_GETFD), -1);
}

/* What has been computed away is there, once and whole, when the thread has come home. */
static void cpu_time_is_counted(void)
{
	enum { TRIES = 5 };
	struct accounts before, after;
	uint64_t begin, computed;
	int tries = 0;

	away();		/* the first move takes long */
	home();
	do {
		CHECK(tries++ < TRIES);
		look_at_accounts(&before);
		away();
		begin = now_ns();
		compute_for(600 * slower());
		computed = now_ns() - begin;
		home();
		look_at_accounts(&after);
	} while (!accounts_are_right(&before, &after, computed));
}

/* They become those of the nearest ancestor that has asked for it, which is away. */
static void orphans(void)
{
	int ends[2], asked = 0;
	pid_t child, grandchild, self = getpid();

	DO(pipe(ends));
	away();
	DO(prctl(PR_SET_CHILD_SUBREAPER, 1));
	home();
	DO(prctl(PR_GET_CHILD_SUBREAPER, &asked));
	EQUAL(asked, 1);
	away();
	child = DO(fork());
	if (!child) {
		away();
		grandchild = fork();
		if (!grandchild) {
			away();
			while (getppid() != self)
				sleep_ms(5);
			_exit(0);
		}
		_exit(write(ends[1], &grandchild, sizeof(grandchild)) < 0);
	}
	reap(child);
	EQUAL(read(ends[0], &grandchild, sizeof(grandchild)), sizeof(grandchild));
	reap(grandchild);
}

/*
 * At home the kernel writes the CPU number on each return to user mode. Away the
 * area says "not registered", because the numbers of another machine's CPUs mean
 * nothing to the program's per-CPU data: its users take their slow path.
 */
static bool rseq_is_right(const volatile struct rseq *area)
{
	int cpu = (int)area->cpu_id;

	return cpu == RSEQ_CPU_ID_UNINITIALIZED || (cpu >= 0 && cpu < sysconf(_SC_NPROCESSORS_CONF));
}

static void rseq_is_served(void)
{
	struct rseq *area = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);

	if (!__rseq_size)
		skip("glibc has not registered it");
	for (int i = 0; i < 4; i++) {
		away();
		compute_ms(30);
		CHECK(rseq_is_right(area));
		CHECK(sched_getcpu() >= 0);
		home();
		getppid();
		EQUAL((int)*(volatile __u32 *)&area->cpu_id >= 0, 1);
	}
}

/*
 * A program that begins away, or a thread that one makes that is away, registers its area there.
 * Left as it is, the area would say CPU 0, to everybody at once.
 */
static void rseq_made_away(void)
{
	volatile struct rseq *area = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);

	if (!__rseq_size)
		skip("glibc has not registered it");
	away();
	DO(syscall(SYS_rseq, area, sizeof(*area), RSEQ_FLAG_UNREGISTER, RSEQ_SIG));
	area->cpu_id_start = 0;
	area->cpu_id = 0;
	DO(syscall(SYS_rseq, area, sizeof(*area), 0, RSEQ_SIG));
	if (moving())
		EQUAL((int)area->cpu_id, RSEQ_CPU_ID_UNINITIALIZED);
	EQUAL(area->cpu_id_start < sysconf(_SC_NPROCESSORS_CONF), 1);
	home();
	getppid();
	EQUAL((int)area->cpu_id >= 0, 1);
}

/*
 * Who dies with a robust mutex leaves word: the kernel walks the dying thread's list, which
 * is in memory that may be away.
 */
static void robust_list(void)
{
	pthread_mutex_t *mutex = DO(mmap(NULL, 4096, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pthread_mutexattr_t kind;
	int ends[2], status;
	pid_t child;
	char byte;

	DO(pipe(ends));
	EQUAL(pthread_mutexattr_init(&kind), 0);
	EQUAL(pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST), 0);
	EQUAL(pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED), 0);
	EQUAL(pthread_mutex_init(mutex, &kind), 0);
	/* Locked at home or away, and ended by itself or killed. */
	for (int round = 0; round < 4; round++) {
		struct timespec limit;

		child = DO(fork());
		if (!child) {
			if (round < 2)
				away();
			EQUAL(pthread_mutex_lock(mutex), 0);
			away();
			compute_checked(100);
			EQUAL(write(ends[1], "l", 1), 1);
			if (round % 2)
				compute_checked(60000);
			_exit(0);
		}
		EQUAL(read(ends[0], &byte, 1), 1);
		if (round % 2) {
			EQUAL(pthread_mutex_trylock(mutex), EBUSY);
			DO(kill(child, SIGKILL));
		}
		DO(clock_gettime(CLOCK_REALTIME, &limit));
		limit.tv_sec += 60;
		EQUAL(pthread_mutex_timedlock(mutex, &limit), EOWNERDEAD);
		EQUAL(pthread_mutex_consistent(mutex), 0);
		EQUAL(pthread_mutex_unlock(mutex), 0);
		EQUAL(waitpid(child, &status, 0), child);
		EQUAL(status, round % 2 ? SIGKILL : 0);
	}
}

/*
 * A restartable sequence that reads the CPU's number first and last. Whatever happens in
 * between, it either ends with the same number or is aborted.
 */
struct sequence { uint32_t first, last; };

static bool restartable(volatile struct rseq *area, struct sequence *seen, uint64_t spins)
{
	bool done = false;

	asm volatile(
		".pushsection __rseq_cs, \"aw\"\n\t .balign 32\n"
		"3:\t .long 0, 0\n\t .quad 1f, 2f - 1f, 4f\n\t .popsection\n\t"
		"lea 3b(%%rip), %%rax\n\t mov %%rax, %[descriptor]\n"
		"1:\t mov %[cpu], %[first]\n"
		"5:\t dec %[spins]\n\t jnz 5b\n\t"
		"mov %[cpu], %[last]\n\t movb $1, %[done]\n"
		"2:\t jmp 6f\n\t"
		".long %c[signature]\n"
		"4:\n"
		"6:\n"
		: [descriptor] "=m"(area->rseq_cs), [first] "=&r"(seen->first),
		  [last] "=&r"(seen->last), [done] "+m"(done), [spins] "+&r"(spins)
		: [cpu] "m"(area->cpu_id), [signature] "i"(RSEQ_SIG)
		: "rax", "cc", "memory");
	return done;
}

static void rseq_is_aborted(void)
{
	volatile struct rseq *area = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
	unsigned int at_home = 0, elsewhere = 0, aborted = 0;
	uint64_t spins = 1000, start, end;
	struct sequence seen;
	bool done;

	if (!__rseq_size)
		skip("glibc has not registered it");
	away();		/* the first move takes long */
	home();
	/* Long enough for a move to find it inside, short enough to end between ticks. */
	do {
		start = now_ns();
		done = restartable(area, &seen, spins);
		end = now_ns();
		if (done && end - start < 400000)
			spins *= 2;
	} while (!done || end - start < 400000);
	during("30 A 40 H 50 A 60 H 70 A 35 H 45 A 55 H 65 A 75 H 50 A 1500 H");
	/* As the moves end one by one, on a busy host later. */
	end = now_ns() + 4000000000ull;
	while (now_ns() < end || ((!at_home || !aborted || (moving() && !elsewhere)) &&
				  now_ns() < end + 30000000000ull)) {
		if (!restartable(area, &seen, spins)) {
			aborted++;
			continue;
		}
		EQUAL(seen.last, seen.first);
		if (seen.first == (uint32_t)RSEQ_CPU_ID_UNINITIALIZED)
			elsewhere++;
		else
			at_home++;
	}
	during_end();
	note("%u at home, %u elsewhere, %u aborted", at_home, elsewhere, aborted);
	CHECK(at_home && aborted);
	if (moving())
		CHECK(elsewhere);
}

/* Its parent waits in vfork, and uses this memory next. */
static void vfork_child_is_refused(void)
{
	volatile bool *go = DO(mmap(NULL, 4096, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	volatile char *memory = map_pages(1, RW);
	int ends[2];
	pid_t parent, child;
	char byte;

	DO(pipe(ends));
	parent = DO(fork());
	if (!parent) {
		child = vfork();
		if (!child) {
			pid_t self = syscall(SYS_getpid);

			*memory = 5;
			if (write(ends[1], &self, sizeof(self)) != sizeof(self))
				_exit(1);
			while (!*go)
				;
			_exit(0);
		}
		reap(child);
		EQUAL(*memory, 5);
		EQUAL(write(ends[1], "p", 1), 1);
		compute_checked(60000);
	}
	EQUAL(read(ends[0], &child, sizeof(child)), sizeof(child));
	away_refused(child, "SHARED_MM");
	*go = true;
	EQUAL(read(ends[0], &byte, 1), 1);
	/* Alone with its memory again. */
	away_pid(parent);
	home_pid(parent);
	kill(parent, SIGKILL);
}

static int new_key(void)
{
	int key = pkey_alloc(0, 0);

	if (key < 0)
		skip("pkey_alloc: %s", strerror(errno));
	return key;
}

/* WRPKRU tells nobody: the register is read when the thread moves, however soon. */
static void protection_keys(void)
{
	int key = new_key();

	away();
	for (int round = 0; round < 8; round++) {
		int rights = round % 4;		/* combinations of PKEY_DISABLE_ */
		pid_t child;

		DO(pkey_set(key, rights));
		child = DO(fork());
		if (!child)
			_exit(pkey_get(key) != rights);
		EQUAL(pkey_get(key), rights);
		reap(child);
		away();
		DO(pkey_set(key, 3 - rights));
		home();
		EQUAL(pkey_get(key), 3 - rights);
		DO(pkey_set(key, rights));
		away();
		EQUAL(pkey_get(key), rights);
	}
}

/* The page is elsewhere, or never left, and nothing but the key forbids the access. */
static void protection_keys_forbid(void)
{
	int key = new_key();

	away();
	for (int round = 0; round < 4; round++) {
		char *memory = map_pages(1, RW);

		if (round % 2)
			home();
		memory[0] = 'p';
		DO(pkey_mprotect(memory, 4096, RW, key));
		away();
		/* A handler begins with the keys of a new process, and is not returned from. */
		DO(pkey_set(key, PKEY_DISABLE_ACCESS));
		EQUAL(faults_on(memory, false), SEGV_PKUERR);
		away();
		DO(pkey_set(key, PKEY_DISABLE_WRITE));
		EQUAL(memory[0], 'p');
		EQUAL(faults_on(memory, true), SEGV_PKUERR);
		away();
		DO(pkey_set(key, 0));
		EQUAL(memory[0], 'p');
		memory[0] = 'q';
		home();
		EQUAL(memory[0], 'q');
		DO(munmap(memory, 4096));
	}
}

/* Memory that can only be executed has the first key that is free, which nobody may read with. */
static void protection_keys_of_code(void)
{
	DO(pkey_free(new_key()));
	for (int round = 0; round < 2; round++) {
		char *memory = map_pages(1, RW);

		memory[0] = 'p';
		away();
		DO(mprotect(memory, 4096, PROT_EXEC));
		away();
		EQUAL(faults_on(memory, false), SEGV_PKUERR);
		home();
		EQUAL(faults_on(memory, false), SEGV_PKUERR);
		DO(munmap(memory, 4096));
	}
}

/* The kernel asks the keys of the thread that calls it. */
static void protection_keys_of_calls(void)
{
	char *memory = map_pages(1, RW), byte;
	int key = new_key(), ends[2];

	DO(pipe(ends));
	memory[0] = 'p';
	DO(pkey_mprotect(memory, 4096, RW, key));
	away();
	for (int round = 0; round < 4; round++) {
		DO(pkey_set(key, PKEY_DISABLE_ACCESS));
		EQUAL(write(ends[1], memory, 1), -1);
		EQUAL(errno, EFAULT);
		DO(pkey_set(key, PKEY_DISABLE_WRITE));
		EQUAL(write(ends[1], memory, 1), 1);
		EQUAL(read(ends[0], memory, 1), -1);
		EQUAL(errno, EFAULT);
		DO(pkey_set(key, 0));
		if (round)
			EQUAL(read(ends[0], memory, 1), 1);
		else
			EQUAL(read(ends[0], &byte, 1), 1);
		if (round == 2)
			away();
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(fork_copies), CASE(fork_many), CASE(child_moves_too), CASE(vfork_and_exec),
		CASE(exec_replaces), CASE(exec_fails), CASE(shell_runs), CASE(exit_codes),
		CASE(thread_starts), CASE(raw_clone), CASE(identity), CASE(attributes),
		CASE(close_gives_end_of_file), CASE(close_releases_locks), CASE(descriptors),
		CASE(cpu_time_is_counted), CASE(orphans), CASE(rseq_is_served),
		CASE(rseq_made_away), CASE(robust_list), CASE(rseq_is_aborted), CASE(vfork_child_is_refused),
		CASE(protection_keys), CASE(protection_keys_forbid), CASE(protection_keys_of_calls),
		CASE(protection_keys_of_code),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

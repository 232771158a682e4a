// SPDX-License-Identifier: GPL-2.0
/*
 * Every system call by its number, made at home and then away with the same arguments:
 * the same result. Arguments that do no harm: all zero, all ones, and a page of zeros
 * whose address has zeros for its low half, so that pointers are good and numbers are 0.
 */
#include "harness.h"
#include "blocking.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { COUNT = 451, PAGE_BYTES = 8192 };

#define PAGE_AT 0x700000000000ul

static const char *const names[COUNT] = {
#include "call_names.h"
};

static long raw(long number, const unsigned long *args)
{
	register unsigned long r10 asm("r10") = args[3], r8 asm("r8") = args[4], r9 asm("r9") = args[5];
	long ax = number;

	asm volatile("syscall" : "+a"(ax) : "D"(args[0]), "S"(args[1]), "d"(args[2]), "r"(r10),
		     "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return ax;
}

/* They do not return, or do something to the machine, whatever their arguments. */
static const short never[] = {
	SYS_exit, SYS_exit_group, SYS_fork, SYS_vfork, SYS_clone, SYS_clone3, SYS_rt_sigreturn,
	SYS_pause, SYS_vhangup, SYS_sync, SYS_ptrace, SYS_kexec_load, SYS_kexec_file_load,
	SYS_reboot, SYS_acct, SYS_init_module, SYS_swapon, SYS_swapoff, SYS_pkey_alloc, -1
};

/* Other values at another time, natively as well. */
static const short varying[] = { SYS_time, SYS_times, -1 };

/* With these arguments they wait for ever, or take something away that the others need. */
static const short not_zeros[] = {
	SYS_close, SYS_close_range, SYS_select, SYS_pselect6, SYS_ppoll, SYS_seccomp, SYS_msgget, -1
};
static const short not_ones[] = { SYS_alarm, -1 };
static const short not_page[] = {
	SYS_close, SYS_close_range, SYS_msgget, SYS_settimeofday, SYS_clock_settime,
	SYS_setrlimit, SYS_prlimit64, SYS_fallocate, SYS_move_pages, SYS_brk, SYS_munmap,
	SYS_mprotect, SYS_pkey_mprotect, -1
};

static bool is_in(const short *list, int number)
{
	for (; *list >= 0; list++)
		if (*list == number)
			return true;
	return false;
}

/* Descriptor 0 is a file of our own, always in the same state. */
static void prepare(int file)
{
	DO(dup2(file, 0));
	DO(ftruncate(file, 0));
	DO(lseek(file, 0, SEEK_SET));
	DO(fchmod(file, 0600));
}

static void clear_page(char *page)
{
	for (int i = 0; i < PAGE_BYTES; i++)
		if (page[i]) {
			memset(page, 0, PAGE_BYTES);
			return;
		}
}

/* What gives a descriptor; it is closed, and its number given again. */
static const short makers[] = {
	SYS_dup, SYS_fcntl, SYS_epoll_create1, SYS_eventfd, SYS_eventfd2, SYS_inotify_init,
	SYS_inotify_init1, SYS_timerfd_create, SYS_memfd_create, SYS_memfd_secret, SYS_userfaultfd,
	SYS_fanotify_init, SYS_perf_event_open, -1
};

static void close_new(int number, long result)
{
	const int *two = (const int *)PAGE_AT;

	if (result >= 3 && is_in(makers, number))
		close(result);
	if (result == 0 && (number == SYS_pipe || number == SYS_pipe2)) {
		close(two[0]);
		close(two[1]);
	}
}

static void pass(int file, unsigned long argument, const short *except, long *result)
{
	const unsigned long args[6] = { argument, argument, argument, argument, argument, argument };

	prepare(file);
	for (int number = 0; number < COUNT; number++) {
		if (!names[number] || is_in(never, number) || is_in(except, number))
			continue;
		if (argument == PAGE_AT)
			clear_page((char *)PAGE_AT);
		result[number] = raw(number, args);
		close_new(number, result[number]);
	}
}

static void compare(unsigned long argument, const short *except)
{
	static long at_home[COUNT], elsewhere[COUNT];
	int file, different = 0, made = 0, absent = 0;

	/* What they do to names, mounts and System V IPC is nobody else's. */
	if (unshare(CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNS))
		skip("unshare: %s", strerror(errno));
	file = DO(open("/tmp", O_TMPFILE | O_RDWR, 0600));
	if (argument == PAGE_AT)
		DO(mmap((void *)PAGE_AT, PAGE_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	/* The first changes a few things, setsid() for one; after that they stay. */
	pass(file, argument, except, at_home);
	pass(file, argument, except, at_home);
	away();
	pass(file, argument, except, elsewhere);
	for (int i = 0; i < COUNT; i++) {
		if (!names[i] || is_in(never, i) || is_in(except, i) || is_in(varying, i))
			continue;
		made++;
		absent += at_home[i] == -ENOSYS;
		if (at_home[i] == elsewhere[i])
			continue;
		note("%s: %ld at home, %ld away", names[i], at_home[i], elsewhere[i]);
		different++;
	}
	note("%d calls, %d of them are not there", made, absent);
	EQUAL(different, 0);
	CHECK(made > 300 && absent < 40);
}

static void zeros(void)
{
	compare(0, not_zeros);
}

static void ones(void)
{
	compare(-1ul, not_ones);
}

static void page_of_zeros(void)
{
	compare(PAGE_AT, not_page);
}

/* Under a filter, which allows all, each call is made by the thread itself, at home. */
static void watched(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { 1, &allow };

	DO(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		skip("seccomp: %s", strerror(errno));
	compare(0, not_zeros);
	if (moving())
		CHECK(returns("WATCHED") > 50);
}

/* Numbers that are no system call's: beyond the table, in its gap, of x32, negative. */
static void unknown_numbers(void)
{
	static const long numbers[] = {
		340, 400, 423, 512, 547, 600, 1000, 0x7fffffff, -1, -100,
		0x40000000 + SYS_getpid, 0x40000000 + 520,
	};
	static const unsigned long none[6];

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
			EQUAL(raw(numbers[i], none), -ENOSYS);
		away();
	}
	/* The upper half of the register is not looked at. */
	EQUAL(raw(0x100000000l + SYS_getpid, none), getpid());
}

/*
 * One that this kernel does not have yet is made at home, which is a journey, and not more: a
 * thread that was thought to be still in it was kept at home, longer each time.
 */
static void absent_call_is_a_journey(void)
{
	static const unsigned long none[6];
	enum { CALLS = 20, FCHMODAT2 = 452 };
	int before;

	if (raw(FCHMODAT2, none) != -ENOSYS)
		skip("this kernel has it");
	away();
	before = returns("SYSCALL");
	for (int i = 0; i < CALLS; i++) {
		EQUAL(raw(FCHMODAT2, none), -ENOSYS);
		compute_ms(20);
	}
	if (moving())
		CHECK(returns("SYSCALL") - before > CALLS / 2);
}

static long gate2(long ax, long first, long second)
{
	asm volatile("int $0x80" : "+a"(ax) : "b"(first), "c"(second)
		     : "r8", "r9", "r10", "r11", "memory");
	return ax;
}

static long gate(long ax)
{
	return gate2(ax, 0, 0);
}

static void need_old_gate(void)
{
	pid_t pid = DO(fork());
	int status;

	if (!pid)
		_exit(gate(20) != getpid());
	EQUAL(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		skip("no 32-bit programs");
}

/* The gate of 32-bit programs, which a 64-bit one may use as well. */
static void old_gate(void)
{
	need_old_gate();
	for (int round = 0; round < 3; round++) {
		EQUAL(gate(20), getpid());
		EQUAL(gate(9999), -ENOSYS);
		if (round == 1)
			home();
		else
			away();
	}
}

/* Those that follow are 64-bit calls again, though a 32-bit one was what it came home for. */
static void calls_after_the_old_gate(void)
{
	char first[4] = "", second[4] = "";
	struct iovec from[] = { { "abc", 3 }, { "defg", 4 } }, to[] = { { first, 3 }, { second, 4 } };
	int ends[2];

	need_old_gate();
	DO(pipe(ends));
	for (int round = 0; round < 3; round++) {
		away();
		EQUAL(gate(20), getpid());
		EQUAL(writev(ends[1], from, 2), 7);
		EQUAL(readv(ends[0], to, 2), 7);
		CHECK(!memcmp(first, "abc", 3) && !memcmp(second, "defg", 4));
		CHECK((uintptr_t)DO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) >> 32);
		memset(second, 0, sizeof(second));
	}
}

/* It is not taken for the 64-bit call of its number: not woken, nor begun again as another. */
static void sleep_in_the_old_gate(void)
{
	const struct timespec time = { 0, 600000000 };
	int32_t *low = DO(mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
	uint64_t begin;

	need_old_gate();
	away();
	home();
	low[0] = time.tv_sec;
	low[1] = time.tv_nsec;
	during("100 a 100 h 100 a");
	begin = now_ns();
	EQUAL(gate2(162, (uintptr_t)low, 0), 0);
	CHECK(now_ns() - begin >= (uint64_t)time.tv_nsec);
	gone_in_the_end();
}

/* umask, whose number is that of exit in 64-bit calls: it goes out again. */
static void old_gate_is_no_end(void)
{
	uint64_t end;

	need_old_gate();
	away();
	EQUAL(gate2(60, 022, 0), gate2(60, 022, 0));
	end = now_ns() + 20000000000ull;
	while (moving() && !where() && now_ns() < end)
		compute_ms(20);
	EQUAL(!where(), !moving());
}

/* What only a privileged process may do, and this one is not. */
static const struct { short number; unsigned long args[6]; } privileged[] = {
	{ SYS_sethostname, { PAGE_AT, 1 } },
	{ SYS_setdomainname, { PAGE_AT, 1 } },
	{ SYS_settimeofday, { PAGE_AT, 0 } },
	{ SYS_clock_settime, { 0, PAGE_AT } },
	{ SYS_reboot, { 0xfee1dead, 672274793, 0x89abcdef } },
	{ SYS_swapon, { PAGE_AT, 0 } },
	{ SYS_swapoff, { PAGE_AT } },
	{ SYS_acct, { PAGE_AT } },
	{ SYS_vhangup, { 0 } },
	{ SYS_iopl, { 3 } },
	{ SYS_ioperm, { 0x80, 1, 1 } },
	{ SYS_chroot, { PAGE_AT } },
	{ SYS_pivot_root, { PAGE_AT, PAGE_AT } },
	{ SYS_umount2, { PAGE_AT, 0 } },
	{ SYS_setuid, { 0 } },
	{ SYS_setgid, { 0 } },
	{ SYS_setgroups, { 0, 0 } },
	{ SYS_setresuid, { 0, 0, 0 } },
	{ SYS_setreuid, { 0, 0 } },
	{ SYS_init_module, { PAGE_AT, 100, PAGE_AT } },
	{ SYS_finit_module, { 0, PAGE_AT, 0 } },
	{ SYS_delete_module, { PAGE_AT, 0 } },
	{ SYS_kexec_load, { 0, 0, 0, 0 } },
	{ SYS_kexec_file_load, { 0, 0, 0, PAGE_AT, 0 } },
	{ SYS_unshare, { CLONE_NEWNET } },
	{ SYS_setns, { 99, 0 } },
	{ SYS_mknod, { PAGE_AT, 0020600, 0x103 } },
	{ SYS_open_by_handle_at, { 0, PAGE_AT, 0 } },
	{ SYS_lookup_dcookie, { 0, PAGE_AT, 100 } },
	{ SYS_syslog, { 5, 0, 0 } },
	{ SYS_fanotify_init, { 4, 0 } },
	{ SYS_quotactl, { 0x80000500, PAGE_AT, 0, PAGE_AT } },
	{ SYS_fsopen, { PAGE_AT, 0 } },
};

enum { PRIVILEGED = sizeof(privileged) / sizeof(*privileged) };

static void privileged_calls(void)
{
	long at_home[PRIVILEGED];
	int refused = 0;

	DO(mmap((void *)PAGE_AT, PAGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	DO(setgid(65534));
	DO(setuid(65534));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < PRIVILEGED; i++) {
			long result = raw(privileged[i].number, privileged[i].args);

			if (!round)
				at_home[i] = result;
			if (result >= 0 || result != at_home[i])
				fail(__FILE__, __LINE__, "%s: %ld, at home %ld",
				     names[privileged[i].number], result, at_home[i]);
			refused += result == -EPERM;
		}
		away();
	}
	CHECK(refused > PRIVILEGED);	/* of twice as many */
}

/* sync() and the calls that end somebody, or a wait of no length, by hand. */
static void harmless_forms(void)
{
	static const unsigned long none[6];
	const unsigned long poll_once[6] = { PAGE_AT, 0, PAGE_AT, 0, 8 };
	const unsigned long select_once[6] = { 0, 0, 0, 0, PAGE_AT, 0 };
	const unsigned long old_select[6] = { 0, 0, 0, 0, PAGE_AT };
	const unsigned long trace_nobody[6] = { 16, 0x3fffffff };
	int status;
	pid_t pid;

	DO(mmap((void *)PAGE_AT, PAGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	away();
	EQUAL(raw(SYS_sync, none), 0);
	EQUAL(raw(SYS_ppoll, poll_once), 0);
	EQUAL(raw(SYS_pselect6, select_once), 0);
	EQUAL(raw(SYS_select, old_select), 0);
	EQUAL(raw(SYS_ptrace, trace_nobody), -ESRCH);
	for (int i = 0; i < 3; i++) {
		static const short forks[] = { SYS_fork, SYS_clone, SYS_clone };
		const unsigned long args[6] = { i ? SIGCHLD : 0 };

		pid = raw(forks[i], args);
		if (!pid) {
			const unsigned long code[6] = { 40 + i };

			raw(i == 1 ? SYS_exit : SYS_exit_group, code);
		}
		CHECK(pid > 0);
		EQUAL(waitpid(pid, &status, 0), pid);
		EQUAL(WEXITSTATUS(status), 40 + i);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "zeros", zeros, 60 }, { "ones", ones, 60 }, { "page_of_zeros", page_of_zeros, 60 },
		{ "watched", watched, 60 },
		CASE(unknown_numbers), CASE(absent_call_is_a_journey), CASE(old_gate), CASE(calls_after_the_old_gate),
		CASE(sleep_in_the_old_gate), CASE(old_gate_is_no_end),
		CASE(privileged_calls), CASE(harmless_forms),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

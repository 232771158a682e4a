// SPDX-License-Identifier: GPL-2.0
/*
 * As differences.c: what is not as it is at home, of calls that are made again, of clocks and
 * limits, and of memory that is accessed at home only.
 */
#include "filter.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

/* ------------------------------------------------------ who decides about calls */

enum { ANSWER = 42, LIMIT_MS = 20000 };

/* The next call that its supervisor is told of, within so many milliseconds; false: of none. */
static bool told_of_call(int listener, int ms, struct seccomp_notif *call)
{
	struct pollfd next = { .fd = listener, .events = POLLIN };

	if (!poll(&next, 1, ms))
		return false;
	EQUAL(next.revents, POLLIN);
	memset(call, 0, sizeof(*call));
	DO(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, call));
	EQUAL(call->data.nr, SYS_getpriority);
	return true;
}

/* 0, or the errno of the answer to a call. */
static int answer(int listener, const struct seccomp_notif *call)
{
	struct seccomp_notif_resp said = { .id = call->id, .val = ANSWER };

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &said) ? errno : 0;
}

/* A call that waits for its supervisor is made again where its thread goes: that is told of two. */
static void supervisor_is_told_twice(void)
{
	int ends[2], number, file, listener;
	struct seccomp_notif first, second;
	pid_t pid;

	DO(pipe(ends));
	pid = DO(fork());
	if (!pid) {
		number = DO(filter_install(SYS_getpriority, SECCOMP_RET_USER_NOTIF,
					   SECCOMP_FILTER_FLAG_NEW_LISTENER));
		EQUAL(write(ends[1], &number, sizeof(number)), sizeof(number));
		EQUAL(syscall(SYS_getpriority, PRIO_PROCESS, 0), ANSWER);
		_exit(0);
	}
	EQUAL(read(ends[0], &number, sizeof(number)), sizeof(number));
	file = DO(syscall(SYS_pidfd_open, pid, 0));
	listener = DO(syscall(SYS_pidfd_getfd, file, number, 0));
	CHECK(told_of_call(listener, LIMIT_MS * slower(), &first));
	away_pid(pid);
	if (moving()) {
		CHECK(told_of_call(listener, LIMIT_MS * slower(), &second));
		CHECK(second.id != first.id);
		EQUAL(answer(listener, &first), ENOENT);
		EQUAL(answer(listener, &second), 0);
	} else {
		CHECK(!told_of_call(listener, 300, &second));
		EQUAL(answer(listener, &first), 0);
	}
	reap(pid);
}

/* -------------------------------------------------------------- clocks and limits */

/* Away the clocks are read without a call whatever has become of the pages in which home's are. */
static void unmapped_clocks_are_read(void)
{
	unsigned long start, end = 0;
	struct timespec now;
	int status;
	pid_t pid;

	pid = DO(fork());
	if (!pid) {
		start = find_mapping("[vvar]", &end);
		if (!start)
			_exit(77);
		away();
		DO(clock_gettime(CLOCK_MONOTONIC, &now));
		DO(munmap((void *)start, end - start));
		DO(clock_gettime(CLOCK_MONOTONIC, &now));
		_exit(0);
	}
	EQUAL(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip("no [vvar]");
	/* With a core or without. */
	EQUAL(status & ~0x80, moving() ? 0 : SIGSEGV);
}

static volatile sig_atomic_t exceeded;

static void exceed(int number)
{
	(void)number;
	exceeded++;
}

/* Who is of a real-time class at home may compute as long as it likes, away. */
static void real_time_limit_is_for_home(void)
{
	struct rlimit limit = { 200000, RLIM_INFINITY };
	struct sched_param first = { .sched_priority = 1 };

	signal(SIGXCPU, exceed);
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		skip("sched_setscheduler: %s", strerror(errno));
	DO(setrlimit(RLIMIT_RTTIME, &limit));
	away();
	compute_ms(1000 * slower());
	DO(sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){ 0 }));
	note("SIGXCPU %d times", (int)exceeded);
	EQUAL(exceeded > 0, !moving());
}

/* ------------------------------------------------------------------- huge pages */

enum { HUGE_PAGE = 2 << 20 };

static long huge_kilobytes(void)
{
	char *said = strstr(read_text("/proc/meminfo"), "ShmemHugePages:");

	return said ? atol(said + strlen("ShmemHugePages:")) : 0;
}

/*
 * A file of so many bytes, all of them 'h' and in a huge page, mapped to be read where one could
 * begin.
 */
static const volatile char *map_huge(const char *name, size_t bytes)
{
	unsigned long at = (unsigned long)map_pages(2 * HUGE_PAGE / 4096, PROT_NONE);
	int file = DO(open(name, O_CREAT | O_RDWR, 0600));
	long before = huge_kilobytes();
	char block[4096];

	memset(block, 'h', sizeof(block));
	for (size_t done = 0; done < bytes; done += sizeof(block))
		EQUAL(write(file, block, sizeof(block)), sizeof(block));
	DO(close(file));
	if (huge_kilobytes() <= before)
		skip("there is no huge page");
	file = DO(open(name, O_RDONLY));
	at = (at + HUGE_PAGE - 1) & -HUGE_PAGE;
	DO(mmap((void *)at, bytes, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, 0));
	DO(close(file));
	return (void *)at;
}

/* A page of a file that is part of a huge one is read at home if the mapping has room for that. */
static void huge_pages_of_files_are_read_at_home(void)
{
	const volatile char *whole, *part;
	int came;

	need_root();
	own_directory();
	DO(unshare(CLONE_NEWNS));
	DO(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	if (mount("none", ".", "tmpfs", 0, "huge=always"))
		skip("tmpfs with huge=always: %s", strerror(errno));
	DO(chdir(realpath(".", NULL)));
	whole = map_huge("whole", HUGE_PAGE);
	part = map_huge("part", HUGE_PAGE / 2);
	away();
	came = returns("MEMORY_KIND");
	for (int i = 0; i < HUGE_PAGE / 2; i += 4096)
		EQUAL(part[i], 'h');
	EQUAL(returns("MEMORY_KIND"), came);
	for (int i = 0; i < HUGE_PAGE; i += HUGE_PAGE / 4)
		EQUAL(whole[i], 'h');
	EQUAL(returns("MEMORY_KIND") > came, moving());
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(supervisor_is_told_twice), CASE(unmapped_clocks_are_read),
		CASE(real_time_limit_is_for_home), CASE(huge_pages_of_files_are_read_at_home),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/* Calls about processes, signals, identity and time whose data travels with them. */
#include "harness.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#define RW (PROT_READ | PROT_WRITE)

enum { SIGSET_BYTES = 8 };

/* What the functions of TRAVELS() work with. */
static int a, b;
static pid_t child;

/* ---- waiting ---- */

static void look_for_child(void)
{
	struct { siginfo_t is; char behind[16]; } info;
	struct rusage usage;

	/* Nobody has changed: zeros where it says so, and the rest as it was. */
	memset(&info, 0x55, sizeof(info));
	memset(&usage, 0x55, sizeof(usage));
	DO(syscall(SYS_waitid, P_PID, child, &info.is, WEXITED | WNOHANG, &usage));
	CHECK(info.is.si_signo == 0 && info.is.si_pid == 0);
	CHECK(untouched((char *)&info, sizeof(info), 0, 28, 0x55));
	CHECK(untouched((char *)&usage, sizeof(usage), 0, 0, 0x55));
	EQUAL(syscall(SYS_waitid, P_PID, getpid(), &info.is, WEXITED, NULL), -1);
	EQUAL(errno, ECHILD);
	EQUAL(info.is.si_signo, 0);
}

static void waitid_tells(void)
{
	char *hole = pages_with_a_hole(RW) + 2 * 4096;
	siginfo_t info;
	struct rusage usage;
	int ends[2];
	char byte;

	DO(pipe(ends));
	child = DO(fork());
	if (!child) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) + 7);
	}
	away();
	TRAVELS(look_for_child, 2);
	EQUAL(waitid(P_PID, child, (void *)8, WEXITED | WNOHANG), -1);
	EQUAL(errno, EFAULT);
	/* So much of it as the kernel writes is there. */
	memset(hole - 64, 0x55, 64);
	DO(syscall(SYS_waitid, P_PID, child, hole - 64, WEXITED | WNOHANG, NULL));
	EQUAL(*(int *)(hole - 64), 0);
	DO(close(ends[1]));
	memset(&usage, 0x55, sizeof(usage));
	DO(syscall(SYS_waitid, P_PID, child, &info, WEXITED, &usage));
	CHECK(info.si_signo == SIGCHLD && info.si_code == CLD_EXITED && info.si_pid == child);
	EQUAL(info.si_status, 7);
	CHECK(usage.ru_utime.tv_sec < 1000);
}

/* ---- signals ---- */

static void send_and_take(void)
{
	struct timespec limit = { 50, 0 };
	sigset_t one;
	struct { siginfo_t is; char behind[16]; } info;
	siginfo_t sent = { };

	sigemptyset(&one);
	sigaddset(&one, SIGRTMIN);
	sent.si_signo = SIGRTMIN;
	sent.si_code = SI_QUEUE;
	sent.si_pid = getpid();
	sent.si_value.sival_int = 77;
	DO(syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN, &sent));
	memset(&info, 0x55, sizeof(info));
	EQUAL(sigtimedwait(&one, &info.is, &limit), SIGRTMIN);
	CHECK(info.is.si_code == SI_QUEUE && info.is.si_value.sival_int == 77);
	CHECK(untouched((char *)&info, sizeof(info), 0, sizeof(info.is), 0x55));
	DO(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGRTMIN, &sent));
	EQUAL(sigwaitinfo(&one, NULL), SIGRTMIN);
	DO(syscall(SYS_pidfd_send_signal, b, SIGRTMIN, &sent, 0));
	EQUAL(read(a, &info, 128), 128);
	EQUAL(((struct signalfd_siginfo *)&info)->ssi_int, 77);
	limit = (struct timespec){ 0, 1000 };
	EQUAL(sigtimedwait(&one, NULL, &limit), -1);
	EQUAL(errno, EAGAIN);
	EQUAL(syscall(SYS_signalfd4, a, &one, SIGSET_BYTES, 0), a);
	EQUAL(syscall(SYS_signalfd, a, &one, SIGSET_BYTES), a);
}

static void signals_with_values(void)
{
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, SIGRTMIN);
	DO(sigprocmask(SIG_BLOCK, &one, NULL));
	a = DO(signalfd(-1, &one, 0));
	b = DO(syscall(SYS_pidfd_open, getpid(), 0));
	away();
	TRAVELS(send_and_take, 9);
	EQUAL(syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN, (void *)8), -1);
	EQUAL(errno, EFAULT);
	EQUAL(syscall(SYS_rt_sigtimedwait, (void *)8, NULL, NULL, SIGSET_BYTES), -1);
	EQUAL(errno, EFAULT);
	EQUAL(syscall(SYS_rt_sigtimedwait, &one, NULL, NULL, 7), -1);
	EQUAL(errno, EINVAL);
}

static volatile int caught;

static void handler(int number)
{
	(void)number;
	caught++;
}

/* The mask that travels holds while it waits, and the old one is back then. */
static void suspended(void)
{
	struct sigaction action = { .sa_handler = handler };
	sigset_t one, none, was;

	DO(sigaction(SIGUSR1, &action, NULL));
	sigemptyset(&none);
	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	DO(sigprocmask(SIG_BLOCK, &one, NULL));
	away();
	for (int i = 1; i <= 3; i++) {
		kill(getpid(), SIGUSR1);
		EQUAL(caught, i - 1);
		EQUAL(sigsuspend(&none), -1);
		EQUAL(errno, EINTR);
		EQUAL(caught, i);
		DO(sigprocmask(SIG_SETMASK, NULL, &was));
		CHECK(sigismember(&was, SIGUSR1));
		away();
	}
	EQUAL(syscall(SYS_rt_sigsuspend, (void *)8, SIGSET_BYTES), -1);
	EQUAL(errno, EFAULT);
}

/* ---- identity ---- */

static void ask_identity(void)
{
	uid_t r = -1, e = -1, s = -1;
	gid_t groups[8], rg = -1, eg = -1, sg = -1;

	DO(getresuid(&r, &e, &s));
	CHECK(r == getuid() && e == geteuid() && s == e);
	DO(getresgid(&rg, &eg, &sg));
	CHECK(rg == getgid() && eg == getegid() && sg == eg);
	memset(groups, 0x55, sizeof(groups));
	EQUAL(getgroups(8, groups), 3);
	CHECK(groups[0] == 5 && groups[1] == 6 && groups[2] == 70000);
	CHECK(untouched((char *)groups, sizeof(groups), 0, 12, 0x55));
	EQUAL(getgroups(0, groups), 3);
	EQUAL(getgroups(2, groups), -1);
	EQUAL(errno, EINVAL);
	DO(syscall(SYS_setgroups, 3, groups));
}

static void ask_capabilities(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct { struct __user_cap_data_struct is[2]; char behind[16]; } data;

	memset(&data, 0x55, sizeof(data));
	DO(syscall(SYS_capget, &head, data.is));
	CHECK(data.is[0].inheritable != 0x55555555);
	CHECK(untouched(data.behind, sizeof(data.behind), 0, 0, 0x55));
	DO(syscall(SYS_capset, &head, data.is));
	head.version = 1;
	EQUAL(syscall(SYS_capget, &head, data.is), -1);
	EQUAL(errno, EINVAL);
	EQUAL(head.version, _LINUX_CAPABILITY_VERSION_3);
}

static void identity(void)
{
	char *hole = pages_with_a_hole(RW) + 2 * 4096;
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_1, 0 };
	gid_t groups[] = { 5, 6, 70000 };
	uid_t r = -1, s = -1;

	if (setgroups(3, groups))
		skip("setgroups: %s", strerror(errno));
	away();
	TRAVELS(ask_identity, 5);
	TRAVELS(ask_capabilities, 3);
	/* What comes before the one that is bad has been written. */
	EQUAL(syscall(SYS_getresuid, &r, (void *)8, &s), -1);
	EQUAL(errno, EFAULT);
	CHECK(r == getuid() && s == (uid_t)-1);
	/* Half of it, which is all of version 1, up to the end of the page. */
	memset(hole - 12, 0x55, 12);
	DO(syscall(SYS_capget, &head, hole - 12));
	CHECK(!untouched(hole - 12, 12, 0, 0, 0x55));
	EQUAL(getgroups(3, (void *)(hole - 8)), -1);
	EQUAL(errno, EFAULT);
}

static void ask_names(void)
{
	char name[] = "worker-17", got[32];
	int n = -1;

	DO(prctl(PR_SET_NAME, name));
	memset(got, 0x55, sizeof(got));
	DO(prctl(PR_GET_NAME, got));
	CHECK(!strcmp(got, name) && untouched(got, sizeof(got), 0, 16, 0x55));
	DO(prctl(PR_GET_PDEATHSIG, &n));
	EQUAL(n, SIGHUP);
	n = -1;
	DO(prctl(PR_GET_CHILD_SUBREAPER, &n));
	EQUAL(n, 1);
}

static void names_of_threads(void)
{
	char *hole = pages_with_a_hole(RW) + 2 * 4096, got[16];

	DO(prctl(PR_SET_PDEATHSIG, SIGHUP));
	DO(prctl(PR_SET_CHILD_SUBREAPER, 1));
	away();
	TRAVELS(ask_names, 4);
	/* Of a long one the beginning counts, whatever is behind. */
	memset(hole - 20, 'y', 20);
	DO(prctl(PR_SET_NAME, hole - 16));
	DO(prctl(PR_GET_NAME, got));
	EQUAL(strcmp(got, "yyyyyyyyyyyyyyy"), 0);
	EQUAL(prctl(PR_SET_NAME, hole - 5), -1);
	EQUAL(errno, EFAULT);
	EQUAL(prctl(PR_GET_NAME, hole - 5), -1);
	EQUAL(errno, EFAULT);
}

static void ask_scheduler(void)
{
	struct sched_param param = { 77 };
	unsigned int cpu = -1, node = -1;

	DO(sched_getparam(0, &param));
	EQUAL(param.sched_priority, 0);
	DO(sched_setparam(0, &param));
	DO(sched_setscheduler(0, SCHED_BATCH, &param));
	DO(sched_setscheduler(0, SCHED_OTHER, &param));
	param.sched_priority = 5;
	EQUAL(sched_setscheduler(0, SCHED_OTHER, &param), -1);
	EQUAL(errno, EINVAL);
	DO(syscall(SYS_getcpu, &cpu, &node, NULL));
	CHECK(cpu < 1024 && node < 1024);
}

static void scheduling(void)
{
	away();
	TRAVELS(ask_scheduler, 6);
}

static void self(void)
{
	struct sysinfo info;
	struct utsname a, b;
	struct rusage usage;
	struct rlimit limit, was;
	struct timespec real, real2;
	struct tms t;
	sigset_t set, old;
	cpu_set_t cpus;
	int status;
	pid_t child;

	uname(&a);
	DO(getrlimit(RLIMIT_NOFILE, &was));
	away();
	memset(&b, 0x55, sizeof(b));
	DO(uname(&b));
	CHECK(!memcmp(&a, &b, sizeof(a)));
	memset(&info, 0, sizeof(info));
	DO(sysinfo(&info));
	CHECK(info.totalram && info.procs);
	DO(getrusage(RUSAGE_SELF, &usage));
	CHECK(usage.ru_maxrss > 0);
	CHECK(times(&t) != (clock_t)-1);
	limit = was;
	limit.rlim_cur--;
	DO(setrlimit(RLIMIT_NOFILE, &limit));
	memset(&limit, 0, sizeof(limit));
	DO(getrlimit(RLIMIT_NOFILE, &limit));
	EQUAL(limit.rlim_cur, was.rlim_cur - 1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	memset(&old, 0x55, sizeof(old));
	DO(sigprocmask(SIG_BLOCK, &set, &old));
	CHECK(!sigismember(&old, SIGUSR2));
	kill(getpid(), SIGUSR2);
	DO(sigpending(&old));
	CHECK(sigismember(&old, SIGUSR2));
	DO(sigprocmask(SIG_SETMASK, NULL, &old));
	CHECK(sigismember(&old, SIGUSR2));
	DO(syscall(SYS_clock_gettime, CLOCK_REALTIME, &real));
	DO(syscall(SYS_gettimeofday, &real2, NULL));
	CHECK(real2.tv_sec - real.tv_sec < 10);
	DO(syscall(SYS_sched_getaffinity, 0, sizeof(cpus), &cpus));
	child = DO(fork());
	if (!child)
		_exit(7);
	status = 0x55555555;
	memset(&usage, 0x55, sizeof(usage));
	EQUAL(wait4(child, &status, 0, &usage), child);
	EQUAL(WEXITSTATUS(status), 7);
	status = 0x55555555;
	EQUAL(wait4(-1, &status, WNOHANG, NULL), -1);
	EQUAL(status, 0x55555555);
}

/* ---- time ---- */

static void use_timer(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	struct itimerspec set = { { 7, 0 }, { 1000, 0 } }, got;
	int timer = -1;

	DO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer));
	CHECK(timer >= 0);
	memset(&got, 0x55, sizeof(got));
	DO(syscall(SYS_timer_settime, timer, 0, &set, &got));
	CHECK(!got.it_value.tv_sec && !got.it_interval.tv_nsec);
	DO(syscall(SYS_timer_gettime, timer, &got));
	CHECK(got.it_interval.tv_sec == 7 && got.it_value.tv_sec > 900);
	DO(syscall(SYS_timer_settime, timer, 0, &set, NULL));
	DO(syscall(SYS_timer_delete, timer));
	EQUAL(syscall(SYS_timer_gettime, timer, &got), -1);
	EQUAL(errno, EINVAL);
	event.sigev_signo = 99;
	event.sigev_notify = SIGEV_SIGNAL;
	EQUAL(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer), -1);
	EQUAL(errno, EINVAL);
}

static void timers(void)
{
	int timer = -1;

	away();
	TRAVELS(use_timer, 6);
	DO(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &timer));
	EQUAL(syscall(SYS_timer_settime, timer, 0, (void *)8, NULL), -1);
	EQUAL(errno, EFAULT);
	EQUAL(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, (void *)8), -1);
	EQUAL(errno, EFAULT);
}

/* The time has been told before the zone cannot be. */
static void bad_zone(void)
{
	struct timeval now = { -1, -1 };

	away();
	DO(syscall(SYS_gettimeofday, &now, NULL));
	CHECK(now.tv_sec > 0);
	now = (struct timeval){ -1, -1 };
	EQUAL(syscall(SYS_gettimeofday, &now, (void *)8), -1);
	EQUAL(errno, EFAULT);
	CHECK(now.tv_sec > 0 && now.tv_usec >= 0);
}

/* ---- futexes ---- */

static int *word;	/* in a page of its own */

static void wait_in_vain(void)
{
	struct timespec limit = { 0, 1000 }, now;

	EQUAL(syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, &limit), -1);
	EQUAL(errno, ETIMEDOUT);
	EQUAL(syscall(SYS_futex, word, FUTEX_WAIT, 0, &limit), -1);
	EQUAL(errno, ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &now);
	EQUAL(syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, 0, &now, NULL, -1), -1);
	EQUAL(errno, ETIMEDOUT);
	EQUAL(syscall(SYS_futex, word, FUTEX_WAIT_BITSET, 0, &now, NULL, -1), -1);
	EQUAL(errno, ETIMEDOUT);
	clock_gettime(CLOCK_REALTIME, &now);
	EQUAL(syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &now,
		      NULL, -1), -1);
	EQUAL(errno, ETIMEDOUT);
	EQUAL(syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &now, NULL,
		      -1), -1);
	EQUAL(errno, ETIMEDOUT);
	limit.tv_nsec = -1;
	EQUAL(syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, &limit), -1);
	EQUAL(errno, EINVAL);
}

/* The word is at home, where the call looks at it; the time travels. */
static void time_limits(void)
{
	struct timespec limit = { 0, 1000 };

	word = map_pages(1, RW);
	*word = 0;
	away();
	TRAVELS(wait_in_vain, 7);
	EQUAL(syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, (void *)8), -1);
	EQUAL(errno, EFAULT);
	/* Another number: it is no time. */
	EQUAL(syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, 8), 0);
	EQUAL(syscall(SYS_futex, word, FUTEX_REQUEUE_PRIVATE, 1, 8, word + 1, 0), 0);
	/* A lock that is held by init, which never lets it go. */
	*word = 1;
	EQUAL(syscall(SYS_futex, word, FUTEX_LOCK_PI_PRIVATE, 0, &limit), -1);
	CHECK(errno == ESRCH || errno == EPERM || errno == ETIMEDOUT || errno == ENOSYS);
	*word = 0;
	EQUAL(syscall(SYS_futex, word, FUTEX_LOCK_PI, 0, &limit), 0);
	EQUAL(*word, gettid());
}

/* What waits for a word with a time limit is moved, and the limit stays. */
static void time_limit_moved(void)
{
	struct timespec limit = { 0, 800000000 };
	uint64_t start;

	word = map_pages(1, RW);
	*word = 0;
	away();
	start = now_ns();
	during("60 H 60 A 60 H 60 A");
	EQUAL(syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, &limit), -1);
	EQUAL(errno, ETIMEDOUT);
	CHECK(now_ns() - start >= 800000000 - NODES_APART_NS);
	during_end();
	CHECK(limit.tv_sec == 0 && limit.tv_nsec == 800000000);
}

/* ---- results in one place ---- */

/* The last one that is written stays. */
static void same_memory_twice(void)
{
	static fd_set both;
	uid_t id = 0;
	int ends[2];

	DO(pipe(ends));
	if (syscall(SYS_setresuid, 1000, 0, 0))
		skip("setresuid: %s", strerror(errno));
	away();
	FD_ZERO(&both);
	FD_SET(ends[1], &both);
	/* To be read from: no. To be written to: yes. */
	EQUAL(syscall(SYS_select, ends[1] + 1, &both, &both, NULL, NULL), 1);
	CHECK(FD_ISSET(ends[1], &both));
	DO(syscall(SYS_getresuid, &id, &id, &id));
	EQUAL(id, 0);
}

static const struct test_case cases[] = {
	CASE(waitid_tells), CASE(signals_with_values), CASE(suspended), CASE(identity),
	CASE(names_of_threads), CASE(scheduling), CASE(self), CASE(timers), CASE(bad_zone),
	CASE(time_limits), CASE(time_limit_moved), CASE(same_memory_twice),
	{ }
};

int main(int argc, char **argv)
{
	return harness_main(argc, argv, cases);
}

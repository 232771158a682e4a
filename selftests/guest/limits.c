// SPDX-License-Identifier: GPL-2.0
/* Resource limits: each one is met in the call that looks at it, away as at home. */
#include "harness.h"

#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define RW (PROT_READ | PROT_WRITE)

static void limit(int resource, rlim_t value)
{
	struct rlimit both = { value, value }, seen;

	DO(setrlimit(resource, &both));
	DO(getrlimit(resource, &seen));
	EQUAL(seen.rlim_cur, value);
}

/* Without rights over limits. */
static void be_nobody(uid_t uid)
{
	need_root();
	DO(setresgid(uid, uid, uid));
	DO(setresuid(uid, uid, uid));
}

static volatile sig_atomic_t caught;

static void catch(int number)
{
	caught = number;
}

/* A file that would become too long: cut, then a signal and an error. */
static void file_size(void)
{
	int file = DO(open("/tmp", O_TMPFILE | O_RDWR, 0600));
	char data[100] = "";

	signal(SIGXFSZ, catch);
	away();
	limit(RLIMIT_FSIZE, 150);
	EQUAL(write(file, data, 100), 100);
	EQUAL(write(file, data, 100), 50);
	EQUAL(caught, 0);
	EQUAL(write(file, data, 100), -1);
	EQUAL(errno, EFBIG);
	EQUAL(caught, SIGXFSZ);
	away();
	caught = 0;
	EQUAL(ftruncate(file, 151), -1);
	EQUAL(errno, EFBIG);
	EQUAL(caught, SIGXFSZ);
}

static void file_size_ends(void)
{
	int file = DO(open("/tmp", O_TMPFILE | O_RDWR, 0600)), status;
	pid_t child = DO(fork());

	if (!child) {
		limit(RLIMIT_CORE, 0);
		away();
		limit(RLIMIT_FSIZE, 0);
		if (write(file, "x", 1) >= 0)
			_exit(1);
		_exit(2);
	}
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(status, SIGXFSZ);
}

static void open_files(void)
{
	int last = -1, fd, ends[2];

	away();
	limit(RLIMIT_NOFILE, 20);
	while ((fd = dup(1)) >= 0)
		last = fd;
	EQUAL(errno, EMFILE);
	EQUAL(last, 19);
	home();
	EQUAL(open("/dev/null", O_RDONLY), -1);
	EQUAL(errno, EMFILE);
	away();
	EQUAL(pipe(ends), -1);
	EQUAL(errno, EMFILE);
	EQUAL(dup2(1, 20), -1);
	EQUAL(errno, EBADF);
	DO(close(19));
	EQUAL(open("/dev/null", O_RDONLY), 19);
}

static void processes_of_a_user(void)
{
	int status;
	pid_t child;

	be_nobody(61234);
	away();
	limit(RLIMIT_NPROC, 2);
	child = DO(fork());
	if (!child)
		for (;;)
			compute_checked(1000);
	away();
	EQUAL(fork(), -1);
	EQUAL(errno, EAGAIN);
	DO(kill(child, SIGKILL));
	EQUAL(waitpid(child, &status, 0), child);
	away();
	child = DO(fork());
	if (!child)
		_exit(0);
	reap(child);
}

static void data_and_addresses(void)
{
	struct rlimit seen;
	char *end;

	DO(getrlimit(RLIMIT_DATA, &seen));
	end = DO(sbrk(0));
	away();
	limit(RLIMIT_DATA, 64 << 20);
	EQUAL(sbrk(128 << 20), (void *)-1);
	EQUAL(errno, ENOMEM);
	CHECK(sbrk(0) == end);
	EQUAL(mmap(NULL, 128 << 20, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), MAP_FAILED);
	EQUAL(errno, ENOMEM);
	/* What is not written to does not count. */
	end = DO(mmap(NULL, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	EQUAL(mprotect(end, 128 << 20, RW), -1);
	EQUAL(errno, ENOMEM);
	DO(mprotect(end, 4096, RW));
	end[5] = 5;
	home();
	EQUAL(end[5], 5);
	EQUAL(mremap(end, 4096, 128 << 20, MREMAP_MAYMOVE), MAP_FAILED);
}

static void locked_memory(void)
{
	char *memory = map_pages(32, RW);

	be_nobody(61235);
	away();
	limit(RLIMIT_MEMLOCK, 8 * 4096);
	DO(mlock(memory, 6 * 4096));
	EQUAL(mlock(memory + 16 * 4096, 6 * 4096), -1);
	EQUAL(errno, ENOMEM);
	EQUAL(mmap(NULL, 6 * 4096, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0), MAP_FAILED);
	EQUAL(errno, EAGAIN);
	EQUAL(mlockall(MCL_CURRENT), -1);
	EQUAL(errno, ENOMEM);
	limit(RLIMIT_MEMLOCK, 0);
	home();
	EQUAL(mlock(memory, 4096), -1);
	EQUAL(errno, EPERM);
}

static void pending_signals(void)
{
	sigset_t set;
	int queued = 0;

	be_nobody(61236);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	DO(sigprocmask(SIG_BLOCK, &set, NULL));
	away();
	limit(RLIMIT_SIGPENDING, 5);
	while (sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = queued }) == 0)
		queued++;
	EQUAL(errno, EAGAIN);
	CHECK(queued >= 4 && queued <= 5);
	for (int i = 0; i < queued; i++) {
		siginfo_t info;

		EQUAL(sigwaitinfo(&set, &info), SIGRTMIN);
		EQUAL(info.si_value.sival_int, i);
	}
}

static void message_queues(void)
{
	struct mq_attr attributes = { .mq_maxmsg = 10, .mq_msgsize = 1024 };
	char name[32];
	mqd_t queue;

	snprintf(name, sizeof(name), "/radium-limit-%d", getpid());
	be_nobody(61237);
	away();
	limit(RLIMIT_MSGQUEUE, 4096);
	queue = mq_open(name, O_RDWR | O_CREAT, 0600, &attributes);
	EQUAL(queue, -1);
	if (errno == ENOSYS)
		skip("no message queues");
	EQUAL(errno, EMFILE);
	attributes.mq_maxmsg = 1;
	DO(mq_open(name, O_RDWR | O_CREAT, 0600, &attributes));
	DO(mq_unlink(name));
}

static void priorities(void)
{
	struct sched_param parameters = { .sched_priority = 5 };

	be_nobody(61238);
	away();
	limit(RLIMIT_NICE, 0);
	limit(RLIMIT_RTPRIO, 0);
	errno = 0;
	EQUAL(setpriority(PRIO_PROCESS, 0, 5), 0);
	EQUAL(setpriority(PRIO_PROCESS, 0, 4), -1);
	EQUAL(errno, EACCES);
	EQUAL(sched_setscheduler(0, SCHED_FIFO, &parameters), -1);
	EQUAL(errno, EPERM);
	home();
	EQUAL(setpriority(PRIO_PROCESS, 0, 4), -1);
}

/* Of another process, which is away; and hard limits that only sink. */
static void limits_of_another(void)
{
	struct rlimit old, new = { 30, 40 };
	int ends[2], fd = -1;
	pid_t child;
	char byte;

	DO(pipe(ends));
	child = DO(fork());
	if (!child) {
		away();
		EQUAL(read(ends[0], &byte, 1), 1);
		while (dup(1) >= 0)
			fd++;
		EQUAL(errno, EMFILE);
		EQUAL(fcntl(29, F_GETFD), 0);
		EQUAL(fcntl(30, F_GETFD), -1);
		_exit(0);
	}
	away();
	DO(prlimit(child, RLIMIT_NOFILE, &new, &old));
	CHECK(old.rlim_max > 40);
	EQUAL(write(ends[1], "x", 1), 1);
	reap(child);
	be_nobody(61239);
	limit(RLIMIT_NOFILE, 100);
	new = (struct rlimit){ 50, 101 };
	EQUAL(setrlimit(RLIMIT_NOFILE, &new), -1);
	EQUAL(errno, EPERM);
	new = (struct rlimit){ 101, 100 };
	EQUAL(setrlimit(RLIMIT_NOFILE, &new), -1);
	EQUAL(errno, EINVAL);
}

/* Looked at while the thread is at home: the computing has to come there. */
static void processor_time(void)
{
	struct rlimit limits = { 1, 3 };
	uint64_t end;

	signal(SIGXCPU, catch);
	away();
	DO(setrlimit(RLIMIT_CPU, &limits));
	end = now_ns() + 60000000000ull;
	while (!caught && now_ns() < end) {
		compute_checked(100);
		getppid();
		if (moving())
			home();
		compute_checked(100);
	}
	EQUAL(caught, SIGXCPU);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(file_size), CASE(file_size_ends), CASE(open_files), CASE(processes_of_a_user),
		CASE(data_and_addresses), CASE(locked_memory), CASE(pending_signals),
		CASE(message_queues), CASE(priorities), CASE(limits_of_another), CASE(processor_time),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

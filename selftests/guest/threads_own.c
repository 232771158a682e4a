// SPDX-License-Identifier: GPL-2.0
/*
 * Threads of one process on several nodes: what each has for itself, and what one of them
 * does for the process while the others are elsewhere.
 */
#include "crew.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define RW (PROT_READ | PROT_WRITE)

extern char **environ;

static struct hand crew[4];
static atomic_int all_end ALONE;

/* Computes on its own page until the end; what it has counted is right then. */
static void *go_on(struct hand *hand)
{
	uint64_t *count = hand->argument, mine = 0;

	count += hand->number * 512;
	DO(sem_post(&hand->done));
	do {
		for (int i = 0; i < 1000; i++)
			((volatile uint64_t *)count)[0]++;
		mine += 1000;
	} while (!atomic_load_explicit(&all_end, memory_order_relaxed));
	EQUAL(*count, mine);
	return hand;
}

static void begin_others(void)
{
	crew_start(crew, 3, go_on, map_pages(3, RW));
	crew_spread(crew, 3, 0);
	crew_go(crew, 3);
	for (int i = 0; i < 3; i++)
		down(&crew[i].done);
}

static void end_others(void)
{
	all_end = 1;
	crew_join(crew, 3);
	for (int i = 0; i < 3; i++)
		CHECK(crew[i].result == &crew[i]);
	all_end = 0;
}

/* The child of vfork() has the memory of all of them until it executes something. */
static void spawned_from_anywhere(void)
{
	char *const arguments[] = { "sh", "-c", "exit 31", NULL };

	begin_others();
	for (int round = 0; round < PLACES; round++) {
		volatile int written = 0;
		int status;
		pid_t pid;

		go(places[(round + 1) % PLACES]);
		EQUAL(posix_spawn(&pid, "/bin/sh", NULL, NULL, arguments, environ), 0);
		EQUAL(waitpid(pid, &status, 0), pid);
		EQUAL(WEXITSTATUS(status), 31);
		pid = vfork();
		if (!pid) {
			written = 5;
			_exit(32);
		}
		CHECK(pid > 0);
		EQUAL(written, 5);
		EQUAL(waitpid(pid, &status, 0), pid);
		EQUAL(WEXITSTATUS(status), 32);
	}
	end_others();
}

static int shared_file;

/* A directory, a mask and descriptors that the others do not have. */
static void *part_company(struct hand *hand)
{
	char path[64];
	mode_t mask;

	if (hand->number == 1) {
		DO(unshare(CLONE_FS));
		DO(chdir("/usr"));
		umask(0111);
	}
	if (hand->number == 2) {
		DO(unshare(CLONE_FILES));
		DO(close(shared_file));
	}
	DO(sem_post(&hand->done));
	down(&hand->go);
	for (int round = 0; round < PLACES; round++) {
		CHECK(getcwd(path, sizeof(path)));
		EQUAL(strcmp(path, hand->number == 1 ? "/usr" : "/tmp"), 0);
		mask = hand->number == 1 ? 0111 : 022;
		EQUAL(umask(mask), mask);
		EQUAL(fcntl(shared_file, F_GETFD), hand->number == 2 ? -1 : 0);
		go(places[(hand->number + round) % PLACES]);
	}
	return NULL;
}

static void files_of_one_thread(void)
{
	DO(chdir("/tmp"));
	shared_file = DO(open("/dev/null", O_RDONLY));
	crew_start(crew, 3, part_company, NULL);
	crew_spread(crew, 3, 1);
	crew_go(crew, 3);
	for (int i = 0; i < 3; i++)
		down(&crew[i].done);
	crew_go(crew, 3);
	crew_join(crew, 3);
}

static int nice_of(pid_t tid)
{
	int value;

	errno = 0;
	value = getpriority(PRIO_PROCESS, tid);
	EQUAL(errno, 0);
	return value;
}

static int usual_class;

/* Each sets its own; the others look at them by their numbers. */
static void *be_different(struct hand *hand)
{
	struct sched_param none = { 0 };
	char name[16], expected[16];

	snprintf(expected, sizeof(expected), "hand %u", hand->number);
	DO(prctl(PR_SET_NAME, expected));
	DO(setpriority(PRIO_PROCESS, 0, 3 + hand->number));
	if (hand->number == 1)
		DO(sched_setscheduler(0, SCHED_BATCH, &none));
	DO(prctl(PR_SET_TIMERSLACK, 70000 + hand->number));
	DO(sem_post(&hand->done));
	down(&hand->go);
	for (int round = 0; round < PLACES; round++) {
		go(places[(hand->number + round) % PLACES]);
		DO(prctl(PR_GET_NAME, name));
		CHECK(!strcmp(name, expected));
		EQUAL(nice_of(0), 3 + hand->number);
		EQUAL(sched_getscheduler(0), hand->number == 1 ? SCHED_BATCH : usual_class);
		EQUAL(prctl(PR_GET_TIMERSLACK), 70000 + hand->number);
	}
	return NULL;
}

static void attributes_of_one_thread(void)
{
	int before = nice_of(0);
	char name[16];

	usual_class = sched_getscheduler(0);
	crew_start(crew, 3, be_different, NULL);
	crew_spread(crew, 3, 1);
	crew_go(crew, 3);
	for (int i = 0; i < 3; i++)
		down(&crew[i].done);
	go(2);
	for (int i = 0; i < 3; i++) {
		EQUAL(nice_of(crew[i].tid), 3 + i);
		EQUAL(sched_getscheduler(crew[i].tid), i == 1 ? SCHED_BATCH : usual_class);
		EQUAL(pthread_getname_np(crew[i].thread, name, sizeof(name)), 0);
		EQUAL(name[5], '0' + i);
	}
	EQUAL(nice_of(0), before);
	crew_go(crew, 3);
	crew_join(crew, 3);
}

static volatile sig_atomic_t caught_by;

static void catch(int number)
{
	(void)number;
	caught_by = gettid();
}

/* A mask is a thread's own: the signal for the process goes to who does not block it. */
static void *block_or_not(struct hand *hand)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	EQUAL(pthread_sigmask(hand->number == 1 ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL), 0);
	DO(sem_post(&hand->done));
	while (!atomic_load_explicit(&all_end, memory_order_relaxed))
		compute_ms(1);
	return NULL;
}

static void mask_of_one_thread(void)
{
	uint64_t end;
	sigset_t set;

	signal(SIGUSR2, catch);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	EQUAL(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	for (int round = 0; round < PLACES; round++) {
		go(places[round]);
		caught_by = 0;
		crew_start(crew, 3, block_or_not, NULL);
		crew_spread(crew, 3, round + 1);
		crew_go(crew, 3);
		for (int i = 0; i < 3; i++)
			down(&crew[i].done);
		DO(kill(getpid(), SIGUSR2));
		end = now_ns() + 60000000000ull;
		while (!caught_by && now_ns() < end)
			sleep_ms(2);
		EQUAL(caught_by, crew[1].tid);
		all_end = 1;
		crew_join(crew, 3);
		all_end = 0;
	}
}

/* ------------------------------------------------------- all of them as one */

enum { PART = 16 * 4096 };

static char *parts;

static void *fill_a_part(struct hand *hand)
{
	char name[16];

	snprintf(name, sizeof(name), "part %u", hand->number);
	DO(prctl(PR_SET_NAME, name));
	fill(parts + hand->number * PART, PART, hand->number);
	DO(sem_post(&hand->done));
	down(&hand->go);
	return NULL;
}

static long status_of(const char *name)
{
	const char *line = strstr(read_text("/proc/self/status"), name);

	CHECK(line);
	return strtol(line + strlen(name), NULL, 10);
}

/* From each node: all threads, and the memory that each of them has where it is. */
static void seen_in_proc(void)
{
	char path[64], copy[PART], expected[16];
	long before;
	int file;

	parts = map_pages(3 * PART / 4096, RW);
	DO(madvise(parts, 3 * PART, MADV_NOHUGEPAGE));
	before = status_of("RssAnon:");
	crew_start(crew, 3, fill_a_part, NULL);
	crew_spread(crew, 3, 0);
	crew_go(crew, 3);
	for (int i = 0; i < 3; i++)
		down(&crew[i].done);
	file = DO(open("/proc/self/mem", O_RDONLY));
	for (int round = 0; round < PLACES; round++) {
		go(places[(round + 1) % PLACES]);
		EQUAL(status_of("Threads:"), 4);
		/* The count of each processor is a few pages behind. */
		CHECK(status_of("RssAnon:") - before >= 2 * PART / 1024);
		for (int i = 0; i < 3; i++) {
			snprintf(path, sizeof(path), "/proc/self/task/%d/comm", crew[i].tid);
			snprintf(expected, sizeof(expected), "part %d\n", i);
			CHECK(!strcmp(read_text(path), expected));
			EQUAL(pread(file, copy, PART, (off_t)(parts + i * PART)), PART);
			EQUAL(differs(copy, PART, i), -1);
		}
	}
	crew_go(crew, 3);
	crew_join(crew, 3);
	/* They end after who joins them is told. */
	for (int i = 0; i < 12000 && status_of("Threads:") != 1; i++)
		sleep_ms(5);
	EQUAL(status_of("Threads:"), 1);
}

static atomic_int whose_turn ALONE;

/* Waits until it is the one, and computes while it is. */
static void *use_time(struct hand *hand)
{
	do {
		while (whose_turn == (int)hand->number) {
			compute_ms(20);
			getppid();	/* home hears of it */
		}
		DO(sem_post(&hand->done));
		down(&hand->go);
	} while (whose_turn >= 0);
	return NULL;
}

static int64_t read_clock(clockid_t clock)
{
	struct timespec now;

	DO(clock_gettime(clock, &now));
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* Of the process, but for who asks, who is at home. */
static int64_t others_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID) - read_clock(CLOCK_THREAD_CPUTIME_ID);
}

static unsigned long ticks(void)
{
	unsigned long user, system;
	const char *rest = strrchr(read_text("/proc/self/stat"), ')');

	CHECK(rest);
	EQUAL(sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
		     &system), 2);
	return user + system;
}

/* What each of them computes, on whichever node, is the process' time. */
static void time_of_all(void)
{
	whose_turn = 99;
	crew_start(crew, 3, use_time, NULL);
	crew_spread(crew, 3, 0);
	crew_go(crew, 3);
	for (int i = 0; i < 3; i++)
		down(&crew[i].done);
	for (int i = 0; i < 3; i++) {
		int64_t begin = others_ns(), end = now_ns() + 60000000000ll;
		unsigned long begun = ticks();

		whose_turn = i;
		crew_go(crew + i, 1);
		while (others_ns() - begin < 400000000 && (int64_t)now_ns() < end)
			sleep_ms(50);
		whose_turn = 99;
		down(&crew[i].done);
		CHECK(others_ns() - begin >= 400000000);
		CHECK(ticks() - begun >= (unsigned long)sysconf(_SC_CLK_TCK) * 3 / 10);
	}
	whose_turn = -1;
	crew_go(crew, 3);
	crew_join(crew, 3);
}

/* --------------------------------------------------------- protection keys */

static int key, drain[2];
static volatile char *locked;

/* What one has forbidden itself, another may: by their numbers nothing, reading, all. */
static void *use_key(struct hand *hand)
{
	unsigned int rights[] = { PKEY_DISABLE_ACCESS, PKEY_DISABLE_WRITE, 0 };

	DO(pkey_set(key, rights[hand->number]));
	for (int round = 0; round < PLACES; round++) {
		go(places[(hand->number + round) % PLACES]);
		EQUAL(pkey_get(key), rights[hand->number]);
		/* The kernel reads it by the keys of the thread that calls it. */
		EQUAL(write(drain[1], (char *)locked + 100, 1), hand->number ? 1 : -1);
		if (!hand->number)
			EQUAL(errno, EFAULT);
		else
			EQUAL(locked[100], 'k');
		if (hand->number == 2)
			locked[round] = round;
	}
	return NULL;
}

static void keys_of_one_thread(void)
{
	key = pkey_alloc(0, 0);
	if (key < 0)
		skip("pkey_alloc: %s", strerror(errno));
	DO(pipe(drain));
	locked = map_pages(1, RW);
	locked[100] = 'k';
	DO(pkey_mprotect((void *)locked, 4096, RW, key));
	crew_start(crew, 3, use_key, NULL);
	crew_spread(crew, 3, 0);
	crew_go(crew, 3);
	crew_join(crew, 3);
	for (int round = 0; round < PLACES; round++)
		EQUAL(locked[round], round);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(spawned_from_anywhere), CASE(files_of_one_thread),
		CASE(attributes_of_one_thread), CASE(mask_of_one_thread), CASE(keys_of_one_thread),
		CASE(seen_in_proc), CASE(time_of_all),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

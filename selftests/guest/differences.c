// SPDX-License-Identifier: GPL-2.0
/*
 * What is not as it is at home: each case shows one difference that the documentation
 * (guarantees.rst) names; unmoved it shows that it is one.
 */
#include "accounts.h"

#include <fcntl.h>
#include <linux/acct.h>
#include <linux/perf_event.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define RW (PROT_READ | PROT_WRITE)

enum { MS = 1000000 };

/* ------------------------------------------------------------ processor time */

/* A process that counts and makes no calls, and what it shares with who looks at it. */
struct counter {
	uint64_t rate;		/* in SLICE_MS of processor time, at best */
	volatile uint64_t ready;
	volatile uint64_t fired;
	volatile uint64_t count;
};

static struct counter *counter;
enum { SLICES = 5, SLICE_MS = 100 };

static void fire(int number)
{
	(void)number;
	counter->fired++;
}

/* Before it counts for good, @prepare is done. */
static pid_t start_counter(void (*prepare)(void))
{
	uint64_t before;
	int64_t start;
	pid_t pid;

	counter = map_pages(1, RW);
	pid = DO(fork());
	if (pid)
		return pid;
	/* A host that is busy takes of what a machine believes to be a processor's time. */
	for (int slice = 0; slice < SLICES; slice++) {
		before = counter->count;
		start = read_clock(CLOCK_PROCESS_CPUTIME_ID);
		do
			for (int i = 0; i < 10000; i++)
				counter->count++;
		while (read_clock(CLOCK_PROCESS_CPUTIME_ID) - start < SLICE_MS * MS);
		if (counter->count - before > counter->rate)
			counter->rate = counter->count - before;
	}
	if (prepare)
		prepare();
	for (counter->ready = 1; ; )
		counter->count++;
}

static uint64_t peek(pid_t pid, const volatile uint64_t *word)
{
	uint64_t value = 0;
	struct iovec here = { &value, 8 }, there = { (void *)word, 8 };

	EQUAL(process_vm_readv(pid, &here, 1, &there, 1, 0), 8);
	return value;
}

static void await_word(pid_t pid, const volatile uint64_t *word, uint64_t least)
{
	while (peek(pid, word) < least)
		sleep_ms(20);
}

/* Until it has counted on for so much of its processor time; without asking it anything. */
static void await_time(pid_t pid, unsigned int ms)
{
	await_word(pid, &counter->count,
		   peek(pid, &counter->count) + peek(pid, &counter->rate) * ms / SLICE_MS);
}

/* Home hears of processor time with the next call, or when the thread comes home. */
static void time_is_told_by_calls(void)
{
	pid_t pid = start_counter(NULL);
	int64_t before, unasked, told;
	clockid_t clock;

	await_word(pid, &counter->ready, 1);
	EQUAL(clock_getcpuclockid(pid, &clock), 0);
	away_pid(pid);
	before = read_clock(clock);
	await_time(pid, 200);
	unasked = read_clock(clock) - before;
	home_pid(pid);
	told = read_clock(clock) - before;
	note("%lld ms, %lld when it is home", (long long)unasked / MS, (long long)told / MS);
	CHECK(moving() ? unasked < 40 * MS : unasked > 50 * MS);
	CHECK(told > 50 * MS);
	DO(kill(pid, SIGKILL));
}

/* What it has not told of before it is killed nobody hears of. */
static void time_of_the_killed_is_lost(void)
{
	pid_t pid = start_counter(NULL);
	struct rusage usage;
	int64_t before, lost;
	clockid_t clock;
	int status;

	await_word(pid, &counter->ready, 1);
	EQUAL(clock_getcpuclockid(pid, &clock), 0);
	away_pid(pid);
	before = read_clock(clock);
	await_time(pid, 2000);
	DO(kill(pid, SIGKILL));
	EQUAL(wait4(pid, &status, 0, &usage), pid);
	lost = rusage_ns(&usage) - before;
	note("%lld ms", (long long)lost / MS);
	/* To end takes time as well, at home. */
	CHECK(moving() ? lost < 500 * MS : lost > 500 * MS);
}

static void arm(void)
{
	struct itimerval once = { { 0 }, { 0, 50000 } };

	signal(SIGPROF, fire);
	away();
	DO(setitimer(ITIMER_PROF, &once, NULL));
}

/* Timers of processor time are looked at while a thread runs at home. */
static void timers_wait_for_home(void)
{
	pid_t pid = start_counter(arm);

	await_word(pid, &counter->ready, 1);
	await_time(pid, 300);
	if (moving())
		EQUAL(peek(pid, &counter->fired), 0);
	home_pid(pid);
	await_word(pid, &counter->fired, 1);
	DO(kill(pid, SIGKILL));
}

/* ------------------------------------------------------------ who looks at it */

static long minor_faults(void)
{
	struct rusage usage;

	DO(getrusage(RUSAGE_SELF, &usage));
	return usage.ru_minflt;
}

/* Pages that are fetched are not counted as faults of anybody. */
static void faults_are_not_counted(void)
{
	enum { PAGES = 64 };
	char *memory;
	long faults;

	memory = map_pages(PAGES, RW);
	DO(madvise(memory, PAGES * 4096, MADV_NOHUGEPAGE));
	away();
	faults = minor_faults();
	for (int i = 0; i < PAGES; i++)
		memory[i * 4096] = i;
	faults = minor_faults() - faults;
	note("%ld faults", faults);
	CHECK(moving() ? faults < PAGES / 2 : faults >= PAGES);
}

/* A mapping that the kernel does not join with another. */
static char *lonely_pages(size_t pages)
{
	char *memory = (char *)map_pages(pages + 2, RW) + 4096;

	DO(munmap(memory - 4096, 4096));
	DO(munmap(memory + pages * 4096, 4096));
	DO(madvise(memory, pages * 4096, MADV_NOHUGEPAGE));
	return memory;
}

/*
 * The number behind a name in what a file of a process says of the mapping at an address,
 * up to an end; 0: it is not said.
 */
static long said_of(pid_t pid, const char *file, const void *memory, const char *name,
		    const char *end)
{
	static char text[1 << 20];
	char path[40], start[40], *at, *stop;
	size_t got;
	FILE *said;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	said = fopen(path, "r");
	if (!said)
		skip("%s: %s", path, strerror(errno));
	got = fread(text, 1, sizeof(text) - 1, said);
	text[got] = 0;
	fclose(said);
	snprintf(start, sizeof(start), "\n%lx", (unsigned long)memory);
	at = strstr(text, start);
	CHECK(at);
	stop = strstr(at + 1, end);
	at = strstr(at, name);
	return at && (!stop || at < stop) ? strtol(at + strlen(name), NULL, 10) : 0;
}

/* Natively a page that is only read is that of zeros, which costs nothing. */
static void reading_allocates(void)
{
	enum { PAGES = 64 };
	const volatile char *memory = lonely_pages(PAGES);
	long kilobytes;

	away();
	for (int i = 0; i < PAGES; i++)
		EQUAL(memory[i * 4096], 0);
	kilobytes = said_of(getpid(), "smaps", (void *)memory, "Anonymous:", "VmFlags:");
	note("%ld kB", kilobytes);
	if (!moving() && kilobytes)
		skip("this kernel has no page of zeros");
	EQUAL(kilobytes, moving() ? PAGES * 4 : 0);
}

/* A counter of the kernel's for a process counts what happens at home. */
static void counters_stand_still(void)
{
	struct perf_event_attr event = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(event),
					 .config = PERF_COUNT_SW_TASK_CLOCK };
	pid_t pid = start_counter(NULL);
	uint64_t before, after;
	int file;

	await_word(pid, &counter->ready, 1);
	file = syscall(SYS_perf_event_open, &event, pid, -1, -1, 0);
	if (file < 0)
		skip("perf_event_open: %s", strerror(errno));
	away_pid(pid);
	EQUAL(read(file, &before, 8), 8);
	await_time(pid, 200);
	EQUAL(read(file, &after, 8), 8);
	note("%llu ms", (unsigned long long)(after - before) / MS);
	CHECK(moving() ? after - before < 40 * MS : after - before > 50 * MS);
	DO(kill(pid, SIGKILL));
}

/* Others see its deputy, which sleeps. */
static void seen_asleep(void)
{
	pid_t pid = start_counter(NULL);
	char path[40], *text;

	await_word(pid, &counter->ready, 1);
	away_pid(pid);
	await_time(pid, 50);
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	text = strrchr(read_text(path), ')');
	CHECK(text);
	EQUAL(text[2], moving() ? 'S' : 'R');
	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	text = read_text(path);
	if (*text)	/* else it is not allowed, or not there */
		CHECK(moving() ? !strncmp(text, "-1 0x", 5) : !strcmp(text, "running\n"));
	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	if (moving() && !access(path, R_OK) && *(text = read_text(path)))
		CHECK(strstr(text, "task_work_run"));
	DO(kill(pid, SIGKILL));
}

/* Pages that another node has are on no memory node of home's. */
static void on_no_memory_node(void)
{
	enum { PAGES = 64 };
	char *memory = lonely_pages(PAGES);
	int ends[2];
	pid_t pid;
	char byte;
	long pages;

	DO(pipe(ends));
	pid = DO(fork());
	if (!pid) {
		away();
		memset(memory, 1, PAGES * 4096);
		EQUAL(write(ends[1], "r", 1), 1);
		for (;;)
			compute_ms(1000);
	}
	EQUAL(read(ends[0], &byte, 1), 1);
	pages = said_of(pid, "numa_maps", memory, " anon=", "\n");
	note("%ld of %d pages", pages, PAGES);
	CHECK(moving() ? pages < PAGES / 2 : pages == PAGES);
	DO(kill(pid, SIGKILL));
}

/* ------------------------------------------------------------------- memory */

/* Who writes by force where nobody may write does not reach a copy. */
static void forced_writes_miss_copies(void)
{
	int to[2], from[2], file;
	char path[40], byte;
	char *memory;
	pid_t pid;

	DO(pipe(to));
	DO(pipe(from));
	memory = map_pages(1, RW);
	pid = DO(fork());
	if (!pid) {
		volatile char *word = memory;

		*word = 'a';
		DO(mprotect(memory, 4096, PROT_READ));
		away();
		byte = *word;
		EQUAL(write(from[1], &byte, 1), 1);
		for (int round = 0; round < 2; round++) {
			EQUAL(read(to[0], &byte, 1), 1);
			byte = *word;
			EQUAL(write(from[1], &byte, 1), 1);
		}
		_exit(0);
	}
	EQUAL(read(from[0], &byte, 1), 1);
	EQUAL(byte, 'a');
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	file = DO(open(path, O_RDWR));
	EQUAL(pwrite(file, "b", 1, (off_t)memory), 1);
	EQUAL(pread(file, &byte, 1, (off_t)memory), 1);
	EQUAL(byte, 'b');
	EQUAL(write(to[1], "?", 1), 1);
	EQUAL(read(from[0], &byte, 1), 1);
	EQUAL(byte, moving() ? 'a' : 'b');
	home_pid(pid);
	EQUAL(write(to[1], "?", 1), 1);
	EQUAL(read(from[0], &byte, 1), 1);
	EQUAL(byte, 'b');
	reap(pid);
}

/* A private page of a file that may be written to does not follow the file any more. */
static void private_pages_are_taken(void)
{
	char path[] = "/tmp/st-private-XXXXXX";
	int file = DO(mkstemp(path));
	const volatile char *memory;

	unlink(path);
	EQUAL(pwrite(file, "a", 1, 0), 1);
	DO(ftruncate(file, 4096));
	memory = DO(mmap(NULL, 4096, RW, MAP_PRIVATE, file, 0));
	away();
	EQUAL(*memory, 'a');
	EQUAL(pwrite(file, "b", 1, 0), 1);
	EQUAL(*memory, moving() ? 'a' : 'b');
	home();
	EQUAL(*memory, moving() ? 'a' : 'b');
}

/* To cut a file off by its name is not to open it: copies keep the rest of its last page. */
static void cut_off_rest_stays(void)
{
	char path[] = "/tmp/st-cut-XXXXXX";
	int file = DO(mkstemp(path));
	const volatile char *memory;

	for (int i = 0; i < 4096; i++)
		EQUAL(pwrite(file, "x", 1, i), 1);
	DO(close(file));
	file = DO(open(path, O_RDONLY));
	memory = DO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0));
	away();
	EQUAL(memory[3000], 'x');
	DO(truncate(path, 100));
	EQUAL(memory[99], 'x');
	EQUAL(memory[3000], moving() ? 'x' : 0);
	home();
	EQUAL(memory[3000], 0);
	unlink(path);
}

/* The kernel opens files for itself without a word: accounting here, servers of files too. */
static void writes_of_the_kernel_miss_copies(void)
{
	enum { SIZE = 128 };
	char path[] = "/tmp/st-kernel-XXXXXX";
	int file = DO(mkstemp(path)), status, off;
	const volatile char *memory;
	bool seen = false;
	pid_t pid;

	DO(ftruncate(file, SIZE));
	DO(close(file));
	file = DO(open(path, O_RDONLY));
	memory = DO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0));
	away();
	for (int i = 0; i < 4096; i++)
		EQUAL(memory[i], 0);
	if (acct(path)) {
		unlink(path);
		skip("acct: %s", strerror(errno));
	}
	pid = fork();
	if (!pid)
		_exit(0);
	pid = waitpid(pid, &status, 0);
	off = acct(NULL);
	unlink(path);
	CHECK(pid > 0 && !off);
	away();
	for (int i = SIZE; i < SIZE + (int)sizeof(struct acct_v3); i++)
		seen |= memory[i];
	EQUAL(seen, !moving());
	home();
	for (int i = SIZE; i < SIZE + (int)sizeof(struct acct_v3); i++)
		seen |= memory[i];
	CHECK(seen);
}

/* ------------------------------------------------- data of calls that block */

enum { LENGTH = 8192 };		/* goes with a call */

static char *buffer;
static int pipe_ends[2], sockets[2];

static void *change_and_drain(void *last)
{
	static char drained[LENGTH];
	size_t got = 0;
	int waiting;

	do {
		sleep_ms(5);
		DO(ioctl(pipe_ends[0], FIONREAD, &waiting));
	} while (waiting < 4096);
	buffer[LENGTH - 1] = 'n';
	while (got < LENGTH)
		got += DO(read(pipe_ends[0], drained + got, LENGTH - got));
	*(char *)last = drained[LENGTH - 1];
	return NULL;
}

/* Natively what is written late is taken late; with a call from elsewhere all goes at once. */
static void written_data_is_taken_at_once(void)
{
	pthread_t other;
	char last = 0;

	buffer = map_pages(LENGTH / 4096, RW);
	DO(pipe(pipe_ends));
	EQUAL(DO(fcntl(pipe_ends[1], F_SETPIPE_SZ, 4096)), 4096);
	EQUAL(pthread_create(&other, NULL, change_and_drain, &last), 0);
	away();
	memset(buffer, 'o', LENGTH);
	EQUAL(write(pipe_ends[1], buffer, LENGTH), LENGTH);
	pthread_join(other, NULL);
	EQUAL(last, moving() ? 'o' : 'n');
	EQUAL(buffer[LENGTH - 1], 'n');
}

static void *send_and_look(void *seen)
{
	char data[LENGTH];
	int queued;

	memset(data, 'n', LENGTH);
	EQUAL(send(sockets[0], data, LENGTH / 2, 0), LENGTH / 2);
	do {
		sleep_ms(5);
		DO(ioctl(sockets[0], SIOCOUTQ, &queued));
	} while (queued);
	*(char *)seen = *(volatile char *)buffer;
	EQUAL(send(sockets[0], data, LENGTH / 2, 0), LENGTH / 2);
	return NULL;
}

/* Natively the first part is there while the call waits for the second. */
static void read_data_comes_at_the_end(void)
{
	pthread_t other;
	char seen = 0;

	buffer = map_pages(LENGTH / 4096, RW);
	DO(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	EQUAL(pthread_create(&other, NULL, send_and_look, &seen), 0);
	away();
	memset(buffer, 'o', LENGTH);
	EQUAL(recv(sockets[1], buffer, LENGTH, MSG_WAITALL), LENGTH);
	pthread_join(other, NULL);
	EQUAL(seen, moving() ? 'o' : 'n');
	for (int i = 0; i < LENGTH; i++)
		EQUAL(buffer[i], 'n');
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(time_is_told_by_calls),
		CASE(time_of_the_killed_is_lost), CASE(timers_wait_for_home),
		CASE(faults_are_not_counted),
		CASE(reading_allocates), CASE(counters_stand_still), CASE(seen_asleep),
		CASE(on_no_memory_node), CASE(forced_writes_miss_copies),
		CASE(private_pages_are_taken), CASE(cut_off_rest_stays),
		CASE(writes_of_the_kernel_miss_copies),
		CASE(written_data_is_taken_at_once), CASE(read_data_comes_at_the_end),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/* Threads on one node, and files that keep them waiting, or that they use at the same time. */
#include "crew.h"
#include "fuse.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static unsigned int node_away(void)
{
	unsigned int node;

	away();
	node = where();
	home();
	return node;
}

/* ---- home, made slow ---- */

enum { KTHREADD = 2, SLOWEST = 19, CPUS_MAX = 64 };

static pid_t busy_everywhere[CPUS_MAX];
static int cpus, nice_before;

static pid_t busy_on(int cpu)
{
	pid_t pid = DO(fork());
	cpu_set_t set;

	if (pid)
		return pid;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	for (;;)
		;
}

/*
 * Of its threads that do work for others the kernel has few, and makes more when all of them wait:
 * that takes long while it has to wait for a processor. No other machine than the tests' own.
 */
static void make_home_slow(void)
{
	if (geteuid() || !own_machine())
		return;
	cpus = DO(sysconf(_SC_NPROCESSORS_ONLN));
	cpus = cpus < CPUS_MAX ? cpus : CPUS_MAX;
	for (int i = 0; i < cpus; i++)
		busy_everywhere[i] = busy_on(i);
	nice_before = getpriority(PRIO_PROCESS, KTHREADD);
	DO(setpriority(PRIO_PROCESS, KTHREADD, SLOWEST));
}

static void make_home_fast(void)
{
	if (!cpus)
		return;
	DO(setpriority(PRIO_PROCESS, KTHREADD, nice_before));
	for (int i = 0; i < cpus; i++) {
		DO(kill(busy_everywhere[i], SIGKILL));
		EQUAL(waitpid(busy_everywhere[i], NULL, 0), busy_everywhere[i]);
	}
}

/* ---- who has nothing to do with it ---- */

/* Of many that wait: more than a node may have requests at once, and than it may have messages. */
enum { WAITING = 80, CALLS_MS = 3000, LIMIT_MS = 20000, SETTLE_MS = 500 };

static struct {
	struct fuse_mount fuse;
	unsigned int node;
	int counter, told[2], begin[2], ready[2];
	pid_t bystander;
} scene;

static struct hand waiting[WAITING];
static volatile uint64_t *content;

/* With the offset of a file, which needs no memory: neither of the process nor of another one. */
static void count(void)
{
	DO(lseek(scene.counter, 1, SEEK_CUR));
}

static off_t counted(void)
{
	return DO(lseek(scene.counter, 0, SEEK_CUR));
}

static bool count_comes_to(int number)
{
	uint64_t end = now_ns() + LIMIT_MS * 1000000ull * slower();

	while (counted() != number && now_ns() < end)
		sleep_ms(5);
	return counted() == number;
}

/* Somebody else on that node, whose system calls home makes: one after the other, each told. */
static pid_t bystander(int told)
{
	pid_t pid = DO(fork());

	if (!pid) {
		for (;;)
			if (write(told, "c", 1) != 1)
				_exit(1);
	}
	away_pid(pid);
	return pid;
}

/* It goes on for so long, with no gap that anybody would notice. */
static bool goes_on(int told)
{
	uint64_t end = now_ns() + CALLS_MS * 1000000ull * slower();
	struct pollfd ready = { .fd = told, .events = POLLIN };
	char bytes[4096];

	while (now_ns() < end)
		if (poll(&ready, 1, LIMIT_MS * slower()) != 1 || read(told, bytes, sizeof(bytes)) < 1)
			return false;
	return true;
}

/* As /proc has it; 0: it is gone. */
static char state_of(pid_t pid, pid_t tid)
{
	char path[60];
	const char *state;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	state = strrchr(read_text(path), ')');
	return state ? state[2] : 0;
}

static bool is_alive(pid_t pid)
{
	char state = state_of(pid, pid);

	return state && state != 'Z';
}

/* One end of a pipe to whoever looks on, or back: what the other end waits for. */
static void tell(const int *ends, int what)
{
	EQUAL(write(ends[1], &what, sizeof(what)), sizeof(what));
}

static int hear(const int *ends)
{
	int what;

	EQUAL(read(ends[0], &what, sizeof(what)), sizeof(what));
	return what;
}

/*
 * When all wait, which is when they have counted, and a moment later: the bystander goes on all the
 * same, and then the file comes. Not in the process itself, whose memory may be locked by then.
 */
static void look_on(int all)
{
	uint64_t begun = now_ns();
	bool wait = count_comes_to(all), good, alive;

	note("%d wait, after %d ms", (int)counted(), (int)((now_ns() - begun) / 1000000));
	sleep_ms(SETTLE_MS * slower());
	good = wait && goes_on(scene.told[0]);
	alive = is_alive(scene.bystander);
	make_home_fast();
	fuse_go_on(&scene.fuse);
	if (!wait)
		fail(__FILE__, __LINE__, "not all come to wait: %d are missing",
		     all - (int)counted());
	if (!good)
		fail(__FILE__, __LINE__, "no call of the bystander, which %s, for %d s",
		     alive ? "lives" : "has ended", LIMIT_MS / 1000 * slower());
}

static void set_scene(void)
{
	int file;

	fuse_mount(&scene.fuse, WAITING);
	file = DO(open(scene.fuse.file, O_RDONLY));
	content = DO(mmap(NULL, WAITING * 4096, PROT_READ, MAP_PRIVATE, file, 0));
	/* Nothing else is fetched with a page. */
	DO(madvise((void *)content, WAITING * 4096, MADV_RANDOM));
	close(file);
	scene.counter = DO(memfd_create("counter", 0));
	DO(pipe(scene.told));
	DO(pipe(scene.begin));
	DO(pipe(scene.ready));
	scene.node = node_away();
	scene.bystander = bystander(scene.told[1]);
}

static void end_scene(pid_t watching)
{
	reap(watching);
	DO(kill(scene.bystander, SIGKILL));
	EQUAL(waitpid(scene.bystander, NULL, 0), scene.bystander);
	fuse_unmount(&scene.fuse);
}

/* ---- a file whose content does not come ---- */

static void *read_page(struct hand *hand)
{
	unsigned int page = hand->number * 37 % WAITING;	/* in no order */

	count();
	EQUAL(content[page * 512], page + 1);
	return NULL;
}

/*
 * Each of them has home wait for a page of the file: which is not answered, as long as the file
 * system's server likes. Those are their own waits, not those of everybody on the node.
 */
static void slow_file(void)
{
	pid_t watching;

	set_scene();
	watching = DO(fork());
	if (!watching) {
		hear(scene.begin);
		make_home_slow();
		tell(scene.ready, 0);
		look_on(WAITING);
		_exit(0);
	}
	crew_start(waiting, WAITING, read_page, NULL);
	for (int i = 0; i < WAITING; i++)
		crew_place(&waiting[i], scene.node);
	tell(scene.begin, 0);
	hear(scene.ready);
	crew_go(waiting, WAITING);
	crew_join(waiting, WAITING);
	end_scene(watching);
}

/* ---- memory that is locked for as long as a file's content does not come ---- */

/* Files that whoever looks on has locked: nobody goes on before they are let go. */
enum { TO_MAP, TO_FAULT, GATES };

static const char *const gates[GATES] = { "to_map", "to_fault" };
static int gate[GATES], shut[GATES];

static struct hand mapper;
static char *untouched_pages;

/* No more memory is needed for it than what is there. */
static void pass(int which)
{
	count();
	DO(flock(gate[which], LOCK_SH));
	count();
}

static void *map_when_let(struct hand *hand)
{
	(void)hand;
	pass(TO_MAP);
	return map_pages(1, PROT_READ);
}

static void *fault_when_let(struct hand *hand)
{
	char *page = untouched_pages + hand->number * 4096;

	pass(TO_FAULT);
	page[0] = 'f';
	return NULL;
}

/* Reads a page of the file in the memory of a process, which is locked for reading meanwhile. */
static pid_t peeker(pid_t process)
{
	pid_t pid = DO(fork());
	uint64_t number;
	char path[40];

	if (pid)
		return pid;
	snprintf(path, sizeof(path), "/proc/%d/mem", process);
	EQUAL(pread(DO(open(path, O_RDONLY)), &number, sizeof(number), (uintptr_t)content),
	      sizeof(number));
	EQUAL(number, 1);
	_exit(0);
}

static bool waits_for_a_lock(pid_t pid, pid_t tid)
{
	uint64_t end = now_ns() + LIMIT_MS * 1000000ull * slower();

	while (state_of(pid, tid) != 'D' && now_ns() < end)
		sleep_ms(5);
	return state_of(pid, tid) == 'D';
}

static void let(int which)
{
	DO(flock(shut[which], LOCK_UN));
}

static void shut_gates(void)
{
	for (int i = 0; i < GATES; i++) {
		shut[i] = DO(open(gates[i], O_RDWR));
		DO(flock(shut[i], LOCK_EX));
	}
	tell(scene.ready, 0);
}

/* From here on nobody gets the lock for reading, and so on until the file comes. */
static void watch_locked_memory(pid_t process)
{
	pid_t tid, peeking;
	bool locked;
	char byte;

	shut_gates();
	tid = hear(scene.begin);
	make_home_slow();
	peeking = peeker(process);
	EQUAL(read(scene.fuse.asked, &byte, 1), 1);
	let(TO_MAP);
	locked = waits_for_a_lock(process, tid);
	let(TO_FAULT);
	look_on(2 * (WAITING + 1));
	reap(peeking);
	CHECK(locked);
}

/*
 * All that touch memory of their own for the first time wait for that, each with a request to home:
 * not so somebody else on their node.
 */
static void slow_memory(void)
{
	pid_t process = getpid(), watching;

	set_scene();
	untouched_pages = map_pages(WAITING, PROT_READ | PROT_WRITE);
	for (int i = 0; i < GATES; i++)
		gate[i] = DO(open(gates[i], O_RDWR | O_CREAT, 0600));
	watching = DO(fork());
	if (!watching) {
		watch_locked_memory(process);
		_exit(0);
	}
	hear(scene.ready);
	crew_start(waiting, WAITING, fault_when_let, NULL);
	crew_start(&mapper, 1, map_when_let, NULL);
	for (int i = 0; i < WAITING; i++)
		crew_place(&waiting[i], scene.node);
	crew_go(waiting, WAITING);
	crew_go(&mapper, 1);
	CHECK(count_comes_to(WAITING + 1));
	tell(scene.begin, mapper.tid);
	/* First: to look at one of the others needs memory that is away. */
	crew_join(&mapper, 1);
	crew_join(waiting, WAITING);
	end_scene(watching);
	for (int i = 0; i < WAITING; i++)
		EQUAL(untouched_pages[i * 4096], 'f');
}

/* ---- a file that takes what is written to it without a fault ---- */

#define INSTANCE "/sys/kernel/tracing/instances/radium-st-marks"

/* Threads whose calls last, so that the memory of another one's call is used for the first time. */
enum { SLEEPERS = 4, SLEEP_MS = 2000 };

static struct hand sleepers[SLEEPERS];

static void *sleep_there(struct hand *hand)
{
	struct timespec time = { SLEEP_MS / 1000, SLEEP_MS % 1000 * 1000000l };

	(void)hand;
	EQUAL(nanosleep(&time, NULL), 0);
	return NULL;
}

/* What travels with the call is there when the kernel looks, though it must not wait for it. */
static void marks_are_written(void)
{
	char text[] = "so it begins\n";
	unsigned int node = node_away();
	int marker;

	need_root();
	rmdir(INSTANCE);
	if (mkdir(INSTANCE, 0755))
		skip(INSTANCE ": %s", strerror(errno));
	marker = DO(open(INSTANCE "/trace_marker", O_WRONLY));
	crew_start(sleepers, SLEEPERS, sleep_there, NULL);
	for (int i = 0; i < SLEEPERS; i++)
		crew_place(&sleepers[i], node);
	go(node);
	text[0] = 'S';
	crew_go(sleepers, SLEEPERS);
	compute_ms(SLEEP_MS / 4);
	EQUAL(write(marker, text, strlen(text)), strlen(text));
	crew_join(sleepers, SLEEPERS);
	close(marker);
	CHECK(strstr(read_text(INSTANCE "/trace"), "So it begins"));
	DO(rmdir(INSTANCE));
}

/* ---- a file that another thread closes ---- */

enum { ROUNDS = 300, BUSY = 2 };

static struct {
	volatile int round, seen;
	int ends[2];
} closing ALONE;

static struct hand closers[2];

static void *close_and_say(struct hand *hand)
{
	(void)hand;
	for (int i = 1; i <= ROUNDS; i++) {
		DO(pipe(closing.ends));
		DO(close(closing.ends[1]));
		closing.round = i;
		while (closing.seen != i)
			sched_yield();
		DO(close(closing.ends[0]));
	}
	return NULL;
}

static void *find_it_closed(struct hand *hand)
{
	(void)hand;
	for (int i = 1; i <= ROUNDS; i++) {
		struct pollfd end;

		while (closing.round != i)
			sched_yield();
		end = (struct pollfd){ .fd = closing.ends[0], .events = POLLIN };
		EQUAL(poll(&end, 1, 0), 1);
		EQUAL(end.revents, POLLHUP);
		closing.seen = i;
	}
	return NULL;
}

/*
 * What close() does it has done when it returns, whoever looks, and however busy home is: the
 * kernel does it on the way back to user mode.
 */
static void closed_when_it_returns(void)
{
	unsigned int node = node_away();
	pid_t busy[BUSY];

	crew_start(closers, 1, close_and_say, NULL);
	crew_start(&closers[1], 1, find_it_closed, NULL);
	for (int i = 0; i < 2; i++)
		crew_place(&closers[i], node);
	for (int i = 0; i < BUSY; i++) {
		busy[i] = DO(fork());
		if (!busy[i])
			for (;;)
				;
	}
	crew_go(closers, 2);
	crew_join(closers, 2);
	for (int i = 0; i < BUSY; i++) {
		DO(kill(busy[i], SIGKILL));
		EQUAL(waitpid(busy[i], NULL, 0), busy[i]);
	}
}

int main(int argc, char **argv)
{
	const struct test_case cases[] = {
		CASE(slow_file), CASE(slow_memory), CASE(marks_are_written),
		CASE(closed_when_it_returns),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

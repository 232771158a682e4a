// SPDX-License-Identifier: GPL-2.0
/*
 * Who probes a program (uprobes, which are perf's and ftrace's) puts a breakpoint into its
 * code, at home. A thread that is away meets it there, comes home for it, and goes on as if
 * nothing were there; each hit is counted, and no other.
 */
#include "harness.h"

#include <linux/perf_event.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { CALLS = 6, FLICKER_MS = 3000, MOVE_EVERY = 50, ROUNDS = 40, ROUND_MS = 20,
       COPIED = 64 };

#define KERNEL_PROBES "/sys/bus/event_source/devices/kprobe/type"
#define PROBES "/sys/bus/event_source/devices/uprobe/type"

/* The kernel executes its first instruction for it elsewhere, in a single step. */
__attribute__((naked, noipa)) static long stepped(long number)
{
	(void)number;
	asm("lea 1(%rdi,%rdi,2), %rax\n\t"
	    "ret");
}

/* This one the kernel does itself. */
__attribute__((naked, noipa)) static long emulated(long number)
{
	(void)number;
	asm("push %rbp\n\t"
	    "lea 1(%rdi,%rdi,2), %rax\n\t"
	    "pop %rbp\n\t"
	    "ret");
}

/* Returns elsewhere than it was called. */
__attribute__((noipa)) static long moves(long number)
{
	if (number % 2)
		away();
	else
		home();
	return 3 * number + 1;
}

/* How many probe it: a number that whoever sets a probe adds one to; and one of the program's. */
static volatile struct {
	unsigned short probers, own;
} semaphore __attribute__((section(".data"), aligned(4096)));

/* Of the parent of who sets it. */
struct probe {
	long (*function)(long);
	bool returns;		/* where it returns, not where it begins */
	bool counted;		/* with the semaphore */
	int file;		/* -1: it is not set */
};

/* Where what is at this address is in the program's file. */
static uint64_t place_in_file(uintptr_t address)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, end, offset;
	uint64_t place = 0;
	char line[500];

	CHECK(maps);
	while (!place && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 &&
		    address >= start && address < end)
			place = offset + address - start;
	fclose(maps);
	return place;
}

static int set(const struct probe *probe, pid_t pid)
{
	char path[200] = "";
	struct perf_event_attr event = {
		.type = atoi(read_text(PROBES)), .size = sizeof(event), .config = probe->returns,
		.uprobe_path = (uintptr_t)path,
		.probe_offset = place_in_file((uintptr_t)probe->function),
	};

	if (probe->counted)
		event.config |= place_in_file((uintptr_t)&semaphore.probers) << 32;
	CHECK(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
	return syscall(SYS_perf_event_open, &event, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* Sets it, or takes it away and says how often it was hit. */
static int64_t toggle(void *argument)
{
	struct probe *probe = argument;
	uint64_t hits = 0;

	if (probe->file < 0) {
		probe->file = DO(set(probe, getppid()));
		return 0;
	}
	EQUAL(read(probe->file, &hits, sizeof(hits)), sizeof(hits));
	close(probe->file);
	probe->file = -1;
	return hits;
}

static void need_probes(void)
{
	struct probe probe = { .function = stepped };
	int file;

	need_root();
	if (access(PROBES, R_OK))
		skip("no probes in this kernel");
	file = set(&probe, getpid());
	if (file < 0)
		skip("perf_event_open: %s", strerror(errno));
	close(file);
}

/* Each from away. */
static void call(long (*function)(long))
{
	for (long i = 0; i < CALLS; i++) {
		away();
		EQUAL(function(i), 3 * i + 1);
	}
}

static void hits_are_counted(long (*function)(long))
{
	struct probe probe = { .function = function, .file = -1 };
	struct partner prober;
	int came;

	need_probes();
	partner_start(&prober, toggle, &probe);
	/* Set before it leaves, */
	EQUAL(partner_ask(&prober), 0);
	came = returns("EXCEPTION");
	call(function);
	if (moving())
		CHECK(returns("EXCEPTION") >= came + CALLS);
	home();
	EQUAL(function(10), 31);
	EQUAL(partner_ask(&prober), CALLS + 1);
	/* and while it is away, where its code is already. */
	call(function);
	came = returns("EXCEPTION");
	EQUAL(partner_ask(&prober), 0);
	call(function);
	if (moving())
		CHECK(returns("EXCEPTION") >= came + CALLS);
	away();
	EQUAL(partner_ask(&prober), CALLS);
	came = returns("EXCEPTION");
	call(function);
	EQUAL(returns("EXCEPTION"), came);
	/* Set, and not met. */
	EQUAL(partner_ask(&prober), 0);
	compute_ms(20);
	EQUAL(partner_ask(&prober), 0);
	call(function);
	partner_end(&prober);
}

static void probe_in_a_step(void)
{
	hits_are_counted(stepped);
}

static void probe_emulated(void)
{
	hits_are_counted(emulated);
}

/* The kernel has changed the address on the stack. */
static void probe_of_a_return(void)
{
	struct probe probe = { .function = moves, .returns = true, .file = -1 };
	struct partner prober;

	need_probes();
	partner_start(&prober, toggle, &probe);
	for (int round = 0; round < 2; round++) {
		EQUAL(partner_ask(&prober), 0);
		for (long i = 0; i < CALLS; i++)
			EQUAL(moves(i + round), 3 * (i + round) + 1);
		EQUAL(partner_ask(&prober), CALLS);
		EQUAL(moves(3), 10);
	}
	partner_end(&prober);
}

/* Setting a probe writes to the program's memory, to a page that is away. */
static void probe_with_a_semaphore(void)
{
	struct probe probe = { .function = emulated, .counted = true, .file = -1 };
	struct partner prober;

	need_probes();
	partner_start(&prober, toggle, &probe);
	for (int round = 0; round < CALLS; round++) {
		away();
		semaphore.own++;
		EQUAL(semaphore.probers, 0);
		EQUAL(partner_ask(&prober), 0);
		EQUAL(semaphore.probers, 1);
		EQUAL(emulated(round), 3 * round + 1);
		if (round % 3 == 2)
			home();
		semaphore.own++;
		EQUAL(partner_ask(&prober), 1);
		EQUAL(semaphore.probers, 0);
		EQUAL(semaphore.own, 2 * (round + 1));
	}
	partner_end(&prober);
}

/* It comes and goes at any moment of a call, and of the way home. */
static void probe_flickers(void)
{
	struct probe probe = { .function = stepped, .file = -1 };
	uint64_t end = now_ns() + FLICKER_MS * 1000000ull, calls = 0;
	pid_t prober;
	int hits[2];
	uint64_t hit = 0;

	need_probes();
	DO(pipe(hits));
	prober = DO(fork());
	if (!prober) {
		while (now_ns() < end) {
			toggle(&probe);
			sleep_ms(1);
			hit += toggle(&probe);
		}
		_exit(write(hits[1], &hit, sizeof(hit)) != sizeof(hit));
	}
	while (now_ns() < end) {
		if (calls % MOVE_EVERY == 0)
			away();
		EQUAL(stepped(calls), 3 * calls + 1);
		EQUAL(emulated(calls), 3 * calls + 1);
		calls++;
	}
	reap(prober);
	EQUAL(read(hits[0], &hit, sizeof(hit)), sizeof(hit));
	note("%lu calls, %lu hits", calls, hit);
	CHECK(hit <= calls);
	home();
	EQUAL(stepped(1), 4);
}

/*
 * It is told to go while it is in the kernel for a probe, or steps over what was there: it goes
 * a little later, and nobody is told that it cannot.
 */
static void probe_while_moving(void)
{
	struct probe probe = { .function = stepped, .file = -1 };
	struct partner prober;
	int64_t calls = 0;

	need_probes();
	partner_start(&prober, toggle, &probe);
	EQUAL(partner_ask(&prober), 0);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t end = now_ns() + ROUND_MS * 1000000ull;

		during("%d A %d H", 1 + round % 7, 1 + round % 5);
		for (; now_ns() < end; calls++)
			EQUAL(stepped(calls), 3 * calls + 1);
		during_end();
	}
	EQUAL(partner_ask(&prober), calls);
	partner_end(&prober);
}

/*
 * Who probes the returns of what the module puts in place of a function of the kernel's: each fault
 * of a process that has something elsewhere comes through it once, and not again and again until there
 * is no room for another return. Nobody else's does.
 */
static void probe_of_a_hook(void)
{
	struct perf_event_attr event = {
		.size = sizeof(event), .config = 1, .kprobe_func = (uintptr_t)"rad_homemem_do_wp_page",
	};
	uint64_t hits = 0;
	char *pages, *elsewhere;
	pid_t child;
	int file;

	need_root();
	if (access(KERNEL_PROBES, R_OK))
		skip("no probes in this kernel");
	event.type = atoi(read_text(KERNEL_PROBES));
	pages = map_pages(COPIED, PROT_READ | PROT_WRITE);
	memset(pages, 1, COPIED * 4096);
	child = DO(fork());
	if (!child) {
		pause();
		_exit(0);
	}
	elsewhere = map_pages(1, PROT_READ | PROT_WRITE);
	away();
	*elsewhere = 1;
	home();
	file = syscall(SYS_perf_event_open, &event, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (file < 0) {
		kill(child, SIGKILL);
		skip("perf_event_open: %s", strerror(errno));
	}
	for (int i = 0; i < COPIED; i++)
		pages[i * 4096] = 2;
	EQUAL(read(file, &hits, sizeof(hits)), sizeof(hits));
	close(file);
	kill(child, SIGKILL);
	DO(waitpid(child, NULL, 0));
	if (moving())
		CHECK(hits >= COPIED && hits < 2 * COPIED);
	else
		EQUAL(hits, 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(probe_in_a_step), CASE(probe_emulated), CASE(probe_of_a_return),
		CASE(probe_with_a_semaphore), CASE(probe_flickers), CASE(probe_while_moving),
		CASE(probe_of_a_hook),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/* Known ways to lose a page or a wake-up: io_uring, pipes and disks that use a process' pages. */
#include "harness.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define RW (PROT_READ | PROT_WRITE)

/*
 * Work that is announced to a task that waits for somebody else is done meanwhile, and the
 * wait goes on. The ring is the kernel's own interface.
 */
struct ring {
	int fd;
	struct io_uring_params params;
	char *queues;
	struct io_uring_sqe *entries;
};

static volatile unsigned int *ring_word(struct ring *ring, unsigned int offset)
{
	return (volatile unsigned int *)(ring->queues + offset);
}

static void ring_open(struct ring *ring)
{
	size_t size;

	memset(ring, 0, sizeof(*ring));
	ring->fd = syscall(SYS_io_uring_setup, 4, &ring->params);
	if (ring->fd < 0)
		skip("io_uring_setup: %s", strerror(errno));
	CHECK(ring->params.features & IORING_FEAT_SINGLE_MMAP);
	size = ring->params.cq_off.cqes + ring->params.cq_entries * sizeof(struct io_uring_cqe);
	ring->queues = DO(mmap(NULL, size, RW, MAP_SHARED | MAP_POPULATE, ring->fd,
			       IORING_OFF_SQ_RING));
	ring->entries = DO(mmap(NULL, ring->params.sq_entries * sizeof(*ring->entries), RW,
				MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES));
}

static void ring_put(struct ring *ring, struct io_uring_sqe entry)
{
	volatile unsigned int *tail = ring_word(ring, ring->params.sq_off.tail);
	unsigned int slot = *tail & *ring_word(ring, ring->params.sq_off.ring_mask);

	ring->entries[slot] = entry;
	ring_word(ring, ring->params.sq_off.array)[slot] = slot;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
}

static void ring_read(struct ring *ring, int file, void *buffer, unsigned int bytes, uint64_t id)
{
	ring_put(ring, (struct io_uring_sqe){
		.opcode = IORING_OP_READ, .fd = file, .addr = (uintptr_t)buffer, .len = bytes,
		.user_data = id,
	});
	EQUAL(syscall(SYS_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0), 1);
}

/* Submits, and waits for one completion. */
static long ring_wait(struct ring *ring, unsigned int submitted)
{
	return syscall(SYS_io_uring_enter, ring->fd, submitted, 1, IORING_ENTER_GETEVENTS, NULL, 0);
}

static unsigned int ring_done(struct ring *ring)
{
	return __atomic_load_n(ring_word(ring, ring->params.cq_off.tail), __ATOMIC_ACQUIRE);
}

static void check_completion(struct ring *ring, uint64_t id, int result)
{
	volatile unsigned int *head = ring_word(ring, ring->params.cq_off.head);
	struct io_uring_cqe *entries = (void *)(ring->queues + ring->params.cq_off.cqes);
	unsigned int mask = *ring_word(ring, ring->params.cq_off.ring_mask);
	struct io_uring_cqe *entry = &entries[*head & mask];

	CHECK(ring_done(ring) != *head);
	EQUAL(entry->user_data, id);
	EQUAL(entry->res, result);
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
}

/* The writer: completes the ring's read, sees that done, and only then wakes the other. */
static void complete_then_wake(struct ring *ring, int asynchronous, int blocking, unsigned int done)
{
	uint64_t end = now_ns() + 60000000000ull;

	sleep_ms(150);
	EQUAL(write(asynchronous, "ring", 4), 4);
	while (ring_done(ring) != done) {
		if (now_ns() > end)
			fail(__FILE__, __LINE__, "%u completions while it waits, not %u",
			     ring_done(ring), done);
		sleep_ms(1);
	}
	sleep_ms(50);
	EQUAL(write(blocking, "woken", 5), 5);
	_exit(0);
}

static void io_uring_completes(void)
{
	char *buffer = map_pages(1, RW), text[8];
	int slow[2], fast[2];
	struct ring ring;

	ring_open(&ring);
	DO(pipe(fast));
	DO(pipe(slow));
	for (unsigned int round = 1; round <= 4; round++) {
		pid_t writer;

		home();
		strcpy(buffer, "none");
		ring_read(&ring, fast[0], buffer + 100, 50, round);
		writer = DO(fork());
		if (!writer)
			complete_then_wake(&ring, fast[1], slow[1], round);
		away();
		/* The buffer is elsewhere, too, when it is wanted. */
		CHECK(!strcmp(buffer, "none"));
		buffer[0] = 'o';
		if (round == 4)
			compute_ms(400);	/* not in a call at all */
		EQUAL(read(slow[0], text, sizeof(text)), 5);
		CHECK(!memcmp(text, "woken", 5));
		CHECK(!strcmp(buffer, "oone"));
		CHECK(!memcmp(buffer + 100, "ring", 4));
		check_completion(&ring, round, 4);
		reap(writer);
	}
}

static void allow_all_calls(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { 1, &allow };

	DO(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	DO(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

/*
 * Whoever waits in a ring runs task work there: that of a move which has been called off
 * meanwhile, too, and of which nothing stays.
 */
static void called_off_in_a_ring(void)
{
	int first[2], second[2], answer[2];
	char buffer[2], byte;
	struct ring ring;
	long users = 0;
	pid_t child;

	DO(pipe(first));
	DO(pipe(second));
	DO(pipe(answer));
	ring_open(&ring);
	if (moving())
		users = atol(read_text("/sys/module/radium/refcnt"));
	child = DO(fork());
	if (!child) {
		ring_open(&ring);
		ring_read(&ring, first[0], buffer, 1, 1);
		ring_read(&ring, second[0], buffer + 1, 1, 2);
		EQUAL(syscall(SYS_io_uring_enter, ring.fd, 0, 2, IORING_ENTER_GETEVENTS, NULL, 0), 0);
		EQUAL(ring_done(&ring), 2);
		EQUAL(write(answer[1], "r", 1), 1);
		for (;;)
			pause();
	}
	while (!sleeps_in(child, SYS_io_uring_enter)) {
		EQUAL(waitpid(child, NULL, WNOHANG), 0);
		sleep_ms(1);
	}
	during("%d: a h", child);
	during_end();
	EQUAL(write(first[1], "1", 1), 1);
	sleep_ms(100);
	EQUAL(write(second[1], "2", 1), 1);
	EQUAL(read(answer[0], &byte, 1), 1);
	for (int i = 0; moving() && atol(read_text("/sys/module/radium/refcnt")) > users; i++) {
		CHECK(i < 1000 * (int)slower());
		sleep_ms(10);
	}
	DO(kill(child, SIGKILL));
	EQUAL(waitpid(child, NULL, 0), child);
}

/*
 * io_uring_enter() does announced work itself, in the middle of the call: the way out of
 * a thread that makes it at home, as it makes all of them under a filter, has to wait.
 */
static void io_uring_waits(void)
{
	pid_t parent = getppid(), child;
	struct ring ring;

	ring_open(&ring);
	away();
	allow_all_calls();
	for (unsigned int round = 1; round <= 20; round++) {
		ring_put(&ring, (struct io_uring_sqe){ .opcode = IORING_OP_NOP, .user_data = round });
		away();		/* the ring is shared memory: it came home */
		EQUAL(ring_wait(&ring, 1), 1);
		EQUAL(getppid(), parent);
		check_completion(&ring, round, 0);
		child = DO(fork());
		if (!child)
			_exit(0);
		reap(child);
	}
}

static void write_ring(void *file)
{
	if (write(*(int *)file, "ring", 4) != 4)
		_exit(1);
}

/* A wait for a pipe's bytes, which come @ms after it began, while the steps are done. */
static void wait_for_ring(struct ring *ring, uint64_t id, bool begins_away, unsigned int ms,
			  const char *steps)
{
	char *buffer = map_pages(1, RW);
	pid_t parent = getppid(), writer;
	int ends[2];

	DO(pipe(ends));
	ring_read(ring, ends[0], buffer, 100, id);
	writer = later(ms, write_ring, &ends[1]);
	if (begins_away)
		away();
	during("%s", steps);
	EQUAL(ring_wait(ring, 0), 0);
	EQUAL(getppid(), parent);
	CHECK(during_end() || begins_away || !moving());
	check_completion(ring, id, 4);
	CHECK(!memcmp(buffer, "ring", 4));
	reap(writer);
}

/* The same for a thread that is in the call, at home, when it is asked away. */
static void io_uring_wait_is_left_alone(void)
{
	struct ring ring;

	ring_open(&ring);
	away();		/* the first move takes long: not while it waits */
	for (unsigned int round = 1; round <= 4; round++) {
		home();
		wait_for_ring(&ring, round, false, 400, "100 a 10 h 10 a");
	}
}

/* And for one whose deputy is in it: asked home, it comes when the call has ended. */
static void io_uring_wait_is_recalled(void)
{
	struct ring ring;

	ring_open(&ring);
	for (unsigned int round = 1; round <= 4; round++) {
		away();
		wait_for_ring(&ring, round, true, 700, round % 2 ? "200 h" : "200 h 10 a 10 h");
		home();
		EQUAL(where(), 0);
	}
}

/*
 * A page of its own that a process has given to a pipe: as long as the pipe refers to it,
 * what is written to the one is read from the other.
 */
static void spliced_page_is_shared(void)
{
	char *memory = map_pages(4, RW), *copy = map_pages(4, RW);
	size_t bytes = 4 * 4096;
	int ends[2];

	DO(pipe(ends));
	for (int round = 0; round < 4; round++) {
		struct iovec there = { memory, bytes };

		if (round % 2 == 0)
			away();
		fill(memory, bytes, round);
		EQUAL(vmsplice(ends[1], &there, 1, 0), bytes);
		EQUAL(differs(memory, bytes, round), -1);
		fill(memory, bytes, round + 10);
		if (round == 1)
			home();
		EQUAL(read(ends[0], copy, bytes), bytes);
		EQUAL(differs(copy, bytes, round + 10), -1);
		/* Free to leave again. */
		EQUAL(differs(memory, bytes, round + 10), -1);
		fill(memory, bytes, round + 20);
		EQUAL(differs(memory, bytes, round + 20), -1);
		EQUAL(differs(copy, bytes, round + 10), -1);
	}
	if (moving())
		CHECK(returns("MEMORY_KIND") > 0);
}

/* What the kernel has pinned it writes to, though the process may only read it by now. */
static void pinned_then_protected(void)
{
	char *memory = map_pages(1, RW), twos[4096];
	struct iovec pinned = { memory, 4096 };
	struct ring ring;
	int ends[2];

	ring_open(&ring);
	DO(pipe(ends));
	memset(memory, '1', 4096);
	memset(twos, '2', 4096);
	DO(syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS, &pinned, 1));
	DO(mprotect(memory, 4096, PROT_READ));
	away();
	EQUAL(memory[0], '1');
	EQUAL(write(ends[1], twos, 4096), 4096);
	ring_put(&ring, (struct io_uring_sqe){
		.opcode = IORING_OP_READ_FIXED, .fd = ends[0], .addr = (uintptr_t)memory,
		.len = 4096, .user_data = 1,
	});
	EQUAL(ring_wait(&ring, 1), 1);
	check_completion(&ring, 1, 4096);
	away();
	EQUAL(memory[0], '2');
	EQUAL(memory[4095], '2');
	if (moving())
		CHECK(returns("MEMORY_KIND") > 0);
}

/* A disk whose transfers take a while, or none. */
static int slow_disk(void)
{
	int file;

	if (access("/dev/nullb0", W_OK) &&
	    system("modprobe null_blk nr_devices=1 gb=1 memory_backed=1 queue_mode=2 irqmode=2 "
		   "completion_nsec=100000000 2>/dev/null"))
		skip("no null_blk");
	file = open("/dev/nullb0", O_RDWR | O_DIRECT);
	if (file < 0)
		skip("/dev/nullb0: %s", strerror(errno));
	return file;
}

static char *disk_to_write = "/dev/nullb0";

/* What is in the cache of the disk is written there, full of the next letter. */
static int64_t write_to_disk(void *argument)
{
	static char letter = 'a';
	char content[2 * 4096];
	int disk = DO(open(argument, O_RDWR));

	memset(content, letter, sizeof(content));
	EQUAL(pwrite(disk, content, sizeof(content), 1 << 20), sizeof(content));
	close(disk);
	return letter++;
}

/* The kernel does not count who writes to a device: what is mapped of it shows it all the same. */
static void mapping_of_a_device(void)
{
	volatile const char *memory;
	struct partner writer;
	int disk;

	close(slow_disk());
	partner_start(&writer, write_to_disk, disk_to_write);
	disk = DO(open(disk_to_write, O_RDONLY));
	memory = DO(mmap(NULL, 2 * 4096, PROT_READ, MAP_PRIVATE, disk, 1 << 20));
	for (int round = 0; round < 4; round++) {
		int64_t letter;

		away();
		letter = partner_ask(&writer);
		EQUAL(memory[round], letter);
		EQUAL(memory[4096 + round], letter);
		letter = partner_ask(&writer);
		EQUAL(memory[round], letter);
		EQUAL(memory[4096 + round], letter);
		home();
		EQUAL(memory[round], letter);
	}
	partner_end(&writer);
}

static void submit(aio_context_t context, int opcode, int file, void *buffer, size_t bytes)
{
	struct iocb block = {
		.aio_lio_opcode = opcode, .aio_fildes = file, .aio_buf = (uintptr_t)buffer,
		.aio_nbytes = bytes,
	}, *list = &block;

	EQUAL(syscall(SYS_io_submit, context, 1, &list), 1);
}

static void await(aio_context_t context, size_t bytes)
{
	struct io_event event;

	EQUAL(syscall(SYS_io_getevents, context, 1, 1, &event, NULL), 1);
	EQUAL(event.res, bytes);
}

/*
 * The disk writes one half of each page, at its own time, into the frame that it was given
 * when the transfer began; the process, away, counts in the other half meanwhile.
 */
static void disk_and_cpu_share_pages(void)
{
	char *memory = map_pages(9, RW), *source = map_pages(1, RW);
	aio_context_t context = 0;
	int disk = slow_disk();

	if (syscall(SYS_io_setup, 16, &context))
		skip("io_setup: %s", strerror(errno));
	fill(source, 4096, 1);
	EQUAL(pwrite(disk, source, 4096, 0), 4096);
	for (int round = 0; round < 4; round++) {
		volatile uint64_t *before = (void *)memory, *after = (void *)(memory + 2048 + 4096);

		if (round % 2 == 0)
			away();
		memset(memory, round, 9 * 4096);
		before[0] = after[0] = 0;
		/* From the middle of the first page to the middle of the second. */
		submit(context, IOCB_CMD_PREAD, disk, memory + 2048, 4096);
		for (int i = 0; i < 200; i++) {
			before[0]++;
			after[0]++;
		}
		await(context, 4096);
		EQUAL(before[0], 200);
		EQUAL(after[0], 200);
		EQUAL(differs(memory + 2048, 4096, 1), -1);
		/* And out: what goes to the disk is what was there. */
		fill(memory + 4 * 4096, 4096, round + 2);
		submit(context, IOCB_CMD_PWRITE, disk, memory + 4 * 4096, 4096);
		EQUAL(differs(memory + 4 * 4096, 4096, round + 2), -1);
		await(context, 4096);
		if (round % 2)
			home();
		EQUAL(pread(disk, memory + 8 * 4096, 4096, 0), 4096);
		EQUAL(differs(memory + 8 * 4096, 4096, round + 2), -1);
		EQUAL(pwrite(disk, source, 4096, 0), 4096);
	}
	if (moving())
		CHECK(returns("MEMORY_KIND") > 0);
	syscall(SYS_io_destroy, context);
}

static void write_to_ring(void *end)
{
	EQUAL(write(*(int *)end, "ring", 4), 4);
}

/* What a ring has completed ends epoll_pwait; the mask that it had for the time of that goes. */
static void mask_comes_back(void)
{
	int data[2], poller = DO(epoll_create1(0));
	sigset_t all_but, none, found;
	struct epoll_event event;
	char buffer[8];
	struct ring ring;
	pid_t writer;

	ring_open(&ring);
	DO(pipe(data));
	sigemptyset(&none);
	sigemptyset(&all_but);
	sigaddset(&all_but, SIGUSR1);
	DO(sigprocmask(SIG_SETMASK, &all_but, NULL));
	for (uint64_t round = 1; round <= 3; round++) {
		ring_read(&ring, data[0], buffer, 4, round);
		away();
		/* Once it waits, which is a way home and out again later: for the fork. */
		writer = later(150 * slower(), write_to_ring, &data[1]);
		/* What the ring has to do may take more than one interruption; or end between two. */
		do {
			if (epoll_pwait(poller, &event, 1, 1500 * slower(), &none))
				EQUAL(errno, EINTR);
			else
				CHECK(ring_done(&ring) == round);
			DO(sigprocmask(SIG_SETMASK, NULL, &found));
			EQUAL(sigismember(&found, SIGUSR1), 1);
		} while (ring_done(&ring) != round);
		check_completion(&ring, round, 4);
		reap(writer);
	}
}

/*
 * What the exit has to wait for: it calls off, one by one, only what refers to a ring, and does
 * whatever is announced to the process meanwhile. The dump before takes longer than a thread that
 * has come home for a signal stays there; ms as a rule, but an emulator may take one for each page that
 * has held code once.
 */
enum { DUMPED = 16 << 20, EXIT_MS = 30000, LONG_MS = 1000 };

/* One ring polls the other, in which nothing happens. */
static void have_polled_ring(void)
{
	struct ring poller, polled;

	ring_open(&polled);
	ring_open(&poller);
	ring_put(&poller, (struct io_uring_sqe){
		.opcode = IORING_OP_POLL_ADD, .fd = polled.fd, .poll32_events = POLLIN,
	});
	EQUAL(syscall(SYS_io_uring_enter, poller.fd, 1, 0, 0, NULL, 0), 1);
}

/* Calls, counted by an offset: neither needs memory that could keep the process at home. */
static void count_calls(int counter)
{
	for (;;)
		syscall(SYS_lseek, counter, 1, SEEK_CUR);
}

static off_t calls_in(int counter)
{
	return DO(lseek(counter, 0, SEEK_CUR));
}

/* What it does in the kernel, on one line. */
static const char *stack_of(pid_t pid)
{
	static char text[400];
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	snprintf(text, sizeof(text), "%s", read_text(path));
	for (char *end; (end = strchr(text, '\n'));)
		*end = ';';
	return text;
}

/* Whether it has ended with a dump, soon; if that takes long, where it is. */
static bool is_dumped(pid_t pid)
{
	uint64_t start = now_ns(), end = start + EXIT_MS * 1000000ull * slower();
	bool told = false;
	int status;

	while (now_ns() < end) {
		if (DO(waitpid(pid, &status, WNOHANG)) == pid) {
			CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
			CHECK(WCOREDUMP(status));
			return true;
		}
		if (!told && now_ns() - start > LONG_MS * 1000000ull * slower()) {
			note("%s", stack_of(pid));
			told = true;
		}
		sleep_ms(5);
	}
	return false;
}

static void need_cores(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	if (geteuid() || strcmp(read_text("/proc/sys/kernel/core_pattern"), "core\n"))
		skip("core_pattern is another");
	DO(setrlimit(RLIMIT_CORE, &unlimited));
	own_directory();
}

static void remove_core(pid_t pid)
{
	char path[40];

	snprintf(path, sizeof(path), "core.%d", pid);
	if (unlink("core"))
		DO(unlink(path));
}

/* Who is wanted elsewhere does not go there from his own exit. */
static void exit_with_a_polled_ring(void)
{
	int counter = DO(memfd_create("counter", 0));
	off_t calls;
	pid_t pid;

	need_cores();
	pid = DO(fork());
	if (!pid) {
		fill(map_pages(DUMPED / 4096, RW), DUMPED, 1);
		have_polled_ring();
		count_calls(counter);
	}
	while (calls_in(counter) < 10)
		sleep_ms(5);
	away_pid(pid);
	calls = calls_in(counter);
	while (calls_in(counter) < calls + 10)
		sleep_ms(5);
	DO(kill(pid, SIGQUIT));
	sleep_ms(50);
	calls = calls_in(counter);
	if (!is_dumped(pid)) {
		note("%s", stack_of(pid));
		fail(__FILE__, __LINE__, "it is still there, on node %d, with %lld calls more",
		     where_is(pid, pid), (long long)(calls_in(counter) - calls));
	}
	calls = calls_in(counter);
	sleep_ms(100);
	EQUAL(calls_in(counter), calls);
	remove_core(pid);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(io_uring_completes), CASE(io_uring_waits), CASE(called_off_in_a_ring),
		CASE(io_uring_wait_is_left_alone),
		CASE(io_uring_wait_is_recalled), CASE(spliced_page_is_shared),
		CASE(pinned_then_protected),
		CASE(disk_and_cpu_share_pages), CASE(mapping_of_a_device),
		CASE(mask_comes_back), CASE(exit_with_a_polled_ring),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

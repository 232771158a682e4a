// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that calls use whose data travels: that which the program changes meanwhile, and that
 * at home, which many threads want and the program does not know of.
 */
#include "inline.h"
#include "fault.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* ---- buffers that change meanwhile ---- */

static int shared_ends[2];
static char *shared_page;
static atomic_int buffer_is_filled;

static void *change_page(void *how)
{
	while (!atomic_load(&buffer_is_filled))
		sleep_ms(10);
	/* The call blocks, which is what the case is about. */
	while (!sleeps_in(getpid(), SYS_read))
		sleep_ms(10);
	if (how)
		mprotect(shared_page, 4096, PROT_READ);
	else
		shared_page[100]++;
	if (write(shared_ends[1], "0123456789", 10) != 10)
		_exit(1);
	return NULL;
}

/* The page of a buffer is taken away while the call blocks. */
static void buffer_leaves(void)
{
	pthread_t thread;

	DO(pipe(shared_ends));
	shared_page = map_pages(1, RW);
	EQUAL(pthread_create(&thread, NULL, change_page, NULL), 0);
	away();
	memset(shared_page, 0x55, 4096);
	atomic_store(&buffer_is_filled, 1);
	EQUAL(read(shared_ends[0], shared_page + 200, 100), 10);
	CHECK(!memcmp(shared_page + 200, "0123456789", 10));
	EQUAL(shared_page[100], 0x56);
	CHECK(untouched(shared_page + 110, 3000, 90, 10, 0x55));
	pthread_join(thread, NULL);
}

/*
 * It may not be written to any more: so it is with the call's result. What that was natively
 * stays in the pipe; here it had been taken before.
 */
static void buffer_is_protected(void)
{
	pthread_t thread;
	int left;

	DO(pipe(shared_ends));
	shared_page = map_pages(1, RW);
	EQUAL(pthread_create(&thread, NULL, change_page, "p"), 0);
	away();
	memset(shared_page, 0x55, 4096);
	atomic_store(&buffer_is_filled, 1);
	EQUAL(read(shared_ends[0], shared_page, 100), -1);
	EQUAL(errno, EFAULT);
	EQUAL(shared_page[0], 0x55);
	pthread_join(thread, NULL);
	DO(ioctl(shared_ends[0], FIONREAD, &left));
	EQUAL(left, moving() ? 0 : 10);
}

/* ---- many threads ---- */

enum { READERS = 40 };

static int reader_ends[READERS][2];
static pid_t reader_tids[READERS];
static atomic_int readers_ready;
static volatile bool readers_go;

static void *read_one(void *argument)
{
	long n = (long)argument;
	char bytes[3] = { 0x55, 0x55, 0x55 };

	reader_tids[n] = gettid();
	atomic_fetch_add(&readers_ready, 1);
	while (!readers_go)
		sleep_ms(20);
	if (read(reader_ends[n][0], bytes + 1, 1) != 1 || bytes[0] != 0x55 || bytes[2] != 0x55)
		return (void *)-1L;
	return (void *)(long)bytes[1];
}

static void run_readers(int count)
{
	pthread_attr_t small;
	pthread_t threads[READERS];
	void *got;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	for (long i = 0; i < count; i++) {
		DO(pipe(reader_ends[i]));
		EQUAL(pthread_create(&threads[i], &small, read_one, (void *)i), 0);
	}
	while (readers_ready < count)
		sleep_ms(5);
	for (int i = 0; i < count; i++)
		send_thread(getpid(), reader_tids[i], 2);
	readers_go = true;
	sleep_ms(count > 2 ? 2000 : 300);
	for (int i = count - 1; i >= 0; i--)
		EQUAL(write(reader_ends[i][1], &(char){ 'A' + i }, 1), 1);
	for (int i = 0; i < count; i++) {
		pthread_join(threads[i], &got);
		EQUAL((long)got, 'A' + i);
	}
}

static void two_readers(void)
{
	run_readers(2);
}

/* More than there is memory for at a time: the others do without. */
static void many_readers(void)
{
	run_readers(READERS);
}

/* ---- the memory at home that the program does not know of ---- */

static void forked_meanwhile(void)
{
	int ends[2];
	pid_t child;

	DO(pipe(ends));
	away_with_buffers();
	EQUAL(write(ends[1], out, 100), 100);
	child = DO(fork());
	if (!child) {
		unsigned long end;

		_exit(find_mapping("[radium]", &end) || read(ends[0], in, 200) != 100 || memcmp(in, out, 100));
	}
	reap(child);
	EQUAL(write(ends[1], out, 50), 50);
	EQUAL(read(ends[0], in, 200), 50);
}

/* A program that unmaps what it does not know goes on. */
static void unmapped(void)
{
	unsigned long start, end = 0;
	int ends[2], before;

	DO(pipe(ends));
	away_with_buffers();
	EQUAL(write(ends[1], out, 100), 100);
	EQUAL(read(ends[0], in, 200), 100);
	start = find_mapping("[radium]", &end);
	if (!moving()) {
		EQUAL(start, 0);
		return;
	}
	CHECK(start);
	/* It is memory like any other, also where no call has used it. */
	for (unsigned long at = start; at < end; at += 4096)
		EQUAL(*(volatile char *)at & 0, 0);
	DO(munmap((void *)(start + 4096), 4096));
	CHECK(mmap((void *)(start + 4096), 4096, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
	      MAP_FAILED);
	before = inline_of(getpid());
	for (int i = 0; i < 10; i++) {
		EQUAL(write(ends[1], out + i, 5000), 5000);
		EQUAL(read(ends[0], in, 6000), 5000);
		CHECK(!memcmp(in, out + i, 5000));
	}
	EQUAL(inline_of(getpid()), before);
	EQUAL(*(volatile char *)(start + 4096), 0);
	DO(munmap((void *)start, end - start));
	EQUAL(write(ends[1], out, 100), 100);
	EQUAL(read(ends[0], in, 200), 100);
}

/* Whoever counts its address space finds it as it is. */
static void limited(void)
{
	struct rlimit limit = { 1ul << 30, 1ul << 30 };
	unsigned long end;
	int ends[2];

	DO(pipe(ends));
	DO(setrlimit(RLIMIT_AS, &limit));
	away_with_buffers();
	EQUAL(write(ends[1], out, 100), 100);
	EQUAL(read(ends[0], in, 200), 100);
	EQUAL(find_mapping("[radium]", &end), 0);
}

/* The ends of a pipe. */
static int a, b;

static void through_a_pipe(void)
{
	char digits[] = "0123456789", got[16];

	memset(got, 0x55, sizeof(got));
	EQUAL(write(b, digits, 10), 10);
	EQUAL(read(a, got, 16), 10);
	CHECK(!memcmp(got, digits, 10) && untouched(got, sizeof(got), 0, 10, 0x55));
}

/* Where a caller who is away now has what its calls are lent; 0: nowhere, it is not moved. */
static unsigned long lent_memory(unsigned long *end)
{
	unsigned long start;
	int ends[2];

	DO(pipe(ends));
	a = ends[0];
	b = ends[1];
	away();
	through_a_pipe();
	start = find_mapping("[radium]", end);
	EQUAL(!!start, moving());
	return start;
}

/* A program that protects all that it has, to see who writes there, does not fail in a read(). */
static void protected(void)
{
	unsigned long end = 0, start = lent_memory(&end);

	if (moving())
		DO(mprotect((void *)start, end - start, PROT_READ));
	through_a_pipe();
	if (moving())
		DO(mprotect((void *)start, end - start, PROT_NONE));
	through_a_pipe();
	away();
	through_a_pipe();
}

/* The same of a part, and of one that is moved. */
static void moved_away(void)
{
	unsigned long end = 0, start = lent_memory(&end);

	if (moving()) {
		DO(mprotect((void *)(start + 4096), 4096, PROT_NONE));
		CHECK(mremap((void *)start, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED,
			     map_pages(1, RW)) != MAP_FAILED);
	}
	through_a_pipe();
	home();
	away();
	through_a_pipe();
}

/* ---- where mmap() puts what it is asked for ---- */

/* A page, what the module maps, more than that, a huge page's worth. */
static const size_t lengths[] = { 4096, 1 << 20, 5 << 20, 16 << 20 };

enum { LENGTHS = sizeof(lengths) / sizeof(*lengths), LOOKS = 3 };

static void look_at_places(uintptr_t *places)
{
	for (int i = 0; i < LENGTHS; i++) {
		void *memory = DO(mmap(NULL, lengths[i], RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

		places[i] = (uintptr_t)memory;
		DO(munmap(memory, lengths[i]));
	}
}

/* A few calls with data that travels, and nothing that would take memory for itself. */
static void make_calls(const int *ends)
{
	static char data[100], back[200];

	for (int i = 0; i < 5; i++) {
		memset(data, 'a' + i, sizeof(data));
		EQUAL(write(ends[1], data, sizeof(data)), sizeof(data));
		EQUAL(read(ends[0], back, sizeof(back)), sizeof(data));
		CHECK(!memcmp(data, back, sizeof(data)));
	}
}

/*
 * What this program is when it is executed anew, with other addresses: it tells where it would
 * get memory, makes calls, and tells that again, whenever it is asked to.
 */
static int tell_places(void)
{
	uintptr_t places[2 * LENGTHS];
	int ends[2];
	char byte;

	if (pipe(ends))
		return 1;
	while (read(0, &byte, 1) == 1) {
		look_at_places(places);
		make_calls(ends);
		look_at_places(places + LENGTHS);
		if (write(1, places, sizeof(places)) != sizeof(places))
			return 1;
	}
	return 0;
}

/* This program anew, with pipes to and from it: what it is to do, and how. */
static pid_t execute(unsigned long persona, int *to, int *from, const char *what, const char *how)
{
	pid_t child;

	DO(pipe2(to, O_CLOEXEC));
	DO(pipe2(from, O_CLOEXEC));
	child = DO(fork());
	if (!child) {
		DO(personality(persona));
		DO(dup2(to[0], 0));
		DO(dup2(from[1], 1));
		execl("/proc/self/exe", "inline_memory", what, how, NULL);
		fail(__FILE__, __LINE__, "exec: %s", strerror(errno));
	}
	close(to[0]);
	close(from[1]);
	return child;
}

/* Where mmap() puts things is not changed by moves, or by what calls are lent at home. */
static void places_are_kept(unsigned long persona)
{
	uintptr_t places[LOOKS][2 * LENGTHS];
	int to[2], from[2];
	pid_t child = execute(persona, to, from, "--places", NULL);

	for (int look = 0; look < LOOKS; look++) {
		if (look % 2)
			away_pid(child);
		else
			home_pid(child);
		EQUAL(write(to[1], "?", 1), 1);
		EQUAL(read(from[0], places[look], sizeof(places[look])), sizeof(places[look]));
		for (int i = 0; i < 2 * LENGTHS; i++)
			if (places[look][i] != places[0][i % LENGTHS])
				fail(__FILE__, __LINE__,
				     "%zu bytes are put at %lx, not at %lx as before (look %d, %d)",
				     lengths[i % LENGTHS], places[look][i], places[0][i % LENGTHS],
				     look, i);
	}
	close(to[1]);
	reap(child);
}

static void places_at_random(void)
{
	places_are_kept(0);
}

/* The stack is where it is never otherwise: as high as it can be. */
static void places_not_at_random(void)
{
	places_are_kept(ADDR_NO_RANDOMIZE);
}

/* In the layout of old programs, which have it below. */
static void places_from_below(void)
{
	places_are_kept(ADDR_COMPAT_LAYOUT);
}

static void places_from_below_not_at_random(void)
{
	places_are_kept(ADDR_COMPAT_LAYOUT | ADDR_NO_RANDOMIZE);
}

/* ---- how far the stack goes ---- */

/* The same, for the stack: it makes calls, and touches what is so many bytes below. */
static int touch_below(const char *bytes)
{
	char here;
	uintptr_t below = (uintptr_t)&here - strtoul(bytes, NULL, 10);
	int ends[2];

	if (pipe(ends) || write(1, "!", 1) != 1 || read(0, &here, 1) != 1)
		return 1;
	make_calls(ends);
	return faults_on((volatile char *)below, true) ? 2 : 0;
}

/* What calls are lent at home is not in the way of a stack whose end is as high as it can be. */
static void stack_grows(rlim_t limit, size_t bytes)
{
	struct rlimit stack;
	char text[24], byte;
	int to[2], from[2];
	pid_t child;

	DO(getrlimit(RLIMIT_STACK, &stack));
	if (limit > stack.rlim_max)
		skip("the stack may not be as large");
	stack.rlim_cur = limit;
	DO(setrlimit(RLIMIT_STACK, &stack));
	snprintf(text, sizeof(text), "%zu", bytes);
	child = execute(ADDR_NO_RANDOMIZE, to, from, "--touch-below", text);
	EQUAL(read(from[0], &byte, 1), 1);
	away_pid(child);
	EQUAL(write(to[1], "?", 1), 1);
	reap(child);
}

/* Above the limit there are the environment and the frames of those who called. */
static void stack_up_to_its_limit(void)
{
	stack_grows(200 << 20, (200 << 20) - (256 << 10));
}

static void stack_without_limit(void)
{
	stack_grows(RLIM_INFINITY, 130 << 20);
}

static const struct test_case cases[] = {
	CASE(buffer_leaves), CASE(buffer_is_protected), CASE(two_readers), CASE(many_readers),
	CASE(forked_meanwhile), CASE(unmapped), CASE(limited), CASE(protected), CASE(moved_away),
	CASE(places_at_random), CASE(places_not_at_random), CASE(places_from_below),
	CASE(places_from_below_not_at_random),
	CASE(stack_up_to_its_limit), CASE(stack_without_limit),
	{ }
};

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--places"))
		return tell_places();
	if (argc == 3 && !strcmp(argv[1], "--touch-below"))
		return touch_below(argv[2]);
	return harness_main(argc, argv, cases);
}

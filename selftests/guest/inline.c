// SPDX-License-Identifier: GPL-2.0
/*
 * System calls whose data travels with them: what they read and write, and what they leave
 * alone, is what it is at home; what goes wrong goes wrong likewise; and no page moves.
 */
#include "inline.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum { CALLS = 200 };

/* ---- reading and writing ---- */

static void through_a_pipe(void)
{
	int ends[2];

	DO(pipe(ends));
	away_with_buffers();
	for (int i = 0; i < SIZES; i++)
		for (int offset = 0; offset < 4096; offset += 1365) {
			size_t len = sizes[i];

			memset(in, 0x55, sizeof(in));
			EQUAL(write(ends[1], out + offset, len), len);
			if (!len)
				continue;
			EQUAL(read(ends[0], in + offset, sizeof(in) - offset), len);
			CHECK(!memcmp(in + offset, out + offset, len));
			CHECK(untouched(in, sizeof(in), offset, len, 0x55));
		}
}

static void through_a_file(void)
{
	int file = scratch();

	away_with_buffers();
	for (int i = 0; i < SIZES; i++) {
		size_t len = sizes[i];

		memset(in, 0x55, sizeof(in));
		EQUAL(pwrite(file, out + i, len, 3 * i), len);
		EQUAL(pread(file, in + 5, len, 3 * i), len);
		CHECK(!memcmp(in + 5, out + i, len));
		CHECK(untouched(in, sizeof(in), 5, len, 0x55));
	}
	DO(ftruncate(file, 0));
	DO(lseek(file, 0, SEEK_SET));
	EQUAL(write(file, out, 5000), 5000);
	EQUAL(lseek(file, 1000, SEEK_SET), 1000);
	EQUAL(read(file, in, 8192), 4000);
	CHECK(!memcmp(in, out + 1000, 4000));
	EQUAL(read(file, in, 8192), 0);
	EQUAL(lseek(file, 0, SEEK_CUR), 5000);
}

static size_t joined(char *to, const struct iovec *v, int count)
{
	size_t n = 0;

	for (int i = 0; i < count; i++) {
		memcpy(to + n, v[i].iov_base, v[i].iov_len);
		n += v[i].iov_len;
	}
	return n;
}

/* Entries of all kinds: empty, of one byte, beyond the limit. */
static void vectors(void)
{
	struct iovec w[] = {
		{ out, 1 }, { out, 0 }, { out + 10, 0 }, { out + 3, 4096 }, { out + 9000, 17 },
		{ out + 100, LIMIT + 5 }, { out + 1, 3 },
	}, r[] = {
		{ in, 7 }, { in + 50, 0 }, { in + 100, 4000 }, { in + 5000, LIMIT + 9 },
		{ in + 30000, 30000 },
	};
	static char expected[BYTES], got[BYTES];
	int file = scratch();
	size_t total;

	away_with_buffers();
	total = joined(expected, w, 7);
	for (off_t at = 0; at <= 100000; at += 50000) {
		DO(ftruncate(file, at));
		memset(in, 0x55, sizeof(in));
		EQUAL(pwritev(file, w, 7, at), total);
		EQUAL(preadv(file, r, 5, at), total);
		joined(got, r, 5);
		CHECK(!memcmp(got, expected, total));
		CHECK(in[7] == 0x55 && in[99] == 0x55 && in[4100] == 0x55 && in[60000] == 0x55);
	}
	DO(lseek(file, 100000, SEEK_SET));
	EQUAL(readv(file, r, 1), 7);
	EQUAL(writev(file, w, 4), 4097);
	EQUAL(lseek(file, 0, SEEK_CUR), 100000 + 7 + 4097);
}

static void many_entries(void)
{
	static char expected[BYTES];
	struct iovec many[60];
	int file = scratch();
	size_t total;

	away_with_buffers();
	memset(in, 0x55, sizeof(in));
	for (int i = 0; i < 60; i++)
		many[i] = (struct iovec){ out + 7 * i, i % 5 };
	total = joined(expected, many, 60);
	EQUAL(writev(file, many, 60), total);
	for (int i = 0; i < 60; i++)
		many[i].iov_base = in + 100 * i;
	EQUAL(preadv(file, many, 60, 0), total);
	for (int i = 0, at = 0; i < 60; at += i % 5, i++) {
		CHECK(!memcmp(in + 100 * i, expected + at, i % 5));
		EQUAL(in[100 * i + i % 5], 0x55);
	}
}

/* A byte that is read twice to one place has the later value, whichever of the entries travel. */
static void read_in_order(int file, const char *memory, const struct iovec *v, int count)
{
	static char expected[BYTES];
	size_t total = 0, last = 0;

	for (int i = 0; i < count; i++) {
		size_t at = (char *)v[i].iov_base - memory;

		memcpy(expected + at, out + total, v[i].iov_len);
		total += v[i].iov_len;
		if (at + v[i].iov_len > last)
			last = at + v[i].iov_len;
	}
	DO(lseek(file, 0, SEEK_SET));
	EQUAL(readv(file, v, count), total);
	for (size_t i = 0; i < last; i++)
		if (memory[i] != expected[i])
			fail(__FILE__, __LINE__, "byte %zu of %zu, %d entries", i, last, count);
}

static void entries_that_overlap(void)
{
	enum { MANY = 60 };
	char *half = map_pages(2, RW);
	struct iovec travel[] = { { in + 100, 16 }, { in, 200 } };
	struct iovec too_long[] = { { in + 100, 16 }, { in, 20000 } };
	struct iovec too_long_first[] = { { in, 20000 }, { in + 100, 16 }, { in + 90, 20 } };
	struct iovec not_all_here[] = { { half + 100, 16 }, { half, 8192 } };
	struct iovec too_many[MANY + 1];
	int file = scratch();

	for (int i = 0; i < MANY; i++)
		too_many[i] = (struct iovec){ in + 8 * i, 8 };
	too_many[MANY] = (struct iovec){ in + 4, 8 };
	away_with_buffers();
	half[0] = 'h';
	EQUAL(write(file, out, BYTES), BYTES);
	read_in_order(file, in, travel, 2);
	read_in_order(file, in, too_long, 2);
	read_in_order(file, in, too_long_first, 3);
	read_in_order(file, half, not_all_here, 2);
	read_in_order(file, in, too_many, MANY + 1);
}

/* Nothing but the bytes of the call travels. */
static void pages_stay(void)
{
	int ends[2], before, inlined;
	struct stat status;

	DO(pipe(ends));
	away_with_buffers();
	/* The stack, the words of the harness and a first call of each kind. */
	for (int i = 0; i < 3; i++) {
		pages_of(getpid());
		inline_of(getpid());
		EQUAL(write(ends[1], out, 4096), 4096);
		EQUAL(read(ends[0], in, 4096), 4096);
		DO(fstat(ends[0], &status));
	}
	inlined = inline_of(getpid());
	before = pages_of(getpid());
	for (int i = 0; i < CALLS; i++) {
		memset(out, i, 4096);
		EQUAL(write(ends[1], out, 4096), 4096);
		EQUAL(read(ends[0], in, 4096), 4096);
		EQUAL(in[i % 4096], (char)i);
		if (i % 10 == 0)
			DO(fstat(ends[0], &status));
	}
	before = pages_of(getpid()) - before;
	inlined = inline_of(getpid()) - inlined;
	note("%d pages moved, the data of %d calls travelled", before, inlined);
	/* A page or two may be wanted at home for another reason. */
	CHECK(before <= 4);
	if (moving())
		CHECK(inlined >= 2 * CALLS + CALLS / 10);
}

/* What the functions of ROUND_TRIPS() work with. */
static int worked_on;

static void read_and_write(void)
{
	char *from = out + 123, *to = in + 45;

	DO(lseek(worked_on, 0, SEEK_SET));
	EQUAL(write(worked_on, from, 4096), 4096);
	DO(lseek(worked_on, 0, SEEK_SET));
	EQUAL(read(worked_on, to, 4096), 4096);
	EQUAL(pwrite(worked_on, from, LIMIT, 1), LIMIT);
	EQUAL(pread(worked_on, to, LIMIT, 1), LIMIT);
	to[0] = from[0] + 1;
}

static void read_and_write_vectors(void)
{
	struct iovec w[] = { { out, 100 }, { out + 5000, 1 }, { out + 9000, 6000 } };
	struct iovec r[] = { { in + 7, 3000 }, { in + 8000, 3101 } };

	DO(lseek(worked_on, 0, SEEK_SET));
	EQUAL(writev(worked_on, w, 3), 6101);
	DO(lseek(worked_on, 0, SEEK_SET));
	EQUAL(readv(worked_on, r, 2), 6101);
	EQUAL(pwritev(worked_on, w, 3, 10), 6101);
	EQUAL(preadv(worked_on, r, 2, 10), 6101);
	EQUAL(pwritev2(worked_on, w, 3, 10, 0), 6101);
	EQUAL(preadv2(worked_on, r, 2, 10, 0), 6101);
	in[7]++;
}

/* Each is a round trip, and buffers that the thread uses stay where it is. */
static void files_take_a_round_trip(void)
{
	worked_on = scratch();
	away_with_buffers();
	ROUND_TRIPS(read_and_write, 4, 6);
	CHECK(!memcmp(in + 46, out + 124, LIMIT - 1));
	ROUND_TRIPS(read_and_write_vectors, 6, 8);
	CHECK(!memcmp(in + 8, out + 1, 99) && in[107] == out[5000]);
}

/* On two pages of which the thread uses one: the other one comes, and both stay. */
static void pages_of_one_buffer_stay(void)
{
	char *pages = map_pages(2, PROT_READ | PROT_WRITE);
	struct stat *status = (void *)(pages + 4096 - sizeof(*status) / 2 / 8 * 8);
	int before = 0, inlined = 0, file = scratch();

	memset(pages, 1, 8192);
	away_with_buffers();
	for (int i = 0; i < CALLS; i++) {
		/* The first calls are those of the harness, too. */
		if (i == CALLS / 2) {
			inlined = inline_of(getpid());
			before = pages_of(getpid());
		}
		pages[i] = i;
		DO(fstat(file, status));
		EQUAL(write(file, pages + 4000, 200), 200);
		EQUAL(pages[i], (char)i);
	}
	before = pages_of(getpid()) - before;
	inlined = inline_of(getpid()) - inlined;
	note("%d pages moved, the data of %d calls travelled", before, inlined);
	CHECK(before <= 4);
	if (moving())
		CHECK(inlined >= CALLS);
}

/* A buffer that the thread never looks at stays at home. */
static void unused_buffer_stays(void)
{
	int file = scratch(), to = scratch(), before;

	EQUAL(write(file, out, BYTES), BYTES);
	away();
	EQUAL(pread(file, in, 4096, 0), 4096);
	pages_of(getpid());
	before = pages_of(getpid());
	for (int i = 0; i < 100; i++) {
		EQUAL(pread(file, in, 8192, 0), 8192);
		EQUAL(pwrite(to, in, 8192, 0), 8192);
	}
	CHECK(pages_of(getpid()) - before <= 4);
}

/* Drivers are asked as at home. */
static void devices(void)
{
	int null = DO(open("/dev/null", O_RDWR)), zero = DO(open("/dev/zero", O_RDWR)), tty;

	away_with_buffers();
	EQUAL(write(null, out, 100), 100);
	EQUAL(read(null, in, 100), 0);
	EQUAL(in[0], 0x55);
	EQUAL(read(zero, in, 100), 100);
	EQUAL(in[99], 0);
	EQUAL(in[100], 0x55);
	tty = posix_openpt(O_RDWR | O_NOCTTY);
	if (tty >= 0) {
		EQUAL(write(tty, "a\n", 2), 2);
		/* What it sends back may come in parts. */
		for (int got = 0; got < 3;)
			got += DO(read(tty, in + got, 100));
		EQUAL(in[0], 'a');
	}
}

/* A block device of a file, which knows O_DIRECT whatever the file is on; or -1. */
static int loop_device(int file)
{
	int control, device = -1, number;
	char path[40];

	if (!moving())
		return -1;	/* that machine is not the test's own */
	if (system("modprobe -q loop") == -1)
		return -1;
	control = open("/dev/loop-control", O_RDWR);
	number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	if (number >= 0) {
		snprintf(path, sizeof(path), "/dev/loop%d", number);
		device = open(path, O_RDWR | O_DIRECT);
	}
	if (device >= 0 && ioctl(device, LOOP_SET_FD, file)) {
		close(device);
		device = -1;
	}
	if (control >= 0)
		close(control);
	return device;
}

static void direct_io(void)
{
	char path[] = "/var/tmp/st-direct-XXXXXX";
	int file = DO(mkstemp(path)), direct;
	bool loop = false;

	EQUAL(write(file, out, 8192), 8192);
	direct = open(path, O_RDWR | O_DIRECT);
	unlink(path);
	if (direct < 0) {
		direct = loop_device(file);
		loop = direct >= 0;
	}
	if (direct < 0)
		skip("no O_DIRECT in /var/tmp, and no loop device");
	away_with_buffers();
	EQUAL(pwrite(direct, out, 8192, 0), 8192);
	EQUAL(pread(direct, in, 8192, 0), 8192);
	CHECK(!memcmp(in, out, 8192));
	EQUAL(pread(direct, in + 512, 4096, 4096), 4096);
	CHECK(!memcmp(in + 512, out + 4096, 4096));
	/* Where nobody could read to. */
	EQUAL(pread(direct, in + 1, 4096, 0), -1);
	EQUAL(errno, EINVAL);
	if (loop)
		DO(ioctl(direct, LOOP_CLR_FD, 0));
}

static void go_home_and_back(void)
{
	int file = scratch();

	for (int i = 0; i < 5; i++) {
		away_with_buffers();
		EQUAL(pwrite(file, out + i, 4096, 0), 4096);
		home();
		EQUAL(pread(file, in, 4096, 0), 4096);
		CHECK(!memcmp(in, out + i, 4096));
		memset(in, i, 4096);
		away();
		EQUAL(pread(file, in, 4096, 0), 4096);
		CHECK(!memcmp(in, out + i, 4096));
	}
}

/* ---- bad pointers ---- */

static void bad_buffers(void)
{
	char *readable = pages_with_a_hole(PROT_READ) + 4096;
	char *none = pages_with_a_hole(PROT_NONE) + 4096;
	char *writable = pages_with_a_hole(RW), *hole = writable + 2 * 4096, byte;
	void *bad[] = { NULL, (void *)8, hole, (void *)-4096, (void *)(1ul << 63), none };
	int ends[2], n;

	DO(pipe(ends));
	away_with_buffers();
	memset(writable, 0x55, 8192);
	EQUAL(readable[5], 0x55);
	EQUAL(write(ends[1], "0123456789", 10), 10);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		EQUAL(read(ends[0], bad[i], 5), -1);
		EQUAL(errno, EFAULT);
		EQUAL(write(ends[1], bad[i], 5), -1);
		EQUAL(errno, EFAULT);
		EQUAL(fstat(ends[0], bad[i]), -1);
		EQUAL(errno, EFAULT);
		EQUAL(open(bad[i], O_RDONLY), -1);
		EQUAL(errno, EFAULT);
		EQUAL(syscall(SYS_pipe2, bad[i], 0), -1);
		EQUAL(errno, EFAULT);
		EQUAL(poll(bad[i], 1, 0), -1);
		EQUAL(errno, EFAULT);
		EQUAL(syscall(SYS_uname, bad[i]), -1);
		EQUAL(errno, EFAULT);
		EQUAL(readv(ends[0], bad[i], 1), -1);
		EQUAL(errno, EFAULT);
		EQUAL(sendmsg(ends[0], bad[i], 0), -1);
	}
	/* To be read, not to be written. */
	EQUAL(read(ends[0], readable, 5), -1);
	EQUAL(errno, EFAULT);
	EQUAL(readable[0], 0x55);
	EQUAL(write(ends[1], readable, 1), 1);
	/* The end of the buffer is not there, and what comes does not reach it. */
	EQUAL(read(ends[0], hole - 20, 40), 11);
	CHECK(!memcmp(hole - 20, "0123456789U", 11));
	/* It does reach it. */
	EQUAL(write(ends[1], out, 100), 100);
	EQUAL(read(ends[0], hole - 20, 60), -1);
	EQUAL(errno, EFAULT);
	EQUAL(ioctl(ends[0], FIONREAD, &n), 0);
	EQUAL(n, 100);
	EQUAL(read(ends[0], in, 100), 100);
	CHECK(!memcmp(in, out, 100));
	/* A name that ends before the hole, and one that does not. */
	strcpy(hole - 5, "/tmp");
	EQUAL(access(hole - 5, F_OK), 0);
	memset(hole - 5, '/', 5);
	EQUAL(access(hole - 5, F_OK), -1);
	EQUAL(errno, EFAULT);
	EQUAL(read(ends[0], &byte, 0), 0);
}

/* The descriptors of a pipe that cannot be told are not left open. */
static void failed_calls_leave_nothing(void)
{
	char *readable = pages_with_a_hole(PROT_READ) + 4096;
	int next = DO(dup(0));

	close(next);
	away();
	EQUAL(readable[5], 0x55);
	EQUAL(pipe((int *)readable), -1);
	EQUAL(errno, EFAULT);
	EQUAL(dup(0), next);
}

static const struct test_case cases[] = {
	CASE(through_a_pipe), CASE(through_a_file), CASE(vectors), CASE(many_entries),
	CASE(entries_that_overlap),
	CASE(pages_stay), CASE(files_take_a_round_trip), CASE(pages_of_one_buffer_stay),
	CASE(unused_buffer_stays), CASE(devices), CASE(direct_io),
	CASE(go_home_and_back), CASE(bad_buffers), CASE(failed_calls_leave_nothing),
	{ }
};

int main(int argc, char **argv)
{
	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * System calls whose data travels with them: what they read and write, and what they leave
 * alone, is what it is at home; what goes wrong goes wrong likewise; and no page moves.
 */
#include "harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>

enum { LIMIT = 12288, BYTES = 64 << 10, CALLS = 200 };

#define RW (PROT_READ | PROT_WRITE)

static char out[BYTES] __attribute__((aligned(4096)));
static char in[BYTES] __attribute__((aligned(4096)));

static const size_t sizes[] = {
	0, 1, 2, 7, 100, 4095, 4096, 4097, 8192, LIMIT - 1, LIMIT, LIMIT + 1, 20000, 40000,
};

enum { SIZES = sizeof(sizes) / sizeof(*sizes) };

static int scratch(void)
{
	char path[] = "/tmp/st-inline-XXXXXX";
	int file = DO(mkstemp(path));

	unlink(path);
	return file;
}

/* Away, with the buffers there. */
static void away_with_buffers(void)
{
	away();
	memset(in, 0x55, sizeof(in));
	fill(out, sizeof(out), 1);
}

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
		CHECK(read(tty, in, 100) >= 3);
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

/* ---- names ---- */

static void names(void)
{
	char dir[] = "/tmp/st-names-XXXXXX", path[200], to[200], text[200], longest[5000];
	int file;

	CHECK(mkdtemp(dir));
	away_with_buffers();
	memset(text, 0x55, sizeof(text));
	snprintf(path, sizeof(path), "%s/a", dir);
	snprintf(to, sizeof(to), "%s/b", dir);
	file = DO(open(path, O_CREAT | O_RDWR, 0640));
	EQUAL(write(file, "hello", 5), 5);
	DO(close(file));
	EQUAL(access(path, R_OK), 0);
	EQUAL(access(to, F_OK), -1);
	EQUAL(errno, ENOENT);
	DO(rename(path, to));
	DO(symlink("b", path));
	EQUAL(readlink(path, text, 100), 1);
	EQUAL(text[0], 'b');
	EQUAL(text[1], 0x55);
	DO(unlink(path));
	DO(link(to, path));
	DO(chmod(path, 0600));
	DO(truncate(path, 3));
	DO(mkdir(strcat(strcpy(text, dir), "/d"), 0700));
	DO(chdir(text));
	CHECK(getcwd(longest, 4096));
	EQUAL(strcmp(longest, text), 0);
	EQUAL(getcwd(longest, 3) == NULL, 1);
	EQUAL(errno, ERANGE);
	DO(chdir("/"));
	DO(rmdir(text));
	file = DO(openat(AT_FDCWD, to, O_RDONLY));
	EQUAL(read(file, text, 100), 3);
	DO(unlink(path));
	DO(unlink(to));
	DO(rmdir(dir));
	memset(longest, 'x', sizeof(longest));
	longest[4095] = 0;
	EQUAL(open(longest, O_RDONLY), -1);
	EQUAL(errno, ENAMETOOLONG);
	longest[4095] = 'x';
	longest[4999] = 0;
	EQUAL(open(longest, O_RDONLY), -1);
	EQUAL(errno, ENAMETOOLONG);
}

static void status_of_files(void)
{
	struct stat a, b;
	struct statx x = { };
	struct statfs f, g;
	int file = scratch();

	EQUAL(write(file, out, 5000), 5000);
	DO(fstat(file, &a));
	DO(statfs("/tmp", &f));
	away();
	memset(&b, 0x55, sizeof(b));
	DO(fstat(file, &b));
	CHECK(!memcmp(&a, &b, sizeof(a)));
	memset(&b, 0x55, sizeof(b));
	DO(syscall(SYS_fstat, file, &b));
	CHECK(!memcmp(&a, &b, sizeof(a)));
	DO(statx(file, "", AT_EMPTY_PATH, STATX_ALL, &x));
	EQUAL(x.stx_size, 5000);
	EQUAL(x.stx_ino, a.st_ino);
	memset(&b, 0x55, sizeof(b));
	EQUAL(stat("/nowhere/at/all", &b), -1);
	EQUAL(errno, ENOENT);
	CHECK(untouched((char *)&b, sizeof(b), 0, 0, 0x55));
	DO(stat("/", &b));
	CHECK(S_ISDIR(b.st_mode));
	DO(syscall(SYS_lstat, "/proc/self", &b));
	CHECK(S_ISLNK(b.st_mode));
	memset(&g, 0x55, sizeof(g));
	DO(statfs("/tmp", &g));
	EQUAL(f.f_type, g.f_type);
	EQUAL(f.f_namelen, g.f_namelen);
}

/* ---- sockets ---- */

static void datagrams(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET }, from;
	int a = DO(socket(AF_INET, SOCK_DGRAM, 0)), b = DO(socket(AF_INET, SOCK_DGRAM, 0)), value;
	socklen_t len = sizeof(to);

	away_with_buffers();
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	DO(bind(b, (void *)&to, sizeof(to)));
	DO(getsockname(b, (void *)&to, &len));
	EQUAL(len, sizeof(to));
	CHECK(to.sin_port);
	for (int i = 0; i < SIZES; i++) {
		size_t size = sizes[i];

		memset(in, 0x55, sizeof(in));
		EQUAL(sendto(a, out + i, size, 0, (void *)&to, sizeof(to)), size);
		memset(&from, 0x55, sizeof(from));
		len = 200;
		EQUAL(recvfrom(b, in + 1, size + 10, 0, (void *)&from, &len), size);
		CHECK(!memcmp(in + 1, out + i, size));
		CHECK(untouched(in, sizeof(in), 1, size, 0x55));
		EQUAL(len, sizeof(from));
		EQUAL(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	}
	/* An address that is cut, and a datagram. */
	EQUAL(sendto(a, out, 100, 0, (void *)&to, sizeof(to)), 100);
	memset(&from, 0x55, sizeof(from));
	memset(in, 0x55, sizeof(in));
	len = 4;
	EQUAL(recvfrom(b, in, 10, MSG_TRUNC, (void *)&from, &len), 100);
	EQUAL(len, sizeof(from));
	CHECK(untouched((char *)&from, sizeof(from), 0, 4, 0x55));
	CHECK(!memcmp(in, out, 10) && untouched(in, sizeof(in), 0, 10, 0x55));
	EQUAL(recvfrom(b, in, 10, MSG_DONTWAIT, NULL, NULL), -1);
	EQUAL(errno, EAGAIN);
	value = 12345;
	DO(setsockopt(b, SOL_SOCKET, SO_RCVBUF, &value, sizeof(value)));
	value = 0;
	len = sizeof(value);
	DO(getsockopt(b, SOL_SOCKET, SO_RCVBUF, &value, &len));
	EQUAL(value, 2 * 12345);
	EQUAL(len, sizeof(value));
	EQUAL(getsockopt(b, SOL_SOCKET, 12345, &value, &len), -1);
	EQUAL(errno, ENOPROTOOPT);
}

static void streams(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET }, peer;
	int listener = DO(socket(AF_INET, SOCK_STREAM, 0)), a, b;
	socklen_t len = sizeof(address);

	away_with_buffers();
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	DO(bind(listener, (void *)&address, sizeof(address)));
	DO(listen(listener, 5));
	DO(getsockname(listener, (void *)&address, &len));
	a = DO(socket(AF_INET, SOCK_STREAM, 0));
	DO(connect(a, (void *)&address, sizeof(address)));
	len = sizeof(peer);
	b = DO(accept(listener, (void *)&peer, &len));
	EQUAL(len, sizeof(peer));
	DO(getpeername(b, (void *)&address, &len));
	CHECK(!memcmp(&address, &peer, sizeof(peer)));
	EQUAL(send(a, out, 10000, 0), 10000);
	for (int got = 0, n; got < 10000; got += n)
		n = DO(recv(b, in + got, 10000 - got, 0));
	CHECK(!memcmp(in, out, 10000));
	/* Thrown away, and not written anywhere. */
	EQUAL(send(a, out, 100, 0), 100);
	memset(in, 0x55, sizeof(in));
	EQUAL(recv(b, in, 100, MSG_TRUNC), 100);
	CHECK(untouched(in, sizeof(in), 0, 0, 0x55));
	DO(close(a));
	EQUAL(recv(b, in, 100, 0), 0);
}

static void messages(void)
{
	struct iovec v[3] = { { out, 5 }, { NULL, 0 }, { out + 100, 1000 } };
	union { char bytes[CMSG_SPACE(2 * sizeof(int))]; struct cmsghdr head; } control;
	struct msghdr m = {
		.msg_iov = v, .msg_iovlen = 3, .msg_control = control.bytes,
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	char buffers[2][600], name[128];
	int pair[2], passed, file = scratch();

	EQUAL(write(file, "passed", 6), 6);
	DO(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	away_with_buffers();
	memset(&control, 0, sizeof(control));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.head), &file, sizeof(int));
	EQUAL(sendmsg(pair[0], &m, 0), 1005);

	memset(&control, 0x55, sizeof(control));
	memset(buffers, 0x55, sizeof(buffers));
	memset(name, 0x55, sizeof(name));
	v[0] = (struct iovec){ buffers[0], 600 };
	v[1] = (struct iovec){ NULL, 0 };
	v[2] = (struct iovec){ buffers[1], 500 };
	m = (struct msghdr){
		.msg_name = name, .msg_namelen = sizeof(name), .msg_iov = v, .msg_iovlen = 3,
		.msg_control = control.bytes, .msg_controllen = sizeof(control), .msg_flags = 77,
	};
	EQUAL(recvmsg(pair[1], &m, 0), 1005);
	CHECK(m.msg_name == name && m.msg_iov == v && m.msg_control == control.bytes);
	EQUAL(m.msg_namelen, 0);
	EQUAL(m.msg_flags, 0);
	EQUAL(m.msg_iovlen, 3);
	EQUAL(m.msg_controllen, CMSG_SPACE(sizeof(int)));
	CHECK(!memcmp(buffers[0], out, 5) && !memcmp(buffers[0] + 5, out + 100, 595));
	CHECK(!memcmp(buffers[1], out + 695, 405));
	EQUAL(buffers[1][405], 0x55);
	EQUAL(name[0], 0x55);
	EQUAL(control.head.cmsg_type, SCM_RIGHTS);
	EQUAL(control.head.cmsg_len, CMSG_LEN(sizeof(int)));
	/* What is behind what was written is the program's. */
	EQUAL(control.bytes[CMSG_LEN(sizeof(int))], 0x55);
	memcpy(&passed, CMSG_DATA(&control.head), sizeof(int));
	EQUAL(pread(passed, in, 10, 0), 6);
	CHECK(!memcmp(in, "passed", 6));

	/* Cut: the flags say so. */
	EQUAL(send(pair[0], out, 1000, 0), 1000);
	v[0].iov_len = 10;
	m.msg_iovlen = 1;
	m.msg_controllen = 0;
	EQUAL(recvmsg(pair[1], &m, 0), 10);
	EQUAL(m.msg_flags, MSG_TRUNC);
}

/* ---- waiting for files ---- */

static void polled(void)
{
	struct pollfd fds[3];
	int ends[2];

	DO(pipe(ends));
	away();
	fds[0] = (struct pollfd){ ends[0], POLLIN, 0x1234 };
	fds[1] = (struct pollfd){ ends[1], POLLOUT, 0x1234 };
	fds[2] = (struct pollfd){ -1, POLLIN, 0x1234 };
	EQUAL(poll(fds, 3, 0), 1);
	CHECK(fds[0].revents == 0 && fds[1].revents == POLLOUT && fds[2].revents == 0);
	CHECK(fds[0].fd == ends[0] && fds[0].events == POLLIN && fds[2].fd == -1);
	EQUAL(write(ends[1], "x", 1), 1);
	EQUAL(poll(fds, 1, -1), 1);
	EQUAL(fds[0].revents, POLLIN);
	EQUAL(ppoll(fds, 3, &(struct timespec){ 5, 0 }, &(sigset_t){ }), 2);
	EQUAL(poll(NULL, 0, 10), 0);
	EQUAL(syscall(SYS_poll, fds, 1u << 30, 0), -1);
	EQUAL(errno, EINVAL);
}

static void selected(void)
{
	struct { fd_set set; char behind[64]; } r, w;
	struct timeval limit = { 3, 0 };
	int ends[2];

	DO(pipe(ends));
	away();
	memset(&r, 0, sizeof(r));
	memset(&w, 0, sizeof(w));
	memset(r.behind, 0x55, sizeof(r.behind));
	FD_SET(ends[0], &r.set);
	FD_SET(ends[1], &w.set);
	EQUAL(select(ends[1] + 1, &r.set, &w.set, NULL, &limit), 1);
	CHECK(!FD_ISSET(ends[0], &r.set) && FD_ISSET(ends[1], &w.set));
	CHECK(untouched(r.behind, sizeof(r.behind), 0, 0, 0x55));
	EQUAL(write(ends[1], "x", 1), 1);
	FD_SET(ends[0], &r.set);
	EQUAL(syscall(SYS_select, 1024, &r.set, NULL, NULL, &limit), 1);
	CHECK(FD_ISSET(ends[0], &r.set));
	limit = (struct timeval){ 0, 20000 };
	FD_ZERO(&r.set);
	EQUAL(syscall(SYS_select, 0, NULL, NULL, NULL, &limit), 0);
	CHECK(!limit.tv_sec && !limit.tv_usec);
}

/* One set in two places: what the call writes last is what is there. */
static void one_set_for_two(void)
{
	struct timeval limit = { 3, 0 };
	int ends[2];
	fd_set set;

	DO(pipe(ends));
	away();
	for (int round = 0; round < 2; round++) {
		FD_ZERO(&set);
		FD_SET(ends[1], &set);
		EQUAL(syscall(SYS_select, ends[1] + 1, &set, &set, NULL, &limit), 1);
		CHECK(FD_ISSET(ends[1], &set));
		EQUAL(syscall(SYS_select, ends[1] + 1, NULL, &set, &set, &limit), 1);
		CHECK(!FD_ISSET(ends[1], &set));
	}
}

static void epolled(void)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = 0x123456789abcdefull }, got[1024];
	int set = DO(epoll_create1(0)), ends[2];

	DO(pipe(ends));
	away();
	DO(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &e));
	e = (struct epoll_event){ .events = EPOLLOUT, .data.u64 = 7 };
	DO(epoll_ctl(set, EPOLL_CTL_ADD, ends[1], &e));
	memset(got, 0x55, sizeof(got));
	EQUAL(epoll_wait(set, got, 1024, -1), 1);
	CHECK(got[0].data.u64 == 7 && got[0].events == EPOLLOUT);
	CHECK(untouched((char *)got, sizeof(got), 0, sizeof(*got), 0x55));
	EQUAL(write(ends[1], "x", 1), 1);
	EQUAL(epoll_wait(set, got, 2, 0), 2);
	CHECK(got[0].data.u64 + got[1].data.u64 == 0x123456789abcdefull + 7);
	DO(epoll_ctl(set, EPOLL_CTL_DEL, ends[0], NULL));
	DO(epoll_ctl(set, EPOLL_CTL_DEL, ends[1], (void *)8));
	EQUAL(epoll_wait(set, got, 2, 5), 0);
	EQUAL(syscall(SYS_epoll_wait, set, got, 1 << 30, 5), -1);
	EQUAL(errno, EINVAL);
}

/* ---- interrupted ---- */

static volatile int caught;
static int handled[2];	/* a pipe into which the handler writes, if there is one */

static void handler(int number)
{
	(void)number;
	caught++;
	if (handled[1] && write(handled[1], "h", 1) != 1)
		_exit(1);
}

static void catch(int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags }, old;

	memset(&old, 0x55, sizeof(old));
	DO(sigaction(SIGUSR1, &action, NULL));
	DO(sigaction(SIGUSR1, NULL, &old));
	CHECK(old.sa_handler == handler && (old.sa_flags & SA_RESTART) == flags);
	caught = 0;
}

static void write_x(void *fd)
{
	if (write(*(int *)fd, "x", 1) != 1)
		_exit(1);
}

static void signal_me(void *unused)
{
	(void)unused;
	kill(getppid(), SIGUSR1);
}

static void signal_and_write(void *fd)
{
	char byte;

	signal_me(NULL);
	if (read(handled[0], &byte, 1) != 1)
		_exit(1);
	write_x(fd);
}

static void read_interrupted(void)
{
	int ends[2];
	pid_t helper;

	DO(pipe(ends));
	away_with_buffers();
	catch(0);
	helper = when_in(SYS_read, signal_me, NULL);
	EQUAL(read(ends[0], in, 100), -1);
	EQUAL(errno, EINTR);
	EQUAL(caught, 1);
	EQUAL(in[0], 0x55);
	reap(helper);
}

/* The handler runs, the call goes on, and the data comes where it belongs. */
static void read_restarted(void)
{
	int ends[2];
	pid_t helper;

	DO(pipe(ends));
	DO(pipe(handled));
	away_with_buffers();
	catch(SA_RESTART);
	helper = when_in(SYS_read, signal_and_write, &ends[1]);
	EQUAL(read(ends[0], in, 100), 1);
	EQUAL(caught, 1);
	CHECK(in[0] == 'x' && in[1] == 0x55);
	reap(helper);
}

static void read_moved(void)
{
	int ends[2];
	pid_t helper;

	DO(pipe(ends));
	away_with_buffers();
	helper = later(900, write_x, &ends[1]);
	during("100 H 100 A 100 H 60 A");
	EQUAL(read(ends[0], in + 4090, 100), 1);
	CHECK(in[4090] == 'x' && untouched(in, sizeof(in), 4090, 1, 0x55));
	during_end();
	reap(helper);
}

/* The restart of poll() remembers where its array is. */
static void poll_moved(void)
{
	struct pollfd fd = { .events = POLLIN };
	uint64_t start;
	int ends[2];
	pid_t helper;

	DO(pipe(ends));
	away();
	fd.fd = ends[0];
	helper = later(900, write_x, &ends[1]);
	during("100 H 100 A 100 H 60 A");
	EQUAL(poll(&fd, 1, 20000), 1);
	EQUAL(fd.revents, POLLIN);
	during_end();
	reap(helper);
	EQUAL(read(ends[0], in, 1), 1);
	start = now_ns();
	fd.revents = 0x77;
	during("100 H 100 A 100 H 60 A");
	EQUAL(poll(&fd, 1, 800), 0);
	EQUAL(fd.revents, 0);
	CHECK(now_ns() - start >= 799000000);
	during_end();
}

static void poll_interrupted(void)
{
	struct pollfd fd = { .events = POLLIN, .revents = 0x77 };
	int ends[2];
	pid_t helper;

	DO(pipe(ends));
	away();
	fd.fd = ends[0];
	catch(0);
	helper = when_in(SYS_poll, signal_me, NULL);
	EQUAL(poll(&fd, 1, 20000), -1);
	EQUAL(errno, EINTR);
	EQUAL(caught, 1);
	reap(helper);
}

static void sleep_interrupted(void)
{
	struct timespec left = { 0x55, 0x55 };
	pid_t helper;

	away();
	catch(0);
	helper = when_in(SYS_clock_nanosleep, signal_me, NULL);
	EQUAL(nanosleep(&(struct timespec){ 30, 0 }, &left), -1);
	EQUAL(errno, EINTR);
	CHECK(left.tv_sec >= 15 && left.tv_sec < 30);
	reap(helper);
	left = (struct timespec){ 0x55, 0x55 };
	during("100 H 100 A 100 H");
	EQUAL(nanosleep(&(struct timespec){ 0, 800000000 }, &left), 0);
	during_end();
}

/* ---- the process ---- */

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

/* ---- memory that changes meanwhile ---- */

static int shared_ends[2];
static char *shared_page;
static atomic_int buffer_is_filled;

static void *change_page(void *how)
{
	while (!atomic_load(&buffer_is_filled))
		sleep_ms(10);
	/* For the call to block, which is what the case is about; it is right if it does not. */
	sleep_ms(300);
	if (how)
		mprotect(shared_page, 4096, PROT_READ);
	else
		shared_page[100]++;
	sleep_ms(300);
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

/* It may not be written to any more: so it is with the call's result. */
static void buffer_is_protected(void)
{
	pthread_t thread;

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
}

/* ---- threads ---- */

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
	EQUAL(*(volatile char *)start & 0, 0);	/* it is memory like any other */
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

static const struct test_case cases[] = {
	CASE(through_a_pipe), CASE(through_a_file), CASE(vectors), CASE(many_entries), CASE(pages_stay),
	CASE(unused_buffer_stays), CASE(devices), CASE(direct_io), CASE(bad_buffers),
	CASE(failed_calls_leave_nothing), CASE(names), CASE(status_of_files), CASE(datagrams),
	CASE(streams), CASE(messages), CASE(polled), CASE(selected),
	CASE(one_set_for_two), CASE(epolled),
	CASE(read_interrupted), CASE(read_restarted), CASE(read_moved), CASE(poll_moved),
	CASE(poll_interrupted), CASE(sleep_interrupted), CASE(self), CASE(buffer_leaves),
	CASE(buffer_is_protected), CASE(two_readers), CASE(many_readers), CASE(forked_meanwhile),
	CASE(unmapped), CASE(limited), CASE(go_home_and_back),
	{ }
};

int main(int argc, char **argv)
{
	return harness_main(argc, argv, cases);
}

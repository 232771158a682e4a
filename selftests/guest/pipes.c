// SPDX-License-Identifier: GPL-2.0
/* Pipes and FIFOs, and what moves bytes between files without the program's memory. */
#include "harness.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { BYTES = 16 * 4096 };

static int ends[2];
static char data[BYTES], back[BYTES];

static int filled(uint64_t seed)
{
	int file = DO(open("/tmp", O_TMPFILE | O_RDWR, 0600));

	fill(data, BYTES, seed);
	EQUAL(write(file, data, BYTES), BYTES);
	DO(lseek(file, 0, SEEK_SET));
	return file;
}

static void read_back(int from, uint64_t seed)
{
	for (size_t done = 0; done < BYTES;) {
		ssize_t got = DO(read(from, back + done, BYTES - done));

		CHECK(got > 0);
		done += got;
	}
	EQUAL(differs(back, BYTES, seed), -1);
}

/* Each write is a packet; a read takes one, and the rest of it is lost. */
static void packets(void)
{
	char text[8];

	away();
	DO(pipe2(ends, O_DIRECT | O_NONBLOCK | O_CLOEXEC));
	EQUAL(write(ends[1], "abc", 3), 3);
	EQUAL(write(ends[1], "defgh", 5), 5);
	EQUAL(read(ends[0], text, 8), 3);
	home();
	EQUAL(read(ends[0], text, 2), 2);
	CHECK(!memcmp(text, "de", 2));
	away();
	EQUAL(read(ends[0], text, 8), -1);
	EQUAL(errno, EAGAIN);
}

static void size_and_fill(void)
{
	int waiting = 0, size;

	away();
	DO(pipe2(ends, O_NONBLOCK));
	size = DO(fcntl(ends[0], F_SETPIPE_SZ, 8192));
	EQUAL(fcntl(ends[1], F_GETPIPE_SZ), size);
	fill(data, BYTES, 1);
	EQUAL(write(ends[1], data, BYTES), size);	/* what fits */
	EQUAL(write(ends[1], data, 1), -1);
	EQUAL(errno, EAGAIN);
	DO(ioctl(ends[0], FIONREAD, &waiting));
	EQUAL(waiting, size);
	home();
	EQUAL(read(ends[0], back, BYTES), size);
	EQUAL(differs(back, size, 1), -1);
	EQUAL(read(ends[0], back, 1), -1);
	EQUAL(errno, EAGAIN);
}

/* All that two writers write is many times what the pipe holds. */
enum { PIECE = 512, COUNT = 200, HOLDS = 8192 };

static void write_pieces(char letter, int from, int to)
{
	char piece[PIECE];

	memset(piece, letter, PIECE);
	for (int i = from; i < to; i++)
		EQUAL(write(ends[1], piece, PIECE), PIECE);
}

/* Both wait for room, at the same time. */
static void await_full(pid_t one, pid_t other)
{
	uint64_t end = now_ns() + slower() * 60000000000ull;

	while (!sleeps_in(one, SYS_write) || !sleeps_in(other, SYS_write)) {
		if (now_ns() > end)
			fail(__FILE__, __LINE__, "not both writers have to wait");
		sleep_ms(2);
	}
}

/* At each stop neither writer can have written all that it has to write. */
static void read_pieces(pid_t one, pid_t other)
{
	enum { STOPS = 5, BETWEEN = 2 * HOLDS / PIECE };
	int changes = 0, of[2] = { 0 };
	char piece[PIECE], last = 0;

	for (int i = 0; i < 2 * COUNT; i++) {
		if (i % BETWEEN == 0 && i / BETWEEN < STOPS)
			await_full(one, other);
		EQUAL(read(ends[0], piece, PIECE), PIECE);
		CHECK(*piece == 'a' || *piece == 'b');
		for (int k = 1; k < PIECE; k++)
			EQUAL(piece[k], piece[0]);
		changes += *piece != last;
		last = *piece;
		of[last - 'a']++;
	}
	EQUAL(of[0], COUNT);
	EQUAL(of[1], COUNT);
	EQUAL(read(ends[0], piece, 1), 0);
	note("%d times from one to the other", changes - 1);
	_exit(0);
}

/* Two writers, one of whom is away: pieces of up to PIPE_BUF are not mixed. */
static void pieces_are_whole(void)
{
	pid_t self = getpid(), other, reader;

	DO(pipe(ends));
	EQUAL(DO(fcntl(ends[1], F_SETPIPE_SZ, HOLDS)), HOLDS);
	other = DO(fork());
	if (!other) {
		close(ends[0]);
		write_pieces('b', 0, COUNT);
		_exit(0);
	}
	away();
	reader = DO(fork());
	if (!reader) {
		close(ends[1]);
		read_pieces(self, other);
	}
	away();
	write_pieces('a', 0, COUNT / 2);
	home();
	write_pieces('a', COUNT / 2, 3 * COUNT / 4);
	away();
	write_pieces('a', 3 * COUNT / 4, COUNT);
	DO(close(ends[1]));
	reap(other);
	reap(reader);
}

static void answer(void *name)
{
	int file = open(name, O_RDWR);
	char byte;

	if (file < 0 || read(file, &byte, 1) != 1 || byte != 'q')
		_exit(1);
}

static void fifo_of_both(void)
{
	char name[] = "/tmp/st-pipes-XXXXXX", byte;
	pid_t helper;
	int file;

	CHECK(mkdtemp(name));
	DO(chdir(name));
	away();
	DO(mkfifo("fifo", 0600));
	EQUAL(open("fifo", O_WRONLY | O_NONBLOCK), -1);
	EQUAL(errno, ENXIO);
	file = DO(open("fifo", O_RDONLY | O_NONBLOCK));
	EQUAL(read(file, &byte, 1), 0);
	DO(close(file));
	helper = later(0, answer, "fifo");
	file = DO(open("fifo", O_WRONLY));	/* when somebody reads */
	EQUAL(write(file, "q", 1), 1);
	reap(helper);
	away();
	signal(SIGPIPE, SIG_IGN);
	EQUAL(write(file, "q", 1), -1);
	EQUAL(errno, EPIPE);
	DO(unlink("fifo"));
}

static void splice_through(void)
{
	int from = filled(2), to = DO(open("/tmp", O_TMPFILE | O_RDWR, 0600));
	off_t at = 4096;

	DO(pipe(ends));
	away();
	for (size_t done = 0; done < BYTES;) {
		ssize_t moved = DO(splice(from, NULL, ends[1], NULL, BYTES - done, SPLICE_F_MOVE));

		CHECK(moved > 0);
		if (done)
			home();
		EQUAL(splice(ends[0], NULL, to, NULL, moved, 0), moved);
		done += moved;
	}
	EQUAL(splice(from, NULL, ends[1], NULL, 1, 0), 0);
	away();
	DO(lseek(to, 0, SEEK_SET));
	read_back(to, 2);
	EQUAL(splice(from, &at, ends[1], NULL, 100, 0), 100);
	EQUAL(at, 4196);
	EQUAL(read(ends[0], back, 100), 100);
	CHECK(!memcmp(back, data + 4096, 100));
	EQUAL(splice(from, NULL, to, NULL, 1, 0), -1);	/* none is a pipe */
	EQUAL(errno, EINVAL);
	EQUAL(splice(ends[0], NULL, ends[1], NULL, 1, SPLICE_F_NONBLOCK), -1);
}

/* A copy of what is in a pipe, which stays there. */
static void tee_copies(void)
{
	int other[2];

	DO(pipe(ends));
	DO(pipe(other));
	away();
	EQUAL(write(ends[1], "teeth", 5), 5);
	EQUAL(tee(ends[0], other[1], 100, 0), 5);
	home();
	EQUAL(read(ends[0], back, 100), 5);
	away();
	EQUAL(read(other[0], back, 100), 5);
	CHECK(!memcmp(back, "teeth", 5));
	EQUAL(tee(ends[0], other[1], 100, SPLICE_F_NONBLOCK), -1);
	EQUAL(errno, EAGAIN);
}

static void file_to_socket(void)
{
	int from = filled(3), pair[2];
	off_t offset = 0;
	pid_t reader;

	DO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	reader = DO(fork());
	if (!reader) {
		read_back(pair[1], 3);
		_exit(0);
	}
	away();
	while (offset < BYTES)
		DO(sendfile(pair[0], from, &offset, BYTES - offset));
	EQUAL(offset, BYTES);
	EQUAL(lseek(from, 0, SEEK_CUR), 0);
	reap(reader);
}

static void file_to_file(void)
{
	int from = filled(4), to = DO(open("/tmp", O_TMPFILE | O_RDWR, 0600));
	off_t in = 100, out = 5;

	away();
	EQUAL(copy_file_range(from, &in, to, &out, 1000, 0), 1000);
	EQUAL(in, 1100);
	EQUAL(out, 1005);
	EQUAL(pread(to, back, 2000, 5), 1000);
	CHECK(!memcmp(back, data + 100, 1000));
	in = BYTES;
	EQUAL(copy_file_range(from, &in, to, NULL, 1000, 0), 0);
	EQUAL(copy_file_range(from, NULL, to, NULL, 1000, 99), -1);
	EQUAL(errno, EINVAL);
}

/* A splice that has to wait for the pipe's other end, while it is moved. */
static void drain(void *unused)
{
	static char buffer[4096];
	size_t left = 3 * BYTES;
	ssize_t got;

	(void)unused;
	close(ends[1]);
	while (left && (got = read(ends[0], buffer, sizeof(buffer))) > 0)
		left -= got;
	_exit(left != 0);
}

static void splice_waits(void)
{
	int from = filled(5);
	size_t done = 0;
	pid_t helper;

	EQUAL(write(from, data, 0), 0);
	DO(ftruncate(from, 3 * BYTES));
	DO(pipe(ends));
	away();
	helper = later(300, drain, NULL);
	during("60 a 60 h 60 a");
	while (done < 3 * BYTES) {
		ssize_t moved = DO(splice(from, NULL, ends[1], NULL, 3 * BYTES - done, 0));

		CHECK(moved > 0);
		done += moved;
	}
	during_end();
	reap(helper);
}

/* Many small pieces of memory that is elsewhere. */
static void vmsplice_of_pieces(void)
{
	struct iovec parts[8];
	char *memory = map_pages(8, PROT_READ | PROT_WRITE);

	DO(pipe(ends));
	away();
	for (int i = 0; i < 8; i++) {
		memset(memory + i * 4096, 'a' + i, 4096);
		parts[i] = (struct iovec){ memory + i * 4096 + i, 10 };
	}
	EQUAL(vmsplice(ends[1], parts, 8, 0), 80);
	EQUAL(read(ends[0], back, 100), 80);
	for (int i = 0; i < 80; i++)
		EQUAL(back[i], 'a' + i / 10);
	/* And from a pipe into memory. */
	EQUAL(write(ends[1], "into memory", 11), 11);
	parts[0].iov_len = 11;
	EQUAL(vmsplice(ends[0], parts, 1, 0), 11);
	CHECK(!memcmp(memory, "into memory", 11));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(packets), CASE(size_and_fill), CASE(pieces_are_whole), CASE(fifo_of_both),
		CASE(splice_through), CASE(tee_copies), CASE(file_to_socket), CASE(file_to_file),
		CASE(splice_waits), CASE(vmsplice_of_pieces),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

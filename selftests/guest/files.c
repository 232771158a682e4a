// SPDX-License-Identifier: GPL-2.0
/* Memory and files: mappings of files, shared memory, buffers of system calls. */
#include "harness.h"
#include "fault.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { PAGES = 32, BYTES = PAGES * 4096 };

#define RW (PROT_READ | PROT_WRITE)

static int scratch(void)
{
	char path[] = "/tmp/st-file-XXXXXX";
	int file = DO(mkstemp(path));

	unlink(path);
	return file;
}

static int filled(uint64_t seed)
{
	char *data = malloc(BYTES);
	int file = scratch();

	fill(data, BYTES, seed);
	EQUAL(write(file, data, BYTES), BYTES);
	free(data);
	return file;
}

static void private_mapping(void)
{
	int file = filled(1);
	char *memory, buffer[4096];

	away();
	memory = DO(mmap(NULL, BYTES, RW, MAP_PRIVATE, file, 0));
	EQUAL(differs(memory, BYTES, 1), -1);
	memset(memory, 7, 4096);
	home();
	EQUAL(memory[100], 7);
	EQUAL(pread(file, buffer, 4096, 0), 4096);
	EQUAL(differs(buffer, 4096, 1), -1);	/* the file knows nothing of it */
}

static void shared_mapping(void)
{
	int file = filled(2);
	char *memory = DO(mmap(NULL, BYTES, RW, MAP_SHARED, file, 0)), *data = malloc(BYTES);

	away();
	EQUAL(differs(memory, BYTES, 2), -1);
	fill(memory, BYTES, 3);
	EQUAL(pread(file, data, BYTES, 0), BYTES);
	EQUAL(differs(data, BYTES, 3), -1);
	fill(data, BYTES, 4);
	EQUAL(pwrite(file, data, BYTES, 0), BYTES);
	EQUAL(differs(memory, BYTES, 4), -1);
	DO(msync(memory, BYTES, MS_SYNC));
}

/* Both ends write all the time; each has to see what the other wrote. */
static void shared_with_a_child(void)
{
	volatile int *shared = DO(mmap(NULL, 4096, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pid_t child = DO(fork());

	if (!child) {
		for (int i = 1; i <= 50; i++) {
			while (shared[0] != i)
				sleep_ms(1);
			shared[1] = i;
		}
		_exit(0);
	}
	away();
	for (int i = 1; i <= 50; i++) {
		shared[0] = i;
		while (shared[1] != i)
			sleep_ms(1);
		if (i == 20)
			home();
		if (i == 30)
			away();
	}
	reap(child);
}

/* One letter after the other, at the same place of a file. */
static int64_t write_next(void *file)
{
	static char value = 'a';

	EQUAL(pwrite(*(int *)file, &value, 1, 3 * 4096), 1);
	return value++;
}

/* What others write to the file shows in a private, read-only view. */
static void private_view_is_fresh(void)
{
	int file = filled(5);
	const volatile char *memory = DO(mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE, file, 0));
	struct partner writer;

	partner_start(&writer, write_next, &file);
	for (int i = 0; i < 10; i++) {
		if (i % 3 == 0)
			away();
		(void)memory[3 * 4096];
		partner_ask(&writer);
		EQUAL(memory[3 * 4096], 'a' + i);
		if (i % 3 == 1)
			home();
	}
	partner_end(&writer);
}

static int64_t open_and_write_next(void *path)
{
	static bool read_as_well;
	int file = DO(open(path, read_as_well ? O_RDWR : O_WRONLY));
	int64_t value = write_next(&file);

	read_as_well = !read_as_well;
	DO(close(file));
	return value;
}

/* Nobody has the file open for writing until its pages have been copied away. */
static void written_after_it_was_copied(void)
{
	char path[] = "/tmp/copied.XXXXXX";
	int file = DO(mkstemp(path));
	const volatile char *memory;
	struct partner writer;

	for (int i = 0; i < BYTES; i += 4096)
		EQUAL(pwrite(file, "0", 1, i), 1);
	DO(close(file));
	file = DO(open(path, O_RDONLY));
	memory = DO(mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE, file, 0));
	partner_start(&writer, open_and_write_next, path);
	away();
	for (int i = 0; i < 6; i++) {
		EQUAL(memory[3 * 4096], i ? 'a' + i - 1 : '0');
		EQUAL(memory[5 * 4096], '0');
		partner_ask(&writer);
		EQUAL(memory[3 * 4096], 'a' + i);
	}
	partner_end(&writer);
	unlink(path);
}

/* A file's last name goes while the file is mapped by one that went before. */
static void written_without_a_name(void)
{
	char path[] = "/tmp/unnamed.XXXXXX", other[sizeof(path) + 2], itself[40];
	int file = DO(mkstemp(path)), writable;
	const volatile char *memory;
	uint64_t end;

	for (int i = 0; i < BYTES; i += 4096)
		EQUAL(pwrite(file, "0", 1, i), 1);
	DO(close(file));
	file = DO(open(path, O_RDONLY));
	memory = DO(mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE, file, 0));
	snprintf(other, sizeof(other), "%s.2", path);
	DO(link(path, other));
	snprintf(itself, sizeof(itself), "/proc/self/fd/%d", file);
	away();
	EQUAL(memory[3 * 4096], '0');
	DO(unlink(path));
	DO(unlink(other));
	/* No other page is read before that: it would be noticed again who opens the file. */
	writable = DO(open(itself, O_WRONLY));
	EQUAL(pwrite(writable, "1", 1, 3 * 4096), 1);
	DO(close(writable));
	end = now_ns() + 20000000000;
	while (memory[3 * 4096] != '1' && now_ns() < end)
		;
	EQUAL(memory[3 * 4096], '1');
	EQUAL(memory[5 * 4096], '0');
	writable = DO(open(itself, O_RDWR));
	EQUAL(pwrite(writable, "2", 1, 5 * 4096), 1);
	EQUAL(memory[5 * 4096], '2');
}

static int64_t count_up(void *counter)
{
	return ++*(volatile uint64_t *)counter;
}

/* A partner counts up; the view, away, has to show it without being asked to. */
static void follow(const volatile uint64_t *view, struct partner *writer)
{
	for (uint64_t i = 0; i < 6; i++) {
		uint64_t end;

		if (i % 3 == 0)
			away();
		EQUAL(*view, i);	/* read here before it is written there */
		partner_ask(writer);
		end = now_ns() + 20000000000;
		while (*view != i + 1 && now_ns() < end)
			;
		EQUAL(*view, i + 1);
		if (i % 3 == 1)
			home();
	}
}

static void view_follows(const volatile uint64_t *view, void *writable)
{
	struct partner writer;

	partner_start(&writer, count_up, writable);
	follow(view, &writer);
	partner_end(&writer);
}

/* The same file, through a descriptor that cannot write. */
static int reopened(int file)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	return DO(open(path, O_RDONLY));
}

/*
 * A shared mapping through a descriptor that cannot write has no VM_SHARED in the kernel;
 * it is shared all the same. Nor has such memory a writer that opened it as a file.
 */
static void shared_read_only_follows(void)
{
	int id = DO(shmget(IPC_PRIVATE, 4096, 0600)), file = DO(memfd_create("st", 0));
	void *writable, *view;

	writable = DO(shmat(id, NULL, 0));
	view = DO(shmat(id, NULL, SHM_RDONLY));
	DO(shmctl(id, IPC_RMID, NULL));
	view_follows(view, writable);

	DO(ftruncate(file, 4096));
	writable = DO(mmap(NULL, 4096, RW, MAP_SHARED, file, 0));
	view = DO(mmap(NULL, 4096, PROT_READ, MAP_SHARED, reopened(file), 0));
	DO(close(file));
	view_follows(view, writable);
}

/* One's own write() to a file that one has mapped. */
static void own_write_shows(void)
{
	int file = filled(6);
	const char *private = DO(mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE, file, 0));
	const char *shared = DO(mmap(NULL, BYTES, PROT_READ, MAP_SHARED, file, 0));

	away();
	EQUAL(differs(private, BYTES, 6), -1);
	EQUAL(differs(shared, BYTES, 6), -1);
	EQUAL(pwrite(file, "new", 3, 8192), 3);
	CHECK(!memcmp(private + 8192, "new", 3));
	CHECK(!memcmp(shared + 8192, "new", 3));
}

static void truncated_below(void)
{
	int file = filled(7);
	char *memory = DO(mmap(NULL, BYTES, PROT_READ, MAP_SHARED, file, 0));
	char *private = DO(mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE, file, 0));

	away();
	EQUAL(differs(memory, BYTES, 7), -1);
	EQUAL(differs(private, BYTES, 7), -1);
	DO(ftruncate(file, 4096));
	EQUAL(faults_on(memory + 2 * 4096, false), BUS_ADRERR);
	EQUAL(faults_on(private + 2 * 4096, false), BUS_ADRERR);
	EQUAL(differs(memory, 4096, 7), -1);
}

static void memfd_mapping(void)
{
	int file;
	char *memory;

	away();
	file = DO(memfd_create("st", 0));
	DO(ftruncate(file, BYTES));
	memory = DO(mmap(NULL, BYTES, RW, MAP_SHARED, file, 0));
	fill(memory, BYTES, 8);
	home();
	EQUAL(differs(memory, BYTES, 8), -1);
}

/*
 * What is written to memory without a name shows in a private view of it, though the
 * descriptor behind the view is not one for writing.
 */
static void private_view_of_memfd(void)
{
	int file = DO(memfd_create("st", 0));
	const volatile char *memory;

	EQUAL(pwrite(file, "a", 1, 0), 1);
	DO(ftruncate(file, 4096));
	memory = DO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, reopened(file), 0));
	away();
	for (char c = 'a'; c <= 'z'; c++) {
		EQUAL(pwrite(file, &c, 1, 0), 1);
		EQUAL(*memory, c);
	}
	home();
	EQUAL(*memory, 'z');
}

/* What is sealed against writing does not change any more: up to then a view of it is fresh. */
static void private_view_of_sealed_memfd(void)
{
	int file = DO(memfd_create("st", MFD_ALLOW_SEALING));
	const volatile char *views[2];

	DO(ftruncate(file, 4096));
	views[0] = DO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, reopened(file), 0));
	views[1] = DO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0));
	away();
	for (char c = 'a'; c <= 'f'; c++) {
		EQUAL(pwrite(file, &c, 1, 100), 1);
		for (int i = 0; i < 2; i++)
			EQUAL(views[i][100], c);
	}
	DO(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE));
	away();
	EQUAL(pwrite(file, "x", 1, 100), -1);
	EQUAL(errno, EPERM);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 2; i++)
			EQUAL(views[i][100], 'f');
		if (round)
			away();
		else
			home();
	}
}

/* That seal leaves its length alone: what is cut off is gone, and comes back as zeros. */
static void sealed_memfd_is_cut_off(void)
{
	int file = DO(memfd_create("st", MFD_ALLOW_SEALING));
	const volatile char *view;
	char x[2 * 4096];

	memset(x, 'x', sizeof(x));
	EQUAL(write(file, x, sizeof(x)), sizeof(x));
	DO(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE));
	view = DO(mmap(NULL, sizeof(x), PROT_READ, MAP_PRIVATE, reopened(file), 0));
	away();
	EQUAL(view[3000], 'x');
	EQUAL(view[5000], 'x');
	DO(ftruncate(file, 100));
	EQUAL(view[99], 'x');
	EQUAL(view[3000], 0);
	EQUAL(faults_on((char *)view + 5000, false), BUS_ADRERR);
	away();
	DO(ftruncate(file, sizeof(x)));
	EQUAL(view[99], 'x');
	EQUAL(view[3000], 0);
	EQUAL(view[5000], 0);
}

/*
 * Sealed against those who would write to it in future: who has it mapped already goes on, here
 * another process alone, and a view of it follows.
 */
static void private_view_with_an_old_writer(void)
{
	int file = DO(memfd_create("st", MFD_ALLOW_SEALING));
	uint64_t *writable;
	const volatile uint64_t *view;
	struct partner writer;

	DO(ftruncate(file, 4096));
	writable = DO(mmap(NULL, 4096, RW, MAP_SHARED, file, 0));
	partner_start(&writer, count_up, writable);
	DO(munmap(writable, 4096));
	DO(fcntl(file, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	view = DO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, reopened(file), 0));
	DO(close(file));
	follow(view, &writer);
	/* The writer is the last one that could write. */
	partner_end(&writer);
	away();
	EQUAL(*view, 6);
	home();
	EQUAL(*view, 6);
}

/* Pages that are owned away are read and written by the kernel at home. */
static void large_write_and_read(void)
{
	size_t bytes = 2 << 20;
	char *data = map_pages(bytes / 4096, RW);
	int file = scratch();

	away();
	fill(data, bytes, 9);
	EQUAL(write(file, data, bytes), bytes);
	memset(data, 0, bytes);
	EQUAL(pread(file, data, bytes, 0), bytes);
	EQUAL(differs(data, bytes, 9), -1);
	memset(data, 1, bytes);
	home();
	EQUAL(pread(file, data, bytes, 0), bytes);
	EQUAL(differs(data, bytes, 9), -1);
}

static void scattered_buffers(void)
{
	char *data = map_pages(PAGES, RW), *back = map_pages(PAGES, RW);
	struct iovec out[PAGES], in[PAGES];
	int file = scratch();

	away();
	fill(data, BYTES, 10);
	for (int i = 0; i < PAGES; i++) {
		out[i] = (struct iovec){ data + i * 4096, 4096 };
		in[PAGES - 1 - i] = (struct iovec){ back + i * 4096, 4096 };
	}
	EQUAL(writev(file, out, PAGES), BYTES);
	EQUAL(preadv(file, in, PAGES, 0), BYTES);
	for (int i = 0; i < PAGES; i++)
		CHECK(!memcmp(data + i * 4096, back + (PAGES - 1 - i) * 4096, 4096));
}

static void through_a_pipe(void)
{
	char *data = map_pages(16, RW), *back = map_pages(16, RW);
	int ends[2];

	DO(pipe(ends));
	away();
	for (int round = 0; round < 10; round++) {
		fill(data, 65536, round);
		EQUAL(write(ends[1], data, 65536), 65536);
		fill(data, 65536, 99);		/* what is in the pipe stays as it was */
		EQUAL(read(ends[0], back, 65536), 65536);
		EQUAL(differs(back, 65536, round), -1);
		if (round == 5)
			home();
	}
}

static void wrong_buffers(void)
{
	char *hole = map_pages(3, RW), *sealed = map_pages(1, PROT_READ), *none = map_pages(1, PROT_NONE);
	char *volatile wrong = (char *)8;
	int file = filled(11);

	DO(munmap(hole + 4096, 4096));
	away();
	EQUAL(pread(file, wrong, 100, 0), -1);
	EQUAL(errno, EFAULT);
	EQUAL(pread(file, sealed, 100, 0), -1);
	EQUAL(errno, EFAULT);
	EQUAL(pread(file, none, 100, 0), -1);
	EQUAL(errno, EFAULT);
	wrong = (char *)-5000l;
	EQUAL(pwrite(file, wrong, 100, 0), -1);
	EQUAL(errno, EFAULT);
	EQUAL(open((char *)none, O_RDONLY), -1);
	EQUAL(errno, EFAULT);
	/* Partly good: what fits is done. */
	EQUAL(pread(file, hole + 4000, 4096, 0), 96);
	EQUAL(stat("/", (struct stat *)sealed), -1);
	EQUAL(errno, EFAULT);
}

static void random_and_sendfile(void)
{
	char *memory = map_pages(PAGES, RW);
	int from = filled(12), to = scratch();
	off_t offset = 0;
	int zeros = 0;

	away();
	EQUAL(getrandom(memory, BYTES, 0), BYTES);
	for (int i = 0; i < BYTES; i++)
		zeros += !memory[i];
	CHECK(zeros < BYTES / 64);
	EQUAL(sendfile(to, from, &offset, BYTES), BYTES);
	EQUAL(offset, BYTES);
	EQUAL(pread(to, memory, BYTES, 0), BYTES);
	EQUAL(differs(memory, BYTES, 12), -1);
}

/* A page that a pipe holds cannot leave; the bytes are right all the same. */
static void pinned_by_vmsplice(void)
{
	char *memory = map_pages(4, RW), back[4096];
	struct iovec part = { memory, 4096 };
	int ends[2];

	fill(memory, 4 * 4096, 13);
	DO(pipe(ends));
	EQUAL(vmsplice(ends[1], &part, 1, 0), 4096);
	away();
	EQUAL(differs(memory, 4 * 4096, 13), -1);
	memory[7] = 'v';		/* the pipe refers to the page: it shows there */
	EQUAL(read(ends[0], back, 4096), 4096);
	EQUAL(back[7], 'v');
	fill(memory, 4 * 4096, 14);
	home();
	EQUAL(differs(memory, 4 * 4096, 14), -1);
}

static void offset_goes_on(void)
{
	char text[5] = "";
	int file = scratch();

	EQUAL(write(file, "abcdefghij", 10), 10);
	DO(lseek(file, 2, SEEK_SET));
	EQUAL(read(file, text, 2), 2);
	away();
	EQUAL(read(file, text, 3), 3);
	CHECK(!memcmp(text, "efg", 3));
	EQUAL(lseek(file, 0, SEEK_CUR), 7);
	home();
	EQUAL(read(file, text, 3), 3);
	CHECK(!memcmp(text, "hij", 3));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(private_mapping), CASE(shared_mapping), CASE(shared_with_a_child),
		CASE(private_view_is_fresh), CASE(written_after_it_was_copied),
		CASE(written_without_a_name),
		CASE(shared_read_only_follows), CASE(own_write_shows), CASE(truncated_below),
		CASE(memfd_mapping), CASE(private_view_of_memfd), CASE(private_view_of_sealed_memfd),
		CASE(sealed_memfd_is_cut_off), CASE(private_view_with_an_old_writer),
		CASE(large_write_and_read), CASE(scattered_buffers),
		CASE(through_a_pipe), CASE(wrong_buffers), CASE(random_and_sendfile),
		CASE(pinned_by_vmsplice), CASE(offset_goes_on),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/* Files beyond read and write: directories, attributes, holes, seals, rings, the disk. */
#include "harness.h"
#include "fault.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define RW (PROT_READ | PROT_WRITE)

static int scratch(void)
{
	return DO(open("/tmp", O_TMPFILE | O_RDWR, 0600));
}

/* A directory that is read in many calls, from two places. */
static void directory_entries(void)
{
	enum { COUNT = 60 };
	bool seen[COUNT] = { false };
	struct dirent *entry;
	char name[40];
	DIR *stream;

	own_directory();
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "file-with-a-long-name-%d", i);
		write_text(name, "");
	}
	away();
	stream = opendir(".");
	CHECK(stream);
	for (int number, count = 0; (entry = readdir(stream)); count++) {
		if (sscanf(entry->d_name, "file-with-a-long-name-%d", &number) == 1) {
			CHECK(!seen[number]);
			seen[number] = true;
		}
		if (count == COUNT / 3)
			home();
		if (count == COUNT / 2)
			away();
	}
	for (int i = 0; i < COUNT; i++)
		CHECK(seen[i]);
	rewinddir(stream);
	CHECK(readdir(stream));
	closedir(stream);
}

static void names_and_links(void)
{
	struct stat one, two;
	char text[16] = "", path[40];
	int top, file;

	own_directory();
	away();
	top = DO(open(".", O_PATH | O_DIRECTORY));
	DO(mkdirat(top, "deep", 0700));
	file = DO(openat(top, "deep/file", O_CREAT | O_EXCL | O_WRONLY, 0640));
	EQUAL(openat(top, "deep/file", O_CREAT | O_EXCL | O_WRONLY, 0640), -1);
	EQUAL(errno, EEXIST);
	EQUAL(write(file, "12345", 5), 5);
	DO(linkat(top, "deep/file", top, "hard", 0));
	DO(symlinkat("hard", top, "soft"));
	EQUAL(readlinkat(top, "soft", text, sizeof(text)), 4);
	CHECK(!memcmp(text, "hard", 4));
	home();
	DO(stat("soft", &one));
	away();
	DO(fstatat(top, "deep/file", &two, 0));
	EQUAL(one.st_ino, two.st_ino);
	EQUAL(two.st_nlink, 2);
	EQUAL(two.st_size, 5);
	EQUAL(two.st_mode & 0777, 0640);
	EQUAL(rmdir("deep"), -1);
	EQUAL(errno, ENOTEMPTY);
	DO(renameat2(top, "hard", top, "deep/file", RENAME_EXCHANGE));
	EQUAL(renameat2(top, "hard", top, "deep/file", RENAME_NOREPLACE), -1);
	EQUAL(errno, EEXIST);
	EQUAL(openat(top, "soft", O_RDONLY | O_NOFOLLOW), -1);
	EQUAL(errno, ELOOP);
	DO(unlinkat(top, "deep/file", 0));
	DO(unlinkat(top, "deep", AT_REMOVEDIR));
	EQUAL(faccessat(top, "hard", R_OK, 0), 0);
	/* A file without a name gets one. */
	file = DO(openat(top, ".", O_TMPFILE | O_WRONLY, 0600));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	DO(linkat(AT_FDCWD, path, top, "named", AT_SYMLINK_FOLLOW));
	DO(access("named", F_OK));
}

static void attributes_and_times(void)
{
	struct timespec times[2] = { { 1000000, 5000 }, { 2000000, 7000 } };
	struct statx more;
	char value[8];
	int file;

	own_directory();
	away();
	file = DO(open("file", O_CREAT | O_RDWR, 0600));
	DO(futimens(file, times));
	DO(fchmod(file, 04755));
	DO(statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS, &more));
	EQUAL(more.stx_mtime.tv_sec, 2000000);
	EQUAL(more.stx_mtime.tv_nsec, 7000);
	EQUAL(more.stx_mode & 07777, 04755);
	DO(fchown(file, 5, 6));
	home();
	DO(statx(file, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &more));
	EQUAL(more.stx_uid, 5);
	EQUAL(more.stx_gid, 6);
	EQUAL(more.stx_mode & 07777, 0755);	/* a change of owner takes the bit */
	away();
	if (fsetxattr(file, "trusted.radium", "value", 5, XATTR_CREATE)) {
		EQUAL(errno, EOPNOTSUPP);
		return;
	}
	EQUAL(fsetxattr(file, "trusted.radium", "value", 5, XATTR_CREATE), -1);
	EQUAL(errno, EEXIST);
	EQUAL(getxattr("file", "trusted.radium", value, 8), 5);
	EQUAL(getxattr("file", "trusted.radium", value, 2), -1);
	EQUAL(errno, ERANGE);
	EQUAL(flistxattr(file, NULL, 0) >= 15, 1);
	DO(removexattr("file", "trusted.radium"));
	EQUAL(fgetxattr(file, "trusted.radium", value, 8), -1);
	EQUAL(errno, ENODATA);
}

/* Holes: made, found, and seen in a mapping. */
static void holes(void)
{
	char *memory, byte;
	int file = scratch();

	away();
	DO(ftruncate(file, 16 * 4096));
	memory = DO(mmap(NULL, 16 * 4096, RW, MAP_SHARED, file, 0));
	memset(memory + 4 * 4096, 'm', 8 * 4096);
	EQUAL(lseek(file, 0, SEEK_DATA), 4 * 4096);
	EQUAL(lseek(file, 4 * 4096, SEEK_HOLE), 12 * 4096);
	DO(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 6 * 4096, 4096));
	EQUAL(lseek(file, 4 * 4096, SEEK_HOLE), 6 * 4096);
	EQUAL(memory[7 * 4096], 'm');
	home();
	EQUAL(lseek(file, 4 * 4096, SEEK_HOLE), 6 * 4096);
	EQUAL(memory[6 * 4096 + 5], 0);		/* which may fill it */
	away();
	EQUAL(lseek(file, 12 * 4096, SEEK_DATA), -1);
	EQUAL(errno, ENXIO);
	DO(fallocate(file, 0, 16 * 4096, 4096));
	EQUAL(lseek(file, 0, SEEK_END), 17 * 4096);
	EQUAL(pread(file, &byte, 1, 5 * 4096), 1);
	EQUAL(byte, 'm');
	DO(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED));
	DO(fdatasync(file));
	DO(syncfs(file));
}

/* What is sealed stays as it is, for who has it mapped as well. */
static void sealed_memory(void)
{
	char *memory, *view;
	int file;

	away();
	file = DO(memfd_create("sealed", MFD_ALLOW_SEALING | MFD_CLOEXEC));
	DO(ftruncate(file, 2 * 4096));
	memory = DO(mmap(NULL, 4096, RW, MAP_SHARED, file, 0));
	memory[0] = 's';
	EQUAL(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE), -1);
	EQUAL(errno, EBUSY);
	DO(fcntl(file, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK));
	memory[1] = 't';			/* a mapping from before */
	EQUAL(mmap(NULL, 4096, RW, MAP_SHARED, file, 0), MAP_FAILED);
	EQUAL(errno, EPERM);
	EQUAL(pwrite(file, "x", 1, 0), -1);
	EQUAL(errno, EPERM);
	EQUAL(ftruncate(file, 4096), -1);
	EQUAL(errno, EPERM);
	DO(ftruncate(file, 3 * 4096));
	home();
	view = DO(mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0));
	away();
	CHECK(view[0] == 's' && view[1] == 't');
	EQUAL(mprotect(view, 4096, RW), -1);
	EQUAL(errno, EACCES);
	EQUAL(faults_on(view, true), SEGV_ACCERR);
	away();
	DO(munmap(memory, 4096));
	DO(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SEAL));
	EQUAL(fcntl(file, F_GET_SEALS), F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK |
	      F_SEAL_GROW | F_SEAL_SEAL);
	EQUAL(fcntl(file, F_ADD_SEALS, F_SEAL_GROW), -1);
	EQUAL(errno, EPERM);
	EQUAL(view[1], 't');
}

/* Reads and writes that the kernel makes by itself, in buffers that are away. */
static void asynchronous_files(void)
{
	char *memory = map_pages(8, RW);
	struct iocb blocks[3], *list[3] = { &blocks[0], &blocks[1], &blocks[2] };
	int file = scratch(), told = DO(eventfd(0, 0));
	struct io_event events[3];
	aio_context_t context = 0;
	uint64_t count;

	away();
	if (syscall(SYS_io_setup, 8, &context))
		skip("io_setup: %s", strerror(errno));
	fill(memory, 2 * 4096, 1);
	for (int i = 0; i < 2; i++)
		blocks[i] = (struct iocb){
			.aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = file, .aio_offset = i * 4096,
			.aio_buf = (uintptr_t)(memory + i * 4096), .aio_nbytes = 4096,
			.aio_data = 100 + i, .aio_flags = IOCB_FLAG_RESFD, .aio_resfd = told,
		};
	EQUAL(syscall(SYS_io_submit, context, 2, list), 2);
	EQUAL(syscall(SYS_io_getevents, context, 2, 3, events, NULL), 2);
	for (int i = 0; i < 2; i++) {
		EQUAL(events[i].res, 4096);
		CHECK(events[i].data == 100 || events[i].data == 101);
	}
	EQUAL(read(told, &count, 8), 8);
	EQUAL(count, 2);
	blocks[2] = (struct iocb){ .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = file,
				   .aio_buf = (uintptr_t)(memory + 4 * 4096), .aio_nbytes = 8192 };
	EQUAL(syscall(SYS_io_submit, context, 1, list + 2), 1);
	EQUAL(syscall(SYS_io_pgetevents, context, 1, 3, events, NULL, NULL), 1);
	EQUAL(events[0].res, 8192);
	EQUAL(differs(memory + 4 * 4096, 8192, 1), -1);
	blocks[0].aio_fildes = -1;
	EQUAL(syscall(SYS_io_submit, context, 1, list), -1);
	EQUAL(errno, EBADF);
	EQUAL(syscall(SYS_io_cancel, context, &blocks[2], events), -1);
	EQUAL(errno, EINVAL);
	DO(syscall(SYS_io_destroy, context));
	EQUAL(syscall(SYS_io_submit, context, 1, list), -1);
	EQUAL(errno, EINVAL);
}

struct ring {
	int fd;
	struct io_uring_params params;
	char *queues;
	struct io_uring_sqe *entries;
};

static void ring_open(struct ring *ring)
{
	memset(ring, 0, sizeof(*ring));
	ring->fd = syscall(SYS_io_uring_setup, 8, &ring->params);
	if (ring->fd < 0)
		skip("io_uring_setup: %s", strerror(errno));
	ring->queues = DO(mmap(NULL, ring->params.cq_off.cqes + ring->params.cq_entries *
			       sizeof(struct io_uring_cqe), RW, MAP_SHARED, ring->fd,
			       IORING_OFF_SQ_RING));
	ring->entries = DO(mmap(NULL, ring->params.sq_entries * sizeof(*ring->entries), RW,
				MAP_SHARED, ring->fd, IORING_OFF_SQES));
}

static volatile unsigned int *ring_word(struct ring *ring, unsigned int offset)
{
	return (volatile unsigned int *)(ring->queues + offset);
}

static void ring_put(struct ring *ring, struct io_uring_sqe entry)
{
	volatile unsigned int *tail = ring_word(ring, ring->params.sq_off.tail);
	unsigned int slot = *tail & *ring_word(ring, ring->params.sq_off.ring_mask);

	ring->entries[slot] = entry;
	ring_word(ring, ring->params.sq_off.array)[slot] = slot;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
}

/* The result of the next completion, which has to be of this entry. */
static int ring_result(struct ring *ring, uint64_t id)
{
	volatile unsigned int *head = ring_word(ring, ring->params.cq_off.head);
	struct io_uring_cqe *entries = (void *)(ring->queues + ring->params.cq_off.cqes);
	struct io_uring_cqe *entry = &entries[*head & *ring_word(ring, ring->params.cq_off.ring_mask)];
	int result = entry->res;

	CHECK(*ring_word(ring, ring->params.cq_off.tail) != *head);
	EQUAL(entry->user_data, id);
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

/* A chain of operations on a registered file and buffer, and one that fails. */
static void ring_of_operations(void)
{
	struct iovec registered = { map_pages(2, RW), 8192 };
	char *memory = registered.iov_base, *other = map_pages(1, RW);
	struct __kernel_timespec soon = { .tv_nsec = 20000000 };
	int file = scratch();
	struct ring ring;

	away();
	ring_open(&ring);
	DO(syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS, &registered, 1));
	DO(syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_FILES, &file, 1));
	for (int round = 0; round < 3; round++) {
		fill(memory, 8192, round);
		ring_put(&ring, (struct io_uring_sqe){
			.opcode = IORING_OP_WRITE_FIXED, .flags = IOSQE_FIXED_FILE | IOSQE_IO_LINK,
			.addr = (uintptr_t)memory, .len = 8192, .user_data = 1 });
		ring_put(&ring, (struct io_uring_sqe){
			.opcode = IORING_OP_READ, .flags = IOSQE_FIXED_FILE, .off = 4096,
			.addr = (uintptr_t)other, .len = 4096, .user_data = 2 });
		EQUAL(syscall(SYS_io_uring_enter, ring.fd, 2, 2, IORING_ENTER_GETEVENTS, NULL, 0), 2);
		EQUAL(ring_result(&ring, 1), 8192);
		EQUAL(ring_result(&ring, 2), 4096);
		CHECK(!memcmp(memory + 4096, other, 4096));
		/* The pages that the ring has a hold of are written to all the same. */
		memory[4096] ^= 1;
		CHECK(memcmp(memory + 4096, other, 4096));
		if (round == 1)
			home();
		else
			away();
	}
	ring_put(&ring, (struct io_uring_sqe){ .opcode = IORING_OP_TIMEOUT, .addr = (uintptr_t)&soon,
					       .len = 1, .off = 0, .user_data = 3 });
	EQUAL(syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), 1);
	EQUAL(ring_result(&ring, 3), -ETIME);
	ring_put(&ring, (struct io_uring_sqe){ .opcode = IORING_OP_READ, .fd = 999, .user_data = 4 });
	EQUAL(syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), 1);
	EQUAL(ring_result(&ring, 4), -EBADF);
	DO(syscall(SYS_io_uring_register, ring.fd, IORING_UNREGISTER_BUFFERS, NULL, 0));
}

/* A thread of the kernel's takes what is put into the ring; nobody calls it. */
static void ring_that_is_polled(void)
{
	char *memory = map_pages(1, RW);
	struct ring ring = { .params = { .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 2000 } };
	int file = scratch();
	uint64_t end;

	EQUAL(pwrite(file, "polled", 6, 0), 6);
	away();
	ring.fd = syscall(SYS_io_uring_setup, 8, &ring.params);
	if (ring.fd < 0)
		skip("io_uring_setup: %s", strerror(errno));
	ring.queues = DO(mmap(NULL, ring.params.cq_off.cqes + ring.params.cq_entries *
			      sizeof(struct io_uring_cqe), RW, MAP_SHARED, ring.fd, IORING_OFF_SQ_RING));
	ring.entries = DO(mmap(NULL, ring.params.sq_entries * sizeof(*ring.entries), RW, MAP_SHARED,
			       ring.fd, IORING_OFF_SQES));
	memory[10] = 'k';
	ring_put(&ring, (struct io_uring_sqe){ .opcode = IORING_OP_READ, .fd = file, .len = 6,
					       .addr = (uintptr_t)memory, .user_data = 9 });
	if (*ring_word(&ring, ring.params.sq_off.flags) & IORING_SQ_NEED_WAKEUP)
		syscall(SYS_io_uring_enter, ring.fd, 1, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0);
	end = now_ns() + 60000000000ull;
	while (*ring_word(&ring, ring.params.cq_off.tail) == 0 && now_ns() < end)
		;
	EQUAL(ring_result(&ring, 9), 6);
	CHECK(!memcmp(memory, "polled", 6));
	EQUAL(memory[10], 'k');
}

/* A disk of memory: transfers that pass the page cache by. */
static void past_the_cache(void)
{
	char *memory = map_pages(9, RW);
	struct iovec parts[2] = { { memory + 512, 512 }, { memory + 6 * 4096 + 1024, 1536 } };
	uint64_t copy[256];
	int disk;

	if (access("/dev/nullb0", W_OK) &&
	    system("modprobe null_blk nr_devices=1 gb=1 memory_backed=1 queue_mode=2 irqmode=2 "
		   "completion_nsec=100000000 2>/dev/null"))
		skip("no null_blk");
	disk = open("/dev/nullb0", O_RDWR | O_DIRECT);
	if (disk < 0)
		skip("/dev/nullb0: %s", strerror(errno));
	away();
	fill(memory, 4 * 4096, 3);
	EQUAL(pwrite(disk, memory, 4 * 4096, 8192), 4 * 4096);
	EQUAL(pread(disk, memory + 4 * 4096, 4 * 4096, 8192), 4 * 4096);
	EQUAL(differs(memory + 4 * 4096, 4 * 4096, 3), -1);
	home();
	EQUAL(differs(memory + 4 * 4096, 4 * 4096, 3), -1);
	away();
	EQUAL(pread(disk, memory + 1, 4096, 0), -1);
	EQUAL(errno, EINVAL);
	EQUAL(preadv(disk, parts, 2, 8192), 2048);
	memcpy(copy, memory + 512, 512);
	memcpy((char *)copy + 512, memory + 6 * 4096 + 1024, 1536);
	EQUAL(differs(copy, 2048, 3), -1);
}

/* Scattered reads and writes at offsets, with flags. */
static void vectors_with_flags(void)
{
	char one[8] = "", two[8] = "";
	struct iovec out[2] = { { "left", 4 }, { "right", 5 } }, in[2] = { { one, 3 }, { two, 8 } };
	int file = scratch();

	away();
	EQUAL(pwritev(file, out, 2, 10), 9);
	EQUAL(pwritev2(file, out, 1, -1, RWF_APPEND), 4);
	EQUAL(lseek(file, 0, SEEK_CUR), 23);
	EQUAL(preadv(file, in, 2, 10), 11);
	CHECK(!memcmp(one, "lef", 3) && !memcmp(two, "trightle", 8));
	EQUAL(preadv2(file, in, 1, 19, 0), 3);
	EQUAL(preadv2(file, in, 1, 0, 0x8000), -1);
	EQUAL(errno, EOPNOTSUPP);
	DO(lseek(file, 21, SEEK_SET));
	home();
	EQUAL(readv(file, in, 1), 2);
	CHECK(!memcmp(one, "ft", 2));
	away();
	DO(lseek(file, 10, SEEK_SET));
	EQUAL(readv(file, in, 2), 11);
	CHECK(!memcmp(one, "lef", 3) && !memcmp(two, "trightle", 8));
}

static void system_of_files(void)
{
	struct statfs about;
	int file, copy;
	char handle[200];
	struct file_handle *of = (void *)handle;
	int mount;

	own_directory();
	write_text("file", "text");
	away();
	DO(statfs(".", &about));
	CHECK(about.f_bsize > 0 && about.f_blocks >= about.f_bfree);
	file = DO(open("file", O_RDONLY));
	of->handle_bytes = 128;
	if (name_to_handle_at(AT_FDCWD, "file", of, &mount, 0)) {
		EQUAL(errno, EOPNOTSUPP);
		return;
	}
	copy = open_by_handle_at(AT_FDCWD, of, O_RDONLY);
	if (copy >= 0) {
		struct stat one, two;

		DO(fstat(file, &one));
		DO(fstat(copy, &two));
		EQUAL(one.st_ino, two.st_ino);
	} else {
		CHECK(errno == EPERM || errno == ESTALE);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(directory_entries), CASE(names_and_links), CASE(attributes_and_times), CASE(holes),
		CASE(sealed_memory), CASE(asynchronous_files), CASE(ring_of_operations),
		CASE(ring_that_is_polled), CASE(past_the_cache), CASE(vectors_with_flags),
		CASE(system_of_files),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

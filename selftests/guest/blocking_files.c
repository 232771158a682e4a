// SPDX-License-Identifier: GPL-2.0
/*
 * As blocking.c, for calls about files whose file system is a program (FUSE), which is told when
 * whoever waits for it is woken, and then gives up; and for reads that are submitted (AIO).
 */
#include "harness.h"
#include "blocking.h"
#include "fuse.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

static struct fuse_mount fuse;
static int file;

static void go_on(void *unused)
{
	(void)unused;
	fuse_go_on(&fuse);
}

/* A call that the server answers after EVENT_MS, and that is moved meanwhile. */
static void slowly(void (*call)(void))
{
	pid_t helper;

	fuse_mount(&fuse, 1);
	file = DO(open(fuse.file, O_RDWR));
	helper = event(go_on, NULL);
	call();
	gone_in_the_end();
	reap(helper);
	close(file);
	fuse_unmount(&fuse);
}

/* ---- attributes ---- */

static void is_list(ssize_t length, const char *list)
{
	EQUAL(length, sizeof("user.x"));
	CHECK(!strcmp(list, "user.x"));
}

static void list_by_name(void)
{
	char list[100] = "";

	during(MOVES);
	is_list(listxattr(fuse.file, list, sizeof(list)), list);
}

static void list_of_a_link(void)
{
	char list[100] = "";

	during(MOVES);
	is_list(llistxattr(fuse.file, list, sizeof(list)), list);
}

static void list_of_a_descriptor(void)
{
	char list[100] = "";

	during(MOVES);
	is_list(flistxattr(file, list, sizeof(list)), list);
}

static void attributes_are_listed(void)
{
	slowly(list_by_name);
	slowly(list_of_a_link);
	slowly(list_of_a_descriptor);
}

static void remove_by_name(void)
{
	during(MOVES);
	EQUAL(removexattr(fuse.file, "user.x"), 0);
}

static void remove_of_a_link(void)
{
	during(MOVES);
	EQUAL(lremovexattr(fuse.file, "user.x"), 0);
}

static void remove_of_a_descriptor(void)
{
	during(MOVES);
	EQUAL(fremovexattr(file, "user.x"), 0);
}

static void attribute_is_removed(void)
{
	slowly(remove_by_name);
	slowly(remove_of_a_link);
	slowly(remove_of_a_descriptor);
}

/* ---- content ---- */

static void look_for_data(void)
{
	during(MOVES);
	EQUAL(lseek(file, 5, SEEK_DATA), 5);
}

static void data_is_looked_for(void)
{
	slowly(look_for_data);
}

static void write_back(void)
{
	void *memory = DO(mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0));

	during(MOVES);
	EQUAL(msync(memory, 4096, MS_SYNC), 0);
	DO(munmap(memory, 4096));
}

static void mapping_is_written_back(void)
{
	slowly(write_back);
}

/* ---- locks ---- */

static void look_for_lock(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 1 };

	during(MOVES);
	EQUAL(fcntl(file, F_GETLK, &lock), 0);
	EQUAL(lock.l_type, F_UNLCK);
}

static void lock_is_looked_for(void)
{
	slowly(look_for_lock);
}

/* ---- reads that are submitted ---- */

static void write_x(void *fd)
{
	if (write(*(int *)fd, "x", 1) != 1)
		_exit(1);
}

/* An empty pipe has whoever submits wait. */
static void read_is_submitted(void)
{
	aio_context_t context = 0;
	struct io_event done = { };
	char byte = 0;
	struct iocb block = {
		.aio_lio_opcode = IOCB_CMD_PREAD, .aio_buf = (uintptr_t)&byte, .aio_nbytes = 1,
	}, *list = &block;
	pid_t helper;
	int ends[2];

	if (syscall(SYS_io_setup, 4, &context))
		skip("io_setup: %s", strerror(errno));
	DO(pipe(ends));
	block.aio_fildes = ends[0];
	helper = event(write_x, &ends[1]);
	during(MOVES);
	EQUAL(syscall(SYS_io_submit, context, 1, &list), 1);
	gone_in_the_end();
	EQUAL(syscall(SYS_io_getevents, context, 1, 1, &done, NULL), 1);
	EQUAL(done.res, 1);
	EQUAL(byte, 'x');
	reap(helper);
	DO(syscall(SYS_io_destroy, context));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(attributes_are_listed), CASE(attribute_is_removed), CASE(data_is_looked_for),
		CASE(mapping_is_written_back), CASE(lock_is_looked_for), CASE(read_is_submitted),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

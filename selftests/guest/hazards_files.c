// SPDX-License-Identifier: GPL-2.0
/* Known ways to hang: files that answer late, and who waits for them with what others need. */
#include "harness.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* A file system of one file, whose content does not come before it is told to. */
struct server {
	int device;
	int asked[2];		/* somebody reads the file */
	int told[2];
	pid_t pid;
};

enum { CONTENT_MS = 20000 };	/* it comes by then in any case */

static struct fuse_attr attributes_of(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node, .size = 4096, .blocks = 8, .nlink = 1, .blksize = 4096,
		.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644,
	};
}

static void reply(int device, uint64_t unique, int error, void *body, size_t bytes)
{
	struct fuse_out_header header = {
		.len = sizeof(header) + bytes, .error = error, .unique = unique,
	};
	struct iovec both[] = { { &header, sizeof(header) }, { body, bytes } };

	/* Whoever asked may have been killed meanwhile. */
	if (writev(device, both, 2) < 0 && errno != ENOENT)
		_exit(1);
}

static void serve_read(struct server *server, uint64_t unique)
{
	struct pollfd told = { server->told[0], POLLIN, 0 };
	char content[4096];

	memset(content, 's', sizeof(content));
	if (write(server->asked[1], "r", 1) != 1)
		_exit(1);
	poll(&told, 1, CONTENT_MS * slower());
	reply(server->device, unique, 0, content, sizeof(content));
}

static void serve_one(struct server *server, const struct fuse_in_header *in)
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_write = 4096,
	};
	struct fuse_entry_out entry = {
		.nodeid = 2, .entry_valid = 1000, .attr_valid = 1000, .attr = attributes_of(2),
	};
	struct fuse_attr_out attributes = { .attr_valid = 1000, .attr = attributes_of(in->nodeid) };
	struct fuse_open_out open = { .fh = 1 };

	switch (in->opcode) {
	case FUSE_INIT:
		return reply(server->device, in->unique, 0, &init, sizeof(init));
	case FUSE_LOOKUP:
		return reply(server->device, in->unique, 0, &entry, sizeof(entry));
	case FUSE_GETATTR:
		return reply(server->device, in->unique, 0, &attributes, sizeof(attributes));
	case FUSE_OPEN:
		return reply(server->device, in->unique, 0, &open, sizeof(open));
	case FUSE_READ:
		return serve_read(server, in->unique);
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return;
	default:
		reply(server->device, in->unique, -ENOSYS, NULL, 0);
	}
}

static void serve(struct server *server)
{
	static char request[FUSE_MIN_READ_BUFFER + 65536];

	/* Without it all who wait for it get an error. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		if (read(server->device, request, sizeof(request)) > 0)
			serve_one(server, (void *)request);
		else if (errno == ENODEV)
			_exit(0);	/* unmounted */
	}
}

static void server_start(struct server *server, const char *place)
{
	char options[100];

	need_root();
	if (access("/dev/fuse", W_OK) && system("modprobe fuse 2>/dev/null"))
		skip("no fuse");
	server->device = open("/dev/fuse", O_RDWR);
	if (server->device < 0)
		skip("/dev/fuse: %s", strerror(errno));
	DO(pipe(server->asked));
	DO(pipe(server->told));
	DO(mkdir(place, 0755));
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0",
		 server->device);
	DO(mount("late", place, "fuse", MS_NOSUID | MS_NODEV, options));
	server->pid = DO(fork());
	if (!server->pid)
		serve(server);
	close(server->device);
}

static const volatile char *map_file(const char *path)
{
	int file = DO(open(path, O_RDONLY));
	const volatile char *memory = DO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0));

	close(file);
	return memory;
}

/* ---- another process opens a file while the memory of one who reads it is locked ---- */

static struct server late;
static const volatile char *ordinary, *slow;
static int begin[2];

/* Home looks the slow page up with the memory locked for reading. */
static void *touch(void *unused)
{
	go(2);
	EQUAL(ordinary[0], 'a');
	EQUAL(slow[0], 's');
	EQUAL(ordinary[0], 'b');
	return unused;
}

/* ... and this wants it for writing, so that nobody gets it to read any more. */
static void *change(void *unused)
{
	char byte;

	EQUAL(read(begin[0], &byte, 1), 1);
	DO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	return unused;
}

/* How long it takes to open the ordinary file, ms. */
static int64_t open_ordinary(void *path)
{
	uint64_t start;
	char byte;
	int file;

	EQUAL(read(late.asked[0], &byte, 1), 1);
	EQUAL(write(begin[1], "m", 1), 1);
	sleep_ms(500);
	start = now_ns();
	file = DO(open(path, O_WRONLY));
	start = now_ns() - start;
	EQUAL(pwrite(file, "b", 1, 0), 1);
	close(file);
	EQUAL(write(late.told[1], "r", 1), 1);
	return start / 1000000;
}

static void open_while_memory_is_locked(void)
{
	pthread_t toucher, changer;
	struct partner opener;

	own_directory();
	write_text("ordinary", "a");
	server_start(&late, "late");
	DO(pipe(begin));
	partner_start(&opener, open_ordinary, "ordinary");
	ordinary = map_file("ordinary");
	slow = map_file("late/file");
	EQUAL(pthread_create(&changer, NULL, change, NULL), 0);
	EQUAL(pthread_create(&toucher, NULL, touch, NULL), 0);
	CHECK(partner_ask(&opener) < 5000 * slower());
	pthread_join(toucher, NULL);
	pthread_join(changer, NULL);
	partner_end(&opener);
	DO(munmap((void *)slow, 4096));
	DO(umount("late"));
	reap(late.pid);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "open_while_memory_is_locked", open_while_memory_is_locked, 60 },
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

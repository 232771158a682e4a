// SPDX-License-Identifier: GPL-2.0
#include "fuse.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { FILE_NODE = 2, WAITING_MAX = 1024, BUFFER = 128 << 10 };

#define LISTED "user.x"

struct request {
	uint64_t unique, offset;
	uint32_t opcode, size;
};

static struct {
	int device, asked, go;
	uint64_t bytes;
	bool open;		/* nobody has to wait */
	unsigned int waiting;
	struct request requests[WAITING_MAX];
} server;

static void answer(uint64_t unique, int error, const void *data, size_t bytes)
{
	struct fuse_out_header header = { .len = sizeof(header) + bytes, .error = -error,
					  .unique = unique };
	struct iovec parts[] = { { &header, sizeof(header) }, { (void *)data, bytes } };

	/* Who has asked may be gone. */
	if (writev(server.device, parts, bytes ? 2 : 1) < 0 && errno != ENOENT)
		_exit(1);
}

static struct fuse_attr attributes(uint64_t node)
{
	bool file = node == FILE_NODE;

	return (struct fuse_attr){ .ino = node, .size = file ? server.bytes : 0, .nlink = 1,
				   .mode = file ? S_IFREG | 0444 : S_IFDIR | 0555,
				   .blksize = 4096 };
}

static void read_file(uint64_t unique, uint64_t offset, uint32_t size)
{
	static char data[BUFFER];

	size = size > sizeof(data) ? sizeof(data) : size;
	if (offset >= server.bytes)
		size = 0;
	else if (size > server.bytes - offset)
		size = server.bytes - offset;
	memset(data, 0, size);
	for (uint64_t at = 0; at + sizeof(at) <= size; at += 4096) {
		uint64_t number = (offset + at) / 4096 + 1;

		memcpy(data + at, &number, sizeof(number));
	}
	answer(unique, 0, data, size);
}

static void list_attributes(uint64_t unique, uint32_t size)
{
	struct fuse_getxattr_out length = { .size = sizeof(LISTED) };

	if (size)
		answer(unique, size < sizeof(LISTED) ? ERANGE : 0, LISTED,
		       size < sizeof(LISTED) ? 0 : sizeof(LISTED));
	else
		answer(unique, 0, &length, sizeof(length));
}

static void respond(const struct request *request)
{
	struct fuse_lseek_out found = { .offset = request->offset };
	struct fuse_lk_out lock = { .lk.type = F_UNLCK };

	switch (request->opcode) {
	case FUSE_READ:
		read_file(request->unique, request->offset, request->size);
		break;
	case FUSE_LISTXATTR:
		list_attributes(request->unique, request->size);
		break;
	case FUSE_LSEEK:
		answer(request->unique, 0, &found, sizeof(found));
		break;
	case FUSE_GETLK:
		answer(request->unique, 0, &lock, sizeof(lock));
		break;
	default:
		answer(request->unique, 0, NULL, 0);
	}
}

static void respond_later(struct request request)
{
	if (server.open || server.waiting == WAITING_MAX) {
		respond(&request);
		return;
	}
	server.requests[server.waiting++] = request;
	if (write(server.asked, "r", 1) != 1)
		_exit(1);
}

/* Whoever waits for a page is not told of it: that comes in any case. */
static void interrupt(uint64_t unique)
{
	for (unsigned int i = 0; i < server.waiting; i++) {
		struct request *request = &server.requests[i];

		if (request->unique != unique || request->opcode == FUSE_READ)
			continue;
		answer(unique, EINTR, NULL, 0);
		*request = server.requests[--server.waiting];
		return;
	}
}

/* What these ask for comes when it is let go on. */
static bool may_wait(const struct fuse_in_header *header, const void *in)
{
	struct request request = { .unique = header->unique, .opcode = header->opcode };
	const struct fuse_getxattr_in *list = in;
	const struct fuse_lseek_in *seek = in;
	const struct fuse_read_in *read = in;

	switch (header->opcode) {
	case FUSE_READ:
		request.offset = read->offset;
		request.size = read->size;
		break;
	case FUSE_LISTXATTR:
		request.size = list->size;
		break;
	case FUSE_LSEEK:
		request.offset = seek->offset;
		break;
	case FUSE_REMOVEXATTR:
	case FUSE_FSYNC:
	case FUSE_GETLK:
		break;
	default:
		return false;
	}
	respond_later(request);
	return true;
}

/* Pages are read ahead, one by one: who waits for one can be killed. */
static void serve_request(const struct fuse_in_header *header, const void *in)
{
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION, .minor = 31,
				      .max_write = 4096, .max_pages = 1, .max_readahead = 4096,
				      .flags = FUSE_MAX_PAGES | FUSE_ASYNC_READ |
					       FUSE_POSIX_LOCKS };
	struct fuse_entry_out entry = { .nodeid = FILE_NODE, .attr_valid = 1000,
					.entry_valid = 1000, .attr = attributes(FILE_NODE) };
	struct fuse_attr_out attr = { .attr_valid = 1000, .attr = attributes(header->nodeid) };
	struct fuse_open_out open = { .fh = 1 };

	if (may_wait(header, in))
		return;
	switch (header->opcode) {
	case FUSE_INIT:
		answer(header->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		answer(header->unique, strcmp(in, "file") ? ENOENT : 0, &entry,
		       strcmp(in, "file") ? 0 : sizeof(entry));
		break;
	case FUSE_GETATTR:
		answer(header->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		answer(header->unique, 0, &open, sizeof(open));
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		answer(header->unique, 0, NULL, 0);
		break;
	case FUSE_INTERRUPT:
		interrupt(((const struct fuse_interrupt_in *)in)->unique);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		break;
	default:
		answer(header->unique, ENOSYS, NULL, 0);
	}
}

static void let_go(void)
{
	server.open = true;
	for (unsigned int i = 0; i < server.waiting; i++)
		respond(&server.requests[i]);
	server.waiting = 0;
}

static void serve(void)
{
	static char buffer[BUFFER] __attribute__((aligned(8)));
	struct pollfd fds[] = { { .fd = server.device, .events = POLLIN },
				{ .fd = server.go, .events = POLLIN } };

	for (;;) {
		ssize_t n;

		if (poll(fds, 2, -1) < 0)
			_exit(1);
		if (fds[1].revents && !server.open) {
			char byte;

			/* Whoever has begun this is gone, or says so. */
			if (read(server.go, &byte, 1) != 1)
				_exit(0);
			let_go();
			fds[1].fd = -1;
		}
		if (!fds[0].revents)
			continue;
		n = read(server.device, buffer, sizeof(buffer));
		if (n < 0 && errno == ENODEV)
			_exit(0);
		if (n >= (ssize_t)sizeof(struct fuse_in_header))
			serve_request((void *)buffer, buffer + sizeof(struct fuse_in_header));
	}
}

void fuse_mount(struct fuse_mount *fuse, unsigned int pages)
{
	const char *directory = own_directory();
	char options[100];
	int asked[2], go[2];

	need_root();
	server.device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (server.device < 0 && !system("modprobe -q fuse"))
		server.device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (server.device < 0)
		skip("no FUSE here");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0",
		 server.device);
	DO(mkdir("mnt", 0755));
	DO(mount("radium-test", "mnt", "fuse", 0, options));
	snprintf(fuse->file, sizeof(fuse->file), "%s/mnt/file", directory);
	DO(pipe(asked));
	DO(pipe(go));
	server.asked = asked[1];
	server.go = go[0];
	server.bytes = pages * 4096ull;
	fuse->server = DO(fork());
	if (!fuse->server) {
		close(go[1]);
		serve();
	}
	close(server.device);
	close(asked[1]);
	close(go[0]);
	fuse->asked = asked[0];
	fuse->go = go[1];
}

void fuse_go_on(struct fuse_mount *fuse)
{
	EQUAL(write(fuse->go, "g", 1), 1);
}

void fuse_end(struct fuse_mount *fuse)
{
	DO(kill(fuse->server, SIGKILL));
	EQUAL(waitpid(fuse->server, NULL, 0), fuse->server);
	close(fuse->asked);
	close(fuse->go);
}

void fuse_unmount(struct fuse_mount *fuse)
{
	DO(umount2("mnt", MNT_DETACH));
	fuse_end(fuse);
}

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

static struct {
	int device, asked, go;
	uint64_t bytes;
	bool open;		/* reads are answered */
	unsigned int waiting;
	struct {
		uint64_t unique, offset;
		uint32_t size;
	} reads[WAITING_MAX];
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

static void serve_read(const struct fuse_in_header *header, const struct fuse_read_in *in)
{
	if (server.open || server.waiting == WAITING_MAX) {
		read_file(header->unique, in->offset, in->size);
		return;
	}
	server.reads[server.waiting].unique = header->unique;
	server.reads[server.waiting].offset = in->offset;
	server.reads[server.waiting++].size = in->size;
	if (write(server.asked, "r", 1) != 1)
		_exit(1);
}

static void serve_request(const struct fuse_in_header *header, const void *in)
{
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION, .minor = 31,
				      .max_write = 4096, .max_pages = 1,
				      .flags = FUSE_MAX_PAGES | FUSE_ASYNC_READ };
	struct fuse_entry_out entry = { .nodeid = FILE_NODE, .attr_valid = 1000,
					.entry_valid = 1000, .attr = attributes(FILE_NODE) };
	struct fuse_attr_out attr = { .attr_valid = 1000, .attr = attributes(header->nodeid) };
	struct fuse_open_out open = { .fh = 1 };

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
	case FUSE_READ:
		serve_read(header, in);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		answer(header->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		answer(header->unique, ENOSYS, NULL, 0);
	}
}

static void let_go(void)
{
	server.open = true;
	for (unsigned int i = 0; i < server.waiting; i++)
		read_file(server.reads[i].unique, server.reads[i].offset, server.reads[i].size);
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

void fuse_unmount(struct fuse_mount *fuse)
{
	DO(umount2("mnt", MNT_DETACH));
	DO(kill(fuse->server, SIGKILL));
	EQUAL(waitpid(fuse->server, NULL, 0), fuse->server);
}

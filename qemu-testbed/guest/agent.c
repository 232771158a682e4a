// SPDX-License-Identifier: GPL-2.0
/*
 * The port to the host: frames in, frames out, one thread, one poll loop.
 * Writes to the port block; that is safe because the host always reads, and what one
 * slow reader of a job's output can hold up is bounded by that job's credit.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "wire.h"

enum { POLL_ROOM = 512 };

static int port = -1;

static int port_open(void)
{
	static const char class[] = "/sys/class/virtio-ports";
	DIR *dir = opendir(class);
	struct dirent *entry;
	char path[512], name[64];
	int found = -1;

	while (dir && found < 0 && (entry = readdir(dir))) {
		FILE *file;

		snprintf(path, sizeof(path), "%s/%s/name", class, entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(name, sizeof(name), file)) {
			name[strcspn(name, "\n")] = '\0';
			snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
			if (!strcmp(name, WIRE_PORT))
				found = open(path, O_RDWR | O_CLOEXEC);
		}
		fclose(file);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* The port's name arrives in a message of its own, some time after the driver is loaded. */
static void port_await(void)
{
	struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };

	for (int tries = 0; tries < 1000; tries++) {
		port = port_open();
		if (port >= 0)
			return;
		nanosleep(&pause, NULL);
	}
	die("no virtio-serial port named %s", WIRE_PORT);
}

static void write_all(const void *data, size_t length)
{
	const char *at = data;

	while (length) {
		ssize_t done = write(port, at, length);

		if (done < 0 && errno != EINTR)
			die("writing to the host: %s", strerror(errno));
		if (done > 0) {
			at += done;
			length -= done;
		}
	}
}

/* One write for header and data: each write is an exit from the guest. */
void agent_send(uint32_t type, uint32_t job, const void *data, size_t length)
{
	static unsigned char frame[sizeof(struct wire_header) + WIRE_CHUNK];
	struct wire_header header = { .length = length, .job = job, .type = type };

	memcpy(frame, &header, sizeof(header));
	if (length)
		memcpy(frame + sizeof(header), data, length);
	write_all(frame, sizeof(header) + length);
}

static void read_all(void *data, size_t length)
{
	char *at = data;

	while (length) {
		ssize_t done = read(port, at, length);

		if (!done)
			die("the host has closed the port");
		if (done < 0 && errno != EINTR)
			die("reading from the host: %s", strerror(errno));
		if (done > 0) {
			at += done;
			length -= done;
		}
	}
}

static uint32_t u32_of(const unsigned char *data, size_t length)
{
	uint32_t value = 0;

	if (length == sizeof(value))
		memcpy(&value, data, sizeof(value));
	return value;
}

static void frame_receive(void)
{
	struct wire_header header;
	unsigned char *data;

	read_all(&header, sizeof(header));
	if (header.length > WIRE_MAX_LENGTH)
		die("a frame of %u bytes from the host", header.length);
	data = malloc(header.length + 1);
	if (!data)
		die("out of memory");
	read_all(data, header.length);

	switch (header.type) {
	case WIRE_RUN:
		job_run(header.job, data, header.length);
		break;
	case WIRE_STDIN:
		job_stdin(header.job, data, header.length);
		break;
	case WIRE_CREDIT:
		job_credit(header.job, u32_of(data, header.length));
		break;
	case WIRE_KILL:
		job_kill(header.job);
		break;
	case WIRE_PING:
		agent_send(WIRE_PONG, header.job, NULL, 0);
		break;
	default:
		die("frame type %u from the host", header.type);
	}
	free(data);
}

void agent_loop(void)
{
	static struct pollfd fds[POLL_ROOM];
	sigset_t mask;
	int children;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	children = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (children < 0)
		die("signalfd: %s", strerror(errno));

	port_await();
	agent_send(WIRE_HELLO, 0, NULL, 0);
	for (;;) {
		size_t count;

		fds[0] = (struct pollfd){ .fd = port, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = children, .events = POLLIN };
		count = jobs_poll_fill(fds + 2, POLL_ROOM - 2);
		if (poll(fds, count + 2, -1) < 0)
			continue;

		/* Output first: what a command has written precedes its exit status. */
		jobs_poll_done(fds + 2, count);
		if (fds[1].revents) {
			struct signalfd_siginfo info;

			while (read(children, &info, sizeof(info)) > 0)
				;
			jobs_reap();
		}
		if (fds[0].revents)
			frame_receive();
	}
}

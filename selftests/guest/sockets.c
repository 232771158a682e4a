// SPDX-License-Identifier: GPL-2.0
/* Local sockets of a process that moves: whoever is at the other end notices nothing. */
#include "caught.h"
#include "blocking.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

static int pair[2];

static void make_pair(int type)
{
	DO(socketpair(AF_UNIX, type, 0, pair));
}

/* Sends a descriptor and the credentials with one byte. */
static void send_descriptor(int through, int descriptor)
{
	union { struct cmsghdr header; char space[CMSG_SPACE(sizeof(int))]; } control = { 0 };
	struct iovec part = { "d", 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
					   .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(descriptor));
	EQUAL(sendmsg(through, &message, 0), 1);
}

static int receive_descriptor(int through)
{
	union { struct cmsghdr header; char space[CMSG_SPACE(sizeof(int))]; } control = { 0 };
	char byte;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int descriptor;

	EQUAL(recvmsg(through, &message, MSG_CMSG_CLOEXEC), 1);
	EQUAL(byte, 'd');
	EQUAL(control.header.cmsg_type, SCM_RIGHTS);
	EQUAL(control.header.cmsg_len, CMSG_LEN(sizeof(int)));
	EQUAL(message.msg_flags & MSG_CTRUNC, 0);
	memcpy(&descriptor, CMSG_DATA(&control.header), sizeof(descriptor));
	EQUAL(fcntl(descriptor, F_GETFD), FD_CLOEXEC);
	return descriptor;
}

/* There and back: the same open file, with its offset. */
static void descriptor_passing(void)
{
	int file = DO(open("/tmp", O_TMPFILE | O_RDWR, 0600)), back;
	char text[4] = "";
	pid_t child;

	make_pair(SOCK_STREAM);
	child = DO(fork());
	if (!child) {
		int got = receive_descriptor(pair[1]);

		EQUAL(write(got, "child", 5), 5);
		send_descriptor(pair[1], got);
		_exit(0);
	}
	away();
	EQUAL(write(file, "first ", 6), 6);
	send_descriptor(pair[0], file);
	back = receive_descriptor(pair[0]);
	CHECK(back != file);
	EQUAL(lseek(back, 0, SEEK_CUR), 11);
	DO(close(file));
	EQUAL(pread(back, text, 3, 8), 3);
	CHECK(!memcmp(text, "ild", 3));
	home();
	reap(child);
}

/* A connection on its way through another, the last reference to it: closed, it ends. */
static void descriptor_in_flight(void)
{
	int inner[2];
	char byte;

	make_pair(SOCK_DGRAM);
	DO(pipe(inner));
	away();
	send_descriptor(pair[0], inner[1]);
	DO(close(inner[1]));
	EQUAL(fcntl(inner[0], F_SETFL, O_NONBLOCK), 0);
	EQUAL(read(inner[0], &byte, 1), -1);
	EQUAL(errno, EAGAIN);
	DO(close(pair[1]));
	EQUAL(poll(&(struct pollfd){ .fd = inner[0], .events = POLLIN }, 1, 20000), 1);
	EQUAL(read(inner[0], &byte, 1), 0);
}

static void peer_credentials(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = DO(socket(AF_UNIX, SOCK_STREAM, 0)), connection;
	struct ucred peer = { 0 };
	socklen_t length = sizeof(peer), size;
	pid_t child;
	char byte;

	size = offsetof(struct sockaddr_un, sun_path) + 1 +
		sprintf(address.sun_path + 1, "radium-selftest-%d", getpid());
	away();
	DO(bind(listener, (void *)&address, size));
	DO(listen(listener, 1));
	child = DO(fork());
	if (!child) {
		int mine = DO(socket(AF_UNIX, SOCK_STREAM, 0));

		away();
		DO(connect(mine, (void *)&address, size));
		DO(getsockopt(mine, SOL_SOCKET, SO_PEERCRED, &peer, &length));
		EQUAL(peer.pid, getppid());
		EQUAL(write(mine, "c", 1), 1);
		EQUAL(read(mine, &byte, 1), 0);
		_exit(0);
	}
	away();
	connection = DO(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	DO(getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length));
	EQUAL(peer.pid, child);
	EQUAL(peer.uid, getuid());
	EQUAL(peer.gid, getgid());
	EQUAL(read(connection, &byte, 1), 1);
	DO(close(connection));
	reap(child);
}

/* The sender's own, put there by the kernel; lies are refused. */
static void message_credentials(void)
{
	union { struct cmsghdr header; char space[CMSG_SPACE(sizeof(struct ucred))]; } control;
	char byte = 'x';
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control };
	struct ucred mine = { .pid = 1, .uid = getuid(), .gid = getgid() };
	int on = 1;

	make_pair(SOCK_SEQPACKET);
	DO(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	away();
	EQUAL(send(pair[0], "x", 1, 0), 1);
	message.msg_controllen = sizeof(control);
	EQUAL(recvmsg(pair[1], &message, 0), 1);
	EQUAL(control.header.cmsg_type, SCM_CREDENTIALS);
	memcpy(&mine, CMSG_DATA(&control.header), sizeof(mine));
	EQUAL(mine.pid, getpid());
	EQUAL(mine.uid, getuid());
	DO(setgid(65534));
	DO(setuid(65534));
	mine.uid = 0;
	memcpy(CMSG_DATA(&control.header), &mine, sizeof(mine));
	EQUAL(sendmsg(pair[0], &message, 0), -1);
	EQUAL(errno, EPERM);
}

/* Borders between messages, what is cut off, and looking without taking. */
static void message_borders(void)
{
	char text[8];

	make_pair(SOCK_SEQPACKET);
	away();
	EQUAL(send(pair[0], "abcd", 4, MSG_EOR), 4);
	EQUAL(send(pair[0], "efghij", 6, 0), 6);
	EQUAL(recv(pair[1], text, 8, MSG_PEEK), 4);
	EQUAL(recv(pair[1], text, 8, 0), 4);
	CHECK(!memcmp(text, "abcd", 4));
	home();
	EQUAL(recv(pair[1], text, 3, MSG_TRUNC), 6);
	CHECK(!memcmp(text, "efg", 3));
	away();
	EQUAL(recv(pair[1], text, 8, MSG_DONTWAIT), -1);
	EQUAL(errno, EAGAIN);
	DO(close(pair[0]));
	EQUAL(recv(pair[1], text, 8, 0), 0);
	EQUAL(send(pair[1], "x", 1, MSG_NOSIGNAL), -1);
	EQUAL(errno, EPIPE);
}

/* A signal for each change of a socket, with the descriptor and what it is about. */
static void signal_driven(void)
{
	make_pair(SOCK_STREAM);
	handle(SIGRTMIN + 3);
	DO(fcntl(pair[0], F_SETOWN, getpid()));
	DO(fcntl(pair[0], F_SETSIG, SIGRTMIN + 3));
	away();
	DO(fcntl(pair[0], F_SETFL, O_ASYNC | O_NONBLOCK));
	EQUAL(send(pair[1], "x", 1, 0), 1);
	await_signal(SIGRTMIN + 3);
	EQUAL(caught_info.si_fd, pair[0]);
	CHECK(caught_info.si_band & POLLIN);
	EQUAL(fcntl(pair[0], F_GETOWN), getpid());
	EQUAL(fcntl(pair[0], F_GETSIG), SIGRTMIN + 3);
}

/* What it may wait for in a call, it waits for as at home. */
static void a_moment(void *fd)
{
	if (send(*(int *)fd, "0123456789", 10, 0) != 10)
		_exit(1);
}

static void waiting_for_messages(void)
{
	char text[10];
	struct iovec part = { text, 10 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct mmsghdr two[2] = { { .msg_hdr = message }, { .msg_hdr = message } };
	struct timespec limit = { 0, 300000000 };
	pid_t helper;

	make_pair(SOCK_DGRAM);
	away();
	helper = later(100, a_moment, &pair[1]);
	EQUAL(recvmsg(pair[0], &message, 0), 10);
	CHECK(!memcmp(text, "0123456789", 10));
	reap(helper);
	away();
	helper = later(100, a_moment, &pair[1]);
	/* The limit is looked at after each message only. */
	during("20 a 20 h 20 a");
	EQUAL(recvmmsg(pair[0], two, 2, MSG_WAITFORONE, &limit), 1);
	EQUAL(two[0].msg_len, 10);
	gone_in_the_end();
	reap(helper);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(descriptor_passing), CASE(descriptor_in_flight), CASE(peer_credentials),
		CASE(message_credentials), CASE(message_borders), CASE(signal_driven),
		CASE(waiting_for_messages),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/* Connections of a process that moves, by TCP. */
#include "caught.h"
#include "sockets.h"

#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* A child that sends back what it gets, and at the end how much it was. */
static pid_t echo(int listener)
{
	pid_t pid = DO(fork());
	static char text[3000];
	uint64_t total = 0;
	ssize_t got;
	int fd;

	if (pid)
		return pid;
	fd = DO(accept(listener, NULL, NULL));
	while ((got = read(fd, text, sizeof(text))) > 0) {
		EQUAL(write(fd, text, got), got);
		total += got;
	}
	EQUAL(got, 0);
	EQUAL(write(fd, &total, sizeof(total)), sizeof(total));
	_exit(0);
}

static void receive_all(int fd, void *to, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t got = DO(recv(fd, (char *)to + done, bytes - done, 0));

		CHECK(got > 0);
		done += got;
	}
}

/* An established connection, moved between and in the midst of messages. */
static void tcp_established(void)
{
	struct sockaddr_in address, name;
	int listener = bound(SOCK_STREAM, &address), fd;
	static char out[8192], in[8192];
	socklen_t length = sizeof(name);
	struct tcp_info info;
	uint64_t total;
	pid_t peer;

	DO(listen(listener, 1));
	peer = echo(listener);
	fd = DO(socket(AF_INET, SOCK_STREAM, 0));
	DO(connect(fd, (void *)&address, sizeof(address)));
	for (int round = 0; round < 8; round++) {
		fill(out, sizeof(out), round);
		if (round % 4 == 0)
			away();
		EQUAL(send(fd, out, sizeof(out), 0), sizeof(out));
		if (round % 4 == 2)
			home();
		receive_all(fd, in, sizeof(in));
		EQUAL(differs(in, sizeof(in), round), -1);
	}
	away();
	DO(getpeername(fd, (void *)&name, &length));
	EQUAL(name.sin_port, address.sin_port);
	length = sizeof(info);
	DO(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
	EQUAL(info.tcpi_state, TCP_ESTABLISHED);
	/* Which depends on when the machine gets to its network, too. */
	note("%u segments were sent again", info.tcpi_total_retrans);
	DO(shutdown(fd, SHUT_WR));
	receive_all(fd, &total, sizeof(total));
	EQUAL(total, 8 * sizeof(out));
	EQUAL(recv(fd, in, 1, 0), 0);
	reap(peer);
}

/* The server moves while clients come, wait in its backlog, and go. */
static void tcp_listener(void)
{
	struct sockaddr_in address;
	int listener = bound(SOCK_STREAM, &address), fd, error;
	socklen_t length = sizeof(error);
	pid_t client[4];
	char number;

	away();
	DO(listen(listener, 8));
	for (int i = 0; i < 4; i++) {
		client[i] = DO(fork());
		if (!client[i]) {
			fd = DO(socket(AF_INET, SOCK_STREAM, 0));
			DO(connect(fd, (void *)&address, sizeof(address)));
			number = i;
			EQUAL(send(fd, &number, 1, 0), 1);
			EQUAL(recv(fd, &number, 1, 0), 1);
			EQUAL(number, i + 100);
			_exit(0);
		}
	}
	for (int i = 0; i < 4; i++) {
		if (i % 2)
			home();
		else
			away();
		fd = DO(accept(listener, NULL, NULL));
		EQUAL(recv(fd, &number, 1, 0), 1);
		number += 100;
		EQUAL(send(fd, &number, 1, 0), 1);
		DO(close(fd));
	}
	for (int i = 0; i < 4; i++)
		reap(client[i]);
	away();
	DO(getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &error, &length));
	EQUAL(error, 1);
	DO(close(listener));
	fd = DO(socket(AF_INET, SOCK_STREAM, 0));
	EQUAL(connect(fd, (void *)&address, sizeof(address)), -1);
	EQUAL(errno, ECONNREFUSED);
}

static void tcp_without_waiting(void)
{
	struct sockaddr_in address;
	int listener = bound(SOCK_STREAM, &address), fd, error = -1;
	socklen_t length = sizeof(error);
	struct pollfd ready;
	char byte;

	DO(listen(listener, 1));
	away();
	EQUAL(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	EQUAL(accept(listener, NULL, NULL), -1);
	EQUAL(errno, EAGAIN);
	fd = DO(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	EQUAL(connect(fd, (void *)&address, sizeof(address)), -1);
	EQUAL(errno, EINPROGRESS);
	ready = (struct pollfd){ .fd = fd, .events = POLLOUT };
	EQUAL(poll(&ready, 1, 20000), 1);
	DO(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length));
	EQUAL(error, 0);
	EQUAL(connect(fd, (void *)&address, sizeof(address)), 0);
	EQUAL(connect(fd, (void *)&address, sizeof(address)), -1);
	EQUAL(errno, EISCONN);
	EQUAL(recv(fd, &byte, 1, 0), -1);
	EQUAL(errno, EAGAIN);
}

/* Both ends of a connection. */
static void connected(int *fd, int *peer)
{
	struct sockaddr_in address;
	int listener = bound(SOCK_STREAM, &address);

	DO(listen(listener, 1));
	*fd = DO(socket(AF_INET, SOCK_STREAM, 0));
	DO(connect(*fd, (void *)&address, sizeof(address)));
	*peer = DO(accept(listener, NULL, NULL));
}

/* A connection that is torn, not closed. */
static void tcp_reset(void)
{
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };
	int fd, peer;
	char byte;

	connected(&fd, &peer);
	away();
	DO(setsockopt(peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
	DO(close(peer));
	EQUAL(recv(fd, &byte, 1, 0), -1);
	EQUAL(errno, ECONNRESET);
	EQUAL(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	EQUAL(errno, EPIPE);
}

static void urgent_byte(void)
{
	int fd, peer, at_mark;
	char text[4];

	connected(&fd, &peer);
	handle(SIGURG);
	DO(fcntl(peer, F_SETOWN, getpid()));
	away();
	EQUAL(send(fd, "abc", 3, MSG_OOB), 3);
	await_signal(SIGURG);
	away();
	EQUAL(recv(peer, text, 4, 0), 2);
	DO(ioctl(peer, SIOCATMARK, &at_mark));
	EQUAL(at_mark, 1);
	EQUAL(recv(peer, text, 1, MSG_OOB), 1);
	EQUAL(text[0], 'c');
}

static void options_stay(void)
{
	struct timeval limit = { 3, 0 }, seen = { 0 };
	int fd, value = 0, on = 1, size = 30000;
	socklen_t length = sizeof(value);

	away();
	fd = DO(socket(AF_INET, SOCK_STREAM, 0));
	DO(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	DO(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)));
	DO(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	home();
	DO(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length));
	EQUAL(value, 1);
	DO(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, &length));
	EQUAL(value, 60000);
	away();
	length = sizeof(seen);
	DO(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &seen, &length));
	EQUAL(seen.tv_sec, 3);
	length = 1;
	EQUAL(getsockopt(fd, SOL_SOCKET, 9999, &value, &length), -1);
	EQUAL(errno, ENOPROTOOPT);
}

/* The pages are sent from where they are, and told of when they may be changed. */
static void sent_without_a_copy(void)
{
	char *memory = map_pages(4, PROT_READ | PROT_WRITE), *back = map_pages(4, PROT_READ | PROT_WRITE);
	struct { struct cmsghdr header; struct sock_extended_err error; char more[64]; } control;
	int fd, peer, on = 1;
	struct pollfd told;

	connected(&fd, &peer);
	away();
	if (setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)))
		skip("SO_ZEROCOPY: %s", strerror(errno));
	for (unsigned int round = 0; round < 3; round++) {
		struct msghdr message = { .msg_control = &control, .msg_controllen = sizeof(control) };

		fill(memory, 4 * 4096, round);
		EQUAL(send(fd, memory, 4 * 4096, MSG_ZEROCOPY), 4 * 4096);
		receive_all(peer, back, 4 * 4096);
		EQUAL(differs(back, 4 * 4096, round), -1);
		told = (struct pollfd){ .fd = fd };
		EQUAL(poll(&told, 1, 20000), 1);
		EQUAL(told.revents, POLLERR);
		EQUAL(recvmsg(fd, &message, MSG_ERRQUEUE), 0);
		EQUAL(control.error.ee_origin, SO_EE_ORIGIN_ZEROCOPY);
		EQUAL(control.error.ee_info, round);
		EQUAL(control.error.ee_data, round);
		if (round == 1)
			home();
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(tcp_established), CASE(tcp_listener), CASE(tcp_without_waiting),
		CASE(tcp_reset), CASE(urgent_byte), CASE(options_stay), CASE(sent_without_a_copy),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

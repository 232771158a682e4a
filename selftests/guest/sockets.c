// SPDX-License-Identifier: GPL-2.0
/* Sockets of a process that moves: whoever is at the other end notices nothing. */
#include "caught.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
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
	compute_ms(1);
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

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int bound(int type, struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = DO(socket(AF_INET, type | SOCK_CLOEXEC, 0));

	*address = loopback(0);
	DO(bind(fd, (void *)address, sizeof(*address)));
	DO(getsockname(fd, (void *)address, &length));
	return fd;
}

/* Somebody who sends back what he gets, and at the end how much it was. */
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
	EQUAL(info.tcpi_total_retrans, 0);
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
	EQUAL(poll(&ready, 1, 5000), 1);
	DO(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length));
	EQUAL(error, 0);
	EQUAL(connect(fd, (void *)&address, sizeof(address)), 0);
	EQUAL(connect(fd, (void *)&address, sizeof(address)), -1);
	EQUAL(errno, EISCONN);
	EQUAL(recv(fd, &byte, 1, 0), -1);
	EQUAL(errno, EAGAIN);
}

/* A connection that is torn, not closed. */
static void tcp_reset(void)
{
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };
	struct sockaddr_in address;
	int listener = bound(SOCK_STREAM, &address), fd, peer;
	char byte;

	DO(listen(listener, 1));
	fd = DO(socket(AF_INET, SOCK_STREAM, 0));
	DO(connect(fd, (void *)&address, sizeof(address)));
	peer = DO(accept(listener, NULL, NULL));
	away();
	DO(setsockopt(peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
	DO(close(peer));
	compute_ms(1);
	EQUAL(recv(fd, &byte, 1, 0), -1);
	EQUAL(errno, ECONNRESET);
	EQUAL(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	EQUAL(errno, EPIPE);
}

static void urgent_byte(void)
{
	struct sockaddr_in address;
	int listener = bound(SOCK_STREAM, &address), fd, peer, at_mark;
	char text[4];

	DO(listen(listener, 1));
	fd = DO(socket(AF_INET, SOCK_STREAM, 0));
	DO(connect(fd, (void *)&address, sizeof(address)));
	peer = DO(accept(listener, NULL, NULL));
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

static void udp_messages(void)
{
	struct sockaddr_in mine, other, from;
	int one = bound(SOCK_DGRAM, &mine), two = bound(SOCK_DGRAM, &other), on = 1;
	union { struct cmsghdr header; char space[CMSG_SPACE(sizeof(struct in_pktinfo))]; } control;
	char text[4];
	struct iovec parts[2] = { { text, 2 }, { text + 2, 2 } };
	struct msghdr message = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = parts,
				  .msg_iovlen = 2, .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	DO(setsockopt(one, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)));
	away();
	EQUAL(sendto(two, "123456", 6, 0, (void *)&mine, sizeof(mine)), 6);
	EQUAL(recvmsg(one, &message, 0), 4);
	CHECK(message.msg_flags & MSG_TRUNC && !memcmp(text, "1234", 4));
	EQUAL(from.sin_port, other.sin_port);
	EQUAL(control.header.cmsg_type, IP_PKTINFO);
	EQUAL(((struct in_pktinfo *)CMSG_DATA(&control.header))->ipi_addr.s_addr,
	      htonl(INADDR_LOOPBACK));
	EQUAL(sendto(two, "", 0, 0, (void *)&mine, sizeof(mine)), 0);
	EQUAL(recv(one, text, 4, 0), 0);
	/* Connected to nobody: told at the next call. */
	DO(close(one));
	DO(connect(two, (void *)&mine, sizeof(mine)));
	EQUAL(send(two, "x", 1, 0), 1);
	home();
	EQUAL(send(two, "x", 1, 0), -1);
	EQUAL(errno, ECONNREFUSED);
}

static void udp_many_at_once(void)
{
	enum { COUNT = 10 };
	struct sockaddr_in mine, other;
	int one = bound(SOCK_DGRAM, &mine), two = bound(SOCK_DGRAM, &other);
	char out[COUNT][20], in[COUNT][20];
	struct mmsghdr messages[COUNT] = { 0 };
	struct iovec parts[COUNT];

	DO(connect(two, (void *)&mine, sizeof(mine)));
	away();
	for (int i = 0; i < COUNT; i++) {
		parts[i] = (struct iovec){ out[i], sprintf(out[i], "message %d", i * i) };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
	}
	EQUAL(sendmmsg(two, messages, COUNT, 0), COUNT);
	for (int i = 0; i < COUNT; i++) {
		EQUAL(messages[i].msg_len, strlen(out[i]));
		parts[i] = (struct iovec){ in[i], sizeof(in[i]) };
	}
	EQUAL(recvmmsg(one, messages, COUNT, MSG_WAITFORONE, NULL), COUNT);
	for (int i = 0; i < COUNT; i++) {
		EQUAL(messages[i].msg_len, strlen(out[i]));
		CHECK(!memcmp(in[i], out[i], messages[i].msg_len));
	}
}

static uint16_t checksum(const void *data, size_t bytes)
{
	const uint16_t *word = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < bytes / 2; i++)
		sum += word[i];
	sum = (sum >> 16) + (sum & 0xffff);
	return ~(sum + (sum >> 16));
}

/* An echo request of our own making, and its answer, with the header before it. */
static void raw_socket(void)
{
	struct { struct icmphdr header; char text[8]; } request = { .text = "radium" };
	struct sockaddr_in address = loopback(0);
	char answer[200];
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);

	if (fd < 0)
		skip("raw socket: %s", strerror(errno));
	away();
	request.header.type = ICMP_ECHO;
	request.header.un.echo.id = htons(getpid());
	request.header.un.echo.sequence = htons(7);
	request.header.checksum = checksum(&request, sizeof(request));
	EQUAL(sendto(fd, &request, sizeof(request), 0, (void *)&address, sizeof(address)),
	      sizeof(request));
	for (int i = 0; i < 100; i++) {
		ssize_t got = DO(recv(fd, answer, sizeof(answer), 0));
		struct icmphdr *header = (void *)(answer + (answer[0] & 15) * 4);

		EQUAL(answer[0] >> 4, 4);
		if (header->type != ICMP_ECHOREPLY || header->un.echo.id != htons(getpid()))
			continue;
		EQUAL(got, (answer[0] & 15) * 4 + sizeof(request));
		EQUAL(header->un.echo.sequence, htons(7));
		CHECK(!strcmp((char *)(header + 1), "radium"));
		return;
	}
	fail(__FILE__, __LINE__, "no answer");
}

static int netlink(uint32_t groups)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = groups };
	int fd = DO(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));

	DO(bind(fd, (void *)&address, sizeof(address)));
	return fd;
}

/* The kernel's answer comes in parts: the loopback device is among them. */
static void netlink_dump(void)
{
	struct { struct nlmsghdr header; struct ifinfomsg body; } request = {
		.header = { .nlmsg_len = sizeof(request), .nlmsg_type = RTM_GETLINK,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = 99 },
	};
	static char buffer[16384];
	int fd = netlink(0), loops = 0;
	bool done = false;

	away();
	EQUAL(send(fd, &request, sizeof(request), 0), sizeof(request));
	while (!done) {
		int left = DO(recv(fd, buffer, sizeof(buffer), 0));
		struct nlmsghdr *header = (void *)buffer;

		for (; NLMSG_OK(header, (unsigned int)left); header = NLMSG_NEXT(header, left)) {
			struct ifinfomsg *info = NLMSG_DATA(header);

			EQUAL(header->nlmsg_seq, 99);
			done |= header->nlmsg_type == NLMSG_DONE;
			if (header->nlmsg_type == RTM_NEWLINK)
				loops += (info->ifi_flags & IFF_LOOPBACK) != 0;
		}
		home();
	}
	EQUAL(loops, 1);
}

/* In a network of its own: bringing its loopback device up is told to who listens. */
static void netlink_events(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	struct nlmsghdr header[64];
	struct ifinfomsg *info;
	int listener, fd;

	away();
	if (unshare(CLONE_NEWNET))
		skip("unshare: %s", strerror(errno));
	listener = netlink(RTMGRP_LINK);
	fd = DO(socket(AF_INET, SOCK_DGRAM, 0));
	EQUAL(recv(listener, header, sizeof(header), MSG_DONTWAIT), -1);
	EQUAL(errno, EAGAIN);
	DO(ioctl(fd, SIOCGIFFLAGS, &request));
	EQUAL(request.ifr_flags & IFF_UP, 0);
	request.ifr_flags |= IFF_UP;
	DO(ioctl(fd, SIOCSIFFLAGS, &request));
	CHECK(DO(recv(listener, header, sizeof(header), 0)) > (ssize_t)sizeof(*info));
	EQUAL(header->nlmsg_type, RTM_NEWLINK);
	info = NLMSG_DATA(header);
	EQUAL(info->ifi_index, (int)if_nametoindex("lo"));
	CHECK(info->ifi_flags & IFF_UP);
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
	during_end();
	reap(helper);
}

/* When a message came, by the clock that the program reads. */
static void times_of_messages(void)
{
	union { struct cmsghdr header; char space[CMSG_SPACE(sizeof(struct timespec))]; } control;
	struct timespec before, stamp, after;
	char byte;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int on = 1;
	struct sockaddr_in mine, other;
	int one = bound(SOCK_DGRAM, &mine), two = bound(SOCK_DGRAM, &other);

	away();
	DO(setsockopt(one, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)));
	DO(clock_gettime(CLOCK_REALTIME, &before));
	EQUAL(sendto(two, "x", 1, 0, (void *)&mine, sizeof(mine)), 1);
	EQUAL(recvmsg(one, &message, 0), 1);
	DO(clock_gettime(CLOCK_REALTIME, &after));
	EQUAL(control.header.cmsg_type, SCM_TIMESTAMPNS);
	memcpy(&stamp, CMSG_DATA(&control.header), sizeof(stamp));
	/* Away the clock is home's to within a round trip. */
	CHECK(stamp.tv_sec * 1000000000ll + stamp.tv_nsec >=
	      before.tv_sec * 1000000000ll + before.tv_nsec - 50000000);
	CHECK(stamp.tv_sec * 1000000000ll + stamp.tv_nsec <=
	      after.tv_sec * 1000000000ll + after.tv_nsec + 50000000);
}

/* The pages are sent from where they are, and told of when they may be changed. */
static void sent_without_a_copy(void)
{
	char *memory = map_pages(4, PROT_READ | PROT_WRITE), *back = map_pages(4, PROT_READ | PROT_WRITE);
	struct { struct cmsghdr header; struct sock_extended_err error; char more[64]; } control;
	struct sockaddr_in address;
	int listener = bound(SOCK_STREAM, &address), fd, peer, on = 1;
	struct pollfd told;

	DO(listen(listener, 1));
	fd = DO(socket(AF_INET, SOCK_STREAM, 0));
	DO(connect(fd, (void *)&address, sizeof(address)));
	peer = DO(accept(listener, NULL, NULL));
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
		EQUAL(poll(&told, 1, 5000), 1);
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
		CASE(descriptor_passing), CASE(descriptor_in_flight), CASE(peer_credentials),
		CASE(message_credentials), CASE(message_borders), CASE(tcp_established),
		CASE(tcp_listener), CASE(tcp_without_waiting), CASE(tcp_reset), CASE(urgent_byte),
		CASE(signal_driven), CASE(udp_messages), CASE(udp_many_at_once), CASE(raw_socket),
		CASE(netlink_dump), CASE(netlink_events), CASE(options_stay),
		CASE(waiting_for_messages), CASE(times_of_messages), CASE(sent_without_a_copy),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/* IPv6, packets and groups of listeners: what sockets.c shows of IPv4. */
#include "harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct sockaddr_in6 loopback(int port)
{
	return (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port),
				      .sin6_addr = IN6ADDR_LOOPBACK_INIT };
}

/* A socket with a free port of ::1, or of all addresses. */
static int bound(int type, bool any, struct sockaddr_in6 *address)
{
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0), off = 0;
	socklen_t length = sizeof(*address);

	if (fd < 0)
		skip("no IPv6: %s", strerror(errno));
	*address = loopback(0);
	if (any) {
		address->sin6_addr = in6addr_any;
		DO(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)));
	}
	if (bind(fd, (void *)address, sizeof(*address)) && errno == EADDRNOTAVAIL)
		skip("no IPv6 on the loopback device");
	DO(getsockname(fd, (void *)address, &length));
	EQUAL(length, sizeof(*address));
	CHECK(address->sin6_port);
	return fd;
}

enum { ROUNDS = 8, PIECE = 8192 };

/* In each round one end sends its piece and the other one answers with its own. */
static void take(int fd, uint64_t seed)
{
	static char data[PIECE];

	/* Not with MSG_WAITALL: such a call is not interrupted, and its caller moves after it. */
	for (size_t got = 0; got < PIECE;)
		got += DO(recv(fd, data + got, PIECE - got, 0));
	EQUAL(differs(data, PIECE, seed), -1);
}

static void give(int fd, uint64_t seed)
{
	static char data[PIECE];

	fill(data, PIECE, seed);
	EQUAL(send(fd, data, PIECE, 0), PIECE);
}

static pid_t answerer(int listener)
{
	pid_t pid = DO(fork());
	char byte;
	int fd;

	if (pid)
		return pid;
	fd = DO(accept(listener, NULL, NULL));
	for (int round = 0; round < ROUNDS; round++) {
		take(fd, round);
		give(fd, 100 + round);
	}
	EQUAL(recv(fd, &byte, 1, 0), 0);
	EQUAL(send(fd, "b", 1, 0), 1);
	_exit(0);
}

/* Both ends move, each in the midst of what the other sends. */
static void tcp6_established(void)
{
	struct sockaddr_in6 address, name = { 0 };
	int listener = bound(SOCK_STREAM, false, &address), fd;
	socklen_t length = sizeof(name);
	struct tcp_info info;
	char byte;
	pid_t peer;

	DO(listen(listener, 1));
	peer = answerer(listener);
	fd = DO(socket(AF_INET6, SOCK_STREAM, 0));
	DO(connect(fd, (void *)&address, sizeof(address)));
	away_pid(peer);
	for (int round = 0; round < ROUNDS; round++) {
		if (round % 4 == 0)
			away();
		give(fd, round);
		if (round % 4 == 2)
			home();
		if (round == 3)
			home_pid(peer);
		take(fd, 100 + round);
	}
	away();
	DO(getpeername(fd, (void *)&name, &length));
	EQUAL(name.sin6_port, address.sin6_port);
	CHECK(IN6_IS_ADDR_LOOPBACK(&name.sin6_addr));
	length = sizeof(info);
	DO(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
	EQUAL(info.tcpi_state, TCP_ESTABLISHED);
	/* Which depends on when the machine gets to its network, too. */
	note("%u segments were sent again", info.tcpi_total_retrans);
	DO(shutdown(fd, SHUT_WR));
	EQUAL(recv(fd, &byte, 1, 0), 1);
	EQUAL(recv(fd, &byte, 1, 0), 0);
	reap(peer);
}

static void call(int number, int port)
{
	struct sockaddr_in old = { .sin_family = AF_INET, .sin_port = port,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 new = loopback(ntohs(port));
	int fd = DO(socket(number % 2 ? AF_INET : AF_INET6, SOCK_STREAM, 0));
	char byte = number;

	if (number % 2)
		DO(connect(fd, (void *)&old, sizeof(old)));
	else
		DO(connect(fd, (void *)&new, sizeof(new)));
	EQUAL(send(fd, &byte, 1, 0), 1);
	EQUAL(recv(fd, &byte, 1, 0), 1);
	EQUAL(byte, number + 100);
	_exit(0);
}

/* One listener for both protocols, which moves while callers wait in its backlog. */
static void listener_of_both(void)
{
	struct sockaddr_in6 address, from;
	int listener = bound(SOCK_STREAM, true, &address), fd;
	pid_t caller[6];

	away();
	DO(listen(listener, 8));
	for (int i = 0; i < 6; i++) {
		caller[i] = DO(fork());
		if (!caller[i])
			call(i, address.sin6_port);
	}
	for (int i = 0; i < 6; i++) {
		socklen_t length = sizeof(from);
		char number;

		if (i % 2)
			home();
		else
			away();
		fd = DO(accept(listener, (void *)&from, &length));
		EQUAL(length, sizeof(from));
		EQUAL(from.sin6_family, AF_INET6);
		EQUAL(recv(fd, &number, 1, 0), 1);
		/* Callers with the old protocol have an address of the new one, too. */
		if (number % 2)
			CHECK(IN6_IS_ADDR_V4MAPPED(&from.sin6_addr));
		else
			CHECK(IN6_IS_ADDR_LOOPBACK(&from.sin6_addr));
		number += 100;
		EQUAL(send(fd, &number, 1, 0), 1);
		DO(close(fd));
	}
	for (int i = 0; i < 6; i++)
		reap(caller[i]);
	away();
	DO(close(listener));
	fd = DO(socket(AF_INET6, SOCK_STREAM, 0));
	address.sin6_addr = in6addr_loopback;
	EQUAL(connect(fd, (void *)&address, sizeof(address)), -1);
	EQUAL(errno, ECONNREFUSED);
}

static void udp6_messages(void)
{
	struct sockaddr_in6 mine, other, from;
	int one = bound(SOCK_DGRAM, false, &mine), two = bound(SOCK_DGRAM, false, &other), on = 1;
	char control[200], text[8];
	struct iovec part = { text, sizeof(text) };
	struct msghdr message = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &part,
				  .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	bool came_to = false, hops = false;

	DO(setsockopt(one, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)));
	away();
	DO(setsockopt(one, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof(on)));
	EQUAL(sendto(two, "123456", 6, 0, (void *)&mine, sizeof(mine)), 6);
	EQUAL(recvmsg(one, &message, 0), 6);
	CHECK(!memcmp(text, "123456", 6));
	EQUAL(message.msg_namelen, sizeof(from));
	EQUAL(from.sin6_port, other.sin6_port);
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
	     header = CMSG_NXTHDR(&message, header)) {
		struct in6_pktinfo info;
		int limit;

		EQUAL(header->cmsg_level, IPPROTO_IPV6);
		if (header->cmsg_type == IPV6_PKTINFO) {
			memcpy(&info, CMSG_DATA(header), sizeof(info));
			came_to = IN6_IS_ADDR_LOOPBACK(&info.ipi6_addr);
		} else if (header->cmsg_type == IPV6_HOPLIMIT) {
			memcpy(&limit, CMSG_DATA(header), sizeof(limit));
			hops = limit == 64;
		}
	}
	CHECK(came_to && hops);
	/* Connected to nobody: told at the next call. */
	DO(close(one));
	DO(connect(two, (void *)&mine, sizeof(mine)));
	EQUAL(send(two, "x", 1, 0), 1);
	EQUAL(poll(&(struct pollfd){ .fd = two }, 1, 20000), 1);
	home();
	EQUAL(send(two, "x", 1, 0), -1);
	EQUAL(errno, ECONNREFUSED);
}

/* An echo request of our own making; the kernel puts in the checksum. */
static void icmp6_socket(void)
{
	struct { struct icmp6_hdr header; char text[8]; } request = { .text = "radium" }, answer;
	struct sockaddr_in6 address = loopback(0);
	int fd = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
	struct icmp6_filter filter;

	if (fd < 0)
		skip("raw socket: %s", strerror(errno));
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
	away();
	DO(setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)));
	request.header.icmp6_type = ICMP6_ECHO_REQUEST;
	request.header.icmp6_id = htons(getpid());
	request.header.icmp6_seq = htons(7);
	if (sendto(fd, &request, sizeof(request), 0, (void *)&address, sizeof(address)) < 0 &&
	    errno == EADDRNOTAVAIL)
		skip("no IPv6 on the loopback device");
	do
		EQUAL(recv(fd, &answer, sizeof(answer), 0), sizeof(answer));
	while (answer.header.icmp6_id != request.header.icmp6_id);
	EQUAL(answer.header.icmp6_type, ICMP6_ECHO_REPLY);
	EQUAL(answer.header.icmp6_seq, htons(7));
	CHECK(!strcmp(answer.text, "radium"));
}

/* The whole frame of a message, as it is on the wire of the loopback device. */
static void packets(void)
{
	struct sockaddr_ll device = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
				      .sll_ifindex = if_nametoindex("lo") };
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(9),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	/* Nothing before it is bound: what moves us would be heard, too, and fill the queue. */
	int fd = socket(AF_PACKET, SOCK_RAW, 0), sender;
	struct timeval limit = { 30, 0 };
	struct ethhdr *frame;
	static char data[70000];
	char text[24];

	if (fd < 0)
		skip("packet socket: %s", strerror(errno));
	snprintf(text, sizeof(text), "radium %d to nobody", getpid() % 10000);
	away();
	DO(bind(fd, (void *)&device, sizeof(device)));
	DO(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	sender = DO(socket(AF_INET, SOCK_DGRAM, 0));
	EQUAL(sendto(sender, text, sizeof(text), 0, (void *)&address, sizeof(address)),
	      sizeof(text));
	for (;;) {
		struct sockaddr_ll from;
		socklen_t length = sizeof(from);
		ssize_t got = DO(recvfrom(fd, data, sizeof(data), 0, (void *)&from, &length));

		if (got < 14 + 20 + 8 + (ssize_t)sizeof(text) ||
		    memcmp(data + got - sizeof(text), text, sizeof(text)))
			continue;
		frame = (void *)data;
		EQUAL(ntohs(frame->h_proto), ETH_P_IP);
		EQUAL(data[14] >> 4, 4);
		EQUAL(data[14 + 9], IPPROTO_UDP);
		EQUAL(from.sll_ifindex, device.sll_ifindex);
		break;
	}
}

/* One message, to a group that several have joined. */
static void group_of_listeners(void)
{
	struct ip_mreqn group = { .imr_ifindex = if_nametoindex("lo") };
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);
	struct timeval limit = { 30, 0 };
	int fds[3], sender, on = 1;
	char text[8];

	CHECK(inet_pton(AF_INET, "239.77.77.77", &group.imr_multiaddr) == 1);
	address.sin_addr = group.imr_multiaddr;
	away();
	for (int i = 0; i < 3; i++) {
		fds[i] = DO(socket(AF_INET, SOCK_DGRAM, 0));
		DO(setsockopt(fds[i], SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
		DO(setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
		DO(bind(fds[i], (void *)&address, sizeof(address)));
		DO(getsockname(fds[i], (void *)&address, &length));
		if (i < 2)
			DO(setsockopt(fds[i], IPPROTO_IP, IP_ADD_MEMBERSHIP, &group,
				      sizeof(group)));
	}
	DO(setsockopt(fds[2], IPPROTO_IP, IP_MULTICAST_ALL, &(int){ 0 }, sizeof(int)));
	sender = DO(socket(AF_INET, SOCK_DGRAM, 0));
	DO(setsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF, &group, sizeof(group)));
	for (int round = 0; round < 2; round++) {
		EQUAL(sendto(sender, "to all", 6, 0, (void *)&address, sizeof(address)), 6);
		for (int i = 0; i < 2; i++)
			EQUAL(recv(fds[i], text, sizeof(text), 0), 6);
		/* Who has not joined it hears nothing. */
		EQUAL(recv(fds[2], text, sizeof(text), MSG_DONTWAIT), -1);
		EQUAL(errno, EAGAIN);
		home();
	}
	away();
	DO(setsockopt(fds[1], IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof(group)));
	DO(setsockopt(fds[1], IPPROTO_IP, IP_MULTICAST_ALL, &(int){ 0 }, sizeof(int)));
	EQUAL(sendto(sender, "to one", 6, 0, (void *)&address, sizeof(address)), 6);
	EQUAL(recv(fds[0], text, sizeof(text), 0), 6);
	EQUAL(recv(fds[1], text, sizeof(text), MSG_DONTWAIT), -1);
	EQUAL(errno, EAGAIN);
}

/* What is set for one protocol is not asked of the other. */
static void options_of_six(void)
{
	int fd, value, class = 0x20;
	socklen_t length = sizeof(value);
	struct sockaddr_in6 address;

	fd = bound(SOCK_DGRAM, false, &address);
	away();
	DO(setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &class, sizeof(class)));
	DO(setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &(int){ 5 }, sizeof(int)));
	EQUAL(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 1 }, sizeof(int)), -1);
	EQUAL(errno, EINVAL);		/* it has its address already */
	home();
	DO(getsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &value, &length));
	EQUAL(value, 0x20);
	away();
	DO(getsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &value, &length));
	EQUAL(value, 5);
	EQUAL(length, sizeof(value));
	EQUAL(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length), -1);
	EQUAL(errno, ENOPROTOOPT);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(tcp6_established), CASE(listener_of_both), CASE(udp6_messages), CASE(icmp6_socket),
		CASE(packets), CASE(group_of_listeners), CASE(options_of_six),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

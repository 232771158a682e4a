// SPDX-License-Identifier: GPL-2.0
/* Messages that come one by one: UDP, raw sockets, netlink. */
#include "sockets.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

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
	EQUAL(poll(&(struct pollfd){ .fd = two }, 1, 20000), 1);
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
	/* Waits for all of them: they may be on their way still, also on one machine. */
	EQUAL(recvmmsg(one, messages, COUNT, 0, NULL), COUNT);
	for (int i = 0; i < COUNT; i++) {
		EQUAL(messages[i].msg_len, strlen(out[i]));
		CHECK(!memcmp(in[i], out[i], messages[i].msg_len));
	}
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
	/* Away the clock is home's to within a round trip, of a busy machine. */
	CHECK(stamp.tv_sec * 1000000000ll + stamp.tv_nsec >=
	      before.tv_sec * 1000000000ll + before.tv_nsec - 500000000);
	CHECK(stamp.tv_sec * 1000000000ll + stamp.tv_nsec <=
	      after.tv_sec * 1000000000ll + after.tv_nsec + 500000000);
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

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(udp_messages), CASE(udp_many_at_once), CASE(times_of_messages),
		CASE(raw_socket), CASE(netlink_dump), CASE(netlink_events),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/* Sockets: messages, many of them at once, and options, as far as they travel with the calls. */
#include "inline.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

/* ---- one message ---- */

static void datagrams(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET }, from;
	int a = DO(socket(AF_INET, SOCK_DGRAM, 0)), b = DO(socket(AF_INET, SOCK_DGRAM, 0)), value;
	socklen_t len = sizeof(to);

	away_with_buffers();
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	DO(bind(b, (void *)&to, sizeof(to)));
	DO(getsockname(b, (void *)&to, &len));
	EQUAL(len, sizeof(to));
	CHECK(to.sin_port);
	for (int i = 0; i < SIZES; i++) {
		size_t size = sizes[i];

		memset(in, 0x55, sizeof(in));
		EQUAL(sendto(a, out + i, size, 0, (void *)&to, sizeof(to)), size);
		memset(&from, 0x55, sizeof(from));
		len = 200;
		EQUAL(recvfrom(b, in + 1, size + 10, 0, (void *)&from, &len), size);
		CHECK(!memcmp(in + 1, out + i, size));
		CHECK(untouched(in, sizeof(in), 1, size, 0x55));
		EQUAL(len, sizeof(from));
		EQUAL(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	}
	/* An address that is cut, and a datagram. */
	EQUAL(sendto(a, out, 100, 0, (void *)&to, sizeof(to)), 100);
	memset(&from, 0x55, sizeof(from));
	memset(in, 0x55, sizeof(in));
	len = 4;
	EQUAL(recvfrom(b, in, 10, MSG_TRUNC, (void *)&from, &len), 100);
	EQUAL(len, sizeof(from));
	CHECK(untouched((char *)&from, sizeof(from), 0, 4, 0x55));
	CHECK(!memcmp(in, out, 10) && untouched(in, sizeof(in), 0, 10, 0x55));
	EQUAL(recvfrom(b, in, 10, MSG_DONTWAIT, NULL, NULL), -1);
	EQUAL(errno, EAGAIN);
	value = 12345;
	DO(setsockopt(b, SOL_SOCKET, SO_RCVBUF, &value, sizeof(value)));
	value = 0;
	len = sizeof(value);
	DO(getsockopt(b, SOL_SOCKET, SO_RCVBUF, &value, &len));
	EQUAL(value, 2 * 12345);
	EQUAL(len, sizeof(value));
	EQUAL(getsockopt(b, SOL_SOCKET, 12345, &value, &len), -1);
	EQUAL(errno, ENOPROTOOPT);
}

static void streams(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET }, peer;
	int listener = DO(socket(AF_INET, SOCK_STREAM, 0)), a, b;
	socklen_t len = sizeof(address);

	away_with_buffers();
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	DO(bind(listener, (void *)&address, sizeof(address)));
	DO(listen(listener, 5));
	DO(getsockname(listener, (void *)&address, &len));
	a = DO(socket(AF_INET, SOCK_STREAM, 0));
	DO(connect(a, (void *)&address, sizeof(address)));
	len = sizeof(peer);
	b = DO(accept(listener, (void *)&peer, &len));
	EQUAL(len, sizeof(peer));
	DO(getpeername(b, (void *)&address, &len));
	CHECK(!memcmp(&address, &peer, sizeof(peer)));
	EQUAL(send(a, out, 10000, 0), 10000);
	for (int got = 0, n; got < 10000; got += n)
		n = DO(recv(b, in + got, 10000 - got, 0));
	CHECK(!memcmp(in, out, 10000));
	/* Thrown away, and not written anywhere. */
	EQUAL(send(a, out, 100, 0), 100);
	memset(in, 0x55, sizeof(in));
	EQUAL(recv(b, in, 100, MSG_TRUNC), 100);
	CHECK(untouched(in, sizeof(in), 0, 0, 0x55));
	DO(close(a));
	EQUAL(recv(b, in, 100, 0), 0);
}

static void messages(void)
{
	struct iovec v[3] = { { out, 5 }, { NULL, 0 }, { out + 100, 1000 } };
	union { char bytes[CMSG_SPACE(2 * sizeof(int))]; struct cmsghdr head; } control;
	struct msghdr m = {
		.msg_iov = v, .msg_iovlen = 3, .msg_control = control.bytes,
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	char buffers[2][600], name[128];
	int pair[2], passed, file = scratch();

	EQUAL(write(file, "passed", 6), 6);
	DO(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	away_with_buffers();
	memset(&control, 0, sizeof(control));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.head), &file, sizeof(int));
	EQUAL(sendmsg(pair[0], &m, 0), 1005);

	memset(&control, 0x55, sizeof(control));
	memset(buffers, 0x55, sizeof(buffers));
	memset(name, 0x55, sizeof(name));
	v[0] = (struct iovec){ buffers[0], 600 };
	v[1] = (struct iovec){ NULL, 0 };
	v[2] = (struct iovec){ buffers[1], 500 };
	m = (struct msghdr){
		.msg_name = name, .msg_namelen = sizeof(name), .msg_iov = v, .msg_iovlen = 3,
		.msg_control = control.bytes, .msg_controllen = sizeof(control), .msg_flags = 77,
	};
	EQUAL(recvmsg(pair[1], &m, 0), 1005);
	CHECK(m.msg_name == name && m.msg_iov == v && m.msg_control == control.bytes);
	EQUAL(m.msg_namelen, 0);
	EQUAL(m.msg_flags, 0);
	EQUAL(m.msg_iovlen, 3);
	EQUAL(m.msg_controllen, CMSG_SPACE(sizeof(int)));
	CHECK(!memcmp(buffers[0], out, 5) && !memcmp(buffers[0] + 5, out + 100, 595));
	CHECK(!memcmp(buffers[1], out + 695, 405));
	EQUAL(buffers[1][405], 0x55);
	EQUAL(name[0], 0x55);
	EQUAL(control.head.cmsg_type, SCM_RIGHTS);
	EQUAL(control.head.cmsg_len, CMSG_LEN(sizeof(int)));
	/* What is behind what was written is the program's. */
	EQUAL(control.bytes[CMSG_LEN(sizeof(int))], 0x55);
	memcpy(&passed, CMSG_DATA(&control.head), sizeof(int));
	EQUAL(pread(passed, in, 10, 0), 6);
	CHECK(!memcmp(in, "passed", 6));

	/* Cut: the flags say so. */
	EQUAL(send(pair[0], out, 1000, 0), 1000);
	v[0].iov_len = 10;
	m.msg_iovlen = 1;
	m.msg_controllen = 0;
	EQUAL(recvmsg(pair[1], &m, 0), 10);
	EQUAL(m.msg_flags, MSG_TRUNC);
}

/* What the functions of TRAVELS() work with: the second gets what the first sends, from here. */
static int a, b;
static struct sockaddr_in to;

static void connect_datagrams(void)
{
	socklen_t len = sizeof(to);

	a = DO(socket(AF_INET, SOCK_DGRAM, 0));
	b = DO(socket(AF_INET, SOCK_DGRAM, 0));
	to = (struct sockaddr_in){ .sin_family = AF_INET };
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	DO(bind(b, (void *)&to, sizeof(to)));
	DO(getsockname(b, (void *)&to, &len));
	DO(connect(a, (void *)&to, sizeof(to)));
}

/* The largest ones that travel with the address. */
enum { LARGEST = LIMIT - sizeof(struct sockaddr_in) - sizeof(socklen_t) };

static void send_and_receive(void)
{
	static const int lengths[] = { 1, 5000, LARGEST };
	struct sockaddr_in from;
	socklen_t len;

	for (int i = 0; i < 3; i++) {
		EQUAL(sendto(a, out + i, lengths[i], 0, (void *)&to, sizeof(to)), lengths[i]);
		len = sizeof(from);
		in[1] = out[i] + 1;
		EQUAL(recvfrom(b, in + 1, lengths[i], 0, (void *)&from, &len), lengths[i]);
		EQUAL(from.sin_family, AF_INET);
		EQUAL(in[1], out[i]);
	}
}

static void send_and_receive_parts(void)
{
	struct iovec w[] = { { out, 5 }, { out + 100, 6000 } };
	struct iovec r[] = { { in, 4000 }, { in + 9000, 2005 } };
	struct sockaddr_in from;
	struct msghdr sent = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = w, .msg_iovlen = 2,
	}, got = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = r, .msg_iovlen = 2,
	};

	EQUAL(sendmsg(a, &sent, 0), 6005);
	in[0] = out[0] + 1;
	EQUAL(recvmsg(b, &got, 0), 6005);
	EQUAL(got.msg_namelen, sizeof(from));
	EQUAL(in[0], out[0]);
}

static void messages_take_a_round_trip(void)
{
	connect_datagrams();
	away_with_buffers();
	ROUND_TRIPS(send_and_receive, 6, 6);
	CHECK(!memcmp(in + 1, out + 2, LARGEST));
	ROUND_TRIPS(send_and_receive_parts, 2, 2);
	CHECK(!memcmp(in, out, 5) && !memcmp(in + 5, out + 100, 3995));
	CHECK(!memcmp(in + 9000, out + 100 + 3995, 2005));
}

/* ---- many messages at once ---- */

enum { MANY = 4 };

static void send_and_receive_many(void)
{
	struct mmsghdr m[MANY] = { };
	struct iovec v[MANY];
	struct sockaddr_in from[MANY];
	struct timespec limit = { 50, 0 };
	char got[MANY][100];

	for (int i = 0; i < MANY; i++) {
		v[i] = (struct iovec){ out + 10 * i, 20 + i };
		m[i].msg_hdr = (struct msghdr){ .msg_iov = &v[i], .msg_iovlen = 1 };
		m[i].msg_len = 0x55;
	}
	EQUAL(sendmmsg(a, m, MANY, 0), MANY);
	for (int i = 0; i < MANY; i++)
		CHECK(m[i].msg_len == 20u + i && m[i].msg_hdr.msg_iov == &v[i]);
	memset(got, 0x55, sizeof(got));
	memset(from, 0x55, sizeof(from));
	for (int i = 0; i < MANY; i++) {
		v[i] = (struct iovec){ got[i], i == 2 ? 5 : 90 };
		m[i].msg_hdr.msg_name = &from[i];
		m[i].msg_hdr.msg_namelen = sizeof(from[i]);
	}
	/* Waits for all of them: they may be on their way still, also on one machine. */
	EQUAL(recvmmsg(b, m, MANY, 0, &limit), MANY);
	for (int i = 0; i < MANY; i++) {
		CHECK(!memcmp(got[i], out + 10 * i, m[i].msg_len));
		EQUAL(m[i].msg_len, i == 2 ? 5 : 20 + i);
		EQUAL(m[i].msg_hdr.msg_flags, i == 2 ? MSG_TRUNC : 0);
		CHECK(untouched(got[i], sizeof(got[i]), 0, m[i].msg_len, 0x55));
		CHECK(m[i].msg_hdr.msg_name == &from[i] && from[i].sin_family == AF_INET);
		EQUAL(m[i].msg_hdr.msg_namelen, sizeof(from[i]));
	}
	CHECK(limit.tv_sec <= 50 && limit.tv_sec > 0);
	EQUAL(recvmmsg(b, m, MANY, MSG_DONTWAIT, NULL), -1);
	EQUAL(errno, EAGAIN);
}

static void many_at_once(void)
{
	char *hole = pages_with_a_hole(RW) + 2 * 4096;
	struct iovec good = { in, 100 }, bad = { (void *)8, 100 };
	struct mmsghdr many[70] = { };

	connect_datagrams();
	away_with_buffers();
	TRAVELS(send_and_receive_many, 3);
	/* The second is bad: the first has been sent, and its length is told. */
	memset(in, 0x33, 200);
	for (int i = 0; i < 70; i++)
		many[i].msg_hdr = (struct msghdr){ .msg_iov = &good, .msg_iovlen = 1 };
	many[1].msg_hdr.msg_iov = &bad;
	many[1].msg_len = 77;
	EQUAL(sendmmsg(a, many, 3, 0), 1);
	CHECK(many[0].msg_len == 100 && many[1].msg_len == 77);
	EQUAL(recv(b, in + 500, 200, 0), 100);
	/* More than there are places for. */
	many[1].msg_hdr.msg_iov = &good;
	good.iov_len = 1;
	EQUAL(sendmmsg(a, many, 70, 0), 70);
	for (int i = 0; i < 70; i++) {
		EQUAL(many[i].msg_len, 1);
		EQUAL(recv(b, in, 200, 0), 1);
	}
	/* An array that is not all there: what is there is sent. */
	memcpy(hole - sizeof(*many), many, sizeof(*many));
	EQUAL(sendmmsg(a, (void *)(hole - sizeof(*many)), 2, 0), 1);
	EQUAL(recv(b, in, 200, 0), 1);
	EQUAL(sendmmsg(a, (void *)8, 2, 0), -1);
	EQUAL(errno, EFAULT);
	EQUAL(recvmmsg(b, many, 2, MSG_DONTWAIT, (void *)8), -1);
	EQUAL(errno, EFAULT);
}

/* ---- options ---- */

static void ask_options(void)
{
	int value = 12345;
	socklen_t len = sizeof(value);

	DO(setsockopt(b, SOL_SOCKET, SO_RCVBUF, &value, sizeof(value)));
	value = 0;
	DO(getsockopt(b, SOL_SOCKET, SO_RCVBUF, &value, &len));
	EQUAL(value, 2 * 12345);
	value = 20;
	DO(setsockopt(b, IPPROTO_IP, IP_TTL, &value, sizeof(value)));
	value = 0;
	len = 1;
	DO(getsockopt(b, IPPROTO_IP, IP_TTL, &value, &len));
	EQUAL(value, 20);
	EQUAL(len, 1);
	EQUAL(getsockopt(b, SOL_SOCKET, 12345, &value, &len), -1);
	EQUAL(errno, ENOPROTOOPT);
}

static void options(void)
{
	int value = 1;
	socklen_t len = sizeof(value);

	connect_datagrams();
	away();
	TRAVELS(ask_options, 5);
	EQUAL(getsockopt(b, 12345, 1, &value, &len), -1);
	len = -1;
	EQUAL(getsockopt(b, SOL_SOCKET, SO_TYPE, &value, &len), -1);
	EQUAL(errno, EINVAL);
	b = DO(socket(AF_INET, SOCK_STREAM, 0));
	DO(setsockopt(b, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)));
	value = 0;
	len = sizeof(value);
	DO(getsockopt(b, IPPROTO_TCP, TCP_NODELAY, &value, &len));
	EQUAL(value, 1);
}

/* A filter: its length counts instructions, of eight bytes. */
static void filter_is_told(void)
{
	struct sock_filter code[] = {
		{ BPF_LD | BPF_IMM, 0, 0, 0x12345678 }, { BPF_LD | BPF_IMM, 0, 0, 2 },
		{ BPF_LD | BPF_IMM, 0, 0, 3 }, { BPF_RET | BPF_K, 0, 0, 0xffff },
	}, got[6];
	struct sock_fprog program = { 4, code };
	socklen_t len = 4;

	connect_datagrams();
	away();
	DO(setsockopt(b, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
	memset(got, 0x55, sizeof(got));
	DO(getsockopt(b, SOL_SOCKET, SO_GET_FILTER, got, &len));
	EQUAL(len, 4);
	CHECK(!memcmp(got, code, sizeof(code)));
	CHECK(untouched(got, sizeof(got), 0, sizeof(code), 0x55));
}

/* A list of sources: how long it is, a number in it says. */
static void sources_are_told(void)
{
	struct { struct ip_msfilter is; uint32_t more[7]; } ask;
	struct ip_mreq_source join = { .imr_multiaddr.s_addr = htonl(0xef010203) };
	socklen_t len = IP_MSFILTER_SIZE(0);

	join.imr_interface.s_addr = htonl(INADDR_LOOPBACK);
	connect_datagrams();
	away();
	for (uint32_t i = 1; i <= 3; i++) {
		join.imr_sourceaddr.s_addr = htonl(0x0a000000 + i);
		if (setsockopt(b, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, &join, sizeof(join)))
			skip("IP_ADD_SOURCE_MEMBERSHIP: %s", strerror(errno));
	}
	memset(&ask, 0x55, sizeof(ask));
	ask.is.imsf_multiaddr = join.imr_multiaddr;
	ask.is.imsf_interface = join.imr_interface;
	ask.is.imsf_numsrc = 5;
	DO(getsockopt(b, IPPROTO_IP, IP_MSFILTER, &ask, &len));
	EQUAL(len, IP_MSFILTER_SIZE(3));
	EQUAL(ask.is.imsf_numsrc, 3);
	for (uint32_t i = 1, found = 0; i <= 3; i++, found = 0) {
		for (int j = 0; j < 3; j++)
			found += (&ask.is.imsf_slist[0])[j].s_addr == htonl(0x0a000000 + i);
		EQUAL(found, 1);
	}
}

/* Its descriptors have been told before it fails. */
static void pair_that_fails(void)
{
	int pair[2] = { -7, -7 }, next = DO(dup(0));

	close(next);
	away();
	EQUAL(syscall(SYS_socketpair, AF_INET, SOCK_STREAM, 0, pair), -1);
	EQUAL(errno, EOPNOTSUPP);
	EQUAL(pair[0], next);
	CHECK(pair[1] > next);
	EQUAL(dup(0), next);
}

static const struct test_case cases[] = {
	CASE(datagrams), CASE(streams), CASE(messages), CASE(messages_take_a_round_trip),
	CASE(many_at_once), CASE(options),
	CASE(filter_is_told), CASE(sources_are_told), CASE(pair_that_fails),
	{ }
};

int main(int argc, char **argv)
{
	return harness_main(argc, argv, cases);
}

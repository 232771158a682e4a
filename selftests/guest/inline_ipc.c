// SPDX-License-Identifier: GPL-2.0
/*
 * Messages and semaphores, of System V and of POSIX, several messages of a socket at once,
 * and options of sockets: what travels with the calls, and what must not.
 */
#include "harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <mqueue.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define RW (PROT_READ | PROT_WRITE)

struct text {
	long type;
	char text[8200];
};

/* What the functions of TRAVELS() work with. */
static int a, b, queue, set, segment;
static mqd_t posix_queue;
static struct text out, in;

/* ---- System V ---- */

static void send_and_receive(void)
{
	static const int lengths[] = { 0, 1, 7, 100, 4000, 8000 };

	for (int i = 0; i < 6; i++) {
		size_t len = lengths[i];

		memset(&in, 0x55, sizeof(in));
		out.type = i + 1;
		DO(msgsnd(queue, &out, len, 0));
		EQUAL(msgrcv(queue, &in, sizeof(in.text) - 8, 0, 0), len);
		EQUAL(in.type, i + 1);
		CHECK(!memcmp(in.text, out.text, len));
		CHECK(untouched(in.text, sizeof(in.text), 0, len, 0x55));
	}
	EQUAL(msgrcv(queue, &in, 100, 0, IPC_NOWAIT), -1);
	EQUAL(errno, ENOMSG);
}

static void ask_queue(void)
{
	struct { struct msqid_ds is; char behind[16]; } s;

	memset(&s, 0x55, sizeof(s));
	DO(msgctl(queue, IPC_STAT, &s.is));
	EQUAL(s.is.msg_qnum, 0);
	EQUAL(s.is.msg_perm.mode & 0777, 0600);
	CHECK(untouched(s.behind, sizeof(s.behind), 0, 0, 0x55));
	s.is.msg_qbytes = 16384 - s.is.msg_qbytes % 2;
	DO(msgctl(queue, IPC_SET, &s.is));
}

static void system_v_messages(void)
{
	char *hole = pages_with_a_hole(RW) + 2 * 4096;

	queue = DO(msgget(IPC_PRIVATE, 0600));
	away();
	fill(out.text, sizeof(out.text), 1);
	TRAVELS(send_and_receive, 12);
	TRAVELS(ask_queue, 2);
	/* What is cut, and what does not fit. */
	out.type = 3;
	DO(msgsnd(queue, &out, 50, 0));
	EQUAL(msgrcv(queue, &in, 10, 0, 0), -1);
	EQUAL(errno, E2BIG);
	memset(&in, 0x55, sizeof(in));
	EQUAL(msgrcv(queue, &in, 10, 0, MSG_NOERROR), 10);
	CHECK(!memcmp(in.text, out.text, 10));
	CHECK(untouched(in.text, sizeof(in.text), 0, 10, 0x55));
	out.type = 0;
	EQUAL(msgsnd(queue, &out, 1, 0), -1);
	EQUAL(errno, EINVAL);
	EQUAL(msgsnd(queue, &out, -1, 0), -1);
	EQUAL(errno, EINVAL);
	/* Faults: of the text to send; of the place to receive, where the message is lost. */
	memset(hole - 100, 0x55, 100);
	EQUAL(msgsnd(queue, hole - 12, 5, 0), -1);
	EQUAL(errno, EFAULT);
	EQUAL(msgsnd(queue, hole - 4, 0, 0), -1);
	EQUAL(errno, EFAULT);
	out.type = 7;
	DO(msgsnd(queue, &out, 20, 0));
	EQUAL(msgrcv(queue, hole - 20, 20, 0, 0), -1);
	EQUAL(errno, EFAULT);
	EQUAL(*(long *)(hole - 20), 7);
	EQUAL(msgrcv(queue, &in, 20, 0, IPC_NOWAIT), -1);
	EQUAL(errno, ENOMSG);
	/* A place that is large enough for what comes. */
	DO(msgsnd(queue, &out, 12, 0));
	EQUAL(msgrcv(queue, hole - 20, 20, 0, 0), 12);
	CHECK(!memcmp(hole - 12, out.text, 12));
	DO(msgctl(queue, IPC_RMID, NULL));
}

static int64_t send_one(void *unused)
{
	struct { long type; char text[4]; } m = { 5, "abc" };

	(void)unused;
	return msgsnd(queue, &m, 4, 0);
}

static void ask_partner(void *partner)
{
	if (partner_ask(partner))
		_exit(1);
}

/* What waits for a message is moved meanwhile. */
static void message_waited_for(void)
{
	struct partner sender;
	pid_t helper;

	queue = DO(msgget(IPC_PRIVATE, 0600));
	partner_start(&sender, send_one, NULL);
	away();
	memset(&in, 0x55, sizeof(in));
	helper = later(700, ask_partner, &sender);
	during("60 H 60 A 60 H 60 A");
	EQUAL(msgrcv(queue, &in, 100, 5, 0), 4);
	during_end();
	CHECK(in.type == 5 && !strcmp(in.text, "abc"));
	CHECK(untouched(in.text, sizeof(in.text), 0, 4, 0x55));
	reap(helper);
	partner_end(&sender);
	DO(msgctl(queue, IPC_RMID, NULL));
}

static void add_and_take(void)
{
	struct sembuf add[3] = { { 0, 2, 0 }, { 1, 3, 0 }, { 2, 4, 0 } };
	struct sembuf take[3] = { { 0, -2, 0 }, { 1, -3, 0 }, { 2, -4, 0 } };
	struct sembuf more = { 1, -1, 0 };
	struct timespec limit = { 0, 1000000 };

	DO(semop(set, add, 3));
	EQUAL(semctl(set, 1, GETVAL), 3);
	DO(semtimedop(set, take, 3, &limit));
	EQUAL(semtimedop(set, &more, 1, &limit), -1);
	EQUAL(errno, EAGAIN);
	more.sem_num = 9;
	EQUAL(semop(set, &more, 1), -1);
	EQUAL(errno, EFBIG);
}

static void ask_set(void)
{
	struct { struct semid_ds is; char behind[16]; } s;
	unsigned short values[3] = { 7, 8, 9 }, got[3] = { 0 };

	memset(&s, 0x55, sizeof(s));
	DO(semctl(set, 0, IPC_STAT, &s.is));
	EQUAL(s.is.sem_nsems, 3);
	CHECK(untouched(s.behind, sizeof(s.behind), 0, 0, 0x55));
	DO(semctl(set, 0, IPC_SET, &s.is));
	/* Only the kernel knows how many there are: in place. */
	DO(semctl(set, 0, SETALL, values));
	DO(semctl(set, 0, GETALL, got));
	CHECK(!memcmp(values, got, sizeof(got)));
	memset(values, 0, sizeof(values));
	DO(semctl(set, 0, SETALL, values));
}

static void semaphores(void)
{
	set = DO(semget(IPC_PRIVATE, 3, 0600));
	away();
	TRAVELS(add_and_take, 4);
	for (int i = 0; i < 5; i++)
		ask_set();
	EQUAL(semop(set, (void *)8, 1), -1);
	EQUAL(errno, EFAULT);
	EQUAL(syscall(SYS_semop, set, NULL, 0), -1);
	EQUAL(errno, EINVAL);
	EQUAL(syscall(SYS_semop, set, &in, 1u << 31), -1);
	EQUAL(errno, E2BIG);
	EQUAL(semctl(set, 0, IPC_STAT, (void *)8), -1);
	EQUAL(errno, EFAULT);
	DO(semctl(set, 0, IPC_RMID));
}

static void ask_segment(void)
{
	struct { struct shmid_ds is; char behind[16]; } s;

	memset(&s, 0x55, sizeof(s));
	DO(shmctl(segment, IPC_STAT, &s.is));
	EQUAL(s.is.shm_segsz, 5000);
	CHECK(untouched(s.behind, sizeof(s.behind), 0, 0, 0x55));
	DO(shmctl(segment, IPC_SET, &s.is));
}

static void segments(void)
{
	segment = DO(shmget(IPC_PRIVATE, 5000, 0600));
	away();
	TRAVELS(ask_segment, 2);
	DO(shmctl(segment, IPC_RMID, NULL));
}

/* ---- POSIX ---- */

static void send_and_receive_posix(void)
{
	struct timespec limit;
	struct mq_attr attributes, was;
	char text[32], got[64];
	unsigned int priority = 0;

	memset(text, 'x', sizeof(text));
	memset(got, 0x55, sizeof(got));
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 60;
	DO(mq_timedsend(posix_queue, text, 20, 9, &limit));
	EQUAL(mq_timedreceive(posix_queue, got, sizeof(got), &priority, &limit), 20);
	EQUAL(priority, 9);
	CHECK(!memcmp(got, text, 20) && untouched(got, sizeof(got), 0, 20, 0x55));
	DO(mq_getattr(posix_queue, &attributes));
	CHECK(attributes.mq_maxmsg == 4 && attributes.mq_msgsize == 64);
	attributes.mq_flags = O_NONBLOCK;
	DO(mq_setattr(posix_queue, &attributes, &was));
	EQUAL(was.mq_flags, 0);
	EQUAL(mq_receive(posix_queue, got, sizeof(got), NULL), -1);
	EQUAL(errno, EAGAIN);
	DO(mq_setattr(posix_queue, &was, NULL));
	EQUAL(mq_receive(posix_queue, got, 10, NULL), -1);
	EQUAL(errno, EMSGSIZE);
}

static void posix_messages(void)
{
	struct mq_attr attributes = { .mq_maxmsg = 4, .mq_msgsize = 64 };
	struct sigevent none = { .sigev_notify = SIGEV_NONE };
	char name[32], *hole = pages_with_a_hole(RW) + 2 * 4096;
	unsigned int priority = 5;

	snprintf(name, sizeof(name), "/st-inline-%d", getpid());
	away();
	posix_queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	if (posix_queue < 0)
		skip("mq_open: %s", strerror(errno));
	DO(mq_unlink(name));
	TRAVELS(send_and_receive_posix, 7);
	DO(mq_notify(posix_queue, &none));
	DO(mq_send(posix_queue, name, 20, 3));
	memset(hole - 64, 0x55, 64);
	EQUAL(mq_receive(posix_queue, hole - 60, 64, &priority), 20);
	CHECK(!memcmp(hole - 60, name, 20));
	DO(mq_send(posix_queue, name, 20, 3));
	EQUAL(syscall(SYS_mq_timedreceive, posix_queue, hole - 10, 64, &priority, NULL), -1);
	EQUAL(errno, EFAULT);
	EQUAL(priority, 3);
	EQUAL(syscall(SYS_mq_timedsend, posix_queue, hole - 10, 20, 1, NULL), -1);
	EQUAL(errno, EFAULT);
}

/* ---- many messages at once ---- */

enum { MANY = 4 };

static void datagrams(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	socklen_t len = sizeof(to);

	a = DO(socket(AF_INET, SOCK_DGRAM, 0));
	b = DO(socket(AF_INET, SOCK_DGRAM, 0));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	DO(bind(b, (void *)&to, sizeof(to)));
	DO(getsockname(b, (void *)&to, &len));
	DO(connect(a, (void *)&to, sizeof(to)));
}

static void send_and_receive_many(void)
{
	struct mmsghdr m[MANY] = { };
	struct iovec v[MANY];
	struct sockaddr_in from[MANY];
	struct timespec limit = { 50, 0 };
	char got[MANY][100];

	for (int i = 0; i < MANY; i++) {
		v[i] = (struct iovec){ out.text + 10 * i, 20 + i };
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
	EQUAL(recvmmsg(b, m, MANY, MSG_DONTWAIT, &limit), MANY);
	for (int i = 0; i < MANY; i++) {
		CHECK(!memcmp(got[i], out.text + 10 * i, m[i].msg_len));
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
	struct iovec good = { in.text, 100 }, bad = { (void *)8, 100 };
	struct mmsghdr many[70] = { };

	datagrams();
	away();
	fill(out.text, sizeof(out.text), 2);
	TRAVELS(send_and_receive_many, 3);
	/* The second is bad: the first has been sent, and its length is told. */
	memset(in.text, 0x33, 200);
	for (int i = 0; i < 70; i++)
		many[i].msg_hdr = (struct msghdr){ .msg_iov = &good, .msg_iovlen = 1 };
	many[1].msg_hdr.msg_iov = &bad;
	many[1].msg_len = 77;
	EQUAL(sendmmsg(a, many, 3, 0), 1);
	CHECK(many[0].msg_len == 100 && many[1].msg_len == 77);
	EQUAL(recv(b, in.text + 500, 200, 0), 100);
	/* More than there are places for. */
	many[1].msg_hdr.msg_iov = &good;
	good.iov_len = 1;
	EQUAL(sendmmsg(a, many, 70, 0), 70);
	for (int i = 0; i < 70; i++) {
		EQUAL(many[i].msg_len, 1);
		EQUAL(recv(b, in.text, 200, 0), 1);
	}
	/* An array that is not all there: what is there is sent. */
	memcpy(hole - sizeof(*many), many, sizeof(*many));
	EQUAL(sendmmsg(a, (void *)(hole - sizeof(*many)), 2, 0), 1);
	EQUAL(recv(b, in.text, 200, 0), 1);
	EQUAL(sendmmsg(a, (void *)8, 2, 0), -1);
	EQUAL(errno, EFAULT);
	EQUAL(recvmmsg(b, many, 2, MSG_DONTWAIT, (void *)8), -1);
	EQUAL(errno, EFAULT);
}

/* ---- options of sockets ---- */

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

	datagrams();
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

	datagrams();
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
	datagrams();
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
	CASE(system_v_messages), CASE(message_waited_for), CASE(semaphores), CASE(segments),
	CASE(posix_messages), CASE(many_at_once), CASE(options), CASE(filter_is_told),
	CASE(sources_are_told), CASE(pair_that_fails),
	{ }
};

int main(int argc, char **argv)
{
	return harness_main(argc, argv, cases);
}

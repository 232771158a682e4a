// SPDX-License-Identifier: GPL-2.0
/*
 * Messages and semaphores, of System V and of POSIX: what travels with the calls, and what
 * must not.
 */
#include "harness.h"

#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <time.h>

#define RW (PROT_READ | PROT_WRITE)

struct text {
	long type;
	char text[8200];
};

/* What the functions of TRAVELS() work with. */
static int queue, set, segment;
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

static const struct test_case cases[] = {
	CASE(system_v_messages), CASE(message_waited_for), CASE(semaphores), CASE(segments),
	CASE(posix_messages),
	{ }
};

int main(int argc, char **argv)
{
	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/* As blocking.c, for sockets, locks, System V IPC and event descriptors. */
#include "harness.h"
#include "blocking.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tipc.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int listener(struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = DO(socket(AF_INET, SOCK_STREAM, 0));

	*address = (struct sockaddr_in){ .sin_family = AF_INET };
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	DO(bind(fd, (void *)address, sizeof(*address)));
	DO(listen(fd, 5));
	DO(getsockname(fd, (void *)address, &length));
	return fd;
}

static void connect_and_send(void *address)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, address, sizeof(struct sockaddr_in)) || write(fd, "hello", 5) != 5)
		_exit(1);
	sleep_ms(EVENT_MS);
	if (write(fd, "world", 5) != 5)
		_exit(1);
}

static void accept_and_receive(void)
{
	struct sockaddr_in address;
	int fd, server = listener(&address);
	pid_t helper = event(connect_and_send, &address);
	char text[10];

	during(MOVES_AT_ONCE " 300 h 60 a 60 h");
	fd = DO(accept(server, NULL, NULL));
	EQUAL(recv(fd, text, sizeof(text), MSG_WAITALL), 10);
	CHECK(!memcmp(text, "helloworld", 10));
	during_end();
	reap(helper);
}

static void receive_timeout(void)
{
	struct timeval limit = { 0, SHORT_MS * 1000l };
	int pair[2];
	char byte;

	DO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	DO(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	blocked(MOVES);
	EQUAL(recv(pair[0], &byte, 1, 0), -1);
	EQUAL(errno, EAGAIN);
	gone_in_the_end();
}

static void send_byte(void *fd)
{
	if (send(*(int *)fd, "x", 1, 0) != 1)
		_exit(1);
}

/* A socket without a time limit is restarted as a pipe is. */
static void receive(void)
{
	pid_t helper;
	char byte = 0;
	int pair[2];

	DO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	helper = event(send_byte, &pair[1]);
	during(MOVES_AT_ONCE);
	EQUAL(recv(pair[0], &byte, 1, 0), 1);
	EQUAL(byte, 'x');
	during_end();
	reap(helper);
}

static void send_half(void *fd)
{
	if (send(*(int *)fd, "half", 4, 0) != 4)
		_exit(1);
}

/* A part of what it wants has come already: not told before the rest is there. */
static void receive_low_water(void)
{
	int pair[2], enough = 8;
	char text[9] = "";
	pid_t helper;

	DO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	DO(setsockopt(pair[0], SOL_SOCKET, SO_RCVLOWAT, &enough, sizeof(enough)));
	EQUAL(send(pair[1], "one ", 4, 0), 4);
	helper = event(send_half, &pair[1]);
	during(MOVES);
	EQUAL(read(pair[0], text, 8), 8);
	CHECK(!strcmp(text, "one half"));
	gone_in_the_end();
	reap(helper);
}

/*
 * Where the thread's socket was, another one puts the name of a socket, which has no time limit
 * that could be looked at. The call is restarted, and finds that.
 */
static void socket_is_replaced(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int pair[2], name, named = DO(socket(AF_UNIX, SOCK_STREAM, 0));
	char byte = 0;
	ssize_t got;
	pid_t child;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", own_directory());
	DO(bind(named, (void *)&address, sizeof(address)));
	name = DO(open(address.sun_path, O_PATH));
	DO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	warm_up();
	child = DO(syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0));
	if (!child) {
		while (!sleeps_in(getppid(), SYS_recvfrom))
			sleep_ms(10);
		DO(dup2(name, pair[0]));
		during("%d:A", getppid());
		during_end();
		/* To nobody, if the call has been made again. */
		_exit(send(pair[1], "x", 1, MSG_NOSIGNAL) != 1 && errno != EPIPE);
	}
	got = recv(pair[0], &byte, 1, 0);
	if (moving()) {
		EQUAL(got, -1);
		EQUAL(errno, EBADF);
	} else {
		EQUAL(got, 1);
	}
	reap(child);
}

static void accept_and_read(void *server)
{
	int fd = accept(*(int *)server, NULL, NULL);
	char byte;

	if (fd < 0 || read(fd, &byte, 1) != 1)
		_exit(1);
}

/* A connection that is there when it is accepted; who is interrupted before has EINTR. */
static void connect_until_accepted(void)
{
	struct sockaddr_tipc name = {
		.family = AF_TIPC, .addrtype = TIPC_SERVICE_ADDR, .scope = TIPC_NODE_SCOPE,
		.addr.name.name = { .type = 7777, .instance = getpid() },
	};
	int server, fd;
	pid_t helper;

	server = system("modprobe -q tipc") == -1 ? -1 : socket(AF_TIPC, SOCK_STREAM, 0);
	if (server < 0)
		skip("no TIPC: %s", strerror(errno));
	DO(bind(server, (void *)&name, sizeof(name)));
	DO(listen(server, 1));
	fd = DO(socket(AF_TIPC, SOCK_STREAM, 0));
	helper = event(accept_and_read, &server);
	during(MOVES);
	EQUAL(connect(fd, (void *)&name, sizeof(name)), 0);
	gone_in_the_end();
	EQUAL(write(fd, "x", 1), 1);
	reap(helper);
}

/* A network of its own in which nobody answers. */
static void deaf_network(void)
{
	if (unshare(CLONE_NEWNET))
		skip("unshare: %s", strerror(errno));
	if (system("(ip link add dummy0 type dummy && ip address add 10.77.0.1/24 dev dummy0 && "
		   "ip link set dummy0 up) 2>/dev/null"))
		skip("no dummy device");
}

/* Who calls again while it is being connected has EALREADY. */
static void connect_to_nobody(void)
{
	struct sockaddr_in nobody = {
		.sin_family = AF_INET, .sin_port = htons(7777),
		.sin_addr.s_addr = htonl(0x0a4d0002),
	};
	int fd;

	need_root();
	if (system("modprobe -q sctp") || access("/proc/sys/net/sctp", F_OK))
		skip("no SCTP");
	deaf_network();
	/* A socket that is made from here on gives up after some seconds. */
	write_text("/proc/sys/net/sctp/rto_initial", "1000");
	write_text("/proc/sys/net/sctp/max_init_retransmits", "2");
	fd = DO(socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP));
	blocked("60 a");
	EQUAL(connect(fd, (void *)&nobody, sizeof(nobody)), -1);
	EQUAL(errno, ETIMEDOUT);
	gone_in_the_end();
}

/* Has a lock from when this returns, for EVENT_MS. */
static pid_t hold(bool (*take)(int), const char *path)
{
	int held[2], fd;
	pid_t holder;
	char byte;

	DO(pipe(held));
	holder = DO(fork());
	if (!holder) {
		fd = open(path, O_RDWR);
		if (fd < 0 || !take(fd) || write(held[1], "x", 1) != 1)
			_exit(1);
		sleep_ms(EVENT_MS);
		_exit(0);
	}
	close(held[1]);
	EQUAL(read(held[0], &byte, 1), 1);
	return holder;
}

static bool lock_file(int fd)
{
	return !flock(fd, LOCK_EX);
}

static bool lock_byte(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

	return !fcntl(fd, F_SETLKW, &lock);
}

/* What another one holds is waited for, and had when that one has ended. */
static void lock_wait(bool (*take)(int))
{
	char path[] = "/tmp/st-lock-XXXXXX";
	uint64_t start;
	pid_t holder;
	int fd = DO(mkstemp(path));

	warm_up();
	start = now_ns();
	holder = hold(take, path);
	during(MOVES_AT_ONCE);
	CHECK(take(fd));
	CHECK(now_ns() - start >= EVENT_MS * 1000000ull - NODES_APART_NS);
	during_end();
	reap(holder);
	unlink(path);
}

static void flock_wait(void)
{
	lock_wait(lock_file);
}

static void record_lock_wait(void)
{
	lock_wait(lock_byte);
}

/* Whoever reads it is there all the time, though it is asked away. */
static void open_fifo(void *path)
{
	int fd;

	while (!sleeps_in(getppid(), SYS_openat))
		sleep_ms(10);
	fd = open(path, O_WRONLY | O_NONBLOCK);
	if (fd < 0 || write(fd, "x", 1) != 1)
		_exit(1);
}

static void open_fifo_wait(void)
{
	char path[64], byte;
	pid_t helper;
	int fd;

	snprintf(path, sizeof(path), "/tmp/st-fifo-%d", getpid());
	DO(mkfifo(path, 0600));
	helper = event(open_fifo, path);
	during(MOVES);
	fd = DO(open(path, O_RDONLY));
	EQUAL(read(fd, &byte, 1), 1);
	gone_in_the_end();
	reap(helper);
	unlink(path);
}

static void send_message(void *queue)
{
	struct { long type; char text[4]; } message = { 3, "abc" };

	if (msgsnd(*(int *)queue, &message, 4, 0))
		_exit(1);
}

static void msgrcv_wait(void)
{
	struct { long type; char text[4]; } message;
	int queue = DO(msgget(IPC_PRIVATE, 0600));
	pid_t helper = event(send_message, &queue);

	during(MOVES_AT_ONCE);
	EQUAL(msgrcv(queue, &message, 4, 3, 0), 4);
	during_end();
	reap(helper);
	msgctl(queue, IPC_RMID, NULL);
}

static void raise_semaphore(void *set)
{
	struct sembuf up = { .sem_num = 0, .sem_op = 1 };

	if (semop(*(int *)set, &up, 1))
		_exit(1);
}

static void semop_wait(void)
{
	struct sembuf down = { .sem_num = 0, .sem_op = -1 };
	int set = DO(semget(IPC_PRIVATE, 1, 0600));
	pid_t helper;

	DO(semctl(set, 0, SETVAL, 0));
	helper = event(raise_semaphore, &set);
	during(MOVES);
	EQUAL(semop(set, &down, 1), 0);
	gone_in_the_end();
	reap(helper);
	semctl(set, 0, IPC_RMID);
}

static void timerfd_wait(void)
{
	struct itimerspec when = { .it_value = { 0, SHORT_MS * 1000000l } };
	int fd = DO(timerfd_create(CLOCK_MONOTONIC, 0));
	uint64_t ticks = 0;

	DO(timerfd_settime(fd, 0, &when, NULL));
	blocked(MOVES_AT_ONCE);
	EQUAL(read(fd, &ticks, sizeof(ticks)), sizeof(ticks));
	EQUAL(ticks, 1);
	during_end();
}

static void add_event(void *fd)
{
	uint64_t seven = 7;

	if (write(*(int *)fd, &seven, sizeof(seven)) != sizeof(seven))
		_exit(1);
}

static void eventfd_wait(void)
{
	int fd = DO(eventfd(0, 0));
	pid_t helper = event(add_event, &fd);
	uint64_t value = 0;

	during(MOVES_AT_ONCE);
	EQUAL(read(fd, &value, sizeof(value)), sizeof(value));
	EQUAL(value, 7);
	during_end();
	reap(helper);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(accept_and_receive), CASE(receive_timeout), CASE(receive),
		CASE(receive_low_water), CASE(socket_is_replaced), CASE(connect_until_accepted),
		CASE(connect_to_nobody), CASE(flock_wait), CASE(record_lock_wait),
		CASE(open_fifo_wait), CASE(msgrcv_wait), CASE(semop_wait), CASE(timerfd_wait),
		CASE(eventfd_wait),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

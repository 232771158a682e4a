// SPDX-License-Identifier: GPL-2.0
/* Descriptors that tell of something: epoll, events, timers, signals, files, processes. */
#include "caught.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

static void epoll_edges(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = 0x123456789a }, got[4];
	int ends[2], epoll = DO(epoll_create1(EPOLL_CLOEXEC));

	DO(pipe(ends));
	away();
	DO(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
	EQUAL(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event), -1);
	EQUAL(errno, EEXIST);
	EQUAL(write(ends[1], "x", 1), 1);
	EQUAL(epoll_wait(epoll, got, 4, 2000), 1);
	EQUAL(got[0].data.u64, 0x123456789a);
	EQUAL(epoll_wait(epoll, got, 4, 0), 0);	/* told once */
	home();
	EQUAL(write(ends[1], "x", 1), 1);
	EQUAL(epoll_wait(epoll, got, 4, 2000), 1);
	away();
	event.events = EPOLLIN | EPOLLONESHOT;
	DO(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &event));
	EQUAL(epoll_wait(epoll, got, 4, 2000), 1);
	EQUAL(write(ends[1], "x", 1), 1);
	EQUAL(epoll_wait(epoll, got, 4, 0), 0);
	DO(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &event));
	EQUAL(epoll_wait(epoll, got, 4, 2000), 1);
	DO(epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], NULL));
	EQUAL(epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], NULL), -1);
	EQUAL(errno, ENOENT);
}

/* One epoll in another; the inner one is ready, so the outer is. */
static void epoll_nested(void)
{
	int event_fd = DO(eventfd(0, 0)), inner = DO(epoll_create1(0)), outer = DO(epoll_create1(0));
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = 1 }, got;
	struct timespec none = { 0, 0 };
	uint64_t one = 1;

	DO(epoll_ctl(inner, EPOLL_CTL_ADD, event_fd, &event));
	away();
	event.data.u32 = 2;
	DO(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event));
	EQUAL(epoll_ctl(inner, EPOLL_CTL_ADD, outer, &event), -1);
	EQUAL(errno, ELOOP);
	EQUAL(epoll_pwait2(outer, &got, 1, &none, NULL), 0);
	EQUAL(write(event_fd, &one, 8), 8);
	EQUAL(epoll_wait(outer, &got, 1, 2000), 1);
	EQUAL(got.data.u32, 2);
	EQUAL(epoll_pwait(inner, &got, 1, 0, NULL), 1);
	EQUAL(got.data.u32, 1);
	EQUAL(read(event_fd, &one, 8), 8);
	EQUAL(epoll_wait(outer, &got, 1, 0), 0);
}

static void eventfd_counts(void)
{
	int fd, counter;
	uint64_t value = 3;

	away();
	fd = DO(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
	EQUAL(write(fd, &value, 8), 8);
	for (int i = 0; i < 5; i++) {
		EQUAL(read(fd, &value, 8), 8);
		EQUAL(value, 1);
		if (i == 2)
			home();
	}
	away();
	EQUAL(read(fd, &value, 8), -1);
	EQUAL(errno, EAGAIN);
	counter = DO(eventfd(5, EFD_NONBLOCK));
	value = UINT64_MAX - 1;
	EQUAL(write(counter, &value, 8), -1);
	EQUAL(errno, EAGAIN);
	value = UINT64_MAX;
	EQUAL(write(counter, &value, 8), -1);
	EQUAL(errno, EINVAL);
	EQUAL(read(counter, &value, 8), 8);
	EQUAL(value, 5);
}

static void timerfd_ticks(void)
{
	struct itimerspec every = { { 0, 20000000 }, { 0, 20000000 } }, left;
	int fd = DO(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	uint64_t ticks = 0, start, took;

	away();
	start = now_ns();
	DO(timerfd_settime(fd, 0, &every, NULL));
	compute_ms(100);
	EQUAL(read(fd, &ticks, 8), 8);
	took = now_ns() - start;
	CHECK(ticks >= 4 && ticks <= took / 20000000 + 1);
	DO(timerfd_gettime(fd, &left));
	EQUAL(left.it_interval.tv_nsec, 20000000);
	CHECK(left.it_value.tv_nsec <= 20000000);
	memset(&every, 0, sizeof(every));
	DO(timerfd_settime(fd, 0, &every, &left));
	EQUAL(left.it_interval.tv_nsec, 20000000);
	home();
	DO(timerfd_gettime(fd, &left));
	EQUAL(left.it_value.tv_nsec, 0);
}

static struct timespec date(void)
{
	struct timespec now;

	DO(clock_gettime(CLOCK_REALTIME, &now));
	return now;
}

/* At a date; who waits for it is moved meanwhile, and hears of it once, and not before. */
static void timerfd_at_a_date(void)
{
	int fd = DO(timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC));
	struct itimerspec at = { 0 }, left;
	struct timespec now;
	uint64_t ticks = 0;

	away();
	for (int cancelled = 0; cancelled < 2; cancelled++) {
		at.it_value = date();
		at.it_value.tv_nsec += 400000000;
		at.it_value.tv_sec += at.it_value.tv_nsec / 1000000000;
		at.it_value.tv_nsec %= 1000000000;
		/* That it would be told of a date that is set changes nothing else. */
		DO(timerfd_settime(fd, TFD_TIMER_ABSTIME | (cancelled ? TFD_TIMER_CANCEL_ON_SET : 0),
				   &at, NULL));
		DO(timerfd_gettime(fd, &left));
		CHECK(left.it_value.tv_sec == 0 && left.it_value.tv_nsec <= 400000000 + NODES_APART_NS);
		during("60 a 60 h 60 a");
		EQUAL(read(fd, &ticks, 8), 8);
		now = date();
		during_end();
		EQUAL(ticks, 1);
		CHECK((now.tv_sec - at.it_value.tv_sec) * 1000000000ll + now.tv_nsec -
		      at.it_value.tv_nsec >= -NODES_APART_NS);
	}
	/* One that is over. */
	at.it_value = (struct timespec){ 1, 0 };
	DO(timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, NULL));
	EQUAL(read(fd, &ticks, 8), 8);
	EQUAL(ticks, 1);
}

/* To what it is already. */
static void set_date(void *unused)
{
	struct timespec now = date();

	(void)unused;
	DO(clock_settime(CLOCK_REALTIME, &now));
}

/* Who waits, away, for a date is told that somebody has set it: each time, and once. */
static void date_is_set(void)
{
	enum { AWAY, ARMED_AT_HOME, MOVED, WAYS };
	int fd = DO(timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC)), flags;
	struct itimerspec at = { .it_value = date() }, left;
	uint64_t ticks = 0;
	pid_t setter;

	need_root();
	need_own_machine();
	at.it_value.tv_sec += 100000;
	for (int way = AWAY; way < WAYS; way++) {
		if (way == ARMED_AT_HOME)
			home();
		else
			away();
		DO(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, NULL));
		away();
		if (way == MOVED) {
			setter = later(400, set_date, NULL);
			during("60 a 60 h 60 a");
		} else {
			setter = when_in(SYS_read, set_date, NULL);
		}
		EQUAL(read(fd, &ticks, 8), -1);
		EQUAL(errno, ECANCELED);
		if (way == MOVED)
			during_end();
		reap(setter);
		/* It goes on. */
		DO(timerfd_gettime(fd, &left));
		CHECK(left.it_value.tv_sec > 99000);
		flags = DO(fcntl(fd, F_GETFL));
		DO(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
		EQUAL(read(fd, &ticks, 8), -1);
		EQUAL(errno, EAGAIN);
		set_date(NULL);
		EQUAL(read(fd, &ticks, 8), -1);
		EQUAL(errno, ECANCELED);
		DO(fcntl(fd, F_SETFL, flags));
	}
}

/* Queued signals, in order of their numbers, each with who sent it and what. */
static void signalfd_tells(void)
{
	struct signalfd_siginfo info[4];
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigaddset(&set, SIGUSR2);
	DO(sigprocmask(SIG_BLOCK, &set, NULL));
	away();
	fd = DO(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
	EQUAL(read(fd, info, sizeof(info)), -1);
	EQUAL(errno, EAGAIN);
	DO(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = 11 }));
	DO(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = 22 }));
	DO(kill(getpid(), SIGUSR2));
	EQUAL(read(fd, info, sizeof(info)), 3 * sizeof(*info));
	EQUAL(info[0].ssi_signo, SIGUSR2);
	EQUAL(info[0].ssi_pid, getpid());
	EQUAL(info[0].ssi_code, SI_USER);
	EQUAL(info[1].ssi_int, 11);
	EQUAL(info[2].ssi_int, 22);
	EQUAL(info[2].ssi_code, SI_QUEUE);
	EQUAL(read(fd, info, sizeof(info)), -1);
}

/* The next event has to be this one; gives its cookie. */
static uint32_t next_event(int fd, uint32_t mask, const char *name)
{
	static char buffer[4096] __attribute__((aligned(8)));
	static size_t at, end;
	struct inotify_event *event;

	if (at == end) {
		end = DO(read(fd, buffer, sizeof(buffer)));
		at = 0;
	}
	event = (void *)(buffer + at);
	at += sizeof(*event) + event->len;
	EQUAL(event->mask, mask);
	if (strcmp(event->len ? event->name : "", name))
		fail(__FILE__, __LINE__, "'%s', not '%s'", event->len ? event->name : "", name);
	return event->cookie;
}

static void make_files(void *unused)
{
	(void)unused;
	write_text("by_another", "x");
}

static void inotify_order(void)
{
	uint32_t watched = IN_CREATE | IN_DELETE | IN_MOVE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB;
	uint32_t cookie;
	pid_t helper;
	int fd, watch;

	own_directory();
	away();
	fd = DO(inotify_init1(IN_CLOEXEC));
	watch = DO(inotify_add_watch(fd, ".", watched));
	write_text("one", "text");
	DO(rename("one", "two"));
	DO(chmod("two", 0600));
	DO(unlink("two"));
	next_event(fd, IN_CREATE, "one");
	next_event(fd, IN_MODIFY, "one");
	next_event(fd, IN_CLOSE_WRITE, "one");
	cookie = next_event(fd, IN_MOVED_FROM, "one");
	CHECK(cookie);
	EQUAL(next_event(fd, IN_MOVED_TO, "two"), cookie);
	next_event(fd, IN_ATTRIB, "two");
	next_event(fd, IN_DELETE, "two");
	helper = later(100, make_files, NULL);
	next_event(fd, IN_CREATE, "by_another");
	reap(helper);
	DO(inotify_rm_watch(fd, watch));
	EQUAL(inotify_rm_watch(fd, watch), -1);
	EQUAL(errno, EINVAL);
}

static int fanotify(unsigned int class, uint64_t mask, const char *path)
{
	int fd = fanotify_init(class | FAN_CLOEXEC, O_RDONLY);

	if (fd < 0)
		skip("fanotify_init: %s", strerror(errno));
	if (fanotify_mark(fd, FAN_MARK_ADD, mask, AT_FDCWD, path))
		skip("fanotify_mark: %s", strerror(errno));
	return fd;
}

/* The watcher, away, is told by whom, and gets the file open. */
static void fanotify_events(void)
{
	struct fanotify_event_metadata event;
	const char *directory = own_directory();
	char path[64], target[PATH_MAX] = "", expected[PATH_MAX];
	pid_t child;
	int fd;

	write_text("watched", "content");
	away();
	fd = fanotify(FAN_CLASS_NOTIF, FAN_OPEN | FAN_CLOSE_NOWRITE, "watched");
	child = DO(fork());
	if (!child) {
		away();
		DO(close(DO(open("watched", O_RDONLY))));
		_exit(0);
	}
	reap(child);
	EQUAL(read(fd, &event, sizeof(event)), sizeof(event));
	EQUAL(event.pid, child);
	CHECK(event.mask & FAN_OPEN);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", event.fd);
	DO(readlink(path, target, sizeof(target) - 1));
	snprintf(expected, sizeof(expected), "%s/watched", directory);
	CHECK(!strcmp(target, expected));
}

/* Who is away opens only what another permits, and waits for it. */
static void permission_is_asked(void)
{
	struct fanotify_event_metadata event;
	struct fanotify_response answer;
	int fd, file;
	pid_t judge;

	own_directory();
	write_text("judged", "content");
	fd = fanotify(FAN_CLASS_CONTENT, FAN_OPEN_PERM, "judged");
	judge = DO(fork());
	if (!judge) {
		for (int i = 0; i < 2; i++) {
			EQUAL(read(fd, &event, sizeof(event)), sizeof(event));
			EQUAL(event.pid, getppid());
			EQUAL(event.mask, FAN_OPEN_PERM);
			sleep_ms(100);
			answer = (struct fanotify_response){ event.fd, i ? FAN_ALLOW : FAN_DENY };
			EQUAL(write(fd, &answer, sizeof(answer)), sizeof(answer));
			close(event.fd);
		}
		_exit(0);
	}
	DO(close(fd));
	away();
	EQUAL(open("judged", O_RDONLY), -1);
	EQUAL(errno, EPERM);
	file = DO(open("judged", O_RDONLY));
	DO(close(file));
	reap(judge);
}

/* The oldest way to hear of a change in a directory. */
static void directory_signal(void)
{
	int fd;

	own_directory();
	handle(SIGRTMIN + 2);
	fd = DO(open(".", O_RDONLY | O_DIRECTORY));
	away();
	DO(fcntl(fd, F_SETSIG, SIGRTMIN + 2));
	if (fcntl(fd, F_NOTIFY, DN_CREATE))
		skip("F_NOTIFY: %s", strerror(errno));
	write_text("new", "x");
	await_signal(SIGRTMIN + 2);
	EQUAL(caught_info.si_fd, fd);
}

static void wait_for_key(int end)
{
	char byte;

	CHECK(read(end, &byte, 1) == 1);
}

static void pidfd_of_another(void)
{
	struct pollfd ready;
	siginfo_t info = { 0 };
	int ends[2], fd, copy;
	pid_t child;

	DO(pipe(ends));
	child = DO(fork());
	if (!child) {
		wait_for_key(ends[0]);
		_exit(33);
	}
	away();
	fd = DO(syscall(SYS_pidfd_open, child, 0));
	ready = (struct pollfd){ .fd = fd, .events = POLLIN };
	EQUAL(poll(&ready, 1, 0), 0);
	DO(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	copy = DO(syscall(SYS_pidfd_getfd, fd, ends[1], 0));
	EQUAL(write(copy, "x", 1), 1);
	EQUAL(poll(&ready, 1, 60000), 1);
	EQUAL(waitid((idtype_t)P_PIDFD, fd, &info, WEXITED), 0);
	EQUAL(info.si_status, 33);
	EQUAL(info.si_pid, child);
	EQUAL(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), -1);
	EQUAL(errno, ESRCH);
}

/* Of a process that is away: signals reach it, and its end is seen. */
static void pidfd_of_who_is_away(void)
{
	siginfo_t info = { .si_signo = SIGTERM, .si_code = SI_QUEUE };
	struct pollfd ready;
	int fd, status;
	pid_t child;

	child = DO(fork());
	if (!child)
		for (;;)
			compute_checked(1000);
	fd = DO(syscall(SYS_pidfd_open, child, 0));
	away_pid(child);
	info.si_pid = getpid();
	DO(syscall(SYS_pidfd_send_signal, fd, SIGTERM, &info, 0));
	ready = (struct pollfd){ .fd = fd, .events = POLLIN };
	EQUAL(poll(&ready, 1, 60000), 1);
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(status, SIGTERM);
}

static void send_to_queue(void *name)
{
	mqd_t queue = mq_open(name, O_WRONLY);

	if (queue < 0 || mq_send(queue, "hello", 5, 3))
		_exit(1);
}

static void message_queue(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 4,
				  .sigev_value.sival_int = 77 };
	struct mq_attr attributes = { .mq_maxmsg = 4, .mq_msgsize = 16 };
	struct timespec past = { 1, 0 };
	unsigned int priority;
	char name[32], text[16];
	pid_t helper;
	mqd_t queue;

	snprintf(name, sizeof(name), "/radium-%d", getpid());
	handle(SIGRTMIN + 4);
	away();
	queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	if (queue < 0)
		skip("mq_open: %s", strerror(errno));
	DO(mq_notify(queue, &event));
	helper = later(50, send_to_queue, name);
	await_signal(SIGRTMIN + 4);
	EQUAL(caught_info.si_value.sival_int, 77);
	reap(helper);
	away();
	DO(mq_send(queue, "urgent", 6, 9));
	EQUAL(mq_receive(queue, text, 16, &priority), 6);
	EQUAL(priority, 9);
	home();
	EQUAL(mq_receive(queue, text, 16, &priority), 5);
	EQUAL(priority, 3);
	CHECK(!memcmp(text, "hello", 5));
	away();
	EQUAL(mq_timedreceive(queue, text, 16, NULL, &past), -1);
	EQUAL(errno, ETIMEDOUT);
	EQUAL(mq_send(queue, text, 17, 0), -1);
	EQUAL(errno, EMSGSIZE);
	helper = later(300, send_to_queue, name);
	during("40 A 40 H 40 A");
	EQUAL(mq_receive(queue, text, 16, NULL), 5);
	during_end();
	reap(helper);
	DO(mq_getattr(queue, &attributes));
	EQUAL(attributes.mq_curmsgs, 0);
	DO(mq_unlink(name));
}

/* poll() sees all kinds at once. */
static void poll_of_many_kinds(void)
{
	struct itimerspec soon = { .it_value.tv_nsec = 1000000 };
	struct pollfd wanted[6];
	int ends[2];

	own_directory();
	away();
	DO(pipe(ends));
	wanted[0] = (struct pollfd){ DO(eventfd(1, 0)), POLLIN | POLLOUT, 0 };
	wanted[1] = (struct pollfd){ DO(timerfd_create(CLOCK_MONOTONIC, 0)), POLLIN, 0 };
	wanted[2] = (struct pollfd){ ends[0], POLLIN, 0 };
	wanted[3] = (struct pollfd){ DO(open("/dev/null", O_RDONLY)), POLLIN, 0 };
	wanted[4] = (struct pollfd){ 999, POLLIN, 0 };
	wanted[5] = (struct pollfd){ -1, POLLIN, 0 };
	DO(timerfd_settime(wanted[1].fd, 0, &soon, NULL));
	DO(close(ends[1]));
	EQUAL(poll(&wanted[1], 1, -1), 1);	/* which takes its time */
	EQUAL(poll(wanted, 6, -1), 5);
	EQUAL(wanted[0].revents, POLLIN | POLLOUT);
	EQUAL(wanted[1].revents, POLLIN);
	EQUAL(wanted[2].revents, POLLHUP);
	EQUAL(wanted[3].revents, POLLIN);
	EQUAL(wanted[4].revents, POLLNVAL);
	EQUAL(wanted[5].revents, 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(epoll_edges), CASE(epoll_nested), CASE(eventfd_counts), CASE(timerfd_ticks),
		CASE(timerfd_at_a_date), CASE(date_is_set), CASE(signalfd_tells),
		CASE(inotify_order), CASE(fanotify_events), CASE(permission_is_asked),
		CASE(directory_signal), CASE(pidfd_of_another),
		CASE(pidfd_of_who_is_away), CASE(message_queue), CASE(poll_of_many_kinds),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/* Terminals: lines, keys, sizes, jobs and hanging up, of a process that is away. */
#include "harness.h"
#include "blocking.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

static int master;

/* A session of its own on a new terminal; the function runs in it, away. */
static pid_t session(void (*function)(void))
{
	pid_t pid = DO(forkpty(&master, NULL, NULL, NULL));

	if (!pid) {
		away();
		function();
		_exit(0);
	}
	return pid;
}

static void type(const char *keys)
{
	EQUAL(write(master, keys, strlen(keys)), strlen(keys));
}

/* Reads what the terminal shows until this has come. */
static void shown(const char *text)
{
	static char seen[4096];
	static size_t length;
	struct pollfd ready = { .fd = master, .events = POLLIN };

	while (!strstr(seen, text)) {
		ssize_t got;

		CHECK(length < sizeof(seen) - 1);
		EQUAL(poll(&ready, 1, 60000), 1);
		got = DO(read(master, seen + length, sizeof(seen) - 1 - length));
		length += got;
		seen[length] = 0;
	}
	memmove(seen, strstr(seen, text) + strlen(text), strlen(strstr(seen, text) + strlen(text)) + 1);
	length = strlen(seen);
}

static void read_lines(void)
{
	char line[64];

	EQUAL(write(1, "ready\n", 6), 6);
	EQUAL(read(0, line, sizeof(line)), 4);
	CHECK(!memcmp(line, "fat\n", 4));
	EQUAL(write(1, "next\n", 5), 5);
	EQUAL(read(0, line, 2), 2);
	EQUAL(read(0, line, sizeof(line)), 2);
	CHECK(!memcmp(line, "d\n", 2));
	EQUAL(write(1, "last\n", 5), 5);
	EQUAL(read(0, line, sizeof(line)), 0);
}

/* Erased characters, a line in two reads, and the end of the file by key. */
static void line_editing(void)
{
	pid_t pid = session(read_lines);

	shown("ready");
	type("fut\177\177at\n");
	shown("next");
	type("abd\n");
	shown("last");
	type("\004");
	reap(pid);
}

static void read_raw(void)
{
	struct termios mode;
	char keys[8];

	DO(tcgetattr(0, &mode));
	CHECK(mode.c_lflag & ICANON);
	cfmakeraw(&mode);
	mode.c_cc[VMIN] = 3;
	mode.c_cc[VTIME] = 0;
	DO(tcsetattr(0, TCSANOW, &mode));
	home();
	DO(tcgetattr(0, &mode));
	EQUAL(mode.c_lflag & (ICANON | ECHO), 0);
	away();
	EQUAL(write(1, "raw", 3), 3);
	EQUAL(read(0, keys, 8), 3);
	CHECK(!memcmp(keys, "\003\032x", 3));
	mode.c_cc[VMIN] = 0;
	mode.c_cc[VTIME] = 1;
	DO(tcsetattr(0, TCSADRAIN, &mode));
	EQUAL(read(0, keys, 8), 0);	/* a tenth of a second later */
}

static void raw_keys(void)
{
	pid_t pid = session(read_raw);

	shown("raw");
	type("\003\032x");
	reap(pid);
}

static void read_raw_slowly(void)
{
	struct termios mode;
	char keys[8];

	DO(tcgetattr(0, &mode));
	cfmakeraw(&mode);
	mode.c_cc[VMIN] = 3;
	mode.c_cc[VTIME] = 0;
	DO(tcsetattr(0, TCSANOW, &mode));
	home();
	EQUAL(write(1, "slow", 4), 4);
	during("100 a 100 h 100 a");
	EQUAL(read(0, keys, 8), 3);
	CHECK(!memcmp(keys, "abc", 3));
	gone_in_the_end();
}

/* One at a time, while the reader is moved, who wants three. */
static void raw_keys_one_by_one(void)
{
	pid_t pid = session(read_raw_slowly);

	shown("slow");
	type("ab");
	sleep_ms(600);
	type("c");
	reap(pid);
}

/* Moved at eight of its ten seconds, which do not begin anew; those would end at eighteen. */
static void read_raw_with_a_limit(void)
{
	struct termios mode;
	uint64_t took;
	char keys[8];

	DO(tcgetattr(0, &mode));
	cfmakeraw(&mode);
	mode.c_cc[VMIN] = 0;
	mode.c_cc[VTIME] = 100;
	DO(tcsetattr(0, TCSANOW, &mode));
	home();
	took = now_ns();
	during("8000 a");
	EQUAL(read(0, keys, 8), 0);
	took = now_ns() - took;
	gone_in_the_end();
	note("it took %d ms", (int)(took / 1000000));
	CHECK(took >= 10000000000 - NODES_APART_NS);
	CHECK(took < 10000000000ull + 7000000000ull * slower());
}

/* Nobody types. */
static void raw_keys_with_a_limit(void)
{
	reap(session(read_raw_with_a_limit));
}

static volatile sig_atomic_t caught;

static void catch(int number)
{
	caught = number;
}

static void see_new_size(void)
{
	struct winsize size;
	uint64_t end = now_ns() + 60000000000ull;

	signal(SIGWINCH, catch);
	EQUAL(write(1, "ready", 5), 5);
	while (!caught && now_ns() < end)
		;
	EQUAL(caught, SIGWINCH);
	away();
	DO(ioctl(0, TIOCGWINSZ, &size));
	EQUAL(size.ws_row, 33);
	EQUAL(size.ws_col, 101);
	size.ws_row = 44;
	DO(ioctl(0, TIOCSWINSZ, &size));
}

static void window_size(void)
{
	struct winsize size = { .ws_row = 33, .ws_col = 101 };
	pid_t pid = session(see_new_size);

	shown("ready");
	DO(ioctl(master, TIOCSWINSZ, &size));
	reap(pid);
	DO(ioctl(master, TIOCGWINSZ, &size));
	EQUAL(size.ws_row, 44);
}

/* A job in the background is stopped when it reads, and when it writes if so wished. */
static void be_shell(void)
{
	struct termios mode;
	int status;
	pid_t job;
	char byte;

	signal(SIGTTOU, SIG_IGN);
	for (int writes = 0; writes < 2; writes++) {
		DO(tcgetattr(0, &mode));
		mode.c_lflag |= TOSTOP;
		DO(tcsetattr(0, TCSANOW, &mode));
		job = DO(fork());
		if (!job) {
			DO(setpgid(0, 0));
			signal(SIGTTOU, SIG_DFL);
			away();
			if (writes)
				EQUAL(write(1, "w", 1), 1);
			else
				EQUAL(read(0, &byte, 1), 1);
			_exit(44);
		}
		setpgid(job, job);
		EQUAL(waitpid(job, &status, WUNTRACED), job);
		CHECK(WIFSTOPPED(status));
		EQUAL(WSTOPSIG(status), writes ? SIGTTOU : SIGTTIN);
		DO(tcsetpgrp(0, job));
		EQUAL(tcgetpgrp(0), job);
		if (!writes)
			EQUAL(write(1, "type", 4), 4);
		DO(kill(-job, SIGCONT));
		EQUAL(waitpid(job, &status, 0), job);
		EQUAL(WEXITSTATUS(status), 44);
		DO(tcsetpgrp(0, getpgrp()));
	}
}

static void background_jobs(void)
{
	pid_t pid = session(be_shell);

	shown("type");
	type("k\n");
	reap(pid);
}

static void be_left(void)
{
	signal(SIGCONT, SIG_IGN);
	EQUAL(write(1, "ready", 5), 5);
	for (;;)
		compute_checked(1000);
}

/* The other end goes: the session, away, is hung up. */
static void hang_up(void)
{
	pid_t pid = session(be_left);
	int status;

	shown("ready");
	DO(close(master));
	EQUAL(waitpid(pid, &status, 0), pid);
	EQUAL(status, SIGHUP);
}

static void be_leader(void)
{
	int terminal;

	EQUAL(tcgetsid(0), getpid());
	EQUAL(getsid(0), getpid());
	terminal = DO(open("/dev/tty", O_RDWR));
	EQUAL(write(terminal, "mine", 4), 4);
	signal(SIGHUP, catch);
	DO(ioctl(terminal, TIOCNOTTY));
	EQUAL(caught, SIGHUP);
	EQUAL(open("/dev/tty", O_RDWR), -1);
	EQUAL(errno, ENXIO);
	home();
	EQUAL(tcgetsid(0), -1);
	EQUAL(errno, ENOTTY);
	/* And takes it again. */
	away();
	DO(ioctl(0, TIOCSCTTY, 0));
	EQUAL(tcgetsid(0), getpid());
}

static void controlling_terminal(void)
{
	pid_t pid = session(be_leader);

	shown("mine");
	reap(pid);
}

static void await_input(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	EQUAL(poll(&ready, 1, 60000), 1);
}

/* Who has the master end is away. */
static void master_is_away(void)
{
	int unlock = 0, number = -1, slave, packet = 1, waiting;
	char name[32], text[8];

	away();
	master = DO(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK));
	DO(ioctl(master, TIOCSPTLCK, &unlock));
	DO(ioctl(master, TIOCGPTN, &number));
	snprintf(name, sizeof(name), "/dev/pts/%d", number);
	slave = DO(open(name, O_RDWR | O_NOCTTY));
	EQUAL(isatty(slave), 1);
	EQUAL(read(master, text, 8), -1);
	EQUAL(errno, EAGAIN);
	EQUAL(write(slave, "a\n", 2), 2);
	await_input(master);
	EQUAL(read(master, text, 8), 3);
	CHECK(!memcmp(text, "a\r\n", 3));
	DO(ioctl(master, TIOCPKT, &packet));
	EQUAL(write(slave, "b", 1), 1);
	home();
	await_input(master);
	EQUAL(read(master, text, 8), 2);
	CHECK(!memcmp(text, "\0b", 2));
	away();
	EQUAL(write(master, "in\n", 3), 3);
	await_input(slave);
	DO(ioctl(slave, FIONREAD, &waiting));
	EQUAL(waiting, 3);
	DO(tcflush(slave, TCIFLUSH));
	DO(ioctl(slave, FIONREAD, &waiting));
	EQUAL(waiting, 0);
	DO(close(slave));
	do {
		await_input(master);
		number = read(master, text, 8);
	} while (number > 0);
	EQUAL(errno, EIO);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(line_editing), CASE(raw_keys), CASE(raw_keys_one_by_one),
		CASE(raw_keys_with_a_limit),
		CASE(window_size), CASE(background_jobs),
		CASE(hang_up), CASE(controlling_terminal), CASE(master_is_away),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

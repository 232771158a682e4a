// SPDX-License-Identifier: GPL-2.0
/* Terminals that are devices, a virtual console and a serial line, of a process that is away. */
#include "harness.h"
#include "blocking.h"

#include <fcntl.h>
#include <linux/serial.h>
#include <linux/vt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/param.h>
#include <sys/syscall.h>
#include <termios.h>

#ifndef TIOCM_LOOP
#define TIOCM_LOOP 0x8000	/* <asm/termios.h>, which does not go with <termios.h> */
#endif
#define CONSOLE "/dev/tty9"
#define SCREEN "/dev/vcs9"
#define LINE "/dev/ttyS1"

static int keyboard, screen;

/* Opens the console to type on it, without being of its session, and what it shows. */
static void open_console(void)
{
	struct pollfd changed = { .events = POLLPRI };
	struct termios mode;

	need_own_machine();
	keyboard = open(CONSOLE, O_RDWR | O_NOCTTY | O_CLOEXEC);
	screen = open(SCREEN, O_RDONLY | O_CLOEXEC);
	if (keyboard == -1 || screen == -1)
		skip("no virtual console: %s", strerror(errno));
	/* As another case may not have left it. */
	DO(tcgetattr(keyboard, &mode));
	mode.c_lflag |= ICANON | ECHO | ECHOE | ISIG;
	mode.c_iflag |= ICRNL;
	mode.c_oflag |= OPOST | ONLCR;
	mode.c_cc[VERASE] = 0177;
	mode.c_cc[VINTR] = 003;
	DO(tcsetattr(keyboard, TCSAFLUSH, &mode));
	EQUAL(write(keyboard, "\033[H\033[2J", 7), 7);
	/* From here on it is told when the screen changes. */
	changed.fd = screen;
	DO(poll(&changed, 1, 0));
}

/* A session whose terminal it is; the function runs in it, away. */
static pid_t session(void (*function)(void))
{
	pid_t pid = DO(fork());
	int terminal;

	if (pid)
		return pid;
	DO(setsid());
	terminal = DO(open(CONSOLE, O_RDWR));
	EQUAL(tcgetsid(terminal), getpid());
	for (int fd = 0; fd < 3; fd++)
		DO(dup2(terminal, fd));
	DO(close(terminal));
	away();
	function();
	_exit(0);
}

static void type(const char *keys)
{
	for (; *keys; keys++)
		DO(ioctl(keyboard, TIOCSTI, keys));
}

static void shown(const char *text)
{
	struct pollfd changed = { .fd = screen, .events = POLLPRI };
	char seen[16384];

	for (;;) {
		ssize_t length = DO(pread(screen, seen, sizeof(seen), 0));

		if (memmem(seen, length, text, strlen(text)))
			return;
		EQUAL(poll(&changed, 1, 60000), 1);
	}
}

static void read_lines(void)
{
	char line[64];

	EQUAL(write(1, "ready\n", 6), 6);
	EQUAL(read(0, line, sizeof(line)), 4);
	CHECK(!memcmp(line, "fat\n", 4));
	EQUAL(write(1, "next\n", 5), 5);
	home();
	EQUAL(read(0, line, sizeof(line)), 0);
}

/* What is typed is shown, erased, and read as a line. */
static void console_lines(void)
{
	pid_t pid;

	open_console();
	pid = session(read_lines);
	shown("ready");
	type("fut\177\177at\r");
	shown("fat");
	shown("next");
	type("\004");
	reap(pid);
}

static void read_in_moves(void)
{
	char line[64];

	home();
	EQUAL(write(1, "ready\n", 6), 6);
	during(MOVES_AT_ONCE);
	EQUAL(read(0, line, sizeof(line)), 6);
	CHECK(!memcmp(line, "moved\n", 6));
	during_end();
}

/* It is moved while it waits for a line, of which a part has been typed. */
static void console_read_is_moved(void)
{
	pid_t pid;

	open_console();
	pid = session(read_in_moves);
	shown("ready");
	type("mov");
	shown("mov");
	sleep_ms(EVENT_MS);
	type("ed\r");
	reap(pid);
}

static volatile sig_atomic_t caught;

static void catch(int number)
{
	caught = number;
}

static void be_interrupted(void)
{
	struct sigaction action = { .sa_handler = catch };
	uint64_t end = now_ns() + 60000000000ull;
	char line[64];

	DO(sigaction(SIGINT, &action, NULL));
	EQUAL(write(1, "computing\n", 10), 10);
	while (!caught && now_ns() < end)
		;
	EQUAL(caught, SIGINT);
	caught = 0;
	away();
	EQUAL(write(1, "reading\n", 8), 8);
	EQUAL(read(0, line, sizeof(line)), -1);
	EQUAL(errno, EINTR);
	EQUAL(caught, SIGINT);
}

/* Ctrl-C while it computes, and while it waits for a line. */
static void console_interrupts(void)
{
	pid_t pid;

	open_console();
	pid = session(be_interrupted);
	shown("computing");
	type("\003");
	shown("reading");
	while (!sleeps_in(pid, SYS_read))
		sched_yield();
	type("\003");
	reap(pid);
}

static void ask_driver(void)
{
	struct vt_stat state;
	struct winsize size;
	struct termios mode;
	char name[64];

	DO(ioctl(0, TIOCGWINSZ, &size));
	CHECK(size.ws_row && size.ws_col);
	away();
	DO(ioctl(0, VT_GETSTATE, &state));
	CHECK(state.v_state & 1 << 9);
	CHECK(state.v_active);
	away();
	EQUAL(ttyname_r(0, name, sizeof(name)), 0);
	CHECK(!strcmp(name, CONSOLE));
	DO(tcgetattr(0, &mode));
	mode.c_lflag &= ~ECHO;
	DO(tcsetattr(0, TCSADRAIN, &mode));
	/* Attributes, and where the cursor is: the console answers as if that had been typed. */
	mode.c_lflag &= ~ICANON;
	DO(tcsetattr(0, TCSANOW, &mode));
	EQUAL(write(1, "\033[7;5H\033[6n", 10), 10);
	EQUAL(read(0, name, sizeof(name)), 6);
	CHECK(!memcmp(name, "\033[7;5R", 6));
}

/* What only the driver knows. */
static void console_driver(void)
{
	open_console();
	reap(session(ask_driver));
}

/* The line, raw, at the highest speed; what is sent comes back. Who calls this is its session's. */
static int open_line(void)
{
	int line, bits = TIOCM_LOOP;
	struct serial_struct serial;
	struct termios mode;

	need_own_machine();
	line = open(LINE, O_RDWR | O_NOCTTY);
	if (line == -1 || ioctl(line, TIOCGSERIAL, &serial) || !serial.type)
		skip("no serial line: %s", strerror(errno));
	DO(tcgetattr(line, &mode));
	cfmakeraw(&mode);
	cfsetspeed(&mode, B115200);
	mode.c_cflag |= CLOCAL | CREAD;
	DO(tcsetattr(line, TCSAFLUSH, &mode));
	DO(ioctl(line, TIOCMBIS, &bits));
	return line;
}

/* 8 KiB go out and come back, in pieces as large as the driver wishes. */
static void serial_line(void)
{
	static char out[8192], in[8192];
	int line = open_line(), waiting;
	size_t sent = 0, got = 0;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = i * 7 + i / 256;
	DO(fcntl(line, F_SETFL, O_NONBLOCK));
	away();
	while (got < sizeof(in)) {
		/* No more than its buffer takes while it is not read. */
		bool more = sent < sizeof(out) && sent - got < 1024;
		struct pollfd ready = { .fd = line, .events = POLLIN | (more ? POLLOUT : 0) };

		EQUAL(poll(&ready, 1, 60000), 1);
		if (ready.revents & POLLIN)
			got += DO(read(line, in + got, sizeof(in) - got));
		if (ready.revents & POLLOUT)
			sent += DO(write(line, out + sent, MIN(512, sizeof(out) - sent)));
	}
	CHECK(!memcmp(in, out, sizeof(in)));
	DO(tcdrain(line));
	away();
	DO(ioctl(line, TIOCOUTQ, &waiting));
	EQUAL(waiting, 0);
}

static void type_on_line(void *line)
{
	EQUAL(write(*(int *)line, "k", 1), 1);
}

/* It is moved while it waits for a byte. */
static void serial_read_is_moved(void)
{
	int line = open_line();
	pid_t helper = event(type_on_line, &line);
	char byte = 0;

	during(MOVES_AT_ONCE);
	EQUAL(read(line, &byte, 1), 1);
	during_end();
	EQUAL(byte, 'k');
	reap(helper);
}

/* The lines beside that of the data, and a break. */
static void serial_driver(void)
{
	struct serial_icounter_struct before, after;
	int line = open_line(), bits;
	struct pollfd ready = { .fd = line, .events = POLLIN };
	char byte;

	away();
	DO(ioctl(line, TIOCMGET, &bits));
	CHECK(bits & TIOCM_DTR);
	DO(ioctl(line, TIOCGICOUNT, &before));
	EQUAL(write(line, "abc", 3), 3);
	for (int i = 0; i < 3; i++) {
		EQUAL(poll(&ready, 1, 60000), 1);
		EQUAL(read(line, &byte, 1), 1);
		EQUAL(byte, "abc"[i]);
	}
	away();
	DO(ioctl(line, TIOCGICOUNT, &after));
	EQUAL(after.rx - before.rx, 3);
	EQUAL(after.tx - before.tx, 3);
	away();
	DO(tcsendbreak(line, 0));
	DO(tcflush(line, TCIOFLUSH));
	DO(ioctl(line, FIONREAD, &bits));
	EQUAL(bits, 0);
}

static void let_it_flow(void *line)
{
	DO(tcflow(*(int *)line, TCOON));
}

/* Until what has been written is on the line: a call that says so if it is woken, and is not made again. */
static void serial_drain_is_left_alone(void)
{
	int line = open_line();
	pid_t helper;

	for (int i = 0; i < 3; i++) {
		DO(tcflow(line, TCOOFF));
		EQUAL(write(line, "abcd", 4), 4);
		helper = event(let_it_flow, &line);
		during(MOVES);
		DO(tcdrain(line));
		during_end();
		reap(helper);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(console_lines), CASE(console_read_is_moved), CASE(console_interrupts),
		CASE(console_driver),
		CASE(serial_line), CASE(serial_read_is_moved), CASE(serial_drain_is_left_alone),
		CASE(serial_driver),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

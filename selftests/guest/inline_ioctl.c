// SPDX-License-Identifier: GPL-2.0
/* ioctl, as far as it has one meaning and one size; and structures that are not all there. */
#include "inline.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <termios.h>

/* struct termios2, whose header does not go with termios.h. */
enum { TERMIOS2 = 44, GET_TERMIOS2 = 0x802c542a, SET_TERMIOS2 = 0x402c542b };

/* What the functions of TRAVELS() work with. */
static int a, b;

/* ---- terminals ---- */

static void open_terminal(void)
{
	a = DO(posix_openpt(O_RDWR | O_NOCTTY));
	DO(grantpt(a));
	DO(unlockpt(a));
	b = DO(open(ptsname(a), O_RDWR | O_NOCTTY));
}

static void ask_terminal(void)
{
	struct winsize size = { 25, 81, 1, 2 }, got;
	struct { struct termios set; char behind[16]; } t;
	char set2[TERMIOS2 + 8];
	int n = 0x55555555;

	memset(&t, 0x55, sizeof(t));
	DO(tcgetattr(b, &t.set));
	CHECK(untouched(t.behind, sizeof(t.behind), 0, 0, 0x55));
	t.set.c_lflag ^= ECHO;
	for (int how = TCSANOW; how <= TCSAFLUSH; how++)
		DO(tcsetattr(b, how, &t.set));
	n = t.set.c_lflag;
	DO(tcgetattr(b, &t.set));
	EQUAL(t.set.c_lflag, n);
	memset(set2, 0x55, sizeof(set2));
	DO(ioctl(b, GET_TERMIOS2, set2));
	CHECK(untouched(set2, sizeof(set2), 0, TERMIOS2, 0x55));
	EQUAL(((unsigned int *)set2)[3], t.set.c_lflag);
	DO(ioctl(b, SET_TERMIOS2, set2));
	DO(ioctl(a, TIOCSWINSZ, &size));
	memset(&got, 0, sizeof(got));
	DO(ioctl(b, TIOCGWINSZ, &got));
	CHECK(!memcmp(&size, &got, sizeof(size)));
}

static void ask_master(void)
{
	int n = -1, number = -1, lock = 1;
	char bytes[] = "abc";

	DO(ioctl(a, TIOCGPTN, &number));
	CHECK(number >= 0);
	DO(ioctl(a, TIOCSPTLCK, &lock));
	DO(ioctl(a, TIOCGPTLCK, &n));
	EQUAL(n, 1);
	lock = 0;
	DO(ioctl(a, TIOCSPTLCK, &lock));
	DO(ioctl(a, TIOCGPTLCK, &n));
	EQUAL(n, 0);
	n = 0;
	DO(ioctl(a, TIOCPKT, &n));
	EQUAL(write(b, bytes, 3), 3);
	EQUAL(poll(&(struct pollfd){ .fd = a, .events = POLLIN }, 1, -1), 1);
	DO(ioctl(a, FIONREAD, &n));
	EQUAL(n, 3);
	DO(ioctl(b, TIOCOUTQ, &n));
	DO(tcflush(a, TCIFLUSH));
}

static void terminal_settings(void)
{
	open_terminal();
	away();
	TRAVELS(ask_terminal, 9);
	TRAVELS(ask_master, 10);
}

static void ask_groups(void)
{
	pid_t group = getpid(), got = -1;

	DO(ioctl(b, TIOCSPGRP, &group));
	DO(ioctl(b, TIOCGPGRP, &got));
	EQUAL(got, group);
	got = -1;
	DO(ioctl(b, TIOCGSID, &got));
	EQUAL(got, getsid(0));
}

static void terminal_groups(void)
{
	DO(setsid());
	open_terminal();
	DO(ioctl(b, TIOCSCTTY, 0));
	away();
	TRAVELS(ask_groups, 3);
}

/* ---- any file ---- */

static void ask_no_terminal(void)
{
	char set[64];

	memset(set, 0x55, sizeof(set));
	EQUAL(ioctl(a, TCGETS, set), -1);
	EQUAL(errno, ENOTTY);
	EQUAL(ioctl(b, TIOCGWINSZ, set), -1);
	EQUAL(errno, ENOTTY);
	EQUAL(ioctl(-1, TCGETS, set), -1);
	EQUAL(errno, EBADF);
	CHECK(untouched(set, sizeof(set), 0, 0, 0x55));
}

static void no_terminal(void)
{
	int ends[2];

	DO(pipe(ends));
	a = ends[0];
	b = DO(socket(AF_INET, SOCK_STREAM, 0));
	away();
	TRAVELS(ask_no_terminal, 3);
	b = file_of("x");
	TRAVELS(ask_no_terminal, 3);
}

static void ask_bytes(void)
{
	int n = 0x55555555, on = 1;
	char bytes[5] = "12345";

	EQUAL(write(b, bytes, 5), 5);
	DO(ioctl(a, FIONREAD, &n));
	EQUAL(n, 5);
	EQUAL(read(a, bytes, 5), 5);
	DO(ioctl(a, FIONBIO, &on));
	EQUAL(read(a, bytes, 5), -1);
	EQUAL(errno, EAGAIN);
	on = 0;
	DO(ioctl(a, FIONBIO, &on));
	EQUAL(fcntl(a, F_GETFL) & O_NONBLOCK, 0);
}

static void bytes_waiting(void)
{
	int ends[2], n, on = 1;

	DO(pipe(ends));
	a = ends[0];
	b = ends[1];
	away();
	TRAVELS(ask_bytes, 5);
	DO(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	a = ends[0];
	b = ends[1];
	TRAVELS(ask_bytes, 5);
	DO(ioctl(a, FIOASYNC, &on));
	EQUAL(fcntl(a, F_GETFL) & O_ASYNC, O_ASYNC);
	a = file_of("123456789");
	DO(lseek(a, 2, SEEK_SET));
	DO(ioctl(a, FIONREAD, &n));
	EQUAL(n, 7);
}

static void ask_interface(void)
{
	struct { struct ifreq is; char behind[16]; } r;
	int index;

	memset(&r, 0x55, sizeof(r));
	strcpy(r.is.ifr_name, "lo");
	DO(ioctl(a, SIOCGIFINDEX, &r.is));
	index = r.is.ifr_ifindex;
	CHECK(index > 0);
	DO(ioctl(a, SIOCGIFFLAGS, &r.is));
	CHECK(r.is.ifr_flags & IFF_LOOPBACK);
	DO(ioctl(a, SIOCGIFMTU, &r.is));
	CHECK(r.is.ifr_mtu >= 1500);
	DO(ioctl(a, SIOCGIFHWADDR, &r.is));
	EQUAL(r.is.ifr_hwaddr.sa_data[0], 0);
	memset(&r, 0x55, sizeof(r));
	r.is.ifr_ifindex = index;
	DO(ioctl(a, SIOCGIFNAME, &r.is));
	EQUAL(strcmp(r.is.ifr_name, "lo"), 0);
	strcpy(r.is.ifr_name, "nowhere");
	EQUAL(ioctl(a, SIOCGIFADDR, &r.is), -1);
	EQUAL(errno, ENODEV);
	CHECK(untouched(r.behind, sizeof(r.behind), 0, 0, 0x55));
}

static void interfaces(void)
{
	int marked = -1;

	a = DO(socket(AF_INET, SOCK_DGRAM, 0));
	away();
	TRAVELS(ask_interface, 6);
	a = DO(socket(AF_INET, SOCK_STREAM, 0));
	DO(ioctl(a, SIOCATMARK, &marked));
	EQUAL(marked, 0);
}

/* A number without a row; one with a row, and a file whose driver knows it by itself. */
static void drivers(void)
{
	enum { ROUNDS = 20, WORDS = 3 /* of the harness: read, write, read */ };
	int random = DO(open("/dev/urandom", O_RDONLY)), null = DO(open("/dev/null", O_RDWR));
	int driver = DO(open("/dev/userfaultfd", O_RDWR));
	int n, before;

	away();
	before = inline_of(getpid());
	for (int i = 0; i < ROUNDS; i++) {
		n = 0x55555555;
		DO(ioctl(random, 0x80045200 /* RNDGETENTCNT */, &n));
		CHECK(n != 0x55555555);
		n = 0x55555555;
		EQUAL(ioctl(driver, FIONREAD, &n), -1);
		EQUAL(errno, EINVAL);
		EQUAL(n, 0x55555555);
	}
	CHECK(inline_of(getpid()) - before <= WORDS);
	/* The files of memory and terminals are like any other. */
	before = inline_of(getpid());
	for (int i = 0; i < ROUNDS; i++) {
		n = 0x55555555;
		EQUAL(ioctl(random, FIONREAD, &n), -1);
		CHECK(errno == ENOTTY || errno == EINVAL);
		EQUAL(n, 0x55555555);
		EQUAL(ioctl(null, TIOCGWINSZ, &n), -1);
		EQUAL(errno, ENOTTY);
	}
	if (moving())
		CHECK(inline_of(getpid()) - before >= 2 * ROUNDS);
}

/* ---- bad places ---- */

/* A structure that is not all there, or in part only to be read. */
static void bad_structures(void)
{
	char *hole = pages_with_a_hole(RW) + 2 * 4096;
	char *readable = pages_with_a_hole(PROT_READ) + 4096;
	void *bad[] = { NULL, (void *)8, hole, (void *)-4096, (void *)(1ul << 63), hole - 3 };
	int ends[2], n, watches = DO(inotify_init());
	char text[64];

	open_terminal();
	DO(pipe(ends));
	away();
	EQUAL(readable[0], 0x55);
	memset(readable - 64, 0x55, 64);
	EQUAL(write(ends[1], "12345", 5), 5);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		EQUAL(ioctl(b, TCGETS, bad[i]), -1);
		EQUAL(errno, EFAULT);
		EQUAL(ioctl(b, TCSETS, bad[i]), -1);
		EQUAL(errno, EFAULT);
		EQUAL(ioctl(a, TIOCSWINSZ, bad[i]), -1);
		EQUAL(errno, EFAULT);
		EQUAL(ioctl(ends[0], FIONREAD, bad[i]), -1);
		EQUAL(errno, EFAULT);
		EQUAL(fcntl(ends[0], F_SETLK, bad[i]), -1);
		EQUAL(errno, EFAULT);
		EQUAL(fcntl(ends[0], F_GETLK, bad[i]), -1);
		EQUAL(errno, EFAULT);
		/* What could be written of the structures is. */
		memset(hole - 64, 0x55, 64);
		EQUAL(inotify_add_watch(watches, bad[i], IN_OPEN), -1);
		EQUAL(errno, EFAULT);
		EQUAL(syscall(SYS_memfd_create, bad[i], 0), -1);
		EQUAL(errno, EFAULT);
		EQUAL(syscall(SYS_sendfile, ends[1], ends[0], bad[i], 1), -1);
		EQUAL(errno, bad[i] ? EFAULT : EINVAL);
	}
	/* To be read, not to be written: as much of it as comes before stays as it was. */
	EQUAL(ioctl(b, TCGETS, readable), -1);
	EQUAL(errno, EFAULT);
	EQUAL(ioctl(ends[0], FIONREAD, readable), -1);
	EQUAL(errno, EFAULT);
	EQUAL(readable[0], 0x55);
	EQUAL(fcntl(ends[0], F_GETOWN_EX, readable - 4), -1);
	EQUAL(errno, EFAULT);
	/* The last bytes before the hole are there. */
	DO(ioctl(ends[0], FIONREAD, hole - 4));
	EQUAL(*(int *)(hole - 4), 5);
	DO(ioctl(b, TCGETS, hole - 36));
	DO(ioctl(b, TCSETS, hole - 36));
	/* In two pages. */
	DO(ioctl(b, TCGETS, hole - 4096 - 10));
	DO(ioctl(b, TCSETS, hole - 4096 - 10));
	n = fgetxattr(ends[0], hole - 3, text, sizeof(text));
	EQUAL(n, -1);
	CHECK(errno == EFAULT || errno == ERANGE);
	EQUAL(ioctl(ends[0], FIONREAD, &n), 0);
	EQUAL(n, 5);
}

static const struct test_case cases[] = {
	CASE(terminal_settings), CASE(terminal_groups), CASE(no_terminal), CASE(bytes_waiting),
	CASE(interfaces), CASE(drivers), CASE(bad_structures),
	{ }
};

int main(int argc, char **argv)
{
	return harness_main(argc, argv, cases);
}

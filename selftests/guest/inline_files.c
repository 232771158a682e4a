// SPDX-License-Identifier: GPL-2.0
/*
 * Calls about files whose data travels with them: ioctl and fcntl, as far as they have one
 * meaning and one size, extended attributes, offsets, names that few programs use.
 */
#include "harness.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <termios.h>
#include <utime.h>

#define RW (PROT_READ | PROT_WRITE)

/* struct termios2, whose header does not go with termios.h. */
enum { TERMIOS2 = 44, GET_TERMIOS2 = 0x802c542a, SET_TERMIOS2 = 0x402c542b };

/* What the functions of TRAVELS() work with. */
static int a, b;
static char name[64], other_name[64];

static int file_of(const char *text)
{
	char path[] = "/tmp/st-inline-XXXXXX";
	int file = DO(mkstemp(path));

	unlink(path);
	EQUAL(write(file, text, strlen(text)), strlen(text));
	return file;
}

static void make_directory(char *path)
{
	strcpy(path, "/tmp/st-inline-XXXXXX");
	CHECK(mkdtemp(path));
	DO(chdir(path));
}

static void remove_directory(const char *path)
{
	DO(chdir("/"));
	DO(rmdir(path));
}

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

/* A number that has a row, and a file whose driver knows it by itself, or another number. */
static void drivers(void)
{
	int random = DO(open("/dev/urandom", O_RDONLY)), null = DO(open("/dev/null", O_RDWR));
	int n = 0x55555555, before;

	away();
	before = inline_of(getpid());
	EQUAL(ioctl(random, FIONREAD, &n), -1);
	CHECK(errno == ENOTTY || errno == EINVAL);
	EQUAL(n, 0x55555555);
	DO(ioctl(random, 0x80045200 /* RNDGETENTCNT */, &n));
	CHECK(n != 0x55555555);
	/* The words of the harness, and nothing of these. */
	CHECK(inline_of(getpid()) - before <= 3);
	EQUAL(ioctl(null, TIOCGWINSZ, &n), -1);
	EQUAL(errno, ENOTTY);
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

/* ---- locks ---- */

static void lock_and_ask(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5 };
	struct flock ask = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 100 };

	DO(fcntl(a, F_SETLK, &lock));
	DO(fcntl(a, F_GETLK, &ask));
	EQUAL(ask.l_type, F_UNLCK);	/* its own */
	EQUAL(ask.l_start, 0);
	DO(fcntl(a, F_SETLKW, &lock));
	lock.l_type = F_UNLCK;
	DO(fcntl(a, F_SETLK, &lock));
	lock.l_type = F_WRLCK;
	DO(fcntl(a, F_OFD_SETLK, &lock));
	memset(&ask, 0, sizeof(ask));
	ask.l_type = F_RDLCK;
	DO(fcntl(b, F_OFD_GETLK, &ask));
	EQUAL(ask.l_type, F_WRLCK);
	CHECK(ask.l_start == 10 && ask.l_len == 5 && ask.l_pid == -1);
	EQUAL(fcntl(b, F_OFD_SETLK, &lock), -1);
	EQUAL(errno, EAGAIN);
	lock.l_type = F_UNLCK;
	DO(fcntl(a, F_OFD_SETLK, &lock));
	lock.l_type = 77;
	EQUAL(fcntl(a, F_SETLK, &lock), -1);
	EQUAL(errno, EINVAL);
}

static void open_twice(void)
{
	strcpy(name, "/tmp/st-inline-XXXXXX");
	a = DO(mkstemp(name));
	b = DO(open(name, O_RDWR));
	unlink(name);
}

static void record_locks(void)
{
	open_twice();
	away();
	TRAVELS(lock_and_ask, 9);
}

static int64_t lock_or_unlock(void *type)
{
	struct flock lock = { .l_type = *(short *)type, .l_whence = SEEK_SET, .l_len = 1 };

	*(short *)type = F_UNLCK;
	return fcntl(a, F_SETLK, &lock) ? -errno : getpid();
}

static void release(void *partner)
{
	if (partner_ask(partner) != ((struct partner *)partner)->pid)
		_exit(1);
}

/* What waits for a lock is moved meanwhile, and gets it. */
static void lock_waited_for(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 }, ask = lock;
	struct partner holder;
	short type = F_WRLCK;
	pid_t helper;

	open_twice();
	partner_start(&holder, lock_or_unlock, &type);
	EQUAL(partner_ask(&holder), holder.pid);
	away();
	DO(fcntl(a, F_GETLK, &ask));
	EQUAL(ask.l_type, F_WRLCK);
	EQUAL(ask.l_pid, holder.pid);
	EQUAL(fcntl(a, F_SETLK, &lock), -1);
	CHECK(errno == EAGAIN || errno == EACCES);
	helper = later(700, release, &holder);
	during("60 H 60 A 60 H 60 A");
	DO(fcntl(a, F_SETLKW, &lock));
	during_end();
	reap(helper);
	partner_end(&holder);
}

static void ask_owner(void)
{
	struct f_owner_ex owner = { F_OWNER_PID, getpid() }, got = { 0x55, 0x55 };

	DO(fcntl(a, F_SETOWN_EX, &owner));
	DO(fcntl(a, F_GETOWN_EX, &got));
	CHECK(got.type == F_OWNER_PID && got.pid == getpid());
}

static void owners(void)
{
	int ends[2];

	DO(pipe(ends));
	a = ends[0];
	away();
	TRAVELS(ask_owner, 2);
}

/* ---- extended attributes ---- */

static void ask_attributes(void)
{
	char value[32], list[100], x[] = "trusted.x", y[] = "trusted.y";

	DO(setxattr(name, x, "12345", 5, 0));
	memset(value, 0x55, sizeof(value));
	EQUAL(getxattr(name, x, value, 20), 5);
	CHECK(!memcmp(value, "12345", 5) && untouched(value, sizeof(value), 0, 5, 0x55));
	EQUAL(getxattr(name, x, value, 0), 5);
	EQUAL(getxattr(name, x, value, 4), -1);
	EQUAL(errno, ERANGE);
	DO(lsetxattr(other_name, y, value, 2, 0));
	EQUAL(lgetxattr(other_name, y, value, 20), 2);
	DO(fsetxattr(a, x, value, 0, XATTR_REPLACE));
	EQUAL(fgetxattr(a, x, value, 20), 0);
	memset(list, 0x55, sizeof(list));
	EQUAL(listxattr(name, list, 90), sizeof(x));
	CHECK(!strcmp(list, x) && untouched(list, sizeof(list), 0, sizeof(x), 0x55));
	EQUAL(llistxattr(other_name, list, 90), sizeof(y));
	CHECK(!strcmp(list, y));
	EQUAL(flistxattr(a, list, 90), sizeof(x));
	DO(removexattr(name, x));
	EQUAL(getxattr(name, x, value, 20), -1);
	EQUAL(errno, ENODATA);
	DO(lremovexattr(other_name, y));
	DO(fsetxattr(a, y, value, 1, XATTR_CREATE));
	DO(fremovexattr(a, y));
}

static void extended_attributes(void)
{
	char path[32], longest[300];

	make_directory(path);
	snprintf(name, sizeof(name), "file");
	snprintf(other_name, sizeof(other_name), "soft");
	a = DO(open(name, O_CREAT | O_RDWR, 0600));
	DO(symlink(name, other_name));
	if (setxattr(name, "trusted.x", "1", 1, 0) || lsetxattr(other_name, "trusted.y", "1", 1, 0))
		skip("setxattr: %s", strerror(errno));
	away();
	TRAVELS(ask_attributes, 16);
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	EQUAL(setxattr(name, longest, "1", 1, 0), -1);
	EQUAL(errno, ERANGE);
	EQUAL(syscall(SYS_setxattr, name, "trusted.x", longest, 1ul << 20, 0), -1);
	EQUAL(errno, E2BIG);
	EQUAL(syscall(SYS_setxattr, name, "trusted.x", (void *)8, 5, 0), -1);
	EQUAL(errno, EFAULT);
	EQUAL(syscall(SYS_setxattr, name, (void *)8, "12345", 5, 0), -1);
	EQUAL(errno, EFAULT);
	DO(unlink(name));
	DO(unlink(other_name));
	remove_directory(path);
}

/* ---- offsets ---- */

static void move_bytes(void)
{
	off_t from = 2, to = 100;
	char bytes[8];
	int ends[2];

	DO(pipe(ends));
	EQUAL(sendfile(b, a, &from, 5), 5);
	EQUAL(from, 7);
	from = 1;
	EQUAL(copy_file_range(a, &from, b, &to, 3, 0), 3);
	EQUAL(from, 4);
	EQUAL(to, 103);
	EQUAL(pread(b, bytes, 3, 100), 3);
	CHECK(!memcmp(bytes, "123", 3));
	EQUAL(splice(a, &from, ends[1], NULL, 4, 0), 4);
	EQUAL(from, 8);
	to = 50;
	EQUAL(splice(ends[0], NULL, b, &to, 4, 0), 4);
	EQUAL(to, 54);
	EQUAL(pread(b, bytes, 4, 50), 4);
	CHECK(!memcmp(bytes, "4567", 4));
	from = -1;
	EQUAL(sendfile(b, a, &from, 5), -1);
	EQUAL(errno, EINVAL);
	EQUAL(from, -1);
	DO(close(ends[0]));
	DO(close(ends[1]));
	DO(lseek(b, 0, SEEK_SET));
}

static void offsets(void)
{
	a = file_of("0123456789");
	b = file_of("");
	away();
	TRAVELS(move_bytes, 8);
}

/* ---- names ---- */

static void use_names(void)
{
	struct timeval times[2] = { { 1000, 5 }, { 2000, 6 } };
	struct utimbuf seconds = { 3000, 4000 };
	struct stat status;
	int file, watch;

	DO(mknod(name, S_IFIFO | 0600, 0));
	DO(syscall(SYS_utimes, name, times));
	DO(stat(name, &status));
	CHECK(status.st_atim.tv_sec == 1000 && status.st_mtim.tv_nsec == 6000);
	DO(syscall(SYS_utime, name, &seconds));
	DO(stat(name, &status));
	CHECK(status.st_atim.tv_sec == 3000 && status.st_mtim.tv_sec == 4000);
	times[1].tv_usec = 1000000;
	EQUAL(syscall(SYS_futimesat, AT_FDCWD, name, times), -1);
	EQUAL(errno, EINVAL);
	DO(unlink(name));
	DO(syscall(SYS_mknodat, AT_FDCWD, name, S_IFREG | 0600, 0));
	watch = DO(inotify_add_watch(a, name, IN_OPEN));
	DO(inotify_rm_watch(a, watch));
	DO(unlink(name));
	file = DO(syscall(SYS_memfd_create, name, 0));
	DO(close(file));
}

static void other_names(void)
{
	char path[32];

	make_directory(path);
	snprintf(name, sizeof(name), "node");
	a = DO(inotify_init());
	away();
	TRAVELS(use_names, 11);
	remove_directory(path);
}

/* Old and new form say the same; of what is behind the entries nothing is written. */
static void list_directory(void)
{
	char old[512], new[512];
	long n;

	memset(old, 0x55, sizeof(old));
	memset(new, 0x55, sizeof(new));
	DO(lseek(a, 0, SEEK_SET));
	n = DO(syscall(SYS_getdents, a, old, sizeof(old)));
	CHECK(n > 0 && untouched(old, sizeof(old), 0, n, 0x55));
	DO(lseek(a, 0, SEEK_SET));
	n = DO(syscall(SYS_getdents64, a, new, sizeof(new)));
	CHECK(n > 0 && untouched(new, sizeof(new), 0, n, 0x55));
	/* Inode and offset come first in both. */
	CHECK(!memcmp(old, new, 16));
	EQUAL(syscall(SYS_getdents64, a, new, sizeof(new)), 0);
	EQUAL(syscall(SYS_getdents, a, old, sizeof(old)), 0);
}

static void directories(void)
{
	char path[32];

	make_directory(path);
	a = DO(open(".", O_RDONLY | O_DIRECTORY));
	away();
	TRAVELS(list_directory, 4);
	DO(lseek(a, 0, SEEK_SET));
	EQUAL(syscall(SYS_getdents64, a, path, 3), -1);
	EQUAL(errno, EINVAL);
	remove_directory(path);
}

static void another_root(void)
{
	char path[32];

	make_directory(path);
	away();
	EQUAL(chroot("/nowhere/at/all"), -1);
	EQUAL(errno, ENOENT);
	DO(chroot(path));
	DO(chdir("/"));
	EQUAL(access("/tmp", F_OK), -1);
	EQUAL(errno, ENOENT);
}

static const struct test_case cases[] = {
	CASE(terminal_settings), CASE(terminal_groups), CASE(no_terminal), CASE(bytes_waiting),
	CASE(interfaces), CASE(drivers), CASE(bad_structures), CASE(record_locks),
	CASE(lock_waited_for), CASE(owners), CASE(extended_attributes), CASE(offsets), CASE(other_names),
	CASE(directories), CASE(another_root),
	{ }
};

int main(int argc, char **argv)
{
	return harness_main(argc, argv, cases);
}

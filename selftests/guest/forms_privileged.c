// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that only root may make, made by root: what they refuse for their arguments, and what
 * they do, at home and away.
 */
#include "harness.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/quota.h>
#include <linux/reboot.h>
#include <pty.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <sys/wait.h>

/* Descriptors of the calls that want one: of what is no module, and of a directory of /proc. */
enum { NO_MODULE = 99, PROC = 98 };

#define NOWHERE "/nonexistent/radium"
#define GET_QUOTA QCMD(Q_GETQUOTA, USRQUOTA)

static char zeros[4096];
static const struct timeval late = { 0, 2000000 }, before_time = { -1, 0 };
static const struct timespec no_time = { 0, 1000000000 };
static const struct timezone no_zone = { 10000, 0 };
static struct timex no_tick = { .modes = ADJ_TICK, .tick = 1 };

#define AT(pointer) ((unsigned long)(pointer))
#define FORM(call, error, ...) { #call, SYS_##call, error, false, { __VA_ARGS__ } }
/* A kernel may be built without it, or forbid it until it is booted anew. */
#define PERHAPS(call, error, ...) { #call, SYS_##call, error, true, { __VA_ARGS__ } }

static const struct {
	const char *name;
	short number, error;
	bool optional;
	unsigned long args[6];
} forms[] = {
	FORM(sethostname, EINVAL, AT("x"), 65),
	FORM(sethostname, EINVAL, AT("x"), -1),
	FORM(sethostname, EFAULT, 8, 8),
	FORM(setdomainname, EINVAL, AT("x"), 65),
	FORM(setdomainname, EFAULT, 8, 8),
	FORM(settimeofday, 0, 0, 0),
	FORM(settimeofday, EINVAL, AT(&late), 0),
	FORM(settimeofday, EINVAL, AT(&before_time), 0),
	FORM(settimeofday, EINVAL, 0, AT(&no_zone)),
	FORM(settimeofday, EFAULT, 8, 0),
	FORM(clock_settime, EINVAL, CLOCK_REALTIME, AT(&no_time)),
	FORM(clock_settime, EINVAL, 77, AT(zeros)),
	FORM(adjtimex, EINVAL, AT(&no_tick)),
	FORM(clock_adjtime, EINVAL, 77, AT(&no_tick)),
	/* Commands that mean nothing, in case the magic numbers are not looked at. */
	FORM(reboot, EINVAL, 0x1234, LINUX_REBOOT_MAGIC2, 0x77777777, 0),
	FORM(reboot, EINVAL, LINUX_REBOOT_MAGIC1, 0x1234, 0x77777777, 0),
	FORM(reboot, EINVAL, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, 0x77777777, 0),
	PERHAPS(acct, ENOENT, AT(NOWHERE)),
	PERHAPS(acct, EACCES, AT("/dev/null")),
	PERHAPS(acct, EISDIR, AT("/")),
	PERHAPS(swapon, ENOENT, AT(NOWHERE), 0),
	PERHAPS(swapon, EINVAL, AT("/dev/null"), 0),
	PERHAPS(swapon, EINVAL, AT("/dev/null"), 0x800000),
	PERHAPS(swapoff, ENOENT, AT(NOWHERE)),
	PERHAPS(swapoff, EINVAL, AT("/dev/null")),
	PERHAPS(init_module, ENOEXEC, AT(zeros), 1000, AT("")),
	PERHAPS(init_module, ENOEXEC, AT(zeros), 0, AT("")),
	PERHAPS(init_module, EFAULT, 8, 1000, AT("")),
	PERHAPS(finit_module, EBADF, -1, AT(""), 0),
	PERHAPS(finit_module, EINVAL, NO_MODULE, AT(""), 0x8000),
	PERHAPS(finit_module, ENOEXEC, NO_MODULE, AT(""), 0),
	PERHAPS(delete_module, ENOENT, AT("no_such_module"), O_NONBLOCK),
	PERHAPS(delete_module, EFAULT, 8, O_NONBLOCK),
	/* More segments than there may be, besides. */
	PERHAPS(kexec_load, EINVAL, 0, 1000, 0, 0x8000),
	PERHAPS(kexec_file_load, EINVAL, -1, -1, 0, 0, 0x8000),
	PERHAPS(lookup_dcookie, EINVAL, 1, AT(zeros), 100),
	PERHAPS(quotactl, 0, QCMD(Q_SYNC, USRQUOTA), 0, 0, 0),
	PERHAPS(quotactl, ENOENT, GET_QUOTA, AT(NOWHERE), 0, AT(zeros)),
	PERHAPS(quotactl, ENOTBLK, GET_QUOTA, AT("/dev/null"), 0, AT(zeros)),
	PERHAPS(quotactl_fd, EBADF, -1, GET_QUOTA, 0, AT(zeros)),
	PERHAPS(quotactl_fd, ENOSYS, PROC, GET_QUOTA, 0, AT(zeros)),
	PERHAPS(iopl, EINVAL, 4),
	PERHAPS(ioperm, EINVAL, 65536, 1, 1),
	PERHAPS(ioperm, EINVAL, 65535, 2, 1),
	FORM(pivot_root, ENOENT, AT(NOWHERE), AT("/")),
	FORM(mount, ENOENT, AT("none"), AT(NOWHERE), AT("tmpfs"), 0, 0),
	FORM(umount2, ENOENT, AT(NOWHERE), 0),
	FORM(umount2, EINVAL, AT("/"), 0x8000),
	FORM(chroot, ENOENT, AT(NOWHERE)),
	FORM(chroot, ENOTDIR, AT("/dev/null")),
	FORM(mknod, EEXIST, AT("/"), S_IFCHR | 0600, 0x103),
	FORM(unshare, EINVAL, 1),
	FORM(setns, EINVAL, NO_MODULE, 0),
	FORM(setgroups, EINVAL, 100000, AT(zeros)),
	FORM(setgroups, EFAULT, 10, 8),
	PERHAPS(syslog, EINVAL, 99, 0, 0),
};

enum { FORMS = sizeof(forms) / sizeof(*forms) };

static int error_of(int i)
{
	const unsigned long *a = forms[i].args;

	if (syscall(forms[i].number, a[0], a[1], a[2], a[3], a[4], a[5]) != -1)
		return 0;
	return errno;
}

/* What is done to names and mounts is nobody else's. */
static void be_alone(void)
{
	need_root();
	if (unshare(CLONE_NEWUTS | CLONE_NEWNS))
		skip("unshare: %s", strerror(errno));
	DO(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

static void refused_to_root(void)
{
	int at_home[FORMS], absent = 0, file, writable;

	be_alone();
	/* Nobody may have it open for writing when it is asked to be a module. */
	own_directory();
	writable = DO(open("no_module", O_WRONLY | O_CREAT | O_EXCL, 0600));
	EQUAL(write(writable, zeros, sizeof(zeros)), sizeof(zeros));
	DO(close(writable));
	file = DO(open("no_module", O_RDONLY));
	DO(unlink("no_module"));
	DO(dup2(file, NO_MODULE));
	DO(dup2(DO(open("/proc", O_RDONLY | O_DIRECTORY)), PROC));
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < FORMS; i++) {
			int error = error_of(i);

			if (!round)
				at_home[i] = error;
			if (error != at_home[i])
				fail(__FILE__, __LINE__, "%s, form %d: %s, at home %s", forms[i].name,
				     i, strerror(error), strerror(at_home[i]));
			if (error == forms[i].error)
				continue;
			if (!forms[i].optional || (error != ENOSYS && error != EPERM))
				fail(__FILE__, __LINE__, "%s, form %d: %s, not %s", forms[i].name, i,
				     strerror(error), strerror(forms[i].error));
			absent += !round;
		}
		away();
	}
	note("%d of %d forms are not there, or not allowed", absent, FORMS);
	CHECK(absent < FORMS / 2);
}

/* ---- names ---- */

static void names_are(const char *host, const char *domain)
{
	struct utsname names;

	DO(uname(&names));
	CHECK(!strcmp(names.nodename, host));
	CHECK(!strcmp(names.domainname, domain));
}

static void names_of_the_machine(void)
{
	char domain[66];

	be_alone();
	away();
	DO(sethostname("moved", 5));
	DO(setdomainname("a.domain", 8));
	names_are("moved", "a.domain");
	home();
	names_are("moved", "a.domain");
	DO(setdomainname("another", 7));
	away();
	names_are("moved", "another");
	DO(getdomainname(domain, sizeof(domain)));
	CHECK(!strcmp(domain, "another"));
	CHECK(!strcmp(read_text("/proc/sys/kernel/domainname"), "another\n"));
	/* As long as it may be, and empty. */
	memset(domain, 'd', 64);
	domain[64] = 0;
	DO(setdomainname(domain, 64));
	names_are("moved", domain);
	DO(setdomainname("", 0));
	names_are("moved", "");
}

/* ---- the root ---- */

static void new_tree(const char *path)
{
	DO(mkdir(path, 0755));
	DO(mount("none", path, "tmpfs", 0, NULL));
}

/* The first root, of a machine that has nothing below it, cannot be replaced: ours is another. */
static void replace_root(bool elsewhere)
{
	own_directory();
	new_tree("first");
	DO(chroot("first"));
	DO(chdir("/"));
	new_tree("/second");
	write_text("/second/mark", "second");
	write_text("/mark", "first");
	if (elsewhere)
		away();
	DO(chdir("/second"));
	DO(syscall(SYS_pivot_root, ".", "."));
	/* The old one lies upon the new one. */
	DO(umount2(".", MNT_DETACH));
	DO(chdir("/"));
	CHECK(!strcmp(read_text("/mark"), "second"));
	EQUAL(access("/second", F_OK), -1);
	EQUAL(errno, ENOENT);
	DO(mkdir("/old", 0755));
	new_tree("/third");
	DO(mkdir("/third/old", 0755));
	EQUAL(syscall(SYS_pivot_root, "/third", "/old"), -1);	/* in the old root, not below */
	EQUAL(errno, EBUSY);
	EQUAL(syscall(SYS_pivot_root, "/third/old", "/third/old"), -1);	/* nothing is mounted */
	EQUAL(errno, EINVAL);
	DO(syscall(SYS_pivot_root, "/third", "/third/old"));
	if (elsewhere)
		home();
	CHECK(!strcmp(read_text("/old/mark"), "second"));
	EQUAL(access("/mark", F_OK), -1);
}

static void root_is_replaced(void)
{
	be_alone();
	for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
		pid_t child = DO(fork());

		if (!child) {
			replace_root(elsewhere);
			_exit(0);
		}
		reap(child);
	}
	CHECK(!access("/proc/self", F_OK));
}

/* ---- swap ---- */

enum { SWAP_BYTES = 1 << 20 };

/* As mkswap does it. */
static int swap_file(const char *path)
{
	struct { uint32_t version, last_page, bad_pages; } about = { 1, SWAP_BYTES / 4096 - 1, 0 };
	int file = DO(open(path, O_RDWR | O_CREAT | O_EXCL, 0600));

	for (int i = 0; i < SWAP_BYTES; i += sizeof(zeros))
		EQUAL(write(file, zeros, sizeof(zeros)), sizeof(zeros));
	EQUAL(pwrite(file, &about, sizeof(about), 1024), sizeof(about));
	EQUAL(pwrite(file, "SWAPSPACE2", 10, 4096 - 10), 10);
	DO(fsync(file));
	return file;
}

/* A block device of the file, which may be swap whatever the file is on. */
static int loop_of(int file, char *path, size_t size)
{
	int control, device, number;

	if (system("modprobe -q loop") == -1)
		skip("no shell");
	control = open("/dev/loop-control", O_RDWR);
	number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	if (number < 0)
		skip("no loop device");
	snprintf(path, size, "/dev/loop%d", number);
	device = DO(open(path, O_RDWR));
	DO(ioctl(device, LOOP_SET_FD, file));
	close(control);
	return device;
}

static int swap_on(const char *path)
{
	return swapon(path, 0) ? errno : 0;
}

static int swap_off(const char *path)
{
	return swapoff(path) ? errno : 0;
}

/* On, off, and what is refused, as it is at home; what is there is seen by all. */
static void swap_space(void)
{
	int file, device, at_home;
	char name[64], path[64];

	need_root();
	need_own_machine();
	snprintf(name, sizeof(name), "%s/swap", own_directory());
	device = file = swap_file(name);
	strcpy(path, name);
	/* Whether a file can be swap depends on what it is on. */
	at_home = swap_on(name);
	if (at_home)
		device = loop_of(file, path, sizeof(path));
	else
		DO(swapoff(name));
	for (int round = 0; round < 2; round++) {
		away();
		if (at_home)
			EQUAL(swap_on(name), at_home);
		EQUAL(swap_off(path), EINVAL);
		EQUAL(swap_on(path), 0);
		EQUAL(swap_on(path), EBUSY);
		CHECK(strstr(read_text("/proc/swaps"), path));
		if (round)
			home();
		EQUAL(swap_off(path), 0);
		CHECK(!strstr(read_text("/proc/swaps"), path));
	}
	/* Without its mark it is none. */
	EQUAL(pwrite(device, "nothing", 7, 4096 - 10), 7);
	away();
	EQUAL(swap_on(path), EINVAL);
	if (at_home)
		DO(ioctl(device, LOOP_CLR_FD, 0));
	DO(unlink(name));
}

/* ---- a terminal that is hung up by its own session ---- */

static volatile sig_atomic_t hung_up;

static void count_hang_up(int number)
{
	(void)number;
	hung_up++;
}

static void hang_up(bool elsewhere)
{
	char byte;

	signal(SIGHUP, count_hang_up);
	DO(close(DO(open("/dev/tty", O_RDWR))));
	if (elsewhere)
		away();
	DO(vhangup());
	EQUAL(hung_up, 1);
	EQUAL(read(0, &byte, 1), 0);
	EQUAL(write(1, "x", 1), -1);
	EQUAL(errno, EIO);
	EQUAL(open("/dev/tty", O_RDWR), -1);
	EQUAL(errno, ENXIO);
	if (elsewhere)
		away();
	DO(vhangup());		/* it has no terminal any more */
	EQUAL(hung_up, 1);
}

static void own_terminal_is_hung_up(void)
{
	need_root();
	for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
		int master;
		pid_t child = DO(forkpty(&master, NULL, NULL, NULL));

		if (!child) {
			hang_up(elsewhere);
			_exit(0);
		}
		reap(child);
		DO(close(master));
	}
}

/* ---- ports ---- */

static sigjmp_buf jump;

static void jump_back(int number)
{
	siglongjmp(jump, number);
}

/* The signal that a number for 0x80, a port for the numbers of tests, brings. */
static int signal_of_port(void)
{
	int number;

	signal(SIGSEGV, jump_back);
	number = sigsetjmp(jump, 1);
	if (!number)
		outb(1, 0x80);
	signal(SIGSEGV, SIG_DFL);
	return number;
}

/* All ports at once; what has been allowed away holds at home, and a child has it. */
static void all_ports(void)
{
	pid_t child;

	need_root();
	if (iopl(3) || iopl(0))
		skip("iopl: %s", strerror(errno));
	away();
	EQUAL(signal_of_port(), SIGSEGV);
	away();
	DO(iopl(3));
	EQUAL(signal_of_port(), 0);
	away();
	EQUAL(signal_of_port(), 0);
	child = DO(fork());
	if (!child) {
		away();
		EQUAL(signal_of_port(), 0);
		_exit(0);
	}
	reap(child);
	home();
	EQUAL(signal_of_port(), 0);
	away();
	DO(iopl(0));
	EQUAL(signal_of_port(), SIGSEGV);
	away();
	DO(ioperm(0x80, 1, 1));
	EQUAL(signal_of_port(), 0);
	away();
	DO(ioperm(0x80, 1, 0));
	home();
	EQUAL(signal_of_port(), SIGSEGV);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "refused_to_root", refused_to_root, 60 },
		CASE(names_of_the_machine), CASE(root_is_replaced), CASE(swap_space),
		CASE(own_terminal_is_hung_up), CASE(all_ports),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

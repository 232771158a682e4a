// SPDX-License-Identifier: GPL-2.0
/*
 * Calls about files whose data travels with them: locks, extended attributes, offsets, names,
 * and those that few programs use.
 */
#include "inline.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

/* What the functions of TRAVELS() work with. */
static int a, b;
static char name[64], other_name[64];

static void remove_directory(const char *path)
{
	DO(chdir("/"));
	DO(rmdir(path));
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
	const char *path = own_directory();
	char longest[300];

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

static void names(void)
{
	char dir[] = "/tmp/st-names-XXXXXX", path[200], to[200], text[200], longest[5000];
	int file;

	CHECK(mkdtemp(dir));
	away_with_buffers();
	memset(text, 0x55, sizeof(text));
	snprintf(path, sizeof(path), "%s/a", dir);
	snprintf(to, sizeof(to), "%s/b", dir);
	file = DO(open(path, O_CREAT | O_RDWR, 0640));
	EQUAL(write(file, "hello", 5), 5);
	DO(close(file));
	EQUAL(access(path, R_OK), 0);
	EQUAL(access(to, F_OK), -1);
	EQUAL(errno, ENOENT);
	DO(rename(path, to));
	DO(symlink("b", path));
	EQUAL(readlink(path, text, 100), 1);
	EQUAL(text[0], 'b');
	EQUAL(text[1], 0x55);
	DO(unlink(path));
	DO(link(to, path));
	DO(chmod(path, 0600));
	DO(truncate(path, 3));
	DO(mkdir(strcat(strcpy(text, dir), "/d"), 0700));
	DO(chdir(text));
	CHECK(getcwd(longest, 4096));
	EQUAL(strcmp(longest, text), 0);
	EQUAL(getcwd(longest, 3) == NULL, 1);
	EQUAL(errno, ERANGE);
	DO(chdir("/"));
	DO(rmdir(text));
	file = DO(openat(AT_FDCWD, to, O_RDONLY));
	EQUAL(read(file, text, 100), 3);
	DO(unlink(path));
	DO(unlink(to));
	DO(rmdir(dir));
	memset(longest, 'x', sizeof(longest));
	longest[4095] = 0;
	EQUAL(open(longest, O_RDONLY), -1);
	EQUAL(errno, ENAMETOOLONG);
	longest[4095] = 'x';
	longest[4999] = 0;
	EQUAL(open(longest, O_RDONLY), -1);
	EQUAL(errno, ENAMETOOLONG);
}

static void status_of_files(void)
{
	struct stat a, b;
	struct statx x = { };
	struct statfs f, g;
	int file = scratch();

	EQUAL(write(file, out, 5000), 5000);
	DO(fstat(file, &a));
	DO(statfs("/tmp", &f));
	away();
	memset(&b, 0x55, sizeof(b));
	DO(fstat(file, &b));
	CHECK(!memcmp(&a, &b, sizeof(a)));
	memset(&b, 0x55, sizeof(b));
	DO(syscall(SYS_fstat, file, &b));
	CHECK(!memcmp(&a, &b, sizeof(a)));
	DO(statx(file, "", AT_EMPTY_PATH, STATX_ALL, &x));
	EQUAL(x.stx_size, 5000);
	EQUAL(x.stx_ino, a.st_ino);
	memset(&b, 0x55, sizeof(b));
	EQUAL(stat("/nowhere/at/all", &b), -1);
	EQUAL(errno, ENOENT);
	CHECK(untouched((char *)&b, sizeof(b), 0, 0, 0x55));
	DO(stat("/", &b));
	CHECK(S_ISDIR(b.st_mode));
	DO(syscall(SYS_lstat, "/proc/self", &b));
	CHECK(S_ISLNK(b.st_mode));
	memset(&g, 0x55, sizeof(g));
	DO(statfs("/tmp", &g));
	EQUAL(f.f_type, g.f_type);
	EQUAL(f.f_namelen, g.f_namelen);
}

static void ask_status(void)
{
	struct stat status[4];
	struct statx x;
	int file;

	file = DO(open(name, O_RDONLY));
	EQUAL(lseek(file, 0, SEEK_END), 5000);
	DO(syscall(SYS_stat, name, &status[0]));
	DO(syscall(SYS_lstat, name, &status[1]));
	DO(syscall(SYS_fstat, file, &status[2]));
	DO(syscall(SYS_newfstatat, AT_FDCWD, name, &status[3], 0));
	DO(statx(AT_FDCWD, name, 0, STATX_ALL, &x));
	DO(close(file));
	for (int i = 0; i < 4; i++)
		EQUAL(status[i].st_size, 5000);
	EQUAL(x.stx_size, 5000);
	file = DO(syscall(SYS_open, name, O_RDONLY));
	DO(close(file));
}

/* What has no data to take along, to close and to seek, is one, too. */
static void status_takes_a_round_trip(void)
{
	strcpy(name, "/tmp/st-inline-XXXXXX");
	a = DO(mkstemp(name));
	EQUAL(write(a, out, 5000), 5000);
	away();
	/* A name that the thread does not use would stay at home. */
	EQUAL(name[0], '/');
	ROUND_TRIPS(ask_status, 7, 10);
	unlink(name);
}

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
	const char *path = own_directory();

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
	const char *path = own_directory();
	char small[3];

	a = DO(open(".", O_RDONLY | O_DIRECTORY));
	away();
	TRAVELS(list_directory, 4);
	DO(lseek(a, 0, SEEK_SET));
	EQUAL(syscall(SYS_getdents64, a, small, sizeof(small)), -1);
	EQUAL(errno, EINVAL);
	remove_directory(path);
}

static void another_root(void)
{
	const char *path = own_directory();

	away();
	EQUAL(chroot("/nowhere/at/all"), -1);
	EQUAL(errno, ENOENT);
	DO(chroot(path));
	DO(chdir("/"));
	EQUAL(access("/tmp", F_OK), -1);
	EQUAL(errno, ENOENT);
}

static const struct test_case cases[] = {
	CASE(record_locks), CASE(lock_waited_for), CASE(owners), CASE(extended_attributes),
	CASE(offsets), CASE(names), CASE(status_of_files), CASE(status_takes_a_round_trip),
	CASE(other_names), CASE(directories), CASE(another_root),
	{ }
};

int main(int argc, char **argv)
{
	return harness_main(argc, argv, cases);
}

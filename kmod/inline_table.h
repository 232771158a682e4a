/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: which memory a delegated system call reads and writes, for the calls whose
 * data can travel with them. One row per call, one PTR for each of its pointers. A call
 * or a pointer that is not here is used where it points to.
 *
 * PTR(argument, direction, size, n, unit)
 *
 *   IN		read
 *   INOUT	perhaps read, perhaps written, in parts or whatever the result: what the
 *		program gets back is the bytes that the call has changed
 *   OUT_IF_0	written in full if the call returns 0, else not at all
 *   OUT_AX	written as far as the result says, in units of @unit bytes
 *
 *   FIXED	n bytes
 *   LONG	argument n, times @unit
 *   INT	the same, of which the call looks at the lower 32 bits
 *   BITS	as many bits as argument n says, in whole words
 *   STRING	up to its end
 *   AT		what the integer says that argument n points to, whose PTR comes before
 *   VECTOR	argument n: entries of an array of struct iovec
 *   PAIR	one such entry
 *   MESSAGE	a struct msghdr, and what it points to
 *
 * What the kernel keeps a pointer to when the call has ended is not here: the memory
 * that it sees is lent (scratch.h).
 */
#ifndef _RADIUM_INLINE_TABLE_H
#define _RADIUM_INLINE_TABLE_H

#define RAD_INLINE_CALLS(X)							\
	/* data */								\
	X(read,		PTR(1, OUT_AX, LONG, 2, 1))				\
	X(write,	PTR(1, IN, LONG, 2, 1))					\
	X(pread64,	PTR(1, OUT_AX, LONG, 2, 1))				\
	X(pwrite64,	PTR(1, IN, LONG, 2, 1))					\
	X(readv,	PTR(1, OUT_AX, VECTOR, 2, 1))				\
	X(writev,	PTR(1, IN, VECTOR, 2, 1))				\
	X(preadv,	PTR(1, OUT_AX, VECTOR, 2, 1))				\
	X(pwritev,	PTR(1, IN, VECTOR, 2, 1))				\
	X(preadv2,	PTR(1, OUT_AX, VECTOR, 2, 1))				\
	X(pwritev2,	PTR(1, IN, VECTOR, 2, 1))				\
	X(getrandom,	PTR(0, OUT_AX, LONG, 1, 1))				\
	/* sockets */								\
	X(sendto,	PTR(1, IN, LONG, 2, 1), PTR(4, IN, INT, 5, 1))		\
	X(recvfrom,	PTR(5, INOUT, FIXED, 4, 1), PTR(4, INOUT, AT, 5, 1),	\
			PTR(1, OUT_AX, LONG, 2, 1))				\
	X(sendmsg,	PTR(1, IN, MESSAGE, 0, 1))				\
	X(recvmsg,	PTR(1, OUT_AX, MESSAGE, 0, 1))				\
	X(bind,		PTR(1, IN, INT, 2, 1))					\
	X(connect,	PTR(1, IN, INT, 2, 1))					\
	X(accept,	PTR(2, INOUT, FIXED, 4, 1), PTR(1, INOUT, AT, 2, 1))	\
	X(accept4,	PTR(2, INOUT, FIXED, 4, 1), PTR(1, INOUT, AT, 2, 1))	\
	X(getsockname,	PTR(2, INOUT, FIXED, 4, 1), PTR(1, INOUT, AT, 2, 1))	\
	X(getpeername,	PTR(2, INOUT, FIXED, 4, 1), PTR(1, INOUT, AT, 2, 1))	\
	X(setsockopt,	PTR(3, IN, INT, 4, 1))					\
	X(getsockopt,	PTR(4, INOUT, FIXED, 4, 1), PTR(3, INOUT, AT, 4, 1))	\
	X(socketpair,	PTR(3, OUT_IF_0, FIXED, 8, 1))				\
	X(pipe,		PTR(0, OUT_IF_0, FIXED, 8, 1))				\
	X(pipe2,	PTR(0, OUT_IF_0, FIXED, 8, 1))				\
	/* waiting for files */							\
	X(poll,		PTR(0, INOUT, INT, 1, 8))				\
	X(ppoll,	PTR(0, INOUT, INT, 1, 8), PTR(2, INOUT, FIXED, 16, 1),	\
			PTR(3, IN, LONG, 4, 1))					\
	X(select,	PTR(1, INOUT, BITS, 0, 1), PTR(2, INOUT, BITS, 0, 1),	\
			PTR(3, INOUT, BITS, 0, 1), PTR(4, INOUT, FIXED, 16, 1))	\
	X(pselect6,	PTR(1, INOUT, BITS, 0, 1), PTR(2, INOUT, BITS, 0, 1),	\
			PTR(3, INOUT, BITS, 0, 1), PTR(4, INOUT, FIXED, 16, 1),	\
			PTR(5, IN, PAIR, 0, 1))					\
	X(epoll_ctl,	PTR(3, IN, FIXED, 12, 1))				\
	X(epoll_wait,	PTR(1, OUT_AX, INT, 2, 12))				\
	X(epoll_pwait,	PTR(1, OUT_AX, INT, 2, 12), PTR(4, IN, LONG, 5, 1))	\
	X(epoll_pwait2,	PTR(1, OUT_AX, INT, 2, 12), PTR(3, IN, FIXED, 16, 1),	\
			PTR(4, IN, LONG, 5, 1))					\
	/* files by name and by number */					\
	X(open,		PTR(0, IN, STRING, 0, 1))				\
	X(openat,	PTR(1, IN, STRING, 0, 1))				\
	X(openat2,	PTR(1, IN, STRING, 0, 1), PTR(2, IN, LONG, 3, 1))	\
	X(creat,	PTR(0, IN, STRING, 0, 1))				\
	X(stat,		PTR(0, IN, STRING, 0, 1), PTR(1, OUT_IF_0, FIXED, 144, 1)) \
	X(lstat,	PTR(0, IN, STRING, 0, 1), PTR(1, OUT_IF_0, FIXED, 144, 1)) \
	X(fstat,	PTR(1, OUT_IF_0, FIXED, 144, 1))			\
	X(newfstatat,	PTR(1, IN, STRING, 0, 1), PTR(2, OUT_IF_0, FIXED, 144, 1)) \
	X(statx,	PTR(1, IN, STRING, 0, 1), PTR(4, OUT_IF_0, FIXED, 256, 1)) \
	X(statfs,	PTR(0, IN, STRING, 0, 1), PTR(1, OUT_IF_0, FIXED, 120, 1)) \
	X(fstatfs,	PTR(1, OUT_IF_0, FIXED, 120, 1))			\
	X(access,	PTR(0, IN, STRING, 0, 1))				\
	X(faccessat,	PTR(1, IN, STRING, 0, 1))				\
	X(faccessat2,	PTR(1, IN, STRING, 0, 1))				\
	X(readlink,	PTR(0, IN, STRING, 0, 1), PTR(1, OUT_AX, INT, 2, 1))	\
	X(readlinkat,	PTR(1, IN, STRING, 0, 1), PTR(2, OUT_AX, INT, 3, 1))	\
	X(getdents64,	PTR(1, OUT_AX, INT, 2, 1))				\
	X(getcwd,	PTR(0, OUT_AX, LONG, 1, 1))				\
	X(chdir,	PTR(0, IN, STRING, 0, 1))				\
	X(mkdir,	PTR(0, IN, STRING, 0, 1))				\
	X(mkdirat,	PTR(1, IN, STRING, 0, 1))				\
	X(rmdir,	PTR(0, IN, STRING, 0, 1))				\
	X(unlink,	PTR(0, IN, STRING, 0, 1))				\
	X(unlinkat,	PTR(1, IN, STRING, 0, 1))				\
	X(rename,	PTR(0, IN, STRING, 0, 1), PTR(1, IN, STRING, 0, 1))	\
	X(renameat,	PTR(1, IN, STRING, 0, 1), PTR(3, IN, STRING, 0, 1))	\
	X(renameat2,	PTR(1, IN, STRING, 0, 1), PTR(3, IN, STRING, 0, 1))	\
	X(link,		PTR(0, IN, STRING, 0, 1), PTR(1, IN, STRING, 0, 1))	\
	X(linkat,	PTR(1, IN, STRING, 0, 1), PTR(3, IN, STRING, 0, 1))	\
	X(symlink,	PTR(0, IN, STRING, 0, 1), PTR(1, IN, STRING, 0, 1))	\
	X(symlinkat,	PTR(0, IN, STRING, 0, 1), PTR(2, IN, STRING, 0, 1))	\
	X(chmod,	PTR(0, IN, STRING, 0, 1))				\
	X(fchmodat,	PTR(1, IN, STRING, 0, 1))				\
	X(chown,	PTR(0, IN, STRING, 0, 1))				\
	X(lchown,	PTR(0, IN, STRING, 0, 1))				\
	X(fchownat,	PTR(1, IN, STRING, 0, 1))				\
	X(truncate,	PTR(0, IN, STRING, 0, 1))				\
	X(utimensat,	PTR(1, IN, STRING, 0, 1), PTR(2, IN, FIXED, 32, 1))	\
	/* time */								\
	X(time,		PTR(0, INOUT, FIXED, 8, 1))				\
	X(gettimeofday,	PTR(0, OUT_IF_0, FIXED, 16, 1), PTR(1, OUT_IF_0, FIXED, 8, 1)) \
	X(clock_gettime, PTR(1, OUT_IF_0, FIXED, 16, 1))			\
	X(clock_getres,	PTR(1, OUT_IF_0, FIXED, 16, 1))				\
	X(nanosleep,	PTR(0, IN, FIXED, 16, 1), PTR(1, INOUT, FIXED, 16, 1))	\
	X(clock_nanosleep, PTR(2, IN, FIXED, 16, 1), PTR(3, INOUT, FIXED, 16, 1)) \
	X(getitimer,	PTR(1, OUT_IF_0, FIXED, 32, 1))				\
	X(setitimer,	PTR(1, IN, FIXED, 32, 1), PTR(2, INOUT, FIXED, 32, 1))	\
	X(timerfd_gettime, PTR(1, OUT_IF_0, FIXED, 32, 1))			\
	X(timerfd_settime, PTR(2, IN, FIXED, 32, 1), PTR(3, INOUT, FIXED, 32, 1)) \
	/* the process and the machine */					\
	X(uname,	PTR(0, OUT_IF_0, FIXED, 390, 1))			\
	X(sysinfo,	PTR(0, OUT_IF_0, FIXED, 112, 1))			\
	X(getrusage,	PTR(1, OUT_IF_0, FIXED, 144, 1))			\
	X(times,	PTR(0, INOUT, FIXED, 32, 1))				\
	X(getrlimit,	PTR(1, OUT_IF_0, FIXED, 16, 1))				\
	X(setrlimit,	PTR(1, IN, FIXED, 16, 1))				\
	X(prlimit64,	PTR(2, IN, FIXED, 16, 1), PTR(3, INOUT, FIXED, 16, 1))	\
	X(wait4,	PTR(1, INOUT, FIXED, 4, 1), PTR(3, INOUT, FIXED, 144, 1)) \
	X(rt_sigprocmask, PTR(1, IN, LONG, 3, 1), PTR(2, INOUT, LONG, 3, 1))	\
	X(rt_sigaction,	PTR(1, IN, FIXED, 32, 1), PTR(2, INOUT, FIXED, 32, 1))	\
	X(rt_sigpending, PTR(0, INOUT, LONG, 1, 1))				\
	X(sched_getaffinity, PTR(2, OUT_AX, INT, 1, 1))				\
	X(sched_setaffinity, PTR(2, IN, INT, 1, 1))

/*
 * Calls whose data does not travel if one of these flags is set: X(call, argument, flags).
 * With MSG_TRUNC the result counts bytes that nobody has written; what is sent with
 * MSG_ZEROCOPY is sent from where it is, later.
 */
#define RAD_INLINE_NOT_WITH(X)							\
	X(recvfrom, 3, RAD_FLAG_TRUNC) X(recvmsg, 2, RAD_FLAG_TRUNC)		\
	X(sendto, 3, RAD_FLAG_ZEROCOPY) X(sendmsg, 2, RAD_FLAG_ZEROCOPY)

/*
 * Calls that hand memory to a file of any kind, their first argument. A driver may go on
 * using it afterwards.
 */
#define RAD_INLINE_TO_FILE(X)							\
	X(read) X(write) X(pread64) X(pwrite64) X(readv) X(writev)		\
	X(preadv) X(pwritev) X(preadv2) X(pwritev2)

#endif /* _RADIUM_INLINE_TABLE_H */

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
 *   OUT_TEXT	a long and the bytes that the result says; nothing if it is negative
 *
 *   FIXED	n bytes
 *   LONG	argument n, times @unit
 *   INT	the same, of which the call looks at the lower 32 bits
 *   BITS	as many bits as argument n says, in whole words
 *   TEXT	a long, and argument n bytes: struct msgbuf
 *   STRING	up to its end
 *   AT		what the integer says that argument n points to, whose PTR comes before
 *   VECTOR	argument n: entries of an array of struct iovec
 *   PAIR	one such entry
 *   MESSAGE	a struct msghdr, and what it points to
 *   MESSAGES	argument n: entries of an array of struct mmsghdr, and what they point to
 *
 * What the kernel keeps a pointer to when the call has ended is not here: the memory
 * that it sees is lent (scratch.h). Nor is anything whose size only the kernel knows: it
 * would write beyond what was lent. Where a call writes in several places it is INOUT,
 * because what it has written before it fails stays written.
 */
#ifndef _RADIUM_INLINE_TABLE_H
#define _RADIUM_INLINE_TABLE_H

#include <asm/ioctls.h>
#include <asm/socket.h>
#include <asm/termbits.h>
#include <linux/fcntl.h>
#include <linux/futex.h>
#include <linux/ipc.h>
#include <linux/msg.h>
#include <linux/prctl.h>
#include <linux/sem.h>
#include <linux/shm.h>
#include <linux/sockios.h>

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
	X(sendfile,	PTR(2, INOUT, FIXED, 8, 1))				\
	X(copy_file_range, PTR(1, INOUT, FIXED, 8, 1), PTR(3, INOUT, FIXED, 8, 1)) \
	X(splice,	PTR(1, INOUT, FIXED, 8, 1), PTR(3, INOUT, FIXED, 8, 1))	\
	/* sockets */								\
	X(sendto,	PTR(1, IN, LONG, 2, 1), PTR(4, IN, INT, 5, 1))		\
	X(recvfrom,	PTR(5, INOUT, FIXED, 4, 1), PTR(4, INOUT, AT, 5, 1),	\
			PTR(1, OUT_AX, LONG, 2, 1))				\
	X(sendmsg,	PTR(1, IN, MESSAGE, 0, 1))				\
	X(recvmsg,	PTR(1, OUT_AX, MESSAGE, 0, 1))				\
	X(sendmmsg,	PTR(1, IN, MESSAGES, 2, 1))				\
	X(recvmmsg,	PTR(1, INOUT, MESSAGES, 2, 1), PTR(4, INOUT, FIXED, 16, 1)) \
	X(bind,		PTR(1, IN, INT, 2, 1))					\
	X(connect,	PTR(1, IN, INT, 2, 1))					\
	X(accept,	PTR(2, INOUT, FIXED, 4, 1), PTR(1, INOUT, AT, 2, 1))	\
	X(accept4,	PTR(2, INOUT, FIXED, 4, 1), PTR(1, INOUT, AT, 2, 1))	\
	X(getsockname,	PTR(2, INOUT, FIXED, 4, 1), PTR(1, INOUT, AT, 2, 1))	\
	X(getpeername,	PTR(2, INOUT, FIXED, 4, 1), PTR(1, INOUT, AT, 2, 1))	\
	X(socketpair,	PTR(3, INOUT, FIXED, 8, 1))				\
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
	X(getdents,	PTR(1, OUT_AX, INT, 2, 1))				\
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
	X(utime,	PTR(0, IN, STRING, 0, 1), PTR(1, IN, FIXED, 16, 1))	\
	X(utimes,	PTR(0, IN, STRING, 0, 1), PTR(1, IN, FIXED, 32, 1))	\
	X(futimesat,	PTR(1, IN, STRING, 0, 1), PTR(2, IN, FIXED, 32, 1))	\
	X(utimensat,	PTR(1, IN, STRING, 0, 1), PTR(2, IN, FIXED, 32, 1))	\
	X(mknod,	PTR(0, IN, STRING, 0, 1))				\
	X(mknodat,	PTR(1, IN, STRING, 0, 1))				\
	X(chroot,	PTR(0, IN, STRING, 0, 1))				\
	X(memfd_create,	PTR(0, IN, STRING, 0, 1))				\
	X(inotify_add_watch, PTR(1, IN, STRING, 0, 1))				\
	/* extended attributes */						\
	X(getxattr,	PTR(0, IN, STRING, 0, 1), PTR(1, IN, STRING, 0, 1),	\
			PTR(2, OUT_AX, LONG, 3, 1))				\
	X(lgetxattr,	PTR(0, IN, STRING, 0, 1), PTR(1, IN, STRING, 0, 1),	\
			PTR(2, OUT_AX, LONG, 3, 1))				\
	X(fgetxattr,	PTR(1, IN, STRING, 0, 1), PTR(2, OUT_AX, LONG, 3, 1))	\
	X(listxattr,	PTR(0, IN, STRING, 0, 1), PTR(1, OUT_AX, LONG, 2, 1))	\
	X(llistxattr,	PTR(0, IN, STRING, 0, 1), PTR(1, OUT_AX, LONG, 2, 1))	\
	X(flistxattr,	PTR(1, OUT_AX, LONG, 2, 1))				\
	X(setxattr,	PTR(0, IN, STRING, 0, 1), PTR(1, IN, STRING, 0, 1),	\
			PTR(2, IN, LONG, 3, 1))					\
	X(lsetxattr,	PTR(0, IN, STRING, 0, 1), PTR(1, IN, STRING, 0, 1),	\
			PTR(2, IN, LONG, 3, 1))					\
	X(fsetxattr,	PTR(1, IN, STRING, 0, 1), PTR(2, IN, LONG, 3, 1))	\
	X(removexattr,	PTR(0, IN, STRING, 0, 1), PTR(1, IN, STRING, 0, 1))	\
	X(lremovexattr,	PTR(0, IN, STRING, 0, 1), PTR(1, IN, STRING, 0, 1))	\
	X(fremovexattr,	PTR(1, IN, STRING, 0, 1))				\
	/* messages and semaphores */						\
	X(msgsnd,	PTR(1, IN, TEXT, 2, 1))					\
	X(msgrcv,	PTR(1, OUT_TEXT, TEXT, 2, 1))				\
	X(semop,	PTR(1, IN, INT, 2, 6))					\
	X(semtimedop,	PTR(3, IN, FIXED, 16, 1), PTR(1, IN, INT, 2, 6))	\
	X(mq_open,	PTR(0, IN, STRING, 0, 1), PTR(3, IN, FIXED, 64, 1))	\
	X(mq_unlink,	PTR(0, IN, STRING, 0, 1))				\
	X(mq_timedsend,	PTR(4, IN, FIXED, 16, 1), PTR(1, IN, LONG, 2, 1))	\
	X(mq_timedreceive, PTR(4, IN, FIXED, 16, 1), PTR(3, INOUT, FIXED, 4, 1), \
			PTR(1, OUT_AX, LONG, 2, 1))				\
	X(mq_notify,	PTR(1, IN, FIXED, 64, 1))				\
	X(mq_getsetattr, PTR(1, IN, FIXED, 64, 1), PTR(2, INOUT, FIXED, 64, 1))	\
	/* time */								\
	X(time,		PTR(0, INOUT, FIXED, 8, 1))				\
	X(gettimeofday,	PTR(0, INOUT, FIXED, 16, 1), PTR(1, INOUT, FIXED, 8, 1)) \
	X(clock_gettime, PTR(1, OUT_IF_0, FIXED, 16, 1))			\
	X(clock_getres,	PTR(1, OUT_IF_0, FIXED, 16, 1))				\
	X(nanosleep,	PTR(0, IN, FIXED, 16, 1), PTR(1, INOUT, FIXED, 16, 1))	\
	X(clock_nanosleep, PTR(2, IN, FIXED, 16, 1), PTR(3, INOUT, FIXED, 16, 1)) \
	X(getitimer,	PTR(1, OUT_IF_0, FIXED, 32, 1))				\
	X(setitimer,	PTR(1, IN, FIXED, 32, 1), PTR(2, INOUT, FIXED, 32, 1))	\
	X(timerfd_gettime, PTR(1, OUT_IF_0, FIXED, 32, 1))			\
	X(timerfd_settime, PTR(2, IN, FIXED, 32, 1), PTR(3, INOUT, FIXED, 32, 1)) \
	X(timer_create,	PTR(1, IN, FIXED, 64, 1), PTR(2, INOUT, FIXED, 4, 1))	\
	X(timer_gettime, PTR(1, OUT_IF_0, FIXED, 32, 1))			\
	X(timer_settime, PTR(2, IN, FIXED, 32, 1), PTR(3, INOUT, FIXED, 32, 1))	\
	/* the process and the machine */					\
	X(uname,	PTR(0, OUT_IF_0, FIXED, 390, 1))			\
	X(sysinfo,	PTR(0, OUT_IF_0, FIXED, 112, 1))			\
	X(getrusage,	PTR(1, OUT_IF_0, FIXED, 144, 1))			\
	X(times,	PTR(0, INOUT, FIXED, 32, 1))				\
	X(getrlimit,	PTR(1, OUT_IF_0, FIXED, 16, 1))				\
	X(setrlimit,	PTR(1, IN, FIXED, 16, 1))				\
	X(prlimit64,	PTR(2, IN, FIXED, 16, 1), PTR(3, INOUT, FIXED, 16, 1))	\
	X(wait4,	PTR(1, INOUT, FIXED, 4, 1), PTR(3, INOUT, FIXED, 144, 1)) \
	X(waitid,	PTR(2, INOUT, FIXED, 128, 1), PTR(4, INOUT, FIXED, 144, 1)) \
	X(getcpu,	PTR(0, INOUT, FIXED, 4, 1), PTR(1, INOUT, FIXED, 4, 1))	\
	X(getgroups,	PTR(1, OUT_AX, INT, 0, 4))				\
	X(setgroups,	PTR(1, IN, INT, 0, 4))					\
	X(getresuid,	PTR(0, INOUT, FIXED, 4, 1), PTR(1, INOUT, FIXED, 4, 1),	\
			PTR(2, INOUT, FIXED, 4, 1))				\
	X(getresgid,	PTR(0, INOUT, FIXED, 4, 1), PTR(1, INOUT, FIXED, 4, 1),	\
			PTR(2, INOUT, FIXED, 4, 1))				\
	X(capget,	PTR(0, INOUT, FIXED, 8, 1), PTR(1, INOUT, FIXED, 24, 1)) \
	X(capset,	PTR(0, INOUT, FIXED, 8, 1), PTR(1, IN, FIXED, 24, 1))	\
	X(rt_sigprocmask, PTR(1, IN, LONG, 3, 1), PTR(2, INOUT, LONG, 3, 1))	\
	X(rt_sigaction,	PTR(1, IN, FIXED, 32, 1), PTR(2, INOUT, FIXED, 32, 1))	\
	X(rt_sigpending, PTR(0, INOUT, LONG, 1, 1))				\
	X(rt_sigsuspend, PTR(0, IN, LONG, 1, 1))				\
	X(rt_sigtimedwait, PTR(0, IN, LONG, 3, 1), PTR(2, IN, FIXED, 16, 1),	\
			PTR(1, INOUT, FIXED, 128, 1))				\
	X(rt_sigqueueinfo, PTR(2, IN, FIXED, 128, 1))				\
	X(rt_tgsigqueueinfo, PTR(3, IN, FIXED, 128, 1))				\
	X(pidfd_send_signal, PTR(2, IN, FIXED, 128, 1))				\
	X(signalfd,	PTR(1, IN, LONG, 2, 1))					\
	X(signalfd4,	PTR(1, IN, LONG, 2, 1))					\
	X(sched_getparam, PTR(1, OUT_IF_0, FIXED, 4, 1))			\
	X(sched_setparam, PTR(1, IN, FIXED, 4, 1))				\
	X(sched_setscheduler, PTR(2, IN, FIXED, 4, 1))				\
	X(sched_getaffinity, PTR(2, OUT_AX, INT, 1, 1))				\
	X(sched_setaffinity, PTR(2, IN, INT, 1, 1))

/*
 * Calls whose pointers depend on a command: X(call, argument, command, PTR...). The
 * argument is an int that is the command, or has one of these values of several. Any other
 * command has no row.
 *
 * Of ioctl only what has one meaning and one size for every file that knows it, see also
 * RAD_INLINE_TO_FILE; of options of sockets only levels that heed the length that they are
 * given. Of futex only the time limit: the word is where it is.
 */
#define RAD_INLINE_COMMANDS(X)							\
	/* terminals */								\
	X(ioctl, 1, TCGETS,	PTR(2, INOUT, FIXED, 36, 1))			\
	X(ioctl, 1, TCSETS,	PTR(2, IN, FIXED, 36, 1))			\
	X(ioctl, 1, TCSETSW,	PTR(2, IN, FIXED, 36, 1))			\
	X(ioctl, 1, TCSETSF,	PTR(2, IN, FIXED, 36, 1))			\
	X(ioctl, 1, TCGETS2,	PTR(2, INOUT, FIXED, 44, 1))			\
	X(ioctl, 1, TCSETS2,	PTR(2, IN, FIXED, 44, 1))			\
	X(ioctl, 1, TCSETSW2,	PTR(2, IN, FIXED, 44, 1))			\
	X(ioctl, 1, TCSETSF2,	PTR(2, IN, FIXED, 44, 1))			\
	X(ioctl, 1, TIOCGWINSZ,	PTR(2, INOUT, FIXED, 8, 1))			\
	X(ioctl, 1, TIOCSWINSZ,	PTR(2, IN, FIXED, 8, 1))			\
	X(ioctl, 1, TIOCGPGRP,	PTR(2, INOUT, FIXED, 4, 1))			\
	X(ioctl, 1, TIOCSPGRP,	PTR(2, IN, FIXED, 4, 1))			\
	X(ioctl, 1, TIOCGSID,	PTR(2, INOUT, FIXED, 4, 1))			\
	X(ioctl, 1, TIOCGPTN,	PTR(2, INOUT, FIXED, 4, 1))			\
	X(ioctl, 1, TIOCSPTLCK,	PTR(2, IN, FIXED, 4, 1))			\
	X(ioctl, 1, TIOCGPTLCK,	PTR(2, INOUT, FIXED, 4, 1))			\
	X(ioctl, 1, TIOCPKT,	PTR(2, IN, FIXED, 4, 1))			\
	/* any file, pipes, sockets */						\
	X(ioctl, 1, FIONREAD,	PTR(2, INOUT, FIXED, 4, 1))			\
	X(ioctl, 1, TIOCOUTQ,	PTR(2, INOUT, FIXED, 4, 1))			\
	X(ioctl, 1, FIONBIO,	PTR(2, IN, FIXED, 4, 1))			\
	X(ioctl, 1, FIOASYNC,	PTR(2, IN, FIXED, 4, 1))			\
	X(ioctl, 1, SIOCATMARK,	PTR(2, INOUT, FIXED, 4, 1))			\
	X(ioctl, 1, SIOCGIFINDEX, PTR(2, INOUT, FIXED, 40, 1))			\
	X(ioctl, 1, SIOCGIFNAME, PTR(2, INOUT, FIXED, 40, 1))			\
	X(ioctl, 1, SIOCGIFFLAGS, PTR(2, INOUT, FIXED, 40, 1))			\
	X(ioctl, 1, SIOCGIFADDR, PTR(2, INOUT, FIXED, 40, 1))			\
	X(ioctl, 1, SIOCGIFNETMASK, PTR(2, INOUT, FIXED, 40, 1))		\
	X(ioctl, 1, SIOCGIFBRDADDR, PTR(2, INOUT, FIXED, 40, 1))		\
	X(ioctl, 1, SIOCGIFHWADDR, PTR(2, INOUT, FIXED, 40, 1))			\
	X(ioctl, 1, SIOCGIFMTU,	PTR(2, INOUT, FIXED, 40, 1))			\
	/* locks and owners of files */						\
	X(fcntl, 1, F_GETLK,	PTR(2, INOUT, FIXED, 32, 1))			\
	X(fcntl, 1, F_SETLK,	PTR(2, IN, FIXED, 32, 1))			\
	X(fcntl, 1, F_SETLKW,	PTR(2, IN, FIXED, 32, 1))			\
	X(fcntl, 1, F_OFD_GETLK, PTR(2, INOUT, FIXED, 32, 1))			\
	X(fcntl, 1, F_OFD_SETLK, PTR(2, IN, FIXED, 32, 1))			\
	X(fcntl, 1, F_OFD_SETLKW, PTR(2, IN, FIXED, 32, 1))			\
	X(fcntl, 1, F_GETOWN_EX, PTR(2, INOUT, FIXED, 8, 1))			\
	X(fcntl, 1, F_SETOWN_EX, PTR(2, IN, FIXED, 8, 1))			\
	/* options of sockets */						\
	X(setsockopt, 1, SOL_SOCKET, PTR(3, IN, INT, 4, 1))			\
	X(setsockopt, 1, RAD_LEVEL_IP, PTR(3, IN, INT, 4, 1))			\
	X(setsockopt, 1, RAD_LEVEL_TCP, PTR(3, IN, INT, 4, 1))			\
	X(setsockopt, 1, RAD_LEVEL_UDP, PTR(3, IN, INT, 4, 1))			\
	X(setsockopt, 1, RAD_LEVEL_IPV6, PTR(3, INOUT, INT, 4, 1))	/* IPV6_FLOWLABEL_MGR */ \
	X(setsockopt, 1, RAD_LEVEL_NETLINK, PTR(3, IN, INT, 4, 1))		\
	X(getsockopt, 1, SOL_SOCKET, PTR(4, INOUT, FIXED, 4, 1), PTR(3, INOUT, AT, 4, 1)) \
	X(getsockopt, 1, RAD_LEVEL_IP, PTR(4, INOUT, FIXED, 4, 1), PTR(3, INOUT, AT, 4, 1)) \
	X(getsockopt, 1, RAD_LEVEL_TCP, PTR(4, INOUT, FIXED, 4, 1), PTR(3, INOUT, AT, 4, 1)) \
	X(getsockopt, 1, RAD_LEVEL_UDP, PTR(4, INOUT, FIXED, 4, 1), PTR(3, INOUT, AT, 4, 1)) \
	X(getsockopt, 1, RAD_LEVEL_IPV6, PTR(4, INOUT, FIXED, 4, 1), PTR(3, INOUT, AT, 4, 1)) \
	X(getsockopt, 1, RAD_LEVEL_NETLINK, PTR(4, INOUT, FIXED, 4, 1), PTR(3, INOUT, AT, 4, 1)) \
	/* System V */								\
	X(msgctl, 1, IPC_STAT,	PTR(2, INOUT, FIXED, 120, 1))			\
	X(msgctl, 1, IPC_SET,	PTR(2, IN, FIXED, 120, 1))			\
	X(semctl, 2, IPC_STAT,	PTR(3, INOUT, FIXED, 104, 1))			\
	X(semctl, 2, IPC_SET,	PTR(3, IN, FIXED, 104, 1))			\
	X(shmctl, 1, IPC_STAT,	PTR(2, INOUT, FIXED, 112, 1))			\
	X(shmctl, 1, IPC_SET,	PTR(2, IN, FIXED, 112, 1))			\
	/* the thread */							\
	X(futex, 1, FUTEX_WAIT,	PTR(3, IN, FIXED, 16, 1))			\
	X(futex, 1, FUTEX_WAIT_PRIVATE, PTR(3, IN, FIXED, 16, 1))		\
	X(futex, 1, FUTEX_WAIT_BITSET, PTR(3, IN, FIXED, 16, 1))		\
	X(futex, 1, FUTEX_WAIT_BITSET_PRIVATE, PTR(3, IN, FIXED, 16, 1))	\
	X(futex, 1, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, PTR(3, IN, FIXED, 16, 1)) \
	X(futex, 1, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, PTR(3, IN, FIXED, 16, 1)) \
	X(futex, 1, FUTEX_LOCK_PI, PTR(3, IN, FIXED, 16, 1))			\
	X(futex, 1, FUTEX_LOCK_PI_PRIVATE, PTR(3, IN, FIXED, 16, 1))		\
	X(prctl, 0, PR_SET_NAME, PTR(1, IN, STRING, 0, 1))			\
	X(prctl, 0, PR_GET_NAME, PTR(1, OUT_IF_0, FIXED, 16, 1))		\
	X(prctl, 0, PR_GET_PDEATHSIG, PTR(1, INOUT, FIXED, 4, 1))		\
	X(prctl, 0, PR_GET_CHILD_SUBREAPER, PTR(1, INOUT, FIXED, 4, 1))

/*
 * Calls whose data does not travel if one of these flags is set: X(call, argument, flags).
 * With MSG_TRUNC the result counts bytes that nobody has written; what is sent with
 * MSG_ZEROCOPY is sent from where it is, later.
 */
#define RAD_INLINE_NOT_WITH(X)							\
	X(recvfrom, 3, RAD_FLAG_TRUNC) X(recvmsg, 2, RAD_FLAG_TRUNC)		\
	X(sendto, 3, RAD_FLAG_ZEROCOPY) X(sendmsg, 2, RAD_FLAG_ZEROCOPY)	\
	X(sendmmsg, 3, RAD_FLAG_ZEROCOPY)

/*
 * Calls whose data does not travel if an argument is this: X(call, argument, value). These
 * options are written as far as there is something, or as another number in them says, and
 * not as their length says; at whatever level.
 */
#define RAD_INLINE_NOT_AT(X)							\
	X(getsockopt, 2, SO_GET_FILTER)						\
	X(getsockopt, 2, RAD_OPTION_MSFILTER)					\
	X(getsockopt, 2, RAD_OPTION_GROUP_MSFILTER)

/*
 * Calls that hand memory to a file of any kind, their first argument. A driver may go on
 * using it afterwards, or give a number of ioctl another meaning.
 */
#define RAD_INLINE_TO_FILE(X)							\
	X(ioctl) X(read) X(write) X(pread64) X(pwrite64) X(readv) X(writev)		\
	X(preadv) X(pwritev) X(preadv2) X(pwritev2)

#endif /* _RADIUM_INLINE_TABLE_H */

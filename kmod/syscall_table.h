/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: where a visitor's system call is done. One row per call that is not
 * HOME; every other number, known or not, is.
 *
 *   LOCAL	by the visitor; needs nothing of the process
 *   HOME	by the deputy, with the visitor's arguments; pointers work because the
 *		deputy touches the same address space
 *   RETURN	the thread goes home with its registers and makes the call there,
 *		natively, then goes out again
 *   END	like RETURN, and does not come out again
 *   OWN	by the visitor, where its first argument is one of RAD_SYSCALLS_OWN; else
 *		like RETURN
 *
 * X(call, class, why)
 */
#ifndef _RADIUM_SYSCALL_TABLE_H
#define _RADIUM_SYSCALL_TABLE_H

#define RAD_SYSCALLS(X)								\
	X(sched_yield,	LOCAL,	"gives up the CPU on which the thread runs")	\
	X(fork,		RETURN,	"copies the task")				\
	X(vfork,	RETURN,	"copies the task")				\
	X(clone,	RETURN,	"copies the task")				\
	X(clone3,	RETURN,	"copies the task")				\
	X(execve,	RETURN,	"replaces the registers and the memory")	\
	X(execveat,	RETURN,	"replaces the registers and the memory")	\
	X(rt_sigreturn,	RETURN,	"replaces the registers")			\
	X(sigaltstack,	RETURN,	"looks at the stack pointer")			\
	X(arch_prctl,	OWN,	"FS and GS travel with the thread; the rest is the task's")	\
	X(ptrace,	RETURN,	"PTRACE_TRACEME changes the task")		\
	X(iopl,		RETURN,	"changes the registers")			\
	X(ioperm,	RETURN,	"changes the task")				\
	X(pkey_alloc,	RETURN,	"changes the register of the protection keys")	\
	X(modify_ldt,	RETURN,	"changes the segments")				\
	X(exit,		END,	"ends the task")				\
	X(exit_group,	END,	"ends the task")

enum rad_syscall_class {
	RAD_SYSCALL_HOME,
	RAD_SYSCALL_LOCAL,
	RAD_SYSCALL_RETURN,
	RAD_SYSCALL_END,
	RAD_SYSCALL_OWN,
};

/*
 * What an OWN call may do where the thread is: it reads and writes nothing but
 * registers that come home with the thread. X(call, first argument)
 */
#define RAD_SYSCALLS_OWN(X)							\
	X(arch_prctl, ARCH_SET_FS) X(arch_prctl, ARCH_GET_FS)			\
	X(arch_prctl, ARCH_SET_GS) X(arch_prctl, ARCH_GET_GS)

/*
 * Calls that a task must not be woken out of without a signal: they would return
 * EINTR, or a part of what they would have done, instead of being restarted. A
 * thread in one of them is left alone until the call ends.
 */
#define RAD_SYSCALLS_NOT_RESTARTED(X)						\
	X(epoll_wait) X(epoll_pwait) X(epoll_pwait2)				\
	X(semop) X(semtimedop) X(rt_sigtimedwait)				\
	X(io_getevents) X(io_pgetevents) X(io_uring_enter)			\
	X(write) X(writev) X(pwrite64) X(pwritev) X(pwritev2)			\
	X(sendto) X(sendmsg) X(sendmmsg) X(recvmmsg) X(sendfile)		\
	X(splice) X(vmsplice) X(tee) X(copy_file_range)

/*
 * Calls on a socket that are restarted only if it has no time limit of its own
 * (SO_RCVTIMEO, SO_SNDTIMEO): X(call, argument with MSG_WAITALL in it or -1).
 * The first argument is the descriptor.
 */
#define RAD_SYSCALLS_ON_SOCKET(X)						\
	X(read, -1) X(readv, -1)						\
	X(recvfrom, 3) X(recvmsg, 2)						\
	X(accept, -1) X(accept4, -1) X(connect, -1)

#endif /* _RADIUM_SYSCALL_TABLE_H */

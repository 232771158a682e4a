/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: where a visitor's system call is done, and why. One row per call of this kernel,
 * in the order of their numbers. A number between them that is no call is HOME, one beyond
 * the last, as those of the 32-bit ways into the kernel and of x32, is RETURN.
 *
 *   LOCAL	by the visitor, while nobody watches the thread's calls: it needs nothing of the
 *		process, or what home has told already (visitor_local.c); else like HOME or INLINE
 *   OWN	by the visitor, where its first argument is one of RAD_SYSCALLS_OWN; else
 *		like RETURN
 *   HOME	by the deputy, with the visitor's arguments; pointers work because the
 *		deputy touches the same address space
 *   INLINE	like HOME, and what it points to travels with it (inline_table.h), all of it
 *		or some
 *   RETURN	the thread goes home with its registers and makes the call there,
 *		natively, then goes out again
 *   END	like RETURN, and does not come out again
 *
 * A call that belongs to a third node (ROUTED) there is none.
 *
 * X(call, class, why). Which tests make it away: selftests/lib/calls.txt.
 */
#ifndef _RADIUM_SYSCALL_TABLE_H
#define _RADIUM_SYSCALL_TABLE_H

#define RAD_SYSCALLS(X)												\
	X(read,				INLINE,	"what it reads comes with the result")			\
	X(write,			INLINE,	"what it writes goes with it")				\
	X(open,				INLINE,	"names go with it")					\
	X(close,			HOME,	"about the process' files, by number")			\
	X(stat,				INLINE,	"what is told comes with the result")			\
	X(fstat,			INLINE,	"what is told comes with the result")			\
	X(lstat,			INLINE,	"what is told comes with the result")			\
	X(poll,				INLINE,	"sets, events and time limits travel")			\
	X(lseek,			HOME,	"about the process' files, by number")			\
	X(mmap,				HOME,	"the address space is home's")				\
	X(mprotect,			HOME,	"the address space is home's")				\
	X(munmap,			HOME,	"the address space is home's")				\
	X(brk,				HOME,	"the address space is home's")				\
	X(rt_sigaction,			INLINE,	"masks, actions and values of signals travel")		\
	X(rt_sigprocmask,		INLINE,	"masks, actions and values of signals travel")		\
	X(rt_sigreturn,			RETURN,	"replaces the registers")				\
	X(ioctl,			INLINE,	"what has one meaning and one size for all files travels")	\
	X(pread64,			INLINE,	"what it reads comes with the result")			\
	X(pwrite64,			INLINE,	"what it writes goes with it")				\
	X(readv,			INLINE,	"what it reads comes with the result")			\
	X(writev,			INLINE,	"what it writes goes with it")				\
	X(access,			INLINE,	"names go with it")					\
	X(pipe,				INLINE,	"the descriptors come with the result")			\
	X(select,			INLINE,	"sets, events and time limits travel")			\
	X(sched_yield,			LOCAL,	"gives up the CPU on which the thread runs")		\
	X(mremap,			HOME,	"the address space is home's")				\
	X(msync,			HOME,	"the address space is home's")				\
	X(mincore,			HOME,	"the address space is home's; few programs make it")	\
	X(madvise,			HOME,	"the address space is home's")				\
	X(shmget,			HOME,	"by value")						\
	X(shmat,			HOME,	"the address space is home's")				\
	X(shmctl,			INLINE,	"status travels; what only the kernel knows the size of does not")	\
	X(dup,				HOME,	"about the process' files, by number")			\
	X(dup2,				HOME,	"about the process' files, by number")			\
	X(pause,			HOME,	"signals and timers of the process, by value")		\
	X(nanosleep,			INLINE,	"times travel")						\
	X(getitimer,			INLINE,	"times come with the result")				\
	X(alarm,			HOME,	"signals and timers of the process, by value")		\
	X(setitimer,			INLINE,	"times travel")						\
	X(getpid,			LOCAL,	"home has told who it is")				\
	X(sendfile,			INLINE,	"the offsets travel; the bytes do not leave the kernel")	\
	X(socket,			HOME,	"about the process' files, by number")			\
	X(connect,			INLINE,	"messages and addresses go with it")			\
	X(accept,			INLINE,	"messages and addresses come with the result")		\
	X(sendto,			INLINE,	"messages and addresses go with it")			\
	X(recvfrom,			INLINE,	"messages and addresses come with the result")		\
	X(sendmsg,			INLINE,	"messages and addresses go with it")			\
	X(recvmsg,			INLINE,	"messages and addresses come with the result")		\
	X(shutdown,			HOME,	"about the process' files, by number")			\
	X(bind,				INLINE,	"messages and addresses go with it")			\
	X(listen,			HOME,	"about the process' files, by number")			\
	X(getsockname,			INLINE,	"messages and addresses come with the result")		\
	X(getpeername,			INLINE,	"messages and addresses come with the result")		\
	X(socketpair,			INLINE,	"the descriptors come with the result")			\
	X(setsockopt,			INLINE,	"options travel, of levels that heed their length")	\
	X(getsockopt,			INLINE,	"options travel, of levels that heed their length")	\
	X(clone,			RETURN,	"copies the task")					\
	X(fork,				RETURN,	"copies the task")					\
	X(vfork,			RETURN,	"copies the task")					\
	X(execve,			RETURN,	"replaces the registers and the memory")		\
	X(exit,				END,	"ends the task")					\
	X(wait4,			INLINE,	"what is told of the child comes with the result")	\
	X(kill,				HOME,	"signals and timers of the process, by value")		\
	X(uname,			INLINE,	"what is told comes with the result")			\
	X(semget,			HOME,	"by value")						\
	X(semop,			INLINE,	"operations and time limit go with it")			\
	X(semctl,			INLINE,	"status travels; what only the kernel knows the size of does not")	\
	X(shmdt,			HOME,	"the address space is home's")				\
	X(msgget,			HOME,	"by value")						\
	X(msgsnd,			INLINE,	"messages travel")					\
	X(msgrcv,			INLINE,	"messages travel")					\
	X(msgctl,			INLINE,	"status travels; what only the kernel knows the size of does not")	\
	X(fcntl,			INLINE,	"locks and owners travel")				\
	X(flock,			HOME,	"about the process' files, by number")			\
	X(fsync,			HOME,	"about the process' files, by number")			\
	X(fdatasync,			HOME,	"about the process' files, by number")			\
	X(truncate,			INLINE,	"names go with it")					\
	X(ftruncate,			HOME,	"about the process' files, by number")			\
	X(getdents,			INLINE,	"names come with the result")				\
	X(getcwd,			INLINE,	"names come with the result")				\
	X(chdir,			INLINE,	"names go with it")					\
	X(fchdir,			HOME,	"about the process' files, by number")			\
	X(rename,			INLINE,	"names go with it")					\
	X(mkdir,			INLINE,	"names go with it")					\
	X(rmdir,			INLINE,	"names go with it")					\
	X(creat,			INLINE,	"names go with it")					\
	X(link,				INLINE,	"names go with it")					\
	X(unlink,			INLINE,	"names go with it")					\
	X(symlink,			INLINE,	"names go with it")					\
	X(readlink,			INLINE,	"names come with the result")				\
	X(chmod,			INLINE,	"names go with it")					\
	X(fchmod,			HOME,	"about the process' files, by number")			\
	X(chown,			INLINE,	"names go with it")					\
	X(fchown,			HOME,	"about the process' files, by number")			\
	X(lchown,			INLINE,	"names go with it")					\
	X(umask,			HOME,	"about the process' files, by number")			\
	X(gettimeofday,			LOCAL,	"what the vdso reads; the time zone is home's")			\
	X(getrlimit,			INLINE,	"what is told comes with the result")			\
	X(getrusage,			INLINE,	"what is told comes with the result")			\
	X(sysinfo,			INLINE,	"what is told comes with the result")			\
	X(times,			INLINE,	"times come with the result")				\
	X(ptrace,			RETURN,	"PTRACE_TRACEME changes the task")			\
	X(getuid,			LOCAL,	"home has told who it is")				\
	X(syslog,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(getgid,			LOCAL,	"home has told who it is")				\
	X(setuid,			HOME,	"an attribute of the process, by value")		\
	X(setgid,			HOME,	"an attribute of the process, by value")		\
	X(geteuid,			LOCAL,	"home has told who it is")				\
	X(getegid,			LOCAL,	"home has told who it is")				\
	X(setpgid,			HOME,	"an attribute of the process, by value")		\
	X(getppid,			HOME,	"an attribute of the process, by value")		\
	X(getpgrp,			HOME,	"an attribute of the process, by value")		\
	X(setsid,			HOME,	"an attribute of the process, by value")		\
	X(setreuid,			HOME,	"an attribute of the process, by value")		\
	X(setregid,			HOME,	"an attribute of the process, by value")		\
	X(getgroups,			INLINE,	"what is told comes with the result")			\
	X(setgroups,			INLINE,	"what is set or told travels")				\
	X(setresuid,			HOME,	"an attribute of the process, by value")		\
	X(getresuid,			INLINE,	"what is told comes with the result")			\
	X(setresgid,			HOME,	"an attribute of the process, by value")		\
	X(getresgid,			INLINE,	"what is told comes with the result")			\
	X(getpgid,			HOME,	"an attribute of the process, by value")		\
	X(setfsuid,			HOME,	"an attribute of the process, by value")		\
	X(setfsgid,			HOME,	"an attribute of the process, by value")		\
	X(getsid,			HOME,	"an attribute of the process, by value")		\
	X(capget,			INLINE,	"what is set or told travels")				\
	X(capset,			INLINE,	"what is set or told travels")				\
	X(rt_sigpending,		INLINE,	"masks, actions and values of signals travel")		\
	X(rt_sigtimedwait,		INLINE,	"masks, actions and values of signals travel")		\
	X(rt_sigqueueinfo,		INLINE,	"masks, actions and values of signals travel")		\
	X(rt_sigsuspend,		INLINE,	"masks, actions and values of signals travel")		\
	X(sigaltstack,			RETURN,	"looks at the stack pointer")				\
	X(utime,			INLINE,	"name and times go with it")				\
	X(mknod,			INLINE,	"names go with it")					\
	X(uselib,			HOME,	"not of this kernel: answers ENOSYS")			\
	X(personality,			HOME,	"an attribute of the process, by value")		\
	X(ustat,			HOME,	"outdated: what it points to is used where it is")	\
	X(statfs,			INLINE,	"what is told comes with the result")			\
	X(fstatfs,			INLINE,	"what is told comes with the result")			\
	X(sysfs,			HOME,	"outdated: what it points to is used where it is")	\
	X(getpriority,			HOME,	"an attribute of the process, by value")		\
	X(setpriority,			HOME,	"an attribute of the process, by value")		\
	X(sched_setparam,		INLINE,	"what is set or told travels")				\
	X(sched_getparam,		INLINE,	"what is told comes with the result")			\
	X(sched_setscheduler,		INLINE,	"what is set or told travels")				\
	X(sched_getscheduler,		HOME,	"an attribute of the process, by value")		\
	X(sched_get_priority_max,	HOME,	"an attribute of the process, by value")		\
	X(sched_get_priority_min,	HOME,	"an attribute of the process, by value")		\
	X(sched_rr_get_interval,	HOME,	"few programs make it: what it points to is used where it is")	\
	X(mlock,			HOME,	"the address space is home's")				\
	X(munlock,			HOME,	"the address space is home's")				\
	X(mlockall,			HOME,	"the address space is home's")				\
	X(munlockall,			HOME,	"the address space is home's")				\
	X(vhangup,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(modify_ldt,			RETURN,	"changes the segments")					\
	X(pivot_root,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(_sysctl,			HOME,	"not of this kernel: answers ENOSYS")			\
	X(prctl,			INLINE,	"names travel")						\
	X(arch_prctl,			OWN,	"FS and GS travel with the thread; the rest is the task's")	\
	X(adjtimex,			HOME,	"few programs make it: what it points to is used where it is")	\
	X(setrlimit,			INLINE,	"what is set or told travels")				\
	X(chroot,			INLINE,	"names go with it")					\
	X(sync,				HOME,	"about the process' files, by number")			\
	X(acct,				HOME,	"the administrator's: what it points to is used where it is")	\
	X(settimeofday,			HOME,	"few programs make it: what it points to is used where it is")	\
	X(mount,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(umount2,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(swapon,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(swapoff,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(reboot,			RETURN,	"ends the task in a PID namespace of its own")			\
	X(sethostname,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(setdomainname,		HOME,	"the administrator's: what it points to is used where it is")	\
	X(iopl,				RETURN,	"changes the registers")				\
	X(ioperm,			RETURN,	"changes the task")					\
	X(create_module,		HOME,	"not of this kernel: answers ENOSYS")			\
	X(init_module,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(delete_module,		HOME,	"the administrator's: what it points to is used where it is")	\
	X(get_kernel_syms,		HOME,	"not of this kernel: answers ENOSYS")			\
	X(query_module,			HOME,	"not of this kernel: answers ENOSYS")			\
	X(quotactl,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(nfsservctl,			HOME,	"not of this kernel: answers ENOSYS")			\
	X(getpmsg,			HOME,	"not of this kernel: answers ENOSYS")			\
	X(putpmsg,			HOME,	"not of this kernel: answers ENOSYS")			\
	X(afs_syscall,			HOME,	"not of this kernel: answers ENOSYS")			\
	X(tuxcall,			HOME,	"not of this kernel: answers ENOSYS")			\
	X(security,			HOME,	"not of this kernel: answers ENOSYS")			\
	X(gettid,			LOCAL,	"home has told who it is")				\
	X(readahead,			HOME,	"about the process' files, by number")			\
	X(setxattr,			INLINE,	"names and values go with it")				\
	X(lsetxattr,			INLINE,	"names and values go with it")				\
	X(fsetxattr,			INLINE,	"names and values go with it")				\
	X(getxattr,			INLINE,	"names go with it, values and lists come with the result")	\
	X(lgetxattr,			INLINE,	"names go with it, values and lists come with the result")	\
	X(fgetxattr,			INLINE,	"names go with it, values and lists come with the result")	\
	X(listxattr,			INLINE,	"names go with it, values and lists come with the result")	\
	X(llistxattr,			INLINE,	"names go with it, values and lists come with the result")	\
	X(flistxattr,			INLINE,	"names go with it, values and lists come with the result")	\
	X(removexattr,			INLINE,	"names and values go with it")				\
	X(lremovexattr,			INLINE,	"names and values go with it")				\
	X(fremovexattr,			INLINE,	"names and values go with it")				\
	X(tkill,			HOME,	"signals and timers of the process, by value")		\
	X(time,				LOCAL,	"what the vdso reads")						\
	X(futex,			INLINE,	"time limits go with it; the word is where it is")	\
	X(sched_setaffinity,		INLINE,	"what is set or told travels")				\
	X(sched_getaffinity,		INLINE,	"what is told comes with the result")			\
	X(set_thread_area,		HOME,	"not of this kernel: answers ENOSYS")			\
	X(io_setup,			HOME,	"the kernel keeps what it points to beyond the call")	\
	X(io_destroy,			HOME,	"the kernel keeps what it points to beyond the call")	\
	X(io_getevents,			HOME,	"the kernel keeps what it points to beyond the call")	\
	X(io_submit,			HOME,	"the kernel keeps what it points to beyond the call")	\
	X(io_cancel,			HOME,	"the kernel keeps what it points to beyond the call")	\
	X(get_thread_area,		HOME,	"not of this kernel: answers ENOSYS")			\
	X(lookup_dcookie,		HOME,	"the administrator's: what it points to is used where it is")	\
	X(epoll_create,			HOME,	"about the process' files, by number")			\
	X(epoll_ctl_old,		HOME,	"not of this kernel: answers ENOSYS")			\
	X(epoll_wait_old,		HOME,	"not of this kernel: answers ENOSYS")			\
	X(remap_file_pages,		HOME,	"the address space is home's")				\
	X(getdents64,			INLINE,	"names come with the result")				\
	X(set_tid_address,		HOME,	"the kernel keeps the pointer: it is used at home")	\
	X(restart_syscall,		HOME,	"signals and timers of the process, by value")		\
	X(semtimedop,			INLINE,	"operations and time limit go with it")			\
	X(fadvise64,			HOME,	"about the process' files, by number")			\
	X(timer_create,			INLINE,	"times travel")						\
	X(timer_settime,		INLINE,	"times travel")						\
	X(timer_gettime,		INLINE,	"times come with the result")				\
	X(timer_getoverrun,		HOME,	"signals and timers of the process, by value")		\
	X(timer_delete,			HOME,	"signals and timers of the process, by value")		\
	X(clock_settime,		HOME,	"few programs make it: what it points to is used where it is")	\
	X(clock_gettime,		LOCAL,	"what the vdso reads; other clocks are home's")			\
	X(clock_getres,			LOCAL,	"what the vdso reads; other clocks are home's")			\
	X(clock_nanosleep,		INLINE,	"times travel")						\
	X(exit_group,			END,	"ends the task")					\
	X(epoll_wait,			INLINE,	"sets, events and time limits travel")			\
	X(epoll_ctl,			INLINE,	"sets, events and time limits travel")			\
	X(tgkill,			HOME,	"signals and timers of the process, by value")		\
	X(utimes,			INLINE,	"name and times go with it")				\
	X(vserver,			HOME,	"not of this kernel: answers ENOSYS")			\
	X(mbind,			HOME,	"the address space is home's; few programs make it")	\
	X(set_mempolicy,		HOME,	"the address space is home's; few programs make it")	\
	X(get_mempolicy,		HOME,	"the address space is home's; few programs make it")	\
	X(mq_open,			INLINE,	"names and attributes travel")				\
	X(mq_unlink,			INLINE,	"names go with it")					\
	X(mq_timedsend,			INLINE,	"messages travel")					\
	X(mq_timedreceive,		INLINE,	"messages travel")					\
	X(mq_notify,			INLINE,	"names and attributes travel")				\
	X(mq_getsetattr,		INLINE,	"names and attributes travel")				\
	X(kexec_load,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(waitid,			INLINE,	"what is told of the child comes with the result")	\
	X(add_key,			HOME,	"only the kernel knows how much it points to")		\
	X(request_key,			HOME,	"only the kernel knows how much it points to")		\
	X(keyctl,			HOME,	"only the kernel knows how much it points to")		\
	X(ioprio_set,			HOME,	"an attribute of the process, by value")		\
	X(ioprio_get,			HOME,	"an attribute of the process, by value")		\
	X(inotify_init,			HOME,	"about the process' files, by number")			\
	X(inotify_add_watch,		INLINE,	"names go with it")					\
	X(inotify_rm_watch,		HOME,	"about the process' files, by number")			\
	X(migrate_pages,		HOME,	"the address space is home's; few programs make it")	\
	X(openat,			INLINE,	"names go with it")					\
	X(mkdirat,			INLINE,	"names go with it")					\
	X(mknodat,			INLINE,	"names go with it")					\
	X(fchownat,			INLINE,	"names go with it")					\
	X(futimesat,			INLINE,	"name and times go with it")				\
	X(newfstatat,			INLINE,	"what is told comes with the result")			\
	X(unlinkat,			INLINE,	"names go with it")					\
	X(renameat,			INLINE,	"names go with it")					\
	X(linkat,			INLINE,	"names go with it")					\
	X(symlinkat,			INLINE,	"names go with it")					\
	X(readlinkat,			INLINE,	"names come with the result")				\
	X(fchmodat,			INLINE,	"names go with it")					\
	X(faccessat,			INLINE,	"names go with it")					\
	X(pselect6,			INLINE,	"sets, events and time limits travel")			\
	X(ppoll,			INLINE,	"sets, events and time limits travel")			\
	X(unshare,			HOME,	"an attribute of the process, by value")		\
	X(set_robust_list,		HOME,	"the kernel keeps the pointer: it is used at home")	\
	X(get_robust_list,		HOME,	"what it points to is looked at where it is")		\
	X(splice,			INLINE,	"the offsets travel; the bytes do not leave the kernel")	\
	X(tee,				HOME,	"about the process' files, by number")			\
	X(sync_file_range,		HOME,	"about the process' files, by number")			\
	X(vmsplice,			HOME,	"the kernel keeps what it points to beyond the call")	\
	X(move_pages,			HOME,	"the address space is home's; few programs make it")	\
	X(utimensat,			INLINE,	"name and times go with it")				\
	X(epoll_pwait,			INLINE,	"sets, events and time limits travel")			\
	X(signalfd,			INLINE,	"masks, actions and values of signals travel")		\
	X(timerfd_create,		HOME,	"about the process' files, by number")			\
	X(eventfd,			HOME,	"about the process' files, by number")			\
	X(fallocate,			HOME,	"about the process' files, by number")			\
	X(timerfd_settime,		INLINE,	"times travel")						\
	X(timerfd_gettime,		INLINE,	"times come with the result")				\
	X(accept4,			INLINE,	"messages and addresses come with the result")		\
	X(signalfd4,			INLINE,	"masks, actions and values of signals travel")		\
	X(eventfd2,			HOME,	"about the process' files, by number")			\
	X(epoll_create1,		HOME,	"about the process' files, by number")			\
	X(dup3,				HOME,	"about the process' files, by number")			\
	X(pipe2,			INLINE,	"the descriptors come with the result")			\
	X(inotify_init1,		HOME,	"about the process' files, by number")			\
	X(preadv,			INLINE,	"what it reads comes with the result")			\
	X(pwritev,			INLINE,	"what it writes goes with it")				\
	X(rt_tgsigqueueinfo,		INLINE,	"masks, actions and values of signals travel")		\
	X(perf_event_open,		HOME,	"only the kernel knows how much it points to")		\
	X(recvmmsg,			INLINE,	"messages and addresses come with the result")		\
	X(fanotify_init,		HOME,	"only the kernel knows how much it points to")		\
	X(fanotify_mark,		HOME,	"only the kernel knows how much it points to")		\
	X(prlimit64,			INLINE,	"what is set or told travels")				\
	X(name_to_handle_at,		HOME,	"the administrator's: what it points to is used where it is")	\
	X(open_by_handle_at,		HOME,	"the administrator's: what it points to is used where it is")	\
	X(clock_adjtime,		HOME,	"few programs make it: what it points to is used where it is")	\
	X(syncfs,			HOME,	"about the process' files, by number")			\
	X(sendmmsg,			INLINE,	"messages and addresses go with it")			\
	X(setns,			RETURN,	"may change the clocks")				\
	X(getcpu,			INLINE,	"what is told comes with the result")			\
	X(process_vm_readv,		HOME,	"goes by the pages, of two processes")			\
	X(process_vm_writev,		HOME,	"goes by the pages, of two processes")			\
	X(kcmp,				HOME,	"an attribute of the process, by value")		\
	X(finit_module,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(sched_setattr,		HOME,	"few programs make it: what it points to is used where it is")	\
	X(sched_getattr,		HOME,	"few programs make it: what it points to is used where it is")	\
	X(renameat2,			INLINE,	"names go with it")					\
	X(seccomp,			HOME,	"only the kernel knows how much it points to")		\
	X(getrandom,			INLINE,	"what it reads comes with the result")			\
	X(memfd_create,			INLINE,	"names go with it")					\
	X(kexec_file_load,		HOME,	"the administrator's: what it points to is used where it is")	\
	X(bpf,				HOME,	"only the kernel knows how much it points to")		\
	X(execveat,			RETURN,	"replaces the registers and the memory")		\
	X(userfaultfd,			HOME,	"only the kernel knows how much it points to")		\
	X(membarrier,			HOME,	"puts all CPUs in order: the caller's node's, then home's")	\
	X(mlock2,			HOME,	"the address space is home's")				\
	X(copy_file_range,		INLINE,	"the offsets travel; the bytes do not leave the kernel")	\
	X(preadv2,			INLINE,	"what it reads comes with the result")			\
	X(pwritev2,			INLINE,	"what it writes goes with it")				\
	X(pkey_mprotect,		HOME,	"the address space is home's")				\
	X(pkey_alloc,			RETURN,	"changes the register of the protection keys")		\
	X(pkey_free,			HOME,	"the address space is home's")				\
	X(statx,			INLINE,	"what is told comes with the result")			\
	X(io_pgetevents,		HOME,	"the kernel keeps what it points to beyond the call")	\
	X(rseq,				HOME,	"the kernel keeps the pointer: it is used at home")	\
	X(pidfd_send_signal,		INLINE,	"masks, actions and values of signals travel")		\
	X(io_uring_setup,		HOME,	"the kernel keeps what it points to beyond the call")	\
	X(io_uring_enter,		HOME,	"the kernel keeps what it points to beyond the call")	\
	X(io_uring_register,		HOME,	"the kernel keeps what it points to beyond the call")	\
	X(open_tree,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(move_mount,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(fsopen,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(fsconfig,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(fsmount,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(fspick,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(pidfd_open,			HOME,	"about the process' files, by number")			\
	X(clone3,			RETURN,	"copies the task")					\
	X(close_range,			HOME,	"about the process' files, by number")			\
	X(openat2,			INLINE,	"names go with it")					\
	X(pidfd_getfd,			HOME,	"about the process' files, by number")			\
	X(faccessat2,			INLINE,	"names go with it")					\
	X(process_madvise,		HOME,	"the address space is home's; few programs make it")	\
	X(epoll_pwait2,			INLINE,	"sets, events and time limits travel")			\
	X(mount_setattr,		HOME,	"the administrator's: what it points to is used where it is")	\
	X(quotactl_fd,			HOME,	"the administrator's: what it points to is used where it is")	\
	X(landlock_create_ruleset,	HOME,	"only the kernel knows how much it points to")		\
	X(landlock_add_rule,		HOME,	"only the kernel knows how much it points to")		\
	X(landlock_restrict_self,	HOME,	"only the kernel knows how much it points to")		\
	X(memfd_secret,			HOME,	"off by default; answers ENOSYS")			\
	X(process_mrelease,		HOME,	"the address space is home's; few programs make it")	\
	X(futex_waitv,			HOME,	"what it points to is looked at where it is")		\
	X(set_mempolicy_home_node,	HOME,	"the address space is home's; few programs make it")

enum rad_syscall_class {
	RAD_SYSCALL_HOME,
	RAD_SYSCALL_INLINE,
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
 * thread in one of them is left alone until the call ends. Those about names and files only
 * sleep so that they can be woken where the file system's server is a program (FUSE), which is
 * told, and may answer EINTR; and in open() of a FIFO, whose other end would not find it there.
 * By an option of a socket SCTP connects: made again it finds that under way.
 */
#define RAD_SYSCALLS_NOT_RESTARTED(X)						\
	X(epoll_wait) X(epoll_pwait) X(epoll_pwait2)				\
	X(semop) X(semtimedop) X(rt_sigtimedwait)				\
	X(io_submit) X(io_getevents) X(io_pgetevents) X(io_uring_enter)		\
	X(write) X(writev) X(pwrite64) X(pwritev) X(pwritev2)			\
	X(sendto) X(sendmsg) X(sendmmsg) X(recvmmsg) X(sendfile)		\
	X(splice) X(vmsplice) X(tee) X(copy_file_range)				\
	X(close) X(close_range) X(dup2) X(dup3)					\
	X(stat) X(lstat) X(fstat) X(newfstatat) X(statx)			\
	X(statfs) X(fstatfs) X(access) X(faccessat) X(faccessat2)		\
	X(getdents) X(getdents64) X(readlink) X(readlinkat)			\
	X(getxattr) X(lgetxattr) X(fgetxattr)					\
	X(setxattr) X(lsetxattr) X(fsetxattr)					\
	X(listxattr) X(llistxattr) X(flistxattr)				\
	X(removexattr) X(lremovexattr) X(fremovexattr)				\
	X(mkdir) X(mkdirat) X(mknod) X(mknodat) X(rmdir)			\
	X(open) X(openat) X(openat2) X(creat)					\
	X(unlink) X(unlinkat) X(rename) X(renameat) X(renameat2)		\
	X(link) X(linkat) X(symlink) X(symlinkat)				\
	X(chmod) X(fchmod) X(fchmodat) X(chown) X(lchown) X(fchown)		\
	X(fchownat) X(utime) X(utimes) X(utimensat) X(futimesat)		\
	X(chdir) X(fchdir) X(chroot)						\
	X(truncate) X(ftruncate) X(inotify_add_watch) X(fanotify_mark) X(bind)	\
	X(name_to_handle_at) X(open_by_handle_at) X(mount) X(umount2)		\
	X(init_module) X(finit_module) X(kexec_file_load)			\
	X(pivot_root) X(swapon) X(acct) X(quotactl) X(fsconfig)		\
	X(open_tree) X(move_mount) X(fspick) X(mount_setattr)			\
	X(fallocate) X(lseek) X(msync) X(fsync) X(fdatasync)			\
	X(pread64) X(preadv) X(preadv2) X(fsmount) X(delete_module)		\
	X(setsockopt) X(getsockopt) X(perf_event_open)

/*
 * Calls on a socket that are restarted only if it has no time limit of its own (SO_RCVTIMEO,
 * SO_SNDTIMEO) and does not want more than a byte (SO_RCVLOWAT), and on a terminal that does not
 * want more than a key (VMIN), nor for so long (VTIME). A connect() is made again as if it were
 * the first by TCP and Unix sockets only. What an ioctl() waits for only its driver knows, that of tcdrain()
 * answers EINTR: our own are restarted. File systems that have locks of their own answer EAGAIN (9p) or
 * EINTR (lockd, FUSE). X(call, argument with MSG_WAITALL in it or -1). The first argument is the
 * descriptor.
 */
#define RAD_SYSCALLS_ON_SOCKET(X)						\
	X(read, -1) X(readv, -1)						\
	X(recvfrom, 3) X(recvmsg, 2)						\
	X(accept, -1) X(accept4, -1) X(connect, -1) X(ioctl, -1)		\
	X(flock, -1) X(fcntl, -1)

#endif /* _RADIUM_SYSCALL_TABLE_H */

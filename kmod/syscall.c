// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "radium: " fmt

#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/net.h>
#include <linux/nospec.h>
#include <linux/sched/task.h>
#include <linux/socket.h>
#include <linux/tty.h>
#include <net/sock.h>
#include <asm/prctl.h>
#include <asm/syscall.h>
#include <asm/unistd.h>
#include "dev.h"
#include "hook.h"
#include "ksym.h"
#include "syscall.h"
#include "thread.h"
#include "visitor.h"

static const u8 class_of[NR_syscalls] = {
#define ROW(call, class, why) [__NR_##call] = RAD_SYSCALL_##class,
	RAD_SYSCALLS(ROW)
#undef ROW
};

static const bool not_restarted[NR_syscalls] = {
#define ROW(call) [__NR_##call] = true,
	RAD_SYSCALLS_NOT_RESTARTED(ROW)
#undef ROW
};

/* rad_syscall_class() - where this call is done; unknown numbers go home */
enum rad_syscall_class rad_syscall_class(int nr)
{
	if (nr < 0 || nr >= NR_syscalls)
		return RAD_SYSCALL_RETURN;
	return class_of[array_index_nospec(nr, NR_syscalls)];
}

/*
 * rad_syscall_is_homes() - may the deputy make this call, with or without its data? A LOCAL
 * one that the visitor's node cannot answer, too.
 */
bool rad_syscall_is_homes(int nr)
{
	enum rad_syscall_class class = rad_syscall_class(nr);

	return class == RAD_SYSCALL_HOME || class == RAD_SYSCALL_INLINE ||
	       class == RAD_SYSCALL_LOCAL;
}

static const struct {
	int nr;
	unsigned long what;
} own[] = {
#define ROW(call, what) { __NR_##call, what },
	RAD_SYSCALLS_OWN(ROW)
#undef ROW
};

/**
 * rad_syscall_is_own() - may a visitor make this OWN call where it is?
 * @nr: number of the call
 * @what: its first argument
 */
bool rad_syscall_is_own(int nr, unsigned long what)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(own); i++)
		if (own[i].nr == nr && own[i].what == what)
			return true;
	return false;
}

/* 2 + the argument that holds the flags; 1: it has none; 0: the descriptor does not matter. */
static const u8 on_socket[NR_syscalls] = {
#define ROW(call, flags) [__NR_##call] = (flags) + 2,
	RAD_SYSCALLS_ON_SOCKET(ROW)
#undef ROW
};

static bool receives(int nr)
{
	return nr == __NR_read || nr == __NR_readv || nr == __NR_recvfrom || nr == __NR_recvmsg;
}

/* Others give the attempt up (vsock), or find it under way (SCTP). */
static bool connects_anew(const struct sock *sk)
{
	return sk->sk_family == AF_UNIX || sk->sk_protocol == IPPROTO_TCP ||
	       sk->sk_protocol == IPPROTO_MPTCP;
}

/* Has it a time limit, or wants more at once than a byte: would it end with what there is? */
static bool socket_may_end(struct file *file, int nr)
{
	/* Not by the inode's mode: a name of a socket has that, too, if it is opened by O_PATH. */
	struct socket *sock = sock_from_file(file);
	struct sock *sk = sock ? sock->sk : NULL;

	return sk && (sk->sk_rcvtimeo != MAX_SCHEDULE_TIMEOUT ||
		      sk->sk_sndtimeo != MAX_SCHEDULE_TIMEOUT ||
		      (nr == __NR_connect && !connects_anew(sk)) ||
		      (receives(nr) && READ_ONCE(sk->sk_rcvlowat) > 1));
}

/* The same for a terminal that gives keys as they come, but several at once, or waits for so long. */
static bool terminal_may_end(struct file *file)
{
	struct tty_struct *tty;

	if (file->f_op->read_iter != rad_ksym.tty_read)
		return false;
	tty = ((struct tty_file_private *)file->private_data)->tty;
	return !L_ICANON(tty) && (MIN_CHAR(tty) > 1 || (!MIN_CHAR(tty) && TIME_CHAR(tty)));
}

/* Only of a program's file system, which is told that its caller was woken: see the table. */
static bool is_file(struct file *file)
{
	umode_t mode = file_inode(file)->i_mode;

	return S_ISREG(mode) || S_ISDIR(mode);
}

/* Would a call on this descriptor of the task, when it is woken, not be made again? */
static bool may_end(struct task_struct *task, unsigned int fd, int nr, unsigned int cmd)
{
	struct file *file = NULL;
	bool may;

	task_lock(task);
	rcu_read_lock();
	if (task->files)
		file = files_lookup_fd_raw(task->files, fd);
	if (file && !get_file_rcu(file))
		file = NULL;
	rcu_read_unlock();
	task_unlock(task);
	if (!file)
		return nr == __NR_ioctl;	/* it has been closed since */
	if (nr == __NR_ioctl)
		may = !rad_device_is_restarted(file, cmd);
	else if (nr == __NR_flock || nr == __NR_fcntl)
		may = file->f_op->lock || file->f_op->flock;
	else
		may = is_file(file) || socket_may_end(file, nr) || terminal_may_end(file);
	fput(file);
	return may;
}

/*
 * Does it go on by restart_syscall() when it has been woken? A seccomp filter sees that one, which
 * the program has not made, and may kill it for that.
 */
static bool goes_on_by_another(int nr, const unsigned long *args)
{
	switch (nr) {
	case __NR_poll:
	case __NR_nanosleep:
	case __NR_clock_nanosleep:
	case __NR_restart_syscall:
		return true;
	case __NR_futex:
		return args[3];
	default:
		return false;
	}
}

/**
 * rad_syscall_is_restarted() - may a task be woken out of this call unnoticed?
 * @task: sleeps in it
 * @nr: number of the call
 * @args: its six arguments
 */
bool rad_syscall_is_restarted(struct task_struct *task, int nr, const unsigned long *args)
{
	int flags;

	if (nr < 0)
		return true;
	/* One of x32, which are not in the tables. */
	if (nr >= NR_syscalls)
		return false;
	nr = array_index_nospec(nr, NR_syscalls);
	if (not_restarted[nr])
		return false;
	if (test_task_syscall_work(task, SECCOMP) && goes_on_by_another(nr, args))
		return false;
	/* Whoever has been requeued would be told so, and not have the lock. */
	if (nr == __NR_futex && (args[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_REQUEUE_PI)
		return false;
	if (!on_socket[nr])
		return true;
	flags = on_socket[nr] - 2;
	if (flags >= 0 && args[flags] & MSG_WAITALL)
		return false;
	return !may_end(task, args[0], nr, args[1]);
}

/* rad_syscall_concerns_dispatch() - may current be a visitor, or one of the threads that are ours? */
bool rad_syscall_concerns_dispatch(void)
{
	return rad_thread_any() || rad_visitor_current();
}

/**
 * rad_syscall_user_dispatch() - instead of syscall_user_dispatch()
 * @regs: of current
 *
 * Reached only by tasks that carry SYSCALL_WORK_SYSCALL_USER_DISPATCH: visitors,
 * threads that make one call at home before they go out again, and users of the
 * prctl, for whom nothing changes.
 *
 * Return: true if the call has been dealt with.
 */
bool rad_syscall_user_dispatch(struct pt_regs *regs)
{
	struct rad_visitor *visitor = rad_visitor_current();

	if (visitor) {
		rad_visitor_syscall(visitor, regs);
		return true;
	}
	if (rad_deputy_syscall_entry(regs))
		return false;
	return rad_hook_call(syscall_user_dispatch, regs);
}

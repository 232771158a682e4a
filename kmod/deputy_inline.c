// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: the data of delegated calls, at home.
 *
 * What has come with a call is put into scratch memory, the call gets pointers to that,
 * and what it has written there goes back with its result. The call itself is the
 * kernel's own, so every kind of file means what it always does.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/capability.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/if.h>
#include <linux/in.h>
#include <linux/major.h>
#include <linux/mm.h>
#include <linux/mqueue.h>
#include <linux/msg.h>
#include <linux/ptrace.h>
#include <linux/resource.h>
#include <linux/restart_block.h>
#include <linux/sem.h>
#include <linux/shm.h>
#include <linux/slab.h>
#include <linux/socket.h>
#include <linux/stat.h>
#include <linux/statfs.h>
#include <linux/sysinfo.h>
#include <linux/termios.h>
#include <linux/times.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/utsname.h>
#include <uapi/linux/eventpoll.h>
#include <uapi/linux/sched/types.h>
#include <uapi/linux/stat.h>
#include <asm/unistd.h>
#include "deputy_internal.h"
#include "inline.h"
#include "link.h"
#include "node.h"
#include "process.h"
#include "scratch.h"
#include "wire_check.h"

/**
 * struct rad_parcel - the data of a thread's delegated call
 * @call: the call's pieces
 * @len: bytes of @data
 * @slot: the memory that is lent to the call
 * @answer: the message that its results will be put into
 * @data: what came with the call
 *
 * Written by the link's receive context until the deputy is told of the call, then the
 * deputy's until it has answered.
 */
struct rad_parcel {
	struct rad_inline call;
	u32 len;
	int slot;
	struct rad_out *answer;
	u8 data[RAD_INLINE_MAX];
};

/* rad_deputy_free_parcel() - the thread's record goes; any context */
void rad_deputy_free_parcel(struct rad_thread *thread)
{
	kfree(thread->parcel);
}

/**
 * rad_deputy_take_parcel() - keep what has come with a SYSCALL
 * @thread: waits for a call
 * @body: the message's body, checked; becomes one without data if there is no memory for it
 * @data: what follows it
 * @len: how much
 *
 * Context: the link's receive context; nobody else touches the parcel.
 * Return: whether the data is that of the call.
 */
bool rad_deputy_take_parcel(struct rad_thread *thread, struct rad_wire_syscall *body,
			    const void *data, u32 len)
{
	struct rad_parcel *parcel = thread->parcel;
	u64 args[6];
	int i;

	if (!body->carried && !body->flags)
		return true;
	if (!parcel) {
		parcel = kmalloc(sizeof(*parcel), GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
		thread->parcel = parcel;
	}
	if (!parcel) {
		/* What the call reads is still where it points to. A STORE has had a parcel. */
		body->carried = 0;
		return !body->flags;
	}
	parcel->len = len;
	memcpy(parcel->data, data, len);
	if (le32_to_cpu(body->flags) & RAD_SYSCALL_STORE)
		return true;
	for (i = 0; i < 6; i++)
		args[i] = le64_to_cpu(body->args[i]);
	return rad_inline_take(&parcel->call, le32_to_cpu(body->nr), args, parcel->data,
			       parcel->len, le32_to_cpu(body->carried));
}

/**
 * rad_deputy_store() - put data where the visitor could not
 * @thread: current
 * @address: user address
 * Return: 0 or -EFAULT.
 */
long rad_deputy_store(struct rad_thread *thread, u64 address)
{
	struct rad_parcel *parcel = thread->parcel;

	return copy_to_user(u64_to_user_ptr(address), parcel->data, parcel->len) ? -EFAULT : 0;
}

/*
 * Drivers may go on using the memory that they were given when the call has ended (sg
 * does). Those of memory and terminals do not.
 */
static bool is_driver(unsigned int fd)
{
	struct fd f = fdget(fd);
	bool driver = false;
	struct inode *inode;

	if (!f.file)
		return false;
	inode = file_inode(f.file);
	if (S_ISCHR(inode->i_mode)) {
		switch (imajor(inode)) {
		case MEM_MAJOR:
		case TTY_MAJOR:
		case TTYAUX_MAJOR:
		case UNIX98_PTY_MASTER_MAJOR ... UNIX98_PTY_SLAVE_MAJOR + UNIX98_PTY_MAJOR_COUNT - 1:
			break;
		default:
			driver = true;
		}
	}
	fdput(f);
	return driver;
}

static unsigned long *argument(struct pt_regs *regs, unsigned int n)
{
	switch (n) {
	case 0: return &regs->di;
	case 1: return &regs->si;
	case 2: return &regs->dx;
	case 3: return &regs->r10;
	case 4: return &regs->r8;
	default: return &regs->r9;
	}
}

/* Puts the pieces into the scratch memory, and pointers to them where the call has them. */
static void hand_over(struct rad_process *process, struct rad_parcel *parcel,
		      struct pt_regs *regs)
{
	unsigned long start = rad_scratch_address(process, parcel->slot);
	struct rad_inline *call = &parcel->call;
	u32 i;

	for (i = 0; i < call->count; i++) {
		const struct rad_piece *piece = &call->piece[i];
		u64 address = start + piece->at;

		if (!piece->carried)
			continue;
		if (piece->dir & RAD_INLINE_IN)
			rad_scratch_write(process, parcel->slot, piece->at,
					  parcel->data + piece->pos, piece->len);
		/* A parent comes before its children: it is there already. */
		if (piece->parent < 0)
			*argument(regs, piece->field) = address;
		else
			rad_scratch_write(process, parcel->slot,
					  call->piece[piece->parent].at + piece->field,
					  &address, sizeof(address));
	}
}

/**
 * rad_deputy_lend() - give a call the data that has come with it
 * @thread: current
 * @regs: of the call, with the program's pointers
 *
 * Return: whether that was done; rad_deputy_collect() has to follow. If not, the call works
 * with the program's pointers.
 */
bool rad_deputy_lend(struct rad_thread *thread, struct pt_regs *regs)
{
	struct rad_process *process = thread->process;
	struct rad_parcel *parcel = thread->parcel;
	struct rad_inline *call;

	if (!le32_to_cpu(thread->syscall.carried))
		return false;
	call = &parcel->call;
	if (rad_inline_is_to_file(call->nr) && is_driver(regs->di))
		return false;
	/* Before the call: what it has done cannot be undone for want of memory. */
	parcel->answer = rad_deputy_try_msg(thread, RAD_MSG_SYSCALL_DONE,
					    sizeof(struct rad_wire_syscall_done) + call->out);
	if (!parcel->answer)
		return false;
	parcel->slot = rad_scratch_get(process, call->room);
	if (parcel->slot < 0) {
		rad_msg_free(parcel->answer);
		return false;
	}
	hand_over(process, parcel, regs);
	atomic64_inc(&process->stats.syscalls_inline);
	return true;
}

/* The program's pointer instead of one to the scratch memory. */
static void __user *users(const struct rad_inline *call, unsigned long start, void __user *lent)
{
	u32 i;

	for (i = 0; i < call->count; i++)
		if (call->piece[i].carried && start + call->piece[i].at == (unsigned long)lent)
			return u64_to_user_ptr(call->piece[i].user);
	return lent;
}

/* What is interrupted and goes on as restart_syscall() has kept a pointer. */
static void mend_restart(const struct rad_inline *call, unsigned long start)
{
	struct restart_block *restart = &current->restart_block;

	switch (call->nr) {
	case __NR_poll:
		restart->poll.ufds = users(call, start, restart->poll.ufds);
		break;
	case __NR_nanosleep:
	case __NR_clock_nanosleep:
		restart->nanosleep.rmtp = users(call, start, restart->nanosleep.rmtp);
		break;
	}
}

/* Pointers in what goes back are the program's. */
static void mend_pointers(const struct rad_inline *call, u32 parent, u8 *bytes)
{
	__le64 pointer;
	u32 i;

	for (i = parent + 1; i < call->count; i++) {
		if (!call->piece[i].carried || call->piece[i].parent != (s8)parent)
			continue;
		pointer = cpu_to_le64(call->piece[i].user);
		memcpy(bytes + call->piece[i].field, &pointer, sizeof(pointer));
	}
}

/**
 * rad_deputy_collect() - what a call has written to the memory that was lent to it
 * @thread: current
 * @ax: result of the call
 *
 * Return: the answer, with the data; its body is to be filled in.
 */
struct rad_out *rad_deputy_collect(struct rad_thread *thread, u64 ax)
{
	struct rad_process *process = thread->process;
	struct rad_parcel *parcel = thread->parcel;
	struct rad_inline *call = &parcel->call;
	struct rad_out *answer = parcel->answer;
	u8 *data = answer->body + sizeof(struct rad_wire_syscall_done), *end = data;
	u32 i, len;

	if ((long)ax == -ERESTART_RESTARTBLOCK)
		mend_restart(call, rad_scratch_address(process, parcel->slot));
	for (i = 0; i < call->count; i++) {
		if (!call->piece[i].carried)
			continue;
		len = rad_inline_result(&call->piece[i], ax);
		rad_scratch_read(process, parcel->slot, call->piece[i].at, end, len);
		if (len)
			mend_pointers(call, i, end);
		end += len;
	}
	rad_scratch_put(process, parcel->slot);
	parcel->answer = NULL;
	rad_msg_trim(answer, sizeof(struct rad_wire_syscall_done) + (end - data));
	return answer;
}

/* What the table says of the kernel's structures. */
static_assert(sizeof(struct stat) == 144);
static_assert(sizeof(struct statx) == 256);
static_assert(sizeof(struct statfs) == 120);
static_assert(sizeof(struct epoll_event) == 12);
static_assert(sizeof(struct new_utsname) == 390);
static_assert(sizeof(struct sysinfo) == 112);
static_assert(sizeof(struct rusage) == 144);
static_assert(sizeof(struct tms) == 32);
static_assert(sizeof(struct sigaction) == 32);
static_assert(sizeof(struct iovec) == RAD_IOV_SIZE);
static_assert(sizeof(struct user_msghdr) == RAD_MSGHDR_SIZE);
static_assert(offsetof(struct user_msghdr, msg_namelen) == RAD_MSGHDR_NAMELEN);
static_assert(offsetof(struct user_msghdr, msg_iov) == RAD_MSGHDR_IOV);
static_assert(offsetof(struct user_msghdr, msg_iovlen) == RAD_MSGHDR_IOVLEN);
static_assert(offsetof(struct user_msghdr, msg_control) == RAD_MSGHDR_CONTROL);
static_assert(offsetof(struct user_msghdr, msg_controllen) == RAD_MSGHDR_CONTROLLEN);
static_assert(sizeof(struct mmsghdr) == RAD_MMSGHDR_SIZE);
static_assert(offsetof(struct msgbuf, mtext) == RAD_TEXT_HEAD);
static_assert(sizeof(struct __kernel_sockaddr_storage) == RAD_INLINE_ADDRESS_MAX);
static_assert(sizeof(struct termios) == 36);
static_assert(sizeof(struct termios2) == 44);
static_assert(sizeof(struct winsize) == 8);
static_assert(sizeof(struct ifreq) == 40);
static_assert(sizeof(struct flock) == 32);
static_assert(sizeof(struct f_owner_ex) == 8);
static_assert(sizeof(struct siginfo) == 128);
static_assert(sizeof(struct sigevent) == 64);
static_assert(sizeof(struct sembuf) == 6);
static_assert(sizeof(struct mq_attr) == 64);
static_assert(sizeof(struct msqid64_ds) == 120);
static_assert(sizeof(struct semid64_ds) == 104);
static_assert(sizeof(struct shmid64_ds) == 112);
static_assert(sizeof(struct sched_param) == 4);
static_assert(sizeof(struct __kernel_itimerspec) == 32);
static_assert(sizeof(struct __user_cap_header_struct) == 8);
static_assert(_LINUX_CAPABILITY_U32S_3 * sizeof(struct __user_cap_data_struct) == 24);
static_assert(SOL_IP == RAD_LEVEL_IP);
static_assert(SOL_TCP == RAD_LEVEL_TCP);
static_assert(SOL_UDP == RAD_LEVEL_UDP);
static_assert(SOL_IPV6 == RAD_LEVEL_IPV6);
static_assert(SOL_NETLINK == RAD_LEVEL_NETLINK);
static_assert(IP_MSFILTER == RAD_OPTION_MSFILTER);
static_assert(MCAST_MSFILTER == RAD_OPTION_GROUP_MSFILTER);
static_assert(MSG_TRUNC == RAD_FLAG_TRUNC);
static_assert(MSG_ZEROCOPY == RAD_FLAG_ZEROCOPY);
static_assert(PATH_MAX == RAD_INLINE_STRING_MAX);

// SPDX-License-Identifier: GPL-2.0
/*
 * The data of system calls: both ends find the same pieces, whatever one of them says; no
 * piece is outside of what has come, and none of the results outside of what was asked for.
 */
#include "check.h"

#include <linux/types.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "../../kmod/inline.c"

static struct rad_inline sent, taken;
static u8 data[RAD_INLINE_MAX];

/* ---- a visitor whose memory is this program's ---- */

static u32 here = ~0u;		/* bit i: piece i is here */

static bool gather(struct rad_inline *call, struct rad_piece *piece, u32 room, void *context)
{
	const void *user = (const void *)piece->user;

	if (!(here >> (call->count - 1) & 1))
		return false;
	if (!(piece->dir & RAD_INLINE_IN))
		return true;
	if (piece->string) {
		piece->len = strnlen(user, room) + 1;
		if (piece->len > room)
			return false;
	}
	memcpy(call->data + piece->pos, user, piece->len);
	return true;
}

static void send_call(u32 nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	const u64 args[6] = { a, b, c, d, e, f };

	rad_inline_walk(&sent, nr, args, data, gather, NULL);
}

/* The receiver has the data in a buffer of just that size, so that a look beyond it is seen. */
static bool take_call(u32 nr, const u64 args[6], const void *bytes, u32 len, u32 carried)
{
	u8 *copy = malloc(len ?: 1);
	bool good;

	memcpy(copy, bytes, len);
	good = rad_inline_take(&taken, nr, args, copy, len, carried);
	taken.data = NULL;
	free(copy);
	return good;
}

static bool same_pieces(void)
{
	if (sent.count != taken.count || sent.in != taken.in || sent.out != taken.out ||
	    sent.room != taken.room)
		return false;
	for (u32 i = 0; i < sent.count; i++)
		if (memcmp(&sent.piece[i], &taken.piece[i], sizeof(struct rad_piece)))
			return false;
	return true;
}

static bool arrives(void)
{
	return take_call(sent.nr, sent.args, data, sent.in, sent.carried) && same_pieces();
}

/* What must hold of any walk, whoever made it. */
static bool is_sound(const struct rad_inline *call)
{
	u32 in = 0, out = 0, room = 0;

	if (call->count > RAD_INLINE_PIECES || call->carried >> call->count)
		return false;
	for (u32 i = 0; i < call->count; i++) {
		const struct rad_piece *p = &call->piece[i];

		if (p->carried != (call->carried >> i & 1))
			return false;
		if (!p->carried)
			continue;
		/* A pointer to it is in an argument or in a piece that is there, before it. */
		if (p->parent < 0 ? p->field >= 6 :
		    p->parent >= (int)i || !call->piece[p->parent].carried ||
		    !(call->piece[p->parent].dir & RAD_INLINE_IN) ||
		    p->field + 8u > call->piece[p->parent].len)
			return false;
		if (!p->len || p->at < room || p->at + p->len > RAD_INLINE_ROOM)
			return false;
		room = p->at + p->len;
		if (p->dir & RAD_INLINE_IN) {
			if (p->pos != in)
				return false;
			in += p->len;
		}
		if (p->dir & RAD_INLINE_OUT)
			out += p->len;
		/* Its alignment is no worse, up to a page. */
		for (u64 bit = 1; bit < RAD_WIRE_PAGE && !(p->user & bit); bit <<= 1)
			if (p->at & bit)
				return false;
	}
	return in == call->in && out == call->out && in <= RAD_INLINE_MAX && out <= RAD_INLINE_MAX;
}

static bool results_fit(const struct rad_inline *call, u64 ax)
{
	for (u32 i = 0; i < call->count; i++)
		if (rad_inline_result(&call->piece[i], ax) > call->piece[i].len)
			return false;
	return rad_inline_results(call, ax) <= call->out;
}

/* ---- the table ---- */

static bool each_row(bool (*test)(u32 nr, const struct row *row))
{
	u32 known = 0;

	for (u32 nr = 0; nr < ROWS; nr++)
		if (rows[nr].ptr[0].dir) {
			known++;
			if (!test(nr, &rows[nr]))
				return false;
		}
	return known > 50;
}

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static bool each_command(bool (*test)(u32 nr, const struct row *row))
{
	for (u32 i = 0; i < COMMANDS; i++)
		if (!test(commands[i].nr, &commands[i].row))
			return false;
	return COMMANDS > 50;
}

static bool names_arguments(u32 nr, const struct row *row)
{
	u32 seen = 0;

	for (u32 i = 0; i < 5 && row->ptr[i].dir; i++) {
		const struct ptr *ptr = &row->ptr[i];

		if (ptr->arg >= 6 || seen & 1u << ptr->arg || !ptr->unit)
			return false;
		seen |= 1u << ptr->arg;
		if (ptr->size == SIZE_FIXED ? !ptr->n || ptr->n > RAD_INLINE_MAX : ptr->n >= 6)
			return false;
		/* The integer comes before what it is the size of. */
		if (ptr->size == SIZE_AT && (!i || row->ptr[i - 1].arg != ptr->n ||
					     row->ptr[i - 1].n < 4 || !(row->ptr[i - 1].dir & 1)))
			return false;
		/* What is a string ends with a zero that is read. */
		if (ptr->size == SIZE_STRING && ptr->dir != RAD_INLINE_IN)
			return false;
	}
	return true;
}

static bool keeps_no_pointer(u32 nr, const struct row *row)
{
	static const u32 keepers[] = {
		__NR_io_submit, __NR_io_getevents, __NR_io_uring_enter, __NR_vmsplice, __NR_futex,
		__NR_set_robust_list, __NR_set_tid_address, __NR_rseq, __NR_sigaltstack,
		__NR_process_vm_readv, __NR_process_vm_writev, __NR_mmap, __NR_munmap,
		__NR_mprotect, __NR_mremap, __NR_madvise, __NR_clone, __NR_clone3, __NR_execve,
		__NR_ioctl, __NR_prctl, __NR_arch_prctl, __NR_rt_sigreturn, __NR_userfaultfd,
	};

	for (size_t i = 0; i < sizeof(keepers) / sizeof(*keepers); i++)
		if (nr == keepers[i])
			return false;
	return true;
}

/* One row for each command, and none for the call whatever its command. */
static bool commands_differ(void)
{
	for (u32 i = 0; i < COMMANDS; i++) {
		if (commands[i].arg >= 6 || commands[i].row.ptr[0].arg == commands[i].arg ||
		    (commands[i].nr < ROWS && rows[commands[i].nr].ptr[0].dir))
			return false;
		for (u32 j = 0; j < i; j++)
			if (commands[i].nr == commands[j].nr &&
			    (commands[i].arg != commands[j].arg ||
			     commands[i].command == commands[j].command))
				return false;
	}
	return true;
}

/* Of what the kernel keeps a pointer to, or looks at in place, nothing travels. */
static bool commands_keep_no_pointer(u32 nr, const struct row *row)
{
	return nr != __NR_futex || (row->ptr[0].arg == 3 && !row->ptr[1].dir);
}

static bool knows(u32 nr, u64 a, u64 b, u64 c)
{
	const u64 args[6] = { a, b, c, 0x1000, 0x2000 };

	return rad_inline_is_known(nr, args);
}

static bool commands_are_heeded(void)
{
	return knows(__NR_ioctl, 0, TCGETS, 0x1000) && !knows(__NR_ioctl, 0, 0x5400, 0x1000) &&
	       !knows(__NR_ioctl, TCGETS, 0, 0x1000) && !knows(__NR_ioctl, 0, SIOCGIFCONF, 0x1000) &&
	       knows(__NR_ioctl, 0, 0xffffffff00000000ULL | FIONREAD, 0x1000) &&
	       knows(__NR_fcntl, 0, F_OFD_SETLKW, 0x1000) && !knows(__NR_fcntl, 0, F_DUPFD, 3) &&
	       knows(__NR_prctl, PR_SET_NAME, 0x1000, 0) && !knows(__NR_prctl, PR_SET_MM, 1, 2) &&
	       knows(__NR_futex, 0x1000, FUTEX_WAIT_PRIVATE, 1) &&
	       !knows(__NR_futex, 0x1000, FUTEX_CMP_REQUEUE, 1) &&
	       knows(__NR_semctl, 0, 0, IPC_STAT) && !knows(__NR_semctl, 0, 0, GETALL);
}

/* What is written beyond the length that the program gives stays with the program's memory. */
static bool options_whose_length_is_known(void)
{
	return knows(__NR_getsockopt, 3, SOL_SOCKET, SO_TYPE) &&
	       !knows(__NR_getsockopt, 3, SOL_SOCKET, SO_GET_FILTER) &&
	       !knows(__NR_getsockopt, 3, RAD_LEVEL_IP, RAD_OPTION_MSFILTER) &&
	       !knows(__NR_getsockopt, 3, RAD_LEVEL_IPV6, RAD_OPTION_GROUP_MSFILTER) &&
	       !knows(__NR_getsockopt, 3, 12345, 1) && !knows(__NR_setsockopt, 3, 12345, 1) &&
	       knows(__NR_setsockopt, 3, RAD_LEVEL_TCP, 1);
}

static bool flags_are_heeded(void)
{
	u64 args[6] = { 0 };
	bool good = rad_inline_is_known(__NR_recvfrom, args) && rad_inline_is_known(__NR_sendmsg, args);

	args[3] = MSG_TRUNC;
	good &= !rad_inline_is_known(__NR_recvfrom, args) && rad_inline_is_known(__NR_sendto, args);
	args[3] = MSG_ZEROCOPY | MSG_MORE;
	good &= rad_inline_is_known(__NR_recvfrom, args) && !rad_inline_is_known(__NR_sendto, args);
	good &= !rad_inline_is_known(__NR_sendmmsg, args);
	args[2] = MSG_ZEROCOPY;
	good &= !rad_inline_is_known(__NR_sendmsg, args);
	args[2] = MSG_TRUNC | MSG_PEEK;
	return good && !rad_inline_is_known(__NR_recvmsg, args);
}

static bool unknown_numbers(void)
{
	u64 args[6] = { 1, 2, 3, 4, 5, 6 };

	return !rad_inline_is_known(__NR_futex, args) && !rad_inline_is_known(ROWS, args) &&
	       !rad_inline_is_known(~0u, args) && !rad_inline_is_known(1u << 30, args) &&
	       !rad_inline_is_to_file(~0u) && rad_inline_is_to_file(__NR_writev) &&
	       !rad_inline_is_to_file(__NR_sendto);
}

/* ---- honest calls ---- */

static char buffer[3 * RAD_WIRE_PAGE] __attribute__((aligned(RAD_WIRE_PAGE)));

static bool writes(u64 len, bool travels)
{
	send_call(__NR_write, 1, (u64)buffer, len, 0, 0, 0);
	return is_sound(&sent) && !!sent.carried == travels && sent.in == (travels ? len : 0) &&
	       arrives();
}

static bool write_sizes(void)
{
	return writes(0, false) && writes(1, true) && writes(4096, true) &&
	       writes(RAD_INLINE_MAX, true) && writes(RAD_INLINE_MAX + 1, false) &&
	       writes(~0ULL, false) && writes(1ULL << 32, false) && writes((1ULL << 32) + 1, false);
}

static bool read_results(void)
{
	send_call(__NR_read, 0, (u64)buffer, 100, 0, 0, 0);
	return is_sound(&sent) && arrives() && !sent.in && sent.out == 100 &&
	       rad_inline_results(&sent, 0) == 0 && rad_inline_results(&sent, 1) == 1 &&
	       rad_inline_results(&sent, 100) == 100 && rad_inline_results(&sent, 101) == 100 &&
	       rad_inline_results(&sent, -4) == 0 && rad_inline_results(&sent, -512) == 0 &&
	       rad_inline_results(&sent, 1ULL << 63) == 0 &&
	       rad_inline_results(&sent, ~0ULL >> 1) == 100;
}

static bool stat_results(void)
{
	send_call(__NR_newfstatat, -100, (u64)"", (u64)buffer, 0x1000, 0, 0);
	return is_sound(&sent) && arrives() && sent.in == 1 && sent.out == 144 &&
	       rad_inline_results(&sent, 0) == 144 && rad_inline_results(&sent, -2) == 0 &&
	       rad_inline_results(&sent, 5) == 0;
}

static bool epoll_results(void)
{
	send_call(__NR_epoll_wait, 3, (u64)buffer, 1024, -1, 0, 0);
	return is_sound(&sent) && arrives() && sent.out == RAD_INLINE_MAX &&
	       rad_inline_results(&sent, 3) == 36 &&
	       rad_inline_results(&sent, 1ULL << 62) == RAD_INLINE_MAX;
}

/* The lower half of the register is what the kernel looks at. */
static bool integers(void)
{
	send_call(__NR_epoll_wait, 3, (u64)buffer, 0xdead00000002ULL, -1, 0, 0);
	if (sent.out != 24)
		return false;
	send_call(__NR_poll, (u64)buffer, 0x500000003ULL, 0, 0, 0, 0);
	if (sent.in != 24 || sent.out != 24)
		return false;
	send_call(__NR_poll, (u64)buffer, (u32)-1, 0, 0, 0, 0);
	return !sent.count;
}

static bool sets_of_bits(void)
{
	send_call(__NR_select, 65, (u64)buffer, 0, (u64)buffer + 64, 0, 0);
	if (sent.count != 2 || sent.in != 32 || sent.out != 32 || !arrives())
		return false;
	send_call(__NR_select, 0, (u64)buffer, 0, 0, (u64)buffer, 0);
	return sent.count == 1 && sent.in == 16 && arrives();
}

static bool null_pointers(void)
{
	send_call(__NR_ppoll, 0, 3, 0, 0, 8, 0);
	if (sent.count)
		return false;
	send_call(__NR_accept, 3, 0, 0, 0, 0, 0);
	return !sent.count && !sent.room && arrives();
}

static bool names(void)
{
	static char longest[RAD_INLINE_STRING_MAX + 1];

	send_call(__NR_renameat, -100, (u64)"a", -100, (u64)"to", 0, 0);
	if (!is_sound(&sent) || !arrives() || sent.in != 5 || memcmp(data, "a\0to\0", 5))
		return false;
	/* Two that fit one by one, and not together, are one. */
	memset(longest, 'x', sizeof(longest) - 1);
	here = 1;
	longest[RAD_INLINE_STRING_MAX - 1] = 0;
	send_call(__NR_rename, (u64)longest, (u64)"to", 0, 0, 0, 0);
	here = ~0u;
	return sent.carried == 1 && sent.in == RAD_INLINE_STRING_MAX && arrives();
}

static bool addresses(void)
{
	u32 len = 16;

	send_call(__NR_recvfrom, 3, (u64)buffer, 64, 0, (u64)buffer + 100, (u64)&len);
	if (!is_sound(&sent) || !arrives() || sent.count != 3 || sent.in != 20 || sent.out != 84 ||
	    rad_inline_results(&sent, -11) != 20 || rad_inline_results(&sent, 5) != 25)
		return false;
	len = -1;
	send_call(__NR_accept, 3, (u64)buffer, (u64)&len, 0, 0, 0);
	if (sent.count != 1 || !arrives())
		return false;
	/* Without the length nobody knows how much there is. */
	len = 16;
	here = ~1u;
	send_call(__NR_accept, 3, (u64)buffer, (u64)&len, 0, 0, 0);
	here = ~0u;
	return !sent.carried && arrives();
}

static bool vectors(void)
{
	struct iovec v[] = {
		{ buffer, 10 }, { NULL, 0 }, { buffer + 100, 0 }, { buffer + 20, 7 },
		{ buffer + 3, RAD_INLINE_MAX + 1 }, { buffer + 40, 5 },
	};

	send_call(__NR_readv, 3, (u64)v, 6, 0, 0, 0);
	if (!is_sound(&sent) || !arrives() || sent.count != 4 || sent.in != sizeof(v) ||
	    sent.out != 22)
		return false;
	/* The fifth is filled where it is. */
	if (rad_inline_results(&sent, 10) != 10 || rad_inline_results(&sent, 12) != 12 ||
	    rad_inline_results(&sent, 17) != 17 || rad_inline_results(&sent, 1000) != 17 ||
	    rad_inline_results(&sent, 17 + RAD_INLINE_MAX + 1 + 3) != 20)
		return false;
	send_call(__NR_writev, 3, (u64)v, 2, 0, 0, 0);
	if (!is_sound(&sent) || !arrives() || sent.in != 2 * sizeof(*v) + 10)
		return false;
	send_call(__NR_writev, 3, (u64)v, 1ULL << 40, 0, 0, 0);
	return !sent.count;
}

/* More than there is room for are used where they are. */
static bool many_entries(void)
{
	struct iovec v[100];

	for (int i = 0; i < 100; i++)
		v[i] = (struct iovec){ buffer + i, 1 };
	send_call(__NR_writev, 3, (u64)v, 100, 0, 0, 0);
	return is_sound(&sent) && arrives() && sent.count == RAD_INLINE_PIECES;
}

static bool messages(void)
{
	struct iovec v[] = { { buffer, 10 }, { buffer + 20, 30 } };
	struct msghdr m = {
		.msg_name = buffer + 100, .msg_namelen = 200, .msg_iov = v, .msg_iovlen = 2,
		.msg_control = buffer + 512, .msg_controllen = 64,
	};
	const u32 fixed = RAD_MSGHDR_SIZE + RAD_INLINE_ADDRESS_MAX + 64;

	send_call(__NR_sendmsg, 3, (u64)&m, 0, 0, 0, 0);
	if (!is_sound(&sent) || !arrives() || sent.count != 6 || sent.out ||
	    sent.in != fixed + sizeof(v) + 40)
		return false;
	send_call(__NR_recvmsg, 3, (u64)&m, 0, 0, 0, 0);
	if (!is_sound(&sent) || !arrives() || sent.out != fixed + 40 ||
	    rad_inline_results(&sent, 15) != fixed + 15 || rad_inline_results(&sent, -1) != fixed)
		return false;
	m.msg_namelen = -1;
	m.msg_controllen = 1ULL << 33;
	send_call(__NR_recvmsg, 3, (u64)&m, 0, 0, 0, 0);
	return is_sound(&sent) && arrives() && sent.count == 4;
}

/* Two results in one place: only the kernel knows which was written last. */
static bool overlapping(void)
{
	struct iovec v[] = { { buffer, 10 }, { buffer + 9, 7 } };

	send_call(__NR_select, 65, (u64)buffer, (u64)buffer + 16, 0, 0, 0);
	if (rad_inline_overlaps(&sent))
		return false;
	send_call(__NR_select, 65, (u64)buffer, (u64)buffer + 15, 0, 0, 0);
	if (!rad_inline_overlaps(&sent))
		return false;
	send_call(__NR_readv, 3, (u64)v, 2, 0, 0, 0);
	if (!rad_inline_overlaps(&sent))
		return false;
	/* Also with one that does not travel. */
	here = ~2u;
	send_call(__NR_readv, 3, (u64)v, 2, 0, 0, 0);
	here = ~0u;
	if (!rad_inline_overlaps(&sent))
		return false;
	/* What is read is read before. */
	send_call(__NR_nanosleep, (u64)buffer, (u64)buffer, 0, 0, 0, 0);
	if (rad_inline_overlaps(&sent))
		return false;
	send_call(__NR_writev, 3, (u64)v, 2, 0, 0, 0);
	return !rad_inline_overlaps(&sent);
}

/* Of struct msgbuf: its type, and as much text as the result says. */
static bool texts(void)
{
	send_call(__NR_msgsnd, 1, (u64)buffer, 10, 0, 0, 0);
	if (!is_sound(&sent) || !arrives() || sent.in != 18)
		return false;
	send_call(__NR_msgsnd, 1, (u64)buffer, RAD_INLINE_MAX - 7, 0, 0, 0);
	if (sent.carried)
		return false;
	send_call(__NR_msgsnd, 1, (u64)buffer, ~0ULL, 0, 0, 0);
	if (sent.carried)
		return false;
	send_call(__NR_msgrcv, 1, (u64)buffer, RAD_INLINE_MAX - 8, 0, 0, 0);
	if (!is_sound(&sent) || !arrives() || sent.in || sent.out != RAD_INLINE_MAX ||
	    rad_inline_results(&sent, 0) != 8 || rad_inline_results(&sent, 5) != 13 ||
	    rad_inline_results(&sent, -42) != 0 || rad_inline_results(&sent, 1ULL << 63) != 0 ||
	    rad_inline_results(&sent, ~0ULL >> 1) != RAD_INLINE_MAX)
		return false;
	send_call(__NR_msgrcv, 1, (u64)buffer, 0, 0, 0, 0);
	return arrives() && sent.out == 8 && rad_inline_results(&sent, 0) == 8 &&
	       rad_inline_results(&sent, 1) == 8;
}

/* Several messages at once: their headers come back in any case. */
static bool many_messages(void)
{
	struct iovec v[] = { { buffer, 10 }, { buffer + 20, 30 } };
	struct mmsghdr m[40] = { };
	const u32 heads = 3 * RAD_MMSGHDR_SIZE;

	for (int i = 0; i < 40; i++)
		m[i].msg_hdr = (struct msghdr){ .msg_iov = &v[i % 2], .msg_iovlen = 1 };
	m[1].msg_hdr.msg_name = buffer + 100;
	m[1].msg_hdr.msg_namelen = 16;
	send_call(__NR_sendmmsg, 3, (u64)m, 3, 0, 0, 0);
	if (!is_sound(&sent) || !arrives() || sent.count != 8 ||
	    sent.in != heads + 3 * sizeof(*v) + 16 + 10 + 30 + 10 || sent.out != heads ||
	    rad_inline_results(&sent, 2) != heads || rad_inline_results(&sent, -11) != heads)
		return false;
	send_call(__NR_recvmmsg, 3, (u64)m, 3, 0, 0, 0);
	if (!is_sound(&sent) || !arrives() || sent.out != heads + 16 + 10 + 30 + 10 ||
	    rad_inline_results(&sent, 1) != sent.out)
		return false;
	/* Those that find no room are where they are, and so is an array that is too long. */
	send_call(__NR_sendmmsg, 3, (u64)m, 40, 0, 0, 0);
	if (!is_sound(&sent) || !arrives() || sent.count != RAD_INLINE_PIECES)
		return false;
	send_call(__NR_sendmmsg, 3, (u64)m, RAD_INLINE_MAX / RAD_MMSGHDR_SIZE + 1, 0, 0, 0);
	if (sent.carried)
		return false;
	send_call(__NR_sendmmsg, 3, (u64)m, ~0u, 0, 0, 0);
	return !sent.carried;
}

static bool commands_travel(void)
{
	send_call(__NR_ioctl, 0, TCGETS, (u64)buffer, 0, 0, 0);
	if (!is_sound(&sent) || !arrives() || sent.in != 36 || sent.out != 36)
		return false;
	send_call(__NR_futex, (u64)buffer, FUTEX_WAIT_PRIVATE, 0, (u64)buffer + 64, (u64)buffer, 0);
	if (!is_sound(&sent) || !arrives() || sent.count != 1 || sent.in != 16 || sent.out)
		return false;
	send_call(__NR_futex, (u64)buffer, FUTEX_WAKE, 0, (u64)buffer + 64, (u64)buffer, 0);
	return !sent.count && arrives();
}

/* Whichever pieces are here, the other end finds the same. */
static bool any_subset(void)
{
	struct iovec v[] = { { buffer, 10 }, { buffer + 20, 30 } };
	struct msghdr m = {
		.msg_name = buffer + 100, .msg_namelen = 16, .msg_iov = v, .msg_iovlen = 2,
		.msg_control = buffer + 512, .msg_controllen = 64,
	};
	bool good = true;

	for (here = 0; here < 64; here++) {
		send_call(__NR_recvmsg, 3, (u64)&m, 0, 0, 0, 0);
		good &= is_sound(&sent) && arrives() && results_fit(&sent, 35);
	}
	here = ~0u;
	return good;
}

/* ---- a sender that lies ---- */

static bool other_lengths(void)
{
	send_call(__NR_sendto, 3, (u64)buffer, 100, 0, (u64)buffer + 200, 16);
	for (u32 len = 0; len < RAD_INLINE_MAX; len++)
		if (take_call(sent.nr, sent.args, data, len, sent.carried) != (len == sent.in))
			return false;
	return !take_call(sent.nr, sent.args, data, RAD_INLINE_MAX, sent.carried) &&
	       !rad_inline_take(&taken, sent.nr, sent.args, data, RAD_INLINE_MAX + 1, sent.carried) &&
	       !rad_inline_take(&taken, sent.nr, sent.args, data, ~0u, sent.carried);
}

static bool other_pieces(void)
{
	send_call(__NR_sendto, 3, (u64)buffer, 100, 0, (u64)buffer + 200, 16);
	for (u32 carried = 0; carried < 4096; carried++)
		if (take_call(sent.nr, sent.args, data, sent.in, carried) != (carried == sent.carried))
			return false;
	return !take_call(sent.nr, sent.args, data, sent.in, ~0u);
}

static bool endless_strings(void)
{
	u64 args[6] = { 0x1000, 0x2000 };
	static u8 letters[RAD_INLINE_MAX];

	memset(letters, 'x', sizeof(letters));
	return !take_call(__NR_open, args, letters, 0, 1) && !take_call(__NR_open, args, letters, 5, 1) &&
	       !take_call(__NR_open, args, letters, sizeof(letters), 1) &&
	       !take_call(__NR_rename, args, "a\0b", 3, 3) && take_call(__NR_rename, args, "a\0b\0", 4, 3);
}

static bool calls_without_a_row(void)
{
	u64 args[6] = { 0x1000, 0x2000, 8, 0x4000, 0x5000, 0x6000 };

	for (u32 nr = 0; nr < 1024; nr++) {
		if (rad_inline_is_known(nr, args))
			continue;
		if (take_call(nr, args, data, 8, 1) || !take_call(nr, args, data, 0, 0))
			return false;
	}
	return true;
}

/* Arguments, data, length and pieces at random: refused, or sound. */
static bool noise(void)
{
	u32 accepted = 0;

	srandom(1);
	for (int round = 0; round < 400000; round++) {
		static u8 bytes[4096];
		u32 len = random() % 3 ? random() % 200 : random() % 4096;
		u32 nr = random() % ROWS, carried = random() % 4 ? random() & 7 : random();
		u64 args[6];

		for (int i = 0; i < 6; i++)
			args[i] = random() % 3 ? (u64)random() % 64 : (u64)random() << (random() % 33);
		for (u32 i = 0; i < len; i++)
			bytes[i] = random() % 3 ? 0 : random();
		if (random() % 2)
			nr = (const u32[]){ __NR_recvmsg, __NR_writev, __NR_recvmmsg,
					    __NR_getsockopt }[random() % 4];
		/* Who lies knows what is expected. */
		if (!take_call(nr, args, bytes, len, carried) &&
		    !take_call(nr, args, bytes, taken.in, taken.carried))
			continue;
		accepted += carried != 0;
		if (!is_sound(&taken))
			return false;
		for (int i = 0; i < 8; i++)
			if (!results_fit(&taken, (u64)random() << (i < 4 ? 0 : 33) | random()))
				return false;
	}
	return accepted > 10000;
}

int main(void)
{
	TEST("table: each pointer is an argument of its own", each_row(names_arguments));
	TEST("table: no call that keeps a pointer", each_row(keeps_no_pointer));
	TEST("commands: each pointer is an argument of its own", each_command(names_arguments));
	TEST("commands: one row for each", commands_differ());
	TEST("commands: no pointer that is kept", each_command(commands_keep_no_pointer));
	TEST("commands: others have no row", commands_are_heeded());
	TEST("commands: their data travels", commands_travel());
	TEST("options: only those whose length is known", options_whose_length_is_known());
	TEST("table: flags that forbid it are heeded", flags_are_heeded());
	TEST("table: other numbers have no row", unknown_numbers());
	TEST("write: data travels up to the limit", write_sizes());
	TEST("read: as many bytes come back as the result says", read_results());
	TEST("stat: all of it comes back, or nothing", stat_results());
	TEST("epoll_wait: the result counts events", epoll_results());
	TEST("sizes: of an int the lower half counts", integers());
	TEST("select: sets are whole words", sets_of_bits());
	TEST("pointers that are NULL are none", null_pointers());
	TEST("names: with the zero at their end", names());
	TEST("addresses: as long as their length says", addresses());
	TEST("vectors: the result is spread over the entries", vectors());
	TEST("vectors: entries beyond the room for them stay where they are", many_entries());
	TEST("messages: header, name, control data and vector", messages());
	TEST("messages: several at once", many_messages());
	TEST("messages: of System V", texts());
	TEST("results in one place are noticed", overlapping());
	TEST("any choice of pieces is understood", any_subset());
	TEST("lies: another length is refused", other_lengths());
	TEST("lies: other pieces are refused", other_pieces());
	TEST("lies: a string without an end is refused", endless_strings());
	TEST("lies: data of a call that has none is refused", calls_without_a_row());
	TEST("lies: noise is refused, or sound", noise());
	return test_end();
}

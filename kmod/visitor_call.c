// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: system calls of a visitor that its deputy makes, and their data.
 *
 * What a call reads or writes travels with it, if it is here. What is not here is at home
 * or somewhere else: the deputy uses it where it is. So no page moves because of a call, but
 * where the deputy has to have one that is elsewhere.
 *
 * Nothing here waits for a page. To find out whether one is here it is touched with faults
 * off; what is here and not mapped yet is mapped first.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/entry-common.h>
#include <linux/futex.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/futex.h>
#include <asm/syscall.h>
#include "inline.h"
#include "link.h"
#include "node.h"
#include "regs.h"
#include "replica.h"
#include "visitor_internal.h"
#include "wire_check.h"

/**
 * struct rad_letter - the data of a visitor's call
 * @call: its pieces
 * @lent: some went with the message that is being answered: their data may come back
 * @sent: what the carried ones held when the call was sent, if it reads them
 * @got_len: bytes of @got
 * @got: what came back; written by the link's receive context while a result is expected
 */
struct rad_letter {
	struct rad_inline call;
	bool lent;
	u8 sent[RAD_INLINE_MAX];
	u32 got_len;
	u8 got[RAD_INLINE_MAX];
};

void rad_visitor_free_letter(struct rad_visitor *visitor)
{
	kvfree(visitor->letter);
}

/* ------------------------------------------------------------ what is here */

/*
 * A buffer at home that the thread does not use is none of this node's business. One that is here
 * in part is used: with the call at home that part would go there, and come again each time.
 */
static bool is_here_in_part(struct rad_visitor *visitor, u64 address, u32 len, u32 access)
{
	struct rad_window *window = &visitor->replica->window;

	return len && len <= PAGE_SIZE && (rad_window_holds(window, address, access) ||
					   rad_window_holds(window, address + len - 1, access));
}

static u32 to_page_end(u64 address, u32 len)
{
	return min_t(u64, len, PAGE_SIZE - offset_in_page(address));
}

/* Are the pages here, or one of two? Then they are mapped. */
static bool map_for_read(struct rad_visitor *visitor, u64 address, u32 len)
{
	bool fetch = is_here_in_part(visitor, address, len, RAD_ACCESS_READ);
	u32 part;

	for (; len; len -= part, address += part) {
		part = to_page_end(address, len);
		if (!(fetch || rad_window_holds(&visitor->replica->window, address,
						RAD_ACCESS_READ)) ||
		    fault_in_readable(u64_to_user_ptr(address), 1))
			return false;
	}
	return true;
}

static bool read_here(struct rad_visitor *visitor, void *to, u64 from, u32 len)
{
	const void __user *ptr = u64_to_user_ptr(from);

	return !copy_from_user_nofault(to, ptr, len) ||
	       (map_for_read(visitor, from, len) && !copy_from_user_nofault(to, ptr, len));
}

/* Adds nothing to a word of the page: it stays what it is, whoever else writes to it. */
static bool is_writable(u64 address)
{
	int old, err;

	pagefault_disable();
	err = arch_futex_atomic_op_inuser(FUTEX_OP_ADD, 0, &old,
					  u64_to_user_ptr(address & -4ULL));
	pagefault_enable();
	return !err;
}

/*
 * Are the pages here, and to be written to? Then they are mapped so, and home says of
 * none of them that it must not be written to.
 */
static bool map_for_write(struct rad_visitor *visitor, u64 address, u32 len)
{
	u32 part;
	bool fetch;

	if (!access_ok(u64_to_user_ptr(address), len))
		return false;
	fetch = is_here_in_part(visitor, address, len, RAD_ACCESS_WRITE);
	for (; len; len -= part, address += part) {
		part = to_page_end(address, len);
		if (is_writable(address))
			continue;
		if (!(fetch || rad_window_holds(&visitor->replica->window, address,
						RAD_ACCESS_WRITE)) ||
		    fault_in_safe_writeable(u64_to_user_ptr(address), 1) || !is_writable(address))
			return false;
	}
	return true;
}

static bool write_here(struct rad_visitor *visitor, u64 to, const void *from, u32 len)
{
	void __user *ptr = u64_to_user_ptr(to);

	return !copy_to_user_nofault(ptr, from, len) ||
	       (map_for_write(visitor, to, len) && !copy_to_user_nofault(ptr, from, len));
}

/* Its length with the zero at its end; 0: it is not all here, or too long. */
static u32 read_string(struct rad_visitor *visitor, char *to, u64 from, u32 room)
{
	u32 len = 0, part;
	long n;

	room = min_t(u32, room, RAD_INLINE_STRING_MAX);
	while (len < room) {
		part = to_page_end(from + len, room - len);
		pagefault_disable();
		n = strncpy_from_user(to + len, u64_to_user_ptr(from + len), part);
		pagefault_enable();
		if (n < 0 && map_for_read(visitor, from + len, 1)) {
			pagefault_disable();
			n = strncpy_from_user(to + len, u64_to_user_ptr(from + len), part);
			pagefault_enable();
		}
		if (n < 0)
			return 0;
		if (n < part)
			return len + n + 1;
		len += part;
	}
	return 0;
}

/* ---------------------------------------------------------------- sending */

/* A rad_inline_fn: carried is what is here. */
static bool carry(struct rad_inline *call, struct rad_piece *piece, u32 room, void *context)
{
	struct rad_visitor *visitor = context;
	u8 *to = call->data + piece->pos;

	if (piece->dir & RAD_INLINE_OUT && !map_for_write(visitor, piece->user, piece->len))
		return false;
	if (!(piece->dir & RAD_INLINE_IN))
		return true;
	if (!piece->string)
		return read_here(visitor, to, piece->user, piece->len);
	piece->len = read_string(visitor, to, piece->user, room);
	return piece->len;
}

/* Where the data of this call goes; NULL: it has none that could travel. */
static struct rad_letter *begin_letter(struct rad_visitor *visitor, int nr, const u64 args[6])
{
	if (!rad_inline_is_known(nr, args))
		return NULL;
	if (!visitor->letter)
		visitor->letter = kvmalloc(sizeof(*visitor->letter),
					   GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN);
	return visitor->letter;
}

/* Before ask(): home may send data back, or must not. */
static void expect_data(struct rad_visitor *visitor, bool data)
{
	if (visitor->letter)
		visitor->letter->lent = data;
}

static void address(struct rad_visitor *visitor, struct rad_out *msg)
{
	struct rad_wire_syscall *body = msg->body;

	rad_visitor_address(visitor, &body->thread);
	body->pkru = cpu_to_le32(rad_regs_pkru());
	body->coarse = cpu_to_le64(rad_vvar_shown(&visitor->replica->window.vvar));
	rad_visitor_tell_cputime(visitor, &body->cputime);
}

static struct rad_out *plain_msg(struct rad_visitor *visitor)
{
	struct rad_out *msg = rad_msg_alloc(RAD_MSG_SYSCALL, sizeof(struct rad_wire_syscall),
					    GFP_KERNEL | __GFP_NOFAIL);

	address(visitor, msg);
	return msg;
}

/* A message with this data; NULL without memory. */
static struct rad_out *data_msg(struct rad_visitor *visitor, const void *data, u32 len)
{
	struct rad_wire_syscall *body;
	struct rad_out *msg;

	msg = rad_msg_alloc(RAD_MSG_SYSCALL, sizeof(*body) + len,
			    GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
	if (!msg)
		return NULL;
	address(visitor, msg);
	body = msg->body;
	memcpy(body + 1, data, len);
	return msg;
}

static struct rad_out *syscall_msg(struct rad_visitor *visitor, int nr, const u64 args[6])
{
	struct rad_letter *letter = begin_letter(visitor, nr, args);
	struct rad_wire_syscall *body;
	struct rad_out *msg = NULL;
	int i;

	if (letter) {
		letter->got_len = 0;
		rad_inline_walk(&letter->call, nr, args, letter->sent, carry, visitor);
		if (letter->call.carried && !rad_inline_overlaps(&letter->call))
			msg = data_msg(visitor, letter->sent, letter->call.in);
	}
	expect_data(visitor, msg);
	if (msg) {
		body = msg->body;
		body->carried = cpu_to_le32(letter->call.carried);
	} else {
		msg = plain_msg(visitor);
		body = msg->body;
	}
	body->nr = cpu_to_le32(nr);
	for (i = 0; i < 6; i++)
		body->args[i] = cpu_to_le64(args[i]);
	return msg;
}

/*
 * Sends it and waits for the result. Returns false if there is none, and current is not
 * the thread any more: it dies, or has been given another.
 */
static bool ask(struct rad_visitor *visitor, struct rad_out *msg)
{
	WRITE_ONCE(visitor->has_result, false);
	/* Pairs with xchg() in rad_visitor_on_syscall_done(). */
	smp_store_release(&visitor->expects, true);
	rad_msg_send(visitor->replica->home, msg);

	/* Ends with the answer, or the replica's death; a recall is the deputy's business. */
	___wait_event(visitor->wait,
		      smp_load_acquire(&visitor->has_result) || READ_ONCE(visitor->discard),
		      RAD_VISITOR_SLEEP, 0, 0, schedule());
	if (fatal_signal_pending(current))
		return false;
	if (visitor->discard) {
		rad_visitor_forget(visitor);
		return false;
	}
	visitor->self = visitor->result.self;
	rad_vvar_has_seen(&visitor->replica->window.vvar, le64_to_cpu(visitor->result.coarse),
			  le64_to_cpu(visitor->result.real));
	return true;
}

/* ---------------------------------------------------------------- results */

/*
 * Puts a part of a result where the program wants it: here, or, if the page is here no
 * longer, at home, where the deputy can. @ax becomes EFAULT if neither can. Returns as ask().
 */
static bool store(struct rad_visitor *visitor, u64 to, const void *from, u32 len, u64 *ax)
{
	struct rad_wire_syscall *body;
	struct rad_out *msg;
	u32 part;

	if (write_here(visitor, to, from, len))
		return true;
	for (; len; len -= part, to += part, from += part) {
		/* Small enough to be had for certain. */
		part = min_t(u32, len, PAGE_SIZE);
		msg = rad_msg_alloc(RAD_MSG_SYSCALL, sizeof(*body) + part,
				    GFP_KERNEL | __GFP_NOFAIL);
		address(visitor, msg);
		body = msg->body;
		body->flags = cpu_to_le32(RAD_SYSCALL_STORE);
		body->args[0] = cpu_to_le64(to);
		memcpy(body + 1, from, part);
		expect_data(visitor, false);
		if (!ask(visitor, msg))
			return false;
		/* What is to be restarted is none that has a result. */
		if (visitor->result.ax && (long)*ax >= 0)
			*ax = -EFAULT;
	}
	return true;
}

/* The bytes that the call has changed: what it has left alone may be another's by now. */
static bool store_changes(struct rad_visitor *visitor, const struct rad_piece *piece,
			  const u8 *old, const u8 *new, u64 *ax)
{
	u32 from, to;

	for (from = 0; from < piece->len; from = to) {
		for (to = from; to < piece->len && old[to] != new[to]; to++)
			;
		if (to > from && !store(visitor, piece->user + from, new + from, to - from, ax))
			return false;
		to += to == from;
	}
	return true;
}

/* Returns as ask(). */
static bool scatter(struct rad_visitor *visitor, u64 *ax)
{
	struct rad_letter *letter = visitor->letter;
	const struct rad_inline *call = &letter->call;
	const u8 *from = letter->got;
	const u64 result = *ax;
	u32 i, len;
	bool here;

	if (rad_inline_results(call, result) != letter->got_len) {
		rad_node_protocol_error(visitor->replica->home, "SYSCALL_DONE: wrong length");
		return true;
	}
	for (i = 0; i < call->count; i++) {
		const struct rad_piece *piece = &call->piece[i];

		len = piece->carried ? rad_inline_result(piece, result) : 0;
		if (!len)
			continue;
		if (piece->dir == RAD_INLINE_INOUT)
			here = store_changes(visitor, piece, letter->sent + piece->pos, from, ax);
		else
			here = store(visitor, piece->user, from, len, ax);
		if (!here)
			return false;
		from += len;
	}
	return true;
}

static void order(void *unused)
{
	/* Pairs with that of whoever calls membarrier(). */
	smp_mb();
}

/*
 * membarrier(): the deputy's reaches the CPUs of home. Threads on other nodes are in order
 * with us by what moves pages; those on this one may run on its other CPUs.
 */
static void order_here(void)
{
	smp_mb();
	on_each_cpu_mask(mm_cpumask(current->mm), order, NULL, true);
	smp_mb();
}

/**
 * rad_visitor_delegate() - have a call done by the deputy
 * @visitor: current
 * @regs: its registers; the result is put there, or the thread has gone home
 * @nr: number of the call
 */
void rad_visitor_delegate(struct rad_visitor *visitor, struct pt_regs *regs, int nr)
{
	unsigned long raw[6];
	u32 flags, reason;
	u64 args[6], ax;
	int i;

	syscall_get_arguments(current, regs, raw);
	for (i = 0; i < 6; i++)
		args[i] = raw[i];
	if (nr == __NR_membarrier)
		order_here();
	if (!ask(visitor, syscall_msg(visitor, nr, args)))
		return;
	flags = le32_to_cpu(visitor->result.flags);
	reason = rad_wire_reason(visitor->result.thread.reason);
	ax = le64_to_cpu(visitor->result.ax);
	if (flags & RAD_SYSCALL_EXECUTE) {
		rad_visitor_rewind(regs);
		rad_visitor_go_home(visitor, reason, nr);
		return;
	}
	/* First: what is stored here goes home with the thread like all that it has written. */
	if (flags & RAD_SYSCALL_DATA && !scatter(visitor, &ax))
		return;
	regs->ax = ax;
	if (flags & RAD_SYSCALL_COME_HOME)
		rad_visitor_go_home(visitor, reason, nr);
}

static const char *keep_result(struct rad_visitor *visitor, const struct rad_in *in)
{
	const struct rad_wire_syscall_done *body = in->body;
	u32 len = in->len - sizeof(*body);

	if (!rad_wire_check_syscall_done(body, in->len, visitor->letter && visitor->letter->lent))
		return "SYSCALL_DONE: one that cannot be";
	visitor->result = *body;
	if (le32_to_cpu(body->flags) & RAD_SYSCALL_DATA) {
		visitor->letter->got_len = len;
		memcpy(visitor->letter->got, body + 1, len);
	}
	return NULL;
}

/* rad_visitor_on_syscall_done() - SYSCALL_DONE: the deputy's result */
void rad_visitor_on_syscall_done(struct rad_in *in)
{
	struct rad_visitor *visitor = rad_visitor_addressed(in);
	const char *wrong;

	if (!visitor)
		return;
	/* Once for each call: the visitor has the result from then on. */
	if (xchg(&visitor->expects, false)) {
		wrong = keep_result(visitor, in);
		if (wrong) {
			rad_node_protocol_error(in->from, wrong);
		} else {
			/* Pairs with the wait in ask(): the result before the flag. */
			smp_store_release(&visitor->has_result, true);
			wake_up_all(&visitor->wait);
		}
	}
	rad_visitor_put(visitor);
}

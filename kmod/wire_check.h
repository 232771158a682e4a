/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: what is checked of everything that a peer says, before it is used.
 *
 * Pure functions of a message and some numbers: they also run in user space, where
 * each field is made wrong in turn (selftests/unit/wire_check.c). What they
 * return says what is wrong, NULL or RADIUM_R_NONE: nothing.
 */
#ifndef _RADIUM_WIRE_CHECK_H
#define _RADIUM_WIRE_CHECK_H

#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/byteorder.h>
#include "wire.h"
#include "../uapi/linux/radium.h"

/**
 * struct rad_wire_kind - a row of RAD_MESSAGES
 * @class: enum rad_msg_class
 * @context: enum rad_msg_context
 * @least: bytes of the shortest body
 */
struct rad_wire_kind {
	u8 class;
	u8 context;
	u16 least;
};

static inline const struct rad_wire_kind *rad_wire_kind(u32 type)
{
#define ROW(name, cl, ctx, len) \
	[RAD_MSG_##name] = { RAD_CLASS_##cl, RAD_CONTEXT_##ctx, len },
	static const struct rad_wire_kind kinds[RAD_MSG_COUNT] = { RAD_MESSAGES(ROW) };
#undef ROW

	return &kinds[type];
}

/* The answer to a request of this type; 0 (AUTH): it has none. */
static inline u32 rad_wire_answer_of(u32 type)
{
#define ROW(request, answer) [RAD_MSG_##request] = RAD_MSG_##answer,
	static const u8 answers[RAD_MSG_COUNT] = { RAD_ANSWERS(ROW) };
#undef ROW

	return answers[type];
}

static inline bool rad_wire_is_answer(u32 type)
{
#define ROW(request, answer) || type == RAD_MSG_##answer
	return false RAD_ANSWERS(ROW);
#undef ROW
}

/* Messages outside the streams: no sequence number, no credit. */
static inline bool rad_wire_is_control(u32 type)
{
	return type == RAD_MSG_AUTH || type == RAD_MSG_ACK || type == RAD_MSG_HEARTBEAT;
}

/**
 * rad_wire_check_hello() - may we talk to the sender of this?
 * @data: private data of rdma_cm's connect or accept
 * @len: bytes of it
 * @self: own id
 */
static inline u32 rad_wire_check_hello(const void *data, size_t len, u32 self)
{
	const struct rad_wire_hello *hello = data;
	u32 id;

	if (len < offsetof(struct rad_wire_hello, nonce) ||
	    le32_to_cpu(hello->magic) != RAD_WIRE_MAGIC)
		return RADIUM_R_PROTOCOL;
	if (le16_to_cpu(hello->version) != RAD_WIRE_VERSION)
		return RADIUM_R_WIRE_VERSION;
	id = le16_to_cpu(hello->node);
	if (len < sizeof(*hello) || id < 1 || id > RADIUM_NODE_MAX)
		return RADIUM_R_PROTOCOL;
	return id == self ? RADIUM_R_SAME_ID : RADIUM_R_NONE;
}

/**
 * rad_wire_check_auth() - is the first message an AUTH?
 * @h: the message
 * @len: bytes that have arrived
 */
static inline bool rad_wire_check_auth(const struct rad_wire_header *h, u32 len)
{
	return len == sizeof(*h) + sizeof(struct rad_wire_auth) && h->type == RAD_MSG_AUTH &&
	       h->class == RAD_CLASS_ANSWER &&
	       le32_to_cpu(h->len) == sizeof(struct rad_wire_auth) && !h->seq;
}

/**
 * rad_wire_check_header() - what is wrong with a message of a session
 * @h: the message
 * @len: bytes that have arrived
 * @session: id of the session
 */
static inline const char *rad_wire_check_header(const struct rad_wire_header *h, u32 len,
						u64 session)
{
	u32 body = le32_to_cpu(h->len);

	if (len < sizeof(*h) || body != len - sizeof(*h))
		return "wrong length";
	if (h->type >= RAD_MSG_COUNT || h->type == RAD_MSG_AUTH)
		return "wrong type";
	if (h->class != rad_wire_kind(h->type)->class)
		return "wrong class";
	if (body < rad_wire_kind(h->type)->least)
		return "short body";
	if (le64_to_cpu(h->session) != session)
		return "wrong session";
	if (rad_wire_is_control(h->type) != !h->seq)
		return "wrong sequence number";
	if (rad_wire_is_answer(h->type) && !h->call)
		return "answer to nothing";
	return NULL;
}

/**
 * rad_wire_check_ack() - what is wrong with what a header says of one stream
 * @h: the header
 * @class: which
 * @posted: last sequence number of it that was ever sent
 */
static inline const char *rad_wire_check_ack(const struct rad_wire_header *h, u32 class,
					     u64 posted)
{
	u64 ack = le64_to_cpu(h->ack[class]);

	if (ack > posted)
		return "acknowledges what was not sent";
	if (le64_to_cpu(h->credit[class]) > ack + RAD_WINDOW)
		return "gives too much credit";
	return NULL;
}

/**
 * rad_wire_check_seq() - what is wrong with the sequence number of a new message
 * @seq: the number, larger than @received: what is not was sent again after a loss
 * @received: that of the last message
 * @released: messages whose buffers the peer knows to be free again
 */
static inline const char *rad_wire_check_seq(u64 seq, u64 received, u64 released)
{
	if (seq != received + 1)
		return "lost a message";
	if (seq > released + RAD_WINDOW)
		return "sends without credit";
	return NULL;
}

/**
 * rad_wire_fold() - the immediate data that a message with a page travels as
 * @type: RAD_MSG_PAGE_GRANT, RAD_MSG_PAGE_BACK or RAD_MSG_PAGE_FORWARD
 * @body: its body, with DATA
 * @call: id of the call, or token of the landing place
 * @seq: sequence number
 */
static inline u32 rad_wire_fold(u32 type, const void *body, u64 call, u64 seq)
{
	const struct rad_wire_page_grant *grant = body;
	const struct rad_wire_page_back *back = body;
	u32 fold = (u32)seq << RAD_FOLD_SEQ | (call & ((1u << RAD_FOLD_CALL_BITS) - 1));

	if (type == RAD_MSG_PAGE_BACK)
		return fold | RAD_FOLD_BACK << RAD_FOLD_TYPE |
		       le32_to_cpu(back->flags) / RAD_BACK_SENT << RAD_FOLD_PROT;
	fold |= le32_to_cpu(grant->prot) << RAD_FOLD_PROT;
	if (type == RAD_MSG_PAGE_FORWARD)
		fold |= RAD_FOLD_FORWARD << RAD_FOLD_TYPE;
	return fold;
}

/* The call that immediate data answers, as far as it says, or the token. */
static inline u32 rad_wire_fold_call(u32 fold)
{
	return fold & ((1u << RAD_FOLD_CALL_BITS) - 1);
}

static inline enum rad_fold_type rad_wire_fold_type(u32 fold)
{
	return fold >> RAD_FOLD_TYPE & 3;
}

/**
 * rad_wire_unfold() - the message that travelled as immediate data
 * @fold: the immediate data
 * @h: becomes the header, followed by the body. Set are already: session, call, acks and
 *	credits
 * @received: last sequence number that has come before in class ANSWER
 *
 * Return: bytes of header and body; 0 if it cannot be one.
 */
static inline u32 rad_wire_unfold(u32 fold, struct rad_wire_header *h, u64 received)
{
	struct rad_wire_page_grant *grant = (void *)(h + 1);
	struct rad_wire_page_back *back = (void *)(h + 1);
	u32 extra = fold >> RAD_FOLD_PROT & 7, len;
	__s8 ahead;

	/* Sign-extended: what was sent before comes again after a loss. */
	ahead = (__s8)(((fold >> RAD_FOLD_SEQ) - (u32)received) << (8 - RAD_FOLD_SEQ_BITS));
	ahead >>= 8 - RAD_FOLD_SEQ_BITS;
	switch (rad_wire_fold_type(fold)) {
	case RAD_FOLD_BACK:
		*back = (struct rad_wire_page_back){
			.flags = cpu_to_le32(RAD_BACK_DATA | extra * RAD_BACK_SENT),
		};
		h->type = RAD_MSG_PAGE_BACK;
		len = sizeof(*back);
		break;
	case RAD_FOLD_GRANT:
	case RAD_FOLD_FORWARD:
		*grant = (struct rad_wire_page_grant){
			.flags = cpu_to_le32(RAD_GRANT_DATA),
			.prot = cpu_to_le32(extra),
		};
		h->type = rad_wire_fold_type(fold) == RAD_FOLD_GRANT ? RAD_MSG_PAGE_GRANT :
								      RAD_MSG_PAGE_FORWARD;
		len = sizeof(*grant);
		break;
	default:
		return 0;
	}
	h->class = RAD_CLASS_ANSWER;
	h->reserved = 0;
	h->len = cpu_to_le32(len);
	h->seq = cpu_to_le64(received + ahead);
	return sizeof(*h) + len;
}

/**
 * rad_wire_check_received() - can a peer have received that, in a session to be resumed?
 * @received: what its AUTH says of one stream; it may have acknowledged more meanwhile
 * @posted: last sequence number that was ever sent
 */
static inline bool rad_wire_check_received(u64 received, u64 posted)
{
	return received <= posted;
}

/* A reason from a peer, which may be an index here. */
static inline u32 rad_wire_reason(__le32 reason)
{
	u32 value = le32_to_cpu(reason);

	return value < RADIUM_R_COUNT ? value : RADIUM_R_PROTOCOL;
}

/**
 * rad_wire_check_page_get() - may a page be asked for like this?
 * @get: the body
 * @end: end of user addresses
 */
static inline bool rad_wire_check_page_get(const struct rad_wire_page_get *get, u64 end)
{
	u32 access = le32_to_cpu(get->access), flags = le32_to_cpu(get->flags);
	u64 address = le64_to_cpu(get->address);

	return !(address % RAD_WIRE_PAGE) && address < end && access &&
	       !(access & ~(RAD_ACCESS_READ | RAD_ACCESS_WRITE | RAD_ACCESS_EXEC)) &&
	       !(flags & ~RAD_GET_HELD) && (!flags || access & RAD_ACCESS_WRITE);
}

/**
 * rad_wire_check_page_revoke() - may a page be asked back like this?
 * @revoke: the body
 * @end: end of the window
 */
static inline bool rad_wire_check_page_revoke(const struct rad_wire_page_revoke *revoke, u64 end)
{
	u32 flags = le32_to_cpu(revoke->flags), next = le32_to_cpu(revoke->next);
	u64 address = le64_to_cpu(revoke->address);

	if (address % RAD_WIRE_PAGE || address >= end || flags & ~RAD_REVOKE_FLAGS)
		return false;
	if (flags & (RAD_REVOKE_KEEP | RAD_REVOKE_FORWARD | RAD_REVOKE_SENT) &&
	    !(flags & RAD_REVOKE_DATA))
		return false;
	if (flags & RAD_REVOKE_UNSENT && !(flags & RAD_REVOKE_CANCEL))
		return false;
	if (!(flags & RAD_REVOKE_FORWARD))
		return true;
	return next >= 1 && next <= RADIUM_NODE_MAX &&
	       le32_to_cpu(revoke->forward.token) < RAD_TOKENS &&
	       !(le32_to_cpu(revoke->prot) &
		 ~(RAD_ACCESS_READ | RAD_ACCESS_WRITE | RAD_ACCESS_EXEC));
}

/**
 * rad_wire_check_syscall() - may a call be asked for like this?
 * @call: the body
 * @len: bytes of it and of the data behind it
 *
 * Whether the data is that of the call is rad_inline_take()'s to say.
 */
static inline bool rad_wire_check_syscall(const struct rad_wire_syscall *call, u32 len)
{
	u32 data = len - sizeof(*call), carried = le32_to_cpu(call->carried);
	u32 flags = le32_to_cpu(call->flags);

	if (len < sizeof(*call) || data > RAD_INLINE_MAX || flags & ~RAD_SYSCALL_FLAGS ||
	    carried >> RAD_INLINE_PIECES)
		return false;
	if (flags & RAD_SYSCALL_STORE)
		return data && !carried;
	return carried || !data;
}

/**
 * rad_wire_check_cputime() - can a thread have used that?
 * @cputime: what a message tells
 * @ticks: what may be told of user and system time together, which are counted in ticks, ns
 * @runtime: what may be told of the time on a CPU, ns
 */
static inline bool rad_wire_check_cputime(const struct rad_wire_cputime *cputime, u64 ticks,
					  u64 runtime)
{
	u64 utime = le64_to_cpu(cputime->utime);

	return utime <= ticks && le64_to_cpu(cputime->stime) <= ticks - utime &&
	       le64_to_cpu(cputime->runtime) <= runtime;
}

/* Can a thread be that? Its user and group ids may be any. */
static inline bool rad_wire_check_self(const struct rad_wire_self *self)
{
	return !(le32_to_cpu(self->flags) & ~RAD_SELF_FLAGS) &&
	       (s32)le32_to_cpu(self->pid) > 0 && (s32)le32_to_cpu(self->tid) > 0;
}

/**
 * rad_wire_check_syscall_done() - may a result look like this?
 * @done: the body
 * @len: bytes of it and of the data behind it
 * @carried: data went with the call, so that some may come back
 */
static inline bool rad_wire_check_syscall_done(const struct rad_wire_syscall_done *done, u32 len,
					       bool carried)
{
	u32 data = len - sizeof(*done), flags = le32_to_cpu(done->flags);

	if (len < sizeof(*done) || data > RAD_INLINE_MAX || flags & ~RAD_SYSCALL_DONE_FLAGS ||
	    !rad_wire_check_self(&done->self))
		return false;
	return flags & RAD_SYSCALL_DATA ? carried && !(flags & RAD_SYSCALL_EXECUTE) : !data;
}

/* Where the kernel's own note of the features and the XSAVE header stand in an xstate image. */
enum {
	RAD_XSTATE_FEATURES	= 464,	/* u64: what the kernel enabled (USER_XSTATE_FX_SW_WORDS) */
	RAD_XSTATE_BV		= 512,	/* u64: what is in use */
	RAD_XSTATE_MIN		= 576,	/* bytes of legacy area and header */
};

/**
 * rad_wire_check_regs() - may a register image be loaded here?
 * @image: the image
 * @room: bytes of the message from @image to its end
 * @own_len: bytes of this CPU's xstate image
 * @own_features: that it has
 *
 * Of a CPU with the same features: what one lacks the thread may begin to use on the other,
 * and could not come home.
 *
 * Return: RADIUM_R_NONE, RADIUM_R_PROTOCOL for one that is malformed, or
 * RADIUM_R_XSTATE for one of another CPU.
 */
static inline u32 rad_wire_check_regs(const struct rad_wire_regs *image, size_t room,
				      size_t own_len, u64 own_features)
{
	u64 features, in_use;
	u32 len;

	if (room < sizeof(*image))
		return RADIUM_R_PROTOCOL;
	len = le32_to_cpu(image->xstate_len);
	if (len != room - sizeof(*image) || len < RAD_XSTATE_MIN)
		return RADIUM_R_PROTOCOL;
	memcpy(&features, (const u8 *)(image + 1) + RAD_XSTATE_FEATURES, sizeof(features));
	memcpy(&in_use, (const u8 *)(image + 1) + RAD_XSTATE_BV, sizeof(in_use));
	if (len != own_len || features != own_features || in_use & ~own_features)
		return RADIUM_R_XSTATE;
	return RADIUM_R_NONE;
}

#endif /* _RADIUM_WIRE_CHECK_H */

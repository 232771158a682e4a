// SPDX-License-Identifier: GPL-2.0
/* What a peer says: an honest message passes, and each field that is wrong is refused. */
#include "check.h"

#include <linux/types.h>
#include <asm/byteorder.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "wire_check.h"

enum {
	SESSION = 77,
	POSTED = 1000,
	SELF = 3,
	OWN_LEN = 2440,
	OWN_FEATURES = 0x2e7,
};

static const u64 END = (1ULL << 47) - RAD_WIRE_PAGE;

/* ---- headers ---- */

/* What an honest peer sends of a type, with the shortest body. */
static struct rad_wire_header honest(u32 type)
{
	struct rad_wire_header h = {
		.type = type,
		.class = rad_wire_kind(type)->class,
		.len = cpu_to_le32(rad_wire_kind(type)->least),
		.session = cpu_to_le64(SESSION),
		.seq = cpu_to_le64(rad_wire_is_control(type) ? 0 : 12),
		.call = cpu_to_le64(rad_wire_is_answer(type) ? 5 : 0),
	};

	for (u32 class = 0; class < RAD_CLASS_COUNT; class++) {
		h.ack[class] = cpu_to_le64(POSTED);
		h.credit[class] = cpu_to_le64(POSTED + RAD_WINDOW);
	}
	return h;
}

static u32 length(const struct rad_wire_header *h)
{
	return sizeof(*h) + le32_to_cpu(h->len);
}

static bool says(const struct rad_wire_header *h, u32 len, const char *what)
{
	const char *said = rad_wire_check_header(h, len, SESSION);

	return what ? said && !strcmp(said, what) : !said;
}

/* Applied to each type but AUTH, which is not of a session. */
typedef bool (*test_fn)(u32 type);

static bool each_type(test_fn test)
{
	for (u32 type = 0; type < RAD_MSG_COUNT; type++)
		if (type != RAD_MSG_AUTH && !test(type))
			return false;
	return true;
}

static bool passes(u32 type)
{
	struct rad_wire_header h = honest(type);

	return says(&h, length(&h), NULL);
}

static bool longer_passes(u32 type)
{
	struct rad_wire_header h = honest(type);

	h.len = cpu_to_le32(le32_to_cpu(h.len) + 8);
	return says(&h, length(&h), NULL);
}

static bool wrong_lengths(u32 type)
{
	struct rad_wire_header h = honest(type), lies = h;

	lies.len = cpu_to_le32(0xffffffff);	/* header and body: 63 bytes, modulo 2^32 */
	return says(&h, length(&h) - 1, "wrong length") && says(&h, length(&h) + 1, "wrong length") &&
	       says(&h, 0, "wrong length") && says(&h, sizeof(h) - 1, "wrong length") &&
	       says(&lies, length(&lies), "wrong length") && says(&lies, length(&h), "wrong length");
}

static bool wrong_class(u32 type)
{
	for (u32 class = 0; class < 256; class++) {
		struct rad_wire_header h = honest(type);

		h.class = class;
		if (!says(&h, length(&h), class == rad_wire_kind(type)->class ? NULL : "wrong class"))
			return false;
	}
	return true;
}

static bool short_body(u32 type)
{
	for (u32 len = 0; len < rad_wire_kind(type)->least; len++) {
		struct rad_wire_header h = honest(type);

		h.len = cpu_to_le32(len);
		if (!says(&h, length(&h), "short body"))
			return false;
	}
	return true;
}

static bool wrong_session(u32 type)
{
	struct rad_wire_header old = honest(type), none = old;

	old.session = cpu_to_le64(SESSION - 1);
	none.session = 0;
	return says(&old, length(&old), "wrong session") && says(&none, length(&none), "wrong session");
}

static bool wrong_stream(u32 type)
{
	struct rad_wire_header h = honest(type);

	h.seq = cpu_to_le64(rad_wire_is_control(type) ? 1 : 0);
	return says(&h, length(&h), "wrong sequence number");
}

static bool answers_nothing(u32 type)
{
	struct rad_wire_header h = honest(type);

	h.call = 0;
	return says(&h, length(&h), rad_wire_is_answer(type) ? "answer to nothing" : NULL);
}

static bool unknown_types(void)
{
	for (u32 type = 0; type < 256; type++) {
		struct rad_wire_header h = honest(RAD_MSG_COMMIT);

		h.type = type;
		if ((type == RAD_MSG_AUTH || type >= RAD_MSG_COUNT) &&
		    !says(&h, length(&h), "wrong type"))
			return false;
	}
	return true;
}

/* A call is a request or what goes in its place; its answer is of class ANSWER and no call. */
static bool answers_answer(void)
{
	u32 answers = 0, found = 0;

	for (u32 type = 0; type < RAD_MSG_COUNT; type++) {
		u32 answer = rad_wire_answer_of(type);

		found += rad_wire_is_answer(type);
		if (!answer)
			continue;
		answers++;
		if (!rad_wire_is_answer(answer) || rad_wire_kind(answer)->class != RAD_CLASS_ANSWER ||
		    rad_wire_answer_of(answer))
			return false;
	}
	return answers && answers == found;
}

/* ---- streams ---- */

static bool acks(void)
{
	for (u32 class = 0; class < RAD_CLASS_COUNT; class++) {
		struct rad_wire_header h = honest(RAD_MSG_ACK);

		if (rad_wire_check_ack(&h, class, POSTED) || rad_wire_check_ack(&h, class, POSTED + 1))
			return false;
		if (!rad_wire_check_ack(&h, class, POSTED - 1) || !rad_wire_check_ack(&h, class, 0))
			return false;
		h.ack[!class] = cpu_to_le64(~0ULL);		/* not this one's concern */
		if (rad_wire_check_ack(&h, class, POSTED))
			return false;
		h.ack[class] = cpu_to_le64(~0ULL);
		if (!rad_wire_check_ack(&h, class, POSTED))
			return false;
	}
	return true;
}

static bool credits(void)
{
	for (u32 class = 0; class < RAD_CLASS_COUNT; class++) {
		struct rad_wire_header h = honest(RAD_MSG_ACK);

		h.credit[class] = 0;		/* less than once: that is not taken back */
		if (rad_wire_check_ack(&h, class, POSTED))
			return false;
		h.credit[class] = cpu_to_le64(POSTED + RAD_WINDOW + 1);
		if (!rad_wire_check_ack(&h, class, POSTED))
			return false;
		h.credit[class] = cpu_to_le64(~0ULL);
		if (!rad_wire_check_ack(&h, class, POSTED))
			return false;
	}
	return true;
}

static bool sequence(void)
{
	return !rad_wire_check_seq(1, 0, 0) && !rad_wire_check_seq(101, 100, 100) &&
	       rad_wire_check_seq(102, 100, 100) && rad_wire_check_seq(~0ULL, 100, 100);
}

static bool sends_on_credit(void)
{
	return !rad_wire_check_seq(RAD_WINDOW, RAD_WINDOW - 1, 0) &&
	       rad_wire_check_seq(RAD_WINDOW + 1, RAD_WINDOW, 0) &&
	       !rad_wire_check_seq(RAD_WINDOW + 1, RAD_WINDOW, 1);
}

static bool resumes(void)
{
	return rad_wire_check_received(7, 9) && rad_wire_check_received(9, 9) &&
	       rad_wire_check_received(0, 9) && !rad_wire_check_received(10, 9) &&
	       !rad_wire_check_received(~0ULL, 9);
}

/* ---- messages as immediate data ---- */

struct folded {
	struct rad_wire_header h;
	union {
		struct rad_wire_page_grant grant;
		struct rad_wire_page_back back;
	};
};

/* Folds a message, and unfolds it at a receiver that has had this many. */
static struct folded fold(u32 type, const void *body, u64 seq, u64 received, u32 *len)
{
	struct folded f = { .h = honest(RAD_MSG_PAGE_GRANT) };

	*len = rad_wire_unfold(rad_wire_fold(type, body, 0x123456789abULL, seq), &f.h, received);
	return f;
}

static bool folds_grants(u32 type)
{
	u32 len;

	for (u32 prot = 0; prot <= 7; prot++) {
		struct rad_wire_page_grant grant = {
			.flags = cpu_to_le32(RAD_GRANT_DATA), .prot = cpu_to_le32(prot),
		};
		struct folded f = fold(type, &grant, 12, 11, &len);

		if (!says(&f.h, len, NULL) || f.h.type != type ||
		    le64_to_cpu(f.h.seq) != 12 || memcmp(&f.grant, &grant, sizeof(grant)))
			return false;
	}
	return true;
}

static bool folds_backs(void)
{
	for (u32 also = 0; also <= RAD_BACK_SENT; also += RAD_BACK_SENT) {
		struct rad_wire_page_back back = { .flags = cpu_to_le32(RAD_BACK_DATA | also) };
		u32 len;
		struct folded f = fold(RAD_MSG_PAGE_BACK, &back, 12, 11, &len);

		if (!says(&f.h, len, NULL) || f.h.type != RAD_MSG_PAGE_BACK ||
		    le64_to_cpu(f.h.seq) != 12 || memcmp(&f.back, &back, sizeof(back)))
			return false;
	}
	return true;
}

/* A receiver knows what it has had already, and what it has missed. */
static bool folds_sequence(void)
{
	struct rad_wire_page_back back = { .flags = cpu_to_le32(RAD_BACK_DATA) };
	u32 len;

	for (u64 received = 200; received < 600; received++)
		for (u64 seq = received - RAD_WINDOW; seq < received + RAD_WINDOW; seq++) {
			struct folded f = fold(RAD_MSG_PAGE_BACK, &back, seq, received, &len);

			if (le64_to_cpu(f.h.seq) != seq)
				return false;
		}
	return true;
}

/*
 * Whatever a peer sends as immediate data is some honest message, to a call perhaps of
 * nobody; or none.
 */
static bool folds_anything(void)
{
	const struct rad_wire_page_back back = { .flags = cpu_to_le32(RAD_BACK_DATA) };

	for (u64 any = 0; any < 1ULL << 32; any += 65521) {
		struct folded f = { .h = honest(RAD_MSG_PAGE_GRANT) };
		u32 len = rad_wire_unfold(any, &f.h, 1000);

		if (!len != (rad_wire_fold_type(any) == RAD_FOLD_TYPES))
			return false;
		if (len && f.h.seq && !says(&f.h, len, NULL))
			return false;
		if (rad_wire_fold_call(any) >> RAD_FOLD_CALL_BITS)
			return false;
	}
	return rad_wire_fold_call(rad_wire_fold(RAD_MSG_PAGE_BACK, &back, 0x123456789abULL, 1)) ==
	       (0x123456789abULL & ((1u << RAD_FOLD_CALL_BITS) - 1));
}

/* ---- connecting ---- */

static struct rad_wire_hello hello(u32 id)
{
	return (struct rad_wire_hello){
		.magic = cpu_to_le32(RAD_WIRE_MAGIC),
		.version = cpu_to_le16(RAD_WIRE_VERSION),
		.node = cpu_to_le16(id),
	};
}

static bool hellos(void)
{
	struct rad_wire_hello h = hello(1);

	if (rad_wire_check_hello(&h, sizeof(h), SELF) != RADIUM_R_NONE)
		return false;
	/* rdma_cm pads. */
	if (rad_wire_check_hello(&h, sizeof(h) + 12, SELF) != RADIUM_R_NONE)
		return false;
	for (size_t len = 0; len < sizeof(h); len++)
		if (rad_wire_check_hello(&h, len, SELF) != RADIUM_R_PROTOCOL)
			return false;
	h.magic = 0;
	return rad_wire_check_hello(&h, sizeof(h), SELF) == RADIUM_R_PROTOCOL &&
	       rad_wire_check_hello(NULL, 0, SELF) == RADIUM_R_PROTOCOL;
}

static bool hello_ids(void)
{
	for (u32 id = 0; id <= 0xffff; id++) {
		struct rad_wire_hello h = hello(id);
		u32 said = rad_wire_check_hello(&h, sizeof(h), SELF);

		if (said != (id == SELF ? RADIUM_R_SAME_ID :
			     id < 1 || id > RADIUM_NODE_MAX ? RADIUM_R_PROTOCOL : RADIUM_R_NONE))
			return false;
	}
	return true;
}

/* Another version is told so, even if its hello is shorter. */
static bool hello_version(void)
{
	struct rad_wire_hello h = hello(1);

	h.version = cpu_to_le16(RAD_WIRE_VERSION + 1);
	return rad_wire_check_hello(&h, sizeof(h), SELF) == RADIUM_R_WIRE_VERSION &&
	       rad_wire_check_hello(&h, offsetof(struct rad_wire_hello, nonce), SELF) ==
	       RADIUM_R_WIRE_VERSION;
}

static bool auths(void)
{
	const struct rad_wire_header good = honest(RAD_MSG_AUTH);
	struct rad_wire_header h = good;
	bool right = rad_wire_check_auth(&h, length(&h));

	right &= !rad_wire_check_auth(&h, length(&h) - 1) && !rad_wire_check_auth(&h, length(&h) + 1);
	right &= !rad_wire_check_auth(&h, 0);
	h.type = RAD_MSG_ACK;
	right &= !rad_wire_check_auth(&h, length(&good));
	h = good;
	h.class = RAD_CLASS_REQUEST;
	right &= !rad_wire_check_auth(&h, length(&good));
	h = good;
	h.len = 0;
	right &= !rad_wire_check_auth(&h, length(&good));
	h = good;
	h.seq = cpu_to_le64(1);
	return right && !rad_wire_check_auth(&h, length(&good));
}

/* ---- bodies ---- */

static bool reasons(void)
{
	for (u32 reason = 0; reason < RADIUM_R_COUNT; reason++)
		if (rad_wire_reason(cpu_to_le32(reason)) != reason)
			return false;
	return rad_wire_reason(cpu_to_le32(RADIUM_R_COUNT)) == RADIUM_R_PROTOCOL &&
	       rad_wire_reason(cpu_to_le32(0x80000000)) == RADIUM_R_PROTOCOL &&
	       rad_wire_reason(cpu_to_le32(0xffffffff)) == RADIUM_R_PROTOCOL;
}

static bool gets(u64 address, u32 access)
{
	const struct rad_wire_page_get get = {
		.address = cpu_to_le64(address), .access = cpu_to_le32(access),
	};

	return rad_wire_check_page_get(&get, END);
}

static bool gets_held(u32 access, u32 flags)
{
	const struct rad_wire_page_get get = {
		.address = cpu_to_le64(0x1000), .access = cpu_to_le32(access),
		.flags = cpu_to_le32(flags),
	};

	return rad_wire_check_page_get(&get, END);
}

static bool revokes(u64 address, u32 flags)
{
	const struct rad_wire_page_revoke revoke = {
		.address = cpu_to_le64(address), .flags = cpu_to_le32(flags),
	};

	return rad_wire_check_page_revoke(&revoke, END);
}

static bool page_gets(void)
{
	for (u32 access = 0; access < 8; access++)
		if (gets(0x1000, access) != !!access)
			return false;
	return gets(END - RAD_WIRE_PAGE, 1) && !gets(END, 1) && !gets(~0xfffULL, 1) &&
	       !gets(0x1001, 1) && !gets(0x1800, 1) && !gets(0x1000, 8) && !gets(0x1000, 1u << 31) &&
	       gets_held(RAD_ACCESS_WRITE, RAD_GET_HELD) && !gets_held(RAD_ACCESS_READ, RAD_GET_HELD) &&
	       !gets_held(RAD_ACCESS_WRITE, 2) && !gets_held(RAD_ACCESS_WRITE, ~0u);
}

static bool page_revokes(void)
{
	return revokes(0x1000, 1) && revokes(END - RAD_WIRE_PAGE, 1) && !revokes(END, 1) &&
	       !revokes(~0xfffULL, 1) && !revokes(0x1008, 1) && revokes(0x1000, 0) &&
	       !revokes(0x1000, RAD_REVOKE_FLAGS + 1) && !revokes(0x1000, ~0u) &&
	       revokes(0x1000, RAD_REVOKE_DATA | RAD_REVOKE_KEEP) && !revokes(0x1000, RAD_REVOKE_KEEP) &&
	       revokes(0x1000, RAD_REVOKE_DATA | RAD_REVOKE_SENT) && !revokes(0x1000, RAD_REVOKE_SENT) &&
	       revokes(0x1000, RAD_REVOKE_CANCEL | RAD_REVOKE_UNSENT) &&
	       !revokes(0x1000, RAD_REVOKE_UNSENT);
}

static bool forwards(u32 flags, u32 next, u32 prot, u32 token)
{
	const struct rad_wire_page_revoke revoke = {
		.address = cpu_to_le64(0x1000), .flags = cpu_to_le32(flags),
		.next = cpu_to_le32(next), .prot = cpu_to_le32(prot),
		.forward.token = cpu_to_le32(token),
	};

	return rad_wire_check_page_revoke(&revoke, END);
}

static bool page_forwards(void)
{
	const u32 on = RAD_REVOKE_DATA | RAD_REVOKE_FORWARD;

	return forwards(on, 1, 7, 0) && forwards(on, RADIUM_NODE_MAX, 0, RAD_TOKENS - 1) &&
	       !forwards(RAD_REVOKE_FORWARD, 1, 7, 0) && !forwards(on, 0, 7, 0) &&
	       !forwards(on, RADIUM_NODE_MAX + 1, 7, 0) && !forwards(on, 1, 8, 0) &&
	       !forwards(on, 1, 7, RAD_TOKENS) && !forwards(on, 1, 7, ~0u);
}

static bool asks(u32 data, u32 carried, u32 flags)
{
	const struct rad_wire_syscall call = {
		.carried = cpu_to_le32(carried), .flags = cpu_to_le32(flags),
	};

	return rad_wire_check_syscall(&call, sizeof(call) + data);
}

static bool syscalls(void)
{
	const u32 all = (1u << RAD_INLINE_PIECES) - 1;

	return asks(0, 0, 0) && asks(0, 1, 0) && asks(1, all, 0) && asks(RAD_INLINE_MAX, 1, 0) &&
	       !asks(RAD_INLINE_MAX + 1, 1, 0) && !asks(1, 0, 0) && !asks(1, all + 1, 0) &&
	       !asks(1, 1u << 31, 0) && asks(1, 0, RAD_SYSCALL_STORE) &&
	       !asks(0, 0, RAD_SYSCALL_STORE) && !asks(1, 1, RAD_SYSCALL_STORE) &&
	       !asks(0, 0, RAD_SYSCALL_FLAGS + 1) && !asks(0, 0, 1u << 31) && !asks(-1, 1, 0);
}

static const struct rad_wire_self somebody = { .pid = cpu_to_le32(7), .tid = cpu_to_le32(8) };

static bool answers(u32 data, u32 flags)
{
	const struct rad_wire_syscall_done done = { .flags = cpu_to_le32(flags), .self = somebody };

	return rad_wire_check_syscall_done(&done, sizeof(done) + data, true);
}

/* What a call has not lent does not come back; a STORE lends nothing either. */
static bool results_of_nothing(void)
{
	struct rad_wire_syscall_done done = { .flags = 0, .self = somebody };

	if (!rad_wire_check_syscall_done(&done, sizeof(done), false))
		return false;
	done.flags = cpu_to_le32(RAD_SYSCALL_DATA);
	return !rad_wire_check_syscall_done(&done, sizeof(done), false) &&
	       !rad_wire_check_syscall_done(&done, sizeof(done) + 8, false);
}

/* Its user and group ids may be any, also unknown. */
static bool selves(void)
{
	struct rad_wire_syscall_done done = { .self = somebody };
	struct rad_wire_self self = somebody;

	self.flags = cpu_to_le32(RAD_SELF_WATCHED);
	self.uid = self.egid = cpu_to_le32(RAD_ID_UNKNOWN);
	if (!rad_wire_check_self(&somebody) || !rad_wire_check_self(&self))
		return false;
	self.flags = cpu_to_le32(RAD_SELF_FLAGS + 1);
	if (rad_wire_check_self(&self))
		return false;
	self = somebody;
	self.pid = 0;
	if (rad_wire_check_self(&self))
		return false;
	self = somebody;
	self.tid = cpu_to_le32(-1);
	done.self = self;
	return !rad_wire_check_self(&self) &&
	       !rad_wire_check_syscall_done(&done, sizeof(done), false);
}

static bool tells(u64 utime, u64 stime, u64 runtime, u64 ticks, u64 most)
{
	const struct rad_wire_cputime cputime = {
		.utime = cpu_to_le64(utime), .stime = cpu_to_le64(stime),
		.runtime = cpu_to_le64(runtime),
	};

	return rad_wire_check_cputime(&cputime, ticks, most);
}

/* Also where sums are less than what they are of. */
static bool times(void)
{
	return tells(0, 0, 0, 0, 0) && tells(4, 6, 9, 10, 9) && !tells(4, 7, 9, 10, 9) &&
	       !tells(11, 0, 9, 10, 9) && !tells(0, 11, 9, 10, 9) && !tells(4, 6, 10, 10, 9) &&
	       !tells(1ULL << 63, 1ULL << 63, 1ULL << 62, 10, 9) && !tells(-1, 1, 0, 10, 9) &&
	       !tells(5, -5, 0, 10, 9) && !tells(0, 0, -1, 10, 9);
}

static bool results(void)
{
	return answers(0, 0) && answers(0, RAD_SYSCALL_COME_HOME) && answers(0, RAD_SYSCALL_EXECUTE) &&
	       answers(0, RAD_SYSCALL_DATA) && answers(RAD_INLINE_MAX, RAD_SYSCALL_DATA) &&
	       answers(8, RAD_SYSCALL_DATA | RAD_SYSCALL_COME_HOME) && !answers(8, 0) &&
	       !answers(8, RAD_SYSCALL_COME_HOME) && !answers(RAD_INLINE_MAX + 1, RAD_SYSCALL_DATA) &&
	       !answers(8, RAD_SYSCALL_DATA | RAD_SYSCALL_EXECUTE) &&
	       !answers(0, RAD_SYSCALL_DONE_FLAGS + 1) && !answers(-1, RAD_SYSCALL_DATA);
}

/* ---- registers ---- */

/* An image in a buffer of its own size, so that a look beyond its end is seen. */
static u32 check_image_of(u64 features, size_t room, u32 xstate_len, u64 in_use)
{
	struct rad_wire_regs *image = calloc(1, room ?: 1);
	u32 said;

	if (room >= sizeof(*image))
		image->xstate_len = cpu_to_le32(xstate_len);
	if (room >= sizeof(*image) + RAD_XSTATE_FEATURES + sizeof(features))
		memcpy((u8 *)(image + 1) + RAD_XSTATE_FEATURES, &features, sizeof(features));
	if (room >= sizeof(*image) + RAD_XSTATE_BV + sizeof(in_use))
		memcpy((u8 *)(image + 1) + RAD_XSTATE_BV, &in_use, sizeof(in_use));
	said = rad_wire_check_regs(image, room, OWN_LEN, OWN_FEATURES);
	free(image);
	return said;
}

static u32 check_image(size_t room, u32 xstate_len, u64 in_use)
{
	return check_image_of(OWN_FEATURES, room, xstate_len, in_use);
}

static u32 check_xstate(u32 len, u64 in_use)
{
	return check_image(sizeof(struct rad_wire_regs) + len, len, in_use);
}

static bool register_lengths(void)
{
	const size_t room = sizeof(struct rad_wire_regs) + OWN_LEN;

	for (size_t r = 0; r < sizeof(struct rad_wire_regs) + RAD_XSTATE_MIN; r++)
		if (check_image(r, OWN_LEN, 0) != RADIUM_R_PROTOCOL ||
		    check_image(r, r - sizeof(struct rad_wire_regs), 0) != RADIUM_R_PROTOCOL)
			return false;
	return check_image(room, OWN_LEN, 0) == RADIUM_R_NONE &&
	       check_image(room, OWN_LEN - 8, 0) == RADIUM_R_PROTOCOL &&
	       check_image(room, OWN_LEN + 8, 0) == RADIUM_R_PROTOCOL &&
	       check_image(room, 0xffffffff, 0) == RADIUM_R_PROTOCOL &&
	       check_image(room - 1, OWN_LEN, 0) == RADIUM_R_PROTOCOL;
}

/* A whole image of another CPU is not a breach of the protocol. */
static bool register_sizes(void)
{
	return check_xstate(RAD_XSTATE_MIN, 0) == RADIUM_R_XSTATE &&
	       check_xstate(OWN_LEN + 64, 0) == RADIUM_R_XSTATE &&
	       check_xstate(RAD_XSTATE_MAX, 0) == RADIUM_R_XSTATE;
}

static bool register_features(void)
{
	for (u32 bit = 0; bit < 64; bit++)
		if (check_xstate(OWN_LEN, 1ULL << bit) !=
		    ((u64)OWN_FEATURES >> bit & 1 ? RADIUM_R_NONE : RADIUM_R_XSTATE))
			return false;
	/* What is not in use yet may be before the thread comes back. */
	for (u32 bit = 0; bit < 64; bit++)
		if (check_image_of((u64)OWN_FEATURES ^ 1ULL << bit,
				   sizeof(struct rad_wire_regs) + OWN_LEN, OWN_LEN, 0) !=
		    RADIUM_R_XSTATE)
			return false;
	return check_xstate(OWN_LEN, OWN_FEATURES) == RADIUM_R_NONE &&
	       check_xstate(OWN_LEN, ~0ULL) == RADIUM_R_XSTATE;
}

int main(void)
{
	TEST("header: what an honest peer sends passes", each_type(passes));
	TEST("header: a body may be longer than the least", each_type(longer_passes));
	TEST("header: a wrong length is refused", each_type(wrong_lengths));
	TEST("header: a class that is not the type's is refused", each_type(wrong_class));
	TEST("header: a body that is too short is refused", each_type(short_body));
	TEST("header: another session's message is refused", each_type(wrong_session));
	TEST("header: a message in the wrong stream is refused", each_type(wrong_stream));
	TEST("header: an answer to no call is refused", each_type(answers_nothing));
	TEST("header: a type that is not of a session is refused", unknown_types());
	TEST("calls: each has an answer of class ANSWER, and each answer a call", answers_answer());
	TEST("streams: what was not sent cannot be acknowledged", acks());
	TEST("streams: credit beyond the window is refused", credits());
	TEST("streams: a gap is refused", sequence());
	TEST("streams: a message without credit is refused", sends_on_credit());
	TEST("streams: resuming elsewhere than between acknowledged and sent is refused", resumes());
	TEST("immediate data: a grant arrives as it was", folds_grants(RAD_MSG_PAGE_GRANT));
	TEST("immediate data: a page from its owner arrives as it was",
	     folds_grants(RAD_MSG_PAGE_FORWARD));
	TEST("immediate data: a page comes back as it was", folds_backs());
	TEST("immediate data: the sequence number is known within a window", folds_sequence());
	TEST("immediate data: any of it is a message, and no more", folds_anything());
	TEST("hello: wrong magic or length is refused", hellos());
	TEST("hello: wrong ids are refused", hello_ids());
	TEST("hello: another version is told apart", hello_version());
	TEST("auth: anything else as the first message is refused", auths());
	TEST("bodies: a reason is never an index beyond the table", reasons());
	TEST("bodies: a page that cannot be is not given", page_gets());
	TEST("bodies: a page that cannot be is not asked back", page_revokes());
	TEST("bodies: a page is sent on to a node that can be, where it can land",
	     page_forwards());
	TEST("bodies: a system call has data that can be its own", syscalls());
	TEST("bodies: its result, too", results());
	TEST("bodies: and none of data that did not go with it", results_of_nothing());
	TEST("bodies: a thread has used as much processor time as it can have", times());
	TEST("bodies: a thread has numbers that it can have", selves());
	TEST("registers: wrong lengths are refused, without a look beyond the end", register_lengths());
	TEST("registers: another CPU's size is refused for that reason", register_sizes());
	TEST("registers: features that this CPU lacks are refused", register_features());
	return test_end();
}

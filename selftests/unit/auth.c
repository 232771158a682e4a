// SPDX-License-Identifier: GPL-2.0
/* The proof of the cluster key: what it covers, and that nothing else passes for one. */
#include "check.h"

#include <linux/types.h>
#include <asm/byteorder.h>
#include <stddef.h>
#include <string.h>
#include "../../kmod/auth.c"

enum { MOST_CALLS = 100 };

static u8 key[RADIUM_KEY_SIZE] = { 1, 2, 3 };
static struct rad_wire_hello connecting = { .node = 1, .nonce = { 4, 5, 6 } };
static struct rad_wire_hello accepting = { .node = 2, .nonce = { 7, 8, 9 } };
static struct rad_auth_ends ends = { { 10, 1 }, { 10, 2 } };

/* What one side sends. */
static struct rad_wire_auth honest(enum rad_auth_role role)
{
	struct rad_wire_auth auth = {
		.incarnation = cpu_to_le64(77),
		.session = cpu_to_le64(5),
		.received = { cpu_to_le64(11), cpu_to_le64(12) },
	};

	rad_auth_build(auth.build);
	rad_auth_mac(auth.mac, role, &connecting, &accepting, &ends, &auth);
	return auth;
}

/* What the other side finds. */
static u32 found(enum rad_auth_role role, const struct rad_wire_auth *auth)
{
	return rad_auth_check(role, &connecting, &accepting, &ends, auth);
}

static bool take_key(void)
{
	rad_auth_uninit();
	return !rad_auth_init(key);
}

static bool both_pass(void)
{
	struct rad_wire_auth one = honest(RAD_AUTH_CONNECTING), other = honest(RAD_AUTH_ACCEPTING);

	return found(RAD_AUTH_CONNECTING, &one) == RADIUM_R_NONE &&
	       found(RAD_AUTH_ACCEPTING, &other) == RADIUM_R_NONE;
}

static bool reflected_is_refused(void)
{
	struct rad_wire_auth one = honest(RAD_AUTH_CONNECTING), other = honest(RAD_AUTH_ACCEPTING);

	return found(RAD_AUTH_ACCEPTING, &one) == RADIUM_R_WRONG_KEY &&
	       found(RAD_AUTH_CONNECTING, &other) == RADIUM_R_WRONG_KEY;
}

/* Also of who has said our own hello. */
static bool reflected_is_refused_with_its_hello(void)
{
	struct rad_wire_hello kept = accepting;
	bool good;

	accepting = connecting;
	good = both_pass() && reflected_is_refused();
	accepting = kept;
	return good;
}

/* What is for the other side alone, as who listens sees it. */
static struct rad_wire_auth hidden(enum rad_auth_role role)
{
	struct rad_wire_auth auth = honest(role);

	rad_auth_hide(role, &connecting, &accepting, &ends, &auth);
	return auth;
}

static bool is_hidden_alike(const struct rad_wire_auth *one, const struct rad_wire_auth *other)
{
	return one->incarnation == other->incarnation || one->session == other->session ||
	       one->received[0] == other->received[0] || one->received[1] == other->received[1];
}

/* Not one part of it is seen, and twice is never. */
static bool is_for_the_other_side_alone(void)
{
	struct rad_wire_auth plain = honest(RAD_AUTH_CONNECTING);
	struct rad_wire_auth one = hidden(RAD_AUTH_CONNECTING), other = one;

	return !is_hidden_alike(&plain, &one) &&
	       !rad_auth_hide(RAD_AUTH_CONNECTING, &connecting, &accepting, &ends, &other) &&
	       !memcmp(&plain, &other, sizeof(plain));
}

/* Who has seen one of two with the same key stream would have both. */
static bool is_hidden_anew(void)
{
	struct rad_wire_auth one = hidden(RAD_AUTH_CONNECTING);
	struct rad_wire_auth other = hidden(RAD_AUTH_ACCEPTING);
	bool good = !is_hidden_alike(&one, &other);

	accepting.nonce[0] ^= 1;
	other = hidden(RAD_AUTH_CONNECTING);
	accepting.nonce[0] ^= 1;
	good &= !is_hidden_alike(&one, &other);
	connecting.nonce[0] ^= 1;
	other = hidden(RAD_AUTH_CONNECTING);
	connecting.nonce[0] ^= 1;
	return good && !is_hidden_alike(&one, &other);
}

/* Is each bit of a part of it all covered? */
static bool is_covered(void *part, size_t len, const struct rad_wire_auth *auth)
{
	u8 *bytes = part;

	for (size_t i = 0; i < 8 * len; i++) {
		u32 reason;

		bytes[i / 8] ^= 1 << i % 8;
		reason = found(RAD_AUTH_CONNECTING, auth);
		bytes[i / 8] ^= 1 << i % 8;
		if (reason != RADIUM_R_WRONG_KEY)
			return false;
	}
	return found(RAD_AUTH_CONNECTING, auth) == RADIUM_R_NONE;
}

static bool message_is_covered(void)
{
	struct rad_wire_auth auth = honest(RAD_AUTH_CONNECTING);

	return is_covered(&auth, sizeof(auth), &auth);
}

static bool hellos_are_covered(void)
{
	struct rad_wire_auth auth = honest(RAD_AUTH_CONNECTING);

	return is_covered(&connecting, sizeof(connecting), &auth) &&
	       is_covered(&accepting, sizeof(accepting), &auth);
}

/* Else who is nobody passes on what two nodes say, and is each of them for the other. */
static bool addresses_are_covered(void)
{
	struct rad_wire_auth auth = honest(RAD_AUTH_CONNECTING);

	return is_covered(&ends, sizeof(ends), &auth);
}

static bool each_bit_of_the_key_counts(void)
{
	struct rad_wire_auth auth = honest(RAD_AUTH_CONNECTING);
	bool good = true;

	for (size_t i = 0; good && i < 8 * sizeof(key); i++) {
		key[i / 8] ^= 1 << i % 8;
		good = take_key() && found(RAD_AUTH_CONNECTING, &auth) == RADIUM_R_WRONG_KEY;
		key[i / 8] ^= 1 << i % 8;
	}
	return take_key() && good && found(RAD_AUTH_CONNECTING, &auth) == RADIUM_R_NONE;
}

/* Only of who has the key: it says something about the other side's kernel. */
static bool other_build_is_told(void)
{
	struct rad_wire_auth auth = honest(RAD_AUTH_CONNECTING);

	auth.build[0] ^= 1;
	return !rad_auth_mac(auth.mac, RAD_AUTH_CONNECTING, &connecting, &accepting, &ends, &auth) &&
	       found(RAD_AUTH_CONNECTING, &auth) == RADIUM_R_KERNEL_BUILD;
}

/* Does a change of this text make another build? */
static bool makes_another_build(char *text)
{
	u8 before[RAD_WIRE_BUILD], after[RAD_WIRE_BUILD];
	bool other;

	rad_auth_build(before);
	text[0] ^= 1;
	other = take_key();
	rad_auth_build(after);
	text[0] ^= 1;
	other = take_key() && other && memcmp(before, after, sizeof(before));
	rad_auth_build(after);
	return other && !memcmp(before, after, sizeof(before));
}

static bool session_is_of_both_hellos(void)
{
	u64 id = rad_auth_session(&connecting, &accepting), others[2];

	accepting.nonce[0] ^= 1;
	others[0] = rad_auth_session(&connecting, &accepting);
	accepting.nonce[0] ^= 1;
	connecting.nonce[0] ^= 1;
	others[1] = rad_auth_session(&connecting, &accepting);
	connecting.nonce[0] ^= 1;
	return id && id != others[0] && id != others[1] &&
	       id == rad_auth_session(&connecting, &accepting);
}

/* ---- the crypto layer fails, at each of its calls in turn ---- */

/* How many calls have to succeed until this does; each time before it does not. */
static int calls_of(bool (*succeeds)(void))
{
	int calls = 0;
	bool good;

	do {
		hash_calls = calls;
		good = succeeds();
		hash_calls = -1;
	} while (!good && ++calls < MOST_CALLS);
	return calls;
}

static struct rad_wire_auth right;

static bool is_right(void)
{
	return found(RAD_AUTH_CONNECTING, &right) == RADIUM_R_NONE;
}

static bool has_session(void)
{
	return rad_auth_session(&connecting, &accepting);
}

static bool is_hidden(void)
{
	struct rad_wire_auth auth = right;

	return !rad_auth_hide(RAD_AUTH_CONNECTING, &connecting, &accepting, &ends, &auth) &&
	       !is_hidden_alike(&right, &auth);
}

static bool takes_no_key_in_part(void)
{
	int calls = calls_of(take_key);

	return calls > 1 && calls < MOST_CALLS && both_pass();
}

static bool checks_nothing_in_part(void)
{
	int calls;

	right = honest(RAD_AUTH_CONNECTING);
	calls = calls_of(is_right);
	return calls > 1 && calls < MOST_CALLS && calls_of(has_session) == calls &&
	       calls_of(is_hidden) == calls;
}

int main(void)
{
	TEST("a key is taken", take_key());
	TEST("both sides pass", both_pass());
	TEST("a message sent back is refused", reflected_is_refused());
	TEST("a message sent back is refused with its hello", reflected_is_refused_with_its_hello());
	TEST("sessions are for the other side alone", is_for_the_other_side_alone());
	TEST("sessions are hidden anew each time", is_hidden_anew());
	TEST("each bit of the message is covered", message_is_covered());
	TEST("each bit of both hellos is covered", hellos_are_covered());
	TEST("each bit of both addresses is covered", addresses_are_covered());
	TEST("each bit of the key counts", each_bit_of_the_key_counts());
	TEST("another kernel build is told", other_build_is_told());
	TEST("release and version make the build", makes_another_build(init_utsname()->release) &&
	     makes_another_build(init_utsname()->version));
	TEST("a session is named by both hellos", session_is_of_both_hellos());
	TEST("without the crypto layer no key is taken", takes_no_key_in_part());
	TEST("without the crypto layer nobody is right", checks_nothing_in_part());
	rad_auth_uninit();
	return test_end();
}

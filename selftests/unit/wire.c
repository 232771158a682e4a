// SPDX-License-Identifier: GPL-2.0
/* What two nodes have to agree on, as numbers: layout of kmod/wire.h. */
#include "check.h"

#include <linux/types.h>
#include <stddef.h>
#include <string.h>
#include "wire.h"

enum {
	/* What rdma_cm leaves of a connection request's private data (IPv6 too). */
	CM_PRIVATE_DATA	= 56,
	USER_REGS	= 27 * 8,
};

static const struct {
	const char *name;
	unsigned int class, context;
	size_t len;
} messages[] = {
#define ROW(name, class, context, len) \
	{ #name, RAD_CLASS_##class, RAD_CONTEXT_##context, len },
	RAD_MESSAGES(ROW)
#undef ROW
};

static bool names_differ(void)
{
	for (size_t i = 0; i < RAD_MSG_COUNT; i++)
		for (size_t j = 0; j < i; j++)
			if (!strcmp(messages[i].name, messages[j].name))
				return false;
	return true;
}

static bool bodies_fit(void)
{
	for (size_t i = 0; i < RAD_MSG_COUNT; i++)
		if (!messages[i].len || sizeof(struct rad_wire_header) + messages[i].len > RAD_MESSAGE_MAX)
			return false;
	return true;
}

/* 64-bit words of a body are aligned in a message, for those who read it in place. */
static bool bodies_are_words(void)
{
	for (size_t i = 0; i < RAD_MSG_COUNT; i++)
		if (messages[i].len % 8)
			return false;
	return sizeof(struct rad_wire_header) % 8 == 0;
}

/* What may wait must not be where the answers flow. */
static bool workers_are_requests(void)
{
	for (size_t i = 0; i < RAD_MSG_COUNT; i++)
		if (messages[i].context == RAD_CONTEXT_WORKER && messages[i].class != RAD_CLASS_REQUEST)
			return false;
	return true;
}

int main(void)
{
	TEST("message types fit their byte", RAD_MSG_COUNT <= 256);
	TEST("names differ", names_differ());
	TEST("bodies fit into the largest message", bodies_fit());
	TEST("bodies and the header are whole words", bodies_are_words());
	TEST("only requests are handled by workers", workers_are_requests());
	TEST("the greeting fits into the connection request", sizeof(struct rad_wire_hello) <= CM_PRIVATE_DATA);
	TEST("magic and version lead the greeting", offsetof(struct rad_wire_hello, magic) == 0 &&
	     offsetof(struct rad_wire_hello, version) == 4);
	TEST("general registers are those of user_regs_struct", RAD_GREGS * 8 == USER_REGS &&
	     offsetof(struct rad_wire_regs, xstate_len) == USER_REGS);
	TEST("the largest xstate fits behind the largest register message",
	     sizeof(struct rad_wire_header) + sizeof(struct rad_wire_prepare) + RAD_XSTATE_MAX <=
	     RAD_MESSAGE_MAX);
	TEST("type and class lead the header", offsetof(struct rad_wire_header, type) == 0 &&
	     offsetof(struct rad_wire_header, class) == 1);
	return test_end();
}

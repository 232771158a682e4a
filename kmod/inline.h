/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: the data of a system call that travels with it.
 *
 * Both ends walk through the pointers of a call in the same order, which follows from
 * its number, its arguments and the data itself. Each is a piece: the visitor says of
 * each whether its bytes travel (carried) or the deputy uses it where it points to. Nothing else
 * about sizes and places is said, so nothing else has to be believed.
 *
 * Pure functions: they also run in user space (selftests/unit/inline.c).
 */
#ifndef _RADIUM_INLINE_H
#define _RADIUM_INLINE_H

#include <linux/types.h>
#include "wire.h"

enum {
	RAD_INLINE_ROOM		= 32768,	/* bytes of scratch memory for one call */
	RAD_INLINE_STRING_MAX	= 4096,		/* PATH_MAX */
	RAD_INLINE_ADDRESS_MAX	= 128,		/* of a socket: struct sockaddr_storage */
	RAD_FLAG_TRUNC		= 0x20,		/* MSG_TRUNC */
	RAD_FLAG_ZEROCOPY	= 0x4000000,	/* MSG_ZEROCOPY */
	/* Levels and options of sockets whose header is not for the kernel and programs alike. */
	RAD_LEVEL_IP		= 0,
	RAD_LEVEL_TCP		= 6,
	RAD_LEVEL_UDP		= 17,
	RAD_LEVEL_IPV6		= 41,
	RAD_LEVEL_NETLINK	= 270,
	RAD_OPTION_MSFILTER	= 41,		/* IP_MSFILTER */
	RAD_OPTION_GROUP_MSFILTER = 48,		/* MCAST_MSFILTER */
};

/* struct iovec, struct user_msghdr and struct mmsghdr, as offsets. */
enum {
	RAD_IOV_BASE = 0, RAD_IOV_LEN = 8, RAD_IOV_SIZE = 16,
	RAD_MSGHDR_NAME = 0, RAD_MSGHDR_NAMELEN = 8, RAD_MSGHDR_IOV = 16, RAD_MSGHDR_IOVLEN = 24,
	RAD_MSGHDR_CONTROL = 32, RAD_MSGHDR_CONTROLLEN = 40, RAD_MSGHDR_SIZE = 56,
	RAD_MMSGHDR_SIZE = 64,
	RAD_TEXT_HEAD = 8,	/* of struct msgbuf */
};

/* Bits: the call reads, or writes. */
enum rad_inline_dir {
	RAD_INLINE_IN		= 1,
	RAD_INLINE_OUT		= 2,
	RAD_INLINE_INOUT	= 3,
	RAD_INLINE_OUT_IF_0	= 4 | RAD_INLINE_OUT,
	RAD_INLINE_OUT_AX	= 8 | RAD_INLINE_OUT,
	RAD_INLINE_OUT_TEXT	= 16 | RAD_INLINE_OUT,
};

/**
 * struct rad_piece - memory that a call uses
 * @user: its address in the program
 * @before: OUT_AX: bytes of the result that belong to pieces before it
 * @len: bytes
 * @pos: where its bytes are in the data of the call, if it is read
 * @at: where it is in the scratch memory
 * @parent: piece that holds the pointer to it, -1: it is an argument
 * @field: where the pointer is: offset in @parent, or number of the argument
 * @dir: enum rad_inline_dir
 * @unit: OUT_AX: bytes that one of the result stands for
 * @string: it ends with its first zero
 * @carried: its bytes travel
 */
struct rad_piece {
	u64 user;
	u64 before;
	u32 len;
	u32 pos;
	u32 at;
	s8 parent;
	u8 dir;
	u8 unit;
	bool string;
	bool carried;
	u16 field;
};

/**
 * struct rad_inline - a call and its pieces
 * @nr: the call
 * @args: see @nr
 * @data: bytes of what is read, one carried piece after the other
 * @piece: all, in order
 * @count: see @piece
 * @carried: bit i: piece i is carried
 * @in: bytes of @data in use
 * @out: bytes that may be written
 * @room: bytes of scratch memory in use
 * @overlaps: what does not travel is written to where what does is written to, see rad_inline_overlaps()
 */
struct rad_inline {
	u32 nr;
	u64 args[6];
	u8 *data;
	struct rad_piece piece[RAD_INLINE_PIECES];
	u32 count;
	bool overlaps;
	u32 carried;
	u32 in;
	u32 out;
	u32 room;
};

/*
 * Is this piece to be carried? Its bytes, if it is read, have to be at
 * call->data + piece->pos by then, where @room bytes are left. Of a string it says the length.
 */
typedef bool (*rad_inline_fn)(struct rad_inline *call, struct rad_piece *piece, u32 room,
			      void *context);

bool rad_inline_is_known(u32 nr, const u64 args[6]);
bool rad_inline_is_to_file(u32 nr);
void rad_inline_walk(struct rad_inline *call, u32 nr, const u64 args[6], u8 *data,
		     rad_inline_fn fn, void *context);
bool rad_inline_overlaps(const struct rad_inline *call);
bool rad_inline_take(struct rad_inline *call, u32 nr, const u64 args[6], u8 *data, u32 len,
		     u32 carried);
u32 rad_inline_result(const struct rad_piece *piece, u64 ax);
u32 rad_inline_results(const struct rad_inline *call, u64 ax);

#endif /* _RADIUM_INLINE_H */

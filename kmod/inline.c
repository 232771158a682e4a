// SPDX-License-Identifier: GPL-2.0
#include <linux/nospec.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/byteorder.h>
#include <asm/unistd.h>
#include "inline.h"
#include "inline_table.h"

enum size {
	SIZE_FIXED, SIZE_LONG, SIZE_INT, SIZE_BITS, SIZE_TEXT, SIZE_STRING, SIZE_AT,
	SIZE_VECTOR, SIZE_PAIR, SIZE_MESSAGE, SIZE_MESSAGES,
};

struct ptr {
	u8 arg;
	u8 dir;		/* 0: there is none */
	u8 size;
	u8 unit;
	u16 n;
};

struct row {
	struct ptr ptr[5];
};

static const struct row rows[] = {
#define PTR(arg, dir, size, n, unit) { arg, RAD_INLINE_##dir, SIZE_##size, unit, n }
#define ROW(call, ...) [__NR_##call] = { { __VA_ARGS__ } },
	RAD_INLINE_CALLS(ROW)
#undef ROW
};

static const struct {
	u16 nr;
	u8 arg;
	u32 command;
	struct row row;
} commands[] = {
#define ROW(call, arg, command, ...) { __NR_##call, arg, command, { { __VA_ARGS__ } } },
	RAD_INLINE_COMMANDS(ROW)
#undef ROW
#undef PTR
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static const bool to_file[ROWS] = {
#define ROW(call) [__NR_##call] = true,
	RAD_INLINE_TO_FILE(ROW)
#undef ROW
};

static const struct {
	u16 nr;
	u8 arg;
	u32 flags;
} not_with[] = {
#define ROW(call, arg, flags) { __NR_##call, arg, flags },
	RAD_INLINE_NOT_WITH(ROW)
#undef ROW
};

static const struct {
	u16 nr;
	u8 arg;
	u32 value;
} not_at[] = {
#define ROW(call, arg, value) { __NR_##call, arg, value },
	RAD_INLINE_NOT_AT(ROW)
#undef ROW
};

static bool is_forbidden(u32 nr, const u64 args[6])
{
	size_t i;

	for (i = 0; i < sizeof(not_with) / sizeof(not_with[0]); i++)
		if (not_with[i].nr == nr && args[not_with[i].arg] & not_with[i].flags)
			return true;
	for (i = 0; i < sizeof(not_at) / sizeof(not_at[0]); i++)
		if (not_at[i].nr == nr && (u32)args[not_at[i].arg] == not_at[i].value)
			return true;
	return false;
}

/* NULL: the call has none, or not with this command or these flags. */
static const struct row *row_of(u32 nr, const u64 args[6])
{
	const struct row *row;
	size_t i;

	if (is_forbidden(nr, args))
		return NULL;
	if (nr < ROWS) {
		row = &rows[array_index_nospec(nr, ROWS)];
		if (row->ptr[0].dir)
			return row;
	}
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].nr == nr && commands[i].command == (u32)args[commands[i].arg])
			return &commands[i].row;
	return NULL;
}

/**
 * rad_inline_is_known() - is there a row for this call, with this command and these flags?
 * @nr: number of the call
 * @args: its arguments
 */
bool rad_inline_is_known(u32 nr, const u64 args[6])
{
	return row_of(nr, args);
}

/* rad_inline_is_to_file() - does the call hand memory to whatever its descriptor is? */
bool rad_inline_is_to_file(u32 nr)
{
	return nr < ROWS && to_file[array_index_nospec(nr, ROWS)];
}

static u32 word_at(const struct rad_inline *call, const struct rad_piece *piece, u32 offset)
{
	__le32 value;

	memcpy(&value, call->data + piece->pos + offset, sizeof(value));
	return le32_to_cpu(value);
}

static u64 long_at(const struct rad_inline *call, const struct rad_piece *piece, u32 offset)
{
	__le64 value;

	memcpy(&value, call->data + piece->pos + offset, sizeof(value));
	return le64_to_cpu(value);
}

/*
 * Its place in the scratch memory, aligned as it is in the program, and no better, up to a
 * page: a file opened with O_DIRECT looks at that.
 */
static bool place(struct rad_inline *call, struct rad_piece *piece)
{
	u64 align = piece->user & -piece->user;
	u32 at;

	if (align > RAD_WIRE_PAGE)
		align = RAD_WIRE_PAGE;
	at = (call->room + align - 1) & -align;
	if (align < RAD_WIRE_PAGE && !(at & align))
		at += align;
	if (at + piece->len > RAD_INLINE_ROOM)
		return false;
	piece->at = at;
	call->room = at + piece->len;
	return true;
}

static u32 left(u32 used)
{
	return RAD_INLINE_MAX - used;
}

struct walk {
	struct rad_inline *call;
	rad_inline_fn fn;
	void *context;
};

/* The next piece; what cannot be one on either side is none. */
static struct rad_piece *add(struct walk *walk, struct rad_piece piece)
{
	struct rad_inline *call = walk->call;
	struct rad_piece *new;
	u32 room = RAD_INLINE_MAX;

	if (!piece.user || call->count == RAD_INLINE_PIECES)
		return NULL;
	if (piece.string ? piece.len : !piece.len)
		return NULL;
	new = &call->piece[call->count++];
	*new = piece;
	new->pos = call->in;
	if (new->dir & RAD_INLINE_IN)
		room = left(call->in);
	if (new->dir & RAD_INLINE_OUT && left(call->out) < room)
		room = left(call->out);
	if (new->len > room || !walk->fn(call, new, room, walk->context) || !place(call, new))
		return NULL;
	new->carried = true;
	call->carried |= 1u << (call->count - 1);
	if (new->dir & RAD_INLINE_IN)
		call->in += new->len;
	if (new->dir & RAD_INLINE_OUT)
		call->out += new->len;
	return new;
}

/* A size as a number of bytes that can travel at all; 0: it cannot. */
static u32 sane(u64 len)
{
	return len <= RAD_INLINE_MAX ? len : 0;
}

static s8 index_of(const struct rad_inline *call, const struct rad_piece *piece)
{
	return piece - call->piece;
}

static bool is_written(const struct rad_piece *piece)
{
	return piece->dir & RAD_INLINE_OUT;
}

static bool is_written_to(const struct rad_piece *piece, u64 user, u64 len)
{
	return is_written(piece) && (user - piece->user < piece->len || piece->user - user < len);
}

static bool any_is_written_to(const struct rad_inline *call, u64 user, u64 len)
{
	u32 i;

	for (i = 0; i < call->count; i++)
		if (is_written_to(&call->piece[i], user, len))
			return true;
	return false;
}

/* An array of struct iovec, to which argument or field of a piece points. */
static void add_vector(struct walk *walk, struct rad_piece array, u64 entries, u8 dir)
{
	struct rad_inline *call = walk->call;
	const struct rad_piece *head;
	u64 before = 0, i, n;

	array.dir = RAD_INLINE_IN;
	array.len = sane(entries) * RAD_IOV_SIZE;
	head = add(walk, array);
	if (!head)
		return;
	for (i = 0; i < entries && call->count < RAD_INLINE_PIECES; i++) {
		u64 len = long_at(call, head, i * RAD_IOV_SIZE + RAD_IOV_LEN);

		add(walk, (struct rad_piece){
			.user = long_at(call, head, i * RAD_IOV_SIZE + RAD_IOV_BASE),
			.before = before,
			.len = sane(len),
			.parent = index_of(call, head),
			.field = i * RAD_IOV_SIZE + RAD_IOV_BASE,
			.dir = dir,
			.unit = 1,
		});
		before = before + len < before ? ~0ULL : before + len;
	}
	/* What is too long or too much for a piece is written in its place, before the pieces are. */
	for (n = i, i = 0; dir & RAD_INLINE_OUT && i < entries; i++) {
		u64 len = long_at(call, head, i * RAD_IOV_SIZE + RAD_IOV_LEN);

		if (i >= n || !sane(len))
			call->overlaps |= any_is_written_to(call, long_at(call, head,
						i * RAD_IOV_SIZE + RAD_IOV_BASE), len);
	}
}

/*
 * What a struct msghdr at @base of a piece points to. It is read or written as the call
 * sends or receives; @dir: of the bytes of the message.
 */
static void add_parts(struct walk *walk, const struct rad_piece *head, u32 base, u8 dir)
{
	struct rad_inline *call = walk->call;
	u8 other = dir & RAD_INLINE_OUT ? RAD_INLINE_INOUT : RAD_INLINE_IN;
	u32 namelen = word_at(call, head, base + RAD_MSGHDR_NAMELEN);
	s8 parent = index_of(call, head);

	/* The kernel looks at no more; what it calls an error is not carried. */
	if ((s32)namelen > RAD_INLINE_ADDRESS_MAX)
		namelen = RAD_INLINE_ADDRESS_MAX;
	add(walk, (struct rad_piece){
		.user = long_at(call, head, base + RAD_MSGHDR_NAME),
		.len = (s32)namelen < 0 ? 0 : namelen,
		.parent = parent, .field = base + RAD_MSGHDR_NAME, .dir = other, .unit = 1,
	});
	add(walk, (struct rad_piece){
		.user = long_at(call, head, base + RAD_MSGHDR_CONTROL),
		.len = sane(long_at(call, head, base + RAD_MSGHDR_CONTROLLEN)),
		.parent = parent, .field = base + RAD_MSGHDR_CONTROL, .dir = other, .unit = 1,
	});
	add_vector(walk, (struct rad_piece){
		.user = long_at(call, head, base + RAD_MSGHDR_IOV),
		.parent = parent, .field = base + RAD_MSGHDR_IOV, .unit = 1,
	}, long_at(call, head, base + RAD_MSGHDR_IOVLEN), dir);
}

static void add_message(struct walk *walk, struct rad_piece message)
{
	u8 dir = message.dir;
	const struct rad_piece *head;

	message.dir = dir & RAD_INLINE_OUT ? RAD_INLINE_INOUT : RAD_INLINE_IN;
	message.len = RAD_MSGHDR_SIZE;
	head = add(walk, message);
	if (head)
		add_parts(walk, head, 0, dir);
}

/* An array of struct mmsghdr, in which the call notes the length of each message. */
static void add_messages(struct walk *walk, struct rad_piece array, u32 entries)
{
	u8 dir = array.dir;
	const struct rad_piece *head;
	u32 i;

	array.dir = RAD_INLINE_INOUT;
	array.len = sane(entries) * RAD_MMSGHDR_SIZE;
	head = add(walk, array);
	for (i = 0; head && i < entries; i++)
		add_parts(walk, head, i * RAD_MMSGHDR_SIZE, dir);
}

/* The integer that another argument points to; 0 if it is not carried, or negative. */
static u32 integer_at(const struct rad_inline *call, u32 arg)
{
	u32 i, value;

	for (i = 0; i < call->count; i++) {
		const struct rad_piece *piece = &call->piece[i];

		if (piece->parent >= 0 || piece->field != arg || !piece->carried)
			continue;
		value = word_at(call, piece, 0);
		return (s32)value < 0 ? 0 : value;
	}
	return 0;
}

static u32 size_of(const struct rad_inline *call, const struct ptr *ptr)
{
	u64 value = call->args[ptr->n % 6];

	switch (ptr->size) {
	case SIZE_FIXED:
		return ptr->n;
	case SIZE_LONG:
		return sane(sane(value) * ptr->unit);
	case SIZE_INT:
		return sane(sane((u32)value) * ptr->unit);
	case SIZE_TEXT:
		return value <= RAD_INLINE_MAX ? sane(RAD_TEXT_HEAD + value) : 0;
	case SIZE_BITS:
		return sane((u32)value) ? sane(((u32)value + 63) / 64 * 8) : 0;
	case SIZE_AT:
		return sane(integer_at(call, ptr->n));
	default:
		return 0;
	}
}

static void add_argument(struct walk *walk, const struct ptr *ptr)
{
	struct rad_inline *call = walk->call;
	struct rad_piece piece = {
		.user = call->args[ptr->arg],
		.parent = -1,
		.field = ptr->arg,
		.dir = ptr->dir,
		.unit = ptr->unit,
		.string = ptr->size == SIZE_STRING,
	};

	switch (ptr->size) {
	case SIZE_VECTOR:
		add_vector(walk, piece, call->args[ptr->n], ptr->dir);
		break;
	case SIZE_PAIR:
		add_vector(walk, piece, 1, ptr->dir);
		break;
	case SIZE_MESSAGE:
		add_message(walk, piece);
		break;
	case SIZE_MESSAGES:
		add_messages(walk, piece, call->args[ptr->n]);
		break;
	default:
		piece.len = size_of(call, ptr);
		add(walk, piece);
	}
}

/**
 * rad_inline_walk() - the pieces of a call
 * @call: becomes the result
 * @nr: number of the call
 * @args: its arguments
 * @data: RAD_INLINE_MAX bytes, for or with what is read
 * @fn: says which pieces are carried
 * @context: for @fn
 */
void rad_inline_walk(struct rad_inline *call, u32 nr, const u64 args[6], u8 *data,
		     rad_inline_fn fn, void *context)
{
	struct walk walk = { .call = call, .fn = fn, .context = context };
	const struct row *row = row_of(nr, args);
	u32 i;

	call->nr = nr;
	memcpy(call->args, args, sizeof(call->args));
	call->data = data;
	call->count = call->carried = call->in = call->out = call->room = 0;
	call->overlaps = false;
	for (i = 0; row && i < sizeof(row->ptr) / sizeof(row->ptr[0]) && row->ptr[i].dir; i++)
		add_argument(&walk, &row->ptr[i]);
}

/**
 * rad_inline_overlaps() - does the call write twice to the same memory?
 * @call: a walk
 *
 * Whoever stores what has been written knows neither which of two pieces was written last
 * nor, of an INOUT, which bytes it got anew that were the same before. Such a call has to
 * work where the memory is.
 */
bool rad_inline_overlaps(const struct rad_inline *call)
{
	const struct rad_piece *piece;
	u32 i, j;

	if (call->overlaps)
		return true;
	for (i = 0; i < call->count; i++) {
		piece = &call->piece[i];
		for (j = 0; is_written(piece) && j < i; j++)
			if (is_written_to(&call->piece[j], piece->user, piece->len))
				return true;
	}
	return false;
}

struct taken {
	u32 carried;
	u32 len;
};

static bool take(struct rad_inline *call, struct rad_piece *piece, u32 room, void *context)
{
	const struct taken *taken = context;
	u32 there = taken->len - call->in;
	const u8 *end;

	if (!(taken->carried & 1u << index_of(call, piece)))
		return false;
	if (!(piece->dir & RAD_INLINE_IN))
		return true;
	if (there > room)
		there = room;
	if (!piece->string)
		return piece->len <= there;
	if (there > RAD_INLINE_STRING_MAX)
		there = RAD_INLINE_STRING_MAX;
	end = there ? memchr(call->data + piece->pos, 0, there) : NULL;
	if (!end)
		return false;
	piece->len = end - (call->data + piece->pos) + 1;
	return true;
}

/**
 * rad_inline_take() - the pieces of a call that another node has sent
 * @call: becomes the result, if it is one
 * @nr: number of the call
 * @args: its arguments
 * @data: what came with it; RAD_INLINE_MAX bytes
 * @len: how much came
 * @carried: the pieces that the sender says are carried
 *
 * Return: whether the data is exactly that of these pieces.
 */
bool rad_inline_take(struct rad_inline *call, u32 nr, const u64 args[6], u8 *data, u32 len,
		     u32 carried)
{
	struct taken taken = { .carried = carried, .len = len };

	if (len > RAD_INLINE_MAX)
		return false;
	rad_inline_walk(call, nr, args, data, take, &taken);
	return call->carried == carried && call->in == len;
}

/**
 * rad_inline_result() - bytes of a piece that the program gets
 * @piece: carried
 * @ax: what the call has returned
 */
u32 rad_inline_result(const struct rad_piece *piece, u64 ax)
{
	u64 bytes;

	switch (piece->dir) {
	case RAD_INLINE_INOUT:
		return piece->len;
	case RAD_INLINE_OUT_IF_0:
		return ax ? 0 : piece->len;
	case RAD_INLINE_OUT_AX:
		if ((s64)ax <= 0)
			return 0;
		/* More than fits, whatever the unit. */
		bytes = ax > S32_MAX ? S32_MAX : ax;
		bytes *= piece->unit;
		if (bytes <= piece->before)
			return 0;
		return bytes - piece->before < piece->len ? bytes - piece->before : piece->len;
	case RAD_INLINE_OUT_TEXT:
		if ((s64)ax < 0)
			return 0;
		return ax < piece->len - RAD_TEXT_HEAD ? RAD_TEXT_HEAD + ax : piece->len;
	default:
		return 0;
	}
}

/* rad_inline_results() - bytes that come back with the result of a call */
u32 rad_inline_results(const struct rad_inline *call, u64 ax)
{
	u32 sum = 0, i;

	for (i = 0; i < call->count; i++)
		if (call->piece[i].carried)
			sum += rad_inline_result(&call->piece[i], ax);
	return sum;
}

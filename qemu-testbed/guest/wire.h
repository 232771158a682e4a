/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the host and the agent in the guest say to each other over the virtio-serial
 * port "radium.agent". Every frame is a header followed by @length bytes; numbers are
 * little-endian. lib/channel.py holds the same table for the host.
 *
 * A job is one command. Its number is chosen by the host and not used again.
 */
#ifndef RADIUM_TESTBED_WIRE_H
#define RADIUM_TESTBED_WIRE_H

#include <stdint.h>

#define WIRE_PORT "radium.agent"

enum wire_type {
	/* host to guest */
	WIRE_RUN = 1,		/* struct wire_run, then NUL-terminated strings */
	WIRE_STDIN = 2,		/* data; empty: end of file. One unanswered at a time */
	WIRE_CREDIT = 3,	/* u32: so many more bytes of output may be sent */
	WIRE_KILL = 4,		/* SIGKILL to every process of the job's session */
	WIRE_PING = 5,

	/* guest to host */
	WIRE_HELLO = 16,	/* the agent is there */
	WIRE_STDOUT = 17,
	WIRE_STDERR = 18,
	WIRE_STDIN_ACK = 19,	/* the last WIRE_STDIN has been consumed */
	WIRE_EXIT = 20,		/* u32: exit status, 128 + n after signal n */
	WIRE_PONG = 21,
};

enum {
	WIRE_MAX_LENGTH = 1 << 20,
	WIRE_CHUNK = 32 << 10,		/* most output bytes in one frame */
	WIRE_WINDOW = 256 << 10,	/* output credit that a new job starts with */
};

enum wire_run_flags {
	WIRE_RUN_STDIN = 1 << 0,	/* standard input comes in frames; else /dev/null */
	WIRE_RUN_TTY = 1 << 1,		/* a terminal instead of pipes; all is WIRE_STDOUT */
};

struct wire_header {
	uint32_t length;
	uint32_t job;
	uint32_t type;
} __attribute__((packed));

/* Then the working directory, @argc arguments and @envc NAME=VALUE strings. */
struct wire_run {
	uint32_t flags;
	uint16_t rows;
	uint16_t columns;
	uint32_t argc;
	uint32_t envc;
} __attribute__((packed));

#endif

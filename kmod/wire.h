/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: everything that travels between nodes, and nothing else.
 *
 * All integers are little endian. A receiver checks the length of a message
 * against RAD_MESSAGES before it looks at the body, and every index, length and
 * handle in the body before it uses it. Change anything here: raise
 * RAD_WIRE_VERSION.
 *
 * Who may send what, and in which context it is handled, is RAD_MESSAGES below.
 */
#ifndef _RADIUM_WIRE_H
#define _RADIUM_WIRE_H

#include <linux/types.h>

enum {
	RAD_WIRE_MAGIC		= 0x6d756952,	/* "Rium" */
#ifndef RAD_WIRE_VERSION	/* a test builds a module of another one */
	RAD_WIRE_VERSION	= 15,
#endif
	RAD_WIRE_NONCE		= 32,		/* bytes */
	RAD_WIRE_MAC		= 32,		/* bytes of HMAC-SHA256 */
	RAD_WIRE_BUILD		= 16,		/* first bytes of SHA-256 over release and version of the kernel */
	RAD_MESSAGE_MAX		= 16384,	/* bytes of a message with its header */
	RAD_XSTATE_MAX		= 12288,	/* bytes of an xstate image: AMX needs 10,752 */
	RAD_WINDOW		= 64,		/* receive buffers, that is, credits, of each class */
	RAD_PREPARE_MS		= 15000,	/* in which a PREPARE is answered, on a busy node, too */
	RAD_WIRE_PAGE		= 4096,		/* bytes of what is written beside a message */
	RAD_GREGS		= 27,		/* words of struct user_regs_struct */
	RAD_INLINE_MAX		= 12288,	/* bytes of data with a system call, and with its result */
	RAD_INLINE_PIECES	= 24,		/* pieces of memory that this data may be */
};

/*
 * Two classes with credits, buffers and contexts of their own (Documentation/contexts.rst):
 * a REQUEST may wait for memory, locks and answers; an ANSWER never does, so
 * that answers flow whatever the requests wait for.
 *
 * X(NAME, class, context, least length of the body)
 * context ORDERED: handled in the order of arrival in the link's receive context;
 * WORKER: handled by a receive thread while others are idle, else on a work queue; unordered.
 */
#define RAD_MESSAGES(X)								\
	/* link */								\
	X(AUTH,		ANSWER,	 ORDERED, sizeof(struct rad_wire_auth))		\
	X(ACK,		ANSWER,	 ORDERED, sizeof(struct rad_wire_ack))		\
	X(HEARTBEAT,	ANSWER,	 ORDERED, sizeof(struct rad_wire_heartbeat))	\
	/* threads: home to visitor's node */					\
	X(PREPARE,	REQUEST, WORKER, sizeof(struct rad_wire_prepare))	\
	X(PREPARED,	ANSWER,	 ORDERED, sizeof(struct rad_wire_status))	\
	X(COMMIT,	REQUEST, ORDERED, sizeof(struct rad_wire_thread))	\
	X(ABORT,	REQUEST, ORDERED, sizeof(struct rad_wire_thread))	\
	X(RECALL,	REQUEST, ORDERED, sizeof(struct rad_wire_thread))	\
	X(SYSCALL_DONE,	REQUEST, ORDERED, sizeof(struct rad_wire_syscall_done))	\
	X(PROCESS_GONE,	REQUEST, ORDERED, sizeof(struct rad_wire_process))	\
	/* threads: visitor's node to home */					\
	X(SYSCALL,	REQUEST, ORDERED, sizeof(struct rad_wire_syscall))	\
	X(RETURN,	REQUEST, ORDERED, sizeof(struct rad_wire_return))	\
	X(VISITOR_GONE,	REQUEST, ORDERED, sizeof(struct rad_wire_thread))	\
	X(DRAIN,	REQUEST, WORKER, sizeof(struct rad_wire_process))	\
	/* pages */								\
	X(PAGE_GET,	REQUEST, WORKER, sizeof(struct rad_wire_page_get))	\
	X(PAGE_GRANT,	ANSWER,	 ORDERED, sizeof(struct rad_wire_page_grant))	\
	X(PAGE_REVOKE,	ANSWER,	 ORDERED, sizeof(struct rad_wire_page_revoke))	\
	X(PAGE_BACK,	ANSWER,	 ORDERED, sizeof(struct rad_wire_page_back))	\
	/* owner to who asked home */						\
	X(PAGE_FORWARD,	ANSWER,	 ORDERED, sizeof(struct rad_wire_page_grant))	\
	/* who asked, to home */						\
	X(PAGE_ARRIVED,	ANSWER,	 ORDERED, sizeof(struct rad_wire_page_arrived))

/* X(REQUEST, ANSWER): calls; the others are messages without an answer. */
#define RAD_ANSWERS(X)			\
	X(PREPARE,	PREPARED)	\
	X(PAGE_GET,	PAGE_GRANT)	\
	X(PAGE_REVOKE,	PAGE_BACK)

enum rad_msg_type {
#define RAD_MSG_ENUM(name, class, context, len) RAD_MSG_##name,
	RAD_MESSAGES(RAD_MSG_ENUM)
#undef RAD_MSG_ENUM
	RAD_MSG_COUNT
};

enum rad_msg_class { RAD_CLASS_REQUEST, RAD_CLASS_ANSWER, RAD_CLASS_COUNT };
enum rad_msg_context { RAD_CONTEXT_ORDERED, RAD_CONTEXT_WORKER };

/**
 * struct rad_wire_header - before every message
 * @type: enum rad_msg_type
 * @class: enum rad_msg_class, must be that of @type
 * @len: bytes of the body
 * @session: that of sender and receiver, agreed in the handshake
 * @seq: number of this message in its class and session, from 1; 0: outside
 *	the stream (AUTH, ACK, HEARTBEAT)
 * @ack: per class, last sequence number that the sender of this has received
 * @credit: per class, last sequence number that the sender of this has a
 *	receive buffer for: buffers that handlers still hold are not in it
 * @call: for a request that wants an answer: its id; for an answer: the id of
 *	its request; 0 otherwise
 * @reserved: 0
 */
struct rad_wire_header {
	__u8 type;
	__u8 class;
	__le16 reserved;
	__le32 len;
	__le64 session;
	__le64 seq;
	__le64 ack[RAD_CLASS_COUNT];
	__le64 credit[RAD_CLASS_COUNT];
	__le64 call;
} __packed;

/*
 * A message that brings a page says little besides: PAGE_GRANT and PAGE_BACK with DATA, and
 * PAGE_FORWARD, travel as immediate data of the RDMA write of their page, and there is no
 * header. The rest of the header is as it was in the sender's last one.
 *
 *	bits  0..19	low bits of the call's id: calls of a session that are not
 *			answered differ in them; PAGE_FORWARD: token of the landing place
 *	bits 20..22	PAGE_GRANT, PAGE_FORWARD: prot; PAGE_BACK: flags, from SENT on
 *	bits 23..24	enum rad_fold_type
 *	bits 25..31	low bits of the sequence number, in class ANSWER
 */
enum {
	RAD_FOLD_CALL_BITS	= 20,
	RAD_FOLD_PROT		= 20,	/* first bit */
	RAD_FOLD_TYPE		= 23,
	RAD_FOLD_SEQ		= 25,
	RAD_FOLD_SEQ_BITS	= 7,	/* RAD_WINDOW messages back and on */
	RAD_TOKENS		= 1 << RAD_FOLD_CALL_BITS,
};

enum rad_fold_type { RAD_FOLD_GRANT, RAD_FOLD_BACK, RAD_FOLD_FORWARD, RAD_FOLD_TYPES };

/**
 * struct rad_wire_hello - private data of rdma_cm's connect and accept
 * @magic: RAD_WIRE_MAGIC, RAD_WIRE_VERSION
 * @version: see @magic
 * @node: sender's id
 * @nonce: fresh random bytes
 */
struct rad_wire_hello {
	__le32 magic;
	__le16 version;
	__le16 node;
	__u8 nonce[RAD_WIRE_NONCE];
} __packed;

/**
 * struct rad_wire_reject - private data of rdma_cm's reject
 * @magic: as in the hello, of the rejecting side
 * @version: see @magic
 * @node: see @magic
 * @reason: enum radium_reason; NONE: nothing is wrong, the rejecting side makes
 *	the connection itself
 */
struct rad_wire_reject {
	__le32 magic;
	__le16 version;
	__le16 node;
	__le32 reason;
} __packed;

/**
 * struct rad_wire_auth - proof of the cluster key, first message each way
 * @mac: HMAC-SHA256(key, role byte | hello of the connecting side | hello of the
 *	accepting side | address of the connecting side | of the accepting side | @build | @incarnation | @session | @received)
 * @build: which kernel build, see RAD_WIRE_BUILD; all behind it is hidden: XOR with
 *	HMAC-SHA256(key, role byte | hellos | addresses | "hide\0")
 * @incarnation: random number chosen when the node joined: a peer that comes back with
 *	another one has lost its state
 * @session: id of the session that the sender would resume, 0 for none
 * @received: per class, last sequence number received in that session
 */
struct rad_wire_auth {
	__u8 mac[RAD_WIRE_MAC];
	__u8 build[RAD_WIRE_BUILD];
	__le64 incarnation;
	__le64 session;
	__le64 received[RAD_CLASS_COUNT];
} __packed;

struct rad_wire_ack {
	__le64 reserved;	/* the acks are in the header */
} __packed;

enum rad_heartbeat_flags {
	RAD_HEARTBEAT_LEAVING	= 1,	/* the sender is leaving the cluster now */
	RAD_HEARTBEAT_ANSWER	= 2,	/* the sender has not compared the clocks yet: answer at once */
};

/**
 * struct rad_wire_heartbeat - liveness, clock comparison, load
 * @sent: sender's CLOCK_MONOTONIC (ns) when it sent this
 * @sent_boot: sender's CLOCK_BOOTTIME then
 * @echo: @sent of the last heartbeat received from the peer, 0 for none
 * @echo_delay: ns between its arrival and this message
 * @load: load average over the last minute, in hundredths
 * @cpus: online CPUs
 * @flags: enum rad_heartbeat_flags
 * @reserved: 0
 */
struct rad_wire_heartbeat {
	__le64 sent;
	__le64 sent_boot;
	__le64 echo;
	__le64 echo_delay;
	__le32 load;
	__le32 cpus;
	__le32 flags;
	__le32 reserved;
} __packed;

/* A process is named by its home node (the session) and home's number for it. */
struct rad_wire_process {
	__le64 process;
} __packed;

/**
 * struct rad_wire_thread - names one stay of one thread
 * @process: home's number of the process
 * @thread: home's number of the thread
 * @stay: number of its PREPARE, upwards over all threads of a home; a message of an
 *	older stay is dropped
 * @reason: enum radium_reason where it applies
 * @reserved: 0
 */
struct rad_wire_thread {
	__le64 process;
	__le32 thread;
	__le32 stay;
	__le32 reason;
	__le32 reserved;
} __packed;

/**
 * struct rad_wire_regs - the register image
 * @gregs: struct user_regs_struct
 * @xstate_len: bytes of xstate, in the standard (uncompacted) XSAVE layout, that
 *	follow the structure in the message
 * @reserved: 0
 */
struct rad_wire_regs {
	__le64 gregs[RAD_GREGS];
	__le32 xstate_len;
	__le32 reserved;
} __packed;

enum rad_self_flags {
	RAD_SELF_WATCHED	= 1,	/* somebody watches its calls: each is home's */
	RAD_SELF_FLAGS		= 1,
};

enum { RAD_ID_UNKNOWN = 0xffffffff };	/* no user or group has this id */

/**
 * struct rad_wire_self - what the node answers a thread that asks who it is
 * @flags: enum rad_self_flags
 * @pid: getpid() and gettid(), in its PID namespace
 * @tid: see @pid
 * @uid: as getuid() and so on, in its user namespace; RAD_ID_UNKNOWN:
 *	the answer may change without the thread's doing, ask home
 * @euid: see @uid
 * @gid: see @uid
 * @egid: see @uid
 * @reserved: 0
 *
 * PREPARE tells, and each SYSCALL_DONE tells again.
 */
struct rad_wire_self {
	__le32 flags;
	__le32 pid;
	__le32 tid;
	__le32 uid;
	__le32 euid;
	__le32 gid;
	__le32 egid;
	__le32 reserved;
} __packed;

/**
 * struct rad_wire_prepare - asks a node to hold a thread ready
 * @thread: which stay
 * @uid: owner (numeric ids are the same on all nodes)
 * @gid: see @uid
 * @vvar: where the program's vvar pages begin, 0 if it has none
 * @clock_mode: how its vdso reads the clock source: enum vdso_clock_mode
 * @mono: the process' clocks minus the target's, ns, signed
 * @boot: see @mono
 * @own: its CLOCK_MONOTONIC minus its machine's, ns, signed: not 0 in a time namespace
 * @real: its CLOCK_REALTIME minus its CLOCK_MONOTONIC, ns, signed
 * @raw: home's CLOCK_MONOTONIC_RAW minus its CLOCK_MONOTONIC, ns, signed
 * @coarse: what the process' CLOCK_MONOTONIC_COARSE shows, ns, signed
 * @self: who the thread is
 * @comm: name
 * @regs: followed by the xstate
 * @reserved: 0
 */
struct rad_wire_prepare {
	struct rad_wire_thread thread;
	__le32 uid;
	__le32 gid;
	__le64 vvar;
	__le64 mono;
	__le64 boot;
	__le64 own;
	__le64 real;
	__le64 raw;
	__le64 coarse;
	__le32 clock_mode;
	__le32 reserved;
	struct rad_wire_self self;
	char comm[16];
	struct rad_wire_regs regs;
} __packed;

struct rad_wire_status {
	__le32 reason;		/* enum radium_reason, NONE if done */
	__le32 reserved;
} __packed;

/* CPU time that a visitor used since it last told, ns. */
struct rad_wire_cputime {
	__le64 utime;
	__le64 stime;
	__le64 runtime;
} __packed;

enum rad_syscall_flags {
	RAD_SYSCALL_STORE	= 1,	/* no call: the data is to be put where @args[0] points to */
	RAD_SYSCALL_FLAGS	= 1,
};

/**
 * struct rad_wire_syscall - the visitor wants a call done
 * @thread: which stay
 * @cputime: since the last message that told
 * @nr: number of the call
 * @pkru: with which it accesses memory; 0 without the feature
 * @args: as the program has set them
 * @coarse: what the replica's CLOCK_MONOTONIC_COARSE has shown, ns, signed
 * @carried: bit i: what the call uses as its piece i (inline.h) travels
 * @flags: enum rad_syscall_flags
 *
 * Followed by the bytes of the carried pieces that the call reads, in order.
 */
struct rad_wire_syscall {
	struct rad_wire_thread thread;
	struct rad_wire_cputime cputime;
	__le32 nr;
	__le32 pkru;
	__le64 args[6];
	__le64 coarse;
	__le32 carried;
	__le32 flags;
} __packed;

enum rad_syscall_done_flags {
	RAD_SYSCALL_COME_HOME	= 1,	/* put @ax into the registers and return */
	RAD_SYSCALL_EXECUTE	= 2,	/* not done: return and do it at home */
	RAD_SYSCALL_DATA	= 4,	/* done with the carried pieces: what it wrote follows */
	RAD_SYSCALL_DONE_FLAGS	= 7,
};

/**
 * struct rad_wire_syscall_done - the deputy has done it, or not
 * @thread: which stay; reason: why the thread has to come home
 * @ax: what the call returned
 * @flags: enum rad_syscall_done_flags
 * @coarse: what the process' CLOCK_MONOTONIC_COARSE shows now, ns, signed
 * @real: its CLOCK_REALTIME minus its CLOCK_MONOTONIC now, ns, signed
 * @self: who the thread is after the call
 * @reserved: 0
 *
 * With DATA followed by what was written to the carried pieces, in order: as much of each
 * as rad_inline_result() says. Without DATA everything was written to the program's memory.
 */
struct rad_wire_syscall_done {
	struct rad_wire_thread thread;
	__le64 ax;
	__le32 flags;
	__le32 reserved;
	__le64 coarse;
	__le64 real;
	struct rad_wire_self self;
} __packed;

/* Detail of an exception: signal, si_code, x86 trap number. */
#define RAD_EXCEPTION(sig, code, trap) \
	((__u64)(trap) << 32 | (__u64)(__u16)(code) << 8 | (__u8)(sig))
#define RAD_EXCEPTION_SIG(detail)	((__u8)(detail))
#define RAD_EXCEPTION_CODE(detail)	((__s16)((detail) >> 8))
#define RAD_EXCEPTION_TRAP(detail)	((detail) >> 32)

/**
 * struct rad_wire_return - a thread comes home
 * @thread: which stay, and why (reason)
 * @cputime: since the last message that told
 * @detail: for SYSCALL, WATCHED, SIGNAL: number of the system call; for FAULT and
 *	its kin: page address | enum rad_page_access; for EXCEPTION: RAD_EXCEPTION()
 * @coarse: what the replica's CLOCK_MONOTONIC_COARSE has shown, ns, signed
 * @regs: followed by the xstate
 */
struct rad_wire_return {
	struct rad_wire_thread thread;
	struct rad_wire_cputime cputime;
	__le64 detail;
	__le64 coarse;
	struct rad_wire_regs regs;
} __packed;

enum rad_page_access {
	RAD_ACCESS_READ		= 1,
	RAD_ACCESS_WRITE	= 2,
	RAD_ACCESS_EXEC		= 4,
};

/**
 * struct rad_wire_landing - where an RDMA write may put a page
 * @addr: for the write
 * @rkey: see @addr
 * @token: names the place to the node that it is on; RAD_TOKENS: it has no name, and
 *	only who was told of it can write there
 */
struct rad_wire_landing {
	__le64 addr;
	__le32 rkey;
	__le32 token;
} __packed;

enum rad_get_flags {
	RAD_GET_HELD	= 1,	/* the replica reads the page, and goes on until it is told not to */
};

/**
 * struct rad_wire_page_get - a replica asks home for a page
 * @process: whose
 * @thread: which thread touched it, 0: none yet: a page that another node has is refused
 * @access: enum rad_page_access, what the access needs
 * @flags: enum rad_get_flags; HELD only for WRITE
 * @address: page-aligned user address
 * @waited: ns that the thread has waited for pages since it last told
 * @landing: where the page is to be written
 * @reserved: 0
 */
struct rad_wire_page_get {
	__le64 process;
	__le32 thread;
	__le32 access;
	__le32 flags;
	__le32 reserved;
	__le64 address;
	__le64 waited;
	struct rad_wire_landing landing;
} __packed;

enum rad_grant_flags {
	RAD_GRANT_DATA	= 1,	/* the page was written to the landing place */
	RAD_GRANT_ZERO	= 2,	/* the page is all zeros, nothing was written */
	RAD_GRANT_RETRY	= 4,	/* home was in the way: ask again */
	RAD_GRANT_HELD	= 8,	/* what the replica reads is the page, and is its own now */
	RAD_GRANT_EXPOSED = 16,	/* there is no page, and a node that was to send it may do so yet */
};

/**
 * struct rad_wire_page_grant - home's answer to PAGE_GET, or the owner's: PAGE_FORWARD
 * @reason: NONE: granted; otherwise the access has to be done at home, and why
 * @flags: enum rad_grant_flags
 * @prot: enum rad_page_access that the page may be mapped with
 * @reserved: 0
 */
struct rad_wire_page_grant {
	__le32 reason;
	__le32 flags;
	__le32 prot;
	__le32 reserved;
} __packed;

enum rad_revoke_flags {
	RAD_REVOKE_DATA		= 1,	/* the content is wanted at @landing */
	RAD_REVOKE_KEEP		= 2,	/* the owner may go on reading */
	RAD_REVOKE_FORWARD	= 4,	/* the content is wanted by @next, at @forward */
	RAD_REVOKE_CANCEL	= 8,	/* the receiver asked for it in @call: no longer */
	RAD_REVOKE_SENT		= 16,	/* what the former owner has sent in vain */
	RAD_REVOKE_UNSENT	= 32,	/* CANCEL: nobody has sent it to the receiver's place, nor will */
	RAD_REVOKE_FLAGS	= 63,
};

/**
 * struct rad_wire_page_revoke - home takes a page back
 * @process: whose
 * @address: of the page
 * @flags: enum rad_revoke_flags; KEEP, FORWARD and SENT only with DATA, UNSENT with CANCEL
 * @next: FORWARD: node that asked for the page
 * @incarnation: FORWARD: of @next, as in its AUTH: @forward is a place of this one
 * @prot: FORWARD: enum rad_page_access that @next may map it with
 * @call: CANCEL: id of the receiver's PAGE_GET that another node was to answer
 * @landing: where the page is to be written at home; of no meaning with FORWARD and
 *	without KEEP
 * @forward: where the page is to be written at @next
 * @reserved: 0
 */
struct rad_wire_page_revoke {
	__le64 process;
	__le64 address;
	__le32 flags;
	__le32 next;
	__le32 prot;
	__le32 reserved;
	__le64 call;
	__le64 incarnation;
	struct rad_wire_landing landing;
	struct rad_wire_landing forward;
} __packed;

enum rad_back_flags {
	RAD_BACK_DATA	= 1,	/* the page was written to the landing place */
	RAD_BACK_CLEAN	= 2,	/* the holder never wrote to it: home's copy is right; CANCEL: never had it */
	RAD_BACK_NONE	= 4,	/* the node does not hold it */
	RAD_BACK_SENT	= 8,	/* it was sent to @next, too; without KEEP: in vain, perhaps, or, without this
				 * flag either, it could not be sent */
};

struct rad_wire_page_back {
	__le32 flags;
	__le32 reserved;
} __packed;

/**
 * struct rad_wire_page_arrived - a page that its owner sent is there
 * @process: whose
 * @address: of the page
 * @call: id of the PAGE_GET that it answers
 */
struct rad_wire_page_arrived {
	__le64 process;
	__le64 address;
	__le64 call;
} __packed;

#endif /* _RADIUM_WIRE_H */

/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Radium: distributed thread migration, interface of /dev/radium.
 *
 * Every argument structure begins with its own size, as the caller knows it.
 * The kernel accepts a smaller (older) structure as if the rest were zero and a
 * larger (newer) one if the part it does not know is zero (copy_struct_from_user).
 * The size that a call's number has in it is not looked at: a program that was
 * compiled with another version of a structure makes the same call.
 * Reserved fields must be zero. Times are nanoseconds, sizes are bytes, ids are
 * decimal numbers as radctl prints them.
 *
 * The values of reasons, states and events are their places in the tables below
 * and never change: new ones are appended. How many there are, the names that
 * end with _COUNT, is therefore no part of the interface: expect others.
 *
 * The first call on a descriptor is RADIUM_IOC_HELLO; every other call fails
 * with -EPROTO before it.
 */
#ifndef _UAPI_LINUX_RADIUM_H
#define _UAPI_LINUX_RADIUM_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define RADIUM_DEVICE		"/dev/radium"
#define RADIUM_ABI_VERSION	1

enum {
	RADIUM_KEY_SIZE		= 32,	/* bytes of the cluster key */
	RADIUM_NODE_MAX		= 64,	/* node ids run from 1 to this number, it included */
	RADIUM_ADDR_SIZE	= 64,	/* text of an IP address, with its NUL */
	RADIUM_NAME_SIZE	= 16,	/* a comm, with its NUL */
	RADIUM_PATH_SIZE	= 256,	/* a path, with its NUL */
	RADIUM_PORT		= 18515,	/* default rdma_cm port */
};

/*
 * Why something was refused, why a thread came home, why a process ended.
 * X(NAME, "what", "what to do"). One table for the kernel's log, radctl's text
 * and its JSON.
 */
#define RADIUM_REASONS(X)							\
	X(NONE, "", "")								\
	X(NO_PROCESS, "no such process", "check the PID with ps")		\
	X(KERNEL_THREAD, "it is a kernel thread", "choose a user process")	\
	X(COMPAT, "it is not a 64-bit process", "run a 64-bit build of the program") \
	X(NOT_PERMITTED, "you may not trace that process", "run as its owner, if kernel.yama.ptrace_scope permits, or with CAP_SYS_PTRACE") \
	X(NO_NODE, "no such node", "see 'radctl node list'")			\
	X(NODE_DOWN, "the node is down", "see 'radctl node list'; try again when it is up") \
	X(NOT_JOINED, "this machine has not joined a cluster", "use 'radctl node join'") \
	X(EXITING, "the process is exiting", "")				\
	X(TRACED, "the thread is being traced", "detach the debugger first")	\
	X(ALREADY_THERE, "the thread is already there", "")			\
	X(BUSY, "another migration of the thread is under way", "try again")	\
	X(TIMEOUT, "it did not happen in time", "it may still happen: see 'radctl explain PID'; 'radctl recall PID' takes a move back") \
	X(NO_MEMORY, "out of memory", "free memory on both nodes; pool_mib and replica_cgroup limit it, too")		\
	X(XSTATE, "the target's CPU cannot hold the thread's extended state", "choose a node with the same CPU features") \
	X(REPLICA, "the target could not create the replica process", "see the target's kernel log; run 'radctl check' there") \
	X(IS_REPLICA, "it is a visitor from another node", "move it from its home node") \
	X(NO_THREAD, "no such thread in that process", "see 'ps -L -p PID'")	\
	X(NOT_AWAY, "the process has no thread away", "see 'radctl ps'")			\
	X(WIRE_VERSION, "the peer speaks another wire version", "install the same radium on all nodes") \
	X(KERNEL_BUILD, "the peer runs another kernel build", "boot the same kernel on all nodes") \
	X(WRONG_KEY, "the cluster keys differ", "use one key file on all nodes") \
	X(SAME_ID, "the peer has the same node id", "give each node its own id")	\
	X(UNREACHABLE, "the peer cannot be reached", "check the network (UDP port 4791, MTU) and the RDMA device; see the kernel log of both") \
	X(DISTRIBUTED, "processes are distributed", "use 'radctl node drain' first") \
	X(ALREADY_JOINED, "this machine is a node already", "use 'radctl node leave' first") \
	X(NODE_LOST, "the node died", "see the kernel log")					\
	X(ASKED, "asked for by a user", "")					\
	X(SIGNAL, "a signal was delivered", "")					\
	X(SYSCALL, "a system call that changes the task itself", "")		\
	X(FAULT, "an access that the replica could not satisfy", "")		\
	X(SHARED_MEMORY, "memory shared with other processes", "")		\
	X(EXCEPTION, "a CPU exception", "")					\
	X(DRAIN, "the node is being drained", "choose another node, or try again when it is over")				\
	X(WATCHED, "the thread is watched (seccomp, audit, tracing)", "")	\
	X(MEMORY_KIND, "memory that cannot leave home (device, pinned, huge pages)", "") \
	X(LDT, "the process uses segment descriptors of its own", "")		\
	X(PENDING, "the thread is in a system call that must not be interrupted; it moves when the call ends", "wait") \
	X(SHARED_MM, "another process shares its memory (vfork)", "wait until it has called exec or exit") \
	X(PROTOCOL, "the peer broke the protocol", "install the same radium on all nodes") \
	X(KEEPALIVE, "the peer was silent for too long", "")			\
	X(USERFAULTFD, "the process uses userfaultfd", "")			\
	X(INIT, "it is the init process", "choose another process")		\
	X(INSTRUCTIONS, "it has forbidden itself an instruction (rdtsc, cpuid)", "")

enum radium_reason {
#define RADIUM_REASON_ENUM(name, what, todo) RADIUM_R_##name,
	RADIUM_REASONS(RADIUM_REASON_ENUM)
#undef RADIUM_REASON_ENUM
	RADIUM_R_COUNT
};

/* Node states, in radctl's words. */
#define RADIUM_NODE_STATES(X)	\
	X(SELF, "up")		\
	X(CONNECTING, "connecting") \
	X(UP, "up")		\
	X(SUSPECT, "suspect")	\
	X(DEAD, "dead")		\
	X(REFUSED, "refused")

enum radium_node_state {
#define RADIUM_NODE_STATE_ENUM(name, text) RADIUM_NODE_##name,
	RADIUM_NODE_STATES(RADIUM_NODE_STATE_ENUM)
#undef RADIUM_NODE_STATE_ENUM
	RADIUM_NODE_STATE_COUNT
};

/* Where a thread is in its migration; the transitions are a table in kmod/states.h. */
#define RADIUM_THREAD_STATES(X)	\
	X(HOME, "home")		\
	X(FREEZING, "freezing")	\
	X(PREPARING, "preparing") \
	X(AWAY, "away")		\
	X(RETURNING, "returning") \
	X(GONE, "gone")

enum radium_thread_state {
#define RADIUM_THREAD_STATE_ENUM(name, text) RADIUM_THREAD_##name,
	RADIUM_THREAD_STATES(RADIUM_THREAD_STATE_ENUM)
#undef RADIUM_THREAD_STATE_ENUM
	RADIUM_THREAD_STATE_COUNT
};

/**
 * struct radium_hello - handshake
 * @size: sizeof(struct radium_hello)
 * @abi: in: RADIUM_ABI_VERSION of the caller; out: of the module. If these differ the
 *	call fails with -EPROTO, and the other members are as they were
 * @wire: out: wire version
 * @node: out: id of this node, 0 if it has not joined
 * @features: out: reserved for feature bits, 0 today
 * @processes: out: distributed processes whose home is here
 * @visitors: out: threads of other nodes that run here
 */
struct radium_hello {
	__u32 size;
	__u32 abi;
	__u32 wire;
	__u32 node;
	__u64 features;
	__u32 processes;
	__u32 visitors;
};

/**
 * struct radium_node_join - make this machine a node (CAP_SYS_ADMIN)
 * @size: sizeof(struct radium_node_join)
 * @id: id of this node, 1 to RADIUM_NODE_MAX
 * @port: rdma_cm port, 0 for RADIUM_PORT; the same on all nodes
 * @peer_count: entries of @peers
 * @peers: user address of peer_count texts of RADIUM_ADDR_SIZE bytes each:
 *	numeric IPv4 or IPv6 addresses of other nodes. The module connects to
 *	each and keeps trying; a peer that connects by itself needs no entry.
 * @addr: numeric address of this node's RDMA device to listen on
 * @key: pre-shared cluster key
 * @replica: absolute path of the radium-replica program
 *
 * Fails with -EALREADY, -EINVAL, -ENODEV (no RDMA device has @addr), -EADDRINUSE, -EOPNOTSUPP
 * (the device lacks something), -ENOMEM, or with what rdma_cm says.
 */
struct radium_node_join {
	__u32 size;
	__u32 id;
	__u32 port;
	__u32 peer_count;
	__u64 peers;
	char addr[RADIUM_ADDR_SIZE];
	__u8 key[RADIUM_KEY_SIZE];
	char replica[RADIUM_PATH_SIZE];
};

/**
 * struct radium_node_info - one node as this node sees it
 * @id: node id, 0 while a peer that was named by address has not answered
 * @state: enum radium_node_state
 * @reason: enum radium_reason, why it is not up
 * @epoch: grows each time that the node is declared dead or comes up anew
 * @visitors: threads whose home is here that run there; of this node itself: threads of
 *	others that run here
 * @load: load average of that node over the last minute, in hundredths
 * @cpus: its CPUs
 * @rtt: smoothed round trip of a heartbeat, ns
 * @clock_offset: its CLOCK_MONOTONIC minus ours, ns
 * @bytes_sent: counters
 * @bytes_received: see @bytes_sent
 * @messages_sent: see @bytes_sent
 * @messages_received: see @bytes_sent
 * @reconnects: sessions that were resumed after a loss
 * @addr: numeric address
 * @reserved: 0
 */
struct radium_node_info {
	__u32 id;
	__u32 state;
	__u32 reason;
	__u32 epoch;
	__u32 visitors;
	__u32 load;
	__u32 cpus;
	__u32 reserved;
	__u64 rtt;
	__s64 clock_offset;
	__u64 bytes_sent;
	__u64 bytes_received;
	__u64 messages_sent;
	__u64 messages_received;
	__u64 reconnects;
	char addr[RADIUM_ADDR_SIZE];
};

/**
 * struct radium_list - read an array (nodes, processes; of a process threads, pages, counts of pages)
 * @size: sizeof(struct radium_list)
 * @entry_size: size of one entry as the caller knows it; entries are cut or
 *	zero-filled to it
 * @pid: for RADIUM_IOC_THREAD_LIST, RADIUM_IOC_PAGE_LIST and RADIUM_IOC_PAGE_COUNT_LIST: the
 *	process
 * @count: in: room; out: entries written
 * @total: out: entries there are
 * @reserved: 0
 * @entries: user address of the array
 */
struct radium_list {
	__u32 size;
	__u32 entry_size;
	__s32 pid;
	__u32 count;
	__u32 total;
	__u32 reserved;
	__u64 entries;
};

enum radium_move_flags {
	RADIUM_MOVE_ALL_THREADS	= 1 << 0,	/* every thread of the process */
	RADIUM_MOVE_ALL_PAGES	= 1 << 1,	/* recall: bring every page home too */
	RADIUM_MOVE_SELF	= 1 << 2,	/* the caller itself, when the call returns */
	RADIUM_MOVE_NO_WAIT	= 1 << 3,	/* start it and return */
};

/**
 * struct radium_move - migrate or recall
 * @size: sizeof(struct radium_move)
 * @flags: enum radium_move_flags
 * @pid: process, in the caller's PID namespace
 * @tid: thread; 0: migrate the thread that has the number @pid (of a process its first one),
 *	recall all threads
 * @node: target node, 1 to RADIUM_NODE_MAX; the id of this node means home; a recall does not look
 *	at it
 * @timeout_ms: how long to wait, for all threads and pages together, 0 for the default (30,000); out:
 *	what was left of it when a caller that has been moved itself made the call again
 * @reason: out: enum radium_reason if the call failed; of several threads, of the first that did
 * @threads: out: threads that have moved, also if the call failed because of others; migrate, and
 *	recall of one @tid, count those that were there already
 * @pages: out: recall: pages that came home meanwhile; migrate: 0, they follow on demand
 * @bytes: out: bytes sent for the move
 * @ns: out: from the call until the thread runs there
 *
 * Fails with -EINVAL, -ENOTCONN, -ENOENT, -ESRCH, -EPERM, -EHOSTDOWN, -EBUSY, -ETIMEDOUT,
 * -EOPNOTSUPP, -ENOMEM, -EINTR; @reason says more.
 *
 * The wish stays: a thread that comes home for a signal or a system call goes out again, until it
 * is moved elsewhere or recalled, or refused. That nobody waits any longer, -ETIMEDOUT and -EINTR,
 * does not take it back; a recall does. With -ETIMEDOUT and reason PENDING the thread goes when its
 * system call ends.
 */
struct radium_move {
	__u32 size;
	__u32 flags;
	__s32 pid;
	__s32 tid;
	__u32 node;
	__u32 timeout_ms;
	__u32 reason;
	__u32 threads;
	__u64 pages;
	__u64 bytes;
	__u64 ns;
};

/**
 * struct radium_spread - spread the threads of the calling process as they are made
 * @size: sizeof(struct radium_spread)
 * @reason: out: enum radium_reason if the call failed
 * @nodes: bit i: node i+1 may be used, 0: all nodes; home is a node like the others
 *
 * Each new thread is asked to go to the next of these nodes that is up, home first, then
 * by id; the caller takes the first place. What exec and fork make of the process is
 * spread likewise, each process in a round of its own.
 *
 * Fails with -ENOTCONN, -ENOENT, -EHOSTDOWN, -EBUSY, -EOPNOTSUPP, -ENOMEM.
 */
struct radium_spread {
	__u32 size;
	__u32 reason;
	__u64 nodes;
};

/* Bucket i counts [2^i, 2^(i+1)) ns, bucket 0 from 0; the last one has no end. */
enum { RADIUM_LATENCY_BUCKETS = 32 };

/**
 * struct radium_process_info - one distributed process whose home is here
 * @pid: thread group id in the caller's PID namespace
 * @uid: owner
 * @threads: threads that Radium knows
 * @threads_away: of these, away now
 * @nodes: bit i set: a replica exists on node i+1
 * @pages_away: pages owned elsewhere now
 * @pages_copied: pages of which other nodes have read-only copies now
 * @faults: page requests from replicas since the first migration
 * @pages_sent: pages that left and came home
 * @pages_received: see @pages_sent
 * @recalls: times that the owner of a page was asked for it, by whomever
 * @syscalls: delegated system calls
 * @migrations: moves away
 * @returns: moves home
 * @fault_latency: histogram of page requests, served at home
 * @syscall_latency: histogram of delegated calls, executed at home
 * @comm: name
 * @pages_forwarded: pages that went from one node straight to another
 * @pages_upgraded: readers that became owners of what they had, without a page sent
 * @spread: bit i: threads that it makes are sent to node i+1 when it is its turn, as far as
 *	that node is known; 0: they stay where they are made
 * @syscalls_inline: delegated calls whose data travelled with them
 */
struct radium_process_info {
	__s32 pid;
	__u32 uid;
	__u32 threads;
	__u32 threads_away;
	__u64 nodes;
	__u64 pages_away;
	__u64 pages_copied;
	__u64 faults;
	__u64 pages_sent;
	__u64 pages_received;
	__u64 recalls;
	__u64 syscalls;
	__u64 migrations;
	__u64 returns;
	__u64 fault_latency[RADIUM_LATENCY_BUCKETS];
	__u64 syscall_latency[RADIUM_LATENCY_BUCKETS];
	char comm[RADIUM_NAME_SIZE];
	__u64 pages_forwarded;
	__u64 pages_upgraded;
	__u64 spread;
	__u64 syscalls_inline;
};

enum {
	RADIUM_SYSCALL_TOP	= 16,	/* most used system calls listed per thread */
	RADIUM_REASON_MAX	= 64,	/* reasons that are counted per thread */
};

/**
 * struct radium_thread_info - one thread of a distributed process
 * @tid: thread id in the caller's PID namespace
 * @state: enum radium_thread_state
 * @node: node on which it runs
 * @wanted: node on which it was asked to run, 0 for home
 * @reason: enum radium_reason of its last return or refusal
 * @reason_detail: system call number for SYSCALL, WATCHED and SIGNAL (0 if it was in
 *	none); for FAULT, SHARED_MEMORY, MEMORY_KIND, USERFAULTFD and NO_MEMORY the
 *	page's address with the access in its low bits (1 read, 2 write, 4 execute);
 *	for EXCEPTION the signal in the low 8 bits. Of its last return: a refusal leaves
 *	it as it was
 * @reserved: 0
 * @migrations: moves
 * @returns: see @migrations
 * @returns_by_reason: how often it came home, by reason
 * @syscalls: delegated calls
 * @syscall_nr: the most frequent delegated calls; nr -1 ends
 * @syscall_count: see @syscall_nr
 * @faults: pages that it asked home for while it was away, or waited for at home, as its
 *	system calls do always
 * @bytes: bytes of pages that it got while away; pages of zeros are not sent
 * @waited_ns: ns that it waited for pages; while away, as told with its last fault
 */
struct radium_thread_info {
	__s32 tid;
	__u32 state;
	__u32 node;
	__u32 wanted;
	__u32 reason;
	__u32 reserved;
	__u64 reason_detail;
	__u64 migrations;
	__u64 returns;
	__u64 syscalls;
	__u64 returns_by_reason[RADIUM_REASON_MAX];
	__s32 syscall_nr[RADIUM_SYSCALL_TOP];
	__u64 syscall_count[RADIUM_SYSCALL_TOP];
	__u64 faults;
	__u64 bytes;
	__u64 waited_ns;
};

enum { RADIUM_PAGE_THREADS = 4 };	/* threads named for a page */

/**
 * struct radium_page_info - a page that threads on several nodes want
 * @address: of its first byte
 * @moves: how often it has gone from one node to another, since it was first taken
 *	from somebody; of a page that gave way to hotter ones, since it returned
 * @nodes: bit i: node i+1 had it
 * @tids: threads for which it moved last, in the caller's PID namespace: the last one
 *	first. 0: it has no number there, or there are no more
 * @tid_nodes: where they were then; 0: there are no more
 *
 * A thread that is away is also named with its home, where its system calls are done.
 */
struct radium_page_info {
	__u64 address;
	__u64 moves;
	__u64 nodes;
	__s32 tids[RADIUM_PAGE_THREADS];
	__u32 tid_nodes[RADIUM_PAGE_THREADS];
};

/**
 * struct radium_page_count - pages of a distributed process that one node has
 * @node: id
 * @reserved: 0
 * @owned: pages that it may write to
 * @asked: of these, asked for: to come home, to be read by others, or to become another node's
 * @copied: read-only copies
 */
struct radium_page_count {
	__u32 node;
	__u32 reserved;
	__u64 owned;
	__u64 asked;
	__u64 copied;
};

/* Events: read() on the device gives whole structures, poll() says when. */
#define RADIUM_EVENTS(X)		\
	X(MIGRATED, "migrated")		\
	X(RETURNED, "returned")		\
	X(REFUSED, "refused")		\
	X(PROCESS_NEW, "process_new")	\
	X(PROCESS_GONE, "process_gone")	\
	X(PROCESS_KILLED, "process_killed") \
	X(NODE_UP, "node_up")		\
	X(NODE_SUSPECT, "node_suspect")	\
	X(NODE_DEAD, "node_dead")	\
	X(NODE_REFUSED, "node_refused")	\
	X(LOST, "events_lost")

enum radium_event_type {
#define RADIUM_EVENT_ENUM(name, text) RADIUM_EVENT_##name,
	RADIUM_EVENTS(RADIUM_EVENT_ENUM)
#undef RADIUM_EVENT_ENUM
	RADIUM_EVENT_COUNT
};

/**
 * struct radium_event - something that happened
 * @time: CLOCK_MONOTONIC, ns
 * @type: enum radium_event_type
 * @node: node concerned
 * @pid: process and thread, in the initial PID namespace
 * @tid: see @pid
 * @reason: enum radium_reason
 * @count: for LOST: events that did not fit
 *
 * It has no size in it: it is 32 bytes in version 1 of the interface. What needs more is told
 * by a call of its own.
 */
struct radium_event {
	__u64 time;
	__u32 type;
	__u32 node;
	__s32 pid;
	__s32 tid;
	__u32 reason;
	__u32 count;
};

/**
 * struct radium_node_leave - leave the cluster (CAP_SYS_ADMIN)
 * @size: sizeof(struct radium_node_leave)
 * @drain: 1: first send visitors home and recall own threads and pages; for
 *	RADIUM_IOC_NODE_DRAIN this is implied and the node stays a member
 * @timeout_ms: how long to wait, for all of them together, 0 for the default (30,000)
 * @reason: out
 *
 * Fails with -ENOTCONN, -EBUSY (@reason DISTRIBUTED), and with a drain as a recall with
 * RADIUM_MOVE_ALL_PAGES; a node is one as before then.
 */
struct radium_node_leave {
	__u32 size;
	__u32 drain;
	__u32 timeout_ms;
	__u32 reason;
};

/**
 * struct radium_replica - the replica program's one call; never returns to it
 * @size: sizeof(struct radium_replica)
 * @reserved: 0
 * @token: what the module gave the program as its argument
 */
struct radium_replica {
	__u32 size;
	__u32 reserved;
	__u64 token;
};

#define RADIUM_IOC_MAGIC	0xBC
#define RADIUM_IOC_HELLO	_IOWR(RADIUM_IOC_MAGIC, 0, struct radium_hello)
#define RADIUM_IOC_NODE_JOIN	_IOW(RADIUM_IOC_MAGIC, 1, struct radium_node_join)
#define RADIUM_IOC_NODE_LEAVE	_IOWR(RADIUM_IOC_MAGIC, 2, struct radium_node_leave)
#define RADIUM_IOC_NODE_DRAIN	_IOWR(RADIUM_IOC_MAGIC, 3, struct radium_node_leave)
#define RADIUM_IOC_NODE_LIST	_IOWR(RADIUM_IOC_MAGIC, 4, struct radium_list)
#define RADIUM_IOC_MIGRATE	_IOWR(RADIUM_IOC_MAGIC, 5, struct radium_move)
#define RADIUM_IOC_RECALL	_IOWR(RADIUM_IOC_MAGIC, 6, struct radium_move)
#define RADIUM_IOC_PROCESS_LIST	_IOWR(RADIUM_IOC_MAGIC, 7, struct radium_list)
#define RADIUM_IOC_THREAD_LIST	_IOWR(RADIUM_IOC_MAGIC, 8, struct radium_list)
#define RADIUM_IOC_REPLICA	_IOW(RADIUM_IOC_MAGIC, 9, struct radium_replica)
#define RADIUM_IOC_PAGE_LIST	_IOWR(RADIUM_IOC_MAGIC, 10, struct radium_list)
#define RADIUM_IOC_SPREAD	_IOWR(RADIUM_IOC_MAGIC, 11, struct radium_spread)
#define RADIUM_IOC_PAGE_COUNT_LIST _IOWR(RADIUM_IOC_MAGIC, 12, struct radium_list)

#endif /* _UAPI_LINUX_RADIUM_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Radium: what node.c and link*.c share among themselves.
 *
 * Objects
 *	peer	a row of the table of nodes: address, id, state, epoch. Lives from
 *		join (or the first connection) to leave.
 *	node	one session with a peer: streams, calls, receive threads. A peer
 *		that was dead and comes up again gets a new one, so a pointer to a
 *		dead node stays dead for ever.
 *	conn	one RDMA connection: id, queue pair, buffers. A session may have
 *		several of them, one after the other.
 *	dev	the RDMA device with its one protection domain.
 *
 * Locks, outermost first
 *	conn->mutex		attaching against closing
 *	 node->polling		who polls the receive queue; handlers of class
 *				ANSWER run under it
 *	  node->lock		streams, credits, calls, send queue (BH off)
 *	   pool.lock		free landing pages (irqs off)
 *	   numbers		what is expected in landing pages (link_chunk.c)
 *	rad_peers_lock		table of peers, states (link_table.c)
 *	 node->lock		to list a node's counters
 *	node->rx.lock		roles of the receive threads (irqs off); innermost
 *	conns_lock		list of connections (link_conn.c); innermost
 * Handlers of rdma_cm events take conn->mutex, rad_peers_lock and
 * conns_lock; rdma_destroy_id() waits for them, so of these none is held when it is called.
 */
#ifndef _RADIUM_LINK_INTERNAL_H
#define _RADIUM_LINK_INTERNAL_H

#include <linux/hrtimer.h>
#include <linux/kref.h>
#include <linux/kthread.h>
#include <linux/mutex.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_cm.h>
#include "auth.h"
#include "link.h"
#include "node.h"

/* Of the layers above, whose headers need not be known here. */
void rad_process_node_dead(struct rad_node *node);
void rad_event_post(u32 type, u32 node, s32 pid, s32 tid, u32 reason);

enum {
	RAD_CONTROL_BUFFERS	= 16,	/* more, for AUTH, ACK and HEARTBEAT */
	RAD_RECV_DEPTH		= RAD_CLASS_COUNT * RAD_WINDOW + RAD_CONTROL_BUFFERS,
	RAD_SEND_DEPTH		= 2 * RAD_CLASS_COUNT * RAD_WINDOW + 64,
	RAD_QUEUE_MAX		= 65536,	/* messages of a class that wait for an acknowledgement */
	RAD_CALL_BUCKETS	= 256,
	RAD_RX_THREADS		= 4,
	RAD_ANSWER_DEADS	= 3,	/* times dead_ms that an answer at once may take */
	RAD_ANSWER_LATEST	= 4,	/* times that, since it was asked for, however slow the link */

	RAD_ACK_DELAY_MS	= 20,	/* longest time until a message is acknowledged */
	RAD_HEARTBEAT_MS	= 1000,
	RAD_HEARTBEAT_QUICK_MS	= 20,	/* between the first ones, which compare the clocks */
	RAD_HEARTBEAT_QUICK	= 6,
	RAD_CLOCK_SAMPLES	= 3,	/* before a node counts as up */
	RAD_CLOCK_BEST_MS	= 60000,	/* age at which the best sample is replaced */
	RAD_SUSPECT_MS		= 3000,
	RAD_DEAD_MS		= 10000,

	RAD_CONNECT_MS		= 1500,	/* from the first step to an authenticated connection, as a rule */
	RAD_CONNECT_QUICK	= 3,	/* each so manieth attempt has more time */
	RAD_ACCEPT_MS		= 3000,	/* from a request to that, as whoever connects is slow or we are */
	RAD_REFUSE_MS		= 200,	/* so that the other side reads our AUTH, too */
	RAD_BACKOFF_MIN_MS	= 100,
	RAD_BACKOFF_MAX_MS	= 2000,
	RAD_LEAVE_MS		= 2000,	/* for the last heartbeat to get out, behind another one */
	RAD_VAIN_MAX		= 10,	/* connections of a session, one after the other, that moved nothing */
	RAD_REGISTER_MS		= 5000,	/* for a memory registration */
	RAD_REGISTER_MAX_MS	= 15000, /* with what it has to wait for */

	RAD_ACK_TIMEOUT		= 15,	/* of the queue pair: 4.096 us * 2^15 = 134 ms */
	RAD_RETRY_COUNT		= 6,	/* rxe takes 7 for ever */
	RAD_RNR_FOR_EVER	= 7,

	RAD_CHUNK_PAGES		= 64,	/* landing pages registered together */
};

struct rad_conn;
struct rad_peer;

/* The RDMA device in use, and everything registered with it. */
struct rad_hca {
	struct kref ref;
	struct ib_device *ibdev;
	struct ib_pd *pd;
};

/*
 * struct rad_post - what a signaled work request of the send queue belongs to
 * @cqe: its completion names it
 * @entry: in conn->posted, in the order of posting
 * @done: called under node->lock, BH off: completed, or the queue pair is gone
 */
struct rad_post {
	struct ib_cqe cqe;
	struct list_head entry;
	void (*done)(struct rad_conn *conn, struct rad_post *post, bool ok);
};

/*
 * struct rad_msg - behind struct rad_out
 *
 * Belongs to its stream until the peer has acknowledged it, and to the send
 * queue while a work request may still read it (a retransmission may, after the
 * acknowledgement): freed when both are over. Under node->lock from
 * rad_msg_send() on.
 */
struct rad_msg {
	struct rad_out out;
	struct rad_post post;
	struct list_head entry;		/* in stream->queue */
	u64 seq;
	u32 type;
	u32 len;
	u64 call;
	bool posted;
	bool acked;
	bool astray;			/* a page that there is no landing place for */
	bool reserved;			/* of the reserve of link_msg.c */
	struct page *page;
	u64 landing_addr;
	u32 landing_rkey;
	u64 dma;
	rad_sent_fn sent;
	void *sent_arg;
	struct rad_wire_header header;	/* followed by the body */
};

/* A receive buffer; holds a reference to its conn while a handler has it. */
struct rad_buf {
	struct ib_cqe cqe;
	struct rad_conn *conn;
	struct rad_node *node;
	struct list_head entry;		/* in rx.requests */
	struct work_struct work;
	void *data;
	u64 dma;
};

enum {
	RAD_CONN_CLOSING,	/* nothing but the way to its end is left */
	RAD_CONN_LIVE,		/* accepted or connecting: completions count */
	RAD_CONN_AUTH_SENT,
};

/*
 * struct rad_conn - one connection
 * @ref: one for being open, dropped by the close work; one per rad_buf in use
 * @mutex: attaching against closing, and who sends AUTH
 * @node: session it is attached to, with a reference; set once, under @mutex
 * @dialer: peer whose address we connected to, with a reference; NULL: accepted
 * @peer_id: what the other side calls itself
 * @resuming: of a session that is older: what the peer has received is known with its
 *	first message on this connection, and until then nothing of the streams is sent
 * @posted, @send_room: send queue, under node->lock once attached
 * @registration: waits until the send queue is empty, and nothing is posted meanwhile; node->lock
 */
struct rad_conn {
	struct kref ref;
	unsigned long flags;
	u32 reason;		/* why it was closed, enum radium_reason */
	u32 refusal;
	struct list_head entry;
	struct mutex mutex;
	struct rdma_cm_id *id;
	struct rad_hca *dev;
	struct ib_qp *qp;
	struct ib_cq *recv_cq;
	struct ib_cq *send_cq;
	struct rad_node *node;
	struct rad_peer *dialer;
	struct sockaddr_storage from;	/* accepted: where the peer is */
	u32 peer_id;
	bool known;		/* accepted: a peer was at @from when it came */
	bool authed;
	bool resuming;		/* under node->lock */
	bool broken;		/* posting has failed, or a completion: no more of it */
	bool starved;		/* a message waits for room in the send queue */
	bool flushed;		/* a send has completed with an error: so will the rest */
	struct rad_wire_hello connecting;
	struct rad_wire_hello accepting;
	struct rad_wire_auth ours;
	struct rad_wire_auth theirs;
	struct list_head posted;
	u32 send_room;
	struct registration *registration;
	struct rad_msg *auth_msg;
	struct rad_msg *ack_msg;
	struct rad_msg *beat_msg;
	struct rad_buf *bufs;
	struct work_struct auth_work;
	struct work_struct close_work;
	struct delayed_work deadline;
	u32 limit_ms;			/* when that is, from rad_conn_publish() */
	struct completion closed;
};

/*
 * struct rad_stream - one class of messages, both directions
 * @queue: messages sent and not yet acknowledged, oldest first
 * @next: first of @queue not yet posted on this connection, NULL for none
 * @queued: length of @queue
 * @last: sequence number of the newest message in @queue or before
 * @posted: highest sequence number ever posted
 * @acked: highest that the peer has received
 * @limit: highest that the peer has a buffer for
 * @received: last sequence number received
 * @released: how many of these the handlers are through with
 * @told_received, @told_released: what the peer was told of the two
 */
struct rad_stream {
	struct list_head queue;
	struct rad_msg *next;
	u32 queued;
	u64 last;
	u64 posted;
	u64 acked;
	u64 limit;
	u64 received;
	u64 released;
	u64 told_received;
	u64 told_released;
};

struct rad_rx_thread {
	struct rad_node *node;
	struct task_struct *task;
	u32 index;
};

/*
 * struct rad_rx - who receives (link_rx.c)
 * @poller: index of the thread that polls
 * @idle: threads that neither poll nor handle
 * @event: the receive queue has something, the poller has not looked
 * @requests: ORDERED requests that came while @busy
 * @busy: a thread is handling ORDERED requests, in order
 */
struct rad_rx {
	spinlock_t lock;
	u32 poller;
	unsigned long idle;
	bool event;
	bool busy;
	struct list_head requests;
	struct rad_rx_thread threads[RAD_RX_THREADS];
};

/*
 * struct rad_beat - heartbeats and clocks of a session (link_beat.c), node->lock
 * @heard: jiffies when anything was received
 * @heard_before: that, at the last look at it
 * @checked: jiffies of that look
 * @excused: jiffies since @heard in which our own thread was busy
 * @started: jiffies when the connection was attached
 * @was_quiet: nothing had come over it for too long at the last look
 * @next: jiffies when the next heartbeat is due
 * @quick: quick ones left
 * @echo, @echo_at: peer's @sent of its last heartbeat, when it arrived here
 * @lived: ms in which the peer was connected and not silent
 * @samples: clock samples so far
 * @best_rtt, @best_at: of the sample in use
 * @offset: our clocks minus the peer's
 */
struct rad_beat {
	struct timer_list timer;
	unsigned long heard;
	unsigned long heard_before;
	unsigned long checked;
	unsigned long excused;
	unsigned long started;
	bool was_quiet;
	unsigned long next;
	u32 quick;
	bool leaving;
	bool told_leaving;
	bool silent;
	unsigned long looked;	/* jiffies of the last look at that */
	u64 lived;
	u64 acked;		/* messages of class ANSWER, and @lived when it was seen */
	u64 acked_at;
	u64 echo;
	u64 echo_at;
	u32 samples;
	u64 rtt;
	u64 best_rtt;
	unsigned long best_at;
	struct rad_clock_offset offset;
	u32 load;
	u32 cpus;
};

struct rad_node {
	struct kref ref;
	struct rad_peer *peer;
	u32 id;
	u64 session;
	u64 incarnation;	/* the peer's */
	spinlock_t lock;
	bool alive;		/* under @lock; false for ever after the session */
	u32 end_reason;		/* why the session has to end, 0: it has not */
	struct mutex polling;
	struct rad_conn *conn;	/* attached, under @polling and @lock */
	u64 progress;		/* of both directions, when last attached; peer's work only */
	u32 vain;
	struct rad_conn *last_conn;	/* until it is closed, a reference of the peer's work */
	struct rad_stream streams[RAD_CLASS_COUNT];
	struct list_head later;		/* messages that are not in their stream yet */
	struct hrtimer later_timer;
	u64 next_call;
	struct hlist_head calls[RAD_CALL_BUCKETS];
	struct timer_list ack_timer;
	struct rad_rx rx;
	struct rad_beat beat;
	struct work_struct reap_work;
	unsigned long no_forward[BITS_TO_LONGS(RADIUM_NODE_MAX)]; /* see rad_node_forward_failed() */
	u64 bytes_sent;
	u64 bytes_received;
	u64 messages_sent;
	u64 messages_received;
};

/* As the number of a call: there is none. */
#define RAD_CALL_NONE	(~0ULL)

static inline struct rad_msg *rad_msg_of(struct rad_out *out)
{
	return container_of(out, struct rad_msg, out);
}

/* node.c */
extern struct workqueue_struct *rad_wq;		/* peers, handshakes: never long */
extern struct workqueue_struct *rad_conn_wq;	/* closing of connections: waits for nobody */
void rad_node_dev_gone(void);
void rad_node_dev_going(void);
const struct sockaddr *rad_node_addr(void);
u64 rad_node_incarnation(void);

/* link_table.c */
bool rad_same_host(const struct sockaddr_storage *a, const struct sockaddr *b);
bool rad_peer_is_known(const struct sockaddr *addr);
int rad_peer_add(const struct sockaddr *addr);
void rad_peers_start(void);
void rad_peers_stop(void);
u32 rad_peer_list(struct radium_node_info *infos, u32 room);
struct rad_node *rad_node_get_any(const struct rad_node *but);
bool rad_node_any_alive(void);

/* link_peer.c */
void rad_peer_get(struct rad_peer *peer);
void rad_peer_put(struct rad_peer *peer);
void rad_peer_copy_addr(const struct rad_peer *peer, struct sockaddr_storage *to);
void rad_peer_kick(struct rad_peer *peer);
void rad_peer_refused(const struct sockaddr *addr, u32 reason);

/* link_dial.c */
bool rad_peer_is_another(u32 id, const struct sockaddr *addr);
bool rad_peer_admit(u32 id, const struct sockaddr *addr);
void rad_peer_closed(struct rad_conn *conn);

/* link_session.c */
void rad_peer_resume(struct rad_conn *conn, struct rad_wire_auth *auth);
u32 rad_peer_offer(struct rad_conn *conn);
void rad_node_end(struct rad_node *node, u32 reason);

/* link.c */
enum rad_msg_class rad_msg_class_of(u32 type);
enum rad_msg_context rad_msg_context_of(u32 type);
struct rad_node *rad_link_create(struct rad_peer *peer, u32 id, u64 session,
				 u64 incarnation);
void rad_link_free(struct kref *ref);
void rad_link_stop(struct rad_node *node);
int rad_link_attach(struct rad_node *node, struct rad_conn *conn, bool resumed);
void rad_link_detach(struct rad_node *node, struct rad_conn *conn);
struct rad_buf *rad_link_receive(struct rad_node *node, struct rad_conn *conn,
				 const struct ib_wc *wc);
void rad_link_handle(struct rad_node *node, struct rad_buf *buf);
void rad_link_release(struct rad_node *node, struct rad_buf *buf);

/* link_post.c */
void rad_link_push(struct rad_node *node);
void rad_link_reap(struct rad_node *node, struct rad_conn *conn);
void rad_link_unpost(struct rad_node *node, struct rad_conn *conn);
void rad_link_broke(struct rad_conn *conn, u32 reason);
int rad_link_post_control(struct rad_node *node, struct rad_conn *conn,
			  struct rad_msg *msg);
int rad_link_register(struct rad_node *node, struct ib_reg_wr *wr);

/* link_send.c */
void rad_link_init_streams(struct rad_node *node);
int rad_link_send(struct rad_node *to, struct rad_msg *msg, struct rad_call *call);
void rad_link_refuse(struct rad_msg *msg);
bool rad_link_send_ack(struct rad_node *node);
void rad_link_push_soon(struct rad_node *node);
void rad_link_ack_soon(struct rad_node *node);
void rad_stream_acked(struct rad_stream *stream, u64 ack, struct list_head *list);
void rad_link_finish(struct rad_node *node, struct list_head *list, bool delivered);
void rad_link_drop(struct rad_node *node);

/* link_msg.c */
void rad_msg_destroy(struct rad_msg *msg);

/* link_call.c */
void rad_call_add(struct rad_node *node, struct rad_call *call);
u64 rad_call_expand(struct rad_node *node, u32 low);
void rad_call_answer(struct rad_node *node, const struct rad_in *in);
void rad_call_forwarded(const struct rad_in *in);
bool rad_call_overdue(struct rad_node *node, u64 lived);
void rad_call_fail_all(struct rad_node *node);

/* link_rx.c */
int rad_rx_start(struct rad_node *node);
void rad_rx_stop(struct rad_node *node);
void rad_rx_kick(struct rad_node *node);
void rad_rx_work(struct work_struct *work);

/* link_beat.c */
void rad_beat_init(struct rad_node *node);
void rad_beat_start(struct rad_node *node);
void rad_beat_stop(struct rad_node *node);
void rad_beat_receive(struct rad_node *node, const struct rad_wire_heartbeat *beat);
void rad_beat_leave(struct rad_node *node);
bool rad_beat_synced(struct rad_node *node);
extern unsigned int rad_suspect_ms;
extern unsigned int rad_dead_ms;

/* link_cm.c */
int rad_cm_listen(const struct sockaddr *addr);
void rad_cm_unlisten(void);
int rad_conn_dial(struct rad_peer *peer, u32 ms);

/* link_conn.c */
struct rad_conn *rad_conn_alloc(void);
struct rad_conn *rad_conn_get(struct rad_conn *conn);
void rad_conn_put(struct rad_conn *conn);
bool rad_conn_has_room(const struct sockaddr *from, bool known);
bool rad_conn_publish(struct rad_conn *conn);
void rad_conn_close(struct rad_conn *conn, u32 reason);
void rad_conn_close_sync(struct rad_conn *conn, u32 reason);
void rad_conn_allow(void);
void rad_conn_close_all(void);

/* link_queue.c */
int rad_queues_create(struct rad_conn *conn);
int rad_queues_connect(struct rad_conn *conn);
int rad_queues_trust(struct rad_conn *conn);
void rad_queues_stop(struct rad_conn *conn);
void rad_queues_destroy(struct rad_conn *conn);
int rad_conn_repost(struct rad_conn *conn, struct rad_buf *buf);

/* link_handshake.c */
void rad_hello_make(struct rad_wire_hello *hello);
u32 rad_hello_check(const void *data, u8 len);
void rad_handshake_send_auth(struct rad_conn *conn);
void rad_handshake_work(struct work_struct *work);

/* link_hca.c */
int rad_hca_init(void);
void rad_hca_uninit(void);
int rad_hca_open(struct ib_device *ibdev, u32 port);
void rad_hca_close(void);
struct rad_hca *rad_hca_get(struct ib_device *ibdev);
struct rad_hca *rad_hca_current(void);
void rad_hca_put(struct rad_hca *dev);

/* link_pool.c */
void rad_pool_init(void);
void rad_pool_uninit(void);
void rad_pool_open(void);
void rad_pool_spoil(u32 rkey);
void rad_pool_close(void);

/* link_chunk.c */
void rad_landing_expect(struct rad_landing *landing, struct rad_call *call);
struct rad_call *rad_landing_expected(u32 token, struct rad_node **node);

#endif /* _RADIUM_LINK_INTERNAL_H */

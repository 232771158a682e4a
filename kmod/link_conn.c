// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: connections: who may find one, and how it ends.
 *
 * Whatever goes wrong with a connection at any time ends in rad_conn_close(),
 * whose work item is the only place where a connection that was once published
 * is taken apart:
 * 1. CLOSING is set: events of rdma_cm do nothing any more, once they have passed
 *    conn->mutex; nothing is attached any more.
 * 2. Detached: no receive thread polls, nobody posts.
 * 3. The queue pair is destroyed: the device neither reads nor writes for it.
 * 4. The completion queues are destroyed: no completion handler runs; the work
 *    item that polled for AUTH has ended.
 * 5. So what was posted is ours again: unmapped, and freed or kept for replay.
 * 6. The id is destroyed: no event handler runs.
 * 7. Whoever waits for @closed goes on; buffers that handlers still read stay
 *    until the last of them returns.
 */

#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include "link_internal.h"

/*
 * Accepted connections in the handshake. Who makes them need not have the key: so a machine has a few
 * only, and what no peer is at has no more than a part. A peer needs one that begins, while one that it
 * has given up lasts, and another is being closed.
 */
enum {
	MAX_UNAUTHENTICATED	= 32,
	MAX_OF_STRANGERS	= 16,
	MAX_OF_HOST		= 3,
};

/* All published connections; @conns_open: more may be. */
static DEFINE_SPINLOCK(conns_lock);
static LIST_HEAD(conns);
static bool conns_open;
static DECLARE_WAIT_QUEUE_HEAD(conns_gone);

/* ---- references ---- */

static void conn_release(struct kref *ref)
{
	struct rad_conn *conn = container_of(ref, struct rad_conn, ref);
	u32 i;

	if (conn->bufs)
		for (i = 0; i < RAD_RECV_DEPTH; i++)
			kfree(conn->bufs[i].data);
	kvfree(conn->bufs);
	kfree(conn->auth_msg);
	kfree(conn->ack_msg);
	kfree(conn->beat_msg);
	if (conn->node)
		rad_node_put(conn->node);
	if (conn->dialer)
		rad_peer_put(conn->dialer);
	kfree(conn);
}

struct rad_conn *rad_conn_get(struct rad_conn *conn)
{
	kref_get(&conn->ref);
	return conn;
}

void rad_conn_put(struct rad_conn *conn)
{
	kref_put(&conn->ref, conn_release);
}

/* ---- publishing and closing ---- */

/*
 * Drivers allocate even to destroy a queue pair. That must not become reclaim: it may
 * wait for a page of the node whose session ends when this is through.
 */
static void close_work(struct work_struct *work)
{
	struct rad_conn *conn = container_of(work, struct rad_conn, close_work);
	unsigned int reclaim = memalloc_noreclaim_save();
	struct rad_node *node;

	cancel_delayed_work_sync(&conn->deadline);
	mutex_lock(&conn->mutex);
	node = conn->node;
	mutex_unlock(&conn->mutex);
	if (node)
		rad_link_detach(node, conn);
	if (conn->qp) {
		rad_queues_stop(conn);
		rdma_disconnect(conn->id);
	}
	rad_queues_destroy(conn);
	rdma_destroy_id(conn->id);
	/* The last event handler may have queued it. */
	cancel_work_sync(&conn->auth_work);
	/* Neither event handler nor auth_work is left that could start it anew. */
	cancel_delayed_work_sync(&conn->deadline);
	rad_peer_closed(conn);
	complete_all(&conn->closed);
	spin_lock(&conns_lock);
	list_del(&conn->entry);
	if (list_empty(&conns))
		wake_up_all(&conns_gone);
	spin_unlock(&conns_lock);
	rad_conn_put(conn);
	memalloc_noreclaim_restore(reclaim);
}

/**
 * rad_conn_close - close a connection, some time soon
 * @conn: a published connection
 * @reason: why; the first one counts
 *
 * Context: any.
 */
void rad_conn_close(struct rad_conn *conn, u32 reason)
{
	if (test_and_set_bit(RAD_CONN_CLOSING, &conn->flags))
		return;
	conn->reason = reason;
	queue_work(rad_conn_wq, &conn->close_work);
}

/**
 * rad_conn_close_sync - close a connection and wait until it is closed
 * @conn: a published connection; the caller has a reference
 * @reason: why
 *
 * Context: process, not in a handler of rdma_cm. Bounded by the device's and
 * rdma_cm's own bounds.
 */
void rad_conn_close_sync(struct rad_conn *conn, u32 reason)
{
	rad_conn_close(conn, reason);
	wait_for_completion(&conn->closed);
}

/**
 * rad_conn_allow - from now on connections may begin
 *
 * Until rad_conn_close_all(). Context: process.
 */
void rad_conn_allow(void)
{
	spin_lock(&conns_lock);
	conns_open = true;
	spin_unlock(&conns_lock);
}

/**
 * rad_conn_close_all - close every connection, and let no new one begin
 *
 * Until rad_conn_allow(). Context: process, sleeps.
 */
void rad_conn_close_all(void)
{
	struct rad_conn *conn;

	spin_lock(&conns_lock);
	conns_open = false;
	list_for_each_entry(conn, &conns, entry)
		rad_conn_close(conn, RADIUM_R_UNREACHABLE);
	spin_unlock(&conns_lock);
	wait_event(conns_gone, list_empty_careful(&conns));
	/* The last one woke us under the lock. */
	spin_lock(&conns_lock);
	spin_unlock(&conns_lock);
}

/* Those of strangers count for peers as well; those of peers do not take the strangers' part. */
static bool has_room(const struct sockaddr *from, bool known)
{
	u32 all = 0, of_strangers = 0, of_host = 0;
	struct rad_conn *conn;

	lockdep_assert_held(&conns_lock);
	list_for_each_entry(conn, &conns, entry) {
		if (conn->dialer || conn->authed)
			continue;
		all++;
		of_strangers += !conn->known;
		of_host += rad_same_host(&conn->from, from);
	}
	return conns_open && all < MAX_UNAUTHENTICATED && of_host < MAX_OF_HOST &&
	       (known || of_strangers < MAX_OF_STRANGERS);
}

static void deadline(struct work_struct *work)
{
	struct rad_conn *conn = container_of(to_delayed_work(work), struct rad_conn,
					     deadline);

	if (conn->refusal || !conn->authed)
		rad_conn_close(conn, conn->refusal ?: RADIUM_R_UNREACHABLE);
}

/**
 * rad_conn_has_room - may another one come that has not been authenticated?
 * @from: where it comes from
 * @known: whether a peer is there
 *
 * Context: process.
 */
bool rad_conn_has_room(const struct sockaddr *from, bool known)
{
	bool room;

	spin_lock(&conns_lock);
	room = has_room(from, known);
	spin_unlock(&conns_lock);
	return room;
}

/**
 * rad_conn_publish - let others find a connection, and close it
 * @conn: the connection; the caller's reference becomes that of being open
 *
 * Context: process.
 * Return: false: no connection may begin now, or too many are in the handshake, see
 * rad_conn_has_room(); the reference is the caller's still.
 */
bool rad_conn_publish(struct rad_conn *conn)
{
	bool open;

	spin_lock(&conns_lock);
	open = conn->dialer ? conns_open :
	       has_room((struct sockaddr *)&conn->from, conn->known);
	if (open) {
		list_add(&conn->entry, &conns);
		/* Under the lock: after it the connection may be closed, which cancels this. */
		queue_delayed_work(rad_wq, &conn->deadline, msecs_to_jiffies(conn->limit_ms));
	}
	spin_unlock(&conns_lock);
	return open;
}

/**
 * rad_conn_alloc - make a connection that nobody knows yet
 *
 * Return: the connection, with a reference, or NULL.
 */
struct rad_conn *rad_conn_alloc(void)
{
	struct rad_conn *conn = kzalloc(sizeof(*conn), GFP_KERNEL);

	if (!conn)
		return NULL;
	kref_init(&conn->ref);
	mutex_init(&conn->mutex);
	INIT_LIST_HEAD(&conn->posted);
	INIT_WORK(&conn->auth_work, rad_handshake_work);
	INIT_WORK(&conn->close_work, close_work);
	INIT_DELAYED_WORK(&conn->deadline, deadline);
	init_completion(&conn->closed);
	return conn;
}

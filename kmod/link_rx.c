// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: the threads that receive.
 *
 * Each session has RAD_RX_THREADS threads. One of them is the poller: it takes
 * messages off the receive queue and handles those of class ANSWER itself. For
 * a message that may take long (a REQUEST) it first names an idle thread the
 * new poller and then handles the message itself: no other thread has to wake up
 * between the arrival of a message and its handler, and whatever the handler
 * waits for, the next completion finds a poller. ORDERED requests keep their
 * order: while one thread handles them, others only append to its list.
 *
 * A WORKER message takes a thread only while two are idle, so that one is left
 * for ORDERED requests; otherwise it goes to a work queue. Hence, when @busy is
 * false at least one thread is idle (counting from the poller: itself, at most
 * RAD_RX_THREADS - 2 workers, one idle), and handing over never fails.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/sched.h>
#include <linux/sched/mm.h>
#include "link_internal.h"

enum { NICE_HIGHEST = -20 };

/**
 * rad_rx_kick - there is something in the receive queue
 * @node: session
 *
 * Context: any, also hard interrupts.
 */
void rad_rx_kick(struct rad_node *node)
{
	struct rad_rx *rx = &node->rx;
	unsigned long flags;

	spin_lock_irqsave(&rx->lock, flags);
	rx->event = true;
	if (rx->threads[rx->poller].task)
		wake_up_process(rx->threads[rx->poller].task);
	spin_unlock_irqrestore(&rx->lock, flags);
}

/* Make another thread the poller; node->polling is held, for @conn. */
static void hand_over(struct rad_node *node, struct rad_conn *conn)
{
	struct rad_rx *rx = &node->rx;
	bool missed;

	missed = ib_req_notify_cq(conn->recv_cq, IB_CQ_NEXT_COMP |
				  IB_CQ_REPORT_MISSED_EVENTS) > 0;
	spin_lock_irq(&rx->lock);
	rx->poller = __ffs(rx->idle);
	__clear_bit(rx->poller, &rx->idle);
	rx->event |= missed;
	if (rx->event)
		wake_up_process(rx->threads[rx->poller].task);
	spin_unlock_irq(&rx->lock);
}

static bool may_keep_worker(struct rad_rx *rx)
{
	bool may;

	spin_lock_irq(&rx->lock);
	may = hweight_long(rx->idle) >= 2;
	spin_unlock_irq(&rx->lock);
	return may;
}

/* Append an ORDERED request. Returns whether the caller has to handle the list. */
static bool append_request(struct rad_rx *rx, struct rad_buf *buf)
{
	bool mine;

	spin_lock_irq(&rx->lock);
	list_add_tail(&buf->entry, &rx->requests);
	mine = !rx->busy;
	rx->busy = true;
	spin_unlock_irq(&rx->lock);
	return mine;
}

/*
 * The next of the list, or NULL: then @me is idle before anybody else can have to
 * handle the list, and look for somebody to hand over to.
 */
static struct rad_buf *next_request(struct rad_rx *rx, u32 me)
{
	struct rad_buf *buf;

	spin_lock_irq(&rx->lock);
	buf = list_first_entry_or_null(&rx->requests, struct rad_buf, entry);
	if (buf) {
		list_del(&buf->entry);
	} else {
		rx->busy = false;
		__set_bit(me, &rx->idle);
	}
	spin_unlock_irq(&rx->lock);
	return buf;
}

static void handle(struct rad_node *node, struct rad_buf *buf)
{
	rad_link_handle(node, buf);
	rad_link_release(node, buf);
}

/**
 * rad_rx_work - handle a WORKER message on the work queue
 * @work: in its rad_buf, which holds a reference to the session
 */
void rad_rx_work(struct work_struct *work)
{
	struct rad_buf *buf = container_of(work, struct rad_buf, work);
	struct rad_node *node = buf->node;

	handle(node, buf);
	rad_node_put(node);
}

/*
 * Do what can be done with a message while staying the poller. Returns whether
 * the poller itself has to handle it, or the list of requests, and must hand over.
 */
static bool dispatch(struct rad_node *node, struct rad_buf *buf)
{
	const struct rad_wire_header *h = buf->data;
	unsigned int reclaim;

	if (h->class == RAD_CLASS_ANSWER) {
		/*
		 * Others wait for answers with locks held that reclaim takes (khugepaged, in
		 * the notifier, that of an anon_vma): nothing here may wait for reclaim.
		 */
		reclaim = memalloc_noreclaim_save();
		handle(node, buf);
		memalloc_noreclaim_restore(reclaim);
		return false;
	}
	if (rad_msg_context_of(h->type) == RAD_CONTEXT_ORDERED)
		return append_request(&node->rx, buf);
	if (may_keep_worker(&node->rx))
		return true;
	buf->node = rad_node_get(node);
	queue_work(rad_worker_wq, &buf->work);
	return false;
}

static bool poll_more(struct rad_conn *conn, struct ib_wc *wc)
{
	while (ib_poll_cq(conn->recv_cq, 1, wc) <= 0)
		if (ib_req_notify_cq(conn->recv_cq, IB_CQ_NEXT_COMP |
				     IB_CQ_REPORT_MISSED_EVENTS) <= 0)
			return false;
	return true;
}

/* Poll until the queue is empty, or a message comes that makes us hand over. */
static struct rad_buf *poll(struct rad_node *node)
{
	struct rad_conn *conn;
	struct rad_buf *buf;
	struct ib_wc wc;

	mutex_lock(&node->polling);
	conn = node->conn;
	if (conn && READ_ONCE(conn->starved)) {
		spin_lock_bh(&node->lock);
		rad_link_push(node);
		spin_unlock_bh(&node->lock);
	}
	while (conn && !test_bit(RAD_CONN_CLOSING, &conn->flags) &&
	       !READ_ONCE(node->end_reason) && poll_more(conn, &wc)) {
		cond_resched();
		buf = rad_link_receive(node, conn, &wc);
		if (!buf || !dispatch(node, buf))
			continue;
		hand_over(node, conn);
		mutex_unlock(&node->polling);
		return buf;
	}
	mutex_unlock(&node->polling);
	return NULL;
}

static void run(struct rad_node *node, u32 me)
{
	struct rad_rx *rx = &node->rx;
	struct rad_buf *buf = poll(node);
	const struct rad_wire_header *h;

	if (!buf)
		return;
	h = buf->data;
	if (rad_msg_context_of(h->type) != RAD_CONTEXT_WORKER) {
		while ((buf = next_request(rx, me)))
			handle(node, buf);
		return;
	}
	handle(node, buf);
	spin_lock_irq(&rx->lock);
	__set_bit(me, &rx->idle);
	spin_unlock_irq(&rx->lock);
}

static bool my_turn(struct rad_rx *rx, u32 me)
{
	bool mine;

	spin_lock_irq(&rx->lock);
	mine = rx->poller == me && rx->event;
	if (mine)
		rx->event = false;
	spin_unlock_irq(&rx->lock);
	return mine;
}

static int rx_thread(void *arg)
{
	struct rad_rx_thread *thread = arg;
	struct rad_node *node = thread->node;

	set_user_nice(current, NICE_HIGHEST);
	for (;;) {
		set_current_state(TASK_IDLE);
		if (kthread_should_stop())
			break;
		if (!my_turn(&node->rx, thread->index)) {
			schedule();
			continue;
		}
		__set_current_state(TASK_RUNNING);
		run(node, thread->index);
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static void stop_threads(struct rad_node *node)
{
	u32 i;

	for (i = 0; i < RAD_RX_THREADS; i++)
		if (node->rx.threads[i].task)
			kthread_stop(node->rx.threads[i].task);
}

/* The list can only be left over if its thread was stopped; nobody else comes. */
static void drop_requests(struct rad_node *node)
{
	struct rad_buf *buf;

	while ((buf = next_request(&node->rx, 0)))
		rad_link_release(node, buf);
}

static void reap(struct work_struct *work)
{
	struct rad_node *node = container_of(work, struct rad_node, reap_work);

	stop_threads(node);
	drop_requests(node);
	rad_node_put(node);
}

/**
 * rad_rx_start - start the threads of a session
 * @node: session, not connected yet
 *
 * Context: process.
 * Return: 0 or a negative errno, and then there is no thread.
 */
int rad_rx_start(struct rad_node *node)
{
	struct rad_rx *rx = &node->rx;
	struct task_struct *task;
	u32 i;

	spin_lock_init(&rx->lock);
	INIT_LIST_HEAD(&rx->requests);
	INIT_WORK(&node->reap_work, reap);
	rx->idle = GENMASK(RAD_RX_THREADS - 1, 1);
	for (i = 0; i < RAD_RX_THREADS; i++) {
		rx->threads[i].node = node;
		rx->threads[i].index = i;
		task = kthread_create(rx_thread, &rx->threads[i], "radium-rx%u.%u",
				      node->id, i);
		if (IS_ERR(task)) {
			stop_threads(node);
			return PTR_ERR(task);
		}
		rx->threads[i].task = task;
	}
	for (i = 0; i < RAD_RX_THREADS; i++)
		wake_up_process(rx->threads[i].task);
	return 0;
}

/**
 * rad_rx_stop - have the threads end as soon as their handlers return
 * @node: session that has ended: its handlers' calls fail, so that they do return
 *
 * Context: process; does not wait. rad_worker_wq is flushed before the module goes.
 */
void rad_rx_stop(struct rad_node *node)
{
	rad_node_get(node);
	queue_work(rad_worker_wq, &node->reap_work);
}

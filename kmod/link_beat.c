// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: heartbeats, and what they tell: life, clocks, load.
 *
 * They are sent from a timer, so that a node that is short of memory or of
 * workers still shows that it lives. Clocks are compared as NTP does: each
 * heartbeat echoes the last one of the other side with the time that passed in
 * between; of the samples the one with the least round trip is kept, since its
 * error is at most half of that: until another one says that a clock has stood still, as that of
 * a machine does that is frozen.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/cpumask.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sched/loadavg.h>
#include "link_internal.h"
#include "silence.h"

enum {
	CHECK_MS	= RAD_HEARTBEAT_MS / 4,
	QUIET_MS	= 2 * RAD_HEARTBEAT_MS + CHECK_MS,	/* without a heartbeat: one is missing */
	SILENCE_MAX_MS	= 3600 * MSEC_PER_SEC,
	DRIFT_NS	= NSEC_PER_MSEC,	/* of two clocks while a sample is kept, about */
};

unsigned int rad_suspect_ms = RAD_SUSPECT_MS;
unsigned int rad_dead_ms = RAD_DEAD_MS;

/* A node that has missed one heartbeat is neither. */
static int set_silence(const char *value, const struct kernel_param *kp)
{
	return param_set_uint_minmax(value, kp, QUIET_MS, SILENCE_MAX_MS);
}

static const struct kernel_param_ops silence_ops = { .set = set_silence, .get = param_get_uint };

module_param_cb(suspect_ms, &silence_ops, &rad_suspect_ms, 0644);
MODULE_PARM_DESC(suspect_ms, "Silence after which a node is suspect, ms");
module_param_cb(dead_ms, &silence_ops, &rad_dead_ms, 0644);
MODULE_PARM_DESC(dead_ms, "Silence after which a node is dead, ms");

static bool is_synced(const struct rad_beat *beat)
{
	return READ_ONCE(beat->samples) >= RAD_CLOCK_SAMPLES;
}

static void beat_fill(struct rad_node *node, struct rad_wire_heartbeat *body)
{
	struct rad_beat *beat = &node->beat;
	u64 now = ktime_get_ns();

	body->sent = cpu_to_le64(now);
	body->sent_boot = cpu_to_le64(ktime_get_boottime_ns());
	body->echo = cpu_to_le64(beat->echo);
	body->echo_delay = cpu_to_le64(beat->echo ? now - beat->echo_at : 0);
	body->load = cpu_to_le32((avenrun[0] * 100) >> FSHIFT);
	body->cpus = cpu_to_le32(num_online_cpus());
	body->flags = cpu_to_le32((beat->leaving ? RAD_HEARTBEAT_LEAVING : 0) |
				  (is_synced(beat) ? 0 : RAD_HEARTBEAT_ANSWER));
}

static void beat_send(struct rad_node *node)
{
	struct rad_conn *conn = node->conn;

	lockdep_assert_held(&node->lock);
	if (!conn)
		return;
	rad_link_reap(node, conn);
	if (conn->beat_msg->posted)
		return;
	beat_fill(node, conn->beat_msg->out.body);
	if (!rad_link_post_control(node, conn, conn->beat_msg))
		node->beat.told_leaving = node->beat.leaving;
}

/**
 * rad_node_answer_ms - how long an answer may take for which a node waits for nobody
 */
u32 rad_node_answer_ms(void)
{
	return RAD_ANSWER_DEADS * READ_ONCE(rad_dead_ms);
}

/*
 * A queue pair whose peer does not answer says so long before. Where nothing has come over a connection
 * that has not broken, it is not only the peer that may be at fault: rxe's may stop without a word. With
 * another one one will see, while there is time for that. Not because we stood still ourselves, nor
 * before there was time for the peer's heartbeat.
 */
static void check_connection(struct rad_node *node, u32 silence, unsigned long since)
{
	struct rad_beat *beat = &node->beat;
	u32 ms = min_t(u32, silence, jiffies_to_msecs(jiffies - beat->started));
	bool quiet = node->conn && !node->conn->broken &&
		     ms >= max_t(u32, READ_ONCE(rad_dead_ms) / 2, QUIET_MS);

	if (quiet && beat->was_quiet && jiffies_to_msecs(since) <= 2 * CHECK_MS)
		rad_link_broke(node->conn, RADIUM_R_KEEPALIVE);
	beat->was_quiet = quiet;
}

/*
 * How long is it silent? Not while our own thread, which would hear it, is busy with what has come
 * before: but for so long as an answer may take at most.
 */
static u32 silence_ms(struct rad_node *node)
{
	struct rad_beat *beat = &node->beat;
	unsigned long heard = READ_ONCE(beat->heard), silence = rad_silence(jiffies, heard);

	if (heard != beat->heard_before) {
		beat->heard_before = heard;
		beat->excused = 0;
	} else if (mutex_is_locked(&node->polling)) {
		beat->excused = min(beat->excused + (jiffies - beat->checked),
				    msecs_to_jiffies(rad_node_answer_ms()));
	}
	beat->checked = jiffies;
	return jiffies_to_msecs(silence - min(silence, beat->excused));
}

static void check_silence(struct rad_node *node)
{
	unsigned long since = jiffies - node->beat.checked;
	u32 ms = silence_ms(node);
	bool silent = ms >= READ_ONCE(rad_suspect_ms), was = node->beat.silent;

	/* Before who reads it is told to. */
	WRITE_ONCE(node->beat.silent, silent);
	if (ms >= READ_ONCE(rad_dead_ms))
		rad_node_end(node, RADIUM_R_KEEPALIVE);
	else if (silent != was)
		rad_peer_kick(node->peer);
	check_connection(node, ms, since);
}

/*
 * What the peer answers at once it would have answered by now. Only time counts in which it was
 * heard of on a connection that works, and in which we were there ourselves; so what waits for a
 * connection to be resumed, or for a machine that stands still, has its time nevertheless; and so
 * has what it has not received yet, as long as it goes on receiving, but RAD_ANSWER_LATEST times
 * that at most. What it has to wait for itself, reserves of memory say, ends when it has not heard
 * of us for dead_ms.
 */
static void check_answers(struct rad_node *node)
{
	struct rad_beat *beat = &node->beat;
	u32 ms = jiffies_to_msecs(jiffies - beat->looked);

	if (ms < CHECK_MS)
		return;
	beat->looked = jiffies;
	if (beat->silent || !node->conn || node->conn->broken || node->conn->resuming)
		return;
	beat->lived += min_t(u32, ms, 2 * CHECK_MS);
	if (beat->acked != node->streams[RAD_CLASS_ANSWER].acked) {
		beat->acked = node->streams[RAD_CLASS_ANSWER].acked;
		beat->acked_at = beat->lived;
	}
	if (rad_call_overdue(node, rad_node_answer_ms()))
		rad_node_protocol_error(node, "PAGE_REVOKE: not answered");
}

static void beat_timer(struct timer_list *timer)
{
	struct rad_beat *beat = from_timer(beat, timer, timer);
	struct rad_node *node = container_of(beat, struct rad_node, beat);
	bool quick;

	spin_lock(&node->lock);
	if (!node->alive)
		goto out;
	quick = beat->quick || (!is_synced(beat) && node->conn);
	if (quick || time_after_eq(jiffies, beat->next)) {
		beat_send(node);
		beat->quick -= !!beat->quick;
		beat->next = jiffies + msecs_to_jiffies(RAD_HEARTBEAT_MS);
	}
	mod_timer(timer, jiffies + msecs_to_jiffies(quick ? RAD_HEARTBEAT_QUICK_MS : CHECK_MS));
	check_silence(node);
	check_answers(node);
out:
	spin_unlock(&node->lock);
}

/*
 * The best one serves for a minute; then one that is nearly as good takes its place, in each further
 * minute one that took up to twice as long as in the last.
 */
static bool is_kept(const struct rad_beat *beat, s64 rtt)
{
	unsigned long age = (jiffies - beat->best_at) / msecs_to_jiffies(RAD_CLOCK_BEST_MS);

	return rtt >> min(age, 62ul) > beat->best_rtt;
}

/*
 * t1: our heartbeat left, t2: it arrived there, t3: the answer left there,
 * t4: it arrived here. t1 and t4 are our clock, t2 and t3 the peer's.
 */
static void take_sample(struct rad_beat *beat, u64 t1, u64 t2, u64 t3, u64 t4)
{
	s64 rtt = (s64)(t4 - t1) - (s64)(t3 - t2);
	s64 mono = ((s64)(t1 - t2) + (s64)(t4 - t3)) / 2;
	bool agrees;

	if (t1 > t4 || rtt < 0)
		return;		/* not an echo of ours */
	agrees = abs(mono - beat->offset.mono) <= (rtt + (s64)beat->best_rtt) / 2 + DRIFT_NS;
	beat->rtt = beat->samples ? beat->rtt - beat->rtt / 8 + rtt / 8 : rtt;
	beat->samples++;
	if (beat->samples > 1 && agrees && is_kept(beat, rtt))
		return;
	beat->best_rtt = rtt;
	beat->best_at = jiffies;
	WRITE_ONCE(beat->offset.mono, mono);
}

/* CLOCK_BOOTTIME differs from CLOCK_MONOTONIC by what each side says itself. */
static void take_clocks(struct rad_beat *beat, const struct rad_wire_heartbeat *body)
{
	u64 sent = le64_to_cpu(body->sent);
	u64 mono = ktime_get_ns();

	beat->offset.boot = beat->offset.mono + (s64)(ktime_get_boottime_ns() - mono) -
			    (s64)(le64_to_cpu(body->sent_boot) - sent);
}

/**
 * rad_beat_receive - a heartbeat has come
 * @node: session
 * @body: the heartbeat
 *
 * Context: the polling thread.
 */
void rad_beat_receive(struct rad_node *node, const struct rad_wire_heartbeat *body)
{
	struct rad_beat *beat = &node->beat;
	u64 now = ktime_get_ns();
	u64 sent = le64_to_cpu(body->sent);
	u64 echo = le64_to_cpu(body->echo);
	u32 flags = le32_to_cpu(body->flags);
	bool synced;

	spin_lock_bh(&node->lock);
	beat->echo = sent;
	beat->echo_at = now;
	beat->load = le32_to_cpu(body->load);
	beat->cpus = le32_to_cpu(body->cpus);
	synced = is_synced(beat);
	if (echo)
		take_sample(beat, echo, sent - le64_to_cpu(body->echo_delay), sent, now);
	if (beat->samples)
		take_clocks(beat, body);
	synced = !synced && is_synced(beat);
	if (flags & RAD_HEARTBEAT_ANSWER)
		beat_send(node);
	spin_unlock_bh(&node->lock);
	if (flags & RAD_HEARTBEAT_LEAVING)
		rad_node_end(node, RADIUM_R_NODE_LOST);
	else if (synced)
		rad_peer_kick(node->peer);
}

/**
 * rad_beat_synced - have the clocks been compared well enough?
 * @node: session
 */
bool rad_beat_synced(struct rad_node *node)
{
	return is_synced(&node->beat);
}

/**
 * rad_beat_leave - tell the peer that we are leaving
 * @node: session
 *
 * Context: process; waits up to RAD_LEAVE_MS for the heartbeat to get out, not where nothing is
 * heard of the peer.
 */
void rad_beat_leave(struct rad_node *node)
{
	unsigned long end = jiffies + msecs_to_jiffies(RAD_LEAVE_MS);
	bool out;

	spin_lock_bh(&node->lock);
	node->beat.leaving = true;
	beat_send(node);
	spin_unlock_bh(&node->lock);
	do {
		schedule_timeout_uninterruptible(1);
		spin_lock_bh(&node->lock);
		/* One of before may have been on its way. */
		if (!node->beat.told_leaving)
			beat_send(node);
		else if (node->conn)
			rad_link_reap(node, node->conn);
		out = !node->conn || node->conn->broken || node->beat.silent ||
		      (node->beat.told_leaving && !node->conn->beat_msg->posted);
		spin_unlock_bh(&node->lock);
	} while (!out && time_before(jiffies, end));
}

void rad_beat_init(struct rad_node *node)
{
	timer_setup(&node->beat.timer, beat_timer, 0);
	node->beat.heard = jiffies;
	node->beat.checked = jiffies;
	node->beat.looked = jiffies;
}

/**
 * rad_beat_start - begin, or begin anew with quick ones after a connection was lost
 * @node: session; connected, or it has lost that connection already
 *
 * Context: process.
 */
void rad_beat_start(struct rad_node *node)
{
	spin_lock_bh(&node->lock);
	if (node->alive) {
		node->beat.quick = RAD_HEARTBEAT_QUICK;
		node->beat.started = jiffies;
		mod_timer(&node->beat.timer, jiffies);
	}
	spin_unlock_bh(&node->lock);
}

/**
 * rad_beat_stop - no more heartbeats
 * @node: session, not alive
 *
 * Context: process.
 */
void rad_beat_stop(struct rad_node *node)
{
	del_timer_sync(&node->beat.timer);
}

/**
 * rad_node_clock_offset - how our clocks differ from a node's
 * @node: the node
 * @offset: our clocks minus its clocks
 *
 * Valid once the node has been up. Context: process.
 */
void rad_node_clock_offset(struct rad_node *node, struct rad_clock_offset *offset)
{
	spin_lock_bh(&node->lock);
	*offset = node->beat.offset;
	spin_unlock_bh(&node->lock);
}

/**
 * rad_node_clock_ahead - the part of it that is about CLOCK_MONOTONIC, as it is just now
 * @node: the node
 *
 * Context: any, the timekeeper's as well.
 * Return: our clock minus its clock, ns.
 */
s64 rad_node_clock_ahead(const struct rad_node *node)
{
	return READ_ONCE(node->beat.offset.mono);
}

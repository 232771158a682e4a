// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: PAGE_GET: a replica asks home for a page. Which way it gets it depends on who has
 * the page: it is taken out at home (homemem_take.c), its owner sends it on
 * (homemem_forward.c), or others read it, too (homemem_readers.c).
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/highmem.h>
#include <linux/sched/mm.h>
#include "homemem_internal.h"
#include "hot.h"
#include "thread.h"
#include "wire_check.h"

enum {
	PINNED_RETRIES = 5,		/* a page may be pinned for the length of an I/O */
	GATE_WAIT_JIFFIES = HZ,		/* all in all, then the replica is told to ask again */
};

static bool is_zero(struct page *page)
{
	void *content = kmap_local_page(page);
	bool zero = !memchr_inv(content, 0, PAGE_SIZE);

	kunmap_local(content);
	return zero;
}

/* rad_grant_msg() - an answer to PAGE_GET */
struct rad_out *rad_grant_msg(void)
{
	return rad_msg_alloc(RAD_MSG_PAGE_GRANT, sizeof(struct rad_wire_page_grant),
			     GFP_KERNEL | __GFP_NOFAIL);
}

/* rad_grant_fill() - what @t found goes to who asks */
void rad_grant_fill(struct rad_out *msg, struct rad_take *t, u32 prot, const struct rad_in *in)
{
	const struct rad_wire_page_get *get = in->body;
	struct rad_wire_page_grant *body = msg->body;

	body->prot = cpu_to_le32(prot);
	if (is_zero(t->data)) {
		body->flags = cpu_to_le32(RAD_GRANT_ZERO);
	} else {
		body->flags = cpu_to_le32(RAD_GRANT_DATA);
		rad_msg_set_page(msg, t->data, &get->landing);
		t->bytes = PAGE_SIZE;
	}
}

/* rad_grant_refuse() - answers a PAGE_GET without a page */
void rad_grant_refuse(const struct rad_in *in, u32 reason, u32 flags)
{
	struct rad_out *msg = rad_grant_msg();
	struct rad_wire_page_grant *body = msg->body;

	body->reason = cpu_to_le32(reason);
	body->flags = cpu_to_le32(flags);
	rad_answer(in, msg);
}

/* Grants what has been taken, or not. */
static void end_take(struct rad_take *t, const struct rad_in *in, u32 reason)
{
	struct rad_homemem *mem = &t->process->mem;
	struct rad_page *page = t->page;
	struct rad_out *msg = rad_grant_msg();
	struct rad_wire_page_grant *body = msg->body;
	bool stale;

	/*
	 * Decided and published at once: a layout change that comes later waits until the
	 * grant is in the stream and can be revoked. From here on nothing is allocated
	 * and no lock of the mm is taken, so that it does not wait for long.
	 */
	spin_lock(&mem->pages.xa_lock);
	stale = page->stale;
	page->granting = !stale && !t->again && reason == RADIUM_R_NONE;
	if (page->granting && page->frame)
		page->node = rad_node_get(t->to);
	spin_unlock(&mem->pages.xa_lock);
	t->granted = page->granting;
	if (t->granted)
		rad_grant_fill(msg, t, t->prot, in);
	else if (stale || t->again)
		body->flags = cpu_to_le32(RAD_GRANT_RETRY);
	else
		body->reason = cpu_to_le32(reason);
	if (rad_answer(in, msg))
		t->granted = false;
	atomic64_add(t->granted, &t->process->stats.pages_sent);
	rad_take_end(t);
	if (t->data)
		put_page(t->data);
}

/* Whoever had the page brought home is to have used it first, see stay.h. */
static void await_use(struct rad_take *t)
{
	struct rad_homemem *mem = &t->process->mem;
	struct rad_turn *turn = t->turn;
	ktime_t until = 0;

	spin_lock(&mem->pages.xa_lock);
	if (turn->index == t->address >> PAGE_SHIFT)
		until = ns_to_ktime(turn->until);
	spin_unlock(&mem->pages.xa_lock);
	if (ktime_before(ktime_get(), until)) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		schedule_hrtimeout(&until, HRTIMER_MODE_ABS);
	}
}

/* Who asks for a page has no copy of it any more, unless he says so. */
static void forget_copy_of(struct rad_take *t)
{
	struct rad_homemem *mem = &t->process->mem;
	struct rad_page *page;

	spin_lock(&mem->pages.xa_lock);
	/* Copies of a session that has ended are forgotten; those that there are are the next one's. */
	page = rad_node_is_dead(t->to) ? NULL : xa_load(&mem->pages, t->address >> PAGE_SHIFT);
	if (page)
		rad_page_forget_copy(page, rad_node_bit(t->to));
	spin_unlock(&mem->pages.xa_lock);
}

/*
 * Until the page has arrived the turn is others': those who ask for this page wait for that,
 * see enter(); those who ask for another one need not.
 */
static bool await_arrival(struct rad_take *t, struct rad_forward *forward)
{
	struct rad_turn *turn = t->turn;

	t->turn = NULL;
	mutex_unlock(&turn->mutex);
	if (rad_forward_end(forward))
		return true;
	mutex_lock(&turn->mutex);
	t->turn = turn;
	return false;
}

/*
 * The page's owner sends it to who asks. Returns whether the request has been answered;
 * if not, the page may be where it was, and home fetches it. If so, the turn may be others'.
 */
static bool forward(struct rad_take *t, struct rad_page *page, enum rad_page_use use,
		    const struct rad_in *in)
{
	struct mm_struct *mm = t->process->mm;
	struct rad_forward forward;
	struct vm_area_struct *vma;
	bool begun = false, done;
	u32 reason;

	if (!rad_forward_create(&forward, page, t->to, in, use))
		return false;
	if (!mmget_not_zero(mm)) {
		rad_forward_destroy(&forward);
		return false;
	}
	mmap_read_lock(mm);
	vma = vma_lookup(mm, t->address);
	reason = rad_take_check(vma, t->access);
	if (!reason) {
		if (forward.use == RAD_USE_READ)
			rad_page_protect(page);
		begun = rad_forward_begin(&forward, rad_take_prot(vma));
	}
	mmap_read_unlock(mm);
	mmput_async(mm);
	done = begun && await_arrival(t, &forward);
	/* Nobody asks any more; or, where the replica had been killed, or the process is, nobody was told so. */
	if (done && !forward.arrived)
		rad_grant_refuse(in, RADIUM_R_EXITING, RAD_GRANT_EXPOSED);
	if (done && forward.arrived) {
		t->granted = true;
		t->bytes = PAGE_SIZE;
		atomic64_inc(&t->process->stats.pages_forwarded);
		/* It may have died before its ownership was written down. */
		if (rad_node_is_dead(t->to))
			rad_page_bring_home(page, RAD_USE_WRITE);
	}
	rad_forward_destroy(&forward);
	return done;
}

/* The turn is others' meanwhile, as that of who asked first is. */
static void give_up_turn(struct rad_take *t)
{
	mutex_unlock(&t->turn->mutex);
}

/* @holds: who asks had a copy then. */
static void take_turn(struct rad_take *t, bool holds)
{
	mutex_lock(&t->turn->mutex);
	/* What came may have gone again: we were asked after that. */
	if (!holds)
		forget_copy_of(t);
}

/*
 * Waits for the end of a layout change there, and of others that come meanwhile; not on the chance that
 * somebody wants the page: until then the replica may have been killed, and another one have got a copy,
 * which would be forgotten here. False: the request has been answered.
 */
static bool pass_gate(struct rad_take *t, const struct rad_in *in, bool holds)
{
	struct rad_homemem *mem = &t->process->mem;
	bool shut = rad_homemem_changes(mem, t->address), open = !shut;

	if (shut && t->thread) {
		t->gate_until = t->gate_until ?: jiffies + GATE_WAIT_JIFFIES;
		give_up_turn(t);
		open = wait_event_timeout(mem->wait, !rad_homemem_changes(mem, t->address),
					  rad_jiffies_left(t->gate_until));
		take_turn(t, holds);
	}
	if (open && !READ_ONCE(mem->dead))
		return true;
	rad_grant_refuse(in, READ_ONCE(mem->dead) ? RADIUM_R_EXITING : 0, RAD_GRANT_RETRY);
	return false;
}

/* So that its owner may go on reading, see rad_page_protect(). */
static void protect(struct rad_take *t, struct rad_page *page)
{
	struct mm_struct *mm = t->process->mm;

	if (rad_page_state(page) != RAD_PAGE_AWAY || !mmget_not_zero(mm))
		return;
	mmap_read_lock(mm);
	/* Tables of what is not mapped are freed without this lock. */
	if (vma_lookup(mm, t->address))
		rad_page_protect(page);
	mmap_read_unlock(mm);
	mmput_async(mm);
}

/* Who asks reads the page, and says so; it may still be on its way to become what is read. */
static bool upgrade(struct rad_take *t, struct rad_page *page, const struct rad_in *in)
{
	struct rad_homemem *mem = &t->process->mem;

	spin_lock(&mem->pages.xa_lock);
	t->held = !rad_node_is_dead(t->to) &&
		  (page->copies & rad_node_bit(t->to) ||
		   (page->state == RAD_PAGE_SHARING && page->node == t->to));
	spin_unlock(&mem->pages.xa_lock);
	if (t->held && rad_page_state(page) != RAD_PAGE_COPIED)
		rad_page_bring_home(page, RAD_USE_READ);
	return t->held && rad_reader_upgrade(t, page, in);
}

/*
 * Either makes a new entry, @t->page, to be taken; or deals with the one that is there:
 * then NULL, and the request has been answered.
 */
static struct rad_page *enter(struct rad_take *t, const struct rad_in *in)
{
	enum rad_page_use use = t->access & RAD_ACCESS_WRITE ? RAD_USE_WRITE : RAD_USE_READ;
	bool holds = t->held;
	struct rad_page *busy;
	int err = 0;

	if (!holds)
		forget_copy_of(t);
	for (;;) {
		t->page = rad_take_begin(t, &busy);
		if (PTR_ERR(t->page) == -ENOMEM)
			/* Who frees some may need this CPU. */
			schedule_timeout_uninterruptible(1);
		else if (t->page)
			return t->page;
		/* One request for a page at a time. While it is our turn none is begun. */
		if (busy && READ_ONCE(busy->forward) && t->thread) {
			give_up_turn(t);
			wait_event(*rad_page_wait(busy), !READ_ONCE(busy->forward));
			take_turn(t, holds);
		} else if (busy && !READ_ONCE(busy->forward) && use == RAD_USE_READ &&
			   rad_page_state(busy) == RAD_PAGE_COPIED) {
			if (rad_reader_join(t, busy, in)) {
				rad_page_put(busy);
				return NULL;
			}
		} else if (busy && t->held) {
			t->from |= rad_page_holders(busy) & ~rad_node_bit(t->to);
			if (upgrade(t, busy, in)) {
				rad_page_put(busy);
				return NULL;
			}
		} else if (busy && !t->thread) {
			/* Not on the chance that somebody wants it: somebody has it. */
			rad_page_put(busy);
			rad_grant_refuse(in, 0, RAD_GRANT_RETRY);
			return NULL;
		} else if (busy) {
			t->from |= rad_page_holders(busy) & ~rad_node_bit(t->to);
			if (forward(t, busy, use, in)) {
				rad_page_put(busy);
				return NULL;
			}
			if (use == RAD_USE_READ)
				protect(t, busy);
			/* Ends: every state in motion ends, see rad_page_bring_home(). */
			err = rad_page_bring_home(busy, use);
		}
		if (busy)
			rad_page_put(busy);
		if (err == -EHOSTDOWN || rad_node_is_dead(t->to)) {
			rad_grant_refuse(in, RADIUM_R_NODE_LOST, 0);
			return NULL;
		}
		if (!pass_gate(t, in, holds))
			return NULL;
	}
}

/* For people who want to know where time goes. */
static void count(const struct rad_take *t, const struct rad_wire_page_get *get)
{
	u32 id = le32_to_cpu(get->thread);
	struct rad_thread *thread = id ? rad_thread_find_id(t->process, id) : NULL;
	const struct rad_hot_move move = {
		.index = t->address >> PAGE_SHIFT,
		.from = t->from,
		.tid = thread ? id : 0,
		.node = rad_node_id(t->to),
	};

	if (thread)
		rad_thread_add_fault(thread, t->granted ? t->bytes : 0, le64_to_cpu(get->waited));
	rad_thread_put(thread);
	if (t->granted)
		rad_hot_count(t->process->hot, &move);
}

/**
 * rad_get_serve() - answer a PAGE_GET, now or when its thread has touched the page
 * @in: the request
 * @touched: it has
 *
 * Context: as rad_homemem_page_get().
 */
void rad_get_serve(const struct rad_in *in, bool touched)
{
	const struct rad_wire_page_get *get = in->body;
	struct rad_take t = {
		.to = in->from,
		.address = le64_to_cpu(get->address),
		.access = le32_to_cpu(get->access),
		.thread = le32_to_cpu(get->thread),
		.held = le32_to_cpu(get->flags) & RAD_GET_HELD,
		.touched = touched,
	};
	u64 start = ktime_get_ns();
	int pinned = 0;
	u32 reason;

	if (!rad_wire_check_page_get(get, TASK_SIZE_MAX)) {
		rad_node_protocol_error(in->from, "PAGE_GET: bad address or access");
		return;
	}
	t.process = rad_process_find_id(le64_to_cpu(get->process));
	if (!t.process || READ_ONCE(t.process->retiring) || rad_node_is_dead(in->from) ||
	    !(READ_ONCE(t.process->nodes) & rad_node_bit(in->from))) {
		rad_process_put(t.process);
		rad_grant_refuse(in, RADIUM_R_EXITING, 0);
		return;
	}
	t.turn = rad_turn_of(&t.process->mem, t.address);
	mutex_lock(&t.turn->mutex);
	await_use(&t);
	if (!enter(&t, in))
		goto out;
	reason = rad_take_page(&t);
	while (t.again && !READ_ONCE(t.page->stale) && ++pinned < PINNED_RETRIES) {
		schedule_timeout_uninterruptible(1);
		t.again = false;
		reason = rad_take_page(&t);
	}
	if (t.again && !READ_ONCE(t.page->stale)) {
		/* Pinned for long: the access is done at home. */
		t.again = false;
	}
	if (reason != RADIUM_R_NONE && t.touch) {
		rad_take_end(&t);
		rad_defer_touch(&t, in);
	} else {
		end_take(&t, in, reason);
	}
	rad_page_put(t.page);
out:
	if (t.touch)
		goto out_later;
	/* What a reader has got to write to is held, too. */
	if (t.granted)
		rad_homemem_limit(t.process);
	count(&t, get);
	atomic64_inc(&t.process->stats.faults);
	rad_latency_add(t.process->stats.fault_latency, ktime_get_ns() - start);
out_later:
	if (t.turn)
		mutex_unlock(&t.turn->mutex);
	rad_process_put(t.process);
}

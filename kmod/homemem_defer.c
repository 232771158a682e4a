// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: requests for pages that wait without a credit of the node that asks.
 *
 * A page may have to be read from a file first, which takes as long as whoever has the file
 * likes: a server that is down, a program of a user's. The worker that waits for that holds
 * the credit of the message, and without credit the node could send nothing of anybody's any
 * more, not even the system call that the page may depend on. So when a node has many requests
 * in work, further ones are put aside, process by process; a process has its own looked at
 * one after the other.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/slab.h>
#include "homemem_internal.h"
#include "thread.h"

enum {
	IN_WORK_MAX	= RAD_WINDOW * 3 / 4,
	DEFERRED_MAX	= 4096,		/* of a process: as many threads of it wait for pages */
};

struct deferred {
	struct list_head entry;
	struct rad_touch touch;
	struct rad_in in;
	struct rad_wire_page_get get;
};

static atomic_t in_work[RADIUM_NODE_MAX];

/* A copy of a request, which outlives its message. NULL: no memory. */
static struct deferred *make_deferred(const struct rad_in *in)
{
	struct deferred *deferred = kmalloc(sizeof(*deferred), GFP_KERNEL);

	if (!deferred)
		return NULL;
	deferred->get = *(const struct rad_wire_page_get *)in->body;
	deferred->in = *in;
	deferred->in.body = &deferred->get;
	rad_node_get(in->from);
	return deferred;
}

static void free_deferred(struct deferred *deferred)
{
	rad_node_put(deferred->in.from);
	kfree(deferred);
}

static struct deferred *take_deferred(struct rad_homemem *mem)
{
	struct deferred *deferred;

	spin_lock(&mem->pages.xa_lock);
	deferred = list_first_entry_or_null(&mem->deferred, struct deferred, entry);
	if (deferred) {
		list_del(&deferred->entry);
		mem->n_deferred--;
	} else {
		mem->deferring = false;
	}
	spin_unlock(&mem->pages.xa_lock);
	return deferred;
}

/* rad_defer_work() - serves what has been put aside; has a reference to the process */
void rad_defer_work(struct work_struct *work)
{
	struct rad_homemem *mem = container_of(work, struct rad_homemem, deferred_work);
	struct rad_process *process = container_of(mem, struct rad_process, mem);
	struct deferred *deferred;

	while ((deferred = take_deferred(mem))) {
		rad_get_serve(&deferred->in, false);
		free_deferred(deferred);
		cond_resched();
	}
	rad_process_put(process);
}

/* Returns whether the request needs no worker any more. */
static bool defer(const struct rad_in *in)
{
	const struct rad_wire_page_get *get = in->body;
	struct rad_process *process = rad_process_find_id(le64_to_cpu(get->process));
	struct deferred *deferred;
	struct rad_homemem *mem;
	bool begin, room;

	if (!process)
		return false;
	if (!get->thread) {
		/* Nobody waits for it yet. */
		rad_process_put(process);
		rad_grant_refuse(in, 0, RAD_GRANT_RETRY);
		return true;
	}
	deferred = make_deferred(in);
	if (!deferred) {
		rad_process_put(process);
		return false;
	}
	mem = &process->mem;
	spin_lock(&mem->pages.xa_lock);
	room = mem->n_deferred < DEFERRED_MAX;
	begin = room && !mem->deferring;
	if (room) {
		mem->n_deferred++;
		list_add_tail(&deferred->entry, &mem->deferred);
		mem->deferring = true;
	}
	spin_unlock(&mem->pages.xa_lock);
	if (begin)
		queue_work(rad_worker_wq, &mem->deferred_work);
	else
		rad_process_put(process);
	if (!room) {
		rad_grant_refuse(in, RADIUM_R_NO_MEMORY, 0);
		free_deferred(deferred);
	}
	return true;
}

/* ------------------------------------------------- pages that are touched first */

/* The thread has touched the page, or is not there to do so: it does when it has come home. */
static void touched(struct work_struct *work)
{
	struct deferred *deferred = container_of(work, struct deferred, touch.work);

	if (deferred->touch.mapped)
		rad_get_serve(&deferred->in, true);
	else
		rad_grant_refuse(&deferred->in, RADIUM_R_FAULT, 0);
	free_deferred(deferred);
}

/**
 * rad_defer_touch() - put a request aside until its thread has touched the page at home
 * @t: @t->touch is set
 * @in: the request; is answered in any case, then or now
 *
 * Nobody touches what is fetched ahead.
 */
void rad_defer_touch(struct rad_take *t, const struct rad_in *in)
{
	struct deferred *deferred;

	if (!t->thread) {
		rad_grant_refuse(in, 0, RAD_GRANT_RETRY);
		return;
	}
	deferred = make_deferred(in);
	if (!deferred) {
		rad_grant_refuse(in, RADIUM_R_NO_MEMORY, 0);
		return;
	}
	deferred->touch.address = t->address;
	INIT_WORK(&deferred->touch.work, touched);
	if (rad_deputy_touch(t->process, t->thread, t->to, &deferred->touch))
		return;
	rad_grant_refuse(in, RADIUM_R_FAULT, 0);
	free_deferred(deferred);
}

/* ------------------------------------------------------------------------ */

/**
 * rad_homemem_page_get() - PAGE_GET: a replica asks for a page
 * @in: the request
 *
 * Context: a worker; sleeps on mmap_lock and on memory. Nothing that it waits for needs a
 * worker: answers and revocations are handled in the receive context; but for the content of a
 * file, which may need a system call of the node that asks.
 */
void rad_homemem_page_get(struct rad_in *in)
{
	atomic_t *count = &in_work[rad_node_id(in->from) - 1];

	if (atomic_inc_return(count) <= IN_WORK_MAX || !defer(in))
		rad_get_serve(in, false);
	atomic_dec(count);
}

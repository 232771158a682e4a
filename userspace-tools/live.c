// SPDX-License-Identifier: GPL-2.0
/* One distributed process while it runs: what its threads wait for, and how much. */
#include "radctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct row {
	struct radium_thread_info info;
	__u64 faults_per_s;
	__u64 bytes_per_s;
	__u64 waiting_percent;
};

static struct json_object *make_state(const void *record)
{
	const struct row *row = record;

	return json_object_new_string(thread_state_name(row->info.state));
}

#define FIELD(member, key, title, style) OUT_FIELD(row, member, key, title, style)
static const struct out_field row_fields[] = {
	FIELD(info.tid, "tid", "TID", OUT_PLAIN),
	OUT_MAKE(make_state, "state", "STATE", OUT_PLAIN),
	FIELD(info.node, "node", "NODE", OUT_PLAIN),
	FIELD(faults_per_s, "faults_per_s", "FAULTS/S", OUT_PLAIN),
	FIELD(bytes_per_s, "bytes_per_s", "BYTES/S", OUT_BYTES),
	FIELD(waiting_percent, "waiting_percent", "WAITING %", OUT_PLAIN),
	OUT_END
};

/* What a counter has grown by in a second. */
uint64_t live_rate(uint64_t now, uint64_t before, uint64_t ms)
{
	return ms && now > before ? (now - before) * 1000 / ms : 0;
}

/**
 * live_fit() - as many rows of a table as the screen has room for, in a new array
 * @rows: all of them
 * @others: lines of the screen that are for other things, among them one below the table, where
 *	the cursor stays
 * @is_first: does it stay where others do not fit?
 */
struct json_object *live_fit(struct json_object *rows, size_t others,
			     bool (*is_first)(struct json_object *row))
{
	struct json_object *fit = json_object_new_array();
	size_t count = json_object_array_length(rows), most = count;
	struct winsize size;

	/* A terminal that does not say how large it is has no lines. */
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row)
		most = size.ws_row > others ? size.ws_row - others : 1;
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < count && json_object_array_length(fit) < most; i++) {
			struct json_object *row = json_object_array_get_idx(rows, i);

			if (is_first(row) == !pass)
				json_object_array_add(fit, json_object_get(row));
		}
	return fit;
}

static bool is_away(struct json_object *thread)
{
	const char *state = json_object_get_string(json_object_object_get(thread, "state"));

	return !strcmp(state, thread_state_name(RADIUM_THREAD_AWAY));
}

static void row_fill(struct row *row, const struct live *before, uint64_t ms)
{
	const struct radium_thread_info *old = before->threads;

	for (; old < before->threads + before->thread_count; old++) {
		if (old->tid != row->info.tid)
			continue;
		row->faults_per_s = live_rate(row->info.faults, old->faults, ms);
		row->bytes_per_s = live_rate(row->info.bytes, old->bytes, ms);
		/* A wait is told when it is over, and may be longer than the interval. */
		row->waiting_percent = live_rate(row->info.waited_ns, old->waited_ns, ms) / 10000000;
		if (row->waiting_percent > 100)
			row->waiting_percent = 100;
	}
}

static int by_rate(const void *a, const void *b)
{
	const struct page *x = a, *y = b;

	if (x->moves_per_s != y->moves_per_s)
		return x->moves_per_s < y->moves_per_s ? 1 : -1;
	return x->info.moves < y->info.moves ? 1 : x->info.moves > y->info.moves ? -1 : 0;
}

static int live_take(struct dev *dev, struct live *live, const struct live *before)
{
	uint64_t ms;
	int error;

	live->threads = thread_list(dev, live->pid, &live->thread_count, &error);
	if (!live->threads)
		return error;
	live->pages = page_list(dev, live->pid, &live->page_count, &error);
	if (!live->pages)
		return error;
	live->time_ms = stop_clock_ms();
	ms = live->time_ms - before->time_ms;
	for (struct page *page = live->pages; page < live->pages + live->page_count; page++)
		for (size_t i = 0; i < before->page_count; i++)
			if (before->pages[i].info.address == page->info.address)
				page->moves_per_s = live_rate(page->info.moves,
							      before->pages[i].info.moves, ms);
	qsort(live->pages, live->page_count, sizeof(*live->pages), by_rate);
	return 0;
}

void live_free(struct live *live)
{
	free(live->threads);
	free(live->pages);
	*live = (struct live) { .pid = live->pid };
}

/**
 * live_frame() - one view
 * @live: what the last view was made of; zero but for the process before the first
 * @screen: clear it first
 *
 * Return: 0 or a positive errno.
 */
int live_frame(struct dev *dev, struct live *live, bool screen)
{
	struct live before = *live;
	struct json_object *object, *threads, *pages;
	struct row *rows;
	int error;

	*live = (struct live) { .pid = before.pid };
	error = live_take(dev, live, &before);
	rows = error ? NULL : calloc(live->thread_count + 1, sizeof(*rows));
	for (size_t i = 0; rows && i < live->thread_count; i++) {
		rows[i].info = live->threads[i];
		row_fill(&rows[i], &before, live->time_ms - before.time_ms);
	}
	live_free(&before);
	if (!rows)
		return error ? error : ENOMEM;
	object = json_object_new_object();
	threads = out_array(row_fields, rows, sizeof(*rows), live->thread_count);
	pages = out_array(page_rate_fields, live->pages, sizeof(*live->pages), live->page_count);
	json_object_object_add(object, "pid", json_object_new_int(live->pid));
	json_object_object_add(object, "threads", threads);
	json_object_object_add(object, "hottest_pages", pages);
	free(rows);
	if (options.json) {
		out_json_line(object);
		return 0;
	}
	if (screen) {
		fputs("\033[H\033[J", stdout);
		threads = live_fit(threads, 2 + page_table_lines(pages), is_away);
	}
	out_table(row_fields, threads);
	if (screen)
		json_object_put(threads);
	page_table(page_rate_fields, pages);
	fflush(stdout);
	json_object_put(object);
	return 0;
}

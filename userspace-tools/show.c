// SPDX-License-Identifier: GPL-2.0
/* radctl show: one distributed process in detail. */
#include "radctl.h"

#include <stdlib.h>

struct latency_row {
	const char *what;
	struct latency latency;
};

struct return_row {
	unsigned int reason;
	__u64 count;
};

static struct json_object *make_latency_name(const void *record)
{
	const struct latency_row *row = record;

	return json_object_new_string(row->what);
}

static struct json_object *make_return_text(const void *record)
{
	const struct return_row *row = record;

	return json_object_new_string(reason_what(row->reason));
}

#define LATENCY(member, key, title, style) \
	OUT_FIELD(latency_row, latency.member, key, title, style)
static const struct out_field latency_fields[] = {
	OUT_MAKE(make_latency_name, "kind", "LATENCY", OUT_PLAIN),
	LATENCY(count, "count", "COUNT", OUT_PLAIN),
	LATENCY(p50, "p50_ns", "P50 <", OUT_NS),
	LATENCY(p99, "p99_ns", "P99 <", OUT_NS),
	LATENCY(max, "max_ns", "MAX <", OUT_NS),
	OUT_END
};

static const struct out_field return_fields[] = {
	OUT_MAKE(make_return_text, "text", "CAME HOME FOR", OUT_PLAIN),
	OUT_FIELD(return_row, count, "count", "COUNT", OUT_PLAIN),
	OUT_END
};

#define COUNT(member, key, title) OUT_FIELD(radium_page_count, member, key, title, OUT_PLAIN)
static const struct out_field count_fields[] = {
	COUNT(node, "node", "NODE"),
	COUNT(owned, "owned", "OWNED"),
	COUNT(asked, "asked", "ASKED BACK"),
	COUNT(copied, "copied", "COPIES"),
	OUT_END
};

/* The same fields as of ps, one to a line. */
#define FIELD(key, title) { key, title, OUT_U32, OUT_PLAIN, 0, 0, NULL }
static const struct out_field summary_fields[] = {
	FIELD("pid", "process"),
	FIELD("comm", "command"),
	FIELD("user", "user"),
	FIELD("threads_away", "threads away"),
	FIELD("nodes", "replicas on nodes"),
	FIELD("spread_nodes", "threads spread over nodes"),
	FIELD("pages_away", "pages owned elsewhere"),
	FIELD("pages_copied", "pages copied elsewhere"),
	FIELD("pages_sent", "pages sent"),
	FIELD("pages_received", "pages received"),
	FIELD("pages_forwarded", "pages from node to node"),
	FIELD("pages_upgraded", "ownership without a page"),
	FIELD("faults", "page requests from replicas"),
	FIELD("recalls", "pages asked back"),
	FIELD("syscalls", "delegated system calls"),
	FIELD("syscalls_inline", "of these with their data"),
	FIELD("migrations", "migrations"),
	FIELD("returns", "returns"),
	OUT_END
};

struct show {
	struct radium_process_info process;
	struct radium_thread_info *threads;
	size_t thread_count;
	struct page *pages;
	size_t page_count;
	struct radium_page_count *counts;
	size_t node_count;
	struct latency_row latencies[2];
	__u64 returns[THREAD_REASONS];
	struct syscall_count *calls;
	size_t call_count;
};

static void show_fill(struct show *show)
{
	show->latencies[0].what = "page request";
	latency_of(show->process.fault_latency, &show->latencies[0].latency);
	show->latencies[1].what = "system call";
	latency_of(show->process.syscall_latency, &show->latencies[1].latency);
	for (size_t t = 0; t < show->thread_count; t++)
		for (int i = 0; i < THREAD_REASONS; i++)
			show->returns[i] += show->threads[t].returns_by_reason[i];
	show->call_count = thread_syscalls(show->threads, show->thread_count, &show->calls);
}

static struct json_object *buckets(const __u64 counts[RADIUM_LATENCY_BUCKETS])
{
	struct json_object *array = json_object_new_array();

	for (int i = 0; i < RADIUM_LATENCY_BUCKETS; i++)
		json_object_array_add(array, json_object_new_uint64(counts[i]));
	return array;
}

static struct json_object *latency_object(const struct latency_row *row, const __u64 *counts)
{
	struct json_object *object = out_object(latency_fields + 1, row);

	json_object_object_add(object, "buckets", buckets(counts));
	return object;
}

static struct json_object *show_object(const struct show *show)
{
	struct json_object *object = out_object(process_fields, &show->process);

	json_object_object_add(object, "fault_latency",
			       latency_object(&show->latencies[0], show->process.fault_latency));
	json_object_object_add(object, "syscall_latency",
			       latency_object(&show->latencies[1], show->process.syscall_latency));
	json_object_object_add(object, "returns_by_reason", thread_returns(show->returns));
	json_object_object_add(object, "syscalls_top",
			       out_array(syscall_fields, show->calls, sizeof(*show->calls),
					 show->call_count));
	json_object_object_add(object, "threads",
			       out_array(thread_fields, show->threads, sizeof(*show->threads),
					 show->thread_count));
	json_object_object_add(object, "pages_by_node",
			       out_array(count_fields, show->counts, sizeof(*show->counts),
					 show->node_count));
	json_object_object_add(object, "hottest_pages",
			       out_array(page_fields, show->pages, sizeof(*show->pages),
					 show->page_count));
	return object;
}

static void section(const struct out_field *fields, struct json_object *array)
{
	if (json_object_array_length(array)) {
		putchar('\n');
		out_table(fields, array);
	}
	json_object_put(array);
}

static void show_text(const struct show *show, struct json_object *object)
{
	struct return_row rows[THREAD_REASONS];
	size_t count = 0;

	for (unsigned int i = 0; i < THREAD_REASONS; i++)
		if (show->returns[i])
			rows[count++] = (struct return_row) { i, show->returns[i] };
	out_lines(summary_fields, object);
	section(thread_fields, json_object_get(json_object_object_get(object, "threads")));
	section(count_fields, json_object_get(json_object_object_get(object, "pages_by_node")));
	page_table(page_fields, json_object_object_get(object, "hottest_pages"));
	section(latency_fields, out_array(latency_fields, show->latencies,
					  sizeof(show->latencies[0]),
					  ARRAY_SIZE(show->latencies)));
	section(syscall_fields, json_object_get(json_object_object_get(object, "syscalls_top")));
	section(return_fields, out_array(return_fields, rows, sizeof(rows[0]), count));
}

int cmd_show(const struct command *c, int argc, char **argv)
{
	struct show show = { 0 };
	struct json_object *object;
	char subject[32];
	struct dev dev;
	int status, error;
	__s32 pid;

	args_only_common(c, argc, argv, 1, 1);
	pid = args_pid(c, "PID", argv[optind]);
	snprintf(subject, sizeof(subject), "show %d", pid);
	pid = proc_process(pid);
	if (dev_open(&dev, subject))
		return EXIT_FAILED;
	status = process_need(&dev, subject, pid, &show.process);
	if (!status) {
		show.threads = thread_list(&dev, pid, &show.thread_count, &error);
		show.counts = show.threads ? dev_list(&dev, RADIUM_IOC_PAGE_COUNT_LIST, pid,
						      sizeof(*show.counts), &show.node_count,
						      &error) : NULL;
		show.pages = show.counts ? page_list(&dev, pid, &show.page_count, &error) : NULL;
		if (!show.pages)
			status = fail_process(subject, error);
	}
	dev_close(&dev);
	if (status)
		return status;
	show_fill(&show);
	object = show_object(&show);
	if (options.json) {
		out_json(object);
	} else {
		show_text(&show, object);
		json_object_put(object);
	}
	free(show.threads);
	free(show.counts);
	free(show.pages);
	free(show.calls);
	return EXIT_DONE;
}

// SPDX-License-Identifier: GPL-2.0
/* One page that threads on several nodes want: where it is mapped, and who they are. */
#include "radctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* "TID@NODE ...", the last one first; "?": it has no number here. */
static struct json_object *make_threads_text(const void *record)
{
	const struct page *page = record;
	char text[RADIUM_PAGE_THREADS * 24] = "";
	size_t used = 0;

	for (int i = 0; i < RADIUM_PAGE_THREADS && page->info.tid_nodes[i]; i++) {
		char tid[12] = "?";

		if (page->info.tids[i])
			snprintf(tid, sizeof(tid), "%d", page->info.tids[i]);
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s@%u", i ? " " : "",
					 tid, page->info.tid_nodes[i]);
	}
	return json_object_new_string(text);
}

/* [ { "tid": 118, "node": 2 }, ... ] */
static struct json_object *make_threads(const void *record)
{
	const struct page *page = record;
	struct json_object *array = json_object_new_array();

	for (int i = 0; i < RADIUM_PAGE_THREADS && page->info.tid_nodes[i]; i++) {
		struct json_object *thread = json_object_new_object();

		json_object_object_add(thread, "tid", json_object_new_int(page->info.tids[i]));
		json_object_object_add(thread, "node",
				       json_object_new_int((int)page->info.tid_nodes[i]));
		json_object_array_add(array, thread);
	}
	return array;
}

static struct json_object *make_nodes(const void *record)
{
	return node_mask(((const struct page *)record)->info.nodes);
}

#define FIELD(member, key, title, style) OUT_FIELD(page, member, key, title, style)
#define PLACE_FIELDS \
	FIELD(info.address, "address", "ADDRESS", OUT_HEX), \
	FIELD(mapping, "mapping", "MAPPING", OUT_PLAIN), \
	FIELD(offset, "offset", "OFFSET", OUT_HEX)
#define THREAD_FIELDS \
	OUT_MAKE(make_nodes, "nodes", NULL, OUT_PLAIN), \
	OUT_MAKE(make_threads, "threads", NULL, OUT_PLAIN), \
	OUT_MAKE(make_threads_text, "threads_text", "THREADS", OUT_PLAIN)

const struct out_field page_fields[] = {
	PLACE_FIELDS,
	FIELD(info.moves, "moves", "MOVES", OUT_PLAIN),
	THREAD_FIELDS,
	OUT_END
};

const struct out_field page_rate_fields[] = {
	PLACE_FIELDS,
	FIELD(moves_per_s, "moves_per_s", "MOVES/S", OUT_PLAIN),
	FIELD(info.moves, "moves", NULL, OUT_PLAIN),
	THREAD_FIELDS,
	OUT_END
};

/*
 * Fills in where pages are, from one line of /proc/PID/maps. In a file the offset is
 * that in the file, elsewhere that in the mapping.
 */
static void place(struct page *pages, size_t count, char *line)
{
	unsigned long long start, end, offset;
	int name = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%llx-%llx %*s %llx %*s %*s %n", &start, &end, &offset, &name) != 3 || !name)
		return;
	for (struct page *page = pages; page < pages + count; page++) {
		if (page->info.address < start || page->info.address >= end)
			continue;
		snprintf(page->mapping, sizeof(page->mapping), "%s",
			 line[name] ? line + name : "[anon]");
		page->offset = page->info.address - start + (line[name] == '/' ? offset : 0);
	}
}

/**
 * page_list() - the pages of a process that are fought for, the hottest first
 * @count: out: how many
 * @error: out: 0 or a positive errno
 *
 * Return: an array to free(), or NULL. A page that is not mapped any more has no mapping.
 */
struct page *page_list(struct dev *dev, __s32 pid, size_t *count, int *error)
{
	struct radium_page_info *infos = dev_list(dev, RADIUM_IOC_PAGE_LIST, pid, sizeof(*infos),
						  count, error);
	struct page *pages = infos ? calloc(*count + 1, sizeof(*pages)) : NULL;
	char *line = NULL, path[256];
	size_t room = 0;
	FILE *maps;

	if (!pages) {
		*error = *error ? *error : ENOMEM;
		free(infos);
		return NULL;
	}
	for (size_t i = 0; i < *count; i++)
		pages[i].info = infos[i];
	free(infos);
	snprintf(path, sizeof(path), "%s/proc/%d/maps", device_root(), pid);
	maps = *count ? fopen(path, "re") : NULL;
	while (maps && getline(&line, &room, maps) > 0)
		place(pages, *count, line);
	if (maps)
		fclose(maps);
	free(line);
	return pages;
}

enum { MOST_PAGES = 10 };	/* of a table */

/* How long that table is. */
size_t page_table_lines(struct json_object *array)
{
	size_t count = json_object_array_length(array);

	return count ? 3 + (count < MOST_PAGES ? count : MOST_PAGES) : 0;
}

/* The first pages of an array of JSON as a table; nothing without pages. */
void page_table(const struct out_field *fields, struct json_object *array)
{
	struct json_object *head = json_object_new_array();

	for (size_t i = 0; i < json_object_array_length(array) && i < MOST_PAGES; i++)
		json_object_array_add(head, json_object_get(json_object_array_get_idx(array, i)));
	if (json_object_array_length(head)) {
		puts("\nHOTTEST PAGES");
		out_table(fields, head);
	}
	json_object_put(head);
}

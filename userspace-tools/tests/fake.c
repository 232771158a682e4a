// SPDX-License-Identifier: GPL-2.0
/*
 * A radium that is not there: linked in place of device.c. RADIUM_FAKE holds
 * "key=number" words that say how it behaves, RADIUM_FAKE_LOG names a file that
 * gets one line for each call, RADIUM_FAKE_ROOT stands for "/".
 */
#include "radctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long setting(const char *key, long otherwise)
{
	const char *at = getenv("RADIUM_FAKE");
	size_t length = strlen(key);

	for (; at && *at; at += strcspn(at, " "), at += strspn(at, " "))
		if (!strncmp(at, key, length) && at[length] == '=')
			return strtol(at + length + 1, NULL, 10);
	return otherwise;
}

__attribute__((format(printf, 1, 2)))
static void note(const char *format, ...)
{
	const char *path = getenv("RADIUM_FAKE_LOG");
	FILE *file = path ? fopen(path, "ae") : NULL;
	va_list arguments;

	if (!file)
		return;
	va_start(arguments, format);
	vfprintf(file, format, arguments);
	va_end(arguments);
	fclose(file);
}

static const struct radium_node_info nodes[] = {
	{ .id = 1, .state = RADIUM_NODE_SELF, .load = 1, .cpus = 4, .visitors = 0,
	  .addr = "10.0.0.1" },
	{ .id = 2, .state = RADIUM_NODE_UP, .epoch = 3, .visitors = 2, .load = 150, .cpus = 2,
	  .rtt = 41500, .clock_offset = -7250000000, .bytes_sent = 3 << 20,
	  .bytes_received = 1000, .messages_sent = 900, .messages_received = 899,
	  .reconnects = 1, .addr = "10.0.0.2" },
	{ .id = 3, .state = RADIUM_NODE_UP, .load = 200, .cpus = 4, .rtt = 999,
	  .bytes_sent = 18446744073709551615ULL, .addr = "fe80::1%eth0" },
	{ .id = 4, .state = RADIUM_NODE_DEAD, .reason = RADIUM_R_KEEPALIVE, .epoch = 9,
	  .addr = "10.0.0.4" },
	{ .id = 0, .state = RADIUM_NODE_REFUSED, .reason = RADIUM_R_WRONG_KEY,
	  .addr = "10.0.0.5" },
};

static const struct radium_process_info processes[] = {
	{ .pid = 1234, .uid = 4000000001, .threads = 4, .threads_away = 1,
	  .nodes = 1ULL << 1 | 1ULL << 63, .pages_away = 10, .pages_copied = 20, .faults = 30,
	  .pages_sent = 40, .pages_received = 50, .pages_forwarded = 55, .pages_upgraded = 56,
	  .recalls = 60, .syscalls = 70, .syscalls_inline = 65, .migrations = 8, .returns = 7, .spread = 7,
	  .fault_latency = { [10] = 50, [14] = 49, [20] = 1 },
	  .comm = "wo\x1b[2Jr\xff\"\xc3\xa4" },
	{ .pid = 77, .uid = 0, .threads = 1, .comm = "sixteen bytes.." },
};

static const struct radium_thread_info threads[] = {
	{ .tid = 1234, .state = RADIUM_THREAD_AWAY, .node = 2, .wanted = 2,
	  .reason = RADIUM_R_EXCEPTION, .reason_detail = 10, .migrations = 5, .returns = 4,
	  .syscalls = 60, .faults = 9, .bytes = 36864, .waited_ns = 1234567,
	  .returns_by_reason = { [RADIUM_R_EXCEPTION] = 3, [RADIUM_R_ASKED] = 1 },
	  .syscall_nr = { 0, 1, 202, -1 }, .syscall_count = { 10, 30, 20 } },
	{ .tid = 1235, .state = RADIUM_THREAD_HOME, .node = 1, .wanted = 2,
	  .reason = RADIUM_R_SYSCALL, .reason_detail = 59, .migrations = 3, .returns = 3,
	  .syscalls = 10, .returns_by_reason = { [RADIUM_R_SYSCALL] = 3 },
	  .syscall_nr = { 1, 9999, -1 }, .syscall_count = { 5, 5 } },
	{ .tid = 1236, .state = RADIUM_THREAD_HOME, .node = 1, .reason = RADIUM_R_XSTATE,
	  .syscall_nr = { -1 } },
	{ .tid = 1237, .state = RADIUM_THREAD_RETURNING, .node = 64, .reason = RADIUM_R_FAULT,
	  .reason_detail = 0xdeadb000, .returns_by_reason = { [RADIUM_R_FAULT] = 1 },
	  .returns = 1, .migrations = 1, .syscall_nr = { -1 } },
};

static const struct radium_page_info pages[] = {
	{ .address = 0x55d000402000, .moves = 5000000000, .nodes = 3, .tids = { 1234, 1235 },
	  .tid_nodes = { 2, 1 } },
	{ .address = 0x7f0000005000, .moves = 31, .nodes = 1ULL << 63 | 1,
	  .tids = { 0, 1236, 1237, 1234 }, .tid_nodes = { 64, 1, 1, 2 } },
	{ .address = 0x7ffd00001000, .moves = 2, .nodes = 3, .tids = { 1234 }, .tid_nodes = { 2 } },
	{ .address = 0x1000, .moves = 1, .nodes = 2 },
};

static const struct radium_page_count counts[] = {
	{ .node = 2, .owned = 7, .asked = 1, .copied = 20 }, { .node = 64, .owned = 3 },
};

int device_open(void)
{
	static const struct radium_event event[] = {
		{ .time = 1500000000, .type = RADIUM_EVENT_MIGRATED, .node = 2, .pid = 1234,
		  .tid = 1235 },
		{ .time = 2000001000, .type = RADIUM_EVENT_RETURNED, .node = 2, .pid = 1234,
		  .tid = 1235, .reason = RADIUM_R_SIGNAL },
		{ .time = 3000000000, .type = RADIUM_EVENT_LOST, .count = 12 },
		{ .time = 4000000000, .type = 99, .reason = 99 },
	};
	int ends[2];

	if (setting("open", 0))
		return -(int)setting("open", 0);
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	if (setting("events", 0) && write(ends[1], event, sizeof(event)) < 0)
		return -errno;
	if (setting("unload", 0))
		close(ends[1]);
	return ends[0];
}

static int answer_list(struct radium_list *list, const void *entries, size_t size, uint32_t count)
{
	uint32_t repeat = (uint32_t)setting("repeat", 1);

	if (list->size != sizeof(*list) || list->entry_size != size || list->reserved)
		return -EINVAL;
	list->total = count * repeat;
	if (list->count > list->total)
		list->count = list->total;
	for (uint32_t i = 0; i < list->count; i++)
		memcpy((char *)(uintptr_t)list->entries + i * size,
		       (const char *)entries + i % count * size, size);
	return 0;
}

/* What came of "node join": this node, one that has come by itself, and those named. */
static struct radium_node_info joined[2 + RADIUM_NODE_MAX];
static uint32_t joined_count;

/* Without the scope, and once, as the module has them. */
static void add_joined(const char *addr, long state)
{
	char plain[RADIUM_ADDR_SIZE];

	snprintf(plain, sizeof(plain), "%.*s", (int)strcspn(addr, "%"), addr);
	for (uint32_t i = 0; i < joined_count; i++)
		if (!strcmp(joined[i].addr, plain))
			return;
	joined[joined_count] = nodes[4];
	joined[joined_count].state = (__u32)state;
	strcpy(joined[joined_count++].addr, plain);
}

/* Which nodes there are: all, only this one, or those of "node join". */
static int answer_nodes(struct radium_list *list)
{
	if (setting("alone", 0))
		return answer_list(list, nodes, sizeof(nodes[0]), 1);
	if (joined_count)
		return answer_list(list, joined, sizeof(joined[0]), joined_count);
	return answer_list(list, nodes, sizeof(nodes[0]), ARRAY_SIZE(nodes));
}

static int answer_move(const char *name, struct radium_move *move)
{
	static int interrupted;

	note("%s flags=%u pid=%d tid=%d node=%u timeout_ms=%u\n", name, move->flags, move->pid,
	     move->tid, move->node, move->timeout_ms);
	usleep((useconds_t)setting("sleep_ms", 0) * 1000);
	if (interrupted++ < setting("interrupt", 0)) {
		move->threads = 1;
		return -EINTR;
	}
	move->reason = (__u32)setting("reason", 0);
	move->threads = (__u32)setting("threads", 0);
	if (setting("errno", 0))
		return -(int)setting("errno", 0);
	move->threads = move->flags & RADIUM_MOVE_ALL_THREADS ? 4 : 1;
	move->pages = strcmp(name, "RECALL") ? 0 : 12;
	move->bytes = 49152;
	move->ns = 3210000;
	return 0;
}

static int answer_spread(struct radium_spread *spread)
{
	note("SPREAD nodes=%llx\n", (unsigned long long)spread->nodes);
	spread->reason = (__u32)setting("reason", 0);
	return spread->size == sizeof(*spread) ? -(int)setting("errno", 0) : -EINVAL;
}

static int answer_join(const struct radium_node_join *join)
{
	const char (*peers)[RADIUM_ADDR_SIZE] = (const void *)(uintptr_t)join->peers;

	note("JOIN id=%u port=%u addr=%s replica=%s key=", join->id, join->port, join->addr,
	     join->replica);
	for (size_t i = 0; i < RADIUM_KEY_SIZE; i++)
		note("%02x", join->key[i]);
	joined_count = 0;
	if (setting("errno", 0)) {
		note("\n");
		return -(int)setting("errno", 0);
	}
	add_joined(join->addr, RADIUM_NODE_SELF);
	if (setting("other", -1) >= 0)
		add_joined("10.0.0.9", setting("other", -1));
	for (uint32_t i = 0; i < join->peer_count; i++) {
		note(" peer=%s", peers[i]);
		add_joined(peers[i], i ? setting("second", setting("peer", 1)) : setting("peer", 1));
	}
	note("\n");
	return 0;
}

static int answer_leave(const char *name, struct radium_node_leave *leave)
{
	note("%s drain=%u timeout_ms=%u\n", name, leave->drain, leave->timeout_ms);
	leave->reason = (__u32)setting("reason", 0);
	return -(int)setting("errno", 0);
}

int device_ioctl(int fd, unsigned long request, void *argument)
{
	struct radium_hello *hello = argument;

	(void)fd;
	switch (request) {
	case RADIUM_IOC_HELLO:
		if (hello->size != sizeof(*hello) || hello->abi != RADIUM_ABI_VERSION)
			return -EINVAL;
		hello->abi = (__u32)setting("abi", RADIUM_ABI_VERSION);
		hello->wire = 5;
		hello->node = (__u32)setting("node", 1);
		hello->processes = 2;
		hello->visitors = 1;
		return -(int)setting("hello", 0);
	case RADIUM_IOC_NODE_JOIN:
		return answer_join(argument);
	case RADIUM_IOC_NODE_LEAVE:
		return answer_leave("LEAVE", argument);
	case RADIUM_IOC_NODE_DRAIN:
		return answer_leave("DRAIN", argument);
	case RADIUM_IOC_NODE_LIST:
		return answer_nodes(argument);
	case RADIUM_IOC_MIGRATE:
		return answer_move("MIGRATE", argument);
	case RADIUM_IOC_RECALL:
		return answer_move("RECALL", argument);
	case RADIUM_IOC_SPREAD:
		return answer_spread(argument);
	case RADIUM_IOC_PROCESS_LIST:
		return answer_list(argument, processes, sizeof(processes[0]),
				   ARRAY_SIZE(processes));
	case RADIUM_IOC_THREAD_LIST:
		if (((struct radium_list *)argument)->pid != 1234 || setting("threads_errno", 0))
			return -(int)setting("threads_errno", ENOENT);
		return answer_list(argument, threads, sizeof(threads[0]), ARRAY_SIZE(threads));
	case RADIUM_IOC_PAGE_LIST:
		return answer_list(argument, pages, sizeof(pages[0]), ARRAY_SIZE(pages));
	case RADIUM_IOC_PAGE_COUNT_LIST:
		return answer_list(argument, counts, sizeof(counts[0]), ARRAY_SIZE(counts));
	default:
		return -ENOTTY;
	}
}

const char *device_root(void)
{
	const char *root = getenv("RADIUM_FAKE_ROOT");

	return root ? root : "";
}

// SPDX-License-Identifier: GPL-2.0
/* One thread of a distributed process, as show and explain describe it. */
#include "radctl.h"

#include <stdlib.h>
#include <string.h>

const char *thread_state_name(unsigned int state)
{
	static const char *const names[] = {
#define STATE_NAME(name, text) text,
		RADIUM_THREAD_STATES(STATE_NAME)
#undef STATE_NAME
	};

	return state < ARRAY_SIZE(names) ? names[state] : "unknown";
}

const char *thread_syscall_name(int64_t nr, char *text, size_t size)
{
	if (nr >= 0 && nr < SYSCALL_NAMES && syscall_names[nr])
		snprintf(text, size, "%s", syscall_names[nr]);
	else
		snprintf(text, size, "syscall_%lld", (long long)nr);
	return text;
}

/* What exactly it was: a system call, a signal, an address; or "". */
const char *thread_detail(unsigned int reason, uint64_t detail, char *text, size_t size)
{
	const char *signal;

	*text = '\0';
	switch (reason) {
	case RADIUM_R_SYSCALL:
	case RADIUM_R_WATCHED:
	case RADIUM_R_SIGNAL:
		if (reason == RADIUM_R_SIGNAL && !detail)
			break;
		return thread_syscall_name((int64_t)detail, text, size);
	case RADIUM_R_EXCEPTION:
		signal = sigabbrev_np((int)(detail & 0xff));
		if (signal)
			snprintf(text, size, "SIG%s", signal);
		break;
	case RADIUM_R_FAULT:
	case RADIUM_R_SHARED_MEMORY:
	case RADIUM_R_MEMORY_KIND:
	case RADIUM_R_USERFAULTFD:
	case RADIUM_R_NO_MEMORY:
		snprintf(text, size, "%s at 0x%llx",
			 detail & 2 ? "write" : detail & 4 ? "execute" : "read",
			 (unsigned long long)(detail & ~7ull));
		break;
	}
	return text;
}

/* { "signal": 3, ... } */
struct json_object *thread_returns(const __u64 counts[THREAD_REASONS])
{
	struct json_object *object = json_object_new_object();

	for (unsigned int i = 0; i < THREAD_REASONS; i++)
		if (counts[i])
			json_object_object_add(object, reason_name(i),
					       json_object_new_uint64(counts[i]));
	return object;
}

static int by_count(const void *a, const void *b)
{
	const struct syscall_count *x = a, *y = b;

	return x->count != y->count ? (x->count < y->count ? 1 : -1) : x->nr - y->nr;
}

/**
 * thread_syscalls() - the most frequent delegated calls of some threads together
 * @calls: out, to free(): most frequent first
 *
 * Return: how many.
 */
size_t thread_syscalls(const struct radium_thread_info *threads, size_t count,
		       struct syscall_count **calls)
{
	size_t used = 0, i;
	struct syscall_count *all = calloc(count * RADIUM_SYSCALL_TOP + 1, sizeof(*all));

	*calls = all;
	for (size_t t = 0; all && t < count; t++) {
		for (int top = 0; top < RADIUM_SYSCALL_TOP; top++) {
			if (threads[t].syscall_nr[top] < 0)
				break;
			if (!threads[t].syscall_count[top])
				continue;
			for (i = 0; i < used && all[i].nr != threads[t].syscall_nr[top]; i++)
				;
			used += i == used;
			all[i].nr = threads[t].syscall_nr[top];
			all[i].count += threads[t].syscall_count[top];
		}
	}
	if (used)
		qsort(all, used, sizeof(*all), by_count);
	return used;
}

static struct json_object *make_syscall_name(const void *record)
{
	const struct syscall_count *call = record;
	char text[32];

	return json_object_new_string(thread_syscall_name(call->nr, text, sizeof(text)));
}

const struct out_field syscall_fields[] = {
	OUT_MAKE(make_syscall_name, "name", "SYSTEM CALL", OUT_PLAIN),
	OUT_FIELD(syscall_count, nr, "nr", NULL, OUT_PLAIN),
	OUT_FIELD(syscall_count, count, "count", "COUNT", OUT_PLAIN),
	OUT_END
};

static struct json_object *make_syscalls(const void *record)
{
	struct syscall_count *calls;
	size_t count = thread_syscalls(record, 1, &calls);
	struct json_object *array = out_array(syscall_fields, calls, sizeof(*calls), count);

	free(calls);
	return array;
}

static struct json_object *make_returns(const void *record)
{
	const struct radium_thread_info *thread = record;

	return thread_returns(thread->returns_by_reason);
}

static struct json_object *make_state(const void *record)
{
	const struct radium_thread_info *thread = record;

	return json_object_new_string(thread_state_name(thread->state));
}

static struct json_object *make_reason(const void *record)
{
	const struct radium_thread_info *thread = record;

	return json_object_new_string(reason_name(thread->reason));
}

/* The reason in words, with what exactly it was. */
static struct json_object *make_reason_text(const void *record)
{
	const struct radium_thread_info *thread = record;
	char detail[64], text[256];

	thread_detail(thread->reason, thread->reason_detail, detail, sizeof(detail));
	snprintf(text, sizeof(text), *detail ? "%s (%s)" : "%s", reason_what(thread->reason),
		 detail);
	return json_object_new_string(text);
}

#define STYLED(member, key, title, style) OUT_FIELD(radium_thread_info, member, key, title, style)
#define FIELD(member, key, title) STYLED(member, key, title, OUT_PLAIN)
const struct out_field thread_fields[] = {
	FIELD(tid, "tid", "TID"),
	OUT_MAKE(make_state, "state", "STATE", OUT_PLAIN),
	FIELD(node, "node", "NODE"),
	FIELD(wanted, "wanted", "WANTED"),
	FIELD(migrations, "migrations", "MIGRATIONS"),
	FIELD(returns, "returns", "RETURNS"),
	FIELD(syscalls, "syscalls", "SYSCALLS"),
	FIELD(faults, "faults", "FAULTS"),
	STYLED(bytes, "bytes", "BYTES", OUT_BYTES),
	STYLED(waited_ns, "waited_ns", "WAITED", OUT_NS),
	OUT_MAKE(make_reason, "reason", NULL, OUT_PLAIN),
	FIELD(reason_detail, "reason_detail", NULL),
	OUT_MAKE(make_reason_text, "reason_text", "LAST REASON", OUT_PLAIN),
	OUT_MAKE(make_returns, "returns_by_reason", NULL, OUT_PLAIN),
	OUT_MAKE(make_syscalls, "syscalls_top", NULL, OUT_PLAIN),
	OUT_END
};

struct radium_thread_info *thread_list(struct dev *dev, __s32 pid, size_t *count, int *error)
{
	return dev_list(dev, RADIUM_IOC_THREAD_LIST, pid, sizeof(struct radium_thread_info),
			count, error);
}

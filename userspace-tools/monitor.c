// SPDX-License-Identifier: GPL-2.0
/* radctl monitor: events as they happen. */
#include "radctl.h"

#include <errno.h>
#include <unistd.h>

static struct json_object *make_type(const void *record)
{
	static const char *const names[] = {
#define EVENT_NAME(name, text) text,
		RADIUM_EVENTS(EVENT_NAME)
#undef EVENT_NAME
	};
	const struct radium_event *event = record;
	char text[32];

	if (event->type < ARRAY_SIZE(names))
		return json_object_new_string(names[event->type]);
	snprintf(text, sizeof(text), "event_%u", event->type);
	return json_object_new_string(text);
}

static struct json_object *make_reason(const void *record)
{
	const struct radium_event *event = record;

	return json_object_new_string(reason_name(event->reason));
}

static struct json_object *make_reason_text(const void *record)
{
	const struct radium_event *event = record;

	return json_object_new_string(reason_what(event->reason));
}

#define FIELD(member, key, title) OUT_FIELD(radium_event, member, key, title, OUT_PLAIN)
static const struct out_field event_fields[] = {
	OUT_FIELD(radium_event, time, "time_ns", "", OUT_SECONDS),
	OUT_MAKE(make_type, "event", "", OUT_PLAIN),
	FIELD(node, "node", "node"),
	FIELD(pid, "pid", "pid"),
	FIELD(tid, "tid", "tid"),
	FIELD(count, "count", "count"),
	OUT_MAKE(make_reason, "reason", NULL, OUT_PLAIN),
	OUT_MAKE(make_reason_text, "reason_text", "", OUT_PLAIN),
	OUT_END
};

static void event_print(const struct radium_event *event)
{
	struct json_object *object = out_object(event_fields, event);

	if (options.json) {
		out_json_line(object);
		return;
	}
	out_row(event_fields, object);
	json_object_put(object);
}

/* Print what is there, at most @left events; how many, or -errno. */
static int events_read(int fd, uint32_t left)
{
	struct radium_event events[64];
	ssize_t length = read(fd, events, sizeof(events));
	int count = (int)(length / (ssize_t)sizeof(events[0]));

	if (length < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (length == 0)
		return -ENODEV;
	for (int i = 0; i < count && (uint32_t)i < left; i++)
		event_print(&events[i]);
	return count;
}

int cmd_monitor(const struct command *c, int argc, char **argv)
{
	enum { COUNT = 256, TIMEOUT };
	static const struct option longs[] = {
		{ "count", required_argument, NULL, COUNT },
		{ "timeout", required_argument, NULL, TIMEOUT },
		ARGS_COMMON
	};
	uint32_t left = UINT32_MAX, timeout = 0;
	int option, stop, got = 0;
	uint64_t end;
	struct dev dev;

	options.lines = true;
	while ((option = args_next(c, argc, argv, ":jvh", longs)) != -1) {
		if (option == COUNT)
			left = args_number(c, "count", optarg, 1, UINT32_MAX - 1);
		else
			timeout = args_milliseconds(c, "timeout", optarg);
	}
	args_done(c, argc, argv, 0, 0);
	stop = stop_open(false);
	if (dev_open(&dev, c->name))
		return EXIT_FAILED;
	end = timeout ? stop_clock_ms() + timeout : UINT64_MAX;
	while (left && !ferror(stdout) && stop_wait(stop, dev.fd, end) == STOP_INPUT) {
		got = events_read(dev.fd, left);
		if (got < 0)
			break;
		if (left != UINT32_MAX)
			left -= (uint32_t)got < left ? (uint32_t)got : left;
	}
	dev_close(&dev);
	if (got == -EMFILE)
		return fail_errno(c->name, EMFILE, "you read events in 64 places already: end one of them");
	if (got < 0)
		return fail_errno(c->name, -got, got == -ENODEV ? "was radium unloaded?" : "");
	return EXIT_DONE;
}

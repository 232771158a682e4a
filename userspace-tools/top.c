// SPDX-License-Identifier: GPL-2.0
/* radctl top: nodes and distributed processes, or one process, again and again. */
#include "radctl.h"

#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

struct row {
	struct radium_process_info info;
	__u64 faults_per_s;
	__u64 syscalls_per_s;
};

struct view {
	struct row *rows;
	size_t count;
	uint64_t time_ms;
};

static struct json_object *make_user(const void *record)
{
	return process_user(&((const struct row *)record)->info);
}

static struct json_object *make_nodes(const void *record)
{
	return process_nodes(&((const struct row *)record)->info);
}

#define FIELD(member, key, title) OUT_FIELD(row, member, key, title, OUT_PLAIN)
static const struct out_field row_fields[] = {
	FIELD(info.pid, "pid", "PID"),
	OUT_MAKE(make_user, "user", "USER", OUT_PLAIN),
	FIELD(info.threads, "threads", "THREADS"),
	FIELD(info.threads_away, "threads_away", "AWAY"),
	OUT_MAKE(make_nodes, "nodes", "NODES", OUT_PLAIN),
	FIELD(info.pages_away, "pages_away", "PAGES"),
	FIELD(faults_per_s, "faults_per_s", "FAULTS/S"),
	FIELD(syscalls_per_s, "syscalls_per_s", "SYSCALLS/S"),
	FIELD(info.migrations, "migrations", "MIGRATIONS"),
	FIELD(info.returns, "returns", "RETURNS"),
	FIELD(info.comm, "comm", "COMMAND"),
	OUT_END
};

static int view_take(struct dev *dev, struct view *view, const struct view *before)
{
	struct radium_process_info *list;
	uint64_t ms;
	int error;

	list = process_list(dev, &view->count, &error);
	if (!list)
		return error;
	view->time_ms = stop_clock_ms();
	view->rows = calloc(view->count + 1, sizeof(*view->rows));
	ms = view->time_ms - before->time_ms;
	for (size_t i = 0; view->rows && i < view->count; i++) {
		struct row *row = &view->rows[i];

		row->info = list[i];
		for (const struct row *old = before->rows; old < before->rows + before->count; old++) {
			if (old->info.pid != row->info.pid)
				continue;
			row->faults_per_s = live_rate(row->info.faults, old->info.faults, ms);
			row->syscalls_per_s = live_rate(row->info.syscalls, old->info.syscalls, ms);
		}
	}
	free(list);
	return 0;
}

static void view_print(struct json_object *nodes, struct json_object *rows, bool screen)
{
	struct json_object *object;

	if (options.json) {
		object = json_object_new_object();
		json_object_object_add(object, "nodes", nodes);
		json_object_object_add(object, "processes", rows);
		out_json_line(object);
		return;
	}
	if (screen)
		fputs("\033[H\033[J", stdout);
	out_table(node_fields, nodes);
	putchar('\n');
	out_table(row_fields, rows);
	fflush(stdout);
	json_object_put(nodes);
	json_object_put(rows);
}

static int frame(struct dev *dev, struct view *view, bool screen)
{
	struct view before = *view;
	struct radium_node_info *nodes;
	size_t count;
	int error;

	nodes = node_list(dev, &count, &error);
	if (!nodes)
		return error;
	error = view_take(dev, view, &before);
	if (!error) {
		free(before.rows);
		view_print(out_array(node_fields, nodes, sizeof(*nodes), count),
			   out_array(row_fields, view->rows, sizeof(*view->rows), view->count),
			   screen);
	}
	free(nodes);
	return error;
}

/* The keyboard without lines and echo, so that 'q' ends the view. */
static bool keyboard_open(struct termios *saved)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, saved))
		return false;
	raw = *saved;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	return !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

/* Of all processes, or of one if @pid is not 0. */
static int frames(struct dev *dev, __s32 pid, uint32_t left, uint32_t interval_ms, bool screen,
		  bool keyboard)
{
	struct view view = { 0 };
	struct live live = { .pid = pid };
	int stop = stop_open(), error = 0;
	enum stop_wait woken = STOP_TIME;

	while (!error && left) {
		uint64_t end = stop_clock_ms() + interval_ms;
		char key;

		error = pid ? live_frame(dev, &live, screen) : frame(dev, &view, screen);
		if (error || (left != UINT32_MAX && !--left))
			break;
		while ((woken = stop_wait(stop, keyboard ? STDIN_FILENO : -1, end)) == STOP_INPUT)
			if (read(STDIN_FILENO, &key, 1) != 1)
				keyboard = false;
			else if (key == 'q')
				break;
		if (woken != STOP_TIME)
			break;
	}
	free(view.rows);
	live_free(&live);
	return error;
}

int cmd_top(const struct command *c, int argc, char **argv)
{
	enum { COUNT = 256, INTERVAL };
	static const struct option longs[] = {
		{ "count", required_argument, NULL, COUNT },
		{ "interval", required_argument, NULL, INTERVAL },
		ARGS_COMMON
	};
	uint32_t count = 0, interval_ms = 1000;
	struct radium_process_info process;
	char subject[32] = "top";
	__s32 pid = 0;
	struct termios saved;
	bool screen, keyboard;
	int option, error;
	struct dev dev;

	while ((option = args_next(c, argc, argv, ":jvh", longs)) != -1) {
		if (option == COUNT)
			count = args_number(c, "count", optarg, 1, UINT32_MAX - 1);
		else
			interval_ms = args_milliseconds(c, "interval", optarg);
	}
	args_done(c, argc, argv, 0, 1);
	if (optind < argc) {
		pid = args_pid(c, "PID", argv[optind]);
		snprintf(subject, sizeof(subject), "top %d", pid);
		pid = proc_process(pid);
	}
	if (dev_open(&dev, subject))
		return EXIT_FAILED;
	if (pid && process_need(&dev, subject, pid, &process)) {
		dev_close(&dev);
		return EXIT_FAILED;
	}
	screen = !options.json && isatty(STDOUT_FILENO);
	keyboard = screen && keyboard_open(&saved);
	if (!count)
		count = screen ? UINT32_MAX : 1;
	if (screen)
		fputs("\033[?1049h\033[?25l", stdout);	/* other screen, no cursor */
	error = frames(&dev, pid, count, interval_ms, screen, keyboard);
	if (screen)
		fputs("\033[?25h\033[?1049l", stdout);
	if (keyboard)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	dev_close(&dev);
	return error ? fail_errno(subject, error, pid ? "the process may just have ended" : "") :
		       EXIT_DONE;
}

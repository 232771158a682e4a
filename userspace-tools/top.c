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

static bool has_threads_away(struct json_object *process)
{
	return json_object_get_int(json_object_object_get(process, "threads_away")) > 0;
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
	if (screen) {
		/* Two headings and a line between the tables. */
		object = live_fit(rows, json_object_array_length(nodes) + 4, has_threads_away);
		json_object_put(rows);
		rows = object;
		fputs("\033[H\033[J", stdout);
	}
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

/* What the views are shown on. */
struct terminal {
	bool screen;		/* it is one: they replace each other */
	bool typed;		/* its keyboard is as in @saved, but for a while */
	bool heard;		/* 'q' ends them */
	struct termios saved;
	int stop;		/* from stop_open() */
};

static void terminal_find(struct terminal *terminal)
{
	terminal->screen = !options.json && isatty(STDOUT_FILENO);
	terminal->typed = terminal->screen && isatty(STDIN_FILENO) &&
			  !tcgetattr(STDIN_FILENO, &terminal->saved);
	terminal->heard = terminal->typed;
	terminal->stop = stop_open(terminal->screen);
}

/* The other screen without a cursor, lines cut at its edge, the keyboard without lines and echo. */
static void terminal_enter(const struct terminal *terminal)
{
	struct termios raw = terminal->saved;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	if (terminal->typed)
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	if (terminal->screen)
		fputs("\033[?1049h\033[?25l\033[?7l", stdout);
	fflush(stdout);
}

static void terminal_leave(const struct terminal *terminal)
{
	if (terminal->screen)
		fputs("\033[?7h\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	if (terminal->typed)
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal->saved);
}

/* Until the next view is due: is it wanted? */
static bool wait_for_next(struct terminal *terminal, uint64_t end)
{
	char key;

	for (;;) {
		switch (stop_wait(terminal->stop, terminal->heard ? STDIN_FILENO : -1, end)) {
		case STOP_ASKED:
			return false;
		case STOP_TIME:
			return true;
		case STOP_INPUT:
			if (read(STDIN_FILENO, &key, 1) != 1)
				terminal->heard = false;
			else if (key == 'q')
				return false;
			break;
		case STOP_PAUSE:
			terminal_leave(terminal);
			stop_pause();
			terminal_enter(terminal);
			return true;
		case STOP_AGAIN:	/* whoever had the terminal has left it as it likes */
			terminal_enter(terminal);
			return true;
		}
	}
}

/* Is it gone, or about to be? The module forgets it with its memory, some time before it ends. */
static bool ends(__s32 pid)
{
	enum { LOOKS = 100, LOOK_MS = 10 };

	for (int i = 0; i < LOOKS; i++) {
		if (!proc_exists(pid) || proc_has_ended(pid))
			return true;
		if (proc_number(pid, "VmSize"))
			return false;
		usleep(LOOK_MS * 1000);
	}
	return false;
}

/* Of all processes, or of one if @pid is not 0. */
static int frames(struct dev *dev, __s32 pid, uint32_t left, uint32_t interval_ms,
		  struct terminal *terminal)
{
	struct view view = { 0 };
	struct live live = { .pid = pid };
	bool shown = false;
	int error = 0;

	while (!error && left) {
		uint64_t end = stop_clock_ms() + interval_ms;

		error = pid ? live_frame(dev, &live, terminal->screen) :
			      frame(dev, &view, terminal->screen);
		/* Who watches a process to its end has seen all there is. */
		if (error && shown && pid && ends(pid)) {
			error = 0;
			break;
		}
		shown = true;
		if (error || ferror(stdout) || (left != UINT32_MAX && !--left))
			break;
		if (!wait_for_next(terminal, end))
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
	struct terminal terminal = { 0 };
	int option, error;
	struct dev dev;

	options.lines = true;
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
	terminal_find(&terminal);
	if (!count)
		count = terminal.screen ? UINT32_MAX : 1;
	terminal_enter(&terminal);
	error = frames(&dev, pid, count, interval_ms, &terminal);
	terminal_leave(&terminal);
	dev_close(&dev);
	if (error)
		return pid ? fail_process(subject, error) : fail_errno(subject, error, "");
	return EXIT_DONE;
}

// SPDX-License-Identifier: GPL-2.0
/* radctl explain: why a thread is where it is, in sentences. */
#include "radctl.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((format(printf, 2, 3)))
static void say(struct json_object *text, const char *format, ...)
{
	char sentence[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	json_object_array_add(text, json_object_new_string(sentence));
}

static void say_place(struct json_object *text, const struct radium_thread_info *t, uint32_t home)
{
	switch (t->state) {
	case RADIUM_THREAD_HOME:
		say(text, "It is at home, on node %u.", home);
		if (t->wanted && t->wanted != home)
			say(text, "It was asked to run on node %u, and goes there when nothing holds it at home.",
			    t->wanted);
		else if (!t->migrations && t->reason == RADIUM_R_NONE)
			say(text, "Nobody has asked for it to move.");
		break;
	case RADIUM_THREAD_FREEZING:
		say(text, "It is being stopped, to move to node %u.", t->wanted);
		break;
	case RADIUM_THREAD_PREPARING:
		say(text, "It is on its way to node %u.", t->wanted);
		break;
	case RADIUM_THREAD_AWAY:
		say(text, "It runs on node %u.", t->node);
		if (t->wanted == t->node)
			say(text, "That is where it was asked to run.");
		else if (!t->wanted || t->wanted == home)
			say(text, "It was asked to come home.");
		else
			say(text, "It was asked to run on node %u.", t->wanted);
		break;
	case RADIUM_THREAD_RETURNING:
		say(text, "It is on its way home.");
		break;
	case RADIUM_THREAD_GONE:
		say(text, "It has ended.");
		break;
	default:
		say(text, "It is in a state that this radctl does not know (%u).", t->state);
	}
}

static void say_reason(struct json_object *text, const struct radium_thread_info *t)
{
	bool returned = t->reason < THREAD_REASONS && t->returns_by_reason[t->reason];
	const char *todo = reason_todo(t->reason), *what = "It could not move";
	char detail[64] = "";

	if (t->reason == RADIUM_R_NONE)
		return;
	if (returned) {
		what = "It last came home for";
		thread_detail(t->reason, t->reason_detail, detail, sizeof(detail));
	} else if (t->state == RADIUM_THREAD_AWAY) {
		what = "Before that it could not move";
		todo = "";
	}
	say(text, "%s: %s%s%s%s.%s%s%s", what,
	    reason_what(t->reason), *detail ? " (" : "", detail, *detail ? ")" : "",
	    *todo ? " What to do: " : "", todo, *todo ? "." : "");
}

static void say_habits(struct json_object *text, const struct radium_thread_info *t)
{
	enum { NAMED = 3 };
	char name[32], list[256] = "";
	struct syscall_count *calls;
	unsigned int most = 0;
	size_t count;

	for (unsigned int i = 0; i < THREAD_REASONS; i++)
		if (t->returns_by_reason[i] > t->returns_by_reason[most])
			most = i;
	if (t->returns_by_reason[most])
		say(text, "What brings it home most often: %s (%llu of %llu returns).",
		    reason_what(most), (unsigned long long)t->returns_by_reason[most],
		    (unsigned long long)t->returns);
	else if (t->migrations)
		say(text, "Nothing has brought it home so far (moves away: %llu).",
		    (unsigned long long)t->migrations);
	count = thread_syscalls(t, 1, &calls);
	for (size_t i = 0; i < count && i < NAMED; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s (%llu)",
			 i ? ", " : "", thread_syscall_name(calls[i].nr, name, sizeof(name)),
			 (unsigned long long)calls[i].count);
	if (count)
		say(text, "Of its system calls, home executes most often: %s.", list);
	free(calls);
}

/* By its program; by its name, which others can choose as well, where we may not see that. */
static bool is_replica(__s32 pid)
{
	static const char replica[] = "radium-replica";
	char path[256], program[PATH_MAX];
	const char *name;
	ssize_t length;

	snprintf(path, sizeof(path), "%s/proc/%d/exe", device_root(), pid);
	length = readlink(path, program, sizeof(program) - 1);
	if (length < 0)
		return proc_text(pid, "Name", program, sizeof(program)) && !strcmp(program, replica);
	program[length] = '\0';
	name = strrchr(program, '/');
	return name && !strncmp(name + 1, replica, strlen(replica));
}

static bool is_32_bit(__s32 pid)
{
	unsigned char ident[5] = "";
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/proc/%d/exe", device_root(), pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fread(ident, sizeof(ident), 1, file) != 1)
		ident[4] = 0;
	fclose(file);
	return !memcmp(ident, "\177ELF", 4) && ident[4] == 1;	/* ELFCLASS32 */
}

/* What would stand in the way of moving it, as far as it is seen. */
static unsigned int obstacle(struct dev *dev, __s32 pid)
{
	size_t count;
	int error;

	/* A zombie has no memory either, as kernel threads have none. */
	if (proc_has_ended(pid))
		return RADIUM_R_EXITING;
	if (!proc_number(pid, "VmSize"))
		return RADIUM_R_KERNEL_THREAD;
	if (pid == 1)
		return RADIUM_R_INIT;
	if (is_replica(pid))
		return RADIUM_R_IS_REPLICA;
	/* Whose threads may not be listed may not be moved. */
	free(thread_list(dev, pid, &count, &error));
	if (error == EPERM)
		return RADIUM_R_NOT_PERMITTED;
	if (is_32_bit(pid))
		return RADIUM_R_COMPAT;
	if (proc_number(pid, "TracerPid"))
		return RADIUM_R_TRACED;
	if (!dev->hello.node)
		return RADIUM_R_NOT_JOINED;
	return proc_number(pid, "Seccomp") ? RADIUM_R_WATCHED : RADIUM_R_NONE;
}

/* Is there one to move to? Where that is not known it is worth a try. */
static bool other_node_is_up(struct dev *dev)
{
	struct radium_node_info *nodes;
	size_t count;
	bool up;
	int error;

	nodes = node_list(dev, &count, &error);
	up = !nodes || node_choose(nodes, count);
	free(nodes);
	return up;
}

/* A process that Radium does not know. */
static struct json_object *explain_undistributed(struct dev *dev, __s32 pid)
{
	struct json_object *object = json_object_new_object();
	struct json_object *text = json_object_new_array();
	unsigned int reason = obstacle(dev, pid);

	say(text, "Process %d runs here, at home; it is not distributed.", pid);
	if (reason == RADIUM_R_NONE && !other_node_is_up(dev))
		say(text, "There is nowhere to move it: no other node is up, see 'radctl node list'.");
	else if (reason == RADIUM_R_NONE)
		say(text, "Nothing is seen that would keep it here: move it with 'radctl migrate %d'.",
		    pid);
	else if (reason == RADIUM_R_WATCHED)
		say(text, "It can be moved, with 'radctl migrate %d', but makes its system calls at home: %s.",
		    pid, reason_what(reason));
	else
		say(text, "It cannot move: %s.%s%s%s", reason_what(reason),
		    *reason_todo(reason) ? " What to do: " : "", reason_todo(reason),
		    *reason_todo(reason) ? "." : "");
	json_object_object_add(object, "pid", json_object_new_int(pid));
	json_object_object_add(object, "distributed", json_object_new_boolean(false));
	json_object_object_add(object, "spread_nodes", json_object_new_array());
	json_object_object_add(object, "reason", json_object_new_string(reason_name(reason)));
	json_object_object_add(object, "text", text);
	json_object_object_add(object, "threads", json_object_new_array());
	return object;
}

static void say_spread(struct json_object *text, const struct radium_process_info *process)
{
	char list[256] = "";

	for (unsigned int id = 1; id <= RADIUM_NODE_MAX; id++)
		if (process->spread >> (id - 1) & 1)
			snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%u",
				 *list ? ", " : "", id);
	if (process->spread)
		say(text, "Threads that it makes are spread over nodes %s; a recall of the process ends that.",
		    list);
}

static struct json_object *explain_threads(const struct radium_process_info *process,
					   const struct radium_thread_info *threads, size_t count,
					   uint32_t home)
{
	struct json_object *object = json_object_new_object();
	struct json_object *text = json_object_new_array(), *list = json_object_new_array();
	/* The module knows only those that have been asked to move, or have waited for a page. */
	unsigned long all = proc_number(process->pid, "Threads");

	if (all < process->threads)
		all = process->threads;
	say(text, "Process %d: %u of %lu threads are away from home, node %u.", process->pid,
	    process->threads_away, all, home);
	say_spread(text, process);
	for (const struct radium_thread_info *t = threads; t < threads + count; t++) {
		struct json_object *thread = out_object(thread_fields, t);
		struct json_object *sentences = json_object_new_array();

		say_place(sentences, t, home);
		say_reason(sentences, t);
		say_habits(sentences, t);
		json_object_object_add(thread, "text", sentences);
		json_object_array_add(list, thread);
	}
	json_object_object_add(object, "pid", json_object_new_int(process->pid));
	json_object_object_add(object, "distributed", json_object_new_boolean(true));
	json_object_object_add(object, "spread_nodes", node_mask(process->spread));
	json_object_object_add(object, "reason",
			       json_object_new_string(reason_name(RADIUM_R_NONE)));
	json_object_object_add(object, "text", text);
	json_object_object_add(object, "threads", list);
	return object;
}

static void print_sentences(struct json_object *object, const char *indent)
{
	struct json_object *text = json_object_object_get(object, "text");

	for (size_t i = 0; i < json_object_array_length(text); i++)
		printf("%s%s\n", indent,
		       json_object_get_string(json_object_array_get_idx(text, i)));
}

static int explain_print(struct json_object *object)
{
	struct json_object *threads = json_object_object_get(object, "threads");

	if (options.json)
		return out_json(object);
	print_sentences(object, "");
	for (size_t i = 0; i < json_object_array_length(threads); i++) {
		struct json_object *thread = json_object_array_get_idx(threads, i);

		printf("Thread %d:\n",
		       json_object_get_int(json_object_object_get(thread, "tid")));
		print_sentences(thread, "  ");
	}
	json_object_put(object);
	return EXIT_DONE;
}

int cmd_explain(const struct command *c, int argc, char **argv)
{
	struct radium_process_info process;
	struct radium_thread_info *threads;
	struct json_object *object = NULL;
	char subject[32];
	struct dev dev;
	int status, error;
	size_t count;
	__s32 pid;

	args_only_common(c, argc, argv, 1, 1);
	pid = args_pid(c, "PID", argv[optind]);
	snprintf(subject, sizeof(subject), "explain %d", pid);
	pid = proc_process(pid);
	if (dev_open(&dev, subject))
		return EXIT_FAILED;
	status = process_find(&dev, subject, pid, &process);
	if (status == PROCESS_NOT_DISTRIBUTED && !proc_exists(pid)) {
		status = fail_reason(subject, RADIUM_R_NO_PROCESS);
	} else if (status == PROCESS_NOT_DISTRIBUTED) {
		object = explain_undistributed(&dev, pid);
	} else if (!status) {
		threads = thread_list(&dev, pid, &count, &error);
		if (threads)
			object = explain_threads(&process, threads, count, dev.hello.node);
		else
			status = fail_process(subject, error);
		free(threads);
	}
	dev_close(&dev);
	return object ? explain_print(object) : status;
}

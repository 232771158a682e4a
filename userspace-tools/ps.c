// SPDX-License-Identifier: GPL-2.0
/* radctl ps: the distributed processes whose home is here. */
#include "radctl.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>

struct json_object *process_user(const void *record)
{
	const struct radium_process_info *process = record;
	const struct passwd *user = getpwuid(process->uid);
	char number[16];

	if (user)
		return out_clean_string(user->pw_name, strlen(user->pw_name));
	snprintf(number, sizeof(number), "%u", process->uid);
	return json_object_new_string(number);
}

struct json_object *process_nodes(const void *record)
{
	return node_mask(((const struct radium_process_info *)record)->nodes);
}

static struct json_object *make_spread(const void *record)
{
	return node_mask(((const struct radium_process_info *)record)->spread);
}

#define FIELD(member, key, title) OUT_FIELD(radium_process_info, member, key, title, OUT_PLAIN)
const struct out_field process_fields[] = {
	FIELD(pid, "pid", "PID"),
	OUT_MAKE(process_user, "user", "USER", OUT_PLAIN),
	FIELD(uid, "uid", NULL),
	FIELD(threads, "threads", "THREADS"),
	FIELD(threads_away, "threads_away", "AWAY"),
	OUT_MAKE(process_nodes, "nodes", "NODES", OUT_PLAIN),
	OUT_MAKE(make_spread, "spread_nodes", NULL, OUT_PLAIN),
	FIELD(pages_away, "pages_away", "PAGES"),
	FIELD(pages_copied, "pages_copied", "COPIES"),
	FIELD(faults, "faults", "FAULTS"),
	FIELD(pages_sent, "pages_sent", NULL),
	FIELD(pages_received, "pages_received", NULL),
	FIELD(pages_forwarded, "pages_forwarded", NULL),
	FIELD(pages_upgraded, "pages_upgraded", NULL),
	FIELD(recalls, "recalls", NULL),
	FIELD(syscalls, "syscalls", "SYSCALLS"),
	FIELD(syscalls_inline, "syscalls_inline", NULL),
	FIELD(migrations, "migrations", "MIGRATIONS"),
	FIELD(returns, "returns", "RETURNS"),
	FIELD(comm, "comm", "COMMAND"),
	OUT_END
};

struct radium_process_info *process_list(struct dev *dev, size_t *count, int *error)
{
	return dev_list(dev, RADIUM_IOC_PROCESS_LIST, 0, sizeof(struct radium_process_info),
			count, error);
}

/**
 * process_find() - one process of the list
 *
 * Return: 0, PROCESS_NOT_DISTRIBUTED, or EXIT_FAILED after a complaint.
 */
int process_find(struct dev *dev, const char *subject, __s32 pid,
		 struct radium_process_info *process)
{
	int status = PROCESS_NOT_DISTRIBUTED, error;
	size_t count;
	struct radium_process_info *list = process_list(dev, &count, &error);

	if (!list)
		return fail_errno(subject, error, "");
	for (size_t i = 0; i < count; i++) {
		if (list[i].pid != pid)
			continue;
		*process = list[i];
		status = 0;
	}
	free(list);
	return status;
}

/* process_need() - process_find() where nothing else will do; 0, or EXIT_FAILED */
int process_need(struct dev *dev, const char *subject, __s32 pid,
		 struct radium_process_info *process)
{
	int status = process_find(dev, subject, pid, process);

	if (status != PROCESS_NOT_DISTRIBUTED)
		return status;
	if (!proc_exists(pid))
		return fail_reason(subject, RADIUM_R_NO_PROCESS);
	return fail_text(subject, "not_distributed", "the process is not distributed",
			 "use 'radctl migrate' to move it");
}

int cmd_ps(const struct command *c, int argc, char **argv)
{
	static const struct list processes = {
		RADIUM_IOC_PROCESS_LIST, sizeof(struct radium_process_info), process_fields, NULL,
	};

	return list_show(c, argc, argv, &processes);
}

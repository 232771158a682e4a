// SPDX-License-Identifier: GPL-2.0
/* What /proc says of a process. */
#include "radctl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool proc_exists(__s32 pid)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/proc/%d", device_root(), pid);
	return !access(path, F_OK);
}

/* "Name:	value" of /proc/PID/status, "" if there is none; whether there is one. */
bool proc_text(__s32 pid, const char *name, char *value, size_t size)
{
	char path[256], line[256];
	size_t length = strlen(name);
	bool found = false;
	FILE *file;

	*value = '\0';

	snprintf(path, sizeof(path), "%s/proc/%d/status", device_root(), pid);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file)) {
		found = !strncmp(line, name, length) && line[length] == ':';
		if (found)
			snprintf(value, size, "%.*s", (int)strcspn(line + length + 2, "\n"),
				 line + length + 2);
	}
	if (file)
		fclose(file);
	return found;
}

unsigned long proc_number(__s32 pid, const char *name)
{
	char value[32];

	return proc_text(pid, name, value, sizeof(value)) ? strtoul(value, NULL, 10) : 0;
}

/* The process that a number stands for, which may be that of one of its threads, as for the module. */
__s32 proc_process(__s32 tid)
{
	unsigned long process = proc_number(tid, "Tgid");

	return process ? (__s32)process : tid;
}

/* proc_has_ended() - is it a zombie, for which nobody has waited yet? */
bool proc_has_ended(__s32 pid)
{
	char state[32];

	return proc_text(pid, "State", state, sizeof(state)) && (*state == 'Z' || *state == 'X');
}

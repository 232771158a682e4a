/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests with tools that know nothing of moves share: they are run, and what they say. */
#ifndef _RADIUM_SELFTEST_TOOLS_H
#define _RADIUM_SELFTEST_TOOLS_H

#include "harness.h"

#include <fcntl.h>
#include <stdarg.h>

static inline void need_tool(const char *path)
{
	if (access(path, X_OK))
		skip("no %s", path);
}

/* All that a command prints; it has to end with 0. */
__attribute__((format(printf, 1, 2)))
static inline const char *printed(const char *format, ...)
{
	static char text[65536], command[2000];
	size_t length = 0, got;
	va_list args;
	FILE *pipe;
	int size;

	va_start(args, format);
	size = vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	CHECK(size < (int)sizeof(command));
	pipe = popen(command, "r");
	CHECK(pipe);
	while ((got = fread(text + length, 1, sizeof(text) - 1 - length, pipe)) > 0)
		length += got;
	text[length] = 0;
	if (pclose(pipe))
		fail(__FILE__, __LINE__, "%.60s: %s", command,
		     length > 300 ? text + length - 300 : text);
	return text;
}

/* Begins to write the calls of a process, and of what it makes, to a file: strace's own process. */
static inline pid_t strace_begins(const char *path, pid_t pid, const char *calls)
{
	char number[20];
	pid_t strace;

	snprintf(number, sizeof(number), "%d", pid);
	strace = DO(fork());
	if (!strace) {
		DO(dup2(DO(open("/dev/null", O_WRONLY)), 2));
		execl("/usr/bin/strace", "strace", "-f", "-e", calls, "-o", path, "-p", number, NULL);
		_exit(127);
	}
	return strace;
}

/* How often a text is in another one. */
static inline int occurrences(const char *text, const char *wanted)
{
	int count = 0;

	for (; (text = strstr(text, wanted)); text += strlen(wanted))
		count++;
	return count;
}

__attribute__((format(printf, 2, 3)))
static inline bool has(const char *text, const char *format, ...)
{
	char wanted[200];
	va_list args;

	va_start(args, format);
	vsnprintf(wanted, sizeof(wanted), format, args);
	va_end(args);
	if (!strstr(text, wanted))
		note("no '%s' in: %.300s", wanted, text);
	return strstr(text, wanted) != NULL;
}

#endif

// SPDX-License-Identifier: GPL-2.0
/* Why something failed: one line on standard error, and an object with -j. */
#include "radctl.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static const struct {
	const char *name;
	const char *what;
	const char *todo;
} reasons[] = {
#define REASON_ROW(name, what, todo) { #name, what, todo },
	RADIUM_REASONS(REASON_ROW)
#undef REASON_ROW
};

/* The reason's name in lower case; good until the next call. */
const char *reason_name(unsigned int reason)
{
	static char name[32];
	size_t i;

	if (reason >= ARRAY_SIZE(reasons)) {
		snprintf(name, sizeof(name), "reason_%u", reason);
		return name;
	}
	for (i = 0; reasons[reason].name[i] && i < sizeof(name) - 1; i++)
		name[i] = (char)tolower((unsigned char)reasons[reason].name[i]);
	name[i] = '\0';
	return name;
}

const char *reason_what(unsigned int reason)
{
	return reason < ARRAY_SIZE(reasons) ? reasons[reason].what :
		"a reason that this radctl does not know";
}

const char *reason_todo(unsigned int reason)
{
	return reason < ARRAY_SIZE(reasons) ? reasons[reason].todo :
		"install radctl and the module of the same version";
}

/* What is said of a failure: a lower-case word for programs, why, and what to do, or "". */
struct words {
	const char *name, *what, *todo;
};

static struct words words_of_reason(unsigned int reason)
{
	return (struct words) { reason_name(reason), reason_what(reason), reason_todo(reason) };
}

/* Of a system error that has no reason; good until the next call. */
static struct words words_of_errno(int error, const char *todo)
{
	static const char same_version[] = "install radctl and the module of the same version";
	static char lower[32];
	const char *name = strerrorname_np(error);

	snprintf(lower, sizeof(lower), "%s", name ? name : "unknown_error");
	for (char *c = lower; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	switch (error) {
	case ENOTTY:
		return (struct words) { lower, "the module does not know this call", same_version };
	case EPROTO:
		return (struct words) { lower, "the kernel's answer is not understood",
					*todo ? todo : same_version };
	case EINTR:
		return (struct words) { lower, "interrupted", "try again" };
	default:
		return (struct words) { lower, strerror(error), todo };
	}
}

/* @threads: how many have moved all the same; NULL: it is not about threads */
static int report(const char *subject, const struct words *words, const __u32 *threads)
{
	const char *colon = *subject ? ": " : "";
	char text[512];

	fflush(stdout);
	fprintf(stderr, "radctl: %s%s%s%s%s\n", subject, colon, words->what,
		*words->todo ? ": " : "", words->todo);
	if (options.json) {
		struct json_object *object = json_object_new_object();

		snprintf(text, sizeof(text), "%s%s%s", subject, colon, words->what);
		json_object_object_add(object, "error", out_clean_string(text, sizeof(text)));
		json_object_object_add(object, "reason", json_object_new_string(words->name));
		json_object_object_add(object, "remedy",
				       out_clean_string(words->todo, strlen(words->todo)));
		if (threads)
			json_object_object_add(object, "threads",
					       json_object_new_int64(*threads));
		if (options.lines)
			out_json_line(object);
		else
			out_json(object);
	}
	return EXIT_FAILED;
}

/**
 * fail_text() - report a failure
 * @subject: what failed, or ""
 * @name: a lower-case word for programs
 * @what: why
 * @todo: what to do about it, or ""
 *
 * Return: EXIT_FAILED.
 */
int fail_text(const char *subject, const char *name, const char *what, const char *todo)
{
	return report(subject, &(struct words) { name, what, todo }, NULL);
}

/* fail_absent() - report that something is asked for that has a name and nothing more */
int fail_absent(const char *subject)
{
	return fail_text(subject, "not_supported", "this version has none",
			 "see 'radctl --help' for what it has");
}

int fail_reason(const char *subject, unsigned int reason)
{
	struct words words = words_of_reason(reason);

	return report(subject, &words, NULL);
}

/**
 * fail_errno() - report a system error that the kernel gave no reason for
 * @error: positive
 */
int fail_errno(const char *subject, int error, const char *todo)
{
	struct words words = words_of_errno(error, todo);

	return report(subject, &words, NULL);
}

/**
 * fail_process() - report why a list of a process cannot be had
 * @error: positive errno of the list's call, which gives no reason
 */
int fail_process(const char *subject, int error)
{
	switch (error) {
	case EPERM:
		return fail_reason(subject, RADIUM_R_NOT_PERMITTED);
	case ESRCH:
		return fail_reason(subject, RADIUM_R_NO_PROCESS);
	case ENOENT:
		return fail_text(subject, "not_distributed", "it is not distributed any more",
				 "use 'radctl migrate' to move it");
	default:
		return fail_errno(subject, error, "");
	}
}

/**
 * fail_move() - report why a migration or a recall failed
 * @reason: what the kernel said, perhaps RADIUM_R_NONE
 * @error: positive errno
 * @threads: how many have moved all the same, or NULL
 */
int fail_move(const char *subject, unsigned int reason, int error, const __u32 *threads)
{
	static const struct { int error; unsigned int reason; } implied[] = {
		{ ESRCH, RADIUM_R_NO_PROCESS },
		{ EPERM, RADIUM_R_NOT_PERMITTED },
		{ EACCES, RADIUM_R_NOT_PERMITTED },
		{ EHOSTDOWN, RADIUM_R_NODE_DOWN },
		{ ENOTCONN, RADIUM_R_NOT_JOINED },
		{ EBUSY, RADIUM_R_BUSY },
		{ ETIMEDOUT, RADIUM_R_TIMEOUT },
		{ ENOMEM, RADIUM_R_NO_MEMORY },
	};
	struct words words;

	for (size_t i = 0; reason == RADIUM_R_NONE && i < ARRAY_SIZE(implied); i++)
		if (implied[i].error == error)
			reason = implied[i].reason;
	words = reason != RADIUM_R_NONE ? words_of_reason(reason) :
		words_of_errno(error, "see 'radctl check' and the kernel log");
	return report(subject, &words, threads);
}

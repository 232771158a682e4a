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
	const char *colon = *subject ? ": " : "";
	char text[512];

	fflush(stdout);
	fprintf(stderr, "radctl: %s%s%s%s%s\n", subject, colon, what, *todo ? ": " : "", todo);
	if (options.json) {
		struct json_object *object = json_object_new_object();

		snprintf(text, sizeof(text), "%s%s%s", subject, colon, what);
		json_object_object_add(object, "error", out_clean_string(text, sizeof(text)));
		json_object_object_add(object, "reason", json_object_new_string(name));
		json_object_object_add(object, "remedy",
				       out_clean_string(todo, strlen(todo)));
		out_json(object);
	}
	return EXIT_FAILED;
}

int fail_reason(const char *subject, unsigned int reason)
{
	return fail_text(subject, reason_name(reason), reason_what(reason), reason_todo(reason));
}

/**
 * fail_errno() - report a system error that the kernel gave no reason for
 * @error: positive
 */
int fail_errno(const char *subject, int error, const char *todo)
{
	const char *name = strerrorname_np(error);
	char lower[32] = "unknown_error";

	for (size_t i = 0; name && i < sizeof(lower) - 1; i++) {
		lower[i] = (char)tolower((unsigned char)name[i]);
		if (!name[i])
			break;
	}
	switch (error) {
	case ENOTTY:
		return fail_text(subject, lower, "the module does not know this call",
				 "install radctl and the module of the same version");
	case EPROTO:
		return fail_text(subject, lower, "the module refused the handshake",
				 "install radctl and the module of the same version");
	case EINTR:
		return fail_text(subject, lower, "interrupted", "try again");
	default:
		return fail_text(subject, lower, strerror(error), todo);
	}
}

/**
 * fail_move() - report why a migration or a recall failed
 * @reason: what the kernel said, perhaps RADIUM_R_NONE
 * @error: positive errno
 */
int fail_move(const char *subject, unsigned int reason, int error)
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

	for (size_t i = 0; reason == RADIUM_R_NONE && i < ARRAY_SIZE(implied); i++)
		if (implied[i].error == error)
			reason = implied[i].reason;
	if (reason != RADIUM_R_NONE)
		return fail_reason(subject, reason);
	return fail_errno(subject, error, "see 'radctl check' and the kernel log");
}

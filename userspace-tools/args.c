// SPDX-License-Identifier: GPL-2.0
/* Options and numbers of the command line. */
#include "radctl.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/**
 * args_fail() - say what is wrong with the command line and exit with status 2
 * @c: the command
 */
void args_fail(const struct command *c, const char *format, ...)
{
	char what[256], todo[128];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	snprintf(todo, sizeof(todo), "see 'radctl%s%s --help'", *c->name ? " " : "", c->name);
	fail_text(c->name, "usage", what, todo);
	fflush(stdout);
	exit(EXIT_USAGE);
}

/* Is JSON asked for? Before all else: what is wrong may stand before the option that asks. */
void args_json(int argc, char **argv, const char *shorts, const struct option *longs)
{
	int option;

	opterr = 0;
	optind = 0;			/* glibc: scan anew */
	while ((option = getopt_long(argc, argv, shorts, longs, NULL)) != -1)
		options.json |= option == 'j';
	optind = 0;
}

/* Is that the value of a long option? Where it is a letter, that is a short option too: known. */
static bool is_long(int value, const struct option *longs)
{
	while (longs->name && longs->val != value)
		longs++;
	return longs->name;
}

/* -j may stand behind the command that is not reached; but what "run" executes is not for us. */
static void json_behind(int argc, char **argv, const char *shorts, const struct option *longs)
{
	int word = optind;

	while (word < argc && *argv[word] == '-')
		word++;
	if (word < argc)
		args_json(argc - word, argv + word, strcmp(argv[word], "run") ? shorts + 1 : shorts,
			  longs);
}

_Noreturn static void fail_option(const struct command *c, int argc, char **argv,
				  const char *shorts, const struct option *longs)
{
	const char *typed = argv[optind - 1];
	int letter = optopt;

	if (c->table)
		json_behind(argc, argv, shorts, longs);
	/* One that exists is wrong because of what was given with it. */
	if (letter && is_long(letter, longs))
		args_fail(c, "'%s': this option takes no value", typed);
	if (letter > ' ' && letter <= '~')
		args_fail(c, "unknown option '-%c'", letter);
	args_fail(c, "unknown option '%s'", typed);
}

/**
 * args_next() - getopt_long() with the options that every command has
 * @shorts: begins with ":" or "+:", and holds "jvh"
 * @longs: ends with ARGS_COMMON
 *
 * The first time optind is 0.
 *
 * Return: the next option of the command's own, or -1 at the end.
 */
int args_next(const struct command *c, int argc, char **argv, const char *shorts,
	      const struct option *longs)
{
	int option;

	if (!optind)
		args_json(argc, argv, shorts, longs);
	while ((option = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		switch (option) {
		case 'j':
			options.json = true;
			break;
		case 'v':
			options.verbose = true;
			break;
		case 'h':
			command_help(c);
			exit(out_finish());
		case ':':
			args_fail(c, "option '%s' needs a value", argv[optind - 1]);
		case '?':
			fail_option(c, argc, argv, shorts, longs);
		default:
			return option;
		}
	}
	return -1;
}

/* After the options: are there between @least and @most arguments? */
void args_done(const struct command *c, int argc, char **argv, int least, int most)
{
	if (argc - optind < least)
		args_fail(c, "expected %s", c->arguments);
	if (argc - optind > most)
		args_fail(c, "unexpected '%s'", argv[optind + most]);
}

void args_only_common(const struct command *c, int argc, char **argv, int least, int most)
{
	static const struct option longs[] = { ARGS_COMMON };

	while (args_next(c, argc, argv, ":jvh", longs) != -1)
		;
	args_done(c, argc, argv, least, most);
}

uint32_t args_number(const struct command *c, const char *what, const char *text,
		     uint32_t min, uint32_t max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || value < min || value > max)
		args_fail(c, "%s '%s' is not a number from %u to %u", what, text, min, max);
	return (uint32_t)value;
}

__s32 args_pid(const struct command *c, const char *what, const char *text)
{
	return (__s32)args_number(c, what, text, 1, INT_MAX);
}

/* Seconds, perhaps with a fraction, as milliseconds. */
uint32_t args_milliseconds(const struct command *c, const char *what, const char *text)
{
	const double most = 86400.0 * 7;
	double value = 0;
	char *end = NULL;

	if (*text && strspn(text, "0123456789.") == strlen(text))
		value = strtod(text, &end);
	if (!end || *end || value < 0.001 || value > most)
		args_fail(c, "%s '%s' is not a number of seconds from 0.001 to %.0f", what, text,
			  most);
	return (uint32_t)(value * 1000 + 0.5);
}

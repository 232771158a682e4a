// SPDX-License-Identifier: GPL-2.0
/* radctl: the commands and how they are found. */
#include "radctl.h"

#include <stdlib.h>
#include <string.h>

struct options options;

static const char move_help[] =
	"  --thread TID     this thread instead of the first one\n"
	"  --all-threads    every thread of the process\n"
	"  --timeout S      give up after S seconds (30)\n";

static const struct command commands[] = {
	{ "migrate", "PID [NODE]", "move a running process' thread", move_help, cmd_migrate, NULL },
	{ "recall", "PID", "bring threads home",
	  "  --all            every page too\n"
	  "  --thread TID     this thread alone\n"
	  "  --timeout S      give up after S seconds (30)\n", cmd_recall, NULL },
	{ "run", "-- CMD...", "run a program with its threads on another node, or on several",
	  "  --node N         on node N; otherwise where the load per CPU is least\n"
	  "  --policy spread  each new thread on the next node, in turn, home first;\n"
	  "                   with --node N,M... on the next of these\n"
	  "  --stay           let no policy move it elsewhere\n", cmd_run, NULL },
	{ "ps", "", "list distributed processes", NULL, cmd_ps, NULL },
	{ "show", "PID", "one process in detail", NULL, cmd_show, NULL },
	{ "explain", "PID", "say why its threads are where they are", NULL, cmd_explain, NULL },
	{ "node", "", "nodes of the cluster", NULL, NULL, node_commands },
	{ "monitor", "", "print events as they happen",
	  "  --count N        end after N events\n"
	  "  --timeout S      end after S seconds\n", cmd_monitor, NULL },
	{ "top", "[PID]", "live view, of one process or of all",
	  "  --count N        end after N views\n"
	  "  --interval S     seconds between views (1)\n", cmd_top, NULL },
	{ "check", "", "say what this machine lacks", NULL, cmd_check, NULL },
	{ NULL, NULL, NULL, NULL, NULL, NULL }
};

/* Named so that they fail with a reason rather than as unknown words. */
static const struct command absent[] = {
	{ "resource", "", "", NULL, cmd_none, NULL },
	{ "policy", "", "", NULL, cmd_none, NULL },
	{ NULL, NULL, NULL, NULL, NULL, NULL }
};

static const struct command program = {
	"", "[COMMAND]", "distributed thread migration; without a command: status", NULL,
	cmd_status, commands
};

int cmd_none(const struct command *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return fail_absent(c->name);
}

static const struct command *command_find(const struct command *table, const char *prefix,
					  const char *word)
{
	size_t skip = *prefix ? strlen(prefix) + 1 : 0;

	for (; table->name; table++)
		if (!strcmp(table->name + skip, word))
			return table;
	return NULL;
}

void command_help(const struct command *c)
{
	printf("usage: radctl%s%s%s%s%s\n%s\n\n", *c->name ? " " : "", c->name,
	       c->table ? " COMMAND" : " [OPTION]...", *c->arguments && !c->table ? " " : "",
	       c->table ? "" : c->arguments, c->summary);
	for (const struct command *t = c->table; t && t->name; t++)
		printf("  %-14s %s\n", t->name, t->summary);
	if (c->table)
		putchar('\n');
	if (c->help)
		fputs(c->help, stdout);
	printf("  -j, --json       JSON instead of text\n"
	       "  -v, --verbose    say more\n"
	       "  -h, --help       this text\n");
	if (c == &program)
		printf("  -V, --version    the version\n\nSee radctl(8).\n");
}

/* Options that may stand before the command, then the command that the next word names. */
static int command_dispatch(const struct command *self, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "version", no_argument, NULL, 'V' },
		ARGS_COMMON
	};
	const struct command *c;
	const char *word;

	optind = 0;			/* glibc: scan anew */
	while (args_next(self, argc, argv, "+:jvhV", longs) != -1) {
		printf("radctl %s (ABI %d)\n", RADCTL_VERSION, RADIUM_ABI_VERSION);
		return EXIT_DONE;
	}
	if (optind == argc && self->run)
		return self->run(self, argc, argv);
	if (optind == argc)
		args_fail(self, "expected a command");
	word = argv[optind];
	c = command_find(self->table, self->name, word);
	if (!c && self == &program)
		c = command_find(absent, "", word);
	if (!c) {
		args_json(argc, argv, ":jvhV", longs);
		args_fail(self, "no such command '%s'", word);
	}
	argc -= optind;
	argv += optind;
	if (c->table)
		return command_dispatch(c, argc, argv);
	optind = 0;
	return c->run(c, argc, argv);
}

int main(int argc, char **argv)
{
	int status = command_dispatch(&program, argc, argv);

	return status ? status : out_finish();
}

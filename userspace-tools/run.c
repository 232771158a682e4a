// SPDX-License-Identifier: GPL-2.0
/*
 * radctl run: ask for this very process to be placed, or for its threads to be
 * spread, then become CMD. Both follow exec and fork in the kernel, so that PID,
 * parent, signals, job control and exit status are CMD's own.
 */
#include "radctl.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_NOT_RUNNABLE = 126, EXIT_NOT_FOUND = 127 };	/* as env(1) and the shell do */

/* Moves this process to a node, 0: to the least loaded one. */
static int place_self(struct dev *dev, const char *subject, uint32_t node)
{
	struct radium_move move = {
		.size = sizeof(move),
		.flags = RADIUM_MOVE_SELF | RADIUM_MOVE_NO_WAIT,
		.pid = getpid(),
	};
	int status = 0, error = 0;

	if (!node)
		status = node_choose_open(dev, subject, &node);
	if (!status && node != dev->hello.node) {
		move.node = node;
		error = -device_ioctl(dev->fd, RADIUM_IOC_MIGRATE, &move);
		if (error)
			status = fail_move(subject, move.reason, error, NULL);
	}
	return status;
}

/* Spreads its threads over a set of nodes, 0: over all. */
static int spread_self(struct dev *dev, const char *subject, uint64_t nodes)
{
	struct radium_spread spread = { .size = sizeof(spread), .nodes = nodes };
	uint32_t other;
	int error;

	/* Where there is no other node nothing is spread. */
	if (!nodes && node_choose_open(dev, subject, &other))
		return EXIT_FAILED;
	error = -device_ioctl(dev->fd, RADIUM_IOC_SPREAD, &spread);
	return error ? fail_move(subject, spread.reason, error, NULL) : 0;
}

/* "N[,M...]" as a set, whose bit i is node i+1. */
static uint64_t node_set(const struct command *c, char *text)
{
	uint64_t nodes = 0;
	char *number;

	do {
		number = strsep(&text, ",");
		nodes |= 1ULL << (args_number(c, "node", number, 1, RADIUM_NODE_MAX) - 1);
	} while (text);
	return nodes;
}

int cmd_run(const struct command *c, int argc, char **argv)
{
	enum { NODE = 256, POLICY, RESOURCE, STAY };
	static const struct option longs[] = {
		{ "node", required_argument, NULL, NODE },
		{ "policy", required_argument, NULL, POLICY },
		{ "resource", required_argument, NULL, RESOURCE },
		{ "stay", no_argument, NULL, STAY },
		ARGS_COMMON
	};
	int option, status, error;
	bool spread = false, resource = false;
	char subject[128];
	uint64_t nodes = 0;
	struct dev dev;

	while ((option = args_next(c, argc, argv, "+:jvh", longs)) != -1) {
		if (option == NODE)
			nodes = node_set(c, optarg);
		else if (option == POLICY && strcmp(optarg, "spread"))
			args_fail(c, "no policy '%.32s', the one there is is 'spread'", optarg);
		else if (option == POLICY)
			spread = true;
		else if (option == RESOURCE)
			resource = true;
	}
	if (!spread && nodes & (nodes - 1))
		args_fail(c, "several nodes are for '--policy spread'");
	if (optind == argc)
		args_fail(c, "expected a command to run");
	if (resource)
		return fail_absent("run --resource");
	snprintf(subject, sizeof(subject), "run %.64s", argv[optind]);
	status = dev_open(&dev, subject);
	if (status)
		return status;
	status = spread ? spread_self(&dev, subject, nodes) :
			  place_self(&dev, subject, (uint32_t)ffsll((long long)nodes));
	dev_close(&dev);
	if (status)
		return status;
	execvp(argv[optind], argv + optind);
	error = errno;
	fail_errno(subject, error, "");
	return error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE;
}

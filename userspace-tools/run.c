// SPDX-License-Identifier: GPL-2.0
/*
 * radctl run: ask for this very process to be placed, then become CMD. The
 * placement follows exec and fork in the kernel, so that PID, parent, signals,
 * job control and exit status are CMD's own.
 */
#include "radctl.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_NOT_RUNNABLE = 126, EXIT_NOT_FOUND = 127 };	/* as env(1) and the shell do */

static int place_self(const char *subject, uint32_t node)
{
	struct radium_move move = {
		.size = sizeof(move),
		.flags = RADIUM_MOVE_SELF | RADIUM_MOVE_NO_WAIT,
		.pid = getpid(),
	};
	struct dev dev;
	int status, error = 0;

	status = dev_open(&dev, subject);
	if (status)
		return status;
	if (!node)
		status = node_choose_open(&dev, subject, &node);
	if (!status && node != dev.hello.node) {
		move.node = node;
		error = -device_ioctl(dev.fd, RADIUM_IOC_MIGRATE, &move);
		if (error)
			status = fail_move(subject, move.reason, error);
	}
	dev_close(&dev);
	return status;
}

int cmd_run(const struct command *c, int argc, char **argv)
{
	enum { NODE = 256, STAY };
	static const struct option longs[] = {
		{ "node", required_argument, NULL, NODE },
		{ "stay", no_argument, NULL, STAY },
		ARGS_COMMON
	};
	char subject[128];
	uint32_t node = 0;
	int option, status, error;

	while ((option = args_next(c, argc, argv, "+:jvh", longs)) != -1)
		if (option == NODE)
			node = args_number(c, "node", optarg, 1, RADIUM_NODE_MAX);
	if (optind == argc)
		args_fail(c, "expected a command to run");
	snprintf(subject, sizeof(subject), "run %.64s", argv[optind]);
	status = place_self(subject, node);
	if (status)
		return status;
	execvp(argv[optind], argv + optind);
	error = errno;
	fail_errno(subject, error, "");
	return error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE;
}

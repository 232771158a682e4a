// SPDX-License-Identifier: GPL-2.0
/* radctl without a command: is radium loaded, has this machine joined, what runs. */
#include "radctl.h"

#include <stdlib.h>

struct status {
	struct radium_hello hello;
	__u32 nodes;
	__u32 nodes_up;
};

static struct json_object *make_version(const void *record)
{
	(void)record;
	return json_object_new_string(RADCTL_VERSION);
}

#define FIELD(member, key, title) OUT_FIELD(status, hello.member, key, title, OUT_PLAIN)
static const struct out_field status_fields[] = {
	OUT_MAKE(make_version, "version", NULL, OUT_PLAIN),
	FIELD(abi, "abi", "abi"),
	FIELD(wire, "wire", "wire version"),
	FIELD(node, "node", "node"),
	FIELD(processes, "processes", "distributed processes"),
	FIELD(visitors, "visitors", "visitors"),
	OUT_FIELD(status, nodes, "nodes", "nodes", OUT_PLAIN),
	OUT_FIELD(status, nodes_up, "nodes_up", "nodes up", OUT_PLAIN),
	OUT_END
};

static void count_nodes(struct status *status, struct dev *dev)
{
	size_t count;
	int error;
	struct radium_node_info *nodes = node_list(dev, &count, &error);

	for (size_t i = 0; nodes && i < count; i++) {
		status->nodes++;
		status->nodes_up += nodes[i].state == RADIUM_NODE_UP ||
				    nodes[i].state == RADIUM_NODE_SELF;
	}
	free(nodes);
}

int cmd_status(const struct command *c, int argc, char **argv)
{
	struct json_object *object;
	struct status status = { 0 };
	struct dev dev;

	(void)c, (void)argc, (void)argv;	/* its options stood before the missing command */
	if (dev_open(&dev, "status"))
		return EXIT_FAILED;
	status.hello = dev.hello;
	count_nodes(&status, &dev);
	dev_close(&dev);
	object = out_object(status_fields, &status);
	if (options.json)
		return out_json(object);
	out_lines(status_fields, object);
	if (!status.hello.node)
		printf("this machine has not joined a cluster: use 'radctl node join'\n");
	json_object_put(object);
	return EXIT_DONE;
}

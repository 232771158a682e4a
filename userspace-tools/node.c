// SPDX-License-Identifier: GPL-2.0
/* Nodes: the list, the least loaded one, leaving and draining. */
#include "radctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int node_leave(const struct command *c, int argc, char **argv);
static int node_show_list(const struct command *c, int argc, char **argv);

const struct command node_commands[] = {
	{ "node up", "[NETDEV]", "make an RDMA device if there is none, load radium",
	  NULL, node_up, NULL },
	{ "node join", "--id N --addr A --key FILE [PEER...]", "make this machine a node",
	  "  --id N           id of this node, from 1 to 64\n"
	  "  --addr A         address to listen on, one of its RDMA device\n"
	  "  --port P         rdma_cm port (18515), the same on all nodes\n"
	  "  --key FILE       the cluster's key, see 'radctl node key --help'\n"
	  "  --replica PATH   the radium-replica program\n"
	  "  --wait S         fail unless every PEER is up within S seconds\n"
	  "  --no-wait        do not look whether they answer\n"
	  "  --ensure         succeed if this machine is the node, be it so already\n", node_join, NULL },
	{ "node leave", "", "leave the cluster",
	  "  --drain          first send visitors home and recall own threads and pages\n"
	  "  --timeout S      give up after S seconds (30)\n", node_leave, NULL },
	{ "node drain", "", "send visitors home, recall own threads and pages, stay a node",
	  "  --timeout S      give up after S seconds (30)\n", node_leave, NULL },
	{ "node list", "", "list the nodes with their state and load", NULL,
	  node_show_list, NULL },
	{ "node key", "FILE", "create a file with a random cluster key", NULL, node_key, NULL },
	{ NULL, NULL, NULL, NULL, NULL, NULL }
};

const char *node_state_name(unsigned int state)
{
	static const char *const names[] = {
#define STATE_NAME(name, text) text,
		RADIUM_NODE_STATES(STATE_NAME)
#undef STATE_NAME
	};

	return state < ARRAY_SIZE(names) ? names[state] : "unknown";
}

/* The nodes of a mask, whose bit i is node i+1, as an array. */
struct json_object *node_mask(__u64 mask)
{
	struct json_object *array = json_object_new_array();

	for (int bit = 0; bit < RADIUM_NODE_MAX; bit++)
		if (mask >> bit & 1)
			json_object_array_add(array, json_object_new_int(bit + 1));
	return array;
}

static struct json_object *make_state(const void *record)
{
	const struct radium_node_info *node = record;

	return json_object_new_string(node_state_name(node->state));
}

static struct json_object *make_self(const void *record)
{
	const struct radium_node_info *node = record;

	return json_object_new_boolean(node->state == RADIUM_NODE_SELF);
}

static struct json_object *make_reason(const void *record)
{
	const struct radium_node_info *node = record;

	return json_object_new_string(reason_name(node->reason));
}

static struct json_object *make_reason_text(const void *record)
{
	const struct radium_node_info *node = record;

	return json_object_new_string(reason_what(node->reason));
}

#define FIELD(member, key, title, style) OUT_FIELD(radium_node_info, member, key, title, style)
const struct out_field node_fields[] = {
	FIELD(id, "id", "NODE", OUT_PLAIN),
	OUT_MAKE(make_state, "state", "STATE", OUT_PLAIN),
	OUT_MAKE(make_self, "self", "SELF", OUT_PLAIN),
	FIELD(addr, "addr", "ADDRESS", OUT_PLAIN),
	FIELD(load, "load", "LOAD", OUT_HUNDREDTHS),
	FIELD(cpus, "cpus", "CPUS", OUT_PLAIN),
	FIELD(visitors, "visitors", "VISITORS", OUT_PLAIN),
	FIELD(rtt, "rtt_ns", "RTT", OUT_NS),
	FIELD(bytes_sent, "bytes_sent", "SENT", OUT_BYTES),
	FIELD(bytes_received, "bytes_received", "RECEIVED", OUT_BYTES),
	FIELD(messages_sent, "messages_sent", NULL, OUT_PLAIN),
	FIELD(messages_received, "messages_received", NULL, OUT_PLAIN),
	FIELD(reconnects, "reconnects", "RECONNECTS", OUT_PLAIN),
	FIELD(epoch, "epoch", NULL, OUT_PLAIN),
	FIELD(clock_offset, "clock_offset_ns", NULL, OUT_NS),
	OUT_MAKE(make_reason, "reason", NULL, OUT_PLAIN),
	OUT_MAKE(make_reason_text, "reason_text", "REASON", OUT_PLAIN),
	OUT_END
};

struct radium_node_info *node_list(struct dev *dev, size_t *count, int *error)
{
	return dev_list(dev, RADIUM_IOC_NODE_LIST, 0, sizeof(struct radium_node_info), count,
			error);
}

/**
 * node_choose() - the other node that is up and has the least load per CPU
 *
 * Return: its id, or 0 if no other node is up.
 */
uint32_t node_choose(const struct radium_node_info *nodes, size_t count)
{
	const struct radium_node_info *best = NULL;

	for (const struct radium_node_info *n = nodes; n < nodes + count; n++) {
		uint64_t n_cpus = n->cpus ? n->cpus : 1;

		if (n->state != RADIUM_NODE_UP)
			continue;
		if (!best || n->load * (uint64_t)(best->cpus ? best->cpus : 1) <
			     best->load * n_cpus)
			best = n;
	}
	return best ? best->id : 0;
}

/* node_choose() with the list read and a complaint if there is none; 0 or EXIT_FAILED. */
int node_choose_open(struct dev *dev, const char *subject, uint32_t *node)
{
	struct radium_node_info *nodes;
	size_t count;
	int error;

	if (!dev->hello.node)
		return fail_reason(subject, RADIUM_R_NOT_JOINED);
	nodes = node_list(dev, &count, &error);
	if (!nodes)
		return fail_errno(subject, error, "");
	*node = node_choose(nodes, count);
	free(nodes);
	if (!*node)
		return fail_text(subject, "no_node", "no other node is up",
				 "see 'radctl node list'");
	return 0;
}

static int node_show_list(const struct command *c, int argc, char **argv)
{
	static const struct list nodes = {
		RADIUM_IOC_NODE_LIST, sizeof(struct radium_node_info), node_fields,
		"this machine has not joined a cluster: use 'radctl node join'",
	};

	return list_show(c, argc, argv, &nodes);
}

/* node leave and node drain: one structure, two calls. */
static int node_leave(const struct command *c, int argc, char **argv)
{
	enum { DRAIN = 256, TIMEOUT };
	static const struct option longs[] = {
		{ "timeout", required_argument, NULL, TIMEOUT },
		{ "drain", no_argument, NULL, DRAIN },
		ARGS_COMMON
	};
	bool drain = !strcmp(c->name, "node drain");
	struct radium_node_leave leave = { .size = sizeof(leave), .drain = drain };
	struct dev dev;
	int option, error;

	while ((option = args_next(c, argc, argv, ":jvh", longs)) != -1) {
		if (option == DRAIN)
			leave.drain = 1;
		else
			leave.timeout_ms = args_milliseconds(c, "timeout", optarg);
	}
	args_done(c, argc, argv, 0, 0);
	if (dev_open(&dev, c->name))
		return EXIT_FAILED;
	error = -device_ioctl(dev.fd, drain ? RADIUM_IOC_NODE_DRAIN : RADIUM_IOC_NODE_LEAVE,
			      &leave);
	dev_close(&dev);
	if (error == EPERM && !leave.reason)
		return fail_errno(c->name, error, "run as root (CAP_SYS_ADMIN)");
	if (error == ETIMEDOUT && leave.reason == RADIUM_R_TIMEOUT)
		return fail_text(c->name, reason_name(leave.reason), "not everything has moved in time",
				 "see 'radctl ps' and 'radctl node list'; it moves when it can: try again");
	if (error && leave.reason)
		return fail_reason(c->name, leave.reason);
	if (error)
		return fail_errno(c->name, error, "see 'radctl node list' and the kernel log");
	if (options.json) {
		struct json_object *object = json_object_new_object();

		json_object_object_add(object, "node",
				       json_object_new_int64(drain ? dev.hello.node : 0));
		out_json(object);
	}
	return EXIT_DONE;
}

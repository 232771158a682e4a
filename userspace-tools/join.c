// SPDX-License-Identifier: GPL-2.0
/* radctl node join: make this machine a node, and see whether its peers agree. */
#include "radctl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	LOOK_MS = 2000,		/* how long peers may take to refuse us when nobody said */
	LOOK_EVERY_MS = 50,
};

/* What "node join" is to make sure of. */
struct wanted {
	uint32_t wait_ms;	/* look for so long whether peers agree, 0: do not look */
	bool all;		/* every peer is to be up */
	bool ensure;		/* whatever peers say, if only this machine is a node */
};

/* The replica program beside this one (a build), where it is installed with it, or the default. */
const char *replica_path(char *path, size_t size)
{
	static const char *const places[] = {
		"radium-replica", "../libexec/radium/radium-replica",
	};
	char own[PATH_MAX], beside[PATH_MAX + 64], found[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);

	own[length > 0 ? length : 0] = '\0';
	for (size_t i = 0; length > 0 && i < ARRAY_SIZE(places); i++) {
		snprintf(beside, sizeof(beside), "%.*s/%s",
			 (int)(strrchr(own, '/') - own), own, places[i]);
		if (realpath(beside, found) && !access(found, X_OK)) {
			snprintf(path, size, "%s", found);
			return path;
		}
	}
	snprintf(path, size, "%s", RADCTL_REPLICA);
	return path;
}

/* A name or an address as the numeric address that the module wants. */
static int resolve(const char *subject, const char *name, char address[RADIUM_ADDR_SIZE])
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	int error = getaddrinfo(name, NULL, &hints, &found);
	char what[128];

	if (!error) {
		error = getnameinfo(found->ai_addr, found->ai_addrlen, address, RADIUM_ADDR_SIZE,
				    NULL, 0, NI_NUMERICHOST);
		freeaddrinfo(found);
	}
	if (!error)
		return 0;
	snprintf(what, sizeof(what), "'%s' is no address: %s", name, gai_strerror(error));
	return fail_text(subject, "no_address", what, "give a numeric IPv4 or IPv6 address");
}

static int replica_failed(const char *subject)
{
	return fail_text(subject, "replica", "the replica program cannot be run",
			 "name it with --replica");
}

static int join_failed(const char *subject, int error)
{
	switch (error) {
	case EPERM:
		return fail_errno(subject, error, "run as root (CAP_SYS_ADMIN)");
	case EALREADY:
	case EEXIST:
	case EISCONN:
		return fail_reason(subject, RADIUM_R_ALREADY_JOINED);
	case ENODEV:
	case EADDRNOTAVAIL:
		return fail_text(subject, "no_device", "no RDMA device has this address",
				 "use 'radctl node up', and give the address of its network device");
	case EADDRINUSE:
		return fail_errno(subject, error, "choose another --port");
	case EOPNOTSUPP:
		return fail_text(subject, "device_unfit",
				 "the RDMA device with this address is not one that radium can use",
				 "see the kernel log; use InfiniBand, RoCE or Soft-RoCE");
	default:
		return fail_errno(subject, error, "see 'radctl check' and the kernel log");
	}
}

static int warn_joined(const char *subject, unsigned int reason)
{
	if (reason != RADIUM_R_NONE)
		fprintf(stderr, "radctl: %s: joined, but %s: %s\n", subject, reason_what(reason),
			reason_todo(reason));
	return 0;
}

/* Are these two texts the same address? The module's has no scope. */
static bool same_address(const char *a, const char *b)
{
	unsigned char numbers[2][sizeof(struct in6_addr)];
	const char *const texts[] = { a, b };
	char plain[RADIUM_ADDR_SIZE];
	int family = strchr(a, ':') ? AF_INET6 : AF_INET;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		snprintf(plain, sizeof(plain), "%.*s", (int)strcspn(texts[i], "%"), texts[i]);
		if (inet_pton(family, plain, numbers[i]) != 1)
			return false;
	}
	return !memcmp(numbers[0], numbers[1], family == AF_INET6 ? sizeof(struct in6_addr) :
								     sizeof(struct in_addr));
}

static bool is_among(const char *address, const char (*all)[RADIUM_ADDR_SIZE], uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (same_address(all[i], address))
			return true;
	return false;
}

/* Drop who is named twice, and this node itself, as the module does. */
static uint32_t distinct(const char *own, char (*peers)[RADIUM_ADDR_SIZE], uint32_t count)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++)
		if (!same_address(own, peers[i]) && !is_among(peers[i], peers, kept))
			memmove(peers[kept++], peers[i], sizeof(*peers));
	return kept;
}

/* Is this machine the node that was asked for? */
static bool is_that_node(struct dev *dev, const struct radium_node_join *join)
{
	size_t rows;
	int error;
	struct radium_node_info *nodes = node_list(dev, &rows, &error);
	bool found = false;

	for (size_t i = 0; nodes && i < rows; i++)
		found |= nodes[i].state == RADIUM_NODE_SELF && nodes[i].id == join->id &&
			 same_address(nodes[i].addr, join->addr);
	free(nodes);
	return found;
}

/**
 * look() - wait until every peer has accepted or refused this node
 * @peers: their addresses, each once
 * @wanted: what counts as a failure
 *
 * A node that is refused by the cluster and accepted by nobody has not joined
 * anything: it leaves again, so that a wrong key or id changes nothing.
 */
static int look(struct dev *dev, const char *subject, const char (*peers)[RADIUM_ADDR_SIZE],
		uint32_t count, const struct wanted *wanted)
{
	uint64_t end = stop_clock_ms() + wanted->wait_ms;

	for (;;) {
		uint32_t up = 0, refused = 0, reason = RADIUM_R_NONE;
		bool accepted = false;
		size_t rows;
		int error;
		struct radium_node_info *nodes = node_list(dev, &rows, &error);

		if (!nodes)
			return fail_errno(subject, error, "");
		for (size_t i = 0; i < rows; i++) {
			accepted |= nodes[i].state == RADIUM_NODE_UP;
			if (!is_among(nodes[i].addr, peers, count))
				continue;
			up += nodes[i].state == RADIUM_NODE_UP;
			if (nodes[i].state != RADIUM_NODE_REFUSED)
				continue;
			refused++;
			reason = nodes[i].reason;
		}
		free(nodes);
		if (up >= count)
			return 0;
		if (up + refused >= count || stop_clock_ms() >= end) {
			struct radium_node_leave leave = { .size = sizeof(leave) };

			if (!refused)
				reason = wanted->all ? RADIUM_R_UNREACHABLE : RADIUM_R_NONE;
			if (refused && !accepted)
				device_ioctl(dev->fd, RADIUM_IOC_NODE_LEAVE, &leave);
			else if (wanted->ensure)
				return warn_joined(subject, reason);
			if (!reason && isatty(STDOUT_FILENO))
				printf("joined; %u of %u peers have answered: see 'radctl node list'\n", up, count);
			return reason ? fail_reason(subject, reason) : 0;
		}
		usleep(LOOK_EVERY_MS * 1000);
	}
}

static int join(const char *subject, struct radium_node_join *join, const struct wanted *wanted)
{
	char (*peers)[RADIUM_ADDR_SIZE] = (void *)(uintptr_t)join->peers;
	uint32_t count;
	struct dev dev;
	int status, error;

	status = dev_open(&dev, subject);
	if (status)
		return status;
	error = -device_ioctl(dev.fd, RADIUM_IOC_NODE_JOIN, join);
	count = distinct(join->addr, peers, join->peer_count);
	if (error && !(wanted->ensure && error == EALREADY && is_that_node(&dev, join)))
		status = join_failed(subject, error);
	else if (!error && count && wanted->wait_ms)
		status = look(&dev, subject, peers, count, wanted);
	dev_close(&dev);
	if (!status && options.json) {
		struct json_object *object = json_object_new_object();

		json_object_object_add(object, "node", json_object_new_int64(join->id));
		json_object_object_add(object, "addr", json_object_new_string(join->addr));
		out_json(object);
	}
	return status;
}

int node_join(const struct command *c, int argc, char **argv)
{
	enum { ID = 256, ADDR, PORT, KEY, REPLICA, WAIT, NO_WAIT, ENSURE };
	static const struct option longs[] = {
		{ "id", required_argument, NULL, ID },
		{ "addr", required_argument, NULL, ADDR },
		{ "port", required_argument, NULL, PORT },
		{ "key", required_argument, NULL, KEY },
		{ "replica", required_argument, NULL, REPLICA },
		{ "wait", required_argument, NULL, WAIT },
		{ "no-wait", no_argument, NULL, NO_WAIT },
		{ "ensure", no_argument, NULL, ENSURE },
		ARGS_COMMON
	};
	struct radium_node_join request = { .size = sizeof(request) };
	const char *addr = NULL, *key = NULL, *what, *todo;
	char (*peers)[RADIUM_ADDR_SIZE], path[PATH_MAX], subject[PATH_MAX + 32];
	const char *replica = replica_path(path, sizeof(path));
	struct wanted wanted = { .wait_ms = LOOK_MS };
	bool no_wait = false;
	int option, status = 0;

	while ((option = args_next(c, argc, argv, ":jvh", longs)) != -1) {
		if (option == ID)
			request.id = args_number(c, "id", optarg, 1, RADIUM_NODE_MAX);
		else if (option == ADDR)
			addr = optarg;
		else if (option == PORT)
			request.port = args_number(c, "port", optarg, 1, 65535);
		else if (option == KEY)
			key = optarg;
		else if (option == REPLICA)
			replica = optarg;
		else if (option == NO_WAIT)
			no_wait = true;
		else if (option == ENSURE)
			wanted.ensure = true;
		else
			wanted.wait_ms = args_milliseconds(c, "wait", optarg), wanted.all = true;
	}
	if (no_wait && wanted.all)
		args_fail(c, "--wait and --no-wait exclude each other");
	if (no_wait)
		wanted.wait_ms = 0;
	if (!request.id || !addr || !key)
		args_fail(c, "%s is missing", !request.id ? "--id" : !addr ? "--addr" : "--key");
	args_done(c, argc, argv, 0, RADIUM_NODE_MAX - 1);
	if (*replica != '/' || strlen(replica) >= RADIUM_PATH_SIZE)
		args_fail(c, "replica '%s' is not an absolute path of less than %d bytes", replica,
			  RADIUM_PATH_SIZE);

	snprintf(subject, sizeof(subject), "%s: key %s", c->name, key);
	if (key_read(key, request.key, &what, &todo))
		return fail_text(subject, "key_file", what, todo);
	snprintf(subject, sizeof(subject), "%s as %u", c->name, request.id);
	if (access(replica, X_OK))
		return replica_failed(subject);
	memcpy(request.replica, replica, strlen(replica) + 1);

	request.peer_count = (uint32_t)(argc - optind);
	peers = calloc(request.peer_count + 1, sizeof(*peers));
	if (!peers)
		return fail_errno(subject, ENOMEM, "");
	request.peers = (uintptr_t)peers;
	status = resolve(subject, addr, request.addr);
	for (uint32_t i = 0; i < request.peer_count && !status; i++)
		status = resolve(subject, argv[optind + (int)i], peers[i]);
	if (!status)
		status = join(subject, &request, &wanted);
	explicit_bzero(request.key, sizeof(request.key));
	free(peers);
	return status;
}

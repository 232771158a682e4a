// SPDX-License-Identifier: GPL-2.0
/* radctl node up: the RDMA device (Soft-RoCE where there is no other), through rdma netlink. */
#include "radctl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <rdma/rdma_netlink.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static bool read_word(const char *path, char *word, size_t size)
{
	FILE *file = fopen(path, "re");
	bool found;

	if (!file)
		return false;
	found = fgets(word, (int)size, file) != NULL;	/* sysfs may answer EINVAL */
	fclose(file);
	if (found)
		word[strcspn(word, "\n")] = '\0';
	return found && *word;
}

/* Is it what one of the files says? */
static bool any_says(const char *pattern, const char *netdev)
{
	char word[IFNAMSIZ];
	bool found = false;
	glob_t files = { 0 };

	if (!glob(pattern, 0, NULL, &files))
		for (size_t i = 0; !found && i < files.gl_pathc; i++)
			found = read_word(files.gl_pathv[i], word, sizeof(word)) &&
				!strcmp(word, netdev);
	globfree(&files);
	return found;
}

/* The GIDs of all its ports name network devices; Soft-RoCE without an address has its parent. */
static bool is_on(const char *device, const char *netdev)
{
	static const char *const places[] = { "ports/*/gid_attrs/ndevs/*", "parent" };
	char pattern[512];
	bool found = false;

	for (size_t i = 0; !found && i < ARRAY_SIZE(places); i++) {
		snprintf(pattern, sizeof(pattern), "%s/sys/class/infiniband/%s/%s", device_root(),
			 device, places[i]);
		found = any_says(pattern, netdev);
	}
	return found;
}

/**
 * rdma_device_for() - find the RDMA device of a network device
 * @netdev: name, or NULL: the first device that there is
 * @device: out: its name
 */
bool rdma_device_for(const char *netdev, char *device, size_t size)
{
	bool found = false;
	struct dirent *entry;
	char path[512];
	DIR *directory;

	snprintf(path, sizeof(path), "%s/sys/class/infiniband", device_root());
	directory = opendir(path);
	while (directory && !found && (entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		found = !netdev || is_on(entry->d_name, netdev);
		if (found)
			snprintf(device, size, "%s", entry->d_name);
	}
	if (directory)
		closedir(directory);
	return found;
}

struct request {
	struct nlmsghdr header;
	char attributes[256];
};

static void add_text(struct request *request, unsigned short type, const char *text)
{
	size_t length = strlen(text) + 1;
	struct nlattr *attribute = (void *)((char *)request +
					    NLMSG_ALIGN(request->header.nlmsg_len));

	attribute->nla_type = type;
	attribute->nla_len = (unsigned short)(NLA_HDRLEN + length);
	memcpy((char *)attribute + NLA_HDRLEN, text, length);
	request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) +
				    NLA_ALIGN(attribute->nla_len);
}

static int exchange(struct request *request)
{
	struct timeval patience = { .tv_sec = 10 };
	struct { struct nlmsghdr header; struct nlmsgerr error; char rest[512]; } answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_RDMA);
	ssize_t length;
	int error;

	if (fd < 0)
		return errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (send(fd, request, request->header.nlmsg_len, 0) < 0 ||
	    (length = recv(fd, &answer, sizeof(answer), 0)) < 0)
		error = errno;
	else if ((size_t)length < sizeof(answer.header) + sizeof(answer.error) ||
		 answer.header.nlmsg_type != NLMSG_ERROR)
		error = EPROTO;
	else
		error = -answer.error.error;
	close(fd);
	return error;
}

/**
 * rdma_device_create() - make a Soft-RoCE device on @netdev
 * @device: out: the name of the new device, the first free of rxe0, rxe1...
 *
 * Return: 0 or a positive errno; EEXIST if @netdev has one.
 */
int rdma_device_create(const char *netdev, char *device, size_t size)
{
	enum { MOST = 64 };
	int error = ENFILE;		/* the kernel's word for a name that is taken */

	for (int i = 0; error == ENFILE && i < MOST; i++) {
		struct request request = { .header = {
			.nlmsg_len = NLMSG_LENGTH(0),
			.nlmsg_type = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_NEWLINK),
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		} };

		snprintf(device, size, "rxe%d", i);
		add_text(&request, RDMA_NLDEV_ATTR_DEV_NAME, device);
		add_text(&request, RDMA_NLDEV_ATTR_LINK_TYPE, "rxe");
		add_text(&request, RDMA_NLDEV_ATTR_NDEV_NAME, netdev);
		error = exchange(&request);
	}
	return error;
}

/* The network device of the default route, else the first Ethernet device that is up. */
bool rdma_netdev_default(char *netdev, size_t size)
{
	struct if_nameindex *all = if_nameindex();
	char path[512], name[IFNAMSIZ], state[16];
	unsigned long destination;
	bool found = false;
	FILE *routes;

	snprintf(path, sizeof(path), "%s/proc/net/route", device_root());
	routes = fopen(path, "re");
	if (routes && fscanf(routes, "%*[^\n]") != EOF)
		while (!found && fscanf(routes, "%15s %lx%*[^\n]", name, &destination) == 2)
			found = destination == 0;
	if (routes)
		fclose(routes);
	for (struct if_nameindex *i = all; !found && i && i->if_name; i++) {
		snprintf(path, sizeof(path), "/sys/class/net/%.15s/type", i->if_name);
		if (!read_word(path, state, sizeof(state)) || strcmp(state, "1"))
			continue;		/* ARPHRD_ETHER */
		snprintf(path, sizeof(path), "/sys/class/net/%.15s/operstate", i->if_name);
		found = read_word(path, state, sizeof(state)) && strcmp(state, "down");
		snprintf(name, sizeof(name), "%.15s", i->if_name);
	}
	if_freenameindex(all);
	if (found)
		snprintf(netdev, size, "%s", name);
	return found;
}

/* The last line of a file that has been written to; closes it. */
static void last_line(int fd, char *line, size_t size)
{
	FILE *file = fdopen(fd, "r");
	char *text = NULL;
	size_t room = 0;

	if (!file)
		return;
	rewind(file);
	while (getline(&text, &room, file) > 0)
		snprintf(line, size, "%.*s", (int)strcspn(text, "\n"), text);
	free(text);
	fclose(file);
}

/*
 * Load a module unless it is there already; modprobe's status, or 127.
 * @said: out: what modprobe had to say about it, at last: the error that is shown is ours
 */
static int module_load(const char *module, char *said, size_t size)
{
	char path[512], program[] = "modprobe", name[64];
	char *argv[] = { program, name, NULL };
	int errors = memfd_create("errors", MFD_CLOEXEC), status;
	posix_spawn_file_actions_t actions;
	pid_t pid;

	*said = '\0';
	snprintf(path, sizeof(path), "%s/sys/module/%s", device_root(), module);
	if (!access(path, F_OK)) {
		close(errors);
		return 0;
	}
	snprintf(name, sizeof(name), "%s", module);
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	snprintf(path, sizeof(path), "%s/sbin/modprobe", device_root());
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
	if (posix_spawn(&pid, path, &actions, NULL, argv, environ) ||
	    waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		status = -1;
	posix_spawn_file_actions_destroy(&actions);
	last_line(errors, said, size);
	return status < 0 ? 127 : WEXITSTATUS(status);
}

/* The same for one without which there is no node: 0, or EXIT_FAILED after a complaint. */
static int module_need(const char *subject, const char *module, const char *reason,
		       const char *todo)
{
	char said[256], what[384];

	if (!module_load(module, said, sizeof(said)))
		return 0;
	if (geteuid()) {
		todo = "run as root";
		*said = '\0';
	}
	snprintf(what, sizeof(what), "the module %s cannot be loaded%s%s%s", module,
		 *said ? " (" : "", said, *said ? ")" : "");
	return fail_text(subject, reason, what, todo);
}

static int device_make(const char *subject, const char *netdev, char *device, size_t size)
{
	char said[256];
	int absent = module_load("rdma_rxe", said, sizeof(said));	/* or built in */
	int error = rdma_device_create(netdev, device, size);

	if (!error)
		return 0;
	if (error == EPERM && geteuid())
		return fail_errno(subject, error, "run as root");
	if (error == EPERM)
		return fail_errno(subject, error,
				  "Soft-RoCE takes no VLAN device: name the one below it");
	if (error == ENODEV)
		return fail_text(subject, "no_netdev", "no such network device",
				 "see 'ip link'");
	if (absent)
		return fail_text(subject, "no_rxe", "the module rdma_rxe cannot be loaded",
				 "as root, boot Debian's linux-image-amd64, which has it");
	return fail_errno(subject, error, "see the kernel log");
}

/* Is this the number of one of the kernel's softirq threads? Names can be chosen, parents cannot. */
static bool is_softirq_thread(const char *pid)
{
	enum { KTHREADD = 2 };
	char path[64], stat[128];
	int parent;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	return read_word(path, stat, sizeof(stat)) &&
	       sscanf(stat, "%*d (ksoftirqd/%*d) %*c %d", &parent) == 1 && parent == KTHREADD;
}

/*
 * Soft-RoCE does its work in the kernel's softirq threads, which share the CPU with all
 * others: on a machine full of running threads its heartbeats would be late, and the
 * other nodes think that it is dead.
 */
static void softirqs_first(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char path[512];

	snprintf(path, sizeof(path), "%s/sys/module/rdma_rxe", device_root());
	if (!proc || access(path, F_OK)) {
		if (proc)
			closedir(proc);
		return;
	}
	while ((entry = readdir(proc)))
		if (is_softirq_thread(entry->d_name))
			setpriority(PRIO_PROCESS, (id_t)atoi(entry->d_name), -20);
	closedir(proc);
}

/*
 * Two at once might make two devices on one network device, of which one would hear nothing.
 * Who may not lock may not make one either. The end of the program unlocks.
 */
static void lock_others_out(void)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/run/radium-node-up.lock", device_root());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		flock(fd, LOCK_EX);
}

static int up_done(const char *netdev, const char *device, bool created)
{
	if (options.json) {
		struct json_object *object = json_object_new_object();

		json_object_object_add(object, "device", json_object_new_string(device));
		json_object_object_add(object, "netdev", *netdev ?
				       json_object_new_string(netdev) : NULL);
		json_object_object_add(object, "created", json_object_new_boolean(created));
		json_object_object_add(object, "loaded", json_object_new_boolean(true));
		out_json(object);
	} else if (options.verbose || isatty(STDOUT_FILENO)) {
		printf("RDMA device %s%s\n", device, created ? " created" : " is there");
	}
	return EXIT_DONE;
}

int node_up(const struct command *c, int argc, char **argv)
{
	char subject[64], netdev[IFNAMSIZ] = "", device[64];
	bool created = false;
	int status;

	args_only_common(c, argc, argv, 0, 1);
	if (argc > optind) {
		if (!*argv[optind] || strlen(argv[optind]) >= IFNAMSIZ)
			args_fail(c, "'%s' is no name of a network device", argv[optind]);
		snprintf(netdev, sizeof(netdev), "%s", argv[optind]);
	}
	snprintf(subject, sizeof(subject), "%s%s%s", c->name, *netdev ? " " : "", netdev);
	lock_others_out();
	if (!rdma_device_for(*netdev ? netdev : NULL, device, sizeof(device))) {
		if (!*netdev && !rdma_netdev_default(netdev, sizeof(netdev)))
			return fail_text(subject, "no_netdev", "no Ethernet device is up",
					 "name one");
		status = device_make(subject, netdev, device, sizeof(device));
		if (status)
			return status;
		created = true;
	}
	softirqs_first();
	/* Without these this machine can be no node; the RDMA device stays. */
	status = module_need(subject, "rdma_cm", "no_rdma_cm",
			     "boot Debian's linux-image-amd64, which has it");
	if (!status)
		status = module_need(subject, "radium", "not_loaded",
				     "install it ('make install'), or see the kernel log");
	return status ? status : up_done(netdev, device, created);
}

// SPDX-License-Identifier: GPL-2.0
/* What others have decided about a process: labels of security modules, filters, audit. */
#include "filter.h"
#include "harness.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---------------------------------------------------------------- AppArmor */

static const char apparmor[] = "/sys/kernel/security/apparmor";

static const char *policy_file(const char *name)
{
	static char path[100];

	snprintf(path, sizeof(path), "%s/%s", apparmor, name);
	return path;
}

static void need_apparmor(void)
{
	if (access(policy_file(".replace"), W_OK))
		mount("securityfs", "/sys/kernel/security", "securityfs", 0, NULL);
	if (access(policy_file(".replace"), W_OK))
		skip("no AppArmor: %s", strerror(errno));
}

/* A policy as apparmor_parser makes it: tags, and values with their kinds before them. */
static struct {
	unsigned char bytes[500];
	size_t length;
} policy;

enum kind { KIND_U32 = 2, KIND_NAME = 4, KIND_STRING, KIND_STRUCT = 7, KIND_END };

static void put(const void *data, size_t bytes)
{
	CHECK(policy.length + bytes <= sizeof(policy.bytes));
	memcpy(policy.bytes + policy.length, data, bytes);
	policy.length += bytes;
}

static void put_kind(enum kind kind)
{
	put(&(unsigned char){ kind }, 1);
}

static void put_text(enum kind kind, const char *text)
{
	uint16_t length = strlen(text) + 1;

	put_kind(kind);
	put(&length, sizeof(length));
	put(text, length);
}

static void put_u32(uint32_t value)
{
	put_kind(KIND_U32);
	put(&value, sizeof(value));
}

/* A profile under which no file may be opened, nothing executed, and no capability used. */
static void confine(const char *name)
{
	int file;

	policy.length = 0;
	put_text(KIND_NAME, "version");
	put_u32(5);
	put_text(KIND_NAME, "profile");
	put_kind(KIND_STRUCT);
	put_text(KIND_STRING, name);
	put_text(KIND_NAME, "flags");
	put_kind(KIND_STRUCT);
	for (int i = 0; i < 3; i++)		/* no hat, to be enforced, not audited */
		put_u32(0);
	put_kind(KIND_END);
	for (int i = 0; i < 4; i++)		/* capabilities: allowed, audited, quiet, none */
		put_u32(0);
	put_kind(KIND_END);
	file = DO(open(policy_file(".replace"), O_WRONLY));
	if (write(file, policy.bytes, policy.length) != (ssize_t)policy.length)
		skip("this AppArmor takes no policy of version 5: %s", strerror(errno));
	close(file);
}

static const char *label_of(pid_t pid)
{
	char path[60];
	char *text;

	snprintf(path, sizeof(path), "/proc/%d/attr/apparmor/current", pid);
	if (access(path, R_OK))
		snprintf(path, sizeof(path), "/proc/%d/attr/current", pid);
	text = read_text(path);
	text[strcspn(text, "\n")] = 0;
	return text;
}

static int change_to(const char *profile)
{
	int file = open("/proc/thread-self/attr/apparmor/current", O_WRONLY);
	char text[60];
	ssize_t wrote;

	if (file < 0)
		file = DO(open("/proc/thread-self/attr/current", O_WRONLY));
	wrote = write(file, text, snprintf(text, sizeof(text), "changeprofile %s", profile));
	close(file);
	return wrote < 0 ? -1 : 0;
}

static char said;

static void say(int to, char what)
{
	CHECK(write(to, &what, 1) == 1);
}

static void hear(int from, char what)
{
	EQUAL(read(from, &said, 1), 1);
	EQUAL(said, what);
}

/* Forbidden by the label alone: it is root. */
static void look_confined(void)
{
	EQUAL(open("/etc/passwd", O_RDONLY), -1);
	EQUAL(errno, EACCES);
	EQUAL(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), -1);
	EQUAL(errno, EPERM);
	EQUAL(sethostname("renamed", 7), -1);
	EQUAL(errno, EPERM);
}

/* Changes its label away; what it may do depends on it, wherever it is. */
static void live_confined(const char *profile, int from, int to)
{
	char *memory = map_pages(16, PROT_READ | PROT_WRITE);
	pid_t child;

	away();
	fill(memory, 16 * 4096, 1);
	DO(close(DO(open("/etc/passwd", O_RDONLY))));
	DO(change_to(profile));
	look_confined();
	say(to, 'c');
	hear(from, '1');
	away();
	look_confined();
	/* Its memory goes to and fro under it, and calls with data do. */
	EQUAL(differs(memory, 16 * 4096, 1), -1);
	fill(memory, 16 * 4096, 2);
	home();
	look_confined();
	EQUAL(differs(memory, 16 * 4096, 2), -1);
	away();
	look_confined();
	child = DO(fork());
	if (!child) {
		away();
		look_confined();
		say(to, 'f');
		hear(from, '2');
		_exit(0);
	}
	away();
	reap(child);
	say(to, 'e');
	_exit(0);
}

static void confined_by_its_label(void)
{
	int down[2], up[2], file;
	char name[40], expected[60];
	pid_t child;

	if (geteuid())
		skip("not root");
	need_apparmor();
	snprintf(name, sizeof(name), "radium-st-%d", getpid());
	snprintf(expected, sizeof(expected), "%s (enforce)", name);
	confine(name);
	DO(pipe(down));
	DO(pipe(up));
	child = DO(fork());
	if (!child)
		live_confined(name, down[0], up[1]);
	hear(up[0], 'c');
	if (strcmp(label_of(child), expected))
		fail(__FILE__, __LINE__, "'%s', not '%s'", label_of(child), expected);
	CHECK(strcmp(label_of(getpid()), expected));
	say(down[1], '1');
	hear(up[0], 'f');
	CHECK(!strcmp(label_of(child), expected));
	say(down[1], '2');
	hear(up[0], 'e');
	reap(child);
	file = open(policy_file(".remove"), O_WRONLY);
	if (file < 0 || write(file, name, strlen(name)) < 0)
		note("the profile stays: %s", strerror(errno));
}

/* ----------------------------------------------------------------- seccomp */

/* A filter by which somebody else is asked about one call. */
static int asking_filter(unsigned int call)
{
	return filter_install(call, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

/* The listener answers in the caller's name, or lets the call be made. */
static void answered_by_another(void)
{
	struct seccomp_notif question;
	struct seccomp_notif_resp answer;
	int told[2], listener, pidfd, fd;
	pid_t child;

	DO(pipe(told));
	child = DO(fork());
	if (!child) {
		away();
		fd = asking_filter(SYS_getpgid);
		EQUAL(write(told[1], &fd, sizeof(fd)), sizeof(fd));
		if (fd < 0)
			_exit(0);
		for (int i = 0; i < 3; i++) {
			EQUAL(getpgid(5000 + i), 70 + i);
			EQUAL(getpgid(6000 + i), -1);
			EQUAL(errno, EXDEV);
			EQUAL(getpgid(0), getpgrp());
			if (i == 1)
				home();
			else
				away();
		}
		_exit(0);
	}
	EQUAL(read(told[0], &fd, sizeof(fd)), sizeof(fd));
	if (fd < 0)
		skip("no listener");
	pidfd = DO(syscall(SYS_pidfd_open, child, 0));
	listener = DO(syscall(SYS_pidfd_getfd, pidfd, fd, 0));
	for (int i = 0; i < 9; i++) {
		memset(&question, 0, sizeof(question));
		DO(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &question));
		EQUAL(question.pid, child);
		EQUAL(question.data.nr, SYS_getpgid);
		answer = (struct seccomp_notif_resp){ .id = question.id };
		if (i % 3 == 0) {
			EQUAL(question.data.args[0], 5000 + i / 3);
			answer.val = 70 + i / 3;
		} else if (i % 3 == 1) {
			EQUAL(question.data.args[0], 6000 + i / 3);
			answer.error = -EXDEV;
		} else {
			answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		}
		DO(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer));
	}
	reap(child);
}

/* ------------------------------------------------------------------- audit */

static int audit_socket = -1;

static int audit(uint16_t type, const void *body, size_t bytes)
{
	static char message[4096] __attribute__((aligned(8)));
	struct nlmsghdr *header = (void *)message;
	struct nlmsgerr *error;
	struct pollfd ready = { .fd = audit_socket, .events = POLLIN };

	*header = (struct nlmsghdr){ .nlmsg_len = NLMSG_LENGTH(bytes), .nlmsg_type = type,
				     .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK, .nlmsg_seq = 1 };
	memcpy(NLMSG_DATA(header), body, bytes);
	if (send(audit_socket, message, header->nlmsg_len, 0) < 0)
		return -errno;
	while (poll(&ready, 1, 20000) == 1) {
		if (recv(audit_socket, message, sizeof(message), 0) < 0)
			return -errno;
		if (header->nlmsg_type != NLMSG_ERROR)
			continue;
		error = NLMSG_DATA(header);
		return error->error;
	}
	return -ETIMEDOUT;
}

static int set_audit(bool on)
{
	struct audit_status status = { .mask = AUDIT_STATUS_ENABLED | AUDIT_STATUS_PID,
				       .enabled = on, .pid = on ? getpid() : 0 };

	return audit(AUDIT_SET, &status, sizeof(status));
}

static int audit_rule(uint16_t type, unsigned int list, unsigned int action, int call, pid_t pid)
{
	static struct audit_rule_data rule;

	memset(&rule, 0, sizeof(rule));
	rule.flags = list;
	rule.action = action;
	if (call >= 0)
		rule.mask[call / 32] = 1u << call % 32;
	if (pid) {
		rule.fields[rule.field_count] = AUDIT_PID;
		rule.values[rule.field_count] = pid;
		rule.fieldflags[rule.field_count++] = AUDIT_EQUAL;
	}
	return audit(type, &rule, sizeof(rule));
}

/* Does a record of this kind come in time that has all these words? */
static bool is_recorded(uint16_t type, const char *one, const char *two)
{
	static char message[9000] __attribute__((aligned(8)));
	struct nlmsghdr *header = (void *)message;
	struct pollfd ready = { .fd = audit_socket, .events = POLLIN };

	while (poll(&ready, 1, 60000) == 1) {
		ssize_t got = recv(audit_socket, message, sizeof(message) - 1, 0);

		if (got < (ssize_t)sizeof(*header))
			break;
		message[got] = 0;
		if (header->nlmsg_type == type && strstr(NLMSG_DATA(header), one) &&
		    strstr(NLMSG_DATA(header), two))
			return true;
	}
	return false;
}

static void be_audited(int from, int to)
{
	hear(from, '1');
	away();
	EQUAL(getpgid(4242424), -1);
	EQUAL(errno, ESRCH);
	if (moving())
		CHECK(returns("WATCHED") > 0);
	say(to, 'd');
	hear(from, '2');
	_exit(0);
}

/*
 * The log names the call, its arguments and the process, as if it had been at home. Once audit
 * has been on, every process that begins has a record of its calls, and comes home for each:
 * the rule that ends this, for all that begin later, is left.
 */
static void audited_calls(void)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int down[2], up[2], on, never, rule = -1;
	bool recorded = false;
	char words[60], who[40];
	pid_t child;

	audit_socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);
	if (audit_socket < 0 || connect(audit_socket, (void *)&kernel, sizeof(kernel)))
		skip("audit: %s", strerror(errno));
	DO(pipe(down));
	DO(pipe(up));
	on = set_audit(true);
	if (on)
		skip("audit: %s", strerror(-on));
	child = fork();
	if (!child)
		be_audited(down[0], up[1]);
	never = audit_rule(AUDIT_ADD_RULE, AUDIT_FILTER_TASK, AUDIT_NEVER, -1, 0);
	if (child > 0)
		rule = audit_rule(AUDIT_ADD_RULE, AUDIT_FILTER_EXIT, AUDIT_ALWAYS, SYS_getpgid, child);
	if (!rule) {
		say(down[1], '1');
		snprintf(words, sizeof(words), " syscall=%d success=no exit=-3 a0=%x ", SYS_getpgid,
			 4242424);
		snprintf(who, sizeof(who), " pid=%d ", child);
		recorded = is_recorded(AUDIT_SYSCALL, words, who);
		audit_rule(AUDIT_DEL_RULE, AUDIT_FILTER_EXIT, AUDIT_ALWAYS, SYS_getpgid, child);
	}
	set_audit(false);
	CHECK(child > 0);
	EQUAL(never, 0);
	EQUAL(rule, 0);
	CHECK(recorded);
	hear(up[0], 'd');
	say(down[1], '2');
	reap(child);
}

/* Who logged in, as audit knows him: set once, and the children's, too. */
static void login_user(void)
{
	static const char file[] = "/proc/self/loginuid";
	pid_t child;

	if (access(file, W_OK) || strcmp(read_text(file), "4294967295"))
		skip("no login to be set");
	child = DO(fork());
	if (!child) {
		away();
		write_text(file, "4321");
		CHECK(!strcmp(read_text(file), "4321"));
		home();
		CHECK(!strcmp(read_text(file), "4321"));
		away();
		child = DO(fork());
		if (!child) {
			away();
			_exit(strcmp(read_text(file), "4321") != 0);
		}
		reap(child);
		DO(setresuid(65534, 65534, 65534));
		EQUAL(open(file, O_WRONLY), -1);
		CHECK(!strcmp(read_text(file), "4321"));
		_exit(0);
	}
	reap(child);
	CHECK(!strcmp(read_text(file), "4294967295"));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(confined_by_its_label), CASE(answered_by_another), CASE(audited_calls),
		CASE(login_user),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

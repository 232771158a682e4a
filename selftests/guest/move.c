// SPDX-License-Identifier: GPL-2.0
#include "move.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const struct {
	const char *name, *text;
} reasons[] = {
#define REASON(name, what, todo) { #name, what },
	RADIUM_REASONS(REASON)
#undef REASON
};

int move_open(void)
{
	struct radium_hello hello = { .size = sizeof(hello), .abi = RADIUM_ABI_VERSION };
	int device = open(RADIUM_DEVICE, O_RDWR | O_CLOEXEC);

	if (device < 0)
		return -1;
	if (ioctl(device, RADIUM_IOC_HELLO, &hello)) {
		close(device);
		return -1;
	}
	return device;
}

static int move(int device, unsigned long request, struct radium_move *move)
{
	return ioctl(device, request, move) ? -errno : 0;
}

int move_to(int device, pid_t pid, unsigned int node, unsigned int flags,
	    unsigned int timeout_ms, struct radium_move *result)
{
	struct radium_move local, *m = result ? result : &local;

	*m = (struct radium_move){ .size = sizeof(*m), .flags = flags, .pid = pid,
				   .node = node, .timeout_ms = timeout_ms };
	return move(device, RADIUM_IOC_MIGRATE, m);
}

int move_home(int device, pid_t pid, unsigned int flags, unsigned int timeout_ms,
	      struct radium_move *result)
{
	struct radium_move local, *m = result ? result : &local;

	*m = (struct radium_move){ .size = sizeof(*m), .flags = flags, .pid = pid,
				   .timeout_ms = timeout_ms };
	return move(device, RADIUM_IOC_RECALL, m);
}

int move_thread(int device, pid_t pid, pid_t tid, unsigned int node, unsigned int timeout_ms,
		struct radium_move *result)
{
	struct radium_move local, *m = result ? result : &local;

	*m = (struct radium_move){ .size = sizeof(*m), .pid = pid, .tid = tid,
				   .node = node, .timeout_ms = timeout_ms };
	return move(device, node ? RADIUM_IOC_MIGRATE : RADIUM_IOC_RECALL, m);
}

int move_threads(int device, pid_t pid, struct radium_thread_info **infos)
{
	struct radium_list list = { .size = sizeof(list), .entry_size = sizeof(**infos),
				    .pid = pid, .count = 1100 };

	*infos = malloc(list.count * sizeof(**infos));
	list.entries = (uintptr_t)*infos;
	return *infos && !ioctl(device, RADIUM_IOC_THREAD_LIST, &list) ? (int)list.count : -1;
}

int move_processes(int device)
{
	struct radium_hello hello = { .size = sizeof(hello), .abi = RADIUM_ABI_VERSION };

	return ioctl(device, RADIUM_IOC_HELLO, &hello) ? -1 : (int)hello.processes;
}

bool process_info(int device, pid_t pid, struct radium_process_info *info)
{
	struct radium_process_info all[64];
	struct radium_list list = {
		.size = sizeof(list), .entry_size = sizeof(*all),
		.count = 64, .entries = (uintptr_t)all,
	};

	if (ioctl(device, RADIUM_IOC_PROCESS_LIST, &list))
		return false;
	for (unsigned int i = 0; i < list.count; i++)
		if (all[i].pid == pid) {
			*info = all[i];
			return true;
		}
	return false;
}

bool move_info(int device, pid_t pid, struct radium_thread_info *info)
{
	struct radium_list list = {
		.size = sizeof(list), .entry_size = sizeof(*info), .pid = pid,
		.count = 1, .entries = (uintptr_t)info,
	};

	memset(info, 0, sizeof(*info));
	return ioctl(device, RADIUM_IOC_THREAD_LIST, &list) == 0 && list.count == 1;
}

uint64_t move_messages(int device)
{
	struct radium_node_info all[RADIUM_NODE_MAX];
	struct radium_list list = {
		.size = sizeof(list), .entry_size = sizeof(*all),
		.count = RADIUM_NODE_MAX, .entries = (uintptr_t)all,
	};
	uint64_t sum = 0;

	if (ioctl(device, RADIUM_IOC_NODE_LIST, &list))
		return 0;
	for (unsigned int i = 0; i < list.count; i++)
		sum += all[i].messages_sent + all[i].messages_received;
	return sum;
}

const char *move_reason(unsigned int reason)
{
	return reason < RADIUM_R_COUNT ? reasons[reason].name : "?";
}

const char *move_reason_text(unsigned int reason)
{
	return reason < RADIUM_R_COUNT ? reasons[reason].text : "?";
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The first process of a test machine: sets up the file tree, then serves the host.
 * With "radium.probe" on the kernel's command line it only says that it runs.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <unistd.h>

#include "guest.h"

void die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "testbed: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	exit(1);		/* process 1 exits: the kernel panics */
}

static bool command_line_has(const char *word)
{
	char line[4096], *token, *rest = line;
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? 0 : read(fd, line, sizeof(line) - 1);

	if (fd >= 0)
		close(fd);
	line[length > 0 ? length : 0] = '\0';
	while ((token = strsep(&rest, " \n")))
		if (!strcmp(token, word))
			return true;
	return false;
}

/* A guest that is busy must still answer: a silent agent counts as a hung machine. */
static void precedence_take(void)
{
	struct sched_param param = { .sched_priority = 1 };
	struct rlimit files = { .rlim_cur = 1024, .rlim_max = 524288 };
	struct rlimit locked = { .rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY };

	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_MEMLOCK, &locked);
	mlockall(MCL_CURRENT | MCL_FUTURE);
	sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param);
}

int main(void)
{
	if (getpid() != 1) {
		fprintf(stderr, "this is the init of a test machine\n");
		return 2;
	}
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);

	if (command_line_has("radium.probe")) {
		printf("testbed: alive\n");
		fflush(stdout);
		reboot(RB_POWER_OFF);
	}
	modules_load();
	root_enter();
	precedence_take();
	agent_loop();
}

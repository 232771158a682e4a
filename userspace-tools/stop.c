// SPDX-License-Identifier: GPL-2.0
/* How a command that goes on until it is told to stop is told. */
#include "radctl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>

/* A descriptor that is readable when SIGINT or SIGTERM has come; the end of the program closes it. */
int stop_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

uint64_t stop_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/**
 * stop_wait() - wait for input, a stop, or a time
 * @stop: from stop_open()
 * @fd: input, or -1 for none
 * @end_ms: in stop_clock_ms(), or UINT64_MAX
 */
enum stop_wait stop_wait(int stop, int fd, uint64_t end_ms)
{
	enum { LONGEST_MS = 60000 };
	struct pollfd fds[] = {
		{ .fd = stop, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};

	for (;;) {
		uint64_t now = stop_clock_ms();
		uint64_t left = end_ms > now ? end_ms - now : 0;
		int ready = poll(fds, ARRAY_SIZE(fds),
				 left > LONGEST_MS ? LONGEST_MS : (int)left);

		if (ready < 0 && errno != EINTR)
			return STOP_ASKED;
		if (ready > 0 && fds[0].revents)
			return STOP_ASKED;
		if (ready > 0)
			return STOP_INPUT;
		if (!left)
			return STOP_TIME;
	}
}

// SPDX-License-Identifier: GPL-2.0
/* How a command that goes on until it is told to stop is told. */
#include "radctl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* One that is ignored (nohup) would be read all the same. */
static void add_unless_ignored(sigset_t *set, int signal)
{
	struct sigaction action;

	if (!sigaction(signal, NULL, &action) && action.sa_handler != SIG_IGN)
		sigaddset(set, signal);
}

/**
 * stop_open() - be told of SIGINT and SIGTERM, SIGQUIT and SIGHUP
 * @pauses: of SIGTSTP and SIGCONT as well
 *
 * Return: what stop_wait() wants; the end of the program closes it.
 */
int stop_open(bool pauses)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	add_unless_ignored(&set, SIGQUIT);
	add_unless_ignored(&set, SIGHUP);
	if (pauses) {
		sigaddset(&set, SIGTSTP);
		sigaddset(&set, SIGCONT);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* After STOP_PAUSE: do what SIGTSTP does, until SIGCONT, if it does anything. */
void stop_pause(void)
{
	static const struct timespec now;
	sigset_t pause, again;

	sigemptyset(&pause);
	sigaddset(&pause, SIGTSTP);
	sigemptyset(&again);
	sigaddset(&again, SIGCONT);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &pause, NULL);
	sigprocmask(SIG_BLOCK, &pause, NULL);
	sigtimedwait(&again, NULL, &now);
}

static enum stop_wait stop_told(int stop)
{
	struct signalfd_siginfo info;

	if (read(stop, &info, sizeof(info)) != sizeof(info))
		return STOP_ASKED;
	return info.ssi_signo == SIGTSTP ? STOP_PAUSE :
	       info.ssi_signo == SIGCONT ? STOP_AGAIN : STOP_ASKED;
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
			return stop_told(stop);
		if (ready > 0)
			return STOP_INPUT;
		if (!left)
			return STOP_TIME;
	}
}

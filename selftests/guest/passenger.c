// SPDX-License-Identifier: GPL-2.0
#include "passenger.h"
#include "move.h"
#include "ns.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { PAGES = 256 };

uint64_t now_us(void)
{
	return now_ns() / 1000;
}

static void leave(int signal)
{
	(void)signal;
	_exit(PASSENGER_LIVES);
}

void passenger(unsigned int kind)
{
	volatile char *pages = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int ends[2];
	char byte;

	signal(SIGTERM, leave);
	if (pages == MAP_FAILED || pipe(ends) || prctl(PR_SET_NAME, "passenger"))
		_exit(1);
	for (unsigned int i = 0;; i++) {
		pages[i * 7 % PAGES * 4096] = i;
		if (kind == 1)
			getppid();
		if (kind == 2 && read(ends[0], &byte, 1) < 0)
			_exit(1);
		if (kind == 3 && i % 64 == 0)
			usleep(1000);
		if (kind == 4 && i % PAGES == 0)
			madvise((void *)pages, PAGES * 4096, MADV_DONTNEED);
	}
}

unsigned int passenger_phase(int device, pid_t pid)
{
	struct radium_thread_info info;

	if (!move_info(device, pid, &info) || info.state >= RADIUM_THREAD_STATE_COUNT)
		return RADIUM_THREAD_HOME;
	return info.state == RADIUM_THREAD_AWAY && !info.wanted ? PHASE_RECALLED : info.state;
}

void passenger_print_phases(const unsigned int met[PHASES])
{
	static const char *const names[PHASES] = {
#define STATE_NAME(name, text) text,
		RADIUM_THREAD_STATES(STATE_NAME)
#undef STATE_NAME
		"away with a recall under way"
	};

	for (unsigned int i = 0; i < PHASES; i++)
		printf(" %u %s,", met[i], names[i]);
}

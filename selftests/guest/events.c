// SPDX-License-Identifier: GPL-2.0
#include "events.h"
#include "family.h"
#include "move.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PIDS	= 1 << 22,	/* the kernel's limit of numbers */
	CALLS	= 512,		/* of system calls */
	ROOM	= 64,		/* events that are read at once */
	COMMS	= 32,		/* different names; the last one is for all others */
};

static const char *const call_names[CALLS] = {
#include "call_names.h"
};

static int device = -1;
static bool all;
static struct events counted;
static uint64_t by_call[CALLS], of_no_call;
static uint8_t ours[PIDS];		/* 0, or 1 and the place in comms */
static struct {
	char comm[RADIUM_NAME_SIZE];
	unsigned int away, home_by_itself;
} comms[COMMS];

bool events_open(void)
{
	struct radium_event event;

	device = move_open();
	if (device < 0 || fcntl(device, F_SETFL, O_NONBLOCK))
		return false;
	/* The first read is the beginning. */
	return read(device, &event, sizeof(event)) < 0;
}

void events_of(pid_t pid, const char *comm)
{
	unsigned int i = 0;

	while (i < COMMS - 1 && *comms[i].comm && strcmp(comms[i].comm, comm))
		i++;
	if (!*comms[i].comm)
		snprintf(comms[i].comm, sizeof(comms[i].comm), "%s", i < COMMS - 1 ? comm : "...");
	ours[pid] = 1 + i;
}

void events_of_all(void)
{
	all = true;
}

/* Whoever it was is asked for the name as long as there is somebody to ask. */
static void take_name(pid_t pid)
{
	struct candidate who = { .pid = pid };

	family_look(&who);
	if (*who.comm || !ours[pid])
		events_of(pid, *who.comm ? who.comm : "?");
}

/* The call that a thread came home for, unless it has come home again since. */
static void count_call(const struct radium_event *event)
{
	struct radium_thread_info *threads;
	int count = move_threads(device, event->pid, &threads);
	uint64_t call = CALLS;

	for (int i = 0; i < count; i++)
		if (threads[i].tid == event->tid && threads[i].reason == event->reason)
			call = threads[i].reason_detail;
	free(threads);
	if (call < CALLS)
		by_call[call]++;
	else
		of_no_call++;
}

static void count(const struct radium_event *event)
{
	unsigned int reason = event->reason < RADIUM_R_COUNT ? event->reason : RADIUM_R_NONE;

	if (event->type == RADIUM_EVENT_LOST)
		counted.lost += event->count;
	if (event->pid <= 0 || event->pid >= PIDS)
		return;
	if (all && (event->type == RADIUM_EVENT_MIGRATED || event->type == RADIUM_EVENT_RETURNED ||
		    event->type == RADIUM_EVENT_REFUSED))
		take_name(event->pid);
	if (!ours[event->pid])
		return;
	switch (event->type) {
	case RADIUM_EVENT_MIGRATED:
		counted.away++;
		comms[ours[event->pid] - 1].away++;
		break;
	case RADIUM_EVENT_RETURNED:
		counted.home[reason]++;
		comms[ours[event->pid] - 1].home_by_itself += reason != RADIUM_R_ASKED;
		if (reason == RADIUM_R_SYSCALL || reason == RADIUM_R_WATCHED)
			count_call(event);
		break;
	case RADIUM_EVENT_REFUSED:
		counted.refused[reason]++;
		break;
	}
}

void events_take(void)
{
	struct radium_event events[ROOM];
	ssize_t size;

	while (device >= 0 && (size = read(device, events, sizeof(events))) > 0)
		for (unsigned int i = 0; i < size / sizeof(*events); i++)
			count(&events[i]);
}

void events_print_name(const char *comm)
{
	putchar('"');
	for (const char *p = comm; *p; p++)
		putchar(*p == '"' || *p == '\\' || *p < ' ' ? '?' : *p);
	putchar('"');
}

static void print_reasons(const char *name, const uint64_t *counts)
{
	const char *comma = "";

	printf("\"%s\": {", name);
	for (int i = 0; i < RADIUM_R_COUNT; i++)
		if (counts[i]) {
			printf("%s\"%s\": %llu", comma, move_reason(i), (unsigned long long)counts[i]);
			comma = ", ";
		}
	printf("}, ");
}

void events_print(void)
{
	const char *comma = "";

	printf("\"gone_out\": %llu, ", (unsigned long long)counted.away);
	print_reasons("came_home", counted.home);
	print_reasons("not_gone", counted.refused);
	printf("\"home_for_calls\": {");
	for (int i = 0; i < CALLS; i++)
		if (by_call[i]) {
			printf("%s\"%s\": %llu", comma, call_names[i] ?: "?",
			       (unsigned long long)by_call[i]);
			comma = ", ";
		}
	if (of_no_call)
		printf("%s\"not known\": %llu", comma, (unsigned long long)of_no_call);
	printf("}, \"by_name\": {");
	comma = "";
	for (int i = 0; i < COMMS && *comms[i].comm; i++) {
		fputs(comma, stdout);
		events_print_name(comms[i].comm);
		printf(": {\"away\": %u, \"home_by_itself\": %u}", comms[i].away,
		       comms[i].home_by_itself);
		comma = ", ";
	}
	printf("}, \"events_lost\": %llu", (unsigned long long)counted.lost);
}

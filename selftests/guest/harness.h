/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cases of one behaviour each. A case runs in a process of its own; the harness,
 * its parent, never moves, and moves the case when asked to. In mode "native" the
 * same requests do nothing, so that a case is shown to be right by itself.
 *
 *	PROGRAM --list			names of the cases
 *	PROGRAM native|away [-t FACTOR] [-n NODE] [CASE...]
 */
#ifndef _RADIUM_SELFTEST_HARNESS_H
#define _RADIUM_SELFTEST_HARNESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
#include <sys/types.h>
#include "ns.h"

struct test_case {
	const char *name;
	void (*run)(void);
	unsigned int seconds;	/* deadline, 0 for the default */
};

#define CASE(name) { #name, name, 0 }

/* So much earlier a node's clock may be than home's was just before, on a busy host. */
#define NODES_APART_NS 10000000

int harness_main(int argc, char **argv, const struct test_case *cases);

/* Whether the case is moved in this run. */
bool moving(void);
/* So many times what the stock kernel needs this one may take. */
unsigned int slower(void);

/* Moves the caller (or another process) and returns when it runs there. */
void away(void);
void home(void);
void away_pid(pid_t pid);
void home_pid(pid_t pid);
/* Node on which the caller runs, 0 for home; in mode native always 0. */
int where(void);
/*
 * The same for one thread, to a node, 0: home; with the number of its process, which may be
 * a child's. In mode native nothing happens.
 */
void send_thread(pid_t pid, pid_t tid, unsigned int node);
/* The same, of a thread that may end meanwhile. */
void send_thread_if_there(pid_t pid, pid_t tid, unsigned int node);
/* All threads of a process at once. */
void send_all(pid_t pid, unsigned int node);
/* The caller. */
void go(unsigned int node);
int where_is(pid_t pid, pid_t tid);
/* Pages that a thread has asked home for. */
int faults_of(pid_t pid, pid_t tid);
/* System calls that home has made, or has been asked to make, for a thread. */
int calls_of(pid_t pid, pid_t tid);
/* Pages of a process that went from one node straight to another. */
int forwarded_of(pid_t pid);
/* Pages of a process that a node read and got to write to without being sent them. */
int upgraded_of(pid_t pid);
/* Pages that have left its home or have come back; in mode native always 0. */
int pages_of(pid_t pid);
/* Its delegated calls whose data travelled with them. */
int inline_of(pid_t pid);
/* Messages between home and other nodes, both ways; in mode native always 0. */
int link_messages(void);
/* A move away that has to be refused, for a reason whose name is this. */
void away_refused(pid_t pid, const char *reason);
/* How often the caller came home by itself for a reason; in mode native always 0. */
int returns(const char *reason);

/*
 * Steps for the harness to do while the caller is busy or blocked: "A" away,
 * "H" home, "a" and "h" the same for a caller in a call that may have to end
 * first, "k NUMBER" signal, a number: wait so many milliseconds. A leading "PID:"
 * names another process than the caller.
 */
void during(const char *format, ...) __attribute__((format(printf, 1, 2)));
/*
 * Waits until the steps are done. Returns how often the first thread has gone out meanwhile,
 * for those that may not move: in mode native, and of one that has ended, 0.
 */
int during_end(void);

/* Ends the case, here with the reason. */
void fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4), noreturn));
void skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* A line of diagnostics. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define CHECK(condition) do {						\
	if (!(condition))						\
		fail(__FILE__, __LINE__, "%s (errno %d)", #condition, errno); \
} while (0)

#define EQUAL(is, expected) do {					\
	long long is_ = (long long)(is), expected_ = (long long)(expected); \
	if (is_ != expected_)						\
		fail(__FILE__, __LINE__, "%s is %lld, not %lld (errno %d)", \
		     #is, is_, expected_, errno);			\
} while (0)

/* A call that has to succeed; gives its value. */
#define DO(call) ({							\
	__typeof__(call) value_ = (call);				\
	if ((long)value_ == -1)						\
		fail(__FILE__, __LINE__, "%s: %s", #call, strerror(errno)); \
	value_;								\
})

/* Small helpers that many cases need. */
void need_root(void);			/* or the case is skipped */
void need_own_machine(void);		/* likewise: one whose settings are nobody's */
bool own_machine(void);
void sleep_ms(unsigned int ms);
void compute_ms(unsigned int ms);	/* in user mode, looking at the clock */
/* As compute_ms, with arithmetic whose result shows whether it was disturbed. */
void compute_checked(unsigned int ms);
/* Forks a process that sleeps, then runs the function, then ends with 0. */
pid_t later(unsigned int ms, void (*function)(void *), void *argument);
/* Whether a thread, which may be away, sleeps in a call of this number. */
bool sleeps_in(pid_t pid, long nr);
/* As later(), as soon as the caller is blocked in a system call of this number. */
pid_t when_in(long nr, void (*function)(void *), void *argument);
void signal_parent(void *unused);	/* SIGUSR1, from a helper */
void reap(pid_t pid);			/* waits for it; it must have ended with 0 */

/* A child, at home, that does something whenever it is asked to. */
struct partner {
	pid_t pid;
	int ask, answer;
};

void partner_start(struct partner *partner, int64_t (*act)(void *), void *argument);
/* What act() gave: when this returns it has been done. */
int64_t partner_ask(struct partner *partner);
void partner_end(struct partner *partner);

/* Everything outside of [from, from + len) is as it was. */
bool untouched(const void *memory, size_t bytes, size_t from, size_t len, char was);
/* Two pages, the second with this protection, full of 0x55, and a third that is not there. */
char *pages_with_a_hole(int protection);
/* A new directory, in which the caller is from then on: its name, in a static buffer. It goes with the case. */
extern char own_prefix[32];
const char *own_directory(void);
/* The caller's first mapping of that name: where it begins, and ends; 0: there is none. */
unsigned long find_mapping(const char *name, unsigned long *end);
/*
 * Calls a function of one who is away: no page moves because of it, and the data of at least
 * so many of its system calls travels with them each time.
 */
#define TRAVELS(function, calls) travels(#function, function, calls, 0)
/* The same of one that makes so many calls in all: each is one question to home, and its answer. */
#define ROUND_TRIPS(function, calls, all) travels(#function, function, calls, all)
void travels(const char *name, void (*function)(void), int calls, int all);

void fill(void *memory, size_t bytes, uint64_t seed);
/* Offset of the first wrong byte, or -1. */
long differs(const void *memory, size_t bytes, uint64_t seed);
size_t page_size(void);
void *map_pages(size_t pages, int protection);	/* private, anonymous */
void write_text(const char *path, const char *text);
char *read_text(const char *path);	/* static buffer, 64 KiB at most */

#endif

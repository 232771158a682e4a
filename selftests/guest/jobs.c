// SPDX-License-Identifier: GPL-2.0
/* Processes that are away are ended, stopped and continued by others. */
#include "harness.h"

#include <pty.h>
#include <signal.h>
#include <sys/wait.h>

/* A child that computes, away; its wait statuses are what they always are. */
static pid_t computing_child(void)
{
	pid_t pid = DO(fork());

	if (!pid) {
		for (;;)
			compute_checked(1000);
	}
	away_pid(pid);
	return pid;
}

static void kill_now(void)
{
	pid_t pid = computing_child();
	uint64_t start = now_ns();
	int status;

	DO(kill(pid, SIGKILL));
	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(now_ns() - start < slower() * 8000000000ull);
}

static void default_action_ends(void)
{
	const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGPIPE, SIGALRM, SIGRTMIN };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		pid_t pid;
		int status;

		signal(SIGPIPE, SIG_DFL);
		pid = computing_child();
		DO(kill(pid, numbers[i]));
		EQUAL(waitpid(pid, &status, 0), pid);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == numbers[i]);
	}
}

static void stop_and_continue(void)
{
	pid_t pid = computing_child();
	int status;

	for (int i = 0; i < 2; i++) {
		DO(kill(pid, SIGSTOP));
		EQUAL(waitpid(pid, &status, WUNTRACED), pid);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
		sleep_ms(50);
		EQUAL(waitpid(pid, &status, WNOHANG | WUNTRACED), 0);
		DO(kill(pid, SIGCONT));
		EQUAL(waitpid(pid, &status, WCONTINUED), pid);
		CHECK(WIFCONTINUED(status));
		away_pid(pid);
		sleep_ms(50);
	}
	DO(kill(pid, SIGTERM));
	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
}

/* Ctrl-Z and Ctrl-C on the terminal of a process that is away. */
static void terminal_keys(void)
{
	int master, status;
	pid_t pid = DO(forkpty(&master, NULL, NULL, NULL));

	if (!pid) {
		/* A group that is not orphaned: SIGTSTP stops no other. */
		pid_t job = fork();

		if (!job) {
			setpgid(0, 0);
			for (;;)
				compute_checked(1000);
		}
		setpgid(job, job);
		signal(SIGTTOU, SIG_IGN);
		tcsetpgrp(0, job);
		away_pid(job);
		if (write(1, "r", 1) != 1)
			_exit(9);
		if (waitpid(job, &status, WUNTRACED) != job || !WIFSTOPPED(status) ||
		    WSTOPSIG(status) != SIGTSTP)
			_exit(10);
		kill(job, SIGCONT);
		away_pid(job);
		if (write(1, "s", 1) != 1)
			_exit(9);
		if (waitpid(job, &status, 0) != job || !WIFSIGNALED(status) ||
		    WTERMSIG(status) != SIGINT)
			_exit(11);
		_exit(0);
	}
	for (const char *want = "rs", *key = "\032\003"; *want; want++, key++) {
		char byte;

		do
			EQUAL(read(master, &byte, 1), 1);
		while (byte != *want);
		EQUAL(write(master, key, 1), 1);
	}
	EQUAL(waitpid(pid, &status, 0), pid);
	EQUAL(WEXITSTATUS(status), 0);
}

static void abort_ends(void)
{
	pid_t pid = DO(fork());
	int status;

	if (!pid) {
		away();
		abort();
	}
	EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(kill_now), CASE(default_action_ends), CASE(stop_and_continue),
		CASE(terminal_keys), CASE(abort_ends),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/* Threads of one process on several nodes: who hears a signal; what is done by signals to all. */
#include "crew.h"

#include <signal.h>
#include <sys/syscall.h>

static struct hand crew[4];
static int ends[2];

static __thread struct hand *me;
static atomic_int to_me[4], to_others;

static void heard(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	if (!me || gettid() != me->tid || info->si_pid != getpid())
		to_others++;
	else
		to_me[me->number]++;
}

static atomic_int hear_end ALONE;

static void *hear(struct hand *hand)
{
	char byte;

	me = hand;
	DO(sem_post(&hand->done));
	while (!hear_end) {
		switch (hand->number) {
		case 0:
			compute_checked(5);
			break;
		case 1:
			if (read(ends[0], &byte, 1) != 1)
				EQUAL(errno, EINTR);
			break;
		default:
			if (sem_wait(&hand->go))
				EQUAL(errno, EINTR);
		}
	}
	return NULL;
}

static void catch(int number)
{
	struct sigaction action = { .sa_sigaction = heard, .sa_flags = SA_SIGINFO };

	DO(sigaction(number, &action, NULL));
}

static void wait_for(atomic_int *value, int expected)
{
	uint64_t end = now_ns() + 60000000000;

	while (*value < expected && now_ns() < end)
		sleep_ms(2);
	EQUAL(*value, expected);
}

static void end_hearing(void)
{
	hear_end = 1;
	for (int i = 0; i < 3; i++) {
		CHECK(write(ends[1], "x", 1) == 1);
		DO(sem_post(&crew[i].go));
	}
	crew_join(crew, 3);
}

static void signals_to_a_thread(void)
{
	catch(SIGUSR1);
	DO(pipe(ends));
	for (int round = 0; round < PLACES; round++) {
		hear_end = 0;
		go(0);
		crew_start(crew, 3, hear, NULL);
		crew_spread(crew, 3, round);
		crew_go(crew, 3);
		for (int i = 0; i < 3; i++)
			down(&crew[i].done);
		go(places[round]);
		for (int i = 0; i < 9; i++) {
			if (i % 2)
				EQUAL(pthread_kill(crew[i % 3].thread, SIGUSR1), 0);
			else
				DO(syscall(SYS_tgkill, getpid(), crew[i % 3].tid, SIGUSR1));
			wait_for(&to_me[i % 3], 3 * round + i / 3 + 1);
		}
		end_hearing();
	}
	for (int i = 0; i < 3; i++)
		EQUAL(to_me[i], 9);
	EQUAL(to_others, 0);
}

static void *hear_one(struct hand *hand)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (hand->number == *(unsigned int *)hand->argument)
		EQUAL(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
	return hear(hand);
}

/* Of all threads the one that does not block it hears it. */
static void signals_to_the_process(void)
{
	sigset_t set;

	catch(SIGUSR1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	DO(pipe(ends));
	EQUAL(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	for (unsigned int who = 0; who < 3; who++) {
		hear_end = 0;
		go(0);
		crew_start(crew, 3, hear_one, &who);
		crew_spread(crew, 3, who);
		crew_go(crew, 3);
		for (int i = 0; i < 3; i++)
			down(&crew[i].done);
		for (int i = 0; i < PLACES; i++) {
			go(places[i]);
			DO(kill(getpid(), SIGUSR1));
			wait_for(&to_me[who], i + 1);
		}
		end_hearing();
	}
	for (int i = 0; i < 3; i++)
		EQUAL(to_me[i], 3);
	EQUAL(to_others, 0);
}

static void *check_ids(struct hand *hand)
{
	/* Asked of the kernel, and in a thread that was computing when they changed. */
	while (!hear_end)
		compute_checked(5);
	EQUAL(syscall(SYS_getuid), 65534);
	EQUAL(syscall(SYS_getgid), 65533);
	DO(sem_post(&hand->done));
	return NULL;
}

static void *change_ids(struct hand *hand)
{
	(void)hand;
	DO(setgid(65533));
	DO(setuid(65534));
	hear_end = 1;
	return NULL;
}

static void run_change_ids(void)
{
	crew_start(crew, 3, check_ids, NULL);
	crew_start(crew + 3, 1, change_ids, NULL);
	crew_spread(crew, 3, 0);
	crew_place(crew + 3, 2);
	crew_go(crew, 4);
	go(3);
	crew_join(crew, 4);
	EQUAL(syscall(SYS_getuid), 65534);
}

static void ids_change_in_all(void)
{
	need_root();
	ends_with(child_with(run_change_ids), 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(signals_to_a_thread), CASE(signals_to_the_process), CASE(ids_change_in_all),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

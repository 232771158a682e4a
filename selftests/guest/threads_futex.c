// SPDX-License-Identifier: GPL-2.0
/*
 * Threads of one process, and two processes, on several nodes: waits with time limits, the
 * forms of futexes that few use, locks that processes share.
 */
#include "crew.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define RW (PROT_READ | PROT_WRITE)

static struct hand crew[4];
static atomic_uint word ALONE, second ALONE;

static long futex(atomic_uint *uaddr, int op, unsigned int value, const void *timeout,
		  atomic_uint *uaddr2, unsigned int value3)
{
	return syscall(SYS_futex, uaddr, op | FUTEX_PRIVATE_FLAG, value, timeout, uaddr2, value3);
}

/* ------------------------------------------------------------ FUTEX_WAKE_OP */

static void *wait_at_second(struct hand *hand)
{
	(void)hand;
	/* It is changed meanwhile, and woken by nothing else. */
	DO(futex(&second, FUTEX_WAIT, 100, NULL, NULL, 0));
	return NULL;
}

static const struct {
	unsigned int op, argument, result;	/* of 100 */
} changes[] = {
	{ FUTEX_OP_SET, 7, 7 }, { FUTEX_OP_ADD, 7, 107 }, { FUTEX_OP_OR, 7, 103 },
	{ FUTEX_OP_ANDN, 4, 96 }, { FUTEX_OP_XOR, 5, 97 },
	{ FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 4, 116 },
};

static const struct {
	unsigned int compare, no, yes;		/* with 100 */
} conditions[] = {
	{ FUTEX_OP_CMP_EQ, 99, 100 }, { FUTEX_OP_CMP_NE, 100, 99 }, { FUTEX_OP_CMP_LT, 100, 101 },
	{ FUTEX_OP_CMP_LE, 99, 100 }, { FUTEX_OP_CMP_GT, 100, 99 }, { FUTEX_OP_CMP_GE, 101, 100 },
};

enum { FORMS = sizeof(changes) / sizeof(*changes) };

_Static_assert(FORMS == sizeof(conditions) / sizeof(*conditions), "one each in a round");

/* Each change and each comparison, from each node, the waiter on another one. */
static void wake_op_forms(void)
{
	for (int round = 0; round < FORMS; round++) {
		unsigned int op = changes[round].op, compare = conditions[round].compare;
		unsigned int argument = changes[round].argument;

		go(0);
		second = 100;
		crew_start(crew, 1, wait_at_second, NULL);
		crew_place(crew, places[round % PLACES]);
		crew_go(crew, 1);
		crew_asleep(crew, 1);
		go(places[(round + 1) % PLACES]);
		EQUAL(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &second,
			    FUTEX_OP(op, argument, compare, conditions[round].no)), 0);
		EQUAL(second, changes[round].result);
		go(places[(round + 2) % PLACES]);
		EQUAL(second, changes[round].result);
		second = 100;
		EQUAL(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &second,
			    FUTEX_OP(op, argument, compare, conditions[round].yes)), 1);
		EQUAL(second, changes[round].result);
		crew_join(crew, 1);
	}
	EQUAL(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &second,
		    FUTEX_OP(5u, 0, FUTEX_OP_CMP_EQ, 0)), -1);
	EQUAL(errno, ENOSYS);
}

/* ------------------------------------------------------------- time limits */

static struct timespec soon(clockid_t clock, unsigned int ms)
{
	struct timespec time;

	DO(clock_gettime(clock, &time));
	time.tv_nsec += ms * 1000000l;
	time.tv_sec += time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	return time;
}

/* Everything that may be waited for with an end; what it waits for does not come. */
static void *give_up(struct hand *hand)
{
	struct timespec until = soon(CLOCK_REALTIME, 200);
	struct futex_waitv both[2] = {
		{ .val = 0, .uaddr = (uintptr_t)&word, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG },
		{ .val = second, .uaddr = (uintptr_t)&second, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG },
	};

	EQUAL(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &until, NULL, 4), -1);
	EQUAL(errno, ETIMEDOUT);
	/* Of the past. */
	EQUAL(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &until, NULL, 4), -1);
	EQUAL(errno, ETIMEDOUT);
	until = soon(CLOCK_REALTIME, 200);
	EQUAL(futex(&second, FUTEX_LOCK_PI, 0, &until, NULL, 0), -1);
	EQUAL(errno, ETIMEDOUT);
	until = soon(CLOCK_MONOTONIC, 200);
	EQUAL(futex(&second, FUTEX_LOCK_PI2, 0, &until, NULL, 0), -1);
	EQUAL(errno, ETIMEDOUT);
	until = soon(CLOCK_MONOTONIC, 200);
	EQUAL(futex(&word, FUTEX_WAIT_REQUEUE_PI, 0, &until, &second, 0), -1);
	EQUAL(errno, ETIMEDOUT);
	until = soon(CLOCK_MONOTONIC, 200);
	both[1].val = second;
	EQUAL(syscall(SYS_futex_waitv, both, 2, 0, &until, CLOCK_MONOTONIC), -1);
	/* The other waiters come and go in the word of the lock. */
	CHECK(errno == ETIMEDOUT || errno == EAGAIN);
	return hand;
}

static void futexes_with_limits(void)
{
	for (int round = 0; round < PLACES; round++) {
		go(places[round]);
		DO(futex(&second, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
		crew_start(crew, 3, give_up, NULL);
		crew_spread(crew, 3, round);
		crew_go(crew, 3);
		crew_join(crew, 3);
		DO(futex(&second, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
		EQUAL(second, 0);
	}
}

static pthread_mutex_t mutex ALONE = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock ALONE = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t condition ALONE;
static pthread_mutex_t of_condition ALONE = PTHREAD_MUTEX_INITIALIZER;
static sem_t semaphore ALONE;
static int happened;

/* First in vain, then, when it has been let go elsewhere, with success. */
static void *wait_for_all(struct hand *hand)
{
	struct timespec until = soon(CLOCK_REALTIME, 150), steady = soon(CLOCK_MONOTONIC, 150);

	EQUAL(pthread_mutex_timedlock(&mutex, &until), ETIMEDOUT);
	EQUAL(pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &steady), ETIMEDOUT);
	EQUAL(pthread_rwlock_timedrdlock(&rwlock, &until), ETIMEDOUT);
	EQUAL(pthread_rwlock_timedwrlock(&rwlock, &until), ETIMEDOUT);
	EQUAL(sem_timedwait(&semaphore, &until), -1);
	EQUAL(errno, ETIMEDOUT);
	EQUAL(pthread_mutex_lock(&of_condition), 0);
	steady = soon(CLOCK_MONOTONIC, 100);
	EQUAL(pthread_cond_timedwait(&condition, &of_condition, &steady), ETIMEDOUT);
	EQUAL(pthread_mutex_unlock(&of_condition), 0);
	DO(sem_post(&hand->done));
	until = soon(CLOCK_REALTIME, 90000);
	steady = soon(CLOCK_MONOTONIC, 90000);
	EQUAL(pthread_mutex_timedlock(&mutex, &until), 0);
	EQUAL(pthread_mutex_unlock(&mutex), 0);
	EQUAL(pthread_rwlock_timedrdlock(&rwlock, &until), 0);
	EQUAL(pthread_rwlock_unlock(&rwlock), 0);
	DO(sem_timedwait(&semaphore, &until));
	EQUAL(pthread_mutex_lock(&of_condition), 0);
	while (!happened)
		EQUAL(pthread_cond_timedwait(&condition, &of_condition, &steady), 0);
	EQUAL(pthread_mutex_unlock(&of_condition), 0);
	return hand;
}

static void locks_with_limits(void)
{
	pthread_condattr_t attributes;

	EQUAL(pthread_condattr_init(&attributes), 0);
	EQUAL(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC), 0);
	for (int round = 0; round < PLACES; round++) {
		go(places[(round + 1) % PLACES]);
		EQUAL(pthread_cond_init(&condition, &attributes), 0);
		DO(sem_init(&semaphore, 0, 0));
		EQUAL(pthread_mutex_lock(&mutex), 0);
		EQUAL(pthread_rwlock_wrlock(&rwlock), 0);
		happened = 0;
		crew_start(crew, 2, wait_for_all, NULL);
		crew_spread(crew, 2, round);
		crew_go(crew, 2);
		for (int i = 0; i < 2; i++)
			down(&crew[i].done);
		EQUAL(pthread_mutex_unlock(&mutex), 0);
		EQUAL(pthread_rwlock_unlock(&rwlock), 0);
		for (int i = 0; i < 2; i++)
			DO(sem_post(&semaphore));
		EQUAL(pthread_mutex_lock(&of_condition), 0);
		happened = 1;
		EQUAL(pthread_cond_broadcast(&condition), 0);
		EQUAL(pthread_mutex_unlock(&of_condition), 0);
		crew_join(crew, 2);
	}
}

static void *end_when_told(struct hand *hand)
{
	down(&hand->go);
	return (void *)(uintptr_t)(40 + hand->number);
}

/* Whether another thread has ended, asked without waiting, or not for ever. */
static void joined_in_time(void)
{
	struct timespec until;
	void *result;

	for (int round = 0; round < PLACES; round++) {
		go(places[round]);
		crew_start(crew, 2, end_when_told, NULL);
		crew_spread(crew, 2, round + 1);
		crew_go(crew, 2);
		EQUAL(pthread_tryjoin_np(crew[0].thread, &result), EBUSY);
		until = soon(CLOCK_REALTIME, 200);
		EQUAL(pthread_timedjoin_np(crew[0].thread, &result, &until), ETIMEDOUT);
		crew_go(crew, 2);
		until = soon(CLOCK_REALTIME, 90000);
		for (uintptr_t i = 0; i < 2; i++) {
			EQUAL(pthread_timedjoin_np(crew[i].thread, &result, &until), 0);
			EQUAL((uintptr_t)result, 40 + i);
		}
	}
}

/* ---------------------------------------------------- of several processes */

static struct shared {
	pthread_mutex_t mutex;
	pthread_cond_t condition;
	pthread_barrier_t barrier;
	volatile unsigned int turn, count;
} *shared;

enum { PROCESSES = 3, TURNS = 6 };

static void share(void)
{
	pthread_mutexattr_t of_mutex;
	pthread_condattr_t of_condition;
	pthread_barrierattr_t of_barrier;

	shared = DO(mmap(NULL, 4096, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	EQUAL(pthread_mutexattr_init(&of_mutex), 0);
	EQUAL(pthread_mutexattr_setpshared(&of_mutex, PTHREAD_PROCESS_SHARED), 0);
	EQUAL(pthread_mutexattr_setrobust(&of_mutex, PTHREAD_MUTEX_ROBUST), 0);
	EQUAL(pthread_mutex_init(&shared->mutex, &of_mutex), 0);
	EQUAL(pthread_condattr_init(&of_condition), 0);
	EQUAL(pthread_condattr_setpshared(&of_condition, PTHREAD_PROCESS_SHARED), 0);
	EQUAL(pthread_cond_init(&shared->condition, &of_condition), 0);
	EQUAL(pthread_barrierattr_init(&of_barrier), 0);
	EQUAL(pthread_barrierattr_setpshared(&of_barrier, PTHREAD_PROCESS_SHARED), 0);
	EQUAL(pthread_barrier_init(&shared->barrier, &of_barrier, PROCESSES), 0);
}

static void take_turns(unsigned int number)
{
	go(places[number]);
	for (int i = 0; i < TURNS; i++) {
		EQUAL(pthread_mutex_lock(&shared->mutex), 0);
		while (shared->turn % PROCESSES != number)
			EQUAL(pthread_cond_wait(&shared->condition, &shared->mutex), 0);
		shared->turn++;
		shared->count += number + 1;
		EQUAL(pthread_cond_broadcast(&shared->condition), 0);
		EQUAL(pthread_mutex_unlock(&shared->mutex), 0);
	}
	pthread_barrier_wait(&shared->barrier);
	EQUAL(shared->turn, PROCESSES * TURNS);
	EQUAL(shared->count, TURNS * PROCESSES * (PROCESSES + 1) / 2);
	_exit(0);
}

/* Three processes, each on a node, take turns by a mutex and a condition that they share. */
static void shared_by_processes(void)
{
	pid_t pid[PROCESSES];

	share();
	for (unsigned int i = 0; i < PROCESSES; i++) {
		pid[i] = DO(fork());
		if (!pid[i])
			take_turns(i);
	}
	for (int i = 0; i < PROCESSES; i++)
		reap(pid[i]);
}

/* One that is killed while it has the lock, away: the next one is told. */
static void owner_is_killed(void)
{
	int ends[2];
	char byte;

	share();
	DO(pipe(ends));
	for (int round = 0; round < PLACES; round++) {
		pid_t pid = DO(fork());

		if (!pid) {
			go(places[round]);
			EQUAL(pthread_mutex_lock(&shared->mutex), 0);
			EQUAL(write(ends[1], "x", 1), 1);
			for (;;)
				compute_checked(100);
		}
		go(places[(round + 1) % PLACES]);
		EQUAL(read(ends[0], &byte, 1), 1);
		EQUAL(pthread_mutex_trylock(&shared->mutex), EBUSY);
		DO(kill(pid, SIGKILL));
		EQUAL(pthread_mutex_lock(&shared->mutex), EOWNERDEAD);
		EQUAL(pthread_mutex_consistent(&shared->mutex), 0);
		EQUAL(pthread_mutex_unlock(&shared->mutex), 0);
		ends_with(pid, SIGKILL);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(wake_op_forms), CASE(futexes_with_limits), CASE(locks_with_limits),
		CASE(joined_in_time), CASE(shared_by_processes), CASE(owner_is_killed),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

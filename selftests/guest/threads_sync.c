// SPDX-License-Identifier: GPL-2.0
/* Threads of one process on several nodes: futexes, locks and what is built of them, atomics. */
#include "crew.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#define RW (PROT_READ | PROT_WRITE)

static struct hand crew[4];
static atomic_uint word ALONE, second ALONE;
static atomic_int woken ALONE;

static long futex(atomic_uint *uaddr, int op, unsigned int value, const void *timeout,
		  atomic_uint *uaddr2, unsigned int value3)
{
	return syscall(SYS_futex, uaddr, op | FUTEX_PRIVATE_FLAG, value, timeout, uaddr2, value3);
}

static void begin(unsigned int count, unsigned int first, void *(*work)(struct hand *))
{
	woken = 0;
	crew_start(crew, count, work, NULL);
	crew_spread(crew, count, first);
	crew_go(crew, count);
}

static void wait_woken(int expected)
{
	uint64_t end = now_ns() + 60000000000;

	while (woken < expected && now_ns() < end)
		sleep_ms(2);
	EQUAL(woken, expected);
}

/* ---------------------------------------------------------------- futexes */

static void *wait_once(struct hand *hand)
{
	(void)hand;
	DO(futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0));
	woken++;
	return NULL;
}

static void wait_and_wake(void)
{
	for (int round = 0; round < PLACES; round++) {
		go(0);
		begin(4, round, wait_once);
		crew_asleep(crew, 4);
		go(places[(round + 1) % PLACES]);
		EQUAL(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0), -1);
		EQUAL(errno, EAGAIN);
		EQUAL(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
		wait_woken(1);
		EQUAL(futex(&word, FUTEX_WAKE, 2, NULL, NULL, 0), 2);
		wait_woken(3);
		EQUAL(futex(&word, FUTEX_WAKE, 9, NULL, NULL, 0), 1);
		EQUAL(futex(&word, FUTEX_WAKE, 9, NULL, NULL, 0), 0);
		crew_join(crew, 4);
	}
}

static void *wait_for_bit(struct hand *hand)
{
	DO(futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 1 << hand->number));
	woken |= 1 << hand->number;
	return NULL;
}

static void bitsets(void)
{
	begin(4, 1, wait_for_bit);
	crew_asleep(crew, 4);
	go(3);
	EQUAL(futex(&word, FUTEX_WAKE_BITSET, 9, NULL, NULL, 16), 0);
	EQUAL(futex(&word, FUTEX_WAKE_BITSET, 9, NULL, NULL, 6), 2);
	wait_woken(6);
	EQUAL(futex(&word, FUTEX_WAKE_BITSET, 9, NULL, NULL, 9), 2);
	crew_join(crew, 4);
	EQUAL(woken, 15);
}

static void *wait_too_long(struct hand *hand)
{
	struct timespec relative = { 0, 300000000 }, absolute;
	uint64_t start = now_ns();

	EQUAL(futex(&word, FUTEX_WAIT, 0, &relative, NULL, 0), -1);
	EQUAL(errno, ETIMEDOUT);
	/* The clocks of two nodes differ by a little. */
	CHECK(now_ns() - start > 250000000);
	DO(clock_gettime(CLOCK_MONOTONIC, &absolute));
	absolute.tv_sec++;
	EQUAL(futex(&word, FUTEX_WAIT_BITSET, 0, &absolute, NULL, ~0u), -1);
	EQUAL(errno, ETIMEDOUT);
	return hand;
}

/* Moved while they wait, they wait no longer than they wanted. */
static void time_limits(void)
{
	uint64_t start = now_ns();

	begin(3, 0, wait_too_long);
	crew_spread(crew, 3, 1);
	crew_spread(crew, 3, 2);
	crew_join(crew, 3);
	CHECK(now_ns() - start < 60000000000 * slower());
}

static void requeue(void)
{
	for (int round = 0; round < PLACES; round++) {
		go(0);
		begin(4, round, wait_once);
		crew_asleep(crew, 4);
		go(places[round]);
		EQUAL(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)9, &second, 1), -1);
		EQUAL(errno, EAGAIN);
		EQUAL(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)2, &second, 0), 3);
		wait_woken(1);
		EQUAL(futex(&second, FUTEX_WAKE, 9, NULL, NULL, 0), 2);
		wait_woken(3);
		EQUAL(futex(&word, FUTEX_REQUEUE, 0, (void *)9, &second, 0), 1);
		EQUAL(futex(&word, FUTEX_WAKE, 9, NULL, NULL, 0), 0);
		EQUAL(futex(&second, FUTEX_WAKE, 9, NULL, NULL, 0), 1);
		crew_join(crew, 4);
	}
}

static void *wait_at_either(struct hand *hand)
{
	DO(futex(hand->number % 2 ? &second : &word, FUTEX_WAIT, hand->number % 2 ? 5 : 0, NULL,
		 NULL, 0));
	woken++;
	return NULL;
}

static void *read_second(struct hand *hand)
{
	(void)hand;
	return (void *)(uintptr_t)second;
}

static void wake_op(void)
{
	for (int round = 0; round < PLACES; round++) {
		go(0);
		second = 5;
		begin(4, round, wait_at_either);
		crew_asleep(crew, 4);
		go(places[(round + 2) % PLACES]);
		/* second += 3; it was not 9: only those at the first are woken. */
		EQUAL(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &second,
			    FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 9)), 1);
		EQUAL(second, 8);
		/* second |= 16; it was 8. */
		EQUAL(futex(&word, FUTEX_WAKE_OP, 1, (void *)9, &second,
			    FUTEX_OP(FUTEX_OP_OR, 16, FUTEX_OP_CMP_GE, 8)), 3);
		crew_join(crew, 4);
		begin(3, round, read_second);
		crew_join(crew, 3);
		for (int i = 0; i < 3; i++)
			EQUAL((uintptr_t)crew[i].result, 24);
	}
}

/* By hand: in the kernel, from user mode only where nobody waits. */
static volatile unsigned int under_lock ALONE;

static void *lock_pi(struct hand *hand)
{
	for (int i = 0; i < 8; i++) {
		unsigned int none = 0;

		if (!atomic_compare_exchange_strong(&word, &none, (unsigned int)hand->tid))
			DO(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
		EQUAL(word & FUTEX_TID_MASK, hand->tid);
		under_lock++;
		none = hand->tid;
		if (!atomic_compare_exchange_strong(&word, &none, 0))
			DO(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	}
	return NULL;
}

static atomic_int tried ALONE;

static void *trylock_pi(struct hand *hand)
{
	(void)hand;
	EQUAL(futex(&word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), -1);
	EQUAL(errno, EAGAIN);
	tried++;
	DO(futex(&word, FUTEX_LOCK_PI2, 0, NULL, NULL, 0));
	DO(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	return NULL;
}

static void priority_inheritance(void)
{
	for (int round = 0; round < PLACES; round++) {
		go(places[round]);
		under_lock = 0;
		begin(4, round, lock_pi);
		crew_join(crew, 4);
		EQUAL(under_lock, 32);
		EQUAL(word, 0);
		DO(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
		EQUAL(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), -1);
		EQUAL(errno, EDEADLK);
		tried = 0;
		begin(3, round, trylock_pi);
		while (tried < 3)
			sleep_ms(1);
		sleep_ms(100);
		DO(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
		crew_join(crew, 3);
		word = 0;
	}
}

static void *wait_requeue_pi(struct hand *hand)
{
	long ret;

	do
		ret = futex(&word, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &second, 0);
	while (ret && errno == EAGAIN && word == 0);
	EQUAL(ret, 0);
	EQUAL(second & FUTEX_TID_MASK, hand->tid);
	woken++;
	DO(futex(&second, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	return NULL;
}

static void requeue_to_pi(void)
{
	for (int round = 0; round < PLACES; round++) {
		go(0);
		begin(3, round, wait_requeue_pi);
		crew_asleep(crew, 3);
		go(places[(round + 1) % PLACES]);
		EQUAL(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)9, &second, 0), 3);
		crew_join(crew, 3);
		EQUAL(woken, 3);
		EQUAL(second & FUTEX_TID_MASK, 0);
		second = 0;
	}
}

static void *wait_vector(struct hand *hand)
{
	struct futex_waitv waiters[2] = {
		{ .val = 0, .uaddr = (uintptr_t)&word, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG },
		{ .val = 0, .uaddr = (uintptr_t)&second, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG },
	};

	uintptr_t which = DO(syscall(SYS_futex_waitv, waiters, 2, 0, NULL, 0));

	(void)hand;
	woken++;
	return (void *)which;
}

static void wait_for_several(void)
{
	for (int round = 0; round < PLACES; round++) {
		go(0);
		begin(2, round + 1, wait_vector);
		crew_asleep(crew, 2);
		go(places[round]);
		EQUAL(futex(&second, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
		/* Until it has run, it waits at the other one still. */
		wait_woken(1);
		EQUAL(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
		crew_join(crew, 2);
		EQUAL((uintptr_t)crew[0].result + (uintptr_t)crew[1].result, 1);
	}
}

/* ------------------------------------------------------- what glibc makes */

enum { TURNS = 30 };

static volatile unsigned int counted ALONE;
static pthread_mutex_t mutex ALONE;

static void *count_locked(struct hand *hand)
{
	(void)hand;
	for (int i = 0; i < TURNS; i++) {
		EQUAL(pthread_mutex_lock(&mutex), 0);
		counted++;
		EQUAL(pthread_mutex_unlock(&mutex), 0);
	}
	return NULL;
}

static void count_with(int type, int protocol)
{
	pthread_mutexattr_t attributes;

	EQUAL(pthread_mutexattr_init(&attributes), 0);
	EQUAL(pthread_mutexattr_settype(&attributes, type), 0);
	EQUAL(pthread_mutexattr_setprotocol(&attributes, protocol), 0);
	EQUAL(pthread_mutex_init(&mutex, &attributes), 0);
	counted = 0;
	begin(4, 0, count_locked);
	crew_join(crew, 4);
	EQUAL(counted, 4 * TURNS);
	EQUAL(pthread_mutex_destroy(&mutex), 0);
}

static void mutexes(void)
{
	count_with(PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE);
	count_with(PTHREAD_MUTEX_RECURSIVE, PTHREAD_PRIO_NONE);
	count_with(PTHREAD_MUTEX_ADAPTIVE_NP, PTHREAD_PRIO_NONE);
	count_with(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_PRIO_INHERIT);
}

static pthread_mutex_t turn_mutex ALONE = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_cond ALONE = PTHREAD_COND_INITIALIZER;
static unsigned int turn;

/* One after the other, by one condition that all wait for. */
static void *take_turns(struct hand *hand)
{
	for (int i = 0; i < 12; i++) {
		EQUAL(pthread_mutex_lock(&turn_mutex), 0);
		while (turn % 3 != hand->number)
			EQUAL(pthread_cond_wait(&turn_cond, &turn_mutex), 0);
		turn++;
		EQUAL(pthread_cond_broadcast(&turn_cond), 0);
		EQUAL(pthread_mutex_unlock(&turn_mutex), 0);
	}
	return NULL;
}

static void conditions(void)
{
	begin(3, 0, take_turns);
	crew_join(crew, 3);
	EQUAL(turn, 36);
}

static pthread_barrier_t barrier ALONE;
static atomic_uint arrived ALONE;

static void *meet(struct hand *hand)
{
	uintptr_t serial = 0;

	(void)hand;
	for (unsigned int i = 0; i < 8; i++) {
		int ret;

		arrived++;
		ret = pthread_barrier_wait(&barrier);
		CHECK(!ret || ret == PTHREAD_BARRIER_SERIAL_THREAD);
		serial += ret != 0;
		CHECK(arrived >= 4 * (i + 1));
		ret = pthread_barrier_wait(&barrier);
		serial += ret != 0;
	}
	return (void *)serial;
}

static void barriers(void)
{
	uintptr_t serials = 0;

	EQUAL(pthread_barrier_init(&barrier, NULL, 4), 0);
	begin(4, 0, meet);
	crew_join(crew, 4);
	for (int i = 0; i < 4; i++)
		serials += (uintptr_t)crew[i].result;
	EQUAL(serials, 16);
	EQUAL(arrived, 32);
}

static pthread_rwlock_t rwlock ALONE;
static volatile unsigned int left ALONE, right ALONE;

static void *read_and_write(struct hand *hand)
{
	for (unsigned int i = 0; i < 24; i++) {
		if ((i + hand->number) % 3 == 0) {
			EQUAL(pthread_rwlock_wrlock(&rwlock), 0);
			left++;
			right++;
		} else {
			EQUAL(pthread_rwlock_rdlock(&rwlock), 0);
			EQUAL(left, right);
		}
		EQUAL(pthread_rwlock_unlock(&rwlock), 0);
	}
	return NULL;
}

static void rwlocks(void)
{
	for (int kind = 0; kind < 2; kind++) {
		pthread_rwlockattr_t attributes;

		EQUAL(pthread_rwlockattr_init(&attributes), 0);
		EQUAL(pthread_rwlockattr_setkind_np(&attributes, kind ?
			PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP : PTHREAD_RWLOCK_DEFAULT_NP), 0);
		EQUAL(pthread_rwlock_init(&rwlock, &attributes), 0);
		left = right = 0;
		begin(3, kind, read_and_write);
		crew_join(crew, 3);
		EQUAL(left, 24);
		EQUAL(right, 24);
	}
}

static sem_t full ALONE, empty ALONE;
static unsigned int ring[4] ALONE;

static void *produce_or_consume(struct hand *hand)
{
	uintptr_t sum = 0;

	for (unsigned int i = 0; i < 40; i++) {
		if (hand->number) {
			down(&full);
			sum += ring[i % 4];
			DO(sem_post(&empty));
		} else {
			down(&empty);
			ring[i % 4] = i * 7;
			DO(sem_post(&full));
		}
	}
	return (void *)sum;
}

static void semaphores(void)
{
	for (int round = 0; round < PLACES; round++) {
		DO(sem_init(&full, 0, 0));
		DO(sem_init(&empty, 0, 4));
		begin(2, round, produce_or_consume);
		crew_join(crew, 2);
		EQUAL((uintptr_t)crew[1].result, 7 * 39 * 40 / 2);
	}
}

/* -------------------------------------------------- without the kernel */

static _Atomic uint64_t wide ALONE;
static uint64_t widest[2] ALONE;
static atomic_uint bits ALONE;
/* Across two cache lines of one page. */
static struct {
	char before[4096 - 128 - 3];
	volatile uint64_t value;
} __attribute__((packed)) askew ALONE;

static void *add_up(struct hand *hand)
{
	for (int i = 0; i < TURNS * 10; i++) {
		uint64_t old = wide, low, high;
		unsigned char done;

		while (!atomic_compare_exchange_weak(&wide, &old, old + 3))
			;
		atomic_fetch_xor(&bits, 1u << hand->number);
		asm volatile("lock incq %0" : "+m"(askew.value));
		do {
			low = ((volatile uint64_t *)widest)[0];
			high = ((volatile uint64_t *)widest)[1];
			asm volatile("lock cmpxchg16b %1\n\t sete %0"
				     : "=q"(done), "+m"(widest), "+a"(low), "+d"(high)
				     : "b"(low + 1), "c"(high + 1) : "cc", "memory");
		} while (!done);
	}
	return NULL;
}

static void atomics(void)
{
	begin(3, 0, add_up);
	crew_join(crew, 3);
	EQUAL(wide, 9 * TURNS * 10);
	EQUAL(bits, 0);
	EQUAL(askew.value, 3 * TURNS * 10);
	EQUAL(widest[0], 3 * TURNS * 10);
	EQUAL(widest[1], 3 * TURNS * 10);
}

static pthread_spinlock_t spin ALONE;

static void *count_spinning(struct hand *hand)
{
	(void)hand;
	for (int i = 0; i < TURNS; i++) {
		EQUAL(pthread_spin_lock(&spin), 0);
		counted++;
		EQUAL(pthread_spin_unlock(&spin), 0);
	}
	return NULL;
}

static void spin_locks(void)
{
	EQUAL(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE), 0);
	begin(3, 0, count_spinning);
	crew_join(crew, 3);
	EQUAL(counted, 3 * TURNS);
}

/*
 * Orders that may not be seen: with plain accesses as the compiler makes them, and a fence
 * where x86 wants one. Each word has a page, and a thread per node.
 */
enum { ROUNDS = 15 };

static volatile unsigned int x ALONE, y ALONE, seen_x ALONE, seen_y ALONE, seen_2 ALONE;
static atomic_uint forbidden;

static void *store_buffer(struct hand *hand)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&barrier);
		if (hand->number == 0) {
			x = i + 1;
			atomic_thread_fence(memory_order_seq_cst);
			seen_y = y;
		} else if (hand->number == 1) {
			y = i + 1;
			atomic_thread_fence(memory_order_seq_cst);
			seen_x = x;
		}
		pthread_barrier_wait(&barrier);
		if (hand->number == 2)
			forbidden += seen_x != (unsigned int)i + 1 && seen_y != (unsigned int)i + 1;
	}
	return NULL;
}

/* A message in one page, its announcement in another; a third node passes it on. */
static void *pass_message(struct hand *hand)
{
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		switch (hand->number) {
		case 0:
			x = i;
			y = i;
			break;
		case 1:
			while (y != i)
				sched_yield();
			forbidden += x != i;
			seen_2 = i;
			break;
		case 2:
			while (seen_2 != i)
				sched_yield();
			forbidden += x != i || y != i;
		}
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void order(void)
{
	EQUAL(pthread_barrier_init(&barrier, NULL, 3), 0);
	for (int round = 0; round < 2; round++) {
		begin(3, round, store_buffer);
		crew_join(crew, 3);
		x = y = 0;
	}
	begin(3, 1, pass_message);
	crew_join(crew, 3);
	EQUAL(forbidden, 0);
}

/* Once means once, also if all come at the same time. */
static pthread_once_t once ALONE;
static atomic_int times ALONE;

static void slowly(void)
{
	compute_ms(50);
	times++;
}

static void *do_once(struct hand *hand)
{
	(void)hand;
	EQUAL(pthread_once(&once, slowly), 0);
	return (void *)(uintptr_t)times;
}

static void only_once(void)
{
	for (int round = 0; round < PLACES; round++) {
		once = (pthread_once_t)PTHREAD_ONCE_INIT;
		times = 0;
		begin(4, round, do_once);
		crew_join(crew, 4);
		for (int i = 0; i < 4; i++)
			EQUAL((uintptr_t)crew[i].result, 1);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(wait_and_wake), CASE(bitsets), CASE(time_limits), CASE(requeue), CASE(wake_op),
		CASE(priority_inheritance), CASE(requeue_to_pi), CASE(wait_for_several),
		CASE(mutexes), CASE(conditions), CASE(barriers), CASE(rwlocks), CASE(semaphores),
		CASE(only_once), CASE(atomics), CASE(spin_locks), CASE(order),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

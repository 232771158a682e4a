// SPDX-License-Identifier: GPL-2.0
/* Memory that processes share: of all kinds, with their locks and semaphores in it. */
#include "harness.h"
#include "fault.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

enum { PAGES = 16, BYTES = PAGES * 4096 };

#define RW (PROT_READ | PROT_WRITE)

/*
 * What two processes add to; each of them to one word of its own as well, without an atomic
 * instruction.
 */
struct counters {
	uint64_t both, partners, own;
	uint64_t round, begun, done;	/* which one is asked for, under way at the partner's, over */
	uint64_t told;			/* what the partner says it has added */
};

enum { TOGETHER = 30, EACH = 5000, TRIP = 3 };	/* rounds, additions in each, rounds of a journey */

static bool is_round(const uint64_t *word, uint64_t round)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST) == round;
}

static void add_as_partner(struct counters *counters)
{
	volatile uint64_t *partners = &counters->partners;
	uint64_t added = 0;

	for (uint64_t round = 1; round <= TOGETHER; round++) {
		while (!is_round(&counters->round, round))
			sleep_ms(1);
		__atomic_store_n(&counters->begun, round, __ATOMIC_SEQ_CST);
		/* Until the other one has done its own: both add at the same time. */
		while (!is_round(&counters->done, round)) {
			__atomic_fetch_add(&counters->both, 1, __ATOMIC_SEQ_CST);
			++*partners;
			if (++added % 512 == 0)
				sched_yield();
		}
	}
	__atomic_store_n(&counters->told, added, __ATOMIC_SEQ_CST);
	_exit(0);
}

/*
 * A partner at home adds to one counter with an atomic instruction, and so does this process,
 * which is sent away anew meanwhile: nothing is lost, whatever kind of memory it is.
 */
static void count_together(void *memory)
{
	struct counters *counters = memory;
	volatile uint64_t *partners = &counters->partners, *own = &counters->own;
	uint64_t added = 0;
	pid_t partner = DO(fork());

	if (!partner)
		add_as_partner(counters);
	for (uint64_t round = 1; round <= TOGETHER; round++) {
		uint64_t end = added + EACH, before;

		__atomic_store_n(&counters->round, round, __ATOMIC_SEQ_CST);
		while (!is_round(&counters->begun, round))
			sleep_ms(1);
		before = *partners;
		if (round % TRIP == 1)
			away();
		do {
			__atomic_fetch_add(&counters->both, 1, __ATOMIC_SEQ_CST);
			++*own;
			if (++added % 512 == 0)
				sched_yield();
		} while (added < end || *partners < before + EACH);
		__atomic_store_n(&counters->done, round, __ATOMIC_SEQ_CST);
	}
	reap(partner);
	CHECK(counters->told >= TOGETHER * EACH);
	EQUAL(counters->partners, counters->told);
	EQUAL(counters->own, added);
	EQUAL(counters->both, counters->told + added);
}

static void system_v(void)
{
	int id = DO(shmget(IPC_PRIVATE, BYTES, 0600));
	struct shmid_ds about;
	char *memory, *again;
	pid_t child;

	away();
	memory = shmat(id, NULL, 0);
	CHECK(memory != (void *)-1);
	count_together(memory);
	again = map_pages(PAGES, PROT_NONE);
	EQUAL(shmat(id, again, SHM_RDONLY), -1);
	EQUAL(errno, EINVAL);
	CHECK(shmat(id, again, SHM_RDONLY | SHM_REMAP) == again);
	memory[4096] = 'v';
	EQUAL(again[4096], 'v');
	EQUAL(faults_on(again, true), SEGV_ACCERR);
	away();
	DO(shmctl(id, IPC_STAT, &about));
	EQUAL(about.shm_nattch, 2);
	EQUAL(about.shm_cpid, getpid());
	DO(shmctl(id, IPC_RMID, NULL));		/* goes with the last user */
	child = DO(fork());
	if (!child) {
		away();
		memory[5000] = 'c';
		DO(shmdt(memory));
		EQUAL(faults_on(memory, false), SEGV_MAPERR);
		_exit(0);
	}
	reap(child);
	EQUAL(memory[5000], 'c');
	DO(shmdt(again));
	DO(shmdt(memory));
	EQUAL(shmctl(id, IPC_STAT, &about), -1);
	EQUAL(errno, EINVAL);
}

static void posix_shared(void)
{
	char name[32];
	uint64_t *memory;
	int file;

	snprintf(name, sizeof(name), "/radium-shared-%d", getpid());
	away();
	file = DO(shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600));
	DO(ftruncate(file, 4096));
	memory = DO(mmap(NULL, 4096, RW, MAP_SHARED, file, 0));
	DO(shm_unlink(name));
	count_together(memory);
	EQUAL(shm_open(name, O_RDWR, 0), -1);
	EQUAL(errno, ENOENT);
}

static void file_of_many(void)
{
	int file = DO(open("/tmp", O_TMPFILE | O_RDWR, 0600));
	struct counters *memory, seen;

	DO(ftruncate(file, 4096));
	memory = DO(mmap(NULL, 4096, RW, MAP_SHARED, file, 0));
	count_together(memory);
	DO(msync(memory, 4096, MS_SYNC));
	EQUAL(pread(file, &seen, sizeof(seen), 0), sizeof(seen));
	CHECK(!memcmp(&seen, memory, sizeof(seen)));
}

/* So many values at a time, and so often; all together below 256, for a byte is never torn. */
enum { VALUES = 5, WRITES = 40 };

static void write_on(int file, int asked)
{
	uint64_t value = 0;
	char byte;

	while (read(asked, &byte, 1) == 1)
		for (int i = 0; i < VALUES; i++) {
			value++;
			EQUAL(pwrite(file, &value, 8, 64), 8);
			sched_yield();
		}
	_exit(value != VALUES * WRITES);
}

/*
 * A file that another writes with write(), again and again, while the reader is sent away: it is
 * never seen torn, nor older than read() says.
 */
static void file_written_elsewhere(void)
{
	int file = DO(open("/tmp", O_TMPFILE | O_RDWR, 0600)), ends[2];
	volatile uint64_t *memory, last = 0;
	pid_t writer;

	DO(ftruncate(file, 4096));
	memory = DO(mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0));
	DO(pipe(ends));
	writer = DO(fork());
	if (!writer) {
		close(ends[1]);
		write_on(file, ends[0]);
	}
	for (uint64_t most = VALUES; most <= VALUES * WRITES; most += VALUES) {
		uint64_t now, read_now;

		EQUAL(write(ends[1], "w", 1), 1);
		away();		/* while the partner writes */
		do {
			EQUAL(pread(file, &read_now, 8, 64), 8);
			now = memory[8];
			CHECK(read_now >= last && now >= read_now && now <= most);
			last = now;
		} while (now < most);	/* the partner waits for the next round */
	}
	close(ends[1]);
	reap(writer);
}

static void wake_other(void *argument)
{
	uint32_t *word = argument;

	__atomic_store_n(word, 7, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* A futex between processes is found by its page, not its address. */
static void futex_between_processes(void)
{
	int file = DO(memfd_create("futex", 0));
	struct timespec limit = { 60, 0 };
	uint32_t *here, *there;
	pid_t helper;

	DO(ftruncate(file, 4096));
	here = DO(mmap(NULL, 4096, RW, MAP_SHARED, file, 0));
	there = DO(mmap(NULL, 4096, RW, MAP_SHARED, file, 0));
	away();
	helper = later(200, wake_other, there);
	if (syscall(SYS_futex, here, FUTEX_WAIT, 0, &limit, NULL, 0))
		EQUAL(errno, EAGAIN);
	EQUAL(*here, 7);
	reap(helper);
	away();
	EQUAL(syscall(SYS_futex, here, FUTEX_WAIT, 6, &limit, NULL, 0), -1);
	EQUAL(errno, EAGAIN);
	EQUAL(syscall(SYS_futex, here, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	EQUAL(syscall(SYS_futex, here, FUTEX_CMP_REQUEUE, 1, 1l, there, 5), -1);
	EQUAL(errno, EAGAIN);
}

/* A semaphore with a name, as the C library has them. */
static void named_semaphore(void)
{
	struct timespec limit;
	char name[32];
	sem_t *semaphore;
	pid_t child;
	int value;

	snprintf(name, sizeof(name), "/radium-%d", getpid());
	away();
	semaphore = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
	CHECK(semaphore != SEM_FAILED);
	child = DO(fork());
	if (!child) {
		sem_t *same = sem_open(name, 0);

		CHECK(same != SEM_FAILED);
		sleep_ms(100);
		for (int i = 0; i < 3; i++)
			DO(sem_post(same));
		_exit(0);
	}
	away();
	DO(clock_gettime(CLOCK_REALTIME, &limit));
	limit.tv_sec += 60;
	DO(sem_timedwait(semaphore, &limit));
	reap(child);
	DO(sem_wait(semaphore));
	DO(sem_getvalue(semaphore, &value));
	EQUAL(value, 1);
	DO(sem_trywait(semaphore));
	EQUAL(sem_trywait(semaphore), -1);
	EQUAL(errno, EAGAIN);
	limit.tv_sec -= 120;
	EQUAL(sem_timedwait(semaphore, &limit), -1);
	EQUAL(errno, ETIMEDOUT);
	DO(sem_unlink(name));
}

/* Huge pages of a file that two processes have mapped. */
static void huge_and_shared(void)
{
	static const char count[] = "/proc/sys/vm/nr_hugepages";
	size_t bytes = 2 << 20;
	uint64_t *memory;
	char was[20];
	int file;

	if (access(count, W_OK))
		skip("no %s", count);
	snprintf(was, sizeof(was), "%.18s", read_text(count));
	if (atoi(was) < 2)
		write_text(count, "2\n");
	file = memfd_create("huge", MFD_HUGETLB);
	if (file < 0 || ftruncate(file, bytes))
		skip("MFD_HUGETLB: %s", strerror(errno));
	memory = mmap(NULL, bytes, RW, MAP_SHARED, file, 0);
	if (memory == MAP_FAILED) {
		write_text(count, was);
		skip("no huge pages to be had");
	}
	count_together(memory + 100000);
	if (moving())
		CHECK(returns("MEMORY_KIND") + returns("SHARED_MEMORY") > 0);
	DO(munmap(memory, bytes));
	DO(close(file));
	write_text(count, was);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(system_v), CASE(posix_shared), CASE(file_of_many), CASE(file_written_elsewhere),
		CASE(futex_between_processes), CASE(named_semaphore), CASE(huge_and_shared),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

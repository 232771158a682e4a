// SPDX-License-Identifier: GPL-2.0
/*
 * Several want different things of one thread at once. It is moved by other processes here, so
 * that they do not wait for each other; in mode native they have nothing to do.
 */
#include "crew.h"
#include "move.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#define RW (PROT_READ | PROT_WRITE)

enum { TIMEOUT_MS = 60000, ROUNDS = 24, LATEST_US = 4000 };

/* What came of a request. */
struct outcome {
	int error;
	unsigned int reason;
};

/* A process that asks for one thing, whenever it is told to; @from is its own. */
struct asker {
	pid_t pid;
	unsigned int node;		/* 0: home */
	int device;
	int ask, answer;
};

static volatile uint64_t *turns;

static void work_for_ever(void)
{
	for (;;)
		++*turns;
}

static void pass_us(unsigned int us)
{
	uint64_t end = now_ns() + us * 1000ull;

	while (now_ns() < end)
		;
}

static void asker_start(struct asker *asker, pid_t of, unsigned int node)
{
	int to[2], from[2];
	unsigned int wait;

	DO(pipe(to));
	DO(pipe(from));
	asker->node = node;
	asker->ask = to[1];
	asker->answer = from[0];
	asker->pid = DO(fork());
	if (asker->pid) {
		close(to[0]);
		close(from[1]);
		return;
	}
	close(to[1]);
	asker->device = moving() ? DO(move_open()) : -1;
	while (read(to[0], &wait, sizeof(wait)) == sizeof(wait)) {
		struct radium_move result = { .size = 0 };
		struct outcome outcome = { .error = 0 };

		pass_us(wait);
		if (moving()) {
			outcome.error = move_thread(asker->device, of, of, node, TIMEOUT_MS, &result);
			outcome.reason = result.reason;
		}
		if (write(from[1], &outcome, sizeof(outcome)) != sizeof(outcome))
			_exit(1);
	}
	_exit(0);
}

/* Both at once, or nearly so, in this order or the other. */
static void both_ask(struct asker *askers, struct outcome *outcomes, unsigned int round)
{
	static uint64_t state = 88172645463325252ull;
	unsigned int wait[2] = { 0 };

	state = state * 6364136223846793005ull + 1442695040888963407ull;
	wait[round % 2] = (state >> 33) % LATEST_US;
	for (int i = 0; i < 2; i++)
		EQUAL(write(askers[i].ask, &wait[i], sizeof(wait[i])), sizeof(wait[i]));
	for (int i = 0; i < 2; i++)
		EQUAL(read(askers[i].answer, &outcomes[i], sizeof(outcomes[i])), sizeof(outcomes[i]));
}

/* Those that were made later have the ends of the former. */
static void askers_end(struct asker *askers)
{
	for (int i = 0; i < 2; i++)
		close(askers[i].ask);
	for (int i = 0; i < 2; i++)
		reap(askers[i].pid);
}

/* Home, with all that it has, so that nothing is known of it any more. */
static void all_home(int device, pid_t pid)
{
	struct radium_process_info info;
	struct radium_move result;

	if (!moving())
		return;
	/* Again, because a page that was asked for ahead may go out after the others came. */
	while (!move_home(device, pid, RADIUM_MOVE_ALL_PAGES, TIMEOUT_MS, &result))
		sleep_ms(2);
	if (result.reason != RADIUM_R_NOT_AWAY)
		fail(__FILE__, __LINE__, "recall: %s", move_reason(result.reason));
	while (process_info(device, pid, &info))
		sleep_ms(2);
}

static bool is_done(const struct outcome *outcome)
{
	if (outcome->error && outcome->reason != RADIUM_R_BUSY &&
	    outcome->reason != RADIUM_R_ALREADY_THERE && outcome->reason != RADIUM_R_NOT_AWAY)
		fail(__FILE__, __LINE__, "%s (%s)", strerror(-outcome->error),
		     move_reason(outcome->reason));
	return outcome->reason != RADIUM_R_BUSY;
}

/* One that works, and two that want it on different nodes. */
static void contend(const unsigned int nodes[2], bool recall)
{
	unsigned int overtaken = 0, both = 0, done[2];
	struct radium_thread_info info = { 0 };
	struct outcome outcomes[2];
	struct asker askers[2];
	int device = moving() ? DO(move_open()) : -1;
	pid_t pid;

	turns = map_pages(1, RW);
	pid = child_with(work_for_ever);
	for (int i = 0; i < 2; i++)
		asker_start(&askers[i], pid, nodes[i]);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		bool known;

		all_home(device, pid);
		both_ask(askers, outcomes, round);
		if (!moving())
			continue;
		for (int i = 0; i < 2; i++)
			done[i] = is_done(&outcomes[i]);
		/* The last one to ask is overtaken by nobody. */
		CHECK(done[0] || done[1]);
		overtaken += done[0] != done[1];
		both += done[0] && done[1];
		known = move_info(device, pid, &info);
		if (!recall) {
			/* Nobody wants it back: its record is there. */
			CHECK(known);
			EQUAL(info.state, RADIUM_THREAD_AWAY);
			CHECK(info.node == nodes[0] || info.node == nodes[1]);
			/* It has been on each of them that says so, and is on one now. */
			CHECK(info.migrations >= done[0] + done[1]);
			CHECK(done[info.node == nodes[1]]);
		} else if (done[0] != done[1]) {
			EQUAL(known && info.state == RADIUM_THREAD_AWAY, done[0]);
		} else if (known && info.state == RADIUM_THREAD_AWAY) {
			CHECK(info.migrations >= 1);
			EQUAL(info.node, nodes[0]);
		}
		EQUAL(kill(pid, 0), 0);
	}
	note("%u rounds: both got what they wanted in %u, one was overtaken in %u", ROUNDS, both,
	     overtaken);
	askers_end(askers);
	DO(kill(pid, SIGKILL));
	ends_with(pid, SIGKILL);
}

/* An asker that is told so has it where it wanted it, and one that is overtaken is told that. */
static void each_gets_its_own_answer(void)
{
	contend((const unsigned int[]){ 2, 3 }, false);
}

/* The same of one who sends it away and one who calls it home. */
static void recall_against_move(void)
{
	contend((const unsigned int[]){ 2, 0 }, true);
}

/* ----------------------------------------------------- a call made at home */

enum { FORKS = 60, HANDLER_MS = 120, TIMER_US = 3000 };

static volatile uint64_t spins, spins_of_a_ms;
static volatile sig_atomic_t handled;

/* So long in user mode, without a call, a clock's among them. */
static void spin(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		spins++;
}

static void spin_in_handler(int number)
{
	(void)number;
	spin(HANDLER_MS * spins_of_a_ms);
	handled++;
}

/*
 * Comes home for each fork, and on its way into that call handles a signal, for so long that
 * it is sent away and called home with everything in the midst of the handler.
 */
static void fork_under_signals(void)
{
	uint64_t state = 1, begin = now_ns();

	do {
		spin(10000);
		spins_of_a_ms += 10000;
	} while (now_ns() - begin < 20000000);
	spins_of_a_ms = spins_of_a_ms / 20 + 1;
	signal(SIGALRM, spin_in_handler);
	for (int i = 0; i < FORKS; i++) {
		struct itimerval timer = { .it_value.tv_usec = 1 + (state >> 33) % TIMER_US };
		pid_t pid;

		state = state * 6364136223846793005ull + 1442695040888963407ull;
		DO(setitimer(ITIMER_REAL, &timer, NULL));
		pid = DO(fork());
		if (!pid)
			_exit(i);
		ends_with(pid, i << 8);
	}
	while (handled == 0)
		;
	_exit(24);
}

static void called_home_in_a_handler(void)
{
	int device = moving() ? DO(move_open()) : -1, status;
	unsigned int rounds = 0;
	pid_t pid = child_with(fork_under_signals), ended;

	/* It may end at any moment: what cannot be done then need not be. */
	while (!(ended = DO(waitpid(pid, &status, WNOHANG)))) {
		struct radium_move result;

		if (!moving()) {
			sleep_ms(10);
			continue;
		}
		move_to(device, pid, 2, 0, TIMEOUT_MS, &result);
		sleep_ms(rounds++ % 4 * 5);
		move_home(device, pid, RADIUM_MOVE_ALL_PAGES, TIMEOUT_MS, &result);
	}
	note("called home %u times", rounds);
	EQUAL(status, 24 << 8);
}

/* ------------------------------------------------------- taken out of a call */

enum { SUSPENSIONS = 60, SIGNAL_US = 20000, SUSPENDED_MS = 10000 };

static int returned[2];

static void count_signal(int number)
{
	(void)number;
	handled++;
}

/* Blocked but in the call: each ends it once. */
static void suspend_for_ever(void)
{
	sigset_t none;

	sigemptyset(&none);
	signal(SIGUSR1, count_signal);
	for (int count = 1;; count++) {
		char right;

		errno = 0;
		right = sigsuspend(&none) == -1 && errno == EINTR && handled == count;
		if (write(returned[1], &right, 1) != 1)
			_exit(1);
	}
}

/*
 * Asked for once more while it is on its way out of a call, it begins to leave anew; a signal
 * that comes then ends the call, as if nobody had taken it out.
 */
static void asked_twice_in_a_call(void)
{
	int device = moving() ? DO(move_open()) : -1;
	struct outcome outcomes[2];
	struct asker askers[2];
	uint64_t state = 1;
	sigset_t usr1;
	pid_t pid;

	DO(pipe(returned));
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	DO(sigprocmask(SIG_BLOCK, &usr1, NULL));
	pid = child_with(suspend_for_ever);
	for (int i = 0; i < 2; i++)
		asker_start(&askers[i], pid, 2);
	for (unsigned int round = 0; round < SUSPENSIONS; round++) {
		struct pollfd ready = { .fd = returned[0], .events = POLLIN };
		unsigned int wait[2] = { 0 };
		char right = 0;

		all_home(device, pid);
		while (!sleeps_in(pid, SYS_rt_sigsuspend))
			sleep_ms(1);
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		wait[1] = (state >> 33) % LATEST_US;
		for (int i = 0; i < 2; i++)
			EQUAL(write(askers[i].ask, &wait[i], sizeof(wait[i])), sizeof(wait[i]));
		usleep((state >> 13) % SIGNAL_US);
		DO(kill(pid, SIGUSR1));
		if (poll(&ready, 1, SUSPENDED_MS * slower()) != 1)
			fail(__FILE__, __LINE__, "round %u: no signal has ended the call", round);
		EQUAL(read(returned[0], &right, 1), 1);
		CHECK(right);
		for (int i = 0; i < 2; i++) {
			EQUAL(read(askers[i].answer, &outcomes[i], sizeof(outcomes[i])),
			      sizeof(outcomes[i]));
			is_done(&outcomes[i]);
		}
	}
	askers_end(askers);
	DO(kill(pid, SIGKILL));
	ends_with(pid, SIGKILL);
}

/* ------------------------------------------------- who asks is moved himself */

enum { STUCK_MS = 3000, PAUSE_MS = 500, STUCK_AT_MOST_MS = 40000 };

static pid_t stuck;

/* Nobody takes it out of that. */
static void wait_for_nothing(void)
{
	struct epoll_event event;

	epoll_wait(DO(epoll_create1(0)), &event, 1, -1);
	_exit(1);
}

static void ask_for_the_stuck(void)
{
	struct radium_move result;
	int error = move_to(DO(move_open()), stuck, 2, 0, STUCK_MS * slower(), &result);

	_exit(error == -ETIMEDOUT && result.reason == RADIUM_R_PENDING ? 0 : 1);
}

/* The call is made again wherever its caller is, and its time goes on. */
static void moved_while_it_asks(void)
{
	uint64_t end = now_ns() + STUCK_AT_MOST_MS * 1000000ull * slower();
	unsigned int moves = 0;
	int device, status;
	pid_t asker;

	if (!moving())
		return;
	device = DO(move_open());
	stuck = child_with(wait_for_nothing);
	while (!sleeps_in(stuck, SYS_epoll_wait))
		sleep_ms(1);
	asker = child_with(ask_for_the_stuck);
	while (!sleeps_in(asker, SYS_ioctl))
		sleep_ms(1);
	while (!DO(waitpid(asker, &status, WNOHANG))) {
		struct radium_move result;

		if (now_ns() > end)
			fail(__FILE__, __LINE__, "it has been moved %u times, and asks still", moves);
		if (!move_to(device, asker, 2 + moves % 2, 0, TIMEOUT_MS, &result))
			moves++;
		sleep_ms(PAUSE_MS * slower());
	}
	note("moved %u times while it asked", moves);
	EQUAL(status, 0);
	CHECK(moves);
	DO(kill(stuck, SIGKILL));
	ends_with(stuck, SIGKILL);
}

/* --------------------------------------------------------- nobody waits for it */

enum { NOT_WAITED_FOR = 8, ASLEEP_MS = 100 };

static void read_for_ever(void)
{
	char byte;

	while (read(returned[0], &byte, 1) == 1)
		;
	_exit(1);
}

/* It has come where it was wanted, and sleeps there, for a while already. */
static void falls_asleep(int device, pid_t pid, bool away)
{
	uint64_t end = now_ns() + TIMEOUT_MS * 1000000ull;

	for (;;) {
		struct radium_thread_info info;
		/* Of one that has nothing elsewhere nothing is known. */
		bool is = move_info(device, pid, &info) && info.state == RADIUM_THREAD_AWAY;

		if (is == away && sleeps_in(pid, SYS_read))
			break;
		if (now_ns() > end)
			fail(__FILE__, __LINE__, "it has not gone, or not come");
		sleep_ms(1);
	}
	sleep_ms(ASLEEP_MS * slower());
}

/* A thread that sleeps in a call that it may be taken out of goes, and comes, without anybody waiting. */
static void asleep_and_not_waited_for(void)
{
	int device;
	pid_t pid;

	if (!moving())
		return;
	device = DO(move_open());
	DO(pipe(returned));
	pid = child_with(read_for_ever);
	falls_asleep(device, pid, false);
	for (unsigned int round = 0; round < NOT_WAITED_FOR; round++) {
		const unsigned int all = round % 2 ? RADIUM_MOVE_ALL_THREADS : 0;
		struct radium_move back = { .size = sizeof(back), .flags = RADIUM_MOVE_NO_WAIT,
					    .pid = pid, .tid = pid };

		EQUAL(move_to(device, pid, 2, RADIUM_MOVE_NO_WAIT | all, 0, NULL), 0);
		falls_asleep(device, pid, true);
		DO(ioctl(device, RADIUM_IOC_RECALL, &back));
		falls_asleep(device, pid, false);
	}
	DO(kill(pid, SIGKILL));
	ends_with(pid, SIGKILL);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "each_gets_its_own_answer", each_gets_its_own_answer, 90 },
		{ "recall_against_move", recall_against_move, 90 },
		{ "called_home_in_a_handler", called_home_in_a_handler, 120 },
		{ "asked_twice_in_a_call", asked_twice_in_a_call, 120 },
		{ "moved_while_it_asks", moved_while_it_asks, 120 },
		{ "asleep_and_not_waited_for", asleep_and_not_waited_for, 120 },
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

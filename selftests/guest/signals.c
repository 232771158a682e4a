// SPDX-License-Identifier: GPL-2.0
/* Signals that reach a thread while it is away, and what their handlers see. */
#include "harness.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

static volatile sig_atomic_t count;
static volatile siginfo_t last;
static volatile uintptr_t handler_stack, handler_ip, first_ip;
static int tell = -1;		/* where the handler says that it was called */

static void handler(int number, siginfo_t *info, void *context)
{
	char local;

	(void)number;
	last = *info;
	handler_stack = (uintptr_t)&local;
	handler_ip = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	if (!count)
		first_ip = handler_ip;
	count++;
	if (tell >= 0 && write(tell, "", 1) != 1)
		abort();
}

static void catch(int number, int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

	DO(sigaction(number, &action, NULL));
	count = 0;
}

static void handler_while_computing(void)
{
	struct itimerval every = { { 0, 20000 }, { 0, 20000 } }, off = { 0 };

	catch(SIGALRM, 0);
	away();
	DO(setitimer(ITIMER_REAL, &every, NULL));
	/* Each signal brings the thread home and lets it go out again: give it time. */
	for (int i = 0; i < 200 && count < 3; i++)
		compute_checked(300);
	DO(setitimer(ITIMER_REAL, &off, NULL));
	CHECK(count >= 3);
	EQUAL(last.si_code, SI_KERNEL);
}

/* Moves and handlers at the same time. */
static void handler_while_moving(void)
{
	struct itimerval every = { { 0, 7000 }, { 0, 7000 } }, off = { 0 };

	catch(SIGALRM, SA_RESTART);
	DO(setitimer(ITIMER_REAL, &every, NULL));
	during("a 10 h 5 a 1 h a 20 h 3 a h a 13 h 40 a 50 h 9 a 2");
	compute_checked(900);
	for (int i = 0; i < 600 && count < 5; i++)
		compute_checked(100);
	DO(setitimer(ITIMER_REAL, &off, NULL));
	CHECK(during_end() || !moving());
	CHECK(count >= 5);
}

static void sender_is_known(void)
{
	catch(SIGUSR1, 0);
	away();
	during("30 k 10");
	compute_checked(300);
	during_end();
	EQUAL(count, 1);
	EQUAL(last.si_pid, getppid());
	EQUAL(last.si_code, SI_USER);
}

static void queued_with_values(void)
{
	sigset_t set, old;

	catch(SIGRTMIN + 3, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 3);
	DO(sigprocmask(SIG_BLOCK, &set, &old));
	away();
	for (int i = 0; i < 5; i++)
		DO(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){ .sival_int = 70 + i }));
	EQUAL(count, 0);
	home();
	away();
	EQUAL(count, 0);
	DO(sigprocmask(SIG_SETMASK, &old, NULL));
	EQUAL(count, 5);
	EQUAL(last.si_value.sival_int, 74);
}

static void blocked_stays_pending(void)
{
	sigset_t set, old, pending;

	catch(SIGUSR1, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	DO(sigprocmask(SIG_BLOCK, &set, &old));
	DO(raise(SIGUSR1));
	away();
	compute_ms(50);
	EQUAL(count, 0);
	DO(sigpending(&pending));
	EQUAL(sigismember(&pending, SIGUSR1), 1);
	DO(sigprocmask(SIG_SETMASK, NULL, &pending));
	EQUAL(sigismember(&pending, SIGUSR1), 1);
	DO(sigprocmask(SIG_SETMASK, &old, NULL));
	EQUAL(count, 1);
}

static void alternate_stack(void)
{
	char *stack = map_pages(16, PROT_READ | PROT_WRITE);
	stack_t alternate = { .ss_sp = stack, .ss_size = 16 * page_size() }, now;

	DO(sigaltstack(&alternate, NULL));
	catch(SIGUSR1, SA_ONSTACK);
	away();
	DO(raise(SIGUSR1));
	EQUAL(count, 1);
	CHECK(handler_stack >= (uintptr_t)stack && handler_stack < (uintptr_t)stack + alternate.ss_size);
	DO(sigaltstack(NULL, &now));
	CHECK(now.ss_sp == stack && now.ss_flags == 0);
}

static int ends[2];

static void read_restarts(void)
{
	int told[2];
	pid_t writer;
	char byte = 0;

	DO(pipe(ends));
	DO(pipe(told));
	tell = told[1];
	catch(SIGUSR1, SA_RESTART);
	writer = DO(fork());
	if (!writer) {
		/* There is something to read only after the handler was called. */
		DO(read(told[0], &byte, 1));
		sleep_ms(300);
		_exit(write(ends[1], "x", 1) != 1);
	}
	away();
	during("200 k 10");
	EQUAL(read(ends[0], &byte, 1), 1);
	EQUAL(count, 1);
	EQUAL(byte, 'x');
	during_end();
	reap(writer);
}

static void read_is_interrupted(void)
{
	pid_t helper;
	char byte;

	DO(pipe(ends));
	catch(SIGUSR1, 0);
	away();
	helper = when_in(SYS_read, signal_parent, NULL);
	EQUAL(read(ends[0], &byte, 1), -1);
	EQUAL(errno, EINTR);
	EQUAL(count, 1);
	reap(helper);
}

/* read(), so that a handler can tell whether it came before the call or ended it. */
extern char before_read[], after_read[];

static __attribute__((noinline, noclone)) long plain_read(int file, void *buffer, size_t bytes)
{
	long ret;

	asm volatile(".globl before_read, after_read\n"
		     "before_read: syscall\n"
		     "after_read:"
		     : "=a"(ret) : "0"(SYS_read), "D"(file), "S"(buffer), "d"(bytes)
		     : "rcx", "r11", "memory");
	return ret;
}

/*
 * A call that is taken apart so that its thread can move is still being made: a
 * signal ends it, and does not come before it.
 */
static void read_is_interrupted_while_moving(void)
{
	enum { TRIES = 40, FIRST_MS = 10, LAST_MS = 60 };
	unsigned int early = 0, moves = 0;
	char byte;

	away();
	home();
	DO(pipe(ends));
	for (int i = 0; i < TRIES; i++) {
		struct itimerval off = { }, timer = {
			.it_interval.tv_usec = 900000,
			.it_value.tv_usec = (FIRST_MS + i * (LAST_MS - FIRST_MS) / TRIES) * 1000,
		};

		catch(SIGALRM, 0);
		during("10 a 8 h");
		DO(setitimer(ITIMER_REAL, &timer, NULL));
		EQUAL(plain_read(ends[0], &byte, 1), -EINTR);
		DO(setitimer(ITIMER_REAL, &off, NULL));
		EQUAL(handler_ip, (uintptr_t)after_read);
		/* On a slow machine the first may really have come before, not at the call itself. */
		early += count > 1 && first_ip == (uintptr_t)before_read;
		moves += during_end();
	}
	CHECK(moves >= TRIES / 4 || !moving());
	if (early > TRIES / 20)
		fail(__FILE__, __LINE__, "%u of %d calls made again after a signal", early, TRIES);
}

static void sleep_is_interrupted(void)
{
	struct timespec time = { 60, 0 }, rest = { 0 };
	pid_t helper;

	catch(SIGUSR1, SA_RESTART);
	away();
	helper = when_in(SYS_clock_nanosleep, signal_parent, NULL);
	EQUAL(nanosleep(&time, &rest), -1);
	EQUAL(errno, EINTR);
	CHECK(rest.tv_sec >= 15 && rest.tv_sec < 60);
	reap(helper);
}

static void sigsuspend_wakes(void)
{
	sigset_t set, old;

	catch(SIGUSR1, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	DO(sigprocmask(SIG_BLOCK, &set, &old));
	away();
	during("100 H 50 A 50 k 10");
	EQUAL(sigsuspend(&old), -1);
	EQUAL(errno, EINTR);
	EQUAL(count, 1);
	during_end();
}

/*
 * What the mask of ppoll() and pselect() keeps out does not end them. A move may let
 * the handler in, as SIGSTOP and SIGCONT do: the call goes on afterwards.
 */
static void mask_holds(bool is_select, bool begins_away)
{
	struct timespec time = { 3, 0 };
	uint64_t start, end;
	sigset_t mask;
	int result;

	catch(SIGUSR1, 0);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	if (begins_away)
		away();
	else
		home();
	/* The signal, which is blocked then; after that the moves. */
	during("200 k 10 50 %s", begins_away ? "h 50 a 50 h" : "a 50 h 50 a");
	start = now_ns();
	result = is_select ? pselect(0, NULL, NULL, NULL, &time, &mask) :
			     ppoll(NULL, 0, &time, &mask);
	end = now_ns();
	EQUAL(result, 0);
	EQUAL(count, 1);
	CHECK(end - start >= 3000000000 - NODES_APART_NS);
	CHECK(during_end() || !moving());
	EQUAL(count, 1);
}

static void ppoll_mask_holds_while_moving(void)
{
	away();		/* the first move takes long: not while it waits */
	mask_holds(false, false);
	mask_holds(false, true);
}

static void pselect_mask_holds_while_moving(void)
{
	away();
	mask_holds(true, false);
	mask_holds(true, true);
}

static void alarm_ends_pause(void)
{
	catch(SIGALRM, 0);
	away();
	alarm(5);	/* not before it pauses */
	EQUAL(pause(), -1);
	EQUAL(errno, EINTR);
	EQUAL(count, 1);
}

static sigjmp_buf jump;

static void jump_out(int number)
{
	(void)number;
	siglongjmp(jump, 1);
}

static void jump_from_handler(void)
{
	struct itimerval once = { { 0 }, { 0, 30000 } };

	signal(SIGALRM, jump_out);
	away();
	for (volatile int i = 0; i < 5; i++) {
		if (!sigsetjmp(jump, 1)) {
			DO(setitimer(ITIMER_REAL, &once, NULL));
			for (;;)
				compute_checked(1000);
		}
	}
}

static void nested(int number)
{
	count++;
	if (count < 4)
		raise(number);
	compute_ms(2);
}

static void nested_handlers(void)
{
	struct sigaction action = { .sa_handler = nested, .sa_flags = SA_NODEFER };

	DO(sigaction(SIGUSR2, &action, NULL));
	away();
	raise(SIGUSR2);
	EQUAL(count, 4);
}

static void timer_signals(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN,
				  .sigev_value.sival_int = 5 };
	struct itimerspec every = { { 0, 20000000 }, { 0, 20000000 } };
	timer_t timer;

	catch(SIGRTMIN, 0);
	DO(timer_create(CLOCK_MONOTONIC, &event, &timer));
	away();
	DO(timer_settime(timer, 0, &every, NULL));
	compute_checked(400);
	for (int i = 0; i < 600 && count < 2; i++)
		compute_checked(100);
	DO(timer_delete(timer));
	CHECK(count >= 2);
	EQUAL(last.si_code, SI_TIMER);
	EQUAL(last.si_value.sival_int, 5);
}

static void child_signal(void)
{
	pid_t child;

	catch(SIGCHLD, SA_RESTART);
	child = DO(fork());
	if (!child) {
		sleep_ms(200);
		_exit(6);
	}
	away();
	compute_checked(600);
	for (int i = 0; i < 600 && !count; i++)
		compute_checked(100);
	EQUAL(count, 1);
	EQUAL(last.si_pid, child);
	EQUAL(last.si_status, 6);
	EQUAL(last.si_code, CLD_EXITED);
}

static void broken_pipe(void)
{
	DO(pipe(ends));
	close(ends[0]);
	catch(SIGPIPE, 0);
	away();
	EQUAL(write(ends[1], "x", 1), -1);
	EQUAL(errno, EPIPE);
	EQUAL(count, 1);
}

static void handler_changes_registers(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_R12] = 0x1234;
}

/* What a handler writes into the context is what the program goes on with. */
static void context_is_live(void)
{
	struct sigaction action = { .sa_sigaction = handler_changes_registers,
				    .sa_flags = SA_SIGINFO };
	uint64_t value = 1;
	long pid = getpid();

	DO(sigaction(SIGUSR1, &action, NULL));
	away();
	asm volatile("mov %[one], %%r12\n\t mov $62, %%eax\n\t mov %[pid], %%rdi\n\t"
		     "mov $10, %%esi\n\t syscall\n\t mov %%r12, %[value]"
		     : [value] "=r"(value) : [one] "i"(1), [pid] "r"(pid)
		     : "rax", "rcx", "rdi", "rsi", "r11", "r12", "memory");
	EQUAL(value, 0x1234);
}

/*
 * A trap is taken once, wherever the thread is when it comes to it: not lost when it is
 * asked home in the very instruction. Moved as fast as can be, it has little more to do
 * away than to make one trap.
 */
static void traps_while_moving(void)
{
	static const char steps[] = "a h a h a 1 h a h a 2 h a h a h 1 a h a h a h 3 a h ";
	uint64_t end;
	int traps = 0;

	catch(SIGTRAP, 0);
	away();
	for (int round = 0; round < 4; round++) {
		during("%s%s%s%s", steps, steps, steps, steps);
		end = now_ns() + 1500000000;
		do {
			asm volatile("int3" : : : "memory");
			EQUAL(count, ++traps);
		} while (now_ns() < end);
		CHECK(during_end() || !moving());
	}
	note("%d traps", traps);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(handler_while_computing), CASE(handler_while_moving), CASE(sender_is_known),
		CASE(queued_with_values), CASE(blocked_stays_pending), CASE(alternate_stack),
		CASE(read_restarts), CASE(read_is_interrupted), CASE(read_is_interrupted_while_moving),
		CASE(sleep_is_interrupted),
		CASE(sigsuspend_wakes), CASE(ppoll_mask_holds_while_moving),
		CASE(pselect_mask_holds_while_moving), CASE(alarm_ends_pause), CASE(jump_from_handler),
		CASE(nested_handlers), CASE(timer_signals), CASE(child_signal), CASE(broken_pipe),
		CASE(context_is_live),
		{ "traps_while_moving", traps_while_moving, 100 },
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

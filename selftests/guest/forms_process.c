// SPDX-License-Identifier: GPL-2.0
/* Calls about processes that few programs make: who watches, compares, traces, executes. */
#include "caught.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/kcmp.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#define RW (PROT_READ | PROT_WRITE)

static void keys(void)
{
	char text[16] = "";
	int ring, key;

	away();
	ring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
	if (ring < 0)
		skip("keyctl: %s", strerror(errno));
	key = DO(syscall(SYS_add_key, "user", "radium", "secret", 6, KEY_SPEC_SESSION_KEYRING));
	EQUAL(syscall(SYS_request_key, "user", "radium", NULL, 0), key);
	EQUAL(syscall(SYS_request_key, "user", "another", NULL, 0), -1);
	EQUAL(errno, ENOKEY);
	home();
	EQUAL(syscall(SYS_keyctl, KEYCTL_READ, key, text, sizeof(text)), 6);
	CHECK(!memcmp(text, "secret", 6));
	away();
	DO(syscall(SYS_keyctl, KEYCTL_REVOKE, key));
	EQUAL(syscall(SYS_keyctl, KEYCTL_READ, key, text, sizeof(text)), -1);
	EQUAL(errno, EKEYREVOKED);
}

static void maps_of_bpf(void)
{
	union bpf_attr attributes = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4,
				      .value_size = 8, .max_entries = 4 };
	uint64_t value = 0x1234, seen = 0;
	uint32_t key = 3;
	int map;

	away();
	map = syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes));
	if (map < 0)
		skip("bpf: %s", strerror(errno));
	memset(&attributes, 0, sizeof(attributes));
	attributes.map_fd = map;
	attributes.key = (uintptr_t)&key;
	attributes.value = (uintptr_t)&value;
	DO(syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attributes, sizeof(attributes)));
	attributes.value = (uintptr_t)&seen;
	attributes.flags = 0;
	DO(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attributes, sizeof(attributes)));
	EQUAL(seen, 0x1234);
	key = 4;
	EQUAL(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attributes, sizeof(attributes)), -1);
	EQUAL(errno, ENOENT);
}

/* Of its own calls and page faults; what it computes away is not counted. */
static void performance_counter(void)
{
	struct perf_event_attr event = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(event),
					 .config = PERF_COUNT_SW_TASK_CLOCK, .disabled = 1 };
	const struct perf_event_mmap_page *page;
	uint64_t first, second;
	int fd;

	away();
	fd = syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
	if (fd < 0)
		skip("perf_event_open: %s", strerror(errno));
	DO(ioctl(fd, PERF_EVENT_IOC_ENABLE, 0));
	page = DO(mmap(NULL, 2 * 4096, RW, MAP_SHARED, fd, 0));
	EQUAL(page->data_size, 4096);
	home();
	compute_ms(20);
	EQUAL(read(fd, &first, 8), 8);
	compute_ms(20);
	EQUAL(read(fd, &second, 8), 8);
	CHECK(first > 0 && second > first);
	away();
	DO(ioctl(fd, PERF_EVENT_IOC_DISABLE, 0));
	EQUAL(read(fd, &first, 8), 8);
	EQUAL(read(fd, &second, 8), 8);
	EQUAL(first, second);
}

static void compared_processes(void)
{
	int file, copy, other;
	pid_t child;

	file = DO(open("/dev/null", O_RDONLY));
	away();
	copy = DO(dup(file));
	other = DO(open("/dev/null", O_RDONLY));
	EQUAL(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, file, copy), 0);
	CHECK(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, file, other) > 0);
	child = DO(fork());
	if (!child)
		for (;;)
			pause();
	away();
	EQUAL(syscall(SYS_kcmp, getpid(), child, KCMP_FILE, file, file), 0);
	CHECK(syscall(SYS_kcmp, getpid(), child, KCMP_VM, 0, 0) > 0);
	DO(kill(child, SIGKILL));
}

static void signals_to_a_thread(void)
{
	siginfo_t info = { .si_signo = SIGUSR2, .si_code = SI_QUEUE };

	handle(SIGUSR1);
	handle(SIGUSR2);
	away();
	DO(syscall(SYS_tkill, gettid(), SIGUSR1));
	EQUAL(caught, SIGUSR1);
	EQUAL(caught_info.si_code, SI_TKILL);
	away();
	info.si_value.sival_int = 99;
	info.si_pid = getpid();
	DO(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR2, &info));
	EQUAL(caught, SIGUSR2);
	EQUAL(caught_info.si_value.sival_int, 99);
	EQUAL(syscall(SYS_tgkill, getpid() + 1, gettid(), SIGUSR1), -1);
	EQUAL(errno, ESRCH);
}

/* Who traces is away, and writes into the other's memory. */
static void tracer_is_away(void)
{
	char *memory = map_pages(2, RW), text[] = "written";
	struct iovec here = { text, 7 }, there = { memory + 4093, 7 };
	struct user_regs_struct registers;
	int status, ends[2];
	char path[40];
	pid_t child;

	DO(pipe(ends));
	child = DO(fork());
	if (!child) {
		char byte;

		if (read(ends[0], &byte, 1) != 1)
			_exit(1);
		_exit(memcmp(memory + 4093, "written", 7) ? 2 : 42);
	}
	/* It is in its read(). */
	snprintf(path, sizeof(path), "/proc/%d/syscall", child);
	for (int i = 0; i < 3000 && strncmp(read_text(path), "0 ", 2); i++)
		sleep_ms(10);
	away();
	EQUAL(process_vm_writev(child, &here, 1, &there, 1, 0), 7);
	DO(ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXIT));
	DO(ptrace(PTRACE_INTERRUPT, child, 0, 0));
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(status >> 16, PTRACE_EVENT_STOP);
	away();
	DO(ptrace(PTRACE_GETREGS, child, 0, &registers));
	EQUAL(registers.orig_rax, SYS_read);
	EQUAL(ptrace(PTRACE_PEEKDATA, child, memory, 0), 0);
	DO(ptrace(PTRACE_SYSCALL, child, 0, 0));
	EQUAL(write(ends[1], "x", 1), 1);
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(WSTOPSIG(status), SIGTRAP | 0x80);
	DO(ptrace(PTRACE_CONT, child, 0, 0));
	EQUAL(waitpid(child, &status, 0), child);
	if (status >> 8 != (SIGTRAP | PTRACE_EVENT_EXIT << 8)) {
		EQUAL(WSTOPSIG(status), SIGTRAP | 0x80);
		DO(ptrace(PTRACE_CONT, child, 0, 0));
		EQUAL(waitpid(child, &status, 0), child);
	}
	EQUAL(status >> 8, SIGTRAP | PTRACE_EVENT_EXIT << 8);
	DO(ptrace(PTRACE_CONT, child, 0, 0));
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(WEXITSTATUS(status), 42);
}

static void program_by_descriptor(void)
{
	char *const arguments[] = { "sh", "-c", "exit 24", NULL };
	char *const none[] = { NULL };
	int file, status;
	pid_t child;

	file = DO(open("/bin/sh", O_PATH | O_CLOEXEC));
	child = DO(fork());
	if (!child) {
		away();
		syscall(SYS_execveat, file, "", arguments, none, AT_EMPTY_PATH);
		_exit(1);
	}
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(WEXITSTATUS(status), 24);
	away();
	EQUAL(syscall(SYS_execveat, file, "", arguments, none, 0), -1);
	EQUAL(errno, ENOENT);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(keys), CASE(maps_of_bpf), CASE(performance_counter), CASE(compared_processes),
		CASE(signals_to_a_thread), CASE(tracer_is_away), CASE(program_by_descriptor),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

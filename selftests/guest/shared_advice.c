// SPDX-License-Identifier: GPL-2.0
/* Policies and advice for memory: given away, they hold at home, and are still there later. */
#include "harness.h"
#include "fault.h"

#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define RW (PROT_READ | PROT_WRITE)

enum { PAGES = 8, BYTES = PAGES * 4096 };

/* Newer than the C library's header. */
enum { PREFER_MANY = 5, ADVISE_POPULATE_READ = 22, ADVISE_POPULATE_WRITE = 23,
       ADVISE_DONTNEED_LOCKED = 24 };

/* A mapping that is not joined with another. */
static char *lonely_pages(size_t pages)
{
	char *memory = (char *)map_pages(pages + 2, PROT_NONE) + 4096;

	DO(mprotect(memory, pages * 4096, RW));
	return memory;
}

/* What a file of /proc/self says of the mapping that begins there, from this word on; or "". */
static const char *said_of(const char *file, const void *memory, const char *word, const char *end)
{
	static char text[1 << 20], found[400];
	char start[30], *line, *stop, *at;
	size_t got = 0, more;
	FILE *stream = fopen(file, "r");

	if (!stream)
		skip("%s: %s", file, strerror(errno));
	while ((more = fread(text + got, 1, sizeof(text) - 1 - got, stream)) > 0)
		got += more;
	text[got] = 0;
	fclose(stream);
	snprintf(start, sizeof(start), "\n%lx", (unsigned long)memory);
	line = strstr(text, start);
	if (!line)
		return "";
	stop = strstr(line + 1, end);
	if (stop)
		*stop = 0;
	at = strstr(line, word);
	snprintf(found, sizeof(found), "%.390s", at ? at : "");
	return found;
}

/* --------------------------------------------------------------- policies */

static void policy_is(int mode, unsigned long nodes)
{
	unsigned long seen = 0;
	int is = -1;

	DO(syscall(SYS_get_mempolicy, &is, &seen, 8 * sizeof(seen), NULL, 0));
	EQUAL(is, mode);
	EQUAL(seen, nodes);
}

/* Of the thread: they are its child's, too, and end with an executed program's own. */
static void policies_of_a_thread(void)
{
	static const int modes[] = { MPOL_INTERLEAVE, MPOL_PREFERRED, MPOL_BIND, PREFER_MANY };
	unsigned long nodes = 1;
	pid_t child;

	away();
	if (syscall(SYS_set_mempolicy, MPOL_INTERLEAVE, &nodes, 8 * sizeof(nodes)))
		skip("set_mempolicy: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		if (syscall(SYS_set_mempolicy, modes[i], &nodes, 8 * sizeof(nodes))) {
			EQUAL(modes[i], PREFER_MANY);
			EQUAL(errno, EINVAL);
			continue;
		}
		policy_is(modes[i], 1);
		home();
		policy_is(modes[i], 1);
		away();
		policy_is(modes[i], 1);
		child = DO(fork());
		if (!child) {
			policy_is(modes[i], 1);
			away();
			policy_is(modes[i], 1);
			_exit(0);
		}
		reap(child);
		away();
	}
	EQUAL(syscall(SYS_set_mempolicy, MPOL_BIND, NULL, 0), -1);
	EQUAL(errno, EINVAL);
	DO(syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0));
	policy_is(MPOL_DEFAULT, 0);
}

/* Of a mapping: kept when it is split, and when its pages have been elsewhere. */
static void policies_of_mappings(void)
{
	static const char maps[] = "/proc/self/numa_maps";
	char *memory = lonely_pages(PAGES);
	unsigned long nodes = 1;

	fill(memory, BYTES, 1);
	away();
	if (syscall(SYS_mbind, memory, BYTES, MPOL_BIND, &nodes, 8 * sizeof(nodes), 0))
		skip("mbind: %s", strerror(errno));
	CHECK(!strncmp(said_of(maps, memory, "bind:0", "\n"), "bind:0", 6));
	DO(syscall(SYS_mbind, memory + 4 * 4096, BYTES / 2, MPOL_INTERLEAVE, &nodes,
		   8 * sizeof(nodes), 0));
	EQUAL(differs(memory, BYTES, 1), -1);
	fill(memory, BYTES, 2);
	CHECK(!strncmp(said_of(maps, memory, "bind:0", "\n"), "bind:0", 6));
	CHECK(!strncmp(said_of(maps, memory + 4 * 4096, "interleave:0", "\n"), "interleave:0", 12));
	home();
	CHECK(!strncmp(said_of(maps, memory, "bind:0", "\n"), "bind:0", 6));
	CHECK(!strncmp(said_of(maps, memory + 4 * 4096, "interleave:0", "\n"), "interleave:0", 12));
	EQUAL(differs(memory, BYTES, 2), -1);
	away();
	if (syscall(SYS_set_mempolicy_home_node, memory, BYTES / 2, 0, 0))
		EQUAL(errno, ENOSYS);
	/* Only where there is a policy of a kind that knows such a node. */
	EQUAL(syscall(SYS_set_mempolicy_home_node, memory + BYTES / 2, 4096, 0, 0), -1);
	CHECK(errno == EOPNOTSUPP || errno == ENOENT || errno == ENOSYS);
	EQUAL(syscall(SYS_set_mempolicy_home_node, memory, BYTES / 2, 1000, 0), -1);
	CHECK(errno == EINVAL || errno == ENOSYS);
	EQUAL(differs(memory, BYTES, 2), -1);
}

/* ----------------------------------------------------------------- advice */

static bool flagged(const void *memory, const char *flag)
{
	char word[8];

	snprintf(word, sizeof(word), " %s ", flag);
	return strstr(said_of("/proc/self/smaps", memory, "VmFlags:", "\n7"), word) != NULL;
}

static const struct {
	int advice, against;
	const char *flag;
} advices[] = {
	{ MADV_DONTDUMP, MADV_DODUMP, "dd" }, { MADV_DONTFORK, MADV_DOFORK, "dc" },
	{ MADV_WIPEONFORK, MADV_KEEPONFORK, "wf" }, { MADV_HUGEPAGE, MADV_NOHUGEPAGE, "hg" },
	{ MADV_MERGEABLE, MADV_UNMERGEABLE, "mg" }, { MADV_SEQUENTIAL, MADV_NORMAL, "sr" },
	{ MADV_RANDOM, MADV_NORMAL, "rr" },
};

/* What it is to the mapping, which shows in smaps, at home and away, until it is taken back. */
static void advice_is_kept(void)
{
	char *memory = lonely_pages(PAGES);

	fill(memory, BYTES, 3);
	for (size_t i = 0; i < sizeof(advices) / sizeof(*advices); i++) {
		away();
		if (madvise(memory, BYTES, advices[i].advice)) {
			EQUAL(errno, EINVAL);	/* not built in */
			continue;
		}
		CHECK(flagged(memory, advices[i].flag));
		EQUAL(differs(memory, BYTES, 3 + i), -1);
		home();
		CHECK(flagged(memory, advices[i].flag));
		fill(memory, BYTES, 4 + i);
		away();
		DO(madvise(memory, BYTES, advices[i].against));
		CHECK(!flagged(memory, advices[i].flag));
		EQUAL(differs(memory, BYTES, 4 + i), -1);
	}
}

/* To have pages at once, to lose those that are locked; or what is wrong with that. */
static void populated_and_dropped(void)
{
	char *memory = lonely_pages(PAGES);
	unsigned char resident[PAGES];

	away();
	if (madvise(memory, BYTES, ADVISE_POPULATE_READ))
		skip("MADV_POPULATE_READ: %s", strerror(errno));
	DO(madvise(memory, BYTES, ADVISE_POPULATE_WRITE));
	DO(mincore(memory, BYTES, resident));
	for (int i = 0; i < PAGES; i++) {
		EQUAL(resident[i] & 1, 1);
		EQUAL(memory[i * 4096 + 9], 0);
	}
	fill(memory, BYTES, 1);
	DO(mprotect(memory + 4096, 4096, PROT_NONE));
	EQUAL(madvise(memory, BYTES, ADVISE_POPULATE_READ), -1);
	EQUAL(errno, EINVAL);
	DO(mprotect(memory + 4096, 4096, RW));
	EQUAL(differs(memory, BYTES, 1), -1);
	DO(mlock(memory, BYTES));
	EQUAL(madvise(memory, 4096, MADV_DONTNEED), -1);
	EQUAL(errno, EINVAL);
	if (madvise(memory, 4096, ADVISE_DONTNEED_LOCKED))
		skip("MADV_DONTNEED_LOCKED: %s", strerror(errno));
	for (int i = 0; i < 4096; i++)
		EQUAL(memory[i], 0);
	CHECK(flagged(memory, "lo"));
	home();
	EQUAL(memory[0], 0);
	away();
	fill(memory, BYTES, 2);
	home();
	EQUAL(differs(memory, BYTES, 2), -1);
}

/* As for programs of old: what may be read may be executed. */
static void readable_is_executable(void)
{
	static const unsigned char code[] = { 0x8d, 0x47, 0x01, 0xc3 };	/* lea 1(%rdi),%eax; ret */
	unsigned char *before = map_pages(1, RW), *page;
	int status;
	pid_t child;

	memcpy(before, code, sizeof(code));
	away();
	EQUAL(personality(READ_IMPLIES_EXEC), 0);
	page = map_pages(1, RW);
	memcpy(page, code, sizeof(code));
	for (int round = 1; round < 4; round++) {
		page[2] = round;
		EQUAL(((int (*)(int))page)(100), 100 + round);
		CHECK(!strncmp(said_of("/proc/self/maps", page, " rwx", "\n"), " rwxp ", 6));
		if (round == 2)
			home();
		else
			away();
	}
	EQUAL(personality(0), READ_IMPLIES_EXEC);
	away();
	/* What was mapped before may not. */
	child = DO(fork());
	if (!child) {
		away();
		_exit(((int (*)(int))before)(100));
	}
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(status & 0x7f, SIGSEGV);
}

/* ------------------------------------------------- what another hears of it */

static void event_is(int fd, struct uffd_msg *message, int event)
{
	EQUAL(read(fd, message, sizeof(*message)), sizeof(*message));
	EQUAL(message->event, event);
}

/* Who fills the pages of a process is told when it drops, moves and unmaps them. */
static void changes_are_told(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_EVENT_REMOVE |
				  UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_UNMAP };
	char *memory = lonely_pages(4), *place = lonely_pages(4), *page = map_pages(1, RW);
	struct uffdio_register range = { .range = { (uintptr_t)memory, 4 * 4096 },
					 .mode = UFFDIO_REGISTER_MODE_MISSING };
	pid_t server;
	int fd;

	memset(page, 'u', 4096);
	away();
	fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		skip("userfaultfd: %s", strerror(errno));
	memset(memory, 'm', 4 * 4096);
	server = DO(fork());
	if (!server) {
		struct uffdio_copy copy = { .src = (uintptr_t)page, .len = 4096 };
		struct uffd_msg told;

		event_is(fd, &told, UFFD_EVENT_REMOVE);
		EQUAL(told.arg.remove.start, (uintptr_t)memory + 4096);
		EQUAL(told.arg.remove.end, (uintptr_t)memory + 8192);
		event_is(fd, &told, UFFD_EVENT_PAGEFAULT);
		copy.dst = told.arg.pagefault.address & ~4095ul;
		EQUAL(copy.dst, (uintptr_t)memory + 4096);
		DO(ioctl(fd, UFFDIO_COPY, &copy));
		event_is(fd, &told, UFFD_EVENT_REMAP);
		EQUAL(told.arg.remap.from, (uintptr_t)memory);
		EQUAL(told.arg.remap.to, (uintptr_t)place);
		EQUAL(told.arg.remap.len, 4 * 4096);
		do	/* the old place, if this kernel tells of it */
			event_is(fd, &told, UFFD_EVENT_UNMAP);
		while (told.arg.remove.start == (uintptr_t)memory);
		EQUAL(told.arg.remove.start, (uintptr_t)place + 2 * 4096);
		_exit(0);
	}
	DO(ioctl(fd, UFFDIO_REGISTER, &range));
	away();
	DO(madvise(memory + 4096, 4096, MADV_DONTNEED));
	EQUAL(memory[4096 + 5], 'u');
	EQUAL(memory[5], 'm');
	away();
	/* Over what is there, which nobody has asked to hear of. */
	CHECK(DO(mremap(memory, 4 * 4096, 4 * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, place)) == place);
	EQUAL(place[5], 'm');
	EQUAL(place[4096 + 5], 'u');
	away();
	DO(munmap(place + 2 * 4096, 2 * 4096));
	EQUAL(faults_on(place + 2 * 4096, false), SEGV_MAPERR);
	reap(server);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(policies_of_a_thread), CASE(policies_of_mappings), CASE(advice_is_kept),
		CASE(populated_and_dropped), CASE(readable_is_executable), CASE(changes_are_told),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

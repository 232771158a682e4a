// SPDX-License-Identifier: GPL-2.0
/* Memory of a file whose content does not come, and what its process can do meanwhile. */
#include "crew.h"
#include "fuse.h"

#include <poll.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define RW (PROT_READ | PROT_WRITE)

enum { WATCHED_MS = 3000, LIMIT_MS = 20000, KILLED_MS = 2000 };

static volatile uint64_t *map_file(const struct fuse_mount *fuse)
{
	int file = DO(open(fuse->file, O_RDONLY));
	void *memory = DO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0));

	close(file);
	return memory;
}

static void await_read(const struct fuse_mount *fuse)
{
	struct pollfd asked = { .fd = fuse->asked, .events = POLLIN };
	char byte;

	EQUAL(poll(&asked, 1, LIMIT_MS * slower()), 1);
	EQUAL(read(fuse->asked, &byte, 1), 1);
}

/* ---- what the others do ---- */

enum { MAPS, FAULTS, DOING, PAGES = 16 };

static const char *const names[DOING] = { "mmap()", "faults" };

/* A byte for each time that it has been done; it ends when nobody reads that any more. */
static int done[DOING][2];

static volatile uint64_t *content;
static struct hand waiting, faulting;

static bool tell(int what)
{
	return write(done[what][1], "d", 1) == 1;
}

static void *wait_for_content(struct hand *hand)
{
	(void)hand;
	EQUAL(content[0], 1);
	return NULL;
}

static void *fault_and_tell(struct hand *hand)
{
	char *memory = map_pages(PAGES, RW);

	(void)hand;
	do {
		DO(madvise(memory, PAGES * 4096, MADV_DONTNEED));
		for (int i = 0; i < PAGES; i++)
			memory[i * 4096]++;
	} while (tell(FAULTS));
	EQUAL(memory[0], 1);
	return NULL;
}

static void map_and_tell(void)
{
	char *memory;

	do {
		memory = map_pages(1, RW);
		memory[0] = 'm';
		DO(munmap(memory, 4096));
	} while (tell(MAPS));
}

/* What of the two has not been done for too long while both were watched; NULL: neither. */
static const char *what_rests(void)
{
	uint64_t now = now_ns(), end = now + WATCHED_MS * 1000000ull * slower();
	uint64_t last[DOING] = { now, now };
	char bytes[4096];

	while (now < end) {
		struct pollfd ready[DOING] = { { done[MAPS][0], POLLIN, 0 },
					       { done[FAULTS][0], POLLIN, 0 } };

		poll(ready, DOING, 100);
		now = now_ns();
		for (int i = 0; i < DOING; i++) {
			if (ready[i].revents && read(done[i][0], bytes, sizeof(bytes)) > 0)
				last[i] = now;
			if (now - last[i] > LIMIT_MS * 1000000ull * slower())
				return names[i];
			/* As long as a gap lasts it is not known how long that is. */
			if (now - last[i] > 1000000000)
				end = now + 100000000;
		}
	}
	return NULL;
}

/* Has a memory of its own, and has the server answer in any case. */
static pid_t watcher(struct fuse_mount *fuse)
{
	pid_t pid = DO(fork());
	const char *rests;

	if (pid)
		return pid;
	await_read(fuse);
	rests = what_rests();
	fuse_go_on(fuse);
	if (rests)
		fail(__FILE__, __LINE__, "no %s for %d s", rests, LIMIT_MS / 1000 * slower());
	_exit(0);
}

/*
 * One thread waits for a page of a file, away; one maps memory at home, one touches other pages,
 * away, and neither waits for the file.
 */
static void slow_file_keeps_no_lock(void)
{
	struct fuse_mount fuse;
	pid_t watching;
	int node;

	fuse_mount(&fuse, 1);
	content = map_file(&fuse);
	for (int i = 0; i < DOING; i++)
		DO(pipe(done[i]));
	watching = watcher(&fuse);
	for (int i = 0; i < DOING; i++)
		close(done[i][0]);
	away();
	node = where();
	home();
	crew_start(&waiting, 1, wait_for_content, NULL);
	crew_start(&faulting, 1, fault_and_tell, NULL);
	crew_place(&waiting, node);
	crew_place(&faulting, node);
	crew_go(&faulting, 1);
	crew_go(&waiting, 1);
	map_and_tell();
	crew_join(&waiting, 1);
	crew_join(&faulting, 1);
	reap(watching);
	DO(munmap((void *)content, 4096));
	fuse_unmount(&fuse);
}

/* ---- kill -9 ---- */

static bool ends_soon(pid_t pid)
{
	uint64_t end = now_ns() + KILLED_MS * 1000000ull * slower();
	int status;

	while (now_ns() < end) {
		if (DO(waitpid(pid, &status, WNOHANG)) == pid) {
			EQUAL(status, SIGKILL);
			return true;
		}
		sleep_ms(5);
	}
	return false;
}

/* The file system is nobody's any more: the process' memory, in which it had a file, is gone. */
static bool is_unmounted_soon(void)
{
	uint64_t end = now_ns() + KILLED_MS * 1000000ull * slower();

	while (umount2("mnt", 0)) {
		EQUAL(errno, EBUSY);
		if (now_ns() > end)
			return false;
		sleep_ms(5);
	}
	return true;
}

/* Though its thread waits, away, for a page that does not come, nor does it later. */
static void slow_file_is_killed(void)
{
	struct fuse_mount fuse;
	bool ended, unmounted;
	pid_t pid;

	fuse_mount(&fuse, 1);
	pid = DO(fork());
	if (!pid) {
		content = map_file(&fuse);
		away();
		_exit(content[0] != 1);
	}
	await_read(&fuse);
	sleep_ms(100);
	DO(kill(pid, SIGKILL));
	ended = ends_soon(pid);
	unmounted = ended && is_unmounted_soon();
	if (!unmounted)
		fuse_go_on(&fuse);
	CHECK(ended);
	CHECK(unmounted);
	fuse_end(&fuse);
}

/*
 * The process' own pages over a file that has none there any more: they are read where the thread
 * is, though they are shared with a child and may not be written to yet.
 */
static void pages_over_a_hole(void)
{
	size_t bytes = 4 * 4096;
	int file = DO(memfd_create("hole", 0)), faults;
	char *memory;
	pid_t child;

	DO(ftruncate(file, bytes));
	memory = DO(mmap(NULL, bytes, RW, MAP_PRIVATE, file, 0));
	memset(memory, 7, bytes);
	child = DO(fork());
	if (!child)
		for (;;)
			pause();
	DO(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes));
	away();
	faults = returns("FAULT");
	for (size_t i = 0; i < bytes; i += 4096)
		EQUAL(memory[i], 7);
	EQUAL(returns("FAULT"), faults);
	DO(kill(child, SIGKILL));
	EQUAL(waitpid(child, NULL, 0), child);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(pages_over_a_hole), CASE(slow_file_keeps_no_lock), CASE(slow_file_is_killed),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

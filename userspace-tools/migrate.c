// SPDX-License-Identifier: GPL-2.0
/* radctl migrate and recall: one structure, two calls. */
#include "radctl.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
	PROGRESS_EVERY_MS = 250,
	PAGE_BYTES = 4096,
	DEFAULT_TIMEOUT_MS = 30000,	/* the module's */
};

struct progress {
	pthread_t thread;
	int stop;		/* eventfd, -1: no progress is shown */
	__s32 pid;
};

static uint64_t pages_moved(struct dev *dev, __s32 pid)
{
	size_t count;
	int error;
	uint64_t pages = 0;
	struct radium_process_info *list = process_list(dev, &count, &error);

	for (size_t i = 0; list && i < count; i++)
		if (list[i].pid == pid)
			pages = list[i].pages_sent + list[i].pages_received;
	free(list);
	return pages;
}

static double seconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

/* Shows how a long move goes on, through a descriptor of its own. */
static void *progress_show(void *argument)
{
	struct progress *progress = argument;
	struct pollfd stop = { .fd = progress->stop, .events = POLLIN };
	char bytes[32], rate[32];
	struct timespec start;
	struct dev dev;
	uint64_t first;
	bool shown = false;

	if (dev_connect(&dev))
		return NULL;
	clock_gettime(CLOCK_MONOTONIC, &start);
	first = pages_moved(&dev, progress->pid);
	while (!poll(&stop, 1, PROGRESS_EVERY_MS)) {
		uint64_t now = pages_moved(&dev, progress->pid);
		uint64_t pages = now > first ? now - first : 0;
		double seconds = seconds_since(&start);

		fprintf(stderr, "\r%d: %llu pages, %s, %s/s, %.1f s\033[K", progress->pid,
			(unsigned long long)pages,
			out_bytes(pages * PAGE_BYTES, bytes, sizeof(bytes)),
			out_bytes((uint64_t)((double)(pages * PAGE_BYTES) / seconds), rate,
				  sizeof(rate)), seconds);
		shown = true;
	}
	if (shown)
		fputs("\r\033[K", stderr);
	dev_close(&dev);
	return NULL;
}

static void progress_start(struct progress *progress, __s32 pid)
{
	progress->pid = proc_process(pid);
	progress->stop = -1;
	if (options.json || !isatty(STDOUT_FILENO) || !isatty(STDERR_FILENO))
		return;
	progress->stop = eventfd(0, EFD_CLOEXEC);
	if (progress->stop >= 0 &&
	    pthread_create(&progress->thread, NULL, progress_show, progress)) {
		close(progress->stop);
		progress->stop = -1;
	}
}

static void progress_end(struct progress *progress)
{
	if (progress->stop < 0)
		return;
	eventfd_write(progress->stop, 1);
	pthread_join(progress->thread, NULL);
	close(progress->stop);
}

static void summary(const struct radium_move *move, unsigned long request, uint32_t node)
{
	static const struct out_field fields[] = {
		OUT_FIELD(radium_move, pid, "pid", NULL, OUT_PLAIN),
		OUT_FIELD(radium_move, tid, "tid", NULL, OUT_PLAIN),
		OUT_FIELD(radium_move, node, "node", NULL, OUT_PLAIN),
		OUT_FIELD(radium_move, threads, "threads", NULL, OUT_PLAIN),
		OUT_FIELD(radium_move, pages, "pages", NULL, OUT_PLAIN),
		OUT_FIELD(radium_move, bytes, "bytes", NULL, OUT_BYTES),
		OUT_FIELD(radium_move, ns, "ns", NULL, OUT_NS),
		OUT_END
	};
	bool one = !(move->flags & RADIUM_MOVE_ALL_THREADS);
	struct radium_move said = *move;
	char pages[32] = "", bytes[32], time[32];

	said.node = node;
	said.tid = one && !move->tid ? move->pid : move->tid;
	if (options.json) {
		out_json(out_object(fields, &said));
		return;
	}
	if (!options.verbose && !isatty(STDOUT_FILENO))
		return;
	/* After a migration they follow, on demand. */
	if (request == RADIUM_IOC_RECALL)
		snprintf(pages, sizeof(pages), "%llu pages, ", (unsigned long long)move->pages);
	printf("%d: %u thread%s to node %u in %s, %s%s\n", move->pid, move->threads,
	       move->threads == 1 ? "" : "s", node, out_ns((double)move->ns, time, sizeof(time)),
	       pages, out_bytes(move->bytes, bytes, sizeof(bytes)));
}

/*
 * A signal that has not ended us has ended the wait: Ctrl-Z, after which we have been let go on, or
 * a debugger. The wish is there, and what is left of the time is waited.
 */
static int move_wait(struct dev *dev, unsigned long request, struct radium_move *move)
{
	uint32_t timeout_ms = move->timeout_ms ? move->timeout_ms : DEFAULT_TIMEOUT_MS;
	uint64_t start = stop_clock_ms(), passed = 0;
	struct radium_move first = *move;
	uint64_t pages = 0, bytes = 0;
	uint32_t threads = 0;
	bool again = false;
	int error;

	while ((error = -device_ioctl(dev->fd, request, move)) == EINTR) {
		/* A migration counts who is there already, a recall who has come since it began. */
		if (request == RADIUM_IOC_RECALL) {
			threads += move->threads;
			pages += move->pages;
			bytes += move->bytes;
		}
		passed = stop_clock_ms() - start;
		*move = first;
		move->timeout_ms = passed < timeout_ms ? timeout_ms - (uint32_t)passed : 1;
		again = true;
	}
	move->threads += threads;
	move->pages += pages;
	move->bytes += bytes;
	if (!again)
		return error;
	move->ns = (stop_clock_ms() - start) * 1000000;
	/* They have come home meanwhile. */
	return request == RADIUM_IOC_RECALL && move->reason == RADIUM_R_NOT_AWAY ? 0 : error;
}

static int move_failed(const char *subject, unsigned long request, const struct radium_move *move,
		       int error)
{
	const char *rest = move->flags & RADIUM_MOVE_ALL_PAGES ? "others or pages" : "another";
	char partly[96];

	if (request == RADIUM_IOC_RECALL && error == EHOSTDOWN && move->reason == RADIUM_R_NONE)
		return fail_text(subject, "node_lost", "a page is lost with the node that had it",
				 "the process ends: see the kernel log");
	snprintf(partly, sizeof(partly), "%s: %u thread%s moved, %s did not", subject,
		 move->threads, move->threads == 1 ? "" : "s", rest);
	return fail_move(move->threads ? partly : subject, move->reason, error, &move->threads);
}

/* Do it, show how it goes, say how it went. */
static int move_perform(struct dev *dev, const char *subject, unsigned long request,
			struct radium_move *move, uint32_t node)
{
	struct progress progress;
	int error;

	progress_start(&progress, move->pid);
	error = move_wait(dev, request, move);
	progress_end(&progress);
	if (error)
		return move_failed(subject, request, move, error);
	summary(move, request, node);
	return EXIT_DONE;
}

int cmd_migrate(const struct command *c, int argc, char **argv)
{
	enum { THREAD = 256, ALL_THREADS, TIMEOUT };
	static const struct option longs[] = {
		{ "thread", required_argument, NULL, THREAD },
		{ "all-threads", no_argument, NULL, ALL_THREADS },
		{ "timeout", required_argument, NULL, TIMEOUT },
		ARGS_COMMON
	};
	struct radium_move move = { .size = sizeof(move) };
	char subject[32];
	struct dev dev;
	int option, status;

	while ((option = args_next(c, argc, argv, ":jvh", longs)) != -1) {
		if (option == THREAD)
			move.tid = args_pid(c, "thread", optarg);
		else if (option == ALL_THREADS)
			move.flags |= RADIUM_MOVE_ALL_THREADS;
		else
			move.timeout_ms = args_milliseconds(c, "timeout", optarg);
	}
	args_done(c, argc, argv, 1, 2);
	if (move.tid && move.flags)
		args_fail(c, "--thread and --all-threads exclude each other");
	move.pid = args_pid(c, "PID", argv[optind]);
	if (argc - optind == 2)
		move.node = args_number(c, "node", argv[optind + 1], 1, RADIUM_NODE_MAX);

	snprintf(subject, sizeof(subject), "migrate %d", move.pid);
	status = dev_open(&dev, subject);
	if (status)
		return status;
	if (!move.node)
		status = node_choose_open(&dev, subject, &move.node);
	if (!status)
		status = move_perform(&dev, subject, RADIUM_IOC_MIGRATE, &move, move.node);
	dev_close(&dev);
	return status;
}

int cmd_recall(const struct command *c, int argc, char **argv)
{
	enum { ALL = 256, THREAD, TIMEOUT };
	static const struct option longs[] = {
		{ "all", no_argument, NULL, ALL },
		{ "thread", required_argument, NULL, THREAD },
		{ "timeout", required_argument, NULL, TIMEOUT },
		ARGS_COMMON
	};
	struct radium_move move = { .size = sizeof(move), .flags = RADIUM_MOVE_ALL_THREADS };
	char subject[32];
	struct dev dev;
	int option, status;

	while ((option = args_next(c, argc, argv, ":jvh", longs)) != -1) {
		if (option == ALL)
			move.flags |= RADIUM_MOVE_ALL_PAGES;
		else if (option == THREAD)
			move.tid = args_pid(c, "thread", optarg);
		else
			move.timeout_ms = args_milliseconds(c, "timeout", optarg);
	}
	args_done(c, argc, argv, 1, 1);
	if (move.tid && move.flags & RADIUM_MOVE_ALL_PAGES)
		args_fail(c, "--all and --thread exclude each other");
	if (move.tid)
		move.flags = 0;
	move.pid = args_pid(c, "PID", argv[optind]);

	snprintf(subject, sizeof(subject), "recall %d", move.pid);
	status = dev_open(&dev, subject);
	if (status)
		return status;
	status = move_perform(&dev, subject, RADIUM_IOC_RECALL, &move, dev.hello.node);
	dev_close(&dev);
	return status;
}

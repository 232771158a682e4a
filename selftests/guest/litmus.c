// SPDX-License-Identifier: GPL-2.0
/*
 * Litmus tests: no outcome that x86-TSO forbids, wherever the threads run.
 *
 *	litmus [-n NODE,NODE... [-m MEAN_MS]] [-r RUNS] [-d SECONDS] [-s SEED] [-t FACTOR]
 *	       [SHAPE...]
 *	litmus --list
 *	litmus --self-test
 *
 * Each thread makes its accesses for an array of instances between two barriers, so that
 * the threads race all along the array, and a page that travels serves many. The rounds
 * take turns: accesses plain, locked (of several kinds), or plain with futexes in between
 * and for barriers; an instance's variables in one page, or in different ones, with all
 * others there or with few. Every thread walks the array in the same order, with a
 * beginning, a pace, and a number of instances between the first and the second access of
 * each that are its own.
 *
 * No value is written twice: it contains the number of the round. What a read does not
 * have from its own round it has to have from the end of the last that wrote there.
 *
 * -d: fewer runs rather than longer, but some of each kind, and enough of a race. With -n
 * the threads are on these nodes, and move about with -m. Prints how often there was which
 * outcome. Status 1: a forbidden one, or too little of a race.
 */
#include "roam.h"
#include "shapes.h"
#include "tally.h"

#include <getopt.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { INSTANCES = 128, PAGE = 4096, WORDS = PAGE / 4, PAGES = 16 };

/* Threads that hardly overlap, on a busy host, go on for so many times as long at most. */
enum { PATIENCE = 4 };

/* In rounds with futexes one access in so many has a call before it. */
enum { CALL_EVERY = 32 };

enum layout { SAME_PAGE, DIFFERENT_PAGES, MANY_PAGES, LAYOUTS };

/* Kinds of access. In the locked ones no read is done before the write in front of it. */
enum style { MOV, XCHG, XADD, MFENCE, MOV_FUTEX, STYLES };

static const char *const layout_names[LAYOUTS] = { "same page", "different pages",
	"many pages" };

/* What the threads share; each in pages of its own. */
static uint32_t memory[PAGES * WORDS] __attribute__((aligned(PAGE)));
/* One for each thread: whoever waits leaves the others alone. */
static struct begin {
	uint32_t round, stop;
	uint64_t start_ns, fetch_ns;		/* fetch: what it takes to get a page */
} __attribute__((aligned(PAGE))) begin[SHAPE_THREADS];
static struct { uint32_t left; } end __attribute__((aligned(PAGE)));
/* The main thread looks at these again and again, and at what the reads gave in the end. */
static struct {
	uint32_t round, late;			/* had it not begun in time? */
	uint64_t fetch_ns;
} __attribute__((aligned(PAGE))) done[SHAPE_THREADS];
static struct {
	uint32_t value[SHAPE_OPS][INSTANCES];
} __attribute__((aligned(PAGE))) result[SHAPE_THREADS];
/* The main thread's own begins with a page of its own. */
static struct {
	uint32_t last[PAGES * WORDS];		/* value at the end of the last round */
	struct tally tally;
	unsigned int complaints;
} judge __attribute__((aligned(PAGE)));

/* Memory that somebody forgot to keep coherent: what x was in the round before. */
static uint32_t stale[PAGES * WORDS];

static struct {
	struct roam roam;
	unsigned int runs, seconds;
	bool broken;
} option = {
	.seconds = 1000000, .runs = TALLY_VARIANTS * LAYOUTS * INSTANCES,
	.roam = { .seed = 1, .limit_s = 60, .slow = 1 },
};

/* What a thread knows, on its own stack: it must not meet others where they do not race. */
struct runner {
	struct shape_op op[SHAPE_OPS];
	unsigned int number, ops;
	uint64_t seed, state;
	bool moved, broken;
};

/* How a thread does a round. */
struct walk {
	uint32_t round;
	enum style style;
	unsigned int stride, offset, skew, calls;
	uint64_t pace_ns, lag_ns;
};

static enum tally_variant variant_of(uint32_t round)
{
	return round % TALLY_VARIANTS;
}

static enum layout layout_of(uint32_t round)
{
	return round / TALLY_VARIANTS % LAYOUTS;
}

/* Where an instance has a variable. */
static unsigned int place_of(enum layout layout, unsigned int variable, unsigned int instance)
{
	switch (layout) {
	case SAME_PAGE:		/* one for all */
		return instance * 8 + variable * 2;
	case DIFFERENT_PAGES:	/* one for each variable */
		return (1 + variable) * WORDS + instance * 8;
	default:
		return (4 + variable * 4) * WORDS + instance * 32;
	}
}

static long futex(uint32_t *word, int operation, uint32_t value)
{
	return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

/* Time that passes in user mode. */
static void linger(unsigned int turns)
{
	while (turns--)
		__asm__ volatile ("" ::: "memory");
}

static uint32_t load(uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* The threads' waiting for each other, by futexes or by looking again and again. */
static struct begin *await_begin(struct runner *runner, uint32_t round)
{
	struct begin *mine = &begin[runner->number];

	while (load(&mine->round) != round) {
		if (variant_of(round) == TALLY_FUTEX) {
			futex(&mine->round, FUTEX_WAIT, round - 1);
		} else {
			linger(roam_random(&runner->state) % (runner->moved ? 300000 : 100));
			sched_yield();
		}
	}
	return mine;
}

static void tell_end(const struct runner *runner, uint32_t round)
{
	__atomic_store_n(&done[runner->number].round, round, __ATOMIC_RELEASE);
	if (variant_of(round) == TALLY_FUTEX && __atomic_sub_fetch(&end.left, 1, __ATOMIC_SEQ_CST) == 0)
		futex(&end.left, FUTEX_WAKE, 1);
}

static void await_end(uint32_t round, unsigned int threads)
{
	uint32_t left;

	while (variant_of(round) == TALLY_FUTEX && (left = load(&end.left)))
		futex(&end.left, FUTEX_WAIT, left);
	for (unsigned int i = 0; i < threads; i++)
		while (load(&done[i].round) != round)
			usleep(option.roam.nodes ? 1000 : 10);
}

/* The accesses themselves. */
static inline uint32_t perform(const struct shape_op *op, enum style style, uint32_t *word,
			       uint32_t round)
{
	uint32_t value = op->access == SHAPE_WRITE ? round << 2 | op->value : 0;

	if (op->access == SHAPE_WRITE) {
		if (style == XCHG || style == XADD)
			__asm__ volatile ("xchgl %0, %1" : "+r" (value), "+m" (*word) :: "memory");
		else
			__asm__ volatile ("movl %1, %0" : "=m" (*word) : "r" (value) : "memory");
	} else if (style == XADD) {
		__asm__ volatile ("lock xaddl %0, %1" : "+r" (value), "+m" (*word) :: "memory");
	} else {
		__asm__ volatile ("movl %1, %0" : "=r" (value) : "m" (*word) : "memory");
	}
	if (style == MFENCE)
		__asm__ volatile ("mfence" ::: "memory");
	return value;
}

static struct walk plan(struct runner *runner, uint32_t round, uint64_t fetch_ns)
{
	static const unsigned int strides[] = { 1, 1, 1, 5, 33, 65 };	/* odd: all are met */
	static const unsigned int skews[] = { 0, 1, 3, 22, 50, 64 };
	static const enum style locked[] = { XCHG, XADD, MFENCE };
	uint64_t common = runner->seed * 1000003 + round, *own = &runner->state;
	struct walk walk = {
		.round = round,
		.stride = strides[roam_random(&common) % 6],
		.pace_ns = fetch_ns >> (4 + roam_random(own) % 5),
		.lag_ns = roam_random(own) % (fetch_ns + 1),
		.calls = roam_random(own) % CALL_EVERY,
	};

	/* Half of the rounds in step; and in most of them others are met in the middle. */
	walk.offset = roam_random(&common) % 2 ? roam_random(own) % 40 : 0;
	if (roam_random(&common) % 4)
		walk.skew = skews[roam_random(own) % 6];
	if (variant_of(round) == TALLY_LOCKED)
		walk.style = locked[roam_random(own) % 3];
	else if (variant_of(round) == TALLY_FUTEX)
		walk.style = MOV_FUTEX;
	return walk;
}

/* All instances once: the second access of one comes after the first of another, further on. */
static void run_round(const struct runner *runner, const struct walk *walk)
{
	enum layout layout = layout_of(walk->round);
	unsigned int steps = INSTANCES + walk->skew * (runner->ops - 1);

	for (unsigned int step = 0; step < steps; step++) {
		for (unsigned int i = 0; i < runner->ops; i++) {
			unsigned int at = step - i * walk->skew, instance, place;
			const struct shape_op *op = &runner->op[i];
			uint32_t *word;

			if (at >= INSTANCES)	/* or before the first */
				continue;
			instance = (at * walk->stride + walk->offset) % INSTANCES;
			place = place_of(layout, op->variable, instance);
			word = &memory[place];
			if (runner->broken && op->access == SHAPE_READ && op->variable == 0)
				word = &stale[place];
			/* The kernel looks at the word, too, and does not wait. */
			if (walk->style == MOV_FUTEX && at % CALL_EVERY == walk->calls)
				futex(word, FUTEX_WAIT, 0xffffffff);
			result[runner->number].value[i][instance] =
				perform(op, walk->style, word, walk->round);
		}
		for (uint64_t next = walk->pace_ns ? now_ns() + walk->pace_ns : 0; next && now_ns() < next;)
			;
	}
}

/* Gets its own pages, which are at home: that takes as long as to get any. */
static void get_ready(const struct runner *runner)
{
	uint64_t start = now_ns();

	*(volatile uint32_t *)&result[runner->number].value[0][0] = 0;
	done[runner->number].fetch_ns = now_ns() - start;
	done[runner->number].late = 0;
}

static void await_start(struct runner *runner, uint64_t start, uint64_t lag)
{
	if (now_ns() > start)
		done[runner->number].late = 1;
	while (now_ns() < start + lag)
		;
}

static pid_t tids[SHAPE_THREADS];
static pthread_barrier_t born;
static const struct shape *tested;

static void *run_thread(void *argument)
{
	struct runner runner = {
		.number = (uintptr_t)argument, .moved = option.roam.nodes,
		.broken = option.broken, .seed = option.roam.seed,
	};

	memcpy(runner.op, tested->op[runner.number], sizeof(runner.op));
	while (runner.ops < SHAPE_OPS && runner.op[runner.ops].access)
		runner.ops++;
	runner.state = runner.seed * 7919 + runner.number + 1;
	tids[runner.number] = gettid();
	pthread_barrier_wait(&born);
	for (uint32_t round = 1;; round++) {
		struct walk walk;
		const struct begin *mine = await_begin(&runner, round);

		if (mine->stop)
			return NULL;
		get_ready(&runner);
		walk = plan(&runner, round, mine->fetch_ns);
		await_start(&runner, mine->start_ns, walk.lag_ns);
		run_round(&runner, &walk);
		tell_end(&runner, round);
	}
}

static void complain(const char *what, uint32_t round, unsigned int instance)
{
	if (judge.complaints++ < 10)
		printf("round %u (%s, %s), instance %u: %s\n", round,
		       tally_variants[variant_of(round)], layout_names[layout_of(round)], instance, what);
}

/* A value as the model knows it; one of another round has to be the last. */
static unsigned int decode(uint32_t value, unsigned int place, uint32_t round, unsigned int instance)
{
	char text[120];

	if (value >> 2 == round)
		return value & 3;
	if (value != judge.last[place]) {
		snprintf(text, sizeof(text), "word %u: %u of round %u, where %u of round %u was last",
			 place, value & 3, value >> 2, judge.last[place] & 3, judge.last[place] >> 2);
		complain(text, round, instance);
		judge.tally.stale++;
	}
	return 0;
}

static void judge_instance(const struct shape *shape, uint32_t round, unsigned int instance)
{
	enum layout layout = layout_of(round);
	enum tally_variant variant = variant_of(round);
	struct shape_outcome outcome = { 0 };
	unsigned int reads = 0;
	uint32_t last[SHAPE_VARIABLES];

	for (unsigned int t = 0; t < shape_threads(shape); t++)
		for (unsigned int i = 0; i < SHAPE_OPS; i++)
			if (shape->op[t][i].access == SHAPE_READ)
				outcome.read[reads++] = decode(result[t].value[i][instance],
					place_of(layout, shape->op[t][i].variable, instance), round, instance);
	for (unsigned int v = 0; v < SHAPE_VARIABLES; v++) {
		unsigned int place = place_of(layout, v, instance);

		last[v] = memory[place];
		outcome.last[v] = decode(last[v], place, round, instance);
	}
	for (unsigned int v = 0; v < SHAPE_VARIABLES; v++) {
		unsigned int place = place_of(layout, v, instance);

		judge.last[place] = stale[place] = last[v];
	}
	if (!tally_add(&judge.tally, variant, shape_key(&outcome)))
		complain("a forbidden outcome", round, instance);
}

/* Begins a round, so late that all threads know of it, and lets it take as long as the
 * slowest way to a page wants. */
static void begin_round(uint32_t round, unsigned int threads, bool stop)
{
	static uint64_t lead_ns = 200000, fetch_ns;
	uint64_t longest = 1000, limit = option.roam.nodes ? 8000000 : 1000, start;
	bool late = false;

	for (unsigned int i = 0; i < threads; i++) {
		late |= done[i].late;
		if (done[i].fetch_ns > longest)
			longest = done[i].fetch_ns;
	}
	if (late && lead_ns < 100000000)
		lead_ns = lead_ns * 3 / 2;
	else if (!late && lead_ns > 100000)
		lead_ns = lead_ns * 15 / 16;
	fetch_ns = (fetch_ns * 3 + (longest < limit ? longest : limit)) / 4;
	start = now_ns() + lead_ns;
	end.left = threads;
	for (unsigned int i = 0; i < threads; i++) {
		begin[i].stop = stop;
		begin[i].start_ns = start;
		begin[i].fetch_ns = fetch_ns;
		__atomic_store_n(&begin[i].round, round, __ATOMIC_RELEASE);
		futex(&begin[i].round, FUTEX_WAKE, 1);
	}
}

/* One shape, in a process of its own. */
static int test_shape(void *argument)
{
	const struct shape *shape = tested = argument;
	unsigned int threads = shape_threads(shape);
	pthread_t thread[SHAPE_THREADS];
	uint64_t start, enough = 0;
	uint32_t round;
	bool fine;

	pthread_barrier_init(&born, NULL, threads + 1);
	for (uintptr_t i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, run_thread, (void *)i))
			return 2;
	pthread_barrier_wait(&born);
	roam_begin(tids, threads, memory, sizeof(memory));
	start = now_ns();
	for (round = 1;; round++) {
		unsigned int runs = (round - 1) * INSTANCES;

		if (!enough && runs >= option.runs)
			enough = now_ns();
		if (enough && (!option.roam.nodes || tally_overlapped(&judge.tally) ||
			       now_ns() - enough > PATIENCE * (enough - start)))
			break;
		if (round > TALLY_VARIANTS * LAYOUTS && tally_overlapped(&judge.tally) &&
		    now_ns() - start > option.seconds * 1000000000ull)
			break;
		begin_round(round, threads, false);
		await_end(round, threads);
		for (unsigned int i = 0; i < INSTANCES; i++)
			judge_instance(shape, round, i);
		tally_round(&judge.tally);
		roam_alive();
	}
	fine = tally_report(&judge.tally, (now_ns() - start) / 1e9, option.roam.nodes);
	roam_report();
	begin_round(round, threads, true);
	for (unsigned int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	return fine ? 0 : 1;
}

static int run_shape(const struct shape *shape)
{
	tally_begin(&judge.tally, shape);
	return roam_run(&option.roam, test_shape, (void *)shape);
}

static const struct shape *find(const char *name)
{
	const struct shape *shape = shapes;

	while (shape->name && strcmp(shape->name, name))
		shape++;
	return shape->name ? shape : NULL;
}

/* The table against the books; memory that is not coherent, and an expectation that is wrong,
 * are both noticed. */
static int self_test(void)
{
	const struct shape *mp = find("MP");
	bool fine = true;

	for (const struct shape *shape = shapes; shape->name; shape++)
		fine &= tally_known(shape);
	option.broken = true;
	puts("stale reads of x:");
	fine &= run_shape(mp) == 1;
	option.broken = false;
	puts("an order of threads taken for forbidden:");
	memset(judge.tally.classes, SHAPE_FORBIDDEN, sizeof(judge.tally.classes));
	fine &= roam_run(&option.roam, test_shape, (void *)mp) == 1;
	puts(fine ? "self-test: noticed" : "self-test: NOT noticed");
	return fine ? 0 : 1;
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{ "list", no_argument, NULL, 'l' }, { "self-test", no_argument, NULL, 'x' }, { 0 }
	};
	int letter, status = 0;

	while ((letter = getopt_long(argc, argv, ROAM_OPTIONS "r:d:", names, NULL)) != -1) {
		switch (letter) {
		case 'r': option.runs = atoi(optarg); break;
		case 'd': option.seconds = atoi(optarg); break;
		case 'x': return self_test();
		case 'l':
			for (const struct shape *shape = shapes; shape->name; shape++)
				puts(shape->name);
			return 0;
		default:
			if (!roam_option(&option.roam, letter, optarg))
				return 2;
		}
	}
	if (optind == argc)
		for (const struct shape *shape = shapes; shape->name; shape++)
			status |= run_shape(shape);
	for (; optind < argc; optind++) {
		const struct shape *shape = find(argv[optind]);

		status |= shape ? run_shape(shape) : 2;
	}
	return status;
}

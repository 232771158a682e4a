// SPDX-License-Identifier: GPL-2.0
/* What a case calls; all of it runs in the process that is moved. */
#include "harness.h"
#include "ask.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>

static int asks = -1, answers = -1;
static bool is_moved;

static void send_ask(enum ask_kind kind, pid_t pid, const char *format, va_list args)
{
	struct ask ask = { .kind = kind, .pid = pid };

	vsnprintf(ask.text, sizeof(ask.text), format, args);
	if (write(asks, &ask, sizeof(ask)) != sizeof(ask))
		_exit(3);
}

static struct answer receive(void)
{
	struct answer answer;

	/* The harness knows no EINTR, whatever the case does with signals. */
	while (read(answers, &answer, sizeof(answer)) != sizeof(answer))
		if (errno != EINTR)
			_exit(3);
	return answer;
}

/* A question and its answer; a handler that fails in their midst goes through. */
static pthread_mutex_t asking = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;

static struct answer ask(enum ask_kind kind, pid_t pid, const char *format, ...)
{
	int saved = errno, locked = !pthread_mutex_lock(&asking);
	struct answer answer;
	va_list args;

	va_start(args, format);
	send_ask(kind, pid, format, args);
	va_end(args);
	answer = receive();
	if (locked)
		pthread_mutex_unlock(&asking);
	errno = saved;
	return answer;
}

static void move(char where_to, pid_t pid)
{
	struct answer answer = ask(ASK_MOVE, pid, "%c", where_to);

	if (answer.value)
		fail("", 0, "%s", answer.text);
}

bool moving(void)
{
	return is_moved;
}

void away(void)
{
	move('a', getpid());
}

void home(void)
{
	move('h', getpid());
}

void away_pid(pid_t pid)
{
	move('a', pid);
}

void home_pid(pid_t pid)
{
	move('h', pid);
}

int where(void)
{
	return ask(ASK_WHERE, getpid(), "%s", "").value;
}

static void expect(struct answer answer)
{
	if (answer.value)
		fail("", 0, "%s", answer.text);
}

void send_thread(pid_t pid, pid_t tid, unsigned int node)
{
	expect(ask(ASK_THREAD, pid, "%d %u", tid, node));
}

void send_thread_if_there(pid_t pid, pid_t tid, unsigned int node)
{
	expect(ask(ASK_TRY, pid, "%d %u", tid, node));
}

void send_all(pid_t pid, unsigned int node)
{
	expect(ask(ASK_ALL, pid, "0 %u", node));
}

void go(unsigned int node)
{
	send_thread(getpid(), gettid(), node);
}

int where_is(pid_t pid, pid_t tid)
{
	return ask(ASK_THREAD_WHERE, pid, "%d", tid).value;
}

int faults_of(pid_t pid, pid_t tid)
{
	return ask(ASK_FAULTS, pid, "%d", tid).value;
}

int calls_of(pid_t pid, pid_t tid)
{
	return ask(ASK_CALLS, pid, "%d", tid).value;
}

int forwarded_of(pid_t pid)
{
	return ask(ASK_FORWARDED, pid, "%s", "").value;
}

int upgraded_of(pid_t pid)
{
	return ask(ASK_UPGRADED, pid, "%s", "").value;
}

int pages_of(pid_t pid)
{
	return ask(ASK_PAGES, pid, "%s", "").value;
}

int inline_of(pid_t pid)
{
	return ask(ASK_INLINE, pid, "%s", "").value;
}

int link_messages(void)
{
	return ask(ASK_MESSAGES, getpid(), "%s", "").value;
}

void away_refused(pid_t pid, const char *reason)
{
	/* Another letter than away() has: nothing of it is away then (trace-calls). */
	struct answer answer = ask(ASK_MOVE, pid, "A");
	char name[50];

	if (!is_moved)
		return;
	if (!answer.value)
		fail("", 0, "the move of %d was not refused: %s", pid, reason);
	snprintf(name, sizeof(name), "(%s)", reason);
	if (!strstr(answer.text, name))
		fail("", 0, "refused otherwise than for %s: %s", reason, answer.text);
}

int returns(const char *reason)
{
	return ask(ASK_RETURNS, getpid(), "%s", reason).value;
}

void during(const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&asking);
	va_start(args, format);
	send_ask(ASK_DURING, getpid(), format, args);
	va_end(args);
	receive();
	pthread_mutex_unlock(&asking);
}

int during_end(void)
{
	struct answer answer = ask(ASK_DURING_END, getpid(), "%s", "");

	if (answer.value < 0)
		fail("", 0, "%s", answer.text);
	return answer.value;
}

void fail(const char *file, int line, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (line)
		ask(TELL_FAILED, getpid(), "%s:%d: %s", file, line, text);
	else
		ask(TELL_FAILED, getpid(), "%s", text);
	_exit(1);
}

void skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	send_ask(TELL_SKIPPED, getpid(), format, args);
	va_end(args);
	receive();
	_exit(0);
}

void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	send_ask(ASK_NOTE, getpid(), format, args);
	va_end(args);
}

void case_main(int ask_pipe, int answer_pipe, bool moved, void (*run)(void))
{
	asks = ask_pipe;
	answers = answer_pipe;
	is_moved = moved;
	signal(SIGPIPE, SIG_IGN);
	run();
	ask(TELL_PASSED, getpid(), "%s", "");
	_exit(0);
}

void need_root(void)
{
	if (geteuid())
		skip("not root");
}

/* A machine of the testbed has the share with these programs, see lib/testbed.py. */
bool own_machine(void)
{
	return moving() || !access("/share/st", F_OK);
}

void need_own_machine(void)
{
	if (!own_machine())
		skip("this machine is not the tests' own");
}

void sleep_ms(unsigned int ms)
{
	struct timespec left = { ms / 1000, ms % 1000 * 1000000l };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

void compute_ms(unsigned int ms)
{
	uint64_t end = now_ns() + ms * 1000000ull;

	while (now_ns() < end)
		;
}

/* The first result is what all others have to be. */
void compute_checked(unsigned int ms)
{
	static uint64_t first_a;
	static double first_c;
	uint64_t end = now_ns() + ms * 1000000ull;

	do {
		uint64_t a = 1, b = 2;
		double c = 1, d = 3;

		for (int i = 0; i < 1000; i++) {
			a = a * 6364136223846793005ull + b;
			b ^= a >> 29;
			c = c * 1.0000001 + d;
			d = d * 0.9999999 + 0.25;
		}
		if (!first_a) {
			first_a = a;
			first_c = c;
		}
		CHECK(a == first_a && c == first_c);
	} while (now_ns() < end);
}

pid_t later(unsigned int ms, void (*function)(void *), void *argument)
{
	pid_t pid = DO(fork());

	if (pid)
		return pid;
	sleep_ms(ms);
	function(argument);
	_exit(0);
}

bool sleeps_in(pid_t pid, long nr)
{
	char path[64], text[256] = "";
	int file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = DO(open(path, O_RDONLY));
	DO(read(file, text, sizeof(text) - 1));
	close(file);
	if (!strstr(text, ") S "))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	file = DO(open(path, O_RDONLY));
	memset(text, 0, sizeof(text));
	DO(read(file, text, sizeof(text) - 1));
	close(file);
	return atol(text) == nr && text[0] >= '0' && text[0] <= '9';
}

pid_t when_in(long nr, void (*function)(void *), void *argument)
{
	pid_t pid = DO(fork());

	if (pid)
		return pid;
	while (!sleeps_in(getppid(), nr))
		sleep_ms(10);
	function(argument);
	_exit(0);
}

void signal_parent(void *unused)
{
	(void)unused;
	DO(kill(getppid(), SIGUSR1));
}

void reap(pid_t pid)
{
	int status;

	EQUAL(waitpid(pid, &status, 0), pid);
	EQUAL(status, 0);
}

void partner_start(struct partner *partner, int64_t (*act)(void *), void *argument)
{
	int to[2], from[2];
	char byte;

	DO(pipe(to));
	DO(pipe(from));
	partner->ask = to[1];
	partner->answer = from[0];
	partner->pid = DO(fork());
	if (!partner->pid) {
		close(to[1]);
		while (read(to[0], &byte, 1) == 1) {
			int64_t value = act(argument);

			if (write(from[1], &value, sizeof(value)) != sizeof(value))
				_exit(1);
		}
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
}

int64_t partner_ask(struct partner *partner)
{
	int64_t value;

	EQUAL(write(partner->ask, "?", 1), 1);
	EQUAL(read(partner->answer, &value, sizeof(value)), sizeof(value));
	return value;
}

void partner_end(struct partner *partner)
{
	close(partner->ask);
	close(partner->answer);
	reap(partner->pid);
}

bool untouched(const void *memory, size_t bytes, size_t from, size_t len, char was)
{
	const char *byte = memory;

	for (size_t i = 0; i < bytes; i++)
		if ((i < from || i >= from + len) && byte[i] != was)
			return false;
	return true;
}

char *pages_with_a_hole(int protection)
{
	char *memory = map_pages(3, PROT_READ | PROT_WRITE);

	memset(memory, 0x55, 2 * page_size());
	DO(mprotect(memory + page_size(), page_size(), protection));
	DO(munmap(memory + 2 * page_size(), page_size()));
	return memory;
}

char own_prefix[32];

const char *own_directory(void)
{
	static char path[40];

	snprintf(path, sizeof(path), "%sXXXXXX", own_prefix);
	CHECK(mkdtemp(path));
	DO(chdir(path));
	return path;
}

unsigned long find_mapping(const char *name, unsigned long *end)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start = 0;
	char line[500];

	CHECK(maps);
	while (!start && fgets(line, sizeof(line), maps))
		if (strstr(line, name))
			EQUAL(sscanf(line, "%lx-%lx", &start, end), 2);
	fclose(maps);
	return start;
}

/* What the module has counted. */
struct counts {
	int pages, inlined, calls, messages;
	uint64_t at;
};

static struct counts look(void)
{
	return (struct counts){
		pages_of(getpid()), inline_of(getpid()), calls_of(getpid(), gettid()),
		link_messages(), now_ns(),
	};
}

enum {
	FIRST = 3, ROUNDS = 20,
	OTHERS = 4,	/* pages that may be wanted at home for another reason */
	LOOKS = 10,	/* calls with which the harness is asked between two numbers of two looks */
	ACK_MS = 20,	/* in which each side acknowledges once without another message, at most */
	BEAT_MS = 1000,
};

/* Messages that are neither a call nor its result: of pages, of looks, and those of the link. */
static int other_messages(uint64_t ns)
{
	int ms = ns / 1000000;

	return 4 * OTHERS + 2 * LOOKS + 2 * (ms / ACK_MS + 2) + 2 * (ms / BEAT_MS + 2);
}

void travels(const char *name, void (*function)(void), int calls, int all)
{
	struct counts first, last;
	int most;

	/* The stack, the words of the harness and a first call of each kind. */
	for (int i = 0; i < FIRST; i++) {
		look();
		function();
	}
	first = look();
	for (int i = 0; i < ROUNDS; i++)
		function();
	last = look();
	last.pages -= first.pages;
	last.inlined -= first.inlined;
	last.calls -= first.calls;
	last.messages -= first.messages;
	if (last.pages > OTHERS)
		fail("", 0, "%s: %d pages moved in %d rounds", name, last.pages, ROUNDS);
	if (!moving())
		return;
	if (last.inlined < ROUNDS * calls)
		fail("", 0, "%s: the data of %d calls travelled in %d rounds", name, last.inlined, ROUNDS);
	if (!all)
		return;
	if (last.calls < ROUNDS * all || last.calls > ROUNDS * all + LOOKS)
		fail("", 0, "%s: home has made %d calls in %d rounds of %d", name, last.calls, ROUNDS, all);
	most = 2 * last.calls + other_messages(last.at - first.at);
	note("%s: %d calls, %d messages of %d", name, last.calls, last.messages, most);
	if (last.messages < 2 * ROUNDS * all || last.messages > most)
		fail("", 0, "%s: %d messages for %d calls", name, last.messages, last.calls);
}

/* xorshift64*, byte for byte the same wherever it runs. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

void fill(void *memory, size_t bytes, uint64_t seed)
{
	uint64_t state = seed + 1, *word = memory;

	for (size_t i = 0; i < bytes / sizeof(*word); i++)
		word[i] = next_random(&state);
}

long differs(const void *memory, size_t bytes, uint64_t seed)
{
	const uint64_t *word = memory;
	uint64_t state = seed + 1;

	for (size_t i = 0; i < bytes / sizeof(*word); i++)
		if (word[i] != next_random(&state))
			return i * sizeof(*word);
	return -1;
}

size_t page_size(void)
{
	return 4096;
}

void *map_pages(size_t pages, int protection)
{
	return DO(mmap(NULL, pages * page_size(), protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

void write_text(const char *path, const char *text)
{
	int file = DO(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));

	if (write(file, text, strlen(text)) != (ssize_t)strlen(text))
		fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
	close(file);
}

char *read_text(const char *path)
{
	static char text[65536];
	int file = open(path, O_RDONLY | O_CLOEXEC);
	size_t size = 0;
	ssize_t got;

	while (file >= 0 && size < sizeof(text) - 1 &&
	       (got = read(file, text + size, sizeof(text) - 1 - size)) > 0)
		size += got;
	if (file >= 0)
		close(file);
	text[size] = 0;
	return text;
}

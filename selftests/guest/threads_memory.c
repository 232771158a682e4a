// SPDX-License-Identifier: GPL-2.0
/*
 * One thread changes the address space, or what is in it; threads on all nodes see
 * the change when they have been told of it, and no older state ever after.
 */
#include "crew.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#define RW (PROT_READ | PROT_WRITE)

enum { WATCHERS = 3, PAGES = 3, BYTES = PAGES * 4096 };

static struct hand crew[WATCHERS];

/* ------------------------------------------------------ who looks, and how */

static __thread sigjmp_buf jump;
static __thread volatile int code;
static __thread volatile uint64_t address;

static void caught(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	code = info->si_code;
	address = (uintptr_t)info->si_addr;
	siglongjmp(jump, 1);
}

/* One access and its outcome: si_code of the fault, or 0 and the value. */
struct look {
	volatile uint64_t *where;
	enum { READ, WRITE, CALL, END } what;
	uint64_t value;
	int code;
};

static struct { struct look look ALONE; } looks[WATCHERS];

static void do_look(struct look *look)
{
	code = 0;
	if (!sigsetjmp(jump, 1)) {
		if (look->what == READ)
			look->value = *look->where;
		else if (look->what == WRITE)
			*look->where = look->value;
		else
			look->value = ((int (*)(void))look->where)();
	} else if (address != (uintptr_t)look->where) {
		code = -1;
	}
	look->code = code;
}

static void *watch(struct hand *hand)
{
	struct look *look = &looks[hand->number].look;

	for (;;) {
		if (look->what == END)
			return NULL;
		do_look(look);
		DO(sem_post(&hand->done));
		down(&hand->go);
	}
}

/* Each of the crew does it, one after the other: what one has written another sees. */
static void all(int what, volatile void *where, uint64_t value)
{
	for (int i = 0; i < WATCHERS; i++) {
		looks[i].look = (struct look){ where, what, what == WRITE ? value + i : 0, 99 };
		DO(sem_post(&crew[i].go));
		if (what == END)
			continue;
		down(&crew[i].done);
	}
}

static void all_see(volatile void *where, uint64_t value)
{
	all(READ, where, 0);
	for (int i = 0; i < WATCHERS; i++) {
		EQUAL(looks[i].look.code, 0);
		EQUAL(looks[i].look.value, value);
	}
	EQUAL(*(volatile uint64_t *)where, value);
}

static void all_write(volatile void *where, uint64_t value)
{
	all(WRITE, where, value);
	for (int i = 0; i < WATCHERS; i++)
		EQUAL(looks[i].look.code, 0);
	EQUAL(*(volatile uint64_t *)where, value + WATCHERS - 1);
}

static void all_fault(int what, volatile void *where, int si_code)
{
	all(what, where, 5);
	for (int i = 0; i < WATCHERS; i++)
		EQUAL(looks[i].look.code, si_code);
}

static void catch_faults(void)
{
	struct sigaction action = { .sa_sigaction = caught, .sa_flags = SA_SIGINFO };

	DO(sigaction(SIGSEGV, &action, NULL));
	DO(sigaction(SIGBUS, &action, NULL));
}

/* The change is made at home and on each node, with watchers on all of them. */
static void from_everywhere(void (*change)(void))
{
	static uint64_t begin;

	catch_faults();
	for (int i = 0; i < WATCHERS; i++)
		looks[i].look = (struct look){ &begin, READ, 0, 0 };
	crew_start(crew, WATCHERS, watch, NULL);
	crew_spread(crew, WATCHERS, 0);
	crew_go(crew, WATCHERS);
	for (int i = 0; i < WATCHERS; i++)
		down(&crew[i].done);
	for (int i = 0; i < PLACES; i++) {
		go(places[(i + 1) % PLACES]);
		change();
	}
	all(END, NULL, 0);
	crew_join(crew, WATCHERS);
}

/* Memory in which every page has been seen and written by all. */
static char *known(void)
{
	char *memory = map_pages(PAGES, RW);

	for (int i = 0; i < PAGES; i++) {
		all_see(memory + i * 4096, 0);
		all_write(memory + i * 4096, 100 * i);
	}
	return memory;
}

/* --------------------------------------------------------------- the changes */

static void unmap(void)
{
	char *memory = known();

	DO(munmap(memory + 4096, 4096));
	all_fault(READ, memory + 4096, SEGV_MAPERR);
	all_fault(WRITE, memory + 4096, SEGV_MAPERR);
	all_see(memory, WATCHERS - 1);
	all_see(memory + 8192, 200 + WATCHERS - 1);
	DO(munmap(memory, BYTES));
	all_fault(READ, memory, SEGV_MAPERR);
	all_fault(READ, memory + 8192, SEGV_MAPERR);
}

static void unmapped_for_all(void)
{
	from_everywhere(unmap);
}

static void protect(void)
{
	char *memory = known();

	DO(mprotect(memory, 4096, PROT_READ));
	all_see(memory, WATCHERS - 1);
	all_fault(WRITE, memory, SEGV_ACCERR);
	DO(mprotect(memory, BYTES, PROT_NONE));
	all_fault(READ, memory, SEGV_ACCERR);
	all_fault(WRITE, memory + 8192, SEGV_ACCERR);
	DO(mprotect(memory, BYTES, RW));
	all_see(memory, WATCHERS - 1);
	all_write(memory, 7);
	all_see(memory + 8192, 200 + WATCHERS - 1);
	DO(munmap(memory, BYTES));
}

static void protected_for_all(void)
{
	from_everywhere(protect);
}

static void move_mapping(void)
{
	char *memory = known(), *place = map_pages(2 * PAGES, RW), *moved;

	all_write(place, 1000);
	moved = DO(mremap(memory, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, place));
	CHECK(moved == place);
	all_fault(READ, memory, SEGV_MAPERR);
	for (int i = 0; i < PAGES; i++)
		all_see(moved + i * 4096, 100 * i + WATCHERS - 1);
	all_write(moved + 4096, 3);
	/* Back, over what is there, and shrunk. */
	memory = DO(mremap(moved, BYTES, 2 * 4096, 0));
	CHECK(memory == moved);
	all_fault(READ, moved + 8192, SEGV_MAPERR);
	all_see(moved + 4096, 3 + WATCHERS - 1);
	/* Grown, where there is room now. */
	DO(munmap(place + BYTES, BYTES));
	memory = DO(mremap(moved, 2 * 4096, BYTES, 0));
	all_see(memory + 8192, 0);
	all_write(memory + 8192, 11);
	DO(munmap(memory, BYTES));
}

static void moved_for_all(void)
{
	from_everywhere(move_mapping);
}

static void change_break(void)
{
	char *end = (char *)(((uintptr_t)DO(sbrk(0)) + 4095) & -4096);

	DO(brk(end + 2 * 4096));
	all_see(end, 0);
	all_write(end + 4096, 8);
	all_write(end, 8);
	DO(brk(end + 4096));
	all_fault(READ, end + 4096, SEGV_MAPERR);
	all_see(end, 8 + WATCHERS - 1);
	DO(brk(end + 2 * 4096));
	all_see(end + 4096, 0);
	DO(brk(end));
	all_fault(WRITE, end, SEGV_MAPERR);
}

static void break_for_all(void)
{
	from_everywhere(change_break);
}

static void drop(void)
{
	char *memory = known();

	DO(madvise(memory, 2 * 4096, MADV_DONTNEED));
	all_see(memory, 0);
	all_write(memory + 4096, 12);
	all_see(memory + 4096, 12 + WATCHERS - 1);
	all_see(memory + 8192, 200 + WATCHERS - 1);
	DO(munmap(memory, BYTES));
}

static void dropped_for_all(void)
{
	from_everywhere(drop);
}

static void drop_lazily(void)
{
	char *memory = known();

	DO(madvise(memory, BYTES, MADV_FREE));
	all(READ, memory, 0);
	for (int i = 0; i < WATCHERS; i++) {
		EQUAL(looks[i].look.code, 0);
		CHECK(looks[i].look.value == 0 || looks[i].look.value == WATCHERS - 1);
	}
	all_write(memory, 20);
	all_see(memory, 20 + WATCHERS - 1);
	DO(munmap(memory, BYTES));
}

static void freed_for_all(void)
{
	from_everywhere(drop_lazily);
}

static void replace(void)
{
	char *memory = known();

	DO(mmap(memory + 4096, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	all_see(memory + 4096, 0);
	all_fault(WRITE, memory + 4096, SEGV_ACCERR);
	all_see(memory, WATCHERS - 1);
	DO(mmap(memory, BYTES, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	all_see(memory, 0);
	all_write(memory + 4096, 30);
	/* Shared memory in its place, and private again. */
	DO(mmap(memory, BYTES, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	all_see(memory + 4096, 0);
	all_write(memory + 4096, 40);
	DO(mmap(memory, BYTES, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	all_see(memory + 4096, 0);
	DO(munmap(memory, BYTES));
}

static void replaced_for_all(void)
{
	from_everywhere(replace);
}

/* Code that one thread writes and all execute; x86 wants nothing in between but a jump. */
static void write_code(void)
{
	unsigned char *memory = DO(mmap(NULL, 4096, RW | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	for (int i = 1; i <= 3; i++) {
		memory[0] = 0xb8;	/* mov $i, %eax; ret */
		memcpy(memory + 1, &i, 4);
		memory[5] = 0xc3;
		all(CALL, memory, 0);
		for (int j = 0; j < WATCHERS; j++) {
			EQUAL(looks[j].look.code, 0);
			EQUAL(looks[j].look.value, i);
		}
	}
	/* As a compiler at run time does that never has both rights. */
	DO(mprotect(memory, 4096, PROT_READ | PROT_EXEC));
	all(CALL, memory, 0);
	EQUAL(looks[2].look.value, 3);
	all_fault(WRITE, memory, SEGV_ACCERR);
	DO(mprotect(memory, 4096, RW));
	memory[1] = 9;
	all_fault(CALL, memory, SEGV_ACCERR);
	DO(mprotect(memory, 4096, PROT_READ | PROT_EXEC));
	all(CALL, memory, 0);
	for (int j = 0; j < WATCHERS; j++)
		EQUAL(looks[j].look.value, 9);
	DO(munmap(memory, 4096));
}

static void code_for_all(void)
{
	from_everywhere(write_code);
}

/* ------------------------------------------- changed while others are at it */

static volatile uint64_t *battle;
static atomic_ulong told ALONE;
static atomic_int battle_end ALONE;
static const int BATTLE = 30;

/* Reads for ever: what has been told before the look is the least that it may see. */
static void *look_for_ever(struct hand *hand)
{
	struct look *look = &looks[hand->number].look;
	uintptr_t seen = 0, faults = 0;

	do {
		uint64_t least = told;

		*look = (struct look){ battle, READ, 0, 0 };
		do_look(look);
		CHECK(look->code == 0 || look->code == SEGV_MAPERR || look->code == SEGV_ACCERR);
		/* A fresh page is zero until it has been written. */
		CHECK(look->code || !look->value || look->value >= least);
		faults += look->code != 0;
		seen += look->code == 0;
		if (seen + faults == 1)
			DO(sem_post(&hand->done));
	} while (!battle_end);
	/* Nothing of before is left, not zeros either. */
	*look = (struct look){ battle, READ, 0, 0 };
	do_look(look);
	EQUAL(look->code, 0);
	EQUAL(look->value, (uint64_t)BATTLE);
	return (void *)(seen + faults);
}

static void *change_for_ever(struct hand *hand)
{
	for (int i = 0; i < WATCHERS; i++)
		down(&crew[i].done);
	for (int i = 1; i <= BATTLE; i++) {
		uint64_t *page = (void *)battle;

		if (i % 3 == 0)
			DO(munmap(page, 4096));
		else if (i % 3 == 1)
			DO(mprotect(page, 4096, PROT_NONE));
		else
			DO(madvise(page, 4096, MADV_DONTNEED));
		if (i % 3 != 2)
			DO(mmap(page, 4096, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		*(volatile uint64_t *)page = i;
		told = i;
	}
	battle_end = 1;
	return hand;
}

static void changed_under_fire(void)
{
	static struct hand changer;

	catch_faults();
	for (int round = 0; round < PLACES; round++) {
		battle = map_pages(1, RW);
		told = 0;
		battle_end = 0;
		crew_start(crew, WATCHERS, look_for_ever, NULL);
		crew_start(&changer, 1, change_for_ever, NULL);
		crew_spread(crew, WATCHERS, 0);
		crew_place(&changer, places[round]);
		crew_go(crew, WATCHERS);
		crew_go(&changer, 1);
		crew_join(crew, WATCHERS);
		crew_join(&changer, 1);
		for (int i = 0; i < WATCHERS; i++)
			CHECK(crew[i].result);
		DO(munmap((void *)battle, 4096));
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE(unmapped_for_all), CASE(protected_for_all), CASE(moved_for_all),
		CASE(break_for_all), CASE(dropped_for_all), CASE(freed_for_all),
		CASE(replaced_for_all), CASE(code_for_all), CASE(changed_under_fire),
		{ 0 }
	};

	return harness_main(argc, argv, cases);
}

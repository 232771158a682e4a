// SPDX-License-Identifier: GPL-2.0
#include "family.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t state = 1;
static const char *named = "";

void family_seed(uint64_t seed)
{
	state = seed * 2 + 1;
}

uint64_t family_random(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dull >> 33;
}

unsigned int family_pause_us(unsigned int mean_ms)
{
	return family_random() % (mean_ms * 2000u + 1);
}

void family_name(const char *names)
{
	named = names;
}

bool family_is_named(const char *comm)
{
	const char *found = named;
	size_t size = strlen(comm);

	if (!*named)
		return true;
	while (size && (found = strstr(found, comm))) {
		if ((found == named || found[-1] == ',') && (!found[size] || found[size] == ','))
			return true;
		found += size;
	}
	return false;
}

static void read_text(const char *path, char *text, size_t room)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = file < 0 ? -1 : read(file, text, room - 1);

	if (file >= 0)
		close(file);
	text[size > 0 ? size : 0] = 0;
}

int family_children(pid_t pid, pid_t *list, int room)
{
	char path[64], text[4096], *next = text;
	int count = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	read_text(path, text, sizeof(text));
	while (count < room && *next >= '0') {
		list[count++] = strtol(next, &next, 10);
		next += strspn(next, " ");
	}
	return count;
}

bool family_look(struct candidate *process)
{
	char path[64], text[512], *open_bracket, *close_bracket;

	snprintf(path, sizeof(path), "/proc/%d/stat", process->pid);
	read_text(path, text, sizeof(text));
	open_bracket = strchr(text, '(');
	close_bracket = strrchr(text, ')');
	if (!open_bracket || !close_bracket)
		return false;
	*close_bracket = 0;
	snprintf(process->comm, sizeof(process->comm), "%.15s", open_bracket + 1);
	process->state = close_bracket[2];
	return process->state != 'Z' && process->state != 'X';
}

/* These and what descends from them, FAMILY_MOST at most. */
static unsigned int gather(const pid_t *roots, unsigned int count, pid_t *list)
{
	if (count > FAMILY_MOST)
		count = FAMILY_MOST;
	memcpy(list, roots, count * sizeof(*list));
	for (unsigned int i = 0; i < count && count < FAMILY_MOST; i++)
		count += family_children(list[i], list + count, FAMILY_MOST - count);
	return count;
}

unsigned int family_named(const pid_t *roots, unsigned int count, pid_t list[FAMILY_MOST])
{
	struct candidate process;
	pid_t all[FAMILY_MOST];
	unsigned int found = 0;

	count = gather(roots, count, all);
	for (unsigned int i = 0; i < count; i++) {
		process.pid = all[i];
		if (family_look(&process) && family_is_named(process.comm))
			list[found++] = all[i];
	}
	return found;
}

bool family_find(const pid_t *roots, unsigned int count, const char *name,
		 struct candidate *found)
{
	pid_t list[FAMILY_MOST];

	count = gather(roots, count, list);
	for (unsigned int i = 0; i < count; i++) {
		found->pid = list[i];
		if (family_look(found) && !strcmp(found->comm, name))
			return true;
	}
	return false;
}

struct candidate family_choose(const pid_t *roots, unsigned int count)
{
	struct candidate all[FAMILY_MOST], best[FAMILY_MOST];
	bool by_name = family_random() % 8, by_state = family_random() % 8;
	unsigned int bests = 0, most = 0;
	pid_t list[FAMILY_MOST];

	count = gather(roots, count, list);
	for (unsigned int i = 0; i < count; i++) {
		unsigned int rank;

		all[i].pid = list[i];
		if (!family_look(&all[i]))
			continue;
		rank = 1 + 2 * (by_name && family_is_named(all[i].comm)) +
			(by_state && all[i].state == 'R');
		if (rank > most)
			bests = 0;
		if (rank < most)
			continue;
		most = rank;
		best[bests++] = all[i];
	}
	if (bests)
		return best[family_random() % bests];
	return (struct candidate){ .pid = roots[0] };
}

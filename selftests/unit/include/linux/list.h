/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for the kernel's header of that name: what a list of all needs. */
#ifndef _RADIUM_UNIT_LIST_H
#define _RADIUM_UNIT_LIST_H

#include <stddef.h>

struct list_head { struct list_head *next, *prev; };

#define LIST_HEAD(name) struct list_head name = { &name, &name }

static inline void list_add(struct list_head *entry, struct list_head *head)
{
	entry->next = head->next;
	entry->prev = head;
	head->next->prev = entry;
	head->next = entry;
}

static inline void list_del(struct list_head *entry)
{
	entry->next->prev = entry->prev;
	entry->prev->next = entry->next;
}

#define list_entry_(ptr, type, member) ((type)((char *)(ptr) - offsetof(__typeof__(*(type)0), member)))
#define list_for_each_entry(pos, head, member)						\
	for (pos = list_entry_((head)->next, __typeof__(pos), member); &pos->member != (head);	\
	     pos = list_entry_(pos->member.next, __typeof__(pos), member))

#endif

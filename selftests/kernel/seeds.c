// SPDX-License-Identifier: GPL-2.0
/*
 * Does one thing that a checker of the debug kernel is to report, when it is loaded: what the
 * parameter says. It stays loaded then, and does no more.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

static char *which = "";
module_param(which, charp, 0444);
MODULE_PARM_DESC(which, "order, sleep, shift, freed, leak");

static DEFINE_SPINLOCK(first);
static DEFINE_SPINLOCK(second);

/* Two locks in both orders: nobody waits, but two might. */
static void order(void)
{
	spin_lock(&first);
	spin_lock(&second);
	spin_unlock(&second);
	spin_unlock(&first);

	spin_lock(&second);
	spin_lock(&first);
	spin_unlock(&first);
	spin_unlock(&second);
}

/* May sleep where it must not; where there is memory it does not. */
static void sleep(void)
{
	void *memory;

	spin_lock(&first);
	memory = kmalloc(64, GFP_KERNEL);
	spin_unlock(&first);
	kfree(memory);
}

static int bits = 40;
static int shifted;

/* By more than there are bits. */
static void shift(void)
{
	WRITE_ONCE(shifted, 1 << READ_ONCE(bits));
}

/* Reads what was freed. */
static void freed(void)
{
	char *memory = kmalloc(64, GFP_KERNEL);

	if (!memory)
		return;
	kfree(memory);
	OPTIMIZER_HIDE_VAR(memory);
	READ_ONCE(*memory);
}

/* Nobody knows where it is any more; of one the address may be left on a stack by chance. */
static void leak(void)
{
	int i;

	for (i = 0; i < 16; i++) {
		char *memory = kmalloc(512, GFP_KERNEL);

		if (memory)
			memset(memory, i, 512);
	}
}

static const struct {
	const char *name;
	void (*sow)(void);
} seeds[] = {
	{ "order", order }, { "sleep", sleep }, { "shift", shift }, { "freed", freed }, { "leak", leak },
};

static int __init seeds_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(seeds); i++) {
		if (!strcmp(which, seeds[i].name)) {
			seeds[i].sow();
			return 0;
		}
	}
	return -EINVAL;
}

static void __exit seeds_exit(void)
{
}

module_init(seeds_init);
module_exit(seeds_exit);

MODULE_DESCRIPTION("What the checkers of a kernel report, for a test of Radium's testbed");
MODULE_LICENSE("GPL");

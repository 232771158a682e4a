// SPDX-License-Identifier: GPL-2.0
/*
 * While this module is loaded the kernel says that it is another build of its release: the line
 * that uname -v shows differs in a letter. No test needs two kernels then.
 */
#include <linux/module.h>
#include <linux/utsname.h>

static void change(void)
{
	init_utsname()->version[0] ^= 1;
}

static int __init other_build_init(void)
{
	change();
	return 0;
}

static void __exit other_build_exit(void)
{
	change();
}

module_init(other_build_init);
module_exit(other_build_exit);

MODULE_DESCRIPTION("Another kernel build, for a test of Radium");
MODULE_LICENSE("GPL");

/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for the kernel's header of that name. */
#ifndef _RADIUM_UNIT_COMPILER_H
#define _RADIUM_UNIT_COMPILER_H

#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, value)	(*(volatile __typeof__(x) *)&(x) = (value))

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for the kernel's header of that name. */
#ifndef _RADIUM_UNIT_KFIFO_H
#define _RADIUM_UNIT_KFIFO_H

#define DECLARE_KFIFO(name, type, size) struct { type room[size]; unsigned int in, out; } name
#define INIT_KFIFO(fifo) ((fifo).in = (fifo).out = 0)
#define kfifo_size_(fifo) (sizeof((fifo)->room) / sizeof((fifo)->room[0]))
#define kfifo_is_empty(fifo) ((fifo)->in == (fifo)->out)
#define kfifo_put(fifo, value) ((fifo)->in - (fifo)->out < kfifo_size_(fifo) &&		\
	((fifo)->room[(fifo)->in++ % kfifo_size_(fifo)] = (value), true))
#define kfifo_get(fifo, to) (!kfifo_is_empty(fifo) &&					\
	(*(to) = (fifo)->room[(fifo)->out++ % kfifo_size_(fifo)], true))

#endif

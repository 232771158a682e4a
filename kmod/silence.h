/* SPDX-License-Identifier: GPL-2.0 */
/* Radium: how long nothing has been heard of a node. */
#ifndef _RADIUM_SILENCE_H
#define _RADIUM_SILENCE_H

/**
 * rad_silence() - how long is it silent?
 * @now: jiffies
 * @heard: jiffies when something was heard last
 *
 * Whoever hears may do so between the caller's looks at the two, or on a CPU that has seen
 * a later tick: then it is not silent, and not silent since the beginning of time.
 *
 * Return: jiffies.
 */
static inline unsigned long rad_silence(unsigned long now, unsigned long heard)
{
	long silence = now - heard;

	return silence > 0 ? silence : 0;
}

#endif /* _RADIUM_SILENCE_H */

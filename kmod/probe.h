/* SPDX-License-Identifier: GPL-2.0 */
/* Radium: tracepoints of the kernel that tell us something. */
#ifndef _RADIUM_PROBE_H
#define _RADIUM_PROBE_H

struct tracepoint;

/**
 * struct rad_probe - one tracepoint
 * @name: of the tracepoint
 * @function: takes a void * and then what the tracepoint gives; must not sleep
 * @tp: NULL: not registered
 */
struct rad_probe {
	const char *name;
	void *function;
	struct tracepoint *tp;
};

int rad_probe_register(struct rad_probe *probe);
void rad_probe_unregister(struct rad_probe *probe);

#endif /* _RADIUM_PROBE_H */

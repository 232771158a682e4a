/* SPDX-License-Identifier: GPL-2.0 */
/* Radium: the nodes of the cluster, their states and epochs. */
#ifndef _RADIUM_NODE_H
#define _RADIUM_NODE_H

#include <linux/bits.h>
#include <linux/types.h>
#include "../uapi/linux/radium.h"

struct rad_node;

struct rad_clock_offset {
	s64 mono;	/* our CLOCK_MONOTONIC minus the peer's, ns */
	s64 boot;
};

int rad_node_init(void);
void rad_node_uninit(void);

int rad_node_join(const struct radium_node_join *join, char (*peers)[RADIUM_ADDR_SIZE]);
int rad_node_leave(void);
void rad_node_empty_begin(void);
void rad_node_empty_end(void);
bool rad_node_is_emptying(void);
bool rad_node_joined(void);
u32 rad_node_self(void);
const char *rad_node_replica_path(void);
int rad_node_list(struct radium_node_info *infos, u32 room, u32 *total);

u64 rad_node_known(void);
struct rad_node *rad_node_get_up(u32 id);
struct rad_node *rad_node_get(struct rad_node *node);
void rad_node_put(struct rad_node *node);
u32 rad_node_id(const struct rad_node *node);

/* In a set of nodes, as in radium_process_info.nodes. */
static inline u64 rad_node_bit(const struct rad_node *node)
{
	return BIT_ULL(rad_node_id(node) - 1);
}

u64 rad_node_incarnation_of(const struct rad_node *node);
bool rad_node_is_dead(const struct rad_node *node);
void rad_node_clock_offset(struct rad_node *node, struct rad_clock_offset *offset);
s64 rad_node_clock_ahead(const struct rad_node *node);
u32 rad_node_answer_ms(void);
void rad_node_forward_failed(struct rad_node *home, struct rad_node *next);
bool rad_node_may_forward(const struct rad_node *home, const struct rad_node *next);
void rad_node_protocol_error(struct rad_node *node, const char *what);

#endif /* _RADIUM_NODE_H */

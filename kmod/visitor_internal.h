/* SPDX-License-Identifier: GPL-2.0 */
/* Radium: shared between the files of the visitor only. */
#ifndef _RADIUM_VISITOR_INTERNAL_H
#define _RADIUM_VISITOR_INTERNAL_H

#include "visitor.h"

/* visitor.c */
void rad_visitor_set_state(struct rad_visitor *visitor, enum rad_visitor_state to);
void rad_visitor_enqueue(struct rad_visitor *visitor, enum task_work_notify_mode notify);
void rad_visitor_address(struct rad_visitor *visitor, struct rad_wire_thread *body);
struct rad_visitor *rad_visitor_addressed(const struct rad_in *in);
void rad_visitor_tell_cputime(struct rad_visitor *visitor, struct rad_wire_cputime *cputime);
void rad_visitor_reset(struct rad_visitor *visitor);
void rad_visitor_go_home(struct rad_visitor *visitor, u32 reason, u64 detail);
void rad_visitor_forget(struct rad_visitor *visitor);
void rad_visitor_rewind(struct pt_regs *regs);

/* visitor_local.c */
bool rad_visitor_answer(struct rad_visitor *visitor, struct pt_regs *regs, int nr);

/* visitor_call.c */
void rad_visitor_delegate(struct rad_visitor *visitor, struct pt_regs *regs, int nr);
void rad_visitor_free_letter(struct rad_visitor *visitor);

#endif /* _RADIUM_VISITOR_INTERNAL_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: a thread leaves home.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/ptrace.h>
#include <linux/rseq.h>
#include <linux/sched/coredump.h>
#include <linux/sched/jobctl.h>
#include <linux/sched/signal.h>
#include <linux/uprobes.h>
#include <linux/user_namespace.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/syscall.h>
#include "deputy_internal.h"
#include "event.h"
#include "link.h"
#include "node.h"
#include "process.h"
#include "spread.h"
#include "vvar.h"
#include "watch.h"
#include "wire_check.h"

enum {
	AGAIN_MIN_JIFFIES	= HZ / 100 ?: 1,
	AGAIN_MAX_JIFFIES	= HZ,
};

/* Of all threads, so that a late PREPARE is known for what it is by its number. */
static atomic_t stays;

void rad_deputy_again_work(struct work_struct *work)
{
	struct rad_thread *thread = container_of(to_delayed_work(work), struct rad_thread, again);

	/* Called off meanwhile: it may sleep for long, and need not be woken for that. */
	rad_thread_forget(thread);
	if (!READ_ONCE(thread->forgotten))
		rad_deputy_summon(thread);
	rad_thread_put(thread);
}

/* rad_deputy_look_later() - the deputy looks at a thread that is home again some time later */
void rad_deputy_look_later(struct rad_thread *thread)
{
	thread->backoff = clamp_t(unsigned long, thread->backoff * 2, AGAIN_MIN_JIFFIES,
				  AGAIN_MAX_JIFFIES);
	rad_thread_get(thread);
	if (!schedule_delayed_work(&thread->again, thread->backoff))
		rad_thread_put(thread);
}

/* What brought it home is done natively now; some time later it goes out again. */
void rad_deputy_go_out_later(struct rad_thread *thread)
{
	if (READ_ONCE(thread->wanted))
		rad_deputy_look_later(thread);
}

/* Is @own no more than @by, so that one may trace the other without CAP_SYS_PTRACE? */
static bool is_within(const struct cred *own, const struct cred *by)
{
	return uid_eq(by->uid, own->euid) && uid_eq(by->uid, own->suid) &&
	       uid_eq(by->uid, own->uid) && gid_eq(by->gid, own->egid) &&
	       gid_eq(by->gid, own->sgid) && gid_eq(by->gid, own->gid) &&
	       by->user_ns == own->user_ns &&
	       cap_issubset(own->cap_permitted, by->cap_permitted);
}

/*
 * Has it got rights since, by exec, or become somebody else's, so that whoever wanted it
 * elsewhere may not trace it? A program may have done that and executed another one, which has
 * its rights and does not look as if it had gained any: the ids say so. The same as for ptrace,
 * see __ptrace_may_access() and cap_ptrace_access_check(); other modules are not asked again.
 */
static bool is_out_of_reach(struct rad_thread *thread)
{
	bool dumpable = get_dumpable(current->mm) == SUID_DUMP_USER, within, may;
	const struct cred *own = current_cred(), *by, *saved;

	spin_lock(&thread->lock);
	by = get_cred(thread->by);
	may = thread->exec == READ_ONCE(current->self_exec_id);
	spin_unlock(&thread->lock);
	within = is_within(own, by);
	may |= within && dumpable;
	if (!may) {
		saved = override_creds(by);
		may = (within || ns_capable_noaudit(own->user_ns, CAP_SYS_PTRACE)) &&
		      (dumpable || ns_capable_noaudit(current->mm->user_ns, CAP_SYS_PTRACE));
		revert_creds(saved);
	}
	put_cred(by);
	return !may;
}

/* Of its own, in the table of the CPU: set_thread_area() of 32-bit calls. */
static bool has_segments(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(current->thread.tls_array); i++)
		if (!desc_empty(&current->thread.tls_array[i]))
			return true;
	return false;
}

static u32 why_not(struct rad_thread *thread, struct pt_regs *regs)
{
	bool shared;

	if (!user_64bit_mode(regs) || test_thread_flag(TIF_ADDR32))
		return RADIUM_R_COMPAT;
	/* A debugger may leave breakpoints in the registers; those that it has switched off stay. */
	if (current->ptrace || regs->flags & X86_EFLAGS_TF ||
	    current->thread.ptrace_dr7 & (DR_LOCAL_ENABLE_MASK | DR_GLOBAL_ENABLE_MASK))
		return RADIUM_R_TRACED;
	if (current->mm->context.ldt || has_segments())
		return RADIUM_R_LDT;
	if (rad_regs_forbid())
		return RADIUM_R_INSTRUCTIONS;
	if (is_out_of_reach(thread))
		return RADIUM_R_NOT_PERMITTED;
	rcu_read_lock();
	shared = current->vfork_done && current->mm == rcu_dereference(current->real_parent)->mm;
	rcu_read_unlock();
	return shared ? RADIUM_R_SHARED_MM : RADIUM_R_NONE;
}

/*
 * An id that its user namespace has no number for is not told: the number for nobody is a
 * sysctl, and the map of the namespace may be written later, by somebody else. It is written
 * once: a number that there is stays.
 */
static __le32 user_id(kuid_t id)
{
	return cpu_to_le32(from_kuid(current_user_ns(), id));
}

static __le32 group_id(kgid_t id)
{
	return cpu_to_le32(from_kgid(current_user_ns(), id));
}

/* rad_deputy_describe_self() - what current's node may answer when it asks who it is */
void rad_deputy_describe_self(const struct rad_thread *thread, struct rad_wire_self *self)
{
	const struct cred *cred = current_cred();

	BUILD_BUG_ON((uid_t)-1 != RAD_ID_UNKNOWN || (gid_t)-1 != RAD_ID_UNKNOWN);
	self->flags = cpu_to_le32(thread->watched ? RAD_SELF_WATCHED : 0);
	self->pid = cpu_to_le32(task_tgid_vnr(current));
	self->tid = cpu_to_le32(task_pid_vnr(current));
	self->uid = user_id(cred->uid);
	self->euid = user_id(cred->euid);
	self->gid = group_id(cred->gid);
	self->egid = group_id(cred->egid);
}

static struct rad_out *prepare_msg(struct rad_thread *thread, struct rad_node *node)
{
	size_t len = sizeof(struct rad_wire_prepare) + rad_regs_xstate_len();
	struct rad_process *process = thread->process;
	struct rad_wire_prepare *body;
	unsigned long vvar;
	struct rad_out *msg;

	/* First: others may wait for the memory that the message has. */
	vvar = rad_vvar_find();
	msg = rad_deputy_msg(thread, RAD_MSG_PREPARE, len);
	body = msg->body;
	body->uid = cpu_to_le32(from_kuid(&init_user_ns, process->uid));
	body->gid = cpu_to_le32(from_kgid(&init_user_ns, process->gid));
	rad_vvar_describe(body, node, vvar);
	rad_deputy_describe_self(thread, &body->self);
	get_task_comm(body->comm, current);
	if (rad_regs_save(&body->regs)) {
		rad_msg_free(msg);
		return NULL;
	}
	return msg;
}

/*
 * PREPARE takes long where a replica has to be made, and holds a credit of ours meanwhile. So many
 * at once to a node leave some for what others have there: results, orders.
 */
enum { PREPARING_MAX = RAD_WINDOW / 2 };

static atomic_t preparing[RADIUM_NODE_MAX];
static DECLARE_WAIT_QUEUE_HEAD(prepared);

/* Sends the registers and waits until the node holds the thread ready. */
static u32 prepare(struct rad_thread *thread)
{
	struct rad_wire_status status = { };
	struct rad_call call = { .buf = &status, .size = sizeof(status) };
	atomic_t *count = &preparing[rad_node_id(thread->node) - 1];
	struct rad_out *msg;
	long left;
	int err;

	left = wait_event_killable_timeout(prepared, atomic_add_unless(count, 1, PREPARING_MAX),
					   msecs_to_jiffies(RAD_PREPARE_MS));
	if (left <= 0)
		return left ? RADIUM_R_EXITING : RADIUM_R_TIMEOUT;
	msg = prepare_msg(thread, thread->node);
	err = msg ? rad_call_send(thread->node, &call, msg) : -EOPNOTSUPP;
	if (!err)
		err = rad_call_wait(&call, msecs_to_jiffies(RAD_PREPARE_MS));
	atomic_dec(count);
	wake_up(&prepared);
	switch (err) {
	case 0:
		return rad_wire_reason(status.reason);
	case -EOPNOTSUPP:
		return RADIUM_R_XSTATE;
	case -EHOSTDOWN:
		return RADIUM_R_NODE_DOWN;
	case -ETIMEDOUT:
		rad_deputy_tell(thread, RAD_MSG_ABORT, RADIUM_R_TIMEOUT);
		return RADIUM_R_TIMEOUT;
	default:
		rad_deputy_tell(thread, RAD_MSG_ABORT, RADIUM_R_EXITING);
		return RADIUM_R_EXITING;
	}
}

/* Nothing of it is away, or is to be; the caller's reference goes, too. */
static void settle(struct rad_thread *thread, struct rad_process *process)
{
	if (process)
		rad_process_retire_if_idle(process);
	else
		rad_thread_forget(thread);
	rad_process_put(process);
}

/*
 * It stays at home. Only a thread that somebody asked to move forgets the wish, and not one
 * that is newer than request @number.
 */
static void stay_home(struct rad_thread *thread, u32 number, u32 reason)
{
	bool later = reason == RADIUM_R_TRACED || reason == RADIUM_R_SHARED_MM ||
		     reason == RADIUM_R_NOT_PERMITTED;
	struct rad_process *process = rad_thread_process(thread);
	bool newer;

	spin_lock(&thread->lock);
	if (thread->state != RADIUM_THREAD_HOME)
		rad_thread_set_state(thread, RADIUM_THREAD_HOME);
	if (thread->node)
		rad_node_put(thread->node);
	thread->node = NULL;
	thread->reason = reason;
	newer = thread->asked != number;
	if (!newer && (number != thread->answered || !later))
		thread->wanted = 0;
	later = thread->wanted;
	spin_unlock(&thread->lock);
	rad_event_post(RADIUM_EVENT_REFUSED, 0, task_tgid_nr(current), thread->id, reason);
	rad_thread_answer(thread, number, reason);
	rseq_set_notify_resume(current);
	rad_deputy_drop_boomerang(thread);
	/* Whoever asks summons us, too. */
	if (newer) {
		rad_process_put(process);
		return;
	}
	if (!later) {
		/* Nor is what it makes tried there, one by one. */
		rad_spread_unfollow(current);
		settle(thread, process);
		return;
	}
	rad_deputy_go_out_later(thread);
	rad_process_put(process);
}

/* The freezer of cgroups runs task work, and takes the signal that it came with for handled. */
static bool is_frozen(void)
{
	return READ_ONCE(current->jobctl) & JOBCTL_TRAP_FREEZE || cgroup_task_frozen(current);
}

/* A probe (uprobe) steps over an instruction, with the trap flag set, in memory of its own. */
static bool is_probed(void)
{
	return current->utask && current->utask->active_uprobe;
}

/* May it leave now? If not, it stays, or tries again by and by. @number: of the request. */
static bool may_leave(struct rad_thread *thread, u32 number)
{
	struct pt_regs *regs = current_pt_regs();
	u32 reason;

	if (task_sigpending(current) || is_frozen() || is_probed()) {
		/* A signal is delivered first, natively, and decides about a restart. */
		rad_deputy_go_out_later(thread);
		return false;
	}
	/*
	 * Before the registers are touched: of a thread that is being traced we may be in the
	 * report of the end of a call, and the tracer is to see which it was.
	 */
	reason = why_not(thread, regs);
	if (reason) {
		stay_home(thread, number, reason);
		return false;
	}
	rad_regs_restart_syscall(regs, &thread->restart);
	if (!rad_vvar_may_leave(regs)) {
		rad_deputy_go_out_later(thread);
		return false;
	}
	if (thread->stuck) {
		/*
		 * Moved to and fro faster than its pages follow, it would never execute an
		 * instruction: it runs here for a while first.
		 */
		thread->stuck = false;
		thread->backoff = 0;
		rad_deputy_go_out_later(thread);
		return false;
	}
	return true;
}

/* After rad_process_enter(). */
static void leave_process(struct rad_process *process)
{
	rad_process_leave(process);
	rad_process_put(process);
}

/* The thread as one of its distributed process, which it has entered; or NULL: as may_leave(). */
static struct rad_process *enter_process(struct rad_thread *thread, u32 number)
{
	struct rad_process *process = rad_process_enter();

	if (IS_ERR(process)) {
		if (PTR_ERR(process) == -EINTR)
			/* A signal came meanwhile: as in may_leave(). */
			rad_deputy_go_out_later(thread);
		else
			stay_home(thread, number, RADIUM_R_NO_MEMORY);
		return NULL;
	}
	rad_thread_attach(thread, process);
	/* Called off meanwhile; who wants it now has another record. */
	if (READ_ONCE(thread->forgotten)) {
		rad_thread_detach(thread, process);
		rad_process_leave(process);
		/* It may have been made for this thread. */
		rad_process_retire_if_idle(process);
		rad_process_put(process);
		return NULL;
	}
	if (rad_node_is_emptying()) {
		leave_process(process);
		stay_home(thread, number, RADIUM_R_DRAIN);
		return NULL;
	}
	if (rad_process_is_draining(process)) {
		/* A node has to be told that it has ended: it begins anew. */
		rad_process_leave(process);
		rad_process_retire_if_idle(process);
		rad_process_put(process);
		rad_deputy_go_out_later(thread);
		return NULL;
	}
	return process;
}

/*
 * The stay begins: from here on the thread is on its way to @node, whose reference is its own.
 * Returns false if somebody has asked for something else meanwhile. Whoever recalls one that is
 * at home is told at once, and summons us. So does who asks for the same again; whether he may
 * was not looked at.
 */
static bool begin(struct rad_thread *thread, struct rad_node *node, u32 wanted, u32 number)
{
	const struct pt_regs *regs = current_pt_regs();

	spin_lock(&thread->lock);
	if (thread->wanted != wanted || thread->asked != number) {
		spin_unlock(&thread->lock);
		return false;
	}
	rad_thread_set_state(thread, RADIUM_THREAD_FREEZING);
	rad_thread_set_state(thread, RADIUM_THREAD_PREPARING);
	thread->node = node;
	thread->stay = atomic_inc_return(&stays);
	thread->recall = 0;
	thread->has_syscall = false;
	thread->in_syscall = false;
	/* Told by PREPARE; whoever begins to watch later finds PREPARING, and what is told. */
	thread->watched = rad_watch_is_on();
	thread->lost = 0;
	spin_unlock(&thread->lock);
	thread->recall_sent = false;
	/* The kernel would on the way to user mode, after us: the calls that come are 64-bit ones. */
	current_thread_info()->status &= ~TS_COMPAT;
	thread->digest_out = rad_deputy_digest(regs);
	thread->has_called = false;
	return true;
}

/* The commit: from here on the visitor is the thread. */
static void commit(struct rad_thread *thread, struct rad_process *process, u32 wanted, u32 number)
{
	bool changed;

	spin_lock(&thread->lock);
	rad_thread_set_state(thread, RADIUM_THREAD_AWAY);
	thread->out_since = jiffies;
	thread->migrations++;
	/* Somebody wants it elsewhere by now: it has to come back, and answers then. */
	changed = thread->wanted != wanted;
	if (changed)
		thread->recall = RADIUM_R_ASKED;
	else
		number = thread->asked;
	if (rad_node_is_dead(thread->node))
		thread->lost = RADIUM_R_NODE_LOST;
	spin_unlock(&thread->lock);
	rad_deputy_tell(thread, RAD_MSG_COMMIT, RADIUM_R_NONE);
	atomic64_inc(&process->stats.migrations);
	rad_event_post(RADIUM_EVENT_MIGRATED, wanted, task_tgid_nr(current), thread->id,
		       RADIUM_R_NONE);
	if (!changed)
		rad_thread_answer(thread, number, RADIUM_R_NONE);
}

/* rad_deputy_go_out() - the thread leaves, if it is wanted elsewhere; whether it is away now */
bool rad_deputy_go_out(struct rad_thread *thread)
{
	struct rad_process *process;
	struct rad_node *node;
	u32 wanted, number, reason;

	spin_lock(&thread->lock);
	wanted = thread->wanted;
	number = thread->asked;
	if (wanted == rad_node_self())
		wanted = thread->wanted = 0;
	spin_unlock(&thread->lock);
	if (!wanted) {
		rad_deputy_drop_boomerang(thread);
		process = rad_thread_process(thread);
		rad_thread_answer(thread, number, RADIUM_R_NONE);
		settle(thread, process);
		return false;
	}
	if (!may_leave(thread, number))
		return false;
	node = rad_node_get_up(wanted);
	if (!node) {
		stay_home(thread, number, RADIUM_R_NODE_DOWN);
		return false;
	}
	process = enter_process(thread, number);
	if (!process) {
		rad_node_put(node);
		return false;
	}
	rad_process_note_replica(process, node);
	rad_regs_leave_rseq(current_pt_regs());
	rad_deputy_drop_boomerang(thread);
	if (!begin(thread, node, wanted, number)) {
		rseq_set_notify_resume(current);
		rad_node_put(node);
		leave_process(process);
		return false;
	}
	reason = prepare(thread);
	/* It would never hear of the commit. */
	if (!reason && rad_node_is_dead(node))
		reason = RADIUM_R_NODE_DOWN;
	if (!reason)
		commit(thread, process, wanted, number);
	/* Before it settles at home, perhaps as the last: who has entered keeps the process. */
	leave_process(process);
	if (reason)
		stay_home(thread, number, reason);
	return !reason;
}

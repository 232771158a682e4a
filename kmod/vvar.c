// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: time does not jump when a thread moves.
 *
 * The vdso of the program reads the clocks from the vvar pages in front of it. In a
 * replica the first of them is ours: this node's data, as the timekeeper has just
 * written them for its own programs, with base times that are home's.
 *
 * A thread may move in the middle of a read. Therefore our page has the form of the
 * real one, with a sequence count that begins at random: a reader who began with one
 * node's data and ends with another's sees that the count has changed, and reads
 * again. (The kernel's other form, of a page with offsets for a time namespace that
 * points to a second page, will not do: its reader looks at the offsets after the
 * count, and finds no second page at home.) Both nodes run the same kernel build, so
 * that the layout is the same.
 *
 * The coarse clocks, and time(), tell when the last tick was. Two machines do not tick
 * at the same moments: a thread that has just seen home's tick would find that of its
 * node earlier, or the other way round, and a file that home has made would be younger
 * than now. Therefore a replica's coarse clocks lag by more than a tick, so that
 * home's are not behind them, but show at least what home's showed when it last let
 * one of the threads go on: at an arrival, or the end of a system call. If home's tick
 * is so late that its clocks are behind nevertheless, a thread that comes home, or whose
 * system call is to be done, waits for it.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/nsproxy.h>
#include <linux/pvclock_gtod.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/time_namespace.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <asm/vdso.h>
#include <vdso/datapage.h>
#include <vdso/helpers.h>
#include "node.h"
#include "vvar.h"
#include "wire.h"

enum { VDSO_DATA_OFFSET = 128 };	/* of _vdso_data in its page: asm/vvar.h */

/*
 * One tick makes up for home's being anywhere between two; the others are for clocks
 * that do not agree exactly, and for an interrupt that is late.
 */
enum { COARSE_LAG_NS = 3 * TICK_NSEC };

/* Home's clock is not so much ahead of ours: whoever says so has no say in what we show. */
enum { MOST_BEHIND_NS = NSEC_PER_SEC };

/* A clock that is ahead of home's goes back by so much of the time that passes: 12.5 %. */
enum { FOLLOW_PART = 8 };

/* Nor is ours of home's: who comes home does not wait longer for its tick. */
enum { CATCH_UP_TICKS = HZ / 10 };

/* ----------------------------------------------------------------- at home */

static unsigned long vvar_start(const struct mm_struct *mm)
{
	return mm->context.vdso ?
		(unsigned long)mm->context.vdso + mm->context.vdso_image->sym_vvar_start : 0;
}

/**
 * rad_vvar_find() - where current's vvar pages are, all of them and to be read
 *
 * The program may unmap them, or map something else there.
 *
 * Context: current in process context; waits for mmap_lock, killable.
 * Return: 0: not there any more.
 */
unsigned long rad_vvar_find(void)
{
	struct mm_struct *mm = current->mm;
	unsigned long start = vvar_start(mm);
	struct vm_area_struct *vma;
	bool there;

	if (!start || mmap_read_lock_killable(mm))
		return 0;
	vma = vma_lookup(mm, start);
	there = vma && vma->vm_start == start &&
		vma->vm_end == start + RAD_VVAR_PAGES * PAGE_SIZE && vma->vm_flags & VM_READ &&
		vma->vm_ops && vma->vm_ops->name && !strcmp(vma->vm_ops->name(vma), "[vvar]");
	mmap_read_unlock(mm);
	return there ? start : 0;
}

static bool in_time_namespace(void)
{
	return IS_ENABLED(CONFIG_TIME_NS) && current->nsproxy->time_ns->vvar_page;
}

/* How current's vdso reads the clock source. */
static s32 clock_mode(unsigned long start)
{
	s32 mode = VDSO_CLOCKMODE_NONE;

	if (start && get_user(mode, (s32 __user *)(start + VDSO_DATA_OFFSET +
						   offsetof(struct vdso_data, clock_mode))))
		mode = VDSO_CLOCKMODE_NONE;
	return mode;
}

/* rad_vvar_coarse() - current's CLOCK_MONOTONIC_COARSE, ns */
s64 rad_vvar_coarse(void)
{
	return ktime_get_coarse_ns() +
	       timespec64_to_ns(&current->nsproxy->time_ns->offsets.monotonic);
}

/* rad_vvar_real() - current's CLOCK_REALTIME minus its CLOCK_MONOTONIC, ns */
s64 rad_vvar_real(void)
{
	return ktime_to_ns(ktime_mono_to_real(0)) -
	       timespec64_to_ns(&current->nsproxy->time_ns->offsets.monotonic);
}

/**
 * rad_vvar_catch_up() - wait until home's coarse clocks show what the replica's have shown
 * @coarse: rad_vvar_shown() when current's last message left it
 *
 * Context: current, in process context; killable.
 */
void rad_vvar_catch_up(s64 coarse)
{
	int i;

	for (i = 0; i < CATCH_UP_TICKS && rad_vvar_coarse() < coarse; i++)
		schedule_timeout_killable(1);
}

/**
 * rad_vvar_describe() - current's vvar pages and clocks
 * @prepare: to be filled in
 * @to: the node that current goes to
 * @start: rad_vvar_find()
 *
 * Context: current at the boundary to user mode; sleeps.
 */
void rad_vvar_describe(struct rad_wire_prepare *prepare, struct rad_node *to, unsigned long start)
{
	const struct timens_offsets *own = &current->nsproxy->time_ns->offsets;
	struct rad_clock_offset clock;

	rad_node_clock_offset(to, &clock);
	prepare->vvar = cpu_to_le64(start);
	prepare->clock_mode = cpu_to_le32(clock_mode(start));
	prepare->mono = cpu_to_le64(clock.mono + timespec64_to_ns(&own->monotonic));
	prepare->boot = cpu_to_le64(clock.boot + timespec64_to_ns(&own->boottime));
	prepare->own = cpu_to_le64(timespec64_to_ns(&own->monotonic));
	prepare->real = cpu_to_le64(rad_vvar_real());
	prepare->raw = cpu_to_le64(ktime_get_raw_ns() - ktime_get_ns());
	prepare->coarse = cpu_to_le64(rad_vvar_coarse());
}

/**
 * rad_vvar_may_leave() - whether the vdso understands that it has moved
 * @regs: current's
 *
 * In a time namespace home's page has the form with offsets: see above.
 */
bool rad_vvar_may_leave(const struct pt_regs *regs)
{
	const struct mm_struct *mm = current->mm;
	unsigned long vdso = (unsigned long)mm->context.vdso;

	return !vdso || !in_time_namespace() ||
	       regs->ip < vdso || regs->ip >= vdso + mm->context.vdso_image->size;
}

/* ------------------------------------------------------------ in a replica */

static struct vdso_timestamp to_timestamp(s64 ns)
{
	struct vdso_timestamp time;
	s32 rest;

	time.sec = div_s64_rem(ns, NSEC_PER_SEC, &rest);
	if (rest < 0) {
		time.sec--;
		rest += NSEC_PER_SEC;
	}
	time.nsec = rest;
	return time;
}

static s64 to_ns(const struct vdso_timestamp *time, u32 shift)
{
	return time->sec * NSEC_PER_SEC + (time->nsec >> shift);
}

/* A base time, whose nanoseconds are shifted, and an offset. */
static struct vdso_timestamp sum(const struct vdso_timestamp *base, u32 shift, s64 offset)
{
	const u64 second = (u64)NSEC_PER_SEC << shift;
	struct vdso_timestamp sum = to_timestamp(offset);

	sum.sec += base->sec;
	sum.nsec = base->nsec + (sum.nsec << shift);
	while (sum.nsec >= second) {
		sum.nsec -= second;
		sum.sec++;
	}
	return sum;
}

/* The same clock, told from a moment that is @ns later, or a little more. */
static void advance(struct vdso_data *data, s64 ns)
{
	u64 cycles = div_u64((u64)ns << data->shift, data->mult) + 1;

	data->cycle_last += cycles;
	data->basetime[CLOCK_MONOTONIC].nsec += cycles * data->mult;
	data->basetime[CLOCK_BOOTTIME].nsec += cycles * data->mult;
}

/* The seconds are read without the count by time(). */
static void store(struct vdso_data *data, int clock, struct vdso_timestamp time)
{
	WRITE_ONCE(data->basetime[clock].sec, time.sec);
	data->basetime[clock].nsec = time.nsec;
}

static void read_here(const struct rad_vvar *vvar, struct vdso_data *here)
{
	u32 seq;

	do {
		seq = vdso_read_begin(vvar->here);
		memcpy(here, vvar->here, CS_BASES * sizeof(*here));
	} while (vdso_read_retry(vvar->here, seq));
}

/*
 * The two machines' clocks drift apart: what the page shows follows, by this node's own comparison.
 * Forwards at once, backwards by a part of the time that has passed: the clock stands still for that
 * long in each tick.
 */
static void follow(struct rad_vvar *vvar, s64 now)
{
	s64 step = vvar->own - rad_node_clock_ahead(vvar->home) - vvar->mono;

	step = max(step, -(now - vvar->followed) / FOLLOW_PART);
	vvar->mono += step;
	vvar->boot += step;
	vvar->real += step;
}

/*
 * How far readers of the page may have seen the clock by now. The page says that it is being written:
 * who has read the counter later reads again.
 */
static s64 latest(const struct vdso_data *data)
{
	u64 ns = data->basetime[CLOCK_MONOTONIC].nsec, cycles;

	smp_mb();
	cycles = rdtsc_ordered();
	if (cycles > data->cycle_last)
		ns += (cycles - data->cycle_last) * data->mult;
	return data->basetime[CLOCK_MONOTONIC].sec * NSEC_PER_SEC + (ns >> data->shift);
}

static void write_page(struct rad_vvar *vvar)
{
	struct vdso_data *data = page_address(vvar->page) + VDSO_DATA_OFFSET;
	struct vdso_timestamp real, coarse_real;
	struct vdso_data here[CS_BASES];
	s64 now, base, coarse, behind;
	bool again;
	s32 mode;
	int i;

	vdso_write_begin(data);
	read_here(vvar, here);
	mode = here->clock_mode;
	/* Back in the middle of a read, home needs the page that was being read. */
	if (mode != VDSO_CLOCKMODE_TSC && mode != vvar->home_mode)
		mode = VDSO_CLOCKMODE_NONE;
	now = to_ns(&here->basetime[CLOCK_MONOTONIC_COARSE], 0);
	/* Since home has said what its clocks are the page has been written, and may have been read. */
	again = vvar->followed;
	/* The counter of the other modes is not read here: see latest(). */
	if (again && mode == data->clock_mode &&
	    (mode == VDSO_CLOCKMODE_TSC || mode == VDSO_CLOCKMODE_NONE))
		follow(vvar, now);
	vvar->followed = now;

	base = to_ns(&here->basetime[CLOCK_MONOTONIC], here->shift) + vvar->mono;
	coarse = now + vvar->mono - COARSE_LAG_NS;
	behind = vvar->seen - base;
	if (behind < MOST_BEHIND_NS)
		coarse = max(coarse, vvar->seen);
	else
		behind = 0;
	if (again) {
		coarse = max(coarse, vvar->shown);
		if (mode == VDSO_CLOCKMODE_TSC && data->clock_mode == VDSO_CLOCKMODE_TSC)
			behind = max(behind, latest(data) - base);
	}
	if (behind > 0 && here->mult)
		advance(here, behind);
	vvar->shown = coarse;
	coarse_real = to_timestamp(coarse + vvar->real - vvar->mono);
	/* Where the vdso reads no counter the timekeeper does not tell this base; time() is told. */
	real = here->clock_mode == VDSO_CLOCKMODE_NONE ? coarse_real :
	       sum(&here->basetime[CLOCK_MONOTONIC], here->shift, vvar->real);
	/* These seconds are what time() tells, of the same moment as the coarse clock. */
	if (real.sec > coarse_real.sec) {
		real.nsec += (u64)(real.sec - coarse_real.sec) * ((u64)NSEC_PER_SEC << here->shift);
		real.sec = coarse_real.sec;
	}

	for (i = 0; i < CS_BASES; i++) {
		data[i].clock_mode = mode;
		data[i].cycle_last = here[i].cycle_last;
		data[i].mask = here[i].mask;
		data[i].mult = here[i].mult;
		data[i].shift = here[i].shift;
		data[i].tz_minuteswest = here[i].tz_minuteswest;
		data[i].tz_dsttime = here[i].tz_dsttime;
		data[i].hrtimer_res = here[i].hrtimer_res;
		data[i].arch_data = here[i].arch_data;
	}
	store(data, CLOCK_MONOTONIC,
	      sum(&here->basetime[CLOCK_MONOTONIC], here->shift, vvar->mono));
	store(data, CLOCK_MONOTONIC_COARSE, to_timestamp(coarse));
	store(data, CLOCK_BOOTTIME, sum(&here->basetime[CLOCK_BOOTTIME], here->shift, vvar->boot));
	store(data, CLOCK_REALTIME, real);
	store(data, CLOCK_REALTIME_COARSE, coarse_real);
	real.sec += here->basetime[CLOCK_TAI].sec - here->basetime[CLOCK_REALTIME].sec;
	store(data, CLOCK_TAI, real);
	store(&data[CS_RAW], CLOCK_MONOTONIC_RAW,
	      sum(&here[CS_RAW].basetime[CLOCK_MONOTONIC_RAW], here[CS_RAW].shift, vvar->raw));
	vdso_write_end(data);
}

/* The timekeeper has changed its data, or we have registered: its lock is held. */
static int update(struct notifier_block *updates, unsigned long was_set, void *timekeeper)
{
	struct rad_vvar *vvar = container_of(updates, struct rad_vvar, updates);

	raw_spin_lock(&vvar->writing);
	write_page(vvar);
	raw_spin_unlock(&vvar->writing);
	return NOTIFY_OK;
}

/**
 * rad_vvar_create() - make the page with home's clocks
 * @vvar: whose
 * @home: there for as long as @vvar
 * @prepare: where the pages are, and the clocks
 *
 * Return: 0 or -ENOMEM.
 */
int rad_vvar_create(struct rad_vvar *vvar, const struct rad_node *home,
		    const struct rad_wire_prepare *prepare)
{
	struct vdso_data *data;
	u32 seq = get_random_u32() & ~1;

	vvar->home = home;
	vvar->start = le64_to_cpu(prepare->vvar);
	vvar->updates.notifier_call = update;
	mutex_init(&vvar->lock);
	raw_spin_lock_init(&vvar->writing);
	vvar->page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!vvar->page)
		return -ENOMEM;
	data = page_address(vvar->page) + VDSO_DATA_OFFSET;
	data[CS_HRES_COARSE].seq = seq;
	data[CS_RAW].seq = seq;
	rad_vvar_set_clocks(vvar, prepare);
	return 0;
}

/* rad_vvar_destroy() - nobody has the page mapped any more */
void rad_vvar_destroy(struct rad_vvar *vvar)
{
	if (vvar->here)
		pvclock_gtod_unregister_notifier(&vvar->updates);
	__free_page(vvar->page);
}

/**
 * rad_vvar_set_clocks() - follow home's clocks
 * @vvar: of a replica in which no thread runs: its clocks would step
 * @prepare: the clocks
 */
void rad_vvar_set_clocks(struct rad_vvar *vvar, const struct rad_wire_prepare *prepare)
{
	s64 mono = le64_to_cpu(prepare->mono);
	s64 raw;

	mutex_lock(&vvar->lock);
	if (vvar->here)
		pvclock_gtod_unregister_notifier(&vvar->updates);
	/* Before the page's lock: update() has that inside the timekeeper's sequence count. */
	raw = ktime_get_raw_ns() - ktime_get_ns();
	raw_spin_lock_irq(&vvar->writing);
	vvar->home_mode = le32_to_cpu(prepare->clock_mode);
	vvar->own = le64_to_cpu(prepare->own);
	vvar->followed = 0;
	/* Of another time namespace perhaps: nobody who was there before is here any more. */
	vvar->seen = le64_to_cpu(prepare->coarse);
	vvar->mono = mono;
	vvar->boot = le64_to_cpu(prepare->boot);
	/* Raw and adjusted clock drift apart on each machine for itself. */
	vvar->raw = mono + le64_to_cpu(prepare->raw) - raw;
	/*
	 * By home's own difference, without an error: what its coarse clocks show is to be
	 * found here to the nanosecond. Nor does who sets this node's date set theirs.
	 */
	vvar->real = mono + le64_to_cpu(prepare->real);
	raw_spin_unlock_irq(&vvar->writing);
	/* Calls update(), under the timekeeper's lock. */
	if (vvar->here)
		pvclock_gtod_register_notifier(&vvar->updates);
	mutex_unlock(&vvar->lock);
}

/**
 * rad_vvar_has_seen() - a thread goes on that knows what home's clocks show
 * @vvar: whose
 * @coarse: rad_vvar_coarse() of home then: the page does not show less from now on
 * @real: rad_vvar_real() of home then: another one if somebody has set home's date, the
 *	thread itself perhaps. Of two that arrive in the wrong order the later one stays
 *
 * Context: any but the timekeeper's.
 */
void rad_vvar_has_seen(struct rad_vvar *vvar, s64 coarse, s64 real)
{
	unsigned long flags;
	bool set;

	raw_spin_lock_irqsave(&vvar->writing, flags);
	if (coarse >= vvar->seen) {
		set = vvar->real != vvar->mono + real;
		vvar->seen = coarse;
		vvar->real = vvar->mono + real;
		if (vvar->here && (set || coarse > vvar->shown))
			write_page(vvar);
	}
	raw_spin_unlock_irqrestore(&vvar->writing, flags);
}

/* rad_vvar_shown() - the latest CLOCK_MONOTONIC_COARSE that a thread here may know, ns */
s64 rad_vvar_shown(struct rad_vvar *vvar)
{
	unsigned long flags;
	s64 shown;

	raw_spin_lock_irqsave(&vvar->writing, flags);
	shown = vvar->here ? vvar->shown : vvar->seen;
	raw_spin_unlock_irqrestore(&vvar->writing, flags);
	return shown;
}

/* What the vdso reads. */
static const struct vdso_data *shown_data(const struct rad_vvar *vvar)
{
	return page_address(vvar->page) + VDSO_DATA_OFFSET;
}

/* Is that one of the clocks of the page that tell the same as home's? */
static bool is_shown(const struct rad_vvar *vvar, clockid_t clock, bool *coarse)
{
	*coarse = clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE;
	/* Not CLOCK_TAI: its leap seconds are this node's. */
	return vvar->here && (*coarse || clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC ||
			      clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_BOOTTIME);
}

/**
 * rad_vvar_read() - one of home's clocks, as the vdso reads it from the page
 * @vvar: whose
 * @clock: which
 * @time: out
 *
 * The same numbers by the same arithmetic as in lib/vdso/gettimeofday.c, so that neither way to
 * ask is ever behind the other.
 *
 * Context: process context; holds none of the locks under which the page is written.
 * Return: false: the page does not tell, or not the same as home's clock.
 */
bool rad_vvar_read(const struct rad_vvar *vvar, clockid_t clock, struct timespec64 *time)
{
	const struct vdso_data *data = shown_data(vvar);
	struct system_time_snapshot counter = { };
	u64 ns, cycles;
	bool coarse;
	u32 seq, rest;

	if (!is_shown(vvar, clock, &coarse))
		return false;
	if (clock == CLOCK_MONOTONIC_RAW)
		data += CS_RAW;
	do {
		seq = vdso_read_begin(data);
		time->tv_sec = data->basetime[clock].sec;
		ns = data->basetime[clock].nsec;
		if (coarse)
			continue;
		if (data->clock_mode == VDSO_CLOCKMODE_NONE)
			return false;
		/*
		 * The counter of the clock source that the timekeeper uses. If that is another
		 * one by now the page has been written, too, in the same step.
		 */
		ktime_get_snapshot(&counter);
		cycles = counter.cycles;
		if (cycles > data->cycle_last)
			ns += (cycles - data->cycle_last) * data->mult;
		ns >>= data->shift;
	} while (vdso_read_retry(data, seq));
	time->tv_sec += div_u64_rem(ns, NSEC_PER_SEC, &rest);
	time->tv_nsec = rest;
	return true;
}

/**
 * rad_vvar_seconds() - time(), as the vdso reads it from the page
 * @vvar: whose
 * @seconds: out
 *
 * Return: false: the page does not tell.
 */
bool rad_vvar_seconds(const struct rad_vvar *vvar, s64 *seconds)
{
	if (!vvar->here)
		return false;
	*seconds = READ_ONCE(shown_data(vvar)->basetime[CLOCK_REALTIME].sec);
	return true;
}

/**
 * rad_vvar_resolution() - that of a clock of the page
 * @vvar: whose
 * @clock: which
 * @ns: out
 *
 * Return: false: the page does not tell.
 */
bool rad_vvar_resolution(const struct rad_vvar *vvar, clockid_t clock, long *ns)
{
	bool coarse;

	if (!is_shown(vvar, clock, &coarse))
		return false;
	*ns = coarse ? LOW_RES_NSEC : READ_ONCE(shown_data(vvar)->hrtimer_res);
	return true;
}

/**
 * rad_vvar_start() - find this node's vvar pages, and follow them
 * @vvar: whose
 *
 * Context: the manager, before it gives up its address space.
 */
void rad_vvar_start(struct rad_vvar *vvar)
{
	struct mm_struct *mm = current->mm;
	unsigned long start = vvar_start(mm);
	struct vm_area_struct *vma;
	u8 __maybe_unused byte;
	int i;

	if (!start || in_time_namespace())
		return;
	for (i = 0; i < RAD_VVAR_PAGES; i++) {
		unsigned long address = start + i * PAGE_SIZE;

		/* Pages of clock sources that this machine lacks are not there. */
		if (get_user(byte, (u8 __user *)address))
			continue;
		mmap_read_lock(mm);
		vma = vma_lookup(mm, address);
		if (!vma || follow_pfn(vma, address, &vvar->pfn[i]))
			vvar->pfn[i] = 0;
		mmap_read_unlock(mm);
	}
	if (!vvar->pfn[0])
		return;
	mutex_lock(&vvar->lock);
	vvar->here = page_address(pfn_to_page(vvar->pfn[0])) + VDSO_DATA_OFFSET;
	pvclock_gtod_register_notifier(&vvar->updates);
	mutex_unlock(&vvar->lock);
}

/**
 * rad_vvar_pfn() - the frame to show at a vvar address
 * @vvar: whose
 * @address: user address
 *
 * Return: 0 if the address is not one of these, ULONG_MAX if there is none to show.
 */
unsigned long rad_vvar_pfn(const struct rad_vvar *vvar, unsigned long address)
{
	unsigned long i;

	if (!vvar->start || address < vvar->start ||
	    address >= vvar->start + RAD_VVAR_PAGES * PAGE_SIZE)
		return 0;
	/* Without data of this node the clocks are read at home. */
	i = (address - vvar->start) >> PAGE_SHIFT;
	if (i == 0)
		return vvar->here ? page_to_pfn(vvar->page) : ULONG_MAX;
	return vvar->pfn[i] ?: ULONG_MAX;
}

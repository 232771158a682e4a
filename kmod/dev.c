// SPDX-License-Identifier: GPL-2.0
/* Radium: the character device, its calls about the node itself, and its events. */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "dev.h"
#include "dev_internal.h"
#include "event.h"
#include "node.h"
#include "process.h"
#include "replica.h"
#include "thread.h"
#include "wire.h"
#include "../uapi/linux/radium.h"

/**
 * struct dev_file - an open descriptor
 * @greeted: RADIUM_IOC_HELLO was the first call
 * @mutex: makes @events once
 * @events: for read and poll, NULL until the first
 * @replica: whose window is mapped through it, NULL for others
 */
struct dev_file {
	bool greeted;
	struct mutex mutex;
	struct rad_event_reader *events;
	struct rad_replica *replica;
};

/** rad_device_set_replica() - the descriptor keeps the replica from now on */
void rad_device_set_replica(struct file *file, struct rad_replica *replica)
{
	struct dev_file *df = file->private_data;

	rad_replica_get(replica);
	df->replica = replica;
}

/**
 * rad_dev_fetch() - copy an argument in: its first member says how much of it the caller knows
 * @to: where to; what the caller does not know becomes zero
 * @size: of it
 * @least: bytes that the caller has to know
 * @from: user address
 * Return: 0, -EFAULT, -EINVAL for too little, -E2BIG for members that are not zero and unknown
 * here, or for more than a page.
 */
int rad_dev_fetch(void *to, size_t size, size_t least, const void __user *from)
{
	u32 user_size;

	if (get_user(user_size, (const u32 __user *)from))
		return -EFAULT;
	if (user_size > PAGE_SIZE)
		return -E2BIG;
	if (user_size < least)
		return -EINVAL;
	return copy_struct_from_user(to, size, from, user_size);
}

/**
 * rad_dev_store() - copy an argument out again, as much as the caller knows
 * @to: user address
 * @from: the argument
 * @size: of it
 * Return: 0, -EFAULT, -EINVAL.
 */
int rad_dev_store(void __user *to, const void *from, size_t size)
{
	u32 user_size;

	if (get_user(user_size, (const u32 __user *)to))
		return -EFAULT;
	/* Read again: it may be another one now. */
	if (user_size < sizeof(u32))
		return -EINVAL;
	/* The size stays the caller's. */
	if (copy_to_user(to + sizeof(u32), from + sizeof(u32),
			 min_t(size_t, size, user_size) - sizeof(u32)))
		return -EFAULT;
	return 0;
}

static long hello(struct dev_file *df, void __user *arg)
{
	struct radium_hello hello;
	int err;

	err = rad_dev_fetch(&hello, sizeof(hello), offsetofend(struct radium_hello, abi), arg);
	if (err)
		return err;
	if (hello.abi != RADIUM_ABI_VERSION) {
		hello.abi = RADIUM_ABI_VERSION;
		return rad_dev_store(arg, &hello, sizeof(hello)) ?: -EPROTO;
	}
	hello.wire = RAD_WIRE_VERSION;
	hello.node = rad_node_joined() ? rad_node_self() : 0;
	hello.features = 0;
	hello.processes = rad_process_count();
	hello.visitors = rad_replica_visitor_count();
	err = rad_dev_store(arg, &hello, sizeof(hello));
	df->greeted = !err;
	return err;
}

static long join(void __user *arg)
{
	char (*peers)[RADIUM_ADDR_SIZE] = NULL;
	struct radium_node_join *join;
	long err = -ENOMEM;
	u32 i;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	join = kzalloc(sizeof(*join), GFP_KERNEL);
	if (!join)
		return -ENOMEM;
	err = rad_dev_fetch(join, sizeof(*join), offsetofend(struct radium_node_join, replica), arg);
	if (err)
		goto out;
	err = -EINVAL;
	if (!join->id || join->id > RADIUM_NODE_MAX || join->port > 65535 ||
	    join->peer_count > RADIUM_NODE_MAX ||
	    strnlen(join->addr, sizeof(join->addr)) == sizeof(join->addr) ||
	    strnlen(join->replica, sizeof(join->replica)) == sizeof(join->replica) ||
	    join->replica[0] != '/')
		goto out;
	if (join->peer_count) {
		peers = memdup_user(u64_to_user_ptr(join->peers),
				    join->peer_count * RADIUM_ADDR_SIZE);
		if (IS_ERR(peers)) {
			err = PTR_ERR(peers);
			peers = NULL;
			goto out;
		}
		for (i = 0; i < join->peer_count; i++)
			if (strnlen(peers[i], RADIUM_ADDR_SIZE) == RADIUM_ADDR_SIZE)
				goto out;
	}
	err = rad_node_join(join, peers);
out:
	kfree(peers);
	kfree_sensitive(join);
	return err;
}

static long leave(void __user *arg, bool drain_only)
{
	struct radium_node_leave leave;
	unsigned long deadline;
	int err, e;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	err = rad_dev_fetch(&leave, sizeof(leave), sizeof(u32), arg);
	if (err)
		return err;
	leave.reason = RADIUM_R_NONE;
	deadline = jiffies + rad_timeout_jiffies(leave.timeout_ms);
	if (!rad_node_joined()) {
		leave.reason = RADIUM_R_NOT_JOINED;
		return rad_dev_store(arg, &leave, sizeof(leave)) ?: -ENOTCONN;
	}
	rad_node_empty_begin();
	if (drain_only || leave.drain) {
		/* The homes of visitors are at work while ours are waited for. */
		rad_replica_drain(0);
		err = rad_process_drain(&leave.reason, rad_jiffies_left(deadline));
		e = rad_replica_drain(rad_jiffies_left(deadline));
		err = err ?: e;
		if (err == -ETIMEDOUT && !leave.reason)
			leave.reason = RADIUM_R_TIMEOUT;
	}
	if (!err && !drain_only) {
		if (rad_process_count() || rad_replica_count()) {
			leave.reason = RADIUM_R_DISTRIBUTED;
			err = -EBUSY;
		} else {
			err = rad_node_leave();
		}
	}
	rad_node_empty_end();
	return rad_dev_store(arg, &leave, sizeof(leave)) ?: err;
}

static long run_replica(struct file *file, void __user *arg)
{
	struct radium_replica replica;
	int err;

	/* Visitors are 64-bit threads: they run in no other memory. */
	if (in_compat_syscall())
		return -EINVAL;
	err = rad_dev_fetch(&replica, sizeof(replica), offsetofend(struct radium_replica, token),
			    arg);
	if (err)
		return err;
	if (replica.reserved)
		return -EINVAL;
	return rad_replica_run_manager(file, replica.token);
}

/* ------------------------------------------------------------ the device */

static const struct file_operations dev_fops;

/**
 * rad_device_is_restarted() - may a task be woken out of an ioctl unnoticed?
 * @file: of any kind
 * @cmd: the ioctl
 *
 * Of those that move threads, which may wait for each other. MIGRATE asks once more for what it wants;
 * RECALL ends with EINTR, which its caller has to expect.
 */
bool rad_device_is_restarted(const struct file *file, unsigned int cmd)
{
	unsigned int call = RAD_DEV_CALL(cmd);

	return file->f_op == &dev_fops && (call == RAD_DEV_CALL(RADIUM_IOC_MIGRATE) ||
					   call == RAD_DEV_CALL(RADIUM_IOC_RECALL));
}

static long dev_ioctl(struct file *file, unsigned int cmd, unsigned long raw)
{
	void __user *arg = (void __user *)raw;
	struct dev_file *df = file->private_data;
	unsigned int call = RAD_DEV_CALL(cmd);

	if (call == RAD_DEV_CALL(RADIUM_IOC_HELLO))
		return hello(df, arg);
	if (!df->greeted)
		return -EPROTO;
	if ((call == RAD_DEV_CALL(RADIUM_IOC_NODE_LEAVE) ||
	     call == RAD_DEV_CALL(RADIUM_IOC_NODE_DRAIN)) && rad_thread_comes_home())
		return -ERESTARTNOINTR;
	switch (call) {
	case RAD_DEV_CALL(RADIUM_IOC_NODE_JOIN): return join(arg);
	case RAD_DEV_CALL(RADIUM_IOC_NODE_LEAVE): return leave(arg, false);
	case RAD_DEV_CALL(RADIUM_IOC_NODE_DRAIN): return leave(arg, true);
	case RAD_DEV_CALL(RADIUM_IOC_MIGRATE): return rad_dev_migrate(arg);
	case RAD_DEV_CALL(RADIUM_IOC_RECALL): return rad_dev_recall(arg);
	case RAD_DEV_CALL(RADIUM_IOC_SPREAD): return rad_dev_spread(arg);
	case RAD_DEV_CALL(RADIUM_IOC_REPLICA): return run_replica(file, arg);
	default: return rad_dev_list(call, arg);
	}
}

static int dev_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct dev_file *df = file->private_data;

	return df->replica ? rad_window_mmap(df->replica, vma) : -ENODEV;
}

static struct rad_event_reader *reader_of(struct dev_file *df)
{
	struct rad_event_reader *reader;

	mutex_lock(&df->mutex);
	reader = df->events ?: rad_event_reader_create();
	if (!IS_ERR(reader))
		df->events = reader;
	mutex_unlock(&df->mutex);
	return reader;
}

static ssize_t dev_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	struct rad_event_reader *reader = reader_of(file->private_data);

	if (IS_ERR(reader))
		return PTR_ERR(reader);
	return rad_event_read(reader, buf, len, file->f_flags & O_NONBLOCK);
}

static __poll_t dev_poll(struct file *file, poll_table *wait)
{
	struct rad_event_reader *reader = reader_of(file->private_data);

	return IS_ERR(reader) ? EPOLLERR : rad_event_poll(reader, file, wait);
}

static int dev_open(struct inode *inode, struct file *file)
{
	struct dev_file *df = kzalloc(sizeof(*df), GFP_KERNEL_ACCOUNT);

	if (!df)
		return -ENOMEM;
	mutex_init(&df->mutex);
	file->private_data = df;
	return nonseekable_open(inode, file);
}

static int dev_release(struct inode *inode, struct file *file)
{
	struct dev_file *df = file->private_data;

	if (df->replica) {
		rad_replica_file_released(df->replica);
		rad_replica_put(df->replica);
	}
	rad_event_reader_destroy(df->events);
	kfree(df);
	return 0;
}

static const struct file_operations dev_fops = {
	.owner = THIS_MODULE,
	.open = dev_open,
	.release = dev_release,
	.unlocked_ioctl = dev_ioctl,
	/* The structures are the same for 32-bit programs, which may look, and move others. */
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = dev_mmap,
	.read = dev_read,
	.poll = dev_poll,
	.llseek = no_llseek,
};

/* Open to everybody: each call checks what the caller may do. */
static struct miscdevice dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "radium",
	.fops = &dev_fops,
	.mode = 0666,
};

int rad_device_init(void)
{
	return misc_register(&dev);
}

void rad_device_uninit(void)
{
	misc_deregister(&dev);
}

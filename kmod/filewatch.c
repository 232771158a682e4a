// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "radium: " fmt

#include <linux/fs.h>
#include <linux/fsnotify_backend.h>
#include <linux/slab.h>
#include "filewatch.h"
#include "process.h"
#include "process_internal.h"

/**
 * struct watch - one inode is watched
 * @mark: does not keep the inode: a mapping does, as long as it matters
 * @inode: which; compared, not followed
 * @list: in watches, and then in ended
 */
struct watch {
	struct fsnotify_mark mark;
	const struct inode *inode;
	struct list_head list;
};

static struct fsnotify_group *group;
static LIST_HEAD(watches);
/* Nobody is heard of any more, and copies may be elsewhere; each with a reference. */
static LIST_HEAD(ended);
static DEFINE_SPINLOCK(watches_lock);

static void unlist(struct watch *watch)
{
	spin_lock(&watches_lock);
	list_del_init(&watch->list);
	spin_unlock(&watches_lock);
}

/* Drops the copies of its pages that processes have elsewhere; returns when they are gone. */
static void drop_copies(const struct inode *inode)
{
	struct rad_process **array;
	u32 n, i;

	array = rad_process_snapshot_wait(&n);
	for (i = 0; i < n; i++) {
		rad_homemem_drop_file(array[i], inode);
		rad_process_put(array[i]);
	}
	kvfree(array);
}

/*
 * The file has been opened, its opener has not returned yet. If for writing, no new
 * copies are made from now on, and those that were made are dropped before he
 * can write.
 */
static int opened(struct fsnotify_mark *mark, u32 mask, struct inode *inode, struct inode *dir,
		  const struct qstr *name, u32 cookie)
{
	if (inode && inode_is_open_for_write(inode))
		drop_copies(inode);
	return 0;
}

static struct watch *take_ended(void)
{
	struct watch *watch;

	spin_lock(&watches_lock);
	watch = list_first_entry_or_null(&ended, struct watch, list);
	if (watch)
		list_del_init(&watch->list);
	spin_unlock(&watches_lock);
	return watch;
}

static void end_watches(struct work_struct *work)
{
	struct watch *watch;

	while ((watch = take_ended())) {
		drop_copies(watch->inode);
		fsnotify_put_mark(&watch->mark);
	}
}

static DECLARE_WORK(ending, end_watches);

/*
 * The inode goes, or only its last name: then the kernel takes the marks away while a process may
 * have the file mapped by a name that was removed before, and nobody hears of who opens it by
 * /proc/PID/fd. So the copies go, too; not at once, since whoever removes a name has a directory
 * locked, and whoever frees an inode may do so for reclaim. When the module goes there are none.
 */
static void freeing_mark(struct fsnotify_mark *mark, struct fsnotify_group *of)
{
	struct watch *watch = container_of(mark, struct watch, mark);

	refcount_inc(&mark->refcnt);
	spin_lock(&watches_lock);
	list_move_tail(&watch->list, &ended);
	spin_unlock(&watches_lock);
	queue_work(system_unbound_wq, &ending);
}

static void free_mark(struct fsnotify_mark *mark)
{
	kfree(container_of(mark, struct watch, mark));
}

static const struct fsnotify_ops ops = {
	.handle_inode_event = opened,
	.freeing_mark = freeing_mark,
	.free_mark = free_mark,
};

/*
 * A mark is found before it is heeded: who has just put it there adds it to the inode's mask
 * next, and whoever wants to add another one waits for that.
 */
static bool is_watched(struct inode *inode)
{
	struct fsnotify_mark *mark = fsnotify_find_mark(&inode->i_fsnotify_marks, group);

	if (!mark)
		return false;
	fsnotify_put_mark(mark);
	return READ_ONCE(inode->i_fsnotify_mask) & FS_OPEN;
}

static int watch(struct inode *inode)
{
	struct watch *new;
	int err;

	if (is_watched(inode))
		return 0;
	new = kzalloc(sizeof(*new), GFP_KERNEL);
	if (!new)
		return -ENOMEM;
	fsnotify_init_mark(&new->mark, group);
	new->inode = inode;
	new->mark.mask = FS_OPEN;
	new->mark.flags |= FSNOTIFY_MARK_FLAG_NO_IREF;
	/* Listed first: the mark may be freed as soon as it is there. */
	spin_lock(&watches_lock);
	list_add(&new->list, &watches);
	spin_unlock(&watches_lock);
	err = fsnotify_add_inode_mark(&new->mark, inode, 0);
	if (err)
		unlist(new);
	fsnotify_put_mark(&new->mark);
	return err == -EEXIST ? 0 : err;
}

/* A file on overlayfs is mapped through another inode than the one that is opened. */
static struct inode *named_inode(struct file *file)
{
	return d_inode(file->f_path.dentry);
}

/**
 * rad_filewatch_covers() - would we hear of it if this file were opened for writing?
 * @file: of a mapping
 *
 * Context: does not sleep.
 */
bool rad_filewatch_covers(struct file *file)
{
	return is_watched(file_inode(file)) &&
	       (named_inode(file) == file_inode(file) || is_watched(named_inode(file)));
}

/**
 * rad_filewatch_add() - hear of it when this file is opened for writing
 * @file: of a mapping; who has it open already does not show
 *
 * Context: sleeps; not under mmap_lock.
 * Return: 0 or a negative error.
 */
int rad_filewatch_add(struct file *file)
{
	int err = watch(file_inode(file));

	if (!err && named_inode(file) != file_inode(file))
		err = watch(named_inode(file));
	return err;
}

int rad_filewatch_init(void)
{
	/* Reclaim evicts inodes that are watched, and takes the lock under which we allocate. */
	group = fsnotify_alloc_group(&ops, FSNOTIFY_GROUP_NOFS);
	return PTR_ERR_OR_ZERO(group);
}

/* rad_filewatch_uninit() - no file is watched any more, nothing of us is called */
void rad_filewatch_uninit(void)
{
	struct watch *watch;

	for (;;) {
		spin_lock(&watches_lock);
		watch = list_first_entry_or_null(&watches, struct watch, list);
		/* It is freed only after it has left the list. */
		if (watch)
			refcount_inc(&watch->mark.refcnt);
		spin_unlock(&watches_lock);
		if (!watch)
			break;
		fsnotify_destroy_mark(&watch->mark, group);
		fsnotify_put_mark(&watch->mark);
	}
	/* A mark that somebody else destroys may not be among those yet: it has a reference. */
	fsnotify_wait_marks_destroyed();
	while (refcount_read(&group->refcnt) > 1) {
		schedule_timeout_uninterruptible(1);
		fsnotify_wait_marks_destroyed();
	}
	flush_work(&ending);
	fsnotify_put_group(group);
}

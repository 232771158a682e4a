// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: the RDMA device.
 *
 * One at a time, from join to leave. Its protection domain lives as long as anything on it.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/slab.h>
#include "link_internal.h"

static struct rad_hca *current_dev;
static DEFINE_MUTEX(dev_mutex);

static void dev_release(struct kref *ref)
{
	struct rad_hca *dev = container_of(ref, struct rad_hca, ref);

	ib_dealloc_pd(dev->pd);
	ib_device_put(dev->ibdev);
	kfree(dev);
}

void rad_hca_put(struct rad_hca *dev)
{
	kref_put(&dev->ref, dev_release);
}

/**
 * rad_hca_get - the device in use, if it is this one
 * @ibdev: the device
 *
 * Context: process.
 * Return: the device with a reference, or NULL.
 */
struct rad_hca *rad_hca_get(struct ib_device *ibdev)
{
	struct rad_hca *dev = NULL;

	mutex_lock(&dev_mutex);
	if (current_dev && current_dev->ibdev == ibdev) {
		dev = current_dev;
		kref_get(&dev->ref);
	}
	mutex_unlock(&dev_mutex);
	return dev;
}

/*
 * Does what the device writes arrive where it is read? A bounce buffer (swiotlb=force,
 * encrypted memory) has to be copied from, which undoes what has been written to the page
 * meanwhile; landing pages are never synced. It is tried, since of what is behind an IOMMU
 * dma_need_sync() says yes, too.
 */
static int check_dma(struct ib_device *ibdev)
{
	u8 *page;
	u64 dma;
	int err = -EIO;

	if (ib_uses_virt_dma(ibdev))
		return 0;
	/* One page may be where it reaches, and others not. */
	if (dma_addressing_limited(ibdev->dma_device)) {
		pr_err("%s does not reach all of this machine's memory: not supported\n",
		       dev_name(&ibdev->dev));
		return -EOPNOTSUPP;
	}
	page = (u8 *)get_zeroed_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	dma = ib_dma_map_single(ibdev, page, PAGE_SIZE, DMA_FROM_DEVICE);
	if (ib_dma_mapping_error(ibdev, dma))
		goto out;
	WRITE_ONCE(*page, 1);
	ib_dma_sync_single_for_cpu(ibdev, dma, PAGE_SIZE, DMA_FROM_DEVICE);
	err = READ_ONCE(*page) ? 0 : -EOPNOTSUPP;
	ib_dma_unmap_single(ibdev, dma, PAGE_SIZE, DMA_FROM_DEVICE);
	if (err)
		pr_err("%s writes to bounce buffers (swiotlb=force, encrypted memory): not supported\n",
		       dev_name(&ibdev->dev));
out:
	free_page((unsigned long)page);
	return err;
}

/**
 * rad_hca_open - use a device
 * @ibdev: the device
 * @port: its port
 *
 * Context: process; no device is open.
 * Return: 0, -EOPNOTSUPP without fast registration or RDMA writes with immediate data (iWARP), or
 * with bounce buffers, or where regions cannot be addressed as we like, or a negative errno.
 */
int rad_hca_open(struct ib_device *ibdev, u32 port)
{
	struct rad_hca *dev;
	int err;

	if (!(rdma_protocol_ib(ibdev, port) || rdma_protocol_roce(ibdev, port)) ||
	    !(ibdev->attrs.device_cap_flags & IB_DEVICE_MEM_MGT_EXTENSIONS) ||
	    ibdev->attrs.max_fast_reg_page_list_len < RAD_CHUNK_PAGES ||
	    /* It takes the distance of a region's address from its first page for an offset into that. */
	    ibdev->ops.driver_id == RDMA_DRIVER_OCRDMA) {
		pr_err("%s is neither InfiniBand nor RoCE, or registers memory in another way: not supported\n",
		       dev_name(&ibdev->dev));
		return -EOPNOTSUPP;
	}
	err = check_dma(ibdev);
	if (err)
		return err;
	dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	if (!dev)
		return -ENOMEM;
	kref_init(&dev->ref);
	dev->ibdev = ibdev;
	/* Who removes it may have asked our ib_client before: see rad_node_dev_going(). */
	err = -ENODEV;
	if (!ib_device_try_get(ibdev))
		goto free;
	dev->pd = ib_alloc_pd(ibdev, 0);
	if (IS_ERR(dev->pd)) {
		err = PTR_ERR(dev->pd);
		goto put;
	}
	mutex_lock(&dev_mutex);
	current_dev = dev;
	mutex_unlock(&dev_mutex);
	rad_pool_open();
	return 0;
put:
	ib_device_put(ibdev);
free:
	kfree(dev);
	return err;
}

/**
 * rad_hca_current - the device in use
 *
 * Context: process.
 * Return: the device with a reference, or NULL.
 */
struct rad_hca *rad_hca_current(void)
{
	struct rad_hca *dev;

	mutex_lock(&dev_mutex);
	dev = current_dev;
	if (dev)
		kref_get(&dev->ref);
	mutex_unlock(&dev_mutex);
	return dev;
}

/**
 * rad_hca_close - give the device up
 *
 * 1. All connections are closed, and none can be made: the listener is gone.
 * 2. The pool's pages are registered no more.
 * 3. The last reference to the device goes.
 *
 * Context: process.
 */
void rad_hca_close(void)
{
	struct rad_hca *dev;

	mutex_lock(&dev_mutex);
	dev = current_dev;
	current_dev = NULL;
	mutex_unlock(&dev_mutex);
	if (!dev)
		return;
	rad_pool_close();
	rad_hca_put(dev);
}

static void client_remove(struct ib_device *ibdev, void *data)
{
	struct rad_hca *dev = rad_hca_get(ibdev);

	if (!dev)
		return;
	rad_hca_put(dev);
	pr_warn("RDMA device %s is going away\n", dev_name(&ibdev->dev));
	rad_node_dev_gone();
}

/*
 * Removed before rdma_cm is, since registered after it: all our objects on the
 * device are gone when rdma_cm asks for its ids. But for one that is becoming ours just then:
 * rad_node_dev_going().
 */
static struct ib_client client = {
	.name = "radium",
	.remove = client_remove,
};

/**
 * rad_hca_init - at load of the module
 *
 * Return: 0 or a negative errno.
 */
int rad_hca_init(void)
{
	rad_pool_init();
	return ib_register_client(&client);
}

/**
 * rad_hca_uninit - at unload of the module, after leave
 */
void rad_hca_uninit(void)
{
	ib_unregister_client(&client);
	rad_pool_uninit();
}

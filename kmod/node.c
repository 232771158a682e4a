// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: this machine as a node: join and leave.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <linux/cpumask.h>
#include <linux/inet.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched/loadavg.h>
#include <net/net_namespace.h>
#include "homemem.h"
#include "link_internal.h"

struct workqueue_struct *rad_wq;
struct workqueue_struct *rad_conn_wq;
struct workqueue_struct *rad_worker_wq;

/* Join, leave, and the coming and going of the device; outermost. */
static DEFINE_MUTEX(join_mutex);

static struct {
	u32 id;
	u64 incarnation;
	bool joined;
	bool listening;
	struct sockaddr_storage addr;
	char replica[RADIUM_PATH_SIZE];
} self;

static void listen_again(struct work_struct *work);
static DECLARE_DELAYED_WORK(listen_work, listen_again);

/* ---- what the layers above ask ---- */

/**
 * rad_node_get - take a reference to a node
 * @node: a node that the caller has a reference to
 *
 * Return: @node.
 */
struct rad_node *rad_node_get(struct rad_node *node)
{
	kref_get(&node->ref);
	return node;
}

/**
 * rad_node_put - drop a reference to a node
 * @node: the node, or NULL
 *
 * Context: any.
 */
void rad_node_put(struct rad_node *node)
{
	if (node)
		kref_put(&node->ref, rad_link_free);
}

/**
 * rad_node_id - its id
 * @node: the node
 */
u32 rad_node_id(const struct rad_node *node)
{
	return node->id;
}

/* rad_node_incarnation_of - as in its AUTH: another one has lost the state of this one */
u64 rad_node_incarnation_of(const struct rad_node *node)
{
	return node->incarnation;
}

/**
 * rad_node_is_dead - has the session ended?
 * @node: the node; once dead it stays dead: a peer that comes back gets another
 *	struct rad_node
 */
bool rad_node_is_dead(const struct rad_node *node)
{
	return !READ_ONCE(node->alive);
}

/**
 * rad_node_joined - is this machine a node?
 */
bool rad_node_joined(void)
{
	return READ_ONCE(self.joined);
}

/**
 * rad_node_self - own id, 0 if not joined
 */
u32 rad_node_self(void)
{
	return READ_ONCE(self.id);
}

/* How many are emptying this node. */
static atomic_t emptying;

/**
 * rad_node_empty_begin - from now on no thread leaves for another node, or comes from one
 *
 * Those that are under way are seen by whoever looks for them afterwards: they are in the
 * lists of processes and replicas before they ask rad_node_is_emptying().
 *
 * Context: any; until rad_node_empty_end().
 */
void rad_node_empty_begin(void)
{
	atomic_inc(&emptying);
	smp_mb__after_atomic();
}

/* rad_node_empty_end - threads may move again */
void rad_node_empty_end(void)
{
	atomic_dec(&emptying);
}

/**
 * rad_node_is_emptying - is this node being drained, or about to leave or to sleep?
 *
 * Context: any; to be asked by a mover who can be found already.
 */
bool rad_node_is_emptying(void)
{
	/* Pairs with the barrier in rad_node_empty_begin(). */
	smp_mb();
	return atomic_read(&emptying);
}

/**
 * rad_node_replica_path - path of the radium-replica program
 *
 * Return: as join was told; must not be used after leave.
 */
const char *rad_node_replica_path(void)
{
	return self.replica;
}

const struct sockaddr *rad_node_addr(void)
{
	return (const struct sockaddr *)&self.addr;
}

u64 rad_node_incarnation(void)
{
	return self.incarnation;
}

static void fill_self(struct radium_node_info *info)
{
	info->id = self.id;
	info->state = RADIUM_NODE_SELF;
	info->load = (avenrun[0] * 100) >> FSHIFT;
	info->cpus = num_online_cpus();
	snprintf(info->addr, sizeof(info->addr), "%pISc", &self.addr);
}

/**
 * rad_node_list - all nodes that this one knows, itself first
 * @infos: where to; @visitors is left to the caller
 * @room: entries of @infos
 * @total: how many there are
 *
 * Context: process.
 * Return: entries written; 0 if not joined.
 */
int rad_node_list(struct radium_node_info *infos, u32 room, u32 *total)
{
	u32 peers;

	memset(infos, 0, room * sizeof(*infos));
	*total = 0;
	if (!rad_node_joined())
		return 0;
	if (room)
		fill_self(infos);
	peers = rad_peer_list(infos + 1, room ? room - 1 : 0);
	*total = 1 + peers;
	return min(room, *total);
}

/* ---- join and leave ---- */

static int parse_addr(const char *text, u32 port, struct sockaddr_storage *addr)
{
	char port_text[8];

	if (strnlen(text, RADIUM_ADDR_SIZE) == RADIUM_ADDR_SIZE)
		return -EINVAL;
	snprintf(port_text, sizeof(port_text), "%u", port);
	return inet_pton_with_scope(&init_net, AF_UNSPEC, text, port_text, addr);
}

static int add_address(const char *text, u32 port)
{
	struct sockaddr_storage addr = {};

	if (parse_addr(text, port, &addr)) {
		pr_err("'%.*s' is not an IP address\n", RADIUM_ADDR_SIZE, text);
		return -EINVAL;
	}
	if (rad_same_host(&self.addr, (struct sockaddr *)&addr))
		return 0;
	return rad_peer_add((struct sockaddr *)&addr);
}

static int check_join(const struct radium_node_join *join)
{
	if (join->id < 1 || join->id > RADIUM_NODE_MAX || join->port > U16_MAX ||
	    join->peer_count > RADIUM_NODE_MAX ||
	    strnlen(join->replica, RADIUM_PATH_SIZE) == RADIUM_PATH_SIZE)
		return -EINVAL;
	return 0;
}

static int start_listening(bool again)
{
	int err = rad_cm_listen((struct sockaddr *)&self.addr);

	if (err == -EADDRNOTAVAIL)
		err = -ENODEV;
	if (err && again)
		;	/* said when the device went */
	else if (err == -ENODEV)
		pr_err("no RDMA device has the address %pISc: make one with 'radctl node up' (rdma link add)\n",
		       &self.addr);
	else if (err)
		pr_err("cannot listen on %pISpc: error %d\n", &self.addr, err);
	self.listening = !err;
	return err;
}

static int do_join(const struct radium_node_join *join, char (*addrs)[RADIUM_ADDR_SIZE])
{
	u32 port = join->port ?: RADIUM_PORT;
	int err;
	u32 i;

	memset(&self, 0, sizeof(self));
	err = check_join(join) ?: parse_addr(join->addr, port, &self.addr);
	if (err)
		return err;
	strscpy(self.replica, join->replica, sizeof(self.replica));
	self.incarnation = get_random_u64() | 1;
	for (i = 0; !err && i < join->peer_count; i++)
		err = add_address(addrs[i], port);
	if (err)
		goto drop;
	err = rad_auth_init(join->key);
	if (err)
		goto drop;
	self.id = join->id;
	err = start_listening(false);
	if (err)
		goto uninit;
	WRITE_ONCE(self.joined, true);
	rad_peers_start();
	pr_info("this is node %u, %pISpc\n", self.id, &self.addr);
	return 0;
uninit:
	self.id = 0;
	rad_auth_uninit();
drop:
	rad_peers_stop();
	return err;
}

/**
 * rad_node_join - make this machine a node
 * @join: who we are; the user's arrays in it are not looked at
 * @addrs: join->peer_count texts: addresses of other nodes
 *
 * Context: process, sleeps.
 * Return: 0; -EALREADY: it is one; -EINVAL: an id, a port or an address is wrong;
 * -ENODEV: no RDMA device has the address; or a negative errno.
 */
int rad_node_join(const struct radium_node_join *join, char (*addrs)[RADIUM_ADDR_SIZE])
{
	int err;

	mutex_lock(&join_mutex);
	err = self.joined ? -EALREADY : do_join(join, addrs);
	mutex_unlock(&join_mutex);
	return err;
}

/*
 * 1. Not joined: no offer is taken, nobody dials any more.
 * 2. The device's return is not waited for any more.
 * 3. Each peer leaves the table; its attempts and its session end.
 * 4. The listener goes, all connections are closed, the pool is empty.
 * 5. Works that closing has queued find nothing to do; then nobody uses the key.
 */
static void do_leave(void)
{
	WRITE_ONCE(self.joined, false);
	cancel_delayed_work_sync(&listen_work);
	rad_peers_stop();
	rad_cm_unlisten();
	flush_workqueue(rad_wq);
	rad_auth_uninit();
	pr_info("node %u has left\n", self.id);
	self.id = 0;
	self.listening = false;
}

/**
 * rad_node_leave - be a node no more
 *
 * Every session ends: rad_process_node_dead() is called for each.
 *
 * Context: process, sleeps, bounded.
 * Return: 0, or -ENOTCONN if this machine is not a node.
 */
int rad_node_leave(void)
{
	int err = -ENOTCONN;

	mutex_lock(&join_mutex);
	if (self.joined) {
		do_leave();
		err = 0;
	}
	mutex_unlock(&join_mutex);
	return err;
}

/* The device has gone: sessions live on for a while, perhaps it comes back. */
static void listen_again(struct work_struct *work)
{
	if (!mutex_trylock(&join_mutex)) {	/* leave waits for us under it */
		queue_delayed_work(rad_wq, &listen_work,
				   msecs_to_jiffies(RAD_BACKOFF_MIN_MS));
		return;
	}
	if (self.joined && !self.listening) {
		if (start_listening(true))
			queue_delayed_work(rad_wq, &listen_work,
					   msecs_to_jiffies(RAD_BACKOFF_MAX_MS));
		else
			rad_reserves_renew();
	}
	mutex_unlock(&join_mutex);
}

/**
 * rad_node_dev_gone - the RDMA device is being removed
 *
 * Returns when nothing uses it any more. Context: process.
 */
void rad_node_dev_gone(void)
{
	mutex_lock(&join_mutex);
	rad_cm_unlisten();
	self.listening = false;
	if (self.joined)
		queue_delayed_work(rad_wq, &listen_work,
				   msecs_to_jiffies(RAD_BACKOFF_MAX_MS));
	mutex_unlock(&join_mutex);
}

static void dev_going(struct work_struct *work)
{
	rad_node_dev_gone();
}

static DECLARE_WORK(going_work, dev_going);

/**
 * rad_node_dev_going - the RDMA device is being removed, which is not ours yet
 *
 * It became so, or is about to, after our ib_client had been asked. Whoever ends the listener
 * waits for the event that calls this; join, too, has what that takes.
 *
 * Context: process; does not wait.
 */
void rad_node_dev_going(void)
{
	queue_work(system_unbound_wq, &going_work);
}

/**
 * rad_node_init - at load of the module
 *
 * Return: 0 or a negative errno.
 */
int rad_node_init(void)
{
	int err = -ENOMEM;

	rad_wq = alloc_workqueue("radium", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	rad_conn_wq = alloc_workqueue("radium-conn", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	/*
	 * Without a rescuer: short of workers, that one takes all that is queued and does it one
	 * after the other, and what a handler waits for may be behind it in the line.
	 */
	rad_worker_wq = alloc_workqueue("radium-worker", WQ_UNBOUND | WQ_HIGHPRI,
					WQ_UNBOUND_MAX_ACTIVE);
	if (!rad_wq || !rad_conn_wq || !rad_worker_wq)
		goto destroy;
	err = rad_hca_init();
	if (err)
		goto destroy;
	return 0;
destroy:
	if (rad_worker_wq)
		destroy_workqueue(rad_worker_wq);
	if (rad_conn_wq)
		destroy_workqueue(rad_conn_wq);
	if (rad_wq)
		destroy_workqueue(rad_wq);
	return err;
}

/**
 * rad_node_uninit - at unload of the module; leaves if need be
 *
 * Destroying rad_worker_wq waits for the handlers of ended sessions. The layers
 * above have dropped their references to nodes.
 */
void rad_node_uninit(void)
{
	rad_node_leave();
	cancel_work_sync(&going_work);		/* the listener, which queues it, is gone */
	rad_hca_uninit();
	destroy_workqueue(rad_worker_wq);
	destroy_workqueue(rad_conn_wq);
	destroy_workqueue(rad_wq);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * A node without the cluster's key: connects to one as rdma_cm lets everybody, says hello,
 * proves nothing, and writes to its memory. It guesses the key of that memory; but what
 * is tested is whether a right one would do. Prints what the write has come to:
 *
 *	invalid	this queue pair cannot write, whatever the key
 *	access	it could, with the right key
 *
 * and the name of any other error: thrown out before it has come to anything.
 *
 *	stranger ADDRESS [ID]
 */
#include <endian.h>
#include <infiniband/verbs.h>
#include <poll.h>
#include <rdma/rdma_cma.h>
#include <rdma/rdma_verbs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define __packed __attribute__((packed))
#include "../../kmod/wire.h"
#include "../../uapi/linux/radium.h"

enum {
	WAIT_MS		= 20000,
	SOME_ADDRESS	= 4096,
	SOME_KEY	= 0x100,
};

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static struct rdma_cm_id *on_the_way_to(const char *host)
{
	struct ibv_qp_init_attr attr = {
		.cap = {
			.max_send_wr = 1,
			.max_recv_wr = 1,
			.max_send_sge = 1,
			.max_recv_sge = 1,
		},
		.sq_sig_all = 1,
	};
	struct rdma_addrinfo hints = { .ai_port_space = RDMA_PS_TCP }, *info;
	struct rdma_cm_id *cm;
	char port[16];

	snprintf(port, sizeof(port), "%d", RADIUM_PORT);
	if (rdma_getaddrinfo(host, port, &hints, &info))
		die("rdma_getaddrinfo");
	if (rdma_create_ep(&cm, info, NULL, &attr))
		die("rdma_create_ep");
	rdma_freeaddrinfo(info);
	return cm;
}

static void connect_as(struct rdma_cm_id *cm, int id)
{
	struct rad_wire_hello hello = {
		.magic = htole32(RAD_WIRE_MAGIC),
		.version = htole16(RAD_WIRE_VERSION),
		.node = htole16(id),
	};
	struct rdma_conn_param param = {
		.private_data = &hello,
		.private_data_len = sizeof(hello),
		.responder_resources = 1,
		.initiator_depth = 1,
		.retry_count = 6,
	};

	if (rdma_connect(cm, &param))
		die("rdma_connect");
}

/* The completion of the only send. */
static struct ibv_wc result(struct rdma_cm_id *cm)
{
	struct pollfd ready = { .fd = cm->send_cq_channel->fd, .events = POLLIN };
	struct ibv_cq *cq;
	struct ibv_wc wc;
	void *context;

	if (ibv_req_notify_cq(cm->send_cq, 0))
		die("ibv_req_notify_cq");
	while (!ibv_poll_cq(cm->send_cq, 1, &wc)) {
		if (poll(&ready, 1, WAIT_MS) != 1 ||
		    ibv_get_cq_event(cm->send_cq_channel, &cq, &context))
			die("no completion");
		ibv_ack_cq_events(cq, 1);
	}
	return wc;
}

int main(int argc, char **argv)
{
	static char data[8] = "strange";
	struct rdma_cm_id *cm;
	struct ibv_mr *mr;
	struct ibv_wc wc;

	if (argc < 2)
		return 2;
	cm = on_the_way_to(argv[1]);
	mr = rdma_reg_msgs(cm, data, sizeof(data));
	if (!mr)
		die("rdma_reg_msgs");
	/* From here on there is not much time: who says nothing for long is thrown out. */
	connect_as(cm, argc > 2 ? atoi(argv[2]) : 2);
	if (rdma_post_write(cm, NULL, data, sizeof(data), mr, 0, SOME_ADDRESS, SOME_KEY))
		die("rdma_post_write");
	wc = result(cm);
	if (wc.status == IBV_WC_REM_INV_REQ_ERR)
		puts("invalid");
	else if (wc.status == IBV_WC_REM_ACCESS_ERR)
		puts("access");
	else
		puts(ibv_wc_status_str(wc.status));
	return 0;
}

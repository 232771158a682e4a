// SPDX-License-Identifier: GPL-2.0
/*
 * A node without the cluster's key.
 *
 *	stranger ADDRESS [ID]
 *
 * connects to a node as rdma_cm lets everybody, says hello, proves nothing, and writes to its
 * memory. It guesses the key of that memory; but what is tested is whether a right one would
 * do. Prints what the write has come to:
 *
 *	invalid	this queue pair cannot write, whatever the key
 *	access	it could, with the right key
 *
 * and the name of any other error: thrown out before it has come to anything.
 *
 *	stranger listen PORT ID garbage|wrong|reflected
 *
 * accepts every node that connects to it, with the node's own hello but for the id, waits for
 * the node's AUTH, and answers with no AUTH at all, with one whose MAC is wrong, as that of
 * another key is, or with the node's own. Prints a line for each answer; does not end.
 *
 *	stranger takes ADDRESS ID FROM KEY...
 *
 * connects to a node from that address, once for each key, and takes the key away from the node
 * with a message (SEND_WITH_INVALIDATE). Prints for each whether it has been taken ("taken"), or
 * what has come instead.
 *
 *	stranger crowd ADDRESS ID FROM...
 *
 * connects to a node from each of these addresses, a few times at once, and says nothing but hello.
 * Refused or thrown out it comes again. Prints a line whenever it has been let in ("in") or refused
 * ("out"); does not end.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <infiniband/verbs.h>
#include <netinet/in.h>
#include <poll.h>
#include <rdma/rdma_cma.h>
#include <rdma/rdma_verbs.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define __packed __attribute__((packed))
#include "../../kmod/wire.h"
#include "../../uapi/linux/radium.h"

enum {
	WAIT_MS		= 20000,
	HANDSHAKE_MS	= 5000,		/* a node gives up before that, and comes again */
	BACKLOG		= 4,
	SOME_ADDRESS	= 4096,
	SOME_KEY	= 0x100,
	CROWD_OF_EACH	= 3,		/* no more than a node lets in from one address */
	AGAIN_US	= 20000,
};

static void die(const char *what)
{
	perror(what);
	exit(2);
}

/* A queue pair for one message each way. */
static struct ibv_qp_init_attr queues(void)
{
	return (struct ibv_qp_init_attr){
		.cap = {
			.max_send_wr = 1,
			.max_recv_wr = 1,
			.max_send_sge = 1,
			.max_recv_sge = 1,
		},
		.qp_type = IBV_QPT_RC,
		.sq_sig_all = 1,
	};
}

static struct rdma_conn_param conn_param(const struct rad_wire_hello *hello)
{
	return (struct rdma_conn_param){
		.private_data = hello,
		.private_data_len = sizeof(*hello),
		.responder_resources = 1,
		.initiator_depth = 1,
		.retry_count = 6,
	};
}

/* The only completion of a queue; false: it does not come. */
static bool completed(struct ibv_cq *cq, struct ibv_comp_channel *channel, int ms,
		      struct ibv_wc *wc)
{
	struct pollfd ready = { .fd = channel->fd, .events = POLLIN };
	struct ibv_cq *which;
	void *context;
	int count;

	if (ibv_req_notify_cq(cq, 0))
		return false;
	while (!(count = ibv_poll_cq(cq, 1, wc))) {
		if (poll(&ready, 1, ms) != 1 || ibv_get_cq_event(channel, &which, &context))
			return false;
		ibv_ack_cq_events(which, 1);
	}
	return count == 1;
}

/* ---- who connects ---- */

/* @from: NULL: whatever address leads there. NULL: it does not work, errno says why. */
static struct rdma_cm_id *on_the_way_to(const char *host, struct sockaddr_in *from)
{
	struct ibv_qp_init_attr attr = queues();
	struct rdma_addrinfo hints = { .ai_port_space = RDMA_PS_TCP }, *info;
	struct rdma_cm_id *cm;
	char port[16];

	if (from) {
		hints.ai_family = AF_INET;
		hints.ai_src_addr = (struct sockaddr *)from;
		hints.ai_src_len = sizeof(*from);
	}
	snprintf(port, sizeof(port), "%d", RADIUM_PORT);
	if (rdma_getaddrinfo(host, port, &hints, &info))
		return NULL;
	if (rdma_create_ep(&cm, info, NULL, &attr))
		cm = NULL;
	rdma_freeaddrinfo(info);
	return cm;
}

static int connect_as(struct rdma_cm_id *cm, int id)
{
	struct rad_wire_hello hello = {
		.magic = htole32(RAD_WIRE_MAGIC),
		.version = htole16(RAD_WIRE_VERSION),
		.node = htole16(id),
	};
	struct rdma_conn_param param = conn_param(&hello);

	return rdma_connect(cm, &param);
}

static void write_to(const char *host, int id)
{
	static char data[8] = "strange";
	struct rdma_cm_id *cm = on_the_way_to(host, NULL);
	struct ibv_mr *mr;
	struct ibv_wc wc;

	if (!cm)
		die("no way there");
	mr = rdma_reg_msgs(cm, data, sizeof(data));
	if (!mr)
		die("rdma_reg_msgs");
	/* From here on there is not much time: who says nothing for long is thrown out. */
	if (connect_as(cm, id))
		die("rdma_connect");
	if (rdma_post_write(cm, NULL, data, sizeof(data), mr, 0, SOME_ADDRESS, SOME_KEY))
		die("rdma_post_write");
	if (!completed(cm->send_cq, cm->send_cq_channel, WAIT_MS, &wc))
		die("no completion");
	if (wc.status == IBV_WC_REM_INV_REQ_ERR)
		puts("invalid");
	else if (wc.status == IBV_WC_REM_ACCESS_ERR)
		puts("access");
	else
		puts(ibv_wc_status_str(wc.status));
}

/* ---- whom a node connects to ---- */

enum answer { GARBAGE, WRONG, REFLECTED, ANSWERS };

static const char *const answer_names[ANSWERS] = {
	[GARBAGE] = "garbage", [WRONG] = "wrong", [REFLECTED] = "reflected",
};

static enum answer answer_of(const char *name)
{
	enum answer answer = 0;

	while (answer < ANSWERS && strcmp(answer_names[answer], name))
		answer++;
	return answer;
}

/* The node's AUTH, then the answer to it. */
static struct {
	struct rad_wire_header header;
	struct rad_wire_auth auth;
} message;

/* All else stays as the node says it, so that nothing but what is wrong can be refused. */
static void make(enum answer answer)
{
	if (answer == GARBAGE)
		memset(&message, 0x5a, sizeof(message));
	else if (answer == WRONG)
		message.auth.mac[0] ^= 1;
}

/* Accepts, waits for AUTH, and answers: has the node received that? */
static bool talk(struct rdma_cm_id *cm, const struct rad_wire_hello *hello, struct ibv_mr *mr,
		 enum answer answer)
{
	struct rdma_conn_param param = conn_param(hello);
	struct ibv_wc wc;

	if (rdma_post_recv(cm, NULL, &message, sizeof(message), mr) || rdma_accept(cm, &param) ||
	    !completed(cm->recv_cq, cm->recv_cq_channel, HANDSHAKE_MS, &wc) ||
	    wc.status != IBV_WC_SUCCESS || wc.byte_len != sizeof(message) ||
	    message.header.type != RAD_MSG_AUTH)
		return false;
	make(answer);
	return !rdma_post_send(cm, NULL, &message, sizeof(message), mr, 0) &&
	       completed(cm->send_cq, cm->send_cq_channel, HANDSHAKE_MS, &wc) &&
	       wc.status == IBV_WC_SUCCESS;
}

/* The node ends the connection. Who did before it has looked at the answer would have gone. */
static void await_end(struct rdma_cm_id *cm)
{
	struct pollfd ready = { .fd = cm->channel->fd, .events = POLLIN };
	struct rdma_cm_event *event;

	if (poll(&ready, 1, HANDSHAKE_MS) == 1 && !rdma_get_cm_event(cm->channel, &event))
		rdma_ack_cm_event(event);
}

/* Without that rxe does not wait for what is on its way to somebody who goes. */
static void break_off(struct rdma_cm_id *cm)
{
	struct ibv_qp_attr broken = { .qp_state = IBV_QPS_ERR };

	ibv_modify_qp(cm->qp, &broken, IBV_QP_STATE);
}

/* One node that connects, from beginning to end. If it comes to nothing, the node tries again. */
static void meet(struct rdma_cm_id *cm, int id, enum answer answer)
{
	const struct rdma_conn_param *theirs = &cm->event->param.conn;
	struct ibv_qp_init_attr attr = queues();
	struct rad_wire_hello hello;
	struct ibv_mr *mr;

	if (!theirs->private_data || theirs->private_data_len < sizeof(hello))
		return;
	memcpy(&hello, theirs->private_data, sizeof(hello));
	hello.node = htole16(id);
	if (rdma_create_qp(cm, NULL, &attr))
		return;
	mr = rdma_reg_msgs(cm, &message, sizeof(message));
	if (mr && talk(cm, &hello, mr, answer)) {
		puts("answered");
		fflush(stdout);
		await_end(cm);
	}
	break_off(cm);
	rdma_destroy_qp(cm);
	if (mr)
		rdma_dereg_mr(mr);
}

static void serve(int port, int id, enum answer answer)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct rdma_cm_id *listener, *cm;

	/* An id without a channel of events is one whose calls return when they are done. */
	if (rdma_create_id(NULL, &listener, NULL, RDMA_PS_TCP))
		die("rdma_create_id");
	if (rdma_bind_addr(listener, (struct sockaddr *)&any))
		die("rdma_bind_addr");
	if (rdma_listen(listener, BACKLOG))
		die("rdma_listen");
	for (;;) {
		if (rdma_get_request(listener, &cm))
			die("rdma_get_request");
		meet(cm, id, answer);
		rdma_destroy_id(cm);
	}
}

/* ---- who takes keys away ---- */

static struct sockaddr_in address_of(const char *text)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, text, &address.sin_addr) != 1)
		die(text);
	return address;
}

static void take(const char *host, int id, struct sockaddr_in from, uint32_t key)
{
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_SEND_WITH_INV, .invalidate_rkey = key,
	}, *bad;
	struct rdma_cm_id *cm;
	struct ibv_mr *mr;
	struct ibv_wc wc;

	/* The device hears of a new address a little later, and there are places for a few at once. */
	for (int waited = 0; ; waited += AGAIN_US / 1000) {
		cm = on_the_way_to(host, &from);
		/* Whoever cannot take the node's AUTH is thrown out at once. */
		mr = cm ? rdma_reg_msgs(cm, &message, sizeof(message)) : NULL;
		if (mr && !rdma_post_recv(cm, NULL, &message, sizeof(message), mr) &&
		    !connect_as(cm, id))
			break;
		if (mr)
			rdma_dereg_mr(mr);
		if (cm)
			rdma_destroy_ep(cm);
		if (waited > WAIT_MS)
			die("no way there");
		usleep(AGAIN_US);
	}
	errno = ibv_post_send(cm->qp, &wr, &bad);
	if (errno)
		die("ibv_post_send");
	if (!completed(cm->send_cq, cm->send_cq_channel, WAIT_MS, &wc))
		die("no completion");
	puts(wc.status == IBV_WC_SUCCESS ? "taken" : ibv_wc_status_str(wc.status));
	break_off(cm);
	rdma_dereg_mr(mr);
	rdma_destroy_ep(cm);
}

/* ---- who stands in the door ---- */

static void stand_in_the_door(const char *host, int id, const char *address)
{
	struct sockaddr_in from = address_of(address);

	for (;;) {
		/* The device hears of a new address a little later. */
		struct rdma_cm_id *cm = on_the_way_to(host, &from);

		if (cm && !connect_as(cm, id)) {
			puts("in");
			fflush(stdout);
			await_end(cm);
		} else if (cm) {
			puts("out");
			fflush(stdout);
		}
		if (cm) {
			break_off(cm);
			rdma_destroy_ep(cm);
		}
		usleep(AGAIN_US);
	}
}

static void crowd(const char *host, int id, char **addresses, int count)
{
	for (int i = 0; i < count * CROWD_OF_EACH; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		stand_in_the_door(host, id, addresses[i % count]);
	}
	pause();
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "listen") && answer_of(argv[4]) != ANSWERS)
		serve(atoi(argv[2]), atoi(argv[3]), answer_of(argv[4]));
	else if (argc > 5 && !strcmp(argv[1], "takes"))
		for (int i = 5; i < argc; i++)
			take(argv[2], atoi(argv[3]), address_of(argv[4]),
			     strtoul(argv[i], NULL, 0));
	else if (argc > 4 && !strcmp(argv[1], "crowd"))
		crowd(argv[2], atoi(argv[3]), argv + 4, argc - 4);
	else if (argc == 2 || argc == 3)
		write_to(argv[1], argc > 2 ? atoi(argv[2]) : 2);
	else
		return 2;
	return 0;
}

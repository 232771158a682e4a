// SPDX-License-Identifier: GPL-2.0
/*
 * The floor under a page that comes from another machine: the same messages by raw verbs,
 * between machines each of which sleeps until one comes, as Radium does; perftest, the
 * floor of the other rows, polls. Prints one time in ns per line.
 *
 *	relay serve PORT				for one measurement; says "ready"
 *	relay [-p] measure COUNT PORT HOME		64 bytes to HOME, which writes a page here
 *	relay [-p] measure COUNT PORT HOME OWNER	64 bytes to HOME, 64 from there to OWNER,
 *							which writes a page here
 *
 * Both serve, at the same port. With -p all three poll.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <rdma/rdma_cma.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	LIMIT_S		= 60,	/* for everything */
	RESOLVE_MS	= 10000,
	WARM		= 50,	/* rounds before those that count */
	CONNS		= 2,
	RECEIVES	= 4,	/* of a connection; one would do: a round has one message each way */
	SENDS		= 16,
	RETRIES		= 6,	/* rxe takes 7 for ever */
	RNR_FOR_EVER	= 7,
	MAGIC		= 0x72656c79,
	FILL		= 'r',
};

/* Where the page is to be written to. */
struct request {
	uint64_t address;
	uint32_t key;
	char rest[52];
};

_Static_assert(sizeof(struct request) == 64, "as long as it says above");

/*
 * What who connects says of himself.
 * @relayed: his requests come by another connection, the page goes by this one
 * @next: whom to pass his requests to; no port: they are answered
 */
struct hello {
	uint32_t magic;
	uint16_t polling;
	uint16_t relayed;
	struct sockaddr_in next;
};

/* All that is registered. */
static struct {
	char page[PAGE];
	struct request out;
	struct request in[CONNS * RECEIVES];
} memory __attribute__((aligned(PAGE)));

static struct rdma_cm_id *conns[CONNS];
static unsigned int conn_count;
static struct ibv_mr *region;
static struct ibv_comp_channel *channel;
static struct ibv_cq *received, *sent;
static bool polling;
static bool armed;		/* the next message wakes us, or has done so already */
static unsigned int woken;	/* events that are not acknowledged yet */

static const char *volatile lacking = "relay: no connection in time\n";

/* Every wait here is one for another machine, and none may be for ever. */
static void late(int signal)
{
	(void)signal;
	_exit(write(2, lacking, strlen(lacking)) < 0 ? 2 : 1);
}

static void __attribute__((noreturn)) fail(const char *what, const char *why)
{
	fprintf(stderr, "relay: %s: %s\n", what, why);
	exit(1);
}

/* ---- queues ---- */

/* All connections are of one device and share these, so that one wait is for all of them. */
static void open_queues(struct rdma_cm_id *id)
{
	region = ibv_reg_mr(id->pd, &memory, sizeof(memory),
			    IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	if (!region)
		die("ibv_reg_mr", errno);
	channel = ibv_create_comp_channel(id->verbs);
	if (!channel)
		die("ibv_create_comp_channel", errno);
	received = ibv_create_cq(id->verbs, CONNS * RECEIVES, NULL, channel, 0);
	sent = ibv_create_cq(id->verbs, CONNS * SENDS, NULL, NULL, 0);
	if (!received || !sent)
		die("ibv_create_cq", errno);
}

static void post_receive(unsigned int slot)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)&memory.in[slot],
		.length = sizeof(memory.in[slot]),
		.lkey = region->lkey,
	};
	struct ibv_recv_wr wr = { .wr_id = slot, .sg_list = &sge, .num_sge = 1 }, *bad;
	int error = ibv_post_recv(conns[slot / RECEIVES]->qp, &wr, &bad);

	if (error)
		die("ibv_post_recv", error);
}

/*
 * A queue pair for an id that knows its device, with receives before the other side can know
 * of it. A queue pair that fails flushes them: so whoever waits hears of it, also of one by
 * which he only sends.
 */
static void add(struct rdma_cm_id *id)
{
	struct ibv_qp_init_attr attr = {
		.cap = {
			.max_send_wr = SENDS,
			.max_recv_wr = RECEIVES,
			.max_send_sge = 1,
			.max_recv_sge = 1,
		},
		.qp_type = IBV_QPT_RC,
	};

	if (conn_count == CONNS)
		fail("connections", "more than two");
	if (!region)
		open_queues(id);
	attr.send_cq = sent;
	attr.recv_cq = received;
	if (rdma_create_qp(id, NULL, &attr))
		die("rdma_create_qp", errno);
	conns[conn_count] = id;
	for (unsigned int i = 0; i < RECEIVES; i++)
		post_receive(conn_count * RECEIVES + i);
	conn_count++;
}

/* Takes completions of what was sent; nobody waits for one, since what matters is the answer. */
static void reap(void)
{
	struct ibv_wc wc;

	while (ibv_poll_cq(sent, 1, &wc) > 0)
		if (wc.status != IBV_WC_SUCCESS)
			fail("a message that was sent", ibv_wc_status_str(wc.status));
}

/*
 * The request, or the page that it asks for; @left goes with either. That there is only one
 * buffer to send from is fine though it may be read again, for a repetition, when the next
 * message is posted: all are the same.
 */
static void post(struct rdma_cm_id *id, bool page, uint32_t left)
{
	struct ibv_sge sge = {
		.addr = page ? (uintptr_t)memory.page : (uintptr_t)&memory.out,
		.length = page ? sizeof(memory.page) : sizeof(memory.out),
		.lkey = region->lkey,
	};
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = page ? IBV_WR_RDMA_WRITE_WITH_IMM : IBV_WR_SEND_WITH_IMM,
		.send_flags = IBV_SEND_SIGNALED,
		.imm_data = htonl(left),
	}, *bad;
	int error;

	if (page) {
		wr.wr.rdma.remote_addr = memory.out.address;
		wr.wr.rdma.rkey = memory.out.key;
	}
	reap();
	error = ibv_post_send(id->qp, &wr, &bad);
	if (error)
		die("ibv_post_send", error);
}

/*
 * The next message. Only one that comes after ibv_req_notify_cq() wakes anybody: so the queue
 * is looked at once more between that and sleeping. The event of a message that was found
 * then is there the next time, when it does no harm.
 */
static struct ibv_wc next_message(void)
{
	struct ibv_wc wc;
	struct ibv_cq *cq;
	void *context;
	int count, error;

	while (!(count = ibv_poll_cq(received, 1, &wc))) {
		if (polling)
			continue;
		if (armed) {
			if (ibv_get_cq_event(channel, &cq, &context))
				die("ibv_get_cq_event", errno);
			woken++;
		} else {
			error = ibv_req_notify_cq(received, 0);
			if (error)
				die("ibv_req_notify_cq", error);
		}
		armed = !armed;
	}
	if (count < 0)
		fail("ibv_poll_cq", "failed");
	if (wc.status != IBV_WC_SUCCESS) {
		reap();		/* which may know the reason */
		fail("a message to come", ibv_wc_status_str(wc.status));
	}
	return wc;
}

/* ---- connections ---- */

static struct rdma_conn_param conn_param(const struct hello *hello)
{
	return (struct rdma_conn_param){
		.private_data = hello,
		.private_data_len = hello ? sizeof(*hello) : 0,
		.responder_resources = 1,
		.initiator_depth = 1,
		.retry_count = RETRIES,
		.rnr_retry_count = RNR_FOR_EVER,
	};
}

/* An id without a channel of events is one whose calls return when they are done. */
static struct rdma_cm_id *new_id(void)
{
	struct rdma_cm_id *id;

	if (rdma_create_id(NULL, &id, NULL, RDMA_PS_TCP))
		die("rdma_create_id", errno);
	return id;
}

static struct rdma_cm_id *connect_to(struct sockaddr_in *to, const struct hello *hello)
{
	struct rdma_conn_param param = conn_param(hello);
	struct rdma_cm_id *id = new_id();

	if (rdma_resolve_addr(id, NULL, (struct sockaddr *)to, RESOLVE_MS))
		die("rdma_resolve_addr", errno);
	if (rdma_resolve_route(id, RESOLVE_MS))
		die("rdma_resolve_route", errno);
	add(id);
	if (rdma_connect(id, &param))
		die("rdma_connect", errno);
	return id;
}

/* Who wants to connect. He waits until admit(). */
static struct rdma_cm_id *next_caller(struct rdma_cm_id *listener, struct hello *hello)
{
	const struct rdma_conn_param *param;
	struct rdma_cm_id *id;

	if (rdma_get_request(listener, &id))
		die("rdma_get_request", errno);
	param = &id->event->param.conn;
	if (!param->private_data || param->private_data_len < sizeof(*hello))
		fail("who connects", "says nothing");
	memcpy(hello, param->private_data, sizeof(*hello));
	if (hello->magic != MAGIC)
		fail("who connects", "is another program");
	return id;
}

static void admit(struct rdma_cm_id *id)
{
	struct rdma_conn_param param = conn_param(NULL);

	add(id);
	if (rdma_accept(id, &param))
		die("rdma_accept", errno);
}

/* In this order: what is taken apart is in use by nothing that is still there. */
static void take_apart(void)
{
	for (unsigned int i = 0; i < conn_count; i++)
		rdma_destroy_qp(conns[i]);
	ibv_ack_cq_events(received, woken);
	ibv_destroy_cq(received);
	ibv_destroy_cq(sent);
	ibv_destroy_comp_channel(channel);
	ibv_dereg_mr(region);
	for (unsigned int i = 0; i < conn_count; i++)
		rdma_destroy_id(conns[i]);
}

/* ---- who serves ---- */

/* Until the asker ends the connection, somebody may lack what was sent last. */
static void await_end(struct rdma_cm_id *asker)
{
	struct rdma_cm_event *event;

	if (rdma_get_cm_event(asker->channel, &event))
		die("rdma_get_cm_event", errno);
	if (event->event != RDMA_CM_EVENT_DISCONNECTED)
		fail("the asker's connection", rdma_event_str(event->event));
	rdma_ack_cm_event(event);
}

static void serve(uint16_t port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct rdma_cm_id *listener = new_id(), *asker, *next = NULL;
	struct hello hello, ours = { .magic = MAGIC };
	uint32_t left;

	memset(memory.page, FILL, PAGE);
	if (rdma_bind_addr(listener, (struct sockaddr *)&any))
		die("rdma_bind_addr", errno);
	if (rdma_listen(listener, CONNS))
		die("rdma_listen", errno);
	puts("ready");
	fflush(stdout);
	asker = next_caller(listener, &hello);
	polling = hello.polling;
	ours.polling = polling;
	/* The asker begins when he is connected: so all who have to be are by then. */
	if (hello.next.sin_port)
		next = connect_to(&hello.next, &ours);
	admit(asker);
	if (hello.relayed)
		admit(next_caller(listener, &hello));
	lacking = "relay: no request in time\n";
	do {
		struct ibv_wc wc = next_message();

		left = ntohl(wc.imm_data);
		memory.out = memory.in[wc.wr_id];
		post(next ? next : asker, !next, left);
		post_receive(wc.wr_id);
	} while (left);
	lacking = "relay: the asker does not end the connection in time\n";
	await_end(asker);
	take_apart();
	rdma_destroy_id(listener);
}

/* ---- who asks ---- */

static struct sockaddr_in find(const char *host, uint16_t port)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found;
	struct sockaddr_in address;
	int error = getaddrinfo(host, NULL, &hints, &found);

	if (error)
		fail(host, gai_strerror(error));
	memcpy(&address, found->ai_addr, sizeof(address));
	freeaddrinfo(found);
	address.sin_port = htons(port);
	return address;
}

/* One page, the last byte of which shows that it has come; ns. */
static uint64_t fetch(struct rdma_cm_id *home, uint32_t left)
{
	struct ibv_wc wc;
	uint64_t start;

	memory.page[PAGE - 1] = 0;
	start = now_ns();
	post(home, false, left);
	wc = next_message();
	start = now_ns() - start;
	if (wc.opcode != IBV_WC_RECV_RDMA_WITH_IMM || ntohl(wc.imm_data) != left ||
	    memory.page[PAGE - 1] != FILL)
		fail("what has come", "is not the page");
	/* While there are others; the next one is asked for afterwards. */
	post_receive(wc.wr_id);
	return start;
}

static void measure(unsigned int count, uint16_t port, const char *home_name,
		    const char *owner_name)
{
	struct hello hello = { .magic = MAGIC, .polling = polling };
	struct sockaddr_in address = find(home_name, port);
	struct rdma_cm_id *home, *owner = NULL;
	uint64_t *times = calloc(count, sizeof(*times));

	if (!times)
		die("calloc", errno);
	if (owner_name) {
		struct sockaddr_in next = find(owner_name, port);

		hello.relayed = 1;
		owner = connect_to(&next, &hello);
		hello.relayed = 0;
		hello.next = next;
	}
	home = connect_to(&address, &hello);
	memory.out = (struct request){
		.address = (uintptr_t)memory.page,
		.key = region->rkey,
	};
	lacking = "relay: no page in time\n";
	for (unsigned int left = WARM + count; left--; ) {
		uint64_t time = fetch(home, left);

		if (left < count)
			times[count - 1 - left] = time;
	}
	print_times(times, count);
	free(times);
	/* The last page has come: so nobody lacks anything any more. */
	lacking = "relay: a connection does not end in time\n";
	if (rdma_disconnect(home) || (owner && rdma_disconnect(owner)))
		die("rdma_disconnect", errno);
	take_apart();
}

int main(int argc, char **argv)
{
	int option, words;

	while ((option = getopt(argc, argv, "p")) != -1) {
		if (option != 'p')
			return 2;
		polling = true;
	}
	argv += optind;
	words = argc - optind;
	signal(SIGALRM, late);
	alarm(LIMIT_S);
	if (words == 2 && !strcmp(argv[0], "serve"))
		serve(atoi(argv[1]));
	else if ((words == 4 || words == 5) && !strcmp(argv[0], "measure"))
		measure(atoi(argv[1]), atoi(argv[2]), argv[3], argv[4]);
	else
		return 2;
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Two ends of connections between machines.
 *
 *	peer serve PORT		sends back what comes, by TCP and UDP, by IPv4 and IPv6
 *	peer call HOST PORT STOP	asks it again and again, a line for each round, until there is
 *				a file STOP; ends with 1 if an answer is not right
 *
 * One connection is used all the time, another is made in each round; messages that are lost
 * on the way are sent again.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 3000, MESSAGE = 900, CONNECTIONS = 16, ANSWER_MS = 2000, TRIES = 10 };

static int bound(int type, int port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, type, 0), off = 0, on = 1;

	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (void *)&address, sizeof(address)))
		err(2, "port %d", port);
	return fd;
}

static void echo_message(int fd)
{
	struct sockaddr_in6 from;
	socklen_t length = sizeof(from);
	char data[2000];
	ssize_t got = recvfrom(fd, data, sizeof(data), 0, (void *)&from, &length);

	if (got < 0 || sendto(fd, data, got, 0, (void *)&from, length) != got)
		err(2, "message");
}

/* Of a connection; 0: the other end has closed it. */
static ssize_t echo(int fd)
{
	char data[2 * PIECE];
	ssize_t got = recv(fd, data, sizeof(data), 0);

	if (got > 0 && send(fd, data, got, MSG_NOSIGNAL) != got)
		err(2, "send");
	return got;
}

static void serve(int port)
{
	struct pollfd fds[2 + CONNECTIONS] = {
		{ .fd = bound(SOCK_STREAM, port), .events = POLLIN },
		{ .fd = bound(SOCK_DGRAM, port), .events = POLLIN },
	};

	if (listen(fds[0].fd, CONNECTIONS))
		err(2, "listen");
	for (int i = 2; i < 2 + CONNECTIONS; i++)
		fds[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	for (;;) {
		if (poll(fds, 2 + CONNECTIONS, -1) < 0)
			err(2, "poll");
		if (fds[1].revents)
			echo_message(fds[1].fd);
		for (int i = 2; i < 2 + CONNECTIONS; i++) {
			if (fds[i].fd >= 0 && fds[i].revents && echo(fds[i].fd) <= 0) {
				close(fds[i].fd);
				fds[i].fd = -1;
			}
			if (fds[i].fd < 0 && fds[0].revents) {
				fds[i].fd = accept(fds[0].fd, NULL, NULL);
				fds[i].revents = fds[0].revents = 0;
				if (fds[i].fd < 0)
					err(2, "accept");
			}
		}
	}
}

static int connected(const char *host, const char *port, int type)
{
	struct addrinfo hints = { .ai_socktype = type, .ai_flags = AI_NUMERICHOST }, *found;
	int fd;

	if (getaddrinfo(host, port, &hints, &found))
		errx(2, "%s is no address", host);
	fd = socket(found->ai_family, type, 0);
	if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen))
		err(1, "%s port %s", host, port);
	freeaddrinfo(found);
	return fd;
}

static void fill(unsigned char *data, size_t bytes, uint32_t seed)
{
	for (size_t i = 0; i < bytes; i++) {
		seed = seed * 1664525 + 1013904223;
		data[i] = seed >> 24;
	}
}

static void ask(int fd, uint32_t seed)
{
	unsigned char out[PIECE], in[PIECE];

	fill(out, PIECE, seed);
	if (send(fd, out, PIECE, MSG_NOSIGNAL) != PIECE)
		err(1, "send");
	if (recv(fd, in, PIECE, MSG_WAITALL) != PIECE)
		err(1, "receive");
	if (memcmp(in, out, PIECE))
		errx(1, "round %u: another answer", seed);
}

static void ask_message(int fd, uint32_t seed)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	unsigned char out[MESSAGE], in[MESSAGE + 1];

	fill(out, MESSAGE, seed);
	for (int try = 0; try < TRIES; try++) {
		if (send(fd, out, MESSAGE, 0) != MESSAGE)
			err(1, "send a message");
		while (poll(&ready, 1, ANSWER_MS) == 1) {
			ssize_t got = recv(fd, in, sizeof(in), 0);

			if (got < 0)
				err(1, "receive a message");
			if (got == MESSAGE && !memcmp(in, out, MESSAGE))
				return;
			/* A late one of an earlier try. */
		}
	}
	errx(1, "round %u: no answer to a message", seed);
}

static void call(const char *host, const char *port, const char *stop)
{
	int stream = connected(host, port, SOCK_STREAM);
	int messages = connected(host, port, SOCK_DGRAM);

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (uint32_t round = 1; access(stop, F_OK); round++) {
		int once = connected(host, port, SOCK_STREAM);

		ask(stream, round);
		ask(once, round + 1000000);
		ask_message(messages, round);
		close(once);
		printf("%u\n", round);
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve(atoi(argv[2]));
	else if (argc == 5 && !strcmp(argv[1], "call"))
		call(argv[2], argv[3], argv[4]);
	else
		errx(2, "usage: peer serve PORT | peer call HOST PORT STOP");
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of sockets share: addresses of this machine. */
#ifndef _RADIUM_SELFTEST_SOCKETS_H
#define _RADIUM_SELFTEST_SOCKETS_H

#include "harness.h"

#include <arpa/inet.h>
#include <sys/socket.h>

static inline struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

/* A socket, and where it is bound to: a port that is free. */
static inline int bound(int type, struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = DO(socket(AF_INET, type | SOCK_CLOEXEC, 0));

	*address = loopback(0);
	DO(bind(fd, (void *)address, sizeof(*address)));
	DO(getsockname(fd, (void *)address, &length));
	return fd;
}

#endif

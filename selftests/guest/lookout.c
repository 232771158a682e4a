// SPDX-License-Identifier: GPL-2.0
/*
 * Tells one who asks over the network how many replica processes there are on this machine.
 *
 *	lookout
 *
 * When it returns it listens, in the background; it ends with the connection.
 */
#include "lookout.h"

#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_replica(const char *pid)
{
	static const char name[] = "radium-replica\n";
	char path[300], comm[sizeof(name)];
	bool is;
	int file;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	file = open(path, O_RDONLY);
	if (file < 0)
		return false;
	is = read(file, comm, sizeof(comm)) == sizeof(name) - 1 &&
	     !memcmp(comm, name, sizeof(name) - 1);
	close(file);
	return is;
}

/* Also those of which nothing but the entry in the process table is left. */
static lookout_answer count_replicas(void)
{
	DIR *processes = opendir("/proc");
	lookout_answer count = 0;
	struct dirent *entry;

	if (!processes)
		err(2, "/proc");
	while ((entry = readdir(processes)))
		count += isdigit((unsigned char)*entry->d_name) && is_replica(entry->d_name);
	closedir(processes);
	return count;
}

static int listening(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(LOOKOUT_PORT) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (void *)&address, sizeof(address)) || listen(fd, 1))
		err(2, "port %d", LOOKOUT_PORT);
	return fd;
}

int main(void)
{
	int listener = listening(), fd;
	lookout_answer answer;
	char question;

	if (daemon(0, 0))
		err(2, "daemon");
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		return 2;
	while (recv(fd, &question, 1, 0) == 1) {
		answer = count_replicas();
		if (send(fd, &answer, sizeof(answer), MSG_NOSIGNAL) != sizeof(answer))
			return 1;
	}
	return 0;
}

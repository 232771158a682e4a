// SPDX-License-Identifier: GPL-2.0
/*
 * Commands: started, fed, drained, reaped, killed. A job is a session of its own; its
 * status goes out when its first process has ended and what that had written has been sent.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "guest.h"
#include "wire.h"

enum { IN, OUT, ERR, STREAMS };
enum { TTY_ROOM = 64 << 10 };	/* more than a terminal holds, which does not say how much it does */

struct job {
	struct job *next;
	uint32_t id;
	pid_t pid;
	int fd[STREAMS];	/* our ends; -1 when closed */
	int64_t credit;
	bool tty;
	bool ended;		/* reaped; waits only for credit to send what is left */
	uint32_t status;
	int64_t left[STREAMS];	/* once it has ended: so much may be of its output */
	unsigned char *input;	/* not yet taken by the command */
	size_t input_at, input_length;
};

struct command {
	struct wire_run run;
	char *directory, **argv, **envp;
};

static struct job *jobs;

static struct job *job_find(uint32_t id)
{
	struct job *job = jobs;

	while (job && job->id != id)
		job = job->next;
	return job;
}

static void stream_close(struct job *job, int stream)
{
	if (job->fd[stream] >= 0)
		close(job->fd[stream]);
	job->fd[stream] = -1;
}

static void job_free(struct job *job)
{
	struct job **link = &jobs;

	while (*link != job)
		link = &(*link)->next;
	*link = job->next;
	for (int stream = IN; stream < STREAMS; stream++)
		stream_close(job, stream);
	free(job->input);
	free(job);
}

static bool command_parse(struct command *command, const unsigned char *frame, size_t length)
{
	char *at, *end;
	size_t strings;

	if (length < sizeof(command->run))
		return false;
	memcpy(&command->run, frame, sizeof(command->run));
	strings = (size_t)command->run.argc + command->run.envc;
	at = (char *)frame + sizeof(command->run);
	end = (char *)frame + length;
	if (!command->run.argc || strings > length || at == end || end[-1])
		return false;

	command->argv = calloc(strings + 2, sizeof(char *));
	if (!command->argv)
		return false;
	command->envp = command->argv + command->run.argc + 1;
	command->directory = at;
	at += strlen(at) + 1;
	for (size_t i = 0; i < strings; i++) {
		if (at >= end) {
			free(command->argv);
			return false;
		}
		if (i < command->run.argc)
			command->argv[i] = at;
		else
			command->envp[i - command->run.argc] = at;
		at += strlen(at) + 1;
	}
	return true;
}

static void command_exec(const struct command *command, const int fd[STREAMS])
{
	bool tty = command->run.flags & WIRE_RUN_TTY;
	sigset_t none;

	setsid();
	if (tty)
		ioctl(fd[OUT], TIOCSCTTY, 0);
	for (int stream = IN; stream < STREAMS; stream++)
		dup2(fd[stream], stream);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (chdir(command->directory) && chdir("/"))
		_exit(126);
	environ = command->envp;
	execvp(command->argv[0], command->argv);
	dprintf(2, "testbed: %s: %s\n", command->argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Both ends of each stream: @ours for the agent, @theirs for the command. */
static bool streams_open(const struct wire_run *run, int ours[STREAMS], int theirs[STREAMS])
{
	bool feed = run->flags & WIRE_RUN_STDIN;
	int ends[2];

	if (run->flags & WIRE_RUN_TTY) {
		struct winsize size = { .ws_row = run->rows, .ws_col = run->columns };
		char path[64];
		int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

		if (master < 0 || grantpt(master) || unlockpt(master) ||
		    ptsname_r(master, path, sizeof(path)))
			return false;
		ioctl(master, TIOCSWINSZ, &size);
		theirs[OUT] = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
		theirs[IN] = dup(theirs[OUT]);
		theirs[ERR] = dup(theirs[OUT]);
		ours[OUT] = master;
		if (feed)
			ours[IN] = dup(master);
	} else {
		for (int stream = OUT; stream <= ERR; stream++) {
			if (pipe2(ends, O_CLOEXEC))
				return false;
			ours[stream] = ends[0];
			theirs[stream] = ends[1];
		}
		if (feed) {
			if (pipe2(ends, O_CLOEXEC))
				return false;
			ours[IN] = ends[1];
			theirs[IN] = ends[0];
		} else {
			theirs[IN] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		}
	}
	for (int stream = IN; stream < STREAMS; stream++) {
		if (theirs[stream] < 0)
			return false;
		if (ours[stream] >= 0) {
			fcntl(ours[stream], F_SETFL, O_NONBLOCK);
			fcntl(ours[stream], F_SETFD, FD_CLOEXEC);
		}
	}
	return true;
}

static void run_refuse(uint32_t id, const char *why)
{
	uint32_t status = 126;
	char text[256];
	int length = snprintf(text, sizeof(text), "testbed: %s\n", why);

	agent_send(WIRE_STDERR, id, text, length);
	agent_send(WIRE_EXIT, id, &status, sizeof(status));
}

void job_run(uint32_t id, const unsigned char *frame, size_t length)
{
	int theirs[STREAMS] = { -1, -1, -1 };
	struct command command;
	struct job *job;

	if (!command_parse(&command, frame, length)) {
		run_refuse(id, "malformed request");
		return;
	}
	job = calloc(1, sizeof(*job));
	if (!job)
		die("out of memory");
	job->id = id;
	job->credit = WIRE_WINDOW;
	job->tty = command.run.flags & WIRE_RUN_TTY;
	for (int stream = IN; stream < STREAMS; stream++)
		job->fd[stream] = -1;
	job->next = jobs;
	jobs = job;

	if (streams_open(&command.run, job->fd, theirs))
		job->pid = fork();
	else
		job->pid = -1;
	if (!job->pid)
		command_exec(&command, theirs);
	if (job->pid < 0) {
		run_refuse(id, strerror(errno));
		job_free(job);
	}
	for (int stream = IN; stream < STREAMS; stream++)
		if (theirs[stream] >= 0)
			close(theirs[stream]);
	free(command.argv);
}

static void input_push(struct job *job)
{
	ssize_t done = 0;

	if (job->fd[IN] >= 0 && job->input_at < job->input_length)
		done = write(job->fd[IN], job->input + job->input_at,
			     job->input_length - job->input_at);
	if (done < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (done < 0) {			/* nobody reads any more */
		stream_close(job, IN);
		done = job->input_length - job->input_at;
	}
	job->input_at += done;
	if (job->fd[IN] < 0 || job->input_at == job->input_length) {
		free(job->input);
		job->input = NULL;
		agent_send(WIRE_STDIN_ACK, job->id, NULL, 0);
	}
}

void job_stdin(uint32_t id, const unsigned char *data, size_t length)
{
	struct job *job = job_find(id);

	if (!job || job->input)
		return;
	if (!length) {
		static const char end_of_file = 4;

		if (job->tty && job->fd[IN] >= 0 && write(job->fd[IN], &end_of_file, 1) < 0)
			fprintf(stderr, "testbed: end of input lost\n");
		stream_close(job, IN);
		return;
	}
	job->input = malloc(length);
	if (!job->input)
		die("out of memory");
	memcpy(job->input, data, length);
	job->input_at = 0;
	job->input_length = length;
	input_push(job);
}

/* Sends what there is, as far as the credit goes. False once the stream is dry for now. */
static bool output_pull(struct job *job, int stream)
{
	static unsigned char data[WIRE_CHUNK];
	size_t room = job->credit < WIRE_CHUNK ? job->credit : WIRE_CHUNK;
	ssize_t done;

	if (job->fd[stream] < 0 || job->credit <= 0)
		return false;
	done = read(job->fd[stream], data, room);
	if (done < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (done <= 0) {
		stream_close(job, stream);
		return false;
	}
	job->credit -= done;
	job->left[stream] -= done;
	agent_send(stream == OUT ? WIRE_STDOUT : WIRE_STDERR, job->id, data, done);
	return true;
}

/* What is in a stream now. */
static int64_t stream_holds(const struct job *job, int stream)
{
	int bytes = 0;

	if (job->tty)
		return TTY_ROOM;
	return ioctl(job->fd[stream], FIONREAD, &bytes) ? 0 : bytes;
}

/*
 * Descendants may keep the pipes open, and write into them, for ever, so the end of the first
 * process is the end of the job; its own output was all in the pipes by then.
 */
static void job_finish(struct job *job)
{
	for (int stream = OUT; stream <= ERR; stream++) {
		while (job->left[stream] > 0 && output_pull(job, stream))
			;
		if (job->left[stream] > 0 && job->fd[stream] >= 0 && job->credit <= 0)
			return;		/* job_credit() comes back */
	}
	agent_send(WIRE_EXIT, job->id, &job->status, sizeof(job->status));
	job_free(job);
}

void job_credit(uint32_t id, uint32_t bytes)
{
	struct job *job = job_find(id);

	if (!job)
		return;
	job->credit += bytes;
	if (job->ended)
		job_finish(job);
}

void jobs_reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct job *job = jobs;

		while (job && job->pid != pid)
			job = job->next;
		if (!job || job->ended)
			continue;	/* an orphan */
		job->ended = true;
		job->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		for (int stream = OUT; stream <= ERR; stream++)
			job->left[stream] = stream_holds(job, stream);
		job_finish(job);
	}
}

static pid_t session_of(const char *pid)
{
	char path[64], line[512], *after;
	int session = 0, fd;
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	length = read(fd, line, sizeof(line) - 1);
	close(fd);
	line[length > 0 ? length : 0] = '\0';
	after = strrchr(line, ')');
	if (after)
		sscanf(after, ") %*c %*d %*d %d", &session);
	return session;
}

/* Shells with job control and timeout(1) make process groups of their own: go by session. */
void job_kill(uint32_t id)
{
	struct job *job = job_find(id);
	struct dirent *entry;
	DIR *dir;

	if (!job)
		return;
	stream_close(job, OUT);		/* nobody listens any more */
	stream_close(job, ERR);
	if (job->ended) {
		job_finish(job);
		return;
	}
	kill(-job->pid, SIGKILL);
	dir = opendir("/proc");
	while (dir && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    session_of(entry->d_name) == job->pid)
			kill(atoi(entry->d_name), SIGKILL);
	if (dir)
		closedir(dir);
}

size_t jobs_poll_fill(struct pollfd *fds, size_t room)
{
	size_t count = 0;

	for (struct job *job = jobs; job; job = job->next) {
		for (int stream = IN; stream < STREAMS; stream++) {
			bool wanted = stream == IN ? !!job->input : job->credit > 0;

			if (job->fd[stream] >= 0 && wanted && !job->ended && count < room)
				fds[count++] = (struct pollfd){
					.fd = job->fd[stream],
					.events = stream == IN ? POLLOUT : POLLIN,
				};
		}
	}
	return count;
}

void jobs_poll_done(const struct pollfd *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!fds[i].revents)
			continue;
		for (struct job *job = jobs; job; job = job->next) {
			if (fds[i].fd == job->fd[IN])
				input_push(job);
			else if (fds[i].fd == job->fd[OUT])
				output_pull(job, OUT);
			else if (fds[i].fd == job->fd[ERR])
				output_pull(job, ERR);
			else
				continue;
			break;
		}
	}
}

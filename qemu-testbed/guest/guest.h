/* SPDX-License-Identifier: GPL-2.0 */
#ifndef RADIUM_TESTBED_GUEST_H
#define RADIUM_TESTBED_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* main.c: reports on the console and stops the machine; the kernel's panic tells the host. */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* root.c: from the initramfs to the host's file tree under an overlay. */
void modules_load(void);
void root_enter(void);

/* job.c: the commands that run. */
struct job;
struct pollfd;

void job_run(uint32_t id, const unsigned char *frame, size_t length);
void job_stdin(uint32_t id, const unsigned char *data, size_t length);
void job_credit(uint32_t id, uint32_t bytes);
void job_kill(uint32_t id);
void jobs_reap(void);
size_t jobs_poll_fill(struct pollfd *fds, size_t room);
void jobs_poll_done(const struct pollfd *fds, size_t count);

/* agent.c: the port to the host. */
void agent_send(uint32_t type, uint32_t job, const void *data, size_t length);
void agent_loop(void) __attribute__((noreturn));

#endif

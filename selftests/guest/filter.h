/* SPDX-License-Identifier: GPL-2.0 */
/* Seccomp filters that are about one call. */
#ifndef _RADIUM_SELFTEST_FILTER_H
#define _RADIUM_SELFTEST_FILTER_H

#include "harness.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FILTER_STEPS = 4 };

/* A filter that answers this call so, and allows all others; the caller may install one from now on. */
static inline void filter_make(struct sock_filter filter[FILTER_STEPS], unsigned int call,
			       unsigned int action)
{
	const struct sock_filter code[FILTER_STEPS] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	memcpy(filter, code, sizeof(code));
	DO(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/* Installs one; the result of seccomp(). */
static inline int filter_install(unsigned int call, unsigned int action, unsigned int flags)
{
	struct sock_filter code[FILTER_STEPS];
	struct sock_fprog program = { FILTER_STEPS, code };

	filter_make(code, call, action);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

#endif

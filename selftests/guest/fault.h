/* SPDX-License-Identifier: GPL-2.0 */
/* Whether an access faults, and how, without ending the case. */
#ifndef _RADIUM_SELFTEST_FAULT_H
#define _RADIUM_SELFTEST_FAULT_H

#include <setjmp.h>
#include <signal.h>

static sigjmp_buf fault_jump;
static volatile int fault_code;
static void *volatile fault_address;
static volatile int fault_lsb;	/* of BUS_MCEERR_*: least bit of the address that counts */

static void fault_caught(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	fault_code = info->si_code;
	fault_address = info->si_addr;
	fault_lsb = info->si_addr_lsb;
	siglongjmp(fault_jump, 1);
}

/* si_code of the fault, 0 if there is none, -1 if it is of another address. */
static inline int faults_on(volatile char *address, bool write)
{
	struct sigaction action = { .sa_sigaction = fault_caught, .sa_flags = SA_SIGINFO }, old[2];

	sigaction(SIGSEGV, &action, &old[0]);
	sigaction(SIGBUS, &action, &old[1]);
	fault_code = 0;
	if (!sigsetjmp(fault_jump, 1)) {
		if (write)
			*address = *address;
		else
			(void)*address;
		fault_address = (void *)address;
	}
	sigaction(SIGSEGV, &old[0], NULL);
	sigaction(SIGBUS, &old[1], NULL);
	return fault_address == address ? fault_code : -1;
}

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Radium: the proof that a peer holds the cluster key. */
#ifndef _RADIUM_AUTH_H
#define _RADIUM_AUTH_H

#include <linux/types.h>
#include "wire.h"
#include "../uapi/linux/radium.h"

/* Whose message a MAC covers; one byte before everything else, so that a MAC
 * sent back to its maker proves nothing. */
enum rad_auth_role {
	RAD_AUTH_CONNECTING	= 'C',
	RAD_AUTH_ACCEPTING	= 'A',
	RAD_AUTH_SESSION	= 'S',	/* not sent: names a new session */
};

/**
 * struct rad_auth_ends - IPv6 addresses, or IPv4 addresses mapped, without ports
 * @connecting: of the connecting side
 * @accepting: of the accepting side
 */
struct rad_auth_ends {
	u8 connecting[16];
	u8 accepting[16];
};

int rad_auth_init(const u8 key[RADIUM_KEY_SIZE]);
void rad_auth_uninit(void);

void rad_auth_build(u8 build[RAD_WIRE_BUILD]);
int rad_auth_mac(u8 mac[RAD_WIRE_MAC], enum rad_auth_role role,
		 const struct rad_wire_hello *connecting,
		 const struct rad_wire_hello *accepting,
		 const struct rad_auth_ends *ends, const struct rad_wire_auth *auth);
u32 rad_auth_check(enum rad_auth_role role,
		   const struct rad_wire_hello *connecting,
		   const struct rad_wire_hello *accepting,
		   const struct rad_auth_ends *ends, const struct rad_wire_auth *auth);
int rad_auth_hide(enum rad_auth_role role, const struct rad_wire_hello *connecting,
		  const struct rad_wire_hello *accepting, const struct rad_auth_ends *ends,
		  struct rad_wire_auth *auth);
u64 rad_auth_session(const struct rad_wire_hello *connecting,
		     const struct rad_wire_hello *accepting);

#endif /* _RADIUM_AUTH_H */

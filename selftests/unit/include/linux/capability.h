/* SPDX-License-Identifier: GPL-2.0 */
/* Who tests decides what he may. */
#ifndef _UNIT_LINUX_CAPABILITY_H
#define _UNIT_LINUX_CAPABILITY_H

#define CAP_SYS_ADMIN 21
#define capable(capability) ((void)(capability), unit_is_privileged)

extern bool unit_is_privileged;

#endif

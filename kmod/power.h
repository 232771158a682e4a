/* SPDX-License-Identifier: GPL-2.0 */
/* Radium: this machine goes down, or to sleep. */
#ifndef _RADIUM_POWER_H
#define _RADIUM_POWER_H

int rad_power_init(void);
void rad_power_uninit(void);

#endif /* _RADIUM_POWER_H */

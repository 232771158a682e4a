# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Writes all over the terminal, in colours, and over what is there.
i=0
while [ "$i" -lt "$1" ]; do
	printf '\033[%d;%dH\033[3%dm%d' $((i * 7 % 9 + 1)) $((i * 13 % 30 + 1)) $((i % 8)) "$i"
	i=$((i + 1))
done
printf '\033[0m\033[10;1H'

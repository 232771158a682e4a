#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Computes until it is killed.
while :; do
	i=$((i + 1))
done

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The table of reasons in interfaces.rst, from uapi/linux/radium.h.
#   reasons.sh          print it
#   reasons.sh --check  fail, with the difference, if interfaces.rst has another
#   reasons.sh --write  put it there

set -eu
cd "$(dirname "$0")"
header=../uapi/linux/radium.h
# shellcheck source-path=SCRIPTDIR source=generated.sh
. ./generated.sh

tables()
{
	awk '
	function rule() {
		print "============== ===================================================================="
	}
	/^#define RADIUM_REASONS\(X\)/ {
		rows = 1
		rule()
		printf "%-14s %s\n", "reason", "what"
		rule()
		next
	}
	rows && match($0, /X\([A-Z_]+, "[^"]*"/) {
		split(substr($0, RSTART + 2, RLENGTH - 3), part, /, "/)
		if (part[2] != "") printf "%-14s %s\n", part[1], part[2]
		if ($0 !~ /\\$/) { rows = 0; rule() }
	}' "$header"
}

generated interfaces.rst "$@"

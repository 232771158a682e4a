#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tables of syscalls.rst, from kmod/syscall_table.h, kmod/inline_table.h and
# selftests/lib/calls.txt.
#   syscalls.sh          print them
#   syscalls.sh --check  fail, with the difference, if syscalls.rst has others
#   syscalls.sh --write  put them there

set -eu
cd "$(dirname "$0")"
header=../kmod/syscall_table.h
inline=../kmod/inline_table.h
calls=../selftests/lib/calls.txt
# shellcheck source-path=SCRIPTDIR source=generated.sh
. ./generated.sh

tables()
{
	awk '
	function rule() {
		print "======================= ======== =============================================================== =============================="
	}
	FILENAME == tests {
		if ($1 !~ /^#/) test[$1] = $2
		next
	}
	/^#define RAD_SYSCALLS\(X\)/ {
		rows = 1
		rule()
		printf "%-23s %-8s %-63s %s\n", "call", "class", "why", "test"
		rule()
		next
	}
	/^#define RAD_SYSCALLS_NOT_RESTARTED/ { title = "Left alone"; next }
	/^#define RAD_SYSCALLS_OWN/ { title = "Own, with this first argument"; next }
	/^#define RAD_INLINE_COMMANDS/ { title = "With their data, with this command"; next }
	/^#define RAD_SYSCALLS_ON_SOCKET/ { title = "Left alone on a socket with a time limit, where more than a byte or a key is wanted at once, and in locks of file systems that have their own (9p, NFS, FUSE)"; next }
	rows && match($0, /X\([a-z0-9_]+,[ \t]*[A-Z]+,[ \t]*"[^"]*"\)/) {
		row = substr($0, RSTART + 2, RLENGTH - 3)
		split(row, part, /,[ \t]*/)
		why = row
		sub(/^[^"]*"/, "", why)
		sub(/"$/, "", why)
		printf "%-23s %-8s %-63s %s\n", part[1], part[2], why, test[part[1]]
		if ($0 !~ /\\$/) { rows = 0; rule() }
		next
	}
	title {
		line = $0
		while (match(line, /X\([a-z0-9_]+, ([0-9], )?[A-Z0-9_| ]+,[ \t]*PTR|X\([a-z0-9_]+(, [A-Z_]+)?/)) {
			item = substr(line, RSTART + 2, RLENGTH - 2)
			line = substr(line, RSTART + RLENGTH)
			sub(/,[ \t]*PTR$/, "", item)
			sub(/, [0-9], /, ", ", item)
			sub(/RAD_LEVEL_/, "level ", item)
			if (sub(/, /, "(", item)) item = item ")"
			list = list (list ? ", " : "") item
		}
		if ($0 !~ /\\$/) { print "\n" title ": " list "."; title = ""; list = "" }
	}' tests="$calls" "$calls" "$header" "$inline" | fold -s -w 132 | sed 's/ *$//'
}

generated syscalls.rst "$@"

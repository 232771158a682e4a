#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tables of states in protocol.rst, from kmod/states.h.
#   states.sh          print them
#   states.sh --check  fail, with the difference, if protocol.rst has others
#   states.sh --write  put them there

set -eu
cd "$(dirname "$0")"
header=../kmod/states.h
# shellcheck source-path=SCRIPTDIR source=generated.sh
. ./generated.sh

tables()
{
	awk '
	function rule() {
		print "============ =============================== ===================================================="
	}
	# One row; the states that it is entered from fill lines of 31 characters.
	function row(    n, part, i, line) {
		if (when == "") return
		n = split(from, part, ", ")
		line = ""
		for (i = 1; i <= n; i++) {
			if (length(line) + length(part[i]) + 3 > 31) {
				printf "%-12s %-31s %s\n", label, line ",", when
				label = when = line = ""
			}
			line = line (line ? ", " : "") part[i]
		}
		printf "%-12s %-31s %s\n", label, line, when
		when = ""
	}
	/^\/\* ---- .* ---- \*\// {
		title = $0
		gsub(/^\/\* ---- | ---- \*\/$/, "", title)
		title = toupper(substr(title, 1, 1)) substr(title, 2)
		sub(/\(/, "(``", title)
		sub(/\)/, "``)", title)
		last = when = ""
		next
	}
	/^#define RAD_[A-Z]+_FIRST\(X\)/ {
		print (tables++ ? "\n" : "") title "\n"
		rule()
		printf "%-12s %-31s %s\n", "state", "entered from", "when"
		rule()
		sub(/^.*X\)[ \t]*X\(/, "")
		state = $0
		sub(/,.*/, "", state)
		first = $0
		sub(/^[^"]*"/, "", first)
		sub(/"\).*$/, "", first)
		last = state
		label = state
		from = "(new)"
		when = first
		next
	}
	/^#define RAD_[A-Z]+_MOVES\(X\)/ { rows = 1; next }
	rows && match($0, /X\([A-Z]+,[ \t]*[A-Z]+,[ \t]*"[^"]*"\)/) {
		line = substr($0, RSTART + 2, RLENGTH - 3)
		split(line, part, /,[ \t]*/)
		why = line
		sub(/^[^"]*"/, "", why)
		sub(/"$/, "", why)
		if (why == "") {
			from = from ", " part[2]
		} else {
			row()
			label = part[1] == last ? "\\" : part[1]
			last = part[1]
			from = part[2]
			when = why
		}
		if ($0 !~ /\\$/) { row(); rule(); rows = 0 }
	}' "$header" | sed 's/ *$//'
}

generated protocol.rst "$@"

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# For scripts that make a part of a page, between ".. begin generated" and ".. end generated".
# They have a function "tables" that prints that part, and end with
#   generated PAGE "$@"
# which prints it, with --check fails, with the difference, if the page has another, and with
# --write puts it there.

# A page with that part replaced by standard input.
merged()
{
	awk '
	FILENAME == "-" { text = text $0 "\n"; next }
	/^\.\. begin generated/ { print; printf "\n%s\n", text; skip = 1 }
	/^\.\. end generated/ { skip = 0 }
	!skip' - "$1"
}

generated()
{
	case ${2-} in
	--check)
		tables | merged "$1" | diff -u "$1" - || {
			echo "$1 is not up to date: run Documentation/${0##*/} --write" >&2
			exit 1
		} ;;
	--write)
		tables | merged "$1" >"$1.new"
		mv "$1.new" "$1" ;;
	*)
		tables ;;
	esac
}

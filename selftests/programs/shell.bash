# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Pipelines, here-documents, subshells, functions, arithmetic, traps, job control.
set -u
size=${1:-10}
trap 'echo trapped' USR1

sum()
{
	local total=0 n
	while read -r n; do
		total=$((total + n))
	done
	echo "$total"
}

for ((turn = 1; turn <= size; turn++)); do
	seq 1 $((turn * 20)) | grep -v 7 | sort -rn | sum
	cat <<-END | tr a-z A-Z
		turn $turn of $size
		$(printf '%s-' {a..f})
	END
	declare -A table=()
	for ((i = 0; i < 300; i++)); do
		table[$((i * turn % 31))]+=x
	done
	echo "${#table[@]} ${table[3]:-none}"
	(exit $((turn % 5)))
	echo "status $?"
done
kill -USR1 $$
sleep 0.1 &
wait $!
echo "waited $?"
false | true
echo "${PIPESTATUS[*]}"
exit 9

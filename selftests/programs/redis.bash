# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Clients of redis that work at the same time, for so many seconds and at least once: redis.bash
# HOST PORT SEED SECONDS. One measures it, one stores values and reads them again, one has it save.
# Says what went wrong, or ends with 0.
set -u
host=$1 port=$2 seed=$3 seconds=$4
readonly keys=20
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ask()
{
	redis-cli -h "$host" -p "$port" "$@"
}

# So many values of all lengths up to some thousand bytes, none like another, from a number on.
commands()
{
	awk -v seed="$seed" -v first="$2" -v keys="$keys" -v what="$1" 'BEGIN {
		for (i = first; i < first + keys; i++) {
			value = seed "-" i
			while (length(value) < i * i * 7 % 3001)
				value = value "." value
			if (what == "SET")
				print "SET", "key:" seed ":" i, value
			else if (what == "GET")
				print "GET", "key:" seed ":" i
			else
				print value
		}
	}'
}

measure()
{
	local test

	while :; do
		for test in set get incr lpush lpop sadd hset zadd lrange_100 mset; do
			redis-benchmark -h "$host" -p "$port" -n 30 -c 6 -d 300 -r 500 --csv -t "$test" \
				>"$work/measured" 2>&1 && ! grep -i error "$work/measured" &&
				[ "$(grep -c '^"[A-Z]' "$work/measured")" -ge 1 ] || return 1
			[ "$SECONDS" -lt "$seconds" ] || return 0
		done
	done
}

compare()
{
	local first=0

	while :; do
		commands value "$first" >"$work/wanted"
		commands SET "$first" | ask >"$work/answers" || return 1
		[ "$(grep -c '^OK$' "$work/answers")" = "$keys" ] || return 1
		commands GET "$first" | ask >"$work/read" && cmp "$work/wanted" "$work/read" || return 1
		[ "$SECONDS" -lt "$seconds" ] || return 0
		first=$((first + keys))
	done
}

# It forks for that.
save()
{
	local state

	ask BGSAVE | grep -q started || return 1
	until state=$(ask INFO persistence) || return 1
		grep -q '^rdb_bgsave_in_progress:0' <<<"$state"; do
		:
	done
	grep -q '^rdb_last_bgsave_status:ok' <<<"$state"
}

status=0
measure & measuring=$!
compare & comparing=$!
save || { echo "BGSAVE failed"; status=1; }
wait "$comparing" || { tail -n 3 "$work/answers"; echo "values set are not values read"; status=1; }
wait "$measuring" || { cat "$work/measured"; echo "redis-benchmark failed"; status=1; }
exit "$status"

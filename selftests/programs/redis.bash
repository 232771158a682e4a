# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Clients of redis that work at the same time: redis.bash HOST PORT SEED REQUESTS KEYS. One measures
# it, one stores values and reads them again, one has it save. Says what went wrong, or ends with 0.
set -u
host=$1 port=$2 seed=$3 requests=$4 keys=$5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ask()
{
	redis-cli -h "$host" -p "$port" "$@"
}

# Values of all lengths up to some thousand bytes, none like another.
commands()
{
	awk -v seed="$seed" -v keys="$keys" -v what="$1" 'BEGIN {
		for (i = 0; i < keys; i++) {
			value = seed "-" i
			while (length(value) < i * i % 3001)
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
	redis-benchmark -h "$host" -p "$port" -n "$requests" -c 6 -d 300 -r 500 --csv \
		-t set,get,incr,lpush,lpop,sadd,hset,zadd,lrange_100,mset >"$work/measured" 2>&1 &&
		! grep -i error "$work/measured" && grep -q '^"MSET' "$work/measured" && return
	cat "$work/measured"
	return 1
}

compare()
{
	commands value >"$work/wanted"
	commands SET | ask >"$work/answers" && [ "$(grep -c '^OK$' "$work/answers")" = "$keys" ] &&
		commands GET | ask >"$work/read" && cmp "$work/wanted" "$work/read" && return
	tail -n 3 "$work/answers"
	return 1
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
wait "$comparing" || { echo "values set are not values read"; status=1; }
wait "$measuring" || { echo "redis-benchmark failed"; status=1; }
exit "$status"

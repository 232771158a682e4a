# SPDX-License-Identifier: GPL-2.0
# Associative arrays, string functions, floating point, a coprocess-free pipe.
BEGIN {
	for (turn = 1; turn <= size; turn++) {
		for (i = 0; i < 3000; i++) {
			key = substr("abcdefghijklmnop", (i * turn) % 13 + 1, 3)
			sum[key] += sin(i) * turn
			seen[key, i % 7]++
			text = sprintf("%s%05d", key, i)
			if (match(text, /[c-f]+0+/))
				hits += RLENGTH
			gsub(/0/, "o", text)
			length_all += length(text)
		}
		printf "%d %d %d %.9f\n", turn, hits, length_all, sum["abc"]
		fflush()
	}
	n = 0
	for (pair in seen)
		n += seen[pair]
	print n
	"echo from the shell" | getline line
	print line
	exit 5
}

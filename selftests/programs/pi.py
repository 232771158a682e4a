# SPDX-License-Identifier: GPL-2.0
"""Digits of pi, one line after the other, for as long as one likes to watch.
Gibbons' spigot: the numbers that it holds grow all the time."""

import sys


def digits():
    q, r, t, k, n, l = 1, 0, 1, 1, 3, 3
    while True:
        if 4 * q + r - t < n * t:
            yield n
            q, r, n = 10 * q, 10 * (r - n * t), 10 * (3 * q + r) // t - 10 * n
        else:
            q, r, t, k, n, l = (q * k, (2 * q + r) * l, t * l, k + 1,
                                (q * (7 * k + 2) + r * l) // (t * l), l + 2)


WIDTH = 50
lines = int(sys.argv[1])
source = digits()
for number in range(lines):
    print(f"{number * WIDTH:5} ", "".join(str(next(source)) for _ in range(WIDTH)), flush=True)

# SPDX-License-Identifier: GPL-2.0
"""Big integers, floats, dictionaries, files and subprocesses; prints as it goes."""

import hashlib
import math
import os
import subprocess
import sys
import tempfile

SIZE = int(sys.argv[1]) if len(sys.argv) > 1 else 10


def pi_digits(count):
    """Machin's formula in integers."""
    unity = 10 ** (count + 10)

    def arctan(inverse):
        total = term = unity // inverse
        square, n, sign = inverse * inverse, 3, -1
        while term:
            term //= square
            total += sign * (term // n)
            sign, n = -sign, n + 2
        return total

    return str(4 * (4 * arctan(5) - arctan(239)) // 10 ** 10)


def floats(count):
    total = 0.0
    for i in range(1, count):
        total += math.sin(i) * math.sqrt(i) / math.log(i + 1) + math.fmod(i * 1.1, 0.7)
    return repr(total)


def words(count):
    table = {}
    for i in range(count):
        key = f"k{(i * 7919) % 997}"
        table[key] = table.get(key, 0) + i
        if i % 3 == 0:
            table.pop(f"k{(i * 31) % 997}", None)
    return hashlib.md5(repr(sorted(table.items())).encode()).hexdigest()


def files(directory, count):
    path = os.path.join(directory, "lines")
    with open(path, "w", encoding="ascii") as file:
        for i in range(count):
            print(i, i * i, file=file)
    with open(path, encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file)


with tempfile.TemporaryDirectory() as scratch:
    for turn in range(SIZE):
        print(turn, pi_digits(200 + 30 * turn)[-20:], floats(1000), words(2000), flush=True)
        print(turn, files(scratch, 500), flush=True)
        if turn % 4 == 0:
            print(subprocess.run(["sh", "-c", f"echo sub $(({turn} * 3)); exit {turn}"],
                                 stdout=subprocess.PIPE, text=True, check=False), flush=True)
try:
    print([][SIZE])  # pylint: disable=potential-index-error
except IndexError as error:
    print("caught", error)
sys.exit(SIZE % 256)

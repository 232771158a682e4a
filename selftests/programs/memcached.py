# SPDX-License-Identifier: GPL-2.0
"""A client of memcached on several connections at once, which knows what each answer has to be:
memcached.py HOST PORT SEED CONNECTIONS SECONDS. Ends with the first wrong answer."""

import concurrent.futures
import random
import socket
import sys
import time

KEYS = 12           # of each connection
LONGEST = 20000     # bytes of a value
MISSING = b"NOT_FOUND"


class Wrong(Exception):
    """An answer that is another one than it has to be."""


class Connection:
    """The text protocol, one command at a time."""

    def __init__(self, host, port):
        self.address = (host, port)
        self.socket = self.file = None
        self.open()

    def open(self):
        """A new connection, in place of the last one."""
        if self.socket:
            self.file.close()
            self.socket.close()
        self.socket = socket.create_connection(self.address, timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def line(self):
        """One line of an answer."""
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise Wrong(f"the connection ended after {line[:80]!r}")
        return line[:-2]

    def store(self, how, key, value, flags=0, unique=None):
        """set, add, replace, append, prepend or cas."""
        words = [how, key, str(flags), "0", str(len(value))]
        words += [str(unique)] if unique is not None else []
        self.socket.sendall(" ".join(words).encode() + b"\r\n" + value + b"\r\n")
        return self.line()

    def simple(self, *words):
        """A command that is answered with a line."""
        self.socket.sendall(" ".join(map(str, words)).encode() + b"\r\n")
        return self.line()

    def get(self, how, *keys):
        """What there is of some keys: (flags, value, unique number)."""
        self.socket.sendall(" ".join((how, *keys)).encode() + b"\r\n")
        found = {}
        while (line := self.line()) != b"END":
            word, key, flags, size, *unique = line.split(b" ")
            if word != b"VALUE":
                raise Wrong(f"{how}: {line!r}")
            value = self.file.read(int(size) + 2)
            if value[-2:] != b"\r\n":
                raise Wrong(f"{how} {key!r}: {size!r} bytes that do not end there")
            found[key.decode()] = (int(flags), value[:-2], int(unique[0]) if unique else None)
        return found


class Client:
    """One connection, its keys, and what is stored under them."""

    def __init__(self, host, port, seed, number):
        self.random = random.Random(f"{seed} {number}")
        self.wire = Connection(host, port)
        self.total = f"{seed}:total"
        self.keys = [f"{seed}:{number}:{i}" for i in range(KEYS)]
        self.stored = {}                    # key: (flags, value)
        self.added = 0                      # to what all of them add to

    def value(self):
        """Bytes of any length, short ones mostly."""
        return self.random.randbytes(self.random.randrange(
            self.random.choice((1, 10, 100, 1000, LONGEST))))

    def expect(self, what, got, wanted):
        """The answer, or what is the matter with it."""
        if got != wanted:
            raise Wrong(f"{what}: {str(got)[:200]} instead of {str(wanted)[:200]}")

    def change(self, how, key):
        """One of the commands that store something."""
        flags, old = self.stored.get(key, (0, None))
        new = self.value()
        done = how == "set" or (how == "add") == (old is None)
        joined = {"append": lambda: old + new, "prepend": lambda: new + old}.get(how)
        if joined and done and len(old) + len(new) > 10 * LONGEST:
            how, joined = "set", None
        fresh = self.random.randrange(1 << 16)
        self.expect(f"{how} {key}", self.wire.store(how, key, new, fresh),
                    b"STORED" if done else b"NOT_STORED")
        if done:
            self.stored[key] = (flags, joined()) if joined else (fresh, new)

    def compare_and_set(self, key):
        """Stores with the number that the value has, and then does not with one that it had."""
        found = self.wire.get("gets", key)
        if key not in self.stored:
            self.expect(f"gets {key}", found, {})
            return
        self.expect(f"gets {key}", found.get(key, ())[:2], self.stored[key])
        new = self.value()
        for answer in b"STORED", b"EXISTS":
            self.expect(f"cas {key}", self.wire.store("cas", key, new, 5, found[key][2]), answer)
        self.stored[key] = (5, new)

    def read(self, keys):
        """Several values, or one."""
        found = {k: v[:2] for k, v in self.wire.get("get", *keys).items()}
        self.expect(f"get {keys}", found, {k: self.stored[k] for k in keys if k in self.stored})

    def step(self):
        """One command, or two that belong together."""
        key, kind = self.random.choice(self.keys), self.random.randrange(10)
        if kind < 4:
            self.change(self.random.choice(("set", "set", "add", "replace", "append", "prepend")), key)
        elif kind < 7:
            self.read(self.random.sample(self.keys, self.random.randrange(1, 5)))
        elif kind == 7:
            self.compare_and_set(key)
        elif kind == 8:
            answer = self.wire.simple("delete", key)
            self.expect(f"delete {key}", answer, b"DELETED" if key in self.stored else MISSING)
            self.stored.pop(key, None)
        else:
            amount = self.random.randrange(1000)
            answer = self.wire.simple("incr", self.total, amount)
            if not answer.isdigit():
                raise Wrong(f"incr: {answer!r}")
            self.added += amount

    def work(self, end):
        """Commands until it is late enough, on a new connection now and then; and all values once
        more. How many commands they were."""
        turn = 0
        while turn < KEYS or time.monotonic() < end:
            turn += 1
            if turn % 30 == 0:
                self.wire.open()
            self.step()
        for key in self.keys:
            self.read([key])
        return turn


def main():
    host, (port, seed, count, seconds) = sys.argv[1], map(int, sys.argv[2:])
    clients = [Client(host, port, seed, number) for number in range(count)]
    if clients[0].wire.store("set", clients[0].total, b"0") != b"STORED":
        sys.exit("the sum cannot be stored")
    # One thread for each; what one of them raises is raised here.
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        commands = sum(pool.map(Client.work, clients, [time.monotonic() + seconds] * count))
    wire, added = clients[0].wire, sum(c.added for c in clients)
    total = wire.get("get", clients[0].total)[clients[0].total][1]
    if int(total) != added:
        sys.exit(f"the sum is {total!r} instead of {added}")
    print(commands, "commands")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-2.0
"""Fetches files by HTTP on one connection, whole, in part, compressed or only their heads, and
compares each byte with files of its own, for so many seconds: fetch.py HOST PORT SEED SECONDS
DIRECTORY."""

import gzip
import http.client
import pathlib
import random
import sys
import time


class Client:
    """A connection that has to last."""

    def __init__(self, host, port, directory):
        self.http = http.client.HTTPConnection(host, port, timeout=120)
        self.http.connect()
        self.socket = self.http.sock
        self.files = {p.name: p.read_bytes() for p in pathlib.Path(directory).iterdir()}
        assert self.files, f"{directory} is empty"

    def ask(self, method, path, **headers):
        """Status, header fields and body of an answer."""
        self.http.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        answer = self.http.getresponse()
        body = answer.read()
        assert self.http.sock is self.socket, f"{path}: the connection has been closed"
        return answer.status, answer.headers, body

    def whole(self, name, content, compressed):
        """A file, perhaps compressed on the way."""
        wanted = {"Accept_Encoding": "gzip"} if compressed else {}
        status, headers, body = self.ask("GET", "/" + name, **wanted)
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        assert (status, body == content) == (200, True), \
            f"{name}: {status}, {len(body)} of {len(content)} bytes, or other ones"

    def part(self, name, content, begin, end):
        """The bytes from one to another one, that one included."""
        status, headers, body = self.ask("GET", "/" + name, Range=f"bytes={begin}-{end}")
        assert (status, body == content[begin:end + 1]) == (206, True), \
            f"{name} {begin}-{end}: {status}, {len(body)} bytes, {headers.items()}"

    def one(self, choice):
        """Any of these."""
        name = choice.choice(sorted(self.files))
        content, kind = self.files[name], choice.randrange(6)
        if kind == 0:
            status, headers, body = self.ask("HEAD", "/" + name)
            assert (status, headers["Content-Length"], body) == (200, str(len(content)), b""), name
        elif kind == 1:
            status, _, _ = self.ask("GET", "/no-such-file")
            assert status == 404, status
        elif kind < 4 and content:
            begin = choice.randrange(len(content))
            self.part(name, content, begin, choice.randrange(begin, len(content)))
        else:
            self.whole(name, content, kind == 5)


def main():
    host, directory = sys.argv[1], sys.argv[5]
    port, seed, seconds = map(int, sys.argv[2:5])
    client, choice = Client(host, port, directory), random.Random(seed)
    count, end = 0, time.monotonic() + seconds
    while count < 10 or time.monotonic() < end:
        client.one(choice)
        count += 1
    print(count, "answers")


if __name__ == "__main__":
    main()

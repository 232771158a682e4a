# SPDX-License-Identifier: GPL-2.0
"""The host's end of a guest's agent: jobs over one virtio-serial port (guest/wire.h)."""

import asyncio
import struct

(RUN, STDIN, CREDIT, KILL, PING) = range(1, 6)
(HELLO, STDOUT, STDERR, STDIN_ACK, EXIT, PONG) = range(16, 22)
RUN_STDIN, RUN_TTY = 1, 2
HEADER = struct.Struct("<III")
RUN_FIXED = struct.Struct("<IHHII")
MAX_LENGTH = 1 << 20


class Gone(Exception):
    """The guest or its agent is not there (any more); the text says why."""


class Job:
    """One command: an event queue of (type, data), the last of which is (EXIT, status)."""

    def __init__(self, channel, number):
        self.channel = channel
        self.number = number
        self.events = asyncio.Queue()
        self.stdin_taken = asyncio.Event()

    async def event(self):
        kind, data = await self.events.get()
        if kind is Gone:
            raise Gone(data)
        return kind, data

    def consumed(self, count):
        """So many bytes of output have been passed on: the guest may send as many more."""
        self.channel.send(CREDIT, self.number, struct.pack("<I", count))

    async def feed(self, data):
        """Gives data to standard input; returns when the command has taken it. b"" ends it."""
        self.stdin_taken.clear()
        self.channel.send(STDIN, self.number, data)
        if data:
            await self.stdin_taken.wait()

    def kill(self):
        self.channel.send(KILL, self.number)

    def close(self):
        self.channel.jobs.pop(self.number, None)


class Channel:
    """All jobs of one guest. `silent_since` is the loop time of the last frame from it."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.jobs = {}
        self.last_number = 0
        self.ready = asyncio.get_running_loop().create_future()
        self.reason = None
        self.silent_since = asyncio.get_running_loop().time()

    def send(self, kind, job, data=b""):
        if self.reason is None:
            self.writer.write(HEADER.pack(len(data), job, kind) + data)

    def run(self, argv, directory="/", environment=None, flags=0, size=(24, 80)):
        """Starts a command; the Job reports what becomes of it."""
        if self.reason is not None:
            raise Gone(self.reason)
        variables = [f"{name}={value}" for name, value in (environment or {}).items()]
        strings = [directory, *argv, *variables]
        data = RUN_FIXED.pack(flags, *size, len(argv), len(variables))
        data += b"".join(text.encode(errors="surrogateescape") + b"\0" for text in strings)
        if len(data) > MAX_LENGTH:
            raise ValueError("the command line is too long")
        self.last_number += 1
        job = self.jobs[self.last_number] = Job(self, self.last_number)
        self.send(RUN, job.number, data)
        return job

    def fail_jobs(self, reason):
        """Every command that is under way ends with Gone."""
        for job in self.jobs.values():
            job.events.put_nowait((Gone, reason))
            job.stdin_taken.set()
        self.jobs.clear()

    def close(self, reason):
        if self.reason is None:
            self.reason = reason
            self.fail_jobs(reason)
            if not self.ready.done():
                self.ready.set_exception(Gone(reason))
                self.ready.exception()      # seen, even if nobody waits
            self.writer.close()

    async def receive(self):
        """Runs for the life of the guest."""
        clock = asyncio.get_running_loop().time
        try:
            while True:
                length, number, kind = HEADER.unpack(await self.reader.readexactly(HEADER.size))
                if length > MAX_LENGTH:
                    return
                data = await self.reader.readexactly(length) if length else b""
                self.silent_since = clock()
                self._dispatch(kind, self.jobs.get(number), data)
        except (asyncio.IncompleteReadError, OSError):
            pass

    def _dispatch(self, kind, job, data):
        if kind == HELLO:
            if not self.ready.done():
                self.ready.set_result(None)
        elif job is None:
            pass                            # a job that the host has given up
        elif kind == STDIN_ACK:
            job.stdin_taken.set()
        elif kind == EXIT:
            job.events.put_nowait((EXIT, struct.unpack("<I", data)[0]))
            job.stdin_taken.set()
            job.close()
        elif kind in (STDOUT, STDERR):
            job.events.put_nowait((kind, data))

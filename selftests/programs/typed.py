# SPDX-License-Identifier: GPL-2.0
"""Programs that want a terminal and somebody who types: a pty, keys, and what is shown."""

import fcntl
import os
import pty
import select
import struct
import termios
import time

SECONDS = 150               # for one answer


class Silent(Exception):
    """What was waited for has not come."""


class Terminal:
    """A program on a pty of its own. Everything that it shows is kept in .shown."""

    def __init__(self, command, rows=24, columns=80, **environment):
        self.shown = b""
        self.seen = 0       # up to here the answers have been waited for
        self.pid, self.master = pty.fork()
        if not self.pid:
            os.environ.update(environment)
            os.execvp(command[0], command)
        self.resize(rows, columns)
        os.set_blocking(self.master, False)

    def resize(self, rows, columns):
        """Another size; the kernel tells the program."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _turn(self, keys, end, moment=None):
        """Waits until there is something to read, or room for keys; what is left of the keys,
        or None at the end of the output."""
        ready, room, _ = select.select([self.master], [self.master] if keys else [], [],
                                       moment or max(0, end - time.monotonic()))
        if not ready and not room and not moment:
            raise Silent(f"nothing for {SECONDS} s after {self.shown[-300:]!r}")
        if ready:
            try:
                data = os.read(self.master, 65536)
            except OSError:     # the last one has closed it
                data = b""
            if not data:
                return None
            self.shown += data
        if room:
            keys = keys[os.write(self.master, keys[:512]):]
        return keys

    def type(self, text, wait=None):
        """Keys, and what has to be shown, after all that was waited for before, until it goes on."""
        keys, end = text.encode(), time.monotonic() + SECONDS
        while keys:
            keys = self._turn(keys, end)
        if wait is not None:
            self.wait(wait)

    def wait(self, text):
        """Until this is shown; gives what was shown before it."""
        text, end = text.encode(), time.monotonic() + SECONDS
        while (at := self.shown.find(text, self.seen)) < 0:
            if self._turn(b"", end) is None:
                raise Silent(f"ended before {text!r}, after {self.shown[-300:]!r}")
        before = self.shown[self.seen:at]
        self.seen = at + len(text)
        return before.decode(errors="replace")

    def look(self):
        """Takes what is shown, for a moment."""
        self._turn(b"", time.monotonic() + SECONDS, 0.1)

    def end(self):
        """Until the program has ended; its exit status."""
        end = time.monotonic() + SECONDS
        while self._turn(b"", end) is not None:
            pass
        os.close(self.master)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

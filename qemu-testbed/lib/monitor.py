# SPDX-License-Identifier: GPL-2.0
"""QEMU's monitor protocol (QMP) on a connected socket."""

import asyncio
import json


class Refused(Exception):
    """QEMU answered a command with an error."""


class Monitor:
    def __init__(self, reader, writer, on_event):
        self.reader, self.writer, self.on_event = reader, writer, on_event
        self.answers = {}
        self.last_number = 0
        self.closed = False

    async def execute(self, command, **arguments):
        if self.closed:
            raise Refused("the machine has ended")
        self.last_number += 1
        answer = self.answers[self.last_number] = asyncio.get_running_loop().create_future()
        request = {"execute": command, "arguments": arguments, "id": self.last_number}
        self.writer.write(json.dumps(request).encode() + b"\n")
        return await asyncio.wait_for(answer, 30)

    async def receive(self):
        """Runs for the life of the QEMU process."""
        try:
            while line := await self.reader.readline():
                self._dispatch(json.loads(line))
        except (OSError, ValueError):
            pass
        self.closed = True
        for answer in self.answers.values():
            if not answer.done():
                answer.set_exception(Refused("the machine has ended"))
        self.writer.close()

    def _dispatch(self, message):
        if "event" in message:
            self.on_event(message["event"], message.get("data", {}))
        elif "id" in message:
            answer = self.answers.pop(message["id"], None)
            if answer is None or answer.done():
                return
            if "error" in message:
                answer.set_exception(Refused(message["error"].get("desc", "refused")))
            else:
                answer.set_result(message["return"])

# SPDX-License-Identifier: GPL-2.0
"""
The process that a testbed lives in: parent of its machines, owner of its network namespace.
If it dies, by whatever cause, the machines die with it; if whoever asked for "up" goes away
before that is answered, all is torn down.

Requests come over a Unix socket: one line of JSON, answered by one line of JSON; for "exec"
frames follow (see execute()).
"""

import asyncio
import contextlib
import json
import math
import os
import pathlib
import signal
import socket
import struct
import sys
import time

import channel
import cluster
import network
import process
import state
from channel import Gone
from machine import Machine
from monitor import Refused
from places import write_atomically

FRAME = struct.Struct("<cI")     # kind, length; to the client: o e (output), x (JSON, the end)
                                 # from the client: i (input; empty: end of file)
BOOTS = 3                # tries to get a guest whose clock is right
CLOCK_RATE = 2           # a guest's clock may be that much faster or slower; less is noise
POWER_OFF_SECONDS = 60  # for a kernel to power its machine off, a slow one as long as for any step
KILL_GRACE = 3           # seconds for a command to die after its timeout
REQUEST_LIMIT = 4 << 20


class Rejected(Exception):
    """The request makes no sense now; the text says why."""


class Supervisor:
    def __init__(self, config, segment):
        self.config = config
        self.segment = segment
        self.run = pathlib.Path(config["run"])
        self.phase = "booting"
        self.incidents = []
        self.helper = None
        self.finished = asyncio.Event()
        self.machines = {}
        for node in range(1, config["nodes"] + 1):
            self.machines[node] = Machine(node, config, segment, self._machine_changed)

    # The record on disk.

    def record(self):
        write_atomically(self.run / state.RECORD, json.dumps({
            "name": self.config["name"], "phase": self.phase, "pid": os.getpid(),
            "kernel": self.config["kernel"], "release": self.config["release"],
            "accelerator": self.config["accelerator"], "network": type(self.segment).__name__.lower(),
            "module": self.config["module"], "incidents": self.incidents,
            "nodes": [machine.describe() for machine in self.machines.values()]}, indent=1))

    def _machine_changed(self, machine):
        if machine.state in ("dead", "hung") and self.phase != "ending":
            self.incidents.append({"node": machine.name, "what": machine.state,
                                   "reason": machine.reason, "time": time.time()})
        self.record()

    # Life.

    async def live(self, launcher):
        control = await asyncio.start_unix_server(self._serve, str(self.run / state.CONTROL),
                                                  limit=REQUEST_LIMIT)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.finished.set)
        launching = asyncio.create_task(self._launch(launcher))
        await self.finished.wait()
        self.phase = "ending"
        launching.cancel()
        for machine in self.machines.values():
            await machine.kill()
        if self.helper:
            self.helper.kill()
            await self.helper.wait()
        self.phase = "down"
        self.record()
        control.close()

    async def _launch(self, launcher):
        """Boots all; the launcher's connection gets lines of progress, then the outcome."""
        reader, writer = await asyncio.open_connection(sock=launcher)
        closed = asyncio.create_task(reader.read())
        booting = asyncio.create_task(self._boot_all(writer))
        await asyncio.wait([closed, booting], return_when=asyncio.FIRST_COMPLETED)
        if not booting.done():
            print("whoever asked for this testbed has gone", flush=True)
            self.finished.set()
            return
        error = booting.exception()
        if error is None:
            self.phase = "up"
            self.record()
            answer = {"ok": True}
        else:
            answer = {"error": str(error) or repr(error)}
            self.phase = "failed"
        with contextlib.suppress(OSError):
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
            # Up to here the launcher may give up; "up" holds once it has heard of it.
            writer.write_eof()
            heard = await closed
            if error is None and heard != b"heard":
                self.finished.set()
            writer.close()
        if error is not None:
            self.finished.set()

    async def _boot_all(self, writer):
        if self.segment.helper:
            await self._start_helper()
        machines = self.machines.values()
        boots = [asyncio.create_task(self._boot_one(machine)) for machine in machines]
        try:
            for boot in asyncio.as_completed(boots):
                machine = await boot
                line = f"{machine.name} has booted in {machine.booted_in:.1f} s"
                writer.write(json.dumps({"progress": line}).encode() + b"\n")
            await self._join(machines)
        except BaseException:
            for boot in boots:
                boot.cancel()
            raise

    async def _boot_one(self, machine):
        """On a busy host a guest may mistake the speed of its own clock, by a factor of up to
        a hundred: such a boot is of no use, and is repeated."""
        for _ in range(BOOTS):
            await machine.boot(self.config["deadline"])
            await cluster.prepare(machine)
            rate = await machine.clock_rate()
            if abs(math.log(rate)) < math.log(CLOCK_RATE):
                return machine
            print(f"{machine.name}: its clock runs at {rate:.2f} times the host's", flush=True)
            await machine.kill()
        raise Gone(f"{machine.name}: its clock runs at {rate:.2f} times the host's")

    async def _join(self, machines):
        await asyncio.gather(*(cluster.join(machine) for machine in machines))
        present = [machine for machine in self.machines.values()
                   if machine in machines or machine.state == "up"]
        await cluster.complete(present, self.config)
        for machine in machines:
            machine.joined()

    async def _start_helper(self):
        """The hub: when its monitor greets, its sockets are there."""
        here, there = socket.socketpair()
        with there:
            self.helper = await asyncio.create_subprocess_exec(
                "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
                *self.segment.helper, "-chardev", f"socket,id=monitor,fd={there.fileno()}",
                "-mon", "chardev=monitor,mode=control", stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[there.fileno()], preexec_fn=process.die_with_parent)
        process.note(self.run / "hub.pid", self.helper.pid)
        reader, self.helper_monitor = await asyncio.open_connection(sock=here)
        if not await reader.readline():
            raise Gone("the network's hub process has failed: see supervisor.log")

    # Requests.

    async def _serve(self, reader, writer):
        try:
            request = json.loads(await reader.readline())
            if request["op"] == "exec":
                await self.execute(request, reader, writer)
                return
            try:
                answer = await self._answer(request)
            except (Gone, Refused, Rejected, asyncio.TimeoutError) as error:
                answer = {"error": str(error) or "no answer in time"}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, request):
        operations = {"kill": self.kill, "stop": self.stop, "start": self.start,
                      "freeze": self.freeze, "thaw": self.thaw, "net": self.net,
                      "down": self.down}
        result = await operations[request["op"]](request)
        self.record()
        return {"ok": True} | (result or {})

    def _machine(self, request, *states):
        machine = self.machines.get(request["node"])
        if machine is None:
            raise Rejected(f"there is no node{request['node']}: 1 to {len(self.machines)}")
        if states and machine.state not in states:
            why = f": {machine.reason}" if machine.reason else ""
            raise Rejected(f"{machine.name} is {machine.state}{why}")
        return machine

    async def down(self, _):
        self.finished.set()

    async def kill(self, request):
        await self._machine(request, "booting", "up", "hung", "frozen").kill()

    async def stop(self, request):
        await self._machine(request, "up").shut_down(max(POWER_OFF_SECONDS, self.config["deadline"]))

    async def start(self, request):
        machine = self._machine(request, "killed", "dead")
        machine.without = request.get("without")
        try:
            await self._boot_one(machine)
            await self._join([machine])
        except (Gone, Refused):
            await machine.kill()
            raise
        return {"seconds": machine.booted_in}

    async def freeze(self, request):
        await self._machine(request, "up", "hung").freeze()

    async def thaw(self, request):
        await self._machine(request, "frozen").thaw()

    async def net(self, request):
        machine = self._machine(request, "up", "frozen", "hung")
        what, value = request.get("what"), request.get("value")
        if what in ("delay", "loss", "rate"):
            wanted = machine.shape | {what: value}
            await cluster.shape(machine, wanted)
            machine.shape = wanted
        elif what in ("up", "down"):
            await machine.set_link(what == "up")
        elif what == "clear":
            await machine.set_link(True)
            await cluster.shape(machine, {})
            machine.shape = {}
        return {"link": machine.link, "shape": machine.shape}

    async def execute(self, request, reader, writer):
        """Runs a command for a client; the client's going away kills it."""
        job = None
        try:
            machine = self._machine(request)
            job = machine.command(request["argv"], request["directory"], request["environment"],
                                  request["flags"], request["size"])
            outcome = await self._relay(machine, job, request, reader, writer)
        except (Gone, Rejected, ValueError) as error:
            outcome = {"error": str(error)}
        finally:
            if job:
                job.close()
        if outcome is not None:
            data = json.dumps(outcome).encode()
            writer.write(FRAME.pack(b"x", len(data)) + data)
            await writer.drain()

    async def _relay(self, machine, job, request, reader, writer):
        output = asyncio.create_task(self._relay_output(job, writer))
        client = asyncio.create_task(self._relay_input(job, reader))
        try:
            await asyncio.wait([output, client], timeout=request["timeout"],
                               return_when=asyncio.FIRST_COMPLETED)
            if output.done():
                return {"status": output.result()}
            job.kill()
            if client.done():
                return None
            grace = KILL_GRACE if machine.state == "up" else 0
            done, _ = await asyncio.wait([output], timeout=grace)
            return {"timeout": True, "killed": bool(done)}
        except OSError:             # the client has gone while it was being written to
            job.kill()
            return None
        finally:
            output.cancel()
            client.cancel()

    @staticmethod
    async def _relay_output(job, writer):
        names = {channel.STDOUT: b"o", channel.STDERR: b"e"}
        while True:
            kind, data = await job.event()
            if kind == channel.EXIT:
                return data
            writer.write(FRAME.pack(names[kind], len(data)) + data)
            await writer.drain()
            job.consumed(len(data))

    @staticmethod
    async def _relay_input(job, reader):
        """Returns when the client has gone."""
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                _, length = FRAME.unpack(await reader.readexactly(FRAME.size))
                await job.feed(await reader.readexactly(length))


def main(run, launcher):
    run = pathlib.Path(run)
    process.note(run / state.SUPERVISOR, os.getpid())
    config = json.loads((run / state.CONFIG).read_text())
    nodes = range(1, config["nodes"] + 1)
    try:
        segment = network.open_segment(nodes, run, config["network"])

        async def live():
            await Supervisor(config, segment).live(socket.socket(fileno=launcher))

        asyncio.run(live())
    finally:
        for path in ("hub.pid", state.CONTROL, state.SUPERVISOR):
            (run / path).unlink(missing_ok=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

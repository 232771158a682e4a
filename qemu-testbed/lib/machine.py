# SPDX-License-Identifier: GPL-2.0
"""One virtual machine: its QEMU process, its console file, its two sockets."""

import asyncio
import contextlib
import pathlib
import re
import signal
import socket
import time

import channel
import network
import process
from monitor import Monitor, Refused

# Kernel messages that tell why a machine ended, the most telling first.
REASONS = (r"Kernel panic - not syncing: .*", r"BUG: .*", r"Oops: .*", r"testbed: .*")


class Machine:
    """
    States: off, booting, up, frozen, hung, killed (asked for), dead (not asked for).
    `on_change` is called after each transition.
    """

    def __init__(self, node, config, segment, on_change):
        self.node = node
        self.name = f"node{node}"
        self.config = config
        self.segment = segment
        self.on_change = on_change
        self.run_directory = pathlib.Path(config["run"])
        self.state, self.reason = "off", None
        self.boots = 0
        self.qemu = self.monitor = self.channel = None
        self.tasks = []
        self.shape, self.link = {}, "up"
        self.without = None         # what its CPU lacks
        self.shutdown_reason = None
        self.booted_in = None

    # Files.

    @property
    def console(self):
        return self.run_directory / f"{self.name}.{self.boots}.log"

    @property
    def gdb_socket(self):
        return self.run_directory / f"{self.name}.gdb"

    @property
    def pid_file(self):
        return self.run_directory / f"{self.name}.pid"

    def _change(self, state, reason=None):
        self.state, self.reason = state, reason
        self.on_change(self)

    # Life.

    async def boot(self, seconds):
        """Starts QEMU and waits for the agent; channel.Gone with the reason if it fails."""
        self.boots += 1
        self.shape, self.link, self.shutdown_reason = {}, "up", None
        begin = time.monotonic()
        self.console.touch()
        agent_here, agent_there = socket.socketpair()
        monitor_here, monitor_there = socket.socketpair()
        with agent_there, monitor_there, \
                open(self.run_directory / f"qemu-{self.name}.log", "ab") as errors:
            handles = [agent_there.fileno(), monitor_there.fileno()]
            self.qemu = await asyncio.create_subprocess_exec(
                "qemu-system-x86_64", *self._arguments(*handles),
                stdin=asyncio.subprocess.DEVNULL, stdout=errors, stderr=errors,
                pass_fds=handles, preexec_fn=process.die_with_parent)
        process.note(self.pid_file, self.qemu.pid)
        self.channel = channel.Channel(*await asyncio.open_connection(sock=agent_here))
        self.monitor = Monitor(*await asyncio.open_connection(sock=monitor_here), self._event)
        self.tasks = [asyncio.create_task(self.channel.receive()),
                      asyncio.create_task(self.monitor.receive()),
                      asyncio.create_task(self._reap(self.qemu, self.channel))]
        self._change("booting")
        try:
            await self.monitor.execute("qmp_capabilities")
            await asyncio.wait_for(asyncio.shield(self.channel.ready), seconds)
        except asyncio.TimeoutError:
            raise channel.Gone(f"{self.name}: no sign of the agent within {seconds:g} s") from None
        except Refused:
            await self._reaped()
            raise channel.Gone(f"{self.name}: {self.reason}") from None
        self.booted_in = time.monotonic() - begin
        self.tasks.append(asyncio.create_task(self._watch(self.channel)))

    def joined(self):
        self._change("up")

    def _arguments(self, agent, monitor):
        config = self.config
        arguments = [
            "-name", f"{config['name']}-{self.name}", "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-M", "q35",
            # Were there only one for ever, QEMU would leave out the barriers of locked
            # instructions: a device, which is another thread of it, then misses that its queue
            # has got something, or the guest that it has to ring, and that queue stands still.
            "-smp", f"{config['smp']},maxcpus={max(config['smp'], 2)}", "-m", str(config["mem"]),
            "-action", "panic=exit-failure",
            "-kernel", config["image"], "-initrd", config["initramfs"],
            "-append", self._command_line(),
            "-serial", f"file:{self.console}", "-serial", "null",
            "-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "chardev=monitor,mode=control",
            "-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,fd={agent}",
            "-device", "virtserialport,chardev=agent,name=radium.agent",
            "-device", "virtio-rng-pci", "-device", "pvpanic-pci",
            "-netdev", self.segment.netdev(self.node),
            "-device", f"virtio-net-pci,id=nic,netdev=net,romfile=,host_mtu={network.MTU},"
                       f"mac={network.hardware_address(self.node)}"]
        lacks = f",{self.without}=off" if self.without else ""
        if config["accelerator"] == "kvm":
            arguments += ["-accel", "kvm", "-cpu", (config["cpu"] or "host") + lacks]
        else:
            # Five-level paging is off: while 6.1 identifies the boot CPU, an interrupt makes KASAN
            # report a wild access (the feature bit that it looks at is being re-read).
            counting = config["icount"] is not None
            arguments += ["-accel", f"tcg,thread={'single' if counting else 'multi'}",
                          "-cpu", (config["cpu"] or "max,la57=off") + lacks]
            if counting:
                arguments += ["-icount", f"shift={config['icount']}"]
        shares = [("root", "/", True), ("modules", config["modules"], True),
                  ("repo", config["repo"], True)]
        if config["share"]:
            shares.append(("share", config["share"], False))
        for tag, path, readonly in shares:
            arguments += ["-virtfs", f"local,mount_tag={tag},path={path.replace(',', ',,')},"
                          "security_model=none,multidevs=remap"
                          + (",readonly=on" if readonly else "")]
        if config["gdb"]:
            arguments += ["-gdb", f"unix:{self.gdb_socket},server=on,wait=off"]
        return arguments

    def _command_line(self):
        words = ["console=ttyS0", "panic=-1", "oops=panic", "printk.time=1", "net.ifnames=0",
                 f"possible_cpus={self.config['smp']}"]
        if self.config["accelerator"] == "tcg":
            # On a busy host the checks of these clocks fail, not the clocks.
            words += ["tsc=reliable", "no_timer_check"]
        if self.config["gdb"]:
            words.append("nokaslr")
        return " ".join(words + self.config["append"])

    def _event(self, name, data):
        if name == "GUEST_PANICKED":
            self.shutdown_reason = "the kernel panicked"
        elif name == "SHUTDOWN":
            self.shutdown_reason = self.shutdown_reason or f"shut down ({data.get('reason')})"

    async def _reap(self, qemu, agent):
        status = await qemu.wait()
        await self.tasks[1]             # the monitor's last words
        self.pid_file.unlink(missing_ok=True)
        if self.state == "killed":
            agent.close(f"{self.name} was killed")
            return
        reason = self._last_words() or self.shutdown_reason or f"QEMU ended with status {status}"
        self._change("dead", reason)
        agent.close(f"{self.name} died: {reason}")

    def _last_words(self):
        text = self.console.read_text(errors="replace")
        for pattern in REASONS:
            if found := re.search(pattern, text):
                return found[0].rstrip()
        lines = (self.run_directory / f"qemu-{self.name}.log").read_text(errors="replace")
        return lines.strip().splitlines()[-1] if lines.strip() else None

    async def _watch(self, agent):
        """A guest whose agent has been silent for too long counts as hung."""
        patience = self.config["patience"]
        clock = asyncio.get_running_loop().time
        while agent.reason is None:
            agent.send(channel.PING, 0)
            await asyncio.sleep(min(5, patience / 4))
            if self.state == "frozen":
                agent.silent_since = clock()
            silent = clock() - agent.silent_since
            if self.state == "up" and silent > patience:
                self._change("hung", f"its agent has been silent for {silent:.0f} s")
                agent.fail_jobs(f"{self.name} hangs: {self.reason}")
            elif self.state == "hung" and silent < patience / 2:
                self._change("up")

    async def kill(self):
        """Cuts the power; returns when the process has gone."""
        if self.qemu is None or self.state in ("off", "dead", "killed"):
            return
        self._change("killed")
        with contextlib.suppress(ProcessLookupError):
            self.qemu.send_signal(signal.SIGKILL)
        await self._reaped()

    async def _reaped(self):
        """Whoever waits for it may be called off, while another one waits, too."""
        await asyncio.shield(self.tasks[2])

    async def clock_rate(self):
        """How fast its clock runs, compared with the host's, over a second or so."""
        clock = asyncio.get_running_loop().time
        points = []
        for pause in (1, 0):
            before = clock()
            _, text, _ = await self.check(["cat", "/proc/uptime"], 60)
            points.append(((before + clock()) / 2, float(text.split()[0])))
            await asyncio.sleep(pause)
        (here, there), (here_later, there_later) = points
        return max(there_later - there, 0.001) / (here_later - here)

    async def shut_down(self, seconds):
        """Has the kernel power itself off, as an administrator would who is in a hurry;
        returns when the process has gone, or cuts the power and complains."""
        self.command(["busybox", "poweroff", "-f"])
        self._change("killed")
        try:
            await asyncio.wait_for(self._reaped(), seconds)
        except asyncio.TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.qemu.send_signal(signal.SIGKILL)
            await self._reaped()
            raise channel.Gone(f"{self.name} did not power off within {seconds:g} s") from None

    # What can be done to it.

    async def freeze(self):
        await self.monitor.execute("stop")
        self._change("frozen")

    async def thaw(self):
        self.channel.silent_since = asyncio.get_running_loop().time()
        await self.monitor.execute("cont")
        self._change("up")

    async def set_link(self, up):
        await self.monitor.execute("set_link", name="nic", up=up)
        self.link = "up" if up else "down"

    def environment(self):
        return {"PATH": f"{self.config['repo']}/userspace-tools:/usr/local/sbin:/usr/local/bin:"
                        "/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/sh",
                "LANG": "C.UTF-8", "TERM": "dumb", "RADIUM_NODE": str(self.node)}

    def command(self, argv, directory="/", environment=None, flags=0, size=(24, 80)):
        """Starts a command in the guest."""
        if self.state in ("off", "dead", "killed", "hung"):
            raise channel.Gone(f"{self.name} is {self.state}"
                               + (f": {self.reason}" if self.reason else ""))
        return self.channel.run(argv, directory, self.environment() | (environment or {}),
                                flags, size)

    async def check(self, argv, seconds, stdin=None):
        """Runs a command of the testbed's own to its end: (status, stdout, stderr)."""
        job = self.command(argv, flags=0 if stdin is None else channel.RUN_STDIN)
        output = {channel.STDOUT: b"", channel.STDERR: b""}

        async def follow():
            if stdin is not None:
                await job.feed(stdin)
                await job.feed(b"")
            while True:
                kind, data = await job.event()
                if kind == channel.EXIT:
                    return data
                output[kind] += data
                job.consumed(len(data))

        try:
            status = await asyncio.wait_for(follow(), seconds)
        except asyncio.TimeoutError:
            job.kill()
            job.close()
            raise channel.Gone(f"{self.name}: {' '.join(argv)[:80]}: "
                               f"no end within {seconds:g} s") from None
        return status, *(text.decode(errors="replace").strip() for text in output.values())

    def describe(self):
        return {"id": self.node, "name": self.name, "state": self.state, "reason": self.reason,
                "pid": self.qemu.pid if self.qemu and self.qemu.returncode is None else None,
                "boots": self.boots, "address": network.address(self.node), "link": self.link,
                "shape": self.shape, "console": str(self.console),
                "gdb": str(self.gdb_socket) if self.config["gdb"] else None,
                "boot_milliseconds": int(self.booted_in * 1000) if self.booted_in else None}

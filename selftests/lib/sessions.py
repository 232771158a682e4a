# SPDX-License-Identifier: GPL-2.0
"""Unmodified programs that somebody works with: sshd, tmux, vim and git are moved to node 2 and
back at random moments meanwhile. What is shown, and what they leave, is what it is unmoved."""

import difflib

from . import paths
from .context import each
from .moved import Program, chosen, each_program
from .servers import LIMIT, Server, directory, serve

ST = paths.GUEST
PORT = 2222
SECONDS = 480               # for one run: each of its many steps starts a program
USER = "visitor"

PROGRAMS = [
    # A window changes its size while vim is away: that signal has brought it home.
    Program("vim", f"seq 1 1500 | sed 's/$/ lines of text 12/' > text && "
            f"python3 {ST}/typed_vim.py {{size}} text", 1, leaves="text", comms="vim.basic",
            only=True, status=0, reasons="SIGNAL", limit=SECONDS),
    Program("tmux", f"python3 {ST}/typed_tmux.py {{size}} {ST}", 1, only=True, status=0,
            comms="tmux: server,tmux: client", limit=SECONDS),
    Program("git", f"sh {ST}/history.sh {{size}}", 20, 10, comms="git,git-daemon",
            each="git", status=0, limit=SECONDS),
]

# Another user than root: then sshd has a process with the rights of that user, too.
PROFILE = r"""
PS1='[\#]> '
unset HISTFILE
bind 'set enable-bracketed-paste off'
"""


def prepare(context, work):
    """A user who may come from node 2 with a key; the words that ssh needs for it."""
    bed = context.bed
    key = bed.run(2, f"mkdir -p {work} && cd {work} && rm -f key* && "
                     "ssh-keygen -q -t ed25519 -N '' -f key && cat key.pub")
    bed.run(1, f"mkdir -p {work} /run/sshd && cd {work} && rm -f host* && "
               "ssh-keygen -q -t ed25519 -N '' -f host && "
               f"{{ id -u {USER} >/dev/null 2>&1 || useradd -m -s /bin/bash {USER}; }} && "
               f"cd ~{USER} && mkdir -p .ssh && touch .hushlogin && "
               f"echo '{key.strip()}' > .ssh/authorized_keys && "
               f"cat > .bash_profile <<'END' && chown -R {USER} .\n{PROFILE}\nEND\n")
    return (f"-p {PORT} -i {work}/key -o StrictHostKeyChecking=no -o UserKnownHostsFile={work}/known "
            f"-o LogLevel=ERROR {USER}@node1")


def sshd(context):
    """A session on a terminal, and bytes without one: sshd's processes and the shell are moved
    while a client on the other node types. It sees what it sees when nothing moves."""
    bed, work = context.bed, directory("sshd")
    size = 3 if context.thorough and not context.debug else 1
    client = f"python3 {ST}/typed_ssh.py {size} {prepare(context, work)}"
    server = Server(context, "sshd", f"/usr/sbin/sshd -D -p {PORT} -h {work}/host -o PrintLastLog=no "
                    f"-o PidFile=none -E {work}/log", PORT)
    try:
        expected = bed.run(2, client, timeout=LIMIT * context.slow)
        assert "the session ended with 7\n" in expected, expected
        for said in serve(context, "sshd,bash", lambda: [server.pid], lambda seed: client):
            differs = "\n".join(list(difflib.unified_diff(expected.splitlines(), said.splitlines(),
                                                          "unmoved", "moved", lineterm=""))[:60])
            assert said == expected, f"the client saw something else:\n{differs}"
        server.end(f"kill {server.pid}")
    finally:
        server.kill()


def run(context, only):
    """The suite "sessions"."""
    yield from each(context, [sshd], only)
    yield from each_program(context, "sessions", "true", chosen(context, PROGRAMS, only))

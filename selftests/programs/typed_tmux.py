# SPDX-License-Identifier: GPL-2.0
"""Panes of tmux that work, while somebody types at its client and the client's window changes.
Prints what the panes show at the end. Arguments: how often, where draw.sh is."""

import os
import subprocess
import sys

from typed import Terminal

size, place = int(sys.argv[1]), sys.argv[2]
TMUX = ["tmux", "-L", "radium", "-f", "/dev/null"]
PREFIX = "\x02"
# The shells read it when they start. What is typed too early would be shown earlier.
SILENT = "PS1=\nstty -echo\necho silent\n"
os.environ.pop("TMUX", None)


def tmux(*words):
    """What a command of tmux prints."""
    return subprocess.run([*TMUX, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          check=True, text=True).stdout


def pane(number, *options):
    """What a pane shows."""
    return tmux("capture-pane", "-p", *options, "-t", f"main.{number}").rstrip()


def until(condition):
    """Somebody sits at the client meanwhile."""
    while not condition():
        terminal.look()


def said(number, text):
    """Waits until a pane shows this as a line."""
    until(lambda: text in [line.rstrip() for line in pane(number).splitlines()])


def run(number, command, end):
    """A command for the shell of a pane, with a line that shows its end."""
    tmux("send-keys", "-t", f"main.{number}", f"{command}; echo {end}", "Enter")


with open("silent", "w", encoding="utf-8") as file:
    file.write(SILENT)
terminal = Terminal([*TMUX, "new-session", "-s", "main", ";", "set", "-g", "history-limit", "50000",
                     ";", "set", "-g", "status", "off", ";", "set", "-g",
                     "assume-paste-time", "0"],
                    rows=40, columns=100, TERM="vt220", SHELL="/bin/sh", ENV=os.path.abspath("silent"))
terminal.wait("silent")
# The window is halved, by keys, and its lower half again.
terminal.type(PREFIX + '"' + PREFIX + "%")
until(lambda: len(tmux("list-panes", "-t", "main").splitlines()) == 3)
for number in range(3):
    said(number, "silent")
for turn in range(size):
    run(0, f"seq {turn} 700", f"counted{turn}")
    run(1, f"clear; sh {place}/draw.sh 400", f"drawn{turn}")
    # The pane that was made last gets what is typed.
    terminal.type("sed -u s/^/=/\r")
    for line in range(5):
        terminal.type(f"line {line} of {turn}\r")
    said(2, f"=line 4 of {turn}")
    terminal.type("\x04")
    said(1, f"drawn{turn}")
    said(0, f"counted{turn}")
    run(0, f"seq 1000 {1500 + turn}", f"again{turn}")
    for rows, columns in ((44, 120 + turn), (40, 100)):
        terminal.resize(rows, columns)
        until(lambda want=f"{columns} {rows}": want == tmux(
            "display-message", "-p", "-t", "main", "#{window_width} #{window_height}").strip())
        # The shell asks until its terminal has the size that tmux has given it.
        inner = tmux("display-message", "-p", "-t", "main.2", "#{pane_height} #{pane_width}").strip()
        terminal.type(f'until [ "$(stty size)" = "{inner}" ]; do :; done; echo size {turn} {inner}\r')
        said(2, f"size {turn} {inner}")
    said(0, f"again{turn}")
for number in range(3):
    print(f"pane {number}\n{pane(number, '-e', '-J', '-S', '-')}")
tmux("kill-server")
terminal.end()

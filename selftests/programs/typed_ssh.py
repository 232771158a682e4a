# SPDX-License-Identifier: GPL-2.0
"""An interactive session through ssh: what the other side shows is printed as it came.
Arguments: how often, and the words of ssh that lead there."""

import hashlib
import subprocess
import sys

from typed import Terminal

# Says when it goes on after it was stopped.
STOPPED = ("perl -e '$| = 1; $SIG{CONT} = sub { print qq(goes on\\n); exit 3 }; print qq(st), qq(op\\n); "
           "sleep 1000 while 1'")
# Says each new size of the window, twice. Waiting for a signal with it blocked misses none.
WATCH = ("python3 -c 'import os, signal; s = {signal.SIGWINCH}; signal.pthread_sigmask(0, s); "
         "print(\"wa\" + \"tch\", flush=True); [(signal.sigwait(s), print(\"now\", "
         "*os.get_terminal_size()[::-1], flush=True)) for _ in \"ab\"]'")

size, ssh = int(sys.argv[1]), sys.argv[2:]
terminal = Terminal(["ssh", "-tt", *ssh], TERM="vt220")
number = 1          # of the command that the shell waits for


def prompt():
    """The shell has done what it was asked for."""
    global number
    terminal.wait(f"[{number}]> ")
    number += 1


def command(line):
    """One that asks nothing."""
    prompt()
    terminal.type(line + "\r")


for turn in range(size):
    command(f"s={turn}; for ((i = 0; i < 1500; i++)); do ((s = (s * 31 + i) % 65521)); done; echo $s")
    command(f"seq {turn} 2000 | grep -v 7 | sort -rn | md5sum")
    command("tty | cut -c 1-9; stty size; stty -a | tr ' ' '\\n' | grep -c .")
    # Editing: beginning and end of the line, what is behind the cursor, the line before.
    prompt()
    terminal.type("cho lost\x01e\x05\x7f\x7f\x7f\x7ffound\r")
    prompt()
    terminal.type("\x10\r")
    # Lines for a program, and the end of them.
    command("echo r\"\"eady; sed -u s/^/=/")
    terminal.wait("ready\r\n")
    for line in ("first", "second", "third"):
        terminal.type(line + "\r", "=" + line)
    terminal.type("\x04")
    # Keys that are signals.
    command("sh -c 'echo r\"\"eady; exec sleep 1000'")
    terminal.wait("ready\r\n")
    terminal.type("\x03")
    command("echo $?")
    command(STOPPED)
    terminal.wait("stop\r\n")
    terminal.type("\x1a")
    command("fg")
    command("echo $?")
    # The window.
    command(WATCH)
    terminal.wait("watch\r\n")
    for rows, columns in ((30 + turn, 90), (24, 80)):
        terminal.resize(rows, columns)
        terminal.wait(f"now {rows} {columns}\r\n")
    command("seq 1 400")        # more than a screen
command("exit 7")
status = terminal.end()
sys.stdout.buffer.write(terminal.shown)
print(f"\nthe session ended with {status}", flush=True)

# Without a terminal: bytes in both directions, and the exit status.
data = b"".join(b"%d\n" % number for number in range(60000 * size))
for words in ("sha256sum", "tac", "tr -d 5 | head -c 1000 | sha256sum; exit 9"):
    done = subprocess.run(["ssh", *ssh, words], input=data, stdout=subprocess.PIPE, check=False)
    print(words, done.returncode, len(done.stdout), hashlib.sha256(done.stdout).hexdigest())

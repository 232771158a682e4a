# SPDX-License-Identifier: GPL-2.0
"""When processes end, by the clocks of their machines: what starting a program in an
emulated machine takes is not to be counted, nor to be an excuse."""

import contextlib
import time

# t: the machine's clock, in hundredths of a second. gone PID: it does not exist any
# more, or is a zombie without further threads.
SHELL = r"""
t() { read -r u _ < /proc/uptime; t=${u%.*}${u#*.}; }
gone()
{
    read -r l 2>/dev/null < /proc/$1/stat || return 0
    case "${l##*) }" in Z*) ;; *) return 1 ;; esac
    set -- $1 /proc/$1/task/*
    [ $# -eq 2 ]
}
"""
# From kill -9 until everything is gone, in seconds: two, as lifetime/kill_away shows; on a
# busy host this, for all other tests. What waits for a node's death takes more.
GONE_S = 8
# How often the machines' shells look, with the start of sleep(1), in seconds.
LOOK = 0.3


class Clock:
    """A machine's uptime on the host's clock. Not across a freeze of the machine."""

    def __init__(self, bed, node):
        samples = []
        for _ in range(3):
            before = time.monotonic()
            uptime = float(bed.run(node, "cut -d' ' -f1 /proc/uptime"))
            after = time.monotonic()
            samples.append(((after - before) / 2, (after + before) / 2 - uptime))
        # By how much it may be wrong, and what to add.
        self.error, self.offset = min(samples)

    def host(self, uptime):
        """An uptime as time.monotonic() of the host."""
        return uptime + self.offset


def dead_seconds(bed, node=1):
    """Silence after which a machine believes another dead, and the look at it each quarter
    of a second."""
    return int(bed.run(node, "cat /sys/module/radium/parameters/dead_ms")) / 1000 + 0.25


def believe_dead_after(bed, node, milliseconds):
    """Sets the silence of dead_seconds()."""
    bed.run(node, f"echo {milliseconds} >/sys/module/radium/parameters/dead_ms")


@contextlib.contextmanager
def patience(bed, seconds, nodes=(1, 2)):
    """These nodes believe nobody dead for less than so much silence."""
    with contextlib.ExitStack() as stack:
        for node in nodes:
            usual = int(dead_seconds(bed, node)) * 1000
            stack.callback(believe_dead_after, bed, node, usual)
            believe_dead_after(bed, node, seconds * 1000)
        yield


def watch(bed, node, *pids):
    """Begins to look, in a machine, for when the last of some processes has ended."""
    assert pids, f"no process to watch on node{node}"
    names = " ".join(map(str, pids))
    bed.run(node, f"""rm -f /tmp/end
cat > /tmp/watch.sh <<'END'
{SHELL}
for p in {names}; do until gone $p; do sleep 0.05; done; done
t; echo $t > /tmp/end.new; mv /tmp/end.new /tmp/end
END
setsid sh /tmp/watch.sh </dev/null >/dev/null 2>&1 &""")


def ended(bed, node, seconds, what):
    """Uptime at which what is watched had ended; it has to within about so many seconds
    from now (the caller compares exactly)."""
    end = time.monotonic() + seconds
    while True:
        text = bed.run(node, "cat /tmp/end 2>/dev/null || true").strip()
        if text:
            return int(text) / 100
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.3)


def kill(bed, pid, limit, node=1, user=()):
    """SIGKILL to a process, as root or as the user that these words make of it. It has to be gone
    within so many seconds by its machine's clock; uptime at the signal. One that does not exist any
    more is fine."""
    done = bed.execute(node, *user, "sh", "-c", SHELL + f"""
t; a=$t
kill -9 {pid} 2>/dev/null
until gone {pid}; do
    t
    [ $((t - a)) -le {int(limit * 100)} ] || {{ cat /proc/{pid}/status /proc/{pid}/stack; exit 9; }}
    sleep 0.05
done
echo $a""", timeout=limit + 30)
    assert done.returncode == 0, \
        f"process {pid} is there {limit:.1f} s after kill -9:\n{done.stdout[:2000]}{done.stderr}"
    return int(done.stdout) / 100

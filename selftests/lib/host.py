# SPDX-License-Identifier: GPL-2.0
"""What the host gives to the virtual machines."""

import pathlib


class Share:
    """Of the time in which processes wanted to run, the part in which they did not."""

    def __init__(self, pids):
        self.pids = pids
        self.before = self.threads()

    def threads(self):
        """ns that each thread has run and has waited for a CPU; none where the kernel
        does not say."""
        times = {}
        for pid in self.pids:
            for file in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
                try:
                    times[file] = [int(word) for word in file.read_text().split()[:2]]
                except OSError:
                    pass        # it has ended
        return times

    def lacking(self):
        """Since the last time, or the beginning: 0 to 1."""
        before, self.before = self.before, self.threads()
        run, waited = (sum(now[i] - before[file][i] for file, now in self.before.items()
                           if file in before) for i in (0, 1))
        return waited / (run + waited) if run + waited > 0 else 0

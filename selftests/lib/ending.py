# SPDX-License-Identifier: GPL-2.0
"""Ctrl-C, a terminated make and a terminal that goes away leave no machine behind."""

import signal
import sys

ENDING = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


def heed(first=lambda: None):
    """From now on each of them ends this process as an exception does, after something that is to
    be done first; but for those that it was started not to heed, as by nohup."""
    def end(number, _):
        # On the way out machines are taken down; a second signal does not end that.
        for ending in ENDING:
            signal.signal(ending, signal.SIG_IGN)
        first()
        sys.exit(128 + number)
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end)

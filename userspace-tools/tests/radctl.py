# SPDX-License-Identifier: GPL-2.0
"""radctl from the outside, on a fake device: radctl.py RADCTL [OTHER-TEST-PROGRAM...]"""
import importlib
import sys

import harness

for name in "joining", "machine", "moving", "reading":  # each holds tests
    importlib.import_module(name)

if __name__ == "__main__":
    sys.exit(harness.main())

# SPDX-License-Identifier: GPL-2.0
"""Where things are."""

import pathlib

SELFTESTS = pathlib.Path(__file__).resolve().parent.parent
TOP = SELFTESTS.parent
BUILD = TOP / "build"
LOGS = BUILD / "logs"
SHARE = BUILD / "share"             # seen by the machines as /share
PROGRAMS = BUILD / "selftests"      # compiled test programs
TESTBED = TOP / "qemu-testbed" / "testbed"

GUEST = "/root/st"                  # test programs in a machine

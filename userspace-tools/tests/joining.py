# SPDX-License-Identifier: GPL-2.0
"""Key files, node join, leave and drain."""
import errno
import os

from harness import RADCTL, SCRATCH, contains, equal, radctl, test


def key_file(name, content, mode=0o600):
    path = os.path.join(SCRATCH, name)
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)
    return path


KEY = key_file("key", b"12ab" * 16 + b"\n")
JOIN = ("node", "join", "--id", "1", "--addr", "127.0.0.1", "--replica", "/bin/true", "--key", KEY)


@test
def keys():
    "key files: two forms are read, everything else is refused with a reason"
    hexkey = "12ab" * 16
    for content in (hexkey.encode(), hexkey.encode() + b"\n", hexkey.upper().encode(),
                    bytes.fromhex(hexkey)):
        result = radctl(*JOIN[:-1], key_file("good", content))
        equal((result.status, result.err), (0, ""))
        contains(result.log, "key=" + hexkey)
    for content in (b"", hexkey.encode()[:-1], hexkey.encode() + b"\n\n", b"g" * 64,
                    hexkey.encode() + b"0", b"\0" * 31, b"\0" * 33):
        result = radctl(*JOIN[:-1], key_file("bad", content))
        equal((result.status, result.log), (1, ""))
        contains(result.err, "neither 64 hex digits nor 32 bytes")
    for mode in 0o640, 0o604, 0o620:
        result = radctl(*JOIN[:-1], key_file("open", hexkey.encode(), mode))
        equal((result.status, result.log), (1, ""))
        contains(result.err, "others than its owner may use this key: chmod 600")
    contains(radctl(*JOIN[:-1], "/nonexistent").err, "No such file or directory: copy the cluster's key there")
    # Of somebody else, for who is nobody there.
    result = radctl("-U", RADCTL, *JOIN[:-1], key_file("shut", hexkey.encode(), 0),
                    program="/usr/bin/unshare")
    if not result.err.startswith("unshare"):
        contains(result.err, "Permission denied: run as root\n")
    made = os.path.join(SCRATCH, "made")
    equal(radctl("node", "key", made).status, 0)
    equal(os.stat(made).st_mode & 0o777, 0o600)
    equal(radctl(*JOIN[:-1], made).status, 0)
    contains(radctl("node", "key", made).err, "never overwritten")


@test
def join():
    "node join passes on its arguments, and says when the cluster refuses"
    up, silent, refused = "peer=2", "peer=1", "peer=5"
    result = radctl(*JOIN, "--port", "99", "::1", "127.0.0.2", fake=up)
    equal((result.status, result.err), (0, ""))
    contains(result.log, "id=1 port=99 addr=127.0.0.1 replica=/bin/true")
    contains(result.log, "peer=::1 peer=127.0.0.2\n")
    equal(radctl(*JOIN, "-j", "::1", fake=up).json(), {"node": 1, "addr": "127.0.0.1"})
    result = radctl(*JOIN, "::1", fake=refused)
    equal(result.status, 1)
    contains(result.err, "the cluster keys differ: use one key file")
    contains(result.log, "LEAVE drain=0")
    equal(radctl(*JOIN, "--no-wait", "::1", fake=refused).status, 0)
    equal(radctl(*JOIN, "::1", fake=silent).status, 0)
    result = radctl(*JOIN, "--wait", "0.2", "::1", fake=silent)
    equal((result.status, "LEAVE" in result.log), (1, False))
    contains(result.err, "cannot be reached")
    strict = JOIN + ("--wait", "0.2")
    for peers, fake, status in (
            (("::1",), "peer=1 other=2", 1),                    # the other one is not it
            (("127.0.0.2", "::1"), "peer=2 second=1", 1),
            (("127.0.0.1", "::1"), "second=2", 0),              # itself
            (("::1", "0:0::1", "127.0.0.2", "::1"), up, 0),
            (("fe80::1%lo", "127.0.0.2"), up, 0),
            (("127.0.0.1",), silent, 0)):
        equal((peers, radctl(*strict, *peers, fake=fake).status), (peers, status))
    result = radctl(*strict, "::1", fake="peer=5 other=2")      # who is accepted by one stays
    equal((result.status, "LEAVE" in result.log), (1, False))
    for code, text in ((errno.EPERM, "run as root"), (errno.EEXIST, "is a node already"),
                       (errno.EADDRNOTAVAIL, "no RDMA device has this address"),
                       (errno.ENOENT, "see 'radctl check' and the kernel log")):
        contains(radctl(*JOIN, fake=f"errno={code}").err, text)
    contains(radctl(*JOIN, "--replica", "/nonexistent").err, "cannot be run")
    contains(radctl(*JOIN, "not an address").err, "is no address")
    result = radctl("node", "leave", "--drain", "--timeout", "2")
    equal((result.status, result.log), (0, "LEAVE drain=1 timeout_ms=2000\n"))
    equal(radctl("node", "drain").log, "DRAIN drain=1 timeout_ms=0\n")
    equal(radctl("node", "leave", "-j").json(), {"node": 0})
    contains(radctl("node", "leave", fake=f"errno={errno.EBUSY} reason=24").err,
             "processes are distributed: use 'radctl node drain' first")
    result = radctl(*JOIN, "--no-wait", "--wait", "1", "::1")
    equal((result.status, result.log), (2, ""))
    contains(result.err, "--wait and --no-wait exclude each other")


@test
def ensure():
    "node join --ensure succeeds if this machine is that node; what peers say is a warning"
    lenient = JOIN + ("--ensure", "--wait", "0.2", "::1")
    for fake, text in (("peer=5 other=2", "joined, but the cluster keys differ: use one key file"),
                       ("peer=1", "joined, but the peer cannot be reached: check"), ("peer=2", "")):
        result = radctl(*lenient, fake=fake)
        equal((result.status, "LEAVE" in result.log, result.err.count("\n")), (0, False, bool(text)))
        contains(result.err, text)
        equal(radctl(*lenient, "-j", fake=fake).json(), {"node": 1, "addr": "127.0.0.1"})
    result = radctl(*lenient, fake="peer=5")                    # accepted by nobody
    equal((result.status, "LEAVE" in result.log), (1, True))
    again = f"errno={errno.EALREADY}"                           # node 1 is at 10.0.0.1
    equal(radctl(*lenient, "--addr", "10.0.0.1", fake=again).status, 0)
    for other in ("--addr", "10.0.0.9"), ("--addr", "10.0.0.1", "--id", "2"):
        contains(radctl(*lenient, *other, fake=again).err, "is a node already: use 'radctl node leave'")
    contains(radctl(*JOIN, "--addr", "10.0.0.1", fake=again).err, "is a node already")
    contains(radctl(*lenient, fake=f"errno={errno.ENODEV}").err, "no RDMA device has this address")

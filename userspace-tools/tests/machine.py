# SPDX-License-Identifier: GPL-2.0
"""What radctl finds on a machine: check, and explain of ordinary processes."""
import errno
import os
import subprocess
import tempfile

from harness import RADCTL, SCRATCH, contains, environment, equal, radctl, test


def tree(**files):
    root = tempfile.mkdtemp(dir=SCRATCH)
    for path, content in files.items():
        path = os.path.join(root, path.replace("__", "/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
    return root


@test
def explain_undistributed():
    "explain of other processes says what stands in the way; show refuses"
    plain = "Name:\tx\nVmSize:\t 10 kB\nTracerPid:\t0\nSeccomp:\t0\n"
    for content, reason in ((plain, "none"), (plain.replace("TracerPid:\t0", "TracerPid:\t9"),
                            "traced"), (plain.replace("Seccomp:\t0", "Seccomp:\t2"), "watched"),
                            ("Name:\tkthreadd\nState:\tS (sleeping)\n", "kernel_thread"),
                            ("Name:\tx\nState:\tZ (zombie)\n", "exiting"),
                            (plain.replace("\tx", "\tradium-replica"), "is_replica")):
        root = tree(proc__5__status=content)
        equal(radctl("explain", "5", "-j", root=root).json()["reason"], reason)
    equal(radctl("explain", "1", "-j", root=tree(proc__1__status=plain)).json()["reason"], "init")
    for program, name, reason in (("/usr/libexec/radium/radium-replica", "x", "is_replica"),
                                  ("/bin/x", "radium-replica", "none")):
        root = tree(proc__5__status=plain.replace("\tx", "\t" + name))
        os.symlink(program, os.path.join(root, "proc/5/exe"))
        equal(radctl("explain", "5", "-j", root=root).json()["reason"], reason)
    root = tree(proc__5__status=plain)
    contains(radctl("explain", "5", root=root, fake="node=0").out, "has not joined a cluster")
    root = tree(proc__5__status=plain, proc__5__exe="\x7fELF\x01")
    contains(radctl("explain", "5", root=root).out, "not a 64-bit process")
    contains(radctl("show", "5", root=root).err, "not distributed")
    for command in "explain", "show":
        result = radctl(command, "6", root=root)
        equal(result.status, 1)
        contains(result.err, "no such process")


@test
def threads_stand_for_processes():
    "show, top and explain of a thread's number are of its process, as migrate and recall are"
    root = tree(proc__1236__status="Name:\tx\nTgid:\t1234\nPid:\t1236\n", proc__1234__maps="",
                proc__5__status="Name:\tx\nTgid:\t5\nVmSize:\t 10 kB\n",
                proc__6__status="Name:\tx\nTgid:\t5\nVmSize:\t 10 kB\n")
    for command in "show", "explain", "top":
        of_process, of_thread = (radctl(command, pid, root=root) for pid in ("1234", "1236"))
        equal((of_thread.status, of_thread.err), (0, ""), command)
        equal(of_thread.out, of_process.out, command)
    contains(radctl("explain", "6", root=root).out, "Process 5 runs here")
    contains(radctl("show", "6", root=root).err, "radctl: show 6: the process is not distributed")


SYMBOLS = ("do_swap_page do_wp_page migration_entry_wait syscall_user_dispatch x64_sys_call kernel_clone "
           "split_huge_page_to_list __put_anon_vma folio_free_swap lru_add_drain do_munmap wait_task_inactive "
           "migration_entry_wait_on_locked rmap_walk tty_read "
           "__memcg_kmem_charge_page __memcg_kmem_uncharge_page "
           "put_task_stack ptrace_may_access __x64_sys_seccomp __ia32_sys_seccomp syscall_regfunc "
           "migrate_vma_setup migrate_device_finalize task_work_add "
           "__tracepoint_signal_generate __tracepoint_sched_process_exit "
           "__tracepoint_sched_process_fork").split()


def machine(**changes):
    files = {"proc__sys__kernel__osrelease": "6.1.0-99-amd64\n",
             "proc__sys__kernel__ftrace_enabled": "1\n",
             "proc__kallsyms": "".join(f"0000 T {s}\n" for s in SYMBOLS),
             "sys__class__infiniband__rxe0__node_type": "1\n",
             "sys__module__radium__refcnt": "0\n",
             "sys__devices__system__clocksource__clocksource0__current_clocksource": "tsc\n"}
    files.update(changes)
    return tree(**{k: v for k, v in files.items() if v is not None})


@test
def check():
    "check finds each thing that is missing, and only that"
    with open(RADCTL, "rb") as file:
        program = os.path.join(SCRATCH, "radctl")
        with open(program, "wb") as copy:
            copy.write(file.read())
    os.chmod(program, 0o755)
    os.symlink("/bin/true", os.path.join(SCRATCH, "radium-replica"))

    def missing(fake="", **changes):
        result = radctl("check", "-j", root=machine(**changes), fake=fake, program=program)
        names = [f["check"] for f in result.json() if not f["ok"]]
        equal(result.status, 1 if names else 0)
        equal([f["check"] for f in result.json() if not f["ok"] and not f["remedy"]], [])
        return names

    equal(missing(), [])
    for release in "6.10.1\n", "5.1.0\n", "x\n":
        equal(missing(proc__sys__kernel__osrelease=release), ["kernel"])
    equal(missing(proc__kallsyms="0000 T do_swap_page.cold\n"), ["symbols"])
    for symbol in SYMBOLS:
        rest = "".join(f"0000 T {s}\n" for s in SYMBOLS if s != symbol)
        equal(missing(proc__kallsyms=rest), ["symbols"])
        contains(radctl("check", root=machine(proc__kallsyms=rest), program=program).out, symbol)
    equal(missing(proc__sys__kernel__ftrace_enabled="0\n"), ["ftrace"])
    equal(missing(proc__sys__kernel__ftrace_enabled=None), ["ftrace"])
    equal(missing(sys__kernel__livepatch__fix__enabled="1\n"), ["livepatch"])
    equal(missing(sys__class__infiniband__rxe0__node_type=None), ["rdma_device"])
    equal(missing(sys__module__radium__refcnt=None), ["module"])
    equal(missing(fake=f"open={errno.EACCES}"), ["device"])
    equal(missing(**{"boot__config-6.1.0-99-amd64": "CONFIG_KPROBES=y\n"}), ["config"])
    for line, loaded, result in (("[none] integrity confidentiality", None, "ok"),
                                 ("none [integrity] confidentiality", None, "hint"),
                                 ("none integrity [confidentiality]", None, "hint"),
                                 ("none [integrity] confidentiality", "0\n", "ok"),
                                 (None, None, "skipped")):
        root = machine(sys__module__radium__refcnt=loaded, sys__kernel__security__lockdown=line)
        findings = {f["check"]: f for f in radctl("check", "-j", root=root, program=program).json()}
        equal((line, findings["lockdown"]["result"]), (line, result))
        equal("Secure Boot" in findings["lockdown"]["remedy"], result == "hint")
    equal(missing(sys__devices__system__clocksource__clocksource0__current_clocksource="hpet\n"),
          [])
    for on, nodes, result in (("1\n", "0-1\n", "hint"), ("1\n", None, "ok"),
                              ("0\n", "0-1\n", "ok"), (None, "0-1\n", "ok")):
        root = machine(proc__sys__kernel__numa_balancing=on,
                       sys__devices__system__node__node1__cpulist=nodes)
        findings = {f["check"]: f for f in radctl("check", "-j", root=root, program=program).json()}
        equal((on, nodes, findings["numa_balancing"]["result"]), (on, nodes, result))
    os.unlink(os.path.join(SCRATCH, "radium-replica"))
    if not os.path.exists("/usr/local/libexec/radium/radium-replica"):
        equal(missing(), ["replica"])
    contains(radctl("check", root=machine(), program=program).out, "RESULT")


@test
def node_up():
    "node up finds the RDMA device of a network device, whichever port and GID names it"
    modules = {f"sys__module__{m}__refcnt": "0\n" for m in ("rdma_cm", "radium")}
    for place in ("parent", "ports__1__gid_attrs__ndevs__0", "ports__1__gid_attrs__ndevs__3",
                  "ports__2__gid_attrs__ndevs__0"):
        root = tree(**modules, **{"sys__class__infiniband__a__parent": "eth8\n",
                                  f"sys__class__infiniband__b__{place}": "eth9\n"})
        equal(radctl("node", "up", "eth9", "-j", root=root).json(),
              {"device": "b", "netdev": "eth9", "created": False, "loaded": True}, place)


@test
def explain_what_others_may():
    "explain of a process of others, or without a cluster, proposes nothing that is refused"
    plain = "Name:\tx\nVmSize:\t 10 kB\nTracerPid:\t0\nSeccomp:\t2\n"
    root = tree(proc__5__status=plain, proc__1234__status=plain)
    refused = f"threads_errno={errno.EPERM}"
    said = radctl("explain", "5", "-j", root=root, fake=refused).json()
    equal((said["distributed"], said["reason"]), (False, "not_permitted"))
    equal(radctl("explain", "5", "-j", root=root, fake="node=0").json()["reason"], "not_joined")
    equal(radctl("explain", "1234", "-j", root=root).json()["reason"], "none")
    plain = tree(proc__5__status="Name:\tx\nVmSize:\t 10 kB\nTracerPid:\t0\nSeccomp:\t0\n")
    contains(radctl("explain", "5", root=plain).out, "move it with 'radctl migrate 5'")
    contains(radctl("explain", "5", root=plain, fake="alone=1").out, "no other node is up")
    for code, reason, text in ((errno.EPERM, "not_permitted", "you may not trace that process: run as"),
                               (errno.ESRCH, "no_process", "no such process: "),
                               (errno.ENOENT, "not_distributed", "it is not distributed any more: "),
                               (errno.ENOMEM, "enomem", "Cannot allocate memory\n")):
        for command in "show", "explain", "top":
            result = radctl(command, "1234", root=root, fake=f"threads_errno={code}")
            equal((result.status, result.out, result.err.count("\n")), (1, "", 1))
            contains(result.err, f"radctl: {command} 1234: {text}")
            result = radctl(command, "1234", "-j", root=root, fake=f"threads_errno={code}")
            equal(result.json()["reason"], reason)


@test
def node_up_without_module():
    "node up fails where a module cannot be loaded, in one line, with what modprobe says about it"
    modules = ("rdma_cm", "radium")
    device = {"sys__class__infiniband__rxe0__node_type": "1\n"}
    for missing, reason in zip(modules, ("no_rdma_cm", "not_loaded")):
        there = {f"sys__module__{m}__refcnt": "0\n" for m in modules if m != missing}
        root = tree(**device, **there, sbin__modprobe='#!/bin/sh\necho "modprobe: $*" >&2\nexit 1\n')
        os.chmod(os.path.join(root, "sbin/modprobe"), 0o755)
        result = radctl("node", "up", "-j", root=root)
        equal((result.status, result.json()["reason"], result.err.count("\n")), (1, reason, 1))
        text = f"radctl: node up: the module {missing} cannot be loaded"
        contains(result.err, text)
        if os.geteuid() == 0:
            contains(result.err, f"{text} (modprobe: {missing}): ")
        # Another user, who is nobody there.
        result = radctl("-U", RADCTL, "node", "up", root=root, program="/usr/bin/unshare")
        if not result.err.startswith("unshare"):
            equal((result.status, result.err), (1, text + ": run as root\n"))
    root = tree(**device, sbin__modprobe="#!/bin/sh\n")
    os.chmod(os.path.join(root, "sbin/modprobe"), 0o755)
    equal(radctl("node", "up", "-j", root=root).json(),
          {"device": "rxe0", "netdev": None, "created": False, "loaded": True})


@test
def node_up_twice_at_once():
    "two node up at once do not disturb each other"
    said = os.path.join(SCRATCH, "modprobe")
    root = tree(sys__class__infiniband__rxe0__node_type="1\n", run__other="",
                sbin__modprobe=f"#!/bin/sh\necho begins >>{said}; sleep 0.2; echo ends >>{said}\n")
    os.chmod(os.path.join(root, "sbin/modprobe"), 0o755)
    both = [subprocess.Popen([RADCTL, "node", "up"], env=environment(root=root)) for _ in range(2)]
    equal([process.wait(30) for process in both], [0, 0])
    with open(said, encoding="utf-8") as file:
        equal(file.read(), "begins\nends\n" * 4)

# SPDX-License-Identifier: GPL-2.0
"""Unmodified servers, moved to node 2 and back with all their threads while clients on that
machine work: the clients notice nothing, and what the servers keep is right."""

import concurrent.futures
import json
import re

from . import paths
from .context import each
from .control import migrate, shown, start, within
from .homecomings import add_up

ST = paths.GUEST
WORK = "/tmp/servers"
POSTGRES = "/usr/lib/postgresql/15/bin"
LIMIT = 200             # seconds for one run of a client, and for a server's end
MOVES = 4               # away, and as many home again; a client works again if there were fewer
LONG_MOVES = 60         # where it is asked for by name
TRIES = 4               # runs of a client for so many MOVES
SECONDS = 8             # that a client works, at least, each time
PAUSE_MS = 300          # between moves, on average
# Why a thread may go nowhere: it ends, or its process has forked and not called exec.
EXPECTED = {"EXITING", "NO_THREAD", "NO_PROCESS", "SHARED_MM"}


class Server:
    """A server at home, with a directory of its own; once made, it listens."""

    def __init__(self, context, name, command, port, user="root"):
        self.context, self.bed, self.name, self.port = context, context.bed, name, port
        self.work = directory(name)
        self.bed.run(1, f"mkdir -p {self.work}; chown {user} {self.work}; cd {self.work}; "
                        f"rm -f pid status; cat > command <<'END'\ncd {self.work}\n"
                        f"{command} > said 2>&1 < /dev/null & echo $! > pid\n"
                        "wait $!\necho $? > status.new; mv status.new status\nEND\n")
        start(self.bed, f"sh {self.work}/command")
        within(60 * context.slow, self.listens, f"{name} listens")
        self.pid = int(self.bed.run(1, f"cat {self.work}/pid"))

    def listens(self):
        """Can one connect to it? It must not have ended."""
        self.bed.run(1, f"cd {self.work}; [ ! -e status ] || {{ cat said; exit 1; }}")
        return self.bed.execute(2, "bash", "-c", f": < /dev/tcp/node1/{self.port}").returncode == 0

    def end(self, command):
        """Has it end in the way that is meant for it; its exit status has to be a good one."""
        self.bed.run(1, f"cd {self.work} && {command}", timeout=LIMIT * self.context.slow)
        within(60 * self.context.slow, lambda: not self.bed.execute(
            1, "test", "-e", f"{self.work}/status").returncode, f"{self.name} ends")
        said = self.bed.run(1, f"cd {self.work}; tail -c 1000 said; echo; cat status")
        assert said.split()[-1] == "0", f"{self.name} ended with {said}"

    def kill(self):
        """Ends what is left of it."""
        self.bed.run(1, f"cd {self.work}; [ -e status ] || kill -9 {self.pid} "
                        f"$(pgrep -P {self.pid}) || true")


def directory(name):
    """Of a server, or of a client."""
    return f"{WORK}/{name}"


def shuttle(context, seed, names, pids, wait):
    """Moves processes about until wait() returns; what happened."""
    bed, said = context.bed, f"{WORK}/shuttle"
    leave = "-l" if seed % 2 else ""
    pid = start(bed, f"sh -c 'exec {ST}/shuttle -s {seed} -i {PAUSE_MS * context.slow} -c {names} "
                     f"{leave} {' '.join(map(str, pids))} > {said} 2>&1'")
    try:
        wait()
    finally:
        out = bed.run(1, f"kill -TERM {pid} 2>/dev/null; while kill -0 {pid} 2>/dev/null; do "
                         f"sleep 0.05; done; cat {said}", timeout=60 * context.slow)
    assert out.startswith("{"), f"shuttle: {out}"
    return json.loads(out)


def serve(context, names, find, client):
    """Has clients on node 2 work while the processes that find() finds are moved, again and again
    until that has happened often enough; what the clients said."""
    bed, said, sums = context.bed, [], {}
    wanted = context.moves or (LONG_MOVES if context.thorough else MOVES)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for _ in range(max(TRIES, TRIES * wanted // MOVES)):
            seed = context.random.randrange(1 << 30)
            done = pool.submit(bed.run, 2, client(seed), timeout=LIMIT * context.slow)
            if context.native:
                return [done.result()]
            report = shuttle(context, seed, names, find(), done.result)
            said.append(done.result())
            assert not report["error"], f"seed {seed}: {report['error']}"
            assert set(report["not_gone"]) <= EXPECTED, f"seed {seed}: {report['not_gone']}"
            add_up(sums, report)
            # One that comes home by itself all the time is seldom away when it is called.
            returns, recalls = sum(sums["came_home"].values()), sums["came_home"].get("ASKED", 0)
            idle = [name for name in names.split(",")
                    if not sums["by_name"].get(name, {}).get("away")]
            if min(sums["gone_out"], returns) >= wanted and not idle:
                break
    context.report.note(f"{len(said)} runs of the client: threads went out {sums['gone_out']} times "
                        f"and came home {returns} times, {recalls} of them when they were called; "
                        f"home made {sums['calls']} calls for them")
    context.report.note("\n".join(context.homecomings.tell(sums)))
    assert min(sums["gone_out"], returns) >= MOVES and not idle, f"too seldom moved: {idle or sums}"
    return said


def redis(context):
    """redis-server under redis-benchmark: values set are values read; what it saves, for which it
    forks, is what it has, also when it was away."""
    bed = context.bed
    command = "redis-server --protected-mode no --enable-debug-command yes --save '' --port"
    server = Server(context, "redis", f"{command} 6379", 6379)
    try:
        serve(context, "redis-server", lambda: [server.pid],
              lambda seed: f"bash {ST}/redis.bash node1 6379 {seed} {SECONDS}")
        if not context.native:
            migrate(bed, server.pid, timeout=60 * context.slow)
        before = forks(context, server.pid)
        assert "started" in bed.run(2, "redis-cli -h node1 BGSAVE")
        within(60 * context.slow, lambda: "rdb_bgsave_in_progress:0" in bed.run(
            2, "redis-cli -h node1 INFO persistence"), "it has saved")
        assert context.native or forks(context, server.pid) > before, "it did not fork away from home"
        digest = bed.run(2, "redis-cli -h node1 DEBUG DIGEST")
        assert re.fullmatch(r"[0-9a-f]{40}\n", digest) and digest.strip("0\n"), digest
        bed.run(1, f"cd {server.work} && redis-check-rdb dump.rdb && mkdir -p {directory('redis_again')} "
                   f"&& cp dump.rdb {directory('redis_again')}")
        server.end("redis-cli SHUTDOWN NOSAVE")
        # One that never moves.
        server = Server(context, "redis_again", f"{command} 6380", 6380)
        again = bed.run(2, "redis-cli -h node1 -p 6380 DEBUG DIGEST")
        assert again == digest, "it has saved something else than it had"
        server.end("redis-cli -p 6380 SHUTDOWN NOSAVE")
    finally:
        server.kill()


def forks(context, pid):
    """How often a process came home to make a call that is made there only, since it left."""
    if context.native:
        return 0
    return sum(thread["returns_by_reason"].get("syscall", 0)
               for thread in shown(context.bed, "show", str(pid))["threads"])


def memcached(context):
    """memcached: a client on six connections gets what it has stored, and each error that it
    has to get."""
    server = Server(context, "memcached", "memcached -u nobody -U 0 -t 3 -m 64 -p 11211", 11211)
    try:
        serve(context, "memcached", lambda: [server.pid],
              lambda seed: f"python3 {ST}/memcached.py node1 11211 {seed} 6 {SECONDS}")
        server.end(f"kill {server.pid}")
    finally:
        server.kill()


FILES = """
seq 1 30000 > lines.txt
openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c 300000 > noise
head -c 4096 noise > page; head -c 1 noise > byte; : > empty
"""
NGINX = """
user www-data;
worker_processes 2;
daemon off;
pid nginx.pid;
error_log errors;
events { }
http {
	access_log requests;
	types { text/plain txt; }
	sendfile on;
	keepalive_requests 1000000000;
	keepalive_timeout 1h;
	gzip on;
	gzip_types text/plain;
	client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp;
	uwsgi_temp_path temp; scgi_temp_path temp;
	server { listen 8080; root files; }
}
"""


def nginx(context):
    """nginx under wrk: each connection lasts, each answer is a good one; and what another client
    fetches is what is in the files."""
    bed, files = context.bed, directory("nginx") + "/files"
    for node in (1, 2):
        bed.run(node, f"mkdir -p {files} && cd {files} && {FILES}")
    bed.run(1, f"cat > {directory('nginx')}/conf <<'END'\n{NGINX}\nEND")
    server = Server(context, "nginx", f"nginx -p {directory('nginx')}/ -c conf -e errors", 8080)

    def client(seed):
        names = "lines.txt", "noise", "page"
        return (f"cd {WORK}; " + "".join(f"wrk -t 1 -c 3 -d {SECONDS} --timeout 60 http://node1:8080/{name} "
                                         f"> wrk.{name} & " for name in names)
                + f"python3 {ST}/fetch.py node1 8080 {seed} {SECONDS} {files} || s=1; wait; "
                + "".join(f"cat wrk.{name}; " for name in names) + "exit $s")
    try:
        for said in serve(context, "nginx", lambda: [server.pid], client):
            assert len(re.findall(r"^ +[1-9]\d* requests in", said, re.M)) == 3, said
            assert "Socket errors" not in said and "Non-2xx" not in said, said
        server.end(f"kill -QUIT {server.pid}")
        errors = bed.run(1, f"cd {server.work}; grep -vF '/no-such-file\" failed' errors || true")
        assert not errors, errors
    finally:
        server.kill()


# What TPC-B keeps: all four are the same.
SUMS = "SELECT " + ", ".join(f"(SELECT sum({column}) FROM pgbench_{table})" for table, column in (
    ("accounts", "abalance"), ("tellers", "tbalance"), ("branches", "bbalance"), ("history", "delta"))
    ) + ", (SELECT count(*) FROM pgbench_history)"


def postgresql(context):
    """PostgreSQL: the processes that serve the sessions of pgbench are moved. No transaction fails,
    and the sums are right."""
    bed = context.bed
    work, sql = directory("postgresql"), f"{POSTGRES}/psql -h node1 -U postgres -Atc"
    as_user = "setpriv --reuid postgres --regid postgres --init-groups"
    bed.run(1, f"mkdir -p {work} && chown postgres {work} && cd {work} && {as_user} {POSTGRES}/initdb "
               f"-D {work}/data -A trust -U postgres --no-sync --no-locale && "
               "echo host all all samenet trust >> data/pg_hba.conf", timeout=LIMIT * context.slow)
    server = Server(context, "postgresql", f"{as_user} {POSTGRES}/postgres -D {work}/data -k {work} "
                    "-c listen_addresses='*' -c shared_buffers=16MB", 5432, "postgres")

    def sessions():
        listed = []

        def find():
            listed[:] = bed.run(2, f"{sql} \"SELECT pid FROM pg_stat_activity WHERE "
                                   "application_name = 'pgbench'\"").split()
            return len(listed) == 3
        within(30 * context.slow, find, "the sessions begin")
        return listed

    try:
        bed.run(2, f"{POSTGRES}/pgbench -h node1 -U postgres -i -q postgres", timeout=LIMIT * context.slow)
        made = 0
        for said in serve(context, "postgres", sessions, lambda seed:
                          f"{POSTGRES}/pgbench -n -h node1 -U postgres -c 3 -T {SECONDS} --random-seed={seed} postgres 2>&1"):
            found = re.search(r"actually processed: (\d+)\nnumber of failed transactions: 0 ", said)
            assert found, said
            made += int(found[1])
        *sums, count = bed.run(2, f"{sql} '{SUMS}'").strip().split("|")
        assert len(set(sums)) == 1 and int(count) == made > 0, f"{sums}, {count} rows of {made}"
        context.report.note(f"{made} transactions, sums of {sums[0]}")
        server.end(f"{as_user} {POSTGRES}/pg_ctl -D {work}/data -m fast stop")
        errors = bed.run(1, f"cd {work}; grep -E 'ERROR|FATAL|PANIC|WARNING' said || true")
        assert not errors, errors
    finally:
        server.kill()


def run(context, only):
    """The suite "servers"."""
    context.bed.run(1, f"rm -rf {WORK}")
    context.bed.run(2, f"rm -rf {WORK}; mkdir -p {WORK}")
    yield from each(context, [redis, memcached, nginx, postgresql], only)

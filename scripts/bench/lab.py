"""What the benchmarks share: throwaway PostgreSQL servers, child processes that are timed, tables, JSON.

Servers listen on Unix sockets in a private directory, run as user postgres when the benchmark runs as root
(PostgreSQL refuses root), and are stopped by their data directory whatever happens. Standard library only.
"""

import contextlib
import glob
import json
import os
import pathlib
import platform
import pwd
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


class Failed(Exception):
    """Something the benchmark stands on did not work; the text is for the person who ran it."""


def say(text):
    """Tells on standard error what goes on: standard output is for the table."""
    print(text, file=sys.stderr, flush=True)


# -- servers ----------------------------------------------------------------------------------------------


def find_programs():
    """Puts PostgreSQL on the PATH: what REINSTATE_PG_BIN names, or the newest of Debian's directories."""
    found = [os.path.dirname(p) for p in glob.glob("/usr/lib/postgresql/*/bin/postgres")]
    newest = os.environ.get("REINSTATE_PG_BIN") or max(found, key=lambda d: float(d.split("/")[4]), default=None)
    if newest:
        os.environ["PATH"] = newest + os.pathsep + os.environ["PATH"]
    for program in ("initdb", "pg_ctl", "postgres", "psql"):
        if not shutil.which(program):
            raise Failed(f"PostgreSQL's {program} was not found; run scripts/setup")


def unprivileged():
    """Arguments of subprocess that drop root's rights."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}


class Server:
    """One throwaway server. `settings` are lines of postgresql.conf."""

    def __init__(self, work, name, port, settings):
        self.home = work / name
        self.data = self.home / "data"
        self.port = port
        self.home.mkdir()
        if os.getuid() == 0:
            shutil.chown(self.home, "postgres")
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(f"listen_addresses = ''\nunix_socket_directories = '{self.home}'\nport = {port}\n")
            conf.write("\n".join(settings) + "\n")

    def start(self):
        self._run("pg_ctl", "-D", self.data, "-l", self.home / "server.log", "-w", "-s", "start")

    def stop(self):
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "-s", "stop")

    def conninfo(self, database):
        return f"host={self.home} port={self.port} user=postgres dbname={database}"

    def psql(self, database, *arguments):
        """The command line of a psql that stops at the first error."""
        return ["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", self.conninfo(database), *arguments]

    def sql(self, database, *statements):
        """Runs the statements, each in its own transaction; returns what the last one printed."""
        arguments = [a for s in statements for a in ("-c", s)]
        done = subprocess.run(self.psql(database, *arguments), capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"psql on {database}: {done.stderr.strip()}")
        return done.stdout.strip()

    def copy_database(self, template, name):
        """A fresh copy of a database, by copying files where the server can (15 and later)."""
        strategy = " strategy file_copy" if int(self.sql("postgres", "show server_version_num")) >= 150000 else ""
        self.sql("postgres", f"drop database if exists {name} with (force)",
                 f"create database {name} template {template}{strategy}", "checkpoint")

    def _run(self, *command):
        done = subprocess.run([shutil.which(command[0]), *map(str, command[1:])], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
                              **unprivileged())
        if done.returncode:
            raise Failed(f"{command[0]}: {done.stderr.strip()}")


@contextlib.contextmanager
def two_servers(settings, needed):
    """Yields (work directory, snapshot server, live server); stops and removes them on every way out.

    `needed` is the disk space, in bytes, that the benchmark will take in the directory for temporary files.
    """
    find_programs()
    for name in [n for n in os.environ if n.startswith("PG")]:
        del os.environ[name]
    os.environ["PGTZ"] = "UTC"
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _frame: sys.exit(128 + got))
    work = pathlib.Path(tempfile.mkdtemp(prefix="reinstate-bench."))
    servers = []
    try:
        check_room(work, needed)
        if os.getuid() == 0:
            shutil.chown(work, "postgres")
        for name, port in (("snapshot", 54331), ("live", 54332)):
            servers.append(Server(work, name, port, settings))
            servers[-1].start()
        yield work, *servers
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for server in servers:
            server.stop()
        shutil.rmtree(work, ignore_errors=True)


def check_room(work, needed):
    """Refuses where there is too little space, or a path too long for a Unix socket."""
    free = shutil.disk_usage(work).free
    if free < needed:
        raise Failed(f"{needed / 1e9:.1f} GB are needed in {work.parent}, {free / 1e9:.1f} GB are free; "
                     f"set TMPDIR to a larger place")
    if len(str(work)) > 75:
        raise Failed(f"{work.parent} is too long a path for a Unix socket; set TMPDIR to a shorter one")


def at_once(*calls):
    """Runs the calls side by side and returns their results in order."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [f.result() for f in [pool.submit(c) for c in calls]]


# -- timing -----------------------------------------------------------------------------------------------


# Starts a program and reports what it took on a file descriptor. The kernel's `ru_maxrss` of a process includes the
# peak of the process that started it; a launcher of its own keeps that at some 10 MB however large the benchmark
# has grown.
LAUNCHER = """
import json, os, sys, time
report = int(sys.argv[1])
os.set_inheritable(report, False)
began = time.perf_counter()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(child, 0)
os.write(report, json.dumps({"seconds": time.perf_counter() - began, "peak_mb": used.ru_maxrss / 1024,
                             "code": os.waitstatus_to_exitcode(status)}).encode())
"""


class Child:
    """What one finished process took: seconds, peak memory in MB, exit code, and what it printed."""

    def __init__(self, command):
        reading, writing = os.pipe()
        with open(reading, "rb") as report, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen([sys.executable, "-I", "-S", "-c", LAUNCHER, str(writing), *map(str, command)],
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=err, pass_fds=[writing])
            os.close(writing)
            try:
                process.wait()
                took = json.loads(report.read() or b"null")
            except BaseException:
                process.kill()
                process.wait()
                raise
            out.seek(0)
            err.seek(0)
            self.out, self.err = out.read(), err.read()
        if took is None:
            raise Failed(f"{command[0]} could not be run: {self.err.strip()[-500:]}")
        self.seconds, self.peak_mb, self.code = took["seconds"], took["peak_mb"], took["code"]

    def must_exit(self, *codes):
        if self.code not in codes:
            raise Failed(f"exit code {self.code} instead of {codes}: {(self.err or self.out).strip()[-2000:]}")
        return self


def both(servers, database, statement):
    """Seconds until both servers have answered the statement, asked at the same time, answers thrown away."""
    commands = [s.psql(d, "-c", statement) for s, d in zip(servers, database)]
    began = time.perf_counter()
    running = [subprocess.Popen(c, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL) for c in commands]
    codes = [p.wait() for p in running]
    if any(codes):
        raise Failed(f"psql failed on: {statement}")
    return time.perf_counter() - began


class Series:
    """Repeated measurements of one thing."""

    def __init__(self):
        self.seconds = []
        self.peak_mb = []

    def add(self, seconds, peak_mb=None):
        self.seconds.append(seconds)
        if peak_mb is not None:
            self.peak_mb.append(peak_mb)

    @property
    def median(self):
        return statistics.median(self.seconds)

    def as_json(self):
        found = {"seconds": [round(s, 3) for s in self.seconds], "median": round(self.median, 3)}
        if self.peak_mb:
            found["peak_mb"] = round(max(self.peak_mb), 1)
        return found


def target(name, value, limit, at_most=True):
    """One line of the verdict: a measured number beside the one that was promised."""
    return {"name": name, "measured": round(value, 2), "target": limit, "at_most": at_most,
            "met": value <= limit if at_most else value >= limit}


# -- telling ----------------------------------------------------------------------------------------------


def find_reinstate(given):
    """The program to measure: the one given, or the release build of this checkout."""
    path = pathlib.Path(given) if given else TARGET / "release" / "reinstate"
    if not os.access(path, os.X_OK):
        raise Failed(f"no program at {path}: run cargo build --release, or use --reinstate PATH")
    return path.resolve()


def machine():
    """Where the numbers come from."""
    with contextlib.suppress(OSError, StopIteration), open("/proc/cpuinfo", encoding="utf-8") as info:
        cpu = next(line.split(":")[1].strip() for line in info if line.startswith("model name"))
        return {"cpu": cpu, "cores": os.cpu_count(), "system": f"{platform.system()} {platform.release()}",
                "load_before": round(os.getloadavg()[0], 2)}
    return {"cpu": platform.machine(), "cores": os.cpu_count(), "system": platform.system()}


def print_table(heads, rows):
    """Plain columns: the first to the left, the others to the right."""
    cells = [heads] + [["" if c is None else str(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    for row in cells:
        print("  ".join([row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]).rstrip())


def print_targets(targets):
    print()
    print_table(["target", "measured", "wanted", "met"],
                [[t["name"], t["measured"], ("≤ " if t["at_most"] else "≥ ") + str(t["target"]),
                  "yes" if t["met"] else "NO"] for t in targets])


def write_json(path, document):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    say(f"written: {os.path.relpath(path)}")


def main(body):
    """Runs a benchmark; failures and interruptions end in one line."""
    try:
        body()
    except Failed as reason:
        say(f"bench: {reason}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)

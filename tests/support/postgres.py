"""A private PostgreSQL cluster on a loopback port, from the machine's own binaries; and a URL of each kind.

A test module asks for the fixtures with `pytest_plugins = ("postgres",)`: one cluster serves them all.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_PASSWORD = "s3cret-of-the-tests"
_CONFIG = "\nunix_socket_directories = ''\nlisten_addresses = '127.0.0.1'\nmax_connections = 60\n"


@dataclass(frozen=True)
class Cluster:
    """A running server; `url` names its first database. Kill it with `stop("immediate")`."""

    binaries: Path
    folder: Path
    port: int
    password: str = _PASSWORD

    @property
    def url(self):
        return self.url_of("postgres")

    def url_of(self, name):
        return f"postgresql://tester:{self.password}@127.0.0.1:{self.port}/{name}"

    def start(self):
        data = self.folder / "data"
        self._run("pg_ctl", "-D", data, "-w", "-t", "60", "-l", self.folder / "log", "start")

    def stop(self, mode="fast"):
        self._run("pg_ctl", "-D", self.folder / "data", "-m", mode, "-w", "stop")

    @contextmanager
    def database(self, encoding="UTF8"):
        """The URL of a new database, dropped at the end."""
        name = f"t{uuid.uuid4().hex}"
        self._ask(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
        try:
            yield self.url_of(name)
        finally:
            self._ask(f"DROP DATABASE {name} WITH (FORCE)")

    def _ask(self, statement):
        psycopg = pytest.importorskip("psycopg")
        with psycopg.connect(self.url, autocommit=True) as admin:
            admin.execute(statement.encode())

    def _run(self, program, *arguments):
        command = [*_unprivileged(), str(self.binaries / program), *map(str, arguments)]
        done = subprocess.run(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False
        )
        assert done.returncode == 0, f"{program} failed; see {self.folder}"


def _binaries():
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "pg_ctl").exists()), None)


def _unprivileged():
    """What runs a command as somebody else, where we are root: the server refuses root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={_other()}", "--regid=65534", "--clear-groups"]


def _other():
    return 65534  # nobody


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _created(folder, binaries):
    """A cluster in this folder, not yet started."""
    cluster = Cluster(binaries, folder, _free_port())
    secret = folder / "password"
    secret.write_text(cluster.password)
    if os.geteuid() == 0:
        os.chown(folder, _other(), 65534)
        os.chown(secret, _other(), 65534)
    cluster._run(
        "initdb", "-D", folder / "data", "-U", "tester", "-A", "scram-sha-256",
        f"--pwfile={secret}", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions",
    )  # fmt: skip
    with (folder / "data" / "postgresql.conf").open("a") as config:
        config.write(f"{_CONFIG}port = {cluster.port}\n")
    return cluster


@pytest.fixture(scope="session")
def postgres():
    """A server for the whole session; tests take a database of their own from it."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL binaries (initdb, pg_ctl) on this machine")
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL refuses root, and there is no setpriv to become somebody else")
    # not in pytest's own folder: that one is closed to other users
    with tempfile.TemporaryDirectory(prefix="ctxeng-postgres-", ignore_cleanup_errors=True) as folder:
        cluster = _created(Path(folder), binaries)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop("immediate")


@pytest.fixture(params=["file", "memory", "postgres"])
def database_url(request, tmp_path):
    """The URL of an empty database: an SQLite file, SQLite in memory, PostgreSQL."""
    if request.param == "postgres":
        with request.getfixturevalue("postgres").database() as url:
            yield url
    else:
        yield "sqlite::memory:" if request.param == "memory" else f"sqlite:{tmp_path}/deep/kept.db"

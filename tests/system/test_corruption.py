# SPDX-License-Identifier: MIT
"""Cells, rows and pairs of rows are changed behind the pipeline's back: `pvrelay verify` names each, and nothing else.

PVRELAY_CASES damages (2,000) are drawn from PVRELAY_SEED, from every mapped column of every table that the mapping fills. Damages
that do not touch the same rows go into one copy of the target together, PVRELAY_BATCH at most; every fourth copy has one only.
A damage says which failures name it (one of them must be there) and which may follow from it; any other failure is a false alarm.
"""

import collections
import contextlib
import json
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import unicodedata
import unittest

import pipeline

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/mutants"))

import verifying  # noqa: E402
import world  # noqa: E402

CASES = int(os.environ.get("PVRELAY_CASES", "2000"))
BATCH = int(os.environ.get("PVRELAY_BATCH", "12"))
SEED = int(os.environ.get("PVRELAY_SEED", "1"))

MAPPING = json.loads((ROOT / "mappings/el-to-hub.json").read_text())

OWN_ROWS = """
INSERT INTO users (id, email, name, role) VALUES (700, 'own@hub.example', 'Anne', 'admin');
INSERT INTO clients (id, name, notes) VALUES (500, 'Own client', 'ours');
INSERT INTO projects (id, client_id, name, site_address) VALUES (300, 500, 'Own project', 'Pau');
INSERT INTO interventions (id, project_id, technician_id, intervention_type, intervention_date) VALUES (900, 300, 700, 'el', '2024-02-01');
INSERT INTO el_audits (id, intervention_id, audit_token, project_name, client_name, string_count, modules_per_string, total_modules)
    VALUES (400, 900, 'own', 'Own project', 'Own client', 1, 2, 2);
"""


def open_wildly(target):
    """A connection for which nothing holds: no foreign keys, no triggers, no checks."""
    db = sqlite3.connect(target)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("PRAGMA ignore_check_constraints = ON")
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f'DROP TRIGGER "{name}"')
    return db


def same(one, other):
    return type(one) is type(other) and one == other


class Told:
    """A pattern for failures: kind, table, key and column; None stands for any, a set for one of them, a function decides."""

    def __init__(self, kind=None, table=None, key=None, column=None):
        self.wanted = (kind, table, key, column)

    def fits(self, failure):
        return all(wanted is None or (wanted(value) if callable(wanted) else value in wanted if isinstance(wanted, (set, frozenset, tuple, dict))
                                      else value == wanted) for wanted, value in zip(self.wanted, failure))

    def __repr__(self):
        return repr(self.wanted)


class Damage:
    def __init__(self, what, claims, must, may=()):
        self.what, self.claims = what, set(claims)
        self.must = must  # of each inner list one must be told
        self.may = [*may, *(told for group in must for told in group)]

    def both(self, other):
        """The two as one."""
        return Damage(f"{self.what}; {other.what}", self.claims | other.claims, self.must + other.must, self.may + other.may)


class Base:
    """A target that is right, its exports, and who leads to which row."""

    def __init__(self, root, name, editions, exports_of):
        self.name, self.target = name, root / f"{name}.db"
        # Of an export that is not verified only the rows that are found again, and not what its records alone say.
        self.of_first_run = len(editions) == 1
        subprocess.run([pipeline.BIN / "pvrelay", "migrate", "--target", self.target], check=True, stdout=subprocess.DEVNULL)
        with contextlib.closing(sqlite3.connect(self.target)) as db:
            db.executescript(OWN_ROWS)
        for edition in editions:
            self.exports = exports_of(edition)
            pipeline.run(self.exports, self.target, "--run-dir", root / "d")
        with contextlib.closing(sqlite3.connect(self.target)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.execute("PRAGMA journal_mode = DELETE")
            db.row_factory = sqlite3.Row
            self.rows = {table: {row["id"]: dict(row) for row in db.execute(f"SELECT * FROM {table}")} for table in TABLES}
        self.lead()

    def lead(self):
        """Which records lead to which row, by their keys; audits that share a project or a client are one chain."""
        self.using = collections.defaultdict(set)
        rows = self.rows
        self.tokens = {number: row["audit_token"] for number, row in rows["el_audits"].items() if row["audit_token"] != "own"}
        self.chain = {number: number for number in self.tokens}
        owner = {}
        for number, token in self.tokens.items():
            key = f"token='{token}'"
            intervention = rows["interventions"][rows["el_audits"][number]["intervention_id"]]
            project = rows["projects"][intervention["project_id"]]
            for table, row in (("el_audits", number), ("interventions", intervention["id"]), ("projects", project["id"]),
                               ("clients", project["client_id"]), ("users", intervention["technician_id"])):
                self.using[table, row].add(key)
                if table in ("projects", "clients"):
                    first = owner.setdefault((table, row), self.chain[number])
                    self.chain = {one: first if chain == self.chain[number] else chain for one, chain in self.chain.items()}
        self.chain_of = {(table, row): self.chain[number] for number, token in self.tokens.items() for table, row in self.using
                         if table in ("projects", "clients", "interventions") and f"token='{token}'" in self.using[table, row]}
        self.modules = collections.defaultdict(list)
        for number, row in rows["el_modules"].items():
            self.modules[row["el_audit_id"]].append(number)
            key = self.module_key(number)
            self.using["el_modules", number].add(key)
            if row["technician_id"] is not None:
                self.using["users", row["technician_id"]].add(key)
        self.placeholder = next(number for number, row in rows["users"].items() if row["email"].startswith("el-migration@"))

    def module_key(self, number):
        row = self.rows["el_modules"][number]
        return f"audit_token='{row['audit_token']}', module_id='{row['module_identifier']}'"

    def provable(self, table):
        return sorted(row for of, row in self.using if of == table)


TABLES = sorted({row["table"] for stream in MAPPING["streams"] for row in stream["rows"]})
# (table, column) -> is it in a natural key, does a shared row have it
COLUMNS = {}
for _stream in MAPPING["streams"]:
    for _row in _stream["rows"]:
        for _column in _row["columns"]:
            _key, _shared = COLUMNS.get((_row["table"], _column), (False, False))
            COLUMNS[_row["table"], _column] = (_key or _column in _row["key"], _row["mode"] == "ensure")
DERIVED = [(derived["table"], derived["column"]) for derived in MAPPING["derived"]]


class Vandal:
    """Makes damages to a base; each is drawn and done at once, in the database that is given."""

    def __init__(self, base, chance):
        self.base, self.chance, self.added = base, chance, 0

    def value(self, table, column, old):
        """Another value or type than the one that stands there."""
        chance, others = self.chance, [row[column] for row in self.base.rows[table].values()]
        if isinstance(old, int):
            new = [old + 1, old - 1, -old, 0, old + (1 << 40), None, "", "x", str(old) + " ", str(old).encode(), old + 0.5, 2.0 ** 70,
                   chance.choice(others)]
        elif isinstance(old, float):
            new = [old + 1, old / 2 + 0.001, -1.0, None, "", "x", b"", 100.5]
        elif old is None:
            new = ["", "null", "NULL", 0, 1, b"", " ", chance.choice(others)]
        else:
            new = [old + " ", " " + old, old[:-1], old[1:], "", "null", None, old.upper(), old.lower(), old.swapcase(), old + "\0",
                   old.encode(), 5, -1.5, unicodedata.normalize("NFD", old), old.replace("0", "O", 1), old.replace("-", "/"), old * 2, "x",
                   chance.choice(others), chance.choice(others)]
        return chance.choice(new)

    def set(self, db, table, row, column, value):
        """Store it; None if the database will not have it, if it is what stood there, or if the row is gone."""
        old = self.base.rows[table][row][column]
        try:
            if db.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE id = ?', (value, row)).rowcount == 0:
                return None
        except sqlite3.IntegrityError:
            return None
        new = db.execute(f'SELECT "{column}" FROM "{table}" WHERE id = ?', (row,)).fetchone()[0]
        return None if same(new, old) else (old, new)

    # What follows from a damage.

    def shares(self, *audits):
        """The distribution and the completion of these audits."""
        told = []
        for number in audits:
            if number in self.base.tokens:
                token = self.base.tokens[number]
                told += [Told("whole", "el_audits", lambda key, n=number, t=token: key == f"id={n}" or f"'{t}'" in key, "completion_rate"),
                         Told("whole", "el_modules", f"audit_token='{token}'", {"defect_type", "severity_level", "el_audit_id", "audit_token", ""})]
        return told

    def dangling(self, table, rows, *columns):
        return Told("whole", table, {f"id={row}" for row in rows}, set(columns))

    def audit_of(self, value):
        """The audit that a changed reference or token leads to, if any."""
        return next((number for number, token in self.base.tokens.items() if value in (number, token)), None)

    # Cells.

    def cell(self, db, table, row, column, value=None, drawn=False):
        old_new = self.set(db, table, row, column, self.value(table, column, self.base.rows[table][row][column]) if not drawn else value)
        if old_new is None:
            return None
        damage = getattr(self, f"of_{table}")(row, column, *old_new)
        damage.what = f"{table}[{row}].{column}: {old_new[0]!r} is {old_new[1]!r}"
        return damage

    def of_el_modules(self, row, column, old, new):
        key, audit = self.base.module_key(row), self.base.rows["el_modules"][row]["el_audit_id"]
        named, may, claims = [Told("mismatch", "el_modules", key, column)], [], [("module", row)]
        if column in ("defect_type", "severity_level", "el_audit_id", "audit_token", "module_identifier"):
            may += self.shares(audit, self.audit_of(new))
        if column in ("el_audit_id", "module_identifier"):
            claims.append(("user", self.base.rows["el_modules"][row]["technician_id"]))
            named.append(Told("missing", "el_modules", key, ""))
            may.append(Told("extra", "el_modules", lambda told: f"id={row}" in told))
        if column in ("el_audit_id", "audit_token", "technician_id"):
            may.append(self.dangling("el_modules", [row], column))
        if column == "technician_id":
            claims += [("user", user) for user in (old, new) if user is not None]
        return Damage("", claims, [named], may)

    def of_el_audits(self, row, column, old, new):
        token, chain = self.base.tokens[row], ("chain", self.base.chain[row])
        key = f"token='{token}'"
        if column == "completion_rate":
            return Damage("", [("completion", row)], [self.shares(row)[:1]])
        named = [Told("mismatch", "el_audits", key, column)]
        if column == "audit_token":
            return self.audit_gone(row, named)
        if column == "intervention_id":
            return Damage("", [("audit", row), chain], [named], [self.dangling("el_audits", [row], column), Told("mismatch", "interventions", key),
                                                                 Told("mismatch", {"projects", "clients", "users"}, key)])
        return Damage("", [("audit", row)], [named])

    def audit_gone(self, row, named=()):
        """The audit cannot be found any more: nothing that hangs on it can be proved."""
        token, modules = self.base.tokens[row], self.base.modules[row]
        claims = [("audit", row), ("chain", self.base.chain[row]), ("added", row), ("completion", row), *(("module", module) for module in modules)]
        may = [Told(None, None, lambda key: f"'{token}'" in key), Told("whole", "el_audits", f"id={row}"),
               self.dangling("el_modules", modules, "el_audit_id", "audit_token")]
        return Damage("", claims, [[*named, Told("missing", "el_audits", f"token='{token}'", "")]], may)

    def of_chain(self, table, row, column, new, children):
        """A row that audits lead to: the records that use it, and the references to it."""
        keys = self.base.using[table, row]
        named, may = [Told("mismatch", table, keys, column)], []
        claims = [("chain", self.base.chain_of[table, row])]
        if COLUMNS[table, column][0]:
            named.append(Told("missing", table, keys, ""))
            may += [Told("mismatch", child, keys, reference) for child, reference in children]
            # It may look like another one now, of which there are two then.
            for other, values in self.base.rows[table].items():
                if other != row and same(values[column], new):
                    claims += [("chain", self.base.chain_of[table, other])] if (table, other) in self.base.chain_of else []
                    may.append(Told("extra", table))
        may.append(self.dangling(table, [row], column))
        return Damage("", claims, [named], may)

    def of_interventions(self, row, column, old, new):
        damage = self.of_chain("interventions", row, column, new, [("el_audits", "intervention_id")])
        if column == "technician_id":
            damage.claims.add(("user", self.base.placeholder))
        return damage

    def of_projects(self, row, column, old, new):
        return self.of_chain("projects", row, column, new, [("interventions", "project_id"), ("el_audits", "intervention_id")])

    def of_clients(self, row, column, old, new):
        return self.of_chain("clients", row, column, new, [("projects", "client_id"), ("interventions", "project_id")])

    def of_users(self, row, column, old, new):
        keys = self.base.using["users", row]
        named, may, claims = [Told("mismatch", "users", keys, column)], [], self.user_claims(row)
        if column == ("email" if row == self.base.placeholder else "name"):
            named.append(Told("missing", "users", keys, ""))
            may.append(Told("mismatch", {"el_modules", "interventions"}, keys, "technician_id"))
        for other, values in self.base.rows["users"].items():
            if other != row and same(values[column], new):
                claims += self.user_claims(other)
                may.append(Told("extra", "users"))
        return Damage("", claims, [named], may)

    def user_claims(self, row):
        chains = [("chain", chain) for chain in self.base.chain.values()] if row == self.base.placeholder else []
        return [("user", row), *chains]

    # Rows.

    def delete(self, db, table, row):
        db.execute(f'DELETE FROM "{table}" WHERE id = ?', (row,))
        damage = getattr(self, f"without_{table}")(row)
        damage.what = f"{table}[{row}] deleted"
        return damage

    def without_el_modules(self, row):
        # Without it nothing but the name leads to its technician: not beside a damage to that.
        claims = [("module", row), ("user", self.base.rows["el_modules"][row]["technician_id"])]
        return Damage("", claims, [[Told("missing", "el_modules", self.base.module_key(row), "")]],
                      self.shares(self.base.rows["el_modules"][row]["el_audit_id"]))

    def without_el_audits(self, row):
        return self.audit_gone(row)

    def without_chain(self, table, row, child, reference):
        keys = self.base.using[table, row]
        children = [number for number, values in self.base.rows[child].items() if values[reference] == row]
        return Damage("", [("chain", self.base.chain_of[table, row])], [[Told("missing", table, keys, "")]],
                      [self.dangling(child, children, reference), Told("mismatch", child, keys, reference)])

    def without_interventions(self, row):
        return self.without_chain("interventions", row, "el_audits", "intervention_id")

    def without_projects(self, row):
        return self.without_chain("projects", row, "interventions", "project_id")

    def without_clients(self, row):
        return self.without_chain("clients", row, "projects", "client_id")

    def without_users(self, row):
        keys = self.base.using["users", row]
        may = [Told("mismatch", {"el_modules", "interventions"}, keys, "technician_id")]
        claims = self.user_claims(row)
        for table in ("el_modules", "interventions"):
            children = [number for number, values in self.base.rows[table].items() if values["technician_id"] == row]
            may.append(self.dangling(table, children, "technician_id"))
            claims += [("module", number) for number in children] if table == "el_modules" else []
        return Damage("", claims, [[Told("missing", "users", keys, "")]], may)

    def add(self, db, audit):
        """A module more: a copy of another one of the audit, under another name; perhaps the audit's by its token or by its reference only."""
        self.added += 1
        row = dict(self.base.rows["el_modules"][self.chance.choice(self.base.modules[audit])], id=None, module_identifier=f"extra {self.added}")
        row.update(self.chance.choice(({}, {}, {"el_audit_id": 400}, {"audit_token": "own"})))
        number = db.execute(f"INSERT INTO el_modules ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values())).lastrowid
        return Damage(f"el_modules[{number}] added to audit {audit}", [("added", audit), ("user", row["technician_id"])],
                      [[Told("extra", "el_modules", lambda key: f"id={number}" in key.replace(",", " ").split())]], self.shares(audit)[:1])

    def twin(self, db, table, row):
        """A second row with the key of one that we made, where no index forbids it."""
        copy = dict(self.base.rows[table][row], id=None)
        if table == "users":
            self.added += 1
            copy["email"] = f"twin-{self.added}@own.example"
        number = db.execute(f"INSERT INTO {table} ({', '.join(copy)}) VALUES ({', '.join('?' * len(copy))})", list(copy.values())).lastrowid
        claims = self.user_claims(row) if table == "users" else [("chain", self.base.chain_of[table, row])]
        return Damage(f"{table}[{number}] is a twin of {row}", claims,
                      [[Told("extra", table, lambda key: f"id={number}" in key.replace(",", " ").split())]])

    # Two rows.

    def move(self, db, row, audit):
        """A module goes to another audit, by reference and by name."""
        damage = self.cell(db, "el_modules", row, "el_audit_id", audit, drawn=True)
        other = damage and self.cell(db, "el_modules", row, "audit_token", self.base.tokens[audit], drawn=True)
        if other is None:
            return None
        key = self.base.module_key(row)
        gone = Damage(f"el_modules[{row}] moved to audit {audit}", damage.claims | other.claims, [[Told("missing", "el_modules", key, "")]],
                      damage.may + other.may)
        return gone

    def swap(self, db, table, one, other, columns):
        """The values of two rows in these columns, where they differ."""
        damage = None
        rows = self.base.rows[table]
        for column in columns:
            values = rows[one][column], rows[other][column]
            if same(*values):
                continue
            for row, value in ((one, values[1]), (other, values[0])):
                next_damage = self.cell(db, table, row, column, value, drawn=True)
                if next_damage is None:
                    return None
                damage = next_damage if damage is None else damage.both(next_damage)
        return damage

    # One of all.

    def draw(self, db, audits):
        """A damage of any kind; None if this one came to nothing."""
        chance, base = self.chance, self.base
        kind = chance.random()
        if kind < 0.70:
            table, column = chance.choice([*COLUMNS, *DERIVED])
            rows = base.provable(table)
            if not base.of_first_run and COLUMNS.get((table, column), (False, False)) == (False, True):
                return None  # what only the record says that made the shared row, which is not in this export
            return self.cell(db, table, chance.choice(rows), column)
        if kind < 0.80:
            table = chance.choice(TABLES) if chance.random() < 0.5 else "el_modules"
            return self.delete(db, table, chance.choice(base.provable(table)))
        if kind < 0.88:
            return self.add(db, chance.choice(audits))
        if kind < 0.90:
            return self.move(db, chance.choice(base.provable("el_modules")), chance.choice(audits))
        if kind < 0.92 and base.of_first_run:
            table = chance.choice(("clients", "projects", "interventions", "users"))
            row = chance.choice(base.provable(table))
            return self.twin(db, table, row) if (table, row) != ("users", base.placeholder) else None
        table = "el_modules" if chance.random() < 0.8 else "el_audits"
        columns = sorted(column for (of, column), (key, _) in COLUMNS.items()
                         if of == table and not key and column not in ("intervention_id", "audit_token"))
        one, other = chance.sample(base.provable(table), 2)
        return self.swap(db, table, one, other, columns if chance.random() < 0.2 else [chance.choice(columns)])


class Corruption(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = pipeline.folder()
        cls.root = cls.holder.__enter__()

        def exports_of(edition):
            size = ("--audits", 6, "--modules-per-audit", 40, "--seed", SEED, "--revision", edition)
            return [*pipeline.generate(cls.root / f"g{edition}", *size), *world.make(cls.root / f"w{edition}", edition)]

        cls.bases = [Base(cls.root, "fresh", (0,), exports_of), Base(cls.root, "replayed", (0, 1), exports_of)]

    @classmethod
    def tearDownClass(cls):
        cls.holder.__exit__(None, None, None)

    def test_untouched(self):
        for base in self.bases:
            with self.subTest(base=base.name):
                code, told = verifying.verify(base.exports, base.target, "--extra", "fail")
                self.assertEqual((code, verifying.failures(told)), (0, []))

    def make(self, base, vandal, wanted, target):
        """A copy of the base with damages that do not touch the same rows, and the damages."""
        shutil.copy(base.target, target)
        damages, claimed = [], set()
        with contextlib.closing(open_wildly(target)) as db:
            for _ in range(wanted * 3):
                if len(damages) == wanted:
                    break
                db.execute("SAVEPOINT damage")
                damage = vandal.draw(db, sorted(base.tokens))
                if damage is None or damage.claims & claimed:
                    db.execute("ROLLBACK TO damage")
                else:
                    damages.append(damage)
                    claimed |= damage.claims
                db.execute("RELEASE damage")
            db.commit()
        return damages

    def judge(self, base, target, damages):
        code, told = verifying.verify(base.exports, target, "--extra", "fail")
        failures = verifying.failures(told)
        what = "\n".join([f"{base.name}, seed {SEED}:", *(damage.what for damage in damages), "told:", *map(str, failures)])
        for damage in damages:
            for group in damage.must:
                self.assertTrue(any(named.fits(failure) for named in group for failure in failures), f"not named: {damage.what}: {group}\n{what}")
        for failure in failures:
            self.assertTrue(any(told.fits(failure) for damage in damages for told in damage.may), f"a false alarm: {failure}\n{what}")
        rows = [failure for failure in failures if failure[0] != "whole"]
        self.assertEqual(len(rows), len(set(rows)), f"named twice\n{what}")
        self.assertEqual(code, 4, what)

    def test_damages(self):
        done, number, met = 0, 0, set()
        while done < CASES:
            chance = random.Random(f"{SEED}/{number}")
            base = self.bases[number % 3 % 2]
            wanted = 1 if number % 4 == 0 and BATCH < 50 else chance.randrange(2, BATCH + 1)
            damages = self.make(base, Vandal(base, chance), wanted, self.root / "damaged.db")
            with self.subTest(number=number):
                if damages:
                    self.judge(base, self.root / "damaged.db", damages)
            done += len(damages)
            number += 1
            met |= {place[:place.index("[")] + place[place.index("]") + 1:] for place in (damage.what.split(":")[0] for damage in damages)}
        if CASES >= 2000:
            self.assertEqual({f"{table}.{column}" for table, column in [*COLUMNS, *DERIVED]} - met, set(), "columns that were never damaged")
            self.assertEqual({f"{table} deleted" for table in TABLES} - met, set())

    def test_every_column(self):
        """Each mapped column by itself: with another value, NULL, empty text, and the same bytes as a blob."""
        base = self.bases[0]
        vandal = Vandal(base, random.Random(SEED))
        for table, column in [*COLUMNS, *DERIVED]:
            for make in (lambda old: "x" if isinstance(old, str) or old is None else old + 1, lambda old: None, lambda old: "",
                         lambda old: str(old).encode()):
                with self.subTest(table=table, column=column, value=make("old")):
                    target = self.root / "one.db"
                    shutil.copy(base.target, target)
                    damage = None
                    with contextlib.closing(open_wildly(target)) as db:
                        for row in base.provable(table):
                            damage = damage or vandal.cell(db, table, row, column, make(base.rows[table][row][column]), drawn=True)
                        db.commit()
                    if damage is not None:
                        self.judge(base, target, [damage])

    def test_extra_row_beside_a_record_that_stands_twice(self):
        """Two records are one row: there is no room for a row that is none of theirs."""
        records = [{**world.module(1, index, 0), "status": "ok"} for index in range(24)]
        exports = [world.write(self.root / "twice", "audits", [world.audit(1, 0)]),
                   world.write(self.root / "twice", "modules", [*records, {**records[3], "id": 7777}])]
        target = self.root / "twice.db"
        pipeline.run(exports, target, "--run-dir", self.root / "d")
        self.assertEqual(verifying.failures(verifying.verify(exports, target, "--extra", "fail")[1]), [])
        with contextlib.closing(open_wildly(target)) as db:
            number = db.execute("INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, string_number, position_in_string, defect_type,"
                                " severity_level) SELECT el_audit_id, audit_token, 'intruder', 9, 9, defect_type, severity_level FROM el_modules"
                                " WHERE module_identifier = 'S1-4'").lastrowid
            db.commit()
        code, told = verifying.verify(exports, target, "--extra", "fail")
        self.assertEqual((code, verifying.failures(told)),
                         (4, [("extra", "el_modules", f"audit_token='111-é', module_identifier='intruder', id={number}", "")]))

    def test_accepted_after_a_reject(self):
        """A record that was rejected once, and accepted later: its row is proved like any other."""
        target = self.root / "accepted.db"
        orphans = [{**world.module(1, index, 0), "module_id": f"N{index}"} for index in range(4)]
        modules = world.write(self.root / "accepted", "modules", orphans)
        audits = world.write(self.root / "accepted", "audits", [world.audit(1, 0)])
        for retried in (False, True):
            with self.subTest(retried=retried):
                target = self.root / f"accepted-{retried}.db"
                pipeline.run([modules], target, "--run-dir", self.root / "d", expect=3)
                pipeline.run([audits], target, "--run-dir", self.root / "d")
                if retried:
                    subprocess.run([pipeline.BIN / "pvrelay", "retry-rejects", "--target", target, "--run-dir", self.root / "d", "--progress", "none"],
                                   check=True, capture_output=True, timeout=pipeline.DEADLINE)
                else:
                    pipeline.run([modules, audits], target, "--run-dir", self.root / "d")
                self.assertEqual(verifying.verify([modules, audits], target)[0], 0)
                with contextlib.closing(open_wildly(target)) as db:
                    db.execute("UPDATE el_modules SET comment = 'other' WHERE module_identifier = 'N1'")
                    db.execute("DELETE FROM el_modules WHERE module_identifier = 'N2'")
                    db.commit()
                code, told = verifying.verify([modules, audits], target)
                named = [failure for failure in verifying.failures(told) if failure[0] != "whole"]
                self.assertEqual((code, sorted(named)), (4, [("mismatch", "el_modules", "audit_token='111-é', module_id='N1'", "comment"),
                                                             ("missing", "el_modules", "audit_token='111-é', module_id='N2'", "")]))


if __name__ == "__main__":
    unittest.main()

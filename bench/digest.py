#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The content of a target in a few figures that do not depend on who filled it: counts by table, the distribution of defects, and a
digest of all rows in the order of their natural keys. Ids are left out, references are given by the natural key of the row they lead
to. The times of the rows are the records' own, so they count too; only when a migration was applied does not."""

import contextlib
import hashlib
import json
import sqlite3
import sys

# Tables that an export fills, and the rows in the order of their natural keys.
ROWS = {
    "users": "SELECT email, name, role, certification_level, phone, is_active, created_at, updated_at FROM users ORDER BY email",
    "clients": "SELECT name, contact_email, contact_phone, address, siret, notes, created_at, updated_at FROM clients ORDER BY name, notes",
    "projects":
        "SELECT c.name, p.name, p.site_address, p.installation_power, p.inverter_model, p.module_model, p.installation_date,"
        " p.commissioning_date, p.string_count, p.modules_per_string, p.total_modules, p.latitude, p.longitude, p.notes, p.created_at,"
        " p.updated_at FROM projects p LEFT JOIN clients c ON c.id = p.client_id ORDER BY c.name, p.name, p.notes",
    "interventions":
        "SELECT c.name, p.name, u.email, i.intervention_type, i.intervention_date, i.duration_hours, i.status, i.weather_conditions,"
        " i.temperature_ambient, i.irradiance, i.notes, i.report_url, i.created_at, i.updated_at"
        " FROM interventions i LEFT JOIN projects p ON p.id = i.project_id LEFT JOIN clients c ON c.id = p.client_id"
        " LEFT JOIN users u ON u.id = i.technician_id ORDER BY i.notes, c.name, p.name",
    "el_audits":
        "SELECT i.notes, a.intervention_id IS NULL, a.audit_token, a.project_name, a.client_name, a.location, a.string_count,"
        " a.modules_per_string, a.total_modules, a.plan_file_url, a.configuration_json, a.status, round(a.completion_rate, 9),"
        " typeof(a.completion_rate), a.created_at, a.updated_at"
        " FROM el_audits a LEFT JOIN interventions i ON i.id = a.intervention_id ORDER BY a.audit_token",
}
# Of one audit, through the index that every target has.
MODULES = ("SELECT m.audit_token, m.module_identifier, m.string_number, m.position_in_string, m.defect_type, m.severity_level, m.comment,"
           " u.email, m.technician_id IS NULL, m.image_url, m.physical_row, m.physical_col, m.created_at, m.updated_at"
           " FROM el_modules m LEFT JOIN users u ON u.id = m.technician_id WHERE m.el_audit_id = ? ORDER BY m.module_identifier")
OWN = ("pvrelay_", "sqlite_", "d1_", "_cf_")


def tables(db):
    """Names of the tables that hold data."""
    return [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name") if not name.startswith(OWN)]


def add(hashes, cursor):
    """Add rows, with their types."""
    while rows := cursor.fetchmany(1000):
        for row in rows:
            hashes.update(repr(row).encode("utf-8", "surrogatepass"))


def indexes(db):
    """The indexes, triggers and views there are, by name."""
    return [f"{kind} {name}" for kind, name in db.execute(
        "SELECT type, name FROM sqlite_master WHERE type <> 'table' ORDER BY type, name") if not name.startswith(OWN)]


def take(target):
    """counts: rows by table; distribution: modules by defect and severity; digest: of everything that is there."""
    with contextlib.closing(sqlite3.connect(f"file:{target}?mode=ro", uri=True)) as db:
        counts = {name: db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables(db)}
        distribution = {f"{defect}/{severity}": count for defect, severity, count in db.execute(
            "SELECT defect_type, severity_level, count(*) FROM el_modules GROUP BY 1, 2 ORDER BY 1, 2")}
        hashes = hashlib.blake2b(digest_size=16)
        hashes.update(repr((sorted(counts.items()), indexes(db))).encode())
        for name, sql in ROWS.items():
            hashes.update(name.encode())
            add(hashes, db.execute(sql))
        for (audit,) in db.execute("SELECT id FROM el_audits ORDER BY audit_token").fetchall():
            add(hashes, db.execute(MODULES, (audit,)))
        # Rows of no audit are found by no look-up above.
        stray = db.execute("SELECT count(*) FROM el_modules WHERE el_audit_id NOT IN (SELECT id FROM el_audits)").fetchone()[0]
    return {"counts": counts, "distribution": distribution, "stray": stray, "digest": hashes.hexdigest()}


def difference(expected, found):
    """What differs, as a sentence; "" if nothing does."""
    for name in sorted({*expected["counts"], *found["counts"]}):
        one, other = expected["counts"].get(name), found["counts"].get(name)
        if one != other:
            return f"{name}: {other} rows, not {one}"
    for name in sorted({*expected["distribution"], *found["distribution"]}):
        one, other = expected["distribution"].get(name, 0), found["distribution"].get(name, 0)
        if one != other:
            return f"modules {name}: {other}, not {one}"
    return "" if expected == found else "the content of rows, or an index, differs"


if __name__ == "__main__":
    print(json.dumps([take(target) for target in sys.argv[1:]], indent=2))

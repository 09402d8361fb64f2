# SPDX-License-Identifier: MIT
"""The mapping by hand, for the Python peers: records in, a filled database out."""

import pathlib
import re
import sqlite3

DEFECTS = {"ok": "none", "inequality": "luminescence_inequality", "microcracks": "microcrack", "dead": "dead_module",
           "pending": "pending", "string_open": "string_open", "not_connected": "not_connected"}
SEVERITIES = {"ok": 0, "inequality": 1, "microcracks": 2, "dead": 3, "pending": 0, "string_open": 2, "not_connected": 2}
INTERVENTIONS = {"created": "scheduled", "in_progress": "in_progress", "completed": "completed", "archived": "completed"}


def null(value):
    """Wrangler printed NULL as the text "null" before 4.72."""
    return None if value == "null" else value


def address(name):
    """A name as the local part of an e-mail address."""
    return re.sub(rb"[^A-Za-z0-9._-]", lambda byte: b"=%02X" % byte[0][0], name.encode()).decode()


def add_audits(db, records):
    """Audits with clients, projects and interventions; returns the ids of audits by token."""
    technician, clients, projects, audits = None, {}, {}, {}
    for record in records:
        token, created, updated = record["token"], null(record["created_at"]), null(record["updated_at"])
        status = null(record["status"])
        if technician is None:
            technician = db.execute(
                "INSERT INTO users (email, name, role, is_active, created_at, updated_at)"
                " VALUES ('el-migration@pvrelay.invalid', 'Technicien EL (migration)', 'technician', 0, ?1, ?1)", (created,)).lastrowid
        client_name, project_name = record["client_name"], record["project_name"]
        client = clients.get(client_name)
        if client is None:
            client = clients[client_name] = db.execute(
                "INSERT INTO clients (name, notes, created_at, updated_at)"
                " VALUES (?1, 'pvrelay: placeholder made from an EL audit''s client_name', ?2, ?2)", (client_name, created)).lastrowid
        project = projects.get((client, project_name))
        if project is None:
            project = projects[client, project_name] = db.execute(
                "INSERT INTO projects (client_id, name, site_address, notes, created_at, updated_at)"
                " VALUES (?1, ?2, ?3, 'pvrelay: placeholder made from an EL audit''s project_name', ?4, ?4)",
                (client, project_name, record["location"], created)).lastrowid
        intervention = db.execute(
            "INSERT INTO interventions (project_id, technician_id, intervention_type, intervention_date, status, notes, created_at,"
            " updated_at) VALUES (?, ?, 'el', ?, ?, ?, ?, ?)",
            (project, technician, created[:10], INTERVENTIONS[status], f"pvrelay: placeholder for EL audit {token}", created,
             updated)).lastrowid
        audits[token] = db.execute(
            "INSERT INTO el_audits (intervention_id, audit_token, project_name, client_name, location, string_count, modules_per_string,"
            " total_modules, plan_file_url, configuration_json, status, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (intervention, token, project_name, client_name, record["location"], record["string_count"], record["modules_per_string"],
             record["total_modules"], null(record["plan_file"]), null(record["json_config"]), status, created, updated)).lastrowid
    return audits


def module_rows(db, records, audits):
    """The rows of el_modules; technicians are added on the way."""
    technicians = {None: None}
    for record in records:
        name, created, token, status = null(record["technician_id"]), null(record["created_at"]), record["audit_token"], record["status"]
        if name not in technicians:
            technicians[name] = db.execute(
                "INSERT INTO users (email, name, role, is_active, created_at, updated_at) VALUES (?1, ?2, 'technician', 0, ?3, ?3)",
                (f"{address(name)}@el.pvrelay.invalid", name, created)).lastrowid
        comment, row, column, updated = record["comment"], record["physical_row"], record["physical_col"], record["updated_at"]
        yield (audits[token], token, record["module_id"], record["string_number"], record["position_in_string"], DEFECTS[status],
               SEVERITIES[status], None if comment == "null" else comment, technicians[name], None if row == "null" else row,
               None if column == "null" else column, created, None if updated == "null" else updated)


def load(target, folder, audits, modules):
    """Fill a fresh target: audits and modules are iterables of records."""
    folder = pathlib.Path(folder)
    db = sqlite3.connect(target, isolation_level=None)
    db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -262144;")
    db.executescript((folder / "tables.sql").read_text())
    db.execute("BEGIN")
    tokens = add_audits(db, audits)
    db.executemany(
        "INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, string_number, position_in_string, defect_type,"
        " severity_level, comment, technician_id, physical_row, physical_col, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", module_rows(db, modules, tokens))
    db.execute(
        "UPDATE el_audits SET completion_rate = coalesce((SELECT 100.0 * count(*) FILTER (WHERE defect_type <> 'pending') / count(*)"
        " FROM el_modules WHERE el_audit_id = el_audits.id), 0)")
    db.execute("COMMIT")
    db.executescript("BEGIN;" + (folder / "after.sql").read_text() + "COMMIT;")
    db.close()

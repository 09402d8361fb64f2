// SPDX-License-Identifier: MIT
// The mapping by hand, for the Node peers: records in, a filled database out.
"use strict";
const fs = require("node:fs");
const path = require("node:path");

const DEFECTS = { ok: "none", inequality: "luminescence_inequality", microcracks: "microcrack", dead: "dead_module",
  pending: "pending", string_open: "string_open", not_connected: "not_connected" };
const SEVERITIES = { ok: 0, inequality: 1, microcracks: 2, dead: 3, pending: 0, string_open: 2, not_connected: 2 };
const INTERVENTIONS = { created: "scheduled", in_progress: "in_progress", completed: "completed", archived: "completed" };

// Wrangler printed NULL as the text "null" before 4.72.
const orNull = (value) => (value === "null" ? null : value);

// A name as the local part of an e-mail address.
const address = (name) => Array.from(Buffer.from(name), (byte) => {
  const character = String.fromCharCode(byte);
  return /[A-Za-z0-9._-]/.test(character) ? character : "=" + byte.toString(16).toUpperCase().padStart(2, "0");
}).join("");

function* records(file) {
  for (const set of JSON.parse(fs.readFileSync(file, "utf8"))) yield* set.results;
}

// db: exec(sql), prepare(sql).run(...values) with lastInsertRowid, as better-sqlite3 and node:sqlite both have it.
exports.load = (db, audits, modules, folder) => {
  db.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -262144;"
    + "PRAGMA foreign_keys = OFF"); // both switch them on of their own
  db.exec(fs.readFileSync(path.join(folder, "tables.sql"), "utf8"));
  db.exec("BEGIN");
  const user = db.prepare("INSERT INTO users (email, name, role, is_active, created_at, updated_at) VALUES (?, ?, 'technician', 0, ?, ?)");
  const client = db.prepare("INSERT INTO clients (name, notes, created_at, updated_at)"
    + " VALUES (?, 'pvrelay: placeholder made from an EL audit''s client_name', ?, ?)");
  const project = db.prepare("INSERT INTO projects (client_id, name, site_address, notes, created_at, updated_at)"
    + " VALUES (?, ?, ?, 'pvrelay: placeholder made from an EL audit''s project_name', ?, ?)");
  const intervention = db.prepare("INSERT INTO interventions (project_id, technician_id, intervention_type, intervention_date, status,"
    + " notes, created_at, updated_at) VALUES (?, ?, 'el', ?, ?, ?, ?, ?)");
  const audit = db.prepare("INSERT INTO el_audits (intervention_id, audit_token, project_name, client_name, location, string_count,"
    + " modules_per_string, total_modules, plan_file_url, configuration_json, status, created_at, updated_at)"
    + " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const module = db.prepare("INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, string_number, position_in_string,"
    + " defect_type, severity_level, comment, technician_id, physical_row, physical_col, created_at, updated_at)"
    + " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");

  // The id of a row that is made once.
  const once = (known, key, make) => {
    let id = known.get(key);
    if (id === undefined) known.set(key, id = make().lastInsertRowid);
    return id;
  };
  const migration = new Map(), clients = new Map(), projects = new Map(), tokens = new Map(), technicians = new Map([[null, null]]);

  for (const r of records(audits)) {
    const created = orNull(r.created_at), updated = orNull(r.updated_at), status = orNull(r.status);
    const technicianId = once(migration, 0, () => user.run("el-migration@pvrelay.invalid", "Technicien EL (migration)", created, created));
    const clientId = once(clients, r.client_name, () => client.run(r.client_name, created, created));
    const projectId = once(projects, clientId + " " + r.project_name,
      () => project.run(clientId, r.project_name, r.location, created, created));
    const interventionId = intervention.run(projectId, technicianId, created.slice(0, 10), INTERVENTIONS[status],
      "pvrelay: placeholder for EL audit " + r.token, created, updated).lastInsertRowid;
    tokens.set(r.token, audit.run(interventionId, r.token, r.project_name, r.client_name, r.location, r.string_count, r.modules_per_string,
      r.total_modules, orNull(r.plan_file), orNull(r.json_config), status, created, updated).lastInsertRowid);
  }
  for (const r of records(modules)) {
    const created = orNull(r.created_at), technician = orNull(r.technician_id);
    const technicianId = once(technicians, technician,
      () => user.run(address(technician) + "@el.pvrelay.invalid", technician, created, created));
    module.run(tokens.get(r.audit_token), r.audit_token, r.module_id, r.string_number, r.position_in_string, DEFECTS[r.status],
      SEVERITIES[r.status], orNull(r.comment), technicianId, orNull(r.physical_row), orNull(r.physical_col), created,
      orNull(r.updated_at));
  }
  db.exec("UPDATE el_audits SET completion_rate = coalesce((SELECT 100.0 * count(*) FILTER (WHERE defect_type <> 'pending') / count(*)"
    + " FROM el_modules WHERE el_audit_id = el_audits.id), 0)");
  db.exec("COMMIT");
  db.exec("BEGIN;" + fs.readFileSync(path.join(folder, "after.sql"), "utf8") + "COMMIT;");
  db.close();
};

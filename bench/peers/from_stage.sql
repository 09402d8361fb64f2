-- SPDX-License-Identifier: MIT
-- The mapping by hand, in SQL, for the peers that first put the records into tables as they are: stage.audits and
-- stage.modules, in the export's order. Wrangler printed NULL as the text "null" before 4.72.

INSERT INTO users (email, name, role, is_active, created_at, updated_at)
SELECT 'el-migration@pvrelay.invalid', 'Technicien EL (migration)', 'technician', 0, nullif(created_at, 'null'), nullif(created_at, 'null')
FROM stage.audits WHERE rowid = (SELECT min(rowid) FROM stage.audits);

-- Beside min(), the other columns are those of the row that has it.
INSERT INTO clients (name, notes, created_at, updated_at)
SELECT client_name, 'pvrelay: placeholder made from an EL audit''s client_name', created, created
FROM (SELECT client_name, nullif(created_at, 'null') AS created, min(rowid) AS first FROM stage.audits GROUP BY client_name)
ORDER BY first;

INSERT INTO projects (client_id, name, site_address, notes, created_at, updated_at)
SELECT client_id, project_name, location, 'pvrelay: placeholder made from an EL audit''s project_name', created, created
FROM (SELECT c.id AS client_id, a.project_name, a.location, nullif(a.created_at, 'null') AS created, min(a.rowid) AS first
      FROM stage.audits a JOIN clients c ON c.name = a.client_name
      GROUP BY c.id, a.project_name)
ORDER BY first;

CREATE INDEX stage_projects ON projects (client_id, name);
CREATE INDEX stage_clients ON clients (name);
INSERT INTO interventions (project_id, technician_id, intervention_type, intervention_date, status, notes, created_at, updated_at)
SELECT p.id, 1, 'el', substr(a.created_at, 1, 10),
       CASE a.status WHEN 'created' THEN 'scheduled' WHEN 'in_progress' THEN 'in_progress'
                     WHEN 'completed' THEN 'completed' WHEN 'archived' THEN 'completed' END,
       'pvrelay: placeholder for EL audit ' || a.token, nullif(a.created_at, 'null'), nullif(a.updated_at, 'null')
FROM stage.audits a CROSS JOIN clients c ON c.name = a.client_name CROSS JOIN projects p ON p.client_id = c.id AND p.name = a.project_name
ORDER BY a.rowid;
DROP INDEX stage_projects;
DROP INDEX stage_clients;

-- Interventions were made one an audit, in the audits' order.
INSERT INTO el_audits (intervention_id, audit_token, project_name, client_name, location, string_count, modules_per_string, total_modules,
                       plan_file_url, configuration_json, status, created_at, updated_at)
SELECT row_number() OVER (ORDER BY rowid), token, project_name, client_name, location, string_count, modules_per_string, total_modules,
       nullif(plan_file, 'null'), nullif(json_config, 'null'), nullif(status, 'null'), nullif(created_at, 'null'), nullif(updated_at, 'null')
FROM stage.audits ORDER BY rowid;

-- SQLite has no function that encodes an address: character by character, of each that is not plain its one to four bytes.
INSERT INTO users (email, name, role, is_active, created_at, updated_at)
WITH RECURSIVE
    technician (name, created, first) AS (
        SELECT technician_id, nullif(created_at, 'null'), min(rowid) FROM stage.modules
        WHERE technician_id <> 'null' GROUP BY technician_id),
    encoded (first, rest, done) AS (
        SELECT first, name, '' FROM technician
        UNION ALL
        SELECT first, substr(rest, 2),
               done || CASE WHEN substr(rest, 1, 1) GLOB '[A-Za-z0-9._-]' THEN substr(rest, 1, 1)
                       ELSE rtrim('=' || substr(hex(substr(rest, 1, 1)), 1, 2) || '=' || substr(hex(substr(rest, 1, 1)), 3, 2)
                                  || '=' || substr(hex(substr(rest, 1, 1)), 5, 2) || '=' || substr(hex(substr(rest, 1, 1)), 7, 2), '=') END
        FROM encoded WHERE rest <> '')
SELECT e.done || '@el.pvrelay.invalid', t.name, 'technician', 0, t.created, t.created
FROM technician t JOIN encoded e ON e.first = t.first AND e.rest = ''
ORDER BY t.first;

CREATE INDEX stage_users ON users (name);
INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, string_number, position_in_string, defect_type, severity_level,
                        comment, technician_id, physical_row, physical_col, created_at, updated_at)
SELECT a.id, m.audit_token, m.module_id, m.string_number, m.position_in_string,
       CASE m.status WHEN 'ok' THEN 'none' WHEN 'microcracks' THEN 'microcrack' WHEN 'dead' THEN 'dead_module'
                     WHEN 'inequality' THEN 'luminescence_inequality' WHEN 'pending' THEN 'pending'
                     WHEN 'string_open' THEN 'string_open' WHEN 'not_connected' THEN 'not_connected' END,
       CASE m.status WHEN 'ok' THEN 0 WHEN 'microcracks' THEN 2 WHEN 'dead' THEN 3 WHEN 'inequality' THEN 1 WHEN 'pending' THEN 0
                     WHEN 'string_open' THEN 2 WHEN 'not_connected' THEN 2 END,
       nullif(m.comment, 'null'), u.id, nullif(m.physical_row, 'null'), nullif(m.physical_col, 'null'),
       nullif(m.created_at, 'null'), nullif(m.updated_at, 'null')
FROM stage.modules m CROSS JOIN el_audits a ON a.audit_token = m.audit_token
     LEFT JOIN users u ON u.name = nullif(m.technician_id, 'null') AND u.id > 1
ORDER BY m.rowid;
DROP INDEX stage_users;

UPDATE el_audits SET completion_rate = coalesce(
    (SELECT 100.0 * count(*) FILTER (WHERE defect_type <> 'pending') / count(*) FROM el_modules WHERE el_audit_id = el_audits.id), 0);

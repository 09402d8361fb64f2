-- SPDX-License-Identifier: MIT
-- The unified HUB database: core tables, the electroluminescence module and the other measurement modules.
-- Plain statements only, one transaction is made around them by whoever applies the file (wrangler or pvrelay migrate).

-- Core ----------------------------------------------------------------------------------------------------------------

CREATE TABLE users (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    email               TEXT UNIQUE NOT NULL,
    name                TEXT NOT NULL,
    role                TEXT NOT NULL DEFAULT 'technician',
    certification_level TEXT,
    phone               TEXT,
    is_active           INTEGER DEFAULT 1,
    created_at          DATETIME DEFAULT CURRENT_TIMESTAMP,
    updated_at          DATETIME DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE clients (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT NOT NULL,
    contact_email TEXT,
    contact_phone TEXT,
    address       TEXT,
    siret         TEXT,
    notes         TEXT,
    created_at    DATETIME DEFAULT CURRENT_TIMESTAMP,
    updated_at    DATETIME DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE projects (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    client_id          INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    name               TEXT NOT NULL,
    site_address       TEXT NOT NULL,
    installation_power REAL,                             -- kWp
    inverter_model     TEXT,
    module_model       TEXT,
    installation_date  DATE,
    commissioning_date DATE,
    string_count       INTEGER,
    modules_per_string INTEGER,
    total_modules      INTEGER,
    latitude           REAL,
    longitude          REAL,
    notes              TEXT,
    created_at         DATETIME DEFAULT CURRENT_TIMESTAMP,
    updated_at         DATETIME DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE interventions (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id          INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    technician_id       INTEGER NOT NULL REFERENCES users (id),
    intervention_type   TEXT NOT NULL
        CHECK (intervention_type IN ('el', 'iv', 'thermique', 'isolation', 'visuels', 'expertise')),
    intervention_date   DATE NOT NULL,
    duration_hours      REAL,
    status              TEXT DEFAULT 'scheduled' CHECK (status IN ('scheduled', 'in_progress', 'completed', 'cancelled')),
    weather_conditions  TEXT,
    temperature_ambient REAL,                            -- degrees Celsius
    irradiance          REAL,                            -- W/m2
    notes               TEXT,
    report_url          TEXT,
    created_at          DATETIME DEFAULT CURRENT_TIMESTAMP,
    updated_at          DATETIME DEFAULT CURRENT_TIMESTAMP
);

-- Electroluminescence -------------------------------------------------------------------------------------------------
-- The lists of defect types and statuses grow with the field, so they are not fixed by a CHECK here.

CREATE TABLE el_audits (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    intervention_id    INTEGER REFERENCES interventions (id) ON DELETE SET NULL,
    audit_token        TEXT UNIQUE NOT NULL,
    project_name       TEXT NOT NULL,
    client_name        TEXT NOT NULL,
    location           TEXT,
    string_count       INTEGER NOT NULL,
    modules_per_string INTEGER NOT NULL,
    total_modules      INTEGER NOT NULL,
    plan_file_url      TEXT,
    configuration_json TEXT,
    status             TEXT DEFAULT 'created',
    completion_rate    REAL DEFAULT 0,                   -- percent of modules that are not pending
    created_at         DATETIME DEFAULT CURRENT_TIMESTAMP,
    updated_at         DATETIME DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE el_modules (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    el_audit_id        INTEGER NOT NULL REFERENCES el_audits (id) ON DELETE CASCADE,
    audit_token        TEXT NOT NULL REFERENCES el_audits (audit_token) ON DELETE CASCADE,
    module_identifier  TEXT NOT NULL,
    string_number      INTEGER NOT NULL,
    position_in_string INTEGER NOT NULL,
    defect_type        TEXT DEFAULT 'pending',
    severity_level     INTEGER DEFAULT 0,                -- 0 none, 1 low, 2 critical, 3 dead
    comment            TEXT,
    technician_id      INTEGER REFERENCES users (id) ON DELETE SET NULL,
    image_url          TEXT,
    physical_row       INTEGER,
    physical_col       INTEGER,
    created_at         DATETIME DEFAULT CURRENT_TIMESTAMP,
    updated_at         DATETIME DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (el_audit_id, module_identifier)
);

CREATE TABLE el_collaborative_sessions (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    el_audit_id   INTEGER NOT NULL REFERENCES el_audits (id) ON DELETE CASCADE,
    audit_token   TEXT NOT NULL REFERENCES el_audits (audit_token) ON DELETE CASCADE,
    technician_id INTEGER REFERENCES users (id) ON DELETE SET NULL,
    session_token TEXT UNIQUE NOT NULL,
    is_active     INTEGER DEFAULT 1,
    last_activity DATETIME,
    created_at    DATETIME DEFAULT CURRENT_TIMESTAMP,
    updated_at    DATETIME DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE pvserv_measurements (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    intervention_id  INTEGER REFERENCES interventions (id) ON DELETE CASCADE,
    el_audit_id      INTEGER REFERENCES el_audits (id) ON DELETE CASCADE,
    string_number    INTEGER,
    module_number    INTEGER,
    fill_factor      REAL,
    series_resistance REAL,                              -- ohm
    voltage_open     REAL,                               -- V
    current_max      REAL,                               -- A
    power_max        REAL,                               -- W
    curve_json       TEXT,
    created_at       DATETIME DEFAULT CURRENT_TIMESTAMP
);

-- The other measurement modules ---------------------------------------------------------------------------------------

CREATE TABLE iv_measurements (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    intervention_id   INTEGER NOT NULL REFERENCES interventions (id) ON DELETE CASCADE,
    string_number     INTEGER,
    module_identifier TEXT,
    voc               REAL,                              -- V
    isc               REAL,                              -- A
    vmp               REAL,                              -- V
    imp               REAL,                              -- A
    pmax              REAL,                              -- W
    fill_factor       REAL,
    irradiance        REAL,                              -- W/m2
    temperature_cell  REAL,                              -- degrees Celsius
    curve_json        TEXT,
    measured_at       DATETIME,
    notes             TEXT,
    created_at        DATETIME DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE thermal_measurements (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    intervention_id   INTEGER NOT NULL REFERENCES interventions (id) ON DELETE CASCADE,
    string_number     INTEGER,
    module_identifier TEXT,
    temperature_max   REAL,                              -- degrees Celsius
    temperature_min   REAL,
    temperature_mean  REAL,
    delta_t           REAL,                              -- K
    anomaly_type      TEXT,
    severity_level    INTEGER DEFAULT 0,
    image_url         TEXT,
    measured_at       DATETIME,
    notes             TEXT,
    created_at        DATETIME DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE isolation_tests (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    intervention_id INTEGER NOT NULL REFERENCES interventions (id) ON DELETE CASCADE,
    string_number   INTEGER,
    test_type       TEXT,
    test_voltage    REAL,                                -- V
    resistance      REAL,                                -- Mohm
    threshold       REAL,                                -- Mohm
    is_conform      INTEGER,
    measured_at     DATETIME,
    notes           TEXT,
    created_at      DATETIME DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE visual_inspections (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    intervention_id     INTEGER NOT NULL REFERENCES interventions (id) ON DELETE CASCADE,
    inspection_type     TEXT,
    location_on_site    TEXT,
    defect_found        INTEGER DEFAULT 0,
    defect_description  TEXT,
    severity_level      INTEGER DEFAULT 0,
    normative_reference TEXT,
    image_url           TEXT,
    notes               TEXT,
    created_at          DATETIME DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE post_incident_expertise (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    intervention_id    INTEGER NOT NULL REFERENCES interventions (id) ON DELETE CASCADE,
    incident_type      TEXT,
    incident_date      DATE,
    description        TEXT,
    probable_cause     TEXT,
    responsible_party  TEXT,
    estimated_loss_kwh REAL,
    estimated_cost     REAL,                             -- euro
    recommendations    TEXT,
    report_url         TEXT,
    created_at         DATETIME DEFAULT CURRENT_TIMESTAMP
);

-- Indexes -------------------------------------------------------------------------------------------------------------

CREATE INDEX idx_users_name ON users (name);
CREATE INDEX idx_users_role ON users (role);
CREATE INDEX idx_clients_name ON clients (name);
CREATE INDEX idx_projects_client ON projects (client_id, name);
CREATE INDEX idx_projects_name ON projects (name);
-- With the notes, because a placeholder of a replay is found again by them.
CREATE INDEX idx_interventions_project ON interventions (project_id, intervention_type, notes);
CREATE INDEX idx_interventions_technician ON interventions (technician_id);
CREATE INDEX idx_interventions_date ON interventions (intervention_date);
CREATE INDEX idx_interventions_type ON interventions (intervention_type);
CREATE INDEX idx_interventions_status ON interventions (status);

CREATE INDEX idx_el_audits_token ON el_audits (audit_token);
CREATE INDEX idx_el_audits_intervention ON el_audits (intervention_id);
CREATE INDEX idx_el_audits_status ON el_audits (status);
CREATE INDEX idx_el_audits_created ON el_audits (created_at);

CREATE INDEX idx_el_modules_audit ON el_modules (el_audit_id);
CREATE INDEX idx_el_modules_token ON el_modules (audit_token);
CREATE INDEX idx_el_modules_string ON el_modules (string_number);
CREATE INDEX idx_el_modules_defect ON el_modules (defect_type);
CREATE INDEX idx_el_modules_severity ON el_modules (severity_level);

CREATE INDEX idx_el_sessions_audit ON el_collaborative_sessions (el_audit_id);
CREATE INDEX idx_el_sessions_token ON el_collaborative_sessions (audit_token);
CREATE INDEX idx_pvserv_intervention ON pvserv_measurements (intervention_id);
CREATE INDEX idx_pvserv_audit ON pvserv_measurements (el_audit_id);
CREATE INDEX idx_iv_intervention ON iv_measurements (intervention_id);
CREATE INDEX idx_thermal_intervention ON thermal_measurements (intervention_id);
CREATE INDEX idx_isolation_intervention ON isolation_tests (intervention_id);
CREATE INDEX idx_visual_intervention ON visual_inspections (intervention_id);
CREATE INDEX idx_expertise_intervention ON post_incident_expertise (intervention_id);

-- Triggers ------------------------------------------------------------------------------------------------------------
-- Every change dates its row. The comparison ends the chain where recursive triggers are switched on.

CREATE TRIGGER users_updated_at AFTER UPDATE ON users
BEGIN
    UPDATE users SET updated_at = CURRENT_TIMESTAMP WHERE id = NEW.id AND updated_at IS NOT CURRENT_TIMESTAMP;
END;

CREATE TRIGGER clients_updated_at AFTER UPDATE ON clients
BEGIN
    UPDATE clients SET updated_at = CURRENT_TIMESTAMP WHERE id = NEW.id AND updated_at IS NOT CURRENT_TIMESTAMP;
END;

CREATE TRIGGER projects_updated_at AFTER UPDATE ON projects
BEGIN
    UPDATE projects SET updated_at = CURRENT_TIMESTAMP WHERE id = NEW.id AND updated_at IS NOT CURRENT_TIMESTAMP;
END;

CREATE TRIGGER interventions_updated_at AFTER UPDATE ON interventions
BEGIN
    UPDATE interventions SET updated_at = CURRENT_TIMESTAMP WHERE id = NEW.id AND updated_at IS NOT CURRENT_TIMESTAMP;
END;

CREATE TRIGGER el_audits_updated_at AFTER UPDATE ON el_audits
BEGIN
    UPDATE el_audits SET updated_at = CURRENT_TIMESTAMP WHERE id = NEW.id AND updated_at IS NOT CURRENT_TIMESTAMP;
END;

CREATE TRIGGER el_modules_updated_at AFTER UPDATE ON el_modules
BEGIN
    UPDATE el_modules SET updated_at = CURRENT_TIMESTAMP WHERE id = NEW.id AND updated_at IS NOT CURRENT_TIMESTAMP;
END;

CREATE TRIGGER el_collaborative_sessions_updated_at AFTER UPDATE ON el_collaborative_sessions
BEGIN
    UPDATE el_collaborative_sessions SET updated_at = CURRENT_TIMESTAMP
    WHERE id = NEW.id AND updated_at IS NOT CURRENT_TIMESTAMP;
END;

-- A diagnosed module moves its audit on.
CREATE TRIGGER el_modules_completion_rate AFTER UPDATE OF defect_type ON el_modules
BEGIN
    UPDATE el_audits
    SET completion_rate = (SELECT 100.0 * COUNT(*) FILTER (WHERE defect_type IS NOT 'pending') / COUNT(*)
                           FROM el_modules
                           WHERE el_audit_id = NEW.el_audit_id)
    WHERE id = NEW.el_audit_id;
END;

-- Views ---------------------------------------------------------------------------------------------------------------

-- Per audit: what was found.
CREATE VIEW v_el_audit_statistics AS
SELECT
    a.id AS audit_id,
    a.audit_token,
    a.project_name,
    a.client_name,
    a.status,
    a.completion_rate,
    a.total_modules,
    COUNT(m.id) AS modules_present,
    COUNT(m.id) FILTER (WHERE m.defect_type IS NOT 'pending') AS modules_diagnosed,
    COUNT(m.id) FILTER (WHERE m.defect_type = 'none') AS modules_ok,
    COUNT(m.id) FILTER (WHERE m.defect_type = 'microcrack') AS modules_microcrack,
    COUNT(m.id) FILTER (WHERE m.defect_type = 'dead_module') AS modules_dead,
    COUNT(m.id) FILTER (WHERE m.defect_type = 'luminescence_inequality') AS modules_inequality,
    COUNT(m.id) FILTER (WHERE m.severity_level >= 2) AS modules_critical
FROM el_audits AS a
LEFT JOIN el_modules AS m ON m.el_audit_id = a.id
GROUP BY a.id;

-- Per project: whose it is and which interventions it had.
CREATE VIEW v_dashboard_overview AS
SELECT
    p.id AS project_id,
    p.name AS project_name,
    c.id AS client_id,
    c.name AS client_name,
    p.total_modules,
    COUNT(i.id) AS interventions_total,
    COUNT(i.id) FILTER (WHERE i.intervention_type = 'el') AS interventions_el,
    COUNT(i.id) FILTER (WHERE i.intervention_type = 'iv') AS interventions_iv,
    COUNT(i.id) FILTER (WHERE i.intervention_type = 'thermique') AS interventions_thermique,
    COUNT(i.id) FILTER (WHERE i.intervention_type = 'isolation') AS interventions_isolation,
    COUNT(i.id) FILTER (WHERE i.intervention_type = 'visuels') AS interventions_visuels,
    COUNT(i.id) FILTER (WHERE i.intervention_type = 'expertise') AS interventions_expertise,
    MAX(i.intervention_date) AS last_intervention_date
FROM projects AS p
JOIN clients AS c ON c.id = p.client_id
LEFT JOIN interventions AS i ON i.project_id = p.id
GROUP BY p.id;

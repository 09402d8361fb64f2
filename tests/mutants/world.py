# SPDX-License-Identifier: MIT
"""A small export that has every kind of value in it, in two editions, with and without records to reject.

Four audits share clients and projects; their modules share technicians, whose names differ by case only, or are empty. Every
nullable field is NULL somewhere, '' somewhere and the text "null" somewhere; texts begin and end with blanks, hold U+0000 and what
is not ASCII; integers are 0, negative, beyond 32 bits. The second edition has the same keys, other values, and some records more.
"""

import json

STATUSES = ("ok", "inequality", "microcracks", "dead", "pending", "string_open", "not_connected")
TECHNICIANS = (None, "zoé b.", "K. N'Diaye", "Zoé B.", "", "ZOé B.", "O'Brien <x=1>")
COMMENTS = (None, "", "MÊME MPPT ", " à vérifier", "null", "avant\u0000après", "ligne\nsuivante", "🔥 brûlé", '"cité"')
ROWS = (None, 0, 5_000_000_000, -3, 12, 1)
SINGLE = (("comment", (None, "")), ("status", STATUSES), ("technician_id", (None, "zoé b.", "Zoé B.")), ("physical_row", (0, None)),
          ("updated_at", ("2025-12-24 23:59:59",)), ("comment", ("null", "abc", "abd")))
PLANS = (None, "", "plans/calepinage é1.pdf ", "null")


def audit(number, edition):
    """One of the audits. 1 and 2 are of one client, 2 and 3 of one project."""
    created = f"2025-0{number + 1}-1{number} 08:1{number}:00"
    project = {1: "Toiture nord", 2: "Ombrière", 3: "Ombrière", 4: "Serre "}.get(number, f"Parc {number}")
    return {
        "id": 10 * number, "token": f"{number}{number}{number}-é",
        "project_name": project + (" (extension)" if edition and number == 4 else ""),
        "client_name": "Énergies du Sud" if number in (1, 2, 3) else "Solaïa ",
        "location": "Béziers" if number in (2, 3) else f"Pau, n°{number} ",
        "string_count": 2, "modules_per_string": 12, "total_modules": 24,
        "plan_file": PLANS[(number + edition) % len(PLANS)],
        "status": ("created", "in_progress", "completed", "archived")[(number - 1 + edition) % 4],
        "created_at": created, "updated_at": created[:-8] + ("19:44:0%d" if edition else "18:30:0%d") % number,
        "json_config": (None, '{"mode":"simple","n":1}', "", '{"é": [1, 2.50, 1e3]} \n')[(number + 2 * edition) % 4],
    }


def module(number, index, edition):
    """Module `index` of an audit. In the second edition one in three differs everywhere, and one in three in one value."""
    string, position = index // 12 + 1, index % 12 + 1
    n = 31 * number + index
    moved = edition if index % 3 == 0 else 0
    created = f"2025-0{number + 1}-20 09:{index:02}:00"
    record = {
        "id": 1000 * number + index, "audit_token": f"{number}{number}{number}-é",
        "module_id": f"S{string}-{position}", "string_number": string, "position_in_string": position,
        "status": STATUSES[(n + moved) % 7], "comment": COMMENTS[(n + moved) % 9], "technician_id": TECHNICIANS[(n // 2 + moved) % 7],
        "created_at": created, "updated_at": f"2025-1{moved}-20 10:{index:02}:0{moved}",
        "physical_row": ROWS[(n + moved) % 6], "physical_col": ROWS[(n + 1 + moved) % 6],
    }
    if edition and index % 3 == 1:
        field, values = SINGLE[index // 3 % len(SINGLE)]
        record[field] = values[(values.index(record[field]) + 1) % len(values)] if record[field] in values else values[0]
    return record


def modules_of(number, edition):
    return [module(number, index, edition) for index in range(24 + 2 * edition)]


def with_rejects(modules):
    """Records that cannot be taken over, among the others: unknown status and parent, wrong type. Two of the orphans bring a
    technician that is needed by a good record later, after another new one."""
    first, second = dict(modules[5]), dict(modules[6])
    orphan = {**first, "id": 90001, "audit_token": "nobody", "technician_id": "Inès (nouvelle)"}
    return [
        {**first, "id": 90000, "module_id": "R-0", "status": "kaputt"},
        orphan,
        {**second, "id": 90002, "module_id": "R-2", "technician_id": "Ugo (nouveau)"},
        *modules[:40],
        {**first, "id": 90003, "module_id": "R-3", "technician_id": "Inès (nouvelle)"},
        {**orphan, "id": 90004, "module_id": "R-4", "technician_id": "Personne d'autre"},
        {**second, "id": 90005, "module_id": "R-5", "string_number": "deux"},
        *modules[40:],
        {**second, "id": 90006, "module_id": "R-6", "status": "OK"},
    ]


def write(folder, name, records, wrangler=True):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    document = [{"results": records, "success": True, "meta": {"duration": 0.5, "rows_read": len(records)}}] if wrangler else records
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def make(folder, edition=0, rejects=False):
    """The two files of an edition; the second edition has an audit and some modules more."""
    numbers = range(1, 5 + edition)
    modules = [record for number in numbers for record in modules_of(number, edition)]
    return [write(folder, "audits", [audit(number, edition) for number in numbers]),
            write(folder, "modules", with_rejects(modules) if rejects else modules)]

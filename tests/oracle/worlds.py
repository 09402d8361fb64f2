# SPDX-License-Identifier: MIT
"""Generated mappings, targets and exports for the oracle: every operation and setting of pvrelay-mapping(5), in any combination, and
records that keep or break each rule. A world is one mapping of several streams, its target, and the exports of two runs."""

import json
import random

WORDS = ("ok", "dead", "null", "", "Zoë", "l'été", "🔬 x", "a b", "M001", "S3-14", "x@y.z", "tab\there", "0", "1.0", "NULL")
REALS = (0.0, -1.5, 2.25, 1e10, 3, -7)
INTEGERS = (0, 1, -1, 42, (1 << 53) + 1, (1 << 63) - 1, -(1 << 63))
DATES = ("2025-10-27 09:43:12", "2024-02-29", "1999-12-31T00:00:00Z")
NOT_DATES = ("2025-02-29 00:00:00", "27/10/2025", "2025-1-1 00:00:00", "", "2025-13-01")
SQL_TYPES = {"text": "TEXT", "integer": "INTEGER", "real": "REAL"}


class Target:
    """The tables that a mapping needs. tables: {table: {column: (sql type, NOT NULL)}}; unique: {table: columns}."""

    def schema(self):
        statements = []
        for table, columns in self.tables.items():
            lines = ["id INTEGER PRIMARY KEY"] + [f"{column} {kind}{' NOT NULL' if required else ''}"
                                                  for column, (kind, required) in columns.items()]
            if table in self.unique:
                lines.append(f"UNIQUE ({', '.join(self.unique[table])})")
            statements.append(f"CREATE TABLE {table} ({', '.join(lines)});")
        return "\n".join(statements)

    def required(self):
        return {table: {column: required for column, (_, required) in columns.items()} for table, columns in self.tables.items()}


class Small(Target):
    """One stream of records {k, grade, text}, its rows given as {name: columns}; a row's first column is its key. given: columns of the
    tables that are not (TEXT or INTEGER, NULL allowed). editions: a list of records a run."""

    def __init__(self, rows, given, editions, if_present=None):
        fields = {"k": {"type": "text"}, "grade": {"type": "integer", "nullable": True}, "text": {"type": "text", "nullable": True}}
        specs, self.tables, self.unique = [], {}, {}
        for name, columns in rows.items():
            key = next(iter(columns))
            specs.append({"name": name, "table": f"{name}0", "mode": "ensure" if name == "shared" else "upsert", "key": [key],
                          "columns": columns})
            if name in (if_present or {}):
                specs[-1]["if_present"] = if_present[name]
            if name == "placeholder":
                specs[-1]["found_through"] = {"table": "main0", "key": "k", "from": "k", "column": "placeholder_id"}
            self.tables[f"{name}0"] = {
                column: given.get(name, {}).get(column, ("INTEGER" if column.endswith("_id") or column == "grade" else "TEXT", False))
                for column in columns}
            self.unique[f"{name}0"] = [key]
        for field in fields:
            if field not in json.dumps([list(columns.values()) for columns in rows.values()]):
                fields[field]["ignore"] = "no column needs it"
        self.mapping = {"pvrelay_mapping": 1, "name": "small", "value_maps": {}, "streams": [
            {"name": "s0", "recognise": ["k"], "key": ["k"], "fields": fields, "rows": specs}]}
        self.runs = [[[json.dumps({**{field: None for field in fields}, **record}) for record in records]] for records in editions]


class World(Target):
    """mapping: the mapping, as JSON can hold it; tables: {table: {column: (sql type, NOT NULL)}}; unique: {table: columns};
    runs: a list of runs, each a list of files, each a list of records as JSON texts."""

    def __init__(self, seed, streams=5, records=14):
        self.random = random.Random(seed)
        self.tables, self.unique, self.pools, self.runs = {}, {}, {}, []
        maps = {"text_map": {word: f"<{word}>" for word in self.random.sample(WORDS, 6)},
                "number_map": {word: at for at, word in enumerate(self.random.sample(WORDS, 6))}}
        self.mapping = {"pvrelay_mapping": 1, "name": f"world-{seed}", "value_maps": maps, "streams": []}
        for at in range(streams):
            self.mapping["streams"].append(self.stream(at))
        self.derived()
        first = [self.records(stream, records) for stream in self.mapping["streams"]]
        self.runs.append(self.files(first))
        self.runs.append(self.files([self.revised(stream, old, records) for stream, old in zip(self.mapping["streams"], first)]))

    def chance(self, share):
        return self.random.random() < share

    # ---- the mapping ----

    def stream(self, at):
        name = f"s{at}"
        key = f"key{at}"
        fields = {key: {"type": "text"}}
        for kind in ("text", "integer", "real"):
            for i in range(2):
                fields[f"{kind}{at}_{i}"] = {"type": kind, "nullable": self.chance(0.5)}
        fields[f"word{at}"] = {"type": "text"}
        fields[f"date{at}"] = {"type": "text", "nullable": self.chance(0.3)}
        stream = {"name": name, "recognise": [key], "key": [key], "fields": fields, "rows": []}
        if self.chance(0.3):
            stream["unknown_fields"] = "warn"
        main = {"name": "main", "table": f"main{at}", "mode": "upsert", "key": [], "columns": {}}
        shared = self.shared(at, fields) if self.chance(0.7) else None
        if shared is not None:
            stream["rows"].append(shared)
            main["columns"]["shared_id"] = {"parent": "shared"}
        placeholder = self.placeholder(at, key) if self.chance(0.4) else None
        if placeholder is not None:
            stream["rows"].append(placeholder)
            main["columns"]["placeholder_id"] = {"parent": "placeholder", "on_update": "keep"}
        if at > 0 and self.chance(0.7):
            other = self.random.randrange(at)
            nullable = self.chance(0.4)
            fields[f"ref{at}"] = {"type": "text", "nullable": nullable}
            main["columns"]["other_id"] = {"lookup": {"table": f"main{other}", "key": "k", "from": f"ref{at}"}}
            self.pools[f"ref{at}"] = f"key{other}"
        main["columns"]["k"] = {"copy": key}
        main["key"] = ["k"]
        if shared is not None and "if_present" not in shared and self.chance(0.3):
            main["key"] = ["shared_id", "k"]
        for column, operation in self.columns(at, fields):
            main["columns"][column] = operation
        stream["rows"].append(main)
        self.finish(stream)
        return stream

    def columns(self, at, fields):
        """The main row's columns that the record alone tells."""
        result = []
        for field in list(fields):
            if field.startswith(("text", "integer", "real")) and self.chance(0.8):
                operation = {"copy": field}
                if self.chance(0.15):
                    operation["on_update"] = "keep"
                if self.chance(0.15):
                    operation["optional"] = True
                result.append((f"c_{field}", operation))
        if self.chance(0.6):
            result.append(("mapped", {"map": self.random.choice(("text_map", "number_map")), "from": f"word{at}"}))
        if self.chance(0.5):
            result.append(("day", {"date": f"date{at}"}))
        if self.chance(0.5):
            result.append(("fixed", {"constant": self.random.choice(("fixed", 7, 1.5, ""))}))
        if self.chance(0.5):
            result.append(("told", {"template": f"<{{word{at}}}> of {{word{at}:address}} in {{key{at}}}"}))
        return result

    def shared(self, at, fields):
        """A row that several records share."""
        row = {"name": "shared", "table": f"shared{at}", "mode": "ensure", "key": ["label"],
               "columns": {"label": {"copy": f"word{at}"}, "origin": {"copy": f"key{at}", "on_update": "keep"}}}
        if self.chance(0.5):
            row["columns"]["first"] = {"copy": f"text{at}_0"}
        optional = next((field for field in fields if fields[field].get("nullable") and field.startswith("integer")), None)
        if optional is not None and self.chance(0.5):
            row["if_present"] = optional
            row["columns"]["label"] = {"template": f"n{{{optional}}}"}
        elif optional is not None and self.chance(0.2):
            row["columns"]["told"] = {"template": f"<{{{optional}}}>", "on_update": "keep"}
        return row

    def placeholder(self, at, key):
        """A row that somebody may replace by a real one: main's placeholder_id then refers to that."""
        return {"name": "placeholder", "table": f"placeholder{at}", "mode": "upsert", "key": ["note"],
                "found_through": {"table": f"main{at}", "key": "k", "from": key, "column": "placeholder_id"},
                "columns": {"note": {"template": f"placeholder for {{{key}}}"}, "extra": {"copy": f"text{at}_0"}}}

    def finish(self, stream):
        """Say of each field that no column uses why; make the tables."""
        used = set()
        for row in stream["rows"]:
            table = {}
            for column, operation in row["columns"].items():
                kind = "INTEGER"
                if "copy" in operation:
                    used.add(operation["copy"])
                    kind = SQL_TYPES[stream["fields"][operation["copy"]]["type"]]
                elif "map" in operation:
                    used.add(operation["from"])
                    kind = "TEXT" if operation["map"] == "text_map" else "INTEGER"
                elif "date" in operation:
                    used.add(operation["date"])
                    kind = "TEXT"
                elif "template" in operation:
                    used |= {field for field in stream["fields"] if "{" + field + "}" in operation["template"]
                             or "{" + field + ":address}" in operation["template"]}
                    kind = "TEXT"
                elif "constant" in operation:
                    kind = {str: "TEXT", int: "INTEGER", float: "REAL"}[type(operation["constant"])]
                elif "lookup" in operation:
                    used.add(operation["lookup"]["from"])
                if operation.get("optional") and self.chance(0.5):
                    continue
                table[column] = (kind, row["name"] == "main" and column.startswith("c_") and self.chance(0.15))
            self.tables[row["table"]] = table
            if self.chance(0.6):
                self.unique[row["table"]] = row["key"]
            if "if_present" in row:
                used.add(row["if_present"])
        for name, field in stream["fields"].items():
            if name not in used:
                field["ignore"] = "no column needs it"

    def derived(self):
        """Some looked-up table counts those that refer to it."""
        for stream in self.mapping["streams"]:
            main = stream["rows"][-1]
            column = main["columns"].get("other_id")
            if column is not None and "mapped" in main["columns"] and self.chance(0.8):
                table = column["lookup"]["table"]
                if "rate" in self.tables[table]:
                    continue
                values = list(self.mapping["value_maps"][main["columns"]["mapped"]["map"]].values())
                self.tables[table]["rate"] = ("REAL", False)
                self.mapping.setdefault("derived", []).append({
                    "table": table, "column": "rate",
                    "percent": {"children": main["table"], "by": "other_id", "except": {"mapped": self.random.choice(values)}}})

    # ---- the records ----

    def value(self, stream, name):
        field = stream["fields"][name]
        if field.get("nullable") and self.chance(0.3):
            return None
        if name.startswith("word"):
            known = [word for names in self.mapping["value_maps"].values() for word in names]
            return self.random.choice(known)
        if name.startswith("date"):
            return self.random.choice(DATES)
        if name.startswith("ref"):
            return self.random.choice(self.pools[self.pools[name]])
        return self.random.choice({"text": WORDS, "integer": INTEGERS, "real": REALS}[field["type"]])

    def record(self, stream, key):
        name = stream["key"][0]
        return {field: key if field == name else self.value(stream, field) for field in stream["fields"]}

    def records(self, stream, count):
        name = stream["key"][0]
        self.pools[name] = [f"{name}-{i}" for i in range(count)]
        keys = list(self.pools[name])
        if self.chance(0.3):
            keys += self.random.sample(keys, 2)  # twice in the export: the last one counts
        return [self.record(stream, key) for key in keys]

    def revised(self, stream, old, count):
        """Another edition: some records changed, some gone, some new."""
        name = stream["key"][0]
        result = [dict(record) for record in old if not self.chance(0.1)] or [dict(old[0])]
        for record in result:
            if self.chance(0.3):
                field = self.random.choice(list(stream["fields"]))
                if field != name:
                    record[field] = self.value(stream, field)
        for i in range(count // 4):
            self.pools[name].append(f"{name}-new{i}")
            result.append(self.record(stream, self.pools[name][-1]))
        return result

    def spoilt(self, stream, record):
        """A record as JSON text that breaks a rule, or some. The first of a file stays as it is: it tells which stream the file holds."""
        record = dict(record)
        more = ""
        for _ in range(self.random.choice((1, 1, 2, 4))):
            more += self.spoil(stream, record)
        return json.dumps(record, ensure_ascii=self.chance(0.5))[:-1] + more + "}"

    def spoil(self, stream, record):
        """Break a rule, or try to; returns what is to be added to the record's text."""
        name = stream["key"][0]
        field = self.random.choice([other for other in stream["fields"] if other != name])
        kind = stream["fields"][field]["type"]
        fault = self.random.choice(("missing", "unknown", "null", "type", "range", "twice", "unknown twice", "word", "date", "parent"))
        if fault == "missing":
            record.pop(field, None)
        elif fault == "unknown":
            record[self.random.choice(("surplus", "surplus:2", "{field}"))] = "x"
        elif fault == "null":
            record[field] = None
        elif fault == "type":
            record[field] = self.random.choice({"text": (1, True, 1.5, []), "integer": ("1", 1.5, True, {}),
                                                "real": ("1.5", False, [1])}[kind])
        elif fault == "range" and kind == "integer":
            record[field] = 1 << 63
        elif fault == "word":
            record[next(other for other in stream["fields"] if other.startswith("word"))] = self.random.choice(("OK", " ok", "unheard of"))
        elif fault == "date":
            record[next(other for other in stream["fields"] if other.startswith("date"))] = self.random.choice(NOT_DATES)
        elif fault == "parent":
            for other in record:
                if other.startswith("ref"):
                    record[other] = "nobody"
        elif fault == "twice":
            return f', {json.dumps(field)}: {json.dumps(record.get(field))}'
        elif fault == "unknown twice":
            return ', "again": 1, "again": 2'
        return ""

    def files(self, streams):
        """The records of all streams as files, in any order; some streams in two files, each of which keeps its records' order."""
        result = []
        for stream, records in zip(self.mapping["streams"], streams):
            cut = self.random.randrange(1, len(records)) if len(records) > 1 and self.chance(0.3) else len(records)
            for part in (records[:cut], records[cut:]):
                if part:
                    result.append([json.dumps(part[0])] + [self.spoilt(stream, record) if self.chance(0.12) else json.dumps(record)
                                                           for record in part[1:]])
        self.random.shuffle(result)
        return result

# SPDX-License-Identifier: MIT
"""What a mapping makes of records, computed from pvrelay-mapping(5) alone: no line of this is taken from the program, and it reads
the mapping file itself. So a fault in the program's reading of mappings, which its transformer and its validator share, shows here.

A target is a dictionary of tables, a table a list of rows, a row a dictionary of columns; its identity is the dictionary itself, and a
column that refers to another row holds that row. FAULTS are deliberate mistakes: a test plants each and must notice it."""

import copy
import datetime
import json
import re

INT64 = range(-(1 << 63), 1 << 63)

# Mistakes that one could make when reading or applying a mapping; each is a set member of Oracle.faults.
FAULTS = (
    "ensure changes", "keep is changed", "if_present ignored", "map by position", "date not cut", "template raw", "lookup NULL rejects",
    "parent of another record", "unknown field taken", "null taken", "order of files", "first record wins", "found_through ignored",
    "percent of all", "optional required", "address not escaped",
)


class Rejected(Exception):
    """The record makes no row. The argument: all that is wrong with it, a set of (field or None, reason)."""


class Record(dict):
    """A record's fields, and the names of those that stand in it more than once."""
    twice = frozenset()


def parse(text):
    """One record as pvrelay-mapping(5) sees it: numbers keep whether they were written as whole numbers."""

    def collect(pairs):
        record = Record(pairs)
        names = [name for name, _ in pairs]
        record.twice = {name for name in names if names.count(name) > 1}
        return record

    return json.loads(text, object_pairs_hook=collect)


def same(one, other):
    """The same value of the same kind."""
    if isinstance(one, dict) or isinstance(other, dict):
        return one is other
    return one == other and type(one) is type(other)


class Oracle:
    def __init__(self, mapping, tables, faults=()):
        """mapping: the parsed file. tables: the target's columns by table. faults: of FAULTS, planted."""
        self.mapping = mapping
        self.columns = tables
        self.rows = {table: [] for table in tables}
        self.faults = set(faults)
        self.dealt = []  # rows that the run in hand dealt with
        self.latest = {}  # the row last made, by stream and name

    # ---- a run ----

    def stream_of(self, record):
        for stream in self.mapping["streams"]:
            if all(field in record for field in stream["recognise"]):
                return stream
        raise AssertionError("no stream fits")

    def run(self, files):
        """Replay files, each a list of records of one stream. Returns {(file, ordinal from 0): problems} of the rejected records."""
        rejects = {}
        self.dealt = []
        order = sorted(range(len(files)), key=lambda i: self.mapping["streams"].index(self.stream_of(files[i][0])))
        if "order of files" in self.faults:
            order = list(range(len(files)))
        for at in order:
            stream = self.stream_of(files[at][0])
            for ordinal, record in enumerate(files[at]):
                before = {table: [(row, dict(row)) for row in rows] for table, rows in self.rows.items()}
                try:
                    self.record(stream, record)
                except Rejected as rejected:
                    rejects[at, ordinal] = rejected.args[0]
                    for table, rows in before.items():
                        self.rows[table] = [row for row, _ in rows]
                        for row, content in rows:
                            row.clear()
                            row.update(content)
        self.derive()
        return rejects

    # ---- a record ----

    def check(self, stream, record):
        """What is wrong with the record's fields as such: a set of (field, reason), one a field of the stream."""
        problems = {(name, "duplicate_key") for name in record.twice}
        mapped = {operation["from"] for row in stream["rows"] for operation in row["columns"].values() if "map" in operation}
        for name, field in stream["fields"].items():
            reason = "missing_field" if name not in record else self.wrong(field, record[name], name in mapped)
            if reason is not None and name not in record.twice:
                problems.add((name, reason))
        if stream.get("unknown_fields", "reject") == "reject" and "unknown field taken" not in self.faults:
            problems |= {(name, "unknown_field") for name in set(record) - set(stream["fields"])}
        return problems

    def wrong(self, field, value, mapped):
        """What is wrong with a field's value, or None."""
        if value is None:
            return None if field.get("nullable", False) or "null taken" in self.faults else "null_value"
        if field["type"] == "text" and not isinstance(value, str):
            return "unknown_value" if mapped else "wrong_type"
        if field["type"] == "integer" and (isinstance(value, bool) or not isinstance(value, int)):
            return "wrong_type"
        if field["type"] == "integer" and value not in INT64:
            return "integer_range"
        if field["type"] == "real" and (isinstance(value, bool) or not isinstance(value, (int, float))):
            return "wrong_type"
        return None

    def refused(self, record, operation, bad):
        """What is wrong with the fields, but the bad ones, for this operation: pairs of field and reason."""
        if "map" in operation:
            if operation["from"] not in bad and record[operation["from"]] not in self.mapping["value_maps"][operation["map"]]:
                yield operation["from"], "unknown_value"
        elif "date" in operation:
            if operation["date"] not in bad and not self.is_date(record[operation["date"]]):
                yield operation["date"], "null_value" if record[operation["date"]] is None else "bad_date"
        elif "template" in operation:
            for field in re.findall(r"\{([^{}:]+)(?::address)?\}", operation["template"]):
                if field not in bad and record[field] is None:
                    yield field, "null_value"

    def value(self, stream, record, operation):
        """What a column becomes, from the record alone."""
        if "constant" in operation:
            return operation["constant"]
        if "copy" in operation:
            return self.field(stream, record, operation["copy"])
        if "map" in operation:
            known = self.mapping["value_maps"][operation["map"]]
            value = record[operation["from"]]
            if "map by position" in self.faults:
                return list(known.values())[(list(known).index(value) + 1) % len(known)]
            return known[value]
        if "date" in operation:
            return self.date(record[operation["date"]])
        if "template" in operation:
            return re.sub(r"\{([^{}:]+)(:address)?\}", lambda match: self.printed(record[match[1]], match[2] is not None),
                          operation["template"]) if "template raw" not in self.faults else operation["template"]
        raise AssertionError(f"an operation the manual does not know: {operation}")

    @staticmethod
    def field(stream, record, name):
        value = record[name]
        return float(value) if stream["fields"][name]["type"] == "real" and value is not None else value

    def date(self, value):
        return value if "date not cut" in self.faults else value[:10]

    @staticmethod
    def is_date(value):
        try:
            return re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value[:10]) is not None and datetime.date(*map(int, value[:10].split("-")))
        except (TypeError, ValueError):
            return False

    def printed(self, value, address):
        text = str(value)
        if not address or "address not escaped" in self.faults:
            return text
        return "".join(chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in ".-_") else f"={byte:02X}"
                       for byte in text.encode())

    def record(self, stream, record):
        made = {}
        planned = []
        # What the record alone tells comes first: a record that cannot be taken over makes no row at all, and all problems are told.
        problems = self.check(stream, record)
        bad = {field for field, _ in problems}
        present = [spec for spec in stream["rows"] if "if_present ignored" in self.faults or spec.get("if_present") is None
                   or spec["if_present"] in bad or record[spec["if_present"]] is not None]
        for spec in present:
            for operation in spec["columns"].values():
                problems |= set(self.refused(record, operation, bad))
        if problems:
            raise Rejected(problems)
        for spec in stream["rows"]:
            values = None
            if spec in present:
                values = {column: self.value(stream, record, operation) for column, operation in spec["columns"].items()
                          if "parent" not in operation and "lookup" not in operation and self.has(spec["table"], column)}
            planned.append((spec, values))
        for spec, values in planned:
            if values is None:
                made[spec["name"]] = None
                continue
            for column, operation in spec["columns"].items():
                if "parent" in operation:
                    values[column] = made[operation["parent"]]
                    if values[column] is None and "parent of another record" in self.faults:
                        values[column] = self.latest.get((stream["name"], operation["parent"]))
                elif "lookup" in operation:
                    values[column] = self.look_up(record, operation["lookup"])
            made[spec["name"]] = self.latest[stream["name"], spec["name"]] = self.row(spec, record, values)

    def has(self, table, column):
        return column in self.columns[table] or "optional required" in self.faults

    def look_up(self, record, lookup):
        value = record[lookup["from"]]
        if value is None and "lookup NULL rejects" not in self.faults:
            return None
        for row in self.rows[lookup["table"]]:
            if same(row[lookup["key"]], value):
                return row
        raise Rejected({(lookup["from"], "unknown_parent")})

    # ---- a row ----

    def row(self, spec, record, values):
        rows = self.rows[spec["table"]]
        found = self.through(spec, record, values)
        if found is not None:
            own = [column for column in spec["key"] if "parent" not in spec["columns"][column]]
            if not all(same(found[column], values[column]) for column in own):
                return found  # a real one in the place of ours
        else:
            found = next((row for row in rows if all(same(row[column], values[column]) for column in spec["key"])), None)
        if found is None:
            self.limits(spec, values)
            found = {column: None for column in self.columns[spec["table"]]}
            found.update(values)
            rows.append(found)
        elif spec["mode"] == "upsert" and "first record wins" not in self.faults or "ensure changes" in self.faults:
            change = {column: value for column, value in values.items()
                      if spec["columns"][column].get("on_update") != "keep" or "keep is changed" in self.faults}
            self.limits(spec, change)
            found.update(change)
        self.dealt.append((spec["table"], found))
        return found

    def limits(self, spec, values):
        """The target's own constraints: NOT NULL."""
        for column, value in values.items():
            if value is None and self.columns[spec["table"]][column]:
                raise Rejected({(None, "constraint")})

    def through(self, spec, record, values):
        way = spec.get("found_through")
        if way is None or "found_through ignored" in self.faults:
            return None
        for row in self.rows[way["table"]]:
            if same(row[way["key"]], record[way["from"]]):
                return row[way["column"]]
        return None

    # ---- derived columns ----

    def derive(self):
        for derived in self.mapping.get("derived", []):
            way = derived["percent"]
            dealt = [row for table, row in self.dealt if table == derived["table"]]
            dealt += [row[way["by"]] for table, row in self.dealt if table == way["children"] and row[way["by"]] is not None]
            for row in dealt:
                if not any(row is other for other in self.rows[derived["table"]]):
                    continue
                children = [child for child in self.rows[way["children"]] if child[way["by"]] is row]
                counted = [child for child in children
                           if "percent of all" in self.faults
                           or not all(same(child[column], value) for column, value in way["except"].items())]
                row[derived["column"]] = 100.0 * len(counted) / len(children) if children else 0.0


def identity(table, row, keys):
    """A row, free of ids: what it refers to is told by that row's own identity. keys: {table: {column: table referred to}}."""
    return (table,) + tuple((column, identity(keys[table][column], value, keys) if column in keys[table] and value is not None else value)
                            for column, value in row.items())


def references(mapping):
    """{table: {column: the table it refers to}}, from the mapping."""
    result = {}
    for stream in mapping["streams"]:
        tables = {spec["name"]: spec["table"] for spec in stream["rows"]}
        for spec in stream["rows"]:
            columns = result.setdefault(spec["table"], {})
            for column, operation in spec["columns"].items():
                if "parent" in operation:
                    columns[column] = tables[operation["parent"]]
                elif "lookup" in operation:
                    columns[column] = operation["lookup"]["table"]
                    result.setdefault(operation["lookup"]["table"], {})
    return result

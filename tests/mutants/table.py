# SPDX-License-Identifier: MIT
"""The faults: what is changed in the source, on which data it works, and what the proof must say of it.

world   fresh: into an empty target; edited: the second edition over the first, which the faultless programs brought in;
        rejects: fresh, with records to reject; shared: into a target that has a client, a project and a technician of its own; changed: the same edition again, after
        others have changed modules
named   every failure must be one of these (kind, table, column), and each of these must be there
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Mutant:
    name: str
    file: str
    find: str
    replace: str
    named: frozenset
    world: str = "fresh"
    options: tuple = ()


def place(text):
    """"kind table.column", either of them perhaps empty."""
    kind, _, where = text.partition(" ")
    table, _, column = where.partition(".")
    return kind, table, column


def mutant(name, file, find, replace, *named, **more):
    return Mutant(name, file, find, replace, frozenset(map(place, named)), **more)


TRANSFORM = "transformer/transform.c"
APPLY = "writer/target_apply.c"
FOREIGN = "writer/target_foreign.c"
SQL = "writer/target_sql.c"
TARGET = "writer/target_sqlite.c"
ROWS = "writer/target_rows.c"
GROUP = "writer/target_group.c"
VALIDATOR = "validator/validator.c"
PROOF = "validator/proof.c"

# What the second edition says of rows that are there.
EDITED = (
    "mismatch el_audits.configuration_json", "mismatch el_audits.plan_file_url", "mismatch el_audits.project_name",
    "mismatch el_audits.status", "mismatch el_audits.updated_at", "mismatch el_modules.comment",
    "mismatch el_modules.defect_type", "mismatch el_modules.physical_col", "mismatch el_modules.physical_row",
    "mismatch el_modules.severity_level", "mismatch el_modules.technician_id", "mismatch el_modules.updated_at",
    "whole el_modules.defect_type", "whole el_modules.severity_level",
)

MUTANTS = [
    mutant("wrong map entry", TRANSFORM,
           "    *ret_value = *to;",
           "    *ret_value = to == &column->map->entries[0].to ? column->map->entries[1].to : *to;",
           "mismatch el_modules.defect_type", "mismatch el_modules.severity_level", "mismatch interventions.status",
           "whole el_modules.defect_type", "whole el_modules.severity_level"),
    mutant("dropped column", TRANSFORM,
           "        value = &self->values[column->field];",
           "        value = &self->values[column->field];\n"
           "        made = pr_value_null();\n"
           "        if (strcmp(column->name, \"comment\") == 0)\n"
           "            value = &made;",
           "mismatch el_modules.comment"),
    mutant("NULL for empty", TRANSFORM,
           "        self->values[index] = pr_value_text(json->text, json->text_size);",
           "        self->values[index] = json->text_size == 0 ? pr_value_null() : pr_value_text(json->text, json->text_size);",
           "mismatch el_audits.configuration_json", "mismatch el_audits.plan_file_url", "mismatch el_modules.comment",
           "mismatch el_modules.technician_id", "missing users."),
    mutant("trimmed text", TRANSFORM,
           "        self->values[index] = pr_value_text(json->text, json->text_size);",
           "        self->values[index] = pr_value_text(json->text, json->text_size);\n"
           "        while (self->values[index].text.size > 0 && json->text[self->values[index].text.size - 1] == ' ')\n"
           "            self->values[index].text.size--;",
           "mismatch clients.name", "mismatch el_audits.client_name", "mismatch el_audits.location", "mismatch el_audits.plan_file_url",
           "mismatch el_audits.project_name", "mismatch el_modules.comment", "mismatch projects.name", "mismatch projects.site_address"),
    mutant("text ends at U+0000", TRANSFORM,
           "        self->values[index] = pr_value_text(json->text, json->text_size);",
           "        self->values[index] = pr_value_text(json->text, strnlen(json->text, json->text_size));",
           "mismatch el_modules.comment"),
    mutant("integer truncated", TRANSFORM,
           "    self->values[index] = pr_value_integer(json->integer);",
           "    self->values[index] = pr_value_integer((int32_t)json->integer);",
           "mismatch el_modules.physical_col", "mismatch el_modules.physical_row"),
    mutant("wrong date part", TRANSFORM,
           "    *ret_value = pr_value_text(from->text.data, 10);",
           "    *ret_value = pr_value_text(from->text.data, 7);",
           "mismatch interventions.intervention_date"),
    mutant("address encoded backwards", TRANSFORM,
           "{'=', digits[c >> 4], digits[c & 15]}",
           "{'=', digits[c & 15], digits[c >> 4]}",
           "mismatch users.email"),
    mutant("null texts taken for NULL", TRANSFORM,
           "        if (null_text) {\n            self->values[index] = pr_value_null();",
           "        if (null_text || index >= 0) {\n            self->values[index] = pr_value_null();",
           "mismatch el_audits.plan_file_url", "mismatch el_modules.comment"),
    mutant("technicians never made", TRANSFORM,
           "self->values[row->if_present].kind != PR_NULL;",
           "(self->values[row->if_present].kind != PR_NULL && false);",
           "mismatch el_modules.technician_id", "missing users."),
    mutant("off by one in a batch", TRANSFORM,
           "    for (size_t i = 0; i < count; i++) {\n"
           "        const char *record = bytes + slices[i].offset;",
           "    for (size_t n = 0; n < count; n++) {\n"
           "        size_t i = n > 0 && n + 1 == count ? n - 1 : n;\n"
           "        const char *record = bytes + slices[i].offset;",
           "mismatch pvrelay_reject.offset", "missing clients.", "missing el_audits.", "missing el_modules.", "missing interventions.",
           "missing projects.", "whole el_modules.defect_type", "whole el_modules.severity_level"),
    mutant("created_at from updated_at", TRANSFORM,
           "        value = &self->values[column->field];",
           "        value = &self->values[column->field + (strcmp(column->name, \"created_at\") == 0)];",
           "mismatch clients.created_at", "mismatch el_audits.created_at", "mismatch el_modules.created_at",
           "mismatch interventions.created_at", "mismatch projects.created_at", "mismatch users.created_at"),
    mutant("unknown value guessed", TRANSFORM,
           "    if (to == NULL) {",
           "    if (to == NULL) {\n"
           "        to = &column->map->entries[0].to;\n"
           "    }\n"
           "    if (to == NULL) {",
           "mismatch el_modules.defect_type", "mismatch el_modules.severity_level", "whole el_modules.defect_type",
           "whole el_modules.severity_level",
           world="rejects"),
    mutant("wrong type passed on", TRANSFORM,
           "    if (json->kind != PR_JSON_INTEGER) {",
           "    if (json->kind == PR_JSON_TEXT) {\n"
           "        self->values[index] = pr_value_integer(2);\n"
           "        return true;\n"
           "    }\n"
           "    if (json->kind != PR_JSON_INTEGER) {",
           "mismatch .",
           world="rejects"),
    mutant("swapped parents", APPLY,
           "            const pr_target_row_t *parent = &way->stream->rows[column->parent];",
           "            const pr_target_row_t *parent =\n"
           "                &way->stream->rows[column->parent == 0 && way->stream->stream->rows_count > 2 ? 1 : column->parent];",
           "mismatch interventions.technician_id",
           world="edited"),
    mutant("wrong lookup", APPLY,
           "        id = sqlite3_column_int64(lookup->select, 0);",
           "        static int64_t first;\n"
           "        id = first = first != 0 ? first : sqlite3_column_int64(lookup->select, 0);",
           "mismatch el_modules.audit_token", "mismatch el_modules.comment", "mismatch el_modules.created_at",
           "mismatch el_modules.defect_type", "mismatch el_modules.physical_col", "mismatch el_modules.physical_row",
           "mismatch el_modules.severity_level", "mismatch el_modules.technician_id", "missing el_modules.",
           "whole el_modules.defect_type", "whole el_modules.severity_level"),
    mutant("not updating", APPLY,
           "    return differs ? s_differing(way, row, compared, row->change, &row->update) : result;",
           "    return differs && row->id < 0 ? s_differing(way, row, compared, row->change, &row->update) : result;",
           *EDITED,
           world="edited"),
    mutant("a NULL is like anything", APPLY,
           "        return type == SQLITE_NULL;",
           "        return true;",
           "mismatch el_modules.comment", "mismatch el_modules.physical_row", "mismatch el_modules.technician_id",
           world="edited"),
    mutant("texts compared by length", APPLY,
           "        return value->text.size == 0 || memcmp(sqlite3_value_blob(stored), value->text.data, value->text.size) == 0;",
           "        return value->text.size == 0 || sqlite3_value_blob(stored) != NULL;",
           "mismatch el_modules.updated_at", "mismatch interventions.updated_at",
           world="edited"),
    mutant("cached by half the key", APPLY,
           "        ret_key[i] = &row->values[row->key.at[i]];",
           "        ret_key[i] = &row->values[row->key.at[0]];",
           "mismatch projects.name"),
    mutant("cached id used after its record was taken back", APPLY,
           "    pr_id_cache_rewind(target->cache, mark);",
           "    (void)mark;",
           "mismatch users.email", "mismatch users.name",
           world="rejects"),
    mutant("rejected record half written", APPLY,
           "    if (!stays)\n"
           "        result = pr_target_do(way->target, PR_SQL_ROLLBACK_TO, way->err, \"\");",
           "    if (!stays && way->row > 99)\n"
           "        result = pr_target_do(way->target, PR_SQL_ROLLBACK_TO, way->err, \"\");",
           "whole users.",
           world="rejects"),
    mutant("nothing touched", APPLY,
           "    if (!pr_id_set_add(target->touched, (unsigned)d, id))",
           "    if (d < 1000)",
           "whole el_audits.completion_rate"),
    mutant("column left out of updates", ROWS,
           "        } else if (!column->keep && row->spec->mode == PR_MODE_UPSERT) {",
           "        } else if (!column->keep && row->spec->mode == PR_MODE_UPSERT && strcmp(column->name, \"comment\") != 0) {",
           "mismatch el_modules.comment",
           world="edited"),
    mutant("shared rows of others overwritten", ROWS,
           "        } else if (!column->keep && row->spec->mode == PR_MODE_UPSERT) {",
           "        } else if (!column->keep) {",
           "whole pvrelay_checkpoint_rows.updated", "whole pvrelay_foreign_change.outcome",
           world="shared", options=("--on-foreign-change", "overwrite")),
    mutant("records rejected for shared rows of others", ROWS,
           "        } else if (!column->keep && row->spec->mode == PR_MODE_UPSERT) {",
           "        } else if (!column->keep) {",
           "whole pvrelay_foreign_change.outcome",
           world="shared"),
    mutant("a row of ours kept as others'", FOREIGN,
           "    if (result < 0 || state == PR_ROW_OURS)",
           "    if (result < 0)",
           *EDITED, "mismatch interventions.project_id", "mismatch interventions.status", "mismatch interventions.updated_at",
           world="edited", options=("--on-foreign-change", "keep")),
    mutant("a reject for others' change without its row", FOREIGN,
           "        return s_add(target, row, \"rejected\", ordinal, NULL, err); /* the reject tells the rest */",
           "        return 0;",
           "whole pvrelay_foreign_change.outcome",
           world="changed"),
    mutant("a kept row not noted", FOREIGN,
           "        result = s_add(target, row, \"kept\", ordinal, row->foreign.text, err);",
           "        result = 0;",
           "mismatch el_modules.comment",
           world="changed", options=("--on-foreign-change", "keep")),
    mutant("rows of others never told from ours, and kept", FOREIGN,
           "    if (result < 0 || state == PR_ROW_OURS)\n        return result < 0 ? result : PR_ROW_UPDATED;",
           "    if (result < 0 || state != PR_ROW_OURS)\n        return result < 0 ? result : PR_ROW_SAME;",
           "mismatch el_modules.comment",
           world="changed"),
    mutant("derived column not set", "writer/target_run.c",
           "    for (size_t i = 0; result == 0 && i < target->mapping->derived_count; i++) {",
           "    for (size_t i = 1; result == 0 && i < target->mapping->derived_count; i++) {",
           "whole el_audits.completion_rate"),
    mutant("completion_rate of the others", SQL,
           "c.\\\"%w\\\" IS NOT ?2) / count(*)",
           "c.\\\"%w\\\" IS ?2) / count(*)",
           "whole el_audits.completion_rate"),
    mutant("created_at overwritten", SQL,
           "        sqlite3_str_appendf(text, \"%s?%d\", i == 0 ? \"\" : \", \", (int)i + 1);",
           "        sqlite3_str_appendf(text, strcmp(spec->columns[columns[i]].name, \"created_at\") == 0 ? \"%sdatetime('now', substr(?%d, 1, 0))\" : \"%s?%d\",\n"
           "                            i == 0 ? \"\" : \", \", (int)i + 1);",
           "mismatch clients.created_at", "mismatch el_audits.created_at", "mismatch el_modules.created_at",
           "mismatch interventions.created_at", "mismatch projects.created_at", "mismatch users.created_at"),
    mutant("keys compared without case", SQL,
           "\"%s\\\"%w\\\" IS ?%d\", i == 0 ? \" WHERE \"",
           "\"%s\\\"%w\\\" COLLATE NOCASE IS ?%d\", i == 0 ? \" WHERE \"",
           "mismatch users.email", "mismatch users.name"),
    mutant("an insert counted twice", TARGET,
           "        counts->inserted++;",
           "        counts->inserted += 2;",
           "whole pvrelay_checkpoint.inserted + updated + unchanged + rejected"),
    mutant("unchanged records not counted", TARGET,
           "        counts->unchanged++;",
           "        counts->unchanged += 0;",
           "whole pvrelay_checkpoint.inserted + updated + unchanged + rejected",
           world="edited"),
    mutant("records skipped", TARGET,
           "    target->batch.context = context;",
           "    target->batch.context = context;\n"
           "    if (ordinal % 50 == 49) {\n"
           "        target->batch.counts.unchanged++;\n"
           "        return 0;\n"
           "    }",
           "missing el_modules.", "whole el_modules.defect_type", "whole el_modules.severity_level"),
    mutant("reject swallowed", TARGET,
           "    const pr_target_batch_t *batch = &target->batch;\n"
           "    target->batch.counts.rejected++;",
           "    const pr_target_batch_t *batch = &target->batch;\n"
           "    if (reason != PR_R_NONE) {\n"
           "        target->batch.counts.unchanged++;\n"
           "        return 0;\n"
           "    }",
           "mismatch .", "missing el_modules.", "missing users.", "whole el_modules.defect_type", "whole el_modules.severity_level",
           world="rejects"),
    mutant("reject counted but not kept", TARGET,
           "    const pr_target_batch_t *batch = &target->batch;\n"
           "    target->batch.counts.rejected++;",
           "    const pr_target_batch_t *batch = &target->batch;\n"
           "    target->batch.counts.rejected++;\n"
           "    if (reason == PR_R_UNKNOWN_VALUE)\n"
           "        return 0;",
           "mismatch pvrelay_checkpoint.rejected", "missing el_modules.", "whole el_modules.defect_type",
           "whole el_modules.severity_level", "whole pvrelay_checkpoint.rejected",
           world="rejects"),
    mutant("reject's bytes cut", TARGET,
           "        sqlite3_bind_blob64(statement, at, value->text.data, value->text.size, SQLITE_STATIC);",
           "        sqlite3_bind_blob64(statement, at, value->text.data, value->text.size - 1, SQLITE_STATIC);",
           "mismatch .", "mismatch pvrelay_checkpoint.records", "mismatch pvrelay_reject.length", "mismatch pvrelay_reject.offset",
           world="rejects"),
    mutant("reject's place off by one", TARGET,
           "(int64_t)(batch->range.begin + record->offset), (int64_t)record->length",
           "(int64_t)(batch->range.begin + record->offset + 1), (int64_t)record->length",
           "mismatch .", "mismatch pvrelay_reject.offset", "missing el_modules.", "missing users.", "whole el_modules.defect_type",
           "whole el_modules.severity_level",
           world="rejects"),
    mutant("reject's ordinal off by one", TARGET,
           "(int64_t)batch->range.source, batch->stream, (int64_t)ordinal,",
           "(int64_t)batch->range.source, batch->stream, (int64_t)ordinal + 1,",
           "mismatch pvrelay_reject.ordinal", "whole users.",
           world="rejects"),
    mutant("a row that no record makes", TARGET,
           "    target->batch.context = context;",
           "    target->batch.context = context;\n"
           "    if (ordinal == 60)\n"
           "            sqlite3_exec(target->db, \"INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, string_number,\"\n"
           "                         \" position_in_string) SELECT el_audit_id, audit_token, module_identifier || '~', 1, 1 FROM el_modules\"\n"
           "                         \" ORDER BY id DESC LIMIT 1\", NULL, NULL, NULL);",
           "extra el_modules.",
           options=("--extra", "fail")),
    mutant("the last of a group left out", GROUP,
           "    group->table.count = group->count;",
           "    if (insert && group->count > 4) {\n"
           "        group->count--;\n"
           "        counts->inserted++;\n"
           "    }\n"
           "    group->table.count = group->count;",
           "missing el_modules.", "whole el_modules.defect_type", "whole el_modules.severity_level"),
    mutant("a group's values one row late", GROUP,
           "        memcpy(given, record->rows[i].values, columns * sizeof *given);",
           "        memcpy(given, record->rows[i].values, columns * sizeof *given);\n"
           "        if (group->count > 0 && i == 0 && record->rows_count == 1)\n"
           "            group->row->values[7] = group->values[(group->count - 1) * group->table.width + 7];",
           "mismatch el_modules.comment"),
    mutant("what differs taken for the same", GROUP,
           "            !pr_target_row_differs(select, 2, &group->values[at * group->table.width], &row->grouped.compare);",
           "            true;",
           "mismatch el_modules.comment", "mismatch el_modules.defect_type", "mismatch el_modules.physical_col",
           "mismatch el_modules.physical_row", "mismatch el_modules.severity_level", "mismatch el_modules.technician_id",
           "mismatch el_modules.updated_at", "missing el_modules.", "whole el_modules.defect_type", "whole el_modules.severity_level",
           world="edited"),
    # A validator that does not do its work: no answer of its is believed, and the run does not end as proved.
    mutant("says proved, and reads nothing", VALIDATOR,
           "        self, pr_proof_commit(self->proof, commit->checkpoint, range, commit->rejected, self->list, &read, err), err);",
           "        self, 0, err);\n"
           "    memset(&read, 0, sizeof read);\n"
           "    read.rows = commit->count;",
           "mismatch pvrelay_checkpoint.validated"),
    mutant("passes over every other record", PROOF,
           "    int result = s_compare(walk, values, false, err);\n    if (result != 0)",
           "    int result = walk->records % 2 == 0 ? 0 : s_compare(walk, values, false, err);\n"
           "    if (walk->records % 2 == 0)\n"
           "        return 0;\n"
           "    if (result != 0)",
           "mismatch pvrelay_checkpoint.validated"),
    mutant("does not look for the rows", PROOF,
           "    int result = s_compare(walk, values, false, err);\n    if (result != 0)",
           "    int result = 0;\n"
           "    if (result != 0)",
           "mismatch pvrelay_checkpoint.validated"),
    mutant("tallies nothing", PROOF,
           "    if (opened->tally_by < 0)\n        return;",
           "    return;",
           "mismatch pvrelay_checkpoint.validated"),
    mutant("leaves out the proof of the whole", VALIDATOR,
           "    int result = proofs[part](self->proof, self->list, err);",
           "    (void)proofs;\n"
           "    int result = 0;",
           "whole pvrelay_checkpoint.validated"),
]

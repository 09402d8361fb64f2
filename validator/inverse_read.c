/* SPDX-License-Identifier: MIT */
/* Stored rows, by id, by natural key, in order; looked-up ids; who made a row. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/alloc.h"
#include "validator/inverse_state.h"

enum { S_BACKOFF_MAX = 63 };

static void s_slot_fill(pr_inverse_row_t *row, pr_inverse_slot_t *slot) {
    size_t needed = 0;
    for (size_t i = 0; i < row->cells_count; i++) {
        pr_database_column(row->by_id, (int)i + 1, &slot->cells[i]);
        if (slot->cells[i].value.kind == PR_TEXT)
            needed += slot->cells[i].value.text.size;
    }
    if (needed > slot->capacity) {
        slot->text = pr_xrealloc(slot->text, needed);
        slot->capacity = needed;
    }
    size_t at = 0;
    for (size_t i = 0; i < row->cells_count; i++) {
        pr_value_t *value = &slot->cells[i].value;
        if (value->kind != PR_TEXT || value->text.size == 0)
            continue;
        memcpy(slot->text + at, value->text.data, value->text.size);
        value->text.data = slot->text + at;
        at += value->text.size;
    }
}

int pr_inverse_read_by_id(pr_inverse_t *inverse, pr_inverse_row_t *row, int64_t id, pr_error_t *err) {
    pr_inverse_slot_t *slot = &row->slots[(uint64_t)id % PR_INVERSE_SLOTS];
    if (slot->generation != inverse->generation || slot->id != id) {
        sqlite3_bind_int64(row->by_id, 1, id);
        int found = pr_database_step(inverse->db, inverse->path, row->by_id, err);
        if (found <= 0)
            return found;
        s_slot_fill(row, slot);
        slot->generation = inverse->generation;
        slot->id = id;
        sqlite3_reset(row->by_id);
    }
    row->cells = slot->cells;
    row->id = id;
    return 0;
}

static bool s_lookup_is(const pr_inverse_lookup_t *slot, const pr_value_t *key) {
    return pr_value_equal(&slot->key, key);
}

static void s_lookup_keep(pr_inverse_lookup_t *slot, uint64_t generation, const pr_value_t *key, int64_t id) {
    if (key->kind == PR_TEXT && key->text.size > slot->text_size) {
        slot->text = pr_xrealloc(slot->text, key->text.size);
        slot->text_size = key->text.size;
    }
    slot->key = *key;
    if (key->kind == PR_TEXT) {
        if (key->text.size > 0)
            memcpy(slot->text, key->text.data, key->text.size);
        slot->key.text.data = key->text.size > 0 ? slot->text : "";
    }
    slot->generation = generation;
    slot->id = id;
}

int pr_inverse_look_up(pr_inverse_t *inverse, pr_inverse_column_t *column, pr_error_t *err) {
    if (column->looked_up)
        return 0;
    column->looked_up = true;
    column->lookup_found = false;
    const pr_value_t *key = &inverse->record->values[column->column->field];
    if (key->kind == PR_NULL)
        return 0;
    uint64_t hash = key->kind == PR_TEXT ? XXH3_64bits(key->text.data, key->text.size) : (uint64_t)key->integer;
    pr_inverse_lookup_t *slot = &column->lookups[hash % PR_INVERSE_SLOTS];
    if (slot->generation != inverse->generation || !s_lookup_is(slot, key)) {
        pr_database_bind(column->lookup, 1, key);
        int found = pr_database_step(inverse->db, inverse->path, column->lookup, err);
        if (found <= 0)
            return found;
        s_lookup_keep(slot, inverse->generation, key, sqlite3_column_int64(column->lookup, 0));
        sqlite3_reset(column->lookup);
    }
    column->lookup_found = true;
    column->lookup_id = slot->id;
    return 0;
}

static void s_use_current(pr_inverse_row_t *row, sqlite3_stmt *statement) {
    row->id = sqlite3_column_int64(statement, 0);
    for (size_t i = 0; i < row->cells_count; i++)
        pr_database_column(statement, (int)i + 1, &row->key_cells[i]);
    row->cells = row->key_cells;
}

/* The value a key column must have. Returns 1, 0 if there can be none, <0. */
static int s_key_value(pr_inverse_t *inverse, pr_inverse_column_t *column, pr_value_t *ret_value, pr_error_t *err) {
    if (column->column->op == PR_OP_LOOKUP) {
        int result = pr_inverse_look_up(inverse, column, err);
        if (result != 0 || !column->lookup_found)
            return result;
        *ret_value = pr_value_integer(column->lookup_id);
        return 1;
    }
    if (column->column->op == PR_OP_PARENT) {
        const pr_inverse_row_t *parent = &inverse->rows[column->column->parent];
        *ret_value = parent->state == PR_STANDS_NOT_MADE ? pr_value_null() : pr_value_integer(parent->id);
        return parent->state != PR_STANDS_MISSING;
    }
    return pr_relation_image(column->column, inverse->record->values, &column->scratch, ret_value);
}

/* Bind the natural key. Returns 1, 0 if there can be none, <0. */
static int s_bind_key(pr_inverse_t *inverse, pr_inverse_row_t *row, sqlite3_stmt *statement, pr_error_t *err) {
    int complete = 1;
    for (size_t i = 0; i < row->spec->columns_count; i++) {
        pr_inverse_column_t *column = &row->columns[i];
        if (!column->column->key || column->cell < 0)
            continue;
        pr_value_t value;
        int has = s_key_value(inverse, column, &value, err);
        if (has < 0)
            return has;
        if (has > 0)
            pr_database_bind(statement, (int)i + 1, &value);
        complete &= has;
    }
    return complete;
}

int pr_inverse_read_by_key(pr_inverse_t *inverse, pr_inverse_row_t *row, pr_error_t *err) {
    row->asked = true;
    sqlite3_reset(row->by_key);
    int complete = s_bind_key(inverse, row, row->by_key, err);
    if (complete <= 0)
        return complete;
    int found = pr_database_step(inverse->db, inverse->path, row->by_key, err);
    if (found <= 0)
        return found;
    s_use_current(row, row->by_key);
    row->key_ours = true;
    return 0;
}

int pr_inverse_read_second(pr_inverse_t *inverse, pr_inverse_row_t *row, int64_t *ret_id, pr_error_t *err) {
    int complete = s_bind_key(inverse, row, row->second, err);
    if (complete <= 0)
        return complete;
    sqlite3_bind_int64(row->second, (int)row->spec->columns_count + 1, row->id);
    int found = pr_database_step(inverse->db, inverse->path, row->second, err);
    if (found > 0) {
        *ret_id = sqlite3_column_int64(row->second, 0);
        sqlite3_reset(row->second);
    }
    return found;
}

/* --- Who made a row --- */

static int s_read_maker(pr_inverse_t *inverse, const pr_inverse_row_t *row, int64_t id, pr_inverse_made_slot_t *slot,
                        pr_error_t *err) {
    sqlite3_bind_text(inverse->maker, 1, row->spec->table, -1, SQLITE_STATIC);
    sqlite3_bind_int64(inverse->maker, 2, id);
    int found = pr_database_step(inverse->db, inverse->path, inverse->maker, err);
    if (found < 0)
        return found;
    *slot = (pr_inverse_made_slot_t){.generation = inverse->generation, .id = id, .made = found > 0};
    if (found > 0) {
        slot->run = sqlite3_column_int64(inverse->maker, 0);
        slot->source = (uint32_t)sqlite3_column_int64(inverse->maker, 1);
        slot->ordinal = (uint64_t)sqlite3_column_int64(inverse->maker, 2);
        slot->of_stream = sqlite3_column_int(inverse->maker, 3) != 0;
        sqlite3_reset(inverse->maker);
    }
    return 0;
}

/* Is a run's source the one that the record at hand is of? */
static bool s_is_our_source(const pr_inverse_t *inverse, const pr_inverse_made_slot_t *slot) {
    const pr_inverse_made_t *made = inverse->made;
    if (made->run != 0)
        return slot->source == inverse->record->source;
    for (size_t i = 0; i < made->origins_count; i++)
        if (made->origins[i].run == slot->run && made->origins[i].source == slot->source &&
            made->origins[i].ours == inverse->record->source)
            return true;
    return false;
}

int pr_inverse_maker(pr_inverse_t *inverse, pr_inverse_row_t *row, int64_t id, pr_inverse_maker_t *ret_maker,
                     pr_error_t *err) {
    *ret_maker = PR_MAKER_NOBODY;
    if (inverse->maker == NULL || !row->noted)
        return 0;
    pr_inverse_made_slot_t *slot = &row->made_slots[(uint64_t)id % PR_INVERSE_SLOTS];
    if (slot->generation != inverse->generation || slot->id != id) {
        int result = s_read_maker(inverse, row, id, slot, err);
        if (result < 0)
            return result;
    }
    if (!slot->made || (inverse->made->run != 0 && slot->run != inverse->made->run))
        return 0;
    if (slot->ordinal == inverse->record->ordinal && slot->of_stream && s_is_our_source(inverse, slot))
        *ret_maker = PR_MAKER_THIS;
    else
        *ret_maker = slot->of_stream ? PR_MAKER_OTHER : PR_MAKER_ELSEWHERE;
    return 0;
}

/* --- Rows in order --- */

int pr_inverse_read_next(pr_inverse_t *inverse, pr_inverse_row_t *row, pr_error_t *err) {
    if (!row->following)
        return 0;
    row->following = false;
    int found = pr_database_step(inverse->db, inverse->path, row->next, err);
    if (found <= 0)
        return found;
    s_use_current(row, row->next);
    int ours = pr_inverse_has_our_key(inverse, row, true, err);
    if (ours < 0)
        return ours;
    row->following = ours > 0;
    row->expected = ours > 0;
    if (row->following) {
        row->backoff = 0;
    } else {
        row->cells = NULL;
        row->backoff = row->backoff < S_BACKOFF_MAX ? row->backoff * 2 + 1 : S_BACKOFF_MAX;
        row->patience = row->backoff;
    }
    return 0;
}

void pr_inverse_follow_from(pr_inverse_row_t *row) {
    if (row->patience > 0) {
        row->patience--;
        return;
    }
    sqlite3_reset(row->next);
    sqlite3_bind_int64(row->next, 1, row->id);
    row->following = true;
}

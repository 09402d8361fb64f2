/* SPDX-License-Identifier: MIT */
/* Is this a changeset? */
#include "common/changeset.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
    s_table = 'T',
    s_columns_max = 32767, /* of a table, whatever SQLite was built with */
    s_varint_bytes = 5,    /* that hold 32 bits */
    s_number_bytes = 8
};

typedef struct {
    const unsigned char *begin, *at, *end;
    const unsigned char *keys; /* of the current table, a byte a column; NULL: there is none yet */
    uint32_t columns;
    const char *wrong; /* NULL: nothing so far */
} s_walk_t;

static bool s_fail(s_walk_t *walk, const char *wrong) {
    if (walk->wrong == NULL)
        walk->wrong = wrong;
    return false;
}

static bool s_skip(s_walk_t *walk, size_t size) {
    if (size > (size_t)(walk->end - walk->at))
        return s_fail(walk, "it ends too early");
    walk->at += size;
    return true;
}

static bool s_byte(s_walk_t *walk, unsigned char *ret_byte) {
    if (walk->at == walk->end)
        return s_fail(walk, "it ends too early");
    *ret_byte = *walk->at++;
    return true;
}

/* SQLite's varint: 7 bits a byte, the highest first. */
static bool s_varint(s_walk_t *walk, uint32_t *ret_number) {
    uint64_t number = 0;
    unsigned char byte = 0x80;
    for (int i = 0; (byte & 0x80) != 0; i++) {
        if (i == s_varint_bytes || !s_byte(walk, &byte))
            return s_fail(walk, "a length is too large");
        number = number << 7 | (byte & 0x7f);
    }
    if (number > INT32_MAX)
        return s_fail(walk, "a length is too large");
    *ret_number = (uint32_t)number;
    return true;
}

static bool s_begin_table(s_walk_t *walk) {
    bool any = false;
    if (!s_varint(walk, &walk->columns))
        return false;
    if (walk->columns == 0 || walk->columns > s_columns_max)
        return s_fail(walk, "a table has no such number of columns");
    walk->keys = walk->at;
    if (!s_skip(walk, walk->columns))
        return false;
    for (uint32_t i = 0; i < walk->columns; i++)
        any |= walk->keys[i] != 0;
    if (!any)
        return s_fail(walk, "a table has no primary key");
    const unsigned char *name = walk->at;
    const unsigned char *end = memchr(name, '\0', (size_t)(walk->end - name));
    if (end == NULL || end == name)
        return s_fail(walk, "a table has no name");
    walk->at = end + 1;
    return true;
}

/* A row. What is left out has the type 0. sparse: may columns outside the key be left out? bare: those of the key too? */
static bool s_row(s_walk_t *walk, bool sparse, bool bare) {
    for (uint32_t i = 0; i < walk->columns; i++) {
        unsigned char type = 0;
        uint32_t size = 0;
        if (!s_byte(walk, &type))
            return false;
        switch (type) {
        case 0:
            if (walk->keys[i] != 0 ? !bare : !sparse)
                return s_fail(walk, "a value is left out");
            break;
        case SQLITE_INTEGER:
        case SQLITE_FLOAT:
            if (!s_skip(walk, s_number_bytes))
                return false;
            break;
        case SQLITE_TEXT:
        case SQLITE_BLOB:
            if (!s_varint(walk, &size) || !s_skip(walk, size))
                return false;
            break;
        case SQLITE_NULL:
            break;
        default:
            return s_fail(walk, "a value is of no type");
        }
    }
    return true;
}

static bool s_change(s_walk_t *walk, unsigned char operation) {
    unsigned char indirect = 0;
    if (walk->keys == NULL)
        return s_fail(walk, "a change is of no table");
    if (!s_byte(walk, &indirect))
        return false;
    switch (operation) {
    case SQLITE_INSERT:
    case SQLITE_DELETE:
        return s_row(walk, false, false);
    case SQLITE_UPDATE:
        return s_row(walk, true, false) && s_row(walk, true, true);
    default:
        return s_fail(walk, "a change is of no kind");
    }
}

int pr_changeset_check(const void *changes, size_t size, pr_error_t *err) {
    const unsigned char *begin = changes;
    s_walk_t walk = {.begin = begin, .at = begin, .end = begin + size};
    unsigned char first = 0;
    while (walk.at < walk.end && s_byte(&walk, &first) &&
           (first == s_table ? s_begin_table(&walk) : s_change(&walk, first)))
        continue;
    return walk.wrong == NULL ? 0
                              : pr_error_set(err, PR_E_TARGET, "at byte %zu of its changeset %s",
                                             (size_t)(walk.at - walk.begin), walk.wrong);
}

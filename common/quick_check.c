/* SPDX-License-Identifier: MIT */
/* What SQLite's quick_check says. */
#include "common/quick_check.h"

#include <stdlib.h>
#include <string.h>

#include "common/sql_open.h"

/*  The words are those of SQLite's btree.c (checkTreePage, checkList). The second has no code: which pages there are was
 *  looked at before. */
static int s_code(const char *line) {
    static const char unable[] = "unable to get the page. error code=";
    const char *at = strstr(line, unable);
    if (at != NULL)
        return (int)strtol(at + strlen(unable), NULL, 10);
    return strstr(line, "failed to get page ") != NULL ? SQLITE_IOERR : SQLITE_CORRUPT;
}

int pr_quick_check_finding(sqlite3 *db, const char *path, const char *line, pr_error_t *err) {
    int code = s_code(line);
    int primary = code & 0xff;
    if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
        return 0;
    return pr_error_set(err, pr_sql_error_code_of(db, code),
                        "%s: it could not be checked, as it could not be read: %s (%s)", path, line,
                        sqlite3_errstr(code));
}

/* SPDX-License-Identifier: MIT */
/* A page that is damaged is a finding, one that cannot be read is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/quick_check.h"

static int s_judge(const char *line, pr_error_t *err) {
    sqlite3 *db = NULL;
    pr_error_clear(err);
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    int result = pr_quick_check_finding(db, "hub.db", line, err);
    sqlite3_close(db);
    return result;
}

static void test_findings(void **state) {
    static const char *const lines[] = {
        "*** in database main ***\nPage 98: never used",
        "*** in database main ***\nPage 4: unable to get the page. error code=11",
        "*** in database main ***\nTree 4 page 9: btreeInitPage() returns error code 11",
        "NULL value in el_modules.audit_id",
        "row 7 missing from index i",
        ""};
    pr_error_t err = PR_ERROR_INIT;
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_int_equal(s_judge(lines[i], &err), 0);
    assert_int_equal(err.code, PR_E_OK);
}

static void test_what_could_not_be_read(void **state) {
    static const struct {
        const char *line;
        int code;
        const char *why;
    } cases[] = {
        {"*** in database main ***\nPage 98: unable to get the page. error code=8458", PR_E_TARGET, "(disk I/O error)"},
        {"*** in database main ***\nTree 4 page 9 cell 1: unable to get the page. error code=266", PR_E_TARGET,
         "(disk I/O error)"},
        {"*** in database main ***\nPage 9: never used\nPage 4: unable to get the page. error code=7", PR_E_TARGET,
         "(out of memory)"},
        {"*** in database main ***\nfailed to get page 17", PR_E_TARGET, "(disk I/O error)"},
        {"*** in database main ***\nPage 4: unable to get the page. error code=9", PR_E_INTERRUPTED, "(interrupted)"},
    };
    pr_error_t err = PR_ERROR_INIT;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(s_judge(cases[i].line, &err), -cases[i].code);
        assert_non_null(strstr(err.text, "hub.db: it could not be checked, as it could not be read: *** in database"));
        assert_non_null(strstr(err.text, cases[i].why));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_findings),
        cmocka_unit_test(test_what_could_not_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

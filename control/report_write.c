/* SPDX-License-Identifier: MIT */
/* A report's two files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/file.h"
#include "common/json.h"
#include "common/sync.h"
#include "control/report.h"

static int s_cannot(const char *path, pr_error_t *err) {
    return pr_error_set(err, PR_E_CONFIG, "%s: cannot write the report: %s", path, strerror(errno));
}

/* Write a text as FOLDER/NAME. */
static int s_write(const char *folder, const char *name, const char *text, pr_error_t *err) {
    char *path = pr_xasprintf("%s/%s", folder, name);
    int result = pr_file_write_text(path, text, 0666, 1) < 0 ? s_cannot(path, err) : 0;
    free(path);
    return result;
}

int pr_report_write(const pr_report_t *report, const char *folder, pr_report_language_t language, pr_error_t *err) {
    bool made = mkdir(folder, 0777) == 0;
    if (!made && errno != EEXIST)
        return pr_error_set(err, PR_E_CONFIG, "%s: cannot make the folder of the report: %s", folder, strerror(errno));
    json_t *json = pr_report_to_json(report);
    char *dump = pr_json_dump(json, JSON_INDENT(2));
    char *text = pr_xasprintf("%s\n", dump);
    char *page = pr_report_to_markdown(report, language);
    int result = s_write(folder, "report.json", text, err);
    if (result == 0)
        result = s_write(folder, "report.md", page, err);
    if (result == 0 && made && pr_sync_parent(folder) < 0)
        result = s_cannot(folder, err);
    free(page);
    free(text);
    free(dump);
    json_decref(json);
    return result;
}

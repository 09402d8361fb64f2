/* SPDX-License-Identifier: MIT */
/* The last words of a writer. */
#include "common/ending.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/file.h"
#include "common/json.h"

static char *s_path(const char *run_dir) {
    return pr_xasprintf("%s/ended.json", run_dir);
}

int pr_ending_save(const char *run_dir, const pr_ending_t *ending, pr_error_t *err) {
    char id[37];
    char *path = s_path(run_dir);
    json_t *json = pr_json_pack("{s:s, s:s, s:i, s:s}", "run", pr_run_id_print(ending->run, id), "error",
                                pr_error_name((int)ending->code), "exit_code", pr_error_exit_code((int)ending->code),
                                "text", ending->text);
    char *dump = pr_json_dump(json, JSON_INDENT(2));
    int result = 0;
    if (pr_file_write_text(path, dump, 0644, 0) < 0)
        result = pr_error_set(err, PR_E_CONFIG, "%s: cannot note how the run ended: %s", path, strerror(errno));
    json_decref(json);
    free(dump);
    free(path);
    return result;
}

int pr_ending_load(const char *run_dir, const pr_run_id_t *run, pr_ending_t *ret_ending) {
    pr_ending_t ending = {.code = PR_E_INTERNAL};
    const char *id = NULL;
    const char *name = NULL;
    const char *text = NULL;
    char *path = s_path(run_dir);
    json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    free(path);
    int found = json_unpack(json, "{s:s, s:s, s:s}", "run", &id, "error", &name, "text", &text) == 0 &&
                pr_run_id_parse(id, &ending.run) == 0 && pr_error_code_from_name(name, &ending.code) == 0 &&
                (run == NULL || pr_run_id_equal(*run, ending.run));
    if (found) {
        snprintf(ending.text, sizeof ending.text, "%s", text);
        *ret_ending = ending;
    }
    json_decref(json);
    return found ? 1 : 0;
}

void pr_ending_clear(const char *run_dir, const pr_run_id_t *run) {
    pr_ending_t ending;
    char *path = s_path(run_dir);
    if (run == NULL || pr_ending_load(run_dir, run, &ending) > 0)
        unlink(path);
    free(path);
}

/* SPDX-License-Identifier: MIT */
/* pvrelay lint: check a mapping file. */
#include <stdio.h>
#include <stdlib.h>

#include "common/config.h"
#include "common/mapping.h"
#include "control/command.h"
#include "control/format.h"
#include "control/options.h"
#include "control/run.h"

#include "common/alloc.h"
#include "common/text.h"

const char pr_usage_lint[] =
    "Usage: pvrelay lint [MAPPING]\n"
    "Checks a mapping file (default: the one that comes with pvrelay). Every mistake is printed as\n"
    "\"file:line: what, expected what\". Exit code 0 if there is none, else 1.\n";

typedef struct {
    const char *path;
    FILE *out;
    size_t count;
} pr_mistakes_t;

static void s_on_mistake(void *context, const pr_mapping_mistake_t *mistake) {
    pr_mistakes_t *mistakes = context;
    mistakes->count++;
    if (mistake->line > 0)
        fprintf(mistakes->out, "%s:%d: %s\n", pr_text_line(mistakes->path).text, mistake->line,
                pr_text_line(mistake->text).text);
    else
        fprintf(mistakes->out, "%s: %s\n", pr_text_line(mistakes->path).text, pr_text_line(mistake->text).text);
}

int pr_run_load_mapping(const char *path, FILE *out, pr_mapping_t **ret_mapping, pr_error_t *err) {
    pr_mistakes_t mistakes = {.path = path, .out = out};
    pr_error_t first = PR_ERROR_INIT;
    int result = pr_mapping_load(path, s_on_mistake, &mistakes, ret_mapping, &first);
    fflush(out);
    if (result == 0)
        return 0;
    if (mistakes.count == 0)
        return pr_error_set(err, first.code, "%s", first.text);
    return pr_error_set(err, PR_E_MAPPING, "%s: %zu mistake%s", path, mistakes.count, mistakes.count == 1 ? "" : "s");
}

int pr_command_lint(int argc, char **argv, pr_error_t *err) {
    pr_operands_t operands;
    int result = pr_options_parse(NULL, 0, argc, argv, 1, &operands, err);
    if (result < 0)
        return result;
    pr_mapping_t *mapping = NULL;
    char *path = operands.count > 0 ? pr_xstrdup(operands.at[0]) : pr_config_default_mapping();
    result = pr_run_load_mapping(path, stdout, &mapping, err);
    if (result == 0) {
        size_t rows = 0;
        for (size_t i = 0; i < mapping->streams_count; i++)
            rows += mapping->streams[i].rows_count;
        printf("%s: ok: mapping %s, %zu stream%s, %zu row%s, %zu value map%s, %zu derived column%s\n",
               pr_text_line(path).text, pr_text_line(mapping->name).text, mapping->streams_count,
               pr_format_plural(mapping->streams_count), rows, pr_format_plural(rows), mapping->maps_count,
               pr_format_plural(mapping->maps_count), mapping->derived_count, pr_format_plural(mapping->derived_count));
    }
    pr_mapping_destroy(&mapping);
    free(path);
    free(operands.at);
    return result;
}

/* SPDX-License-Identifier: MIT */
/* pvrelay inspect: what exports or databases hold. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/config.h"
#include "common/json.h"
#include "control/command.h"
#include "control/inventory.h"
#include "control/options.h"
#include "control/run.h"

const char pr_usage_inspect[] =
    "Usage: pvrelay inspect FILE… [--mapping FILE] [--json]\n"
    "Tells what export files and SQLite databases hold: files, result sets, records per stream, distributions of the\n"
    "mapped fields overall and per audit, findings. All exports given are counted together, each database for itself.\n"
    "Nothing is written.\n\n"
    "  --mapping FILE   the mapping that knows the streams (default: the one that comes with pvrelay)\n"
    "  --json           as JSON: a list of {\"kind\", \"path\", \"size\", \"files\", \"parts\": [{\"name\", "
    "\"records\",\n"
    "                   \"distributions\": [{\"field\", \"group_by\", \"values\", \"groups\"}]}], \"runs\", "
    "\"findings\"}\n";

/* Does the file begin as an SQLite database does (https://www.sqlite.org/fileformat.html, 1.3.1)? */
static bool s_is_database(const char *path) {
    static const char magic[16] = "SQLite format 3";
    char head[sizeof magic];
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is =
        file >= 0 && read(file, head, sizeof head) == (ssize_t)sizeof head && memcmp(head, magic, sizeof magic) == 0;
    if (file >= 0)
        close(file);
    return is;
}

static void s_show(const pr_inventory_t *inventory, const pr_mapping_t *mapping, json_t *list) {
    if (list != NULL)
        pr_json_append(list, pr_inventory_to_json(inventory, mapping));
    else
        pr_inventory_print(inventory, mapping, stdout);
}

static int s_inspect(const pr_operands_t *operands, const pr_mapping_t *mapping, json_t *list, pr_error_t *err) {
    const char **exports = pr_xcalloc(operands->count, sizeof *exports);
    size_t exports_count = 0;
    pr_inventory_t inventory = {0};
    for (size_t i = 0; i < operands->count; i++) {
        if (!s_is_database(operands->at[i]))
            exports[exports_count++] = operands->at[i];
    }
    int result = 0;
    if (exports_count > 0) {
        result = pr_inventory_read_exports(exports, exports_count, mapping, &inventory, err);
        if (inventory.exports_count > 0)
            s_show(&inventory, mapping, list);
        pr_inventory_clear(&inventory);
    }
    for (size_t i = 0; result == 0 && i < operands->count; i++) {
        if (!s_is_database(operands->at[i]))
            continue;
        result = pr_inventory_read_database(operands->at[i], mapping, &inventory, err);
        if (result == 0)
            s_show(&inventory, mapping, list);
        pr_inventory_clear(&inventory);
    }
    free(exports);
    return result;
}

int pr_command_inspect(int argc, char **argv, pr_error_t *err) {
    const char *mapping_path = NULL;
    bool json = false;
    const pr_option_t options[] = {{.name = "--mapping", .kind = PR_OPTION_TEXT, .into = &mapping_path},
                                   {.name = "--json", .kind = PR_OPTION_FLAG, .into = &json}};
    pr_operands_t operands;
    int result = pr_options_parse(options, sizeof options / sizeof options[0], argc, argv, SIZE_MAX, &operands, err);
    if (result < 0)
        return result;
    pr_mapping_t *mapping = NULL;
    char *path = mapping_path != NULL ? pr_xstrdup(mapping_path) : pr_config_default_mapping();
    if (operands.count == 0)
        result = pr_options_wrong(argv[0], err, "no file is given");
    if (result == 0)
        result = pr_run_load_mapping(path, stderr, &mapping, err);
    if (result == 0) {
        json_t *list = json ? json_array() : NULL;
        result = s_inspect(&operands, mapping, list, err);
        if (json) {
            pr_json_print(list, JSON_INDENT(2), stdout);
        }
        json_decref(list);
    }
    pr_mapping_destroy(&mapping);
    free(path);
    free(operands.at);
    return result;
}

/* SPDX-License-Identifier: MIT */
/* Where a run is. */
#include "control/where.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/config.h"

static char *s_copy(const char *text) {
    return text != NULL ? pr_xstrdup(text) : NULL;
}

/* Fill in what is not known yet. */
static void s_fill(pr_where_t *where, const pr_config_t *config) {
    if (where->target == NULL)
        where->target = s_copy(config->target);
    if (where->run_dir == NULL)
        where->run_dir = s_copy(config->run_dir);
    /* Of another target's runs nothing is taken. */
    if (where->target == NULL || config->target == NULL || strcmp(where->target, config->target) != 0)
        return;
    if (where->reports == NULL)
        where->reports = s_copy(config->reports);
    if (where->spool == NULL)
        where->spool = s_copy(config->spool);
}

static int s_fill_from(pr_where_t *where, const char *path, pr_error_t *err) {
    pr_config_t *config = NULL;
    int result = pr_config_load(path, &config, err);
    if (result == 0)
        s_fill(where, config);
    pr_config_destroy(&config);
    return result;
}

/* What the run folder's own configuration tells, if there is one. */
static int s_fill_from_run_dir(pr_where_t *where, pr_error_t *err) {
    char *path = pr_xasprintf("%s/config.json", where->run_dir);
    int result = access(path, F_OK) == 0 ? s_fill_from(where, path, err) : 0;
    free(path);
    return result;
}

int pr_where_find(const char *target, const char *run_dir, const char *config, pr_where_t *ret_where, pr_error_t *err) {
    char absolute[PATH_MAX];
    pr_where_t where = {.run_dir = s_copy(run_dir)};
    int result = 0;
    if (target != NULL && realpath(target, absolute) == NULL)
        result = pr_error_set(err, PR_E_TARGET, "%s: %s", target, strerror(errno));
    else if (target != NULL)
        where.target = pr_xstrdup(absolute);
    if (result == 0 && config != NULL)
        result = s_fill_from(&where, config, err);
    if (result == 0 && where.run_dir == NULL && where.target != NULL)
        where.run_dir = pr_config_default_run_dir(where.target);
    if (result == 0 && where.run_dir != NULL && config == NULL)
        result = s_fill_from_run_dir(&where, err);
    if (result < 0) {
        pr_where_release(&where);
        return result;
    }
    *ret_where = where;
    return 0;
}

void pr_where_release(pr_where_t *where) {
    if (where == NULL)
        return;
    free(where->target);
    free(where->run_dir);
    free(where->reports);
    free(where->spool);
    *where = (pr_where_t){.target = NULL};
}

/* SPDX-License-Identifier: MIT */
/* The manager of a spool: set after set. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/sync.h"
#include "common/text.h"
#include "control/manage.h"
#include "control/run.h"

enum { s_turns_between_looks = 3 };

typedef struct {
    pr_manager_t *manager;
    pr_spool_t *spool;
    pr_spool_set_t set; /* that is on */
    bool idle;          /* config.json names no run */
} pr_spooler_t;

/* What the configuration says of the set that is on; NULL: of none. */
static void s_set_sources(pr_config_t *config, const pr_spool_set_t *set) {
    for (size_t i = 0; i < config->sources_count; i++)
        free(config->sources[i]);
    free(config->sources);
    free(config->run);
    config->sources = NULL;
    config->sources_count = 0;
    config->run = NULL;
    if (set == NULL)
        return;
    config->run = pr_xstrdup(set->id);
    if (set->count > 0)
        config->sources = pr_xcalloc(set->count, sizeof *config->sources);
    for (size_t i = 0; i < set->count; i++)
        config->sources[config->sources_count++] = pr_xstrdup(set->files[i]);
}

/* Is this for the set to bear? Else it is in the way of all sets. */
static bool s_is_of_the_set(pr_error_code_t code) {
    pr_error_class_t class = pr_error_class((int)code);
    return class == PR_CLASS_NONE || class == PR_CLASS_DATA;
}

static bool s_is_good(pr_error_code_t code) {
    return code == PR_E_OK || code == PR_E_REJECTED;
}

/* ---- how the set's run ended ---- */

/*  Has it ended before this manager came to it? 1 and ret_ending, 0 if it is to go on or to begin, <0. */
static int s_is_over(pr_spooler_t *self, pr_ending_t *ret_ending, pr_error_t *err) {
    pr_run_id_t run;
    pr_books_t books = PR_BOOKS_UNKNOWN;
    pr_error_t other = PR_ERROR_INIT;
    pr_run_id_parse(self->set.id, &run);
    if (pr_ending_load(pr_spool_work(self->spool), &run, ret_ending) > 0 ||
        pr_ending_load(self->manager->config->run_dir, &run, ret_ending) > 0)
        return 1;
    int result = pr_manage_books(self->manager, &books, ret_ending, &other);
    if (result < 0 || books == PR_BOOKS_OTHER)
        return pr_error_set(err, other.code, "%s", other.text);
    if (books == PR_BOOKS_ENDED)
        return 1;
    if (books == PR_BOOKS_ABANDONED) { /* by the operator: the set is still to be replayed */
        result = pr_spool_renew(self->spool, &self->set, err);
        if (result == 0)
            s_set_sources(self->manager->config, &self->set);
    }
    if (result == 0 && self->set.wrong.code != PR_E_OK) {
        *ret_ending = (pr_ending_t){.run = run, .code = self->set.wrong.code};
        snprintf(ret_ending->text, sizeof ret_ending->text, "%s", self->set.wrong.text);
        return 1;
    }
    return result;
}

/* It may have been mended since the last set; the stages read it for each run. */
static int s_load_mapping(pr_manager_t *manager, pr_error_t *err) {
    pr_mapping_t *mapping = NULL;
    int result = pr_run_load_mapping(manager->config->mapping, stderr, &mapping, err);
    if (result < 0)
        return result;
    pr_mapping_destroy(&manager->mapping);
    manager->mapping = mapping;
    return 0;
}

static int s_replay(pr_spooler_t *self, pr_ending_t *ret_ending, pr_error_t *err) {
    pr_manager_t *manager = self->manager;
    pr_log(PR_LOG_NOTICE, "set %s: run %s: %zu export%s into %s", self->set.name, self->set.id, self->set.count,
           self->set.count == 1 ? "" : "s", manager->config->target);
    self->idle = false;
    int result = pr_manage_publish(manager, err);
    pr_fault("manage.after-config");
    return result < 0 ? result : pr_manage_wait(manager, ret_ending, err);
}

/* ---- what becomes of the set ---- */

/* Note for good how the set's run ended: whatever happens from here on, it goes to the same place. */
static int s_decide(pr_spooler_t *self, const pr_ending_t *ending, pr_error_t *err) {
    const char *work = pr_spool_work(self->spool);
    int result = pr_ending_save(work, ending, err);
    char *path = pr_xasprintf("%s/ended.json", work);
    if (result == 0 && (pr_sync_path(path) < 0 || pr_sync_path(work) < 0))
        result = pr_error_set(err, PR_E_CONFIG, "%s: cannot be seen on the disk: %s", path, strerror(errno));
    free(path);
    return result;
}

/* No set is on any more. */
static void s_forget_decision(const pr_spooler_t *self) {
    pr_ending_clear(pr_spool_work(self->spool), NULL);
}

static int s_put_away(pr_spooler_t *self, pr_ending_t *ending, pr_error_t *err) {
    pr_manager_t *manager = self->manager;
    char *place = NULL;
    int result = s_decide(self, ending, err);
    if (result == 0 && !s_is_good(ending->code))
        result = pr_manage_abandon(manager, err);
    if (result == 0) {
        pr_fault("manage.before-report");
        place = pr_spool_place(self->spool, &self->set, s_is_good(ending->code));
        result = pr_manage_report(manager, ending, self->set.folder, self->set.folder, place, err);
        pr_fault("manage.after-report");
    }
    if (result == 0) {
        pr_fault("manage.before-move");
        result = pr_spool_finish(self->spool, &self->set, place, err);
        pr_fault("manage.after-move");
    }
    if (result == 0)
        s_forget_decision(self);
    free(place);
    return result;
}

/*  Returns 0 to go on, 1 if all is to stop with ret_ending, <0. */
static int s_do_set(pr_spooler_t *self, pr_ending_t *ret_ending, pr_error_t *err) {
    pr_manager_t *manager = self->manager;
    pr_ending_t ending = {.code = PR_E_OK};
    char name[128];
    pr_text_fit(self->set.name, strlen(self->set.name), name, sizeof name);
    snprintf(manager->what, sizeof manager->what, "set %s", name);
    s_set_sources(manager->config, &self->set);
    int result = s_load_mapping(manager, err);
    if (result == 0)
        result = s_is_over(self, &ending, err);
    if (result == 0)
        result = s_replay(self, &ending, err);
    if (result < 0)
        return result;
    if (!s_is_of_the_set(ending.code)) {
        pr_log(PR_LOG_ERROR, "%s stopped: %s: %s", manager->what, pr_error_name((int)ending.code), ending.text);
        pr_log(PR_LOG_NOTICE, "%s stays in %s; started again, it goes on", manager->what, self->set.folder);
        *ret_ending = ending;
        return 1;
    }
    result = s_put_away(self, &ending, err);
    pr_spool_set_release(&self->set);
    return result;
}

/* ---- between sets ---- */

static int s_be_idle(pr_spooler_t *self, pr_error_t *err) {
    pr_manager_t *manager = self->manager;
    char idle[256];
    int result = 0;
    if (!self->idle) {
        s_set_sources(manager->config, NULL);
        result = pr_manage_publish(manager, err);
        self->idle = true;
        manager->status_ms = 0;
    }
    snprintf(idle, sizeof idle, "idle: waiting for exports in %s", manager->config->spool);
    for (int i = 0; result == 0 && i < s_turns_between_looks && !manager->stop; i++)
        pr_manage_turn(manager, idle);
    return result;
}

static int s_loop(pr_spooler_t *self, pr_ending_t *ret_ending, pr_error_t *err) {
    int found = pr_spool_find(self->spool, &self->set, err);
    int result = found < 0 ? found : 0;
    if (found == 0)
        s_forget_decision(self);
    while (result == 0 && !self->manager->stop) {
        if (found == 0) {
            found = pr_spool_claim(self->spool, &self->set, err);
            if (found > 0)
                pr_fault("manage.after-claim");
        }
        if (found < 0)
            result = found;
        else if (found > 0)
            result = s_do_set(self, ret_ending, err);
        else
            result = s_be_idle(self, err);
        found = 0;
    }
    return result;
}

/*  Two managers would each claim a set, and whose is replayed first would be left to chance. The lock is that of the folder, and
 *  goes with the process. Returns the descriptor, or -PR_E_CONFIG. */
static int s_lock(const char *dir, pr_error_t *err) {
    int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return pr_error_set(err, PR_E_CONFIG, "%s: cannot use the spool: %s", dir, strerror(errno));
    if (flock(folder, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return folder; /* a filesystem that knows no locks is no reason not to work */
    close(folder);
    return pr_error_set(err, PR_E_CONFIG,
                        "%s: another manager works on this spool; stop it, or give each a spool of its own", dir);
}

int pr_manage_spool(pr_manager_t *manager, pr_ending_t *ret_ending, pr_error_t *err) {
    pr_spooler_t self = {.manager = manager, .set = {.folder = NULL}};
    int lock = -1;
    int result = pr_spool_open(manager->config->spool, manager->config->spool_marked, &self.spool, err);
    if (result == 0)
        result = lock = s_lock(manager->config->spool, err);
    if (result >= 0)
        result = s_loop(&self, ret_ending, err);
    if (lock >= 0)
        close(lock);
    pr_spool_set_release(&self.set);
    pr_spool_destroy(&self.spool);
    return result;
}

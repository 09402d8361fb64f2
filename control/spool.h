/* SPDX-License-Identifier: MIT */
/* A spool: a folder where sets of exports arrive, and where they go. */
#ifndef PR_SPOOL_H
#define PR_SPOOL_H

/*  DESIGN
 *
 *      DIR/NAME              a set that has arrived: an export, or a folder of exports
 *      DIR/work/UUID/NAME    the set that is on: claimed for the run UUID; never more than one
 *      DIR/work/ended.json   once that is decided: how its run ended (common/ending.h)
 *      DIR/done/NAME/NAME    replayed; what else lies in work/UUID goes along (report.json, report.md)
 *      DIR/failed/NAME/NAME  not replayed, likewise
 *
 *  A set is always in one of these places: it moves by rename, between folders that are on the disk before, and each
 *  rename is on the disk before the next step. So whoever comes after a crash finds in work/ which set is on, and which
 *  run it is. A crash in the middle of a claim leaves an empty work/UUID, which means nothing, or a marker in DIR, which
 *  follows its set.
 *
 *  A set's name is the producer's. It is not to clash with what is laid beside it: report.json is claimed as
 *  export-report.json.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

typedef struct pr_spool pr_spool_t;

/* A set in work/. Begin with all zero. */
typedef struct {
    char id[37];  /* the run's UUID */
    char *folder; /* DIR/work/UUID */
    char *name;   /* what it is called; the UUID if nothing of it is there any more */
    char **files; /* its exports, absolute, in order of name */
    size_t count;
    pr_error_t wrong; /* why it cannot be replayed as it lies there; code PR_E_OK: it can */
} pr_spool_set_t;

/*  Use the folder dir, which must exist; its work/, done/ and failed/ are made if missing. marked: a set counts when its
 *  empty marker NAME.done (of a folder: or NAME/.done) is there; else when it has its name. ret_spool: *returns new*.
 *  Errors: -PR_E_CONFIG. */
int pr_spool_open(const char *dir, bool marked, pr_spool_t **ret_spool, pr_error_t *err);
void pr_spool_destroy(pr_spool_t **spool);

/*  The set that is on: 1, 0 if there is none, or -PR_E_CONFIG (more than one, or something that does not belong there).
 *  ret_set: *returns new* contents; untouched unless 1. */
int pr_spool_find(pr_spool_t *spool, pr_spool_set_t *ret_set, pr_error_t *err);

/*  Claim the set that arrived first, for a new run; there must be none that is on. 1, 0 if none has arrived, or
 *  -PR_E_CONFIG (it cannot be moved). ret_set as pr_spool_find. */
int pr_spool_claim(pr_spool_t *spool, pr_spool_set_t *ret_set, pr_error_t *err);

/* DIR/work, where ended.json tells for good how the run of the set that is on has ended. Borrowed. */
const char *pr_spool_work(const pr_spool_t *spool);

/* Give the set that is on another run: a new UUID. */
int pr_spool_renew(pr_spool_t *spool, pr_spool_set_t *set, pr_error_t *err);

/* Where the set's folder is to go: done/NAME or failed/NAME, NAME.2 ... if that is taken. *Returns new* (malloc). */
char *pr_spool_place(const pr_spool_t *spool, const pr_spool_set_t *set, bool done);

/* Move the set's folder to where pr_spool_place said. */
int pr_spool_finish(pr_spool_t *spool, const pr_spool_set_t *set, const char *place, pr_error_t *err);

void pr_spool_set_release(pr_spool_set_t *set);

#endif

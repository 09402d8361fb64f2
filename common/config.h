/* SPDX-License-Identifier: MIT */
/* The configuration of a run: one JSON file that all stages read. */
#ifndef PR_CONFIG_H
#define PR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/foreign_change.h"
#include "common/null_text.h"

enum { PR_CONFIG_LOCK_WAIT_MOST_S = 2000000 };

typedef struct {
    char *path;       /* the file it was read from, absolute */
    char *target;     /* absolute path of the target database */
    char *mapping;    /* absolute path of the mapping; default DATADIR/mappings/el-to-hub.json */
    char *migrations; /* absolute path of the folder of migrations; default DATADIR/migrations */
    char **sources;   /* absolute paths of the exports, as given; of a spool: those of the set that is on, or none */
    size_t sources_count;
    char *spool; /* "sources": {"spool": DIR}: absolute path of the folder where sets of exports arrive; NULL: none */
    bool spool_marked; /* "sources": {"complete": "marked"}: a set counts when its .done marker is there */
    char *reports;     /* absolute path of the folder for the reports of managed runs; default TARGET-reports */
    char *run_dir; /* absolute: sockets and lock files live here; default: see pr_config_default_run_dir, and for a file
                      /etc/pvrelay/NAME.json /run/pvrelay/NAME */
    bool run_dir_ours; /* it is the default one of a command: to be removed when the run has ended. Not in the file */
    char *run;         /* UUID of the run to begin or to continue; NULL: the target's unfinished one, or a new one */
    uint32_t transformers;         /* how many transformers take part: 1 to 64 */
    pr_null_text_t null_text;      /* never PR_NULL_TEXT_ENVELOPE */
    int64_t max_rejects;           /* -1: no limit */
    bool undo_off;                 /* "undo": "off": commits keep no undo */
    bool rollback_on_failure;      /* "on_validation_failure": "rollback": then the run is taken back as a whole */
    bool rollback_on_reject_limit; /* "on_reject_limit": "rollback" */
    bool extra_fail;               /* "extra": "fail": rows that no record of the exports proves are failures */
    pr_foreign_policy_t on_foreign_change; /* what becomes of rows that others changed since we stored them */
    bool restart;                          /* abandon an unfinished run and begin anew */
    int64_t retries_through;               /* > 0: this run tries the rejects up to this number again */
    uint32_t batch_bytes;                  /* of raw records in a batch, aim */
    uint64_t window_bytes;                 /* of raw records beyond the committed position, at most */
    uint32_t heartbeat_ms;                 /* PROGRESS at least this often */
    uint32_t resend_ms;                    /* no progress for so long, while something is outstanding: go back */
    int64_t lock_wait_s; /* how long to wait for a lock that another process holds; -1: PR_LOCK_WAIT_BY_HAND_S, of a
                            managed run PR_LOCK_WAIT_MANAGED_S */
    uint32_t linger_ms;  /* how long the writer, when all is complete, waits for stages that have not said goodbye */
} pr_config_t;

/* lock_wait_s in milliseconds, its default resolved as for a run by hand. */
unsigned pr_config_lock_wait_ms(const pr_config_t *config);

/*  Read a configuration file. Relative paths in it are relative to its folder. Unknown keys are errors.
 *  ret_config: *returns new*; untouched on failure. Errors: -PR_E_CONFIG, err tells file:line where it can. */
int pr_config_load(const char *path, pr_config_t **ret_config, pr_error_t *err);

/*  The same, but "target", "sources", "reports" and "run_dir" may be missing (they stay NULL and 0, but for the run_dir
 *  of a file in /etc/pvrelay): for a command that is given them otherwise. */
int pr_config_load_settings(const char *path, pr_config_t **ret_config, pr_error_t *err);

/* Are all its paths UTF-8? A configuration is JSON, and cannot hold another. -PR_E_CONFIG. */
int pr_config_check_paths(const pr_config_t *config, pr_error_t *err);

/*  Write a configuration (all fields but path) as JSON to path, durably and atomically (new file, rename), mode 0600, and
 *  read it again: what is not in it as it was given is an error. */
int pr_config_save(const pr_config_t *config, const char *path, pr_error_t *err);

/* A configuration with the defaults and nothing else: target, sources, run_dir empty. *Returns new*. */
pr_config_t *pr_config_new(void);
void pr_config_destroy(pr_config_t **config);

/*  The folder with mappings/ and migrations/: $PVRELAY_DATADIR, else ../share/pvrelay beside the program's own folder.
 *  *Returns new* (malloc). */
char *pr_config_datadir(void);

/* The mapping of the installation: el-to-hub.json in mappings/ of that folder. *Returns new* (malloc). */
char *pr_config_default_mapping(void);

/*  Run folder for a target when none was given: $XDG_RUNTIME_DIR/pvrelay/HASH, else /tmp/pvrelay-UID/HASH, HASH from
 *  the target's absolute path. XDG_RUNTIME_DIR counts only if it is there, is ours, nobody else may write in it, and it
 *  leaves room for sockets. *Returns new* (malloc). */
char *pr_config_default_run_dir(const char *target);

/*  Run folder of a managed run: /run/pvrelay/NAME if path is /etc/pvrelay/NAME.json, else NULL. path: absolute; the disk
 *  is not looked at. *Returns new* (malloc). */
char *pr_config_managed_run_dir(const char *path);

/*  Make a run folder (0700) with its parents; refuse one that belongs to another user, that others may write in or
 *  replace, or whose path leaves no room for the socket names (107 bytes). */
int pr_config_make_run_dir(const char *run_dir, pr_error_t *err);

#endif

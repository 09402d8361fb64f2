/* SPDX-License-Identifier: MIT */
/* A target, exports, and runs of them in one process: what the property test of rollback plays with. */
#ifndef PR_ROLLBACK_WORLD_H
#define PR_ROLLBACK_WORLD_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/mapping.h"
#include "common/rollback.h"
#include "writer/target.h"

enum { RW_TEMPLATES = 3, RW_FAMILIES = 8, RW_REVISIONS = 4, RW_SHARED = 2 /* tables others write to */ };

/* What is shared by all cases: exports and empty targets, made once. */
typedef struct {
    char folder[64];
    pr_mapping_t *mapping;
    char template[RW_TEMPLATES][96]; /* made by our migrations; by the HUB's; by the HUB's, with columns of its own */
    char token[RW_FAMILIES][40];     /* of each family's first audit */
} rw_shared_t;

/* A position in the history of a case: right after a commit. */
typedef struct {
    int64_t checkpoint;
    int64_t run;
    size_t entry; /* of the script */
    char *dump;
    char *books;               /* of its run */
    int64_t before[RW_SHARED]; /* id counters of the shared tables before the commit and after; -1: none */
    int64_t after[RW_SHARED];
} rw_mark_t;

/* One run of the script. */
typedef struct {
    unsigned family, revision;
    uint64_t stop; /* records after which it is left unfinished; UINT64_MAX: it is completed */
    bool unproved; /* it is left unfinished when all is in and only the proof is missing */
    bool settled;  /* stop is where the first time ended */
} rw_entry_t;

enum { RW_ENTRIES = 4 };

/* A case. */
typedef struct {
    const rw_shared_t *shared;
    uint64_t seed;
    uint64_t chance;
    char path[128];
    rw_entry_t script[RW_ENTRIES];
    size_t entries;
    bool others;                    /* another user writes between the commits */
    unsigned theirs;                /* rows that they have written */
    unsigned runs;                  /* begun so far, for their UUIDs */
    sqlite3 *db;                    /* the onlooker's connection; open only while no rollback is under way */
    struct rw_questions *questions; /* its statements */
    rw_mark_t *marks;
    size_t marks_count, marks_room;
    size_t next;     /* entry to begin next */
    int64_t goes_on; /* run that is unfinished and to be continued first; 0: none */
    size_t goes_on_entry;
} rw_case_t;

/* Make templates and exports. Asserts. */
void rw_shared_make(rw_shared_t *ret_shared, uint64_t seed);
void rw_shared_remove(rw_shared_t *shared);

/* A case from a seed: a target of its own and a script. Asserts. */
void rw_case_make(const rw_shared_t *shared, uint64_t seed, rw_case_t *ret_case);
void rw_case_remove(rw_case_t *the_case);

/* A number below `below`, from the case's seed. */
uint64_t rw_chance(rw_case_t *the_case, uint64_t below);

/* Play the script on from where it stands, to its end; every commit makes a mark. */
void rw_play(rw_case_t *the_case);

/* The onlooker's connection. */
void rw_look(rw_case_t *the_case);
void rw_look_away(rw_case_t *the_case);

/*  All rows of all data tables with their types, all id counters, and the schema, one line each; *returns new*.
 *  Without what other users wrote, and without the counters of the tables that they write to.
 *  loose: without the ids that depend on how many rows others wrote in between. */
char *rw_dump(const rw_case_t *the_case, bool loose);
/* What other users wrote. *Returns new*. */
char *rw_dump_theirs(const rw_case_t *the_case);
/* State, position, findings, touched rows, rejects, checkpoints of a run. *Returns new*. */
char *rw_books(const rw_case_t *the_case, int64_t run);
/* One integer. */
int64_t rw_ask(const rw_case_t *the_case, const char *sql, int64_t parameter);
/* Counter of a shared table; -1: none. */
int64_t rw_counter(const rw_case_t *the_case, size_t table);

/* Two texts of lines: they must be equal, else the first line that differs is printed and the test fails. */
void rw_assert_same(const rw_case_t *the_case, const char *what, const char *expected, const char *found);

/* Prints the seed and fails. */
void rw_fail(const rw_case_t *the_case, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

#define RW_CHECK(the_case, condition)                                                                                  \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            rw_fail(the_case, "%s:%d: not true: %s", __FILE__, __LINE__, #condition);                                  \
    } while (0)

#endif

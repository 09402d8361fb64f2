/* SPDX-License-Identifier: MIT */
/* pvrelay-export-gen: makes exports as wrangler prints them, from a seed, in bounded memory, with the traps real ones
 * hold. */

/*  DESIGN
 *
 *  Everything is a pure function of (seed, index of the audit, index of the module): audits and modules are made when
 *  they are written and forgotten at once, so an export of any size needs the same memory, and two files of one export
 *  agree without either remembering the other.
 *
 *  A revision is the same database some edits later. Edit number r is a pure function of (seed, r, index) too, and
 *  revision R is revision 0 with the edits 1 to R made one after the other: what an earlier revision holds is still there
 *  in a later one, under the same natural keys, changed or not. Each edit surely changes one module, adds one and changes
 *  one audit; every second one adds an audit.
 *
 *  A file is: open (byte order mark, banner), result sets (begin, records, end), close. Only these know the shapes.
 *  A trap that spoils a record spoils one record only, and a record takes one trap only. Trap number t with count c is
 *  due at the ordinals floor(k * modules / c); where several are due the first takes the record and the others wait for
 *  the next one. All fit if the counts' sum is not above the number of modules, which is checked first.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 1, EXIT_OUTPUT = 5 };
enum { BUFFER_BYTES = 1 << 20, ROOM_BYTES = 1 << 16 };
enum { CONFIG_BYTES = 27 << 10 }; /* the longest json_config met */
enum { STRING_LENGTH = 24 };
enum { REVISION_MAX = 100, REVISION_MODULES = 24 /* of an audit that is added to the production ones */ };

static const int64_t s_null = INT64_MIN; /* an integer field that is NULL */

/* name, word on the command line, what its count means (trap_use_t), sentence */
#define TRAPS(X)                                                                                                       \
    X(NULL_TEXT, "null-text", SWITCH, "NULLs print as the text \"null\", as --local of wrangler before 4.72 did")      \
    X(REAL_NULL, "real-null", SWITCH, "NULLs print as null, as --remote always did and --local does since 4.72")       \
    X(TEXT_NULL, "text-null", ALL, "real-null, and NULL comments are texts that read \"null\", as a HUB holds them")   \
    X(INTEGER_2_53, "integer-2-53", RECORD, "an integer beyond 2^53 that fits 64 bits")                                \
    X(INTEGER_BEYOND, "integer-beyond-int64", RECORD, "an integer that does not fit 64 bits")                          \
    X(UNKNOWN_STATUS, "unknown-status", RECORD, "a status that no value map knows")                                    \
    X(BAD_UTF8, "bad-utf8", RECORD, "a comment that is not UTF-8")                                                     \
    X(DUPLICATE_KEY, "duplicate-key", RECORD, "a record with its status twice")                                        \
    X(MISSING_FIELD, "missing-field", RECORD, "a record without position_in_string")                                   \
    X(EXTRA_FIELD, "extra-field", RECORD, "a record with a field \"gps\"")                                             \
    X(WRONG_TYPE, "wrong-type", RECORD, "a string_number that is text")                                                \
    X(NUL_CHARACTER, "nul-character", RECORD, "a comment with U+0000 in it, to be kept")                               \
    X(DUPLICATE_MODULE, "duplicate-module", RECORD, "the record once more, with another id")                           \
    X(ORPHAN_MODULE, "orphan-module", RECORD, "a module of an audit that does not exist")                              \
    X(BOM, "bom", SWITCH, "every file begins with a byte order mark")                                                  \
    X(CRLF, "crlf", SWITCH, "every line ends with CR LF")                                                              \
    X(NO_FINAL_NEWLINE, "no-final-newline", SWITCH, "no file ends with a newline")                                     \
    X(BANNER, "banner", SWITCH, "every file begins with wrangler's banner, as without --json")                         \
    X(UNKNOWN_META, "unknown-meta", SWITCH, "keys that nobody knows, in the envelope and in meta")                     \
    X(FAILED_EXPORT, "failed-export", SWITCH, "the last file with modules holds {\"error\":...} instead")              \
    X(SUCCESS_FALSE, "success-false", SWITCH, "the last result set of modules says \"success\": false")                \
    X(PSEUDO_ROW, "pseudo-row", SWITCH, "the last file with modules holds \"Total queries executed\"")                 \
    X(EMPTY_RESULTS, "empty-results", SWITCH, "the last file with modules has \"results\": []")                        \
    X(NULL_RESULTS, "null-results", SWITCH, "the last file with modules has \"results\": null")                        \
    X(TRUNCATED, "truncated", NUMBER, "the last file with modules ends after COUNT bytes")                             \
    X(SEVERAL_SETS, "several-result-sets", SETS, "each file with modules has COUNT result sets (default 3)")

typedef enum {
#define X(name, word, use, sentence) TRAP_##name,
    TRAPS(X)
#undef X
        TRAP_NUMBER
} trap_t;

typedef enum {
    USE_RECORD, /* count: records to spoil, default 1 */
    USE_ALL,    /* count: values, default all */
    USE_SWITCH, /* no count */
    USE_NUMBER, /* a number must be given */
    USE_SETS    /* count: result sets, default 3 */
} trap_use_t;

static const struct {
    const char *word;
    trap_use_t use;
    const char *sentence;
} s_traps[TRAP_NUMBER] = {
#define X(name, word, use, sentence) [TRAP_##name] = {word, USE_##use, sentence},
    TRAPS(X)
#undef X
};

typedef enum { SHAPE_WRANGLER, SHAPE_ARRAY, SHAPE_NDJSON, SHAPE_RESULTS } shape_t;
static const char *const s_shapes[] = {"wrangler", "array", "ndjson", "results", NULL};
typedef enum { LAYOUT_PAIR, LAYOUT_ONE_FILE, LAYOUT_PER_AUDIT, LAYOUT_MIXED } layout_t;
static const char *const s_layouts[] = {"pair", "one-file", "per-audit", "mixed-ndjson", NULL};

/* What the command line asked for. */
typedef struct {
    const char *out;
    bool production;
    uint64_t audits;
    uint64_t modules_per_audit;
    uint64_t modules;
    uint64_t seed;
    uint64_t revision;
    uint64_t first_audits; /* of revision 0; those after them were added by edits */
    shape_t shape;
    layout_t layout;
    bool trap[TRAP_NUMBER];
    uint64_t count[TRAP_NUMBER]; /* of a trap that is on */
} options_t;

typedef struct {
    uint64_t index;
    uint64_t modules;       /* of this audit, those added by edits included */
    uint64_t first_modules; /* without them */
    uint64_t first_ordinal; /* first_modules of all audits before it */
    uint64_t random;
    int64_t id;
    char token[37];
    char project_name[96];
    char client_name[96];
    char location[96];
    int64_t string_count;
    int64_t modules_per_string;
    const char *plan_file; /* NULL: NULL */
    const char *status;
    char created_at[32];
    char updated_at[32];
    unsigned created_second; /* of its day */
    bool long_ids;           /* S3-14; else M001 */
    const char *json_config; /* NULL: NULL; in the generator's own buffer */
} audit_t;

typedef struct {
    int64_t id;
    const char *audit_token;
    char module_id[32];
    int64_t string_number;
    int64_t position_in_string;
    const char *status;
    const char *comment;       /* NULL: NULL */
    const char *technician_id; /* NULL: NULL */
    char created_at[32];
    char updated_at[32];
    int64_t physical_row;
    int64_t physical_col;
} module_t;

/* A field's place in a record: the bytes between the value before it and its own. */
typedef struct {
    char text[64];
    size_t size;
} lead_t;

enum { AUDIT_FIELDS = 13, MODULE_FIELDS = 12 };
static const char *const s_audit_fields[AUDIT_FIELDS] = {
    "id",         "token",        "project_name",       "client_name",
    "location",   "string_count", "modules_per_string", "total_modules",
    "plan_file",  "status",       "created_at",         "updated_at",
    "json_config"};
static const char *const s_module_fields[MODULE_FIELDS] = {
    "id",      "audit_token",   "module_id",  "string_number", "position_in_string", "status",
    "comment", "technician_id", "created_at", "updated_at",    "physical_row",       "physical_col"};

typedef struct {
    options_t options;
    lead_t audit_lead[AUDIT_FIELDS];
    lead_t module_lead[MODULE_FIELDS];
    lead_t record_close;
    char indent[16];            /* before a record's brace */
    bool nulls_text;            /* NULLs print as the text "null" */
    uint64_t text_nulls;        /* comments that still are to read "null" */
    uint64_t hits[TRAP_NUMBER]; /* records a trap has spoilt so far */
    uint64_t ordinal;           /* modules written, without the extra ones of duplicate-module */
    const char *production_status[462];
    char config[CONFIG_BYTES];
    /* the file being written */
    int fd;
    char path[4096];
    char *buffer;
    size_t used;
    char *crlf;
    uint64_t written;
    uint64_t limit; /* bytes after which the file ends */
    uint64_t sets;
    uint64_t set_records;
    uint64_t file_records;
} gen_t;

static void s_die(int code, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

static void s_die(int code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("pvrelay-export-gen: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(code);
}

/* ---- Chance, from the seed
 * ------------------------------------------------------------------------------------------------ */

/* SplitMix64's finaliser: every bit of the answer depends on every bit asked for. */
static uint64_t s_mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t s_random(const gen_t *gen, uint64_t kind, uint64_t index) {
    return s_mix(s_mix(s_mix(gen->options.seed) ^ kind) ^ index);
}

/* ---- Bytes to the file
 * ---------------------------------------------------------------------------------------------------- */

static void s_write(gen_t *gen, const char *data, size_t size) {
    if (gen->written + size > gen->limit)
        size = (size_t)(gen->limit - gen->written);
    gen->written += size;
    while (size > 0) {
        ssize_t n = write(gen->fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            s_die(EXIT_OUTPUT, "%s: cannot write: %s", gen->path, strerror(errno));
        data += n;
        size -= (size_t)n;
    }
}

static void s_flush(gen_t *gen) {
    if (!gen->options.trap[TRAP_CRLF]) {
        s_write(gen, gen->buffer, gen->used);
    } else {
        size_t size = 0;
        for (size_t i = 0; i < gen->used; i++) {
            if (gen->buffer[i] == '\n')
                gen->crlf[size++] = '\r';
            gen->crlf[size++] = gen->buffer[i];
        }
        s_write(gen, gen->crlf, size);
    }
    gen->used = 0;
}

/* Room for ROOM_BYTES more. Called once a record: its fields need not look. */
static void s_room(gen_t *gen) {
    if (gen->used > BUFFER_BYTES - ROOM_BYTES)
        s_flush(gen);
}

static void s_put(gen_t *gen, const char *data, size_t size) {
    memcpy(gen->buffer + gen->used, data, size);
    gen->used += size;
}

static void s_puts(gen_t *gen, const char *text) {
    s_put(gen, text, strlen(text));
}

static void s_put_integer(gen_t *gen, int64_t value) {
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        digits[--at] = '-';
    s_put(gen, digits + at, sizeof digits - at);
}

/* As JSON.stringify writes it. */
static void s_put_text(gen_t *gen, const char *text) {
    char *at = gen->buffer + gen->used;
    *at++ = '"';
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            *at++ = '\\';
            *at++ = (char)c;
        } else if (c == '\n') {
            *at++ = '\\';
            *at++ = 'n';
        } else {
            *at++ = (char)c;
        }
    }
    *at++ = '"';
    gen->used = (size_t)(at - gen->buffer);
}

static void s_put_null(gen_t *gen) {
    s_puts(gen, gen->nulls_text ? "\"null\"" : "null");
}

static void s_put_text_or_null(gen_t *gen, const char *text) {
    if (text == NULL)
        s_put_null(gen);
    else
        s_put_text(gen, text);
}

static void s_put_integer_or_null(gen_t *gen, int64_t value) {
    if (value == s_null)
        s_put_null(gen);
    else
        s_put_integer(gen, value);
}

/* ---- What audits and modules look like
 * ------------------------------------------------------------------------------------- */

static const char *const s_statuses[] = {"ok",      "microcracks", "dead",         "inequality",
                                         "pending", "string_open", "not_connected"};
/* Of 1,000 modules, up to and including this status. */
static const unsigned s_status_weights[] = {600, 740, 790, 880, 960, 985, 1000};

static const char *const s_audit_statuses[] = {"created", "in_progress", "completed", "archived"};

static const char *const s_technicians[] = {"a.lefèvre",      "Zoé Béranger", "j.d'arcy",
                                            "M. Óscar Núñez", "k.n'diaye",    "Équipe 3"};

static const char *const s_comments[] = {
    "MEME MPPT",
    "Fissures en étoile près de la boîte de jonction",
    "Câble d'extrémité à reprendre — voir photo",
    "Cellule n°14 : zone inactive ⚡",
    "Module changé le 12/09, à revérifier \"à froid\"",
    "Rien à signaler 👍",
    "Accès difficile (échafaudage) 🏗️",
    "L'étiquette est illisible",
    "Point chaud probable\nà confirmer en thermographie",
};

static const char *const s_clients[] = {
    "Énergies du Sud",         "Société d'Exploitation Solaire",   "Arkéa Parcs", "L'Épi d'Or SCEA",
    "Mairie de Nîmes",         "Groupement Foncier de l'Hérault",  "Solaïa",      "Cœur de Forêt Énergie",
    "Ateliers Hoëlzel & Fils", "Coopérative \"Le Soleil Partagé\""};
static const char *const s_places[] = {"Béziers",         "Saint-Étienne",  "Mézières-sur-Oise",
                                       "L'Haÿ-les-Roses", "Forêt-la-Folie", "Châteauneuf-du-Pape",
                                       "Perpignan",       "Aÿ-Champagne",   "Les Ulis"};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* HH:MM:SS into the last eight characters of a timestamp. */
static void s_set_time(char *timestamp, unsigned second) {
    unsigned parts[3] = {second / 3600, second / 60 % 60, second % 60};
    for (size_t i = 0; i < 3; i++) {
        timestamp[11 + 3 * i] = (char)('0' + parts[i] / 10);
        timestamp[12 + 3 * i] = (char)('0' + parts[i] % 10);
    }
}

static void s_set_day(char *timestamp, size_t size, time_t day) {
    struct tm tm;
    time_t at = day * 86400;
    gmtime_r(&at, &tm);
    strftime(timestamp, size, "%Y-%m-%d 00:00:00", &tm);
}

/* A UUID of version 4 from chance. */
static void s_set_token(char *token, uint64_t a, uint64_t b) {
    snprintf(token, 37, "%08" PRIx64 "-%04" PRIx64 "-4%03" PRIx64 "-%04" PRIx64 "-%012" PRIx64, a >> 32,
             a >> 16 & 0xffff, a & 0xfff, (b >> 48 & 0x3fff) | 0x8000, b & UINT64_C(0xffffffffffff));
}

/* {"mode":"simple",...}: what newer audits keep. */
static const char *s_config_simple(gen_t *gen, int64_t strings, int64_t per_string, uint64_t modules) {
    snprintf(gen->config, sizeof gen->config,
             "{\"mode\":\"simple\",\"stringCount\":%" PRId64 ",\"modulesPerString\":%" PRId64
             ",\"totalModules\":%" PRIu64 "}",
             strings, per_string, modules);
    return gen->config;
}

/* A text that describes each module: what older audits keep, up to 27 KB of it. */
static const char *s_config_advanced(gen_t *gen, const char *location, uint64_t modules) {
    int used = snprintf(gen->config, sizeof gen->config,
                        "{\"mode\":\"advanced\",\"site\":\"%s\",\"orientation\":\"portrait\",\"modules\":[", location);
    for (uint64_t i = 0; i < modules && (size_t)used < sizeof gen->config - 256; i++)
        used += snprintf(gen->config + used, sizeof gen->config - (size_t)used,
                         "%s{\"id\":\"M%03" PRIu64 "\",\"string\":%" PRIu64 ",\"position\":%" PRIu64 ",\"x\":%" PRIu64
                         ",\"y\":%" PRIu64 ",\"width\":1046,\"angle\":0,\"état\":\"pending\"}",
                         i == 0 ? "" : ",", i + 1, i / 22 + 1, i % 22 + 1, i % 22 * 105, i / 22 * 171);
    snprintf(gen->config + used, sizeof gen->config - (size_t)used, "],\"version\":2}");
    return gen->config;
}

enum { FORGES_MODULES = 220, JALIBAT_MODULES = 242 };

/* Chance of edit `edit` at `index`. */
static uint64_t s_edit_random(const options_t *options, uint64_t kind, uint64_t edit, uint64_t index) {
    return s_mix(s_mix(s_mix(s_mix(options->seed) ^ kind) ^ edit) ^ index);
}

/* Is it this audit that the edit surely touches? */
static bool s_edit_meets(const options_t *options, uint64_t edit, uint64_t audit) {
    return options->first_audits > 0 && audit == (edit - 1) % options->first_audits;
}

/* Modules of an audit in revision 0, or when it was added. */
static uint64_t s_first_modules(const options_t *options, uint64_t audit) {
    if (audit >= options->first_audits)
        return options->modules_per_audit;
    if (options->production)
        return audit == 0 ? FORGES_MODULES : JALIBAT_MODULES;
    uint64_t left = options->modules - audit * options->modules_per_audit;
    return left < options->modules_per_audit ? left : options->modules_per_audit;
}

static uint64_t s_modules(const options_t *options, uint64_t audit) {
    uint64_t modules = s_first_modules(options, audit);
    for (uint64_t edit = 1; edit <= options->revision; edit++) {
        uint64_t r = s_edit_random(options, 20, edit, audit);
        if (s_edit_meets(options, edit, audit))
            modules += 1 + r % 3;
        else if (r % 4 == 0)
            modules += 1;
    }
    return modules;
}

/* The moment of an edit: a day after the one before it, and after everything in revision 0. */
static void s_set_edited(char *timestamp, size_t size, uint64_t edit, uint64_t random) {
    s_set_day(timestamp, size, 20454 + (time_t)edit); /* 2026-01-01 */
    s_set_time(timestamp, (unsigned)(random / 65536 % 86400));
}

/* The two audits of the production database (2025-10-27), the older one first, as SELECT * gives them. */
static void s_make_production_audit(gen_t *gen, uint64_t index, audit_t *ret_audit) {
    bool jalibat = index == 1;
    audit_t audit = {.index = index,
                     .modules = s_modules(&gen->options, index),
                     .first_modules = s_first_modules(&gen->options, index),
                     .first_ordinal = jalibat ? FORGES_MODULES : 0,
                     .id = jalibat ? 7 : 3,
                     .string_count = jalibat ? 11 : 10,
                     .modules_per_string = jalibat ? 22 : 0,
                     .status = "created",
                     .created_second = jalibat ? 34992 : 52086,
                     .long_ids = jalibat};
    strcpy(audit.token, jalibat ? "a4e19950-c73c-412c-be4d-699c9de1dde1" : "76e6eb36-8b49-4255-99d3-55fc1adfc1c9");
    strcpy(audit.project_name, jalibat ? "JALIBAT" : "LES FORGES");
    strcpy(audit.client_name, jalibat ? "JALIBAT Industrie" : "Arkolia Énergies");
    strcpy(audit.location, jalibat ? "Zone d'activité de la Gare, Écully" : "Les Forges (toiture est)");
    strcpy(audit.created_at, jalibat ? "2025-10-27 09:43:12" : "2025-10-13 14:28:06");
    strcpy(audit.updated_at, jalibat ? "2025-10-27 09:43:12" : "2025-10-16 08:02:55");
    audit.json_config =
        jalibat ? s_config_simple(gen, 11, 22, audit.modules) : s_config_advanced(gen, audit.location, audit.modules);
    *ret_audit = audit;
}

static void s_make_load_audit(gen_t *gen, uint64_t index, audit_t *ret_audit) {
    const options_t *options = &gen->options;
    audit_t audit = {.index = index,
                     .modules = s_modules(options, index),
                     .first_modules = s_first_modules(options, index),
                     .first_ordinal = index * options->modules_per_audit,
                     .random = s_random(gen, 1, index),
                     .id = (int64_t)(1 + index + index / 3 + (options->production ? 100 : 0)),
                     .long_ids = index % 7 != 6};
    uint64_t r = audit.random;
    s_set_token(audit.token, s_random(gen, 2, index), s_random(gen, 3, index));
    /* Every fifth audit is a second one of the project before it. */
    uint64_t project = index % 5 == 4 ? index - 1 : index;
    uint64_t p = s_random(gen, 4, project);
    const char *place = s_places[p / 16 % COUNT_OF(s_places)];
    snprintf(audit.client_name, sizeof audit.client_name, "%s %" PRIu64, s_clients[p % COUNT_OF(s_clients)],
             project / 32 + 1);
    snprintf(audit.project_name, sizeof audit.project_name, "Centrale de %s — n°%" PRIu64, place, project + 1);
    snprintf(audit.location, sizeof audit.location, "%s (lot %" PRIu64 ")", place, p / 256 % 90 + 1);
    audit.string_count = (int64_t)((audit.modules + STRING_LENGTH - 1) / STRING_LENGTH);
    audit.modules_per_string = audit.long_ids ? STRING_LENGTH : 0;
    audit.plan_file = r / 8 % 4 == 0 ? "plans/calepinage é1.pdf" : NULL;
    audit.status = s_audit_statuses[r / 64 % COUNT_OF(s_audit_statuses)];
    s_set_day(audit.created_at, sizeof audit.created_at, 19358 + (time_t)(r / 1024 % 1000));
    audit.created_second = 25200 + (unsigned)(r / 1048576 % 14400);
    s_set_time(audit.created_at, audit.created_second);
    memcpy(audit.updated_at, audit.created_at, sizeof audit.updated_at);
    s_set_time(audit.updated_at, audit.created_second + (unsigned)(r / 4096 % 40000));
    if (index % 50 == 49)
        audit.json_config = s_config_advanced(gen, audit.location, audit.modules);
    else if (index % 3 != 2)
        audit.json_config = s_config_simple(gen, audit.string_count, audit.modules_per_string, audit.modules);
    *ret_audit = audit;
}

/* Status, project, location or plan, and always updated_at. */
static void s_edit_audit(const gen_t *gen, audit_t *audit) {
    size_t status = 0;
    while (strcmp(s_audit_statuses[status], audit->status) != 0)
        status++;
    for (uint64_t edit = 1; edit <= gen->options.revision; edit++) {
        uint64_t r = s_edit_random(&gen->options, 21, edit, audit->index);
        if (!s_edit_meets(&gen->options, edit, audit->index) && r % 3 != 0)
            continue;
        r /= 3;
        s_set_edited(audit->updated_at, sizeof audit->updated_at, edit, r);
        if (r % 2 == 0)
            status = (status + 1 + r / 2 % (COUNT_OF(s_audit_statuses) - 1)) % COUNT_OF(s_audit_statuses);
        if (r / 16 % 4 == 0)
            snprintf(audit->project_name, sizeof audit->project_name, "Extension %" PRIu64 " — n°%" PRIu64, edit,
                     audit->index + 1);
        if (r / 64 % 4 == 0)
            snprintf(audit->location, sizeof audit->location, "Bâtiment %" PRIu64, r / 256 % 90 + 1);
        if (r / 1024 % 4 == 0)
            audit->plan_file = audit->plan_file == NULL ? "plans/récolement.pdf" : NULL;
    }
    audit->status = s_audit_statuses[status];
}

static void s_make_audit(gen_t *gen, uint64_t index, audit_t *ret_audit) {
    if (gen->options.production && index < gen->options.first_audits)
        s_make_production_audit(gen, index, ret_audit);
    else
        s_make_load_audit(gen, index, ret_audit);
    s_edit_audit(gen, ret_audit);
}

/* String and position of a module: STRING_LENGTH a string; JALIBAT's first string is two longer. */
static void s_set_place(const gen_t *gen, const audit_t *audit, uint64_t index, module_t *module) {
    uint64_t per_string = STRING_LENGTH;
    uint64_t longer = 0;
    if (gen->options.production && audit->long_ids)
        longer = 2;
    else if (gen->options.production)
        per_string = 22;
    if (gen->options.production && audit->index >= gen->options.first_audits) {
        per_string = STRING_LENGTH;
        longer = 0;
    }
    bool in_first = index < per_string + longer;
    module->string_number = in_first ? 1 : (int64_t)((index - longer) / per_string + 1);
    module->position_in_string = in_first ? (int64_t)index + 1 : (int64_t)((index - longer) % per_string + 1);
}

static void s_set_module_id(const audit_t *audit, uint64_t index, module_t *module) {
    if (audit->long_ids)
        snprintf(module->module_id, sizeof module->module_id, "S%" PRId64 "-%" PRId64, module->string_number,
                 module->position_in_string);
    else
        snprintf(module->module_id, sizeof module->module_id, "M%03" PRIu64, index + 1);
}

static void s_make_production_module(const gen_t *gen, const audit_t *audit, uint64_t index, module_t *module) {
    uint64_t ordinal = audit->first_ordinal + index;
    module->id = (int64_t)ordinal + (audit->long_ids ? 1205 : 613);
    module->status = gen->production_status[ordinal];
    if (audit->long_ids) {
        module->physical_row = module->string_number;
        module->physical_col = module->position_in_string;
    }
    if (audit->long_ids && index == 40)
        module->comment = "MÊME MPPT que S1 — à vérifier";
    if (audit->long_ids && index == 187)
        module->comment = "Câble d'extrémité brûlé 🔥";
    if (!audit->long_ids && index == 101)
        module->comment = "Fissures près de la boîte de jonction";
}

static void s_make_load_module(const gen_t *gen, const audit_t *audit, uint64_t index, module_t *module) {
    bool added = index >= audit->first_modules;
    uint64_t ordinal = audit->first_ordinal + index;
    uint64_t r = added ? s_edit_random(&gen->options, 22, audit->index, index) : s_random(gen, 5, ordinal);
    module->id = (int64_t)(1 + ordinal + audit->index * 7);
    unsigned weight = (unsigned)(r % 1000);
    size_t status = 0;
    while (weight >= s_status_weights[status])
        status++;
    module->status = s_statuses[status];
    r /= 1000;
    if (r % 16 == 0)
        module->comment = s_comments[r / 16 % COUNT_OF(s_comments)];
    r /= 1024;
    if (r % 8 == 0)
        module->technician_id = s_technicians[r / 8 % COUNT_OF(s_technicians)];
    r /= 1024;
    module->physical_row = r % 32 == 0 ? s_null : audit->long_ids ? module->string_number : 0;
    module->physical_col = r % 32 == 0 ? s_null : audit->long_ids ? module->position_in_string : 0;
}

/* About every fifth module, and surely one: another status, and sometimes a comment, or none, and a technician. */
static void s_edit_module(const gen_t *gen, const audit_t *audit, uint64_t index, module_t *module) {
    size_t status = 0;
    while (strcmp(s_statuses[status], module->status) != 0)
        status++;
    for (uint64_t edit = 1; edit <= gen->options.revision; edit++) {
        uint64_t r = s_edit_random(&gen->options, 23, edit, s_mix(audit->index) ^ index);
        bool surely = s_edit_meets(&gen->options, edit, audit->index) && index == (edit - 1) % audit->first_modules;
        if (!surely && r % 5 != 0)
            continue;
        r /= 5;
        status = (status + 1 + r % (COUNT_OF(s_statuses) - 1)) % COUNT_OF(s_statuses);
        r /= COUNT_OF(s_statuses);
        s_set_edited(module->updated_at, sizeof module->updated_at, edit, r);
        if (r % 4 == 0)
            module->comment = r / 4 % 3 == 0 ? NULL : s_comments[r / 16 % COUNT_OF(s_comments)];
        if (r / 256 % 4 == 0)
            module->technician_id = s_technicians[r / 1024 % COUNT_OF(s_technicians)];
    }
    module->status = s_statuses[status];
}

static void s_make_module(const gen_t *gen, const audit_t *audit, uint64_t index, module_t *ret_module) {
    module_t module;
    memset(&module, 0, sizeof module);
    bool added = index >= audit->first_modules || audit->index >= gen->options.first_audits;
    module.audit_token = audit->token;
    s_set_place(gen, audit, index, &module);
    s_set_module_id(audit, index, &module);
    memcpy(module.created_at, audit->created_at, sizeof module.created_at);
    memcpy(module.updated_at, audit->created_at, sizeof module.updated_at);
    if (gen->options.production && !added)
        s_make_production_module(gen, audit, index, &module);
    else
        s_make_load_module(gen, audit, index, &module);
    if (added)
        module.id = INT64_C(2000000000) + (int64_t)(audit->index * 1000000 + index);
    if (strcmp(module.status, "pending") != 0)
        s_set_time(module.updated_at, audit->created_second + (unsigned)(index * 7 % 40000));
    s_edit_module(gen, audit, index, &module);
    *ret_module = module;
}

static void s_fill(const char **statuses, size_t *at, const char *status, size_t count) {
    for (size_t i = 0; i < count; i++)
        statuses[(*at)++] = status;
}

/* The seed's distribution, dealt by chance within each audit. */
static void s_deal_production(gen_t *gen) {
    size_t at = 0;
    s_fill(gen->production_status, &at, "microcracks", 85);
    s_fill(gen->production_status, &at, "inequality", 135);
    s_fill(gen->production_status, &at, "ok", 58);
    s_fill(gen->production_status, &at, "microcracks", 2);
    s_fill(gen->production_status, &at, "dead", 182);
    for (size_t audit = 0; audit < 2; audit++) {
        const char **deck = gen->production_status + audit * FORGES_MODULES;
        for (size_t i = (audit == 0 ? FORGES_MODULES : JALIBAT_MODULES) - 1; i > 0; i--) {
            size_t j = s_random(gen, 6 + audit, i) % (i + 1);
            const char *card = deck[i];
            deck[i] = deck[j];
            deck[j] = card;
        }
    }
}

/* ---- Records
 * ---------------------------------------------------------------------------------------------------------------- */

static bool s_lines(const gen_t *gen) {
    return gen->options.shape == SHAPE_NDJSON;
}

static void s_lead_set(lead_t *lead, const gen_t *gen, const char *name, bool first) {
    const char *comma = first ? "" : ",";
    int size = s_lines(gen) ? snprintf(lead->text, sizeof lead->text, "%s\"%s\":", comma, name)
                            : snprintf(lead->text, sizeof lead->text, "%s\n%s  \"%s\": ", comma, gen->indent, name);
    lead->size = (size_t)size;
}

static void s_prepare_leads(gen_t *gen) {
    static const int depths[] = {[SHAPE_WRANGLER] = 6, [SHAPE_ARRAY] = 2, [SHAPE_NDJSON] = 0, [SHAPE_RESULTS] = 4};
    snprintf(gen->indent, sizeof gen->indent, "%*s", depths[gen->options.shape], "");
    for (size_t i = 0; i < AUDIT_FIELDS; i++)
        s_lead_set(&gen->audit_lead[i], gen, s_audit_fields[i], i == 0);
    for (size_t i = 0; i < MODULE_FIELDS; i++)
        s_lead_set(&gen->module_lead[i], gen, s_module_fields[i], i == 0);
    lead_t *close = &gen->record_close;
    close->size = (size_t)(s_lines(gen) ? snprintf(close->text, sizeof close->text, "}\n")
                                        : snprintf(close->text, sizeof close->text, "\n%s}", gen->indent));
}

static void s_put_lead(gen_t *gen, const lead_t *lead) {
    s_put(gen, lead->text, lead->size);
}

static void s_record_open(gen_t *gen) {
    s_room(gen);
    if (!s_lines(gen)) {
        s_puts(gen, gen->set_records > 0 ? ",\n" : "\n");
        s_puts(gen, gen->indent);
    }
    s_puts(gen, "{");
    gen->set_records++;
    gen->file_records++;
}

static void s_put_audit(gen_t *gen, const audit_t *audit) {
    const lead_t *lead = gen->audit_lead;
    s_record_open(gen);
    s_put_lead(gen, lead++);
    s_put_integer(gen, audit->id);
    s_put_lead(gen, lead++);
    s_put_text(gen, audit->token);
    s_put_lead(gen, lead++);
    s_put_text(gen, audit->project_name);
    s_put_lead(gen, lead++);
    s_put_text(gen, audit->client_name);
    s_put_lead(gen, lead++);
    s_put_text(gen, audit->location);
    s_put_lead(gen, lead++);
    s_put_integer(gen, audit->string_count);
    s_put_lead(gen, lead++);
    s_put_integer(gen, audit->modules_per_string);
    s_put_lead(gen, lead++);
    s_put_integer(gen, (int64_t)audit->modules);
    s_put_lead(gen, lead++);
    s_put_text_or_null(gen, audit->plan_file);
    s_put_lead(gen, lead++);
    s_put_text(gen, audit->status);
    s_put_lead(gen, lead++);
    s_put_text(gen, audit->created_at);
    s_put_lead(gen, lead++);
    s_put_text(gen, audit->updated_at);
    s_put_lead(gen, lead++);
    s_put_text_or_null(gen, audit->json_config);
    s_put_lead(gen, &gen->record_close);
}

/* trap: TRAP_NUMBER for none. */
static void s_put_module(gen_t *gen, const module_t *module, trap_t trap) {
    const lead_t *lead = gen->module_lead;
    s_record_open(gen);
    s_put_lead(gen, lead++);
    s_put_integer(gen, module->id);
    s_put_lead(gen, lead++);
    s_put_text(gen, module->audit_token);
    s_put_lead(gen, lead++);
    s_put_text(gen, module->module_id);
    s_put_lead(gen, lead++);
    if (trap == TRAP_WRONG_TYPE)
        s_puts(gen, "\"");
    s_put_integer(gen, module->string_number);
    if (trap == TRAP_WRONG_TYPE)
        s_puts(gen, "\"");
    if (trap == TRAP_MISSING_FIELD) {
        lead++;
    } else {
        s_put_lead(gen, lead++);
        s_put_integer(gen, module->position_in_string);
    }
    for (int copies = trap == TRAP_DUPLICATE_KEY ? 2 : 1; copies > 0; copies--) {
        s_put_lead(gen, lead);
        s_put_text(gen, module->status);
    }
    lead++;
    s_put_lead(gen, lead++);
    if (trap == TRAP_NUL_CHARACTER)
        s_puts(gen, "\"avant\\u0000après\"");
    else if (module->comment == NULL && gen->text_nulls > 0) {
        gen->text_nulls--;
        s_puts(gen, "\"null\"");
    } else {
        s_put_text_or_null(gen, module->comment);
    }
    s_put_lead(gen, lead++);
    s_put_text_or_null(gen, module->technician_id);
    s_put_lead(gen, lead++);
    s_put_text(gen, module->created_at);
    s_put_lead(gen, lead++);
    s_put_text(gen, module->updated_at);
    s_put_lead(gen, lead++);
    if (trap == TRAP_INTEGER_BEYOND)
        s_puts(gen, "9223372036854776000"); /* what the exporter makes of 2^63 - 1 (samples) */
    else
        s_put_integer_or_null(gen, module->physical_row);
    s_put_lead(gen, lead++);
    s_put_integer_or_null(gen, module->physical_col);
    if (trap == TRAP_EXTRA_FIELD) {
        lead_t gps;
        s_lead_set(&gps, gen, "gps", false);
        s_put_lead(gen, &gps);
        s_put_text(gen, "43.6045, 1.4440");
    }
    s_put_lead(gen, &gen->record_close);
}

/* The trap that is due at this module and takes it; TRAP_NUMBER: none. */
static trap_t s_trap_due(gen_t *gen) {
    for (trap_t trap = 0; trap < TRAP_NUMBER; trap++) {
        if (s_traps[trap].use != USE_RECORD || !gen->options.trap[trap] || gen->hits[trap] == gen->options.count[trap])
            continue;
        /* hits * modules / count, without its overflow */
        uint64_t due = (uint64_t)((unsigned __int128)gen->hits[trap] * gen->options.modules / gen->options.count[trap]);
        if (due <= gen->ordinal)
            return trap;
    }
    return TRAP_NUMBER;
}

static void s_put_next_module(gen_t *gen, const audit_t *audit, uint64_t index) {
    static const char *const unknown[] = {"OK", " ok", "broken", "microcrack"};
    module_t module;
    s_make_module(gen, audit, index, &module);
    trap_t trap = s_trap_due(gen);
    if (trap == TRAP_UNKNOWN_STATUS)
        module.status = unknown[gen->hits[trap] % COUNT_OF(unknown)];
    if (trap == TRAP_BAD_UTF8)
        module.comment = "C\xe2"
                         "ble coup\xe9"; /* ISO 8859-1 */
    if (trap == TRAP_INTEGER_2_53)
        module.physical_row = INT64_C(9007199254740994);
    if (trap == TRAP_ORPHAN_MODULE)
        module.audit_token = "00000000-0000-4000-8000-00000000dead";
    s_put_module(gen, &module, trap);
    if (trap == TRAP_DUPLICATE_MODULE) {
        module.id += INT64_C(1000000000);
        s_put_module(gen, &module, TRAP_NUMBER);
    }
    if (trap != TRAP_NUMBER)
        gen->hits[trap]++;
    gen->ordinal++;
}

/* ---- Files and result sets
 * ---------------------------------------------------------------------------------------------------- */

static void s_file_open(gen_t *gen, const char *name, bool last_with_modules) {
    const options_t *options = &gen->options;
    int size =
        snprintf(gen->path, sizeof gen->path, "%s/%s%s", options->out, options->production ? "prod_export_" : "", name);
    if (size < 0 || (size_t)size >= sizeof gen->path)
        s_die(EXIT_USAGE, "--out: the path is too long");
    gen->fd = open(gen->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (gen->fd < 0)
        s_die(EXIT_OUTPUT, "%s: cannot make the file: %s", gen->path, strerror(errno));
    gen->written = 0;
    gen->sets = 0;
    gen->file_records = 0;
    gen->limit = options->trap[TRAP_TRUNCATED] && last_with_modules ? options->count[TRAP_TRUNCATED] : UINT64_MAX;
    if (options->trap[TRAP_BOM])
        s_puts(gen, "\xef\xbb\xbf");
    if (options->trap[TRAP_BANNER])
        s_puts(gen,
               "\n ⛅️ wrangler 4.40.0 (update available "
               "4.164.0)\n──────────────────────────────────────────────\n"
               "🌀 Executing on remote database diagpv-audit-production (dfa92296-cb50-4ce4-b135-009f530d6224):\n"
               "🌀 To execute on your local development database, remove the --remote flag from your wrangler command.\n"
               "🚣 Executed 1 command in 0.51ms\n");
}

static void s_file_close(gen_t *gen) {
    if (gen->options.shape == SHAPE_WRANGLER && gen->sets > 0)
        s_puts(gen, "\n]\n");
    if (gen->options.trap[TRAP_NO_FINAL_NEWLINE] && gen->used > 0 && gen->buffer[gen->used - 1] == '\n')
        gen->used--;
    s_flush(gen);
    if (close(gen->fd) != 0)
        s_die(EXIT_OUTPUT, "%s: cannot write: %s", gen->path, strerror(errno));
    printf("%s: %" PRIu64 " bytes, %" PRIu64 " record%s\n", gen->path, gen->written, gen->file_records,
           gen->file_records == 1 ? "" : "s");
}

static void s_set_begin(gen_t *gen) {
    s_room(gen);
    gen->set_records = 0;
    switch (gen->options.shape) {
    case SHAPE_WRANGLER:
        s_puts(gen, gen->sets == 0 ? "[\n  {\n    \"results\": [" : ",\n  {\n    \"results\": [");
        break;
    case SHAPE_ARRAY:
        s_puts(gen, "[");
        break;
    case SHAPE_RESULTS:
        s_puts(gen, "{\n  \"results\": [");
        break;
    case SHAPE_NDJSON:
        break;
    }
    gen->sets++;
}

/* `"success"` and `"meta"` of an envelope whose keys stand behind indent. */
static void s_put_envelope(gen_t *gen, const char *indent, bool success) {
    char text[1024];
    bool unknown = gen->options.trap[TRAP_UNKNOWN_META];
    int size = snprintf(text, sizeof text,
                        ",\n%1$s\"success\": %2$s,\n%1$s\"meta\": {\n"
                        "%1$s  \"served_by\": \"v3-prod\",\n"
                        "%3$s%1$s  \"duration\": 0.5142,\n"
                        "%1$s  \"changes\": 0,\n"
                        "%1$s  \"last_row_id\": 0,\n"
                        "%1$s  \"changed_db\": false,\n"
                        "%1$s  \"size_after\": 290816,\n"
                        "%1$s  \"rows_read\": %4$" PRIu64 ",\n"
                        "%1$s  \"rows_written\": 0\n"
                        "%1$s}",
                        indent, success ? "true" : "false",
                        unknown ? "      \"served_by_region\": \"WEUR\",\n      \"timings\": {\n"
                                  "        \"sql_duration_ms\": 0.5142\n      },\n"
                                : "",
                        gen->set_records);
    s_put(gen, text, (size_t)size);
    if (unknown) {
        s_puts(gen, ",\n");
        s_puts(gen, indent);
        s_puts(gen, "\"finalBookmark\": \"00000001-00000001-00004f2a-5c7d0a8f0e1b2c3d4e5f60718293a4b5\"");
    }
}

static void s_set_end(gen_t *gen, bool success) {
    s_room(gen);
    bool empty = gen->set_records == 0;
    switch (gen->options.shape) {
    case SHAPE_WRANGLER:
        s_puts(gen, empty ? "]" : "\n    ]");
        s_put_envelope(gen, "    ", success);
        s_puts(gen, "\n  }");
        break;
    case SHAPE_ARRAY:
        s_puts(gen, empty ? "]\n" : "\n]\n");
        break;
    case SHAPE_RESULTS:
        s_puts(gen, empty ? "]" : "\n  ]");
        s_put_envelope(gen, "  ", success);
        s_puts(gen, "\n}\n");
        break;
    case SHAPE_NDJSON:
        break;
    }
}

/* The whole content of a file that a trap replaces. False: no trap does. */
static bool s_put_replacement(gen_t *gen) {
    const bool *trap = gen->options.trap;
    if (trap[TRAP_FAILED_EXPORT]) {
        s_puts(gen, "\n{\n  \"error\": {\n    \"text\": \"no such table: modules: SQLITE_ERROR\"\n  }\n}\n");
    } else if (trap[TRAP_PSEUDO_ROW]) {
        s_set_begin(gen);
        s_puts(gen, "\n      {\n        \"Total queries executed\": 1,\n        \"Rows read\": 462,\n"
                    "        \"Rows written\": 0,\n        \"Database size (MB)\": \"0.29\"\n      }");
        gen->set_records = 1;
        s_set_end(gen, true);
    } else if (trap[TRAP_EMPTY_RESULTS]) {
        s_set_begin(gen);
        s_set_end(gen, true);
    } else if (trap[TRAP_NULL_RESULTS]) {
        s_set_begin(gen);
        gen->used--; /* the bracket */
        s_puts(gen, "null");
        s_put_envelope(gen, gen->options.shape == SHAPE_WRANGLER ? "    " : "  ", true);
        s_puts(gen, gen->options.shape == SHAPE_WRANGLER ? "\n  }" : "\n}\n");
    } else {
        return false;
    }
    return true;
}

static void s_put_audits(gen_t *gen) {
    s_set_begin(gen);
    for (uint64_t i = 0; i < gen->options.audits; i++) {
        audit_t audit;
        s_make_audit(gen, i, &audit);
        s_put_audit(gen, &audit);
    }
    s_set_end(gen, true);
}

/* The modules of the audits [first, last), in as many result sets as asked for. */
static void s_put_modules(gen_t *gen, uint64_t first, uint64_t last, bool last_with_modules) {
    const options_t *options = &gen->options;
    uint64_t sets = options->trap[TRAP_SEVERAL_SETS] ? options->count[TRAP_SEVERAL_SETS] : 1;
    uint64_t done = 0;
    uint64_t set = 0;
    audit_t audit;
    uint64_t total = 0;
    for (uint64_t i = first; i < last; i++)
        total += s_modules(options, i);
    s_set_begin(gen);
    for (uint64_t i = first; i < last; i++) {
        s_make_audit(gen, i, &audit);
        for (uint64_t m = 0; m < audit.modules; m++, done++) {
            for (; set + 1 < sets && done >= total * (set + 1) / sets; set++) {
                s_set_end(gen, true);
                s_set_begin(gen);
            }
            s_put_next_module(gen, &audit, m);
        }
    }
    s_set_end(gen, !(options->trap[TRAP_SUCCESS_FALSE] && last_with_modules));
}

static void s_make_pair(gen_t *gen) {
    s_file_open(gen, s_lines(gen) ? "audits.ndjson" : "audits.json", false);
    s_put_audits(gen);
    s_file_close(gen);
    s_file_open(gen, s_lines(gen) ? "modules.ndjson" : "modules.json", true);
    if (!s_put_replacement(gen))
        s_put_modules(gen, 0, gen->options.audits, true);
    s_file_close(gen);
}

static void s_make_one_file(gen_t *gen) {
    s_file_open(gen, s_lines(gen) ? "export.ndjson" : "export.json", true);
    if (gen->options.trap[TRAP_FAILED_EXPORT]) {
        s_put_replacement(gen);
    } else {
        s_put_audits(gen);
        if (!s_put_replacement(gen))
            s_put_modules(gen, 0, gen->options.audits, true);
    }
    s_file_close(gen);
}

static void s_make_per_audit(gen_t *gen) {
    s_file_open(gen, s_lines(gen) ? "audits.ndjson" : "audits.json", false);
    s_put_audits(gen);
    s_file_close(gen);
    for (uint64_t i = 0; i < gen->options.audits; i++) {
        char name[64];
        bool last = i + 1 == gen->options.audits;
        snprintf(name, sizeof name, "modules-%05" PRIu64 ".%s", i + 1, s_lines(gen) ? "ndjson" : "json");
        s_file_open(gen, name, last);
        if (!last || !s_put_replacement(gen))
            s_put_modules(gen, i, i + 1, last);
        s_file_close(gen);
    }
}

/* Each audit's line, then its modules' lines. */
static void s_make_mixed(gen_t *gen) {
    s_file_open(gen, "export.ndjson", true);
    if (!s_put_replacement(gen)) {
        for (uint64_t i = 0; i < gen->options.audits; i++) {
            audit_t audit;
            s_make_audit(gen, i, &audit);
            s_put_audit(gen, &audit);
            for (uint64_t m = 0; m < audit.modules; m++)
                s_put_next_module(gen, &audit, m);
        }
    }
    s_file_close(gen);
}

/* ---- The command line
 * ----------------------------------------------------------------------------------------------------------- */

static void s_print_help(void) {
    puts(
        "Usage: pvrelay-export-gen --out DIR [OPTION...]\n"
        "Make exports of the legacy EL database as wrangler prints them; the same options make the same bytes.\n"
        "\n"
        "  --out DIR                the folder for the files (made if missing)\n"
        "  --preset production      the 2 audits and 462 modules of October 2025 (default when no size is given)\n"
        "  --modules TOTAL          this many modules, in audits of --modules-per-audit\n"
        "  --audits N               this many audits\n"
        "  --modules-per-audit M    default 500\n"
        "  --seed S                 default 1\n"
        "  --revision R             the same database R edits later (default 0, at most 100): some modules and audits\n"
        "                           changed, some modules added, from R = 2 on an audit too\n"
        "  --shape SHAPE            wrangler (default), array, ndjson, results (one {\"results\":[...]} object)\n"
        "  --layout LAYOUT          pair (default: audits.json, modules.json), one-file, per-audit (a file with "
        "modules\n"
        "                           per audit), mixed-ndjson (one file; an audit's line, then its modules' lines)\n"
        "  --trap NAME[=COUNT]      spoil something; may be given several times:");
    for (trap_t trap = 0; trap < TRAP_NUMBER; trap++) {
        static const char *const counts[] = {[USE_RECORD] = "[=COUNT]",
                                             [USE_ALL] = "[=COUNT]",
                                             [USE_SWITCH] = "",
                                             [USE_NUMBER] = "=BYTES",
                                             [USE_SETS] = "[=COUNT]"};
        char name[64];
        snprintf(name, sizeof name, "%s%s", s_traps[trap].word, counts[s_traps[trap].use]);
        printf("      %-30s %s\n", name, s_traps[trap].sentence);
    }
    puts("  --help, --version\n"
         "\n"
         "Prints one line a file. Exit codes: 0 made; 1 the command line is wrong; 5 a file cannot be written.");
}

static uint64_t s_parse_number(const char *option, const char *text) {
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0')
        s_die(EXIT_USAGE, "%s: \"%s\" is not a number", option, text);
    return value;
}

static int s_parse_word(const char *option, const char *text, const char *const *words) {
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0)
            return i;
    }
    s_die(EXIT_USAGE, "%s: unknown word \"%s\" (try --help)", option, text);
}

static void s_parse_trap(options_t *options, const char *text) {
    const char *equals = strchr(text, '=');
    size_t size = equals == NULL ? strlen(text) : (size_t)(equals - text);
    trap_t trap = 0;
    while (trap < TRAP_NUMBER && (strlen(s_traps[trap].word) != size || memcmp(s_traps[trap].word, text, size) != 0))
        trap++;
    if (trap == TRAP_NUMBER)
        s_die(EXIT_USAGE, "--trap: unknown trap \"%.*s\" (try --help)", (int)size, text);
    trap_use_t use = s_traps[trap].use;
    if (use == USE_SWITCH && equals != NULL)
        s_die(EXIT_USAGE, "--trap %s: takes no count", s_traps[trap].word);
    if (use == USE_NUMBER && equals == NULL)
        s_die(EXIT_USAGE, "--trap %s: needs a number, as in %s=1000", s_traps[trap].word, s_traps[trap].word);
    uint64_t count = use == USE_ALL ? UINT64_MAX : use == USE_SETS ? 3 : 1;
    if (equals != NULL)
        count = s_parse_number("--trap", equals + 1);
    if (equals != NULL && count == 0 && use != USE_NUMBER)
        s_die(EXIT_USAGE, "--trap %s: a count of 0 means nothing", s_traps[trap].word);
    options->trap[trap] = true;
    options->count[trap] = count;
}

/* Which options of the size were given. */
typedef struct {
    bool preset, audits, modules;
} given_t;

static void s_settle_size(options_t *options, given_t given) {
    if (given.preset && (given.audits || given.modules || options->modules_per_audit != 0))
        s_die(EXIT_USAGE,
              "--preset production has a size of its own: leave out --audits, --modules, --modules-per-audit");
    if (given.audits && given.modules)
        s_die(EXIT_USAGE, "give --audits or --modules, not both");
    if (!given.audits && !given.modules && options->modules_per_audit != 0)
        s_die(EXIT_USAGE, "--modules-per-audit needs --audits or --modules");
    options->production = !given.audits && !given.modules;
    if (options->production) {
        options->audits = 2;
        options->modules = FORGES_MODULES + JALIBAT_MODULES;
        return;
    }
    if (options->modules_per_audit == 0)
        options->modules_per_audit = 500;
    if (given.modules)
        options->audits = (options->modules + options->modules_per_audit - 1) / options->modules_per_audit;
    else if (options->audits > UINT64_C(1) << 40 || options->modules_per_audit > UINT64_C(1) << 20)
        s_die(EXIT_USAGE, "so many modules would not fit any disk");
    else
        options->modules = options->audits * options->modules_per_audit;
    if (options->modules == 0)
        s_die(EXIT_USAGE, "an export needs at least one module (for one without, see --trap empty-results)");
    if (options->modules > UINT64_C(1) << 40)
        s_die(EXIT_USAGE, "so many modules would not fit any disk");
}

/* Every second edit adds one. */
static void s_add_audits(options_t *options) {
    if (options->production)
        options->modules_per_audit = REVISION_MODULES;
    options->first_audits = options->audits;
    options->audits += options->revision / 2;
}

static void s_check(options_t *options) {
    if (options->layout == LAYOUT_MIXED)
        options->shape = SHAPE_NDJSON;
    bool enveloped = options->shape == SHAPE_WRANGLER || options->shape == SHAPE_RESULTS;
    if (options->layout == LAYOUT_ONE_FILE && (options->shape == SHAPE_ARRAY || options->shape == SHAPE_RESULTS))
        s_die(EXIT_USAGE, "--layout one-file: the shape %s has room for one stream only", s_shapes[options->shape]);
    if (options->shape != SHAPE_WRANGLER && (options->trap[TRAP_SEVERAL_SETS] || options->trap[TRAP_PSEUDO_ROW]))
        s_die(EXIT_USAGE, "--trap several-result-sets and pseudo-row need --shape wrangler");
    if (!enveloped &&
        (options->trap[TRAP_SUCCESS_FALSE] || options->trap[TRAP_NULL_RESULTS] || options->trap[TRAP_UNKNOWN_META]))
        s_die(EXIT_USAGE, "--trap success-false, null-results and unknown-meta need --shape wrangler or results");
    if (options->shape == SHAPE_NDJSON && options->trap[TRAP_EMPTY_RESULTS])
        s_die(EXIT_USAGE, "--trap empty-results needs a shape with an array");
    if (options->trap[TRAP_NULL_TEXT] && (options->trap[TRAP_REAL_NULL] || options->trap[TRAP_TEXT_NULL]))
        s_die(EXIT_USAGE, "--trap null-text and real-null or text-null exclude each other");
    uint64_t hits = 0;
    for (trap_t trap = 0; trap < TRAP_NUMBER; trap++) {
        if (s_traps[trap].use != USE_RECORD || !options->trap[trap])
            continue;
        if (options->count[trap] > options->modules - hits)
            s_die(EXIT_USAGE, "--trap: more modules to spoil than the %" PRIu64 " there are", options->modules);
        hits += options->count[trap];
    }
}

enum {
    OPT_OUT = 256,
    OPT_PRESET,
    OPT_AUDITS,
    OPT_PER_AUDIT,
    OPT_MODULES,
    OPT_SEED,
    OPT_REVISION,
    OPT_SHAPE,
    OPT_LAYOUT,
    OPT_TRAP,
    OPT_HELP,
    OPT_VERSION
};

static const struct option s_table[] = {
    {"out", required_argument, NULL, OPT_OUT},
    {"preset", required_argument, NULL, OPT_PRESET},
    {"audits", required_argument, NULL, OPT_AUDITS},
    {"modules-per-audit", required_argument, NULL, OPT_PER_AUDIT},
    {"modules", required_argument, NULL, OPT_MODULES},
    {"seed", required_argument, NULL, OPT_SEED},
    {"revision", required_argument, NULL, OPT_REVISION},
    {"shape", required_argument, NULL, OPT_SHAPE},
    {"layout", required_argument, NULL, OPT_LAYOUT},
    {"trap", required_argument, NULL, OPT_TRAP},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

static void s_take_option(int option, options_t *options, given_t *given) {
    static const char *const presets[] = {"production", NULL};
    switch (option) {
    case OPT_OUT:
        options->out = optarg;
        break;
    case OPT_PRESET:
        s_parse_word("--preset", optarg, presets);
        given->preset = true;
        break;
    case OPT_AUDITS:
        options->audits = s_parse_number("--audits", optarg);
        given->audits = true;
        break;
    case OPT_PER_AUDIT:
        options->modules_per_audit = s_parse_number("--modules-per-audit", optarg);
        if (options->modules_per_audit == 0)
            s_die(EXIT_USAGE, "--modules-per-audit: must be at least 1");
        break;
    case OPT_MODULES:
        options->modules = s_parse_number("--modules", optarg);
        given->modules = true;
        break;
    case OPT_SEED:
        options->seed = s_parse_number("--seed", optarg);
        break;
    case OPT_REVISION:
        options->revision = s_parse_number("--revision", optarg);
        if (options->revision > REVISION_MAX)
            s_die(EXIT_USAGE, "--revision: at most %d", REVISION_MAX);
        break;
    case OPT_SHAPE:
        options->shape = (shape_t)s_parse_word("--shape", optarg, s_shapes);
        break;
    case OPT_LAYOUT:
        options->layout = (layout_t)s_parse_word("--layout", optarg, s_layouts);
        break;
    case OPT_TRAP:
        s_parse_trap(options, optarg);
        break;
    case OPT_HELP:
        s_print_help();
        exit(0);
    case OPT_VERSION:
        puts("pvrelay-export-gen " PVRELAY_VERSION);
        exit(0);
    default: /* getopt_long has said what is wrong */
        exit(EXIT_USAGE);
    }
}

static void s_parse(int argc, char **argv, options_t *ret_options) {
    options_t options = {.seed = 1};
    given_t given = {0};
    int option;
    while ((option = getopt_long(argc, argv, "", s_table, NULL)) != -1)
        s_take_option(option, &options, &given);
    if (optind < argc)
        s_die(EXIT_USAGE, "unexpected argument \"%s\" (try --help)", argv[optind]);
    if (options.out == NULL)
        s_die(EXIT_USAGE, "--out DIR is missing (try --help)");
    s_settle_size(&options, given);
    s_check(&options);
    s_add_audits(&options);
    *ret_options = options;
}

int main(int argc, char **argv) {
    static gen_t gen;
    s_parse(argc, argv, &gen.options);
    const options_t *options = &gen.options;
    if (mkdir(options->out, 0755) != 0 && errno != EEXIST)
        s_die(EXIT_OUTPUT, "%s: cannot make the folder: %s", options->out, strerror(errno));
    gen.buffer = malloc(BUFFER_BYTES);
    gen.crlf = malloc(2 * (size_t)BUFFER_BYTES);
    if (gen.buffer == NULL || gen.crlf == NULL)
        s_die(EXIT_OUTPUT, "out of memory");

    /* Before 4.72 `wrangler --local` printed NULL as the text "null": the production files are of that kind. */
    gen.nulls_text =
        options->trap[TRAP_NULL_TEXT] || ((options->shape == SHAPE_WRANGLER || options->shape == SHAPE_RESULTS) &&
                                          !options->trap[TRAP_REAL_NULL] && !options->trap[TRAP_TEXT_NULL]);
    gen.text_nulls = options->trap[TRAP_TEXT_NULL] ? options->count[TRAP_TEXT_NULL] : 0;
    s_prepare_leads(&gen);
    s_deal_production(&gen);

    switch (options->layout) {
    case LAYOUT_PAIR:
        s_make_pair(&gen);
        break;
    case LAYOUT_ONE_FILE:
        s_make_one_file(&gen);
        break;
    case LAYOUT_PER_AUDIT:
        s_make_per_audit(&gen);
        break;
    case LAYOUT_MIXED:
        s_make_mixed(&gen);
        break;
    }
    free(gen.buffer);
    free(gen.crlf);
    if (fflush(stdout) != 0)
        s_die(EXIT_OUTPUT, "standard output: cannot write: %s", strerror(errno));
    return 0;
}

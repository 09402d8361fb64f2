/* SPDX-License-Identifier: MIT */
/* Scanning export files: their shapes, their result sets, and what is refused; and the plan that follows from them. */

/*  DESIGN
 *
 *  file     = [BOM] banner value* EOF            banner: lines before the first one that begins JSON
 *  value    = element | "[" [ element ("," element)* ] "]"
 *  element  = envelope | record                  an envelope is an object with a key "results": [...] or null
 *  envelope = "{" key ":" (results | json) ... "}"
 *  results  = null | "[" [ record ("," record)* ] "]"
 *
 *  A record is skipped, not parsed: only its brackets and strings are looked at (export_skip.h), so that what is wrong
 *  with its values rejects this one record later and not the whole file now. Everything around the records is strict,
 *  because there a mistake means that records may be missing: envelopes' values go through jansson.
 *
 *  Whether an element is an envelope is decided before its end is known, as its results may be larger than any
 *  buffer: it is skipped as if it were a record, and when it does not end soon, what is there is searched for the key.
 *
 *  The stream of a result set is that of its first record whose columns a stream has; records before and after it that
 *  fit none stay in the set and are rejected one by one. Lines may change their stream from one to the next.
 *
 *  Of wrangler's result sets it is noticed in passing whether a JSON null stands in them (common/null_text.h): until the
 *  first one is found the skipping of a record tells whether there is an n outside strings, and only then it is looked at.
 */
#include "common/export.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/export_input.h"
#include "common/export_skip.h"
#include "common/json.h"
#include "common/text.h"

enum {
    CHUNK_BYTES = 256 << 10,
    BANNER_MAX_BYTES = 64 << 10, /* what has no JSON by then has none */
    SETS_MAX = 100000,           /* lines that alternate between streams must not eat the memory */
    UNKNOWN_META_MAX = 64,
    KEYS_MAX = 1024,
    COLUMNS_TEXT_BYTES = 320
};

#define PR_BOM "\xef\xbb\xbf"

/* The keys of one object, in order. Names point into the object's bytes, or are owned if they had escapes. */
typedef struct {
    const char *names[KEYS_MAX];
    size_t sizes[KEYS_MAX];
    char *owned[KEYS_MAX];
    size_t count;
    size_t owned_count;
} s_keys_t;

typedef struct {
    pr_input_t input;
    const pr_mapping_t *mapping;
    pr_export_t *export;
    size_t sets_room;
    bool open;                        /* the last set goes on: lines, a bare array */
    uint64_t records;                 /* whole records so far */
    size_t unknown_meta;              /* how many are noted */
    s_keys_t keys;                    /* of the object looked at last */
    char columns[COLUMNS_TEXT_BYTES]; /* of the open set's first record, if no stream has them */
    bool look_for_nulls;              /* s_bracketed shall tell whether there may be a JSON null */
    bool nulls;                       /* it told that there may be one */
    pr_error_t *err;
} s_scan_t;

/* ---- words for messages ---- */

/* A byte as an operator would name it. */
static const char *s_byte_name(int byte, char ret_name[16]) {
    if (byte > ' ' && byte < 0x7f) {
        (void)snprintf(ret_name, 16, "'%c'", byte);
    } else {
        (void)snprintf(ret_name, 16, "byte 0x%02x", (unsigned)byte & 0xff);
    }
    return ret_name;
}

/* What is read at the moment, for messages: a record if what is NULL. */
static void s_describe(const s_scan_t *scan, const char *what, char *ret_text, size_t room) {
    const pr_export_t *export = scan->export;
    bool wrangler = scan->open && export->sets[export->sets_count - 1].shape == PR_SHAPE_WRANGLER;
    if (what != NULL) {
        (void)snprintf(ret_text, room, "%s", what);
    } else if (wrangler) {
        (void)snprintf(ret_text, room, "record %llu of result set %zu",
                       (unsigned long long)export->sets[export->sets_count - 1].records + 1, export->sets_count);
    } else {
        (void)snprintf(ret_text, room, "record %llu", (unsigned long long)scan->records + 1);
    }
}

static int s_truncated(s_scan_t *scan, const char *what) {
    char text[128];
    s_describe(scan, what, text, sizeof text);
    return pr_input_fail(&scan->input, PR_E_TRUNCATED, scan->input.base + scan->input.end, scan->err,
                         "truncated: the file ends inside %s, after %llu whole record%s; export it again", text,
                         (unsigned long long)scan->records, scan->records == 1 ? "" : "s");
}

static int s_unexpected(s_scan_t *scan, int byte, const char *expected) {
    char name[16];
    return pr_input_fail(&scan->input, PR_E_MALFORMED, pr_input_offset(&scan->input), scan->err,
                         "found %s, expected %s; export it again", s_byte_name(byte, name), expected);
}

/* ---- bytes ---- */

/* The next byte that is no white space, not consumed; -1: the file ends; < -1: error. */
enum { S_END = -1 };
static int s_next(s_scan_t *scan) {
    pr_input_t *input = &scan->input;
    for (;;) {
        while (input->at < input->end) {
            char byte = input->data[input->at];
            if (byte != ' ' && byte != '\n' && byte != '\r' && byte != '\t') {
                return (unsigned char)byte;
            }
            input->at++;
        }
        int rc = pr_input_fill(input, scan->err);
        if (rc <= 0) {
            return rc == 0 ? S_END : rc;
        }
    }
}

/* Make sure that bytes are there behind the place, if the file has so many. Returns how many there are, at most want,
 * or <0. */
static int s_ahead(s_scan_t *scan, size_t want) {
    while (scan->input.end - scan->input.at < want) {
        int rc = pr_input_fill(&scan->input, scan->err);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0) {
            return (int)(scan->input.end - scan->input.at);
        }
    }
    return (int)want;
}

/* The closing quote of a string whose content begins at data; NULL: it is not there. */
static const char *s_string_end(const char *data, const char *end) {
    const char *quote = data;
    while ((quote = memchr(quote, '"', (size_t)(end - quote))) != NULL) {
        const char *before = quote;
        while (before > data && before[-1] == '\\') {
            before--;
        }
        if ((quote - before) % 2 == 0) {
            return quote;
        }
        quote++;
    }
    return NULL;
}

/* ---- keys ---- */

static void s_keys_clear(s_keys_t *keys) {
    for (size_t i = 0; i < keys->owned_count; i++) {
        free(keys->owned[i]);
    }
    keys->owned_count = 0;
    keys->count = 0;
}

/* A JSON string with its quotes, decoded. *Returns new*; NULL if it is not valid. */
static char *s_decode(const char *data, size_t size, size_t *ret_size) {
    json_t *json = json_loadb(data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    char *text = NULL;
    if (json_is_string(json)) {
        *ret_size = json_string_length(json);
        text = pr_xmalloc(*ret_size + 1);
        memcpy(text, json_string_value(json), *ret_size + 1);
    }
    json_decref(json);
    return text;
}

/* Note a key; data: size bytes between its quotes. */
static void s_keys_add(s_keys_t *keys, const char *data, size_t size) {
    if (keys->count == KEYS_MAX) {
        return;
    }
    keys->names[keys->count] = data;
    keys->sizes[keys->count] = size;
    if (memchr(data, '\\', size) != NULL) {
        size_t decoded_size;
        char *decoded = s_decode(data - 1, size + 2, &decoded_size);
        if (decoded != NULL) {
            keys->owned[keys->owned_count++] = decoded;
            keys->names[keys->count] = decoded;
            keys->sizes[keys->count] = decoded_size;
        }
    }
    keys->count++;
}

static bool s_keys_last_is(const s_keys_t *keys, const char *name) {
    size_t i = keys->count - 1;
    return keys->sizes[i] == strlen(name) && memcmp(keys->names[i], name, keys->sizes[i]) == 0;
}

static bool s_keys_have(const s_keys_t *keys, const char *name) {
    size_t size = strlen(name);
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->sizes[i] == size && memcmp(keys->names[i], name, size) == 0) {
            return true;
        }
    }
    return false;
}

static const char *s_skip_blanks(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    return at;
}

/*  Collect the keys of an object, whole or only its begin. It need not be valid: a string before a colon on the
 *  object's own level is a key. Returns true, at once, if it is an envelope. */
static bool s_keys_collect(s_keys_t *keys, const char *data, size_t size) {
    const char *end = data + size;
    s_keys_clear(keys);
    for (const char *at = data + 1; at < end;) {
        if (*at == '"') {
            const char *quote = s_string_end(at + 1, end);
            if (quote == NULL) {
                return false;
            }
            const char *behind = s_skip_blanks(quote + 1, end);
            if (behind < end && *behind == ':') {
                s_keys_add(keys, at + 1, (size_t)(quote - at - 1));
                behind = s_skip_blanks(behind + 1, end);
                if (behind < end && (*behind == '[' || *behind == 'n') && s_keys_last_is(keys, "results")) {
                    return true;
                }
            }
            at = behind;
        } else if (*at == '{' || *at == '[') {
            pr_skip_t skip = {0};
            size_t used;
            if (pr_skip_value(&skip, at, (size_t)(end - at), &used) != PR_SKIP_DONE) {
                return false;
            }
            at += used;
        } else if (*at == '}' || *at == ']') {
            return false;
        } else {
            at++;
        }
    }
    return false;
}

static int s_recognise(const s_scan_t *scan) {
    return pr_mapping_recognise(scan->mapping, scan->keys.names, scan->keys.sizes, scan->keys.count);
}

/* The collected keys, for a message. */
static void s_keys_print(const s_keys_t *keys, char *ret_text, size_t room) {
    size_t used = 0;
    ret_text[0] = '\0';
    for (size_t i = 0; i < keys->count; i++) {
        char name[68];
        (void)pr_text_fit(keys->names[i], keys->sizes[i], name, sizeof name);
        if (used + strlen(name) + 40 > room) {
            (void)snprintf(ret_text + used, room - used, " and %zu more", keys->count - i);
            return;
        }
        used += (size_t)snprintf(ret_text + used, room - used, "%s%s", i == 0 ? "" : ", ", name);
    }
}

/* ---- result sets ---- */

/* The streams of the mapping with the columns that tell them, for a message. */
static void s_streams_print(const pr_mapping_t *mapping, char *ret_text, size_t room) {
    size_t used = 0;
    ret_text[0] = '\0';
    for (size_t i = 0; i < mapping->streams_count; i++) {
        const pr_stream_t *stream = &mapping->streams[i];
        char text[256];
        size_t length = (size_t)snprintf(text, sizeof text, "%s%s (", i == 0 ? "" : ", ", stream->name);
        for (size_t j = 0; j < stream->recognise_count && length < sizeof text; j++) {
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", j == 0 ? "" : ", ",
                                       stream->fields[stream->recognise[j]].name);
        }
        if (length + 2 > sizeof text || used + length + 40 > room) {
            (void)snprintf(ret_text + used, room - used, " and %zu more", mapping->streams_count - i);
            return;
        }
        used += (size_t)snprintf(ret_text + used, room - used, "%s)", text);
    }
}

/* The open set, if there is one, gets no more records: a stream must have been found for those it has. */
static int s_set_close(s_scan_t *scan) {
    if (!scan->open || scan->export->sets_count == 0) {
        return 0;
    }
    scan->open = false;
    const pr_result_set_t *set = &scan->export->sets[scan->export->sets_count - 1];
    if (set->records == 0 || set->stream >= 0) {
        return 0;
    }
    char streams[320], what[64];
    s_streams_print(scan->mapping, streams, sizeof streams);
    (void)snprintf(what, sizeof what, "result set %zu", scan->export->sets_count);
    return pr_input_fail(&scan->input, PR_E_UNKNOWN_STREAM, set->begin, scan->err,
                         "%s is of no stream of the mapping: its columns are %s; the streams are %s; leave it out of "
                         "the export or add a stream to the mapping",
                         set->shape == PR_SHAPE_WRANGLER ? what : "the record", scan->columns, streams);
}

static int s_set_open(s_scan_t *scan, pr_shape_t shape, int stream) {
    pr_export_t *export = scan->export;
    int rc = s_set_close(scan);
    if (rc < 0) {
        return rc;
    }
    if (export->sets_count == SETS_MAX) {
        return pr_input_fail(&scan->input, PR_E_MALFORMED, pr_input_offset(&scan->input), scan->err,
                             "holds more than %d result sets; export each table into a file of its own", SETS_MAX);
    }
    if (export->sets_count == scan->sets_room) {
        scan->sets_room = scan->sets_room * 2 + 4;
        export->sets = pr_xrealloc(export->sets, scan->sets_room * sizeof *export->sets);
    }
    uint64_t here = pr_input_offset(&scan->input);
    export->sets[export->sets_count++] =
        (pr_result_set_t){.stream = stream, .shape = shape, .begin = here, .end = here};
    scan->open = true;
    return 0;
}

/* Count the record of length bytes that begins here into the open set, and go behind it. */
static void s_set_add(s_scan_t *scan, size_t length) {
    pr_result_set_t *set = &scan->export->sets[scan->export->sets_count - 1];
    uint64_t here = pr_input_offset(&scan->input);
    if (set->records == 0) {
        set->begin = here;
    }
    set->records++;
    set->end = here + length;
    scan->records++;
    scan->input.at += length;
}

/* ---- what is not data ---- */

static int s_not_data_summary(s_scan_t *scan) {
    return pr_input_fail(&scan->input, PR_E_NOT_DATA, pr_input_offset(&scan->input), scan->err,
                         "holds the summary of a command given with --file (\"Total queries executed\"), not data; "
                         "export with --json --command \"SELECT * FROM ...\"");
}

/* Note a failed export. error (borrowed): the value of "error" or NULL. */
static int s_not_data_failed(s_scan_t *scan, uint64_t offset, const json_t *error) {
    const json_t *value = error;
    if (json_is_object(error)) {
        value = json_object_get(error, "text");
        value = value != NULL ? value : json_object_get(error, "message");
    }
    char text[400] = "\"success\" is not true";
    if (json_is_string(value)) {
        (void)pr_text_fit(json_string_value(value), json_string_length(value), text, sizeof text);
    } else if (error != NULL) {
        char *dump = pr_json_dump(error, JSON_COMPACT);
        (void)pr_text_fit(dump, strlen(dump), text, sizeof text);
        free(dump);
    }
    return pr_input_fail(&scan->input, PR_E_NOT_DATA, offset, scan->err,
                         "holds a failed export, not data: %s; mend the cause and export it again", text);
}

/* An object that no stream knows, whole in the buffer, its keys collected: is it known not to be data? */
static int s_not_data(s_scan_t *scan, size_t length) {
    if (s_keys_have(&scan->keys, "Total queries executed")) {
        return s_not_data_summary(scan);
    }
    if (!s_keys_have(&scan->keys, "error") && !s_keys_have(&scan->keys, "success")) {
        return 0;
    }
    json_t *object =
        json_loadb(scan->input.data + scan->input.at, length, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    const json_t *error = json_object_get(object, "error");
    int rc = 0;
    if (json_is_null(error)) {
        error = NULL;
    }
    if (error != NULL || json_is_false(json_object_get(object, "success"))) {
        rc = s_not_data_failed(scan, pr_input_offset(&scan->input), error);
    }
    json_decref(object);
    return rc;
}

/* ---- values ---- */

/* The result of s_bracketed. */
typedef enum { S_VALUE, S_ENVELOPE } s_bracketed_t;

static int s_skip_failed(s_scan_t *scan, pr_skip_result_t result, size_t where, const char *what) {
    char text[128];
    s_describe(scan, what, text, sizeof text);
    uint64_t offset = pr_input_offset(&scan->input) + where;
    if (result == PR_SKIP_DEEP) {
        return pr_input_fail(&scan->input, PR_E_MALFORMED, offset, scan->err,
                             "%s is nested deeper than %d levels; no export is", text, PR_SKIP_DEPTH_MAX);
    }
    return pr_input_fail(&scan->input, PR_E_MALFORMED, offset, scan->err,
                         "a bracket in %s is closed by '%c', which is of the other kind; export it again", text,
                         scan->input.data[scan->input.at + where]);
}

static int s_too_long(s_scan_t *scan, const char *what) {
    char text[128];
    s_describe(scan, what, text, sizeof text);
    return pr_input_fail(&scan->input, PR_E_MALFORMED, pr_input_offset(&scan->input), scan->err,
                         "%s is longer than %u bytes; D1 holds no such row", text, PR_RECORD_MAX_BYTES);
}

/*  Find the end of the array or object that begins here; it is then whole in the buffer.
 *  what: for messages, NULL: a record. element: it may be an envelope, which is told instead of its end.
 *  Returns S_VALUE, S_ENVELOPE, or <0. */
static int s_bracketed(s_scan_t *scan, const char *what, bool element, size_t *ret_length) {
    pr_input_t *input = &scan->input;
    pr_skip_t skip = {0};
    size_t done = 0;
    size_t searched = 0;
    for (;;) {
        size_t used;
        const char *data = input->data + input->at + done;
        size_t size = input->end - input->at - done;
        pr_skip_result_t result = scan->look_for_nulls ? pr_skip_value_nulls(&skip, data, size, &used)
                                                       : pr_skip_value(&skip, data, size, &used);
        done += used;
        if (result == PR_SKIP_DONE && done <= PR_RECORD_MAX_BYTES) {
            scan->nulls = skip.nulls;
            *ret_length = done;
            return S_VALUE;
        }
        /* Before it is called anything else it must not be an envelope. Doubling keeps the searches linear. */
        if (element && (result != PR_SKIP_MORE || done >= 2 * searched)) {
            searched = done;
            if (s_keys_collect(&scan->keys, input->data + input->at, done)) {
                return S_ENVELOPE;
            }
        }
        if (result == PR_SKIP_MISMATCH || result == PR_SKIP_DEEP) {
            return s_skip_failed(scan, result, done, what);
        }
        if (done > PR_RECORD_MAX_BYTES) {
            return s_too_long(scan, what);
        }
        int rc = pr_input_fill(input, scan->err);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0) {
            if (element && s_keys_collect(&scan->keys, input->data + input->at, done)) {
                return S_ENVELOPE;
            }
            return s_truncated(scan, what);
        }
    }
}

/* Find the end of the string that begins here; it is then whole in the buffer. ret_length: with its quotes. */
static int s_string(s_scan_t *scan, const char *what, size_t *ret_length) {
    pr_input_t *input = &scan->input;
    for (;;) {
        const char *begin = input->data + input->at;
        const char *quote = s_string_end(begin + 1, input->data + input->end);
        size_t length = quote != NULL ? (size_t)(quote - begin) + 1 : input->end - input->at;
        if (length > PR_RECORD_MAX_BYTES) {
            return s_too_long(scan, what);
        }
        if (quote != NULL) {
            *ret_length = length;
            return 0;
        }
        int rc = pr_input_fill(input, scan->err);
        if (rc <= 0) {
            return rc < 0 ? rc : s_truncated(scan, what);
        }
    }
}

/* The same for a number or word: up to the next byte that ends one. */
static int s_scalar(s_scan_t *scan, const char *what, size_t *ret_length) {
    size_t length = 0;
    for (;;) {
        int there = s_ahead(scan, length + 1);
        if (there < 0) {
            return there;
        }
        if ((size_t)there <= length) {
            return s_truncated(scan, what);
        }
        if (strchr(" \t\r\n,:]}[{\"", scan->input.data[scan->input.at + length]) != NULL || length > 400) {
            *ret_length = length;
            return 0;
        }
        length++;
    }
}

/* Read one JSON value of an envelope, strictly. ret_json: *returns new*. */
static int s_json(s_scan_t *scan, const char *what, json_t **ret_json) {
    int byte = s_next(scan);
    size_t length = 0;
    int rc;
    if (byte == S_END) {
        return s_truncated(scan, what);
    }
    if (byte < 0) {
        return byte;
    }
    if (byte == '{' || byte == '[') {
        rc = s_bracketed(scan, what, false, &length);
    } else {
        rc = byte == '"' ? s_string(scan, what, &length) : s_scalar(scan, what, &length);
    }
    if (rc < 0) {
        return rc;
    }
    /* Integers as reals: jansson would refuse one beyond int64, and here no number matters. */
    json_error_t problem;
    json_t *json = json_loadb(scan->input.data + scan->input.at, length,
                              JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &problem);
    if (json == NULL) {
        return pr_input_fail(&scan->input, PR_E_MALFORMED, pr_input_offset(&scan->input), scan->err,
                             "%s is not valid JSON; export it again", what);
    }
    scan->input.at += length;
    *ret_json = json;
    return 0;
}

/* ---- wrangler's envelope ---- */

/* Decide the stream of the open set by a record that is whole here. */
static int s_decide(s_scan_t *scan, size_t length) {
    pr_result_set_t *set = &scan->export->sets[scan->export->sets_count - 1];
    (void)s_keys_collect(&scan->keys, scan->input.data + scan->input.at, length);
    set->stream = s_recognise(scan);
    if (set->stream >= 0) {
        return 0;
    }
    if (s_keys_have(&scan->keys, "Total queries executed")) {
        return s_not_data_summary(scan);
    }
    if (set->records == 0) {
        s_keys_print(&scan->keys, scan->columns, sizeof scan->columns);
    }
    return 0;
}

/* Does the word null stand outside strings? The object is whole. */
static bool s_holds_null(const char *data, size_t length) {
    static const char word[] = "null";
    const char *end = data + length;
    for (const char *at = data; at < end; at++) {
        if (*at == '"') {
            at = s_string_end(at + 1, end);
            if (at == NULL) {
                return false;
            }
        } else if (*at == 'n' && (size_t)(end - at) > sizeof word - 1 && memcmp(at, word, sizeof word - 1) == 0) {
            return true;
        }
    }
    return false;
}

/*  Note what a record, whole here, tells about nulls. What its keys and texts hold in escapes is not looked at: no exporter
 *  escapes a letter. */
static void s_note_nulls(s_scan_t *scan, pr_result_set_t *set, size_t length) {
    static const char text[] = "\"null\"";
    const char *record = scan->input.data + scan->input.at;
    if (set->nulls) {
        return;
    }
    set->nulls = scan->nulls && s_holds_null(record, length);
    if (!set->nulls && !set->null_texts) {
        set->null_texts = memmem(record, length, text, sizeof text - 1) != NULL;
    }
}

/* The records between [ and ] of an envelope's results. */
static int s_records(s_scan_t *scan) {
    scan->input.at++;
    bool first = true;
    for (;;) {
        int byte = s_next(scan);
        if (byte == ']' && first) {
            break;
        }
        if (byte < 0) {
            return byte == S_END ? s_truncated(scan, NULL) : byte;
        }
        if (byte != '{') {
            char text[128], name[16];
            s_describe(scan, NULL, text, sizeof text);
            return pr_input_fail(&scan->input, PR_E_MALFORMED, pr_input_offset(&scan->input), scan->err,
                                 "%s is not an object: found %s, expected '{'; export it again", text,
                                 s_byte_name(byte, name));
        }
        size_t length = 0;
        pr_result_set_t *set = &scan->export->sets[scan->export->sets_count - 1];
        scan->look_for_nulls = !set->nulls;
        int rc = s_bracketed(scan, NULL, false, &length);
        scan->look_for_nulls = false;
        if (rc == 0 && set->stream < 0) {
            rc = s_decide(scan, length);
        }
        if (rc < 0) {
            return rc;
        }
        s_note_nulls(scan, set, length);
        s_set_add(scan, length);
        first = false;
        byte = s_next(scan);
        if (byte == ']') {
            break;
        }
        if (byte < 0) {
            char what[80];
            (void)snprintf(what, sizeof what, "result set %zu", scan->export->sets_count);
            return byte == S_END ? s_truncated(scan, what) : byte;
        }
        if (byte != ',') {
            return s_unexpected(scan, byte, "',' or ']' after a record");
        }
        scan->input.at++;
    }
    scan->input.at++;
    return s_set_close(scan);
}

static void s_note_unknown_meta(s_scan_t *scan, const char *key) {
    char **names = scan->export->unknown_meta;
    for (size_t i = 0; i < scan->unknown_meta; i++) {
        if (strcmp(names[i], key) == 0) {
            return;
        }
    }
    if (scan->unknown_meta == UNKNOWN_META_MAX) {
        return;
    }
    names = pr_xrealloc(names, (scan->unknown_meta + 2) * sizeof *names);
    names[scan->unknown_meta++] = pr_xstrdup(key);
    names[scan->unknown_meta] = NULL;
    scan->export->unknown_meta = names;
}

/* What an envelope has told so far. */
typedef struct {
    uint64_t offset; /* of its { */
    bool results;    /* its results were read */
    bool failed;     /* "success": false */
    json_t *error;   /* owned */
} s_envelope_t;

static int s_results(s_scan_t *scan, s_envelope_t *envelope) {
    if (envelope->results) {
        return pr_input_fail(&scan->input, PR_E_MALFORMED, pr_input_offset(&scan->input), scan->err,
                             "\"results\" stands twice in result set %zu; export it again", scan->export->sets_count);
    }
    envelope->results = true;
    int byte = s_next(scan);
    if (byte < S_END) {
        return byte;
    }
    int rc = s_set_open(scan, PR_SHAPE_WRANGLER, -1);
    if (rc < 0) {
        return rc;
    }
    if (byte == '[') {
        return s_records(scan);
    }
    json_t *json = NULL;
    rc = s_json(scan, "the value of \"results\"", &json);
    bool null = json_is_null(json);
    json_decref(json);
    if (rc == 0 && !null) {
        uint64_t offset = scan->export->sets[scan->export->sets_count - 1].begin;
        return pr_input_fail(&scan->input, PR_E_MALFORMED, offset, scan->err,
                             "the value of \"results\" is neither an array nor null; export it again");
    }
    return rc < 0 ? rc : s_set_close(scan);
}

/* The value behind the key of an envelope. key: borrowed. */
static int s_envelope_value(s_scan_t *scan, s_envelope_t *envelope, const char *key) {
    if (strcmp(key, "results") == 0) {
        return s_results(scan, envelope);
    }
    char name[64], what[96];
    (void)pr_text_fit(key, strlen(key), name, sizeof name);
    (void)snprintf(what, sizeof what, "the value of \"%s\"", name);
    json_t *json;
    int rc = s_json(scan, what, &json);
    if (rc < 0) {
        return rc;
    }
    if (strcmp(key, "success") == 0) {
        envelope->failed = !json_is_true(json);
    } else if (strcmp(key, "error") == 0 && !json_is_null(json)) {
        json_decref(envelope->error);
        envelope->error = json_incref(json);
    } else if (strcmp(key, "meta") != 0) {
        s_note_unknown_meta(scan, name);
    }
    json_decref(json);
    return 0;
}

/* What s_next returned is not what an envelope goes on with: its end, an error, another byte. */
static int s_not_expected(s_scan_t *scan, int byte, const char *expected) {
    if (byte < 0) {
        return byte == S_END ? s_truncated(scan, "a result set's envelope") : byte;
    }
    return s_unexpected(scan, byte, expected);
}

/* The key of an envelope and the colon behind it. *Returns new*; NULL with ret_rc. */
static char *s_envelope_key(s_scan_t *scan, int *ret_rc) {
    int byte = s_next(scan);
    if (byte != '"') {
        *ret_rc = s_not_expected(scan, byte, "a key of a result set's envelope");
        return NULL;
    }
    size_t length = 0;
    int rc = s_string(scan, "a key of a result set's envelope", &length);
    if (rc < 0) {
        *ret_rc = rc;
        return NULL;
    }
    size_t size = 0;
    char *key = s_decode(scan->input.data + scan->input.at, length, &size);
    if (key == NULL) {
        *ret_rc = pr_input_fail(&scan->input, PR_E_MALFORMED, pr_input_offset(&scan->input), scan->err,
                                "a key of a result set's envelope is not valid JSON; export it again");
        return NULL;
    }
    scan->input.at += length;
    byte = s_next(scan);
    if (byte != ':') {
        free(key);
        *ret_rc = s_not_expected(scan, byte, "':' after a key of a result set's envelope");
        return NULL;
    }
    scan->input.at++;
    return key;
}

static int s_envelope_members(s_scan_t *scan, s_envelope_t *envelope) {
    for (;;) {
        int rc = 0;
        char *key = s_envelope_key(scan, &rc);
        if (key == NULL) {
            return rc;
        }
        rc = s_envelope_value(scan, envelope, key);
        free(key);
        if (rc < 0) {
            return rc;
        }
        int byte = s_next(scan);
        if (byte != ',' && byte != '}') {
            return s_not_expected(scan, byte, "',' or '}' in a result set's envelope");
        }
        scan->input.at++;
        if (byte == '}') {
            return 0;
        }
    }
}

/* The envelope that begins here. */
static int s_envelope(s_scan_t *scan) {
    int rc = s_set_close(scan);
    if (rc < 0) {
        return rc;
    }
    s_envelope_t envelope = {.offset = pr_input_offset(&scan->input)};
    scan->input.at++;
    rc = s_envelope_members(scan, &envelope);
    if (rc == 0 && (envelope.failed || envelope.error != NULL)) {
        rc = s_not_data_failed(scan, envelope.offset, envelope.error);
    }
    json_decref(envelope.error);
    return rc;
}

/* ---- the file's own level ---- */

/* Does a record of this stream (-1: of none) go on with an open set? */
static bool s_set_takes(const pr_result_set_t *set, pr_shape_t shape, int stream) {
    return set->shape == shape && (shape == PR_SHAPE_ARRAY || stream < 0 || set->stream < 0 || set->stream == stream);
}

/* A record that stands alone or in a bare array: length bytes, whole here, its keys collected. */
static int s_bare_record(s_scan_t *scan, pr_shape_t shape, size_t length) {
    pr_export_t *export = scan->export;
    int stream = s_recognise(scan);
    if (stream < 0) {
        int rc = s_not_data(scan, length);
        if (rc < 0) {
            return rc;
        }
    }
    if (!scan->open || !s_set_takes(&export->sets[export->sets_count - 1], shape, stream)) {
        int rc = s_set_open(scan, shape, stream);
        if (rc < 0) {
            return rc;
        }
        if (stream < 0) {
            s_keys_print(&scan->keys, scan->columns, sizeof scan->columns);
        }
    }
    pr_result_set_t *set = &export->sets[export->sets_count - 1];
    if (set->stream < 0) {
        set->stream = stream;
    }
    s_set_add(scan, length);
    return 0;
}

/* The object that begins here, on the file's own level or in its array. */
static int s_element(s_scan_t *scan, pr_shape_t shape) {
    size_t length = 0;
    int rc = s_bracketed(scan, NULL, true, &length);
    if (rc < 0) {
        return rc;
    }
    if (rc == S_ENVELOPE || s_keys_collect(&scan->keys, scan->input.data + scan->input.at, length)) {
        return s_envelope(scan);
    }
    return s_bare_record(scan, shape, length);
}

static int s_array_end(s_scan_t *scan, bool empty) {
    if (empty) {
        int rc = s_set_open(scan, PR_SHAPE_ARRAY, -1);
        if (rc < 0) {
            return rc;
        }
    }
    scan->input.at++;
    return s_set_close(scan);
}

static int s_array(s_scan_t *scan) {
    static const char *const what = "the array that the file consists of";
    int rc = s_set_close(scan);
    if (rc < 0) {
        return rc;
    }
    scan->input.at++;
    bool empty = true;
    for (;;) {
        int byte = s_next(scan);
        if (byte == ']' && empty) {
            return s_array_end(scan, true);
        }
        if (byte < 0) {
            return byte == S_END ? s_truncated(scan, what) : byte;
        }
        if (byte != '{') {
            return s_unexpected(scan, byte, "'{': an array of records or of result sets");
        }
        rc = s_element(scan, PR_SHAPE_ARRAY);
        if (rc < 0) {
            return rc;
        }
        empty = false;
        byte = s_next(scan);
        if (byte == ']') {
            return s_array_end(scan, false);
        }
        if (byte < 0) {
            return byte == S_END ? s_truncated(scan, what) : byte;
        }
        if (byte != ',') {
            return s_unexpected(scan, byte, "',' or ']' after an element of the array");
        }
        scan->input.at++;
    }
}

static int s_values(s_scan_t *scan) {
    for (;;) {
        int byte = s_next(scan);
        int rc;
        if (byte == S_END) {
            return s_set_close(scan);
        }
        if (byte < 0) {
            return byte;
        }
        if (byte == '[') {
            rc = s_array(scan);
        } else if (byte == '{') {
            rc = s_element(scan, PR_SHAPE_LINES);
        } else {
            rc = s_unexpected(scan, byte, "'[', '{' or the end of the file");
        }
        if (rc < 0) {
            return rc;
        }
    }
}

/* ---- the file's begin ---- */

/* Kinds of files that get exported by mistake, by their first bytes. */
static int s_refuse_kinds(s_scan_t *scan) {
    static const struct {
        const char *magic;
        int size;
        const char *text;
    } kinds[] = {
        {"\x1f\x8b", 2, "is compressed: gunzip it first"},
        {"\xff\xfe", 2, "is UTF-16, as PowerShell's > makes it: convert it to UTF-8 first"},
        {"\xfe\xff", 2, "is UTF-16: convert it to UTF-8 first"},
        {"SQLite format 3", 16, "is a SQLite database, not an export of one"},
    };
    int there = s_ahead(scan, 16);
    for (size_t i = 0; there >= 0 && i < sizeof kinds / sizeof *kinds; i++) {
        if (there >= kinds[i].size && memcmp(scan->input.data, kinds[i].magic, (size_t)kinds[i].size) == 0) {
            return pr_error_set(scan->err, PR_E_UNREADABLE, "%s: %s", scan->input.path, kinds[i].text);
        }
    }
    if (there >= 3 && memcmp(scan->input.data, PR_BOM, 3) == 0) {
        scan->export->bom = true;
        scan->input.at = 3;
    }
    return there < 0 ? there : 0;
}

/* Does a bare value follow that could stand in an array? Tells `[1]` from `[warning]`. */
static bool s_begins_value(const char *at, const char *end) {
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < 3; i++) {
        size_t size = strlen(words[i]);
        if ((size_t)(end - at) >= size && memcmp(at, words[i], size) == 0) {
            const char *behind = s_skip_blanks(at + size, end);
            return behind == end || *behind == ',' || *behind == ']';
        }
    }
    return *at == '"' || *at == '-' || (*at >= '0' && *at <= '9') || *at == '[';
}

/* Does JSON begin at this byte, the first one of its line that is no blank? first: no line with anything came before.
 */
static bool s_begins_json(const char *at, const char *end, bool first) {
    const char *next = s_skip_blanks(at + 1, end);
    if (*at == '{') {
        return next == end || *next == '"' || *next == '}';
    }
    return *at == '[' && (next == end || *next == '{' || *next == ']' || (first && s_begins_value(next, end)));
}

/* Go to where the JSON begins, counting the lines before it. */
static int s_banner(s_scan_t *scan) {
    pr_input_t *input = &scan->input;
    int there = s_ahead(scan, BANNER_MAX_BYTES);
    if (there < 0) {
        return there;
    }
    const char *begin = input->data + input->at;
    const char *end = begin + there;
    const char *at = s_skip_blanks(begin, end);
    if (at == end && there < BANNER_MAX_BYTES) {
        return pr_input_fail(input, PR_E_MALFORMED, pr_input_offset(input), scan->err,
                             "the file is empty; export it again");
    }
    bool first = true;
    uint32_t lines = 0;
    while (at < end && !s_begins_json(at, end, first)) {
        first = false;
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline != NULL ? s_skip_blanks(newline + 1, end) : end;
    }
    if (at == end) {
        return pr_input_fail(input, PR_E_MALFORMED, pr_input_offset(input), scan->err,
                             "is not JSON: no line begins with [ or {; export with --json --command \"SELECT * FROM "
                             "...\"");
    }
    if (!first) {
        for (const char *byte = begin; byte < at; byte++) {
            lines += *byte == '\n';
        }
        scan->export->banner_lines = lines;
        scan->export->banner_bytes = (uint64_t)(at - begin);
    }
    input->at += (size_t)(at - begin);
    return 0;
}

/* ---- the whole ---- */

static int s_scan_file(s_scan_t *scan) {
    int rc = s_refuse_kinds(scan);
    if (rc == 0) {
        rc = s_banner(scan);
    }
    if (rc == 0) {
        rc = s_values(scan);
    }
    return rc;
}

int pr_export_scan_chunked(const char *path, const pr_mapping_t *mapping, size_t chunk, pr_export_progress_fn *progress,
                           void *context, pr_export_t **ret_export, pr_error_t *err) {
    pr_error_t problem = PR_ERROR_INIT;
    s_scan_t *scan = pr_xcalloc(1, sizeof *scan);
    scan->mapping = mapping;
    scan->err = &problem;
    scan->export = pr_xcalloc(1, sizeof *scan->export);
    scan->export->unknown_meta = pr_xcalloc(1, sizeof *scan->export->unknown_meta);
    int rc = pr_input_open(path, chunk, progress, context, &scan->input, &problem);
    if (rc == 0) {
        rc = s_scan_file(scan);
        /* A file that somebody still writes to looks damaged or whole by chance: what changed counts first. */
        pr_error_t changed = PR_ERROR_INIT;
        if (rc != -PR_E_INTERRUPTED && pr_input_unchanged(&scan->input, &changed) < 0) {
            problem = changed;
            rc = -(int)changed.code;
        }
    }
    if (rc == 0) {
        scan->export->path = pr_xstrdup(scan->input.path);
        scan->export->size = scan->input.size;
        scan->export->mtime_ns = scan->input.mtime_ns;
        scan->export->digest = pr_input_digest(&scan->input);
        *ret_export = scan->export;
        scan->export = NULL;
    } else {
        (void)pr_error_set(err, problem.code, "%s", problem.text);
    }
    pr_export_destroy(&scan->export);
    s_keys_clear(&scan->keys);
    pr_input_close(&scan->input);
    free(scan);
    return rc;
}

int pr_export_scan(const char *path, const pr_mapping_t *mapping, pr_export_progress_fn *progress, void *context,
                   pr_export_t **ret_export, pr_error_t *err) {
    return pr_export_scan_chunked(path, mapping, CHUNK_BYTES, progress, context, ret_export, err);
}

void pr_export_destroy(pr_export_t **export) {
    if (export == NULL || *export == NULL) {
        return;
    }
    for (size_t i = 0; (*export)->unknown_meta != NULL && (*export)->unknown_meta[i] != NULL; i++) {
        free((*export)->unknown_meta[i]);
    }
    free((*export)->unknown_meta);
    free((*export)->sets);
    free((*export)->path);
    free(*export);
    *export = NULL;
}

/* ---- several files, and the plan ---- */

/* Refuse the same file given twice, by whatever names. */
static int s_refuse_twice(const char *const *paths, size_t count, pr_error_t *err) {
    struct stat *files = pr_xcalloc(count + 1, sizeof *files);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (stat(paths[i], &files[i]) < 0) {
            continue; /* opening it will say why */
        }
        for (size_t j = 0; j < i && rc == 0; j++) {
            if (files[j].st_nlink != 0 && files[i].st_dev == files[j].st_dev && files[i].st_ino == files[j].st_ino) {
                rc = strcmp(paths[i], paths[j]) == 0
                         ? pr_error_set(err, PR_E_USAGE, "%s: is given twice; give every export once", paths[i])
                         : pr_error_set(err, PR_E_USAGE, "%s: is the same file as %s; give every export once", paths[i],
                                        paths[j]);
            }
        }
    }
    free(files);
    return rc;
}

int pr_export_scan_all(const char *const *paths, size_t count, const pr_mapping_t *mapping,
                       pr_export_progress_fn *progress, void *context, pr_export_t ***ret_exports, pr_error_t *err) {
    int rc = s_refuse_twice(paths, count, err);
    if (rc < 0) {
        return rc;
    }
    pr_export_t **exports = pr_xcalloc(count + 1, sizeof *exports);
    for (size_t i = 0; i < count; i++) {
        rc = pr_export_scan(paths[i], mapping, progress, context, &exports[i], err);
        if (rc < 0) {
            pr_export_destroy_all(&exports, count);
            return rc;
        }
    }
    *ret_exports = exports;
    return 0;
}

void pr_export_destroy_all(pr_export_t ***exports, size_t count) {
    if (exports == NULL || *exports == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        pr_export_destroy(&(*exports)[i]);
    }
    free(*exports);
    *exports = NULL;
}

bool pr_export_null_text(const pr_result_set_t *set, pr_null_text_t rule) {
    switch (rule) {
    case PR_NULL_TEXT_AUTO:
        return set->shape == PR_SHAPE_WRANGLER && !set->nulls;
    case PR_NULL_TEXT_NULL:
        return true;
    case PR_NULL_TEXT_KEEP:
        return false;
    case PR_NULL_TEXT_ENVELOPE:
        return set->shape == PR_SHAPE_WRANGLER;
    }
    return false;
}

/* A result set that holds neither, to which it is all the same what the text "null" is. */
static bool s_indifferent(const pr_result_set_t *set, pr_null_text_t rule) {
    return rule == PR_NULL_TEXT_AUTO && set->shape == PR_SHAPE_WRANGLER && !set->nulls && !set->null_texts;
}

typedef struct {
    pr_plan_t *plan;
    pr_source_place_t *places;
} s_planning_t;

/* Add a source and its place. stream -1: no record of any stream. Returns the source, for its records to be added. */
static pr_plan_source_t *s_source_add(s_planning_t *self, const pr_mapping_t *mapping, const pr_export_t *export,
                                      int stream, size_t index, size_t first_set) {
    pr_plan_source_t source = {.path = export->path,
                               .stream = stream < 0 ? "" : mapping->streams[stream].name,
                               .size = export->size,
                               .mtime_ns = export->mtime_ns,
                               .digest = export->digest};
    pr_plan_t *plan = self->plan;
    pr_plan_add(plan, &source);
    self->places = pr_xrealloc(self->places, ((size_t)plan->count + 1) * sizeof *self->places);
    self->places[plan->count - 1] = (pr_source_place_t){.export = index, .first_set = first_set, .end_set = first_set};
    return &plan->sources[plan->count - 1];
}

/* The records of one stream in one export, as sources. */
static void s_sources(s_planning_t *self, const pr_mapping_t *mapping, const pr_export_t *export, int stream,
                      size_t index, pr_null_text_t rule) {
    pr_plan_source_t *source = NULL; /* the one that goes on */
    bool decided = false;            /* what "null" is in it */
    for (size_t i = 0; i < export->sets_count; i++) {
        const pr_result_set_t *set = &export->sets[i];
        if (set->records == 0 || set->stream != stream) {
            continue;
        }
        bool decides = !s_indifferent(set, rule);
        bool null_text = pr_export_null_text(set, rule);
        if (source == NULL || (decides && decided && source->null_text != null_text)) {
            source = s_source_add(self, mapping, export, stream, index, i);
            source->null_text = null_text;
            decided = decides;
        } else if (decides && !decided) {
            source->null_text = null_text;
            decided = true;
        }
        source->records += set->records;
        source->bytes += set->end - set->begin;
        self->plan->records[self->plan->count - 1] = source->records;
        self->places[self->plan->count - 1].end_set = i + 1;
    }
}

static bool s_holds_records(const pr_export_t *export) {
    bool any = false;
    for (size_t i = 0; i < export->sets_count; i++) {
        any |= export->sets[i].records > 0;
    }
    return any;
}

int pr_export_plan(const pr_mapping_t *mapping, pr_export_t *const *exports, size_t count, pr_null_text_t rule,
                   pr_plan_t **ret_plan, pr_source_place_t **ret_places, pr_error_t *err) {
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(exports[i]->path, exports[j]->path) == 0) {
                return pr_error_set(err, PR_E_USAGE, "%s: is given twice; give every export once", exports[i]->path);
            }
        }
    }
    s_planning_t planning = {.plan = pr_plan_new(), .places = pr_xcalloc(1, sizeof *planning.places)};
    for (size_t s = 0; s < mapping->streams_count; s++) {
        for (size_t i = 0; i < count; i++) {
            s_sources(&planning, mapping, exports[i], (int)s, i, rule);
        }
    }
    for (size_t i = 0; i < count; i++) { /* files without any record come last */
        if (!s_holds_records(exports[i])) {
            (void)s_source_add(&planning, mapping, exports[i], -1, i, 0);
        }
    }
    *ret_plan = planning.plan;
    if (ret_places != NULL) {
        *ret_places = planning.places;
    } else {
        free(planning.places);
    }
    return 0;
}

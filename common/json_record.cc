/* SPDX-License-Identifier: MIT */
/* The record parser: simdjson's on-demand API behind the C header, with every value looked at. */

/*  DESIGN
 *
 *  Each record is copied into a buffer of the parser's own that ends in blanks. simdjson looks at the bytes behind a
 *  document (a number's end, the place after the last token); with the copy these are always blanks, whatever follows
 *  the record in the batch. A copy of 400 bytes costs about 10 ns.
 *
 *  On-demand parsing validates only what is asked for. So every string with an escape in it is unescaped (one without
 *  is right as it stands: stage 1 has found its end, and it holds no control character), every other scalar's token is
 *  compared or scanned here in full, and containers are walked to their leaves although their values are not used. Stage
 *  1 of simdjson (all quotes, control characters, UTF-8 of exactly the record's bytes) has seen the whole record before.
 *
 *  Nothing here throws: only the error-code side of the API is used; memory is asked for up front, and a refusal
 *  aborts.
 */
#include <simdjson.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

extern "C" {
#include "common/alloc.h"
#include "common/json_record.h"
}

namespace {

namespace ondemand = simdjson::ondemand;

constexpr size_t s_fields_max = 1024;
constexpr unsigned s_depth_max = 256;

void s_out_of_memory(size_t size) {
    std::fprintf(stderr, "<2>out of memory: a JSON parser for %zu bytes\n", size);
    std::abort();
}

inline bool s_is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* The bytes of a scalar's token without the white space that simdjson counts to it. */
std::string_view s_trim(std::string_view token) {
    while (!token.empty() &&
           (token.back() == ' ' || token.back() == '\n' || token.back() == '\r' || token.back() == '\t')) {
        token.remove_suffix(1);
    }
    return token;
}

enum class number_form { integer, real, none };

/* What a token is by JSON's grammar: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? */
number_form s_number_form(std::string_view token) {
    size_t at = 0, size = token.size();
    number_form form = number_form::integer;
    auto digits = [&]() {
        size_t begin = at;
        while (at < size && s_is_digit(token[at])) {
            at++;
        }
        return at > begin;
    };
    if (at < size && token[at] == '-') {
        at++;
    }
    if (at < size && token[at] == '0') {
        at++;
    } else if (!digits()) {
        return number_form::none;
    }
    if (at < size && token[at] == '.') {
        at++;
        form = number_form::real;
        if (!digits()) {
            return number_form::none;
        }
    }
    if (at < size && (token[at] == 'e' || token[at] == 'E')) {
        at++;
        form = number_form::real;
        if (at < size && (token[at] == '+' || token[at] == '-')) {
            at++;
        }
        if (!digits()) {
            return number_form::none;
        }
    }
    return at == size ? form : number_form::none;
}

/* The value of a token of integer form; false if it does not fit. */
bool s_integer(std::string_view token, int64_t &ret_integer) {
    bool negative = token[0] == '-';
    int64_t sum = 0;
    for (size_t at = negative ? 1 : 0; at < token.size(); at++) {
        int digit = token[at] - '0';
        /* Summed downwards: there is one more negative number than positive ones. */
        if (__builtin_mul_overflow(sum, INT64_C(10), &sum) || __builtin_sub_overflow(sum, digit, &sum)) {
            return false;
        }
    }
    if (!negative && __builtin_sub_overflow(INT64_C(0), sum, &sum)) {
        return false;
    }
    ret_integer = sum;
    return true;
}

/* The first quote or backslash at or after text. There is one: stage 1 has seen that the string ends. Eight bytes at a
 * time; the padding makes that safe. */
inline const char *s_string_stop(const char *text) {
    constexpr uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);
    for (;; text += 8) {
        uint64_t eight;
        std::memcpy(&eight, text, sizeof(eight));
        uint64_t quote = eight ^ (ones * '"'), backslash = eight ^ (ones * '\\');
        /* A zero byte borrows: exact up to and including the first hit, which is all that is asked. */
        uint64_t hit = (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) & highs;
        if (hit != 0) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            return text + __builtin_ctzll(hit) / 8;
#else
            while (*text != '"' && *text != '\\') {
                text++;
            }
            return text;
#endif
        }
    }
}

/* A member's key; most hold no escape and are taken where they stand. */
inline bool s_key(ondemand::field &member, std::string_view &ret_key) {
    const char *begin = member.key().raw();
    const char *stop = s_string_stop(begin);
    if (*stop == '"') {
        ret_key = std::string_view(begin, static_cast<size_t>(stop - begin));
        return true;
    }
    return member.unescaped_key().get(ret_key) == simdjson::SUCCESS;
}

/* The same for a string value. It is consumed in both cases: what simdjson skips, it does not check. */
inline bool s_string(ondemand::value &value, const char *begin, std::string_view &ret_text) {
    const char *stop = s_string_stop(begin);
    if (*stop == '"') {
        ondemand::raw_json_string raw;
        ret_text = std::string_view(begin, static_cast<size_t>(stop - begin));
        return value.get_raw_json_string().get(raw) == simdjson::SUCCESS;
    }
    return value.get_string().get(ret_text) == simdjson::SUCCESS;
}

/* For a number that fits no int64, `real` is the nearest double (infinite if there is none): a REAL column's 1e20 is
 * printed by JavaScript as 100000000000000000000. */
bool s_number(ondemand::value &value, std::string_view token, pr_json_field_t &field) {
    number_form form = s_number_form(token);
    if (form == number_form::none) {
        return false;
    }
    if (form == number_form::integer && s_integer(token, field.integer)) {
        field.kind = PR_JSON_INTEGER;
        return true;
    }
    bool fits = value.get_double().get(field.real) == simdjson::SUCCESS;
    if (!fits) {
        field.real = token[0] == '-' ? -HUGE_VAL : HUGE_VAL;
    }
    if (form == number_form::integer) {
        field.kind = PR_JSON_BIG_INTEGER;
    } else {
        field.kind = fits ? PR_JSON_REAL : PR_JSON_BIG_REAL;
    }
    field.text = token.data();
    field.text_size = token.size();
    return true;
}

bool s_value(ondemand::document &document, ondemand::value &value, unsigned depth, pr_json_field_t &field);

/* Walk a container to its leaves: only so is every comma and every value in it checked. */
bool s_walk(ondemand::document &document, ondemand::value &value, char bracket, unsigned depth) {
    pr_json_field_t leaf;
    if (depth >= s_depth_max) {
        return false;
    }
    if (bracket == '[') {
        ondemand::array array;
        if (value.get_array().get(array) != simdjson::SUCCESS) {
            return false;
        }
        for (simdjson::simdjson_result<ondemand::value> result : array) {
            ondemand::value element;
            if (simdjson::simdjson_result<ondemand::value>(result).get(element) != simdjson::SUCCESS ||
                !s_value(document, element, depth + 1, leaf)) {
                return false;
            }
        }
        return true;
    }
    ondemand::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) {
        return false;
    }
    for (simdjson::simdjson_result<ondemand::field> result : object) {
        std::string_view key;
        if (result.error() != simdjson::SUCCESS) {
            return false;
        }
        ondemand::field &&member = std::move(result).value_unsafe();
        if (!s_key(member, key) || !s_value(document, member.value(), depth + 1, leaf)) {
            return false;
        }
    }
    return true;
}

bool s_container(ondemand::document &document, ondemand::value &value, const char *begin, unsigned depth,
                 pr_json_field_t &field) {
    if (!s_walk(document, value, *begin, depth)) {
        return false;
    }
    /* The iterator stands on the token behind the container; between the two is only white space. */
    const char *end;
    if (document.current_location().get(end) != simdjson::SUCCESS || end < begin) {
        return false;
    }
    std::string_view raw = s_trim(std::string_view(begin, static_cast<size_t>(end - begin)));
    field.kind = PR_JSON_CONTAINER;
    field.text = raw.data();
    field.text_size = raw.size();
    return true;
}

bool s_literal(std::string_view token, pr_json_field_t &field) {
    if (token == "null") {
        field.kind = PR_JSON_NULL;
    } else if (token == "true" || token == "false") {
        field.kind = PR_JSON_BOOLEAN;
        field.integer = token == "true";
    } else {
        return false;
    }
    return true;
}

/* Read one value in full; false: it is not JSON. */
inline bool s_value(ondemand::document &document, ondemand::value &value, unsigned depth, pr_json_field_t &field) {
    std::string_view token = value.raw_json_token();
    field.integer = 0;
    field.real = 0;
    field.text = nullptr;
    field.text_size = 0;
    if (token.empty()) {
        return false;
    }
    char first = token[0];
    if (first == '"') {
        std::string_view text;
        if (!s_string(value, token.data() + 1, text)) {
            return false;
        }
        field.kind = PR_JSON_TEXT;
        field.text = text.data();
        field.text_size = text.size();
        return true;
    }
    if (s_is_digit(first) || first == '-') {
        return s_number(value, s_trim(token), field);
    }
    if (first == '[' || first == '{') {
        return s_container(document, value, token.data(), depth, field);
    }
    return s_literal(s_trim(token), field);
}

} // namespace

struct pr_json_parser {
    ondemand::parser parser;
    char *buffer;
    size_t capacity;
    pr_json_field_t *fields;
};

namespace {

/* Make room for a record of size bytes. Grows by doubling, so that a batch of ever longer records does not allocate for
 * each. */
void s_reserve(pr_json_parser *self, size_t size) {
    if (size <= self->capacity) {
        return;
    }
    size_t capacity = self->capacity;
    while (capacity < size) {
        capacity *= 2;
    }
    self->buffer = static_cast<char *>(pr_xrealloc(self->buffer, capacity + simdjson::SIMDJSON_PADDING));
    if (self->parser.allocate(capacity) != simdjson::SUCCESS) {
        s_out_of_memory(capacity);
    }
    self->capacity = capacity;
}

int s_parse(pr_json_parser *self, simdjson::padded_string_view json, size_t &ret_count) {
    ondemand::document document;
    ondemand::object object;
    size_t count = 0;

    simdjson::error_code error = self->parser.iterate(json).get(document);
    if (error == simdjson::UTF8_ERROR) {
        return PR_R_BAD_UTF8;
    }
    if (error != simdjson::SUCCESS || document.get_object().get(object) != simdjson::SUCCESS) {
        return PR_R_MALFORMED_JSON;
    }
    for (simdjson::simdjson_result<ondemand::field> result : object) {
        std::string_view key;
        if (count == s_fields_max || result.error() != simdjson::SUCCESS) {
            return PR_R_MALFORMED_JSON;
        }
        /* A reference into the result: copying it costs more than all the rest of this loop. */
        ondemand::field &&member = std::move(result).value_unsafe();
        if (!s_key(member, key)) {
            return PR_R_MALFORMED_JSON;
        }
        pr_json_field_t &field = self->fields[count++];
        field.name = key.data();
        field.name_size = key.size();
        if (!s_value(document, member.value(), 1, field)) {
            return PR_R_MALFORMED_JSON;
        }
    }
    if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
        return PR_R_MALFORMED_JSON;
    }
    ret_count = count;
    return 0;
}

} // namespace

extern "C" pr_json_parser_t *pr_json_parser_new(void) {
    pr_json_parser_t *self = new (std::nothrow) pr_json_parser_t();
    if (self == nullptr) {
        s_out_of_memory(sizeof(*self));
    }
    self->fields = static_cast<pr_json_field_t *>(pr_xcalloc(s_fields_max, sizeof(*self->fields)));
    self->capacity = 2048;
    s_reserve(self, 4096);
    return self;
}

extern "C" void pr_json_parser_destroy(pr_json_parser_t **parser) {
    if (*parser != nullptr) {
        std::free((*parser)->buffer);
        std::free((*parser)->fields);
        delete *parser;
        *parser = nullptr;
    }
}

extern "C" int pr_json_parse_record(pr_json_parser_t *parser, const char *data, size_t size,
                                    const pr_json_field_t **ret_fields, size_t *ret_count) {
    size_t count = 0;
    s_reserve(parser, size);
    if (size > 0) {
        std::memcpy(parser->buffer, data, size);
    }
    std::memset(parser->buffer + size, ' ', simdjson::SIMDJSON_PADDING);
    int reason =
        s_parse(parser, simdjson::padded_string_view(parser->buffer, size, size + simdjson::SIMDJSON_PADDING), count);
    if (reason == 0) {
        *ret_fields = parser->fields;
        *ret_count = count;
    }
    return reason;
}

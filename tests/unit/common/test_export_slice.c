/* SPDX-License-Identifier: MIT */
/* Tests of common/export_slice.c: block masks, skipping and slicing against naive references. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/export.h"
#include "common/export_skip.h"

/* xorshift64*: the same sequence on every machine. */
static uint64_t s_seed;
static uint64_t s_random(uint64_t below) {
    s_seed ^= s_seed >> 12;
    s_seed ^= s_seed << 25;
    s_seed ^= s_seed >> 27;
    return (s_seed * 0x2545f4914f6cdd1dU >> 33) % below;
}

/* Bytes of which many mean something. */
static void s_random_bytes(char *data, size_t size, bool any) {
    static const char alphabet[] = "\"\"\\\\{}[]{}:, a1\n;|]{\xfb\xdb\x5b\x02";
    for (size_t i = 0; i < size; i++) {
        data[i] = any ? (char)s_random(256) : alphabet[s_random(sizeof alphabet - 1)];
    }
}

static pr_block_t s_naive_block(const char *data) {
    pr_block_t block = {0};
    for (unsigned i = 0; i < 64; i++) {
        uint64_t bit = (uint64_t)1 << i;
        block.quotes |= data[i] == '"' ? bit : 0;
        block.backslashes |= data[i] == '\\' ? bit : 0;
        block.opens |= data[i] == '{' || data[i] == '[' ? bit : 0;
        block.closes |= data[i] == '}' || data[i] == ']' ? bit : 0;
    }
    return block;
}

static void s_assert_block(const pr_block_t *block, const pr_block_t *expected) {
    assert_true(block->quotes == expected->quotes);
    assert_true(block->backslashes == expected->backslashes);
    assert_true(block->opens == expected->opens);
    assert_true(block->closes == expected->closes);
}

/* Both ways to classify 64 bytes see what there is. */
static void s_check_classified(const char *data) {
    pr_block_t expected = s_naive_block(data);
    pr_block_t block;
    pr_block_classify_portable(data, &block);
    s_assert_block(&block, &expected);
#ifdef __SSE2__
    pr_block_classify_sse2(data, &block);
    s_assert_block(&block, &expected);
#endif
}

static void test_every_byte_at_every_place(void **state) {
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        for (unsigned place = 0; place < 64; place++) {
            char data[64];
            memset(data, 'x', sizeof data);
            data[place] = (char)byte;
            s_check_classified(data);
        }
    }
}

static void test_random_blocks(void **state) {
    (void)state;
    s_seed = 1;
    for (int round = 0; round < 20000; round++) {
        char data[64];
        s_random_bytes(data, sizeof data, round % 2 == 0);
        s_check_classified(data);
    }
}

/* What pr_skip_value promises, a byte at a time. */
static pr_skip_result_t s_naive_skip(const char *data, size_t size, size_t *ret_used) {
    char open[PR_SKIP_DEPTH_MAX];
    size_t depth = 0;
    bool inside = false;
    bool escaped = false;
    for (size_t i = 0; i < size; i++) {
        char byte = data[i];
        bool quote = byte == '"' && !escaped;
        escaped = byte == '\\' && !escaped;
        if (quote) {
            inside = !inside;
        } else if (!inside && (byte == '{' || byte == '[')) {
            if (depth == PR_SKIP_DEPTH_MAX) {
                *ret_used = i;
                return PR_SKIP_DEEP;
            }
            open[depth++] = byte == '{' ? '}' : ']';
        } else if (!inside && (byte == '}' || byte == ']')) {
            if (depth == 0 || open[depth - 1] != byte) {
                *ret_used = i;
                return PR_SKIP_MISMATCH;
            }
            if (--depth == 0) {
                *ret_used = i + 1;
                return PR_SKIP_DONE;
            }
        }
    }
    *ret_used = size;
    return PR_SKIP_MORE;
}

typedef pr_skip_result_t s_skip_fn(pr_skip_t *skip, const char *data, size_t size, size_t *ret_used);

/* Skip in pieces of random lengths up to `piece`, each in memory of exactly its own size. */
static pr_skip_result_t s_skip_in_pieces(s_skip_fn *skip_value, const char *data, size_t size, size_t piece,
                                         size_t *ret_used) {
    pr_skip_t skip = {0};
    size_t done = 0;
    while (done < size) {
        size_t take = 1 + s_random(piece);
        take = take < size - done ? take : size - done;
        char *copy = malloc(take);
        assert_non_null(copy);
        memcpy(copy, data + done, take);
        size_t used = 12345;
        pr_skip_result_t result = skip_value(&skip, copy, take, &used);
        free(copy);
        done += used;
        if (result != PR_SKIP_MORE) {
            *ret_used = done;
            return result;
        }
        assert_int_equal(used, take);
    }
    *ret_used = done;
    return PR_SKIP_MORE;
}

static void test_skip_against_naive(void **state) {
    (void)state;
    static s_skip_fn *const variants[] = {pr_skip_value, pr_skip_value_portable};
    unsigned seen[4] = {0};
    s_seed = 2;
    for (int round = 0; round < 30000; round++) {
        char data[400];
        size_t size = 1 + s_random(sizeof data);
        s_random_bytes(data, size, round % 10 == 0);
        if (round % 3 == 0) { /* nothing closes: deep and long */
            for (size_t i = 0; i < size; i++) {
                data[i] = strchr("}]\"", data[i]) != NULL ? '[' : data[i];
            }
        }
        data[0] = s_random(2) == 0 ? '{' : '[';
        size_t expected_used;
        pr_skip_result_t expected = s_naive_skip(data, size, &expected_used);
        seen[expected]++;
        for (unsigned v = 0; v < 2; v++) {
            static const size_t pieces[] = {1, 3, 63, 64, 65, 400};
            size_t piece = pieces[s_random(6)];
            size_t used;
            assert_int_equal(s_skip_in_pieces(variants[v], data, size, piece, &used), expected);
            assert_int_equal(used, expected_used);
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_true(seen[i] > 100); /* the random input is of use only if it meets every outcome */
    }
}

static void test_backslash_runs(void **state) {
    (void)state;
    /* A string that ends in a run of backslashes, at every place of a block, with every parity. */
    for (size_t before = 0; before < 70; before++) {
        for (size_t run = 0; run < 140; run++) {
            char data[300];
            size_t size = 0;
            data[size++] = '{';
            memset(data + size, ' ', before);
            size += before;
            data[size++] = '"';
            memset(data + size, '\\', run);
            size += run;
            data[size++] = '"';
            data[size++] = '}';
            data[size++] = '"';
            data[size++] = '}';
            size_t even = before + run + 4; /* the quote ends the string, the brace ends the object */
            size_t used;
            pr_skip_t skip = {0};
            assert_int_equal(pr_skip_value(&skip, data, size, &used), PR_SKIP_DONE);
            assert_int_equal(used, run % 2 == 0 ? even : even + 2);
        }
    }
}

static void test_depth(void **state) {
    (void)state;
    char data[2 * PR_SKIP_DEPTH_MAX + 2];
    memset(data, '[', PR_SKIP_DEPTH_MAX);
    memset(data + PR_SKIP_DEPTH_MAX, ']', PR_SKIP_DEPTH_MAX);
    pr_skip_t skip = {0};
    size_t used;
    assert_int_equal(pr_skip_value(&skip, data, 2 * PR_SKIP_DEPTH_MAX, &used), PR_SKIP_DONE);
    assert_int_equal(used, 2 * PR_SKIP_DEPTH_MAX);
    memset(data, '[', PR_SKIP_DEPTH_MAX + 1);
    skip = (pr_skip_t){0};
    assert_int_equal(pr_skip_value(&skip, data, sizeof data, &used), PR_SKIP_DEEP);
    assert_int_equal(used, PR_SKIP_DEPTH_MAX);
}

static void s_assert_slices(const char *text, const char *const *expected, size_t expected_used) {
    pr_slice_t slices[16];
    size_t used = 12345;
    size_t count = pr_export_slice(text, strlen(text), slices, 16, &used);
    size_t i;
    for (i = 0; expected[i] != NULL; i++) {
        assert_true(i < count);
        assert_int_equal(slices[i].length, strlen(expected[i]));
        assert_memory_equal(text + slices[i].offset, expected[i], slices[i].length);
    }
    assert_int_equal(count, i);
    assert_int_equal(used, expected_used);
}

static void test_slice_texts(void **state) {
    (void)state;
    s_assert_slices("", (const char *[]){NULL}, 0);
    s_assert_slices(" ,\r\n\t ", (const char *[]){NULL}, 0);
    s_assert_slices("{}", (const char *[]){"{}", NULL}, 2);
    s_assert_slices("{}\r\n{\"a\":1}\n", (const char *[]){"{}", "{\"a\":1}", NULL}, 11);
    s_assert_slices(",\n  {\"a\": \"}\"},\n  {\"b\": [{}, \"]\"]}\n ]",
                    (const char *[]){"{\"a\": \"}\"}", "{\"b\": [{}, \"]\"]}", NULL}, 34);
    s_assert_slices("{\"a\":1},{\"a\":", (const char *[]){"{\"a\":1}", NULL}, 7);
    s_assert_slices("{\"a\":\"\\\"}", (const char *[]){NULL}, 0);
    s_assert_slices("{\"a\":[1}", (const char *[]){NULL}, 0);
    s_assert_slices("{}x{}", (const char *[]){"{}", NULL}, 2);
    s_assert_slices("{} ], \"success\"", (const char *[]){"{}", NULL}, 2);
}

static void test_slice_room(void **state) {
    (void)state;
    pr_slice_t slices[2] = {{7, 7}, {8, 8}};
    size_t used = 12345;
    assert_int_equal(pr_export_slice("{},{},{}", 8, slices, 1, &used), 1);
    assert_int_equal(used, 2);
    assert_int_equal(slices[1].offset, 8);
    assert_int_equal(pr_export_slice("{},{},{}", 8, slices, 0, &used), 0);
    assert_int_equal(used, 0);
}

/* Put part, without its NUL, behind size bytes; returns how many there are then. */
static size_t s_append(char *text, size_t size, const char *part) {
    while (*part != '\0') {
        text[size++] = *part++;
    }
    return size;
}

/* Every prefix of a buffer that ends where readable memory ends, against the records that were put into it. */
static void test_slice_at_the_end_of_memory(void **state) {
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_int_equal(mprotect(memory + page, page, PROT_NONE), 0);
    char text[1500];
    size_t size = 0;
    size_t ends[64];
    size_t records = 0;
    while (size < 1000) {
        static const char *const samples[] = {"{}", "{\"a\": \"\\\\\"}", "{\"status\": \"ok\", \"n\": [[1, {}]]}",
                                              "{\"comment\": \"un \\\"gros\\\" d\303\251faut {[\"}"};
        const char *sample = samples[records % 4];
        size = s_append(text, size, sample);
        ends[records++] = size;
        size = s_append(text, size, ",\n      ");
    }
    for (size_t prefix = 0; prefix <= size; prefix++) {
        char *data = memory + page - prefix;
        memcpy(data, text, prefix);
        size_t whole = 0;
        while (whole < records && ends[whole] <= prefix) {
            whole++;
        }
        pr_slice_t slices[64];
        size_t used = 12345;
        assert_int_equal(pr_export_slice(data, prefix, slices, 64, &used), whole);
        assert_int_equal(used, whole == 0 ? 0 : ends[whole - 1]);
    }
    assert_int_equal(munmap(memory, 2 * page), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_at_every_place),
        cmocka_unit_test(test_random_blocks),
        cmocka_unit_test(test_skip_against_naive),
        cmocka_unit_test(test_backslash_runs),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_slice_texts),
        cmocka_unit_test(test_slice_room),
        cmocka_unit_test(test_slice_at_the_end_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

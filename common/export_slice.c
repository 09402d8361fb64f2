/* SPDX-License-Identifier: MIT */
/* Cutting a buffer of export bytes into records, at several gigabytes a second. */
#include <endian.h>
#include <stdbool.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "common/export.h"
#include "common/export_skip.h"

/* The bits of { and }; [ and ] become these when bit 0x20 is set, and no other byte does. */
enum { OPEN = 0x7b, CLOSE = 0x7d, CURLY_BIT = 0x20 };

/* The bytes of word that equal the byte repeated in pattern, as 8 bits. */
static inline uint64_t s_equal_bits(uint64_t word, uint64_t pattern) {
    const uint64_t low7 = 0x7f7f7f7f7f7f7f7fU;
    uint64_t x = word ^ pattern;
    uint64_t zero = ~(((x & low7) + low7) | x | low7); /* 0x80 exactly where x has a zero byte */
    return ((zero >> 7) * 0x0102040810204080U) >> 56;
}

void pr_block_classify_portable(const char *data, pr_block_t *ret_block) {
    const uint64_t ones = 0x0101010101010101U;
    pr_block_t block = {0};
    for (unsigned i = 0; i < 8; i++) {
        uint64_t word;
        memcpy(&word, data + 8 * i, sizeof word);
        word = le64toh(word);
        uint64_t curly = word | (ones * CURLY_BIT);
        block.quotes |= s_equal_bits(word, ones * '"') << (8 * i);
        block.backslashes |= s_equal_bits(word, ones * '\\') << (8 * i);
        block.opens |= s_equal_bits(curly, ones * OPEN) << (8 * i);
        block.closes |= s_equal_bits(curly, ones * CLOSE) << (8 * i);
        block.ens |= s_equal_bits(word, ones * 'n') << (8 * i);
    }
    *ret_block = block;
}

#ifdef __SSE2__
static inline uint64_t s_mask(__m128i bytes, __m128i pattern) {
    return (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, pattern));
}

static inline void s_classify_sse2(const char *data, pr_block_t *ret_block) {
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i open = _mm_set1_epi8(OPEN);
    const __m128i close = _mm_set1_epi8(CLOSE);
    const __m128i curly_bit = _mm_set1_epi8(CURLY_BIT);
    const __m128i en = _mm_set1_epi8('n');
    pr_block_t block = {0};
    for (unsigned i = 0; i < 4; i++) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(data + 16 * i));
        __m128i curly = _mm_or_si128(bytes, curly_bit);
        block.quotes |= s_mask(bytes, quote) << (16 * i);
        block.backslashes |= s_mask(bytes, backslash) << (16 * i);
        block.opens |= s_mask(curly, open) << (16 * i);
        block.closes |= s_mask(curly, close) << (16 * i);
        block.ens |= s_mask(bytes, en) << (16 * i);
    }
    *ret_block = block;
}

void pr_block_classify_sse2(const char *data, pr_block_t *ret_block) {
    s_classify_sse2(data, ret_block);
}
#endif

/*  Which bytes are escaped: those behind an odd run of backslashes. carry: whether the block's first byte is, and then
 *  whether the byte behind its first `size` bytes is. Runs that begin at odd places are carried to their ends by one
 *  addition; where a run ends tells by its parity whether it was odd. */
static inline uint64_t s_escaped(uint64_t backslashes, size_t size, uint64_t *carry) {
    if (backslashes == 0) {
        uint64_t first = *carry;
        *carry = 0;
        return first;
    }
    const uint64_t even = 0x5555555555555555U;
    backslashes &= ~*carry;
    uint64_t follows = backslashes << 1 | *carry;
    uint64_t odd_starts = backslashes & ~even & ~follows;
    uint64_t even_ends;
    uint64_t overflow = __builtin_add_overflow(odd_starts, backslashes, &even_ends) ? 1 : 0;
    uint64_t escaped = (even ^ (even_ends << 1)) & follows;
    *carry = size < PR_BLOCK_BYTES ? escaped >> size & 1 : overflow;
    return escaped;
}

/* Bit i: the xor of bits 0 to i. */
static inline uint64_t s_prefix_xor(uint64_t bits) {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^= bits << 32;
    return bits;
}

/* One bracket outside strings. Returns PR_SKIP_MORE while the value goes on. */
static inline pr_skip_result_t s_bracket(pr_skip_t *skip, char byte, bool opens) {
    uint64_t kind = ((unsigned char)byte & CURLY_BIT) != 0;
    if (opens) {
        if (skip->depth == PR_SKIP_DEPTH_MAX) {
            return PR_SKIP_DEEP;
        }
        skip->kinds = skip->kinds << 1 | kind;
        skip->depth++;
        return PR_SKIP_MORE;
    }
    if (skip->depth == 0 || (skip->kinds & 1) != kind) {
        return PR_SKIP_MISMATCH;
    }
    skip->kinds >>= 1;
    skip->depth--;
    return skip->depth == 0 ? PR_SKIP_DONE : PR_SKIP_MORE;
}

typedef void s_classify_fn(const char *data, pr_block_t *ret_block);

/* classify and nulls are constants wherever this is inlined: without nulls nobody pays for them. */
static inline __attribute__((always_inline)) pr_skip_result_t
s_skip(s_classify_fn *classify, bool nulls, pr_skip_t *skip, const char *data, size_t size, size_t *ret_used) {
    pr_skip_t now = *skip;
    for (size_t base = 0; base < size; base += PR_BLOCK_BYTES) {
        const char *bytes = data + base;
        size_t left = size - base;
        char padded[PR_BLOCK_BYTES];
        if (left < PR_BLOCK_BYTES) {
            memset(padded, ' ', sizeof padded);
            memcpy(padded, bytes, left);
            bytes = padded;
        }
        pr_block_t block;
        classify(bytes, &block);
        uint64_t quotes = block.quotes & ~s_escaped(block.backslashes, left, &now.escaped);
        uint64_t inside = s_prefix_xor(quotes) ^ now.inside;
        now.inside = 0 - (inside >> 63);
        for (uint64_t marks = (block.opens | block.closes) & ~inside; marks != 0; marks &= marks - 1) {
            unsigned bit = (unsigned)__builtin_ctzll(marks);
            pr_skip_result_t result = s_bracket(&now, bytes[bit], (block.opens >> bit & 1) != 0);
            if (result != PR_SKIP_MORE) {
                now.nulls |= nulls && (block.ens & ~inside & ((UINT64_C(1) << bit) - 1)) != 0;
                *skip = now;
                *ret_used = base + bit + (result == PR_SKIP_DONE ? 1 : 0);
                return result;
            }
        }
        now.nulls |= nulls && (block.ens & ~inside) != 0;
    }
    *skip = now;
    *ret_used = size;
    return PR_SKIP_MORE;
}

pr_skip_result_t pr_skip_value_portable(pr_skip_t *skip, const char *data, size_t size, size_t *ret_used) {
    return s_skip(pr_block_classify_portable, true, skip, data, size, ret_used);
}

#ifdef __SSE2__
#define S_CLASSIFY s_classify_sse2
#else
#define S_CLASSIFY pr_block_classify_portable
#endif

pr_skip_result_t pr_skip_value(pr_skip_t *skip, const char *data, size_t size, size_t *ret_used) {
    return s_skip(S_CLASSIFY, false, skip, data, size, ret_used);
}

pr_skip_result_t pr_skip_value_nulls(pr_skip_t *skip, const char *data, size_t size, size_t *ret_used) {
    return s_skip(S_CLASSIFY, true, skip, data, size, ret_used);
}

static inline bool s_between(char byte) {
    return byte == ' ' || byte == '\n' || byte == ',' || byte == '\r' || byte == '\t';
}

size_t pr_export_slice(const char *data, size_t size, pr_slice_t *slices, size_t max, size_t *ret_used) {
    size_t count = 0;
    size_t at = 0;
    size_t used = 0;
    if (size > UINT32_MAX) {
        size = UINT32_MAX; /* a slice's offset and length must fit */
    }
    while (count < max) {
        while (at < size && s_between(data[at])) {
            at++;
        }
        if (at == size || data[at] != '{') {
            break;
        }
        pr_skip_t skip = {0};
        size_t length;
        if (pr_skip_value(&skip, data + at, size - at, &length) != PR_SKIP_DONE) {
            break;
        }
        slices[count++] = (pr_slice_t){.offset = (uint32_t)at, .length = (uint32_t)length};
        at += length;
        used = at;
    }
    *ret_used = used;
    return count;
}

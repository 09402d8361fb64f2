/* SPDX-License-Identifier: MIT */
/* How a verdict shows what it is over. */
#include "common/challenge.h"

#include <xxhash.h>

uint64_t pr_challenge_answer(uint64_t nonce, const uint64_t *numbers, size_t count) {
    uint64_t answer = nonce;
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[sizeof numbers[i]];
        for (size_t b = 0; b < sizeof bytes; b++)
            bytes[b] = (uint8_t)(numbers[i] >> (8 * b));
        answer = XXH3_64bits_withSeed(bytes, sizeof bytes, answer);
    }
    return answer;
}

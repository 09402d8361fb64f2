/* SPDX-License-Identifier: MIT */
/* Generated cases: what their numbers come from, and how many of them there are. */
#ifndef PR_TEST_CHANCE_H
#define PR_TEST_CHANCE_H

#include <stdint.h>
#include <stdlib.h>

/* A number that the environment may give; standard where it does not. */
static inline uint64_t pr_test_setting(const char *name, uint64_t standard) {
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 10) : standard;
}

/* The next number below this one (at least 1). state: the seed at first; the same seed gives the same numbers. */
static inline uint64_t pr_test_chance(uint64_t *state, uint64_t below) {
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (x ^ (x >> 31)) % below;
}

#endif

/* SPDX-License-Identifier: MIT */
/* What AddressSanitizer is told in every fuzz target, unless ASAN_OPTIONS says otherwise. */

const char *__asan_default_options(void);

/*  A target runs some 10,000 times a second, each time with allocations of its own: short call stacks and a small
 *  quarantine (executions are short, so what is used after it was freed is used soon) make it a half faster. */
const char *__asan_default_options(void) {
    return "malloc_context_size=5:quarantine_size_mb=4:detect_stack_use_after_return=0";
}

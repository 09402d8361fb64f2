/* SPDX-License-Identifier: MIT */
/* Fuzz: the first frame of a message from anyone. What is understood, encoded again, is the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Input: the number of frames that came (one byte), the first frame. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pr_message_t message;
    pr_error_t problem = PR_ERROR_INIT;
    uint8_t again[PR_MESSAGE_MAX_BYTES];
    if (size == 0)
        return 0;
    int result = pr_message_decode(data + 1, size - 1, data[0], &message, &problem);
    if (result < 0) {
        if (problem.text[0] == '\0' || (result != -PR_E_PROTOCOL && result != -PR_E_VERSION))
            abort();
        return 0;
    }
    if (pr_message_encode(&message, again) != size - 1 || memcmp(again, data + 1, size - 1) != 0)
        abort();
    return 0;
}

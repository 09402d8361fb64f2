/* SPDX-License-Identifier: MIT */
/* Fuzz: a list of failures and findings from a hostile peer. What is understood must survive a round trip. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/failure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pr_proof_list_t *list = NULL;
    if (pr_proof_list_unpack(data, size, &list, NULL) != 0)
        return 0;
    pr_proof_list_t *again = NULL;
    void *packed = NULL;
    void *repacked = NULL;
    size_t packed_size = 0;
    size_t repacked_size = 0;
    if (pr_proof_list_pack(list, &packed, &packed_size) != 0 ||
        pr_proof_list_unpack(packed, packed_size, &again, NULL) != 0 ||
        pr_proof_list_pack(again, &repacked, &repacked_size) != 0 || packed_size != repacked_size ||
        memcmp(packed, repacked, packed_size) != 0)
        abort();
    free(packed);
    free(repacked);
    pr_proof_list_destroy(&list);
    pr_proof_list_destroy(&again);
    return 0;
}

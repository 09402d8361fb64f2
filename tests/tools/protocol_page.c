/* SPDX-License-Identifier: MIT */
/* Prints the protocol page of the docs: protocol_page > docs/protocol.md. */
#include "common/message.h"

int main(void) {
    puts("# The protocol\n\n"
         "Made from the table in `common/message.h` by `tests/tools/protocol_page`; a unit test holds the two "
         "together.\n\n"
         "How a run recovers from lost messages is told in [ARCHITECTURE.md](../ARCHITECTURE.md). In short: a position "
         "is\n"
         "(source, ordinal, byte offset); the writer takes only the batch that begins at the committed position; "
         "PROGRESS is\n"
         "heartbeat, acknowledgement and flow control at once; the reader goes back when it does not move.\n");
    pr_message_document(stdout);
    return 0;
}

# SPDX-License-Identifier: MIT
# Modules as CSV, for jq_csv.sh.
.[].results[] | [.audit_token, .module_id, .string_number, .position_in_string, .status, .comment // "null",
    .technician_id // "null", .created_at // "null", .updated_at // "null", .physical_row // "null", .physical_col // "null"] | @csv

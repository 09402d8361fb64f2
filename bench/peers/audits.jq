# SPDX-License-Identifier: MIT
# Audits as CSV, for jq_csv.sh. CSV has no NULL: the text "null" stands for it, as in old exports.
.[].results[] | [.token, .project_name, .client_name, .location, .string_count, .modules_per_string, .total_modules,
    .plan_file // "null", .status // "null", .created_at // "null", .updated_at // "null", .json_config // "null"] | @csv

/* SPDX-License-Identifier: MIT */
/* The one table of what is said to people about a run, in English and in French; and how they write numbers. */
#ifndef PR_STRINGS_H
#define PR_STRINGS_H

/*  DESIGN
 *
 *  A string may have places for arguments, which are texts: {1} is the first one; {1:record|records} is a word that
 *  goes with the number that is the first one (French: 0 and 1 take the singular). So no string is a printf format, and
 *  each language has its own order of words.
 *
 *  A blank before : ; ! ? % », and one after «, is made a no-break space in French when a string is put together: here
 *  it stands as a plain blank. Arguments are never touched.
 *
 *  Identifiers (commands, options, tables, columns, reasons, exit codes) are not words: they are the same in both.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

typedef enum { PR_LANGUAGE_ENGLISH, PR_LANGUAGE_FRENCH, PR_LANGUAGES } pr_report_language_t;

/* "en", "fr", NULL: for an option of the kind PR_OPTION_WORD. */
extern const char *const pr_language_words[];

/* key, English, French */
#define PR_STRINGS(X)                                                                                                        \
    /* The short form, on a terminal. */                                                                                     \
    X(SHORT_HEAD, "Run {1}, mapping {2}, into {3}", "Exécution {1}, mapping {2}, vers {3}")                                  \
    X(SHORT_HEAD_RETRY, "Run {1}, a retry of rejects, mapping {2}, into {3}",                                                \
      "Exécution {1}, nouvel essai des rejets, mapping {2}, vers {3}")                                                       \
    X(COLUMN_STREAM, "stream", "flux")                                                                                       \
    X(COLUMN_READ, "read", "lus")                                                                                            \
    X(COLUMN_WRITTEN, "written", "écrits")                                                                                   \
    X(COLUMN_UNCHANGED, "unchanged", "inchangés")                                                                            \
    X(COLUMN_REJECTED, "rejected", "rejetés")                                                                                \
    X(COLUMN_VALIDATED, "validated", "validés")                                                                              \
    X(COLUMN_BYTES, "bytes", "taille")                                                                                       \
    X(COLUMN_SECONDS, "seconds", "secondes")                                                                                 \
    X(COLUMN_RATE, "rec/s", "enr./s")                                                                                        \
    X(ROW_ALL, "all", "tous")                                                                                                \
    X(ACCOUNTS, "read = written + unchanged + rejected", "lus = écrits + inchangés + rejetés")                               \
    X(ACCOUNTS_HOLD, "holds", "exact")                                                                                       \
    X(ACCOUNTS_FAIL, "DOES NOT HOLD", "FAUX")                                                                                \
    X(ACCOUNTS_EXPORTED, "(the exports hold {1})", "(les exports en contiennent {1})")                                       \
    X(FINDINGS, "Findings", "Constats")                                                                                      \
    X(REJECTS, "Rejects", "Rejets")                                                                                          \
    X(SHORT_REJECTED, "{1} × {2} in {3}: {4}", "{1} × {2} dans {3} : {4}")                                                   \
    X(NOT_GIVEN, "no {1} were given: the rows referred to are neither in the exports nor in the target",                     \
      "rien n'a été fourni pour {1} : les lignes référencées ne sont ni dans les exports ni dans la base cible")             \
    X(SHORT_EACH_ONE, "each one: {1}", "chacun : {1}")                                                                       \
    X(SHORT_FAILURES, "What is stored is not what was exported: {1}",                                                        \
      "Ce qui est stocké n'est pas ce qui a été exporté : {1}")                                                              \
    X(SHORT_COLUMN, ", column {1}", ", colonne {1}")                                                                         \
    X(SHORT_EXPECTED, ": expected {1}, stored {2}", " : attendu {1}, stocké {2}")                                            \
    X(SHORT_PLACE, "({1}, checkpoint {2})", "({1}, point de contrôle {2})")                                                  \
    X(SHORT_ALL_FAILURES, "… all of them: table pvrelay_failure of the target",                                              \
      "… la liste entière : table pvrelay_failure de la base cible")                                                         \
    X(TAKEN_BACK, "Taken back: the target is as it was before this run.",                                                    \
      "Annulé : la base cible est telle qu'elle était avant cette exécution.")                                               \
    X(TAKEN_BACK_FAILED,                                                                                                     \
      "Taken back: what was stored was not what was exported; the target is as it was before this run.",                     \
      "Annulé : ce qui était stocké n'était pas ce qui avait été exporté ; la base cible est telle qu'elle était "   \
      "avant cette exécution.")                                                                                              \
    X(TAKEN_BACK_REJECTS,                                                                                                    \
      "Taken back: more records were rejected than allowed; the target is as it was before this run.",                       \
      "Annulé : plus d'enregistrements ont été rejetés que permis ; la base cible est telle qu'elle était avant "       \
      "cette "                                                                                                               \
      "exécution.")                                                                                                          \
    X(COMPLETE, "Complete: all {1} records are in the target, and each was proved against its export.",                      \
      "Terminé : les {1} enregistrements sont dans la base cible, et chacun a été vérifié par rapport à son export.")        \
    X(COMPLETE_REJECTS, "Complete, but {1} of {2} records were rejected.",                                                   \
      "Terminé, mais {1} des {2} enregistrements ont été rejetés.")                                                          \
    X(GIVE, "Replay {1} too: with their exports beside these, the same command does.",                                       \
      "Rejouez aussi {1} : avec leurs exports à côté de ceux-ci, la même commande suffit.")                                  \
    X(SETTLE_FOREIGN,                                                                                                        \
      "To settle rows that others changed, with the export's word (keep instead of overwrite: with theirs):",                \
      "Pour régler les lignes que d'autres ont modifiées, selon l'export (keep au lieu de overwrite : selon eux) :")         \
    X(MEND, "Once the mapping is mended, try them again:", "Une fois le mapping corrigé, réessayez-les :")                   \
    X(MEND_COPY,                                                                                                             \
      "Mend a copy of the mapping, and try them again:", "Corrigez une copie du mapping, puis réessayez-les :")              \
    X(MEND_EXPORTS, "Mend the exports, and replay them.", "Corrigez les exports, et rejouez-les.")                           \
    X(OR_MEND_EXPORTS, "Or mend the exports, and replay them.", "Ou corrigez les exports, et rejouez-les.")                  \
    X(COMPLETE_FAILED,                                                                                                       \
      "Complete, but not what was exported: do not use this target before the failures above are understood.",               \
      "Terminé, mais ce n'est pas ce qui a été exporté : n'utilisez pas cette base cible avant d'avoir compris les "     \
      "écarts ci-dessus.")                                                                                                   \
    X(INCOMPLETE, "Not complete: {1} of {2} records are in the target. The same command continues.",                         \
      "Inachevé : {1} des {2} enregistrements sont dans la base cible. La même commande continue.")                          \
    X(INCOMPLETE_REJECTS,                                                                                                    \
      "Stopped: {1} of {2} records are in the target, and {3} were rejected, more than allowed. With a higher limit "        \
      "the "                                                                                                                 \
      "same command continues.",                                                                                             \
      "Arrêté : {1} des {2} enregistrements sont dans la base cible, et {3} ont été rejetés, plus que permis. Avec "    \
      "une "                                                                                                                 \
      "limite plus haute la même commande continue.")                                                                        \
    X(NOT_BEGUN, "Stopped before its first record: nothing of it is in the target.",                                         \
      "Arrêté avant le premier enregistrement : rien n'en est dans la base cible.")                                          \
    X(SHORT_PUT_BACK, "To put it back to where it was before this run:",                                                     \
      "Pour la remettre telle qu'elle était avant cette exécution :")                                                        \
    X(SHORT_VERIFY, "Proof of {1} against {2} {2:file|files}, mapping {3}",                                                  \
      "Vérification de {1} par rapport à {2} {2:fichier|fichiers}, mapping {3}")                                             \
    X(SHORT_VERIFY_RUNNING, "Run {1} is not finished: what it has yet to commit is missing.",                                \
      "L'exécution {1} n'est pas terminée : ce qu'elle n'a pas encore écrit manque.")                                        \
    X(SHORT_VERIFY_API, "API {1}: compared {2} × {3}, {4} × {5}", "API {1} : comparé {2} × {3}, {4} × {5}")                  \
    X(SHORT_MORE, "… and {1} more; --json and --report tell the first 1000",                                                 \
      "… et {1} de plus ; --json et --report donnent les 1000 premiers")                                                     \
    X(SHORT_WHOLE, "whole", "ensemble")                                                                                      \
    X(COLUMN_RECORDS, "records", "enregistrements")                                                                          \
    X(COLUMN_PROVED, "proved", "prouvés")                                                                                    \
    X(COLUMN_FAILURES, "failures", "écarts")                                                                                 \
    X(SHORT_FURTHER, "Look further: {1}; {2}", "Pour en savoir plus : {1} ; {2}")                                            \
    /* report.md: title and summary. */                                                                                      \
    X(TITLE_RUN, "Migration report: run {1}", "Rapport de migration : exécution {1}")                                        \
    X(TITLE_VERIFY, "Verification report", "Rapport de vérification")                                                        \
    X(HEAD_DATE, "Date", "Date")                                                                                             \
    X(HEAD_TARGET, "Target", "Base cible")                                                                                   \
    X(HEAD_MAPPING, "Mapping", "Mapping appliqué")                                                                           \
    X(HEAD_RUN, "Run", "Exécution")                                                                                          \
    X(RUN_SPAN, "{1} to {2} UTC, {3} s", "du {1} au {2} UTC, {3} s")                                                         \
    X(RUN_SINCE, "since {1} UTC, {2} s", "depuis le {1} UTC, {2} s")                                                         \
    X(HEAD_ERROR, "Stopped by", "Arrêté par")                                                                                \
    X(ERROR, "{1} (exit code {2}): {3}", "{1} (code de sortie {2}) : {3}")                                                   \
    X(HEAD_VERDICT, "Verdict", "Conclusion")                                                                                 \
    X(SUMMARY, "Executive summary", "Résumé exécutif")                                                                       \
    X(FAILED_MD,                                                                                                             \
      "Complete, but not what was exported: {1} {1:failure|failures}. Do not use this target before they are "               \
      "understood.",                                                                                                         \
      "Terminé, mais ce n'est pas ce qui a été exporté : {1} {1:écart|écarts}. N'utilisez pas cette base cible avant " \
      "de {1:l'avoir compris|les avoir compris}.")                                                                           \
    X(VERIFIED, "The target holds what was exported: all {1} records were proved against the exports.",                      \
      "La base cible contient ce qui a été exporté : les {1} enregistrements ont été vérifiés par rapport aux "       \
      "exports.")                                                                                                            \
    X(VERIFIED_REJECTS,                                                                                                      \
      "The target holds what was exported, but for {1} of {2} records, which had been rejected and stand among the "         \
      "rejects.",                                                                                                            \
      "La base cible contient ce qui a été exporté, sauf {1} des {2} enregistrements, qui avaient été rejetés et "     \
      "figurent parmi les rejets.")                                                                                          \
    X(VERIFIED_FAILED,                                                                                                       \
      "The target does not hold what was exported: {1} {1:failure|failures}. Do not use it before they are "                 \
      "understood.",                                                                                                         \
      "La base cible ne contient pas ce qui a été exporté : {1} {1:écart|écarts}. Ne l'utilisez pas avant de "          \
      "{1:l'avoir compris|les avoir compris}.")                                                                              \
    X(ASK_IN, "What came in", "Ce qui est entré")                                                                            \
    X(ANSWER_IN, "{1} {1:record|records} of {2} {2:file|files}, {3}",                                                        \
      "{1} {1:enregistrement|enregistrements} de {2} {2:fichier|fichiers}, {3}")                                             \
    X(ASK_WHERE, "What went where", "Ce qui est allé où")                                                                    \
    X(ANSWER_WHERE, "{1} {1:row|rows} in {2}", "{1} {1:ligne|lignes} dans {2}")                                              \
    X(ANSWER_WHERE_CHANGED, "{1} {1:row|rows} changed in {2}", "{1} {1:ligne modifiée|lignes modifiées} dans {2}")           \
    X(ANSWER_NOWHERE, "nothing: no row of the target was changed",                                                           \
      "nulle part : aucune ligne de la base cible n'a été modifiée")                                                         \
    X(ANSWER_HELD, "the target holds {1}", "la base cible contient {1}")                                                     \
    X(ASK_WRONG, "What is wrong", "Ce qui ne va pas")                                                                        \
    X(ANSWER_WRONG_NOTHING, "nothing", "rien")                                                                               \
    X(ANSWER_WRONG, "{1} {1:failure|failures}, {2} rejected {2:record|records}",                                             \
      "{1} {1:écart|écarts}, {2} {2:enregistrement rejeté|enregistrements rejetés}")                                         \
    X(ANSWER_FINDINGS, "; {1} {1:kind|kinds} of findings to read", " ; {1} {1:type|types} de constats à lire")               \
    X(ASK_UNDO, "How to undo it", "Comment revenir en arrière")                                                              \
    X(ANSWER_UNDO_GONE, "it is undone already", "c'est déjà fait")                                                           \
    X(ANSWER_UNDO_NEVER, "no longer possible: no undo is kept",                                                              \
      "ce n'est plus possible : rien n'est gardé pour l'annulation")                                                         \
    X(ANSWER_UNDO_NONE, "nothing to undo: the target knows no run",                                                          \
      "rien à annuler : la base cible ne connaît aucune exécution")                                                          \
    X(T_STREAM, "Stream", "Flux")                                                                                            \
    X(T_EXPORTED, "Exported", "Exportés")                                                                                    \
    X(T_READ, "Read", "Lus")                                                                                                 \
    X(T_WRITTEN, "Written", "Écrits")                                                                                        \
    X(T_UNCHANGED, "Unchanged", "Inchangés")                                                                                 \
    X(T_REJECTED, "Rejected", "Rejetés")                                                                                     \
    X(T_VALIDATED, "Proved", "Vérifiés")                                                                                     \
    X(T_COMPARED, "Compared", "Comparés")                                                                                    \
    X(TOTAL, "Total", "Total")                                                                                               \
    /* Inventory. */                                                                                                         \
    X(INVENTORY, "Inventory of the files", "Inventaire des fichiers")                                                        \
    X(NO_FILES, "No file is known.", "Aucun fichier n'est connu.")                                                           \
    X(T_FILE, "File", "Fichier")                                                                                             \
    X(T_RECORDS, "Records", "Enregistrements")                                                                               \
    X(T_SIZE, "Size", "Taille")                                                                                              \
    X(T_DIGEST, "Digest (XXH3-64)", "Empreinte (XXH3-64)")                                                                   \
    X(NO_RECORDS, "no record", "aucun enregistrement")                                                                       \
    /* Distributions. */                                                                                                     \
    X(DISTRIBUTION, "Distribution", "Répartition")                                                                           \
    X(NO_DISTRIBUTION, "None is known: the mapping declares none, or nothing of it was proved.",                             \
      "Aucune n'est connue : le mapping n'en déclare pas, ou rien n'en a été vérifié.")                                      \
    X(DISTRIBUTION_OF, "{1} by {2}", "{1} par {2}")                                                                          \
    X(OVERALL, "Overall: {1} {1:record|records}", "Ensemble : {1} {1:enregistrement|enregistrements}")                       \
    X(OF_GROUP, "{1}: {2} {2:record|records}", "{1} : {2} {2:enregistrement|enregistrements}")                               \
    X(T_VALUE, "{1} (export)", "{1} (origine)")                                                                              \
    X(T_STORED, "In the target", "Dans la base cible")                                                                       \
    X(T_PERCENT, "Percent", "Pourcentage")                                                                                   \
    X(DIFFERS, "The target differs from the export here.", "Ici, la base cible diffère de l'export.")                        \
    X(MORE_GROUPS, "{1} more {1:group|groups}: report.json has them all.",                                                   \
      "{1} {1:autre groupe|autres groupes} : report.json les contient tous.")                                                \
    /* Mapping. */                                                                                                           \
    X(MAPPING, "Mapping applied", "Correspondance appliquée")                                                                \
    X(MAPPING_NONE, "It is not known any more.", "Elle n'est plus connue.")                                                  \
    X(MAPPING_FILE, "Mapping {1}, digest {2}, file {3}", "Mapping {1}, empreinte {2}, fichier {3}")                          \
    X(MAPPING_ROW, "Stream {1} → table {2}", "Flux {1} → table {2}")                                                         \
    X(MAPPING_HOW, "Row {1}: {2}", "Ligne {1} : {2}")                                                                        \
    X(MODE_UPSERT, "inserted, or changed where it differs", "insérée, ou modifiée là où elle diffère")                       \
    X(MODE_ENSURE, "inserted if it is missing, never changed", "insérée si elle manque, jamais modifiée")                    \
    X(MAPPING_ONLY_IF, "only for records with {1}", "seulement pour les enregistrements avec {1}")                           \
    X(T_COLUMN, "Column", "Colonne")                                                                                         \
    X(T_FROM, "From", "Provenance")                                                                                          \
    X(FROM_CONSTANT, "always {1}", "toujours {1}")                                                                           \
    X(FROM_MAP, "{1}, by the value map {2}", "{1}, selon la table de valeurs {2}")                                           \
    X(FROM_PARENT, "id of the row in {1}", "id de la ligne de {1}")                                                          \
    X(FROM_LOOKUP, "id of the row of {1} whose {2} is {3}", "id de la ligne de {1} dont {2} est {3}")                        \
    X(FROM_DATE, "the date in {1}", "la date de {1}")                                                                        \
    X(FROM_TEMPLATE, "the text {1}", "le texte {1}")                                                                         \
    X(FROM_PERCENT, "percentage of the rows of {1} whose {2} is not {3}",                                                    \
      "pourcentage des lignes de {1} dont {2} n'est pas {3}")                                                                \
    X(FROM_KEY, "(key)", "(clé)")                                                                                            \
    X(MAPPING_IGNORED, "Not carried over: {1} ({2})", "Non repris : {1} ({2})")                                              \
    X(DERIVED, "Computed columns", "Colonnes calculées")                                                                     \
    X(VALUE_MAP, "Value map {1}", "Table de valeurs {1}")                                                                    \
    X(T_MAP_FROM, "Export", "Origine")                                                                                       \
    X(T_MAP_TO, "Target", "Cible")                                                                                           \
    /* Checks. */                                                                                                            \
    X(CHECKS, "Integrity checks", "Contrôles d'intégrité")                                                                   \
    X(CHECK_OPEN, "not done", "non effectué")                                                                                \
    X(CHECK_NOTED, "not so, but no failure: see above and the findings",                                                     \
      "ce n'est pas le cas, sans être un écart : voir ci-dessus et les constats")                                            \
    X(CHECK_FAILED, "FAILED", "ÉCHEC")                                                                                       \
    X(CHECK_ACCOUNTS, "Every record is accounted for: read = written + unchanged + rejected",                                \
      "Chaque enregistrement est compté : lus = écrits + inchangés + rejetés")                                               \
    X(CHECK_COMPLETE, "Every exported record was dealt with: {1} of {2}",                                                    \
      "Chaque enregistrement exporté a été traité : {1} sur {2}")                                                            \
    X(CHECK_ROWS, "Every accepted record was read back and equals its export: {1} of {2}",                                   \
      "Chaque enregistrement accepté a été relu et est égal à son export : {1} sur {2}")                                     \
    X(CHECK_ROWS_FAILED, "Every accepted record was read back and equals its export",                                        \
      "Chaque enregistrement accepté a été relu et est égal à son export")                                                   \
    X(CHECK_DISTRIBUTION, "The distribution of each group is that of the export",                                            \
      "La répartition de chaque groupe est celle de l'export")                                                               \
    X(CHECK_KEYS, "Every key that other records refer to can be found in the target",                                        \
      "Chaque clé à laquelle d'autres enregistrements se réfèrent se trouve dans la base cible")                             \
    X(CHECK_EXTRA, "No row in the target's groups that the export lacks",                                                    \
      "Aucune ligne, dans les groupes de la base cible, que l'export n'a pas")                                               \
    X(CHECK_FOREIGN_KEYS, "Referential integrity (foreign_key_check)", "Intégrité référentielle (foreign_key_check)")        \
    X(CHECK_QUICK_CHECK, "The database file is sound (quick_check)",                                                         \
      "Le fichier de la base est intègre (quick_check)")                                                                     \
    X(CHECK_DERIVED, "Computed columns, computed again, are equal",                                                          \
      "Les colonnes calculées, recalculées, sont égales")                                                                    \
    X(CHECK_WHOLE, "All other checks of the database as a whole",                                                            \
      "Tous les autres contrôles de la base dans son ensemble")                                                              \
    X(CHECK_API, "The API answers what was exported: {1}", "L'API répond ce qui a été exporté : {1}")                        \
    /* Findings, rejects, failures. */                                                                                       \
    X(NO_FINDINGS, "None.", "Aucun.")                                                                                        \
    X(T_COUNT, "Count", "Nombre")                                                                                            \
    X(T_WHERE, "Where", "Endroit")                                                                                           \
    X(T_WHAT, "What", "Constat")                                                                                             \
    X(T_EXAMPLE, "First example", "Premier exemple")                                                                         \
    X(PLACE_BYTE, "{1}, byte {2}", "{1}, octet {2}")                                                                         \
    X(PLACE_RECORD, "{1}, record {2}", "{1}, enregistrement {2}")                                                            \
    X(NO_REJECTS, "None: no record was rejected.", "Aucun : aucun enregistrement n'a été rejeté.")                           \
    X(T_REASON, "Reason", "Motif")                                                                                           \
    X(REJECTS_SEE, "To see each of them:", "Pour voir chacun d'eux :")                                                       \
    X(REJECTS_GONE, "The run was taken back: they are not tried again by themselves, repeat the run.",                       \
      "L'exécution a été annulée : ils ne sont pas réessayés seuls, répétez l'exécution.")                                   \
    X(FAILURES, "Failures", "Écarts")                                                                                        \
    X(NO_FAILURES, "None: nothing that is stored differs from what was exported.",                                           \
      "Aucun : rien de ce qui est stocké ne diffère de ce qui a été exporté.")                                               \
    X(FAILURES_NOT_DONE, "None so far: the proof is not complete.",                                                          \
      "Aucun jusqu'ici : la vérification n'est pas achevée.")                                                                \
    X(FAILURES_TOTAL, "{1} in all; the first {2}:", "{1} en tout ; les {2} premiers :")                                      \
    X(FAILURES_ALL, "{1} in all:", "{1} en tout :")                                                                          \
    X(T_KIND, "Kind", "Type")                                                                                                \
    X(T_TABLE, "Table", "Table")                                                                                             \
    X(T_KEY, "Key", "Clé")                                                                                                   \
    X(T_EXPECTED, "Expected", "Attendu")                                                                                     \
    X(T_FOUND, "Stored", "Stocké")                                                                                           \
    X(T_PLACE, "Place in the export", "Endroit dans l'export")                                                               \
    /* The target, undo, reproducing. */                                                                                     \
    X(NOW, "The target now", "La base cible maintenant")                                                                     \
    X(T_ROWS_INSERTED, "Rows inserted", "Lignes insérées")                                                                   \
    X(T_ROWS_UPDATED, "Rows changed", "Lignes modifiées")                                                                    \
    X(T_ROWS_NOW, "Rows now", "Lignes maintenant")                                                                           \
    X(UNDO, "Back to where it was", "Retour arrière")                                                                        \
    X(UNDO_BEFORE,                                                                                                           \
      "Before run {1} the target was at checkpoint {2}. To look what going back there would do, and to "                     \
      "do it:",                                                                                                              \
      "Avant l'exécution {1}, la base cible était au point de contrôle {2}. Pour voir ce que ferait le retour à ce "     \
      "point, puis pour le faire :")                                                                                         \
    X(UNDO_BEFORE_ALL,                                                                                                       \
      "Before run {1} there was no checkpoint; point 0 stands for that. To look what going back "                            \
      "there would do, and to do it:",                                                                                       \
      "Avant l'exécution {1}, il n'y avait pas de point de contrôle ; le point 0 en tient lieu. Pour voir ce que "         \
      "ferait le retour à ce point, puis pour le faire :")                                                                   \
    X(UNDO_GONE, "Run {1} was taken back: the target is as it was before it.",                                               \
      "L'exécution {1} a été annulée : la base cible est telle qu'elle était avant.")                                        \
    X(UNDO_NEVER, "Run {1} cannot be taken back: it was sealed, or made with --undo off.",                                   \
      "L'exécution {1} ne peut pas être annulée : elle a été scellée, ou faite avec --undo off.")                            \
    X(UNDO_NONE, "The target knows no run that could be taken back.",                                                        \
      "La base cible ne connaît aucune exécution qui puisse être annulée.")                                                  \
    X(REPRODUCE, "How to reproduce", "Comment reproduire")                                                                   \
    X(REPRODUCE_WITH, "With the files of the inventory and the mapping of the digest given above:",                          \
      "Avec les fichiers de l'inventaire et le mapping dont l'empreinte est donnée ci-dessus :")                             \
    X(REPRODUCE_VERIFY, "To prove the target against the exports again, at any later time:",                                 \
      "Pour vérifier de nouveau la base cible par rapport aux exports, à tout moment :")                                     \
    X(T_PROGRAM, "Program", "Programme")                                                                                     \
    X(T_VERSION, "Version", "Version")                                                                                       \
    X(FOOTER, "Made by {1} on {2} UTC. The same facts for programs: report.json.",                                           \
      "Produit par {1} le {2} UTC. Les mêmes faits pour les programmes : report.json.")

typedef enum {
#define X(key, english, french) PR_S_##key,
    PR_STRINGS(X)
#undef X
        PR_STRINGS_COUNT
} pr_string_t;

/* The French of the sentences in common/reject.h and common/rows.h: name there, French. */
#define PR_STRINGS_REJECTS(X)                                                                                          \
    X(MALFORMED_JSON, "l'enregistrement n'est pas du JSON valide")                                                     \
    X(BAD_UTF8, "l'enregistrement n'est pas de l'UTF-8 valide")                                                        \
    X(DUPLICATE_KEY, "un champ figure deux fois dans l'enregistrement")                                                \
    X(MISSING_FIELD, "il manque un champ du flux")                                                                     \
    X(UNKNOWN_FIELD, "le mapping ne connaît pas le champ")                                                             \
    X(WRONG_TYPE, "la valeur n'a pas le type voulu")                                                                   \
    X(NULL_VALUE, "le champ ne doit pas être nul")                                                                     \
    X(INTEGER_RANGE, "l'entier ne tient pas dans 64 bits")                                                             \
    X(UNKNOWN_VALUE, "la table de valeurs ne connaît pas la valeur")                                                   \
    X(BAD_DATE, "le texte ne commence pas par une date AAAA-MM-JJ")                                                    \
    X(UNKNOWN_PARENT, "la ligne à laquelle l'enregistrement se réfère n'est pas dans la base cible")                   \
    X(CHANGED_IN_TARGET, "d'autres ont modifié la ligne que l'enregistrement doit modifier")                           \
    X(CONSTRAINT, "une contrainte de la base cible interdit la ligne")                                                 \
    X(REAL_RANGE, "le nombre ne tient pas dans un flottant double")

#define PR_STRINGS_NOTES(X)                                                                                            \
    X(NULL_TEXT_KEPT, "le texte « null » a été gardé comme texte")                                                     \
    X(NULL_TEXT, "le texte « null » a été pris pour NULL")                                                             \
    X(ROUNDED_INTEGER, "un entier au-delà de 2^53 a été arrondi par l'exportateur")                                    \
    X(UNKNOWN_FIELD, "un champ que le mapping ne connaît pas a été laissé de côté")

/* Words that have their sentence here alone: word, English, French. */
#define PR_STRINGS_FINDINGS(X)                                                                                         \
    X("unknown_meta", "the export's envelope has a key that is not known",                                             \
      "l'enveloppe de l'export a une clé inconnue")                                                                    \
    X("foreign_key_elsewhere", "a table that the mapping does not fill has references that lead nowhere",              \
      "une table que le mapping ne remplit pas a des références qui ne mènent nulle part")                             \
    X("shared_parent_differs", "a row that was there before differs from what the record says; it was left alone",     \
      "une ligne qui était déjà là diffère de ce que dit l'enregistrement ; elle n'a pas été touchée")                 \
    X("duplicate_key", "the same key stands more than once in the exports; the last one is stored",                    \
      "la même clé figure plusieurs fois dans les exports ; la dernière est stockée")                                  \
    X("repeated_key", "the key of an earlier record of the exports stands there again",                                \
      "la clé d'un enregistrement antérieur des exports y figure à nouveau")                                           \
    X("extra_row", "the target has a row in the export's groups that the export lacks",                                \
      "la base cible a, dans les groupes de l'export, une ligne que l'export n'a pas")                                 \
    X("declared_total", "the number declared is not the number that is there",                                         \
      "le nombre déclaré n'est pas le nombre présent")                                                                 \
    X("declared_geometry", "the layout declared is not the layout that is there",                                      \
      "la disposition déclarée n'est pas celle qui est présente")                                                      \
    X("duplicate_position", "two records lie in the same place", "deux enregistrements sont au même endroit")          \
    X("api_extra", "the API shows a record in the export's groups that the export lacks",                              \
      "l'API montre, dans les groupes de l'export, un enregistrement que l'export n'a pas")                            \
    X("foreign_kept", "others changed the row since it was stored, or wrote it themselves; it was left as it is",      \
      "d'autres ont modifié la ligne depuis son stockage, ou l'ont écrite eux-mêmes ; elle reste telle quelle")        \
    X("foreign_overwritten", "others changed the row since it was stored, or wrote it themselves; it was overwritten", \
      "d'autres ont modifié la ligne depuis son stockage, ou l'ont écrite eux-mêmes ; elle a été écrasée")             \
    X("made_rows", "placeholder rows were made", "des lignes provisoires ont été créées")

#define PR_STRINGS_FAILURES(X)                                                                                         \
    X("mismatch", "a value differs", "une valeur diffère")                                                             \
    X("missing", "the row is missing", "la ligne manque")                                                              \
    X("extra", "the export has no such row", "l'export n'a pas cette ligne")                                           \
    X("whole", "a check of the whole failed", "un contrôle d'ensemble a échoué")

/*  What stands outside of quotes in details of findings and in what failures expect and find: phrase, French. The books
 *  hold them in English. Longer ones first where one begins another. */
#define PR_STRINGS_PHRASES(X)                                                                                          \
    X("shared rows that no record is about: made because records refer to them",                                       \
      "lignes partagées qu'aucun enregistrement ne décrit : créées parce que des enregistrements s'y réfèrent")        \
    X("a row that no record of the exports proves", "une ligne qu'aucun enregistrement des exports ne prouve")         \
    X("no second row with the key of", "pas de seconde ligne avec la clé de")                                          \
    X("the first byte of a record", "le premier octet d'un enregistrement")                                            \
    X("has the row of an earlier record", "a la ligne d'un enregistrement antérieur")                                  \
    X("is overwritten by", "est remplacé par")                                                                         \
    X("bytes, from byte", "octets, à partir de l'octet")                                                               \
    X("refers to none", "ne se réfère à aucune")                                                                       \
    X("in the export", "dans l'export")                                                                                \
    X("no such row", "cette ligne n'existe pas")                                                                       \
    X("a row of", "une ligne de")                                                                                      \
    X("a reject", "un rejet")                                                                                          \
    X("has no row whose", "n'a pas de ligne dont")                                                                     \
    X("is", "est")                                                                                                     \
    X("there are", "il y en a")                                                                                        \
    X("declares", "déclare")                                                                                           \
    X("accepted", "accepté")                                                                                           \
    X("stored", "dans la base")                                                                                        \
    X("no row", "aucune ligne")                                                                                        \
    X("a row", "une ligne")                                                                                            \
    X("record", "enregistrement")                                                                                      \
    X("byte", "octet")                                                                                                 \
    X("rows", "lignes")                                                                                                \
    X("row", "ligne")                                                                                                  \
    X("none", "aucune")                                                                                                \
    X("to", "à")                                                                                                       \
    X("or", "ou")

/* A string as it stands in the table. Static. */
const char *pr_string(pr_report_language_t language, pr_string_t string);

/*  A string with its arguments put in: texts, as many as it has places for, then NULL. *Returns new*. */
char *pr_string_format(pr_report_language_t language, pr_string_t string, ...) __attribute__((sentinel));

/* A byte of an export: "modules.json, byte 660". Its digits stand together, to be pasted. *Returns new*. */
char *pr_string_byte(pr_report_language_t language, const char *path, uint64_t offset);

/* The sentence that goes with a word of the books, or NULL. Static. */
const char *pr_string_reject(pr_report_language_t language, const char *reason);
const char *pr_string_finding(pr_report_language_t language, const char *kind);
const char *pr_string_failure(pr_report_language_t language, const char *kind);

/*  A detail of the books in a language: outside of '…', the phrases of the table are put in French, where they are whole
 *  words. *Returns new*. */
char *pr_string_detail(pr_report_language_t language, const char *detail);

/* ": expected …, stored …" of two details; "none" stands for one that is empty. *Returns new*. */
char *pr_string_values(pr_report_language_t language, const char *expected, const char *stored);

/* A text by value, as pr_format_t, with room for no-break spaces. */
typedef struct {
    char text[48];
} pr_number_t;

/* Numbers as pr_format_… writes them, or as one writes them in French: "1 234 567", "12,6", "238 ko". */
pr_number_t pr_string_count(pr_report_language_t language, uint64_t count);
pr_number_t pr_string_bytes(pr_report_language_t language, uint64_t bytes);
pr_number_t pr_string_percent(pr_report_language_t language, uint64_t part, uint64_t whole); /* without % */
pr_number_t pr_string_seconds(pr_report_language_t language, double seconds);

#endif

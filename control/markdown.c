/* SPDX-License-Identifier: MIT */
/* Writing Markdown. */
#include "control/markdown.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

#define S_RETURN   "↵"
#define S_ELLIPSIS "…"

const char *pr_page_keep(pr_page_t *page, char *text) {
    if ((page->texts_count & (page->texts_count - 1)) == 0) { /* room for a power of two */
        size_t room = page->texts_count == 0 ? 1 : page->texts_count * 2;
        page->texts = pr_xrealloc(page->texts, room * sizeof *page->texts);
    }
    page->texts[page->texts_count++] = text;
    return text;
}

void pr_page_free_texts(pr_page_t *page) {
    for (size_t i = 0; i < page->texts_count; i++)
        free(page->texts[i]);
    free(page->texts);
    page->texts = NULL;
    page->texts_count = 0;
}

/* A memory stream; memory that is not there ends the program, as everywhere. */
static FILE *s_open(char **text, size_t *size) {
    FILE *out = open_memstream(text, size);
    if (out == NULL)
        abort();
    return out;
}

/* Bytes of at most `most` characters of a text. */
static size_t s_cut(const char *text, size_t most) {
    size_t at = 0;
    for (size_t characters = 0; text[at] != '\0'; at++) {
        if (((unsigned char)text[at] & 0xC0U) != 0x80U && characters++ == most)
            break;
    }
    return at;
}

/* A character that would break a line or not be seen. NULL: it is none. */
static const char *s_replacement(char character) {
    if (character == '\n')
        return S_RETURN;
    return (unsigned char)character < 0x20 || character == 0x7F ? " " : NULL;
}

/* The longest run of backticks. */
static size_t s_backticks(const char *text, size_t size) {
    size_t longest = 0;
    size_t run = 0;
    for (size_t i = 0; i < size; i++) {
        run = text[i] == '`' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

static void s_repeat(FILE *out, char character, size_t count) {
    while (count-- > 0)
        fputc(character, out);
}

static const char *s_code(pr_page_t *page, const char *text, size_t size) {
    char *span = NULL;
    size_t span_size;
    if (*text == '\0')
        return "";
    FILE *out = s_open(&span, &span_size);
    size_t fence = s_backticks(text, size) + 1;
    /* One blank on each side is taken off again by whoever reads it (GFM 6.3), unless there is nothing but blanks. */
    bool pad = fence > 1 || (text[0] == ' ' && text[size - 1] == ' ' && strspn(text, " ") < size);
    s_repeat(out, '`', fence);
    s_repeat(out, ' ', pad);
    for (size_t i = 0; i < size; i++) {
        const char *instead = s_replacement(text[i]);
        if (page->in_table && text[i] == '|')
            fputc('\\', out);
        if (instead != NULL)
            fputs(instead, out);
        else
            fputc(text[i], out);
    }
    if (text[size] != '\0')
        fputs(S_ELLIPSIS, out);
    s_repeat(out, ' ', pad);
    s_repeat(out, '`', fence);
    fclose(out);
    return pr_page_keep(page, span);
}

const char *pr_page_code(pr_page_t *page, const char *text) {
    return s_code(page, text, s_cut(text, PR_PAGE_VALUE_MAX));
}

const char *pr_page_code_whole(pr_page_t *page, const char *text) {
    return s_code(page, text, strlen(text));
}

const char *pr_page_text(pr_page_t *page, const char *text) {
    char *escaped = NULL;
    size_t escaped_size;
    FILE *out = s_open(&escaped, &escaped_size);
    for (const char *at = text; *at != '\0'; at++) {
        const char *instead = s_replacement(*at);
        if (instead != NULL) {
            fputs(instead, out);
            continue;
        }
        if (strchr("\\`*_{}[]<>#|~&$", *at) != NULL)
            fputc('\\', out);
        fputc(*at, out);
    }
    fclose(out);
    return pr_page_keep(page, escaped);
}

void pr_page_shell(pr_page_t *page, const char *const *lines, size_t count) {
    size_t fence = 3;
    for (size_t i = 0; i < count; i++) {
        size_t run = s_backticks(lines[i], strlen(lines[i])) + 1;
        fence = run > fence ? run : fence;
    }
    s_repeat(page->out, '`', fence);
    fputs("sh\n", page->out);
    for (size_t i = 0; i < count; i++)
        fprintf(page->out, "%s\n", lines[i]);
    s_repeat(page->out, '`', fence);
    fputs("\n\n", page->out);
}

void pr_page_table_row(pr_page_t *page, size_t columns, const char *const *cells) {
    for (size_t i = 0; i < columns; i++)
        fprintf(page->out, "|%s%s ", *cells[i] != '\0' ? " " : "", cells[i]);
    fputs("|\n", page->out);
}

void pr_page_table_begin(pr_page_t *page, const char *align, const char *const *cells) {
    pr_page_table_row(page, strlen(align), cells);
    for (const char *at = align; *at != '\0'; at++)
        fputs(*at == 'r' ? "| ---: " : "| --- ", page->out);
    fputs("|\n", page->out);
    page->in_table = true;
}

void pr_page_table_end(pr_page_t *page) {
    page->in_table = false;
    fputc('\n', page->out);
}

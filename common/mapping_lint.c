/* SPDX-License-Identifier: MIT */
/* Lines of a JSON text, the list of mistakes, and rules for names. */
#include "common/mapping_lint.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/alloc.h"

/* jansson gives no lines for values, so a tiny tokenizer goes over the text that jansson has accepted. */
typedef struct {
    const char *at, *end;
    int line;
} s_text_t;

enum { S_DEPTH_MAX = 2048 /* as jansson's */ };

static bool s_more(const s_text_t *text) {
    return text->at < text->end;
}

static void s_skip_space(s_text_t *text) {
    while (s_more(text) && strchr(" \t\r\n", *text->at) != NULL && *text->at != '\0') {
        text->line += *text->at == '\n';
        text->at++;
    }
}

/* Skip a string, from its opening quote to behind its closing one. */
static void s_skip_string(s_text_t *text) {
    text->at++;
    while (s_more(text) && *text->at != '"') {
        if (*text->at == '\\') {
            text->at++;
        }
        if (s_more(text)) {
            text->at++;
        }
    }
    if (s_more(text)) {
        text->at++;
    }
}

static void s_skip_scalar(s_text_t *text) {
    if (*text->at == '"') {
        s_skip_string(text);
        return;
    }
    do {
        text->at++;
    } while (s_more(text) && strchr(",]} \t\r\n", *text->at) == NULL);
}

/* A key's text, by jansson itself, so that both understand escapes alike. */
static char *s_key(const char *quoted, size_t size) {
    json_t *json = json_loadb(quoted, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    char *key = pr_xstrdup(json_is_string(json) ? json_string_value(json) : "");
    json_decref(json);
    return key;
}

static pr_line_node_t *s_add_child(pr_line_node_t *node) {
    if ((node->count & (node->count - 1)) == 0) {
        size_t capacity = node->count == 0 ? 1 : node->count * 2;
        node->children = pr_xrealloc(node->children, capacity * sizeof(*node->children));
    }
    pr_line_node_t *child = &node->children[node->count++];
    *child = (pr_line_node_t){0};
    return child;
}

static void s_index_value(s_text_t *text, pr_line_node_t *node, unsigned depth);

static void s_index_container(s_text_t *text, pr_line_node_t *node, char close, unsigned depth) {
    text->at++;
    for (;;) {
        s_skip_space(text);
        if (!s_more(text) || *text->at == close) {
            break;
        }
        if (*text->at == ',') {
            text->at++;
            continue;
        }
        pr_line_node_t *child = s_add_child(node);
        child->line = text->line;
        if (close == '}') {
            const char *quoted = text->at;
            s_skip_string(text);
            child->key = s_key(quoted, (size_t)(text->at - quoted));
            s_skip_space(text);
            if (s_more(text) && *text->at == ':') {
                text->at++;
            }
            s_skip_space(text);
        }
        s_index_value(text, child, depth + 1);
    }
    if (s_more(text)) {
        text->at++;
    }
}

static void s_index_value(s_text_t *text, pr_line_node_t *node, unsigned depth) {
    if (!s_more(text)) {
        return;
    }
    if (depth >= S_DEPTH_MAX) {
        text->at = text->end;
        return;
    }
    if (*text->at == '{' || *text->at == '[') {
        s_index_container(text, node, *text->at == '{' ? '}' : ']', depth);
    } else {
        s_skip_scalar(text);
    }
}

pr_line_node_t *pr_line_index_new(const char *text, size_t size) {
    s_text_t walk = {.at = text, .end = text + size, .line = 1};
    pr_line_node_t *root = pr_xcalloc(1, sizeof(*root));
    s_skip_space(&walk);
    root->line = walk.line;
    s_index_value(&walk, root, 0);
    return root;
}

static void s_free_children(pr_line_node_t *node) {
    for (size_t i = 0; i < node->count; i++) {
        s_free_children(&node->children[i]);
        free(node->children[i].key);
    }
    free(node->children);
}

void pr_line_index_destroy(pr_line_node_t **index) {
    if (*index != NULL) {
        s_free_children(*index);
        free(*index);
        *index = NULL;
    }
}

const pr_line_node_t *pr_line_member(const pr_line_node_t *node, const char *key) {
    for (size_t i = node->count; i > 0; i--) {
        const pr_line_node_t *child = &node->children[i - 1];
        if (child->key != NULL && strcmp(child->key, key) == 0) {
            return child;
        }
    }
    return NULL;
}

const pr_line_node_t *pr_line_element(const pr_line_node_t *node, size_t index) {
    return index < node->count ? &node->children[index] : NULL;
}

void pr_lint_add(pr_lint_t *lint, int line, const char *format, ...) {
    va_list args;
    lint->mistakes = pr_xrealloc(lint->mistakes, (lint->count + 1) * sizeof(*lint->mistakes));
    pr_mapping_mistake_t *mistake = &lint->mistakes[lint->count++];
    mistake->line = line;
    va_start(args, format);
    vsnprintf(mistake->text, sizeof(mistake->text), format, args);
    va_end(args);
}

static void s_check_duplicate(pr_lint_t *lint, const pr_line_node_t *node, size_t index) {
    const pr_line_node_t *child = &node->children[index];
    for (size_t i = 0; child->key != NULL && i < index; i++) {
        const pr_line_node_t *other = &node->children[i];
        if (strcmp(other->key, child->key) == 0) {
            pr_lint_add(lint, child->line, "duplicate key \"%s\" (the first is on line %d), expected every key once",
                        child->key, other->line);
            return;
        }
    }
}

void pr_lint_duplicate_keys(pr_lint_t *lint, const pr_line_node_t *node) {
    for (size_t i = 0; i < node->count; i++) {
        s_check_duplicate(lint, node, i);
        pr_lint_duplicate_keys(lint, &node->children[i]);
    }
}

void pr_lint_sort(pr_lint_t *lint) {
    /* Insertion sort: stable, and the list is short and nearly in order. */
    for (size_t i = 1; i < lint->count; i++) {
        pr_mapping_mistake_t mistake = lint->mistakes[i];
        size_t at = i;
        while (at > 0 && lint->mistakes[at - 1].line > mistake.line) {
            lint->mistakes[at] = lint->mistakes[at - 1];
            at--;
        }
        lint->mistakes[at] = mistake;
    }
}

void pr_lint_clear(pr_lint_t *lint) {
    free(lint->mistakes);
    *lint = (pr_lint_t){0};
}

bool pr_lint_is_identifier(const char *text) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char letters_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    return text[0] != '\0' && strchr(letters, text[0]) != NULL && text[strspn(text, letters_digits)] == '\0';
}

bool pr_lint_is_reserved_table(const char *text) {
    return strncasecmp(text, "pvrelay_", 8) == 0 || strncasecmp(text, "sqlite_", 7) == 0;
}

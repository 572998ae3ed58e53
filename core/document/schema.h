/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.h - what a document may say, as tables: one row per key.
 *
 * The same row decodes (bind.h), prints (emit.h), and makes the reference page and the JSON
 * Schema (page.h). Rows are constants; a structure's members are filled through their offsets.
 *
 * Threads: constants and pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "core/base/writer.h"

/* The member that a field of each type fills. */
enum schema_type {
	SCHEMA_BOOL,     /* bool */
	SCHEMA_NUMBER,   /* uint64_t */
	SCHEMA_DURATION, /* uint64_t, nanoseconds */
	SCHEMA_SIZE,     /* uint64_t, bytes */
	SCHEMA_TEXT,     /* struct slice */
	SCHEMA_ENUM,     /* uint32_t: the value of one of the words */
	SCHEMA_SET,      /* uint32_t: the values of several words, as a list, or-ed; 0 is none */
	SCHEMA_NET,      /* struct form_net */
	SCHEMA_MAP,      /* a structure that another schema describes */
	SCHEMA_LIST,     /* const T *, and a uint32_t count at n_offset; one text may stand for a
			  * list of it */
	SCHEMA_NAMED,    /* the same, from a map: T begins with its key, as a struct slice; then
			  * it goes on as the element's schema says, or with a text */
	SCHEMA_N_TYPES
};

/* A fixed word. In texts: value SCHEMA_EMPTY stores the empty slice, SCHEMA_AS_IS the word. */
struct schema_word {
	const char *text; /* NULL ends an array of words. */
	uint64_t value;
	const char *help;
};

enum { SCHEMA_EMPTY = 0, SCHEMA_AS_IS = 1 };

enum schema_flag {
	SCHEMA_REQUIRED = 1, /* No default: the key must be there. */
	SCHEMA_LIVE = 2,     /* A reload may change it. */
	SCHEMA_LINES = 4,    /* A text of several lines. */
	SCHEMA_INACTIVE = 8, /* Understood, but nothing acts on it yet: inactive.h. */
};

/* 0 when the text is of the right form. */
typedef int schema_check_fn(struct slice text);

struct schema;

struct schema_field {
	const char *key; /* NULL in the element of a list. */
	enum schema_type type;
	uint32_t flags;
	uint32_t offset;
	uint32_t n_offset; /* SCHEMA_LIST, SCHEMA_NAMED. */
	uint64_t min,
		max; /* Of numbers, in ns or bytes; of a list's length; of a text's length (max 0: 255). */
	const char *
		preset; /* The default, as one would write it; NULL for maps, lists, required fields. */
	const struct schema_word *words;
	schema_check_fn
		*check; /* Of texts that are not one of the words; of the keys of SCHEMA_NAMED. */
	const char *pattern;  /* What check takes matches it: of JSON Schema; or NULL (page.c). */
	const char *expected; /* What check wants, for "needs ...". */
	const struct schema *map;           /* SCHEMA_MAP. */
	const struct schema_field *element; /* SCHEMA_LIST, SCHEMA_NAMED. */
	const char *example;                /* For the page, where the default shows nothing. */
	const char *help;                   /* Sentences. */
	const char *over; /* Of a limit: what happens beyond it. NULL: not a limit. */
};

struct schema {
	const char *title;
	const char *help;
	uint32_t size; /* sizeof the structure. */
	uint32_t n_fields;
	const struct schema_field *fields;
};

/* What a named text becomes. */
struct schema_pair {
	struct slice name, text;
};

#define SCHEMA_MEMBER(type_, member_) .offset = offsetof(struct type_, member_)
#define SCHEMA_COUNTED(type_, member_, n_member_)                                                  \
	.offset = offsetof(struct type_, member_), .n_offset = offsetof(struct type_, n_member_)

/* The row or word of that name, or NULL. */
const struct schema_field *schema_find_field(const struct schema *schema, struct slice key);
const struct schema_word *schema_find_word(const struct schema_field *field, struct slice text);

/* The size of the member that a field fills; of one element, for the element of a list. */
size_t schema_size_of(const struct schema_field *field);
/* The same of an element of SCHEMA_LIST or SCHEMA_NAMED, with its name. */
size_t schema_item_size(const struct schema_field *field);
static inline bool schema_is_list(const struct schema_field *field)
{
	return field->type == SCHEMA_LIST || field->type == SCHEMA_NAMED;
}
/* Where one of them may stand without its list. */
static inline bool schema_is_list_of_texts(const struct schema_field *field)
{
	return field->type == SCHEMA_LIST && field->element->type == SCHEMA_TEXT;
}
size_t schema_text_max(const struct schema_field *field);

/* A number in the unit of its type: "15s", "64KiB", "3". */
void schema_put_number(struct writer *w, enum schema_type type, uint64_t value);
/* What a field takes: "auto, or 1 to 256". For messages and pages. */
void schema_put_allowed(struct writer *w, const struct schema_field *field);

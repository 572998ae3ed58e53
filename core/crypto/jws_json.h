/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jws_json.h - one JSON object out of a token, read without memory of its own.
 *
 * Strict where readers differ (RFC 8259, RFC 7515 4): UTF-8 without a mark in front, nothing behind
 * the object, no name twice in any object, by its decoded form. Bounded: text, depth, digits of a
 * number, and members, all objects in there counted together, by the room that the caller gives.
 *
 * Reading only finds where things are. Strings stay as they are written, with quotes and escapes;
 * comparing and copying decode them on the way.
 *
 * Ownership: text and room are the caller's; what is found is good as long as both are.
 * Threads: pure functions.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/base/writer.h"

enum { JWS_JSON_TEXT_MAX = 8192, JWS_JSON_DEPTH_MAX = 8, JWS_JSON_NUMBER_MAX = 64 };

/* The greatest integer below which all are exact as doubles, as other readers take them. */
#define JWS_JSON_DATE_MAX (INT64_C(1) << 53)

enum jws_json_kind {
	JWS_JSON_NONE, /* There is none. */
	JWS_JSON_STRING,
	JWS_JSON_NUMBER,
	JWS_JSON_BOOL,
	JWS_JSON_NULL,
	JWS_JSON_ARRAY,
	JWS_JSON_OBJECT,
};

struct jws_json_value {
	enum jws_json_kind kind;
	struct slice text; /* As written, from its first byte to its last. */
};

/* Places in the text. */
struct jws_json_member {
	uint16_t name, name_len; /* With its quotes. */
	uint16_t value, value_len;
	uint16_t object; /* Which one it is in: 0 is the outermost. */
	uint32_t hash;   /* Of what the name stands for. */
};

struct jws_json {
	struct jws_json_member *members; /* In the order of the text. */
	uint16_t size, n_members;
	const char *text;
};

/*
 * Read 'text' into json, whose members and size the caller has set. 0, -EINVAL when it is no such
 * object, or -E2BIG beyond a bound.
 */
GW_MUST_USE int jws_json_read(struct jws_json *json, struct slice text);

/* The outermost object's member of this name. */
struct jws_json_value jws_json_find(const struct jws_json *json, struct slice name);

/*
 * The next element of an array that was found, or JWS_JSON_NONE; *rest begins as the array's text
 * and is private then.
 */
struct jws_json_value jws_json_next(struct slice *rest);

/* Is it a string, and this one? */
bool jws_json_equals(struct jws_json_value value, struct slice text);
/* Is it a string, and 'word' one of its words between single blanks? */
bool jws_json_has_word(struct jws_json_value value, struct slice word);
/* What a string stands for; it may hold any byte, NUL included. */
void jws_json_put(struct writer *to, struct jws_json_value string);

/*
 * A moment in seconds since 1970, fractions cut off. 0, or -EINVAL when it is no number without an
 * exponent from 0 to JWS_JSON_DATE_MAX.
 */
GW_MUST_USE int jws_json_date(struct jws_json_value value, int64_t *ret_s);

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/jws_json.h"

#include <errno.h>

#include "core/base/hash.h"

/* --- The text of a string. --------------------------------------------------------------------- */

/* Its decoded bytes, one after the other. */
struct letters {
	const char *at, *end; /* Between the quotes. */
	uint8_t ready[4];     /* Of an escape, the last first. */
	uint8_t n_ready;
};

static struct letters letters_of(struct slice quoted)
{
	return (struct letters){ .at = quoted.ptr + 1, .end = quoted.ptr + quoted.len - 1 };
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c = slice_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four digits; UINT32_MAX when they are none. */
static uint32_t hex4(const char *at, const char *end)
{
	uint32_t unit = 0;

	if (end - at < 4)
		return UINT32_MAX;
	for (int i = 0; i < 4; i++) {
		int digit = hex_value(at[i]);

		if (digit < 0)
			return UINT32_MAX;
		unit = unit << 4 | (uint32_t)digit;
	}
	return unit;
}

static bool is_in(uint32_t c, uint32_t low, uint32_t high)
{
	return c >= low && c <= high;
}

/* The character behind "\u", of which *at is passed; UINT32_MAX: half a surrogate pair, or no digits. */
static uint32_t escaped_point(const char **at, const char *end)
{
	uint32_t high = hex4(*at, end), low;

	if (high == UINT32_MAX || is_in(high, 0xdc00, 0xdfff))
		return UINT32_MAX;
	*at += 4;
	if (!is_in(high, 0xd800, 0xdbff))
		return high;
	if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
		return UINT32_MAX;
	low = hex4(*at + 2, end);
	if (!is_in(low, 0xdc00, 0xdfff))
		return UINT32_MAX;
	*at += 6;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* The character of an escape, whose backslash is passed; UINT32_MAX: it is none. */
static uint32_t escape(const char **at, const char *end)
{
	static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const char *found;

	if (*at == end)
		return UINT32_MAX;
	if (**at == 'u') {
		++*at;
		return escaped_point(at, end);
	}
	found = memchr(letters, *(*at)++, sizeof(letters) - 1);
	return found ? (uint32_t)meant[found - letters] : UINT32_MAX;
}

/* In UTF-8, the last byte first. */
static void make_ready(struct letters *l, uint32_t point)
{
	static const uint8_t leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	uint8_t len = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;

	for (l->n_ready = 0; l->n_ready + 1 < len; point >>= 6)
		l->ready[l->n_ready++] = (uint8_t)(0x80 | (point & 0x3f));
	l->ready[l->n_ready++] = (uint8_t)(leads[len] | point);
}

/* -1 behind the last. */
static int next_letter(struct letters *l)
{
	if (l->n_ready == 0 && l->at == l->end)
		return -1;
	if (l->n_ready == 0 && *l->at != '\\')
		return (unsigned char)*l->at++;
	if (l->n_ready == 0) {
		l->at++;
		make_ready(l, escape(&l->at, l->end));
	}
	return l->ready[--l->n_ready];
}

static bool has_escapes(struct slice quoted)
{
	return slice_find(quoted, '\\') != SLICE_NONE;
}

static struct slice between_quotes(struct slice quoted)
{
	return slice_make(quoted.ptr + 1, quoted.len - 2);
}

static bool quoted_equals(struct slice quoted, struct slice text)
{
	struct letters l = letters_of(quoted);

	if (!has_escapes(quoted))
		return slice_eq(between_quotes(quoted), text);
	for (size_t i = 0; i < text.len; i++)
		if (next_letter(&l) != (unsigned char)text.ptr[i])
			return false;
	return next_letter(&l) == -1;
}

static bool same_quoted(struct slice a, struct slice b)
{
	struct letters x = letters_of(a), y = letters_of(b);
	int letter;

	if (!has_escapes(b))
		return quoted_equals(a, between_quotes(b));
	do {
		letter = next_letter(&x);
		if (letter != next_letter(&y))
			return false;
	} while (letter >= 0);
	return true;
}

/*
 * So that each name is decoded once, and not once for each of the others: the header of a token is
 * read for anybody. Two names with the same hash are still compared.
 */
static uint32_t hash_of(struct slice quoted)
{
	struct letters l = letters_of(quoted);
	uint64_t hash = 0;
	int letter;

	while ((letter = next_letter(&l)) >= 0)
		hash = hash_u64(hash ^ (uint64_t)(letter + 1));
	return (uint32_t)(hash >> 32);
}

/* --- Reading. ---------------------------------------------------------------------------------- */

struct level {
	char close;      /* What ends it: '}' or ']'. */
	bool any;        /* It has an element already. */
	uint16_t object; /* Of an object: which one. */
	uint16_t member; /* The one that is being read. */
};

struct scan {
	struct jws_json *json; /* NULL: nobody wants to know the members. */
	const char *at, *end;
	uint16_t n_objects, depth;
	struct level open[JWS_JSON_DEPTH_MAX];
};

static uint16_t place_of(const struct scan *s)
{
	return (uint16_t)(s->at - s->json->text);
}

static void pass_blanks(struct scan *s)
{
	while (s->at < s->end &&
	       (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
		s->at++;
}

static bool pass(struct scan *s, char c)
{
	if (s->at == s->end || *s->at != c)
		return false;
	s->at++;
	return true;
}

static bool pass_word(struct scan *s, struct slice word)
{
	if (!slice_starts_with(slice_make(s->at, (size_t)(s->end - s->at)), word))
		return false;
	s->at += word.len;
	return true;
}

/*
 * The length of the character that begins here with a byte above 0x7f; 0: it is none (RFC 3629 4).
 * What the second byte may be keeps out long forms, surrogates and points above U+10FFFF.
 */
static size_t utf8_len(const char *at, const char *end)
{
	unsigned char lead = (unsigned char)at[0];
	size_t len = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	unsigned char low = 0x80, high = 0xbf;

	if (!is_in(lead, 0xc2, 0xf4) || (size_t)(end - at) < len)
		return 0;
	low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : low;
	high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : high;
	if (!is_in((unsigned char)at[1], low, high))
		return 0;
	for (size_t i = 2; i < len; i++)
		if (!is_in((unsigned char)at[i], 0x80, 0xbf))
			return 0;
	return len;
}

/* One character of a string or an escape. */
static bool pass_letter(struct scan *s)
{
	unsigned char c = (unsigned char)*s->at;
	size_t len = c < 0x80 ? 1 : utf8_len(s->at, s->end);

	if (c < 0x20 || len == 0)
		return false;
	s->at += len;
	return c != '\\' || escape(&s->at, s->end) != UINT32_MAX;
}

static int pass_string(struct scan *s)
{
	if (!pass(s, '"'))
		return -EINVAL;
	while (s->at < s->end && *s->at != '"')
		if (!pass_letter(s))
			return -EINVAL;
	return pass(s, '"') ? 0 : -EINVAL;
}

static bool pass_digits(struct scan *s)
{
	const char *begun = s->at;

	while (s->at < s->end && is_digit(*s->at))
		s->at++;
	return s->at > begun;
}

static int pass_number(struct scan *s)
{
	const char *begun = s->at;

	(void)pass(s, '-'); /* There may be one. */
	if (!pass(s, '0') && !pass_digits(s))
		return -EINVAL;
	if (pass(s, '.') && !pass_digits(s))
		return -EINVAL;
	if (pass(s, 'e') || pass(s, 'E')) {
		if (!pass(s, '+'))
			(void)pass(s, '-');
		if (!pass_digits(s))
			return -EINVAL;
	}
	return s->at - begun > JWS_JSON_NUMBER_MAX ? -E2BIG : 0;
}

static int pass_literal(struct scan *s)
{
	return pass_word(s, SLICE("true")) || pass_word(s, SLICE("false")) ||
			       pass_word(s, SLICE("null"))
		       ? 0
		       : -EINVAL;
}

/* The value of the innermost object's member has just ended. */
static void end_value(struct scan *s)
{
	const struct level *top = s->depth > 0 ? &s->open[s->depth - 1] : NULL;

	if (s->json && top && top->close == '}') {
		struct jws_json_member *member = &s->json->members[top->member];

		member->value_len = (uint16_t)(place_of(s) - member->value);
	}
}

static int begin_level(struct scan *s, char close)
{
	if (s->depth == JWS_JSON_DEPTH_MAX)
		return -E2BIG;
	s->at++;
	s->open[s->depth++] = (struct level){ .close = close };
	if (close == '}')
		s->open[s->depth - 1].object = s->n_objects++;
	return 0;
}

/* A whole value, or the beginning of one that contains others. */
static int begin_value(struct scan *s)
{
	char c = s->at < s->end ? *s->at : '\0';
	int r;

	if (c == '{' || c == '[')
		return begin_level(s, c == '{' ? '}' : ']');
	if (c == '"')
		r = pass_string(s);
	else
		r = c == '-' || is_digit(c) ? pass_number(s) : pass_literal(s);
	if (r == 0)
		end_value(s);
	return r;
}

static struct slice part_of(const struct jws_json *json, uint16_t place, uint16_t len)
{
	return slice_make(json->text + place, len);
}

static bool is_known(const struct jws_json *json, const struct jws_json_member *member)
{
	struct slice name = part_of(json, member->name, member->name_len);

	for (const struct jws_json_member *m = json->members; m < member; m++)
		if (m->hash == member->hash && m->object == member->object &&
		    same_quoted(part_of(json, m->name, m->name_len), name))
			return true;
	return false;
}

/* A name of the innermost object and the colon. */
static int begin_member(struct scan *s)
{
	struct jws_json *json = s->json;
	struct level *top = &s->open[s->depth - 1];
	struct jws_json_member member = { .object = top->object };
	int r;

	if (json)
		member.name = place_of(s);
	r = pass_string(s);
	if (r < 0)
		return r;
	if (json)
		member.name_len = (uint16_t)(place_of(s) - member.name);
	pass_blanks(s);
	if (!pass(s, ':'))
		return -EINVAL;
	pass_blanks(s);
	if (!json)
		return 0;
	if (json->n_members == json->size)
		return -E2BIG;
	member.value = place_of(s);
	member.hash = hash_of(part_of(json, member.name, member.name_len));
	top->member = json->n_members++;
	json->members[top->member] = member;
	return is_known(json, &json->members[top->member]) ? -EINVAL : 0;
}

/* The next element of the innermost array or object, or its end. */
static int step(struct scan *s)
{
	struct level *top = &s->open[s->depth - 1];
	int r = 0;

	pass_blanks(s);
	if (pass(s, top->close)) {
		s->depth--;
		end_value(s);
		return 0;
	}
	if (top->any && !pass(s, ','))
		return -EINVAL;
	top->any = true;
	pass_blanks(s);
	if (top->close == '}')
		r = begin_member(s);
	return r < 0 ? r : begin_value(s);
}

int jws_json_read(struct jws_json *json, struct slice text)
{
	struct scan s = { .json = json, .at = text.ptr };
	int r;

	if (text.len == 0 || text.len > JWS_JSON_TEXT_MAX)
		return text.len ? -E2BIG : -EINVAL;
	s.end = text.ptr + text.len;
	json->text = text.ptr;
	json->n_members = 0;
	pass_blanks(&s);
	if (s.at == s.end || *s.at != '{')
		return -EINVAL;
	r = begin_level(&s, '}');
	while (r == 0 && s.depth > 0)
		r = step(&s);
	pass_blanks(&s);
	return r < 0 ? r : s.at == s.end ? 0 : -EINVAL;
}

/* --- What was found. --------------------------------------------------------------------------- */

static struct jws_json_value value_of(struct slice text)
{
	struct jws_json_value value = { JWS_JSON_NUMBER, text };
	char c = text.ptr[0];

	if (c == '"')
		value.kind = JWS_JSON_STRING;
	else if (c == '{' || c == '[')
		value.kind = c == '{' ? JWS_JSON_OBJECT : JWS_JSON_ARRAY;
	else if (c == 't' || c == 'f')
		value.kind = JWS_JSON_BOOL;
	else if (c == 'n')
		value.kind = JWS_JSON_NULL;
	return value;
}

struct jws_json_value jws_json_find(const struct jws_json *json, struct slice name)
{
	for (uint16_t i = 0; i < json->n_members; i++) {
		const struct jws_json_member *m = &json->members[i];

		if (m->object == 0 && quoted_equals(part_of(json, m->name, m->name_len), name))
			return value_of(part_of(json, m->value, m->value_len));
	}
	return (struct jws_json_value){ JWS_JSON_NONE, { 0 } };
}

/* The array was read once, so nothing in here can be wrong. */
struct jws_json_value jws_json_next(struct slice *rest)
{
	static const struct jws_json_value none = { JWS_JSON_NONE, { 0 } };
	struct scan s = { .at = rest->ptr, .end = rest->ptr + rest->len };
	const char *begun;
	int r;

	if (rest->len < 2) /* Only ']' is left. */
		return none;
	s.at++; /* '[' or ','. */
	pass_blanks(&s);
	if (*s.at == ']') {
		rest->len = 0;
		return none;
	}
	begun = s.at;
	r = begin_value(&s);
	while (r == 0 && s.depth > 0)
		r = step(&s);
	GW_ASSERT(r == 0);

	struct jws_json_value value = value_of(slice_make(begun, (size_t)(s.at - begun)));

	pass_blanks(&s);
	*rest = slice_make(s.at, (size_t)(s.end - s.at));
	return value;
}

bool jws_json_equals(struct jws_json_value value, struct slice text)
{
	return value.kind == JWS_JSON_STRING && quoted_equals(value.text, text);
}

bool jws_json_has_word(struct jws_json_value value, struct slice word)
{
	struct letters l;
	size_t n = 0; /* So many letters of this word are as wanted; SLICE_NONE: one is not. */
	int letter;

	if (value.kind != JWS_JSON_STRING || word.len == 0)
		return false;
	l = letters_of(value.text);
	while ((letter = next_letter(&l)) >= 0) {
		if (letter == ' ' && n == word.len)
			return true;
		if (letter == ' ')
			n = 0;
		else if (n < word.len && letter == (unsigned char)word.ptr[n])
			n++;
		else
			n = SLICE_NONE;
	}
	return n == word.len;
}

void jws_json_put(struct writer *to, struct jws_json_value string)
{
	struct letters l = letters_of(string.text);
	int letter;

	GW_ASSERT(string.kind == JWS_JSON_STRING);
	if (!has_escapes(string.text)) {
		writer_put(to, between_quotes(string.text));
		return;
	}
	while ((letter = next_letter(&l)) >= 0)
		writer_char(to, (char)letter);
}

int jws_json_date(struct jws_json_value value, int64_t *ret_s)
{
	struct slice whole = value.text, part;
	uint64_t seconds;

	if (value.kind != JWS_JSON_NUMBER)
		return -EINVAL;
	(void)slice_split(value.text, '.', &whole, &part); /* It may be an integer. */
	if (slice_find(value.text, 'e') != SLICE_NONE || slice_find(value.text, 'E') != SLICE_NONE)
		return -EINVAL;
	if (slice_to_u64(whole, &seconds) < 0 || seconds > (uint64_t)JWS_JSON_DATE_MAX)
		return -EINVAL;
	*ret_s = (int64_t)seconds;
	return 0;
}

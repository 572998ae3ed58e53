/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/jsonw.h"

/*
 * Bytes of the well-formed UTF-8 character at the start of s, or 0 (RFC 3629
 * section 4: no overlong forms, no surrogates, nothing above U+10FFFF).
 */
static size_t utf8_len(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	unsigned char low = 0x80;
	unsigned char high = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || s.len < len)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	}
	return len;
}

static bool is_plain(char c)
{
	return (unsigned char)c >= 0x20 && (unsigned char)c < 0x7f && c != '"' && c != '\\';
}

static void put_escaped(struct writer *w, unsigned char c)
{
	if (c == '"' || c == '\\') {
		writer_char(w, '\\');
		writer_char(w, (char)c);
		return;
	}
	writer_lit(w, "\\u00");
	writer_char(w, "0123456789abcdef"[c >> 4]);
	writer_char(w, "0123456789abcdef"[c & 15]);
}

/* Puts one character that is not plain; returns how many bytes it was. */
static size_t put_special(struct writer *w, struct slice s)
{
	size_t len = utf8_len(s);

	if (len == 0) {
		writer_lit(w, "\\ufffd");
		return 1;
	}
	if (len == 1)
		put_escaped(w, (unsigned char)s.ptr[0]);
	else
		writer_bytes(w, s.ptr, len);
	return len;
}

/* Would the cut at 'cap' go through a well-formed character? Then before it. */
static struct slice cut(struct slice s, size_t cap)
{
	size_t at = cap;

	if (s.len <= cap)
		return s;
	for (size_t back = 1; back <= 3 && back <= cap; back++) {
		if (((unsigned char)s.ptr[cap - back] & 0xc0) == 0x80)
			continue;
		if (utf8_len(slice_drop(s, cap - back)) > back)
			at = cap - back;
		break;
	}
	return slice_take(s, at);
}

void jsonw_string(struct writer *w, struct slice s, size_t cap)
{
	s = cut(s, cap);
	writer_char(w, '"');
	while (s.len > 0 && !w->overflow) {
		size_t n = 0;

		while (n < s.len && is_plain(s.ptr[n]))
			n++;
		writer_bytes(w, s.ptr, n);
		s = slice_drop(s, n);
		if (s.len > 0)
			s = slice_drop(s, put_special(w, s));
	}
	writer_char(w, '"');
}

void jsonw_key(struct writer *w, struct slice key)
{
	if (w->ptr > w->start && w->ptr[-1] != '{' && w->ptr[-1] != '[')
		writer_char(w, ',');
	writer_char(w, '"');
	writer_put(w, key);
	writer_lit(w, "\":");
}

void jsonw_field_string(struct writer *w, struct slice key, struct slice value, size_t cap)
{
	jsonw_key(w, key);
	jsonw_string(w, value, cap);
}

void jsonw_field_u64(struct writer *w, struct slice key, uint64_t value)
{
	jsonw_key(w, key);
	writer_u64(w, value);
}

void jsonw_field_i64(struct writer *w, struct slice key, int64_t value)
{
	jsonw_key(w, key);
	writer_i64(w, value);
}

void jsonw_field_bool(struct writer *w, struct slice key, bool value)
{
	jsonw_key(w, key);
	writer_put(w, value ? SLICE("true") : SLICE("false"));
}

void jsonw_field_ms(struct writer *w, struct slice key, uint64_t ns)
{
	jsonw_key(w, key);
	writer_u64(w, ns / 1000000);
	writer_char(w, '.');
	writer_padded(w, ns / 1000 % 1000, 3);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/document/path.h"

enum { NEAR_MAX = 32 }; /* Longer words are not compared. */

void path_put_key(struct writer *w, struct slice key)
{
	if (writer_len(w))
		writer_char(w, '.');
	writer_put(w, key);
}

void path_put_index(struct writer *w, uint32_t index)
{
	writer_char(w, '[');
	writer_u64(w, index);
	writer_char(w, ']');
}

/* The longest start of at most len_max bytes that ends with a whole character. */
static struct slice cut(struct slice text, size_t len_max)
{
	size_t n = text.len < len_max ? text.len : len_max;

	while (n > 0 && n < text.len && ((unsigned char)text.ptr[n] & 0xc0) == 0x80)
		n--;
	return slice_take(text, n);
}

const char *path_show(struct slice text, char buf[PATH_SHOWN_MAX])
{
	struct writer w = writer_make(buf, PATH_SHOWN_MAX);
	struct slice shown = cut(text, PATH_SHOWN_MAX - sizeof("\"...\""));

	writer_char(&w, '"');
	for (size_t i = 0; i < shown.len; i++) {
		unsigned char c = (unsigned char)shown.ptr[i];

		writer_char(&w, c < 0x20 || c == 0x7f ? '?' : shown.ptr[i]);
	}
	if (shown.len < text.len)
		writer_lit(&w, "...");
	writer_lit(&w, "\"\0");
	GW_ASSERT(!w.overflow);
	return buf;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that make b of a. */
static uint32_t distance(struct slice a, struct slice b)
{
	uint32_t rows[3][NEAR_MAX + 1];
	uint32_t *before = rows[0], *above = rows[1], *row = rows[2];

	GW_ASSERT(a.len <= NEAR_MAX && b.len <= NEAR_MAX);
	for (uint32_t j = 0; j <= b.len; j++) {
		above[j] = j;
		before[j] = j;
	}
	for (uint32_t i = 1; i <= a.len; i++) {
		row[0] = i;
		for (uint32_t j = 1; j <= b.len; j++) {
			char x = slice_lower(a.ptr[i - 1]), y = slice_lower(b.ptr[j - 1]);

			row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == slice_lower(b.ptr[j - 2]) &&
			    y == slice_lower(a.ptr[i - 2]))
				row[j] = least(row[j], before[j - 2] + 1);
		}

		uint32_t *spare = before;

		before = above;
		above = row;
		row = spare;
	}
	return above[b.len];
}

int path_nearest(struct slice word, const char *const *candidates)
{
	uint32_t best = UINT32_MAX;
	int found = -1;

	if (word.len == 0 || word.len > NEAR_MAX)
		return -1;
	for (int i = 0; candidates[i]; i++) {
		struct slice candidate = slice_of(candidates[i]);
		uint32_t d;

		if (candidate.len > NEAR_MAX)
			continue;
		d = distance(word, candidate);
		/* A third of the letters may be wrong. */
		if (d < best && 3 * d <= (candidate.len > word.len ? candidate.len : word.len)) {
			best = d;
			found = i;
		}
	}
	return found;
}

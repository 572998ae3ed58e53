/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/growbuf.h"

#include "core/base/writer.h"

#define GROWBUF_SIZE_MIN 4096u

void growbuf_init(struct growbuf *b, size_t size_max)
{
	*b = (struct growbuf){ .size_max = size_max };
}

void growbuf_fini(struct growbuf *b)
{
	free(b->ptr);
	*b = (struct growbuf){ .size_max = b->size_max };
}

void growbuf_reset(struct growbuf *b)
{
	b->len = 0;
	b->failed = false;
}

static bool grow(struct growbuf *b, size_t need)
{
	size_t size = b->size ? b->size : GROWBUF_SIZE_MIN;
	char *ptr;

	if (need > b->size_max)
		return false;
	while (size < need && size <= b->size_max / 2)
		size *= 2;
	if (size < need || size > b->size_max)
		size = b->size_max;
	ptr = realloc(b->ptr, size);
	if (!ptr)
		return false;
	b->ptr = ptr;
	b->size = size;
	return true;
}

char *growbuf_reserve(struct growbuf *b, size_t n)
{
	GW_ASSERT(b->len <= b->size && b->size <= b->size_max);
	if (b->failed || n > b->size_max - b->len ||
	    (n > b->size - b->len && !grow(b, b->len + n))) {
		b->failed = true;
		return NULL;
	}
	b->len += n;
	return b->ptr + b->len - n;
}

void growbuf_put(struct growbuf *b, struct slice s)
{
	char *at = s.len ? growbuf_reserve(b, s.len) : NULL;

	if (at)
		memcpy(at, s.ptr, s.len);
}

void growbuf_char(struct growbuf *b, char c)
{
	growbuf_put(b, slice_make(&c, 1));
}

void growbuf_u64(struct growbuf *b, uint64_t value)
{
	char digits[WRITER_U64_MAX];
	struct writer w = writer_make(digits, sizeof(digits));

	writer_u64(&w, value);
	growbuf_put(b, writer_slice(&w));
}

void growbuf_i64(struct growbuf *b, int64_t value)
{
	char digits[WRITER_U64_MAX + 1];
	struct writer w = writer_make(digits, sizeof(digits));

	writer_i64(&w, value);
	growbuf_put(b, writer_slice(&w));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/blob.h"

#include <stdlib.h>

#include "core/base/bits.h"

#define BLOB_MAX ((size_t)1 << 30)

static bool grow(struct blob *blob, size_t size)
{
	size_t wanted = bits_pow2_up(size < 4096 ? 4096 : size);
	char *bytes = size <= BLOB_MAX ? realloc(blob->bytes, wanted) : NULL;

	if (!bytes)
		return false;
	memset(bytes + blob->size, 0, wanted - blob->size);
	blob->bytes = bytes;
	blob->size = (uint32_t)wanted;
	return true;
}

struct policy_part blob_room(struct blob *blob, uint32_t n, size_t element)
{
	size_t at = bits_align_up(blob->len, 8);
	size_t end = at + n * element;

	if (blob->failed || (end > blob->size && !grow(blob, end))) {
		blob->failed = true;
		return (struct policy_part){ 0, 0 };
	}
	blob->len = (uint32_t)end;
	return (struct policy_part){ (uint32_t)at, n };
}

struct policy_part blob_text(struct blob *blob, struct slice text)
{
	struct policy_part part = blob_room(blob, (uint32_t)text.len, 1);

	if (part.n)
		memcpy(blob_at(blob, part.at), text.ptr, text.len);
	return part;
}

struct policy_part blob_texts(struct blob *blob, const struct slice *texts, uint32_t n)
{
	struct policy_part list = blob_room(blob, n, sizeof(struct policy_part));

	for (uint32_t i = 0; i < list.n; i++) {
		struct policy_part text = blob_text(blob, texts[i]);
		struct policy_part *to = blob_at(blob, list.at);

		if (to)
			to[i] = text;
	}
	return list;
}

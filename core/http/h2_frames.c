/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/h2_frames.h"

#include <string.h>

#include "core/base/gw_assert.h"

/* RFC 9113 6.2, 6.10. */
enum { TYPE_HEADERS = 1, TYPE_CONTINUATION = 9 };

static void look_at_head(struct h2_frames *f, const uint8_t head[H2_FRAME_HEAD])
{
	f->skip = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
	if (head[3] == TYPE_HEADERS) {
		f->section_len = f->skip;
		f->n_continuations = 0;
	}
	if (head[3] != TYPE_CONTINUATION)
		return;
	f->section_len += f->skip;
	f->n_continuations++;
	f->flood = f->n_continuations > H2_CONTINUATIONS_MAX || f->section_len > f->section_max;
}

/* How many of the bytes come before the beginning of a head that is not all there. */
static size_t walk(struct h2_frames *f, struct slice bytes)
{
	size_t at = 0;

	while (!f->flood) {
		size_t left = bytes.len - at;

		if (f->skip >= left) {
			f->skip -= (uint32_t)left;
			return bytes.len;
		}
		at += f->skip;
		f->skip = 0;
		if (bytes.len - at < H2_FRAME_HEAD)
			return at;
		look_at_head(f, (const uint8_t *)bytes.ptr + at);
		at += H2_FRAME_HEAD;
	}
	return at;
}

static void hold(struct h2_frames *f, struct slice *bytes, size_t n)
{
	GW_ASSERT(f->n_held + n <= H2_FRAME_HEAD);
	memcpy(f->held + f->n_held, bytes->ptr, n);
	f->n_held += (uint8_t)n;
	*bytes = slice_drop(*bytes, n);
}

/* A head that came in part is completed, and is a piece of its own. */
static struct slice complete(struct h2_frames *f, struct slice *bytes)
{
	size_t n = H2_FRAME_HEAD - f->n_held;

	hold(f, bytes, n < bytes->len ? n : bytes->len);
	if (f->n_held < H2_FRAME_HEAD)
		return SLICE("");
	f->n_held = 0;
	look_at_head(f, f->held);
	return f->flood ? SLICE("") : slice_make(f->held, H2_FRAME_HEAD);
}

struct slice h2_frames_next(struct h2_frames *f, struct slice *bytes)
{
	struct slice next;

	if (f->flood || bytes->len == 0)
		return SLICE("");
	if (f->n_held > 0)
		return complete(f, bytes);
	next = slice_take(*bytes, walk(f, *bytes));
	if (f->flood)
		return SLICE("");
	*bytes = slice_drop(*bytes, next.len);
	if (bytes->len > 0)
		hold(f, bytes, bytes->len);
	return next;
}

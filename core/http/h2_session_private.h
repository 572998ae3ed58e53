/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_session_private.h - what h2_session.c (its life, what is asked of it), h2_session_in.c (what
 * comes) and h2_session_out.c (what goes) share. For them alone.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "core/http/h2_session.h"

enum {
	H2_SECTION_IN_MAX = 32768, /* Compressed, of a peer's; or as long as heads may be. */
	H2_FIELDS_MAX = HTTP_FIELDS_MAX + 32, /* Of a section of ours: a head's, and what we add. */
	H2_SMALL_GRANT = 1024,
};

struct h2_shared {
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	nghttp2_mem mem;
	struct h1_limits limits;
	struct block_pool *pool;
};

static inline nghttp2_session *h2_session_ng(const struct h2_session *s)
{
	return s->ng;
}

static inline void *h2_session_stream(const struct h2_session *s, int32_t id)
{
	return nghttp2_session_get_stream_user_data(h2_session_ng(s), id);
}

/* It is over, for this reason if it is the first. */
void h2_session_end(struct h2_session *s, enum reason reason);
/* What nghttp2 said to something that fails for want of memory alone. */
void h2_session_must(struct h2_session *s, int error);
/* What nghttp2 said of the connection as a whole. */
void h2_session_broken(struct h2_session *s, int error);

/* Its text (h2_write.h) as nghttp2 wants it, pointing into it. Returns how many. */
size_t h2_session_pairs(struct slice text, nghttp2_nv nv[H2_FIELDS_MAX]);

/* Where nghttp2 gets bodies. */
extern const nghttp2_data_provider2 h2_session_body;

void h2_session_hear(nghttp2_session_callbacks *callbacks);  /* By h2_session_in.c; */
void h2_session_speak(nghttp2_session_callbacks *callbacks); /* by h2_session_out.c. */

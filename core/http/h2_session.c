/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/h2_session.h"

#include <errno.h>
#include <stdlib.h>

#include "core/http/h2_session_private.h"
#include "core/http/h2_write.h"

#if NGHTTP2_VERSION_NUM < 0x014000
#error "nghttp2 before 1.64 can be flooded"
#endif

enum { SECTION_MAX = 131072 }; /* Compressed, of ours; larger heads than ours do not exist. */

/* --- Its end. -------------------------------------------------------------------------------- */

void h2_session_end(struct h2_session *s, enum reason reason)
{
	if (!s->over)
		s->reason = (uint16_t)reason;
	s->over = true;
}

void h2_session_must(struct h2_session *s, int error)
{
	if (error == NGHTTP2_ERR_NOMEM)
		h2_session_end(s, REASON_OVERLOAD_MEMORY);
}

void h2_session_expel(struct h2_session *s, uint32_t code, enum reason reason)
{
	if (s->over)
		return;
	h2_session_end(s, reason);
	(void)nghttp2_session_terminate_session2(
		h2_session_ng(s), nghttp2_session_get_last_proc_stream_id(h2_session_ng(s)), code);
}

void h2_session_shut(struct h2_session *s)
{
	if (s->over || s->warned)
		return;
	s->warned = true;
	if (s->role == H2_CLIENT) /* Nothing new begins but by us. */
		return;
	s->asks = true;
	h2_session_must(s, nghttp2_submit_shutdown_notice(h2_session_ng(s)));
}

void h2_session_ping(struct h2_session *s)
{
	if (!s->over)
		h2_session_must(s, nghttp2_submit_ping(h2_session_ng(s), NGHTTP2_FLAG_NONE, NULL));
}

void h2_session_refuse_more(struct h2_session *s)
{
	if (s->refusing)
		return;
	s->refusing = true;
	if (!s->over &&
	    nghttp2_submit_goaway(h2_session_ng(s), NGHTTP2_FLAG_NONE,
				  nghttp2_session_get_last_proc_stream_id(h2_session_ng(s)),
				  NGHTTP2_NO_ERROR, NULL, 0) < 0)
		h2_session_end(s, REASON_OVERLOAD_MEMORY);
}

static void warn(struct h2_session *s, enum reason reason)
{
	s->trouble = (uint16_t)reason;
	h2_session_shut(s);
}

void h2_session_charge(struct h2_session *s, uint32_t points, enum reason reason)
{
	enum h2_standing standing = h2_score_add(&s->score, points, s->now_ns);

	if (standing == H2_EXPELLED)
		h2_session_expel(s, H2_CODE_ENHANCE_YOUR_CALM, reason);
	else if (standing == H2_WARNED && s->role == H2_SERVER)
		warn(s, reason);
}

void h2_session_forgive(struct h2_session *s)
{
	h2_score_forgive(&s->score);
}

void h2_session_broken(struct h2_session *s, int error)
{
	switch (error) {
	case NGHTTP2_ERR_BAD_CLIENT_MAGIC: /* It does not speak HTTP/2: no word of it. */
		h2_session_end(s, REASON_H2_PROTOCOL);
		break;
	case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
		h2_session_expel(s, H2_CODE_ENHANCE_YOUR_CALM, REASON_H2_CONTINUATION);
		break;
	case NGHTTP2_ERR_FLOODED:
		h2_session_expel(s, H2_CODE_ENHANCE_YOUR_CALM, REASON_H2_CTRL_FLOOD);
		break;
	case NGHTTP2_ERR_NOMEM:
		h2_session_end(s, REASON_OVERLOAD_MEMORY);
		break;
	default:
		h2_session_end(s, REASON_INTERNAL);
		break;
	}
}

/* --- Submissions. ---------------------------------------------------------------------------- */

size_t h2_session_pairs(struct slice text, nghttp2_nv nv[H2_FIELDS_MAX])
{
	struct slice name, value;
	size_t n = 0;

	while (h2_next_pair(&text, &name, &value)) {
		GW_ASSERT(n < H2_FIELDS_MAX);
		nv[n++] = (nghttp2_nv){ (uint8_t *)(uintptr_t)name.ptr,
					(uint8_t *)(uintptr_t)value.ptr, name.len, value.len,
					NGHTTP2_NV_FLAG_NONE };
	}
	return n;
}

void h2_session_attach(struct h2_session *s, int32_t id, void *stream)
{
	(void)nghttp2_session_set_stream_user_data(h2_session_ng(s), id, stream);
}

int32_t h2_session_request(struct h2_session *s, struct slice text, bool is_end, void *stream)
{
	nghttp2_nv nv[H2_FIELDS_MAX];
	size_t n = h2_session_pairs(text, nv);
	int32_t id = nghttp2_submit_request2(h2_session_ng(s), NULL, nv, n,
					     is_end ? NULL : &h2_session_body, stream);

	if (id < 0)
		h2_session_must(s, id);
	return id < 0 ? -1 : id;
}

void h2_session_respond(struct h2_session *s, int32_t id, struct slice text, bool is_end)
{
	nghttp2_nv nv[H2_FIELDS_MAX];
	size_t n = h2_session_pairs(text, nv);

	h2_session_must(s, nghttp2_submit_response2(h2_session_ng(s), id, nv, n,
						    is_end ? NULL : &h2_session_body));
}

void h2_session_inform(struct h2_session *s, int32_t id, struct slice text)
{
	nghttp2_nv nv[H2_FIELDS_MAX];
	size_t n = h2_session_pairs(text, nv);

	h2_session_must(s, nghttp2_submit_headers(h2_session_ng(s), NGHTTP2_FLAG_NONE, id, NULL, nv,
						  n, NULL));
}

void h2_session_resume(struct h2_session *s, int32_t id)
{
	h2_session_must(s, nghttp2_session_resume_data(h2_session_ng(s), id));
}

void h2_session_share(struct h2_session *s, int32_t id)
{
	nghttp2_extpri priority;

	if (nghttp2_session_get_extpri_stream_priority(h2_session_ng(s), &priority, id) < 0)
		return;
	priority.inc = 1;
	h2_session_must(s, nghttp2_session_change_extpri_stream_priority(h2_session_ng(s), id,
									 &priority, 0));
}

void h2_session_reset(struct h2_session *s, int32_t id, uint32_t code)
{
	(void)nghttp2_session_set_stream_user_data(h2_session_ng(s), id, NULL);
	h2_session_must(s,
			nghttp2_submit_rst_stream(h2_session_ng(s), NGHTTP2_FLAG_NONE, id, code));
}

void h2_session_grant(struct h2_session *s, int32_t id, uint32_t n)
{
	h2_session_must(s, nghttp2_session_consume(h2_session_ng(s), id, n));
}

void h2_session_grant_connection(struct h2_session *s, uint32_t n)
{
	h2_session_must(s, nghttp2_session_consume_connection(h2_session_ng(s), n));
}

bool h2_session_wants_write(const struct h2_session *s)
{
	return s->left_len > 0 || nghttp2_session_want_write(h2_session_ng(s));
}

uint32_t h2_session_streams_max(const struct h2_session *s)
{
	return nghttp2_session_get_remote_settings(h2_session_ng(s),
						   NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool h2_session_is_begun(const struct h2_session *s, int32_t id)
{
	return nghttp2_session_find_stream(h2_session_ng(s), id) != NULL;
}

bool h2_session_is_stalled(const struct h2_session *s, int32_t id)
{
	return nghttp2_session_get_stream_remote_window_size(h2_session_ng(s), id) <= 0 ||
	       nghttp2_session_get_remote_window_size(h2_session_ng(s)) <= 0;
}

/* --- Life. ----------------------------------------------------------------------------------- */

static int submit_preface(struct h2_session *s)
{
	nghttp2_settings_entry server[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, INT32_MAX }, /* tell_limit() */
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, s->shared->limits.head_max },
		{ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
	};
	nghttp2_settings_entry client[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW },
	};
	int r;

	r = s->role == H2_SERVER ? nghttp2_submit_settings(h2_session_ng(s), NGHTTP2_FLAG_NONE,
							   server, ARRAY_SIZE(server))
				 : nghttp2_submit_settings(h2_session_ng(s), NGHTTP2_FLAG_NONE,
							   client, ARRAY_SIZE(client));
	if (r == 0)
		r = nghttp2_session_set_local_window_size(
			h2_session_ng(s), NGHTTP2_FLAG_NONE, 0,
			s->role == H2_SERVER ? H2_WINDOW_CONNECTION : H2_WINDOW_SHARED);
	return r;
}

int h2_session_open(struct h2_shared *shared, enum h2_role role, bool secure,
		    const struct h2_events *events, void *owner, struct h2_session **ret_session)
{
	struct h2_session *s = block_alloc(shared->pool, sizeof(*s));
	nghttp2_session *ng = NULL;
	int r;

	if (!s)
		return -ENOMEM;
	*s = (struct h2_session){ .shared = shared,
				  .events = events,
				  .owner = owner,
				  .role = (uint8_t)role,
				  .frames.skip = role == H2_SERVER ? NGHTTP2_CLIENT_MAGIC_LEN : 0,
				  .secure = secure };
	r = role == H2_SERVER ? nghttp2_session_server_new3(&ng, shared->callbacks, s,
							    shared->option, &shared->mem)
			      : nghttp2_session_client_new3(&ng, shared->callbacks, s,
							    shared->option, &shared->mem);
	s->ng = ng;
	if (r == 0 && submit_preface(s) == 0) {
		*ret_session = s;
		return 0;
	}
	h2_session_close(s);
	return -ENOMEM;
}

void h2_session_close(struct h2_session *s)
{
	nghttp2_session_del(h2_session_ng(s));
	block_free(s, s->shared->pool);
}

static void *pool_malloc(size_t size, void *user)
{
	return block_alloc(user, size);
}

static void *pool_calloc(size_t n, size_t size, void *user)
{
	void *block = size == 0 || n <= SIZE_MAX / size ? block_alloc(user, n * size) : NULL;

	if (block)
		memset(block, 0, n * size);
	return block;
}

static void *pool_realloc(void *block, size_t size, void *user)
{
	return block ? block_realloc(block, size, user) : block_alloc(user, size);
}

static void pool_free(void *block, void *user)
{
	if (block)
		block_free(block, user);
}

int h2_shared_create(size_t pool_size, struct h2_shared **ret_shared)
{
	struct h2_shared *shared = calloc(1, sizeof(*shared));

	if (!shared)
		return -ENOMEM;
	shared->limits = h1_limits_default;
	if (nghttp2_session_callbacks_new(&shared->callbacks) < 0 ||
	    nghttp2_option_new(&shared->option) < 0 ||
	    block_pool_create(pool_size, &shared->pool) < 0) {
		h2_shared_destroy(shared);
		return -ENOMEM;
	}
	shared->mem =
		(nghttp2_mem){ shared->pool, pool_malloc, pool_free, pool_calloc, pool_realloc };
	h2_session_hear(shared->callbacks);
	h2_session_speak(shared->callbacks);
	for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++)
		nghttp2_option_set_user_recv_extension_type(shared->option, (uint8_t)type);
	nghttp2_option_set_no_auto_window_update(shared->option, 1);
	nghttp2_option_set_no_closed_streams(shared->option, 1);
	nghttp2_option_set_max_continuations(shared->option,
					     H2_SECTION_IN_MAX); /* h2_frames.h counts. */
	/* Resets are scored here. */
	nghttp2_option_set_stream_reset_rate_limit(shared->option, UINT32_MAX, UINT32_MAX);
	nghttp2_option_set_max_send_header_block_length(shared->option, SECTION_MAX);
	*ret_shared = shared;
	return 0;
}

void h2_shared_limit(struct h2_shared *shared, const struct h1_limits *limits)
{
	shared->limits = *limits;
}

void h2_shared_destroy(struct h2_shared *shared)
{
	if (!shared)
		return;
	nghttp2_session_callbacks_del(shared->callbacks);
	nghttp2_option_del(shared->option);
	block_pool_destroy(shared->pool);
	free(shared);
}

struct block_pool_stats h2_shared_stats(const struct h2_shared *shared)
{
	return block_pool_stats(shared->pool);
}

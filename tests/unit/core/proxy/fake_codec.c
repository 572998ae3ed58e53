/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/core/proxy/fake_codec.h"

#include <errno.h>

static struct fake_stream *fake_of(struct stream *s)
{
	struct fake_stream *f = GW_CONTAINER_OF(s, struct fake_stream, stream);

	assert_true(fake_is_open(f)); /* The user may call nothing after release or reset. */
	return f;
}

static uint8_t pattern(uint32_t seed, uint64_t at)
{
	return (uint8_t)(seed * 37 + at * 11 + (at >> 8) * 5);
}

/* --- The user's calls. ----------------------------------------------------------------------- */

/* "/17" in a request line, "17" behind a status: the seed of what follows. */
static uint32_t seed_in(struct slice line, char before)
{
	struct slice word = slice_drop(line, slice_find(line, before) + 1), rest;
	uint64_t seed;

	slice_split(word, ' ', &word, &rest);
	assert_int_equal(slice_to_u64(word, &seed), 0);
	return (uint32_t)seed;
}

static const char form[] = "fake "; /* No other codec's. */

static void encode_request(struct writer *out, const struct stream_message *message)
{
	writer_put(out, slice_of(form));
	writer_put(out, http_text(message->head, message->head->path));
	writer_char(out, ' ');
	writer_put(out, message->extra);
}

static void encode_response(struct stream *s, struct writer *out,
			    const struct stream_message *message)
{
	const struct http_field *seed = NULL;

	assert_int_equal(fake_of(s)->conn->role, FAKE_SERVER);
	if (message->head)
		seed = http_head_find_name(message->head, SLICE("x-seed"));
	writer_u64(out, message->status);
	writer_char(out, '#');
	writer_put(out, seed ? http_text(message->head, seed->value) : SLICE("0"));
	writer_char(out, ' ');
	writer_put(out, message->text);
}

/* Both sides begin anew. */
static void fake_switch(struct fake_stream *f)
{
	f->in.ended = false;
	f->in.window = 0;
	f->in.credited = 0;
	f->in.delivered = 0;
	f->in.switched = true;
	f->out.ended = false;
	f->out.all = false;
	f->out.body = HTTP_BODY_UNTIL_CLOSE;
}

static void end(struct fake_stream *f)
{
	assert_false(f->out.ended);
	f->out.ended = true;
}

static void send_head(struct stream *s, struct slice bytes, const struct stream_message *message,
		      bool last)
{
	struct fake_stream *f = fake_of(s);

	assert_false(f->out.begun);
	f->out.begun = true;
	if (f->conn->role == FAKE_CLIENT)
		assert_true(slice_starts_with(bytes, slice_of(form)));
	f->out.seed = seed_in(bytes, f->conn->role == FAKE_SERVER ? '#' : '/');
	f->out.status = message->status;
	f->out.body = (uint8_t)message->body;
	f->out.upgrade = message->upgrade;
	if (message->upgrade && f->conn->role == FAKE_SERVER)
		fake_switch(f);
	f->out.length = message->length;
	f->out.last = message->last;
	if (last)
		end(f);
}

/* Of bytes that came behind a request, the test says that there are some. */
static bool is_held_back(struct stream *s)
{
	(void)s;
	return false;
}

static bool decline(struct stream *s)
{
	struct fake_stream *f = fake_of(s);

	assert_int_equal(f->conn->role, FAKE_SERVER);
	assert_true(f->in.ended && !f->out.begun);
	f->in.n_declined++;
	return f->in.early;
}

static void send_info(struct stream *s, const struct http_head *head)
{
	struct fake_stream *f = fake_of(s);

	assert_false(f->out.begun);
	assert_in_range(head->status, 100, 199);
	f->out.n_infos++;
}

/* Bytes of another message, or out of order, would be seen here. */
static void check_bytes(const struct fake_stream *f, const struct ring_buf *buf)
{
	const uint8_t *data = ring_buf_data(buf);
	uint64_t at = f->out.told + f->out.pending;

	for (uint32_t i = 0; i < buf->len; i++)
		if (data[i] != pattern(f->out.seed, at + i))
			fail_msg("seed %u: byte %llu is wrong", f->out.seed,
				 (unsigned long long)(at + i));
}

static void send_body(struct stream *s, struct ring_buf *buf, bool last)
{
	struct fake_stream *f = fake_of(s);

	assert_true(f->out.begun && !f->out.ended);
	if (buf) {
		check_bytes(f, buf);
		f->out.pending += buf->len;
		list_push_back(&f->out.bufs, &buf->link);
	}
	if (f->out.body == HTTP_BODY_LENGTH)
		assert_true(f->out.told + f->out.pending <= f->out.length);
	if (last)
		end(f);
}

static void send_trailers(struct stream *s, struct slice lines)
{
	struct fake_stream *f = fake_of(s);

	assert_true(f->out.begun && lines.len <= FAKE_TEXT);
	memcpy(f->out.trailers, lines.ptr, lines.len);
	f->out.trailers_len = (uint16_t)lines.len;
	end(f);
}

static void flush(struct stream *s)
{
	fake_of(s)->out.n_flushes++;
}

static void credit(struct stream *s, uint64_t n)
{
	struct fake_stream *f = fake_of(s);

	assert_true(n > 0 && !f->in.ended);
	f->in.window += n;
	f->in.credited += n;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the type is that of a codec. */
static int32_t raw_in(struct stream *s, uint64_t *ret_len)
{
	(void)fake_of(s);
	(void)ret_len;
	return -ENOTSUP;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): likewise. */
static int32_t raw_out(struct stream *s, struct ring_pipe *before, uint64_t *ret_sent)
{
	(void)before;
	(void)ret_sent;
	(void)fake_of(s);
	return -ENOTSUP;
}

static void no_raw(struct stream *s, uint64_t n, int res)
{
	(void)s;
	(void)n;
	(void)res;
	fail_msg("raw bytes were refused");
}

static void forget(struct fake_stream *f, enum fake_life life)
{
	for (struct list_node *node; (node = list_pop_front(&f->out.bufs));)
		ring_buf_give(f->conn->ring, list_entry(node, struct ring_buf, link));
	f->life = (uint8_t)life;
}

/* A server's stream may be released with a request that nobody waits for any more. */
static void release(struct stream *s)
{
	struct fake_stream *f = fake_of(s);

	assert_true(f->out.all);
	assert_true(f->in.ended || f->conn->role == FAKE_SERVER || f->in.switched);
	if (f->out.body == HTTP_BODY_LENGTH && f->out.seed)
		assert_int_equal(f->out.told, f->out.length);
	forget(f, FAKE_RELEASED);
}

static void reset(struct stream *s, bool abort)
{
	struct fake_stream *f = fake_of(s);

	f->aborted = abort;
	forget(f, FAKE_RESET);
}

static const struct codec fake_codec = {
	.name = "fake",
	.encode_request = encode_request,
	.encode_response = encode_response,
	.send_head = send_head,
	.decline = decline,
	.is_held_back = is_held_back,
	.send_info = send_info,
	.send_body = send_body,
	.send_trailers = send_trailers,
	.flush = flush,
	.credit = credit,
	.raw_in = raw_in,
	.raw_in_done = no_raw,
	.raw_out = raw_out,
	.raw_out_done = no_raw,
	.release = release,
	.reset = reset,
};

/* --- The peer's doing. ----------------------------------------------------------------------- */

void fake_init(struct fake_conn *conn, struct ring *ring, enum fake_role role)
{
	*conn = (struct fake_conn){ .ring = ring, .role = role };
}

struct fake_stream *fake_open(struct fake_conn *conn, uint32_t seed)
{
	struct fake_stream *f = &conn->streams[conn->n_streams++];

	assert_true(conn->n_streams <= FAKE_STREAMS && seed > 0);
	f->stream.codec = &fake_codec;
	f->conn = conn;
	f->in.window = FAKE_WINDOW;
	f->seed = seed;
	list_init(&f->out.bufs);
	return f;
}

void fake_head(struct fake_stream *f, struct http_head *head, bool last)
{
	if (!fake_is_open(f))
		return;
	f->in.ended = last;
	if (head->upgrade)
		fake_switch(f);
	f->stream.user->head(&f->stream, head, last);
}

uint32_t fake_body(struct fake_stream *f, uint32_t len, bool last)
{
	uint32_t n = len < f->in.window ? len : (uint32_t)f->in.window;
	struct ring_buf *buf = NULL;

	if (!fake_is_open(f))
		return 0;
	n = n < RING_BUF_DATA ? n : RING_BUF_DATA;
	last = last && n == len;
	if (n == 0 && !last)
		return 0;
	if (n > 0) {
		buf = ring_buf_take(f->conn->ring);
		assert_non_null(buf);
		for (uint32_t i = 0; i < n; i++)
			ring_buf_data(buf)[i] = pattern(f->seed, f->in.delivered + i);
		buf->len = n;
	}
	f->in.window -= n;
	f->in.delivered += n;
	f->in.ended = last;
	f->stream.user->body(&f->stream, buf, last);
	return n;
}

void fake_trailers(struct fake_stream *f, struct slice lines)
{
	if (!fake_is_open(f))
		return;
	f->in.ended = true;
	f->stream.user->trailers(&f->stream, lines);
}

void fake_flush(struct fake_stream *f)
{
	if (fake_is_open(f))
		f->stream.user->flush(&f->stream, false);
}

void fake_malformed(struct fake_stream *f, uint16_t status, uint16_t reason)
{
	struct stream_fault fault = { .status = status, .reason = reason, .untouched = false };

	if (!fake_is_open(f))
		return;
	f->in.ended = true; /* Nothing more comes in. */
	f->stream.user->malformed(&f->stream, &fault);
}

void fake_reset(struct fake_stream *f, uint16_t status, uint16_t reason, bool untouched)
{
	struct stream_fault fault = { .status = status, .reason = reason, .untouched = untouched };

	if (!fake_is_open(f))
		return;
	forget(f, FAKE_RESET);
	f->stream.user->reset(&f->stream, &fault);
}

/* Takes bytes off the first buffer; it goes back when it is empty. */
static uint64_t take_bytes(struct fake_stream *f, uint64_t len)
{
	struct list_node *node = list_first(&f->out.bufs);
	struct ring_buf *buf = list_entry(node, struct ring_buf, link);
	uint32_t n = len < buf->len ? (uint32_t)len : buf->len;

	buf->start += n;
	buf->len -= n;
	if (buf->len == 0) {
		list_remove(node);
		ring_buf_give(f->conn->ring, buf);
	}
	f->out.pending -= n;
	return n;
}

void fake_pump(struct fake_stream *f, uint64_t len)
{
	uint64_t sent = 0;
	bool all;

	if (!fake_is_open(f) || f->out.all)
		return;
	while (sent < len && f->out.pending > 0)
		sent += take_bytes(f, len - sent);
	all = f->out.ended && f->out.pending == 0;
	if (sent == 0 && !all)
		return;
	f->out.told += sent;
	f->out.all = all;
	f->stream.user->sent(&f->stream, sent, all);
}

void fake_pump_all(struct fake_conn *conn, uint64_t len)
{
	for (uint32_t i = 0; i < conn->n_streams; i++) {
		struct fake_stream *f = &conn->streams[(conn->turn + i) % conn->n_streams];

		fake_pump(f, len);
	}
	conn->turn++;
}

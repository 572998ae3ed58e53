/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_client.c - one connection of the small server, and its answers.
 *
 * A client's codec is in one of two situations: no stream is open, and then the
 * codec's phase says what is waited for; or one is, and then 'state' does. A
 * stream ends in one of three ways: finish() after the last byte, cut() by a
 * deadline or for want of buffers, or the codec's reset.
 */
#include "core/base/clock.h"
#include "core/proxy/proxy.h"
#include "core/server/local_private.h"

#define LINGER_NS  (2 * GW_NS_PER_S)
#define WINDOW_LEN ((size_t)LOCAL_WINDOW * RING_BUF_DATA)

#define TO(state) (1u << LOCAL_##state)
static const uint8_t may_follow[LOCAL_N_STATES] = {
#define X(name, next) [LOCAL_##name] = (next),
	LOCAL_STATES(X)
#undef X
};

static struct local_client *client_of(struct h1 *c)
{
	return GW_CONTAINER_OF(c, struct local_client, h1);
}

static struct ring *ring_of(const struct local_client *client)
{
	return client->local->proxy->ring;
}

static void enter(struct local_client *client, enum local_state next)
{
	GW_ASSERT(may_follow[client->state] & (1u << next));
	client->state = (uint8_t)next;
	switch (next) {
	case LOCAL_READING:
		deadline_in(&client->deadline, ring_of(client), LOCAL_IDLE_S * GW_NS_PER_S);
		break;
	case LOCAL_SENDING:
		deadline_in(&client->deadline, ring_of(client), LOCAL_STALL_S * GW_NS_PER_S);
		break;
	case LOCAL_WAITING: /* The codec's phase sets the deadline. */
		growbuf_fini(&client->answer.body);
		break;
	case LOCAL_OVER:
		deadline_stop(&client->deadline, ring_of(client));
		growbuf_fini(&client->answer.body);
		break;
	case LOCAL_N_STATES:
		GW_UNREACHABLE();
	}
}

/* --- Answers. -------------------------------------------------------------------------------- */

/* The stream cannot go on: what was sent stays unfinished, and the client sees that. */
static void cut(struct local_client *client)
{
	client->h1.stream.codec->reset(&client->h1.stream, true);
}

static void finish(struct local_client *client)
{
	struct stream *s = &client->h1.stream;

	GW_ASSERT(client->in_flight == 0);
	enter(client, LOCAL_WAITING);
	s->codec->release(s);
}

static bool head_only(const struct local_client *client)
{
	return client->request.method == HTTP_HEAD;
}

/* As much of the body as the window allows; what it returns says whether the stream lives. */
static bool fill(struct local_client *client)
{
	struct stream *s = &client->h1.stream;
	struct slice body = growbuf_slice(&client->answer.body);

	while (client->submitted < body.len && client->in_flight + RING_BUF_DATA <= WINDOW_LEN) {
		struct slice piece = slice_take(slice_drop(body, client->submitted), RING_BUF_DATA);
		struct ring_buf *buf = ring_buf_take(ring_of(client));

		if (!buf && client->in_flight == 0) {
			cut(client);
			return false;
		}
		if (!buf) /* 'sent' comes back here. */
			return true;
		memcpy(ring_buf_data(buf), piece.ptr, piece.len);
		buf->len = (uint32_t)piece.len;
		client->submitted += piece.len;
		client->in_flight += piece.len;
		s->codec->send_body(s, buf, client->submitted == body.len);
	}
	return true;
}

static void put_lines(struct local_client *client, struct writer *out)
{
	const struct local_answer *answer = &client->answer;
	struct proxy *proxy = client->local->proxy;

	writer_field(out, SLICE("date"), clock_date_at(&proxy->date, gw_wall_ns()));
	writer_field(out, SLICE("content-type"), answer->type);
	writer_lit(out, "cache-control: no-store\r\nx-content-type-options: nosniff\r\n");
	writer_put(out, answer->lines);
}

/* The answer's head, and the first of its body behind it. */
static void send_answer(struct local_client *client, bool last)
{
	struct proxy *proxy = client->local->proxy;
	struct slice phrase = http_status_phrase(client->answer.status);
	struct writer lines = writer_make(proxy->extra, sizeof(proxy->extra));
	struct writer out = writer_make(proxy->head_text, sizeof(proxy->head_text));
	struct http_head head = { .base = phrase.ptr,
				  .reason_phrase = { 0, (uint16_t)phrase.len },
				  .status = client->answer.status };
	struct stream_message message = {
		.head = &head,
		.status = head.status,
		.body = head_only(client) ? HTTP_BODY_NONE : HTTP_BODY_LENGTH,
		.length = client->answer.body.len,
		.announce = true,
		.last = last,
	};
	struct stream *s = &client->h1.stream;
	bool end = head_only(client) || message.length == 0;

	enter(client, LOCAL_SENDING);
	client->submitted = 0;
	client->in_flight = 0;
	put_lines(client, &lines);
	message.extra = writer_slice(&lines);
	s->codec->encode_response(s, &out, &message);
	GW_ASSERT(!lines.overflow && !out.overflow);
	s->codec->send_head(s, writer_slice(&out), &message, end);
	if (!end && fill(client))
		s->codec->flush(s);
}

static void answer_begin(struct local_client *client, uint16_t status)
{
	client->answer = (struct local_answer){ .status = status,
						.type = SLICE("text/plain; charset=utf-8") };
	growbuf_init(&client->answer.body, LOCAL_ANSWER_MAX);
}

/* In place of the handler's answer. 'reason' is text of ours. */
static void answer_refusal(struct local_client *client, uint16_t status, struct slice reason,
			   bool last)
{
	growbuf_fini(&client->answer.body);
	answer_begin(client, status);
	growbuf_put(&client->answer.body, reason);
	growbuf_char(&client->answer.body, '\n');
	send_answer(client, last);
}

static void answer_request(struct local_client *client)
{
	const struct local_options *opt = &client->local->options;

	answer_begin(client, 200);
	opt->handler(opt->owner, &client->request, &client->answer);
	GW_ASSERT(client->answer.type.len > 0);
	if (client->answer.body.failed)
		answer_refusal(client, 500, SLICE("out of memory"), true);
	else
		send_answer(client, client->expects && client->state == LOCAL_WAITING);
}

/* --- A stream's events. ---------------------------------------------------------------------- */

static void stream_head(struct stream *s, struct http_head *head, bool end)
{
	(void)s;
	(void)head;
	(void)end;
	GW_UNREACHABLE(); /* Client role only. */
}

static void stream_body(struct stream *s, struct ring_buf *buf, bool end)
{
	struct local_client *client = s->owner;

	if (buf) {
		uint32_t n = buf->len;

		ring_buf_give(ring_of(client), buf);
		client->request.body_len += n;
		if (client->state == LOCAL_READING) {
			deadline_in(&client->deadline, ring_of(client), LOCAL_IDLE_S * GW_NS_PER_S);
			s->codec->credit(s, n);
		}
	}
	if (end && client->state == LOCAL_READING)
		answer_request(client);
}

static void stream_trailers(struct stream *s, struct slice lines)
{
	(void)lines;
	stream_body(s, NULL, true);
}

static void stream_flush(struct stream *s, bool more)
{
	(void)more;
	(void)s; /* What is said is flushed where it is said. */
}

static void stream_sent(struct stream *s, uint64_t n, bool all)
{
	struct local_client *client = s->owner;

	GW_ASSERT(n <= client->in_flight);
	if (client->state == LOCAL_READING) /* That was "100 Continue". */
		return;
	client->in_flight -= n;
	if (all) {
		finish(client);
		return;
	}
	deadline_in(&client->deadline, ring_of(client), LOCAL_STALL_S * GW_NS_PER_S);
	if (fill(client))
		s->codec->flush(s);
}

static void stream_malformed(struct stream *s, const struct stream_fault *fault)
{
	struct local_client *client = s->owner;

	if (client->state == LOCAL_READING)
		answer_refusal(client, fault->status, reason_label(fault->reason), true);
}

static void stream_reset(struct stream *s, const struct stream_fault *fault)
{
	(void)s;
	(void)fault; /* The codec says 'ended' next. */
}

static const struct stream_user stream_user = {
	.head = stream_head,
	.body = stream_body,
	.trailers = stream_trailers,
	.flush = stream_flush,
	.sent = stream_sent,
	.malformed = stream_malformed,
	.reset = stream_reset,
};

/* --- A connection's events. ------------------------------------------------------------------ */

static void phase(struct h1 *c, enum codec_phase next)
{
	struct local_client *client = client_of(c);
	struct ring *ring = c->proxy->ring;

	client->phase = (uint8_t)next;
	switch (next) {
	case CODEC_PHASE_IDLE:
		deadline_in(&client->deadline, ring, LOCAL_IDLE_S * GW_NS_PER_S);
		break;
	case CODEC_PHASE_HEAD:
		deadline_in(&client->deadline, ring, LOCAL_HEAD_S * GW_NS_PER_S);
		break;
	case CODEC_PHASE_BUSY: /* 'state' sets the deadline. */
		break;
	case CODEC_PHASE_DRAIN:
	case CODEC_PHASE_LINGER:
		deadline_in(&client->deadline, ring, LINGER_NS);
		break;
	}
}

static void expired(struct ring_timer *timer)
{
	struct local_client *client = GW_CONTAINER_OF(timer, struct local_client, deadline.timer);
	struct h1 *c = &client->h1;

	if (!deadline_is_due(&client->deadline, ring_of(client)))
		return;
	switch ((enum codec_phase)client->phase) {
	case CODEC_PHASE_IDLE:
	case CODEC_PHASE_DRAIN:
	case CODEC_PHASE_LINGER:
		h1_ended(c, REASON_IDLE_TIMEOUT);
		break;
	case CODEC_PHASE_HEAD:
		h1_refuse(c, (struct http_refusal){ 408, REASON_HEADER_TIMEOUT, false });
		break;
	case CODEC_PHASE_BUSY:
		cut(client);
		break;
	}
}

static struct slice keep_text(char to[LOCAL_TEXT_MAX], struct slice from)
{
	struct slice kept = slice_take(from, LOCAL_TEXT_MAX);

	if (kept.len > 0)
		memcpy(to, kept.ptr, kept.len);
	return slice_make(to, kept.len);
}

static struct slice keep_field(char to[LOCAL_TEXT_MAX], const struct http_head *head,
			       enum http_field_id id)
{
	const struct http_field *field = http_head_find(head, id);

	return field ? keep_text(to, http_text(head, field->value)) : SLICE("");
}

/* The head is lent for this call, so what a handler may want of it is copied. */
static void keep(struct local_client *client, const struct http_head *head, bool end)
{
	struct slice path = http_text(head, head->path);

	client->expects = head->expect_continue && !end;
	client->request = (struct local_request){
		.method = (enum http_method)head->method,
		.path = keep_text(client->path, path),
		.path_len = path.len,
		.forwarded_for =
			keep_field(client->forwarded_for, head, HTTP_FIELD_X_FORWARDED_FOR),
		.request_id = keep_field(client->request_id, head, HTTP_FIELD_X_REQUEST_ID),
	};
}

static void read_body(struct local_client *client)
{
	static const struct http_head go_on = { .base = "Continue",
						.reason_phrase = { 0, 8 },
						.status = 100 };
	struct stream *s = &client->h1.stream;

	enter(client, LOCAL_READING);
	if (client->expects) {
		s->codec->send_info(s, &go_on);
		s->codec->flush(s);
	}
	s->codec->credit(s, RING_BUF_DATA);
}

static void request(struct h1 *c, struct http_head *head, bool end,
		    const struct http_refusal *refusal)
{
	struct local_client *client = client_of(c);

	c->stream.user = &stream_user;
	c->stream.owner = client;
	client->request = (struct local_request){ .method = HTTP_OTHER };
	client->expects = false;
	if (head)
		keep(client, head, end);
	if (refusal)
		answer_refusal(client, refusal->status, reason_label(refusal->reason),
			       !refusal->keep);
	else if (end || !client->local->options.reads_bodies)
		answer_request(client);
	else
		read_body(client);
}

static void ended(struct h1 *c, enum reason reason)
{
	(void)reason; /* Nobody counts these connections. */
	enter(client_of(c), LOCAL_OVER);
}

static void closed(struct h1 *c)
{
	struct local_client *client = client_of(c);
	struct local *l = client->local;

	GW_ASSERT(client->state == LOCAL_OVER);
	slab_free(&l->clients, client);
	local_released(l);
}

static const struct h1_owner h1_owner = {
	.request = request,
	.phase = phase,
	.ended = ended,
	.closed = closed,
};

/* --- Its life. ------------------------------------------------------------------------------- */

void local_client_take(struct local *l, int32_t file)
{
	struct local_client *client = l->file < 0 ? NULL : slab_zalloc(&l->clients);

	if (!client) {
		ring_close(l->proxy->ring, file);
		return;
	}
	client->local = l;
	client->state = LOCAL_WAITING;
	deadline_init(&client->deadline, expired);
	clear_init(&client->h1.transport, NULL, l->proxy->ring, file);
	h1_init(&client->h1, H1_SERVER, l->proxy, &h1_owner);
	h1_start(&client->h1, NULL);
}

void local_client_close(struct local_client *client)
{
	if (client->state == LOCAL_OVER)
		return;
	enter(client, LOCAL_OVER);
	h1_close(&client->h1, false);
}

void local_client_check(const struct local_client *client)
{
	h1_check(&client->h1);
	GW_ASSERT(client->state < LOCAL_N_STATES);
	GW_ASSERT(client->in_flight <= client->submitted && client->in_flight <= WINDOW_LEN);
	GW_ASSERT((client->state == LOCAL_OVER) == client->h1.closing);
	GW_ASSERT(client->h1.open ==
		  (client->state == LOCAL_READING || client->state == LOCAL_SENDING));
}

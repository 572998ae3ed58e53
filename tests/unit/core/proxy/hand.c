/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hand.c - for tests: origins that speak HTTP/2 to the proxy of stage.c, frame by frame,
 * as a test tells them. What any origin does by itself is in 'plan'.
 */
#include "tests/unit/core/http/h2_wire.h"

enum { HAND_STREAMS = 600, HAND_OUT = 1 << 18, HAND_FRAME = 16384, HAND_MAGIC = 24 };

struct hand_stream {
	uint32_t id;
	uint64_t n_in;    /* Bytes of its body that came, */
	uint32_t n_heads; /* and sections: a second one is trailers. */
	bool ended;       /* It has come whole. */
	bool reset;       /* By the gateway, with */
	uint32_t code;
	bool said;       /* It was answered to the end, or reset by us. */
	int64_t window;  /* Bytes that may be said, */
	uint64_t to_say; /* that will be, with the end. */
};

static struct hand {
	struct peer_end *peer;
	uint8_t in[65536];
	uint32_t in_len;
	bool mute;    /* As plan.mute, of this one. */
	bool deaf;    /* Reads nothing. */
	bool greeted; /* The preface has come. */
	struct hand_stream streams[HAND_STREAMS];
	uint32_t n; /* Streams, */
	uint32_t n_running, n_running_max;
	int64_t window, stream_window;
	uint64_t granted; /* To us, for the connection. */
	uint32_t n_pings, n_gone, goaway;
	uint8_t out[HAND_OUT];
	uint32_t out_len;
} hands[STAGE_PEERS];

static struct hand_plan {
	uint32_t streams_max; /* In SETTINGS; UINT32_MAX: not said. */
	uint32_t window;      /* The same. */
	bool answers;         /* "ok", to what has come whole. */
	bool mute;            /* Says nothing by itself. */
	bool holds;           /* Grants nothing. */
} plan;

static struct h2_wire hand_wire;

/* --- Saying. --------------------------------------------------------------------------------- */

static void hand_write(struct hand *h)
{
	uint32_t n = 0;

	if (h->peer->end && h->out_len > 0)
		n = stage_say_bytes(h->peer, (const char *)h->out, h->out_len);
	memmove(h->out, h->out + n, h->out_len - n);
	h->out_len -= n;
}

/* What is in hand_wire. */
static void hand_say(struct hand *h)
{
	assert_true(hand_wire.len <= HAND_OUT - h->out_len);
	memcpy(h->out + h->out_len, hand_wire.bytes, hand_wire.len);
	h->out_len += hand_wire.len;
	hand_wire.len = 0;
	hand_write(h);
}

static void hand_number(struct hand *h, uint8_t type, uint32_t id, uint32_t number)
{
	h2w_number(&hand_wire, type, id, number);
	hand_say(h);
}

static uint32_t hand_entry(uint8_t to[6], uint8_t id, uint32_t value)
{
	to[0] = 0;
	to[1] = id;
	for (int i = 0; i < 4; i++)
		to[2 + i] = (uint8_t)(value >> (24 - 8 * i));
	return 6;
}

static void hand_setting(struct hand *h, uint8_t id, uint32_t value)
{
	uint8_t entry[6];

	h2w_frame(&hand_wire, H2W_SETTINGS, 0, 0, entry, hand_entry(entry, id, value));
	hand_say(h);
}

static void hand_goaway(struct hand *h, uint32_t last_id, uint32_t code)
{
	uint8_t payload[8] = { 0 };

	for (int i = 0; i < 4; i++) {
		payload[i] = (uint8_t)(last_id >> (24 - 8 * i));
		payload[4 + i] = (uint8_t)(code >> (24 - 8 * i));
	}
	h2w_frame(&hand_wire, H2W_GOAWAY, 0, 0, payload, sizeof(payload));
	hand_say(h);
}

static void hand_greet(struct hand *h)
{
	uint8_t entries[12];
	uint32_t n = 0;

	if (plan.streams_max != UINT32_MAX)
		n += hand_entry(entries + n, 3, plan.streams_max);
	if (plan.window != UINT32_MAX)
		n += hand_entry(entries + n, 4, plan.window);
	h2w_frame(&hand_wire, H2W_SETTINGS, 0, 0, entries, n);
	hand_say(h);
}

static struct hand_stream *hand_stream(struct hand *h, uint32_t id)
{
	for (uint32_t i = 0; i < h->n; i++)
		if (h->streams[i].id == id)
			return &h->streams[i];
	return NULL;
}

static void hand_has_said(struct hand *h, uint32_t id)
{
	struct hand_stream *s = hand_stream(h, id);

	if (!s || s->said)
		return;
	s->said = true;
	h->n_running -= s->reset ? 0 : 1;
}

/* A section: a head, 1xx, or trailers. */
static void hand_section(struct hand *h, uint32_t id, const char *lines, bool end)
{
	h2w_section(&hand_wire, H2W_HEADERS, end ? H2W_WHOLE : H2W_END_HEADERS, id, lines);
	hand_say(h);
	if (end)
		hand_has_said(h, id);
}

/* Whatever the windows allow, but they are told. */
static void hand_data(struct hand *h, uint32_t id, const char *text, bool end)
{
	struct hand_stream *s = hand_stream(h, id);

	h->window -= (int64_t)strlen(text);
	s->window -= (int64_t)strlen(text);
	h2w_frame(&hand_wire, H2W_DATA, end ? H2W_END_STREAM : 0, id, text, (uint32_t)strlen(text));
	hand_say(h);
	if (end)
		hand_has_said(h, id);
}

static void hand_reset(struct hand *h, uint32_t id, uint32_t code)
{
	hand_number(h, H2W_RST_STREAM, id, code);
	hand_has_said(h, id);
}

static void hand_answer(struct hand *h, uint32_t id)
{
	hand_section(h, id, ":status: 200\ncontent-length: 2\n", false);
	hand_data(h, id, "ok", true);
}

static void hand_answer_all(struct hand *h)
{
	for (uint32_t i = 0; i < h->n; i++)
		if (!h->streams[i].said && !h->streams[i].reset)
			hand_answer(h, h->streams[i].id);
}

/* As much of bodies as the windows allow, in turns. */
static void hand_pump(struct hand *h)
{
	static const char zeros[HAND_FRAME];
	bool more = true;

	while (more) {
		more = false;
		for (uint32_t i = 0; i < h->n; i++) {
			struct hand_stream *s = &h->streams[i];
			int64_t n = s->window < h->window ? s->window : h->window;

			n = n < HAND_FRAME ? n : HAND_FRAME;
			n = (uint64_t)n < s->to_say || n < 0 ? n : (int64_t)s->to_say;
			if (s->reset || n <= 0 || h->out_len + HAND_FRAME + 64 > HAND_OUT)
				continue;
			s->window -= n;
			h->window -= n;
			s->to_say -= (uint64_t)n;
			h2w_frame(&hand_wire, H2W_DATA, s->to_say == 0 ? H2W_END_STREAM : 0, s->id,
				  zeros, (uint32_t)n);
			hand_say(h);
			if (s->to_say == 0)
				hand_has_said(h, s->id);
			more = true;
		}
	}
}

/* --- Hearing. -------------------------------------------------------------------------------- */

static void hand_hears_settings(struct hand *h, const struct h2_wire_frame *f)
{
	if (f->flags & H2W_ACK)
		return;
	for (uint32_t at = 0; at + 6 <= f->len; at += 6)
		if (f->payload[at + 1] == 4)
			h->stream_window = h2w_number_of(f, at + 2);
	if (plan.mute || h->mute)
		return;
	h2w_frame(&hand_wire, H2W_SETTINGS, H2W_ACK, 0, NULL, 0);
	hand_say(h);
}

static struct hand_stream *hand_hears_head(struct hand *h, uint32_t id)
{
	struct hand_stream *s = hand_stream(h, id);

	if (!s) {
		assert_true(h->n < HAND_STREAMS);
		assert_true(id % 2 == 1 && (h->n == 0 || id > h->streams[h->n - 1].id));
		s = &h->streams[h->n++];
		*s = (struct hand_stream){ .id = id, .window = h->stream_window };
		h->n_running++;
		if (h->n_running > h->n_running_max)
			h->n_running_max = h->n_running;
	}
	s->n_heads++;
	return s;
}

static struct hand_stream *hand_hears_data(struct hand *h, const struct h2_wire_frame *f)
{
	struct hand_stream *s = hand_stream(h, f->id);

	assert_non_null(s);
	s->n_in += f->len;
	if (plan.holds || f->len == 0)
		return s;
	h2w_number(&hand_wire, H2W_WINDOW_UPDATE, 0, f->len);
	h2w_number(&hand_wire, H2W_WINDOW_UPDATE, f->id, f->len);
	hand_say(h);
	return s;
}

static void hand_hears_end(struct hand *h, struct hand_stream *s)
{
	assert_false(s->ended);
	s->ended = true;
	if (plan.answers && !s->said)
		hand_answer(h, s->id);
}

static void hand_hears_frame(struct hand *h, const struct h2_wire_frame *f)
{
	struct hand_stream *s = f->id ? hand_stream(h, f->id) : NULL;

	switch (f->type) {
	case H2W_HEADERS:
		s = hand_hears_head(h, f->id);
		break;
	case H2W_DATA:
		s = hand_hears_data(h, f);
		break;
	case H2W_SETTINGS:
		hand_hears_settings(h, f);
		break;
	case H2W_RST_STREAM:
		assert_non_null(s);
		h->n_running -= s->said || s->reset ? 0 : 1;
		s->reset = true;
		s->code = h2w_number_of(f, 0);
		break;
	case H2W_WINDOW_UPDATE:
		h->granted += f->id ? 0 : h2w_number_of(f, 0);
		*(s ? &s->window : &h->window) += h2w_number_of(f, 0);
		break;
	case H2W_PING:
		h->n_pings += !(f->flags & H2W_ACK);
		if (!(f->flags & H2W_ACK) && !plan.mute && !h->mute) {
			h2w_frame(&hand_wire, H2W_PING, H2W_ACK, 0, f->payload, 8);
			hand_say(h);
		}
		break;
	case H2W_GOAWAY:
		h->n_gone++;
		h->goaway = h2w_number_of(f, 4);
		break;
	default:
		break;
	}
	if ((f->type == H2W_HEADERS || f->type == H2W_DATA) && f->flags & H2W_END_STREAM)
		hand_hears_end(h, s);
}

static void hand_hears(struct hand *h)
{
	const uint8_t *at = h->in, *end = h->in + h->in_len;
	struct h2_wire_frame f;

	if (!h->greeted && h->in_len < HAND_MAGIC)
		return;
	if (!h->greeted) {
		assert_memory_equal(h->in, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HAND_MAGIC);
		at += HAND_MAGIC;
		h->greeted = true;
		if (!plan.mute)
			hand_greet(h);
	}
	while (h2w_next(&at, end, &f))
		hand_hears_frame(h, &f);
	h->in_len = (uint32_t)(end - at);
	memmove(h->in, at, h->in_len);
}

/* stage_origin_fn. */
static void by_hand(struct peer_end *o)
{
	struct hand *h = &hands[o - st.origins];
	int32_t n = -EAGAIN;

	if (!h->peer) {
		h->peer = o;
		h->window = h->stream_window = 65535;
	}
	while (o->end && !h->deaf &&
	       (n = sim_end_read(o->end, h->in + h->in_len, (uint32_t)sizeof(h->in) - h->in_len)) >
		       0) {
		h->in_len += (uint32_t)n;
		hand_hears(h);
	}
	if (!o->end)
		return;
	o->ended = n == 0 || sim_end_is_reset(o->end);
	o->reset = sim_end_is_reset(o->end);
	hand_pump(h);
	hand_write(h);
}

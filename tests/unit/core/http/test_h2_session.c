/* SPDX-License-Identifier: Apache-2.0 */
/* One connection of HTTP/2, by hand-made frames and against the other role of our own. */
#include "core/http/h2_session.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/rng.h"
#include "tests/unit/core/http/h2_wire.h"

static const struct http_rewrite as_it_is;

enum { SETTINGS_POINTS = H2_SCORE_CONTROL }; /* Of a preface. */
enum { POOL = 8 << 20, STREAMS = 512, LOG = 1 << 16, OUT = 1 << 20 };

enum kind { AT_HEAD, AT_DATA, AT_END, AT_PULL, AT_COPY, AT_ENDED, N_KINDS };

/* A stream as its user has it. */
struct user {
	int32_t id;
	uint64_t n_in, sum_in; /* Of its body, */
	uint64_t n_out, sum_out;
	uint64_t left;  /* and still to be sent. */
	bool open;      /* It may be called for. */
	bool trailers;  /* Follow what is left. */
	bool no_end;    /* Never ends what it sends. */
	bool malformed; /* Was told so. */
	bool in_ended, out_ended, closed;
	uint32_t code;
};

/* One end of a connection, with what it was told. */
struct side {
	struct h2_session *session;
	uint64_t now_ns;
	uint64_t grant;  /* Given back of each byte that comes: 1, or 0. */
	uint64_t answer; /* Length of the body of each answer, or UINT64_MAX: none is given. */
	struct rng *rng; /* Resets now and then, from any event. */
	int reset_at;    /* enum kind, or -1: reset always, from that event. */
	uint32_t n_heads, n_open; /* Streams. */
	uint32_t n_errors, n_pongs, n_malformed, n_closed, n_gone;
	int32_t last_gone;
	enum reason reason; /* The last refusal's. */
	uint16_t status;
	struct user users[STREAMS];
	uint32_t n_users;
	struct h2_block scratch, held;
	struct writer log;
	char text[LOG];
	uint8_t out[OUT]; /* What it has written, */
	uint32_t out_len;
	uint32_t out_seen; /* of it read by the other end. */
};

static struct h2_shared *shared;
static struct side sides[2];

static uint8_t byte_of(int32_t id, uint64_t at)
{
	return (uint8_t)(at * 31 + (uint32_t)id * 7 + (at >> 8));
}

static void tell(struct side *side, const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	writer_put(&side->log, slice_of(line));
}

static struct user *user_new(struct side *side, int32_t id)
{
	struct user *u = &side->users[side->n_users++];

	assert_true(side->n_users <= STREAMS);
	*u = (struct user){ .id = id, .open = true };
	side->n_open++;
	return u;
}

/* Nothing may be told of it from now on. */
static void user_reset(struct side *side, struct user *u, uint32_t code)
{
	assert_true(u->open);
	u->open = false;
	side->n_open--;
	h2_session_reset(side->session, u->id, code);
}

/* True when the stream is gone. */
static bool gives_up(struct side *side, struct user *u, enum kind kind)
{
	if (side->reset_at != (int)kind && !(side->rng && rng_below(side->rng, 40) == 0))
		return false;
	user_reset(side, u, H2_CODE_CANCEL);
	return true;
}

static struct slice pairs(char *room, size_t size, const char *lines)
{
	struct writer out = writer_make(room, size);

	h2_write_lines(&out, slice_of(lines));
	assert_false(out.overflow);
	return writer_slice(&out);
}

static void answer(struct side *side, struct user *u)
{
	static const struct h1_framing framing = { .body = HTTP_BODY_NONE };
	struct http_head head = { .status = 200, .base = "" };
	char room[512];
	struct writer out = writer_make(room, sizeof(room));

	if (side->answer == UINT64_MAX)
		return;
	h2_write_response(&out, &head, SLICE("x-a: b\r\n"), &framing);
	u->left = side->answer;
	h2_session_respond(side->session, u->id, writer_slice(&out), side->answer == 0);
}

static void on_head(void *owner, int32_t id, void *stream, struct http_head *head, bool last,
		    const struct http_refusal *refusal)
{
	struct side *side = owner;
	struct user *u = stream;

	side->n_heads++;
	tell(side, "head %d %.*s %.*s%.*s fields %u body %d %s %u %.*s\n", id,
	     SLICE_ARG(head ? http_text(head, head->method_text) : SLICE("-")),
	     SLICE_ARG(head ? http_text(head, head->path) : SLICE("-")),
	     SLICE_ARG(head ? http_text(head, head->query) : SLICE("-")), head ? head->n_fields : 0,
	     head ? head->body : -1, last ? "end" : "", refusal ? refusal->status : 0,
	     SLICE_ARG(reason_label(refusal ? (enum reason)refusal->reason : REASON_NONE)));
	if (refusal) {
		side->reason = (enum reason)refusal->reason;
		side->status = refusal->status;
	}
	if (!u) {
		u = user_new(side, id);
		h2_session_attach(side->session, id, u);
	}
	assert_true(u->open);
	u->in_ended = last;
	if (!head) {
		user_reset(side, u, H2_CODE_PROTOCOL_ERROR);
		return;
	}
	if (!gives_up(side, u, AT_HEAD) && side->session->role == H2_SERVER)
		answer(side, u);
}

static uint8_t on_method(void *owner, void *stream)
{
	struct user *u = stream;

	(void)owner;
	assert_true(u->open);
	return HTTP_GET;
}

static void on_data_(void *owner, void *stream, const uint8_t *bytes, uint32_t len)
{
	struct side *side = owner;
	struct user *u = stream;

	assert_true(u->open && !u->in_ended);
	for (uint32_t i = 0; i < len; i++)
		u->sum_in += bytes[i] * (u->n_in + i + 1);
	u->n_in += len;
	if (gives_up(side, u, AT_DATA))
		h2_session_grant_connection(side->session, len);
	else if (side->grant)
		h2_session_grant(side->session, u->id, len);
}

static void on_end(void *owner, void *stream, struct slice trailers)
{
	struct side *side = owner;
	struct user *u = stream;

	assert_true(u->open && !u->in_ended);
	u->in_ended = true;
	tell(side, "end %d of %llu sum %llu '%.*s'\n", u->id, (unsigned long long)u->n_in,
	     (unsigned long long)u->sum_in, SLICE_ARG(trailers));
	gives_up(side, u, AT_END);
}

static void on_malformed(void *owner, void *stream, enum reason reason)
{
	struct side *side = owner;
	struct user *u = stream;

	assert_true(u->open);
	u->malformed = true;
	u->open = false;
	side->n_open--;
	side->n_malformed++;
	side->reason = reason;
	h2_session_attach(side->session, u->id, NULL); /* As its user does. */
	tell(side, "malformed %d %.*s\n", u->id, SLICE_ARG(reason_label(reason)));
}

static void on_closed(void *owner, void *stream, uint32_t code)
{
	struct side *side = owner;
	struct user *u = stream;

	assert_true(u->open && !u->closed);
	u->closed = true;
	u->open = false;
	u->code = code;
	side->n_open--;
	side->n_closed++;
	tell(side, "closed %d %u\n", u->id, code);
}

static int32_t on_pull(void *owner, void *stream, uint32_t max, bool *ret_end,
		       struct slice *ret_trailers)
{
	static char room[256];
	struct side *side = owner;
	struct user *u = stream;

	assert_true(u->open && max > 0);
	if (gives_up(side, u, AT_PULL))
		return -EAGAIN;
	if (u->left == 0 && u->no_end)
		return -EAGAIN;
	*ret_end = u->left <= max && !u->no_end;
	if (*ret_end && u->trailers)
		*ret_trailers = pairs(room, sizeof(room), "x-t: v\r\n");
	return (int32_t)(u->left < max ? u->left : max);
}

static void on_copy(void *owner, void *stream, uint8_t *to, uint32_t len)
{
	struct side *side = owner;
	struct user *u = stream;

	assert_non_null(u);
	assert_true(u->open && len <= u->left);
	if (side->answer > UINT32_MAX) { /* Too much to look at. */
		memset(to, 'x', len);
		u->left -= len;
		return;
	}
	for (uint32_t i = 0; i < len; i++) {
		to[i] = byte_of(u->id, u->n_out + i);
		u->sum_out += to[i] * (u->n_out + i + 1);
	}
	u->n_out += len;
	u->left -= len;
	gives_up(side, u, AT_COPY);
}

static void on_ended(void *owner, void *stream)
{
	struct side *side = owner;
	struct user *u = stream;

	assert_true(u->open && !u->out_ended);
	u->out_ended = true;
	gives_up(side, u, AT_ENDED);
}

static void on_gone(void *owner, int32_t last_id, uint32_t code)
{
	struct side *side = owner;

	side->n_gone++;
	side->last_gone = last_id;
	tell(side, "gone %d %u\n", last_id, code);
}

static void on_pong(void *owner)
{
	((struct side *)owner)->n_pongs++;
}

static void on_error(void *owner, bool connection, uint32_t code)
{
	(void)connection;
	(void)code;
	((struct side *)owner)->n_errors++;
}

static const struct h2_events recorded = {
	.head = on_head,
	.method = on_method,
	.data = on_data_,
	.end = on_end,
	.malformed = on_malformed,
	.closed = on_closed,
	.pull = on_pull,
	.copy = on_copy,
	.ended = on_ended,
	.gone = on_gone,
	.pong = on_pong,
	.error = on_error,
};

/* --- Life of a side. ------------------------------------------------------------------------- */

static int side_open(struct side *side, enum h2_role role)
{
	struct h2_session *session;
	int r = h2_session_open(shared, role, false, &recorded, side, &session);

	memset(side, 0, offsetof(struct side, text));
	side->out_len = side->out_seen = 0;
	side->log = writer_make(side->text, sizeof(side->text));
	side->session = session;
	side->now_ns = GW_NS_PER_S;
	side->grant = 1;
	side->reset_at = -1;
	return r;
}

static struct side *server(void)
{
	assert_int_equal(side_open(&sides[0], H2_SERVER), 0);
	return &sides[0];
}

static void feed(struct side *side, const uint8_t *bytes, uint32_t len)
{
	bool held = h2_session_in_section(side->session);
	uint8_t *exact = test_malloc(len + 1);

	memcpy(exact, bytes, len);
	h2_session_feed(side->session, held ? &side->held : &side->scratch, exact, len,
			side->now_ns);
	if (!held && h2_session_in_section(side->session))
		h2_block_move(&side->held, &side->scratch);
	memset(&side->scratch, 0xee, sizeof(side->scratch));
	test_free(exact);
}

static void feed_wire(struct side *side, const struct h2_wire *w)
{
	feed(side, w->bytes, w->len);
}

/* All that it has to say, in rooms of that size. */
static void say(struct side *side, uint32_t room)
{
	uint32_t n;

	do {
		assert_true(side->out_len + room <= OUT);
		n = h2_session_write(side->session, side->out + side->out_len, room);
		side->out_len += n;
	} while (n > 0);
}

static void side_close(struct side *side)
{
	assert_false(side->log.overflow);
	h2_session_close(side->session);
}

/* Frames of one kind that it has written; the last of them in *ret. */
static uint32_t said(const struct side *side, uint8_t type, struct h2_wire_frame *ret)
{
	const uint8_t *at = side->out, *end = side->out + side->out_len;
	struct h2_wire_frame frame;
	uint32_t n = 0;

	if (side->session->role == H2_CLIENT)
		at += 24;
	while (h2w_next(&at, end, &frame))
		if (frame.type == type) {
			n++;
			*ret = frame;
		}
	assert_ptr_equal(at, end);
	return n;
}

static uint32_t said_code(const struct side *side, uint8_t type)
{
	struct h2_wire_frame frame;

	if (said(side, type, &frame) == 0)
		return UINT32_MAX;
	return h2w_number_of(&frame, type == H2W_GOAWAY ? 4 : 0);
}

static int setup(void **state)
{
	(void)state;
	return h2_shared_create(POOL, &shared);
}

/* What a test leaves in the pool traps here. */
static int teardown(void **state)
{
	(void)state;
	assert_int_equal(h2_shared_stats(shared).used, 0);
	h2_shared_destroy(shared);
	return 0;
}

static struct h2_wire wire;

static void begin_wire(void)
{
	wire.len = 0;
	h2w_preface(&wire);
}

/* --- The same events, whatever the cuts. ------------------------------------------------------- */

static void everything(void)
{
	uint32_t at;

	begin_wire();
	h2w_get(&wire, 1);
	h2w_section(&wire, H2W_HEADERS, H2W_END_HEADERS, 3, H2W_POST "content-length: 9\n");
	h2w_frame(&wire, H2W_DATA, 0, 3, "abcd", 4);
	h2w_frame(&wire, H2W_DATA, 0, 3, "", 0);
	h2w_frame(&wire, H2W_DATA, H2W_PADDED, 3, "\3efgh\0\0\0", 8);
	h2w_ping(&wire, 0);
	h2w_frame(&wire, H2W_DATA, 0, 3, "i", 1);
	h2w_section(&wire, H2W_HEADERS, H2W_WHOLE, 3, "x-trailer: y\nhost: no\n");
	h2w_section(&wire, H2W_HEADERS, H2W_END_STREAM, 5, H2W_GET "cookie: a=1\n");
	h2w_section(&wire, H2W_CONTINUATION, 0, 5, "x: y\ncookie: b=2\n");
	h2w_section(&wire, H2W_CONTINUATION, H2W_END_HEADERS, 5, "z: w\n");
	h2w_section(&wire, H2W_HEADERS, H2W_WHOLE, 7, H2W_GET "Upper: x\nbehind: y\n");
	h2w_section(&wire, H2W_HEADERS, H2W_END_HEADERS, 9, H2W_POST);
	h2w_section(&wire, H2W_HEADERS, H2W_WHOLE, 9, "content-length: 1\n");
	h2w_section(&wire, H2W_HEADERS, H2W_END_HEADERS, 11, H2W_POST "content-length: 2\n");
	h2w_frame(&wire, H2W_DATA, H2W_END_STREAM, 11, "abc", 3);
	h2w_section(&wire, H2W_HEADERS, H2W_END_HEADERS, 13, H2W_POST);
	h2w_number(&wire, H2W_RST_STREAM, 13, H2_CODE_CANCEL);
	h2w_frame(&wire, H2W_PRIORITY, 0, 13, "\0\0\0\0\1", 5);
	h2w_frame(&wire, H2W_UNKNOWN, 0x55, 0, "what", 4);
	h2w_number(&wire, H2W_WINDOW_UPDATE, 0, 1000);
	at = wire.len;
	h2w_frame(&wire, H2W_HEADERS, H2W_WHOLE, 15, NULL, 0);
	h2w_lines(&wire, H2W_GET);
	for (int i = 0; i < 101; i++)
		h2w_lines(&wire, "n: v\n");
	h2w_close(&wire, at);
	h2w_section(&wire, H2W_HEADERS, H2W_WHOLE, 17,
		    ":method: GET\n:scheme: http\n:path: /../x\n:authority: a\n");
	h2w_frame(&wire, H2W_GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0bye", 11);
	h2w_section(&wire, H2W_HEADERS, H2W_WHOLE, 19, H2W_GET);
}

static const char expected[] = "head 1 GET / fields 1 body 0 end 0 none\n"
			       "head 3 POST / fields 2 body 1  0 none\n"
			       "end 3 of 9 sum 4605 'x-trailer: y\r\n'\n"
			       "head 5 GET / fields 4 body 0 end 0 none\n"
			       "head 7 - -- fields 0 body -1 end 0 h2_malformed\n"
			       "head 9 POST / fields 1 body 2  0 none\n"
			       "malformed 9 h2_cl_mismatch\n"
			       "head 11 POST / fields 2 body 1  0 none\n"
			       "head 13 POST / fields 1 body 2  0 none\n"
			       "closed 13 8\n"
			       "head 15 - -- fields 0 body -1 end 431 too_many_headers\n"
			       "head 17 - -- fields 0 body -1 end 400 path_traversal\n"
			       "gone 0 0\n"
			       "head 19 GET / fields 1 body 0 end 0 none\n";

/* In pieces of one size, or two of which the first has 'first' bytes. */
static void check_cuts(uint32_t first, uint32_t step)
{
	struct side *side = server();

	side->answer = UINT64_MAX;
	feed(side, wire.bytes, first);
	for (uint32_t at = first; at < wire.len;) {
		uint32_t n = step < wire.len - at ? step : wire.len - at;

		feed(side, wire.bytes + at, n);
		at += n;
	}
	if (!slice_eq(writer_slice(&side->log), slice_of(expected)))
		fail_msg("cut at %u, by %u: %.*s", first, step,
			 SLICE_ARG(writer_slice(&side->log)));
	side_close(side);
}

static void events_do_not_depend_on_cuts(void **state)
{
	struct rng rng;

	(void)state;
	everything();
	for (uint32_t first = 0; first <= wire.len; first++)
		check_cuts(first, wire.len);
	check_cuts(0, 1);
	rng_seed(&rng, 1);
	for (int i = 0; i < 300; i++)
		check_cuts(0, 1 + (uint32_t)rng_below(&rng, 40));
}

/* --- Requests that are none. ----------------------------------------------------------------- */

#define M ":method: GET\n"
#define C ":scheme: http\n"
#define P ":path: /\n"
#define A ":authority: a\n"

static const struct {
	const char *lines;
	enum reason reason;
	bool open; /* Its message has not ended. */
} malformed[] = {
	{ M C P A "X: y\n", REASON_H2_MALFORMED, false },
	{ M C P A "x y: z\n", REASON_H2_MALFORMED, false },
	{ M C P A "x\r: z\n", REASON_H2_MALFORMED, false },
	{ M C P A "x: a\rb\n", REASON_H2_MALFORMED, false },
	{ M C P A "x:  y\n", REASON_H2_MALFORMED, false },
	{ M C P A "x: y \n", REASON_H2_MALFORMED, false },
	{ M C P A "x: y\t\n", REASON_H2_MALFORMED, false },
	{ M C P A "x: \x01\n", REASON_H2_MALFORMED, false },
	{ M C P A "connection: close\n", REASON_H2_MALFORMED, false },
	{ M C P A "keep-alive: 1\n", REASON_H2_MALFORMED, false },
	{ M C P A "proxy-connection: close\n", REASON_H2_MALFORMED, false },
	{ M C P A "transfer-encoding: chunked\n", REASON_H2_MALFORMED, false },
	{ M C P A "upgrade: h2c\n", REASON_H2_MALFORMED, false },
	{ M C P A "te: gzip\n", REASON_H2_MALFORMED, false },
	{ C P A, REASON_H2_MALFORMED, false },
	{ M P A, REASON_H2_MALFORMED, false },
	{ M C A, REASON_H2_MALFORMED, false },
	{ M C P, REASON_H2_MALFORMED, false },
	{ M C P, REASON_H2_MALFORMED, true },
	{ M M C P A, REASON_H2_MALFORMED, false },
	{ M C P P A, REASON_H2_MALFORMED, false },
	{ M C P A A, REASON_H2_MALFORMED, false },
	{ M C P A ":x: y\n", REASON_H2_MALFORMED, false },
	{ M C P A ":status: 200\n", REASON_H2_MALFORMED, false },
	{ M C P A ":protocol: websocket\n", REASON_H2_MALFORMED, false },
	{ M C P "x: y\n" A, REASON_H2_MALFORMED, false },
	{ M C ":path: \n" A, REASON_H2_MALFORMED, false },
	{ M C P ":authority: \n", REASON_H2_MALFORMED, false },
	{ M C P A "host: a\nhost: a\n", REASON_H2_MALFORMED, false },
	{ M C P A "host: b\n", REASON_HOST_MISMATCH, false },
	{ M C P A "content-length: 1\n", REASON_H2_CL_MISMATCH, false },
	{ M C P A "content-length: x\n", REASON_H2_MALFORMED, false },
	{ M C P A "content-length: 1\ncontent-length: 1\n", REASON_H2_MALFORMED, true },
};

/* One each: told once, charged once, and reset by PROTOCOL_ERROR. */
static void malformed_requests_are_told_and_charged(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(malformed); i++) {
		struct side *side = server();

		begin_wire();
		h2w_section(&wire, H2W_HEADERS, malformed[i].open ? H2W_END_HEADERS : H2W_WHOLE, 1,
			    malformed[i].lines);
		h2w_get(&wire, 3);
		side->answer = UINT64_MAX;
		feed_wire(side, &wire);
		say(side, 4096);
		if (side->n_heads != 2 || side->reason != malformed[i].reason || side->status != 0)
			fail_msg("%s: %u heads, %u %.*s", malformed[i].lines, side->n_heads,
				 side->status, SLICE_ARG(reason_label(side->reason)));
		if (said_code(side, H2W_RST_STREAM) != H2_CODE_PROTOCOL_ERROR ||
		    side->n_open != 1 || side->n_errors != 1)
			fail_msg("%s: reset by %u", malformed[i].lines,
				 said_code(side, H2W_RST_STREAM));
		if (side->session->score.points != SETTINGS_POINTS + H2_SCORE_MALFORMED)
			fail_msg("%s: %u points", malformed[i].lines, side->session->score.points);
		assert_false(h2_session_is_over(side->session));
		side_close(side);
	}
}

/* What makes a request that had begun malformed. */
static const struct {
	const char *name;
	enum reason reason;
	int kind;
	uint32_t code;
} spoilt[] = {
	{ "more than the length", REASON_H2_CL_MISMATCH, 0, 1 },
	{ "an end before the length", REASON_H2_CL_MISMATCH, 1, 1 },
	{ "trailers before the length", REASON_H2_CL_MISMATCH, 2, 1 },
	{ "trailers without end", REASON_H2_MALFORMED, 3, 1 },
	{ "a pseudo-field in trailers", REASON_H2_MALFORMED, 4, 1 },
	{ "a second length in trailers", REASON_H2_MALFORMED, 5, 1 },
	{ "too many trailers", REASON_TRAILER_INVALID, 6, 1 },
	{ "a length when nothing came", REASON_TRAILER_FORBIDDEN, 7, 1 },
	{ "too much window", REASON_H2_MALFORMED, 8, 3 },
};

static void spoil(int kind)
{
	switch (kind) {
	case 0:
		h2w_frame(&wire, H2W_DATA, 0, 1, "123456", 6);
		break;
	case 1:
		h2w_frame(&wire, H2W_DATA, H2W_END_STREAM, 1, "1234", 4);
		break;
	case 2:
		h2w_section(&wire, H2W_HEADERS, H2W_WHOLE, 1, "x: y\n");
		break;
	case 3:
		h2w_section(&wire, H2W_HEADERS, H2W_END_HEADERS, 1, "x: y\n");
		break;
	case 4:
		h2w_frame(&wire, H2W_DATA, 0, 1, "12345", 5);
		h2w_section(&wire, H2W_HEADERS, H2W_WHOLE, 1, ":path: /\n");
		break;
	case 5:
		h2w_frame(&wire, H2W_DATA, 0, 1, "12345", 5);
		h2w_section(&wire, H2W_HEADERS, H2W_WHOLE, 1, "content-length: 5\n");
		break;
	case 6:
		h2w_frame(&wire, H2W_DATA, 0, 1, "12345", 5);
		h2w_section(&wire, H2W_HEADERS, H2W_WHOLE, 1,
			    "x: y\nx: y\nx: y\nx: y\nx: y\nx: y\nx: y\nx: y\nx: y\nx: y\n"
			    "x: y\nx: y\nx: y\nx: y\nx: y\nx: y\nx: y\nx: y\nx: y\nx: y\n"
			    "x: y\n");
		break;
	case 7:
		h2w_section(&wire, H2W_HEADERS, H2W_END_HEADERS, 3, H2W_POST);
		h2w_section(&wire, H2W_HEADERS, H2W_WHOLE, 3, "content-length: 0\n");
		h2w_frame(&wire, H2W_DATA, H2W_END_STREAM, 1, "12345", 5);
		break;
	default:
		h2w_number(&wire, H2W_WINDOW_UPDATE, 1, INT32_MAX);
		break;
	}
}

/*
 * Each of them makes us give up what was begun: however old the stream is, it is
 * charged, or a client could have requests begun without end (CVE-2025-8671).
 */
static void spoilt_requests_are_told_and_charged(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(spoilt); i++) {
		struct side *side = server();

		begin_wire();
		h2w_section(&wire, H2W_HEADERS, H2W_END_HEADERS, 1, H2W_POST "content-length: 5\n");
		spoil(spoilt[i].kind);
		side->answer = UINT64_MAX;
		feed_wire(side, &wire);
		say(side, 4096);
		if (side->n_malformed != 1 || side->reason != spoilt[i].reason)
			fail_msg("%s: told %u, %.*s", spoilt[i].name, side->n_malformed,
				 SLICE_ARG(reason_label(side->reason)));
		if (said_code(side, H2W_RST_STREAM) != spoilt[i].code)
			fail_msg("%s: reset by %u", spoilt[i].name,
				 said_code(side, H2W_RST_STREAM));
		if (side->session->score.points < SETTINGS_POINTS + H2_SCORE_MALFORMED)
			fail_msg("%s: %u points", spoilt[i].name, side->session->score.points);
		side_close(side);
	}
}

/* --- Connections that are none. ---------------------------------------------------------------- */

static const struct {
	const char *name;
	uint8_t type, flags;
	uint32_t id;
	const char *payload;
	uint32_t len;
	uint32_t code;
	enum reason reason;
} broken_by[] = {
	{ "SETTINGS of a stream", H2W_SETTINGS, 0, 1, "", 0, 1, REASON_H2_PROTOCOL },
	{ "SETTINGS of 5 bytes", H2W_SETTINGS, 0, 0, "12345", 5, 6, REASON_H2_FRAME_SIZE },
	{ "a frame too long", H2W_DATA, 0, 1, NULL, 16385, 6, REASON_H2_FRAME_SIZE },
	{ "HPACK without sense", H2W_HEADERS, H2W_WHOLE, 1, "\xff\xff\xff\xff", 4, 9,
	  REASON_H2_HPACK },
	{ "a table larger than allowed", H2W_HEADERS, H2W_WHOLE, 1, "\x3f\xff\xff\x03", 4, 9,
	  REASON_H2_HPACK },
	{ "an even id", H2W_HEADERS, H2W_WHOLE, 2, "\x82\x86\x84", 3, 1, REASON_H2_PROTOCOL },
	{ "DATA on no stream", H2W_DATA, 0, 1, "x", 1, 1, REASON_H2_PROTOCOL },
	{ "DATA on stream 0", H2W_DATA, 0, 0, "x", 1, 1, REASON_H2_PROTOCOL },
	{ "a promise", H2W_PUSH_PROMISE, H2W_END_HEADERS, 1, "\0\0\0\2", 4, 1, REASON_H2_PROTOCOL },
	{ "CONTINUATION of nothing", H2W_CONTINUATION, H2W_END_HEADERS, 1, "", 0, 1,
	  REASON_H2_PROTOCOL },
	{ "PING of a stream", H2W_PING, 0, 1, "12345678", 8, 1, REASON_H2_PROTOCOL },
	{ "no window", H2W_WINDOW_UPDATE, 0, 0, "\0\0\0\0", 4, 1, REASON_H2_PROTOCOL },
	{ "too much window", H2W_WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff", 4, 3,
	  REASON_H2_PROTOCOL },
	{ "padding that is all", H2W_DATA, H2W_PADDED, 1, "\x05xx", 3, 1, REASON_H2_PROTOCOL },
};

static void a_broken_connection_ends_with_a_word(void **state)
{
	static const char zeros[20000];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(broken_by); i++) {
		struct side *side = server();

		begin_wire();
		if (i == ARRAY_SIZE(broken_by) - 1)
			h2w_section(&wire, H2W_HEADERS, H2W_END_HEADERS, 1, H2W_POST);
		h2w_frame(&wire, broken_by[i].type, broken_by[i].flags, broken_by[i].id,
			  broken_by[i].payload ? broken_by[i].payload : zeros, broken_by[i].len);
		h2w_get(&wire, 101);
		side->answer = UINT64_MAX;
		feed_wire(side, &wire);
		say(side, 4096);
		if (said_code(side, H2W_GOAWAY) != broken_by[i].code)
			fail_msg("%s: code %u", broken_by[i].name, said_code(side, H2W_GOAWAY));
		if (!h2_session_is_over(side->session) ||
		    h2_session_reason(side->session) != broken_by[i].reason)
			fail_msg("%s: %.*s", broken_by[i].name,
				 SLICE_ARG(reason_label(h2_session_reason(side->session))));
		assert_null(strstr(side->text, "head 101"));
		side_close(side);
	}
}

static void what_does_not_speak_http2_gets_no_word_of_it(void **state)
{
	struct side *side = server();

	(void)state;
	feed(side, (const uint8_t *)"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
	assert_true(h2_session_is_over(side->session));
	assert_int_equal(h2_session_reason(side->session), REASON_H2_PROTOCOL);
	side_close(side);
}

/* --- Floods. --------------------------------------------------------------------------------- */

enum flood {
	FLOOD_PING,
	FLOOD_PONG,
	FLOOD_SETTINGS,
	FLOOD_PRIORITY,
	FLOOD_UNKNOWN,
	FLOOD_EMPTY_DATA,
	FLOOD_SMALL_GRANTS,
	FLOOD_RESETS,
	FLOOD_MALFORMED,
	FLOOD_TRAILERS,
	FLOOD_MISMATCH,
	FLOOD_CONTINUATION,
	FLOOD_BOMB,
};

static const struct {
	const char *name;
	enum flood what;
	enum reason reason;
	uint32_t most; /* Frames or streams until it is over. */
} floods[] = {
	{ "PING", FLOOD_PING, REASON_H2_CTRL_FLOOD, 1000 },
	{ "answers to no PING", FLOOD_PONG, REASON_H2_CTRL_FLOOD, 1000 },
	{ "SETTINGS", FLOOD_SETTINGS, REASON_H2_CTRL_FLOOD, 1000 },
	{ "PRIORITY", FLOOD_PRIORITY, REASON_H2_CTRL_FLOOD, 1000 },
	{ "unknown frames", FLOOD_UNKNOWN, REASON_H2_CTRL_FLOOD, 1000 },
	{ "empty DATA", FLOOD_EMPTY_DATA, REASON_H2_EMPTY_FRAMES, 1000 },
	{ "small WINDOW_UPDATEs", FLOOD_SMALL_GRANTS, REASON_H2_GLITCH, 1000 },
	{ "malformed heads", FLOOD_MALFORMED, REASON_H2_RESET_FLOOD, 100 },
	{ "forbidden trailers", FLOOD_TRAILERS, REASON_H2_RESET_FLOOD, 100 },
	{ "bodies too long", FLOOD_MISMATCH, REASON_H2_RESET_FLOOD, 100 },
	{ "CONTINUATION", FLOOD_CONTINUATION, REASON_H2_CONTINUATION, 9 },
	{ "heads that unpack to megabytes", FLOOD_BOMB, REASON_HEADERS_TOO_LARGE, 1 },
};

/* A field of 4000 bytes goes to the decoder's table; then each byte on the wire says it again. */
static void put_bomb(uint32_t id)
{
	uint32_t at = wire.len;
	char value[4000];

	memset(value, 'v', sizeof(value));
	h2w_frame(&wire, H2W_HEADERS, H2W_END_STREAM, id, NULL, 0);
	h2w_lines(&wire, H2W_GET);
	h2w_put(&wire, "\x40", 1);
	h2w_string(&wire, SLICE("x"));
	h2w_string(&wire, slice_make(value, sizeof(value)));
	h2w_close(&wire, at);
	for (int i = 0; i < 7; i++) {
		at = wire.len;
		h2w_frame(&wire, H2W_CONTINUATION, i == 6 ? H2W_END_HEADERS : 0, id, NULL, 0);
		for (int k = 0; k < 4000; k++)
			h2w_put(&wire, "\xbe", 1); /* Entry 62: the first of the table. */
		h2w_close(&wire, at);
	}
}

static void put_flood(enum flood what, uint32_t i)
{
	uint32_t id = 3 + 2 * i;

	switch (what) {
	case FLOOD_PING:
		h2w_ping(&wire, 0);
		break;
	case FLOOD_PONG:
		h2w_ping(&wire, H2W_ACK);
		break;
	case FLOOD_SETTINGS:
		h2w_frame(&wire, H2W_SETTINGS, 0, 0, "\0\4\0\1\0\0", 6);
		break;
	case FLOOD_PRIORITY:
		h2w_frame(&wire, H2W_PRIORITY, 0, 1, "\0\0\0\0\1", 5);
		break;
	case FLOOD_UNKNOWN:
		h2w_frame(&wire, (uint8_t)(0x0a + i % 0xf0), 0, 1, "", 0);
		break;
	case FLOOD_EMPTY_DATA:
		h2w_frame(&wire, H2W_DATA, 0, 1, "", 0);
		break;
	case FLOOD_SMALL_GRANTS:
		h2w_number(&wire, H2W_WINDOW_UPDATE, i % 2, 1);
		break;
	case FLOOD_RESETS:
		h2w_section(&wire, H2W_HEADERS, H2W_END_HEADERS, id, H2W_POST);
		h2w_number(&wire, H2W_RST_STREAM, id, H2_CODE_CANCEL);
		break;
	case FLOOD_MALFORMED:
		h2w_section(&wire, H2W_HEADERS, H2W_WHOLE, id, H2W_GET "X: y\n");
		break;
	case FLOOD_TRAILERS:
		h2w_section(&wire, H2W_HEADERS, H2W_END_HEADERS, id, H2W_POST);
		h2w_section(&wire, H2W_HEADERS, H2W_WHOLE, id, "content-length: 1\n");
		break;
	case FLOOD_MISMATCH:
		h2w_section(&wire, H2W_HEADERS, H2W_END_HEADERS, id,
			    H2W_POST "content-length: 1\n");
		h2w_frame(&wire, H2W_DATA, 0, id, "xy", 2);
		break;
	case FLOOD_CONTINUATION:
		if (i == 0)
			h2w_section(&wire, H2W_HEADERS, 0, id, H2W_GET);
		h2w_section(&wire, H2W_CONTINUATION, 0, 3, "");
		break;
	case FLOOD_BOMB:
		put_bomb(id);
		break;
	}
}

static void floods_are_ended(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(floods); k++) {
		struct side *side = server();
		uint32_t n = 0;

		side->answer = UINT64_MAX;
		begin_wire();
		h2w_section(&wire, H2W_HEADERS, H2W_END_HEADERS, 1, H2W_POST);
		feed_wire(side, &wire);
		while (n <= floods[k].most + 1 && !h2_session_is_over(side->session)) {
			wire.len = 0;
			put_flood(floods[k].what, n++);
			feed_wire(side, &wire);
			say(side, 4096);
		}
		if (n > floods[k].most + 1 || h2_session_reason(side->session) != floods[k].reason)
			fail_msg("%s: after %u %.*s", floods[k].name, n,
				 SLICE_ARG(reason_label(h2_session_reason(side->session))));
		assert_int_equal(said_code(side, H2W_GOAWAY), H2_CODE_ENHANCE_YOUR_CALM);
		/* Three quarters of the way it was asked to go, where there was time for that. */
		if (floods[k].most >= 100)
			assert_int_not_equal(h2_session_trouble(side->session), REASON_NONE);
		side_close(side);
	}
}

/* The same trouble over so long a time that it is forgotten as it comes. */
static void what_is_spread_over_time_is_no_flood(void **state)
{
	(void)state;
	for (size_t k = 0; floods[k].most == 1000; k++) {
		struct side *side = server();

		side->answer = UINT64_MAX;
		begin_wire();
		h2w_section(&wire, H2W_HEADERS, H2W_END_HEADERS, 1, H2W_POST);
		feed_wire(side, &wire);
		for (uint32_t n = 0; n < 3000; n++) {
			wire.len = 0;
			put_flood(floods[k].what, n);
			feed_wire(side, &wire);
			side->now_ns += GW_NS_PER_S / H2_SCORE_PER_S;
			side->out_len = 0;
			say(side, 4096);
		}
		if (h2_session_is_over(side->session) ||
		    h2_session_trouble(side->session) != REASON_NONE)
			fail_msg("%s", floods[k].name);
		side_close(side);
	}
}

/* --- Overhead. ------------------------------------------------------------------------------- */

static void framing_without_payload_is_ended(void **state)
{
	static uint8_t padded[256];
	struct side *side = server();

	(void)state;
	padded[0] = 255;
	side->answer = UINT64_MAX;
	begin_wire();
	h2w_section(&wire, H2W_HEADERS, H2W_END_HEADERS, 1, H2W_POST);
	feed_wire(side, &wire);
	for (uint32_t n = 0; n < (16u << 20) && !h2_session_is_over(side->session); n += 256) {
		wire.len = 0;
		h2w_frame(&wire, H2W_DATA, H2W_PADDED, 1, padded, 256);
		feed_wire(side, &wire);
		side->out_len = 0;
		say(side, 4096);
	}
	assert_int_equal(h2_session_reason(side->session), REASON_H2_OVERHEAD);
	side_close(side);
}

/* --- Two sides. ------------------------------------------------------------------------------ */

static struct side *client(void)
{
	assert_int_equal(side_open(&sides[1], H2_CLIENT), 0);
	return &sides[1];
}

static struct user *ask(struct side *side, const char *lines, uint64_t len)
{
	const struct h1_framing framing = { .body = HTTP_BODY_NONE };
	struct http_head head = { .base = "POST/a", .method = HTTP_POST };
	char room[2048];
	struct writer out = writer_make(room, sizeof(room));
	struct user *u = user_new(side, 0);

	head.method_text = (struct http_span){ 0, 4 };
	head.path = (struct http_span){ 4, 1 };
	head.host = (struct http_span){ 5, 1 };
	h2_write_request(&out, &head, SLICE("http"), &as_it_is, slice_of(lines), &framing);
	assert_false(out.overflow);
	u->left = len;
	u->id = h2_session_request(side->session, writer_slice(&out), len == 0, u);
	assert_true(u->id > 0);
	return u;
}

/* Some bytes of one side reach the other. True when there were any. */
static bool carry(struct side *from, struct side *to, uint32_t room, uint32_t max)
{
	uint32_t n = from->out_len - from->out_seen;

	if (n == 0) {
		from->out_len = h2_session_write(from->session, from->out, room);
		from->out_seen = 0;
		n = from->out_len;
	}
	n = n < max ? n : max;
	if (n > 0)
		feed(to, from->out + from->out_seen, n);
	from->out_seen += n;
	return n > 0;
}

static void carry_all(struct side *a, struct side *b, uint32_t room)
{
	bool more = true;

	while (more) {
		more = carry(a, b, room, OUT);
		more = carry(b, a, room, OUT) || more;
	}
}

static void messages_arrive_whole(void **state)
{
	static const uint64_t lengths[] = { 0, 1, 100, 16384, 16385, 65536, 70000, 1000000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
		for (uint32_t room = H2_WRITE_MIN; room < 200000; room = room * 3 + 1) {
			struct side *c = client(), *s = server();
			struct user *u = ask(c, "x: y\r\n", lengths[i]);

			u->trailers = lengths[i] % 2;
			s->answer = lengths[ARRAY_SIZE(lengths) - 1 - i];
			carry_all(c, s, room);
			assert_int_equal(s->n_users, 1);
			assert_true(u->in_ended && u->out_ended && u->closed && u->code == 0);
			assert_true(s->users[0].in_ended && s->users[0].out_ended);
			assert_int_equal(s->users[0].n_in, lengths[i]);
			assert_int_equal(s->users[0].sum_in, u->sum_out);
			assert_int_equal(u->n_in, s->answer);
			assert_int_equal(u->sum_in, s->users[0].sum_out);
			if (u->trailers)
				assert_non_null(strstr(s->text, "'x-t: v"));
			side_close(c);
			side_close(s);
		}
}

/* Without a grant a peer gets rid of one window on a stream, and one of the connection. */
static void nobody_gets_more_window_than_was_granted(void **state)
{
	struct side *c = client(), *s = server();
	uint64_t sum = 0;

	(void)state;
	s->grant = 0;
	s->answer = UINT64_MAX;
	for (int i = 0; i < 40; i++)
		ask(c, "", 1 << 20);
	carry_all(c, s, 32768);
	for (int i = 0; i < 40; i++) {
		assert_true(s->users[i].n_in <= H2_WINDOW);
		sum += s->users[i].n_in;
	}
	assert_int_equal(sum, H2_WINDOW_CONNECTION);
	/* What is granted for the connection alone is of no use to streams without window. */
	h2_session_grant_connection(s->session, H2_WINDOW_CONNECTION);
	carry_all(c, s, 32768);
	sum = 0;
	for (int i = 0; i < 40; i++) {
		assert_true(s->users[i].n_in <= H2_WINDOW);
		sum += s->users[i].n_in;
	}
	assert_int_equal(sum, 2 * H2_WINDOW_CONNECTION);
	side_close(c);
	side_close(s);
}

/* A stream that ends early gives the connection's window back, with what still comes for it. */
static void window_comes_back_with_the_stream(void **state)
{
	struct side *c = client(), *s = server();

	(void)state;
	s->answer = UINT64_MAX;
	s->grant = 0;
	for (int i = 0; i < 200; i++) {
		struct user *u = ask(c, "", 1 << 20);
		struct user *seen;

		u->no_end = true;
		carry_all(c, s, 32768);
		seen = &s->users[s->n_users - 1];
		assert_int_equal(seen->n_in, H2_WINDOW);
		user_reset(s, seen, H2_CODE_CANCEL);
		h2_session_grant_connection(s->session, H2_WINDOW);
		s->session->score.points = 0;
		carry_all(c, s, 32768);
		assert_true(u->closed && u->code == H2_CODE_CANCEL);
	}
	side_close(c);
	side_close(s);
}

/* A long download is told of by many small frames, with none of a message among them: no flood. */
static void a_long_download_is_no_overhead(void **state)
{
	struct side *s = server();

	(void)state;
	s->answer = UINT64_C(1) << 40;
	begin_wire();
	h2w_get(&wire, 1);
	feed_wire(s, &wire);
	for (uint64_t n = 0; n < (10u << 20); n += wire.len) {
		wire.len = 0;
		h2w_number(&wire, H2W_WINDOW_UPDATE, 1, H2_SMALL_GRANT);
		h2w_number(&wire, H2W_WINDOW_UPDATE, 0, H2_SMALL_GRANT);
		feed_wire(s, &wire);
		s->out_len = 0;
		say(s, H2_WRITE_MIN);
	}
	assert_false(h2_session_is_over(s->session));
	side_close(s);
}

/* --- Users that change their minds. ------------------------------------------------------------ */

/* From each event, on either side: nothing more is told, and the connection goes on. */
static void a_stream_may_be_given_up_in_any_event(void **state)
{
	(void)state;
	for (int kind = 0; kind < N_KINDS; kind++)
		for (int whose = 0; whose < 2; whose++) {
			struct side *c = client(), *s = server(), *who = whose ? c : s;

			s->answer = 100000;
			who->reset_at = kind;
			for (int i = 0; i < 3; i++)
				ask(c, "", 100000);
			carry_all(c, s, 5000);
			assert_int_equal(s->n_open, 0);
			assert_int_equal(who->n_closed, 0);
			assert_false(h2_session_is_over(c->session));
			assert_false(h2_session_is_over(s->session));
			who->reset_at = -1;
			ask(c, "", 100);
			carry_all(c, s, 5000);
			assert_true(c->users[c->n_users - 1].in_ended);
			side_close(c);
			side_close(s);
		}
}

/*
 * A frame that had no room is there already when its stream is given up: by us, or
 * by something malformed that comes in the meantime.
 */
static void a_frame_that_waits_for_room_may_lose_its_stream(void **state)
{
	(void)state;
	for (int malformed_ = 0; malformed_ < 2; malformed_++)
		for (uint32_t room = H2_WRITE_MIN; room < H2_WRITE_MIN + 3000; room += 7) {
			struct side *s = server();

			s->answer = 60000;
			begin_wire();
			for (uint32_t id = 1; id < 9; id += 2)
				h2w_section(&wire, H2W_HEADERS, H2W_END_HEADERS, id, H2W_POST);
			feed_wire(s, &wire);
			for (uint32_t i = 0; i < 3; i++)
				s->out_len +=
					h2_session_write(s->session, s->out + s->out_len, room);
			wire.len = 0;
			for (uint32_t i = 0; i < 4; i++)
				if (malformed_)
					h2w_section(&wire, H2W_HEADERS, H2W_WHOLE, 1 + 2 * i,
						    "Upper: x\n");
				else
					user_reset(s, &s->users[i], H2_CODE_CANCEL);
			feed_wire(s, &wire);
			say(s, room);
			assert_int_equal(s->n_open, 0);
			side_close(s);
		}
}

static void storm(uint64_t seed)
{
	struct side *c = client(), *s = server();
	struct rng rng;

	rng_seed(&rng, seed);
	c->grant = s->grant = 1;
	s->rng = seed % 3 ? &rng : NULL;
	c->rng = seed % 2 ? &rng : NULL;
	for (int step = 0; step < 1500; step++) {
		struct side *from = rng_below(&rng, 2) ? c : s;

		s->answer = rng_below(&rng, 4) ? rng_below(&rng, 100000) : 0;
		if (rng_below(&rng, 8) == 0 && c->n_users < 300 && c->n_open < 90) {
			struct user *u =
				ask(c, "", rng_below(&rng, 3) ? rng_below(&rng, 50000) : 0);

			u->trailers = rng_below(&rng, 2);
		}
		if (c->n_users > 0 && rng_below(&rng, 20) == 0) {
			struct user *u = &c->users[rng_below(&rng, c->n_users)];

			if (u->open && c->rng)
				user_reset(c, u, H2_CODE_CANCEL);
		}
		s->session->score.points = 0;
		carry(from, from == c ? s : c, H2_WRITE_MIN + (uint32_t)rng_below(&rng, 20000),
		      1 + (uint32_t)rng_below(&rng, 30000));
	}
	c->rng = s->rng = NULL;
	carry_all(c, s, 30000);
	assert_false(h2_session_is_over(c->session) || h2_session_is_over(s->session));
	assert_int_equal(s->n_open, 0);
	assert_int_equal(c->n_open, 0);
	for (uint32_t i = 0, k = 0; i < s->n_users; i++) {
		const struct user *mine = &s->users[i], *theirs;

		while (c->users[k].id != mine->id)
			k++;
		theirs = &c->users[k];
		if (theirs->closed && theirs->code == 0) {
			assert_int_equal(theirs->sum_in, mine->sum_out);
			assert_true(theirs->in_ended);
		}
		if (mine->in_ended) /* Never whole unless it was sent so. */
			assert_int_equal(mine->sum_in, theirs->sum_out);
	}
	side_close(c);
	side_close(s);
}

static void storms_are_survived(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++)
		storm(seed);
}

/* --- Going. ---------------------------------------------------------------------------------- */

static void who_is_asked_to_go_may_finish(void **state)
{
	struct side *c = client(), *s = server();
	struct user *u = ask(c, "", 100000);

	(void)state;
	s->answer = 1000;
	u->no_end = true;
	carry(c, s, 5000, OUT);
	h2_session_shut(s->session);
	h2_session_shut(s->session); /* Once is enough. */
	carry_all(c, s, 5000);
	assert_int_equal(c->n_gone, 1);
	assert_int_equal(c->last_gone, INT32_MAX);
	assert_int_equal(s->n_pongs, 1);
	h2_session_refuse_more(s->session);
	carry_all(c, s, 5000);
	assert_int_equal(c->n_gone, 2);
	assert_int_equal(c->last_gone, 1);
	u->no_end = false;
	h2_session_resume(c->session, u->id);
	carry_all(c, s, 5000);
	assert_true(u->in_ended && u->out_ended && s->users[0].in_ended);
	h2_session_expel(s->session, H2_CODE_NO_ERROR, REASON_NONE);
	say(s, 4096);
	assert_true(h2_session_is_over(s->session));
	assert_int_equal(s->n_errors, 0);
	side_close(c);
	side_close(s);
}

/* An answer to the question says that the request to go was heard: so it comes behind it. */
static void the_question_follows_the_request_to_go(void **state)
{
	struct side *s = server();
	struct h2_wire_frame goaway, ping;

	(void)state;
	begin_wire();
	feed_wire(s, &wire);
	h2_session_shut(s->session);
	say(s, 4096);
	assert_int_equal(said(s, H2W_GOAWAY, &goaway), 1);
	assert_int_equal(said(s, H2W_PING, &ping), 1);
	assert_true(goaway.payload < ping.payload);
	side_close(s);
}

static void streams_behind_the_last_word_are_not_looked_at(void **state)
{
	struct side *s = server();

	(void)state;
	s->answer = UINT64_MAX;
	begin_wire();
	h2w_get(&wire, 1);
	feed_wire(s, &wire);
	h2_session_shut(s->session);
	h2_session_refuse_more(s->session);
	say(s, 4096);
	wire.len = 0;
	h2w_section(&wire, H2W_HEADERS, H2W_END_HEADERS, 3, H2W_POST);
	h2w_frame(&wire, H2W_DATA, H2W_END_STREAM, 3, "x", 1);
	feed_wire(s, &wire);
	assert_int_equal(s->n_heads, 1);
	assert_false(h2_session_in_section(s->session));
	side_close(s);
}

static void the_true_limit_is_told(void **state)
{
	struct side *s = server();
	struct h2_wire_frame frame;
	bool told = false;

	(void)state;
	say(s, H2_WRITE_MIN);
	assert_int_equal(said(s, H2W_SETTINGS, &frame), 1);
	for (uint32_t at = 0; at < frame.len; at += 6)
		if (frame.payload[at + 1] == 3) {
			assert_int_equal(h2w_number_of(&frame, at + 2), H2_STREAMS_MAX);
			told = true;
		}
	assert_true(told);
	side_close(s);
}

/* --- Memory. --------------------------------------------------------------------------------- */

/* A pool of any size: what does not fit ends the session, and all of it comes back. */
enum {
	FRAME_BUFFER = 20 << 10, /* nghttp2's, of which little is touched (block_pool.c), */
	IDLE_MAX = 7 << 10,      /* and all else: 6,608 bytes with nghttp2 1.64. */
};

/* Of the pool, when a request has been answered and nothing is under way. */
static void an_idle_session_holds_little(void **state)
{
	uint64_t before = h2_shared_stats(shared).used;
	struct side *s = server();

	(void)state;
	s->answer = 128;
	begin_wire();
	h2w_get(&wire, 1);
	feed_wire(s, &wire);
	say(s, 4096);
	wire.len = 0;
	h2w_frame(&wire, H2W_SETTINGS, H2W_ACK, 0, "", 0);
	feed_wire(s, &wire);
	assert_int_equal(s->n_heads, 1);
	assert_int_equal(s->n_open, 0);
	assert_false(h2_session_wants_write(s->session));
	assert_true(h2_shared_stats(shared).used - before <= FRAME_BUFFER + IDLE_MAX);
	side_close(s);
}

static void used_up_memory_ends_the_session(void **state)
{
	struct h2_shared *all = shared;

	(void)state;
	for (size_t size = 4096; size < 600000; size += size / 16) {
		struct side *s;

		assert_int_equal(h2_shared_create(size, &shared), 0);
		if (side_open(&sides[0], H2_SERVER) == 0) {
			s = &sides[0];
			s->answer = 5000;
			begin_wire();
			for (uint32_t i = 0; i < 100; i++)
				h2w_section(&wire, H2W_HEADERS, H2W_WHOLE, 1 + 2 * i,
					    H2W_GET "n: v\n");
			feed_wire(s, &wire);
			say(s, 4096);
			if (h2_session_is_over(s->session))
				assert_int_equal(h2_session_reason(s->session),
						 REASON_OVERLOAD_MEMORY);
			else
				assert_int_equal(s->n_heads, 100);
			side_close(s);
		}
		assert_int_equal(h2_shared_stats(shared).used, 0);
		h2_shared_destroy(shared);
	}
	shared = all;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_do_not_depend_on_cuts),
		cmocka_unit_test(malformed_requests_are_told_and_charged),
		cmocka_unit_test(spoilt_requests_are_told_and_charged),
		cmocka_unit_test(a_broken_connection_ends_with_a_word),
		cmocka_unit_test(what_does_not_speak_http2_gets_no_word_of_it),
		cmocka_unit_test(floods_are_ended),
		cmocka_unit_test(what_is_spread_over_time_is_no_flood),
		cmocka_unit_test(framing_without_payload_is_ended),
		cmocka_unit_test(messages_arrive_whole),
		cmocka_unit_test(nobody_gets_more_window_than_was_granted),
		cmocka_unit_test(window_comes_back_with_the_stream),
		cmocka_unit_test(a_long_download_is_no_overhead),
		cmocka_unit_test(a_stream_may_be_given_up_in_any_event),
		cmocka_unit_test(a_frame_that_waits_for_room_may_lose_its_stream),
		cmocka_unit_test(storms_are_survived),
		cmocka_unit_test(who_is_asked_to_go_may_finish),
		cmocka_unit_test(the_question_follows_the_request_to_go),
		cmocka_unit_test(streams_behind_the_last_word_are_not_looked_at),
		cmocka_unit_test(the_true_limit_is_told),
		cmocka_unit_test(an_idle_session_holds_little),
		cmocka_unit_test(used_up_memory_ends_the_session),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

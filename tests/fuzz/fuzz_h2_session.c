/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_h2_session.c - any bytes behind a sound beginning of an HTTP/2 connection, in
 * either role: events stay within what was begun, and all memory comes back.
 *
 * Input: one byte of choices (the role; how much is fed at a time; the room to write
 * into; whether streams are given up now and then), then the wire. The user answers
 * each request, or has asked four times, and grants what it is sent.
 */
#include <stdlib.h>

#include "core/http/h2_session.h"
#include "core/http/h2_write.h"

static const struct http_rewrite as_it_is;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { POOL = 4 << 20, STREAMS = 256, ASKED = 4, BODY = 40000 };

struct user {
	int32_t id;
	uint32_t left; /* Of the body to send. */
	bool open, in_ended, out_ended;
};

static struct run {
	struct h2_session *session;
	struct user users[STREAMS];
	uint32_t n_users, n_events;
	bool fickle;
	uint64_t now_ns;
	struct h2_block scratch, held;
} run;

static struct h2_shared *shared;

/* One event in five is the last of its stream. */
static bool gives_up(struct user *u)
{
	if (!run.fickle || ++run.n_events % 5 != 0)
		return false;
	u->open = false;
	h2_session_reset(run.session, u->id, H2_CODE_CANCEL);
	return true;
}

static void respond(struct user *u)
{
	static const struct h1_framing framing = { .body = HTTP_BODY_NONE };
	const struct http_head head = { .status = 200, .base = "" };
	char room[256];
	struct writer out = writer_make(room, sizeof(room));

	h2_write_response(&out, &head, SLICE("x-a: b\r\n"), &framing);
	u->left = u->id % 3 ? BODY : 0;
	h2_session_respond(run.session, u->id, writer_slice(&out), u->left == 0);
}

static void check_head(const struct http_head *head)
{
	for (uint32_t i = 0; i < head->n_fields; i++) {
		struct slice name = http_text(head, head->fields[i].name);
		struct slice value = http_text(head, head->fields[i].value);

		GW_ASSERT(name.len > 0 && !memchr(name.ptr, ':', name.len));
		GW_ASSERT(value.len == 0 || (!memchr(value.ptr, '\r', value.len) &&
					     !memchr(value.ptr, '\n', value.len) &&
					     !memchr(value.ptr, '\0', value.len)));
	}
}

static void on_head(void *owner, int32_t id, void *stream, struct http_head *head, bool end,
		    const struct http_refusal *refusal)
{
	struct user *u = stream;

	(void)owner;
	if (!u) {
		GW_ASSERT(run.session->role == H2_SERVER);
		if (run.n_users == STREAMS) {
			h2_session_reset(run.session, id, H2_CODE_REFUSED_STREAM);
			return;
		}
		u = &run.users[run.n_users++];
		*u = (struct user){ .id = id, .open = true };
		h2_session_attach(run.session, id, u);
	}
	GW_ASSERT(u->open && !u->in_ended);
	GW_ASSERT(head || refusal);
	if (head && !refusal)
		check_head(head);
	u->in_ended = end && (!head || head->status == 0 || head->status >= 200);
	if (refusal && run.session->role == H2_CLIENT) {
		u->open = false;
		h2_session_reset(run.session, u->id, H2_CODE_PROTOCOL_ERROR);
		return;
	}
	if (!gives_up(u) && run.session->role == H2_SERVER)
		respond(u);
}

static uint8_t on_method(void *owner, void *stream)
{
	(void)owner;
	return ((struct user *)stream)->id % 4 == 1 ? HTTP_HEAD : HTTP_GET;
}

static void on_data(void *owner, void *stream, const uint8_t *bytes, uint32_t len)
{
	struct user *u = stream;

	(void)owner;
	(void)bytes;
	GW_ASSERT(u->open && !u->in_ended);
	if (gives_up(u))
		h2_session_grant_connection(run.session, len);
	else
		h2_session_grant(run.session, u->id, len);
}

static void on_end(void *owner, void *stream, struct slice trailers)
{
	struct user *u = stream;

	(void)owner;
	GW_ASSERT(u->open && !u->in_ended);
	GW_ASSERT(trailers.len == 0 || trailers.ptr[trailers.len - 1] == '\n');
	u->in_ended = true;
	gives_up(u);
}

static void on_malformed(void *owner, void *stream, enum reason reason)
{
	struct user *u = stream;

	(void)owner;
	GW_ASSERT(u->open && reason != REASON_NONE);
	u->open = false;
	h2_session_attach(run.session, u->id, NULL);
}

static void on_closed(void *owner, void *stream, uint32_t code)
{
	struct user *u = stream;

	(void)owner;
	(void)code;
	GW_ASSERT(u->open);
	u->open = false;
}

static int32_t on_pull(void *owner, void *stream, uint32_t max, bool *ret_end,
		       struct slice *ret_trailers)
{
	struct user *u = stream;

	(void)owner;
	(void)ret_trailers;
	GW_ASSERT(u->open && !u->out_ended && max > 0);
	if (gives_up(u))
		return -1;
	*ret_end = u->left <= max;
	return (int32_t)(u->left < max ? u->left : max);
}

static void on_copy(void *owner, void *stream, uint8_t *to, uint32_t len)
{
	struct user *u = stream;

	(void)owner;
	GW_ASSERT(u->open && len <= u->left);
	memset(to, 'x', len);
	u->left -= len;
}

static void on_ended(void *owner, void *stream)
{
	struct user *u = stream;

	(void)owner;
	GW_ASSERT(u->open && !u->out_ended);
	u->out_ended = true;
}

static void on_gone(void *owner, int32_t last_id, uint32_t code)
{
	(void)owner;
	(void)last_id;
	(void)code;
}

static void on_pong(void *owner)
{
	(void)owner;
	h2_session_refuse_more(run.session);
}

static void on_error(void *owner, bool connection, uint32_t code)
{
	(void)owner;
	(void)connection;
	(void)code;
}

static const struct h2_events told = {
	.head = on_head,
	.method = on_method,
	.data = on_data,
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

static void ask(void)
{
	static const struct h1_framing framing = { .body = HTTP_BODY_NONE };
	struct http_head head = { .base = "POST/a", .method_text = { 0, 4 }, .path = { 4, 1 } };
	struct user *u = &run.users[run.n_users++];
	char room[256];
	struct writer out = writer_make(room, sizeof(room));

	head.host = (struct http_span){ 5, 1 };
	h2_write_request(&out, &head, SLICE("http"), &as_it_is, SLICE(""), &framing);
	*u = (struct user){ .open = true, .left = run.n_users % 2 ? BODY : 0 };
	u->id = h2_session_request(run.session, writer_slice(&out), u->left == 0, u);
	GW_ASSERT(u->id > 0);
}

/* Each piece in memory of its exact size. */
static void feed(const uint8_t *bytes, uint32_t len)
{
	bool held = h2_session_in_section(run.session);
	uint8_t *exact = malloc(len);

	GW_ASSERT(exact);
	memcpy(exact, bytes, len);
	run.now_ns += 100000;
	h2_session_feed(run.session, held ? &run.held : &run.scratch, exact, len, run.now_ns);
	if (!held && h2_session_in_section(run.session))
		h2_block_move(&run.held, &run.scratch);
	free(exact);
}

static void answer(uint32_t size)
{
	static uint8_t room[32768];

	while (h2_session_write(run.session, room, size) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char magic[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	static const uint8_t settings[9] = { 0, 0, 0, 4 };
	enum h2_role role;
	uint32_t piece, room;

	if (len < 2 || len > 65536)
		return 0;
	if (!shared && h2_shared_create(POOL, &shared) < 0)
		return 0;
	memset(&run, 0, offsetof(struct run, scratch));
	role = data[0] & 1 ? H2_CLIENT : H2_SERVER;
	piece = data[0] & 2 ? 1 + (data[0] >> 4) * 7u : 65536;
	room = data[0] & 4 ? H2_WRITE_MIN : 32768;
	run.fickle = data[0] & 8;
	run.now_ns = 1000000000;
	GW_ASSERT(h2_session_open(shared, role, false, &told, NULL, &run.session) == 0);
	for (int i = 0; role == H2_CLIENT && i < ASKED; i++)
		ask();
	if (role == H2_SERVER)
		feed((const uint8_t *)magic, sizeof(magic) - 1);
	feed(settings, sizeof(settings));
	answer(room);
	for (size_t at = 1; at < len; at += piece) {
		feed(data + at, piece < len - at ? piece : (uint32_t)(len - at));
		if (at / piece % 3 != 2) /* Now and then more comes than is answered. */
			answer(room);
	}
	answer(room);
	h2_session_close(run.session);
	GW_ASSERT(h2_shared_stats(shared).used == 0);
	return 0;
}

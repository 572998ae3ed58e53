/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/sealed.h"

#include <errno.h>

#include "core/base/clock.h"

/* Said in the clear to who speaks HTTP in the clear to us. */
static const char plain_answer[] = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n"
				   "content-type: application/json\r\ncontent-length: 40\r\n\r\n"
				   "{\"status\":400,\"reason\":\"plain_on_tls\"}\r\n";

#define AGAIN_NS      (5 * GW_NS_PER_MS)
#define LAST_WORDS_NS (1 * GW_NS_PER_S) /* For what is on its way, before a connection closes. */

static void pull(struct sealed *s);

/* --- Buffers. -------------------------------------------------------------------------------- */

static bool is_writing_below(const struct sealed *s)
{
	return s->inner.out.armed;
}

/* Somewhere for the engine to write, unless what it wrote last is still on its way. */
static bool make_room(struct sealed *s)
{
	if (is_writing_below(s))
		return false;
	if (!s->out) {
		s->out = ring_buf_take(s->inner.ring);
		if (!s->out)
			return false;
		tls_room(&s->tls, s->out->mem, s->out->size);
	}
	return true;
}

static void wait_for(struct sealed *s, uint64_t span_ns)
{
	ring_timer_set(s->inner.ring, &s->again, ring_now_ns(s->inner.ring) + span_ns);
}

static void starve(struct sealed *s)
{
	GW_COUNT_IF(true, "sealed_without_buffer");
	wait_for(s, AGAIN_NS);
}

static void drop_room(struct sealed *s)
{
	tls_room(&s->tls, NULL, 0);
	if (s->out)
		ring_buf_give(s->inner.ring, s->out);
	s->out = NULL;
}

/* What the engine has written goes out; true when there was something. Not behind our own end. */
static bool send_room(struct sealed *s)
{
	if (is_writing_below(s) || s->end_said || s->tls.out_len == 0)
		return is_writing_below(s);
	transport_write(&s->inner, s->out->mem, s->tls.out_len);
	tls_room(&s->tls, NULL, 0); /* Not to be touched until it is written. */
	return true;
}

static void drop_input(struct sealed *s)
{
	tls_give(&s->tls, NULL, 0);
	if (s->in)
		ring_buf_give(s->inner.ring, s->in);
	s->in = NULL;
}

static void drop_used_input(struct sealed *s)
{
	if (s->tls.in_len == 0)
		drop_input(s);
}

static void read_below(struct sealed *s, bool idle)
{
	if (!transport_is_reading(&s->inner))
		transport_read(&s->inner, idle);
	s->reads_below = true;
}

/* --- The handshake. -------------------------------------------------------------------------- */

/* Nobody asks for a server's: its name is right. */
static bool is_client(const struct sealed *s)
{
	return s->tls.client;
}

static void tell_shaken(struct sealed *s)
{
	int r = s->shaken == 0 && !is_client(s) ? tls_identity(&s->tls, &s->identity) : 0;

	s->shaking = false;
	s->identified = r > 0;
	if (r < 0)
		s->shaken = (int16_t)r;
	s->outer->user->connected(s->outer, s->shaken);
}

/* An alert, or a word in the clear, leaves before this is told. */
static void shake_failed(struct sealed *s, int r)
{
	s->failed = true;
	s->shaken = (int16_t)r;
	drop_input(s);
	if (!is_client(s) && tls_failure(&s->tls) == TLS_FAILURE_PLAIN_HTTP && make_room(s)) {
		GW_ASSERT(s->tls.out);
		memcpy(s->tls.out, plain_answer, sizeof(plain_answer) - 1);
		s->tls.out_len = sizeof(plain_answer) - 1;
	}
	if (!send_room(s))
		tell_shaken(s);
}

static void shake(struct sealed *s)
{
	int r;

	s->starved_out = !make_room(s) && !is_writing_below(s);
	if (s->starved_out)
		starve(s);
	if (s->starved_out || is_writing_below(s))
		return; /* Goes on when that is written. */
	r = tls_handshake(&s->tls);
	if (r < 0 && r != -EAGAIN && r != -ENOBUFS) {
		shake_failed(s, r);
		return;
	}
	drop_used_input(s);
	if (!send_room(s))
		drop_room(s);
	if (r == 0)
		tell_shaken(s);
	else if (r == -EAGAIN)
		read_below(s, true);
}

/* Its bytes are there, or its end. */
static void hello_came(struct sealed *s)
{
	if (turns_ask(s->turns, &s->turn))
		read_below(s, true);
}

void sealed_turn_comes(struct turn *turn)
{
	struct sealed *s = GW_CONTAINER_OF(turn, struct sealed, turn);

	read_below(s, true);
}

/* --- Reading. -------------------------------------------------------------------------------- */

static void tell_bytes(struct sealed *s, struct ring_buf *buf, int32_t res)
{
	struct transport *t = s->outer;

	t->reading = false;
	t->user->bytes(t, buf, res, s->tls.in_len > 0 || s->more);
}

/* Payload until the read is full or the engine has none; the engine's last word in *ret_last. */
static uint32_t fill(struct sealed *s, struct ring_buf *buf, int32_t *ret_last)
{
	uint32_t n = 0;

	do {
		*ret_last = tls_read(&s->tls, ring_buf_data(buf) + n, s->read_max - n);
		if (*ret_last > 0)
			n += (uint32_t)*ret_last;
	} while (*ret_last > 0 && n < s->read_max);
	buf->len = n;
	return n;
}

/* Told with the next read, if something came before the end. */
static void read_is_over(struct sealed *s, int32_t res)
{
	s->over = true;
	s->over_res = (int16_t)res;
}

/* Nothing of a payload came out of it. */
static void pulled_nothing(struct sealed *s, int32_t last)
{
	if (last == -EAGAIN) {
		read_below(s, s->read_idle);
	} else if (last == -ENOBUFS) {
		s->read_blocked = is_writing_below(s); /* Goes on when that is written. */
		if (s->read_blocked)
			return;
		s->starved_in = !make_room(s);
		if (s->starved_in)
			starve(s);
		else
			pull(s);
	} else {
		tell_bytes(s, NULL, s->over_res);
	}
}

static void pull(struct sealed *s)
{
	struct ring_buf *buf = ring_buf_take(s->inner.ring);
	int32_t last;
	uint32_t n;

	s->read_blocked = false;
	s->starved_in = !buf;
	if (s->starved_in) {
		starve(s);
		return;
	}
	(void)make_room(s); /* For an alert. */
	n = fill(s, buf, &last);
	if (last <= 0 && last != -EAGAIN && last != -ENOBUFS)
		read_is_over(s, last);
	drop_used_input(s);
	if (!send_room(s))
		drop_room(s);
	if (n > 0) {
		tell_bytes(s, buf, (int32_t)n);
		return;
	}
	ring_buf_give(s->inner.ring, buf);
	pulled_nothing(s, last);
}

/* --- Writing. -------------------------------------------------------------------------------- */

static void tell_written(struct sealed *s, int res)
{
	s->writing = false;
	s->outer->user->written(s->outer, res);
}

/* Another event must not come from inside the user's call: later, by a turn. */
static void fail_write(struct sealed *s, int error)
{
	s->outer->out_error = (int16_t)error;
	ring_soon(s->inner.ring, &s->outer->out);
}

static void push(struct sealed *s)
{
	int32_t n;

	if (is_writing_below(s))
		return; /* A ticket, say. It goes on behind that. */
	s->starved_out = !make_room(s);
	if (s->starved_out) {
		starve(s);
		return;
	}
	n = tls_write(&s->tls, s->data, s->data_len);
	if (n < 0) {
		fail_write(s, n == -ENOBUFS ? -ENOBUFS : -EPIPE);
		return;
	}
	s->data += n;
	s->data_len -= (uint32_t)n;
	(void)send_room(s);
}

/* --- Ends. ----------------------------------------------------------------------------------- */

/*
 * The end of our side, as the engine says it; false when it waits to be written. It may be all
 * that tells a whole body from a cut one, and the kernel is as good as full behind a long one.
 */
static bool say_end(struct sealed *s)
{
	bool can = !s->shaking && !s->failed && !s->writing && !s->end_said && make_room(s);
	uint32_t len, n;

	s->end_said = true;
	if (!can)
		return true;
	tls_end(&s->tls);
	len = s->tls.out_len;
	n = len > 0 ? ring_send_now(s->inner.ring, s->inner.file, s->out->mem, len) : 0;
	if (n == len) {
		drop_room(s);
		return true;
	}
	transport_write(&s->inner, s->out->mem + n, len - n);
	tls_room(&s->tls, NULL, 0);
	return false;
}

static void finish_below(struct sealed *s)
{
	s->finish_due = !say_end(s);
	if (!s->finish_due)
		transport_finish(&s->inner);
}

static void close_below(struct sealed *s, bool abort)
{
	s->close_due = !abort && !say_end(s);
	if (s->close_due) {
		wait_for(s, LAST_WORDS_NS);
		return;
	}
	ring_timer_cancel(s->inner.ring, &s->again);
	transport_close(&s->inner, abort);
}

/* A buffer may have come free; or what was on its way before the close takes too long. */
static void again(struct ring_timer *timer)
{
	struct sealed *s = GW_CONTAINER_OF(timer, struct sealed, again);

	if (s->close_due) {
		close_below(s, false);
		return;
	}
	if (s->starved_out && s->shaking)
		shake(s);
	else if (s->starved_out)
		push(s);
	if (s->starved_in && !s->outer->closing)
		pull(s);
}

/* --- What the transport below tells. --------------------------------------------------------- */

static struct sealed *sealed_below(struct transport *inner)
{
	return GW_CONTAINER_OF(inner, struct sealed, inner);
}

/* Only an end that is said is one (RFC 8446 6.1, RFC 9112 9.8). */
static void inner_ended(struct sealed *s, int32_t res)
{
	if (res == 0 && is_client(s))
		res = -ECONNABORTED;
	read_is_over(s, res);
	if (s->shaking)
		shake_failed(s, res < 0 ? res : -ECONNRESET);
	else
		tell_bytes(s, NULL, res);
}

/* Bytes that came before may still be read, and so a read may still find out how it ended. */
static void watch_broke(struct sealed *s, int32_t res)
{
	if (!s->outer->reading)
		tell_bytes(s, NULL, res);
}

static void note_first(struct sealed *s, const uint8_t *bytes, uint32_t len)
{
	while (len > 0 && s->n_first < HTTP_SPEECH_MAX) {
		s->first[s->n_first++] = (char)*bytes++;
		len--;
	}
}

static void inner_bytes(struct transport *inner, struct ring_buf *buf, int32_t res, bool more)
{
	struct sealed *s = sealed_below(inner);

	if (s->close_due) { /* Nobody hears it any more. */
		if (buf)
			ring_buf_give(inner->ring, buf);
		return;
	}
	if (!s->reads_below) {
		watch_broke(s, res);
		return;
	}
	s->reads_below = false;
	s->more = more;
	if (res <= 0) {
		inner_ended(s, res);
		return;
	}
	GW_ASSERT(!s->in);
	s->in = buf;
	if (s->shaking && is_client(s))
		note_first(s, ring_buf_data(buf), buf->len);
	tls_give(&s->tls, ring_buf_data(buf), buf->len);
	if (s->shaking)
		shake(s);
	else if (s->outer->reading)
		pull(s);
}

static void inner_written(struct transport *inner, int res)
{
	struct sealed *s = sealed_below(inner);

	drop_room(s);
	if (s->close_due) {
		close_below(s, false);
		return;
	}
	if (s->finish_due)
		finish_below(s);
	if (s->outer->out.armed) {
		return; /* How the user's write ends is known, and will be told. */
	} else if (s->failed) {
		tell_shaken(s);
	} else if (s->shaking) {
		if (res < 0)
			shake_failed(s, res);
		else
			shake(s);
	} else if (s->writing && s->data_len > 0 && res == 0) {
		push(s);
	} else {
		if (s->writing)
			tell_written(s, res);
		if (s->read_blocked && !s->outer->closing && !is_writing_below(s))
			pull(s);
	}
}

/* Of the client's side only: it speaks first. */
static void inner_connected(struct transport *inner, int res)
{
	struct sealed *s = sealed_below(inner);

	s->reached = res == 0;
	if (res < 0)
		shake_failed(s, res);
	else
		shake(s);
}

/* All is quiet below; what was to come soon may still be due. */
static void end_if_quiet(struct sealed *s)
{
	struct transport *t = s->outer;

	if (s->tls.ssl || t->in.armed || t->out.armed)
		return;
	t->user->closed(t);
}

static void inner_closed(struct transport *inner)
{
	struct sealed *s = sealed_below(inner);

	drop_room(s);
	tls_close(&s->tls);
	tls_identity_free(&s->identity);
	end_if_quiet(s);
}

static const struct transport_user inner_user = {
	.bytes = inner_bytes,
	.written = inner_written,
	.connected = inner_connected,
	.closed = inner_closed,
};

/* --- What the user asks for. ----------------------------------------------------------------- */

static void in_answered(struct ring_op *op, const struct ring_answer *answer)
{
	struct transport *t = GW_CONTAINER_OF(op, struct transport, in);

	(void)answer;
	if (t->closing)
		end_if_quiet(t->sealed);
	else if (t->sealed->shaking)
		hello_came(t->sealed);
	else if (t->sealed->over)
		tell_bytes(t->sealed, NULL, t->sealed->over_res);
	else
		pull(t->sealed);
}

static void written_soon(struct ring_op *op, const struct ring_answer *answer)
{
	struct transport *t = GW_CONTAINER_OF(op, struct transport, out);

	(void)answer;
	if (t->closing)
		end_if_quiet(t->sealed);
	else
		tell_written(t->sealed, t->out_error);
}

static void sealed_connect(struct transport *t, const struct ring_addr *addr)
{
	GW_ASSERT(!t->closing && is_client(t->sealed) && !t->sealed->reached);
	transport_connect(&t->sealed->inner, addr);
}

static void sealed_read(struct transport *t, uint32_t len_max, bool idle)
{
	struct sealed *s = t->sealed;

	GW_ASSERT(!t->closing && !t->reading && !s->shaking);
	t->reading = true;
	s->read_max = len_max;
	s->read_idle = idle;
	if (s->over || tls_has_input(&s->tls))
		ring_soon(s->inner.ring, &t->in);
	else
		read_below(s, idle);
}

static void sealed_watch(struct transport *t)
{
	GW_ASSERT(!t->closing && !t->reading);
	if (!transport_is_reading(&t->sealed->inner))
		transport_watch(&t->sealed->inner);
}

static void sealed_write(struct transport *t, const void *data, uint32_t len)
{
	struct sealed *s = t->sealed;

	GW_ASSERT(!t->closing && !s->writing && !s->shaking && len > 0);
	s->writing = true;
	s->data = data;
	s->data_len = len;
	push(s);
}

static void sealed_fail(struct transport *t, int error)
{
	GW_ASSERT(!t->closing && !t->sealed->writing && error <= 0);
	t->sealed->writing = true;
	fail_write(t->sealed, error);
}

static int32_t sealed_raw_file(const struct transport *t)
{
	(void)t;
	return -1;
}

/* Behind what the engine has on its way, or now. */
static void sealed_finish(struct transport *t)
{
	struct sealed *s = t->sealed;

	s->finish_due = is_writing_below(s);
	if (!s->finish_due)
		finish_below(s);
}

static void sealed_close(struct transport *t, bool abort)
{
	struct sealed *s = t->sealed;

	if (t->closing)
		return;
	t->closing = true;
	t->file = -1;
	if (s->turns)
		turns_leave(s->turns, &s->turn);
	drop_input(s);
	s->close_due = !abort && !s->writing && !s->shaking && is_writing_below(s);
	if (s->close_due)
		wait_for(s, LAST_WORDS_NS);
	else
		close_below(s, abort);
}

static const struct transport_ops sealed_ops = {
	.connect = sealed_connect,
	.read = sealed_read,
	.watch = sealed_watch,
	.write = sealed_write,
	.fail = sealed_fail,
	.raw_file = sealed_raw_file,
	.finish = sealed_finish,
	.close = sealed_close,
};

/* Over an engine that is there. */
static void begin(struct transport *t, struct sealed *s, const struct transport_user *user,
		  struct ring *ring, int32_t file)
{
	*t = (struct transport){
		.ops = &sealed_ops, .user = user, .ring = ring, .file = file, .sealed = s
	};
	ring_op_init(&t->in, in_answered);
	ring_op_init(&t->out, written_soon);
	ring_timer_init(&s->again, again);
	clear_init(&s->inner, &inner_user, ring, file);
}

int sealed_accept(struct transport *t, struct sealed *s, const struct transport_user *user,
		  struct turns *turns, int32_t file, struct tls_server *server)
{
	*s = (struct sealed){ .outer = t, .shaking = true, .reached = true, .turns = turns };
	if (tls_open(&s->tls, server) < 0)
		return -ENOMEM;
	begin(t, s, user, turns->ring, file);
	ring_poll(turns->ring, &t->in, file, RING_READABLE);
	return 0;
}

int sealed_dial(struct transport *t, struct sealed *s, const struct transport_user *user,
		struct ring *ring, int32_t file, const struct tls_peer *peer)
{
	*s = (struct sealed){ .outer = t, .shaking = true };
	if (tls_dial(&s->tls, peer) < 0)
		return -ENOMEM;
	begin(t, s, user, ring, file);
	return 0;
}

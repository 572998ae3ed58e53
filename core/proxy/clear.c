/* SPDX-License-Identifier: Apache-2.0 */
/* The clear transport: a socket as it is. */
#include "core/proxy/transport.h"

#include <errno.h>

#include "ring/ring_pipe.h"

static bool is_quiet(const struct transport *t)
{
	return !t->in.armed && !t->out.armed;
}

/* After close, the last final answer ends the transport. */
static bool swallow(struct transport *t, struct ring_buf *buf)
{
	if (!t->closing)
		return false;
	if (buf)
		ring_buf_give(t->ring, buf);
	if (is_quiet(t))
		t->user->closed(t);
	return true;
}

static void receive(struct transport *t, uint32_t len_max, bool idle)
{
	if (len_max < RING_BUF_DATA)
		ring_recv_first(t->ring, &t->in, t->file, len_max);
	else
		ring_recv(t->ring, &t->in, t->file, idle);
}

/* Whatever ended it: a read that waits for its place tells more. */
static void watch_answered(struct transport *t)
{
	t->watching = false;
	if (!t->read_next) {
		t->user->bytes(t, NULL, -ECONNRESET, false);
		return;
	}
	t->read_next = false;
	receive(t, t->read_len, t->read_idle);
}

static void in_answered(struct ring_op *op, const struct ring_answer *answer)
{
	struct transport *t = GW_CONTAINER_OF(op, struct transport, in);

	if (swallow(t, answer->buf))
		return;
	if (t->watching) {
		watch_answered(t);
		return;
	}
	t->reading = false;
	t->user->bytes(t, answer->buf, answer->res, answer->nonempty);
}

static void out_answered(struct ring_op *op, const struct ring_answer *answer)
{
	struct transport *t = GW_CONTAINER_OF(op, struct transport, out);
	bool connecting = t->connecting;

	t->connecting = false;
	if (swallow(t, NULL))
		return;
	if (connecting)
		t->user->connected(t, answer->res);
	else if (t->out_error)
		t->user->written(t, t->out_error);
	else if (answer->res == (int32_t)t->out_len)
		t->user->written(t, 0);
	else /* Short: cut off by an error that the next call would have shown. */
		t->user->written(t, answer->res < 0 ? answer->res : -EPIPE);
}

static void clear_connect(struct transport *t, const struct ring_addr *addr)
{
	GW_ASSERT(!t->closing && !t->out.armed);
	t->connecting = true;
	ring_connect(t->ring, &t->out, t->file, addr);
}

static void clear_read(struct transport *t, uint32_t len_max, bool idle)
{
	GW_ASSERT(!t->closing && !transport_is_reading(t));
	t->reading = true;
	if (!t->in.armed) {
		receive(t, len_max, idle);
		return;
	}
	t->read_next = true;
	t->read_len = len_max;
	t->read_idle = idle;
	ring_cancel(t->ring, &t->in);
}

static void clear_watch(struct transport *t)
{
	GW_ASSERT(!t->closing && !transport_is_reading(t));
	if (t->watching)
		return;
	t->watching = true;
	ring_poll(t->ring, &t->in, t->file, RING_BROKEN);
}

static void clear_write(struct transport *t, const void *data, uint32_t len)
{
	GW_ASSERT(!t->closing && !t->out.armed && len > 0);
	t->out_len = len;
	ring_send(t->ring, &t->out, t->file, data, len);
}

static void clear_fail(struct transport *t, int error)
{
	GW_ASSERT(!t->closing && !t->out.armed && error <= 0);
	t->out_error = (int16_t)error;
	t->out_len = 0;
	ring_soon(t->ring, &t->out);
}

static int32_t clear_raw_file(const struct transport *t)
{
	return t->file;
}

static void clear_finish(struct transport *t)
{
	ring_shutdown_send(t->ring, t->file);
}

static void clear_close(struct transport *t, bool abort)
{
	if (t->closing)
		return;
	t->closing = true;
	if (abort)
		ring_abort_on_close(t->ring, t->file);
	ring_close(t->ring, t->file);
	t->file = -1;
	if (is_quiet(t)) /* 'closed' must not come from inside this call. */
		ring_soon(t->ring, &t->in);
}

static const struct transport_ops clear_ops = {
	.connect = clear_connect,
	.read = clear_read,
	.watch = clear_watch,
	.write = clear_write,
	.fail = clear_fail,
	.raw_file = clear_raw_file,
	.finish = clear_finish,
	.close = clear_close,
};

void clear_init(struct transport *t, const struct transport_user *user, struct ring *ring,
		int32_t file)
{
	GW_ASSERT(file >= 0);
	*t = (struct transport){ .ops = &clear_ops, .user = user, .ring = ring, .file = file };
	ring_op_init(&t->in, in_answered);
	ring_op_init(&t->out, out_answered);
}

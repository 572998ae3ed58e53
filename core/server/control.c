/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client has one operation armed at a time: it is read from until a frame is whole, then the
 * frame is answered, and nothing more is read until the reply is with the kernel. So a client can
 * make us hold one frame and one reply, and requests are answered in order by themselves.
 *
 * A long frame is read by a job, and a command may answer later. Both are waited for with nothing
 * armed and without a deadline (WAITING); whether the client has hung up meanwhile shows when it is
 * answered.
 *
 * A client that has violated the protocol gets one last reply and is closed (LAST_WORDS, GONE). One
 * that keeps us waiting in the middle of a frame is STALLED until its receive is called back, as
 * the last words need the operation. GONE waits for the final answer of whatever was armed, then
 * the memory is freed.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/server/control.h"
#include "core/server/control_group.h"
#include "core/server/control_request.h"
#include "core/server/jobs.h"
#include "ring/ring.h"
#include "ring/ring_buf.h"
#include "ring/ring_net.h"

enum {
	LENGTH_SIZE = 4,
	SHORT = 64 * 1024,                           /* A frame that is read at once. */
	SMALL = LENGTH_SIZE + SHORT + RING_BUF_DATA, /* Room that every client has. */
	CLIENTS_TURNED_AWAY = 4, /* Beyond as many as there may be: they are told so. */
};

#define PATIENCE_NS (5 * GW_NS_PER_S)
#define SILENCE_NS  (60 * GW_NS_PER_S)
#define RETRY_NS    (1 * GW_NS_PER_S)

/* clang-format off */
/*        name        may be followed by */
#define CLIENT_STATES(X)                                                                   \
	X(READING,    TO(SENDING) | TO(WAITING) | TO(STALLED) | TO(LAST_WORDS) | TO(GONE)) \
	X(STALLED,    TO(LAST_WORDS) | TO(GONE))                                           \
	X(WAITING,    TO(WAITING) | TO(SENDING) | TO(LAST_WORDS) | TO(GONE))               \
	X(SENDING,    TO(READING) | TO(SENDING) | TO(WAITING) | TO(LAST_WORDS) | TO(GONE)) \
	X(LAST_WORDS, TO(GONE))                                                            \
	X(GONE,       0)
/* clang-format on */

enum client_state {
#define X(name, next) CLIENT_##name,
	CLIENT_STATES(X)
#undef X
};

#define TO(name) (1u << CLIENT_##name)
static const uint32_t may_follow[] = {
#define X(name, next) [CLIENT_##name] = (next),
	CLIENT_STATES(X)
#undef X
};
#undef TO

struct control_client {
	struct control *control;
	struct list_node link;
	enum client_state state;
	uid_t uid;
	int32_t file;
	struct ring_op io;
	struct ring_timer timer;
	char *in, *out; /* One receive beyond a frame; a reply. */
	uint32_t in_len, in_size, out_len, out_size;
	uint64_t begun_ns;              /* When the frame began to come. */
	struct job reading;             /* The request, from a long frame. */
	struct control_request request; /* That is being answered. */
	uint64_t receive_ns;            /* Of its frame. */
};

struct control {
	struct ring *ring;
	struct control_options opt;
	char path[CONTROL_PATH_MAX];
	bool closing;
	int32_t listener;
	struct ring_op accept;
	struct ring_timer retry; /* When accepting was ended by a shortage. */
	struct list_counted clients;
	struct control_client *asking; /* Whose command runs; or NULL. */
	struct control_client *large;  /* Who says more than SMALL: one at a time; or NULL. */
	struct control_group group;
};

/* --- Who may -------------------------------------------------------------------------------- */

static bool may_ask(const struct control *ctl, uid_t uid, gid_t gid)
{
	return uid == 0 || uid == geteuid() || control_group_has(&ctl->group, uid, gid);
}

/* --- Memory --------------------------------------------------------------------------------- */

static bool resize(char **bytes, uint32_t *size, uint32_t wanted)
{
	char *moved = wanted == *size ? *bytes : realloc(*bytes, wanted);

	if (!moved)
		return false;
	*bytes = moved;
	*size = wanted;
	return true;
}

/* For a frame of that length. 0; -EBUSY: somebody else's is as large; or -ENOMEM. */
static int make_room(struct control_client *client, uint32_t len)
{
	struct control *ctl = client->control;
	uint32_t size = LENGTH_SIZE + len + RING_BUF_DATA;

	if (size <= client->in_size)
		return 0;
	if (ctl->large && ctl->large != client)
		return -EBUSY;
	if (!resize(&client->in, &client->in_size, size))
		return -ENOMEM;
	ctl->large = client;
	return 0;
}

/* The large frame is answered. What came behind it is shorter than a receive. */
static void give_room(struct control_client *client)
{
	if (client->control->large != client)
		return;
	GW_ASSERT(client->in_len <= SMALL);
	if (resize(&client->in, &client->in_size, SMALL))
		client->control->large = NULL;
}

static void free_memory(struct control_client *client)
{
	if (client->control->large == client)
		client->control->large = NULL;
	control_request_free(&client->request);
	free(client->in);
	free(client->out);
	free(client);
}

/* A reply in the making, behind the room for its length. */
static struct pack begin_reply(struct control_client *client, uint32_t room)
{
	/* Without memory for a long one, those that are too long for what there is are refused. */
	(void)resize(&client->out, &client->out_size, LENGTH_SIZE + CONTROL_REPLY_MAX + room);
	return pack_make(client->out + LENGTH_SIZE, client->out_size - LENGTH_SIZE);
}

static void end_reply(struct control_client *client, const struct pack *p)
{
	uint32_t len = (uint32_t)writer_len(&p->w);

	GW_ASSERT(!p->w.overflow);
	for (int i = 0; i < LENGTH_SIZE; i++)
		client->out[i] = (char)(len >> (24 - 8 * i));
	client->out_len = LENGTH_SIZE + len;
}

/* --- A client ------------------------------------------------------------------------------- */

static void client_enter(struct control_client *client, enum client_state next);

static void free_control_if_done(struct control *ctl)
{
	if (!ctl->closing || ctl->accept.armed || ctl->clients.n)
		return;

	control_closed_fn *closed = ctl->opt.closed;
	void *owner = ctl->opt.owner;

	free(ctl);
	if (closed)
		closed(owner);
}

static void free_client(struct control_client *client)
{
	struct control *ctl = client->control;

	GW_ASSERT(client->state == CLIENT_GONE && !client->io.armed);
	list_counted_remove(&ctl->clients, &client->link);
	free_memory(client);
	free_control_if_done(ctl);
}

static uint64_t patience_ns(const struct control_client *client)
{
	return client->control->opt.patience_ns ? client->control->opt.patience_ns : PATIENCE_NS;
}

static uint32_t frame_len(const struct control_client *client)
{
	uint32_t len = 0;

	for (int i = 0; i < LENGTH_SIZE; i++)
		len = len << 8 | (unsigned char)client->in[i];
	return len;
}

static void last_words(struct control_client *client, const char *code, const char *message)
{
	struct pack p = begin_reply(client, 0);

	control_request_refuse(&p, code, message);
	end_reply(client, &p);
	client_enter(client, CLIENT_LAST_WORDS);
}

/* The frame has its reply, and makes room for what came behind it. */
static void reply(struct control_client *client, const struct pack *p, enum client_state next)
{
	uint32_t len = LENGTH_SIZE + frame_len(client);

	end_reply(client, p);
	control_request_free(&client->request);
	client->in_len -= len;
	memmove(client->in, client->in + len, client->in_len);
	give_room(client);
	client_enter(client, next);
}

static void answer_request(struct control_client *client)
{
	struct control *ctl = client->control;
	const struct control_options *opt = &ctl->opt;
	struct pack p = begin_reply(client, opt->reply_extra ? opt->reply_extra(opt->owner) : 0);
	int r;

	ctl->asking = client;
	r = control_request_answer(opt, &client->request, &p);
	ctl->asking = NULL;
	if (r == CONTROL_LATER)
		client_enter(client, CLIENT_WAITING);
	else
		reply(client, &p, r < 0 ? CLIENT_LAST_WORDS : CLIENT_SENDING);
}

static void read_frame(struct job *job)
{
	struct control_client *client = GW_CONTAINER_OF(job, struct control_client, reading);

	control_request_read(slice_make(client->in + LENGTH_SIZE, frame_len(client)),
			     &client->request);
}

static void frame_read(struct job *job)
{
	answer_request(GW_CONTAINER_OF(job, struct control_client, reading));
}

static void answer_frame(struct control_client *client)
{
	struct jobs *jobs = client->control->opt.jobs;

	client->receive_ns = gw_now_ns() - client->begun_ns;
	client->begun_ns += client->receive_ns; /* Of the next, which may be here. */
	client->reading = (struct job){ read_frame, frame_read };
	if (jobs && frame_len(client) > SHORT && jobs_give(jobs, &client->reading) == 0) {
		client_enter(client, CLIENT_WAITING);
		return;
	}
	read_frame(&client->reading);
	answer_request(client);
}

void control_answer(struct control_client *client, control_command_fn *run, void *owner,
		    uint32_t room)
{
	struct pack p = begin_reply(client, room);

	GW_ASSERT(client->state == CLIENT_WAITING);
	control_request_finish(&client->request, run, owner, &p);
	reply(client, &p, CLIENT_SENDING);
}

/* Answers the next frame if it is there, else reads on. */
static void go_on(struct control_client *client)
{
	uint32_t len;
	int r;

	if (client->in_len < LENGTH_SIZE) {
		client_enter(client, CLIENT_READING);
		return;
	}
	len = frame_len(client);
	if (len == 0 || len > CONTROL_FRAME_MAX) {
		last_words(client, "too_large", "a frame has 1 to 33554432 bytes");
		return;
	}
	r = make_room(client, len);
	if (r < 0) {
		last_words(client, "busy",
			   r == -EBUSY ? "another client's large request is under way; try again"
				       : "no memory for so large a request");
		return;
	}
	if (client->in_len < LENGTH_SIZE + len) {
		client_enter(client, CLIENT_READING);
		return;
	}
	answer_frame(client);
}

/* The only way to change state: checks the edge, then does the entry's work. */
static void client_enter(struct control_client *client, enum client_state next)
{
	struct ring *ring = client->control->ring;
	uint64_t now_ns = ring_now_ns(ring);

	/* Reading goes on as reading: the frame's deadline stands. */
	if (client->state == CLIENT_READING && next == CLIENT_READING) {
		ring_recv(ring, &client->io, client->file, false);
		return;
	}
	GW_ASSERT(may_follow[client->state] & (1u << next));
	client->state = next;
	switch (next) {
	case CLIENT_READING:
		ring_recv(ring, &client->io, client->file, client->in_len == 0);
		ring_timer_set(ring, &client->timer,
			       now_ns + (client->in_len ? patience_ns(client) : SILENCE_NS));
		break;
	case CLIENT_SENDING:
	case CLIENT_LAST_WORDS:
		ring_send(ring, &client->io, client->file, client->out, client->out_len);
		ring_timer_set(ring, &client->timer, now_ns + patience_ns(client));
		break;
	case CLIENT_STALLED:
		ring_cancel(ring, &client->io);
		break;
	case CLIENT_WAITING:
		ring_timer_cancel(ring, &client->timer);
		break;
	case CLIENT_GONE:
		ring_timer_cancel(ring, &client->timer);
		ring_close(ring, client->file);
		if (!client->io.armed)
			free_client(client);
		break;
	}
}

static void on_input(struct control_client *client, const struct ring_answer *answer)
{
	struct control *ctl = client->control;
	bool was_empty = client->in_len == 0;

	if (answer->res > 0) {
		GW_ASSERT(client->in_len + (uint32_t)answer->res <= client->in_size);
		memcpy(client->in + client->in_len, ring_buf_data(answer->buf),
		       (size_t)answer->res);
		client->in_len += (uint32_t)answer->res;
		ring_buf_give(ctl->ring, answer->buf);
		if (was_empty) { /* The whole frame has from now on. */
			client->begun_ns = gw_now_ns();
			ring_timer_set(ctl->ring, &client->timer,
				       ring_now_ns(ctl->ring) + patience_ns(client));
		}
		go_on(client);
	} else if (answer->res == 0 && client->in_len) {
		last_words(client, "truncated", "the frame is shorter than it said");
	} else {
		client_enter(client, CLIENT_GONE);
	}
}

static void on_answer(struct ring_op *op, const struct ring_answer *answer)
{
	struct control_client *client = GW_CONTAINER_OF(op, struct control_client, io);

	GW_ASSERT(!answer->more);
	switch (client->state) {
	case CLIENT_READING:
		on_input(client, answer);
		break;
	case CLIENT_SENDING:
		if (answer->res == (int32_t)client->out_len)
			go_on(client);
		else
			client_enter(client, CLIENT_GONE);
		break;
	case CLIENT_LAST_WORDS:
		client_enter(client, CLIENT_GONE);
		break;
	case CLIENT_STALLED:
		if (answer->buf) /* It came, but too late. */
			ring_buf_give(client->control->ring, answer->buf);
		last_words(client, "timeout", "the rest of the frame did not come");
		break;
	case CLIENT_GONE:
		if (answer->buf)
			ring_buf_give(client->control->ring, answer->buf);
		free_client(client);
		break;
	case CLIENT_WAITING: /* Nothing is armed. */
		GW_UNREACHABLE();
	}
}

static void on_timeout(struct ring_timer *timer)
{
	struct control_client *client = GW_CONTAINER_OF(timer, struct control_client, timer);

	client_enter(client, client->state == CLIENT_READING && client->in_len ? CLIENT_STALLED
									       : CLIENT_GONE);
}

static struct control_client *make_client(struct control *ctl)
{
	struct control_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->control = ctl;
	if (resize(&client->in, &client->in_size, SMALL) &&
	    resize(&client->out, &client->out_size, LENGTH_SIZE + CONTROL_REPLY_MAX))
		return client;
	free_memory(client);
	return NULL;
}

/* One more client, and this one; also a few who are only told that there are too many. */
static bool admit(struct control *ctl, uid_t uid, gid_t gid)
{
	if (may_ask(ctl, uid, gid))
		return ctl->clients.n < CONTROL_CLIENTS_MAX + CLIENTS_TURNED_AWAY;
	if (ctl->opt.denied)
		ctl->opt.denied(ctl->opt.owner, uid, gid);
	return false;
}

static void on_connection(struct control *ctl, int32_t file)
{
	struct control_client *client;
	uid_t uid;
	gid_t gid;

	if (ctl->closing || ring_peer_cred(ctl->ring, file, &uid, &gid) < 0 ||
	    !admit(ctl, uid, gid)) {
		ring_close(ctl->ring, file);
		return;
	}
	client = make_client(ctl);
	if (!client) {
		ring_close(ctl->ring, file);
		return;
	}
	client->uid = uid;
	client->file = file;
	client->state = CLIENT_SENDING; /* As after a reply: reading is entered next. */
	ring_op_init(&client->io, on_answer);
	ring_timer_init(&client->timer, on_timeout);
	list_counted_push_back(&ctl->clients, &client->link);
	if (ctl->clients.n <= CONTROL_CLIENTS_MAX)
		client_enter(client, CLIENT_READING);
	else
		last_words(client, "busy", "16 others are connected; try again");
}

/* --- The listener --------------------------------------------------------------------------- */

static void on_accept(struct ring_op *op, const struct ring_answer *answer)
{
	struct control *ctl = GW_CONTAINER_OF(op, struct control, accept);

	if (answer->res >= 0)
		on_connection(ctl, answer->res);
	if (answer->more)
		return;
	if (ctl->closing)
		free_control_if_done(ctl);
	else if (answer->res >= 0)
		ring_accept(ctl->ring, &ctl->accept, ctl->listener);
	else /* No descriptors or memory: not a moment to try at once. */
		ring_timer_set(ctl->ring, &ctl->retry, ring_now_ns(ctl->ring) + RETRY_NS);
}

static void on_retry(struct ring_timer *timer)
{
	struct control *ctl = GW_CONTAINER_OF(timer, struct control, retry);

	ring_accept(ctl->ring, &ctl->accept, ctl->listener);
}

static int listen_at(struct control *ctl)
{
	struct ring_listen how = { .backlog = CONTROL_CLIENTS_MAX, .mode = 0660, .group = -1 };
	struct ring_addr addr;
	char text[CONTROL_PATH_MAX + 8];
	struct writer w = writer_make(text, sizeof(text));

	writer_lit(&w, "unix:");
	writer_put(&w, slice_of(ctl->path));
	if (w.overflow || ring_addr_parse(writer_slice(&w), &addr) < 0)
		return -ENAMETOOLONG;
	if (ctl->group.is_set)
		how.group = (int)ctl->group.gid;
	return ring_listen(ctl->ring, &addr, &how, &ctl->listener);
}

int control_open(struct ring *ring, const struct control_options *opt, struct control **ret_control)
{
	struct control *ctl;
	int r;

	GW_ASSERT(opt->status);
	if (opt->path.len == 0 || opt->path.len >= CONTROL_PATH_MAX)
		return -ENAMETOOLONG;
	ctl = calloc(1, sizeof(*ctl));
	if (!ctl)
		return -ENOMEM;
	ctl->ring = ring;
	ctl->opt = *opt;
	memcpy(ctl->path, opt->path.ptr, opt->path.len);
	list_counted_init(&ctl->clients);
	ring_op_init(&ctl->accept, on_accept);
	ring_timer_init(&ctl->retry, on_retry);
	r = control_group_find(opt->group, &ctl->group);
	if (r == 0)
		r = listen_at(ctl);
	if (r < 0) {
		free(ctl);
		return r;
	}
	ring_accept(ring, &ctl->accept, ctl->listener);
	*ret_control = ctl;
	return 0;
}

struct control_client *control_asking(const struct control *ctl)
{
	GW_ASSERT(ctl->asking);
	return ctl->asking;
}

uid_t control_uid(const struct control_client *client)
{
	return client->uid;
}

uint64_t control_receive_ns(const struct control *ctl)
{
	return control_asking(ctl)->receive_ns;
}

void control_close(struct control *ctl)
{
	GW_ASSERT(!ctl->closing);
	(void)unlink(ctl->path); /* Gone already is gone. */
	ring_timer_cancel(ctl->ring, &ctl->retry);
	ring_close(ctl->ring, ctl->listener);
	list_each(node, &ctl->clients.list)
	{
		struct control_client *client = list_entry(node, struct control_client, link);

		if (client->state != CLIENT_GONE)
			client_enter(client, CLIENT_GONE);
	}
	ctl->closing = true; /* Only now: nothing above may free the control. */
	free_control_if_done(ctl);
}

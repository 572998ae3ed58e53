/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange.h - one request and its response, from judgement to account.
 *
 * It holds a client stream and an upstream stream and nothing of their
 * connections. Its two directions run independently; each moves body bytes by
 * copy (credit and 'sent') or, where both sides can, by splice (relay.h).
 *
 *     exchange.c       life: open, states, end
 *     exchange_judge.c the request: judged, and encoded or answered
 *     exchange_queue.c its head is kept until its token's turn comes
 *     exchange_up.c    sent, tried again
 *     exchange_down.c  the response: passed on, or an answer of our own
 *     exchange_body.c  body bytes of either direction, a tunnel's as well
 *     exchange_wait.c  deadlines: whom it waits for, in each state
 *
 * Every event ends in exchange_settle(), the one place that finishes it, so
 * nothing here is freed while one of its functions is on the stack.
 *
 * Threads: the worker's.
 */
#pragma once

#include "core/proxy/account.h"
#include "core/proxy/deadline.h"
#include "core/proxy/exchange_wait.h"
#include "core/proxy/handling.h"
#include "core/proxy/limits.h"
#include "core/proxy/relay.h"
#include "core/proxy/stream.h"
#include "core/proxy/turns.h"
#include "core/proxy/upstream.h"
#include "policy/decide.h"

struct proxy;
struct tls_identity;

/* clang-format off */
#define EXCHANGE_STATES(X) \
	X(JUDGING, TO(QUEUED) | TO(CONNECTING) | TO(REPLYING) | TO(OVER))       \
	X(QUEUED, TO(CONNECTING) | TO(REPLYING) | TO(OVER))                     /* For its token's turn. */ \
	X(CONNECTING, TO(SENDING) | TO(REPLYING) | TO(OVER))                    /* For an upstream stream. */ \
	X(SENDING, TO(RESPONDING) | TO(TUNNEL) | TO(CONNECTING) | TO(REPLYING) | TO(OVER)) /* Until the response's head. */ \
	X(RESPONDING, TO(OVER))                                                 \
	X(TUNNEL, TO(ENDING) | TO(OVER))                                        /* Behind a 101: bytes, until both sides end. */ \
	X(ENDING, TO(OVER))                                                     /* We end it: both sides are told so. */ \
	X(REPLYING, TO(OVER))                                                   /* Our own answer. */ \
	X(OVER, 0)                                                              /* Waits for its relays' last answers. */
/* clang-format on */

enum exchange_state {
#define X(name, next) EXCHANGE_##name,
	EXCHANGE_STATES(X)
#undef X
		EXCHANGE_N_STATES
};

enum {
	EXCHANGE_TEXT = 3072,
	EXCHANGE_CHALLENGE = POLICY_SCOPES_MAX * (POLICY_NAME_MAX + 1) + 80,
	EXCHANGE_NARROW = RING_BUF_DATA, /* As much is received at once. */
	EXCHANGE_WINDOW =
		2 * RING_BUF_DATA, /* Bytes of one direction that are granted at a time; */
	EXCHANGE_TUNNEL_WINDOW =
		RING_BUF_DATA, /* of a tunnel: nothing is read while it is decided how to go on. */
};

/* One direction of body bytes, from one stream to the other. */
struct exchange_flow {
	struct relay relay;
	uint64_t length;    /* Announced, or UINT64_MAX. */
	uint64_t in;        /* Bytes that came, */
	uint64_t waiting;   /* of them held or given to the sink, and not sent yet. */
	uint64_t owed;      /* A tunnel's: sent, and not granted again while it is spliced. */
	uint64_t looked_ns; /* When patience was last looked at: exchange_wait.c. */
	struct exchange_patience source, sink;
	uint8_t wait; /* enum exchange_wait. */
	bool ended;   /* The source's message is complete. */
	bool sent;    /* All of it, its end included, has left. */
	bool begun;   /* Its head was submitted to the sink. */
	bool open;    /* Credit or raw was decided: bytes flow. */
	bool more;    /* Bytes were waiting behind the last ones that came. */
	bool narrow;  /* Less than a window was granted until the sink has taken something. */
	bool stuck;   /* The relay holds bytes that the sink does not take. */
};

struct exchange {
	struct proxy *proxy;
	struct stream *client;   /* NULL once released or reset. */
	struct stream *upstream; /* NULL before there is one and after. */
	struct stream *released; /* The client's, when it is to be released. */
	struct upstream_call call;
	struct exchange_flow up, down;
	struct deadline deadline;
	uint64_t until_ns; /* The client gave it so long; DEADLINE_NEVER: it did not say. */
	struct turn turn;  /* QUEUED; */
	struct exchange_queued *queued; /* else NULL. */
	struct verdict verdict;
	struct account account;
	const struct codec *form;      /* Whose form the request was given. */
	struct stream_message request; /* As encoded; its slices are not used again. */
	struct list held;              /* Body buffers that wait for an upstream stream, */
	struct ring_buf *trailers;     /* and trailers that do. */
	struct head_block *block;      /* The encoded request, when 'text' is too small. */
	struct handling_text handling; /* What 'text' begins with: what its answer is to have. */
	uint32_t text_len;             /* Of the encoded request. */
	uint32_t retry_s;              /* What a refusal says of it; 0: a second. */
	uint8_t state;                 /* enum exchange_state. */
	uint8_t n_1xx;
	bool replayable; /* Nothing of a body was given away: it can be sent again, */
	bool retriable;  /* and may be: it is idempotent, too. */
	bool again;      /* It was. */
	bool accounted;
	bool head_request;
	bool grpc; /* A call of gRPC: refusals are told in its form, and it may be silent for long. */
	bool expects; /* 100-continue: the client may hold its body back. */
	struct account_text log;
	char text[EXCHANGE_TEXT]; /* Kept until it is answered. */
};

struct exchange_client {
	const struct peer *peer;
	const struct tls_identity *identity; /* Of its certificate; NULL: it has shown none. */
	bool trusted;
	uint8_t tls; /* The minor version of TLS 1.x that it speaks; 0: in the clear. */
	const struct tls *session;       /* Of TLS; NULL: in the clear. */
	const struct listener *listener; /* That it came by. */
	bool h2;
};

/*
 * A request has begun on 's', which the exchange owns until it is over. Either
 * a head, or a refusal, or both (a sound head that is refused). When no
 * exchange is left the stream is reset.
 */
void exchange_open(struct proxy *proxy, struct stream *s, const struct exchange_client *who,
		   struct http_head *head, bool end, const struct http_refusal *refusal);

/* proxy.tunnels_until_ns was set: a tunnel has so long. */
void exchange_drain(struct exchange *ex);

/* The drain deadline has come. */
void exchange_abort(struct exchange *ex);
void exchange_check(const struct exchange *ex);

/* --- Between the exchange's files. ------------------------------------------------------------ */

extern const struct stream_user exchange_client_user, exchange_upstream_user;
extern const struct upstream_call_user exchange_call_user;

void exchange_enter(struct exchange *ex, enum exchange_state next);
void exchange_settle(struct exchange *ex);
void exchange_blame(struct exchange *ex, enum reason reason, enum account_ender ender);
/* The client's side is cut off; whatever runs upstream too. */
void exchange_cut(struct exchange *ex, enum reason reason, enum account_ender ender);
/* The upstream's stream, if any, is given up in the middle. */
void exchange_drop_upstream(struct exchange *ex);

/* Judge a sound head and send it on its way, or answer it, or let it wait for its turn. */
void exchange_judge(struct exchange *ex, struct http_head *head, const struct exchange_client *who);

/* What is kept of a request whose turn has not come. */
struct exchange_queued {
	struct exchange_client who;
	struct limits_taken taken; /* From the limits of its route, */
	uint32_t edition;          /* in this table. */
	uint32_t *share;           /* Into proxy.queued_by. */
	struct http_head head;
	char text[HTTP_HEAD_TEXT];
};

/* Its turn has come: judge it by what holds now. In QUEUED nothing waits again. */
void exchange_judge_queued(struct exchange *ex, struct exchange_queued *queued);

/* ex->turn waits. False: too many do, in all or of this client; it waits no more. */
GW_MUST_USE bool exchange_queue(struct exchange *ex, const struct http_head *head,
				const struct exchange_client *who, const struct peer *client);
/* From exchange_enter(). */
void exchange_leave_queue(struct exchange *ex);
/* turns_come_fn of the exchange's turn. */
void exchange_turn_comes(struct turn *turn);

void exchange_connect(struct exchange *ex, bool fresh, int32_t avoid);
/* Before it is called again: upstreams still speak what the request was encoded for. */
bool exchange_is_spoken(const struct exchange *ex);

/* Answer with a status and a reason; cut off when it is too late for that, or status is 0. */
void exchange_refuse(struct exchange *ex, uint16_t status, enum reason reason,
		     enum account_ender ender);
/* By the gateway, with complete field lines of at most EXCHANGE_CHALLENGE bytes. */
void exchange_refuse_with(struct exchange *ex, enum reason reason, struct slice lines);
/* An answer of ours. */
struct exchange_answer {
	uint16_t status;
	struct slice type;     /* Of its text; empty: none is told. */
	struct slice text;     /* At most STREAM_OWN_TEXT_MAX bytes; */
	struct ring_buf *body; /* or this, which is taken; or NULL. */
	struct slice lines;    /* Complete field lines. */
	bool last;             /* The connection should end with it. */
};

void exchange_answer(struct exchange *ex, const struct exchange_answer *answer);
/* Answer something that was asked of us and of no route; 'lines' are complete field lines. */
void exchange_reply(struct exchange *ex, uint16_t status, struct slice text, struct slice lines);

/* The answer does not grant the upgrade that the request was passed on with, if any. */
void exchange_decline(struct exchange *ex);
/* A 101 is to be passed on: both directions begin anew. */
void exchange_begin_tunnel(struct exchange *ex);
/* The tunnel has no more time: what has come leaves, then both sides are told the end. */
void exchange_end_tunnel(struct exchange *ex, enum reason reason);

void exchange_flow_init(struct exchange *ex);
void exchange_flow_stop(struct exchange *ex);
/* From the client, towards the upstream as soon as there is one. Takes 'buf'. */
void exchange_take_body(struct exchange *ex, struct ring_buf *buf, bool end);
void exchange_take_trailers(struct exchange *ex, struct slice lines);
/* The upstream's head was submitted: what waited for it follows. */
void exchange_held_send(struct exchange *ex);
/* From the upstream to the client. Takes 'buf'. */
void exchange_pass_body(struct exchange *ex, struct ring_buf *buf, bool end);
void exchange_flow_sent(struct exchange *ex, struct exchange_flow *flow, uint64_t n, bool all);
/* Let bytes flow, if that is not decided yet and both sides are ready for it. */
void exchange_flow_open(struct exchange *ex, struct exchange_flow *flow);

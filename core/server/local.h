/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local.h - a small HTTP/1 server of the gateway's own, for few and short answers.
 *
 * A user of the codec seam like any exchange: each connection is a server-role
 * h1 whose stream is answered by a handler instead of an upstream. It owns the
 * listening socket, the connections and their deadlines, and keeps memory
 * bounded: an answer leaves through at most LOCAL_WINDOW buffers at a time, and
 * a client that takes no bytes for LOCAL_STALL_S is cut off.
 *
 * Ownership: local_open() makes everything. local_close() asks; when
 * local_is_quiet() nothing is armed any more, and local_free() ends it.
 *
 * Threads: the control thread's, which may allocate.
 */
#pragma once

#include "core/base/growbuf.h"
#include "core/base/gw_assert.h"
#include "core/http/head.h"
#include "ring/ring_net.h"

struct local;
struct proxy;

enum {
	LOCAL_CLIENTS_MAX = 64,
	LOCAL_WINDOW = 4,
	LOCAL_IDLE_S = 30,
	LOCAL_HEAD_S = 10,
	LOCAL_STALL_S = 5,
	LOCAL_TEXT_MAX = 512,        /* Of each text of a request; longer ones are cut. */
	LOCAL_ANSWER_MAX = 64 << 20, /* Bytes of one answer. */
};

/* A request, its body read or not. The texts are what a stranger sent. */
struct local_request {
	enum http_method method;
	struct slice path; /* Canonical, without the query. */
	size_t path_len;   /* As it came; path is cut at LOCAL_TEXT_MAX. */
	struct slice forwarded_for;
	struct slice request_id;
	uint64_t body_len;
};

/* What the handler fills in. The slices are constants or outlive the call. */
struct local_answer {
	uint16_t status;
	struct slice type;   /* Content-Type. */
	struct slice lines;  /* More fields: complete lines. */
	struct growbuf body; /* Begun empty; a failed one is answered 500. */
};

/* Runs on the ring's thread, once per request. To HEAD, answer as to GET. */
typedef void local_handler_fn(void *owner, const struct local_request *request,
			      struct local_answer *answer);

struct local_options {
	void *owner;
	local_handler_fn *handler;
	bool reads_bodies; /* Ask the handler when the body has been read, else at the head. */
};

/*
 * Listen and serve. 'proxy' lends its ring, parser, limits and heads, and
 * outlives this. 0; -ENOMEM; or what ring_listen() says.
 */
GW_MUST_USE int local_open(struct proxy *proxy, const struct ring_addr *addr,
			   const struct local_options *opt, struct local **ret_local);

/* What it is bound to: port 0 has become a real one. */
const struct ring_addr *local_addr(const struct local *local);

/* Stop listening and cut all connections. Asking twice is fine. */
void local_close(struct local *local);

/* After local_close(), some turns later: nothing is left but the memory. */
bool local_is_quiet(const struct local *local);
void local_free(struct local *local);

/* Invariants, between two answers of the ring. */
void local_check(const struct local *local);

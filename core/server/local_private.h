/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_private.h - the small server's objects, for local.c and local_client.c only.
 *
 * Threads: the control thread's.
 */
#pragma once

#include "core/base/slab.h"
#include "core/proxy/deadline.h"
#include "core/proxy/h1.h"
#include "core/server/local.h"

/*        name     may be followed by */
/* clang-format off */
#define LOCAL_STATES(X)                                                                            \
	X(WAITING, TO(READING) | TO(SENDING) | TO(OVER))   /* No stream is open. */                \
	X(READING, TO(SENDING) | TO(OVER))                 /* The request's body. */               \
	X(SENDING, TO(WAITING) | TO(OVER))                                                         \
	X(OVER, 0)                                         /* Until the codec says 'closed'. */
/* clang-format on */

enum local_state {
#define X(name, next) LOCAL_##name,
	LOCAL_STATES(X)
#undef X
		LOCAL_N_STATES
};

struct local {
	struct proxy *proxy;
	struct local_options options;
	struct ring_addr addr;
	struct ring_op accept;
	struct ring_timer retry;
	struct slab clients;
	int32_t file; /* -1 once closed. */
};

struct local_client {
	struct h1 h1;
	struct local *local;
	struct deadline deadline;
	struct local_request request;
	struct local_answer answer;
	size_t submitted; /* Of the answer's body, given to the codec. */
	size_t in_flight; /* Of them not sent yet. */
	uint8_t state;    /* enum local_state. */
	uint8_t phase;    /* enum codec_phase. */
	bool expects;     /* 100-continue: the body may never come. */
	char path[LOCAL_TEXT_MAX];
	char forwarded_for[LOCAL_TEXT_MAX];
	char request_id[LOCAL_TEXT_MAX];
};

/* Serve a file that was accepted; it is closed when there is no room. */
void local_client_take(struct local *local, int32_t file);

/* Close the connection, whatever it is doing. */
void local_client_close(struct local_client *client);
void local_client_check(const struct local_client *client);

/* A connection's memory is free: the gate may have to move. */
void local_released(struct local *local);

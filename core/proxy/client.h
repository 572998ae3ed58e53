/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - one accepted connection: its codec, its deadlines, where its requests go.
 *
 * The codec says what the connection waits for; this file knows for how long,
 * and opens an exchange for each request.
 *
 * Threads: the worker's.
 */
#pragma once

#include "core/proxy/deadline.h"
#include "core/proxy/h1.h"
#include "core/proxy/peer.h"

struct client {
	struct h1 h1;
	struct listener *listener;
	struct deadline deadline;
	struct peer peer;
	uint8_t phase;     /* enum h1_phase. */
	uint8_t n_lingers; /* Spans of linger_ns in which more came. */
	bool counted;      /* In proxy_shared.peers. */
	bool trusted;      /* A proxy whose word on its clients is believed. */
};

/* Serve a file that was accepted, or close it when that cannot be. */
void client_accept(struct listener *listener, int32_t file);

/* Serve no further request; closes when idle. */
void client_last(struct client *client);
void client_close(struct client *client);
void client_check(const struct client *client);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealed.h - the TLS transport: a clear one below, and an engine that turns its bytes.
 *
 *     user (h1)  --- payload ---  outer   struct transport of the user's, with our ops
 *                                 sealed  engine (core/crypto/tls.h), one buffer each way
 *     ring       --- records ---  inner   a clear transport
 *
 * A client's first bytes are read when it is its handshake's turn (turns.h).
 *
 * Where there is no buffer, a read, a write or a handshake waits for one, as
 * long as its user does: it is tried again every few milliseconds.
 *
 * 'connected' tells that the handshake is over, and so that a server is who it should be. Buffers are held while bytes
 * are on their way, none in between. A message larger than a buffer leaves as
 * several writes below, one after the other.
 *
 * Threads: the worker's.
 */
#pragma once

#include "core/crypto/tls.h"
#include "core/crypto/tls_identity.h"
#include "core/http/speech.h"
#include "core/proxy/transport.h"
#include "core/proxy/turns.h"

struct sealed {
	struct transport *outer;
	struct transport inner;
	struct tls tls;
	struct ring_buf *in;  /* Received, not all used yet. */
	struct ring_buf *out; /* The engine's room, or being written. */
	const uint8_t *data;  /* Of the user's write: what the engine has not taken yet. */
	uint32_t data_len;
	uint32_t read_max;            /* Of the user's read. */
	struct tls_identity identity; /* Of the peer, once it has shaken hands; */
	bool identified;              /* if it has one. */
	int16_t over_res;             /* How reading ended: 0 or -errno. */
	int16_t shaken;               /* What the handshake came to, while that waits to be told. */
	uint8_t n_first;
	char first[HTTP_SPEECH_MAX]; /* A server's first bytes: what it speaks, if not TLS. */
	bool reached : 1;            /* There is a connection below. */
	bool shaking : 1;
	bool failed : 1; /* The handshake: no more than an alert goes out. */
	bool read_idle : 1;
	bool reads_below : 1;  /* Else what is told from below is of a watch. */
	bool writing : 1;      /* The user is. */
	bool more : 1;         /* Bytes were waiting below. */
	bool over : 1;         /* The peer sends no more, or nothing of sense. */
	bool read_blocked : 1; /* The engine has to write before it reads on. */
	bool starved_in : 1;   /* For want of a buffer: the user's read waits, */
	bool starved_out : 1;  /* its write, or the handshake. */
	bool finish_due : 1;   /* Behind what the engine has on its way: the end of our side, */
	bool close_due : 1;    /* and of the connection. */
	bool end_said : 1;     /* Of our side, or left out: nothing more of the engine goes out. */
	struct ring_timer again;
	struct turns *turns; /* Of handshakes; NULL: the client's side. */
	struct turn turn;
};

/*
 * The server's side over an open file; both pieces of memory are the transport's
 * until 'closed'. 0, and then 'connected' follows; or -ENOMEM, and the file is
 * still the caller's.
 */
GW_MUST_USE int sealed_accept(struct transport *t, struct sealed *s,
			      const struct transport_user *user, struct turns *turns, int32_t file,
			      struct tls_server *server);

/* What turns_init() needs: a handshake goes on. */
void sealed_turn_comes(struct turn *turn);

/*
 * The client's side over a file made by ring_socket(), as above. transport_connect() is due;
 * 'connected' then tells that both sides have shaken hands, or that they have not: the peer
 * was not reached; or -ENOBUFS or -ENOMEM, for want of room; or another error, if the peer was
 * reached, and then its first bytes and tls_failure() know more.
 */
GW_MUST_USE int sealed_dial(struct transport *t, struct sealed *s,
			    const struct transport_user *user, struct ring *ring, int32_t file,
			    const struct tls_peer *peer);

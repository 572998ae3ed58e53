/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - what one request of a simulated world is, and what its answer will be.
 *
 * Both ends make the same plan from the same nonce, so each can check the other
 * without a word between them: every body byte has its value from nonce, side
 * and position. The bytes of both messages are made in one piece beforehand.
 *
 * Threads: pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/rng.h"
#include "core/base/slice.h"

/* How the client breaks the rules; nothing of such a request may reach an origin complete. */
#define PLAN_FLAWS(X)                                                                              \
	X(NONE)                                                                                    \
	X(CHUNK_SIZE) /* A chunk size that is no number. */                                        \
	X(CHUNK_END)  /* No CRLF behind the data of a chunk. */                                    \
	X(LENGTH_TE)  /* Content-Length beside Transfer-Encoding. */                               \
	X(LENGTH_TWICE)                                                                            \
	X(NO_HOST)                                                                                 \
	X(FOLDED)                                                                                  \
	X(BLANK_NAME) /* A blank before the colon. */                                              \
	X(TRAVERSAL)                                                                               \
	X(HEAD_SIZE)   /* A head larger than any limit. */                                         \
	X(EXPECTATION) /* One that nobody knows. */                                                \
	X(TOKEN)       /* Signed by another; only where tokens are shown. */

enum plan_flaw {
#define X(name) PLAN_FLAW_##name,
	PLAN_FLAWS(X)
#undef X
		PLAN_N_FLAWS
};

/* How the client leaves early. */
#define PLAN_CUTS(X)                                                                               \
	X(NONE)                                                                                    \
	X(RESET_HEAD)                                                                              \
	X(FIN_HEAD)                                                                                \
	X(STALL_HEAD)                                                                              \
	X(RESET_BODY)                                                                              \
	X(FIN_BODY)                                                                                \
	X(STALL_BODY)                                                                              \
	X(RESET_REPLY) /* After some bytes of the response. */

enum plan_cut {
#define X(name) PLAN_CUT_##name,
	PLAN_CUTS(X)
#undef X
		PLAN_N_CUTS
};

/* What goes wrong at the origin. */
#define PLAN_TROUBLES(X)                                                                           \
	X(NONE)                                                                                    \
	X(RESET_SOON) /* With the request in hand, before the first byte of an answer. */          \
	X(CLOSE_SOON)                                                                              \
	X(STALL_SOON)                                                                              \
	X(GARBAGE)    /* No response head. */                                                      \
	X(CONFLICT)   /* Content-Length beside Transfer-Encoding. */                               \
	X(RESET_HEAD) /* In the middle of the head. */                                             \
	X(RESET_BODY)                                                                              \
	X(CLOSE_BODY) /* Less than was announced. */                                               \
	X(STALL_BODY)                                                                              \
	X(BAD_CHUNK)                                                                               \
	X(SURPLUS)     /* More than was announced. */                                              \
	X(EARLY)       /* Answers by the head alone, and reads no further. */                      \
	X(EARLY_READ)  /* Answers by the head alone, but reads on. */                              \
	X(UNSOLICITED) /* Bytes on the idle connection afterwards. */                              \
	X(IDLE_CLOSE)  /* Closes the idle connection without a word. */

enum plan_trouble {
#define X(name) PLAN_TROUBLE_##name,
	PLAN_TROUBLES(X)
#undef X
		PLAN_N_TROUBLES
};

enum plan_method { PLAN_GET, PLAN_HEAD, PLAN_POST, PLAN_PUT, PLAN_DELETE, PLAN_N_METHODS };
enum plan_body { PLAN_EMPTY, PLAN_LENGTH, PLAN_CHUNKED, PLAN_UNTIL_CLOSE };

struct plan {
	uint64_t nonce;
	enum plan_method method;
	enum plan_body ask_body, reply_body;
	uint32_t ask_len, reply_len;
	uint16_t status;
	bool expect, http10, close, ask_trailers;
	bool reply_close, reply_trailers;
	bool asks_tunnel; /* Behind the head come bytes that are meant for a tunnel. */
	bool tunnel;      /* The origin grants it; the reply's body is the other way of it. */
	bool token;       /* It shows one: token.h. */
	uint8_t n_interim;
	uint16_t pad; /* Bytes of an additional field. */
	enum plan_flaw flaw;
	enum plan_cut cut;
	enum plan_trouble trouble;
};

/* 'calm': neither flaw, nor cut, nor trouble, nor an end of the connection by the client. */
struct plan plan_make(uint64_t nonce, bool calm);

/* Perhaps it asks for a tunnel instead. From dice of its own. */
void plan_add_tunnel(struct plan *plan);
/* It shows a token; 'calm': a good one. From dice of its own. */
void plan_add_token(struct plan *plan, bool calm);

uint8_t plan_byte(uint64_t nonce, bool reply, uint64_t at);
const char *plan_method_name(enum plan_method method);
bool plan_is_idempotent(const struct plan *plan);
/* It is to be refused before anything of it goes on. */
bool plan_is_flawed_head(const struct plan *plan);
/* The reply has no body, whatever its head says. */
bool plan_is_bodiless(const struct plan *plan);

/* One whole message. 'text' is the caller's to free. */
struct plan_bytes {
	char *text;
	uint32_t size, len;
	uint32_t head_len;
	uint32_t cut;   /* Where the sender stops; 'len' when it does not. */
	uint32_t whole; /* Here the message is complete; UINT32_MAX when it never is. */
};

enum { PLAN_TRAILERS_MAX = 2048 };

/* The trailer lines of either side's message, without the empty one; returns their length. */
uint32_t plan_trailers(const struct plan *plan, bool reply, char text[PLAN_TRAILERS_MAX]);

struct plan_bytes plan_request(const struct plan *plan);
struct plan_bytes plan_reply(const struct plan *plan);

/* "x-nonce: 0123456789abcdef\r\n" from anywhere in a head; false when it is not there once. */
bool plan_find_nonce(struct slice head, uint64_t *ret_nonce);

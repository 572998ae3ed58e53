/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain.h - what would become of a request, by the code that judges real ones.
 *
 * Nothing is taken and nothing is sent: limits are only looked at. What depends on a connection
 * (HTTP/2, whether an authority vouches for the client's certificate) or on an upstream is not known
 * here.
 *
 * Threads: the control thread's.
 */
#pragma once

#include "core/document/pack.h"
#include "core/proxy/handling.h"
#include "core/proxy/limits.h"
#include "core/proxy/listener.h"
#include "core/proxy/proxy.h"

/* X(id, "name") */
/* clang-format off */
#define EXPLAIN_ACTIONS(X) \
	X(FORWARD,   "forward")   \
	X(REDIRECT,  "redirect")  \
	X(RESPOND,   "respond")   /* The route answers by itself. */ \
	X(PREFLIGHT, "preflight") /* A question of CORS, answered for the route. */ \
	X(GATEWAY,   "gateway")   /* Answered for no route: health, OPTIONS that are ours. */ \
	X(REFUSE,    "refuse")
/* clang-format on */

enum explain_action {
#define X(id, name) EXPLAIN_##id,
	EXPLAIN_ACTIONS(X)
#undef X
};

/* By what and for whom it is judged. All of it outlives the explanation. */
struct explain_place {
	struct proxy *proxy; /* The control thread's: for its name and random ids. */
	const struct proxy_options *options; /* The workers'. */
	const struct policy_table *table;
	const struct limits_shared *limits;  /* NULL: no table has any. */
	const struct keyring *keyring;       /* The same. */
	struct digest *digest;               /* For this one. */
	const struct listener *listener;     /* That the request comes by, */
	struct peer peer;                    /* from whom, */
	bool secure;                         /* over TLS, */
	const struct tls_identity *identity; /* who has shown a certificate; NULL: none. */
	uint64_t now_ns;
};

struct explanation {
	enum explain_action action;
	uint16_t status;    /* All but FORWARD. */
	enum reason reason; /* REFUSE. */
	bool has_head;      /* What follows is good as far as the judgement came. */
	struct peer source; /* For whom it is judged. */
	struct verdict verdict;
	const struct policy_route *route; /* NULL: none. */
	struct handling handling;
	struct http_rewrite rewrite;
	struct slice extra;        /* Lines that the request gets, */
	struct slice lines;        /* and its answer: of CORS. */
	struct slice location;     /* REDIRECT. */
	struct auth_client client; /* Who it is, if it was asked, */
	enum reason denied;        /* and why it may not. */
	struct auth auth;          /* Scratch. */
	uint8_t looked;            /* Bit i: the route's i-th limit was asked. */
	struct gcra_answer limits[POLICY_ROUTE_LIMITS_MAX];
	struct handling_text answer; /* In 'answer_text'. */
	struct h1_parser parser;     /* With the head. */
	char id[64];
	char answer_text[HANDLING_TEXT_MAX];
	char lines_text[HANDLING_TEXT_MAX * 2];
	char location_text[HANDLING_LOCATION_MAX];
	char target_text[16 * 1024];
	char extra_text[HTTP_HEAD_MAX + 8192];
};

/* 'text' is a whole head as a client would send it; it is written to, and outlives the explanation. */
void explain(const struct explain_place *place, char *text, uint32_t len,
	     struct explanation *ret_explanation);

/* explain_pack.c: one map, the reply of the command. */
void explain_pack(const struct explain_place *place, const struct explanation *explanation,
		  struct pack *p);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h - one seed: a gateway between visitors and origins, from start to quiet.
 *
 * The world keeps a deal for each request: what both sides planned, and what
 * each has really done. The rules it watches over:
 *  1 A reply that carries a nonce answers the request with that nonce, byte for
 *    byte, and is complete only if an origin completed it.
 *  2 An origin holds a complete request only if its visitor sent it completely
 *    and validly; once if the method is not idempotent, else at most twice.
 *  3 Nothing of a request refused by its head reaches an origin.
 *  4 Each request is answered once, or its connection ends; nothing waits for
 *    ever, and a drain ends in its time.
 *  5 In a calm world every request gets its origin's reply.
 *  6 After the end nothing is left (ring_free).
 *  7 A second after its visitor has reset the connection no origin works on a request.
 *  8 No origin hears more of a body than the limit, or a whole one that is longer.
 *  9 A drain resets no connection that had begun before it.
 * 10 Each request is logged once, with the status and length that its visitor got,
 *    and no span is negative.
 * 11 Bytes meant for a tunnel reach an origin that has granted it, in order, and no other;
 *    its end does when its visitor has ended it, or in a drain.
 * 12 No origin that speaks HTTP/2 has more streams at a time than it allows; what it
 *    refuses without a look it is asked once more at most, whatever the method.
 * 13 No origin that speaks TLS hears a word of a request unless its certificate is good, for the
 *    name that it is known by, and it speaks the protocol of its service; a body that ends with
 *    its connection is complete only if that end was said. What is asked after the gateway has
 *    begun to judge by another client of TLS reaches no connection that was made before.
 * All of them hold for guests, who speak HTTP/2, as for visitors; a stream that its guest
 * has given up is a connection reset, for rule 7; so is an end of TLS without close_notify.
 */
#pragma once

#include "policy/seat.h"
#include "tests/sim/plan.h"
#include "tests/sim/seal.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_net.h"

/* What a set of seeds must have seen, each at least once. */
/* clang-format off */
#define WORLD_ENDINGS(X) \
	X(REPLY_WHOLE)     /* An origin's reply, complete. */ \
	X(REPLY_CUT)       /* It ended early, and so it looked to the visitor. */ \
	X(OWN_400) X(OWN_401) X(OWN_408) X(OWN_413) X(OWN_417) X(OWN_431) X(OWN_502) X(OWN_503) X(OWN_504) \
	X(CLOSED_UNANSWERED) /* By the gateway, in order. */ \
	X(RESET_UNANSWERED)  /* By the gateway. */ \
	X(VISITOR_LEFT)      /* Before its answer. */ \
	X(NOT_ACCEPTED) X(RETRIED) /* An origin saw it twice. */ \
	X(INTERIM) X(CONTINUED) X(TRAILERS) X(PIPELINED) X(EARLY_REPLY) X(HALF_CLOSED) \
	X(ADOPTED)           /* A second policy. */ \
	X(DRAINED) X(ABORTED) X(CALM) \
	X(LOGGED)          /* Each request, and compared. */ \
	X(TUNNEL)          /* Both ways, to both ends. */ \
	X(TUNNEL_EARLY)    /* Its visitor did not wait for it, */ \
	X(TUNNEL_VAIN)     /* and did not get one. */ \
	X(TUNNEL_DECLINED) /* An answer instead. */ \
	X(H2_WHOLE)     /* An origin's reply over HTTP/2, complete. */ \
	X(H2_CUT)       /* It began, and was reset. */ \
	X(H2_RESET)     /* Before it began. */ \
	X(H2_REFUSED)   /* To be asked again. */ \
	X(H2_GIVEN_UP)  /* By its guest. */ \
	X(H2_BESIDE)    /* While another ran on its connection. */ \
	X(H2_DISMISSED) /* Its guest was asked to go. */ \
	X(TRUNK_SHARED)  /* Two requests at a time on a connection of HTTP/2 to an origin, */ \
	X(TRUNK_FULL)    /* as many as that allows. */ \
	X(TRUNK_REFUSED) /* One that it did not look at. */ \
	X(TRUNK_RESET)   /* One that it gave up. */ \
	X(TRUNK_BROKEN)  /* With all that ran on it. */ \
	X(TRUNK_LEFT)    /* With GOAWAY. */ \
	X(TLS_SHAKEN) X(TLS_RESUMED) X(TLS_OLD) X(TLS_H1_CALM) X(TLS_H2_CALM) \
	X(TLS_CUT) X(TLS_RENEWED) /* By the client, in its handshake; while payload was on its way. */ \
	X(UP_SHAKEN) X(UP_RESUMED) X(UP_OLD) X(UP_H1_CALM) X(UP_H2_CALM) /* The same of origins. */ \
	X(UP_CUT) X(UP_RENEWED) \
	X(UP_SHUNNED) /* One that is not believed, or refuses what it is offered. */ \
	X(UP_SPOILT)  /* A bit of what was said, underway. */ \
	X(UP_UNSAID)  /* A body whose end is a connection's, without close_notify. */ \
	X(UP_ANEW)    /* The gateway judges them by another client of TLS. */ \
	X(TOKEN_WAITED) /* A request, for its token's turn. */
/* clang-format on */

enum world_ending {
#define X(name) WORLD_##name,
	WORLD_ENDINGS(X)
#undef X
		WORLD_N_ENDINGS
};

const char *world_ending_name(enum world_ending ending);

/* An answer of the gateway's own; WORLD_N_ENDINGS: it gives none with that status. */
enum world_ending world_own_ending(uint16_t status);

enum { WORLD_VISITORS_MAX = 10, WORLD_DEALS_MAX = 40, WORLD_ORIGINS = 3 };

struct deal {
	struct plan plan;
	uint64_t asked_ns;     /* When some of it was sent; 0: nothing was. */
	bool ask_head;         /* Its head. */
	bool ask_whole;        /* All of it, validly. */
	bool reply_whole;      /* An origin has sent all of a reply. */
	uint8_t n_seen;        /* Its head reached an origin, */
	uint8_t n_held;        /* all of it did. */
	uint8_t n_refused;     /* Or one did not look at it. */
	uint16_t answered;     /* The status of a reply that its visitor has completely, */
	uint64_t answered_len; /* and its body bytes. */
};

struct cord;
struct visitor;
struct guest;
struct origin;
struct proxy;
struct listener;

struct world {
	uint64_t seed;
	struct rng rng; /* For what is decided before the world runs. */
	bool calm;
	uint64_t max_body; /* Of a request, at the gateway. */
	bool logs;
	bool tunnels; /* Are asked for, and allowed. */
	bool h2;      /* Is spoken, by guests among the visitors; */
	bool trunks;  /* and by origins, in the place of HTTP/1. */
	bool tokens;  /* Are asked for, and shown: no two requests have the same. */
	bool tls;     /* Is spoken by all of them, in HTTP/1 and HTTP/2. */
	bool tls_up;  /* Is spoken by all origins, in HTTP/1 or HTTP/2. */
	struct seal seal, seal_up;
	uint32_t n_accepted; /* By all origins. */
	uint64_t anew_ns;    /* Since when others judge them, in the gateway; 0: never. */
	struct ring *ring;
	struct proxy *proxy;
	struct listener *listener;
	struct ring_addr front;
	struct deal deals[WORLD_DEALS_MAX];
	uint32_t n_deals;
	uint32_t n_impatient; /* Deals behind which bytes may pass for a request. */
	struct visitor *visitors[WORLD_VISITORS_MAX];
	uint32_t n_visitors, n_visitors_over;
	struct guest *guests[WORLD_VISITORS_MAX];
	uint32_t n_guests, n_guests_over;
	struct origin *origins[WORLD_ORIGINS];
	struct sim_event drain, drained, abort, adopt, anew, watch;
	struct policy_seat seat;
	struct policy_table *tables[2];
	bool draining, aborted;
	uint64_t drain_ns;
	uint64_t quiet_by_ns; /* A drain's bound. */
	uint64_t *endings;    /* WORLD_N_ENDINGS, summed over seeds. */
};

/* Runs one seed; traps when a rule is broken. */
void world_run(uint64_t seed, bool trace, uint64_t endings[WORLD_N_ENDINGS],
	       struct sim_counts *counts);

/* The deal of a nonce that a peer was told; never NULL: an unknown nonce is a failure. */
struct deal *world_deal(struct world *w, uint64_t nonce);

/* A client's connection to the gateway: of deals from 'first' on. NULL: nobody listens. */
struct cord *world_dial(struct world *w, uint32_t first, bool h2, const struct ring_addr *from);

/* A connection of the gateway's to an origin, at the origin's end. */
struct cord *world_accept(struct world *w, struct sim_end *end);
/* One that was made then is asked for this: may it be? */
void world_judge_line(const struct world *w, const struct deal *deal, uint64_t made_ns);

/* A request is being served. */
bool world_is_busy(const struct world *w);

static inline void world_saw(struct world *w, enum world_ending ending)
{
	w->endings[ending]++;
}

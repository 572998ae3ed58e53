/* SPDX-License-Identifier: Apache-2.0 */
/* A connection with or without TLS, from its peer's side. */
#include <openssl/err.h>
#include <openssl/ssl.h> /* Before base/banned.h. */

#include "tests/sim/cord.h"

#include <errno.h>
#include <stdlib.h>

enum { RECORD = 16384, SEALED = 20000 };

struct cord {
	struct ring *ring;
	struct sim_end *end;
	struct cord_plan plan;
	cord_fn *fn; /* NULL: its holder has closed it, in order, and something was left to say. */
	void *owner;
	SSL *ssl; /* NULL: in the clear. */
	struct sim_event wake;
	struct list_node link; /* While nobody holds it. */
	uint64_t n_said;       /* Sealed bytes that have left; */
	uint32_t n_sealed, at; /* those that are next. */
	uint32_t n_read;       /* Payload since the last new keys. */
	bool renewed;          /* Has asked for new keys. */
	bool shaken;
	bool dead;       /* The connection; nothing more comes or goes. */
	bool end_heard;  /* Said by the other side. */
	bool finish_due; /* Behind what was written: the end of this side, */
	bool said_end;
	bool finished;
	bool cut;    /* By plan. */
	bool spoilt; /* Something of what it has said. */
	uint8_t sealed[SEALED];
};

/* --- What leaves. ---------------------------------------------------------------------------- */

static uint32_t left_to_say(const struct cord *c)
{
	return c->n_sealed - c->at + (uint32_t)BIO_pending(SSL_get_wbio(c->ssl));
}

static void cut_off(struct cord *c)
{
	static const char text[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

	c->cut = true;
	if (c->plan.cut == CORD_BABBLES)
		(void)sim_end_write(c->end, text, sizeof(text) - 1);
	if (c->plan.cut == CORD_BABBLES || c->plan.cut == CORD_ENDS)
		sim_end_finish(c->end);
	sim_say(c->ring, "  a handshake is cut at %u by %d", c->plan.cut_at, c->plan.cut);
	c->plan.seal->n_cut++;
	sim_event_later(c->ring, &c->wake);
}

/* So many of the bytes that are next, up to the place of a cut. */
static uint32_t may_say(const struct cord *c)
{
	uint32_t n = c->n_sealed - c->at;
	uint64_t left = c->plan.cut_at - c->n_said;

	return c->plan.cut != CORD_WHOLE && !c->shaken && left < n ? (uint32_t)left : n;
}

/* What is next in hand: OpenSSL's, but for one bit. */
static void take_sealed(struct cord *c)
{
	uint64_t spoilt = c->plan.spoilt_at - c->n_said;
	int n = BIO_read(SSL_get_wbio(c->ssl), c->sealed, sizeof(c->sealed));

	c->n_sealed = n > 0 ? (uint32_t)n : 0;
	c->at = 0;
	if (c->plan.spoilt_at == 0 || spoilt >= c->n_sealed)
		return;
	c->sealed[spoilt] ^= (uint8_t)(1u << (spoilt & 7));
	c->spoilt = true;
	c->plan.seal->n_spoilt++;
	sim_say(c->ring, "  byte %llu is spoilt", (unsigned long long)c->plan.spoilt_at);
}

/* True when there is nothing left to say. */
static bool flush(struct cord *c)
{
	while (!c->cut && !c->dead) {
		int32_t n;

		if (c->at == c->n_sealed)
			take_sealed(c);
		if (c->n_sealed == 0)
			return true;
		if (may_say(c) == 0) {
			cut_off(c);
			return false;
		}
		n = sim_end_write(c->end, c->sealed + c->at, may_say(c));
		if (n == -EAGAIN)
			return false;
		c->dead = n < 0;
		c->at += n > 0 ? (uint32_t)n : 0;
		c->n_said += n > 0 ? (uint32_t)n : 0;
	}
	return false;
}

static void say_end(struct cord *c)
{
	if (c->said_end || c->plan.rude)
		return;
	c->said_end = true;
	ERR_clear_error();
	(void)SSL_shutdown(c->ssl);
}

static void finish_if_due(struct cord *c)
{
	if (!c->finish_due || c->finished || c->cut || !c->shaken || !flush(c))
		return;
	say_end(c);
	if (!flush(c)) /* No room for its few bytes: it goes behind them. */
		return;
	c->finished = true;
	sim_end_finish(c->end);
}

/* --- The handshake. -------------------------------------------------------------------------- */

/* What has come, for OpenSSL; false when there is nothing. */
static bool hear(struct cord *c)
{
	uint8_t bytes[RECORD];
	int32_t n = sim_end_read(c->end, bytes, sizeof(bytes));

	if (n > 0)
		return BIO_write(SSL_get_rbio(c->ssl), bytes, n) == n;
	c->dead = c->dead || n != -EAGAIN;
	return false;
}

/*
 * OpenSSL wants more than there is; anything else that it says is the gateway's fault, unless
 * one of the two was to refuse the other, or what was said to it was spoilt.
 */
static void expect_more(struct cord *c, int r)
{
	int error = SSL_get_error(c->ssl, r);

	if (error == SSL_ERROR_WANT_READ)
		return;
	if (!seal_is_shunned(&c->plan.manners) && !c->spoilt)
		sim_fail(c->ring, "TLS of the gateway is wrong: %d, %s", error,
			 ERR_reason_error_string(ERR_peek_error()));
	sim_say(c->ring, "  TLS ends: %s", ERR_reason_error_string(ERR_peek_error()));
	c->plan.seal->n_shunned += !c->spoilt;
	(void)flush(c); /* The alert. */
	c->dead = true;
}

static void shake(struct cord *c)
{
	int r = 0;

	while (!c->cut && !c->dead && !SSL_is_init_finished(c->ssl)) {
		ERR_clear_error();
		r = SSL_do_handshake(c->ssl);
		if (r != 1)
			expect_more(c, r);
		(void)flush(c);
		if (r == 1 || !hear(c))
			break;
	}
	if (c->shaken || !SSL_is_init_finished(c->ssl) || !flush(c))
		return;
	c->shaken = true;
	if (c->plan.manners.kind != SEAL_GOOD)
		sim_fail(c->ring, "an origin of kind %d is believed", c->plan.manners.kind);
	seal_shaken(c->plan.seal, c->ssl);
	sim_say(c->ring, "  hands are shaken, %s%s", SSL_get_version(c->ssl),
		SSL_session_reused(c->ssl) ? ", again" : "");
}

/* --- Life. ----------------------------------------------------------------------------------- */

static void cord_free(struct cord *c, bool reset)
{
	sim_event_drop(c->ring, &c->wake);
	sim_end_close(c->end, reset);
	if (c->ssl) /* A session is as good without close_notify: OpenSSL would spoil it. */
		SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(c->ssl);
	free(c);
}

/* The other side has ended, too: nothing of it is under way to nobody. */
static bool hears_end(struct cord *c)
{
	while (hear(c))
		(void)BIO_reset(SSL_get_rbio(c->ssl));
	return c->dead;
}

/* Nobody holds it: what was written before the close in order has left, or cannot. */
static void end_if_said(struct cord *c)
{
	finish_if_due(c);
	if (!c->finished && !c->dead && !c->cut)
		return;
	if (c->finished && c->plan.patient && c->renewed && !hears_end(c))
		return;
	list_remove(&c->link);
	cord_free(c, !c->finished);
}

static void go_on(struct cord *c)
{
	if (c->ssl) {
		shake(c);
		(void)flush(c);
		finish_if_due(c);
	}
	if (c->fn)
		c->fn(c, c->owner);
	else if (c->ssl)
		end_if_said(c);
}

static void something(struct sim_end *end, void *owner)
{
	(void)end;
	go_on(owner);
}

static void woken(struct ring *ring, struct sim_event *event)
{
	(void)ring;
	go_on(GW_CONTAINER_OF(event, struct cord, wake));
}

static struct cord *cord_new(struct ring *ring, struct sim_end *end, const struct cord_plan *plan)
{
	struct cord *c = calloc(1, sizeof(*c));

	GW_ASSERT(c);
	c->ring = ring;
	c->end = end;
	c->plan = *plan;
	c->wake.run = woken;
	return c;
}

struct cord *cord_dial(struct ring *ring, const struct ring_addr *addr,
		       const struct ring_addr *from, const struct cord_plan *plan)
{
	struct sim_end *end = sim_end_dial(ring, addr, from);
	struct cord *c;

	if (!end)
		return NULL;
	c = cord_new(ring, end, plan);
	if (plan->seal)
		c->ssl = seal_client(plan->seal, &plan->manners);
	return c;
}

struct cord *cord_accept(struct ring *ring, struct sim_end *end, const struct cord_plan *plan)
{
	struct cord *c = cord_new(ring, end, plan);

	if (plan->seal)
		c->ssl = seal_origin(plan->seal, &c->plan.manners);
	return c;
}

void cord_watch(struct cord *c, cord_fn *fn, void *owner)
{
	c->fn = fn;
	c->owner = owner;
	sim_end_watch(c->end, something, c);
}

void cord_finish(struct cord *c)
{
	if (!c->ssl) {
		sim_end_finish(c->end);
		return;
	}
	c->finish_due = true;
	finish_if_due(c);
}

void cord_behave(struct cord *c)
{
	c->plan.rude = false;
}

bool cord_is_rude(const struct cord *c)
{
	return c->ssl && c->plan.rude;
}

void cord_close(struct cord *c, bool reset)
{
	if (!c->ssl || reset || c->cut || c->dead || !c->shaken) {
		cord_free(c, reset || cord_is_cut(c));
		return;
	}
	c->fn = NULL;
	c->finish_due = true;
	list_push_back(&c->plan.seal->left, &c->link);
	end_if_said(c);
}

/* The world ends; what is still being said is of no interest. */
void cord_forget(struct seal *seal)
{
	struct list_node *node;

	while ((node = list_pop_front(&seal->left)))
		cord_free(list_entry(node, struct cord, link), true);
}

/* --- Payload. -------------------------------------------------------------------------------- */

/* This side's at once; the gateway's when it has read that they are wanted. */
static void renew_keys(struct cord *c, uint32_t n)
{
	c->n_read += n;
	if (!c->plan.renews || c->n_read < c->plan.renews || c->finish_due || !flush(c) ||
	    SSL_version(c->ssl) != TLS1_3_VERSION)
		return;
	c->n_read = 0;
	c->plan.seal->n_renewed++;
	c->renewed = true;
	GW_ASSERT(SSL_key_update(c->ssl, SSL_KEY_UPDATE_REQUESTED) == 1);
	GW_ASSERT(SSL_do_handshake(c->ssl) == 1);
	(void)flush(c);
}

int32_t cord_read(struct cord *c, void *ret_bytes, uint32_t size)
{
	int n;

	if (!c->ssl)
		return sim_end_read(c->end, ret_bytes, size);
	if (cord_is_cut(c))
		return -ECONNRESET;
	if (!c->shaken) { /* Who has ended or gone silent hears what becomes of it. */
		while (c->cut && hear(c)) {
		}
		return c->dead ? -ECONNRESET : -EAGAIN;
	}
	do {
		ERR_clear_error();
		n = SSL_read(c->ssl, ret_bytes, (int)size);
		if (n > 0 && seal_is_shunned(&c->plan.manners))
			sim_fail(c->ring, "who is not to be believed is told something");
		if (n > 0) {
			renew_keys(c, (uint32_t)n);
			return n;
		}
		c->end_heard = SSL_get_error(c->ssl, n) == SSL_ERROR_ZERO_RETURN;
		if (c->end_heard)
			return 0;
		expect_more(c, n);
	} while (hear(c));
	return c->dead ? -ECONNRESET : -EAGAIN;
}

int32_t cord_write(struct cord *c, const void *data, uint32_t len)
{
	int n;

	if (!c->ssl)
		return sim_end_write(c->end, data, len);
	if (c->cut || c->dead)
		return -EPIPE;
	GW_ASSERT(!c->finish_due); /* Bytes behind the own end. */
	if (!c->shaken || !flush(c))
		return c->dead ? -ECONNRESET : -EAGAIN;
	ERR_clear_error();
	n = SSL_write(c->ssl, data, (int)(len < RECORD ? len : RECORD));
	if (n <= 0)
		sim_fail(c->ring, "a peer's TLS does not write");
	(void)flush(c);
	return n;
}

bool cord_is_reset(const struct cord *c)
{
	return c->ssl ? !c->end_heard && (c->dead || cord_is_cut(c) || sim_end_is_reset(c->end))
		      : sim_end_is_reset(c->end);
}

bool cord_is_cut(const struct cord *c)
{
	return c->cut && c->plan.cut == CORD_RESETS;
}

uint32_t cord_unsent(const struct cord *c)
{
	return sim_end_unsent(c->end) + (c->ssl ? left_to_say(c) : 0);
}

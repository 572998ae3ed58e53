/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of core/proxy/exchange_judge.c, one behind the other: what is asked there of a request
 * before it is sent on is asked here in the same order, of the same functions.
 */
#include "core/server/explain.h"

#include "core/proxy/forward.h"
#include "core/proxy/question.h"

_Static_assert(FORWARD_ID_MAX <= sizeof(((struct explanation *)0)->id), "an id has room");

/* True: the next one is asked. False: it is decided. */
typedef bool explain_step(const struct explain_place *place, struct explanation *e);

static bool end(struct explanation *e, enum explain_action action, uint16_t status)
{
	e->action = action;
	e->status = status;
	return false;
}

static bool refuse(struct explanation *e, uint16_t status, enum reason reason)
{
	e->reason = reason;
	return end(e, EXPLAIN_REFUSE, status);
}

static bool refuse_for(struct explanation *e, enum reason reason)
{
	return refuse(e, (uint16_t)reason_status(reason), reason);
}

/* --- Before there is a route. ---------------------------------------------------------------- */

static bool ask_gateway(const struct explain_place *place, struct explanation *e)
{
	const struct http_head *head = &e->parser.head;
	bool unready = atomic_load_explicit(&place->proxy->shared->unready, memory_order_relaxed);

	if (question_is_health(place->options, head))
		return end(e, EXPLAIN_GATEWAY, unready ? 503 : 200);
	if (question_is_ours(head))
		return end(e, EXPLAIN_GATEWAY, 204);
	if (forward_is_loop(place->proxy, head))
		return refuse_for(e, REASON_LOOP_DETECTED);
	return true;
}

static bool refuse_without_route(const struct explain_place *place, struct explanation *e,
				 const struct policy_request *request)
{
	if (e->verdict.reason == REASON_METHOD_NOT_ALLOWED)
		e->lines = question_allow(place->table, request, e->lines_text);
	return refuse(e, e->verdict.status, e->verdict.reason);
}

static bool ask_policy(const struct explain_place *place, struct explanation *e)
{
	struct http_head *head = &e->parser.head;
	struct policy_request request = question_of(head);

	e->verdict = policy_decide(place->table, &request);
	if (e->verdict.index == POLICY_NO_ROUTE)
		return refuse_without_route(place, e, &request);
	e->source = forward_source(head, &place->peer, place->listener);
	e->route = table_route(place->table, e->verdict.index);
	handling_begin(&e->handling, place->table, e->verdict.index, head, &e->source,
		       place->secure);
	if (e->verdict.kind == VERDICT_REFUSE)
		return refuse(e, e->verdict.status, e->verdict.reason);
	return true;
}

/* --- By the route. --------------------------------------------------------------------------- */

static bool answer_preflight(const struct explain_place *place, struct explanation *e)
{
	struct writer lines = writer_make(e->lines_text, sizeof(e->lines_text));

	(void)place;
	if (e->verdict.kind != VERDICT_PREFLIGHT)
		return true;
	writer_lit(&lines, "vary: origin\r\n");
	if (!handling_preflight(&e->handling, &lines))
		return refuse_for(e, REASON_CORS_ORIGIN);
	e->lines = writer_slice(&lines);
	return end(e, EXPLAIN_PREFLIGHT, 204);
}

/* All of a kind are told of, also those behind one that refuses. */
static bool look_at_limits(const struct explain_place *place, struct explanation *e, bool first)
{
	const struct limits_request request = {
		.table = place->table,
		.route = e->route,
		.head = &e->parser.head,
		.client = &e->source,
		.known = &e->client,
	};
	bool keeps = true;

	GW_ASSERT(e->route->limits.n == 0 || place->limits);
	for (uint32_t i = 0; i < e->route->limits.n; i++) {
		if (limits_is_first(table_route_limit(place->table, e->route, i)) != first)
			continue;
		limits_look(place->limits, &request, i, place->now_ns, &e->limits[i]);
		e->looked |= (uint8_t)(1u << i);
		keeps = keeps && e->limits[i].admitted;
	}
	return keeps || refuse_for(e, REASON_RATE_LIMITED);
}

static bool look_at_clients_limits(const struct explain_place *place, struct explanation *e)
{
	return look_at_limits(place, e, true);
}

static bool look_at_other_limits(const struct explain_place *place, struct explanation *e)
{
	return look_at_limits(place, e, false);
}

static bool identify(const struct explain_place *place, struct explanation *e)
{
	const struct auth_request request = { .table = place->table,
					      .route = e->route,
					      .head = &e->parser.head,
					      .identity = place->identity,
					      .client = &e->source };

	e->denied = auth_look(&e->auth, place->keyring, &request, &e->client);
	/* A worker that knows the token would let it in; which ones do is not for us to see. */
	if (e->client.by && e->client.by->by == POLICY_BY_JWT && e->denied != REASON_JWT_MISSING &&
	    !limits_may_fail(place->limits, &e->source, place->now_ns))
		e->denied = REASON_AUTH_FAILURES;
	return e->denied == REASON_NONE || refuse_for(e, e->denied);
}

static bool answer_by_route(const struct explain_place *place, struct explanation *e)
{
	struct writer out = writer_make(e->location_text, sizeof(e->location_text));
	const struct policy_handling *rules = e->handling.rules;

	(void)place;
	if (e->verdict.kind != VERDICT_ANSWER)
		return true;
	if (rules->answer.location.n == 0)
		return end(e, EXPLAIN_RESPOND, rules->answer.status);
	handling_location(&e->handling, &out);
	if (out.overflow)
		return refuse_for(e, REASON_URI_TOO_LONG);
	e->location = writer_slice(&out);
	return end(e, EXPLAIN_REDIRECT, rules->answer.status);
}

/* --- To the service. ------------------------------------------------------------------------- */

static bool encode(const struct explain_place *place, struct explanation *e)
{
	struct http_head *head = &e->parser.head;
	struct forward_client client = {
		.peer = &place->peer,
		.identity = place->identity,
		.san = e->client.san,
		.trusted = listener_trusts(place->listener, &place->peer),
		.secure = place->secure,
	};
	struct writer extra = writer_make(e->extra_text, sizeof(e->extra_text));
	struct writer target = writer_make(e->target_text, sizeof(e->target_text));
	size_t id_len = forward_request(place->proxy, head, &client, &extra, e->id);
	enum reason reason;

	handling_know_id(&e->handling, slice_make(e->id, id_len));
	auth_tell(place->table, &e->client, head, &extra);
	reason = handling_request(&e->handling, head, &extra);
	if (reason == REASON_NONE)
		reason = handling_rewrite(&e->handling, &target, &e->rewrite);
	if (reason == REASON_NONE && extra.overflow)
		reason = REASON_HEADERS_TOO_LARGE;
	e->extra = writer_slice(&extra);
	return reason == REASON_NONE || refuse_for(e, reason);
}

/* As upstream_get() finds it before it connects. */
static bool find_endpoint(const struct explain_place *place, struct explanation *e)
{
	const struct policy_service *service = table_service(place->table, e->verdict.service);

	for (uint32_t i = 0; i < service->endpoints.n; i++)
		if (table_endpoint(place->table, service, i)->n_addrs)
			return true;
	return refuse_for(e, service->endpoints.n ? REASON_UPSTREAM_RESOLVE : REASON_NO_ENDPOINT);
}

/* --- The whole. ------------------------------------------------------------------------------ */

static explain_step *const steps[] = {
	ask_gateway,      ask_policy, look_at_clients_limits,
	answer_preflight, identify,   look_at_other_limits,
	answer_by_route,  encode,     find_endpoint,
};

/* False: it is no head that a client may send. */
static bool read_head(const struct explain_place *place, char *text, uint32_t len,
		      struct explanation *e)
{
	struct http_refusal refusal;

	h1_parse_request(&e->parser, &place->options->limits);
	e->parser.secure = place->secure;
	switch (h1_parse_feed(&e->parser, text, len)) {
	case H1_DONE:
		e->has_head = e->parser.head.wire_len == len;
		return e->has_head || refuse_for(e, REASON_BAD_HEADER);
	case H1_PARTIAL:
		refusal = h1_parse_eof(&e->parser);
		return refuse(e, refusal.status, refusal.reason);
	case H1_REFUSED:
		break;
	}
	return refuse(e, e->parser.refusal.status, e->parser.refusal.reason);
}

void explain(const struct explain_place *place, char *text, uint32_t len,
	     struct explanation *ret_explanation)
{
	struct explanation *e = ret_explanation;

	memset(e, 0, offsetof(struct explanation, parser));
	e->auth.digest = place->digest;
	e->action = EXPLAIN_FORWARD;
	e->source = place->peer;
	e->verdict.generation = place->table->generation;
	if (!read_head(place, text, len, e))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		if (!steps[i](place, e))
			break;
	/* Answers to preflights are made without the rules for answers. */
	if (e->route && e->verdict.kind != VERDICT_PREFLIGHT)
		e->answer = handling_response(&e->handling, e->answer_text);
}

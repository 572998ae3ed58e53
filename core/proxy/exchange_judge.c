/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange's request: judged, and encoded for its service or answered at once. */
#include "core/crypto/tls.h"
#include "core/proxy/exchange.h"
#include "core/proxy/forward.h"
#include "core/proxy/proxy.h"
#include "core/proxy/question.h"

#define ALLOW "allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n"

/* --- Judging. -------------------------------------------------------------------------------- */

static void answer_health(struct exchange *ex)
{
	if (atomic_load_explicit(&ex->proxy->shared->unready, memory_order_relaxed))
		exchange_reply(ex, 503, SLICE("draining\n"), SLICE(""));
	else
		exchange_reply(ex, 200, SLICE("ok\n"), SLICE(""));
}

static bool is_idempotent(uint8_t method)
{
	return method == HTTP_GET || method == HTTP_HEAD || method == HTTP_PUT ||
	       method == HTTP_DELETE || method == HTTP_OPTIONS;
}

_Static_assert(POLICY_UPGRADE_WEBSOCKET == 1 << (HTTP_UPGRADE_WEBSOCKET - 1),
	       "a policy's bits are those of the tokens");

/* What the request asks for, where its route allows that. */
static uint8_t upgrade_of(const struct exchange *ex, const struct http_head *head)
{
	return head->upgrade && ex->verdict.upgrades & 1u << (head->upgrade - 1) ? head->upgrade
										 : 0;
}

/* --- Limits and who asks. ---------------------------------------------------------------------- */

/* What limits tell of a request, at the most. */
enum { TOLD_MAX = 512 };

/* What is found out about a request with a route. On the stack while it is judged. */
struct judging {
	struct handling handling;
	struct auth_client client;
	struct limits_taken taken;
	struct peer source;
	struct writer told, challenge; /* By limits; and what would have been needed. */
	char told_text[TOLD_MAX];
	char challenge_text[EXCHANGE_CHALLENGE];
};

static struct limits_request limits_of(const struct exchange *ex, const struct http_head *head,
				       const struct judging *j)
{
	return (struct limits_request){
		.table = j->handling.table,
		.route = table_route(j->handling.table, ex->verdict.index),
		.head = head,
		.client = &j->source,
		.known = &j->client,
	};
}

static bool keeps_limits(struct exchange *ex, const struct http_head *head, struct judging *j,
			 bool first)
{
	struct limits_request request = limits_of(ex, head, j);
	bool keeps = limits_take(ex->proxy, &request, first, &j->taken, &j->told, &ex->retry_s);

	j->handling.told = writer_slice(&j->told);
	if (!keeps)
		account_limit(
			&ex->account, &ex->log, request.table,
			table_route_limit(request.table, request.route, j->taken.refused - 1u));
	return keeps;
}

/* True: REASON_NONE; or why it may not, and what would be needed. False: its turn waits. */
static bool identify(struct exchange *ex, const struct http_head *head,
		     const struct exchange_client *who, struct judging *j, enum reason *ret_reason)
{
	struct auth_request request = {
		.table = j->handling.table,
		.route = table_route(j->handling.table, ex->verdict.index),
		.head = head,
		.identity = who->identity,
		.client = &j->source,
		.turn = ex->state == EXCHANGE_JUDGING ? &ex->turn : NULL,
	};

	if (!auth_judge(ex->proxy, &request, &j->client, ret_reason))
		return false;
	auth_challenge(&request, *ret_reason, &j->challenge);
	GW_ASSERT(!j->challenge.overflow);
	return true;
}

/*
 * Until its turn comes: then all of it is judged anew, and what limits have given is given back
 * just before, so that no client has more requests here than its limits let through.
 */
static bool wait_for_turn(struct exchange *ex, const struct http_head *head,
			  const struct exchange_client *who, struct judging *j)
{
	struct limits_request request = limits_of(ex, head, j);

	if (!exchange_queue(ex, head, who, &j->source)) {
		limits_give_back(ex->proxy, &request, &j->taken);
		return false;
	}
	ex->queued->taken = j->taken;
	ex->queued->edition = j->handling.table->edition;
	/* Should it be refused meanwhile. */
	ex->handling = handling_response(&j->handling, ex->text);
	return true;
}

/* False: it waits. */
static bool admit(struct exchange *ex, const struct http_head *head,
		  const struct exchange_client *who, struct judging *j, enum reason *ret_reason)
{
	*ret_reason = REASON_RATE_LIMITED;
	if (!keeps_limits(ex, head, j, true))
		return true;
	*ret_reason = REASON_NONE;
	if (ex->verdict.kind == VERDICT_PREFLIGHT) /* It brings no token (Fetch, 4.8). */
		return true;
	if (!identify(ex, head, who, j, ret_reason)) {
		*ret_reason = REASON_OVERLOAD_TOKENS;
		return !wait_for_turn(ex, head, who, j);
	}
	if (*ret_reason == REASON_NONE && !keeps_limits(ex, head, j, false))
		*ret_reason = REASON_RATE_LIMITED;
	return true;
}

/* --- Encoding. --------------------------------------------------------------------------------- */

/* The wire form is made now: the head's bytes do not outlive this call. */
static enum reason write_request(struct exchange *ex, const struct codec *codec)
{
	size_t used = ex->handling.drops + ex->handling.lines;
	struct writer out = writer_make(ex->text + used, sizeof(ex->text) - used);

	codec->encode_request(&out, &ex->request);
	if (out.overflow) {
		ex->block = slab_alloc(&ex->proxy->heads);
		if (!ex->block)
			return REASON_OVERLOAD_MEMORY;
		out = writer_make(ex->block->text, sizeof(ex->block->text));
		codec->encode_request(&out, &ex->request);
	}
	ex->form = codec;
	ex->request.head = NULL;
	ex->text_len = (uint32_t)writer_len(&out);
	return out.overflow ? REASON_HEADERS_TOO_LARGE : REASON_NONE;
}

static enum reason encode(struct exchange *ex, struct http_head *head,
			  const struct exchange_client *who, struct judging *j)
{
	struct handling *handling = &j->handling;
	struct proxy *proxy = ex->proxy;
	struct forward_client client = {
		.peer = who->peer,
		.identity = who->identity,
		.san = j->client.san,
		.trusted = who->trusted,
		.secure = who->tls > 0,
		.h2 = who->h2,
	};
	struct writer extra = writer_make(proxy->extra, sizeof(proxy->extra));
	struct writer target = writer_make(proxy->target, sizeof(proxy->target));
	struct http_rewrite rewrite = { 0 };
	enum reason reason;

	ex->log.id_len = (uint16_t)forward_request(proxy, head, &client, &extra, ex->log.id);
	handling_know_id(handling, slice_make(ex->log.id, ex->log.id_len));
	auth_tell(handling->table, &j->client, head, &extra);
	reason = handling_request(handling, head, &extra);
	if (reason == REASON_NONE)
		reason = handling_rewrite(handling, &target, &rewrite);
	if (reason == REASON_NONE && extra.overflow)
		reason = REASON_HEADERS_TOO_LARGE;
	ex->handling = handling_response(handling, ex->text);
	if (reason != REASON_NONE)
		return reason;
	ex->request = (struct stream_message){
		.head = head,
		.rewrite = rewrite,
		.extra = writer_slice(&extra),
		.method = head->method,
		.body = head->body,
		.length = head->content_length,
		.announce = head->has_length,
		.upgrade = upgrade_of(ex, head),
	};
	return write_request(ex, upstream_codec(proxy, ex->verdict.service));
}

static const struct {
	uint8_t bit, label;
} anomalies[] = {
	{ HTTP_ANOMALY_LEADING_CRLF, METRIC_ANOMALY_LEADING_CRLF },
	{ HTTP_ANOMALY_HOST_MISMATCH, METRIC_ANOMALY_HOST_MISMATCH },
	{ HTTP_ANOMALY_CL_UNNORMALISED, METRIC_ANOMALY_CL_UNNORMALISED },
	{ HTTP_ANOMALY_TE_UNNORMALISED, METRIC_ANOMALY_TE_UNNORMALISED },
	{ HTTP_ANOMALY_PATH_NORMALISED, METRIC_ANOMALY_PATH_NORMALISED },
	{ HTTP_ANOMALY_TRACEPARENT_INVALID, METRIC_ANOMALY_TRACEPARENT_INVALID },
};

static void count_anomalies(struct proxy *proxy, const struct http_head *head)
{
	for (size_t i = 0; head->anomalies && i < ARRAY_SIZE(anomalies); i++)
		if (head->anomalies & anomalies[i].bit)
			metric_inc_label(proxy->metrics, METRIC_ANOMALIES, anomalies[i].label);
}

/* --- Answers that a route gives. -------------------------------------------------------------- */

enum {
	LOCATION_LINE = HANDLING_LOCATION_MAX + 12,
	OTHERS_MAX = 400, /* Bytes of all that each answer has. */
};

_Static_assert(LOCATION_LINE + HANDLING_TEXT_MAX + OTHERS_MAX <= EXCHANGE_TEXT &&
		       2 * HANDLING_TEXT_MAX + OTHERS_MAX <= EXCHANGE_TEXT &&
		       EXCHANGE_CHALLENGE + HANDLING_TEXT_MAX + OTHERS_MAX <= EXCHANGE_TEXT,
	       "a redirect with all its rules has room, a preflight's answer, a challenge");

static void redirect(struct exchange *ex, const struct handling *handling)
{
	char text[LOCATION_LINE];
	struct writer out = writer_make(text, sizeof(text));
	struct exchange_answer answer = { .status = handling->rules->answer.status };

	writer_lit(&out, "location: ");
	handling_location(handling, &out);
	writer_lit(&out, "\r\n");
	answer.lines = writer_slice(&out);
	if (out.overflow)
		exchange_refuse(ex, 414, REASON_URI_TOO_LONG, ACCOUNT_BY_CLIENT);
	else
		exchange_answer(ex, &answer);
}

static void respond(struct exchange *ex, const struct handling *handling)
{
	const struct policy_answer *given = &handling->rules->answer;
	struct slice body = table_text(handling->table, given->body);
	struct exchange_answer answer = {
		.status = given->status,
		.type = table_text(handling->table, given->type),
		.lines = given->status == 429 || given->status == 503 ? SLICE("retry-after: 1\r\n")
								      : SLICE(""),
	};

	if (body.len) {
		answer.body = ring_buf_take(ex->proxy->ring);
		if (!answer.body) {
			exchange_refuse(ex, 503, REASON_OVERLOAD_BUFFERS, ACCOUNT_BY_GATEWAY);
			return;
		}
		memcpy(ring_buf_data(answer.body), body.ptr, body.len);
		answer.body->len = (uint32_t)body.len;
	}
	exchange_answer(ex, &answer);
}

static void preflight(struct exchange *ex, const struct handling *handling)
{
	struct writer lines = writer_make(ex->proxy->target, sizeof(ex->proxy->target));
	struct exchange_answer answer = { .status = 204 };

	writer_lit(&lines, "vary: origin\r\n");
	if (!handling_preflight(handling, &lines)) {
		exchange_refuse(ex, 403, REASON_CORS_ORIGIN, ACCOUNT_BY_CLIENT);
		return;
	}
	GW_ASSERT(!lines.overflow);
	answer.lines = writer_slice(&lines);
	exchange_answer(ex, &answer);
}

/* --- By the policy. --------------------------------------------------------------------------- */

static void refuse(struct exchange *ex, struct judging *j, enum reason reason)
{
	ex->handling = handling_response(&j->handling, ex->text);
	exchange_refuse_with(ex, reason, writer_slice(&j->challenge));
}

static void pass_on(struct exchange *ex, struct http_head *head, const struct exchange_client *who,
		    struct judging *j)
{
	enum reason reason;

	ex->account.service = ex->verdict.service;
	/* While it was queued; at other times nothing has come yet. */
	if (ex->up.in > ex->verdict.max_body) {
		refuse(ex, j, REASON_BODY_TOO_LARGE);
		return;
	}
	reason = encode(ex, head, who, j);
	if (reason != REASON_NONE) {
		exchange_refuse(ex, (uint16_t)reason_status(reason), reason, ACCOUNT_BY_GATEWAY);
		return;
	}
	if (head->body == HTTP_BODY_LENGTH)
		ex->up.length = head->content_length;
	ex->replayable = ex->verdict.retry && ex->up.ended && list_is_empty(&ex->held) &&
			 !ex->trailers;
	ex->retriable = ex->replayable && is_idempotent(head->method);
	exchange_connect(ex, false, -1);
}

static void answer_by_route(struct exchange *ex, struct handling *handling)
{
	ex->handling = handling_response(handling, ex->text);
	if (handling->rules->answer.location.n)
		redirect(ex, handling);
	else
		respond(ex, handling);
}

static void carry_out(struct exchange *ex, struct http_head *head,
		      const struct exchange_client *who, struct judging *j)
{
	enum reason reason;

	if (ex->verdict.kind == VERDICT_REFUSE) {
		refuse(ex, j, (enum reason)ex->verdict.reason);
		return;
	}
	ex->account.route = ex->verdict.route;
	if (!admit(ex, head, who, j, &reason))
		return;
	if (reason != REASON_NONE)
		refuse(ex, j, reason);
	else if (ex->verdict.kind == VERDICT_PREFLIGHT)
		preflight(ex, &j->handling);
	else if (ex->verdict.kind == VERDICT_ANSWER)
		answer_by_route(ex, &j->handling);
	else
		pass_on(ex, head, who, j);
}

/* The request has a route. */
static void take_route(struct exchange *ex, struct http_head *head,
		       const struct exchange_client *who, const struct policy_table *table)
{
	struct judging j;

	j.handling.table = table;
	j.client = (struct auth_client){ 0 };
	j.taken.set = j.taken.refused = 0;
	j.told = writer_make(j.told_text, sizeof(j.told_text));
	j.challenge = writer_make(j.challenge_text, sizeof(j.challenge_text));
	j.source = who->trusted ? forward_source(head, who->peer, who->listener) : *who->peer;
	handling_begin(&j.handling, table, ex->verdict.index, head, &j.source, who->tls > 0);
	account_names(&ex->account, &ex->log, table, ex->verdict.index);
	carry_out(ex, head, who, &j);
}

_Static_assert((int)QUESTION_ALLOW_MAX <= (int)EXCHANGE_CHALLENGE, "a refusal has room for it");

static void refuse_without_route(struct exchange *ex, const struct policy_table *table,
				 const struct policy_request *request)
{
	enum reason reason = (enum reason)ex->verdict.reason;
	char text[QUESTION_ALLOW_MAX];

	exchange_refuse_with(ex, reason,
			     reason == REASON_METHOD_NOT_ALLOWED
				     ? question_allow(table, request, text)
				     : SLICE(""));
}

static void judge_by_policy(struct exchange *ex, struct http_head *head,
			    const struct exchange_client *who)
{
	const struct policy_table *table = proxy_table(ex->proxy);
	struct policy_request request = question_of(head);

	ex->verdict = policy_decide(table, &request);
	ex->account.generation = ex->verdict.generation;
	if (ex->verdict.index == POLICY_NO_ROUTE)
		refuse_without_route(ex, table, &request);
	else
		take_route(ex, head, who, table);
}

static void give_limits_back(struct exchange *ex, struct exchange_queued *queued)
{
	const struct policy_table *table = proxy_table(ex->proxy);
	struct limits_request request;

	if (table->edition != queued->edition) /* Others hold now, and routes have other places. */
		return;
	request = (struct limits_request){ .table = table,
					   .route = table_route(table, ex->verdict.index) };
	limits_give_back(ex->proxy, &request, &queued->taken);
}

/* As if it came only now. */
void exchange_judge_queued(struct exchange *ex, struct exchange_queued *queued)
{
	give_limits_back(ex, queued);
	ex->handling = (struct handling_text){ 0 };
	ex->account.route = METRIC_NAME_REJECTED;
	ex->log.route_len = ex->log.service_len = ex->log.limit_len = 0;
	judge_by_policy(ex, &queued->head, &queued->who);
}

/* For somebody else than whom the client has shaken hands with (RFC 9110 7.4). */
static bool is_misdirected(const struct http_head *head, const struct exchange_client *who)
{
	return who->session && !tls_serves(who->session, http_text(head, head->host));
}

void exchange_judge(struct exchange *ex, struct http_head *head, const struct exchange_client *who)
{
	count_anomalies(ex->proxy, head);
	if (question_is_health(ex->proxy->options, head))
		answer_health(ex);
	else if (is_misdirected(head, who))
		exchange_refuse(ex, 421, REASON_MISDIRECTED, ACCOUNT_BY_CLIENT);
	else if (question_is_ours(head))
		exchange_reply(ex, 204, SLICE(""), SLICE(ALLOW));
	else if (forward_is_loop(ex->proxy, head))
		exchange_refuse(ex, 508, REASON_LOOP_DETECTED, ACCOUNT_BY_CLIENT);
	else
		judge_by_policy(ex, head, who);
}

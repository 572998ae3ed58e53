/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange's response: passed on from the upstream, or an answer of our own. */
#include "core/http/grpc.h"
#include "core/http/h1_write.h"
#include "core/proxy/exchange.h"
#include "core/proxy/proxy.h"

enum { INTERIM_MAX = 10 };

/* --- Our own answers. ------------------------------------------------------------------------ */

static void put_date(struct exchange *ex, struct writer *out)
{
	writer_field(out, SLICE("date"), clock_date_at(&ex->proxy->date, gw_wall_ns()));
}

/* Ours, but what the route's rules say of the same field goes first. */
static void put_lines(const struct exchange *ex, struct writer *out, struct slice lines)
{
	while (lines.len) {
		size_t len = slice_find(lines, '\n') + 1;
		struct slice line = slice_take(lines, len);

		lines = slice_drop(lines, len);
		if (!handling_says(ex->text, ex->handling, slice_take(line, slice_find(line, ':'))))
			writer_put(out, line);
	}
	writer_put(out, handling_lines(ex->text, ex->handling));
}

static void fill_answer(struct exchange *ex, const struct exchange_answer *answer,
			struct stream_message *message)
{
	size_t len = answer->body ? answer->body->len : answer->text.len;
	bool bodiless = answer->status == 204 || answer->status == 304;

	*message = (struct stream_message){
		.content_type = handling_says(ex->text, ex->handling, SLICE("content-type"))
					? SLICE("")
					: answer->type,
		.text = answer->text,
		.status = answer->status,
		.body = ex->head_request || ex->grpc || bodiless ? HTTP_BODY_NONE
								 : HTTP_BODY_LENGTH,
		.length = len,
		.announce = !ex->grpc,
		.last = answer->last || ex->proxy->draining || (ex->expects && !ex->up.ended),
	};
}

/* Nothing of an upstream's answer has been sent: say something ourselves. */
void exchange_answer(struct exchange *ex, const struct exchange_answer *answer)
{
	struct proxy *proxy = ex->proxy;
	struct writer extra = writer_make(proxy->extra, sizeof(proxy->extra));
	struct writer out = writer_make(ex->text, sizeof(ex->text));
	struct stream_message message;
	bool follows;

	exchange_drop_upstream(ex);
	exchange_decline(ex);
	put_date(ex, &extra);
	put_lines(ex, &extra, answer->lines);
	fill_answer(ex, answer, &message);
	message.extra = writer_slice(&extra);
	ex->handling = (struct handling_text){ 0 }; /* Over which the answer is written. */
	ex->client->codec->encode_response(ex->client, &out, &message);
	GW_ASSERT(!out.overflow && !extra.overflow);
	follows = answer->body && message.body == HTTP_BODY_LENGTH;
	ex->account.status = answer->status;
	ex->account.bytes_out += ex->head_request ? 0 : answer->text.len;
	ex->down.begun = true;
	ex->down.ended = !follows;
	exchange_enter(ex, EXCHANGE_REPLYING);
	ex->client->codec->send_head(ex->client, writer_slice(&out), &message, !follows);
	if (follows)
		exchange_pass_body(ex, answer->body, true);
	else if (answer->body)
		ring_buf_give(proxy->ring, answer->body);
}

void exchange_reply(struct exchange *ex, uint16_t status, struct slice text, struct slice lines)
{
	struct exchange_answer answer = { .status = status,
					  .type = text.len ? SLICE("text/plain") : SLICE(""),
					  .text = text,
					  .lines = lines };

	ex->account.route = METRIC_NAME_LOCAL;
	exchange_answer(ex, &answer);
}

/* Lines that a status asks for. A 405 of the policy brings the methods of its routes. */
static void put_lines_for(const struct exchange *ex, uint16_t status, struct slice more,
			  struct writer *out)
{
	if (status == 405 && more.len == 0)
		writer_lit(out, "allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n");
	if (status != 429 && status != 503)
		return;
	writer_lit(out, "retry-after: ");
	writer_u64(out, ex->retry_s ? ex->retry_s : 1);
	writer_lit(out, "\r\n");
}

/* An answer of one head, which has gRPC's status. */
static void refuse_call(struct exchange *ex, uint16_t status, enum reason reason)
{
	char text[STREAM_OWN_TEXT_MAX];
	struct writer lines = writer_make(text, sizeof(text));

	writer_lit(&lines, "grpc-status: ");
	writer_u64(&lines, grpc_status(status, reason));
	writer_lit(&lines, "\r\n");
	writer_field(&lines, SLICE("grpc-message"), reason_label(reason));
	GW_ASSERT(!lines.overflow);
	exchange_answer(ex, &(struct exchange_answer){ .status = 200,
						       .type = SLICE("application/grpc"),
						       .lines = writer_slice(&lines) });
}

static void refuse(struct exchange *ex, uint16_t status, enum reason reason,
		   enum account_ender ender, struct slice more)
{
	char text[STREAM_OWN_TEXT_MAX], lines[EXCHANGE_CHALLENGE + 80];
	struct writer out = writer_make(text, sizeof(text));
	struct writer fields = writer_make(lines, sizeof(lines));

	if (status == 0 || ex->state >= EXCHANGE_RESPONDING) {
		exchange_cut(ex, reason, ender);
		return;
	}
	exchange_blame(ex, reason, ender);
	if (ex->grpc) {
		refuse_call(ex, status, reason);
		return;
	}
	writer_lit(&out, "{\"status\":");
	writer_u64(&out, status);
	writer_lit(&out, ",\"reason\":\"");
	writer_put(&out, reason_label(reason));
	writer_lit(&out, "\"}\n");
	put_lines_for(ex, status, more, &fields);
	writer_put(&fields, more);
	GW_ASSERT(!fields.overflow);
	exchange_answer(
		ex, &(struct exchange_answer){ .status = status,
					       .type = SLICE("application/json"),
					       .text = writer_slice(&out),
					       .lines = writer_slice(&fields),
					       .last = reason_connection(reason) != REASON_KEEP });
}

void exchange_refuse(struct exchange *ex, uint16_t status, enum reason reason,
		     enum account_ender ender)
{
	refuse(ex, status, reason, ender, SLICE(""));
}

void exchange_refuse_with(struct exchange *ex, enum reason reason, struct slice lines)
{
	refuse(ex, (uint16_t)reason_status(reason), reason, ACCOUNT_BY_GATEWAY, lines);
}

/* --- The upstream's answer. ------------------------------------------------------------------ */

static void pass_interim(struct exchange *ex, const struct http_head *head)
{
	if (++ex->n_1xx > INTERIM_MAX) {
		exchange_refuse(ex, 502, REASON_UPSTREAM_1XX, ACCOUNT_BY_UPSTREAM);
		return;
	}
	exchange_wait_begin(ex);
	if (ex->account.minor == 0) /* RFC 9110 15.2 */
		return;
	ex->client->codec->send_info(ex->client, head);
	ex->client->codec->flush(ex->client);
}

static void message_of(const struct exchange *ex, const struct http_head *head,
		       struct stream_message *ret_message)
{
	/* A length of 0 is told as well: else a client would wait for the end of the connection. */
	bool bodiless = ex->head_request || head->status == 204 || head->status == 304 ||
			head->body == HTTP_BODY_NONE;

	*ret_message = (struct stream_message){
		.head = head,
		.status = head->status,
		.body = head->body,
		.length = head->content_length,
		.announce = bodiless && head->has_length && head->status != 204,
		.last = ex->proxy->draining || (ex->expects && !ex->up.ended),
	};
	ret_message->upgrade = head->upgrade;
	if (bodiless)
		ret_message->body = HTTP_BODY_NONE;
	else if (head->body == HTTP_BODY_UNTIL_CLOSE)
		ret_message->body = HTTP_BODY_CHUNKED; /* Its length is not known. */
}

void exchange_decline(struct exchange *ex)
{
	if (ex->request.upgrade && ex->client->codec->decline(ex->client))
		exchange_blame(ex, REASON_UPGRADE_EARLY_DATA, ACCOUNT_BY_CLIENT);
	ex->request.upgrade = HTTP_UPGRADE_NONE;
}

static void pass_head(struct exchange *ex, struct http_head *head, bool end)
{
	struct proxy *proxy = ex->proxy;
	struct writer out = writer_make(proxy->head_text, sizeof(proxy->head_text));
	struct stream_message message;

	if (!head->upgrade)
		exchange_decline(ex);
	message_of(ex, head, &message);
	message.extra = handling_apply(ex->text, ex->handling, head);
	ex->client->codec->encode_response(ex->client, &out, &message);
	if (out.overflow) {
		exchange_refuse(ex, 502, REASON_UPSTREAM_HEADER, ACCOUNT_BY_UPSTREAM);
		return;
	}
	ex->account.status = head->status;
	ex->down.length = message.body == HTTP_BODY_LENGTH ? message.length : UINT64_MAX;
	ex->down.begun = true;
	ex->down.ended = end;
	if (head->upgrade)
		exchange_begin_tunnel(ex);
	exchange_enter(ex, head->upgrade ? EXCHANGE_TUNNEL : EXCHANGE_RESPONDING);
	ex->client->codec->send_head(ex->client, writer_slice(&out), &message, end);
	if (head->upgrade)
		exchange_flow_open(ex, &ex->up);
}

static void upstream_head(struct stream *s, struct http_head *head, bool end)
{
	struct exchange *ex = s->owner;

	if (!ex->account.first_byte_ns)
		ex->account.first_byte_ns = ring_now_ns(ex->proxy->ring);
	ex->account.upstream_status = head->status;
	if (head->status >= 200 || head->upgrade)
		pass_head(ex, head, end);
	else
		pass_interim(ex, head);
	exchange_settle(ex);
}

static void upstream_body(struct stream *s, struct ring_buf *buf, bool end)
{
	struct exchange *ex = s->owner;

	exchange_pass_body(ex, buf, end);
	exchange_settle(ex);
}

static void upstream_trailers(struct stream *s, struct slice lines)
{
	struct exchange *ex = s->owner;

	ex->down.ended = true;
	ex->client->codec->send_trailers(ex->client, lines);
	exchange_settle(ex);
}

static void upstream_flush(struct stream *s, bool more)
{
	struct exchange *ex = s->owner;

	if (!ex->client || !ex->down.begun)
		return;
	ex->down.more = more;
	exchange_flow_open(ex, &ex->down);
	ex->client->codec->flush(ex->client);
	exchange_settle(ex);
}

static void upstream_sent(struct stream *s, uint64_t n, bool all)
{
	struct exchange *ex = s->owner;

	exchange_flow_sent(ex, &ex->up, n, all);
	exchange_settle(ex);
}

static void upstream_malformed(struct stream *s, const struct stream_fault *fault)
{
	(void)s;
	(void)fault;
	GW_UNREACHABLE(); /* Server role only. */
}

/*
 * A pooled connection may have been closed by its peer while our request was on its way; or its
 * peer has said that it did nothing with the request (RFC 9113 8.7).
 */
static bool may_try_again(const struct exchange *ex, const struct stream_fault *fault)
{
	if (!fault->untouched || ex->n_1xx > 0 || ex->state != EXCHANGE_SENDING || ex->again ||
	    !exchange_is_spoken(ex))
		return false;
	if (fault->refused)
		return ex->replayable || (ex->verdict.retry && fault->unsent);
	return ex->call.reused && ex->retriable;
}

static void try_again(struct exchange *ex, const struct stream_fault *fault)
{
	GW_ASSERT(list_is_empty(&ex->held));
	if (fault->unsent)
		list_splice_back(&ex->held, fault->unsent);
	ex->again = true;
	ex->account.retries++;
	metric_inc(ex->proxy->metrics, METRIC_UPSTREAM_RETRIES);
	ex->up.sent = false;
	ex->up.begun = false;
	ex->account.connected_ns = 0; /* Moments are those of the attempt that counts. */
	ex->account.sent_ns = 0;
	upstream_done(ex->proxy, &ex->call);
	exchange_connect(ex, true, -1);
}

static void upstream_reset(struct stream *s, const struct stream_fault *fault)
{
	struct exchange *ex = s->owner;

	ex->upstream = NULL; /* Its connection is closed already. */
	if (ex->state == EXCHANGE_RESPONDING && ex->down.ended)
		exchange_drop_upstream(ex); /* All was said; only the request is not wanted. */
	else if (may_try_again(ex, fault))
		try_again(ex, fault);
	else
		exchange_refuse(ex, fault->status, fault->reason, ACCOUNT_BY_UPSTREAM);
	exchange_settle(ex);
}

const struct stream_user exchange_upstream_user = {
	.head = upstream_head,
	.body = upstream_body,
	.trailers = upstream_trailers,
	.flush = upstream_flush,
	.sent = upstream_sent,
	.malformed = upstream_malformed,
	.reset = upstream_reset,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first line is judged by line.c as it comes, more strictly than llhttp
 * would. So llhttp begins with the fields, from a state in which it has just
 * read a first line, unless the method is one that only llhttp knows. It checks
 * the grammar of the fields and leaves their spans here; what they mean is
 * decided by judge.c on the stored head. llhttp never sees a body: it is stopped
 * at the end of the head.
 *
 * Every verdict belongs to a byte: it would be the same if the bytes before it
 * came one by one and those behind it never. Hence llhttp is never fed beyond
 * the byte at which a limit would be passed, and its error goes first.
 */
#include "core/http/h1_parse.h"

#include "core/http/fault.h"
#include "core/http/judge.h"
#include "core/http/speech.h"

/* Its methods would have the names of ours. They are not used: methods are read by line.c. */
#define HTTP_GET     LLHTTP_GET
#define HTTP_HEAD    LLHTTP_HEAD
#define HTTP_POST    LLHTTP_POST
#define HTTP_PUT     LLHTTP_PUT
#define HTTP_DELETE  LLHTTP_DELETE
#define HTTP_OPTIONS LLHTTP_OPTIONS
#define HTTP_PATCH   LLHTTP_PATCH
#define HTTP_TRACE   LLHTTP_TRACE
#define HTTP_CONNECT LLHTTP_CONNECT
#include <llhttp.h>
#undef HTTP_GET
#undef HTTP_HEAD
#undef HTTP_POST
#undef HTTP_PUT
#undef HTTP_DELETE
#undef HTTP_OPTIONS
#undef HTTP_PATCH
#undef HTTP_TRACE
#undef HTTP_CONNECT

#if LLHTTP_VERSION_MAJOR * 10000 + LLHTTP_VERSION_MINOR * 100 + LLHTTP_VERSION_PATCH < 90201
#error "llhttp before 9.2.1 lets requests be smuggled"
#endif
_Static_assert(sizeof(llhttp_t) <= H1_LLHTTP_SIZE, "h1_parser has room for llhttp");
_Static_assert(offsetof(struct h1_parser, llhttp) == 0, "llhttp's address is the parser's");

/* clang-format off */
/*        name          may be followed by */
#define H1_STATES(X) \
	X(FIRST_LINE,   TO(FIELDS) | TO(REFUSED)) \
	X(FIELDS,       TO(FAULT) | TO(COMPLETE) | TO(REFUSED)) \
	X(FAULT,        TO(REFUSED)) \
	X(COMPLETE,     TO(REFUSED)) \
	X(REFUSED,      0)
/* clang-format on */

enum h1_state {
#define X(name, next) H1_STATE_##name,
	H1_STATES(X)
#undef X
};

#define TO(name) (1u << H1_STATE_##name)
static const uint8_t may_follow[] = {
#define X(name, next) [H1_STATE_##name] = next,
	H1_STATES(X)
#undef X
};
#undef TO

const struct h1_limits h1_limits_default = {
	.request_line_max = 8192,
	.field_line_max = 8192,
	.head_max = 32768,
	.fields_max = 100,
};

static llhttp_t *llhttp_of(struct h1_parser *parser)
{
	return (llhttp_t *)(void *)parser->llhttp;
}

static struct h1_parser *parser_of(llhttp_t *llhttp)
{
	return (struct h1_parser *)(void *)llhttp;
}

static void h1_enter(struct h1_parser *parser, enum h1_state next)
{
	GW_ASSERT(may_follow[parser->state] & (1u << next));
	parser->state = (uint8_t)next;
}

static enum h1_progress h1_refuse(struct h1_parser *parser, struct http_refusal refusal)
{
	GW_ASSERT(refusal.reason != REASON_NONE && refusal.status >= 400);
	parser->refusal = refusal;
	h1_enter(parser, H1_STATE_REFUSED);
	return H1_REFUSED;
}

/* A refusal of a request, or of a response as the client is told. */
static struct http_refusal refusal_of(const struct h1_parser *parser, uint16_t status,
				      enum reason reason)
{
	if (parser->response)
		return (struct http_refusal){ .status = 502, .reason = REASON_UPSTREAM_HEADER };
	return (struct http_refusal){ .status = status, .reason = (uint16_t)reason };
}

/* Spans come in pieces; what begins where the last one ended goes on with it. */
static int on_field(llhttp_t *llhttp, const char *at, size_t len)
{
	struct h1_parser *parser = parser_of(llhttp);
	struct http_head *head = &parser->head;
	struct http_field *field = &head->fields[head->n_fields - (head->n_fields > 0)];
	size_t off = (size_t)(at - head->base);

	GW_ASSERT(off + len <= HTTP_HEAD_MAX);
	if (head->n_fields > 0 && off == (size_t)field->name.off + field->name.len) {
		field->name.len = (uint16_t)(field->name.len + len);
		return HPE_OK;
	}
	parser->overfull = head->n_fields == parser->limits->fields_max;
	if (parser->overfull)
		return HPE_OK; /* Judged with its ':', not sooner if the bytes are cut before. */
	field = &head->fields[head->n_fields++];
	field->name = (struct http_span){ (uint16_t)off, (uint16_t)len };
	field->value = (struct http_span){ (uint16_t)off, 0 };
	return HPE_OK;
}

static int on_field_complete(llhttp_t *llhttp)
{
	return parser_of(llhttp)->overfull ? -1 : HPE_OK;
}

static int on_value(llhttp_t *llhttp, const char *at, size_t len)
{
	struct http_head *head = &parser_of(llhttp)->head;
	struct http_field *field = &head->fields[head->n_fields - 1];
	size_t off = (size_t)(at - head->base);

	GW_ASSERT(head->n_fields > 0 && off + len <= HTTP_HEAD_MAX);
	if (field->value.len == 0)
		field->value = (struct http_span){ (uint16_t)off, (uint16_t)len };
	else
		field->value.len = (uint16_t)(field->value.len + len);
	GW_ASSERT(field->value.off + (size_t)field->value.len == off + len);
	return HPE_OK;
}

static int on_head_complete(llhttp_t *llhttp)
{
	(void)llhttp;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_header_field = on_field,
	.on_header_field_complete = on_field_complete,
	.on_header_value = on_value,
	.on_headers_complete = on_head_complete,
};

enum first_line { REQUEST_10, REQUEST_11, RESPONSE_10, RESPONSE_11, N_FIRST_LINES };

/*
 * llhttp behind a first line of each kind, made when a thread first needs one.
 * To what llhttp does with fields, all first lines of a kind are the same.
 */
static _Thread_local struct {
	bool ready;
	llhttp_t at[N_FIRST_LINES];
} behind_line;

__attribute__((cold)) static void prepare_behind_line(void)
{
	static const struct slice lines[N_FIRST_LINES] = {
		[REQUEST_10] = SLICE_INIT("GET / HTTP/1.0\r\n"),
		[REQUEST_11] = SLICE_INIT("GET / HTTP/1.1\r\n"),
		[RESPONSE_10] = SLICE_INIT("HTTP/1.0 200 OK\r\n"),
		[RESPONSE_11] = SLICE_INIT("HTTP/1.1 200 OK\r\n"),
	};

	for (int i = 0; i < N_FIRST_LINES; i++) {
		llhttp_t *llhttp = &behind_line.at[i];
		llhttp_errno_t error;

		llhttp_init(llhttp, i >= RESPONSE_10 ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
		error = llhttp_execute(llhttp, lines[i].ptr, lines[i].len);
		GW_ASSERT(error == HPE_OK && llhttp->lenient_flags == 0);
	}
	behind_line.ready = true;
}

/* Everything but the fields themselves, of which there are none yet. */
static void h1_begin(struct h1_parser *parser, const struct h1_limits *limits, bool response)
{
	GW_ASSERT(limits->head_max <= HTTP_HEAD_MAX && limits->fields_max <= HTTP_FIELDS_MAX);
	memset((char *)parser + H1_LLHTTP_SIZE, 0,
	       offsetof(struct h1_parser, head.fields) - H1_LLHTTP_SIZE);
	parser->limits = limits;
	parser->response = response;
	parser->state = H1_STATE_FIRST_LINE;
}

void h1_parse_request(struct h1_parser *parser, const struct h1_limits *limits)
{
	h1_begin(parser, limits, false);
}

void h1_parse_response(struct h1_parser *parser, const struct h1_limits *limits,
		       enum http_method method)
{
	h1_begin(parser, limits, true);
	parser->head.method = (uint8_t)method;
}

/* A few CRLFs before a request are let through (RFC 9112 2.2). Rows L02, L03 of tests/vectors. */
static bool skip_leading(struct h1_parser *parser, const char *base, uint32_t len)
{
	while (parser->leading < len) {
		uint32_t at = parser->leading;

		if (base[at] != '\r' && base[at] != '\n')
			break;
		if (at == H1_LEADING_MAX || base[at] != (at % 2 ? '\n' : '\r'))
			return false;
		parser->leading++;
	}
	/* Half a blank line in front of something else. */
	return parser->leading == len || parser->leading % 2 == 0;
}

/*
 * The first line is there and good: ready for fields. A method that line.c does
 * not know is one of llhttp's list or of none. Its line is judged by llhttp.
 */
static enum h1_progress take_line(struct h1_parser *parser, const char *base, uint32_t end)
{
	uint32_t kind = (parser->response ? RESPONSE_10 : REQUEST_10) + parser->head.minor;
	llhttp_t *llhttp = llhttp_of(parser);
	llhttp_errno_t error;

	GW_ASSERT(parser->head.minor <= 1);
	parser->line_end = end;
	parser->line_start = end;
	if (parser->leading > 0)
		parser->head.anomalies |= HTTP_ANOMALY_LEADING_CRLF;
	h1_enter(parser, H1_STATE_FIELDS);
	if (GW_UNLIKELY(!behind_line.ready))
		prepare_behind_line();
	if (GW_LIKELY(parser->response || parser->head.method != HTTP_OTHER)) {
		*llhttp = behind_line.at[kind];
		return H1_DONE;
	}
	llhttp_init(llhttp, HTTP_REQUEST, &settings);
	GW_ASSERT(llhttp->lenient_flags == 0);
	error = llhttp_execute(llhttp, base + parser->leading, end - parser->leading);
	if (error == HPE_OK)
		return H1_DONE;
	return h1_refuse(parser, error == HPE_INVALID_URL
					 ? refusal_of(parser, 400, REASON_BAD_TARGET)
					 : refusal_of(parser, 501, REASON_METHOD_UNKNOWN));
}

/* PARTIAL, or REFUSED, or DONE when the line is there. */
static enum h1_progress read_request_line(struct h1_parser *parser, const char *base, uint32_t len)
{
	uint32_t target_max = parser->limits->request_line_max;
	struct http_refusal refusal;
	const char *text, *lf;
	uint32_t line_len;

	if (parser->line.at == 0 && !skip_leading(parser, base, len))
		return h1_refuse(parser, refusal_of(parser, 400, REASON_BAD_REQUEST_LINE));
	text = base + parser->leading;
	lf = parser->line.at == 0 ? memchr(text, '\n', len - parser->leading) : NULL;
	line_len = lf ? (uint32_t)(lf + 1 - text) : 0;
	if (!lf || !line_is_request(&parser->line, text, line_len, target_max)) {
		refusal = line_read_request(&parser->line, text, len - parser->leading, target_max,
					    &line_len);
		if (refusal.reason != REASON_NONE)
			return h1_refuse(parser, refusal);
		if (line_len == 0)
			return H1_PARTIAL;
	}
	refusal = line_take_request(&parser->line, parser->leading, line_len, &parser->head);
	if (refusal.reason != REASON_NONE)
		return h1_refuse(parser, refusal);
	return take_line(parser, base, parser->leading + line_len);
}

/* An upstream that speaks something else is named as such, not as one whose answer is malformed. */
static enum h1_progress hear_status_line(struct h1_parser *parser, const char *base, uint32_t len)
{
	switch (http_speech_of(slice_make(base, len))) {
	case HTTP_SPEECH_SHORT:
		return H1_PARTIAL;
	case HTTP_SPEECH_HTTP2:
	case HTTP_SPEECH_TLS:
		return h1_refuse(parser, (struct http_refusal){
						 502, REASON_UPSTREAM_PROTOCOL_MISMATCH, false });
	case HTTP_SPEECH_HTTP1:
	case HTTP_SPEECH_UNKNOWN:
		break;
	}
	return H1_DONE;
}

static enum h1_progress read_status_line(struct h1_parser *parser, const char *base, uint32_t len)
{
	uint32_t size = parser->limits->field_line_max;
	const char *lf = memchr(base, '\n', len < size ? len : size);
	enum h1_progress heard = hear_status_line(parser, base, len);
	struct http_refusal refusal;

	if (heard != H1_DONE)
		return heard;
	if (!lf && len < size)
		return H1_PARTIAL;
	if (!lf)
		return h1_refuse(parser, refusal_of(parser, 502, REASON_UPSTREAM_HEADER));
	refusal = line_take_status(0, (uint32_t)(lf + 1 - base), &parser->head);
	if (refusal.reason != REASON_NONE)
		return h1_refuse(parser, refusal);
	return take_line(parser, base, (uint32_t)(lf + 1 - base));
}

/*
 * llhttp refuses framing at the first byte that shows it. The reason wants the
 * whole line, and the byte behind it, which tells whether it was folded.
 */
static enum h1_progress read_fault(struct h1_parser *parser, const char *base, uint32_t len)
{
	uint32_t line = parser->line_start;
	uint32_t size = parser->limits->field_line_max + 2;
	uint32_t end = len < parser->limits->head_max ? len : parser->limits->head_max;
	const char *text = base + line;
	const char *lf = memchr(text, '\n', end - line < size ? end - line : size);

	if (!lf && end - line >= size)
		return h1_refuse(parser, refusal_of(parser, 431, REASON_HEADER_TOO_LARGE));
	if (!lf || lf + 1 == base + end) {
		if (end < parser->limits->head_max)
			return H1_PARTIAL;
		return h1_refuse(parser, refusal_of(parser, 431, REASON_HEADERS_TOO_LARGE));
	}
	if (fault_is_fold(lf[1]))
		return h1_refuse(parser, refusal_of(parser, 400, REASON_OBS_FOLD));
	if (parser->response)
		return h1_refuse(parser,
				 (struct http_refusal){ 502, REASON_UPSTREAM_FRAMING, false });
	return h1_refuse(parser,
			 refusal_of(parser, 400,
				    fault_framing(&parser->head, line,
						  slice_make(text, (size_t)(lf - 1 - text)))));
}

/*
 * Which byte did llhttp refuse? Its own word is that byte or the one behind it.
 * So try without the latter, from the state 'before' the bytes from 'from' on.
 */
static uint32_t find_fault(struct h1_parser *parser, llhttp_t *before, const char *base,
			   uint32_t from)
{
	static const llhttp_settings_t no_callbacks = { 0 };
	const char *pos = llhttp_get_error_pos(llhttp_of(parser));
	uint32_t at = (uint32_t)(pos - base);

	GW_ASSERT(pos >= base + from && at <= parser->seen);
	if (at == from || at == parser->seen)
		return at == from ? at : at - 1;
	before->settings = (void *)(uintptr_t)&no_callbacks; /* Not const there, but not written. */
	return llhttp_execute(before, base + from, at - from) == HPE_OK ? at : at - 1;
}

static enum h1_progress explain(struct h1_parser *parser, llhttp_t *before, const char *base,
				uint32_t from, llhttp_errno_t error)
{
	uint32_t at;

	if (error == HPE_CB_HEADER_FIELD_COMPLETE)
		return h1_refuse(parser, refusal_of(parser, 431, REASON_TOO_MANY_HEADERS));
	at = find_fault(parser, before, base, from);
	if (error == HPE_UNEXPECTED_CONTENT_LENGTH || error == HPE_INVALID_CONTENT_LENGTH ||
	    error == HPE_INVALID_TRANSFER_ENCODING) {
		parser->line_start = fault_framing_line(base, at);
		h1_enter(parser, H1_STATE_FAULT);
		return read_fault(parser, base, parser->seen);
	}
	return h1_refuse(parser, refusal_of(parser, 400, fault_grammar(&parser->head, base, at)));
}

/*
 * llhttp knows only spaces behind a length; blanks are blanks (RFC 9110 5.6.3).
 * Tabs are so rare that looking for the line they are in costs nothing.
 */
static void blank_tabs(char *base, uint32_t from, uint32_t to)
{
	static const struct slice length = SLICE_INIT("content-length:");
	char *tab;

	while (from < to && (tab = memchr(base + from, '\t', to - from))) {
		uint32_t at = (uint32_t)(tab - base);
		uint32_t line = fault_line(base, at);
		const char *lf = memchr(tab, '\n', to - at);

		from = lf ? (uint32_t)(lf - base) : to;
		if (!slice_starts_with_nocase(slice_make(base + line, to - line), length))
			continue;
		for (; at < from; at++)
			base[at] = base[at] == '\t' ? ' ' : base[at];
	}
}

/*
 * How far llhttp may go: to the end, or to where a line or the head has become
 * too long without an end. The size of the CRLF is not counted.
 */
static uint32_t find_stop(struct h1_parser *parser, const char *base, uint32_t len,
			  enum reason *ret_reason)
{
	uint32_t line_size = parser->limits->field_line_max + 2;
	uint32_t head_max = parser->limits->head_max;
	const char *lf;

	*ret_reason = REASON_NONE;
	while (len - parser->line_start >= line_size) {
		lf = memchr(base + parser->line_start, '\n', line_size);
		if (!lf)
			break;
		parser->line_start = (uint32_t)(lf + 1 - base);
	}
	if (len - parser->line_start >= line_size && parser->line_start + line_size <= head_max) {
		*ret_reason = REASON_HEADER_TOO_LARGE;
		return parser->line_start + line_size;
	}
	if (len < head_max)
		return len;
	*ret_reason = REASON_HEADERS_TOO_LARGE;
	return head_max;
}

static enum h1_progress finish(struct h1_parser *parser, char *base, uint32_t len)
{
	const char *pos = llhttp_get_error_pos(llhttp_of(parser));
	struct http_refusal refusal;

	parser->head.wire_len = (uint32_t)(pos - base);
	GW_ASSERT(parser->head.wire_len <= len && base[parser->head.wire_len - 1] == '\n');
	h1_enter(parser, H1_STATE_COMPLETE);
	refusal = parser->response ? judge_response(&parser->head)
				   : judge_request(&parser->head, base, parser->secure);
	return refusal.reason == REASON_NONE ? H1_DONE : h1_refuse(parser, refusal);
}

static enum h1_progress read_fields(struct h1_parser *parser, char *base, uint32_t from,
				    uint32_t len)
{
	enum reason too_large;
	uint32_t stop = find_stop(parser, base, len, &too_large);
	llhttp_t before = *llhttp_of(parser);
	llhttp_errno_t error;

	blank_tabs(base, from, stop);
	error = llhttp_execute(llhttp_of(parser), base + from, stop - from);
	if (error == HPE_PAUSED)
		return finish(parser, base, stop);
	if (error != HPE_OK)
		return explain(parser, &before, base, from, error);
	if (too_large != REASON_NONE)
		return h1_refuse(parser, refusal_of(parser, 431, too_large));
	return H1_PARTIAL;
}

enum h1_progress h1_parse_feed(struct h1_parser *parser, char *base, uint32_t len)
{
	uint32_t from = parser->seen;
	enum h1_progress progress;

	GW_ASSERT(parser->state <= H1_STATE_FAULT && len >= from);
	parser->head.base = base;
	if (len == from)
		return H1_PARTIAL;
	if (parser->state == H1_STATE_FIRST_LINE) {
		progress = parser->response ? read_status_line(parser, base, len)
					    : read_request_line(parser, base, len);
		if (progress != H1_DONE) {
			parser->seen = len;
			return progress;
		}
		from = parser->line_end;
	}
	parser->seen = len;
	if (parser->state == H1_STATE_FAULT)
		return read_fault(parser, base, len);
	return read_fields(parser, base, from, len);
}

bool h1_knows_method(struct slice name)
{
	static const struct slice known[] = {
#define X(number, id, text) SLICE_INIT(#text),
		HTTP_METHOD_MAP(X)
#undef X
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (slice_eq(known[i], name))
			return true;
	return false;
}

struct http_refusal h1_parse_eof(const struct h1_parser *parser)
{
	if (parser->seen == parser->leading)
		return (struct http_refusal){ .reason = REASON_NONE };
	if (parser->response)
		return (struct http_refusal){ .status = 502, .reason = REASON_UPSTREAM_RESET };
	return (struct http_refusal){ .status = 400, .reason = REASON_CLIENT_ABORT };
}

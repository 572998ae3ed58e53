/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head.h - one message head in canonical form, whatever wire it came from.
 *
 * Every codec fills a head, every decision reads one, every serialiser writes
 * from one: nothing of a client's bytes is passed on except through here. All
 * text is spans (offset, length) into one block of bytes, so that a head can be
 * moved with its bytes and kept small. A span is good as long as the block is.
 *
 * A head that h1_parse or another codec calls done has passed every check of
 * its protocol: framing is decided, the target is canonical, names are tokens,
 * values hold no CR, LF or NUL.
 *
 * Threads: none; plain values.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/reason.h"
#include "core/base/slice.h"

enum {
	HTTP_FIELDS_MAX = 128, /* Room; the configured limit is at most this. */
	HTTP_HEAD_MAX =
		61440, /* Bytes; the configured limit is at most this (spans are 16 bits). */
	HTTP_HEAD_TEXT = HTTP_HEAD_MAX + 4096, /* With what was read or put around it. */
};

struct http_span {
	uint16_t off;
	uint16_t len;
};

/* clang-format off */
#define HTTP_METHODS(X) \
	X(GET) X(HEAD) X(POST) X(PUT) X(DELETE) X(OPTIONS) X(PATCH) X(TRACE) X(CONNECT) X(OTHER)
/* clang-format on */

enum http_method {
#define X(name) HTTP_##name,
	HTTP_METHODS(X)
#undef X
		HTTP_N_METHODS
};

/* What is known about a field by its name alone: field.def. */
enum http_field_id {
	HTTP_FIELD_OTHER,
#define X(id, name, class) HTTP_FIELD_##id,
#include "core/http/field.def"
#undef X
	HTTP_N_FIELD_IDS
};

enum http_field_class {
	HTTP_CLASS_PLAIN, /* Passed on. */
	HTTP_CLASS_FRAMING, /* Content-Length, Transfer-Encoding, Host: printed by us, never passed on. */
	HTTP_CLASS_HOP,       /* Hop by hop: never passed on (RFC 9110 7.6.1). */
	HTTP_CLASS_FORWARDED, /* Ours to say: dropped from strangers. */
};

struct http_field {
	struct http_span name;
	struct http_span value; /* Without surrounding blanks. */
	uint8_t id;             /* enum http_field_id. */
	bool dropped;           /* Not passed on. */
};

/* What a connection may be turned into: X(id, "token"). See upgrade.h. */
#define HTTP_UPGRADES(X) X(WEBSOCKET, "websocket")

enum http_upgrade {
	HTTP_UPGRADE_NONE,
#define X(id, token) HTTP_UPGRADE_##id,
	HTTP_UPGRADES(X)
#undef X
		HTTP_N_UPGRADES
};

enum http_body {
	HTTP_BODY_NONE,
	HTTP_BODY_LENGTH, /* content_length bytes. */
	HTTP_BODY_CHUNKED,
	HTTP_BODY_UNTIL_CLOSE, /* Responses only. */
};

/* Harmless oddities that are served but counted (gateway_request_anomalies_total). */
enum http_anomaly {
	HTTP_ANOMALY_LEADING_CRLF = 1 << 0,
	HTTP_ANOMALY_HOST_MISMATCH = 1 << 1,
	HTTP_ANOMALY_CL_UNNORMALISED = 1 << 2,
	HTTP_ANOMALY_TE_UNNORMALISED = 1 << 3,
	HTTP_ANOMALY_PATH_NORMALISED = 1 << 4,
	HTTP_ANOMALY_TRACEPARENT_INVALID = 1 << 5,
};

struct http_head {
	const char *base;  /* All spans are offsets from here. */
	uint32_t wire_len; /* Bytes of the head on the wire, blank line included. */
	uint8_t minor;     /* HTTP/1.x: x. Other protocols: 1. */
	uint8_t method;    /* enum http_method; in a response, of its request. */
	uint8_t body;      /* enum http_body. */
	uint8_t anomalies; /* enum http_anomaly bits. */
	uint8_t upgrade;   /* enum http_upgrade: asked for by a request, switched to by a 101. */
	uint16_t status;   /* Responses. */
	uint16_t n_fields;
	bool close;           /* The sender will close after this message, or must be closed on. */
	bool expect_continue; /* 100-continue, HTTP/1.1 only. */
	bool asterisk;        /* OPTIONS *. */
	uint64_t content_length; /* With HTTP_BODY_LENGTH; in answers to HEAD what was announced. */
	bool has_length; /* A Content-Length was given (HEAD and 304 announce one without a body). */
	struct http_span method_text;
	struct http_span path;  /* Canonical, begins with '/'; see target.h. "*" for OPTIONS *. */
	struct http_span query; /* With its '?', or empty. */
	struct http_span host;  /* Canonical authority without port: lower case, no trailing dot. */
	uint16_t port;          /* Of the authority; 0 when it named none. */
	struct http_span reason_phrase;
	uint64_t ids; /* The set of ids among the fields: bit 1 << id. */
	struct http_field fields[HTTP_FIELDS_MAX];
};

/* What a request is sent on with in place of its own; empty: its own. */
struct http_rewrite {
	struct slice host; /* With its port. */
	struct slice path; /* Without a query. */
};

/* Why a message was refused; 'reason' REASON_NONE means that it was not. */
struct http_refusal {
	uint16_t status; /* What to answer; for responses what to tell the client (502). */
	uint16_t reason; /* enum reason. */
	bool keep; /* The head is sound: the connection may live on behind the message's body. */
};

static inline struct slice http_text(const struct http_head *head, struct http_span span)
{
	return (struct slice){ head->base + span.off, span.len };
}

/* The same head with bytes of its own in 'text', which has HTTP_HEAD_TEXT; good as long as they are. */
void http_head_copy(struct http_head *ret_head, char *text, const struct http_head *from);

/* The first field of that id that is not dropped, or NULL. */
const struct http_field *http_head_find(const struct http_head *head, enum http_field_id id);

/* By name, for ids that field.def does not list. ASCII case does not matter. */
const struct http_field *http_head_find_name(const struct http_head *head, struct slice name);

/*
 * The value of the only field of that name that is not dropped. False when there is none, or are
 * several: they say nothing that a rule could go by.
 */
bool http_only_field(const struct http_head *head, struct slice name, struct slice *ret_value);
/* None of that name is passed on. */
void http_drop_field(struct http_head *head, struct slice name);

/* The id of a field name, any case. Hot: one hash, one compare. */
enum http_field_id http_field_id(struct slice name);
enum http_field_class http_field_class(enum http_field_id id);
struct slice http_method_name(enum http_method method);

/* "Not Found" for 404; "Unknown" for what no RFC names. */
struct slice http_status_phrase(uint16_t status);

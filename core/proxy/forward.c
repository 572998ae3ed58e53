/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/forward.h"

#include <string.h>

#include "core/crypto/tls_identity.h"
#include "core/proxy/listener.h"
#include "core/proxy/proxy.h"

/* The labels of gateway_headers_stripped_total, by field. */
static const uint8_t stripped_labels[HTTP_N_FIELD_IDS] = {
	[HTTP_FIELD_X_FORWARDED_FOR] = METRIC_STRIPPED_X_FORWARDED_FOR,
	[HTTP_FIELD_X_FORWARDED_PROTO] = METRIC_STRIPPED_X_FORWARDED_PROTO,
	[HTTP_FIELD_X_FORWARDED_HOST] = METRIC_STRIPPED_X_FORWARDED_HOST,
	[HTTP_FIELD_X_FORWARDED_PORT] = METRIC_STRIPPED_X_FORWARDED_PORT,
	[HTTP_FIELD_FORWARDED] = METRIC_STRIPPED_FORWARDED,
	[HTTP_FIELD_X_REAL_IP] = METRIC_STRIPPED_X_REAL_IP,
	[HTTP_FIELD_X_CLIENT_CERT] = METRIC_STRIPPED_X_CLIENT_CERT,
};

/* What the last proxy said, so that ours can follow it. */
struct said {
	struct slice by[HTTP_N_FIELD_IDS];
};

/* Of a stranger nothing is believed; a trusted proxy's own words are taken over. */
static void take_forwarded(struct proxy *proxy, struct http_head *head, bool trusted,
			   struct writer *out, struct said *said)
{
	for (uint16_t i = 0; i < head->n_fields; i++) {
		struct http_field *field = &head->fields[i];

		if (field->dropped || http_field_class(field->id) != HTTP_CLASS_FORWARDED)
			continue;
		/* Of these there are many by one id, and nothing of ours is appended to them. */
		if (trusted && field->id == HTTP_FIELD_X_CLIENT_CERT) {
			said->by[field->id] = http_text(head, field->name);
			continue;
		}
		field->dropped = true;
		if (trusted) {
			/* Several lines of one name are one list (RFC 9110 5.3): earlier ones stay as they are. */
			if (said->by[field->id].len)
				writer_field(out, http_text(head, field->name),
					     said->by[field->id]);
			said->by[field->id] = http_text(head, field->value);
		} else {
			metric_inc_label(proxy->metrics, METRIC_STRIPPED,
					 stripped_labels[field->id]);
		}
	}
}

static void put_list(struct writer *out, struct slice name, struct slice before)
{
	writer_put(out, name);
	writer_lit(out, ": ");
	if (before.len) {
		writer_put(out, before);
		writer_lit(out, ", ");
	}
}

static struct slice proto_of(const struct forward_client *client)
{
	return client->secure ? SLICE("https") : SLICE("http");
}

/* RFC 7239 6: an IPv6 address is quoted, in brackets. */
static void put_node(struct writer *out, const struct peer *peer, struct slice address)
{
	if (peer->family == AF_INET6) {
		writer_lit(out, "for=\"[");
		writer_put(out, address);
		writer_lit(out, "]\"");
	} else {
		writer_lit(out, "for=");
		writer_put(out, peer->family == AF_UNIX ? SLICE("unknown") : address);
	}
}

static void put_forwarded(struct writer *out, struct slice before,
			  const struct forward_client *client, struct slice address,
			  const struct http_head *head)
{
	struct slice host = http_text(head, head->host);

	put_list(out, SLICE("forwarded"), before);
	put_node(out, client->peer, address);
	if (host.len) {
		writer_lit(out, ";host=\"");
		writer_put(out, host);
		if (head->port) {
			writer_char(out, ':');
			writer_u64(out, head->port);
		}
		writer_char(out, '"');
	}
	writer_lit(out, ";proto=");
	writer_put(out, proto_of(client));
	writer_lit(out, "\r\n");
}

/* The first proxy's word, or what we see ourselves. */
static void put_first(struct writer *out, struct slice name, struct slice said, struct slice ours)
{
	if (said.len || ours.len)
		writer_field(out, name, said.len ? said : ours);
}

static void put_host(struct writer *out, const struct http_head *head, struct slice said)
{
	struct slice host = http_text(head, head->host);

	if (said.len || !host.len) {
		put_first(out, SLICE("x-forwarded-host"), said, SLICE(""));
		return;
	}
	writer_lit(out, "x-forwarded-host: ");
	writer_put(out, host);
	if (head->port) {
		writer_char(out, ':');
		writer_u64(out, head->port);
	}
	writer_lit(out, "\r\n");
}

static bool is_harmless_id(struct slice id)
{
	if (id.len == 0 || id.len > FORWARD_ID_MAX)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		char c = slice_lower(id.ptr[i]);
		bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
			  c == '_' || c == '.' || c == ':' || c == '+' || c == '=' || c == '/';

		if (!ok)
			return false;
	}
	return true;
}

static size_t make_id(struct proxy *proxy, char id[FORWARD_ID_MAX])
{
	static const char digits[] = "0123456789abcdef";
	const uint64_t bits[2] = { rng_next(&proxy->rng), rng_next(&proxy->rng) };

	for (size_t i = 0; i < 32; i++)
		id[i] = digits[bits[i / 16] >> (4 * (i % 16)) & 15];
	return 32;
}

/* One id, the first harmless one given; others do not pass. */
static size_t put_id(struct proxy *proxy, struct http_head *head, struct writer *out,
		     char id[FORWARD_ID_MAX])
{
	size_t len = 0;

	for (uint16_t i = 0; i < head->n_fields; i++) {
		struct http_field *field = &head->fields[i];
		struct slice value = http_text(head, field->value);

		if (field->id != HTTP_FIELD_X_REQUEST_ID || field->dropped)
			continue;
		field->dropped = true;
		if (len == 0 && is_harmless_id(value)) {
			memcpy(id, value.ptr, value.len);
			len = value.len;
		}
	}
	if (len == 0)
		len = make_id(proxy, id);
	writer_field(out, SLICE("x-request-id"), slice_make(id, len));
	return len;
}

static void put_identity(struct writer *out, const struct forward_client *client)
{
	const struct tls_identity *identity = client->identity;

	writer_field(out, SLICE("x-client-cert-sha256"),
		     slice_make(identity->sha256, sizeof(identity->sha256)));
	if (identity->subject_len)
		writer_field(out, SLICE("x-client-cert-subject"),
			     slice_make(identity->subject, identity->subject_len));
	if (client->san.len)
		writer_field(out, SLICE("x-client-cert-san"), client->san);
}

static void put_via(struct proxy *proxy, const struct http_head *head, bool h2, struct writer *out)
{
	/* A list may be several lines: ours comes last as a line of its own (RFC 9110 5.3). */
	writer_put(out, h2            ? SLICE("via: 2.0 ")
			: head->minor ? SLICE("via: 1.1 ")
				      : SLICE("via: 1.0 "));
	writer_put(out, proxy->options->via);
	writer_lit(out, "\r\n");
}

/* RFC 9110 7.6.2: OPTIONS go so many hops further; zero was answered by us. */
static void count_hop(struct http_head *head, struct writer *out)
{
	uint64_t left;

	if (head->method != HTTP_OPTIONS)
		return;
	for (uint16_t i = 0; i < head->n_fields; i++) {
		struct http_field *field = &head->fields[i];

		if (field->id != HTTP_FIELD_MAX_FORWARDS || field->dropped ||
		    slice_to_u64(http_text(head, field->value), &left) < 0 || left == 0)
			continue;
		field->dropped = true;
		writer_lit(out, "max-forwards: ");
		writer_u64(out, left - 1);
		writer_lit(out, "\r\n");
	}
}

size_t forward_request(struct proxy *proxy, struct http_head *head,
		       const struct forward_client *client, struct writer *out,
		       char id[FORWARD_ID_MAX])
{
	char text[PEER_TEXT];
	struct slice address = slice_make(text, peer_format(client->peer, text));
	struct said said = { 0 };

	count_hop(head, out);
	take_forwarded(proxy, head, client->trusted, out, &said);
	put_list(out, SLICE("x-forwarded-for"), said.by[HTTP_FIELD_X_FORWARDED_FOR]);
	writer_put(out, address);
	writer_lit(out, "\r\n");
	put_first(out, SLICE("x-real-ip"), said.by[HTTP_FIELD_X_REAL_IP], address);
	put_first(out, SLICE("x-forwarded-proto"), said.by[HTTP_FIELD_X_FORWARDED_PROTO],
		  proto_of(client));
	put_host(out, head, said.by[HTTP_FIELD_X_FORWARDED_HOST]);
	put_first(out, SLICE("x-forwarded-port"), said.by[HTTP_FIELD_X_FORWARDED_PORT], SLICE(""));
	put_forwarded(out, said.by[HTTP_FIELD_FORWARDED], client, address, head);
	if (client->identity && !said.by[HTTP_FIELD_X_CLIENT_CERT].len)
		put_identity(out, client);
	put_via(proxy, head, client->h2, out);
	return put_id(proxy, head, out, id);
}

bool forward_is_loop(const struct proxy *proxy, const struct http_head *head)
{
	for (uint16_t i = 0; i < head->n_fields; i++) {
		const struct http_field *field = &head->fields[i];

		if (field->id == HTTP_FIELD_VIA &&
		    slice_find_slice(http_text(head, field->value), proxy->options->via) !=
			    SLICE_NONE)
			return true;
	}
	return false;
}

/* Takes the last element off a list. */
static struct slice take_last(struct slice *list)
{
	size_t at = slice_find_last(*list, ',');
	struct slice last = at == SLICE_NONE ? *list : slice_drop(*list, at + 1);

	*list = slice_take(*list, at == SLICE_NONE ? 0 : at);
	return slice_trim(last);
}

struct peer forward_source(const struct http_head *head, const struct peer *peer,
			   const struct listener *listener)
{
	struct peer source = *peer, one;

	if (!listener || !listener_trusts(listener, peer))
		return source;
	for (uint32_t i = head->n_fields; i > 0; i--) {
		const struct http_field *field = &head->fields[i - 1];
		struct slice list = http_text(head, field->value);

		if (field->id != HTTP_FIELD_X_FORWARDED_FOR)
			continue;
		while (list.len) {
			if (peer_parse(take_last(&list), &one) < 0)
				return source;
			source = one;
			if (!listener_trusts(listener, &source))
				return source;
		}
	}
	return source;
}

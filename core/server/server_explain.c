/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'explain': a request that nobody sends. Its head is written out as a client would write it, and
 * then read by the parser, so that it is judged and refused exactly as a real one.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/crypto/tls_credentials.h"
#include "core/server/explain.h"
#include "core/server/explain_question.h"
#include "core/server/server_private.h"

enum { TEXT_MAX = HTTP_HEAD_MAX + 4096 }; /* Longer than any head may be. */

/* --- The head. ------------------------------------------------------------------------------- */

/* "http://host:port/path?query" as a client takes it apart; or only what is behind the host. */
struct url {
	bool has_scheme, secure;
	struct slice authority, target;
};

static struct url take_apart(struct slice text)
{
	static const struct slice schemes[] = { SLICE_INIT("http://"), SLICE_INIT("https://") };
	struct url url = { .target = text };

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		struct slice rest = slice_drop(text, schemes[i].len);
		size_t end = 0;

		if (!slice_starts_with_nocase(text, schemes[i]))
			continue;
		while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?')
			end++;
		url = (struct url){ true, i == 1, slice_take(rest, end), slice_drop(rest, end) };
	}
	return url;
}

static bool names_host(const struct document_node *fields)
{
	for (const struct document_node *node = fields ? fields->first : NULL; node;
	     node = node->next)
		if (slice_starts_with_nocase(node->text, SLICE("host:")))
			return true;
	return false;
}

/* A Host among the fields goes before the URL's. What does not fit is more than a head may have. */
static uint32_t write_head(const struct explain_question *q, const struct url *url,
			   char text[TEXT_MAX])
{
	struct writer w = writer_make(text, TEXT_MAX);

	writer_put(&w, q->method);
	writer_char(&w, ' ');
	if (url->authority.len && (!url->target.len || url->target.ptr[0] != '/'))
		writer_char(&w, '/');
	writer_put(&w, url->target);
	writer_lit(&w, " HTTP/1.1\r\n");
	if (url->authority.len && !names_host(q->fields))
		writer_field(&w, SLICE("host"), url->authority);
	for (const struct document_node *node = q->fields ? q->fields->first : NULL; node;
	     node = node->next) {
		writer_put(&w, node->text);
		writer_lit(&w, "\r\n");
	}
	writer_lit(&w, "\r\n");
	return w.overflow ? 0 : (uint32_t)writer_len(&w);
}

/* --- The command. ---------------------------------------------------------------------------- */

static bool is_secure(const struct config *config, uint32_t listener)
{
	return config->listeners[listener].tls.n_certificates > 0;
}

/* The first listener that speaks as the URL says; else the first. */
static uint32_t listener_of(const struct config *config, const struct url *url)
{
	for (uint32_t i = 0; url->has_scheme && i < config->n_listeners; i++)
		if (is_secure(config, i) == url->secure)
			return i;
	return 0;
}

/* What its hello would say: the URL's host, or that of the fields; an address is in none (RFC 6066 3). */
static struct slice server_name(const struct explain_question *q, const struct url *url)
{
	const struct document_node *node = q->fields ? q->fields->first : NULL;
	struct slice host = url->authority, port;
	struct peer peer;

	for (; node && !host.len; node = node->next)
		if (slice_starts_with_nocase(node->text, SLICE("host:")))
			host = slice_trim(slice_drop(node->text, 5));
	if (peer_parse(host, &peer) == 0)
		return SLICE("");
	(void)slice_split(host, ':', &host, &port);
	return host;
}

/* Nobody shows one who is not asked. */
static int check_certificate(const struct server *s, const struct explain_question *q,
			     const struct url *url, uint32_t by, struct control_error *error)
{
	const struct settings *settings = s->settings;

	if (!is_secure(settings->config, by) || (url->has_scheme && !url->secure))
		return explain_question_refuse(
			error, "value", "certificate",
			"is shown over TLS only: the URL begins with https://, and a listener "
			"speaks it");
	if (!tls_credentials_ask(settings->certs->credentials[by], server_name(q, url)))
		return explain_question_refuse(
			error, "value", "certificate",
			"is not asked for: the listener has no client_ca for this host");
	return 0;
}

static int answer(struct server *s, const struct explain_question *q, struct peer peer,
		  struct pack *result, struct control_error *error)
{
	struct url url = take_apart(q->url);
	uint32_t by = listener_of(s->settings->config, &url);
	struct listener listener = { .spec = s->listeners[by].how };
	struct explain_place place = {
		.proxy = s->proxy,
		.options = &s->settings->options,
		.table = targets_table(s->targets),
		.limits = s->shared->limits,
		.keyring = s->shared->keyring,
		.listener = &listener,
		.peer = peer,
		.secure = url.has_scheme ? url.secure : is_secure(s->settings->config, by),
		.identity = q->has_certificate ? &q->identity : NULL,
		.now_ns = gw_now_ns(),
	};
	struct explanation *e;
	uint32_t len;
	char *text;

	if (q->has_certificate && check_certificate(s, q, &url, by, error) < 0)
		return -EINVAL;
	e = malloc(sizeof(*e) + TEXT_MAX);
	if (!e || digest_create(&place.digest) < 0) {
		free(e);
		return explain_question_refuse(error, "internal", "", "out of memory");
	}
	text = (char *)(e + 1);
	len = write_head(q, &url, text);
	if (len) {
		explain(&place, text, len, e);
		explain_pack(&place, e, result);
	}
	digest_free(place.digest);
	free(e);
	return len ? 0
		   : explain_question_refuse(error, "limit", "",
					     "no request may be so long (headers_too_large)");
}

int server_run_explain(void *owner, const struct document_node *args, struct pack *result,
		       struct control_error *error)
{
	struct server *s = owner;
	struct explain_question q = { .client = SLICE("127.0.0.1") };
	struct peer peer;
	int r = explain_question_read(args, &q, error);

	if (r < 0)
		return r;
	if (peer_parse(q.client, &peer) < 0)
		return explain_question_refuse(error, "value", "client", "must be an IP address");
	if (!targets_table(s->targets))
		return explain_question_refuse(error, "state", "", "the daemon is %s",
					       server_state_name(s));
	return answer(s, &q, peer, result, error);
}

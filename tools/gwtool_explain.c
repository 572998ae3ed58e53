/* SPDX-License-Identifier: Apache-2.0 */
/* What would become of a request: asked of the daemon, and told in lines for people. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/crypto/tls_identity.h"
#include "tools/gwtool.h"

enum { FIELDS_MAX = 256 };

/* --- The question. --------------------------------------------------------------------------- */

struct asked {
	const char *method, *url, *client, *cert; /* NULL: not said. */
	struct tls_identity identity;             /* Of the certificate. */
	uint32_t n_fields;
	const char *fields[FIELDS_MAX];
};

static void put_certificate(struct pack *p, const struct tls_identity *identity)
{
	pack_key(p, "certificate");
	pack_map(p, 2u + (identity->subject_len > 0));
	pack_entry_text(p, "sha256", slice_make(identity->sha256, sizeof(identity->sha256)));
	if (identity->subject_len)
		pack_entry_text(p, "subject", slice_make(identity->subject, identity->subject_len));
	pack_entry_words(p, "sans", identity->sans);
}

static void put_args(struct pack *p, const void *owner)
{
	const struct asked *asked = owner;

	pack_map(p, 3u + (asked->client != NULL) + (asked->cert != NULL));
	if (asked->cert)
		put_certificate(p, &asked->identity);
	pack_entry_text(p, "method", slice_of(asked->method));
	pack_entry_text(p, "url", slice_of(asked->url));
	if (asked->client)
		pack_entry_text(p, "client", slice_of(asked->client));
	pack_key(p, "fields");
	pack_list(p, asked->n_fields);
	for (uint32_t i = 0; i < asked->n_fields; i++)
		pack_text(p, slice_of(asked->fields[i]));
}

static int read_args(const struct call *call, struct asked *asked)
{
	for (int i = 0; i < call->argc; i++) {
		const char *arg = call->argv[i];
		bool has_value = i + 1 < call->argc;

		if (strcmp(arg, "-H") == 0 && has_value && asked->n_fields < FIELDS_MAX)
			asked->fields[asked->n_fields++] = call->argv[++i];
		else if (strcmp(arg, "--client") == 0 && has_value)
			asked->client = call->argv[++i];
		else if (strcmp(arg, "--cert") == 0 && has_value)
			asked->cert = call->argv[++i];
		else if (arg[0] == '-' || asked->url)
			return gwtool_usage(
				call,
				"unknown argument of explain, or one without its value: ", arg);
		else
			*(asked->method ? &asked->url : &asked->method) = arg;
	}
	if (!asked->url)
		return gwtool_usage(call, "explain takes a method and a URL: ",
				    "GET http://api.example.com/v1/users");
	return EXIT_OK;
}

static int read_cert(struct asked *asked)
{
	char why[TLS_WHY_MAX];
	int r = asked->cert ? tls_identity_read(asked->cert, &asked->identity, why) : 0;

	if (r < 0)
		(void)fprintf(stderr, "gwtool: %s\n", r == -EINVAL ? why : strerror(-r));
	return r == 0 ? EXIT_OK : r == -EINVAL ? EXIT_CONFIG : EXIT_FAILED;
}

/* --- For people. ----------------------------------------------------------------------------- */

static const struct document_node *get(const struct document_node *map, const char *key)
{
	const struct document_node *node =
		map && map->kind == DOCUMENT_MAP ? document_get(map, slice_of(key)) : NULL;

	return node && node->kind != DOCUMENT_NULL ? node : NULL;
}

static const struct document_node *first(const struct document_node *list)
{
	return list && list->kind == DOCUMENT_LIST ? list->first : NULL;
}

static struct slice text(const struct document_node *map, const char *key)
{
	const struct document_node *node = get(map, key);

	return node && node->kind == DOCUMENT_TEXT ? node->text : SLICE("");
}

static uint64_t number(const struct document_node *map, const char *key)
{
	const struct document_node *node = get(map, key);

	return node && node->kind == DOCUMENT_INT ? node->number : 0;
}

static void begin(struct writer *w, struct slice label)
{
	writer_put(w, label);
	for (size_t i = label.len; i < 10; i++)
		writer_char(w, ' ');
}

static void put_request(struct writer *w, const struct document_node *request)
{
	if (!request)
		return;
	begin(w, SLICE("request"));
	writer_put(w, text(request, "method"));
	writer_lit(w, " ");
	writer_put(w, text(request, "host"));
	writer_put(w, text(request, "path"));
	writer_put(w, text(request, "query"));
	writer_lit(w, " for ");
	writer_put(w, text(request, "client"));
	writer_lit(w, "\n");
}

static void put_certificate_line(struct writer *w, struct slice what, struct slice value)
{
	begin(w, SLICE("cert"));
	writer_put(w, what);
	writer_put(w, value);
	writer_char(w, '\n');
}

static void put_shown(struct writer *w, const struct document_node *certificate)
{
	if (!certificate)
		return;
	put_certificate_line(w, SLICE("sha256 "), text(certificate, "sha256"));
	if (get(certificate, "subject"))
		put_certificate_line(w, SLICE("subject "), text(certificate, "subject"));
	for (const struct document_node *node = first(get(certificate, "sans")); node;
	     node = node->next)
		put_certificate_line(w, SLICE("san "),
				     node->kind == DOCUMENT_TEXT ? node->text : SLICE(""));
}

static void put_route(struct writer *w, const struct document_node *result)
{
	const struct document_node *route = get(result, "route");

	begin(w, SLICE("route"));
	if (route) {
		writer_put(w, text(route, "name"));
		writer_lit(w, " (index ");
		writer_u64(w, number(route, "index"));
		writer_lit(w, ", ");
	} else {
		writer_lit(w, "none (");
	}
	writer_lit(w, "generation ");
	writer_u64(w, number(result, "generation"));
	writer_lit(w, ")\n");
}

static void put_action(struct writer *w, const struct document_node *result)
{
	struct slice reason = text(result, "reason"), location = text(result, "location");

	begin(w, SLICE("action"));
	writer_put(w, text(result, "action"));
	if (get(result, "status")) {
		writer_char(w, ' ');
		writer_u64(w, number(result, "status"));
	}
	writer_put(w, reason.len ? SLICE(" ") : SLICE(""));
	writer_put(w, reason);
	writer_put(w, location.len ? SLICE(" to ") : SLICE(""));
	writer_put(w, location);
	writer_char(w, '\n');
}

static void put_endpoint(struct writer *w, const struct document_node *endpoint)
{
	const struct document_node *addr = first(get(endpoint, "addresses"));

	begin(w, SLICE("endpoint"));
	writer_put(w, text(endpoint, "endpoint"));
	writer_put(w, addr ? SLICE(" at") : SLICE(" is not resolved"));
	for (; addr; addr = addr->next) {
		writer_char(w, ' ');
		writer_put(w, addr->text);
	}
	writer_char(w, '\n');
}

static void put_service(struct writer *w, const struct document_node *service)
{
	if (!service)
		return;
	begin(w, SLICE("service"));
	writer_put(w, text(service, "name"));
	writer_lit(w, " (");
	writer_put(w, text(service, "protocol"));
	writer_lit(w, ")\n");
	for (const struct document_node *node = first(get(service, "endpoints")); node;
	     node = node->next)
		put_endpoint(w, node);
}

static void put_forward(struct writer *w, const struct document_node *result)
{
	const struct document_node *max_body = get(result, "max_body");

	if (get(result, "target")) {
		begin(w, SLICE("target"));
		writer_put(w, text(result, "target"));
		writer_lit(w, " of ");
		writer_put(w, text(result, "host"));
		writer_char(w, '\n');
	}
	if (max_body) {
		begin(w, SLICE("max_body"));
		writer_u64(w, number(result, "max_body"));
		writer_lit(w, " bytes\n");
	}
}

static void put_limit(struct writer *w, const struct document_node *limit)
{
	uint64_t retry_ms = number(limit, "retry_ms");
	struct slice key = text(limit, "key");

	begin(w, SLICE("limit"));
	writer_put(w, text(limit, "name"));
	writer_lit(w, " by ");
	writer_put(w, text(limit, "by"));
	writer_put(w, key.len ? SLICE(" ") : SLICE(""));
	writer_put(w, key);
	writer_lit(w, ": ");
	writer_u64(w, number(limit, "left"));
	writer_lit(w, " of ");
	writer_u64(w, number(limit, "burst"));
	writer_lit(w, " left");
	if (retry_ms) {
		writer_lit(w, ", again in ");
		writer_u64(w, retry_ms);
		writer_lit(w, " ms");
	}
	writer_char(w, '\n');
}

static void put_fields(struct writer *w, struct slice label, const struct document_node *fields)
{
	static const struct {
		const char *key;
		struct slice mark;
	} kinds[] = { { "removed", SLICE_INIT("- ") }, { "set", SLICE_INIT("+ ") } };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		for (const struct document_node *node = first(get(fields, kinds[i].key)); node;
		     node = node->next) {
			begin(w, label);
			writer_put(w, kinds[i].mark);
			writer_put(w, node->kind == DOCUMENT_TEXT ? node->text : SLICE(""));
			writer_char(w, '\n');
		}
	}
}

static void put_auth(struct writer *w, const struct document_node *auth)
{
	const struct document_node *good = get(auth, "good");

	if (!auth || auth->kind != DOCUMENT_MAP)
		return;
	begin(w, SLICE("auth"));
	writer_put(w, get(auth, "name")->text);
	writer_lit(w, " (");
	writer_put(w, get(auth, "by")->text);
	writer_put(w, good && good->boolean ? SLICE("): good") : SLICE("): not good"));
	writer_put(w, get(auth, "client") ? SLICE(", as ") : SLICE(""));
	writer_put(w, text(auth, "client"));
	writer_char(w, '\n');
}

static void put_people(struct writer *w, const void *what)
{
	const struct document_node *result = what;

	put_request(w, get(result, "request"));
	put_shown(w, get(result, "certificate"));
	put_route(w, result);
	put_action(w, result);
	put_service(w, get(result, "service"));
	put_forward(w, result);
	put_auth(w, get(result, "auth"));
	for (const struct document_node *node = first(get(result, "limits")); node;
	     node = node->next)
		put_limit(w, node);
	put_fields(w, SLICE("sent"), get(result, "request_fields"));
	put_fields(w, SLICE("answered"), get(result, "answer_fields"));
}

/* --- The command. ---------------------------------------------------------------------------- */

int gwtool_explain(const struct call *call)
{
	static struct asked asked;
	const struct gwtool_question question = {
		.command = "explain",
		.args = put_args,
		.owner = &asked,
	};
	const struct document_node *result;
	struct document *reply;
	int r = read_args(call, &asked);

	if (r == EXIT_OK)
		r = read_cert(&asked);
	if (r == EXIT_OK)
		r = gwtool_ask_result(call, &question, &reply, &result);
	tls_identity_free(&asked.identity);
	if (r != EXIT_OK)
		return r;
	r = gwtool_print(call->json ? gwtool_put_json : put_people, result);
	document_free(reply);
	return r;
}

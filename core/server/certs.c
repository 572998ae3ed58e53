/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/certs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/document/path.h"

enum { PATH_SIZE = 256 }; /* The schema allows 255 bytes. */

/* A configuration's paths as C strings: OpenSSL opens files by name. */
struct paths {
	struct tls_entry entries[CONFIG_CERTIFICATES_MAX];
	char text[3 * CONFIG_CERTIFICATES_MAX][PATH_SIZE]; /* And authorities. */
	uint32_t n;
};

static const char *path_of(struct paths *paths, struct slice path)
{
	char *text = paths->text[paths->n++];

	GW_ASSERT(path.len < PATH_SIZE);
	memcpy(text, path.ptr, path.len);
	text[path.len] = '\0';
	return text;
}

/* "listeners[0].tls.certificates[1].names[2]", or where what was refused was said. */
static void put_place(struct writer *w, const struct config_tls *tls,
		      const struct tls_refusal *refusal)
{
	bool inherited = !tls->certificates[refusal->entry].client_ca.len;

	writer_lit(w, ".tls");
	if (refusal->what == TLS_REFUSED_CLIENT_CA && inherited) {
		writer_lit(w, ".client_ca");
		return;
	}
	writer_lit(w, ".certificates");
	path_put_index(w, refusal->entry);
	if (refusal->what == TLS_REFUSED_CLIENT_CA)
		writer_lit(w, ".client_ca");
	if (refusal->what == TLS_REFUSED_NAME) {
		writer_lit(w, ".names");
		path_put_index(w, refusal->name);
	}
}

static void refuse(struct report *rep, const struct config_tls *tls, uint32_t listener,
		   const struct tls_refusal *refusal)
{
	static const struct report_place nowhere;
	enum report_code code = refusal->what == TLS_REFUSED_NAME ? REPORT_SEMANTIC : REPORT_FILE;
	char path[REPORT_PATH_MAX];
	struct writer w = writer_make(path, sizeof(path));

	writer_lit(&w, "listeners");
	path_put_index(&w, listener);
	put_place(&w, tls, refusal);
	report_add(rep, code, nowhere, writer_slice(&w), "%s", refusal->why);
}

static void make_entry(struct paths *paths, const struct config_tls *tls, uint32_t i)
{
	const struct config_certificate *from = &tls->certificates[i];
	bool inherits = from->client_auth == CONFIG_CLIENT_AUTH_INHERIT;
	struct slice ca = from->client_ca.len ? from->client_ca : tls->client_ca;
	uint32_t auth = inherits ? tls->client_auth : from->client_auth;
	struct tls_entry *entry = &paths->entries[i];

	*entry = (struct tls_entry){
		.pair = { path_of(paths, from->cert), path_of(paths, from->key) },
		.names = from->names,
		.n_names = from->n_names,
	};
	if (ca.len && auth != TLS_CLIENT_NONE) {
		entry->client_ca = path_of(paths, ca);
		entry->client_auth = (enum tls_client_auth)auth;
	}
}

static int read_one(const struct config_listener *from, uint32_t listener, struct report *rep,
		    struct tls_credentials **ret_credentials)
{
	const struct config_tls *tls = &from->tls;
	struct paths *paths = calloc(1, sizeof(*paths));
	struct tls_refusal refusal;
	struct tls_credentials_options opt = {
		.n_entries = tls->n_certificates,
		.least_1_3 = tls->min_version == CONFIG_TLS_1_3,
		.http1 = from->protocols & CONFIG_HTTP1,
		.http2 = from->protocols & CONFIG_HTTP2,
		.strict_names = tls->strict_names,
	};
	int r;

	if (!paths)
		return -ENOMEM;
	for (uint32_t i = 0; i < tls->n_certificates; i++)
		make_entry(paths, tls, i);
	opt.entries = paths->entries;
	r = tls_credentials_read(&opt, &refusal, ret_credentials);
	if (r == -EINVAL)
		refuse(rep, tls, listener, &refusal);
	free(paths);
	return r;
}

static bool names_tls(const struct config *config)
{
	enum form_scheme scheme = config_scheme(config);

	return scheme == FORM_HTTPS || scheme == FORM_H2;
}

static bool speaks_upstream(const struct config *config)
{
	return config_has_policy(config) || names_tls(config);
}

static int read_trust(const struct config_upstream_tls *tls, bool may_be_empty, struct report *rep,
		      struct certs *certs)
{
	static const struct report_place nowhere;
	struct paths *paths = calloc(1, sizeof(*paths));
	struct tls_pair pair;
	char why[TLS_WHY_MAX];
	struct tls_trust_options opt = {
		.least_1_3 = tls->min_version == CONFIG_TLS_1_3,
		.unverified = !tls->verify,
		.may_be_empty = may_be_empty,
	};
	int r;

	if (!paths)
		return -ENOMEM;
	if (tls->ca.len)
		opt.ca_file = path_of(paths, tls->ca);
	if (tls->cert.len) {
		pair.cert_file = path_of(paths, tls->cert);
		pair.key_file = path_of(paths, tls->key);
		opt.pair = &pair;
	}
	r = tls_trust_read(&opt, why, &certs->trusts[CERTS_UPSTREAM_TRUST]);
	if (r == -EINVAL)
		report_add(rep, REPORT_FILE, nowhere, SLICE("upstream_tls"), "%s", why);
	free(paths);
	return r;
}

static bool any_tls(const struct config *config)
{
	for (uint32_t i = 0; i < config->n_listeners; i++)
		if (config->listeners[i].tls.n_certificates)
			return true;
	return speaks_upstream(config);
}

int certs_read(const struct config *config, bool policy_tls, struct report *rep,
	       struct certs **ret_certs)
{
	struct certs *certs;
	int r = 0;

	*ret_certs = NULL;
	if (!any_tls(config))
		return 0;
	certs = calloc(1, sizeof(*certs));
	if (!certs)
		return -ENOMEM;
	certs->n_listeners = config->n_listeners;
	certs->credentials = calloc(config->n_listeners, sizeof(certs->credentials[0]));
	if (!certs->credentials)
		r = -ENOMEM;
	for (uint32_t i = 0; r != -ENOMEM && i < config->n_listeners; i++) {
		int one = config->listeners[i].tls.n_certificates
				  ? read_one(&config->listeners[i], i, rep, &certs->credentials[i])
				  : 0;

		r = one < 0 ? one : r; /* All that is wrong is told at once. */
	}
	if (r != -ENOMEM && speaks_upstream(config)) {
		int one = read_trust(&config->upstream_tls, !policy_tls && !names_tls(config), rep,
				     certs);

		r = one < 0 ? one : r;
		certs->n_trusts = 1;
	}
	if (r == 0)
		*ret_certs = certs;
	else
		certs_free(certs);
	return r;
}

/* For peers of every endpoint that a table may have: core/proxy/upstream.c numbers them. */
static int make_clients(struct certs *certs)
{
	size_t n = (size_t)certs->n_workers * certs->n_trusts;

	if (n == 0)
		return 0;
	certs->clients = calloc(n, sizeof(certs->clients[0]));
	if (!certs->clients)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (tls_client_create(certs->trusts[i % certs->n_trusts], POLICY_ENDPOINTS_MAX,
				      &certs->clients[i]) < 0)
			return -ENOMEM;
	return 0;
}

int certs_serve(struct certs *certs, uint32_t n_workers)
{
	size_t n = (size_t)n_workers * certs->n_listeners;

	certs->servers = calloc(n, sizeof(certs->servers[0]));
	if (!certs->servers)
		return -ENOMEM;
	certs->n_workers = n_workers;
	for (size_t i = 0; i < n; i++) {
		const struct tls_credentials *one = certs->credentials[i % certs->n_listeners];

		if (one && tls_server_create(one, &certs->servers[i]) < 0)
			return -ENOMEM;
	}
	return make_clients(certs);
}

bool certs_have_listeners(const struct certs *certs)
{
	for (uint32_t i = 0; certs && i < certs->n_listeners; i++)
		if (certs->credentials[i])
			return true;
	return false;
}

bool certs_believe_anybody(const struct certs *certs)
{
	for (uint32_t i = 0; certs && i < certs->n_trusts; i++)
		if (!tls_trust_verifies(certs->trusts[i]))
			return true;
	return false;
}

bool certs_trust_nobody(const struct certs *certs)
{
	GW_ASSERT(certs->n_trusts > CERTS_UPSTREAM_TRUST);
	return tls_trust_is_empty(certs->trusts[CERTS_UPSTREAM_TRUST]);
}

void certs_renew_tickets(const struct certs *certs)
{
	for (uint32_t i = 0; i < certs->n_listeners; i++)
		if (certs->credentials[i])
			GW_COUNT_IF(tls_credentials_renew_tickets(certs->credentials[i]) < 0,
				    "tickets_not_renewed");
}

bool certs_are_idle(const struct certs *certs)
{
	size_t n = certs ? (size_t)certs->n_workers * certs->n_listeners : 0;

	for (size_t i = 0; i < n; i++)
		if (certs->servers[i] && tls_server_is_busy(certs->servers[i]))
			return false;
	n = certs ? (size_t)certs->n_workers * certs->n_trusts : 0;
	for (size_t i = 0; i < n; i++)
		if (tls_client_is_busy(certs->clients[i]))
			return false;
	return true;
}

void certs_free(struct certs *certs)
{
	if (!certs)
		return;
	for (size_t i = 0; certs->servers && i < (size_t)certs->n_workers * certs->n_listeners; i++)
		tls_server_free(certs->servers[i]);
	for (uint32_t i = 0; certs->credentials && i < certs->n_listeners; i++)
		tls_credentials_free(certs->credentials[i]);
	for (size_t i = 0; certs->clients && i < (size_t)certs->n_workers * certs->n_trusts; i++)
		tls_client_free(certs->clients[i]);
	for (uint32_t i = 0; i < certs->n_trusts; i++)
		tls_trust_free(certs->trusts[i]);
	free(certs->clients);
	free(certs->servers);
	free(certs->credentials);
	free(certs);
}

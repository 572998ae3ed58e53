/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/config_check.h"

#include "core/crypto/tls_credentials.h"
#include "core/document/path.h"

static const struct report_place nowhere;

static void check_listeners(const struct config *config, struct report *rep)
{
	char path[REPORT_PATH_MAX], shown[PATH_SHOWN_MAX];

	for (uint32_t i = 0; i < config->n_listeners; i++) {
		struct slice address = config->listeners[i].address;
		struct writer w = writer_make(path, sizeof(path));
		bool is_any = slice_ends_with(address, SLICE(":0"));

		writer_lit(&w, "listeners");
		path_put_index(&w, i);
		writer_lit(&w, ".address");
		for (uint32_t j = 0; j < i && !is_any; j++)
			if (slice_eq(address, config->listeners[j].address))
				report_add(rep, REPORT_SEMANTIC, nowhere, writer_slice(&w),
					   "%s is also the address of listeners[%u]",
					   path_show(address, shown), j);
		if (slice_eq(address, config->admin.address) && !is_any)
			report_add(rep, REPORT_SEMANTIC, nowhere, writer_slice(&w),
				   "%s is also the address of admin", path_show(address, shown));
	}
}

static void check_upstream_tls(const struct config *config, struct report *rep)
{
	const struct config_upstream_tls *tls = &config->upstream_tls;

	if (!tls->cert.len != !tls->key.len)
		report_add(rep, REPORT_SEMANTIC, nowhere, SLICE("upstream_tls"),
			   "cert and key are one pair: both or neither");
}

static void refuse_clients(struct report *rep, uint32_t listener, uint32_t certificate,
			   const char *why)
{
	char path[REPORT_PATH_MAX];
	struct writer w = writer_make(path, sizeof(path));

	writer_lit(&w, "listeners");
	path_put_index(&w, listener);
	writer_lit(&w, ".tls.certificates");
	path_put_index(&w, certificate);
	writer_lit(&w, ".client_auth");
	report_add(rep, REPORT_SEMANTIC, nowhere, writer_slice(&w), "%s", why);
}

static void check_clients(const struct config *config, uint32_t listener, struct report *rep)
{
	const struct config_tls *tls = &config->listeners[listener].tls;

	for (uint32_t i = 0; i < tls->n_certificates; i++) {
		const struct config_certificate *one = &tls->certificates[i];
		bool known = one->client_ca.len || tls->client_ca.len;

		if (one->client_auth == TLS_CLIENT_NONE && one->client_ca.len)
			refuse_clients(
				rep, listener, i,
				"\"off\" does not ask whom client_ca vouches for: one of both");
		else if (one->client_auth != TLS_CLIENT_NONE &&
			 one->client_auth != CONFIG_CLIENT_AUTH_INHERIT && !known)
			refuse_clients(
				rep, listener, i,
				"asks for certificates that nobody vouches for: client_ca is "
				"needed, here or in tls");
	}
}

void config_check(const struct config *config, struct report *rep)
{
	check_listeners(config, rep);
	check_upstream_tls(config, rep);
	for (uint32_t i = 0; i < config->n_listeners; i++)
		check_clients(config, i, rep);
}

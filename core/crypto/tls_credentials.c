/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/tls_credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Sites. ---------------------------------------------------------------------------------- */

/* Sites that are not the same have sessions that are not, with the same certificate as well. */
static bool make_id(const struct tls_site *from, struct tls_site_read *site)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char cert[EVP_MAX_MD_SIZE], id[EVP_MAX_MD_SIZE];
	unsigned char auth = (unsigned char)from->client_auth;
	unsigned int len;
	bool ok = md && X509_digest(site->shown.cert, EVP_sha256(), cert, &len) &&
		  EVP_DigestInit_ex(md, EVP_sha256(), NULL) && EVP_DigestUpdate(md, cert, len) &&
		  EVP_DigestUpdate(md, &auth, 1);

	for (uint32_t i = 0; ok && i < from->n_names; i++)
		ok = EVP_DigestUpdate(md, from->names[i].ptr, from->names[i].len) &&
		     EVP_DigestUpdate(md, "", 1);
	ok = ok && EVP_DigestFinal_ex(md, id, NULL);
	if (ok)
		memcpy(site->id, id, sizeof(site->id));
	EVP_MD_CTX_free(md);
	return ok;
}

static int refuse_name(char why[TLS_WHY_MAX], const struct tls_site *from, struct slice name, int r)
{
	char what[TLS_NAME_MAX + 64];

	(void)snprintf(what, sizeof(what),
		       r == -EEXIST ? "the name %.*s is given to another certificate, too"
				    : "is not for %.*s",
		       (int)slice_take(name, TLS_NAME_MAX).len, name.ptr);
	return tls_refuse_file(why, from->pair.cert_file, what);
}

static int add_names(const struct tls_site *from, struct tls_credentials *c, uint32_t at,
		     char why[TLS_WHY_MAX])
{
	struct tls_site_read *site = &c->sites[at];
	struct slice bad;
	int r;

	if (from->n_names == 0) {
		r = tls_names_add(&c->names, site->shown.cert, at, site->name);
		return r == -EINVAL ? tls_refuse_file(why, from->pair.cert_file,
						      "has a name that is none")
				    : r;
	}
	r = tls_names_give(&c->names, site->shown.cert, at, from->names, from->n_names, site->name,
			   &bad);
	return r < 0 && r != -ENOMEM ? refuse_name(why, from, bad, r) : r;
}

static int read_authorities(struct tls_clients *clients, char why[TLS_WHY_MAX])
{
	static const char bad[] = "holds no certificates of authorities";

	clients->store = X509_STORE_new();
	if (!clients->store)
		return -ENOMEM;
	if (!X509_STORE_load_file(clients->store, clients->file))
		return tls_refuse_file(why, clients->file, bad);
	clients->names = SSL_load_client_CA_file(clients->file);
	return clients->names ? 0 : tls_refuse_file(why, clients->file, bad);
}

/* Files that many sites name are read once. */
static int find_clients(struct tls_credentials *c, const char *file, char why[TLS_WHY_MAX],
			const struct tls_clients **ret_clients)
{
	struct tls_clients *clients;

	for (uint32_t i = 0; i < c->n_clients; i++)
		if (strcmp(c->clients[i].file, file) == 0) {
			*ret_clients = &c->clients[i];
			return 0;
		}
	clients = &c->clients[c->n_clients++];
	clients->file = file;
	*ret_clients = clients;
	return read_authorities(clients, why);
}

static int read_site(const struct tls_site *from, struct tls_credentials *c, char why[TLS_WHY_MAX])
{
	struct tls_site_read *site = &c->sites[c->n_sites];
	int r;

	c->n_sites++; /* What was read of it is freed with the rest. */
	r = tls_shown_read(&from->pair, &site->shown, why);
	if (r < 0)
		return r;
	site->client_auth = from->client_auth;
	if (!make_id(from, site))
		return -ENOMEM;
	r = add_names(from, c, c->n_sites - 1, why);
	if (r < 0 || from->client_auth == TLS_CLIENT_NONE)
		return r;
	c->asks = true;
	return find_clients(c, from->client_ca, why, &site->clients);
}

/* Whoever wants to have clients asked is not to find out that they never come here. */
static int check_reach(const struct tls_credentials_options *opt, const struct tls_credentials *c,
		       char why[TLS_WHY_MAX])
{
	for (uint32_t i = 1; i < c->n_sites; i++)
		if (!tls_names_reach(&c->names, i))
			return tls_refuse_file(why, opt->sites[i].pair.cert_file,
					       "is never shown: other certificates before it have "
					       "all of its names");
	return 0;
}

/* --- The whole. ------------------------------------------------------------------------------ */

static void add_protocol(struct tls_credentials *c, const char *name)
{
	size_t len = strlen(name);

	c->protocols[c->protocols_len] = (uint8_t)len;
	memcpy(c->protocols + c->protocols_len + 1, name, len);
	c->protocols_len += 1 + (uint32_t)len;
}

static int fill(struct tls_credentials *c, const struct tls_credentials_options *opt,
		char why[TLS_WHY_MAX])
{
	int r;

	c->least_1_3 = opt->least_1_3;
	c->strict_names = opt->strict_names;
	if (opt->http2)
		add_protocol(c, "h2");
	if (opt->http1)
		add_protocol(c, "http/1.1");
	c->clients = calloc(opt->n_sites, sizeof(c->clients[0]));
	if (!c->clients)
		return -ENOMEM;
	r = tls_tickets_create(&c->tickets);
	for (uint32_t i = 0; r == 0 && i < opt->n_sites; i++)
		r = read_site(&opt->sites[i], c, why);
	return r == 0 ? check_reach(opt, c, why) : r;
}

int tls_credentials_read(const struct tls_credentials_options *opt, char why[TLS_WHY_MAX],
			 struct tls_credentials **ret_credentials)
{
	struct tls_credentials *c = calloc(1, sizeof(*c) + opt->n_sites * sizeof(c->sites[0]));
	int r;

	GW_ASSERT(opt->n_sites > 0 && (opt->http1 || opt->http2));
	if (!c)
		return -ENOMEM;
	r = tls_init();
	if (r == 0)
		r = fill(c, opt, why);
	ERR_clear_error();
	if (r == 0)
		*ret_credentials = c;
	else
		tls_credentials_free(c);
	return r;
}

void tls_credentials_free(struct tls_credentials *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; i < c->n_sites; i++)
		tls_shown_free(&c->sites[i].shown);
	for (uint32_t i = 0; i < c->n_clients; i++) {
		sk_X509_NAME_pop_free(c->clients[i].names, X509_NAME_free);
		X509_STORE_free(c->clients[i].store);
	}
	free(c->clients);
	tls_names_free(&c->names);
	tls_tickets_free(c->tickets);
	free(c);
}

int tls_credentials_renew_tickets(const struct tls_credentials *c)
{
	return tls_tickets_renew(c->tickets);
}

uint32_t tls_credentials_sites(const struct tls_credentials *c)
{
	return c->n_sites;
}

int64_t tls_credentials_expiry(const struct tls_credentials *c, uint32_t site,
			       struct slice *ret_name)
{
	GW_ASSERT(site < c->n_sites);
	*ret_name = slice_of(c->sites[site].name);
	return c->sites[site].shown.expiry;
}

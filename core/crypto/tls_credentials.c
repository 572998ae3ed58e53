/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/tls_credentials_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse_name(struct tls_refusal *refusal, uint32_t name, struct slice text)
{
	refusal->what = TLS_REFUSED_NAME;
	refusal->name = name;
	(void)snprintf(refusal->why, sizeof(refusal->why), "%.*s is not a name of the certificate",
		       SLICE_ARG(text));
	return -EINVAL;
}

/* --- One entry. ------------------------------------------------------------------------------ */

_Static_assert(sizeof(((struct tls_known_entry *)NULL)->id) == 16 + sizeof(uint32_t),
	       "half a digest, and a number");

/*
 * The certificate alone will not do: the same one may be in another entry, which asks for something
 * else before it makes a session.
 */
static bool make_id(struct tls_known_entry *entry, uint32_t number)
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	if (!X509_digest(entry->shown.cert, EVP_sha256(), digest, NULL))
		return false;
	memcpy(entry->id, digest, 16);
	memcpy(entry->id + 16, &number, sizeof(number));
	return true;
}

static int add_chosen(const struct tls_entry *from, struct tls_credentials *c, uint32_t number,
		      struct tls_refusal *refusal)
{
	struct tls_names own = { 0 };
	int r = tls_names_add_cert(&own, c->entries[number].shown.cert, number);

	tls_names_sort(&own);
	for (uint32_t i = 0; r == 0 && i < from->n_names; i++) {
		r = tls_names_add_chosen(&c->names, &own, from->names[i], number, i);
		if (r == -EDOM)
			r = refuse_name(refusal, i, from->names[i]);
	}
	tls_names_free(&own);
	return r;
}

static int add_names(const struct tls_entry *from, struct tls_credentials *c, uint32_t number,
		     struct tls_refusal *refusal)
{
	struct tls_known_entry *entry = &c->entries[number];
	uint32_t before = c->names.n;
	int r;

	entry->narrowed = from->n_names > 0;
	r = entry->narrowed ? add_chosen(from, c, number, refusal)
			    : tls_names_add_cert(&c->names, entry->shown.cert, number);
	if (r == 0 && c->names.n > before)
		memcpy(entry->name, c->names.list[before].text, c->names.list[before].len + 1u);
	return r;
}

static int read_pair(const struct tls_entry *from, struct tls_credentials *c, uint32_t number,
		     struct tls_refusal *refusal)
{
	struct tls_known_entry *entry = &c->entries[number];
	int r;

	refusal->what = TLS_REFUSED_PAIR;
	r = tls_shown_read(&from->pair, &entry->shown, refusal->why);
	if (r < 0)
		return r;
	return make_id(entry, number) ? 0 : -ENOMEM;
}

/* A file that several entries name is read once, which also makes its clients known as the same. */
static int read_clients(const struct tls_entry *all, struct tls_credentials *c, uint32_t number,
			struct tls_refusal *refusal)
{
	const struct tls_entry *from = &all[number];
	struct tls_clients *clients = &c->entries[number].clients;

	if (from->client_auth == TLS_CLIENT_NONE)
		return 0;
	c->asks = true;
	clients->auth = from->client_auth;
	refusal->what = TLS_REFUSED_CLIENT_CA;
	for (uint32_t i = 0; i < number; i++)
		if (c->entries[i].clients.store && strcmp(all[i].client_ca, from->client_ca) == 0)
			return tls_clients_share(&c->entries[i].clients, clients);
	return tls_clients_read(from->client_ca, clients, refusal->why);
}

static int read_entry(const struct tls_entry *all, struct tls_credentials *c, uint32_t number,
		      struct tls_refusal *refusal)
{
	int r;

	c->n_entries++; /* What was read of it is freed with the rest. */
	refusal->entry = number;
	r = read_pair(&all[number], c, number, refusal);
	if (r == 0)
		r = add_names(&all[number], c, number, refusal);
	if (r == -EILSEQ)
		r = tls_refuse_file(refusal->why, all[number].pair.cert_file,
				    "has a name that is none");
	return r == 0 ? read_clients(all, c, number, refusal) : r;
}

/* --- All of them. ---------------------------------------------------------------------------- */

/*
 * Two entries have the same name. That one goes before the other is fine where the configuration
 * says which, or where nothing depends on it: not where it decides who is asked.
 */
static bool is_clash(const struct tls_credentials *c, const struct tls_name *first,
		     const struct tls_name *second)
{
	if (first->entry == second->entry || first->chosen != second->chosen)
		return false;
	return first->chosen || !tls_clients_equal(&c->entries[first->entry].clients,
						   &c->entries[second->entry].clients);
}

static int refuse_clash(const struct tls_name *first, const struct tls_name *second,
			struct tls_refusal *refusal)
{
	refusal->entry = second->entry;
	refusal->what = second->chosen ? TLS_REFUSED_NAME : TLS_REFUSED_PAIR;
	refusal->name = second->place;
	(void)snprintf(refusal->why, sizeof(refusal->why),
		       second->chosen ? "%s%s is also a name of certificates[%u]"
				      : "%s%s is also a name of certificates[%u], which asks "
					"clients otherwise: say with 'names' whose it is",
		       second->text[0] == '.' ? "*" : "", second->text, first->entry);
	return -EINVAL;
}

static int check_names(const struct tls_credentials *c, struct tls_refusal *refusal)
{
	const struct tls_name *list = c->names.list;

	for (uint32_t i = 1, first = 0; i < c->names.n; i++) {
		if (strcmp(list[i].text, list[first].text) != 0)
			first = i;
		else if (is_clash(c, &list[first], &list[i]))
			return refuse_clash(&list[first], &list[i], refusal);
	}
	return 0;
}

static void add_protocol(struct tls_credentials *c, const char *name)
{
	size_t len = strlen(name);

	c->protocols[c->protocols_len] = (uint8_t)len;
	memcpy(c->protocols + c->protocols_len + 1, name, len);
	c->protocols_len += 1 + (uint32_t)len;
}

static int fill(struct tls_credentials *c, const struct tls_credentials_options *opt,
		struct tls_refusal *refusal)
{
	int r;

	c->least_1_3 = opt->least_1_3;
	c->strict_names = opt->strict_names;
	if (opt->http2)
		add_protocol(c, "h2");
	if (opt->http1)
		add_protocol(c, "http/1.1");
	r = tls_tickets_create(&c->tickets);
	for (uint32_t i = 0; r == 0 && i < opt->n_entries; i++)
		r = read_entry(opt->entries, c, i, refusal);
	tls_names_sort(&c->names);
	return r == 0 ? check_names(c, refusal) : r;
}

int tls_credentials_read(const struct tls_credentials_options *opt, struct tls_refusal *ret_refusal,
			 struct tls_credentials **ret_credentials)
{
	struct tls_credentials *c = calloc(1, sizeof(*c) + opt->n_entries * sizeof(c->entries[0]));
	int r;

	GW_ASSERT(opt->n_entries > 0 && (opt->http1 || opt->http2));
	if (!c)
		return -ENOMEM;
	r = tls_init();
	if (r == 0)
		r = fill(c, opt, ret_refusal);
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
	for (uint32_t i = 0; i < c->n_entries; i++) {
		tls_shown_free(&c->entries[i].shown);
		tls_clients_free(&c->entries[i].clients);
	}
	tls_names_free(&c->names);
	tls_tickets_free(c->tickets);
	free(c);
}

int tls_credentials_renew_tickets(const struct tls_credentials *c)
{
	return tls_tickets_renew(c->tickets);
}

uint32_t tls_credentials_entries(const struct tls_credentials *c)
{
	return c->n_entries;
}

bool tls_credentials_ask(const struct tls_credentials *c, struct slice name)
{
	uint32_t entry = tls_names_find(&c->names, name);

	if (entry == TLS_NO_ENTRY && name.len > 0 && c->strict_names)
		return false; /* It is refused. */
	return c->entries[entry == TLS_NO_ENTRY ? 0 : entry].clients.auth != TLS_CLIENT_NONE;
}

int64_t tls_credentials_expiry(const struct tls_credentials *c, uint32_t entry,
			       struct slice *ret_name)
{
	GW_ASSERT(entry < c->n_entries);
	*ret_name = slice_of(c->entries[entry].name);
	return c->entries[entry].shown.expiry;
}

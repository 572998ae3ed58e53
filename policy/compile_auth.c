/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/compile_auth.h"

static struct policy_part put_claims(struct blob *blob, const struct draft_auth *from)
{
	struct policy_part list = blob_room(blob, from->n_claims, sizeof(struct policy_claim));

	for (uint32_t i = 0; i < list.n; i++) {
		struct policy_claim claim = { blob_text(blob, from->claims[i].name),
					      blob_text(blob, from->claims[i].header) };
		struct policy_claim *to = blob_at(blob, list.at);

		if (to)
			to[i] = claim;
	}
	return list;
}

static struct policy_part put_clients(struct blob *blob, const struct draft_auth *from)
{
	struct policy_part list = blob_room(blob, from->n_clients, sizeof(struct policy_client));

	for (uint32_t i = 0; i < list.n; i++) {
		struct policy_client client = { .name = blob_text(blob, from->clients[i].name) };
		struct policy_client *to = blob_at(blob, list.at);

		memcpy(client.sha256, from->clients[i].sha256, sizeof(client.sha256));
		if (to)
			to[i] = client;
	}
	return list;
}

/* In place: what lies between fields stays zero. */
static void put_auth(struct blob *blob, const struct draft_auth *from, uint32_t at)
{
	struct policy_part name = blob_text(blob, from->name), claims = put_claims(blob, from);
	struct policy_part header = blob_text(blob, from->header);
	struct policy_part name_header = blob_text(blob, from->name_header);
	struct policy_part clients = put_clients(blob, from);
	struct policy_part certificates =
		blob_texts(blob, from->certificates.list, from->certificates.n);
	struct policy_part subjects = blob_texts(blob, from->subjects.list, from->subjects.n);
	struct policy_part sans = blob_texts(blob, from->sans.list, from->sans.n);
	struct policy_auth *to = blob_at(blob, at);

	if (!to)
		return;
	to->by = from->by;
	to->ring = from->ring;
	to->name = name;
	to->claims = claims;
	to->header = header;
	to->name_header = name_header;
	to->clients = clients;
	to->certificates = certificates;
	to->subjects = subjects;
	to->sans = sans;
}

struct policy_part compile_auths(struct blob *blob, const struct draft_auth *auths, uint32_t n)
{
	struct policy_part list = blob_room(blob, n, sizeof(struct policy_auth));

	for (uint32_t i = 0; i < list.n; i++)
		put_auth(blob, &auths[i], list.at + i * (uint32_t)sizeof(struct policy_auth));
	return list;
}

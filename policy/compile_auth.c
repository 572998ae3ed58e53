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

struct policy_part compile_auths(struct blob *blob, const struct draft_auth *auths, uint32_t n)
{
	struct policy_part list = blob_room(blob, n, sizeof(struct policy_auth));

	for (uint32_t i = 0; i < list.n; i++) {
		const struct draft_auth *from = &auths[i];
		struct policy_auth auth = {
			.by = from->by,
			.ring = from->ring,
			.name = blob_text(blob, from->name),
			.claims = put_claims(blob, from),
			.header = blob_text(blob, from->header),
			.name_header = blob_text(blob, from->name_header),
			.clients = put_clients(blob, from),
			.certificates =
				blob_texts(blob, from->certificates.list, from->certificates.n),
			.subjects = blob_texts(blob, from->subjects.list, from->subjects.n),
		};
		struct policy_auth *to = blob_at(blob, list.at);

		if (to)
			to[i] = auth;
	}
	return list;
}

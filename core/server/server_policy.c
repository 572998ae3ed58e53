/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which policy is in force: read at the start (server_begin.c), or made of the upstreams that the
 * configuration names, or pushed (server_push.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/document/decode.h"
#include "core/document/encode.h"
#include "core/document/path.h"
#include "core/server/plain_document.h"
#include "core/server/server_private.h"
#include "policy/draw.h"
#include "policy/read.h"

enum { PACK_LEAST = 64 * 1024 };

/* --- The policy as it was written. ----------------------------------------------------------- */

void server_policy_free(struct server_policy *policy)
{
	policy_read_free(policy->written);
	free(policy->packed);
	*policy = (struct server_policy){ 0 };
}

static struct plain_policy_options plain_options(const struct server *s)
{
	return (struct plain_policy_options){
		.first = s->first->config,
		.now = s->settings->config,
		.demo = s->origin ? origin_addr(s->origin) : NULL,
		.n_workers = s->n_workers,
		.generation = s->policy.generation + 1,
	};
}

struct policy_beside server_beside(const struct server *s)
{
	return (struct policy_beside){ .plain = plain_options(s), .certs = s->settings->certs };
}

static bool has_upstreams(const struct policy_beside *beside)
{
	return beside->plain.first->n_upstreams > 0 || beside->plain.demo;
}

/* It says how requests are to be treated, and not where they go: that the command line has said. */
static bool is_about_upstreams(const struct policy_beside *beside, const struct document_node *root)
{
	return has_upstreams(beside) && root->kind == DOCUMENT_MAP &&
	       !document_get(root, SLICE("services")) && !document_get(root, SLICE("routes"));
}

static void encode(const struct policy_beside *beside, const struct document_node *root,
		   struct pack *p)
{
	if (!is_about_upstreams(beside, root)) {
		encode_msgpack(p, root);
		return;
	}
	pack_map(p, root->n + PLAIN_DOCUMENT_ENTRIES);
	for (const struct document_node *node = root->first; node; node = node->next) {
		pack_text(p, node->key);
		encode_msgpack(p, node);
	}
	plain_document_pack(&beside->plain, p);
}

void server_pack_plain(const struct server *s, struct pack *p)
{
	struct plain_policy_options plain = plain_options(s);

	pack_map(p, 1 + PLAIN_DOCUMENT_ENTRIES);
	pack_entry_u64(p, "version", 1);
	plain_document_pack(&plain, p);
}

/* As msgpack: for the disk, and for those who ask. */
static int pack_policy(const struct policy_beside *beside, const struct document_node *root,
		       struct server_policy *policy)
{
	for (uint32_t size = PACK_LEAST; size <= CONTROL_FRAME_MAX * 2u; size *= 2) {
		char *bytes = malloc(size);
		struct pack p = pack_make(bytes, size);

		if (!bytes)
			return -ENOMEM;
		encode(beside, root, &p);
		if (!p.w.overflow) {
			policy->packed = bytes;
			policy->packed_len = (uint32_t)writer_len(&p.w);
			return 0;
		}
		free(bytes);
	}
	return -EFBIG;
}

/* The first service that speaks TLS; n_services: none. */
static uint32_t first_tls(const struct written_policy *written)
{
	uint32_t i = 0;

	while (i < written->n_services &&
	       !policy_is_tls((enum policy_protocol)written->services[i].protocol))
		i++;
	return i;
}

bool server_policy_speaks_tls(const struct server_policy *policy)
{
	return policy->written && first_tls(policy->written) < policy->written->n_services;
}

/* What the policy asks of the configuration. */
static int check_trust(const struct certs *certs, const struct server_policy *policy,
		       struct report *rep)
{
	static const struct report_place nowhere;
	char path[REPORT_PATH_MAX];
	struct writer w = writer_make(path, sizeof(path));

	if (!server_policy_speaks_tls(policy) || !certs_trust_nobody(certs))
		return 0;
	writer_lit(&w, "services");
	path_put_key(&w, policy->written->services[first_tls(policy->written)].name);
	path_put_key(&w, SLICE("protocol"));
	report_add(rep, REPORT_SEMANTIC, nowhere, writer_slice(&w),
		   "no authority can vouch for its endpoints: the system has none; name a file of "
		   "them with upstream_tls.ca in the daemon's configuration");
	return -EINVAL;
}

/* What was packed is what is read, also where the command line's upstreams came in. */
static int read_policy(const struct policy_beside *beside, const struct document_node *root,
		       struct report *rep, struct server_policy *policy)
{
	struct document *whole;
	int r;

	if (!is_about_upstreams(beside, root))
		return policy_read(root, policy->packed_len, rep, &policy->written);
	r = decode_read(slice_make(policy->packed, policy->packed_len), rep, &whole);
	if (r < 0)
		return r;
	r = policy_read(document_root(whole), policy->packed_len, rep, &policy->written);
	document_free(whole);
	return r;
}

int server_policy_read(const struct policy_beside *beside, const struct document_node *root,
		       uint32_t generation, struct report *rep, struct server_policy *ret_policy)
{
	struct server_policy policy = { .generation = generation };
	int r = pack_policy(beside, root, &policy);

	if (r == 0)
		r = read_policy(beside, root, rep, &policy);
	if (r == 0)
		r = check_trust(beside->certs, &policy, rep);
	if (r == 0)
		*ret_policy = policy;
	else
		server_policy_free(&policy);
	return r;
}

/* --- Tables. --------------------------------------------------------------------------------- */

int server_policy_prepare(struct server *s, const struct server_policy *policy,
			  struct targets_next **ret_next)
{
	const struct config *config = s->settings->config;
	struct draw_options opt = {
		.before = targets_table(s->targets),
		.generation = policy->generation,
		.n_workers = s->n_workers,
		.max_idle_all =
			(uint32_t)((config->pool.max_idle + s->n_workers - 1) / s->n_workers),
		.server_name = config->upstream_tls.server_name,
		.keyring = s->shared->keyring,
	};
	struct policy_draft *draft;
	int r = policy_draw(policy->written, &opt, &draft);

	if (r < 0)
		return r;
	r = targets_prepare(s->targets, draft, ret_next);
	policy_draw_free(draft);
	return r;
}

static int prepare_plain(struct server *s, struct targets_next **ret_next)
{
	struct plain_policy_options opt = plain_options(s);
	struct plain_policy *plain = malloc(sizeof(*plain)); /* Large for a stack. */
	int r;

	if (!plain)
		return -ENOMEM;
	plain_policy_make(&opt, plain);
	r = targets_prepare(s->targets, &plain->draft, ret_next);
	if (r == 0)
		s->policy.generation = opt.generation;
	free(plain);
	return r;
}

int server_apply_policy(struct server *s)
{
	struct targets_next *next;
	int r = s->policy.written ? server_policy_prepare(s, &s->policy, &next)
				  : prepare_plain(s, &next);

	if (r == 0)
		targets_commit(s->targets, next);
	return r;
}

struct slice server_store(const struct server *s)
{
	return server_store_of(s->options, s->settings->config);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which policy is in force: read at the start, or made of the upstreams that the configuration
 * names, or pushed (server_push.c).
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/document/decode.h"
#include "core/document/encode.h"
#include "core/document/load.h"
#include "core/document/path.h"
#include "core/server/plain_document.h"
#include "core/server/policy_store.h"
#include "core/server/server_private.h"
#include "policy/draw.h"
#include "policy/read.h"

enum { PACK_LEAST = 64 * 1024, FILE_MAX = 8 << 20 };

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

static bool has_upstreams(const struct server *s)
{
	return s->first->config->n_upstreams > 0 || s->origin;
}

/* It says how requests are to be treated, and not where they go: that the command line has said. */
static bool is_about_upstreams(const struct server *s, const struct document_node *root)
{
	return has_upstreams(s) && root->kind == DOCUMENT_MAP &&
	       !document_get(root, SLICE("services")) && !document_get(root, SLICE("routes"));
}

static void encode(const struct server *s, const struct document_node *root, struct pack *p)
{
	struct plain_policy_options plain = plain_options(s);

	if (!is_about_upstreams(s, root)) {
		encode_msgpack(p, root);
		return;
	}
	pack_map(p, root->n + PLAIN_DOCUMENT_ENTRIES);
	for (const struct document_node *node = root->first; node; node = node->next) {
		pack_text(p, node->key);
		encode_msgpack(p, node);
	}
	plain_document_pack(&plain, p);
}

void server_pack_plain(const struct server *s, struct pack *p)
{
	struct plain_policy_options plain = plain_options(s);

	pack_map(p, 1 + PLAIN_DOCUMENT_ENTRIES);
	pack_entry_u64(p, "version", 1);
	plain_document_pack(&plain, p);
}

/* As msgpack: for the disk, and for those who ask. */
static int pack_policy(const struct server *s, const struct document_node *root,
		       struct server_policy *policy)
{
	for (uint32_t size = PACK_LEAST; size <= CONTROL_FRAME_MAX * 2u; size *= 2) {
		char *bytes = malloc(size);
		struct pack p = pack_make(bytes, size);

		if (!bytes)
			return -ENOMEM;
		encode(s, root, &p);
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
static int check_trust(const struct server *s, const struct server_policy *policy,
		       struct report *rep)
{
	static const struct report_place nowhere;
	char path[REPORT_PATH_MAX];
	struct writer w = writer_make(path, sizeof(path));

	if (!server_policy_speaks_tls(policy) || !certs_trust_nobody(s->settings->certs))
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
static int read_policy(const struct server *s, const struct document_node *root, struct report *rep,
		       struct server_policy *policy)
{
	struct document *whole;
	int r;

	if (!is_about_upstreams(s, root))
		return policy_read(root, policy->packed_len, rep, &policy->written);
	r = decode_read(slice_make(policy->packed, policy->packed_len), rep, &whole);
	if (r < 0)
		return r;
	r = policy_read(document_root(whole), policy->packed_len, rep, &policy->written);
	document_free(whole);
	return r;
}

int server_policy_read(const struct server *s, const struct document_node *root,
		       uint32_t generation, struct report *rep, struct server_policy *ret_policy)
{
	struct server_policy policy = { .generation = generation };
	int r = pack_policy(s, root, &policy);

	if (r == 0)
		r = read_policy(s, root, rep, &policy);
	if (r == 0)
		r = check_trust(s, &policy, rep);
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
	/* What a flag has said is not to be forgotten at the next start because of a push. */
	bool by_flag = (s->options->says_policy || s->options->says_upstream) &&
		       !s->options->says_state;

	return by_flag ? SLICE("") : s->settings->config->state;
}

/* --- At the start. --------------------------------------------------------------------------- */

static int log_refusal(const struct report *rep, const char *what, int r)
{
	char text[REPORT_PATH_MAX + REPORT_TEXT_MAX + 64];

	for (uint32_t i = 0; i < rep->n; i++)
		LOG_ALWAYS(LOG_ERROR, "policy_error",
			   LOG_STR("text",
				   slice_make(text, report_format(rep, i, text, sizeof(text)))));
	LOG_ALWAYS(LOG_ERROR, "policy_refused", LOG_STR("what", slice_of(what)),
		   LOG_ERRNO("error", r));
	return r;
}

static int begin_with(struct server *s, const struct document *doc, uint32_t generation,
		      const char *what, struct report *rep)
{
	int r = server_policy_read(s, document_root(doc), generation, rep, &s->policy);

	return r < 0 ? log_refusal(rep, what, r) : 0;
}

/* The one that was accepted last. 0; -ENOENT; or -errno, logged. */
static int begin_with_state(struct server *s, struct report *rep)
{
	struct document *doc = NULL;
	uint32_t generation;
	struct slice bytes;
	int r = policy_store_read(s->settings->config->state, &generation, &bytes);

	if (r == -ENOENT)
		return r;
	report_init(rep, "the state folder");
	if (r == 0) {
		r = decode_read(bytes, rep, &doc);
		free((void *)(uintptr_t)bytes.ptr);
	}
	if (r < 0)
		return log_refusal(rep, "state", r);
	r = begin_with(s, doc, generation, "state", rep);
	s->policy.is_kept = r == 0;
	document_free(doc);
	return r;
}

static int begin_with_file(struct server *s, struct report *rep)
{
	struct slice file = s->settings->config->policy, state = s->settings->config->state;
	struct document *doc = NULL;
	char path[PATH_MAX];
	size_t len;
	int r;

	(void)snprintf(path, sizeof(path), "%.*s", (int)file.len, file.ptr);
	report_init(rep, path);
	r = document_load(path, FILE_MAX, rep, &doc, &len);
	if (r < 0)
		return log_refusal(rep, path, r);
	/* The folder's numbers go on, whatever was asked to go before what it keeps. */
	r = begin_with(s, doc, 1 + (state.len ? policy_store_newest(state) : 0), path, rep);
	document_free(doc);
	return r;
}

/* What a flag says goes before what the state folder keeps, and that before the file's. */
static int begin(struct server *s, struct report *rep)
{
	const struct config *config = s->settings->config;
	int r = -ENOENT;

	if (s->options->says_upstream && !s->options->says_policy)
		return r;
	if (config->state.len && !s->options->says_policy)
		r = begin_with_state(s, rep);
	if (r == -ENOENT && config->policy.len)
		r = begin_with_file(s, rep);
	return r;
}

int server_begin_policy(struct server *s)
{
	struct report *rep = malloc(sizeof(*rep)); /* Large for a stack. */
	int r;

	if (!rep)
		return -ENOMEM;
	r = begin(s, rep);
	free(rep);
	return r < 0 && r != -ENOENT ? r : server_apply_policy(s);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy that a start begins with: what a flag says, --policy or else --upstream; else the last
 * one that the state folder keeps; else the configuration's. Where flags go before what is kept,
 * that is told: a unit that always starts the daemon so undoes every push.
 *
 * The same is read when a configuration is only tested.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/document/decode.h"
#include "core/document/load.h"
#include "core/server/config_replaced.h"
#include "core/server/policy_store.h"
#include "core/server/server_private.h"

enum { FILE_MAX = 8 << 20 };

static const struct report_place nowhere;

/* Where to look. A report points to the paths. */
struct beginning {
	const struct options *options;
	const struct config *config;
	struct policy_beside beside;
	struct report *rep;
	char state[PATH_MAX], file[PATH_MAX];
};

struct slice server_store_of(const struct options *options, const struct config *config)
{
	/* What a flag has said is not to be forgotten at the next start because of a push. */
	bool by_flag = (options->says_policy || options->says_upstream) && !options->says_state;

	return by_flag ? SLICE("") : config->state;
}

/* --- The state folder. ----------------------------------------------------------------------- */

/* Better now than at the first push. 0 or -EINVAL. */
static int check_folder(struct beginning *b)
{
	struct slice folder = server_store_of(b->options, b->config);
	int r = folder.len ? policy_store_check(folder) : 0;

	if (r == 0)
		return 0;
	b->rep->source = b->options->file;
	report_add(b->rep, REPORT_FILE, nowhere, SLICE("state"),
		   "%.*s: %s: policies are kept there, so it has to be a folder in which the "
		   "daemon's user may write; --state off does without",
		   SLICE_ARG(folder), strerror(-r));
	return -EINVAL;
}

/* What is to be done about a policy there that is not good. */
static int tell_remedy(struct beginning *b, const char *what)
{
	report_add(b->rep, REPORT_FILE, nowhere, (struct slice){ 0 },
		   "%s: move it away, and the configuration's policy or --upstream is begun with; "
		   "or rename one of policy.N beside it to policy",
		   what);
	return -EINVAL;
}

/* The one that was accepted last. 0; -ENOENT; -EINVAL, reported; or -ENOMEM. */
static int from_state(struct beginning *b, struct server_policy *ret_policy)
{
	struct slice folder = b->config->state, bytes;
	struct document *doc = NULL;
	uint32_t generation;
	int r = policy_store_read(folder, &generation, &bytes);

	if (r == -ENOENT || r == -ENOMEM)
		return r;
	(void)snprintf(b->state, sizeof(b->state), "%.*s/policy", SLICE_ARG(folder));
	b->rep->source = b->state;
	if (r < 0)
		return tell_remedy(b, r == -EBADMSG ? "is damaged" : strerror(-r));
	r = decode_read(bytes, b->rep, &doc);
	free((void *)(uintptr_t)bytes.ptr);
	if (r == 0)
		r = server_policy_read(&b->beside, document_root(doc), generation, b->rep,
				       ret_policy);
	document_free(doc);
	if (r < 0)
		return r == -ENOMEM ? r : tell_remedy(b, "was good once and is refused now");
	ret_policy->is_kept = true;
	return 0;
}

/* --- The file. ------------------------------------------------------------------------------- */

/* 0; -EINVAL, reported; or -errno. */
static int from_file(struct beginning *b, struct server_policy *ret_policy)
{
	struct slice file = b->config->policy, state = b->config->state;
	struct document *doc = NULL;
	size_t len;
	int r;

	(void)snprintf(b->file, sizeof(b->file), "%.*s", SLICE_ARG(file));
	b->rep->source = b->file;
	r = document_load(b->file, FILE_MAX, b->rep, &doc, &len);
	if (r < 0)
		return r;
	/* The folder's numbers go on, whatever was asked to go before what it keeps. */
	r = server_policy_read(&b->beside, document_root(doc),
			       1 + (state.len ? policy_store_newest(state) : 0), b->rep,
			       ret_policy);
	document_free(doc);
	return r;
}

/* --- The choice. ----------------------------------------------------------------------------- */

/* 0; -ENOENT: the upstreams are in force; -EINVAL, reported; or -errno. */
static int choose(struct beginning *b, struct server_policy *ret_policy)
{
	bool by_flag = b->options->says_policy;
	int r = -ENOENT;

	if (b->options->says_upstream && !by_flag)
		return r;
	if (b->config->state.len && !by_flag)
		r = from_state(b, ret_policy);
	if (r == -ENOENT && b->config->policy.len)
		r = from_file(b, ret_policy);
	return r;
}

static void tell_choice(const struct server *s, const struct beginning *b)
{
	LOG_ALWAYS(LOG_INFO, "policy_begun", LOG_U64("generation", s->policy.generation),
		   LOG_STR("from", slice_of(s->policy.is_kept ? b->state : b->file)));
}

static void tell_what_is_kept(const struct beginning *b, uint32_t newest)
{
	bool by_flag = b->options->says_policy || b->options->says_upstream;

	if (by_flag && newest)
		LOG_ALWAYS(LOG_WARN, "kept_policy_without_effect",
			   LOG_STR("text",
				   SLICE("a policy that was pushed is kept, and a flag goes before "
					 "it: start without --policy and --upstream to begin with "
					 "what was pushed last")),
			   LOG_STR("folder", b->config->state), LOG_U64("generation", newest));
}

static void log_refusal(const struct report *rep)
{
	char text[REPORT_PATH_MAX + REPORT_TEXT_MAX + 64];

	for (uint32_t i = 0; i < rep->n; i++)
		LOG_ALWAYS(LOG_ERROR, "policy_error",
			   LOG_STR("text",
				   slice_make(text, report_format(rep, i, text, sizeof(text)))));
}

static int begin(struct server *s, struct beginning *b)
{
	uint32_t newest = b->config->state.len ? policy_store_newest(b->config->state) : 0;
	int r = check_folder(b);

	if (r == 0)
		r = choose(b, &s->policy);
	log_refusal(b->rep);
	if (r == 0)
		tell_choice(s, b);
	if (r == 0 || r == -ENOENT)
		tell_what_is_kept(b, newest);
	if (r == -ENOENT) { /* Nothing may get a number that something kept has. */
		s->policy.generation = newest;
		r = 0;
	}
	return b->rep->n ? -EBADMSG : r;
}

/* Large for a stack. */
struct room {
	struct beginning beginning;
	struct report rep;
};

int server_begin_policy(struct server *s)
{
	struct room *room = calloc(1, sizeof(*room));
	int r;

	if (!room)
		return -ENOMEM;
	report_init(&room->rep, NULL);
	room->beginning = (struct beginning){ .options = s->options,
					      .config = s->settings->config,
					      .beside = server_beside(s),
					      .rep = &room->rep };
	r = begin(s, &room->beginning);
	free(room);
	return r < 0 ? r : server_apply_policy(s);
}

int server_check(const struct options *options, const struct config *config,
		 const struct certs *certs, struct report *rep, struct report *ret_warnings)
{
	static struct beginning b; /* The report points into it. */
	struct server_policy policy = { 0 };
	int r;

	b = (struct beginning){
		.options = options,
		.config = config,
		.beside = { .plain = { .first = config, .now = config, .n_workers = 1 },
			    .certs = certs },
		.rep = rep,
	};
	r = check_folder(&b);
	if (r == 0)
		r = choose(&b, &policy);
	if (r == 0)
		config_replaced_warn(config, ret_warnings);
	server_policy_free(&policy);
	if ((r == 0 || r == -ENOENT) && config->policy.len && !b.file[0]) {
		r = from_file(&b, &policy); /* Not for this start, but for another. */
		server_policy_free(&policy);
	}
	return r == -ENOENT ? 0 : r;
}

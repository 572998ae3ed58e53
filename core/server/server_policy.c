/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which policy is in force, and how it comes to the workers: pushed, or read at the start, or made of
 * the upstreams that the configuration names.
 *
 * A policy is taken in this order: read, compiled, kept on disk, offered. What fails before the
 * offer has changed nothing; what was offered stays.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/document/decode.h"
#include "core/document/encode.h"
#include "core/document/load.h"
#include "core/server/plain_policy.h"
#include "core/server/policy_store.h"
#include "core/server/server_private.h"
#include "policy/draw.h"
#include "policy/read.h"

#define ADOPT_WAIT_NS (50 * GW_NS_PER_MS) /* An answer waits so long for the workers. */
#define ADOPT_POLL_NS (50 * GW_NS_PER_US)

enum { PACK_LEAST = 64 * 1024, FILE_MAX = 8 << 20 };

/* How a push went. */
struct push {
	uint64_t compile_ns, persist_ns;
	bool kept;
};

/* --- The policy as it was written. ----------------------------------------------------------- */

void server_policy_free(struct server_policy *policy)
{
	policy_read_free(policy->written);
	free(policy->packed);
	*policy = (struct server_policy){ 0 };
}

/* As msgpack: for the disk, and for those who ask. */
static int pack_policy(const struct document_node *root, struct server_policy *policy)
{
	for (uint32_t size = PACK_LEAST; size <= CONTROL_FRAME_MAX * 2u; size *= 2) {
		char *bytes = malloc(size);
		struct pack p = pack_make(bytes, size);

		if (!bytes)
			return -ENOMEM;
		encode_msgpack(&p, root);
		if (!p.w.overflow) {
			policy->packed = bytes;
			policy->packed_len = (uint32_t)writer_len(&p.w);
			return 0;
		}
		free(bytes);
	}
	return -EFBIG;
}

static int read_policy(const struct document_node *root, uint32_t generation, struct report *rep,
		       struct server_policy *ret_policy)
{
	struct server_policy policy = { .generation = generation };
	int r = pack_policy(root, &policy);

	if (r == 0)
		r = policy_read(root, policy.packed_len, rep, &policy.written);
	if (r == 0)
		*ret_policy = policy;
	else
		server_policy_free(&policy);
	return r;
}

/* --- Tables. --------------------------------------------------------------------------------- */

static int prepare_written(struct server *s, const struct server_policy *policy,
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
	struct plain_policy_options opt = {
		.first = s->first->config,
		.now = s->settings->config,
		.demo = s->origin ? origin_addr(s->origin) : NULL,
		.n_workers = s->n_workers,
		.generation = s->policy.generation + 1,
	};
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
	int r = s->policy.written ? prepare_written(s, &s->policy, &next) : prepare_plain(s, &next);

	if (r == 0)
		targets_commit(s->targets, next);
	return r;
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
	int r = read_policy(document_root(doc), generation, rep, &s->policy);

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
	document_free(doc);
	return r;
}

static int begin_with_file(struct server *s, struct report *rep)
{
	struct slice file = s->settings->config->policy;
	struct document *doc = NULL;
	char path[PATH_MAX];
	size_t len;
	int r;

	(void)snprintf(path, sizeof(path), "%.*s", (int)file.len, file.ptr);
	report_init(rep, path);
	r = document_load(path, FILE_MAX, rep, &doc, &len);
	if (r < 0)
		return log_refusal(rep, path, r);
	r = begin_with(s, doc, 1, path, rep);
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

/* --- Pushing. -------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static int refuse(struct control_error *error,
							const char *code, const char *format, ...)
{
	va_list args;

	error->code = code;
	va_start(args, format);
	(void)vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return -EINVAL;
}

static int refuse_policy(struct server *s, const struct report *rep, int r,
			 struct control_error *error)
{
	if (rep->n == 0)
		return refuse(error, "internal", "%s", strerror(-r));
	(void)snprintf(s->error_path, sizeof(s->error_path), "policy%s%s",
		       rep->errors[0].path[0] ? "." : "", rep->errors[0].path);
	error->path = s->error_path;
	return refuse(error, report_code_name(rep->errors[0].code), "%s", rep->errors[0].text);
}

struct push_args {
	const struct document_node *policy;
	bool expects, dry_run;
	uint64_t expected;
};

static int read_args(const struct document_node *args, struct push_args *ret,
		     struct control_error *error)
{
	for (const struct document_node *node = args ? args->first : NULL; node;
	     node = node->next) {
		if (slice_eq(node->key, SLICE("policy"))) {
			ret->policy = node;
		} else if (slice_eq(node->key, SLICE("expect_generation")) &&
			   node->kind == DOCUMENT_INT && !node->negative) {
			ret->expects = true;
			ret->expected = node->number;
		} else if (slice_eq(node->key, SLICE("dry_run")) && node->kind == DOCUMENT_BOOL) {
			ret->dry_run = node->boolean;
		} else {
			return refuse(error, "unknown_key",
				      "push_policy takes policy (a map), expect_generation (a "
				      "number) and dry_run (true or false)");
		}
	}
	if (!ret->policy)
		return refuse(error, "missing_key", "the argument \"policy\" is missing");
	return 0;
}

static int check_generation(const struct server *s, const struct push_args *args,
			    struct control_error *error)
{
	if (!args->expects || args->expected == s->policy.generation)
		return 0;
	return refuse(error, "stale", "generation %u is in force, not %llu", s->policy.generation,
		      (unsigned long long)args->expected);
}

static int keep(struct server *s, const struct server_policy *policy, struct push *push,
		struct control_error *error)
{
	struct slice folder = s->settings->config->state;
	uint64_t begun_ns = gw_now_ns();
	int r;

	/* What a flag has said is not to be forgotten at the next start because of this one. */
	if (folder.len == 0 ||
	    ((s->options->says_policy || s->options->says_upstream) && !s->options->says_state))
		return 0;
	r = policy_store_write(folder, policy->generation,
			       slice_make(policy->packed, policy->packed_len));
	push->persist_ns = gw_now_ns() - begun_ns;
	push->kept = r == 0;
	return r == 0 ? 0
		      : refuse(error, "not_kept", "cannot be written to the state folder: %s",
			       strerror(-r));
}

static bool all_adopted(const struct server *s)
{
	return server_all_have(s, targets_table(s->targets));
}

/* Workers need nothing of this thread for it. */
static bool wait_for_workers(struct server *s)
{
	const struct timespec pause = { .tv_nsec = ADOPT_POLL_NS };
	uint64_t until_ns = gw_now_ns() + ADOPT_WAIT_NS;

	ring_flush(s->ring); /* The bells that wake them. */
	while (!all_adopted(s) && gw_now_ns() < until_ns)
		(void)nanosleep(&pause, NULL); /* A shorter one does no harm. */
	return all_adopted(s);
}

/* Microseconds from the first offer to the worker's adoption; -1: it has not yet. */
static int64_t adopt_us(const struct server *s, uint32_t i)
{
	struct policy_seat *seat = worker_seat(&s->workers[i]);
	uint64_t at_ns = seat_adopted_ns(seat);

	if (!seat_has(seat, targets_table(s->targets)))
		return -1;
	return at_ns > s->offered_ns ? (int64_t)((at_ns - s->offered_ns) / 1000) : 0;
}

static void pack_workers(const struct server *s, struct pack *result)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_running; i++)
		n += s->rings[i] != NULL;
	pack_key(result, "workers");
	pack_list(result, n);
	for (uint32_t i = 0; i < s->n_running; i++) {
		if (!s->rings[i])
			continue;
		pack_map(result, 2);
		pack_entry_u64(result, "worker", i);
		pack_key(result, "adopt_us");
		if (adopt_us(s, i) < 0)
			pack_null(result);
		else
			pack_i64(result, adopt_us(s, i));
	}
}

static void pack_push(const struct server *s, const struct push *push, struct pack *result)
{
	int64_t most = 0;

	for (uint32_t i = 0; i < s->n_running; i++)
		if (s->rings[i] && adopt_us(s, i) > most)
			most = adopt_us(s, i);
	pack_map(result, 9);
	pack_entry_u64(result, "generation", s->policy.generation);
	pack_entry_bool(result, "committed", true);
	pack_entry_bool(result, "kept", push->kept);
	pack_entry_u64(result, "sync_us_max", (uint64_t)most);
	pack_entry_u64(result, "receive_us", control_receive_ns(s->control) / 1000);
	pack_entry_u64(result, "compile_us", push->compile_ns / 1000);
	pack_entry_u64(result, "persist_us", push->persist_ns / 1000);
	pack_key(result, "inactive");
	pack_list(result, 0);
	pack_workers(s, result);
}

static void take(struct server *s, struct server_policy *policy, struct targets_next *next)
{
	server_policy_free(&s->policy);
	s->policy = *policy;
	targets_commit(s->targets, next);
	LOG_ALWAYS(LOG_INFO, "policy_offered", LOG_U64("generation", policy->generation));
}

static int push(struct server *s, const struct push_args *args, struct report *rep,
		struct pack *result, struct control_error *error)
{
	struct server_policy policy = { 0 };
	struct targets_next *next = NULL;
	struct push how = { 0 };
	uint64_t begun_ns = gw_now_ns();
	int r;

	report_init(rep, NULL);
	r = read_policy(args->policy, s->policy.generation + 1, rep, &policy);
	if (r < 0)
		return refuse_policy(s, rep, r, error);
	r = prepare_written(s, &policy, &next);
	how.compile_ns = gw_now_ns() - begun_ns;
	if (r < 0) {
		server_policy_free(&policy);
		return refuse(error, "internal", "%s", strerror(-r));
	}
	r = args->dry_run ? 1 : keep(s, &policy, &how, error);
	if (r != 0) { /* Good as it is, or not kept. */
		targets_forget(s->targets, next);
		server_policy_free(&policy);
		if (r < 0)
			return r;
		pack_map(result, 2);
		pack_entry_bool(result, "committed", false);
		pack_entry_u64(result, "compile_us", how.compile_ns / 1000);
		return 0;
	}
	take(s, &policy, next);
	(void)wait_for_workers(s); /* Who is late is named in the answer. */
	pack_push(s, &how, result);
	return 0;
}

int server_run_push_policy(void *owner, const struct document_node *args, struct pack *result,
			   struct control_error *error)
{
	struct server *s = owner;
	struct push_args given = { 0 };
	struct report *rep;
	int r;

	if (s->state != SERVER_SERVING)
		return refuse(error, "state", "the daemon is %s", server_state_name(s));
	if (!config_has_policy(s->first->config))
		return refuse(error, "no_policy",
			      "this daemon was started for its upstreams alone; start it with "
			      "policy or state (--policy FILE, --state DIR) to push policies");
	r = read_args(args, &given, error);
	if (r == 0)
		r = check_generation(s, &given, error);
	if (r < 0)
		return r;
	rep = malloc(sizeof(*rep));
	if (!rep)
		return refuse(error, "internal", "out of memory");
	r = push(s, &given, rep, result, error);
	free(rep);
	return r;
}

int server_run_get_policy(void *owner, const struct document_node *args, struct pack *result,
			  struct control_error *error)
{
	struct server *s = owner;

	(void)args;
	if (!s->policy.written)
		return refuse(error, "no_policy",
			      "none was pushed: the upstreams of the command line are in force");
	pack_map(result, 2);
	pack_entry_u64(result, "generation", s->policy.generation);
	pack_key(result, "policy");
	writer_put(&result->w, slice_make(s->policy.packed, s->policy.packed_len));
	return 0;
}

uint32_t server_reply_extra(void *owner)
{
	const struct server *s = owner;

	return s->policy.packed_len;
}

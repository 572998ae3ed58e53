/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies from outside. One is taken in this order: read, compiled, kept on disk, offered. What
 * fails before the offer has changed nothing; what was offered stays.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/document/inactive.h"
#include "core/server/policy_store.h"
#include "core/server/server_private.h"

#define ADOPT_WAIT_NS (50 * GW_NS_PER_MS) /* An answer waits so long for the workers. */
#define ADOPT_POLL_NS (50 * GW_NS_PER_US)

/* How a push went. */
struct push {
	const struct document_node *policy;
	uint64_t compile_ns, persist_ns;
	bool kept;
};

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

/* What the policy says and nothing acts on yet. */
enum { INACTIVE_MAX = 64 }; /* Paths that are told; an operator knows by then. */

struct inactive {
	struct pack *result; /* NULL: they are counted. */
	uint32_t n;
};

static void add_inactive(void *owner, struct slice path)
{
	struct inactive *found = owner;

	if (++found->n <= INACTIVE_MAX && found->result)
		pack_text(found->result, path);
}

static void pack_inactive(const struct document_node *policy, struct pack *result)
{
	struct inactive counted = { 0 }, told = { .result = result };

	inactive_find(&policy_schema, policy, add_inactive, &counted);
	pack_key(result, "inactive");
	pack_list(result, counted.n < INACTIVE_MAX ? counted.n : INACTIVE_MAX);
	inactive_find(&policy_schema, policy, add_inactive, &told);
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
	pack_inactive(push->policy, result);
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
	struct push how = { .policy = args->policy };
	uint64_t begun_ns = gw_now_ns();
	int r;

	report_init(rep, NULL);
	r = server_policy_read(s, args->policy, s->policy.generation + 1, rep, &policy);
	if (r < 0)
		return refuse_policy(s, rep, r, error);
	r = server_policy_prepare(s, &policy, &next);
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
		pack_map(result, 3);
		pack_entry_bool(result, "committed", false);
		pack_entry_u64(result, "compile_us", how.compile_ns / 1000);
		pack_inactive(args->policy, result);
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

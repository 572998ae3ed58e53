/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies from outside. One is taken in this order: read, compiled, kept on disk, offered. What
 * fails before the offer has changed nothing; what was offered stays.
 *
 * All but the offer is a job (jobs.h), so that nothing waits for it but who has pushed and who
 * wants to change what it looks at.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/document/decode.h"
#include "core/document/inactive.h"
#include "core/server/policy_store.h"
#include "core/server/server_private.h"

#define ADOPT_WAIT_NS (50 * GW_NS_PER_MS) /* An answer waits so long for the workers. */
#define ADOPT_POLL_NS (50 * GW_NS_PER_US)

enum { INACTIVE_MAX = 256 }; /* Paths that are told; of more only how many there are. */

/* What a push has come to. */
enum push_end {
	PUSH_GOOD,
	PUSH_UNKNOWN, /* Nothing like it is kept. */
	PUSH_REFUSED, /* 'report' says why, or 'r' alone. */
	PUSH_FAILED,  /* For 'r', which is not the policy's fault. */
	PUSH_NOT_KEPT,
};

/* From the command to its answer. Between the two it is the job's. */
struct push {
	struct job job;
	struct server *server;
	struct control_client *client;
	struct push_order order;
	struct document *stored; /* Of a rollback. */
	uint64_t receive_ns, compile_ns, persist_ns;
	struct server_policy policy;
	struct targets_next *next;
	enum push_end end;
	int r;
	uint32_t n_inactive;   /* What nothing acts on yet: */
	uint32_t inactive_len; /* the first of them, a list as msgpack. */
	char inactive[INACTIVE_MAX * (REPORT_PATH_MAX + 3) + 5];
	struct report report;
};

/* --- What a command says. -------------------------------------------------------------------- */

int server_refuse(struct control_error *error, const char *code, const char *format, ...)
{
	va_list args;

	error->code = code;
	va_start(args, format);
	(void)vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return -EINVAL;
}

static int read_args(const struct document_node *args, struct push_order *ret,
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
			return server_refuse(error, "unknown_key",
					     "push_policy takes policy (a map), expect_generation "
					     "(a number) and dry_run (true or false)");
		}
	}
	if (!ret->policy)
		return server_refuse(error, "missing_key", "the argument \"policy\" is missing");
	return 0;
}

/* --- The job: on the jobs' thread. ----------------------------------------------------------- */

/* The latest before the one in force that is not damaged; 0: there is none. */
static uint32_t latest_before(const struct server *s)
{
	struct policy_stored list[POLICY_STORE_MAX];
	int n = policy_store_list(server_store(s), list);

	for (int i = 0; i < n; i++)
		if (list[i].generation < s->policy.generation && list[i].len > 0)
			return list[i].generation;
	return 0;
}

/* The policy of a rollback. */
static enum push_end find(struct push *push)
{
	const struct server *s = push->server;
	struct push_order *order = &push->order;
	struct slice bytes;

	if (order->from == 0)
		order->from = latest_before(s);
	if (order->from == 0)
		return PUSH_UNKNOWN;
	push->r = policy_store_read_one(server_store(s), order->from, &bytes);
	if (push->r < 0)
		return push->r == -ENOENT ? PUSH_UNKNOWN : PUSH_FAILED;
	push->r = decode_read(bytes, &push->report, &push->stored);
	free((void *)(uintptr_t)bytes.ptr);
	if (push->r < 0)
		return PUSH_REFUSED;
	order->policy = document_root(push->stored);
	return PUSH_GOOD;
}

struct inactive {
	struct pack *list; /* NULL: they are counted. */
	uint32_t n;
};

static void add_inactive(void *owner, struct slice path)
{
	struct inactive *found = owner;

	if (found->n++ < INACTIVE_MAX && found->list)
		pack_text(found->list, path);
}

/* Now, while the document is there. */
static void list_inactive(struct push *push)
{
	struct pack p = pack_make(push->inactive, sizeof(push->inactive));
	struct inactive counted = { 0 }, told = { .list = &p };

	inactive_find(&policy_schema, push->order.policy, add_inactive, &counted);
	pack_list(&p, counted.n < INACTIVE_MAX ? counted.n : INACTIVE_MAX);
	inactive_find(&policy_schema, push->order.policy, add_inactive, &told);
	GW_ASSERT(!p.w.overflow);
	push->n_inactive = counted.n;
	push->inactive_len = (uint32_t)writer_len(&p.w);
}

static void pack_inactive(const struct push *push, struct pack *result)
{
	pack_key(result, "inactive");
	writer_put(&result->w, slice_make(push->inactive, push->inactive_len));
	pack_entry_u64(result, "inactive_total", push->n_inactive);
}

static enum push_end compile(struct push *push)
{
	struct server *s = push->server;
	const struct policy_beside beside = server_beside(s);
	uint64_t begun_ns = gw_now_ns();

	push->r = server_policy_read(&beside, push->order.policy, s->policy.generation + 1,
				     &push->report, &push->policy);
	if (push->r < 0)
		return PUSH_REFUSED;
	list_inactive(push);
	push->r = server_policy_prepare(s, &push->policy, &push->next);
	push->compile_ns = gw_now_ns() - begun_ns;
	return push->r < 0 ? PUSH_FAILED : PUSH_GOOD;
}

static struct slice packed(const struct server_policy *policy)
{
	return slice_make(policy->packed, policy->packed_len);
}

static enum push_end keep(struct push *push)
{
	const struct server_policy *before = &push->server->policy;
	struct server_policy *policy = &push->policy;
	struct slice folder = server_store(push->server);
	uint64_t begun_ns = gw_now_ns();

	if (folder.len == 0 || push->order.dry_run)
		return PUSH_GOOD;
	if (before->written && !before->is_kept) /* Of a file: there is a way back to it too. */
		push->r = policy_store_write_older(folder, before->generation, packed(before));
	if (push->r == 0)
		push->r = policy_store_write(folder, policy->generation, packed(policy));
	push->persist_ns = gw_now_ns() - begun_ns;
	policy->is_kept = push->r == 0;
	return policy->is_kept ? PUSH_GOOD : PUSH_NOT_KEPT;
}

static void run(struct job *job)
{
	static enum push_end (*const steps[])(struct push *) = { find, compile, keep };
	struct push *push = GW_CONTAINER_OF(job, struct push, job);

	for (size_t i = !push->order.is_rollback; i < ARRAY_SIZE(steps); i++) {
		push->end = steps[i](push);
		if (push->end != PUSH_GOOD)
			return;
	}
}

/* --- The offer. ------------------------------------------------------------------------------ */

static bool all_adopted(const struct server *s)
{
	return server_all_have(s, targets_table(s->targets));
}

/* Workers need nothing of this thread for it. Who is late is named in the answer. */
static void wait_for_workers(struct server *s)
{
	const struct timespec pause = { .tv_nsec = ADOPT_POLL_NS };
	uint64_t until_ns = gw_now_ns() + ADOPT_WAIT_NS;

	ring_flush(s->ring); /* The bells that wake them. */
	while (!all_adopted(s) && gw_now_ns() < until_ns)
		(void)nanosleep(&pause, NULL); /* A shorter one does no harm. */
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

/* How long the last worker took. While one is to come nobody knows. */
static void pack_sync(const struct server *s, struct pack *result)
{
	uint32_t n_pending = 0;
	int64_t most = 0;

	for (uint32_t i = 0; i < s->n_running; i++) {
		int64_t us = s->rings[i] ? adopt_us(s, i) : 0;

		n_pending += us < 0;
		most = us > most ? us : most;
	}
	pack_entry_u64(result, "pending", n_pending);
	pack_key(result, "sync_us_max");
	if (n_pending)
		pack_null(result);
	else
		pack_i64(result, most);
}

static void pack_push(const struct server *s, const struct push *push, struct pack *result)
{
	pack_map(result, push->order.is_rollback ? 12 : 11);
	pack_entry_u64(result, "generation", s->policy.generation);
	if (push->order.is_rollback)
		pack_entry_u64(result, "from", push->order.from);
	pack_entry_bool(result, "committed", true);
	pack_entry_bool(result, "kept", s->policy.is_kept);
	pack_sync(s, result);
	pack_entry_u64(result, "receive_us", push->receive_ns / 1000);
	pack_entry_u64(result, "compile_us", push->compile_ns / 1000);
	pack_entry_u64(result, "persist_us", push->persist_ns / 1000);
	pack_inactive(push, result);
	pack_workers(s, result);
}

static void pack_dry_run(const struct push *push, struct pack *result)
{
	pack_map(result, 4);
	pack_entry_bool(result, "committed", false);
	pack_entry_u64(result, "compile_us", push->compile_ns / 1000);
	pack_inactive(push, result);
}

static void take(struct server *s, struct push *push)
{
	bool is_first = !s->policy.written;

	server_policy_free(&s->policy);
	s->policy = push->policy;
	targets_commit(s->targets, push->next);
	push->policy = (struct server_policy){ 0 };
	push->next = NULL;
	LOG_ALWAYS(LOG_INFO, "policy_offered", LOG_U64("generation", s->policy.generation),
		   LOG_U64("uid", control_uid(push->client)));
	if (is_first)
		server_tell_replaced(s);
}

static int refuse_policy(struct push *push, struct control_error *error)
{
	const struct report *rep = &push->report;
	struct server *s = push->server;

	if (rep->n == 0)
		return server_refuse(error, "internal", "%s", strerror(-push->r));
	(void)snprintf(s->error_path, sizeof(s->error_path), "policy%s%s",
		       rep->errors[0].path[0] ? "." : "", rep->errors[0].path);
	error->path = s->error_path;
	return server_refuse(error, report_code_name(rep->errors[0].code), "%s",
			     rep->errors[0].text);
}

static int refuse_unknown(const struct push *push, struct control_error *error)
{
	error->path = "generation";
	if (push->order.from == 0)
		return server_refuse(error, "unknown_generation",
				     "no policy before generation %u is kept",
				     push->server->policy.generation);
	return server_refuse(error, "unknown_generation",
			     "generation %u is not kept; policy_history lists those that are",
			     push->order.from);
}

static int refuse_end(struct push *push, struct control_error *error)
{
	switch (push->end) {
	case PUSH_UNKNOWN:
		return refuse_unknown(push, error);
	case PUSH_REFUSED:
		return refuse_policy(push, error);
	case PUSH_FAILED:
		return push->r == -EBADMSG
			       ? server_refuse(error, "damaged", "generation %u is damaged",
					       push->order.from)
			       : server_refuse(error, "internal", "%s", strerror(-push->r));
	case PUSH_NOT_KEPT:
		return server_refuse(error, "not_kept", "cannot be written to the state folder: %s",
				     strerror(-push->r));
	case PUSH_GOOD:
		break;
	}
	GW_UNREACHABLE();
}

static int answer(void *owner, const struct document_node *args, struct pack *result,
		  struct control_error *error)
{
	struct push *push = owner;
	struct server *s = push->server;
	int r;

	(void)args;
	if (push->end != PUSH_GOOD) {
		r = refuse_end(push, error);
		server_push_refused(s, control_uid(push->client), error);
		return r;
	}
	server_push_accepted(s, push->order.dry_run);
	if (push->order.dry_run) {
		pack_dry_run(push, result);
		return 0;
	}
	wait_for_workers(s);
	pack_push(s, push, result);
	return 0;
}

static void free_push(struct push *push)
{
	if (push->next)
		targets_forget(push->server->targets, push->next);
	server_policy_free(&push->policy);
	document_free(push->stored);
	free(push);
}

/* Back on the control thread. What was kept is offered whatever has happened since. */
static void done(struct job *job)
{
	struct push *push = GW_CONTAINER_OF(job, struct push, job);
	struct server *s = push->server;

	if (push->end == PUSH_GOOD && !push->order.dry_run)
		take(s, push);
	control_answer(push->client, answer, push, 0);
	free_push(push);
	targets_thaw(s->targets);
	s->pushing = false;
	if (s->reload_waits && s->state != SERVER_STOPPED)
		server_reload_asked(s);
}

/* --- Orders. --------------------------------------------------------------------------------- */

static int may_push(const struct server *s, const struct push_order *order,
		    struct control_error *error)
{
	if (s->state != SERVER_SERVING)
		return server_refuse(error, "state", "the daemon is %s", server_state_name(s));
	if (!config_has_policy(s->first->config))
		return server_refuse(error, "no_policy",
				     "this daemon was started for its upstreams alone; start it "
				     "with policy or state (--policy FILE, --state DIR) to push "
				     "policies");
	if (s->pushing)
		return server_refuse(error, "busy", "another push is under way; try again");
	if (!order->expects || order->expected == s->policy.generation)
		return 0;
	return server_refuse(error, "stale", "generation %u is in force, not %llu",
			     s->policy.generation, (unsigned long long)order->expected);
}

static int begin_push(struct server *s, const struct push_order *order, struct control_error *error)
{
	struct push *push;
	int r = may_push(s, order, error);

	if (r < 0)
		return r;
	push = calloc(1, sizeof(*push));
	if (!push)
		return server_refuse(error, "internal", "out of memory");
	push->job = (struct job){ run, done };
	push->server = s;
	push->client = control_asking(s->control);
	push->order = *order;
	push->receive_ns = control_receive_ns(s->control);
	report_init(&push->report, NULL);
	targets_freeze(s->targets);
	s->pushing = true;
	r = jobs_give(s->jobs, &push->job);
	GW_ASSERT(r == 0); /* Each client of the control socket waits for one at most. */
	return CONTROL_LATER;
}

int server_push(struct server *s, const struct push_order *order, struct control_error *error)
{
	int r = begin_push(s, order, error);

	if (r < 0)
		server_push_refused(s, control_uid(control_asking(s->control)), error);
	return r;
}

int server_run_push_policy(void *owner, const struct document_node *args, struct pack *result,
			   struct control_error *error)
{
	struct push_order order = { 0 };
	struct server *s = owner;
	int r = read_args(args, &order, error);

	(void)result;
	if (r == 0)
		return server_push(s, &order, error);
	server_push_refused(s, control_uid(control_asking(s->control)), error);
	return r;
}

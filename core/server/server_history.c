/* SPDX-License-Identifier: Apache-2.0 */
/* The policies that are kept: listed, asked for, and pushed once more. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/server/policy_store.h"
#include "core/server/plain_document.h"
#include "core/server/server_private.h"

static_assert((int)JOBS_MAX >= (int)CONTROL_CLIENTS_MAX, "each client may wait for one job");

/* A look into the store, from the command to its answer. Between the two it is the job's. */
struct look {
	struct job job;
	struct server *server;
	struct control_client *client;
	control_command_fn *answer;
	struct policy_stored list[POLICY_STORE_MAX];
	uint32_t generation;
	struct slice bytes; /* Its policy, malloced. */
	int r;              /* Of the list, how many; or -errno. */
};

static int refuse_without_store(const struct server *s, struct control_error *error)
{
	if (s->state != SERVER_SERVING)
		return server_refuse(error, "state", "the daemon is %s", server_state_name(s));
	if (server_store(s).len == 0)
		return server_refuse(error, "no_state",
				     "this daemon keeps no policies; start it with state "
				     "(--state DIR)");
	return 0;
}

/* --- Looking. -------------------------------------------------------------------------------- */

static void done(struct job *job)
{
	struct look *look = GW_CONTAINER_OF(job, struct look, job);

	control_answer(look->client, look->answer, look, (uint32_t)look->bytes.len);
	free((void *)(uintptr_t)look->bytes.ptr);
	free(look);
}

static int give(struct server *s, job_fn *run, control_command_fn *answer, uint32_t generation,
		struct control_error *error)
{
	struct look *look;
	int r = refuse_without_store(s, error);

	if (r < 0)
		return r;
	look = calloc(1, sizeof(*look));
	if (!look)
		return server_refuse(error, "internal", "out of memory");
	look->job = (struct job){ run, done };
	look->server = s;
	look->client = control_asking(s->control);
	look->answer = answer;
	look->generation = generation;
	r = jobs_give(s->jobs, &look->job);
	GW_ASSERT(r == 0);
	return CONTROL_LATER;
}

static int refuse_unreadable(int r, struct control_error *error)
{
	return server_refuse(error, "internal", "the state folder cannot be read: %s",
			     strerror(-r));
}

/* --- The list. ------------------------------------------------------------------------------- */

static void list(struct job *job)
{
	struct look *look = GW_CONTAINER_OF(job, struct look, job);

	look->r = policy_store_list(server_store(look->server), look->list);
}

static void pack_one(const struct server *s, const struct policy_stored *one, struct pack *result)
{
	char text[CLOCK_RFC3339_LEN];

	clock_rfc3339(one->accepted_ns, text);
	pack_map(result, one->len ? 4 : 5);
	pack_entry_u64(result, "generation", one->generation);
	pack_entry_text(result, "accepted_at", slice_make(text, sizeof(text)));
	pack_entry_u64(result, "bytes", one->len);
	pack_entry_bool(result, "current", one->generation == s->policy.generation);
	if (one->len == 0)
		pack_entry_bool(result, "damaged", true);
}

static int answer_list(void *owner, const struct document_node *args, struct pack *result,
		       struct control_error *error)
{
	const struct look *look = owner;

	(void)args;
	if (look->r < 0)
		return refuse_unreadable(look->r, error);
	pack_list(result, (uint32_t)look->r);
	for (int i = 0; i < look->r; i++)
		pack_one(look->server, &look->list[i], result);
	return 0;
}

int server_run_policy_history(void *owner, const struct document_node *args, struct pack *result,
			      struct control_error *error)
{
	(void)result;
	if (args && args->n)
		return server_refuse(error, "unknown_key", "policy_history takes no arguments");
	return give(owner, list, answer_list, 0, error);
}

/* --- One of them. ---------------------------------------------------------------------------- */

static void fetch(struct job *job)
{
	struct look *look = GW_CONTAINER_OF(job, struct look, job);

	look->r = policy_store_read_one(server_store(look->server), look->generation, &look->bytes);
}

static void pack_policy(uint32_t generation, struct slice packed, struct pack *result)
{
	pack_map(result, 2);
	pack_entry_u64(result, "generation", generation);
	pack_key(result, "policy");
	writer_put(&result->w, packed);
}

/* None was pushed: that of the command line's upstreams. */
static void pack_plain(const struct server *s, struct pack *result)
{
	pack_map(result, 2);
	pack_entry_u64(result, "generation", s->policy.generation);
	pack_key(result, "policy");
	server_pack_plain(s, result);
}

static int answer_fetch(void *owner, const struct document_node *args, struct pack *result,
			struct control_error *error)
{
	const struct look *look = owner;

	(void)args;
	if (look->r == 0) {
		pack_policy(look->generation, look->bytes, result);
		return 0;
	}
	error->path = "generation";
	if (look->r == -ENOENT)
		return server_refuse(error, "unknown_generation", "generation %u is not kept",
				     look->generation);
	if (look->r == -EBADMSG)
		return server_refuse(error, "damaged", "generation %u is damaged",
				     look->generation);
	return refuse_unreadable(look->r, error);
}

static bool is_number(const struct document_node *node, const char *key, uint64_t max)
{
	return slice_eq(node->key, slice_of(key)) && node->kind == DOCUMENT_INT &&
	       !node->negative && node->number <= max;
}

int server_run_get_policy(void *owner, const struct document_node *args, struct pack *result,
			  struct control_error *error)
{
	const struct document_node *node = args ? args->first : NULL;
	struct server *s = owner;

	if (node && (node->next || !is_number(node, "generation", UINT32_MAX)))
		return server_refuse(error, "unknown_key",
				     "get_policy takes generation (a number)");
	if (node && !(s->policy.written && s->policy.generation == node->number))
		return give(s, fetch, answer_fetch, (uint32_t)node->number, error);
	if (s->policy.written)
		pack_policy(s->policy.generation,
			    slice_make(s->policy.packed, s->policy.packed_len), result);
	else
		pack_plain(s, result);
	return 0;
}

uint32_t server_reply_extra(void *owner)
{
	const struct server *s = owner;

	return s->policy.written ? s->policy.packed_len : PLAIN_DOCUMENT_MAX;
}

/* --- Back to one of them. -------------------------------------------------------------------- */

static int read_rollback(const struct document_node *args, struct push_order *ret,
			 struct control_error *error)
{
	*ret = (struct push_order){ .is_rollback = true };
	for (const struct document_node *node = args ? args->first : NULL; node;
	     node = node->next) {
		if (is_number(node, "generation", UINT32_MAX) && node->number > 0) {
			ret->from = (uint32_t)node->number;
		} else if (is_number(node, "expect_generation", UINT64_MAX)) {
			ret->expects = true;
			ret->expected = node->number;
		} else {
			return server_refuse(error, "unknown_key",
					     "rollback_policy takes generation (a number from 1) "
					     "and expect_generation (a number)");
		}
	}
	return 0;
}

int server_run_rollback_policy(void *owner, const struct document_node *args, struct pack *result,
			       struct control_error *error)
{
	struct push_order order;
	struct server *s = owner;
	int r = read_rollback(args, &order, error);

	(void)result;
	if (r == 0)
		r = refuse_without_store(s, error);
	if (r == 0)
		return server_push(s, &order, error);
	server_push_refused(s, control_uid(control_asking(s->control)), error);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "core/document/encode.h"
#include "core/document/json.h"
#include "policy/read.h"
#include "tools/gwtool_ask.h"
#include "tools/gwtool_manager.h"
#include "tools/gwtool_merge.h"

/* Against one who pushes without a pause every second try is lost; so many are not. */
enum { TRIES_MAX = 32 };

/* The daemon takes one push at a time, and a large one takes it a while: so long is it asked again. */
enum { BUSY_PAUSE_MS = 20, BUSY_TRIES_MAX = 250 };

/* --- Asking the daemon. ---------------------------------------------------------------------- */

/* Statuses of what the daemon refuses for another reason than what stands in the document. */
static const struct {
	struct slice code;
	uint16_t status;
} statuses[] = {
	{ SLICE_INIT("stale"), 409 },    { SLICE_INIT("no_policy"), 409 },
	{ SLICE_INIT("state"), 503 },    { SLICE_INIT("not_kept"), 500 },
	{ SLICE_INIT("internal"), 500 }, { SLICE_INIT("unknown_command"), 500 },
	{ SLICE_INIT("busy"), 503 },
};

static struct slice text_of(const struct document_node *map, struct slice key)
{
	const struct document_node *node = document_get(map, key);

	return node && node->kind == DOCUMENT_TEXT ? node->text : SLICE("");
}

static void tell_error(const struct document_node *error, struct gwtool_answer *answer)
{
	struct slice code = text_of(error, SLICE("code"));
	uint16_t status = 400;

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		if (slice_eq(code, statuses[i].code))
			status = statuses[i].status;
	gwtool_answer_error(answer, status, code,
			    gwtool_ask_policy_path(text_of(error, SLICE("path"))),
			    text_of(error, SLICE("message")));
}

static void tell_unreachable(int why, struct gwtool_answer *answer)
{
	struct slice message = why == -EPROTO ? SLICE("what answers on the socket is no sluice")
					      : slice_of(strerror(-why));

	if (why == -EMSGSIZE)
		gwtool_answer_error(answer, 413, SLICE("too_large"), SLICE(""),
				    SLICE("the policy fits into no request to the daemon"));
	else if (why == -ENOMEM)
		gwtool_answer_error(answer, 500, SLICE("internal"), SLICE(""), message);
	else
		gwtool_answer_error(answer, 503, SLICE("unreachable"), SLICE(""), message);
}

/* The result in its reply; or NULL, and the answer says why. */
static const struct document_node *ask(const struct gwtool_manager *m,
				       const struct gwtool_question *question,
				       struct gwtool_answer *answer, struct document **ret_reply)
{
	const struct document_node *result = NULL;
	char usual[GWTOOL_PATH_MAX];
	const char *path = m->socket;
	bool ok = false;
	int r;

	if (!path) {
		gwtool_ask_path(usual);
		path = usual;
	}
	r = gwtool_ask(path, question, ret_reply, &result, &ok);
	if (r < 0)
		tell_unreachable(r, answer);
	else if (!ok)
		tell_error(result, answer);
	return r == 0 && ok ? result : NULL;
}

static void ask_and_tell(struct gwtool_manager *m, const char *command,
			 struct gwtool_answer *answer)
{
	struct document *reply = NULL;
	const struct document_node *result =
		ask(m, &(struct gwtool_question){ .command = command }, answer, &reply);

	if (result)
		gwtool_answer_value(answer, 200, result);
	document_free(reply);
}

void gwtool_manager_get(struct gwtool_manager *m, struct slice body, struct gwtool_answer *answer)
{
	(void)body;
	ask_and_tell(m, "get_policy", answer);
}

static void say_ok(struct gwtool_answer *answer)
{
	const struct document_node ok = { .kind = DOCUMENT_TEXT,
					  .key = SLICE_INIT("status"),
					  .text = SLICE_INIT("ok") };
	const struct document_node root = { .kind = DOCUMENT_MAP, .first = &ok, .n = 1 };

	gwtool_answer_value(answer, 200, &root);
}

void gwtool_manager_health(struct gwtool_manager *m, struct slice body,
			   struct gwtool_answer *answer)
{
	struct document *reply = NULL;

	(void)body;
	if (ask(m, &(struct gwtool_question){ .command = "status" }, answer, &reply))
		say_ok(answer);
	document_free(reply);
}

/* --- A push. --------------------------------------------------------------------------------- */

struct push {
	struct gwtool_manager *manager;
	struct gwtool_answer *answer;
	struct report *rep;
	const struct document *policy; /* As it is sent. */
	bool expects;
	uint64_t generation;
};

static void put_args(struct pack *p, const void *owner)
{
	const struct push *push = owner;

	pack_map(p, 1u + push->expects);
	if (push->expects)
		pack_entry_u64(p, "expect_generation", push->generation);
	pack_key(p, "policy");
	encode_msgpack(p, document_root(push->policy));
}

/* Is it a good policy? Else the answer says what is wrong with it. */
static bool check(const struct push *push)
{
	struct written_policy *policy = NULL;
	char *text = NULL;
	size_t len;
	int r = gwtool_answer_encode(document_root(push->policy), &text, &len); /* For 'len'. */

	free(text);
	if (r == 0)
		r = policy_read(document_root(push->policy), len, push->rep, &policy);
	policy_read_free(policy);
	if (r == 0)
		return true;
	gwtool_answer_report(push->answer, 400, push->rep);
	return false;
}

static bool is_busy(const struct document *reply)
{
	const struct document_node *error =
		reply ? document_get(document_root(reply), SLICE("error")) : NULL;

	return error && error->kind == DOCUMENT_MAP &&
	       slice_eq(text_of(error, SLICE("code")), SLICE("busy"));
}

/* False: another push is under way. */
static bool send_once(struct push *push)
{
	const struct gwtool_question question = { .command = "push_policy",
						  .args = put_args,
						  .owner = push };
	struct document *reply = NULL;
	const struct document_node *result = ask(push->manager, &question, push->answer, &reply);
	bool busy = !result && is_busy(reply);

	if (result)
		gwtool_answer_value(push->answer, 200, result);
	document_free(reply);
	return !busy;
}

static void send_policy(struct push *push)
{
	const struct timespec pause = { .tv_nsec = BUSY_PAUSE_MS * 1000000 };
	int n_tries = 1;

	if (!check(push))
		return;
	while (!send_once(push) && n_tries++ < BUSY_TRIES_MAX)
		(void)nanosleep(&pause, NULL); /* A shorter one does no harm. */
}

/* What is in force, and its number; or NULL, and the answer says why. */
static const struct document_node *get_base(struct push *push, struct document **ret_reply)
{
	const struct gwtool_question question = { .command = "get_policy" };
	const struct document_node *result = ask(push->manager, &question, push->answer, ret_reply);
	const struct document_node *generation, *policy;

	if (!result)
		return NULL;
	generation = result->kind == DOCUMENT_MAP ? document_get(result, SLICE("generation"))
						  : NULL;
	policy = generation ? document_get(result, SLICE("policy")) : NULL;
	if (!policy || generation->kind != DOCUMENT_INT) {
		tell_unreachable(-EPROTO, push->answer);
		return NULL;
	}
	push->generation = generation->number;
	return policy;
}

/* Has somebody else pushed in between? */
static bool push_part_once(struct push *push, const struct document_node *part)
{
	struct document *reply = NULL, *merged = NULL;
	const struct document_node *base = get_base(push, &reply);
	int r = base ? gwtool_merge(base, part, push->rep, &merged) : 0;

	document_free(reply);
	if (r < 0)
		gwtool_answer_report(push->answer, 400, push->rep);
	if (!merged)
		return false;
	push->policy = merged;
	send_policy(push);
	document_free(merged);
	return push->answer->status == 409;
}

static void push_part(struct push *push, const struct document_node *part)
{
	int n_tries = 1;

	push->expects = true;
	while (push_part_once(push, part) && n_tries < TRIES_MAX)
		n_tries++;
}

static bool has(const struct document_node *policy, struct slice key)
{
	const struct document_node *node = document_get(policy, key);

	return node && node->kind != DOCUMENT_NULL;
}

static bool is_whole(const struct document_node *policy)
{
	return has(policy, SLICE("version")) ||
	       (has(policy, SLICE("services")) && has(policy, SLICE("routes")));
}

static void push_read(struct push *push, const struct document_node *body)
{
	/* As the article's HTTP API spells them. */
	static const struct gwtool_alias aliases[] = {
		{ SLICE_INIT("rateLimit"), SLICE_INIT("rate_limit") },
		{ SLICE_INIT("circuitBreakerThreshold"), SLICE_INIT("circuit_breaker_threshold") },
	};
	bool whole = is_whole(body);
	struct document *named = NULL;

	if (gwtool_rename(body, aliases, ARRAY_SIZE(aliases), whole, push->rep, &named) < 0) {
		gwtool_answer_report(push->answer, 400, push->rep);
		return;
	}
	push->policy = named;
	if (whole)
		send_policy(push);
	else
		push_part(push, document_root(named));
	document_free(named);
}

void gwtool_manager_push(struct gwtool_manager *m, struct slice body, struct gwtool_answer *answer)
{
	struct report rep;
	struct push push = { .manager = m, .answer = answer, .rep = &rep };
	struct document *doc = NULL;

	GW_ASSERT(pthread_mutex_lock(&m->turn) == 0);
	report_init(&rep, NULL);
	if (json_read(body, &rep, &doc) < 0) {
		gwtool_answer_report(answer, 400, &rep);
	} else if (document_root(doc)->kind != DOCUMENT_MAP) {
		report_add(&rep, REPORT_TYPE, document_root(doc)->place, SLICE(""),
			   "a policy is a map, not %s",
			   document_kind_name(document_root(doc)->kind));
		gwtool_answer_report(answer, 400, &rep);
	} else {
		push_read(&push, document_root(doc));
	}
	document_free(doc);
	GW_ASSERT(pthread_mutex_unlock(&m->turn) == 0);
}

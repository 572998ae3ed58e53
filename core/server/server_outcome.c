/* SPDX-License-Identifier: Apache-2.0 */
/* What pushes have come to, for those who were not there: counted, and refusals logged. */
#include "core/server/server_private.h"

static const char *const result_names[METRIC_PUSH_N] = {
#define METRIC_LABEL_PUSH(id, text) [METRIC_PUSH_##id] = (text),
#include "core/base/metric_labels.def"
};

/* A code that has no label of its own must not be lost: codes are made in many places. */
static enum metric_push result_of(const char *code)
{
	for (unsigned i = 0; i < METRIC_PUSH_N; i++)
		if (strcmp(code, result_names[i]) == 0)
			return (enum metric_push)i;
	return METRIC_PUSH_OTHER;
}

void server_push_accepted(struct server *s, bool dry_run)
{
	metric_inc_label(s->own, METRIC_POLICY_PUSH,
			 dry_run ? METRIC_PUSH_DRY_RUN : METRIC_PUSH_COMMITTED);
}

void server_push_refused(struct server *s, uid_t uid, const struct control_error *error)
{
	metric_inc_label(s->own, METRIC_POLICY_PUSH, result_of(error->code));
	LOG_EVENT(LOG_WARN, "push_refused", LOG_STR("code", slice_of(error->code)),
		  LOG_STR("path", slice_of(error->path)), LOG_STR("text", slice_of(error->message)),
		  LOG_U64("uid", uid), LOG_U64("generation", s->policy.generation));
}

/* Hung up on before a word of it is read: it may have been anything, and is taken for the worst. */
void server_denied(void *owner, uid_t uid, gid_t gid)
{
	struct server *s = owner;

	metric_inc_label(s->own, METRIC_POLICY_PUSH, METRIC_PUSH_DENIED);
	LOG_EVENT(LOG_WARN, "control_denied", LOG_U64("uid", uid), LOG_U64("gid", gid));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_private.h - the daemon's state, shared by server.c and server_*.c and by nobody else.
 *
 * A push reads, compiles and keeps its policy on the jobs' thread. What it looks at there stays as
 * it is from its order to its end: the settings and the policy in force (a reload waits), the
 * targets (frozen), and what never changes. There is one push at a time.
 *
 * Threads: the control thread's.
 */
#pragma once

#include "core/base/log.h"
#include "core/server/admin.h"
#include "core/server/control.h"
#include "core/server/environment.h"
#include "core/server/jobs.h"
#include "core/server/origin.h"
#include "core/server/plain_policy.h"
#include "core/server/server.h"
#include "core/server/settings.h"
#include "core/server/targets.h"
#include "core/server/worker.h"
#include "policy/schema.h"

/* clang-format off */
#define SERVER_STATES(X) \
	X(STARTING, TO(SERVING) | TO(STOPPED)) \
	X(SERVING, TO(GRACE) | TO(ABORTING))   \
	X(GRACE, TO(DRAINING) | TO(ABORTING))    /* Not ready any more, still serving. */ \
	X(DRAINING, TO(ABORTING) | TO(STOPPED))  /* Workers finish what runs. */ \
	X(ABORTING, TO(STOPPED))                 /* Workers cut what runs. */ \
	X(STOPPED, 0)
/* clang-format on */

enum server_state {
#define X(name, next) SERVER_##name,
	SERVER_STATES(X)
#undef X
		SERVER_N_STATES
};

struct server_policy {
	struct written_policy
		*written; /* NULL: it follows from the upstreams of the configuration. */
	char *packed;     /* The same as msgpack. */
	uint32_t packed_len;
	uint32_t generation;
	bool is_kept; /* In the state folder. */
};

/* What a policy is read beside. */
struct policy_beside {
	struct plain_policy_options plain; /* For one that does not say where requests go. */
	const struct certs *certs;
};

struct server {
	const struct options *options;
	struct ring *ring;
	struct proxy
		*proxy; /* Of the control ring: for the admin listener and the demo's origin. */
	struct metric_set *metrics; /* Of that proxy; shown to nobody. */
	struct metric_set *own;     /* What the daemon as a whole shows. */
	struct proxy_shared *shared;
	struct log *log;
	struct log_source *log_source;
	struct settings *settings; /* In force. */
	struct list old_settings;  /* Until every worker has adopted newer ones. */
	struct settings *first;    /* What started this process: addresses, upstreams. */
	struct environment_capacity capacity;
	char via[32];
	struct targets *targets;
	struct server_policy policy;           /* In force. */
	uint64_t offered_ns;                   /* When its table was first offered. */
	char error_path[REPORT_PATH_MAX + 16]; /* In what was pushed last. */
	struct admin *admin;
	struct origin *origin;
	struct control *control;
	struct jobs *jobs;
	struct ring_op signals;
	struct ring_timer tick, deadline;
	struct worker_listener *listeners;
	struct worker *workers;
	struct metric_set **metric_sets; /* Our own, then the workers'. */
	const struct ring **rings;
	uint32_t n_workers, n_running, n_ended;
	uint32_t feature_mask;
	uint64_t fault_seed;
	uint64_t begun_ns;
	bool reloading;      /* Not all workers have the new settings yet. */
	bool pushing;        /* Settings, policy and targets stay: see above. */
	bool reload_waits;   /* Until the push is over. */
	uint64_t tickets_ns; /* When the keys of session tickets were new. */
	uint8_t state;
	bool control_is_closed;
};

/* server_start.c: takes 'config' and 'certs'. 0, or -errno, logged, and nothing is left. */
GW_MUST_USE int server_set_up(struct server *s, struct config *config, struct certs *certs);
void server_tear_down(struct server *s);

/* server_state.c */
void server_tell(struct server *s, uint64_t word);
void server_enter(struct server *s, enum server_state next);
const char *server_state_name(const struct server *s);
/* One that has ended adopts nothing any more, and looks at nothing. */
bool server_all_have(const struct server *s, const struct policy_table *table);
bool server_all_use(const struct server *s, const struct proxy_options *options);

/*
 * server_begin.c: the policy to begin with. 0; -EBADMSG: what is to be begun with is wrong, logged;
 * or -errno.
 */
GW_MUST_USE int server_begin_policy(struct server *s);
/* Where accepted policies are kept; empty: nowhere. */
struct slice server_store_of(const struct options *options, const struct config *config);

/* server_policy.c: the one in force, under these settings. 0 or -ENOMEM, and nothing changed. */
GW_MUST_USE int server_apply_policy(struct server *s);
struct policy_beside server_beside(const struct server *s);
/* That of the command line's upstreams, as msgpack. */
void server_pack_plain(const struct server *s, struct pack *p);
/*
 * A document as a policy; one that names neither services nor routes goes with the command line's
 * upstreams, where there are such. 0; -EINVAL, and 'rep' says what is wrong; -ENOMEM or -EFBIG.
 */
GW_MUST_USE int server_policy_read(const struct policy_beside *beside,
				   const struct document_node *root, uint32_t generation,
				   struct report *rep, struct server_policy *ret_policy);
/* A service of it does. */
bool server_policy_speaks_tls(const struct server_policy *policy);
/* One that may come into force, under the settings of now. 0 or -ENOMEM. */
GW_MUST_USE int server_policy_prepare(struct server *s, const struct server_policy *policy,
				      struct targets_next **ret_next);
void server_policy_free(struct server_policy *policy);

/* server_store_of() these. */
struct slice server_store(const struct server *s);

/* server_push.c */
struct push_order {
	const struct document_node *policy; /* In the arguments of the command that runs. */
	bool is_rollback;                   /* Instead to one that is kept: */
	uint32_t from;                      /* its generation; 0: the latest before the one now. */
	bool dry_run;
	bool expects;
	uint64_t expected; /* Generation in force. */
};
/* For who asks for the command that runs: CONTROL_LATER; or -EINVAL, and 'error' says why. */
GW_MUST_USE int server_push(struct server *s, const struct push_order *order,
			    struct control_error *error);
control_command_fn server_run_push_policy;

/* server_outcome.c: counted, and a refusal logged with whose it was. */
void server_push_accepted(struct server *s, bool dry_run);
void server_push_refused(struct server *s, uid_t uid, const struct control_error *error);
control_denied_fn server_denied;

/* Fills 'error'. -EINVAL. */
__attribute__((format(printf, 3, 4))) int server_refuse(struct control_error *error,
							const char *code, const char *format, ...);

/* server_history.c */
control_command_fn server_run_get_policy, server_run_rollback_policy, server_run_policy_history;
uint32_t server_reply_extra(void *owner);

/* server_explain.c */
control_command_fn server_run_explain;

/* server_reload.c */
enum { SERVER_N_COMMANDS = 6 };
extern const struct control_command server_commands[SERVER_N_COMMANDS];
/* Whether certificates of upstreams are verified: as loud as it may be when they are not. */
void server_tell_trust(struct server *s);
/* Which keys of the configuration have no effect, as a policy is in force. */
void server_tell_replaced(const struct server *s);
/* Now, or when the push that is under way is over. */
void server_reload_asked(struct server *s);
void server_tell_reloaded(struct server *s);
void server_timers_init(struct server *s);
void server_signalled(struct ring_op *op, const struct ring_answer *answer);
void server_table_changed(void *owner, const struct policy_table *table);
/* A worker has ended, or a job is done. */
void server_posted(void *owner, uint64_t word);

/* server_status.c: what others ask. */
void server_metrics(void *owner, struct growbuf *out);
const char *server_unready(void *owner);
void server_status(void *owner, struct pack *out);

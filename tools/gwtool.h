/* SPDX-License-Identifier: Apache-2.0 */
/* gwtool.h - between the files of gwtool: commands, and how they speak. */
#pragma once

#include "core/document/report.h"
#include "tools/gwtool_ask.h"

/* As sluice's own (sysexits.h). */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_PERMISSION = 77,
	EXIT_CONFIG = 78,
};

struct call {
	const char *socket; /* NULL: the usual place. */
	bool json;
	const char *command; /* NULL: none that there is. */
	int argc;            /* Behind the command, without those of gwtool_options. */
	char *const *argv;
};

typedef int gwtool_command_fn(const struct call *call);

struct gwtool_command {
	const char *name, *arguments, *help; /* Arguments as gwtool_piece.h reads them. */
	gwtool_command_fn *run;
};

/* In front of the command or behind it. */
struct gwtool_option {
	const char *flag;
	const char *value; /* Its name; NULL: it takes none. */
	const char *help;
};

enum { GWTOOL_N_OPTIONS = 4 };
extern const struct gwtool_command gwtool_commands[];
extern const size_t gwtool_n_commands;
/* NULL: there is none of that name; */
const struct gwtool_command *gwtool_find(const char *name);
/* which says so, with the one that may be meant. EXIT_USAGE. */
int gwtool_refuse_command(const struct call *call, const char *name);

extern const struct gwtool_option gwtool_options[GWTOOL_N_OPTIONS];

/* To standard output, from a writer that is large enough. EXIT_OK or EXIT_FAILED. */
typedef void gwtool_put_fn(struct writer *w, const void *what);
int gwtool_print(gwtool_put_fn *put, const void *what);
/* Of a document's node, on one line. */
gwtool_put_fn gwtool_put_json;

/* Where the daemon is asked: what the command line says, or the usual place. */
const char *gwtool_socket(const struct call *call, char usual[GWTOOL_PATH_MAX]);

/*
 * Ask the daemon. EXIT_OK, and the reply is the caller's to free; or what to exit with, and why was
 * said.
 */
int gwtool_ask_result(const struct call *call, const struct gwtool_question *question,
		      struct document **ret_reply, const struct document_node **ret_result);

/* As YAML, or JSON where that is wanted. EXIT_OK or EXIT_FAILED. */
int gwtool_print_document(const struct call *call, const struct document_node *root);

/* Ask the daemon, and print what it says; 'pick' chooses a part of the result for people, or NULL. */
int gwtool_ask_and_print(const struct call *call, const struct gwtool_question *question,
			 const char *pick);

/*
 * gwtool_failure.c: each says what is wrong, and returns what to exit with. With --json that is
 * {"ok": false, "errors": [{code, path, line, column, message}]}, and "file" where it is of one.
 */
enum { GWTOOL_MESSAGE_MAX = 1024 };
/* With the command line. EXIT_USAGE. */
int gwtool_usage(const struct call *call, const char *why, const char *what);
/* With anything else; what is too long is cut. 'exits'. */
__attribute__((format(printf, 4, 5))) int gwtool_fail(const struct call *call, int exits,
						      const char *code, const char *format, ...);
/* -errno of gwtool_ask(). EXIT_FAILED or EXIT_PERMISSION. */
int gwtool_fail_to_ask(const struct call *call, const char *socket, int why);
/* The daemon's error map. EXIT_FAILED; EXIT_CONFIG for a document, EXIT_USAGE for other arguments. */
int gwtool_tell_refusal(const struct call *call, const struct gwtool_question *question,
			const struct document_node *error);
/* With a file, or that nothing is: as text or JSON. EXIT_OK, EXIT_CONFIG, EXIT_FAILED. */
int gwtool_tell_verdict(const struct call *call, const char *file, int r, const struct report *rep);

/* gwtool_policy.c */
gwtool_command_fn gwtool_check_policy, gwtool_push_policy, gwtool_get_policy, gwtool_history,
	gwtool_rollback;
/* The file as a document, if it is a good policy. 0; -EINVAL, and rep says why; -ENOMEM. */
GW_MUST_USE int gwtool_load_policy(const char *file, struct report *rep, struct document **ret_doc);

/* The same of bytes that came from it. */
GW_MUST_USE int gwtool_read_policy(const char *file, struct slice text, struct report *rep,
				   struct document **ret_doc);
enum { GWTOOL_POLICY_MAX = 8 << 20 }; /* Bytes of a file. */

/* gwtool_diff.c */
gwtool_command_fn gwtool_diff_policy;

/* gwtool_explain.c */
gwtool_command_fn gwtool_explain;

/* gwtool_watch.c */
gwtool_command_fn gwtool_watch;

/* gwtool_completion.c */
gwtool_command_fn gwtool_completion;

/* gwtool_help.c */
gwtool_command_fn gwtool_help;

/* gwtool_jwks.c */
gwtool_command_fn gwtool_jwks;

/* gwtool_serve.c */
gwtool_command_fn gwtool_serve;

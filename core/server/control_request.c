/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "core/document/decode.h"
#include "core/document/path.h"
#include "core/server/control_request.h"

enum { VERSION = 1 };

static void pack_head(struct pack *p, const struct control_request *req, bool ok)
{
	pack_map(p, 4);
	pack_entry_u64(p, "v", VERSION);
	pack_key(p, "id");
	if (req->has_id)
		pack_u64(p, req->id);
	else
		pack_null(p);
	pack_entry_bool(p, "ok", ok);
	pack_key(p, ok ? "result" : "error");
}

/* Instead of whatever is in the reply already. */
static void reply_error(struct pack *reply, const struct control_request *req, const char *code,
			const char *path, const char *message)
{
	struct writer *w = &reply->w;

	*reply = pack_make(w->start, (size_t)(w->end - w->start));
	pack_head(reply, req, false);
	pack_map(reply, 3);
	pack_entry_text(reply, "code", slice_of(code));
	pack_entry_text(reply, "path", slice_of(path));
	pack_entry_text(reply, "message", slice_of(message));
	GW_ASSERT(!w->overflow);
}

/* Our own commands only read what they get as owner; others' may change theirs. */
static void *own_owner(const struct control_options *opt)
{
	return (void *)(uintptr_t)opt;
}

static int run_status(void *owner, const struct document_node *args, struct pack *result,
		      struct control_error *error)
{
	const struct control_options *opt = owner;

	(void)args;
	(void)error;
	opt->status(opt->owner, result);
	return 0;
}

static int run_help(void *owner, const struct document_node *args, struct pack *result,
		    struct control_error *error);

static const struct control_command own_commands[] = {
	{ "help", "what can be asked", run_help },
	{ "status", "what the daemon is doing", run_status },
};

static int run_help(void *owner, const struct document_node *args, struct pack *result,
		    struct control_error *error)
{
	const struct control_options *opt = owner;

	(void)args;
	(void)error;
	pack_map(result, (uint32_t)ARRAY_SIZE(own_commands) + opt->n_commands);
	for (size_t i = 0; i < ARRAY_SIZE(own_commands); i++)
		pack_entry_text(result, own_commands[i].name, slice_of(own_commands[i].usage));
	for (uint32_t i = 0; i < opt->n_commands; i++)
		pack_entry_text(result, opt->commands[i].name, slice_of(opt->commands[i].usage));
	return 0;
}

static bool find_command(const struct control_options *opt, struct slice name,
			 struct control_command *ret_command, bool *ret_own)
{
	for (size_t i = 0; i < ARRAY_SIZE(own_commands) + opt->n_commands; i++) {
		bool own = i < ARRAY_SIZE(own_commands);
		const struct control_command *command =
			own ? &own_commands[i] : &opt->commands[i - ARRAY_SIZE(own_commands)];

		if (slice_eq(slice_of(command->name), name)) {
			*ret_command = *command;
			*ret_own = own;
			return true;
		}
	}
	return false;
}

/* 0, and the reply is whole; or CONTROL_LATER. */
static int run_for(const struct control_request *req, control_command_fn *run, void *owner,
		   struct pack *reply)
{
	struct control_error error = { .code = "internal", .path = "" };
	int r;

	pack_head(reply, req, true);
	r = run(owner, req->args, reply, &error);
	if (r == CONTROL_LATER)
		return r;
	if (r < 0)
		reply_error(reply, req, error.code, error.path, error.message);
	else if (reply->w.overflow)
		reply_error(reply, req, "limit", "", "the reply is too long for one frame");
	return 0;
}

static int run_command(const struct control_options *opt, const struct control_request *req,
		       struct pack *reply)
{
	struct control_command command;
	char shown[PATH_SHOWN_MAX], message[256];
	bool own;

	if (find_command(opt, req->command, &command, &own))
		return run_for(req, command.run, own ? own_owner(opt) : opt->owner, reply);
	(void)snprintf(message, sizeof(message), "unknown command %s; 'help' lists them",
		       path_show(req->command, shown));
	reply_error(reply, req, "unknown_command", "command", message);
	return 0;
}

static int refuse_key(struct report *rep, enum report_code code, const char *key, const char *text)
{
	report_add(rep, code, (struct report_place){ 0 }, slice_of(key), "%s", text);
	return -EINVAL;
}

static int read_key(struct report *rep, const struct document_node *node,
		    struct control_request *req)
{
	bool is_number = node->kind == DOCUMENT_INT && !node->negative;

	if (slice_eq(node->key, SLICE("v"))) {
		if (!is_number || node->number != VERSION)
			return refuse_key(rep, REPORT_VALUE, "v", "only version 1 is spoken here");
	} else if (slice_eq(node->key, SLICE("id"))) {
		if (!is_number)
			return refuse_key(rep, REPORT_TYPE, "id", "must be a number, 0 or more");
		req->has_id = true;
		req->id = node->number;
	} else if (slice_eq(node->key, SLICE("command"))) {
		if (node->kind != DOCUMENT_TEXT)
			return refuse_key(rep, REPORT_TYPE, "command", "must be a text");
		req->command = node->text;
	} else if (slice_eq(node->key, SLICE("args"))) {
		if (node->kind != DOCUMENT_MAP && node->kind != DOCUMENT_NULL)
			return refuse_key(rep, REPORT_TYPE, "args", "must be a map");
		req->args = node->kind == DOCUMENT_MAP ? node : NULL;
	} else {
		return refuse_key(rep, REPORT_UNKNOWN_KEY, "",
				  "a request has the keys v, id, command and args");
	}
	return 0;
}

/* The envelope. Strict: what an older server does not know, it must not pass over. */
static int read_request(struct report *rep, const struct document_node *root,
			struct control_request *req)
{
	static const struct slice needed[] = { SLICE_INIT("v"), SLICE_INIT("id"),
					       SLICE_INIT("command") };
	int r = 0;

	if (root->kind != DOCUMENT_MAP)
		return refuse_key(rep, REPORT_TYPE, "", "a request is a map");
	for (const struct document_node *node = root->first; r == 0 && node; node = node->next)
		r = read_key(rep, node, req);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(needed); i++)
		if (!document_get(root, needed[i]))
			r = refuse_key(rep, REPORT_MISSING_KEY, needed[i].ptr, "is missing");
	return r;
}

void control_request_refuse(struct pack *reply, const char *code, const char *message)
{
	reply_error(reply, &(struct control_request){ 0 }, code, "", message);
}

void control_request_read(struct slice frame, struct control_request *ret_req)
{
	struct control_request *req = ret_req;

	*req = (struct control_request){ 0 };
	report_init(&req->report, NULL);
	req->error = decode_read(frame, &req->report, &req->doc);
	if (req->error == 0)
		req->error = read_request(&req->report, document_root(req->doc), req);
}

int control_request_answer(const struct control_options *opt, const struct control_request *req,
			   struct pack *reply)
{
	const struct report_error *why = &req->report.errors[0];

	if (req->error == 0)
		return run_command(opt, req, reply);
	if (req->report.n)
		reply_error(reply, req, report_code_name(why->code), why->path, why->text);
	else
		reply_error(reply, req, "limit", "", "out of memory");
	return req->error;
}

void control_request_finish(const struct control_request *req, control_command_fn *run, void *owner,
			    struct pack *reply)
{
	int r = run_for(req, run, owner, reply);

	GW_ASSERT(r == 0);
}

void control_request_free(struct control_request *req)
{
	document_free(req->doc);
	*req = (struct control_request){ 0 };
}

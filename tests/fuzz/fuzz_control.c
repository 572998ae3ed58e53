/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of the control socket, one behind the other: each gets one reply, which is whole, fits into
 * 1 KiB, and has the request's id; what is no well-formed request is not run.
 *
 * The socket itself (control.c) needs a ring and is not here.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/document/decode.h"
#include "core/server/control_request.h"
#include "policy/read.h"

enum { LENGTH_SIZE = 4, INPUT_MAX = 64 << 10, REPLY_ROOM = 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint32_t n_runs;

static void put_status(void *owner, struct pack *result)
{
	(void)owner;
	n_runs++;
	pack_map(result, 0);
}

static int run_push(void *owner, const struct document_node *args, struct pack *result,
		    struct control_error *error)
{
	const struct document_node *node = args ? document_get(args, SLICE("policy")) : NULL;
	struct written_policy *policy = NULL;
	static struct report rep;

	(void)owner;
	n_runs++;
	report_init(&rep, NULL);
	if (!node || policy_read(node, INPUT_MAX, &rep, &policy) < 0) {
		error->code = rep.n ? report_code_name(rep.errors[0].code) : "missing_key";
		error->path = rep.n ? rep.errors[0].path : "";
		return -EINVAL;
	}
	policy_read_free(policy);
	pack_bool(result, true);
	return 0;
}

/* More than any reply has room for. */
static int run_much(void *owner, const struct document_node *args, struct pack *result,
		    struct control_error *error)
{
	(void)owner;
	(void)args;
	(void)error;
	n_runs++;
	pack_list(result, REPLY_ROOM);
	for (int i = 0; i < REPLY_ROOM; i++)
		pack_bool(result, true);
	return 0;
}

static const struct control_command commands[] = {
	{ "push_policy", "reads one", run_push },
	{ "much", "says too much", run_much },
};

static const struct control_options options = { .status = put_status,
						.commands = commands,
						.n_commands = ARRAY_SIZE(commands) };

static const struct document_node *get(const struct document *doc, struct slice key)
{
	const struct document_node *node = document_get(document_root(doc), key);

	GW_ASSERT(node);
	return node;
}

/* A reply to a frame that was 'good', or not. */
static void check_reply(struct slice frame, struct slice reply, bool good)
{
	struct document *asked = NULL, *said;
	struct report rep;
	bool ok;

	report_init(&rep, NULL);
	GW_ASSERT(decode_read(reply, &rep, &said) == 0);
	GW_ASSERT(get(said, SLICE("v"))->number == 1);
	ok = get(said, SLICE("ok"))->boolean;
	GW_ASSERT(get(said, ok ? SLICE("result") : SLICE("error")));
	GW_ASSERT(good || !ok);
	if (!ok)
		GW_ASSERT(document_get(get(said, SLICE("error")), SLICE("code"))->text.len > 0);
	if (good) {
		GW_ASSERT(decode_read(frame, &rep, &asked) == 0);
		GW_ASSERT(get(asked, SLICE("id"))->number == get(said, SLICE("id"))->number);
	}
	document_free(asked);
	document_free(said);
}

/* In blocks of exactly their sizes. */
static bool answer(const uint8_t *data, size_t len)
{
	char *frame = malloc(len), *room = malloc(REPLY_ROOM);
	struct pack reply = pack_make(room, REPLY_ROOM);
	struct control_request req = { 0 };
	uint32_t before = n_runs;
	int r;

	GW_ASSERT(frame && room);
	memcpy(frame, data, len);
	control_request_read(slice_make(frame, len), &req);
	r = control_request_answer(&options, &req, &reply);
	GW_ASSERT(r != CONTROL_LATER);
	GW_ASSERT(r == 0 || n_runs == before);
	GW_ASSERT(n_runs <= before + 1);
	check_reply(slice_make(frame, len), writer_slice(&reply.w), r == 0);
	control_request_free(&req);
	free(room);
	free(frame);
	return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	bool goes_on = len <= INPUT_MAX;

	while (goes_on && len > LENGTH_SIZE) {
		size_t n = (size_t)data[0] << 24 | (size_t)data[1] << 16 | (size_t)data[2] << 8 |
			   data[3];

		data += LENGTH_SIZE;
		len -= LENGTH_SIZE;
		if (n == 0 || n > len) /* It would be waited for. */
			return 0;
		goes_on = answer(data, n);
		data += n;
		len -= n;
	}
	return 0;
}

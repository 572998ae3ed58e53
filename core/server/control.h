/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - the control socket: framed msgpack requests of gwtool, answered in order.
 *
 * A frame is 4 bytes of length, big-endian, not counting themselves, then one msgpack map:
 * {v: 1, id, command, args} asks; {v: 1, id, ok: true, result} or {v: 1, id, ok: false,
 * error: {code, path, message}} answers. An answer that takes long holds up its own connection and
 * no other. What is not a well-formed request is answered with an error and the connection is
 * closed; a well-formed one that is refused leaves it open.
 *
 * Only root, the daemon's own user and the members of the configured group are served. 16
 * connections at a time; half a frame or an unread reply (5 s) or silence (60 s) ends one.
 *
 * Ownership: control_open() makes everything; after control_close() the memory goes by itself with
 * the last answer of the ring, and 'closed' is called. The jobs' thread has ended before that.
 *
 * Threads: the control thread's. Commands run there, between two answers of the ring.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/document/document.h"
#include "core/document/pack.h"

struct jobs;
struct ring;
struct control;
struct control_client;

enum {
	CONTROL_PATH_MAX = 108,
	CONTROL_FRAME_MAX = 32 << 20, /* Of a request. */
	CONTROL_REPLY_MAX = 256 * 1024,
	CONTROL_CLIENTS_MAX = 16,
	CONTROL_LATER = 1, /* Of a command: the answer is not known yet. */
};

/* What a command answers besides its result. The texts must be constants or outlive the call. */
struct control_error {
	const char *code; /* Stable, snake_case. */
	const char *path; /* In args; or "". */
	char message[256];
};

/*
 * Run a command. 'args' is a map, or NULL. Writes one msgpack value to 'result' and answers 0; or
 * fills 'error' and answers -EINVAL, and then what is in 'result' is thrown away; or answers
 * CONTROL_LATER: 'args' stay as they are until control_answer(), which must come, and only from
 * outside of this call.
 */
typedef int control_command_fn(void *owner, const struct document_node *args, struct pack *result,
			       struct control_error *error);

struct control_command {
	const char *name;
	const char *usage; /* One line: the arguments and what it does. */
	control_command_fn *run;
};

/* Writes the result of 'status': one msgpack map. */
typedef void control_status_fn(void *owner, struct pack *result);
/* Somebody who may not ask was hung up on. */
typedef void control_denied_fn(void *owner, uid_t uid, gid_t gid);
/* The control is freed: the ring owes it no answer any more. */
typedef void control_closed_fn(void *owner);

struct control_options {
	struct slice path;  /* Of the socket: from control_path(). */
	struct slice group; /* Name; empty: none. */
	void *owner;
	control_status_fn *status;
	control_denied_fn *denied; /* May be NULL. */
	control_closed_fn *closed; /* May be NULL. */
	uint32_t (*reply_extra)(
		void *owner); /* Bytes of the longest reply beyond 64 KiB; or NULL. */
	const struct control_command
		*commands; /* More than "status" and "help", which are always there. */
	uint32_t n_commands;
	struct jobs *jobs;    /* Read what is long (64 KiB); or NULL: that is done here. */
	uint64_t patience_ns; /* For the rest of a frame, and for a reply to be read; 0: 5 s. */
};

/*
 * Which path to use for config.control.path. "auto": /run/sluice/control.sock when that folder
 * can be written, else $XDG_RUNTIME_DIR/sluice/control.sock, else none. Makes the folder (0750)
 * when it is missing. Returns the length; 0: off, and then *ret_why says why, or is NULL when off
 * was asked for.
 */
size_t control_path(struct slice configured, char path[CONTROL_PATH_MAX], const char **ret_why);

/* What is in the way of a socket there, for people; NULL: nothing, or a socket. */
const char *control_obstacle(const char *path);

/*
 * Let a group reach a socket in that folder, by giving it the folder: when that is ours, of nobody
 * else's group, and one that the group may search but not write. NULL, or why the group's members
 * cannot get there.
 */
const char *control_share(const char *folder, gid_t gid);

/*
 * Listen and serve. 0, or -errno: -EADDRINUSE (a live server, or something that is no socket, is
 * there), -ESRCH (no such group), -ENOENT (no such folder), -EACCES, -ENAMETOOLONG, -ENOMEM.
 * A stale socket is replaced. The socket has mode 0660 from its first moment.
 */
GW_MUST_USE int control_open(struct ring *ring, const struct control_options *opt,
			     struct control **ret_control);

/* How long the frame of the command that runs took, from its first byte to its last. */
uint64_t control_receive_ns(const struct control *ctl);

/* Who asks for the command that runs. */
struct control_client *control_asking(const struct control *ctl);

/* Of the process that has connected. */
uid_t control_uid(const struct control_client *client);

/*
 * Answer whom a command has told CONTROL_LATER: by 'run', as if that was the command and were run
 * only now. 'room' is how many bytes the result may have beyond CONTROL_REPLY_MAX.
 */
void control_answer(struct control_client *client, control_command_fn *run, void *owner,
		    uint32_t room);

/* Stop serving, remove the socket's file. Replies under way are cut, those still to come not due. 'closed' may run inside. */
void control_close(struct control *ctl);

/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket over a real ring: what it serves, and what it refuses of whom. */
#include "core/server/control.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <grp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "core/document/decode.h"
#include "core/document/encode.h"
#include "core/document/yaml.h"

#define MS GW_NS_PER_MS

static struct {
	struct ring *ring;
	struct jobs *jobs; /* Or NULL. */
	struct control *control;
	char folder[64], path[96];
	uint32_t n_status, n_closed;
	struct control_client *asker; /* Of "later", until it is answered. */
} world;

/* --- The daemon's side ---------------------------------------------------------------------- */

static void fill_status(void *owner, struct pack *result)
{
	assert_ptr_equal(owner, &world);
	world.n_status++;
	pack_map(result, 1);
	pack_entry_u64(result, "pid", 7);
}

static int run_fail(void *owner, const struct document_node *args, struct pack *result,
		    struct control_error *error)
{
	assert_ptr_equal(owner, &world);
	pack_text(result, SLICE("half a result"));
	error->code = "semantic";
	error->path = "args.x";
	(void)snprintf(error->message, sizeof(error->message), "%u args", args ? args->n : 0);
	return -EINVAL;
}

static int run_flood(void *owner, const struct document_node *args, struct pack *result,
		     struct control_error *error)
{
	(void)owner;
	(void)args;
	(void)error;
	pack_list(result, CONTROL_REPLY_MAX);
	for (int i = 0; i < CONTROL_REPLY_MAX; i++)
		pack_u64(result, 1);
	return 0;
}

static int run_later(void *owner, const struct document_node *args, struct pack *result,
		     struct control_error *error)
{
	assert_ptr_equal(owner, &world);
	(void)args;
	(void)error;
	assert_null(world.asker);
	world.asker = control_asking(world.control);
	pack_text(result, SLICE("thrown away"));
	return CONTROL_LATER;
}

/* Run for who has asked "later": says how many arguments there were. */
static int say_args(void *owner, const struct document_node *args, struct pack *result,
		    struct control_error *error)
{
	assert_ptr_equal(owner, &world.asker);
	(void)error;
	pack_u64(result, args ? args->n : 0);
	return 0;
}

static int say_much(void *owner, const struct document_node *args, struct pack *result,
		    struct control_error *error)
{
	static char much[CONTROL_REPLY_MAX + 1000];

	(void)owner;
	(void)args;
	(void)error;
	memset(much, 'x', sizeof(much));
	pack_text(result, slice_make(much, sizeof(much)));
	return 0;
}

static void answer_later(control_command_fn *run, void *owner, uint32_t room)
{
	struct control_client *asker = world.asker;

	assert_non_null(asker);
	world.asker = NULL;
	control_answer(asker, run, owner, room);
}

static const struct control_command commands[] = {
	{ "fail", "fails", run_fail },
	{ "flood", "answers too much", run_flood },
	{ "later", "answers later", run_later },
};

static void on_closed(void *owner)
{
	assert_ptr_equal(owner, &world);
	world.n_closed++;
	world.control = NULL;
}

static int open_control(const char *group, uint64_t patience_ns)
{
	const struct control_options opt = {
		.path = slice_of(world.path),
		.group = slice_of(group),
		.owner = &world,
		.status = fill_status,
		.closed = on_closed,
		.commands = commands,
		.n_commands = ARRAY_SIZE(commands),
		.jobs = world.jobs,
		.patience_ns = patience_ns,
	};

	return control_open(world.ring, &opt, &world.control);
}

static void turn(uint32_t n)
{
	while (n--)
		assert_int_equal(ring_turn(world.ring, 2 * MS), 0);
}

static void told_home(void *owner, uint64_t word)
{
	assert_ptr_equal(owner, &world);
	if (world.jobs)
		jobs_posted(world.jobs, word);
}

static int make_world(void **state)
{
	const struct ring_options opt = { .files_max = 64, .bufs_max = 64, .bufs_posted = 32 };
	int r;

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	r = ring_open(&opt, &world.ring);
	if (r < 0) {
		print_message("no io_uring here: %s\n", strerror(-r));
		return -1;
	}
	ring_on_post(world.ring, told_home, &world);
	assert_int_equal(ring_enable(world.ring), 0);
	(void)snprintf(world.folder, sizeof(world.folder), "/tmp/sluice-control-XXXXXX");
	assert_non_null(mkdtemp(world.folder));
	(void)snprintf(world.path, sizeof(world.path), "%s/c.sock", world.folder);
	return 0;
}

static int end_world(void **state)
{
	(void)state;
	ring_free(world.ring);
	(void)unlink(world.path); /* Most tests have done it. */
	return rmdir(world.folder);
}

static int start(void **state)
{
	(void)state;
	world.asker = NULL;
	world.n_status = 0;
	world.n_closed = 0;
	return open_control(NULL, 100 * MS);
}

static int stop(void **state)
{
	(void)state;
	control_close(world.control);
	for (int i = 0; i < 100 && !world.n_closed; i++)
		turn(1);
	assert_int_equal(world.n_closed, 1);
	assert_int_equal(access(world.path, F_OK), -1);
	return 0;
}

/* --- The tool's side ------------------------------------------------------------------------ */

static int dial(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	memcpy(at.sun_path, world.path, strlen(world.path));
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void say(int fd, struct slice bytes)
{
	assert_int_equal(send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL), bytes.len);
}

static void say_frame(int fd, struct slice body)
{
	char head[4] = { (char)(body.len >> 24), (char)(body.len >> 16), (char)(body.len >> 8),
			 (char)body.len };

	say(fd, slice_make(head, sizeof(head)));
	say(fd, body);
}

/* A YAML text as a request. */
static void ask(int fd, const char *yaml)
{
	static char bytes[CONTROL_FRAME_MAX];
	struct pack p = pack_make(bytes, sizeof(bytes));
	struct report rep;
	struct document *doc;

	report_init(&rep, NULL);
	assert_int_equal(yaml_read(slice_of(yaml), &rep, &doc), 0);
	encode_msgpack(&p, document_root(doc));
	document_free(doc);
	assert_false(p.w.overflow);
	say_frame(fd, writer_slice(&p.w));
}

/* Turns the ring until that many bytes are here; fewer at the end of the stream. */
static size_t hear_bytes(int fd, char *buf, size_t size)
{
	size_t len = 0;

	for (int i = 0; i < 1000 && len < size; i++) {
		ssize_t n = recv(fd, buf + len, size - len, 0);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return len;
		if (n > 0)
			len += (size_t)n;
		else
			turn(1);
	}
	return len;
}

/* The next reply as JSON, or "end". */
static const char *hear(int fd)
{
	static char frame[CONTROL_REPLY_MAX], json[1 << 16];
	struct writer w = writer_make(json, sizeof(json) - 1);
	struct report rep;
	struct document *doc;
	char head[4];
	size_t len = 0;

	if (hear_bytes(fd, head, sizeof(head)) < sizeof(head))
		return "end";
	for (int i = 0; i < 4; i++)
		len = len << 8 | (unsigned char)head[i];
	assert_true(len <= sizeof(frame));
	assert_int_equal(hear_bytes(fd, frame, len), len);
	report_init(&rep, NULL);
	assert_int_equal(decode_read(slice_make(frame, len), &rep, &doc), 0);
	encode_json(&w, document_root(doc));
	document_free(doc);
	assert_false(w.overflow);
	*w.ptr = '\0';
	return json;
}

#define STATUS_OK(id) "{\"v\":1,\"id\":" #id ",\"ok\":true,\"result\":{\"pid\":7}}"

/* --- Tests ---------------------------------------------------------------------------------- */

/* status, id 1, no arguments: the design's example, byte by byte. */
static const struct slice example = SLICE_INIT(
	"\x00\x00\x00\x1d\x84\xa1\x76\x01\xa2\x69\x64\x01\xa7\x63\x6f\x6d\x6d\x61\x6e\x64"
	"\xa6\x73\x74\x61\x74\x75\x73\xa4\x61\x72\x67\x73\x80");

static void the_example_is_answered(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, example);
	assert_string_equal(hear(fd), STATUS_OK(1));
	for (size_t i = 0; i < example.len; i++) {
		say(fd, slice_make(example.ptr + i, 1));
		turn(1);
	}
	assert_string_equal(hear(fd), STATUS_OK(1));
	assert_int_equal(world.n_status, 2);
	close(fd);
}

static void requests_are_answered_in_order(void **state)
{
	static char many[200 * 33];
	int fd = dial();

	(void)state;
	for (size_t i = 0; i < 200; i++) {
		memcpy(many + i * example.len, example.ptr, example.len);
		many[i * example.len + 11] = (char)(i % 128);
	}
	say(fd, slice_make(many, sizeof(many)));
	for (size_t i = 0; i < 200; i++) {
		char want[80];

		(void)snprintf(want, sizeof(want),
			       "{\"v\":1,\"id\":%zu,\"ok\":true,\"result\":{\"pid\":7}}", i % 128);
		assert_string_equal(hear(fd), want);
	}
	close(fd);
}

static const struct {
	const char *request, *reply;
} polite[] = {
	{ "{v: 1, id: 2, command: status}", STATUS_OK(2) },
	{ "{v: 1, id: 2, command: status, args: null}", STATUS_OK(2) },
	{ "{v: 1, id: 3, command: nope}",
	  "{\"v\":1,\"id\":3,\"ok\":false,\"error\":{\"code\":\"unknown_command\",\"path\":"
	  "\"command\",\"message\":\"unknown command \\\"nope\\\"; 'help' lists them\"}}" },
	{ "{v: 1, id: 4, command: fail, args: {a: 1, b: 2}}",
	  "{\"v\":1,\"id\":4,\"ok\":false,\"error\":{\"code\":\"semantic\",\"path\":\"args.x\","
	  "\"message\":\"2 args\"}}" },
	{ "{v: 1, id: 5, command: flood}",
	  "{\"v\":1,\"id\":5,\"ok\":false,\"error\":{\"code\":\"limit\",\"path\":\"\",\"message\":"
	  "\"the reply is too long for one frame\"}}" },
	{ "{v: 1, id: 6, command: help}",
	  "{\"v\":1,\"id\":6,\"ok\":true,\"result\":{\"help\":\"what can be asked\",\"status\":"
	  "\"what the daemon is doing\",\"fail\":\"fails\",\"flood\":\"answers too much\",\"later\":"
	  "\"answers later\"}}" },
	{ "{v: 1, id: 18446744073709551615, command: status}", STATUS_OK(18446744073709551615) },
};

/* A request that is refused, but well-formed, does not end the connection. */
static void refusals_are_polite(void **state)
{
	int fd = dial();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(polite); i++) {
		ask(fd, polite[i].request);
		assert_string_equal(hear(fd), polite[i].reply);
	}
	close(fd);
}

static const struct {
	const char *request, *code, *path;
} wrong_envelopes[] = {
	{ "[]", "type", "" },
	{ "{v: 2, id: 1, command: status}", "value", "v" },
	{ "{v: \"1\", id: 1, command: status}", "value", "v" },
	{ "{v: 1.0, id: 1, command: status}", "value", "v" },
	{ "{v: 1, id: -1, command: status}", "type", "id" },
	{ "{v: 1, id: x, command: status}", "type", "id" },
	{ "{v: 1, id: 1.5, command: status}", "type", "id" },
	{ "{v: 1, id: 1, command: 7}", "type", "command" },
	{ "{v: 1, id: 1, command: status, args: []}", "type", "args" },
	{ "{v: 1, id: 1, command: status, arg: {}}", "unknown_key", "" },
	{ "{id: 1, command: status}", "missing_key", "v" },
	{ "{v: 1, command: status}", "missing_key", "id" },
	{ "{v: 1, id: 1}", "missing_key", "command" },
	{ "{}", "missing_key", "v" },
};

/* Is it an error reply of that code and path? The identifier depends on how far we read. */
static bool is_error(const char *reply, const char *code, const char *path)
{
	char want[128];

	(void)snprintf(want, sizeof(want),
		       "\"ok\":false,\"error\":{\"code\":\"%s\",\"path\":\"%s\",", code, path);
	return strstr(reply, want) != NULL;
}

/* One large request at a time has memory; when it is over, the next one may come. */
static void large_requests_take_turns(void **state)
{
	enum { LEN = 200000, HALF = 100000 };
	static char frame[4 + LEN];
	int first = dial(), second = dial();

	(void)state;
	memset(frame, 0xc0, sizeof(frame));
	memcpy(frame, "\0\3\x0d\x40", 4); /* Of LEN bytes, as many values, which is no request. */
	say(first, slice_make(frame, HALF));
	turn(5);
	assert_ptr_equal(world.control->large, list_entry(list_first(&world.control->clients.list),
							  struct control_client, link));
	say(second, slice_make(frame, 10));
	assert_true(is_error(hear(second), "busy", ""));
	assert_string_equal(hear(second), "end");
	close(second);
	say(first, slice_make(frame + HALF, sizeof(frame) - HALF));
	assert_true(is_error(hear(first), "trailing", ""));
	assert_null(world.control->large);
	assert_string_equal(hear(first), "end");
	close(first);
	second = dial();
	say(second, slice_make(frame, 10));
	turn(5);
	assert_non_null(world.control->large);
	close(second); /* In the middle. */
	turn(5);
	assert_null(world.control->large);
}

static void wrong_envelopes_end_the_connection(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong_envelopes); i++) {
		int fd = dial();
		const char *reply;

		ask(fd, wrong_envelopes[i].request);
		reply = hear(fd);
		if (!is_error(reply, wrong_envelopes[i].code, wrong_envelopes[i].path))
			fail_msg("%s: %s", wrong_envelopes[i].request, reply);
		assert_string_equal(hear(fd), "end");
		close(fd);
	}
	assert_int_equal(world.n_status, 0);
}

static const struct {
	const char *name;
	struct slice bytes; /* With the length. */
	const char *code;
} malformed[] = {
	{ "length 0", SLICE_INIT("\0\0\0\0"), "too_large" },
	{ "length 2^32-1", SLICE_INIT("\xff\xff\xff\xff"), "too_large" },
	{ "one too long", SLICE_INIT("\2\0\0\1"), "too_large" },
	{ "no msgpack", SLICE_INIT("\0\0\0\1\xc1"), "type" },
	{ "33 deep",
	  SLICE_INIT("\0\0\0\x22"
		     "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
		     "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\xc0"),
	  "depth" },
	{ "array32 of 2^28", SLICE_INIT("\0\0\0\6\xdd\x10\0\0\0\xc0"), "too_large" },
	{ "str32", SLICE_INIT("\0\0\0\6\xdb\xff\xff\xff\xff\x61"), "truncated" },
	{ "extension", SLICE_INIT("\0\0\0\3\xd4\1\1"), "type" },
	{ "a key twice", SLICE_INIT("\0\0\0\7\x82\xa1v\1\xa1v\1"), "duplicate_key" },
	{ "NUL in a text", SLICE_INIT("\0\0\0\5\x81\xa1v\xa1\0"), "string" },
	{ "bytes behind", SLICE_INIT("\0\0\0\2\x80\x80"), "trailing" },
};

static void malformed_frames_end_the_connection(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(malformed); i++) {
		int fd = dial();
		const char *reply;

		say(fd, malformed[i].bytes);
		reply = hear(fd);
		if (!strstr(reply, malformed[i].code))
			fail_msg("%s: %s", malformed[i].name, reply);
		assert_string_equal(hear(fd), "end");
		close(fd);
	}
}

/* Half a frame and then the end, or nothing more; others are served meanwhile. */
static void half_a_frame_is_not_waited_for(void **state)
{
	int ended = dial(), silent = dial(), other = dial();
	uint64_t start_ns = gw_now_ns();

	(void)state;
	say(ended, slice_take(example, 20));
	say(silent, slice_take(example, 20));
	assert_int_equal(shutdown(ended, SHUT_WR), 0);
	assert_true(is_error(hear(ended), "truncated", ""));
	assert_string_equal(hear(ended), "end");
	say(other, example);
	assert_string_equal(hear(other), STATUS_OK(1));
	assert_true(is_error(hear(silent), "timeout", ""));
	assert_true(gw_now_ns() - start_ns >= 100 * MS);
	assert_string_equal(hear(silent), "end");
	close(ended);
	close(silent);
	close(other);
}

/* The deadline is the frame's: a byte now and then does not move it. */
static void a_trickle_is_not_waited_for(void **state)
{
	int fd = dial();
	uint64_t start_ns = gw_now_ns();
	size_t n = 0;

	(void)state;
	while (n < example.len - 1 && world.control->clients.n <= 1) {
		ssize_t sent = send(fd, example.ptr + n, 1, MSG_NOSIGNAL);

		if (sent < 0)
			break;
		n++;
		turn(8);
		if (gw_now_ns() - start_ns > 1000 * MS)
			break;
	}
	assert_true(is_error(hear(fd), "timeout", ""));
	assert_true(gw_now_ns() - start_ns < 1000 * MS);
	close(fd);
}

/* A reply that is not read costs its own connection, nothing else. */
static void an_unread_reply_ends_the_connection(void **state)
{
	int fd = dial(), other = dial();
	uint64_t start_ns = gw_now_ns();

	(void)state;
	for (int i = 0; i < 100000; i++) {
		if (send(fd, example.ptr, example.len, MSG_NOSIGNAL) < 0 && errno == EPIPE)
			break;
		turn(1);
		if (world.control->clients.n == 1)
			break;
	}
	assert_int_equal(world.control->clients.n, 1);
	assert_true(gw_now_ns() - start_ns >= 100 * MS);
	say(other, example);
	assert_string_equal(hear(other), STATUS_OK(1));
	close(fd);
	close(other);
}

/* As many as there is room for; the others are refused, and room comes back. */
static void connections_are_bounded(void **state)
{
	int fds[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = dial();
		turn(1);
	}
	turn(5);
	assert_int_equal(world.control->clients.n, CONTROL_CLIENTS_MAX);
	say(fds[CONTROL_CLIENTS_MAX - 1], example);
	assert_string_equal(hear(fds[CONTROL_CLIENTS_MAX - 1]), STATUS_OK(1));
	assert_non_null(strstr(hear(fds[CONTROL_CLIENTS_MAX]), "\"busy\""));
	assert_string_equal(hear(fds[CONTROL_CLIENTS_MAX]), "end");
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	for (int i = 0; i < 100 && world.control->clients.n; i++)
		turn(1);
	assert_int_equal(world.control->clients.n, 0);
	fds[0] = dial();
	say(fds[0], example);
	assert_string_equal(hear(fds[0]), STATUS_OK(1));
	close(fds[0]);
}

/* Gone at every byte of a frame. */
static void a_client_may_die_at_any_byte(void **state)
{
	(void)state;
	for (size_t n = 0; n <= example.len; n++) {
		int fd = dial();

		if (n)
			say(fd, slice_take(example, n));
		turn((uint32_t)n % 3);
		close(fd);
		turn(2);
	}
	for (int i = 0; i < 100 && world.control->clients.n; i++)
		turn(1);
	assert_int_equal(world.control->clients.n, 0);
}

static void a_live_socket_is_not_taken(void **state)
{
	struct control *first = world.control;
	int fd;

	(void)state;
	assert_int_equal(open_control(NULL, 0), -EADDRINUSE);
	world.control = first;
	fd = dial();
	say(fd, example);
	assert_string_equal(hear(fd), STATUS_OK(1));
	close(fd);
}

static void the_socket_has_its_mode(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(world.path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0660);
}

/* Closing with clients in every state; the ring must be left without debts. */
static void closing_cuts_all(void **state)
{
	int idle = dial(), half = dial(), dead = dial();

	(void)state;
	say(half, slice_take(example, 9));
	say(dead, SLICE("\xff\xff\xff\xff"));
	turn(3);
	(void)idle;
	close(dead);
	close(idle);
	close(half);
}

static void leave_stale_socket(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(at.sun_path, world.path, strlen(world.path));
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd);
}

/* What is there without a server behind it. */
static void only_stale_sockets_are_replaced(void **state)
{
	FILE *file;
	char other[128];
	int fd;

	(void)state;
	leave_stale_socket();
	assert_int_equal(start(NULL), 0);
	fd = dial();
	say(fd, example);
	assert_string_equal(hear(fd), STATUS_OK(1));
	close(fd);
	(void)stop(NULL);

	file = fopen(world.path, "w");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(open_control(NULL, 0), -EADDRINUSE);
	assert_int_equal(access(world.path, F_OK), 0);
	assert_int_equal(unlink(world.path), 0);

	(void)snprintf(other, sizeof(other), "%s/target", world.folder);
	assert_int_equal(symlink(other, world.path), 0);
	assert_int_equal(open_control(NULL, 0), -EADDRINUSE);
	assert_int_equal(access(other, F_OK), -1);
	assert_int_equal(unlink(world.path), 0);
}

static void groups_must_exist(void **state)
{
	(void)state;
	assert_int_equal(open_control("no-such-group-here", 0), -ESRCH);
	assert_int_equal(access(world.path, F_OK), -1);
}

/* From its first moment: the group may connect, all others not. */
static void the_socket_is_the_groups(void **state)
{
	const struct group *group = getgrgid(geteuid() ? getegid() : 1);
	struct stat st;

	assert_non_null(group);
	world.n_closed = 0;
	assert_int_equal(open_control(group->gr_name, 0), 0);
	assert_int_equal(lstat(world.path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(st.st_gid, group->gr_gid);
	assert_int_equal(stop(state), 0);
}

static void strangers_may_not_ask(void **state)
{
	struct control ctl = {
		.group = { .is_set = true, .gid = 77, .n_members = 1, .members = { 1234 } }
	};
	const uid_t self = geteuid();

	(void)state;
	assert_true(may_ask(&ctl, 0, 0));
	assert_true(may_ask(&ctl, self, 5555));
	assert_true(may_ask(&ctl, 4321, 77));
	assert_true(may_ask(&ctl, 1234, 5555));
	assert_false(may_ask(&ctl, 4321, 5555));
	ctl.group.is_set = false;
	assert_false(may_ask(&ctl, 4321, 77));
	assert_false(may_ask(&ctl, 4321, 0));
}

/* --- Answers that come later. --------------------------------------------------------------- */

static void turn_until_asked(void)
{
	while (!world.asker)
		turn(1);
}

static void later_holds_up_nobody_else(void **state)
{
	int slow = dial(), quick = dial();
	char byte;

	(void)state;
	ask(slow, "{v: 1, id: 1, command: later, args: {a: 1, b: 2, c: 3}}");
	ask(slow, "{v: 1, id: 2, command: status}");
	turn_until_asked();
	for (int i = 0; i < 3; i++) {
		ask(quick, "{v: 1, id: 9, command: status}");
		assert_string_equal(hear(quick), STATUS_OK(9));
	}
	assert_int_equal(recv(slow, &byte, 1, 0), -1);
	answer_later(say_args, &world.asker, 0);
	assert_string_equal(hear(slow), "{\"v\":1,\"id\":1,\"ok\":true,\"result\":3}");
	assert_string_equal(hear(slow), STATUS_OK(2));
	close(slow);
	close(quick);
}

static void later_may_be_an_error(void **state)
{
	int fd = dial();

	(void)state;
	ask(fd, "{v: 1, id: 4, command: later, args: {a: 1}}");
	turn_until_asked();
	answer_later(run_fail, &world, 0);
	assert_string_equal(hear(fd), "{\"v\":1,\"id\":4,\"ok\":false,\"error\":{\"code\":"
				      "\"semantic\",\"path\":\"args.x\",\"message\":\"1 args\"}}");
	ask(fd, "{v: 1, id: 5, command: status}");
	assert_string_equal(hear(fd), STATUS_OK(5));
	close(fd);
}

static void later_says_how_long_it_is(void **state)
{
	static char reply[CONTROL_REPLY_MAX + 2000];
	const size_t text = CONTROL_REPLY_MAX + 1000;
	int fd = dial();

	(void)state;
	ask(fd, "{v: 1, id: 6, command: later}");
	turn_until_asked();
	answer_later(say_much, NULL, 0);
	assert_non_null(strstr(hear(fd), "too long for one frame"));
	ask(fd, "{v: 1, id: 6, command: later}");
	turn_until_asked();
	answer_later(say_much, NULL, 2000);
	assert_true(hear_bytes(fd, reply, text) == text);
	assert_non_null(memchr(reply, 'x', 64)); /* And so on, to the end of the frame. */
	close(fd);
}

/* More patience than with anybody else, and no more of it than needed. */
static void who_waits_is_not_timed_out(void **state)
{
	uint64_t until_ns = gw_now_ns() + 300 * MS; /* Patience is 100 ms. */
	int fd = dial();

	(void)state;
	ask(fd, "{v: 1, id: 7, command: later}");
	turn_until_asked();
	while (gw_now_ns() < until_ns)
		turn(1);
	answer_later(say_args, &world.asker, 0);
	assert_string_equal(hear(fd), "{\"v\":1,\"id\":7,\"ok\":true,\"result\":0}");
	close(fd);
}

static void who_has_gone_is_answered_in_vain(void **state)
{
	int fd = dial();

	(void)state;
	ask(fd, "{v: 1, id: 8, command: later}");
	turn_until_asked();
	close(fd);
	turn(5);
	answer_later(say_args, &world.asker, 0);
	while (world.control->clients.n)
		turn(1);
}

/* Its memory goes with the control's. */
static void a_close_waits_for_no_answer(void **state)
{
	int fd = dial();

	ask(fd, "{v: 1, id: 9, command: later}");
	turn_until_asked();
	world.asker = NULL;
	assert_int_equal(stop(state), 0);
	assert_string_equal(hear(fd), "end");
	close(fd);
	assert_int_equal(start(state), 0);
}

/* --- Long frames, read elsewhere. ------------------------------------------------------------ */

static int start_with_jobs(void **state)
{
	assert_int_equal(jobs_open(world.ring, &world.jobs), 0);
	return start(state);
}

static int stop_with_jobs(void **state)
{
	jobs_free(world.jobs);
	world.jobs = NULL;
	return stop(state);
}

/* 'head', then as many more zeros as make a long text, then 'tail'. */
static void ask_long(int fd, const char *head, const char *tail)
{
	static char yaml[SHORT * 2];

	memset(yaml, '0', sizeof(yaml));
	memcpy(yaml, head, strlen(head));
	memcpy(yaml + SHORT + 1000, tail, strlen(tail) + 1);
	ask(fd, yaml);
}

static void long_frames_are_read_elsewhere(void **state)
{
	int fd = dial();

	(void)state;
	ask_long(fd, "{v: 1, id: 1, command: fail, args: {a: 1, b: x", "}}");
	ask(fd, "{v: 1, id: 2, command: status}");
	while (!jobs_n_given(world.jobs))
		turn(1);
	assert_int_equal(world.control->clients.n, 1);
	assert_string_equal(hear(fd), "{\"v\":1,\"id\":1,\"ok\":false,\"error\":{\"code\":"
				      "\"semantic\",\"path\":\"args.x\",\"message\":\"2 args\"}}");
	assert_string_equal(hear(fd), STATUS_OK(2));
	ask_long(fd, "{v: 1, id: 3, command: later, args: {a: x", "}}");
	turn_until_asked();
	answer_later(say_args, &world.asker, 0);
	assert_string_equal(hear(fd), "{\"v\":1,\"id\":3,\"ok\":true,\"result\":1}");
	ask_long(fd, "{v: 2, id: 4, command: status, args: {a: x", "}}");
	assert_non_null(strstr(hear(fd), "only version 1 is spoken here"));
	assert_string_equal(hear(fd), "end");
	close(fd);
}

/* The frame of a client that is not there any more when it has been read. */
static void a_close_while_one_is_read(void **state)
{
	int fd = dial();

	(void)state;
	ask_long(fd, "{v: 1, id: 1, command: fail, args: {a: x", "}}");
	while (!jobs_n_given(world.jobs))
		turn(1);
	close(fd);
}

#define WITH_CONTROL(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_CONTROL(the_example_is_answered),
		WITH_CONTROL(requests_are_answered_in_order),
		WITH_CONTROL(refusals_are_polite),
		WITH_CONTROL(wrong_envelopes_end_the_connection),
		WITH_CONTROL(large_requests_take_turns),
		WITH_CONTROL(malformed_frames_end_the_connection),
		WITH_CONTROL(half_a_frame_is_not_waited_for),
		WITH_CONTROL(a_trickle_is_not_waited_for),
		WITH_CONTROL(an_unread_reply_ends_the_connection),
		WITH_CONTROL(connections_are_bounded),
		WITH_CONTROL(a_client_may_die_at_any_byte),
		WITH_CONTROL(a_live_socket_is_not_taken),
		WITH_CONTROL(the_socket_has_its_mode),
		WITH_CONTROL(closing_cuts_all),
		WITH_CONTROL(later_holds_up_nobody_else),
		WITH_CONTROL(later_may_be_an_error),
		WITH_CONTROL(later_says_how_long_it_is),
		WITH_CONTROL(who_waits_is_not_timed_out),
		WITH_CONTROL(who_has_gone_is_answered_in_vain),
		WITH_CONTROL(a_close_waits_for_no_answer),
		cmocka_unit_test_setup_teardown(long_frames_are_read_elsewhere, start_with_jobs,
						stop_with_jobs),
		cmocka_unit_test_setup_teardown(a_close_while_one_is_read, start_with_jobs,
						stop_with_jobs),
		cmocka_unit_test(only_stale_sockets_are_replaced),
		cmocka_unit_test(groups_must_exist),
		cmocka_unit_test(the_socket_is_the_groups),
		cmocka_unit_test(strangers_may_not_ask),
	};

	return cmocka_run_group_tests(tests, make_world, end_world);
}

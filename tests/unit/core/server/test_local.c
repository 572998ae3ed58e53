/* SPDX-License-Identifier: Apache-2.0 */
/* The small server over a real ring: answers, bounds, deadlines, the end. */
#include "core/server/local.c"

#include "tests/unit/core/server/local_test.h"

enum { BIG = 40 << 20 };

static struct {
	struct local *local;
	uint32_t n_handled;
	uint64_t body_len; /* Of the last request. */
} world;

static void handle(void *owner, const struct local_request *request, struct local_answer *answer)
{
	assert_ptr_equal(owner, &world);
	world.n_handled++;
	world.body_len = request->body_len;
	if (slice_eq(request->path, SLICE("/big"))) {
		char *at = growbuf_reserve(&answer->body, BIG);

		assert_non_null(at);
		for (size_t i = 0; i < BIG; i++)
			at[i] = (char)('a' + i % 23);
	} else if (slice_eq(request->path, SLICE("/too-big"))) {
		assert_null(growbuf_reserve(&answer->body, LOCAL_ANSWER_MAX + 1));
	} else if (!slice_eq(request->path, SLICE("/empty"))) {
		growbuf_put(&answer->body, http_method_name(request->method));
		growbuf_char(&answer->body, ' ');
		growbuf_put(&answer->body, request->path);
		growbuf_char(&answer->body, ' ');
		growbuf_u64(&answer->body, request->body_len);
		growbuf_lit(&answer->body, " <");
		growbuf_put(&answer->body, request->request_id);
		growbuf_lit(&answer->body, ">");
	}
}

static const struct ring_addr *begin(bool reads_bodies)
{
	struct ring_addr any = { .family = AF_INET, .ip = { 127, 0, 0, 1 } };
	struct local_options opt = { &world, handle, reads_bodies };

	world.n_handled = 0;
	assert_int_equal(local_open(lt.proxy, &any, &opt, &world.local), 0);
	assert_int_not_equal(local_addr(world.local)->port, 0);
	return local_addr(world.local);
}

static void end(void)
{
	local_check(world.local);
	local_close(world.local);
	local_close(world.local);
	LT_UNTIL(local_is_quiet(world.local));
	local_free(world.local);
}

/* The only connection there is. */
static struct local_client *only(void)
{
	uint32_t slot = 0;

	LT_UNTIL(world.local->clients.n_used == 1);
	return slab_next(&world.local->clients, &slot);
}

/* Instead of waiting: its deadline, which lies 'span_s' ahead, is now. */
static void let_expire(struct local_client *client, uint64_t span_s)
{
	uint64_t now_ns = ring_now_ns(lt.ring);

	assert_true(client->deadline.at_ns <= now_ns + span_s * GW_NS_PER_S);
	assert_true(client->deadline.at_ns > now_ns + (span_s - 1) * GW_NS_PER_S);
	deadline_set(&client->deadline, lt.ring, now_ns);
}

#define HOST "Host: x\r\n"
#define LAST HOST "Connection: close\r\n"

static const struct {
	const char *name;
	bool reads_bodies;
	const char *request, *status, *has;
	const char *ends; /* The end of the answer, and nothing follows. */
} cases[] = {
	{ "get", false, "GET /a?b HTTP/1.1\r\n" LAST "\r\n", "HTTP/1.1 200 OK\r\n",
	  "connection: close\r\n", "\r\n\r\nGET /a 0 <>" },
	{ "head", false, "HEAD /a HTTP/1.1\r\n" LAST "\r\n", "HTTP/1.1 200 OK\r\n",
	  "content-length: 12\r\n", "\r\n\r\n" },
	{ "http/1.0", false, "GET /a HTTP/1.0\r\n" HOST "\r\n", "HTTP/1.1 200 OK\r\n",
	  "date: ", "\r\n\r\nGET /a 0 <>" },
	{ "no body", false, "GET /empty HTTP/1.1\r\n" LAST "\r\n", "HTTP/1.1 200 OK\r\n",
	  "content-length: 0\r\n", "\r\n\r\n" },
	{ "canonical path", false, "GET /a/../b HTTP/1.1\r\n" LAST "\r\n", "HTTP/1.1 200 OK\r\n",
	  "", "GET /b 0 <>" },
	{ "request id", false, "GET /a HTTP/1.1\r\nX-Request-Id: q1\r\n" LAST "\r\n",
	  "HTTP/1.1 200 OK\r\n", "", "GET /a 0 <q1>" },
	{ "two", false, "GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" LAST "\r\n",
	  "HTTP/1.1 200 OK\r\n", "GET /a 0 <>HTTP/1.1 200 OK\r\n", "GET /b 0 <>" },
	{ "unread body", false,
	  "POST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n" LAST "\r\n",
	  "HTTP/1.1 200 OK\r\n", "POST /a 0 <>HTTP/1.1 200 OK\r\n", "GET /b 0 <>" },
	{ "unread body never comes", false,
	  "POST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n",
	  "HTTP/1.1 200 OK\r\n", "connection: close\r\n", "POST /a 0 <>" },
	{ "body", true, "POST /a HTTP/1.1\r\n" LAST "Content-Length: 3\r\n\r\nabc",
	  "HTTP/1.1 200 OK\r\n", "", "POST /a 3 <>" },
	{ "chunks", true,
	  "POST /a HTTP/1.1\r\n" LAST
	  "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n",
	  "HTTP/1.1 200 OK\r\n", "", "POST /a 5 <>" },
	{ "bad chunk", true,
	  "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n",
	  "HTTP/1.1 400 Bad Request\r\n", "connection: close\r\n", "\n" },
	{ "expected body", true,
	  "POST /a HTTP/1.1\r\n" LAST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
	  "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n", "POST /a 3 <>" },
	{ "no http", false, "\x16\x03\x01\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n",
	  "connection: close\r\n", "\n" },
	{ "no host", false, "GET /a HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n",
	  "connection: close\r\n", "host_missing\n" },
	{ "too much for memory", false, "GET /too-big HTTP/1.1\r\n" LAST "\r\n",
	  "HTTP/1.1 500 Internal Server Error\r\n", "connection: close\r\n", "out of memory\n" },
};

static void check_answer(size_t i, const char *text)
{
	const char *tail = cases[i].ends;
	size_t len = strlen(text), n = strlen(tail);

	if (strncmp(text, cases[i].status, strlen(cases[i].status)) != 0 ||
	    !strstr(text, cases[i].has) || len < n || strcmp(text + len - n, tail) != 0)
		fail_msg("%s: %s", cases[i].name, text);
}

static void requests_are_answered(void **state)
{
	char text[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = lt_dial(begin(cases[i].reads_bodies));

		lt_send(fd, cases[i].request, strlen(cases[i].request));
		assert_int_equal(shutdown(fd, SHUT_WR), 0); /* It still gets its answer. */
		(void)lt_read_all(fd, text, sizeof(text));
		check_answer(i, text);
		close(fd);
		end();
	}
}

static void bytes_may_come_one_by_one(void **state)
{
	char text[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = lt_dial(begin(cases[i].reads_bodies));

		for (const char *at = cases[i].request; *at; at++)
			if (send(fd, at, 1, MSG_NOSIGNAL) == 1) /* Refused: the rest is not read. */
				assert_int_equal(ring_turn(lt.ring, 0), 0);
		assert_int_equal(shutdown(fd, SHUT_WR), 0);
		(void)lt_read_all(fd, text, sizeof(text));
		check_answer(i, text);
		close(fd);
		end();
	}
}

static void bodies_of_any_length_are_read(void **state)
{
	const size_t len = 3000000;
	char *body = calloc(1, len), text[4096];
	int fd = lt_dial(begin(true));

	(void)state;
	assert_non_null(body);
	lt_send(fd, "POST /a HTTP/1.1\r\n" LAST "Content-Length: 3000000\r\n\r\n",
		strlen("POST /a HTTP/1.1\r\n" LAST "Content-Length: 3000000\r\n\r\n"));
	lt_send(fd, body, len);
	(void)lt_read_all(fd, text, sizeof(text));
	lt_has(text, "POST /a 3000000 <>");
	assert_int_equal(world.body_len, len);
	close(fd);
	free(body);
	end();
}

/* How many buffers somebody or the kernel has; the kernel is lent up to 16 here. */
static uint32_t n_bufs_out(void)
{
	return LT_BUFS - ring_bufs_left(lt.ring);
}

static void big_answers_need_little_memory(void **state)
{
	const char *request = "GET /big HTTP/1.1\r\n" LAST "\r\n";
	char *text = malloc(BIG + 4096);
	int fd = lt_dial(begin(false));
	size_t len = 0, head;

	(void)state;
	assert_non_null(text);
	lt_send(fd, request, strlen(request));
	while (lt_recv(fd, text, BIG + 4096, &len) == 0) {
		assert_int_equal(ring_turn(lt.ring, LT_STEP_NS), 0);
		assert_true(n_bufs_out() <= 16 + LOCAL_WINDOW + 1);
		local_check(world.local);
	}
	head = (size_t)(strstr(text, "\r\n\r\n") - text) + 4;
	assert_int_equal(len - head, BIG);
	for (size_t i = 0; i < BIG; i++)
		if (text[head + i] != (char)('a' + i % 23))
			fail_msg("byte %zu is wrong", i);
	close(fd);
	free(text);
	end();
}

static void who_never_reads_is_cut_off(void **state)
{
	const char *request = "GET /big HTTP/1.1\r\n" HOST "\r\n";
	int fd = lt_dial_small(begin(false), 4096);
	struct local_client *client;
	static char text[BIG + 4096];
	size_t len = 0, submitted;

	(void)state;
	lt_send(fd, request, strlen(request));
	client = only();
	LT_UNTIL(client->state == LOCAL_SENDING && client->in_flight > 0);
	do { /* The kernel takes some of it. */
		submitted = client->submitted;
		for (int i = 0; i < 20; i++)
			assert_int_equal(ring_turn(lt.ring, LT_STEP_NS), 0);
	} while (client->submitted != submitted);
	assert_true(submitted < BIG);
	assert_true(client->in_flight <= LOCAL_WINDOW * RING_BUF_DATA);
	let_expire(client, LOCAL_STALL_S);
	LT_UNTIL(world.local->clients.n_used == 0);
	/* A reset: what it did not read is lost, and so it should know. */
	while (lt_recv(fd, text, sizeof(text), &len) == 0)
		assert_true(len < BIG);
	assert_true(len < BIG);
	assert_int_equal(errno, ECONNRESET);
	close(fd);
	end();
}

static void stalled_uploads_are_cut_off(void **state)
{
	const char *request = "POST /a HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc";
	int fd = lt_dial(begin(true));
	char text[64];
	size_t len = 0;

	(void)state;
	lt_send(fd, request, strlen(request));
	LT_UNTIL(only()->state == LOCAL_READING && only()->request.body_len == 3);
	let_expire(only(), LOCAL_IDLE_S);
	LT_UNTIL(world.local->clients.n_used == 0);
	assert_int_equal(lt_recv(fd, text, sizeof(text), &len), -1);
	assert_int_equal(world.n_handled, 0);
	close(fd);
	end();
}

static void idle_clients_are_closed(void **state)
{
	const char *request = "GET /a HTTP/1.1\r\n" HOST "\r\n";
	int fd = lt_dial(begin(false));
	char text[4096];

	(void)state;
	lt_send(fd, request, strlen(request));
	lt_read_until(fd, text, sizeof(text), "GET /a 0 <>", 1);
	LT_UNTIL(only()->state == LOCAL_WAITING && only()->phase == CODEC_PHASE_IDLE);
	let_expire(only(), LOCAL_IDLE_S);
	assert_int_equal(lt_read_all(fd, text, sizeof(text)), 0);
	close(fd);
	end();
}

static void slow_heads_are_refused(void **state)
{
	int fd = lt_dial(begin(false));
	char text[4096];

	(void)state;
	lt_send(fd, "GET /a", 6);
	LT_UNTIL(only()->phase == CODEC_PHASE_HEAD);
	let_expire(only(), LOCAL_HEAD_S);
	lt_read_until(fd, text, sizeof(text), "header_timeout\n", 1);
	lt_has(text, "HTTP/1.1 408 Request Timeout\r\n");
	close(fd);
	end();
}

static void too_many_clients_wait(void **state)
{
	const char *request = "GET /a HTTP/1.1\r\n" HOST "\r\n";
	const struct ring_addr *addr = begin(false);
	int fds[LOCAL_CLIENTS_MAX], late;
	char text[4096];

	(void)state;
	for (int i = 0; i < LOCAL_CLIENTS_MAX; i++)
		fds[i] = lt_dial(addr);
	LT_UNTIL(slab_is_full(&world.local->clients) && !world.local->accept.armed);
	late = lt_dial(addr);
	lt_send(late, request, strlen(request));
	for (int i = 0; i < 20; i++)
		assert_int_equal(ring_turn(lt.ring, LT_STEP_NS), 0);
	assert_int_equal(world.n_handled, 0);
	close(fds[0]);
	lt_read_until(late, text, sizeof(text), "GET /a 0 <>", 1);
	for (int i = 1; i < LOCAL_CLIENTS_MAX; i++)
		close(fds[i]);
	close(late);
	LT_UNTIL(world.local->clients.n_used == 0 && world.local->accept.armed);
	end();
}

static void clients_that_vanish_leave_nothing(void **state)
{
	const char *request = "GET /big HTTP/1.1\r\n" HOST "\r\n";
	struct linger now = { .l_onoff = 1 };
	int fd = lt_dial(begin(false));

	(void)state;
	lt_send(fd, request, strlen(request));
	LT_UNTIL(only()->state == LOCAL_SENDING);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(fd);
	LT_UNTIL(world.local->clients.n_used == 0);
	end();
}

static void closing_cuts_all(void **state)
{
	const struct ring_addr *addr = begin(true);
	int idle_fd = lt_dial(addr), half_fd = lt_dial(addr), busy_fd = lt_dial_small(addr, 4096);
	const char *big = "GET /big HTTP/1.1\r\n" HOST "\r\n";
	char text[64];

	(void)state;
	lt_send(half_fd, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc",
		strlen("POST /a HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc"));
	lt_send(busy_fd, big, strlen(big));
	LT_UNTIL(world.local->clients.n_used == 3 && world.n_handled == 1);
	end();
	assert_int_equal(recv(idle_fd, text, sizeof(text), 0), 0);
	close(idle_fd);
	close(half_fd);
	close(busy_fd);
}

static void one_address_has_one_server(void **state)
{
	const struct ring_addr *addr = begin(false);
	struct local_options opt = { &world, handle, false };
	struct local *second = NULL;

	(void)state;
	assert_int_equal(local_open(lt.proxy, addr, &opt, &second), -EADDRINUSE);
	assert_null(second);
	end();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, lt_set_up, lt_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(requests_are_answered),
		TEST(bytes_may_come_one_by_one),
		TEST(bodies_of_any_length_are_read),
		TEST(big_answers_need_little_memory),
		TEST(who_never_reads_is_cut_off),
		TEST(stalled_uploads_are_cut_off),
		TEST(idle_clients_are_closed),
		TEST(slow_heads_are_refused),
		TEST(too_many_clients_wait),
		TEST(clients_that_vanish_leave_nothing),
		TEST(closing_cuts_all),
		TEST(one_address_has_one_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

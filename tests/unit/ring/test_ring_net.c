/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets as the ring makes them. */
#include "tests/unit/ring/ring_test.h"

#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "ring/ring_net.c"

static int get_int(const struct ring *ring, int32_t file, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(ring->files[file].fd, level, name, &value, &len), 0);
	return value;
}

static void check_tcp(const struct ring *ring, int32_t file)
{
	assert_int_equal(get_int(ring, file, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(get_int(ring, file, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(get_int(ring, file, IPPROTO_TCP, TCP_KEEPIDLE), 30);
	assert_int_equal(get_int(ring, file, IPPROTO_TCP, TCP_NOTSENT_LOWAT), UNSENT_MAX);
	assert_true(fcntl(ring->files[file].fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(ring->files[file].fd, F_GETFD) & FD_CLOEXEC);
}

static void tcp_sockets_are_tuned(void **state)
{
	struct ring *ring = rt_ring();
	struct ring_addr addr, name;
	int32_t listener = rt_listen(ring, &addr), made = -1;
	struct rt_op accept;
	int fd = rt_dial(&addr);

	(void)state;
	rt_op_init(&accept);
	ring_accept(ring, &accept.op, listener);
	RT_UNTIL(ring, accept.n_answers == 1);
	check_tcp(ring, listener);
	check_tcp(ring, accept.last.res); /* Inherited. */
	assert_int_equal(ring_socket(ring, AF_INET6, &made), 0);
	check_tcp(ring, made);
	assert_int_equal(ring_peer_addr(ring, made, &name), -ENOTCONN);
	assert_int_equal(ring_local_addr(ring, accept.last.res, &name), 0);
	assert_true(ring_addr_eq(&name, &addr));
	ring_close(ring, made);
	ring_close(ring, accept.last.res);
	ring_close(ring, listener);
	RT_UNTIL(ring, accept.n_final == 1);
	close(fd);
	rt_end(ring);
}

static void one_port_many_listeners(void **state)
{
	static const struct ring_listen alone = { 0 }, shared = { .reuse_port = true };
	struct ring *ring = rt_ring();
	struct ring_addr addr;
	int32_t first = rt_listen(ring, &addr), second, third = -1;

	(void)state;
	assert_int_equal(ring_listen(ring, &addr, &shared, &second), 0);
	assert_int_equal(ring_listen(ring, &addr, &alone, &third), -EADDRINUSE);
	assert_int_equal(third, -1);
	ring_close(ring, first);
	ring_close(ring, second);
	assert_int_equal(ring_listen(ring, &addr, &alone, &third), 0);
	ring_close(ring, third);
	rt_end(ring);
}

/* ":0" takes IPv4 clients, too, and shows them as such. */
static void all_addresses_are_both_families(void **state)
{
	struct ring *ring = rt_ring();
	struct ring_addr addr, peer;
	struct rt_op accept;
	int32_t listener;
	int fd;

	(void)state;
	assert_int_equal(ring_addr_parse(SLICE(":0"), &addr), 0);
	assert_int_equal(ring_listen(ring, &addr, &(struct ring_listen){ 0 }, &listener), 0);
	assert_int_equal(ring_local_addr(ring, listener, &addr), 0);
	addr = (struct ring_addr){ .family = AF_INET, .port = addr.port, .ip = { 127, 0, 0, 1 } };
	fd = rt_dial(&addr);
	rt_op_init(&accept);
	ring_accept(ring, &accept.op, listener);
	RT_UNTIL(ring, accept.n_answers == 1);
	assert_int_equal(ring_peer_addr(ring, accept.last.res, &peer), 0);
	assert_int_equal(peer.family, AF_INET);
	assert_int_equal(peer.ip[0], 127);
	ring_close(ring, accept.last.res);
	ring_close(ring, listener);
	RT_UNTIL(ring, accept.n_final == 1);
	close(fd);
	rt_end(ring);
}

/* A peer that does not read holds little of the kernel's memory, whatever tcp_wmem allows. */
static void unsent_bytes_are_bounded(void **state)
{
	static const char zeros[32768];
	struct ring *ring = rt_ring();
	struct ring_addr addr;
	struct rt_op accept;
	int32_t listener = rt_listen(ring, &addr);
	int fd = rt_dial(&addr), unsent = -1;
	ssize_t n;

	(void)state;
	rt_op_init(&accept);
	ring_accept(ring, &accept.op, listener);
	RT_UNTIL(ring, accept.n_answers == 1);
	do
		n = send(ring->files[accept.last.res].fd, zeros, sizeof(zeros), 0);
	while (n > 0);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(ioctl(ring->files[accept.last.res].fd, SIOCOUTQNSD, &unsent), 0);
	assert_in_range(unsent, UNSENT_MAX, 2 * UNSENT_MAX);
	ring_abort_on_close(ring, accept.last.res);
	ring_close(ring, accept.last.res);
	ring_close(ring, listener);
	RT_UNTIL(ring, accept.n_final == 1);
	close(fd);
	rt_end(ring);
}

/* --- Stopping ----------------------------------------------------------------------------- */

/* Its kernel has been asked to connect, and goes on trying. */
static int begin_dial(const struct ring_addr *addr)
{
	struct sockaddr_storage to;
	socklen_t len = ring_addr_to_sockaddr(addr, &to);
	int fd = socket(addr->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&to, len) < 0)
		assert_int_equal(errno, EINPROGRESS);
	return fd;
}

static bool is_connected(int fd, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, wait_ms) == 1 && p.revents == POLLOUT;
}

/* More than a segment, so that one which is cut short would be noticed. */
static void check_bytes_pass(struct ring *ring, int fd, int32_t file, size_t n_had)
{
	static char sent[100000], got[100000];
	size_t n_got = 0;

	memset(sent, 'x', sizeof(sent));
	rt_put(fd, sent, sizeof(sent));
	while (n_got < n_had + sizeof(sent)) {
		struct pollfd p = { .fd = ring->files[file].fd, .events = POLLIN };
		ssize_t n;

		assert_int_equal(poll(&p, 1, 5000), 1);
		n = read(p.fd, got, sizeof(got));
		assert_true(n > 0);
		n_got += (size_t)n;
	}
	assert_int_equal(n_got, n_had + sizeof(sent));
}

static void check_a_stopped_listener(const struct ring_addr *at)
{
	struct ring *ring = rt_ring();
	struct ring_addr addr;
	struct rt_op accept;
	int32_t listener, queued;
	int fds[3];

	assert_int_equal(
		ring_listen(ring, at, &(struct ring_listen){ .reuse_port = true }, &listener), 0);
	assert_int_equal(ring_local_addr(ring, listener, &addr), 0);
	fds[0] = begin_dial(&addr);
	assert_true(is_connected(fds[0], 5000));
	/* From here on a handshake ends with the first byte: one is under way during the stop. */
	assert_int_equal(set_int(ring->files[listener].fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 10), 0);
	fds[1] = begin_dial(&addr);
	assert_true(is_connected(fds[1], 5000));

	assert_int_equal(ring_listen_stop(ring, listener), 0);
	fds[2] = begin_dial(&addr);
	assert_false(is_connected(fds[2], 100));
	rt_op_init(&accept);
	ring_accept(ring, &accept.op, listener);
	RT_UNTIL(ring, accept.n_answers == 1);
	queued = accept.last.res;
	rt_settle(ring);
	assert_int_equal(accept.n_answers, 1);
	rt_put(fds[1], "x", 1);
	RT_UNTIL(ring, accept.n_answers == 2);
	check_bytes_pass(ring, fds[0], queued, 0);
	check_bytes_pass(ring, fds[1], accept.last.res, 1);
	assert_int_equal(accept.n_answers, 2);

	ring_close(ring, queued);
	ring_close(ring, accept.last.res);
	ring_close(ring, listener);
	RT_UNTIL(ring, accept.n_final == 1);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	rt_end(ring);
}

static void a_stopped_listener_ends_what_it_began(void **state)
{
	static const struct ring_addr four = { .family = AF_INET, .ip = { 127, 0, 0, 1 } };
	static const struct ring_addr six = { .family = AF_INET6, .ip = { [15] = 1 } };
	struct ring *ring = rt_ring();
	int32_t file = -1;
	int r = ring_listen(ring, &six, &(struct ring_listen){ .reuse_port = true }, &file);

	(void)state;
	if (r == 0)
		ring_close(ring, file);
	rt_end(ring);
	check_a_stopped_listener(&four);
	if (r == 0) /* Not every machine has IPv6. */
		check_a_stopped_listener(&six);
}

/* --- Unix sockets ------------------------------------------------------------------------- */

static struct ring_addr unix_addr(const char *name)
{
	struct ring_addr addr = { .family = AF_UNIX };

	addr.path_len = (uint8_t)snprintf(addr.path, sizeof(addr.path), "/tmp/gw-test-%d-%s",
					  getpid(), name);
	return addr;
}

static void unix_sockets_have_a_mode_and_peers_a_name(void **state)
{
	struct ring *ring = rt_ring();
	struct ring_addr addr = unix_addr("mode"), name;
	struct ring_listen how = { .mode = 0660, .group = (int)getgid() };
	struct rt_op accept, connect;
	int32_t listener = -1, file = -1;
	mode_t mask = umask(077);
	struct stat st;
	uid_t uid;
	gid_t gid;

	(void)state;
	assert_int_equal(ring_listen(ring, &addr, &how, &listener), 0);
	umask(mask);
	assert_int_equal(stat(addr.path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0660);
	rt_op_init(&accept);
	rt_op_init(&connect);
	ring_accept(ring, &accept.op, listener);
	assert_int_equal(ring_socket(ring, AF_UNIX, &file), 0);
	ring_connect(ring, &connect.op, file, &addr);
	RT_UNTIL(ring, connect.n_final == 1 && accept.n_answers == 1);
	assert_int_equal(ring_peer_cred(ring, accept.last.res, &uid, &gid), 0);
	assert_int_equal(uid, getuid());
	assert_int_equal(gid, getgid());
	assert_int_equal(ring_peer_addr(ring, file, &name), 0);
	assert_true(ring_addr_eq(&name, &addr));
	ring_close(ring, file);
	ring_close(ring, accept.last.res);
	ring_close(ring, listener);
	RT_UNTIL(ring, accept.n_final == 1);
	unlink(addr.path);
	rt_end(ring);
}

static void a_stale_socket_file_is_replaced(void **state)
{
	static const struct ring_listen how = { .mode = 0600, .group = -1 };
	struct ring *ring = rt_ring();
	struct ring_addr addr = unix_addr("stale");
	int32_t listener, other = -1;
	int fd;

	(void)state;
	assert_int_equal(ring_listen(ring, &addr, &how, &listener), 0);
	assert_int_equal(ring_listen(ring, &addr, &how, &other), -EADDRINUSE); /* It lives. */
	assert_int_equal(other, -1);
	ring_close(ring, listener);
	assert_int_equal(access(addr.path, F_OK), 0);
	assert_int_equal(ring_listen(ring, &addr, &how, &listener), 0);
	ring_close(ring, listener);
	unlink(addr.path);

	/* Anything that is no socket is not ours to remove. */
	fd = open(addr.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	assert_int_equal(ring_listen(ring, &addr, &how, &other), -EADDRINUSE);
	assert_int_equal(access(addr.path, F_OK), 0);
	unlink(addr.path);
	rt_end(ring);
}

/* --- Ends --------------------------------------------------------------------------------- */

static int32_t accepted_file(struct ring *ring, int *ret_fd)
{
	struct ring_addr addr;
	int32_t listener = rt_listen(ring, &addr), file;
	struct rt_op accept;

	rt_op_init(&accept);
	ring_accept(ring, &accept.op, listener);
	*ret_fd = rt_dial(&addr);
	RT_UNTIL(ring, accept.n_answers == 1);
	file = accept.last.res;
	ring_close(ring, listener);
	RT_UNTIL(ring, accept.n_final == 1);
	return file;
}

static int32_t accepted_files[8];
static uint32_t n_accepted, n_refused;

static void remember(struct ring_op *op, const struct ring_answer *answer)
{
	(void)op;
	assert_true(n_accepted < ARRAY_SIZE(accepted_files));
	if (answer->res >= 0)
		accepted_files[n_accepted++] = answer->res;
	else
		n_refused++;
}

static void a_stopped_unix_listener_refuses(void **state)
{
	static const struct ring_listen how = { .mode = 0600, .group = -1 };
	struct ring *ring = rt_ring();
	struct ring_addr addr = unix_addr("stop");
	struct ring_op accept;
	int32_t listener;
	int fds[2];

	(void)state;
	assert_int_equal(ring_listen(ring, &addr, &how, &listener), 0);
	ring_op_init(&accept, remember);
	ring_accept(ring, &accept, listener);
	rt_settle(ring);
	for (int i = 0; i < 2; i++)
		fds[i] = begin_dial(&addr);
	assert_int_equal(ring_listen_stop(ring, listener), 0);
	assert_true(is_stale(&addr, addr.path)); /* Whoever comes is refused. */
	for (int i = 0; i < 10; i++)
		assert_int_equal(ring_turn(ring, 20 * RT_MS), 0);
	assert_int_equal(n_accepted, 2);
	assert_true(accept.armed); /* No error either. */
	ring_close(ring, listener);
	RT_UNTIL(ring, n_refused == 1);
	for (int i = 0; i < 2; i++) {
		ring_close(ring, accepted_files[i]);
		close(fds[i]);
	}
	assert_int_equal(unlink(addr.path), 0);
	rt_end(ring);
}

static void an_end_is_orderly_or_abrupt(void **state)
{
	struct ring *ring = rt_ring();
	char byte;
	int fd;
	int32_t file = accepted_file(ring, &fd);

	(void)state;
	ring_shutdown_send(ring, file);
	RT_UNTIL(ring, read(fd, &byte, 1) == 0);
	rt_put(fd, "x", 1); /* The other direction is still open. */
	RT_UNTIL(ring, read(ring->files[file].fd, &byte, 1) == 1);
	ring_close(ring, file);
	close(fd);

	file = accepted_file(ring, &fd);
	ring_abort_on_close(ring, file);
	ring_close(ring, file);
	RT_UNTIL(ring, read(fd, &byte, 1) < 0 && errno == ECONNRESET);
	close(fd);
	rt_end(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_sockets_are_tuned),
		cmocka_unit_test(unsent_bytes_are_bounded),
		cmocka_unit_test(one_port_many_listeners),
		cmocka_unit_test(all_addresses_are_both_families),
		cmocka_unit_test(unix_sockets_have_a_mode_and_peers_a_name),
		cmocka_unit_test(a_stale_socket_file_is_replaced),
		cmocka_unit_test(a_stopped_listener_ends_what_it_began),
		cmocka_unit_test(a_stopped_unix_listener_refuses),
		cmocka_unit_test(an_end_is_orderly_or_abrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

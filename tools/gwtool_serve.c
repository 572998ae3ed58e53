/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'gwtool serve': the article's configuration manager, policies over HTTP.
 *
 * Whoever reaches it may change the policy. So it listens on loopback, unless clients have to show
 * a certificate.
 *
 * A few threads accept and serve one client each. Signals are taken by the first thread alone: at a
 * HUP it reads the certificates again; at any other it makes 'stop_fd' readable for good and waits
 * for the others.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/thread.h"
#include "core/document/form.h"
#include "tools/gwtool.h"
#include "tools/gwtool_visit.h"

enum { THREADS = 16, BACKLOG = 64, PORT_USUAL = 9090, ADDRESS_MAX = INET6_ADDRSTRLEN + 8 };

struct place {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
	bool loopback;
};

struct serving {
	const struct call *call;
	const char *address, *port; /* As they were given, or NULL. */
	struct place place;
	struct gwtool_site site;
};

struct server {
	struct gwtool_site *site;
	struct thread thread;
	struct gwtool_visit visit;
};

/* --- What was asked for. --------------------------------------------------------------------- */

static int read_args(const struct call *call, struct serving *s)
{
	struct gwtool_credentials *credentials = &s->site.credentials;
	const struct {
		const char *flag, **value;
	} flags[] = { { "--port", &s->port },
		      { "--address", &s->address },
		      { "--tls-cert", &credentials->cert },
		      { "--tls-key", &credentials->key },
		      { "--client-ca", &credentials->client_ca } };

	for (int i = 0; i < call->argc; i++) {
		size_t k = 0;

		while (k < ARRAY_SIZE(flags) && strcmp(call->argv[i], flags[k].flag) != 0)
			k++;
		if (k == ARRAY_SIZE(flags) || i + 1 == call->argc)
			return gwtool_usage(call,
					    "unknown argument of serve, or one without its value: ",
					    call->argv[i]);
		*flags[k].value = call->argv[++i];
	}
	if (s->port && s->address)
		return gwtool_usage(call, "--port and --address exclude each other: ", s->address);
	if ((credentials->cert || credentials->key || credentials->client_ca) &&
	    !(credentials->cert && credentials->key && credentials->client_ca))
		return gwtool_usage(
			call, "TLS needs three files: ", "--tls-cert, --tls-key, --client-ca");
	return EXIT_OK;
}

static bool read_port(struct slice text, uint16_t *ret_port)
{
	uint64_t port;

	if (slice_to_u64(text, &port) < 0 || port > UINT16_MAX)
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

static void set_v4(struct place *place, const uint8_t ip[4], uint16_t port)
{
	place->v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
	memcpy(&place->v4.sin_addr, ip, 4);
	place->len = sizeof(place->v4);
	place->loopback = ip[0] == 127;
}

static void set_v6(struct place *place, const uint8_t ip[16], uint16_t port)
{
	place->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
	memcpy(&place->v6.sin6_addr, ip, 16);
	place->len = sizeof(place->v6);
	place->loopback = IN6_IS_ADDR_LOOPBACK(&place->v6.sin6_addr);
}

/* "1.2.3.4:80", "[::1]:80", or ":80": all addresses of IPv4. */
static bool read_address(struct slice text, struct place *place)
{
	size_t colon = slice_find_last(text, ':');
	struct slice host = slice_take(text, colon == SLICE_NONE ? 0 : colon);
	uint8_t ip[16] = { 0 };
	uint16_t port;
	int family;

	if (colon == SLICE_NONE || !read_port(slice_drop(text, colon + 1), &port))
		return false;
	if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
		family = form_ip(slice_make(host.ptr + 1, host.len - 2), ip) == AF_INET6 ? AF_INET6
											 : 0;
	else
		family = host.len == 0 || form_ip(host, ip) == AF_INET ? AF_INET : 0;
	if (family == AF_INET)
		set_v4(place, ip, port);
	else if (family == AF_INET6)
		set_v6(place, ip, port);
	return family != 0;
}

static int read_usual_address(struct serving *s)
{
	static const uint8_t loopback[4] = { 127, 0, 0, 1 };
	const char *said = s->port ? s->port : getenv("CONFIG_PORT");
	uint16_t port = PORT_USUAL;

	if (said && said[0] && !read_port(slice_of(said), &port))
		return gwtool_usage(s->call,
				    s->port ? "--port takes a port, not "
					    : "CONFIG_PORT is to be a port, not ",
				    said);
	set_v4(&s->place, loopback, port);
	return EXIT_OK;
}

static int choose_place(struct serving *s)
{
	if (!s->address)
		return read_usual_address(s);
	if (!read_address(slice_of(s->address), &s->place))
		return gwtool_usage(s->call, "--address takes an IP address and a port, not ",
				    s->address);
	if (!s->place.loopback && !s->site.credentials.client_ca)
		return gwtool_usage(
			s->call,
			"whoever reaches it could change the policy: beyond loopback it "
			"needs --tls-cert, --tls-key and --client-ca: ",
			s->address);
	return EXIT_OK;
}

/* --- Setting up. ----------------------------------------------------------------------------- */

static int read_files(struct serving *s)
{
	struct gwtool_credentials *credentials = &s->site.credentials;
	struct tls_refusal refusal;
	int r;

	if (!credentials->client_ca)
		return EXIT_OK;
	r = gwtool_credentials_read(credentials, &refusal);
	if (r == 0)
		return EXIT_OK;
	return r == -EINVAL ? gwtool_fail(s->call, EXIT_CONFIG, "file", "%s", refusal.why)
			    : gwtool_fail(s->call, EXIT_FAILED, "internal", "%s", strerror(-r));
}

static int fail(const struct serving *s, const char *what, int why)
{
	return gwtool_fail(s->call, EXIT_FAILED, "internal", "%s: %s", what, strerror(why));
}

static int start_listening(struct serving *s)
{
	const int on = 1;
	int fd = socket(s->place.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	s->site.listener = fd;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, &s->place.any, s->place.len) < 0 || listen(fd, BACKLOG) < 0)
		return fail(s, "cannot listen", errno);
	s->site.stop_fd = eventfd(0, EFD_CLOEXEC);
	return s->site.stop_fd < 0 ? fail(s, "cannot start", errno) : EXIT_OK;
}

/* Where it listens: for a port of 0 the kernel has chosen. */
static bool format_place(const struct serving *s, char address[ADDRESS_MAX])
{
	struct place at = s->place;
	char ip[INET6_ADDRSTRLEN];
	bool v6 = s->place.any.sa_family == AF_INET6;

	if (getsockname(s->site.listener, &at.any, &at.len) < 0 ||
	    !inet_ntop(at.any.sa_family, v6 ? (void *)&at.v6.sin6_addr : &at.v4.sin_addr, ip,
		       sizeof(ip)))
		return false;
	(void)snprintf(address, ADDRESS_MAX, "%s%s%s:%u", v6 ? "[" : "", ip, v6 ? "]" : "",
		       ntohs(v6 ? at.v6.sin6_port : at.v4.sin_port));
	return true;
}

/* As JSON like the daemon's event of that name; there is nothing to escape in an address. */
static int tell_place(const struct serving *s)
{
	const char *scheme = s->site.credentials.client_ca ? "https" : "http";
	char address[ADDRESS_MAX];

	if (!format_place(s, address))
		return fail(s, "cannot listen", errno);
	if (s->call->json)
		(void)printf("{\"event\":\"listening\",\"address\":\"%s\",\"url\":\"%s://%s\"}\n",
			     address, scheme, address);
	else
		(void)printf("listening on %s://%s\n", scheme, address);
	return fflush(stdout) == 0 ? EXIT_OK : fail(s, "cannot write the output", errno);
}

/* --- Serving. -------------------------------------------------------------------------------- */

/* A client, or -1: there is to be none any more. */
static int next_client(const struct gwtool_site *site)
{
	for (;;) {
		struct pollfd fds[] = { { .fd = site->listener, .events = POLLIN },
					{ .fd = site->stop_fd, .events = POLLIN } };
		int fd;

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return -1;
		if (fds[1].revents)
			return -1;
		fd = accept4(site->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			return fd;
	}
}

static void serve(void *arg)
{
	struct server *server = arg;
	int fd = next_client(server->site);

	while (fd >= 0) {
		gwtool_visit_run(&server->visit, server->site, fd);
		fd = next_client(server->site);
	}
}

/* What cannot be read is told, and what was shown before is shown on. */
static void read_again(struct serving *s)
{
	if (!s->site.credentials.client_ca || read_files(s) != EXIT_OK)
		return;
	if (s->call->json)
		(void)puts("{\"event\":\"certificates_read\"}");
	else
		(void)fputs("gwtool: the certificates were read again\n", stderr);
	(void)fflush(stdout); /* It serves on, heard or not. */
}

static void wait_for_signal(struct serving *s, const sigset_t *signals)
{
	for (int signal = 0; signal != SIGTERM && signal != SIGINT;) {
		if (sigwait(signals, &signal) == 0 && signal == SIGHUP)
			read_again(s);
	}
}

/* Until a signal says so: 'signals' are blocked. */
static int run_threads(struct serving *s, const sigset_t *signals)
{
	static struct server servers[THREADS];
	uint32_t n = 0;
	int r = 0;

	while (r == 0 && n < THREADS) {
		servers[n].site = &s->site;
		r = thread_start(&servers[n].thread, "serve", THREAD_ANY_CPU, serve, &servers[n]);
		n += r == 0;
	}
	if (r == 0)
		r = tell_place(s) == EXIT_OK ? 0 : -EIO;
	else
		(void)fail(s, "cannot start", -r);
	if (r == 0)
		wait_for_signal(s, signals);
	GW_ASSERT(eventfd_write(s->site.stop_fd, 1) == 0);
	while (n > 0)
		thread_join(&servers[--n].thread);
	return r == 0 ? EXIT_OK : EXIT_FAILED;
}

static int run(struct serving *s)
{
	sigset_t signals;
	int r = read_files(s);

	if (r == EXIT_OK)
		r = start_listening(s);
	if (r != EXIT_OK)
		return r;
	s->site.loopback = s->place.loopback;
	(void)sigemptyset(&signals); /* These cannot fail. */
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGHUP);
	GW_ASSERT(pthread_sigmask(SIG_BLOCK, &signals, NULL) == 0);
	return run_threads(s, &signals);
}

int gwtool_serve(const struct call *call)
{
	struct serving s = {
		.call = call,
		.site = { .manager = { .socket = call->socket, .turn = PTHREAD_MUTEX_INITIALIZER },
			  .credentials = { .lock = PTHREAD_MUTEX_INITIALIZER },
			  .listener = -1,
			  .stop_fd = -1 },
	};
	int r = read_args(call, &s);

	if (r == EXIT_OK)
		r = choose_place(&s);
	if (r == EXIT_OK)
		r = run(&s);
	if (s.site.listener >= 0)
		(void)close(s.site.listener);
	if (s.site.stop_fd >= 0)
		(void)close(s.site.stop_fd);
	gwtool_credentials_free(&s.site.credentials);
	return r;
}

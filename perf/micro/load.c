/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/micro/load.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perf/net.h"

enum { N_EVENTS = 256, IO_SIZE = 1 << 17 };

struct end {
	int fd;
	uint32_t got;        /* Bytes of the message that is arriving. */
	uint64_t sent_at_ns; /* Clients: when the request went out. */
};

struct generator {
	const struct load *load;
	struct end *ends; /* Even: a client, odd: its origin, as in load.h. */
	uint32_t *resting;
	uint32_t rest_head; /* Ring of clients in their pause, in order of its end. */
	uint32_t n_resting;
	int epoll;
	char io[IO_SIZE];
};

static struct generator gen;

static void send_all(int fd, uint32_t len)
{
	uint32_t done = 0;

	while (done < len) {
		ssize_t n = send(fd, gen.io, len - done, MSG_NOSIGNAL);

		if (n <= 0)
			_exit(0); /* The relay has gone: the run is over. */
		done += (uint32_t)n;
	}
}

static void request(struct end *e, uint64_t now_ns)
{
	e->sent_at_ns = now_ns;
	send_all(e->fd, gen.load->request_len);
}

static void count(struct end *e, uint64_t now_ns)
{
	struct load_stats *st = gen.load->stats;
	uint64_t bucket = (now_ns - e->sent_at_ns) / (1000u * LOAD_BUCKET_US);

	if (bucket >= LOAD_N_BUCKETS)
		bucket = LOAD_N_BUCKETS - 1;
	st->latency_count[bucket]++;
	st->n_responses++;
}

static void rest(uint32_t i, uint64_t now_ns)
{
	uint32_t n = gen.load->n_pairs;

	gen.ends[i].sent_at_ns = now_ns + (uint64_t)gen.load->think_us * 1000u;
	gen.resting[(gen.rest_head + gen.n_resting) % n] = i;
	gen.n_resting++;
}

static void wake_rested(uint64_t now_ns)
{
	while (gen.n_resting) {
		struct end *e = &gen.ends[gen.resting[gen.rest_head]];

		if (e->sent_at_ns > now_ns)
			return;
		gen.rest_head = (gen.rest_head + 1) % gen.load->n_pairs;
		gen.n_resting--;
		request(e, now_ns);
	}
}

static void readable(uint32_t i, uint64_t now_ns)
{
	struct end *e = &gen.ends[i];
	int is_client = !(i & 1);
	uint32_t whole = is_client ? gen.load->response_len : gen.load->request_len;
	ssize_t n = recv(e->fd, gen.io, sizeof(gen.io), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		_exit(0);
	e->got += (uint32_t)n;
	if (e->got < whole)
		return;
	e->got = 0;
	if (!is_client) {
		send_all(e->fd, gen.load->response_len);
		return;
	}
	count(e, now_ns);
	if (gen.load->think_us)
		rest(i, now_ns);
	else
		request(e, now_ns);
}

/* With pauses the loop spins: a timer would be coarser than the pause. */
static _Noreturn void generate(void)
{
	struct epoll_event ev[N_EVENTS];

	for (uint32_t i = 0; i < 2 * gen.load->n_pairs; i += 2)
		request(&gen.ends[i], net_now_ns());
	for (;;) {
		int n = epoll_wait(gen.epoll, ev, N_EVENTS, gen.n_resting ? 0 : -1);
		uint64_t now_ns = net_now_ns();

		for (int k = 0; k < n; k++)
			readable(ev[k].data.u32, now_ns);
		wake_rested(now_ns);
	}
}

static int accept_one(int listener)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			return fd;
		if (errno != EAGAIN)
			net_die("accept", errno);
		usleep(50);
	}
}

static void watch(uint32_t i, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = i };

	gen.ends[i].fd = fd;
	if (epoll_ctl(gen.epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		net_die("epoll_ctl", errno);
}

static _Noreturn void child(const struct load *load, uint16_t client_port, int listener)
{
	char go;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	net_pin(load->cpu);
	gen.load = load;
	gen.ends = calloc(2 * load->n_pairs, sizeof(*gen.ends));
	gen.resting = calloc(load->n_pairs, sizeof(*gen.resting));
	gen.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!gen.ends || !gen.resting || gen.epoll < 0)
		net_die("load: out of memory or descriptors", errno);
	for (uint32_t i = 0; i < load->n_pairs; i++) {
		watch(2 * i, net_connect(client_port));
		watch(2 * i + 1, accept_one(listener));
	}
	/* load_go() is one byte on the last client's connection. */
	if (recv(gen.ends[2 * load->n_pairs - 2].fd, &go, 1, MSG_WAITALL) != 1)
		_exit(1);
	generate();
}

void load_start(struct load *load, int *ret_fds)
{
	int listener = net_listen(0);
	int origin = net_listen(0);
	uint16_t origin_port = net_port(origin);

	load->stats = mmap(NULL, sizeof(*load->stats), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (load->stats == MAP_FAILED)
		net_die("mmap", errno);
	load->pid = fork();
	if (load->pid < 0)
		net_die("fork", errno);
	if (!load->pid)
		child(load, net_port(listener), origin);
	for (uint32_t i = 0; i < load->n_pairs; i++) {
		ret_fds[2 * i] = accept_one(listener);
		ret_fds[2 * i + 1] = net_connect(origin_port);
	}
	close(listener);
	close(origin);
	load->go_fd = ret_fds[2 * load->n_pairs - 2];
}

void load_go(struct load *load)
{
	if (send(load->go_fd, "g", 1, MSG_NOSIGNAL) != 1)
		net_die("load_go", errno);
}

void load_stop(struct load *load)
{
	kill(load->pid, SIGKILL);
	waitpid(load->pid, NULL, 0);
}

uint64_t load_n_responses(const struct load *load)
{
	return load->stats->n_responses;
}

uint64_t load_latency_us(const struct load *load, double quantile)
{
	uint64_t want = (uint64_t)((double)load->stats->n_responses * quantile);
	uint64_t seen = 0;

	for (uint32_t b = 0; b < LOAD_N_BUCKETS; b++) {
		seen += load->stats->latency_count[b];
		if (seen >= want)
			return (uint64_t)(b + 1) * LOAD_BUCKET_US;
	}
	return (uint64_t)LOAD_N_BUCKETS * LOAD_BUCKET_US;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* scrape_tls.c - metrics of what TLS needs: certificates that expire, memory that is bounded. */
#include "core/base/writer.h"
#include "core/server/certs.h"
#include "core/server/scrape.h"

static const struct pool_row {
	struct slice name, type, help;
	size_t offset; /* Of the figure in struct block_pool_stats. */
} pool_rows[] = {
#define ROW(name, type, field, help)                                                               \
	{                                                                                          \
		SLICE_INIT(name), SLICE_INIT(type), SLICE_INIT(help),                              \
			offsetof(struct block_pool_stats, field)                                   \
	}
	/* clang-format off */
	ROW("gateway_tls_memory_used_bytes", "gauge", used, "Memory that OpenSSL holds in workers"),
	ROW("gateway_tls_memory_touched_bytes", "gauge", touched, "The most of it that was ever needed"),
	ROW("gateway_tls_memory_size_bytes", "gauge", size, "All that OpenSSL may have in workers"),
	ROW("gateway_tls_memory_refusals_total", "counter", refusals, "Requests of OpenSSL for which there was no memory"),
/* clang-format on */
#undef ROW
};

static void put_pools(const struct scrape_view *view, struct growbuf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(pool_rows); i++) {
		const struct pool_row *row = &pool_rows[i];
		uint64_t sum = 0;

		for (uint32_t k = 0; k < view->n_pools; k++) {
			struct block_pool_stats stats = crypto_pool_stats(view->pools[k]);
			uint64_t figure;

			memcpy(&figure, (const char *)&stats + row->offset, sizeof(figure));
			sum += figure;
		}
		metric_render_head(out, row->name, row->type, row->help);
		metric_render_sample(out, row->name, SLICE(""), sum);
	}
}

static void put_expiry(struct growbuf *out, struct slice name, uint32_t listener, struct slice site,
		       int64_t expiry)
{
	char text[320];
	struct writer labels = writer_make(text, sizeof(text));

	writer_lit(&labels, "listener=\"");
	writer_u64(&labels, listener);
	writer_lit(&labels, "\",name=\"");
	writer_put(&labels, site); /* A host name: nothing in it needs an escape. */
	writer_lit(&labels, "\"");
	GW_ASSERT(!labels.overflow && expiry >= 0);
	metric_render_sample(out, name, writer_slice(&labels), (uint64_t)expiry);
}

/*
 * When the first of the entries with this one's name expires; 0 when an earlier one has told. A
 * certificate may be in several entries, and a sample with the same labels twice spoils a scrape.
 */
static int64_t first_expiry(const struct tls_credentials *one, uint32_t entry,
			    struct slice *ret_site)
{
	int64_t first = tls_credentials_expiry(one, entry, ret_site);

	for (uint32_t i = 0; i < tls_credentials_entries(one); i++) {
		struct slice site;
		int64_t expiry = tls_credentials_expiry(one, i, &site);

		if (!slice_eq(site, *ret_site))
			continue;
		if (i < entry)
			return 0;
		first = expiry < first ? expiry : first;
	}
	return first;
}

static void put_expiries(const struct certs *certs, struct growbuf *out)
{
	struct slice name = SLICE("gateway_tls_certificate_expiry_timestamp_seconds");

	metric_render_head(out, name, SLICE("gauge"),
			   SLICE("When a listener's certificate expires, in seconds since 1970"));
	for (uint32_t i = 0; i < certs->n_listeners; i++) {
		const struct tls_credentials *one = certs->credentials[i];

		for (uint32_t entry = 0; one && entry < tls_credentials_entries(one); entry++) {
			struct slice site;
			int64_t expiry = first_expiry(one, entry, &site);

			if (expiry > 0)
				put_expiry(out, name, i, site, expiry);
		}
	}
}

static void put_own_expiry(const struct certs *certs, struct growbuf *out)
{
	struct slice name = SLICE("upstream_tls_certificate_expiry_timestamp_seconds");
	int64_t expiry = certs->n_trusts ? tls_trust_expiry(certs->trusts[CERTS_UPSTREAM_TRUST])
					 : 0;

	if (expiry <= 0)
		return;
	metric_render_head(out, name, SLICE("gauge"),
			   SLICE("When the certificate that upstreams are shown expires, in "
				 "seconds since 1970"));
	metric_render_sample(out, name, SLICE(""), (uint64_t)expiry);
}

void scrape_render_tls(const struct scrape_view *view, struct growbuf *out)
{
	put_pools(view, out);
	if (view->certs) {
		put_expiries(view->certs, out);
		put_own_expiry(view->certs, out);
	}
}

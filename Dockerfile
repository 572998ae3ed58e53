# SPDX-License-Identifier: Apache-2.0
#
# docker build -t sluice .
# docker run --security-opt seccomp=deploy/seccomp.json --ulimit nofile=65536 -p 8080:8080 \
#     -e UPSTREAM_URL=http://origin:3000 sluice
#
# The engines' default profile refuses io_uring; ours allows it, and less besides.

FROM debian:13-slim AS build
WORKDIR /src
COPY . .
RUN ./dev build && strip --strip-debug build/release/sluice build/release/gwtool

FROM debian:13-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libcares2 libjansson4 libssl3t64 \
        libyaml-0-2 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 sluice \
    && useradd --uid 65532 --gid 65532 --no-create-home --shell /usr/sbin/nologin sluice \
    && install -d -o sluice -g sluice -m 0750 /run/sluice /var/lib/sluice \
    && install -d -m 0755 /etc/sluice
COPY --from=build /src/build/release/sluice /src/build/release/gwtool /usr/local/bin/
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["gwtool", "status"]
ENTRYPOINT ["sluice"]

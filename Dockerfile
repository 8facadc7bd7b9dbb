# Holdfast as an image: the daemon, its command-line tool and the libraries that they load. No shell, no
# package manager, nothing to write to. Needs Debian's archive and no other network:
#
#   docker build -t holdfast:0.1.0 .           (or podman, or buildah bud; tests/image/run does it)
#
# Two folders have to be mounted, writable for uid 64000: /run/holdfast (the socket) and /var/lib/holdfast (the
# journal; a volume that outlives the container, or acknowledgements do not).

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY deploy/install-deps deploy/
RUN deploy/install-deps build
COPY CMakeLists.txt CMakePresets.json ./
COPY proto proto
COPY sql sql
COPY server server
COPY client client
# ccache finds nothing here unless its folder is mounted; its paths do not depend on this folder then.
RUN export CCACHE_BASEDIR=/src CCACHE_NOHASHDIR=1 && \
    cmake --preset release -DHOLDFAST_TESTS=OFF && \
    cmake --build --preset release --target holdfastd holdfast && \
    strip build/release/bin/holdfastd build/release/bin/holdfast
COPY deploy/image deploy/image
RUN deploy/image/collect /image build/release/bin/holdfastd build/release/bin/holdfast

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Holdfast" \
      org.opencontainers.image.description="Brings a gateway's events into MySQL or MariaDB, exactly once in effect" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="debian:bookworm-slim"
COPY --from=build /image /
USER 64000:64000
WORKDIR /
VOLUME ["/run/holdfast", "/var/lib/holdfast"]
EXPOSE 9464
STOPSIGNAL SIGTERM
# Kubernetes uses its own probes and ignores this one.
HEALTHCHECK --interval=10s --timeout=5s --start-period=180s CMD ["/usr/bin/holdfast", "health"]
ENTRYPOINT ["/usr/bin/holdfastd"]

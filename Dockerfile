# docker build -t folkmoot .
# docker run -d --name folkmoot -p 8080:8080 -v folkmoot:/var/lib/folkmoot folkmoot
# docker exec -it folkmoot folkmoot user add zoe --department sales --role webpubsub.sendToGroup
#
# There is no configuration in the image, so the defaults hold, without the demo's users: mount one at
# /etc/folkmoot/config.yaml, or give settings as variables (FOLKMOOT__SERVER__PUBLIC_URLS=https://chat.example.com).

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends make gcc g++ cmake libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock config.yaml README.md ./
COPY src src
COPY examples examples
COPY benches benches
COPY tests tests
# `dist` optimises across crates: it takes its time once, and is what is shipped.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist && cp target/dist/folkmoot /usr/local/bin/folkmoot

FROM debian:bookworm-slim
# Roots for a PostgreSQL that speaks TLS, and a shell's worth of tools, which the image has anyway.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/folkmoot --shell /usr/sbin/nologin folkmoot \
    && install -d -m 700 -o folkmoot -g folkmoot /var/lib/folkmoot && install -d -m 755 /etc/folkmoot
COPY --from=build /usr/local/bin/folkmoot /usr/local/bin/folkmoot
COPY packaging/healthcheck /usr/local/bin/folkmoot-healthcheck

USER folkmoot
# A relative `config.yaml` is looked for here, where a mounted one can be.
WORKDIR /etc/folkmoot
VOLUME /var/lib/folkmoot
ENV FOLKMOOT__DATA_DIR=/var/lib/folkmoot FOLKMOOT__SERVER__BIND=0.0.0.0
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["folkmoot-healthcheck"]
# SIGTERM, Docker's own, closes the connections in order; give it more than shutdown.timeout (docker stop -t 20).
CMD ["folkmoot", "serve"]

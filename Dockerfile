# Build: docker build --tag fuelgauge .
# Run:   docker run --read-only --cap-drop ALL -v fuelgauge:/var/lib/fuelgauge -v ./config:/etc/fuelgauge:ro -p 9780:9780 fuelgauge

FROM docker.io/library/rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
# The dependencies are a layer of their own: a change of the sources does not build them again.
# Benches are not built, but Cargo wants the files that the manifest names.
RUN mkdir src benches && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
    && for bench in $(sed -n '/^\[\[bench\]\]/,/^$/s/^name *= *"\(.*\)"/\1/p' Cargo.toml); do touch "benches/$bench.rs"; done \
    && cargo build --release --locked && rm -r src
COPY src src
COPY config config
ARG FUELGAUGE_REVISION=unknown
ENV FUELGAUGE_REVISION=${FUELGAUGE_REVISION}
RUN touch src/main.rs src/lib.rs && cargo build --release --locked

FROM docker.io/library/debian:bookworm-slim
# Authorities to verify platforms and relays; zone data is compiled in.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && mkdir --parents /var/lib/fuelgauge && chown 10001:10001 /var/lib/fuelgauge
COPY --from=build /build/target/release/fuelgauge /usr/local/bin/fuelgauge
COPY config/minimal.yml /etc/fuelgauge/fuelgauge.yml
USER 10001:10001
WORKDIR /var/lib/fuelgauge
VOLUME /var/lib/fuelgauge
EXPOSE 9780
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["fuelgauge", "healthcheck"]
ENTRYPOINT ["fuelgauge"]
CMD ["serve", "--config.file=/etc/fuelgauge/fuelgauge.yml", "--web.listen-address=0.0.0.0:9780"]

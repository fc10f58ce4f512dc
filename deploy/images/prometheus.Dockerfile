# Prometheus as Debian maintains it.
FROM debian:bookworm-slim
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends prometheus curl \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 tradepulse \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tradepulse \
 && install -d -o 10001 -g 10001 -m 0700 /prometheus
USER 10001:10001
ENTRYPOINT ["/usr/bin/prometheus"]

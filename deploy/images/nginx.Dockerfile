# nginx as Debian maintains it; the configuration is rendered and mounted (docs/dmz.md).
FROM debian:bookworm-slim
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends nginx-light curl \
 && rm -rf /var/lib/apt/lists/* /etc/nginx/sites-enabled/* \
 && groupadd --gid 10001 tradepulse \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tradepulse
USER 10001:10001
CMD ["nginx", "-g", "daemon off;"]

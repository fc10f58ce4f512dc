# The identity providers of others, played by a real OpenID server. For development alone: it asks nobody for a password.
FROM debian:bookworm-slim
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 tradepulse \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tradepulse
COPY jars /opt/neighbours
COPY issuers.json /opt/neighbours/issuers.json
ENV JSON_CONFIG_PATH=/opt/neighbours/issuers.json SERVER_PORT=8090
USER 10001:10001
ENTRYPOINT ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", "/opt/neighbours/*", "no.nav.security.mock.oauth2.StandaloneMockOAuth2ServerKt"]

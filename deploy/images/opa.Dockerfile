# OPA built from its Go module; one static program.
FROM debian:bookworm-slim
RUN groupadd --gid 10001 tradepulse \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tradepulse
COPY opa /opa
USER 10001:10001
ENTRYPOINT ["/opa"]
CMD ["run"]

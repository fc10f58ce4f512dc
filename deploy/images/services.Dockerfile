# Our Python services. One image for each, with the packages that it imports and no others.
FROM debian:bookworm-slim AS python
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends python3 ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 tradepulse \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tradepulse

FROM python AS libraries
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv
COPY wheels /build/wheels
COPY product.txt kms.txt /build/
# Nothing is fetched here, and what lies in the context has to have the hashes of the lock files all the same.
RUN python3 -m venv /opt/tradepulse/venv \
 && /opt/tradepulse/venv/bin/pip install --no-cache-dir --no-index -f /build/wheels --no-deps --require-hashes \
    --requirement /build/product.txt --requirement /build/kms.txt \
 && /opt/tradepulse/venv/bin/pip uninstall --yes --quiet pip setuptools

FROM python AS services
COPY --from=libraries /opt/tradepulse/venv /opt/tradepulse/venv
ENV PATH=/opt/tradepulse/venv/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/tradepulse/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SSL_CERT_FILE=/run/tradepulse/ca.pem
WORKDIR /opt/tradepulse/app
COPY app/identity identity
# A volume that is empty gets the owner of the directory at which it is first mounted.
RUN install -d -o 10001 -g 10001 -m 0700 /run/tradepulse /var/lib/tradepulse /var/lib/tradepulse/audit /var/lib/tradepulse/state \
 && python -m compileall -q /opt/tradepulse/app
USER 10001:10001

FROM services AS vault-api
COPY app/vault_api vault_api
USER root
RUN python -m compileall -q vault_api
USER 10001:10001
ENTRYPOINT ["python", "-m", "vault_api"]

FROM services AS session-broker
COPY app/session_broker session_broker
USER root
RUN python -m compileall -q session_broker
USER 10001:10001
ENTRYPOINT ["python", "-m", "session_broker"]

FROM services AS paper-broker
COPY app/stack/__init__.py stack/__init__.py
COPY app/stack/paper_broker stack/paper_broker
USER 10001:10001
ENTRYPOINT ["python", "-m", "stack.paper_broker"]

FROM services AS admin-sync
USER root
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends git \
 && rm -rf /var/lib/apt/lists/*
COPY opa /usr/bin/opa
COPY share /opt/tradepulse/share
COPY app/tradepulse_iam-0.1.0.dist-info tradepulse_iam-0.1.0.dist-info
COPY app/admin_sync admin_sync
RUN python -m compileall -q admin_sync \
 && install -d -o 10001 -g 10001 -m 0700 /var/lib/tradepulse/bundles /var/lib/tradepulse/repository
USER 10001:10001
ENTRYPOINT ["python", "-m", "admin_sync"]

FROM admin-sync AS setup
COPY app/vault_api vault_api
COPY app/session_broker session_broker
COPY app/stack stack
USER root
RUN python -m compileall -q vault_api session_broker stack \
 && install -d -o 10001 -g 10001 -m 0700 /secrets /volumes \
 && python -m stack.compose directories
USER 10001:10001
ENTRYPOINT ["python", "-m", "stack.compose"]

# One image for every process of ours: `python -m db setup`, `python -m payment_mock`, `python -m worker`,
# `python -m api`. Built from the hash-pinned lock; nothing that builds, tests or installs is left in it.

FROM docker.io/library/python:3.11.14-slim-bookworm AS build
WORKDIR /build
RUN python -m venv --without-pip /opt/venv
COPY requirements/image.lock .
# The build stage's own pip installs into the environment that goes on. Wheels only: nothing is compiled, so no
# package runs code of its own here. Behind a mirror or a proxy with certificates of its own:
# `docker build --build-arg PIP_INDEX_URL=… --secret id=ca,src=ca-certificates.crt …`; neither stays in the image.
ARG PIP_INDEX_URL
RUN --mount=type=secret,id=ca if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
    && python -m pip --python /opt/venv/bin/python install \
        --no-cache-dir --no-compile --no-deps --only-binary :all: --require-hashes -r image.lock
COPY checkout /app/checkout
COPY runtime /app/runtime
COPY db /app/db
COPY worker /app/worker
COPY api /app/api
COPY payment_mock /app/payment_mock
COPY deploy/healthcheck.py /app/deploy/healthcheck.py
# The root file system is read-only when it runs: compile now, or every start compiles again.
RUN /opt/venv/bin/python -m compileall -q -j 0 /opt/venv/lib /app

FROM docker.io/library/python:3.11.14-slim-bookworm
# The base image's installer has no business in production.
RUN python -m pip uninstall --yes --quiet pip setuptools wheel \
    && groupadd --gid 10001 checkout \
    && useradd --no-log-init --uid 10001 --gid checkout --home-dir /nonexistent --shell /usr/sbin/nologin checkout
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
# The version that workers of this image are of, for Temporal's Worker Versioning. Empty: they are not versioned.
ARG CHECKOUT_BUILD_ID=""
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CHECKOUT_BUILD_ID=${CHECKOUT_BUILD_ID}
USER 10001:10001
EXPOSE 8082 8086
# The gateway's probe, as CMD is the gateway; docker-compose.yml gives each process its own.
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=6 \
    CMD ["python", "/app/deploy/healthcheck.py", "http://127.0.0.1:8082/readyz"]
CMD ["python", "-m", "api"]

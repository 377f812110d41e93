# The daemon in a container. Build: docker build --tag pattern-aggregates .
# With podman: podman build --format docker, or the health check is left out.

FROM python:3.13-slim-bookworm AS builder

ARG EXTRAS=calendar,influxdb,mqtt,mysql,postgresql
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1

WORKDIR /source
COPY constraints.txt ./
RUN python3 -m venv /tools \
    && /tools/bin/pip install --constraint constraints.txt build hatchling

COPY pyproject.toml README.md LICENSE ./
COPY jobs jobs
COPY storage storage
RUN /tools/bin/python -m build --wheel --no-isolation --outdir /wheels

# Compiled here, since nothing can be written where it runs. NumPy's own tests are a tenth of the image.
RUN python3 -m venv --without-pip /opt/pattern-aggregates \
    && wheel="$(echo /wheels/*.whl)" \
    && /tools/bin/pip --python /opt/pattern-aggregates/bin/python install \
        --only-binary :all: --compile --constraint constraints.txt "pattern-aggregates[${EXTRAS}] @ file://${wheel}" \
    && find /opt/pattern-aggregates -type d -name tests -path '*/numpy/*' -prune -exec rm -r {} +


FROM python:3.13-slim-bookworm

LABEL org.opencontainers.image.title="pattern-aggregates" \
      org.opencontainers.image.description="Turns a smart home's raw events into small daily aggregates, every night."

# The number is fixed, so that a volume's files belong to the same user after an upgrade.
RUN groupadd --gid 10001 pattern \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin pattern \
    && install --directory --owner 10001 --group 10001 --mode 0700 /data

COPY --from=builder /opt/pattern-aggregates /opt/pattern-aggregates
COPY config/container.toml /config/container.toml

ENV PATH=/opt/pattern-aggregates/bin:$PATH \
    PATTERN_AGGREGATES_CONFIG=/config/container.toml \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

USER 10001:10001
WORKDIR /data
VOLUME /data
STOPSIGNAL SIGTERM

# Each check is a short process of its own, and what it looks at changes once a night.
HEALTHCHECK --interval=10m --timeout=30s --start-period=10m --retries=2 CMD ["pattern-aggregates", "health"]

ENTRYPOINT ["pattern-aggregates"]
CMD ["serve"]

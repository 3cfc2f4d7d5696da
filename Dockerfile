# featurelens as a service: without torch, without root. `docker build -t featurelens .` (more: `--build-arg EXTRAS=scale,otel`), then deploy/compose.yaml.
FROM python:3.13-slim AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
ARG EXTRAS=""
RUN python -m venv /opt/featurelens \
 && /opt/featurelens/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt ".${EXTRAS:+[$EXTRAS]}"

FROM python:3.13-slim
RUN groupadd --gid 10001 featurelens \
 && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin featurelens \
 && mkdir /images /gallery \
 && chown 10001:10001 /gallery
COPY --from=build /opt/featurelens /opt/featurelens
ENV PATH=/opt/featurelens/bin:$PATH \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /gallery
EXPOSE 8765
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8765/health', timeout=2)"]
ENTRYPOINT ["featurelens"]
CMD ["serve", "/gallery", "--no-update", "--host", "0.0.0.0", "--token-file", "/run/secrets/featurelens_tokens", "--log", "json"]

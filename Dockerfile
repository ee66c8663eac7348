# The image of all parts: worker, beat, Flower and commands (docs/containers.md).
#
#     docker build --tag siteferry .
#     docker build --tag siteferry --build-arg EXTRAS=flower,vault .
#
# PYTHON_IMAGE: Debian's, or one like it, with python3 (3.11 or later), its venv, and useradd.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# Of pyproject.toml: stores of credentials (vault, aws, gcp, azure), flower, demo.
ARG EXTRAS=flower,demo
# What is published has no pip: it stays in this stage, and that of the base image goes below.
RUN python3 -m venv /build/tools && python3 -m venv --without-pip /opt/siteferry
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build/source
# First with empty packages: what siteferry needs is installed anew only when pyproject.toml changes.
COPY pyproject.toml ./
RUN touch README.md LICENSE \
    && for package in siteferry scheduler worker; do mkdir $package && touch $package/__init__.py; done \
    && /build/tools/bin/pip --python /opt/siteferry/bin/python install ".${EXTRAS:+[$EXTRAS]}"
COPY README.md LICENSE ./
COPY siteferry siteferry
COPY scheduler scheduler
COPY worker worker
RUN /build/tools/bin/pip --python /opt/siteferry/bin/python install --no-deps --force-reinstall .

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="siteferry" \
      org.opencontainers.image.licenses="MIT"
# Volumes that are mounted here while they are empty get owner and mode of these folders.
RUN groupadd --gid 10001 siteferry \
    && useradd --uid 10001 --gid siteferry --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin siteferry \
    && install --directory --owner=siteferry --group=siteferry --mode=0700 \
        /var/lib/siteferry /run/siteferry /srv/siteferry/credentials \
    && install --directory --owner=siteferry --group=siteferry --mode=0755 \
        /srv/siteferry/workspaces /srv/siteferry/ftp
# The official image has pip and its kin, and none of the standard library compiled, which a read-only
# root would have compiled at each start; Debian's has the reverse.
RUN library=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') \
    && site=$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
    && rm -rf "$library/ensurepip" /usr/share/python-wheels /usr/local/bin/pip* /usr/local/bin/wheel \
        "$site"/pip "$site"/pip-* "$site"/wheel "$site"/wheel-* "$site"/setuptools \
        "$site"/setuptools-* "$site"/pkg_resources "$site"/_distutils_hack \
        "$site"/distutils-precedence.pth \
    && python3 -m compileall -q -x \
        '/(site-packages|dist-packages|tests?|idlelib|tkinter|lib2to3|turtledemo|pydoc_data)/' \
        "$library"
COPY --from=build /opt/siteferry /opt/siteferry
# The root is meant to be read-only: state and health are volumes or tmpfs, and so is /tmp.
ENV PATH=/opt/siteferry/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    XDG_STATE_HOME=/var/lib \
    SITEFERRY_HEALTH_DIR=/run/siteferry
# Configuration is config/ in here; other paths in it start from here as well.
WORKDIR /srv/siteferry
USER 10001:10001
# Alive, not ready: who starts unhealthy containers anew must not do so while Redis is away.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=2 \
    CMD ["siteferry-probe", "alive"]
ENTRYPOINT ["siteferry"]
CMD ["worker"]

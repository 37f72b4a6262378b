# Three images on one pinned list (requirements.txt holds the versions, docker/*.txt the names):
#   base -> sllama-data (no torch) -> torch -> sllama-eval -> sllama-train
# Built by `make images`; docs/containers.md has the arguments. No `# syntax=` line: it would ask a
# registry for a frontend, and the one inside the engine does.
ARG BASE_IMAGE=python:3.11-slim-bookworm
# A folder of wheels as an image, for machines whose builds reach no package index.
ARG WHEELS_IMAGE=scratch

FROM ${WHEELS_IMAGE} AS wheels
WORKDIR /wheels

FROM scratch AS code
COPY corpus/README.md /corpus/
COPY docker/entrypoint.py docker/runs.py /docker/
COPY pipeline /pipeline
COPY recipes /recipes
COPY stages /stages
COPY params.yaml dvc.yaml dvc.lock .dvcignore /
COPY docker/dvc.config /.dvc/config

FROM ${BASE_IMAGE} AS base
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# Debian keeps one version of a package, so a pinned one is gone after the next security fix.
# hadolint ignore=DL3008
RUN command -v tini >/dev/null || { apt-get update && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*; }
RUN python3 -m venv /opt/venv && mkdir --mode=1777 /workspace
# A user of any number may run this (--user), one without a home or a name too.
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp USER=sllama PYTHONUNBUFFERED=1 MPLCONFIGDIR=/tmp/matplotlib
COPY docker/install.sh /usr/local/bin/install-packages
WORKDIR /workspace

FROM base AS data-packages
RUN --mount=type=bind,from=wheels,target=/wheels --mount=type=secret,id=ca \
    --mount=type=bind,source=requirements.txt,target=/lists/requirements.txt \
    --mount=type=bind,source=docker/data.txt,target=/lists/data.txt \
    --mount=type=cache,target=/var/cache/pip \
    install-packages data

FROM data-packages AS torch-packages
ARG TORCH_VARIANT=cuda
# The secret torch_index: address of an index that holds CPU builds of torch; for TORCH_VARIANT=cpu
# without wheels.
RUN --mount=type=bind,from=wheels,target=/wheels --mount=type=secret,id=ca \
    --mount=type=secret,id=torch_index \
    --mount=type=bind,source=requirements.txt,target=/lists/requirements.txt \
    --mount=type=bind,source=docker/torch.txt,target=/lists/torch.txt \
    --mount=type=cache,target=/var/cache/pip \
    TORCH_VARIANT=${TORCH_VARIANT} install-packages torch
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

FROM torch-packages AS eval-packages
RUN --mount=type=bind,from=wheels,target=/wheels --mount=type=secret,id=ca \
    --mount=type=bind,source=requirements.txt,target=/lists/requirements.txt \
    --mount=type=bind,source=docker/eval.txt,target=/lists/eval.txt \
    --mount=type=cache,target=/var/cache/pip \
    install-packages eval

FROM eval-packages AS train-packages
# torch.compile calls a compiler: C++ on the CPU, C on a GPU. git: what DVC and provenance ask.
# hadolint ignore=DL3008
RUN { command -v git && command -v g++; } >/dev/null || { apt-get update \
    && apt-get install --yes --no-install-recommends g++ git && rm -rf /var/lib/apt/lists/*; }
RUN git config --system --add safe.directory '*'
RUN --mount=type=bind,from=wheels,target=/wheels --mount=type=secret,id=ca \
    --mount=type=bind,source=requirements.txt,target=/lists/requirements.txt \
    --mount=type=bind,source=docker/train.txt,target=/lists/train.txt \
    --mount=type=cache,target=/var/cache/pip \
    install-packages train

# The code comes last, so that a change of it leaves the layers of gigabytes as they are.
FROM data-packages AS sllama-data
COPY --from=code / /opt/sllama/
USER 1000:1000
ENTRYPOINT ["tini", "--", "python", "/opt/sllama/docker/entrypoint.py", "data"]
ARG COMMIT=unknown
ENV SLLAMA_IMAGE_COMMIT=${COMMIT}
LABEL org.opencontainers.image.title="sllama-data" \
      org.opencontainers.image.description="SLlama: corpus, tokenizer, tokens, report; no torch" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${COMMIT}"

FROM eval-packages AS sllama-eval
COPY --from=code / /opt/sllama/
USER 1000:1000
ENTRYPOINT ["tini", "--", "python", "/opt/sllama/docker/entrypoint.py", "eval"]
ARG COMMIT=unknown
ARG TORCH_VARIANT=cuda
ENV SLLAMA_IMAGE_COMMIT=${COMMIT}
LABEL sllama.torch="${TORCH_VARIANT}" \
      org.opencontainers.image.title="sllama-eval" \
      org.opencontainers.image.description="SLlama: scores any causal model on the BabyLM tasks" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${COMMIT}"

FROM train-packages AS sllama-train
# Elsewhere than in /var/tmp, for a read-only root.
ENV DVC_SITE_CACHE_DIR=/tmp/dvc
COPY --from=code / /opt/sllama/
USER 1000:1000
ENTRYPOINT ["tini", "--", "python", "/opt/sllama/docker/entrypoint.py", "train"]
ARG COMMIT=unknown
ARG TORCH_VARIANT=cuda
ENV SLLAMA_IMAGE_COMMIT=${COMMIT}
LABEL sllama.torch="${TORCH_VARIANT}" \
      org.opencontainers.image.title="sllama-train" \
      org.opencontainers.image.description="SLlama: trains it; the whole chain under DVC" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${COMMIT}"

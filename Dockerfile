# The worker as a container image, of two kinds: no shell of its own, no package manager of ours, no root.
# `make image` builds the first and runs it once, `make image KIND=plugins` the other.
#
#   static   in an empty image (the default)
#   plugins  on glibc, with the jobs of plugins/, each as a .so file in /plugins

# One release of Debian on both sides: what links to a glibc runs on no older one.
ARG GO_IMAGE=golang:1.26-trixie
ARG BASE_IMAGE=debian:trixie-slim

FROM ${GO_IMAGE} AS source
WORKDIR /src
# Dependencies are a layer of their own: they change less often than the code.
COPY go.mod go.sum ./
RUN go mod download
COPY . .

# Where .git and git are there, the go command stamps the commit into the binary: worker version tells it.
FROM source AS build-static
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=auto -ldflags="-s -w" -o /dist/worker ./cmd/worker

# The worker builds its plugins, so that toolchain, flags and versions are the same.
FROM source AS build-plugins
RUN CGO_ENABLED=1 go build -trimpath -buildvcs=auto -ldflags="-s -w" -o /dist/worker ./cmd/worker
RUN mkdir -p plugins /dist/plugins && for job in plugins/*/; do \
	[ ! -d "$job" ] || /dist/worker jobs build "$job" -o "/dist/plugins/$(basename "$job").so" || exit 1; done

FROM ${BASE_IMAGE} AS plugins
COPY --from=build-plugins /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build-plugins /dist/worker /worker
# Root's, and nobody else can write them: config.toml names them with paths = ["/plugins/*.so"].
COPY --from=build-plugins /dist/plugins /plugins
USER 65532:65532
WORKDIR /etc/stationmaster
ENTRYPOINT ["/worker"]
CMD ["run"]

FROM scratch AS static
COPY --from=build-static /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build-static /dist/worker /worker
# What distroless calls nonroot; as a number, so that Kubernetes can check runAsNonRoot.
USER 65532:65532
# The worker reads the config.toml of the folder it starts in: mount yours here.
WORKDIR /etc/stationmaster
ENTRYPOINT ["/worker"]
CMD ["run"]

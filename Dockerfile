# A static worker in an empty image: no shell, no package manager, no root. `make image` builds it and
# runs it once.

ARG GO_IMAGE=golang:1.26

FROM ${GO_IMAGE} AS build
WORKDIR /src
# Dependencies are a layer of their own: they change less often than the code.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# Where .git and git are there, the go command stamps the commit into the binary: worker version tells it.
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=auto -ldflags="-s -w" -o /dist/worker ./cmd/worker

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /dist/worker /worker
# What distroless calls nonroot; as a number, so that Kubernetes can check runAsNonRoot.
USER 65532:65532
# The worker reads the config.toml of the folder it starts in: mount yours here.
WORKDIR /etc/stationmaster
ENTRYPOINT ["/worker"]
CMD ["run"]

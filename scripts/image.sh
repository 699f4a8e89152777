#!/usr/bin/env bash
# Builds the container image and runs it once, with docker where its daemon answers, else with buildah,
# which needs neither a daemon nor root's rights over the machine.
#
#   IMAGE=name:tag        what to call it (stationmaster/worker:dev)
#   GO_IMAGE=image        what to build with (golang:1.26); "local" makes one of this machine's Go and
#                         busybox, for a machine that reaches no registry
set -euo pipefail
cd "$(dirname "$0")/.."

image=${IMAGE:-stationmaster/worker:dev}
go_image=${GO_IMAGE:-golang:1.26}

with_docker() {
	docker build --build-arg "GO_IMAGE=$go_image" -t "$image" .
	docker run --rm "$image" version
}

# toolchain makes an image of what the build stage uses: Go, a shell, certificates.
toolchain() {
	local container busybox name
	name=stationmaster-toolchain:$(go env GOVERSION)
	if buildah inspect --type image "$name" >/dev/null 2>&1; then
		echo "$name"
		return
	fi
	busybox=$(command -v busybox) || {
		echo "image: GO_IMAGE=local needs a static busybox (apt-get install busybox-static)" >&2
		return 1
	}
	container=$(buildah from scratch)
	buildah copy -q "$container" "$(go env GOROOT)" /usr/local/go >/dev/null
	buildah copy -q "$container" "$busybox" /bin/busybox >/dev/null
	buildah copy -q "$container" "$busybox" /bin/sh >/dev/null
	buildah copy -q "$container" /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt >/dev/null
	buildah run "$container" -- /bin/busybox mkdir -m 1777 /tmp
	buildah config --env PATH=/usr/local/go/bin:/bin --env GOTOOLCHAIN=local "$container"
	buildah commit -q --rm "$container" "$name"
}

with_buildah() {
	local container
	# Neither needs a kernel feature that an unprivileged container lacks.
	export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=${STORAGE_DRIVER:-vfs}
	if [ "$go_image" = local ]; then
		go_image=$(toolchain)
	fi
	# The module cache of this machine spares the download; the build stage writes nothing to the image.
	buildah bud --build-arg "GO_IMAGE=$go_image" --volume "$(go env GOMODCACHE):/root/go/pkg/mod" -t "$image" .
	container=$(buildah from "$image")
	buildah run --user 65532:65532 "$container" -- /worker version
	buildah inspect --type image --format 'user {{.OCIv1.Config.User}}, entrypoint {{.OCIv1.Config.Entrypoint}} {{.OCIv1.Config.Cmd}}' "$image"
	buildah rm "$container" >/dev/null
}

if docker info >/dev/null 2>&1; then
	with_docker
elif command -v buildah >/dev/null; then
	with_buildah
else
	echo "image: needs docker with its daemon, or buildah (apt-get install buildah)" >&2
	exit 1
fi

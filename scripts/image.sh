#!/usr/bin/env bash
# Builds the container image and runs it once, with docker where its daemon answers, else with buildah,
# which needs neither a daemon nor root's rights over the machine.
#
#   KIND=static|plugins   which of the two images of the Dockerfile (static)
#   DOCKERFILE=file       whose images (Dockerfile); examples/ownworker has one too
#   IMAGE=name:tag        what to call it (stationmaster/worker:dev, or :dev-plugins)
#   GO_IMAGE=image        what to build with (the Dockerfile says); "local" makes one of this machine's Go
#                         and busybox, for a machine that reaches no registry, and for plugins also of its
#                         Debian's C compiler, with its glibc as the base of the image
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${KIND:-static}
dockerfile=${DOCKERFILE:-Dockerfile}
case $kind in
static) image=${IMAGE:-stationmaster/worker:dev} ;;
plugins) image=${IMAGE:-stationmaster/worker:dev-plugins} ;;
*)
	echo "image: KIND=$kind: must be static or plugins" >&2
	exit 2
	;;
esac
build=(--target "$kind" -f "$dockerfile" -t "$image")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# first runs the image once: a worker without a configuration of its own is told of /plugins.
first() {
	"$@" version
	if [ "$kind" = plugins ]; then
		"$@" jobs list
	fi
}

with_docker() {
	local run=(docker run --rm)
	if [ "${GO_IMAGE:-}" = local ]; then
		echo "image: GO_IMAGE=local is for buildah" >&2
		exit 2
	fi
	docker build ${GO_IMAGE:+--build-arg "GO_IMAGE=$GO_IMAGE"} "${build[@]}" .
	configure
	first "${run[@]}" ${mount:+-v "$mount"} "$image"
}

# configure makes the configuration that names /plugins, where the image has none.
configure() {
	mount=
	if [ "$kind" = plugins ] && [ "$dockerfile" = Dockerfile ]; then
		chmod 755 "$scratch"
		echo 'plugins.paths = ["/plugins/*.so"]' >"$scratch/config.toml"
		chmod 644 "$scratch/config.toml"
		mount=$scratch/config.toml:/etc/stationmaster/config.toml:ro
	fi
}

# debian makes a folder of what some packages of this machine, and those that they need, have installed.
debian() {
	local to=$1 packages
	shift
	packages=$(apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts \
		--no-breaks --no-replaces --no-enhances "$@" | grep '^[a-z]' | sort -u)
	mkdir -p "$to"/usr/{bin,lib,lib64}
	ln -s usr/bin usr/lib usr/lib64 "$to"
	# shellcheck disable=SC2086 # one word each
	dpkg -L $packages | sed -E 's#^/(bin|lib|lib64)/#/usr/\1/#' | sort -u | while read -r file; do
		if [ ! -d "$file" ] || [ -L "$file" ]; then echo "${file#/}"; fi
	done | tar -C / -c --ignore-failed-read -T - 2>/dev/null | tar -C "$to" -x
}

# toolchain makes an image of what the build stage uses: Go, a shell, certificates, a C compiler for cgo.
toolchain() {
	local container busybox name
	name=stationmaster-toolchain:$(go env GOVERSION)-$kind
	if buildah inspect --type image "$name" >/dev/null 2>&1; then
		echo "$name"
		return
	fi
	busybox=$(command -v busybox) || {
		echo "image: GO_IMAGE=local needs a static busybox (apt-get install busybox-static)" >&2
		return 1
	}
	container=$(buildah from scratch)
	if [ "$kind" = plugins ]; then
		debian "$scratch/toolchain" gcc libc6-dev
		buildah copy -q "$container" "$scratch/toolchain" / >/dev/null
	fi
	buildah copy -q "$container" "$(go env GOROOT)" /usr/local/go >/dev/null
	for applet in busybox sh mkdir basename; do
		buildah copy -q "$container" "$busybox" "/usr/bin/$applet" >/dev/null
	done
	buildah copy -q "$container" /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt >/dev/null
	buildah run "$container" -- /usr/bin/busybox sh -c '[ -e /bin ] || /usr/bin/busybox ln -s usr/bin /bin; /usr/bin/mkdir -m 1777 /tmp'
	buildah config --env PATH=/usr/local/go/bin:/usr/bin --env GOTOOLCHAIN=local "$container"
	buildah commit -q --rm "$container" "$name"
}

# glibc makes the image that a worker with plugins needs below it.
glibc() {
	local container name
	name=stationmaster-glibc:$(go env GOVERSION)
	if ! buildah inspect --type image "$name" >/dev/null 2>&1; then
		debian "$scratch/glibc" libc6
		mkdir -m 1777 "$scratch/glibc/tmp"
		container=$(buildah from scratch)
		buildah copy -q "$container" "$scratch/glibc" / >/dev/null
		buildah commit -q --rm "$container" "$name" >/dev/null
	fi
	echo "$name"
}

with_buildah() {
	local container
	# Neither needs a kernel feature that an unprivileged container lacks.
	export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=${STORAGE_DRIVER:-vfs}
	# The module cache of this machine spares the download; the build stage writes nothing to the image.
	build+=(--volume "$(go env GOMODCACHE):/root/go/pkg/mod")
	if [ "${GO_IMAGE:-}" = local ]; then
		build+=(--build-arg "GO_IMAGE=$(toolchain)")
		build+=(--volume "$(go env GOCACHE):/root/.cache/go-build") # the very same toolchain has filled it
		if [ "$kind" = plugins ]; then
			build+=(--build-arg "BASE_IMAGE=$(glibc)")
		fi
	elif [ -n "${GO_IMAGE:-}" ]; then
		build+=(--build-arg "GO_IMAGE=$GO_IMAGE")
	fi
	buildah bud "${build[@]}" .
	container=$(buildah from "$image")
	configure
	first buildah run --user 65532:65532 ${mount:+-v "$mount"} "$container" -- /worker
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

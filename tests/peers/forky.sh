#!/usr/bin/env bash
# A folder with a newer Debian in it, for the peers that Debian 12 does not have: Meetecho's WHIP client and server, Janus.
#
#     tests/peers/forky.sh make FOLDER      as root; about 1.7 GB and five minutes
#     tests/peers/forky.sh remove FOLDER
#
# Nothing of it is started, and nothing outside the folder changes but the package debootstrap. Testing moves on: its
# versions are not pinned, and what could not be built is no fault of ours.
set -euo pipefail

packages=(janus simple-whip-client simple-whip-server nodejs iproute2
	gstreamer1.0-tools gstreamer1.0-nice gstreamer1.0-plugins-{base,good,bad,ugly})

make_folder() {
	command -v debootstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends debootstrap >/dev/null; }
	local scripts=/usr/share/debootstrap/scripts mirror
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/\?$' | head -1) # this machine's own
	[ -e "$scripts/forky" ] || ln -s sid "$scripts/forky" # Debian 12's debootstrap has not heard of it
	debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg forky "$1" "$mirror"
	printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d" # start no services
	chmod +x "$1/usr/sbin/policy-rc.d"
	echo 'Acquire::Check-Valid-Until "false";' >"$1/etc/apt/apt.conf.d/99valid"
	cp /etc/resolv.conf "$1/etc/"
	mount -t proc proc "$1/proc"
	mount --bind /dev "$1/dev"
	chroot "$1" apt-get update -qq
	DEBIAN_FRONTEND=noninteractive chroot "$1" apt-get install -y -qq --no-install-recommends "${packages[@]}"
	mkdir -p "$1/opt/peers"
	npm install --prefix "$1/opt/peers" --ignore-scripts --no-audit --no-fund --loglevel error janus-whep-server@1.1.0
	npm_config_nodedir=/usr npm rebuild --prefix "$1/opt/peers" --loglevel error unix-dgram # compiled on the spot
}

remove_folder() {
	umount "$1/dev" "$1/proc"
	rm -rf --one-file-system "$1"
}

case "${1:-}:${2:-}" in
make:/*) make_folder "$2" ;;
remove:/*) remove_folder "$2" ;;
*) echo "usage: $0 make|remove /ABSOLUTE/FOLDER" >&2; exit 2 ;;
esac

#!/usr/bin/env bash
# Makes two base images from the distribution's own packages, for a machine without an image registry:
#   base_images.sh FOLDER   ->   FOLDER/python.tar and FOLDER/postgres.tar, for `docker import`
# The package mirror is the one that this machine's apt uses. Needs root, debootstrap and two minutes.
set -euo pipefail
folder=$(realpath -m "${1:?usage: base_images.sh FOLDER}")
here=$(dirname "$(realpath "$0")")
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -E '/debian/?$' | head -n 1)
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")

make_root() { # make_root NAME PACKAGES: a small root file system without documentation
    local root=$folder/$1-root
    debootstrap --variant=minbase --include="$2" "$suite" "$root" "$mirror" >"$folder/$1.log" 2>&1 || {
        tail -n 20 "$folder/$1.log" >&2
        exit 1
    }
    rm -rf "$root"/usr/share/{doc,man,locale,info}/* "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/archives/*.deb
    echo "$root"
}

mkdir -p "$folder"
if [ ! -e "$folder/python.tar" ]; then
    root=$(make_root python python3,python3-venv,python3-pip,ca-certificates)
    rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
    ln -sf /usr/bin/python3 "$root/usr/local/bin/python"
    tar -C "$root" -c . >"$folder/python.tar.part"
    mv "$folder/python.tar.part" "$folder/python.tar"
    rm -rf "$root"
fi
if [ ! -e "$folder/postgres.tar" ]; then
    root=$(make_root postgres postgresql,ca-certificates)
    install -m 0755 "$here/postgres_entrypoint.sh" "$root/usr/local/bin/docker-entrypoint.sh"
    chroot "$root" sh -c 'ln -sf /usr/lib/postgresql/*/bin/* /usr/local/bin/ && rm -rf /var/lib/postgresql/* /etc/postgresql/*'
    chroot "$root" install -d -m 0700 -o postgres -g postgres /var/lib/postgresql/data
    chroot "$root" install -d -m 0777 -o postgres -g postgres /run/postgresql
    tar -C "$root" -c . >"$folder/postgres.tar.part"
    mv "$folder/postgres.tar.part" "$folder/postgres.tar"
    rm -rf "$root"
fi
ls -l "$folder"/*.tar

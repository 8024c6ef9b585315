#!/bin/sh
# Last step of both ways to make the base image: the task's user, its directory, and nothing that could raise privileges.
# $1 is the root of the image.
set -eu
root=${1%/}

echo 'sandbox:x:65532:65532::/workspace:/bin/bash' >> "$root/etc/passwd"
echo 'sandbox:x:65532:' >> "$root/etc/group"
echo 'sandbox:!:1::::::' >> "$root/etc/shadow"

# Where the guest is mounted: without it the engine makes the directory anew for every container.
mkdir -p "$root/workspace" "$root/.belljar"
chown 65532:65532 "$root/workspace"
[ -e "$root/usr/bin/python" ] || ln -s python3 "$root/usr/bin/python"

find "$root/" -xdev -type f -perm /6000 -exec chmod u-s,g-s {} +

# Emptied, not removed: the directories belong to packages.
for place in usr/share/doc usr/share/man usr/share/info usr/share/locale var/cache/apt var/lib/apt/lists var/log; do
  [ ! -d "$root/$place" ] || find "$root/$place" -xdev -mindepth 1 ! -type d -delete
done
rm -f "$root/etc/machine-id" "$root/var/lib/dbus/machine-id" "$root/etc/passwd-" "$root/etc/group-" "$root/etc/shadow-"

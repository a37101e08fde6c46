# Makes a distribution in WSL ready for ./bootstrap.sh up, for scripts/bootstrap-wsl2.ps1, which sends this file to
# `sh -s -- SOURCE WINDOWS_USER NOW` as root. What it changes it says; a second time it changes nothing.
#   SOURCE: this tool's folder, as Windows names it; NOW: Windows' clock, seconds since 1970.
# shellcheck shell=sh
set -eu
# Windows' disks let everybody write everything; the copy is its owner's.
umask 022

windows_user=$2 now=$3
changed() { printf 'changed: %s\n' "$*"; }
die() { printf 'prepare: %s\n' "$*" && exit 1; }

# ---- the clock: it stands still while Windows sleeps, and then no certificate is valid
skew=$((now - $(date +%s)))
if [ "${skew#-}" -gt 30 ]; then
  date -s "@$now" >/dev/null || die "the clock is ${skew#-} s off and cannot be set - in Windows: wsl --shutdown, then again"
  changed "the clock, which was ${skew#-} s off"
fi

# The value of KEY in [SECTION] of /etc/wsl.conf, as WSL reads it: the first one counts, letter case does not, and a comment
# may follow anything. Nothing where it is not set.
setting() {
  [ -r /etc/wsl.conf ] || return 0
  awk -v section="[$1]" -v key="$2" '
    { gsub(/\r/, ""); line = $0; sub(/^[ \t]+/, "", line) }
    line ~ /^\[/ { sub(/[ \t]*(#.*)?$/, "", line); here = (tolower(line) == section); next }
    here && line ~ /^[^#]*=/ {
      name = value = line
      sub(/[ \t]*=.*/, "", name); sub(/^[^=]*=[ \t]*/, "", value); sub(/[ \t]*(#.*)?$/, "", value)
      gsub(/"/, "", value)
      if (tolower(name) == key) { print value; exit }
    }' /etc/wsl.conf
}

# ---- /etc/wsl.conf: a key is added where nobody has set it; what somebody set stays
add() { # SECTION KEY VALUE
  touch /etc/wsl.conf
  awk -v section="[$1]" -v entry="$2=$3" '
    { print; line = tolower($0); gsub(/\r/, "", line); sub(/^[ \t]+/, "", line); sub(/[ \t]*(#.*)?$/, "", line) }
    line == section && !done { print entry; done = 1 }
    END { if (!done) printf "%s%s\n%s\n", (NR ? "\n" : ""), section, entry }
  ' /etc/wsl.conf >/etc/wsl.conf.provision
  mv -f /etc/wsl.conf.provision /etc/wsl.conf
  changed "/etc/wsl.conf: $2=$3 under [$1]"
}
[ -n "$(setting boot systemd)" ] || add boot systemd true

# ---- a user: whoever is there already, else one of the name that Windows knows
free=/etc/sudoers.d/provision-user
user=$(setting user default)
if [ -n "$user" ]; then
  id -- "$user" >/dev/null 2>&1 || die "/etc/wsl.conf names $user as its user, and there is none - mend default= under [user]"
else
  user=$(awk -F: '$3 >= 1000 && $3 < 60000 { print $1; exit }' /etc/passwd)
  if [ -z "$user" ]; then
    user=$(printf '%s' "$windows_user" | tr '[:upper:]' '[:lower:]' | tr -cd 'a-z0-9_-' | sed 's/^[^a-z]*//' | cut -c 1-31)
    if [ -z "$user" ] || getent passwd "$user" >/dev/null || getent group "$user" >/dev/null; then user=provision; fi
    command -v sudo >/dev/null || {
      DEBIAN_FRONTEND=noninteractive apt-get -qq update </dev/null
      DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends sudo </dev/null >/dev/null
    }
    # Whoever sits at Windows is root here anyway (wsl -u root): a password would protect nothing. Written before the
    # user is made: who is interrupted between the two is found below.
    printf '%s ALL=(ALL:ALL) NOPASSWD: ALL\n' "$user" >"$free"
    chmod 440 "$free"
    useradd --create-home --shell /bin/bash -- "$user"
    changed "the user $user, with sudo without a password ($free)"
  fi
  if grep -qs "^$user " "$free"; then add user default "$user"; fi
fi

# ---- what bootstrap.sh needs and only root can bring; where that fails, it says so itself
if ! python3 -c 'import shutil, ssl, zipfile' 2>/dev/null || [ ! -e /etc/ssl/certs/ca-certificates.crt ]; then
  if DEBIAN_FRONTEND=noninteractive apt-get -qq update </dev/null &&
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3 ca-certificates </dev/null >/dev/null; then
    changed "python3 and ca-certificates, from apt"
  else
    printf 'python3 and ca-certificates could not be installed; what apt said is above\n'
  fi
fi

# ---- this tool, on the distribution's own disk: over /mnt/c everything is many times slower
source=$(wslpath -u "$1" </dev/null 2>/dev/null) || source=$1
[ -f "$source/bootstrap.sh" ] || die "there is no $source/bootstrap.sh - run the script from an unpacked copy of this tool"
home=$(getent passwd "$user" | cut -d : -f 6)
target=$home/provision new=$home/.provision.new old=$home/.provision.old
mark=$target/.from-windows
settle() { # what was made inside the copy before goes on in the one that takes its place
  for kept in .venv .cache; do
    [ ! -e "$old/$kept" ] || [ -e "$target/$kept" ] || mv -- "$old/$kept" "$target/"
  done
  rm -rf -- "$new" "$old"
}
# An interruption may have come between the two.
[ ! -e "$old" ] || [ -e "$target" ] || mv -- "$old" "$target"
settle
# Where it comes from, and its files with their sizes and times: an older version unpacked over it is another one too.
origin="$source $(cd "$source" && find . \( -name .git -o -name .venv -o -name .cache -o -name __pycache__ \) -prune -o \
  -type f -printf '%p %s %T@\n' | LC_ALL=C sort | sha256sum | cut -c 1-64)"
if [ -e "$target" ] && [ ! -e "$mark" ]; then
  [ -f "$target/bootstrap.sh" ] || die "$target is there, and is not this tool - move it away, then again"
  printf 'kept: %s, a checkout of your own\n' "$target"
elif [ ! -e "$mark" ] || [ "$(cat "$mark")" != "$origin" ]; then
  mkdir -- "$new"
  {
    tar -C "$source" --exclude=.git --exclude=.venv --exclude=.cache --exclude=__pycache__ -cf - . ||
      : >"$new/.broken"
  } | tar -C "$new" -xf - --no-same-owner --no-same-permissions
  [ ! -e "$new/.broken" ] || die "$source could not be read whole; what tar said is above"
  # A checkout made in Windows may have its line ends, and bash takes no such script.
  if grep -q "$(printf '\r')" "$new/bootstrap.sh"; then
    grep -rlI "$(printf '\r')" "$new" | while IFS= read -r file; do sed -i 's/\r$//' "$file"; done
  fi
  chmod +x "$new/bootstrap.sh"
  printf '%s\n' "$origin" >"$new/.from-windows"
  chown -R -- "$user:" "$new"
  [ ! -e "$target" ] || mv -- "$target" "$old"
  mv -- "$new" "$target"
  settle
  changed "$target, a copy of $source"
fi
printf 'user=%s\n' "$user"
exit 0

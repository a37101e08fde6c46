# What a distribution in WSL is, as NAME=VALUE lines, for scripts/bootstrap-wsl2.ps1, which sends this file to
# `sh -s -- WINDOWS_FOLDER` as root. It changes nothing.
# shellcheck shell=sh
set -eu

say() { printf '%s=%s\n' "$1" "$2"; }

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

say there True
# shellcheck disable=SC1091
(. /etc/os-release && say family "${ID:-} ${ID_LIKE:-}" && say name "${PRETTY_NAME:-$ID}" && say release "${VERSION_ID:-}")

if [ -d /run/systemd/system ]; then
  say systemd running
else
  case $(setting boot systemd | tr '[:upper:]' '[:lower:]') in
    true | 1) say systemd configured ;;
    false | 0) say systemd off ;;
    *) say systemd absent ;;
  esac
fi

# Who is asked to run things: wsl.conf's word first, else the first person in the list of users.
user=$(setting user default)
[ -n "$user" ] || user=$(awk -F: '$3 >= 1000 && $3 < 60000 { print $1; exit }' /etc/passwd)
if [ -n "$user" ] && id -- "$user" >/dev/null 2>&1; then
  say user "$user"
  say home "$(getent passwd "$user" | cut -d : -f 6)"
  if [ "$user" = root ] || runuser -u "$user" -- sudo -n true </dev/null >/dev/null 2>&1; then
    say sudo free
  elif id -nG -- "$user" | tr ' ' '\n' | grep -qxE 'sudo|wheel|admin'; then
    say sudo password
  else
    say sudo none
  fi
fi

# What people have at work here, by name: whatever is theirs or has a terminal, but for what a session brings by itself.
own='systemd|[(]sd-pam[)]|dbus-daemon|dbus-broker.*|pipewire.*|wireplumber|agetty|login|init|SessionLeader|Relay.*'
busy=$(for folder in /proc/[0-9]*; do
  # Processes come and go while this looks.
  status=$(cat "$folder/status" 2>/dev/null) || continue
  stat=$(cat "$folder/stat" 2>/dev/null) || continue
  terminal=$(printf '%s' "${stat##*) }" | cut -d ' ' -f 5)
  printf '%s\n' "$status" | awk -v terminal="$terminal" -v own="^($own)\$" '
    $1 == "Name:" { name = $2 }
    $1 == "Uid:" { uid = $2 }
    END { if (((uid >= 1000 && uid < 60000) || terminal != 0) && name !~ own) print name }'
done | sort -u | head -n 5 | tr '\n' ' ')
say busy "${busy% }"

source=$(wslpath -u "$1" </dev/null 2>/dev/null) || source=
[ -n "$source" ] && [ -f "$source/bootstrap.sh" ] && say source "$source"

say address "$(hostname -I 2>/dev/null | cut -d ' ' -f 1)"
exit 0

# shellcheck shell=sh disable=SC1091,SC2209
# The first code on a box: finds a Python, applies the privilege, hands over to the loader.
#
# Sent as one single-quoted word to whatever login shell is there, run by any POSIX sh. So: no single quote, no
# exclamation mark (csh), no backslash but in printf formats (fish), and every line ends where a blank may follow,
# because csh cannot carry a line break inside quotes: comments and indentation are dropped and lines are joined.
#
# $1 loader  $2 none, auto or require  $3 become user  $4 a Python to try first, or empty
# $5 "password": standard input starts with it, twice: once to check it here, in one attempt, and once for sudo
# itself, should it ask again (without its time stamp); the loader skips a line that nobody wanted.
#
# Says "PROVISION1-STAGE <root: yes, no> <sudo: unasked, root, yes, password, wrong-password, refused, tty, missing>
# <python: yes, no>" before anything else of ours.
PATH="$PATH:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";
# WSL adds the PATH of Windows, whose python3 is not the one of this box.
case $(cat /proc/sys/kernel/osrelease 2>/dev/null) in
  *icrosoft*)
    linux=;
    rest=$PATH:;
    while [ -n "$rest" ]; do
      folder=${rest%%:*};
      rest=${rest#*:};
      case $folder/ in /mnt/[A-Za-z]/*) ;; *) linux=$linux${linux:+:}$folder ;; esac;
    done;
    PATH=$linux;
  ;;
esac;
frame() { printf "\nPROVISION1 %d\n%s\n" "${#1}" "$1"; };
judge() {
  case $1 in
    *" tty"*) sudo=tty ;;
    *ncorrect*|*"try again"*|*"no password"*) sudo=wrong-password ;;
    *"password is required"*|*"authentication is required"*) sudo=password ;;
    *) sudo=refused ;;
  esac;
};
word=;
if [ "$5" = password ]; then IFS= read -r word; fi;
root=no;
sudo=unasked;
if [ "$2" = none ]; then :;
elif [ "$(id -u)" = "$(id -u "$3" 2>/dev/null)" ]; then root=yes; sudo=root;
elif command -v sudo >/dev/null; then
  if why=$(LC_ALL=C sudo -n -u "$3" true 2>&1 </dev/null); then root=yes; sudo=yes;
  else
    judge "$why";
    if [ "$sudo$5" = passwordpassword ]; then
      if why=$(printf "%s\n" "$word" | LC_ALL=C sudo -S -p "" -u "$3" -v 2>&1); then root=yes;
      else judge "$why";
      fi;
    fi;
  fi;
else sudo=missing;
fi;
# A wrong password ends it even where root is only wished for: the user meant root, not a quiet second best.
if [ "$2$root" = requireno ] || [ $sudo = wrong-password ]; then
  printf "\nPROVISION1-STAGE no %s yes\n" "$sudo";
  frame "{\"ok\": false, \"error\": \"$sudo\", \"hint\": null, \"kind\": \"NoSudo\"}";
  exit 0;
fi;
python=;
# Without the standard library (python3-minimal) it is as good as missing.
names="/usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8 python";
for name in $4 $names /usr/libexec/platform-python; do
  name=$(command -v "$name") || continue;
  if "$name" -ISc "import json, pwd, sys, zlib; sys.exit(sys.version_info < (3, 8))" 2>/dev/null </dev/null; then
    python=$name;
    break;
  fi;
done;
if [ -z "$python" ]; then
  printf "\nPROVISION1-STAGE %s %s no\n" "$root" "$sudo";
  case $sudo in root|yes) sudo=yes ;; password) ;; *) sudo=no ;; esac;
  ID=; VERSION_ID=; PRETTY_NAME=;
  if [ -r /etc/os-release ]; then . /etc/os-release; fi;
  LC_ALL=C;
  plain() { printf %s "$1" | tr -d "[:cntrl:]\042\134"; };
  os="\"os\": {\"id\": \"$(plain "$ID")\", \"version_id\": \"$(plain "$VERSION_ID")\"";
  os="$os, \"pretty\": \"$(plain "$PRETTY_NAME")\"}";
  left=no;
  if [ -e /var/lib/provisioner ]; then left=yes; fi;
  value="{\"schema\": 1, \"python\": null, $os, \"uid\": $(id -u), \"root\": \"$root\", \"sudo\": \"$sudo\"";
  value="$value, \"left\": \"$left\"}";
  frame "{\"ok\": true, \"value\": $value}";
  exit 0;
fi;
printf "\nPROVISION1-STAGE %s %s yes\n" "$root" "$sudo";
case $root$sudo in
  yesyes) exec sudo -n -H -u "$3" "$python" -I -X utf8 -c "$1" ;;
  yespassword) exec sudo -S -p "" -H -u "$3" "$python" -I -X utf8 -c "$1" ;;
  *) exec "$python" -I -X utf8 -c "$1" ;;
esac

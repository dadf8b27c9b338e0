# What the scripts beside this file share. Each of them can be run again at any time: a step that was done is passed over, and
# one that was interrupted is done anew. Nothing that serves is touched before what takes its place is complete.
#
#   /opt/trialogue/VERSION   a version, with everything it needs; never changed once it has its mark, `.complete`
#   /opt/trialogue/current   a link to the one that is used; it is replaced at once, or not at all
#   /opt/trialogue/previous  a link to the one that was used before
#   /opt/trialogue/leaving   the same, while another one takes its place
#   /opt/trialogue/next      a link to the one that was last asked whether it fits
#   /etc/trialogue           settings, and secrets that only root reads; written once, then yours
#   /var/lib/trialogue       data

set -eu
umask 022

# Tests have a folder in the place of the machine's root.
ROOT=${ROOT:-}
OPT=$ROOT/opt/trialogue
ETC=$ROOT/etc/trialogue
UNITS=$ROOT/etc/systemd/system
SYSTEMCTL=${SYSTEMCTL:-systemctl}
PYTHON=${PYTHON:-python3}
# Seconds that a version may take to serve: a migration is in them.
PATIENCE=${PATIENCE:-600}
# Whose bundles are believed, as ALLOWED SIGNERS in ssh-keygen(1) says it; /etc/trialogue/bundle_signers is another place for it.
SIGNERS=${SIGNERS:-}
SOURCE=$(cd "$(dirname "$0")/.." && pwd)

say() { printf '%s\n' "$*"; }

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

must_be_root() { [ -n "$ROOT" ] || [ "$(id -u)" = 0 ] || die "run me as root: sudo $0"; }

# One of us at a time. The lock is the kernel's, and gone with the process.
take_lock() {
  mkdir -p "$OPT"
  exec 9> "$OPT/.lock"
  flock -n 9 || die "another install, upgrade or rollback is under way: wait until it has ended"
}

# link TARGET NAME: have NAME lead to TARGET, atomically.
link() {
  ln -sfn "$1" "$2.new"
  mv -fT "$2.new" "$2"
}

# put FILE PLACE: have PLACE hold what FILE holds, wholly or not at all.
put() {
  cmp -s "$1" "$2" && return
  cp "$1" "$2.new"
  mv -f "$2.new" "$2"
}

# Whether we came in a bundle, which has the packages with it and needs no network; else in a checkout.
bundled() { [ -e "$SOURCE/SHA256SUMS" ] || [ -e "$SOURCE/manifest.json" ]; }

# The file that says whose bundles are believed, if one is named or there.
signers() { if [ -n "$SIGNERS" ]; then echo "$SIGNERS"; elif [ -e "$ETC/bundle_signers" ]; then echo "$ETC/bundle_signers"; fi; }

version_of_source() {
  if bundled; then sed -n 's/^  "version": "\(.*\)",$/\1/p' "$SOURCE/manifest.json" | head -n 1
  else sed -n 's/^version = "\(.*\)"/\1/p' "$SOURCE/pyproject.toml" | head -n 1; fi
}

current_version() { if [ -L "$OPT/$1" ]; then readlink "$OPT/$1"; fi; }

# build VERSION: the version, complete, in its folder. One that is there already is left alone.
build() {
  # An empty name would be that of the folder of all versions, which is emptied below.
  case $1 in '' | .* | */*) die "$SOURCE does not say its version, or '$1' is none: unpack it again; nothing was changed" ;; esac
  [ -e "$OPT/$1/.complete" ] && { say "version $1 is in place"; return; }
  "$PYTHON" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' ||
    die "Python 3.11 or newer with venv is needed: name one as PYTHON=/usr/bin/python3.11, or install python3-venv"
  believed=$(signers)
  [ -z "$believed" ] || bundled || die "this is no bundle, and $believed says whose signature it must have: nothing was changed"
  ! bundled || "$PYTHON" -B "$SOURCE/deploy/check_bundle.py" "$SOURCE" ${believed:+"$believed"} ||
    die "this bundle cannot be installed here, see above: nothing was changed"
  say "building version $1"
  rm -rf "${OPT:?}/$1"
  "$PYTHON" -m venv "$OPT/$1" || die "no room, or no right to write, in $OPT: nothing was changed"
  install_into "$1" || { rm -rf "${OPT:?}/$1"; die "version $1 could not be built, see above: nothing was changed"; }
  "$OPT/$1/bin/trialogue" version || die "version $1 does not start: nothing was changed"
  cp -r "$SOURCE/deploy/systemd" "$OPT/$1/systemd"
  sync -f "$OPT/$1"
  touch "$OPT/$1/.complete"
}

install_into() {
  pip="$OPT/$1/bin/python -m pip --disable-pip-version-check --quiet install"
  if bundled; then
    pip="$pip --isolated --no-index --only-binary :all: --no-deps"
    $pip --require-hashes --find-links "$SOURCE/wheels" -r "$SOURCE/requirements/run.txt" &&
      $pip "$SOURCE/wheels/trialogue-$(version_of_source)-py3-none-any.whl"
    return
  fi
  $pip --require-hashes --no-deps -r "$SOURCE/requirements/run.txt" &&
    $pip --no-build-isolation --no-deps "$SOURCE"
}

# put_units VERSION: the units as that version has them. What was said with `systemctl edit` stands beside them and stays.
put_units() {
  mkdir -p "$UNITS" "$ROOT/etc/sysusers.d"
  put "$OPT/$1/systemd/sysusers.conf" "$ROOT/etc/sysusers.d/trialogue.conf"
  for unit in "$OPT/$1"/systemd/*.service "$OPT/$1"/systemd/*.socket "$OPT/$1"/systemd/*.timer; do
    put "$unit" "$UNITS/${unit##*/}"
  done
  "$SYSTEMCTL" daemon-reload
}

# Which of our services run. 1 when that is not known.
running() {
  listed=$("$SYSTEMCTL" list-units --plain --no-legend --state=active 'trialogue.service' 'trialogue@*.service') || return 1
  printf '%s' "$listed" | cut -d' ' -f1
}

show() { "$SYSTEMCTL" show --value -p "$1" "$2"; }

# serves UNIT: wait until it does.
serves() {
  waited=0
  while [ "$(show ActiveState "$1")" != active ]; do
    [ "$(show ActiveState "$1")" = failed ] && return 1
    [ $waited -ge "$PATIENCE" ] && return 1
    sleep 1
    waited=$((waited + 1))
  done
}

# replace UNIT: let the version that is current take its place. 1 when it could not, and the one before goes on.
replace() {
  pid=$(show MainPID "$1") || return 1
  "$SYSTEMCTL" reload "$1" || return 1
  waited=0
  while sleep 1; main=$(show MainPID "$1") || main=$pid; [ "$main" = "$pid" ]; do
    # It says `serving; ... failed` when its successor came to nothing.
    case $(show StatusText "$1") in *failed*) return 1 ;; esac
    [ "$(show ActiveState "$1")" = active ] || return 1
    [ $waited -ge "$PATIENCE" ] && return 1
    waited=$((waited + 1))
  done
  serves "$1"
}

# fits VERSION: whether it knows the storage as it is now. Asked as the service, which has the settings and the secrets.
fits() {
  link "$1" "$OPT/next"
  # A version that came before it could be asked has no such unit.
  [ -e "$UNITS/trialogue-fits.service" ] || return 0
  "$SYSTEMCTL" start trialogue-fits.service
}

# use VERSION: have everything that runs run it; if it cannot, have it run what it ran before.
use() {
  [ -e "$OPT/$1/.complete" ] || die "there is no version $1 in $OPT; there are: $(versions)"
  fits "$1" || die "version $1 does not fit the storage or the settings, and nothing was changed: journalctl -u trialogue-fits -n 5 says why"
  units=$(running) || die "systemd does not say what runs, and nothing was changed: systemctl status trialogue"
  # Whoever was interrupted in the midst of this has left word of what there was before.
  before=$(current_version leaving)
  [ -n "$before" ] || before=$(current_version current)
  [ -z "$before" ] || [ "$before" = "$1" ] || link "$before" "$OPT/leaving"
  [ "$(current_version current)" = "$1" ] || link "$1" "$OPT/current"
  for unit in $units; do
    say "$unit goes over to $1"
    replace "$unit" && continue
    [ -z "$before" ] || [ "$before" = "$1" ] || link "$before" "$OPT/current"
    for one in $units; do [ "$one" = "$unit" ] && break; replace "$one" || :; done
    rm -f "$OPT/leaving"
    die "$unit could not go over to $1 and serves as before: journalctl -u $unit -n 50 says why"
  done
  [ -z "$before" ] || [ "$before" = "$1" ] || link "$before" "$OPT/previous"
  rm -f "$OPT/leaving"
}

versions() {
  for one in "$OPT"/*; do
    if [ -e "$one/.complete" ] && [ ! -L "$one" ]; then printf '%s ' "${one##*/}"; fi
  done
}
